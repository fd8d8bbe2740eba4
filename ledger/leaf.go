// Package ledger is the record that neither side of a link can rewrite unseen: leaves in an RFC 6962 tree, signed
// checkpoints of it, the counterparty's cosignatures on these, and the proofs that connect them.
//
// Each party keeps one log per link and epoch. Its counterparty follows it leaf by leaf (Follower), judges each
// checkpoint as a witness (Judge) and cosigns it. Formats are those of C2SP: tlog-checkpoint, tlog-cosignature and
// tlog-witness; any tool for these checks our checkpoints and proofs.
//
// It promises that a leaf has one encoding, that a checkpoint was signed with both of its log's keys, Ed25519 and
// ML-DSA-44, and that a cosigned one bears both of its witness's. It refuses anything larger than the limits that it
// names, any other encoding than the one it writes, and any tree size above MaxSize. It reads no clock, no file and no
// network; a storage hands it a tlog.HashReader.
package ledger

import (
	"bytes"
	"fmt"

	"entente/envelope"
)

// MaxLeaf bounds an encoded leaf, in bytes.
const MaxLeaf = 1024

// MaxSize bounds tree sizes, leaf indexes, times and sequence numbers: the largest integer that every JSON reader
// keeps exact, 2⁵³ − 1.
const MaxSize = 1<<53 - 1

// FirstEpoch is the epoch in which every log begins.
const FirstEpoch uint32 = 1

// Kind says what a leaf records.
type Kind string

// The kinds of leaves. Doc is the hash of the payload of the document named.
const (
	Sent         Kind = "sent"        // own header: a parcel was sent
	Got          Kind = "got"         // the peer's header: a parcel came in, taken or refused
	ReceiptOut   Kind = "receipt-out" // own receipt
	ReceiptIn    Kind = "receipt-in"  // the peer's receipt
	GrantLeaf    Kind = "grant"       // own grant of a registered parcel
	IdentityLeaf Kind = "identity"    // a new version of the own identity
	LinkLeaf     Kind = "link"        // what both parties said about the link itself
	EpochLeaf    Kind = "epoch"       // the first leaf of every epoch, and no other
)

// Leaf is one entry: at most MaxLeaf bytes of JSON, hashed as these exact bytes (RFC 6962, section 2.1).
type Leaf struct {
	V     int           `json:"v"` // 1
	Epoch uint32        `json:"epoch"`
	Index int64         `json:"index"`
	Time  int64         `json:"time"` // UTC microseconds; never runs back within a log
	Kind  Kind          `json:"kind"`
	Lane  string        `json:"lane,omitzero"` // of parcels, receipts and grants
	Seq   uint64        `json:"seq,omitzero"`  // of parcels, receipts and grants; absent where a file's parcel has none
	Doc   envelope.Hash `json:"doc"`           // hash of the payload of the document that it records
	Last  *Head         `json:"last,omitzero"` // epoch leaf after the first: own last known head
	Peer  *Head         `json:"peer,omitzero"` // epoch leaf: what the peer had cosigned last of the former epoch
}

// Head names a tree: a log's leaves 0 to Size−1 in an epoch.
type Head struct {
	Epoch uint32        `json:"epoch"`
	Size  int64         `json:"size"`
	Root  envelope.Hash `json:"root"`
}

// Encode returns the one encoding of l. It fails if l is not a valid leaf or its encoding is longer than MaxLeaf.
func (l *Leaf) Encode() ([]byte, error) {
	if err := l.validate(); err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encoding leaf: %w", err)
	}
	if len(data) > MaxLeaf {
		return nil, leafError("", "leaf of %d bytes, at most %d allowed", len(data), MaxLeaf)
	}
	return data, nil
}

// DecodeLeaf is the inverse of Encode. It refuses every other encoding of the same leaf, so that a leaf's hash names
// its meaning. Errors are *envelope.FormatError.
func DecodeLeaf(data []byte) (*Leaf, error) {
	if len(data) > MaxLeaf {
		return nil, leafError("", "leaf of %d bytes, at most %d allowed", len(data), MaxLeaf)
	}
	var l Leaf
	if err := envelope.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	again, err := l.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, leafError("", "leaf is not in its one encoding")
	}
	return &l, nil
}

func (l *Leaf) validate() error {
	switch {
	case l.V != 1:
		return leafError("/v", "version %d of a leaf is not known", l.V)
	case l.Epoch < FirstEpoch:
		return leafError("/epoch", "epochs count from %d", FirstEpoch)
	case l.Index < 0 || l.Index >= MaxSize:
		return leafError("/index", "index %d is out of range", l.Index)
	case l.Time < 0 || l.Time > MaxSize:
		return leafError("/time", "time %d is out of range", l.Time)
	case l.Seq > MaxSize:
		return leafError("/seq", "sequence %d is out of range", l.Seq)
	case (l.Kind == EpochLeaf) != (l.Index == 0):
		return leafError("/kind", "leaf 0, and no other, is an epoch leaf")
	}
	switch l.Kind {
	case Sent, Got, ReceiptOut, ReceiptIn, GrantLeaf:
		if !laneName(l.Lane) {
			return leafError("/lane", "a leaf of kind %s names its lane", l.Kind)
		}
	case IdentityLeaf, LinkLeaf, EpochLeaf:
		if l.Lane != "" || l.Seq != 0 {
			return leafError("/lane", "a leaf of kind %s has no lane and no sequence", l.Kind)
		}
	default:
		return leafError("/kind", "kind of leaf is not known")
	}
	if l.Kind == EpochLeaf {
		return l.validateEpoch()
	}
	switch {
	case l.Doc.IsZero():
		return leafError("/doc", "a leaf of kind %s names its document", l.Kind)
	case l.Last != nil:
		return leafError("/last", "only an epoch leaf names former heads")
	case l.Peer != nil:
		return leafError("/peer", "only an epoch leaf names former heads")
	}
	return nil
}

// validateEpoch checks what an epoch leaf says of the epochs before it. Its Doc may be zero: it need not record
// any document but itself.
func (l *Leaf) validateEpoch() error {
	if (l.Last != nil) != (l.Epoch > FirstEpoch) {
		return leafError("/last", "every epoch after the first, and only these, names its last known head")
	}
	for _, h := range []struct {
		where string
		head  *Head
	}{{"/last", l.Last}, {"/peer", l.Peer}} {
		if h.head == nil {
			continue
		}
		if h.head.Epoch < FirstEpoch || h.head.Epoch >= l.Epoch {
			return leafError(h.where, "head of epoch %d in the first leaf of epoch %d", h.head.Epoch, l.Epoch)
		}
		if h.head.Size < 0 || h.head.Size > MaxSize {
			return leafError(h.where, "size %d is out of range", h.head.Size)
		}
	}
	return nil
}

// laneName says whether s can be a lane's name; which lanes there are is not the ledger's to know.
func laneName(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if (s[i] < 'a' || s[i] > 'z') && s[i] != '_' {
			return false
		}
	}
	return true
}

func leafError(where, format string, args ...any) error {
	return &envelope.FormatError{What: fmt.Sprintf(format, args...), Where: where}
}
