package statement

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/handling"
	"entente/party"
)

// PayloadType is the DSSE payload type of a text, under which officers sign it.
const PayloadType = "application/vnd.entente.text+json"

const (
	MaxText     = 32 << 10 // bytes of an encoded text
	MaxBody     = 1 << 20  // bytes of an encoded body
	MaxFiles    = 64       // files of one statement
	MaxRefs     = 64       // references of one text
	MaxFileSize = 1 << 40  // bytes of one file; a link's agreement sets less
)

// LinkID is the hash of the pairing transcript.
type LinkID = envelope.Hash

// Text is what a party says: all that folds, clocks and measures read of a statement, and nothing that names or describes
// anybody. Its exact encoding is what the commitment, and the officers' signatures, cover: keep the bytes, never encode again.
//
// The members are those of v 1 and no others: see the package comment for future ones.
type Text struct {
	V        int              `json:"v"` // 1
	Link     LinkID           `json:"link"`
	From     party.ID         `json:"from"`
	To       party.ID         `json:"to"`
	Lane     Lane             `json:"lane"`
	Kind     string           `json:"kind"`
	Edition  envelope.Hash    `json:"edition"`         // rule-set hash; the thread keeps that of its first statement
	Thread   *Commitment      `json:"thread,omitzero"` // absent in the thread's first statement
	Refs     []Commitment     `json:"refs,omitempty"`
	Authored int64            `json:"authored"` // UTC microseconds
	Zone     string           `json:"zone"`     // IANA name: where the author's day stood
	Urgency  string           `json:"urgency"`  // emergency | urgent | routine
	ReplyBy  *int64           `json:"reply_by,omitzero"`
	Marking  handling.Marking `json:"marking"`
	Face     jsontext.Value   `json:"face"` // flat object: codes, integers, times, hashes; CheckFace
	Body     Commitment       `json:"body"`
	Files    []Commitment     `json:"files,omitempty"`
}

// Urgencies returns the three degrees of urgency, most urgent first.
func Urgencies() []string { return []string{"emergency", "urgent", "routine"} }

// Encode validates t and returns its bytes.
func (t *Text) Encode() ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(t)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxText {
		return nil, envelope.Refuse("text", "is over %d bytes", MaxText)
	}
	return data, nil
}

// DecodeText decodes strictly and validates. It does not ask whether the kind is known: a text stays readable for as long as it
// is kept, also by builds that know no kind of its edition; Check does.
func DecodeText(data []byte) (*Text, error) {
	if len(data) > MaxText {
		return nil, envelope.Refuse("text", "is over %d bytes", MaxText)
	}
	var t Text
	if err := envelope.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return &t, nil
}

// EditionOf reads the edition alone of a text that was decoded before it was stored.
func EditionOf(text []byte) (edition envelope.Hash, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for d.StackDepth() == 0 || d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return edition, envelope.Within("text", err)
		}
		if name.Kind() != '"' { // the object begins
			continue
		}
		if name.String() == "edition" {
			value, err := d.ReadToken()
			if err != nil {
				return edition, envelope.Within("text", err)
			}
			return envelope.ParseHash(value.String())
		}
		if err := d.SkipValue(); err != nil {
			return edition, envelope.Within("text", err)
		}
	}
	return edition, envelope.Refuse("edition", "is missing")
}

// Validate checks every member by itself, and the face's shape.
func (t *Text) Validate() error {
	switch {
	case t.V != 1:
		return envelope.Refuse("v", "is %d, not 1", t.V)
	case t.Link.IsZero():
		return envelope.Refuse("link", "is zero")
	case t.From.IsZero():
		return envelope.Refuse("from", "is zero")
	case t.To.IsZero():
		return envelope.Refuse("to", "is zero")
	case t.From == t.To:
		return envelope.Refuse("to", "is the author")
	case !t.Lane.Valid():
		return envelope.Refuse("lane", "%.40q is not a lane", string(t.Lane))
	case !kindPattern.MatchString(t.Kind):
		return envelope.Refuse("kind", "%.40q is not a kind's name", t.Kind)
	case t.Edition.IsZero():
		return envelope.Refuse("edition", "is zero")
	case t.Thread != nil && t.Thread.IsZero():
		return envelope.Refuse("thread", "is zero")
	case !KnownZone(t.Zone):
		return envelope.Refuse("zone", "%.40q is not a time zone", t.Zone)
	case t.Body.IsZero():
		return envelope.Refuse("body", "is zero")
	}
	if err := oneOf("urgency", t.Urgency, Urgencies()...); err != nil {
		return err
	}
	if err := checkTime("authored", t.Authored); err != nil {
		return err
	}
	if t.ReplyBy != nil {
		if err := checkTime("reply_by", *t.ReplyBy); err != nil {
			return err
		}
		if *t.ReplyBy <= t.Authored {
			return envelope.Refuse("reply_by", "is not after the time of authoring")
		}
	}
	if err := envelope.Within("marking", t.Marking.Validate()); err != nil {
		return err
	}
	if err := CheckFace(t.Face); err != nil {
		return err
	}
	if err := checkCommitments("refs", t.Refs, MaxRefs); err != nil {
		return err
	}
	return checkCommitments("files", t.Files, MaxFiles)
}

// checkCommitments takes a list of at most max, none zero and none twice. Their order is the author's: nothing sorts by
// commitments, so choosing salts to have a small one wins nothing.
func checkCommitments(where string, list []Commitment, max int) error {
	if len(list) > max {
		return envelope.Refuse(where, "has over %d entries", max)
	}
	seen := make(map[Commitment]bool, len(list))
	for i, c := range list {
		if c.IsZero() || seen[c] {
			return envelope.Refuse(fmt.Sprintf("%s/%d", where, i), "is zero or stands twice")
		}
		seen[c] = true
	}
	return nil
}
