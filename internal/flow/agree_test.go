package flow_test

import (
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// older are two parties with a confirmed link of the first edition of kinds.
func older(t *testing.T) *world {
	t.Helper()
	offer := statement.DefaultAgreement()
	var err error
	if offer.Rules, err = offer.Rules.Toward(statement.KindsEdition1); err != nil {
		t.Fatal(err)
	}
	return offered(t, offer)
}

// offered are two parties with a confirmed link of an agreement.
func offered(t *testing.T, offer statement.Agreement) *world {
	t.Helper()
	w := unpaired(t)
	ctx := t.Context()
	inv, err := w.a.Invite(ctx, operator, "kestria", offer, time.Hour)
	w.must(err)
	answer, err := w.b.PairByFile(ctx, operator, "arvenia", inv)
	w.must(err)
	id, reveal, err := w.a.PairOn(ctx, operator, w.pairFile(answer))
	w.must(err)
	_, _, err = w.b.PairOn(ctx, operator, w.pairFile(reveal))
	w.must(err)
	w.a.link, w.b.link = id, id
	w.confirm()
	return w
}

func (w *world) agree(s *side, edition string) statement.Commitment {
	w.t.Helper()
	c, err := s.Agree(w.t.Context(), operator, s.link, edition, envelope.Hash{})
	w.must(err)
	return c
}

// signs lets a party sign an agreement of its own making.
func (w *world) signs(s *side, a statement.Agreement) {
	w.t.Helper()
	encoded, err := a.Encode()
	w.must(err)
	_, err = s.Send(w.t.Context(), operator, flow.Draft{Link: s.link, Lane: statement.Control, Kind: "link.agree", Thread: &s.link,
		Marking: handling.Marking{TLP: "AMBER"}, Face: statement.LinkAgreeFace{Agreement: envelope.Sum(encoded)},
		Body: statement.LinkAgreeBody{Agreement: encoded}}, nil)
	w.must(err)
}

// editionOf is the edition of kinds that a statement was said under.
func (w *world) editionOf(s *side, c statement.Commitment) envelope.Hash {
	w.t.Helper()
	v, err := s.Show(w.t.Context(), operator, c.String())
	w.must(err)
	return v.Text.Edition
}

func (w *world) folded(at *side, said ...statement.Commitment) {
	w.t.Helper()
	for _, c := range said {
		v, err := at.Show(w.t.Context(), operator, c.String())
		w.must(err)
		if v.Verdict != "folded" {
			w.t.Errorf("at %s, %s is %q (%s %s)", at.name, v.Kind, v.Verdict, v.Parcel.State, v.Parcel.Reason)
		}
	}
}

func preservationDraft(s *side, number string) flow.Draft {
	return word(s, "preservation.request", nil, map[string]any{"number": number, "status": "new", "days": "Asia/Shanghai"}, preservation(nil))
}

// TestAgree: a link changes its rule set when both have signed it. What was begun before keeps its own.
func TestAgree(t *testing.T) {
	w := older(t)
	ctx := t.Context()
	first := w.linkOf(w.a).Agreement.Rules.Edition()
	begun := w.message(w.a, "begun", "before", nil)
	w.run()
	wantFault(t, w.a, preservationDraft(w.a, "ARV-PR-2026-0001"), "unknown_kind")
	if _, err := w.a.Agree(ctx, operator, w.a.link, "2036-1", envelope.Hash{}); fault.CodeOf(err) != "edition" {
		t.Errorf("an edition that nobody knows: %v", err)
	}
	w.agree(w.a, statement.KindsEdition)
	w.run()
	wantFault(t, w.a, preservationDraft(w.a, "ARV-PR-2026-0001"), "unknown_kind") // one signature is not an agreement
	proposed := w.linkOf(w.b).Proposals
	if len(proposed) != 1 || proposed[0].Ours || proposed[0].Kinds != statement.KindsEdition {
		t.Fatalf("the other party sees the proposals %+v", proposed)
	}
	_, err := w.b.Agree(ctx, operator, w.b.link, "", proposed[0].Hash)
	w.must(err)
	under := w.message(w.b, "at once", "its author knows of both signatures", nil)
	w.run()
	asked, err := w.a.Send(ctx, operator, preservationDraft(w.a, "ARV-PR-2026-0001"), nil)
	w.must(err)
	answer := w.message(w.b, "answer", "in the old thread", &begun)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		s.reopen(t)
		w.folded(s, begun, under, asked, answer)
		l := w.linkOf(s)
		second := l.Agreement.Rules.Edition()
		if l.State != exchange.LinkActive || l.Agreement.Rules.Kinds != statement.KindsEdition || l.AgreementHash != proposed[0].Hash || len(l.Proposals) != 0 {
			t.Errorf("at %s, the link is %s, of edition %s, with proposals %+v", s.name, l.State, l.Agreement.Rules.Kinds, l.Proposals)
		}
		for c, want := range map[statement.Commitment]envelope.Hash{begun: first, answer: first, under: second, asked: second} {
			if got := w.editionOf(s, c); got != want {
				t.Errorf("at %s, %s obeys %s, not %s", s.name, c, got, want)
			}
		}
		views, err := s.Requests(ctx, operator, assistance.Filter{Limit: 2})
		w.must(err)
		if len(views) != 1 || len(views[0].Dues) == 0 {
			t.Errorf("at %s, a request under the new rule set has no clock: %+v", s.name, views)
		}
	}
	if _, err := w.a.Agree(ctx, operator, w.a.link, statement.KindsEdition, envelope.Hash{}); fault.CodeOf(err) != exchange.VoidTwice {
		t.Errorf("what is in force is signed again: %v", err)
	}
	if _, err := w.a.Agree(ctx, operator, w.a.link, "", envelope.Hash{1}); fault.CodeOf(err) != "agreement" {
		t.Errorf("a proposal that nobody made is signed: %v", err)
	}
	w.sound()
}

// TestAgreeCrosses: what was said under the rule set before crosses the second signature and stands; what was said under the new one may
// overtake that signature.
func TestAgreeCrosses(t *testing.T) {
	w := older(t)
	w.agree(w.a, statement.KindsEdition)
	w.run()
	w.agree(w.b, statement.KindsEdition)
	old := w.message(w.a, "old", "crosses the signature", nil)
	overtakes, err := w.b.Send(t.Context(), operator, preservationDraft(w.b, "KES-PR-2026-0001"), nil)
	w.must(err)
	d, err := w.b.Outgoing(t.Context(), w.b.link, 8<<20)
	w.must(err)
	var late []parcel.Frame
	for _, f := range wire(t, d.Frames) {
		if f.Kind != parcel.FrameParcel {
			continue
		}
		late = append([]parcel.Frame{f}, late...)
	}
	if len(late) < 2 {
		t.Fatalf("%d parcels are on their way", len(late))
	}
	for _, f := range late { // the request first, and the signature last
		_, err := w.a.Receive(t.Context(), w.a.link, []parcel.Frame{f})
		w.must(err)
	}
	w.must(w.b.Undelivered(t.Context(), d, errDisk))
	w.a.clock.advance(time.Hour)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		w.folded(s, old, overtakes)
	}
	w.sound()
}

// TestAgreeCrossing: both sign another rule set at once, each its own; then each signs that of the other. Both have one in force, and
// what was said meanwhile stands.
func TestAgreeCrossing(t *testing.T) {
	w := older(t)
	ctx := t.Context()
	var said []statement.Commitment
	say := func() {
		said = append(said, w.message(w.a, "a", "meanwhile", nil), w.message(w.b, "b", "meanwhile", nil))
	}
	other := w.linkOf(w.b).Agreement
	other.Rules.Retention = append([]statement.Retention{{Kind: "message", Days: 90}}, other.Rules.Retention...)
	w.agree(w.a, statement.KindsEdition)
	w.signs(w.b, other)
	say()
	w.run()
	for _, s := range []*side{w.a, w.b} {
		for _, p := range w.linkOf(s).Proposals {
			if !p.Ours {
				_, err := s.Agree(ctx, operator, s.link, "", p.Hash)
				w.must(err)
			}
		}
	}
	say()
	w.run()
	say()
	w.run()
	if a, b := w.linkOf(w.a), w.linkOf(w.b); a.AgreementHash != b.AgreementHash || a.AgreementHash == a.Agreement.Hash() && len(a.Proposals) != 0 {
		t.Errorf("in force is %s at one, %s at the other", a.AgreementHash, b.AgreementHash)
	}
	for _, s := range []*side{w.a, w.b} {
		w.folded(s, said...)
	}
	w.sound()
}

// TestOutdatedEdition: a thread that is begun under a rule set which its author knew to be replaced, or which the addressee has not
// signed, is rejected; void on both sides, as the receipt says.
func TestOutdatedEdition(t *testing.T) {
	w := older(t)
	old := w.linkOf(w.a).Agreement.Rules
	next, err := old.Toward(statement.KindsEdition)
	w.must(err)
	alone := old
	alone.Retention = append([]statement.Retention{{Kind: "message", Days: 1}}, alone.Retention...)
	under := func(rules statement.Rules) forged {
		return w.forge(w.b, w.a, forgery{text: func(text *statement.Text) { text.Edition = rules.Edition() }})
	}
	if got := w.receive(w.a, under(next).frame); !got.ended(parcel.Rejected, "edition") {
		t.Errorf("under a rule set that nobody has said: %v, %d receipts", got.refusals, len(got.receipts))
	}
	w = older(t)
	own := w.linkOf(w.b).Agreement
	own.Rules = alone
	w.signs(w.b, own)
	w.run()
	if got := w.receive(w.a, under(alone).frame); !got.ended(parcel.Rejected, "edition") {
		t.Errorf("under a rule set that its author has signed alone: %v, %d receipts", got.refusals, len(got.receipts))
	}
	w = older(t)
	w.agree(w.b, statement.KindsEdition)
	w.run()
	w.agree(w.a, statement.KindsEdition)
	crossed := under(old) // its author has not heard of our signature yet
	if got := w.receive(w.a, crossed.frame); !got.ended(parcel.Opened, "") {
		t.Errorf("what crossed the second signature: %v, %d receipts", got.refusals, len(got.receipts))
	}
	w = older(t)
	w.agree(w.b, statement.KindsEdition)
	w.agree(w.a, statement.KindsEdition)
	w.run()
	if got := w.receive(w.a, under(old).frame); !got.ended(parcel.Rejected, "edition") {
		t.Errorf("under a rule set that its author knew to be replaced: %v, %d receipts", got.refusals, len(got.receipts))
	}
}
