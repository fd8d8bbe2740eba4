-- What is kept back of a registered statement of ours until its parcel has been receipted: the keys that its grant releases, and
-- the headers of its files.

-- +goose Up
CREATE TABLE withholdings (
    parcel BYTEA NOT NULL PRIMARY KEY,
    link   BYTEA NOT NULL,
    data   BYTEA
);
CREATE INDEX withholdings_link ON withholdings (link);
CREATE INDEX parcels_held ON parcels (state, link, created) WHERE state = 'held';
