package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"entente/party"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// ErrWitnessKey says that a text is no key under which a third party cosigns.
var ErrWitnessKey = errors.New("not the verifier key of a witness")

// maxWitnessKey bounds a verifier key, in bytes: one of ML-DSA-44 has 1,751 of base64 and its name.
const maxWitnessKey = 4 << 10

// Witness is a third party that may cosign checkpoints (C2SP tlog-witness), known by one key. It follows nobody's leaves
// and knows no party: it says that each head that it cosigned continues the one before.
type Witness struct{ verifier note.Verifier }

// ParseWitness reads a verifier key (signed-note, Verifier keys) of signature type 0x04, Ed25519, or 0x06, ML-DSA-44. Errors
// wrap ErrWitnessKey.
func ParseWitness(vkey string) (Witness, error) {
	fields := strings.SplitN(vkey, "+", 3)
	if len(fields) != 3 || len(vkey) > maxWitnessKey {
		return Witness{}, fmt.Errorf("it is not of the form name+id+key: %w", ErrWitnessKey)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(fields[2])
	if err != nil || len(key) == 0 {
		return Witness{}, fmt.Errorf("its key is not base64: %w", ErrWitnessKey)
	}
	if key[0] != typeEd25519Cosi && key[0] != typeMLDSA44 {
		return Witness{}, fmt.Errorf("a key of type %#02x does not cosign: %w", key[0], ErrWitnessKey)
	}
	v, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		return Witness{}, fmt.Errorf("%w: %w", err, ErrWitnessKey)
	}
	if fields[1] != fmt.Sprintf("%08x", v.KeyHash()) {
		return Witness{}, fmt.Errorf("its id is not that of its name and key: %w", ErrWitnessKey)
	}
	return Witness{v}, nil
}

// Name is the witness's own, as its key has it.
func (w Witness) Name() string { return w.verifier.Name() }

// ID tells keys apart: "witness.example/w1+8f3c21aa".
func (w Witness) ID() string { return fmt.Sprintf("%s+%08x", w.verifier.Name(), w.verifier.KeyHash()) }

// VerifierKeys are the keys of the log of this origin as a witness is told them (signed-note, Verifier keys): Ed25519,
// then ML-DSA-44. Either is enough for a witness.
func VerifierKeys(origin string, keys party.NoteKeys) []string {
	return []string{vkey(origin, typeEd25519, keys.Ed25519), vkey(origin, typeMLDSA44, keys.MLDSA44)}
}

// AddWitness verifies a third party's answer and returns c with its cosignature in place of an earlier one by the same key.
// Lines of other keys are dropped. time is the cosignature's, in UTC seconds, and the witness's word. Errors wrap
// ErrCosignature or ErrCheckpoint; c is unchanged.
func (c *Checkpoint) AddWitness(lines []byte, w Witness) (cosigned *Checkpoint, time int64, err error) {
	return c.add(lines, w.verifier)
}

// WitnessedBy verifies that a third party has cosigned c; time is as in AddWitness. Errors wrap ErrCosignature or
// ErrCheckpoint.
func (c *Checkpoint) WitnessedBy(w Witness) (time int64, err error) { return c.cosignedBy(w.verifier) }

// Join returns c with the signatures that another note of the same head has beyond its own. Nothing is verified. Errors
// wrap ErrCheckpoint.
func (c *Checkpoint) Join(other []byte) (*Checkpoint, error) {
	text, sigs, err := splitNote(other)
	if err != nil {
		return nil, err
	}
	own, had, err := splitNote(c.Note)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(text, own) {
		return nil, fmt.Errorf("notes of two heads: %w", ErrCheckpoint)
	}
	joined := *c
	joined.Note = bytes.Clone(c.Note)
	for line := range bytes.Lines(sigs) {
		if !bytes.Contains(had, line) {
			joined.Note = append(joined.Note, line...)
		}
	}
	if len(joined.Note) > MaxNote {
		return nil, fmt.Errorf("joined note of %d bytes, at most %d allowed: %w", len(joined.Note), MaxNote, ErrCheckpoint)
	}
	return &joined, nil
}
