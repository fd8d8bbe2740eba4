package assistance

import "time"

// calendar counts days where a request is answered: in the zone that its face names, by the time-zone data of the rules'
// edition and by the requested party's holidays. Saturday and Sunday are no working days, unless the desk is always open.
type calendar struct {
	zone     *time.Location
	holidays map[string]bool // YYYY-MM-DD
	always   bool
}

// add counts n days on from an instant: the same time of day, n calendar days or n working days later. What is received on a
// day that is no working day counts as received when the next one begins.
func (c calendar) add(from time.Time, n int, working bool) time.Time {
	t := from.In(c.zone)
	if !working || c.always {
		return c.at(t, n)
	}
	day := c.at(t, 0)
	if !c.works(day) {
		for !c.works(day) {
			day = c.at(day, 1)
		}
		day = c.wall(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0)
	}
	clock := day
	for ; n > 0; n-- {
		for day = c.at(day, 1); !c.works(day); day = c.at(day, 1) {
		}
	}
	return c.wall(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond())
}

// settle moves an instant that falls on a day that is no working day to the same time on the next one that is.
func (c calendar) settle(t time.Time) time.Time {
	t = t.In(c.zone)
	for !c.always && !c.works(t) {
		t = c.at(t, 1)
	}
	return t
}

func (c calendar) works(t time.Time) bool {
	day := t.Weekday()
	return day != time.Saturday && day != time.Sunday && !c.holidays[t.Format(time.DateOnly)]
}

// at is the same time of day so many days on.
func (c calendar) at(t time.Time, days int) time.Time {
	return c.wall(t.Year(), t.Month(), t.Day()+days, t.Hour(), t.Minute(), t.Second(), t.Nanosecond())
}

// wall is the instant at which the clocks of the zone show a date and a time. Where they show it twice it is the first; where
// they never show it, since they were put forward, it is as much later as they were put forward.
func (c calendar) wall(year int, month time.Month, day, hour, minute, second, nano int) time.Time {
	shown := time.Date(year, month, day, hour, minute, second, nano, time.UTC)
	offset := func(t time.Time) time.Duration {
		_, seconds := t.In(c.zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, after := offset(shown.Add(-24*time.Hour)), offset(shown.Add(24*time.Hour))
	early, late := shown.Add(-before), shown.Add(-after)
	if offset(early) != before && offset(late) == after {
		return late.In(c.zone)
	}
	return early.In(c.zone)
}
