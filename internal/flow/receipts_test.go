package flow_test

import (
	"slices"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// Guards: a receipt is of a parcel of ours, describes it, and does not contradict what the same peer receipted before.
func TestContradictoryReceipts(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.message(w.a, "one", "to be receipted", nil)
	other := w.message(w.a, "two", "another", nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
	w.must(err)
	honest := w.receive(w.b, d.Frames...)
	first, opened := *honest.receipts[0], *honest.receipts[1]
	row, err := w.a.Show(ctx, operator, other.String())
	w.must(err)
	theirs := w.forge(w.b, w.a, forgery{})
	with := func(r parcel.Receipt, change func(*parcel.Receipt)) parcel.Receipt {
		change(&r)
		return r
	}
	attacks := []struct {
		name, counted string
		evidence      bool
		receipt       parcel.Receipt
	}{
		{"another content", "receipt_differs", true, with(first, func(r *parcel.Receipt) { r.Root = envelope.Sum(nil) })},
		{"another lane", "receipt_differs", true, with(first, func(r *parcel.Receipt) { r.Lane = statement.Hotline })},
		{"another sequence", "receipt_differs", true, with(first, func(r *parcel.Receipt) { r.Seq = 7 })},
		{"another epoch", "receipt_differs", true, with(first, func(r *parcel.Receipt) { r.Epoch = 2 })},
		{"another header", "receipt_unknown", false, with(first, func(r *parcel.Receipt) { r.Header = envelope.Sum([]byte("x")) })},
		{"the header of another parcel", "receipt_unknown", false, with(first, func(r *parcel.Receipt) { r.Header = row.Parcel.Header })},
		{"another parcel", "receipt_unknown", false, with(first, func(r *parcel.Receipt) { r.Parcel = envelope.NewID() })},
		{"its own parcel", "receipt_unknown", false, with(first, func(r *parcel.Receipt) {
			r.Parcel, r.Header = theirs.header.ID, envelope.Sum(theirs.payload)
		})},
		{"a citation of nothing", "stale_citation", true, with(first, func(r *parcel.Receipt) { r.Stale = new(envelope.Sum([]byte("x"))) })},
		{"a citation of our header", "stale_citation", true, with(first, func(r *parcel.Receipt) { r.Stale = new(first.Header) })},
	}
	before := w.record(w.a)
	check := func(name, counted string, evidence bool, r parcel.Receipt) {
		t.Helper()
		count, kept := w.a.tally.of(counted), w.evidence(w.a, counted)
		for range 2 {
			if got := w.receive(w.a, w.receiptFrame(w.b, r)); len(got.frames) != 0 {
				t.Errorf("%s: %v", name, got.refusals)
			}
		}
		if got := w.a.tally.of(counted); got != count+2 {
			t.Errorf("%s: counted %d times as %s", name, got-count, counted)
		}
		if got := w.evidence(w.a, counted) - kept; evidence && got != 1 || !evidence && got != 0 {
			t.Errorf("%s: %d pieces of evidence", name, got)
		}
	}
	for _, a := range attacks {
		check(a.name, a.counted, a.evidence, a.receipt)
		w.same(w.a, before, a.name)
	}
	// Of an epoch that is not open here, a receipt may have overtaken the opening: it is told so, and accuses nobody.
	if got := w.receive(w.a, w.receiptFrame(w.b, with(first, func(r *parcel.Receipt) { r.Log.Epoch = 9 }))); !got.refused("epoch") {
		t.Errorf("an epoch of its log that is not open: %v", got.refusals)
	}
	w.same(w.a, before, "an epoch of its log that is not open")
	for _, to := range []func(*parcel.Receipt){
		func(r *parcel.Receipt) { r.To = w.b.Self().ID; r.From = w.a.Self().ID },
		func(r *parcel.Receipt) { r.Link = envelope.Sum([]byte("another link")) },
	} {
		if got := w.receive(w.a, w.receiptFrame(w.b, with(first, to))); !got.refused("addressee") {
			t.Errorf("for another: %v", got.refusals)
		}
	}
	w.same(w.a, before, "receipts for another")

	// Opened before received, as the network may have it; then what contradicts them.
	w.receive(w.a, honest.frames[1])
	if got := w.verdict(w.a, w.a, 1); got != "" {
		t.Errorf("opened and not yet received, it is %q", got)
	}
	before = w.record(w.a)
	check("refused after opened", "receipt_equivocation", true, with(first, func(r *parcel.Receipt) { r.Kind, r.Reason = parcel.Refused, "expired" }))
	w.same(w.a, before, "refused after opened")
	w.receive(w.a, honest.frames[0])
	if got := w.verdict(w.a, w.a, 1); got != "folded" {
		t.Errorf("opened and received, it is %q", got)
	}
	before = w.record(w.a)
	contradictions := map[string]parcel.Receipt{
		"refused after received":        with(first, func(r *parcel.Receipt) { r.Kind, r.Reason = parcel.Refused, "late" }),
		"rejected after opened":         with(opened, func(r *parcel.Receipt) { r.Kind, r.Reason = parcel.Rejected, "not_opened" }),
		"received at another time":      with(first, func(r *parcel.Receipt) { r.At++ }),
		"received at another place":     with(first, func(r *parcel.Receipt) { r.Log.Index++ }),
		"opened a second time":          with(opened, func(r *parcel.Receipt) { r.At++ }),
		"received with a citation then": with(first, func(r *parcel.Receipt) { r.Stale = new(first.Header) }),
	}
	for name, r := range contradictions {
		check(name, "receipt_equivocation", true, r)
		w.same(w.a, before, name)
	}
	replayed := w.receive(w.a, honest.frames...)
	if len(replayed.frames) != 0 {
		t.Errorf("receipts that were known: %v", replayed.refusals)
	}
	got, err := w.a.Show(ctx, operator, c.String())
	w.must(err)
	if got.Verdict != "folded" || len(got.Receipts) != 2 || got.Parcel.Received != first.At {
		t.Errorf("after all that it is %q with %d receipts", got.Verdict, len(got.Receipts))
	}
	rebuilt, err := w.a.Rebuild(ctx, operator, nil)
	w.must(err)
	if !rebuilt.Identical {
		t.Error("the rebuild differs")
	}
}

// What was refused stays void, also if the peer says opened later. Guard: refused goes with no other receipt.
func TestRefusedThenOpened(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.a, "one", "to be refused", nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
	w.must(err)
	honest := w.receive(w.b, d.Frames...)
	refused := *honest.receipts[0]
	refused.Kind, refused.Reason = parcel.Refused, "expired"
	w.receive(w.a, w.receiptFrame(w.b, refused))
	if got := w.verdict(w.a, w.a, 1); got != "void:refused" {
		t.Fatalf("refused, it is %q", got)
	}
	before := w.record(w.a)
	w.receive(w.a, honest.frames...)
	w.same(w.a, before, "opened after refused")
	rebuilt, err := w.a.Rebuild(ctx, operator, nil)
	w.must(err)
	if !rebuilt.Identical || w.verdict(w.a, w.a, 1) != "void:refused" {
		t.Errorf("the rebuild makes it %q", w.verdict(w.a, w.a, 1))
	}
}

// A party that says something as if it had not seen what it receipted: void on both sides. Guards: the addressee's search for
// the author's receipt, and the author's check of the citation.
func TestStaleSeen(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.a, "the news", "you have it", nil)
	w.run()
	hide := func(settled uint64) {
		w.b.update(t, func(tx flow.Tx) error {
			lane, err := tx.Lane(ctx, w.b.link, w.a.Self().ID, 1, statement.Network)
			if err != nil {
				return err
			}
			lane.Settled, lane.Contiguous = settled, settled
			return tx.PutLane(ctx, lane)
		})
	}
	hide(0)
	c := w.message(w.b, "before the news", "so we claim", nil)
	hide(1)
	w.message(w.b, "after the news", "this is honest", nil)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if got := w.verdict(s, w.b, 1); got != "void:stale" {
			t.Errorf("%s: the stale statement is %q", s.name, got)
		}
		if got := w.verdict(s, w.b, 2); got != "folded" {
			t.Errorf("%s: the honest one is %q", s.name, got)
		}
		got, err := s.Show(ctx, operator, c.String())
		w.must(err)
		i := slices.IndexFunc(got.Receipts, func(r flow.ReceiptView) bool { return r.Receipt.Kind == parcel.Received })
		if i < 0 || got.Receipts[i].Receipt.Stale == nil {
			t.Errorf("%s: no receipt is cited", s.name)
		}
		rebuilt, err := s.Rebuild(ctx, operator, nil)
		w.must(err)
		if !rebuilt.Identical {
			t.Errorf("%s: the rebuild differs", s.name)
		}
	}
	w.cosign()
	w.equalAtCut()
}

// A citation that does not show what it claims voids nothing. Guard: each condition of the citation.
func TestBogusCitation(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.b, "from the peer", "1", nil)
	w.run() // our receipt for it: contiguous to 1
	ours := w.receiptsBy(w.a)
	w.message(w.a, "after it", "seen 1", nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
	w.must(err)
	honest := w.receive(w.b, d.Frames...)
	w.message(w.b, "crossing", "2", nil)
	later, err := w.b.Outgoing(ctx, w.b.link, 1<<20)
	w.must(err)
	w.receive(w.a, later.Frames...) // our receipt for it comes after our parcel
	before := w.record(w.a)
	late := slices.DeleteFunc(w.receiptsBy(w.a), func(h envelope.Hash) bool { return slices.Contains(ours, h) })
	for name, cited := range map[string][]envelope.Hash{"no more than was seen": ours, "entered after the parcel": late} {
		if len(cited) == 0 {
			t.Fatalf("%s: nothing to cite", name)
		}
		for _, hash := range cited {
			r := *honest.receipts[0]
			r.Stale = &hash
			w.receive(w.a, w.receiptFrame(w.b, r))
			w.same(w.a, before, "citing a receipt that shows "+name)
		}
	}
	if n := w.evidence(w.a, "stale_citation"); n != len(ours)+len(late) {
		t.Errorf("%d pieces of evidence for %d lies", n, len(ours)+len(late))
	}
	w.receive(w.a, honest.frames...)
	if got := w.verdict(w.a, w.a, 1); got != "folded" {
		t.Errorf("with the honest receipts it is %q", got)
	}
}

// receiptsBy lists the receipts that a side gave in the network lane.
func (w *world) receiptsBy(s *side) (hashes []envelope.Hash) {
	w.t.Helper()
	ctx := w.t.Context()
	s.view(w.t, func(tx flow.Tx) error {
		run, err := tx.ParcelRun(ctx, s.link, w.other(s).Self().ID, 1, statement.Network, 0, 100)
		for _, p := range run {
			rows, err := tx.ReceiptsOf(ctx, p.Header)
			if err != nil {
				return err
			}
			for _, r := range rows {
				hashes = append(hashes, r.Hash)
			}
		}
		return err
	})
	return hashes
}

// Choosing ids, salts or hashes until they come first in some order gains nothing. Guard: no fold, status or sequence looks at
// the order of a commitment, an id or a hash of one party's choice.
func TestGroundCommitment(t *testing.T) {
	type outcome struct{ state, active, latest string }
	seen := map[outcome]int{}
	orders := map[bool]int{}
	for range 6 {
		w := confirmed(t)
		ctx := t.Context()
		face := statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}
		desk, err := w.a.Send(ctx, operator, deskDraft(w.a, "desk.propose", nil, face), nil)
		w.must(err)
		w.run()
		update, err := w.a.Send(ctx, operator, deskDraft(w.a, "desk.update", &desk, face), nil)
		w.must(err)
		signed, err := w.b.Send(ctx, operator, countersign(w.b, desk, desk), nil)
		w.must(err)
		w.run()
		orders[slices.Compare(update[:], signed[:]) < 0]++
		for _, s := range []*side{w.a, w.b} {
			desks, err := s.Desks(ctx, operator, nil)
			w.must(err)
			name := func(c statement.Commitment) string {
				return map[statement.Commitment]string{desk: "first", update: "update", signed: "signature"}[c]
			}
			seen[outcome{desks[0].State, name(desks[0].Active), name(desks[0].Latest)}]++
		}
	}
	if want := (outcome{exchange.DeskActive, "first", "update"}); len(seen) != 1 || seen[want] != 12 {
		t.Errorf("outcomes %v over the orders %v", seen, orders)
	}

	// Ids that were ground to be the first or the last of all change neither sequence nor verdict.
	for _, id := range []envelope.ID{{15: 1}, envelope.ID([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))} {
		w := confirmed(t)
		first := w.forge(w.b, w.a, forgery{})
		second := w.forge(w.b, w.a, forgery{sealFor: func(h *parcel.Header) { h.ID = id }, header: func(h *parcel.Header) {
			h.ID, h.Seq, h.Prev = id, 2, new(envelope.Sum(first.payload))
		}})
		w.receive(w.a, second.frame, first.frame)
		for seq := range uint64(2) {
			if got := w.verdict(w.a, w.b, seq+1); got != "folded" {
				t.Errorf("with id %s, statement %d is %q", id, seq+1, got)
			}
		}
	}
}
