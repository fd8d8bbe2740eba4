package api

import (
	"bytes"
	"testing"

	"entente/envelope"
)

// FuzzCursor: a token that is read is the token that is written, and names one row.
func FuzzCursor(f *testing.F) {
	some := envelope.Sum([]byte("thread"))
	f.Add(cursorAt(1_930_132_800_123_456, some[:]), len(some))
	f.Add(cursorAt(-1, make([]byte, 16)), 16)
	f.Add("", 32)
	f.Add("AAAA", 16)
	f.Fuzz(func(t *testing.T, token string, size int) {
		at, id, err := parseCursor(token, size)
		if err == nil && (cursorAt(at, id) != token || len(id) != size) {
			t.Errorf("%q is read as %d, %x", token, at, id)
		}
	})
}

func TestCursorRoundTrip(t *testing.T) {
	some := envelope.Sum([]byte("thread"))
	for _, want := range []int64{0, 1_930_132_800_123_456, -5} {
		at, id, err := parseCursor(cursorAt(want, some[:]), len(some))
		if err != nil || at != want || !bytes.Equal(id, some[:]) {
			t.Errorf("%d came back as %d, %x, %v", want, at, id, err)
		}
		if _, _, err := parseCursor(cursorAt(want, some[:]), 16); err == nil {
			t.Error("a cursor of another list was taken")
		}
	}
}
