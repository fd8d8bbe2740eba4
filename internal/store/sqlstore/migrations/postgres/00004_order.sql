-- What waits goes out in the order of its author's ledger, so that a round of the ledger never passes what has not left.

-- +goose Up
DROP INDEX parcels_live;
CREATE INDEX parcels_live ON parcels (link, author, state, lane_rank, sent_index, id) WHERE live = 1;
