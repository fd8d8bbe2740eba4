package flow

import (
	"context"
	"time"

	"entente/internal/exchange"
	"entente/statement"
)

// calm is what a snapshot showed of a link on which nothing in the store waits to leave. While no act of the house has ended since,
// another snapshot would show the same: nobody else writes what this is about. It must not be changed.
type calm struct {
	acts int64 // of the house that had ended before
	link exchange.Link
	log  exchange.Log // our own, its head
	next int64        // when the store is asked again: the first next try of a parcel, or after maxCalm
}

// maxCalm is how long a calm is believed: a commit whose end a broken connection hid may have come after it was looked for.
const maxCalm = 15 * time.Minute

// stillness is what is remembered of a link's calm, if it was seen after so many acts; nil if not.
func (s *linkState) stillness(acts int64) *calm {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calm == nil || s.calm.acts != acts {
		return nil
	}
	return s.calm
}

// leaving reads what the store has to leave on a link now, into d, with our row of the link and of our log. Where nothing had, and
// nothing was done since, it answers from memory until a next try is due: so a peer that asks again and again costs no query.
func (h *House) leaving(ctx context.Context, s *linkState, d *Delivery, maxBytes int) (l exchange.Link, log exchange.Log, open bool, err error) {
	acts, next := h.acts.ended.Load(), h.now()+maxCalm.Microseconds()
	if c := s.stillness(acts); c != nil && h.now() < c.next && !h.frozen(c.link) {
		return c.link, c.log, true, nil
	}
	var t *terms
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if l, err = tx.Link(ctx, d.Link); err != nil || h.frozen(l) {
			return err
		}
		if t, err = h.terms(l); err != nil || t.way != bothWays { // nothing leaves a oneway link by a network
			return err
		}
		open = true
		if log, err = tx.LogHead(ctx, d.Link, h.self, l.OwnEpoch); err != nil {
			return err
		}
		if err := h.outgoingReceipts(ctx, tx, d); err != nil {
			return err
		}
		if err := h.outgoingParcels(ctx, tx, s, d, maxBytes); err != nil || len(d.receipts)+len(d.rows) > 0 {
			return err
		}
		try, err := tx.NextTry(ctx, d.Link, h.self)
		if notFound(err) {
			return nil
		}
		next = min(next, try)
		return err
	})
	if err == nil && open && len(d.receipts)+len(d.rows) == 0 {
		c := &calm{acts: acts, link: l, log: log, next: next}
		c.link.Agreement = t.encoded // one for all links that were paired on it
		s.mu.Lock()
		s.calm = c
		s.mu.Unlock()
	}
	return l, log, open, err
}

// ledgers is what a snapshot showed of our ledgers.
type ledgers struct {
	acts   int64 // of the house that had ended before
	until  int64 // as long as it is believed
	behind []statement.LinkID
}

// behind are the links whose ledgers have leaves of ours that the peer has not cosigned.
func (h *House) behind(ctx context.Context) ([]statement.LinkID, error) {
	l := &ledgers{acts: h.acts.ended.Load(), until: h.now() + maxCalm.Microseconds()}
	if known := h.ledgers.Load(); known != nil && known.acts == l.acts && h.now() < known.until {
		return known.behind, nil
	}
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		l.behind, err = tx.Uncosigned(ctx, h.self)
		return err
	})
	if err == nil {
		h.ledgers.Store(l)
	}
	return l.behind, err
}
