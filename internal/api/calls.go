package api

import (
	"context"
	"net/http"
	"time"

	"entente/internal/actor"
	"entente/internal/flow"
	"entente/internal/hotline"
	"entente/party"
	"entente/statement"
)

// Caller is the house's acts about the hotline.
type Caller interface {
	Call(ctx context.Context, who actor.Actor, d flow.RequestDraft, p flow.Progress) (flow.Called, error)
	Escalate(ctx context.Context, who actor.Actor, request string, d flow.RequestDraft, p flow.Progress) (flow.Called, error)
	SayOnCall(ctx context.Context, who actor.Actor, name string, d flow.RequestDraft, p flow.Progress) (statement.Commitment, error)
	Calls(ctx context.Context, who actor.Actor, f hotline.Filter) ([]flow.CallView, error)
	ShowCall(ctx context.Context, who actor.Actor, name string) (flow.CallDetail, error)
}

// Call is a call on the hotline as it is listed.
type Call struct {
	Statement statement.Commitment `json:"statement" doc:"Its first statement, which names its thread."`
	Link      string               `json:"link"`
	Ours      bool                 `json:"ours" doc:"Whether we called."`
	Calling   party.ID             `json:"calling"`
	Called    party.ID             `json:"called" doc:"On whose node it rings."`
	Level     string               `json:"level"`
	Kind      string               `json:"kind"`
	Urgency   string               `json:"urgency"`
	Request   string               `json:"request,omitempty" doc:"The first statement of the request that is escalated."`
	Status    string               `json:"status" doc:"sent until both sides have folded it; then ringing, answered, standing or ended, as docs/spec/hotline.md says."`
	Desk      string               `json:"desk,omitempty" doc:"The called party's desk that has it."`
	Received  *time.Time           `json:"received,omitzero"`
	Since     *time.Time           `json:"since,omitzero" doc:"Since when it rings that desk, or rang it."`
	AnswerBy  *time.Time           `json:"answer_by,omitzero" doc:"When a person has to have answered."`
	Answered  *time.Time           `json:"answered,omitzero" doc:"When one did, by the called party's clock."`
	Changed   *time.Time           `json:"changed,omitzero" doc:"When the latest word was received."`
	Overdue   bool                 `json:"overdue" doc:"Whether it rings still, and nobody answered in time."`
	Rings     []Rung               `json:"rings" doc:"The desks that it rings now, in the order in which they began."`
	Next      *Rung                `json:"next,omitempty" doc:"The desk that is rung next unless somebody answers."`
}

// Rung is a desk that is rung, and from when on.
type Rung struct {
	Desk string    `json:"desk"`
	From time.Time `json:"from"`
}

// CallDetail is one call with its timeline.
type CallDetail struct {
	Call     Call          `json:"call"`
	Timeline []RequestWord `json:"timeline" doc:"In the order of our own clock."`
}

// Called is a call that was made.
type Called struct {
	Statement statement.Commitment `json:"statement"`
	Warnings  []string             `json:"warnings"`
}

type callsIn struct {
	Box    string `query:"box" doc:"in for calls to us, out for our own; both without it."`
	Link   string `query:"link" doc:"Only those of one link."`
	Status string `query:"status" doc:"Only those in one status: ringing for what rings now."`
	After  string `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit  int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) calls(ctx context.Context, who actor.Actor, in callsIn) (List[Call], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Call]{}, err
	}
	f := hotline.Filter{Status: hotline.Status(in.Status), Limit: limit}
	if f.Link, err = d.linkID(ctx, who, in.Link); err != nil {
		return List[Call]{}, err
	}
	if f.Ours, err = boxOf(in.Box); err != nil {
		return List[Call]{}, err
	}
	if in.After != "" {
		at, thread, err := statementCursor(in.After)
		if err != nil {
			return List[Call]{}, err
		}
		f.After = &hotline.Cursor{Received: at, Thread: thread}
	}
	views, err := d.house.Calls(ctx, who, f)
	if err != nil {
		return List[Call]{}, err
	}
	out := List[Call]{Items: []Call{}}
	for _, v := range views {
		out.Items = append(out.Items, callOf(v))
	}
	if n := len(views); n >= limit && views[n-1].Changed != 0 { // what is on its way stands before the first page
		out.Next = cursorAt(views[n-1].Received, views[n-1].Thread[:])
	}
	return out, nil
}

type callIn struct {
	Call string `path:"call" doc:"The commitment of its first statement, or a prefix of at least 8 digits of that."`
}

func (d *Door) call(ctx context.Context, who actor.Actor, in callIn) (CallDetail, error) {
	v, err := d.house.ShowCall(ctx, who, in.Call)
	if err != nil {
		return CallDetail{}, err
	}
	out := CallDetail{Call: callOf(v.CallView), Timeline: []RequestWord{}}
	for _, w := range v.Timeline {
		out.Timeline = append(out.Timeline, RequestWord{Statement: statementOf(w.StatementView), Label: labelOf(w.Label), Form: linesOf(w.Form)})
	}
	return out, nil
}

// callRoute, escalateRoute and sayOnCallRoute take a draft and files, as sendRoute does.
func callRoute() operation {
	return draftRoute[None]("/calls", "makeCall", "Call the other party of a link on its hotline", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Called, error) {
		link, err := d.house.LinkID(r.Context(), who, o.Link)
		if err != nil {
			return Called{}, err
		}
		draft, err := requestDraft(o, statement.Hotline)
		if err != nil {
			return Called{}, err
		}
		draft.Link = link
		return calledOf(d.house.Call(r.Context(), who, draft, nil))
	})
}

func escalateRoute() operation {
	return draftRoute[requestIn]("/requests/{request}/calls", "escalate", "Escalate a request to the hotline, with its thread", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Called, error) {
		draft, err := requestDraft(o, statement.Hotline)
		if err != nil {
			return Called{}, err
		}
		return calledOf(d.house.Escalate(r.Context(), who, r.PathValue("request"), draft, nil))
	})
}

func sayOnCallRoute() operation {
	return draftRoute[callIn]("/calls/{call}/statements", "sayOnCall", "Answer a call, say something on it, hand it over, or stand down", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Said, error) {
		draft, err := requestDraft(o, statement.Hotline)
		if err != nil {
			return Said{}, err
		}
		c, err := d.house.SayOnCall(r.Context(), who, r.PathValue("call"), draft, nil)
		return Said{Statement: c}, err
	})
}

func calledOf(c flow.Called, err error) (Called, error) {
	return Called{Statement: c.Statement, Warnings: append([]string{}, c.Warnings...)}, err
}

func callOf(v flow.CallView) Call {
	out := Call{Statement: v.Thread, Link: v.LinkAlias, Ours: v.Ours, Calling: v.Calling, Called: v.Called, Level: v.Level, Kind: v.Kind, Urgency: v.Urgency,
		Request: v.Request, Status: string(v.Status), Desk: v.Desk, Received: maybe(v.Received), Since: maybe(v.Since), AnswerBy: maybe(v.AnswerBy),
		Answered: maybe(v.Answered), Changed: maybe(v.Changed), Overdue: v.Overdue, Rings: []Rung{}}
	for _, r := range v.Ringing {
		out.Rings = append(out.Rings, Rung{r.Desk, r.From.UTC()})
	}
	if !v.Next.From.IsZero() {
		out.Next = &Rung{v.Next.Desk, v.Next.From.UTC()}
	}
	return out
}
