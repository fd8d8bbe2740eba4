-- Calls of the hotline, all of them folded. since is when the call began to ring the desk that has it now.

-- +goose Up
CREATE TABLE calls (
    thread    BYTEA NOT NULL PRIMARY KEY,
    link      BYTEA NOT NULL,
    level     TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    urgency   TEXT COLLATE "C" NOT NULL,
    calling   BYTEA NOT NULL,
    called    BYTEA NOT NULL,
    status    TEXT COLLATE "C" NOT NULL,
    desk      TEXT COLLATE "C" NOT NULL,
    request   TEXT COLLATE "C" NOT NULL,
    received  BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    answer_by BIGINT NOT NULL,
    answered  BIGINT NOT NULL,
    changed   BIGINT NOT NULL
);
CREATE INDEX calls_received ON calls (received, thread);
CREATE INDEX calls_link ON calls (link, received, thread);
CREATE INDEX calls_status ON calls (status, received, thread);
CREATE INDEX calls_called ON calls (called, received, thread);
