// Package keyring is the only package that sees a private key. It makes a party's keys, keeps them in one sealed
// file, and lends them out as values that sign, open and wrap. It promises that no private key, seed or passphrase
// appears in an error, a log line, a printed value or an encoded one; that the file on disk is complete or was
// not touched; and that of each identity version there is one, whose keys are durable before it is shown to anybody. It
// refuses to overwrite a keyring, to guess at a damaged one, and to use a key file that others can read. It does not keep
// the recovery keys: whoever creates a keyring is handed them once, to print.
package keyring

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// Keyring is an open keyring in a file: the Storage that there is. It is safe for concurrent use.
type Keyring struct{ held hidden[*holder] }

// holder is the file and what it holds now.
type holder struct {
	path   string
	change sync.Mutex // held by whoever writes the file
	now    atomic.Pointer[inner]
}

// inner is never changed; a change of the keyring makes a new one.
type inner struct {
	secrets  secrets
	sealer   *sealer
	versions []version // oldest first; the last is current
	wrapping cipher.AEAD
	marking  []byte
}

// version is what is made, once, of the seeds of one identity version. What was destroyed is missing.
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
	shares, recovery, err := NewRecovery(random)
	if err != nil {
		return nil, nil, err
	}
	s, err := newSecrets(random)
	if err != nil {
		return nil, nil, err
	}
	s.Recovery = recovery
	k, err := build(path, s, nil)
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
	s, l, err := f.open(lock)
	if err != nil {
		return nil, err
	}
	return build(path, s, l)
}

// Relock writes the keyring anew under another passphrase or key file; the former one opens it no longer. Copies of
// the old file, backups among them, still open under the old lock.
func (k *Keyring) Relock(lock Lock, random io.Reader) error {
	if err := lock.check(); err != nil {
		return err
	}
	l, err := lock.newSealer(random)
	if err != nil {
		return err
	}
	return k.rewrite(l, func(*secrets) error { return nil })
}

// rewrite changes what the keyring holds: the file first, then what is lent out. A nil sealer is the one in use. When it
// fails, nothing has changed, unless the disk failed after the file was replaced: then the next Open finds the change.
func (k *Keyring) rewrite(l *sealer, change func(*secrets) error) error {
	h := k.held()
	h.change.Lock()
	defer h.change.Unlock()
	before := h.now.Load()
	if l == nil {
		l = before.sealer
	}
	s := before.secrets
	s.Versions = slices.Clone(s.Versions)
	if err := change(&s); err != nil {
		return err
	}
	after, err := assemble(s, l)
	if err != nil {
		return err
	}
	f, err := l.seal(s)
	if err != nil {
		return err
	}
	data, err := f.encode()
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fault.New(fault.TooLarge, "keyring_full", "The keyring has no room for more.")
	}
	if err := writeDurably(h.path, data); err != nil {
		return unavailable("writing the keyring", err)
	}
	h.now.Store(after)
	return nil
}

// Kind is the identity's key_storage.
func (k *Keyring) Kind() string { return "software" }

// Version is the current identity version: the one that signs.
func (k *Keyring) Version() int { return k.current().number }

// Signers are the signature keys of the current identity version, in the order of its key set.
func (k *Keyring) Signers() []envelope.Signer { return slices.Clone(k.current().signers) }

// SignersOf are those of a version that has not been retired.
func (k *Keyring) SignersOf(number int) ([]envelope.Signer, error) {
	v, err := k.signing(number)
	if err != nil {
		return nil, err
	}
	return slices.Clone(v.signers), nil
}

// Opens says whether what was sealed for a version can still be opened.
func (k *Keyring) Opens(number int) bool {
	v, ok := k.at(number)
	return ok && len(v.openers) > 0
}

// Opener unwraps content keys that were sealed for any identity version that the keyring still holds.
func (k *Keyring) Opener() envelope.Opener { return keyOpener{k} }

type keyOpener struct{ keyring *Keyring }

// Open unwraps a stanza: the HPKE encapsulation followed by the sealed key.
func (o keyOpener) Open(suite string, number int, info, stanza []byte) ([]byte, error) {
	v, ok := o.keyring.at(number)
	if !ok || len(v.openers) == 0 {
		return nil, fault.New(fault.Invalid, "identity_version", "This was sealed for keys that this party no longer holds.")
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

// LogSigners sign, with the keys of a version, the checkpoints of the log of that origin.
func (k *Keyring) LogSigners(number int, origin string) ([]note.Signer, error) {
	s, err := k.secretsOf(number)
	if err != nil {
		return nil, err
	}
	return ledger.LogSigners(origin, s.Log.Ed25519, s.Log.MLDSA44)
}

// WitnessSigners cosign, with the keys of a version, the peer's checkpoints; nowUnix is the clock that dates the cosignatures.
func (k *Keyring) WitnessSigners(number int, name string, nowUnix func() int64) ([]note.Signer, error) {
	s, err := k.secretsOf(number)
	if err != nil {
		return nil, err
	}
	return ledger.WitnessSigners(name, s.Witness.Ed25519, s.Witness.MLDSA44, nowUnix)
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

// Mark is a keyed hash of data, HMAC-SHA-256 under a key that is derived of the store key: the same at each call, and nothing that
// anybody else can make or check.
func (k *Keyring) Mark(data []byte) envelope.Hash {
	mac := hmac.New(sha256.New, k.in().marking)
	mac.Write(data)
	return envelope.Hash(mac.Sum(nil))
}

// TLS are the self-signed certificates around the transport keys, by identity version, the same at each call. Their dates
// say nothing: peers pin the keys, and the identity says how long they hold.
func (k *Keyring) TLS() map[int]tls.Certificate {
	certs := map[int]tls.Certificate{}
	for _, v := range k.in().versions {
		if len(v.spki) > 0 {
			certs[v.number] = v.cert
		}
	}
	return certs
}

// Identity is the current identity version, unsigned, with every public key filled in.
func (k *Keyring) Identity(names map[string]string, authority string, now time.Time, validity time.Duration) party.Identity {
	return k.current().fill(k.Kind(), party.Identity{
		Names: maps.Clone(names), Authority: authority, Recovery: k.in().secrets.Recovery,
		NotBefore: now.UnixMicro(), NotAfter: now.Add(validity).UnixMicro(),
	})
}

// fill fills in what an identity says of a version's keys.
func (v *version) fill(storage string, i party.Identity) party.Identity {
	i.V, i.Version, i.KeyStorage = 1, v.number, storage
	i.Suites, i.Transport, i.Log, i.Witness = v.suites, bytes.Clone(v.spki), v.log, v.witness
	return i
}

// Format prints the kind of thing this is, whatever the verb.
func (k Keyring) Format(s fmt.State, _ rune) { io.WriteString(s, "keyring") }

// MarshalJSON encodes the same.
func (k Keyring) MarshalJSON() ([]byte, error) { return []byte(`"keyring"`), nil }

func (k *Keyring) in() *inner { return k.held().now.Load() }

func (k *Keyring) current() *version {
	in := k.in()
	return &in.versions[len(in.versions)-1]
}

func (k *Keyring) at(number int) (*version, bool) {
	in := k.in()
	for i := range in.versions {
		if in.versions[i].number == number {
			return &in.versions[i], true
		}
	}
	return nil, false
}

// signing is a version whose signature keys are there.
func (k *Keyring) signing(number int) (*version, error) {
	v, ok := k.at(number)
	if !ok || len(v.signers) == 0 {
		return nil, fault.New(fault.Internal, "identity_version", fmt.Sprintf("The keys of identity version %d sign nothing any more.", number))
	}
	return v, nil
}

func (k *Keyring) secretsOf(number int) (*versionSecrets, error) {
	if _, err := k.signing(number); err != nil {
		return nil, err
	}
	for i, s := range k.in().secrets.Versions {
		if s.Version == number {
			return &k.in().secrets.Versions[i], nil
		}
	}
	return nil, fault.New(fault.Internal, "identity_version", "The keyring does not know this version.")
}

// build opens the secrets of a file.
func build(path string, s secrets, l *sealer) (*Keyring, error) {
	in, err := assemble(s, l)
	if err != nil {
		return nil, err
	}
	h := &holder{path: path}
	h.now.Store(in)
	return &Keyring{hide(h)}, nil
}

// assemble makes the working keys of the seeds; it is where seeds of a wrong size are found.
func assemble(s secrets, l *sealer) (*inner, error) {
	in := &inner{secrets: s, sealer: l}
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
	if in.marking, err = hkdf.Key(sha256.New, s.Store, nil, "entente/marks", seedSize); err != nil {
		return nil, damaged("its store key is malformed", err)
	}
	return in, nil
}

func buildVersion(s versionSecrets) (version, error) {
	v := version{number: s.Version, openers: map[string]opener{}}
	if s.Destroyed != 0 {
		return v, nil
	}
	registry := envelope.Default()
	for _, ss := range s.Suites {
		suite, ok := registry.Suite(ss.Suite)
		if !ok || !s.Retired && len(ss.Sign) != len(suite.Schemes) {
			return v, fmt.Errorf("suite %q is unknown or has %d signature keys", ss.Suite, len(ss.Sign))
		}
		keys := envelope.SuiteKeys{Suite: suite.ID}
		for i, seed := range ss.Sign {
			made, err := suite.Schemes[i].FromSeed(seed)
			if err != nil {
				return v, fmt.Errorf("making the %s key: %w", suite.Schemes[i].Alg, err)
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
	if v.cert, v.spki, err = certificate(s.Transport); err != nil || s.Retired {
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
