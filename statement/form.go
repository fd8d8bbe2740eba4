package statement

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
)

// Form is a face or a body whose members are declared, each once: checks, descriptions for programs, printed forms and empty
// drafts are all made from the declaration. Its fields stand in the order in which they are printed.
type Form []Field

// FormKind is a kind of statement whose face and body are forms. It opens a thread or continues one.
type FormKind struct {
	Name   string
	Lane   Lane   // where it stands
	Opens  bool   // a thread
	Series string // two letters, in the numbers of such requests; "" for what is no request
	Label  Words
	forms  func() (face, body Form)      // made when they are first asked for, and shared: nobody changes them
	both   func(face, body []byte) error // nil where face and body are independent
}

// Face declares the kind's face.
func (k FormKind) Face() Form {
	face, _ := k.forms()
	return face
}

// Body declares the kind's body.
func (k FormKind) Body() Form {
	_, body := k.forms()
	return body
}

// with adds what face and body must say of each other.
func (k FormKind) with(both func(face, body []byte) error) FormKind {
	k.both = both
	return k
}

// kind registers the kind.
func (k FormKind) kind() Kind {
	return Kind{Name: k.Name, Lanes: []Lane{k.Lane}, Starts: k.Opens, Follows: !k.Opens, CheckBoth: k.both,
		CheckFace: func(face []byte) error { return k.Face().validate(face) },
		CheckBody: func(body []byte) error { return k.Body().validate(body) }}
}

// FormKinds returns the kinds of an edition whose faces and bodies are forms: requests for assistance and what continues them,
// and the hotline.
func FormKinds(edition string) []FormKind {
	switch edition {
	case KindsEdition2:
		return append(RequestKinds(), ReplyKinds()...)
	case KindsEdition:
		return slices.Concat(RequestKinds(), ReplyKinds(), HotlineKinds())
	}
	return nil
}

// FormKindOf finds such a kind by its name.
func FormKindOf(edition, name string) (FormKind, bool) {
	kinds := FormKinds(edition)
	i := slices.IndexFunc(kinds, func(k FormKind) bool { return k.Name == name })
	if i < 0 {
		return FormKind{}, false
	}
	return kinds[i], true
}

// Check lists every fault of a face and a body of the kind, with pointers that begin with /face and /body.
func (k FormKind) Check(face, body []byte) []FieldFault {
	c := &formCheck{}
	c.group("/face", k.Face(), face)
	c.group("/body", k.Body(), body)
	if len(c.faults) > 0 || k.both == nil {
		return c.faults
	}
	if e, ok := errors.AsType[*envelope.FormatError](k.both(face, body)); ok {
		c.fault(e.Where, Words{}, "%s", e.What)
	}
	return c.faults
}

// Words is one text in the two languages of the forms, which stand side by side.
type Words struct{ EN, ZH string }

// Code is a code of a closed list, with its words.
type Code struct {
	Name string
	Words
}

// FieldType is what a field holds, as JSON and for people.
type FieldType string

// The types of fields.
const (
	FieldLine      FieldType = "line"      // string: CheckLine
	FieldProse     FieldType = "prose"     // string: CheckProse
	FieldCode      FieldType = "code"      // string: one of Codes
	FieldFlag      FieldType = "flag"      // boolean
	FieldWhole     FieldType = "whole"     // integer, 0 to Max
	FieldInstant   FieldType = "instant"   // integer: UTC microseconds
	FieldLocal     FieldType = "local"     // string: YYYY-MM-DDTHH:MM:SS, in the zone that stands beside it
	FieldDate      FieldType = "date"      // string: YYYY-MM-DD
	FieldZone      FieldType = "zone"      // string: a time zone of ZonesEdition
	FieldLanguage  FieldType = "language"  // string: BCP 47
	FieldMail      FieldType = "mail"      // string
	FieldTelephone FieldType = "telephone" // string
	FieldCited     FieldType = "cited"     // string: the commitment of a statement
	FieldNumber    FieldType = "number"    // string: the number of a request; Codes holds the one series that it may have
	FieldGroup     FieldType = "group"     // object: Fields
)

// Field declares one member.
type Field struct {
	Name     string
	Source   string // the clause that asks for it
	Label    Words
	Hint     Words // what to write
	Type     FieldType
	Required bool
	True     bool // a flag that must be set: what it says is a condition of the request
	Many     int  // a list of at most so many; 0: one value
	Max      int  // bytes, or the largest integer
	Codes    []Code
	Fields   Form   // of a group
	With     string // a member of the same group that must stand where this one does
	After    string // a member of the same group that must not be later than this one
	Fits     string // a code beside it that says what form this value has; see fitsCode
}

// FieldFault is one thing that is wrong with a draft: where, what, and what to write there.
type FieldFault struct {
	Where string // "/offences/0/conduct"
	What  string // "is missing"
	Write Words
}

// maxFaults bounds the faults that one check lists.
const maxFaults = 64

var (
	localPattern  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$`)
	numberPattern = regexp.MustCompile(`^[A-Z]{2,8}-([A-Z]{2})-[0-9]{4}-[0-9]{4,8}$`)
	domainPattern = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
	urlPattern    = regexp.MustCompile(`^[a-z][a-z0-9+.-]{1,15}://[^\s]+$`)
	digestPattern = regexp.MustCompile(`^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$`)
)

// Check lists every fault of an encoded face or body, none if it is as declared. It refuses members that are not declared.
func (f Form) Check(data []byte) []FieldFault {
	c := &formCheck{}
	c.group("", f, data)
	return c.faults
}

// validate is Check as an error: the first fault.
func (f Form) validate(data []byte) error {
	if faults := f.Check(data); len(faults) > 0 {
		return envelope.Refuse(strings.TrimPrefix(faults[0].Where, "/"), "%s", faults[0].What)
	}
	return nil
}

type formCheck struct{ faults []FieldFault }

func (c *formCheck) fault(where string, write Words, what string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, FieldFault{where, fmt.Sprintf(what, args...), write})
	}
}

// group checks an object against the fields that are declared for it.
func (c *formCheck) group(where string, form Form, data []byte) {
	var members map[string]jsontext.Value
	if err := envelope.Unmarshal(data, &members); err != nil {
		c.fault(where, Words{}, "is not an object of such members: %v", err)
		return
	}
	for name := range members {
		if !slices.ContainsFunc(form, func(f Field) bool { return f.Name == name }) {
			c.fault(where+"/"+name, Words{"Leave it out, or write it under the name of a field of this form.", "请删除，或填入本表格已有的栏目。"}, "is not a field of this form")
		}
	}
	for _, f := range form {
		at := where + "/" + f.Name
		value, there := members[f.Name]
		switch {
		case !there && f.Required:
			c.fault(at, f.Hint, "is missing")
		case !there:
		case f.Many > 0:
			c.list(at, f, value)
		default:
			c.value(at, f, value)
		}
		if there {
			c.beside(at, f, members)
		}
	}
}

func (c *formCheck) list(where string, f Field, data []byte) {
	var values []jsontext.Value
	if err := envelope.Unmarshal(data, &values); err != nil {
		c.fault(where, f.Hint, "is not a list")
		return
	}
	if len(values) == 0 && f.Required {
		c.fault(where, f.Hint, "is empty")
	}
	if len(values) > f.Many {
		c.fault(where, f.Hint, "has over %d entries", f.Many)
		return
	}
	for i, v := range values {
		c.value(fmt.Sprintf("%s/%d", where, i), f, v)
	}
}

// value checks one value, without regard to its neighbours.
func (c *formCheck) value(where string, f Field, data jsontext.Value) {
	switch f.Type {
	case FieldGroup:
		c.group(where, f.Fields, data)
	case FieldFlag:
		if s := string(data); s != "true" && s != "false" {
			c.fault(where, f.Hint, "is neither true nor false")
		} else if f.True && s != "true" {
			c.fault(where, f.Hint, "is not confirmed")
		}
	case FieldWhole, FieldInstant:
		n, err := strconv.ParseInt(string(data), 10, 64)
		limit := int64(f.Max)
		if f.Type == FieldInstant {
			limit = MaxInteger
		}
		if err != nil || n < 0 || n > limit {
			c.fault(where, f.Hint, "is not an integer from 0 to %d", limit)
		} else if f.Type == FieldInstant && n == 0 {
			c.fault(where, f.Hint, "is not a time in UTC microseconds")
		}
	default:
		var s string
		if err := envelope.Unmarshal(data, &s); err != nil {
			c.fault(where, f.Hint, "is not a string")
		} else if what := f.checkText(s); what != "" {
			c.fault(where, f.Hint, "%s", what)
		}
	}
}

// checkText says what is wrong with a string, "" if nothing is.
func (f Field) checkText(s string) string {
	var err error
	switch f.Type {
	case FieldLine:
		err = CheckLine(s, f.Max)
	case FieldProse:
		err = CheckProse(s, f.Max)
	case FieldLanguage:
		err = CheckLanguage(s)
	case FieldCode:
		if !slices.ContainsFunc(f.Codes, func(c Code) bool { return c.Name == s }) {
			return fmt.Sprintf("%.40q is none of %s", s, codeNames(f.Codes))
		}
	case FieldLocal:
		if _, e := time.Parse("2006-01-02T15:04:05", s); e != nil || !localPattern.MatchString(s) {
			return "is not a time of the form 2026-03-01T09:30:00"
		}
	case FieldDate:
		if _, e := time.Parse(time.DateOnly, s); e != nil {
			return "is not a date of the form 2026-03-01"
		}
	case FieldZone:
		if !KnownZone(s) {
			return fmt.Sprintf("%.40q is not a time zone such as Asia/Shanghai or Europe/Berlin", s)
		}
	case FieldMail:
		if !mailPattern.MatchString(s) {
			return "is not a mail address"
		}
	case FieldTelephone:
		if !phonePattern.MatchString(s) {
			return "is not a telephone number"
		}
	case FieldCited:
		if h, e := envelope.ParseHash(s); e != nil || h.IsZero() {
			return "is not the number of a statement"
		}
	case FieldNumber:
		if m := numberPattern.FindStringSubmatch(s); m == nil || m[1] != f.Codes[0].Name {
			return fmt.Sprintf("is not a number like ARV-%s-2026-0001", f.Codes[0].Name)
		}
	default:
		return "is of a type that is not known"
	}
	if err != nil {
		return err.(*envelope.FormatError).What
	}
	return ""
}

// beside checks a value against its neighbours.
func (c *formCheck) beside(where string, f Field, members map[string]jsontext.Value) {
	if _, there := members[f.With]; f.With != "" && !there {
		c.fault(where, f.Hint, "stands without %s", f.With)
	}
	if before, there := members[f.After]; f.After != "" && there && text(members[f.Name]) < text(before) {
		c.fault(where, f.Hint, "is before %s", f.After)
	}
	if f.Fits != "" && !fitsCode(text(members[f.Fits]), text(members[f.Name])) {
		c.fault(where, f.Hint, "is not of the type %.20q", text(members[f.Fits]))
	}
}

// text is a JSON string's value; dates and local times of one form compare by it.
func text(data jsontext.Value) (s string) {
	if envelope.Unmarshal(data, &s) != nil {
		return ""
	}
	return s
}

// fitsCode says whether an identifier has the form that its type asks for. What has no form of its own is only a line.
func fitsCode(kind, value string) bool {
	switch kind {
	case "ip":
		_, err := netip.ParseAddr(value)
		return err == nil && !strings.Contains(value, "%")
	case "network":
		p, err := netip.ParsePrefix(value)
		return err == nil && p == p.Masked()
	case "mail":
		return mailPattern.MatchString(value)
	case "telephone":
		return phonePattern.MatchString(value)
	case "domain":
		return domainPattern.MatchString(value)
	case "url":
		return urlPattern.MatchString(value)
	case "digest":
		return digestPattern.MatchString(value)
	}
	return true
}

func codeNames(codes []Code) string {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
