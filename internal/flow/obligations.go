package flow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/notice"
	"entente/party"
	"entente/statement"
)

// ObligationView is an obligation as it stands now.
type ObligationView struct {
	assistance.Obligation
	LinkAlias string
	Number    string // of the request
	Kind      string
	Quiet     bool
	Ours      bool // we owe it
	Over      bool // its time has passed while it was owed
	Warning   int  // days before the end of a preservation: 30, 14, 7 or 1; 0 before the first
	Held      bool // a legal hold here keeps the thread from being erased
}

// Obligations lists obligations of one state, what ends first before the rest. What is over stays in the list until it was said to be
// done or ended: nothing ends by itself, nor with the request or the link.
func (h *House) Obligations(ctx context.Context, who actor.Actor, f assistance.ObligationFilter) ([]ObligationView, error) {
	if err := who.May(actor.ReadRequests); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	if f.State == "" {
		f.State = assistance.Owed
	}
	var views []ObligationView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.Obligations(ctx, f)
		if err == nil {
			views, err = h.obligationViews(ctx, tx, rows)
		}
		return err
	})
	return views, err
}

// ObligationsOf lists every obligation of a request, which is named by its number or by its first statement.
func (h *House) ObligationsOf(ctx context.Context, who actor.Actor, request string) ([]ObligationView, error) {
	if err := who.May(actor.ReadRequests); err != nil {
		return nil, err
	}
	var views []ObligationView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		row, err := h.findRequest(ctx, tx, request)
		if err != nil {
			return err
		}
		rows, err := tx.ObligationsOf(ctx, row.Thread)
		if err == nil {
			views, err = h.obligationViews(ctx, tx, rows)
		}
		return err
	})
	return views, err
}

func (h *House) obligationViews(ctx context.Context, tx Tx, rows []assistance.Obligation) ([]ObligationView, error) {
	threads := make([]statement.Commitment, len(rows))
	for i, o := range rows {
		threads[i] = o.Thread
	}
	names, err := aliases(ctx, tx)
	if err != nil {
		return nil, err
	}
	requests, err := tx.RequestsOf(ctx, threads)
	if err != nil {
		return nil, err
	}
	holds, err := tx.HoldsOf(ctx, threads)
	if err != nil {
		return nil, err
	}
	now := h.now()
	views := make([]ObligationView, len(rows))
	for i, o := range rows {
		r := requests[o.Thread]
		views[i] = ObligationView{Obligation: o, LinkAlias: names[o.Link], Number: r.Number, Kind: r.Kind, Quiet: r.Quiet, Ours: o.By == h.self,
			Over: o.IsOver(now), Warning: o.Warning(now),
			Held: slices.ContainsFunc(holds, func(x exchange.Hold) bool { return x.Thread == o.Thread })}
	}
	return views, nil
}

// oblige makes the obligations of a request anew, after a word of it was folded. Conditions that were agreed to before stay with it,
// whatever was said since.
func (h *House) oblige(ctx context.Context, tx Tx, row assistance.Row, requesting, requested assistance.Column, rules *statement.Rules, agreed []statement.Effect) error {
	before, err := tx.ObligationsOf(ctx, row.Thread)
	if err != nil {
		return err
	}
	facts := assistance.Facts{}
	facts.Days, _ = rules.Retain(row.Kind)
	if facts.Bonds, err = bonds(ctx, tx, row.Thread, before, agreed); err != nil {
		return err
	}
	if row.Kind == "victim.request" {
		text, err := textOf(ctx, tx, row.Thread)
		if err != nil {
			return err
		}
		facts.Untold = assistance.Untold(text)
	}
	if facts.Deleted, err = h.deleted(ctx, tx, row); err != nil {
		return err
	}
	if linked, said := requesting.Said["preservation.link"]; said {
		if facts.Formal, err = formalStatus(ctx, tx, row.Link, linked.Cites); err != nil {
			return err
		}
	}
	changed := slices.DeleteFunc(assistance.Obligations(row, requesting, requested, facts), func(o assistance.Obligation) bool { return slices.Contains(before, o) })
	return tx.PutObligations(ctx, changed...)
}

// bonds are the conditions of a request that were agreed to: those that its obligations show, and those of new agreements.
func bonds(ctx context.Context, tx Tx, thread statement.Commitment, before []assistance.Obligation, agreed []statement.Effect) ([]assistance.Bond, error) {
	var list []assistance.Bond
	for _, o := range before {
		if o.Source == thread {
			continue
		}
		list = append(list, assistance.Bond{Conditions: o.Source, Duties: []string{o.Duty}, At: o.Since})
	}
	for _, e := range agreed {
		text, err := textOf(ctx, tx, e.Ref)
		if err != nil {
			return nil, err
		}
		list = append(list, assistance.Bond{Conditions: e.Ref, Duties: assistance.ConditionsOf(text), At: e.At})
	}
	return list, nil
}

func textOf(ctx context.Context, tx Tx, c statement.Commitment) (*statement.Text, error) {
	said, err := tx.Statement(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading statement %s: %w", c, err)
	}
	return textIn(said)
}

// deleted are the words of both parties that they erased a request.
func (h *House) deleted(ctx context.Context, tx Tx, row assistance.Row) (map[party.ID]string, error) {
	said := map[party.ID]string{}
	for _, p := range []party.ID{row.Requesting, row.Requested} {
		c, err := columnAt[exchange.ErasureColumn](ctx, tx, row.Link, statement.ErasureThread(row.Thread), p, newestEpoch, newestSeq)
		if err != nil {
			return nil, err
		}
		if !c.Notice.IsZero() {
			said[p] = c.Notice.String()
		}
	}
	return said, nil
}

// formalStatus is how the request stands for which data are kept, "" if this link has none of this name.
func formalStatus(ctx context.Context, tx Tx, link statement.LinkID, name string) (assistance.Status, error) {
	thread, err := envelope.ParseHash(name)
	if err != nil {
		return "", nil
	}
	row, err := tx.Request(ctx, thread)
	if notFound(err) || err == nil && row.Link != link {
		return "", nil
	}
	return row.Status, err
}

// obligeKept makes the obligations anew of those requests whose data are kept for this one.
func (h *House) obligeKept(ctx context.Context, tx Tx, l exchange.Link, formal statement.Commitment) error {
	threads, err := tx.KeptFor(ctx, formal)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if err := h.obligeAgain(ctx, tx, l, thread); err != nil {
			return err
		}
	}
	return nil
}

// obligeErased makes the obligations anew of requests of which a party said that it erased them.
func (h *House) obligeErased(ctx context.Context, tx Tx, l exchange.Link, erased map[statement.Commitment]bool) error {
	for thread := range erased {
		if err := h.obligeAgain(ctx, tx, l, thread); err != nil {
			return err
		}
	}
	return nil
}

// obligeAgain makes the obligations of a request of a link anew, if there is one of this name.
func (h *House) obligeAgain(ctx context.Context, tx Tx, l exchange.Link, thread statement.Commitment) error {
	row, err := tx.Request(ctx, thread)
	if notFound(err) || err == nil && row.Link != l.ID {
		return nil
	}
	if err != nil {
		return err
	}
	requesting, requested, err := newestColumns[assistance.Column](ctx, tx, row.Link, thread, row.Requesting, row.Requested)
	if err != nil {
		return err
	}
	rules, err := h.rulesOf(ctx, tx, l, thread)
	if err != nil {
		return err
	}
	return h.oblige(ctx, tx, row, requesting, requested, rules, nil)
}

// obligationPage is how many obligations are looked at at once.
const obligationPage = 256

// eachObligation calls f with the pages of obligations that end within a time.
func (h *House) eachObligation(ctx context.Context, filter assistance.ObligationFilter, f func([]assistance.Obligation) error) error {
	filter.State, filter.Limit = assistance.Owed, obligationPage
	for {
		var page []assistance.Obligation
		if err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			page, err = tx.Obligations(ctx, filter)
			return err
		}); err != nil {
			return err
		}
		if err := f(page); err != nil || len(page) < obligationPage {
			return err
		}
		filter.After = &page[len(page)-1]
	}
}

// warnAhead is how long before the end of a preservation the first warning is due; and for how long after it the last is still given,
// by a node that was away.
const warnAhead = 30 * 24 * time.Hour

// WarnOfEnds warns, in the node's log and by a notice, of data whose preservation ends in 30, 14, 7 or 1 days, on either side, and says
// how many warnings these were: each once, also if the node is restarted; and anew of another end. A confidential request is not named.
func (h *House) WarnOfEnds(ctx context.Context) (int, error) {
	now, given := h.now(), 0
	filter := assistance.ObligationFilter{Duty: assistance.DutyPreserve, From: now - warnAhead.Microseconds(), Until: now + warnAhead.Microseconds()}
	err := h.eachObligation(ctx, filter, func(page []assistance.Obligation) error {
		var due []ObligationView
		if err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
			due = nil
			for _, o := range page {
				days := o.Warning(now)
				end, warned, err := tx.Warned(ctx, o.Thread)
				if err != nil {
					return err
				}
				if end == o.Until && warned <= days {
					continue
				}
				if err := tx.SetWarned(ctx, o.Thread, o.Until, days); err != nil {
					return err
				}
				views, err := h.obligationViews(ctx, tx, []assistance.Obligation{o})
				if err != nil {
					return err
				}
				if err := h.announceEnd(ctx, tx, views[0]); err != nil {
					return err
				}
				due = append(due, views...)
			}
			return nil
		}); err != nil {
			return err
		}
		for _, v := range due {
			name := v.Number
			if v.Quiet {
				name = "confidential"
			}
			h.cfg.Log.Warn("preserved data end; extend, or link the formal request", "link", v.LinkAlias, "request", name, "ours", v.Ours,
				"days", v.Warning, "end", time.UnixMicro(v.Until).UTC().Format(time.RFC3339))
		}
		given += len(due)
		return nil
	})
	return given, err
}

// announceEnd tells our receivers that preserved data end.
func (h *House) announceEnd(ctx context.Context, tx Tx, v ObligationView) error {
	l, err := tx.Link(ctx, v.Link)
	if err != nil {
		return err
	}
	end := time.UnixMicro(v.Until).UTC()
	data := notice.Data{Thread: &v.Thread, Due: &end, OwedBy: notice.OwedBy(v.Ours)}
	if !v.Ours && !v.Quiet {
		data.Number = v.Number
	}
	return h.announce(ctx, tx, l, happening{event: notice.PreservationEnds, ref: fmt.Sprintf("%s %d %d", v.Thread, v.Until, v.Warning), kind: v.Kind, data: data})
}

// tellDeleted says of each request that this node has to have deleted, and of whose thread nothing is left here, that it was. The
// control lane is open for that also after a withdrawal.
func (h *House) tellDeleted(ctx context.Context) error {
	return h.eachObligation(ctx, assistance.ObligationFilter{Duty: assistance.DutyDelete, By: &h.self, Until: h.now()}, func(page []assistance.Obligation) error {
		for _, o := range page {
			var first exchange.Statement
			var whole bool
			if err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
				if first, err = tx.Statement(ctx, o.Thread); err == nil {
					whole, err = allErased(ctx, tx, o)
				}
				return err
			}); err != nil {
				return err
			}
			if !whole {
				continue
			}
			if _, err := h.tellErased(ctx, actor.System(), first, "retention", first.Erased); err != nil {
				return fmt.Errorf("telling that request %s was deleted: %w", o.Thread, err)
			}
		}
		return nil
	})
}

// allErased says whether every statement of an obligation's thread is erased here.
func allErased(ctx context.Context, tx Tx, o assistance.Obligation) (bool, error) {
	f := exchange.Filter{Link: &o.Link, Thread: &o.Thread, Limit: maxList}
	for {
		rows, err := tx.Statements(ctx, f)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rows, func(s exchange.Statement) bool { return s.Erased == 0 }) {
			return false, nil
		}
		if len(rows) < maxList {
			return true, nil
		}
		last := rows[len(rows)-1]
		f.Before, f.BeforeID = last.Authored, &last.Commitment
	}
}
