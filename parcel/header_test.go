package parcel_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"entente/envelope"
	"entente/parcel"
	"entente/statement"
)

// statementHeader, fileHeader and registeredHeader are one valid header of each sort.
func statementHeader() parcel.Header { return aHeader() }

func laterHeader() parcel.Header {
	h, prev := aHeader(), someHash("prev")
	h.Seq, h.Prev = 2, &prev
	return h
}

func fileHeader() parcel.Header {
	h := aHeader()
	h.Seq, h.Prev, h.Seen, h.File, h.Padding = 0, nil, nil, &parcel.FileRef{Position: 3}, parcel.PaddingNone
	return h
}

func registeredHeader() parcel.Header {
	h := aHeader()
	h.Registered, h.Layers[0].Stanza = true, nil
	return h
}

func twoLayers() parcel.Header {
	h := aHeader()
	h.Suites, h.Layers = []string{"INT-1", "TEST-2"}, []envelope.Layer{aLayer("INT-1"), aLayer("TEST-2")}
	return h
}

func TestHeader(t *testing.T) {
	for name, make := range map[string]func() parcel.Header{
		"statement": statementHeader, "later": laterHeader, "file": fileHeader, "registered": registeredHeader, "two layers": twoLayers,
	} {
		h := make()
		data := encode(t, &h)
		got, err := parcel.DecodeHeader(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(h, *got); diff != "" {
			t.Errorf("%s changed on the way:\n%s", name, diff)
		}
	}
}

func TestHeaderRefusals(t *testing.T) {
	zero := envelope.Hash{}
	for _, c := range []struct {
		name  string
		of    func() parcel.Header
		spoil func(*parcel.Header)
		where string
	}{
		{"version", statementHeader, func(h *parcel.Header) { h.V = 2 }, "/v"},
		{"no id", statementHeader, func(h *parcel.Header) { h.ID = envelope.ID{} }, "/id"},
		{"no link", statementHeader, func(h *parcel.Header) { h.Link = zero }, "/link"},
		{"to itself", statementHeader, func(h *parcel.Header) { h.To = h.From }, "/to"},
		{"no identity", statementHeader, func(h *parcel.Header) { h.Identity = 0 }, "/identity"},
		{"no recipient's version", statementHeader, func(h *parcel.Header) { h.Recipient = -1 }, "/recipient"},
		{"no lane", statementHeader, func(h *parcel.Header) { h.Lane = "" }, "/lane"},
		{"no sequence", statementHeader, func(h *parcel.Header) { h.Seq = 0 }, "/seq"},
		{"sequence over 2^53", laterHeader, func(h *parcel.Header) { h.Seq = 1 << 53 }, "/seq"},
		{"first with a predecessor", laterHeader, func(h *parcel.Header) { h.Seq = 1 }, "/prev"},
		{"later without one", laterHeader, func(h *parcel.Header) { h.Prev = nil }, "/prev"},
		{"later with none", laterHeader, func(h *parcel.Header) { h.Prev = &zero }, "/prev"},
		{"no seen", statementHeader, func(h *parcel.Header) { h.Seen = nil }, "/seen"},
		{"seen over 2^53", statementHeader, func(h *parcel.Header) { h.Seen.Seq = 1 << 53 }, "/seen/seq"},
		{"no index", statementHeader, func(h *parcel.Header) { h.Index = -1 }, "/index"},
		{"no text", statementHeader, func(h *parcel.Header) { h.Text = zero }, "/text"},
		{"no root", statementHeader, func(h *parcel.Header) { h.Root = zero }, "/root"},
		{"never made", statementHeader, func(h *parcel.Header) { h.Created = 0 }, "/created"},
		{"expires when made", statementHeader, func(h *parcel.Header) { h.Expires = h.Created }, "/expires"},
		{"expires after 2255", statementHeader, func(h *parcel.Header) { h.Expires = 1 << 53 }, "/expires"},
		{"segment more", statementHeader, func(h *parcel.Header) { h.Segments++ }, "/segments"},
		{"segment less", statementHeader, func(h *parcel.Header) { h.Segments-- }, "/segments"},
		{"empty", statementHeader, func(h *parcel.Header) { h.Length, h.Segments = 0, 0 }, "/length"},
		{"negative", statementHeader, func(h *parcel.Header) { h.Length, h.Segments = -1, 0 }, "/length"},
		{"content of 4 MiB", statementHeader, func(h *parcel.Header) { h.Length, h.Segments = 4<<20, 4 }, "/length"},
		{"over everything", fileHeader, func(h *parcel.Header) { h.Length = 1 << 62; h.Segments = 1 << 42 }, "/length"},
		{"unknown padding", statementHeader, func(h *parcel.Header) { h.Padding = "p2" }, "/padding"},
		{"padded file", fileHeader, func(h *parcel.Header) { h.Padding = parcel.PaddingP1 }, "/padding"},
		{"file with a sequence", fileHeader, func(h *parcel.Header) { h.Seq = 1 }, "/seq"},
		{"file with a predecessor", fileHeader, func(h *parcel.Header) { h.Prev = &h.Root }, "/prev"},
		{"file with a seen", fileHeader, func(h *parcel.Header) { h.Seen = &parcel.Seen{} }, "/seen"},
		{"registered file", fileHeader, func(h *parcel.Header) { h.Registered, h.Layers[0].Stanza = true, nil }, "/registered"},
		{"file before the first", fileHeader, func(h *parcel.Header) { h.File.Position = -1 }, "/file/position"},
		{"file after the last", fileHeader, func(h *parcel.Header) { h.File.Position = statement.MaxFiles }, "/file/position"},
		{"no layer", statementHeader, func(h *parcel.Header) { h.Layers, h.Suites = nil, nil }, "/layers"},
		{"suites of no layers", statementHeader, func(h *parcel.Header) { h.Suites = append(h.Suites, "TEST-2") }, "/suites"},
		{"layers of no suites", twoLayers, func(h *parcel.Header) { h.Suites = h.Suites[:1] }, "/suites"},
		{"suites in another order", twoLayers, func(h *parcel.Header) { h.Suites[0], h.Suites[1] = h.Suites[1], h.Suites[0] }, "/suites/0"},
		{"one suite twice", twoLayers, func(h *parcel.Header) { h.Suites[1], h.Layers[1].Suite = "INT-1", "INT-1" }, "/suites/1"},
		{"no content encryption", statementHeader, func(h *parcel.Header) { h.Layers[0].DEM = "" }, "/layers/0/dem"},
		{"no FLOE header", statementHeader, func(h *parcel.Header) { h.Layers[0].Hdr = nil }, "/layers/0/hdr"},
		{"no stanza", statementHeader, func(h *parcel.Header) { h.Layers[0].Stanza = nil }, "/layers/0/stanza"},
		{"one stanza of two", twoLayers, func(h *parcel.Header) { h.Layers[1].Stanza = nil }, "/layers/1/stanza"},
		{"too long a stanza", statementHeader, func(h *parcel.Header) { h.Layers[0].Stanza = make([]byte, 4097) }, "/layers/0/stanza"},
		{"registered with a stanza", registeredHeader, func(h *parcel.Header) { h.Layers[0].Stanza = []byte{1} }, "/layers/0/stanza"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.of()
			c.spoil(&h)
			_, err := h.Encode()
			wantRefusal(t, err, c.where)
			if data, err := envelope.Marshal(&h); err == nil {
				if _, err := parcel.DecodeHeader(data); err == nil {
					t.Error("what can't be encoded can be decoded")
				}
			}
		})
	}
}

func TestReceiptRefusals(t *testing.T) {
	zero := envelope.Hash{}
	good := aReceipt()
	got, err := parcel.DecodeReceipt(encode(t, &good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good, *got); diff != "" {
		t.Errorf("changed on the way:\n%s", diff)
	}
	for _, c := range []struct {
		name  string
		spoil func(*parcel.Receipt)
		where string
	}{
		{"version", func(r *parcel.Receipt) { r.V = 0 }, "/v"},
		{"kind", func(r *parcel.Receipt) { r.Kind = "read" }, "/kind"},
		{"of its own parcel", func(r *parcel.Receipt) { r.To = r.From }, "/to"},
		{"no header", func(r *parcel.Receipt) { r.Header = zero }, "/header"},
		{"no parcel", func(r *parcel.Receipt) { r.Parcel = envelope.ID{} }, "/parcel"},
		{"no root", func(r *parcel.Receipt) { r.Root = zero }, "/root"},
		{"no time", func(r *parcel.Receipt) { r.At = 0 }, "/at"},
		{"no leaf", func(r *parcel.Receipt) { r.Log.Index = -1 }, "/log/index"},
		{"negative size", func(r *parcel.Receipt) { r.PeerSize = -1 }, "/peer_size"},
		{"received, with a reason", func(r *parcel.Receipt) { r.Reason = "late" }, "/reason"},
		{"refused, without", func(r *parcel.Receipt) { r.Kind = parcel.Refused }, "/reason"},
		{"rejected, in words", func(r *parcel.Receipt) { r.Kind, r.Reason = parcel.Rejected, "It is broken" }, "/reason"},
		{"opened and stale", func(r *parcel.Receipt) { r.Kind, r.Stale = parcel.Opened, &r.Root }, "/stale"},
		{"a stale file", func(r *parcel.Receipt) { r.Seq, r.Stale = 0, &r.Root }, "/stale"},
		{"stale for nothing", func(r *parcel.Receipt) { r.Stale = &zero }, "/stale"},
		{"gap within what is contiguous", func(r *parcel.Receipt) { r.ContiguousTo = 4 }, "/gaps/0"},
		{"gap upside down", func(r *parcel.Receipt) { r.Gaps[0].To = 3 }, "/gaps/0"},
		{"gaps that touch", func(r *parcel.Receipt) { r.Gaps[1].From = 5 }, "/gaps/1"},
		{"gaps that overlap", func(r *parcel.Receipt) { r.Gaps[0].To = 7 }, "/gaps/1"},
		{"gap that holds the parcel", func(r *parcel.Receipt) { r.Gaps[1].To = 9 }, "/gaps/1"},
		{"gap without end", func(r *parcel.Receipt) { r.Gaps[1].To = 1<<64 - 1 }, "/gaps/1"},
		{"too many gaps", func(r *parcel.Receipt) { r.Gaps = make([]parcel.Gap, parcel.MaxGaps+1) }, "/gaps"},
		{"sequence over 2^53", func(r *parcel.Receipt) { r.Seq = 1 << 53 }, "/seq"},
		{"contiguous over 2^53", func(r *parcel.Receipt) { r.ContiguousTo = 1 << 53 }, "/contiguous_to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := aReceipt()
			c.spoil(&r)
			_, err := r.Encode()
			wantRefusal(t, err, c.where)
		})
	}
	stale := aReceipt()
	stale.Stale = &stale.Root
	encode(t, &stale)
	refused := aReceipt()
	refused.Kind, refused.Reason = parcel.Refused, "too_large"
	encode(t, &refused)
}

func TestGrantRefusals(t *testing.T) {
	good := aGrant()
	got, err := parcel.DecodeGrant(encode(t, &good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(good, *got); diff != "" {
		t.Errorf("changed on the way:\n%s", diff)
	}
	for _, c := range []struct {
		name  string
		spoil func(*parcel.Grant)
		where string
	}{
		{"version", func(g *parcel.Grant) { g.V = 0 }, "/v"},
		{"no header", func(g *parcel.Grant) { g.Header = envelope.Hash{} }, "/header"},
		{"no receipt", func(g *parcel.Grant) { g.Receipt = envelope.Hash{} }, "/receipt"},
		{"no stanza", func(g *parcel.Grant) { g.Stanzas = nil }, "/stanzas"},
		{"empty stanza", func(g *parcel.Grant) { g.Stanzas = [][]byte{nil} }, "/stanzas/0"},
		{"no predecessor", func(g *parcel.Grant) { g.Prev = nil }, "/prev"},
		{"no index", func(g *parcel.Grant) { g.Index = -1 }, "/index"},
		{"no time", func(g *parcel.Grant) { g.Created = -5 }, "/created"},
		{"seen over 2^53", func(g *parcel.Grant) { g.Seen.Seq = 1 << 60 }, "/seen/seq"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := aGrant()
			c.spoil(&g)
			_, err := g.Encode()
			wantRefusal(t, err, c.where)
		})
	}
}

// No document passes for one of another type: neither by its bytes, nor by its signature.
func TestTypeConfusion(t *testing.T) {
	w := newWorld(envelope.INT1())
	h, r, g := aHeader(), aReceipt(), aGrant()
	content, _, err := statement.Compose(aText(), statement.EmptyBody{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	documents := []struct {
		name, payloadType string
		payload           []byte
		decode            func([]byte) error
	}{
		{"header", parcel.HeaderType, encode(t, &h), func(b []byte) error { _, err := parcel.DecodeHeader(b); return err }},
		{"receipt", parcel.ReceiptType, encode(t, &r), func(b []byte) error { _, err := parcel.DecodeReceipt(b); return err }},
		{"grant", parcel.GrantType, encode(t, &g), func(b []byte) error { _, err := parcel.DecodeGrant(b); return err }},
		{"text", statement.PayloadType, content.Text, func(b []byte) error { _, err := statement.DecodeText(b); return err }},
		{"content", "", encode(t, content), func(b []byte) error { _, _, _, err := statement.DecodeContent(b); return err }},
	}
	set := w.arvenia.KeySet("Arvenia")
	for _, d := range documents {
		for _, as := range documents {
			if err := as.decode(d.payload); (err == nil) != (d.name == as.name) {
				t.Errorf("a %s decoded as a %s: %v", d.name, as.name, err)
			}
			if d.payloadType == "" || as.payloadType == "" {
				continue
			}
			e, err := envelope.Sign(d.payloadType, d.payload, w.arvenia.Signers...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.registry.Verify(e, as.payloadType, set); (err == nil) != (d.name == as.name) {
				t.Errorf("a signed %s verified as a %s: %v", d.name, as.name, err)
			}
			e.PayloadType = as.payloadType
			if _, err := w.registry.Verify(e, as.payloadType, set); (err == nil) != (d.name == as.name) {
				t.Errorf("a signed %s renamed to %s: %v", d.name, as.name, err)
			}
		}
	}
}
