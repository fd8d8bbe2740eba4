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
	Versions []versionSecrets `json:"versions"` // by identity version, oldest first; the last one is current
	Recovery party.Recovery   `json:"recovery"` // public halves only
}

// versionSecrets is the seeds of one identity version.
type versionSecrets struct {
	Version   int            `json:"version"`
	Suites    []suiteSecrets `json:"suites"`
	Transport []byte         `json:"transport"` // P-256 scalar
	Log       noteSecrets    `json:"log"`
	Witness   noteSecrets    `json:"witness"`
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
		if len(v.Suites) == 0 {
			return fmt.Errorf("version %d has no suite", v.Version)
		}
	}
	return nil
}

func newSecrets(random io.Reader) (secrets, error) {
	seeds := &seedReader{random: random}
	suite, ok := envelope.Default().Suite(envelope.SuiteINT1)
	if !ok {
		return secrets{}, fault.New(fault.Internal, "suite", "The default suite is missing from this build.")
	}
	keys := suiteSecrets{Suite: suite.ID, Seal: seeds.next(sealSeed)}
	for range suite.Schemes {
		keys.Sign = append(keys.Sign, seeds.next(seedSize))
	}
	s := secrets{V: fileFormat, Store: seeds.next(seedSize), Versions: []versionSecrets{{
		Version:   1,
		Suites:    []suiteSecrets{keys},
		Transport: seeds.scalar(),
		Log:       noteSecrets{seeds.next(seedSize), seeds.next(seedSize)},
		Witness:   noteSecrets{seeds.next(seedSize), seeds.next(seedSize)},
	}}}
	if seeds.err != nil {
		return secrets{}, unavailable("reading randomness", seeds.err)
	}
	return s, nil
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

func sealFile(s secrets, lock Lock, random io.Reader) (*file, error) {
	plain, err := envelope.Marshal(s)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "keyring_encode", "The keyring could not be encoded.", err)
	}
	d, err := lock.newDerivation(random)
	if err != nil {
		return nil, err
	}
	key, err := lock.key(d)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &file{V: fileFormat, Lock: d, Sealed: aead.Seal(nil, nil, plain, []byte(fileLabel))}, nil
}

// open opens the sealed part. A failure says that the passphrase or key file is wrong: a damaged file looks the same.
func (f *file) open(lock Lock) (secrets, error) {
	key, err := lock.key(f.Lock)
	if err != nil {
		return secrets{}, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return secrets{}, err
	}
	plain, err := aead.Open(nil, nil, f.Sealed, []byte(fileLabel))
	if err != nil {
		return secrets{}, lock.refused(err)
	}
	var s secrets
	if envelope.Unmarshal(plain, &s) != nil { // the cause may quote what it could not read
		return secrets{}, damaged("its sealed part is malformed", nil)
	}
	if err := s.check(); err != nil {
		return secrets{}, damaged("its sealed part is incomplete", err)
	}
	return s, nil
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
