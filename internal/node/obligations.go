package node

import (
	"context"
	"net/url"
	"strconv"

	"entente/internal/api"
)

// What a client sends and gets about obligations and legal holds, as the API describes it.
type (
	Obligation     = api.Obligation
	ObligationList = api.List[api.Obligation]
	LegalHold      = api.LegalHold
	HoldList       = api.List[api.LegalHold]
)

// ObligationFilter narrows the list of obligations; empty members do not narrow it.
type ObligationFilter struct {
	Of    string // us | them
	Link  string
	Duty  string
	State string // owed if empty
	Until string
	After string // the cursor of the page before
	Limit int
}

// Obligations lists what is owed, what ends first before the rest.
func (c *Client) Obligations(ctx context.Context, f ObligationFilter) (ObligationList, error) {
	return get[ObligationList](ctx, c, "/obligations",
		page(f.Limit, "of", f.Of, "link", f.Link, "duty", f.Duty, "state", f.State, "until", f.Until, "after", f.After))
}

// ObligationsOf lists every obligation of a request, which is named by its number or by its first statement.
func (c *Client) ObligationsOf(ctx context.Context, request string) ([]Obligation, error) {
	return items[Obligation](ctx, c, "/requests/"+url.PathEscape(request)+"/obligations", nil)
}

// PlaceHold keeps the thread of a statement from being erased here.
func (c *Client) PlaceHold(ctx context.Context, statement, reason string) (LegalHold, error) {
	return post[LegalHold](ctx, c, "/statements/"+url.PathEscape(statement)+"/holds", api.HoldReason{Reason: reason})
}

// LiftHold lets it be erased again.
func (c *Client) LiftHold(ctx context.Context, statement, reason string) (LegalHold, error) {
	return post[LegalHold](ctx, c, "/statements/"+url.PathEscape(statement)+"/holds/liftings", api.HoldReason{Reason: reason})
}

// Holds lists the legal holds, the oldest first.
func (c *Client) Holds(ctx context.Context, after string, limit int) (HoldList, error) {
	return get[HoldList](ctx, c, "/holds", query("after", after, "limit", strconv.Itoa(limit)))
}
