package sqlstore

import (
	"context"

	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/statement"
)

const (
	obligationColumns = `thread, source, duty, owes, link, since, ends, state, proof, formal`
	holdColumns       = `thread, link, reason, who, at`
)

// endOf is how an end is stored: none comes last.
func endOf(until int64) int64 {
	if until == 0 {
		return statement.MaxInteger
	}
	return until
}

func scanObligation(r rows, o *assistance.Obligation) error {
	err := r.Scan(fixed{o.Thread[:]}, fixed{o.Source[:]}, &o.Duty, fixed{o.By[:]}, fixed{o.Link[:]}, &o.Since, &o.Until, (*string)(&o.State), &o.Proof, &o.Formal)
	if o.Until == statement.MaxInteger {
		o.Until = 0
	}
	return err
}

// PutObligations implements assistance.ObligationTx.
func (t *tx) PutObligations(ctx context.Context, list ...assistance.Obligation) error {
	for i := range list {
		o := &list[i]
		err := t.write(ctx, `INSERT INTO obligations (`+obligationColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (thread, source, duty, owes) DO UPDATE SET link = excluded.link, since = excluded.since, ends = excluded.ends,
				state = excluded.state, proof = excluded.proof, formal = excluded.formal`,
			o.Thread[:], o.Source[:], o.Duty, o.By[:], o.Link[:], o.Since, endOf(o.Until), string(o.State), o.Proof, o.Formal)
		if err != nil {
			return err
		}
	}
	return nil
}

// ObligationsOf implements assistance.ObligationTx.
func (t *tx) ObligationsOf(ctx context.Context, thread statement.Commitment) ([]assistance.Obligation, error) {
	return list(ctx, t, scanObligation, `SELECT `+obligationColumns+` FROM obligations WHERE thread = $1 ORDER BY source, duty, owes`, thread[:])
}

// KeptFor implements assistance.ObligationTx.
func (t *tx) KeptFor(ctx context.Context, formal statement.Commitment) ([]statement.Commitment, error) {
	return list(ctx, t, func(r rows, c *statement.Commitment) error { return r.Scan(fixed{c[:]}) },
		`SELECT DISTINCT thread FROM obligations WHERE formal <> '' AND formal = $1 ORDER BY thread`, formal.String())
}

// Obligations implements assistance.ObligationTx.
func (t *tx) Obligations(ctx context.Context, f assistance.ObligationFilter) ([]assistance.Obligation, error) {
	var c conditions
	c.add("state = ?", string(f.State))
	if f.Link != nil {
		c.add("link = ?", f.Link[:])
	}
	if f.By != nil {
		c.add("owes = ?", f.By[:])
	}
	if f.Not != nil {
		c.add("owes <> ?", f.Not[:])
	}
	if f.Duty != "" {
		c.add("duty = ?", f.Duty)
	}
	if f.From != 0 {
		c.add("ends >= ?", f.From)
	}
	if f.Until != 0 {
		c.add("ends <= ?", f.Until)
	}
	if a := f.After; a != nil {
		c.add("(ends, thread, source, duty, owes) > (?, ?, ?, ?, ?)", endOf(a.Until), a.Thread[:], a.Source[:], a.Duty, a.By[:])
	}
	query := c.query(`SELECT `+obligationColumns+` FROM obligations`, ` ORDER BY ends, thread, source, duty, owes`, f.Limit)
	return list(ctx, t, scanObligation, query, c.args...)
}

// Warned implements assistance.ObligationTx.
func (t *tx) Warned(ctx context.Context, thread statement.Commitment) (end int64, days int, err error) {
	err = each(ctx, t, func(r rows) error { return r.Scan(&end, &days) }, `SELECT ends, days FROM warned WHERE thread = $1`, thread[:])
	return end, days, err
}

// SetWarned implements assistance.ObligationTx.
func (t *tx) SetWarned(ctx context.Context, thread statement.Commitment, end int64, days int) error {
	return t.write(ctx, `INSERT INTO warned (thread, ends, days) VALUES ($1, $2, $3) ON CONFLICT (thread) DO UPDATE SET ends = excluded.ends, days = excluded.days`,
		thread[:], end, int64(days))
}

func scanHold(r rows, h *exchange.Hold) error {
	return r.Scan(fixed{h.Thread[:]}, fixed{h.Link[:]}, &h.Reason, &h.Who, &h.At)
}

// PutHold implements exchange.HoldTx.
func (t *tx) PutHold(ctx context.Context, h exchange.Hold) error {
	return t.write(ctx, `INSERT INTO holds (`+holdColumns+`) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (thread) DO UPDATE SET link = excluded.link, reason = excluded.reason, who = excluded.who, at = excluded.at`,
		h.Thread[:], h.Link[:], h.Reason, h.Who, h.At)
}

// DropHold implements exchange.HoldTx.
func (t *tx) DropHold(ctx context.Context, thread statement.Commitment) error {
	return t.write(ctx, `DELETE FROM holds WHERE thread = $1`, thread[:])
}

// HoldsOf implements exchange.HoldTx.
func (t *tx) HoldsOf(ctx context.Context, threads []statement.Commitment) ([]exchange.Hold, error) {
	var found []exchange.Hold
	err := many(threads, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var h exchange.Hold
			err := scanHold(r, &h)
			found = append(found, h)
			return err
		}, `SELECT `+holdColumns+` FROM holds WHERE thread IN `+in, args...)
	})
	return found, err
}

// Holds implements exchange.HoldTx.
func (t *tx) Holds(ctx context.Context, after exchange.Hold, limit int) ([]exchange.Hold, error) {
	return list(ctx, t, scanHold, `SELECT `+holdColumns+` FROM holds WHERE (at, thread) > ($1, $2) ORDER BY at, thread LIMIT $3`,
		after.At, after.Thread[:], int64(limit))
}
