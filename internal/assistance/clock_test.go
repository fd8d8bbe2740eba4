package assistance_test

import (
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

func requestedParty() envelope.Hash { return envelope.Sum([]byte("Kestria")) }

// terms are the default rules with the deadlines and holidays given.
func terms(deadlines []statement.Deadline, holidays ...string) assistance.Terms {
	rules := statement.DefaultRules()
	if deadlines != nil {
		rules.Deadlines = deadlines
	}
	rules.Holidays = map[string][]string{requestedParty().String(): holidays, envelope.Sum([]byte("Arvenia")).String(): {"2026-03-03"}}
	return assistance.Terms{Rules: rules, Requested: requestedParty(), Zone: statement.Zone}
}

func instant(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func shown(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339) }

// Every way to count, across zones, changes of the clocks, leap days, weekends and holidays.
func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		name, zone, from string
		always           bool
		amount           int
		unit             string
		holidays         []string
		want             string
	}{
		{"minutes", "UTC", "2026-03-02T12:00:00Z", false, 30, "minutes", nil, "2026-03-02T12:30:00Z"},
		{"hours run through the night in which clocks change", "Europe/Berlin", "2026-03-28T22:30:00Z", false, 8, "hours", nil, "2026-03-29T06:30:00Z"},
		{"a day over the change to summer time has 23 hours", "Europe/Berlin", "2026-03-28T11:00:00Z", false, 1, "days", nil, "2026-03-29T10:00:00Z"},
		{"a day over the change to winter time has 25 hours", "Europe/Berlin", "2026-10-24T10:00:00Z", false, 1, "days", nil, "2026-10-25T11:00:00Z"},
		{"a time that the clocks leave out", "Europe/Berlin", "2026-03-28T01:30:00Z", false, 1, "days", nil, "2026-03-29T01:30:00Z"},
		{"a time that the clocks show twice is the first", "Europe/Berlin", "2026-10-24T00:30:00Z", false, 1, "days", nil, "2026-10-25T00:30:00Z"},
		{"clocks of the southern summer", "America/Santiago", "2026-04-03T15:00:00Z", false, 2, "days", nil, "2026-04-05T16:00:00Z"},
		{"no summer time at all", "Asia/Shanghai", "2026-03-28T11:00:00Z", false, 7, "days", nil, "2026-04-04T11:00:00Z"},
		{"a zone beyond the date line", "Pacific/Kiritimati", "2026-03-02T12:00:00Z", false, 1, "days", nil, "2026-03-03T12:00:00Z"},
		{"a day that a zone never had", "Pacific/Apia", "2011-12-29T20:00:00Z", false, 1, "days", nil, "2011-12-30T20:00:00Z"},
		{"the leap day", "UTC", "2028-02-28T09:00:00Z", false, 1, "days", nil, "2028-02-29T09:00:00Z"},
		{"a year without it", "UTC", "2026-02-28T09:00:00Z", false, 1, "days", nil, "2026-03-01T09:00:00Z"},
		{"from the leap day", "UTC", "2028-02-29T09:00:00Z", false, 366, "days", nil, "2029-03-01T09:00:00Z"},
		{"a working day", "UTC", "2026-03-02T12:00:00Z", false, 1, "working_days", nil, "2026-03-03T12:00:00Z"},
		{"over a weekend", "UTC", "2026-03-06T12:00:00Z", false, 1, "working_days", nil, "2026-03-09T12:00:00Z"},
		{"over a holiday of the party that is asked", "UTC", "2026-03-06T12:00:00Z", false, 2, "working_days", []string{"2026-03-09", "2026-03-10"}, "2026-03-12T12:00:00Z"},
		{"received on a Saturday: counted from Monday's beginning", "UTC", "2026-03-07T12:00:00Z", false, 1, "working_days", nil, "2026-03-10T00:00:00Z"},
		{"Saturday there, Friday in UTC", "Asia/Shanghai", "2026-03-06T17:00:00Z", false, 1, "working_days", nil, "2026-03-09T16:00:00Z"},
		{"no working days at all: at once on Monday", "UTC", "2026-03-07T12:00:00Z", false, 0, "working_days", nil, "2026-03-09T00:00:00Z"},
		{"a desk that is always open waits for no weekend", "UTC", "2026-03-06T12:00:00Z", true, 1, "working_days", []string{"2026-03-07"}, "2026-03-07T12:00:00Z"},
		{"five working days over the change of the clocks", "Europe/Berlin", "2026-03-25T11:00:00Z", false, 5, "working_days", nil, "2026-04-01T10:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := instant(t, c.from)
			asking := assistance.Column{Words: 1, Request: &assistance.Request{Kind: "law.request", Urgency: "routine", Days: c.zone, Always: c.always, At: from}}
			by := terms([]statement.Deadline{{Step: "answer", Kind: "*", Urgency: "routine", Amount: c.amount, Unit: c.unit}}, c.holidays...)
			clocks, err := assistance.Clocks(asking, assistance.Column{}, by)
			if err != nil || len(clocks) != 1 {
				t.Fatalf("%d clocks, %v", len(clocks), err)
			}
			if got := shown(clocks[0].At); got != c.want {
				t.Errorf("due %s, want %s", got, c.want)
			}
		})
	}
}

// running names the clocks that run, and who owes.
func running(t testing.TB, h thread, by assistance.Terms) map[string]string {
	t.Helper()
	clocks, err := assistance.Clocks(h.columns[assistance.Requesting], h.columns[assistance.Requested], by)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range clocks {
		got[c.Step] = string(c.By) + " " + shown(c.At)
	}
	return got
}

func want(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clocks (-want +got):\n%s", diff)
	}
}

// The clocks of a request as it goes on, by the default rules. noon is a Monday, 12:00 UTC; each word is received a second
// after its hour.
func TestClocksFollowTheStatus(t *testing.T) {
	const us, them = assistance.Requesting, assistance.Requested
	by := terms(nil)
	want(t, running(t, open(t, "preservation.request"), by), map[string]string{
		"ack": "requested 2026-03-03T12:00:00Z", "decide": "requested 2026-03-03T12:00:00Z", "answer": "requested 2026-03-09T12:00:00Z"})

	ack := step{them, "request.acknowledge", nil, "", assistance.Acknowledged}
	ask := step{them, "clarification.ask", nil, "", assistance.Clarification}
	reply := step{us, "clarification.answer", map[string]any{"cites": "clarification.ask"}, "", assistance.Acknowledged}
	h := play(t, "preservation.request", []step{ack, ask})
	want(t, running(t, h, by), map[string]string{"clarify": "requesting 2026-03-16T14:00:01Z"})
	h = play(t, "preservation.request", []step{ack, ask, reply}) // asked at 14:00, the reply came at 15:00:01
	want(t, running(t, h, by), map[string]string{"decide": "requested 2026-03-03T13:00:01Z", "answer": "requested 2026-03-09T13:00:01Z"})

	kept := step{them, "preservation.preserved", map[string]any{"until": noon + 70*day}, "", assistance.Preserved}
	longer := step{us, "preservation.extend", map[string]any{"until": noon + 130*day}, "", assistance.Preserved}
	h = play(t, "preservation.request", []step{kept})
	want(t, running(t, h, by), map[string]string{"expiry": "requesting 2026-05-11T12:00:00Z"})
	h = play(t, "preservation.request", []step{kept, longer})
	want(t, running(t, h, by), map[string]string{"decide": "requested 2026-03-03T14:00:01Z", "expiry": "requesting 2026-05-11T12:00:00Z"})
	for _, end := range []step{
		{them, "preservation.preserved", map[string]any{"until": noon + 130*day}, "", assistance.Preserved},
		{them, "decision.refuse_part", map[string]any{"ground": "sovereignty"}, "", assistance.Preserved},
	} {
		if _, still := running(t, play(t, "preservation.request", []step{kept, longer, end}), by)["decide"]; still {
			t.Errorf("the extension still waits after %s", end.kind)
		}
	}
	linked := step{us, "preservation.link", map[string]any{"request": "x"}, "", assistance.Preserved}
	h = play(t, "preservation.request", []step{kept, linked})
	want(t, running(t, h, by), map[string]string{})
	if assistance.Expired(h.columns[us], h.columns[them], noon+1000*day) {
		t.Error("what a request for mutual assistance follows expired")
	}
	h = play(t, "preservation.request", []step{kept})
	if assistance.Expired(h.columns[us], h.columns[them], noon+70*day) || !assistance.Expired(h.columns[us], h.columns[them], noon+70*day+1) {
		t.Error("preserved data do not expire at their time")
	}

	h = play(t, "mla.subscriber", []step{{them, "decision.postpone", map[string]any{"until": noon + 200*day}, "", assistance.Postponed}})
	want(t, running(t, h, by), map[string]string{"answer": "requested 2026-09-18T12:00:00Z"})
	h = play(t, "mla.subscriber", []step{{them, "decision.delay", map[string]any{"until": noon + 200*day}, "", assistance.Delivered}})
	if got := running(t, h, by)["answer"]; got != "requested 2026-05-06T12:00:00Z" {
		t.Errorf("a date that the requested party gave itself moved its clock: %s", got)
	}
	h = play(t, "mla.subscriber", []step{{us, "request.withdraw", nil, "", assistance.Withdrawn}})
	want(t, running(t, h, by), map[string]string{})
}

// The machines' clocks are a day apart, either way: the pause is as long as it was by the clock of who waited.
func TestPauseWithClocksADayApart(t *testing.T) {
	const us, them = assistance.Requesting, assistance.Requested
	for _, skew := range []int64{-day, 0, day} { // by so much the requesting party's clock is ahead
		h := open(t, "information.request")
		before := running(t, h, terms(nil))["answer"]
		ask := turn(t, "ask", "clarification.ask", noon+hour, nil)
		ask.Received = noon + hour + second + skew // by the requesting party's clock
		h, void := h.say(them, ask)
		if void != nil {
			t.Fatal(void)
		}
		reply := turn(t, "reply", "clarification.answer", noon+3*hour+skew, map[string]any{"cites": envelope.Sum([]byte("ask")).String()})
		reply.Received = noon + 3*hour // by the requested party's clock
		if h, void = h.say(us, reply); void != nil {
			t.Fatal(void)
		}
		if got := h.columns[us].Paused; got != 2*hour {
			t.Errorf("skew %d: paused for %d µs, want two hours", skew, got)
		}
		if got := running(t, h, terms(nil))["answer"]; before != "requested 2026-03-09T12:00:00Z" || got != "requested 2026-03-09T14:00:00Z" {
			t.Errorf("skew %d: due %s, before the pause %s", skew, got, before)
		}
	}
}

// A requested party that says that it asked before it had the request, or before it had the last reply, gains nothing.
func TestPauseIsNotBackdated(t *testing.T) {
	const us, them = assistance.Requesting, assistance.Requested
	h := open(t, "information.request")
	for i, name := range []string{"first", "second"} {
		ask := turn(t, name, "clarification.ask", noon-100*day, nil)
		ask.Received = noon + int64(2*i+1)*hour
		h, _ = h.say(them, ask)
		reply := turn(t, name+" reply", "clarification.answer", noon, map[string]any{"cites": envelope.Sum([]byte(name)).String()})
		reply.Received = noon + int64(2*i+2)*hour
		h, _ = h.say(us, reply)
	}
	if got := h.columns[us].Paused; got != 4*hour { // from noon to the second reply at 16:00, and no more
		t.Errorf("paused for %d µs, want four hours", got)
	}
}

func TestReminder(t *testing.T) {
	for _, c := range []struct {
		urgency string
		now     int64
		want    int
	}{
		{"emergency", 499, 0}, {"emergency", 500, 50}, {"emergency", 800, 80}, {"emergency", 1000, 100}, {"emergency", 5000, 100},
		{"urgent", 500, 0}, {"urgent", 800, 80}, {"routine", 799, 0}, {"routine", 1000, 100},
	} {
		if got := assistance.Reminder(c.urgency, 0, 1000, c.now); got != c.want {
			t.Errorf("%s at %d of 1000: %d, want %d", c.urgency, c.now, got, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for name, code := range map[string]string{"Kestria": "KES", "Arvenia": "ARV", "Û": "XXX", "St. Io": "STI", "": "XXX", "Öl": "LXX"} {
		if got := assistance.PartyCode(name); got != code {
			t.Errorf("%s has the code %s, want %s", name, got, code)
		}
	}
	if got := assistance.Number(assistance.Series("KES", "PR", 2026), 143); got != "KES-PR-2026-0143" {
		t.Error(got)
	}
}
