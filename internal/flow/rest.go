package flow

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/statement"
)

// At rest, everything that a statement says beyond its text lies under a key of its own: removing the key removes
// it from every copy of the data. The key itself is wrapped by the keyring, bound to the statement's commitment.

// lock seals a statement's encoded content and wraps its key.
func (h *House) lock(key []byte, c statement.Commitment, content []byte) (sealed, wrapped []byte, err error) {
	aead, err := restAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	if wrapped, err = h.cfg.Keys.Wrap(key, c[:]); err != nil {
		return nil, nil, fmt.Errorf("wrapping a statement's key: %w", err)
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, content, c[:]), wrapped, nil
}

// unlock opens what lock sealed of a statement.
func (h *House) unlock(sealed, wrapped []byte, c statement.Commitment) (*statement.Content, []byte, error) {
	plain, key, err := h.unlockBytes(sealed, wrapped, c)
	if err != nil {
		return nil, nil, err
	}
	content, _, _, err := statement.DecodeContent(plain)
	return content, key, err
}

// unlockBytes opens what lock sealed.
func (h *House) unlockBytes(sealed, wrapped []byte, c statement.Commitment) (plain, key []byte, err error) {
	if key, err = h.cfg.Keys.Unwrap(wrapped, c[:]); err != nil {
		return nil, nil, fmt.Errorf("unwrapping the key of what lies at rest: %w", err)
	}
	aead, err := restAEAD(key)
	if err != nil {
		return nil, nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, nil, fmt.Errorf("what lies at rest is too short")
	}
	if plain, err = aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], c[:]); err != nil {
		return nil, nil, fmt.Errorf("opening what lies at rest: %w", err)
	}
	return plain, key, nil
}

func restAEAD(key []byte) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, nil, "entente/rest/body", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// restWriter seals a file at rest as it is written.
type restWriter struct {
	enc    *envelope.FLOEEncryptor
	header []byte
	blob   BlobWriter
	plain  []byte
	sealed []byte
	next   uint64
}

func restFileKey(key []byte, position int) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, fileLabel(position), 32)
}

func (h *House) createRest(ctx context.Context, key []byte, position int) (*restWriter, error) {
	sub, err := restFileKey(key, position)
	if err != nil {
		return nil, err
	}
	enc, header, err := envelope.NewFLOEEncryptor(envelope.Segment1M(), sub, []byte(fileLabel(position)), rand.Reader)
	if err != nil {
		return nil, err
	}
	blob, err := h.cfg.Blobs.Create(ctx)
	if err != nil {
		return nil, err
	}
	return &restWriter{enc: enc, header: header, blob: blob, plain: make([]byte, 0, enc.PlainSize())}, nil
}

func (w *restWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if len(w.plain) == cap(w.plain) { // only now is it known not to be the last one
			if err := w.segment(false); err != nil {
				return 0, err
			}
		}
		n := min(len(rest), cap(w.plain)-len(w.plain))
		w.plain = append(w.plain, rest[:n]...)
		rest = rest[n:]
	}
	return len(p), nil
}

func (w *restWriter) segment(final bool) error {
	sealed, err := w.enc.Segment(w.sealed[:0], w.next, w.plain, final)
	if err != nil {
		return err
	}
	w.sealed, w.plain = sealed, w.plain[:0]
	w.next++
	_, err = w.blob.Write(sealed)
	return err
}

func (w *restWriter) commit() (name string, header []byte, err error) {
	if err := w.segment(true); err != nil {
		return "", nil, err
	}
	name, err = w.blob.Commit()
	return name, w.header, err
}

// Close discards what was not committed.
func (w *restWriter) Close() error { return w.blob.Close() }

// readRest streams a stored file's plaintext.
func (h *House) readRest(ctx context.Context, key []byte, f exchange.File, w io.Writer) error {
	plain, done, err := h.openRest(ctx, key, f)
	if err != nil {
		return err
	}
	defer done()
	if _, err := io.Copy(w, plain); err != nil {
		return fault.Wrap(fault.Internal, "file", "The stored file cannot be read; \"entente doctor\" checks the store.", err)
	}
	return nil
}

// openRest opens a stored file to read its plaintext; done ends the reading.
func (h *House) openRest(ctx context.Context, key []byte, f exchange.File) (plain io.Reader, done func(), err error) {
	fail := func(err error) (io.Reader, func(), error) {
		return nil, nil, fmt.Errorf("opening a file at rest: %w", err)
	}
	sub, err := restFileKey(key, f.Position)
	if err != nil {
		return fail(err)
	}
	dec, err := envelope.NewFLOEDecryptor(envelope.Segment1M(), sub, []byte(fileLabel(f.Position)), f.FLOE)
	if err != nil {
		return fail(err)
	}
	blob, err := h.cfg.Blobs.Open(ctx, f.Blob)
	if err != nil {
		return nil, nil, err
	}
	if plain, err = envelope.NewFLOEReader(dec, blob, blob.Size()); err != nil {
		blob.Close()
		return fail(err)
	}
	return plain, func() { blob.Close() }, nil
}
