package statement

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
)

const (
	maxFace        = 16 << 10 // bytes
	maxFaceMembers = 32
	maxFaceArray   = 64
	maxFaceString  = 80

	faceLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+/@-"
)

// CheckFace refuses free text. A face is one flat object of at most 32 members; its values are strings of
// [A-Za-z0-9_.:+/@-]{0,80}, integers within ±(2^53 − 1), booleans, or arrays of at most 64 such strings; its names are
// [a-z][a-z0-9_]{0,31}, no two alike.
func CheckFace(face []byte) error {
	if len(face) > maxFace {
		return envelope.Refuse("face", "is over %d bytes", maxFace)
	}
	d := jsontext.NewDecoder(bytes.NewReader(face)) // refuses duplicate names and bad UTF-8
	open, err := d.ReadToken()
	if err != nil {
		return envelope.Within("face", err)
	}
	if open.Kind() != '{' {
		return envelope.Refuse("face", "is not an object")
	}
	for n := 0; d.PeekKind() != '}'; n++ {
		if n == maxFaceMembers {
			return envelope.Refuse("face", "has over %d members", maxFaceMembers)
		}
		if err := checkFaceMember(d); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return envelope.Within("face", err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return envelope.Refuse("face", "goes on after its end")
	}
	return nil
}

func checkFaceMember(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err != nil {
		return envelope.Within("face", err)
	}
	name := t.String()
	if !codePattern.MatchString(name) {
		return envelope.Refuse("face", "%.40q is not a member's name", name)
	}
	where := "face/" + name
	if t, err = d.ReadToken(); err != nil {
		return envelope.Within(where, err)
	}
	switch t.Kind() {
	case '"':
		return checkFaceString(where, t)
	case 't', 'f':
		return nil
	case '0':
		return checkFaceInteger(where, t.String())
	case '[':
		return checkFaceArray(d, where)
	}
	return envelope.Refuse(where, "is neither string, integer, boolean nor an array of strings")
}

func checkFaceArray(d *jsontext.Decoder, where string) error {
	for n := 0; ; n++ {
		t, err := d.ReadToken()
		if err != nil {
			return envelope.Within(where, err)
		}
		switch {
		case t.Kind() == ']':
			return nil
		case n == maxFaceArray:
			return envelope.Refuse(where, "has over %d values", maxFaceArray)
		case t.Kind() != '"':
			return envelope.Refuse(where, "holds something else than strings")
		}
		if err := checkFaceString(where, t); err != nil {
			return err
		}
	}
}

func checkFaceString(where string, t jsontext.Token) error {
	if s := t.String(); len(s) > maxFaceString || strings.Trim(s, faceLetters) != "" {
		return envelope.Refuse(where, "is free text: only codes of at most 80 of A-Z a-z 0-9 _ . : + / @ - may stand here")
	}
	return nil
}

// checkFaceInteger takes the plain decimal form alone: 1.0, 1e3 and -0 are other spellings of an integer.
func checkFaceInteger(where, literal string) error {
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil || n > MaxInteger || n < -MaxInteger || literal == "-0" {
		return envelope.Refuse(where, "%.40s is not an integer within ±(2^53 − 1)", literal)
	}
	return nil
}

// decodes checks that data is exactly one T, and a valid one.
func decodes[T interface{ Validate() error }](data []byte) error {
	var v T
	if err := envelope.Unmarshal(data, &v); err != nil {
		return err
	}
	return v.Validate()
}
