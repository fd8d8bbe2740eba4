package flow_test

import (
	"bytes"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

// unpaired are two parties without a link.
func unpaired(t testing.TB) *world {
	t.Helper()
	c := newClock()
	return &world{t: t, a: newSide(t, "arvenia", c, nil), b: newSide(t, "kestria", c, nil)}
}

// invited is an invitation as the other party reads it.
func (w *world) invited() *flow.Invitation {
	w.t.Helper()
	inv, err := w.a.Invite(w.t.Context(), operator, "kestria", statement.DefaultAgreement(), time.Hour)
	w.must(err)
	data, err := inv.Encode()
	w.must(err)
	inv, err = flow.DecodeInvitation(data)
	w.must(err)
	return inv
}

func (w *world) pairFile(data []byte) *flow.PairFile {
	w.t.Helper()
	f, err := flow.DecodePairFile(data)
	w.must(err)
	return f
}

// Two nodes without any network pair by three files, have one code, and confirm and speak by courier.
func TestPairByFile(t *testing.T) {
	w := unpaired(t)
	ctx := t.Context()
	inv := w.invited()
	answer, err := w.b.PairByFile(ctx, operator, "arvenia", inv)
	w.must(err)
	again, err := w.b.PairByFile(ctx, operator, "arvenia", inv)
	w.must(err)
	if !bytes.Equal(answer, again) {
		t.Error("the same invitation has two answers")
	}
	id, reveal, err := w.a.PairOn(ctx, operator, w.pairFile(answer))
	w.must(err)
	_, lost, err := w.a.PairOn(ctx, operator, w.pairFile(answer)) // the file got lost
	w.must(err)
	if !bytes.Equal(reveal, lost) {
		t.Error("the same answer has two reveals")
	}
	w.b.reopen(t)
	w.a.link = id
	if w.b.link, _, err = w.b.PairOn(ctx, operator, w.pairFile(reveal)); err != nil || w.b.link != id {
		t.Fatalf("link %s at one, %s at the other: %v", id, w.b.link, err)
	}
	a, b := w.linkOf(w.a), w.linkOf(w.b)
	if a.Digits != b.Digits || a.Digits == "" || a.Alias != "kestria" || b.Alias != "arvenia" {
		t.Errorf("codes %s and %s, aliases %s and %s", a.Digits, b.Digits, a.Alias, b.Alias)
	}
	if _, _, err := w.b.PairOn(ctx, operator, w.pairFile(reveal)); fault.CodeOf(err) != "pairing" {
		t.Errorf("the last file again: %v", err)
	}
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Confirm(ctx, operator, s.link, "courier", "Duty officer", "head of desk", "")
		w.must(err)
	}
	for range 3 {
		w.trip(w.a, w.b)
		w.trip(w.b, w.a)
	}
	c := w.message(w.a, "subject", "by file", nil)
	for range 3 {
		w.trip(w.a, w.b)
		w.trip(w.b, w.a)
	}
	w.opened(c, nil)
}

// Whoever carries the files has one guess: each change is refused, and an answer uses the token up, whatever it leads to.
func TestPairFileAttacks(t *testing.T) {
	w := unpaired(t)
	ctx := t.Context()
	third := newSide(t, "third", w.a.clock, nil)
	inv := w.invited()
	answer, err := w.b.PairByFile(ctx, operator, "arvenia", inv)
	w.must(err)
	f := w.pairFile(answer)
	sign := func(s *side, payloadType string, v any) *flow.PairFile {
		return w.pairFile(w.signed(s, payloadType, v))
	}
	bend := func(change func(*flow.PairAnswer)) flow.PairAnswer {
		a := *f.Answer
		change(&a)
		return a
	}
	for name, attack := range map[string]struct {
		file *flow.PairFile
		code string
	}{
		"signed by another":     {sign(third, flow.PairAnswerType, *f.Answer), "signature"},
		"another nonce":         {sign(third, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Nonce = make([]byte, 32) })), "signature"},
		"another token":         {sign(w.b, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Token = make([]byte, 32) })), "token"},
		"to another commitment": {sign(w.b, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Commit[0] ^= 1 })), "pairing"},
		"an identity cut":       {sign(w.b, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Identity = [][]byte{a.Identity[0][:100]} })), "identity"},
		"from ourselves":        {sign(w.a, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Identity = w.a.Self().Envelopes })), "pairing"},
		"a reveal of nothing":   {sign(w.b, flow.PairRevealType, flow.PairReveal{V: 1, Token: envelope.Hash{1}, Answer: envelope.Hash{1}, Nonce: make([]byte, 32)}), "pairing"},
	} {
		if _, _, err := w.a.PairOn(ctx, operator, attack.file); fault.CodeOf(err) != attack.code {
			t.Errorf("%s: %v, want %s", name, err, attack.code)
		}
	}
	if links, err := w.a.Links(ctx, operator); err != nil || len(links) != 0 {
		t.Errorf("an attack made a link: %v, %v", links, err)
	}
	// Somebody in between answers first: his link has another code, and the true answer finds the token used up.
	his := sign(third, flow.PairAnswerType, bend(func(a *flow.PairAnswer) { a.Identity = third.Self().Envelopes }))
	seen, reveal, err := w.a.PairOn(ctx, operator, his)
	w.must(err)
	if _, _, err := w.a.PairOn(ctx, operator, f); fault.CodeOf(err) != "token" {
		t.Errorf("a second answer: %v", err)
	}
	// What he learned is of no use with the other: it is not for that answer, and what he signs himself is not of the inviter.
	if _, _, err := w.b.PairOn(ctx, operator, w.pairFile(reveal)); fault.CodeOf(err) != "pairing" {
		t.Errorf("the reveal for another answer: %v", err)
	}
	r := *w.pairFile(reveal).Reveal
	r.Answer = f.Hash()
	if _, _, err := w.b.PairOn(ctx, operator, sign(third, flow.PairRevealType, r)); fault.CodeOf(err) != "signature" {
		t.Errorf("a reveal by another: %v", err)
	}
	if got, _, err := w.b.PairOn(ctx, operator, sign(w.a, flow.PairRevealType, r)); err != nil || got == seen {
		t.Errorf("links with the one in between and with the other are one: %v", err)
	}
	wrong := unpaired(t)
	second, err := wrong.b.PairByFile(ctx, operator, "arvenia", wrong.invited())
	w.must(err)
	s := wrong.pairFile(second)
	lie := flow.PairReveal{V: 1, Token: envelope.Sum(s.Answer.Token), Answer: s.Hash(), Nonce: make([]byte, 32)}
	if _, _, err := wrong.b.PairOn(ctx, operator, wrong.pairFile(wrong.signed(wrong.a, flow.PairRevealType, lie))); fault.CodeOf(err) != "commitment" {
		t.Errorf("a nonce that was not committed to: %v", err)
	}
	wrong.a.clock.advance(2 * time.Hour)
	if _, _, err := wrong.a.PairOn(ctx, operator, s); fault.CodeOf(err) != "token" {
		t.Errorf("an answer that comes too late: %v", err)
	}
	if _, err := wrong.a.PairByFile(ctx, operator, "self", wrong.invited()); fault.CodeOf(err) != "invitation" {
		t.Errorf("our own invitation: %v", err)
	}
}

// What one end writes, the other reads alike; anything else is refused by a fault that says what to do.
func FuzzPairFile(f *testing.F) {
	w := unpaired(f)
	inv, err := w.a.Invite(f.Context(), operator, "kestria", statement.DefaultAgreement(), time.Hour)
	w.must(err)
	answer, err := w.b.PairByFile(f.Context(), operator, "arvenia", inv)
	w.must(err)
	_, reveal, err := w.a.PairOn(f.Context(), operator, w.pairFile(answer))
	w.must(err)
	for _, seed := range [][]byte{answer, reveal, answer[:len(answer)-1], w.a.Self().Envelopes[0], []byte("{}"), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := flow.DecodePairFile(data)
		if err != nil {
			if fault.CodeOf(err) != "pairing_file" || fault.Public(err) == "" {
				t.Fatalf("refused by %v", err)
			}
			return
		}
		env, err := envelope.DecodeEnvelope(data)
		if err != nil {
			t.Fatal(err)
		}
		var payload []byte
		if file.Answer != nil {
			payload, err = envelope.Marshal(file.Answer)
		} else {
			payload, err = envelope.Marshal(file.Reveal)
		}
		if err != nil {
			t.Fatal(err)
		}
		env.Payload = payload
		encoded, err := env.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := flow.DecodePairFile(encoded)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if d := cmp.Diff(file.Answer, again.Answer) + cmp.Diff(file.Reveal, again.Reveal); d != "" {
			t.Fatal(d)
		}
	})
}

// Modes that no part of this node carries are refused by both sides, before there is a link.
func TestPairOnModesThatAreNotCarried(t *testing.T) {
	w := unpaired(t)
	offer := statement.DefaultAgreement()
	offer.Modes = []string{"mail"}
	if _, err := w.a.Invite(t.Context(), operator, "kestria", offer, time.Hour); fault.CodeOf(err) != "mode" {
		t.Errorf("inviting on mail: %v", err)
	}
	inv := *w.invited()
	var err error
	inv.Offer, err = offer.Encode()
	w.must(err)
	data, err := inv.Encode()
	w.must(err)
	if _, err := flow.DecodeInvitation(data); fault.CodeOf(err) != "mode" {
		t.Errorf("an invitation to mail: %v", err)
	}
	offer.Modes = []string{"courier", statement.ModeOneway}
	if _, err := w.a.Invite(t.Context(), operator, "kestria", offer, time.Hour); fault.CodeOf(err) != "agreement" {
		t.Errorf("inviting on a link that goes one way and both: %v", err)
	}
}
