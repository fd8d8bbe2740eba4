-- +goose Up

-- identity is the version in force after the last leaf. Until now nobody could change one.
ALTER TABLE logs ADD COLUMN identity BIGINT NOT NULL DEFAULT 1;

-- identity_forks holds versions that came beside one that is known already. Which of them stands is worked out from all.
CREATE TABLE identity_forks (
    party    BYTEA NOT NULL,
    hash     BYTEA NOT NULL,
    version  BIGINT NOT NULL,
    envelope BYTEA,
    PRIMARY KEY (party, hash)
);
