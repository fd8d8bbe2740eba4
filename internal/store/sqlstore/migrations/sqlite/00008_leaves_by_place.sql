-- Receipts of the peer get the place of their leaf as soon as it is mirrored, as ours have it from the start. So nothing looks
-- for a leaf by its document, and leaves need no index whose keys are hashes.

-- +goose Up
UPDATE receipts SET idx = (
    SELECT l.idx FROM leaves l
    WHERE l.doc = receipts.hash AND l.link = receipts.link AND l.party = receipts.author AND l.kind = 'receipt-out'
    ORDER BY l.epoch, l.idx LIMIT 1
) WHERE idx < 0 AND EXISTS (
    SELECT 1 FROM leaves l
    WHERE l.doc = receipts.hash AND l.link = receipts.link AND l.party = receipts.author AND l.kind = 'receipt-out'
);
DROP INDEX leaves_doc;

-- Identity leaves are few, and are asked for by their document.
CREATE INDEX leaves_identity ON leaves (doc) WHERE kind = 'identity';
