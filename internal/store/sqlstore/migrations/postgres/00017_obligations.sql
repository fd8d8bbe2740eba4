-- Obligations are folded of requests: "entente rebuild" makes those of requests that are older than this table. ends is the largest
-- integer where there is no end. Holds and warnings are local.

-- +goose Up
CREATE TABLE obligations (
    thread BYTEA NOT NULL,
    source BYTEA NOT NULL,
    duty   TEXT COLLATE "C" NOT NULL,
    owes   BYTEA NOT NULL,
    link   BYTEA NOT NULL,
    since  BIGINT NOT NULL,
    ends   BIGINT NOT NULL,
    state  TEXT COLLATE "C" NOT NULL,
    proof  TEXT COLLATE "C" NOT NULL,
    formal TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (thread, source, duty, owes)
);
CREATE INDEX obligations_state ON obligations (state, ends, thread, source, duty, owes);
CREATE INDEX obligations_owes ON obligations (owes, state, ends, thread, source, duty);
CREATE INDEX obligations_link ON obligations (link, state, ends, thread, source, duty, owes);
CREATE INDEX obligations_duty ON obligations (duty, state, ends, thread, source, owes);
CREATE INDEX obligations_formal ON obligations (formal, thread) WHERE formal <> '';

CREATE TABLE warned (
    thread BYTEA NOT NULL PRIMARY KEY,
    ends   BIGINT NOT NULL,
    days   BIGINT NOT NULL
);

CREATE TABLE holds (
    thread BYTEA NOT NULL PRIMARY KEY,
    link   BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    who    TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL
);
CREATE INDEX holds_at ON holds (at, thread);
