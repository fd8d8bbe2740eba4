-- The people of this node, and the tree over what they did. roles and scopes are lists with spaces.

-- +goose Up
CREATE TABLE members (
    name      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    roles     TEXT COLLATE "C" NOT NULL,
    created   BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    salt      BYTEA,
    secret    BYTEA,
    failures  BIGINT NOT NULL,
    locked    BIGINT NOT NULL
);

CREATE TABLE tokens (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hash    BYTEA NOT NULL UNIQUE,
    member  TEXT COLLATE "C" NOT NULL,
    scopes  TEXT COLLATE "C" NOT NULL,
    note    TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT NOT NULL,
    used    BIGINT NOT NULL
);
CREATE INDEX tokens_member ON tokens (member, created, id);

-- hashes is what a line adds to the tree. Lines of before there was one are put there when the node next writes one.
ALTER TABLE audits ADD COLUMN hashes BYTEA;
CREATE INDEX audits_unhashed ON audits (id) WHERE hashes IS NULL;
