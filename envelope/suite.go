package envelope

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	_ "embed"
	"fmt"
	"slices"
	"strconv"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
)

// Scheme is one signature algorithm.
type Scheme struct {
	Alg           string
	PublicKeySize int // bytes
	SignatureSize int // bytes
	// Verifier reads a key of the size above, and gives what verifies signatures of that size with it, by many at a time.
	// Neither may ever panic on their content: nothing verifies with a key that cannot be read.
	Verifier func(public []byte) func(message, sig []byte) bool
	// FromSeed makes the private key from 32 bytes of seed; signing is deterministic.
	FromSeed func(seed []byte) (Signer, error)
}

// Verify says whether sig is the signature of message with the key; sizes are checked here.
func (s Scheme) Verify(public, message, sig []byte) bool { return s.verifier(public)(message, sig) }

// verifier is Verifier with a key and signatures of any size.
func (s Scheme) verifier(public []byte) func(message, sig []byte) bool {
	if len(public) != s.PublicKeySize {
		return func(_, _ []byte) bool { return false }
	}
	verify := s.Verifier(public)
	return func(message, sig []byte) bool { return len(sig) == s.SignatureSize && verify(message, sig) }
}

// Suite is one complete, independent cryptographic stack.
type Suite struct {
	ID      string   // "INT-1"
	Schemes []Scheme // every one of them signs
	KEM     func() hpke.KEM
	KDF     func() hpke.KDF
	AEAD    func() hpke.AEAD
	DEM     string // "FLOE-AES-256-GCM-1M"
	Answers []byte // known answers for Registry.SelfTest: Answers as JSON
}

const (
	// SuiteINT1 names the default suite.
	SuiteINT1 = "INT-1"
	// DEMFloe1M names content encryption by FLOE with AES-256-GCM in segments of 1 MiB.
	DEMFloe1M = "FLOE-AES-256-GCM-1M"
	// AlgEd25519 is RFC 8032; keys of 32 bytes, signatures of 64.
	AlgEd25519 = "ed25519"
	// AlgMLDSA65 is FIPS 204, pure, with an empty context; keys of 1952 bytes, signatures of 3309.
	AlgMLDSA65 = "ml-dsa-65"

	// SeedSize is the length of a signature key's seed, whatever the scheme.
	SeedSize = 32
)

//go:embed int1.json
var int1Answers []byte

// INT1 is the default suite: Ed25519 and ML-DSA-65 signatures; HPKE (RFC 9180) with MLKEM768-X25519, HKDF-SHA-256
// and AES-256-GCM; FLOE.
func INT1() Suite {
	return Suite{
		ID:      SuiteINT1,
		Schemes: []Scheme{schemeEd25519(), schemeMLDSA65()},
		KEM:     hpke.MLKEM768X25519,
		KDF:     hpke.HKDFSHA256,
		AEAD:    hpke.AES256GCM,
		DEM:     DEMFloe1M,
		Answers: int1Answers,
	}
}

// Registry is the suites that a verifier knows; the zero value knows none. It is never changed once made.
type Registry struct{ suites []Suite }

// Default knows INT-1 alone.
func Default() Registry { return NewRegistry(INT1()) }

// NewRegistry knows the given suites. Where two share an id or an algorithm's name, the first is the one that is found.
func NewRegistry(suites ...Suite) Registry { return Registry{suites: slices.Clone(suites)} }

// Suite finds a suite by id.
func (r Registry) Suite(id string) (Suite, bool) {
	for _, s := range r.suites {
		if s.ID == id {
			return s, true
		}
	}
	return Suite{}, false
}

// Scheme finds a signature scheme by its algorithm's name, in all suites.
func (r Registry) Scheme(alg string) (Scheme, bool) {
	for _, s := range r.suites {
		for _, scheme := range s.Schemes {
			if scheme.Alg == alg {
				return scheme, true
			}
		}
	}
	return Scheme{}, false
}

// SuiteKeys is one suite's public keys in an identity: every scheme's key in the suite's order, and the KEM key.
type SuiteKeys struct {
	Suite string      `json:"suite"`
	Sign  []PublicKey `json:"sign"`
	Seal  []byte      `json:"seal"`
}

// Check says whether k has exactly the keys that its suite asks for, each well-formed. Errors are *FormatError.
func (r Registry) Check(k SuiteKeys) error {
	_, _, err := r.parse(k)
	return err
}

// parse is Check, and gives the suite with its sealing key, which takes a while to expand.
func (r Registry) parse(k SuiteKeys) (suite Suite, seal hpke.PublicKey, err error) {
	suite, ok := r.Suite(k.Suite)
	if !ok {
		return suite, nil, &FormatError{What: fmt.Sprintf("unknown suite %q", k.Suite), Where: "/suite"}
	}
	if len(k.Sign) != len(suite.Schemes) {
		return suite, nil, &FormatError{What: fmt.Sprintf("%d signature keys where %s has %d", len(k.Sign), suite.ID, len(suite.Schemes)), Where: "/sign"}
	}
	for i, scheme := range suite.Schemes {
		where := "/sign/" + strconv.Itoa(i)
		if k.Sign[i].Alg != scheme.Alg {
			return suite, nil, &FormatError{What: fmt.Sprintf("algorithm %q instead of %q", k.Sign[i].Alg, scheme.Alg), Where: where + "/alg"}
		}
		if len(k.Sign[i].Key) != scheme.PublicKeySize {
			return suite, nil, &FormatError{What: "public key of the wrong length", Where: where + "/key"}
		}
	}
	if seal, err = suite.KEM().NewPublicKey(k.Seal); err != nil {
		return suite, nil, &FormatError{What: "malformed sealing key", Where: "/seal", Err: err}
	}
	return suite, seal, nil
}

// keySigner is a private key in memory, whatever its scheme.
type keySigner struct {
	public PublicKey
	sign   func(message []byte) ([]byte, error)
}

func (k keySigner) Public() PublicKey {
	return PublicKey{Alg: k.public.Alg, Key: bytes.Clone(k.public.Key)}
}
func (k keySigner) Sign(message []byte) ([]byte, error) { return k.sign(message) }

// NewSigner joins a public key and a signing function; Scheme.FromSeed uses it.
func NewSigner(public PublicKey, sign func(message []byte) ([]byte, error)) Signer {
	return keySigner{public: public, sign: sign}
}

func schemeEd25519() Scheme {
	return Scheme{
		Alg:           AlgEd25519,
		PublicKeySize: ed25519.PublicKeySize,
		SignatureSize: ed25519.SignatureSize,
		Verifier: func(public []byte) func(message, sig []byte) bool {
			return func(message, sig []byte) bool { return ed25519.Verify(public, message, sig) }
		},
		FromSeed: func(seed []byte) (Signer, error) {
			if len(seed) != SeedSize {
				return nil, &FormatError{What: "seed of the wrong length"}
			}
			key := ed25519.NewKeyFromSeed(seed)
			public := PublicKey{Alg: AlgEd25519, Key: bytes.Clone(key[ed25519.SeedSize:])}
			return NewSigner(public, func(message []byte) ([]byte, error) { return ed25519.Sign(key, message), nil }), nil
		},
	}
}

// schemeMLDSA65 is by a module that uses the processor's vectors, because ML-DSA sets the pace of small statements (ADR 0011).
func schemeMLDSA65() Scheme {
	return Scheme{
		Alg:           AlgMLDSA65,
		PublicKeySize: mldsa65.PublicKeySize,
		SignatureSize: mldsa65.SignatureSize,
		Verifier:      verifierMLDSA65,
		FromSeed: func(seed []byte) (Signer, error) {
			if len(seed) != SeedSize {
				return nil, &FormatError{What: "seed of the wrong length"}
			}
			public, private := mldsa65.NewKeyFromSeed((*[SeedSize]byte)(seed))
			clearVectors()
			return NewSigner(PublicKey{Alg: AlgMLDSA65, Key: public.Bytes()}, func(message []byte) ([]byte, error) {
				sig := make([]byte, mldsa65.SignatureSize)
				err := mldsa65.SignTo(private, message, nil, false, sig)
				clearVectors()
				if err != nil {
					return nil, fmt.Errorf("signing with ML-DSA-65: %w", err)
				}
				return sig, nil
			}), nil
		},
	}
}

// verifierMLDSA65 makes the matrix of a key once, which takes more than twice as long as to verify a signature with it.
func verifierMLDSA65(public []byte) func(message, sig []byte) bool {
	var key mldsa65.PublicKey
	err := key.UnmarshalBinary(public)
	clearVectors()
	if err != nil {
		return func(_, _ []byte) bool { return false }
	}
	return func(message, sig []byte) bool {
		ok := mldsa65.Verify(&key, message, nil, sig)
		clearVectors()
		return ok
	}
}

// clearVectors clears the upper halves of the processor's vector registers, which the assembly of mldsa65 leaves as they are. Until
// somebody does, each instruction that knows the lower halves only is slow, as all of SHA-256 is: a hundred times as slow on some
// processors. A search in package bytes ends with it wherever there are such registers.
func clearVectors() {
	var some [64]byte
	bytes.IndexByte(some[:], 1)
}
