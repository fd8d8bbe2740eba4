package node

import (
	"crypto/rand"

	"entente/envelope"
	"entente/internal/keyring"
	"entente/party"
)

// MaxRecoveryFile bounds a recovery key's file, and a document that is signed with one (bytes).
const MaxRecoveryFile = 1 << 20

// What follows needs no node: who holds a recovery key signs on a machine of his own.

// NewRecoveryKeys writes new recovery keys to files in a directory, and returns what the identity is to say of them.
func NewRecoveryKeys(dir string) (*party.Recovery, []string, error) {
	shares, recovery, err := keyring.NewRecovery(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	paths, err := writeShares(dir, shares)
	return &recovery, paths, err
}

// ProtectRecoveryKey locks a recovery key by its holder's passphrase. passphrase opens it if it is locked already.
func ProtectRecoveryKey(key []byte, passphrase func() (string, error), locked string) ([]byte, error) {
	share, err := keyring.OpenShare(key, lockOf(passphrase))
	if err != nil {
		return nil, err
	}
	return share.Protect(keyring.Passphrase(locked), rand.Reader)
}

// SignRecovery signs what was prepared, or a copy that others have signed, with a recovery key, and returns it with what it says.
func SignRecovery(document, key []byte, passphrase func() (string, error)) ([]byte, *party.Identity, error) {
	share, err := keyring.OpenShare(key, lockOf(passphrase))
	if err != nil {
		return nil, nil, err
	}
	return share.Sign(document)
}

// ReadRecovery reads what was prepared, without signing it, and the hash by which people compare it.
func ReadRecovery(document []byte) (*party.Identity, envelope.Hash, error) {
	e, i, err := keyring.ReadPrepared(document)
	if err != nil {
		return nil, envelope.Hash{}, err
	}
	return i, envelope.Sum(e.Payload), nil
}

func lockOf(passphrase func() (string, error)) func() (keyring.Lock, error) {
	return func() (keyring.Lock, error) {
		p, err := passphrase()
		return keyring.Passphrase(p), err
	}
}
