package envelope_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

var update = flag.Bool("update", false, "write known answers and vectors anew")

func TestKnownAnswers(t *testing.T) {
	if *update {
		writeAnswers(t, envelope.INT1(), "int1.json")
		writeAnswers(t, envelopetest.Suite2(), "envelopetest/test2.json")
		t.Fatal("known answers written: run again without -update")
	}
	if err := envelopetest.Registry().SelfTest(); err != nil {
		t.Error(err)
	}
	suite := envelope.INT1()
	suite.Answers = nil
	if err := envelope.NewRegistry(suite).SelfTest(); err == nil {
		t.Error("a suite without known answers passes")
	}
}

func writeAnswers(t *testing.T, s envelope.Suite, path string) {
	t.Helper()
	answers, err := envelopetest.MakeAnswers(s)
	if err != nil {
		t.Fatal(err)
	}
	writeVectors(t, path, answers)
}

func writeVectors(t *testing.T, path string, v any) {
	t.Helper()
	data, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	indented := jsontext.Value(data)
	if err := indented.Indent(jsontext.WithIndent("\t")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(indented, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestStartupKAT corrupts each known answer in turn: the self-test must notice every one.
func TestStartupKAT(t *testing.T) {
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	attacks := []struct {
		name    string
		corrupt func(a *envelope.Answers)
		refusal string
	}{
		{"ed25519 seed", func(a *envelope.Answers) { flip(a.Schemes[0].Seed) }, "ed25519: seed gives another public key"},
		{"ed25519 public key", func(a *envelope.Answers) { flip(a.Schemes[0].Public) }, "ed25519: seed gives another public key"},
		{"ed25519 message", func(a *envelope.Answers) { flip(a.Schemes[0].Message) }, "ed25519: seed gives another signature"},
		{"ed25519 signature", func(a *envelope.Answers) { flip(a.Schemes[0].Sig) }, "ed25519: seed gives another signature"},
		{"ml-dsa-65 seed", func(a *envelope.Answers) { flip(a.Schemes[1].Seed) }, "ml-dsa-65: seed gives another public key"},
		{"ml-dsa-65 signature", func(a *envelope.Answers) { flip(a.Schemes[1].Sig) }, "ml-dsa-65: seed gives another signature"},
		{"schemes missing", func(a *envelope.Answers) { a.Schemes = a.Schemes[:1] }, "known answers for 1 schemes of 2"},
		{"schemes swapped", func(a *envelope.Answers) { a.Schemes[0], a.Schemes[1] = a.Schemes[1], a.Schemes[0] }, "known answer is for"},
		{"KEM private key", func(a *envelope.Answers) { flip(a.Content.Private) }, "private key gives another public key"},
		{"KEM public key", func(a *envelope.Answers) { flip(a.Content.Public) }, "private key gives another public key"},
		{"stanza", func(a *envelope.Answers) { flip(a.Content.Layer.Stanza) }, "content key"},
		{"context", func(a *envelope.Answers) { a.Content.Link[0] ^= 1 }, "content key"},
		{"FLOE header", func(a *envelope.Answers) { flip(a.Content.Layer.Hdr) }, "FLOE header"},
		{"segment", func(a *envelope.Answers) {
			flip(a.Content.Sealed)
			a.Content.Root = envelope.SegmentHash(a.Content.Sealed)
		}, "FLOE segment 0"},
		{"root", func(a *envelope.Answers) { a.Content.Root[0] ^= 1 }, "inconsistent"},
		{"plaintext", func(a *envelope.Answers) { flip(a.Content.Plain) }, "decrypts to something else"},
	}
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			suite := envelope.INT1()
			var a envelope.Answers
			if err := envelope.Unmarshal(suite.Answers, &a); err != nil {
				t.Fatal(err)
			}
			attack.corrupt(&a)
			var err error
			if suite.Answers, err = envelope.Marshal(a); err != nil {
				t.Fatal(err)
			}
			if err := envelope.NewRegistry(suite).SelfTest(); err == nil || !strings.Contains(err.Error(), attack.refusal) {
				t.Errorf("corrupted %s: got %v, want an error with %q", attack.name, err, attack.refusal)
			}
		})
	}
	t.Run("broken primitive", func(t *testing.T) {
		suite := envelope.INT1()
		suite.Schemes[1].Verifier = func([]byte) func(_, _ []byte) bool { return func(_, _ []byte) bool { return true } }
		if err := envelope.NewRegistry(suite).SelfTest(); err == nil || !strings.Contains(err.Error(), "wrong signature accepted") {
			t.Errorf("a scheme that accepts everything: got %v", err)
		}
	})
}
