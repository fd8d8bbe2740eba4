-- Obligations are folded of requests: "entente rebuild" makes those of requests that are older than this table. ends is the largest
-- integer where there is no end. Holds and warnings are local.

-- +goose Up
CREATE TABLE obligations (
    thread BLOB NOT NULL,
    source BLOB NOT NULL,
    duty   TEXT NOT NULL,
    owes   BLOB NOT NULL,
    link   BLOB NOT NULL,
    since  INTEGER NOT NULL,
    ends   INTEGER NOT NULL,
    state  TEXT NOT NULL,
    proof  TEXT NOT NULL,
    formal TEXT NOT NULL,
    PRIMARY KEY (thread, source, duty, owes)
) STRICT, WITHOUT ROWID;
CREATE INDEX obligations_state ON obligations (state, ends, thread, source, duty, owes);
CREATE INDEX obligations_owes ON obligations (owes, state, ends, thread, source, duty);
CREATE INDEX obligations_link ON obligations (link, state, ends, thread, source, duty, owes);
CREATE INDEX obligations_duty ON obligations (duty, state, ends, thread, source, owes);
CREATE INDEX obligations_formal ON obligations (formal, thread) WHERE formal <> '';

CREATE TABLE warned (
    thread BLOB NOT NULL PRIMARY KEY,
    ends   INTEGER NOT NULL,
    days   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
    thread BLOB NOT NULL PRIMARY KEY,
    link   BLOB NOT NULL,
    reason TEXT NOT NULL,
    who    TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_at ON holds (at, thread);
