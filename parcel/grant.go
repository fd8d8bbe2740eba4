package parcel

import (
	"fmt"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// GrantType is the DSSE payload type of a grant.
const GrantType = "application/vnd.entente.grant+json"

// Grant releases the stanzas of a registered parcel, after its signed receipt. The statement folds at the grant's own place in the
// lane, so it has a sequence number, a predecessor and a seen of its own.
type Grant struct {
	V        int              `json:"v"` // 1
	Link     statement.LinkID `json:"link"`
	From     party.ID         `json:"from"`
	To       party.ID         `json:"to"`
	Identity int              `json:"identity"` // version of from's identity that signs
	Epoch    uint32           `json:"epoch"`
	Lane     statement.Lane   `json:"lane"`
	Seq      uint64           `json:"seq"`
	Prev     *envelope.Hash   `json:"prev,omitzero"`
	Index    int64            `json:"index"`
	Seen     Seen             `json:"seen"`
	Header   envelope.Hash    `json:"header"`  // hash of the registered header's payload
	Receipt  envelope.Hash    `json:"receipt"` // hash of the payload of its received receipt
	Stanzas  [][]byte         `json:"stanzas"` // by layer, innermost first
	Created  int64            `json:"created"`
}

// Encode validates g and returns the payload to sign.
func (g *Grant) Encode() ([]byte, error) { return encode("grant", g, MaxHeader) }

// DecodeGrant decodes a payload strictly and validates it.
func DecodeGrant(data []byte) (*Grant, error) {
	var g Grant
	if err := decode("grant", data, &g, MaxHeader); err != nil {
		return nil, err
	}
	return &g, nil
}

// Validate refuses a grant that is incomplete or contradicts itself.
func (g *Grant) Validate() error {
	if err := checkParties(g.V, g.Link, g.From, g.To, g.Identity, g.Lane); err != nil {
		return err
	}
	switch {
	case g.Header.IsZero():
		return envelope.Refuse("header", "is zero")
	case g.Receipt.IsZero():
		return envelope.Refuse("receipt", "is zero")
	case len(g.Stanzas) == 0 || len(g.Stanzas) > envelope.MaxLayers:
		return envelope.Refuse("stanzas", "are none or over %d", envelope.MaxLayers)
	}
	for i, s := range g.Stanzas {
		if len(s) == 0 || len(s) > maxStanza {
			return envelope.Refuse(fmt.Sprintf("stanzas/%d", i), "is empty or over %d bytes", maxStanza)
		}
	}
	if err := checkPlace(g.Seq, g.Prev); err != nil {
		return err
	}
	if err := checkSeen(g.Seen); err != nil {
		return err
	}
	if err := checkIndex("index", g.Index); err != nil {
		return err
	}
	return checkTime("created", g.Created)
}

// GrantID is the id of the grant of a registered parcel: a parcel has one grant, whatever it says, so that a second one is a
// second document of the same id. It is the first half of SHA-256("entente/grant/v1\x00" ‖ the parcel's id).
func GrantID(registered envelope.ID) envelope.ID {
	digest := envelope.Sum(append([]byte("entente/grant/v1\x00"), registered[:]...))
	return envelope.ID(digest[:16])
}

// At is a registered header as it stands at the grant's place of the lane, for receipts, folds and suspensions to look at: not one
// to encode, and not one to open with.
func (g *Grant) At(h *Header) *Header {
	at, seen := *h, g.Seen
	at.ID, at.Registered, at.Seen = GrantID(h.ID), false, &seen
	at.Identity, at.Seq, at.Prev, at.Index, at.Created = g.Identity, g.Seq, g.Prev, g.Index, g.Created
	return &at
}

// Unlock returns a registered header with the stanzas that g releases, for OpenContent: a header to open with, not one to encode.
// header is the header's exact encoding.
func (g *Grant) Unlock(header []byte) (*Header, error) {
	h, err := DecodeHeader(header)
	if err != nil {
		return nil, err
	}
	switch {
	case envelope.Sum(header) != g.Header:
		return nil, envelope.Refuse("header", "is another parcel's")
	case !h.Registered:
		return nil, envelope.Refuse("header", "is not a registered parcel's")
	case h.Link != g.Link || h.From != g.From || h.To != g.To || h.Epoch != g.Epoch || h.Lane != g.Lane:
		return nil, envelope.Refuse("header", "has another link, sender, recipient, epoch or lane")
	case len(h.Layers) != len(g.Stanzas):
		return nil, envelope.Refuse("stanzas", "are not those of the layers")
	case g.Seq <= h.Seq:
		return nil, envelope.Refuse("seq", "is not after the parcel's")
	}
	for i := range h.Layers {
		h.Layers[i].Stanza = g.Stanzas[i]
	}
	return h, nil
}
