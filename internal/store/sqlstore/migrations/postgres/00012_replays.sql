-- Answers that the same call, sent again, gets again. They are kept for a day and stand in no backup.

-- +goose Up
CREATE TABLE replays (
    id          BYTEA NOT NULL PRIMARY KEY,
    created     BIGINT NOT NULL,
    fingerprint BYTEA,
    status      BIGINT NOT NULL,
    media       TEXT COLLATE "C" NOT NULL,
    tag         TEXT COLLATE "C" NOT NULL,
    sealed      BYTEA,
    wrapped     BYTEA
);
CREATE INDEX replays_created ON replays (created);
