package envelope_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

const testType = "application/vnd.entente.test+json"

func signed(t testing.TB, payload string, signers ...envelope.Signer) *envelope.Envelope {
	t.Helper()
	e, err := envelope.Sign(testType, []byte(payload), signers...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPAE holds the example of the DSSE specification.
func TestPAE(t *testing.T) {
	got := string(envelope.PAE("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("PAE is %q, want %q", got, want)
	}
	for _, payload := range []string{"", " ", "0", "é\x00\xff", strings.Repeat("x", 1000)} {
		if got, want := envelope.PAE(payload, []byte(payload)), dsse.PAE(payload, []byte(payload)); !bytes.Equal(got, want) {
			t.Errorf("PAE of %q is %q, another implementation says %q", payload, got, want)
		}
	}
}

// otherVerifier lets another implementation of DSSE check signatures with one of our schemes.
type otherVerifier struct {
	key    envelope.PublicKey
	scheme envelope.Scheme
}

func (v otherVerifier) KeyID() (string, error)   { return v.key.KeyID(), nil }
func (v otherVerifier) Public() crypto.PublicKey { return v.key.Key }
func (v otherVerifier) Verify(_ context.Context, data, sig []byte) error {
	if !v.scheme.Verify(v.key.Key, data, sig) {
		return errors.New("does not verify")
	}
	return nil
}

func TestDSSEInterop(t *testing.T) {
	registry, party := envelope.Default(), envelopetest.NewParty("Arvenia", envelope.INT1())
	data, err := signed(t, `{"to":"Kestria"}`, party.Signers...).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var verifiers []dsse.Verifier
	for _, s := range party.Signers {
		scheme, _ := registry.Scheme(s.Public().Alg)
		verifiers = append(verifiers, otherVerifier{s.Public(), scheme})
	}
	other, err := dsse.NewMultiEnvelopeVerifier(len(verifiers), verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	var theirs dsse.Envelope
	if err := json.Unmarshal(data, &theirs); err != nil {
		t.Fatal(err)
	}
	accepted, payload, err := other.VerifyAndDecode(t.Context(), &theirs)
	if err != nil || len(accepted) != 2 || string(payload) != `{"to":"Kestria"}` {
		t.Errorf("another implementation: %d keys, payload %q, %v", len(accepted), payload, err)
	}

	// And the other way round: what they encode, we decode and verify.
	data, err = json.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Verify(e, testType, party.KeySet("Arvenia")); err != nil {
		t.Error(err)
	}
}

// TestStripSig is the rule of the key set: all keys, each once, and no other.
func TestStripSig(t *testing.T) {
	registry := envelope.Default()
	party, stranger := envelopetest.NewParty("Arvenia", envelope.INT1()), envelopetest.NewParty("Mallory", envelope.INT1())
	set := party.KeySet("Arvenia")
	attacks := []struct {
		name    string
		change  func(e *envelope.Envelope, set *envelope.KeySet)
		refusal string // empty: accepted
	}{
		{"nothing", func(*envelope.Envelope, *envelope.KeySet) {}, ""},
		{"other order", func(e *envelope.Envelope, _ *envelope.KeySet) { slices.Reverse(e.Signatures) }, ""},
		{"other order of keys", func(_ *envelope.Envelope, s *envelope.KeySet) { slices.Reverse(s.Keys) }, ""},
		{"first stripped", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures = e.Signatures[1:] }, "signature missing"},
		{"second stripped", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures = e.Signatures[:1] }, "signature missing"},
		{"all stripped", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures = nil }, "no signatures"},
		{"one twice", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures[1] = e.Signatures[0] }, "two signatures by one key"},
		{"one added twice", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures = append(e.Signatures, e.Signatures[0]) }, "two signatures by one key"},
		{"stranger's added", func(e *envelope.Envelope, _ *envelope.KeySet) {
			e.Signatures = append(e.Signatures, signed(t, "payload", stranger.Signers...).Signatures[0])
		}, "outside the set"},
		{"stranger's instead", func(e *envelope.Envelope, _ *envelope.KeySet) {
			*e = *signed(t, "payload", stranger.Signers...)
		}, "outside the set"},
		{"stranger's under our key id", func(e *envelope.Envelope, _ *envelope.KeySet) {
			e.Signatures[0].Sig = signed(t, "payload", stranger.Signers...).Signatures[0].Sig
		}, "does not verify"},
		{"swapped signatures", func(e *envelope.Envelope, _ *envelope.KeySet) {
			e.Signatures[0].Sig, e.Signatures[1].Sig = e.Signatures[1].Sig, e.Signatures[0].Sig
		}, "does not verify"},
		{"other payload", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Payload = []byte("Payload") }, "does not verify"},
		{"other type", func(e *envelope.Envelope, _ *envelope.KeySet) { e.PayloadType += "x" }, "payload type"},
		{"key id upper case", func(e *envelope.Envelope, _ *envelope.KeySet) {
			e.Signatures[0].KeyID = strings.ToUpper(e.Signatures[0].KeyID)
		}, "malformed key id"},
		{"key id missing", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures[0].KeyID = "" }, "malformed key id"},
		{"signature empty", func(e *envelope.Envelope, _ *envelope.KeySet) { e.Signatures[0].Sig = nil }, "empty signature"},
		{"signature longer", func(e *envelope.Envelope, _ *envelope.KeySet) {
			e.Signatures[0].Sig = append(e.Signatures[0].Sig, 0)
		}, "does not verify"},
		{"empty set", func(_ *envelope.Envelope, s *envelope.KeySet) { s.Keys = nil }, "the set is empty"},
		{"set with one key twice", func(_ *envelope.Envelope, s *envelope.KeySet) { s.Keys = append(s.Keys, s.Keys[0]) }, "one key twice"},
		{"unknown algorithm", func(e *envelope.Envelope, s *envelope.KeySet) {
			s.Keys[0].Alg = "none"
			e.Signatures[0].KeyID = s.Keys[0].KeyID()
		}, "unknown algorithm"},
		{"key of the wrong length", func(e *envelope.Envelope, s *envelope.KeySet) {
			s.Keys[0].Key = s.Keys[0].Key[:31]
			e.Signatures[0].KeyID = s.Keys[0].KeyID()
		}, "does not verify"},
		{"key under another algorithm", func(e *envelope.Envelope, s *envelope.KeySet) {
			s.Keys[0].Alg = envelope.AlgMLDSA65
			e.Signatures[0].KeyID = s.Keys[0].KeyID()
		}, "does not verify"},
	}
	ready := registry.Verifier(set)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if _, err := ready.Verify(signed(t, "payload", party.Signers...), testType); err != nil {
				t.Errorf("a good envelope after others: %v", err)
			}
			e, keys := signed(t, "payload", party.Signers...), envelope.KeySet{Name: set.Name, Keys: slices.Clone(set.Keys)}
			a.change(e, &keys)
			if _, err := ready.Verify(e, testType); cmp.Equal(keys, set) && a.refusal != "" && (err == nil || !strings.Contains(err.Error(), a.refusal)) {
				t.Errorf("a verifier that has seen good ones says %v; want a refusal with %q", err, a.refusal)
			}
			payload, err := registry.Verify(e, testType, keys)
			switch {
			case a.refusal == "" && (err != nil || string(payload) != "payload"):
				t.Errorf("got %q, %v", payload, err)
			case a.refusal != "" && (err == nil || !strings.Contains(err.Error(), a.refusal) || payload != nil):
				t.Errorf("got %q, %v; want a refusal with %q", payload, err, a.refusal)
			}
		})
	}
}

// TestSingleSuiteDowngrade: a verifier that demands two suites takes neither alone, nor a suite that it doesn't know.
func TestSingleSuiteDowngrade(t *testing.T) {
	both := envelopetest.NewParty("Arvenia", envelope.INT1(), envelopetest.Suite2())
	set := both.KeySet("Arvenia, both suites")
	known := envelopetest.Registry()
	if _, err := known.Verify(signed(t, "payload", both.Signers...), testType, set); err != nil {
		t.Fatalf("all four signatures: %v", err)
	}
	attacks := []struct {
		name     string
		registry envelope.Registry
		signers  []envelope.Signer
		refusal  string
	}{
		{"INT-1 alone", known, both.Signers[:2], "signature missing"},
		{"TEST-2 alone", known, both.Signers[2:], "signature missing"},
		{"one scheme of TEST-2 left out", known, both.Signers[:3], "signature missing"},
		{"verifier without TEST-2", envelope.Default(), both.Signers, "unknown algorithm"},
		{"verifier without suites", envelope.Registry{}, both.Signers, "unknown algorithm"},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if _, err := a.registry.Verify(signed(t, "payload", a.signers...), testType, set); err == nil || !strings.Contains(err.Error(), a.refusal) {
				t.Errorf("got %v, want a refusal with %q", err, a.refusal)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	s := envelopetest.NewParty("Arvenia", envelope.INT1()).Signers
	for name, sign := range map[string]func() (*envelope.Envelope, error){
		"no signer":        func() (*envelope.Envelope, error) { return envelope.Sign(testType, nil) },
		"one signer twice": func() (*envelope.Envelope, error) { return envelope.Sign(testType, nil, s[0], s[0]) },
		"no type":          func() (*envelope.Envelope, error) { return envelope.Sign("", nil, s[0]) },
	} {
		if e, err := sign(); err == nil {
			t.Errorf("%s: got %v", name, e)
		}
	}
	large := &envelope.Envelope{PayloadType: testType, Payload: make([]byte, envelope.MaxEnvelope), Signatures: signed(t, "", s[0]).Signatures}
	if _, err := large.Encode(); err == nil {
		t.Error("an envelope over MaxEnvelope was encoded")
	}
	if _, err := envelope.DecodeEnvelope(make([]byte, envelope.MaxEnvelope+1)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an envelope over MaxEnvelope: got %v", err)
	}
}

func TestDecodeEnvelopeRefuses(t *testing.T) {
	const keyID = `"keyid":"00000000000000000000000000000000"`
	one := `{` + keyID + `,"sig":"AA=="}`
	for name, tt := range map[string]struct{ input, where string }{
		"nothing":             {``, ""},
		"type missing":        {`{"payload":"","signatures":[` + one + `]}`, "/payloadType"},
		"type too long":       {`{"payloadType":"` + strings.Repeat("t", 256) + `","payload":"","signatures":[` + one + `]}`, "/payloadType"},
		"payload missing":     {`{"payloadType":"t","signatures":[` + one + `]}`, "/payload"},
		"signatures missing":  {`{"payloadType":"t","payload":""}`, "/signatures"},
		"too many signatures": {`{"payloadType":"t","payload":"","signatures":[` + strings.Repeat(one+",", envelope.MaxSignatures) + one + `]}`, "/signatures"},
		"one key twice":       {`{"payloadType":"t","payload":"","signatures":[` + one + `,` + one + `]}`, "/signatures/1/keyid"},
		"key id missing":      {`{"payloadType":"t","payload":"","signatures":[{"sig":"AA=="}]}`, "/signatures/0/keyid"},
		"signature missing":   {`{"payloadType":"t","payload":"","signatures":[{` + keyID + `}]}`, "/signatures/0/sig"},
		"certificate added":   {`{"payloadType":"t","payload":"","signatures":[{` + keyID + `,"sig":"AA==","cert":""}]}`, "/signatures/0/cert"},
	} {
		e, err := envelope.DecodeEnvelope([]byte(tt.input))
		if f, ok := errors.AsType[*envelope.FormatError](err); !ok || f.Where != tt.where || e != nil {
			t.Errorf("%s: got %v, %v; want a *FormatError at %q", name, e, err, tt.where)
		}
	}
	good := `{"payloadType":"t","payload":"","signatures":[` + one + `]}`
	if _, err := envelope.DecodeEnvelope([]byte(good)); err != nil {
		t.Errorf("%s: %v", good, err)
	}
}

// TestSigningIsDeterministic: after a crash the same payload is signed again, with the same bytes.
func TestSigningIsDeterministic(t *testing.T) {
	party := envelopetest.NewParty("Arvenia", envelope.INT1(), envelopetest.Suite2())
	if diff := cmp.Diff(signed(t, "payload", party.Signers...), signed(t, "payload", party.Signers...)); diff != "" {
		t.Error(diff)
	}
}

func TestKeyID(t *testing.T) {
	k := envelope.PublicKey{Alg: "ed25519", Key: []byte{1, 2, 3}}
	if got, want := k.KeyID(), envelope.Sum([]byte("entente/key/v1\x00ed25519\x00\x01\x02\x03")).String()[:32]; got != want {
		t.Errorf("key id %s, want %s", got, want)
	}
	if k.KeyID() == (envelope.PublicKey{Alg: "ed2551", Key: []byte{'9', 0, 1, 2, 3}}).KeyID() {
		t.Error("two keys have one id")
	}
	if k.Equal(envelope.PublicKey{Alg: "ml-dsa-65", Key: k.Key}) || !k.Equal(k) {
		t.Error("Equal ignores the algorithm, or differs from itself")
	}
}

func TestCheckSuiteKeys(t *testing.T) {
	good := envelopetest.NewParty("Arvenia", envelope.INT1()).Keys[0]
	attacks := []struct {
		name   string
		change func(k *envelope.SuiteKeys)
		where  string
	}{
		{"unknown suite", func(k *envelope.SuiteKeys) { k.Suite = "INT-0" }, "/suite"},
		{"one key missing", func(k *envelope.SuiteKeys) { k.Sign = k.Sign[:1] }, "/sign"},
		{"one key more", func(k *envelope.SuiteKeys) { k.Sign = append(k.Sign, k.Sign[0]) }, "/sign"},
		{"other order", func(k *envelope.SuiteKeys) { slices.Reverse(k.Sign) }, "/sign/0/alg"},
		{"key too short", func(k *envelope.SuiteKeys) { k.Sign[1].Key = k.Sign[1].Key[1:] }, "/sign/1/key"},
		{"no sealing key", func(k *envelope.SuiteKeys) { k.Seal = nil }, "/seal"},
		{"sealing key too long", func(k *envelope.SuiteKeys) { k.Seal = append(slices.Clone(k.Seal), 0) }, "/seal"},
		{"sealing key out of range", func(k *envelope.SuiteKeys) { k.Seal = bytes.Repeat([]byte{0xff}, len(k.Seal)) }, "/seal"},
	}
	if err := envelope.Default().Check(good); err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			k := envelope.SuiteKeys{Suite: good.Suite, Sign: slices.Clone(good.Sign), Seal: good.Seal}
			a.change(&k)
			e, ok := errors.AsType[*envelope.FormatError](envelope.Default().Check(k))
			if !ok || e.Where != a.where {
				t.Errorf("got %v, want a *FormatError at %s", e, a.where)
			}
		})
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	party := envelopetest.NewParty("Arvenia", envelope.INT1())
	for _, e := range []*envelope.Envelope{signed(f, "{}", party.Signers[0]), signed(f, "", party.Signers...)} {
		data, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"payloadType":"t","payload":"","signatures":[{"keyid":"00000000000000000000000000000000","sig":"AA=="}]}`))
	f.Add([]byte(`{"payloadType":"t","payload":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := envelope.DecodeEnvelope(data)
		if err != nil {
			return
		}
		encoded, err := e.Encode()
		if err != nil {
			t.Fatalf("accepted %q, but can't encode it: %v", data, err)
		}
		again, err := envelope.DecodeEnvelope(encoded)
		if err != nil {
			t.Fatalf("own encoding %q refused: %v", encoded, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Error(diff)
		}
		if _, err := envelope.Default().Verify(e, e.PayloadType, party.KeySet("Arvenia")); err == nil && string(e.Payload) != "" {
			t.Errorf("a signature was forged: %q", data)
		}
	})
}
