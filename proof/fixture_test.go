package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/handling"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	second    = int64(1_000_000)
	morning   = int64(1_793_534_400) * second // 2026-11-01 12:00:00 UTC
	cosignLag = 5
)

// side is one party of the story: its keys, its identity, its log of the link.
type side struct {
	keys   *envelopetest.Party
	chain  *party.Chain
	name   string
	leaves [][]byte
	hashes [][]tlog.Hash
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newSide(t testing.TB, name, title string) *side {
	t.Helper()
	s := &side{keys: envelopetest.NewParty(name, envelope.INT1()), name: name}
	scheme, _ := envelope.Default().Scheme("ed25519")
	recovery := must[envelope.Signer](t)(scheme.FromSeed(envelopetest.Seed(name + " recovery")))
	tls := ed25519.NewKeyFromSeed(envelopetest.Seed(name + " transport"))
	id := party.Identity{
		V: 1, Version: 1,
		Names:      map[string]string{"en": title},
		Authority:  "Ministry of the Interior",
		KeyStorage: "software",
		Suites:     s.keys.Keys,
		Transport:  must[[]byte](t)(x509.MarshalPKIXPublicKey(tls.Public())),
		Log:        must[party.NoteKeys](t)(ledger.NoteKeysFromSeeds(s.seed("log"), s.seed("log pq"))),
		Witness:    must[party.NoteKeys](t)(ledger.NoteKeysFromSeeds(s.seed("witness"), s.seed("witness pq"))),
		Recovery:   party.Recovery{Need: 1, Keys: []envelope.PublicKey{recovery.Public()}},
		NotBefore:  morning - 1000*second, NotAfter: morning + 86_400*365*second,
	}
	e := must[*envelope.Envelope](t)(party.Create(id, s.keys.Signers...))
	s.chain = must[*party.Chain](t)(party.Verify(envelope.Default(), [][]byte{must[[]byte](t)(e.Encode())}))
	return s
}

func (s *side) seed(what string) []byte { return envelopetest.Seed(s.name + " " + what) }

// renew adds a version of the identity with other log and witness keys, and perhaps a declared compromise.
func (s *side) renew(t testing.TB, since *int64) {
	t.Helper()
	id := *s.chain.Latest()
	id.Log = must[party.NoteKeys](t)(ledger.NoteKeysFromSeeds(s.seed("log 2"), s.seed("log pq 2")))
	id.Witness = must[party.NoteKeys](t)(ledger.NoteKeysFromSeeds(s.seed("witness 2"), s.seed("witness pq 2")))
	id.NotBefore = morning + 3600*second
	id.CompromiseSince = since
	e := must[*envelope.Envelope](t)(s.chain.Succeed(envelope.Default(), id, s.keys.Signers...))
	s.chain = must[*party.Chain](t)(s.chain.Append(envelope.Default(), must[[]byte](t)(e.Encode())))
}

func (s *side) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		row, offset := ledger.HashPlace(index)
		out[i] = s.hashes[row][offset]
	}
	return out, nil
}

// enter appends a leaf at the next index.
func (s *side) enter(t testing.TB, l ledger.Leaf) int64 {
	t.Helper()
	l.V, l.Epoch, l.Index = 1, ledger.FirstEpoch, int64(len(s.leaves))
	data := must[[]byte](t)(l.Encode())
	s.hashes = append(s.hashes, must[[]tlog.Hash](t)(ledger.AppendHashes(l.Index, data, s)))
	s.leaves = append(s.leaves, data)
	return l.Index
}

// checkpoint signs the whole log.
func (s *side) checkpoint(t testing.TB, link envelope.Hash) *ledger.Checkpoint {
	t.Helper()
	origin := ledger.Origin(link, s.chain.ID, ledger.FirstEpoch)
	signers, err := ledger.LogSigners(origin, s.seed("log"), s.seed("log pq"))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(s.leaves))
	root := must[envelope.Hash](t)(ledger.TreeRoot(size, s))
	return must[*ledger.Checkpoint](t)(ledger.SignCheckpoint(origin, size, root, signers...))
}

// cosign is s as the witness of another's log.
func (s *side) cosign(t testing.TB, c *ledger.Checkpoint) *ledger.Checkpoint {
	t.Helper()
	name := ledger.WitnessName(s.chain.ID)
	signers, err := ledger.WitnessSigners(name, s.seed("witness"), s.seed("witness pq"), func() int64 { return morning/second + 60 + cosignLag })
	if err != nil {
		t.Fatal(err)
	}
	lines := must[[]byte](t)(ledger.Cosign(c, signers...))
	cosigned, _, err := ledger.AddCosignatures(c, lines, name, s.chain.Versions[0].Witness)
	if err != nil {
		t.Fatal(err)
	}
	return cosigned
}

// entry proves a leaf of s under a checkpoint of its whole log.
func (s *side) entry(t testing.TB, index int64, c *ledger.Checkpoint) Entry {
	t.Helper()
	return NewEntry(s.leaves[index], must[[]tlog.Hash](t)(ledger.ProveInclusion(c.Size, index, s)), string(c.Note))
}

func (s *side) sign(t testing.TB, payloadType string, payload []byte) []byte {
	t.Helper()
	e := must[*envelope.Envelope](t)(envelope.Sign(payloadType, payload, s.keys.Signers...))
	return must[[]byte](t)(e.Encode())
}

// story is one exchange: Arvenia asks, Kestria's node receipts.
type story struct {
	arvenia, kestria *side
	link             envelope.Hash
	content          *statement.Content
	header           parcel.Header
	headerPayload    []byte
	received, opened parcel.Receipt
	file             *File
}

// plot changes what is told.
type plot struct {
	link    string // seed of the link's id
	body    string
	text    func(*statement.Text)
	header  func(*parcel.Header)
	receipt func(*parcel.Receipt) // both
	opened  func(*parcel.Receipt)
	sent    func(*ledger.Leaf)
}

func tell(t testing.TB, p plot) *story {
	t.Helper()
	if p.link == "" {
		p.link = "link of Arvenia and Kestria"
	}
	if p.body == "" {
		p.body = "Please preserve the logs of the host named in the annex."
	}
	s := &story{
		arvenia: newSide(t, "arvenia", "Republic of Arvenia"),
		kestria: newSide(t, "kestria", "Kingdom of Kestria"),
		link:    envelope.Sum([]byte(p.link)),
	}
	for _, side := range []*side{s.arvenia, s.kestria} {
		side.enter(t, ledger.Leaf{Kind: ledger.EpochLeaf, Time: morning})
		for i := range 3 {
			side.enter(t, ledger.Leaf{Kind: ledger.LinkLeaf, Time: morning, Doc: envelope.Sum(fmt.Appendf(nil, "link statement %d", i))})
		}
	}
	s.compose(t, p)
	s.send(t, p)
	s.receive(t, p)
	s.prove(t)
	return s
}

func (s *story) compose(t testing.TB, p plot) {
	t.Helper()
	text := statement.Text{
		Link: s.link, From: s.arvenia.chain.ID, To: s.kestria.chain.ID, Lane: statement.Assistance, Kind: "message",
		Edition: envelope.Sum([]byte("rules")), Authored: morning, Zone: "UTC", Urgency: "urgent",
		Marking: handling.Marking{TLP: "AMBER"},
	}
	if p.text != nil {
		p.text(&text)
	}
	annex := statement.File{
		SHA256: envelope.Sum([]byte("annex")), Size: 5, Name: "annex.pdf", Media: "application/pdf",
		Salt: statement.NewSalt(), Parcel: envelope.NewID(),
	}
	content, _, err := statement.Compose(text, statement.MessageBody{Subject: "Logs", Language: "en", Text: p.body}, []statement.File{annex})
	if err != nil {
		t.Fatal(err)
	}
	s.content = content
}

func (s *story) send(t testing.TB, p plot) {
	t.Helper()
	s.header = parcel.Header{
		V: 1, ID: envelope.NewID(), Link: s.link, From: s.arvenia.chain.ID, To: s.kestria.chain.ID, Identity: 1, Recipient: 1,
		Epoch: ledger.FirstEpoch, Lane: statement.Assistance, Seq: 1, Index: int64(len(s.arvenia.leaves)), Seen: &parcel.Seen{Epoch: 1},
		Text: s.content.Commitment(), Created: morning, Expires: morning + 86_400*second, Suites: []string{envelope.SuiteINT1},
		Layers: []envelope.Layer{{Suite: envelope.SuiteINT1, DEM: envelope.DEMFloe1M, Hdr: []byte("hdr"), Stanza: []byte("stanza")}},
		Length: 1000, Segments: 1, Root: envelope.Sum([]byte("sealed")), Padding: parcel.PaddingNone,
	}
	if p.header != nil {
		p.header(&s.header)
	}
	s.headerPayload = must[[]byte](t)(s.header.Encode())
	leaf := ledger.Leaf{Kind: ledger.Sent, Time: morning + second, Lane: string(s.header.Lane), Seq: s.header.Seq, Doc: envelope.Sum(s.headerPayload)}
	if p.sent != nil {
		p.sent(&leaf)
	}
	s.arvenia.enter(t, leaf)
}

func (s *story) receive(t testing.TB, p plot) {
	t.Helper()
	h := &s.header
	got := ledger.Leaf{Kind: ledger.Got, Time: morning + 2*second, Lane: string(h.Lane), Seq: h.Seq, Doc: envelope.Sum(s.headerPayload)}
	index := s.kestria.enter(t, got)
	s.received = parcel.Receipt{
		V: 1, Kind: parcel.Received, Link: h.Link, From: s.kestria.chain.ID, To: h.From, Header: envelope.Sum(s.headerPayload), Parcel: h.ID,
		Root: h.Root, Identity: 1, Epoch: h.Epoch, Lane: h.Lane, Seq: h.Seq, ContiguousTo: h.Seq, At: got.Time,
		Log: parcel.Position{Epoch: ledger.FirstEpoch, Index: index},
	}
	if p.receipt != nil {
		p.receipt(&s.received)
	}
	s.opened = s.received
	s.opened.Kind, s.opened.At = parcel.Opened, got.Time+second
	if p.opened != nil {
		p.opened(&s.opened)
	}
	for _, r := range []*parcel.Receipt{&s.received, &s.opened} {
		payload := must[[]byte](t)(r.Encode())
		s.kestria.enter(t, ledger.Leaf{Kind: ledger.ReceiptOut, Time: r.At, Lane: string(r.Lane), Seq: r.Seq, Doc: envelope.Sum(payload)})
	}
}

// prove makes the file from what both logs hold, each under one cosigned checkpoint.
func (s *story) prove(t testing.TB) {
	t.Helper()
	a, k := s.arvenia, s.kestria
	headA := k.cosign(t, a.checkpoint(t, s.link))
	headK := a.cosign(t, k.checkpoint(t, s.link))
	got := k.entry(t, 4, headK)
	s.file = &File{
		V: 1,
		Statement: Statement{
			Commitment: s.content.Commitment(), Text: s.content.Text, TextSalt: &s.content.TextSalt,
			Body: s.content.Body, BodySalt: &s.content.BodySalt, Files: s.content.Files,
		},
		Sender: a.chain.Envelopes, Recipient: k.chain.Envelopes,
		Header: Record{a.sign(t, parcel.HeaderType, s.headerPayload), a.entry(t, 4, headA)},
		Receipts: []Acknowledge{
			{k.sign(t, parcel.ReceiptType, must[[]byte](t)(s.received.Encode())), k.entry(t, 5, headK), &got},
			{k.sign(t, parcel.ReceiptType, must[[]byte](t)(s.opened.Encode())), k.entry(t, 6, headK), nil},
		},
	}
}

// copyFile is a deep copy: what a table does to it leaves the story's file alone.
func copyFile(t testing.TB, f *File) *File {
	t.Helper()
	return must[*File](t)(Decode(must[[]byte](t)(f.Encode())))
}

// flip changes one byte of b.
func flip(b []byte, at int) []byte {
	out := bytes.Clone(b)
	out[at] ^= 1
	return out
}
