package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

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
	if !unsuspicious(data) {
		if err := scan(data); err != nil {
			return err
		}
	}
	return formatError(json.Unmarshal(data, v, json.RejectUnknownMembers(true), canonicalBase64))
}

// canonicalBase64 is made once, because it keeps what it has found out about each type.
var canonicalBase64 = json.WithUnmarshalers(json.UnmarshalFromFunc(unmarshalBase64))

// maxCompared is how many names of one object unsuspicious compares with each other.
const maxCompared = 32

// unsuspicious says whether scan would refuse nothing in data but what the decoder refuses as well. It reads bytes, not
// tokens: it need not be right about JSON that is malformed, nor sure about names that are long lists, escaped or not ASCII.
func unsuspicious(data []byte) bool {
	var (
		names  [][]byte           // of all open objects
		starts [MaxDepth + 1]int  // where in names those of the object at this depth begin
		object [MaxDepth + 1]bool // or else an array
		depth  int
		name   bool // the next string is a member's name
	)
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if depth++; depth > MaxDepth {
				return false
			}
			starts[depth], object[depth] = len(names), data[i] == '{'
			name = object[depth]
		case '}', ']':
			if depth == 0 {
				return false
			}
			names = names[:starts[depth]]
			depth--
		case ',':
			name = object[depth]
		case 'n': // null: no other word begins so
			return false
		case '"':
			n := bytes.IndexByte(data[i+1:], '"')
			if n < 0 || bytes.IndexByte(data[i+1:i+1+n], '\\') >= 0 {
				if n = stringEnd(data[i+1:]); n < 0 || name {
					return false
				}
			}
			text := data[i+1 : i+1+n]
			i += n + 1
			if !name {
				continue
			}
			name = false
			siblings := names[starts[depth]:]
			if len(siblings) == maxCompared || !ascii(text) || slices.ContainsFunc(siblings, func(s []byte) bool { return bytes.EqualFold(s, text) }) {
				return false
			}
			names = append(names, text)
		}
	}
	return true
}

// stringEnd is where the string that data begins within ends, -1 if it does not.
func stringEnd(data []byte) int {
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return -1
}

func ascii(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return c >= utf8.RuneSelf })
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
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != jsontext.KindString {
		return errors.New("not a base64 string")
	}
	text := []byte(value[1 : len(value)-1])
	if bytes.IndexByte(text, '\\') >= 0 {
		if text, err = jsontext.AppendUnquote(nil, value); err != nil {
			return err
		}
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(text))), text)
	if err != nil || base64.StdEncoding.EncodedLen(len(b)) != len(text) { // the decoder skips line breaks
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
