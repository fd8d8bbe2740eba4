package sqlstore

import (
	"context"
	"math"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"
)

const laneColumns = `link, author, epoch, lane, last, last_header, contiguous, settled, folded`

func scanLane(r rows, s *exchange.LaneState) error {
	return r.Scan(fixed{s.Link[:]}, fixed{s.Author[:]}, &s.Epoch, (*string)(&s.Lane), &s.Last, fixed{s.LastHeader[:]},
		&s.Contiguous, &s.Settled, &s.Folded)
}

// Lane implements exchange.LaneTx.
func (t *tx) Lane(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane) (exchange.LaneState, error) {
	s := exchange.LaneState{Link: link, Author: author, Epoch: epoch, Lane: lane}
	err := each(ctx, t, func(r rows) error { return scanLane(r, &s) },
		`SELECT `+laneColumns+` FROM lanes WHERE link = $1 AND author = $2 AND epoch = $3 AND lane = $4`,
		link[:], author[:], int64(epoch), string(lane))
	return s, err
}

// PutLane implements exchange.LaneTx.
func (t *tx) PutLane(ctx context.Context, s exchange.LaneState) error {
	return t.write(ctx, `
		INSERT INTO lanes (`+laneColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (link, author, epoch, lane) DO UPDATE SET last = excluded.last, last_header = excluded.last_header,
			contiguous = excluded.contiguous, settled = excluded.settled, folded = excluded.folded`,
		s.Link[:], s.Author[:], int64(s.Epoch), string(s.Lane), count(s.Last), s.LastHeader[:],
		count(s.Contiguous), count(s.Settled), count(s.Folded))
}

// LanesOf implements exchange.LaneTx.
func (t *tx) LanesOf(ctx context.Context, link statement.LinkID) ([]exchange.LaneState, error) {
	return list(ctx, t, scanLane, `SELECT `+laneColumns+` FROM lanes WHERE link = $1 ORDER BY author, epoch, lane`, link[:])
}

// count is a sequence number as the tables keep it. One beyond 2⁶³ cannot be counted up to; it is kept as the
// highest number there is, so that a comparison with it still means "above".
func count(n uint64) int64 {
	return int64(min(n, math.MaxInt64))
}

// rank orders lanes by urgency, most urgent first, as statement.Lanes does.
func rank(l statement.Lane) int64 {
	switch l {
	case statement.Control:
		return 0
	case statement.Hotline:
		return 1
	case statement.Assistance:
		return 2
	case statement.Network:
		return 3
	case statement.Accord:
		return 4
	case statement.Dialogue:
		return 5
	}
	return 6
}

// ended says that nothing more will happen to a parcel: its sealed content is no longer needed, and must not
// stay, since it could outlive the erasure of what was opened from it.
func ended(s exchange.ParcelState) bool {
	return s.Ended() || s == exchange.Granted || s == exchange.Lapsed || s == exchange.Gone
}

const parcelColumns = `id, link, author, epoch, lane, seq, file, header, text, state, reason, sent_index, got_index, got_epoch,
	seen_epoch, seen_seq, received, created, expires, stale, verdict, segments, length, blob, attempts, next_try`

func parcelDest(p *exchange.Parcel) []any {
	return []any{fixed{p.ID[:]}, fixed{p.Link[:]}, fixed{p.Author[:]}, &p.Epoch, (*string)(&p.Lane), &p.Seq, &p.File,
		fixed{p.Header[:]}, fixed{p.Text[:]}, (*string)(&p.State), &p.Reason, &p.SentIndex, &p.GotIndex, &p.GotEpoch,
		&p.SeenEpoch, &p.SeenSeq, &p.Received, &p.Created, &p.Expires, flag{&p.Stale}, &p.Verdict, &p.Segments,
		&p.Length, &p.Blob, &p.Attempts, &p.NextTry}
}

func scanParcel(r rows, p *exchange.Parcel) error { return r.Scan(parcelDest(p)...) }

func scanWhole(r rows, p *exchange.Parcel) error {
	return r.Scan(append(parcelDest(p), loose{&p.Content})...)
}

const insertParcel = `
	INSERT INTO parcels (id, link, author, epoch, lane, seq, file, header, text, state, reason, sent_index, got_index,
		seen_epoch, seen_seq, received, created, expires, stale, verdict, segments, length, blob, attempts, next_try,
		lane_rank, live, got_epoch)`

const updateParcel = `
	UPDATE parcels SET link = $2, author = $3, epoch = $4, lane = $5, seq = $6, file = $7, header = $8, text = $9,
		state = $10, reason = $11, sent_index = $12, got_index = $13, seen_epoch = $14, seen_seq = $15, received = $16,
		created = $17, expires = $18, stale = $19, verdict = $20, segments = $21, length = $22, blob = $23,
		attempts = $24, next_try = $25, lane_rank = $26, live = $27, got_epoch = $28
	WHERE id = $1`

func parcelArgs(p *exchange.Parcel) []any {
	return []any{p.ID[:], p.Link[:], p.Author[:], int64(p.Epoch), string(p.Lane), count(p.Seq), int64(p.File),
		p.Header[:], p.Text[:], string(p.State), p.Reason, p.SentIndex, p.GotIndex, int64(p.SeenEpoch), count(p.SeenSeq),
		p.Received, p.Created, p.Expires, bit(p.Stale), p.Verdict, p.Segments, p.Length, p.Blob, int64(p.Attempts),
		p.NextTry, rank(p.Lane), bit(!ended(p.State)), int64(p.GotEpoch)}
}

// PutParcels implements exchange.LaneTx. A doubled place in a lane is a conflict as a doubled ID is.
func (t *tx) PutParcels(ctx context.Context, ps ...exchange.Parcel) error {
	values := make([][]any, len(ps))
	for i := range ps {
		values[i] = parcelArgs(&ps[i])
	}
	err := t.insert(ctx, insertParcel, ` ON CONFLICT DO NOTHING`, conflict("doubled", "A parcel with this id or place is there already."), values)
	if err != nil {
		return err
	}
	return t.putContents(ctx, ps)
}

// UpdateParcels implements exchange.LaneTx.
func (t *tx) UpdateParcels(ctx context.Context, ps ...exchange.Parcel) error {
	for i := range ps {
		if err := t.writeOr(ctx, notFound("parcel"), updateParcel, parcelArgs(&ps[i])...); err != nil {
			return err
		}
	}
	return t.putContents(ctx, ps)
}

// AdvanceParcels implements exchange.LaneTx.
func (t *tx) AdvanceParcels(ctx context.Context, ps []exchange.Parcel) error {
	var over []envelope.ID
	for i := range ps {
		p := &ps[i]
		err := t.writeOr(ctx, notFound("parcel"), `UPDATE parcels SET state = $2, reason = $3, got_index = $4, received = $5, got_epoch = $8,
			stale = $6, live = $7, blob = CASE WHEN CAST($7 AS BIGINT) = 0 THEN '' ELSE blob END WHERE id = $1`,
			p.ID[:], string(p.State), p.Reason, p.GotIndex, p.Received, bit(p.Stale), bit(!ended(p.State)), int64(p.GotEpoch))
		if err != nil {
			return err
		}
		if ended(p.State) {
			over = append(over, p.ID)
		}
	}
	return t.dropContents(ctx, over)
}

// DropParcels implements exchange.LaneTx.
func (t *tx) DropParcels(ctx context.Context, ids ...envelope.ID) error {
	for i := range ids {
		for _, q := range []string{`DELETE FROM parcel_contents WHERE parcel = $1`, `DELETE FROM segments WHERE parcel = $1`, `DELETE FROM parcels WHERE id = $1`} {
			if err := t.write(ctx, q, ids[i][:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetVerdicts implements exchange.LaneTx.
func (t *tx) SetVerdicts(ctx context.Context, ps []exchange.Parcel) error {
	same := map[string][]envelope.ID{}
	for i := range ps {
		same[ps[i].Verdict] = append(same[ps[i].Verdict], ps[i].ID)
	}
	for verdict, ids := range same {
		if err := in(ctx, t, idArg, ids, notFound("parcel"), `UPDATE parcels SET verdict = $1 WHERE id IN `, verdict); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) dropContents(ctx context.Context, ids []envelope.ID) error {
	return in(ctx, t, idArg, ids, nil, `DELETE FROM parcel_contents WHERE parcel IN `)
}

func (t *tx) putContents(ctx context.Context, ps []exchange.Parcel) error {
	var over []envelope.ID
	var values [][]any
	for i := range ps {
		switch p := &ps[i]; {
		case ended(p.State):
			over = append(over, p.ID)
		case len(p.Content) > 0:
			values = append(values, []any{p.ID[:], p.Content})
		}
	}
	if err := t.dropContents(ctx, over); err != nil {
		return err
	}
	return t.insert(ctx, `INSERT INTO parcel_contents (parcel, content)`, ` ON CONFLICT (parcel) DO UPDATE SET content = excluded.content`, nil, values)
}

const wholeParcel = `SELECT ` + parcelColumns + `, c.content FROM parcels p LEFT JOIN parcel_contents c ON c.parcel = p.id `

// Parcel implements exchange.LaneTx.
func (t *tx) Parcel(ctx context.Context, id envelope.ID) (exchange.Parcel, error) {
	return one(ctx, t, "parcel", scanWhole, wholeParcel+`WHERE p.id = $1`, id[:])
}

func idArg(id *envelope.ID) any    { return id[:] }
func hashArg(h *envelope.Hash) any { return h[:] }

// ParcelsByID implements exchange.LaneTx.
func (t *tx) ParcelsByID(ctx context.Context, ids []envelope.ID) (map[envelope.ID]exchange.Parcel, error) {
	out := make(map[envelope.ID]exchange.Parcel, len(ids))
	err := many(ids, 0, idArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var p exchange.Parcel
			err := scanParcel(r, &p)
			out[p.ID] = p
			return err
		}, `SELECT `+parcelColumns+` FROM parcels WHERE id IN `+in, args...)
	})
	return out, err
}

// FilesIn implements exchange.LaneTx.
func (t *tx) FilesIn(ctx context.Context, link statement.LinkID, author party.ID, state exchange.ParcelState) (int, error) {
	count := func(r rows, n *int) error { return r.Scan(n) }
	return one(ctx, t, "count", count, `SELECT COUNT(*) FROM parcels WHERE link = $1 AND author = $2 AND state = CAST($3 AS TEXT) AND live = 1 AND file >= 0`,
		link[:], author[:], string(state))
}

// BlobsNamed implements exchange.LaneTx.
func (t *tx) BlobsNamed(ctx context.Context, blobs []string) (map[string]bool, error) {
	named := map[string]bool{}
	for _, table := range []string{"parcels", "files", "draft_files"} {
		err := many(blobs, 0, func(b *string) any { return *b }, func(in string, args []any) error {
			return each(ctx, t, func(r rows) error {
				var name string
				err := r.Scan(&name)
				named[name] = true
				return err
			}, `SELECT blob FROM `+table+` WHERE blob <> '' AND blob IN `+in, args...)
		})
		if err != nil {
			return nil, err
		}
	}
	return named, nil
}

// ParcelByHeader implements exchange.LaneTx.
func (t *tx) ParcelByHeader(ctx context.Context, header envelope.Hash) (exchange.Parcel, error) {
	return one(ctx, t, "parcel", scanWhole, wholeParcel+`WHERE p.header = $1 ORDER BY p.created LIMIT 1`, header[:])
}

// ParcelAt implements exchange.LaneTx.
func (t *tx) ParcelAt(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, seq uint64) (exchange.Parcel, error) {
	return one(ctx, t, "parcel", scanWhole, wholeParcel+`
		WHERE p.link = $1 AND p.author = $2 AND p.epoch = $3 AND p.lane = $4 AND p.seq = $5 AND p.file < 0`,
		link[:], author[:], int64(epoch), string(lane), count(seq))
}

// ParcelRun implements exchange.LaneTx.
func (t *tx) ParcelRun(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, after uint64, limit int) ([]exchange.Parcel, error) {
	return list(ctx, t, scanParcel, `SELECT `+parcelColumns+` FROM parcels
		WHERE link = $1 AND author = $2 AND epoch = $3 AND lane = $4 AND seq > $5 AND file < 0 ORDER BY seq LIMIT $6`,
		link[:], author[:], int64(epoch), string(lane), count(after), int64(limit))
}

// LastSeen implements exchange.LaneTx.
func (t *tx) LastSeen(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, upto uint64, sentBelow int64, seenEpoch uint32, seen uint64) (uint64, error) {
	var last uint64
	err := each(ctx, t, func(r rows) error { return r.Scan(&last) }, `SELECT seq FROM parcels
		WHERE link = $1 AND author = $2 AND epoch = $3 AND lane = $4 AND seq <= $5 AND file < 0 AND sent_index < $6
			AND (seen_epoch < $7 OR seen_seq <= $8) ORDER BY seq DESC LIMIT 1`,
		link[:], author[:], int64(epoch), string(lane), count(upto), sentBelow, int64(seenEpoch), count(seen))
	return last, err
}

// ParcelsIn implements exchange.LaneTx. Only parcels that have not ended are indexed by state, since those alone are
// asked for again and again; to list ended ones reads all parcels. CAST keeps SQLite from looking whether the value would fit a
// partial index by state, for which it would prepare the query anew each time.
func (t *tx) ParcelsIn(ctx context.Context, link statement.LinkID, author party.ID, state exchange.ParcelState, after exchange.Parcel, limit int) ([]exchange.Parcel, error) {
	query := `SELECT ` + parcelColumns + ` FROM parcels WHERE link = $1 AND author = $2 AND state = CAST($3 AS TEXT) AND live = 1
		AND (lane_rank, sent_index, id) > ($4, $5, $6) ORDER BY lane_rank, sent_index, id LIMIT $7`
	if ended(state) {
		query = `SELECT ` + parcelColumns + ` FROM parcels WHERE link = $1 AND author = $2 AND state = CAST($3 AS TEXT) AND live = 0
			AND (lane_rank, sent_index, id) > ($4, $5, $6) ORDER BY lane_rank, sent_index, id LIMIT $7`
	}
	from := int64(-1)
	if !after.ID.IsZero() {
		from = rank(after.Lane)
	}
	return list(ctx, t, scanParcel, query, link[:], author[:], string(state), from, after.SentIndex, after.ID[:], int64(limit))
}

// HeldParcels implements exchange.LaneTx.
func (t *tx) HeldParcels(ctx context.Context, link *statement.LinkID, self party.ID, limit int) ([]exchange.Parcel, error) {
	if link == nil {
		return list(ctx, t, scanParcel, `SELECT `+parcelColumns+` FROM parcels WHERE state = 'held' AND author <> $1 UNION ALL
			SELECT `+parcelColumns+` FROM parcels WHERE state = 'lapsed' AND author <> $1 AND file < 0 ORDER BY created DESC, id LIMIT $2`,
			self[:], int64(limit))
	}
	return list(ctx, t, scanParcel, `SELECT `+parcelColumns+` FROM parcels WHERE state = 'held' AND author <> $1 AND link = $2 UNION ALL
		SELECT `+parcelColumns+` FROM parcels WHERE state = 'lapsed' AND author <> $1 AND link = $2 AND file < 0 ORDER BY created DESC, id LIMIT $3`,
		self[:], link[:], int64(limit))
}

// LapsingParcels implements exchange.LaneTx.
func (t *tx) LapsingParcels(ctx context.Context, now int64, limit int) ([]exchange.Parcel, error) {
	return list(ctx, t, scanParcel, `SELECT `+parcelColumns+` FROM parcels WHERE state = 'held' AND expires <= $1 UNION ALL
		SELECT `+parcelColumns+` FROM parcels WHERE id IN (SELECT parcel FROM withholdings) AND state <> 'held' AND expires <= $1 LIMIT $2`,
		now, int64(limit))
}

// DueParcels implements exchange.LaneTx. The first look is at an index of times, so that a long queue that waits
// for its next try costs nothing.
func (t *tx) DueParcels(ctx context.Context, link statement.LinkID, author party.ID, now int64, limit int) ([]exchange.Parcel, error) {
	next, err := t.NextTry(ctx, link, author)
	if fault.KindOf(err) == fault.NotFound || (err == nil && next > now) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return list(ctx, t, scanWhole, wholeParcel+`
		WHERE p.link = $1 AND p.author = $2 AND p.state = 'sending' AND p.live = 1 AND p.next_try <= $3
		ORDER BY p.lane_rank, p.sent_index, p.id LIMIT $4`, link[:], author[:], now, int64(limit))
}

// NextTry implements exchange.LaneTx.
func (t *tx) NextTry(ctx context.Context, link statement.LinkID, author party.ID) (int64, error) {
	return one(ctx, t, "parcel to send", func(r rows, at *int64) error { return r.Scan(at) },
		`SELECT next_try FROM parcels WHERE link = $1 AND author = $2 AND state = 'sending' ORDER BY next_try LIMIT 1`,
		link[:], author[:])
}

// SetTries implements exchange.LaneTx.
func (t *tx) SetTries(ctx context.Context, ids []envelope.ID, attempts int, nextTry int64) error {
	return in(ctx, t, idArg, ids, nil, `UPDATE parcels SET attempts = $1, next_try = $2 WHERE id IN `, int64(attempts), nextTry)
}

// PutWithholding implements exchange.LaneTx.
func (t *tx) PutWithholding(ctx context.Context, w exchange.Withholding) error {
	return t.write(ctx, `INSERT INTO withholdings (parcel, link, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		w.Parcel[:], w.Link[:], w.Data)
}

func scanWithholding(r rows, w *exchange.Withholding) error {
	return r.Scan(fixed{w.Parcel[:]}, fixed{w.Link[:]}, loose{&w.Data})
}

// Withholding implements exchange.LaneTx.
func (t *tx) Withholding(ctx context.Context, id envelope.ID) (exchange.Withholding, error) {
	return one(ctx, t, "withholding", scanWithholding, `SELECT parcel, link, data FROM withholdings WHERE parcel = $1`, id[:])
}

// DueWithholdings implements exchange.LaneTx.
func (t *tx) DueWithholdings(ctx context.Context, link statement.LinkID, lane statement.Lane, limit int) ([]exchange.Withholding, error) {
	return list(ctx, t, scanWithholding, `SELECT w.parcel, w.link, w.data FROM withholdings w JOIN parcels p ON p.id = w.parcel
		WHERE w.link = $1 AND p.state = 'held' AND (p.lane = $2 OR $2 = '') ORDER BY p.lane_rank, p.seq LIMIT $3`,
		link[:], string(lane), int64(limit))
}

// DropWithholding implements exchange.LaneTx.
func (t *tx) DropWithholding(ctx context.Context, id envelope.ID) error {
	return t.write(ctx, `DELETE FROM withholdings WHERE parcel = $1`, id[:])
}

// PutSegment implements exchange.LaneTx.
func (t *tx) PutSegment(ctx context.Context, id envelope.ID, n int64, leafHash envelope.Hash) (bool, error) {
	touched, err := t.exec(ctx, `INSERT INTO segments (parcel, n, leaf_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		[]any{id[:], n, leafHash[:]})
	return err == nil && touched[0] == 1, err
}

// SegmentHashes implements exchange.LaneTx.
func (t *tx) SegmentHashes(ctx context.Context, id envelope.ID) (map[int64]envelope.Hash, error) {
	out := map[int64]envelope.Hash{}
	err := each(ctx, t, func(r rows) error {
		var n int64
		var h envelope.Hash
		err := r.Scan(&n, fixed{h[:]})
		out[n] = h
		return err
	}, `SELECT n, leaf_hash FROM segments WHERE parcel = $1`, id[:])
	return out, err
}

// DropSegments implements exchange.LaneTx.
func (t *tx) DropSegments(ctx context.Context, id envelope.ID) error {
	return t.write(ctx, `DELETE FROM segments WHERE parcel = $1`, id[:])
}
