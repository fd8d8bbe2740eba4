package flow

import (
	"cmp"
	"context"
	"slices"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/statement"
)

// Sent is the status of a request of ours that the other party has not receipted, or cannot, or that is not folded yet.
const Sent assistance.Status = "sent"

// RequestView is a request as it is listed.
type RequestView struct {
	assistance.Row
	LinkAlias string
	Dues      []DueView
}

// DueView is a clock as it stands now.
type DueView struct {
	assistance.DueRow
	LinkAlias string
	Overdue   bool
	Escalates bool // it may be escalated now
	Reminder  int  // the last reminder that is due: 50, 80 or 100 per cent, 0 before the first
}

// RequestDetail is one request with its timeline, in the order of our own clock, and its printed form.
type RequestDetail struct {
	RequestView
	Expired  bool // what was preserved is so no more
	Label    statement.Words
	Form     []assistance.Printed
	Timeline []RequestWord
}

// RequestWord is one statement of the thread of a request or a call.
type RequestWord struct {
	StatementView
	Label statement.Words
	Form  []assistance.Printed // without the request's, which stands above
}

// Requests lists requests, newest first: before them those of ours that are still on their way, unless a status is asked for.
func (h *House) Requests(ctx context.Context, who actor.Actor, f assistance.Filter) ([]RequestView, error) {
	if err := who.May(actor.ReadRequests); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	var views []RequestView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		if f.After == nil && (f.Status == "" || f.Status == Sent) && (f.Ours == nil || *f.Ours) {
			if views, err = h.underWay(ctx, tx, f.Link, names); err != nil {
				return err
			}
		}
		rows, err := tx.Requests(ctx, f)
		if err != nil {
			return err
		}
		listed, err := h.withDues(ctx, tx, rows, names)
		views = append(views, listed...)
		return err
	})
	return views, err
}

// underWay are our own requests that are not folded yet, newest first.
func (h *House) underWay(ctx context.Context, tx Tx, link *statement.LinkID, names map[statement.LinkID]string) ([]RequestView, error) {
	var views []RequestView
	err := h.unfolded(ctx, tx, link, statement.Assistance, func(l exchange.Link, s exchange.Statement, text *statement.Text) error {
		if h.requests.Has(s.Kind) {
			views = append(views, RequestView{LinkAlias: names[l.ID], Row: assistance.Row{Link: l.ID, Ours: true, Thread: s.Thread, Number: assistance.NumberOf(text),
				Kind: s.Kind, Requesting: h.self, Requested: l.Peer, Urgency: text.Urgency, Status: Sent}})
		}
		return nil
	})
	return views, err
}

// unfolded calls f with what of ours opens threads in a lane and is not folded yet, newest first: of one link, or of all.
func (h *House) unfolded(ctx context.Context, tx Tx, link *statement.LinkID, lane statement.Lane, f func(exchange.Link, exchange.Statement, *statement.Text) error) error {
	links, err := tx.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		if link != nil && l.ID != *link {
			continue
		}
		state, err := tx.Lane(ctx, l.ID, h.self, l.OwnEpoch, lane)
		if err != nil {
			return err
		}
		run, err := tx.ParcelRun(ctx, l.ID, h.self, l.OwnEpoch, lane, state.Folded, maxList)
		if err != nil {
			return err
		}
		ids := make([]envelope.ID, len(run))
		for i, p := range run {
			ids[i] = p.ID
		}
		said, err := tx.StatementsByParcel(ctx, ids)
		if err != nil {
			return err
		}
		for _, p := range slices.Backward(run) {
			s := said[p.ID]
			if s.Thread != s.Commitment {
				continue
			}
			text, err := textIn(s)
			if err != nil {
				return err
			}
			if err := f(l, s, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// withDues are requests with their clocks.
func (h *House) withDues(ctx context.Context, tx Tx, rows []assistance.Row, names map[statement.LinkID]string) ([]RequestView, error) {
	threads := make([]statement.Commitment, len(rows))
	for i, r := range rows {
		threads[i] = r.Thread
	}
	dues, err := tx.DuesOf(ctx, threads)
	views := make([]RequestView, len(rows))
	for i, r := range rows {
		views[i] = RequestView{Row: r, LinkAlias: names[r.Link]}
		for _, d := range dues[r.Thread] {
			views[i].Dues = append(views[i].Dues, h.dueView(assistance.DueRow{Due: d, Number: r.Number, Kind: r.Kind, Status: r.Status, Quiet: r.Quiet}, names))
		}
	}
	return views, err
}

func (h *House) dueView(d assistance.DueRow, names map[statement.LinkID]string) DueView {
	now := h.now()
	return DueView{DueRow: d, LinkAlias: names[d.Link], Overdue: now > d.At, Escalates: now > d.Escalate, Reminder: assistance.Reminder(d.Urgency, d.From, d.At, now)}
}

// Dues lists the clocks that run, the earliest first.
func (h *House) Dues(ctx context.Context, who actor.Actor, f assistance.DueFilter) ([]DueView, error) {
	if err := who.May(actor.ReadRequests); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	var views []DueView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		dues, err := tx.Dues(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range dues {
			views = append(views, h.dueView(d, names))
		}
		return nil
	})
	return views, err
}

// Request shows a request by its number or its first statement. Of a thread of more than 500 words it shows the latest.
func (h *House) Request(ctx context.Context, who actor.Actor, name string) (RequestDetail, error) {
	var d RequestDetail
	if err := who.May(actor.ReadRequests); err != nil {
		return d, err
	}
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		d = RequestDetail{}
		row, err := h.findRequest(ctx, tx, name)
		if err != nil {
			return err
		}
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		listed, err := h.withDues(ctx, tx, []assistance.Row{row}, names)
		if err != nil {
			return err
		}
		d.RequestView = listed[0]
		requesting, requested, err := newestColumns[assistance.Column](ctx, tx, row.Link, row.Thread, row.Requesting, row.Requested)
		if err != nil {
			return err
		}
		d.Expired = assistance.Expired(requesting, requested, h.now())
		return h.timeline(ctx, tx, &d, names)
	})
	return d, err
}

func (h *House) timeline(ctx context.Context, tx Tx, d *RequestDetail, names map[statement.LinkID]string) error {
	first, err := tx.Statement(ctx, d.Thread)
	if err != nil {
		return err
	}
	v, err := h.view(ctx, tx, first, names)
	if err != nil {
		return err
	}
	d.Label, d.Form = printed(v)
	if d.Timeline, err = h.words(ctx, tx, d.Link, d.Thread, names); err != nil {
		return err
	}
	for i := range d.Timeline {
		if d.Timeline[i].Commitment == d.Thread {
			d.Timeline[i].Form = nil
		}
	}
	return nil
}

// words are the latest statements of a thread with their printed forms, in the order of our own clock.
func (h *House) words(ctx context.Context, tx Tx, link statement.LinkID, thread statement.Commitment, names map[statement.LinkID]string) ([]RequestWord, error) {
	rows, err := tx.Statements(ctx, exchange.Filter{Link: &link, Thread: &thread, Limit: maxList})
	if err != nil {
		return nil, err
	}
	views, err := h.shown(ctx, tx, rows, names)
	if err != nil {
		return nil, err
	}
	var words []RequestWord
	for _, v := range slices.Backward(views) {
		word := RequestWord{StatementView: v}
		word.Label, word.Form = printed(v)
		words = append(words, word)
	}
	slices.SortStableFunc(words, func(a, b RequestWord) int { return cmp.Compare(a.here(), b.here()) })
	return words, nil
}

// here is when a word was said or came in by our own clock: the parties' clocks may be apart.
func (w RequestWord) here() int64 {
	if w.Ours {
		return w.Authored
	}
	return w.Parcel.Received
}

// printed lays out face and body of a statement in both languages.
func printed(v StatementView) (statement.Words, []assistance.Printed) {
	k, ok := statement.FormKindOf(statement.KindsEdition, v.Kind)
	if !ok {
		return statement.Words{EN: v.Kind, ZH: v.Kind}, nil
	}
	return k.Label, append(assistance.Print(k.Face(), v.Text.Face), assistance.Print(k.Body(), v.Body)...)
}
