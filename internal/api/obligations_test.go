package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/flow"
)

func (f *fake) obligation() flow.ObligationView {
	return flow.ObligationView{Obligation: assistance.Obligation{Link: link, Thread: said, Source: said, Duty: assistance.DutyPreserve, By: kestria,
		Since: when.UnixMicro(), Until: when.UnixMicro(), State: assistance.Owed, Proof: said.String(), Formal: said.String()}, LinkAlias: "kestria",
		Number: "ARV-PR-2026-0001", Kind: "preservation.request", Quiet: true, Over: true, Warning: 7, Held: true}
}

func (f *fake) Obligations(_ context.Context, _ actor.Actor, filter assistance.ObligationFilter) ([]flow.ObligationView, error) {
	f.owed = filter
	return []flow.ObligationView{f.obligation()}, f.fail
}

func (f *fake) ObligationsOf(context.Context, actor.Actor, string) ([]flow.ObligationView, error) {
	return []flow.ObligationView{f.obligation()}, f.fail
}

func (f *fake) holdView(reason string) flow.HoldView {
	return flow.HoldView{Hold: exchange.Hold{Thread: said, Link: link, Reason: reason, Who: "dora", At: when.UnixMicro()}, LinkAlias: "kestria", Kind: "message"}
}

func (f *fake) PlaceHold(_ context.Context, _ actor.Actor, _, reason string) (flow.HoldView, error) {
	return f.holdView(reason), f.fail
}

func (f *fake) LiftHold(_ context.Context, _ actor.Actor, _, reason string) (flow.HoldView, error) {
	return f.holdView(reason), f.fail
}

func (f *fake) Holds(_ context.Context, _ actor.Actor, after exchange.Hold, _ int) ([]flow.HoldView, error) {
	f.heldAfter = after
	return []flow.HoldView{f.holdView("Order 4711")}, f.fail
}

// next is the cursor of a page of one.
func next(t *testing.T, base, path string) string {
	t.Helper()
	answer := all(t, request{method: "GET", path: api.Prefix + path}.do(t, base))
	_, cursor, found := strings.Cut(answer, `"next":"`)
	cursor, _, closed := strings.Cut(cursor, `"`)
	if !found || !closed || cursor == "" {
		t.Fatalf("%s has no cursor: %s", path, answer)
	}
	return cursor
}

// A page's cursor leads to what follows it, and what is none is refused; filters reach the act.
func TestObligationPages(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	status := func(path string) int { return request{method: "GET", path: api.Prefix + path}.do(t, base).StatusCode }
	cursor := next(t, base, "/obligations?limit=1")
	want := f.obligation().Obligation
	if status("/obligations?after="+cursor) != http.StatusOK || f.owed.After == nil || f.owed.After.Compare(want) != 0 ||
		f.owed.After.Thread != want.Thread || f.owed.After.Until != want.Until || f.owed.Limit != 50 {
		t.Errorf("after the cursor: %+v", f.owed)
	}
	if status("/holds?after="+next(t, base, "/holds?limit=1")) != http.StatusOK || f.heldAfter.Thread != said || f.heldAfter.At != when.UnixMicro() {
		t.Errorf("after the cursor of holds: %+v", f.heldAfter)
	}
	for _, path := range []string{"/obligations?after=1", "/obligations?after=x" + cursor, "/obligations?after=" + cursor + "0", "/obligations?state=lost",
		"/obligations?of=all", "/holds?after=1", "/holds?after=x." + said.String(), "/holds?limit=501"} {
		if got := status(path); got != http.StatusBadRequest {
			t.Errorf("%s: %d", path, got)
		}
	}
	for path, check := range map[string]func() bool{
		"/obligations?of=us&duty=preserve": func() bool { return *f.owed.By == arvenia && f.owed.Not == nil && f.owed.Duty == "preserve" },
		"/obligations?of=them&state=done&link=kestria": func() bool {
			return *f.owed.Not == arvenia && f.owed.State == assistance.Done && *f.owed.Link == envelope.Hash(link)
		},
		"/obligations?until=" + when.Format("2006-01-02T15:04:05Z"): func() bool { return f.owed.Until == when.Truncate(1e9).UnixMicro() },
	} {
		if got := status(path); got != http.StatusOK || !check() {
			t.Errorf("%s: %d, %+v", path, got, f.owed)
		}
	}
}
