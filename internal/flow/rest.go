package flow

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"
)

// At rest, everything that a statement says beyond its text lies under a key of its own: removing the key removes
// it from every copy of the data. The key itself is wrapped by the keyring, bound to the statement's commitment.

// lock seals a statement's encoded content and wraps its key.
func (h *House) lock(key []byte, c statement.Commitment, content []byte) (sealed, wrapped []byte, err error) {
	if wrapped, err = h.cfg.Keys.Wrap(key, c[:]); err != nil {
		return nil, nil, fmt.Errorf("wrapping a statement's key: %w", err)
	}
	sealed, err = sealRest(key, c, content)
	return sealed, wrapped, err
}

// sealRest seals what has its place at rest under a key.
func sealRest(key []byte, place envelope.Hash, content []byte) ([]byte, error) {
	aead, err := restAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, content, place[:]), nil
}

// unsealRest opens what sealRest sealed for this place.
func unsealRest(key []byte, place envelope.Hash, sealed []byte) ([]byte, error) {
	aead, err := restAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("what lies at rest is too short")
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], place[:])
	if err != nil {
		return nil, fmt.Errorf("opening what lies at rest: %w", err)
	}
	return plain, nil
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
	plain, err = unsealRest(key, c, sealed)
	return plain, key, err
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
	*envelope.FLOEWriter
	header []byte
	blob   BlobWriter
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
	return &restWriter{FLOEWriter: envelope.NewFLOEWriter(enc, blob), header: header, blob: blob}, nil
}

// commit makes the file durable under its name, which is held until its row is written.
func (w *restWriter) commit(hold *claim) (name string, header []byte, err error) {
	if err := w.FLOEWriter.Close(); err != nil {
		return "", nil, err
	}
	name = envelope.Root(w.Leaves()).String()
	hold.add(name)
	return name, w.header, w.blob.Commit(name)
}

// discard ends what was not committed.
func (w *restWriter) discard() error { return w.blob.Close() }

// ownCopy is what opens a file of ours: what was sealed for the peer is our copy, too.
type ownCopy struct {
	Layers []envelope.Layer     `json:"layers"`
	Keys   envelope.ContentKeys `json:"keys"`
}

// lockKeys seals the content keys of a file of ours under its statement's key, so that the copy goes with that key.
func lockKeys(key []byte, position int, sealed envelope.Sealed) ([]byte, error) {
	aead, err := keysAEAD(key, position)
	if err != nil {
		return nil, err
	}
	encoded, err := envelope.Marshal(ownCopy{sealed.Layers, sealed.Keys})
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, encoded, nil), nil
}

// unlockKeys opens what lockKeys sealed.
func unlockKeys(key []byte, position int, sealed []byte) (c ownCopy, err error) {
	aead, err := keysAEAD(key, position)
	if err != nil {
		return c, err
	}
	if len(sealed) < aead.NonceSize() {
		return c, fmt.Errorf("a file's keys at rest are too short")
	}
	encoded, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return c, fmt.Errorf("opening a file's keys at rest: %w", err)
	}
	return c, envelope.Unmarshal(encoded, &c)
}

func keysAEAD(key []byte, position int) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, nil, string(binary.BigEndian.AppendUint32([]byte("entente/rest/keys/"), uint32(position))), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sub)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// readRest streams a stored file's plaintext. peer is the other party of its link.
func (h *House) readRest(ctx context.Context, key []byte, f exchange.File, peer party.ID, w io.Writer) error {
	blob, err := h.cfg.Blobs.Open(ctx, f.Blob)
	if err != nil {
		return err
	}
	defer blob.Close()
	plain, err := h.openRest(key, f, peer, blob)
	if err != nil {
		return fmt.Errorf("opening a file at rest: %w", err)
	}
	if _, err := plain.WriteTo(w); err != nil {
		return fault.Wrap(fault.Internal, "file", "The stored file cannot be read; \"entente doctor\" checks the store.", err)
	}
	return nil
}

func (h *House) openRest(key []byte, f exchange.File, peer party.ID, blob Blob) (*envelope.FLOEReader, error) {
	if f.Keys != nil {
		own, err := unlockKeys(key, f.Position, f.Keys)
		if err != nil {
			return nil, err
		}
		context := envelope.Context{Link: f.Link, Parcel: f.Parcel, From: h.self, To: peer}
		return h.cfg.Registry.Open(blob, blob.Size(), own.Layers, context, 0, own.Keys)
	}
	sub, err := restFileKey(key, f.Position)
	if err != nil {
		return nil, err
	}
	dec, err := envelope.NewFLOEDecryptor(envelope.Segment1M(), sub, []byte(fileLabel(f.Position)), f.FLOE)
	if err != nil {
		return nil, err
	}
	return envelope.NewFLOEReader(dec, blob, blob.Size())
}
