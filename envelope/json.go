package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is the deepest nesting that Unmarshal accepts: a scalar has depth 0, an empty object depth 1.
const MaxDepth = 16

// Marshal encodes v as compact JSON, members in declaration order, maps sorted: the same value gives the same bytes.
// Byte slices are standard base64 with padding.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// Unmarshal decodes one JSON value strictly into v, which should be a zero value. It refuses, with a *FormatError:
// unknown members, duplicate names, names that differ in case only, null, bad UTF-8 and lone surrogates, base64
// that isn't the standard canonical form, trailing data, and nesting over MaxDepth. Raw members (jsontext.Value)
// obey the same rules. A missing member leaves its zero value: what is required is for the caller to check.
func Unmarshal(data []byte, v any) error {
	if err := scan(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, v,
		json.RejectUnknownMembers(true),
		json.WithUnmarshalers(json.UnmarshalFromFunc(unmarshalBase64)))
	return formatError(err)
}

// scan walks all tokens for what the decoder itself doesn't refuse: depth, null and case twins.
func scan(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	var seen []map[string]bool // folded names of each open object; nil for an array
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil // emptiness and trailing values are found by the decoding proper
		}
		if err != nil {
			return formatError(err)
		}
		switch tok.Kind() {
		case jsontext.KindBeginObject, jsontext.KindBeginArray:
			if dec.StackDepth() > MaxDepth {
				return refused("nested too deeply", dec)
			}
			seen = append(seen, nil)
		case jsontext.KindEndObject, jsontext.KindEndArray:
			seen = seen[:len(seen)-1]
		case jsontext.KindNull:
			return refused("null where a value belongs", dec)
		case jsontext.KindString:
			depth := dec.StackDepth()
			if kind, n := dec.StackIndex(depth); kind != jsontext.KindBeginObject || n%2 == 0 {
				continue // a value, not a name
			}
			if seen[depth-1] == nil {
				seen[depth-1] = make(map[string]bool)
			}
			name := foldCase(tok.String())
			if seen[depth-1][name] {
				return refused("member names differ in case only", dec)
			}
			seen[depth-1][name] = true
		}
	}
}

// foldCase maps all case variants of a name to one; by way of upper case, so that ſ meets s and the Kelvin sign k.
func foldCase(name string) string { return strings.ToLower(strings.ToUpper(name)) }

func refused(what string, dec *jsontext.Decoder) error {
	return &FormatError{What: what, Where: string(dec.StackPointer())}
}

// unmarshalBase64 accepts what Marshal writes and nothing looser: no line breaks, no missing padding, and no bits
// set that the encoding discards.
func unmarshalBase64(dec *jsontext.Decoder, p *[]byte) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != jsontext.KindString {
		return errors.New("not a base64 string")
	}
	s := tok.String()
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodedLen(len(b)) != len(s) { // the decoder skips line breaks
		return errors.New("not canonical standard base64")
	}
	*p = b
	return nil
}

// formatError gives the codec's errors our shape, with the place that they name.
func formatError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*FormatError](err); ok && e == err {
		return e
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return &FormatError{What: "JSON value of the wrong shape", Where: string(e.JSONPointer), Err: err}
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &FormatError{What: "malformed JSON", Where: string(e.JSONPointer), Err: err}
	}
	return &FormatError{What: "malformed JSON", Err: err}
}
