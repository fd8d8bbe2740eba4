package api

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/internal/fault"
)

// Version is the version of the interface; a change that breaks a client changes its first number and Prefix.
const Version = "1.0.0"

// Description is an encoded OpenAPI document.
type Description jsontext.Value

// MarshalJSON gives the document as it is.
func (d Description) MarshalJSON() ([]byte, error) { return d, nil }

// document and the types below are the part of OpenAPI 3.1 that the description needs.
type document struct {
	OpenAPI    string                      `json:"openapi"`
	Info       info                        `json:"info"`
	Servers    []server                    `json:"servers"`
	Paths      map[string]map[string]*item `json:"paths"`
	Components components                  `json:"components"`
	Security   []map[string][]string       `json:"security"`
}

type info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

type components struct {
	Schemas   map[string]*Schema   `json:"schemas"`
	Security  map[string]security  `json:"securitySchemes"`
	Responses map[string]*response `json:"responses"`
}

type security struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Description string `json:"description"`
}

type item struct {
	OperationID string               `json:"operationId"`
	Summary     string               `json:"summary"`
	Parameters  []parameter          `json:"parameters,omitempty"`
	RequestBody *requestBody         `json:"requestBody,omitzero"`
	Responses   map[string]*response `json:"responses"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required"`
	Schema      *Schema `json:"schema"`
}

type requestBody struct {
	Required bool             `json:"required"`
	Content  map[string]media `json:"content"`
}

type response struct {
	Ref         string           `json:"$ref,omitempty"`
	Description string           `json:"description,omitempty"`
	Content     map[string]media `json:"content,omitempty"`
}

type media struct {
	Schema *Schema `json:"schema"`
}

// Describe makes the OpenAPI 3.1 document of the table of routes.
func Describe() Description {
	s := &schemas{named: map[string]*Schema{}}
	problem := s.of(reflect.TypeFor[Problem]())
	doc := document{
		OpenAPI: "3.1.0",
		Info: info{
			Title: "Entente node", Version: Version,
			Description: "The interface of one party's node, served on its local socket and, to members with tokens, over HTTPS. Times are RFC 3339 unless a statement's own document holds them, where they are microseconds since 1970 in UTC; hashes and ids are lower-case hexadecimal.",
		},
		Servers:  []server{{URL: Prefix, Description: "The node's Unix socket, or the address of its setting api."}},
		Security: []map[string][]string{{"token": {}}, {}},
		Paths:    map[string]map[string]*item{},
		Components: components{Responses: failures(problem), Security: map[string]security{
			"token": {Type: "http", Scheme: "bearer", Description: "A member's token. On the socket it may be left out: then who owns the node is calling."},
		}},
	}
	for _, o := range table() {
		methods := doc.Paths[o.path]
		if methods == nil {
			methods = map[string]*item{}
			doc.Paths[o.path] = methods
		}
		methods[strings.ToLower(o.method)] = describe(o, s)
	}
	s.describeForms()
	doc.Components.Schemas = s.named
	data, err := envelope.Marshal(doc)
	if err != nil {
		panic("api: describing the table: " + err.Error()) // a mistake in the table, found by every test of it
	}
	return data
}

// describe makes the description of one row.
func describe(o operation, s *schemas) *item {
	it := &item{OperationID: o.id, Summary: o.summary, Responses: map[string]*response{}}
	for f := range fields(o.in) {
		switch {
		case f.Tag.Get("path") != "":
			it.Parameters = append(it.Parameters, parameter{
				Name: f.Tag.Get("path"), In: "path", Description: f.Tag.Get("doc"), Required: true, Schema: s.of(f.Type),
			})
		case f.Tag.Get("query") != "":
			it.Parameters = append(it.Parameters, parameter{
				Name: f.Tag.Get("query"), In: "query", Description: f.Tag.Get("doc"), Required: f.Tag.Get("need") != "", Schema: s.of(f.Type),
			})
		case f.Tag.Get("header") != "":
			it.Parameters = append(it.Parameters, parameter{
				Name: f.Tag.Get("header"), In: "header", Description: f.Tag.Get("doc"), Required: true, Schema: s.of(f.Type),
			})
			for _, status := range []int{http.StatusPreconditionFailed, http.StatusPreconditionRequired} {
				it.Responses[strconv.Itoa(status)] = &response{Ref: "#/components/responses/" + string(fault.Conflict)}
			}
		case f.Tag.Get("body") != "":
			it.RequestBody = &requestBody{Required: true, Content: map[string]media{o.request: {s.of(f.Type)}}}
		}
	}
	if o.request == mediaForm {
		it.RequestBody = &requestBody{Required: true, Content: map[string]media{mediaForm: {formSchema(s.of(draftType()))}}}
	}
	if o.request == mediaCarry {
		it.RequestBody = &requestBody{Required: true, Content: map[string]media{mediaCarry: {&Schema{Type: "string", ContentMediaType: mediaCarry}}}}
	}
	good := &response{Description: http.StatusText(o.status), Content: map[string]media{}}
	if o.out == nil {
		good.Content[o.media] = media{&Schema{Type: "string", ContentMediaType: o.media}}
	} else {
		good.Content[o.media] = media{s.of(o.out)}
	}
	if o.long {
		good.Content[mediaNDJSON] = media{&Schema{Description: "Lines of JSON: {\"progress\"} as the work goes on, and at the end {\"result\"} as in " + mediaJSON + " or {\"problem\"}."}}
	}
	it.Responses[strconv.Itoa(o.status)] = good
	for _, kind := range o.failures() {
		it.Responses[strconv.Itoa(answers()[kind].status)] = &response{Ref: "#/components/responses/" + string(kind)}
	}
	if o.method != http.MethodGet && !o.shownOnce {
		it.Parameters = append(it.Parameters, parameter{Name: onceHeader, In: "header", Schema: s.of(reflect.TypeFor[string]()),
			Description: "Names the call: sent again under its name within a day, it does nothing and gets the same answer."})
		it.Responses[strconv.Itoa(http.StatusUnprocessableEntity)] = &response{Ref: "#/components/responses/" + string(fault.Conflict)}
	}
	it.Responses[strconv.Itoa(http.StatusUnauthorized)] = &response{Ref: "#/components/responses/" + string(fault.Forbidden)}
	if o.request != "" {
		it.Responses[strconv.Itoa(http.StatusUnsupportedMediaType)] = &response{Ref: "#/components/responses/" + string(fault.Invalid)}
	}
	return it
}

// failures are the kinds of failure that a route may answer with: every route may meet some, a path that names
// something may miss it, and an act may meet a state or a limit that forbids it.
func (o operation) failures() []fault.Kind {
	kinds := []fault.Kind{fault.Invalid, fault.Forbidden, fault.NotFound, fault.Exhausted, fault.Unavailable, fault.Internal}
	if o.method != http.MethodGet || o.out == nil {
		kinds = append(kinds, fault.Conflict)
	}
	if o.method == http.MethodGet && strings.Contains(o.path, "{") {
		kinds = append(kinds, fault.Conflict) // a prefix may be ambiguous
	}
	if o.request != "" {
		kinds = append(kinds, fault.TooLarge)
	}
	return kinds
}

// failures describes the table of errors.
func failures(problem *Schema) map[string]*response {
	out := map[string]*response{}
	for kind, a := range answers() {
		out[string(kind)] = &response{Description: a.title + ".", Content: map[string]media{problemMedia: {problem}}}
	}
	return out
}
