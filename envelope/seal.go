package envelope

import (
	"crypto/hpke"
	"fmt"
	"io"
	"strconv"
)

const (
	// SegmentSize is the length of an outermost segment (1 MiB); the last may be shorter.
	SegmentSize = 1 << 20
	// MaxLayers bounds the layers of sealed content.
	MaxLayers = 4
)

// Layer stands in a parcel's header; Hdr is the FLOE header, Stanza the HPKE encapsulation and wrapped key
// (absent in a registered parcel until its grant).
type Layer struct {
	Suite  string `json:"suite"`
	DEM    string `json:"dem"`
	Hdr    []byte `json:"hdr"`
	Stanza []byte `json:"stanza,omitempty"`
}

// Opener unwraps a content key, so that no private key leaves its keeper.
type Opener interface {
	// Open unwraps stanza under info for the given suite and identity version.
	Open(suite string, version int, info, stanza []byte) (key []byte, err error)
}

// Context binds sealed content to its place: it can't be opened under another link, header, sender or recipient.
type Context struct {
	Link     Hash
	Parcel   ID
	From, To Hash
}

// Encode is HPKE info and FLOE associated data of one layer, 0 being the innermost:
// "entente/layer/v1\x00" ‖ link(32) ‖ id(16) ‖ from(32) ‖ to(32) ‖ suite ‖ 0x00 ‖ layer number (1 byte).
func (c Context) Encode(suite string, layer int) []byte {
	b := append([]byte("entente/layer/v1\x00"), c.Link[:]...)
	b = append(b, c.Parcel[:]...)
	b = append(b, c.From[:]...)
	b = append(b, c.To[:]...)
	b = append(b, suite...)
	return append(b, 0, byte(layer))
}

// Sealed describes sealed content.
type Sealed struct {
	Layers   []Layer
	Length   int64 // bytes of all outermost segments
	Segments int64
	Root     Hash        // RFC 6962 over the outermost segments
	Leaves   []Hash      // their leaf hashes
	Keys     ContentKeys // secret: they open the content as the recipient does
}

// ContentKeys are the content keys of sealed content, by suite. They are an Opener for this content alone, for its author, who
// knows them without the recipient's private keys.
type ContentKeys map[string][]byte

// Open implements Opener.
func (k ContentKeys) Open(suite string, _ int, _, _ []byte) ([]byte, error) {
	key, ok := k[suite]
	if !ok {
		return nil, fmt.Errorf("content key of %s: %w", suite, ErrSealed)
	}
	return key, nil
}

// Seal encrypts plain once for every recipient suite, each with a key of its own, innermost first (Layers[0] is the
// innermost), and writes the outermost layer's segments to dst, one at a time. It works on all processors; memory is a few
// segments per layer. A nil random is the system's source; HPKE always draws from that.
func (r Registry) Seal(dst io.Writer, plain io.Reader, to []SuiteKeys, c Context, random io.Reader) (Sealed, error) {
	recipients, err := r.recipients(to)
	if err != nil {
		return Sealed{}, err
	}
	layers := make([]Layer, len(to))
	chain := make([]*FLOEWriter, len(to))
	keys := ContentKeys{}
	next := dst
	for i := len(to) - 1; i >= 0; i-- {
		layer, enc, key, err := recipients[i].sealLayer(c, i, random)
		if err != nil {
			return Sealed{}, fmt.Errorf("sealing layer %d for %s: %w", i, to[i].Suite, err)
		}
		layers[i], keys[layer.Suite] = layer, key
		chain[i] = newFLOEWriter(enc, next)
		chain[i].hashed = i == len(to)-1
		next = chain[i]
	}
	if _, err := io.CopyBuffer(onlyWriter{chain[0]}, onlyReader{plain}, make([]byte, pieceOf(plain))); err != nil {
		return Sealed{}, fmt.Errorf("sealing: %w", err)
	}
	for _, w := range chain { // innermost first: its final segment still passes through the others
		if err := w.Close(); err != nil {
			return Sealed{}, fmt.Errorf("sealing: %w", err)
		}
	}
	outer := chain[len(chain)-1]
	return Sealed{Layers: layers, Length: outer.Length(), Segments: int64(len(outer.leaves)), Root: Root(outer.leaves), Leaves: outer.leaves, Keys: keys}, nil
}

// pieceOf is the size of the pieces in which content is read: all of it at once when it is known to be small.
func pieceOf(plain io.Reader) int {
	const most = 256 << 10
	if known, ok := plain.(interface{ Len() int }); ok {
		return min(max(known.Len(), 1), most)
	}
	return most
}

// onlyReader and onlyWriter hide ReadFrom and WriteTo, so that content moves in pieces whatever its source is.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// recipient is for whom a layer is sealed.
type recipient struct {
	suite  Suite
	public hpke.PublicKey
}

func (r Registry) recipients(to []SuiteKeys) ([]recipient, error) {
	if len(to) == 0 || len(to) > MaxLayers {
		return nil, &FormatError{What: "no layers, or too many"}
	}
	seen := make(map[string]bool, len(to))
	out := make([]recipient, len(to))
	for i, k := range to {
		var err error
		if out[i].suite, out[i].public, err = r.parse(k); err != nil {
			return nil, fmt.Errorf("recipient keys %d: %w", i, err)
		}
		if seen[k.Suite] {
			return nil, &FormatError{What: fmt.Sprintf("suite %s twice", k.Suite), Where: "/layers/" + strconv.Itoa(i)}
		}
		seen[k.Suite] = true
	}
	return out, nil
}

// sealLayer draws a layer's content key and wraps it for the recipient.
func (r recipient) sealLayer(c Context, number int, random io.Reader) (Layer, *FLOEEncryptor, []byte, error) {
	suite := r.suite
	params, err := suite.dem()
	if err != nil {
		return Layer{}, nil, nil, err
	}
	key := make([]byte, FLOEKeySize)
	if _, err := io.ReadFull(orSystem(random), key); err != nil {
		return Layer{}, nil, nil, fmt.Errorf("drawing content key: %w", err)
	}
	place := c.Encode(suite.ID, number)
	stanza, err := hpke.Seal(r.public, suite.KDF(), suite.AEAD(), place, key)
	if err != nil {
		return Layer{}, nil, nil, fmt.Errorf("wrapping content key: %w", err)
	}
	enc, header, err := NewFLOEEncryptor(params, key, place, random)
	if err != nil {
		return Layer{}, nil, nil, err
	}
	return Layer{Suite: suite.ID, DEM: suite.DEM, Hdr: header, Stanza: stanza}, enc, key, nil
}

// dem gives the parameters that a suite's content encryption names.
func (s Suite) dem() (FLOEParams, error) {
	if s.DEM != DEMFloe1M {
		return FLOEParams{}, &FormatError{What: fmt.Sprintf("unknown content encryption %q", s.DEM)}
	}
	return Segment1M(), nil
}

// Unwrap opens stanza with a suite's private sealing key: what an Opener does once it has found the key.
func (s Suite) Unwrap(private hpke.PrivateKey, info, stanza []byte) ([]byte, error) {
	key, err := hpke.Open(private, s.KDF(), s.AEAD(), info, stanza)
	if err != nil {
		return nil, fmt.Errorf("content key: %w", ErrSealed)
	}
	return key, nil
}

// Open gives a reader of the plaintext of sealed content, sequential or at random offsets, with two segments of
// memory per layer. Nothing is released that is not authenticated in every layer; io.EOF comes only at the end that
// every layer's final segment vouches for. Which suites must be there is for the caller to demand of layers: Open
// demands that it knows each of them, and each once. version is the recipient's identity version that o is asked for.
func (r Registry) Open(src io.ReaderAt, size int64, layers []Layer, c Context, version int, o Opener) (*FLOEReader, error) {
	if len(layers) == 0 || len(layers) > MaxLayers {
		return nil, &FormatError{What: "no layers, or too many", Where: "/layers"}
	}
	seen := make(map[string]bool, len(layers))
	for i, l := range layers {
		if seen[l.Suite] {
			return nil, &FormatError{What: fmt.Sprintf("suite %s twice", l.Suite), Where: "/layers/" + strconv.Itoa(i)}
		}
		seen[l.Suite] = true
	}
	var reader *FLOEReader
	for i := len(layers) - 1; i >= 0; i-- {
		dec, err := r.openLayer(layers[i], c, i, version, o)
		if err != nil {
			return nil, fmt.Errorf("opening layer %d: %w", i, err)
		}
		if reader, err = NewFLOEReader(dec, src, size); err != nil {
			return nil, fmt.Errorf("opening layer %d: %w", i, err)
		}
		src, size = reader, reader.Size()
	}
	return reader, nil
}

func (r Registry) openLayer(l Layer, c Context, number, version int, o Opener) (*FLOEDecryptor, error) {
	suite, ok := r.Suite(l.Suite)
	if !ok {
		return nil, &FormatError{What: fmt.Sprintf("unknown suite %q", l.Suite)}
	}
	if l.DEM != suite.DEM {
		return nil, &FormatError{What: fmt.Sprintf("content encryption %q is not that of %s", l.DEM, suite.ID)}
	}
	params, err := suite.dem()
	if err != nil {
		return nil, err
	}
	if len(l.Stanza) == 0 {
		return nil, &FormatError{What: "stanza missing: not granted yet"}
	}
	place := c.Encode(suite.ID, number)
	key, err := o.Open(suite.ID, version, place, l.Stanza)
	if err != nil {
		return nil, fmt.Errorf("unwrapping content key: %w", err)
	}
	return NewFLOEDecryptor(params, key, place, l.Hdr)
}
