package flow

import (
	"context"
	"slices"
	"sync/atomic"

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

// prospect is what a snapshot showed of a link; it must not be changed.
type prospect struct {
	acts  int64 // of the house that had ended before
	link  exchange.Link
	stand standing
	full  map[statement.Lane]error // of the lanes that were asked about
}

// covers says whether a prospect answers all that is asked: the rules of a thread are with its first statement.
func (p *prospect) covers(batch []*outlook) bool {
	return !slices.ContainsFunc(batch, func(o *outlook) bool {
		_, known := p.full[o.lane]
		return o.thread != nil || !known
	})
}

// lookOut answers those who ask about one link at the same time from one snapshot. While no act of the house has ended since, the
// last snapshot is as good as another.
func (h *House) lookOut(ctx context.Context, batch []*outlook) []error {
	errs := make([]error, len(batch))
	s, id := h.link(batch[0].id), batch[0].id
	acts := h.acts.ended.Load()
	s.mu.Lock()
	p := s.prospect
	s.mu.Unlock()
	var err error
	if p != nil && p.acts == acts && p.covers(batch) {
		err = h.tell(ctx, nil, p, batch, errs)
	} else {
		err = h.cfg.Store.View(ctx, func(tx Tx) error {
			if p, err = h.survey(ctx, tx, id, batch); err != nil {
				return err
			}
			p.acts = acts
			return h.tell(ctx, tx, p, batch, errs)
		})
	}
	if err == nil {
		s.mu.Lock()
		s.prospect = p
		s.mu.Unlock()
	}
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

// survey reads a prospect of a link for those who ask.
func (h *House) survey(ctx context.Context, tx Tx, id statement.LinkID, batch []*outlook) (*prospect, error) {
	l, err := tx.Link(ctx, id)
	if err != nil {
		return nil, err
	}
	if frozen(l) {
		return nil, frozenFault(l)
	}
	p := &prospect{link: l, full: map[statement.Lane]error{}}
	if p.stand, err = h.standing(ctx, tx, l); err != nil {
		return nil, err
	}
	a, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	for _, o := range batch {
		if _, known := p.full[o.lane]; known {
			continue
		}
		own, err := tx.Lane(ctx, l.ID, h.self, l.OwnEpoch, o.lane)
		if err != nil {
			return nil, err
		}
		p.full[o.lane] = a.full(own)
	}
	return p, nil
}

// tell answers those who ask, in a transaction if a thread's first statement is to be read.
func (h *House) tell(ctx context.Context, tx Tx, p *prospect, batch []*outlook, errs []error) error {
	if frozen(p.link) {
		return frozenFault(p.link)
	}
	book, err := h.rulebook(ctx, tx, p.link)
	if err != nil {
		return err
	}
	for i, o := range batch {
		o.link, o.stand = p.link, p.stand
		if o.edition, errs[i] = h.editionFor(ctx, tx, p.link, o.thread, p.stand); errs[i] == nil {
			o.rules, errs[i] = book.rules[o.edition], p.full[o.lane]
		}
	}
	return nil
}

// counted is a store that counts the acts that have ended, well or not.
type counted struct {
	Store
	ended atomic.Int64
}

// Update implements Store.
func (c *counted) Update(ctx context.Context, p Priority, f func(Tx) error) error {
	defer c.ended.Add(1)
	return c.Store.Update(ctx, p, f)
}
