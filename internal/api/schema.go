package api

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/statement"
)

// Schema is the part of JSON Schema 2020-12 that the description needs.
type Schema struct {
	Ref                  string             `json:"$ref,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Format               string             `json:"format,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	ContentEncoding      string             `json:"contentEncoding,omitempty"`
	ContentMediaType     string             `json:"contentMediaType,omitempty"`
	Description          string             `json:"description,omitempty"`
	Items                *Schema            `json:"items,omitzero"`
	MaxItems             int                `json:"maxItems,omitzero"`
	Properties           map[string]*Schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitzero"`
}

// schemas collects the named types of a description.
type schemas struct{ named map[string]*Schema }

// of describes a type; a struct is described once, under its name.
func (s *schemas) of(t reflect.Type) *Schema {
	if known := scalar(t); known != nil {
		return known
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice, reflect.Array:
		return &Schema{Type: "array", Items: s.of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", AdditionalProperties: s.of(t.Elem())}
	case reflect.Struct:
		name := schemaName(t)
		if _, done := s.named[name]; !done {
			s.named[name] = nil // so that a type that holds itself ends
			s.named[name] = s.object(t)
		}
		return &Schema{Ref: "#/components/schemas/" + name}
	case reflect.Interface:
		return &Schema{Description: "Any JSON value."}
	}
	panic(fmt.Sprintf("api: a type that cannot be described: %s", t)) // a mistake in the table, found by every test of it
}

// scalar describes what is one JSON string, number or boolean, or any value.
func scalar(t reflect.Type) *Schema {
	switch t {
	case reflect.TypeFor[time.Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[jsontext.Value]():
		return &Schema{Description: "Any JSON value."}
	case reflect.TypeFor[Description]():
		return &Schema{Type: "object"}
	case reflect.TypeFor[envelope.Hash](), reflect.TypeFor[statement.Salt]():
		return &Schema{Type: "string", Pattern: "^[0-9a-f]{64}$"}
	case reflect.TypeFor[envelope.ID]():
		return &Schema{Type: "string", Pattern: "^[0-9a-f]{32}$"}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return &Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: "integer"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", ContentEncoding: "base64"}
		}
	}
	return nil
}

// object describes a struct: no members but its own, and those required that are always written.
func (s *schemas) object(t reflect.Type) *Schema {
	o := &Schema{Type: "object", AdditionalProperties: false, Properties: map[string]*Schema{}}
	for f := range fields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		member := *s.of(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			member.Description = doc
		}
		o.Properties[name] = &member
		if !slices.ContainsFunc(strings.Split(options, ","), func(o string) bool { return o == "omitempty" || o == "omitzero" }) {
			o.Required = append(o.Required, name)
		}
	}
	return o
}

// schemaName is a type's name, with those of its arguments and, for types of other packages that would meet one of
// ours, the package's.
func schemaName(t reflect.Type) string {
	name, args, generic := strings.Cut(strings.TrimSuffix(t.Name(), "]"), "[")
	if generic {
		return args[strings.LastIndex(args, ".")+1:] + name
	}
	path := t.PkgPath()
	if pkg := path[strings.LastIndex(path, "/")+1:]; pkg != "api" {
		return pkg + "." + name
	}
	return name
}
