package assistance

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/statement"
)

// Printed is one line of a printed form: a label in both languages, and what stands there. A group has a label alone, and its
// lines follow, one deeper.
type Printed struct {
	Depth int
	Label statement.Words
	Value statement.Words // one text for both, unless it is the words of a code
}

// Print lays out a face or a body in the order of its form. What the form does not know is left out: it was refused before.
func Print(form statement.Form, data []byte) []Printed { return printGroup(form, data, 0) }

func printGroup(form statement.Form, data []byte, depth int) []Printed {
	var members map[string]jsontext.Value
	if envelope.Unmarshal(data, &members) != nil {
		return nil
	}
	var lines []Printed
	for _, f := range form {
		value, there := members[f.Name]
		if !there {
			continue
		}
		values := []jsontext.Value{value}
		if f.Many > 0 && envelope.Unmarshal(value, &values) != nil {
			continue
		}
		for i, v := range values {
			label := f.Label
			if f.Many > 0 {
				label = statement.Words{EN: fmt.Sprint(label.EN, " ", i+1), ZH: fmt.Sprint(label.ZH, " ", i+1)}
			}
			if f.Type == statement.FieldGroup {
				lines = append(append(lines, Printed{Depth: depth, Label: label}), printGroup(f.Fields, v, depth+1)...)
				continue
			}
			lines = append(lines, Printed{Depth: depth, Label: label, Value: printValue(f, v)})
		}
	}
	return lines
}

func printValue(f statement.Field, data jsontext.Value) statement.Words {
	both := func(s string) statement.Words { return statement.Words{EN: s, ZH: s} }
	switch f.Type {
	case statement.FieldFlag:
		if string(data) == "true" {
			return statement.Words{EN: "Yes", ZH: "是"}
		}
		return statement.Words{EN: "No", ZH: "否"}
	case statement.FieldInstant:
		at, err := strconv.ParseInt(string(data), 10, 64)
		if err != nil {
			return both(string(data))
		}
		return both(time.UnixMicro(at).UTC().Format("2006-01-02 15:04:05 UTC"))
	case statement.FieldWhole:
		return both(string(data))
	}
	var s string
	if envelope.Unmarshal(data, &s) != nil {
		return both(string(data))
	}
	if i := slices.IndexFunc(f.Codes, func(c statement.Code) bool { return c.Name == s }); i >= 0 && f.Type == statement.FieldCode {
		return f.Codes[i].Words
	}
	return both(s)
}
