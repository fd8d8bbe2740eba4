package keyring_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/ledger"
	"entente/party"

	"github.com/google/go-cmp/cmp"
)

var _ flow.Keys = (*keyring.Keyring)(nil)

// recorder is a random source that remembers what it gave out.
type recorder struct {
	source *rand.ChaCha8
	given  [][]byte
}

func newRecorder(seed byte) *recorder {
	return &recorder{source: rand.NewChaCha8([32]byte{seed})}
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	r.given = append(r.given, bytes.Clone(p[:n]))
	return n, err
}

type made struct {
	keys   *keyring.Keyring
	shares []keyring.Share
	path   string
	lock   keyring.Lock
	random *recorder
}

func create(t *testing.T) made {
	t.Helper()
	dir := t.TempDir()
	m := made{path: filepath.Join(dir, "keyring.json"), random: newRecorder(1)}
	keyFile := filepath.Join(dir, "unlock.key")
	if err := keyring.WriteKeyFile(keyFile, m.random); err != nil {
		t.Fatal(err)
	}
	m.lock = keyring.KeyFile(keyFile)
	var err error
	if m.keys, m.shares, err = keyring.Create(m.path, m.lock, m.random); err != nil {
		t.Fatal(err)
	}
	return m
}

func wantFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Fatalf("error %v (%s, %s), want kind %s, code %s", err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

func identity(k *keyring.Keyring) party.Identity {
	return k.Identity(map[string]string{"en": "Arvenia", "zh": "阿维尼亚"}, "National Cyber Centre of Arvenia",
		time.UnixMicro(1_780_000_000_000_000), 365*24*time.Hour)
}

func TestOpenGivesTheSameKeys(t *testing.T) {
	m := create(t)
	again, err := keyring.Open(m.path, m.lock)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identity(m.keys), identity(again)); diff != "" {
		t.Errorf("the reopened keyring has other keys:\n%s", diff)
	}
	wrapped, err := m.keys.Wrap([]byte("a statement's key"), []byte("place"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Unwrap(wrapped, []byte("place")); err != nil || string(got) != "a statement's key" {
		t.Errorf("Unwrap = %q, %v", got, err)
	}
	if info, err := os.Stat(m.path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the keyring is %v, want 0600 (%v)", info.Mode(), err)
	}
}

func TestCreateRefusesToOverwrite(t *testing.T) {
	m := create(t)
	before, _ := os.ReadFile(m.path)
	_, _, err := keyring.Create(m.path, m.lock, m.random)
	wantFault(t, err, fault.Conflict, "keyring_exists")
	if after, _ := os.ReadFile(m.path); !bytes.Equal(before, after) {
		t.Error("the keyring was touched")
	}
	wantFault(t, keyring.WriteKeyFile(filepath.Join(filepath.Dir(m.path), "unlock.key"), m.random), fault.Conflict, "key_file_exists")
}

func TestIdentitySignsAndVerifies(t *testing.T) {
	m := create(t)
	id := identity(m.keys)
	if err := id.Validate(envelope.Default()); err != nil {
		t.Fatal(err)
	}
	if id.KeyStorage != "software" || id.Version != 1 || id.Recovery.Need != 2 || len(id.Recovery.Keys) != 3 {
		t.Errorf("identity: %+v", id)
	}
	signed, err := party.Create(id, m.keys.Signers()...)
	if err != nil {
		t.Fatal(err)
	}
	data, err := signed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := party.Verify(envelope.Default(), [][]byte{data})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(id, *chain.Latest()); diff != "" {
		t.Error(diff)
	}
}

func TestOpener(t *testing.T) {
	m := create(t)
	keys := identity(m.keys).Suites[0]
	suite, _ := envelope.Default().Suite(keys.Suite)
	public, err := suite.KEM().NewPublicKey(keys.Seal)
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{7}, 32)
	stanza, err := hpke.Seal(public, suite.KDF(), suite.AEAD(), []byte("place"), secret)
	if err != nil {
		t.Fatal(err)
	}
	open := m.keys.Opener()
	if got, err := open.Open(keys.Suite, 1, []byte("place"), stanza); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("Open = %x, %v", got, err)
	}
	stanza[len(stanza)-1] ^= 1
	_, err = open.Open(keys.Suite, 1, []byte("place"), stanza)
	wantFault(t, err, fault.Invalid, "unwrap")
	stanza[len(stanza)-1] ^= 1
	_, err = open.Open(keys.Suite, 1, []byte("elsewhere"), stanza)
	wantFault(t, err, fault.Invalid, "unwrap")
	_, err = open.Open(keys.Suite, 1, []byte("place"), nil)
	wantFault(t, err, fault.Invalid, "unwrap")
	_, err = open.Open("XX-1", 1, []byte("place"), stanza)
	wantFault(t, err, fault.Invalid, "suite")
	_, err = open.Open(keys.Suite, 2, []byte("place"), stanza)
	wantFault(t, err, fault.Invalid, "identity_version")
}

// TestMark: a mark is the same at each call and after the keyring was opened again, and another keyring makes another.
func TestMark(t *testing.T) {
	m := create(t)
	other, _, err := keyring.Create(filepath.Join(t.TempDir(), "keyring.json"), m.lock, newRecorder(2))
	if err != nil {
		t.Fatal(err)
	}
	mark := m.keys.Mark([]byte("data"))
	again, err := keyring.Open(m.path, m.lock)
	if err != nil {
		t.Fatal(err)
	}
	if again.Mark([]byte("data")) != mark || m.keys.Mark([]byte("other data")) == mark || other.Mark([]byte("data")) == mark {
		t.Error("marks are not those of the data and the keyring")
	}
}

func TestWrapIsBoundToItsPlace(t *testing.T) {
	m := create(t)
	wrapped, err := m.keys.Wrap(make([]byte, 32), []byte("statement 1"))
	if err != nil {
		t.Fatal(err)
	}
	second, _ := m.keys.Wrap(make([]byte, 32), []byte("statement 1"))
	if bytes.Equal(wrapped, second) {
		t.Error("a nonce was used twice")
	}
	_, err = m.keys.Unwrap(wrapped, []byte("statement 2"))
	wantFault(t, err, fault.Invalid, "wrapped_key")
	_, err = m.keys.Unwrap(nil, []byte("statement 1"))
	wantFault(t, err, fault.Invalid, "wrapped_key")
	for i := range wrapped {
		tampered := bytes.Clone(wrapped)
		tampered[i] ^= 1
		if _, err := m.keys.Unwrap(tampered, []byte("statement 1")); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
}

func TestLogAndWitnessSigners(t *testing.T) {
	m := create(t)
	id := identity(m.keys)
	self := envelope.Sum([]byte("self"))
	origin := ledger.Origin(envelope.Sum([]byte("link")), self, 1)
	signers, err := m.keys.LogSigners(1, origin)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := ledger.SignCheckpoint(origin, 1, ledgerRoot(), signers...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenCheckpoint(checkpoint.Note, origin, id.Log); err != nil {
		t.Errorf("the identity's log keys do not verify: %v", err)
	}
	name := ledger.WitnessName(self)
	witness, err := m.keys.WitnessSigners(1, name, func() int64 { return 1_780_000_000 })
	if err != nil {
		t.Fatal(err)
	}
	lines, err := ledger.Cosign(checkpoint, witness...)
	if err != nil {
		t.Fatal(err)
	}
	if _, at, err := ledger.AddCosignatures(checkpoint, lines, name, id.Witness); err != nil || at != 1_780_000_000 {
		t.Errorf("AddCosignatures: time %d, %v", at, err)
	}
}

func ledgerRoot() envelope.Hash { return envelope.SegmentHash([]byte("leaf")) }

func TestTLS(t *testing.T) {
	m := create(t)
	first := m.keys.TLS()[1]
	reopened, err := keyring.Open(m.path, m.lock)
	if err != nil {
		t.Fatal(err)
	}
	second := reopened.TLS()[1]
	if !bytes.Equal(first.Certificate[0], second.Certificate[0]) {
		t.Error("the certificate differs from start to start")
	}
	cert, err := x509.ParseCertificate(first.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(cert.RawSubjectPublicKeyInfo, identity(m.keys).Transport) {
		t.Error("the identity names another transport key")
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Error(err)
	}
	if _, out := first.PrivateKey.(*ecdsa.PrivateKey); out {
		t.Error("the private key left the keyring")
	}
	if strings.Contains(cert.Subject.String()+cert.Issuer.String(), "Arvenia") {
		t.Error("the certificate names the party to anyone who asks")
	}
}

func TestWrongLock(t *testing.T) {
	m := create(t)
	other := filepath.Join(t.TempDir(), "other.key")
	if err := keyring.WriteKeyFile(other, newRecorder(9)); err != nil {
		t.Fatal(err)
	}
	open := func(path string, content string, mode os.FileMode) keyring.Lock {
		p := filepath.Join(t.TempDir(), path)
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return keyring.KeyFile(p)
	}
	digits := strings.Repeat("5a", 32)
	for _, c := range []struct {
		name string
		lock keyring.Lock
		kind fault.Kind
		code string
	}{
		{"another key file", keyring.KeyFile(other), fault.Forbidden, "key_file"},
		{"no key file", keyring.KeyFile(filepath.Join(t.TempDir(), "none")), fault.Unavailable, "key_file"},
		{"a passphrase", keyring.Passphrase("correct horse battery"), fault.Forbidden, "key_file"},
		{"nothing", keyring.Lock{}, fault.Forbidden, "key_file"},
		{"short key file", open("k", digits[:62], 0o600), fault.Invalid, "key_file"},
		{"no hexadecimal", open("k", "zz"+digits[2:], 0o600), fault.Invalid, "key_file"},
		{"too much in it", open("k", digits+"\n\n", 0o600), fault.Invalid, "key_file"},
		{"a big file", open("k", strings.Repeat(digits, 9), 0o600), fault.Unavailable, "key_file"},
		{"readable by others", open("k", digits, 0o644), fault.Forbidden, "key_file_mode"},
		{"readable by the group", open("k", digits, 0o640), fault.Forbidden, "key_file_mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := keyring.Open(m.path, c.lock)
			wantFault(t, err, c.kind, c.code)
			if strings.Contains(err.Error(), "5a5a") || strings.Contains(err.Error(), "correct horse") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestPassphraseAndRelock(t *testing.T) {
	m := create(t)
	phrase := keyring.Passphrase("correct horse battery")
	if err := m.keys.Relock(phrase, m.random); err != nil {
		t.Fatal(err)
	}
	again, err := keyring.Open(m.path, phrase)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(identity(m.keys), identity(again)); diff != "" {
		t.Error(diff)
	}
	_, err = keyring.Open(m.path, keyring.Passphrase("correct horse buttery"))
	wantFault(t, err, fault.Forbidden, "passphrase")
	_, err = keyring.Open(m.path, m.lock)
	wantFault(t, err, fault.Forbidden, "passphrase")

	before, _ := os.ReadFile(m.path)
	wantFault(t, again.Relock(keyring.Passphrase("short"), m.random), fault.Invalid, "passphrase_short")
	wantFault(t, again.Relock(keyring.Lock{}, m.random), fault.Invalid, "lock")
	if after, _ := os.ReadFile(m.path); !bytes.Equal(before, after) {
		t.Error("a refused lock changed the file")
	}
	if err := again.Relock(m.lock, m.random); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(m.path, m.lock); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(m.path), ".keyring-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestDamagedFile(t *testing.T) {
	m := create(t)
	good, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	for name, c := range map[string]struct {
		data []byte
		code string
	}{
		"empty":          {nil, "keyring_damaged"},
		"cut short":      {good[:len(good)/2], "keyring_damaged"},
		"trailing":       {append(bytes.Clone(good), "{}"...), "keyring_damaged"},
		"newer format":   {edit(`"v":1`, `"v":2`), "keyring_damaged"},
		"unknown member": {edit(`"v":1`, `"v":1,"x":1`), "keyring_damaged"},
		"unknown lock":   {edit(`hkdf-sha256`, `rot13`), "keyring_damaged"},
		"no salt":        {edit(`"salt":"`, `"salt":"","was":"`), "keyring_damaged"},
		"endless work": {edit(`"kind":"hkdf-sha256"`, `"kind":"argon2id","cost":{"time":4294967295,"memory":65536,"threads":1}`),
			"keyring_damaged"},
		"much memory": {edit(`"kind":"hkdf-sha256"`, `"kind":"argon2id","cost":{"time":1,"memory":4294967295,"threads":1}`), "keyring_damaged"},
		"no lanes":    {edit(`"kind":"hkdf-sha256"`, `"kind":"argon2id","cost":{"time":1,"memory":65536,"threads":0}`), "keyring_damaged"},
		"one bit":     {flip(good), "key_file"},
		"too large":   {append(bytes.Clone(good), bytes.Repeat([]byte(" "), 1<<20)...), "keyring_io"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keyring.json")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := keyring.Open(path, m.lock)
			if err == nil || fault.CodeOf(err) != c.code {
				t.Fatalf("Open: %v (%s), want code %s", err, fault.CodeOf(err), c.code)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(after, c.data) {
				t.Error("reading changed the file")
			}
		})
	}
	_, err = keyring.Open(filepath.Join(t.TempDir(), "none"), m.lock)
	wantFault(t, err, fault.NotFound, "keyring_missing")
}

// flip changes one base64 digit of the sealed part to another.
func flip(data []byte) []byte {
	out := bytes.Clone(data)
	i := bytes.Index(out, []byte(`"sealed":"`)) + 40
	if out[i] == 'A' {
		out[i] = 'B'
	} else {
		out[i] = 'A'
	}
	return out
}

func TestRandomFails(t *testing.T) {
	m := create(t)
	for n := range 14 {
		path := filepath.Join(t.TempDir(), "keyring.json")
		_, _, err := keyring.Create(path, m.lock, io.LimitReader(rand.NewChaCha8([32]byte{}), int64(n)*32))
		wantFault(t, err, fault.Unavailable, "keyring_io")
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("a keyring was written with %d bytes of randomness", n*32)
		}
	}
}

// TestNothingSecretIsPrinted looks for every seed and salt that was drawn, in hexadecimal, base64, base32, decimal
// and raw, in everything that a program may print of a keyring.
func TestNothingSecretIsPrinted(t *testing.T) {
	m := create(t)
	const words = "correct horse battery"
	phrase := keyring.Passphrase(words)
	holder := struct {
		Keys   keyring.Keyring
		Ptr    *keyring.Keyring
		keys   keyring.Keyring
		Lock   keyring.Lock
		Shares []keyring.Share
		shares []keyring.Share
	}{*m.keys, m.keys, *m.keys, phrase, m.shares, m.shares}
	cert := m.keys.TLS()[1]
	shareSigner, err := m.shares[0].Signer()
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	for _, v := range []any{m.keys, *m.keys, holder, &holder, m.shares, m.shares[0], &m.shares[0], phrase, m.lock, m.keys.Signers(), m.keys.Opener(), cert.PrivateKey, shareSigner} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		if data, err := envelope.Marshal(v); err == nil {
			out.Write(data)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("keys", "value", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("keys", "value", v)
	}
	sealed, err := os.ReadFile(m.path)
	if err != nil {
		t.Fatal(err)
	}
	printed := out.String() + string(sealed)
	salt := m.random.given[len(m.random.given)-1] // the only one drawn that may stand in the file
	for _, drawn := range m.random.given {
		if bytes.Equal(drawn, salt) {
			continue
		}
		for _, form := range []string{
			string(drawn), hex.EncodeToString(drawn), strings.ToUpper(hex.EncodeToString(drawn)),
			strings.TrimRight(base64.StdEncoding.EncodeToString(drawn), "=")[:20], base32.StdEncoding.EncodeToString(drawn)[:20],
			strings.Trim(fmt.Sprint(drawn), "[]"), fmt.Sprintf("%q", drawn),
		} {
			if strings.Contains(printed, form) {
				t.Fatalf("a secret was printed, as %.12q…", form)
			}
		}
	}
	if strings.Contains(printed, words) || strings.Contains(printed, hex.EncodeToString([]byte(words))) {
		t.Error("the passphrase was printed")
	}
	if !strings.Contains(printed, "keyring") || !strings.Contains(printed, "recovery key 1 of 3") {
		t.Error("nothing was printed at all")
	}
}

func TestRecoveryShares(t *testing.T) {
	m := create(t)
	recovery := identity(m.keys).Recovery
	for i, s := range m.shares {
		text := s.Printable()
		for name, typed := range map[string]string{
			"as printed":    text,
			"lower case":    strings.ToLower(text),
			"hyphens":       strings.ReplaceAll(strings.SplitN(text, "\n", 2)[1], " ", "-"),
			"windows lines": strings.ReplaceAll(text, "\n", "\r\n"),
		} {
			read, err := keyring.ParseShare(typed)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			signer, err := read.Signer()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(recovery.Keys[i], signer.Public()); diff != "" {
				t.Errorf("%s: share %d is another key than the identity names:\n%s", name, i+1, diff)
			}
		}
		digits := strings.SplitN(text, "\n", 2)[1]
		for j, r := range digits {
			if r == ' ' || r == '\n' {
				continue
			}
			other := "A"
			if r == 'A' {
				other = "B"
			}
			if _, err := keyring.ParseShare(digits[:j] + other + digits[j+1:]); err == nil {
				t.Fatalf("digit %d was misread and nobody noticed", j)
			} else if strings.Contains(err.Error(), digits[:4]) {
				t.Fatalf("the error quotes the share: %v", err)
			}
		}
	}
	reopened, err := keyring.Open(m.path, m.lock)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(recovery, identity(reopened).Recovery); diff != "" {
		t.Errorf("the recovery keys changed:\n%s", diff)
	}
}

func FuzzParseShare(f *testing.F) {
	_, shares, err := keyring.Create(filepath.Join(f.TempDir(), "keyring.json"), lockIn(f), newRecorder(3))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range shares {
		f.Add(s.Printable())
	}
	f.Add("")
	f.Add("# nothing\nAAAA-AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := keyring.ParseShare(text)
		if err != nil {
			return
		}
		again, err := keyring.ParseShare(s.Printable())
		if err != nil || again.Printable() != s.Printable() {
			t.Errorf("no round trip: %v", err)
		}
	})
}

func lockIn(tb testing.TB) keyring.Lock {
	path := filepath.Join(tb.TempDir(), "unlock.key")
	if err := keyring.WriteKeyFile(path, newRecorder(2)); err != nil {
		tb.Fatal(err)
	}
	return keyring.KeyFile(path)
}

func TestSignersSign(t *testing.T) {
	m := create(t)
	set := envelope.KeySet{Name: "self", Keys: identity(m.keys).Suites[0].Sign}
	signed, err := envelope.Sign("application/x-test", []byte("payload"), m.keys.Signers()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envelope.Default().Verify(signed, "application/x-test", set); err != nil {
		t.Error(err)
	}
	seeds := map[string]bool{}
	for _, k := range set.Keys {
		seeds[string(k.Key)] = true
	}
	id := identity(m.keys)
	for _, k := range [][]byte{id.Log.Ed25519, id.Witness.Ed25519, id.Log.MLDSA44, id.Witness.MLDSA44} {
		if seeds[string(k)] {
			t.Error("two uses share a key")
		}
		seeds[string(k)] = true
	}
	if len(id.Log.Ed25519) != ed25519.PublicKeySize {
		t.Errorf("log key of %d bytes", len(id.Log.Ed25519))
	}
}
