package ledger

import (
	"bytes"
	"testing"

	"entente/envelope"

	"golang.org/x/mod/sumdb/tlog"
)

// What decodes is what was encoded, byte by byte.
func FuzzDecodeLeaf(f *testing.F) {
	f.Add(encode(f, testLeaf(0)))
	f.Add(encode(f, testLeaf(1)))
	f.Add(encode(f, Leaf{V: 1, Epoch: 2, Kind: EpochLeaf, Last: &Head{Epoch: 1, Size: 3, Root: envelope.Sum(nil)}}))
	f.Add([]byte(`{"v":1,"V":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := DecodeLeaf(data)
		if err != nil {
			if !isFormat(err) {
				t.Fatalf("error %v is not a *FormatError", err)
			}
			return
		}
		again, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%s encodes as %s", data, again)
		}
	})
}

// What decodes is what was encoded, byte by byte; and whatever it says, a witness answers.
func FuzzDecodeAddCheckpoint(f *testing.F) {
	a := arvenia(f)
	m := testLog(f, 5)
	note := a.sign(f, 5, m.root(f, 5)).Note
	f.Add(AddCheckpoint{0, nil, note}.Encode())
	f.Add(AddCheckpoint{3, m.proof(f, 3, 5), note}.Encode())
	f.Add([]byte("old 9007199254740991\n\nx"))
	f.Add(AddCheckpoint{1, make([]tlog.Hash, MaxProof), []byte("x")}.Encode())
	state := WitnessState{Size: 3, Root: m.root(f, 3)}
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := DecodeAddCheckpoint(data)
		if err != nil {
			if !isFormat(err) {
				t.Fatalf("error %v is not a *FormatError", err)
			}
			return
		}
		if again := req.Encode(); !bytes.Equal(again, data) {
			t.Fatalf("%q encodes as %q", data, again)
		}
		if c, err := Judge(state, *req, a.origin(), a.log); err == nil && c.Root != m.root(t, 5) {
			t.Fatalf("cosigned what the log did not sign: %+v", c)
		}
	})
}

// What opens opens again as the same checkpoint, and says only what the log signed.
func FuzzOpenCheckpoint(f *testing.F) {
	a, k := arvenia(f), kestria(f)
	m := testLog(f, 5)
	signed := a.sign(f, 5, m.root(f, 5))
	f.Add(signed.Note)
	f.Add(k.cosign(f, signed).Note)
	f.Add([]byte(a.origin() + "\n9223372036854775807\nAAAA\n\n— x AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := OpenCheckpoint(data, a.origin(), a.log)
		if err != nil {
			return
		}
		if c.Size != signed.Size || c.Root != signed.Root || !bytes.Equal(c.Note, data) {
			t.Fatalf("opened %+v, which was not signed", c)
		}
		// Cosigned by the right witness, if at all; its lines alone say the same. (Nothing is signed here: a signature
		// is different each time, and would mislead the search for inputs.)
		at, err := c.Cosigned(WitnessName(k.id), k.witness)
		if err != nil {
			return
		}
		_, lines, err := splitNote(data)
		if err != nil {
			t.Fatal(err)
		}
		again, second, err := AddCosignatures(signed, lines, WitnessName(k.id), k.witness)
		if err != nil || second != at || again.Root != c.Root {
			t.Fatalf("cosigned at %d, added at %d: %v", at, second, err)
		}
	})
}
