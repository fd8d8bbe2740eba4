package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/statement"
)

const (
	requestColumns = `thread, link, number, kind, requesting, requested, ours, urgency, status, received, changed, quiet, tally`
	dueColumns     = `thread, step, link, owes, ours, desk, urgency, since, at, escalate`
)

func scanRequest(r rows, q *assistance.Row) error {
	var counted []byte
	err := r.Scan(fixed{q.Thread[:]}, fixed{q.Link[:]}, &q.Number, &q.Kind, fixed{q.Requesting[:]}, fixed{q.Requested[:]}, flag{&q.Ours}, &q.Urgency,
		(*string)(&q.Status), &q.Received, &q.Changed, flag{&q.Quiet}, loose{&counted})
	if err != nil || len(counted) == 0 { // a row that was folded before there were reports has none
		return err
	}
	return envelope.Unmarshal(counted, &q.Tally)
}

func dueDest(d *assistance.Due) []any {
	return []any{fixed{d.Thread[:]}, &d.Step, fixed{d.Link[:]}, fixed{d.By[:]}, flag{&d.Ours}, &d.Desk, &d.Urgency, &d.From, &d.At, &d.Escalate}
}

func scanDueRow(r rows, o *assistance.DueRow) error {
	return r.Scan(append(dueDest(&o.Due), &o.Number, &o.Kind, (*string)(&o.Status), flag{&o.Quiet})...)
}

// PutRequest implements assistance.Tx.
func (t *tx) PutRequest(ctx context.Context, r assistance.Row, clocks []assistance.Due) error {
	counted, err := envelope.Marshal(r.Tally)
	if err != nil {
		return err
	}
	err = t.write(ctx, `INSERT INTO requests (`+requestColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (thread) DO UPDATE SET link = excluded.link, number = excluded.number, kind = excluded.kind,
			requesting = excluded.requesting, requested = excluded.requested, ours = excluded.ours, urgency = excluded.urgency, status = excluded.status,
			received = excluded.received, changed = excluded.changed, quiet = excluded.quiet, tally = excluded.tally`,
		r.Thread[:], r.Link[:], r.Number, r.Kind, r.Requesting[:], r.Requested[:], bit(r.Ours), r.Urgency, string(r.Status), r.Received, r.Changed, bit(r.Quiet), counted)
	if err != nil {
		return err
	}
	if err := t.write(ctx, `DELETE FROM dues WHERE thread = $1`, r.Thread[:]); err != nil {
		return err
	}
	values := make([][]any, len(clocks))
	for i := range clocks {
		d := &clocks[i]
		values[i] = []any{r.Thread[:], d.Step, r.Link[:], d.By[:], bit(d.Ours), d.Desk, d.Urgency, d.From, d.At, d.Escalate}
	}
	return t.insert(ctx, `INSERT INTO dues (`+dueColumns+`)`, ``, nil, values)
}

// Request implements assistance.Tx.
func (t *tx) Request(ctx context.Context, thread statement.Commitment) (assistance.Row, error) {
	return one(ctx, t, "request", scanRequest, `SELECT `+requestColumns+` FROM requests WHERE thread = $1`, thread[:])
}

// RequestsOf implements assistance.Tx.
func (t *tx) RequestsOf(ctx context.Context, threads []statement.Commitment) (map[statement.Commitment]assistance.Row, error) {
	found := make(map[statement.Commitment]assistance.Row, len(threads))
	err := many(threads, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var q assistance.Row
			err := scanRequest(r, &q)
			found[q.Thread] = q
			return err
		}, `SELECT `+requestColumns+` FROM requests WHERE thread IN `+in, args...)
	})
	return found, err
}

// RequestsByNumber implements assistance.Tx.
func (t *tx) RequestsByNumber(ctx context.Context, number string) ([]assistance.Row, error) {
	return list(ctx, t, scanRequest, `SELECT `+requestColumns+` FROM requests WHERE number = $1 ORDER BY received, thread`, number)
}

// conditions collects what a list is narrowed by.
type conditions struct {
	where []string
	args  []any
}

// add takes a condition with a question mark for each value.
func (c *conditions) add(condition string, values ...any) {
	for _, v := range values {
		c.args = append(c.args, v)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(c.args)), 1)
	}
	c.where = append(c.where, condition)
}

// query ends a query that begins like this, in an order, with a limit.
func (c *conditions) query(begin, order string, limit int) string {
	if len(c.where) > 0 {
		begin += ` WHERE ` + strings.Join(c.where, " AND ")
	}
	c.args = append(c.args, int64(limit))
	return begin + order + fmt.Sprintf(` LIMIT $%d`, len(c.args))
}

// Requests implements assistance.Tx.
func (t *tx) Requests(ctx context.Context, f assistance.Filter) ([]assistance.Row, error) {
	var c conditions
	if f.Link != nil {
		c.add("link = ?", f.Link[:])
	}
	if f.Status != "" {
		c.add("status = ?", string(f.Status))
	}
	if f.Ours != nil {
		c.add("ours = ?", bit(*f.Ours))
	}
	if f.After != nil {
		c.add("(received, thread) < (?, ?)", f.After.Received, f.After.Thread[:])
	}
	query := c.query(`SELECT `+requestColumns+` FROM requests`, ` ORDER BY received DESC, thread DESC`, f.Limit)
	return list(ctx, t, scanRequest, query, c.args...)
}

// RequestsWithin implements assistance.Tx.
func (t *tx) RequestsWithin(ctx context.Context, s assistance.Span) ([]assistance.Row, error) {
	return list(ctx, t, scanRequest, `SELECT `+requestColumns+` FROM requests
		WHERE link = $1 AND received >= $2 AND received < $3 AND (received, thread) > ($4, $5) ORDER BY received, thread LIMIT $6`,
		s.Link[:], s.From, s.To, s.AfterReceived, s.AfterThread[:], int64(s.Limit))
}

// Dues implements assistance.Tx. The clocks are taken in their order first, so that no more requests are looked up than are listed.
func (t *tx) Dues(ctx context.Context, f assistance.DueFilter) ([]assistance.DueRow, error) {
	var c conditions
	if f.Ours != nil {
		c.add("ours = ?", bit(*f.Ours))
	}
	if f.Desk != "" {
		c.add("desk = ?", f.Desk)
	}
	if f.Until != 0 {
		c.add("at <= ?", f.Until)
	}
	query := `SELECT taken.*, r.number, r.kind, r.status, r.quiet FROM (` +
		c.query(`SELECT `+dueColumns+` FROM dues`, ` ORDER BY at, thread, step`, f.Limit) +
		`) taken JOIN requests r ON r.thread = taken.thread ORDER BY taken.at, taken.thread, taken.step`
	return list(ctx, t, scanDueRow, query, c.args...)
}

// DuesOf implements assistance.Tx.
func (t *tx) DuesOf(ctx context.Context, threads []statement.Commitment) (map[statement.Commitment][]assistance.Due, error) {
	found := make(map[statement.Commitment][]assistance.Due, len(threads))
	err := many(threads, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var d assistance.Due
			err := r.Scan(dueDest(&d)...)
			found[d.Thread] = append(found[d.Thread], d)
			return err
		}, `SELECT `+dueColumns+` FROM dues WHERE thread IN `+in+` ORDER BY at, step`, args...)
	})
	return found, err
}

// LastNumber implements assistance.Tx.
func (t *tx) LastNumber(ctx context.Context, series string) (int64, error) {
	var last int64
	err := each(ctx, t, func(r rows) error { return r.Scan(&last) }, `SELECT last FROM numbers WHERE series = $1`, series)
	return last, err
}

// TakeNumber implements assistance.Tx.
func (t *tx) TakeNumber(ctx context.Context, series string, n int64) error {
	taken := conflict("number_taken", "This number was taken meanwhile.")
	if n == 1 {
		return t.writeOr(ctx, taken, `INSERT INTO numbers (series, last) VALUES ($1, 1) ON CONFLICT (series) DO NOTHING`, series)
	}
	return t.writeOr(ctx, taken, `UPDATE numbers SET last = $2 WHERE series = $1 AND last = $2 - 1`, series, n)
}

func scanAsking(r rows, a *assistance.Asking) error {
	return r.Scan(fixed{a.Mark[:]}, fixed{a.Thread[:]}, &a.Number, &a.At)
}

// PutAsked implements assistance.Tx.
func (t *tx) PutAsked(ctx context.Context, list ...assistance.Asking) error {
	values := make([][]any, len(list))
	for i := range list {
		a := &list[i]
		values[i] = []any{a.Mark[:], a.Thread[:], a.Number, a.At}
	}
	return t.insert(ctx, `INSERT INTO asked (mark, thread, number, at)`, ` ON CONFLICT (mark, at, thread) DO NOTHING`, nil, values)
}

// Asked implements assistance.Tx.
func (t *tx) Asked(ctx context.Context, mark envelope.Hash, limit int) ([]assistance.Asking, error) {
	return list(ctx, t, scanAsking, `SELECT mark, thread, number, at FROM asked WHERE mark = $1 ORDER BY at DESC, thread DESC LIMIT $2`, mark[:], int64(limit))
}

// Askings implements assistance.Tx.
func (t *tx) Askings(ctx context.Context, f func(assistance.Asking) error) error {
	return each(ctx, t, func(r rows) error {
		var a assistance.Asking
		if err := scanAsking(r, &a); err != nil {
			return err
		}
		return f(a)
	}, `SELECT mark, thread, number, at FROM asked WHERE EXISTS (SELECT 1 FROM statements s WHERE s.commitment = asked.thread) ORDER BY mark, at, thread`)
}
