package flow

import (
	"context"
	"fmt"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// arrivedReceipt is a receipt of the peer about one of our parcels, on its way in.
type arrivedReceipt struct {
	frame   parcel.Frame
	env     *envelope.Envelope
	receipt *parcel.Receipt
	hash    envelope.Hash
	broken  *fault.Error
	stored  bool // its transaction stored it
	late    bool // it changed nothing: its epoch is not open
}

// receipts takes the peer's receipts: each is verified, entered in our ledger, and moves its parcel on.
func (in *intake) receipts(ctx context.Context, batch []*arrivedReceipt) error {
	if len(batch) == 0 {
		return nil
	}
	parallel(len(batch), func(i int) { in.examineReceipt(ctx, batch[i]) })
	var good []*arrivedReceipt
	for _, r := range batch {
		if r.broken != nil && fault.KindOf(r.broken) == fault.Unavailable {
			return r.broken
		}
		if r.broken != nil {
			in.refuse(nil, r.broken.Code, r.broken.Public)
			continue
		}
		good = append(good, r)
	}
	if len(good) == 0 {
		return nil
	}
	var saved func()
	var blobs []string
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		if saved, err = in.h.putSignatures(ctx, tx, in.l.ID); err != nil {
			return err
		}
		blobs, err = in.enterReceipts(ctx, tx, good)
		return err
	})
	if err != nil {
		return err
	}
	saved()
	in.state.roomy()
	for _, r := range good {
		if r.stored {
			in.h.docs.add(r.hash, paper{receipt: r.receipt})
		}
	}
	for _, blob := range blobs {
		in.h.drop(ctx, blob)
	}
	for _, r := range good {
		switch {
		case !r.late:
			in.ended(r.receipt.Parcel)
		case r.receipt.Log.Epoch > in.l.PeerEpoch:
			in.refuse(nil, codeEpoch, "The receipt is of an epoch that is not open here.")
		}
	}
	if in.granting {
		in.h.stir(in.l.ID)
	}
	return nil
}

func (in *intake) examineReceipt(ctx context.Context, a *arrivedReceipt) {
	env, r, err := in.openReceipt(in.signer(ctx, ledger.ReceiptOut), a.frame.Payload)
	if err != nil {
		a.broken = err
		return
	}
	a.env, a.receipt, a.hash = env, r, envelope.Sum(env.Payload)
}

// enterReceipts is the transaction that takes receipts in. It returns the blobs of those of our parcels that have come to their
// end: what was sealed for the peer is not needed any more.
func (in *intake) enterReceipts(ctx context.Context, tx Tx, batch []*arrivedReceipt) (blobs []string, err error) {
	h := in.h
	l, err := tx.Link(ctx, in.l.ID)
	if err != nil {
		return nil, err
	}
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return nil, err
	}
	ids := make([]envelope.ID, len(batch))
	headers, hashes := make([]envelope.Hash, len(batch)), make([]envelope.Hash, len(batch))
	for i, a := range batch {
		ids[i], headers[i], hashes[i] = a.receipt.Parcel, a.receipt.Header, a.hash
	}
	parcels, err := tx.ParcelsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	before, err := tx.ReceiptsOfMany(ctx, headers)
	if err != nil {
		return nil, err
	}
	said, err := h.docs.papers(ctx, tx, headers)
	if err != nil {
		return nil, err
	}
	shown, err := tx.Documents(ctx, hashes) // of these the leaf came first
	if err != nil {
		return nil, err
	}
	var rows []exchange.Receipt
	var documents []exchange.Document
	changed := map[envelope.ID]bool{}
	lanes := map[statement.Lane]bool{}
	for _, a := range batch {
		r := a.receipt
		a.stored = false
		a.late = false
		p, ok := parcels[r.Parcel]
		if !ok || p.Author != h.self || p.Header != r.Header || p.Link != l.ID {
			h.cfg.Count.Refused("peer", "receipt_unknown")
			continue
		}
		known, conflict := sameReceipt(before[r.Header], a)
		if known {
			if heldAgain(p, r) && r.Log.Epoch == l.PeerEpoch {
				p.State = exchange.Received
				parcels[r.Parcel], changed[r.Parcel] = p, true
			}
			continue
		}
		if conflict {
			if err := h.evidence(ctx, tx, l.ID, "receipt_equivocation", "The peer gave two receipts that contradict each other for one parcel.", a.frame.Payload); err != nil {
				return nil, err
			}
			h.cfg.Count.Refused("peer", "receipt_equivocation")
			continue
		}
		if late, err := h.late(ctx, tx, l, r, p); late || err != nil {
			if err != nil {
				return nil, err
			}
			h.cfg.Count.Refused("peer", "receipt_late")
			a.late = true
			continue
		}
		described, err := described(ctx, tx, said[r.Header])
		if err != nil {
			return nil, err
		}
		if !fits(r, p, described) {
			if err := h.evidence(ctx, tx, l.ID, "receipt_differs", "The peer's receipt names our header, but describes another parcel.", a.frame.Payload); err != nil {
				return nil, err
			}
			h.cfg.Count.Refused("peer", "receipt_differs")
			continue
		}
		stale, bogus, err := h.checkStale(ctx, tx, l, p, r)
		if err != nil {
			return nil, err
		}
		if bogus {
			if err := h.evidence(ctx, tx, l.ID, "stale_citation", "The peer's receipt cites one of ours that does not show what it claims.", a.frame.Payload); err != nil {
				return nil, err
			}
			h.cfg.Count.Refused("peer", "stale_citation")
			continue
		}
		if _, err := b.enter(h.now(), ledger.ReceiptIn, r.Lane, r.Seq, a.hash); err != nil {
			return nil, err
		}
		row := exchange.Receipt{Hash: a.hash, Link: l.ID, Author: l.Peer, Kind: string(r.Kind), Header: r.Header, Parcel: r.Parcel, Lane: r.Lane,
			Epoch: r.Epoch, Seq: r.Seq, ContiguousTo: r.ContiguousTo, At: r.At, Index: -1, Log: r.Log.Index, LogEpoch: r.Log.Epoch}
		if _, ok := shown[a.hash]; ok {
			if row.Index, err = shownPlace(ctx, tx, r, a.hash); err != nil {
				return nil, err
			}
		}
		a.stored = true
		before[r.Header] = append(before[r.Header], row)
		rows = append(rows, row)
		documents = append(documents, exchange.Document{Hash: a.hash, Link: l.ID, Type: parcel.ReceiptType, Payload: a.env.Payload, Signatures: a.env.Signatures})
		parcels[r.Parcel] = advance(p, r, stale)
		in.granting = in.granting || p.File == exchange.OfRegistered
		changed[r.Parcel] = true
		lanes[r.Lane] = lanes[r.Lane] || r.Seq > 0
	}
	if len(changed) == 0 {
		return nil, nil
	}
	var updates []exchange.Parcel
	for id := range changed {
		p := parcels[id]
		updates = append(updates, p)
		if p.State == exchange.Refused && p.File == exchange.OfRegistered {
			dropped, err := h.neverGranted(ctx, tx, p, p.State, p.Reason)
			if err != nil {
				return nil, err
			}
			blobs = append(blobs, dropped...)
		}
		if p.Blob != "" && p.State.Ended() {
			blobs = append(blobs, p.Blob)
			if err := tx.DropSegments(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	if err := tx.PutReceipts(ctx, rows...); err != nil {
		return nil, err
	}
	if err := tx.PutDocuments(ctx, documents...); err != nil {
		return nil, err
	}
	if err := tx.AdvanceParcels(ctx, updates); err != nil {
		return nil, err
	}
	if err := b.close(ctx, tx); err != nil {
		return nil, err
	}
	refused, err := h.refusals(ctx, tx, updates)
	if err != nil {
		return nil, err
	}
	if err := h.announce(ctx, tx, l, refused...); err != nil {
		return nil, err
	}
	for lane, said := range lanes {
		if !said {
			continue
		}
		if err := h.foldLane(ctx, tx, l, lane); err != nil {
			return nil, err
		}
	}
	return blobs, nil
}

// sameReceipt says whether a receipt is known already, or contradicts one that is: a parcel is received or refused once,
// and opened or rejected once, and what was refused is neither. What a party says again in a later epoch, since it lost its word,
// counts as known: the first word stands.
func sameReceipt(before []exchange.Receipt, a *arrivedReceipt) (known, conflict bool) {
	for _, old := range before {
		if old.Hash == a.hash {
			return true, false
		}
		if old.Author == a.receipt.From && !goTogether(parcel.ReceiptKind(old.Kind), a.receipt.Kind) {
			if old.LogEpoch != a.receipt.Log.Epoch {
				known = true
				continue
			}
			conflict = true
		}
	}
	return known && !conflict, conflict
}

// heldAgain says whether a receipt tells that a file which its party had receipted and lost, and which is sent again, has come to it
// again. The first receipt stands.
func heldAgain(p exchange.Parcel, r *parcel.Receipt) bool {
	return p.File >= 0 && (p.State == exchange.Sending || p.State == exchange.Unsaid) && r.Kind == parcel.Received &&
		p.Received != 0 && p.GotEpoch < r.Log.Epoch
}

// goTogether says whether one parcel may have receipts of both kinds: only received goes with another, opened or rejected.
func goTogether(a, b parcel.ReceiptKind) bool {
	return a != parcel.Refused && b != parcel.Refused && (a == parcel.Received) != (b == parcel.Received)
}

// fits says whether a receipt describes the parcel whose header it names: its place and its content.
// Of a registered parcel nobody can say yet whether it opens.
func fits(r *parcel.Receipt, p exchange.Parcel, hd *parcel.Header) bool {
	if hd.Registered && (r.Kind == parcel.Opened || r.Kind == parcel.Rejected) {
		return false
	}
	return r.Root == hd.Root && r.Epoch == p.Epoch && r.Lane == p.Lane && r.Seq == p.Seq
}

// advance moves one of our parcels on by a receipt. Receipts may come in any order: what is final stays.
func advance(p exchange.Parcel, r *parcel.Receipt, stale bool) exchange.Parcel {
	switch r.Kind {
	case parcel.Received:
		p.Received, p.GotEpoch, p.GotIndex, p.Stale = r.At, r.Log.Epoch, r.Log.Index, stale
		if p.State == exchange.Sending || p.State == exchange.Unsaid {
			p.State = exchange.Received
			if p.File == exchange.OfRegistered {
				p.State = exchange.Held
			}
		}
	case parcel.Refused:
		p.Received, p.GotEpoch, p.GotIndex, p.State, p.Reason = r.At, r.Log.Epoch, r.Log.Index, exchange.Refused, r.Reason
	case parcel.Opened:
		p.State = exchange.Opened
	case parcel.Rejected:
		p.State, p.Reason = exchange.Rejected, r.Reason
	}
	return p
}

// checkStale checks a citation in a received receipt: it must be one of our own receipts in that lane, entered before the
// parcel's leaf, that had more than the parcel's seen admits. Only received and refused are given along with the leaf that they
// name; what opened or rejected says of the lane may be of a later time.
func (h *House) checkStale(ctx context.Context, tx Tx, l exchange.Link, p exchange.Parcel, r *parcel.Receipt) (stale, bogus bool, err error) {
	if r.Stale == nil {
		return false, false, nil
	}
	doc, err := tx.Document(ctx, *r.Stale)
	if notFound(err) {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	cited, err := parcel.DecodeReceipt(doc.Payload)
	if err != nil || doc.Type != parcel.ReceiptType {
		return false, true, nil
	}
	first := cited.Kind == parcel.Received || cited.Kind == parcel.Refused
	shows := first && cited.From == h.self && cited.Link == l.ID && cited.Lane == p.Lane && cited.Log.Epoch == p.Epoch &&
		(cited.Epoch == p.SeenEpoch && cited.ContiguousTo > p.SeenSeq || cited.Epoch > p.SeenEpoch && cited.ContiguousTo > 0) && cited.Log.Index < p.SentIndex
	return shows, !shows, nil
}

// openReceipt decodes and verifies a receipt of the peer.
func (in *intake) openReceipt(signed signedBy, data []byte) (*envelope.Envelope, *parcel.Receipt, *fault.Error) {
	env, r, broken := openSigned(in.h, signed, data, "receipt", parcel.ReceiptType, parcel.DecodeReceipt, func(r *parcel.Receipt) int { return r.Identity })
	if broken == nil && (r.Link != in.l.ID || r.From != in.l.Peer || r.To != in.h.self) {
		return nil, nil, fault.New(fault.Forbidden, "addressee", "The receipt is not for this link and these parties.")
	}
	return env, r, broken
}

// want remembers what the peer asked for; the next deliveries carry it.
func (in *intake) want(f parcel.Frame) error {
	var w parcel.WantFrame
	if err := parcel.DecodeFrame(f, parcel.FrameWant, &w); err != nil {
		in.refuse(nil, "want", "The wish is malformed: "+plain(err)+".")
		return nil
	}
	s := in.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.Parcel != nil && (len(s.outflows) < maxWants || s.outflows[*w.Parcel] != nil) {
		s.outflow(*w.Parcel).wanted(w.Segments)
	}
	for _, doc := range w.Docs {
		if len(s.docs) < maxWants {
			s.docs[doc] = true
		}
	}
	if w.Leaves != nil && w.Epoch == in.l.OwnEpoch {
		s.have = *w.Leaves
	}
	in.woke = true
	return nil
}

// maxWants bounds what a peer may have us remember for it.
const maxWants = 4096

// refusal notes that the peer could not take a frame of ours.
func (in *intake) refusal(ctx context.Context, f parcel.Frame) error {
	var r parcel.RefusalFrame
	if err := parcel.DecodeFrame(f, parcel.FrameRefusal, &r); err != nil {
		in.h.cfg.Count.Refused("peer", "refusal")
		return nil
	}
	in.h.warn(in.l.ID, "the peer could not take a frame", "code", r.Code, "sentence", r.Sentence)
	if r.Code == codeEpoch { // it does not know our epoch, as after a restore
		in.state.showOpening(in.h.now())
		in.woke = true
	}
	if r.Code == codeEpochTime && r.NotBefore > 0 {
		return in.openLater(ctx, r.NotBefore)
	}
	if r.Code == "identity_version" || r.Code == "identity_prev" {
		in.state.mu.Lock()
		in.state.lacks = true
		in.state.mu.Unlock()
	}
	if r.Parcel == nil {
		return nil
	}
	id := *r.Parcel
	in.ended(id)
	in.state.forget(id) // what was wished for along with the refusal waits as well
	return in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		p, err := tx.Parcel(ctx, id)
		if notFound(err) || err == nil && (p.Author != in.h.self || p.Link != in.l.ID || p.State != exchange.Sending) {
			return nil
		}
		if err != nil {
			return err
		}
		wait := exchange.Backoff(p.Attempts+1, 0)
		if err := tx.SetTries(ctx, []envelope.ID{id}, p.Attempts+1, in.h.now()+wait.Microseconds()); err != nil {
			return fmt.Errorf("putting a refused parcel back: %w", err)
		}
		return nil
	})
}
