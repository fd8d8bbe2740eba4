-- Calls of the hotline, all of them folded. since is when the call began to ring the desk that has it now.

-- +goose Up
CREATE TABLE calls (
    thread    BLOB NOT NULL PRIMARY KEY,
    link      BLOB NOT NULL,
    level     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    urgency   TEXT NOT NULL,
    calling   BLOB NOT NULL,
    called    BLOB NOT NULL,
    status    TEXT NOT NULL,
    desk      TEXT NOT NULL,
    request   TEXT NOT NULL,
    received  INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    answer_by INTEGER NOT NULL,
    answered  INTEGER NOT NULL,
    changed   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_received ON calls (received, thread);
CREATE INDEX calls_link ON calls (link, received, thread);
CREATE INDEX calls_status ON calls (status, received, thread);
CREATE INDEX calls_called ON calls (called, received, thread);
