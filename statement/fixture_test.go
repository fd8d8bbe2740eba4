package statement_test

import (
	"errors"
	"testing"

	"entente/envelope"
	"entente/handling"
	"entente/statement"
)

var (
	arvenia = envelope.Sum([]byte("Arvenia"))
	kestria = envelope.Sum([]byte("Kestria"))
	theLink = envelope.Sum([]byte("the link of Arvenia and Kestria"))
	rules   = statement.DefaultRules()
)

const authored = 1_790_000_000_000_000 // in September 2026

// salt makes a salt that is the same each time.
func salt(name string) statement.Salt { return statement.Salt(envelope.Sum([]byte(name))) }

// aText is a valid text of Arvenia to Kestria; its body is committed to, but not there.
func aText() statement.Text {
	return statement.Text{
		V: 1, Link: theLink, From: arvenia, To: kestria, Lane: statement.Assistance, Kind: "message", Edition: rules.Edition(),
		Authored: authored, Zone: "Asia/Shanghai", Urgency: "urgent", Marking: handling.Marking{TLP: "AMBER"}, Face: []byte(`{}`),
		Body: statement.Commit(statement.BodyLabel(), salt("body"), []byte(`{}`)),
	}
}

func aBody() statement.MessageBody {
	return statement.MessageBody{Subject: "Question about a server", Language: "en", Text: "We see traffic.\n\nDo you?"}
}

func aFile(name string) statement.File {
	parcel := salt("parcel of " + name)
	return statement.File{SHA256: envelope.Sum([]byte(name)), Size: 7, Name: name, Media: "text/plain",
		Salt: salt(name), Parcel: envelope.ID(parcel[:16])}
}

func compose(t testing.TB, text statement.Text, body any, files ...statement.File) *statement.Content {
	t.Helper()
	c, _, err := statement.Compose(text, body, files)
	if err != nil {
		t.Fatalf("composing: %v", err)
	}
	return c
}

func encode(t testing.TB, v interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	data, err := v.Encode()
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return data
}

// wantRefusal checks that err is a format error at where.
func wantRefusal(t *testing.T, err error, where string) {
	t.Helper()
	var e *envelope.FormatError
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a refusal at %q", err, where)
	}
	if e.Where != where {
		t.Errorf("refused at %q (%v), want at %q", e.Where, err, where)
	}
}
