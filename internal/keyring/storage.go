package keyring

import (
	"crypto/tls"
	"io"

	"entente/envelope"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// Storage is where a party's private keys lie, by identity version. Each method uses keys and none gives one out, so that a
// handle is enough to carry it out: a TPM or a PKCS #11 token can take the place of the file. What such a storage must add is
// durability of the identity documents beside the keys (Successor, Prepared), as a token has no room for them. Shipped is the
// file, Keyring.
type Storage interface {
	Kind() string // the identity's key_storage: software, tpm or hsm
	Version() int // that signs
	SignersOf(version int) ([]envelope.Signer, error)
	LogSigners(version int, origin string) ([]note.Signer, error)
	WitnessSigners(version int, name string, nowUnix func() int64) ([]note.Signer, error)
	TLS() map[int]tls.Certificate // by version
	Opens(version int) bool
	Opener() envelope.Opener
	Wrap(key, aad []byte) ([]byte, error)
	Unwrap(wrapped, aad []byte) ([]byte, error)
	Mark(data []byte) envelope.Hash

	Rotate(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error)
	Prepare(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error)
	Prepared() []byte
	Cancel() error
	Finish(chain *party.Chain, signed [][]byte) ([]byte, error)
	Successor(version int) []byte
	Retire() error
	Destroy(version int, at int64) error
	Destroyed(version int) int64
}

var _ Storage = (*Keyring)(nil)
