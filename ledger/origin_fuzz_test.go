package ledger_test

import (
	"testing"

	"entente/envelope"
	"entente/ledger"
)

// FuzzParseOrigin shows that a log has one name.
func FuzzParseOrigin(f *testing.F) {
	f.Add(ledger.Origin(envelope.Sum(nil), envelope.Sum([]byte("party")), 1))
	f.Add("entente///0")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		link, party, epoch, err := ledger.ParseOrigin(s)
		if err == nil && ledger.Origin(link, party, epoch) != s {
			t.Errorf("%q is read as %s", s, ledger.Origin(link, party, epoch))
		}
	})
}
