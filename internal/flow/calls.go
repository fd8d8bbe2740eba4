package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/hotline"
	"entente/statement"
)

// Called is a call that was made.
type Called struct {
	Statement statement.Commitment
	Warnings  []string
}

// Call calls the other party of a link on its hotline. It is urgent unless it says otherwise. A call with faults is not made: every
// one is listed in an assistance.Incomplete, and it is kept as a draft, as is what a second person must release.
func (h *House) Call(ctx context.Context, who actor.Actor, d RequestDraft, p Progress) (Called, error) {
	if err := who.May(actor.Call); err != nil {
		return Called{}, err
	}
	return h.call(ctx, who, d, nil, p)
}

// Escalate calls about a request, which is named by its number or by its first statement: the call names it on its face, and its
// thread among its references, so that both sides have all of it before them.
func (h *House) Escalate(ctx context.Context, who actor.Actor, request string, d RequestDraft, p Progress) (Called, error) {
	if err := who.May(actor.Call); err != nil {
		return Called{}, err
	}
	var thread statement.Commitment
	if err := h.cfg.Store.View(ctx, func(tx Tx) error {
		row, err := h.findRequest(ctx, tx, request)
		thread, d.Link = row.Thread, row.Link
		return err
	}); err != nil {
		return Called{}, err
	}
	d.Face = with(d.Face, "request", thread.String())
	if d.Face["kind"] == nil {
		d.Face["kind"] = "escalation"
	}
	return h.call(ctx, who, d, []statement.Commitment{thread}, p)
}

func (h *House) call(ctx context.Context, who actor.Actor, d RequestDraft, refs []statement.Commitment, p Progress) (Called, error) {
	if d.Kind != "hotline.call" {
		return Called{}, fault.New(fault.Invalid, "unknown_kind", "A call is a hotline.call, and nothing else.")
	}
	d.Urgency = orElse(d.Urgency, "urgent")
	face, warnings, err := h.ringing(ctx, d)
	if err != nil {
		return Called{}, err
	}
	d.Face = face
	draft := d.statement(nil)
	draft.Lane, draft.Refs = statement.Hotline, refs
	c, err := h.complete(ctx, who, draft)
	if err != nil {
		return Called{}, err
	}
	said, err := h.send(ctx, who, draft, nil, p)
	return Called{Statement: said, Warnings: append(warnings, c...)}, err
}

// ringing fills in which desk is called: the other party's hotline, unless one is named.
func (h *House) ringing(ctx context.Context, d RequestDraft) (face map[string]any, warnings []string, err error) {
	face = copied(d.Face)
	desks, err := h.roster(ctx, d.Link)
	if err != nil {
		return nil, nil, err
	}
	named, _ := face["to_desk"].(string)
	i := slices.IndexFunc(desks, func(v DeskView) bool {
		return !v.Ours && (v.ID.String() == named || named == "" && v.Role == "hotline")
	})
	switch {
	case i >= 0:
		face["to_desk"] = desks[i].ID.String()
	case named != "":
		return nil, nil, fault.New(fault.NotFound, "desk", "The other party has no active desk of this name; see \"entente desks\".")
	default:
		warnings = append(warnings, "The other party has no active hotline desk on this link: the call rings on its node, and on nobody's desk.")
	}
	return face, warnings, nil
}

// roster are the active desks of a link, of both parties, valid now.
func (h *House) roster(ctx context.Context, link statement.LinkID) ([]DeskView, error) {
	desks, err := h.Desks(ctx, actor.System(), &link)
	now := h.now()
	return slices.DeleteFunc(desks, func(v DeskView) bool {
		return v.State != exchange.DeskActive || v.ValidFrom > now || v.ValidTo != 0 && v.ValidTo <= now
	}), err
}

// SayOnCall says a word on a call, which is named by its first statement: an acknowledgement, a reply, a hand-over, a stand-down.
func (h *House) SayOnCall(ctx context.Context, who actor.Actor, name string, d RequestDraft, p Progress) (statement.Commitment, error) {
	if err := who.May(actor.Call); err != nil {
		return statement.Commitment{}, err
	}
	kind, ok := h.forms[d.Kind]
	if !ok || kind.Opens || kind.Lane != statement.Hotline {
		return statement.Commitment{}, fault.New(fault.Invalid, "unknown_kind", "There is no such word on a call; see \"entente hotline\".")
	}
	var row hotline.Row
	if err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		row, err = h.findCall(ctx, tx, name)
		return err
	}); err != nil {
		return statement.Commitment{}, err
	}
	d.Link, d.Urgency, d.Face = row.Link, orElse(d.Urgency, row.Urgency), copied(d.Face)
	draft := d.statement(&row.Thread)
	draft.Lane = statement.Hotline
	if _, err := h.complete(ctx, who, draft); err != nil {
		return statement.Commitment{}, err
	}
	return h.send(ctx, who, draft, nil, p)
}

// findCall finds a call that both sides have by its first statement, or by any other of its thread.
func (h *House) findCall(ctx context.Context, tx Tx, name string) (hotline.Row, error) {
	said, err := h.find(ctx, tx, name)
	if err != nil {
		return hotline.Row{}, err
	}
	row, err := tx.CallOf(ctx, said.Thread)
	if notFound(err) {
		return row, fault.New(fault.NotFound, "call", "This is not a call, or it waits for the other party's receipt; see \"entente hotline list\".")
	}
	return row, err
}

// setCalls makes the rows of calls anew of both columns, after one of them changed.
func (h *House) setCalls(ctx context.Context, tx Tx, l exchange.Link, threads map[statement.Commitment]bool) error {
	for thread := range threads {
		rules, err := h.rulesOf(ctx, tx, l, thread)
		if err != nil {
			return err
		}
		row := hotline.Row{Link: l.ID, Thread: thread, Calling: h.self, Called: l.Peer, Ours: true}
		calling, called, err := newestColumns[hotline.Column](ctx, tx, row.Link, row.Thread, row.Calling, row.Called)
		if err != nil {
			return err
		}
		if calling.Call == nil { // the peer called
			calling, called = called, calling
			row.Calling, row.Called, row.Ours = l.Peer, h.self, false
		}
		if calling.Call == nil {
			return errors.New("a call's thread has no call")
		}
		c := *calling.Call
		row.Level, row.Kind, row.Urgency, row.Request, row.Received = c.Level, c.Kind, c.Urgency, c.Request, c.At
		row.Status, row.Changed = hotline.StatusOf(calling, called), hotline.Changed(calling, called)
		row.Desk, row.Since = hotline.Rings(calling, called)
		row.AnswerBy, row.Answered = hotline.AnswerBy(c, *rules), called.Said["hotline.acknowledge"].Authored
		if err := tx.PutCall(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// CallView is a call as it is listed, as it stands now. A call of ours that the other party has not receipted is "sent".
type CallView struct {
	hotline.Row
	LinkAlias string
	Overdue   bool           // it rings, and its clock ran out
	Ringing   []hotline.Rung // the called party's desks that it rings now, while nobody answered
	Next      hotline.Rung   // which is rung next; zero if none is
}

// CallDetail is one call with its timeline, in the order of our own clock.
type CallDetail struct {
	CallView
	Timeline []RequestWord
}

// sentCall is the status of a call of ours that is not folded yet.
const sentCall hotline.Status = "sent"

// Calls lists calls, newest first; before them those of ours that are still on their way, unless a status is asked for.
func (h *House) Calls(ctx context.Context, who actor.Actor, f hotline.Filter) ([]CallView, error) {
	if err := who.May(actor.ReadCalls); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	var views []CallView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		if f.After == nil && (f.Status == "" || f.Status == sentCall) && (f.Ours == nil || *f.Ours) {
			if views, err = h.callsUnderWay(ctx, tx, f.Link, names); err != nil {
				return err
			}
		}
		rows, err := tx.Calls(ctx, f)
		for _, r := range rows {
			views = append(views, CallView{Row: r, LinkAlias: names[r.Link]})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range views {
		if err := h.ring(ctx, &views[i]); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// callsUnderWay are our own calls that are not folded yet, newest first.
func (h *House) callsUnderWay(ctx context.Context, tx Tx, link *statement.LinkID, names map[statement.LinkID]string) ([]CallView, error) {
	var views []CallView
	err := h.unfolded(ctx, tx, link, statement.Hotline, func(l exchange.Link, s exchange.Statement, text *statement.Text) error {
		if s.Kind != "hotline.call" {
			return nil
		}
		level, kind := hotline.NameOf(text)
		views = append(views, CallView{LinkAlias: names[l.ID], Row: hotline.Row{Link: l.ID, Ours: true, Thread: s.Thread, Level: level,
			Kind: kind, Urgency: text.Urgency, Calling: h.self, Called: l.Peer, Status: sentCall}})
		return nil
	})
	return views, err
}

// ring says of a call that rings which desks it rings now.
func (h *House) ring(ctx context.Context, v *CallView) error {
	if v.Status != hotline.Ringing {
		return nil
	}
	now := h.cfg.Now()
	v.Overdue = v.AnswerBy != 0 && now.UnixMicro() > v.AnswerBy
	var rules *statement.Rules
	if err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, v.Link)
		if err == nil {
			rules, err = h.rulesOf(ctx, tx, l, v.Thread)
		}
		return err
	}); err != nil {
		return err
	}
	desks, err := h.roster(ctx, v.Link)
	if err != nil {
		return err
	}
	ladder, err := h.ladderOf(desks, v.Row, rules.Holidays[v.Called.String()])
	if err != nil {
		return err
	}
	v.Ringing, v.Next = hotline.Ring(ladder, time.UnixMicro(v.Since), hotline.Step(v.Urgency, *rules), now)
	return nil
}

// ladderOf is the roster of a call: its desk, then the substitutes that this one names, in its order.
func (h *House) ladderOf(desks []DeskView, r hotline.Row, holidays []string) ([]hotline.Desk, error) {
	theirs := slices.DeleteFunc(desks, func(v DeskView) bool { return v.Owner != r.Called || v.Body == nil })
	first := slices.IndexFunc(theirs, func(v DeskView) bool { return v.ID.String() == r.Desk })
	if first < 0 {
		return nil, nil
	}
	order := []DeskView{theirs[first]}
	for _, name := range theirs[first].Body.Substitutes { // a desk's id, or a role
		for _, v := range theirs {
			if (v.ID.String() == name || v.Role == name) && !slices.ContainsFunc(order, func(o DeskView) bool { return o.ID == v.ID }) {
				order = append(order, v)
			}
		}
	}
	var ladder []hotline.Desk
	for _, v := range order {
		zone, err := h.zone(v.Body.Zone)
		if err != nil {
			return nil, err
		}
		ladder = append(ladder, hotline.Desk{ID: v.ID.String(), Hours: *v.Body, Zone: zone, Holidays: holidays})
	}
	return ladder, nil
}

// ShowCall shows a call by its first statement. Of a thread of more than 500 words it shows the latest.
func (h *House) ShowCall(ctx context.Context, who actor.Actor, name string) (CallDetail, error) {
	var d CallDetail
	if err := who.May(actor.ReadCalls); err != nil {
		return d, err
	}
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		d = CallDetail{}
		row, err := h.findCall(ctx, tx, name)
		if err != nil {
			return err
		}
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		d.CallView = CallView{Row: row, LinkAlias: names[row.Link]}
		d.Timeline, err = h.words(ctx, tx, row.Link, row.Thread, names)
		return err
	})
	if err != nil {
		return d, err
	}
	return d, h.ring(ctx, &d.CallView)
}
