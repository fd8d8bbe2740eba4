-- Times are UTC microseconds. Hashes and ids are raw bytes. Flags are 0 or 1. Empty bytes are NULL.
-- There are no foreign keys: rows of one act arrive in any order, and a backup loads table by table.

-- +goose Up
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    party    BLOB NOT NULL,
    version  INTEGER NOT NULL,
    envelope BLOB,
    PRIMARY KEY (party, version)
) STRICT;

CREATE TABLE links (
    id         BLOB NOT NULL PRIMARY KEY,
    alias      TEXT NOT NULL UNIQUE,
    peer       BLOB NOT NULL,
    endpoint   TEXT NOT NULL,
    inviter    INTEGER NOT NULL,
    agreement  BLOB,
    created    INTEGER NOT NULL,
    own_epoch  INTEGER NOT NULL,
    peer_epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE invitations (
    token_hash BLOB NOT NULL PRIMARY KEY,
    alias      TEXT NOT NULL,
    agreement  BLOB,
    nonce      BLOB NOT NULL,
    expires    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    link       BLOB NOT NULL
) STRICT;

CREATE TABLE lanes (
    link        BLOB NOT NULL,
    author      BLOB NOT NULL,
    epoch       INTEGER NOT NULL,
    lane        TEXT NOT NULL,
    last        INTEGER NOT NULL,
    last_header BLOB NOT NULL,
    contiguous  INTEGER NOT NULL,
    settled     INTEGER NOT NULL,
    folded      INTEGER NOT NULL,
    PRIMARY KEY (link, author, epoch, lane)
) STRICT, WITHOUT ROWID;

-- lane_rank is the urgency of the lane, live is 1 until the parcel has come to an end.
CREATE TABLE parcels (
    id         BLOB NOT NULL PRIMARY KEY,
    link       BLOB NOT NULL,
    author     BLOB NOT NULL,
    epoch      INTEGER NOT NULL,
    lane       TEXT NOT NULL,
    lane_rank  INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    file       INTEGER NOT NULL,
    header     BLOB NOT NULL,
    text       BLOB NOT NULL,
    state      TEXT NOT NULL,
    live       INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    sent_index INTEGER NOT NULL,
    got_index  INTEGER NOT NULL,
    seen_epoch INTEGER NOT NULL,
    seen_seq   INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    stale      INTEGER NOT NULL,
    verdict    TEXT NOT NULL,
    segments   INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    blob       TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    next_try   INTEGER NOT NULL
) STRICT;
CREATE INDEX parcels_header ON parcels (header);
CREATE UNIQUE INDEX parcels_place ON parcels (link, author, epoch, lane, seq) WHERE file < 0;
CREATE INDEX parcels_live ON parcels (link, author, state, lane_rank, created) WHERE live = 1;
CREATE INDEX parcels_due ON parcels (link, author, next_try) WHERE state = 'sending';
CREATE INDEX parcels_blob ON parcels (blob) WHERE blob <> '';

-- Sealed content apart from the rows, so that lists of parcels read few pages.
CREATE TABLE parcel_contents (
    parcel  BLOB NOT NULL PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

CREATE TABLE segments (
    parcel    BLOB NOT NULL,
    n         INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL,
    PRIMARY KEY (parcel, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    hash          BLOB NOT NULL PRIMARY KEY,
    link          BLOB NOT NULL,
    author        BLOB NOT NULL,
    kind          TEXT NOT NULL,
    header        BLOB NOT NULL,
    parcel        BLOB NOT NULL,
    lane          TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    seq           INTEGER NOT NULL,
    contiguous_to INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    log           INTEGER NOT NULL,
    unsent        INTEGER NOT NULL
) STRICT;
CREATE INDEX receipts_header ON receipts (header);
CREATE INDEX receipts_reach ON receipts (link, author, epoch, lane, contiguous_to);
CREATE INDEX receipts_unsent ON receipts (link, author, at, idx) WHERE unsent = 1;

CREATE TABLE statements (
    commitment BLOB NOT NULL PRIMARY KEY,
    link       BLOB NOT NULL,
    author     BLOB NOT NULL,
    lane       TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    thread     BLOB NOT NULL,
    kind       TEXT NOT NULL,
    authored   INTEGER NOT NULL,
    text       BLOB,
    text_salt  BLOB NOT NULL,
    parcel     BLOB NOT NULL,
    erased     INTEGER NOT NULL
) STRICT;
CREATE INDEX statements_authored ON statements (authored, commitment);
CREATE INDEX statements_link ON statements (link, authored, commitment);
CREATE INDEX statements_thread ON statements (thread, authored, commitment);
CREATE INDEX statements_kind ON statements (kind, authored, commitment);
CREATE INDEX statements_parcel ON statements (parcel);
CREATE INDEX statements_kept ON statements (link, kind, authored, commitment) WHERE erased = 0;

CREATE TABLE statement_bodies (
    commitment BLOB NOT NULL PRIMARY KEY,
    sealed     BLOB NOT NULL
) STRICT;

-- Keys stand alone: they are kept out of backups of data, so that erasing a key erases what backups hold.
CREATE TABLE statement_keys (
    commitment BLOB NOT NULL PRIMARY KEY,
    wrapped    BLOB NOT NULL
) STRICT;

CREATE TABLE files (
    statement BLOB NOT NULL,
    position  INTEGER NOT NULL,
    link      BLOB NOT NULL,
    parcel    BLOB NOT NULL,
    size      INTEGER NOT NULL,
    state     TEXT NOT NULL,
    blob      TEXT NOT NULL,
    floe      BLOB,
    reason    TEXT NOT NULL,
    PRIMARY KEY (statement, position)
) STRICT;
CREATE INDEX files_parcel ON files (parcel);
CREATE INDEX files_blob ON files (blob) WHERE blob <> '';
CREATE INDEX files_erasing ON files (statement, position) WHERE state = 'erasing';

CREATE TABLE columns (
    link   BLOB NOT NULL,
    thread BLOB NOT NULL,
    author BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    lane   TEXT NOT NULL,
    room   TEXT NOT NULL,
    data   BLOB,
    PRIMARY KEY (link, thread, author, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX columns_room ON columns (room, link, thread, author, epoch, seq);

CREATE TABLE logs (
    link          BLOB NOT NULL,
    party         BLOB NOT NULL,
    epoch         INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    last_time     INTEGER NOT NULL,
    signed_size   INTEGER NOT NULL,
    signed_at     INTEGER NOT NULL,
    cosigned_size INTEGER NOT NULL,
    cosigned_note BLOB,
    cosigned_at   INTEGER NOT NULL,
    PRIMARY KEY (link, party, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaves (
    link   BLOB NOT NULL,
    party  BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    leaf   BLOB,
    doc    BLOB NOT NULL,
    kind   TEXT NOT NULL,
    hashes BLOB,
    PRIMARY KEY (link, party, epoch, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX leaves_doc ON leaves (doc);

CREATE TABLE documents (
    hash       BLOB NOT NULL PRIMARY KEY,
    link       BLOB NOT NULL,
    type       TEXT NOT NULL,
    payload    BLOB,
    signatures BLOB
) STRICT;

-- digest is the SHA-256 of data: the same lie is kept once.
CREATE TABLE evidence (
    id     INTEGER NOT NULL PRIMARY KEY,
    link   BLOB NOT NULL,
    kind   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    note   TEXT NOT NULL,
    data   BLOB,
    digest BLOB NOT NULL,
    UNIQUE (link, kind, digest)
) STRICT;

CREATE TABLE audits (
    id     INTEGER NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    act    TEXT NOT NULL,
    object TEXT NOT NULL
) STRICT;
