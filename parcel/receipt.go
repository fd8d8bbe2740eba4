package parcel

import (
	"fmt"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

const (
	// ReceiptType is the DSSE payload type of a receipt.
	ReceiptType = "application/vnd.entente.receipt+json"
	// MaxReceipt bounds an encoded receipt payload, in bytes.
	MaxReceipt = 32 << 10
	// MaxGaps bounds the gaps that one receipt lists: the lowest ones.
	MaxGaps = 16
)

// ReceiptKind is what a node says of a parcel. None of them says that a person read it.
type ReceiptKind string

const (
	Received ReceiptKind = "received" // held, and in the ledger
	Refused  ReceiptKind = "refused"  // in the ledger, not held: the sequence number is consumed
	Opened   ReceiptKind = "opened"   // decrypted and verified
	Rejected ReceiptKind = "rejected" // decrypted or verified it could not be
)

// Position is a leaf in a party's own ledger of the link.
type Position struct {
	Epoch uint32 `json:"epoch"`
	Index int64  `json:"index"`
}

// Gap is a range of numbers that are missing, both ends included.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Receipt is the addressee's signed word on one parcel.
type Receipt struct {
	V            int              `json:"v"` // 1
	Kind         ReceiptKind      `json:"kind"`
	Link         statement.LinkID `json:"link"`
	From         party.ID         `json:"from"`   // who receipts
	To           party.ID         `json:"to"`     // whose parcel it is
	Header       envelope.Hash    `json:"header"` // hash of the header payload
	Parcel       envelope.ID      `json:"parcel"`
	Root         envelope.Hash    `json:"root"`
	Identity     int              `json:"identity"` // version of from's identity that signs
	Epoch        uint32           `json:"epoch"`    // the parcel's
	Lane         statement.Lane   `json:"lane"`
	Seq          uint64           `json:"seq"` // 0 for a file
	ContiguousTo uint64           `json:"contiguous_to"`
	Gaps         []Gap            `json:"gaps,omitempty"`   // above contiguous_to, ascending, at most MaxGaps
	At           int64            `json:"at"`               // time of the got leaf for received and refused; else time of this receipt
	Log          Position         `json:"log"`              // the got leaf
	Stale        *envelope.Hash   `json:"stale,omitzero"`   // received only: a receipt of the author that shows a higher seen
	Reason       string           `json:"reason,omitempty"` // code, for refused and rejected
	PeerSize     int64            `json:"peer_size"`        // size of the author's latest checkpoint that the receipting side cosigned
}

// Encode validates r and returns the payload to sign.
func (r *Receipt) Encode() ([]byte, error) { return encode("receipt", r, MaxReceipt) }

// DecodeReceipt decodes a payload strictly and validates it.
func DecodeReceipt(data []byte) (*Receipt, error) {
	var r Receipt
	if err := decode("receipt", data, &r, MaxReceipt); err != nil {
		return nil, err
	}
	return &r, nil
}

// Validate refuses a receipt that is incomplete or contradicts itself.
func (r *Receipt) Validate() error {
	if err := checkParties(r.V, r.Link, r.From, r.To, r.Identity, r.Lane); err != nil {
		return err
	}
	switch {
	case r.Header.IsZero():
		return envelope.Refuse("header", "is zero")
	case r.Parcel.IsZero():
		return envelope.Refuse("parcel", "is zero")
	case r.Root.IsZero():
		return envelope.Refuse("root", "is zero")
	case r.Seq > statement.MaxInteger:
		return envelope.Refuse("seq", "is over 2^53 − 1")
	case r.ContiguousTo > statement.MaxInteger:
		return envelope.Refuse("contiguous_to", "is over 2^53 − 1")
	}
	if err := checkTime("at", r.At); err != nil {
		return err
	}
	if err := checkIndex("log/index", r.Log.Index); err != nil {
		return err
	}
	if err := checkIndex("peer_size", r.PeerSize); err != nil {
		return err
	}
	if err := r.checkGaps(); err != nil {
		return err
	}
	return r.checkKind()
}

// checkGaps: gaps are above what is contiguous, apart from each other, and none holds the parcel itself, whose number is consumed
// whatever the receipt says.
func (r *Receipt) checkGaps() error {
	if len(r.Gaps) > MaxGaps {
		return envelope.Refuse("gaps", "are over %d", MaxGaps)
	}
	below := r.ContiguousTo
	for i, g := range r.Gaps {
		where := fmt.Sprintf("gaps/%d", i)
		switch {
		case g.From <= below || g.To < g.From || g.To > statement.MaxInteger:
			return envelope.Refuse(where, "is empty or out of order")
		case r.Seq >= g.From && r.Seq <= g.To:
			return envelope.Refuse(where, "holds the parcel's own number")
		}
		below = g.To + 1 // between two gaps there is a number that came in
	}
	return nil
}

func (r *Receipt) checkKind() error {
	switch r.Kind {
	case Received, Opened:
		if r.Reason != "" {
			return envelope.Refuse("reason", "stands in a receipt that says %s", r.Kind)
		}
	case Refused, Rejected:
		if !codePattern.MatchString(r.Reason) {
			return envelope.Refuse("reason", "%.40q is not a code", r.Reason)
		}
	default:
		return envelope.Refuse("kind", "%.40q is not a kind of receipt", string(r.Kind))
	}
	if r.Stale == nil {
		return nil
	}
	if r.Kind != Received || r.Seq == 0 || r.Stale.IsZero() {
		return envelope.Refuse("stale", "is zero, or stands elsewhere than in a statement's received receipt")
	}
	return nil
}
