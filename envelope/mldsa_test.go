package envelope_test

import (
	"bytes"
	"testing"

	"filippo.io/mldsa"
	"pgregory.net/rapid"

	"entente/envelope"
)

// TestMLDSA65LikeAnother compares with another implementation of FIPS 204: the same keys and signatures to the byte, and the same
// judgement of what was damaged.
func TestMLDSA65LikeAnother(t *testing.T) {
	scheme, _ := envelope.Default().Scheme(envelope.AlgMLDSA65)
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), envelope.SeedSize, envelope.SeedSize).Draw(t, "seed")
		message := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "message")
		ours, err := scheme.FromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed)
		if err != nil {
			t.Fatal(err)
		}
		public := ours.Public().Key
		if !bytes.Equal(public, theirs.PublicKey().Bytes()) {
			t.Fatal("one seed gives two public keys")
		}
		sig, err := ours.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := theirs.SignDeterministic(message, nil); err != nil || !bytes.Equal(sig, want) {
			t.Fatalf("the signatures differ: %v", err)
		}
		damaged := map[string][]byte{"signature": sig, "key": public, "nothing": nil}
		if into := damaged[rapid.SampledFrom([]string{"signature", "key", "nothing"}).Draw(t, "damaged")]; into != nil {
			into[rapid.IntRange(0, len(into)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		key, err := mldsa.NewPublicKey(mldsa.MLDSA65(), public)
		want := err == nil && mldsa.Verify(key, message, sig, nil) == nil
		if got := scheme.Verify(public, message, sig); got != want {
			t.Fatalf("verifies: %v here, %v there", got, want)
		}
	})
}
