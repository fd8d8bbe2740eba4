// Package envelopetest gives tests a second cryptographic suite, whole recipients, and signers. It is for tests only.
//
// It promises that Suite2 shares no key, no signature algorithm and no KEM with INT-1, so that layering can be
// shown, and that everything made from a name is the same each time. It refuses to be of use in production: its
// private keys are known to everyone.
package envelopetest

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	_ "embed"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"entente/envelope"
)

// SuiteTEST2 names the second suite.
const SuiteTEST2 = "TEST-2"

const (
	algEd25519ctx = "ed25519ctx-test"
	algECDSA      = "ecdsa-p256-test"
	ed25519ctx    = "entente/test-2"
)

//go:embed test2.json
var test2Answers []byte

// Suite2 is Ed25519ctx and deterministic ECDSA P-256 signatures; HPKE with DHKEM(P-256), HKDF-SHA-512 and
// ChaCha20-Poly1305; FLOE.
func Suite2() envelope.Suite {
	return envelope.Suite{
		ID:      SuiteTEST2,
		Schemes: []envelope.Scheme{schemeEd25519ctx(), schemeECDSA()},
		KEM:     func() hpke.KEM { return hpke.DHKEM(ecdh.P256()) },
		KDF:     hpke.HKDFSHA512,
		AEAD:    hpke.ChaCha20Poly1305,
		DEM:     envelope.DEMFloe1M,
		Answers: test2Answers,
	}
}

// Registry knows INT-1 and TEST-2.
func Registry() envelope.Registry { return envelope.NewRegistry(envelope.INT1(), Suite2()) }

// Seed is 32 bytes that depend on name alone.
func Seed(name string) []byte {
	seed := sha256.Sum256([]byte("envelopetest/" + name))
	return seed[:]
}

// Party is a holder of all private keys of some suites; it is an envelope.Opener whatever the version.
type Party struct {
	Signers []envelope.Signer // suite by suite, in the suites' order
	Keys    []envelope.SuiteKeys
	suites  []envelope.Suite
	private map[string]hpke.PrivateKey
}

// NewParty makes a party's keys from its name. It panics where a suite can't make a key.
func NewParty(name string, suites ...envelope.Suite) *Party {
	p := &Party{suites: suites, private: make(map[string]hpke.PrivateKey)}
	for _, s := range suites {
		keys := envelope.SuiteKeys{Suite: s.ID}
		for _, scheme := range s.Schemes {
			signer, err := scheme.FromSeed(Seed(name + "/" + s.ID + "/" + scheme.Alg))
			if err != nil {
				panic(fmt.Sprintf("making a %s key: %v", scheme.Alg, err))
			}
			p.Signers = append(p.Signers, signer)
			keys.Sign = append(keys.Sign, signer.Public())
		}
		private, err := s.KEM().DeriveKeyPair(Seed(name + "/" + s.ID + "/seal"))
		if err != nil {
			panic(fmt.Sprintf("making a sealing key of %s: %v", s.ID, err))
		}
		p.private[s.ID] = private
		keys.Seal = private.PublicKey().Bytes()
		p.Keys = append(p.Keys, keys)
	}
	return p
}

// KeySet is the signature keys of all suites of p.
func (p *Party) KeySet(name string) envelope.KeySet {
	set := envelope.KeySet{Name: name}
	for _, s := range p.Signers {
		set.Keys = append(set.Keys, s.Public())
	}
	return set
}

// Private is the private sealing key of a suite.
func (p *Party) Private(suite string) hpke.PrivateKey { return p.private[suite] }

// Open implements envelope.Opener.
func (p *Party) Open(suite string, _ int, info, stanza []byte) ([]byte, error) {
	for _, s := range p.suites {
		if s.ID == suite {
			return s.Unwrap(p.private[suite], info, stanza)
		}
	}
	return nil, fmt.Errorf("no key of suite %s", suite)
}

// MakeAnswers computes the known answers of a suite: for writing them once, never for checking them.
func MakeAnswers(s envelope.Suite) (envelope.Answers, error) {
	var a envelope.Answers
	for _, scheme := range s.Schemes {
		seed, message := Seed("answers/"+scheme.Alg), []byte("known answer of "+scheme.Alg)
		signer, err := scheme.FromSeed(seed)
		if err != nil {
			return a, err
		}
		sig, err := signer.Sign(message)
		if err != nil {
			return a, err
		}
		a.Schemes = append(a.Schemes, envelope.SchemeAnswer{
			Alg: scheme.Alg, Seed: seed, Public: signer.Public().Key, Message: message, Sig: sig,
		})
	}
	p := NewParty("answers", s)
	private, err := p.Private(s.ID).Bytes()
	if err != nil {
		return a, err
	}
	link, plain := envelope.Sum([]byte("answers")), []byte("known answer of "+s.ID)
	var sealed bytes.Buffer
	result, err := envelope.NewRegistry(s).Seal(&sealed, bytes.NewReader(plain), p.Keys, envelope.Context{Link: link}, nil)
	if err != nil {
		return a, err
	}
	a.Content = envelope.ContentAnswer{
		Private: private, Public: p.Keys[0].Seal, Link: link,
		Layer: result.Layers[0], Sealed: sealed.Bytes(), Root: result.Root, Plain: plain,
	}
	return a, nil
}

func schemeEd25519ctx() envelope.Scheme {
	options := &ed25519.Options{Context: ed25519ctx}
	return envelope.Scheme{
		Alg:           algEd25519ctx,
		PublicKeySize: ed25519.PublicKeySize,
		SignatureSize: ed25519.SignatureSize,
		Verifier: func(public []byte) func(message, sig []byte) bool {
			return func(message, sig []byte) bool { return ed25519.VerifyWithOptions(public, message, sig, options) == nil }
		},
		FromSeed: func(seed []byte) (envelope.Signer, error) {
			if len(seed) != envelope.SeedSize {
				return nil, errors.New("seed of the wrong length")
			}
			key := ed25519.NewKeyFromSeed(seed)
			public := envelope.PublicKey{Alg: algEd25519ctx, Key: bytes.Clone(key[ed25519.SeedSize:])}
			return envelope.NewSigner(public, func(message []byte) ([]byte, error) { return key.Sign(nil, message, options) }), nil
		},
	}
}

// schemeECDSA signs SHA-256 as RFC 6979 says; keys are uncompressed points, signatures r ‖ s.
func schemeECDSA() envelope.Scheme {
	curve := elliptic.P256()
	return envelope.Scheme{
		Alg:           algECDSA,
		PublicKeySize: 65,
		SignatureSize: 64,
		Verifier: func(public []byte) func(message, sig []byte) bool {
			key, err := ecdsa.ParseUncompressedPublicKey(curve, public)
			return func(message, sig []byte) bool {
				digest := sha256.Sum256(message)
				return err == nil && ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
			}
		},
		FromSeed: func(seed []byte) (envelope.Signer, error) {
			key, err := ecdsa.ParseRawPrivateKey(curve, seed) // out of range with a chance of 2^-32
			if err != nil {
				return nil, err
			}
			point, err := key.PublicKey.Bytes()
			if err != nil {
				return nil, err
			}
			return envelope.NewSigner(envelope.PublicKey{Alg: algECDSA, Key: point}, func(message []byte) ([]byte, error) {
				digest := sha256.Sum256(message)
				der, err := key.Sign(nil, digest[:], crypto.SHA256)
				if err != nil {
					return nil, err
				}
				var rs struct{ R, S *big.Int }
				if _, err := asn1.Unmarshal(der, &rs); err != nil {
					return nil, err
				}
				sig := make([]byte, 64)
				rs.R.FillBytes(sig[:32])
				rs.S.FillBytes(sig[32:])
				return sig, nil
			}), nil
		},
	}
}
