package statement

import (
	"slices"
	"strings"
	"time"
)

// Open says whether a desk is open at an instant, which stands in the desk's zone, as its hours say. Holidays are the rule set's.
func (b DeskBody) Open(at time.Time) bool {
	if b.Always {
		return true
	}
	clock := at.Format("15:04")
	return slices.ContainsFunc(b.Hours, func(h Hours) bool { return h.On(at.Weekday()) && h.From <= clock && clock < h.To })
}

// On says whether "mon-fri", or "sat", has a day of the week.
func (h Hours) On(day time.Weekday) bool {
	week := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	first, last, span := strings.Cut(h.Days, "-")
	if !span {
		last = first
	}
	from, to := slices.Index(week, first), slices.Index(week, last)
	if from <= to {
		return from <= int(day) && int(day) <= to
	}
	return int(day) >= from || int(day) <= to
}
