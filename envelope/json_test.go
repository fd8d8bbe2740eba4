package envelope_test

import (
	stdjson "encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
)

// sample has a member of every shape that the formats use.
type sample struct {
	To   string            `json:"to,omitempty"`
	N    uint64            `json:"n,omitzero"`
	B    []byte            `json:"b,omitempty"`
	H    envelope.Hash     `json:"h,omitzero"`
	List []string          `json:"list,omitempty"`
	Map  map[string]string `json:"map,omitempty"`
	Raw  jsontext.Value    `json:"raw,omitempty"`
	Sub  *sample           `json:"sub,omitzero"`
}

type jsonCase struct {
	Name  string `json:"name"`
	Input []byte `json:"input"`
	Valid bool   `json:"valid"`
}

func nested(depth int) string {
	return `{"raw":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

func jsonCases() []jsonCase {
	hash := strings.Repeat("0a", 32)
	accepted := map[string]string{
		"empty object":               `{}`,
		"all members":                `{"to":"Kestria","n":18446744073709551615,"b":"AP8=","h":"` + hash + `","list":["a"],"map":{"k":"v"},"raw":{"x":[1]},"sub":{"to":"Arvenia"}}`,
		"white space around":         " {\"to\" : \"x\"}\n",
		"escapes":                    `{"to":"\u00e9\n\ud83d\ude00"}`,
		"deepest nesting":            nested(envelope.MaxDepth),
		"same name in other objects": `{"to":"a","sub":{"to":"b"},"map":{"to":"c"},"raw":[{"to":1},{"to":2}]}`,
		"twins in sibling objects":   `{"raw":[{"a":1},{"A":1}]}`,
		"empty bytes":                `{"b":""}`,
	}
	refused := map[string]string{
		"no input":                          ``,
		"white space only":                  ` `,
		"duplicate name":                    `{"to":"a","to":"b"}`,
		"duplicate name by escape":          `{"to":"a","t\u006f":"b"}`,
		"duplicate name in a map":           `{"map":{"k":"a","k":"b"}}`,
		"duplicate name in a raw value":     `{"raw":{"k":1,"k":1}}`,
		"case twin":                         `{"to":"a","TO":"b"}`,
		"case variant alone":                `{"TO":"a"}`,
		"case twin in a map":                `{"map":{"key":"a","KEY":"b"}}`,
		"case twin in a raw value":          `{"raw":{"a":1,"A":1}}`,
		"case twin by Kelvin sign":          `{"map":{"k":"a","K":"b"}}`,
		"case twin by long s":               `{"map":{"s":"a","ſ":"b"}}`,
		"case twin by escape":               `{"map":{"k":"a","\u004b":"b"}}`,
		"unknown member":                    `{"cc":"a"}`,
		"unknown member within":             `{"sub":{"cc":"a"}}`,
		"too deep by arrays":                nested(envelope.MaxDepth + 1),
		"too deep by objects":               strings.Repeat(`{"sub":`, envelope.MaxDepth+1) + `{}` + strings.Repeat(`}`, envelope.MaxDepth+1),
		"far too deep and never closed":     strings.Repeat(`[`, 12_000),
		"bad UTF-8":                         "{\"to\":\"\xff\"}",
		"bad UTF-8 in a name":               "{\"map\":{\"\xff\":\"\"}}",
		"overlong UTF-8":                    "{\"to\":\"\xc0\xaf\"}",
		"surrogate in UTF-8":                "{\"to\":\"\xed\xa0\x80\"}",
		"lone high surrogate":               `{"to":"\ud800"}`,
		"lone low surrogate":                `{"to":"\udc00"}`,
		"surrogates in the wrong order":     `{"to":"\udc00\ud800"}`,
		"lone surrogate in a raw value":     `{"raw":"\ud800"}`,
		"byte order mark":                   "\ufeff{}",
		"trailing value":                    `{}{}`,
		"trailing bracket":                  `{}}`,
		"trailing NUL":                      "{}\x00",
		"trailing comma":                    `{"to":"a",}`,
		"comment":                           `{}//`,
		"not closed":                        `{"to":"a"`,
		"null for an object":                `null`,
		"null for a string":                 `{"to":null}`,
		"null in a list":                    `{"list":[null]}`,
		"null in a raw value":               `{"raw":{"x":null}}`,
		"string for a number":               `{"n":"1"}`,
		"negative for an unsigned number":   `{"n":-1}`,
		"fraction for a whole number":       `{"n":1.5}`,
		"whole number by exponent":          `{"n":1e2}`,
		"number out of range":               `{"n":18446744073709551616}`,
		"number with leading zero":          `{"n":01}`,
		"NaN":                               `{"n":NaN}`,
		"array for an object":               `[]`,
		"single quotes":                     `{'to':'a'}`,
		"control character":                 "{\"to\":\"\x01\"}",
		"URL-safe base64":                   `{"b":"_-8="}`,
		"base64 without padding":            `{"b":"AP8"}`,
		"base64 with a line break":          `{"b":"AP8=\n"}`,
		"base64 with bits that don't count": `{"b":"AP9="}`,
		"base64 as a list of numbers":       `{"b":[0,255]}`,
		"hash in upper case":                `{"h":"` + strings.ToUpper(hash) + `"}`,
		"hash too short":                    `{"h":"0a"}`,
		"hash too long":                     `{"h":"` + hash + `00"}`,
		"hash empty":                        `{"h":""}`,
	}
	var cases []jsonCase
	for name, input := range accepted {
		cases = append(cases, jsonCase{Name: name, Input: []byte(input), Valid: true})
	}
	for name, input := range refused {
		cases = append(cases, jsonCase{Name: name, Input: []byte(input)})
	}
	return cases
}

// TestJSONDifferential: whatever two decoders could read in two ways is refused, and what is accepted reads the
// same with the standard library's decoder.
func TestJSONDifferential(t *testing.T) {
	for _, c := range jsonCases() {
		t.Run(c.Name, func(t *testing.T) { checkJSON(t, c) })
	}
}

func checkJSON(t *testing.T, c jsonCase) {
	t.Helper()
	var got sample
	err := envelope.Unmarshal(c.Input, &got)
	if !c.Valid {
		if err == nil {
			t.Fatalf("accepted %.80q", c.Input)
		}
		if _, ok := errors.AsType[*envelope.FormatError](err); !ok {
			t.Errorf("error is %T, want *FormatError", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused %.80q: %v", c.Input, err)
	}
	sameForAll(t, c.Input, got)
}

// sameForAll checks that another decoder reads the same from data, and that encoding gives one form only.
func sameForAll(t *testing.T, data []byte, got sample) {
	t.Helper()
	var other sample
	if err := stdjson.Unmarshal(data, &other); err != nil {
		t.Fatalf("encoding/json refuses what we accept: %v", err)
	}
	first, err := envelope.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	second, err := envelope.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	var again sample
	if err := envelope.Unmarshal(first, &again); err != nil {
		t.Fatalf("own encoding %q refused: %v", first, err)
	}
	third, err := envelope.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) || string(first) != string(third) {
		t.Errorf("readings differ:\nours  %q\nother %q\nagain %q", first, second, third)
	}
}

func TestUnmarshalErrorSaysWhere(t *testing.T) {
	tests := []struct{ input, where string }{
		{`{"sub":{"list":["a",null]}}`, "/sub/list/1"},
		{`{"sub":{"map":{"k":"a","K":"b"}}}`, "/sub/map/K"},
		{`{"sub":{"cc":1}}`, "/sub/cc"},
		{`{"sub":{"b":"AP9="}}`, "/sub/b"},
		{`{"sub":{"n":"1"}}`, "/sub/n"},
	}
	for _, tt := range tests {
		err := envelope.Unmarshal([]byte(tt.input), new(sample))
		e, ok := errors.AsType[*envelope.FormatError](err)
		if !ok || e.Where != tt.where {
			t.Errorf("%s: got %v, want a *FormatError at %s", tt.input, err, tt.where)
		}
	}
}

func TestMarshalIsDeterministic(t *testing.T) {
	v := sample{Map: map[string]string{"b": "2", "a": "1", "c": "<&>"}, B: []byte{0, 255}, To: "é"}
	const want = `{"to":"é","b":"AP8=","map":{"a":"1","b":"2","c":"<&>"}}`
	for range 20 {
		got, err := envelope.Marshal(v)
		if err != nil || string(got) != want {
			t.Fatalf("Marshal gives %s, %v; want %s", got, err, want)
		}
	}
	if got, err := envelope.Marshal(sample{To: "\xff"}); err == nil {
		t.Errorf("bad UTF-8 encoded as %q", got)
	}
}

func TestHashAndIDText(t *testing.T) {
	h := envelope.Sum([]byte("abc"))
	if got, err := envelope.ParseHash(h.String()); err != nil || got != h || h.IsZero() {
		t.Errorf("hash %s reads back as %s, %v", h, got, err)
	}
	id := envelope.NewID()
	if got, err := envelope.ParseID(id.String()); err != nil || got != id || id.IsZero() || id == envelope.NewID() {
		t.Errorf("identifier %s reads back as %s, %v", id, got, err)
	}
	for _, s := range []string{"", "0", h.String()[:63], h.String() + "0", strings.ToUpper(h.String()), strings.Repeat("g", 64), " " + h.String()[1:]} {
		if _, err := envelope.ParseHash(s); err == nil {
			t.Errorf("ParseHash accepts %q", s)
		}
		if _, err := envelope.ParseID(s); err == nil {
			t.Errorf("ParseID accepts %q", s)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, c := range jsonCases() {
		f.Add(c.Input)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got sample
		if err := envelope.Unmarshal(data, &got); err != nil {
			return
		}
		if !utf8.Valid(data) {
			t.Fatalf("accepted bad UTF-8 %q", data)
		}
		if reflect.DeepEqual(got, sample{}) && len(data) == 0 {
			t.Fatal("accepted nothing at all")
		}
		sameForAll(t, data, got)
	})
}
