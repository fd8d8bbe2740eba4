package parcel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"entente/envelope"
)

// FrameKind is one byte on the wire.
type FrameKind byte

const (
	FrameParcel      FrameKind = 1  // header envelope; small content inline
	FrameSegment     FrameKind = 2  // parcel id, segment number, bytes
	FrameReceipt     FrameKind = 3  // receipt envelope
	FrameLeaves      FrameKind = 4  // ledger leaves with documents
	FrameCheckpoint  FrameKind = 5  // body of tlog-witness add-checkpoint
	FrameCosignature FrameKind = 6  // its answer: origin and size lines, then signature lines
	FrameWant        FrameKind = 7  // what is missing: segments of a parcel, documents, leaves
	FrameRefusal     FrameKind = 8  // a frame that could not be taken: code, sentence, which
	FrameGrant       FrameKind = 9  // grant envelope
	FrameIdentity    FrameKind = 10 // identity envelope
	FrameEnd         FrameKind = 11 // the last of a courier file: how many came before it

	// FrameSegmentHashes goes before the segments of a parcel: their RFC 6962 leaf hashes, so that each segment is verified as it
	// arrives, in any order.
	FrameSegmentHashes FrameKind = 12

	FrameOpening FrameKind = 13 // a new epoch of the sender's ledger
	FrameAccount FrameKind = 14 // its answer: account envelope
	FrameAsk     FrameKind = 15 // for what the peer holds of former epochs
	FrameGiven   FrameKind = 16 // its answer
)

const (
	// MaxInline is the largest sealed content that travels inside a FrameParcel.
	MaxInline = 256 << 10
	// MaxSigned bounds the encoded envelope of a header, a receipt or a grant: its payload in base64, and signatures.
	MaxSigned = 128 << 10

	frameHead = 5 // kind and length
)

// limit is the largest payload of a kind; a kind that is not known has none.
func (k FrameKind) limit() (int, bool) {
	switch k {
	case FrameParcel:
		return 4 + MaxSigned + MaxInline, true
	case FrameSegment:
		return segmentHead + envelope.SegmentSize, true
	case FrameReceipt:
		return 64 << 10, true
	case FrameLeaves:
		return 4 << 20, true
	case FrameCheckpoint, FrameGrant:
		return 128 << 10, true
	case FrameCosignature, FrameWant:
		return 64 << 10, true
	case FrameRefusal:
		return 4 << 10, true
	case FrameIdentity:
		return envelope.MaxEnvelope, true
	case FrameEnd:
		return endSize, true
	case FrameSegmentHashes:
		return 16 + 32*maxHashes, true
	case FrameOpening:
		return 256 << 10, true
	case FrameAccount:
		return envelope.MaxEnvelope, true
	case FrameAsk:
		return 64 << 10, true
	case FrameGiven:
		return maxGiven, true
	}
	return 0, false
}

// Frame is kind(1) ‖ length(4, big-endian) ‖ payload.
type Frame struct {
	Kind    FrameKind
	Payload []byte
}

func (f Frame) check() error {
	max, ok := f.Kind.limit()
	switch {
	case !ok:
		return envelope.Refuse("kind", "%d is not a kind of frame", f.Kind)
	case len(f.Payload) == 0:
		return envelope.Refuse("payload", "is empty")
	case len(f.Payload) > max:
		return envelope.Refuse("payload", "of kind %d is over %d bytes", f.Kind, max)
	}
	return nil
}

// WriteFrame writes a frame, and refuses one that FrameReader would refuse.
func WriteFrame(w io.Writer, f Frame) error {
	if err := f.check(); err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint32([]byte{byte(f.Kind)}, uint32(len(f.Payload)))
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing frame: %w", err)
	}
	if _, err := w.Write(f.Payload); err != nil {
		return fmt.Errorf("writing frame: %w", err)
	}
	return nil
}

// FrameReader reads frames, one in memory at a time. After an error it is of no more use.
type FrameReader struct{ r io.Reader }

// NewFrameReader reads from r, which should be buffered.
func NewFrameReader(r io.Reader) *FrameReader { return &FrameReader{r: r} }

// Next returns the next frame. The error is io.EOF at a clean end, between frames; a *envelope.FormatError where the bytes are
// not frames or end within one; and otherwise that of the source.
func (f *FrameReader) Next() (Frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:1]); err != nil {
		return Frame{}, err // io.EOF is the clean end
	}
	if _, err := io.ReadFull(f.r, head[1:]); err != nil {
		return Frame{}, cut(err)
	}
	kind, length := FrameKind(head[0]), int64(binary.BigEndian.Uint32(head[1:]))
	max, ok := kind.limit()
	switch {
	case !ok:
		return Frame{}, envelope.Refuse("kind", "%d is not a kind of frame", kind)
	case length == 0:
		return Frame{}, envelope.Refuse("payload", "is empty")
	case length > int64(max):
		return Frame{}, envelope.Refuse("payload", "of kind %d is over %d bytes", kind, max)
	}
	// The buffer grows with what arrives, not with what is declared.
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, f.r, length); err != nil {
		return Frame{}, cut(err)
	}
	return Frame{Kind: kind, Payload: payload.Bytes()}, nil
}

// cut turns an end within a frame into a format error.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &envelope.FormatError{What: "ends within a frame", Err: io.ErrUnexpectedEOF}
	}
	return err
}
