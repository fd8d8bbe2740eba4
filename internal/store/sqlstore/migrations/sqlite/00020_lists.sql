-- Lists are read from an index in their order, from where a page ended: ours says of a request or a call whether we opened it, and of
-- a clock whether we owe the word.

-- +goose Up
ALTER TABLE requests ADD COLUMN ours INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dues ADD COLUMN ours INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN ours INTEGER NOT NULL DEFAULT 0;
UPDATE requests SET ours = 1 WHERE requesting <> (SELECT peer FROM links WHERE id = requests.link);
UPDATE dues SET ours = 1 WHERE owes <> (SELECT peer FROM links WHERE id = dues.link);
UPDATE calls SET ours = 1 WHERE calling <> (SELECT peer FROM links WHERE id = calls.link);
DROP INDEX requests_requesting;
CREATE INDEX requests_ours ON requests (ours, received, thread);
CREATE INDEX requests_ours_status ON requests (ours, status, received, thread);
CREATE INDEX requests_link_status ON requests (link, status, received, thread);
DROP INDEX dues_owes;
DROP INDEX dues_desk;
CREATE INDEX dues_ours ON dues (ours, at, thread, step);
CREATE INDEX dues_desk ON dues (desk, at, thread, step);
DROP INDEX calls_called;
CREATE INDEX calls_ours ON calls (ours, received, thread);
