package statement

import (
	"fmt"
	"regexp"
	"slices"

	"entente/envelope"
)

const (
	maxName        = 200 // bytes of a name of a desk, person or function
	maxNames       = 16
	maxHours       = 32
	maxLanguages   = 16
	maxSubstitutes = 16
)

var (
	daysPattern  = regexp.MustCompile(`^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$`)
	clockPattern = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)
)

// DeskRoles returns the roles that a desk may have.
func DeskRoles() []string {
	return []string{"hotline", "requests", "network_protection", "liaison", "legal", "dialogue"}
}

// WithdrawReasons returns the codes for withdrawing a desk.
func WithdrawReasons() []string {
	return []string{"closed", "replaced", "unstaffed", "compromised", "other"}
}

// DeskFace is the face of desk.propose, which opens a desk's thread, and of desk.update, which continues it.
type DeskFace struct {
	Role      string `json:"role"`     // one of DeskRoles
	Standing  string `json:"standing"` // interim | permanent
	ValidFrom int64  `json:"valid_from"`
	ValidTo   int64  `json:"valid_to,omitzero"` // an interim desk must have one; absent: until withdrawn
}

// Validate checks the codes and that the validity ends after it begins.
func (f DeskFace) Validate() error {
	if err := oneOf("role", f.Role, DeskRoles()...); err != nil {
		return err
	}
	if err := oneOf("standing", f.Standing, "interim", "permanent"); err != nil {
		return err
	}
	if err := checkTime("valid_from", f.ValidFrom); err != nil {
		return err
	}
	if f.ValidTo == 0 {
		if f.Standing == "interim" {
			return envelope.Refuse("valid_to", "is missing: an interim desk must end")
		}
		return nil
	}
	if f.ValidTo <= f.ValidFrom {
		return envelope.Refuse("valid_to", "is not after valid_from")
	}
	return checkTime("valid_to", f.ValidTo)
}

// DeskBody is what people need to reach a desk.
type DeskBody struct {
	Names       map[string]string `json:"names"` // by language tag; at least one
	Hours       []Hours           `json:"hours"`
	Always      bool              `json:"always"` // day and night; no clock pauses
	Zone        string            `json:"zone"`   // IANA name, in which Hours are meant
	Languages   []string          `json:"languages"`
	Substitutes []string          `json:"substitutes"` // desk ids or roles, in order
	Mail        string            `json:"mail,omitempty"`
	Telephone   string            `json:"telephone,omitempty"`
}

// Validate checks every member; a desk that is not always open must say when it is.
func (b DeskBody) Validate() error {
	switch {
	case len(b.Names) == 0 || len(b.Names) > maxNames:
		return envelope.Refuse("names", "are none or over %d", maxNames)
	case len(b.Hours) > maxHours:
		return envelope.Refuse("hours", "are over %d", maxHours)
	case len(b.Hours) == 0 && !b.Always:
		return envelope.Refuse("hours", "are missing")
	case !KnownZone(b.Zone):
		return envelope.Refuse("zone", "%.40q is not a time zone", b.Zone)
	case len(b.Languages) == 0 || len(b.Languages) > maxLanguages:
		return envelope.Refuse("languages", "are none or over %d", maxLanguages)
	case len(b.Substitutes) > maxSubstitutes:
		return envelope.Refuse("substitutes", "are over %d", maxSubstitutes)
	case b.Mail != "" && !mailPattern.MatchString(b.Mail):
		return envelope.Refuse("mail", "is not a mail address")
	case b.Telephone != "" && !phonePattern.MatchString(b.Telephone):
		return envelope.Refuse("telephone", "is not a telephone number")
	}
	for tag, name := range b.Names {
		if err := envelope.Within("names", CheckLanguage(tag)); err != nil {
			return err
		}
		if err := envelope.Within("names/"+tag, CheckLine(name, maxName)); err != nil {
			return err
		}
	}
	for i, h := range b.Hours {
		if err := envelope.Within(fmt.Sprintf("hours/%d", i), h.Validate()); err != nil {
			return err
		}
	}
	for i, tag := range b.Languages {
		if err := CheckLanguage(tag); err != nil || slices.Contains(b.Languages[:i], tag) {
			return envelope.Refuse(fmt.Sprintf("languages/%d", i), "is not a language tag, or stands twice")
		}
	}
	for i, s := range b.Substitutes {
		if _, err := envelope.ParseHash(s); err != nil && !slices.Contains(DeskRoles(), s) {
			return envelope.Refuse(fmt.Sprintf("substitutes/%d", i), "is neither a desk's id nor a role")
		}
	}
	return nil
}

// Hours is when a desk is open, on one day of the week or from one to another.
type Hours struct {
	Days string `json:"days"` // "mon-fri", "sat"
	From string `json:"from"` // "09:00"
	To   string `json:"to"`   // "18:00", at most "24:00"; after From: a night is two entries
}

// Validate checks days and times.
func (h Hours) Validate() error {
	switch {
	case !daysPattern.MatchString(h.Days):
		return envelope.Refuse("days", "%.20q is not a day of the week or two joined by a hyphen", h.Days)
	case !clockPattern.MatchString(h.From) || h.From == "24:00":
		return envelope.Refuse("from", "%.20q is not a time of day", h.From)
	case !clockPattern.MatchString(h.To):
		return envelope.Refuse("to", "%.20q is not a time of day", h.To)
	case h.From >= h.To: // both are HH:MM, so they compare as text
		return envelope.Refuse("to", "is not after from")
	}
	return nil
}

// DeskCountersignFace is the peer's countersignature: it makes the cited edition of the desk the active one.
type DeskCountersignFace struct {
	Desk Commitment `json:"desk"` // the desk.propose or desk.update that is countersigned
}

// Validate wants a desk.
func (f DeskCountersignFace) Validate() error {
	if f.Desk.IsZero() {
		return envelope.Refuse("desk", "is zero")
	}
	return nil
}

// DeskWithdrawFace ends a desk.
type DeskWithdrawFace struct {
	Reason string `json:"reason"` // one of WithdrawReasons
}

// Validate wants a known reason.
func (f DeskWithdrawFace) Validate() error {
	return oneOf("reason", f.Reason, WithdrawReasons()...)
}
