package proof

import (
	"fmt"
	"slices"
	"time"

	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Report is what a verified file shows. Everything in it is a person's to read: decide on Code, never on sentences.
type Report struct {
	Commitment statement.Commitment
	Link       statement.LinkID
	Sender     Party
	Recipient  Party
	Text       *statement.Text // nil if the file shows the commitment alone
	Body       []byte          // exact bytes; nil if not shown
	Facts      []Fact
	Remarks    []string // what a reader should know beside the facts
}

// Party is one side as its own identity document names it.
type Party struct {
	ID          party.ID
	Fingerprint string            // of ID, in digits for people to compare
	Names       map[string]string // by language tag, of the newest version in the file
	Authority   string
	Versions    int  // versions of the identity in the file
	Pinned      bool // the verifier knew the id beforehand
}

// String names the party: its English name, and as much of the id as tells it apart.
func (p Party) String() string {
	return fmt.Sprintf("%s (party %s)", p.Names["en"], p.ID.String()[:16])
}

// Code tells facts apart.
type Code string

// The facts that a file can show.
const (
	Identities Code = "identities" // which two parties these are
	Sent       Code = "sent"       // the sender signed and recorded the header
	TextShown  Code = "text"       // the text shown is what was sent
	BodyShown  Code = "body"       // the body shown is what was sent
	FileShown  Code = "file"       // the file described is what was sent
	Received   Code = "received"   // the recipient acknowledged the parcel
	Refused    Code = "refused"    // the recipient refused the parcel
	Opened     Code = "opened"     // the recipient's node could decrypt and verify it
	Rejected   Code = "rejected"   // the recipient's node could not
	Arrived    Code = "arrived"    // the recipient recorded the arrival in its log
	Witnessed  Code = "witnessed"  // a third party cosigned a log up to an entry
	Granted    Code = "granted"    // the sender released the keys of a registered parcel
)

// Fact is one thing that the file shows: what was checked, what that proves, and what it does not.
type Fact struct {
	Code   Code
	Shows  string
	Proves string
	Not    string
}

// Has says whether the report has a fact of this code.
func (r *Report) Has(c Code) bool {
	for _, f := range r.Facts {
		if f.Code == c {
			return true
		}
	}
	return false
}

func (v *verifier) report(pinned bool) *Report {
	r := &Report{
		Commitment: v.file.Statement.Commitment,
		Link:       v.header.Link,
		Sender:     partyOf(v.sender, pinned),
		Recipient:  partyOf(v.recipient, pinned),
		Text:       v.text,
		Body:       v.file.Statement.Body,
	}
	r.Facts = append(r.Facts, identitiesFact(r.Sender, r.Recipient, pinned), v.sentFact(r))
	r.Facts = append(r.Facts, v.contentFacts(r)...)
	if v.grant != nil {
		r.Facts = append(r.Facts, v.grantFact(r))
	}
	for _, c := range v.receipts {
		r.Facts = append(r.Facts, receiptFact(r, c))
		if c.got != nil {
			r.Facts = append(r.Facts, arrivalFact(r, c))
		}
	}
	r.Facts = append(r.Facts, v.witnessFacts(r)...)
	r.Remarks = v.remarks(r)
	return r
}

func partyOf(c *party.Chain, pinned bool) Party {
	latest := c.Latest()
	return Party{
		ID: c.ID, Fingerprint: party.Fingerprint(c.ID), Names: latest.Names, Authority: latest.Authority,
		Versions: len(c.Versions), Pinned: pinned,
	}
}

func identitiesFact(sender, recipient Party, pinned bool) Fact {
	f := Fact{
		Code: Identities,
		Shows: fmt.Sprintf("The identity documents of %s and of %s verify, from the first of each on.",
			sender, recipient),
		Proves: "All signatures below were made with keys that belong to these two party ids.",
		Not:    "Who stands behind an id: the names are the parties' own. Compare the fingerprints with ones that you know from elsewhere.",
	}
	if pinned {
		f.Not = "The names are the parties' own; both ids are among those that you named as known."
	}
	return f
}

func (v *verifier) sentFact(r *Report) Fact {
	h := v.header
	what := fmt.Sprintf("statement %d of lane %s", h.Seq, h.Lane)
	if h.File != nil {
		what = fmt.Sprintf("file %d of a statement of lane %s", h.File.Position+1, h.Lane)
	}
	return Fact{
		Code: Sent,
		Shows: fmt.Sprintf("%s signed the header of a parcel to %s, %s, and recorded it as %s.",
			r.Sender, r.Recipient, what, v.sent.sentence(r.Recipient)),
		Proves: fmt.Sprintf("%s cannot deny that it sealed the statement %s for %s and recorded that, nor that it had done so by %s, unless it disowns its own keys.",
			r.Sender, r.Commitment, r.Recipient, seconds(v.sent.cosigned)),
		Not: fmt.Sprintf("That the parcel reached %s. The time in the log is the sender's claim; what bounds it is the cosignature's, which is %s's.",
			r.Recipient, r.Recipient),
	}
}

func (v *verifier) grantFact(r *Report) Fact {
	return Fact{
		Code: Granted,
		Shows: fmt.Sprintf("%s signed a grant with the keys of this parcel, as number %d of lane %s, and recorded it as %s. It cites the receipt by which %s had acknowledged the parcel.",
			r.Sender, v.grant.Seq, v.grant.Lane, v.granted.sentence(r.Recipient), r.Recipient),
		Proves: fmt.Sprintf("%s had acknowledged the parcel before %s released its keys.", r.Recipient, r.Sender),
		Not:    fmt.Sprintf("That the grant reached %s: for that it has receipts of its own.", r.Recipient),
	}
}

// sentence tells of the log entry.
func (p place) sentence(witness Party) string {
	return fmt.Sprintf("leaf %d of epoch %d of its log at %s, in a tree of %d leaves that %s cosigned at %s",
		p.leaf.Index, p.leaf.Epoch, micros(p.leaf.Time), p.size, witness, seconds(p.cosigned))
}

func (v *verifier) contentFacts(r *Report) []Fact {
	var facts []Fact
	if t := v.text; t != nil {
		facts = append(facts, Fact{
			Code: TextShown,
			Shows: fmt.Sprintf("The text in the file, of kind %s and marked TLP:%s, makes with its salt the commitment in the header.",
				t.Kind, t.Marking.TLP),
			Proves: fmt.Sprintf("This text, to the byte, is the one that %s committed to.", r.Sender),
			Not:    fmt.Sprintf("The instant at which it was written: %s is the sender's claim.", micros(t.Authored)),
		})
	}
	if len(r.Body) > 0 {
		facts = append(facts, Fact{
			Code:   BodyShown,
			Shows:  fmt.Sprintf("The body in the file (%d bytes) makes with its salt the commitment in the text.", len(r.Body)),
			Proves: fmt.Sprintf("This body, to the byte, is the one that %s committed to.", r.Sender),
			Not:    "That what it says is true.",
		})
	}
	for i, f := range v.file.Statement.Files {
		facts = append(facts, Fact{
			Code: FileShown,
			Shows: fmt.Sprintf("File %d has %d bytes and the SHA-256 digest %s, and makes with its salt the commitment in the text.",
				i+1, f.Size, f.SHA256),
			Proves: fmt.Sprintf("A file of this digest is the one that %s committed to.", r.Sender),
			Not:    "That the file travelled: it has a parcel and receipts of its own. Its name and media type are the sender's words, to which nothing commits here.",
		})
	}
	return facts
}

func receiptFact(r *Report, c receipt) Fact {
	f := Fact{
		Code: Code(c.Kind),
		Shows: fmt.Sprintf("%s signed a receipt of this header that says %q, and recorded it as %s.",
			r.Recipient, string(c.Kind), c.out.sentence(r.Sender)),
	}
	by := seconds(c.out.cosigned)
	switch c.Kind {
	case parcel.Received:
		f.Proves = fmt.Sprintf("%s cannot deny that it held this parcel and said so, with the arrival at %s by its own clock, nor that it had said so by %s.",
			r.Recipient, micros(c.At), by)
		f.Not = "That the content could be decrypted, or that a person read it."
	case parcel.Opened:
		f.Proves = fmt.Sprintf("%s cannot deny that its node decrypted this parcel, found in it the statement %s, and had said so by %s.",
			r.Recipient, r.Commitment, by)
		f.Not = "That a person read it, or agreed with it."
	case parcel.Refused:
		f.Proves = fmt.Sprintf("%s cannot deny that it was offered this parcel and declined it (%s), nor that it had said so by %s.",
			r.Recipient, c.Reason, by)
		f.Not = "That it held or read the content; and whether the reason is good."
	case parcel.Rejected:
		f.Proves = fmt.Sprintf("%s cannot deny that it held this parcel, and says that its node could not decrypt or verify it (%s); it had said so by %s.",
			r.Recipient, c.Reason, by)
		f.Not = "Whether that is so: only the recipient has the key."
	}
	return f
}

func arrivalFact(r *Report, c receipt) Fact {
	return Fact{
		Code:   Arrived,
		Shows:  fmt.Sprintf("%s recorded the parcel's arrival as %s.", r.Recipient, c.got.sentence(r.Sender)),
		Proves: "The receipt names this entry, and the entry names this header: both were in the recipient's log by the cosignature's time.",
		Not:    "The instant of arrival, which is the recipient's claim.",
	}
}

// witnessFacts tell of each entry up to which a third party that the verifier named has cosigned.
func (v *verifier) witnessFacts(r *Report) []Fact {
	var facts []Fact
	for _, w := range v.witnesses {
		for _, p := range v.places() {
			at, ok := p.third[w.ID()]
			if !ok {
				continue
			}
			owner := r.Sender
			if p.author.ID == r.Recipient.ID {
				owner = r.Recipient
			}
			facts = append(facts, Fact{
				Code: Witnessed,
				Shows: fmt.Sprintf("The witness %s, a third party, cosigned the log of %s at %d leaves, leaf %d of epoch %d among them, at %s.",
					w.ID(), owner, p.size, p.leaf.Index, p.leaf.Epoch, seconds(at)),
				Proves: "This entry stood in the log by then, as the witness's clock has it, and the witness knew no other history of it; both parties together cannot have made it later without the witness.",
				Not:    "That the entry is true, or complete: a witness sees sizes and hashes, and nothing of what is said.",
			})
		}
	}
	return facts
}

// remarks tell of what weakens or explains the facts without refuting them.
func (v *verifier) remarks(r *Report) []string {
	var out []string
	remark := func(format string, args ...any) {
		if s := fmt.Sprintf(format, args...); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if v.text == nil {
		remark("The file shows the statement's commitment alone: what was said is not shown.")
	} else if len(r.Body) == 0 {
		remark("The body is not shown: it may have been erased, or kept from this file.")
	}
	if v.header.Registered {
		remark("The parcel was registered: its content could not be decrypted before the receipt had been signed and the sender had released the keys.")
	}
	if len(v.receipts) == 0 {
		remark("The file holds no receipt: nothing in it shows that %s had the parcel.", r.Recipient)
	}
	identityRemarks(remark, r.Sender, v.sender, v.header.Identity, v.sent)
	witnessRemark(remark, r.Recipient, v.sent)
	for _, c := range v.receipts {
		identityRemarks(remark, r.Recipient, v.recipient, c.Identity, c.out)
		witnessRemark(remark, r.Sender, c.out)
		if c.got != nil {
			witnessRemark(remark, r.Sender, *c.got)
		}
	}
	return out
}

func identityRemarks(remark func(string, ...any), p Party, c *party.Chain, version int, at place) {
	i := &c.Versions[version-1]
	if !i.ValidAt(at.leaf.Time) {
		remark("%s signed under version %d of its identity, which was valid from %s to %s; the entry is of %s.",
			p, version, micros(i.NotBefore), micros(i.NotAfter), micros(at.leaf.Time))
	}
	for n := version; n < len(c.Versions); n++ {
		if next := &c.Versions[n]; next.Suspect(at.leaf.Time) {
			remark("%s declared in version %d of its identity that its keys may have been in other hands since %s. What had been cosigned before that declaration stands until the party disowns it, item by item.",
				p, next.Version, micros(*next.CompromiseSince))
		}
	}
	if version < len(c.Versions) {
		remark("%s has renewed its identity since: signed under version %d of %d. Where in its log the renewal stands is not shown here.",
			p, version, len(c.Versions))
	}
}

// witnessRemark tells of cosignatures by keys that the witness has replaced since, perhaps because they were lost.
func witnessRemark(remark func(string, ...any), witness Party, at place) {
	if at.witnessed < witness.Versions {
		remark("%s cosigned the other log at size %d with witness keys that it replaced after version %d of its identity.",
			witness, at.size, at.witnessed)
	}
}

func micros(t int64) string  { return time.UnixMicro(t).UTC().Format("2006-01-02 15:04:05 UTC") }
func seconds(t int64) string { return time.Unix(t, 0).UTC().Format("2006-01-02 15:04:05 UTC") }
