-- The people of this node, and the tree over what they did. roles and scopes are lists with spaces.

-- +goose Up
CREATE TABLE members (
    name      TEXT NOT NULL PRIMARY KEY,
    roles     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    salt      BLOB,
    secret    BLOB,
    failures  INTEGER NOT NULL,
    locked    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id      TEXT NOT NULL PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    member  TEXT NOT NULL,
    scopes  TEXT NOT NULL,
    note    TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_member ON tokens (member, created, id);

-- hashes is what a line adds to the tree. Lines of before there was one are put there when the node next writes one.
ALTER TABLE audits ADD COLUMN hashes BLOB;
CREATE INDEX audits_unhashed ON audits (id) WHERE hashes IS NULL;
