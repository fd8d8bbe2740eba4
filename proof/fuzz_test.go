package proof

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"entente/envelope"

	"github.com/google/go-cmp/cmp"
)

// members are the parts of a file that FuzzVerify replaces. exact says that no other bytes may pass in their place:
// envelopes can be written with other white space, checkpoints can bear more signatures.
func members(f *File) []struct {
	get   func() []byte
	set   func([]byte)
	exact bool
} {
	type member = struct {
		get   func() []byte
		set   func([]byte)
		exact bool
	}
	bin := func(p *[]byte, exact bool) member {
		return member{func() []byte { return *p }, func(b []byte) { *p = b }, exact}
	}
	text := func(p *string, exact bool) member {
		return member{func() []byte { return []byte(*p) }, func(b []byte) { *p = string(b) }, exact}
	}
	return []member{
		bin(&f.Statement.Text, true), bin(&f.Statement.Body, true),
		bin(&f.Sender[0], false), bin(&f.Recipient[0], false),
		bin(&f.Header.Envelope, false), bin(&f.Receipts[0].Envelope, false),
		text(&f.Header.Entry.Leaf, true), text(&f.Receipts[0].Out.Leaf, true), text(&f.Receipts[0].Got.Leaf, true),
		text(&f.Header.Entry.Checkpoint, false), text(&f.Receipts[0].Out.Checkpoint, false),
	}
}

// replaceable is f with members of its own where members sets them.
func replaceable(f *File) *File {
	out := *f
	out.Sender, out.Recipient = slices.Clone(f.Sender), slices.Clone(f.Recipient)
	out.Receipts = slices.Clone(f.Receipts)
	got := *f.Receipts[0].Got
	out.Receipts[0].Got = &got
	return &out
}

// FuzzVerify replaces one part of a good file, or the whole. What verifies re-encodes to a file that verifies, with the
// same report; what was committed to verifies only as it was; and no input makes a panic.
func FuzzVerify(f *testing.F) {
	data, err := os.ReadFile(vectorFile("exchange.json"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := Decode(bytes.TrimSpace(data))
	if err != nil {
		f.Fatal(err)
	}
	for i, m := range members(good) {
		f.Add(byte(i), m.get())
	}
	f.Add(byte(255), []byte(`{"v":1,"statement":{"commitment":""},"sender":[],"recipient":[],"header":{"envelope":"","entry":{}}}`))
	f.Fuzz(func(t *testing.T, part byte, value []byte) {
		file, err := Decode(value)
		exact, changed := false, false
		if err != nil {
			file = replaceable(good)
			if parts := members(file); int(part) < len(parts) {
				m := parts[part]
				exact, changed = m.exact, !bytes.Equal(m.get(), value)
				m.set(value)
			}
		}
		report, err := Verify(envelope.Default(), file)
		if err != nil {
			if report != nil {
				t.Fatalf("a report in spite of %v", err)
			}
			return
		}
		if exact && changed {
			t.Fatalf("part %d verifies as %q", part, value)
		}
		encoded, err := file.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Verify(envelope.Default(), again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(report, second); diff != "" {
			t.Fatal(diff)
		}
	})
}
