package ledger

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"entente/envelope"

	"golang.org/x/mod/sumdb/note"
)

// third is a witness that is neither party, with a key of each kind.
type third struct {
	signers []note.Signer
	ed, ml  Witness
}

func newThird(t *testing.T, name string, at int64) third {
	t.Helper()
	seed := envelope.Sum([]byte(name))
	keys, err := NoteKeysFromSeeds(seed[:], seed[:])
	if err != nil {
		t.Fatal(err)
	}
	var w third
	if w.signers, err = WitnessSigners(name, seed[:], seed[:], func() int64 { return at }); err != nil {
		t.Fatal(err)
	}
	if w.ed, err = ParseWitness(vkey(name, typeEd25519Cosi, keys.Ed25519)); err != nil {
		t.Fatal(err)
	}
	if w.ml, err = ParseWitness(vkey(name, typeMLDSA44, keys.MLDSA44)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w third) lines(t *testing.T, c *Checkpoint) []byte {
	t.Helper()
	lines, err := Cosign(c, w.signers...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func aHead(t *testing.T, size int64) *Checkpoint {
	t.Helper()
	seed := envelope.Sum([]byte("log"))
	origin := Origin(envelope.Sum([]byte("link")), envelope.Sum([]byte("party")), 1)
	signers, err := LogSigners(origin, seed[:], seed[:])
	if err != nil {
		t.Fatal(err)
	}
	c, err := SignCheckpoint(origin, size, envelope.Sum([]byte{byte(size)}), signers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddWitness(t *testing.T) {
	c, w := aHead(t, 5), newThird(t, "witness.example/w1", 1_793_534_400)
	lines := w.lines(t, c)
	first, second, _ := bytes.Cut(lines, []byte("\n"))
	for _, k := range []Witness{w.ed, w.ml} {
		cosigned, at, err := c.AddWitness(lines, k)
		if err != nil || at != 1_793_534_400 {
			t.Fatalf("%s: time %d, %v", k.ID(), at, err)
		}
		if got, err := cosigned.WitnessedBy(k); got != at || err != nil {
			t.Errorf("%s: %d, %v", k.ID(), got, err)
		}
		if n := bytes.Count(cosigned.Note, []byte("\n— ")); n != 3 {
			t.Errorf("%s: %d signatures, want two of the log and one", k.ID(), n)
		}
		again, _, err := cosigned.AddWitness(lines, k)
		if err != nil || !bytes.Equal(again.Note, cosigned.Note) {
			t.Errorf("%s, the same again: %v\n%s", k.ID(), err, again.Note)
		}
	}
	other := newThird(t, "witness.example/w2", 1)
	forged := bytes.Clone(first)
	forged[len(forged)-3] ^= 1
	for _, a := range []struct {
		name  string
		lines []byte
	}{
		{"nothing", nil},
		{"garbage", []byte("<html>sorry</html>\n")},
		{"another witness", other.lines(t, c)},
		{"another head", w.lines(t, aHead(t, 6))},
		{"a forged signature", append(forged, '\n')},
		{"the other key of the same witness", second},
		{"no end of line", first},
		{"a note of its own", append([]byte("text\n\n"), lines...)},
		{"too much", bytes.Repeat(lines, 30)},
		{"time zero", newThird(t, "witness.example/w1", 0).zero(t, c)},
	} {
		got, _, err := c.AddWitness(a.lines, w.ed)
		if !errors.Is(err, ErrCosignature) && !errors.Is(err, ErrCheckpoint) || got != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	if n := bytes.Count(c.Note, []byte("\n— ")); n != 2 {
		t.Errorf("the checkpoint has %d signatures now", n)
	}
}

// zero cosigns with a timestamp of zero, which is no statement about the largest head.
func (w third) zero(t *testing.T, c *Checkpoint) []byte {
	t.Helper()
	seed := envelope.Sum([]byte("witness.example/w1"))
	key := ed25519.NewKeyFromSeed(seed[:])
	sig := ed25519.Sign(key, append([]byte("cosignature/v1\ntime 0\n"), c.body()...))
	data, err := note.Sign(&note.Note{Text: string(c.body())}, fixedSigner{w.ed, append(make([]byte, timestampSize), sig...)})
	if err != nil {
		t.Fatal(err)
	}
	return data[len(c.body())+1:]
}

type fixedSigner struct {
	Witness
	sig []byte
}

func (s fixedSigner) KeyHash() uint32             { return s.verifier.KeyHash() }
func (s fixedSigner) Sign([]byte) ([]byte, error) { return s.sig, nil }

func TestParseWitness(t *testing.T) {
	seed := envelope.Sum([]byte("w"))
	keys, err := NoteKeysFromSeeds(seed[:], seed[:])
	if err != nil {
		t.Fatal(err)
	}
	good := vkey("witness.example/w", typeEd25519Cosi, keys.Ed25519)
	if w, err := ParseWitness(good); err != nil || w.Name() != "witness.example/w" || !strings.HasPrefix(good, w.ID()+"+") {
		t.Errorf("a good key: %v, %q", err, w)
	}
	for _, bad := range []string{
		"", "witness.example/w", good[:len(good)-4], good + "=", "x" + good, strings.Replace(good, "+", " +", 1),
		vkey("witness.example/w", typeEd25519, keys.Ed25519), vkey("witness.example/w", typeMLDSA44, keys.Ed25519), vkey("", typeEd25519Cosi, keys.Ed25519),
		vkey("w", 0x7f, keys.Ed25519), vkey(strings.Repeat("w", maxWitnessKey), typeEd25519Cosi, keys.Ed25519),
	} {
		if w, err := ParseWitness(bad); !errors.Is(err, ErrWitnessKey) {
			t.Errorf("%.60q: %v, %v", bad, err, w)
		}
	}
}

func TestJoin(t *testing.T) {
	c := aHead(t, 5)
	one, two := newThird(t, "one.example", 7), newThird(t, "two.example", 8)
	a, _, err := c.AddWitness(one.lines(t, c), one.ed)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := c.AddWitness(two.lines(t, c), two.ml)
	if err != nil {
		t.Fatal(err)
	}
	both, err := a.Join(b.Note)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := both.WitnessedBy(one.ed)
	_, err2 := both.WitnessedBy(two.ml)
	if err := errors.Join(err1, err2); err != nil || bytes.Count(both.Note, []byte("\n— ")) != 4 {
		t.Errorf("%v\n%s", err, both.Note)
	}
	if _, err := a.Join(aHead(t, 6).Note); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("notes of two heads were joined: %v", err)
	}
}

func FuzzParseWitness(f *testing.F) {
	seed := envelope.Sum([]byte("w"))
	keys, err := NoteKeysFromSeeds(seed[:], seed[:])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(vkey("witness.example/w", typeEd25519Cosi, keys.Ed25519))
	f.Add(vkey("witness.example/w", typeMLDSA44, keys.MLDSA44))
	f.Add("a+00000000+AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWitness(text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, w.ID()+"+") {
			t.Errorf("%q has the id %q", text, w.ID())
		}
	})
}
