-- Receivers of our own that are told of events, what they are told, and which clocks were told of when these ran out.

-- +goose Up
CREATE TABLE webhooks (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    url          TEXT COLLATE "C" NOT NULL,
    types        TEXT COLLATE "C" NOT NULL,
    private      BIGINT NOT NULL,
    ca           BYTEA,
    note         TEXT COLLATE "C" NOT NULL,
    created      BIGINT NOT NULL,
    secret       BYTEA NOT NULL,
    former       BYTEA,
    former_until BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    failing      BIGINT NOT NULL,
    next_try     BIGINT NOT NULL,
    code         TEXT COLLATE "C" NOT NULL,
    disabled     BIGINT NOT NULL,
    why          TEXT COLLATE "C" NOT NULL
);

CREATE TABLE deliveries (
    hook     TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    type     TEXT COLLATE "C" NOT NULL,
    body     BYTEA NOT NULL,
    state    TEXT COLLATE "C" NOT NULL,
    created  BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_try BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    status   BIGINT NOT NULL,
    code     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (hook, id)
);
CREATE INDEX deliveries_created ON deliveries (hook, created, id);
CREATE INDEX deliveries_state ON deliveries (hook, state, created, id);

CREATE TABLE told (
    thread BYTEA NOT NULL,
    step   TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (thread, step)
);
CREATE INDEX told_at ON told (at);
