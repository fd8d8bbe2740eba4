package assistance_test

import (
	"slices"
	"testing"

	"entente/internal/assistance"
	"entente/statement"
)

// step is a word of a story, with the verdict and the status that it leaves.
type step struct {
	by     assistance.Side
	kind   string
	face   map[string]any
	void   string
	status assistance.Status
}

// play tells a story; a member "cites" names the kind whose latest word is cited.
func play(t *testing.T, kind string, steps []step) thread {
	t.Helper()
	h := open(t, kind)
	for i, s := range steps {
		face := map[string]any{}
		for name, v := range s.face {
			face[name] = v
		}
		if cited, ok := face["cites"].(string); ok {
			face["cites"] = h.columns[other(s.by)].Said[cited].Statement.String()
		}
		at := noon + int64(i+1)*hour
		next, void := h.say(s.by, turn(t, s.kind+string(rune('a'+i)), s.kind, at, face))
		switch {
		case void != nil && void.Reason != s.void:
			t.Fatalf("%d, %s: void, %s, want %q", i, s.kind, void.Reason, s.void)
		case void == nil && s.void != "":
			t.Fatalf("%d, %s: folded, want it void: %s", i, s.kind, s.void)
		case void == nil:
			h = next
		}
		if h.status() != s.status {
			t.Fatalf("%d, %s: %s, want %s", i, s.kind, h.status(), s.status)
		}
	}
	return h
}

func TestStories(t *testing.T) {
	const us, them = assistance.Requesting, assistance.Requested
	later := func(days int64) map[string]any { return map[string]any{"until": noon + days*day} }
	cites := func(kind string) map[string]any { return map[string]any{"cites": kind} }
	refusal := func(ground string) map[string]any { return map[string]any{"ground": ground, "reasons": "withheld"} }
	for _, c := range []struct {
		name, kind string
		steps      []step
	}{
		{"preservation with a question, an extension and a release", "preservation.request", []step{
			{us, "request.acknowledge", nil, assistance.VoidSide, assistance.Delivered},
			{them, "request.acknowledge", nil, "", assistance.Acknowledged},
			{them, "request.acknowledge", nil, assistance.VoidNotNow, assistance.Acknowledged},
			{us, "clarification.answer", nil, assistance.VoidNotNow, assistance.Acknowledged},
			{them, "clarification.ask", nil, "", assistance.Clarification},
			{them, "clarification.ask", nil, assistance.VoidNotNow, assistance.Clarification},
			{them, "clarification.answer", cites("clarification.ask"), assistance.VoidSide, assistance.Clarification},
			{us, "clarification.answer", cites("request.acknowledge"), assistance.VoidCited, assistance.Clarification},
			{us, "clarification.answer", cites("clarification.ask"), "", assistance.Acknowledged},
			{them, "preservation.preserved", later(59), assistance.VoidUntil, assistance.Acknowledged},
			{them, "answer.complete", nil, assistance.VoidRequest, assistance.Acknowledged},
			{them, "preservation.preserved", later(61), "", assistance.Preserved},
			{us, "preservation.extend", later(61), assistance.VoidUntil, assistance.Preserved},
			{us, "preservation.extend", later(120), "", assistance.Preserved},
			{them, "preservation.preserved", later(60), assistance.VoidUntil, assistance.Preserved},
			{them, "preservation.preserved", later(121), "", assistance.Preserved},
			{them, "preservation.ineffective", nil, "", assistance.Ineffective},
			{us, "preservation.proceed", cites("preservation.ineffective"), "", assistance.Preserved},
			{them, "decision.refuse", refusal("sovereignty"), assistance.VoidNotNow, assistance.Preserved},
			{them, "decision.refuse_part", refusal("below_threshold_penalty"), assistance.VoidGround, assistance.Preserved},
			{them, "decision.refuse_part", refusal("sovereignty"), "", assistance.Preserved},
			{us, "answer.confirm", cites("preservation.preserved"), "", assistance.Preserved},
			{us, "preservation.release", nil, "", assistance.Released},
			{them, "status.update", nil, assistance.VoidNotNow, assistance.Released},
			{us, "answer.feedback", cites("preservation.preserved"), "", assistance.Released},
		}},
		{"conditions, a partial answer, the rest, feedback", "mla.traffic", []step{
			{them, "decision.condition", map[string]any{"conditions": []string{"confidential"}}, "", assistance.Conditions},
			{them, "answer.partial", nil, assistance.VoidNotNow, assistance.Conditions},
			{us, "conditions.decline", cites("decision.condition"), "", assistance.Declined},
			{them, "decision.condition", map[string]any{"conditions": []string{"no_court"}}, "", assistance.Conditions},
			{us, "conditions.agree", cites("decision.condition"), "", assistance.Accepted},
			{them, "answer.partial", nil, "", assistance.Partial},
			{us, "answer.confirm", cites("answer.partial"), "", assistance.Partial},
			{them, "decision.delay", later(-1), assistance.VoidUntil, assistance.Partial},
			{them, "decision.delay", later(9), "", assistance.Partial},
			{them, "answer.complete", nil, "", assistance.Answered},
			{us, "answer.confirm", cites("answer.complete"), "", assistance.Confirmed},
			{us, "answer.feedback", map[string]any{"cites": "answer.complete", "use": []string{"lead"}}, "", assistance.Confirmed},
			{us, "request.close", map[string]any{"outcome": "served"}, "", assistance.Closed},
			{us, "request.withdraw", nil, assistance.VoidNotNow, assistance.Closed},
			{us, "preservation.release", nil, assistance.VoidRequest, assistance.Closed},
		}},
		{"refused, contested, taken up again", "information.request", []step{
			{them, "decision.refuse", refusal("disproportionate"), "", assistance.Refused},
			{us, "request.contest", cites("decision.refuse"), "", assistance.Contested},
			{them, "clarification.ask", nil, "", assistance.Clarification},
			{us, "clarification.answer", cites("clarification.ask"), "", assistance.Contested},
			{them, "decision.transmit", nil, "", assistance.Transmitted},
			{them, "decision.postpone", later(30), "", assistance.Postponed},
			{them, "decision.impossible", map[string]any{"reason": "no_data"}, "", assistance.Impossible},
			{us, "request.close", map[string]any{"outcome": "not_served"}, "", assistance.Closed},
		}},
		{"no decision after a withdrawal that was seen", "advice.request", []step{
			{us, "request.withdraw", map[string]any{"reason": "not_needed"}, "", assistance.Withdrawn},
			{them, "decision.accept", nil, assistance.VoidNotNow, assistance.Withdrawn},
			{them, "advice.request", nil, assistance.VoidAgain, assistance.Withdrawn},
			{us, "message", nil, assistance.VoidKind, assistance.Withdrawn},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { play(t, c.kind, c.steps) })
	}
}

// The table of kinds and the forms of the lane that the edition declares are of the same kinds, and what opens a thread in the one opens
// it in the other.
func TestKindsAreThoseOfTheEdition(t *testing.T) {
	rows := assistance.Kinds()
	forms := slices.DeleteFunc(statement.FormKinds(statement.KindsEdition), func(k statement.FormKind) bool { return k.Lane != statement.Assistance })
	for _, k := range forms {
		i := slices.IndexFunc(rows, func(row assistance.Kind) bool { return row.Name == k.Name })
		if i < 0 || (rows[i].When == nil) != (k.Series != "") || !table().Has(k.Name) {
			t.Errorf("%s: not so in the room's table", k.Name)
		}
	}
	if n := len(forms); n != len(rows) {
		t.Errorf("%d kinds have forms, %d are in the room's table", n, len(rows))
	}
	names := map[string]bool{}
	for _, row := range rows {
		if names[row.Name] {
			t.Errorf("%s stands twice", row.Name)
		}
		names[row.Name] = true
		for _, cited := range row.Cites {
			if !table().Has(cited) {
				t.Errorf("%s cites %s, which is no kind", row.Name, cited)
			}
		}
	}
}

// A column's size does not grow with the thread.
func TestColumnStaysSmall(t *testing.T) {
	h := open(t, "information.request")
	var size int
	for n := range 10_000 {
		next, void := h.say(assistance.Requested, turn(t, "update", "status.update", noon+int64(n)*second, nil))
		if void != nil {
			t.Fatal(void)
		}
		h = next
		if n == 9 {
			size = len(encoded(t, h.columns[assistance.Requested]))
		}
	}
	if got := len(encoded(t, h.columns[assistance.Requested])); got > size+16 {
		t.Errorf("after 10,000 words the column has %d bytes, after ten %d", got, size)
	}
}
