package flow

import (
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/statement"
)

// outlook is what a composition asks of the store before it begins. The reserving transaction asks again for all that may
// change meanwhile.
type outlook struct {
	id     statement.LinkID
	lane   statement.Lane
	thread *statement.Commitment

	link    exchange.Link
	stand   standing
	edition envelope.Hash // that the statement obeys
	rules   *statement.Rules
}

// lookOut answers those who ask about one link at the same time from one snapshot.
func (h *House) lookOut(ctx context.Context, batch []*outlook) []error {
	errs := make([]error, len(batch))
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, batch[0].id)
		if err != nil {
			return err
		}
		if h.frozen(l) {
			return frozenFault()
		}
		stand, err := h.standing(ctx, tx, l)
		if err != nil {
			return err
		}
		a, err := h.terms(l)
		if err != nil {
			return err
		}
		book, err := h.rulebook(ctx, tx, l)
		if err != nil {
			return err
		}
		lanes := map[statement.Lane]error{}
		for i, o := range batch {
			full, known := lanes[o.lane]
			if !known {
				own, err := tx.Lane(ctx, l.ID, h.self, l.OwnEpoch, o.lane)
				if err != nil {
					return err
				}
				full = a.full(own)
				lanes[o.lane] = full
			}
			o.link, o.stand = l, stand
			if o.edition, errs[i] = h.editionFor(ctx, tx, l, o.thread, stand); errs[i] == nil {
				o.rules, errs[i] = book.rules[o.edition], full
			}
		}
		return nil
	})
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}
