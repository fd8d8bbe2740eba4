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
	"entente/statement"
)

// Receive takes a batch of frames from the peer of a link and answers with frames. When it returns, all that the
// answers acknowledge is durable. A frame that cannot be taken is answered by a refusal frame and counted; it never
// spoils the others. An error means that nothing of the batch may be taken as acknowledged.
func (h *House) Receive(ctx context.Context, link statement.LinkID, frames []parcel.Frame) ([]parcel.Frame, error) {
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return nil, err
	}
	t, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	if t.way != bothWays { // an answer would go the other way
		return nil, fault.New(fault.Forbidden, onewayCode, "This link goes one way, in files: nothing is taken over a network.")
	}
	return h.receive(ctx, l, frames, func(envelope.ID) {})
}

// receive is Receive on any link; ended hears of each parcel of ours that a receipt or a refusal was taken for.
func (h *House) receive(ctx context.Context, l exchange.Link, frames []parcel.Frame, ended func(envelope.ID)) ([]parcel.Frame, error) {
	return h.takeIn(ctx, &intake{l: l, ended: ended}, frames)
}

// receiveCarried is receive of frames from a courier file: only what the peer signed is its word.
func (h *House) receiveCarried(ctx context.Context, l exchange.Link, frames []parcel.Frame) ([]parcel.Frame, error) {
	return h.takeIn(ctx, &intake{l: l, carried: true, ended: func(envelope.ID) {}}, frames)
}

func (h *House) takeIn(ctx context.Context, in *intake, frames []parcel.Frame) ([]parcel.Frame, error) {
	if h.frozen(in.l) {
		return nil, fault.New(fault.Unavailable, LinkRestored, "The other node was restored from a backup and only reads this link; its operator pairs anew.")
	}
	if len(frames) == 0 { // as of a peer that polls
		return nil, nil
	}
	in.h, in.state, in.looked = h, h.link(in.l.ID), map[look]bool{}
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
	kin     *kin // what is known of the peer's identity
	state   *linkState
	answers []parcel.Frame
	looked  map[look]bool // at what is missing of these parcels: a peer that repeats itself costs one look
	woke    bool          // something for the sender to do
	carried bool          // in a file: no connection tells whose the frames are
	ended   func(envelope.ID)

	granting bool // a registered statement of ours may have its receipt: its grant is due
}

// look is what a frame of a kind had us look at.
type look struct {
	kind   parcel.FrameKind
	parcel envelope.ID
}

// take sorts frames by kind and takes each kind in an order in which nothing waits for a later one.
func (in *intake) take(ctx context.Context, frames []parcel.Frame) error {
	var receipts []*arrivedReceipt
	var parcels, grants []*arrival
	var identities [][]byte
	for _, f := range frames {
		switch f.Kind {
		case parcel.FrameIdentity:
			identities = append(identities, f.Payload)
		case parcel.FrameReceipt:
			receipts = append(receipts, &arrivedReceipt{frame: f})
		case parcel.FrameParcel:
			parcels = append(parcels, &arrival{frame: f})
		case parcel.FrameGrant:
			grants = append(grants, &arrival{frame: f})
		}
	}
	if err := in.identities(ctx, identities); err != nil {
		return err
	}
	if err := in.receipts(ctx, receipts); err != nil {
		return err
	}
	for _, batch := range [][]*arrival{parcels, grants} {
		if err := in.parcels(ctx, batch); err != nil {
			return err
		}
	}
	var segments []parcel.Frame
	for _, f := range frames {
		var err error
		switch f.Kind {
		case parcel.FrameParcel, parcel.FrameReceipt, parcel.FrameGrant, parcel.FrameIdentity:
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

// arrival is a parcel frame, or a grant, on its way in.
type arrival struct {
	frame    parcel.Frame
	env      *envelope.Envelope
	header   *parcel.Header   // of a grant: the registered one, at the grant's place
	grant    *parcel.Grant    // nil unless it is one
	held     *exchange.Parcel // what it is the grant of
	hash     envelope.Hash    // of the payload
	inline   []byte
	refusal  string // code: the parcel is refused with a signed receipt, its sequence is used up
	rejected string // code: it could not be opened
	content  *statement.Content
	text     *statement.Text
	body     []byte // at rest
	wrapped  []byte
	broken   *fault.Error // the frame is not taken at all
	receipts []*ourReceipt
}

// ourReceipt is a receipt that we give.
type ourReceipt struct {
	receipt *parcel.Receipt // nil if it was given before
	payload []byte
	row     exchange.Receipt
	signed  []envelope.Signature
}

// maxOpened bounds the sealed bytes that the grants of one transaction open. Parcels come with their content, and what a request has
// of that is bounded; a grant is small, and opens what came before.
const maxOpened = 8 << 20

// parcels takes parcels and grants, so many at a time that memory is bounded.
func (in *intake) parcels(ctx context.Context, batch []*arrival) error {
	weights, err := in.weigh(ctx, batch)
	if err != nil {
		return err
	}
	for len(batch) > 0 {
		n, opened := 1, weights[0]
		for n < len(batch) && opened+weights[n] <= maxOpened {
			opened += weights[n]
			n++
		}
		if err := in.together(ctx, batch[:n]); err != nil {
			return err
		}
		batch, weights = batch[n:], weights[n:]
	}
	return nil
}

// weigh says how much each of a batch would open that it does not hold itself. What is no grant of something known weighs nothing:
// it is looked at closely later.
func (in *intake) weigh(ctx context.Context, batch []*arrival) ([]int64, error) {
	weights := make([]int64, len(batch))
	of := map[int]envelope.Hash{}
	for i, a := range batch {
		if a.frame.Kind != parcel.FrameGrant {
			continue
		}
		if env, err := envelope.DecodeEnvelope(a.frame.Payload); err == nil {
			if g, err := parcel.DecodeGrant(env.Payload); err == nil {
				of[i] = g.Header
			}
		}
	}
	if len(of) == 0 {
		return weights, nil
	}
	err := in.h.cfg.Store.View(ctx, func(tx Tx) error {
		for i, header := range of {
			p, err := tx.ParcelByHeader(ctx, header)
			if err != nil && !notFound(err) {
				return err
			}
			weights[i] = p.Length
		}
		return nil
	})
	return weights, err
}

// together takes parcels: what needs no transaction first and in parallel, then one transaction for all.
func (in *intake) together(ctx context.Context, batch []*arrival) error {
	parallel(len(batch), func(i int) {
		if batch[i].frame.Kind == parcel.FrameGrant {
			in.examineGrant(ctx, batch[i])
			return
		}
		in.examine(ctx, batch[i])
	})
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
	in.answering(good)
	if err := in.signReceipts(ctx, good); err != nil {
		return err
	}
	for _, a := range good {
		if a.broken != nil {
			in.refuse(headerID(a), a.broken.Code, a.broken.Public)
			continue
		}
		if a.header.File != nil || a.content != nil && len(a.content.Files) > 0 {
			in.h.stir(in.l.ID) // statement and files come in any order
		}
		if a.held != nil && a.held.Content == nil {
			in.h.dropPieces(ctx, a.held.ID, a.held.Blob)
		}
		if a.text != nil && a.text.Kind == "participation.withdraw" {
			in.h.roundDue(in.l.ID) // the closing checkpoint
		}
		for _, r := range a.receipts {
			if err := in.answerReceipt(r); err != nil {
				return err
			}
		}
		if len(a.receipts) > 0 || in.looked[look{parcel.FrameParcel, a.header.ID}] {
			continue
		}
		in.looked[look{parcel.FrameParcel, a.header.ID}] = true
		if err := in.answerMissing(ctx, a.header); err != nil {
			return err
		}
	}
	return nil
}

// answering keeps in mind what an accepting transaction has stored, and where the receipts begin that the answer carries.
func (in *intake) answering(batch []*arrival) {
	begin := int64(0)
	for _, a := range batch {
		in.h.recallArrival(a)
		for _, r := range a.receipts {
			if r.receipt != nil && (begin == 0 || r.row.Log < begin) {
				begin = r.row.Log
			}
		}
	}
	if begin > 0 {
		in.state.mu.Lock()
		in.state.unheard = [2]int64{in.state.unheard[1], begin}
		in.state.mu.Unlock()
	}
}

// recallArrival keeps in mind what the transaction that took a parcel has stored.
func (h *House) recallArrival(a *arrival) {
	if a.broken != nil {
		return
	}
	if a.frame.Kind == parcel.FrameParcel {
		h.docs.add(a.hash, paper{header: a.header})
	}
	h.recallReceipts(a.receipts)
}

func (h *House) recallReceipts(ours []*ourReceipt) {
	for _, r := range ours {
		if r.receipt != nil {
			h.docs.add(r.row.Hash, paper{receipt: r.receipt})
		}
	}
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
	signer, broken := in.signer(ctx, ledger.Sent)(hd.Identity, a.env.Payload)
	if broken != nil {
		a.header, a.broken = hd, broken
		return
	}
	if _, err := h.verifiers.of(h.cfg.Registry, signer).Verify(a.env, parcel.HeaderType); err != nil {
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
	if a.broken == nil && a.refusal == "" && len(a.inline) > 0 {
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
	case hd.Expires-hd.Created > agreement.Limits.Expiry*1e6:
		a.refusal = "expiry"
	case !sameSuites(hd.Suites, agreement.Suites):
		a.refusal = "suites"
	case hd.File != nil && hd.Length > agreement.Limits.FileBytes+agreement.Limits.FileBytes/1024+(4<<20):
		a.refusal = "file_size"
	case hd.File == nil && hd.Length > 8<<20:
		a.refusal = "content_size"
	case hd.Registered && checkRegistered(agreement, hd.Lane) != nil:
		a.refusal = "registered"
	case !in.h.cfg.Keys.Opens(hd.Recipient):
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
	if a.header.File != nil || a.header.Registered {
		return // a small file is opened when its statement is known, a registered statement when its grant has come
	}
	var err error
	if a.content, a.text, a.rejected, err = in.h.open(ctx, in.l, a.header, bytes.NewReader(a.inline)); err != nil {
		a.broken = fault.Wrap(fault.Unavailable, "open", "The statement could not be opened now; nothing was lost.", err)
	}
	if a.rejected != "" || err != nil {
		return
	}
	a.body, a.wrapped, a.broken = in.h.restBody(a.content, a.header.Text)
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
