package flow_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"entente/handling"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// oneway are two parties with a link from a to b that carries nothing back, confirmed at both ends; nothing has left yet.
func oneway(t *testing.T) *world {
	t.Helper()
	c := newClock()
	w := &world{t: t, a: newSide(t, "arvenia", c, nil), b: newSide(t, "kestria", c, nil)}
	w.pairOneway()
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Confirm(t.Context(), operator, s.link, "telephone", "Duty officer", "head of desk", "")
		w.must(err)
	}
	return w
}

func (w *world) pairOneway() {
	w.t.Helper()
	ctx := w.t.Context()
	offer := statement.DefaultAgreement()
	offer.Modes = []string{statement.ModeOneway}
	inv, err := w.a.Invite(ctx, operator, "kestria", offer, time.Hour)
	w.must(err)
	answer, err := w.b.PairByFile(ctx, operator, "arvenia", inv)
	w.must(err)
	id, reveal, err := w.a.PairOn(ctx, operator, w.pairFile(answer))
	w.must(err)
	_, _, err = w.b.PairOn(ctx, operator, w.pairFile(reveal))
	w.must(err)
	w.a.link, w.b.link = id, id
}

// over carries a file to the other end and settles there; nothing may come back.
func (w *world) over(file []byte) {
	w.t.Helper()
	if kinds, _ := framesOf(w.t, w.unpack(w.b, file)); len(kinds) != 0 {
		w.t.Errorf("a link that goes one way answers with %v", kinds)
	}
	w.must(w.b.Settle(w.t.Context(), w.b.link))
}

func (w *world) again(from *side) []byte {
	w.t.Helper()
	var file bytes.Buffer
	w.must(from.Pack(w.t.Context(), operator, from.link, true, &file))
	return file.Bytes()
}

func (w *world) parcelOf(s *side, c statement.Commitment) exchange.Parcel {
	w.t.Helper()
	v, err := s.Show(w.t.Context(), operator, c.String())
	w.must(err)
	return v.Parcel
}

// TestOneway: what one party says reaches the other in files, nothing comes back, and nothing is waited for.
func TestOneway(t *testing.T) {
	w := oneway(t)
	ctx := t.Context()
	large := make([]byte, 3<<20)
	rand.Read(large)
	c := w.message(w.a, "evidence", "one way", nil, fileOf("image.bin", large))
	follow := w.message(w.a, "more", "in its thread", &c)
	if p := w.parcelOf(w.a, c); p.State != exchange.Sending || p.Verdict != "folded" || p.Received != 0 {
		t.Errorf("before it left: state %s, verdict %q, received %d", p.State, p.Verdict, p.Received)
	}
	first := w.pack(w.a)
	w.over(first)
	for _, said := range []statement.Commitment{c, follow} {
		if p := w.parcelOf(w.a, said); p.State != exchange.Sent || p.Received != 0 || !p.State.Unanswered() {
			t.Errorf("at its author: state %s, received %d", p.State, p.Received)
		}
		if p := w.parcelOf(w.b, said); p.State != exchange.Opened || p.Verdict != "folded" || p.Received == 0 {
			t.Errorf("at its addressee: state %s, verdict %q, received %d", p.State, p.Verdict, p.Received)
		}
	}
	var got bytes.Buffer
	w.must(w.b.WriteFile(ctx, operator, c, 0, &got))
	if !bytes.Equal(got.Bytes(), large) {
		t.Error("the file is another")
	}
	// A file is packed once, and taken once.
	if kinds, _ := framesOf(t, w.pack(w.a)); kinds[parcel.FrameParcel]+kinds[parcel.FrameSegment]+kinds[parcel.FrameLeaves]+kinds[parcel.FrameCheckpoint] != 0 {
		t.Errorf("a second file repeats the first: %v", kinds)
	}
	w.over(first)
	// Nothing is due, old or missing at either end, however long nobody answers.
	w.a.clock.advance(10 * 24 * time.Hour)
	for _, s := range []*side{w.a, w.b} {
		l := w.linkOf(s)
		if l.State != exchange.LinkActive || l.Figures.OldestUnreceipted != 0 || l.Figures.UncosignedOwn != 0 || l.Figures.Gaps != 0 || l.Endpoint != "" {
			t.Errorf("at %s, state %s, endpoint %q, figures %+v", s.name, l.State, l.Endpoint, l.Figures)
		}
		if d, err := s.Outgoing(ctx, s.link, 8<<20); err != nil || len(d.Frames) != 0 {
			t.Errorf("at %s, %d frames leave by the network: %v", s.name, len(d.Frames), err)
		}
		if _, err := s.Receive(ctx, s.link, nil); fault.CodeOf(err) != "oneway" {
			t.Errorf("at %s, frames are taken over a network: %v", s.name, err)
		}
		r, err := s.Rebuild(ctx, operator, nil)
		w.must(err)
		if !r.Identical {
			t.Errorf("at %s, the record folds otherwise", s.name)
		}
	}
	if a, b := w.linkOf(w.a), w.linkOf(w.b); a.Reach(true) != flow.ReachOnewayOut || b.Reach(true) != flow.ReachOnewayIn || a.Figures.Sent == 0 {
		t.Errorf("reach %s and %s, %d sent", a.Reach(true), b.Reach(true), a.Figures.Sent)
	}
	// The addressee holds the whole ledger of the other, cosigned for itself; the author claims no cosignature.
	if own, mirror := w.log(w.a, w.a), w.log(w.b, w.a); mirror.Size != own.Size || mirror.CosignedSize != own.Size || own.CosignedSize != 0 {
		t.Errorf("of %d leaves the addressee holds %d and cosigned %d; %d are said to be cosigned", own.Size, mirror.Size, mirror.CosignedSize, own.CosignedSize)
	}
	for _, s := range []*side{w.a, w.b} {
		v, err := s.VerifyLedger(ctx, operator, s.link, nil)
		w.must(err)
		if !v.OK {
			t.Errorf("at %s, the ledgers do not hold: %+v", s.name, v)
		}
	}
	cut, err := w.b.CommonCut(ctx, w.b.link)
	w.must(err)
	if _, n, err := w.b.FoldHash(ctx, w.b.link, cut); err != nil || n != 0 {
		t.Errorf("%d statements lie under a common cut: %v", n, err)
	}
}

// TestOnewayCarriesNothingBack: the addressee can confirm the link, and say nothing else on it; and it takes nothing before.
func TestOnewayCarriesNothingBack(t *testing.T) {
	c := newClock()
	w := &world{t: t, a: newSide(t, "arvenia", c, nil), b: newSide(t, "kestria", c, nil)}
	w.pairOneway()
	ctx := t.Context()
	if _, err := w.a.Send(ctx, operator, draft(w.a, "early", "not confirmed", nil), nil); fault.CodeOf(err) != "link_unverified" {
		t.Errorf("said before the code was compared: %v", err)
	}
	_, err := w.a.Confirm(ctx, operator, w.a.link, "telephone", "Duty officer", "head of desk", "")
	w.must(err)
	said := w.message(w.a, "subject", "text", nil)
	file := w.pack(w.a)
	if _, err := unpackAt(t, w.b, file); fault.CodeOf(err) != "link_unverified" {
		t.Errorf("taken before the code was compared: %v", err)
	}
	if size := w.log(w.b, w.b).Size; size != 3 {
		t.Errorf("a file that was refused left %d leaves", size-3)
	}
	confirmed, err := w.b.Confirm(ctx, operator, w.b.link, "telephone", "Duty officer", "head of desk", "")
	w.must(err)
	if p := w.parcelOf(w.b, confirmed); p.State != exchange.Gone || p.Verdict != "folded" {
		t.Errorf("the addressee's confirmation: state %s, verdict %q", p.State, p.Verdict)
	}
	if l := w.linkOf(w.b); l.State != exchange.LinkConfirmedByUs {
		t.Errorf("before its author's word came, the link is %s", l.State)
	}
	w.over(file)
	if p := w.parcelOf(w.b, said); p.State != exchange.Opened {
		t.Errorf("what was refused with its file is %s when that comes again", p.State)
	}
	if l := w.linkOf(w.b); l.State != exchange.LinkActive {
		t.Errorf("the link is %s", l.State)
	}
	if _, err := w.b.Send(ctx, operator, draft(w.b, "back", "an answer", nil), nil); fault.CodeOf(err) != "oneway" {
		t.Errorf("the addressee answers: %v", err)
	}
	if _, err := w.b.Withdraw(ctx, operator, w.b.link, "ended", ""); fault.CodeOf(err) != "oneway" {
		t.Errorf("the addressee withdraws: %v", err)
	}
	if err := w.b.Pack(ctx, operator, w.b.link, false, &bytes.Buffer{}); fault.CodeOf(err) != "oneway" {
		t.Errorf("the addressee packs a file: %v", err)
	}
	d := draft(w.a, "registered", "text", nil)
	d.Registered = true
	if _, err := w.a.Send(ctx, operator, d, nil); fault.CodeOf(err) != "registered" {
		t.Errorf("registered: %v", err)
	}
	d = draft(w.a, "for nobody else", "text", nil)
	d.Marking = handling.Marking{TLP: "RED"}
	if _, err := w.a.Send(ctx, operator, d, nil); err == nil {
		t.Error("what must not travel one way was sent")
	}
	both := newWorld(t)
	if err := both.a.Pack(ctx, operator, both.a.link, true, &bytes.Buffer{}); fault.CodeOf(err) != "again" {
		t.Errorf("all again on a link that goes both ways: %v", err)
	}
	if _, err := w.a.PairReveal(ctx, []byte("x"), nil, [32]byte{}, "", nil); fault.CodeOf(err) != "token" {
		t.Errorf("a token of nothing: %v", err)
	}
}

// TestOnewayLostFile: a file that gets lost is made good by one that has all again: what has expired meanwhile is known to be
// missing, and holds nothing up.
func TestOnewayLostFile(t *testing.T) {
	w := oneway(t)
	ctx := t.Context()
	w.over(w.pack(w.a))
	big := make([]byte, 2<<20)
	lost := w.message(w.a, "lost", "for ever", nil, fileOf("lost.bin", big))
	erased := w.message(w.a, "erased", "at its author", nil)
	w.pack(w.a) // and nobody carries it
	if _, err := w.a.Erase(ctx, operator, erased.String(), flow.EraseOrder{Reason: "order"}); err != nil {
		t.Fatal(err)
	}
	if p := w.parcelOf(w.a, erased); p.State != exchange.Gone {
		t.Errorf("what was sent and erased is %s", p.State)
	}
	w.a.clock.advance(31 * 24 * time.Hour)
	w.must(w.a.Lapse(ctx))
	if p := w.parcelOf(w.a, lost); p.State != exchange.Gone || p.Blob != "" {
		t.Errorf("what has expired is %s, its blob %q", p.State, p.Blob)
	}
	if n := len(w.a.blobs.blobs); n != 1 { // the copy at rest
		t.Errorf("%d blobs are left of what has expired", n)
	}
	next := w.message(w.a, "next", "after the gap", nil)
	w.over(w.pack(w.a))
	if l := w.linkOf(w.b); l.Figures.Gaps == 0 {
		t.Error("the addressee sees no gap")
	}
	if p := w.parcelOf(w.b, next); p.Verdict != "" {
		t.Errorf("what stands after a gap is %s", p.Verdict)
	}
	w.over(w.again(w.a))
	w.a.clock.advance(31 * 24 * time.Hour)
	w.must(w.b.Expire(ctx))
	w.must(w.b.Settle(ctx, w.b.link))
	if l := w.linkOf(w.b); l.Figures.Gaps != 0 {
		t.Errorf("%d gaps are left", l.Figures.Gaps)
	}
	if p := w.parcelOf(w.b, next); p.Verdict != "folded" {
		t.Errorf("what stands after a gap that was made good is %q", p.Verdict)
	}
	w.over(w.again(w.a))
	if own, mirror := w.log(w.a, w.a), w.log(w.b, w.a); mirror.CosignedSize != own.Size {
		t.Errorf("the addressee cosigned %d of %d leaves", mirror.CosignedSize, own.Size)
	}
	if found, err := w.b.Evidence(ctx, operator, nil, 1); err != nil || len(found) != 0 {
		t.Errorf("somebody is accused: %v, %v", found, err)
	}
}

// TestOnewayRequest: a request that nobody can receipt starts no clock at its author; the addressee's runs from its own receipt, until
// the author ends the request.
func TestOnewayRequest(t *testing.T) {
	w := oneway(t)
	ctx := t.Context()
	_, err := w.a.Send(ctx, operator, word(w.a, "preservation.request", nil,
		map[string]any{"number": "ARV-PR-2026-0001", "status": "new", "days": "Asia/Shanghai"}, preservation(nil)), nil)
	w.must(err)
	w.over(w.pack(w.a))
	list := func(s *side) flow.RequestView {
		t.Helper()
		views, err := s.Requests(ctx, operator, assistance.Filter{Limit: 10})
		w.must(err)
		if len(views) != 1 {
			t.Fatalf("at %s, %d requests", s.name, len(views))
		}
		return views[0]
	}
	if v := list(w.a); v.Status != flow.Sent || v.Received != 0 || v.Changed == 0 || len(v.Dues) != 0 {
		t.Errorf("at its author: status %s, received %d, %d clocks", v.Status, v.Received, len(v.Dues))
	}
	v := list(w.b)
	if v.Status != assistance.Delivered || v.Received == 0 || !slices.ContainsFunc(v.Dues, func(d flow.DueView) bool { return d.Step == assistance.StepAck && d.Ours }) {
		t.Errorf("at its addressee: status %s, received %d, clocks %+v", v.Status, v.Received, v.Dues)
	}
	for _, s := range []*side{w.a, w.b} {
		r, err := s.Rebuild(ctx, operator, nil)
		w.must(err)
		if !r.Identical {
			t.Errorf("at %s, the record folds otherwise", s.name)
		}
	}
}
