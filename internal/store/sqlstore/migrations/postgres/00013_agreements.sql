-- Every agreement that a party has said on a link, by its hash: a statement obeys the rule set that its thread began under, whatever
-- was agreed on since.

-- +goose Up
CREATE TABLE agreements (
    link BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (link, hash)
);
