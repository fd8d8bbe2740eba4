package api

import (
	"context"
	"strconv"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/notice"
)

// Notifier is the house's acts about receivers of ours that are told of events.
type Notifier interface {
	Webhooks(ctx context.Context, who actor.Actor) ([]notice.Hook, error)
	AddWebhook(ctx context.Context, who actor.Actor, k notice.Hook) (made notice.Hook, secret string, err error)
	RemoveWebhook(ctx context.Context, who actor.Actor, id string) error
	RotateWebhook(ctx context.Context, who actor.Actor, id string) (secret string, err error)
	ResumeWebhook(ctx context.Context, who actor.Actor, id string) error
	TestWebhook(ctx context.Context, who actor.Actor, id string) (event string, err error)
	Deliveries(ctx context.Context, who actor.Actor, f notice.Filter) ([]notice.Delivery, error)
}

// NewWebhook is a receiver to be named.
type NewWebhook struct {
	URL     string   `json:"url" doc:"Where notices are posted; https alone."`
	Events  []string `json:"events,omitempty" doc:"Which events it is told of; all without it."`
	Private bool     `json:"private,omitzero" doc:"Whether it may stand at a private or a loopback address."`
	CA      []byte   `json:"ca,omitempty" doc:"Certificates that vouch for it, as PEM, base64; those of the system without it."`
	Note    string   `json:"note,omitempty" doc:"What it is for."`
}

// Webhook is a receiver that is told of events.
type Webhook struct {
	ID       string     `json:"id"`
	URL      string     `json:"url"`
	Events   []string   `json:"events,omitempty" doc:"Absent where it is told of all."`
	Private  bool       `json:"private" doc:"Whether it may stand at a private or a loopback address."`
	OwnCA    bool       `json:"own_ca" doc:"Whether certificates of its own vouch for it."`
	Note     string     `json:"note,omitempty"`
	Created  time.Time  `json:"created"`
	Failing  *time.Time `json:"failing,omitzero" doc:"Since when nothing came through."`
	Failures int        `json:"failures,omitzero" doc:"In a row."`
	Next     *time.Time `json:"next,omitzero" doc:"When it is tried again; absent where nothing keeps it."`
	Code     string     `json:"code,omitempty" doc:"Of what went wrong last: redirect, busy, refused, gone, unreachable, timeout, tls, webhook_address or webhook_private."`
	Disabled *time.Time `json:"disabled,omitzero" doc:"Since when it is told nothing."`
	Why      string     `json:"why,omitempty" doc:"It was disabled: gone (it answered 410) or failing (nothing came through for four days)."`
}

// MadeWebhook is a webhook with its secret, which is shown once.
type MadeWebhook struct {
	Webhook Webhook `json:"webhook"`
	Secret  string  `json:"secret" doc:"The receiver verifies signatures with it (Standard Webhooks 1.0.0, v1)."`
}

// WebhookSecret is a webhook's other secret, which is shown once.
type WebhookSecret struct {
	ID     string `json:"id"`
	Secret string `json:"secret" doc:"The one before signs beside it for a day."`
}

// TestedWebhook is an event that says nothing.
type TestedWebhook struct {
	Event string `json:"event" doc:"Its id, by which the delivery is listed."`
}

// WebhookDelivery is an event on its way to a receiver.
type WebhookDelivery struct {
	Event    string     `json:"event" doc:"Its id, which the receiver gets as webhook-id."`
	Type     string     `json:"type"`
	State    string     `json:"state" doc:"waiting, delivered or given_up."`
	Created  time.Time  `json:"created"`
	Attempts int        `json:"attempts"`
	Next     *time.Time `json:"next,omitzero" doc:"It is not tried before; absent once it ended."`
	Ended    *time.Time `json:"ended,omitzero"`
	Status   int        `json:"status,omitzero" doc:"The HTTP status of the last answer; absent if none came."`
	Code     string     `json:"code,omitempty" doc:"Of what went wrong last, as a webhook has it, or too_many."`
}

func webhookOf(k notice.Hook) Webhook {
	return Webhook{ID: k.ID, URL: k.URL, Events: k.Types, Private: k.Private, OwnCA: len(k.CA) > 0, Note: k.Note, Created: instant(k.Created),
		Failing: maybe(k.Failing), Failures: k.Failures, Next: maybe(k.Next), Code: k.Code, Disabled: maybe(k.Disabled), Why: k.Why}
}

func (d *Door) webhooks(ctx context.Context, who actor.Actor, _ None) (List[Webhook], error) {
	rows, err := d.house.Webhooks(ctx, who)
	out := List[Webhook]{Items: []Webhook{}}
	for _, k := range rows {
		out.Items = append(out.Items, webhookOf(k))
	}
	return out, err
}

type addWebhookIn struct {
	Body NewWebhook `body:"json"`
}

func (d *Door) addWebhook(ctx context.Context, who actor.Actor, in addWebhookIn) (MadeWebhook, error) {
	b := in.Body
	k, secret, err := d.house.AddWebhook(ctx, who, notice.Hook{URL: b.URL, Types: b.Events, Private: b.Private, CA: b.CA, Note: b.Note})
	if err != nil {
		return MadeWebhook{}, err
	}
	return MadeWebhook{Webhook: webhookOf(k), Secret: secret}, nil
}

type webhookIn struct {
	Webhook string `path:"webhook" doc:"Its id."`
}

func (d *Door) removeWebhook(ctx context.Context, who actor.Actor, in webhookIn) (Done, error) {
	return done(d.house.RemoveWebhook(ctx, who, in.Webhook))
}

func (d *Door) rotateWebhook(ctx context.Context, who actor.Actor, in webhookIn) (WebhookSecret, error) {
	secret, err := d.house.RotateWebhook(ctx, who, in.Webhook)
	if err != nil {
		return WebhookSecret{}, err
	}
	return WebhookSecret{ID: in.Webhook, Secret: secret}, nil
}

func (d *Door) resumeWebhook(ctx context.Context, who actor.Actor, in webhookIn) (Done, error) {
	return done(d.house.ResumeWebhook(ctx, who, in.Webhook))
}

func (d *Door) testWebhook(ctx context.Context, who actor.Actor, in webhookIn) (TestedWebhook, error) {
	event, err := d.house.TestWebhook(ctx, who, in.Webhook)
	return TestedWebhook{Event: event}, err
}

type deliveriesIn struct {
	Webhook string `path:"webhook" doc:"Its id."`
	State   string `query:"state" doc:"waiting, delivered or given_up; all without it."`
	Before  string `query:"before" doc:"The cursor of the page before."`
	Limit   int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) deliveries(ctx context.Context, who actor.Actor, in deliveriesIn) (List[WebhookDelivery], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[WebhookDelivery]{}, err
	}
	f := notice.Filter{Hook: in.Webhook, State: notice.DeliveryState(in.State), Limit: limit}
	if in.Before != "" {
		if f.Before, err = strconv.ParseInt(in.Before, 10, 64); err != nil || f.Before <= 0 {
			return List[WebhookDelivery]{}, fault.New(fault.Invalid, "before", "The cursor is not valid; take it from the page before.")
		}
	}
	rows, err := d.house.Deliveries(ctx, who, f)
	if err != nil {
		return List[WebhookDelivery]{}, err
	}
	out := List[WebhookDelivery]{Items: []WebhookDelivery{}}
	for _, v := range rows {
		w := WebhookDelivery{Event: v.ID, Type: v.Type, State: string(v.State), Created: instant(v.Created), Attempts: v.Attempts, Ended: maybe(v.Ended),
			Status: v.Status, Code: v.Code}
		if v.State == notice.Waiting {
			w.Next = maybe(v.Next)
		}
		out.Items = append(out.Items, w)
	}
	if len(rows) == limit {
		out.Next = strconv.FormatInt(rows[limit-1].Created, 10)
	}
	return out, nil
}
