-- Receivers of our own that are told of events, what they are told, and which clocks were told of when these ran out.

-- +goose Up
CREATE TABLE webhooks (
    id           TEXT NOT NULL PRIMARY KEY,
    url          TEXT NOT NULL,
    types        TEXT NOT NULL,
    private      INTEGER NOT NULL,
    ca           BLOB,
    note         TEXT NOT NULL,
    created      INTEGER NOT NULL,
    secret       BLOB NOT NULL,
    former       BLOB,
    former_until INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    failing      INTEGER NOT NULL,
    next_try     INTEGER NOT NULL,
    code         TEXT NOT NULL,
    disabled     INTEGER NOT NULL,
    why          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    hook     TEXT NOT NULL,
    id       TEXT NOT NULL,
    type     TEXT NOT NULL,
    body     BLOB NOT NULL,
    state    TEXT NOT NULL,
    created  INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    status   INTEGER NOT NULL,
    code     TEXT NOT NULL,
    PRIMARY KEY (hook, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_created ON deliveries (hook, created, id);
CREATE INDEX deliveries_state ON deliveries (hook, state, created, id);

CREATE TABLE told (
    thread BLOB NOT NULL,
    step   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (thread, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_at ON told (at);
