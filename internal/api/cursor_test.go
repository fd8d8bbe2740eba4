package api

import (
	"testing"

	"entente/envelope"
)

// FuzzCursor: a token that is read is the token that is written, and names one row.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{1_930_132_800_123_456, envelope.Sum([]byte("thread"))}.String())
	f.Add(cursor{-1, envelope.Hash{}}.String())
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		c, err := parseCursor(token)
		if err == nil && c.String() != token {
			t.Errorf("%q is read as %q", token, c)
		}
	})
}

func TestCursorRoundTrip(t *testing.T) {
	for _, want := range []cursor{{0, envelope.Hash{}}, {1_930_132_800_123_456, envelope.Sum([]byte("thread"))}, {-5, envelope.Hash{1}}} {
		if got, err := parseCursor(want.String()); err != nil || got != want {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
}
