package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/statement"
)

func (f *fake) Call(_ context.Context, _ actor.Actor, d flow.RequestDraft, _ flow.Progress) (flow.Called, error) {
	f.asked = d
	return flow.Called{Statement: said, Warnings: []string{"It is night there."}}, f.fail
}

func (f *fake) Escalate(ctx context.Context, who actor.Actor, request string, d flow.RequestDraft, p flow.Progress) (flow.Called, error) {
	f.alias = request
	return f.Call(ctx, who, d, p)
}

func (f *fake) SayOnCall(_ context.Context, _ actor.Actor, name string, d flow.RequestDraft, _ flow.Progress) (statement.Commitment, error) {
	f.asked, f.alias = d, name
	return said, f.fail
}

func (f *fake) callView() flow.CallView {
	return flow.CallView{Row: hotline.Row{Link: link, Thread: said, Level: "desk", Kind: "escalation", Urgency: "urgent", Calling: kestria, Called: arvenia,
		Status: hotline.Ringing, Desk: ourDesk.String(), Request: said.String(), Received: when.UnixMicro(), Since: when.UnixMicro(),
		AnswerBy: when.UnixMicro(), Changed: when.UnixMicro()}, LinkAlias: "kestria", Overdue: true,
		Ringing: []hotline.Rung{{Desk: ourDesk.String(), From: when}}, Next: hotline.Rung{Desk: desk.String(), From: when.Add(time.Minute)}}
}

func (f *fake) Calls(_ context.Context, _ actor.Actor, filter hotline.Filter) ([]flow.CallView, error) {
	f.called = filter
	return []flow.CallView{f.callView()}, f.fail
}

func (f *fake) ShowCall(context.Context, actor.Actor, string) (flow.CallDetail, error) {
	return flow.CallDetail{CallView: f.callView(), Timeline: []flow.RequestWord{{StatementView: f.statement()}}}, f.fail
}

// A draft for the hotline goes to the act that its path names, and nothing of it to another lane.
func TestCallDrafts(t *testing.T) {
	const word = `{"link":"kestria","lane":"hotline","kind":"hotline.call","marking":{"tlp":"AMBER"},"face":{},"body":{}}`
	f := newFake()
	base, _ := serve(t, f)
	for path, name := range map[string]string{"/calls": "", "/requests/ARV-PR-2026-0001/calls": "ARV-PR-2026-0001", "/calls/" + said.String() + "/statements": said.String()} {
		f.alias, f.asked = "", flow.RequestDraft{}
		body, header := form(t, word)
		resp := request{method: "POST", path: api.Prefix + path, body: body, header: header}.do(t, base)
		if resp.StatusCode != http.StatusCreated || f.alias != name || f.asked.Kind != "hotline.call" {
			t.Errorf("%s: %d, %q, %+v", path, resp.StatusCode, f.alias, f.asked)
		}
		body, header = form(t, strings.Replace(word, `"lane":"hotline"`, `"lane":"assistance"`, 1))
		resp = request{method: "POST", path: api.Prefix + path, body: body, header: header}.do(t, base)
		if answer := all(t, resp); !strings.Contains(answer, `"code":"draft"`) {
			t.Errorf("%s in another lane: %s", path, answer)
		}
	}
}

func TestCallFilters(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	for path, check := range map[string]func() bool{
		"/calls?box=in&status=ringing": func() bool {
			return !*f.called.Ours && f.called.Status == hotline.Ringing && f.called.Limit == 50
		},
		"/calls?box=out&limit=3": func() bool { return *f.called.Ours && f.called.Limit == 3 },
	} {
		if resp := (request{method: "GET", path: api.Prefix + path}).do(t, base); resp.StatusCode != http.StatusOK || !check() {
			t.Errorf("%s: %d, %+v", path, resp.StatusCode, f.called)
		}
	}
	if resp := (request{method: "GET", path: api.Prefix + "/calls?box=both"}).do(t, base); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a box that is none: %d", resp.StatusCode)
	}
}
