package flow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// A node that was restored from a backup forgot what it said since. It opens a new epoch on each link, in which nothing can
// contradict what it forgot, and learns from the peer what the former epochs hold (docs/spec/ledger.md, section 5). Until it has,
// the link is frozen.

// RestoredKey is the meta key that a restore sets to its time (UTC microseconds, decimal), until the node is started.
const RestoredKey = "restored"

// LinkRestored is the state of a link that cannot catch up after this node was restored, so that nothing is said on it any more: one
// that goes one way, since nobody can tell us what we said on it; and one on which the backup had something that our keys of then
// were still to sign, if they were replaced since.
const LinkRestored = "restored"

// LinkCatchingUp is the state of a link that is frozen since this node was restored, until it has caught up with the peer.
const LinkCatchingUp = "catching_up"

// codeEpochTime is the code of a refusal of an epoch that begins before the end of the former one.
const codeEpochTime = "epoch_time"

// mostAhead is how far ahead of our clock a peer may have an epoch begin, by what it says of the one that we forgot.
const mostAhead = 48 * time.Hour

// codeEpoch is the code of a refusal of what is of an epoch that is not open.
const codeEpoch = "epoch"

// Why an epoch was opened. A party that gives the first reason has none of the sealed files that it did not open before.
const (
	reasonRestored = "restored"
	reasonByHand   = "by_hand"
)

// frozen says whether a link says and takes nothing until it has caught up.
func frozen(l exchange.Link) bool {
	return l.Catching == exchange.Frozen || l.Catching == exchange.ReadOnly
}

// forgetful says whether we may have cosigned more of the peer's ledger than we remember.
func forgetful(l exchange.Link) bool {
	return l.Catching == exchange.Frozen || l.Catching == exchange.Released
}

func frozenFault(l exchange.Link) error {
	if l.Catching == exchange.ReadOnly {
		return fault.New(fault.Conflict, LinkRestored,
			"This node was restored from a backup, and cannot learn what it said since on this link, which is only read now; pair anew with the other party.")
	}
	return fault.New(fault.Conflict, LinkCatchingUp,
		"This node was restored from a backup and learns from the other party what it has forgotten; nothing is said until then. See \"entente links show\" for how far it is. If the other party gives nothing back: entente ledger epoch LINK --reason …")
}

// openRestored opens a new epoch on every link, once after a restore, and enters the restore into the log of members: whoever restored
// the node had no keys to sign a head with.
func (h *House) openRestored(ctx context.Context) error {
	return h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		value, err := tx.Meta(ctx, RestoredKey)
		if err != nil || value == nil {
			return err
		}
		at, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return fault.Wrap(fault.Internal, "restored", "The time of the restore cannot be read; restore again.", err)
		}
		if err := h.audit(ctx, tx, actor.System().Name, "restore", time.UnixMicro(at).UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		links, err := tx.Links(ctx)
		if err != nil {
			return err
		}
		lost, err := h.neverSigned(ctx, tx)
		if err != nil {
			return err
		}
		for _, l := range links {
			terms, err := h.terms(l)
			if err != nil {
				return err
			}
			switch {
			case terms.way == inward: // nothing of ours left by it that could contradict what we say
				if err := h.enterIdentity(ctx, tx, l); err != nil {
					return err
				}
				continue
			case terms.way == outward || lost[l.ID]:
				l.Catching = exchange.ReadOnly
				if err := tx.PutLink(ctx, l); err != nil {
					return err
				}
				if err := h.audit(ctx, tx, actor.System().Name, "read only since a restore", l.Alias); err != nil {
					return err
				}
				continue
			}
			if err := h.openEpoch(ctx, tx, l, reasonRestored, exchange.Frozen, 0); err != nil {
				return fmt.Errorf("opening an epoch on link %s: %w", l.Alias, err)
			}
		}
		return tx.SetMeta(ctx, RestoredKey, nil)
	})
}

// neverSigned are the links on which something was to be signed when the backup was made, with keys that are destroyed now. It was
// signed before they were, but what the peer has of it nobody can tell: a receipt of it may be given twice, or never.
func (h *House) neverSigned(ctx context.Context, tx Tx) (map[statement.LinkID]bool, error) {
	links := map[statement.LinkID]bool{}
	for after := (envelope.Hash{}); ; {
		docs, err := tx.UnsignedDocuments(ctx, after, retireBatch)
		if err != nil || len(docs) == 0 {
			return links, err
		}
		for _, d := range docs {
			if after = d.Hash; h.signsNoMore(signedUnder(d.Payload)) {
				links[d.Link] = true
			}
		}
	}
}

// enterIdentity records the version of our identity that is in force, if our ledger of a link does not yet.
func (h *House) enterIdentity(ctx context.Context, tx Tx, l exchange.Link) error {
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	version := len(h.Self().Versions)
	if err != nil || b.log.Identity >= version {
		return err
	}
	if _, err := b.enter(h.now(), ledger.IdentityLeaf, "", 0, h.Self().Hash(version)); err != nil {
		return err
	}
	b.log.Identity = version
	return b.close(ctx, tx)
}

// loseFiles gives up what no backup holds: the sealed bytes of the peer's files that had come, in whole or in part. Their parcels'
// rows are dropped, and all files that were awaited are asked for again, since we may have told the peer that they were opened.
func (h *House) loseFiles(ctx context.Context, tx Tx, l exchange.Link) error {
	var ids []envelope.ID
	for _, state := range []exchange.ParcelState{exchange.Received, exchange.Arriving} {
		for last := (exchange.Parcel{}); ; {
			rows, err := tx.ParcelsIn(ctx, l.ID, l.Peer, state, last, pageOfParcels)
			if err != nil {
				return err
			}
			for _, p := range rows {
				if last = p; p.File >= 0 {
					ids = append(ids, p.ID)
				}
			}
			if len(rows) < pageOfParcels {
				break
			}
		}
	}
	return errors.Join(tx.DropParcels(ctx, ids...), tx.LoseFiles(ctx, l.ID))
}

// OpenEpoch opens a new epoch of our ledger by hand: where the peer refuses to go on with the present one, or does not give back
// what a restored node forgot. It ends the freezing of a link. What the peer holds of the former epochs stays to be learnt, and is
// learnt when the peer gives it; until then they are not folded to their end.
func (h *House) OpenEpoch(ctx context.Context, who actor.Actor, link statement.LinkID, reason string) (epoch uint32, err error) {
	if err := who.May(actor.Govern); err != nil {
		return 0, err
	}
	if statement.CheckLine(reason, 200) != nil || reason == "" {
		return 0, fault.New(fault.Invalid, "reason", "Say in one line why a new epoch is opened; it is kept in the audit log.")
	}
	h.turning.Lock()
	defer h.turning.Unlock()
	err = h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		terms, err := h.terms(l)
		if err != nil {
			return err
		}
		if terms.way != bothWays {
			return fault.New(fault.Conflict, onewayCode, "A link that goes one way has one epoch: nobody answers on it; pair anew instead.")
		}
		if l.Catching == exchange.ReadOnly {
			return frozenFault(l)
		}
		how, why := exchange.CatchingUp, reasonByHand
		if forgetful(l) {
			how, why = exchange.Released, reasonRestored
		} else if left, err := registeredBefore(ctx, tx, l, h.self, l.OwnEpoch+1); err != nil {
			return err
		} else if left {
			return fault.New(fault.Conflict, "registered",
				"A registered statement of ours is on its way, and its key belongs to the present epoch; open a new one when it has been acknowledged and its key was sent.")
		}
		if err := h.openEpoch(ctx, tx, l, why, how, 0); err != nil {
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

// reopened forgets what was remembered of the deliveries of a link in its former epoch, and what arrives: its rows may be gone.
func (h *House) reopened(link statement.LinkID) {
	s := h.link(link)
	s.mu.Lock()
	arriving := slices.Collect(maps.Keys(s.inflows))
	s.shown, s.old, s.have, s.fruitless, s.round, s.roundAfter = nil, -1, -1, 0, true, 0
	s.catch = catchUp{due: 1}
	s.mu.Unlock()
	for _, id := range arriving {
		s.forgetArrival(id)
	}
	s.signal()
}

// openEpoch makes the opening and leaf 0 of a new epoch. What is on its way in the former one, and not receipted, waits to be said
// again once it is known what the peer holds. The epoch begins at the given time, or now if that is later. It is called with
// h.turning held, so that our identity does not change meanwhile.
func (h *House) openEpoch(ctx context.Context, tx Tx, l exchange.Link, reason string, how exchange.Catching, from int64) error {
	former, err := tx.Log(ctx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return err
	}
	now := h.now()
	at := max(now, former.LastTime, from)
	reader := tx.HashReader(ctx, l.ID, h.self, l.OwnEpoch)
	o := parcel.Opening{V: 1, Link: l.ID, From: h.self, To: l.Peer, Identity: len(h.Self().Versions), Created: at,
		Epoch: parcel.EpochNumber(l.OwnEpoch, at, now), Reason: reason}
	if err := h.nameFormer(ctx, tx, l, &o); err != nil {
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
	b, err := openBook(ctx, tx, l.ID, h.self, o.Epoch)
	if err != nil {
		return err
	}
	if err := b.add(leaf, doc.Hash, ledger.EpochLeaf, o.Created); err != nil {
		return err
	}
	if _, err := b.enter(at, ledger.IdentityLeaf, "", 0, h.Self().Hash(o.Identity)); err != nil {
		return err
	}
	b.log.Identity = o.Identity
	if err := b.close(ctx, tx); err != nil {
		return err
	}
	if reason == reasonRestored {
		if err := h.loseFiles(ctx, tx, l); err != nil {
			return err
		}
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

// nameFormer fills in the heads of our former epochs, as far as we still have them.
func (h *House) nameFormer(ctx context.Context, tx Tx, l exchange.Link, o *parcel.Opening) error {
	logs, err := tx.Logs(ctx, l.ID)
	if err != nil {
		return err
	}
	for _, log := range logs { // in the order of their epochs
		if log.Party != h.self || log.Epoch > l.OwnEpoch {
			continue
		}
		root, err := ledger.TreeRoot(log.Size, tx.HashReader(ctx, l.ID, h.self, log.Epoch))
		if err != nil {
			return err
		}
		o.Former = append(o.Former, ledger.Head{Epoch: log.Epoch, Size: log.Size, Root: root})
	}
	o.Last, o.Former = o.Former[len(o.Former)-1], o.Former[:len(o.Former)-1]
	o.Former = o.Former[max(0, len(o.Former)-parcel.MaxFormer):]
	return nil
}

// openingLeaf is leaf 0 of the epoch that an opening opens.
func openingLeaf(o *parcel.Opening, doc envelope.Hash) *ledger.Leaf {
	return &ledger.Leaf{V: 1, Epoch: o.Epoch, Time: o.Created, Kind: ledger.EpochLeaf, Doc: doc, Last: &o.Last, Peer: o.Cosigned}
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
	var log exchange.Log
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if log, err = tx.Log(ctx, l.ID, h.self, l.OwnEpoch); err != nil {
			return err
		}
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
	signers, err := h.cfg.Keys.LogSigners(log.Identity, origin)
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

// ofEnded says whether a difference between the ledgers comes from the end of an epoch: what lies beyond the last head that its
// party still had, or that the other had cosigned, stands in one of them alone.
func (h *House) ofEnded(ctx context.Context, l exchange.Link, d Difference) (ended bool, err error) {
	if d.epoch < h.epochOf(l, d.owner) {
		return true, nil
	}
	addressee := l.Peer
	if d.Author == l.Peer {
		addressee = h.self
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		ended = false
		doc, err := tx.Document(ctx, d.Header)
		if err != nil && !notFound(err) {
			return err
		}
		if err == nil {
			at, err := placeOf(ctx, tx, kindOf(doc), doc.Payload)
			if ended = err == nil && at.Epoch < h.epochOf(l, d.Author); ended || err != nil {
				return err
			}
		}
		p, err := tx.ParcelByHeader(ctx, d.Header)
		if notFound(err) { // it came in an epoch of ours that we forgot, if it was sent before the present one was opened
			ended = addressee == h.self && l.Opened != 0 && d.at <= l.Opened+mostAhead.Microseconds()
			return nil
		}
		ended = p.Received != 0 && p.GotEpoch < h.epochOf(l, addressee)
		return err
	})
	return ended, err
}

// kindOf is the kind of the leaf by which its author entered a document that has a place in a lane.
func kindOf(doc exchange.Document) ledger.Kind {
	if doc.Type == parcel.GrantType {
		return ledger.GrantLeaf
	}
	return ledger.Sent
}
