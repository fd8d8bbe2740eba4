package assistance

import (
	"fmt"
	"slices"
	"time"

	"entente/party"
	"entente/statement"
)

// The steps that clocks run for.
const (
	StepAck     = "ack"     // acknowledge the request
	StepDecide  = "decide"  // decide, also on an extension
	StepAnswer  = "answer"  // answer, or report that the data are preserved
	StepClarify = "clarify" // answer a question, or say yes or no to conditions
	StepExpiry  = "expiry"  // what is preserved is released unless it is extended or a request follows
)

// Terms are what clocks count by: the rule set of the request's thread, the party that is asked, and the zones of its edition.
type Terms struct {
	Rules     statement.Rules
	Requested party.ID
	Zone      func(name string) (*time.Location, error)
}

// Clock is one clock that runs, in UTC microseconds.
type Clock struct {
	Step     string
	By       Side
	From, At int64
	Escalate int64 // when it may be escalated
}

// Clocks are those that run, in the order of their instants. They are a pure function of both columns: every clock counts from
// a receipt of the party that owes the word, so both parties have the same instants, however far apart their clocks are. Without a
// receipt, as at the author of a request on a oneway link, none runs.
func Clocks(requesting, requested Column, by Terms) ([]Clock, error) {
	r := requesting.Request
	if r == nil || r.At == 0 {
		return nil, nil
	}
	cal, err := by.calendar(*r)
	if err != nil {
		return nil, err
	}
	status := StatusOf(requesting, requested)
	var clocks []Clock
	run := func(step string, side Side, from, pause, floor int64) {
		if d, ok := by.Rules.Deadline(step, r.Kind, r.Urgency); ok {
			at := max(cal.deadline(from, d, pause), floor)
			clocks = append(clocks, Clock{Step: step, By: side, From: from, At: at, Escalate: by.escalate(cal, *r, at)})
		}
	}
	switch status {
	case Delivered:
		if len(requested.Said) == 0 {
			run(StepAck, Requested, r.At, 0, 0)
		}
		run(StepDecide, Requested, r.At, requesting.Paused, 0)
		run(StepAnswer, Requested, r.At, requesting.Paused, 0)
	case Acknowledged:
		run(StepDecide, Requested, r.At, requesting.Paused, 0)
		run(StepAnswer, Requested, r.At, requesting.Paused, 0)
	case Accepted, Transmitted, Partial:
		run(StepAnswer, Requested, r.At, requesting.Paused, 0)
	case Postponed:
		run(StepAnswer, Requested, r.At, requesting.Paused, requested.Said["decision.postpone"].Until)
	case Clarification, Conditions, Ineffective:
		run(StepClarify, Requesting, openWait(requesting, requested).At, 0, 0)
	case Preserved:
		held := requested.Said["preservation.preserved"]
		if asked := requesting.Said["preservation.extend"]; asked.Until > held.Until && asked.At > requested.Said["decision.refuse_part"].Authored { // both by the requested party's clock
			run(StepDecide, Requested, asked.At, 0, 0)
		}
		if _, linked := requesting.Said["preservation.link"]; !linked {
			clocks = append(clocks, Clock{Step: StepExpiry, By: Requesting, From: held.At, At: held.Until, Escalate: held.Until})
		}
	}
	slices.SortStableFunc(clocks, func(a, b Clock) int { return int(min(max(a.At-b.At, -1), 1)) })
	return clocks, nil
}

func (t Terms) calendar(r Request) (calendar, error) {
	zone, err := t.Zone(r.Days)
	if err != nil {
		return calendar{}, fmt.Errorf("counting days: %w", err)
	}
	holidays := map[string]bool{}
	for _, day := range t.Rules.Holidays[t.Requested.String()] {
		holidays[day] = true
	}
	return calendar{zone, holidays, r.Always}, nil
}

// deadline is the instant of a deadline that was put off by a pause.
func (c calendar) deadline(from int64, d statement.Deadline, pause int64) int64 {
	start := time.UnixMicro(from)
	wait := time.Duration(pause) * time.Microsecond
	amount := time.Duration(d.Amount)
	switch d.Unit {
	case "minutes":
		return start.Add(amount*time.Minute + wait).UnixMicro()
	case "hours":
		return start.Add(amount*time.Hour + wait).UnixMicro()
	case "working_days":
		return c.settle(c.add(start, d.Amount, true).Add(wait)).UnixMicro()
	}
	return c.add(start, d.Amount, false).Add(wait).UnixMicro()
}

// escalate is when a clock that ran out may be escalated; the end of time where the rules have no such step.
func (t Terms) escalate(c calendar, r Request, at int64) int64 {
	d, ok := t.Rules.Deadline("escalate", r.Kind, r.Urgency)
	if !ok {
		return statement.MaxInteger
	}
	return c.deadline(at, d, 0)
}

// Reminder is the last reminder that is due of a clock: 50, 80 or 100 per cent of its time, 0 before the first. The first is
// for emergencies alone.
func Reminder(urgency string, from, at, now int64) int {
	reached := 0
	for _, percent := range []int64{50, 80, 100} {
		if percent == 50 && urgency != "emergency" {
			continue
		}
		if now-from >= (at-from)/100*percent {
			reached = int(percent)
		}
	}
	return reached
}

// Expired says whether data that were preserved are so no more at an instant, unless the requested party kept them of itself:
// a request for mutual assistance keeps them until it is decided.
func Expired(requesting, requested Column, at int64) bool {
	_, linked := requesting.Said["preservation.link"]
	return StatusOf(requesting, requested) == Preserved && !linked && at > requested.Said["preservation.preserved"].Until
}
