package handling

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The channels on which a statement can travel.
const (
	ChannelHTTPS   = "https"
	ChannelCourier = "courier" // a file, carried by a person
	ChannelOneway  = "oneway"
	ChannelMail    = "mail"
)

// Who must release a statement before it goes, from the least to the most strict.
const (
	ReleaseNone             = "none"              // whoever wrote it may send it
	ReleaseSecondPerson     = "second_person"     // anyone else who may release
	ReleaseReleasingOfficer = "releasing_officer" // a releasing officer who did not write it
)

// Limits of a policy.
const (
	MaxReleaseRules = 64
	MaxRuleKinds    = 64
)

var kindPattern = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?$`)

// Channels returns the channels that a policy can name.
func Channels() []string {
	return []string{ChannelHTTPS, ChannelCourier, ChannelOneway, ChannelMail}
}

// Policy is the part of a rule set that decides what may leave. What it does
// not allow is refused: a channel that MaxTLP does not name carries nothing,
// and a statement that no release rule matches needs a releasing officer.
type Policy struct {
	MaxTLP  map[string]string `json:"max_tlp"` // by channel: the strictest TLP that may travel on it
	Release []ReleaseRule     `json:"release"` // who must release which kinds; first match wins
}

// ReleaseRule applies to a statement whose kind one of Kinds matches and, if TLP
// is given, whose label is among TLP.
type ReleaseRule struct {
	Kinds []string `json:"kinds"`         // names, or a prefix ending in ".*", or "*"
	TLP   []string `json:"tlp,omitempty"` // labels; empty means all
	Need  string   `json:"need"`          // none | second_person | releasing_officer
}

// DefaultPolicy is that of the default rule set. HTTPS carries every label;
// courier files and oneway links up to AMBER+STRICT, since nobody can be asked
// on the way; encrypted mail up to AMBER, since it rests with strangers. (Mail
// that is not encrypted ends at GREEN whatever a policy says: see Decide.)
// AMBER+STRICT and RED need a second person; everything else, a plain message
// among it, goes when its author sends it.
func DefaultPolicy() Policy {
	return Policy{
		MaxTLP: map[string]string{
			ChannelHTTPS:   TLPRed,
			ChannelCourier: TLPAmberStrict,
			ChannelOneway:  TLPAmberStrict,
			ChannelMail:    TLPAmber,
		},
		Release: []ReleaseRule{
			{Kinds: []string{"*"}, TLP: []string{TLPAmberStrict, TLPRed}, Need: ReleaseSecondPerson},
			{Kinds: []string{"*"}, Need: ReleaseNone},
		},
	}
}

// Validate refuses channels, labels, kinds and needs that are not known, lists
// that are empty, too long or say something twice, and rules behind one that
// already matches everything, because their author meant something else.
// Errors are *envelope.FormatError.
func (p Policy) Validate() error {
	for _, channel := range sortedKeys(p.MaxTLP) {
		if !slices.Contains(Channels(), channel) {
			return malformed("max_tlp", "%q is not a channel", channel)
		}
		if !slices.Contains(TLPLabels(), p.MaxTLP[channel]) {
			return malformed("max_tlp/"+channel, "%q is not a TLP 2.0 label", p.MaxTLP[channel])
		}
	}
	if len(p.Release) > MaxReleaseRules {
		return malformed("release", "%d rules, at most %d are allowed", len(p.Release), MaxReleaseRules)
	}
	for i, rule := range p.Release {
		where := fmt.Sprintf("release/%d", i)
		if err := rule.validate(where); err != nil {
			return err
		}
		if i > 0 && p.Release[i-1].matchesAll() {
			return malformed(where, "the rule before it matches everything")
		}
	}
	return nil
}

func (r ReleaseRule) validate(where string) error {
	if len(r.Kinds) == 0 || len(r.Kinds) > MaxRuleKinds {
		return malformed(where+"/kinds", "%d kinds, 1 to %d are allowed", len(r.Kinds), MaxRuleKinds)
	}
	for i, kind := range r.Kinds {
		if kind != "*" && (len(kind) > 64 || !kindPattern.MatchString(kind)) {
			return malformed(where+"/kinds", "%q is neither a kind, nor a prefix ending in \".*\", nor \"*\"", kind)
		}
		if slices.Contains(r.Kinds[:i], kind) {
			return malformed(where+"/kinds", "%q is said twice", kind)
		}
	}
	for i, label := range r.TLP {
		if !slices.Contains(TLPLabels(), label) {
			return malformed(where+"/tlp", "%q is not a TLP 2.0 label", label)
		}
		if slices.Contains(r.TLP[:i], label) {
			return malformed(where+"/tlp", "%q is said twice", label)
		}
	}
	switch r.Need {
	case ReleaseNone, ReleaseSecondPerson, ReleaseReleasingOfficer:
		return nil
	}
	return malformed(where+"/need", "%q is not a way of release", r.Need)
}

func (r ReleaseRule) matchesAll() bool {
	return len(r.TLP) == 0 && slices.Contains(r.Kinds, "*")
}

func (r ReleaseRule) matches(kind, tlp string) bool {
	if len(r.TLP) > 0 && !slices.Contains(r.TLP, tlp) {
		return false
	}
	return slices.ContainsFunc(r.Kinds, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(kind, prefix)
		}
		return kind == pattern
	})
}

// release says who must release a statement of this kind and label.
func (p Policy) release(kind, tlp string) string {
	for _, rule := range p.Release {
		if rule.matches(kind, tlp) {
			return rule.Need
		}
	}
	return ReleaseReleasingOfficer
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
