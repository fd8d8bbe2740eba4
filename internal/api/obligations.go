package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"
)

// Holder is the house's acts about obligations and legal holds.
type Holder interface {
	Obligations(ctx context.Context, who actor.Actor, f assistance.ObligationFilter) ([]flow.ObligationView, error)
	ObligationsOf(ctx context.Context, who actor.Actor, request string) ([]flow.ObligationView, error)
	PlaceHold(ctx context.Context, who actor.Actor, name, reason string) (flow.HoldView, error)
	LiftHold(ctx context.Context, who actor.Actor, name, reason string) (flow.HoldView, error)
	Holds(ctx context.Context, who actor.Actor, after exchange.Hold, limit int) ([]flow.HoldView, error)
}

// Obligation is one duty of one party.
type Obligation struct {
	Number       string               `json:"number" doc:"Of the request that it came of."`
	Request      statement.Commitment `json:"request"`
	Source       statement.Commitment `json:"source" doc:"What made it: the request, or the conditions that were agreed to."`
	Link         string               `json:"link"`
	Kind         string               `json:"kind" doc:"Of the request."`
	Duty         string               `json:"duty" doc:"preserve, confidential, do_not_notify, stated_use_only, no_court, no_onward, report_use, other or delete."`
	Ours         bool                 `json:"ours" doc:"Whether we owe it."`
	By           party.ID             `json:"by" doc:"Who owes it."`
	Since        time.Time            `json:"since"`
	Until        *time.Time           `json:"until,omitzero" doc:"Absent without an end."`
	State        string               `json:"state" doc:"owed, done or ended."`
	Proof        string               `json:"proof,omitempty" doc:"The statement by which it was done or ended."`
	Formal       string               `json:"formal,omitempty" doc:"The request for mutual assistance for which data are kept."`
	Over         bool                 `json:"over" doc:"Whether its time has passed while it was owed."`
	Warning      int                  `json:"warning" doc:"Days before the end of a preservation: 30, 14, 7 or 1; 0 before the first."`
	Held         bool                 `json:"held" doc:"Whether a legal hold here keeps the thread from being erased."`
	Confidential bool                 `json:"confidential" doc:"Whether even the existence of the request is to be kept confidential."`
}

// LegalHold keeps a thread from being erased here.
type LegalHold struct {
	Thread statement.Commitment `json:"thread"`
	Link   string               `json:"link"`
	Kind   string               `json:"kind,omitempty" doc:"Of its first statement; only in a list."`
	Reason string               `json:"reason"`
	Who    string               `json:"who"`
	At     time.Time            `json:"at"`
}

// HoldReason says why a hold is placed or lifted.
type HoldReason struct {
	Reason string `json:"reason" doc:"One line; it does not leave this node."`
}

type obligationsIn struct {
	Of    string     `query:"of" doc:"us for what we owe, them for what peers owe; both without it."`
	Link  string     `query:"link" doc:"Only those of one link."`
	Duty  string     `query:"duty" doc:"Only one duty."`
	State string     `query:"state" doc:"owed without it, done, or ended."`
	Until *time.Time `query:"until" doc:"Only what ends at or before this instant."`
	After string     `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit int        `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) obligations(ctx context.Context, who actor.Actor, in obligationsIn) (List[Obligation], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Obligation]{}, err
	}
	f := assistance.ObligationFilter{State: assistance.ObligationState(in.State), Duty: in.Duty, Limit: limit}
	if f.Link, err = d.linkID(ctx, who, in.Link); err != nil {
		return List[Obligation]{}, err
	}
	if f.After, err = afterObligation(in.After); err != nil {
		return List[Obligation]{}, err
	}
	switch f.State {
	case "", assistance.Owed, assistance.Done, assistance.Ended:
	default:
		return List[Obligation]{}, fault.New(fault.Invalid, "state", "The state is owed, done or ended.")
	}
	ours, err := whose(in.Of)
	if err != nil {
		return List[Obligation]{}, err
	}
	if self := d.house.Self().ID; ours != nil && *ours {
		f.By = &self
	} else if ours != nil {
		f.Not = &self
	}
	if in.Until != nil {
		f.Until = in.Until.UnixMicro()
	}
	views, err := d.house.Obligations(ctx, who, f)
	if err != nil {
		return List[Obligation]{}, err
	}
	out := obligationsOf(views)
	if n := len(views); n >= limit {
		out.Next = cursorOf(views[n-1].Obligation)
	}
	return out, nil
}

func (d *Door) obligationsOf(ctx context.Context, who actor.Actor, in requestIn) (List[Obligation], error) {
	views, err := d.house.ObligationsOf(ctx, who, in.Request)
	return obligationsOf(views), err
}

// cursorOf names the place of an obligation in the list.
func cursorOf(o assistance.Obligation) string {
	return fmt.Sprintf("%d.%s.%s.%s.%s", o.Until, o.Thread, o.Source, o.Duty, o.By)
}

func afterObligation(cursor string) (*assistance.Obligation, error) {
	if cursor == "" {
		return nil, nil
	}
	parts := strings.Split(cursor, ".")
	if len(parts) != 5 {
		return nil, noCursor()
	}
	o := &assistance.Obligation{Duty: parts[3]}
	for i, h := range map[int]*envelope.Hash{1: &o.Thread, 2: &o.Source, 4: &o.By} {
		var err error
		if *h, err = envelope.ParseHash(parts[i]); err != nil {
			return nil, noCursor()
		}
	}
	var err error
	if o.Until, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return nil, noCursor()
	}
	return o, nil
}

func obligationsOf(views []flow.ObligationView) List[Obligation] {
	out := List[Obligation]{Items: []Obligation{}}
	for _, v := range views {
		out.Items = append(out.Items, Obligation{Number: v.Number, Request: v.Thread, Source: v.Source, Link: v.LinkAlias, Kind: v.Kind, Duty: v.Duty,
			Ours: v.Ours, By: v.By, Since: instant(v.Since), Until: maybe(v.Until), State: string(v.State), Proof: v.Proof, Formal: v.Formal,
			Over: v.Over, Warning: v.Warning, Held: v.Held, Confidential: v.Quiet})
	}
	return out
}

type holdsIn struct {
	After string `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) holds(ctx context.Context, who actor.Actor, in holdsIn) (List[LegalHold], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[LegalHold]{}, err
	}
	var after exchange.Hold
	if in.After != "" {
		at, thread, _ := strings.Cut(in.After, ".")
		var bad error
		after.At, bad = strconv.ParseInt(at, 10, 64)
		if after.Thread, err = envelope.ParseHash(thread); err != nil || bad != nil {
			return List[LegalHold]{}, noCursor()
		}
	}
	views, err := d.house.Holds(ctx, who, after, limit)
	if err != nil {
		return List[LegalHold]{}, err
	}
	out := List[LegalHold]{Items: []LegalHold{}}
	for _, v := range views {
		out.Items = append(out.Items, holdOf(v))
	}
	if n := len(views); n >= limit {
		out.Next = fmt.Sprintf("%d.%s", views[n-1].At, views[n-1].Thread)
	}
	return out, nil
}

type holdIn struct {
	Statement string     `path:"statement" doc:"A commitment, or a prefix of at least 8 digits of one."`
	Why       HoldReason `body:"json"`
}

func (d *Door) placeHold(ctx context.Context, who actor.Actor, in holdIn) (LegalHold, error) {
	v, err := d.house.PlaceHold(ctx, who, in.Statement, in.Why.Reason)
	return holdOf(v), err
}

func (d *Door) liftHold(ctx context.Context, who actor.Actor, in holdIn) (LegalHold, error) {
	v, err := d.house.LiftHold(ctx, who, in.Statement, in.Why.Reason)
	return holdOf(v), err
}

func holdOf(v flow.HoldView) LegalHold {
	return LegalHold{Thread: v.Thread, Link: v.LinkAlias, Kind: v.Kind, Reason: v.Reason, Who: v.Who, At: instant(v.At)}
}
