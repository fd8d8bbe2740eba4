package flow_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/ledger"
	"entente/parcel"
	"entente/proof"
	"entente/statement"
)

// mirrored is a world in which each side has mirrored and cosigned all of the other's log.
func mirrored(t testing.TB) *world {
	t.Helper()
	w := confirmed(t)
	w.message(w.a, "first", "1", nil)
	w.message(w.b, "second", "2", nil)
	w.run()
	w.cosign()
	return w
}

func (w *world) log(s, owner *side) (log exchange.Log) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) (err error) {
		log, err = tx.Log(w.t.Context(), s.link, owner.Self().ID, 1)
		return err
	})
	return log
}

// bend changes a leaf.
func bend(t testing.TB, data []byte, change func(*ledger.Leaf)) []byte {
	t.Helper()
	leaf, err := ledger.DecodeLeaf(data)
	if err != nil {
		t.Fatal(err)
	}
	change(leaf)
	if data, err = envelope.Marshal(leaf); err != nil {
		t.Fatal(err)
	}
	return data
}

// Guards: consistency with the cosigned head, and the roots of our own mirror.
func TestForkLog(t *testing.T) {
	w := mirrored(t)
	honest := w.leavesOf(w.b)
	size := int64(len(honest))
	last := len(honest) - 1
	fork := append(slices.Clone(honest[:last]), bend(t, honest[last], func(l *ledger.Leaf) { l.Time++ }))
	longer := append(slices.Clone(fork), bend(t, honest[last], func(l *ledger.Leaf) { l.Index++ }))
	before, was := w.record(w.a), w.log(w.a, w.b)
	for i, a := range []struct {
		name   string
		leaves [][]byte
	}{{"another head of the same size", fork}, {"a longer log that does not continue", longer}} {
		got := w.receive(w.a, w.checkpoint(w.b, a.leaves, size))
		if !got.refused("checkpoint_refused") {
			t.Errorf("%s: %v, %d cosignatures", a.name, got.refusals, len(got.cosigned))
		}
		if n := w.evidence(w.a, "ledger_forked"); n != i+1 {
			t.Errorf("%s: %d pieces of evidence", a.name, n)
		}
	}
	w.same(w.a, before, "a forked log")
	if now := w.log(w.a, w.b); !bytes.Equal(now.CosignedNote, was.CosignedNote) || now.CosignedSize != was.CosignedSize {
		t.Error("a forked log changed what was cosigned")
	}
	report, err := w.a.VerifyLedger(t.Context(), operator, w.a.link, nil)
	w.must(err)
	if report.OK || report.Evidence != 2 {
		t.Errorf("the report does not show it: %+v", report)
	}
}

// Guards: leaves that are held already, and what each new leaf says of the document that it records.
func TestRewriteLeaf(t *testing.T) {
	w := mirrored(t)
	honest := w.leavesOf(w.b)
	size := int64(len(honest))
	before := w.record(w.a)
	for i := range honest[1:] {
		i++
		bent := slices.Clone(honest)
		bent[i] = bend(t, honest[i], func(l *ledger.Leaf) { l.Time++ })
		got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, Leaves: bent}))
		if !got.refused("leaf_rewritten") {
			t.Errorf("leaf %d rewritten: %v", i, got.refusals)
		}
	}
	if n := w.evidence(w.a, "leaf_rewritten"); n != len(honest)-1 {
		t.Errorf("%d pieces of evidence of %d", n, len(honest)-1)
	}
	w.same(w.a, before, "a rewritten leaf")

	header := w.forge(w.b, w.a, forgery{})
	elsewhere := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Seq, h.Prev, h.Index = 3, new(envelope.Sum(header.payload)), 1 }})
	var ours exchange.Parcel
	w.a.view(t, func(tx flow.Tx) (err error) {
		ours, err = tx.ParcelAt(t.Context(), w.a.link, w.a.Self().ID, 1, statement.Network, 1)
		return err
	})
	at := w.b.clock.now().UnixMicro()
	leaf := func(kind ledger.Kind, lane statement.Lane, seq uint64, doc envelope.Hash) ledger.Leaf {
		return ledger.Leaf{V: 1, Epoch: 1, Index: size, Time: at, Kind: kind, Lane: string(lane), Seq: seq, Doc: doc}
	}
	docOf := func(f forged) []parcel.Document {
		return []parcel.Document{{Type: "header", Envelope: f.frame.Payload[4 : len(f.frame.Payload)-len(f.content)]}}
	}
	attacks := []struct {
		name string
		leaf ledger.Leaf
		docs []parcel.Document
	}{
		{"a header that names another place", leaf(ledger.Sent, statement.Network, 3, envelope.Sum(elsewhere.payload)), docOf(elsewhere)},
		{"another lane than the header's", leaf(ledger.Sent, statement.Hotline, 2, envelope.Sum(header.payload)), docOf(header)},
		{"another sequence than the header's", leaf(ledger.Sent, statement.Network, 9, envelope.Sum(header.payload)), docOf(header)},
		{"a header as a receipt", leaf(ledger.ReceiptOut, statement.Network, 2, envelope.Sum(header.payload)), docOf(header)},
		{"our header as its own", leaf(ledger.Sent, statement.Network, 1, ours.Header), nil},
		{"a header of ours that we never sent", leaf(ledger.Got, statement.Network, 2, envelope.Sum([]byte("x"))), nil},
		{"our header in another lane", leaf(ledger.Got, statement.Hotline, 1, ours.Header), nil},
		{"a receipt of ours that we never gave", leaf(ledger.ReceiptIn, statement.Network, 2, envelope.Sum([]byte("x"))), nil},
		{"an older identity", ledger.Leaf{V: 1, Epoch: 1, Index: size, Time: at, Kind: ledger.IdentityLeaf, Doc: w.b.Self().Hash(1)}, nil},
		{"an identity that was not shown", ledger.Leaf{V: 1, Epoch: 1, Index: size, Time: at, Kind: ledger.IdentityLeaf, Doc: envelope.Sum([]byte("x"))}, nil},
		{"another link", ledger.Leaf{V: 1, Epoch: 1, Index: size, Time: at, Kind: ledger.LinkLeaf, Doc: envelope.Sum([]byte("x"))}, nil},
		{"a grant", leaf(ledger.GrantLeaf, statement.Network, 2, envelope.Sum([]byte("x"))), nil},
	}
	for _, a := range attacks {
		data, err := a.leaf.Encode()
		w.must(err)
		got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: size, Leaves: [][]byte{data}, Docs: a.docs}))
		if a.leaf.Kind == ledger.GrantLeaf || a.name == "an identity that was not shown" {
			if len(got.wants) != 1 { // it is asked for, and never comes
				t.Errorf("%s: %v", a.name, got.refusals)
			}
		} else if !got.refused("leaf_document") {
			t.Errorf("%s: %v, wants %v", a.name, got.refusals, got.wants)
		}
		w.same(w.a, before, a.name)
	}
	misplaced := [][]byte{bend(t, honest[size-1], func(l *ledger.Leaf) { l.Index += 2 })}
	if got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: size, Leaves: misplaced})); !got.refused("leaf") {
		t.Errorf("a leaf out of place: %v", got.refusals)
	}
	if got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 2, First: 0, Leaves: honest})); !got.refused("epoch") {
		t.Errorf("an epoch that is not open: %v", got.refusals)
	}
	w.same(w.a, before, "a leaf out of place")
}

// Guards: the old size must be the one cosigned, and a signed head below it is compared with our mirror.
func TestRollbackLog(t *testing.T) {
	w := mirrored(t)
	honest := w.leavesOf(w.b)
	size := int64(len(honest))
	was := w.log(w.a, w.b)
	short := honest[:size-3]
	if got := w.receive(w.a, w.checkpoint(w.b, short, size-3)); len(got.cosigned) != 1 || got.cosigned[0].OldSize == nil || *got.cosigned[0].OldSize != size {
		t.Errorf("a shorter head: %v", got.refusals)
	}
	if got := w.receive(w.a, w.checkpoint(w.b, short, size)); !got.refused("checkpoint_refused") {
		t.Errorf("a shorter head that continues a longer one: %v", got.refusals)
	}
	if n := w.evidence(w.a, "ledger_forked"); n != 0 {
		t.Errorf("a true head of before was taken for a lie: %d", n)
	}
	rewritten := append(slices.Clone(honest[:size-4]), bend(t, honest[size-4], func(l *ledger.Leaf) { l.Time++ }))
	for _, old := range []int64{0, size - 3, size} {
		got := w.receive(w.a, w.checkpoint(w.b, rewritten, old))
		if len(got.cosigned) == 1 && got.cosigned[0].OldSize == nil {
			t.Errorf("a log rolled back and rewritten was cosigned (old size %d)", old)
		}
	}
	if n := w.evidence(w.a, "ledger_forked"); n != 3 {
		t.Errorf("%d pieces of evidence of a log rolled back and rewritten", n)
	}
	if now := w.log(w.a, w.b); now.CosignedSize != was.CosignedSize || !bytes.Equal(now.CosignedNote, was.CosignedNote) || now.Size != was.Size {
		t.Error("what was cosigned changed")
	}
	w.message(w.b, "third", "the honest log goes on", nil)
	w.run()
	w.cosign()
	if now := w.log(w.a, w.b); now.CosignedSize <= was.CosignedSize {
		t.Error("the honest log does not go on")
	}
}

// Guards: leaf times never run back, and a receipt has the time and place of the leaf that it names.
func TestBackdateEntry(t *testing.T) {
	w := mirrored(t)
	size := w.log(w.a, w.b).Size
	w.message(w.a, "deadline", "its time is the addressee's", nil)
	d, err := w.a.Outgoing(t.Context(), w.a.link, 1<<20)
	w.must(err)
	honest := w.receive(w.b, d.Frames...)
	leaves := w.leavesOf(w.b)[size:]
	if len(leaves) != 3 || len(honest.receipts) != 2 {
		t.Fatalf("%d leaves, %d receipts", len(leaves), len(honest.receipts))
	}
	before := w.record(w.a)
	early := slices.Clone(leaves)
	early[0] = bend(t, leaves[0], func(l *ledger.Leaf) { l.Time -= time.Hour.Microseconds() })
	if got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: size, Leaves: early})); !got.refused("leaf_time") {
		t.Errorf("a leaf an hour before the last: %v", got.refusals)
	}
	w.same(w.a, before, "a leaf before the last")

	lies := map[string]func(*parcel.Receipt){
		"an hour earlier":   func(r *parcel.Receipt) { r.At -= time.Hour.Microseconds() },
		"a year later":      func(r *parcel.Receipt) { r.At += 365 * 24 * time.Hour.Microseconds() },
		"an earlier place":  func(r *parcel.Receipt) { r.Log.Index-- },
		"a place to come":   func(r *parcel.Receipt) { r.Log.Index += 100 },
		"at the first leaf": func(r *parcel.Receipt) { r.Log.Index = 0 },
	}
	for name, lie := range lies {
		r := *honest.receipts[0]
		lie(&r)
		doc := w.signed(w.b, parcel.ReceiptType, r)
		payload, err := envelope.Marshal(r)
		w.must(err)
		bent := slices.Clone(leaves)
		bent[1] = bend(t, leaves[1], func(l *ledger.Leaf) { l.Doc = envelope.Sum(payload) })
		docs := []parcel.Document{{Type: "receipt", Envelope: doc}}
		got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: size, Leaves: bent, Docs: docs}))
		if !got.refused("leaf_document") {
			t.Errorf("a receipt %s: %v", name, got.refusals)
		}
		if now := w.log(w.a, w.b); now.Size > size+1 {
			t.Errorf("a receipt %s: its leaf was mirrored", name)
		}
	}
	if n := w.evidence(w.a, "leaf_document"); n == 0 {
		t.Error("nothing was kept")
	}
}

// Guard: rounds of the ledger do not wait for a file that is on its way.
func TestCosignDuringUpload(t *testing.T) {
	w := mirrored(t)
	ctx := t.Context()
	big := bytes.Repeat([]byte("evidence"), 1<<19)
	c := w.message(w.a, "a large file", "on its way", nil, fileOf("image.bin", big))
	for range 3 { // headers, the first segments
		d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
		w.must(err)
		got := w.receive(w.b, d.Frames...)
		w.must(w.a.Delivered(ctx, d, got.frames))
	}
	arriving := func() int64 {
		v, err := w.b.FindLink(ctx, operator, w.b.link.String())
		w.must(err)
		return v.Figures.Arriving
	}
	if arriving() != 1 {
		t.Fatal("the file is not on its way")
	}
	w.must(w.a.StartRounds(ctx))
	for range 2 {
		d, err := w.a.Outgoing(ctx, w.a.link, 1)
		w.must(err)
		got := w.receive(w.b, slices.DeleteFunc(d.Frames, func(f parcel.Frame) bool { return f.Kind == parcel.FrameSegment })...)
		w.must(w.a.Delivered(ctx, d, got.frames))
	}
	if log := w.log(w.a, w.a); log.CosignedSize < log.Size-1 {
		t.Errorf("cosigned to %d of %d while the file is on its way", log.CosignedSize, log.Size)
	}
	if arriving() != 1 {
		t.Fatal("the file came in meanwhile")
	}
	w.a.clock.advance(time.Minute)
	w.run()
	got, err := w.b.Show(ctx, operator, c.String())
	w.must(err)
	if got.Files[0].State != "stored" {
		t.Errorf("the file is %s", got.Files[0].State)
	}
	w.cosign()
	w.equalAtCut()
}

// A witness that is away for 72 hours holds nobody up: sending goes on, the age is shown, and it catches up in rounds. Guards:
// rounds are bounded, never block, and go on where the witness stands.
func TestWitnessOffline72h(t *testing.T) {
	w := mirrored(t)
	ctx := t.Context()
	was := w.log(w.a, w.a)
	for range 72 {
		for range 5 {
			w.message(w.a, "hourly", "the record goes on", nil)
		}
		w.a.clock.advance(time.Hour)
		w.must(w.a.StartRounds(ctx))
		for {
			d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
			w.must(err)
			if len(d.Frames) == 0 {
				break
			}
			if !slices.ContainsFunc(d.Frames, func(f parcel.Frame) bool { return f.Kind == parcel.FrameParcel }) {
				w.must(w.a.Undelivered(ctx, d, fmt.Errorf("the witness is away")))
				break
			}
			mail := slices.DeleteFunc(slices.Clone(d.Frames), func(f parcel.Frame) bool { return f.Kind != parcel.FrameParcel })
			w.must(w.a.Delivered(ctx, d, w.receive(w.b, mail...).frames))
		}
	}
	view, err := w.a.FindLink(ctx, operator, w.a.link.String())
	w.must(err)
	now := w.log(w.a, w.a)
	switch {
	case view.Figures.Sending != 0:
		t.Errorf("%d parcels were not delivered", view.Figures.Sending)
	case now.CosignedSize != was.CosignedSize:
		t.Errorf("cosigned from %d to %d without a witness", was.CosignedSize, now.CosignedSize)
	case view.Figures.UncosignedOwn != now.Size-now.CosignedSize || view.Figures.UncosignedOwn < 72*5*3:
		t.Errorf("%d leaves are shown as not cosigned", view.Figures.UncosignedOwn)
	case w.a.clock.now().UnixMicro()-view.Figures.CosignedAt < 72*time.Hour.Microseconds():
		t.Error("the age of the last cosigned head is not shown")
	}
	w.a.clock.advance(time.Hour)
	w.must(w.a.StartRounds(ctx))
	rounds := 0
	for w.log(w.a, w.a).CosignedSize < w.log(w.a, w.a).Size && rounds < 20 {
		w.carry(w.a, w.b)
		w.must(w.a.StartRounds(ctx))
		rounds++
	}
	if rounds < 2 || rounds > 8 {
		t.Errorf("it caught up with %d leaves in %d deliveries", now.Size-was.CosignedSize, rounds)
	}
	w.run()
	w.cosign()
	w.equalAtCut()
}

// Guards: no rule but expiry compares the two parties' clocks, and a log's times never run back although its clock does.
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			ca, cb := newClock(), newClock()
			cb.advance(skew)
			w := newWorldAt(t, ca, cb)
			w.confirm()
			w.message(w.a, "from the one", "1", nil, fileOf("a.txt", []byte("a")))
			w.message(w.b, "from the other", "2", nil, fileOf("b.txt", []byte("b")))
			w.run()
			cb.advance(-2 * skew) // an operator corrects the clock, too far
			thread := w.message(w.b, "after the correction", "3", nil)
			w.run()
			ca.advance(time.Minute)
			w.message(w.a, "Re: after the correction", "4", &thread)
			w.run()
			w.cosign()
			if n := w.equalAtCut(); n != 6 {
				t.Errorf("%d statements under the cut, want 6", n)
			}
			for _, s := range []*side{w.a, w.b} {
				report, err := s.VerifyLedger(t.Context(), operator, s.link, nil)
				w.must(err)
				if !report.OK {
					t.Errorf("%s: %+v", s.name, report)
				}
				views, err := s.List(t.Context(), operator, exchange.Filter{Kind: "message"})
				w.must(err)
				for _, v := range views {
					if v.Verdict != "folded" {
						t.Errorf("%s: %s is %s", s.name, v.Commitment.String()[:8], v.Verdict)
					}
				}
			}
		})
	}
}

// TestCosignatureLost takes our cosignature away from a head that is durable, as a crash between the two does, or a backup that
// was made there: the ledgers verify all the same, and proofs can be made. Guards: it is signed when it is needed.
func TestCosignatureLost(t *testing.T) {
	w := mirrored(t)
	c := w.message(w.b, "third", "3", nil)
	w.run()
	w.cosign()
	lose := func() {
		t.Helper()
		log := w.log(w.a, w.b)
		name := []byte("\n\u2014 " + ledger.WitnessName(w.a.Self().ID) + " ")
		at := bytes.Index(log.CosignedNote, name)
		if at < 0 {
			t.Fatal("the head is not cosigned")
		}
		log.CosignedNote = log.CosignedNote[:at+1]
		w.a.update(t, func(tx flow.Tx) error { return tx.PutLog(t.Context(), log) })
	}
	lose()
	report, err := w.a.VerifyLedger(t.Context(), operator, w.a.link, nil)
	if err != nil || !report.OK {
		t.Errorf("verifying: %+v, %v", report, err)
	}
	lose()
	data, err := w.a.Proof(t.Context(), operator, c.String(), false)
	w.must(err)
	f, err := proof.Decode(data)
	w.must(err)
	if _, err := proof.Verify(envelope.Default(), f); err != nil {
		t.Error(err)
	}
}
