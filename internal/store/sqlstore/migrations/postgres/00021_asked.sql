-- What our requests asked which party about, under keyed hashes, so that nobody asks twice unknowingly. The rows are folded: a rebuild
-- makes those of the requests from before.

-- +goose Up
CREATE TABLE asked (
    mark   BYTEA NOT NULL,
    thread BYTEA NOT NULL,
    number TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (mark, at, thread)
);
CREATE INDEX asked_thread ON asked (thread);
