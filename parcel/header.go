package parcel

import (
	"fmt"
	"slices"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

const (
	// HeaderType is the DSSE payload type of a header.
	HeaderType = "application/vnd.entente.header+json"
	// MaxHeader bounds an encoded header payload, in bytes.
	MaxHeader = 64 << 10
	// MaxLength bounds the sealed bytes of one parcel: a file of the largest size, in every layer.
	MaxLength = statement.MaxFileSize + 1<<30

	maxStanza   = 4 << 10
	maxHdr      = 1 << 10
	maxDEM      = 64
	maxSuiteLen = 16
)

// Seen is what the author had settled of the peer's statements in a lane when the sequence was reserved.
type Seen struct {
	Epoch uint32 `json:"epoch"`
	Seq   uint64 `json:"seq"` // 0: none
}

// Header is what the author's node signs about a parcel. Its exact encoding is what leaves, receipts and the next header's prev
// refer to.
//
// There are two sorts. A statement's header has seq, seen and, after the lane's first, prev. A file's header has file in their
// place: it has its own leaf and receipts, and no place in the lane. A registered header leaves every stanza to its grant.
type Header struct {
	V          int                  `json:"v"` // 1
	ID         envelope.ID          `json:"id"`
	Link       statement.LinkID     `json:"link"`
	From       party.ID             `json:"from"`
	To         party.ID             `json:"to"`
	Identity   int                  `json:"identity"`  // version of from's identity that signs
	Recipient  int                  `json:"recipient"` // version of to's identity that it is sealed for
	Epoch      uint32               `json:"epoch"`
	Lane       statement.Lane       `json:"lane"`
	Seq        uint64               `json:"seq,omitzero"`  // from 1; absent in a file's parcel
	Prev       *envelope.Hash       `json:"prev,omitzero"` // hash of the previous header payload in this lane, absent at seq 1
	Index      int64                `json:"index"`         // own ledger leaf
	Seen       *Seen                `json:"seen,omitzero"` // of this lane; absent in a file's parcel
	File       *FileRef             `json:"file,omitzero"`
	Text       statement.Commitment `json:"text"` // of the statement (also in a file's parcel)
	Created    int64                `json:"created"`
	Expires    int64                `json:"expires"`
	Suites     []string             `json:"suites"`   // those of the layers, in their order, none twice
	Layers     []envelope.Layer     `json:"layers"`   // innermost first
	Segments   int64                `json:"segments"` // Length in segments of envelope.SegmentSize
	Length     int64                `json:"length"`   // sealed bytes
	Root       envelope.Hash        `json:"root"`
	Registered bool                 `json:"registered,omitzero"`
	Padding    string               `json:"padding"` // PaddingNone | PaddingP1
}

// FileRef is a file's position in its statement's text, from 0.
type FileRef struct {
	Position int `json:"position"`
}

// Encode validates h and returns the payload to sign.
func (h *Header) Encode() ([]byte, error) { return encode("header", h, MaxHeader) }

// DecodeHeader decodes a payload strictly and validates it.
func DecodeHeader(data []byte) (*Header, error) {
	var h Header
	if err := decode("header", data, &h, MaxHeader); err != nil {
		return nil, err
	}
	return &h, nil
}

// Context binds the sealed bytes to this header's link, id, sender and recipient.
func (h *Header) Context() envelope.Context {
	return envelope.Context{Link: h.Link, Parcel: h.ID, From: h.From, To: h.To}
}

// Validate refuses a header that is incomplete or contradicts itself.
func (h *Header) Validate() error {
	if err := checkParties(h.V, h.Link, h.From, h.To, h.Identity, h.Lane); err != nil {
		return err
	}
	switch {
	case h.ID.IsZero():
		return envelope.Refuse("id", "is zero")
	case h.Recipient < 1 || h.Recipient > maxVersion:
		return envelope.Refuse("recipient", "is not a version")
	case h.Text.IsZero():
		return envelope.Refuse("text", "is zero")
	case h.Root.IsZero():
		return envelope.Refuse("root", "is zero")
	case h.Padding != PaddingNone && h.Padding != PaddingP1:
		return envelope.Refuse("padding", "%.40q is not a padding class", h.Padding)
	case h.Length < 1 || h.Length > MaxLength:
		return envelope.Refuse("length", "is not within 1 to %d", int64(MaxLength))
	case h.Segments != segments(h.Length):
		return envelope.Refuse("segments", "are not those of the length")
	case h.Expires <= h.Created:
		return envelope.Refuse("expires", "is not after created")
	}
	if err := checkTime("created", h.Created); err != nil {
		return err
	}
	if err := checkTime("expires", h.Expires); err != nil {
		return err
	}
	if err := checkIndex("index", h.Index); err != nil {
		return err
	}
	if err := h.checkSort(); err != nil {
		return err
	}
	return h.checkLayers()
}

// segments is how many segments a sealed length makes.
func segments(length int64) int64 {
	return (length + envelope.SegmentSize - 1) / envelope.SegmentSize
}

// checkSort: a statement's header has its place in the lane, a file's has none.
func (h *Header) checkSort() error {
	if h.File == nil {
		if h.Seen == nil {
			return envelope.Refuse("seen", "is missing")
		}
		if err := checkSeen(*h.Seen); err != nil {
			return err
		}
		if h.Length > maxSealedContent {
			return envelope.Refuse("length", "is over what a statement's content can have")
		}
		return checkPlace(h.Seq, h.Prev)
	}
	switch {
	case h.File.Position < 0 || h.File.Position >= statement.MaxFiles:
		return envelope.Refuse("file/position", "is not within 0 to %d", statement.MaxFiles-1)
	case h.Seq != 0:
		return envelope.Refuse("seq", "stands in a file's header")
	case h.Prev != nil:
		return envelope.Refuse("prev", "stands in a file's header")
	case h.Seen != nil:
		return envelope.Refuse("seen", "stands in a file's header")
	case h.Registered:
		return envelope.Refuse("registered", "stands in a file's header: files of a registered statement follow its grant")
	case h.Padding != PaddingNone:
		return envelope.Refuse("padding", "stands in a file's header")
	}
	return nil
}

func (h *Header) checkLayers() error {
	if len(h.Layers) == 0 || len(h.Layers) > envelope.MaxLayers {
		return envelope.Refuse("layers", "are none or over %d", envelope.MaxLayers)
	}
	if len(h.Suites) != len(h.Layers) {
		return envelope.Refuse("suites", "are not those of the layers")
	}
	for i, l := range h.Layers {
		where := fmt.Sprintf("layers/%d", i)
		switch {
		case l.Suite == "" || len(l.Suite) > maxSuiteLen || l.Suite != h.Suites[i]:
			return envelope.Refuse(fmt.Sprintf("suites/%d", i), "is not that of the layer")
		case slices.Contains(h.Suites[:i], l.Suite):
			return envelope.Refuse(fmt.Sprintf("suites/%d", i), "stands twice")
		case l.DEM == "" || len(l.DEM) > maxDEM:
			return envelope.Refuse(where+"/dem", "is empty or over %d bytes", maxDEM)
		case len(l.Hdr) == 0 || len(l.Hdr) > maxHdr:
			return envelope.Refuse(where+"/hdr", "is missing or over %d bytes", maxHdr)
		case h.Registered && len(l.Stanza) != 0:
			return envelope.Refuse(where+"/stanza", "stands in a registered header")
		case !h.Registered && (len(l.Stanza) == 0 || len(l.Stanza) > maxStanza):
			return envelope.Refuse(where+"/stanza", "is missing or over %d bytes", maxStanza)
		}
	}
	return nil
}
