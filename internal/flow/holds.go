package flow

import (
	"context"

	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/statement"
)

// heldCode is the code of what a legal hold refuses.
const heldCode = "legal_hold"

// HoldView is a legal hold as it is listed.
type HoldView struct {
	exchange.Hold
	LinkAlias string
	Kind      string // of the thread's first statement
}

// PlaceHold keeps the whole thread of a statement from being erased here, by order or by retention, until the hold is lifted. It is
// local: the other party does not hear of it. Placed again, it has the new reason.
func (h *House) PlaceHold(ctx context.Context, who actor.Actor, name, reason string) (HoldView, error) {
	return h.changeHold(ctx, who, name, reason, "hold place", func(tx Tx, hold exchange.Hold) error { return tx.PutHold(ctx, hold) })
}

// LiftHold lets a thread be erased again. It says why, as placing did.
func (h *House) LiftHold(ctx context.Context, who actor.Actor, name, reason string) (HoldView, error) {
	return h.changeHold(ctx, who, name, reason, "hold lift", func(tx Tx, hold exchange.Hold) error {
		held, err := tx.HoldsOf(ctx, []statement.Commitment{hold.Thread})
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return fault.New(fault.NotFound, "hold", "No legal hold is on this; see \"entente hold list\".")
		}
		return tx.DropHold(ctx, hold.Thread)
	})
}

// changeHold changes the hold on a thread and writes it into the log of members, both or neither.
func (h *House) changeHold(ctx context.Context, who actor.Actor, name, reason, act string, change func(Tx, exchange.Hold) error) (HoldView, error) {
	var v HoldView
	if err := who.May(actor.Hold); err != nil {
		return v, err
	}
	if err := statement.CheckLine(reason, maxReason); err != nil {
		return v, fault.Wrap(fault.Invalid, "reason", "Give the reason of the hold in one line: the proceedings and who ordered it.", err)
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		said, err := h.find(ctx, tx, name)
		if err != nil {
			return err
		}
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		hold := exchange.Hold{Thread: said.Thread, Link: said.Link, Reason: reason, Who: who.Name, At: h.now()}
		v = HoldView{Hold: hold, LinkAlias: names[said.Link]}
		if err := change(tx, hold); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, act, said.Thread.String()+" "+reason)
	})
	return v, err
}

// maxReason bounds the reason of a hold, in bytes.
const maxReason = 400

// Holds lists the legal holds, the oldest first, those after the given one.
func (h *House) Holds(ctx context.Context, who actor.Actor, after exchange.Hold, limit int) ([]HoldView, error) {
	if err := who.May(actor.ReadStatements); err != nil {
		return nil, err
	}
	var views []HoldView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		views = nil
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		holds, err := tx.Holds(ctx, after, min(max(limit, 1), maxList))
		if err != nil {
			return err
		}
		for _, hold := range holds {
			v := HoldView{Hold: hold, LinkAlias: names[hold.Link]}
			if v.Kind, err = kindThere(ctx, tx, hold.Thread); err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

// free refuses to erase what is under a legal hold.
func free(ctx context.Context, tx Tx, thread statement.Commitment) error {
	held, err := tx.HoldsOf(ctx, []statement.Commitment{thread})
	if err == nil && len(held) > 0 {
		err = fault.New(fault.Conflict, heldCode, "This is under a legal hold and is not erased; see \"entente hold list\", and lift the hold first if it is over.")
	}
	return err
}
