package flow_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/internal/notice"
	"entente/statement"
)

// dpo may place and lift legal holds.
var dpo = actor.Actor{Kind: actor.Member, Name: "dora", Roles: []actor.Role{actor.DPO}}

// owes fails unless both sides list the same obligations of a request, as "duty by state end": by is a for the first side, the end in
// days from now, rounded, "-" without one.
func (w *world) owes(request string, want ...string) {
	w.t.Helper()
	want = slices.Sorted(slices.Values(want))
	for _, s := range []*side{w.a, w.b} {
		list, err := s.ObligationsOf(w.t.Context(), operator, request)
		w.must(err)
		var got []string
		for _, o := range list {
			by, end := "a", "-"
			if o.By == w.b.Self().ID {
				by = "b"
			}
			if o.Until != 0 {
				end = fmt.Sprintf("%.0f", time.UnixMicro(o.Until).Sub(s.clock.now()).Hours()/24)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s", o.Duty, by, o.State, end))
			if o.Ours != (o.By == s.Self().ID) || o.LinkAlias == "" || o.Number == "" {
				w.t.Errorf("%s lists %+v", s.name, o)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			w.t.Errorf("%s owes\n%q, want\n%q", s.name, got, want)
		}
	}
}

// preserved is a request of a for which b preserves data for so many days.
func (w *world) preserved(days int) string {
	w.t.Helper()
	n := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), map[string]any{"confidential": true})).Number
	w.run()
	w.reply(w.b, n, "preservation.preserved", map[string]any{"until": w.in(days)}, nil)
	w.run()
	return n
}

// in is an instant so many days from now.
func (w *world) in(days int) int64 {
	return w.b.clock.now().Add(time.Duration(days) * 24 * time.Hour).UnixMicro()
}

// What is owed of a preservation and of conditions is the same on both sides at each step; it is extended in one step, kept for the
// formal request, and outlives the request, the link, the bodies and a rebuild.
func TestObligations(t *testing.T) {
	w := confirmed(t)
	n := w.preserved(61)
	const deletes, quiet = "delete %s owed 1825", "confidential b owed -"
	rest := []string{fmt.Sprintf(deletes, "a"), fmt.Sprintf(deletes, "b"), quiet}
	w.owes(n, append(rest, "preserve b owed 61")...)
	w.reply(w.a, n, "preservation.extend", map[string]any{"until": w.in(91)}, map[string]any{"necessity": "The court needs longer."})
	w.run()
	w.owes(n, append(rest, "preserve b owed 61")...)
	w.reply(w.b, n, "preservation.preserved", map[string]any{"until": w.in(91)}, nil)
	w.run()
	w.owes(n, append(rest, "preserve b owed 91")...)

	body := preservation(map[string]any{"legal_basis": "Section 134", "purpose": "The investigation named."})
	delete(body, "necessity")
	delete(body, "mla_intended")
	formal := w.ask(w.a, request(w.a, "mla.traffic", body, map[string]any{"copy": "formal"}))
	w.run()
	w.reply(w.a, n, "preservation.link", map[string]any{"request": formal.Statement.String()}, nil)
	w.run()
	w.owes(n, append(rest, "preserve b owed -")...)
	w.reply(w.b, formal.Number, "decision.condition", map[string]any{"conditions": []string{"stated_use_only", "report_use"}}, nil)
	w.run()
	w.reply(w.a, formal.Number, "conditions.agree", nil, nil)
	w.run()
	bound := []string{fmt.Sprintf(deletes, "a"), fmt.Sprintf(deletes, "b"), "stated_use_only a owed -"}
	w.owes(formal.Number, append(bound, "report_use a owed -")...)
	w.reply(w.b, formal.Number, "decision.condition", map[string]any{"conditions": []string{"no_onward"}}, nil)
	w.run()
	w.reply(w.a, formal.Number, "conditions.agree", nil, nil)
	w.run()
	bound = append(bound, "no_onward a owed -")
	w.owes(formal.Number, append(bound, "report_use a owed -")...)
	w.reply(w.b, formal.Number, "answer.complete", nil, map[string]any{"words": "As attached."})
	w.run()
	w.owes(n, append(rest, "preserve b owed 91")...)
	w.reply(w.a, formal.Number, "answer.feedback", map[string]any{"timeliness": "in_time", "quality": "complete", "use": []string{"lead"}}, nil)
	w.reply(w.a, formal.Number, "request.close", map[string]any{"outcome": "served"}, nil)
	w.run()
	w.owes(formal.Number, append(bound, "report_use a done -")...)

	_, err := w.a.Withdraw(t.Context(), operator, w.a.link, "ended", "")
	w.must(err)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		w.erase(s, formal.Statement, "order", false)
		s.reopen(t)
		report, err := s.Rebuild(t.Context(), operator, nil)
		if err != nil || !report.Identical {
			t.Errorf("%s: %+v, %v", s.name, report, err)
		}
	}
	w.owes(formal.Number, append(bound, "report_use a done -")...)
	w.owes(n, append(rest, "preserve b owed 91")...)
	w.sound()
}

// The list has what ends first, narrowed by who owes it; what is over stays; and it is paged without a gap.
func TestObligationList(t *testing.T) {
	w := confirmed(t)
	w.preserved(90)
	w.preserved(61)
	us := w.b.Self().ID
	list := func(s *side, f assistance.ObligationFilter) (out []string) {
		t.Helper()
		f.Limit = 2
		for {
			page, err := s.Obligations(t.Context(), operator, f)
			w.must(err)
			for i, o := range page {
				out = append(out, fmt.Sprint(o.Duty, " ", o.Number[12:], " ", o.Over, " ", o.Warning))
				f.After = &page[i].Obligation
			}
			if len(page) < f.Limit {
				return out
			}
		}
	}
	want := []string{"preserve 0002 false 0", "preserve 0001 false 0", "delete 0001 false 0", "delete 0002 false 0"}
	got := list(w.b, assistance.ObligationFilter{By: &us})
	if len(got) != 6 || !slices.Equal(got[:4], want) || !strings.HasPrefix(got[4], "confidential") || !strings.HasPrefix(got[5], "confidential") {
		t.Errorf("owed by us: %q", got)
	}
	if got := list(w.b, assistance.ObligationFilter{Not: &us}); !slices.Equal(got, want[2:]) {
		t.Errorf("owed by the other: %q", got)
	}
	w.a.clock.advance(61*24*time.Hour + time.Hour)
	for _, s := range []*side{w.a, w.b} {
		if got := list(s, assistance.ObligationFilter{Duty: assistance.DutyPreserve}); !slices.Equal(got, []string{"preserve 0002 true 1", "preserve 0001 false 30"}) {
			t.Errorf("%s, after 61 days: %q", s.name, got)
		}
	}
}

// Preservation that ends is warned of at 30, 14, 7 and 1 days on both sides, each once, over restarts, anew after an extension; a
// confidential request is not named.
func TestWarnOfEnds(t *testing.T) {
	w := confirmed(t)
	n := w.preserved(61)
	var logged bytes.Buffer
	for _, s := range []*side{w.a, w.b} {
		s.log = slog.NewTextHandler(&logged, nil)
		s.reopen(t)
	}
	hooks := map[*side]notice.Hook{}
	for _, s := range []*side{w.a, w.b} {
		hooks[s], _ = s.hook(t, notice.PreservationEnds)
	}
	warns := func(what string, want int) {
		t.Helper()
		for _, s := range []*side{w.a, w.b} {
			got, err := s.WarnOfEnds(t.Context())
			if err != nil || got != want {
				t.Errorf("%s, %s: %d warnings, want %d: %v", what, s.name, got, want, err)
			}
			s.reopen(t)
			if again, err := s.WarnOfEnds(t.Context()); err != nil || again != 0 {
				t.Errorf("%s, %s, again after a restart: %d, %v", what, s.name, again, err)
			}
		}
	}
	later := func(days int) { w.a.clock.advance(time.Duration(days) * 24 * time.Hour) }
	later(30)
	warns("31 days before", 0)
	later(2)
	warns("29 days before", 1)
	later(5)
	warns("24 days before", 0)
	later(10)
	warns("14 days before", 1)
	later(9)
	warns("5 days before", 1)
	later(4)
	warns("a day before", 1)
	later(10)
	warns("over", 0)
	w.reply(w.b, n, "preservation.preserved", map[string]any{"until": w.in(20)}, nil)
	w.run()
	warns("extended to twenty days", 1)
	w.reply(w.a, n, "preservation.release", nil, nil)
	w.run()
	later(19)
	warns("released", 0)
	if text := logged.String(); strings.Count(text, "preserved data end") != 10 || strings.Contains(text, n) {
		t.Errorf("logged was %s", text)
	}
	for s, hook := range hooks {
		told := s.told(t, hook)
		owed := map[*side]string{w.a: notice.OwedByPeer, w.b: notice.OwedByUs}[s]
		for _, x := range told {
			if d := readNotice(t, x).Data; d.Number != "" || d.Due == nil || d.OwedBy != owed || d.Kind != "preservation.request" || d.Thread == nil {
				t.Errorf("%s is told %+v", s.name, d)
			}
		}
		if len(told) != 5 {
			t.Errorf("%s is told %d times", s.name, len(told))
		}
	}
}

// A legal hold keeps a whole thread from being erased, by order and by retention, until it is lifted; it stays here, and in the log of
// members.
func TestLegalHold(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.message(w.a, "held", "evidence", nil, fileOf("list.txt", []byte("names")))
	w.run()
	answer := w.message(w.b, "Re: held", "noted", &c)
	w.run()
	before := w.record(w.b)
	for _, reason := range []string{"", "two\nlines"} {
		if _, err := w.a.PlaceHold(ctx, dpo, c.String(), reason); fault.CodeOf(err) != "reason" {
			t.Errorf("a hold for %q: %v", reason, err)
		}
	}
	if _, err := w.a.LiftHold(ctx, dpo, c.String(), "over"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a hold that is none is lifted: %v", err)
	}
	placed, err := w.a.PlaceHold(ctx, dpo, answer.String(), "CANARY order 4711 of the court")
	w.must(err)
	if placed.Thread != c || placed.Who != "dora" || placed.LinkAlias != "kestria" {
		t.Errorf("placed was %+v", placed)
	}
	list, err := w.a.Holds(ctx, operator, exchange.Hold{}, 10)
	if err != nil || len(list) != 1 || list[0].Hold != placed.Hold || list[0].Kind != "message" {
		t.Errorf("the holds are %+v, %v", list, err)
	}
	w.a.clock.advance(6 * 365 * 24 * time.Hour)
	for _, name := range []statement.Commitment{c, answer} {
		if _, err := w.a.Erase(ctx, operator, name.String(), flow.EraseOrder{Reason: "order"}); fault.CodeOf(err) != "legal_hold" {
			t.Errorf("what is held is erased: %v", err)
		}
	}
	if n, err := w.a.EraseAged(ctx); n != 0 || err != nil {
		t.Errorf("by retention %d were erased, %v", n, err)
	}
	w.run()
	w.same(w.b, before, "the other party's hold")
	if v := w.shown(w.a, c); v.Body == nil || v.Files[0].State == "erased" {
		t.Errorf("what is held: %+v", v)
	}
	if _, err := w.a.LiftHold(ctx, dpo, c.String(), "acquitted"); err != nil {
		t.Error(err)
	}
	if n, err := w.a.EraseAged(ctx); n != 2 || err != nil {
		t.Errorf("lifted, %d were erased, %v", n, err)
	}
	audits, err := w.a.Audits(ctx, operator, 0, 50)
	w.must(err)
	var acts []string
	for _, e := range slices.DeleteFunc(audits, func(e member.Entry) bool { return !strings.HasPrefix(e.Act, "hold ") }) {
		acts = append(acts, e.Who+" "+e.Act+" "+strings.TrimPrefix(e.Object, c.String()))
	}
	if !slices.Equal(acts, []string{"dora hold lift  acquitted", "dora hold place  CANARY order 4711 of the court"}) {
		t.Errorf("the log says %q", acts)
	}
	w.sound()
}

// When the retention of a request is over, each node deletes the whole thread and says so to the other, once, also after a withdrawal;
// what is held is neither deleted nor said to be.
func TestDeletionIsTold(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	n := w.preserved(61)
	held := w.preserved(61)
	_, err := w.a.Withdraw(ctx, operator, w.a.link, "ended", "")
	w.must(err)
	w.run()
	v, err := w.b.ObligationsOf(ctx, operator, held)
	w.must(err)
	_, err = w.b.PlaceHold(ctx, dpo, v[0].Thread.String(), "order 4711")
	w.must(err)
	w.a.clock.advance((1825*24 + 1) * time.Hour)
	for range 2 {
		for _, s := range []*side{w.a, w.b} {
			_, err := s.EraseAged(ctx)
			w.must(err)
		}
		w.run()
	}
	w.owes(n, "confidential b owed -", "preserve b owed -1764", "delete a done -0", "delete b done -0")
	w.owes(held, "confidential b owed -", "preserve b owed -1764", "delete a done -0", "delete b owed -0")
	list, err := w.b.Obligations(ctx, operator, assistance.ObligationFilter{Duty: assistance.DutyDelete, Limit: 10})
	if err != nil || len(list) != 1 || !list[0].Over || !list[0].Held || !list[0].Ours {
		t.Errorf("left to delete: %+v, %v", list, err)
	}
	for _, s := range []*side{w.a, w.b} {
		notices, err := s.List(ctx, operator, exchange.Filter{Kind: "erasure.notice", Limit: 10})
		if err != nil || len(notices) != 3 {
			t.Errorf("%s: %d notices, %v", s.name, len(notices), err)
		}
		report, err := s.Rebuild(ctx, operator, nil)
		if err != nil || !report.Identical {
			t.Errorf("%s: %+v, %v", s.name, report, err)
		}
	}
	w.sound()
}
