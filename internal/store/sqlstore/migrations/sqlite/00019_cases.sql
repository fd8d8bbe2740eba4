-- Our own cases, all of them local. ids are hexadecimal digits; what people wrote is sealed under the key of its case. due is the
-- largest integer where a task has no date.

-- +goose Up
CREATE TABLE cases (
    id      TEXT NOT NULL PRIMARY KEY,
    number  TEXT NOT NULL UNIQUE,
    state   TEXT NOT NULL,
    opened  INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    sealed  BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_changed ON cases (changed, id);
CREATE INDEX cases_state ON cases (state, changed, id);

CREATE TABLE case_entries (
    case_id TEXT NOT NULL,
    n       INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    due     INTEGER NOT NULL,
    done    INTEGER NOT NULL,
    done_by TEXT NOT NULL,
    thread  BLOB,
    link    BLOB,
    sealed  BLOB,
    PRIMARY KEY (case_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_entries_due ON case_entries (due, case_id, n) WHERE kind = 'task' AND done = 0;
CREATE INDEX case_entries_threads ON case_entries (case_id, n) WHERE kind = 'thread';
CREATE INDEX case_entries_thread ON case_entries (thread) WHERE kind = 'thread';

-- As statement_keys are, these are kept out of backups of data.
CREATE TABLE case_keys (
    case_id TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
