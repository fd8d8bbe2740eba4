-- Answers that the same call, sent again, gets again. They are kept for a day and stand in no backup.

-- +goose Up
CREATE TABLE replays (
    id          BLOB NOT NULL PRIMARY KEY,
    created     INTEGER NOT NULL,
    fingerprint BLOB,
    status      INTEGER NOT NULL,
    media       TEXT NOT NULL,
    tag         TEXT NOT NULL,
    sealed      BLOB,
    wrapped     BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_created ON replays (created);
