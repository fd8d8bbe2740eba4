package parcel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"entente/envelope"
	"entente/statement"
)

const (
	segmentHead = 16 + 8 // parcel id and number

	maxLeaf      = 1024 // bytes, as ledger.MaxLeaf
	maxLeaves    = 2048
	maxDocuments = 2048
	maxRanges    = 256
	maxWanted    = 512
	maxSentence  = 500 // bytes
	maxCosigned  = 32 << 10
	maxHead      = 64 << 10 // as ledger.MaxNote

	// maxFrameCommas bounds the number of JSON values before any is allocated: a value more costs a comma more, and neither
	// hexadecimal nor base64 has any.
	maxFrameCommas = 8192
)

var originPattern = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,255}$`)

// ParcelFrame is the payload of FrameParcel: length(4, big-endian) ‖ header ‖ content.
type ParcelFrame struct {
	Header  []byte // encoded DSSE envelope
	Content []byte // sealed content, or empty when it follows in segments
}

// Frame makes the frame; WriteFrame refuses it if a part is over its limit.
func (p ParcelFrame) Frame() Frame {
	payload := binary.BigEndian.AppendUint32(nil, uint32(len(p.Header)))
	payload = append(payload, p.Header...)
	return Frame{Kind: FrameParcel, Payload: append(payload, p.Content...)}
}

// DecodeParcelFrame takes a FrameParcel apart. The parts share the frame's memory.
func DecodeParcelFrame(f Frame) (ParcelFrame, error) {
	if err := f.is(FrameParcel); err != nil {
		return ParcelFrame{}, err
	}
	if len(f.Payload) < 4 {
		return ParcelFrame{}, envelope.Refuse("header", "is missing")
	}
	n, rest := int64(binary.BigEndian.Uint32(f.Payload)), f.Payload[4:]
	switch {
	case n == 0 || n > MaxSigned || n > int64(len(rest)):
		return ParcelFrame{}, envelope.Refuse("header", "is empty, cut or over %d bytes", MaxSigned)
	case int64(len(rest))-n > MaxInline:
		return ParcelFrame{}, envelope.Refuse("content", "is over %d bytes", MaxInline)
	}
	return ParcelFrame{Header: rest[:n:n], Content: rest[n:]}, nil
}

// SegmentFrame is the payload of FrameSegment: parcel(16) ‖ number(8, big-endian) ‖ bytes.
type SegmentFrame struct {
	Parcel envelope.ID
	Number int64 // from 0
	Bytes  []byte
}

// Frame makes the frame.
func (s SegmentFrame) Frame() Frame {
	payload := make([]byte, 0, segmentHead+len(s.Bytes))
	payload = append(payload, s.Parcel[:]...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(s.Number))
	return Frame{Kind: FrameSegment, Payload: append(payload, s.Bytes...)}
}

// DecodeSegmentFrame takes a FrameSegment apart. The bytes share the frame's memory.
func DecodeSegmentFrame(f Frame) (SegmentFrame, error) {
	if err := f.is(FrameSegment); err != nil {
		return SegmentFrame{}, err
	}
	if len(f.Payload) <= segmentHead {
		return SegmentFrame{}, envelope.Refuse("bytes", "are missing")
	}
	s := SegmentFrame{Parcel: envelope.ID(f.Payload[:16]), Bytes: f.Payload[segmentHead:]}
	number := binary.BigEndian.Uint64(f.Payload[16:segmentHead])
	switch {
	case s.Parcel.IsZero():
		return SegmentFrame{}, envelope.Refuse("parcel", "is zero")
	case number >= uint64(segments(MaxLength)):
		return SegmentFrame{}, envelope.Refuse("number", "is over what a parcel can have")
	}
	s.Number = int64(number)
	return s, nil
}

// is checks a frame that is to be taken apart, also one that no reader has checked.
func (f Frame) is(kind FrameKind) error {
	if f.Kind != kind {
		return envelope.Refuse("kind", "is %d, not %d", f.Kind, kind)
	}
	return f.check()
}

// LeavesFrame carries leaves of the sender's own log, from index First of Epoch, with the documents that the mirror may lack.
// In a courier file, which anybody may have written, it has the signed checkpoint that ends with its last leaf.
type LeavesFrame struct {
	Epoch  uint32     `json:"epoch"`
	First  int64      `json:"first"`
	Leaves [][]byte   `json:"leaves"`
	Docs   []Document `json:"docs,omitempty"`
	Head   []byte     `json:"head,omitempty"` // a signed note of size First + the number of Leaves
}

// Document is an exact signed document that a leaf records.
type Document struct {
	Type     string `json:"type"` // header | receipt | grant | identity
	Envelope []byte `json:"envelope"`
}

// Validate bounds leaves and documents.
func (l *LeavesFrame) Validate() error {
	if len(l.Leaves) > maxLeaves || len(l.Docs) > maxDocuments || len(l.Leaves)+len(l.Docs) == 0 {
		return envelope.Refuse("leaves", "and documents are none, or too many")
	}
	for i, leaf := range l.Leaves {
		if len(leaf) == 0 || len(leaf) > maxLeaf {
			return envelope.Refuse(fmt.Sprintf("leaves/%d", i), "is empty or over %d bytes", maxLeaf)
		}
	}
	for i, d := range l.Docs {
		where, max := fmt.Sprintf("docs/%d", i), MaxSigned
		switch d.Type {
		case "header", "receipt", "grant":
		case "identity":
			max = envelope.MaxEnvelope
		default:
			return envelope.Refuse(where+"/type", "%.40q is not a document's type", d.Type)
		}
		if len(d.Envelope) == 0 || len(d.Envelope) > max {
			return envelope.Refuse(where+"/envelope", "is empty or over %d bytes", max)
		}
	}
	if len(l.Head) > maxHead {
		return envelope.Refuse("head", "is over %d bytes", maxHead)
	}
	return checkIndex("first", l.First)
}

// WantFrame asks for what is missing.
type WantFrame struct {
	Parcel   *envelope.ID    `json:"parcel,omitzero"`
	Segments []Gap           `json:"segments,omitempty"` // of Parcel; both ends included, counted from 0; none: all
	Docs     []envelope.Hash `json:"docs,omitempty"`     // payload hashes
	Epoch    uint32          `json:"epoch,omitzero"`     // of Leaves
	Leaves   *int64          `json:"leaves,omitzero"`    // send leaves from here
}

// Validate bounds what is asked for; asking for nothing is refused.
func (w *WantFrame) Validate() error {
	switch {
	case w.Parcel == nil && len(w.Segments) > 0:
		return envelope.Refuse("segments", "are of no parcel")
	case w.Parcel != nil && w.Parcel.IsZero():
		return envelope.Refuse("parcel", "is zero")
	case w.Parcel == nil && len(w.Docs) == 0 && w.Leaves == nil:
		return envelope.Refuse("", "asks for nothing")
	case len(w.Segments) > maxRanges:
		return envelope.Refuse("segments", "are over %d ranges", maxRanges)
	case len(w.Docs) > maxWanted:
		return envelope.Refuse("docs", "are over %d", maxWanted)
	case w.Leaves == nil && w.Epoch != 0:
		return envelope.Refuse("epoch", "is of no leaves")
	}
	for i, g := range w.Segments {
		if g.To < g.From || g.To >= uint64(segments(MaxLength)) || i > 0 && g.From <= w.Segments[i-1].To {
			return envelope.Refuse(fmt.Sprintf("segments/%d", i), "is empty, out of order or out of range")
		}
	}
	if w.Leaves == nil {
		return nil
	}
	return checkIndex("leaves", *w.Leaves)
}

// RefusalFrame answers a frame that could not be taken.
type RefusalFrame struct {
	Parcel   *envelope.ID `json:"parcel,omitzero"`
	Code     string       `json:"code"`
	Sentence string       `json:"sentence"` // for people, in English
	// NotBefore is set where an opening was refused because its epoch begins before the end of the former one, which is then this
	// time (UTC microseconds).
	NotBefore int64 `json:"not_before,omitzero"`
}

// Validate checks the code, and that the sentence is one line.
func (r *RefusalFrame) Validate() error {
	if !codePattern.MatchString(r.Code) {
		return envelope.Refuse("code", "%.40q is not a code", r.Code)
	}
	if r.Parcel != nil && r.Parcel.IsZero() {
		return envelope.Refuse("parcel", "is zero")
	}
	if r.NotBefore < 0 || r.NotBefore > statement.MaxInteger {
		return envelope.Refuse("not_before", "is not a time")
	}
	return envelope.Within("sentence", statement.CheckLine(r.Sentence, maxSentence))
}

// CosignatureFrame answers a checkpoint: with signature lines, or with the size that the witness holds.
type CosignatureFrame struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Lines  string `json:"lines"`
	// OldSize is set, and Lines empty, when the old size did not match (tlog-witness, status 409).
	OldSize *int64 `json:"old_size,omitzero"`
}

// Validate checks that it is one of both answers.
func (c *CosignatureFrame) Validate() error {
	switch {
	case !originPattern.MatchString(c.Origin):
		return envelope.Refuse("origin", "is not a log's origin")
	case (c.Lines == "") != (c.OldSize != nil):
		return envelope.Refuse("lines", "stand where the old size stands, or neither does")
	case len(c.Lines) > maxCosigned || !utf8.ValidString(c.Lines):
		return envelope.Refuse("lines", "are over %d bytes or not UTF-8", maxCosigned)
	case c.Lines != "" && !strings.HasSuffix(c.Lines, "\n"):
		return envelope.Refuse("lines", "do not end with a line feed")
	}
	if c.OldSize != nil {
		if err := checkIndex("old_size", *c.OldSize); err != nil {
			return err
		}
	}
	return checkIndex("size", c.Size)
}

// EncodeFrame makes a JSON frame: v is a *LeavesFrame, *WantFrame, *RefusalFrame or *CosignatureFrame, or one of these by value,
// and of the frame's kind.
func EncodeFrame(kind FrameKind, v any) (Frame, error) {
	var body payload
	switch v := v.(type) {
	case LeavesFrame:
		body = &v
	case WantFrame:
		body = &v
	case RefusalFrame:
		body = &v
	case CosignatureFrame:
		body = &v
	case OpeningFrame:
		body = &v
	case AskFrame:
		body = &v
	case GivenFrame:
		body = &v
	case payload:
		body = v
	default:
		return Frame{}, envelope.Refuse("", "%T is not a frame's payload", v)
	}
	if body.kind() != kind {
		return Frame{}, envelope.Refuse("kind", "%d has no payload of %T", kind, v)
	}
	if err := body.Validate(); err != nil {
		return Frame{}, err
	}
	data, err := envelope.Marshal(body)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Kind: kind, Payload: data}
	return f, f.check()
}

// DecodeFrame decodes a JSON frame strictly into v, a pointer to the type of its kind, and validates it.
func DecodeFrame(f Frame, kind FrameKind, v any) error {
	if err := f.is(kind); err != nil {
		return err
	}
	body, ok := v.(payload)
	if !ok || body.kind() != kind {
		return envelope.Refuse("kind", "%d has no payload of %T", kind, v)
	}
	if bytes.Count(f.Payload, []byte{','}) > maxFrameCommas {
		return envelope.Refuse("payload", "has too many values")
	}
	if err := envelope.Unmarshal(f.Payload, v); err != nil {
		return err
	}
	return body.Validate()
}

// payload is what a JSON frame may carry.
type payload interface {
	Validate() error
	kind() FrameKind
}

func (*LeavesFrame) kind() FrameKind      { return FrameLeaves }
func (*WantFrame) kind() FrameKind        { return FrameWant }
func (*RefusalFrame) kind() FrameKind     { return FrameRefusal }
func (*CosignatureFrame) kind() FrameKind { return FrameCosignature }
