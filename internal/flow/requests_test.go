package flow_test

import (
	"maps"
	"testing"

	"entente/handling"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// contact is an authority, as forms want it.
func contact(name string) map[string]any {
	return map[string]any{"organisation": name + " Cyber Authority", "zone": "Asia/Shanghai", "mail": "desk@" + name + ".example"}
}

// preservation is the body of a complete request.
func preservation(change map[string]any) map[string]any {
	body := map[string]any{
		"language": "en", "requested_authority": "Kestria Cyber Authority", "requesting_authority": contact("arvenia"),
		"offences": []any{map[string]any{"class": "ransomware", "conduct": "Files of a hospital were encrypted.", "provision": "Criminal Code, section 303b"}},
		"facts":    "On 1 March the server below was used.", "categories": []string{"traffic", "subscriber"}, "data": "Logs of the server.",
		"identifiers": []any{map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T09:00:00", "to": "2026-03-01T10:00:00", "zone": "UTC", "port": 443}},
		"relation":    "The server gave the orders.", "custodian": "Example Hosting, Kestria", "necessity": "Logs are kept for thirty days.", "mla_intended": true,
	}
	maps.Copy(body, change)
	return body
}

// word is a draft of a statement of the assistance lane.
func word(s *side, kind string, thread *statement.Commitment, face, body map[string]any) flow.Draft {
	if face == nil {
		face = map[string]any{}
	}
	if body == nil {
		body = map[string]any{}
	}
	return flow.Draft{Link: s.link, Lane: statement.Assistance, Kind: kind, Thread: thread, Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: body}
}

// A withdrawal and a decision that cross on the wire: both stand on both sides, with one hash at the common cut; and what is
// out of turn is refused before it leaves.
func TestRequestCrosses(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	say := func(s *side, kind string, thread *statement.Commitment, face, body map[string]any) statement.Commitment {
		t.Helper()
		c, err := s.Send(ctx, operator, word(s, kind, thread, face, body), nil)
		w.must(err)
		return c
	}
	asked := say(w.a, "preservation.request", nil, map[string]any{"number": "ARV-PR-2026-0001", "status": "new", "days": "Asia/Shanghai"}, preservation(nil))
	w.run()
	wantFault(t, w.b, word(w.b, "request.withdraw", &asked, map[string]any{"reason": "mistaken"}, nil), "other_party")
	wantFault(t, w.a, word(w.a, "conditions.agree", &asked, map[string]any{"cites": asked.String()}, nil), "not_now")
	wantFault(t, w.b, word(w.b, "decision.refuse", &asked, map[string]any{"ground": "disproportionate", "reasons": "withheld"}, nil), "ground")
	withdrawn := say(w.a, "request.withdraw", &asked, map[string]any{"reason": "obtained_elsewhere"}, nil)
	accepted := say(w.b, "decision.accept", &asked, nil, nil)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		for _, c := range []statement.Commitment{asked, withdrawn, accepted} {
			v, err := s.Show(ctx, operator, c.String())
			w.must(err)
			if v.Verdict != "folded" {
				t.Errorf("%s has %s %s", s.name, v.Kind, v.Verdict)
			}
		}
	}
	wantFault(t, w.b, word(w.b, "status.update", &asked, nil, map[string]any{"words": "We go on."}), "not_now")
	w.sound()
}

// wantFault fails unless saying a draft is refused with this code.
func wantFault(t *testing.T, s *side, d flow.Draft, code string) {
	t.Helper()
	if _, err := s.Send(t.Context(), operator, d, nil); fault.CodeOf(err) != code {
		t.Errorf("%s says %s: %v, want it refused as %s", s.name, d.Kind, err, code)
	}
}
