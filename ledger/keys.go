package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"entente/party"

	"filippo.io/mldsa"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of signed-note.
const (
	typeEd25519     = 0x01
	typeEd25519Cosi = 0x04 // timestamped cosignature/v1
	typeMLDSA44     = 0x06 // timestamped (sub)tree cosignature
)

const (
	keyIDSize     = 4
	timestampSize = 8
	seedSize      = 32 // of Ed25519 and of ML-DSA-44 alike
)

var errKey = errors.New("note key is malformed")

// keyID is the key's short name in a signature line (signed-note, Signatures).
func keyID(name string, sigType byte, public []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{'\n', sigType})
	h.Write(public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func keyIDOf(signature []byte) uint32 { return binary.BigEndian.Uint32(signature) }

// vkey encodes a verifier key (signed-note, Verifier keys).
func vkey(name string, sigType byte, public []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, sigType, public),
		base64.StdEncoding.EncodeToString(append([]byte{sigType}, public...)))
}

// logVerifiers are the keys that must sign a checkpoint of this origin: Ed25519 (type 0x01), ML-DSA-44 (type 0x06).
func logVerifiers(origin string, keys party.NoteKeys) ([]note.Verifier, error) {
	ed, err := note.NewVerifier(vkey(origin, typeEd25519, keys.Ed25519))
	if err != nil {
		return nil, fmt.Errorf("Ed25519 key of log: %w: %w", errKey, err)
	}
	ml, err := fnote.NewMLDSAVerifier(vkey(origin, typeMLDSA44, keys.MLDSA44))
	if err != nil {
		return nil, fmt.Errorf("ML-DSA-44 key of log: %w: %w", errKey, err)
	}
	return []note.Verifier{ed, ml}, nil
}

// witnessVerifiers are the keys that must cosign: Ed25519 (type 0x04), ML-DSA-44 (type 0x06).
func witnessVerifiers(name string, keys party.NoteKeys) ([]note.Verifier, error) {
	ed, err := fnote.NewVerifierForCosignatureV1(vkey(name, typeEd25519Cosi, keys.Ed25519))
	if err != nil {
		return nil, fmt.Errorf("Ed25519 key of witness: %w: %w", errKey, err)
	}
	ml, err := fnote.NewMLDSAVerifier(vkey(name, typeMLDSA44, keys.MLDSA44))
	if err != nil {
		return nil, fmt.Errorf("ML-DSA-44 key of witness: %w: %w", errKey, err)
	}
	return []note.Verifier{ed, ml}, nil
}

// cosignatureTime reads the timestamp of a verified cosignature: never zero on a witness's (tlog-witness), never above
// 2⁶³ − 1 (tlog-cosignature).
func cosignatureTime(s note.Signature) (int64, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) < keyIDSize+timestampSize {
		return 0, fmt.Errorf("cosignature has no timestamp: %w", ErrCosignature)
	}
	t := binary.BigEndian.Uint64(raw[keyIDSize:])
	if t == 0 || t > math.MaxInt64 {
		return 0, fmt.Errorf("timestamp %d is out of range: %w", t, ErrCosignature)
	}
	return int64(t), nil
}

// LogSigners make the two signatures of a log's checkpoints from 32-byte seeds. The ML-DSA-44 one is a cosignature by
// the log itself, as tlog-checkpoint recommends, with timestamp zero: it says nothing of the largest tree seen, and
// signing the same head again makes no new statement.
func LogSigners(origin string, ed25519Seed, mldsa44Seed []byte) ([]note.Signer, error) {
	ed, err := newEd25519Key(ed25519Seed)
	if err != nil {
		return nil, err
	}
	ml, err := newMLDSASigner(origin, mldsa44Seed)
	if err != nil {
		return nil, err
	}
	edSigner := plainSigner{name: origin, id: keyID(origin, typeEd25519, publicOf(ed)), key: ed}
	return []note.Signer{edSigner, treeSigner{SubtreeSigner: ml}}, nil
}

// WitnessSigners make the two cosignatures of a witness from 32-byte seeds; nowUnix gives the time in UTC seconds, which
// must be positive.
func WitnessSigners(name string, ed25519Seed, mldsa44Seed []byte, nowUnix func() int64) ([]note.Signer, error) {
	ed, err := newEd25519Key(ed25519Seed)
	if err != nil {
		return nil, err
	}
	ml, err := newMLDSASigner(name, mldsa44Seed)
	if err != nil {
		return nil, err
	}
	edSigner := cosigner{name: name, id: keyID(name, typeEd25519Cosi, publicOf(ed)), key: ed, now: nowUnix}
	return []note.Signer{edSigner, treeSigner{SubtreeSigner: ml, now: nowUnix}}, nil
}

// NoteKeysFromSeeds are the public halves.
func NoteKeysFromSeeds(ed25519Seed, mldsa44Seed []byte) (party.NoteKeys, error) {
	ed, err := newEd25519Key(ed25519Seed)
	if err != nil {
		return party.NoteKeys{}, err
	}
	ml, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), mldsa44Seed)
	if err != nil {
		return party.NoteKeys{}, fmt.Errorf("ML-DSA-44 seed: %w", err)
	}
	return party.NoteKeys{Ed25519: publicOf(ed), MLDSA44: ml.PublicKey().Bytes()}, nil
}

func newEd25519Key(seed []byte) (ed25519.PrivateKey, error) {
	if len(seed) != seedSize {
		return nil, fmt.Errorf("Ed25519 seed of %d bytes: %w", len(seed), errKey)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func publicOf(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

func newMLDSASigner(name string, seed []byte) (*fnote.SubtreeSigner, error) {
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		return nil, fmt.Errorf("ML-DSA-44 seed: %w", err)
	}
	s, err := fnote.NewMLDSASigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name,
		keyID(name, typeMLDSA44, private.PublicKey().Bytes()),
		base64.StdEncoding.EncodeToString(append([]byte{typeMLDSA44}, seed...))))
	if err != nil {
		return nil, fmt.Errorf("ML-DSA-44 signer of %q: %w", name, err)
	}
	return s, nil
}

// plainSigner signs a note's text itself (type 0x01).
type plainSigner struct {
	name string
	id   uint32
	key  ed25519.PrivateKey
}

func (s plainSigner) Name() string                    { return s.name }
func (s plainSigner) KeyHash() uint32                 { return s.id }
func (s plainSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// cosigner signs a timestamp and a note's text (type 0x04).
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PrivateKey
	now  func() int64
}

func (s cosigner) Name() string    { return s.name }
func (s cosigner) KeyHash() uint32 { return s.id }

func (s cosigner) Sign(msg []byte) ([]byte, error) {
	if _, err := parseBody(msg); err != nil {
		return nil, err
	}
	t, err := timestamp(s.now)
	if err != nil {
		return nil, err
	}
	sig := ed25519.Sign(s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, msg))
	return append(binary.BigEndian.AppendUint64(nil, t), sig...), nil
}

// treeSigner signs a timestamp and a tree head (type 0x06) with a clock that was handed in.
type treeSigner struct {
	*fnote.SubtreeSigner
	now func() int64 // nil in a log's own signature: the timestamp is zero
}

func (s treeSigner) Sign(msg []byte) ([]byte, error) {
	c, err := parseBody(msg)
	if err != nil {
		return nil, err
	}
	var t uint64
	if s.now != nil {
		if t, err = timestamp(s.now); err != nil {
			return nil, err
		}
	}
	return s.SignSubtree(t, c.Origin, 0, uint64(c.Size), c.Root[:])
}

func timestamp(now func() int64) (uint64, error) {
	t := now()
	if t <= 0 {
		return 0, fmt.Errorf("cosigning at second %d: no such time", t)
	}
	return uint64(t), nil
}
