package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/member"
)

const replayColumns = `id, created, fingerprint, status, media, tag, sealed, wrapped`

// PutReplay implements member.ReplayTx.
func (t *tx) PutReplay(ctx context.Context, r member.Replay) error {
	return t.write(ctx, `INSERT INTO replays (`+replayColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET created = excluded.created, fingerprint = excluded.fingerprint, status = excluded.status,
			media = excluded.media, tag = excluded.tag, sealed = excluded.sealed, wrapped = excluded.wrapped`,
		r.ID[:], r.Created, bytesOf(r.Fingerprint), int64(r.Status), r.Media, r.Tag, orNull(r.Sealed), orNull(r.Key))
}

// Replay implements member.ReplayTx.
func (t *tx) Replay(ctx context.Context, id envelope.Hash) (member.Replay, error) {
	return one(ctx, t, "answer", func(r rows, a *member.Replay) error {
		var fingerprint []byte
		err := r.Scan(fixed{a.ID[:]}, &a.Created, loose{&fingerprint}, &a.Status, &a.Media, &a.Tag, loose{&a.Sealed}, loose{&a.Key})
		a.Fingerprint = hashOf(fingerprint)
		return err
	}, `SELECT `+replayColumns+` FROM replays WHERE id = $1`, id[:])
}

// DropReplay implements member.ReplayTx.
func (t *tx) DropReplay(ctx context.Context, id envelope.Hash) error {
	return t.write(ctx, `DELETE FROM replays WHERE id = $1`, id[:])
}

// DropReplays implements member.ReplayTx.
func (t *tx) DropReplays(ctx context.Context, before int64) error {
	return t.write(ctx, `DELETE FROM replays WHERE created < $1`, before)
}
