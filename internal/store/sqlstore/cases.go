package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/casefile"
	"entente/statement"
)

const (
	caseColumns  = `id, number, state, opened, changed, entries, threads, sealed`
	entryColumns = `case_id, n, kind, at, who, due, done, done_by, thread, link, sealed`
)

func scanCase(r rows, c *casefile.Case) error {
	var id string
	if err := r.Scan(&id, &c.Number, (*string)(&c.State), &c.Opened, &c.Changed, &c.Entries, &c.Threads, loose{&c.Sealed}); err != nil {
		return err
	}
	return c.ID.UnmarshalText([]byte(id))
}

func scanCaseEntry(r rows, e *casefile.Entry) error {
	var id string
	var thread, link []byte
	if err := r.Scan(&id, &e.N, (*string)(&e.Kind), &e.At, &e.Who, &e.Due, &e.Done, &e.DoneBy, loose{&thread}, loose{&link}, loose{&e.Sealed}); err != nil {
		return err
	}
	if e.Due == statement.MaxInteger {
		e.Due = 0
	}
	copy(e.Thread[:], thread)
	copy(e.Link[:], link)
	return e.Case.UnmarshalText([]byte(id))
}

// PutCase implements casefile.Tx.
func (t *tx) PutCase(ctx context.Context, c casefile.Case) error {
	return t.write(ctx, `INSERT INTO cases (`+caseColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed = excluded.changed, entries = excluded.entries, threads = excluded.threads,
			sealed = excluded.sealed`,
		c.ID.String(), c.Number, string(c.State), c.Opened, c.Changed, c.Entries, c.Threads, orNull(c.Sealed))
}

// Case implements casefile.Tx.
func (t *tx) Case(ctx context.Context, number string) (casefile.Case, error) {
	return one(ctx, t, "case", scanCase, `SELECT `+caseColumns+` FROM cases WHERE number = $1`, number)
}

// CaseByID implements casefile.Tx.
func (t *tx) CaseByID(ctx context.Context, id envelope.ID) (casefile.Case, error) {
	return one(ctx, t, "case", scanCase, `SELECT `+caseColumns+` FROM cases WHERE id = $1`, id.String())
}

// Cases implements casefile.Tx.
func (t *tx) Cases(ctx context.Context, f casefile.Filter) ([]casefile.Case, error) {
	var c conditions
	if f.State != "" {
		c.add("state = ?", string(f.State))
	}
	if f.Before != 0 {
		c.add("changed < ?", f.Before)
	}
	query := c.query(`SELECT `+caseColumns+` FROM cases`, ` ORDER BY changed DESC, id DESC`, f.Limit)
	return list(ctx, t, scanCase, query, c.args...)
}

// PutCaseKey implements casefile.Tx.
func (t *tx) PutCaseKey(ctx context.Context, id envelope.ID, wrapped []byte) error {
	return t.write(ctx, `INSERT INTO case_keys (case_id, wrapped) VALUES ($1, $2)`, id.String(), wrapped)
}

// CaseKey implements casefile.Tx.
func (t *tx) CaseKey(ctx context.Context, id envelope.ID) ([]byte, error) {
	return one(ctx, t, "key of the case", func(r rows, key *[]byte) error { return r.Scan(loose{key}) }, `SELECT wrapped FROM case_keys WHERE case_id = $1`, id.String())
}

// EraseCase implements casefile.Tx.
func (t *tx) EraseCase(ctx context.Context, id envelope.ID) error {
	t.erased = true
	for _, from := range []string{`case_keys`, `case_entries`} {
		if err := t.write(ctx, `DELETE FROM `+from+` WHERE case_id = $1`, id.String()); err != nil {
			return err
		}
	}
	return nil
}

// PutEntry implements casefile.Tx.
func (t *tx) PutEntry(ctx context.Context, e casefile.Entry) error {
	var thread, link any
	if e.Kind == casefile.Thread {
		thread, link = e.Thread[:], e.Link[:]
	}
	return t.write(ctx, `INSERT INTO case_entries (`+entryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (case_id, n) DO UPDATE SET done = excluded.done, done_by = excluded.done_by`,
		e.Case.String(), e.N, string(e.Kind), e.At, e.Who, endOf(e.Due), e.Done, e.DoneBy, thread, link, orNull(e.Sealed))
}

// Entry implements casefile.Tx.
func (t *tx) Entry(ctx context.Context, id envelope.ID, n int64) (casefile.Entry, error) {
	return one(ctx, t, "entry", scanCaseEntry, `SELECT `+entryColumns+` FROM case_entries WHERE case_id = $1 AND n = $2`, id.String(), n)
}

// CaseEntries implements casefile.Tx.
func (t *tx) CaseEntries(ctx context.Context, id envelope.ID, before int64, limit int) ([]casefile.Entry, error) {
	var c conditions
	c.add("case_id = ?", id.String())
	if before != 0 {
		c.add("n < ?", before)
	}
	query := c.query(`SELECT `+entryColumns+` FROM case_entries`, ` ORDER BY n DESC`, limit)
	return list(ctx, t, scanCaseEntry, query, c.args...)
}

// Threads implements casefile.Tx.
func (t *tx) Threads(ctx context.Context, id envelope.ID) ([]casefile.Entry, error) {
	return list(ctx, t, scanCaseEntry, `SELECT `+entryColumns+` FROM case_entries WHERE case_id = $1 AND kind = 'thread' ORDER BY n`, id.String())
}

// Tasks implements casefile.Tx.
func (t *tx) Tasks(ctx context.Context, f casefile.TaskFilter) ([]casefile.Entry, error) {
	until, after := endOf(f.Until), casefile.Entry{Due: -1, N: -1}
	if f.After != nil {
		after = *f.After
		after.Due = endOf(after.Due)
	}
	if f.Until != 0 {
		until = min(until, statement.MaxInteger-1)
	}
	return list(ctx, t, scanCaseEntry, `SELECT `+entryColumns+` FROM case_entries WHERE kind = 'task' AND done = 0 AND due <= $1
		AND (due, case_id, n) > ($2, $3, $4) ORDER BY due, case_id, n LIMIT $5`, until, after.Due, after.Case.String(), after.N, int64(f.Limit))
}

// CasesOf implements casefile.Tx.
func (t *tx) CasesOf(ctx context.Context, thread statement.Commitment) ([]string, error) {
	return list(ctx, t, func(r rows, number *string) error { return r.Scan(number) },
		`SELECT c.number FROM case_entries e JOIN cases c ON c.id = e.case_id WHERE e.kind = 'thread' AND e.thread = $1 ORDER BY c.number`, thread[:])
}
