-- A party opens a new epoch of its ledger after a restore or by hand, and then catches up.

-- +goose Up
ALTER TABLE links ADD COLUMN opened BIGINT NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN catching BIGINT NOT NULL DEFAULT 0;
ALTER TABLE parcels ADD COLUMN got_epoch BIGINT NOT NULL DEFAULT 1;
ALTER TABLE receipts ADD COLUMN log_epoch BIGINT NOT NULL DEFAULT 1;
ALTER TABLE logs ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;
CREATE INDEX files_lost ON files (link, statement, position) WHERE state = 'lost';
CREATE INDEX files_waiting ON files (link) WHERE state = 'waiting';
