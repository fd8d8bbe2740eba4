package proof

import (
	"testing"

	"entente/envelope"
	"entente/ledger"
	"entente/parcel"
)

// granted is the proof of a registered statement: its parcel's receipt, its grant, and the grant's receipts. change may bend what
// the sender signs.
func granted(t *testing.T, change func(*parcel.Grant), leaf func(*ledger.Leaf)) *File {
	t.Helper()
	s := tell(t, plot{header: func(h *parcel.Header) { h.Registered, h.Layers[0].Stanza = true, nil }})
	a, k := s.arvenia, s.kestria
	received := must[[]byte](t)(s.received.Encode())
	prev := envelope.Sum(s.headerPayload)
	g := parcel.Grant{V: 1, Link: s.link, From: s.header.From, To: s.header.To, Identity: 1, Epoch: s.header.Epoch, Lane: s.header.Lane, Seq: 2, Prev: &prev,
		Index: int64(len(a.leaves)), Seen: parcel.Seen{Epoch: 1}, Header: prev, Receipt: envelope.Sum(received), Stanzas: [][]byte{[]byte("stanza")},
		Created: morning + 5*second}
	if change != nil {
		change(&g)
	}
	payload := must[[]byte](t)(g.Encode())
	sent := ledger.Leaf{Kind: ledger.GrantLeaf, Time: g.Created, Lane: string(g.Lane), Seq: g.Seq, Doc: envelope.Sum(payload)}
	if leaf != nil {
		leaf(&sent)
	}
	at := a.enter(t, sent)
	got := ledger.Leaf{Kind: ledger.Got, Time: morning + 6*second, Lane: string(g.Lane), Seq: g.Seq, Doc: envelope.Sum(payload)}
	arrived := k.enter(t, got)
	r := s.received
	r.Header, r.Parcel, r.Seq, r.ContiguousTo, r.At = envelope.Sum(payload), parcel.GrantID(s.header.ID), g.Seq, g.Seq, got.Time
	r.Log.Index = arrived
	o := r
	o.Kind, o.At = parcel.Opened, got.Time+second
	receipts := [][]byte{must[[]byte](t)(r.Encode()), must[[]byte](t)(o.Encode())}
	var outs []int64
	for i, data := range receipts {
		outs = append(outs, k.enter(t, ledger.Leaf{Kind: ledger.ReceiptOut, Time: got.Time + int64(i)*second, Lane: string(g.Lane), Seq: g.Seq, Doc: envelope.Sum(data)}))
	}
	headA, headK := k.cosign(t, a.checkpoint(t, s.link)), a.cosign(t, k.checkpoint(t, s.link))
	first, second := k.entry(t, 4, headK), k.entry(t, arrived, headK)
	f := s.file
	f.Grant = &Record{a.sign(t, parcel.GrantType, payload), a.entry(t, at, headA)}
	f.Receipts = []Acknowledge{
		{k.sign(t, parcel.ReceiptType, received), k.entry(t, 5, headK), &first},
		{k.sign(t, parcel.ReceiptType, receipts[0]), k.entry(t, outs[0], headK), &second},
		{k.sign(t, parcel.ReceiptType, receipts[1]), k.entry(t, outs[1], headK), nil},
	}
	return f
}

// A registered statement is proven with its grant, and a grant with the receipt that it cites.
func TestGranted(t *testing.T) {
	f := copyFile(t, granted(t, nil, nil))
	r, err := Verify(envelope.Default(), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []Code{Sent, Received, Granted, Opened, Arrived} {
		if !r.Has(code) {
			t.Errorf("it does not show %s", code)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*parcel.Grant)
		leaf   func(*ledger.Leaf)
		file   func(*File)
		part   string
		want   error
	}{
		{name: "of another header", change: func(g *parcel.Grant) { g.Header[0] ^= 1 }, part: "/grant/envelope", want: ErrMismatch},
		{name: "before its parcel", change: func(g *parcel.Grant) { g.Seq, g.Prev = 1, nil }, part: "/grant/envelope", want: ErrMismatch},
		{name: "with a layer too many", change: func(g *parcel.Grant) { g.Stanzas = append(g.Stanzas, g.Stanzas[0]) }, part: "/grant/envelope", want: ErrMismatch},
		{name: "from another", change: func(g *parcel.Grant) { g.From[0] ^= 1 }, part: "/grant/envelope", want: ErrMismatch},
		{name: "that cites another receipt", change: func(g *parcel.Grant) { g.Receipt[0] ^= 1 }, part: "/grant/envelope", want: ErrMismatch},
		{name: "of an identity that does not exist", change: func(g *parcel.Grant) { g.Identity = 2 }, part: "/grant/envelope", want: ErrIdentity},
		{name: "that names another leaf", change: func(g *parcel.Grant) { g.Index = 3 }, part: "/grant/entry/leaf", want: ErrLeaf},
		{name: "recorded as sent", leaf: func(l *ledger.Leaf) { l.Kind = ledger.Sent }, part: "/grant/entry/leaf", want: ErrLeaf},
		{name: "without the receipt that it cites", file: func(f *File) { f.Receipts = f.Receipts[1:] }, part: "/grant/envelope", want: ErrMismatch},
		{name: "left out, with its receipts", file: func(f *File) { f.Grant = nil }, part: "/receipts/1/envelope", want: ErrMismatch},
		{name: "replaced by the header", file: func(f *File) { f.Grant.Envelope = f.Header.Envelope }, part: "/grant/envelope", want: ErrType},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := granted(t, tc.change, tc.leaf)
			if tc.file != nil {
				tc.file(f)
			}
			refused(t, f, tc.part, tc.want)
		})
	}
	opened := tell(t, plot{header: func(h *parcel.Header) { h.Registered, h.Layers[0].Stanza = true, nil }}).file
	refused(t, opened, "/receipts/1/envelope", ErrMismatch) // opened before any key was released
}
