package hotline

import (
	"slices"
	"time"

	"entente/statement"
)

// Desk is one desk of a roster: the one that is called, or a substitute.
type Desk struct {
	ID       string
	Hours    statement.DeskBody
	Zone     *time.Location
	Holidays []string // YYYY-MM-DD, on which it is closed unless it is always open
}

// Rung is one step of the ladder: a desk, and from when on it is rung.
type Rung struct {
	Desk string
	From time.Time
}

// Ring says which desks a call rings at an instant, in the order in which they began, and which is rung next; its From is zero
// if none is. Nobody who is rung ceases to be before the call is answered.
//
// The desks come in the roster's order, each a step after the one before. One that is closed when its turn comes does not take the turn: the
// next takes it at once, and the closed one is rung as soon as it opens. If no desk is open when it is called, the first is rung all the
// same, since a call that rings nowhere is lost.
func Ring(roster []Desk, since time.Time, step time.Duration, now time.Time) (ringing []Rung, next Rung) {
	for _, r := range ladder(roster, since, step) {
		if r.From.After(now) {
			return ringing, r
		}
		ringing = append(ringing, r)
	}
	return ringing, Rung{}
}

// ladder is when each desk of a roster is rung, the earliest first.
func ladder(roster []Desk, since time.Time, step time.Duration) []Rung {
	var rungs []Rung
	turn := since
	for _, d := range roster {
		at, opens := d.opens(turn)
		switch {
		case !opens:
			continue
		case at.Equal(turn):
			turn = turn.Add(step)
		}
		rungs = append(rungs, Rung{d.ID, at})
	}
	if len(roster) > 0 && !slices.ContainsFunc(rungs, func(r Rung) bool { return r.From.Equal(since) }) {
		rungs = slices.DeleteFunc(rungs, func(r Rung) bool { return r.Desk == roster[0].ID })
		rungs = append([]Rung{{roster[0].ID, since}}, rungs...)
	}
	slices.SortStableFunc(rungs, func(a, b Rung) int { return a.From.Compare(b.From) })
	return rungs
}

// searched is for how many days ahead a desk is looked at: longer closed, it is as if there were none.
const searched = 60

// opens is when a desk is open first, at an instant or after it.
func (d Desk) opens(from time.Time) (time.Time, bool) {
	if d.open(from) {
		return from, true
	}
	t := from.In(d.Zone)
	for day := range searched {
		var first time.Time
		for _, h := range d.Hours.Hours {
			clock, err := time.Parse("15:04", h.From)
			if err != nil {
				continue
			}
			at := time.Date(t.Year(), t.Month(), t.Day()+day, clock.Hour(), clock.Minute(), 0, 0, d.Zone)
			if !d.open(at) { // the clocks never showed that time, since they were put forward
				at = at.Add(time.Hour)
			}
			if d.open(at) && at.After(from) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		if !first.IsZero() {
			return first, true
		}
	}
	return time.Time{}, false
}

func (d Desk) open(at time.Time) bool {
	local := at.In(d.Zone)
	return d.Hours.Always || !slices.Contains(d.Holidays, local.Format(time.DateOnly)) && d.Hours.Open(local)
}
