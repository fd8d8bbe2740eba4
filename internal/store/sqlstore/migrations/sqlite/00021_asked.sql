-- What our requests asked which party about, under keyed hashes, so that nobody asks twice unknowingly. The rows are folded: a rebuild
-- makes those of the requests from before.

-- +goose Up
CREATE TABLE asked (
    mark   BLOB NOT NULL,
    thread BLOB NOT NULL,
    number TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (mark, at, thread)
) WITHOUT ROWID;
CREATE INDEX asked_thread ON asked (thread);
