package flow

import (
	"context"
	"errors"
	"fmt"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// The peer opened a new epoch of its ledger: the former one ends with what we hold of it (docs/spec/ledger.md, section 5).

// opening takes the peer's word that it opened a new epoch: the former ones end with what we hold of them in this transaction.
func (in *intake) opening(ctx context.Context, f parcel.Frame) error {
	env, o, leaf, broken := in.examineOpening(f)
	if broken != nil {
		in.refuse(nil, broken.Code, broken.Public)
		return nil
	}
	var t *takingOpening
	err := in.h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		t = &takingOpening{h: in.h, tx: tx, o: o}
		return t.take(ctx, in.l.ID, env, leaf)
	})
	if err != nil {
		return err
	}
	if t.notBefore > 0 {
		return in.refuseBefore(t.broken, t.notBefore)
	}
	if t.broken != nil {
		in.refuse(nil, t.broken.Code, t.broken.Public)
		return nil
	}
	in.l = t.l
	if err := in.h.cosignHeads(ctx, in.l, in.kin.stands); err != nil { // of what ends its note is the proof, and the last
		return err
	}
	if t.fresh {
		in.h.cfg.Log.Info("the peer opened a new epoch", "link", in.l.Alias, "epoch", o.Epoch, "reason", o.Reason)
		in.h.epochEnded(ctx, in.l.ID, t.dropped)
	}
	return in.answerOpening(ctx, envelope.Sum(env.Payload), t.fresh)
}

// examineOpening checks all that needs no store: the identity's and the log's signatures, and that leaf 0 records the opening.
func (in *intake) examineOpening(f parcel.Frame) (*envelope.Envelope, *parcel.Opening, []byte, *fault.Error) {
	fail := func(code, sentence string, err error) (*envelope.Envelope, *parcel.Opening, []byte, *fault.Error) {
		return nil, nil, nil, fault.Wrap(fault.Invalid, code, sentence, err)
	}
	var shown parcel.OpeningFrame
	if err := parcel.DecodeFrame(f, parcel.FrameOpening, &shown); err != nil {
		return fail("opening", "The opening is malformed: "+plain(err)+".", err)
	}
	env, err := envelope.DecodeEnvelope(shown.Envelope)
	if err != nil {
		return fail("envelope", "The opening's envelope is malformed.", err)
	}
	o, err := parcel.DecodeOpening(env.Payload)
	if err != nil {
		return fail("opening", "The opening is malformed: "+plain(err)+".", err)
	}
	signer, broken := in.known(o.Identity, env.Payload)
	if broken != nil {
		return nil, nil, nil, broken
	}
	if _, err := in.h.cfg.Registry.Verify(env, parcel.OpeningType, signer.KeySet()); err != nil {
		return fail("signature", "The opening's signature does not verify.", err)
	}
	if o.Link != in.l.ID || o.From != in.l.Peer || o.To != in.h.self {
		return fail("addressee", "The opening is not for this link and these parties.", nil)
	}
	want, err := openingLeaf(o, envelope.Sum(env.Payload)).Encode()
	if err != nil || string(want) != string(shown.Leaf) {
		return fail("opening_leaf", "The first leaf does not record the opening.", err)
	}
	newest, broken := in.newestSigner(len(in.kin.stands.Versions)) // whoever had replaced keys alone opens no epoch
	if broken != nil {
		return nil, nil, nil, broken
	}
	c, err := ledger.OpenCheckpoint(shown.Checkpoint, ledger.Origin(o.Link, o.From, o.Epoch), newest.Log)
	if err != nil {
		return fail("checkpoint", "The checkpoint of the new epoch does not verify.", err)
	}
	if c.Size != 1 || c.Root != envelope.Hash(tlog.RecordHash(shown.Leaf)) {
		return fail("checkpoint", "The checkpoint of the new epoch is not of its first leaf.", nil)
	}
	return env, o, shown.Leaf, nil
}

// takingOpening is the transaction that takes an opening.
type takingOpening struct {
	h       *House
	tx      Tx
	o       *parcel.Opening
	l       exchange.Link
	fresh   bool
	dropped []envelope.ID // parcels of which a part had come, whose author begins anew
	broken  *fault.Error

	notBefore int64 // with broken: when the epoch may begin
}

func (t *takingOpening) take(ctx context.Context, link statement.LinkID, env *envelope.Envelope, leaf []byte) (err error) {
	if t.l, err = t.tx.Link(ctx, link); err != nil {
		return err
	}
	doc := exchange.Document{Hash: envelope.Sum(env.Payload), Link: link, Type: parcel.OpeningType, Payload: env.Payload, Signatures: env.Signatures}
	switch {
	case t.o.Epoch < t.l.PeerEpoch: // late, or of a life that a later restore undid: no lie by itself
		t.broken = fault.New(fault.Conflict, codeEpochTime, "A later epoch is open here; open another.")
		t.notBefore = (int64(t.l.PeerEpoch) + 1) * 1e6
		return nil
	case t.o.Epoch == t.l.PeerEpoch:
		if _, err := t.tx.Document(ctx, doc.Hash); !notFound(err) {
			return err
		}
		return t.lie(ctx, "epoch_equivocation", "The peer opened one epoch twice, differently.", env.Payload)
	}
	if stop, err := t.continues(ctx, env.Payload); stop || err != nil {
		return err
	}
	t.fresh = true
	if err := t.tx.PutDocuments(ctx, doc); err != nil {
		return err
	}
	if err := t.end(ctx); err != nil {
		return err
	}
	b, err := openBook(ctx, t.tx, link, t.l.Peer, t.o.Epoch)
	if err != nil {
		return err
	}
	if err := errors.Join(b.add(leaf, doc.Hash, ledger.EpochLeaf, t.o.Created), b.close(ctx, t.tx)); err != nil {
		return err
	}
	if err := t.resend(ctx); err != nil {
		return err
	}
	if err := t.date(ctx); err != nil {
		return err
	}
	t.l.PeerEpoch = t.o.Epoch
	if err := t.tx.PutLink(ctx, t.l); err != nil {
		return err
	}
	for _, lane := range statement.Lanes() {
		if err := t.h.foldLane(ctx, t.tx, t.l, lane); err != nil {
			return err
		}
	}
	return t.h.audit(ctx, t.tx, actor.System().Name, fmt.Sprintf("the peer opened epoch %d (%s)", t.o.Epoch, t.o.Reason), t.l.Alias)
}

func (t *takingOpening) lie(ctx context.Context, code, note string, data []byte) error {
	t.broken = fault.New(fault.Conflict, code, "This contradicts what was signed before; it is kept as evidence.")
	return t.h.evidence(ctx, t.tx, t.l.ID, code, note, data)
}

// continues checks that the heads which the opening names are of the log that we mirror, and that times do not run back.
func (t *takingOpening) continues(ctx context.Context, data []byte) (stop bool, err error) {
	mirror, err := t.tx.Log(ctx, t.l.ID, t.l.Peer, t.l.PeerEpoch)
	if err != nil {
		return true, err
	}
	if t.o.Created < mirror.LastTime {
		t.broken = fault.New(fault.Conflict, codeEpochTime, "The epoch begins before the end of the former one; open another.")
		t.notBefore = mirror.LastTime
		return true, nil
	}
	heads := t.o.Heads()
	if t.o.Cosigned != nil {
		heads = append(heads, *t.o.Cosigned)
	}
	for _, head := range heads {
		log, err := t.tx.Log(ctx, t.l.ID, t.l.Peer, head.Epoch)
		if err != nil {
			return true, err
		}
		if head.Size > log.Size {
			continue // more than we have seen
		}
		root, err := ledger.TreeRoot(head.Size, t.tx.HashReader(ctx, t.l.ID, t.l.Peer, head.Epoch))
		if err != nil {
			return true, err
		}
		if root != head.Root {
			return true, t.lie(ctx, "ledger_forked", "The peer opened an epoch on a past that is not the one it showed before.", data)
		}
	}
	return false, nil
}

// end notes how far the peer still had its former epochs, and drops what had come in part in them.
func (t *takingOpening) end(ctx context.Context) error {
	logs, err := t.tx.Logs(ctx, t.l.ID)
	if err != nil {
		return err
	}
	heads := t.o.Heads()
	kept := map[uint32]int64{}
	for _, head := range heads {
		kept[head.Epoch] = head.Size
	}
	for _, log := range logs {
		if log.Party != t.l.Peer || log.Epoch < heads[0].Epoch {
			continue
		}
		now := kept[log.Epoch] // nothing of an epoch that the peer does not know any more
		delete(kept, log.Epoch)
		if log.Epoch < t.l.PeerEpoch {
			now = min(now, log.Kept)
		}
		log.Kept = now
		if log.CosignedSize > log.Size { // recalled, and its leaves will not be shown any more
			log.CosignedSize, log.CosignedNote, log.CosignedAt = 0, nil, 0
		}
		if err := t.tx.PutLog(ctx, log); err != nil {
			return err
		}
	}
	for epoch, size := range kept { // epochs that ended before we heard of them
		if err := t.tx.PutLog(ctx, exchange.Log{Link: t.l.ID, Party: t.l.Peer, Epoch: epoch, Kept: size}); err != nil {
			return err
		}
	}
	rows, err := t.tx.ParcelsIn(ctx, t.l.ID, t.l.Peer, exchange.Arriving, exchange.Parcel{}, 1<<20)
	if err != nil {
		return err
	}
	for _, p := range rows {
		t.dropped = append(t.dropped, p.ID)
	}
	return t.tx.DropParcels(ctx, t.dropped...)
}

// resend makes due again our files that a restored peer receipted in an epoch that has ended and has not opened: what was sealed for
// it is in no backup of its own.
func (t *takingOpening) resend(ctx context.Context) error {
	if t.o.Reason != reasonRestored {
		return nil
	}
	rows, err := t.tx.ParcelsIn(ctx, t.l.ID, t.h.self, exchange.Received, exchange.Parcel{}, 1<<20)
	if err != nil {
		return err
	}
	for _, p := range rows {
		if p.File < 0 || p.GotEpoch >= t.o.Epoch {
			continue
		}
		p.State, p.NextTry, p.Attempts = exchange.Sending, 0, 0
		if p.Epoch != t.l.OwnEpoch {
			p.State = exchange.Unsaid
		}
		if err := t.tx.UpdateParcels(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// refuseBefore refuses an opening with the time that the epoch may begin at.
func (in *intake) refuseBefore(broken *fault.Error, at int64) error {
	in.h.cfg.Count.Refused("peer", broken.Code)
	return in.answerFrame(parcel.FrameRefusal, parcel.RefusalFrame{Code: broken.Code, Sentence: broken.Public, NotBefore: at})
}

// openLater opens another epoch in place of one that began before the end of a former one which we forgot: our clock was ahead then.
func (in *intake) openLater(ctx context.Context, at int64) error {
	opened := false
	in.h.turning.Lock()
	defer in.h.turning.Unlock()
	err := in.h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		opened = false
		l, err := tx.Link(ctx, in.l.ID)
		if err != nil || l.Catching == exchange.CaughtUp || at > in.h.now()+mostAhead.Microseconds() {
			return err
		}
		log, err := tx.Log(ctx, l.ID, in.h.self, l.OwnEpoch)
		if err != nil || log.LastTime >= at {
			return err
		}
		opened = true
		reason := reasonByHand
		if forgetful(l) {
			reason = reasonRestored
		}
		return in.h.openEpoch(ctx, tx, l, reason, l.Catching, at)
	})
	if err == nil && opened {
		in.h.reopened(in.l.ID)
	}
	return err
}

// date gives what the peer ended in a former epoch, and whose first receipt never came and is forgotten, the time of the receipt
// that did come. Both sides fold with it: it is all that there is.
func (t *takingOpening) date(ctx context.Context) error {
	lanes, err := t.tx.LanesOf(ctx, t.l.ID)
	if err != nil {
		return err
	}
	for _, s := range lanes {
		if s.Author != t.h.self {
			continue
		}
		for after := s.Folded; ; {
			run, err := t.tx.ParcelRun(ctx, t.l.ID, s.Author, s.Epoch, s.Lane, after, foldBatch)
			if err != nil {
				return err
			}
			for _, p := range run {
				after = p.Seq
				if p.Received != 0 || !p.State.Ended() {
					continue
				}
				if err := t.dateOne(ctx, p); err != nil {
					return err
				}
			}
			if len(run) < foldBatch {
				break
			}
		}
	}
	return nil
}

func (t *takingOpening) dateOne(ctx context.Context, p exchange.Parcel) error {
	receipts, err := t.tx.ReceiptsOf(ctx, p.Header)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		if r.Author != t.l.Peer {
			continue
		}
		log, err := t.tx.Log(ctx, t.l.ID, t.l.Peer, r.LogEpoch)
		if err != nil || r.Log < log.Kept { // the peer still has the first one, and sends it
			return err
		}
		p.Received, p.GotEpoch, p.GotIndex = r.At, r.LogEpoch, r.Log
		return t.tx.AdvanceParcels(ctx, []exchange.Parcel{p})
	}
	return nil
}

// epochEnded forgets what was remembered of the peer's former epoch.
func (h *House) epochEnded(ctx context.Context, link statement.LinkID, dropped []envelope.ID) {
	s := h.link(link)
	s.mu.Lock()
	s.catch = catchUp{due: 1}
	s.mu.Unlock()
	for _, id := range dropped {
		s.forgetArrival(id)
		h.dropPieces(ctx, id, "")
	}
	h.stir(link)
	s.signal()
}

// late says whether a receipt is of an epoch of its author that is not open, and that its author has forgotten: then it changes
// nothing, since its author will receipt again. What the author still had when it opened the next epoch stands.
func (h *House) late(ctx context.Context, tx Tx, l exchange.Link, r *parcel.Receipt, p exchange.Parcel) (bool, error) {
	switch {
	case r.Log.Epoch == l.PeerEpoch:
		return false, nil
	case r.Log.Epoch > l.PeerEpoch:
		return true, nil
	}
	log, err := tx.Log(ctx, l.ID, l.Peer, r.Log.Epoch)
	if err != nil || r.Log.Index >= log.Kept || p.File < 0 || r.Kind != parcel.Received {
		return r.Log.Index >= log.Kept, err
	}
	return h.restoredSince(ctx, tx, l, r.Log.Epoch)
}

// restoredSince says whether the peer was restored after an epoch: then it lost the sealed files that it had not opened.
func (h *House) restoredSince(ctx context.Context, tx Tx, l exchange.Link, epoch uint32) (bool, error) {
	logs, err := tx.Logs(ctx, l.ID)
	if err != nil {
		return false, err
	}
	for _, log := range logs {
		if log.Party != l.Peer || log.Epoch <= epoch {
			continue
		}
		first, err := tx.Leaves(ctx, l.ID, l.Peer, log.Epoch, 0, 1)
		if err != nil {
			return false, err
		}
		if len(first) == 0 { // an epoch that ended before we heard of it
			continue
		}
		doc, err := tx.Document(ctx, first[0].Doc)
		if err != nil {
			return false, err
		}
		o, err := parcel.DecodeOpening(doc.Payload)
		if err != nil {
			return false, fmt.Errorf("reading a stored opening: %w", err)
		}
		if o.Reason == reasonRestored {
			return true, nil
		}
	}
	return false, nil
}
