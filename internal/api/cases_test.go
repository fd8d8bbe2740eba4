package api_test

import (
	"context"
	"net/http"
	"testing"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/casefile"
	"entente/internal/exchange"
	"entente/internal/flow"
)

func (f *fake) caseView() flow.CaseView {
	return flow.CaseView{Case: casefile.Case{ID: envelope.ID{1}, Number: "CASE-2026-0001", State: casefile.Open, Opened: when.UnixMicro(), Changed: when.UnixMicro()},
		Heading: casefile.Heading{Title: "Hospital", Reference: "B 17/26"}}
}

func (f *fake) entryView(kind casefile.EntryKind) flow.EntryView {
	return flow.EntryView{Entry: casefile.Entry{Case: envelope.ID{1}, N: 3, Kind: kind, At: when.UnixMicro(), Who: "anna", Due: when.UnixMicro(),
		Done: when.UnixMicro(), DoneBy: "bo", Thread: said, Link: link}, Number: "CASE-2026-0001", Words: "Ask.", Overdue: true}
}

func (f *fake) OpenCase(_ context.Context, _ actor.Actor, h casefile.Heading) (flow.CaseView, error) {
	f.title = h
	return f.caseView(), f.fail
}

func (f *fake) Cases(_ context.Context, _ actor.Actor, filter casefile.Filter) ([]flow.CaseView, error) {
	f.cases = filter
	return []flow.CaseView{f.caseView()}, f.fail
}

func (f *fake) Case(context.Context, actor.Actor, string, int64, int) (flow.CaseDetail, error) {
	note := f.entryView(casefile.Note)
	return flow.CaseDetail{CaseView: f.caseView(), Threads: []flow.CaseThread{{Thread: said, LinkAlias: "kestria", Kind: "preservation.request", Number: "ARV-PR-2026-0001"}},
		Timeline: []flow.CaseEvent{{At: when.UnixMicro(), Entry: &note}, {At: when.UnixMicro(), Said: &exchange.Statement{Commitment: said, Thread: said, Kind: "message", Author: arvenia}, Files: 2}},
		Older:    true}, f.fail
}

func (f *fake) Note(_ context.Context, _ actor.Actor, _, words string) (flow.EntryView, error) {
	f.written = casefile.Entry{Kind: casefile.Note, Sealed: []byte(words)}
	return f.entryView(casefile.Note), f.fail
}

func (f *fake) AddTask(_ context.Context, _ actor.Actor, _, words string, due int64) (flow.EntryView, error) {
	f.written = casefile.Entry{Kind: casefile.Task, Sealed: []byte(words), Due: due}
	return f.entryView(casefile.Task), f.fail
}

func (f *fake) FinishTask(_ context.Context, _ actor.Actor, _ string, n int64) (flow.EntryView, error) {
	f.written = casefile.Entry{Kind: casefile.Task, N: n}
	return f.entryView(casefile.Task), f.fail
}

func (f *fake) Attach(_ context.Context, _ actor.Actor, _, name string) (flow.EntryView, error) {
	f.written = casefile.Entry{Kind: casefile.Thread, Sealed: []byte(name)}
	return f.entryView(casefile.Thread), f.fail
}

func (f *fake) CloseCase(context.Context, actor.Actor, string) (flow.CaseView, error) {
	return f.caseView(), f.fail
}

func (f *fake) ReopenCase(context.Context, actor.Actor, string) (flow.CaseView, error) {
	return f.caseView(), f.fail
}

func (f *fake) EraseCase(context.Context, actor.Actor, string) (casefile.Case, error) {
	return f.caseView().Case, f.fail
}

func (f *fake) Tasks(_ context.Context, _ actor.Actor, filter casefile.TaskFilter) ([]flow.EntryView, error) {
	f.tasks = filter
	return []flow.EntryView{f.entryView(casefile.Task)}, f.fail
}

// What is written in a case reaches its act; pages of tasks go on where the one before ended; what cannot be is refused.
func TestCaseRoutes(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	do := func(method, path, body string) int {
		return request{method: method, path: api.Prefix + path, body: body}.do(t, base).StatusCode
	}
	const one = "/cases/CASE-2026-0001"
	for _, c := range []struct {
		path, body string
		check      func() bool
	}{
		{"/cases", `{"title":"Hospital","reference":"B 17/26"}`, func() bool { return f.title == f.caseView().Heading }},
		{one + "/notes", `{"words":"A note."}`, func() bool { return f.written.Kind == casefile.Note && string(f.written.Sealed) == "A note." }},
		{one + "/tasks", `{"words":"Ask.","due":"2031-03-01T12:00:00Z"}`, func() bool {
			return f.written.Due == when.Truncate(1e9).UnixMicro() && string(f.written.Sealed) == "Ask."
		}},
		{one + "/tasks", `{"words":"Ask."}`, func() bool { return f.written.Due == 0 }},
		{one + "/tasks/3/completions", `{}`, func() bool { return f.written.N == 3 }},
		{one + "/threads", `{"name":"ARV-PR-2026-0001"}`, func() bool { return string(f.written.Sealed) == "ARV-PR-2026-0001" }},
	} {
		if got := do("POST", c.path, c.body); got != http.StatusCreated || !c.check() {
			t.Errorf("%s: %d, %+v", c.path, got, f.written)
		}
	}
	if do("GET", "/cases?state=closed&limit=3", "") != http.StatusOK || f.cases.State != casefile.Closed || f.cases.Limit != 3 {
		t.Errorf("the filter is %+v", f.cases)
	}
	if do("GET", "/tasks?after="+next(t, base, "/tasks?limit=1"), "") != http.StatusOK || f.tasks.After == nil || f.tasks.After.Case != (envelope.ID{1}) || f.tasks.After.N != 3 || f.tasks.After.Due != when.UnixMicro() {
		t.Errorf("after the cursor: %+v", f.tasks.After)
	}
	for path, body := range map[string]string{"/tasks?after=1": "", "/tasks?after=1.x.2": "", "/tasks?limit=501": "", one + "?limit=501": "",
		one + "/tasks/x/completions": `{}`, one + "/tasks": `{"words":"Ask.","due":"1960-01-01T00:00:00Z"}`, one + "/notes": `{"more":1}`} {
		method := "GET"
		if body != "" {
			method = "POST"
		}
		if got := do(method, path, body); got != http.StatusBadRequest {
			t.Errorf("%s: %d", path, got)
		}
	}
}
