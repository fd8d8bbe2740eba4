-- What was written and has not left. ids are hexadecimal digits, writers a list with spaces; open is 1 until the draft was sent or
-- discarded, and while what left on one person's word waits for its countersignature.

-- +goose Up
CREATE TABLE drafts (
    id          TEXT NOT NULL PRIMARY KEY,
    link        BLOB NOT NULL,
    kind        TEXT NOT NULL,
    thread      BLOB,
    urgency     TEXT NOT NULL,
    writer      TEXT NOT NULL,
    writers     TEXT NOT NULL,
    state       TEXT NOT NULL,
    need        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    digest      BLOB NOT NULL,
    created     INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    statement   BLOB,
    broken      TEXT NOT NULL,
    countersign TEXT NOT NULL,
    open        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX drafts_open ON drafts (open, changed, id);
CREATE INDEX drafts_state ON drafts (state, changed, id);
CREATE INDEX drafts_writer ON drafts (writer, state);

CREATE TABLE draft_bodies (
    draft  TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- As statement_keys are, these are kept out of backups of data.
CREATE TABLE draft_keys (
    draft   TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE draft_files (
    draft    TEXT NOT NULL,
    position INTEGER NOT NULL,
    blob     TEXT NOT NULL,
    PRIMARY KEY (draft, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_files_blob ON draft_files (blob);

CREATE TABLE reviews (
    id      INTEGER NOT NULL PRIMARY KEY,
    draft   TEXT NOT NULL,
    version INTEGER NOT NULL,
    who     TEXT NOT NULL,
    verdict TEXT NOT NULL,
    note    TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reviews_draft ON reviews (draft, id);
