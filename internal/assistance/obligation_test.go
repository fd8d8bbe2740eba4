package assistance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/party"
	"entente/statement"
)

var asking, asked = envelope.Sum([]byte("asking")), envelope.Sum([]byte("asked"))

// obligations are those of a thread, with conditions that were agreed to and a retention of ten days.
func (h thread) obligations(f assistance.Facts) []assistance.Obligation {
	a, b := h.columns[assistance.Requesting], h.columns[assistance.Requested]
	f.Days = 10
	row := assistance.Row{Thread: a.Request.Statement, Requesting: asking, Requested: asked, Changed: assistance.Changed(a, b)}
	return assistance.Obligations(row, a, b, f)
}

// must is the thread after a word that is in turn.
func (h thread) must(t *testing.T, side assistance.Side, name, kind string, at int64, face map[string]any) thread {
	t.Helper()
	next, void := h.say(side, turn(t, name, kind, at, face))
	if void != nil {
		t.Fatalf("%s: %v", kind, void)
	}
	return next
}

// brief writes obligations as "duty who state day", the days counted from noon; "-" is without end.
func briefly(list []assistance.Obligation) string {
	var out []string
	for _, o := range list {
		who, end := "asking", "-"
		if o.By == asked {
			who = "asked"
		}
		if o.Until != 0 {
			end = fmt.Sprint((o.Until - noon) / day)
		}
		if (o.State == assistance.Owed) != (o.Proof == "") {
			out = append(out, "UNPROVEN")
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", o.Duty, who, o.State, end))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// What is owed of a preservation, step by step: to the promised time, longer when extended, without end while a formal request that
// was linked is not decided, and no longer once released.
func TestPreservationIsOwed(t *testing.T) {
	h := open(t, "preservation.request")
	const deletes = "delete asked owed 10, delete asking owed 10"
	is := func(f assistance.Facts, want string) {
		t.Helper()
		if got := briefly(h.obligations(f)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	is(assistance.Facts{}, deletes)
	h = h.must(t, assistance.Requested, "one", "preservation.preserved", noon, map[string]any{"until": noon + 60*day})
	is(assistance.Facts{}, deletes+", preserve asked owed 60")
	h = h.must(t, assistance.Requested, "two", "preservation.preserved", noon, map[string]any{"until": noon + 90*day})
	is(assistance.Facts{}, deletes+", preserve asked owed 90")
	h = h.must(t, assistance.Requesting, "link", "preservation.link", noon, map[string]any{"request": envelope.Sum([]byte("formal")).String()})
	is(assistance.Facts{}, deletes+", preserve asked owed -")
	for _, status := range []assistance.Status{assistance.Delivered, assistance.Accepted, assistance.Postponed, assistance.Partial, assistance.Contested} {
		is(assistance.Facts{Formal: status}, deletes+", preserve asked owed -")
	}
	for _, status := range []assistance.Status{assistance.Refused, assistance.Answered, assistance.Confirmed, assistance.Withdrawn, assistance.Closed} {
		is(assistance.Facts{Formal: status}, deletes+", preserve asked owed 90")
	}
	h = h.must(t, assistance.Requesting, "over", "preservation.release", noon, nil)
	is(assistance.Facts{}, deletes+", preserve asked ended -")
	is(assistance.Facts{Deleted: map[party.ID]string{asked: "notice"}}, "delete asked done 10, delete asking owed 10, preserve asked ended -")
}

// Conditions bind from the agreement on, whatever is said later; explaining the use made does the one, and nothing does the others.
func TestConditionsBind(t *testing.T) {
	h := open(t, "information.request")
	one := envelope.Sum([]byte("one"))
	conditions := turn(t, "one", "decision.condition", noon, map[string]any{"conditions": []string{"report_use", "no_court", "no_court"}})
	h, void := h.say(assistance.Requested, conditions)
	if void != nil {
		t.Fatal(void)
	}
	_, effects, void := table().Fold(h.columns[assistance.Requesting], h.columns[assistance.Requested],
		turn(t, "two", "conditions.agree", noon+day, map[string]any{"cites": one.String()}))
	i := slices.IndexFunc(effects, func(e statement.Effect) bool { return e.Kind == "obligation" })
	if void != nil || i < 0 || effects[i].Ref != one || effects[i].At != noon+day+second {
		t.Fatalf("the effects are %+v, %v", effects, void)
	}
	bond := assistance.Bond{Conditions: effects[i].Ref, Duties: assistance.ConditionsOf(conditions.Text), At: effects[i].At}
	if !slices.Equal(bond.Duties, []string{"no_court", "report_use"}) {
		t.Errorf("the duties are %q", bond.Duties)
	}
	h = h.must(t, assistance.Requesting, "two", "conditions.agree", noon+day, map[string]any{"cites": one.String()})
	h = h.must(t, assistance.Requested, "three", "answer.complete", noon+day, nil)
	f := assistance.Facts{Bonds: []assistance.Bond{bond}}
	const owed = "delete asked owed 11, delete asking owed 11, no_court asking owed -, report_use asking owed -"
	if got := briefly(h.obligations(f)); got != owed {
		t.Errorf("agreed: %s", got)
	}
	h = h.must(t, assistance.Requesting, "four", "answer.feedback", noon+2*day, map[string]any{"cites": envelope.Sum([]byte("three")).String(), "use": []string{"lead"}})
	h = h.must(t, assistance.Requesting, "five", "request.close", noon+2*day, map[string]any{"outcome": "served"})
	if got := briefly(h.obligations(f)); got != "delete asked owed 12, delete asking owed 12, no_court asking owed -, report_use asking done -" {
		t.Errorf("closed: %s", got)
	}
	if got := assistance.ConditionsOf(turn(t, "x", "decision.accept", noon, map[string]any{"conditions": []string{"no_court"}}).Text); got != nil {
		t.Errorf("a decision without conditions makes %q", got)
	}
}

// The fact of a confidential request, and a victim who must not be told, are owed by who was asked.
func TestFaceObliges(t *testing.T) {
	face := map[string]any{"number": "ARV-VN-2026-0001", "days": "UTC", "confidential": true, "notify": "must_not"}
	said := turn(t, "opening", "victim.request", noon, face)
	column, _, void := table().Fold(assistance.Column{}, assistance.Column{}, said)
	if void != nil {
		t.Fatal(void)
	}
	h := thread{columns: map[assistance.Side]assistance.Column{assistance.Requesting: column, assistance.Requested: {}}}
	want := "confidential asked owed -, delete asked owed 10, delete asking owed 10, do_not_notify asked owed -"
	if got := briefly(h.obligations(assistance.Facts{Untold: assistance.Untold(said.Text)})); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	face["notify"] = "may"
	if assistance.Untold(turn(t, "x", "victim.request", noon, face).Text) || assistance.Untold(turn(t, "x", "mla.other", noon, map[string]any{"notify": "must_not"}).Text) {
		t.Error("a victim who may be told is not to be")
	}
}

// In every thread that can come to be: no obligation vanishes by what is said next, what was done or ended stays so, and who does not
// owe it cannot end it.
func TestObligationsOutlive(t *testing.T) {
	bond := assistance.Bond{Conditions: envelope.Sum([]byte("conditions")), Duties: []string{"no_court", "report_use"}, At: noon}
	type key struct {
		duty string
		by   party.ID
	}
	all := func(h thread) map[key]assistance.Obligation {
		m := map[key]assistance.Obligation{}
		for _, o := range h.obligations(assistance.Facts{Bonds: []assistance.Bond{bond}, Untold: true}) {
			m[key{o.Duty, o.By}] = o
		}
		return m
	}
	for _, kind := range []string{"preservation.request", "information.request"} {
		everyThread(t, kind, 4, func(h thread, moves []move) {
			before := all(h)
			for _, m := range moves {
				next, _ := h.say(m.kind.By, m.turn)
				after := all(next)
				for k, o := range before {
					got, there := after[k]
					if !there || o.State != assistance.Owed && got.State != o.State {
						t.Fatalf("%s makes of %+v %+v", m.kind.Name, o, got)
					}
					if got.State == assistance.Ended && o.State == assistance.Owed && m.kind.By == assistance.Requested {
						t.Fatalf("who owes %s ends it by %s", o.Duty, m.kind.Name)
					}
				}
			}
		})
	}
}

// Warnings by the instant that is handed in.
func TestWarning(t *testing.T) {
	o := assistance.Obligation{Duty: assistance.DutyPreserve, State: assistance.Owed, Until: noon}
	for days, want := range map[int64]int{31: 0, 30: 30, 15: 30, 14: 14, 8: 14, 7: 7, 2: 7, 1: 1, 0: 1, -3: 1} {
		if got := o.Warning(noon - days*day); got != want {
			t.Errorf("%d days before: %d, want %d", days, got, want)
		}
	}
	if o.Warning(noon-30*day-1) != 0 || o.IsOver(noon) || !o.IsOver(noon+1) {
		t.Error("an instant is counted on the wrong side")
	}
	for name, change := range map[string]func(*assistance.Obligation){
		"ended": func(o *assistance.Obligation) { o.State = assistance.Ended }, "without end": func(o *assistance.Obligation) { o.Until = 0 },
		"another duty": func(o *assistance.Obligation) { o.Duty = assistance.DutyDelete },
	} {
		changed := o
		if change(&changed); changed.Warning(noon) != 0 || name != "another duty" && changed.IsOver(noon+1) {
			t.Errorf("%s, it is warned of", name)
		}
	}
}
