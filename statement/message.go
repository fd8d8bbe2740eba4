package statement

import "entente/envelope"

const (
	maxSubject = 400       // bytes
	maxMessage = 256 << 10 // bytes
)

// MessageFace names the desks, each by the commitment of its first statement; "" where none is meant.
type MessageFace struct {
	FromDesk string `json:"from_desk,omitempty"`
	ToDesk   string `json:"to_desk,omitempty"`
}

// Validate checks the desks' form.
func (f MessageFace) Validate() error {
	if err := checkDeskID("from_desk", f.FromDesk); err != nil {
		return err
	}
	return checkDeskID("to_desk", f.ToDesk)
}

func checkDeskID(where, id string) error {
	if id == "" {
		return nil
	}
	_, err := envelope.ParseHash(id)
	return envelope.Within(where, err)
}

// MessageBody is a message between people.
type MessageBody struct {
	Subject  string `json:"subject"`  // one line of at most 400 bytes
	Language string `json:"language"` // BCP 47
	Text     string `json:"text"`     // prose of at most 256 KiB
}

// Validate checks subject, language and text.
func (b MessageBody) Validate() error {
	if err := envelope.Within("subject", CheckLine(b.Subject, maxSubject)); err != nil {
		return err
	}
	if err := CheckLanguage(b.Language); err != nil {
		return err
	}
	return envelope.Within("text", CheckProse(b.Text, maxMessage))
}

// EmptyBody carries nothing: the body of kinds that say all in their face, and face and body of a test.
type EmptyBody struct{}

// Validate takes it.
func (EmptyBody) Validate() error { return nil }
