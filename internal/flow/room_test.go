package flow_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/statement"
)

// A node without room for a file takes and answers everything else, is not asked again at once, starts again as it is, and
// takes the file when there is room.
func TestFullDiskKeepsNothingElseBack(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	ctx := t.Context()
	first, second := []byte("came while there was room"), bytes.Repeat([]byte("evidence "), 300<<10)
	early := w.message(w.a, "early", strings.Repeat("long enough to come in segments ", 8190), nil, fileOf("first.txt", first))
	for w.carry(w.a, w.b) {
	}
	w.b.blobs.fill(true)
	w.message(w.b, "ready", "for evidence", nil) // settles what was said, without its file
	if err := w.b.Settle(ctx, w.b.link); fault.CodeOf(err) != "disk_full" {
		t.Errorf("opening a file without room: %v", err)
	}
	late := w.message(w.a, "late", "see the file", nil, fileOf("second.bin", second))
	call := w.message(w.a, "call", "without a file", nil)
	for range 20 {
		w.carry(w.a, w.b)
	}
	w.carry(w.b, w.a)
	if w.carry(w.a, w.b) {
		t.Error("the file that there is no room for is sent again and again")
	}
	w.b.reopen(t)
	for _, c := range []string{early.String(), late.String(), call.String()} {
		for _, s := range []*side{w.a, w.b} {
			v, err := s.Show(ctx, operator, c)
			w.must(err)
			if v.Parcel.State != "opened" || s == w.b && len(v.Files) > 0 && v.Files[0].State != "waiting" {
				t.Errorf("at %s, %q is %s with the files %+v", s.name, c[:8], v.Parcel.State, v.Files)
			}
		}
	}
	w.message(w.b, "answer", "from a full node", &call)
	w.b.blobs.fill(false)
	w.a.clock.advance(time.Minute)
	w.run()
	for c, want := range map[statement.Commitment][]byte{early: first, late: second} {
		var got bytes.Buffer
		w.must(w.b.WriteFile(ctx, operator, c, 0, &got))
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("the file of %s is another", c.String()[:8])
		}
	}
	w.cosign()
	w.equalAtCut()
}

func (m *memoryBlobs) fill(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}
