package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"entente/envelope"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// MaxNote bounds a signed note, in bytes: it has room for the 16 signatures that signed-note asks to accept, all of
// them ML-DSA-44.
const MaxNote = 64 << 10

// Why a checkpoint is refused.
var (
	ErrCheckpoint   = errors.New("checkpoint is malformed")
	ErrOrigin       = errors.New("checkpoint of another log")
	ErrLogSignature = errors.New("checkpoint lacks a valid signature of each key of its log")
	ErrCosignature  = errors.New("checkpoint lacks a valid cosignature of each key of its witness")
)

// Origin is the name of the log of a party for a link and epoch: "entente/<link hex>/<party hex>/<epoch>".
func Origin(link envelope.Hash, p party.ID, epoch uint32) string {
	return fmt.Sprintf("entente/%s/%s/%d", link, p, epoch)
}

// ParseOrigin is the inverse of Origin, strict.
func ParseOrigin(s string) (link envelope.Hash, p party.ID, epoch uint32, err error) {
	parts := strings.Split(s, "/")
	if len(parts) != 4 || parts[0] != "entente" {
		return link, p, 0, fmt.Errorf("origin is not of the form entente/link/party/epoch: %w", ErrCheckpoint)
	}
	link, err1 := envelope.ParseHash(parts[1])
	p, err2 := envelope.ParseHash(parts[2])
	n, err3 := strconv.ParseUint(parts[3], 10, 32)
	if err := errors.Join(err1, err2, err3); err != nil {
		return envelope.Hash{}, party.ID{}, 0, fmt.Errorf("origin: %w: %w", ErrCheckpoint, err)
	}
	if epoch = uint32(n); epoch < FirstEpoch || Origin(link, p, epoch) != s {
		return envelope.Hash{}, party.ID{}, 0, fmt.Errorf("origin is not in its one form: %w", ErrCheckpoint)
	}
	return link, p, epoch, nil
}

// WitnessName is the name under which a party cosigns: "entente/witness/<party hex>".
func WitnessName(p party.ID) string { return "entente/witness/" + hex.EncodeToString(p[:]) }

// Checkpoint is a signed tree head (C2SP tlog-checkpoint), perhaps with cosignatures. It never has extension lines:
// the ML-DSA-44 signature would not cover them.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   envelope.Hash
	Note   []byte // the whole signed note
}

// body is the note's text, rebuilt from the fields: the only text that is accepted for them.
func (c *Checkpoint) body() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// parseBody is strict: three lines, one encoding.
func parseBody(text []byte) (*Checkpoint, error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[0] == "" {
		return nil, fmt.Errorf("body has not exactly three lines: %w", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > MaxSize {
		return nil, fmt.Errorf("tree size is out of range: %w", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(envelope.Hash{}) {
		return nil, fmt.Errorf("root is not 32 bytes of base64: %w", ErrCheckpoint)
	}
	c := &Checkpoint{Origin: lines[0], Size: size, Root: envelope.Hash(root)}
	if !bytes.Equal(c.body(), text) {
		return nil, fmt.Errorf("body is not in its one encoding: %w", ErrCheckpoint)
	}
	return c, nil
}

// splitNote parts a note into text and signature lines and checks what package note is lenient about: the size, and
// base64 with stray bits, which would let one signature be written in several ways.
func splitNote(data []byte) (text, sigs []byte, err error) {
	if len(data) > MaxNote {
		return nil, nil, fmt.Errorf("note of %d bytes, at most %d allowed: %w", len(data), MaxNote, ErrCheckpoint)
	}
	i := bytes.LastIndex(data, []byte("\n\n"))
	if i < 0 {
		return nil, nil, fmt.Errorf("note has no signatures: %w", ErrCheckpoint)
	}
	text, sigs = data[:i+1], data[i+2:]
	if !bytes.HasSuffix(sigs, []byte("\n")) {
		return nil, nil, fmt.Errorf("last signature line does not end: %w", ErrCheckpoint)
	}
	for line := range bytes.Lines(sigs) {
		b64 := bytes.TrimSuffix(line[bytes.LastIndexByte(line, ' ')+1:], []byte("\n"))
		if _, err := base64.StdEncoding.Strict().DecodeString(string(b64)); err != nil {
			return nil, nil, fmt.Errorf("signature line is not base64: %w", ErrCheckpoint)
		}
	}
	return text, sigs, nil
}

// openNote verifies that every one of the keys has signed; signatures of other keys are ignored, as signed-note
// demands. missing is the error to wrap if one has not.
func openNote(data []byte, missing error, keys ...note.Verifier) (*Checkpoint, []note.Signature, error) {
	text, _, err := splitNote(data)
	if err != nil {
		return nil, nil, err
	}
	c, err := parseBody(text)
	if err != nil {
		return nil, nil, err
	}
	n, err := note.Open(data, note.VerifierList(keys...))
	if _, unsigned := errors.AsType[*note.UnverifiedNoteError](err); unsigned {
		return nil, nil, fmt.Errorf("no signature of a known key: %w", missing)
	}
	if _, bad := errors.AsType[*note.InvalidSignatureError](err); bad {
		return nil, nil, fmt.Errorf("%w: %w", err, missing)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", err, ErrCheckpoint)
	}
	for _, k := range keys {
		found := false
		for _, s := range n.Sigs {
			found = found || s.Name == k.Name() && s.Hash == k.KeyHash()
		}
		if !found {
			return nil, nil, fmt.Errorf("no signature of key %s+%08x: %w", k.Name(), k.KeyHash(), missing)
		}
	}
	c.Note = bytes.Clone(data)
	return c, n.Sigs, nil
}

// SignCheckpoint signs a tree head with the log's keys (LogSigners of the same origin).
func SignCheckpoint(origin string, size int64, root envelope.Hash, signers ...note.Signer) (*Checkpoint, error) {
	c := &Checkpoint{Origin: origin, Size: size, Root: root}
	if _, err := parseBody(c.body()); err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	for _, s := range signers {
		if s.Name() != origin {
			return nil, fmt.Errorf("signing checkpoint of %s: key of %s: %w", origin, s.Name(), ErrOrigin)
		}
	}
	data, err := note.Sign(&note.Note{Text: string(c.body())}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint of %s: %w", origin, err)
	}
	c.Note = data
	return c, nil
}

// OpenCheckpoint verifies that data is a checkpoint of this origin, signed with both of the log's keys. Cosignatures
// are kept but not looked at: Cosigned verifies them. Errors wrap ErrCheckpoint, ErrOrigin or ErrLogSignature.
func OpenCheckpoint(data []byte, origin string, keys party.NoteKeys) (*Checkpoint, error) {
	text, _, err := splitNote(data)
	if err != nil {
		return nil, err
	}
	c, err := parseBody(text)
	if err != nil {
		return nil, err
	}
	if c.Origin != origin {
		return nil, fmt.Errorf("checkpoint of %q where one of %q is due: %w", c.Origin, origin, ErrOrigin)
	}
	verifiers, err := logVerifiers(origin, keys)
	if err != nil {
		return nil, err
	}
	c, _, err = openNote(data, ErrLogSignature, verifiers...)
	return c, err
}

// Cosign returns signature lines on c (C2SP tlog-cosignature), to be sent to the log. The caller has judged c.
func Cosign(c *Checkpoint, signers ...note.Signer) (lines []byte, err error) {
	text := c.body()
	data, err := note.Sign(&note.Note{Text: string(text)}, signers...)
	if err != nil {
		return nil, fmt.Errorf("cosigning %s at size %d: %w", c.Origin, c.Size, err)
	}
	return data[len(text)+1:], nil
}

// AddCosignatures verifies a witness's answer and returns c with its two cosignatures in place of earlier ones by the
// same keys. Lines of other keys are dropped. time is the later of the two timestamps, in UTC seconds: the witness says
// that it had seen this head by then. Errors wrap ErrCosignature or ErrCheckpoint; c is unchanged.
func AddCosignatures(c *Checkpoint, lines []byte, name string, keys party.NoteKeys) (cosigned *Checkpoint, time int64, err error) {
	verifiers, err := witnessVerifiers(name, keys)
	if err != nil {
		return nil, 0, err
	}
	return c.add(lines, verifiers...)
}

// Cosigned verifies that both keys of the witness of this name have cosigned c; time is as in AddCosignatures. Errors
// wrap ErrCosignature or ErrCheckpoint.
func (c *Checkpoint) Cosigned(name string, keys party.NoteKeys) (time int64, err error) {
	verifiers, err := witnessVerifiers(name, keys)
	if err != nil {
		return 0, err
	}
	return c.cosignedBy(verifiers...)
}

// add verifies that lines are cosignatures of c by all of these keys, and adds them.
func (c *Checkpoint) add(lines []byte, verifiers ...note.Verifier) (cosigned *Checkpoint, time int64, err error) {
	time, sigs, err := cosignatures(append(append(c.body(), '\n'), lines...), verifiers)
	if err != nil {
		return nil, 0, err
	}
	text, old, err := splitNote(c.Note)
	if err != nil {
		return nil, 0, err
	}
	out := append(bytes.Clone(text), '\n')
	for line := range bytes.Lines(old) {
		if !replaced(line, sigs) {
			out = append(out, line...)
		}
	}
	for _, s := range sigs {
		out = fmt.Appendf(out, "— %s %s\n", s.Name, s.Base64)
	}
	if len(out) > MaxNote {
		return nil, 0, fmt.Errorf("cosigned note of %d bytes, at most %d allowed: %w", len(out), MaxNote, ErrCheckpoint)
	}
	return &Checkpoint{Origin: c.Origin, Size: c.Size, Root: c.Root, Note: out}, time, nil
}

// cosignedBy verifies that all of these keys have cosigned c.
func (c *Checkpoint) cosignedBy(verifiers ...note.Verifier) (time int64, err error) {
	text, _, err := splitNote(c.Note)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(text, c.body()) {
		return 0, fmt.Errorf("note has another text than its checkpoint: %w", ErrCheckpoint)
	}
	time, _, err = cosignatures(c.Note, verifiers)
	return time, err
}

// cosignatures verifies the cosignatures of all of these keys in a note; time is the latest timestamp.
func cosignatures(data []byte, verifiers []note.Verifier) (time int64, sigs []note.Signature, err error) {
	_, sigs, err = openNote(data, ErrCosignature, verifiers...)
	if err != nil {
		return 0, nil, err
	}
	for _, s := range sigs {
		at, err := cosignatureTime(s)
		if err != nil {
			return 0, nil, err
		}
		time = max(time, at)
	}
	return time, sigs, nil
}

// replaced says whether a signature line is by a key of which there is a new signature: same name, same key id.
func replaced(line []byte, sigs []note.Signature) bool {
	for _, s := range sigs {
		rest, ok := bytes.CutPrefix(line, []byte("— "+s.Name+" "))
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSuffix(rest, []byte("\n"))))
		if err == nil && len(raw) > keyIDSize && keyIDOf(raw) == s.Hash {
			return true
		}
	}
	return false
}
