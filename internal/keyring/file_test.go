package keyring

import (
	"bytes"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/fault"

	"github.com/google/go-cmp/cmp"
)

// TestPassphraseKnownAnswer uses a vector of the Argon2 reference implementation (test.c, Argon2id, version 0x13).
func TestPassphraseKnownAnswer(t *testing.T) {
	key, err := Passphrase("password").key(derivation{Kind: kindPassphrase, Salt: []byte("somesalt"), Cost: &cost{Time: 2, Memory: 65536, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key); got != "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7" {
		t.Errorf("key %s", got)
	}
}

// TestKeyFileKnownAnswer computes RFC 5869 by hand: extract, then the first block of expand.
func TestKeyFileKnownAnswer(t *testing.T) {
	secret := bytes.Repeat([]byte{0x0b}, 32)
	path := filepath.Join(t.TempDir(), "unlock.key")
	if err := os.WriteFile(path, []byte(strings.Repeat("0B", 32)+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	salt := []byte("0123456789abcdef")
	key, err := KeyFile(path).key(derivation{Kind: kindKeyFile, Salt: salt})
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte, data ...byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(data)
		return h.Sum(nil)
	}
	if want := mac(mac(salt, secret...), append([]byte("entente/keyring/v1\x00"), 1)...); !bytes.Equal(key, want) {
		t.Errorf("key %x, want %x", key, want)
	}
}

// TestOlderVersionStillOpens rotates by hand: the new version signs, the old one still opens.
func TestOlderVersionStillOpens(t *testing.T) {
	first, err := newSecrets(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	second, err := newSecrets(rand.NewChaCha8([32]byte{2}))
	if err != nil {
		t.Fatal(err)
	}
	old, err := build("", first, nil)
	if err != nil {
		t.Fatal(err)
	}
	second.Versions[0].Version = 2
	first.Versions = append(first.Versions, second.Versions[0])
	k, err := build("", first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if k.Version() != 2 || k.Signers()[0].Public().KeyID() == old.Signers()[0].Public().KeyID() {
		t.Error("the old version still signs")
	}
	suite, _ := envelope.Default().Suite(envelope.SuiteINT1)
	for _, v := range k.in().versions {
		public, err := suite.KEM().NewPublicKey(v.suites[0].Seal)
		if err != nil {
			t.Fatal(err)
		}
		stanza, err := hpke.Seal(public, suite.KDF(), suite.AEAD(), nil, []byte{byte(v.number)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Opener().Open(suite.ID, v.number, nil, stanza); err != nil || got[0] != byte(v.number) {
			t.Errorf("version %d: %v, %v", v.number, got, err)
		}
		if _, err := k.Opener().Open(suite.ID, 3-v.number, nil, stanza); fault.CodeOf(err) != "unwrap" {
			t.Errorf("version %d opens what was sealed for the other: %v", 3-v.number, err)
		}
	}
}

func seal(s secrets, lock Lock) (*file, error) {
	l, err := lock.newSealer(rand.NewChaCha8([32]byte{}))
	if err != nil {
		return nil, err
	}
	return l.seal(s)
}

func TestIncompleteSecretsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unlock.key")
	if err := WriteKeyFile(path, rand.NewChaCha8([32]byte{})); err != nil {
		t.Fatal(err)
	}
	lock := KeyFile(path)
	for name, change := range map[string]func(*secrets){
		"format":             func(s *secrets) { s.V = 2 },
		"store key":          func(s *secrets) { s.Store = s.Store[:16] },
		"no version":         func(s *secrets) { s.Versions = nil },
		"version 0":          func(s *secrets) { s.Versions[0].Version = 0 },
		"version twice":      func(s *secrets) { s.Versions = append(s.Versions, s.Versions[0]) },
		"no suite":           func(s *secrets) { s.Versions[0].Suites = nil },
		"unknown suite":      func(s *secrets) { s.Versions[0].Suites[0].Suite = "XX-1" },
		"one signature key":  func(s *secrets) { s.Versions[0].Suites[0].Sign = s.Versions[0].Suites[0].Sign[:1] },
		"short seed":         func(s *secrets) { s.Versions[0].Suites[0].Sign[1] = []byte("short") },
		"transport scalar 0": func(s *secrets) { s.Versions[0].Transport = make([]byte, 32) },
		"log seed":           func(s *secrets) { s.Versions[0].Log.MLDSA44 = nil },
		"witness seed":       func(s *secrets) { s.Versions[0].Witness.Ed25519 = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newSecrets(rand.NewChaCha8([32]byte{}))
			if err != nil {
				t.Fatal(err)
			}
			change(&s)
			f, err := seal(s, lock)
			if err != nil {
				t.Fatal(err)
			}
			data, err := f.encode()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "keyring.json")
			if err := writeDurably(file, data); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(file, lock); fault.CodeOf(err) != "keyring_damaged" {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// FuzzOpen: whatever is read is either refused or encodes to what decodes to the same.
func FuzzOpen(f *testing.F) {
	s, err := newSecrets(rand.NewChaCha8([32]byte{}))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "unlock.key")
	if err := WriteKeyFile(path, rand.NewChaCha8([32]byte{})); err != nil {
		f.Fatal(err)
	}
	lock := KeyFile(path)
	good, err := seal(s, lock)
	if err != nil {
		f.Fatal(err)
	}
	data, err := good.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"v":1,"lock":{"kind":"argon2id","salt":"AAAAAAAAAAAAAAAAAAAAAA==","cost":{"time":3,"memory":65536,"threads":4}},"sealed":"AA=="}`))
	f.Add([]byte(`{"v":1,"lock":{"kind":"hkdf-sha256","salt":"AAAAAAAAAAAAAAAAAAAAAA=="},"sealed":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := decodeFile(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("refused without a sentence: %v", err)
			}
			return
		}
		first, err := file.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeFile(first)
		if err != nil {
			t.Fatalf("what was accepted is refused when encoded: %v", err)
		}
		if second, err := again.encode(); err != nil || !bytes.Equal(first, second) {
			t.Errorf("no round trip: %v", err)
		}
		if file.Lock.Kind == kindKeyFile {
			if got, _, err := file.open(lock); err == nil && !cmp.Equal(got, s) {
				t.Error("something was opened that was never sealed")
			}
		}
	})
}
