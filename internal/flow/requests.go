package flow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"entente/handling"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"

	"github.com/go-json-experiment/json/jsontext"
)

// RequestDraft is a request that a member or a tool composes, or a word in a request's thread. Face and Body are objects as the
// kind's form declares them.
type RequestDraft struct {
	Link    statement.LinkID // of a new request
	Kind    string
	Zone    string // of the author; UTC if empty
	Urgency string // routine if empty
	ReplyBy *int64
	Marking handling.Marking
	Face    map[string]any // the number, and in a new request days and always, are filled in
	Body    jsontext.Value
	Files   iter.Seq2[FileDraft, error] // nil: none

	Registered bool // this and those below: see Draft
	Originator string
	Consent    *bool
}

// Asked is a request that was sent.
type Asked struct {
	Statement statement.Commitment
	Number    string
	Warnings  []string
	Earlier   []Earlier // requests that asked the same party about the same, of which Warnings tells too
}

// numberTries is how often a number is tried that another request may have taken meanwhile; the files stay sealed.
const numberTries = 100

// Ask sends a request under the next number of its series. One that would bounce is not sent: every fault is listed in an
// assistance.Incomplete, no number is used up, and it is kept as a draft. What a second person must release is kept too, and the
// error is Held.
func (h *House) Ask(ctx context.Context, who actor.Actor, d RequestDraft, p Progress) (Asked, error) {
	if err := who.May(actor.Ask); err != nil {
		return Asked{}, err
	}
	kind, ok := h.forms[d.Kind]
	if !ok || kind.Series == "" {
		return Asked{}, fault.New(fault.Invalid, "unknown_kind", "There is no such kind of request; see \"entente request form\".")
	}
	face, warnings, err := h.addressed(ctx, who, d)
	if err != nil {
		return Asked{}, err
	}
	delete(face, "number") // which it gets when it leaves
	d.Face = face
	draft := d.statement(nil)
	more, err := h.complete(ctx, who, draft)
	if err != nil {
		return Asked{}, err
	}
	earlier, err := h.askedBefore(ctx, draft)
	if err != nil {
		return Asked{}, err
	}
	asked, err := h.ask(ctx, who, kind, draft, nil, p)
	asked.Warnings, asked.Earlier = slices.Concat(warnings, more, warnEarlier(earlier)), earlier
	return asked, err
}

// ask sends a complete request. Its number is taken in the transaction that gives it its place.
func (h *House) ask(ctx context.Context, who actor.Actor, kind statement.FormKind, d Draft, also func(context.Context, Tx, statement.Commitment) error, p Progress) (Asked, error) {
	said, err := wordsOf(d)
	if err != nil {
		return Asked{}, err
	}
	w, err := h.begin(ctx, d, p)
	if err != nil {
		return Asked{}, err
	}
	defer w.end(ctx)
	series := h.series(kind)
	for range numberTries {
		var last int64
		if err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			last, err = tx.LastNumber(ctx, series)
			return err
		}); err != nil {
			return Asked{}, err
		}
		number := assistance.Number(series, last+1)
		if d.Face, err = numbered(said.Face, number); err != nil {
			return Asked{}, err
		}
		c, err := w.send(ctx, who, d, func(ctx context.Context, tx Tx, c statement.Commitment) error {
			if err := tx.TakeNumber(ctx, series, last+1); err != nil || also == nil {
				return err
			}
			return also(ctx, tx, c)
		})
		if fault.CodeOf(err) == "number_taken" {
			continue
		}
		return Asked{Statement: c, Number: number}, err
	}
	return Asked{}, fault.New(fault.Exhausted, "number_taken", "So many requests are being sent that this one got no number; try again in a moment.")
}

// statement is the draft of a request or of a word in its thread.
func (d RequestDraft) statement(thread *statement.Commitment) Draft {
	return Draft{Link: d.Link, Lane: statement.Assistance, Kind: d.Kind, Thread: thread, Zone: d.Zone, Urgency: d.Urgency, ReplyBy: d.ReplyBy,
		Marking: d.Marking, Face: d.Face, Body: d.Body, Files: d.Files, Registered: d.Registered,
		Originator: d.Originator, Consent: d.Consent}
}

func amount(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

// addressed fills in which desk is asked, where it counts its days, and whether it is always open.
func (h *House) addressed(ctx context.Context, who actor.Actor, d RequestDraft) (face map[string]any, warnings []string, err error) {
	face = map[string]any{"status": "new"}
	maps.Copy(face, d.Face)
	desks, err := h.Desks(ctx, who, &d.Link)
	if err != nil {
		return nil, nil, err
	}
	named, _ := face["to_desk"].(string)
	desks = slices.DeleteFunc(desks, func(v DeskView) bool { return v.Ours || v.State != exchange.DeskActive })
	i := slices.IndexFunc(desks, func(v DeskView) bool { return v.ID.String() == named || named == "" && v.Role == "requests" })
	if i < 0 && named == "" && len(desks) > 0 {
		i = 0
	}
	if i < 0 {
		if named != "" {
			return nil, nil, fault.New(fault.NotFound, "desk", "The other party has no active desk of this name; see \"entente desks\".")
		}
		if _, there := face["days"]; !there {
			face["days"] = "UTC"
		}
		return face, []string{"The other party has no active desk on this link: nobody may be there to answer."}, nil
	}
	desk := desks[i]
	face["to_desk"] = desk.ID.String()
	if desk.Body == nil {
		face["days"] = "UTC"
		return face, []string{"What is known of the desk was erased: days are counted in UTC."}, nil
	}
	face["days"], face["always"] = desk.Body.Zone, desk.Body.Always
	if zone, err := h.zone(desk.Body.Zone); err == nil && !desk.Body.Open(h.cfg.Now().In(zone)) {
		warnings = append(warnings, "The desk is closed now; call its hotline if it cannot wait.")
	}
	return face, warnings, nil
}

// zone loads a time zone once.
func (h *House) zone(name string) (*time.Location, error) {
	if known, ok := h.zones.Load(name); ok {
		return known.(*time.Location), nil
	}
	zone, err := statement.Zone(name)
	if err != nil {
		return nil, err
	}
	h.zones.Store(name, zone)
	return zone, nil
}

// Reply says a word in a request's thread, which is named by its number or by its first statement. Where the kind cites a word
// of the other party and the draft names none, it is the latest.
func (h *House) Reply(ctx context.Context, who actor.Actor, name string, d RequestDraft, p Progress) (statement.Commitment, error) {
	if err := who.May(h.actOf(d.Kind)); err != nil {
		return statement.Commitment{}, err
	}
	kind, ok := h.forms[d.Kind]
	if !ok || kind.Opens || kind.Lane != statement.Assistance {
		return statement.Commitment{}, fault.New(fault.Invalid, "unknown_kind", "There is no such answer to a request.")
	}
	var thread statement.Commitment
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		row, err := h.findRequest(ctx, tx, name)
		if err != nil {
			return err
		}
		thread, d.Link = row.Thread, row.Link
		d.Urgency = orElse(d.Urgency, row.Urgency)
		_, requested, err := newestColumns[assistance.Column](ctx, tx, row.Link, row.Thread, row.Requesting, row.Requested)
		if cited := h.requests.Cited(d.Kind, requested); cited != "" && d.Face["cites"] == nil {
			d.Face = with(d.Face, "cites", cited)
		}
		return err
	})
	if err != nil {
		return statement.Commitment{}, err
	}
	d.Face = copied(d.Face)
	draft := d.statement(&thread)
	if _, err := h.complete(ctx, who, draft); err != nil {
		return statement.Commitment{}, err
	}
	return h.send(ctx, who, draft, nil, p)
}

// copied is a face of its own with the same members.
func copied(face map[string]any) map[string]any {
	out := make(map[string]any, len(face)+1)
	maps.Copy(out, face)
	return out
}

// with is a face with one more member.
func with(face map[string]any, name string, value any) map[string]any {
	out := copied(face)
	out[name] = value
	return out
}

// findRequest finds a request that both sides have, by number or by its first statement.
func (h *House) findRequest(ctx context.Context, tx Tx, name string) (assistance.Row, error) {
	if strings.ContainsRune(name, '-') {
		rows, err := tx.RequestsByNumber(ctx, strings.ToUpper(name))
		if err != nil {
			return assistance.Row{}, err
		}
		switch len(rows) {
		case 0:
			return assistance.Row{}, fault.New(fault.NotFound, "request", "There is no request of this number here, or it waits for the other party's receipt; see \"entente request list\".")
		case 1:
			return rows[0], nil
		}
		return assistance.Row{}, fault.New(fault.Conflict, "ambiguous", "More than one request bears this number; name it by its first statement.")
	}
	first, err := h.find(ctx, tx, name)
	if err != nil {
		return assistance.Row{}, err
	}
	row, err := tx.Request(ctx, first.Thread)
	if notFound(err) {
		return row, fault.New(fault.NotFound, "request", "This is not a request, or it waits for the other party's receipt.")
	}
	return row, err
}

// columnAt is a party's column of a thread at a place of its sequence, as its room reads it.
func columnAt[C any](ctx context.Context, tx Tx, link statement.LinkID, thread statement.Commitment, author party.ID, epoch uint32, seq uint64) (C, error) {
	c, err := tx.ColumnAt(ctx, link, thread, author, epoch, seq)
	if err != nil {
		var none C
		return none, err
	}
	return decoded[C](version{Column: c})
}

// newestColumns are the newest columns of two parties of a thread.
func newestColumns[C any](ctx context.Context, tx Tx, link statement.LinkID, thread statement.Commitment, a, b party.ID) (ofA, ofB C, err error) {
	if ofA, err = columnAt[C](ctx, tx, link, thread, a, newestEpoch, newestSeq); err != nil {
		return ofA, ofB, err
	}
	ofB, err = columnAt[C](ctx, tx, link, thread, b, newestEpoch, newestSeq)
	return ofA, ofB, err
}

// setClocks sets the clocks of requests anew, each once.
func (h *House) setClocks(ctx context.Context, tx Tx, l exchange.Link, folded *touched) error {
	for thread, words := range folded.requests {
		if err := h.clock(ctx, tx, l, thread, words, folded.agreed[thread]); err != nil {
			return fmt.Errorf("setting the clocks of request %s: %w", thread, err)
		}
	}
	return nil
}

// clock makes a request's row, its clocks and its obligations anew of both columns, after one of them changed.
func (h *House) clock(ctx context.Context, tx Tx, l exchange.Link, thread statement.Commitment, words assistance.Tally, agreed []statement.Effect) error {
	row := assistance.Row{Link: l.ID, Thread: thread, Requesting: h.self, Requested: l.Peer, Ours: true}
	requesting, requested, err := newestColumns[assistance.Column](ctx, tx, row.Link, row.Thread, row.Requesting, row.Requested)
	if err != nil {
		return err
	}
	if requesting.Request == nil { // the peer asked
		requesting, requested = requested, requesting
		row.Requesting, row.Requested, row.Ours = l.Peer, h.self, false
	}
	r := requesting.Request
	if r == nil {
		return errors.New("a request's thread has no request")
	}
	rules, err := h.rulesOf(ctx, tx, l, thread)
	if err != nil {
		return err
	}
	by := assistance.Terms{Rules: *rules, Requested: row.Requested, Zone: h.zone}
	clocks, err := assistance.Clocks(requesting, requested, by)
	if err != nil {
		return err
	}
	if row.Tally, err = h.tally(ctx, tx, row, words, requesting, requested, by); err != nil {
		return err
	}
	row.Number, row.Kind, row.Urgency, row.Received, row.Quiet = r.Number, r.Kind, r.Urgency, r.At, r.Quiet
	row.Status, row.Changed = assistance.StatusOf(requesting, requested), assistance.Changed(requesting, requested)
	if row.Received == 0 && row.Status == assistance.Delivered {
		row.Status = Sent // on a oneway link
	}
	dues := make([]assistance.Due, len(clocks))
	for i, c := range clocks {
		dues[i] = assistance.Due{Link: l.ID, Thread: thread, Step: c.Step, By: row.Requested, Ours: !row.Ours, Desk: r.ToDesk, Urgency: r.Urgency, From: c.From, At: c.At, Escalate: c.Escalate}
		if c.By == assistance.Requesting {
			dues[i].By, dues[i].Ours, dues[i].Desk = row.Requesting, row.Ours, r.FromDesk
		}
	}
	if err := tx.PutRequest(ctx, row, dues); err != nil {
		return err
	}
	if err := h.oblige(ctx, tx, row, requesting, requested, rules, agreed); err != nil {
		return err
	}
	return h.obligeKept(ctx, tx, l, thread)
}
