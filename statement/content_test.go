package statement_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"entente/envelope"
	"entente/statement"
)

func TestContent(t *testing.T) {
	c, name, err := statement.Compose(aText(), aBody(), []statement.File{aFile("a.txt"), aFile("日志.log")})
	if err != nil {
		t.Fatal(err)
	}
	c.Signatures = []envelope.Signature{{KeyID: strings.Repeat("0", 32), Sig: []byte("signature")}}
	got, text, gotName, err := statement.DecodeContent(encode(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("content came back otherwise (-sent +got):\n%s", diff)
	}
	if gotName != name || name != statement.Commit(statement.TextLabel(), c.TextSalt, c.Text) {
		t.Errorf("the statement is named %v, then %v", name, gotName)
	}
	if len(text.Files) != 2 || text.Body != statement.Commit(statement.BodyLabel(), c.BodySalt, c.Body) {
		t.Error("the text does not commit to body and files")
	}
	if err := statement.Check(statement.KindsEdition, text, got.Body); err != nil {
		t.Errorf("a message is refused: %v", err)
	}
	again := compose(t, aText(), aBody())
	if again.Commitment() == name || again.TextSalt == c.TextSalt || again.BodySalt == c.BodySalt {
		t.Error("two statements share a salt")
	}
}

// What is left after erasing proves the text, and nothing in it depends on the body but through the erased salt.
func TestErasureLeavesTheText(t *testing.T) {
	c := compose(t, aText(), aBody(), aFile("a.txt"))
	kept, keptSalt, name := bytes.Clone(c.Text), c.TextSalt, c.Commitment()
	for _, secret := range []string{"Question", "traffic", "a.txt", c.BodySalt.String(), c.Files[0].Salt.String(), c.Files[0].SHA256.String()} {
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("the text holds %q", secret)
		}
	}
	*c = statement.Content{}
	if statement.Commit(statement.TextLabel(), keptSalt, kept) != name {
		t.Error("the text can't be proven any more")
	}
	if _, err := statement.DecodeText(kept); err != nil {
		t.Errorf("the text can't be read any more: %v", err)
	}
}

func TestContentRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*statement.Content)
		where string
	}{
		{"another version", func(c *statement.Content) { c.V = 0 }, "/v"},
		{"no body", func(c *statement.Content) { c.Body = nil }, "/body"},
		{"another body", func(c *statement.Content) { c.Body[5] ^= 1 }, "/body"},
		{"another body salt", func(c *statement.Content) { c.BodySalt[31] ^= 1 }, "/body"},
		{"a file taken away", func(c *statement.Content) { c.Files = c.Files[:1] }, "/files"},
		{"a file added", func(c *statement.Content) { c.Files = append(c.Files, aFile("c")) }, "/files"},
		{"files swapped", func(c *statement.Content) { c.Files[0], c.Files[1] = c.Files[1], c.Files[0] }, "/files/0"},
		{"another digest", func(c *statement.Content) { c.Files[1].SHA256[0] ^= 1 }, "/files/1"},
		{"another size", func(c *statement.Content) { c.Files[1].Size++ }, "/files/1"},
		{"negative size", func(c *statement.Content) { c.Files[1].Size = -1 }, "/files/1/size"},
		{"a path as name", func(c *statement.Content) { c.Files[0].Name = "a/b" }, "/files/0/name"},
		{"a media type with a comment", func(c *statement.Content) { c.Files[0].Media = "text/plain; (x)" }, "/files/0/media"},
		{"one parcel for two files", func(c *statement.Content) { c.Files[1].Parcel = c.Files[0].Parcel }, "/files/1"},
		{"a file without a parcel", func(c *statement.Content) { c.Files[1].Parcel = envelope.ID{} }, "/files/1/parcel"},
		{"an empty signature", func(c *statement.Content) { c.Signatures = []envelope.Signature{{KeyID: "k"}} }, "/signatures/0"},
		{"too many signatures", func(c *statement.Content) { c.Signatures = make([]envelope.Signature, 17) }, "/signatures"},
		{"a text of another version", func(c *statement.Content) { c.Text = bytes.Replace(c.Text, []byte(`"v":1`), []byte(`"v":2`), 1) }, "/text/v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := compose(t, aText(), aBody(), aFile("a"), aFile("b"))
			c.spoil(content)
			_, _, _, err := statement.DecodeContent(encode(t, content))
			wantRefusal(t, err, c.where)
		})
	}
}

// Bombs are small and say that they are big: they are refused before anything is made of what they say.
func TestZipBomb(t *testing.T) {
	text := aText()
	good := string(encode(t, &text))
	for name, err := range map[string]error{
		"files":      second(statement.DecodeContent([]byte(`{"v":1,"files":[` + strings.Repeat(`{},`, 500_000) + `{}]}`))),
		"signatures": second(statement.DecodeContent([]byte(`{"v":1,"signatures":[` + strings.Repeat(`{},`, 500_000) + `{}]}`))),
		"length":     second(statement.DecodeContent(make([]byte, statement.MaxContent+1))),
		"depth":      second(statement.DecodeContent([]byte(`{"v":1,"files":` + strings.Repeat(`[`, 100_000)))),
		"face depth": first(statement.DecodeText([]byte(strings.Replace(good, `{}`, strings.Repeat(`[`, 20_000), 1)))),
		"face array": statement.CheckFace([]byte(`{"a":[` + strings.Repeat(`"",`, 64) + `""]}`)),
		"face names": statement.CheckFace([]byte(`{` + manyMembers(33) + `}`)),
		"face size":  statement.CheckFace([]byte(`{` + strings.Repeat(" ", 16<<10) + `}`)),
		"agreement":  first(statement.DecodeAgreement(make([]byte, statement.MaxAgreement+1))),
	} {
		if err == nil {
			t.Errorf("%s: the bomb was taken", name)
		}
	}
	bomb := []byte(`{"v":1,"files":[` + strings.Repeat(`{},`, 500_000) + `{}]}`)
	if n := testing.AllocsPerRun(1, func() { statement.DecodeContent(bomb) }); n > 20 {
		t.Errorf("refusing half a million files took %v allocations", n)
	}
}

func first[T any](_ T, err error) error                  { return err }
func second[A, B, C any](_ A, _ B, _ C, err error) error { return err }

func manyMembers(n int) string {
	var members []string
	for i := range n {
		members = append(members, `"m`+string(rune('a'+i/26))+string(rune('a'+i%26))+`":1`)
	}
	return strings.Join(members, ",")
}
