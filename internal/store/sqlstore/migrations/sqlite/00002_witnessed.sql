-- What third parties have cosigned of our own ledgers: of each witness the newest head.

-- +goose Up
CREATE TABLE witnessed (
    link    BLOB NOT NULL,
    epoch   INTEGER NOT NULL,
    witness TEXT NOT NULL,
    size    INTEGER NOT NULL,
    note    BLOB NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (link, epoch, witness)
) STRICT, WITHOUT ROWID;
