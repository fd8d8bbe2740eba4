package housetest

import (
	"context"
	"slices"

	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/statement"
)

// registers lets the seed send one message in so many registered.
func (w *world) registers() bool { return w.sky.register && w.r.IntN(4) == 0 }

// lapse lets a node end what has expired.
func (n *node) lapse() error {
	return n.act("lapse", func(h *flow.House) error { return h.Lapse(context.Background()) })
}

// checkRegistered checks that no key is kept back, or awaited, at the end but in a lane that is suspended, or of which an author
// withdrew.
func (w *world) checkRegistered(n *node, l *link) {
	ctx := context.Background()
	v, err := n.house.FindLink(ctx, member(), l.id.String())
	w.must(err)
	barred := func(lane statement.Lane) bool {
		return len(v.Withdrawn) > 0 || slices.ContainsFunc(v.Suspended, func(s flow.SuspensionView) bool { return s.Lane == lane })
	}
	n.look(func(tx flow.Tx) error {
		for _, author := range []*node{n, l.other(n)} {
			rows, err := tx.ParcelsIn(ctx, l.id, author.chain.ID, exchange.Held, exchange.Parcel{}, 10_000)
			if err != nil {
				return err
			}
			for _, p := range rows {
				if !barred(p.Lane) {
					w.fail("%s at %s: the key of registered %s %d never came", l.name, n.name, p.Lane, p.Seq)
				}
			}
		}
		return nil
	})
}

// keyless says whether the key of a registered statement is still kept back.
func keyless(v flow.StatementView) bool {
	return v.Registered != nil && (v.Registered.Key == flow.KeyDue || v.Registered.Key == flow.KeyAwaited)
}

// deferred says whether a parcel is a registered one's own place, as it is at its end.
func deferred(p exchange.Parcel) bool {
	return p.File == exchange.OfRegistered && p.State.Deferred() && p.Verdict == exchange.VerdictDeferred
}
