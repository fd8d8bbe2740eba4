package parcel

import (
	"entente/envelope"
)

// maxHashes bounds the segments whose hashes fit in one frame: 64 Ki segments of 1 MiB, so that a parcel sent in segments
// has at most 64 GiB.
const maxHashes = 1 << 16

// SegmentHashesFrame is the payload of FrameSegmentHashes: parcel(16) ‖ the leaf hash of every segment, in order.
type SegmentHashesFrame struct {
	Parcel envelope.ID
	Leaves []envelope.Hash // whose RFC 6962 root is the header's
}

// Frame makes the frame.
func (s SegmentHashesFrame) Frame() Frame {
	payload := make([]byte, 0, 16+32*len(s.Leaves))
	payload = append(payload, s.Parcel[:]...)
	for _, leaf := range s.Leaves {
		payload = append(payload, leaf[:]...)
	}
	return Frame{Kind: FrameSegmentHashes, Payload: payload}
}

// DecodeSegmentHashesFrame takes a FrameSegmentHashes apart.
func DecodeSegmentHashesFrame(f Frame) (SegmentHashesFrame, error) {
	if err := f.is(FrameSegmentHashes); err != nil {
		return SegmentHashesFrame{}, err
	}
	if len(f.Payload) <= 16 || len(f.Payload)%32 != 16 {
		return SegmentHashesFrame{}, envelope.Refuse("hashes", "are missing or cut")
	}
	s := SegmentHashesFrame{Parcel: envelope.ID(f.Payload[:16])}
	if s.Parcel.IsZero() {
		return SegmentHashesFrame{}, envelope.Refuse("parcel", "is zero")
	}
	for rest := f.Payload[16:]; len(rest) > 0; rest = rest[32:] {
		s.Leaves = append(s.Leaves, envelope.Hash(rest[:32]))
	}
	return s, nil
}
