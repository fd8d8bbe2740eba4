package flow_test

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/ledger"
	"entente/parcel"
	"entente/proof"
	"entente/statement"
)

// backup is all that a backup of one side holds.
type backup struct {
	rows  map[string][][]any
	blobs map[string][]byte
}

// backup copies what "entente backup" writes.
func (s *side) backup(t testing.TB) *backup {
	t.Helper()
	b := &backup{rows: map[string][][]any{}, blobs: maps.Clone(s.blobs.blobs)}
	err := s.store.(*sqlstore.Store).Snapshot(t.Context(), func(from *sqlstore.Snapshot) error {
		for _, table := range sqlstore.Tables() {
			err := from.Rows(t.Context(), table, func(cells []any) error {
				b.rows[table.Name] = append(b.rows[table.Name], slices.Clone(cells))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// restore gives a side what a backup holds, as "entente restore" does, and starts it.
func (s *side) restore(t testing.TB, b *backup) {
	t.Helper()
	s.clock.advance(2 * time.Second)
	store, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	err = store.Load(t.Context(), func(l *sqlstore.Loader) error {
		for _, table := range sqlstore.Tables() {
			for _, row := range b.rows[table.Name] {
				if err := l.Row(t.Context(), table, row); err != nil {
					return err
				}
			}
		}
		return l.SetMeta(t.Context(), flow.RestoredKey, fmt.Appendf(nil, "%d", s.clock.now().UnixMicro()))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.store, s.blobs = store, newMemoryBlobs()
	s.blobs.blobs = maps.Clone(b.blobs)
	s.House = s.open(t, s.Self())
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// catchUp carries until nothing moves, and lets waits go by.
func (w *world) catchUp() {
	w.t.Helper()
	for range 8 {
		w.run()
		for _, c := range []*clock{w.a.clock, w.b.clock} {
			c.advance(time.Minute)
		}
	}
	w.cosign()
}

// alike asks for everything that both sides are to have in common.
func (w *world) alike() {
	w.t.Helper()
	w.equalAtCut()
	for _, s := range []*side{w.a, w.b} {
		r, err := s.VerifyLedger(w.t.Context(), operator, s.link, nil)
		w.must(err)
		if !r.OK || len(r.Differences) != 0 {
			found, _ := s.Evidence(w.t.Context(), operator, nil, 10)
			w.t.Errorf("%s: the ledgers do not verify: %+v\n%+v", s.name, r, found)
		}
		v, err := s.FindLink(w.t.Context(), operator, s.link.String())
		w.must(err)
		if v.State != exchange.LinkActive || v.Catching != exchange.CaughtUp {
			w.t.Errorf("%s: the link is %s, catching up %d", s.name, v.State, v.Catching)
		}
		f := v.Figures
		if f.Sending+f.Unsaid+f.Arriving+f.Unsettled+f.Gaps+f.UncosignedOwn+f.UncosignedPeer != 0 {
			w.t.Errorf("%s: something is left: %+v", s.name, f)
		}
		rebuilt, err := s.Rebuild(w.t.Context(), operator, nil)
		w.must(err)
		if !rebuilt.Identical {
			w.t.Errorf("%s: a rebuild gives other rows", s.name)
		}
	}
}

// bothHold asks for a statement with its text, on both sides, folded and provable.
func (w *world) bothHold(c statement.Commitment, text string, files ...[]byte) {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		v, err := s.Show(w.t.Context(), operator, c.String())
		if err != nil {
			w.t.Errorf("%s: %q is not here: %v", s.name, text, err)
			continue
		}
		var body statement.MessageBody
		if v.Body == nil || envelope.Unmarshal(v.Body, &body) != nil || body.Text != text || v.Verdict != "folded" {
			w.t.Errorf("%s: %q is %q with the text %q", s.name, text, v.Verdict, body.Text)
		}
		for i, want := range files {
			var out bytes.Buffer
			if err := s.WriteFile(w.t.Context(), operator, c, i, &out); err != nil || !bytes.Equal(out.Bytes(), want) {
				w.t.Errorf("%s: file %d of %q: %v", s.name, i, text, err)
			}
		}
	}
}

// TestRestoreThenSend: a node that was restored from an old backup opens a new epoch, learns what it forgot, and goes on; nothing
// that both had acknowledged is lost, nothing is said twice, and nobody is accused.
func TestRestoreThenSend(t *testing.T) {
	data := bytes.Repeat([]byte("evidence "), 300_000)
	for _, c := range []struct {
		name string
		play func(w *world, said map[string]statement.Commitment)
	}{
		{"nothing was forgotten", func(w *world, said map[string]statement.Commitment) {
			b := w.b.backup(t)
			w.b.restore(t, b)
		}},
		{"both spoke after the backup", func(w *world, said map[string]statement.Commitment) {
			b := w.b.backup(t)
			said["to b"] = w.message(w.a, "s", "to b", nil)
			said["to a"] = w.message(w.b, "s", "to a", nil)
			w.cosign()
			said["in thread"] = w.message(w.a, "s", "in thread", ptr(said["to a"]))
			w.run()
			w.b.restore(t, b)
		}},
		{"what never left is lost, what was on its way comes", func(w *world, said map[string]statement.Commitment) {
			said["before"] = w.message(w.b, "s", "before", nil)
			b := w.b.backup(t)
			w.message(w.b, "s", "never seen again", nil)
			said["on its way"] = w.message(w.a, "s", "on its way", nil)
			w.b.restore(t, b)
		}},
		{"files", func(w *world, said map[string]statement.Commitment) {
			said["before with file"] = w.message(w.b, "s", "before with file", nil, fileOf("b.bin", data))
			b := w.b.backup(t)
			said["file to b"] = w.message(w.a, "s", "file to b", nil, fileOf("a.bin", data))
			said["file to a"] = w.message(w.b, "s", "file to a", nil, fileOf("c.bin", data))
			w.cosign()
			w.b.restore(t, b)
		}},
		{"file in pieces, of which none had come", func(w *world, said map[string]statement.Commitment) {
			said["file in pieces"] = w.message(w.a, "s", "file in pieces", nil, fileOf("a.bin", data))
			w.carry(w.a, w.b)
			b := w.b.backup(t)
			w.cosign()
			w.b.restore(t, b)
		}},
		{"file, and epochs by hand that the author never heard of", func(w *world, said map[string]statement.Commitment) {
			w.b.restore(t, w.b.backup(t))
			byHand := func() {
				_, err := w.b.OpenEpoch(t.Context(), operator, w.b.link, "They give nothing back.")
				w.must(err)
			}
			byHand()
			w.carry(w.b, w.a)
			said["file taken before the rest"] = w.message(w.a, "s", "file taken before the rest", nil, fileOf("a.bin", data))
			w.a.clock.advance(time.Minute)
			w.carry(w.a, w.b) // header and hashes
			w.lose(w.a, w.b)  // and the receipt for the segments
			byHand()
			byHand()
		}},
		{"receipts of keys that were replaced", func(w *world, said map[string]statement.Commitment) {
			said["receipted with old keys"] = w.message(w.a, "s", "receipted with old keys", nil)
			w.lose(w.a, w.b)
			w.must(w.b.Rotate(t.Context(), operator, flow.Renewal{}))
			w.b.restore(t, w.b.backup(t))
		}},
		{"what may not be said again", func(w *world, said map[string]statement.Commitment) {
			w.message(w.a, "s", "never left", nil)
			_, err := w.a.OpenEpoch(t.Context(), operator, w.a.link, "They cosign nothing.")
			w.must(err)
			_, err = w.b.SuspendLanes(t.Context(), operator, w.b.link, []statement.Lane{statement.Network}, "review", "For a while.")
			w.must(err)
			w.carry(w.b, w.a)
			w.catchUp()
			_, err = w.b.ResumeLanes(t.Context(), operator, w.b.link, []statement.Lane{statement.Network}, "Go on.")
			w.must(err)
			w.run()
			w.a.restore(t, w.a.backup(t))
			_, err = w.b.OpenEpoch(t.Context(), operator, w.b.link, "They cosign nothing.")
			w.must(err)
			w.carry(w.b, w.a) // which folds what can be, while it is frozen
		}},
		{"both are restored", func(w *world, said map[string]statement.Commitment) {
			a := w.a.backup(t)
			said["held by b"] = w.message(w.a, "s", "held by b", nil)
			w.run()
			b := w.b.backup(t)
			w.message(w.a, "s", "lost to both", nil)
			w.run()
			w.a.restore(t, a)
			w.b.restore(t, b)
		}},
		{"twice from the same backup", func(w *world, said map[string]statement.Commitment) {
			b := w.b.backup(t)
			said["one"] = w.message(w.a, "s", "one", nil)
			said["two"] = w.message(w.b, "s", "two", nil)
			w.cosign()
			w.b.restore(t, b)
			w.catchUp()
			said["three"] = w.message(w.b, "s", "three", nil)
			w.run()
			said["four"] = w.message(w.a, "s", "four", ptr(said["three"]))
			w.run()
			w.b.restore(t, b)
		}},
		{"twice from the same backup, with a clock that is behind", func(w *world, said map[string]statement.Commitment) {
			b := w.b.backup(t)
			w.b.clock.advance(-16 * time.Hour)
			w.b.restore(t, b)
			w.catchUp()
			said["one"] = w.message(w.b, "s", "one", nil)
			w.run()
			said["two"] = w.message(w.a, "s", "two", ptr(said["one"]))
			w.cosign()
			w.b.restore(t, b)
		}},
		{"again, in the middle of catching up", func(w *world, said map[string]statement.Commitment) {
			b := w.b.backup(t)
			said["one"] = w.message(w.a, "s", "one", nil)
			said["two"] = w.message(w.b, "s", "two", nil)
			w.cosign()
			w.b.restore(t, b)
			w.carry(w.b, w.a)
			w.b.restore(t, w.b.backup(t))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.confirm()
			w.cosign()
			said := map[string]statement.Commitment{}
			c.play(w, said)
			w.catchUp()
			for text, commitment := range said {
				if len(text) > 4 && (text[:4] == "file" || text == "before with file") {
					w.bothHold(commitment, text, data)
				} else {
					w.bothHold(commitment, text)
				}
			}
			for _, s := range []*side{w.a, w.b} {
				after := w.message(s, "s", "afterwards by "+s.name, nil)
				w.run()
				w.bothHold(after, "afterwards by "+s.name)
			}
			w.cosign()
			w.alike()
			for _, commitment := range said {
				w.proves(commitment)
			}
		})
	}
}

// A file that a restored party had receipted and lost is sent again once, whether it is opened at once or later.
func TestFileSentAgainOnce(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.message(w.a, "s", "with a file", nil, fileOf("a.bin", []byte("evidence")))
	for w.carry(w.a, w.b) { // which receipts it, and does not open it yet
	}
	w.b.restore(t, w.b.backup(t))
	for w.row(w.b).Catching != exchange.CaughtUp {
		if !w.carry(w.b, w.a) {
			t.Fatal("it does not catch up")
		}
	}
	for range 2 {
		w.a.clock.advance(time.Minute)
		for n := 0; w.carry(w.a, w.b); n++ {
			if n == 8 {
				t.Fatal("it is sent again and again")
			}
		}
	}
	w.catchUp()
	w.alike()
}

// The log of members has a restore once, however often the node is started.
func TestRestoreIsLogged(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.b.restore(t, w.b.backup(t))
	w.must(w.b.Resume(t.Context()))
	list, err := w.b.Audits(t.Context(), operator, 0, 100)
	w.must(err)
	restores := 0
	for _, e := range list {
		if e.Act == "restore" && e.Who == "node" {
			restores++
		}
	}
	if restores != 1 {
		t.Errorf("%d restores are in the log of members", restores)
	}
	if _, err := w.b.CheckAudit(t.Context(), operator); err != nil {
		t.Errorf("the log of members: %v", err)
	}
}

// TestRestoredWithoutKeys: where the backup has what keys that were replaced since were still to sign, nobody can tell what the other
// party has of it. The link is only read, and says so; no epoch is opened on it, by hand neither.
func TestRestoredWithoutKeys(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	said := w.message(w.b, "s", "signed later", nil)
	b := w.b.backup(t)
	unsigned := 0
	for _, row := range b.rows["documents"] {
		if hd, err := parcel.DecodeHeader(row[3].([]byte)); err == nil && hd.From == w.b.Self().ID && hd.Text == said {
			row[4] = []byte(nil)
			unsigned++
		}
	}
	if unsigned != 1 {
		t.Fatalf("%d headers of the statement are in the backup", unsigned)
	}
	w.must(w.b.Rotate(t.Context(), operator, flow.Renewal{}))
	w.b.restore(t, b)
	v, err := w.b.FindLink(t.Context(), operator, w.b.link.String())
	w.must(err)
	if v.State != flow.LinkRestored || v.OwnEpoch != ledger.FirstEpoch {
		t.Errorf("the link is %s, in epoch %d", v.State, v.OwnEpoch)
	}
	_, err = w.b.OpenEpoch(t.Context(), operator, w.b.link, "They give nothing back.")
	if fault.CodeOf(err) != flow.LinkRestored {
		t.Errorf("an epoch by hand: %v", err)
	}
	_, err = w.b.Send(t.Context(), operator, flow.Draft{Link: w.b.link, Lane: statement.Control, Kind: "test", Marking: handling.Marking{TLP: "AMBER"},
		Face: statement.EmptyBody{}, Body: statement.EmptyBody{}}, nil)
	if fault.CodeOf(err) != flow.LinkRestored {
		t.Errorf("a statement: %v", err)
	}
	if d, err := w.b.Outgoing(t.Context(), w.b.link, 1<<20); err != nil || len(d.Frames) > 0 {
		t.Errorf("%d frames leave: %v", len(d.Frames), err)
	}
	if _, err := w.b.Receive(t.Context(), w.b.link, nil); fault.CodeOf(err) != flow.LinkRestored {
		t.Errorf("frames are taken: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// proves asks for a proof of a statement on both sides, if its leaves were cosigned.
func (w *world) proves(c statement.Commitment) {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		data, err := s.Proof(w.t.Context(), operator, c.String(), true)
		if fault.CodeOf(err) == "not_cosigned" {
			continue
		}
		w.must(err)
		f, err := proof.Decode(data)
		w.must(err)
		if _, err := proof.Verify(envelope.Default(), f); err != nil {
			w.t.Errorf("%s: the proof does not verify: %v", s.name, err)
		}
	}
}
