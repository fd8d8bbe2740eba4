-- Registered parcels whose time ended before their grant came are listed beside those that still wait for it.

-- +goose Up
CREATE INDEX parcels_lapsed ON parcels (state, link, created) WHERE state = 'lapsed';
