package flow_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/proof"
	"entente/statement"
)

// register sends a registered message.
func (w *world) register(from *side, subject, text string, thread *statement.Commitment, files ...flow.FileDraft) statement.Commitment {
	w.t.Helper()
	d := draft(from, subject, text, thread, files...)
	d.Registered = true
	c, err := from.Send(w.t.Context(), operator, d, nil)
	w.must(err)
	return c
}

// key is how far the key of a registered statement has come, as a side sees it.
func (w *world) key(s *side, c statement.Commitment) string {
	w.t.Helper()
	v, err := s.Show(w.t.Context(), operator, c.String())
	w.must(err)
	if v.Registered == nil {
		w.t.Fatalf("at %s, the statement is not registered", s.name)
	}
	return v.Registered.Key
}

// grants are the frames of a kind among what a side would send now; the delivery counts as failed.
func (w *world) grants(from *side) (frames []parcel.Frame, grants []*parcel.Grant) {
	w.t.Helper()
	d, err := from.Outgoing(w.t.Context(), from.link, 8<<20)
	w.must(err)
	for _, f := range d.Frames {
		if f.Kind != parcel.FrameGrant {
			continue
		}
		env, err := envelope.DecodeEnvelope(f.Payload)
		w.must(err)
		g, err := parcel.DecodeGrant(env.Payload)
		w.must(err)
		frames, grants = append(frames, f), append(grants, g)
	}
	w.must(from.Undelivered(w.t.Context(), d, io.ErrUnexpectedEOF))
	from.clock.advance(time.Hour)
	return frames, grants
}

// held brings a registered message so far that b has acknowledged it and a has its grant ready.
func (w *world) held(files ...flow.FileDraft) statement.Commitment {
	w.t.Helper()
	c := w.register(w.a, "registered", "read me when you have signed", nil, files...)
	w.carry(w.a, w.b)
	if got := w.key(w.b, c); got != flow.KeyAwaited {
		w.t.Fatalf("before the grant, the key is %s", got)
	}
	w.must(w.a.Settle(w.t.Context(), w.a.link))
	return c
}

// A registered statement cannot be read before it was acknowledged: no key, no file and no text is at the addressee until its
// receipt is at the author. Then it folds at the grant's place, on both sides alike, and its clock starts at the grant's receipt.
func TestRegistered(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	large := make([]byte, 2<<20+77)
	rnd := rand.NewChaCha8([32]byte{7})
	rnd.Read(large)
	c := w.register(w.a, "registered", strings.Repeat("long ", 50_000), nil, fileOf("evidence.bin", large), fileOf("note.txt", []byte("small")))
	if got := w.key(w.a, c); got != flow.KeyWithheld {
		t.Errorf("at first, the key is %s", got)
	}
	for range 20 { // everything crosses but receipts: the addressee has all that it can have without acknowledging
		d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
		w.must(err)
		if len(d.Frames) == 0 {
			break
		}
		answers, err := w.b.Receive(ctx, w.b.link, d.Frames)
		w.must(err)
		w.must(w.a.Delivered(ctx, d, slices.DeleteFunc(answers, func(f parcel.Frame) bool { return f.Kind == parcel.FrameReceipt })))
		w.must(w.a.StartRounds(ctx))
		w.must(w.a.Settle(ctx, w.a.link))
		w.must(w.b.Settle(ctx, w.b.link))
	}
	if got := w.key(w.b, c); got != flow.KeyAwaited {
		t.Errorf("at the addressee, the key is %s", got)
	}
	if list, err := w.b.Awaited(ctx, operator, &w.b.link); err != nil || len(list) != 1 || list[0].Commitment != c || list[0].Text != nil {
		t.Errorf("what waits for its key: %+v, %v", list, err)
	}
	w.b.view(t, func(tx flow.Tx) error {
		if _, err := tx.Statement(ctx, c); fault.KindOf(err) != fault.NotFound {
			t.Error("the statement is there before its key")
		}
		rows, err := tx.ParcelRun(ctx, w.b.link, w.a.Self().ID, 1, statement.Network, 0, 10)
		if len(rows) != 1 {
			t.Errorf("%d places are taken before the receipt is back", len(rows))
		}
		n, _ := tx.FilesIn(ctx, w.b.link, w.a.Self().ID, exchange.Arriving)
		if n != 0 {
			t.Error("a file left before its grant")
		}
		return err
	})
	w.clockTick(time.Hour)
	w.run()
	w.run()
	w.opened(c, large)
	for _, s := range []*side{w.a, w.b} {
		v := w.shown(s, c)
		if v.Verdict != "folded" || v.Parcel.Seq != 2 || v.Statement.Seq != 2 || v.Registered.Key != flow.KeyTaken || len(v.Receipts) != 3 {
			t.Errorf("at %s: verdict %s, place %d and %d, key %s, %d receipts", s.name, v.Verdict, v.Parcel.Seq, v.Statement.Seq, v.Registered.Key, len(v.Receipts))
		}
		if v.Parcel.Received <= v.Registered.Acknowledged {
			t.Errorf("at %s, the clock starts before the grant's receipt", s.name)
		}
		if got := w.verdict(s, w.a, 1); got != exchange.VerdictDeferred {
			t.Errorf("at %s, the parcel's own place is %q", s.name, got)
		}
	}
	answer := w.message(w.b, "answer", "read", &c)
	w.run()
	w.opened(answer, nil)
	w.sound()
	w.sameRecord()
	for _, s := range []*side{w.a, w.b} {
		data, err := s.Proof(ctx, operator, c.String(), true)
		w.must(err)
		f, err := proof.Decode(data)
		w.must(err)
		r, err := proof.Verify(envelope.Default(), f, w.a.Self().ID, w.b.Self().ID)
		w.must(err)
		for _, code := range []proof.Code{proof.Received, proof.Granted, proof.Opened} {
			if !r.Has(code) {
				t.Errorf("the proof of %s does not show %s", s.name, code)
			}
		}
		f.Receipts = f.Receipts[1:]
		if _, err := proof.Verify(envelope.Default(), f); err == nil {
			t.Error("a grant is proven without the receipt that it cites")
		}
	}
}

// clockTick moves the clock of both on.
func (w *world) clockTick(d time.Duration) { w.a.clock.advance(d) }

// What stands between a registered parcel and its grant is said before the statement: it is not in that thread's causal past.
func TestRegisteredIsNotSaidBeforeItsGrant(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.register(w.a, "registered", "first", nil)
	if _, err := w.a.Send(ctx, operator, draft(w.a, "more", "in its thread", &c), nil); fault.CodeOf(err) != exchange.VoidThread {
		t.Errorf("its author goes on in the thread: %v", err)
	}
	between := w.message(w.a, "between", "elsewhere", nil)
	w.run()
	w.opened(c, nil)
	w.opened(between, nil)
	if got := [3]string{w.verdict(w.b, w.a, 1), w.verdict(w.b, w.a, 2), w.verdict(w.b, w.a, 3)}; got != [3]string{"deferred", "folded", "folded"} {
		t.Errorf("the places are %q", got)
	}
	w.message(w.a, "more", "now", &c)
	w.run()
	// A lying author goes on in the thread at a place before the grant's: void, on both sides alike.
	c = w.register(w.a, "registered", "second", nil)
	w.carry(w.a, w.b)
	early := w.forge(w.a, w.b, forgery{text: func(text *statement.Text) { text.Thread = &c }})
	w.receive(w.b, early.frame)
	if got := w.verdict(w.b, w.a, early.header.Seq); got != "void:"+exchange.VoidThread {
		t.Errorf("an answer before the grant is %q", got)
	}
}

// Each grant that a lying author could sign is refused, and changes nothing.
func TestGrantAttacks(t *testing.T) {
	for _, attack := range []struct {
		name   string
		forge  func(w *world, g *parcel.Grant)
		sign   func(w *world) *side // who signs; the author without it
		code   string
		lie    string // evidence that is kept
		opened bool
	}{
		{name: "of another header", forge: func(_ *world, g *parcel.Grant) { g.Header = envelope.Sum([]byte("another")) }, code: "grant_early"},
		{name: "of the addressee's header", forge: func(w *world, g *parcel.Grant) {
			w.b.view(w.t, func(tx flow.Tx) error {
				p, err := tx.ParcelAt(w.t.Context(), w.b.link, w.b.Self().ID, 1, statement.Control, 1)
				g.Header = p.Header
				return err
			})
		}, code: "grant_early"},
		{name: "of a parcel that is not registered", forge: func(w *world, g *parcel.Grant) {
			w.b.view(w.t, func(tx flow.Tx) error {
				p, err := tx.ParcelAt(w.t.Context(), w.b.link, w.a.Self().ID, 1, statement.Control, 1)
				g.Header = p.Header
				return err
			})
		}, code: "grant"},
		{name: "with a receipt that was not given", forge: func(_ *world, g *parcel.Grant) { g.Receipt = envelope.Sum([]byte("no receipt")) }, code: "grant_receipt", lie: "grant_receipt"},
		{name: "in another lane", forge: func(_ *world, g *parcel.Grant) { g.Lane = statement.Hotline }, code: "grant"},
		{name: "of another epoch", forge: func(_ *world, g *parcel.Grant) { g.Epoch = 2 }, code: "epoch"},
		{name: "before its parcel", forge: func(_ *world, g *parcel.Grant) { g.Seq, g.Prev = 1, nil }, code: "grant"},
		{name: "at a place that is taken", forge: func(w *world, g *parcel.Grant) {
			f := w.forge(w.a, w.b, forgery{header: func(hd *parcel.Header) { hd.Seq, hd.Prev = g.Seq, g.Prev }})
			if got := w.receive(w.b, f.frame); !got.ended(parcel.Opened, "") {
				w.t.Errorf("a message at the grant's place: %v", got.refusals)
			}
		}, code: "sequence_reused", lie: "sequence_reused"},
		{name: "that does not follow", forge: func(_ *world, g *parcel.Grant) { other := envelope.Sum([]byte("x")); g.Prev = &other }, code: "prev", lie: "prev"},
		{name: "too far ahead", forge: func(_ *world, g *parcel.Grant) { g.Seq += exchange.Window + 1 }, code: "window"},
		{name: "with a layer too many", forge: func(_ *world, g *parcel.Grant) { g.Stanzas = append(g.Stanzas, g.Stanzas[0]) }, code: "grant"},
		{name: "on another link", forge: func(_ *world, g *parcel.Grant) { g.Link = envelope.Sum([]byte("link")) }, code: "addressee"},
		{name: "from the addressee", forge: func(_ *world, g *parcel.Grant) { g.From, g.To = g.To, g.From }, code: "addressee"},
		{name: "by an identity to come", forge: func(_ *world, g *parcel.Grant) { g.Identity = 2 }, code: "identity_version"},
		{name: "signed by another", sign: func(w *world) *side { return w.b }, code: "signature"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			w := confirmed(t)
			c := w.held()
			_, grants := w.grants(w.a)
			if len(grants) != 1 {
				t.Fatalf("%d grants are due", len(grants))
			}
			g, signer := *grants[0], w.a
			if attack.forge != nil {
				attack.forge(w, &g)
			}
			if attack.sign != nil {
				signer = attack.sign(w)
			}
			before := w.record(w.b)
			got := w.receive(w.b, parcel.Frame{Kind: parcel.FrameGrant, Payload: w.signed(signer, parcel.GrantType, g)})
			if !got.refused(attack.code) {
				t.Errorf("answered by %v, %d receipts, want %s", got.refusals, len(got.receipts), attack.code)
			}
			w.same(w.b, before, attack.name)
			if attack.lie != "" && w.evidence(w.b, attack.lie) == 0 {
				t.Error("the lie is not kept")
			}
			if key := w.key(w.b, c); key != flow.KeyAwaited {
				t.Errorf("the key is %s", key)
			}
		})
	}
}

func onlyErr[T any](_ T, err error) error { return err }

// A grant that does not open is rejected, once; the true one comes too late, and a second grant is evidence.
func TestGrantThatDoesNotOpen(t *testing.T) {
	w := confirmed(t)
	c := w.held()
	frames, grants := w.grants(w.a)
	g := *grants[0]
	g.Stanzas = [][]byte{bytes.Repeat([]byte{1}, len(g.Stanzas[0]))}
	lie := parcel.Frame{Kind: parcel.FrameGrant, Payload: w.signed(w.a, parcel.GrantType, g)}
	for range 2 { // and again: the same receipts
		if got := w.receive(w.b, lie); !got.ended(parcel.Rejected, "not_opened") || len(got.receipts) != 2 {
			t.Fatalf("answered by %v and %v", got.receipts, got.refusals)
		}
	}
	if got := w.verdict(w.b, w.a, g.Seq); got != "void:"+exchange.VoidRejected {
		t.Errorf("its place is %q", got)
	}
	before := w.record(w.b)
	if got := w.receive(w.b, frames[0]); !got.refused("equivocation") || w.evidence(w.b, "equivocation") != 1 {
		t.Errorf("a second grant is answered by %v", got.refusals)
	}
	w.same(w.b, before, "a second grant")
	w.b.view(t, func(tx flow.Tx) error {
		if _, err := tx.Statement(t.Context(), c); fault.KindOf(err) != fault.NotFound {
			t.Error("the statement was opened")
		}
		return nil
	})
}

// Doubled and reordered grants have one effect, and fold in their sequence.
func TestGrantsInAnyOrder(t *testing.T) {
	w := confirmed(t)
	var said []statement.Commitment
	for range 4 {
		said = append(said, w.register(w.a, "registered", "one of four", nil))
	}
	w.carry(w.a, w.b)
	w.must(w.a.Settle(t.Context(), w.a.link))
	frames, _ := w.grants(w.a)
	if len(frames) != 4 {
		t.Fatalf("%d grants", len(frames))
	}
	for _, i := range []int{3, 1, 3, 0, 2, 0, 1, 2, 3} {
		if got := w.receive(w.b, frames[i]); len(got.refusals) != 0 || len(got.receipts) != 2 {
			t.Errorf("grant %d: %v, %d receipts", i, got.refusals, len(got.receipts))
		}
	}
	w.run()
	for _, c := range said {
		w.opened(c, nil)
	}
	w.sound()
	w.sameRecord()
}

// A crash at any step loses nothing, and does nothing twice.
func TestRegisteredCrash(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.register(w.a, "registered", "through crashes", nil, fileOf("f.txt", []byte("file")))
	w.a.reopen(t)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	answers, err := w.b.Receive(ctx, w.b.link, d.Frames)
	w.must(err)
	w.b.reopen(t)
	w.a.reopen(t) // before the receipt is in: it is sent again, and gets the same receipt
	again := w.receive(w.b, d.Frames...)
	if !bytes.Equal(again.frames[0].Payload, answers[0].Payload) {
		t.Error("the receipt is another after a crash")
	}
	_, err = w.a.Receive(ctx, w.a.link, answers)
	w.must(err)
	w.a.reopen(t) // the receipt is in, the grant has no place: it gets one at start
	first, _ := w.grants(w.a)
	w.a.reopen(t) // the grant has its place, and is signed again
	frames, _ := w.grants(w.a)
	if len(first) != 1 || len(frames) != 1 || !bytes.Equal(first[0].Payload, frames[0].Payload) {
		t.Fatalf("%d grants before the crash, %d after, or others", len(first), len(frames))
	}
	w.receive(w.b, frames...)
	w.b.reopen(t) // the grant is in, its receipts are lost
	w.clockTick(time.Hour)
	w.run()
	w.opened(c, []byte("file"))
	w.sound()
	w.sameRecord()
}

// What the addressee refuses was never granted: no key and no file leaves, and it is void on both sides.
func TestRegisteredRefused(t *testing.T) {
	w := confirmed(t)
	c := w.register(w.a, "registered", "too late", nil, fileOf("f.bin", make([]byte, 2<<20)))
	w.clockTick(31 * 24 * time.Hour)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if got := w.verdict(s, w.a, 1); got != "void:"+exchange.VoidRefused {
			t.Errorf("at %s, it is %q", s.name, got)
		}
	}
	v := w.shown(w.a, c)
	if v.Registered.Key != flow.KeyRefused || v.Parcel.Reason != "expired" || v.Files[0].ParcelState != string(exchange.Refused) {
		t.Errorf("key %s, reason %s, file %s", v.Registered.Key, v.Parcel.Reason, v.Files[0].ParcelState)
	}
	w.a.view(t, func(tx flow.Tx) error {
		rows, err := tx.DueWithholdings(t.Context(), w.a.link, "", 10)
		if len(rows) != 0 {
			t.Error("a grant is still due")
		}
		return err
	})
	w.must(onlyErr(w.a.Erase(t.Context(), operator, c.String(), flow.EraseOrder{Reason: "order"})))
	w.sound()
	w.sameRecord()
}

// A grant is held to who takes part as any statement is: its author gives it no place in a suspended lane, and one that it gives
// a place after its receipt for the suspension is refused. One that crossed the suspension is taken.
func TestSuspendedGrant(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	crossed := w.held()
	w.suspend(w.b, network)
	w.run()
	w.opened(crossed, nil)
	w.resume(w.b, network)
	w.run()
	waits := w.register(w.a, "registered", "waits", nil)
	w.carry(w.a, w.b) // acknowledged; then the lane is suspended before the grant has its place
	w.suspend(w.b, network)
	w.carry(w.b, w.a)
	w.must(w.a.Settle(ctx, w.a.link))
	if got := w.key(w.a, waits); got != flow.KeyDue {
		t.Errorf("in a suspended lane, the key is %s", got)
	}
	w.run()
	if got := w.key(w.b, waits); got != flow.KeyAwaited {
		t.Errorf("in a suspended lane, the addressee has the key: %s", got)
	}
	w.resume(w.b, network)
	w.run()
	w.run()
	w.opened(waits, nil)
	w.sound()
	w.sameRecord()
}

// The peer's node may not say of a registered parcel that it opened it.
func TestOpenedBeforeTheGrant(t *testing.T) {
	w := confirmed(t)
	c := w.register(w.a, "registered", "text", nil)
	d, err := w.a.Outgoing(t.Context(), w.a.link, 8<<20)
	w.must(err)
	got := w.receive(w.b, d.Frames...)
	lie := *got.receipts[0]
	lie.Kind, lie.Stale = parcel.Opened, nil
	before := w.record(w.a)
	w.receive(w.a, w.receiptFrame(w.b, lie))
	w.same(w.a, before, "an opened receipt for a registered parcel")
	if w.evidence(w.a, "receipt_differs") != 1 || w.key(w.a, c) != flow.KeyWithheld {
		t.Error("the lie is not kept, or had an effect")
	}
}

// In the control lane nothing is registered, by either side.
func TestRegisteredInControl(t *testing.T) {
	w := confirmed(t)
	d := deskDraft(w.a, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1})
	d.Registered = true
	if _, err := w.a.Send(t.Context(), operator, d, nil); fault.CodeOf(err) != "registered" {
		t.Errorf("a registered desk: %v", err)
	}
	f := w.forge(w.a, w.b, forgery{text: func(text *statement.Text) { text.Lane = statement.Control }, header: func(hd *parcel.Header) {
		hd.Registered, hd.Layers[0].Stanza = true, nil
	}})
	if got := w.receive(w.b, f.frame); !got.ended(parcel.Refused, "registered") {
		t.Errorf("answered by %v", got.refusals)
	}
}

// Held parcels are bounded: nobody fills the disk with what can never be read.
func TestHeldIsBounded(t *testing.T) {
	w := confirmed(t)
	first := w.held()
	w.b.update(t, func(tx flow.Tx) error {
		p, err := tx.Parcel(t.Context(), w.shownParcel(w.b, first))
		if err != nil {
			return err
		}
		for i := range 511 {
			p.ID, p.Seq, p.Content = envelope.NewID(), uint64(10_000+i), nil
			if err := tx.PutParcels(t.Context(), p); err != nil {
				return err
			}
		}
		return nil
	})
	f := w.forge(w.a, w.b, forgery{header: func(hd *parcel.Header) { hd.Registered, hd.Layers[0].Stanza = true, nil }})
	if got := w.receive(w.b, f.frame); !got.refused("waiting") {
		t.Errorf("one too many is answered by %v", got.refusals)
	}
}

func (w *world) shownParcel(s *side, c statement.Commitment) envelope.ID {
	return w.shown(s, c).Registered.Parcel
}

// By courier a registered statement takes three trips: there, the receipt back, and the key there.
func TestRegisteredByCourier(t *testing.T) {
	w := confirmed(t)
	large := make([]byte, 3<<20)
	c := w.register(w.a, "registered", "on a disk", nil, fileOf("evidence.bin", large))
	answers := w.unpack(w.b, w.pack(w.a))
	if got := w.key(w.b, c); got != flow.KeyAwaited {
		t.Fatalf("after the first trip, the key is %s", got)
	}
	w.unpack(w.a, answers)
	third := w.pack(w.a)
	if kinds, _ := framesOf(t, third); kinds[parcel.FrameGrant] != 1 || kinds[parcel.FrameSegment] == 0 {
		t.Fatalf("the third trip carries %v", kinds)
	}
	w.unpack(w.b, third)
	w.must(w.b.Settle(t.Context(), w.b.link))
	if got := w.key(w.b, c); got != flow.KeyTaken {
		t.Errorf("after the third trip, the key is %s", got)
	}
	for range 3 {
		w.trip(w.b, w.a)
		w.trip(w.a, w.b)
	}
	w.opened(c, large)
	w.sameRecord()
}
