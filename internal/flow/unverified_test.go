package flow_test

import (
	"fmt"
	"testing"
	"time"

	"entente/internal/exchange"
	"entente/parcel"
	"entente/statement"
)

// Until both have confirmed, nothing reaches a person that is not for that: whoever stands in between has everything but the code.
func TestUnverifiedCarriesNothingElse(t *testing.T) {
	desk := statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}
	body := statement.DeskBody{Names: map[string]string{"en": "False desk"}, Always: true, Zone: "UTC", Languages: []string{"en"}}
	for name, j := range map[string]struct {
		text func(w *world) func(*statement.Text)
		body any
		kind parcel.ReceiptKind
		big  bool
	}{
		"a call":          {text: func(*world) func(*statement.Text) { return func(t *statement.Text) { t.Lane = statement.Hotline } }, kind: parcel.Refused},
		"evidence":        {text: func(*world) func(*statement.Text) { return func(t *statement.Text) { t.Lane = statement.Network } }, kind: parcel.Refused},
		"evidence, large": {text: func(*world) func(*statement.Text) { return func(t *statement.Text) { t.Lane = statement.Network } }, kind: parcel.Refused, big: true},
		"a desk":          {text: func(w *world) func(*statement.Text) { return w.controlText("desk.propose", nil, desk) }, body: body, kind: parcel.Rejected},
	} {
		for state, confirm := range map[string]func(w *world){
			"nobody has confirmed":   func(*world) {},
			"only they have":         func(w *world) { w.confirmOne(w.b) },
			"only we have confirmed": func(w *world) { w.confirmOne(w.a) },
		} {
			t.Run(name+", "+state, func(t *testing.T) {
				w := newWorld(t)
				confirm(w)
				before := w.record(w.a)
				f := w.forge(w.b, w.a, forgery{text: j.text(w), body: j.body, bare: j.big})
				got := w.receive(w.a, f.frame)
				if !got.ended(j.kind, "unverified") {
					t.Errorf("answered by %+v and %q", got.receipts, got.refusals)
				}
				w.unsaid(w.a, before, name)
			})
		}
	}
}

func (w *world) confirmOne(s *side) {
	w.t.Helper()
	_, err := s.Confirm(w.t.Context(), operator, s.link, "telephone", "Duty officer", "head of desk", "")
	w.must(err)
	w.run()
}

// The first call may overtake the receipts that tell the addressee that both have confirmed.
func TestFirstCallAfterConfirming(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Confirm(ctx, operator, s.link, "telephone", "Duty officer", "head of desk", "")
		w.must(err)
	}
	w.lose(w.b, w.a) // a takes b's word, b hears nothing of it
	w.carry(w.a, w.b)
	c, err := w.a.say(t, statement.Hotline)
	w.must(err)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	var alone []parcel.Frame // its receipts come later
	for _, f := range d.Frames {
		if f.Kind == parcel.FrameParcel {
			alone = append(alone, f)
		}
	}
	if got := w.receive(w.b, alone...); !got.ended(parcel.Opened, "") {
		t.Errorf("answered by %+v and %q", got.receipts, got.refusals)
	}
	w.must(w.a.Undelivered(ctx, d, fmt.Errorf("lost")))
	w.b.clock.advance(time.Hour)
	w.run()
	if v := w.shown(w.b, c); v.Parcel.State != exchange.Opened {
		t.Errorf("the call is %s", v.Parcel.State)
	}
	w.cosign()
	w.equalAtCut()
}
