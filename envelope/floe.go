package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// FLOE, Fast Lightweight Online Encryption (c2sp.org/FLOE): AES-256-GCM, HKDF-Expand-SHA-384, IV of 32 bytes.
const (
	// FLOEHeaderSize is the length of a header: parameters (10), IV (32), tag (32).
	FLOEHeaderSize = floeParamSize + floeIVSize + floeTagSize
	// FLOEKeySize is the length of a key.
	FLOEKeySize = 32
	// FLOEOverhead is what a segment adds to its plaintext: length (4), nonce (12), tag (16).
	FLOEOverhead = 4 + floeNonceSize + 16

	floeParamSize   = 10
	floeIVSize      = 32
	floeTagSize     = 32
	floeNonceSize   = 12
	floeMessageKey  = 48
	floeRotation    = 20          // AEAD_ROTATION_MASK
	floeMaxSegments = 1 << 40     // AEAD_MAX_SEGMENTS
	floeNotFinal    = 0xFFFF_FFFF // in place of the length
)

// ErrSealed says that sealed bytes are not what was sealed with this key, in this place: nothing of them is released.
var ErrSealed = errors.New("sealed content does not authenticate")

// FLOEParams chooses a member of the FLOE family.
type FLOEParams struct {
	SegmentLength uint32 // of an encrypted segment, overhead included
	RotationMask  uint64 // bits of the segment number that one key covers; for test vectors only, 0 means the specification's 20
}

// Segment1M is the parameter set of INT-1.
func Segment1M() FLOEParams { return FLOEParams{SegmentLength: SegmentSize} }

// floe is what both directions share: the state of startEncryption and startDecryption. It never changes.
type floe struct {
	params     FLOEParams
	iv, aad    []byte
	messageKey []byte
}

// PlainSize is the length of the plaintext of every segment but the final one, which may be shorter.
func (f *floe) PlainSize() int { return int(f.params.SegmentLength) - FLOEOverhead }

func (p FLOEParams) encode() []byte {
	b := make([]byte, 2, floeParamSize) // AEAD_ID 0, KDF_ID 0
	b = binary.BigEndian.AppendUint32(b, p.SegmentLength)
	return binary.BigEndian.AppendUint32(b, floeIVSize)
}

// derive is FLOE_KDF.
func (p FLOEParams) derive(key, iv, aad []byte, purpose string, size int) ([]byte, error) {
	info := append(p.encode(), iv...)
	info = append(info, purpose...)
	info = append(info, aad...)
	return hkdf.Expand(sha512.New384, key, string(info), size)
}

// start derives the message key, and the header that commits to key, IV and associated data.
func (p FLOEParams) start(key, iv, aad []byte) (f floe, header []byte, err error) {
	if len(key) != FLOEKeySize {
		return f, nil, &FormatError{What: "FLOE key of the wrong length"}
	}
	if p.SegmentLength <= FLOEOverhead || p.SegmentLength == floeNotFinal || p.RotationMask > 40 {
		return f, nil, &FormatError{What: "FLOE parameters out of range"}
	}
	tag, err := p.derive(key, iv, aad, "HEADER_TAG:", floeTagSize)
	if err != nil {
		return f, nil, fmt.Errorf("deriving FLOE header tag: %w", err)
	}
	messageKey, err := p.derive(key, iv, aad, "MESSAGE_KEY:", floeMessageKey)
	if err != nil {
		return f, nil, fmt.Errorf("deriving FLOE message key: %w", err)
	}
	header = append(append(p.encode(), iv...), tag...)
	return floe{params: p, iv: iv, aad: append([]byte(nil), aad...), messageKey: messageKey}, header, nil
}

// segmentKey is DERIVE_KEY: one key for each 2^mask segments.
func (f *floe) segmentKey(n uint64) (cipher.Block, error) {
	mask := f.params.RotationMask
	if mask == 0 {
		mask = floeRotation
	}
	purpose := binary.BigEndian.AppendUint64([]byte("DEK:"), n>>mask<<mask)
	key, err := f.params.derive(f.messageKey, f.iv, f.aad, string(purpose), FLOEKeySize)
	if err != nil {
		return nil, fmt.Errorf("deriving FLOE segment key: %w", err)
	}
	return aes.NewCipher(key)
}

// position is the associated data of a segment: its number, and whether it is the final one.
func position(n uint64, final bool) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9), n)
	if final {
		return append(b, 1)
	}
	return append(b, 0)
}

// FLOEEncryptor encrypts the segments of one message. It is safe for concurrent use if its source of randomness is.
type FLOEEncryptor struct {
	floe
	random io.Reader // nil: nonces are drawn inside the cryptographic module
}

// NewFLOEEncryptor starts a message under key (32 bytes) and associated data. A nil random is the system's source,
// which anything but a test wants.
func NewFLOEEncryptor(p FLOEParams, key, aad []byte, random io.Reader) (enc *FLOEEncryptor, header []byte, err error) {
	iv := make([]byte, floeIVSize)
	if _, err := io.ReadFull(orSystem(random), iv); err != nil {
		return nil, nil, fmt.Errorf("drawing FLOE IV: %w", err)
	}
	f, header, err := p.start(key, iv, aad)
	if err != nil {
		return nil, nil, err
	}
	return &FLOEEncryptor{floe: f, random: random}, header, nil
}

func orSystem(random io.Reader) io.Reader {
	if random == nil {
		return rand.Reader
	}
	return random
}

// Segment appends encrypted segment n to dst. All but the final one hold exactly PlainSize bytes. Each number is for
// one plaintext, and none follows the final one: that is the caller's duty.
func (f *FLOEEncryptor) Segment(dst []byte, n uint64, plain []byte, final bool) ([]byte, error) {
	if n >= floeMaxSegments || n == floeMaxSegments-1 && !final {
		return nil, &FormatError{What: "too many FLOE segments"}
	}
	if len(plain) > f.PlainSize() || !final && len(plain) != f.PlainSize() {
		return nil, &FormatError{What: "FLOE segment of the wrong length"}
	}
	block, err := f.segmentKey(n)
	if err != nil {
		return nil, err
	}
	length := uint32(floeNotFinal)
	if final {
		length = uint32(len(plain) + FLOEOverhead)
	}
	dst = binary.BigEndian.AppendUint32(dst, length)
	if f.random == nil {
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("encrypting FLOE segment: %w", err)
		}
		return aead.Seal(dst, nil, plain, position(n, final)), nil
	}
	var nonce [floeNonceSize]byte
	if _, err := io.ReadFull(f.random, nonce[:]); err != nil {
		return nil, fmt.Errorf("drawing FLOE nonce: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encrypting FLOE segment: %w", err)
	}
	return aead.Seal(append(dst, nonce[:]...), nonce[:], plain, position(n, final)), nil
}

// FLOEDecryptor decrypts the segments of one message.
type FLOEDecryptor struct{ floe }

// NewFLOEDecryptor checks header against key and associated data; a mismatch is ErrSealed.
func NewFLOEDecryptor(p FLOEParams, key, aad, header []byte) (*FLOEDecryptor, error) {
	if len(header) != FLOEHeaderSize {
		return nil, &FormatError{What: "FLOE header of the wrong length"}
	}
	if string(header[:floeParamSize]) != string(p.encode()) {
		return nil, &FormatError{What: "FLOE header with other parameters"}
	}
	iv := append([]byte(nil), header[floeParamSize:floeParamSize+floeIVSize]...)
	f, expected, err := p.start(key, iv, aad)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(header, expected) != 1 {
		return nil, fmt.Errorf("FLOE header: %w", ErrSealed)
	}
	return &FLOEDecryptor{floe: f}, nil
}

// Segment appends the plaintext of segment n to dst, in any order; safe for concurrent use. Whether the segment is
// the final one must be known from elsewhere (the length), never taken from the segment itself. Errors are
// *FormatError for a length that can't be, or ErrSealed.
func (f *FLOEDecryptor) Segment(dst []byte, n uint64, sealed []byte, final bool) ([]byte, error) {
	if n >= floeMaxSegments {
		return nil, &FormatError{What: "too many FLOE segments"}
	}
	if len(sealed) < FLOEOverhead || len(sealed) > int(f.params.SegmentLength) || !final && len(sealed) != int(f.params.SegmentLength) {
		return nil, &FormatError{What: "FLOE segment of the wrong length"}
	}
	length := uint32(floeNotFinal)
	if final {
		length = uint32(len(sealed))
	}
	if binary.BigEndian.Uint32(sealed) != length {
		return nil, fmt.Errorf("FLOE segment %d: misplaced end: %w", n, ErrSealed)
	}
	block, err := f.segmentKey(n)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("decrypting FLOE segment: %w", err)
	}
	plain, err := aead.Open(dst, nil, sealed[4:], position(n, final))
	if err != nil {
		return nil, fmt.Errorf("FLOE segment %d: %w", n, ErrSealed)
	}
	return plain, nil
}

// FLOEReader reads the plaintext of sealed segments at random offsets, with one segment of memory (two while
// decrypting). It is an io.Reader and an io.ReaderAt; ReadAt is safe for concurrent use.
type FLOEReader struct {
	dec    *FLOEDecryptor
	src    io.ReaderAt
	sealed int64 // length of the segments in src
	count  int64 // number of segments, one at least
	size   int64 // length of the plaintext
	offset int64 // of Read

	mu     sync.Mutex
	buf    []byte // a sealed segment; guarded by mu
	plain  []byte // plaintext of segment held; guarded by mu
	loaded int64  // number of the segment held, -1 for none; guarded by mu
}

// NewFLOEReader reads plaintext from the sealed segments that fill the first size bytes of src. It decrypts the final segment first:
// so Size is authenticated, truncated content is refused at once, and io.EOF is only ever met at the true end.
func NewFLOEReader(d *FLOEDecryptor, src io.ReaderAt, size int64) (*FLOEReader, error) {
	segment := int64(d.params.SegmentLength)
	if size < FLOEOverhead {
		return nil, &FormatError{What: "sealed content shorter than one segment"}
	}
	count := (size-1)/segment + 1
	if last := size - (count-1)*segment; last < FLOEOverhead {
		return nil, &FormatError{What: "sealed content of an impossible length"}
	}
	r := &FLOEReader{dec: d, src: src, sealed: size, count: count, size: size - count*FLOEOverhead, loaded: -1}
	if err := r.load(count - 1); err != nil {
		return nil, err
	}
	return r, nil
}

// Size is the length of the plaintext.
func (r *FLOEReader) Size() int64 { return r.size }

// Read reads on from where the last Read ended.
func (r *FLOEReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.offset >= r.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.size-r.offset)]
	n, err := r.ReadAt(p, r.offset)
	r.offset += int64(n)
	if n == len(p) {
		err = nil // the end, if this is it, is told by the next call
	}
	return n, err
}

// ReadAt is io.ReaderAt over the plaintext; every byte that it gives is authenticated.
func (r *FLOEReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &FormatError{What: "negative offset"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= r.size {
			return n, io.EOF
		}
		segment := at / int64(r.dec.PlainSize())
		if err := r.load(segment); err != nil {
			return n, err
		}
		n += copy(p[n:], r.plain[at-segment*int64(r.dec.PlainSize()):])
	}
	return n, nil
}

// WriteTo writes all of the plaintext to dst, decrypting on all processors, with a segment for each of these; it implements
// io.WriterTo. What was read before makes no difference.
func (r *FLOEReader) WriteTo(dst io.Writer) (int64, error) {
	type piece struct {
		sealed, plain []byte
		err           error
		done          chan struct{}
	}
	length := int64(r.dec.params.SegmentLength)
	open := func(p *piece, n int64) {
		defer close(p.done)
		size := int(min(length, r.sealed-n*length))
		if cap(p.sealed) < size {
			p.sealed, p.plain = make([]byte, size), make([]byte, 0, size)
		}
		sealed := p.sealed[:size]
		if got, err := r.src.ReadAt(sealed, n*length); got != size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			p.err = fmt.Errorf("reading sealed segment %d: %w", n, err)
			return
		}
		p.plain, p.err = r.dec.Segment(p.plain[:0], uint64(n), sealed, n == r.count-1)
	}
	pieces := make([]piece, min(int64(processors()), r.count))
	start := func(n int64) {
		p := &pieces[n%int64(len(pieces))]
		p.done = make(chan struct{})
		go open(p, n)
	}
	for n := range int64(len(pieces)) {
		start(n)
	}
	defer func() { // none reads from the source any more when this returns
		for i := range pieces {
			<-pieces[i].done
		}
	}()
	written := int64(0)
	for n := range r.count {
		p := &pieces[n%int64(len(pieces))]
		<-p.done
		if p.err != nil {
			return written, p.err
		}
		m, err := dst.Write(p.plain)
		written += int64(m)
		if err != nil {
			return written, err
		}
		if more := n + int64(len(pieces)); more < r.count {
			start(more)
		}
	}
	return written, nil
}

// load makes segment n the one held; on failure none is. The caller holds mu.
func (r *FLOEReader) load(n int64) error {
	if r.loaded == n {
		return nil
	}
	r.loaded = -1
	segment := int64(r.dec.params.SegmentLength)
	length := int(min(segment, r.sealed-n*segment))
	if cap(r.buf) < length {
		r.buf = make([]byte, length)
		r.plain = make([]byte, 0, length)
	}
	sealed := r.buf[:length]
	if got, err := r.src.ReadAt(sealed, n*segment); got != length {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("reading sealed segment %d: %w", n, err)
	}
	plain, err := r.dec.Segment(r.plain[:0], uint64(n), sealed, n == r.count-1)
	if err != nil {
		return err
	}
	r.plain, r.loaded = plain, n
	return nil
}
