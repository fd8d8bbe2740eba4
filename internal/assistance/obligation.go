package assistance

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// The duties that follow from what was said of a request. The conditions of a decision (statement.ReplyKinds) are duties by their
// own names.
const (
	DutyPreserve     = "preserve"      // the requested party keeps the data: Budapest Convention, article 29(7)
	DutyConfidential = "confidential"  // the fact of the request, article 27(8); as a condition, what was provided
	DutyDoNotNotify  = "do_not_notify" // the victim must not be told yet
	DutyReportUse    = "report_use"    // explain the use made, article 28(4)
	DutyDelete       = "delete"        // body and files of the whole thread, by the rule set's retention
)

// Duties returns all of them, in the order of the specification.
func Duties() []string {
	return []string{DutyPreserve, DutyConfidential, DutyDoNotNotify, "stated_use_only", "no_court", "no_onward", DutyReportUse, "other", DutyDelete}
}

// ObligationState is how an obligation stands by what was said of it; that its time is over is a matter of the clock.
type ObligationState string

// The states.
const (
	Owed  ObligationState = "owed"
	Done  ObligationState = "done"  // who owed it said so
	Ended ObligationState = "ended" // it is owed no longer
)

// Obligation is one duty of one party. It is folded from what was said, made again by a rebuild, and ends with neither the request
// nor the link.
type Obligation struct {
	Link   statement.LinkID
	Thread statement.Commitment // of the request
	Source statement.Commitment // what made it: the request, or the conditions that were agreed to
	Duty   string
	By     party.ID // who owes it
	Since  int64
	Until  int64 // 0: without end
	State  ObligationState
	Proof  string // the statement by which it was done or ended, "" while it is owed
	Formal string // the first statement of the request for mutual assistance for which data are kept, "" if none was named
}

// Compare orders obligations of one thread: by their source, duty and party.
func (o Obligation) Compare(other Obligation) int {
	return cmp.Or(slices.Compare(o.Source[:], other.Source[:]), strings.Compare(o.Duty, other.Duty), slices.Compare(o.By[:], other.By[:]))
}

// Bond is a set of conditions that the requesting party has agreed to.
type Bond struct {
	Conditions statement.Commitment
	Duties     []string
	At         int64 // when the agreement was received
}

// Facts are what both columns of a request do not say of its obligations.
type Facts struct {
	Untold  bool                // the request says that the victim must not be told: see Untold
	Bonds   []Bond              // of every agreement so far
	Days    int                 // for which the rule set keeps such a request after its last word; 0: without end
	Deleted map[party.ID]string // the statement by which each party said that it erased the request
	Formal  Status              // of the request that the requesting party linked, "" if it is not known here
}

// Obligations are those that follow of a request: a pure function of both columns and of the facts, so that both parties have the same.
func Obligations(row Row, requesting, requested Column, f Facts) []Obligation {
	var list []Obligation
	add := func(source statement.Commitment, duty string, by party.ID, since int64) *Obligation {
		list = append(list, Obligation{Link: row.Link, Thread: row.Thread, Source: source, Duty: duty, By: by, Since: since, State: Owed})
		return &list[len(list)-1]
	}
	r := *requesting.Request
	begun := cmp.Or(r.At, r.Authored)
	if r.Quiet {
		add(row.Thread, DutyConfidential, row.Requested, begun)
	}
	if f.Untold {
		add(row.Thread, DutyDoNotNotify, row.Requested, begun)
	}
	if held, said := requested.Said["preservation.preserved"]; said {
		preserve(add(row.Thread, DutyPreserve, row.Requested, cmp.Or(held.At, held.Authored)), held, requesting, f.Formal)
	}
	report := requesting.Said["answer.feedback"]
	for _, b := range f.Bonds {
		for _, duty := range b.Duties {
			o := add(b.Conditions, duty, row.Requesting, b.At)
			if duty == DutyReportUse && cmp.Or(report.At, report.Authored) > b.At {
				o.State, o.Proof = Done, report.Statement.String()
			}
		}
	}
	if f.Days > 0 {
		for _, by := range []party.ID{row.Requesting, row.Requested} {
			o := add(row.Thread, DutyDelete, by, begun)
			o.Until = row.Changed + int64(f.Days)*(24*time.Hour).Microseconds()
			if said := f.Deleted[by]; said != "" {
				o.State, o.Proof = Done, said
			}
		}
	}
	slices.SortFunc(list, Obligation.Compare)
	return list
}

// preserve says until when data are kept: to the time that was promised, or without end while a request for mutual assistance that
// was linked is not decided.
func preserve(o *Obligation, held Mark, requesting Column, formal Status) {
	o.Until = held.Until
	if linked, said := requesting.Said["preservation.link"]; said {
		o.Formal = linked.Cites
		if !formal.Over() {
			o.Until = 0
		}
	}
	for _, kind := range []string{"preservation.release", "request.withdraw", "request.close"} {
		if m, said := requesting.Said[kind]; said {
			o.State, o.Proof = Ended, m.Statement.String()
			return
		}
	}
}

// Over says whether a request in this status needs the data no longer that were preserved for it.
func (s Status) Over() bool {
	switch s {
	case Declined, Answered, Confirmed, Refused, Impossible, Withdrawn, Closed:
		return true
	}
	return false
}

// Untold says whether a request's face asks that the victim be not told.
func Untold(t *statement.Text) bool {
	var f face
	return t.Kind == "victim.request" && envelope.Unmarshal(t.Face, &f) == nil && f.Notify == "must_not"
}

// ConditionsOf are the duties that a decision makes a condition, none of what is no such decision.
func ConditionsOf(t *statement.Text) []string {
	var f face
	if t.Kind != "decision.condition" || envelope.Unmarshal(t.Face, &f) != nil {
		return nil
	}
	slices.Sort(f.Conditions)
	return slices.Compact(f.Conditions)
}

// Warning is the last warning that is due of data whose preservation ends: 30, 14, 7 or 1 days before, 0 before the first. Without an
// end there is none.
func (o Obligation) Warning(now int64) int {
	if o.Duty != DutyPreserve || o.State != Owed || o.Until == 0 {
		return 0
	}
	last := 0
	for _, days := range []int{30, 14, 7, 1} {
		if now >= o.Until-int64(days)*(24*time.Hour).Microseconds() {
			last = days
		}
	}
	return last
}

// IsOver says whether an obligation's time has passed while it was owed.
func (o Obligation) IsOver(now int64) bool { return o.State == Owed && o.Until != 0 && now > o.Until }
