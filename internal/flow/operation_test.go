package flow_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// damage changes a database behind the node's back, as an administrator could.
func (s *side) damage(t testing.TB, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "entente.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done, err := db.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%s: %d rows, %v", query, n, err)
	}
}

// Guards: leaves are recomputed from the first one, and rows are folded again.
func TestAdminDeletesRow(t *testing.T) {
	type find func(w *world, s *side) bool
	ledger := func(w *world, s *side) bool {
		report, err := s.VerifyLedger(w.t.Context(), operator, s.link, nil)
		w.must(err)
		return !report.OK
	}
	rebuild := func(w *world, s *side) bool {
		report, err := s.Rebuild(w.t.Context(), operator, nil)
		return err != nil || !report.Identical
	}
	for _, c := range []struct {
		name, query string
		args        func(w *world) []any
		found       find
	}{
		{"the last leaf of our log", "DELETE FROM leaves WHERE party = ? AND idx = (SELECT MAX(idx) FROM leaves WHERE party = ?)",
			func(w *world) []any { id := w.a.Self().ID; return []any{id[:], id[:]} }, ledger},
		{"a leaf amid our log", "DELETE FROM leaves WHERE party = ? AND idx = 4", func(w *world) []any { id := w.a.Self().ID; return []any{id[:]} }, ledger},
		{"a leaf of the mirror", "DELETE FROM leaves WHERE party = ? AND idx = 4", func(w *world) []any { id := w.b.Self().ID; return []any{id[:]} }, ledger},
		{"a leaf's bytes", "UPDATE leaves SET leaf = CAST(replace(CAST(leaf AS TEXT), '\"time\":1', '\"time\":2') AS BLOB) WHERE party = ? AND idx = 4",
			func(w *world) []any { id := w.a.Self().ID; return []any{id[:]} }, ledger},
		{"the log's size", "UPDATE logs SET size = size - 1 WHERE party = ?", func(w *world) []any { id := w.a.Self().ID; return []any{id[:]} }, ledger},
		{"the cosigned note", "UPDATE logs SET cosigned_note = x'00' WHERE party = ?", func(w *world) []any { id := w.b.Self().ID; return []any{id[:]} }, ledger},
		{"a statement", "DELETE FROM statements WHERE kind = 'message' AND author = ?", func(w *world) []any { id := w.a.Self().ID; return []any{id[:]} }, rebuild},
		{"a column", "DELETE FROM columns WHERE room = 'message' AND author = ?", func(w *world) []any { id := w.a.Self().ID; return []any{id[:]} }, rebuild},
		{"a parcel", "DELETE FROM parcels WHERE lane = 'network' AND author = ? AND seq = 1", func(w *world) []any { id := w.b.Self().ID; return []any{id[:]} }, rebuild},
		{"a verdict", "UPDATE parcels SET verdict = 'void:stale' WHERE lane = 'network' AND author = ? AND seq = 1",
			func(w *world) []any { id := w.b.Self().ID; return []any{id[:]} }, rebuild},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := mirrored(t)
			if ledger(w, w.a) || rebuild(w, w.a) {
				t.Fatal("something was found before")
			}
			w.a.damage(t, c.query, c.args(w)...)
			w.a.reopen(t)
			if !c.found(w, w.a) {
				t.Error("it was not found")
			}
		})
	}
}

// Guard: bodies, files and their names lie at rest and travel under keys of their own; texts may be read.
func TestGrepDiskForCanary(t *testing.T) {
	const canary = "CANARY-7f3a9c"
	w := confirmed(t)
	ctx := t.Context()
	large := bytes.Repeat([]byte("large "+canary+" file\n"), 60_000)
	c := w.message(w.a, "subject "+canary, "text "+canary, nil, fileOf("name-"+canary+".txt", []byte("small "+canary)), fileOf("large.txt", large))
	w.message(w.a, "large "+canary, strings.Repeat("text "+canary+" ", 13_000), nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	for _, f := range d.Frames {
		if bytes.Contains(f.Payload, []byte(canary)) {
			t.Errorf("it is on the wire, in a frame of kind %d", f.Kind)
		}
	}
	w.must(w.a.Undelivered(ctx, d, fmt.Errorf("the line is down")))
	w.a.clock.advance(time.Hour)
	w.run()
	got, err := w.b.Show(ctx, operator, c.String())
	w.must(err)
	if !bytes.Contains(got.Body, []byte(canary)) || got.Files[0].Name != "name-"+canary+".txt" || got.Files[1].State != "stored" {
		t.Fatal("what was sent did not come in")
	}
	for _, s := range []*side{w.a, w.b} {
		files := 0
		w.must(filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files++
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%s: it is in %s", s.name, filepath.Base(path))
			}
			return err
		}))
		for name, data := range s.blobs.blobs {
			if bytes.Contains(data, []byte(canary)) || strings.Contains(name, canary) {
				t.Errorf("%s: it is in a blob", s.name)
			}
		}
		if files < 2 || len(s.blobs.blobs) == 0 {
			t.Errorf("%s: only %d files and %d blobs were searched", s.name, files, len(s.blobs.blobs))
		}
	}
}

// Guard: a fold reads texts alone, and a leaf records commitments alone.
func TestEraseThenRebuild(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.message(w.a, "to be erased", "names and numbers", nil, fileOf("list.txt", []byte("more names")))
	w.run()
	w.message(w.b, "Re: to be erased", "noted", &c)
	w.run()
	w.cosign()
	cut, err := w.a.CommonCut(ctx, w.a.link)
	w.must(err)
	sum, _, err := w.a.FoldHash(ctx, w.a.link, cut)
	w.must(err)
	before := w.record(w.b)
	w.b.update(t, func(tx flow.Tx) error { return tx.EraseBody(ctx, c, w.b.clock.now().UnixMicro()) })
	w.b.reopen(t)
	rebuilt, err := w.b.Rebuild(ctx, operator, nil)
	w.must(err)
	if !rebuilt.Identical {
		t.Errorf("the rebuild differs: %+v", rebuilt)
	}
	w.same(w.b, before, "erasing a body")
	report, err := w.b.VerifyLedger(ctx, operator, w.b.link, nil)
	w.must(err)
	if !report.OK {
		t.Errorf("the ledger: %+v", report)
	}
	again, _, err := w.b.FoldHash(ctx, w.b.link, cut)
	w.must(err)
	if again != sum {
		t.Error("the side that erased folds to another hash at the same cut")
	}
	got, err := w.b.Show(ctx, operator, c.String())
	w.must(err)
	if got.Body != nil || got.Erased == 0 || got.Verdict != "folded" || len(got.Files) != 1 || got.Files[0].Name != "" {
		t.Errorf("what is left: body %q, erased %d, verdict %q, files %+v", got.Body, got.Erased, got.Verdict, got.Files)
	}
	var out bytes.Buffer
	if err := w.b.WriteFile(ctx, operator, c, 0, &out); err == nil || out.Len() != 0 {
		t.Errorf("its file can still be read: %q", out.String())
	}
	proof, err := w.b.Proof(ctx, operator, c.String(), true)
	w.must(err)
	if bytes.Contains(proof, []byte("names")) {
		t.Error("the proof shows what was erased")
	}
	w.message(w.a, "Re: to be erased", "the thread goes on", &c)
	w.run()
	w.cosign()
	w.equalAtCut()
}

// A crash between the reservation and the delivery: what has its place is signed again, the same bytes, and no sequence is left
// out or used twice. Guards: the reserving transaction fixes the payload, and signatures are deterministic.
func TestReserveCrashReuse(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.a, "one", "1", nil)
	w.message(w.a, "two", "2", nil, fileOf("f.txt", []byte("file")))
	first, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	for range 3 {
		w.a.reopen(t)
		again, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
		w.must(err)
		if len(again.Frames) != len(first.Frames) {
			t.Fatalf("%d frames after the crash, %d before", len(again.Frames), len(first.Frames))
		}
		for i := range again.Frames {
			if !bytes.Equal(again.Frames[i].Payload, first.Frames[i].Payload) {
				t.Errorf("frame %d is another after the crash", i)
			}
		}
	}
	// Half of it had arrived before the crash; the receipts are lost in another one, on the other side.
	w.receive(w.b, first.Frames[:1]...)
	w.b.reopen(t)
	w.a.reopen(t)
	w.message(w.a, "three", "3", nil)
	w.run()
	for seq := range uint64(3) {
		for _, s := range []*side{w.a, w.b} {
			if got := w.verdict(s, w.a, seq+1); got != "folded" {
				t.Errorf("%s: statement %d is %q", s.name, seq+1, got)
			}
		}
	}
	for _, kind := range []string{"equivocation", "sequence_reused", "prev"} {
		if n := w.evidence(w.b, kind); n != 0 {
			t.Errorf("the crash looks like a lie: %s", kind)
		}
	}
	w.cosign()
	if n := w.equalAtCut(); n != 5 {
		t.Errorf("%d statements under the cut", n)
	}
}

// Guards: lanes are delivered in order of urgency, and segments after everything else.
func TestHotlineOvertakesEvidence(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.a, "evidence", "a large file", nil, fileOf("image.bin", bytes.Repeat([]byte("evidence"), 1<<20)))
	for range 40 {
		w.message(w.a, "backlog", "and many messages", nil)
	}
	d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
	w.must(err)
	w.must(w.a.Delivered(ctx, d, w.receive(w.b, d.Frames...).frames))
	call := draft(w.a, "hotline", "please call", nil)
	call.Lane = statement.Hotline
	c, err := w.a.Send(ctx, operator, call, nil)
	w.must(err)
	w.message(w.a, "after the call", "not urgent", nil)
	d, err = w.a.Outgoing(ctx, w.a.link, 1<<20)
	w.must(err)
	segments := 0
	for i, f := range d.Frames {
		switch f.Kind {
		case parcel.FrameParcel:
			p, err := parcel.DecodeParcelFrame(f)
			w.must(err)
			env, err := envelope.DecodeEnvelope(p.Header)
			w.must(err)
			hd, err := parcel.DecodeHeader(env.Payload)
			w.must(err)
			if (hd.Lane == statement.Hotline) != (i == 0) {
				t.Errorf("frame %d is of lane %s", i, hd.Lane)
			}
			if segments > 0 {
				t.Error("a parcel stands after segments")
			}
		case parcel.FrameSegment:
			segments++
		}
	}
	if segments == 0 {
		t.Error("no segments are on the way: nothing was overtaken")
	}
	w.must(w.a.Delivered(ctx, d, w.receive(w.b, d.Frames...).frames))
	got, err := w.b.Show(ctx, operator, c.String())
	w.must(err)
	if got.Verdict != "folded" || got.Text.Lane != statement.Hotline {
		t.Errorf("the call is %q", got.Verdict)
	}
}

// A peer that floods finds a bound everywhere. Guards: the window, the files that wait, the parcels that arrive in pieces, the
// wishes, and replays that leave nothing behind.
func TestFlood(t *testing.T) {
	w := confirmed(t)
	before := w.record(w.a)
	for _, seq := range []uint64{exchange.Window + 1, exchange.Window + 2, 1 << 40, statement.MaxInteger} {
		f := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Seq, h.Prev = seq, new(envelope.Sum([]byte("x"))) }})
		if got := w.receive(w.a, f.frame); !got.refused("window") {
			t.Errorf("sequence %d: %v", seq, got.refusals)
		}
	}
	w.same(w.a, before, "parcels far ahead")

	file := func() forged {
		hd := w.next(w.b, w.a, statement.Network)
		hd.Seq, hd.Prev, hd.Seen, hd.File, hd.Text = 0, nil, nil, &parcel.FileRef{}, envelope.Sum([]byte("never said"))
		return w.sealForged(w.b, w.a, hd, []byte("x"), forgery{bare: true})
	}
	taken := 0
	var arriving []forged
	for range 9 {
		var frames []parcel.Frame
		for range 64 {
			f := file()
			frames, arriving = append(frames, f.frame), append(arriving, f)
		}
		taken += len(w.receive(w.a, frames...).wants)
	}
	if taken != 512 || w.a.tally.of("waiting") != 64 {
		t.Errorf("%d files wait, %d were refused", taken, w.a.tally.of("waiting"))
	}
	hashes := 0
	for _, f := range arriving[:80] {
		got := w.receive(w.a, parcel.SegmentHashesFrame{Parcel: f.header.ID, Leaves: segmentLeaves(f.content)}.Frame())
		hashes += len(got.wants)
	}
	if hashes != 64 || w.a.tally.of("arriving") != 16 {
		t.Errorf("%d parcels arrive in pieces, %d were refused", hashes, w.a.tally.of("arriving"))
	}
	statementAmong := w.forge(w.b, w.a, forgery{})
	if got := w.receive(w.a, statementAmong.frame); !got.ended(parcel.Opened, "") {
		t.Errorf("a statement behind the files: %v", got.refusals)
	}

	// When they expire, room is made again.
	w.a.clock.advance(31 * 24 * time.Hour)
	ctx := t.Context()
	for range 2 {
		w.must(w.a.Expire(ctx))
	}
	if len(w.a.blobs.partials) != 0 {
		t.Errorf("%d partial files are left", len(w.a.blobs.partials))
	}
	fresh := file()
	got := w.receive(w.a, fresh.frame, parcel.SegmentHashesFrame{Parcel: fresh.header.ID, Leaves: segmentLeaves(fresh.content)}.Frame())
	if len(got.refusals) != 0 {
		t.Errorf("a file after the flood: %v", got.refusals)
	}

	for range 20 { // wishes for what there is not
		var docs []envelope.Hash
		for range 500 {
			id := envelope.NewID()
			docs = append(docs, envelope.Sum(id[:]))
		}
		id := envelope.NewID()
		w.receive(w.a, w.frame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Docs: docs}))
	}
	for range 5 {
		d, err := w.a.Outgoing(ctx, w.a.link, 1<<20)
		w.must(err)
		w.must(w.a.Undelivered(ctx, d, fmt.Errorf("nobody listens")))
	}

	replay := w.receive(w.a, statementAmong.frame)
	before = w.record(w.a)
	for range 50 {
		w.receive(w.a, slices.Concat(slices.Repeat([]parcel.Frame{statementAmong.frame}, 20), replay.frames)...)
	}
	w.same(w.a, before, "replays")
}

// Guards: room is asked for before anything is written, and nothing is acknowledged that was not made durable.
func TestDiskFull(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	kept := w.message(w.b, "before", "this was acknowledged", nil, fileOf("kept.txt", []byte("kept")))
	w.run()
	large := w.large(w.b, 2<<20)
	w.a.blobs.full = true
	before := w.record(w.a)
	if got := w.segments(large); !slices.Contains(got.refusals, "disk_full") || len(got.receipts) != 0 || len(w.a.blobs.partials) != 0 {
		t.Errorf("segments on a full disk: %v, %d receipts", got.refusals, len(got.receipts))
	}
	if _, err := w.a.Send(ctx, operator, draft(w.a, "a file", "see it", nil, fileOf("x.txt", []byte("x"))), nil); fault.CodeOf(err) != "disk_full" {
		t.Errorf("sending a file on a full disk: %v", err)
	}
	w.same(w.a, before, "a full disk")
	w.message(w.a, "still talking", "a statement needs little room", nil)

	// A file that came in waits; it is neither lost nor rejected, and holds up nothing else.
	w.a.blobs.full = false
	w.b.clock.advance(time.Hour)
	late := w.message(w.b, "a file", "just before the disk was full", nil, fileOf("late.txt", []byte("late")))
	for w.carry(w.b, w.a) || w.carry(w.a, w.b) {
	}
	w.a.blobs.full = true
	if err := w.a.Settle(ctx, w.a.link); fault.CodeOf(err) != "disk_full" || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("settling on a full disk: %v", err)
	}
	show := func(c statement.Commitment) flow.StatementView {
		v, err := w.a.Show(ctx, operator, c.String())
		w.must(err)
		return v
	}
	if v := show(late); v.Verdict != "folded" || v.Files[0].State != "waiting" {
		t.Errorf("its statement is %q, the file %s", v.Verdict, v.Files[0].State)
	}
	w.a.blobs.full = false
	w.must(w.a.Settle(ctx, w.a.link))
	if v := show(late); v.Files[0].State != "stored" {
		t.Errorf("with room again the file is %s", v.Files[0].State)
	}
	var out bytes.Buffer
	if err := w.a.WriteFile(ctx, operator, kept, 0, &out); err != nil || out.String() != "kept" {
		t.Errorf("what was acknowledged before: %q, %v", out.String(), err)
	}
	if got := w.segments(large); len(got.receipts) != 1 || got.receipts[0].Kind != parcel.Received {
		t.Errorf("the large parcel with room again: %v", got.refusals)
	}
}
