package statement

import (
	"bytes"
	"fmt"

	"entente/envelope"
)

const (
	// MaxContent bounds an encoded content: text and body in base64, signatures, and the files' descriptions.
	MaxContent = 2 << 20

	maxSignatures    = 16
	maxSignatureSize = 8 << 10
	maxKeyID         = 64
	// maxContentCommas bounds the number of values before any is allocated: a value more costs a comma more.
	maxContentCommas = 20_000
)

// Content is the sealed content of a statement's parcel: the text with its officers' signatures, the body, the files'
// descriptions, and the salts of all three. Text and body are kept as the exact bytes that were committed to.
//
// Erasing a statement drops Body, BodySalt and Files (whose salts are with them). Text and TextSalt stay: they prove what the
// commitment names and identify nobody.
type Content struct {
	V          int                  `json:"v"` // 1
	Text       []byte               `json:"text"`
	TextSalt   Salt                 `json:"text_salt"`
	Signatures []envelope.Signature `json:"signatures,omitempty"` // officers', over PAE(PayloadType, text)
	Body       []byte               `json:"body"`
	BodySalt   Salt                 `json:"body_salt"`
	Files      []File               `json:"files,omitempty"`
}

// Compose makes content from a text, a body (any JSON value) and files, and returns it with the text's commitment, which names
// the statement. The text's V, Body and Files are filled in, and an absent face becomes the empty one. Files need fresh salts.
func Compose(t Text, body any, files []File) (*Content, Commitment, error) {
	encoded, err := envelope.Marshal(body)
	if err != nil {
		return nil, Commitment{}, envelope.Within("body", err)
	}
	c := &Content{V: 1, TextSalt: NewSalt(), Body: encoded, BodySalt: NewSalt(), Files: files}
	t.V = 1
	if len(t.Face) == 0 {
		t.Face = []byte("{}")
	}
	t.Body = Commit(BodyLabel(), c.BodySalt, c.Body)
	t.Files = nil
	for _, f := range files {
		t.Files = append(t.Files, f.Commitment())
	}
	if c.Text, err = t.Encode(); err != nil {
		return nil, Commitment{}, err
	}
	if err := c.check(&t); err != nil {
		return nil, Commitment{}, err
	}
	return c, c.Commitment(), nil
}

// Commitment is the text's commitment: the statement's name.
func (c *Content) Commitment() Commitment { return Commit(TextLabel(), c.TextSalt, c.Text) }

// Encode returns the bytes that are sealed.
func (c *Content) Encode() ([]byte, error) {
	data, err := envelope.Marshal(c)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxContent {
		return nil, envelope.Refuse("content", "is over %d bytes", MaxContent)
	}
	return data, nil
}

// DecodeContent checks everything that the content says about itself: the text decodes, body and files match the text's
// commitments, and all is within limits. It returns the decoded text and its commitment. Whether the author may say this is
// asked by Check, the officers' signatures by Rules.CheckOfficerSignatures.
func DecodeContent(data []byte) (*Content, *Text, Commitment, error) {
	if len(data) > MaxContent {
		return nil, nil, Commitment{}, envelope.Refuse("content", "is over %d bytes", MaxContent)
	}
	if bytes.Count(data, []byte{','}) > maxContentCommas {
		return nil, nil, Commitment{}, envelope.Refuse("content", "has too many values")
	}
	var c Content
	if err := envelope.Unmarshal(data, &c); err != nil {
		return nil, nil, Commitment{}, err
	}
	t, err := DecodeText(c.Text)
	if err != nil {
		return nil, nil, Commitment{}, envelope.Within("text", err)
	}
	if err := c.check(t); err != nil {
		return nil, nil, Commitment{}, err
	}
	return &c, t, c.Commitment(), nil
}

func (c *Content) check(t *Text) error {
	switch {
	case c.V != 1:
		return envelope.Refuse("v", "is %d, not 1", c.V)
	case len(c.Body) == 0 || len(c.Body) > MaxBody:
		return envelope.Refuse("body", "is empty or over %d bytes", MaxBody)
	case len(c.Signatures) > maxSignatures:
		return envelope.Refuse("signatures", "are over %d", maxSignatures)
	case Commit(BodyLabel(), c.BodySalt, c.Body) != t.Body:
		return envelope.Refuse("body", "is not what the text commits to")
	case len(c.Files) != len(t.Files):
		return envelope.Refuse("files", "are %d, while the text commits to %d", len(c.Files), len(t.Files))
	}
	for i, s := range c.Signatures {
		if s.KeyID == "" || len(s.KeyID) > maxKeyID || len(s.Sig) == 0 || len(s.Sig) > maxSignatureSize {
			return envelope.Refuse(fmt.Sprintf("signatures/%d", i), "has no key id or signature, or too long a one")
		}
	}
	parcels := make(map[envelope.ID]bool, len(c.Files))
	for i, f := range c.Files {
		where := fmt.Sprintf("files/%d", i)
		if err := envelope.Within(where, f.Validate()); err != nil {
			return err
		}
		if f.Commitment() != t.Files[i] {
			return envelope.Refuse(where, "is not what the text commits to")
		}
		if parcels[f.Parcel] {
			return envelope.Refuse(where, "names another file's parcel")
		}
		parcels[f.Parcel] = true
	}
	return nil
}
