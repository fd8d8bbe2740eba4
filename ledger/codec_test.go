package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"entente/envelope"
	"entente/party"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

func TestLeafCodec(t *testing.T) {
	doc := envelope.Sum([]byte("document"))
	head := &Head{Epoch: 1, Size: 7, Root: doc}
	for _, l := range []Leaf{
		testLeaf(0),
		testLeaf(1),
		{V: 1, Epoch: 1, Index: 5, Kind: Got, Lane: "hotline", Doc: doc},
		{V: 1, Epoch: 1, Index: 5, Kind: IdentityLeaf, Doc: doc},
		{V: 1, Epoch: 3, Kind: EpochLeaf, Last: head, Peer: &Head{Epoch: 2, Size: 0, Root: emptyRoot()}, Doc: doc},
		{V: 1, Epoch: 1<<32 - 1, Index: MaxSize - 1, Time: MaxSize, Kind: GrantLeaf, Lane: strings.Repeat("z", 32), Seq: MaxSize, Doc: doc},
	} {
		data, err := l.Encode()
		if err != nil {
			t.Errorf("%+v: %v", l, err)
			continue
		}
		got, err := DecodeLeaf(data)
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if diff := cmp.Diff(l, *got); diff != "" {
			t.Errorf("%s: %s", data, diff)
		}
	}
}

func TestLeafRefused(t *testing.T) {
	doc := envelope.Sum([]byte("document"))
	head := func(epoch uint32) *Head { return &Head{Epoch: epoch, Size: 7, Root: doc} }
	valid := Leaf{V: 1, Epoch: 2, Index: 5, Time: 9, Kind: Sent, Lane: "hotline", Seq: 3, Doc: doc}
	first := Leaf{V: 1, Epoch: 2, Kind: EpochLeaf, Last: head(1)}
	for name, l := range map[string]Leaf{
		"version":             with(valid, func(l *Leaf) { l.V = 2 }),
		"epoch 0":             with(valid, func(l *Leaf) { l.Epoch = 0 }),
		"index below 0":       with(valid, func(l *Leaf) { l.Index = -1 }),
		"index too large":     with(valid, func(l *Leaf) { l.Index = MaxSize }),
		"time below 0":        with(valid, func(l *Leaf) { l.Time = -1 }),
		"time too large":      with(valid, func(l *Leaf) { l.Time = MaxSize + 1 }),
		"sequence too large":  with(valid, func(l *Leaf) { l.Seq = MaxSize + 1 }),
		"unknown kind":        with(valid, func(l *Leaf) { l.Kind = "note" }),
		"no lane":             with(valid, func(l *Leaf) { l.Lane = "" }),
		"lane with space":     with(valid, func(l *Leaf) { l.Lane = "hot line" }),
		"long lane":           with(valid, func(l *Leaf) { l.Lane = strings.Repeat("z", 33) }),
		"no document":         with(valid, func(l *Leaf) { l.Doc = envelope.Hash{} }),
		"sent with head":      with(valid, func(l *Leaf) { l.Last = head(1) }),
		"sent with peer":      with(valid, func(l *Leaf) { l.Peer = head(1) }),
		"sent at 0":           with(valid, func(l *Leaf) { l.Index = 0 }),
		"identity with lane":  with(valid, func(l *Leaf) { l.Kind, l.Seq = IdentityLeaf, 0 }),
		"link with sequence":  with(valid, func(l *Leaf) { l.Kind, l.Lane = LinkLeaf, "" }),
		"epoch not at 0":      with(first, func(l *Leaf) { l.Index = 1 }),
		"epoch with lane":     with(first, func(l *Leaf) { l.Lane = "control" }),
		"epoch without last":  with(first, func(l *Leaf) { l.Last = nil }),
		"first with last":     with(first, func(l *Leaf) { l.Epoch = 1 }),
		"last of same epoch":  with(first, func(l *Leaf) { l.Last = head(2) }),
		"last of epoch 0":     with(first, func(l *Leaf) { l.Last = head(0) }),
		"peer of later epoch": with(first, func(l *Leaf) { l.Peer = head(3) }),
		"last of size below 0": with(first, func(l *Leaf) {
			l.Last = &Head{Epoch: 1, Size: -1, Root: doc}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := l.Encode(); !isFormat(err) {
				t.Errorf("Encode: %v, want a *FormatError", err)
			}
			data, err := envelope.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeLeaf(data); !isFormat(err) {
				t.Errorf("DecodeLeaf(%s): %v, want a *FormatError", data, err)
			}
		})
	}

	data := string(encode(t, valid))
	for name, text := range map[string]string{
		"empty":            "",
		"unknown member":   strings.Replace(data, `"v":1`, `"v":1,"w":1`, 1),
		"duplicate member": strings.Replace(data, `"v":1`, `"v":1,"v":1`, 1),
		"case twin":        strings.Replace(data, `"v":1`, `"v":1,"V":1`, 1),
		"space":            strings.Replace(data, `"v":1`, `"v": 1`, 1),
		"other order":      strings.Replace(data, `"v":1,"epoch":2`, `"epoch":2,"v":1`, 1),
		"exponent":         strings.Replace(data, `"index":5`, `"index":5e0`, 1),
		"explicit zero":    strings.Replace(string(encode(t, testLeaf(0))), `"doc"`, `"seq":0,"doc"`, 1),
		"trailing newline": data + "\n",
		"trailing value":   data + data,
		"escaped letter":   strings.Replace(data, `"sent"`, `"sen\u0074"`, 1),
		"too long":         data + strings.Repeat(" ", MaxLeaf),
	} {
		t.Run("text/"+name, func(t *testing.T) {
			if _, err := DecodeLeaf([]byte(text)); !isFormat(err) {
				t.Errorf("DecodeLeaf(%s): %v, want a *FormatError", text, err)
			}
		})
	}
}

func with(l Leaf, change func(*Leaf)) Leaf {
	change(&l)
	return l
}

func isFormat(err error) bool {
	_, ok := errors.AsType[*envelope.FormatError](err)
	return ok
}

func TestOrigin(t *testing.T) {
	a := arvenia(t)
	link, p, epoch, err := ParseOrigin(a.origin())
	if err != nil || link != testLink() || p != a.id || epoch != FirstEpoch {
		t.Errorf("ParseOrigin(%q) = %v, %v, %d, %v", a.origin(), link, p, epoch, err)
	}
	for _, s := range []string{
		"", "entente", a.origin() + "/", a.origin() + "0x", strings.ToUpper(a.origin()),
		strings.TrimSuffix(a.origin(), "1") + "01", strings.TrimSuffix(a.origin(), "1") + "+1",
		strings.TrimSuffix(a.origin(), "1") + "0", strings.TrimSuffix(a.origin(), "1") + "4294967296",
		strings.Replace(a.origin(), "entente", "elsewhere", 1), WitnessName(a.id),
	} {
		if _, _, _, err := ParseOrigin(s); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("ParseOrigin(%q): %v, want %v", s, err, ErrCheckpoint)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 9)
	signed := a.sign(t, 9, m.root(t, 9))
	cosigned := k.cosign(t, signed)
	opened, err := OpenCheckpoint(cosigned.Note, a.origin(), a.log)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cosigned, opened); diff != "" {
		t.Error(diff)
	}
	at, err := opened.Cosigned(WitnessName(k.id), k.witness)
	if err != nil || at != testSecond {
		t.Errorf("cosigned at %d, %v; want %d", at, err, testSecond)
	}
	if _, err := signed.Cosigned(WitnessName(k.id), k.witness); !errors.Is(err, ErrCosignature) {
		t.Errorf("not cosigned: %v, want %v", err, ErrCosignature)
	}

	// A later cosignature of the same head replaces the earlier one; a third party's stands beside it.
	third := newActor(t, "a third party", 0x50)
	both := third.cosign(t, cosigned)
	lines, err := Cosign(both, k.witnessSigners(t, testSecond+60)...)
	if err != nil {
		t.Fatal(err)
	}
	again, at, err := AddCosignatures(both, lines, WitnessName(k.id), k.witness)
	if err != nil || at != testSecond+60 {
		t.Fatalf("cosigned again at %d, %v", at, err)
	}
	if n := bytes.Count(again.Note, []byte("\n— ")); n != 6 {
		t.Errorf("%d signature lines, want 6", n)
	}
	for _, w := range []struct {
		actor
		at int64
	}{{k, testSecond + 60}, {third, testSecond}} {
		if at, err := again.Cosigned(WitnessName(w.id), w.witness); err != nil || at != w.at {
			t.Errorf("cosigned at %d, %v; want %d", at, err, w.at)
		}
	}
}

func TestCheckpointRefused(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 9)
	good := string(a.sign(t, 9, m.root(t, 9)).Note)
	body, sigs, _ := strings.Cut(good, "\n\n")
	lines := strings.SplitAfter(sigs, "\n")
	root := m.root(t, 9)
	for _, tc := range []struct {
		name, note string
		want       error
	}{
		{"empty", "", ErrCheckpoint},
		{"no signatures", body + "\n\n", ErrCheckpoint},
		{"Ed25519 alone", body + "\n\n" + lines[0], ErrLogSignature},
		{"ML-DSA-44 alone", body + "\n\n" + lines[1], ErrLogSignature},
		{"another size", strings.Replace(good, "\n9\n", "\n8\n", 1), ErrLogSignature},
		{"leading zero", strings.Replace(good, "\n9\n", "\n09\n", 1), ErrCheckpoint},
		{"signed size", strings.Replace(good, "\n9\n", "\n+9\n", 1), ErrCheckpoint},
		{"size that no tree has", strings.Replace(good, "\n9\n", "\n9223372036854775807\n", 1), ErrCheckpoint},
		{"extension line", body + "\nmore\n\n" + sigs, ErrCheckpoint},
		{"short root", strings.Replace(good, base64.StdEncoding.EncodeToString(root[:]), "AAAA", 1), ErrCheckpoint},
		{"another origin", strings.Replace(good, a.origin(), k.origin(), 1), ErrOrigin},
		{"no padding in base64", strings.Replace(good, "=\n— ", "\n— ", 1), ErrCheckpoint},
		{"stray bits in base64", strings.Replace(good, lines[0], strayBits(lines[0]), 1), ErrCheckpoint},
		{"no last newline", strings.TrimSuffix(good, "\n"), ErrCheckpoint},
		{"too long", good + strings.Repeat(lines[0], MaxNote/len(lines[0])), ErrCheckpoint},
		{"damaged signature", damage(good, lines[1], 200), ErrLogSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := OpenCheckpoint([]byte(tc.note), a.origin(), a.log); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
	if _, err := OpenCheckpoint([]byte(good), a.origin(), party.NoteKeys{}); !errors.Is(err, errKey) {
		t.Errorf("no keys: %v, want %v", err, errKey)
	}
}

// strayBits writes the same signature in another way: the last character before the padding has two bits that mean nothing.
func strayBits(line string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(line) - len("x=\n")
	next := alphabet[strings.IndexByte(alphabet, line[at])+1]
	return line[:at] + string(next) + line[at+1:]
}

// damage changes one character of a signature line within a note.
func damage(note, line string, at int) string {
	c := byte('A')
	if line[at] == c {
		c = 'B'
	}
	return strings.Replace(note, line, line[:at]+string(c)+line[at+1:], 1)
}

func TestCosignatureRefused(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 9)
	c := a.sign(t, 9, m.root(t, 9))
	good, err := Cosign(c, k.witnessSigners(t, testSecond)...)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Cosign(a.sign(t, 8, m.root(t, 8)), k.witnessSigners(t, testSecond)...)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Cosign(c, a.witnessSigners(t, testSecond)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n")
	for name, tc := range map[string]struct {
		lines string
		want  error
	}{
		"none":                    {"", ErrCheckpoint},
		"Ed25519 alone":           {lines[0], ErrCosignature},
		"ML-DSA-44 alone":         {lines[1], ErrCosignature},
		"of another head":         {string(other), ErrCosignature},
		"by another witness":      {string(own), ErrCosignature},
		"damaged":                 {damage(string(good), lines[0], 120), ErrCosignature},
		"another text in between": {"\n" + string(good), ErrCheckpoint},
		"not lines":               {"x\n", ErrCheckpoint},
		"too long":                {strings.Repeat(string(good), 20), ErrCheckpoint},
	} {
		t.Run(name, func(t *testing.T) {
			before := bytes.Clone(c.Note)
			got, _, err := AddCosignatures(c, []byte(tc.lines), WitnessName(k.id), k.witness)
			if !errors.Is(err, tc.want) || got != nil {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if !bytes.Equal(c.Note, before) {
				t.Error("checkpoint changed")
			}
		})
	}
	// A note that is full already takes no more.
	full := *c
	full.Note = append(bytes.Clone(c.Note), strings.Repeat(string(lines[0]), (MaxNote-len(c.Note))/len(lines[0]))...)
	full.Note = bytes.ReplaceAll(full.Note, []byte("— entente/witness/"), []byte("— entente/another/"))
	if _, _, err := AddCosignatures(&full, good, WitnessName(k.id), k.witness); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("a full note: %v, want %v", err, ErrCheckpoint)
	}
	// The timestamp of a witness may not be missing (tlog-witness); a log's own signature has none.
	if _, err := Cosign(c, k.witnessSigners(t, 0)...); err == nil {
		t.Error("cosigned without a time")
	}
	timeless, err := LogSigners(WitnessName(k.id), seedOf(k.seed+2), seedOf(k.seed+3))
	if err != nil {
		t.Fatal(err)
	}
	zero, err := Cosign(c, timeless[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := AddCosignatures(c, append([]byte(lines[0]), zero...), WitnessName(k.id), k.witness); !errors.Is(err, ErrCosignature) {
		t.Errorf("timestamp zero: %v, want %v", err, ErrCosignature)
	}
}

func TestAddCheckpointCodec(t *testing.T) {
	a := arvenia(t)
	m := testLog(t, 20)
	c := a.sign(t, 20, m.root(t, 20))
	for _, req := range []AddCheckpoint{
		{0, nil, c.Note},
		{11, m.proof(t, 11, 20), c.Note},
		{MaxSize, make([]tlog.Hash, MaxProof), []byte("any note")},
	} {
		got, err := DecodeAddCheckpoint(req.Encode())
		if err != nil {
			t.Errorf("old %d: %v", req.OldSize, err)
			continue
		}
		if diff := cmp.Diff(req, *got); diff != "" {
			t.Error(diff)
		}
	}
	good := string(AddCheckpoint{11, m.proof(t, 11, 20), c.Note}.Encode())
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
	for name, text := range map[string]string{
		"empty":               "",
		"no old line":         strings.TrimPrefix(good, "old 11\n"),
		"leading zero":        strings.Replace(good, "old 11", "old 011", 1),
		"below zero":          strings.Replace(good, "old 11", "old -1", 1),
		"too large":           strings.Replace(good, "old 11", "old 9007199254740992", 1),
		"two spaces":          strings.Replace(good, "old 11", "old  11", 1),
		"carriage return":     strings.Replace(good, "old 11\n", "old 11\r\n", 1),
		"64 proof lines":      "old 11\n" + strings.Repeat(hash, MaxProof+1) + "\nnote",
		"short hash":          "old 11\nAAAA\n\nnote",
		"stray bits":          "old 11\n" + strings.Repeat("A", 42) + "B=\n\nnote",
		"no empty line":       "old 11\n" + hash,
		"no checkpoint":       "old 11\n" + hash + "\n",
		"too long checkpoint": "old 11\n\n" + strings.Repeat("x", MaxNote+1),
		"too long":            good + strings.Repeat("x", MaxAddCheckpoint),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeAddCheckpoint([]byte(text)); !isFormat(err) {
				t.Errorf("error %v, want a *FormatError", err)
			}
		})
	}
}
