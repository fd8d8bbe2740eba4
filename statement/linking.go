package statement

import "entente/envelope"

const maxNote = 4000 // bytes

// ConfirmMethods returns the ways in which two people may compare a link's code.
func ConfirmMethods() []string { return []string{"in_person", "telephone", "video", "courier"} }

// LinkConfirmFace says that a named person compared the link's code, and signs the agreement.
type LinkConfirmFace struct {
	Method    string        `json:"method"` // one of ConfirmMethods
	At        int64         `json:"at"`     // UTC microseconds
	Agreement envelope.Hash `json:"agreement"`
}

// Validate checks method, time and hash.
func (f LinkConfirmFace) Validate() error {
	if err := oneOf("method", f.Method, ConfirmMethods()...); err != nil {
		return err
	}
	if f.Agreement.IsZero() {
		return envelope.Refuse("agreement", "is zero")
	}
	return checkTime("at", f.At)
}

// LinkConfirmBody names who compared, and holds the encoded agreement.
type LinkConfirmBody struct {
	Person    string `json:"person"`
	Function  string `json:"function"`
	Note      string `json:"note,omitempty"`
	Agreement []byte `json:"agreement"`
}

// Validate checks names, note and agreement.
func (b LinkConfirmBody) Validate() error {
	if err := envelope.Within("person", CheckLine(b.Person, maxName)); err != nil {
		return err
	}
	if err := envelope.Within("function", CheckLine(b.Function, maxName)); err != nil {
		return err
	}
	if b.Note != "" {
		if err := envelope.Within("note", CheckProse(b.Note, maxNote)); err != nil {
			return err
		}
	}
	_, err := DecodeAgreement(b.Agreement)
	return envelope.Within("agreement", err)
}

// LinkAgreeFace proposes or signs another edition of the agreement: it is in force when both have said the same hash.
type LinkAgreeFace struct {
	Agreement envelope.Hash `json:"agreement"`
}

// Validate wants a hash.
func (f LinkAgreeFace) Validate() error {
	if f.Agreement.IsZero() {
		return envelope.Refuse("agreement", "is zero")
	}
	return nil
}

// LinkAgreeBody holds the encoded agreement.
type LinkAgreeBody struct {
	Agreement []byte `json:"agreement"`
}

// Validate decodes the agreement.
func (b LinkAgreeBody) Validate() error {
	_, err := DecodeAgreement(b.Agreement)
	return envelope.Within("agreement", err)
}

func confirmAgrees(face, body []byte) error {
	var f LinkConfirmFace
	var b LinkConfirmBody
	if err := envelope.Unmarshal(face, &f); err != nil {
		return err
	}
	if err := envelope.Unmarshal(body, &b); err != nil {
		return err
	}
	return sameAgreement(f.Agreement, b.Agreement)
}

func agreeAgrees(face, body []byte) error {
	var f LinkAgreeFace
	var b LinkAgreeBody
	if err := envelope.Unmarshal(face, &f); err != nil {
		return err
	}
	if err := envelope.Unmarshal(body, &b); err != nil {
		return err
	}
	return sameAgreement(f.Agreement, b.Agreement)
}

func sameAgreement(named envelope.Hash, agreement []byte) error {
	if envelope.Sum(agreement) != named {
		return envelope.Refuse("face/agreement", "is not the hash of the agreement in the body")
	}
	return nil
}
