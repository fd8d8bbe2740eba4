package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/internal/member"
	"entente/statement"
)

func (f *fake) Ask(_ context.Context, _ actor.Actor, d flow.RequestDraft, _ flow.Progress) (flow.Asked, error) {
	if err := f.read(d.Files); err != nil {
		return flow.Asked{}, err
	}
	f.asked = d
	return flow.Asked{Statement: said, Number: "ARV-PR-2026-0001", Warnings: []string{"It is night there."}, Earlier: someEarlier()}, f.fail
}

func (f *fake) Reply(_ context.Context, _ actor.Actor, name string, d flow.RequestDraft, _ flow.Progress) (statement.Commitment, error) {
	if err := f.read(d.Files); err != nil {
		return statement.Commitment{}, err
	}
	f.asked, f.alias = d, name
	return said, f.fail
}

func (f *fake) due() flow.DueView {
	return flow.DueView{DueRow: assistance.DueRow{Due: assistance.Due{Link: link, Thread: said, Step: assistance.StepAck, By: arvenia, Ours: true, Desk: ourDesk.String(), Urgency: "urgent",
		From: when.UnixMicro(), At: when.UnixMicro(), Escalate: when.UnixMicro()}, Number: "KES-PR-2026-0001",
		Kind: "preservation.request", Status: assistance.Delivered}, LinkAlias: "kestria", Overdue: true, Reminder: 100}
}

func (f *fake) requestView() flow.RequestView {
	return flow.RequestView{Row: assistance.Row{Link: link, Thread: said, Number: "KES-PR-2026-0001", Kind: "preservation.request", Requesting: kestria,
		Requested: arvenia, Urgency: "urgent", Status: assistance.Delivered, Received: when.UnixMicro(), Changed: when.UnixMicro(), Quiet: true},
		LinkAlias: "kestria", Dues: []flow.DueView{f.due()}}
}

func (f *fake) Requests(_ context.Context, _ actor.Actor, filter assistance.Filter) ([]flow.RequestView, error) {
	f.requested = filter
	return []flow.RequestView{f.requestView()}, f.fail
}

func (f *fake) Request(context.Context, actor.Actor, string) (flow.RequestDetail, error) {
	line := assistance.Printed{Depth: 1, Label: statement.Words{EN: "Facts", ZH: "案情"}, Value: statement.Words{EN: "x", ZH: "x"}}
	word := flow.RequestWord{StatementView: f.statement(), Label: statement.Words{EN: "Accepted", ZH: "接受"}, Form: []assistance.Printed{line}}
	return flow.RequestDetail{RequestView: f.requestView(), Form: []assistance.Printed{line}, Timeline: []flow.RequestWord{word}}, f.fail
}

func (f *fake) Dues(_ context.Context, _ actor.Actor, filter assistance.DueFilter) ([]flow.DueView, error) {
	f.dues = filter
	return []flow.DueView{f.due()}, f.fail
}

// A draft of a request is passed on as it is; what follows from the request may not be in it.
func TestRequestDrafts(t *testing.T) {
	for _, c := range []struct {
		draft, want string // want: the code of the refusal, "" for none
	}{
		{`{"link":"kestria","lane":"assistance","kind":"preservation.request","urgency":"urgent","marking":{"tlp":"AMBER"},"face":{"until":1900000000000000},"body":{"facts":"x"}}`, ""},
		{`{"link":"kestria","lane":"","kind":"preservation.request","marking":{"tlp":"AMBER"},"face":{},"body":{}}`, ""},
		{`{"link":"kestria","lane":"network","kind":"preservation.request","marking":{"tlp":"AMBER"},"face":{},"body":{}}`, "draft"},
		{`{"link":"kestria","lane":"assistance","kind":"preservation.request","thread":"` + said.String() + `","marking":{"tlp":"AMBER"},"face":{},"body":{}}`, "draft"},
		{`{"link":"kestria","lane":"assistance","kind":"preservation.request","marking":{"tlp":"AMBER"},"face":[],"body":{}}`, "face"},
		{`{"link":"nobody","lane":"assistance","kind":"preservation.request","marking":{"tlp":"AMBER"},"face":{},"body":{}}`, "link"},
	} {
		f := newFake()
		base, _ := serve(t, f)
		body, header := form(t, c.draft, "log.txt", "a log")
		resp := request{method: "POST", path: api.Prefix + "/requests", body: body, header: header}.do(t, base)
		if c.want == "" {
			if resp.StatusCode != http.StatusCreated || f.asked.Kind != "preservation.request" || !slices.Equal(f.files, []string{"a log"}) {
				t.Errorf("%s: %d, %+v", c.draft, resp.StatusCode, f.asked)
			}
			continue
		}
		if answer := all(t, resp); !strings.Contains(answer, `"code":"`+c.want+`"`) {
			t.Errorf("%s: %s, want it refused as %s", c.draft, answer, c.want)
		}
	}
}

// Every fault of a draft crosses the interface, and is the same fault on the other side.
func TestFaultsCross(t *testing.T) {
	f := newFake()
	faults := []statement.FieldFault{{Where: "/body/facts", What: "is missing", Write: statement.Words{EN: "Sum up.", ZH: "请说明。"}}, {Where: "/body/more", What: "is not a field"}}
	f.fail = fault.Wrap(fault.Invalid, "incomplete", "It was not sent.", &assistance.Incomplete{Faults: faults})
	base, _ := serve(t, f)
	var problem api.Problem
	body, header := form(t, strings.Replace(draft, `"lane":"network"`, `"lane":"assistance"`, 1))
	resp := request{method: "POST", path: api.Prefix + "/requests/ARV-PR-2026-0001/statements", body: body, header: header}.do(t, base)
	if err := envelope.Unmarshal([]byte(strings.TrimSpace(all(t, resp))), &problem); err != nil {
		t.Fatal(err)
	}
	got := problem.Fault()
	if resp.StatusCode != http.StatusBadRequest || got.Code != "incomplete" || f.alias != "ARV-PR-2026-0001" {
		t.Fatalf("%d, %+v", resp.StatusCode, problem)
	}
	if e, ok := got.Err.(*assistance.Incomplete); !ok || !slices.Equal(e.Faults, faults) {
		t.Errorf("the client has %+v", got.Err)
	}
}

// The filters say what they say.
func TestRequestFilters(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	for path, check := range map[string]func() bool{
		"/requests?box=in":                       func() bool { return !*f.requested.Ours && f.requested.After == nil },
		"/requests?box=out&limit=3":              func() bool { return *f.requested.Ours && f.requested.Limit == 3 },
		"/requests?status=preserved":             func() bool { return f.requested.Status == assistance.Preserved && f.requested.Limit == 50 },
		"/due?of=us&desk=d":                      func() bool { return *f.dues.Ours && f.dues.Desk == "d" },
		"/due?of=them":                           func() bool { return !*f.dues.Ours },
		"/due?until=2031-03-01T12:00:00.123456Z": func() bool { return f.dues.Until == when.UnixMicro() },
	} {
		if resp := (request{method: "GET", path: api.Prefix + path}).do(t, base); resp.StatusCode != http.StatusOK || !check() {
			t.Errorf("%s: %d, %+v, %+v", path, resp.StatusCode, f.requested, f.dues)
		}
	}
	for _, path := range []string{"/requests?box=both", "/due?of=me", "/requests?limit=501", "/forms/message"} {
		if resp := (request{method: "GET", path: api.Prefix + path}).do(t, base); resp.StatusCode < 400 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// A page's cursor names its last row, in every list that is read by instants, and no list takes what is none.
func TestPages(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	after := next(t, base, "/requests?limit=1")
	if next(t, base, "/requests?limit=1&after="+after); *f.requested.After != (assistance.Cursor{Received: when.UnixMicro(), Thread: said}) {
		t.Errorf("the second page of requests begins after %+v", f.requested.After)
	}
	after = next(t, base, "/calls?limit=1")
	if next(t, base, "/calls?limit=1&after="+after); *f.called.After != (hotline.Cursor{Received: when.UnixMicro(), Thread: said}) {
		t.Errorf("the second page of calls begins after %+v", f.called.After)
	}
	after = next(t, base, "/statements?limit=1")
	if next(t, base, "/statements?limit=1&after="+after); *f.filter.After != (exchange.Cursor{Authored: when.UnixMicro(), Commitment: said}) {
		t.Errorf("the second page of statements begins after %+v", f.filter.After)
	}
	after = next(t, base, "/drafts?limit=1")
	if next(t, base, "/drafts?limit=1&after="+after); *f.listed.After != (member.DraftCursor{Changed: when.UnixMicro(), ID: envelope.ID{1}}) {
		t.Errorf("the second page of drafts begins after %+v", f.listed.After)
	}
	for _, path := range []string{"/requests?after=x", "/calls?after=2031-03-01T12:00:00Z", "/requests?before=2031-03-01T12:00:00Z", "/statements?after=x",
		"/statements?before=2031-03-01T12:00:00Z", "/drafts?after=" + next(t, base, "/statements?limit=1"), "/drafts?before=2031-03-01T12:00:00Z"} {
		if resp := (request{method: "GET", path: api.Prefix + path}).do(t, base); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
