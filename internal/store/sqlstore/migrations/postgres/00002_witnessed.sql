-- What third parties have cosigned of our own ledgers: of each witness the newest head.

-- +goose Up
CREATE TABLE witnessed (
    link    BYTEA NOT NULL,
    epoch   BIGINT NOT NULL,
    witness TEXT COLLATE "C" NOT NULL,
    size    BIGINT NOT NULL,
    note    BYTEA NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (link, epoch, witness)
);
