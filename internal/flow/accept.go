package flow

import (
	"context"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// accept is the transaction that takes parcels in: duplicate row, sequence, ledger leaf, receipt, and the fold.
func (h *House) accept(ctx context.Context, tx Tx, l exchange.Link, batch []*arrival) error {
	l, err := tx.Link(ctx, l.ID) // an epoch may have been opened since it was read
	if err != nil {
		return err
	}
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return err
	}
	ids := make([]envelope.ID, len(batch))
	for i, a := range batch {
		ids[i], a.receipts, a.broken = a.header.ID, nil, nil
	}
	known, err := tx.ParcelsByID(ctx, ids)
	if err != nil {
		return err
	}
	w := &accepting{h: h, tx: tx, l: l, book: b, known: known, waiting: -1, held: -1, lanes: map[laneKey]*arrivalLane{}}
	for _, a := range batch {
		if err := w.one(ctx, a); err != nil {
			return err
		}
	}
	return w.close(ctx)
}

// accepting is the state of one accepting transaction.
type accepting struct {
	h        *House
	tx       Tx
	l        exchange.Link
	book     *book
	known    map[envelope.ID]exchange.Parcel
	waiting  int   // files that arrive or wait for their statement; -1: not counted yet
	holds    int64 // bytes of the peer's files; once waiting is counted
	held     int   // registered parcels that wait for their grant; -1: not counted yet
	push     bool  // receipts are pushed to the peer; otherwise they go in the answer, and again when it asks again
	lanes    map[laneKey]*arrivalLane
	standing *standing // nil: not read yet
	since    *int64    // see knownSince, of the agreement in force; nil: not asked for yet
	bars     []bar     // suspensions and withdrawals; nil: not read yet

	parcels    []exchange.Parcel
	granted    []exchange.Parcel // registered parcels whose grant came
	documents  []exchange.Document
	receipts   []exchange.Receipt
	statements []exchange.Statement
	bodies     []exchange.Body
	files      []exchange.File
}

// laneKey is a lane in one of the peer's epochs.
type laneKey struct {
	epoch uint32
	lane  statement.Lane
}

// arrivalLane is the peer's lane as this transaction sees it.
type arrivalLane struct {
	state    exchange.LaneState
	ours     uint64           // the last sequence that we used in this lane: more of ours the peer cannot have seen
	placed   map[uint64]place // from settled on, whether receipted or still arriving
	held     map[uint64]held  // receipted above settled
	cosigned int64
}

// place is a header in its sequence.
type place struct {
	header envelope.Hash
	prev   *envelope.Hash // known if this transaction took it
}

type held struct {
	header  envelope.Hash
	settled bool
}

func (w *accepting) lane(ctx context.Context, epoch uint32, lane statement.Lane) (*arrivalLane, error) {
	if a, ok := w.lanes[laneKey{epoch, lane}]; ok {
		return a, nil
	}
	state, err := w.tx.Lane(ctx, w.l.ID, w.l.Peer, epoch, lane)
	if err != nil {
		return nil, err
	}
	own, err := w.tx.Lane(ctx, w.l.ID, w.h.self, w.l.OwnEpoch, lane)
	if err != nil {
		return nil, err
	}
	a := &arrivalLane{state: state, ours: own.Last, placed: map[uint64]place{}, held: map[uint64]held{}}
	run, err := w.tx.ParcelRun(ctx, w.l.ID, w.l.Peer, epoch, lane, max(state.Settled, 1)-1, exchange.Window+1)
	if err != nil {
		return nil, err
	}
	for _, p := range run {
		a.placed[p.Seq] = place{header: p.Header}
		if p.State != exchange.Arriving && p.Seq > state.Settled {
			a.held[p.Seq] = held{p.Header, p.State.Settled()}
		}
	}
	mirror, err := w.tx.Log(ctx, w.l.ID, w.l.Peer, w.l.PeerEpoch)
	if err != nil {
		return nil, err
	}
	a.cosigned = mirror.CosignedSize
	w.lanes[laneKey{epoch, lane}] = a
	return a, nil
}

// one takes one parcel.
func (w *accepting) one(ctx context.Context, a *arrival) error {
	hd := a.header
	if old, ok := w.known[hd.ID]; ok {
		return w.again(ctx, a, old)
	}
	if hd.Epoch != w.l.PeerEpoch {
		a.broken = fault.New(fault.Conflict, codeEpoch, "The parcel is of an epoch that is not open here.")
		return nil
	}
	if frozen(w.l) {
		a.broken = fault.New(fault.Conflict, LinkCatchingUp, "This node was restored and learns what it had; it takes this when it has caught up.")
		return nil
	}
	lane, err := w.lane(ctx, hd.Epoch, hd.Lane)
	if err != nil {
		return err
	}
	check := w.sequence
	switch {
	case hd.File != nil:
		check = w.room
	case hd.Registered:
		check = w.roomToHold
	}
	if stop, err := check(ctx, a, lane); stop || err != nil {
		return err
	}
	refusal, rejected := a.refusal, a.rejected
	if refusal == "" && hd.File == nil && (hd.Seen.Epoch < ledger.FirstEpoch || hd.Seen.Epoch > w.l.OwnEpoch || hd.Seen.Epoch == w.l.OwnEpoch && hd.Seen.Seq > lane.ours) {
		refusal = "seen" // of what we never said: waiting for it would hold up the lane for ever
	}
	if refusal == "" {
		if refusal, err = w.barred(ctx, hd); err != nil {
			return err
		}
	}
	if a.text != nil {
		repeated, err := w.said(ctx, hd.Text)
		if err != nil {
			return err
		}
		early, err := w.early(ctx, a.text)
		if err != nil {
			return err
		}
		outdated, err := w.outdated(ctx, a.text, hd.Index)
		if err != nil {
			return err
		}
		switch {
		case repeated:
			rejected = "repeated"
		case early:
			rejected = refusedUnverified
		case outdated:
			rejected = exchange.VoidEdition
		}
	}
	terms, err := w.h.terms(w.l)
	if err != nil {
		return err
	}
	// By our own clock it waits no longer than agreed, whatever the author's clock says.
	expires := min(hd.Expires, w.h.now()+terms.Limits.Expiry*1e6)
	row := exchange.Parcel{ID: hd.ID, Link: hd.Link, Author: hd.From, Epoch: hd.Epoch, Lane: hd.Lane, Seq: hd.Seq, File: a.sort(), Header: a.hash,
		Text: hd.Text, State: exchange.Arriving, SentIndex: hd.Index, GotIndex: -1, Created: hd.Created, Expires: expires,
		Segments: hd.Segments, Length: hd.Length}
	if hd.File == nil {
		row.SeenEpoch, row.SeenSeq = hd.Seen.Epoch, hd.Seen.Seq
	}
	w.documents = append(w.documents, exchange.Document{Hash: a.hash, Link: w.l.ID, Type: a.env.PayloadType, Payload: a.env.Payload, Signatures: a.env.Signatures})
	w.known[hd.ID] = row
	if a.grant != nil { // whatever comes of it: the parcel has no other
		row.Segments, row.Length = 0, 0
		registered := *a.held
		registered.State, registered.Content, registered.Blob = exchange.Granted, nil, ""
		w.granted = append(w.granted, registered)
	}
	switch {
	case refusal != "":
		row.State, row.Reason = exchange.Refused, refusal
	case len(a.inline) > 0 && hd.File != nil:
		row.State, row.Content = exchange.Received, a.inline
	case len(a.inline) > 0 && hd.Registered:
		row.State, row.Content = exchange.Held, a.inline
	case a.grant != nil && rejected != "":
		row.State, row.Reason = exchange.Rejected, rejected
	case a.grant != nil:
		row.State = exchange.Opened
	case len(a.inline) > 0 && rejected != "":
		row.State, row.Reason = exchange.Rejected, rejected
	case len(a.inline) > 0:
		row.State = exchange.Opened
	default: // segments will follow
		w.parcels = append(w.parcels, row)
		return nil
	}
	if err := w.receipt(ctx, a, &row, lane); err != nil {
		return err
	}
	if row.State == exchange.Opened {
		if err := w.say(ctx, a, row); err != nil {
			return err
		}
	}
	w.parcels = append(w.parcels, row)
	w.known[hd.ID] = row
	return nil
}

// reopen begins to move on a parcel of the peer that is known and in a state; w is nil if it has left that state.
func (h *House) reopen(ctx context.Context, tx Tx, l exchange.Link, id envelope.ID, state exchange.ParcelState) (w *accepting, row exchange.Parcel, lane *arrivalLane, err error) {
	if row, err = tx.Parcel(ctx, id); err != nil || row.State != state {
		return nil, row, nil, err
	}
	if l, err = tx.Link(ctx, l.ID); err != nil { // an epoch may have been opened since it was read
		return nil, row, nil, err
	}
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return nil, row, nil, err
	}
	w = &accepting{h: h, tx: tx, l: l, book: b, lanes: map[laneKey]*arrivalLane{}}
	lane, err = w.lane(ctx, row.Epoch, row.Lane)
	return w, row, lane, err
}

// endArrival is the transaction that ends the arrival of a parcel in segments, with the receipt that its new state asks for.
func (h *House) endArrival(ctx context.Context, l exchange.Link, a *arrival, end func(*accepting, *exchange.Parcel)) error {
	return h.cfg.Store.Update(ctx, priorityOf([]*arrival{a}), func(tx Tx) error {
		a.receipts = nil
		w, row, lane, err := h.reopen(ctx, tx, l, a.header.ID, exchange.Arriving)
		if err != nil || w == nil {
			return err
		}
		end(w, &row)
		if err := w.receipt(ctx, a, &row, lane); err != nil {
			return err
		}
		if err := tx.UpdateParcels(ctx, row); err != nil {
			return err
		}
		if err := tx.DropSegments(ctx, row.ID); err != nil {
			return err
		}
		return w.close(ctx)
	})
}

// again answers a parcel that we know: a replay gets the same receipts, the same id with another header is a lie.
func (w *accepting) again(ctx context.Context, a *arrival, old exchange.Parcel) error {
	if old.Header != a.hash {
		a.broken = fault.New(fault.Conflict, "equivocation", "This parcel id was used for another header; both are kept as evidence.")
		return w.h.evidence(ctx, w.tx, w.l.ID, "equivocation", "The peer signed two headers with the same parcel id.", a.frame.Payload)
	}
	rows, err := w.tx.ReceiptsOf(ctx, a.hash)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Author != w.h.self {
			continue
		}
		doc, err := w.tx.Document(ctx, row.Hash)
		if err != nil {
			return err
		}
		a.receipts = append(a.receipts, &ourReceipt{payload: doc.Payload, row: row, signed: doc.Signatures})
	}
	return nil
}

// sequence checks a statement's place in its lane; stop means that the parcel is not taken.
func (w *accepting) sequence(ctx context.Context, a *arrival, lane *arrivalLane) (stop bool, err error) {
	hd := a.header
	if !exchange.Admit(lane.state.Settled, hd.Seq) {
		a.broken = fault.New(fault.Exhausted, "window", "This stands too far ahead of what is missing or not opened yet; fill the gap first.")
		return true, nil
	}
	if _, used := lane.placed[hd.Seq]; used || hd.Seq <= lane.state.Settled {
		a.broken = fault.New(fault.Conflict, "sequence_reused", "This sequence number was used for another parcel; both are kept as evidence.")
		return true, w.h.evidence(ctx, w.tx, w.l.ID, "sequence_reused", "The peer used one sequence number twice.", a.frame.Payload)
	}
	fits, err := w.neighbours(ctx, a, lane)
	if err != nil {
		return true, err
	}
	if !fits {
		a.broken = fault.New(fault.Conflict, "prev", "This header does not fit the one before or after it; it is kept as evidence.")
		return true, w.h.evidence(ctx, w.tx, w.l.ID, "prev", "Two headers of the peer that follow each other disagree about it.", a.frame.Payload)
	}
	lane.placed[hd.Seq] = place{a.hash, hd.Prev}
	return false, nil
}

// maxWaiting bounds the files of a link that arrive or wait for their statement: they have no sequence, so no window does.
const maxWaiting = 512

// room checks that a file may come in; stop means that the parcel is not taken, and is tried again later.
func (w *accepting) room(ctx context.Context, a *arrival, _ *arrivalLane) (stop bool, err error) {
	if w.waiting < 0 {
		w.waiting = 0
		for _, state := range []exchange.ParcelState{exchange.Arriving, exchange.Received} {
			n, err := w.tx.FilesIn(ctx, w.l.ID, w.l.Peer, state)
			if err != nil {
				return true, err
			}
			w.waiting += n
		}
		if w.holds, err = w.tx.HeldBytes(ctx, w.l.ID, w.l.Peer); err != nil {
			return true, err
		}
	}
	if quota := w.h.cfg.Quota; quota > 0 && w.holds+a.header.Length > quota {
		a.broken = fault.New(fault.Exhausted, "quota",
			"The files of this link take up all the room that they may have here; this one is taken when some of them are erased, or the quota is raised.")
		return true, nil
	}
	if w.waiting >= maxWaiting {
		a.broken = fault.New(fault.Exhausted, "waiting", "Too many files wait for their segments or their statements; send these first.")
		return true, nil
	}
	w.waiting++
	w.holds += a.header.Length
	return false, nil
}

// neighbours says whether a header cites the one before it, and is cited by the one after it, as far as they came.
func (w *accepting) neighbours(ctx context.Context, a *arrival, lane *arrivalLane) (bool, error) {
	hd := a.header
	if before, ok := lane.placed[hd.Seq-1]; ok && (hd.Prev == nil || *hd.Prev != before.header) {
		return false, nil
	}
	after, ok := lane.placed[hd.Seq+1]
	if !ok {
		return true, nil
	}
	if after.prev == nil {
		doc, err := w.tx.Document(ctx, after.header)
		if err != nil {
			return false, err
		}
		if after.prev, err = predecessor(doc); err != nil {
			return false, err
		}
	}
	return after.prev != nil && *after.prev == a.hash, nil
}

// said says whether a statement of this commitment came before.
func (w *accepting) said(ctx context.Context, c statement.Commitment) (bool, error) {
	for _, s := range w.statements {
		if s.Commitment == c {
			return true, nil
		}
	}
	_, err := w.tx.Statement(ctx, c)
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

// receipt enters the got leaf and the receipts that follow from the row's state.
func (w *accepting) receipt(ctx context.Context, a *arrival, row *exchange.Parcel, lane *arrivalLane) error {
	hd := a.header
	if hd.File == nil {
		lane.held[hd.Seq] = held{a.hash, row.State.Settled()}
		seqs := make([]uint64, 0, len(lane.held))
		for seq := range lane.held {
			seqs = append(seqs, seq)
		}
		lane.state.Last = max(lane.state.Last, hd.Seq)
		lane.state.Contiguous, _ = exchange.Arrive(lane.state.Contiguous, seqs)
		for lane.held[lane.state.Settled+1].settled {
			lane.state.Settled++
		}
	}
	pos, err := w.book.enter(w.h.now(), ledger.Got, hd.Lane, hd.Seq, a.hash)
	if err != nil {
		return err
	}
	row.GotEpoch, row.GotIndex, row.Received = w.l.OwnEpoch, pos.index, pos.at
	stale, err := w.stale(ctx, hd)
	if err != nil {
		return err
	}
	row.Stale = stale != nil
	kinds := []parcel.ReceiptKind{parcel.Received}
	switch row.State {
	case exchange.Refused:
		kinds = []parcel.ReceiptKind{parcel.Refused}
	case exchange.Opened:
		kinds = append(kinds, parcel.Opened)
	case exchange.Rejected:
		kinds = append(kinds, parcel.Rejected)
	}
	for _, kind := range kinds {
		r, err := w.give(kind, hd, a.hash, *row, lane, stale)
		if err != nil {
			return err
		}
		a.receipts = append(a.receipts, r)
	}
	return nil
}

// give makes one receipt with its leaf.
func (w *accepting) give(kind parcel.ReceiptKind, hd *parcel.Header, hash envelope.Hash, row exchange.Parcel, lane *arrivalLane, stale *envelope.Hash) (*ourReceipt, error) {
	r := parcel.Receipt{V: 1, Kind: kind, Link: w.l.ID, From: w.h.self, To: w.l.Peer, Header: hash, Parcel: hd.ID, Root: hd.Root,
		Identity: w.book.log.Identity, Epoch: hd.Epoch, Lane: hd.Lane, Seq: hd.Seq, ContiguousTo: lane.state.Contiguous,
		At: row.Received, Log: parcel.Position{Epoch: row.GotEpoch, Index: row.GotIndex}, PeerSize: lane.cosigned}
	seqs := make([]uint64, 0, len(lane.held))
	for seq := range lane.held {
		seqs = append(seqs, seq)
	}
	_, r.Gaps = exchange.Arrive(lane.state.Contiguous, seqs)
	terms, err := w.h.terms(w.l)
	if err != nil {
		return nil, err
	}
	switch kind {
	case parcel.Received:
		r.Stale = stale
	case parcel.Refused, parcel.Rejected:
		r.Reason = row.Reason
	}
	if kind == parcel.Opened || kind == parcel.Rejected {
		r.At = max(w.h.now(), w.book.log.LastTime)
	}
	payload, err := r.Encode()
	if err != nil {
		return nil, fmt.Errorf("encoding a receipt: %w", err)
	}
	digest := envelope.Sum(payload)
	pos, err := w.book.enter(r.At, ledger.ReceiptOut, hd.Lane, hd.Seq, digest)
	if err != nil {
		return nil, err
	}
	ours := &ourReceipt{receipt: &r, payload: payload, row: exchange.Receipt{Hash: digest, Link: w.l.ID, Author: w.h.self, Kind: string(kind), Header: hash,
		Parcel: hd.ID, Lane: hd.Lane, Epoch: hd.Epoch, Seq: hd.Seq, ContiguousTo: r.ContiguousTo, At: r.At, Index: pos.index, Log: row.GotIndex, LogEpoch: row.GotEpoch, Unsent: w.push && terms.way == bothWays}}
	w.receipts = append(w.receipts, ours.row)
	w.documents = append(w.documents, exchange.Document{Hash: digest, Link: w.l.ID, Type: parcel.ReceiptType, Payload: payload})
	return ours, nil
}

// end gives the receipt that ends a parcel. A receipt names a leaf of its own epoch: where the parcel came in in a former one of
// ours, its leaf is entered again.
func (w *accepting) end(kind parcel.ReceiptKind, a *arrival, row exchange.Parcel, lane *arrivalLane) (*ourReceipt, error) {
	if row.GotEpoch != w.l.OwnEpoch {
		pos, err := w.book.enter(w.h.now(), ledger.Got, row.Lane, row.Seq, row.Header)
		if err != nil {
			return nil, err
		}
		row.GotEpoch, row.GotIndex = w.l.OwnEpoch, pos.index
	}
	return w.give(kind, a.header, row.Header, row, lane, nil)
}

// stale finds the author's own receipt that shows it had more than its seen admits when it reserved.
func (w *accepting) stale(ctx context.Context, hd *parcel.Header) (*envelope.Hash, error) {
	if hd.File != nil || hd.Registered || hd.Seen.Epoch > w.l.OwnEpoch {
		return nil, nil
	}
	seen := hd.Seen.Seq
	if hd.Seen.Epoch < w.l.OwnEpoch { // of our present epoch it admits nothing
		seen = 0
	}
	r, err := w.tx.ReceiptAbove(ctx, w.l.ID, w.l.Peer, w.l.OwnEpoch, hd.Lane, seen, parcel.Position{Epoch: hd.Epoch, Index: hd.Index})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r.Hash, nil
}

// say records an opened statement: its text, the sealed rest, and its files to come.
func (w *accepting) say(ctx context.Context, a *arrival, row exchange.Parcel) error {
	if agreement, err := agreementIn(a.text.Kind, a.content.Body); err == nil && agreement != nil {
		if err := w.h.keepAgreement(ctx, w.tx, w.l, agreement); err != nil {
			return err
		}
	}
	s := exchange.Statement{Commitment: row.Text, Link: w.l.ID, Author: w.l.Peer, Lane: row.Lane, Epoch: row.Epoch, Seq: row.Seq,
		Thread: row.Text, Kind: a.text.Kind, Authored: a.text.Authored, Text: a.content.Text, TextSalt: a.content.TextSalt, Parcel: row.ID}
	if a.text.Thread != nil {
		s.Thread = *a.text.Thread
	}
	w.statements = append(w.statements, s)
	for i, f := range a.content.Files {
		w.files = append(w.files, exchange.File{Statement: row.Text, Position: i, Link: w.l.ID, Author: w.l.Peer, Parcel: f.Parcel, Size: f.Size, State: "waiting"})
	}
	w.bodies = append(w.bodies, exchange.Body{Commitment: row.Text, Sealed: a.body, Key: a.wrapped})
	return nil
}

// close writes everything and folds the lanes concerned.
func (w *accepting) close(ctx context.Context) error {
	for _, put := range []func() error{
		func() error { return w.tx.PutParcels(ctx, w.parcels...) },
		func() error { return w.tx.UpdateParcels(ctx, w.granted...) },
		func() error { return w.tx.PutBodies(ctx, w.bodies...) },
		func() error { return w.tx.PutStatements(ctx, w.statements...) },
		func() error { return w.tx.PutFiles(ctx, w.files...) },
		func() error { return w.tx.PutDocuments(ctx, w.documents...) },
		func() error { return w.tx.PutReceipts(ctx, w.receipts...) },
		func() error { return w.book.close(ctx, w.tx) },
	} {
		if err := put(); err != nil {
			return err
		}
	}
	for _, lane := range w.lanes {
		if err := w.tx.PutLane(ctx, lane.state); err != nil {
			return err
		}
	}
	var lanes []statement.Lane
	for key := range w.lanes {
		if !slices.Contains(lanes, key.lane) {
			lanes = append(lanes, key.lane)
		}
	}
	return w.h.foldLanes(ctx, w.tx, w.l, lanes)
}
