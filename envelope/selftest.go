package envelope

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
)

// Answers are the known answers of one suite, as they stand in Suite.Answers: made once, by this code or another
// that was checked against published vectors, and never computed by what they are to test.
type Answers struct {
	Schemes []SchemeAnswer `json:"schemes"` // one for each scheme, in the suite's order
	Content ContentAnswer  `json:"content"`
}

// SchemeAnswer is a deterministic signature.
type SchemeAnswer struct {
	Alg     string `json:"alg"`
	Seed    []byte `json:"seed"`
	Public  []byte `json:"public"`
	Message []byte `json:"message"`
	Sig     []byte `json:"sig"`
}

// ContentAnswer is a piece of sealed content of one layer, in the zero Context with the link given.
type ContentAnswer struct {
	Private []byte `json:"private"` // KEM private key, serialized as RFC 9180 says
	Public  []byte `json:"public"`
	Link    Hash   `json:"link"`
	Layer   Layer  `json:"layer"`
	Sealed  []byte `json:"sealed"` // one segment
	Root    Hash   `json:"root"`
	Plain   []byte `json:"plain"`
}

// SelfTest runs the known-answer tests of every primitive of every suite: a start-up check that takes milliseconds.
// It also shows that wrong signatures and wrong ciphertexts are refused. A suite without known answers fails.
func (r Registry) SelfTest() error {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-4, example
	if digest := Sum([]byte("abc")); hex.EncodeToString(digest[:]) != abc {
		return fmt.Errorf("self-test: SHA-256 gives a wrong answer")
	}
	for _, s := range r.suites {
		if err := r.testSuite(s); err != nil {
			return fmt.Errorf("self-test of %s: %w", s.ID, err)
		}
	}
	return nil
}

func (r Registry) testSuite(s Suite) error {
	var a Answers
	if err := Unmarshal(s.Answers, &a); err != nil {
		return fmt.Errorf("reading known answers: %w", err)
	}
	if len(a.Schemes) != len(s.Schemes) {
		return fmt.Errorf("known answers for %d schemes of %d", len(a.Schemes), len(s.Schemes))
	}
	for i, scheme := range s.Schemes {
		if err := testScheme(scheme, a.Schemes[i]); err != nil {
			return fmt.Errorf("%s: %w", scheme.Alg, err)
		}
	}
	if err := r.testContent(s, a.Content); err != nil {
		return fmt.Errorf("sealed content: %w", err)
	}
	return nil
}

func testScheme(s Scheme, a SchemeAnswer) error {
	if a.Alg != s.Alg {
		return fmt.Errorf("known answer is for %q", a.Alg)
	}
	signer, err := s.FromSeed(a.Seed)
	if err != nil {
		return err
	}
	if !bytes.Equal(signer.Public().Key, a.Public) {
		return fmt.Errorf("seed gives another public key")
	}
	sig, err := signer.Sign(a.Message)
	if err != nil {
		return err
	}
	if !bytes.Equal(sig, a.Sig) {
		return fmt.Errorf("seed gives another signature")
	}
	if !s.Verify(a.Public, a.Message, a.Sig) {
		return fmt.Errorf("right signature refused")
	}
	if s.Verify(a.Public, append([]byte("not "), a.Message...), a.Sig) {
		return fmt.Errorf("wrong signature accepted")
	}
	return nil
}

func (r Registry) testContent(s Suite, a ContentAnswer) error {
	private, err := s.KEM().NewPrivateKey(a.Private)
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	if !bytes.Equal(private.PublicKey().Bytes(), a.Public) {
		return fmt.Errorf("private key gives another public key")
	}
	if a.Layer.Suite != s.ID || SegmentHash(a.Sealed) != a.Root {
		return fmt.Errorf("known answer is inconsistent")
	}
	opener := openerFunc(func(_ string, _ int, info, stanza []byte) ([]byte, error) { return s.Unwrap(private, info, stanza) })
	open := func(sealed []byte) ([]byte, error) {
		content, err := r.Open(bytes.NewReader(sealed), int64(len(sealed)), []Layer{a.Layer}, Context{Link: a.Link}, 1, opener)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(content)
	}
	plain, err := open(a.Sealed)
	if err != nil {
		return err
	}
	if !bytes.Equal(plain, a.Plain) {
		return fmt.Errorf("decrypts to something else")
	}
	wrong := slices.Clone(a.Sealed)
	wrong[len(wrong)-1] ^= 1
	if _, err := open(wrong); err == nil {
		return fmt.Errorf("wrong ciphertext accepted")
	}
	return nil
}

type openerFunc func(suite string, version int, info, stanza []byte) ([]byte, error)

func (f openerFunc) Open(suite string, version int, info, stanza []byte) ([]byte, error) {
	return f(suite, version, info, stanza)
}
