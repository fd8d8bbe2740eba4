package envelope_test

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

// The files under testdata/vectors are for other implementations: testdata/vectors/README.md says how to run them.

type dsseVector struct {
	Name        string               `json:"name"`
	Envelope    []byte               `json:"envelope"`
	PayloadType string               `json:"payloadType"`
	Keys        []envelope.PublicKey `json:"keys"`
	Valid       bool                 `json:"valid"`
	Payload     []byte               `json:"payload,omitempty"`
}

type sealVector struct {
	Name    string            `json:"name"`
	Private map[string][]byte `json:"private"` // KEM private keys by suite
	Link    envelope.Hash     `json:"link"`
	Parcel  envelope.ID       `json:"parcel"`
	From    envelope.Hash     `json:"from"`
	To      envelope.Hash     `json:"to"`
	Layers  []envelope.Layer  `json:"layers"`
	Sealed  []byte            `json:"sealed"`
	Root    envelope.Hash     `json:"root"`
	Valid   bool              `json:"valid"`
	Plain   []byte            `json:"plain,omitempty"`
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t, vectorPath("json.json"), slices.SortedFunc(slices.Values(jsonCases()), func(a, b jsonCase) int { return cmp.Compare(a.Name, b.Name) }))
		writeVectors(t, vectorPath("dsse.json"), makeDSSEVectors(t))
		writeVectors(t, vectorPath("seal.json"), makeSealVectors(t))
	}
	t.Run("json", func(t *testing.T) {
		runVectors(t, "json.json", func(c jsonCase) (string, bool) { return c.Name, c.Valid }, checkJSON)
	})
	t.Run("dsse", func(t *testing.T) {
		runVectors(t, "dsse.json", func(v dsseVector) (string, bool) { return v.Name, v.Valid }, checkDSSE)
	})
	t.Run("seal", func(t *testing.T) {
		runVectors(t, "seal.json", func(v sealVector) (string, bool) { return v.Name, v.Valid }, checkSeal)
	})
}

func vectorPath(file string) string { return filepath.Join("testdata", "vectors", file) }

// runVectors runs a file, and refuses one that lacks right or wrong vectors.
func runVectors[V any](t *testing.T, file string, describe func(V) (string, bool), check func(*testing.T, V)) {
	t.Helper()
	data, err := os.ReadFile(vectorPath(file))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []V
	if err := envelope.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	counts := make(map[bool]int)
	for _, v := range vectors {
		name, valid := describe(v)
		counts[valid]++
		t.Run(name, func(t *testing.T) { check(t, v) })
	}
	if counts[true] == 0 || counts[false] == 0 {
		t.Errorf("%d right and %d wrong vectors", counts[true], counts[false])
	}
}

func checkDSSE(t *testing.T, v dsseVector) {
	e, err := envelope.DecodeEnvelope(v.Envelope)
	var payload []byte
	if err == nil {
		payload, err = envelope.Default().Verify(e, v.PayloadType, envelope.KeySet{Name: v.Name, Keys: v.Keys})
	}
	if (err == nil) != v.Valid || !bytes.Equal(payload, v.Payload) {
		t.Errorf("payload %q, %v; valid is %t", payload, err, v.Valid)
	}
}

func makeDSSEVectors(t *testing.T) []dsseVector {
	party := envelopetest.NewParty("Arvenia", envelope.INT1())
	e := signed(t, `{"to":"Kestria"}`, party.Signers...)
	good, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	vector := func(name string, data []byte, valid bool) dsseVector {
		v := dsseVector{Name: name, Envelope: data, PayloadType: testType, Keys: party.KeySet("").Keys, Valid: valid}
		if valid {
			v.Payload = e.Payload
		}
		return v
	}
	vectors := []dsseVector{
		vector("right", good, true),
		vector("white space", append([]byte(" "), good...), true),
	}
	for name, change := range map[string][2]string{
		"payload changed":           {`"eyJ0`, `"eyJ1`},
		"payload type changed":      {`test+json`, `tast+json`},
		"key id changed":            {`"keyid":"`, `"keyid":"0`},
		"unknown member":            {`{"payloadType"`, `{"x":1,"payloadType"`},
		"duplicate member":          {`{"payloadType"`, `{"payloadType":"","payloadType"`},
		"base64 without padding":    {`fQ=="`, `fQ"`},
		"base64 with loose bits":    {`fQ=="`, `fR=="`},
		"trailing data":             {`"}]}`, `"}]}{}`},
		"case variant of a member":  {`"payload":`, `"Payload":`},
		"signatures null":           {`"signatures":[`, `"signatures":null,"x":[`},
		"empty signature list":      {`"signatures":[`, `"signatures":[],"x":[`},
		"payload null":              {`"payload":"`, `"payload":null,"x":"`},
		"signature of another kind": {`"sig":"`, `"sig":1,"x":"`},
	} {
		changed := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, good) {
			t.Fatalf("%s: nothing was changed in %.200s", name, good)
		}
		vectors = append(vectors, vector(name, changed, false))
	}
	for name, change := range map[string]func(e *envelope.Envelope){
		"Ed25519 stripped":   func(e *envelope.Envelope) { e.Signatures = e.Signatures[1:] },
		"ML-DSA-65 stripped": func(e *envelope.Envelope) { e.Signatures = e.Signatures[:1] },
		"stranger's added": func(e *envelope.Envelope) {
			e.Signatures = append(e.Signatures, signed(t, string(e.Payload), envelopetest.NewParty("Mallory", envelope.INT1()).Signers[0]).Signatures...)
		},
	} {
		other := signed(t, string(e.Payload), party.Signers...)
		change(other)
		data, err := other.Encode()
		if err != nil {
			t.Fatal(err)
		}
		vectors = append(vectors, vector(name, data, false))
	}
	reversed := signed(t, string(e.Payload), party.Signers[1], party.Signers[0])
	data, err := reversed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	vectors = append(vectors, vector("signatures in another order", data, true))
	slices.SortFunc(vectors, func(a, b dsseVector) int { return cmp.Compare(a.Name, b.Name) })
	return vectors
}

func checkSeal(t *testing.T, v sealVector) {
	c := envelope.Context{Link: v.Link, Parcel: v.Parcel, From: v.From, To: v.To}
	plain, err := open(v.Sealed, v.Layers, c, privateKeys(v.Private))
	if err == nil && envelope.Root([]envelope.Hash{envelope.SegmentHash(v.Sealed)}) != v.Root {
		err = envelope.ErrSealed
	}
	if (err == nil) != v.Valid {
		t.Errorf("content %q, %v; valid is %t", plain, err, v.Valid)
	}
	if v.Valid && !bytes.Equal(plain, v.Plain) {
		t.Errorf("content %q, want %q", plain, v.Plain)
	}
}

// privateKeys is an opener over serialized keys.
type privateKeys map[string][]byte

func (p privateKeys) Open(suite string, _ int, info, stanza []byte) ([]byte, error) {
	s, ok := envelopetest.Registry().Suite(suite)
	if !ok {
		return nil, envelope.ErrSealed
	}
	private, err := s.KEM().NewPrivateKey(p[suite])
	if err != nil {
		return nil, err
	}
	return s.Unwrap(private, info, stanza)
}

func makeSealVectors(t *testing.T) []sealVector {
	party, plain := kestria(), []byte("what was agreed")
	vector := func(name string, to []envelope.SuiteKeys) sealVector {
		segments, sealed := sealTo(t, plain, to)
		v := sealVector{
			Name: name, Private: make(map[string][]byte), Link: testContext.Link, Parcel: testContext.Parcel, From: testContext.From,
			To: testContext.To, Layers: sealed.Layers, Sealed: segments, Root: sealed.Root, Valid: true, Plain: plain,
		}
		for _, k := range to {
			private, err := party.Private(k.Suite).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			v.Private[k.Suite] = private
		}
		return v
	}
	one, two := vector("one layer", party.Keys[:1]), vector("two layers", party.Keys)
	vectors := []sealVector{one, two}
	for name, change := range map[string]func(v *sealVector){
		"other link":           func(v *sealVector) { v.Link[0] ^= 1 },
		"other parcel":         func(v *sealVector) { v.Parcel[0] ^= 1 },
		"sender and recipient": func(v *sealVector) { v.From, v.To = v.To, v.From },
		"layers swapped":       func(v *sealVector) { slices.Reverse(v.Layers) },
		"layer left out":       func(v *sealVector) { v.Layers = v.Layers[:1] },
		"one suite twice":      func(v *sealVector) { v.Layers[1] = v.Layers[0] },
		"stanza missing":       func(v *sealVector) { v.Layers[0].Stanza = nil },
		"stanzas swapped": func(v *sealVector) {
			v.Layers[0].Stanza, v.Layers[1].Stanza = v.Layers[1].Stanza, v.Layers[0].Stanza
		},
		"segment changed":            func(v *sealVector) { v.Sealed[40] ^= 1 },
		"segment marked as not last": func(v *sealVector) { copy(v.Sealed, "\xff\xff\xff\xff") },
		"segment cut":                func(v *sealVector) { v.Sealed = v.Sealed[:len(v.Sealed)-1] },
		"root changed":               func(v *sealVector) { v.Root[0] ^= 1 },
		"header changed":             func(v *sealVector) { v.Layers[0].Hdr[73] ^= 1 },
	} {
		v := two
		v.Name, v.Valid, v.Plain = name, false, nil
		v.Private, v.Sealed, v.Layers = maps.Clone(two.Private), bytes.Clone(two.Sealed), slices.Clone(two.Layers)
		v.Layers[0].Hdr = bytes.Clone(two.Layers[0].Hdr)
		change(&v)
		vectors = append(vectors, v)
	}
	slices.SortFunc(vectors, func(a, b sealVector) int { return cmp.Compare(a.Name, b.Name) })
	return vectors
}
