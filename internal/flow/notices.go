package flow

import (
	"cmp"
	"context"
	"slices"
	"time"

	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/hotline"
	"entente/internal/notice"
	"entente/statement"
)

// What receivers of ours are told of is queued in the transaction in which it came to pass, so that it is told if and only if it did,
// and at least once whatever was restarted meanwhile. A rebuild tells nothing again.

// happening is something that receivers may be told of. ref names it among all events of its type.
type happening struct {
	event string
	ref   string
	kind  string
	data  notice.Data
}

// saidBy is what a word of the peer is to receivers.
func (h *House) saidBy(s exchange.Statement) happening {
	room, _, _ := roomOf(h.requests, s.Kind)
	event := notice.LinkSaid
	switch room {
	case assistance.Room:
		switch h.actOf(s.Kind) {
		case actor.Ask:
			event = notice.RequestReceived
		case actor.Decide:
			event = notice.RequestDecided
		default:
			event = notice.RequestSaid
		}
	case hotline.Room:
		if event = notice.CallSaid; s.Kind == "hotline.call" {
			event = notice.CallReceived
		}
	case exchange.RoomMessage:
		event = notice.MessageReceived
	case exchange.RoomDesk:
		event = notice.DeskSaid
	case exchange.RoomErasure:
		event = notice.ErasureSaid
	}
	return happening{event: event, ref: s.Commitment.String(), kind: s.Kind, data: notice.Data{Thread: &s.Thread, Statement: &s.Commitment}}
}

// announce queues what happened on a link for every receiver that is told of such events.
func (h *House) announce(ctx context.Context, tx Tx, l exchange.Link, happened ...happening) error {
	if len(happened) == 0 {
		return nil
	}
	hooks, err := tx.Hooks(ctx)
	if err != nil {
		return err
	}
	var queued []notice.Delivery
	for _, x := range happened {
		told := slices.DeleteFunc(slices.Clone(hooks), func(k notice.Hook) bool { return !k.Tells(x.event) })
		if len(told) == 0 {
			continue
		}
		x.data.Link, x.data.LinkName, x.data.Kind = &l.ID, l.Alias, x.kind
		if err := h.timed(ctx, tx, &x); err != nil {
			return err
		}
		for _, k := range told {
			d, err := notice.Event{Type: x.event, Ref: x.ref, At: h.now(), Data: x.data}.New(k.ID)
			if err != nil {
				return err
			}
			queued = append(queued, d)
		}
	}
	return tx.AddDeliveries(ctx, queued...)
}

// timed adds to what was said in the thread of a request or of a call what is due in it next, and the number that we gave it.
func (h *House) timed(ctx context.Context, tx Tx, x *happening) error {
	due := func(at int64, ours bool) {
		instant := time.UnixMicro(at).UTC()
		x.data.Due, x.data.OwedBy = &instant, notice.OwedBy(ours)
	}
	switch x.event {
	case notice.RequestReceived, notice.RequestDecided, notice.RequestSaid, notice.ClockEnded:
		row, err := tx.Request(ctx, *x.data.Thread)
		if err != nil {
			return err
		}
		if row.Requesting == h.self {
			x.data.Number = row.Number
		}
		if x.event == notice.ClockEnded {
			x.data.Kind = row.Kind
			return nil
		}
		of, err := tx.DuesOf(ctx, []statement.Commitment{*x.data.Thread})
		if clocks := of[*x.data.Thread]; err == nil && len(clocks) > 0 {
			x.data.Step = clocks[0].Step
			due(clocks[0].At, clocks[0].Ours)
		}
		return err
	case notice.CallReceived, notice.CallSaid:
		row, err := tx.CallOf(ctx, *x.data.Thread)
		if err == nil && row.Status == hotline.Ringing && row.AnswerBy != 0 {
			due(row.AnswerBy, row.Called == h.self)
		}
		return err
	}
	return nil
}

// refusals are what receivers are told of parcels of ours that the peer's node refused, or could not open.
func (h *House) refusals(ctx context.Context, tx Tx, parcels []exchange.Parcel) (happened []happening, err error) {
	for _, p := range parcels {
		if p.State != exchange.Refused && p.State != exchange.Rejected {
			continue
		}
		text := p.Text
		x := happening{event: notice.StatementRefused, ref: p.ID.String(), data: notice.Data{Statement: &text}}
		s, err := tx.Statement(ctx, p.Text)
		if err != nil && !notFound(err) {
			return nil, err
		}
		if err == nil {
			x.kind, x.data.Thread = s.Kind, &s.Thread
		}
		happened = append(happened, x)
	}
	return happened, nil
}

// dueBatch is how many clocks are told of in one transaction.
const dueBatch = 256

// TellDue tells receivers of clocks that ran out, each once: those that ran out since the first receiver was named, and not longer ago
// than notices are kept.
func (h *House) TellDue(ctx context.Context) error {
	now := h.now()
	for {
		var fallen []assistance.Due
		from := int64(0)
		err := h.cfg.Store.View(ctx, func(tx Tx) error {
			hooks, err := tx.Hooks(ctx)
			hooks = slices.DeleteFunc(hooks, func(k notice.Hook) bool { return !k.Tells(notice.ClockEnded) })
			if err != nil || len(hooks) == 0 {
				return err
			}
			from = max(slices.MinFunc(hooks, func(a, b notice.Hook) int { return cmp.Compare(a.Created, b.Created) }).Created, now-notice.KeptFor.Microseconds())
			fallen, err = tx.Fallen(ctx, from, now, dueBatch)
			return err
		})
		if err != nil || len(fallen) == 0 {
			return err
		}
		err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return h.tellFallen(ctx, tx, from, now) })
		if err != nil || len(fallen) < dueBatch {
			return err
		}
	}
}

func (h *House) tellFallen(ctx context.Context, tx Tx, from, until int64) error {
	fallen, err := tx.Fallen(ctx, from, until, dueBatch)
	if err != nil {
		return err
	}
	for _, d := range fallen {
		l, err := tx.Link(ctx, d.Link)
		if err != nil {
			return err
		}
		thread, at := d.Thread, time.UnixMicro(d.At).UTC()
		x := happening{event: notice.ClockEnded, ref: thread.String() + " " + d.Step + " " + at.Format(time.RFC3339Nano),
			data: notice.Data{Thread: &thread, Step: d.Step, Due: &at, OwedBy: notice.OwedBy(d.Ours)}}
		if err := h.announce(ctx, tx, l, x); err != nil {
			return err
		}
	}
	if err := tx.SetTold(ctx, fallen...); err != nil {
		return err
	}
	return tx.DropTold(ctx, h.now()-notice.KeptFor.Microseconds())
}

// Posting is what is to be posted to one receiver, oldest first.
type Posting struct {
	Hook       notice.Hook
	Secrets    [][]byte // that sign
	Deliveries []notice.Delivery
}

// postingSize is how many deliveries are handed out for a receiver at a time.
const postingSize = 64

// Postings lists what may be posted now.
func (h *House) Postings(ctx context.Context) (list []Posting, err error) {
	now := h.now()
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		list = nil
		hooks, err := tx.Hooks(ctx)
		if err != nil {
			return err
		}
		for _, k := range hooks {
			if k.Disabled != 0 || k.Next > now {
				continue
			}
			ready, err := tx.ReadyDeliveries(ctx, k.ID, now, postingSize)
			if err != nil {
				return err
			}
			if len(ready) > 0 {
				list = append(list, Posting{Hook: k, Deliveries: ready})
			}
		}
		return nil
	})
	for i := range list {
		if list[i].Secrets, err = h.hookSecrets(list[i].Hook, now); err != nil {
			return nil, err
		}
	}
	return list, err
}

// Posted keeps how an attempt ended, and says whether the receiver may be given the next at once.
func (h *House) Posted(ctx context.Context, d notice.Delivery, o notice.Outcome) (more bool, err error) {
	var before, k notice.Hook
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		if before, err = tx.Hook(ctx, d.Hook); err != nil {
			return err
		}
		if k, d, more = notice.After(before, d, o, h.now()); before.Disabled != 0 { // meanwhile
			k, more = before, false
		}
		if err := tx.SetDelivery(ctx, d); err != nil {
			return err
		}
		if err := tx.PutHook(ctx, k); err != nil || k.Disabled == 0 {
			return err
		}
		return tx.GiveUpDeliveries(ctx, k.ID, 0, k.Code, h.now())
	})
	if notFound(err) { // it was removed meanwhile
		return false, nil
	}
	switch {
	case err != nil || k.Code == before.Code && k.Disabled == before.Disabled:
	case k.Code == "":
		h.cfg.Log.InfoContext(ctx, "a webhook takes notices again", "webhook", k.ID)
	default:
		h.cfg.Log.WarnContext(ctx, "a webhook does not take a notice", "webhook", k.ID, "code", k.Code, "status", o.Status, "disabled", k.Disabled != 0)
	}
	return more, err
}

// TrimDeliveries gives up what waits behind too many others, and removes what ended long ago or long before others.
func (h *House) TrimDeliveries(ctx context.Context) error {
	var hooks []notice.Hook
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		hooks, err = tx.Hooks(ctx)
		return err
	})
	if err != nil || len(hooks) == 0 {
		return err
	}
	now := h.now()
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		for _, k := range hooks {
			if err := tx.GiveUpDeliveries(ctx, k.ID, notice.MaxWaiting, notice.CodeTooMany, now); err != nil {
				return err
			}
			if err := tx.DropDeliveries(ctx, k.ID, now-notice.KeptFor.Microseconds(), notice.MaxEnded); err != nil {
				return err
			}
		}
		return nil
	})
}
