package node

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"

	"entente/internal/api"
	"entente/internal/flow"
	"entente/statement"
)

// What a client sends and gets about requests for assistance, as the API describes it.
type (
	Request       = api.Request
	RequestDetail = api.RequestDetail
	RequestList   = api.List[api.Request]
	RequestWord   = api.RequestWord
	Due           = api.Due
	Asked         = api.Asked
	FormLine      = api.FormLine
)

// Ask sends a request for assistance with its files, which are read once. p may be nil.
func (c *Client) Ask(ctx context.Context, d Draft, files []Upload, p Progress) (Asked, error) {
	return upload[Asked](ctx, c, "/requests", d, files, p)
}

// Reply says something in the thread of a request, which is named by its number or by its first statement.
func (c *Client) Reply(ctx context.Context, request string, d Draft, files []Upload, p Progress) (statement.Commitment, error) {
	return said(upload[api.Said](ctx, c, "/requests/"+url.PathEscape(request)+"/statements", d, files, p))
}

// upload sends a draft and its files, as a stream; without files it goes in one piece. The node seals as it reads, so p hears how
// many bytes it has taken. A name that the node would refuse is refused before the first byte goes.
func upload[T any](ctx context.Context, c *Client, path string, d Draft, files []Upload, p Progress) (T, error) {
	var none T
	for _, f := range files {
		if err := flow.CheckFile(f.Name, f.Media); err != nil {
			return none, err
		}
	}
	if len(files) == 0 {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		if err := writeForm(form, d, nil, nil); err != nil {
			return none, err
		}
		return call[T](ctx, c, http.MethodPost, path, form.FormDataContentType(), &body)
	}
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() { w.CloseWithError(writeForm(form, d, files, p)) }()
	defer body.Close()
	return call[T](ctx, c, http.MethodPost, path, form.FormDataContentType(), body)
}

// ThreadFilter narrows a list of requests or of calls; empty members do not narrow it.
type ThreadFilter struct {
	Box    string // in | out
	Link   string
	Status string
	After  string // the cursor of the page before
	Limit  int
}

func (f ThreadFilter) query() url.Values {
	return page(f.Limit, "box", f.Box, "link", f.Link, "status", f.Status, "after", f.After)
}

// Requests lists requests, newest first.
func (c *Client) Requests(ctx context.Context, f ThreadFilter) (RequestList, error) {
	return get[RequestList](ctx, c, "/requests", f.query())
}

// Request shows a request with its timeline.
func (c *Client) Request(ctx context.Context, name string) (RequestDetail, error) {
	return get[RequestDetail](ctx, c, "/requests/"+url.PathEscape(name), nil)
}

// Due lists the clocks that run: of is us, them, or empty for both.
func (c *Client) Due(ctx context.Context, of, desk string, limit int) ([]Due, error) {
	return items[Due](ctx, c, "/due", page(limit, "of", of, "desk", desk))
}
