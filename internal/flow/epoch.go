package flow

import (
	"context"
	"fmt"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// A node that was restored from a backup forgot what it said since. It opens a new epoch on each link, in which nothing can
// contradict what it forgot, and learns from the peer what the former epochs hold (docs/spec/ledger.md, section 5). Until it has,
// the link is frozen.

// RestoredKey is the meta key that a restore sets to its time (UTC microseconds, decimal), until the node is started.
const RestoredKey = "restored"

// LinkCatchingUp is the state of a link that is frozen since this node was restored, until it has caught up with the peer.
const LinkCatchingUp = "catching_up"

// codeEpochTime is the code of a refusal of an epoch that begins before the end of the former one.
const codeEpochTime = "epoch_time"

// mostAhead is how far ahead of our clock a peer may have an epoch begin, by what it says of the one that we forgot.
const mostAhead = 48 * time.Hour

// codeEpoch is the code of a refusal of what is of an epoch that is not open.
const codeEpoch = "epoch"

// Why an epoch was opened.
const reasonRestored = "restored"

// frozen says whether a link says and takes nothing until it has caught up.
func frozen(l exchange.Link) bool { return l.Catching == exchange.Frozen }

// forgetful says whether we may have cosigned more of the peer's ledger than we remember.
func forgetful(l exchange.Link) bool {
	return l.Catching == exchange.Frozen || l.Catching == exchange.Released
}

func frozenFault() error {
	return fault.New(fault.Conflict, LinkCatchingUp,
		"This node was restored from a backup and learns from the other party what it has forgotten; nothing is said until then. See \"entente links show\" for how far it is. If the other party gives nothing back: entente ledger epoch LINK --reason …")
}

// openRestored opens a new epoch on every link, once after a restore.
func (h *House) openRestored(ctx context.Context) error {
	return h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		value, err := tx.Meta(ctx, RestoredKey)
		if err != nil || value == nil {
			return err
		}
		links, err := tx.Links(ctx)
		if err != nil {
			return err
		}
		for _, l := range links {
			if err := h.loseFiles(ctx, tx, l); err != nil {
				return err
			}
			if err := h.openEpoch(ctx, tx, l, reasonRestored, exchange.Frozen, 0); err != nil {
				return fmt.Errorf("opening an epoch on link %s: %w", l.Alias, err)
			}
		}
		return tx.SetMeta(ctx, RestoredKey, nil)
	})
}

// loseFiles drops the rows of the peer's files whose sealed bytes no backup holds: they are sent again.
func (h *House) loseFiles(ctx context.Context, tx Tx, l exchange.Link) error {
	var ids []envelope.ID
	for last := (exchange.Parcel{}); ; {
		rows, err := tx.ParcelsIn(ctx, l.ID, l.Peer, exchange.Received, last, pageOfParcels)
		if err != nil {
			return err
		}
		for _, p := range rows {
			if last = p; p.File >= 0 {
				ids = append(ids, p.ID)
			}
		}
		if len(rows) < pageOfParcels {
			return tx.DropParcels(ctx, ids...)
		}
	}
}

// OpenEpoch opens a new epoch of our ledger by hand: where the peer refuses to go on with the present one, or does not give back
// what a restored node forgot. It ends the freezing of a link. What the peer holds of the former epochs stays to be learnt, and is
// learnt when the peer gives it; until then they are not folded to their end.
func (h *House) OpenEpoch(ctx context.Context, who actor.Actor, link statement.LinkID, reason string) (epoch uint32, err error) {
	if err := who.Need(actor.Operator); err != nil {
		return 0, err
	}
	if statement.CheckLine(reason, 200) != nil || reason == "" {
		return 0, fault.New(fault.Invalid, "reason", "Say in one line why a new epoch is opened; it is kept in the audit log.")
	}
	err = h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		how := exchange.CatchingUp
		if forgetful(l) {
			how = exchange.Released
		}
		if err := h.openEpoch(ctx, tx, l, "by_hand", how, 0); err != nil {
			return err
		}
		if l, err = tx.Link(ctx, link); err != nil {
			return err
		}
		epoch = l.OwnEpoch
		return h.audit(ctx, tx, who.Name, "open epoch: "+reason, l.Alias)
	})
	if err != nil {
		return 0, err
	}
	h.reopened(link)
	return epoch, nil
}

// reopened forgets what was remembered of the deliveries of a link in its former epoch.
func (h *House) reopened(link statement.LinkID) {
	s := h.link(link)
	s.mu.Lock()
	s.shown, s.old, s.have, s.fruitless, s.round, s.roundAfter = nil, -1, -1, 0, true, 0
	s.catch = catchUp{due: 1}
	s.mu.Unlock()
	s.signal()
}

// openEpoch makes the opening and leaf 0 of a new epoch. What is on its way in the former one, and not receipted, waits to be said
// again once it is known what the peer holds. The epoch begins at the given time, or now if that is later.
func (h *House) openEpoch(ctx context.Context, tx Tx, l exchange.Link, reason string, how exchange.Catching, from int64) error {
	former, err := tx.Log(ctx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return err
	}
	at := max(h.now(), former.LastTime, from)
	reader := tx.HashReader(ctx, l.ID, h.self, l.OwnEpoch)
	o := parcel.Opening{V: 1, Link: l.ID, From: h.self, To: l.Peer, Identity: h.cfg.Keys.Version(), Created: at,
		Epoch: parcel.EpochNumber(l.OwnEpoch, at), Reason: reason, Last: ledger.Head{Epoch: l.OwnEpoch, Size: former.Size}}
	if o.Last.Root, err = ledger.TreeRoot(former.Size, reader); err != nil {
		return err
	}
	if former.CosignedSize > 0 {
		o.Cosigned = &ledger.Head{Epoch: l.OwnEpoch, Size: former.CosignedSize}
		if o.Cosigned.Root, err = ledger.TreeRoot(former.CosignedSize, reader); err != nil {
			return err
		}
	}
	payload, err := o.Encode()
	if err != nil {
		return err
	}
	doc := exchange.Document{Hash: envelope.Sum(payload), Link: l.ID, Type: parcel.OpeningType, Payload: payload}
	if err := tx.PutDocuments(ctx, doc); err != nil {
		return err
	}
	leaf, err := openingLeaf(&o, doc.Hash).Encode()
	if err != nil {
		return err
	}
	if err := firstLeaf(ctx, tx, l.ID, h.self, &o, leaf, doc.Hash); err != nil {
		return err
	}
	if err := h.unsay(ctx, tx, l); err != nil {
		return err
	}
	if err := h.receiptAgain(ctx, tx, former); err != nil {
		return err
	}
	l.OwnEpoch, l.Opened, l.Catching = o.Epoch, h.now(), how
	return tx.PutLink(ctx, l)
}

// openingLeaf is leaf 0 of the epoch that an opening opens.
func openingLeaf(o *parcel.Opening, doc envelope.Hash) *ledger.Leaf {
	return &ledger.Leaf{V: 1, Epoch: o.Epoch, Time: o.Created, Kind: ledger.EpochLeaf, Doc: doc, Last: &o.Last, Peer: o.Cosigned}
}

// firstLeaf begins the log of an epoch, own or mirrored.
func firstLeaf(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, o *parcel.Opening, leaf []byte, doc envelope.Hash) error {
	b, err := openBook(ctx, tx, link, p, o.Epoch)
	if err != nil {
		return err
	}
	if err := b.add(leaf, doc, ledger.EpochLeaf, o.Created); err != nil {
		return err
	}
	return b.close(ctx, tx)
}

// unsay puts back what we gave a place and the peer has not receipted.
func (h *House) unsay(ctx context.Context, tx Tx, l exchange.Link) error {
	for {
		rows, err := tx.ParcelsIn(ctx, l.ID, h.self, exchange.Sending, exchange.Parcel{}, pageOfParcels)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			rows[i].State = exchange.Unsaid
		}
		if err := tx.UpdateParcels(ctx, rows...); err != nil {
			return err
		}
	}
}

// receiptAgain makes due again our receipts in a log that ends whose leaves the peer has not cosigned: it may lack them.
func (h *House) receiptAgain(ctx context.Context, tx Tx, former exchange.Log) error {
	for from := former.CosignedSize; from < former.Size; {
		rows, err := tx.Leaves(ctx, former.Link, former.Party, former.Epoch, from, verifyPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		var given []envelope.Hash
		for _, r := range rows {
			if from = r.Index + 1; r.Kind == string(ledger.ReceiptOut) {
				given = append(given, r.Doc)
			}
		}
		if err := tx.MarkReceiptsUnsent(ctx, given); err != nil {
			return err
		}
	}
	return nil
}

// openingFrame shows the peer the epoch that is open, with a checkpoint of its first leaf.
func (h *House) openingFrame(ctx context.Context, l exchange.Link) (f parcel.Frame, err error) {
	var docs []exchange.Document
	var leaf []byte
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.Leaves(ctx, l.ID, h.self, l.OwnEpoch, 0, 1)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fmt.Errorf("epoch %d has no leaf", l.OwnEpoch)
		}
		leaf = rows[0].Leaf
		doc, err := tx.Document(ctx, rows[0].Doc)
		docs = []exchange.Document{doc}
		return err
	})
	if err != nil {
		return f, err
	}
	if err := h.sign(ctx, l.ID, docs); err != nil {
		return f, err
	}
	env := envelope.Envelope{PayloadType: docs[0].Type, Payload: docs[0].Payload, Signatures: docs[0].Signatures}
	shown := parcel.OpeningFrame{Leaf: leaf}
	if shown.Envelope, err = env.Encode(); err != nil {
		return f, err
	}
	origin := ledger.Origin(l.ID, h.self, l.OwnEpoch)
	signers, err := h.cfg.Keys.LogSigners(origin)
	if err != nil {
		return f, err
	}
	c, err := ledger.SignCheckpoint(origin, 1, envelope.Hash(tlog.RecordHash(leaf)), signers...)
	if err != nil {
		return f, err
	}
	shown.Checkpoint = c.Note
	return parcel.EncodeFrame(parcel.FrameOpening, shown)
}

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
	if t.fresh {
		in.h.cfg.Log.Info("the peer opened a new epoch", "link", in.l.Alias, "epoch", o.Epoch, "reason", o.Reason)
		in.h.epochEnded(ctx, in.l.ID, t.dropped)
	}
	return in.answerOpening(ctx, envelope.Sum(env.Payload))
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
	signer, ok := in.signer(o.Identity)
	if !ok {
		return fail("identity_version", "The identity version that signed is not in force here; send the identity first.", nil)
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
	c, err := ledger.OpenCheckpoint(shown.Checkpoint, ledger.Origin(o.Link, o.From, o.Epoch), in.peer.Latest().Log)
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
	if err := firstLeaf(ctx, t.tx, link, t.l.Peer, t.o, leaf, doc.Hash); err != nil {
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
	for _, head := range []*ledger.Head{&t.o.Last, t.o.Cosigned} {
		if head == nil {
			continue
		}
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
	for _, log := range logs {
		if log.Party != t.l.Peer || log.Epoch < t.o.Last.Epoch {
			continue
		}
		switch kept := log.Kept; {
		case log.Epoch > t.o.Last.Epoch:
			log.Kept = 0
		case log.Epoch < t.l.PeerEpoch:
			log.Kept = min(kept, t.o.Last.Size)
		default:
			log.Kept = t.o.Last.Size
		}
		if err := t.tx.PutLog(ctx, log); err != nil {
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

// resend makes due again our files that the peer receipted in an epoch that has ended and has not opened: what was sealed for it is
// in no backup of its own.
func (t *takingOpening) resend(ctx context.Context) error {
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
		return in.h.openEpoch(ctx, tx, l, reasonRestored, l.Catching, at)
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
	s.pieces.Lock()
	defer s.pieces.Unlock()
	s.mu.Lock()
	s.catch = catchUp{due: 1}
	for _, id := range dropped {
		delete(s.leaves, id)
	}
	s.mu.Unlock()
	for _, id := range dropped {
		if err := h.cfg.Blobs.RemovePartial(ctx, id); err != nil {
			h.cfg.Log.Warn("removing segments of a former epoch", "parcel", id, "err", err)
		}
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
	case r.Log.Epoch > l.PeerEpoch || p.File >= 0 && r.Kind == parcel.Received:
		return true, nil
	}
	log, err := tx.Log(ctx, l.ID, l.Peer, r.Log.Epoch)
	return r.Log.Index >= log.Kept, err
}

// ofEnded says whether a difference between the ledgers comes from the end of an epoch: what lies beyond the last head that its
// party still had, or that the other had cosigned, stands in one of them alone.
func (h *House) ofEnded(ctx context.Context, l exchange.Link, d Difference) (bool, error) {
	if d.epoch < h.epochOf(l, d.owner) {
		return true, nil
	}
	var ended bool
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		p, err := tx.ParcelByHeader(ctx, d.Header)
		if notFound(err) {
			return nil
		}
		addressee := l.Peer
		if p.Author == l.Peer {
			addressee = h.self
		}
		ended = p.Epoch < h.epochOf(l, p.Author) || p.Received != 0 && p.GotEpoch < h.epochOf(l, addressee)
		return err
	})
	return ended, err
}
