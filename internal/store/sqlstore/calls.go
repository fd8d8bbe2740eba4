package sqlstore

import (
	"context"

	"entente/internal/hotline"
	"entente/statement"
)

const callColumns = `thread, link, level, kind, urgency, calling, called, ours, status, desk, request, received, since, answer_by, answered, changed`

func scanCall(r rows, c *hotline.Row) error {
	return r.Scan(fixed{c.Thread[:]}, fixed{c.Link[:]}, &c.Level, &c.Kind, &c.Urgency, fixed{c.Calling[:]}, fixed{c.Called[:]}, flag{&c.Ours}, (*string)(&c.Status),
		&c.Desk, &c.Request, &c.Received, &c.Since, &c.AnswerBy, &c.Answered, &c.Changed)
}

// PutCall implements hotline.Tx.
func (t *tx) PutCall(ctx context.Context, r hotline.Row) error {
	return t.write(ctx, `INSERT INTO calls (`+callColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (thread) DO UPDATE SET link = excluded.link, level = excluded.level, kind = excluded.kind, urgency = excluded.urgency,
			calling = excluded.calling, called = excluded.called, ours = excluded.ours, status = excluded.status, desk = excluded.desk, request = excluded.request,
			received = excluded.received, since = excluded.since, answer_by = excluded.answer_by, answered = excluded.answered, changed = excluded.changed`,
		r.Thread[:], r.Link[:], r.Level, r.Kind, r.Urgency, r.Calling[:], r.Called[:], bit(r.Ours), string(r.Status), r.Desk, r.Request, r.Received, r.Since,
		r.AnswerBy, r.Answered, r.Changed)
}

// CallOf implements hotline.Tx.
func (t *tx) CallOf(ctx context.Context, thread statement.Commitment) (hotline.Row, error) {
	return one(ctx, t, "call", scanCall, `SELECT `+callColumns+` FROM calls WHERE thread = $1`, thread[:])
}

// Calls implements hotline.Tx.
func (t *tx) Calls(ctx context.Context, f hotline.Filter) ([]hotline.Row, error) {
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
	query := c.query(`SELECT `+callColumns+` FROM calls`, ` ORDER BY received DESC, thread DESC`, f.Limit)
	return list(ctx, t, scanCall, query, c.args...)
}
