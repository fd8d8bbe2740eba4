package flow_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// The bounds of a node in service: two deliveries of segments are under way, of four each.
const (
	bulk  = 4 << 20
	lanes = 2
)

// transfer carries a large file as two nodes do: what is due in order, and segments beside it, lanes at a time.
type transfer struct {
	*world
	passed int                              // segments that came before the addressee
	fate   func(step int) (lost, deaf bool) // of a delivery of segments: lost on the way, or its answer is
	after  func(step int)                   // what happens then
	steps  int
}

func random(n int) []byte {
	data := make([]byte, n)
	rand.Read(data)
	return data
}

// step carries what is due, and reports whether there was anything.
func (tr *transfer) step() bool {
	tr.t.Helper()
	ctx := tr.t.Context()
	moved := false
	for _, pair := range [][2]*side{{tr.a, tr.b}, {tr.b, tr.a}} {
		from, to := pair[0], pair[1]
		d, err := from.Outgoing(ctx, from.link, 0)
		tr.must(err)
		if len(d.Frames) == 0 {
			continue
		}
		moved = true
		for _, f := range d.Frames {
			if f.Kind == parcel.FrameSegment {
				tr.t.Error("segments stand in an ordered delivery")
			}
		}
		answers, err := to.Receive(ctx, to.link, wire(tr.t, d.Frames))
		tr.must(err)
		tr.must(from.Delivered(ctx, d, wire(tr.t, answers)))
	}
	var flying []flow.Delivery
	for len(flying) < lanes {
		d, err := tr.a.OutgoingSegments(ctx, tr.a.link, bulk)
		tr.must(err)
		if len(d.Frames) == 0 {
			break
		}
		if len(d.Frames) > bulk/envelope.SegmentSize {
			tr.t.Errorf("%d segments in one delivery", len(d.Frames))
		}
		flying = append(flying, d)
	}
	for _, d := range flying {
		moved = true
		lost, deaf := false, false
		if tr.fate != nil {
			lost, deaf = tr.fate(tr.steps)
		}
		tr.steps++
		var answers []parcel.Frame
		err := errors.New("lost")
		if !lost {
			tr.passed += len(d.Frames)
			answers, err = tr.b.Receive(ctx, tr.b.link, wire(tr.t, d.Frames))
		}
		if err == nil && !deaf {
			tr.must(tr.a.Delivered(ctx, d, wire(tr.t, answers)))
		} else {
			tr.must(tr.a.Undelivered(ctx, d, errors.New("no answer")))
		}
		if tr.after != nil {
			tr.after(tr.steps)
		}
	}
	return moved
}

// run carries until nothing moves, and opens.
func (tr *transfer) run() {
	tr.t.Helper()
	for idle := 0; idle < 40; {
		if tr.step() {
			idle = 0
			continue
		}
		tr.a.clock.advance(10e9) // back-off
		idle++
		tr.must(tr.a.Settle(tr.t.Context(), tr.a.link))
		tr.must(tr.b.Settle(tr.t.Context(), tr.b.link))
	}
}

func (w *world) file(s *side, c statement.Commitment) []byte {
	w.t.Helper()
	var out bytes.Buffer
	w.must(s.WriteFile(w.t.Context(), operator, c, 0, &out))
	return out.Bytes()
}

// Whichever side a crash hits, and whatever is lost on the way, the file comes whole and at most 16 MiB of it come twice.
func TestLittleIsSentAgain(t *testing.T) {
	const segments, again = 40, 16
	for name, set := range map[string]func(*transfer){
		"nothing happens": func(*transfer) {},
		"the author is killed": func(tr *transfer) {
			tr.after = func(step int) {
				if step == 5 {
					tr.a.reopen(tr.t)
				}
			}
		},
		"the addressee is killed": func(tr *transfer) {
			tr.after = func(step int) {
				if step == 6 {
					tr.b.reopen(tr.t)
				}
			}
		},
		"the addressee is killed before it answers": func(tr *transfer) {
			tr.fate = func(step int) (lost, deaf bool) { return false, step == 4 }
			tr.after = func(step int) {
				if step == 5 {
					tr.b.reopen(tr.t)
				}
			}
		},
		"deliveries are lost": func(tr *transfer) { tr.fate = func(step int) (lost, deaf bool) { return step%3 == 1, false } },
		"an answer is lost":   func(tr *transfer) { tr.fate = func(step int) (lost, deaf bool) { return false, step == 3 } },
	} {
		t.Run(name, func(t *testing.T) {
			w := confirmed(t)
			tr := &transfer{world: w}
			set(tr)
			data := random(segments*(envelope.SegmentSize-envelope.FLOEOverhead) - 1000)
			c := w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", data))
			tr.run()
			if !bytes.Equal(w.file(w.b, c), data) {
				t.Error("another file came")
			}
			if tr.passed > segments+again {
				t.Errorf("%d segments were sent of %d", tr.passed, segments)
			}
			if name == "nothing happens" && tr.passed != segments {
				t.Errorf("%d segments were sent of %d, and nothing was lost", tr.passed, segments)
			}
		})
	}
}

// What was not made durable is never counted: a sync that fails has its segments asked for again, though a later one succeeds.
func TestAFailedSyncIsNotBelieved(t *testing.T) {
	w := confirmed(t)
	tr := &transfer{world: w}
	data := random(20 << 20)
	c := w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", data))
	w.b.blobs.failSyncs(1)
	tr.run()
	if got := w.b.blobs.syncs; got < 3 || got > 6 {
		t.Errorf("%d times made durable", got)
	}
	if !bytes.Equal(w.file(w.b, c), data) {
		t.Error("another file came")
	}
}

// Segments that were counted and are gone, as after a restore, count no more: all are asked for again, and the parcel has no receipt
// until they are there. Guard: a partial file is begun anew only when nothing is counted.
func TestLostSegmentsAreNotBelieved(t *testing.T) {
	for name, restart := range map[string]bool{"while the node is down": true, "while it runs": false} {
		t.Run(name, func(t *testing.T) {
			w := confirmed(t)
			tr := &transfer{world: w}
			tr.after = func(step int) {
				if step != 5 {
					return
				}
				clear(w.b.blobs.partials)
				if restart {
					w.b.reopen(t)
				}
			}
			data := random(40 << 20)
			c := w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", data))
			tr.run()
			if got := w.shown(w.b, c).Files[0]; got.State != "stored" {
				t.Fatalf("the file is %s", got.State)
			}
			if !bytes.Equal(w.file(w.b, c), data) {
				t.Error("another file came")
			}
		})
	}
}

// A file lies on its author's disk once: what was sealed for the peer is the copy, before and after it has arrived, and goes with
// the statement.
func TestOneCopy(t *testing.T) {
	w := confirmed(t)
	data := random(3 << 20)
	c := w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", data))
	for _, when := range []string{"before", "after"} {
		if n := len(w.a.blobs.blobs); n != 1 {
			t.Errorf("%s it arrives: %d blobs", when, n)
		}
		if !bytes.Equal(w.file(w.a, c), data) {
			t.Errorf("%s it arrives: another file", when)
		}
		w.run()
	}
	if n := len(w.b.blobs.partials); n != 0 {
		t.Errorf("%d partial files are left at the addressee", n)
	}
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Erase(t.Context(), operator, c.String(), flow.EraseOrder{Reason: "order"})
		w.must(err)
		if n := len(s.blobs.blobs); n != 0 {
			t.Errorf("%s: %d blobs after the erasure", s.name, n)
		}
	}
}

// A statement that is refused leaves nothing of its files.
func TestRefusedFilesAreRemoved(t *testing.T) {
	w := confirmed(t)
	before := w.record(w.a)
	long := fileOf("long.bin", random(2<<20))
	long.Size--
	for name, files := range map[string][]flow.FileDraft{
		"a file that grows":             {fileOf("a.bin", random(1<<20)), long},
		"a file that is over the limit": {fileOf("a.bin", random(100)), {Name: "b.bin", Media: "text/plain", Size: 17 << 30, Content: bytes.NewReader(nil)}},
		"a file whose reader breaks":    {fileOf("a.bin", random(100)), {Name: "b.bin", Media: "text/plain", Size: -1, Content: broken{}}},
		"a name that may not be sent":   {fileOf("a\nb", random(100))},
	} {
		if _, err := w.a.Send(t.Context(), operator, draft(w.a, "refused", "text", nil, files...), nil); err == nil {
			t.Errorf("%s was sent", name)
		}
		if n := len(w.a.blobs.blobs); n != 0 {
			t.Errorf("%s: %d blobs are left", name, n)
		}
	}
	w.same(w.a, before, "refused files")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// Sweeping removes what no row names, and nothing else, whatever is under way.
func TestSweep(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	orphan := func(s *side) {
		b, err := s.blobs.Create(ctx)
		w.must(err)
		data := random(1000)
		_, err = b.Write(data)
		w.must(errors.Join(err, b.Commit(contentName(data))))
	}
	data := random(5 << 20)
	c := w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", data))
	w.carry(w.a, w.b)
	w.carry(w.a, w.b) // some segments are there
	orphan(w.a)
	orphan(w.b)
	gone, err := w.b.blobs.Partial(ctx, envelope.NewID(), 10, true)
	w.must(errors.Join(err, gone.Close()))
	for s, want := range map[*side]int{w.a: 1, w.b: 2} {
		for range 2 {
			n, err := s.Sweep(ctx)
			w.must(err)
			if n != want || s.tally.of("swept") != want && want > 0 {
				t.Errorf("%s: %d files were removed, %d counted, want %d", s.name, n, s.tally.of("swept"), want)
			}
			want = 0
		}
	}
	w.run()
	if !bytes.Equal(w.file(w.b, c), data) || !bytes.Equal(w.file(w.a, c), data) {
		t.Error("the file suffered")
	}
	for _, s := range []*side{w.a, w.b} {
		if n, err := s.Sweep(ctx); n != 0 || err != nil {
			t.Errorf("%s: %d files were removed at the end: %v", s.name, n, err)
		}
	}
}

// A sweep while a statement is being made leaves its sealed file alone, which no row names yet.
func TestSweepLeavesWhatIsUnderWay(t *testing.T) {
	w := confirmed(t)
	first, second := fileOf("first.bin", random(2<<20)), fileOf("second.bin", random(100))
	second.Content = swept{second.Content.(*bytes.Reader), func() {
		if n, err := w.a.Sweep(context.Background()); n != 0 || err != nil {
			t.Errorf("%d files were removed: %v", n, err)
		}
	}}
	c := w.message(w.a, "two files", "text", nil, first, second)
	w.run()
	if len(w.file(w.b, c)) != 2<<20 {
		t.Error("the first file did not come")
	}
}

type swept struct {
	*bytes.Reader
	sweep func()
}

func (s swept) Read(p []byte) (int, error) {
	s.sweep()
	return s.Reader.Read(p)
}

// A peer's files take up no more than the quota; what is over it is refused by a frame and comes when there is room.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	w.b.quota = 3 << 20
	w.b.reopen(t)
	w.confirm()
	small, large := random(2<<20), random(2<<20)
	first := w.message(w.a, "first", "text", nil, fileOf("a.bin", small))
	w.run()
	second := w.message(w.a, "second", "text", nil, fileOf("b.bin", large))
	w.run()
	w.message(w.b, "ours", "does not count", nil, fileOf("c.bin", random(2<<20)))
	w.run()
	if got := w.shown(w.b, second); got.Verdict != "folded" || got.Files[0].State != "waiting" || w.b.tally.of("quota") == 0 {
		t.Errorf("the statement is %q, its file %s, %d refusals", got.Verdict, got.Files[0].State, w.b.tally.of("quota"))
	}
	_, err := w.b.Erase(t.Context(), operator, first.String(), flow.EraseOrder{Reason: "order"})
	w.must(err)
	w.a.clock.advance(3600e9)
	w.run()
	if !bytes.Equal(w.file(w.b, second), large) {
		t.Error("it did not come when there was room")
	}
}

// Very many large files that are due at once do not make a delivery as large as all of their hashes.
func TestHashesAreBounded(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	const files, segments = 6, 1 << 15 // a mebibyte of hashes each
	w.must(w.a.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		for range files {
			id := envelope.NewID()
			payload := random(200)
			header := envelope.Sum(payload)
			p := exchange.Parcel{ID: id, Link: w.a.link, Author: w.a.Self().ID, Epoch: 1, Lane: statement.Network, File: 0, Header: header,
				State: exchange.Sending, GotIndex: -1, Created: 1, Expires: 1 << 50, Segments: segments, Length: segments * envelope.SegmentSize, Blob: id.String()}
			err := errors.Join(tx.PutParcels(ctx, p), tx.PutDocuments(ctx, exchange.Document{Hash: header, Link: w.a.link, Type: parcel.HeaderType, Payload: payload, Signatures: []envelope.Signature{{KeyID: strings.Repeat("ab", 16), Sig: []byte("b")}}}))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	w.a.House = w.a.open(t, w.a.Self()) // it knows of its own acts alone
	left := files
	for range files {
		d, err := w.a.Outgoing(ctx, w.a.link, 0)
		w.must(err)
		size := 0
		for _, f := range d.Frames {
			if size += len(f.Payload); f.Kind == parcel.FrameSegmentHashes {
				left--
			}
		}
		if size > 5<<20 {
			t.Errorf("a delivery of %d bytes", size)
		}
		if len(d.Frames) == 0 {
			break
		}
	}
	if left != 0 {
		t.Errorf("%d files were never offered", left)
	}
}

// An unknown file is a fault, not a wait.
func TestAMissingCopyIsSaid(t *testing.T) {
	w := confirmed(t)
	c := w.message(w.a, "evidence", "a file", nil, fileOf("image.bin", random(100)))
	clear(w.a.blobs.blobs)
	if err := w.a.WriteFile(t.Context(), operator, c, 0, &bytes.Buffer{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}
