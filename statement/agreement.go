package statement

import (
	"bytes"
	"regexp"
	"slices"

	"entente/envelope"
)

// MaxAgreement bounds an encoded agreement.
const MaxAgreement = 80 << 10

const (
	maxSuites  = 4
	maxPending = 1 << 20
	maxExpiry  = 366 * 24 * 3600 // seconds
)

var suitePattern = regexp.MustCompile(`^[A-Z]{2,8}-[0-9]{1,3}$`)

// Agreement is the link agreement that both parties sign, by link.confirm or link.agree.
type Agreement struct {
	V        int      `json:"v"`      // 1
	Suites   []string `json:"suites"` // innermost layer first
	Modes    []string `json:"modes"`  // of Modes
	Limits   Limits   `json:"limits"`
	Rules    Rules    `json:"rules"`
	Exercise bool     `json:"exercise"` // an exercise has a link of its own
}

// Limits bound what a link carries.
type Limits struct {
	FileBytes int64 `json:"file_bytes"` // largest file
	Pending   int   `json:"pending"`    // statements not yet receipted, per lane
	Expiry    int64 `json:"expiry"`     // seconds that a parcel may stay undelivered
}

// ModeOneway is the mode of a link that carries what its inviter says, and nothing back. It stands alone.
const ModeOneway = "oneway"

// Modes returns the ways in which a link may carry parcels.
func Modes() []string { return []string{"https", "courier", ModeOneway, "mail"} }

// Oneway says whether the link carries nothing back.
func (a Agreement) Oneway() bool { return slices.Contains(a.Modes, ModeOneway) }

// DefaultAgreement is what an inviter proposes unless told otherwise: the default suite, HTTPS and courier, files up to 16 GiB,
// 1,024 statements pending, 30 days until a parcel expires.
func DefaultAgreement() Agreement {
	return Agreement{
		V: 1, Suites: []string{envelope.SuiteINT1}, Modes: []string{"https", "courier"},
		Limits: Limits{FileBytes: 16 << 30, Pending: 1024, Expiry: 30 * 24 * 3600},
		Rules:  DefaultRules(),
	}
}

// Validate checks every member, and the rule set. Whether a suite is known is asked of a registry, not here.
func (a Agreement) Validate() error {
	switch {
	case a.V != 1:
		return envelope.Refuse("v", "is %d, not 1", a.V)
	case len(a.Suites) == 0 || len(a.Suites) > maxSuites:
		return envelope.Refuse("suites", "are none or over %d", maxSuites)
	case len(a.Modes) == 0:
		return envelope.Refuse("modes", "are none")
	case a.Limits.FileBytes < 0 || a.Limits.FileBytes > MaxFileSize:
		return envelope.Refuse("limits/file_bytes", "is not within 0 to %d", int64(MaxFileSize))
	case a.Limits.Pending < 1 || a.Limits.Pending > maxPending:
		return envelope.Refuse("limits/pending", "is not within 1 to %d", maxPending)
	case a.Limits.Expiry < 60 || a.Limits.Expiry > maxExpiry:
		return envelope.Refuse("limits/expiry", "is not within 60 to %d seconds", maxExpiry)
	}
	for i, s := range a.Suites {
		if !suitePattern.MatchString(s) || slices.Contains(a.Suites[:i], s) {
			return envelope.Refuse("suites", "%.40q is not a suite's name, or stands twice", s)
		}
	}
	for i, m := range a.Modes {
		if err := oneOf("modes", m, Modes()...); err != nil {
			return err
		}
		if slices.Contains(a.Modes[:i], m) {
			return envelope.Refuse("modes", "%s stands twice", m)
		}
		if m == ModeOneway && len(a.Modes) > 1 {
			return envelope.Refuse("modes", "oneway stands beside another")
		}
	}
	return envelope.Within("rules", a.Rules.Validate())
}

// Encode validates a and returns its bytes. Equal agreements have equal bytes.
func (a Agreement) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	a.Rules = a.Rules.settled()
	data, err := envelope.Marshal(a)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxAgreement {
		return nil, envelope.Refuse("agreement", "is over %d bytes", MaxAgreement)
	}
	return data, nil
}

// DecodeAgreement decodes strictly, validates, and takes the one encoding that Encode gives: what both sign must not have two
// hashes.
func DecodeAgreement(data []byte) (*Agreement, error) {
	if len(data) > MaxAgreement {
		return nil, envelope.Refuse("agreement", "is over %d bytes", MaxAgreement)
	}
	var a Agreement
	if err := envelope.Unmarshal(data, &a); err != nil {
		return nil, err
	}
	again, err := a.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, envelope.Refuse("agreement", "is not in its only encoding")
	}
	return &a, nil
}

// Hash names the agreement: the hash of its encoding, and the zero hash if it is not valid.
func (a Agreement) Hash() envelope.Hash {
	data, err := a.Encode()
	if err != nil {
		return envelope.Hash{}
	}
	return envelope.Sum(data)
}
