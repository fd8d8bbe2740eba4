package envelope

import "io"

// ---- FLOE (C2SP FLOE.md)

// FLOEParams: segment length is that of an encrypted segment, overhead included.
type FLOEParams struct {
	SegmentLength uint32
	RotationMask  uint64 // test vectors only; 0 means the specification's default
}

// Segment1M is the parameter set of INT-1.
func Segment1M() FLOEParams { panic("skeleton") }

const FLOEHeaderSize = 74

type FLOEEncryptor struct{}
type FLOEDecryptor struct{}

func NewFLOEEncryptor(p FLOEParams, key, aad []byte, random io.Reader) (enc *FLOEEncryptor, header []byte, err error) {
	panic("skeleton")
}

// Segment encrypts segment n; all but the final one hold exactly PlainSize bytes.
func (f *FLOEEncryptor) Segment(dst []byte, n uint64, plain []byte, final bool) ([]byte, error) {
	panic("skeleton")
}
func (f *FLOEEncryptor) PlainSize() int { panic("skeleton") }

func NewFLOEDecryptor(p FLOEParams, key, aad, header []byte) (*FLOEDecryptor, error) {
	panic("skeleton")
}

// Segment decrypts any segment, in any order; safe for concurrent use.
func (f *FLOEDecryptor) Segment(dst []byte, n uint64, sealed []byte, final bool) ([]byte, error) {
	panic("skeleton")
}

// NewFLOEReader reads plaintext at random offsets from sealed segments (size bytes in src), with one segment of memory.
func NewFLOEReader(d *FLOEDecryptor, src io.ReaderAt, size int64) (*FLOEReader, error) {
	panic("skeleton")
}

type FLOEReader struct{} // io.Reader, io.ReaderAt, Size()

func (r *FLOEReader) Size() int64                             { panic("skeleton") }
func (r *FLOEReader) Read(p []byte) (int, error)              { panic("skeleton") }
func (r *FLOEReader) ReadAt(p []byte, off int64) (int, error) { panic("skeleton") }

// ---- Sealing in layers

// Layer stands in a parcel's header; Hdr is the FLOE header, Stanza the HPKE encapsulation and wrapped key
// (absent in a registered parcel until its grant).
type Layer struct {
	Suite  string `json:"suite"`
	DEM    string `json:"dem"`
	Hdr    []byte `json:"hdr"`
	Stanza []byte `json:"stanza,omitempty"`
}

// Opener unwraps a content key; internal/keyring gives one per suite so that no private key leaves it.
type Opener interface {
	// Open unwraps stanza under info for the given suite and identity version.
	Open(suite string, version int, info, stanza []byte) (key []byte, err error)
}

// Context binds a layer to its place: it is HPKE info and FLOE associated data.
// Encoded as "entente/layer/v1\x00" ‖ link(32) ‖ id(16) ‖ from(32) ‖ to(32) ‖ suite ‖ 0x00 ‖ layer number (1 byte).
type Context struct {
	Link     Hash
	Parcel   ID
	From, To Hash
}

// Seal encrypts plain for every recipient suite, innermost first (layers[0] is the innermost), writes the outermost
// layer's segments to dst, and returns the layers, total length and number of segments, and the RFC 6962 root over
// the outermost segments. Memory is bounded by a few segments per layer.
func (r Registry) Seal(dst io.Writer, plain io.Reader, to []SuiteKeys, c Context, random io.Reader) (Sealed, error) {
	panic("skeleton")
}

type Sealed struct {
	Layers   []Layer
	Length   int64
	Segments int64
	Root     Hash
}

// SegmentSize is the length of an outermost segment (1 MiB); the last may be shorter.
const SegmentSize = 1 << 20

// Open returns a reader of the plaintext of sealed content; nothing is released that is not authenticated; io.EOF
// only after the final segment of every layer was verified.
func (r Registry) Open(src io.ReaderAt, size int64, layers []Layer, c Context, version int, o Opener) (io.Reader, error) {
	panic("skeleton")
}

// SegmentHash is the RFC 6962 leaf hash of a segment; Root the tree head over leaf hashes.
func SegmentHash(segment []byte) Hash { panic("skeleton") }
func Root(leaves []Hash) Hash         { panic("skeleton") }

// SelfTest runs the known-answer tests of every primitive of every suite (start-up check; under 50 ms).
func (r Registry) SelfTest() error { panic("skeleton") }
