-- Requests for assistance. The first two tables are folded; escalate is when a clock that ran out may be escalated.

-- +goose Up
CREATE TABLE requests (
    thread     BYTEA NOT NULL PRIMARY KEY,
    link       BYTEA NOT NULL,
    number     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    requesting BYTEA NOT NULL,
    requested  BYTEA NOT NULL,
    urgency    TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    received   BIGINT NOT NULL,
    changed    BIGINT NOT NULL,
    quiet      BIGINT NOT NULL
);
CREATE INDEX requests_received ON requests (received, thread);
CREATE INDEX requests_link ON requests (link, received, thread);
CREATE INDEX requests_status ON requests (status, received, thread);
CREATE INDEX requests_requesting ON requests (requesting, received, thread);
CREATE INDEX requests_number ON requests (number);

CREATE TABLE dues (
    thread   BYTEA NOT NULL,
    step     TEXT COLLATE "C" NOT NULL,
    link     BYTEA NOT NULL,
    owes     BYTEA NOT NULL,
    desk     TEXT COLLATE "C" NOT NULL,
    urgency  TEXT COLLATE "C" NOT NULL,
    since    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    escalate BIGINT NOT NULL,
    PRIMARY KEY (thread, step)
);
CREATE INDEX dues_at ON dues (at, thread, step);
CREATE INDEX dues_owes ON dues (owes, at, thread, step);
CREATE INDEX dues_desk ON dues (owes, desk, at, thread, step);

CREATE TABLE numbers (
    series TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last   BIGINT NOT NULL
);
