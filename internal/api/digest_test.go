package api

import (
	"strings"
	"testing"

	"entente/envelope"
)

func TestDigestOf(t *testing.T) {
	h := envelope.Sum([]byte("a file"))
	declared := ContentDigest(h)
	for _, c := range []struct {
		name   string
		fields []string
		good   bool
	}{
		{"alone", []string{declared}, true},
		{"beside another", []string{"sha-512=:AAAA:, " + declared}, true},
		{"in a second field", []string{"sha-512=:AAAA:", declared}, true},
		{"by another algorithm alone", []string{"sha-512=:AAAA:"}, false},
		{"nothing", []string{""}, false},
		{"not closed", []string{strings.TrimSuffix(declared, ":")}, false},
		{"too short", []string{"sha-256=:AAAA:"}, false},
		{"hexadecimal", []string{"sha-256=" + h.String()}, false},
	} {
		got, err := digestOf(c.fields)
		if (err == nil) != c.good || c.good && *got != h {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if got, err := digestOf(nil); got != nil || err != nil {
		t.Errorf("no field: %v, %v", got, err)
	}
}

// FuzzDigestOf: what is read is written again as one of the members that were read.
func FuzzDigestOf(f *testing.F) {
	f.Add(ContentDigest(envelope.Sum(nil)))
	f.Add("sha-512=:AAAA:, " + ContentDigest(envelope.Sum(nil)))
	f.Fuzz(func(t *testing.T, field string) {
		if h, err := digestOf([]string{field}); err == nil && !strings.Contains(field, ContentDigest(*h)) {
			t.Errorf("%q is read as %s", field, h)
		}
	})
}
