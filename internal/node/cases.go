package node

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"entente/internal/api"
)

// What a client sends and gets about our own cases, as the API describes it.
type (
	Case       = api.Case
	CaseDetail = api.CaseDetail
	CaseEntry  = api.CaseEntry
	CaseEvent  = api.CaseEvent
	CaseList   = api.List[api.Case]
	TaskList   = api.List[api.CaseEntry]
	NewCase    = api.NewCase
	NewTask    = api.NewTask
)

func casePath(number string, more string) string { return "/cases/" + url.PathEscape(number) + more }

// OpenCase opens a case of our own.
func (c *Client) OpenCase(ctx context.Context, n NewCase) (Case, error) {
	return post[Case](ctx, c, "/cases", n)
}

// Cases lists our cases, changed last first.
func (c *Client) Cases(ctx context.Context, state, before string, limit int) (CaseList, error) {
	return get[CaseList](ctx, c, "/cases", query("state", state, "before", before, "limit", strconv.Itoa(limit)))
}

// Case shows a case with the latest of its timeline.
func (c *Client) Case(ctx context.Context, number, before string, limit int) (CaseDetail, error) {
	return get[CaseDetail](ctx, c, casePath(number, ""), query("before", before, "limit", strconv.Itoa(limit)))
}

// Note writes a note into a case.
func (c *Client) Note(ctx context.Context, number, words string) (CaseEntry, error) {
	return post[CaseEntry](ctx, c, casePath(number, "/notes"), api.CaseWords{Words: words})
}

// AddTask writes a task into a case.
func (c *Client) AddTask(ctx context.Context, number string, t NewTask) (CaseEntry, error) {
	return post[CaseEntry](ctx, c, casePath(number, "/tasks"), t)
}

// FinishTask says that a task was done.
func (c *Client) FinishTask(ctx context.Context, number string, n int64) (CaseEntry, error) {
	return post[CaseEntry](ctx, c, casePath(number, fmt.Sprintf("/tasks/%d/completions", n)), api.None{})
}

// Attach attaches a request by its number, or any thread by a statement in it.
func (c *Client) Attach(ctx context.Context, number, name string) (CaseEntry, error) {
	return post[CaseEntry](ctx, c, casePath(number, "/threads"), api.Attached{Name: name})
}

// CloseCase closes a case.
func (c *Client) CloseCase(ctx context.Context, number string) (Case, error) {
	return post[Case](ctx, c, casePath(number, "/closings"), api.None{})
}

// ReopenCase opens a closed case again.
func (c *Client) ReopenCase(ctx context.Context, number string) (Case, error) {
	return post[Case](ctx, c, casePath(number, "/reopenings"), api.None{})
}

// EraseCase erases all that was written in a closed case.
func (c *Client) EraseCase(ctx context.Context, number string) (Case, error) {
	return post[Case](ctx, c, casePath(number, "/erasures"), api.None{})
}

// Tasks lists the open tasks of all cases, the earliest due first.
func (c *Client) Tasks(ctx context.Context, until, after string, limit int) (TaskList, error) {
	return get[TaskList](ctx, c, "/tasks", query("until", until, "after", after, "limit", strconv.Itoa(limit)))
}
