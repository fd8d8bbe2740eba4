package flow_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/casefile"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/internal/member"
)

// timeline writes a case's timeline, a word or kind a line.
func timeline(d flow.CaseDetail) (out []string) {
	for _, e := range d.Timeline {
		switch {
		case e.Said != nil:
			out = append(out, fmt.Sprint(e.Said.Kind, " ", e.Files))
		case e.Entry.Kind == casefile.Thread:
			out = append(out, "thread")
		default:
			out = append(out, fmt.Sprint(e.Entry.N, " ", e.Entry.Words))
		}
	}
	return out
}

// A case from opening to erasing: notes, tasks with dates, a request, a call and messages with their files in one timeline.
func TestCase(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	later := func() { w.a.clock.advance(time.Minute) }
	opened, err := w.a.OpenCase(ctx, operator, casefile.Heading{Title: "Hospital", Reference: "B 17/26"})
	w.must(err)
	n := opened.Number
	if !strings.HasPrefix(n, "CASE-20") || !strings.HasSuffix(n, "-0001") {
		t.Errorf("its number is %s", n)
	}
	later()
	_, err = w.a.Note(ctx, operator, n, "The server is in Kestria.")
	w.must(err)
	later()
	asked := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
	w.run()
	_, err = w.a.Attach(ctx, operator, strings.ToLower(n), asked.Number)
	w.must(err)
	later()
	w.reply(w.b, asked.Number, "request.acknowledge", nil, map[string]any{"reference": "K-17", "authority": "Kestria Cyber Authority"})
	said := w.message(w.b, "Logs", "attached", nil, fileOf("log.txt", []byte("192.0.2.7")))
	w.run()
	call, err := w.a.Escalate(ctx, operator, asked.Number, call(w.a, ""), nil)
	w.must(err)
	w.run()
	for _, name := range []string{said.String()[:12], call.Statement.String()} {
		_, err = w.a.Attach(ctx, operator, n, name)
		w.must(err)
	}
	if _, err := w.a.Attach(ctx, operator, n, asked.Statement.String()); fault.CodeOf(err) != "attached" {
		t.Errorf("attached twice: %v", err)
	}
	later()
	due := w.a.clock.now().Add(time.Hour).UnixMicro()
	_, err = w.a.AddTask(ctx, operator, n, "Ask the court.", due)
	w.must(err)
	_, err = w.a.AddTask(ctx, operator, n, "Thank them.", 0)
	w.must(err)
	d, err := w.a.Case(ctx, operator, n, 0, 100)
	w.must(err)
	want := []string{"1 The server is in Kestria.", "preservation.request 0", "thread", "request.acknowledge 0", "message 1", "hotline.call 0", "thread", "thread", "5 Ask the court.", "6 Thank them."}
	if got := timeline(d); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) || got[0] != want[0] || got[1] != want[1] || got[9] != want[9] {
		t.Errorf("the timeline is %q", got)
	}
	if d.Title != "Hospital" || d.Reference != "B 17/26" || len(d.Threads) != 3 || d.Threads[0].Number != asked.Number || d.Threads[1].Kind != "message" || d.Threads[2].Kind != "hotline.call" || d.Older {
		t.Errorf("the case is %+v", d)
	}
	if d, err := w.a.Case(ctx, operator, n, 0, 3); err != nil || !d.Older || len(d.Timeline) != 3 || timeline(d)[2] != "6 Thank them." {
		t.Errorf("the latest three: %q, %v", timeline(d), err)
	}
	if d, err := w.a.Case(ctx, operator, n, d.Timeline[1].At+1, 3); err != nil || d.Older || len(d.Timeline) != 2 {
		t.Errorf("the first two: %q, %v", timeline(d), err)
	}
	w.a.clock.advance(2 * time.Hour)
	tasks, err := w.a.Tasks(ctx, operator, casefile.TaskFilter{Limit: 5})
	if err != nil || len(tasks) != 2 || !tasks[0].Overdue || tasks[1].Overdue || tasks[0].Number != n || tasks[0].Words != "Ask the court." {
		t.Errorf("the tasks are %+v, %v", tasks, err)
	}
	done, err := w.a.FinishTask(ctx, operator, n, 5)
	if err != nil || done.DoneBy != "op" || done.Words != "Ask the court." {
		t.Errorf("done: %+v, %v", done, err)
	}
	for task, code := range map[int64]string{5: "task_done", 1: "task", 99: "task"} {
		if _, err := w.a.FinishTask(ctx, operator, n, task); fault.CodeOf(err) != code {
			t.Errorf("task %d is done: %v", task, err)
		}
	}
	if _, err := w.a.EraseCase(ctx, operator, n); fault.CodeOf(err) != "case_open" {
		t.Errorf("an open case is erased: %v", err)
	}
	_, err = w.a.CloseCase(ctx, operator, n)
	w.must(err)
	if _, err := w.a.Note(ctx, operator, n, "More."); fault.CodeOf(err) != "case_closed" {
		t.Errorf("a note in a closed case: %v", err)
	}
	_, err = w.a.ReopenCase(ctx, operator, n)
	w.must(err)
	if _, err := w.a.ReopenCase(ctx, operator, n); fault.CodeOf(err) != "case_state" {
		t.Errorf("reopened twice: %v", err)
	}
	if _, err := w.a.Note(ctx, operator, "CASE-2026-0099", "More."); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a note in no case: %v", err)
	}
	w.sound()
}

// After the erasure of a case neither its key nor what was sealed under it lies anywhere on the disk; its number is not given again.
func TestEraseCase(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c, err := w.a.OpenCase(ctx, operator, casefile.Heading{Title: "Hospital"})
	w.must(err)
	e, err := w.a.Note(ctx, operator, c.Number, "A name.")
	w.must(err)
	var key []byte
	w.a.view(t, func(tx flow.Tx) (err error) {
		key, err = tx.CaseKey(ctx, c.ID)
		return err
	})
	for what, canary := range map[string][]byte{"key": key, "heading": c.Sealed, "note": e.Sealed} {
		if len(canary) == 0 || len(w.onDisk(w.a, canary)) == 0 {
			t.Fatalf("the %s is not found on the disk before the erasure: the search is no test", what)
		}
	}
	_, err = w.a.CloseCase(ctx, operator, c.Number)
	w.must(err)
	for range 2 {
		erased, err := w.a.EraseCase(ctx, operator, c.Number)
		if err != nil || erased.State != casefile.Erased {
			t.Errorf("erased is %+v, %v", erased, err)
		}
	}
	for what, canary := range map[string][]byte{"key": key, "heading": c.Sealed, "note": e.Sealed} {
		if found := w.onDisk(w.a, canary); len(found) > 0 {
			t.Errorf("the %s is still in %v", what, found)
		}
	}
	d, err := w.a.Case(ctx, operator, c.Number, 0, 10)
	if err != nil || d.Title != "" || len(d.Timeline) != 0 || d.State != casefile.Erased {
		t.Errorf("left is %+v, %v", d, err)
	}
	if _, err := w.a.ReopenCase(ctx, operator, c.Number); fault.CodeOf(err) != "case_state" {
		t.Errorf("an erased case is opened again: %v", err)
	}
	if next, err := w.a.OpenCase(ctx, operator, casefile.Heading{Title: "Next"}); err != nil || next.Number == c.Number {
		t.Errorf("the next case has the number %s, %v", next.Number, err)
	}
}

// Canaries in every field that is local, and in the subject and the file name of a confidential request: none is in any byte that
// crosses, in the other party's database and views if it is local, in a log, nor readable on a disk.
func TestNothingLocalLeaks(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.crossed = &bytes.Buffer{}
	var logged bytes.Buffer
	for _, s := range []*side{w.a, w.b} {
		s.log = slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})
		s.reopen(t)
	}
	sealed := []string{"CANARY-title", "CANARY-reference", "CANARY-note", "CANARY-task"}
	local := append(slices.Clone(sealed), "CANARY-hold")
	shared := []string{"CANARY-facts", "CANARY-file", "CANARY-subject"}

	c, err := w.a.OpenCase(ctx, operator, casefile.Heading{Title: local[0], Reference: local[1]})
	w.must(err)
	_, err = w.a.Note(ctx, operator, c.Number, local[2])
	w.must(err)
	_, err = w.a.AddTask(ctx, operator, c.Number, local[3], w.in(1))
	w.must(err)
	d := request(w.a, "preservation.request", preservation(map[string]any{"facts": shared[0]}), map[string]any{"confidential": true})
	d.Files = several(fileOf(shared[1]+".txt", []byte("192.0.2.7")))
	asked := w.ask(w.a, d)
	w.message(w.a, shared[2], "see the request", nil)
	w.run()
	_, err = w.a.Attach(ctx, operator, c.Number, asked.Number)
	w.must(err)
	_, err = w.a.PlaceHold(ctx, dpo, asked.Statement.String(), local[4])
	w.must(err)
	if _, err := w.a.Erase(ctx, operator, asked.Statement.String(), flow.EraseOrder{Reason: "order", Tell: true}); fault.CodeOf(err) != "legal_hold" {
		t.Errorf("what is held is erased: %v", err)
	}
	w.reply(w.b, asked.Number, "preservation.preserved", map[string]any{"until": w.in(61)}, nil)
	w.run()
	_, err = w.a.CloseCase(ctx, operator, c.Number)
	w.must(err)
	w.a.clock.advance(45 * 24 * time.Hour)
	for _, s := range []*side{w.a, w.b} {
		_, err := s.WarnOfEnds(ctx)
		w.must(err)
	}
	w.cosign()

	ours, err := w.a.Case(ctx, operator, c.Number, 0, 100)
	w.must(err)
	for _, canary := range sealed {
		if !strings.Contains(fmt.Sprintf("%+v %+v %+v", ours.Heading, ours.Timeline[0].Entry, ours.Timeline[1].Entry), canary) {
			t.Fatalf("our own view lacks %s: the search is no test", canary)
		}
	}
	theirs := w.seen(w.b)
	for _, canary := range shared {
		if !strings.Contains(theirs, canary) {
			t.Fatalf("the other party cannot read %s: the search is no test", canary)
		}
	}
	for _, canary := range slices.Concat(local, shared) {
		if bytes.Contains(w.crossed.Bytes(), []byte(canary)) {
			t.Errorf("%s crossed in the clear", canary)
		}
		if strings.Contains(logged.String(), canary) {
			t.Errorf("%s was logged", canary)
		}
		for _, s := range []*side{w.a, w.b} {
			if found := w.onDisk(s, []byte(canary)); len(found) > 0 && (s == w.b || canary != "CANARY-hold") { // a hold lies open in its own node's database
				t.Errorf("%s lies readable on the disk of %s, in %v", canary, s.name, found)
			}
		}
	}
	for _, canary := range append(local, c.Number) {
		if strings.Contains(theirs, canary) {
			t.Errorf("the other party sees %s", canary)
		}
	}
	if strings.Contains(logged.String(), asked.Number) || w.crossed.Len() < 10_000 || logged.Len() == 0 {
		t.Errorf("the confidential request was logged by its number, or nothing was looked at: %d bytes crossed", w.crossed.Len())
	}
}

// seen is everything that a side's members can read of what it holds.
func (w *world) seen(s *side) string {
	w.t.Helper()
	ctx := w.t.Context()
	var b strings.Builder
	said, err := s.List(ctx, operator, exchange.Filter{Limit: 100})
	w.must(err)
	for _, v := range said {
		shown := w.shown(s, v.Commitment)
		fmt.Fprintf(&b, "%s %s %+v\n", shown.Text.Face, shown.Body, shown.Files)
	}
	requests, err := s.Requests(ctx, operator, assistance.Filter{Limit: 100})
	w.must(err)
	calls, err := s.Calls(ctx, operator, hotline.Filter{Limit: 100})
	w.must(err)
	owed, err := s.Obligations(ctx, operator, assistance.ObligationFilter{Limit: 100})
	w.must(err)
	cases, err := s.Cases(ctx, operator, casefile.Filter{Limit: 100})
	w.must(err)
	holds, err := s.Holds(ctx, operator, exchange.Hold{}, 100)
	w.must(err)
	drafts, err := s.Drafts(ctx, operator, member.DraftFilter{Limit: 100})
	w.must(err)
	audits, err := s.Audits(ctx, operator, 0, 100)
	w.must(err)
	data, err := envelope.Marshal([]any{requests, calls, owed, cases, holds, drafts, audits})
	w.must(err)
	return b.String() + string(data)
}
