-- What we sealed for the peer is our copy at rest, too: keys are its content keys, under the statement's key. The author says
-- whose files they are, so that what a peer's take up can be counted.

-- +goose Up
ALTER TABLE files ADD COLUMN author BYTEA NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN keys BYTEA;
UPDATE files SET author = (SELECT s.author FROM statements s WHERE s.commitment = files.statement)
WHERE EXISTS (SELECT 1 FROM statements s WHERE s.commitment = files.statement);
CREATE INDEX files_held ON files (link, author, size) WHERE blob <> '';
