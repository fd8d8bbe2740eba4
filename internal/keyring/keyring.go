// Package keyring is the only package that sees a private key. It makes a party's keys, keeps them in one sealed
// file, and lends them out as values that sign, open and wrap. It promises that no private key, seed or passphrase
// appears in an error, a log line, a printed value or an encoded one, and that the file on disk is complete or was
// not touched. It refuses to overwrite a keyring, to guess at a damaged one, and to use a key file that others can
// read. It does not keep the recovery keys: whoever creates a keyring is handed them once, to print.
package keyring

import (
	"bytes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// Keyring is an open keyring. It never changes after it was opened and is safe for concurrent use.
type Keyring struct{ in hidden[*inner] }

type inner struct {
	path     string
	secrets  secrets
	versions []version // oldest first; the last is current
	wrapping cipher.AEAD
}

// version is what is made, once, of the seeds of one identity version.
type version struct {
	number  int
	signers []envelope.Signer
	suites  []envelope.SuiteKeys
	openers map[string]opener // by suite
	cert    tls.Certificate
	spki    []byte
	log     party.NoteKeys
	witness party.NoteKeys
}

// opener is the private half of a suite's HPKE key.
type opener struct {
	key  hpke.PrivateKey
	kdf  hpke.KDF
	aead hpke.AEAD
}

// Create makes the keys of a new party, writes them to path under lock and returns them with the recovery shares,
// which are nowhere else: the caller writes them out, apart from each other and from the node, and forgets them.
// random is read for every seed and salt. A file that exists already is a fault of kind Conflict.
func Create(path string, lock Lock, random io.Reader) (*Keyring, []Share, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, nil, fault.New(fault.Conflict, "keyring_exists", "There is a keyring here already; it was not touched.")
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, nil, unavailable("looking for a keyring", err)
	}
	if err := lock.check(); err != nil {
		return nil, nil, err
	}
	shares, recovery, err := newRecovery(random)
	if err != nil {
		return nil, nil, err
	}
	s, err := newSecrets(random)
	if err != nil {
		return nil, nil, err
	}
	s.Recovery = recovery
	k, err := build(path, s)
	if err != nil {
		return nil, nil, err
	}
	if err := k.Relock(lock, random); err != nil {
		return nil, nil, err
	}
	return k, shares, nil
}

// Open reads the keyring at path. With a key file it is fast; with a passphrase it is slow on purpose. The wrong
// passphrase or key file is a fault of kind Forbidden, a damaged or unknown file one of kind Invalid.
func Open(path string, lock Lock) (*Keyring, error) {
	data, err := readBounded(path, maxFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.NotFound, "keyring_missing", "There is no keyring here; create one with init, or restore it from a backup.", err)
	}
	if err != nil {
		return nil, unavailable("reading the keyring", err)
	}
	f, err := decodeFile(data)
	if err != nil {
		return nil, err
	}
	s, err := f.open(lock)
	if err != nil {
		return nil, err
	}
	return build(path, s)
}

// Relock writes the keyring anew under another passphrase or key file; the former one opens it no longer. Copies of
// the old file, backups among them, still open under the old lock.
func (k *Keyring) Relock(lock Lock, random io.Reader) error {
	if err := lock.check(); err != nil {
		return err
	}
	f, err := sealFile(k.in().secrets, lock, random)
	if err != nil {
		return err
	}
	data, err := f.encode()
	if err != nil {
		return err
	}
	if err := writeDurably(k.in().path, data); err != nil {
		return unavailable("writing the keyring", err)
	}
	return nil
}

// Version is the current identity version: the one that signs.
func (k *Keyring) Version() int { return k.current().number }

// Signers are the signature keys of the current identity version, in the order of its key set.
func (k *Keyring) Signers() []envelope.Signer {
	return append([]envelope.Signer(nil), k.current().signers...)
}

// Opener unwraps content keys that were sealed for any identity version that the keyring still holds.
func (k *Keyring) Opener() envelope.Opener { return keyOpener{k} }

type keyOpener struct{ keyring *Keyring }

// Open unwraps a stanza: the HPKE encapsulation followed by the sealed key.
func (o keyOpener) Open(suite string, number int, info, stanza []byte) ([]byte, error) {
	for _, v := range o.keyring.in().versions {
		if v.number != number {
			continue
		}
		p, ok := v.openers[suite]
		if !ok {
			return nil, fault.New(fault.Invalid, "suite", "This was sealed for a suite that this party does not use.")
		}
		key, err := hpke.Open(p.key, p.kdf, p.aead, info, stanza)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "unwrap", "This was not sealed for this party, or not for this place.", err)
		}
		return key, nil
	}
	return nil, fault.New(fault.Invalid, "identity_version", "This was sealed for keys that this party no longer holds.")
}

// LogSigners sign the checkpoints of the log of that origin.
func (k *Keyring) LogSigners(origin string) ([]note.Signer, error) {
	s := k.in().secrets.current().Log
	return ledger.LogSigners(origin, s.Ed25519, s.MLDSA44)
}

// WitnessSigners cosign the peer's checkpoints; nowUnix is the clock that dates the cosignatures.
func (k *Keyring) WitnessSigners(name string, nowUnix func() int64) ([]note.Signer, error) {
	s := k.in().secrets.current().Witness
	return ledger.WitnessSigners(name, s.Ed25519, s.MLDSA44, nowUnix)
}

// Wrap protects a statement's key at rest, bound to aad: AES-256-GCM under the store key, a random nonce in front.
func (k *Keyring) Wrap(key, aad []byte) ([]byte, error) {
	return k.in().wrapping.Seal(nil, nil, key, aad), nil
}

// Unwrap is its inverse; anything that Wrap did not make for this aad is a fault of kind Invalid.
func (k *Keyring) Unwrap(wrapped, aad []byte) ([]byte, error) {
	key, err := k.in().wrapping.Open(nil, nil, wrapped, aad)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "wrapped_key", "A stored key does not belong to this keyring and place.", err)
	}
	return key, nil
}

// TLS is the self-signed certificate around the transport key, the same at each call. Its dates say nothing: peers
// pin the key, and the identity says how long it holds.
func (k *Keyring) TLS() (tls.Certificate, error) { return k.current().cert, nil }

// Identity is the current identity version, unsigned, with every public key filled in.
func (k *Keyring) Identity(names map[string]string, authority string, now time.Time, validity time.Duration) party.Identity {
	v := k.current()
	return party.Identity{
		V: 1, Version: v.number,
		Names: maps.Clone(names), Authority: authority, KeyStorage: "software",
		Suites: v.suites, Transport: bytes.Clone(v.spki), Log: v.log, Witness: v.witness,
		Recovery:  k.in().secrets.Recovery,
		NotBefore: now.UnixMicro(), NotAfter: now.Add(validity).UnixMicro(),
	}
}

// Format prints the kind of thing this is, whatever the verb.
func (k Keyring) Format(s fmt.State, _ rune) { io.WriteString(s, "keyring") }

// MarshalJSON encodes the same.
func (k Keyring) MarshalJSON() ([]byte, error) { return []byte(`"keyring"`), nil }

func (k *Keyring) current() *version { return &k.in().versions[len(k.in().versions)-1] }

// build makes the working keys of the seeds; it is where seeds of a wrong size are found.
func build(path string, s secrets) (*Keyring, error) {
	in := &inner{path: path, secrets: s}
	for _, vs := range s.Versions {
		v, err := buildVersion(vs)
		if err != nil {
			return nil, damaged("its keys do not fit together", err)
		}
		in.versions = append(in.versions, v)
	}
	var err error
	if in.wrapping, err = newAEAD(s.Store); err != nil {
		return nil, damaged("its store key is malformed", err)
	}
	return &Keyring{hide(in)}, nil
}

func buildVersion(s versionSecrets) (version, error) {
	v := version{number: s.Version, openers: map[string]opener{}}
	registry := envelope.Default()
	for _, ss := range s.Suites {
		suite, ok := registry.Suite(ss.Suite)
		if !ok || len(ss.Sign) != len(suite.Schemes) {
			return v, fmt.Errorf("suite %q is unknown or has %d signature keys", ss.Suite, len(ss.Sign))
		}
		keys := envelope.SuiteKeys{Suite: suite.ID}
		for i, scheme := range suite.Schemes {
			made, err := scheme.FromSeed(ss.Sign[i])
			if err != nil {
				return v, fmt.Errorf("making the %s key: %w", scheme.Alg, err)
			}
			v.signers = append(v.signers, signer{hide(made)})
			keys.Sign = append(keys.Sign, made.Public())
		}
		seal, err := suite.KEM().DeriveKeyPair(ss.Seal)
		if err != nil {
			return v, fmt.Errorf("making the sealing key: %w", err)
		}
		keys.Seal = seal.PublicKey().Bytes()
		v.openers[suite.ID] = opener{seal, suite.KDF(), suite.AEAD()}
		v.suites = append(v.suites, keys)
	}
	var err error
	if v.cert, v.spki, err = certificate(s.Transport); err != nil {
		return v, err
	}
	if v.log, err = ledger.NoteKeysFromSeeds(s.Log.Ed25519, s.Log.MLDSA44); err != nil {
		return v, err
	}
	v.witness, err = ledger.NoteKeysFromSeeds(s.Witness.Ed25519, s.Witness.MLDSA44)
	return v, err
}

// signer lends out a signature key.
type signer struct{ key hidden[envelope.Signer] }

func (s signer) Public() envelope.PublicKey          { return s.key().Public() }
func (s signer) Sign(message []byte) ([]byte, error) { return s.key().Sign(message) }

func damaged(what string, err error) error {
	return fault.Wrap(fault.Invalid, "keyring_damaged", "The keyring file is damaged or not one of ours: "+what+". Restore it from a backup.", err)
}

func unavailable(attempt string, err error) error {
	return fault.Wrap(fault.Unavailable, "keyring_io", "The keyring could not be read or written.", fmt.Errorf("%s: %w", attempt, err))
}
