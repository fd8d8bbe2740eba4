package parcel_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/parcel"
	"entente/statement"
)

func TestSealAndOpen(t *testing.T) {
	big := strings.Repeat("words ", 40_000)
	for name, w := range map[string]world{"one suite": newWorld(envelope.INT1()), "two suites": layered()} {
		t.Run(name, func(t *testing.T) {
			file := make([]byte, 2*envelope.SegmentSize+77)
			rand.Read(file)
			for _, words := range []string{"short", big} {
				s := w.send(t, aText(), words, file, nil)
				if err := s.header.Validate(); err != nil {
					t.Fatalf("the header: %v", err)
				}
				got, err := s.open(w, w.kestria)
				if err != nil {
					t.Fatalf("opening: %v", err)
				}
				if diff := cmp.Diff(s.content, got); diff != "" {
					t.Errorf("content changed on the way:\n%s", diff)
				}
				for i, f := range s.files {
					if err := f.header.Validate(); err != nil {
						t.Fatalf("file %d: the header: %v", i, err)
					}
					var out bytes.Buffer
					if err := parcel.OpenFile(w.registry, &out, bytes.NewReader(f.sealed), &f.header, got.Files[i], w.kestria); err != nil {
						t.Fatalf("file %d: %v", i, err)
					}
					if !bytes.Equal(out.Bytes(), f.plain) {
						t.Errorf("file %d changed on the way", i)
					}
				}
				if _, err := s.open(w, w.morvania); err == nil {
					t.Error("a third party opened it")
				}
			}
		})
	}
}

// In two layers, both keys are needed, whichever is broken.
func TestLayersNeedEveryKey(t *testing.T) {
	w := layered()
	s := w.send(t, aText(), "words")
	for _, missing := range []string{envelope.SuiteINT1, envelopetest.SuiteTEST2} {
		if _, err := s.open(w, without{w.kestria, missing}); err == nil {
			t.Errorf("opened without the key of %s", missing)
		}
	}
	one := s
	one.header.Layers, one.header.Suites = s.header.Layers[1:], s.header.Suites[1:]
	if _, err := one.open(w, w.kestria); err == nil {
		t.Error("opened with a layer taken away")
	}
	swapped := s
	swapped.header.Layers = []envelope.Layer{s.header.Layers[1], s.header.Layers[0]}
	if _, err := swapped.open(w, w.kestria); err == nil {
		t.Error("opened with its layers swapped")
	}
}

// without is an opener that has lost one suite's key.
type without struct {
	envelope.Opener
	suite string
}

func (w without) Open(suite string, version int, info, stanza []byte) ([]byte, error) {
	if suite == w.suite {
		return nil, errors.New("key lost")
	}
	return w.Opener.Open(suite, version, info, stanza)
}

// Parts of one parcel in another are refused, also when the root is made to fit by somebody who could sign it.
func TestMixParcels(t *testing.T) {
	w := newWorld(envelope.INT1())
	a, b := w.send(t, aText(), "first words", []byte("file one")), w.send(t, aText(), "other words", []byte("file two"))
	for _, c := range []struct {
		name string
		mix  func() sent
	}{
		{"content of another", func() sent { return sent{header: a.header, sealed: b.sealed} }},
		{"content of another, root made to fit", func() sent {
			s := sent{header: a.header, sealed: b.sealed}
			reseal(&s.header, s.sealed)
			return s
		}},
		{"content and layers of another, root made to fit", func() sent {
			s := sent{header: a.header, sealed: b.sealed}
			s.header.Layers = b.header.Layers
			reseal(&s.header, s.sealed)
			return s
		}},
		{"stanza of another", func() sent {
			s := a
			s.header.Layers = slices.Clone(a.header.Layers)
			s.header.Layers[0].Stanza = b.header.Layers[0].Stanza
			return s
		}},
		{"FLOE header of another", func() sent {
			s := a
			s.header.Layers = slices.Clone(a.header.Layers)
			s.header.Layers[0].Hdr = b.header.Layers[0].Hdr
			return s
		}},
		{"another link", func() sent { s := a; s.header.Link = someHash("another link"); return s }},
		{"another sender", func() sent { s := a; s.header.From = morvania; return s }},
		{"another id", func() sent { s := a; s.header.ID = someID("another"); return s }},
		{"another statement's commitment", func() sent { s := a; s.header.Text = b.header.Text; return s }},
		{"another lane", func() sent { s := a; s.header.Lane = statement.Hotline; return s }},
		{"said to be unpadded", func() sent { s := a; s.header.Padding = parcel.PaddingNone; return s }},
		{"said to be a file", func() sent { s := a; s.header.File = &parcel.FileRef{}; return s }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := c.mix().open(w, w.kestria); err == nil || got != nil {
				t.Error("opened")
			}
		})
	}
	fileOf := func(h parcel.Header, sealed []byte, f statement.File) error {
		return parcel.OpenFile(w.registry, io.Discard, bytes.NewReader(sealed), &h, f, w.kestria)
	}
	one, two := a.files[0], b.files[0]
	lied := one.file
	lied.SHA256 = two.file.SHA256
	longer := one.file
	longer.Size++
	elsewhere := one.file
	elsewhere.Parcel = two.header.ID
	for name, err := range map[string]error{
		"another parcel's name":      fileOf(one.header, one.sealed, elsewhere),
		"another file's parcel":      fileOf(two.header, two.sealed, one.file),
		"another file's bytes":       fileOf(one.header, two.sealed, one.file),
		"another digest":             fileOf(one.header, one.sealed, lied),
		"another size":               fileOf(one.header, one.sealed, longer),
		"the statement's own parcel": fileOf(a.header, a.sealed, one.file),
	} {
		if err == nil {
			t.Errorf("opened: %s", name)
		}
	}
	if err := fileOf(one.header, one.sealed, one.file); err != nil {
		t.Errorf("the file itself: %v", err)
	}
}

// Kestria seals what Arvenia told it for a third party, who must not take it for something that it was told.
func TestSurreptitiousForward(t *testing.T) {
	w := newWorld(envelope.INT1())
	told := w.send(t, aText(), "between us")
	if _, err := told.open(w, w.kestria); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		from, to envelope.Hash
		link     envelope.Hash
		where    string
	}{
		{"as the author, on the same link", arvenia, morvania, theLink, "/content/text/to"},
		{"in its own name", kestria, morvania, theLink, "/content/text/from"},
		{"on their own link", kestria, morvania, someHash("link of Kestria and the third"), "/content/text/link"},
		{"as the author, on another link", arvenia, morvania, someHash("link of Arvenia and the third"), "/content/text/link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			forwarded := sent{header: told.header, content: told.content}
			forwarded.header.From, forwarded.header.To, forwarded.header.Link = c.from, c.to, c.link
			forwarded.seal(t, w, w.morvania.Keys)
			if err := forwarded.header.Validate(); err != nil {
				t.Fatalf("the header itself is refused, so the test shows nothing: %v", err)
			}
			got, err := forwarded.open(w, w.morvania)
			wantRefusal(t, err, c.where)
			if got != nil {
				t.Error("the content came out")
			}
		})
	}
}

// The text inside must be to whom, from whom and where the header says.
func TestInnerAddressee(t *testing.T) {
	w := newWorld(envelope.INT1())
	for _, c := range []struct {
		name  string
		spoil func(*statement.Text)
		where string
	}{
		{"to a third party", func(t *statement.Text) { t.To = morvania }, "/content/text/to"},
		{"from a third party", func(t *statement.Text) { t.From = morvania }, "/content/text/from"},
		{"from the addressee", func(t *statement.Text) { t.From, t.To = kestria, arvenia }, "/content/text/from"},
		{"on another link", func(t *statement.Text) { t.Link = someHash("another link") }, "/content/text/link"},
		{"in another lane", func(t *statement.Text) { t.Lane = statement.Hotline }, "/content/text/lane"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := aText()
			c.spoil(&text)
			got, err := w.send(t, text, "words").open(w, w.kestria)
			wantRefusal(t, err, c.where)
			if got != nil {
				t.Error("the content came out")
			}
		})
	}
	other := w.send(t, aText(), "words")
	other.header.Text = someHash("another text")
	_, err := other.open(w, w.kestria)
	wantRefusal(t, err, "/text")
}

// One changed byte anywhere: in the header it breaks every signature, in the sealed bytes the root, and where the root is made to
// fit, the encryption.
func TestTamperOneByte(t *testing.T) {
	w := layered()
	s := w.send(t, aText(), "words", []byte("a file"))
	payload := encode(t, &s.header)
	signed, err := envelope.Sign(parcel.HeaderType, payload, w.arvenia.Signers...)
	if err != nil {
		t.Fatal(err)
	}
	set := w.arvenia.KeySet("Arvenia")
	if _, err := w.registry.Verify(signed, parcel.HeaderType, set); err != nil {
		t.Fatalf("untouched: %v", err)
	}
	for at := 0; at < len(payload); at += max(1, len(payload)/64) {
		spoilt := *signed
		spoilt.Payload = bytes.Clone(payload)
		spoilt.Payload[at] ^= 1
		if _, err := w.registry.Verify(&spoilt, parcel.HeaderType, set); err == nil {
			t.Errorf("header verified with byte %d changed", at)
		}
	}
	for i := range signed.Signatures {
		spoilt := *signed
		spoilt.Signatures = slices.Clone(signed.Signatures)
		spoilt.Signatures[i].Sig = bytes.Clone(signed.Signatures[i].Sig)
		spoilt.Signatures[i].Sig[10] ^= 1
		if _, err := w.registry.Verify(&spoilt, parcel.HeaderType, set); err == nil {
			t.Errorf("header verified with signature %d changed", i)
		}
	}
	for at := 0; at < len(s.sealed); at += max(1, len(s.sealed)/64) {
		spoilt := s
		spoilt.sealed = bytes.Clone(s.sealed)
		spoilt.sealed[at] ^= 1
		got, err := spoilt.open(w, w.kestria)
		wantRefusal(t, err, "/root")
		reseal(&spoilt.header, spoilt.sealed)
		if got2, err := spoilt.open(w, w.kestria); !errors.Is(err, envelope.ErrSealed) || got != nil || got2 != nil {
			t.Errorf("byte %d changed and the root made to fit: %v", at, err)
		}
	}
	for i := range s.header.Layers {
		for name, change := range map[string]func(*envelope.Layer){
			"hdr":    func(l *envelope.Layer) { l.Hdr = bytes.Clone(l.Hdr); l.Hdr[40] ^= 1 },
			"stanza": func(l *envelope.Layer) { l.Stanza = bytes.Clone(l.Stanza); l.Stanza[len(l.Stanza)-1] ^= 1 },
		} {
			spoilt := s
			spoilt.header.Layers = slices.Clone(s.header.Layers)
			change(&spoilt.header.Layers[i])
			if _, err := spoilt.open(w, w.kestria); !errors.Is(err, envelope.ErrSealed) {
				t.Errorf("%s of layer %d changed: %v", name, i, err)
			}
		}
	}
	f := s.files[0]
	f.sealed[len(f.sealed)-1] ^= 1
	var out bytes.Buffer
	err = parcel.OpenFile(w.registry, &out, bytes.NewReader(f.sealed), &f.header, f.file, w.kestria)
	wantRefusal(t, err, "/root")
	if out.Len() != 0 {
		t.Error("bytes of a changed file came out")
	}
}

// Sealed bytes that are cut, also at the end of a segment and with a root made to fit, never open.
func TestTruncate(t *testing.T) {
	w := newWorld(envelope.INT1())
	file := make([]byte, 2*envelope.SegmentSize+1000)
	s := w.send(t, aText(), "words", file)
	for _, keep := range []int{0, 1, 16, len(s.sealed) / 2, len(s.sealed) - 1} {
		cut := s
		cut.sealed = s.sealed[:keep]
		if _, err := cut.open(w, w.kestria); err == nil {
			t.Errorf("content opened with %d of %d bytes", keep, len(s.sealed))
		}
		reseal(&cut.header, cut.sealed)
		if _, err := cut.open(w, w.kestria); err == nil {
			t.Errorf("content opened with %d of %d bytes and a root made to fit", keep, len(s.sealed))
		}
	}
	f := s.files[0]
	longer := append(bytes.Clone(f.sealed), make([]byte, 100)...)
	for _, bytesKept := range [][]byte{
		f.sealed[:envelope.SegmentSize], f.sealed[:2*envelope.SegmentSize], f.sealed[:len(f.sealed)-1],
		slices.Concat(f.sealed[envelope.SegmentSize:2*envelope.SegmentSize], f.sealed[:envelope.SegmentSize], f.sealed[2*envelope.SegmentSize:]),
		f.sealed[envelope.SegmentSize:], longer,
	} {
		h := f.header
		reseal(&h, bytesKept)
		if err := parcel.OpenFile(w.registry, io.Discard, bytes.NewReader(bytesKept), &h, f.file, w.kestria); err == nil {
			t.Errorf("file opened from %d of %d bytes", len(bytesKept), len(f.sealed))
		}
		if err := parcel.OpenFile(w.registry, io.Discard, bytes.NewReader(bytesKept), &f.header, f.file, w.kestria); err == nil && len(bytesKept) <= len(f.sealed) {
			t.Errorf("file opened from %d of %d bytes under its own header", len(bytesKept), len(f.sealed))
		}
	}
}

// A registered parcel can't be read before its grant; the grant of another does not help.
func TestRegistered(t *testing.T) {
	w := layered()
	s := w.send(t, aText(), "words")
	stanzas := make([][]byte, len(s.header.Layers))
	registered := s
	registered.header.Registered, registered.header.Layers = true, slices.Clone(s.header.Layers)
	for i := range stanzas {
		stanzas[i], registered.header.Layers[i].Stanza = s.header.Layers[i].Stanza, nil
	}
	payload := encode(t, &registered.header)
	if _, err := registered.open(w, w.kestria); err == nil {
		t.Fatal("a registered parcel was opened without its grant")
	}
	grant := aGrant()
	grant.Header, grant.Stanzas = envelope.Sum(payload), stanzas
	unlocked, err := grant.Unlock(payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parcel.OpenContent(w.registry, bytes.NewReader(s.sealed), unlocked, w.kestria); err != nil {
		t.Errorf("with its grant: %v", err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*parcel.Grant)
		where string
	}{
		{"another header", func(g *parcel.Grant) { g.Header = someHash("x") }, "/header"},
		{"another lane", func(g *parcel.Grant) { g.Lane = statement.Network }, "/header"},
		{"from the addressee", func(g *parcel.Grant) { g.From, g.To = g.To, g.From }, "/header"},
		{"another epoch", func(g *parcel.Grant) { g.Epoch = 1 }, "/header"},
		{"a stanza missing", func(g *parcel.Grant) { g.Stanzas = g.Stanzas[:1] }, "/stanzas"},
		{"before the parcel", func(g *parcel.Grant) { g.Seq = 1 }, "/seq"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := grant
			c.spoil(&g)
			_, err := g.Unlock(payload)
			wantRefusal(t, err, c.where)
		})
	}
	plain := encode(t, &s.header)
	g := grant
	g.Header = envelope.Sum(plain)
	_, err = g.Unlock(plain)
	wantRefusal(t, err, "/header")
}

// Contents of one class have one sealed length; the padding hides nothing else.
func TestPadClass(t *testing.T) {
	w := newWorld(envelope.INT1())
	length := func(n int) int64 {
		sealed, err := parcel.SealContent(w.registry, io.Discard, make([]byte, n), w.kestria.Keys, envelope.Context{})
		if err != nil {
			t.Fatal(err)
		}
		return sealed.Length
	}
	base := length(0)
	for _, c := range []struct{ smallest, largest int }{
		{0, 1<<10 - 8}, {1<<10 - 7, 2<<10 - 8}, {2<<10 - 7, 4<<10 - 8}, {32<<10 - 7, 64<<10 - 8}, {64<<10 - 7, 128<<10 - 8},
		{128<<10 - 7, 192<<10 - 8}, {960<<10 - 7, 1<<20 - 8},
	} {
		if a, b := length(c.smallest), length(c.largest); a != b {
			t.Errorf("%d and %d bytes are of one class, but have %d and %d sealed bytes", c.smallest, c.largest, a, b)
		}
		if a, b := length(c.largest), length(c.largest+1); a == b {
			t.Errorf("%d and %d bytes are of two classes, but look alike", c.largest, c.largest+1)
		}
	}
	if length(1) != base {
		t.Error("one byte shows")
	}
	if parcel.PaddingClass(1<<20-8) != parcel.PaddingP1 || parcel.PaddingClass(1<<20-7) != parcel.PaddingNone {
		t.Error("the largest class ends elsewhere than at 1 MiB")
	}

	s := w.send(t, aText(), strings.Repeat("words ", 100))
	content := encode(t, s.content)
	padded := func(n uint64, size int, spoil int) []byte {
		p := make([]byte, size)
		for i := range 8 {
			p[i] = byte(n >> (8 * (7 - i)))
		}
		copy(p[min(8, size):], content)
		if spoil > 0 {
			p[spoil] = 1
		}
		return p
	}
	n := uint64(len(content))
	size := 2 << 10
	if len(content)+8 > size || len(content)+8 <= size/2 {
		t.Fatalf("the message has %d bytes: choose another class for this test", len(content))
	}
	for _, c := range []struct {
		name  string
		plain []byte
		ok    bool
	}{
		{"as it should be", padded(n, size, 0), true},
		{"not zero at the end", padded(n, size, size-1), false},
		{"not zero at the start", padded(n, size, len(content)+8), false},
		{"a larger class", padded(n, 2*size, 0), false},
		{"no class", padded(n, len(content)+8, 0), false},
		{"longer than it is", padded(uint64(size), size, 0), false},
		{"longest", padded(1<<64-1, size, 0), false},
		{"an overflow", padded(1<<63, size, 0), false},
		{"shorter than it is", padded(n-1, size, 0), false},
		{"no prefix", []byte{1, 2, 3}, false},
		{"not padded", content, false},
	} {
		h := s.header
		var sealed bytes.Buffer
		got, err := w.registry.Seal(&sealed, bytes.NewReader(c.plain), w.kestria.Keys, h.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		fill(&h, got)
		for _, class := range []string{parcel.PaddingP1, parcel.PaddingNone} {
			h.Padding = class
			_, _, err = parcel.OpenContent(w.registry, bytes.NewReader(sealed.Bytes()), &h, w.kestria)
			if ok := c.ok && class == parcel.PaddingP1; (err == nil) != ok {
				t.Errorf("%s, class %s: %v", c.name, class, err)
			}
		}
	}
}

// Nothing of a parcel's random numbers decides anything: with the smallest ones that an author could find, or the largest, the
// same is taken, refused and opened.
func TestGroundCommitment(t *testing.T) {
	w := newWorld(envelope.INT1())
	var verdicts []string
	for _, fill := range []byte{0x00, 0x7F, 0xFF} {
		ground := func(n int) []byte { return append(bytes.Repeat([]byte{fill}, n-1), 1) }
		s := w.send(t, aText(), "words")
		s.content.TextSalt = statement.Salt(ground(32))
		s.header.ID, s.header.Text = envelope.ID(ground(16)), s.content.Commitment()
		s.seal(t, w, w.kestria.Keys)
		_, err := s.open(w, w.kestria)
		second := s.header
		second.Seq, second.Prev = 2, new(envelope.Hash(ground(32)))
		receipt := aReceipt()
		receipt.Parcel, receipt.Header, receipt.Root = s.header.ID, envelope.Hash(ground(32)), envelope.Hash(ground(32))
		verdicts = append(verdicts, fmt.Sprint(err, s.header.Validate(), second.Validate(), receipt.Validate(), receipt.Gaps, s.header.Seq < second.Seq))
	}
	if verdicts[0] != verdicts[1] || verdicts[1] != verdicts[2] || !strings.HasPrefix(verdicts[0], "<nil> <nil> <nil> <nil>") {
		t.Errorf("ids and salts decide: %q", verdicts)
	}
}
