package assistance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// body is a request's body with these identifiers, each as type, value and, for an address, from, to and zone.
func subjectBody(t testing.TB, identifiers ...map[string]any) []byte {
	t.Helper()
	for _, i := range identifiers {
		if i["zone"] == nil {
			i["zone"] = "UTC"
		}
	}
	data, err := envelope.Marshal(map[string]any{"facts": "Something happened.", "identifiers": identifiers})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSubjects: two spellings of one subject are one, and two subjects are two.
func TestSubjects(t *testing.T) {
	kestria := party.ID(envelope.Sum([]byte("Kestria")))
	of := func(kind, value string) map[string]any { return map[string]any{"type": kind, "value": value} }
	at := func(value, from, zone string) map[string]any {
		return map[string]any{"type": "ip", "value": value, "from": from, "zone": zone}
	}
	for _, c := range []struct {
		name string
		a, b map[string]any
		same bool
	}{
		{"an address", of("ip", "2001:DB8:0:0::1"), of("ip", "2001:db8::1"), true},
		{"an address in another", of("ip", "::ffff:192.0.2.7"), of("ip", "192.0.2.7"), true},
		{"two addresses", of("ip", "192.0.2.7"), of("ip", "192.0.2.8"), false},
		{"an instant in two zones", at("192.0.2.7", "2026-03-01T09:30:00", "Europe/Berlin"), at("192.0.2.7", "2026-03-01T16:30:00", "Asia/Shanghai"), true},
		{"a local time in two zones", at("192.0.2.7", "2026-03-01T09:30:00", "Europe/Berlin"), at("192.0.2.7", "2026-03-01T09:30:00", "Asia/Shanghai"), false},
		{"a port", map[string]any{"type": "ip", "value": "192.0.2.7", "port": 1}, map[string]any{"type": "ip", "value": "192.0.2.7", "port": 2}, false},
		{"an account at two times", map[string]any{"type": "account", "value": "anna", "from": "2026-03-01T09:30:00"}, of("account", "@Anna"), true},
		{"a holder", map[string]any{"type": "account", "value": "anna", "provider": "Example Hosting"}, of("account", "anna"), true},
		{"types", of("account", "anna"), of("other", "anna"), false},
		{"mail", of("mail", "Anna@Mail.Example"), of("mail", "anna@mail.example"), true},
		{"a telephone", of("telephone", "+86 10 5555 0100"), of("telephone", "+86-10-55550100"), true},
		{"a domain", of("domain", "WWW.Kestria.Example."), of("domain", "www.kestria.example"), true},
		{"a page", of("url", "HTTPS://Kestria.Example:443"), of("url", "https://kestria.example/"), true},
		{"two pages", of("url", "https://kestria.example/A"), of("url", "https://kestria.example/a"), false},
		{"a digest", of("digest", strings.Repeat("AB", 32)), of("digest", strings.Repeat("ab", 32)), true},
		{"wallets", of("wallet", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"), of("wallet", "1boatslrhtknngkdxeeobr76b53lettpyt"), false},
	} {
		a, b := Subjects(kestria, subjectBody(t, c.a), statement.Zone), Subjects(kestria, subjectBody(t, c.b), statement.Zone)
		if len(a) != 1 || len(b) != 1 || slices.Equal(a, b) != c.same {
			t.Errorf("%s: %q and %q", c.name, a, b)
		}
	}
	both := subjectBody(t, of("mail", "Anna@Mail.Example"), of("mail", "anna@mail.example"), of("ip", "no address"))
	if got := Subjects(kestria, both, statement.Zone); len(got) != 1 {
		t.Errorf("one subject twice, and nothing, are %q", got)
	}
	arvenia := party.ID(envelope.Sum([]byte("Arvenia")))
	if slices.Equal(Subjects(kestria, both, statement.Zone), Subjects(arvenia, both, statement.Zone)) {
		t.Error("what is asked of two parties is one")
	}
}

// FuzzSubjects: whatever a body says, its subjects are sorted, each once, and the same again.
func FuzzSubjects(f *testing.F) {
	f.Add(subjectBody(f, map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T09:30:00", "to": "2026-03-01T10:30:00", "port": 443}))
	f.Add(subjectBody(f, map[string]any{"type": "url", "value": "https://[::1"}))
	f.Add([]byte(`{"identifiers":[{},1,"x"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := Subjects(party.ID{}, body, func(string) (*time.Location, error) { return time.UTC, nil })
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%q", got)
		}
		if again := Subjects(party.ID{}, body, func(string) (*time.Location, error) { return time.UTC, nil }); !slices.Equal(got, again) {
			t.Errorf("%q, then %q", got, again)
		}
	})
}
