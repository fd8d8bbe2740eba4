package flow_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

// pack makes a courier file for the other side.
func (w *world) pack(from *side) []byte {
	w.t.Helper()
	var file bytes.Buffer
	w.must(from.Pack(w.t.Context(), operator, from.link, false, &file))
	return file.Bytes()
}

// unpack takes a courier file and returns the one that answers it.
func (w *world) unpack(at *side, file []byte) []byte {
	w.t.Helper()
	answers, err := unpackAt(w.t, at, file)
	w.must(err)
	return answers
}

func unpackAt(t testing.TB, at *side, file []byte) ([]byte, error) {
	t.Helper()
	var answers bytes.Buffer
	err := at.Unpack(t.Context(), operator, bytes.NewReader(file), func() (io.Writer, error) { return &answers, nil })
	return answers.Bytes(), err
}

// trip carries a file over and its answers back.
func (w *world) trip(from, to *side) {
	w.t.Helper()
	w.unpack(from, w.unpack(to, w.pack(from)))
	w.must(to.Settle(w.t.Context(), to.link))
	w.must(from.Settle(w.t.Context(), from.link))
}

// framesOf reads a courier file to its end.
func framesOf(t testing.TB, file []byte) (kinds map[parcel.FrameKind]int, refusals []string) {
	t.Helper()
	_, frames, err := parcel.ReadBundle(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	kinds = map[parcel.FrameKind]int{}
	for f, err := range frames {
		if err != nil {
			t.Fatal(err)
		}
		kinds[f.Kind]++
		var r parcel.RefusalFrame
		if f.Kind == parcel.FrameRefusal && parcel.DecodeFrame(f, parcel.FrameRefusal, &r) == nil {
			refusals = append(refusals, r.Code)
		}
	}
	return kinds, refusals
}

// opened says whether a statement is opened on both sides, with its file as it was.
func (w *world) opened(c statement.Commitment, file []byte) {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		v, err := s.Show(w.t.Context(), operator, c.String())
		w.must(err)
		if v.Parcel.State != "opened" {
			w.t.Errorf("at %s, a statement is %s", s.name, v.Parcel.State)
		}
		if file == nil {
			continue
		}
		var got bytes.Buffer
		w.must(s.WriteFile(w.t.Context(), operator, c, 0, &got))
		if !bytes.Equal(got.Bytes(), file) {
			w.t.Errorf("at %s, a file of %d bytes is another of %d", s.name, len(file), got.Len())
		}
	}
}

// sameRecord compares what both sides have folded at their common cut, which is the end of both ledgers.
func (w *world) sameRecord() {
	w.t.Helper()
	ctx := w.t.Context()
	cut, err := w.a.CommonCut(ctx, w.a.link)
	w.must(err)
	there, err := w.b.CommonCut(ctx, w.b.link)
	w.must(err)
	if diff := cmp.Diff(cut, there); diff != "" {
		w.t.Fatalf("the cuts differ:\n%s", diff)
	}
	ours, _, err := w.a.FoldHash(ctx, w.a.link, cut)
	w.must(err)
	theirs, columns, err := w.b.FoldHash(ctx, w.b.link, cut)
	w.must(err)
	if ours != theirs || columns == 0 {
		w.t.Errorf("the records differ: %s, %s, %d columns", ours, theirs, columns)
	}
	for _, s := range []*side{w.a, w.b} {
		v, err := s.VerifyLedger(ctx, operator, s.link, nil)
		w.must(err)
		if len(v.Logs) != 2 || len(v.Differences) > 0 || v.Evidence > 0 {
			w.t.Errorf("at %s, the ledgers do not hold: %+v", s.name, v)
		}
		for _, l := range v.Logs {
			if l.Cosigned != l.Size || l.Size == 0 || len(l.Faults) > 0 {
				w.t.Errorf("at %s, %d of %d leaves are cosigned, faults %q", s.name, l.Cosigned, l.Size, l.Faults)
			}
		}
	}
}

// TestCourierCarriesEverything: two nodes without any network confirm a link and exchange messages and large files by files
// alone, until nothing is left to carry.
func TestCourierCarriesEverything(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Confirm(ctx, operator, s.link, "courier", "Duty officer", "head of desk", "")
		w.must(err)
	}
	w.trip(w.a, w.b)
	w.trip(w.b, w.a)
	large, small := make([]byte, 5<<20), []byte("a small one")
	rand.Read(large)
	first := w.message(w.a, "with a large file", "text", nil, fileOf("large.bin", large))
	second := w.message(w.b, "with a small file", "text", nil, fileOf("small.txt", small))
	for range 40 {
		w.message(w.a, "many", "text", nil)
	}
	w.trip(w.a, w.b)
	w.trip(w.b, w.a)
	w.trip(w.a, w.b)
	w.trip(w.b, w.a)
	w.trip(w.a, w.b)
	w.opened(first, large)
	w.opened(second, small)
	w.sameRecord()
	for _, s := range []*side{w.a, w.b} {
		if kinds, _ := framesOf(t, w.pack(s)); len(kinds) != 0 {
			t.Errorf("%s still has something to carry: %v", s.name, kinds)
		}
	}
}

// TestCourierAnswersLost: answers that never come back are made up for by later files.
func TestCourierAnswersLost(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	data := []byte("a file")
	c := w.message(w.a, "x", "text", nil, fileOf("f.txt", data))
	for range 2 { // only what is packed crosses
		w.unpack(w.b, w.pack(w.a))
		w.must(w.b.Settle(t.Context(), w.b.link))
		w.unpack(w.a, w.pack(w.b))
	}
	w.opened(c, data)
	for range 3 {
		w.trip(w.a, w.b)
		w.trip(w.b, w.a)
	}
	w.sameRecord()
}

// TestCourierBesideHTTPS: what a file carries may come by the network, too, in any order: each parcel has one effect.
func TestCourierBesideHTTPS(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	data := make([]byte, 2<<20)
	rand.Read(data)
	early := w.message(w.a, "by file first", "text", nil, fileOf("f.bin", data))
	file := w.pack(w.a)
	answers := w.unpack(w.b, file)
	w.a.clock.advance(2 * time.Hour) // the network comes back: what was packed is due again
	w.run()
	w.unpack(w.a, answers)
	late := w.message(w.a, "by network first", "text", nil)
	file = w.pack(w.a)
	w.a.clock.advance(2 * time.Hour)
	w.run()
	w.unpack(w.a, w.unpack(w.b, file))
	w.unpack(w.a, w.unpack(w.b, file)) // and again
	w.cosign()
	w.opened(early, data)
	w.opened(late, nil)
	w.sameRecord()
}

// TestCourierTruncated: a file that breaks off anywhere is taken as far as it came, is reported, and does no harm.
func TestCourierTruncated(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	data := make([]byte, 3<<20)
	rand.Read(data)
	c := w.message(w.a, "large", "text", nil, fileOf("f.bin", data))
	for _, share := range []int{1, 30, 60, 99} {
		file := w.pack(w.a)
		answers := w.unpack(w.b, file[:max(len(file)*share/100, 300)])
		if _, refusals := framesOf(t, answers); !cmp.Equal(refusals, []string{flow.CourierCut}) {
			t.Errorf("at %d %%: refusals %q", share, refusals)
		}
		if w.b.tally.of(flow.CourierCut) == 0 {
			t.Error("it was not counted")
		}
		w.unpack(w.a, answers)
	}
	w.must(w.b.Settle(t.Context(), w.b.link))
	for range 3 {
		w.trip(w.a, w.b)
		w.trip(w.b, w.a)
	}
	w.trip(w.a, w.b)
	w.opened(c, data)
	w.sameRecord()
}

// TestCourierRefused: files that are not for this node change nothing.
func TestCourierRefused(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.confirm()
	other.confirm()
	w.message(w.a, "x", "text", nil)
	other.message(other.a, "x", "text", nil)
	file, foreign := w.pack(w.a), other.pack(other.a)
	relabelled := relabel(t, foreign, parcel.Bundle{Link: w.a.link, From: w.a.Self().ID, To: w.b.Self().ID})
	before := w.figures(w.b)
	for name, c := range map[string]struct {
		file []byte
		code string
	}{
		"of another link":  {foreign, "courier_link"},
		"our own":          {relabel(t, file, parcel.Bundle{Link: w.a.link, From: w.b.Self().ID, To: w.a.Self().ID}), "courier_party"},
		"from another":     {relabel(t, file, parcel.Bundle{Link: w.a.link, From: other.a.Self().ID, To: w.b.Self().ID}), "courier_party"},
		"no courier file":  {[]byte("hello"), "courier_file"},
		"nothing":          {nil, "courier_file"},
		"its label is cut": {file[:40], "courier_file"},
	} {
		answers, err := unpackAt(t, w.b, c.file)
		if fault.CodeOf(err) != c.code || len(answers) != 0 {
			t.Errorf("%s: %v (code %s) with %d bytes of answers, want %s", name, err, fault.CodeOf(err), len(answers), c.code)
		}
	}
	answers := w.unpack(w.b, relabelled) // the label is no evidence: each frame is checked by itself
	if kinds, refusals := framesOf(t, answers); len(kinds) > 0 && kinds[parcel.FrameReceipt]+kinds[parcel.FrameCosignature] > 0 || len(refusals) == 0 {
		t.Errorf("frames of another link under this link's label are answered by %v, %q", kinds, refusals)
	}
	if diff := cmp.Diff(before, w.figures(w.b)); diff != "" {
		t.Errorf("something was changed:\n%s", diff)
	}
}

func (w *world) figures(s *side) any {
	w.t.Helper()
	v, err := s.FindLink(w.t.Context(), operator, s.link.String())
	w.must(err)
	return v.Figures
}

// relabel gives the frames of a courier file another first line.
func relabel(t testing.TB, file []byte, b parcel.Bundle) []byte {
	t.Helper()
	_, frames, err := parcel.ReadBundle(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := parcel.WriteBundle(&out, b, frames); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCourierThatCannotBeWritten: a file that comes to nothing leaves its parcels due.
func TestCourierThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	c := w.message(w.a, "x", "text", nil)
	for _, room := range []int{0, 10, 2000} {
		if err := w.a.Pack(t.Context(), operator, w.a.link, false, &fullWriter{room}); err == nil {
			t.Errorf("with room for %d bytes, a file was written", room)
		}
	}
	w.run() // at once, not in an hour
	w.opened(c, nil)
	if _, err := w.a.Show(t.Context(), operator, envelope.Hash(c).String()); err != nil {
		t.Error(err)
	}
}

type fullWriter struct{ room int }

func (f *fullWriter) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

// A file in parts may be taken in any order, each part twice, and one of them cut: what is there is taken, what is missing is
// asked for, and nothing has two effects.
func TestCourierParts(t *testing.T) {
	w := confirmed(t)
	large := make([]byte, 20<<20)
	for i := range large {
		large[i] = byte(i >> 12)
	}
	c := w.message(w.a, "in parts", "on several disks", nil, fileOf("evidence.bin", large))
	registered := w.register(w.a, "registered", "too", nil)
	var parts []*bytes.Buffer
	n, err := parcel.SplitBundle(bytes.NewReader(w.pack(w.a)), parcel.MinPart, func(int) (io.Writer, error) {
		parts = append(parts, &bytes.Buffer{})
		return parts[len(parts)-1], nil
	})
	w.must(err)
	if n < 3 {
		t.Fatalf("%d parts", n)
	}
	middle := parts[1].Bytes()
	for i := n - 1; i >= 0; i-- {
		file := parts[i].Bytes()
		if i == 1 {
			file = file[:len(file)/2]
		}
		for range 2 {
			w.unpack(w.a, w.unpack(w.b, file))
		}
	}
	if v := w.shown(w.b, c); v.Files[0].State == "stored" {
		t.Fatal("the file is there without the part that was cut")
	}
	w.unpack(w.a, w.unpack(w.b, middle))
	w.must(w.b.Settle(t.Context(), w.b.link))
	for range 3 {
		w.trip(w.b, w.a)
		w.trip(w.a, w.b)
	}
	w.opened(c, large)
	w.opened(registered, nil)
	w.sameRecord()
}

// Desks, participation and erasure go by courier as messages do, and both records are cosigned to their ends.
func TestCourierCarriesTheRest(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	desk, err := w.a.Send(ctx, operator, deskDraft(w.a, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}), nil)
	w.must(err)
	w.trip(w.a, w.b)
	_, err = w.b.Send(ctx, operator, countersign(w.b, desk, desk), nil)
	w.must(err)
	w.trip(w.b, w.a)
	for _, s := range []*side{w.a, w.b} {
		if got := w.deskState(s); got != "active" {
			t.Errorf("at %s, the desk is %s", s.name, got)
		}
	}
	w.suspend(w.b, network)
	w.trip(w.b, w.a)
	w.silent(w.a, "link_suspended", "The other party suspended", network)
	w.resume(w.b, network)
	w.trip(w.b, w.a)
	c := w.message(w.a, "to be erased", "soon", nil, fileOf("f.bin", make([]byte, 3<<20)))
	w.trip(w.a, w.b)
	w.trip(w.b, w.a)
	w.erase(w.a, c, "order", true)
	w.trip(w.a, w.b)
	if v := w.shown(w.b, c); len(v.Erasures) != 1 || v.Erasures[0].Ours || v.Erased != 0 {
		t.Errorf("the other party was told: %+v", v.Erasures)
	}
	_, err = w.b.Withdraw(ctx, operator, w.b.link, "ended", "")
	w.must(err)
	for range 3 {
		w.trip(w.b, w.a)
		w.trip(w.a, w.b)
	}
	w.silent(w.a, "link_withdrawn", "The other party withdrew", network)
	w.sameRecord()
}
