package envelope_test

import (
	"testing"

	"entente/envelope"
)

// FuzzParseHash shows that a hash, or an identifier, has one text form.
func FuzzParseHash(f *testing.F) {
	f.Add(envelope.Sum(nil).String())
	f.Add(envelope.NewID().String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := envelope.ParseHash(s); err == nil && h.String() != s {
			t.Errorf("%q is read as %s", s, h)
		} else if err != nil && !h.IsZero() {
			t.Errorf("%q is refused, and gives %s", s, h)
		}
		if id, err := envelope.ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q is read as %s", s, id)
		} else if err != nil && !id.IsZero() {
			t.Errorf("%q is refused, and gives %s", s, id)
		}
	})
}
