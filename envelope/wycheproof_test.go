package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"entente/envelope"
	"entente/internal/testenv"
)

// octets is hexadecimal in the files of Project Wycheproof.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

// wycheproof reads a file of vectors whose tests are T and whose groups are G.
func wycheproof[G any](t *testing.T, file string) []G {
	t.Helper()
	data, err := os.ReadFile(testenv.Data(t, "wycheproof", file))
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ TestGroups []G }
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v.TestGroups
}

// wycheproofCase is what all tests have in common.
type wycheproofCase struct {
	TcID    int `json:"tcId"`
	Comment string
	Result  string // valid, invalid or acceptable
}

// check compares; "acceptable" leaves the choice.
func (c wycheproofCase) check(t *testing.T, accepted bool) {
	t.Helper()
	if c.Result != "acceptable" && accepted != (c.Result == "valid") {
		t.Errorf("test %d (%s) is %s, accepted: %t", c.TcID, c.Comment, c.Result, accepted)
	}
}

// atLeast guards against vectors that were silently not run.
func atLeast(t *testing.T, ran, want int) {
	t.Helper()
	if ran < want {
		t.Errorf("only %d vectors ran, of %d at least", ran, want)
	}
}

type signatureCase struct {
	wycheproofCase
	Msg, Sig octets
	Ctx      octets
}

func checkSignatures(t *testing.T, alg string, public []byte, tests []signatureCase) (ran int) {
	t.Helper()
	registry := envelope.Default()
	key := envelope.PublicKey{Alg: alg, Key: public}
	scheme, ok := registry.Scheme(alg)
	if !ok {
		t.Fatalf("no scheme %s", alg)
	}
	for _, tt := range tests {
		if len(tt.Ctx) != 0 {
			continue // our signatures have an empty context
		}
		ran++
		tt.check(t, len(public) == scheme.PublicKeySize && len(tt.Sig) == scheme.SignatureSize && scheme.Verify(public, tt.Msg, tt.Sig))

		// The same signature over the wrong bytes: DSSE signs its encoding, never the bare payload.
		e := &envelope.Envelope{PayloadType: testType, Payload: tt.Msg, Signatures: []envelope.Signature{{KeyID: key.KeyID(), Sig: tt.Sig}}}
		if _, err := registry.Verify(e, testType, envelope.KeySet{Keys: []envelope.PublicKey{key}}); err == nil {
			t.Errorf("test %d: a signature over the bare payload was accepted", tt.TcID)
		}
	}
	return ran
}

func TestWycheproofEd25519(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		PublicKey struct{ Pk octets }
		Tests     []signatureCase
	}](t, "ed25519_test.json") {
		ran += checkSignatures(t, envelope.AlgEd25519, g.PublicKey.Pk, g.Tests)
	}
	atLeast(t, ran, 150)
}

func TestWycheproofMLDSA65(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		PublicKey octets
		Tests     []signatureCase
	}](t, "mldsa_65_verify_test.json") {
		ran += checkSignatures(t, envelope.AlgMLDSA65, g.PublicKey, g.Tests)
	}
	atLeast(t, ran, 190)
}

func TestWycheproofAESGCM(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		KeySize, IvSize, TagSize int
		Tests                    []struct {
			wycheproofCase
			Key, Iv, Aad, Msg, Ct, Tag octets
		}
	}](t, "aes_gcm_test.json") {
		if g.KeySize != 256 || g.IvSize != 96 || g.TagSize != 128 {
			continue // not used here
		}
		for _, tt := range g.Tests {
			ran++
			block, err := aes.NewCipher(tt.Key)
			if err != nil {
				t.Fatal(err)
			}
			aead, err := cipher.NewGCMWithRandomNonce(block)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := aead.Open(nil, nil, bytes.Join([][]byte{tt.Iv, tt.Ct, tt.Tag}, nil), tt.Aad)
			tt.check(t, err == nil && bytes.Equal(plain, tt.Msg))
		}
	}
	atLeast(t, ran, 60)
}

func TestWycheproofX25519(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		Tests []struct {
			wycheproofCase
			Public, Private, Shared octets
		}
	}](t, "x25519_test.json") {
		for _, tt := range g.Tests {
			ran++
			private, err := ecdh.X25519().NewPrivateKey(tt.Private)
			if err != nil {
				t.Fatal(err)
			}
			public, err := ecdh.X25519().NewPublicKey(tt.Public)
			if err != nil {
				tt.check(t, false)
				continue
			}
			shared, err := private.ECDH(public)
			if err == nil && !bytes.Equal(shared, tt.Shared) {
				t.Errorf("test %d (%s): another secret", tt.TcID, tt.Comment)
			}
			tt.check(t, err == nil)
		}
	}
	atLeast(t, ran, 500)
}

func TestWycheproofMLKEM768(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		Tests []struct {
			wycheproofCase
			Seed, Ek, C, K octets
		}
	}](t, "mlkem_768_test.json") {
		for _, tt := range g.Tests {
			ran++
			key, err := mlkem.NewDecapsulationKey768(tt.Seed)
			if err != nil {
				tt.check(t, false)
				continue
			}
			_, err = mlkem.NewEncapsulationKey768(tt.Ek)
			if err != nil || !bytes.Equal(key.EncapsulationKey().Bytes(), tt.Ek) {
				tt.check(t, false)
				continue
			}
			secret, err := key.Decapsulate(tt.C)
			tt.check(t, err == nil && bytes.Equal(secret, tt.K))
		}
	}
	atLeast(t, ran, 190)
}

func TestWycheproofHKDF(t *testing.T) {
	ran := 0
	for _, g := range wycheproof[struct {
		Tests []struct {
			wycheproofCase
			Ikm, Salt, Info, Okm octets
			Size                 int
		}
	}](t, "hkdf_sha384_test.json") {
		for _, tt := range g.Tests {
			ran++
			prk, err := hkdf.Extract(sha512.New384, tt.Ikm, tt.Salt)
			if err != nil {
				t.Fatal(err)
			}
			okm, err := hkdf.Expand(sha512.New384, prk, string(tt.Info), tt.Size)
			tt.check(t, err == nil && bytes.Equal(okm, tt.Okm))
		}
	}
	atLeast(t, ran, 80)
}
