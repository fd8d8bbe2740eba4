package api

import (
	"encoding"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"entente/internal/fault"
)

// fields are the fields of a request type.
func fields(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// bind fills a request type from a request. Fields tagged path or query come from the URL, where absent means
// zero and a parameter that the type does not name is refused; fields tagged header, which must be there, come from the headers,
// and the field tagged body comes from the body. A query field
// tagged need:"yes" must be there.
func bind(w http.ResponseWriter, r *http.Request, in any) error {
	v := reflect.ValueOf(in).Elem()
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Wrap(fault.Invalid, "query", "The query of the URL is malformed.", err)
	}
	var known []string
	for f := range fields(v.Type()) {
		field := v.FieldByIndex(f.Index)
		switch {
		case f.Tag.Get("path") != "":
			name := f.Tag.Get("path")
			if err := setText(field, name, r.PathValue(name)); err != nil {
				return err
			}
		case f.Tag.Get("query") != "":
			name := f.Tag.Get("query")
			known = append(known, name)
			if err := setQuery(field, f, name, query[name]); err != nil {
				return err
			}
		case f.Tag.Get("header") != "":
			name := f.Tag.Get("header")
			if r.Header.Get(name) == "" {
				return fault.New(fault.Invalid, "precondition", "Send "+name+": what you change must be what you saw.")
			}
			if err := setText(field, name, r.Header.Get(name)); err != nil {
				return err
			}
		case f.Tag.Get("body") != "":
			if err := readJSON(w, r, field.Addr().Interface()); err != nil {
				return err
			}
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return fault.New(fault.Invalid, "query", fmt.Sprintf("The parameter %q is not known here; known are: %s.", name, orNone(known)))
		}
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func setQuery(field reflect.Value, f reflect.StructField, name string, values []string) error {
	switch {
	case len(values) > 1:
		return fault.New(fault.Invalid, "query", fmt.Sprintf("The parameter %q is given more than once.", name))
	case len(values) == 1:
		return setText(field, name, values[0])
	case f.Tag.Get("need") != "":
		return fault.New(fault.Invalid, "query", fmt.Sprintf("The parameter %q is missing.", name))
	}
	return nil
}

// setText parses one parameter into a field: a string, an integer, a boolean, or what unmarshals text; or a pointer
// to one of these.
func setText(field reflect.Value, name, text string) error {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	var err error
	if u, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err = u.UnmarshalText([]byte(text))
	} else {
		switch field.Kind() {
		case reflect.String:
			field.SetString(text)
		case reflect.Int, reflect.Int64:
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			field.SetInt(n)
		case reflect.Uint32:
			var n uint64
			n, err = strconv.ParseUint(text, 10, 32)
			field.SetUint(n)
		case reflect.Bool:
			var b bool
			b, err = strconv.ParseBool(text)
			field.SetBool(b)
		default:
			return fmt.Errorf("parameter %s has a type that cannot be bound: %s", name, field.Type())
		}
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, "parameter", fmt.Sprintf("The parameter %q is not well formed: %s.", name, causeOf(err)), err)
	}
	return nil
}

// causeOf is the part of a parsing error that a client may read.
func causeOf(err error) string {
	if e, ok := errors.AsType[*strconv.NumError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// reading turns a failure to read a body into a fault: over the limit, or broken off.
func reading(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return fault.Wrap(fault.Invalid, "body", "The body broke off before its end.", err)
}
