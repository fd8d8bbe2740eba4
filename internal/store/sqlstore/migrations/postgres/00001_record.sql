-- Times are UTC microseconds. Hashes and ids are raw bytes. Flags are 0 or 1. Empty bytes are NULL.
-- There are no foreign keys: rows of one act arrive in any order, and a backup loads table by table.

-- +goose Up
CREATE TABLE meta (
    key   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA
);

CREATE TABLE identities (
    party    BYTEA NOT NULL,
    version  BIGINT NOT NULL,
    envelope BYTEA,
    PRIMARY KEY (party, version)
);

CREATE TABLE links (
    id         BYTEA NOT NULL PRIMARY KEY,
    alias      TEXT COLLATE "C" NOT NULL UNIQUE,
    peer       BYTEA NOT NULL,
    endpoint   TEXT COLLATE "C" NOT NULL,
    inviter    BIGINT NOT NULL,
    agreement  BYTEA,
    created    BIGINT NOT NULL,
    own_epoch  BIGINT NOT NULL,
    peer_epoch BIGINT NOT NULL
);

CREATE TABLE invitations (
    token_hash BYTEA NOT NULL PRIMARY KEY,
    alias      TEXT COLLATE "C" NOT NULL,
    agreement  BYTEA,
    nonce      BYTEA NOT NULL,
    expires    BIGINT NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    link       BYTEA NOT NULL
);

CREATE TABLE lanes (
    link        BYTEA NOT NULL,
    author      BYTEA NOT NULL,
    epoch       BIGINT NOT NULL,
    lane        TEXT COLLATE "C" NOT NULL,
    last        BIGINT NOT NULL,
    last_header BYTEA NOT NULL,
    contiguous  BIGINT NOT NULL,
    settled     BIGINT NOT NULL,
    folded      BIGINT NOT NULL,
    PRIMARY KEY (link, author, epoch, lane)
);

-- lane_rank is the urgency of the lane, live is 1 until the parcel has come to an end.
CREATE TABLE parcels (
    id         BYTEA NOT NULL PRIMARY KEY,
    link       BYTEA NOT NULL,
    author     BYTEA NOT NULL,
    epoch      BIGINT NOT NULL,
    lane       TEXT COLLATE "C" NOT NULL,
    lane_rank  BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    file       BIGINT NOT NULL,
    header     BYTEA NOT NULL,
    text       BYTEA NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    live       BIGINT NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    sent_index BIGINT NOT NULL,
    got_index  BIGINT NOT NULL,
    seen_epoch BIGINT NOT NULL,
    seen_seq   BIGINT NOT NULL,
    received   BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    stale      BIGINT NOT NULL,
    verdict    TEXT COLLATE "C" NOT NULL,
    segments   BIGINT NOT NULL,
    length     BIGINT NOT NULL,
    blob       TEXT COLLATE "C" NOT NULL,
    attempts   BIGINT NOT NULL,
    next_try   BIGINT NOT NULL
);
CREATE INDEX parcels_header ON parcels (header);
CREATE UNIQUE INDEX parcels_place ON parcels (link, author, epoch, lane, seq) WHERE file < 0;
CREATE INDEX parcels_live ON parcels (link, author, state, lane_rank, created) WHERE live = 1;
CREATE INDEX parcels_due ON parcels (link, author, next_try) WHERE state = 'sending';
CREATE INDEX parcels_blob ON parcels (blob) WHERE blob <> '';

-- Sealed content apart from the rows, so that lists of parcels read few pages.
CREATE TABLE parcel_contents (
    parcel  BYTEA NOT NULL PRIMARY KEY,
    content BYTEA NOT NULL
);

CREATE TABLE segments (
    parcel    BYTEA NOT NULL,
    n         BIGINT NOT NULL,
    leaf_hash BYTEA NOT NULL,
    PRIMARY KEY (parcel, n)
);

CREATE TABLE receipts (
    hash          BYTEA NOT NULL PRIMARY KEY,
    link          BYTEA NOT NULL,
    author        BYTEA NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    header        BYTEA NOT NULL,
    parcel        BYTEA NOT NULL,
    lane          TEXT COLLATE "C" NOT NULL,
    epoch         BIGINT NOT NULL,
    seq           BIGINT NOT NULL,
    contiguous_to BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    idx           BIGINT NOT NULL,
    log           BIGINT NOT NULL,
    unsent        BIGINT NOT NULL
);
CREATE INDEX receipts_header ON receipts (header);
CREATE INDEX receipts_reach ON receipts (link, author, epoch, lane, contiguous_to);
CREATE INDEX receipts_unsent ON receipts (link, author, at, idx) WHERE unsent = 1;

CREATE TABLE statements (
    commitment BYTEA NOT NULL PRIMARY KEY,
    link       BYTEA NOT NULL,
    author     BYTEA NOT NULL,
    lane       TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    thread     BYTEA NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    authored   BIGINT NOT NULL,
    text       BYTEA,
    text_salt  BYTEA NOT NULL,
    parcel     BYTEA NOT NULL,
    erased     BIGINT NOT NULL
);
CREATE INDEX statements_authored ON statements (authored, commitment);
CREATE INDEX statements_link ON statements (link, authored, commitment);
CREATE INDEX statements_thread ON statements (thread, authored, commitment);
CREATE INDEX statements_kind ON statements (kind, authored, commitment);
CREATE INDEX statements_parcel ON statements (parcel);
CREATE INDEX statements_kept ON statements (link, kind, authored, commitment) WHERE erased = 0;

CREATE TABLE statement_bodies (
    commitment BYTEA NOT NULL PRIMARY KEY,
    sealed     BYTEA NOT NULL
);

-- Keys stand alone: they are kept out of backups of data, so that erasing a key erases what backups hold.
CREATE TABLE statement_keys (
    commitment BYTEA NOT NULL PRIMARY KEY,
    wrapped    BYTEA NOT NULL
);

CREATE TABLE files (
    statement BYTEA NOT NULL,
    position  BIGINT NOT NULL,
    link      BYTEA NOT NULL,
    parcel    BYTEA NOT NULL,
    size      BIGINT NOT NULL,
    state     TEXT COLLATE "C" NOT NULL,
    blob      TEXT COLLATE "C" NOT NULL,
    floe      BYTEA,
    reason    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (statement, position)
);
CREATE INDEX files_parcel ON files (parcel);
CREATE INDEX files_blob ON files (blob) WHERE blob <> '';
CREATE INDEX files_erasing ON files (statement, position) WHERE state = 'erasing';

CREATE TABLE columns (
    link   BYTEA NOT NULL,
    thread BYTEA NOT NULL,
    author BYTEA NOT NULL,
    epoch  BIGINT NOT NULL,
    seq    BIGINT NOT NULL,
    lane   TEXT COLLATE "C" NOT NULL,
    room   TEXT COLLATE "C" NOT NULL,
    data   BYTEA,
    PRIMARY KEY (link, thread, author, epoch, seq)
);
CREATE INDEX columns_room ON columns (room, link, thread, author, epoch, seq);

CREATE TABLE logs (
    link          BYTEA NOT NULL,
    party         BYTEA NOT NULL,
    epoch         BIGINT NOT NULL,
    size          BIGINT NOT NULL,
    last_time     BIGINT NOT NULL,
    signed_size   BIGINT NOT NULL,
    signed_at     BIGINT NOT NULL,
    cosigned_size BIGINT NOT NULL,
    cosigned_note BYTEA,
    cosigned_at   BIGINT NOT NULL,
    PRIMARY KEY (link, party, epoch)
);

CREATE TABLE leaves (
    link   BYTEA NOT NULL,
    party  BYTEA NOT NULL,
    epoch  BIGINT NOT NULL,
    idx    BIGINT NOT NULL,
    leaf   BYTEA,
    doc    BYTEA NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    hashes BYTEA,
    PRIMARY KEY (link, party, epoch, idx)
);
CREATE INDEX leaves_doc ON leaves (doc);

CREATE TABLE documents (
    hash       BYTEA NOT NULL PRIMARY KEY,
    link       BYTEA NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    payload    BYTEA,
    signatures BYTEA
);

-- digest is the SHA-256 of data: the same lie is kept once.
CREATE TABLE evidence (
    id     BIGINT NOT NULL PRIMARY KEY,
    link   BYTEA NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    at     BIGINT NOT NULL,
    note   TEXT COLLATE "C" NOT NULL,
    data   BYTEA,
    digest BYTEA NOT NULL,
    UNIQUE (link, kind, digest)
);

CREATE TABLE audits (
    id     BIGINT NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    who    TEXT COLLATE "C" NOT NULL,
    act    TEXT COLLATE "C" NOT NULL,
    object TEXT COLLATE "C" NOT NULL
);
