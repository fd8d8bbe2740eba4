package node

import (
	"context"
	"net/url"

	"entente/internal/api"
	"entente/statement"
)

// What a client gets about the hotline, as the API describes it.
type (
	Call       = api.Call
	CallDetail = api.CallDetail
	CallList   = api.List[api.Call]
	Called     = api.Called
)

// Call calls the other party of a draft's link on its hotline. p may be nil.
func (c *Client) Call(ctx context.Context, d Draft, files []Upload, p Progress) (Called, error) {
	return upload[Called](ctx, c, "/calls", d, files, p)
}

// Escalate calls about a request, which is named by its number or by its first statement.
func (c *Client) Escalate(ctx context.Context, request string, d Draft, files []Upload, p Progress) (Called, error) {
	return upload[Called](ctx, c, "/requests/"+url.PathEscape(request)+"/calls", d, files, p)
}

// SayOnCall says something on a call, which is named by its first statement.
func (c *Client) SayOnCall(ctx context.Context, call string, d Draft, files []Upload, p Progress) (statement.Commitment, error) {
	return said(upload[api.Said](ctx, c, "/calls/"+url.PathEscape(call)+"/statements", d, files, p))
}

// Calls lists calls, newest first.
func (c *Client) Calls(ctx context.Context, f ThreadFilter) (CallList, error) {
	return get[CallList](ctx, c, "/calls", f.query())
}

// ShowCall shows a call with its timeline.
func (c *Client) ShowCall(ctx context.Context, name string) (CallDetail, error) {
	return get[CallDetail](ctx, c, "/calls/"+url.PathEscape(name), nil)
}
