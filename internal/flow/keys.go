package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Our identity changes in three steps, and whoever is stopped between them goes on where he was:
//
//  1. The keyring decides: new keys and the signed document are durable in the key file, and nobody has seen them.
//  2. One transaction stores the document and enters its leaf in our ledger of every link. From that leaf on the new keys sign.
//  3. What has its place below the leaf and is not signed yet is signed by the keys that it names, and stored; then these are
//     destroyed. What decrypts is kept until the overlap ends.

// Overlap is how long the keys of a version still decrypt, and its transport key is accepted, after its successor.
const Overlap = party.Overlap

// Renewal is what a new version of our identity changes beside the keys. What is empty stays as it is.
type Renewal struct {
	Names           map[string]string
	Authority       string
	Validity        time.Duration
	CompromiseSince int64 // UTC microseconds: keys before may have been in other hands since then; 0 if not
	Recovery        *party.Recovery
}

// renewed is our latest version with its changes.
func (h *House) renewed(r Renewal) (party.Identity, error) {
	latest := h.Self().Latest()
	next := party.Identity{Names: maps.Clone(latest.Names), Authority: latest.Authority, Recovery: latest.Recovery}
	if len(r.Names) > 0 {
		next.Names = maps.Clone(r.Names)
	}
	if r.Authority != "" {
		next.Authority = r.Authority
	}
	if r.Recovery != nil {
		next.Recovery = *r.Recovery
	}
	if r.Validity <= 0 {
		r.Validity = time.Duration(latest.NotAfter-latest.NotBefore) * time.Microsecond
	}
	next.NotBefore = max(h.now(), latest.NotBefore)
	next.NotAfter = next.NotBefore + r.Validity.Microseconds()
	if r.CompromiseSince > next.NotBefore {
		return next, fault.New(fault.Invalid, "compromise_since", "The time since when the keys may be in other hands lies in the future.")
	}
	if r.CompromiseSince != 0 {
		next.CompromiseSince = &r.CompromiseSince
	}
	return next, nil
}

// Rotate replaces our keys by new ones, signed by the old and the new. A version that was decided before and did not get
// further is taken up instead of making another.
func (h *House) Rotate(ctx context.Context, who actor.Actor, r Renewal) error {
	if err := who.May(actor.Keys); err != nil {
		return err
	}
	h.turning.Lock()
	defer h.turning.Unlock()
	before := len(h.Self().Versions)
	if err := h.takeUp(ctx); err != nil || len(h.Self().Versions) > before {
		return err
	}
	next, err := h.renewed(r)
	if err != nil {
		return err
	}
	data, err := h.cfg.Keys.Rotate(h.Self(), next, rand.Reader)
	if err != nil {
		return err
	}
	if err := h.adopt(ctx, who.Name, data); err != nil {
		return fault.Wrap(fault.Unavailable, "identity_decided",
			"The new keys are made and kept, but could not be put in force; that is done when the node starts again, or with the next \"entente keys rotate\".", err)
	}
	return nil
}

// PrepareRecovery makes new keys and the document that the recovery quorum is to sign. A version that was decided before and did
// not get further is taken up first.
func (h *House) PrepareRecovery(ctx context.Context, who actor.Actor, r Renewal) ([]byte, error) {
	if err := who.May(actor.Keys); err != nil {
		return nil, err
	}
	h.turning.Lock()
	defer h.turning.Unlock()
	if err := h.takeUp(ctx); err != nil {
		return nil, err
	}
	next, err := h.renewed(r)
	if err != nil {
		return nil, err
	}
	data, err := h.cfg.Keys.Prepare(h.Self(), next, rand.Reader)
	if err != nil {
		return nil, err
	}
	return data, h.note(ctx, who.Name, "keys recover prepare")
}

// CancelRecovery gives up what was prepared.
func (h *House) CancelRecovery(ctx context.Context, who actor.Actor) error {
	if err := who.May(actor.Keys); err != nil {
		return err
	}
	h.turning.Lock()
	defer h.turning.Unlock()
	if err := h.cfg.Keys.Cancel(); err != nil {
		return err
	}
	return h.note(ctx, who.Name, "keys recover cancel")
}

// FinishRecovery puts the prepared version in force with the quorum's signatures: signed are copies of the document, each signed
// by one or more who hold a recovery key.
func (h *House) FinishRecovery(ctx context.Context, who actor.Actor, signed [][]byte) error {
	if err := who.May(actor.Keys); err != nil {
		return err
	}
	h.turning.Lock()
	defer h.turning.Unlock()
	if err := h.takeUp(ctx); err != nil { // the quorum signs what follows what was decided
		return err
	}
	data, err := h.cfg.Keys.Finish(h.Self(), signed)
	if err != nil {
		return err
	}
	return h.adopt(ctx, who.Name, data)
}

func (h *House) note(ctx context.Context, who, act string) error {
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return h.audit(ctx, tx, who, act, h.self.String()) })
}

// takeUpAll goes on where a crash or a restore left our identity and our ledgers.
func (h *House) takeUpAll(ctx context.Context) error {
	h.turning.Lock()
	defer h.turning.Unlock()
	if err := h.takeUp(ctx); err != nil {
		return fmt.Errorf("putting in force what the keyring decided: %w", err)
	}
	return h.openRestored(ctx)
}

// takeUp puts in force what the keyring decided and a crash left, and finishes with the keys before it.
func (h *House) takeUp(ctx context.Context) error {
	for {
		data := h.cfg.Keys.Successor(len(h.Self().Versions) + 1)
		if data == nil {
			return h.retire(ctx)
		}
		if err := h.adopt(ctx, "node", data); err != nil {
			return err
		}
	}
}

// selfAt is a version of our identity that a ledger names. One that was put in force by a transaction that seemed to fail is
// taken up first.
func (h *House) selfAt(ctx context.Context, version int) (*party.Identity, error) {
	if own, ok := h.Self().At(version); ok {
		return own, nil
	}
	if h.turning.TryLock() {
		err := h.takeUp(ctx)
		h.turning.Unlock()
		if err != nil {
			return nil, err
		}
		if own, ok := h.Self().At(version); ok {
			return own, nil
		}
	}
	return nil, fault.New(fault.Unavailable, "identity", "The keys of this node are just being replaced; try again in a few seconds.")
}

// adopt puts a decided version in force on every link, in one transaction.
func (h *House) adopt(ctx context.Context, who string, data []byte) error {
	chain, err := h.Self().Append(h.cfg.Registry, data)
	if err != nil {
		return fmt.Errorf("the version that the keyring decided does not follow ours: %w", err)
	}
	version := len(chain.Versions)
	var links []exchange.Link
	err = h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		known, err := tx.Identities(ctx, h.self)
		if err != nil {
			return err
		}
		restored, err := tx.Meta(ctx, RestoredKey)
		if err != nil {
			return err
		}
		if restored == nil { // else each link is about to have a new epoch, which begins with this version
			if links, err = tx.Links(ctx); err != nil {
				return err
			}
		}
		if len(known) >= version { // it was done by a transaction that seemed to fail
			return nil
		}
		if err := tx.PutIdentity(ctx, h.self, version, data); err != nil {
			return err
		}
		for _, l := range links {
			if l.Catching == exchange.ReadOnly {
				continue
			}
			b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
			if err != nil {
				return err
			}
			if _, err := b.enter(h.now(), ledger.IdentityLeaf, "", 0, chain.Hash(version)); err != nil {
				return err
			}
			b.log.Identity = version
			if err := b.close(ctx, tx); err != nil {
				return err
			}
		}
		return h.audit(ctx, tx, who, fmt.Sprintf("identity version %d", version), h.self.String())
	})
	if err != nil {
		return err
	}
	h.own.Store(chain)
	h.cfg.Log.Info("a new version of our identity is in force", "version", version, "recovered", chain.Recovered(version))
	for _, l := range links {
		s := h.link(l.ID)
		s.mu.Lock()
		s.showAfter = 0
		s.mu.Unlock()
		h.roundDue(l.ID)
	}
	if err := h.retire(ctx); err != nil { // it is tried again
		h.cfg.Log.Error("finishing with the keys of the version before", "err", err)
	}
	return nil
}

// retireBatch is how many documents are signed in one pass.
const retireBatch = 256

// retire signs all that has its place under a former version and is not signed, stores the signatures, and has the keyring destroy
// the former signature keys. Nothing new can get a place under them.
func (h *House) retire(ctx context.Context) error {
	current := len(h.Self().Versions)
	if current == 1 {
		return nil
	}
	if _, err := h.cfg.Keys.SignersOf(current - 1); err != nil {
		return nil // that was done
	}
	var after envelope.Hash
	for {
		var docs []exchange.Document
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			docs, err = tx.UnsignedDocuments(ctx, after, retireBatch)
			return err
		})
		if err != nil {
			return err
		}
		if len(docs) == 0 {
			return h.cfg.Keys.Retire()
		}
		after = docs[len(docs)-1].Hash
		docs = slices.DeleteFunc(docs, func(d exchange.Document) bool { return h.signsNoMore(signedUnder(d.Payload)) })
		errs := make([]error, len(docs))
		parallel(len(docs), func(i int) { errs[i] = h.signOne(&docs[i]) })
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.PutDocuments(ctx, docs...) }); err != nil {
			return err
		}
	}
}

// signsNoMore says whether a version's keys are destroyed. A backup of before may have what was to be signed with them; it was
// signed before they were destroyed, and such a link is only read (see neverSigned).
func (h *House) signsNoMore(version int) bool {
	_, err := h.cfg.Keys.SignersOf(version)
	return fault.CodeOf(err) == "identity_version"
}

// EndOverlaps destroys the keys of our former versions whose overlap is over, and says of how many these were. The keyring notes
// when; what was sealed for them and comes now is refused. It also warns when the keys in force end soon.
func (h *House) EndOverlaps(ctx context.Context) (int, error) {
	h.warnOfExpiry()
	h.turning.Lock()
	defer h.turning.Unlock()
	if err := h.retire(ctx); err != nil {
		return 0, err
	}
	chain, ended := h.Self(), 0
	for n := 1; n < len(chain.Versions); n++ {
		if !h.cfg.Keys.Opens(n) || h.now() < overlapEnd(chain, n) {
			continue
		}
		if err := h.cfg.Keys.Destroy(n, h.now()); err != nil {
			return ended, err
		}
		ended++
		if err := h.note(ctx, "node", fmt.Sprintf("keys of identity version %d destroyed", n)); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// ExpiryWarning says how soon keys end that are valid for so long; empty while there is time.
func ExpiryWarning(left time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case left <= 0:
		return "the keys have ended"
	case left <= day:
		return "the keys end within a day"
	case left <= 7*day:
		return "the keys end within 7 days"
	case left <= 30*day:
		return "the keys end within 30 days"
	}
	return ""
}

// warnOfExpiry logs a warning when it becomes another one.
func (h *House) warnOfExpiry() {
	ends := h.Self().Latest().NotAfter
	warning := ExpiryWarning(time.Duration(ends-h.now()) * time.Microsecond)
	if said := h.warned.Swap(&warning); warning != "" && (said == nil || *said != warning) {
		h.cfg.Log.Warn(warning, "version", len(h.Self().Versions), "not_after", time.UnixMicro(ends).UTC())
	}
}

// mayStillSay refuses what is new once our keys have ended: whoever checks it would find a signature outside the validity. A call for
// help, and what is said of the link itself, does not wait for the recovery quorum; nor do receipts, without which what was said would
// be lost.
func (h *House) mayStillSay(lane statement.Lane) error {
	ends := h.Self().Latest().NotAfter
	if h.now() < ends || lane == statement.Control || lane == statement.Hotline {
		return nil
	}
	return fault.New(fault.Conflict, "keys_ended", "The keys of this node ended on "+time.UnixMicro(ends).UTC().Format(time.DateOnly)+
		", so only calls of the hotline and what is said of a link itself still leave. Replace them with the recovery keys (entente keys recover), then send it again.")
}

// overlapEnd is when the keys of a version that has a successor are destroyed.
func overlapEnd(c *party.Chain, version int) int64 {
	return c.Versions[version].NotBefore + Overlap.Microseconds()
}

// unshown are the versions of our identity that the peer is not known to have: those whose leaf it has not cosigned; or all but
// the first, with which it was paired.
func (h *House) unshown(ctx context.Context, l exchange.Link, log exchange.Log, all bool) ([]parcel.Frame, error) {
	chain := h.Self()
	var frames []parcel.Frame
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		frames = nil
		for n := len(chain.Versions); n > 1; n-- {
			leaf, err := tx.IdentityLeaf(ctx, l.ID, h.self, l.OwnEpoch, chain.Hash(n))
			if err != nil && !notFound(err) {
				return err
			}
			if err == nil && !all && leaf.Index < log.CosignedSize {
				return nil
			}
			frames = append([]parcel.Frame{{Kind: parcel.FrameIdentity, Payload: chain.Envelopes[n-1]}}, frames...)
		}
		return nil
	})
	return frames, err
}

// KeysView is one version of our identity, and what its keys are still for.
type KeysView struct {
	Identity   *party.Identity
	Hash       envelope.Hash
	Recovered  bool  // signed by the recovery quorum
	Signs      bool  // the version in force
	Opens      bool  // what was sealed for it can be opened
	OverlapEnd int64 // when its keys are or were to be destroyed; 0 for the version in force
	Destroyed  int64 // when they were; 0 if they are there
}

// OwnKeys is our identity as it stands here, oldest version first.
type OwnKeys struct {
	Versions []KeysView
	Prepared []byte   // the document that waits for the recovery quorum; nil if none does
	Forged   [][]byte // versions of our identity that peers were shown and this node did not make
}

// Keys lists our keys.
func (h *House) Keys(ctx context.Context, who actor.Actor) (OwnKeys, error) {
	var keys OwnKeys
	if err := who.May(actor.ReadKeys); err != nil {
		return keys, err
	}
	chain := h.Self()
	for n := 1; n <= len(chain.Versions); n++ {
		v := KeysView{Identity: &chain.Versions[n-1], Hash: chain.Hash(n), Recovered: chain.Recovered(n), Signs: n == len(chain.Versions),
			Opens: h.cfg.Keys.Opens(n), Destroyed: h.cfg.Keys.Destroyed(n)}
		if !v.Signs {
			v.OverlapEnd = overlapEnd(chain, n)
		}
		keys.Versions = append(keys.Versions, v)
	}
	keys.Prepared = h.cfg.Keys.Prepared()
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		keys.Forged, err = tx.Forks(ctx, h.self)
		return err
	})
	return keys, err
}

// outgoingIdentities begins a delivery with the versions of our identity that the peer is not known to have; it repeats them now
// and then until the peer has cosigned their leaves.
func (h *House) outgoingIdentities(ctx context.Context, l exchange.Link, log exchange.Log, s *linkState, d *Delivery) error {
	newest := len(h.Self().Versions)
	s.mu.Lock()
	done, all := s.knows == newest && !s.lacks || h.now() < s.showAfter, s.lacks
	s.mu.Unlock()
	if done {
		return nil
	}
	frames, err := h.unshown(ctx, l, log, all)
	if err != nil {
		return err
	}
	for _, f := range frames {
		d.add(f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lacks = false
	if len(frames) == 0 {
		s.knows = newest
		return nil
	}
	d.shown, s.showAfter = true, h.now()+resend.Microseconds()
	return nil
}
