// Package handling says what may go to whom: the markings that a statement
// carries and the decision whether it may leave.
//
// It knows four vocabularies, each an axis of its own that is never converted
// into another: TLP 2.0, PAP, the handling codes H0 to H3, and conditions
// (codes that a rule set gives a meaning). TLP and PAP labels are written as
// they stand here in every language; they are never translated.
//
// It promises that Decide is a pure function in which a missing fact is a no,
// that every no has a reason with a code and a sentence that says what to do,
// and that Strictest never loosens what it combines.
//
// It refuses free text in a marking, labels that it does not know, and policies
// that are unbounded or have rules that can never apply. It does not encrypt,
// licence or classify anything: a marking is a promise between people.
package handling

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"entente/envelope"
)

// The TLP 2.0 labels (FIRST, August 2022), from the least to the most strict.
const (
	TLPClear       = "CLEAR"        // no limit on disclosure
	TLPGreen       = "GREEN"        // the community, not the public
	TLPAmber       = "AMBER"        // need to know in the organisation and its clients
	TLPAmberStrict = "AMBER+STRICT" // need to know in the organisation only
	TLPRed         = "RED"          // the individual recipients only
)

// The PAP labels, from the least to the most strict.
const (
	PAPClear = "CLEAR" // no restriction
	PAPGreen = "GREEN" // active actions allowed
	PAPAmber = "AMBER" // passive cross-checks only
	PAPRed   = "RED"   // actions that cannot be detected only
)

// The handling codes. H3 says that there are other restrictions; their wording
// stands in the statement's body.
const (
	H0 = "H0" // only for preventing and combating crime
	H1 = "H1" // not in judicial proceedings without the provider's permission
	H2 = "H2" // not to be disseminated without the provider's permission
	H3 = "H3" // other restrictions
)

// ConditionOriginator is the condition that information is passed on only with
// the originator's consent (ORCON): with it, Decide asks for that consent even
// when the information is said to be our own.
const ConditionOriginator = "orcon"

// PurposeMixed stands where markings with different purposes were combined:
// each part may be used for its own purpose only.
const PurposeMixed = "mixed"

// MaxConditions is the largest number of conditions in one marking.
const MaxConditions = 16

var codePattern = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// TLPLabels returns the TLP labels, least strict first.
func TLPLabels() []string {
	return []string{TLPClear, TLPGreen, TLPAmber, TLPAmberStrict, TLPRed}
}

// PAPLabels returns the PAP labels, least strict first.
func PAPLabels() []string {
	return []string{PAPClear, PAPGreen, PAPAmber, PAPRed}
}

// HandlingCodes returns the handling codes in order. They are not a scale: each
// adds a restriction of its own.
func HandlingCodes() []string { return []string{H0, H1, H2, H3} }

// Marking stands in a statement's text: codes only. What the codes mean in
// words belongs into the body, where it can be erased.
type Marking struct {
	TLP        string   `json:"tlp"`                  // CLEAR GREEN AMBER AMBER+STRICT RED
	PAP        string   `json:"pap,omitempty"`        // CLEAR GREEN AMBER RED
	Handling   []string `json:"handling,omitempty"`   // H0 H1 H2 H3, each at most once
	Conditions []string `json:"conditions,omitempty"` // codes [a-z0-9_.-]{1,64}, at most 16, each at most once
	Purpose    string   `json:"purpose,omitempty"`    // a code, bound to the limits on use
}

// Validate refuses a marking without a TLP label, with a label or code that is
// not known, or with a list that is too long or says something twice. Labels
// are compared byte by byte: "red" and "TLP:RED" are refused here; ImportTLP
// reads them. Errors are *envelope.FormatError.
func (m Marking) Validate() error {
	if !slices.Contains(TLPLabels(), m.TLP) {
		return malformed("tlp", "%q is not a TLP 2.0 label", m.TLP)
	}
	if m.PAP != "" && !slices.Contains(PAPLabels(), m.PAP) {
		return malformed("pap", "%q is not a PAP label", m.PAP)
	}
	for i, h := range m.Handling {
		if !slices.Contains(HandlingCodes(), h) {
			return malformed("handling", "%q is not a handling code", h)
		}
		if slices.Contains(m.Handling[:i], h) {
			return malformed("handling", "%q is said twice", h)
		}
	}
	if len(m.Conditions) > MaxConditions {
		return malformed("conditions", "%d conditions, at most %d are allowed", len(m.Conditions), MaxConditions)
	}
	for i, c := range m.Conditions {
		if !codePattern.MatchString(c) {
			return malformed("conditions", "%q is not a code", c)
		}
		if slices.Contains(m.Conditions[:i], c) {
			return malformed("conditions", "%q is said twice", c)
		}
	}
	if m.Purpose != "" && !codePattern.MatchString(m.Purpose) {
		return malformed("purpose", "%q is not a code", m.Purpose)
	}
	return nil
}

// Covers says whether m is at least as strict as other on every axis: a
// container marked m may hold a part marked other. A label that is not known
// counts as the strictest.
func (m Marking) Covers(other Marking) bool {
	return rank(TLPLabels(), m.TLP) >= rank(TLPLabels(), other.TLP) &&
		papRank(m.PAP) >= papRank(other.PAP) &&
		containsAll(m.Handling, other.Handling) &&
		containsAll(m.Conditions, other.Conditions) &&
		(other.Purpose == "" || m.Purpose == other.Purpose || m.Purpose == PurposeMixed)
}

// Strictest combines markings for a container: the strictest of each axis wins.
// Handling codes and conditions add up, sorted; different purposes become
// PurposeMixed. A label that is not known, an empty TLP among them, becomes RED.
//
// It is commutative, associative and idempotent, and the result Covers each of
// ms. Conditions are never dropped: a result with more than MaxConditions does
// not validate, and the container has to be split. With no markings at all
// there is nothing to protect, and the result is TLP:CLEAR.
func Strictest(ms ...Marking) Marking {
	var tlp, pap int
	var out Marking
	for _, m := range ms {
		tlp = max(tlp, rank(TLPLabels(), m.TLP))
		pap = max(pap, papRank(m.PAP))
		out.Handling = append(out.Handling, m.Handling...)
		out.Conditions = append(out.Conditions, m.Conditions...)
		switch {
		case out.Purpose == "":
			out.Purpose = m.Purpose
		case m.Purpose != "" && m.Purpose != out.Purpose:
			out.Purpose = PurposeMixed
		}
	}
	out.TLP = TLPLabels()[tlp]
	if pap > 0 {
		out.PAP = PAPLabels()[pap-1]
	}
	out.Handling = sortedSet(out.Handling)
	out.Conditions = sortedSet(out.Conditions)
	return out
}

// ImportTLP reads a TLP label as other software writes it: in any case, with or
// without the prefix "TLP:", and WHITE of TLP 1.0, which is CLEAR. Anything else
// is refused, EX:CHR among it, which is no TLP label. The error is an
// *envelope.FormatError.
func ImportTLP(s string) (string, error) {
	return importLabel("tlp", "TLP:", TLPLabels(), s)
}

// ImportPAP reads a PAP label in the same way; WHITE is CLEAR.
func ImportPAP(s string) (string, error) {
	return importLabel("pap", "PAP:", PAPLabels(), s)
}

func importLabel(axis, prefix string, labels []string, s string) (string, error) {
	if len(s) > 32 {
		return "", malformed(axis, "a label of %d bytes", len(s))
	}
	label := strings.TrimPrefix(strings.ToUpper(s), prefix)
	if label == "WHITE" {
		return labels[0], nil
	}
	if !slices.Contains(labels, label) {
		return "", malformed(axis, "%q cannot be read as a label", s)
	}
	return label, nil
}

// rank is the place of a label on its scale; the strictest if it is not known.
func rank(labels []string, label string) int {
	if i := slices.Index(labels, label); i >= 0 {
		return i
	}
	return len(labels) - 1
}

// papRank is 0 if nothing is said, otherwise from 1.
func papRank(label string) int {
	if label == "" {
		return 0
	}
	return 1 + rank(PAPLabels(), label)
}

func containsAll(set, part []string) bool {
	for _, p := range part {
		if !slices.Contains(set, p) {
			return false
		}
	}
	return true
}

// sortedSet sorts and removes doubles; nil if nothing is left.
func sortedSet(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	slices.Sort(s)
	return slices.Compact(s)
}

func malformed(where, format string, args ...any) error {
	return &envelope.FormatError{What: fmt.Sprintf(format, args...), Where: "/" + where}
}
