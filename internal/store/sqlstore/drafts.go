package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/member"
)

const draftColumns = `id, link, kind, thread, urgency, writers, state, need, version, digest, created, changed, statement, broken, countersign`

func scanDraft(r rows, d *member.Draft) error {
	var id string
	var thread, said []byte
	err := r.Scan(&id, fixed{d.Link[:]}, &d.Kind, loose{&thread}, &d.Urgency, spaced[string]{&d.Writers}, (*string)(&d.State), &d.Need, &d.Version,
		fixed{d.Digest[:]}, &d.Created, &d.Changed, loose{&said}, &d.BrokenGlass, &d.Countersign)
	if err != nil {
		return err
	}
	d.Thread, d.Statement = hashOf(thread), hashOf(said)
	return d.ID.UnmarshalText([]byte(id))
}

// hashOf is a hash that may be missing.
func hashOf(data []byte) *envelope.Hash {
	if len(data) != len(envelope.Hash{}) {
		return nil
	}
	h := envelope.Hash(data)
	return &h
}

func bytesOf(h *envelope.Hash) any {
	if h == nil {
		return nil
	}
	return h[:]
}

// PutDraft implements member.DraftTx.
func (t *tx) PutDraft(ctx context.Context, d member.Draft) error {
	open := d.Open() || d.BrokenGlass != "" && d.Countersign == ""
	writer := ""
	if len(d.Writers) > 0 {
		writer = d.Writers[0]
	}
	return t.write(ctx, `INSERT INTO drafts (`+draftColumns+`, writer, open) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (id) DO UPDATE SET urgency = excluded.urgency, writers = excluded.writers, state = excluded.state, need = excluded.need,
			version = excluded.version, digest = excluded.digest, changed = excluded.changed, statement = excluded.statement,
			broken = excluded.broken, countersign = excluded.countersign, open = excluded.open`,
		d.ID.String(), d.Link[:], d.Kind, bytesOf(d.Thread), d.Urgency, joined(d.Writers), string(d.State), d.Need, d.Version, d.Digest[:], d.Created,
		d.Changed, bytesOf(d.Statement), d.BrokenGlass, d.Countersign, writer, bit(open))
}

// Draft implements member.DraftTx.
func (t *tx) Draft(ctx context.Context, prefix string) ([]member.Draft, error) {
	return list(ctx, t, scanDraft, `SELECT `+draftColumns+` FROM drafts WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT 2`, prefix, prefix+"g")
}

// Drafts implements member.DraftTx.
func (t *tx) Drafts(ctx context.Context, f member.DraftFilter) ([]member.Draft, error) {
	var c conditions
	if f.State == "" {
		c.add("open = ?", int64(1))
		if f.Alone {
			c.add("broken <> ?", "")
		}
	} else {
		c.add("state = ?", string(f.State))
	}
	if f.After != nil {
		c.add("(changed, id) < (?, ?)", f.After.Changed, f.After.ID.String())
	}
	query := c.query(`SELECT `+draftColumns+` FROM drafts`, ` ORDER BY changed DESC, id DESC`, f.Limit)
	return list(ctx, t, scanDraft, query, c.args...)
}

// OpenDrafts implements member.DraftTx.
func (t *tx) OpenDrafts(ctx context.Context, writer string) (int, error) {
	return one(ctx, t, "count", func(r rows, n *int) error { return r.Scan(n) },
		`SELECT COUNT(*) FROM drafts WHERE writer = $1 AND state IN ('incomplete', 'ready', 'waiting', 'refused')`, writer)
}

// PutReview implements member.DraftTx.
func (t *tx) PutReview(ctx context.Context, v member.Review) error {
	last, err := one(ctx, t, "review", func(r rows, n *int64) error { return r.Scan(n) }, `SELECT COALESCE(MAX(id), 0) FROM reviews`)
	if err != nil {
		return err
	}
	return t.write(ctx, `INSERT INTO reviews (id, draft, version, who, verdict, note, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		last+1, v.Draft.String(), v.Version, v.Who, string(v.Verdict), v.Note, v.At)
}

// Reviews implements member.DraftTx.
func (t *tx) Reviews(ctx context.Context, draft envelope.ID) ([]member.Review, error) {
	return list(ctx, t, func(r rows, v *member.Review) error {
		v.Draft = draft
		return r.Scan(&v.Version, &v.Who, (*string)(&v.Verdict), &v.Note, &v.At)
	}, `SELECT version, who, verdict, note, at FROM reviews WHERE draft = $1 ORDER BY id`, draft.String())
}

// PutDraftBody implements member.DraftTx.
func (t *tx) PutDraftBody(ctx context.Context, id envelope.ID, sealed, key []byte, blobs []string) error {
	err := t.write(ctx, `INSERT INTO draft_bodies (draft, sealed) VALUES ($1, $2) ON CONFLICT (draft) DO UPDATE SET sealed = excluded.sealed`, id.String(), sealed)
	if err != nil {
		return err
	}
	if err := t.write(ctx, `INSERT INTO draft_keys (draft, wrapped) VALUES ($1, $2) ON CONFLICT (draft) DO UPDATE SET wrapped = excluded.wrapped`, id.String(), key); err != nil {
		return err
	}
	for position, blob := range blobs {
		if err := t.write(ctx, `INSERT INTO draft_files (draft, position, blob) VALUES ($1, $2, $3) ON CONFLICT (draft, position) DO UPDATE SET blob = excluded.blob`,
			id.String(), int64(position), blob); err != nil {
			return err
		}
	}
	return nil
}

// DraftBody implements member.DraftTx.
func (t *tx) DraftBody(ctx context.Context, id envelope.ID) (sealed, key []byte, err error) {
	type body struct{ sealed, key []byte }
	b, err := one(ctx, t, "draft's words", func(r rows, b *body) error { return r.Scan(loose{&b.sealed}, loose{&b.key}) },
		`SELECT b.sealed, k.wrapped FROM draft_bodies b JOIN draft_keys k ON k.draft = b.draft WHERE b.draft = $1`, id.String())
	return b.sealed, b.key, err
}

// DropDraftBody implements member.DraftTx.
func (t *tx) DropDraftBody(ctx context.Context, id envelope.ID) ([]string, error) {
	blobs, err := list(ctx, t, func(r rows, name *string) error { return r.Scan(name) }, `SELECT blob FROM draft_files WHERE draft = $1 ORDER BY position`, id.String())
	if err != nil {
		return nil, err
	}
	t.erased = true
	for _, from := range []string{`draft_keys`, `draft_bodies`, `draft_files`} {
		if err := t.write(ctx, `DELETE FROM `+from+` WHERE draft = $1`, id.String()); err != nil {
			return nil, err
		}
	}
	return blobs, nil
}
