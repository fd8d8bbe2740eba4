package statement_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/statement"
)

func TestTextRefusals(t *testing.T) {
	before, zero := int64(authored), statement.Commitment{}
	one := statement.Commit(statement.TextLabel(), salt("a"), nil)
	many := make([]statement.Commitment, statement.MaxRefs+1)
	for i := range many {
		many[i] = statement.Commit(statement.TextLabel(), salt(fmt.Sprint(i)), nil)
	}
	for _, c := range []struct {
		name  string
		spoil func(*statement.Text)
		where string
	}{
		{"another version", func(t *statement.Text) { t.V = 2 }, "/v"},
		{"no link", func(t *statement.Text) { t.Link = zero }, "/link"},
		{"no author", func(t *statement.Text) { t.From = zero }, "/from"},
		{"no addressee", func(t *statement.Text) { t.To = zero }, "/to"},
		{"to itself", func(t *statement.Text) { t.To = t.From }, "/to"},
		{"unknown lane", func(t *statement.Text) { t.Lane = "Control" }, "/lane"},
		{"kind in capitals", func(t *statement.Text) { t.Kind = "Message" }, "/kind"},
		{"kind with a path", func(t *statement.Text) { t.Kind = "../message" }, "/kind"},
		{"no edition", func(t *statement.Text) { t.Edition = zero }, "/edition"},
		{"zero thread", func(t *statement.Text) { t.Thread = &zero }, "/thread"},
		{"unknown zone", func(t *statement.Text) { t.Zone = "Asia/Nowhere" }, "/zone"},
		{"the machine's zone", func(t *statement.Text) { t.Zone = "Local" }, "/zone"},
		{"no zone", func(t *statement.Text) { t.Zone = "" }, "/zone"},
		{"two zones", func(t *statement.Text) { t.Zone = "Asia/Seoul\nAsia/Shanghai" }, "/zone"},
		{"a path as zone", func(t *statement.Text) { t.Zone = "../../etc/passwd" }, "/zone"},
		{"unknown urgency", func(t *statement.Text) { t.Urgency = "asap" }, "/urgency"},
		{"no time", func(t *statement.Text) { t.Authored = 0 }, "/authored"},
		{"time over 2^53", func(t *statement.Text) { t.Authored = 1 << 53 }, "/authored"},
		{"reply before the question", func(t *statement.Text) { t.ReplyBy = &before }, "/reply_by"},
		{"free text in the face", func(t *statement.Text) { t.Face = []byte(`{"note":"please call"}`) }, "/face/note"},
		{"zero reference", func(t *statement.Text) { t.Refs = []statement.Commitment{zero} }, "/refs/0"},
		{"reference twice", func(t *statement.Text) { t.Refs = []statement.Commitment{one, one} }, "/refs/1"},
		{"too many references", func(t *statement.Text) { t.Refs = many }, "/refs"},
		{"file twice", func(t *statement.Text) { t.Files = []statement.Commitment{one, one} }, "/files/1"},
		{"no body", func(t *statement.Text) { t.Body = zero }, "/body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := aText()
			c.spoil(&text)
			_, err := text.Encode()
			wantRefusal(t, err, c.where)
		})
	}
	text := aText()
	text.Marking.TLP = "WHITE"
	if _, err := text.Encode(); err == nil {
		t.Error("a marking that handling refuses was taken")
	}
}

func TestTextMembers(t *testing.T) {
	text := aText()
	good := string(encode(t, &text))
	if _, err := statement.DecodeText([]byte(good)); err != nil {
		t.Fatalf("the unchanged text: %v", err)
	}
	for name, bad := range map[string]string{
		"unknown member":   strings.Replace(good, `{"v":1,`, `{"v":1,"priority":1,`, 1),
		"case twin":        strings.Replace(good, `"to":`, `"TO":"`+arvenia.String()+`","to":`, 1),
		"duplicate":        strings.Replace(good, `"v":1,`, `"v":1,"v":1,`, 1),
		"null":             strings.Replace(good, `"v":1,`, `"v":1,"thread":null,`, 1),
		"trailing data":    good + "{}",
		"bad UTF-8":        strings.Replace(good, `"urgent"`, "\"urgent\xff\"", 1),
		"upper-case hash":  strings.Replace(good, arvenia.String(), strings.ToUpper(arvenia.String()), 1),
		"version as text":  strings.Replace(good, `"v":1`, `"v":"1"`, 1),
		"face in a string": strings.Replace(good, `"face":{}`, `"face":"{}"`, 1),
		"no face":          strings.Replace(good, `"face":{},`, ``, 1),
		"too long":         good + strings.Repeat(" ", statement.MaxText),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := statement.DecodeText([]byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A text is readable when no build knows its kind any more; only Check asks.
func TestUnknownKindStaysReadable(t *testing.T) {
	text := aText()
	text.Kind = "treaty.of_the_future"
	got, err := statement.DecodeText(encode(t, &text))
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	wantRefusal(t, statement.Check(statement.KindsEdition, got, []byte(`{}`)), "/kind")
}

// The commitment is written out once more here, as the specification has it.
func TestCommit(t *testing.T) {
	s := salt("s")
	for label, want := range map[statement.Label]string{
		statement.TextLabel(): "entente/text/v1\x00",
		statement.BodyLabel(): "entente/body/v1\x00",
		statement.FileLabel(): "entente/file/v1\x00",
	} {
		if string(label[:]) != want {
			t.Errorf("label %q, want %q", label[:], want)
		}
		sum := sha256.Sum256(slices.Concat([]byte(want), s[:], []byte("data")))
		if got := statement.Commit(label, s, []byte("data")); got != sum {
			t.Errorf("commitment under %q: %v", want, got)
		}
	}
	f := aFile("a.txt")
	sum := sha256.Sum256(slices.Concat([]byte("entente/file/v1\x00"), f.Salt[:], f.SHA256[:], []byte{0, 0, 0, 0, 0, 0, 0, 7}))
	if f.Commitment() != sum {
		t.Error("file commitment is not over digest and size")
	}
	g := f
	g.Name = "b.txt"
	if f.Commitment() != g.Commitment() {
		t.Error("a file's name is in its commitment: it would have to be kept with the text")
	}
	if f.SHA256 != envelope.Sum([]byte("a.txt")) {
		t.Error("making a commitment changed the file")
	}
}

func TestSaltText(t *testing.T) {
	s := statement.NewSalt()
	if s == statement.NewSalt() {
		t.Fatal("two salts are alike")
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back statement.Salt
	if err := back.UnmarshalText(text); err != nil || back != s || string(text) != s.String() {
		t.Errorf("salt %s came back as %s: %v", s, back, err)
	}
	for _, bad := range []string{"", strings.ToUpper(salt("x").String()), s.String()[1:], s.String() + "0", "zz" + s.String()[2:]} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("salt %q was taken", bad)
		}
	}
}

// Names of zones and what they mean come from the embedded edition: not from the machine, not from its environment. The test
// runs once more in a process whose ZONEINFO says that it is noon in Shanghai when it is noon in Accra.
func TestZones(t *testing.T) {
	if os.Getenv("ZONEINFO") == "" {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "Asia"), 0o700); err != nil {
			t.Fatal(err)
		}
		utc := append([]byte("TZif"), make([]byte, 40)...)
		utc[39], utc[43] = 1, 4 // one local time type, four characters
		utc = append(utc, "\x00\x00\x00\x00\x00\x00GMT\x00"...)
		if err := os.WriteFile(filepath.Join(dir, "Asia", "Shanghai"), utc, 0o600); err != nil {
			t.Fatal(err)
		}
		again := exec.Command(os.Args[0], "-test.run=^TestZones$", "-test.count=1")
		again.Env = append(os.Environ(), "ZONEINFO="+dir)
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("with other zones on the machine: %v\n%s", err, out)
		}
	}
	at := time.UnixMicro(authored)
	for name, want := range map[string]int{"Asia/Shanghai": 8 * 3600, "Europe/Vienna": 2 * 3600, "UTC": 0, "Asia/Kathmandu": 20700, "US/Eastern": -4 * 3600} {
		zone, err := statement.Zone(name)
		if err != nil {
			t.Errorf("zone %s: %v", name, err)
			continue
		}
		if _, got := at.In(zone).Zone(); got != want || zone.String() != name {
			t.Errorf("%s is %d seconds off UTC, want %d", zone, got, want)
		}
	}
	for _, bad := range []string{"", "Local", "asia/shanghai", "Asia", "Asia/", "\n", "Asia/Seoul\nAsia/Shanghai", "/UTC", "../UTC"} {
		if _, err := statement.Zone(bad); err == nil || statement.KnownZone(bad) {
			t.Errorf("zone %q was taken", bad)
		}
	}
}

func TestGroundCommitment(t *testing.T) {
	// The author tries salts until its statement's name is smaller than any other, with leading zeros.
	ground, plain := aText(), aText()
	best, _, err := statement.Compose(ground, aBody(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		best.TextSalt = smaller(best, statement.NewSalt())
	}
	other := compose(t, plain, aBody())
	small, big := best.Commitment(), other.Commitment()

	// What refers to it keeps the order in which it was referred to, whichever is smaller.
	for _, refs := range [][]statement.Commitment{{small, big}, {big, small}} {
		text := aText()
		text.Refs = slices.Clone(refs)
		text.Files = slices.Clone(refs)
		got, err := statement.DecodeText(encode(t, &text))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Refs, refs) || !slices.Equal(got.Files, refs) {
			t.Error("commitments were put into an order of their own")
		}
	}
	// And every verdict on a statement is the same for each of both.
	for _, c := range []*statement.Content{best, other} {
		_, text, name, err := statement.DecodeContent(encode(t, c))
		if err != nil {
			t.Fatal(err)
		}
		if err := statement.Check(statement.KindsEdition, text, c.Body); err != nil {
			t.Errorf("statement %v: %v", name, err)
		}
		follow := aText()
		follow.Thread = &name
		if err := statement.Check(statement.KindsEdition, &follow, c.Body); err != nil {
			t.Errorf("following %v: %v", name, err)
		}
	}
}

func smaller(c *statement.Content, s statement.Salt) statement.Salt {
	tried := statement.Commit(statement.TextLabel(), s, c.Text)
	if now := c.Commitment(); bytes.Compare(tried[:], now[:]) < 0 {
		return s
	}
	return c.TextSalt
}

// The edition is read alone as it is read with the rest, wherever it stands, and from nothing else.
func TestEditionOf(t *testing.T) {
	text := aText()
	data, err := text.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := statement.EditionOf(data); err != nil || got != text.Edition {
		t.Errorf("%s, %v; want %s", got, err, text.Edition)
	}
	edition := `"` + text.Edition.String() + `"`
	for in, ok := range map[string]bool{
		`{"edition":` + edition + `}`: true, `{"v":1,"face":{"edition":"x"},"edition":` + edition + `}`: true,
		`{"face":{"edition":` + edition + `}}`: false, `{}`: false, ``: false, `[]`: false, `{"edition":"x"}`: false, `{"edition":`: false, `"edition"`: false,
	} {
		if got, err := statement.EditionOf([]byte(in)); (err == nil) != ok || ok && got != text.Edition {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}
