package statement

import (
	"fmt"
	"slices"
	"time"

	"entente/envelope"
	"entente/handling"
)

const (
	// MaxRules bounds an encoded rule set.
	MaxRules = 64 << 10

	maxDeadlines  = 256
	maxCalendars  = 4
	maxHolidays   = 400 // dates of one party
	maxRetentions = 128
	maxAmount     = 100_000 // of a deadline's unit
	maxRetainDays = 36_500
)

// Rules is the rule set: one type for all that clocks, release and folds obey. A thread keeps the rule set of its first
// statement, named by Edition; both nodes keep every one that they ever agreed to.
type Rules struct {
	V                 int                 `json:"v"`     // 1
	Kinds             string              `json:"kinds"` // edition of kinds
	Schemas           string              `json:"schemas"`
	Folds             string              `json:"folds"`
	Measures          string              `json:"measures"`
	Zones             string              `json:"zones"` // edition of the time-zone data that clocks count by
	Policy            handling.Policy     `json:"policy"`
	Deadlines         []Deadline          `json:"deadlines"`
	Holidays          map[string][]string `json:"holidays"` // party id → dates YYYY-MM-DD, ascending
	Retention         []Retention         `json:"retention"`
	Officer           string              `json:"officer"`                      // what crosses of the releasing officer: name | role | nothing
	OfficerSignatures []string            `json:"officer_signatures,omitempty"` // kinds whose texts officers must sign
}

// Deadline is how long a step may take, counted from the receipt.
type Deadline struct {
	Step    string `json:"step"`    // code: receipt, ack, decide, answer, countersign, clarify, escalate, ring
	Kind    string `json:"kind"`    // kind, or "*"
	Urgency string `json:"urgency"` // emergency | urgent | routine
	Amount  int    `json:"amount"`
	Unit    string `json:"unit"` // minutes | hours | days | working_days
}

// Retention is how long bodies and files of a kind are kept after the last word in their thread.
type Retention struct {
	Kind string `json:"kind"` // kind, or "*"
	Days int    `json:"days"`
}

// Retain finds for how many days bodies and files of a kind are kept: the entry of the kind itself before that of every
// kind. Without one they are kept until somebody orders otherwise.
func (r Rules) Retain(kind string) (days int, ok bool) {
	for _, name := range []string{kind, "*"} {
		for _, k := range r.Retention {
			if k.Kind == name {
				return k.Days, true
			}
		}
	}
	return 0, false
}

// DefaultRules is the rule set that a new link starts from.
func DefaultRules() Rules {
	return Rules{
		V: 1, Kinds: KindsEdition, Schemas: "2026-1", Folds: "2026-1", Measures: "2026-1", Zones: ZonesEdition,
		Policy:    handling.DefaultPolicy(),
		Deadlines: defaultDeadlines(),
		Holidays:  map[string][]string{},
		Retention: []Retention{{Kind: "test", Days: 30}, {Kind: "*", Days: 1825}},
		Officer:   "role",
	}
}

// defaultDeadlines: the acknowledgement stays under the 7 days of the European Investigation Order, article 16; the answer
// follows Directive (EU) 2023/977, article 5. Kinds that have deadlines of their own bring them with their edition.
func defaultDeadlines() []Deadline {
	row := func(step, kind, urgency string, amount int, unit string) Deadline {
		return Deadline{Step: step, Kind: kind, Urgency: urgency, Amount: amount, Unit: unit}
	}
	return []Deadline{
		row("receipt", "*", "emergency", 5, "minutes"), row("receipt", "*", "urgent", 5, "minutes"), row("receipt", "*", "routine", 5, "minutes"),
		row("ack", "*", "emergency", 30, "minutes"), row("ack", "*", "urgent", 8, "hours"), row("ack", "*", "routine", 24, "hours"),
		row("answer", "*", "emergency", 4, "hours"), row("answer", "*", "urgent", 3, "days"), row("answer", "*", "routine", 7, "days"),
		row("countersign", "desk.propose", "emergency", 24, "hours"), row("countersign", "desk.propose", "urgent", 24, "hours"),
		row("countersign", "desk.propose", "routine", 24, "hours"),
		row("countersign", "desk.update", "emergency", 24, "hours"), row("countersign", "desk.update", "urgent", 24, "hours"),
		row("countersign", "desk.update", "routine", 24, "hours"),
		row("clarify", "*", "emergency", 4, "hours"), row("clarify", "*", "urgent", 3, "days"), row("clarify", "*", "routine", 14, "days"),
		row("escalate", "*", "emergency", 0, "minutes"), row("escalate", "*", "urgent", 1, "working_days"),
		row("escalate", "*", "routine", 5, "working_days"),
		// Requests. A decision on preservation follows Directive 2014/41/EU, article 32; an answer to an emergency, and the times
		// of subscriber information and traffic data, the Second Additional Protocol: 45 days to serve, and 20 or 45 to answer.
		row("decide", "preservation.request", "emergency", 4, "hours"), row("decide", "preservation.request", "urgent", 24, "hours"),
		row("decide", "preservation.request", "routine", 24, "hours"),
		row("decide", "emergency.request", "emergency", 4, "hours"), row("answer", "emergency.request", "emergency", 8, "hours"),
		row("answer", "mitigation.request", "urgent", 24, "hours"), row("answer", "mitigation.request", "routine", 24, "hours"),
		row("decide", "mla.subscriber", "urgent", 30, "days"), row("decide", "mla.subscriber", "routine", 30, "days"),
		row("answer", "mla.subscriber", "urgent", 65, "days"), row("answer", "mla.subscriber", "routine", 65, "days"),
		row("decide", "mla.traffic", "urgent", 30, "days"), row("decide", "mla.traffic", "routine", 30, "days"),
		row("answer", "mla.traffic", "urgent", 90, "days"), row("answer", "mla.traffic", "routine", 90, "days"),
		row("decide", "mla.content", "urgent", 30, "days"), row("decide", "mla.content", "routine", 30, "days"),
		row("answer", "mla.content", "urgent", 90, "days"), row("answer", "mla.content", "routine", 90, "days"),
		row("decide", "mla.other", "urgent", 30, "days"), row("decide", "mla.other", "routine", 30, "days"),
		row("answer", "mla.other", "urgent", 90, "days"), row("answer", "mla.other", "routine", 90, "days"),
		// The hotline: a person answers, and every so often the next desk of the roster is rung too.
		row("ack", "hotline.call", "emergency", 15, "minutes"), row("ack", "hotline.call", "urgent", 30, "minutes"),
		row("ack", "hotline.call", "routine", 60, "minutes"), row("ring", "hotline.call", "emergency", 3, "minutes"),
		row("ring", "hotline.call", "urgent", 5, "minutes"), row("ring", "hotline.call", "routine", 10, "minutes"),
	}
}

// Deadline finds the deadline of a step: that of the kind itself before that of every kind.
func (r Rules) Deadline(step, kind, urgency string) (Deadline, bool) {
	for _, name := range []string{kind, "*"} {
		for _, d := range r.Deadlines {
			if d.Step == step && d.Kind == name && d.Urgency == urgency {
				return d, true
			}
		}
	}
	return Deadline{}, false
}

// Toward is the rule set with another edition of kinds: with the usual deadlines of the kinds that this one did not have, and without
// what it says of kinds that the other does not have.
func (r Rules) Toward(edition string) (Rules, error) {
	if _, ok := Kinds(edition); !ok {
		return r, envelope.Refuse("kinds", "edition %.40q is not known here", edition)
	}
	has := func(edition, kind string) bool {
		_, ok := LookUp(edition, kind)
		return ok || kind == "*"
	}
	before := r.Kinds
	r.Kinds = edition
	r.Deadlines = slices.DeleteFunc(slices.Clone(r.Deadlines), func(d Deadline) bool { return !has(edition, d.Kind) })
	for _, d := range defaultDeadlines() {
		if !has(before, d.Kind) && has(edition, d.Kind) {
			r.Deadlines = append(r.Deadlines, d)
		}
	}
	r.Retention = slices.DeleteFunc(slices.Clone(r.Retention), func(k Retention) bool { return !has(edition, k.Kind) })
	if r.OfficerSignatures != nil {
		r.OfficerSignatures = slices.DeleteFunc(slices.Clone(r.OfficerSignatures), func(kind string) bool { return !has(edition, kind) })
	}
	return r, r.Validate()
}

// Encode validates r and returns its bytes. Equal rule sets have equal bytes.
func (r Rules) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(r.settled())
	if err != nil {
		return nil, err
	}
	if len(data) > MaxRules {
		return nil, envelope.Refuse("rules", "are over %d bytes", MaxRules)
	}
	return data, nil
}

// settled makes absent and empty lists the same, since both mean none.
func (r Rules) settled() Rules {
	if r.Holidays == nil {
		r.Holidays = map[string][]string{}
	}
	return r
}

// Edition names the rule set: the hash of its encoding, and the zero hash if it is not valid.
func (r Rules) Edition() envelope.Hash {
	data, err := r.Encode()
	if err != nil {
		return envelope.Hash{}
	}
	return envelope.Sum(data)
}

// Validate refuses what this build could not obey: an edition of kinds or zones that it does not know, a kind that the edition
// does not have, a step that has two deadlines.
func (r Rules) Validate() error {
	if r.V != 1 {
		return envelope.Refuse("v", "is %d, not 1", r.V)
	}
	if _, ok := Kinds(r.Kinds); !ok {
		return envelope.Refuse("kinds", "edition %.40q is not known here", r.Kinds)
	}
	if r.Zones != ZonesEdition {
		return envelope.Refuse("zones", "edition %.40q is not known here", r.Zones)
	}
	for _, e := range [][2]string{{"schemas", r.Schemas}, {"folds", r.Folds}, {"measures", r.Measures}} {
		if !editionPattern.MatchString(e[1]) {
			return envelope.Refuse(e[0], "%.40q is not an edition", e[1])
		}
	}
	if err := oneOf("officer", r.Officer, "name", "role", "nothing"); err != nil {
		return err
	}
	if err := envelope.Within("policy", r.Policy.Validate()); err != nil {
		return err
	}
	if err := r.checkDeadlines(); err != nil {
		return err
	}
	if err := r.checkHolidays(); err != nil {
		return err
	}
	return r.checkKinds()
}

func (r Rules) checkDeadlines() error {
	if len(r.Deadlines) > maxDeadlines {
		return envelope.Refuse("deadlines", "are over %d", maxDeadlines)
	}
	type step struct{ step, kind, urgency string }
	seen := make(map[step]bool, len(r.Deadlines))
	for i, d := range r.Deadlines {
		where := fmt.Sprintf("deadlines/%d", i)
		if err := envelope.Within(where, r.checkDeadline(d)); err != nil {
			return err
		}
		if seen[step{d.Step, d.Kind, d.Urgency}] {
			return envelope.Refuse(where, "is the second for its step")
		}
		seen[step{d.Step, d.Kind, d.Urgency}] = true
	}
	return nil
}

func (r Rules) checkDeadline(d Deadline) error {
	if err := oneOf("urgency", d.Urgency, Urgencies()...); err != nil {
		return err
	}
	if err := oneOf("unit", d.Unit, "minutes", "hours", "days", "working_days"); err != nil {
		return err
	}
	switch {
	case !codePattern.MatchString(d.Step):
		return envelope.Refuse("step", "%.40q is not a code", d.Step)
	case d.Amount < 0 || d.Amount > maxAmount:
		return envelope.Refuse("amount", "is not within 0 to %d", maxAmount)
	}
	return r.checkKind(d.Kind)
}

func (r Rules) checkHolidays() error {
	if len(r.Holidays) > maxCalendars {
		return envelope.Refuse("holidays", "are of over %d parties", maxCalendars)
	}
	for id, dates := range r.Holidays {
		if _, err := envelope.ParseHash(id); err != nil {
			return envelope.Within("holidays", err)
		}
		if len(dates) > maxHolidays {
			return envelope.Refuse("holidays/"+id, "are over %d", maxHolidays)
		}
		for i, date := range dates {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				return envelope.Refuse("holidays/"+id, "%.20q is not a date", date)
			}
			if i > 0 && dates[i-1] >= date {
				return envelope.Refuse("holidays/"+id, "are not ascending")
			}
		}
	}
	return nil
}

func (r Rules) checkKinds() error {
	if len(r.Retention) > maxRetentions {
		return envelope.Refuse("retention", "has over %d entries", maxRetentions)
	}
	for i, k := range r.Retention {
		where := fmt.Sprintf("retention/%d", i)
		if k.Days < 1 || k.Days > maxRetainDays {
			return envelope.Refuse(where, "is not within 1 to %d days", maxRetainDays)
		}
		if err := envelope.Within(where, r.checkKind(k.Kind)); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Retention[:i], func(o Retention) bool { return o.Kind == k.Kind }) {
			return envelope.Refuse(where, "is the second for its kind")
		}
	}
	for i, name := range r.OfficerSignatures {
		if _, ok := LookUp(r.Kinds, name); !ok || slices.Contains(r.OfficerSignatures[:i], name) {
			return envelope.Refuse("officer_signatures", "%.40q is not a kind of the edition, or stands twice", name)
		}
	}
	return nil
}

func (r Rules) checkKind(name string) error {
	if name == "*" {
		return nil
	}
	if _, ok := LookUp(r.Kinds, name); !ok {
		return envelope.Refuse("kind", "%.40q is not a kind of edition %s", name, r.Kinds)
	}
	return nil
}
