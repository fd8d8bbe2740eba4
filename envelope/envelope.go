// Package envelope is what anything signed or sealed is made of: the one strict JSON codec, DSSE envelopes,
// cryptographic suites, FLOE encryption and sealing in layers.
//
// It promises that one value has one encoding, that a signature is checked against a named set of keys which must
// all have signed, that no plaintext is released before it is authenticated, and that memory is bounded whatever
// the size of the content.
//
// It refuses whatever could be read in two ways (unknown, repeated or case-twin members, null, loose base64,
// bad UTF-8), signatures that nobody asked for, algorithms chosen by the message, and suites that the caller's
// registry doesn't hold. It does no input or output of its own and knows no private key but those handed to it.
package envelope

import (
	"errors"
	"fmt"
	"strings"
)

// FormatError says what is malformed and where.
type FormatError struct {
	What  string // what is wrong
	Where string // JSON pointer or name of the field; empty for the whole
	Err   error  // cause, where there is one
}

func (e *FormatError) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Where != "" {
		b.WriteString(" at ")
		b.WriteString(e.Where)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *FormatError) Unwrap() error { return e.Err }

// Refuse makes the error for one field of a document, named by its path ("files/0/name"; "" is the whole).
func Refuse(where, format string, args ...any) error {
	return &FormatError{What: fmt.Sprintf(format, args...), Where: pointer(where)}
}

// Within places an error about a part below where that part stands; nil stays nil.
func Within(where string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*FormatError](err); ok {
		return &FormatError{What: e.What, Where: pointer(where) + e.Where, Err: e.Err}
	}
	return &FormatError{What: "is malformed", Where: pointer(where), Err: err}
}

func pointer(path string) string {
	if path == "" {
		return ""
	}
	return "/" + path
}
