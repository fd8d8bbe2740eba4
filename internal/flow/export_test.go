package flow

import (
	"context"

	"entente/party"
	"entente/statement"
)

// Room is closed when a statement that waits for room in a lane of ours may try again.
func (h *House) Room(link statement.LinkID) <-chan struct{} {
	s := h.link(link)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// UnderBoth is how far each party's sequence lies under a cut, as it is found from what lies beyond, and as folding all again has it.
func (h *House) UnderBoth(ctx context.Context, link statement.LinkID, c Cut, lane statement.Lane) (found, folded map[party.ID]uint64, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		if found, err = h.under(ctx, tx, l, c, lane); err != nil {
			return err
		}
		f := &cutFold{h: h, tx: tx, l: l, cut: c, memory: over(tx)}
		f.memory.fresh = true
		if f.rules, err = h.editions(ctx, tx, l); err != nil {
			return err
		}
		if err := f.lane(ctx, lane); err != nil {
			return err
		}
		folded = map[party.ID]uint64{h.self: 0, l.Peer: 0}
		for _, v := range f.verdicts {
			folded[v.Author] = max(folded[v.Author], v.Seq)
		}
		return nil
	})
	return found, folded, err
}
