package node

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"entente/envelope"
	"entente/internal/api"
)

// What a client sends and gets about drafts, as the API describes it.
type (
	KeptDraft     = api.KeptDraft
	DraftDetail   = api.DraftDetail
	DraftChange   = api.DraftChange
	DraftReview   = api.DraftReview
	NewReview     = api.NewReview
	Confirmed     = api.Confirmed
	SentDraft     = api.Sent
	KeptDraftList = api.List[api.KeptDraft]
)

// Drafts lists drafts, changed last first; state and after, the cursor of the page before, may be empty.
func (c *Client) Drafts(ctx context.Context, state, after string, limit int) (KeptDraftList, error) {
	return get[KeptDraftList](ctx, c, "/drafts", query("state", state, "after", after, "limit", strconv.Itoa(limit)))
}

// Draft shows a draft with all that would leave.
func (c *Client) Draft(ctx context.Context, name string) (DraftDetail, error) {
	return get[DraftDetail](ctx, c, draftPath(name, ""), nil)
}

func draftPath(name, what string) string { return "/drafts/" + url.PathEscape(name) + what }

// matching is a client whose next calls name the version of a draft that was seen.
func (c *Client) matching(digest envelope.Hash) *Client {
	with := *c
	with.match = `"` + digest.String() + `"`
	return &with
}

// EditDraft changes the version of a draft that digest names.
func (c *Client) EditDraft(ctx context.Context, name string, digest envelope.Hash, e DraftChange) (KeptDraft, error) {
	data, err := envelope.Marshal(e)
	if err != nil {
		return KeptDraft{}, err
	}
	return call[KeptDraft](ctx, c.matching(digest), http.MethodPatch, draftPath(name, ""), "application/json", bytes.NewReader(data))
}

// DiscardDraft removes its words and files.
func (c *Client) DiscardDraft(ctx context.Context, name string, digest envelope.Hash) (KeptDraft, error) {
	return call[KeptDraft](ctx, c.matching(digest), http.MethodDelete, draftPath(name, ""), "", nil)
}

// ReviewDraft says what a reviewer finds of it.
func (c *Client) ReviewDraft(ctx context.Context, name string, digest envelope.Hash, r NewReview) (KeptDraft, error) {
	return post[KeptDraft](ctx, c.matching(digest), draftPath(name, "/reviews"), r)
}

// SubmitDraft sends a draft that nobody else has to release.
func (c *Client) SubmitDraft(ctx context.Context, name string, digest envelope.Hash, p Progress) (SentDraft, error) {
	return stream[SentDraft](ctx, c.matching(digest), http.MethodPost, draftPath(name, "/submissions"), "", nil, p)
}

// ReleaseDraft lets it leave, as its second person.
func (c *Client) ReleaseDraft(ctx context.Context, name string, digest envelope.Hash, w Confirmed, p Progress) (SentDraft, error) {
	return c.confirmed(ctx, draftPath(name, "/releases"), digest, w, p)
}

// BreakGlass lets an emergency leave on one person's word.
func (c *Client) BreakGlass(ctx context.Context, name string, digest envelope.Hash, w Confirmed, p Progress) (SentDraft, error) {
	return c.confirmed(ctx, draftPath(name, "/emergencies"), digest, w, p)
}

func (c *Client) confirmed(ctx context.Context, path string, digest envelope.Hash, w Confirmed, p Progress) (SentDraft, error) {
	data, err := envelope.Marshal(w)
	if err != nil {
		return SentDraft{}, err
	}
	return stream[SentDraft](ctx, c.matching(digest), http.MethodPost, path, "application/json", bytes.NewReader(data), p)
}

// Countersign countersigns what left on one person's word.
func (c *Client) Countersign(ctx context.Context, name string, w Confirmed) (KeptDraft, error) {
	return post[KeptDraft](ctx, c, draftPath(name, "/countersignatures"), w)
}
