package flow_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
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

// desks gives each side an active desk for requests, and returns theirs.
func (w *world) requestDesks() map[*side]statement.Commitment {
	w.t.Helper()
	ids := map[*side]statement.Commitment{}
	for _, s := range []*side{w.a, w.b} {
		d := deskDraft(s, "desk.propose", nil, statement.DeskFace{Role: "requests", Standing: "permanent", ValidFrom: 1})
		d.Body = statement.DeskBody{Names: map[string]string{"en": "Requests"}, Hours: []statement.Hours{{Days: "mon-fri", From: "09:00", To: "18:00"}},
			Zone: "Asia/Shanghai", Languages: []string{"en"}, Substitutes: []string{}}
		id, err := s.Send(w.t.Context(), operator, d, nil)
		w.must(err)
		ids[s] = id
	}
	w.run()
	for s, other := range map[*side]*side{w.a: w.b, w.b: w.a} {
		_, err := s.Send(w.t.Context(), operator, countersign(s, ids[other], ids[other]), nil)
		w.must(err)
	}
	w.run()
	return ids
}

func request(s *side, kind string, body map[string]any, face map[string]any) flow.RequestDraft {
	data, err := envelope.Marshal(body)
	if err != nil {
		panic(err)
	}
	return flow.RequestDraft{Link: s.link, Kind: kind, Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: data}
}

func (w *world) ask(s *side, d flow.RequestDraft) flow.Asked {
	w.t.Helper()
	asked, err := s.Ask(w.t.Context(), operator, d, nil)
	w.must(err)
	return asked
}

func (w *world) reply(s *side, name, kind string, face, body map[string]any) statement.Commitment {
	w.t.Helper()
	c, err := s.Reply(w.t.Context(), operator, name, request(s, kind, body, face), nil)
	w.must(err)
	return c
}

// stands fails unless both sides show a request in a status, with the same clocks.
func (w *world) stands(name string, status assistance.Status, steps ...string) {
	w.t.Helper()
	var clocks [2][]string
	for i, s := range []*side{w.a, w.b} {
		d, err := s.Request(w.t.Context(), operator, name)
		w.must(err)
		if d.Status != status {
			w.t.Errorf("%s shows %s, want %s", s.name, d.Status, status)
		}
		var running []string
		for _, c := range d.Dues {
			clocks[i] = append(clocks[i], fmt.Sprint(c.Step, c.By, c.Desk, c.From, c.At, c.Escalate))
			running = append(running, c.Step)
		}
		if !slices.Equal(running, steps) {
			w.t.Errorf("%s has the clocks %q, want %q", s.name, running, steps)
		}
	}
	if !slices.Equal(clocks[0], clocks[1]) {
		w.t.Errorf("the clocks differ: %q and %q", clocks[0], clocks[1])
	}
}

// A preservation request from asking to closing, with the machines' clocks a day apart: both sides show the same status and the
// same instants at each step, and a rebuild makes the same rows.
func TestRequestIsAnswered(t *testing.T) {
	for _, ahead := range []time.Duration{0, 24 * time.Hour, -24 * time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			a, b := newClock(), newClock()
			b.advance(ahead)
			w := newWorldAt(t, a, b)
			w.confirm()
			desks := w.requestDesks()
			hour := func() { a.advance(time.Hour); b.advance(time.Hour) }
			asked := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
			if asked.Number != "ARV-PR-2026-0001" {
				t.Errorf("the number is %s", asked.Number)
			}
			list, err := w.a.Requests(t.Context(), operator, assistance.Filter{Limit: 10})
			w.must(err)
			if len(list) != 1 || list[0].Status != flow.Sent || list[0].Number != asked.Number {
				t.Errorf("before it is received the list is %+v", list)
			}
			w.run()
			n := asked.Number
			w.stands(n, assistance.Delivered, "ack", "decide", "answer")
			hour()
			w.reply(w.b, n, "request.acknowledge", nil, map[string]any{"reference": "K-17", "authority": "Kestria Cyber Authority"})
			w.run()
			w.stands(n, assistance.Acknowledged, "decide", "answer")
			before := dueAt(t, w.b, n, "answer")
			w.reply(w.b, n, "clarification.ask", nil, map[string]any{"questions": "1. Which logs?"})
			w.run()
			w.stands(n, assistance.Clarification, "clarify")
			hour()
			hour()
			w.reply(w.a, n, "clarification.answer", nil, map[string]any{"answers": "1. Those of the web server."})
			w.run()
			w.stands(n, assistance.Acknowledged, "decide", "answer")
			if d := time.Duration(dueAt(t, w.b, n, "answer")-before) * time.Microsecond; d < 2*time.Hour || d > 2*time.Hour+time.Second {
				t.Errorf("the pause of two hours put the answer off by %s", d)
			}
			until := b.now().Add(61 * 24 * time.Hour).UnixMicro()
			w.reply(w.b, n, "preservation.preserved", map[string]any{"until": until}, nil)
			w.run()
			w.stands(n, assistance.Preserved, "expiry")
			w.reply(w.a, n, "preservation.extend", map[string]any{"until": until + 1}, map[string]any{"necessity": "The court needs longer."})
			w.run()
			w.stands(n, assistance.Preserved, "decide", "expiry")
			w.reply(w.a, n, "answer.confirm", nil, nil)
			w.reply(w.a, n, "preservation.release", nil, nil)
			w.run()
			w.stands(n, assistance.Released)

			d, err := w.b.Request(t.Context(), operator, asked.Statement.String()[:12])
			w.must(err)
			if len(d.Timeline) != 8 || d.Timeline[0].Label.ZH != "数据保全请求" || d.Ours || len(d.Form) < 20 {
				t.Errorf("Kestria shows %d words, %q first, with %d lines", len(d.Timeline), d.Timeline[0].Label, len(d.Form))
			}
			if d.Timeline[0].Text.Marking.TLP != "AMBER" || d.Form[0].Value.EN != asked.Number || desks[w.b].IsZero() {
				t.Errorf("the form begins with %+v", d.Form[0])
			}
			w.sound()
		})
	}
}

func dueAt(t *testing.T, s *side, number, step string) int64 {
	t.Helper()
	d, err := s.Request(t.Context(), operator, number)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Dues {
		if c.Step == step {
			return c.At
		}
	}
	t.Fatalf("no clock for %s", step)
	return 0
}

// What would bounce is not sent: every fault is listed, it is kept as a draft, no number is used up.
func TestIncompleteIsNotSent(t *testing.T) {
	w := confirmed(t)
	w.requestDesks()
	for _, c := range []struct {
		name   string
		change func(*flow.RequestDraft)
		want   []string
	}{
		{"elements missing", func(d *flow.RequestDraft) {
			*d = request(w.a, "preservation.request", map[string]any{"language": "en", "mla_intended": false}, nil)
		}, []string{"/body/requested_authority", "/body/requesting_authority", "/body/offences", "/body/facts", "/body/categories", "/body/data",
			"/body/relation", "/body/custodian", "/body/necessity", "/body/mla_intended"}},
		{"urgent for no reason", func(d *flow.RequestDraft) { d.Urgency = "urgent" }, []string{"/body/urgency_reason"}},
		{"until yesterday", func(d *flow.RequestDraft) { d.Face = map[string]any{"until": int64(1)} }, []string{"/face/until"}},
		{"a period reversed, another without a zone, an unknown offence, an answer by yesterday", func(d *flow.RequestDraft) {
			*d = request(w.a, "preservation.request", preservation(map[string]any{
				"offences": []any{map[string]any{"class": "gossip", "conduct": "They talked.", "provision": "None"}},
				"identifiers": []any{
					map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T10:00:00", "to": "2026-03-01T09:00:00", "zone": "UTC"},
					map[string]any{"type": "ip", "value": "192.0.2.8", "from": "2026-03-01T10:00:00"},
				}}), nil)
			d.ReplyBy = new(int64(1))
		}, []string{"/body/offences/0/class", "/body/identifiers/0/to", "/body/identifiers/1/zone", "/reply_by"}},
		{"a face of its own", func(d *flow.RequestDraft) { d.Face = map[string]any{"secret": "x", "use": "gossip"} }, []string{"/face/secret", "/face/use"}},
	} {
		before := w.record(w.a)
		d := request(w.a, "preservation.request", preservation(nil), nil)
		c.change(&d)
		_, err := w.a.Ask(t.Context(), operator, d, nil)
		incomplete, ok := errors.AsType[*assistance.Incomplete](err)
		if !ok || fault.CodeOf(err) != "incomplete" {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if kept, err := w.a.Drafts(t.Context(), operator, member.DraftFilter{State: member.Incomplete, Limit: 1}); err != nil || len(kept) != 1 || kept[0].Kind != d.Kind {
			t.Errorf("%s: kept are %+v, %v", c.name, kept, err)
		}
		var where []string
		for _, f := range incomplete.Faults {
			where = append(where, f.Where)
			if f.Write.EN == "" || f.Write.ZH == "" {
				t.Errorf("%s: nobody says what to write at %s", c.name, f.Where)
			}
		}
		if !slices.Equal(where, c.want) {
			t.Errorf("%s: faults at %q, want %q", c.name, where, c.want)
		}
		w.same(w.a, before, c.name)
	}
	if asked := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil)); asked.Number != "ARV-PR-2026-0001" {
		t.Errorf("the first that was sent has the number %s", asked.Number)
	}
	w.run()
	before := w.record(w.b)
	if _, err := w.b.Reply(t.Context(), operator, "ARV-PR-2026-0001", request(w.b, "decision.refuse", map[string]any{}, map[string]any{"ground": "whim", "reasons": "given"}), nil); fault.CodeOf(err) != "incomplete" {
		t.Errorf("an unknown ground: %v", err)
	}
	if _, err := w.b.Reply(t.Context(), operator, "arv-pr-2026-0001", request(w.b, "conditions.agree", map[string]any{}, nil), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a word that cites nothing: %v", err)
	}
	w.same(w.b, before, "a refused answer")
	if _, err := w.b.Reply(t.Context(), operator, "ARV-PR-2026-0002", request(w.b, "decision.accept", map[string]any{}, nil), nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an answer to no request: %v", err)
	}
}

// A file that is not the one that was declared keeps everything from leaving, whether it would be sent at once or kept for a second person:
// its place is named, and nothing of it is stored.
func TestFileIsNotTheOneDeclared(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	good, meant := []byte("the log"), envelope.Sum([]byte("another log"))
	for _, tlp := range []string{handling.TLPAmber, handling.TLPRed} {
		before := w.record(w.a)
		d := request(w.a, "preservation.request", preservation(nil), nil)
		d.Marking.TLP = tlp
		first, second := fileOf("one.txt", good), fileOf("two.txt", good)
		first.SHA256, second.SHA256 = new(envelope.Sum(good)), &meant
		d.Files = several(first, second)
		_, err := w.a.Ask(ctx, operator, d, nil)
		incomplete, ok := errors.AsType[*assistance.Incomplete](err)
		if !ok || fault.CodeOf(err) != "file_digest" || len(incomplete.Faults) != 1 || incomplete.Faults[0].Where != "/files/1/sha256" {
			t.Errorf("%s: %v", tlp, err)
		}
		w.same(w.a, before, "a file that is another")
		if kept, err := w.a.Drafts(ctx, operator, member.DraftFilter{Limit: 9}); err != nil || len(kept) > 0 || len(w.a.blobs.blobs) > 0 {
			t.Errorf("%s: kept are %d drafts and %d files, %v", tlp, len(kept), len(w.a.blobs.blobs), err)
		}
	}
	d := request(w.a, "preservation.request", preservation(nil), nil)
	file := fileOf("one.txt", good)
	file.SHA256 = new(envelope.Sum(good))
	d.Files = several(file)
	w.ask(w.a, d)
}

// Requests that are made at the same time have different numbers, and none is left out: each with its file, which is read and sealed
// once, however often a number was taken by another.
func TestNumbersAreTakenOnce(t *testing.T) {
	w := confirmed(t)
	var wg sync.WaitGroup
	got := make([]string, 12)
	said := make([]statement.Commitment, len(got))
	for i := range got {
		wg.Go(func() {
			d := request(w.a, "preservation.request", preservation(nil), nil)
			d.Files = several(fileOf("log.txt", fmt.Appendf(nil, "the log of request %d", i)))
			asked, err := w.a.Ask(t.Context(), operator, d, nil)
			if err != nil {
				t.Error(err)
			}
			got[i], said[i] = asked.Number, asked.Statement
		})
	}
	wg.Wait()
	if n := len(w.a.blobs.blobs); n != len(got) {
		t.Errorf("%d sealed files for %d requests", n, len(got))
	}
	w.run()
	for i, c := range said {
		for _, s := range []*side{w.a, w.b} {
			var content bytes.Buffer
			if err := s.WriteFile(t.Context(), operator, c, 0, &content); err != nil || content.String() != fmt.Sprint("the log of request ", i) {
				t.Errorf("%s has %q, %v", s.name, &content, err)
			}
		}
	}
	slices.Sort(got)
	for i, number := range got {
		if want := fmt.Sprintf("ARV-PR-2026-%04d", i+1); number != want {
			t.Errorf("number %s, want %s", number, want)
		}
	}
}

// What is due is listed by who owes it, and by desk, the earliest first; what is overdue stays in the list.
func TestDues(t *testing.T) {
	w := confirmed(t)
	desks := w.requestDesks()
	w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
	emergency := request(w.a, "preservation.request", preservation(map[string]any{"urgency_reason": "Lives are at risk."}), nil)
	emergency.Urgency = "emergency"
	w.ask(w.a, emergency)
	w.run()
	ours := true
	list := func(f assistance.DueFilter) []string {
		t.Helper()
		f.Limit = 10
		dues, err := w.b.Dues(t.Context(), operator, f)
		w.must(err)
		var got []string
		for _, d := range dues {
			got = append(got, fmt.Sprint(d.Number[12:], " ", d.Step, " ", d.Overdue, " ", d.Reminder, " ", d.Ours))
		}
		return got
	}
	want := []string{"0002 ack false 0 true", "0002 answer false 0 true", "0002 decide false 0 true", "0001 ack false 0 true", "0001 decide false 0 true", "0001 answer false 0 true"}
	if got := list(assistance.DueFilter{Ours: &ours, Desk: desks[w.b].String()}); !slices.Equal(got, want) {
		t.Errorf("due at the desk: %q", got)
	}
	if got := list(assistance.DueFilter{Desk: desks[w.a].String()}); len(got) > 0 {
		t.Errorf("due at another desk: %q", got)
	}
	w.b.clock.advance(16 * time.Minute)
	if got := list(assistance.DueFilter{})[0]; got != "0002 ack false 50 true" {
		t.Errorf("after half of its time: %s", got)
	}
	w.b.clock.advance(100 * 24 * time.Hour)
	if got := list(assistance.DueFilter{}); len(got) != 6 || got[5] != "0001 answer true 100 true" {
		t.Errorf("long after: %q", got)
	}
	w.stands("ARV-PR-2026-0001", assistance.Delivered, "ack", "decide", "answer")
	if got, err := w.b.Requests(t.Context(), operator, assistance.Filter{Limit: 1}); err != nil || len(got) != 1 || len(got[0].Dues) != 3 || got[0].LinkAlias != "arvenia" {
		t.Errorf("a list of one: %+v, %v", got, err)
	}
}
