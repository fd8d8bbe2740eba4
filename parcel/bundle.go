package parcel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"iter"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

const (
	bundleMagic   = "ENTENTE-COURIER/1\n"
	maxBundleLine = 1 << 10
	endSize       = 8
)

// Bundle is the first line of a courier file: between whom it goes. It is a label, not evidence: what is inside is signed.
type Bundle struct {
	Link statement.LinkID `json:"link"`
	From party.ID         `json:"from"`
	To   party.ID         `json:"to"`
}

// Validate checks that it names a link and two parties.
func (b Bundle) Validate() error {
	if b.Link.IsZero() || b.From.IsZero() || b.To.IsZero() || b.From == b.To {
		return envelope.Refuse("", "a courier file has a link and two parties")
	}
	return nil
}

// WriteBundle writes a courier file: the line "ENTENTE-COURIER/1", one line of JSON with link, from and to, the frames, and a
// FrameEnd with their number, so that a file cut between two frames is not taken for a whole one. An error that frames yields ends
// it.
func WriteBundle(w io.Writer, b Bundle, frames iter.Seq2[Frame, error]) error {
	if err := b.Validate(); err != nil {
		return err
	}
	line, err := envelope.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, bundleMagic+string(line)+"\n"); err != nil {
		return err
	}
	var count uint64
	for f, err := range frames {
		if err != nil {
			return err
		}
		if f.Kind == FrameEnd {
			return envelope.Refuse("kind", "the end is written by itself")
		}
		if err := WriteFrame(w, f); err != nil {
			return err
		}
		count++
	}
	return WriteFrame(w, Frame{Kind: FrameEnd, Payload: binary.BigEndian.AppendUint64(nil, count)})
}

// ReadBundle reads a courier file's lines, and returns its frames one at a time, as they are read. The sequence ends with an error
// when the file is malformed, cut, or goes on after its end; frames yielded before it are whole and may be kept, since each is
// checked by itself.
func ReadBundle(r io.Reader) (Bundle, iter.Seq2[Frame, error], error) {
	br := bufio.NewReaderSize(r, 64<<10)
	magic := make([]byte, len(bundleMagic))
	if _, err := io.ReadFull(br, magic); err != nil || string(magic) != bundleMagic {
		return Bundle{}, nil, envelope.Refuse("", "is not a courier file of version 1")
	}
	line, err := readLine(br)
	if err != nil {
		return Bundle{}, nil, err
	}
	var b Bundle
	if err := envelope.Unmarshal(line, &b); err != nil {
		return Bundle{}, nil, err
	}
	if err := b.Validate(); err != nil {
		return Bundle{}, nil, err
	}
	return b, bundleFrames(br), nil
}

// readLine reads one line of at most maxBundleLine bytes, its end included.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for len(line) < maxBundleLine {
		c, err := br.ReadByte()
		if err != nil {
			return nil, cut(err)
		}
		if c == '\n' {
			return line, nil
		}
		line = append(line, c)
	}
	return nil, envelope.Refuse("", "the courier file's line is over %d bytes", maxBundleLine)
}

func bundleFrames(br *bufio.Reader) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		frames := NewFrameReader(br)
		for count := uint64(0); ; count++ {
			f, err := frames.Next()
			switch {
			case errors.Is(err, io.EOF):
				yield(Frame{}, envelope.Refuse("", "the courier file ends before its last frame"))
				return
			case err != nil:
				yield(Frame{}, err)
				return
			case f.Kind == FrameEnd:
				if err := checkEnd(br, f, count); err != nil {
					yield(Frame{}, err)
				}
				return
			case !yield(f, nil):
				return
			}
		}
	}
}

// checkEnd: the last frame counts those before it, and nothing follows.
func checkEnd(br *bufio.Reader, end Frame, count uint64) error {
	if len(end.Payload) != endSize || binary.BigEndian.Uint64(end.Payload) != count {
		return envelope.Refuse("", "the courier file does not have the frames that its end counts")
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		return envelope.Refuse("", "the courier file goes on after its end")
	}
	return nil
}
