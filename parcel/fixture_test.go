package parcel_test

import (
	"bytes"
	"errors"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/handling"
	"entente/parcel"
	"entente/statement"
)

var (
	arvenia  = envelope.Sum([]byte("Arvenia"))
	kestria  = envelope.Sum([]byte("Kestria"))
	morvania = envelope.Sum([]byte("a third party"))
	theLink  = envelope.Sum([]byte("the link of Arvenia and Kestria"))
)

const created = 1_790_000_000_000_000

func someHash(name string) envelope.Hash { return envelope.Sum([]byte(name)) }

func someID(name string) envelope.ID {
	h := someHash(name)
	return envelope.ID(h[:16])
}

// aHeader is a valid header of a statement of Arvenia to Kestria, of nothing that was ever sealed.
func aHeader() parcel.Header {
	return parcel.Header{
		V: 1, ID: someID("parcel"), Link: theLink, From: arvenia, To: kestria, Identity: 1, Recipient: 1, Lane: statement.Assistance,
		Seq: 1, Index: 4, Seen: &parcel.Seen{Seq: 3}, Text: someHash("text"), Created: created, Expires: created + 1,
		Suites: []string{"INT-1"}, Layers: []envelope.Layer{aLayer("INT-1")},
		Segments: 2, Length: envelope.SegmentSize + 5, Root: someHash("root"), Padding: parcel.PaddingP1,
	}
}

func aLayer(suite string) envelope.Layer {
	return envelope.Layer{Suite: suite, DEM: envelope.DEMFloe1M, Hdr: make([]byte, envelope.FLOEHeaderSize), Stanza: make([]byte, 1200)}
}

func aReceipt() parcel.Receipt {
	return parcel.Receipt{
		V: 1, Kind: parcel.Received, Link: theLink, From: kestria, To: arvenia, Header: someHash("header"), Parcel: someID("parcel"),
		Root: someHash("root"), Identity: 1, Lane: statement.Assistance, Seq: 9, ContiguousTo: 3,
		Gaps: []parcel.Gap{{From: 4, To: 4}, {From: 6, To: 8}}, At: created, Log: parcel.Position{Index: 7}, PeerSize: 12,
	}
}

func aGrant() parcel.Grant {
	prev := someHash("prev")
	return parcel.Grant{
		V: 1, Link: theLink, From: arvenia, To: kestria, Identity: 1, Lane: statement.Assistance, Seq: 2, Prev: &prev, Index: 6,
		Seen: parcel.Seen{Seq: 3}, Header: someHash("header"), Receipt: someHash("receipt"), Stanzas: [][]byte{make([]byte, 1200)}, Created: created,
	}
}

func encode(t testing.TB, v interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	data, err := v.Encode()
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return data
}

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

// world is two parties with keys of both suites, and a third.
type world struct {
	registry                   envelope.Registry
	arvenia, kestria, morvania *envelopetest.Party
}

func newWorld(suites ...envelope.Suite) world {
	return world{envelope.NewRegistry(suites...), envelopetest.NewParty("Arvenia", suites...),
		envelopetest.NewParty("Kestria", suites...), envelopetest.NewParty("a third party", suites...)}
}

func layered() world { return newWorld(envelope.INT1(), envelopetest.Suite2()) }

// sent is a sealed statement on its way.
type sent struct {
	header  parcel.Header
	sealed  []byte
	content *statement.Content
	files   []sentFile
}

type sentFile struct {
	header parcel.Header
	sealed []byte
	plain  []byte
	file   statement.File
}

func aText() statement.Text {
	return statement.Text{
		Link: theLink, From: arvenia, To: kestria, Lane: statement.Assistance, Kind: "message", Edition: someHash("edition"),
		Authored: created, Zone: "UTC", Urgency: "routine", Marking: handling.Marking{TLP: "GREEN"},
	}
}

// send seals a message with files under a header that matches it.
func (w world) send(t testing.TB, text statement.Text, words string, files ...[]byte) sent {
	t.Helper()
	var s sent
	var listed []statement.File
	for i, plain := range files {
		h := aHeader()
		h.ID, h.Seq, h.Seen, h.Padding = someID(words+string(rune('a'+i))), 0, nil, parcel.PaddingNone
		h.File = &parcel.FileRef{Position: i}
		var sealed bytes.Buffer
		got, err := parcel.SealFile(w.registry, &sealed, bytes.NewReader(plain), w.kestria.Keys, h.Context())
		if err != nil {
			t.Fatalf("sealing a file: %v", err)
		}
		fill(&h, got)
		f := statement.File{SHA256: envelope.Sum(plain), Size: int64(len(plain)), Name: "file.bin", Media: "application/octet-stream",
			Salt: statement.NewSalt(), Parcel: h.ID}
		listed = append(listed, f)
		s.files = append(s.files, sentFile{h, sealed.Bytes(), plain, f})
	}
	content, name, err := statement.Compose(text, statement.MessageBody{Subject: "S", Language: "en", Text: words}, listed)
	if err != nil {
		t.Fatalf("composing: %v", err)
	}
	s.content = content
	for i := range s.files {
		s.files[i].header.Text = name
	}
	s.header = aHeader()
	s.header.ID = someID(words)
	s.header.Text = name
	s.seal(t, w, w.kestria.Keys)
	return s
}

// seal seals the content anew under the header as it is.
func (s *sent) seal(t testing.TB, w world, to []envelope.SuiteKeys) {
	t.Helper()
	var sealed bytes.Buffer
	data := encode(t, s.content)
	s.header.Padding = parcel.PaddingClass(len(data))
	got, err := parcel.SealContent(w.registry, &sealed, data, to, s.header.Context())
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	fill(&s.header, got)
	s.sealed = sealed.Bytes()
}

func fill(h *parcel.Header, s envelope.Sealed) {
	h.Layers, h.Length, h.Segments, h.Root, h.Suites = s.Layers, s.Length, s.Segments, s.Root, nil
	for _, l := range s.Layers {
		h.Suites = append(h.Suites, l.Suite)
	}
}

// reseal makes the header say what the bytes are: what an attacker does who holds the author's key.
func reseal(h *parcel.Header, sealed []byte) {
	var tree envelope.RootBuilder
	h.Length, h.Segments = int64(len(sealed)), 0
	for at := 0; at < len(sealed); at += envelope.SegmentSize {
		tree.Add(envelope.SegmentHash(sealed[at:min(at+envelope.SegmentSize, len(sealed))]))
		h.Segments++
	}
	h.Root = tree.Root()
}

func (s sent) open(w world, o envelope.Opener) (*statement.Content, error) {
	c, _, err := parcel.OpenContent(w.registry, bytes.NewReader(s.sealed), &s.header, o)
	return c, err
}
