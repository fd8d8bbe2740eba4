package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"entente/envelope"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxAddCheckpoint bounds the body of an add-checkpoint request, in bytes.
const MaxAddCheckpoint = MaxNote + MaxProof*(proofLine+1) + 64

// proofLine is the length of a hash in base64.
const proofLine = 44

// AddCheckpoint is the body of a tlog-witness add-checkpoint request.
type AddCheckpoint struct {
	OldSize int64
	Proof   []tlog.Hash
	Note    []byte
}

// Encode returns the body.
func (a AddCheckpoint) Encode() []byte {
	out := fmt.Appendf(nil, "old %d\n", a.OldSize)
	for _, h := range a.Proof {
		out = append(base64.StdEncoding.AppendEncode(out, h[:]), '\n')
	}
	out = append(out, '\n')
	return append(out, a.Note...)
}

// DecodeAddCheckpoint is the inverse of Encode, strict: at most MaxProof proof lines, a note of at most MaxNote bytes.
// The note is not opened here. Errors are *envelope.FormatError.
func DecodeAddCheckpoint(data []byte) (*AddCheckpoint, error) {
	if len(data) > MaxAddCheckpoint {
		return nil, requestError("", "request of %d bytes, at most %d allowed", len(data), MaxAddCheckpoint)
	}
	first, rest, ok := bytes.Cut(data, []byte("\n"))
	digits, isOld := bytes.CutPrefix(first, []byte("old "))
	if !ok || !isOld {
		return nil, requestError("line 1", "no old size line")
	}
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || size < 0 || size > MaxSize || strconv.FormatInt(size, 10) != string(digits) {
		return nil, requestError("line 1", "old size is not a decimal in range")
	}
	a := &AddCheckpoint{OldSize: size}
	for n := 2; ; n++ {
		line, next, ok := bytes.Cut(rest, []byte("\n"))
		where := fmt.Sprintf("line %d", n)
		switch {
		case !ok:
			return nil, requestError(where, "no empty line before the checkpoint")
		case len(line) == 0:
			if len(next) == 0 || len(next) > MaxNote {
				return nil, requestError(where, "checkpoint of %d bytes, 1 to %d allowed", len(next), MaxNote)
			}
			a.Note = bytes.Clone(next)
			return a, nil
		case len(a.Proof) == MaxProof:
			return nil, requestError(where, "more than %d proof lines", MaxProof)
		case len(line) != proofLine:
			return nil, requestError(where, "proof line is not a hash in base64")
		}
		h, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(h) != tlog.HashSize {
			return nil, requestError(where, "proof line is not a hash in base64")
		}
		a.Proof = append(a.Proof, tlog.Hash(h))
		rest = next
	}
}

func requestError(where, format string, args ...any) error {
	return &envelope.FormatError{What: fmt.Sprintf(format, args...), Where: where}
}

// Refusal is why a witness does not cosign; its number is the HTTP status that tlog-witness assigns.
type Refusal int

// The refusals of tlog-witness, and one of our own: Forgetful.
const (
	BadRequest    Refusal = 400 // the old size is above the new one, or the request is malformed
	BadSignature  Refusal = 403 // not signed with both keys of the log
	UnknownOrigin Refusal = 404 // not the log that this witness follows
	Conflict      Refusal = 409 // the old size is not that of the latest cosigned checkpoint
	Inconsistent  Refusal = 422 // signed by the log, but no continuation of what was cosigned: to be kept as evidence
	Forgetful     Refusal = 503 // the witness has lost track of what it cosigned, see WitnessState.Restored
)

// String names the refusal.
func (r Refusal) String() string {
	switch r {
	case BadRequest:
		return "bad request"
	case BadSignature:
		return "bad signature"
	case UnknownOrigin:
		return "unknown origin"
	case Conflict:
		return "conflict"
	case Inconsistent:
		return "inconsistent"
	case Forgetful:
		return "forgetful"
	}
	return "refusal " + strconv.Itoa(int(r))
}

// RefusalError is what Judge answers instead of a checkpoint to cosign.
type RefusalError struct {
	Refusal Refusal
	Size    int64       // with Conflict: size of the latest cosigned checkpoint, the answer's body
	Signed  *Checkpoint // with BadRequest (if it was opened), Conflict, Inconsistent and Forgetful: what the log did sign
	Err     error
}

func (e *RefusalError) Error() string { return fmt.Sprintf("%s: %v", e.Refusal, e.Err) }
func (e *RefusalError) Unwrap() error { return e.Err }

// WitnessState is what a witness remembers of one log: the latest head that it cosigned. The zero value has cosigned
// nothing. It must be durable before a cosignature leaves, and be compared and replaced in one transaction.
type WitnessState struct {
	Size int64
	Root envelope.Hash

	// Restored says that the witness may have cosigned more than Size: its memory came from a backup, or is missing
	// although the link has been in use. Such a witness cosigns nothing, for it could cosign an older or another head
	// than it did before, until Recall has shown it what it cosigned or the log opens a new epoch.
	Restored bool
}

// Judge decides as tlog-witness (add-checkpoint) demands whether a witness in this state may cosign; origin and keys
// are those of the one log that the state belongs to. It returns the checkpoint to make durable and then to cosign, or
// a *RefusalError.
//
// A checkpoint that the log signed and that is refused as Inconsistent is to be kept, with the one cosigned before. If
// both have one size, they prove alone that the log showed two histories; otherwise they do with the leaves that the
// mirror holds, for a proof may also fail because it was badly made.
func Judge(s WitnessState, req AddCheckpoint, origin string, keys party.NoteKeys) (*Checkpoint, error) {
	c, err := OpenCheckpoint(req.Note, origin, keys)
	if err != nil {
		return nil, &RefusalError{Refusal: refusalOf(err), Err: err}
	}
	refuse := func(r Refusal, format string, args ...any) (*Checkpoint, error) {
		return nil, &RefusalError{Refusal: r, Size: s.Size, Signed: c, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case s.Restored:
		return refuse(Forgetful, "at size %d: what was cosigned before must be recalled first", s.Size)
	case req.OldSize > c.Size:
		return refuse(BadRequest, "old size %d is above the checkpoint's %d", req.OldSize, c.Size)
	case req.OldSize != s.Size:
		return refuse(Conflict, "old size is %d, cosigned was %d", req.OldSize, s.Size)
	}
	if err := CheckConsistency(req.Proof, s.Size, s.root(), c.Size, c.Root); err != nil {
		return refuse(Inconsistent, "%w", err)
	}
	return c, nil
}

// After is the state once c is cosigned.
func (s WitnessState) After(c *Checkpoint) WitnessState {
	return WitnessState{Size: c.Size, Root: c.Root}
}

// Recall ends a Restored state with a checkpoint that bears the log's signatures and the witness's own cosignatures:
// a witness believes nobody but itself. A checkpoint below what the state remembers is refused (ErrBehind); one of
// the same size with another root, too (ErrRoot).
//
// The log chooses which checkpoint it shows, so one that hides its latest is not found out here. If it then rewrites
// what lay between, both histories bear its own signatures, and whoever received a proof from the first can show it.
func (s WitnessState) Recall(note []byte, origin string, keys party.NoteKeys, name string, own party.NoteKeys) (WitnessState, error) {
	c, err := OpenCheckpoint(note, origin, keys)
	if err != nil {
		return s, err
	}
	if _, err := c.Cosigned(name, own); err != nil {
		return s, err
	}
	switch {
	case c.Size < s.Size:
		return s, fmt.Errorf("recalling size %d where %d is remembered: %w", c.Size, s.Size, ErrBehind)
	case c.Size == s.Size && c.Root != s.root():
		return s, fmt.Errorf("recalling size %d: %w", c.Size, ErrRoot)
	}
	return s.After(c), nil
}

// root is that of the empty tree if nothing was cosigned.
func (s WitnessState) root() envelope.Hash {
	if s.Size == 0 {
		return emptyRoot()
	}
	return s.Root
}

func refusalOf(err error) Refusal {
	switch {
	case errors.Is(err, ErrOrigin):
		return UnknownOrigin
	case errors.Is(err, ErrLogSignature):
		return BadSignature
	}
	return BadRequest
}
