-- +goose Up

-- identity is the version in force after the last leaf. Until now nobody could change one.
ALTER TABLE logs ADD COLUMN identity INTEGER NOT NULL DEFAULT 1;

-- identity_forks holds versions that came beside one that is known already. Which of them stands is worked out from all.
CREATE TABLE identity_forks (
    party    BLOB NOT NULL,
    hash     BLOB NOT NULL,
    version  INTEGER NOT NULL,
    envelope BLOB,
    PRIMARY KEY (party, hash)
) STRICT;
