-- What a status report counts a request by, beside its status. It is folded: "entente rebuild" makes it of requests that are
-- older than this column.

-- +goose Up
ALTER TABLE requests ADD COLUMN tally BLOB;
