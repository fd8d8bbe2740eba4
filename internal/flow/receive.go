package flow

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Receive takes a batch of frames from the peer of a link and answers with frames. When it returns, all that the
// answers acknowledge is durable. A frame that cannot be taken is answered by a refusal frame and counted; it never
// spoils the others. An error means that nothing of the batch may be taken as acknowledged.
func (h *House) Receive(ctx context.Context, link statement.LinkID, frames []parcel.Frame) ([]parcel.Frame, error) {
	return h.receive(ctx, link, frames, func(envelope.ID) {})
}

// receive is Receive; ended hears of each parcel of ours that a receipt or a refusal was taken for.
func (h *House) receive(ctx context.Context, link statement.LinkID, frames []parcel.Frame, ended func(envelope.ID)) ([]parcel.Frame, error) {
	var l exchange.Link
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		l, err = tx.Link(ctx, link)
		return err
	})
	if err != nil {
		return nil, err
	}
	peer, err := h.PeerChain(ctx, link)
	if err != nil {
		return nil, err
	}
	in := &intake{h: h, l: l, peer: peer, state: h.link(link), ended: ended}
	if err := in.take(ctx, frames); err != nil {
		return nil, err
	}
	if in.woke {
		in.state.signal()
	}
	return in.answers, nil
}

// intake is one batch of frames from a peer.
type intake struct {
	h       *House
	l       exchange.Link
	peer    *party.Chain
	state   *linkState
	answers []parcel.Frame
	woke    bool // something for the sender to do
	ended   func(envelope.ID)
}

// take sorts frames by kind and takes each kind in an order in which nothing waits for a later one.
func (in *intake) take(ctx context.Context, frames []parcel.Frame) error {
	var receipts []*arrivedReceipt
	var parcels []*arrival
	for _, f := range frames {
		switch f.Kind {
		case parcel.FrameReceipt:
			receipts = append(receipts, &arrivedReceipt{frame: f})
		case parcel.FrameParcel:
			parcels = append(parcels, &arrival{frame: f})
		}
	}
	if err := in.receipts(ctx, receipts); err != nil {
		return err
	}
	if err := in.parcels(ctx, parcels); err != nil {
		return err
	}
	var segments []parcel.Frame
	for _, f := range frames {
		var err error
		switch f.Kind {
		case parcel.FrameParcel, parcel.FrameReceipt:
		case parcel.FrameSegmentHashes:
			err = in.segmentHashes(ctx, f)
		case parcel.FrameSegment:
			segments = append(segments, f)
		case parcel.FrameLeaves:
			err = in.leaves(ctx, f)
		case parcel.FrameCheckpoint:
			err = in.checkpoint(ctx, f)
		case parcel.FrameCosignature:
			err = in.cosignature(ctx, f)
		case parcel.FrameWant:
			err = in.want(f)
		case parcel.FrameRefusal:
			err = in.refusal(ctx, f)
		default:
			in.refuse(nil, "frame_kind", "This kind of frame is not known here.")
		}
		if err != nil {
			return err
		}
	}
	return in.segments(ctx, segments)
}

// refuse answers a frame that cannot be taken.
func (in *intake) refuse(id *envelope.ID, code, sentence string) {
	in.h.cfg.Count.Refused("peer", code)
	f, err := parcel.EncodeFrame(parcel.FrameRefusal, parcel.RefusalFrame{Parcel: id, Code: code, Sentence: sentence})
	if err == nil {
		in.answers = append(in.answers, f)
	}
}

// arrival is a parcel frame on its way in.
type arrival struct {
	frame    parcel.Frame
	env      *envelope.Envelope
	header   *parcel.Header
	hash     envelope.Hash
	inline   []byte
	refusal  string // code: the parcel is refused with a signed receipt, its sequence is used up
	rejected string // code: it could not be opened
	content  *statement.Content
	text     *statement.Text
	encoded  []byte // content, encoded
	body     []byte // at rest
	wrapped  []byte
	broken   *fault.Error // the frame is not taken at all
	receipts []*ourReceipt
}

// ourReceipt is a receipt that we give.
type ourReceipt struct {
	payload []byte
	row     exchange.Receipt
	signed  []envelope.Signature
}

// parcels takes parcels: what needs no transaction first and in parallel, then one transaction for all.
func (in *intake) parcels(ctx context.Context, batch []*arrival) error {
	if len(batch) == 0 {
		return nil
	}
	parallel(len(batch), func(i int) { in.examine(ctx, batch[i]) })
	var good []*arrival
	for _, a := range batch {
		if a.broken == nil {
			good = append(good, a)
			continue
		}
		if fault.KindOf(a.broken) == fault.Unavailable {
			return a.broken
		}
		in.refuse(headerID(a), a.broken.Code, a.broken.Public)
	}
	if len(good) == 0 {
		return nil
	}
	var saved func()
	err := in.h.cfg.Store.Update(ctx, priorityOf(good), func(tx Tx) (err error) {
		if saved, err = in.h.putSignatures(ctx, tx, in.l.ID); err != nil {
			return err
		}
		return in.h.accept(ctx, tx, in.l, good)
	})
	if err != nil {
		return err
	}
	saved()
	if err := in.signReceipts(ctx, good); err != nil {
		return err
	}
	for _, a := range good {
		if a.broken != nil {
			in.refuse(headerID(a), a.broken.Code, a.broken.Public)
			continue
		}
		for _, r := range a.receipts {
			if err := in.answerReceipt(r); err != nil {
				return err
			}
		}
		if len(a.receipts) == 0 {
			if err := in.answerMissing(ctx, a.header); err != nil {
				return err
			}
		}
	}
	return nil
}

func headerID(a *arrival) *envelope.ID {
	if a.header == nil {
		return nil
	}
	return &a.header.ID
}

func priorityOf(batch []*arrival) Priority {
	for _, a := range batch {
		if a.header.Lane == statement.Control || a.header.Lane == statement.Hotline {
			return Urgent
		}
	}
	return Normal
}

// parallel runs work for each of n items on all processors.
func parallel(n int, work func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			work(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				work(i)
			}
		})
	}
	wg.Wait()
}

// examine checks a parcel in the order of docs/spec/parcel.md: form, signature, link policy, content against length and
// root, decryption, inner addressee.
func (in *intake) examine(ctx context.Context, a *arrival) {
	h := in.h
	refuse := func(kind fault.Kind, code, sentence string, err error) {
		a.broken = fault.Wrap(kind, code, sentence, err)
	}
	f, err := parcel.DecodeParcelFrame(a.frame)
	if err != nil {
		refuse(fault.Invalid, "frame", "The parcel frame is malformed.", err)
		return
	}
	a.inline = f.Content
	if a.env, err = envelope.DecodeEnvelope(f.Header); err != nil {
		refuse(fault.Invalid, "envelope", "The header's envelope is malformed.", err)
		return
	}
	if len(a.env.Payload) > parcel.MaxHeader {
		refuse(fault.TooLarge, "header_size", "The header is too large.", nil)
		return
	}
	hd, err := parcel.DecodeHeader(a.env.Payload)
	if err != nil {
		refuse(fault.Invalid, "header", "The header is malformed: "+plain(err)+".", err)
		return
	}
	signer, ok := in.peer.At(hd.Identity)
	if !ok {
		refuse(fault.Invalid, "identity_version", "The identity version that signed is not known here; send the identity first.", nil)
		return
	}
	if _, err := h.cfg.Registry.Verify(a.env, parcel.HeaderType, signer.KeySet()); err != nil {
		refuse(fault.Forbidden, "signature", "The header's signature does not verify.", err)
		return
	}
	a.header, a.hash = hd, envelope.Sum(a.env.Payload)
	if hd.Link != in.l.ID || hd.From != in.l.Peer || hd.To != h.self {
		refuse(fault.Forbidden, "addressee", "The parcel is not for this link and these parties.", nil)
		return
	}
	if hd.Epoch != in.l.PeerEpoch {
		refuse(fault.Conflict, "epoch", "The parcel is of an epoch that is not open here.", nil)
		return
	}
	in.policy(a)
	if a.refusal == "" && len(a.inline) > 0 {
		in.openInline(ctx, a)
	}
}

// policy decides what is refused with a signed receipt: the parcel is authentic, but may not come in.
func (in *intake) policy(a *arrival) {
	hd := a.header
	agreement, err := in.h.terms(in.l)
	switch {
	case err != nil:
		a.broken = fault.Wrap(fault.Internal, "agreement", "The link's agreement cannot be read here.", err)
	case hd.Expires <= in.h.now():
		a.refusal = "expired"
	case !sameSuites(hd.Suites, agreement.Suites):
		a.refusal = "suites"
	case hd.File != nil && hd.Length > agreement.Limits.FileBytes+agreement.Limits.FileBytes/1024+(4<<20):
		a.refusal = "file_size"
	case hd.File == nil && hd.Length > 8<<20:
		a.refusal = "content_size"
	case hd.Registered:
		a.refusal = "registered"
	case hd.Recipient != in.h.cfg.Keys.Version():
		a.refusal = "recipient_version"
	}
	if a.broken == nil && a.refusal == "" && len(a.inline) > 0 && int64(len(a.inline)) != hd.Length {
		a.broken = fault.New(fault.Invalid, "length", "The content is not as long as its header says.")
	}
}

func sameSuites(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// openInline opens a small parcel at once. Content that does not match the root in the signed header is not the
// author's: the frame is refused. Content that matches but does not open is the author's fault: it is rejected.
func (in *intake) openInline(ctx context.Context, a *arrival) {
	if contentRoot(a.inline) != a.header.Root {
		a.broken = fault.New(fault.Invalid, "root", "The content does not match its header; send it again.")
		return
	}
	if a.header.File != nil {
		return // a small file: opened when its statement is known
	}
	a.content, a.text, a.rejected = in.h.open(ctx, in.l, a.header, bytes.NewReader(a.inline))
	if a.rejected != "" {
		return
	}
	a.encoded, a.body, a.wrapped, a.broken = in.h.restBody(a.content, a.header.Text)
}

func contentRoot(content []byte) envelope.Hash {
	var leaves []envelope.Hash
	for rest := content; len(rest) > 0; {
		n := min(len(rest), envelope.SegmentSize)
		leaves = append(leaves, envelope.SegmentHash(rest[:n]))
		rest = rest[n:]
	}
	return envelope.Root(leaves)
}

// accept is the transaction that takes parcels in: duplicate row, sequence, ledger leaf, receipt, and the fold.
func (h *House) accept(ctx context.Context, tx Tx, l exchange.Link, batch []*arrival) error {
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
	w := &accepting{h: h, tx: tx, l: l, book: b, known: known, lanes: map[statement.Lane]*arrivalLane{}}
	for _, a := range batch {
		if err := w.one(ctx, a); err != nil {
			return err
		}
	}
	return w.close(ctx)
}

// accepting is the state of one accepting transaction.
type accepting struct {
	h     *House
	tx    Tx
	l     exchange.Link
	book  *book
	known map[envelope.ID]exchange.Parcel
	push  bool // receipts are pushed to the peer; otherwise they go in the answer, and again when it asks again
	lanes map[statement.Lane]*arrivalLane

	parcels    []exchange.Parcel
	documents  []exchange.Document
	receipts   []exchange.Receipt
	statements []exchange.Statement
	files      []exchange.File
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

func (w *accepting) lane(ctx context.Context, lane statement.Lane) (*arrivalLane, error) {
	if a, ok := w.lanes[lane]; ok {
		return a, nil
	}
	state, err := w.tx.Lane(ctx, w.l.ID, w.l.Peer, w.l.PeerEpoch, lane)
	if err != nil {
		return nil, err
	}
	own, err := w.tx.Lane(ctx, w.l.ID, w.h.self, w.l.OwnEpoch, lane)
	if err != nil {
		return nil, err
	}
	a := &arrivalLane{state: state, ours: own.Last, placed: map[uint64]place{}, held: map[uint64]held{}}
	run, err := w.tx.ParcelRun(ctx, w.l.ID, w.l.Peer, w.l.PeerEpoch, lane, max(state.Settled, 1)-1, exchange.Window+1)
	if err != nil {
		return nil, err
	}
	for _, p := range run {
		a.placed[p.Seq] = place{header: p.Header}
		if p.State != exchange.Arriving && p.Seq > state.Settled {
			a.held[p.Seq] = held{p.Header, settled(p.State)}
		}
	}
	mirror, err := w.tx.Log(ctx, w.l.ID, w.l.Peer, w.l.PeerEpoch)
	if err != nil {
		return nil, err
	}
	a.cosigned = mirror.CosignedSize
	w.lanes[lane] = a
	return a, nil
}

func settled(s exchange.ParcelState) bool {
	return s == exchange.Opened || s == exchange.Refused || s == exchange.Rejected
}

// one takes one parcel.
func (w *accepting) one(ctx context.Context, a *arrival) error {
	hd := a.header
	if old, ok := w.known[hd.ID]; ok {
		return w.again(ctx, a, old)
	}
	lane, err := w.lane(ctx, hd.Lane)
	if err != nil {
		return err
	}
	if hd.File == nil {
		if stop, err := w.sequence(ctx, a, lane); stop || err != nil {
			return err
		}
	}
	refusal, rejected := a.refusal, a.rejected
	if refusal == "" && hd.File == nil && (hd.Seen.Epoch != w.l.OwnEpoch || hd.Seen.Seq > lane.ours) {
		refusal = "seen" // of what we never said: waiting for it would hold up the lane for ever
	}
	if a.text != nil {
		repeated, err := w.said(ctx, hd.Text)
		if err != nil {
			return err
		}
		if repeated {
			rejected = "repeated"
		}
	}
	row := exchange.Parcel{ID: hd.ID, Link: hd.Link, Author: hd.From, Epoch: hd.Epoch, Lane: hd.Lane, Seq: hd.Seq, File: -1, Header: a.hash,
		Text: hd.Text, State: exchange.Arriving, SentIndex: hd.Index, GotIndex: -1, Created: hd.Created, Expires: hd.Expires,
		Segments: hd.Segments, Length: hd.Length}
	if hd.File != nil {
		row.File = hd.File.Position
	} else {
		row.SeenEpoch, row.SeenSeq = hd.Seen.Epoch, hd.Seen.Seq
	}
	w.documents = append(w.documents, exchange.Document{Hash: a.hash, Link: w.l.ID, Type: parcel.HeaderType, Payload: a.env.Payload, Signatures: a.env.Signatures})
	w.known[hd.ID] = row
	switch {
	case refusal != "":
		row.State, row.Reason = exchange.Refused, refusal
	case len(a.inline) > 0 && hd.File != nil:
		row.State, row.Content = exchange.Received, a.inline
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
		next, err := parcel.DecodeHeader(doc.Payload)
		if err != nil {
			return false, fmt.Errorf("reading a stored header: %w", err)
		}
		after.prev = next.Prev
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
		lane.held[hd.Seq] = held{a.hash, settled(row.State)}
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
	row.GotIndex, row.Received = pos.index, pos.at
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
		Identity: w.h.cfg.Keys.Version(), Epoch: hd.Epoch, Lane: hd.Lane, Seq: hd.Seq, ContiguousTo: lane.state.Contiguous,
		At: row.Received, Log: parcel.Position{Epoch: w.l.OwnEpoch, Index: row.GotIndex}, PeerSize: lane.cosigned}
	seqs := make([]uint64, 0, len(lane.held))
	for seq := range lane.held {
		seqs = append(seqs, seq)
	}
	_, r.Gaps = exchange.Arrive(lane.state.Contiguous, seqs)
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
	ours := &ourReceipt{payload: payload, row: exchange.Receipt{Hash: digest, Link: w.l.ID, Author: w.h.self, Kind: string(kind), Header: hash,
		Parcel: hd.ID, Lane: hd.Lane, Epoch: hd.Epoch, Seq: hd.Seq, ContiguousTo: r.ContiguousTo, At: r.At, Index: pos.index, Log: row.GotIndex, Unsent: w.push}}
	w.receipts = append(w.receipts, ours.row)
	w.documents = append(w.documents, exchange.Document{Hash: digest, Link: w.l.ID, Type: parcel.ReceiptType, Payload: payload})
	return ours, nil
}

// stale finds the author's own receipt that shows it had more than its seen admits when it reserved.
func (w *accepting) stale(ctx context.Context, hd *parcel.Header) (*envelope.Hash, error) {
	if hd.File != nil || hd.Seen.Epoch != w.l.OwnEpoch {
		return nil, nil
	}
	r, err := w.tx.ReceiptAbove(ctx, w.l.ID, w.l.Peer, w.l.OwnEpoch, hd.Lane, hd.Seen.Seq, hd.Index)
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
	s := exchange.Statement{Commitment: row.Text, Link: w.l.ID, Author: w.l.Peer, Lane: row.Lane, Epoch: row.Epoch, Seq: row.Seq,
		Thread: row.Text, Kind: a.text.Kind, Authored: a.text.Authored, Text: a.content.Text, TextSalt: a.content.TextSalt, Parcel: row.ID}
	if a.text.Thread != nil {
		s.Thread = *a.text.Thread
	}
	w.statements = append(w.statements, s)
	for i, f := range a.content.Files {
		w.files = append(w.files, exchange.File{Statement: row.Text, Position: i, Link: w.l.ID, Parcel: f.Parcel, Size: f.Size, State: "waiting"})
	}
	return w.tx.PutBody(ctx, row.Text, a.body, a.wrapped)
}

// close writes everything and folds the lanes concerned.
func (w *accepting) close(ctx context.Context) error {
	for _, put := range []func() error{
		func() error { return w.tx.PutParcels(ctx, w.parcels...) },
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
	for name := range w.lanes {
		if err := w.h.foldLane(ctx, w.tx, w.l, name); err != nil {
			return err
		}
	}
	return nil
}

// signReceipts signs what the transaction decided and keeps the signatures.
func (in *intake) signReceipts(ctx context.Context, batch []*arrival) error {
	var ours []*ourReceipt
	for _, a := range batch {
		for _, r := range a.receipts {
			if r.signed == nil {
				ours = append(ours, r)
			}
		}
	}
	return in.h.signOurs(ctx, in.l.ID, ours)
}

func (h *House) signOurs(ctx context.Context, link statement.LinkID, ours []*ourReceipt) error {
	docs := make([]exchange.Document, len(ours))
	for i, r := range ours {
		docs[i] = exchange.Document{Hash: r.row.Hash, Link: link, Type: parcel.ReceiptType, Payload: r.payload, Signatures: r.signed}
	}
	if err := h.sign(ctx, link, docs); err != nil {
		return err
	}
	for i, r := range ours {
		r.signed = docs[i].Signatures
	}
	return nil
}

func (in *intake) answerReceipt(r *ourReceipt) error {
	f, err := receiptFrame(r.payload, r.signed)
	if err != nil {
		return err
	}
	in.answers = append(in.answers, f)
	return nil
}

func receiptFrame(payload []byte, signed []envelope.Signature) (parcel.Frame, error) {
	env := envelope.Envelope{PayloadType: parcel.ReceiptType, Payload: payload, Signatures: signed}
	data, err := env.Encode()
	if err != nil {
		return parcel.Frame{}, fmt.Errorf("encoding a receipt: %w", err)
	}
	return parcel.Frame{Kind: parcel.FrameReceipt, Payload: data}, nil
}
