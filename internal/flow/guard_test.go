package flow_test

import (
	"testing"
	"time"
)

// lose plays a delivery whose answers are lost on the way back.
func (w *world) lose(from, to *side) {
	w.t.Helper()
	ctx := w.t.Context()
	d, err := from.Outgoing(ctx, from.link, 8<<20)
	w.must(err)
	_, err = to.Receive(ctx, to.link, wire(w.t, d.Frames))
	w.must(err)
	w.must(from.Delivered(ctx, d, nil))
}

// What a peer said can be answered as soon as it is opened, also while it waits to be folded because its author had seen
// a statement of ours whose receipts are still on their way.
func TestAnswerBeforeItFolds(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.message(w.a, "first", "1", nil)
	w.lose(w.a, w.b)
	question := w.message(w.b, "question", "2", nil) // has seen the first
	w.carry(w.b, w.a)
	if v, err := w.a.Show(t.Context(), operator, question.String()); err != nil || v.Parcel.State != "opened" || v.Verdict != "" {
		t.Fatalf("the question is %q with verdict %q, %v; want it opened and not folded", v.Parcel.State, v.Verdict, err)
	}
	answer := w.message(w.a, "answer", "3", &question)
	w.message(w.a, "more", "4", &question)
	w.a.clock.advance(time.Minute) // what has no receipt is sent again
	w.run()
	for _, s := range []*side{w.a, w.b} {
		v, err := s.Show(t.Context(), operator, answer.String())
		w.must(err)
		if v.Verdict != "folded" {
			t.Errorf("at %s the answer is %q", s.name, v.Verdict)
		}
	}
}

// What a peer took without a receipt before the node went down is sent again when it starts, not only after a while.
func TestRestartSendsAgain(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.message(w.a, "first", "1", nil)
	w.lose(w.a, w.b)
	if w.carry(w.a, w.b) {
		t.Fatal("it was sent again at once, without a restart")
	}
	w.a.reopen(t)
	if !w.carry(w.a, w.b) {
		t.Error("after the restart nothing is sent again")
	}
}
