-- A report asks for the peer's receipts whose leaves have not come yet. These are few at any time.

-- +goose Up
CREATE INDEX receipts_unplaced ON receipts (link, author, epoch, lane, seq) WHERE idx < 0;
