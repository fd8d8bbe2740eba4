package proof

import (
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/ledger"
)

// thirdParty is a witness by name: its key, and how it cosigns a checkpoint that stands in a file.
func thirdParty(t *testing.T, name string) (ledger.Witness, func(*string, *ledger.Checkpoint)) {
	t.Helper()
	seed := envelopetest.Seed(name)
	keys, err := ledger.NoteKeysFromSeeds(seed, seed)
	if err != nil {
		t.Fatal(err)
	}
	w := must[ledger.Witness](t)(ledger.ParseWitness(ledger.VerifierKeys(name, keys)[1]))
	signers, err := ledger.WitnessSigners(name, seed, seed, func() int64 { return morning/second + 3600 })
	if err != nil {
		t.Fatal(err)
	}
	return w, func(note *string, c *ledger.Checkpoint) {
		t.Helper()
		lines := must[[]byte](t)(ledger.Cosign(c, signers...))
		head := *c
		head.Note = []byte(*note)
		cosigned, _, err := head.AddWitness(lines, w)
		if err != nil {
			t.Fatal(err)
		}
		*note = string(cosigned.Note)
	}
}

// TestWitnesses: what a third party cosigned is found with its key, is in nobody's way without, and cannot be moved to
// where it was not.
func TestWitnesses(t *testing.T) {
	s := tell(t, plot{})
	one, cosign := thirdParty(t, "witness.example/one")
	two, _ := thirdParty(t, "witness.example/two")
	f := copyFile(t, s.file)
	opened := func(side *side) *ledger.Checkpoint {
		t.Helper()
		return must[*ledger.Checkpoint](t)(ledger.OpenCheckpoint([]byte(f.Header.Entry.Checkpoint),
			ledger.Origin(s.header.Link, side.chain.ID, 1), side.chain.Latest().Log))
	}
	cosign(&f.Header.Entry.Checkpoint, opened(s.arvenia))
	if r, err := Verify(envelope.Default(), f); err != nil || r.Has(Witnessed) {
		t.Errorf("without the key: %v", err)
	}
	r, err := VerifyWitnessed(envelope.Default(), f, []ledger.Witness{one})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(slices.Clone(r.Facts), func(f Fact) bool { return f.Code != Witnessed })); n != 1 {
		t.Errorf("%d entries were witnessed, want the header's alone", n)
	}
	if fact := factOf(t, r, Witnessed); !strings.Contains(fact.Shows, one.ID()) || !strings.Contains(fact.Shows, "Republic of Arvenia") || !strings.Contains(fact.Shows, "13:00:00 UTC") {
		t.Errorf("it shows: %s", fact.Shows)
	}
	for _, a := range []struct {
		name      string
		file      *File
		witnesses []ledger.Witness
	}{
		{"a witness that did not cosign", f, []ledger.Witness{two}},
		{"one that did and one that did not", f, []ledger.Witness{one, two}},
		{"a file that nobody else cosigned", s.file, []ledger.Witness{one}},
		{"a cosignature on another head", moved(t, f, s), []ledger.Witness{one}},
	} {
		_, err := VerifyWitnessed(envelope.Default(), a.file, a.witnesses)
		checkError(t, err, "", ErrWitness)
	}
}

// moved takes the third party's line from the header's checkpoint to a receipt's.
func moved(t *testing.T, f *File, s *story) *File {
	t.Helper()
	f = copyFile(t, f)
	note := strings.TrimSuffix(f.Header.Entry.Checkpoint, "\n")
	line := note[strings.LastIndexByte(note, '\n')+1:]
	f.Header.Entry.Checkpoint = s.file.Header.Entry.Checkpoint
	f.Receipts[0].Out.Checkpoint += line + "\n"
	return f
}
