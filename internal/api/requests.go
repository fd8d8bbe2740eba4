package api

import (
	"context"
	"net/http"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// Requester is the house's acts about requests for assistance.
type Requester interface {
	Ask(ctx context.Context, who actor.Actor, d flow.RequestDraft, p flow.Progress) (flow.Asked, error)
	Reply(ctx context.Context, who actor.Actor, name string, d flow.RequestDraft, p flow.Progress) (statement.Commitment, error)
	Requests(ctx context.Context, who actor.Actor, f assistance.Filter) ([]flow.RequestView, error)
	Request(ctx context.Context, who actor.Actor, name string) (flow.RequestDetail, error)
	Dues(ctx context.Context, who actor.Actor, f assistance.DueFilter) ([]flow.DueView, error)
}

type requestsIn struct {
	Box    string `query:"box" doc:"in for what peers asked, out for what we asked; both without it."`
	Link   string `query:"link" doc:"Only those of one link."`
	Status string `query:"status" doc:"Only those in one status."`
	After  string `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit  int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) requests(ctx context.Context, who actor.Actor, in requestsIn) (List[Request], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Request]{}, err
	}
	f := assistance.Filter{Status: assistance.Status(in.Status), Limit: limit}
	if f.Link, err = d.linkID(ctx, who, in.Link); err != nil {
		return List[Request]{}, err
	}
	if f.Ours, err = boxOf(in.Box); err != nil {
		return List[Request]{}, err
	}
	if in.After != "" {
		at, err := parseCursor(in.After)
		if err != nil {
			return List[Request]{}, err
		}
		f.After = &assistance.Cursor{Received: at.received, Thread: at.thread}
	}
	views, err := d.house.Requests(ctx, who, f)
	if err != nil {
		return List[Request]{}, err
	}
	out := List[Request]{Items: []Request{}}
	for _, v := range views {
		out.Items = append(out.Items, requestOf(v))
	}
	if n := len(views); n >= limit && views[n-1].Changed != 0 { // what is on its way stands before the first page
		out.Next = cursor{views[n-1].Received, views[n-1].Thread}.String()
	}
	return out, nil
}

// boxOf says whether a box is of what we opened; nil for both.
func boxOf(box string) (ours *bool, err error) {
	return either(box, "out", "in", fault.New(fault.Invalid, "box", "The box is in, out, or not named at all."))
}

// whose says whether what we owe is meant; nil for both.
func whose(of string) (ours *bool, err error) {
	return either(of, "us", "them", fault.New(fault.Invalid, "of", "Name us, them, or neither."))
}

// either says whether a word is the one of two, nil where it is empty; it is refused where it is neither.
func either(word, one, other string, refused error) (is *bool, err error) {
	switch word {
	case "":
		return nil, nil
	case one, other:
		return new(word == one), nil
	}
	return nil, refused
}

type requestIn struct {
	Request string `path:"request" doc:"Its number, or the commitment of its first statement, or a prefix of at least 8 digits of that."`
}

func (d *Door) request(ctx context.Context, who actor.Actor, in requestIn) (RequestDetail, error) {
	v, err := d.house.Request(ctx, who, in.Request)
	if err != nil {
		return RequestDetail{}, err
	}
	out := RequestDetail{Request: requestOf(v.RequestView), Label: labelOf(v.Label), Expired: v.Expired, Form: linesOf(v.Form), Timeline: []RequestWord{}}
	for _, w := range v.Timeline {
		out.Timeline = append(out.Timeline, RequestWord{Statement: statementOf(w.StatementView), Label: labelOf(w.Label), Form: linesOf(w.Form)})
	}
	return out, nil
}

type duesIn struct {
	Of    string     `query:"of" doc:"us for what we owe, them for what peers owe; both without it."`
	Desk  string     `query:"desk" doc:"Only what one desk owes, by its id."`
	Until *time.Time `query:"until" doc:"Only what is due at or before this instant."`
	Limit int        `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) dues(ctx context.Context, who actor.Actor, in duesIn) (List[Due], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Due]{}, err
	}
	f := assistance.DueFilter{Desk: in.Desk, Limit: limit}
	if f.Ours, err = whose(in.Of); err != nil {
		return List[Due]{}, err
	}
	if in.Until != nil {
		f.Until = in.Until.UnixMicro()
	}
	views, err := d.house.Dues(ctx, who, f)
	if err != nil {
		return List[Due]{}, err
	}
	out := List[Due]{Items: []Due{}}
	for _, v := range views {
		out.Items = append(out.Items, dueOf(v))
	}
	return out, nil
}

// askRoute and replyRoute take a draft and files, as sendRoute does.
func askRoute() operation {
	return draftRoute[None]("/requests", "ask", "Send a request for assistance, with its files", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Asked, error) {
		link, err := d.house.LinkID(r.Context(), who, o.Link)
		if err != nil {
			return Asked{}, err
		}
		draft, err := requestDraft(o, statement.Assistance)
		if err != nil {
			return Asked{}, err
		}
		draft.Link = link
		asked, err := d.house.Ask(r.Context(), who, draft, nil)
		return Asked{Statement: asked.Statement, Number: asked.Number, Warnings: append([]string{}, asked.Warnings...)}, err
	})
}

func replyRoute() operation {
	return draftRoute[requestIn]("/requests/{request}/statements", "reply", "Say something in the thread of a request, with files", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Said, error) {
		draft, err := requestDraft(o, statement.Assistance)
		if err != nil {
			return Said{}, err
		}
		c, err := d.house.Reply(r.Context(), who, r.PathValue("request"), draft, nil)
		return Said{Statement: c}, err
	})
}

// requestDraft takes of a draft what a request has, or a call; lane, thread and references follow from that.
func requestDraft(o outgoing, lane statement.Lane) (flow.RequestDraft, error) {
	out := flow.RequestDraft{Kind: o.Kind, Zone: o.Zone, Urgency: o.Urgency, Marking: o.Marking, Body: o.Body, Files: o.files, Registered: o.Registered,
		Originator: o.Originator, Consent: o.Consent}
	if o.Thread != nil || len(o.Refs) > 0 || o.Lane != "" && o.Lane != lane {
		return out, fault.New(fault.Invalid, "draft", "Leave out lane, thread and refs: they follow from the request or call.")
	}
	if len(o.Face) > 0 {
		if err := envelope.Unmarshal(o.Face, &out.Face); err != nil {
			return out, fault.Wrap(fault.Invalid, "face", "The face is not an object.", err)
		}
	}
	if o.ReplyBy != nil {
		at := o.ReplyBy.UnixMicro()
		out.ReplyBy = &at
	}
	return out, nil
}

type formIn struct {
	Kind string `path:"kind"`
}

func (d *Door) forms(context.Context, actor.Actor, None) (List[FormKind], error) {
	out := List[FormKind]{Items: []FormKind{}}
	for _, k := range statement.FormKinds(statement.KindsEdition) {
		out.Items = append(out.Items, FormKind{Kind: k.Name, Series: k.Series, Label: labelOf(k.Label)})
	}
	return out, nil
}

func (d *Door) form(_ context.Context, _ actor.Actor, in formIn) (FormKind, error) {
	k, ok := statement.FormKindOf(statement.KindsEdition, in.Kind)
	if !ok {
		return FormKind{}, fault.New(fault.NotFound, "form", "There is no form of this kind; see \"entente request form\".")
	}
	return FormKind{Kind: k.Name, Series: k.Series, Label: labelOf(k.Label), Face: formOf(k.Face()), Body: formOf(k.Body())}, nil
}

func formOf(form statement.Form) []FormField {
	fields := []FormField{}
	for _, f := range form {
		field := FormField{Name: f.Name, Type: string(f.Type), Required: f.Required, Many: f.Many, Max: f.Max, Source: f.Source, Label: labelOf(f.Label), Hint: labelOf(f.Hint)}
		for _, c := range f.Codes {
			field.Codes = append(field.Codes, FormCode{Code: c.Name, Label: labelOf(c.Words)})
		}
		if f.Type == statement.FieldGroup {
			field.Fields = formOf(f.Fields)
		}
		fields = append(fields, field)
	}
	return fields
}

func labelOf(w statement.Words) Label { return Label{EN: w.EN, ZH: w.ZH} }

func linesOf(printed []assistance.Printed) []FormLine {
	lines := []FormLine{}
	for _, p := range printed {
		lines = append(lines, FormLine{Depth: p.Depth, Label: labelOf(p.Label), Value: labelOf(p.Value)})
	}
	return lines
}

func requestOf(v flow.RequestView) Request {
	out := Request{Number: v.Number, Statement: v.Thread, Link: v.LinkAlias, Kind: v.Kind, Ours: v.Ours, Requesting: v.Requesting, Requested: v.Requested,
		Urgency: v.Urgency, Status: string(v.Status), Received: maybe(v.Received), Changed: maybe(v.Changed), Confidential: v.Quiet, Due: []Due{}}
	for _, due := range v.Dues {
		out.Due = append(out.Due, dueOf(due))
	}
	return out
}

func dueOf(v flow.DueView) Due {
	return Due{Number: v.Number, Request: v.Thread, Link: v.LinkAlias, Kind: v.Kind, Status: string(v.Status), Step: v.Step, Ours: v.Ours, Desk: v.Desk,
		Urgency: v.Urgency, Since: instant(v.From), At: instant(v.At), Escalate: instant(v.Escalate), Overdue: v.Overdue, Escalates: v.Escalates,
		Reminder: v.Reminder, Confidential: v.Quiet}
}

// faultsOf are the faults that an incomplete draft has.
func faultsOf(e *assistance.Incomplete) []FieldFault {
	var out []FieldFault
	for _, f := range e.Faults {
		out = append(out, FieldFault{Where: f.Where, What: f.What, Write: labelOf(f.Write)})
	}
	return out
}
