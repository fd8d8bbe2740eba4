package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/statement"
)

// PutEvidence implements exchange.LedgerTx. The same bytes of the same kind are kept once, so that a peer which
// repeats itself fills no disk; of one that always lies anew, exchange.MaxEvidence of a kind.
func (t *tx) PutEvidence(ctx context.Context, e exchange.Evidence) error {
	count := func(r rows, n *int64) error { return r.Scan(n) }
	kept, err := one(ctx, t, "count", count, `SELECT COUNT(*) FROM evidence WHERE link = $1 AND kind = $2`, e.Link[:], e.Kind)
	if err != nil || kept >= exchange.MaxEvidence {
		return err
	}
	digest := envelope.Sum(e.Data)
	return t.write(ctx, `INSERT INTO evidence (id, link, kind, at, note, data, digest)
		VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM evidence), $1, $2, $3, $4, $5, $6)
		ON CONFLICT (link, kind, digest) DO NOTHING`, e.Link[:], e.Kind, e.At, e.Note, orNull(e.Data), digest[:])
}

// Evidences implements exchange.LedgerTx, newest first.
func (t *tx) Evidences(ctx context.Context, link *statement.LinkID, limit int) ([]exchange.Evidence, error) {
	scan := func(r rows, e *exchange.Evidence) error {
		return r.Scan(fixed{e.Link[:]}, &e.Kind, &e.At, &e.Note, loose{&e.Data})
	}
	if link == nil {
		return list(ctx, t, scan, `SELECT link, kind, at, note, data FROM evidence ORDER BY id DESC LIMIT $1`, int64(limit))
	}
	return list(ctx, t, scan, `SELECT link, kind, at, note, data FROM evidence WHERE link = $1 ORDER BY id DESC LIMIT $2`,
		link[:], int64(limit))
}

// Figures implements exchange.FigureTx. Only rows that are still alive are looked at, whatever the record's size.
func (t *tx) Figures(ctx context.Context, link statement.LinkID) (exchange.Figures, error) {
	var f exchange.Figures
	l, err := t.Link(ctx, link)
	if err != nil {
		return f, err
	}
	err = each(ctx, t, func(r rows) error {
		var state string
		var ours bool
		var n, oldest int64
		if err := r.Scan(&state, flag{&ours}, &n, &oldest); err != nil {
			return err
		}
		switch s := exchange.ParcelState(state); {
		case ours && (s == exchange.Unsaid || s == exchange.Sending):
			if s == exchange.Unsaid {
				f.Unsaid = n
			} else {
				f.Sending = n
			}
			if f.OldestUnreceipted == 0 || oldest < f.OldestUnreceipted {
				f.OldestUnreceipted = oldest
			}
		case ours && s == exchange.Sent:
			f.Sent = n
		case ours && s == exchange.Held:
			f.Held = n
		case !ours && s == exchange.Held:
			f.Waiting = n
		case !ours && s == exchange.Arriving:
			f.Arriving = n
		case !ours && s == exchange.Received:
			f.Unsettled = n
		}
		return nil
	}, `SELECT state, CASE WHEN author = $2 THEN 0 ELSE 1 END AS ours, COUNT(*), MIN(created)
		FROM parcels WHERE link = $1 AND live = 1 GROUP BY 1, 2`, link[:], l.Peer[:])
	if err != nil {
		return f, err
	}
	logs, err := t.Logs(ctx, link)
	if err != nil {
		return f, err
	}
	for _, log := range logs {
		switch {
		case log.Party == l.Peer && log.Epoch == l.PeerEpoch:
			f.UncosignedPeer = log.Size - log.CosignedSize
		case log.Party != l.Peer && log.Epoch == l.OwnEpoch:
			f.UncosignedOwn = log.Size - log.CosignedSize
			f.CosignedAt = log.CosignedAt
		}
	}
	f.Gaps, err = t.gaps(ctx, l)
	return f, err
}

// gaps counts the sequence numbers of the peer's lanes that lie below the highest receipted one and were not
// receipted themselves.
func (t *tx) gaps(ctx context.Context, l exchange.Link) (int64, error) {
	var missing int64
	err := each(ctx, t, func(r rows) error { return r.Scan(&missing) }, `
		SELECT CAST(COALESCE(SUM(s.last - s.contiguous - (SELECT COUNT(*) FROM parcels p
			WHERE p.link = s.link AND p.author = s.author AND p.epoch = s.epoch AND p.lane = s.lane AND p.file < 0
			AND p.seq > s.contiguous AND p.seq <= s.last AND p.state <> 'arriving')), 0) AS BIGINT)
		FROM lanes s WHERE s.link = $1 AND s.author = $2 AND s.epoch = $3 AND s.last > s.contiguous`,
		l.ID[:], l.Peer[:], int64(l.PeerEpoch))
	return missing, err
}
