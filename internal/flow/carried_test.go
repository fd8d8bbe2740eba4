package flow_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"entente/envelope"
	"entente/ledger"
	"entente/parcel"
)

// hand gives frames to a side in a courier file that anybody could have written.
func (w *world) hand(to *side, from *side, frames ...parcel.Frame) answers {
	w.t.Helper()
	var file, back bytes.Buffer
	w.must(parcel.WriteBundle(&file, parcel.Bundle{Link: to.link, From: from.Self().ID, To: to.Self().ID}, func(yield func(parcel.Frame, error) bool) {
		for _, f := range frames {
			if !yield(f, nil) {
				return
			}
		}
	}))
	w.must(to.Unpack(w.t.Context(), operator, &file, func() (io.Writer, error) { return &back, nil }))
	_, answered, err := parcel.ReadBundle(&back)
	w.must(err)
	var got []parcel.Frame
	for f, err := range answered {
		w.must(err)
		got = append(got, f)
	}
	return sortAnswers(w.t, got)
}

// head is a head of exactly these leaves, signed with a side's real log keys.
func (w *world) head(s *side, leaves [][]byte) []byte {
	w.t.Helper()
	add, err := ledger.DecodeAddCheckpoint(w.checkpoint(s, leaves, 0).Payload)
	w.must(err)
	return add.Note
}

// Guards: leaves in a courier file are the peer's word only under a head that it signed. What anybody else wrote into a file changes
// nothing, accuses nobody, and does not stand in the way of the honest ledger.
func TestCourierForgedLeaves(t *testing.T) {
	w := mirrored(t)
	w.message(w.b, "third", "not shown yet", nil)
	honest := w.leavesOf(w.b)
	size := w.log(w.a, w.b).Size
	fresh := honest[size:]
	if len(fresh) == 0 {
		t.Fatal("nothing is new")
	}
	forged, err := (&ledger.Leaf{V: 1, Epoch: 1, Index: size, Time: w.b.clock.now().UnixMicro(), Kind: ledger.LinkLeaf, Doc: w.a.link}).Encode()
	w.must(err)
	rewritten := slices.Clone(honest[:size])
	rewritten[2] = bend(t, honest[2], func(l *ledger.Leaf) { l.Time++ })
	whole, held := w.head(w.b, honest), w.head(w.b, honest[:size])
	damaged := bytes.Replace(whole, []byte("— "+ledger.Origin(w.b.link, w.b.Self().ID, 1)), []byte("— "+ledger.Origin(w.b.link, w.a.Self().ID, 1)), 1)
	before := w.record(w.a)
	for _, c := range []struct {
		name  string
		frame parcel.LeavesFrame
		code  string
	}{
		{"a leaf that anybody could write", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: [][]byte{forged}}, "leaves_unsigned"},
		{"honest leaves without a head", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: fresh}, "leaves_unsigned"},
		{"held leaves rewritten, without a head", parcel.LeavesFrame{Epoch: 1, Leaves: rewritten}, "leaves_unsigned"},
		{"held leaves rewritten under their true head", parcel.LeavesFrame{Epoch: 1, Leaves: rewritten, Head: held}, "leaves_head"},
		{"a forged leaf under a true head", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: append([][]byte{forged}, fresh[1:]...), Head: whole}, "leaves_head"},
		{"a forged leaf behind a true head", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: append(slices.Clone(fresh), forged), Head: whole}, "leaves_head"},
		{"a forged leaf under the head before", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: [][]byte{forged}, Head: held}, "leaves_head"},
		{"a head that lacks a signature", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: fresh, Head: damaged}, "leaves_head"},
		{"a head of our own log", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: fresh, Head: w.head(w.a, honest)}, "leaves_head"},
		{"no head at all", parcel.LeavesFrame{Epoch: 1, First: size, Leaves: fresh, Head: []byte("x")}, "leaves_head"},
	} {
		if got := w.hand(w.a, w.b, w.frame(parcel.FrameLeaves, c.frame)); !got.refused(c.code) {
			t.Errorf("%s: %v", c.name, got.refusals)
		}
		w.same(w.a, before, c.name)
	}
	if list, err := w.a.Evidence(t.Context(), operator, &w.a.link, 500); err != nil || len(list) > 0 {
		t.Fatalf("what anybody could write is evidence against the peer: %v, %v", list, err)
	}
	w.trip(w.b, w.a)
	w.trip(w.a, w.b)
	w.trip(w.b, w.a)
	w.trip(w.a, w.b)
	w.sameRecord()

	// What the peer did sign is evidence, whatever leaves the file has.
	honest = w.leavesOf(w.b)
	last := len(honest) - 1
	fork := append(slices.Clone(honest[:last]), bend(t, honest[last], func(l *ledger.Leaf) { l.Time++ }))
	for i, leaves := range [][][]byte{honest, fork} {
		w.hand(w.a, w.b, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, Leaves: leaves, Head: w.head(w.b, fork)}))
		if n := w.evidence(w.a, "ledger_forked"); n != i+1 {
			t.Errorf("%d pieces of evidence of a head that contradicts the mirror", n)
		}
	}
	if envelope.Sum(honest[last]) != envelope.Sum(w.leavesOf(w.b)[last]) {
		t.Error("the fork was taken")
	}
}
