package flow_test

import (
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

const (
	network  = statement.Network
	dialogue = statement.Dialogue
)

func (w *world) suspend(s *side, lanes ...statement.Lane) statement.Commitment {
	w.t.Helper()
	c, err := s.SuspendLanes(w.t.Context(), operator, s.link, lanes, "review", "")
	w.must(err)
	return c
}

func (w *world) resume(s *side, lanes ...statement.Lane) {
	w.t.Helper()
	_, err := s.ResumeLanes(w.t.Context(), operator, s.link, lanes, "")
	w.must(err)
}

// say tries to send in a lane.
func (s *side) say(t testing.TB, lane statement.Lane) (statement.Commitment, error) {
	t.Helper()
	d := draft(s, "a word", "in this lane", nil)
	d.Lane = lane
	return s.Send(t.Context(), operator, d, nil)
}

// silent fails unless sending in the lanes is refused by this code and with these words.
func (w *world) silent(s *side, code, words string, lanes ...statement.Lane) {
	w.t.Helper()
	before := w.record(s)
	for _, lane := range lanes {
		if _, err := s.say(w.t, lane); fault.CodeOf(err) != code || fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Public(err), words) {
			w.t.Errorf("%s speaks in %s: %v, want %s and %q", s.name, lane, err, code, words)
		}
	}
	w.same(s, before, "a refused word")
}

func (w *world) speaks(s *side, lanes ...statement.Lane) {
	w.t.Helper()
	for _, lane := range lanes {
		if _, err := s.say(w.t, lane); err != nil {
			w.t.Errorf("%s cannot speak in %s: %v", s.name, lane, err)
		}
	}
}

func (w *world) linkOf(s *side) flow.LinkView {
	w.t.Helper()
	v, err := s.FindLink(w.t.Context(), operator, s.link.String())
	w.must(err)
	return v
}

// sound fails unless both records are whole, alike, and fold again to the same rows.
func (w *world) sound() {
	w.t.Helper()
	w.cosign()
	w.equalAtCut()
	for _, s := range []*side{w.a, w.b} {
		report, err := s.VerifyLedger(w.t.Context(), operator, s.link, nil)
		w.must(err)
		if !report.OK {
			w.t.Errorf("%s: %+v", s.name, report)
		}
		rebuilt, err := s.Rebuild(w.t.Context(), operator, nil)
		w.must(err)
		if !rebuilt.Identical {
			w.t.Errorf("%s: the rebuilt rows differ", s.name)
		}
	}
}

// Guards: the union of both columns is in force, only who suspended resumes, what crossed is taken, what was given its place
// after the receipt of the suspension is refused with a receipt, and control is never suspended.
func TestSuspendUnion(t *testing.T) {
	w := confirmed(t)
	a, b := w.a, w.b
	ctx := t.Context()
	if _, err := a.SuspendLanes(ctx, operator, a.link, []statement.Lane{statement.Control}, "review", ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("control was suspended: %v", err)
	}
	if _, err := a.SuspendLanes(ctx, actor.Actor{Kind: actor.Member, Name: "o", Roles: []actor.Role{actor.Drafter}}, a.link, []statement.Lane{network}, "review", ""); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("an officer suspended a lane: %v", err)
	}

	w.suspend(a, network, dialogue)
	w.silent(a, "link_suspended", "We suspended", network, dialogue) // at once, without the peer
	crossed, err := b.say(t, network)
	w.must(err)
	w.run()
	if v, err := a.Show(ctx, operator, crossed.String()); err != nil || v.Verdict != "folded" {
		t.Errorf("what crossed is %q, %v", v.Verdict, err)
	}
	w.silent(b, "link_suspended", "The other party suspended the lane network on 2026-11-02", network)
	w.silent(b, "link_suspended", "The other party suspended", dialogue)
	w.speaks(a, statement.Hotline)
	w.speaks(b, statement.Hotline)

	before := w.record(a)
	forged := w.forge(b, a, forgery{})
	if got := w.receive(a, forged.frame); !got.ended(parcel.Refused, "suspended") {
		t.Errorf("what was said after the receipt: %+v", got)
	}
	w.unsaid(a, before, "a word in a suspended lane")
	w.a.reopen(t)
	if got := w.receive(a, forged.frame); !got.ended(parcel.Refused, "suspended") {
		t.Errorf("the same again: %+v", got)
	}
	if w.verdict(a, b, forged.header.Seq) != "void:refused" {
		t.Errorf("it is %q", w.verdict(a, b, forged.header.Seq))
	}

	w = confirmed(t) // that world has a liar in it
	a, b = w.a, w.b
	w.suspend(a, network, dialogue)
	w.suspend(b, network) // crossing
	w.run()
	for _, s := range []*side{a, b} {
		v := w.linkOf(s)
		if v.State != exchange.LinkSuspended || len(v.Suspended) != 3 {
			t.Errorf("%s sees %s with %+v", s.name, v.State, v.Suspended)
		}
		for _, x := range v.Suspended {
			if x.At == 0 || x.Reason != "review" || x.Lane == dialogue && x.Ours != (s == a) {
				t.Errorf("%s sees %+v", s.name, x)
			}
		}
	}
	if _, err := b.ResumeLanes(ctx, operator, b.link, []statement.Lane{dialogue}, ""); fault.CodeOf(err) != exchange.VoidNotSuspended {
		t.Errorf("Kestria resumed what Arvenia suspended: %v", err)
	}
	if _, err := a.SuspendLanes(ctx, operator, a.link, []statement.Lane{network}, "other", ""); fault.CodeOf(err) != exchange.VoidTwice {
		t.Errorf("it was suspended twice: %v", err)
	}
	w.resume(a, network)
	w.run()
	w.silent(a, "link_suspended", "The other party suspended", network)
	w.silent(b, "link_suspended", "We suspended", network)
	w.resume(b, network)
	w.run()
	w.speaks(a, network)
	w.speaks(b, network)
	w.silent(a, "link_suspended", "We suspended", dialogue)
	w.resume(a, dialogue)
	w.run()
	w.speaks(b, dialogue)
	w.run()
	for _, s := range []*side{a, b} {
		if v := w.linkOf(s); v.State != exchange.LinkActive || len(v.Suspended) != 0 {
			t.Errorf("%s sees %s with %+v", s.name, v.State, v.Suspended)
		}
	}
	w.sound()
}

// A suspension is told to be in force by its receipt alone: a peer that never says that it opened it gains nothing.
func TestSuspensionBindsFromItsReceipt(t *testing.T) {
	w := confirmed(t)
	a, b := w.a, w.b
	w.suspend(a, network)
	d, err := a.Outgoing(t.Context(), a.link, 8<<20)
	w.must(err)
	got, err := b.Receive(t.Context(), b.link, d.Frames)
	w.must(err)
	var received []parcel.Frame
	for _, f := range got {
		if x := sortAnswers(t, []parcel.Frame{f}); len(x.receipts) == 1 && x.receipts[0].Kind == parcel.Received {
			received = append(received, f)
		}
	}
	if len(received) != 1 {
		t.Fatalf("%d received receipts", len(received))
	}
	late := w.forge(b, a, forgery{})
	if got := w.receive(a, late.frame); !got.ended(parcel.Opened, "") {
		t.Errorf("before any receipt shows it, what may have crossed: %+v", got)
	}
	w.must(a.Delivered(t.Context(), d, received))
	next := w.forge(b, a, forgery{header: func(hd *parcel.Header) {
		hash := envelope.Sum(late.payload)
		hd.Seq, hd.Prev = late.header.Seq+1, &hash
	}})
	if got := w.receive(a, next.frame); !got.ended(parcel.Refused, "suspended") {
		t.Errorf("after the received receipt: %+v", got)
	}
}

// Guards: a withdrawal is valid without the peer, is followed by a checkpoint that both cosign at once, is shown on both
// sides, and leaves the control lane open for what is owed.
func TestWithdraw(t *testing.T) {
	w := confirmed(t)
	a, b := w.a, w.b
	ctx := t.Context()
	w.speaks(a, network)
	w.run()
	crossed, err := b.say(t, network)
	w.must(err)
	said, err := a.Withdraw(ctx, operator, a.link, "withheld", "With thanks for the work done together.")
	w.must(err)
	w.silent(a, "link_withdrawn", "We withdrew from this link just now", network, statement.Hotline)
	if v := w.linkOf(a); v.State != exchange.LinkWithdrawn || len(v.Withdrawn) != 1 || !v.Withdrawn[0].Ours || v.Withdrawn[0].At != 0 {
		t.Errorf("before the peer knows: %s, %+v", v.State, v.Withdrawn)
	}
	w.run() // without StartRounds: the rounds are due by themselves
	w.silent(a, "link_withdrawn", "We withdrew from this link on 2026-11-02", network)
	w.silent(b, "link_withdrawn", "The other party withdrew from this link on 2026-11-02", network, statement.Hotline)
	if v, err := a.Show(ctx, operator, crossed.String()); err != nil || v.Verdict != "folded" {
		t.Errorf("what crossed is %q, %v", v.Verdict, err)
	}
	for _, s := range []*side{a, b} {
		v := w.linkOf(s)
		if v.State != exchange.LinkWithdrawn || len(v.Withdrawn) != 1 || v.Withdrawn[0].Ours != (s == a) || v.Withdrawn[0].At == 0 || v.Withdrawn[0].Reason != "withheld" {
			t.Errorf("%s sees %s, %+v", s.name, v.State, v.Withdrawn)
		}
		if _, err := s.Proof(ctx, operator, said.String(), true); err != nil {
			t.Errorf("%s cannot prove the withdrawal: %v", s.name, err)
		}
	}
	desk, err := b.Send(ctx, operator, deskDraft(b, "desk.propose", nil, statement.DeskFace{Role: "legal", Standing: "permanent", ValidFrom: 1}), nil)
	w.must(err)
	w.run()
	_, err = a.Send(ctx, operator, countersign(a, desk, desk), nil)
	w.must(err)
	w.run()
	if _, err := a.Withdraw(ctx, operator, a.link, "other", ""); fault.CodeOf(err) != exchange.VoidWithdrawn {
		t.Errorf("Arvenia withdrew twice: %v", err)
	}
	if _, err := a.SuspendLanes(ctx, operator, a.link, []statement.Lane{network}, "other", ""); fault.CodeOf(err) != exchange.VoidWithdrawn {
		t.Errorf("Arvenia suspended a lane after it withdrew: %v", err)
	}
	w.sound()

	before := w.record(a)
	if got := w.receive(a, w.forge(b, a, forgery{}).frame); !got.ended(parcel.Refused, "withdrawn") {
		t.Errorf("after the withdrawal: %+v", got)
	}
	w.unsaid(a, before, "a word after the withdrawal")
}

// A party that withdrew may not go on in secret either: its own word stands in its own ledger.
func TestWithdrawnAuthorIsHeldToIt(t *testing.T) {
	w := confirmed(t)
	_, err := w.a.Withdraw(t.Context(), operator, w.a.link, "ended", "")
	w.must(err)
	w.run()
	if got := w.receive(w.b, w.forge(w.a, w.b, forgery{}).frame); !got.ended(parcel.Refused, "withdrawn") {
		t.Errorf("what the withdrawn party says: %+v", got)
	}
}

// A link that was never confirmed can be left, too.
func TestWithdrawUnconfirmed(t *testing.T) {
	w := newWorld(t)
	if _, err := w.a.SuspendLanes(t.Context(), operator, w.a.link, []statement.Lane{network}, "review", ""); fault.CodeOf(err) != "link_unverified" {
		t.Errorf("a lane of an unconfirmed link was suspended: %v", err)
	}
	_, err := w.a.Withdraw(t.Context(), operator, w.a.link, "other", "")
	w.must(err)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if v := w.linkOf(s); v.State != exchange.LinkWithdrawn {
			t.Errorf("%s sees %s", s.name, v.State)
		}
	}
	w.sound()
}

// Every crossing of two statements about taking part, each delivered first.
func TestParticipationCrossings(t *testing.T) {
	acts := map[string]func(w *world, s *side) error{
		"participation.suspend": func(w *world, s *side) error {
			_, err := s.SuspendLanes(w.t.Context(), operator, s.link, []statement.Lane{network}, "review", "")
			return err
		},
		"participation.resume": func(w *world, s *side) error {
			_, err := s.ResumeLanes(w.t.Context(), operator, s.link, []statement.Lane{statement.Hotline}, "")
			return err
		},
		"participation.withdraw": func(w *world, s *side) error {
			_, err := s.Withdraw(w.t.Context(), operator, s.link, "ended", "")
			return err
		},
	}
	states := map[string]string{
		"participation.suspend × participation.suspend":   exchange.LinkSuspended,
		"participation.suspend × participation.resume":    exchange.LinkSuspended,
		"participation.resume × participation.resume":     exchange.LinkActive,
		"participation.suspend × participation.withdraw":  exchange.LinkWithdrawn,
		"participation.resume × participation.withdraw":   exchange.LinkWithdrawn,
		"participation.withdraw × participation.withdraw": exchange.LinkWithdrawn,
	}
	played := 0
	for _, c := range exchange.Crossings() {
		first, second := acts[c.A], acts[c.B]
		if first == nil || second == nil {
			continue
		}
		played++
		for _, order := range []string{"A first", "B first"} {
			t.Run(c.A+" × "+c.B+", "+order, func(t *testing.T) {
				w := confirmed(t)
				for _, s := range []*side{w.a, w.b} {
					w.suspend(s, statement.Hotline)
				}
				w.run()
				if c.B != "participation.resume" && c.A != "participation.resume" {
					for _, s := range []*side{w.a, w.b} {
						w.resume(s, statement.Hotline)
					}
					w.run()
				}
				w.must(first(w, w.a))
				w.must(second(w, w.b))
				if order == "A first" {
					w.carry(w.a, w.b)
				} else {
					w.carry(w.b, w.a)
				}
				w.run()
				va, vb := w.linkOf(w.a), w.linkOf(w.b)
				want := states[c.A+" × "+c.B]
				if va.State != want || vb.State != want || len(va.Suspended) != len(vb.Suspended) || len(va.Withdrawn) != len(vb.Withdrawn) {
					t.Errorf("Arvenia sees %s %+v %+v, Kestria %s %+v %+v, want %s", va.State, va.Suspended, va.Withdrawn, vb.State, vb.Suspended, vb.Withdrawn, want)
				}
				w.sound()
			})
		}
	}
	if played != len(states) {
		t.Errorf("%d crossings were played, want %d", played, len(states))
	}
}
