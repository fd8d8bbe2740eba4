package flow_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"entente/handling"
	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
)

// stricter puts a rule set in force under which every message needs a releasing officer, and says nothing of him crosses.
func (o *office) stricter() {
	o.t.Helper()
	next := o.linkOf(o.a).Agreement
	rule := handling.ReleaseRule{Kinds: []string{"message"}, Need: handling.ReleaseReleasingOfficer}
	next.Rules.Policy.Release = slices.Insert(slices.Clone(next.Rules.Policy.Release), 0, rule)
	next.Rules.Officer = "nothing"
	o.signs(o.a, next)
	o.signs(o.b, next)
	o.run()
}

// TestReleaseUnderTheRulesInForce: who must release what is as the rule set has it that a statement will obey: the one in force for what
// begins a thread, and that of its thread for what continues one.
func TestReleaseUnderTheRulesInForce(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	begun := o.message(o.a, "begun", "before", nil)
	early := o.hold(o.red())
	o.run()
	o.stricter()

	v := o.hold(draft(o.a, "new", "under the new rule set", nil))
	if v.Need != handling.ReleaseReleasingOfficer || v.State != member.Waiting || v.Officer != "nothing" || len(v.Blocked) > 0 {
		t.Errorf("a new message needs %s, is %s, and of its officer crosses %s: %+v", v.Need, v.State, v.Officer, v.Blocked)
	}
	if _, err := o.a.Send(ctx, o.anna, draft(o.a, "answer", "in the old thread", &begun), nil); err != nil {
		t.Errorf("in a thread of the old rule set: %v", err)
	}
	_, err := o.a.Release(ctx, o.dora, early.ID.String(), early.Digest, o.pass["dora"], nil)
	wantCode(t, "what was written before, by a second person", err, "rules_changed")
	edited, err := o.a.EditDraft(ctx, o.anna, early.ID.String(), early.Digest, flow.DraftEdit{})
	o.must(err)
	if edited.Need != handling.ReleaseReleasingOfficer {
		t.Errorf("edited, it needs %s", edited.Need)
	}
	for _, d := range []member.Draft{edited, v.Draft} {
		_, err := o.a.Release(ctx, o.dora, d.ID.String(), d.Digest, o.pass["dora"], nil)
		if fault.KindOf(err) != fault.Forbidden {
			t.Errorf("released by a head of delegation: %v", err)
		}
		_, err = o.a.Release(ctx, o.cleo, d.ID.String(), d.Digest, o.pass["cleo"], nil)
		o.must(err)
	}
	o.run()
	o.sound()
}

// TestReportUnderTheRulesInForce: a report names the rule set that was in force under its cut, whatever was agreed on since.
func TestReportUnderTheRulesInForce(t *testing.T) {
	o := newOffice(t)
	first := o.linkOf(o.a).Agreement.Rules.Edition()
	o.cosign()
	before, err := o.a.CommonCut(t.Context(), o.a.link)
	o.must(err)
	o.stricter()
	second := o.linkOf(o.a).Agreement.Rules.Edition()
	o.cosign()
	after, err := o.a.CommonCut(t.Context(), o.a.link)
	o.must(err)
	for _, c := range []struct {
		cut  flow.Cut
		want [32]byte
	}{{before, first}, {after, second}} {
		r, err := o.a.StatusReport(t.Context(), operator, o.a.link, allTime(), &c.cut)
		o.must(err)
		if r.About.Rules != c.want {
			t.Errorf("at %v the report is under %s, want %x", c.cut.Sizes, r.About.Rules, c.want)
		}
		if !bytes.Equal(o.report(o.a, c.cut), o.report(o.b, c.cut)) {
			t.Error("the sides report otherwise")
		}
	}
}

// TestWhatCanNeverLeaveIsNotKept: above what its link may carry, or on a link that carries nothing from us, a message is refused when it is
// written, not when somebody releases it; and a draft is not marked so later.
func TestWhatCanNeverLeaveIsNotKept(t *testing.T) {
	w := oneway(t)
	ctx := t.Context()
	red := func(s *side) flow.Draft {
		d := draft(s, "Sources", "Their names.", nil)
		d.Marking.TLP = handling.TLPRed
		return d
	}
	_, err := w.a.Send(ctx, operator, red(w.a), nil)
	wantCode(t, "RED on a link that carries AMBER+STRICT", err, "tlp_above_channel")
	_, err = w.b.Send(ctx, operator, red(w.b), nil)
	wantCode(t, "on a link that carries nothing from us", err, "oneway")
	strict := red(w.a)
	strict.Marking.TLP = handling.TLPAmberStrict
	_, err = w.a.Send(ctx, operator, strict, nil)
	kept, ok := errors.AsType[*flow.Held](err)
	if !ok {
		t.Fatalf("what may leave is not kept: %v", err)
	}
	_, err = w.a.EditDraft(ctx, operator, kept.Draft.ID.String(), kept.Draft.Digest, flow.DraftEdit{Marking: &handling.Marking{TLP: handling.TLPRed}})
	wantCode(t, "marked RED later", err, "tlp_above_channel")
	for _, s := range []*side{w.a, w.b} {
		list, err := s.Drafts(ctx, operator, member.DraftFilter{Limit: 9})
		w.must(err)
		if want := map[*side]int{w.a: 1, w.b: 0}[s]; len(list) != want {
			t.Errorf("%s keeps %d drafts, want %d", s.name, len(list), want)
		}
	}
}

// TestLabelOfARequest: a request whose label is above what its link carries, or is none, is not sent; that is listed beside its other
// faults, no number is used up, and it stays a draft of its author until it was put right.
func TestLabelOfARequest(t *testing.T) {
	w := oneway(t)
	ctx := t.Context()
	ask := func(tlp string, body map[string]any) ([]string, error) {
		d := request(w.a, "preservation.request", body, nil)
		d.Marking.TLP = tlp
		_, err := w.a.Ask(ctx, operator, d, nil)
		var where []string
		if incomplete, ok := errors.AsType[*assistance.Incomplete](err); ok {
			for _, f := range incomplete.Faults {
				where = append(where, f.Where)
				if f.Write.EN == "" || f.Write.ZH == "" {
					t.Errorf("nobody says what to write at %s", f.Where)
				}
			}
		}
		return where, err
	}
	lacking := preservation(nil)
	delete(lacking, "necessity")
	before := w.record(w.a)
	for _, c := range []struct {
		name, tlp string
		body      map[string]any
		want      []string
	}{
		{"above the ceiling", handling.TLPRed, preservation(nil), []string{"/marking/tlp"}},
		{"above the ceiling, with another fault", handling.TLPRed, lacking, []string{"/body/necessity", "/marking/tlp"}},
		{"no label", "", preservation(nil), []string{"/marking/tlp"}},
		{"an unknown label", "PURPLE", preservation(nil), []string{"/marking"}},
	} {
		where, err := ask(c.tlp, c.body)
		if wantCode(t, c.name, err, "incomplete"); !slices.Equal(where, c.want) {
			t.Errorf("%s: faults at %q, want %q", c.name, where, c.want)
		}
		w.same(w.a, before, c.name)
	}
	kept, err := w.a.Drafts(ctx, operator, member.DraftFilter{State: member.Incomplete, Limit: 9})
	w.must(err)
	if len(kept) != 4 {
		t.Fatalf("%d drafts are kept, want 4", len(kept))
	}
	first := kept[len(kept)-1]
	still, err := w.a.EditDraft(ctx, operator, first.ID.String(), first.Digest, flow.DraftEdit{Urgency: "routine"})
	w.must(err)
	_, err = w.a.SubmitDraft(ctx, operator, still.ID.String(), still.Digest, nil)
	wantCode(t, "sent though above the ceiling", err, "draft_state")
	right, err := w.a.EditDraft(ctx, operator, still.ID.String(), still.Digest, flow.DraftEdit{Marking: &handling.Marking{TLP: handling.TLPAmber}})
	w.must(err)
	sent, err := w.a.SubmitDraft(ctx, operator, right.ID.String(), right.Digest, nil)
	if err != nil || sent.Number != "ARV-PR-2026-0001" {
		t.Errorf("put right: %+v, %v", sent, err)
	}
}
