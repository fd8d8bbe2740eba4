-- Requests for assistance. The first two tables are folded; escalate is when a clock that ran out may be escalated.

-- +goose Up
CREATE TABLE requests (
    thread     BLOB NOT NULL PRIMARY KEY,
    link       BLOB NOT NULL,
    number     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    requesting BLOB NOT NULL,
    requested  BLOB NOT NULL,
    urgency    TEXT NOT NULL,
    status     TEXT NOT NULL,
    received   INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    quiet      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_received ON requests (received, thread);
CREATE INDEX requests_link ON requests (link, received, thread);
CREATE INDEX requests_status ON requests (status, received, thread);
CREATE INDEX requests_requesting ON requests (requesting, received, thread);
CREATE INDEX requests_number ON requests (number);

CREATE TABLE dues (
    thread   BLOB NOT NULL,
    step     TEXT NOT NULL,
    link     BLOB NOT NULL,
    owes     BLOB NOT NULL,
    desk     TEXT NOT NULL,
    urgency  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    escalate INTEGER NOT NULL,
    PRIMARY KEY (thread, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX dues_at ON dues (at, thread, step);
CREATE INDEX dues_owes ON dues (owes, at, thread, step);
CREATE INDEX dues_desk ON dues (owes, desk, at, thread, step);

CREATE TABLE numbers (
    series TEXT NOT NULL PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
