package parcel

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"entente/envelope"
	"entente/statement"
)

// maxSealedContent is what the largest content has when it is sealed in every layer, with room for each layer's overhead.
const maxSealedContent = statement.MaxContent + 64<<10

// SealContent pads a statement's encoded content (its PaddingClass is for the header to say) and seals it for the recipient's keys.
// The context is that of the header that will describe it.
func SealContent(r envelope.Registry, dst io.Writer, content []byte, to []envelope.SuiteKeys, c envelope.Context) (envelope.Sealed, error) {
	if len(content) > statement.MaxContent {
		return envelope.Sealed{}, envelope.Refuse("content", "is over %d bytes", statement.MaxContent)
	}
	return r.Seal(dst, bytes.NewReader(pad(content)), to, c, nil)
}

// OpenContent opens a statement's parcel whose header's signature and link were checked. In this order: length and root of the
// sealed bytes against the header, decryption, padding, the content against its own commitments, and the text against the header
// (link, sender, recipient, lane, commitment). src holds h.Length bytes. Nothing is returned that fails any of it.
//
// An error that is a *envelope.FormatError, or wraps one or envelope.ErrSealed, is the author's doing and lasting; others are the
// opener's or the source's.
func OpenContent(r envelope.Registry, src io.ReaderAt, h *Header, o envelope.Opener) (*statement.Content, *statement.Text, error) {
	switch {
	case h.File != nil:
		return nil, nil, envelope.Refuse("file", "is a file's parcel, not a statement's")
	case h.Length > maxSealedContent:
		return nil, nil, envelope.Refuse("length", "is over what a statement's content can have")
	}
	if err := checkRoot(src, h); err != nil {
		return nil, nil, err
	}
	plain, err := r.Open(src, h.Length, h.Layers, h.Context(), h.Recipient, o)
	if err != nil {
		return nil, nil, fmt.Errorf("opening content: %w", err)
	}
	if plain.Size() > statement.MaxContent {
		return nil, nil, envelope.Refuse("content", "is over %d bytes", statement.MaxContent)
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		return nil, nil, fmt.Errorf("opening content: %w", err)
	}
	if data, err = unpad(h.Padding, data); err != nil {
		return nil, nil, err
	}
	content, text, commitment, err := statement.DecodeContent(data)
	if err != nil {
		return nil, nil, envelope.Within("content", err)
	}
	if err := h.matches(text, commitment); err != nil {
		return nil, nil, err
	}
	return content, text, nil
}

// matches compares what the author said with the parcel that it came in. Without it, a recipient could seal what it was told for
// a third party, who would take it for its own.
func (h *Header) matches(t *statement.Text, c statement.Commitment) error {
	switch {
	case t.Link != h.Link:
		return envelope.Refuse("content/text/link", "is not the header's")
	case t.From != h.From:
		return envelope.Refuse("content/text/from", "is not the header's")
	case t.To != h.To:
		return envelope.Refuse("content/text/to", "is not the header's")
	case t.Lane != h.Lane:
		return envelope.Refuse("content/text/lane", "is not the header's")
	case c != h.Text:
		return envelope.Refuse("text", "is not the commitment to the text inside")
	}
	return nil
}

// checkRoot reads the sealed bytes segment by segment and compares them with the header.
func checkRoot(src io.ReaderAt, h *Header) error {
	if err := checkLength(h); err != nil {
		return err
	}
	hashing := &hashingReader{src: src, leaves: make([]envelope.Hash, h.Segments)}
	segment := make([]byte, min(h.Length, envelope.SegmentSize))
	for at := int64(0); at < h.Length; at += envelope.SegmentSize {
		n := min(h.Length-at, envelope.SegmentSize)
		if _, err := io.ReadFull(io.NewSectionReader(hashing, at, n), segment[:n]); err != nil {
			return fmt.Errorf("reading segment %d: %w", at/envelope.SegmentSize, err)
		}
	}
	return hashing.check(h)
}

func checkLength(h *Header) error {
	if h.Length < 1 || h.Segments != segments(h.Length) {
		return envelope.Refuse("segments", "are not those of the length")
	}
	return nil
}

// hashingReader notes the hash of each segment that is read at once. It is safe for concurrent use on different segments.
type hashingReader struct {
	src    io.ReaderAt
	leaves []envelope.Hash
}

// ReadAt implements io.ReaderAt.
func (r *hashingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.src.ReadAt(p, off)
	if off%envelope.SegmentSize == 0 && n == len(p) {
		r.leaves[off/envelope.SegmentSize] = envelope.SegmentHash(p)
	}
	return n, err
}

func (r *hashingReader) check(h *Header) error {
	if envelope.Root(r.leaves) != h.Root {
		return envelope.Refuse("root", "is not that of the segments")
	}
	return nil
}

// SealFile seals a file's bytes as they are (class PaddingNone).
func SealFile(r envelope.Registry, dst io.Writer, plain io.Reader, to []envelope.SuiteKeys, c envelope.Context) (envelope.Sealed, error) {
	return r.Seal(dst, plain, to, c, nil)
}

// OpenFile opens a file's parcel to dst in one pass, on all processors, with a few segments of memory. f is the file's description
// in its statement, which must name this parcel. Length and size are checked before the first byte is written, root and digest
// after the last: on an error the caller discards what dst got.
func OpenFile(r envelope.Registry, dst io.Writer, src io.ReaderAt, h *Header, f statement.File, o envelope.Opener) error {
	switch {
	case h.File == nil:
		return envelope.Refuse("file", "is missing: not a file's parcel")
	case h.ID != f.Parcel:
		return envelope.Refuse("id", "is not the parcel that the statement names for this file")
	}
	if err := checkLength(h); err != nil {
		return err
	}
	err := openFile(r, dst, src, h, f, o)
	if errors.Is(err, envelope.ErrSealed) { // whose doing it is, the header tells: it commits to the sealed bytes
		return cmp.Or(checkRoot(src, h), err)
	}
	return err
}

func openFile(r envelope.Registry, dst io.Writer, src io.ReaderAt, h *Header, f statement.File, o envelope.Opener) error {
	hashing := &hashingReader{src: src, leaves: make([]envelope.Hash, h.Segments)}
	plain, err := r.Open(hashing, h.Length, h.Layers, h.Context(), h.Recipient, o)
	if err != nil {
		return fmt.Errorf("opening file: %w", err)
	}
	if plain.Size() != f.Size {
		return envelope.Refuse("file", "has %d bytes, while the statement says %d", plain.Size(), f.Size)
	}
	digest := sha256.New()
	if _, err := plain.WriteTo(io.MultiWriter(dst, digest)); err != nil {
		return fmt.Errorf("opening file: %w", err)
	}
	if err := hashing.check(h); err != nil {
		return err
	}
	if envelope.Hash(digest.Sum(nil)) != f.SHA256 {
		return envelope.Refuse("file", "has not the digest that the statement gives")
	}
	return nil
}
