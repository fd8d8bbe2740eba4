// Package proof is what a court can check alone: one file that shows, offline and without trust in either party, what
// one party sent to another, and what the other acknowledged of it.
//
// A File carries the statement (or what erasure has left of it), the sender's signed header, the recipient's signed
// receipts, and for each of these the leaf of the log where it is recorded, with its path to a checkpoint that its own
// party has signed and the other one cosigned; and the identity chains of both. Verify checks all of it and returns a
// Report of facts, each with what it proves and what it does not.
//
// It promises that nothing in a Report is taken on trust but what the Report names as somebody's claim, and that a file
// with any part changed, missing or put in another's place is refused with an error that names the part. It refuses
// files over its limits and any encoding but strict JSON. It cannot say who stands behind a party's id: for that the
// verifier pins the ids that it knows, by their fingerprints.
package proof

import (
	"fmt"

	"entente/envelope"
	"entente/ledger"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of a proof file.
const (
	MaxFile     = 16 << 20 // bytes of an encoded file
	MaxReceipts = 8
	MaxVersions = 256 // versions of each identity
)

// File is a proof file. In JSON, byte strings are base64, hashes and salts lower-case hexadecimal; leaves and
// checkpoints stand as the text that they are.
type File struct {
	V         int       `json:"v"` // 1
	Statement Statement `json:"statement"`
	Sender    [][]byte  `json:"sender"`    // identity chain of the header's from: encoded envelopes, oldest first
	Recipient [][]byte  `json:"recipient"` // identity chain of the header's to
	Header    Record    `json:"header"`    // the parcel's header, with its sent leaf in the sender's log
	// Grant is there of a registered statement whose keys were released: its receipts stand among the others.
	Grant    *Record       `json:"grant,omitzero"`
	Receipts []Acknowledge `json:"receipts,omitempty"`
}

// Statement is what was said, as far as the file shows it. Of an erased statement, or to keep it from the reader, Body
// and Files are left out with their salts, or Text and all of these.
type Statement struct {
	Commitment statement.Commitment `json:"commitment"`
	Text       []byte               `json:"text,omitempty"` // exact bytes; with TextSalt or not at all
	TextSalt   *statement.Salt      `json:"text_salt,omitzero"`
	Body       []byte               `json:"body,omitempty"` // exact bytes; with BodySalt or not at all
	BodySalt   *statement.Salt      `json:"body_salt,omitzero"`
	Files      []statement.File     `json:"files,omitempty"` // all that the text lists, in its order, or none
}

// Record is a signed document and where it stands in its author's log.
type Record struct {
	Envelope []byte `json:"envelope"` // encoded DSSE envelope
	Entry    Entry  `json:"entry"`
}

// Acknowledge is one receipt of the recipient.
type Acknowledge struct {
	Envelope []byte `json:"envelope"` // encoded DSSE envelope
	Out      Entry  `json:"out"`      // its receipt-out leaf in the recipient's log
	Got      *Entry `json:"got,omitzero"`
}

// Entry is a leaf and its path to a cosigned checkpoint of the log.
type Entry struct {
	Leaf       string          `json:"leaf"`
	Path       []envelope.Hash `json:"path,omitempty"` // inclusion proof, from the leaf's sibling up (RFC 6962, section 2.1.1)
	Checkpoint string          `json:"checkpoint"`     // signed note with the log's signatures and the other party's cosignatures
}

// NewEntry makes an entry of a leaf's exact bytes, its inclusion proof and the note of the checkpoint that this is for.
func NewEntry(leaf []byte, path []tlog.Hash, checkpoint string) Entry {
	e := Entry{Leaf: string(leaf), Checkpoint: checkpoint}
	if len(path) > 0 {
		e.Path = make([]envelope.Hash, len(path))
	}
	for i, h := range path {
		e.Path[i] = envelope.Hash(h)
	}
	return e
}

// TransparencyProof writes the entry as a C2SP tlog-proof, for tools that check these: the record is the leaf's bytes.
func (e Entry) TransparencyProof() ([]byte, error) {
	l, err := ledger.DecodeLeaf([]byte(e.Leaf))
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nindex %d\n", l.Index)
	for _, h := range e.Path {
		out = fmt.Appendf(out, "%s\n", tlog.Hash(h))
	}
	return fmt.Appendf(out, "\n%s", e.Checkpoint), nil
}

// Encode writes f as strict JSON. It checks the file's shape and limits, not what it proves.
func (f *File) Encode() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding proof file: %w", err)
	}
	if len(data) > MaxFile {
		return nil, malformed("", "proof file of %d bytes, at most %d allowed", len(data), MaxFile)
	}
	return data, nil
}

// Decode reads a file strictly and checks its shape and limits, not what it proves: Verify does. Errors are
// *envelope.FormatError.
func Decode(data []byte) (*File, error) {
	if len(data) > MaxFile {
		return nil, malformed("", "proof file of %d bytes, at most %d allowed", len(data), MaxFile)
	}
	f := new(File)
	if err := envelope.Unmarshal(data, f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) check() error {
	if f.V != 1 {
		return malformed("/v", "version %d of a proof file is not known", f.V)
	}
	if err := f.Statement.check(); err != nil {
		return err
	}
	for _, c := range []struct {
		where string
		chain [][]byte
	}{{"/sender", f.Sender}, {"/recipient", f.Recipient}} {
		if len(c.chain) < 1 || len(c.chain) > MaxVersions {
			return malformed(c.where, "%d versions of an identity, 1 to %d allowed", len(c.chain), MaxVersions)
		}
		for i, data := range c.chain {
			if err := checkSize(fmt.Sprintf("%s/%d", c.where, i), len(data), envelope.MaxEnvelope); err != nil {
				return err
			}
		}
	}
	if err := checkSize("/header/envelope", len(f.Header.Envelope), envelope.MaxEnvelope); err != nil {
		return err
	}
	if err := f.Header.Entry.check("/header/entry"); err != nil {
		return err
	}
	if f.Grant != nil {
		if err := checkSize("/grant/envelope", len(f.Grant.Envelope), envelope.MaxEnvelope); err != nil {
			return err
		}
		if err := f.Grant.Entry.check("/grant/entry"); err != nil {
			return err
		}
	}
	if len(f.Receipts) > MaxReceipts {
		return malformed("/receipts", "%d receipts, at most %d allowed", len(f.Receipts), MaxReceipts)
	}
	for i, a := range f.Receipts {
		where := fmt.Sprintf("/receipts/%d", i)
		if err := checkSize(where+"/envelope", len(a.Envelope), envelope.MaxEnvelope); err != nil {
			return err
		}
		if err := a.Out.check(where + "/out"); err != nil {
			return err
		}
		if a.Got == nil {
			continue
		}
		if err := a.Got.check(where + "/got"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Statement) check() error {
	switch {
	case s.Commitment.IsZero():
		return malformed("/statement/commitment", "commitment is zero")
	case (len(s.Text) > 0) != (s.TextSalt != nil):
		return malformed("/statement/text_salt", "text and its salt stand together or not at all")
	case (len(s.Body) > 0) != (s.BodySalt != nil):
		return malformed("/statement/body_salt", "body and its salt stand together or not at all")
	case len(s.Text) == 0 && (len(s.Body) > 0 || len(s.Files) > 0):
		return malformed("/statement/text", "body and files cannot be checked without the text")
	case len(s.Text) > statement.MaxText:
		return malformed("/statement/text", "%d bytes, at most %d allowed", len(s.Text), statement.MaxText)
	case len(s.Body) > statement.MaxBody:
		return malformed("/statement/body", "%d bytes, at most %d allowed", len(s.Body), statement.MaxBody)
	case len(s.Files) > statement.MaxFiles:
		return malformed("/statement/files", "%d files, at most %d allowed", len(s.Files), statement.MaxFiles)
	}
	return nil
}

func (e *Entry) check(where string) error {
	if err := checkSize(where+"/leaf", len(e.Leaf), ledger.MaxLeaf); err != nil {
		return err
	}
	if err := checkSize(where+"/checkpoint", len(e.Checkpoint), ledger.MaxNote); err != nil {
		return err
	}
	if len(e.Path) > ledger.MaxProof {
		return malformed(where+"/path", "%d hashes, at most %d allowed", len(e.Path), ledger.MaxProof)
	}
	return nil
}

func checkSize(where string, size, most int) error {
	if size < 1 || size > most {
		return malformed(where, "%d bytes, 1 to %d allowed", size, most)
	}
	return nil
}

func malformed(where, format string, args ...any) error {
	return &envelope.FormatError{What: fmt.Sprintf(format, args...), Where: where}
}

// path is an entry's inclusion proof as the ledger takes it.
func (e *Entry) path() []tlog.Hash {
	out := make([]tlog.Hash, len(e.Path))
	for i, h := range e.Path {
		out[i] = tlog.Hash(h)
	}
	return out
}

// chainOf verifies an identity chain.
func chainOf(r envelope.Registry, where string, envelopes [][]byte) (*party.Chain, error) {
	c, err := party.Verify(r, envelopes)
	if err != nil {
		return nil, failed(where, ErrIdentity, err)
	}
	return c, nil
}
