package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"entente/envelope"
	"entente/internal/fault"
	"entente/party"
)

const (
	maxFile    = 1 << 20
	seedSize   = 32
	sealSeed   = 64 // input keying material of an HPKE key pair, RFC 9180 7.1.3
	saltSize   = 16
	fileLabel  = "entente/keyring/v1\x00" // binds the sealed part to this use
	fileFormat = 1
)

// file is keyring.json: how the lock's key is derived, and the secrets sealed under it by AES-256-GCM with a random
// nonce in front. Whoever changes the derivation changes the key, so that it needs no other protection.
type file struct {
	V      int        `json:"v"`
	Lock   derivation `json:"lock"`
	Sealed []byte     `json:"sealed"`
}

// secrets is what is sealed.
type secrets struct {
	V        int              `json:"v"`
	Store    []byte           `json:"store"`
	Versions []versionSecrets `json:"versions"`      // by identity version, oldest first; the last one is current
	Next     *versionSecrets  `json:"next,omitzero"` // of a version that waits for the recovery quorum's signatures
	Recovery party.Recovery   `json:"recovery"`      // public halves only, of version 1
}

// versionSecrets is the seeds of one identity version. What was destroyed is empty.
type versionSecrets struct {
	Version   int            `json:"version"`
	Suites    []suiteSecrets `json:"suites"`
	Transport []byte         `json:"transport"` // P-256 scalar
	Log       noteSecrets    `json:"log"`
	Witness   noteSecrets    `json:"witness"`
	Identity  []byte         `json:"identity,omitzero"`  // encoded envelope of the version; that of version 1 is kept by the database alone
	Retired   bool           `json:"retired,omitzero"`   // its signature, log and witness keys are destroyed
	Destroyed int64          `json:"destroyed,omitzero"` // when the others were, too: UTC microseconds
}

// retire destroys what signs.
func (v *versionSecrets) retire() {
	v.Retired = true
	v.Suites = slices.Clone(v.Suites)
	for i := range v.Suites {
		v.Suites[i].Sign = nil
	}
	v.Log, v.Witness = noteSecrets{}, noteSecrets{}
}

// destroy destroys the rest.
func (v *versionSecrets) destroy(at int64) {
	v.retire()
	v.Suites, v.Transport, v.Destroyed = nil, nil, at
}

type suiteSecrets struct {
	Suite string   `json:"suite"`
	Sign  [][]byte `json:"sign"` // in the order of the suite's schemes
	Seal  []byte   `json:"seal"`
}

type noteSecrets struct {
	Ed25519 []byte `json:"ed25519"`
	MLDSA44 []byte `json:"mldsa44"`
}

func (s *secrets) current() *versionSecrets { return &s.Versions[len(s.Versions)-1] }

// check refuses what build could not use.
func (s *secrets) check() error {
	if s.V != fileFormat {
		return fmt.Errorf("format %d is not known", s.V)
	}
	if len(s.Store) != seedSize || len(s.Versions) == 0 {
		return errors.New("store key or versions are missing")
	}
	for i, v := range s.Versions {
		if v.Version < 1 || i > 0 && v.Version <= s.Versions[i-1].Version {
			return errors.New("versions are out of order")
		}
		if len(v.Suites) == 0 && v.Destroyed == 0 {
			return fmt.Errorf("version %d has no suite", v.Version)
		}
	}
	if s.current().Retired {
		return errors.New("the current version cannot sign")
	}
	if s.Next != nil && s.Next.Version != s.current().Version+1 {
		return errors.New("the version that waits is not the next one")
	}
	return nil
}

func newSecrets(random io.Reader) (secrets, error) {
	first, err := newVersion(random, 1)
	if err != nil {
		return secrets{}, err
	}
	store := make([]byte, seedSize)
	if _, err := io.ReadFull(random, store); err != nil {
		return secrets{}, unavailable("reading randomness", err)
	}
	return secrets{V: fileFormat, Store: store, Versions: []versionSecrets{first}}, nil
}

func newVersion(random io.Reader, number int) (versionSecrets, error) {
	seeds := &seedReader{random: random}
	suite, ok := envelope.Default().Suite(envelope.SuiteINT1)
	if !ok {
		return versionSecrets{}, fault.New(fault.Internal, "suite", "The default suite is missing from this build.")
	}
	keys := suiteSecrets{Suite: suite.ID, Seal: seeds.next(sealSeed)}
	for range suite.Schemes {
		keys.Sign = append(keys.Sign, seeds.next(seedSize))
	}
	v := versionSecrets{
		Version:   number,
		Suites:    []suiteSecrets{keys},
		Transport: seeds.scalar(),
		Log:       noteSecrets{seeds.next(seedSize), seeds.next(seedSize)},
		Witness:   noteSecrets{seeds.next(seedSize), seeds.next(seedSize)},
	}
	if seeds.err != nil {
		return versionSecrets{}, unavailable("reading randomness", seeds.err)
	}
	return v, nil
}

// seedReader reads seeds and remembers the first failure.
type seedReader struct {
	random io.Reader
	err    error
}

func (r *seedReader) next(n int) []byte {
	seed := make([]byte, n)
	if r.err == nil {
		_, r.err = io.ReadFull(r.random, seed)
	}
	return seed
}

// scalar reads until it has a P-256 private scalar; one reading in 2³² is refused.
func (r *seedReader) scalar() []byte {
	for {
		seed := r.next(seedSize)
		if _, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed); err == nil || r.err != nil {
			return seed
		}
	}
}

// sealer is a lock that was opened: it seals the keyring anew without asking for the passphrase again.
type sealer struct {
	lock derivation
	aead cipher.AEAD
}

func (l Lock) sealer(d derivation) (*sealer, error) {
	key, err := l.key(d)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &sealer{d, aead}, nil
}

func (l Lock) newSealer(random io.Reader) (*sealer, error) {
	d, err := l.newDerivation(random)
	if err != nil {
		return nil, err
	}
	return l.sealer(d)
}

func (l *sealer) seal(s secrets) (*file, error) {
	plain, err := envelope.Marshal(s)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "keyring_encode", "The keyring could not be encoded.", err)
	}
	return &file{V: fileFormat, Lock: l.lock, Sealed: l.aead.Seal(nil, nil, plain, []byte(fileLabel))}, nil
}

// open opens the sealed part. A failure says that the passphrase or key file is wrong: a damaged file looks the same.
func (f *file) open(lock Lock) (secrets, *sealer, error) {
	l, err := lock.sealer(f.Lock)
	if err != nil {
		return secrets{}, nil, err
	}
	plain, err := l.aead.Open(nil, nil, f.Sealed, []byte(fileLabel))
	if err != nil {
		return secrets{}, nil, lock.refused(err)
	}
	var s secrets
	if envelope.Unmarshal(plain, &s) != nil { // the cause may quote what it could not read
		return secrets{}, nil, damaged("its sealed part is malformed", nil)
	}
	if err := s.check(); err != nil {
		return secrets{}, nil, damaged("its sealed part is incomplete", err)
	}
	return s, l, nil
}

func (f *file) encode() ([]byte, error) {
	data, err := envelope.Marshal(f)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "keyring_encode", "The keyring could not be encoded.", err)
	}
	return append(data, '\n'), nil
}

// decodeFile parses keyring.json strictly, before any work is spent on its derivation.
func decodeFile(data []byte) (*file, error) {
	var f file
	if err := envelope.Unmarshal(bytes.TrimSuffix(data, []byte("\n")), &f); err != nil {
		return nil, damaged("it is malformed", err)
	}
	if f.V != fileFormat {
		return nil, damaged(fmt.Sprintf("format %d is not known to this version of the program", f.V), nil)
	}
	if err := f.Lock.check(); err != nil {
		return nil, damaged("how it is locked is out of bounds", err)
	}
	return &f, nil
}

// newAEAD is AES-256-GCM with random nonces, each in front of what it seals.
func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != seedSize {
		return nil, errors.New("an AES-256 key has 32 bytes")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", filepath.Base(path), limit)
	}
	return data, err
}

// writeDurably replaces path by data: after a crash at any moment the file is the old one or the new one, whole.
func writeDurably(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keyring-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir durable; Windows has no such call and needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
