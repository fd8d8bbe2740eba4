package proof

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// change is one way to spoil exchange.json: replace the first From by To.
type change struct {
	Why  string `json:"why"`
	From string `json:"from"`
	To   string `json:"to"`
	Part string `json:"part"` // where it must be found out
}

func vectorFile(name string) string { return filepath.Join("testdata", "vectors", name) }

func writeVectors(t *testing.T) {
	t.Helper()
	s := tell(t, plot{})
	erased := copyFile(t, s.file)
	erased.Statement = Statement{Commitment: s.file.Statement.Commitment}
	unanswered := copyFile(t, s.file)
	unanswered.Receipts = nil
	for name, f := range map[string]*File{"exchange.json": s.file, "erased.json": erased, "unanswered.json": unanswered} {
		write(t, name, must[[]byte](t)(f.Encode()))
	}
	write(t, "refused.json", must[[]byte](t)(envelope.Marshal(changesOf(s.file))))
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(vectorFile(name), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func changesOf(f *File) []change {
	s := f.Statement
	hexFlip := func(text string) string {
		c := byte('0')
		if text[0] == c {
			c = '1'
		}
		return string(c) + text[1:]
	}
	return []change{
		{"version", `{"v":1`, `{"v":2`, "/v"},
		{"commitment", `"commitment":"` + s.Commitment.String(), `"commitment":"` + hexFlip(s.Commitment.String()), "/header/envelope"},
		{"text salt", `"text_salt":"` + s.TextSalt.String(), `"text_salt":"` + hexFlip(s.TextSalt.String()), "/statement/text"},
		{"body salt", `"body_salt":"` + s.BodySalt.String(), `"body_salt":"` + hexFlip(s.BodySalt.String()), "/statement/body"},
		{"salts swapped", `"text_salt":"` + s.TextSalt.String(), `"text_salt":"` + s.BodySalt.String(), "/statement/text"},
		{"file size", `"size":5`, `"size":6`, "/statement/files/0"},
		{"path", f.Header.Entry.Path[0].String(), hexFlip(f.Header.Entry.Path[0].String()), "/header/entry/path"},
		{"receipt's path", f.Receipts[0].Out.Path[0].String(), hexFlip(f.Receipts[0].Out.Path[0].String()), "/receipts/0/out/path"},
		{"leaf's time", `"leaf":"{\"v\":1,\"epoch\":1,\"index\":4,\"time\":1793534401000000`,
			`"leaf":"{\"v\":1,\"epoch\":1,\"index\":4,\"time\":1793534402000000`, "/header/entry/path"},
		{"size of the tree", `\n5\n`, `\n6\n`, "/header/entry/checkpoint"},
		{"name of the witness", `— entente/witness/`, `— entente/watcher/`, "/header/entry/checkpoint"},
		{"unknown member", `{"v":1`, `{"w":1,"v":1`, ""},
		{"member twice", `{"v":1`, `{"v":1,"v":1`, ""},
	}
}

// readFile verifies an encoded file as a command would, with one error for all that is wrong.
func readFile(data []byte) (*Report, error) {
	f, err := Decode(bytes.TrimSuffix(data, []byte("\n")))
	if err != nil {
		return nil, err
	}
	return Verify(envelope.Default(), f)
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for name, want := range map[string][]Code{
		"exchange.json":   {Identities, Sent, TextShown, BodyShown, FileShown, Received, Arrived, Opened},
		"erased.json":     {Identities, Sent, Received, Arrived, Opened},
		"unanswered.json": {Identities, Sent, TextShown, BodyShown, FileShown},
	} {
		r, err := readFile(must[[]byte](t)(os.ReadFile(vectorFile(name))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := codes(r); !slices.Equal(got, want) {
			t.Errorf("%s: facts %v, want %v", name, got, want)
		}
	}
	good := string(must[[]byte](t)(os.ReadFile(vectorFile("exchange.json"))))
	var changes []change
	if err := envelope.Unmarshal(must[[]byte](t)(os.ReadFile(vectorFile("refused.json"))), &changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Run(c.Why, func(t *testing.T) {
			spoiled := strings.Replace(good, c.From, c.To, 1)
			if spoiled == good {
				t.Fatalf("no %q in the file", c.From)
			}
			_, err := readFile([]byte(spoiled))
			part := ""
			if e, ok := errors.AsType[*Error](err); ok {
				part = e.Part
			} else if e, ok := errors.AsType[*envelope.FormatError](err); ok && c.Part != "" {
				part = e.Where
			}
			if err == nil || part != c.Part {
				t.Errorf("refused at %q (%v), want %q", part, err, c.Part)
			}
		})
	}
}

// TestEveryByte changes the file at places spread over all of it. Base64 and hexadecimal have one form only and every
// value is checked, so each change is found out, but for names and media types of files, to which nothing commits.
func TestEveryByte(t *testing.T) {
	good := bytes.TrimSuffix(must[[]byte](t)(os.ReadFile(vectorFile("exchange.json"))), []byte("\n"))
	from := bytes.Index(good, []byte(`"files":`))
	to := from + bytes.Index(good[from:], []byte(`"sender":`))
	for at := 0; at < len(good); at += 173 {
		if from <= at && at < to {
			continue
		}
		if _, err := readFile(flip(good, at)); err == nil {
			t.Errorf("byte %d of %d changed from %q: verified", at, len(good), good[at])
		}
	}
}
