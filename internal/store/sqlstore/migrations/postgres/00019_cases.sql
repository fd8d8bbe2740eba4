-- Our own cases, all of them local. ids are hexadecimal digits; what people wrote is sealed under the key of its case. due is the
-- largest integer where a task has no date.

-- +goose Up
CREATE TABLE cases (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number  TEXT COLLATE "C" NOT NULL UNIQUE,
    state   TEXT COLLATE "C" NOT NULL,
    opened  BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    threads BIGINT NOT NULL,
    sealed  BYTEA
);
CREATE INDEX cases_changed ON cases (changed, id);
CREATE INDEX cases_state ON cases (state, changed, id);

CREATE TABLE case_entries (
    case_id TEXT COLLATE "C" NOT NULL,
    n       BIGINT NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,
    who     TEXT COLLATE "C" NOT NULL,
    due     BIGINT NOT NULL,
    done    BIGINT NOT NULL,
    done_by TEXT COLLATE "C" NOT NULL,
    thread  BYTEA,
    link    BYTEA,
    sealed  BYTEA,
    PRIMARY KEY (case_id, n)
);
CREATE INDEX case_entries_due ON case_entries (due, case_id, n) WHERE kind = 'task' AND done = 0;
CREATE INDEX case_entries_threads ON case_entries (case_id, n) WHERE kind = 'thread';
CREATE INDEX case_entries_thread ON case_entries (thread) WHERE kind = 'thread';

-- As statement_keys are, these are kept out of backups of data.
CREATE TABLE case_keys (
    case_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    wrapped BYTEA NOT NULL
);
