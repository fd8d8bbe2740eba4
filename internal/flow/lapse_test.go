package flow_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/statement"
)

// beyond is later than a parcel of the default agreement may arrive.
const beyond = 31 * 24 * time.Hour

// holds counts registered parcels that a side holds, of either author, and what it still keeps back of its own.
func (w *world) holds(s *side) (n int) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) error {
		for _, author := range []*side{w.a, w.b} {
			for _, state := range []exchange.ParcelState{exchange.Held, exchange.Withheld} {
				rows, err := tx.ParcelsIn(w.t.Context(), s.link, author.Self().ID, state, exchange.Parcel{}, 100)
				if err != nil {
					return err
				}
				n += len(rows)
			}
		}
		return nil
	})
	return n
}

// keys fails unless the key of a registered statement is so far on both sides.
func (w *world) keys(c statement.Commitment, ours, theirs string) {
	w.t.Helper()
	if a, b := w.key(w.a, c), w.key(w.b, c); a != ours || b != theirs {
		w.t.Errorf("the key is %s at its author and %s at its addressee, not %s and %s", a, b, ours, theirs)
	}
}

// What was acknowledged and got no key before it expired has lapsed on both sides: nothing of it is kept, nothing is held up, and
// no key is given any more, whether the lane is resumed before anybody looks or after.
func TestRegisteredLapses(t *testing.T) {
	for name, looked := range map[string]bool{"looked at before": true, "resumed before": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registeredLapses(t, looked)
		})
	}
}

func registeredLapses(t *testing.T, looked bool) {
	w := confirmed(t)
	ctx := t.Context()
	large := make([]byte, 2<<20)
	rand.Read(large)
	c := w.register(w.a, "registered", "waits", nil, fileOf("evidence.bin", large))
	w.carry(w.a, w.b)
	w.suspend(w.b, network)
	w.carry(w.b, w.a)
	w.must(w.a.Settle(ctx, w.a.link))
	w.keys(c, flow.KeyDue, flow.KeyAwaited)
	for _, s := range []*side{w.a, w.b} {
		w.must(s.Lapse(ctx))
		if w.holds(s) == 0 {
			t.Fatalf("%s gave it up before its time", s.name)
		}
	}
	w.a.clock.advance(beyond)
	w.b.clock.advance(beyond)
	w.keys(c, flow.KeyLapsed, flow.KeyLapsed)
	if !looked {
		w.resume(w.b, network)
		w.run()
		w.run()
	}
	for _, s := range []*side{w.a, w.b} {
		if looked || s == w.b {
			w.must(s.Lapse(ctx))
		}
		if n := w.holds(s); n > 0 {
			t.Errorf("%s still holds %d parcels", s.name, n)
		}
		if n, err := s.Sweep(ctx); err != nil || n > 0 {
			t.Errorf("%s left %d sealed files behind, %v", s.name, n, err)
		}
	}
	w.keys(c, flow.KeyLapsed, flow.KeyLapsed)
	list, err := w.b.Awaited(ctx, operator, nil)
	w.must(err)
	if len(list) != 1 || list[0].Registered.Key != flow.KeyLapsed {
		t.Errorf("the addressee lists %+v", list)
	}
	if looked {
		w.resume(w.b, network)
		w.run()
	}
	w.keys(c, flow.KeyLapsed, flow.KeyLapsed)
	message := w.message(w.a, "the lane", "goes on", nil)
	next := w.register(w.a, "registered", "another", nil)
	w.run()
	w.opened(message, nil)
	w.opened(next, nil)
	var out bytes.Buffer
	w.must(w.a.WriteFile(ctx, operator, c, 0, &out)) // what we said is ours to keep
	if !bytes.Equal(out.Bytes(), large) {
		t.Error("the author lost its own file")
	}
	w.cosign()
	w.sound()
	w.sameRecord()
}

// A peer that acknowledges nothing has nothing kept for it beyond the statement's time, and learns it by its own refusal.
func TestRegisteredNeverAcknowledged(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	large := make([]byte, 2<<20)
	rand.Read(large)
	c := w.register(w.a, "registered", "nobody signs", nil, fileOf("evidence.bin", large))
	w.a.clock.advance(beyond)
	w.b.clock.advance(beyond)
	if got := w.key(w.a, c); got != flow.KeyLapsed {
		t.Errorf("the key is %s", got)
	}
	w.must(w.a.Lapse(ctx))
	if n := w.holds(w.a); n > 0 {
		t.Errorf("%d parcels are kept back", n)
	}
	w.run()
	if got := w.key(w.a, c); got != flow.KeyRefused {
		t.Errorf("in the end, the key is %s", got)
	}
	w.cosign()
	w.sound()
	w.sameRecord()
}

// A key that comes too late by the addressee's clock is refused, whether it has dropped the parcel by then or not.
func TestLateGrant(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		w := confirmed(t)
		c := w.held(fileOf("small.txt", []byte("small")))
		w.b.clock.advance(beyond) // the author's clock is a month behind
		if dropped {
			w.must(w.b.Lapse(t.Context()))
		}
		w.run()
		if got := w.key(w.a, c); got != flow.KeyRefused {
			t.Errorf("dropped %t: the key is %s at its author", dropped, got)
		}
		v, err := w.a.Show(t.Context(), operator, c.String())
		w.must(err)
		if v.Parcel.Reason != "expired" || v.Verdict != "void:refused" {
			t.Errorf("dropped %t: it was refused for %q, verdict %q", dropped, v.Parcel.Reason, v.Verdict)
		}
		if n := w.holds(w.a) + w.holds(w.b); n > 0 {
			t.Errorf("dropped %t: %d parcels are held", dropped, n)
		}
		message := w.message(w.b, "the lane", "goes on", nil)
		w.run()
		w.opened(message, nil)
		w.cosign()
		w.sound()
	}
}
