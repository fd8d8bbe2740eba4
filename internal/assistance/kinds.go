package assistance

import (
	"slices"
	"strings"

	"entente/statement"
)

// Status is the state of a request: what both sides show.
type Status string

// The statuses, in the order in which a request usually passes through them.
const (
	Delivered     Status = "delivered"     // the node has it; nobody has acknowledged it
	Acknowledged  Status = "acknowledged"  // a desk has it
	Clarification Status = "clarification" // a question waits for its answer
	Conditions    Status = "conditions"    // accepted, if the requesting party agrees to the conditions
	Ineffective   Status = "ineffective"   // preservation would not serve: go on, or withdraw?
	Accepted      Status = "accepted"
	Declined      Status = "declined"    // the conditions were declined
	Transmitted   Status = "transmitted" // another authority has it
	Postponed     Status = "postponed"
	Partial       Status = "partial" // answered in part
	Preserved     Status = "preserved"
	Answered      Status = "answered"
	Confirmed     Status = "confirmed" // the requesting party has the answer
	Refused       Status = "refused"
	Impossible    Status = "impossible"
	Contested     Status = "contested"
	Withdrawn     Status = "withdrawn"
	Released      Status = "released"
	Closed        Status = "closed"
)

// Kind is one row of the room's table: who may say it, when, and what it makes of the request. Its face and body are declared
// beside its name in package statement.
type Kind struct {
	Name  string
	By    Side
	When  []Status // nil: it opens the thread
	Only  string   // "preservation": only of such a request; "other": of every other; "": of any
	Cites []string // the kinds of the other party whose latest word it must cite
	Makes Status   // the status that it makes by itself, "" if none
	Waits bool     // the requesting party owes the next word
}

// Kinds returns the table, of every kind of edition 2026-2 that belongs to this room.
func Kinds() []Kind {
	open := []Status{Delivered, Acknowledged, Accepted, Transmitted, Postponed, Partial}
	waiting := []Status{Clarification, Conditions, Ineffective}
	with := func(sets ...[]Status) []Status { return slices.Concat(sets...) }
	again := []Status{Declined, Contested}
	answers := []string{"answer.partial", "answer.complete", "preservation.preserved"}
	var kinds []Kind
	for _, k := range statement.RequestKinds() {
		kinds = append(kinds, Kind{Name: k.Name, By: Requesting})
	}
	return append(kinds,
		Kind{Name: "request.acknowledge", By: Requested, When: []Status{Delivered}},
		Kind{Name: "decision.accept", By: Requested, When: with([]Status{Delivered, Acknowledged, Transmitted, Postponed, Refused, Impossible}, again), Makes: Accepted},
		Kind{Name: "decision.condition", By: Requested, When: with([]Status{Delivered, Acknowledged, Accepted, Transmitted, Postponed, Refused, Impossible}, again), Makes: Conditions, Waits: true},
		Kind{Name: "decision.transmit", By: Requested, When: with([]Status{Delivered, Acknowledged, Accepted, Postponed, Contested}, waiting), Makes: Transmitted},
		Kind{Name: "decision.postpone", By: Requested, When: []Status{Delivered, Acknowledged, Accepted, Transmitted, Partial, Contested}, Makes: Postponed},
		Kind{Name: "decision.refuse", By: Requested, When: with(open, waiting, again, []Status{Impossible}), Makes: Refused},
		Kind{Name: "decision.refuse_part", By: Requested, When: with(open, []Status{Preserved, Contested})},
		Kind{Name: "decision.impossible", By: Requested, When: with(open, waiting, again), Makes: Impossible},
		Kind{Name: "decision.delay", By: Requested, When: open},
		Kind{Name: "clarification.ask", By: Requested, When: with(open, []Status{Contested}), Waits: true},
		Kind{Name: "preservation.preserved", By: Requested, When: with(open, again, []Status{Preserved}), Only: "preservation", Makes: Preserved},
		Kind{Name: "preservation.path", By: Requested, When: with(open, waiting, []Status{Preserved, Contested}), Only: "preservation"},
		Kind{Name: "preservation.ineffective", By: Requested, When: with(open, []Status{Preserved}), Only: "preservation", Waits: true},
		Kind{Name: "status.update", By: Requested, When: with(open, waiting, again, []Status{Preserved, Answered, Confirmed, Refused, Impossible})},
		Kind{Name: "answer.partial", By: Requested, When: with(open, []Status{Contested}), Only: "other", Makes: Partial},
		Kind{Name: "answer.complete", By: Requested, When: with(open, waiting, again), Only: "other", Makes: Answered},

		Kind{Name: "clarification.answer", By: Requesting, When: []Status{Clarification}, Cites: []string{"clarification.ask"}},
		Kind{Name: "conditions.agree", By: Requesting, When: []Status{Conditions}, Cites: []string{"decision.condition"}},
		Kind{Name: "conditions.decline", By: Requesting, When: []Status{Conditions}, Cites: []string{"decision.condition"}},
		Kind{Name: "preservation.proceed", By: Requesting, When: []Status{Ineffective}, Only: "preservation", Cites: []string{"preservation.ineffective"}},
		Kind{Name: "preservation.extend", By: Requesting, When: []Status{Preserved}, Only: "preservation"},
		Kind{Name: "preservation.link", By: Requesting, When: with(open, waiting, []Status{Preserved}), Only: "preservation"},
		Kind{Name: "preservation.release", By: Requesting, When: with(open, waiting, []Status{Preserved}), Only: "preservation", Makes: Released},
		Kind{Name: "status.query", By: Requesting, When: with(open, again, []Status{Preserved})},
		Kind{Name: "request.correct", By: Requesting, When: with(open, waiting, []Status{Contested})},
		Kind{Name: "request.withdraw", By: Requesting, When: with(open, waiting, again), Makes: Withdrawn},
		Kind{Name: "request.contest", By: Requesting, When: []Status{Refused, Impossible, Postponed, Transmitted, Answered},
			Cites: []string{"decision.refuse", "decision.impossible", "decision.postpone", "decision.transmit", "answer.complete"}, Makes: Contested},
		Kind{Name: "answer.confirm", By: Requesting, When: []Status{Partial, Answered, Preserved}, Cites: answers, Makes: Confirmed},
		Kind{Name: "answer.feedback", By: Requesting, When: []Status{Partial, Answered, Confirmed, Preserved, Contested, Released, Closed}, Cites: answers},
		Kind{Name: "request.close", By: Requesting, When: with(again, []Status{Refused, Impossible, Answered, Confirmed}), Makes: Closed},
	)
}

// Table is the room's table by the names of kinds. It is made once, and nobody changes it.
type Table map[string]Kind

// NewTable makes the table of Kinds.
func NewTable() Table {
	t := Table{}
	for _, k := range Kinds() {
		t[k.Name] = k
	}
	return t
}

// Has says whether a kind belongs to this room.
func (table Table) Has(kind string) bool {
	_, ok := table[kind]
	return ok
}

// Decides says whether a kind is a decision on a request, or says what was done on it: more than an officer's word.
func (table Table) Decides(kind string) bool {
	k, ok := table[kind]
	return ok && (strings.HasPrefix(kind, "decision.") || k.By == Requested && k.Only == "preservation")
}
