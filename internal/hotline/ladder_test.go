package hotline_test

import (
	"strings"
	"testing"
	"time"

	"entente/internal/hotline"
	"entente/statement"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := statement.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// roster reads "id zone hours…", a desk a line: "b Asia/Shanghai mon-fri 09:00 18:00", "c UTC always".
func roster(t *testing.T, text, holidays string) []hotline.Desk {
	t.Helper()
	var desks []hotline.Desk
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		d := hotline.Desk{ID: f[0], Zone: zone(t, f[1]), Holidays: strings.Fields(holidays)}
		if f[2] == "always" {
			d.Hours.Always = true
		}
		for h := f[2:]; len(h) >= 3; h = h[3:] {
			d.Hours.Hours = append(d.Hours.Hours, statement.Hours{Days: h[0], From: h[1], To: h[2]})
		}
		desks = append(desks, d)
	}
	return desks
}

// Whom a call rings, and who is next, across zones, nights, holidays and changes of the clocks; every instant is handed in.
func TestRing(t *testing.T) {
	const day = "a Asia/Shanghai mon-fri 09:00 18:00\n"
	for _, c := range []struct {
		name, roster, holidays string
		called, now            string
		want                   string // "desks rung, then desk at instant"
	}{
		{"the first alone", day + "b UTC always\nc UTC always", "", "2026-03-02T10:00:00+08:00", "2026-03-02T10:04:59+08:00", "a then b 2026-03-02T02:05:00Z"},
		{"the second too", day + "b UTC always\nc UTC always", "", "2026-03-02T10:00:00+08:00", "2026-03-02T10:05:00+08:00", "a b then c 2026-03-02T02:10:00Z"},
		{"all, and nobody ceases", day + "b UTC always\nc UTC always", "", "2026-03-02T10:00:00+08:00", "2026-03-09T23:00:00+08:00", "a b c"},
		{"at night the substitute at once; the desk when it opens", day + "b Europe/Vienna mon-fri 08:00 20:00", "", "2026-03-02T22:00:00+08:00", "2026-03-02T22:00:00+08:00", "b then a 2026-03-03T01:00:00Z"},
		{"over the weekend", day + "b UTC always", "", "2026-03-06T18:00:00+08:00", "2026-03-08T12:00:00+08:00", "b then a 2026-03-09T01:00:00Z"},
		{"a holiday closes who is not always open", day + "b UTC always", "2026-03-02", "2026-03-02T10:00:00+08:00", "2026-03-02T10:00:00+08:00", "b then a 2026-03-03T01:00:00Z"},
		{"a holiday is a day of the desk's own zone", day + "b UTC always", "2026-03-02", "2026-03-02T20:00:00-05:00", "2026-03-02T20:00:00-05:00", "a then b 2026-03-03T01:05:00Z"},
		{"nobody is open: the first all the same, the other when it opens", day + "b Europe/Vienna mon-fri 08:00 20:00", "2026-03-07 2026-03-08", "2026-03-07T12:00:00+08:00", "2026-03-07T12:00:00+08:00", "a then b 2026-03-09T07:00:00Z"},
		{"never open", "a UTC mon 23:00 23:30\nb UTC tue 23:00 23:30", "", "2026-03-04T12:00:00Z", "2026-03-04T12:00:00Z", "a then b 2026-03-10T23:00:00Z"},
		{"it opens at its turn", "b UTC always\na Asia/Shanghai mon-fri 09:00 18:00\nc UTC always", "", "2026-03-02T08:55:00+08:00", "2026-03-02T08:59:00+08:00", "b then a 2026-03-02T01:00:00Z"},
		{"it opens after its turn, which passed on", "b UTC always\na Asia/Shanghai mon-fri 09:00 18:00\nc UTC always", "", "2026-03-02T08:54:00+08:00", "2026-03-02T08:59:00+08:00", "b c then a 2026-03-02T01:00:00Z"},
		{"the night the clocks go forward", "a UTC mon 00:00 01:00\nb Europe/Vienna sun 02:30 04:00", "", "2026-03-29T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "a then b 2026-03-29T01:30:00Z"},
		{"the same night in the west", "a UTC mon 00:00 01:00\nb America/New_York sun 02:30 04:00", "", "2026-03-08T00:00:00-05:00", "2026-03-08T00:00:00-05:00", "a then b 2026-03-08T07:30:00Z"},
		{"summer time moves the opening", "a UTC always\nb Europe/Vienna mon-fri 08:00 20:00", "", "2026-03-28T12:00:00Z", "2026-03-28T12:00:00Z", "a then b 2026-03-30T06:00:00Z"},
		{"before it was called", "a UTC always", "", "2026-03-02T10:00:00Z", "2026-03-02T09:59:59Z", " then a 2026-03-02T10:00:00Z"},
		{"no desk", "", "", "2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z", ""},
	} {
		at := func(s string) time.Time {
			v, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		ringing, next := hotline.Ring(roster(t, c.roster, c.holidays), at(c.called), 5*time.Minute, at(c.now))
		var ids []string
		for _, r := range ringing {
			ids = append(ids, r.Desk)
		}
		got := strings.Join(ids, " ")
		if !next.From.IsZero() {
			got += " then " + next.Desk + " " + next.From.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Whatever the hour, somebody is rung as long as there is a roster; and once rung, rung until the end.
func TestSomebodyIsAlwaysRung(t *testing.T) {
	desks := roster(t, "a Asia/Shanghai mon-fri 09:00 18:00\nb Europe/Vienna mon-thu 08:00 20:00 sat 22:00 24:00\nc America/New_York sun-mon 00:00 06:00", "2026-03-02 2026-10-01")
	start := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC)
	for hour := range 24 * 14 {
		called, before := start.Add(time.Duration(hour)*time.Hour), 0
		for minutes := range 12 {
			ringing, _ := hotline.Ring(desks, called, 5*time.Minute, called.Add(time.Duration(minutes*minutes)*time.Minute))
			if len(ringing) == 0 || len(ringing) < before {
				t.Fatalf("called at %s, %d minutes later %d are rung, before that %d", called, minutes*minutes, len(ringing), before)
			}
			before = len(ringing)
		}
	}
}
