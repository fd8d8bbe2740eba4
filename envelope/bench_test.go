package envelope_test

import (
	"bytes"
	"crypto/hpke"
	"io"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

func BenchmarkSeal(b *testing.B) {
	party, plain := kestria(), content(8*plainSize)
	for name, to := range map[string][]envelope.SuiteKeys{"1layer": party.Keys[:1], "2layers": party.Keys} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := envelopetest.Registry().Seal(io.Discard, bytes.NewReader(plain), to, testContext, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	party := kestria()
	segments, sealed := sealTo(b, content(8*plainSize), party.Keys[:1])
	b.SetBytes(8 * plainSize)
	for b.Loop() {
		r, err := envelope.Default().Open(bytes.NewReader(segments), sealed.Length, sealed.Layers, testContext, 1, party)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, s := range envelopetest.NewParty("Arvenia", envelope.INT1()).Signers {
		b.Run(s.Public().Alg, func(b *testing.B) {
			for b.Loop() {
				signed(b, "payload", s)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	registry := envelope.Default()
	for _, s := range envelopetest.NewParty("Arvenia", envelope.INT1()).Signers {
		e, set := signed(b, "payload", s), envelope.KeySet{Keys: []envelope.PublicKey{s.Public()}}
		b.Run(s.Public().Alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := registry.Verify(e, testType, set); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(s.Public().Alg+"/ready", func(b *testing.B) {
			v := registry.Verifier(set)
			for b.Loop() {
				if _, err := v.Verify(e, testType); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What follows a signature must not be slower for it: see clearVectors.
func BenchmarkHashAfterSignature(b *testing.B) {
	data := make([]byte, 4096)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			envelope.Sum(data)
		}
	})
	for _, s := range envelopetest.NewParty("Arvenia", envelope.INT1()).Signers {
		b.Run(s.Public().Alg, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if _, err := s.Sign(data); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				envelope.Sum(data)
			}
		})
	}
}

func BenchmarkHPKE(b *testing.B) {
	party, suite, key := kestria(), envelope.INT1(), make([]byte, 32)
	private := party.Private(suite.ID)
	info := testContext.Encode(suite.ID, 0)
	stanza, err := hpke.Seal(private.PublicKey(), suite.KDF(), suite.AEAD(), info, key)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			if _, err := hpke.Seal(private.PublicKey(), suite.KDF(), suite.AEAD(), info, key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := suite.Unwrap(private, info, stanza); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		if err := envelope.Default().SelfTest(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data, err := envelope.Marshal(sample{To: "Kestria", N: 7, B: content(1000), List: []string{"a", "b"}, Map: map[string]string{"k": "v"}, Sub: &sample{To: "x"}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := envelope.Unmarshal(data, new(sample)); err != nil {
			b.Fatal(err)
		}
	}
}
