package flow

import (
	"context"
	"fmt"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/statement"
)

// terms are a link's agreement and the edition of its rules, worked out once; they must not be changed.
type terms struct {
	statement.Agreement
	edition envelope.Hash
	way     way
}

// full refuses one statement more in a lane of ours in which as many as are agreed on wait for their receipts.
func (t *terms) full(own exchange.LaneState) error {
	if own.Last-own.Folded < uint64(min(t.Limits.Pending, exchange.Window/2)) {
		return nil
	}
	return fault.New(fault.Exhausted, "pending", "Too much is waiting for the peer's receipts in this lane; see \"entente links\" for how old the oldest is.")
}

func (h *House) terms(l exchange.Link) (*terms, error) {
	s := h.link(l.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terms != nil {
		return s.terms, nil
	}
	a, err := statement.DecodeAgreement(l.Agreement)
	if err != nil {
		return nil, fmt.Errorf("reading the agreement of link %s: %w", l.Alias, err)
	}
	s.terms = &terms{Agreement: *a, edition: a.Rules.Edition(), way: wayOf(a, l.Inviter)}
	return s.terms, nil
}

// editions returns what maps an edition to its kinds on a link: every rule set that the link ever agreed to.
func (h *House) editions(l exchange.Link) (func(envelope.Hash) (map[string]foldable, bool), error) {
	a, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	known, kinds := a.edition, h.kinds[a.Rules.Kinds]
	return func(edition envelope.Hash) (map[string]foldable, bool) { return kinds, edition == known }, nil
}

// editionFor is the rule set that a statement obeys: its thread's, or that of the agreement for a new thread.
func (h *House) editionFor(ctx context.Context, tx Tx, l exchange.Link, thread *statement.Commitment) (envelope.Hash, error) {
	if thread != nil && *thread != l.ID {
		first, err := tx.Statement(ctx, *thread)
		if notFound(err) {
			return envelope.Hash{}, fault.New(fault.NotFound, "thread", "The thread to answer in is not known here.")
		}
		if err != nil {
			return envelope.Hash{}, err
		}
		text, err := statement.DecodeText(first.Text)
		if err != nil {
			return envelope.Hash{}, fmt.Errorf("reading the first statement of a thread: %w", err)
		}
		return text.Edition, nil
	}
	a, err := h.terms(l)
	if err != nil {
		return envelope.Hash{}, err
	}
	return a.edition, nil
}
