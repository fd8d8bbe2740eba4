package flow

import (
	"context"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
)

// takeItems is the transaction that takes statements back, and ends those whose content nobody holds any more.
func (in *intake) takeItems(ctx context.Context, items []*givenStatement, absent []envelope.Hash) error {
	var t *takingBack
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		l, err := tx.Link(ctx, in.l.ID)
		if err != nil || l.Catching == exchange.CaughtUp {
			t = &takingBack{}
			return err
		}
		b, err := openBook(ctx, tx, l.ID, in.h.self, l.OwnEpoch)
		if err != nil {
			return err
		}
		t = &takingBack{in: in, accepting: &accepting{h: in.h, tx: tx, l: l, book: b, push: true, lanes: map[laneKey]*arrivalLane{}}}
		for _, s := range items {
			if err := t.item(ctx, s); err != nil {
				return err
			}
		}
		for _, header := range absent {
			if err := t.gone(ctx, header); err != nil {
				return err
			}
		}
		return t.close(ctx)
	})
	if err != nil {
		return err
	}
	for _, blob := range t.blobs {
		in.h.drop(ctx, blob)
	}
	return in.h.signOurs(ctx, in.l.ID, t.ours)
}

// takingBack is the state of that transaction.
type takingBack struct {
	*accepting
	in    *intake
	blobs []string // of parcels of ours that have come to their end
	ours  []*ourReceipt
}

// item takes one statement back: its row, the receipts that it got, and what it says.
func (t *takingBack) item(ctx context.Context, s *givenStatement) error {
	hd := s.header
	row, known, err := t.row(ctx, s)
	if err != nil || row == nil {
		return err
	}
	if known && row.State.Settled() && row.Received != 0 {
		if err := t.recall(ctx, s, row); err != nil {
			return err
		}
		return t.remind(ctx, s)
	}
	old := row.State
	if err := t.receipts(ctx, s, row); err != nil {
		return err
	}
	if s.content != nil || s.bare != nil {
		if row.State == exchange.Received && row.Author == t.l.Peer && row.Received != 0 { // receipted by us, and lost before it was opened
			if err := t.open(ctx, s, row); err != nil {
				return err
			}
		}
		if row.State == exchange.Opened {
			if err := t.said(ctx, s, row); err != nil {
				return err
			}
		}
	}
	if row.State == exchange.Arriving { // nothing was receipted: it comes by itself
		return nil
	}
	if row.State == exchange.Opened || row.State == exchange.Rejected || row.State == exchange.Refused {
		if row.Blob != "" {
			t.blobs = append(t.blobs, row.Blob)
		}
		row.Content, row.Blob = nil, ""
	}
	t.documents = append(t.documents, exchange.Document{Hash: s.hash, Link: t.l.ID, Type: parcel.HeaderType, Payload: s.env.Payload, Signatures: s.env.Signatures})
	switch {
	case !known:
		if err := t.tx.PutParcels(ctx, *row); err != nil {
			return err
		}
		return t.reach(ctx, hd)
	case old != row.State || row.Received != 0:
		if err := t.tx.UpdateParcels(ctx, *row); err != nil {
			return err
		}
		if row.State.Settled() {
			return t.tx.DropSegments(ctx, row.ID)
		}
	}
	return nil
}

// row is the parcel's row, or a new one; nil if another stands in its place: then what is given back contradicts what we hold.
func (t *takingBack) row(ctx context.Context, s *givenStatement) (*exchange.Parcel, bool, error) {
	hd := s.header
	old, err := t.tx.Parcel(ctx, hd.ID)
	if err == nil {
		if old.Header != s.hash {
			return nil, true, t.h.evidence(ctx, t.tx, t.l.ID, "equivocation", "Two headers were signed with the same parcel id.", s.env.Payload)
		}
		return &old, true, nil
	}
	if !notFound(err) {
		return nil, false, err
	}
	if _, err := t.tx.ParcelAt(ctx, t.l.ID, hd.From, hd.Epoch, hd.Lane, hd.Seq); !notFound(err) {
		if err == nil {
			t.h.cfg.Log.Warn("a parcel that the peer gave back has the place of another", "link", t.l.Alias, "lane", hd.Lane, "seq", hd.Seq)
			t.h.cfg.Count.Refused("peer", "given_place")
		}
		return nil, false, err
	}
	if len(s.receipts) == 0 {
		return nil, false, nil
	}
	return &exchange.Parcel{ID: hd.ID, Link: hd.Link, Author: hd.From, Epoch: hd.Epoch, Lane: hd.Lane, Seq: hd.Seq, File: -1, Header: s.hash,
		Text: hd.Text, State: exchange.Arriving, SentIndex: hd.Index, GotIndex: -1, SeenEpoch: hd.Seen.Epoch, SeenSeq: hd.Seen.Seq,
		Created: hd.Created, Expires: hd.Expires, Segments: hd.Segments, Length: hd.Length}, false, nil
}

// reach raises the lane's last sequence to that of a parcel that came back.
func (t *takingBack) reach(ctx context.Context, hd *parcel.Header) error {
	state, err := t.tx.Lane(ctx, t.l.ID, hd.From, hd.Epoch, hd.Lane)
	if err != nil || state.Last >= hd.Seq {
		return err
	}
	state.Last = hd.Seq
	if a, ok := t.lanes[laneKey{hd.Epoch, hd.Lane}]; ok && hd.From == t.l.Peer {
		a.state.Last = max(a.state.Last, hd.Seq)
	}
	return t.tx.PutLane(ctx, state)
}

// receipts enters the receipts that came back, and moves the row on by them.
func (t *takingBack) receipts(ctx context.Context, s *givenStatement, row *exchange.Parcel) error {
	before, err := t.tx.ReceiptsOf(ctx, s.hash)
	if err != nil {
		return err
	}
	for _, g := range s.receipts {
		r := g.r
		known, conflict := sameReceipt(before, &arrivedReceipt{receipt: r, hash: g.doc.Hash})
		if conflict {
			if r.From == t.l.Peer {
				return t.h.evidence(ctx, t.tx, t.l.ID, "receipt_equivocation", "The peer gave two receipts that contradict each other for one parcel.", g.doc.Payload)
			}
			continue
		}
		stale := r.Stale != nil
		if stale && r.From == t.l.Peer {
			var bogus bool
			if stale, bogus, err = t.h.checkStale(ctx, t.tx, t.l, *row, r); err != nil {
				return err
			}
			if bogus {
				continue
			}
		}
		if !known {
			x, err := t.keep(ctx, g)
			if err != nil {
				return err
			}
			before = append(before, x)
		}
		if row.State == exchange.Arriving { // it was here before as far as its receipts say
			row.State = exchange.Received
		}
		*row = advance(*row, r, stale)
	}
	if row.Received == 0 && len(s.receipts) > 0 { // its first receipt never came to its author, and we have forgotten it
		r := s.receipts[0].r
		row.Received, row.GotEpoch, row.GotIndex = r.At, r.Log.Epoch, r.Log.Index
	}
	return nil
}

// recall takes up our first word on a statement that came again, and was receipted again, before we learnt that we had receipted it
// in an epoch that we forgot. The first word counts: the peer has it.
func (t *takingBack) recall(ctx context.Context, s *givenStatement, row *exchange.Parcel) error {
	held, err := t.tx.ReceiptsOf(ctx, s.hash)
	if err != nil {
		return err
	}
	first, changed := *row, false
	for _, g := range s.receipts {
		if g.r.From != t.h.self || g.r.Log.Epoch >= row.GotEpoch ||
			slices.ContainsFunc(held, func(r exchange.Receipt) bool { return r.Hash == g.doc.Hash }) {
			continue
		}
		if _, err := t.keep(ctx, g); err != nil {
			return err
		}
		first, changed = advance(first, g.r, g.r.Stale != nil), true
	}
	if !changed {
		return nil
	}
	return t.tx.UpdateParcels(ctx, first)
}

// keep stores a receipt that came back. The leaf of one of the peer's may have been mirrored before.
func (t *takingBack) keep(ctx context.Context, g givenReceipt) (exchange.Receipt, error) {
	r := g.r
	x := exchange.Receipt{Hash: g.doc.Hash, Link: t.l.ID, Author: r.From, Kind: string(r.Kind), Header: r.Header, Parcel: r.Parcel,
		Lane: r.Lane, Epoch: r.Epoch, Seq: r.Seq, ContiguousTo: r.ContiguousTo, At: r.At, Index: -1, Log: r.Log.Index, LogEpoch: r.Log.Epoch}
	if r.From == t.l.Peer {
		var err error
		if x.Index, err = shownPlace(ctx, t.tx, r, g.doc.Hash); err != nil {
			return x, err
		}
	}
	t.accepting.receipts = append(t.accepting.receipts, x)
	t.documents = append(t.documents, g.doc)
	return x, nil
}

// remind sends the peer again what it lacks of our receipts for a parcel of its own.
func (t *takingBack) remind(ctx context.Context, s *givenStatement) error {
	if s.header.From != t.l.Peer {
		return nil
	}
	rows, err := t.tx.ReceiptsOf(ctx, s.hash)
	if err != nil {
		return err
	}
	var lacking []envelope.Hash
	for _, r := range rows {
		if r.Author == t.h.self && !slices.ContainsFunc(s.receipts, func(g givenReceipt) bool { return g.doc.Hash == r.Hash }) {
			lacking = append(lacking, r.Hash)
		}
	}
	return t.tx.MarkReceiptsUnsent(ctx, lacking)
}

// open ends a parcel that we receipted in a former epoch and did not open before we lost it.
func (t *takingBack) open(ctx context.Context, s *givenStatement, row *exchange.Parcel) error {
	row.State = exchange.Opened
	lane, err := t.lane(ctx, row.Epoch, row.Lane)
	if err != nil {
		return err
	}
	lane.held[row.Seq] = held{row.Header, true}
	lane.state.Last = max(lane.state.Last, row.Seq)
	r, err := t.end(parcel.Opened, &s.arrival, *row, lane)
	if err != nil {
		return err
	}
	t.ours = append(t.ours, r)
	return nil
}

// gone ends a parcel that we receipted and lost, and whose author does not hold its content any more.
func (t *takingBack) gone(ctx context.Context, header envelope.Hash) error {
	row, err := t.tx.ParcelByHeader(ctx, header)
	if notFound(err) || err == nil && (row.Author != t.l.Peer || row.State != exchange.Received || row.Link != t.l.ID || row.GotEpoch == t.l.OwnEpoch) {
		return nil
	}
	if err != nil {
		return err
	}
	doc, err := t.tx.Document(ctx, header)
	if err != nil {
		return err
	}
	hd, err := parcel.DecodeHeader(doc.Payload)
	if err != nil {
		return err
	}
	lane, err := t.lane(ctx, row.Epoch, row.Lane)
	if err != nil {
		return err
	}
	row.State, row.Reason = exchange.Rejected, fileLost
	lane.held[row.Seq] = held{row.Header, true}
	r, err := t.end(parcel.Rejected, &arrival{header: hd, hash: header}, row, lane)
	if err != nil {
		return err
	}
	t.ours = append(t.ours, r)
	return t.tx.UpdateParcels(ctx, row)
}

// said keeps what a statement says. Of one that the peer has erased the text is all there is.
func (t *takingBack) said(ctx context.Context, s *givenStatement, row *exchange.Parcel) error {
	old, err := t.tx.Statement(ctx, row.Text)
	if err == nil {
		return t.placed(ctx, old, row)
	}
	if !notFound(err) {
		return err
	}
	said := exchange.Statement{Commitment: row.Text, Link: row.Link, Author: row.Author, Lane: row.Lane, Epoch: row.Epoch, Seq: row.Seq,
		Kind: s.text.Kind, Authored: s.text.Authored, Parcel: row.ID, Thread: row.Text}
	if s.text.Thread != nil {
		said.Thread = *s.text.Thread
	}
	if s.bare != nil {
		said.Text, said.TextSalt, said.Erased = s.bare.Text, *s.bare.TextSalt, t.h.now()
		return t.tx.PutStatements(ctx, said)
	}
	said.Text, said.TextSalt = s.content.Text, s.content.TextSalt
	if err := t.tx.PutStatements(ctx, said); err != nil {
		return err
	}
	var files []exchange.File
	for i, f := range s.content.Files {
		files = append(files, exchange.File{Statement: row.Text, Position: i, Link: row.Link, Parcel: f.Parcel, Size: f.Size, State: fileLost})
	}
	if err := t.tx.PutFiles(ctx, files...); err != nil {
		return err
	}
	t.bodies = append(t.bodies, exchange.Body{Commitment: row.Text, Sealed: s.body, Key: s.wrapped})
	return nil
}

// placed gives a statement that we hold the parcel under which the peer holds it.
func (t *takingBack) placed(ctx context.Context, old exchange.Statement, row *exchange.Parcel) error {
	if old.Parcel == row.ID || old.Author != row.Author {
		return nil
	}
	p, err := t.tx.Parcel(ctx, old.Parcel)
	if err != nil && !notFound(err) {
		return err
	}
	if err == nil && p.State == exchange.Opened {
		return nil
	}
	return t.tx.PlaceStatement(ctx, row.Text, row.ID, row.Epoch, row.Seq)
}
