package flow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/statement"
)

// terms are the agreement that a link was paired on, worked out once; they must not be changed. Of a later agreement the rule set takes
// effect and nothing else: see rulebook.
type terms struct {
	statement.Agreement
	edition envelope.Hash
	way     way
}

// full refuses one statement more in a lane of ours in which as many as are agreed on wait for their receipts.
func (t *terms) full(own exchange.LaneState) error {
	if own.Last-own.Folded < uint64(min(t.Limits.Pending, exchange.Window/2)) {
		return nil
	}
	return fault.New(fault.Exhausted, pendingCode, "Too much is waiting for the peer's receipts in this lane; see \"entente links\" for how old the oldest is.")
}

const pendingCode = "pending"

// roomWithin is how long a statement waits for room in a full lane. A peer that is there gives receipts within that.
const roomWithin = 2 * time.Second

// withRoom does what full may refuse, again whenever receipts have come, and gives up after a while. So whoever sends much is
// slowed to what the peer takes, and need not come back for each statement.
func (s *linkState) withRoom(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	for {
		s.mu.Lock()
		room := s.room
		s.mu.Unlock()
		err := do()
		if fault.CodeOf(err) != pendingCode {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return err
		}
	}
}

// roomy tells those who wait for room that there may be some.
func (s *linkState) roomy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.room)
	s.room = make(chan struct{})
}

func (h *House) terms(l exchange.Link) (*terms, error) {
	s := h.link(l.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terms != nil {
		return s.terms, nil
	}
	a, err := statement.DecodeAgreement(l.Agreement)
	if err != nil {
		return nil, fmt.Errorf("reading the agreement of link %s: %w", l.Alias, err)
	}
	s.terms = &terms{Agreement: *a, edition: a.Rules.Edition(), way: wayOf(a, l.Inviter)}
	return s.terms, nil
}

// rulebook is every agreement that was said on a link, with its rule set; it must not be changed.
type rulebook struct {
	agreements map[envelope.Hash]*statement.Agreement
	editions   map[envelope.Hash]envelope.Hash    // of the rule set, by agreement
	rules      map[envelope.Hash]*statement.Rules // by edition
}

func (b *rulebook) with(data []byte) (*rulebook, error) {
	a, err := statement.DecodeAgreement(data)
	if err != nil {
		return nil, err
	}
	next := &rulebook{maps.Clone(b.agreements), maps.Clone(b.editions), maps.Clone(b.rules)}
	hash, edition := envelope.Sum(data), a.Rules.Edition()
	next.agreements[hash], next.editions[hash], next.rules[edition] = a, edition, &a.Rules
	return next, nil
}

// rulebook reads what was said on a link, within a transaction, or in one of its own if that is nil. What is remembered of one that came
// to nothing does no harm: that a rule set is known does not mean that anybody agreed to it.
func (h *House) rulebook(ctx context.Context, tx Tx, l exchange.Link) (*rulebook, error) {
	s := h.link(l.ID)
	s.mu.Lock()
	known := s.rules
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var said [][]byte
	read := func(tx Tx) (err error) {
		said, err = tx.Agreements(ctx, l.ID)
		return err
	}
	var err error
	if tx != nil {
		err = read(tx)
	} else {
		err = h.cfg.Store.View(ctx, read)
	}
	if err != nil {
		return nil, err
	}
	b := &rulebook{map[envelope.Hash]*statement.Agreement{}, map[envelope.Hash]envelope.Hash{}, map[envelope.Hash]*statement.Rules{}}
	for _, data := range append(said, l.Agreement) {
		if b, err = b.with(data); err != nil {
			return nil, fmt.Errorf("reading an agreement of link %s: %w", l.Alias, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules == nil {
		s.rules = b
	}
	return s.rules, nil
}

// keepAgreement keeps what a party has said that it agrees to, whatever comes of it.
func (h *House) keepAgreement(ctx context.Context, tx Tx, l exchange.Link, data []byte) error {
	b, err := h.rulebook(ctx, tx, l)
	if err != nil {
		return err
	}
	if len(b.agreements) > 2*exchange.MaxAgreements { // more are void
		return nil
	}
	if b, err = b.with(data); err != nil {
		return err
	}
	s := h.link(l.ID)
	s.mu.Lock()
	s.rules = b
	s.mu.Unlock()
	return tx.PutAgreement(ctx, l.ID, data)
}

// agreementIn is the agreement in the body of a statement that signs one; nil for other kinds.
func agreementIn(kind string, body []byte) ([]byte, error) {
	switch kind {
	case "link.confirm":
		var b statement.LinkConfirmBody
		err := envelope.Unmarshal(body, &b)
		return b.Agreement, err
	case "link.agree":
		var b statement.LinkAgreeBody
		err := envelope.Unmarshal(body, &b)
		return b.Agreement, err
	}
	return nil, nil
}

// editions returns what maps an edition to its kinds on a link: every rule set that was ever said on it.
func (h *House) editions(ctx context.Context, tx Tx, l exchange.Link) (func(envelope.Hash) (map[string]foldable, bool), error) {
	b, err := h.rulebook(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	return func(edition envelope.Hash) (map[string]foldable, bool) {
		rules, ok := b.rules[edition]
		if !ok {
			return nil, false
		}
		return h.kinds[rules.Kinds], true
	}, nil
}

// editionNow is the edition of the rule set that what we say now obeys, unless it continues a thread: that of the agreement that both
// have signed last, as far as we know. Until both have signed one it is that of pairing.
func (h *House) editionNow(ctx context.Context, tx Tx, l exchange.Link, s standing) (envelope.Hash, error) {
	t, err := h.terms(l)
	if err != nil {
		return envelope.Hash{}, err
	}
	b, err := h.rulebook(ctx, tx, l)
	if err != nil {
		return envelope.Hash{}, err
	}
	if edition, ok := b.editions[exchange.InForce(s.said[0], s.said[1])]; ok {
		return edition, nil
	}
	return t.edition, nil
}

// editionFor is the rule set that a statement obeys: its thread's, or the one in force now for a new thread and for what is said in a
// thread that no statement began.
func (h *House) editionFor(ctx context.Context, tx Tx, l exchange.Link, thread *statement.Commitment, s standing) (envelope.Hash, error) {
	if thread == nil || *thread == l.ID {
		return h.editionNow(ctx, tx, l, s)
	}
	edition, err := editionOf(ctx, tx, *thread)
	if notFound(err) {
		return edition, fault.New(fault.NotFound, "thread", "The thread to answer in is not known here.")
	}
	return edition, err
}

// editionOf is the rule set that the first statement of a thread named.
func editionOf(ctx context.Context, tx Tx, thread statement.Commitment) (envelope.Hash, error) {
	first, err := tx.Statement(ctx, thread)
	if err != nil {
		return envelope.Hash{}, err
	}
	text, err := statement.DecodeText(first.Text)
	if err != nil {
		return envelope.Hash{}, fmt.Errorf("reading the first statement of a thread: %w", err)
	}
	return text.Edition, nil
}

// rulesOf is the rule set that a thread began under.
func (h *House) rulesOf(ctx context.Context, tx Tx, l exchange.Link, thread statement.Commitment) (*statement.Rules, error) {
	edition, err := editionOf(ctx, tx, thread)
	if err != nil {
		return nil, err
	}
	return h.rulesNamed(ctx, tx, l, edition)
}

// rulesNamed is the rule set of an edition that was said on a link.
func (h *House) rulesNamed(ctx context.Context, tx Tx, l exchange.Link, edition envelope.Hash) (*statement.Rules, error) {
	b, err := h.rulebook(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	rules, ok := b.rules[edition]
	if !ok {
		return nil, fmt.Errorf("nobody said rule set %s on link %s", edition, l.Alias)
	}
	return rules, nil
}

// stillObeys refuses what was composed under a rule set that another one has replaced meanwhile.
func (h *House) stillObeys(ctx context.Context, tx Tx, l exchange.Link, s standing, r *reservation) error {
	if keepsEdition(r.text, l.ID) {
		return nil
	}
	edition, err := h.editionNow(ctx, tx, l, s)
	if err == nil && edition != r.text.Edition {
		err = fault.New(fault.Conflict, "rules_changed", "The rule set of this link changed just now; say it again under the new one.")
	}
	return err
}

// keepsEdition says whether a statement keeps the edition of its thread.
func keepsEdition(t *statement.Text, link statement.LinkID) bool {
	return t.Thread != nil && *t.Thread != link && t.Kind != "erasure.notice"
}

// outdated says whether a statement of the peer is under a rule set that it could not choose: one that we have not signed, or one that
// it knew to be replaced when it gave the statement its place. For that, the leaves of both signatures of a later agreement stand before
// the statement's in its ledger: of its own word, and of its receipt for ours. What a receipt does not show yet is taken.
func (w *accepting) outdated(ctx context.Context, t *statement.Text, index int64) (bool, error) {
	b, err := w.h.rulebook(ctx, w.tx, w.l)
	if err != nil || len(b.rules) == 1 || keepsEdition(t, w.l.ID) {
		return false, err
	}
	terms, err := w.h.terms(w.l)
	if err != nil {
		return false, err
	}
	if _, err := w.verified(ctx); err != nil {
		return false, err
	}
	ours, theirs := w.standing.said[0], w.standing.said[1]
	signed, replaceable := t.Edition == terms.edition, true
	for _, hash := range ours.Agreed {
		if b.editions[hash] == t.Edition {
			signed = true
			replaceable = replaceable && slices.Contains(theirs.Agreed, hash)
		}
	}
	if !signed {
		return true, nil
	}
	now := exchange.InForce(ours, theirs)
	if !replaceable || now.IsZero() || b.editions[now] == t.Edition {
		return false, nil
	}
	if w.since == nil {
		at, err := w.knownSince(ctx, now)
		if err != nil {
			return false, err
		}
		w.since = &at
	}
	return *w.since >= 0 && *w.since < index, nil
}

// knownSince is the leaf of the peer's ledger from which on it knew that both had signed an agreement; -1 if no receipt shows it.
func (w *accepting) knownSince(ctx context.Context, agreement envelope.Hash) (int64, error) {
	since := int64(-1)
	for _, ours := range []bool{true, false} {
		p, err := w.signing(ctx, agreement, ours)
		if notFound(err) {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		at := p.SentIndex
		if ours {
			at = p.GotIndex
		}
		if at < 0 {
			return -1, nil
		}
		since = max(since, at)
	}
	return since, nil
}

// signing is the parcel by which a party signed an agreement.
func (w *accepting) signing(ctx context.Context, agreement envelope.Hash, ours bool) (exchange.Parcel, error) {
	author := w.l.Peer
	if ours {
		author = w.h.self
	}
	for _, kind := range []string{"link.agree", "link.confirm"} {
		rows, err := w.tx.Statements(ctx, exchange.Filter{Link: &w.l.ID, Thread: &w.l.ID, Author: &author, Kind: kind, Limit: 4 * exchange.MaxAgreements})
		if err != nil {
			return exchange.Parcel{}, err
		}
		for _, row := range rows {
			text, err := textIn(row)
			if err != nil {
				return exchange.Parcel{}, err
			}
			var face struct {
				Agreement envelope.Hash `json:"agreement"`
			}
			if peek(text.Face, &face) == nil && face.Agreement == agreement {
				return w.tx.Parcel(ctx, row.Parcel)
			}
		}
	}
	return exchange.Parcel{}, fault.New(fault.NotFound, "agreement", "Nobody has signed this agreement.")
}

// ProposalView is an agreement that one party has signed and the other has not.
type ProposalView struct {
	Hash  envelope.Hash
	Ours  bool
	Kinds string // edition of its kinds
}

// proposals are what waits for the other's signature, in the order of their saying.
func (b *rulebook) proposals(s standing) (list []ProposalView) {
	for i, own := range s.said {
		for _, hash := range own.Agreed {
			a, known := b.agreements[hash]
			if known && !slices.Contains(s.said[1-i].Agreed, hash) {
				list = append(list, ProposalView{hash, i == 0, a.Rules.Kinds})
			}
		}
	}
	return list
}

// Agree signs another agreement for a link, whose rule set is in force as soon as the other party has signed it, too: what was begun
// before keeps its own. It is the one in force with an edition of kinds, or, where proposal is not zero, what the other party has signed.
func (h *House) Agree(ctx context.Context, who actor.Actor, link statement.LinkID, edition string, proposal envelope.Hash) (statement.Commitment, error) {
	if err := who.May(actor.Govern); err != nil {
		return statement.Commitment{}, err
	}
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return statement.Commitment{}, err
	}
	next, err := h.nextAgreement(ctx, l, edition, proposal)
	if err != nil {
		return statement.Commitment{}, err
	}
	data, err := next.Encode()
	if err != nil {
		return statement.Commitment{}, fault.Wrap(fault.Invalid, "agreement", "This agreement is not valid: "+plain(err)+".", err)
	}
	return h.Send(ctx, who, Draft{Link: link, Lane: statement.Control, Kind: "link.agree", Thread: &link, Zone: "UTC", Marking: handling.Marking{TLP: "AMBER"},
		Face: statement.LinkAgreeFace{Agreement: envelope.Sum(data)}, Body: statement.LinkAgreeBody{Agreement: data}}, nil)
}

// nextAgreement is what Agree signs.
func (h *House) nextAgreement(ctx context.Context, l exchange.Link, edition string, proposal envelope.Hash) (*statement.Agreement, error) {
	t, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	if t.way != bothWays {
		return nil, fault.New(fault.Conflict, onewayCode, "This link goes one way, so the other party cannot sign; pair anew to change the agreement.")
	}
	var s standing
	var b *rulebook
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if s, err = h.standing(ctx, tx, l); err == nil {
			b, err = h.rulebook(ctx, tx, l)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	now, ok := b.agreements[exchange.InForce(s.said[0], s.said[1])]
	if !ok {
		return nil, fault.New(fault.Conflict, "link_unverified", "This link is not confirmed by both sides yet: compare the short code and confirm it first (entente confirm).")
	}
	next := *now
	if !proposal.IsZero() {
		proposed, ok := b.agreements[proposal]
		if !ok {
			return nil, fault.New(fault.NotFound, "agreement", "Nobody has proposed such an agreement on this link; see \"entente links show LINK\".")
		}
		next = *proposed
	} else if next.Rules, err = now.Rules.Toward(edition); err != nil {
		return nil, fault.Wrap(fault.Invalid, "edition", "This build does not know the edition; it knows "+strings.Join(statement.Editions(), " and ")+".", err)
	}
	// What crosses while a suite or a limit changes would be refused by whoever has not heard of it.
	same := next
	same.Rules = t.Rules
	if same.Hash() != t.Agreement.Hash() {
		return nil, fault.New(fault.Conflict, "agreement", "Only the rule set of a link can change; to change suites, modes or limits, pair anew.")
	}
	return &next, nil
}
