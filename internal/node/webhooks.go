package node

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"entente/internal/api"
	"entente/internal/notice"
)

// What a client sends and gets about webhooks, as the API describes it.
type (
	NewWebhook      = api.NewWebhook
	Webhook         = api.Webhook
	MadeWebhook     = api.MadeWebhook
	WebhookSecret   = api.WebhookSecret
	TestedWebhook   = api.TestedWebhook
	WebhookDelivery = api.WebhookDelivery
	DeliveryList    = api.List[api.WebhookDelivery]
)

// Events are the types of events that a receiver can be told of.
func Events() []string { return notice.Types() }

func webhookPath(id, what string) string { return "/webhooks/" + url.PathEscape(id) + what }

// Webhooks lists the receivers that are told of events.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	return items[Webhook](ctx, c, "/webhooks", nil)
}

// AddWebhook names a receiver and returns the secret that signs.
func (c *Client) AddWebhook(ctx context.Context, w NewWebhook) (MadeWebhook, error) {
	return post[MadeWebhook](ctx, c, "/webhooks", w)
}

// RemoveWebhook forgets a receiver.
func (c *Client) RemoveWebhook(ctx context.Context, id string) error {
	_, err := call[api.Done](ctx, c, http.MethodDelete, webhookPath(id, ""), "", nil)
	return err
}

// RotateWebhook gives a webhook another secret.
func (c *Client) RotateWebhook(ctx context.Context, id string) (WebhookSecret, error) {
	return post[WebhookSecret](ctx, c, webhookPath(id, "/secrets"), nil)
}

// ResumeWebhook tells a receiver again, and what was given up.
func (c *Client) ResumeWebhook(ctx context.Context, id string) error {
	_, err := post[api.Done](ctx, c, webhookPath(id, "/resumptions"), nil)
	return err
}

// TestWebhook tells a receiver of an event that says nothing.
func (c *Client) TestWebhook(ctx context.Context, id string) (TestedWebhook, error) {
	return post[TestedWebhook](ctx, c, webhookPath(id, "/tests"), nil)
}

// Deliveries lists what a receiver was or is to be told, newest first; state and before may be empty.
func (c *Client) Deliveries(ctx context.Context, id, state, before string, limit int) (DeliveryList, error) {
	return get[DeliveryList](ctx, c, webhookPath(id, "/deliveries"), query("state", state, "before", before, "limit", strconv.Itoa(limit)))
}
