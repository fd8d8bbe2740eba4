-- What was written and has not left. ids are hexadecimal digits, writers a list with spaces; open is 1 until the draft was sent or
-- discarded, and while what left on one person's word waits for its countersignature.

-- +goose Up
CREATE TABLE drafts (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    link        BYTEA NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    thread      BYTEA,
    urgency     TEXT COLLATE "C" NOT NULL,
    writer      TEXT COLLATE "C" NOT NULL,
    writers     TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    need        TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    digest      BYTEA NOT NULL,
    created     BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    statement   BYTEA,
    broken      TEXT COLLATE "C" NOT NULL,
    countersign TEXT COLLATE "C" NOT NULL,
    open        BIGINT NOT NULL
);
CREATE INDEX drafts_open ON drafts (open, changed, id);
CREATE INDEX drafts_state ON drafts (state, changed, id);
CREATE INDEX drafts_writer ON drafts (writer, state);

CREATE TABLE draft_bodies (
    draft  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);

-- As statement_keys are, these are kept out of backups of data.
CREATE TABLE draft_keys (
    draft   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    wrapped BYTEA NOT NULL
);

CREATE TABLE draft_files (
    draft    TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    blob     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (draft, position)
);
CREATE INDEX draft_files_blob ON draft_files (blob);

CREATE TABLE reviews (
    id      BIGINT NOT NULL PRIMARY KEY,
    draft   TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    who     TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    note    TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX reviews_draft ON reviews (draft, id);
