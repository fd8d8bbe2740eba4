package flow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/statement"
)

// hotlines gives each side a hotline desk in Shanghai, open by day, with a liaison desk in Vienna that is always open as substitute.
func (w *world) hotlines() {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		for role, body := range map[string]statement.DeskBody{
			"hotline": {Hours: []statement.Hours{{Days: "mon-fri", From: "09:00", To: "18:00"}}, Zone: "Asia/Shanghai", Substitutes: []string{"liaison"}},
			"liaison": {Always: true, Zone: "Europe/Vienna", Substitutes: []string{}},
		} {
			body.Names, body.Languages = map[string]string{"en": role}, []string{"en"}
			d := deskDraft(s, "desk.propose", nil, statement.DeskFace{Role: role, Standing: "permanent", ValidFrom: 1})
			d.Body = body
			id, err := s.Send(w.t.Context(), operator, d, nil)
			w.must(err)
			w.run()
			other := w.other(s)
			_, err = other.Send(w.t.Context(), operator, countersign(other, id, id), nil)
			w.must(err)
			w.run()
		}
	}
}

// call is a complete call of a side.
func call(s *side, urgency string) flow.RequestDraft {
	d := request(s, "hotline.call", map[string]any{"sentence": "Is the server yours?", "caller": "Duty officer"}, map[string]any{"level": "desk", "kind": "incident"})
	d.Urgency = urgency
	return d
}

func (w *world) onCall(s *side, name statement.Commitment, kind string, face, body map[string]any) {
	w.t.Helper()
	_, err := s.SayOnCall(w.t.Context(), operator, name.String(), request(s, kind, body, face), nil)
	w.must(err)
	w.run()
}

// shows fails unless both sides list the one call alike, in a status; it returns what the called side lists.
func (w *world) shows(status hotline.Status) flow.CallView {
	w.t.Helper()
	var rows [2]hotline.Row
	var view flow.CallView
	for i, s := range []*side{w.a, w.b} {
		list, err := s.Calls(w.t.Context(), operator, hotline.Filter{})
		w.must(err)
		if len(list) != 1 || list[0].Status != status || list[0].Ours != (s == w.a) {
			w.t.Fatalf("%s lists %+v, want one that is %s", s.name, list, status)
		}
		view, rows[i] = list[0], list[0].Row
		rows[i].Link, rows[i].Ours = statement.LinkID{}, false
	}
	if rows[0] != rows[1] {
		w.t.Errorf("the sides list\n%+v\n%+v", rows[0], rows[1])
	}
	return view
}

// A call is answered by a person while its clock runs, and ends when both sides have stood down.
func TestCall(t *testing.T) {
	w := confirmed(t)
	w.hotlines()
	ctx := t.Context()
	made, err := w.a.Call(ctx, operator, call(w.a, ""), nil)
	w.must(err)
	if list, err := w.a.Calls(ctx, operator, hotline.Filter{}); err != nil || len(list) != 1 || list[0].Status != "sent" || list[0].Level != "desk" {
		t.Errorf("before the receipt: %+v, %v", list, err)
	}
	w.run()
	v := w.shows(hotline.Ringing)
	if v.AnswerBy != v.Received+30*60*1e6 || v.Overdue || v.Desk == "" || v.Called != w.b.Self().ID {
		t.Errorf("the call rings as %+v", v)
	}
	w.b.clock.advance(31 * time.Minute)
	if v := w.shows(hotline.Ringing); !v.Overdue {
		t.Error("nobody answered in time, and it is not overdue")
	}
	if _, err := w.a.SayOnCall(ctx, operator, made.Statement.String(), request(w.a, "hotline.acknowledge", map[string]any{"person": "x"}, nil), nil); fault.CodeOf(err) != hotline.VoidSide {
		t.Errorf("the caller answers its own call: %v", err)
	}
	if _, err := w.b.SayOnCall(ctx, operator, made.Statement.String(), request(w.b, "hotline.acknowledge", nil, nil), nil); fault.CodeOf(err) != "incomplete" {
		t.Errorf("nobody answers the call: %v", err)
	}
	w.onCall(w.b, made.Statement, "hotline.acknowledge", nil, map[string]any{"person": "Duty officer"})
	if v := w.shows(hotline.Answered); v.Answered == 0 || v.Overdue || len(v.Ringing) != 0 {
		t.Errorf("answered, it is %+v", v)
	}
	w.onCall(w.b, made.Statement, "hotline.hand_over", nil, map[string]any{"to": "Head of desk"})
	w.onCall(w.a, made.Statement, "hotline.reply", nil, map[string]any{"words": "Thank you."})
	w.onCall(w.a, made.Statement, "hotline.stand_down", map[string]any{"outcome": "settled"}, nil)
	w.shows(hotline.Standing)
	w.onCall(w.b, made.Statement, "hotline.stand_down", map[string]any{"outcome": "settled"}, nil)
	w.shows(hotline.Ended)
	d, err := w.b.ShowCall(ctx, operator, made.Statement.String())
	w.must(err)
	var kinds []string
	for _, word := range d.Timeline {
		kinds = append(kinds, strings.TrimPrefix(word.Kind, "hotline."))
	}
	if want := []string{"call", "acknowledge", "hand_over", "reply", "stand_down", "stand_down"}; !slices.Equal(kinds, want) {
		t.Errorf("the timeline is %q", kinds)
	}
	w.sound()
}

// A call rings until somebody answers, whatever is restarted: before it was opened, while it rings, and at the caller's.
func TestCallSurvivesRestart(t *testing.T) {
	w := confirmed(t)
	w.hotlines()
	ctx := t.Context()
	made, err := w.a.Call(ctx, operator, call(w.a, "emergency"), nil)
	w.must(err)
	w.a.reopen(t)
	w.carry(w.a, w.b) // it is receipted, and perhaps not opened
	w.b.reopen(t)
	w.run()
	before := w.shows(hotline.Ringing)
	w.b.reopen(t)
	w.a.reopen(t)
	if after := w.shows(hotline.Ringing); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after a restart it rings as\n%+v\nand before as\n%+v", after, before)
	}
	rebuilt, err := w.b.Rebuild(ctx, operator, nil)
	w.must(err)
	if after := w.shows(hotline.Ringing); !rebuilt.Identical || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after a rebuild (%+v) it rings as %+v", rebuilt, after)
	}
	w.onCall(w.b, made.Statement, "hotline.acknowledge", nil, map[string]any{"person": "Duty officer"})
	w.b.reopen(t)
	w.shows(hotline.Answered)
	w.sound()
}

// The called party's roster is rung one desk after the other, and a hand-over makes it ring elsewhere, with that desk's roster.
func TestCallClimbsTheLadder(t *testing.T) {
	w := confirmed(t)
	w.hotlines()
	ctx := t.Context()
	desks, err := w.b.Desks(ctx, operator, nil)
	w.must(err)
	role := map[string]string{}
	for _, d := range desks {
		role[d.ID.String()] = d.Role
	}
	made, err := w.a.Call(ctx, operator, call(w.a, "emergency"), nil)
	w.must(err)
	w.run()
	rung := func() string {
		t.Helper()
		v := w.shows(hotline.Ringing)
		var out []string
		for _, r := range v.Ringing {
			out = append(out, role[r.Desk])
		}
		if !v.Next.From.IsZero() {
			out = append(out, "then", role[v.Next.Desk], v.Next.From.Sub(time.UnixMicro(v.Since)).String())
		}
		return strings.Join(out, " ")
	}
	shanghai, err := statement.Zone("Asia/Shanghai")
	w.must(err)
	open := (statement.DeskBody{Hours: []statement.Hours{{Days: "mon-fri", From: "09:00", To: "18:00"}}}).Open(time.UnixMicro(w.shows(hotline.Ringing).Since).In(shanghai))
	if got := rung(); open && got != "hotline then liaison 3m0s" || !open && !strings.HasPrefix(got, "liaison then hotline ") {
		t.Errorf("the desk is open: %v, and it rings %s", open, got)
	}
	w.b.clock.advance(4 * time.Minute)
	if got := rung(); open && got != "hotline liaison" {
		t.Errorf("after four minutes it rings %s", got)
	}
	i := slices.IndexFunc(desks, func(d flow.DeskView) bool { return d.Ours && d.Role == "liaison" })
	w.onCall(w.b, made.Statement, "hotline.hand_over", map[string]any{"to_desk": desks[i].ID.String()}, map[string]any{"to": "Liaison"})
	if got := rung(); got != "liaison" {
		t.Errorf("handed over, it rings %s", got)
	}
	w.sound()
}

// A request is escalated in one step: the call names it, and both sides find its thread from there. A stranger's desk is refused.
func TestEscalate(t *testing.T) {
	w := confirmed(t)
	w.hotlines()
	ctx := t.Context()
	asked := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
	w.run()
	d := call(w.a, "")
	d.Link, d.Face = statement.LinkID{}, map[string]any{"level": "director"}
	made, err := w.a.Escalate(ctx, operator, asked.Number, d, nil)
	w.must(err)
	w.run()
	v := w.shows(hotline.Ringing)
	if v.Request != asked.Statement.String() || v.Kind != "escalation" || v.Level != "director" {
		t.Errorf("the call escalates %+v", v)
	}
	shown, err := w.b.Show(ctx, operator, made.Statement.String())
	w.must(err)
	if !slices.Equal(shown.Text.Refs, []envelope.Hash{asked.Statement}) {
		t.Errorf("the call refers to %v", shown.Text.Refs)
	}
	if r, err := w.b.Request(ctx, operator, v.Request); err != nil || r.Number != asked.Number {
		t.Errorf("the request that the call names: %+v, %v", r.Number, err)
	}
	if _, err := w.a.Reply(ctx, operator, asked.Number, request(w.a, "hotline.reply", map[string]any{"words": "x"}, nil), nil); fault.CodeOf(err) != "unknown_kind" {
		t.Errorf("a word on a call in the thread of a request: %v", err)
	}
	bad := call(w.a, "")
	bad.Face["to_desk"] = asked.Statement.String()
	if _, err := w.a.Call(ctx, operator, bad, nil); fault.CodeOf(err) != "desk" {
		t.Errorf("a call to no desk: %v", err)
	}
	w.sound()
}
