package party

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"slices"
	"testing"

	"entente/envelope"
)

const (
	day   = int64(24 * 60 * 60 * 1_000_000)
	start = int64(1_790_000_000_000_000) // in September 2026
)

// keys are the private keys of one version, made from a name.
type keys struct {
	sign      []envelope.Signer
	suite     envelope.SuiteKeys
	transport []byte
	log       NoteKeys
}

func seed(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func newSigner(t testing.TB, alg, name string) envelope.Signer {
	t.Helper()
	scheme, ok := envelope.Default().Scheme(alg)
	if !ok {
		t.Fatalf("no scheme %q", alg)
	}
	s, err := scheme.FromSeed(seed(alg + " of " + name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKeys(t testing.TB, name string) keys {
	t.Helper()
	suite, _ := envelope.Default().Suite(envelope.SuiteINT1)
	k := keys{suite: envelope.SuiteKeys{Suite: suite.ID}}
	for _, scheme := range suite.Schemes {
		s := newSigner(t, scheme.Alg, name)
		k.sign = append(k.sign, s)
		k.suite.Sign = append(k.suite.Sign, s.Public())
	}
	private, err := suite.KEM().DeriveKeyPair(seed("kem of " + name))
	if err != nil {
		t.Fatal(err)
	}
	k.suite.Seal = private.PublicKey().Bytes()
	tls := ed25519.NewKeyFromSeed(seed("tls of " + name))
	k.transport, err = x509.MarshalPKIXPublicKey(tls.Public())
	if err != nil {
		t.Fatal(err)
	}
	k.log = NoteKeys{Ed25519: seed("log of " + name), MLDSA44: make([]byte, mldsa44KeySize)}
	return k
}

// quorum makes n recovery keys and the recovery that needs some of them.
func quorum(t testing.TB, name string, need, n int) ([]envelope.Signer, Recovery) {
	t.Helper()
	r := Recovery{Need: need}
	var signers []envelope.Signer
	for i := range n {
		s := newSigner(t, envelope.AlgEd25519, name+" recovery "+string(rune('a'+i)))
		signers = append(signers, s)
		r.Keys = append(r.Keys, s.Public())
	}
	return signers, r
}

// identity is version 1 of Arvenia, or what a next version is made from.
func identity(k keys, r Recovery) Identity {
	return Identity{
		V: 1, Version: 1,
		Names:      map[string]string{"en": "Republic of Arvenia", "zh": "阿维尼亚共和国"},
		Authority:  "Ministry of the Interior",
		KeyStorage: "software",
		Suites:     []envelope.SuiteKeys{k.suite},
		Transport:  k.transport, Log: k.log, Witness: k.log, Recovery: r,
		NotBefore: start, NotAfter: start + 365*day,
	}
}

// clone keeps a change to the copy from reaching i.
func clone(i Identity) Identity {
	i.Names = maps.Clone(i.Names)
	i.Suites = slices.Clone(i.Suites)
	i.Recovery.Keys = slices.Clone(i.Recovery.Keys)
	return i
}

func encode(t testing.TB, e *envelope.Envelope, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func verify(t testing.TB, envelopes ...[]byte) *Chain {
	t.Helper()
	c, err := Verify(envelope.Default(), envelopes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func create(t testing.TB, i Identity, k keys) *Chain {
	t.Helper()
	e, err := Create(i, k.sign...)
	return verify(t, encode(t, e, err))
}

// succeed appends a version that begins one day after the one before.
func succeed(t testing.TB, c *Chain, i Identity, signers ...envelope.Signer) *Chain {
	t.Helper()
	i.NotBefore = c.Latest().NotBefore + day
	i.NotAfter = i.NotBefore + 365*day
	e, err := c.Succeed(envelope.Default(), i, signers...)
	next, err := c.Append(envelope.Default(), encode(t, e, err))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// forge signs whatever i says, without any check.
func forge(t testing.TB, i Identity, signers ...envelope.Signer) []byte {
	t.Helper()
	payload, err := envelope.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	e, err := envelope.Sign(PayloadType, payload, signers...)
	return encode(t, e, err)
}

func join(lists ...[]envelope.Signer) []envelope.Signer { return slices.Concat(lists...) }
