package flow_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
	"entente/proof"
	"entente/statement"
)

// equalAtCut checks that both sides fold to the same hash at their common cut, and returns how many statements lie under it.
func (w *world) equalAtCut() int {
	w.t.Helper()
	cut, err := w.a.CommonCut(w.t.Context(), w.a.link)
	w.must(err)
	ha, na, err := w.a.FoldHash(w.t.Context(), w.a.link, cut)
	w.must(err)
	hb, nb, err := w.b.FoldHash(w.t.Context(), w.b.link, cut)
	w.must(err)
	if ha != hb || na != nb {
		w.t.Fatalf("at the common cut %v: %s folds %d statements to %s, %s %d to %s", cut.Sizes, w.a.name, na, ha, w.b.name, nb, hb)
	}
	return na
}

func TestTwoHousesHoldOneRecord(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.confirm()
	for _, s := range []*side{w.a, w.b} {
		v, err := s.FindLink(ctx, operator, s.link.String())
		w.must(err)
		if v.State != exchange.LinkActive {
			t.Fatalf("%s sees the link %s", s.name, v.State)
		}
	}
	large := make([]byte, 5<<20+123)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(large)
	small := []byte("a small file")
	c := w.message(w.a, "Indicators of the week", "Find them attached.", nil, fileOf("indicators.json", large), fileOf("note.txt", small))
	w.run()
	got, err := w.b.Show(ctx, operator, c.String())
	w.must(err)
	if got.Verdict != "folded" || len(got.Files) != 2 || got.Files[0].State != "stored" || got.Files[1].State != "stored" {
		t.Fatalf("at the addressee: verdict %q, files %+v", got.Verdict, got.Files)
	}
	var out bytes.Buffer
	w.must(w.b.WriteFile(ctx, operator, c, 0, &out))
	if !bytes.Equal(out.Bytes(), large) {
		t.Error("the large file came out otherwise than it went in")
	}
	out.Reset()
	w.must(w.a.WriteFile(ctx, operator, c, 1, &out))
	if !bytes.Equal(out.Bytes(), small) {
		t.Error("the author's copy of the small file differs")
	}
	thread := c
	w.message(w.b, "Re: Indicators of the week", "Received, thank you.", &thread)
	w.run()
	w.cosign()
	if n := w.equalAtCut(); n != 4 {
		t.Errorf("%d statements under the cut, want 4", n)
	}
	for _, s := range []*side{w.a, w.b} {
		report, err := s.VerifyLedger(ctx, operator, s.link, nil)
		w.must(err)
		if !report.OK || len(report.Differences) != 0 || report.Evidence != 0 {
			t.Errorf("%s: %+v", s.name, report)
		}
		for _, log := range report.Logs {
			if log.Cosigned != log.Size {
				t.Errorf("%s: log of %s is cosigned to %d of %d", s.name, log.Party.String()[:8], log.Cosigned, log.Size)
			}
		}
		data, err := s.Proof(ctx, operator, c.String(), true)
		w.must(err)
		f, err := proof.Decode(data)
		w.must(err)
		if _, err := proof.Verify(envelope.Default(), f); err != nil {
			t.Errorf("%s: proof: %v", s.name, err)
		}
		rebuilt, err := s.Rebuild(ctx, operator, nil)
		w.must(err)
		if !rebuilt.Identical {
			t.Errorf("%s: rebuild: %+v", s.name, rebuilt)
		}
	}
}

func TestDeskIsCountersigned(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.confirm()
	desk, err := w.a.Send(ctx, operator, deskDraft(w.a, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}), nil)
	w.must(err)
	w.run()
	if state := w.deskState(w.b); state != exchange.DeskProposed {
		t.Errorf("before the countersignature the desk is %s", state)
	}
	_, err = w.b.Send(ctx, operator, countersign(w.b, desk, desk), nil)
	w.must(err)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if state := w.deskState(s); state != exchange.DeskActive {
			t.Errorf("%s sees the desk %s", s.name, state)
		}
	}
	if _, err := w.b.Send(ctx, operator, countersign(w.b, desk, desk), nil); err == nil {
		t.Error("a second countersignature of the same edition was accepted for sending")
	}
}

func (w *world) deskState(s *side) string {
	w.t.Helper()
	desks, err := s.Desks(w.t.Context(), operator, nil)
	w.must(err)
	if len(desks) != 1 {
		w.t.Fatalf("%s sees %d desks", s.name, len(desks))
	}
	return desks[0].State
}

// A replay gets the same receipts and leaves the record as it was.
func TestReplayRace(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	ctx := t.Context()
	w.message(w.a, "once", "only once", nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	first, err := w.b.Receive(ctx, w.b.link, d.Frames)
	w.must(err)
	before := w.size(w.b)
	for range 3 {
		again, err := w.b.Receive(ctx, w.b.link, d.Frames)
		w.must(err)
		if len(again) != len(first) {
			t.Fatalf("%d answers to a replay, %d at first", len(again), len(first))
		}
		for i := range again {
			if !bytes.Equal(again[i].Payload, first[i].Payload) {
				t.Errorf("answer %d to a replay is another", i)
			}
		}
	}
	if after := w.size(w.b); after != before {
		t.Errorf("replays made the ledger grow from %d to %d", before, after)
	}
	list, err := w.b.List(ctx, operator, exchange.Filter{Kind: "message"})
	w.must(err)
	if len(list) != 1 {
		t.Errorf("%d messages after replays", len(list))
	}
	w.must(w.a.Delivered(ctx, d, first))
}

func (w *world) size(s *side) int64 {
	w.t.Helper()
	report, err := s.VerifyLedger(w.t.Context(), operator, s.link, nil)
	w.must(err)
	for _, log := range report.Logs {
		if log.Party == s.Self().ID {
			return log.Size
		}
	}
	return 0
}

// Parcels that come out of order are receipted with their gaps, and fold in sequence.
func TestReorderGap(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	ctx := t.Context()
	first := w.message(w.a, "first", "1", nil)
	w.message(w.a, "second", "2", &first)
	w.message(w.a, "third", "3", &first)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	if len(d.Frames) != 3 {
		t.Fatalf("%d frames", len(d.Frames))
	}
	var answers []parcel.Frame
	for _, i := range []int{2, 1, 0} {
		got, err := w.b.Receive(ctx, w.b.link, d.Frames[i:i+1])
		w.must(err)
		answers = append(answers, got...)
		env, err := envelope.DecodeEnvelope(got[0].Payload)
		w.must(err)
		r, err := parcel.DecodeReceipt(env.Payload)
		w.must(err)
		if i == 2 && (r.ContiguousTo != 0 || len(r.Gaps) != 1 || r.Gaps[0] != (parcel.Gap{From: 1, To: 2})) {
			t.Errorf("receipt for 3 alone: contiguous to %d, gaps %v", r.ContiguousTo, r.Gaps)
		}
		if i == 0 && (r.ContiguousTo != 3 || len(r.Gaps) != 0) {
			t.Errorf("receipt for the last gap: contiguous to %d, gaps %v", r.ContiguousTo, r.Gaps)
		}
	}
	w.must(w.a.Delivered(ctx, d, answers))
	w.run()
	list, err := w.b.List(ctx, operator, exchange.Filter{Kind: "message"})
	w.must(err)
	for _, v := range list {
		if v.Verdict != "folded" {
			t.Errorf("%s is %q", v.Commitment.String()[:8], v.Verdict)
		}
	}
	w.cosign()
	w.equalAtCut()
}
