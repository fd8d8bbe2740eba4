package parcel

import (
	"encoding/binary"
	"fmt"
	"io"

	"entente/envelope"
)

// MinPart is the smallest part that SplitBundle makes, in bytes: it has room for a parcel's header, the hashes of all of its
// segments, and the largest frame after them.
const MinPart = 8 << 20

// SplitBundle copies a courier file into parts of at most max bytes, each a courier file by itself, and returns how many there are.
// A part that goes on with a parcel's segments begins with that parcel's header and hashes again, so that parts may be taken in
// any order, and one that got lost keeps nothing else back. next gives the writer of a part, counted from 1. One frame is in
// memory at a time, and what a part repeats. An error of a part's writer, and one of the file that is read, ends it.
func SplitBundle(r io.Reader, max int64, next func(part int) (io.Writer, error)) (int, error) {
	if max < MinPart {
		return 0, envelope.Refuse("max", "is under %d bytes", MinPart)
	}
	b, frames, err := ReadBundle(r)
	if err != nil {
		return 0, err
	}
	s := splitter{bundle: b, max: max, next: next}
	if err := s.begin(); err != nil {
		return 0, err
	}
	for f, err := range frames {
		if err == nil {
			err = s.take(f)
		}
		if err != nil {
			return s.parts, err
		}
	}
	return s.parts, s.end()
}

// splitter is a courier file that is being cut into parts.
type splitter struct {
	bundle Bundle
	max    int64
	next   func(part int) (io.Writer, error)

	parts  int
	w      io.Writer
	left   int64
	count  uint64
	repeat []Frame // header and hashes of the parcel whose segments come now
}

// sizeOf is how many bytes a frame takes.
func sizeOf(f Frame) int64 { return frameHead + int64(len(f.Payload)) }

func (s *splitter) begin() error {
	line, err := envelope.Marshal(s.bundle)
	if err != nil {
		return err
	}
	s.parts++
	if s.w, err = s.next(s.parts); err != nil {
		return err
	}
	head := bundleMagic + string(line) + "\n"
	s.left, s.count = s.max-int64(len(head))-frameHead-endSize, 0
	if _, err := io.WriteString(s.w, head); err != nil {
		return fmt.Errorf("writing part %d: %w", s.parts, err)
	}
	return nil
}

func (s *splitter) write(f Frame) error {
	if err := WriteFrame(s.w, f); err != nil {
		return fmt.Errorf("writing part %d: %w", s.parts, err)
	}
	s.left -= sizeOf(f)
	s.count++
	return nil
}

func (s *splitter) end() error {
	end := Frame{Kind: FrameEnd, Payload: binary.BigEndian.AppendUint64(nil, s.count)}
	if err := WriteFrame(s.w, end); err != nil {
		return fmt.Errorf("writing part %d: %w", s.parts, err)
	}
	return nil
}

// take writes a frame into the part at hand, or begins another.
func (s *splitter) take(f Frame) error {
	switch f.Kind {
	case FrameParcel:
		s.repeat = []Frame{f}
	case FrameSegmentHashes:
		s.repeat = append(s.repeat[:min(len(s.repeat), 1)], f)
	case FrameSegment:
	default:
		s.repeat = nil
	}
	if sizeOf(f) <= s.left {
		return s.write(f)
	}
	if err := s.end(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if f.Kind == FrameSegment {
		for _, again := range s.repeat {
			if err := s.write(again); err != nil {
				return err
			}
		}
	}
	if f.Kind == FrameSegmentHashes && len(s.repeat) == 2 {
		if err := s.write(s.repeat[0]); err != nil {
			return err
		}
	}
	if sizeOf(f) > s.left {
		return envelope.Refuse("max", "leaves no room for a frame of %d bytes", sizeOf(f))
	}
	return s.write(f)
}
