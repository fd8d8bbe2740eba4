package proof

import (
	"errors"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// What a file can fail. Every failure is an *Error that wraps one of these and names the part.
var (
	ErrFormat      = errors.New("part is malformed")
	ErrIdentity    = errors.New("identity does not verify")
	ErrPin         = errors.New("party is not one of those that the verifier knows")
	ErrType        = errors.New("document is of another type")
	ErrSignature   = errors.New("signature does not verify")
	ErrCommitment  = errors.New("content is not what was committed to")
	ErrMismatch    = errors.New("parts contradict each other")
	ErrLeaf        = errors.New("leaf does not record this document")
	ErrCheckpoint  = errors.New("checkpoint is not one of this party's log for this link")
	ErrCosignature = errors.New("checkpoint is not cosigned by the other party")
	ErrInclusion   = errors.New("leaf does not stand in the log")
	ErrWitness     = errors.New("no checkpoint is cosigned by this witness")
)

// Error is a check that failed.
type Error struct {
	Part  string // where in the file, as a JSON pointer
	Check error  // one of the errors above
	Err   error  // in detail
}

func (e *Error) Error() string   { return fmt.Sprintf("%s: %v: %v", e.Part, e.Check, e.Err) }
func (e *Error) Unwrap() []error { return []error{e.Check, e.Err} }

func failed(part string, check, err error) error { return &Error{Part: part, Check: check, Err: err} }

func failedf(part string, check error, format string, args ...any) error {
	return failed(part, check, fmt.Errorf(format, args...))
}

// Verify checks a file end to end against the suites that r knows, and reports what it shows. If pins are given, both
// parties must be among them; without any, the report says of both ids that they are the file's own word.
// Errors are *Error. f is unchanged.
func Verify(r envelope.Registry, f *File, pins ...party.ID) (*Report, error) {
	return VerifyWitnessed(r, f, nil, pins...)
}

// VerifyWitnessed verifies as Verify does, and that each of these third parties has cosigned at least one of the file's
// checkpoints; the report says which.
func VerifyWitnessed(r envelope.Registry, f *File, witnesses []ledger.Witness, pins ...party.ID) (*Report, error) {
	if err := f.check(); err != nil {
		part := ""
		if e, ok := errors.AsType[*envelope.FormatError](err); ok {
			part = e.Where
		}
		return nil, failed(part, ErrFormat, err)
	}
	v := &verifier{registry: r, file: f, witnesses: witnesses}
	if err := v.parties(pins); err != nil {
		return nil, err
	}
	if err := v.checkHeader(); err != nil {
		return nil, err
	}
	if err := v.checkGrant(); err != nil {
		return nil, err
	}
	if err := v.checkStatement(); err != nil {
		return nil, err
	}
	for i := range f.Receipts {
		if err := v.checkReceipt(i); err != nil {
			return nil, err
		}
	}
	if err := v.checkCitation(); err != nil {
		return nil, err
	}
	if err := v.checkWitnesses(); err != nil {
		return nil, err
	}
	return v.report(len(pins) > 0), nil
}

// verifier gathers what has been verified, step by step.
type verifier struct {
	registry          envelope.Registry
	file              *File
	witnesses         []ledger.Witness
	sender, recipient *party.Chain
	header            *parcel.Header
	headerHash        envelope.Hash
	headerPayload     []byte
	sent              place
	grant             *parcel.Grant // nil unless the file shows one
	grantHash         envelope.Hash
	granted           place
	text              *statement.Text // nil if the file shows the commitment alone
	receipts          []receipt
}

// receipt is a verified receipt.
type receipt struct {
	*parcel.Receipt
	hash envelope.Hash
	out  place
	got  *place
}

// place is a verified entry.
type place struct {
	leaf      *ledger.Leaf
	author    *party.Chain // whose log it is
	size      int64
	cosigned  int64            // UTC seconds, by the witness's clock
	witnessed int              // newest version of the other party with the witness keys that cosigned
	third     map[string]int64 // by id: UTC seconds, by the clock of each third party that cosigned
}

func (v *verifier) parties(pins []party.ID) error {
	var err error
	if v.sender, err = chainOf(v.registry, "/sender", v.file.Sender); err != nil {
		return err
	}
	if v.recipient, err = chainOf(v.registry, "/recipient", v.file.Recipient); err != nil {
		return err
	}
	if v.sender.ID == v.recipient.ID {
		return failedf("/recipient", ErrIdentity, "sender and recipient are one party, %s", v.sender.ID)
	}
	if len(pins) == 0 {
		return nil
	}
	if !slices.Contains(pins, v.sender.ID) {
		return failedf("/sender", ErrPin, "party %s", v.sender.ID)
	}
	if !slices.Contains(pins, v.recipient.ID) {
		return failedf("/recipient", ErrPin, "party %s", v.recipient.ID)
	}
	return nil
}

// open decodes an envelope of one type, has its payload read by decode, which returns the version of the author's
// identity that the payload names, and verifies the signatures of that version's keys.
func (v *verifier) open(part string, data []byte, payloadType string, author *party.Chain, decode func(payload []byte) (version int, err error)) ([]byte, error) {
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, failed(part, ErrFormat, err)
	}
	if e.PayloadType != payloadType {
		return nil, failedf(part, ErrType, "payload type %q where %q is due", e.PayloadType, payloadType)
	}
	version, err := decode(e.Payload)
	if err != nil {
		return nil, failed(part, ErrFormat, err)
	}
	identity, ok := author.At(version)
	if !ok {
		return nil, failedf(part, ErrIdentity, "signed under version %d of an identity of %d versions", version, len(author.Versions))
	}
	payload, err := v.registry.Verify(e, payloadType, identity.KeySet())
	if err != nil {
		return nil, failed(part, ErrSignature, err)
	}
	return payload, nil
}

func (v *verifier) checkHeader() error {
	const part = "/header/envelope"
	payload, err := v.open(part, v.file.Header.Envelope, parcel.HeaderType, v.sender, func(payload []byte) (version int, err error) {
		if v.header, err = parcel.DecodeHeader(payload); err != nil {
			return 0, err
		}
		return v.header.Identity, nil
	})
	if err != nil {
		return err
	}
	h := v.header
	v.headerHash, v.headerPayload = envelope.Sum(payload), payload
	switch {
	case h.From != v.sender.ID:
		return failedf(part, ErrMismatch, "header is from %s, the sender's chain is that of %s", h.From, v.sender.ID)
	case h.To != v.recipient.ID:
		return failedf(part, ErrMismatch, "header is to %s, the recipient's chain is that of %s", h.To, v.recipient.ID)
	case h.Recipient > len(v.recipient.Versions):
		return failedf(part, ErrIdentity, "sealed for version %d of an identity of %d versions", h.Recipient, len(v.recipient.Versions))
	case h.Text != v.file.Statement.Commitment:
		return failedf(part, ErrMismatch, "header names statement %s, the file %s", h.Text, v.file.Statement.Commitment)
	}
	v.sent, err = v.checkEntry("/header/entry", &v.file.Header.Entry, record{
		kind: ledger.Sent, doc: v.headerHash, lane: h.Lane, seq: h.Seq, author: v.sender, other: v.recipient, version: h.Identity,
	})
	if err != nil {
		return err
	}
	if v.sent.leaf.Epoch != h.Epoch || v.sent.leaf.Index != h.Index {
		return failedf("/header/entry/leaf", ErrLeaf, "leaf %d of epoch %d, while the header names leaf %d of epoch %d",
			v.sent.leaf.Index, v.sent.leaf.Epoch, h.Index, h.Epoch)
	}
	return nil
}

// checkGrant: the grant is the sender's, of this header, and recorded at the place that it names.
func (v *verifier) checkGrant() error {
	if v.file.Grant == nil {
		return nil
	}
	const part = "/grant/envelope"
	payload, err := v.open(part, v.file.Grant.Envelope, parcel.GrantType, v.sender, func(payload []byte) (version int, err error) {
		if v.grant, err = parcel.DecodeGrant(payload); err != nil {
			return 0, err
		}
		return v.grant.Identity, nil
	})
	if err != nil {
		return err
	}
	g := v.grant
	v.grantHash = envelope.Sum(payload)
	if _, err := g.Unlock(v.headerPayload); err != nil {
		return failed(part, ErrMismatch, err)
	}
	v.granted, err = v.checkEntry("/grant/entry", &v.file.Grant.Entry, record{
		kind: ledger.GrantLeaf, doc: v.grantHash, lane: g.Lane, seq: g.Seq, author: v.sender, other: v.recipient, version: g.Identity,
	})
	if err != nil {
		return err
	}
	if v.granted.leaf.Epoch != g.Epoch || v.granted.leaf.Index != g.Index {
		return failedf("/grant/entry/leaf", ErrLeaf, "leaf %d of epoch %d, while the grant names leaf %d of epoch %d",
			v.granted.leaf.Index, v.granted.leaf.Epoch, g.Index, g.Epoch)
	}
	return nil
}

// checkCitation: the receipt that the grant cites is in the file, and is the recipient's for the registered parcel.
func (v *verifier) checkCitation() error {
	if v.grant == nil {
		return nil
	}
	for _, r := range v.receipts {
		if r.hash == v.grant.Receipt && r.Kind == parcel.Received && r.Header == v.headerHash {
			return nil
		}
	}
	return failedf("/grant/envelope", ErrMismatch, "the grant cites receipt %s, which the file does not hold", v.grant.Receipt)
}

func (v *verifier) checkStatement() error {
	s, h := &v.file.Statement, v.header
	if len(s.Text) == 0 {
		return nil
	}
	if statement.Commit(statement.TextLabel(), *s.TextSalt, s.Text) != s.Commitment {
		return failedf("/statement/text", ErrCommitment, "text and salt do not make %s", s.Commitment)
	}
	t, err := statement.DecodeText(s.Text)
	if err != nil {
		return failed("/statement/text", ErrFormat, err)
	}
	if t.Link != h.Link || t.From != h.From || t.To != h.To || t.Lane != h.Lane {
		return failedf("/statement/text", ErrMismatch, "text and header differ in link, parties or lane")
	}
	if h.File != nil && h.File.Position >= len(t.Files) {
		return failedf("/header/envelope", ErrMismatch, "header of file %d of a statement with %d", h.File.Position, len(t.Files))
	}
	if len(s.Body) > 0 && statement.Commit(statement.BodyLabel(), *s.BodySalt, s.Body) != t.Body {
		return failedf("/statement/body", ErrCommitment, "body and salt do not make %s", t.Body)
	}
	v.text = t
	if len(s.Files) == 0 {
		return nil
	}
	if len(s.Files) != len(t.Files) {
		return failedf("/statement/files", ErrCommitment, "%d files shown, the text lists %d", len(s.Files), len(t.Files))
	}
	for i, file := range s.Files {
		part := fmt.Sprintf("/statement/files/%d", i)
		if err := file.Validate(); err != nil {
			return failed(part, ErrFormat, err)
		}
		if file.Commitment() != t.Files[i] {
			return failedf(part, ErrCommitment, "digest, size and salt do not make %s", t.Files[i])
		}
	}
	return nil
}

func (v *verifier) checkReceipt(i int) error {
	a, h := &v.file.Receipts[i], v.header
	part := fmt.Sprintf("/receipts/%d", i)
	var r *parcel.Receipt
	payload, err := v.open(part+"/envelope", a.Envelope, parcel.ReceiptType, v.recipient, func(payload []byte) (version int, err error) {
		if r, err = parcel.DecodeReceipt(payload); err != nil {
			return 0, err
		}
		return r.Identity, nil
	})
	if err != nil {
		return err
	}
	about := v.headerHash
	if v.grant != nil && r.Header == v.grantHash {
		about, h = v.grantHash, v.grant.At(h)
	}
	switch {
	case r.From != h.To || r.To != h.From || r.Link != h.Link:
		return failedf(part+"/envelope", ErrMismatch, "receipt and header differ in link or parties")
	case r.Header != about || r.Parcel != h.ID:
		return failedf(part+"/envelope", ErrMismatch, "receipt of header %s, this one is %s", r.Header, about)
	case h.Registered && (r.Kind == parcel.Opened || r.Kind == parcel.Rejected):
		return failedf(part+"/envelope", ErrMismatch, "receipt that says %s of a parcel whose keys had not been released", r.Kind)
	case r.Root != h.Root || r.Epoch != h.Epoch || r.Lane != h.Lane || r.Seq != h.Seq:
		return failedf(part+"/envelope", ErrMismatch, "receipt and header differ in root or place")
	}
	checked := receipt{Receipt: r, hash: envelope.Sum(payload)}
	checked.out, err = v.checkEntry(part+"/out", &a.Out, record{
		kind: ledger.ReceiptOut, doc: envelope.Sum(payload), lane: h.Lane, seq: h.Seq, author: v.recipient, other: v.sender, version: r.Identity,
	})
	if err != nil {
		return err
	}
	if err := checkOrder(r, checked.out.leaf); err != nil {
		return failed(part+"/out/leaf", ErrLeaf, err)
	}
	if a.Got != nil {
		got, err := v.checkEntry(part+"/got", a.Got, record{
			kind: ledger.Got, doc: about, lane: h.Lane, seq: h.Seq, author: v.recipient, other: v.sender, version: 1,
		})
		if err != nil {
			return err
		}
		if got.leaf.Epoch != r.Log.Epoch || got.leaf.Index != r.Log.Index || ofArrival(r) && got.leaf.Time != r.At {
			return failedf(part+"/got/leaf", ErrLeaf, "not the leaf, or not the time, that the receipt names")
		}
		checked.got = &got
	}
	v.receipts = append(v.receipts, checked)
	return nil
}

// ofArrival says whether a receipt's time is that of the parcel's got leaf, in whose transaction it was made.
func ofArrival(r *parcel.Receipt) bool { return r.Kind == parcel.Received || r.Kind == parcel.Refused }

// checkOrder: the leaf of a receipt follows the got leaf, and that of a receipt of arrival does so in the same epoch and
// no earlier than the receipt says.
func checkOrder(r *parcel.Receipt, out *ledger.Leaf) error {
	if out.Epoch < r.Log.Epoch || out.Epoch == r.Log.Epoch && out.Index <= r.Log.Index {
		return fmt.Errorf("leaf %d of epoch %d does not follow leaf %d of epoch %d", out.Index, out.Epoch, r.Log.Index, r.Log.Epoch)
	}
	if ofArrival(r) && (out.Epoch != r.Log.Epoch || out.Time < r.At) {
		return fmt.Errorf("leaf %d of epoch %d is earlier than its receipt, or in another epoch", out.Index, out.Epoch)
	}
	return nil
}

// record is what a leaf must say, and in whose log.
type record struct {
	kind    ledger.Kind
	doc     envelope.Hash
	lane    statement.Lane
	seq     uint64
	author  *party.Chain // whose log it is
	other   *party.Chain // who cosigns it
	version int          // of the author, named by the document: the log's keys are those of this version or a later one
}

func (v *verifier) checkEntry(part string, e *Entry, want record) (place, error) {
	l, err := ledger.DecodeLeaf([]byte(e.Leaf))
	if err != nil {
		return place{}, failed(part+"/leaf", ErrFormat, err)
	}
	switch {
	case l.Kind != want.kind:
		return place{}, failedf(part+"/leaf", ErrLeaf, "leaf of kind %s where %s is due", l.Kind, want.kind)
	case l.Doc != want.doc:
		return place{}, failedf(part+"/leaf", ErrLeaf, "leaf records %s, the document is %s", l.Doc, want.doc)
	case l.Lane != string(want.lane) || l.Seq != want.seq:
		return place{}, failedf(part+"/leaf", ErrLeaf, "leaf of %s %d, the document is of %s %d", l.Lane, l.Seq, want.lane, want.seq)
	}
	p := place{leaf: l, author: want.author}
	note := []byte(e.Checkpoint)
	origin := ledger.Origin(v.header.Link, want.author.ID, l.Epoch)
	var c *ledger.Checkpoint
	_, err = want.author.Newest(want.version, func(i *party.Identity) (err error) { // a checkpoint does not say whose keys signed it
		c, err = ledger.OpenCheckpoint(note, origin, i.Log)
		return err
	})
	if err != nil {
		return place{}, failed(part+"/checkpoint", ErrCheckpoint, err)
	}
	name := ledger.WitnessName(want.other.ID)
	p.witnessed, err = want.other.Newest(1, func(i *party.Identity) (err error) {
		p.cosigned, err = c.Cosigned(name, i.Witness)
		return err
	})
	if err != nil {
		return place{}, failed(part+"/checkpoint", ErrCosignature, err)
	}
	if err := ledger.CheckInclusion(e.path(), c.Size, c.Root, l.Index, []byte(e.Leaf)); err != nil {
		return place{}, failed(part+"/path", ErrInclusion, err)
	}
	p.size = c.Size
	for _, w := range v.witnesses {
		at, err := c.WitnessedBy(w)
		if errors.Is(err, ledger.ErrCosignature) {
			continue
		}
		if err != nil {
			return place{}, failed(part+"/checkpoint", ErrCheckpoint, err)
		}
		if p.third == nil {
			p.third = map[string]int64{}
		}
		p.third[w.ID()] = at
	}
	return p, nil
}

// checkWitnesses demands of each third party that it has cosigned a checkpoint of the file.
func (v *verifier) checkWitnesses() error {
	for _, w := range v.witnesses {
		if !slices.ContainsFunc(v.places(), func(p place) bool { return p.third[w.ID()] != 0 }) {
			return failedf("", ErrWitness, "key %s", w.ID())
		}
	}
	return nil
}

// places are all verified entries, in the file's order.
func (v *verifier) places() []place {
	places := []place{v.sent}
	if v.grant != nil {
		places = append(places, v.granted)
	}
	for _, r := range v.receipts {
		places = append(places, r.out)
		if r.got != nil {
			places = append(places, *r.got)
		}
	}
	return places
}
