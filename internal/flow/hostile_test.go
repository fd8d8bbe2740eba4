package flow_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// A peer has us wait for a parcel no longer than the agreement says, whatever it writes and whatever its clock says.
func TestExpiryIsBounded(t *testing.T) {
	w := confirmed(t)
	most := statement.DefaultAgreement().Limits.Expiry * 1e6
	for name, c := range map[string]struct {
		change func(*parcel.Header)
		reason string
	}{
		"as long as agreed":      {func(h *parcel.Header) { h.Expires = h.Created + most }, ""},
		"a microsecond longer":   {func(h *parcel.Header) { h.Expires = h.Created + most + 1 }, "expiry"},
		"until the end of times": {func(h *parcel.Header) { h.Expires = statement.MaxInteger }, "expiry"},
	} {
		for _, bare := range []bool{false, true} {
			f := w.forge(w.b, w.a, forgery{header: c.change, bare: bare})
			before := w.record(w.a)
			got := w.receive(w.a, f.frame)
			if c.reason != "" {
				if !got.ended(parcel.Refused, c.reason) {
					t.Errorf("%s, bare %t: answered by %+v and %q", name, bare, got.receipts, got.refusals)
				}
				w.unsaid(w.a, before, name)
			} else if got.ended(parcel.Refused, "expiry") {
				t.Errorf("%s, bare %t: refused", name, bare)
			}
			w = confirmed(t)
		}
	}

	future := w.forge(w.b, w.a, forgery{bare: true, header: func(h *parcel.Header) {
		h.Created += 10 * 365 * 24 * 3600 * 1e6
		h.Expires = h.Created + most
	}})
	if got := w.receive(w.a, future.frame); len(got.wants) != 1 {
		t.Fatalf("a header of the future: %+v and %q", got.receipts, got.refusals)
	}
	w.a.clock.advance(time.Duration(most) * time.Microsecond)
	w.must(w.a.Expire(t.Context()))
	w.a.view(t, func(tx flow.Tx) error {
		p, err := tx.Parcel(t.Context(), future.header.ID)
		if p.State != exchange.Refused || p.Reason != "expired" {
			t.Errorf("a parcel of the future is still %s %s", p.State, p.Reason)
		}
		return err
	})
}

// waiting are rows of parcels that wait in a state, more urgent than any other.
func (w *world) waiting(n int, state exchange.ParcelState) (rows []exchange.Parcel) {
	hd := w.next(w.b, w.a, statement.Hotline)
	for range n {
		row := exchange.Parcel{ID: envelope.NewID(), Link: w.a.link, Author: w.b.Self().ID, Epoch: 1, Lane: statement.Hotline, File: 0, State: state,
			GotIndex: -1, Created: hd.Created, Expires: hd.Expires, Segments: 1, Length: 1}
		row.Header, row.Text = envelope.Sum(row.ID[:]), envelope.Sum(row.ID[:])
		rows = append(rows, row)
	}
	return rows
}

// However much waits before it, what can be opened is opened, and what is late expires.
func TestWhatWaitsStarvesNothing(t *testing.T) {
	w := confirmed(t)
	w.a.update(t, func(tx flow.Tx) error { return tx.PutParcels(t.Context(), w.waiting(1100, exchange.Received)...) })
	large := w.forge(w.b, w.a, forgery{bare: true, body: statement.MessageBody{Subject: "large", Language: "en", Text: strings.Repeat("in segments ", 21000)}})
	w.receive(w.a, large.frame)
	w.segments(large)
	w.must(w.a.Settle(t.Context(), w.a.link))
	late := w.forge(w.b, w.a, forgery{bare: true, header: func(h *parcel.Header) { h.Seq, h.Expires = h.Seq+1, h.Created+60e6 }})
	state := func(f forged) (state exchange.ParcelState) {
		w.a.view(t, func(tx flow.Tx) error {
			p, err := tx.Parcel(t.Context(), f.header.ID)
			state = p.State
			return err
		})
		return state
	}
	if got := state(large); got != exchange.Opened {
		t.Errorf("the statement behind 1,100 files that wait is %s", got)
	}
	w.a.update(t, func(tx flow.Tx) error { return tx.PutParcels(t.Context(), w.waiting(1100, exchange.Arriving)...) })
	prev := envelope.Sum(large.payload)
	late.header.Prev = &prev
	late = w.signForged(w.b, late.header, nil)
	w.receive(w.a, late.frame)
	w.a.clock.advance(time.Hour)
	w.must(w.a.Expire(t.Context()))
	if got := state(late); got != exchange.Refused {
		t.Errorf("the late parcel behind 1,100 that are not late is %s", got)
	}
}

// While something of a lane cannot be opened here, a call still goes out in it: what begins a thread has its verdict whatever
// came in before. An answer waits, since its guard must know.
func TestBrokenDiskHoldsNoCallBack(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	thread := w.message(w.b, "before", "in the same lane", nil)
	w.run()
	w.message(w.b, "large", strings.Repeat("in segments ", 21000), &thread)
	w.a.blobs.unreadable = true
	for range 5 {
		w.carry(w.b, w.a)
		w.carry(w.a, w.b)
	}
	if w.a.Settle(ctx, w.a.link) == nil {
		t.Fatal("the large statement could be opened")
	}
	call := w.message(w.a, "a call", "although the disk fails", nil)
	_, err := w.a.Send(ctx, operator, draft(w.a, "an answer", "to what is not known", &thread), nil)
	if fault.KindOf(err) != fault.Unavailable || fault.CodeOf(err) != "unsettled" {
		t.Errorf("an answer to what cannot be opened: %v", err)
	}
	elsewhere := draft(w.a, "elsewhere", "in a lane where all is well", nil)
	elsewhere.Lane = statement.Hotline
	if _, err := w.a.Send(ctx, operator, elsewhere, nil); err != nil {
		t.Errorf("in another lane: %v", err)
	}
	w.carry(w.a, w.b)
	if v := w.shown(w.b, call); v.Parcel.State != exchange.Opened {
		t.Errorf("the call is %s at the peer", v.Parcel.State)
	}
	w.a.blobs.unreadable = false
	w.must(w.a.Settle(ctx, w.a.link))
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if v := w.shown(s, call); v.Verdict != "folded" {
			t.Errorf("at %s the call is %q in the end", s.name, v.Verdict)
		}
	}
}

// However often a peer refuses, it writes no more than a line into our log.
func TestRefusalsFillNoLog(t *testing.T) {
	w := confirmed(t)
	var log bytes.Buffer
	w.a.log = slog.NewTextHandler(&log, nil)
	w.a.reopen(t)
	log.Reset()
	refusals := make([]parcel.Frame, 1000)
	for i := range refusals {
		refusals[i] = w.frame(parcel.FrameRefusal, parcel.RefusalFrame{Code: "busy", Sentence: fmt.Sprintf("Refused for the %d. time.", i)})
	}
	for range 3 {
		w.receive(w.a, refusals...)
	}
	if n := bytes.Count(log.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("3,000 refusals wrote %d lines", n)
	}
	w.a.clock.advance(2 * time.Minute)
	w.receive(w.a, refusals...)
	if n := bytes.Count(log.Bytes(), []byte("\n")); n != 2 || !strings.Contains(log.String(), "times=3000") {
		t.Errorf("%d lines after a while; those before:\n%s", n, log.String())
	}
}

// A header that comes many times in one request costs one look at what is missing of its parcel.
func TestWishesAreNotMultiplied(t *testing.T) {
	w := confirmed(t)
	f := w.large(w.b, 1<<20+5)
	hashes := parcel.SegmentHashesFrame{Parcel: f.header.ID, Leaves: segmentLeaves(f.content)}.Frame()
	w.receive(w.a, hashes)
	var frames []parcel.Frame
	for range 100 {
		frames = append(frames, f.frame, hashes)
	}
	if got := w.receive(w.a, frames...); len(got.wants) == 0 || len(got.wants) > 2 {
		t.Errorf("%d wishes for one parcel", len(got.wants))
	}
}

// counting counts the transactions of a store, and looks at each.
type counting struct {
	flow.Store
	updates int
}

// Update implements flow.Store.
func (c *counting) Update(ctx context.Context, p flow.Priority, f func(flow.Tx) error) error {
	c.updates++
	return c.Store.Update(ctx, p, f)
}

// A request of many small grants does not have everything that they open in memory at once.
func TestGrantsOpenABoundedAmount(t *testing.T) {
	w := confirmed(t)
	text := strings.Repeat("in segments ", 21000)
	for range 40 {
		w.register(w.a, "registered", text, nil)
	}
	for w.carry(w.a, w.b) || w.carry(w.b, w.a) {
	}
	w.must(w.a.Settle(t.Context(), w.a.link))
	grants, _ := w.grants(w.a)
	if len(grants) < 40 {
		t.Fatalf("%d grants", len(grants))
	}
	store := &counting{Store: w.b.store}
	w.b.store = store
	w.b.reopen(t)
	store.updates = 0
	if got := w.receive(w.b, grants...); len(got.refusals) != 0 || len(got.receipts) != 2*len(grants) {
		t.Fatalf("%d receipts and %q for %d grants", len(got.receipts), got.refusals, len(grants))
	}
	if store.updates < 2 {
		t.Errorf("%d bytes were opened in %d transaction", len(grants)*len(text), store.updates)
	}
}

// While what came on one link takes long to open, what came on another is opened.
func TestSlowLinkKeepsNoOtherWaiting(t *testing.T) {
	w := confirmed(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	large := func() forged {
		f := w.forge(w.b, w.a, forgery{bare: true, body: statement.MessageBody{Subject: "large", Language: "en", Text: strings.Repeat("in segments ", 21000)}})
		w.receive(w.a, f.frame)
		return f
	}
	opened := func(f forged) {
		for state := exchange.Received; state != exchange.Opened; {
			w.a.view(t, func(tx flow.Tx) error {
				p, err := tx.Parcel(t.Context(), f.header.ID)
				state = p.State
				return err
			})
		}
	}
	w.segments(large())
	slow := &slowOpen{begun: make(chan struct{}), end: make(chan struct{})}
	w.a.blobs.slow = slow
	done := make(chan error, 1)
	go func() { done <- w.a.SettleLoop(ctx) }()
	<-slow.begun
	w.pairAs("kestria-exercises", "arvenia-exercises")
	w.confirm()
	quick := large()
	w.segments(quick)
	opened(quick)
	close(slow.end)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What our own disk changed after it was taken is no fault of its author: it is not rejected, and opens when the bytes are back.
func TestChangedBytesAccuseNobody(t *testing.T) {
	w := confirmed(t)
	kept := map[envelope.ID][]byte{}
	w.a.blobs.unreadable = true // so that both stay unopened until the disk has changed them
	c := w.message(w.b, "large", strings.Repeat("in segments ", 21000), nil, fileOf("evidence.bin", bytes.Repeat([]byte("evidence "), 200000)))
	for range 8 {
		w.carry(w.b, w.a)
		w.carry(w.a, w.b)
	}
	for id, data := range w.a.blobs.partials {
		kept[id] = data
		w.a.blobs.partials[id] = append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
	}
	if len(kept) == 0 {
		t.Fatal("no segments lie on the disk")
	}
	w.a.blobs.unreadable = false
	if err := w.a.Settle(t.Context(), w.a.link); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("settling changed bytes: %v", err)
	}
	if v := w.shown(w.b, c); v.Parcel.State != exchange.Sending && v.Parcel.State != exchange.Received {
		t.Errorf("its author is told that it is %s", v.Parcel.State)
	}
	maps.Copy(w.a.blobs.partials, kept)
	w.must(w.a.Settle(t.Context(), w.a.link))
	w.run()
	if v := w.shown(w.a, c); v.Parcel.State != exchange.Opened || len(v.Files) != 1 || v.Files[0].State != "stored" {
		t.Errorf("in the end it is %s, with %+v", v.Parcel.State, v.Files)
	}
}
