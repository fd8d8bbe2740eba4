package sqlstore

import (
	"context"

	"entente/internal/assistance"
	"entente/internal/notice"
)

const (
	hookColumns     = `id, url, types, private, ca, note, created, secret, former, former_until, failures, failing, next_try, code, disabled, why`
	deliveryColumns = `hook, id, type, body, state, created, attempts, next_try, ended, status, code`
)

func scanHook(r rows, h *notice.Hook) error {
	return r.Scan(&h.ID, &h.URL, spaced[string]{&h.Types}, flag{&h.Private}, loose{&h.CA}, &h.Note, &h.Created, loose{&h.Secret}, loose{&h.Former},
		&h.FormerUntil, &h.Failures, &h.Failing, &h.Next, &h.Code, &h.Disabled, &h.Why)
}

func scanDelivery(r rows, d *notice.Delivery) error {
	return r.Scan(&d.Hook, &d.ID, &d.Type, loose{&d.Body}, (*string)(&d.State), &d.Created, &d.Attempts, &d.Next, &d.Ended, &d.Status, &d.Code)
}

// PutHook implements notice.Tx.
func (t *tx) PutHook(ctx context.Context, h notice.Hook) error {
	return t.write(ctx, `INSERT INTO webhooks (`+hookColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (id) DO UPDATE SET url = excluded.url, types = excluded.types, private = excluded.private, ca = excluded.ca, note = excluded.note,
			created = excluded.created, secret = excluded.secret, former = excluded.former, former_until = excluded.former_until,
			failures = excluded.failures, failing = excluded.failing, next_try = excluded.next_try, code = excluded.code,
			disabled = excluded.disabled, why = excluded.why`,
		h.ID, h.URL, joined(h.Types), bit(h.Private), orNull(h.CA), h.Note, h.Created, h.Secret, orNull(h.Former), h.FormerUntil,
		int64(h.Failures), h.Failing, h.Next, h.Code, h.Disabled, h.Why)
}

// Hook implements notice.Tx.
func (t *tx) Hook(ctx context.Context, id string) (notice.Hook, error) {
	return one(ctx, t, "webhook", scanHook, `SELECT `+hookColumns+` FROM webhooks WHERE id = $1`, id)
}

// Hooks implements notice.Tx.
func (t *tx) Hooks(ctx context.Context) ([]notice.Hook, error) {
	return list(ctx, t, scanHook, `SELECT `+hookColumns+` FROM webhooks ORDER BY created, id`)
}

// DropHook implements notice.Tx.
func (t *tx) DropHook(ctx context.Context, id string) error {
	if err := t.write(ctx, `DELETE FROM deliveries WHERE hook = $1`, id); err != nil {
		return err
	}
	return t.write(ctx, `DELETE FROM webhooks WHERE id = $1`, id)
}

// AddDeliveries implements notice.Tx.
func (t *tx) AddDeliveries(ctx context.Context, ds ...notice.Delivery) error {
	values := make([][]any, len(ds))
	for i, d := range ds {
		values[i] = []any{d.Hook, d.ID, d.Type, d.Body, string(d.State), d.Created, int64(d.Attempts), d.Next, d.Ended, int64(d.Status), d.Code}
	}
	return t.insert(ctx, `INSERT INTO deliveries (`+deliveryColumns+`)`, ` ON CONFLICT (hook, id) DO NOTHING`, nil, values)
}

// SetDelivery implements notice.Tx.
func (t *tx) SetDelivery(ctx context.Context, d notice.Delivery) error {
	return t.write(ctx, `UPDATE deliveries SET state = $3, attempts = $4, next_try = $5, ended = $6, status = $7, code = $8 WHERE hook = $1 AND id = $2`,
		d.Hook, d.ID, string(d.State), int64(d.Attempts), d.Next, d.Ended, int64(d.Status), d.Code)
}

// Delivery implements notice.Tx.
func (t *tx) Delivery(ctx context.Context, hook, id string) (notice.Delivery, error) {
	return one(ctx, t, "delivery", scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries WHERE hook = $1 AND id = $2`, hook, id)
}

// Deliveries implements notice.Tx.
func (t *tx) Deliveries(ctx context.Context, f notice.Filter) ([]notice.Delivery, error) {
	var c conditions
	c.add("hook = ?", f.Hook)
	if f.State != "" {
		c.add("state = ?", string(f.State))
	}
	if f.Before != 0 {
		c.add("created < ?", f.Before)
	}
	query := c.query(`SELECT `+deliveryColumns+` FROM deliveries`, ` ORDER BY created DESC, id DESC`, f.Limit)
	return list(ctx, t, scanDelivery, query, c.args...)
}

// ReadyDeliveries implements notice.Tx.
func (t *tx) ReadyDeliveries(ctx context.Context, hook string, now int64, limit int) ([]notice.Delivery, error) {
	return list(ctx, t, scanDelivery, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE hook = $1 AND state = 'waiting' AND next_try <= $2 ORDER BY created, id LIMIT $3`, hook, now, int64(limit))
}

// GiveUpDeliveries implements notice.Tx.
func (t *tx) GiveUpDeliveries(ctx context.Context, hook string, but int, code string, now int64) error {
	return t.write(ctx, `UPDATE deliveries SET state = 'given_up', code = $3, ended = $4 WHERE hook = $1 AND state = 'waiting' AND id NOT IN (
		SELECT id FROM deliveries WHERE hook = $1 AND state = 'waiting' ORDER BY created DESC, id DESC LIMIT $2)`, hook, int64(but), code, now)
}

// ReviveDeliveries implements notice.Tx.
func (t *tx) ReviveDeliveries(ctx context.Context, hook string, now int64) error {
	return t.write(ctx, `UPDATE deliveries SET state = 'waiting', attempts = 0, ended = 0, next_try = $2 WHERE hook = $1 AND state = 'given_up'`, hook, now)
}

// DropDeliveries implements notice.Tx.
func (t *tx) DropDeliveries(ctx context.Context, hook string, before int64, but int) error {
	return t.write(ctx, `DELETE FROM deliveries WHERE hook = $1 AND state <> 'waiting' AND (ended < $2 OR id NOT IN (
		SELECT id FROM deliveries WHERE hook = $1 AND state <> 'waiting' ORDER BY created DESC, id DESC LIMIT $3))`, hook, before, int64(but))
}

// Fallen implements assistance.Tx.
func (t *tx) Fallen(ctx context.Context, from, until int64, limit int) ([]assistance.Due, error) {
	return list(ctx, t, func(r rows, d *assistance.Due) error { return r.Scan(dueDest(d)...) }, `SELECT `+dueColumns+` FROM dues WHERE at > $1 AND at <= $2
		AND NOT EXISTS (SELECT 1 FROM told WHERE told.thread = dues.thread AND told.step = dues.step AND told.at = dues.at)
		ORDER BY at, thread, step LIMIT $3`, from, until, int64(limit))
}

// SetTold implements assistance.Tx.
func (t *tx) SetTold(ctx context.Context, ds ...assistance.Due) error {
	values := make([][]any, len(ds))
	for i, d := range ds {
		values[i] = []any{hashArg(&ds[i].Thread), d.Step, d.At}
	}
	return t.insert(ctx, `INSERT INTO told (thread, step, at)`, ` ON CONFLICT (thread, step) DO UPDATE SET at = excluded.at`, nil, values)
}

// DropTold implements assistance.Tx.
func (t *tx) DropTold(ctx context.Context, before int64) error {
	return t.write(ctx, `DELETE FROM told WHERE at < $1`, before)
}
