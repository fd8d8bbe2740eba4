package flow

import (
	"cmp"
	"context"
	"slices"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/hotline"
	"entente/party"
	"entente/statement"
)

// voidFault tells a member why the statement would be void on both sides.
func voidFault(v *statement.Void) error {
	sentence := map[string]string{
		exchange.VoidKind:      "This kind of statement is not in the edition that the link agreed to.",
		exchange.VoidLane:      "This kind of statement, or its thread, belongs to another lane.",
		exchange.VoidThread:    "The thread to answer in is not known here, or waits for what was said before it and is still on its way.",
		exchange.VoidStarts:    "This kind of statement continues a thread; name the thread.",
		exchange.VoidFollows:   "This kind of statement starts a thread; leave the thread out.",
		exchange.VoidEdition:   "The thread was begun under another edition of the rules.",
		exchange.VoidFace:      "The coded part does not fit this kind of statement.",
		exchange.VoidNotOwner:  "Only the party whose desk it is may say this.",
		exchange.VoidOwner:     "Only the other party may say this of the desk.",
		exchange.VoidUnknown:   "What this statement cites is not known here yet.",
		exchange.VoidWithdrawn: "After the withdrawal this can no longer be said; begin anew.",
		exchange.VoidTwice:     "This was said already.",
		exchange.VoidMany:      "This desk has as many editions as it may have; withdraw it and propose it anew.",

		exchange.VoidNotSuspended: "We have not suspended this lane; only who suspended a lane can resume it.",
	}[v.Reason]
	return fault.New(fault.Conflict, v.Reason, cmp.Or(sentence, assistance.Reason(v.Reason), hotline.Reason(v.Reason), "This may not be said now."))
}

type columnKey struct {
	link   statement.LinkID
	thread statement.Commitment
	author party.ID
}

// overlay keeps columns in memory, in every version, above those of a transaction or above nothing.
type overlay struct {
	columns Tx
	fresh   bool // nothing is read through: all columns are folded from the first statement on
	history map[columnKey][]version
	begun   map[statement.Commitment]envelope.Hash // the editions under which threads were begun
	written []exchange.Column                      // in the order of their coming, unless fresh
}

// over makes an overlay above a transaction.
func over(tx Tx) *overlay {
	return &overlay{columns: tx, history: map[columnKey][]version{}, begun: map[statement.Commitment]envelope.Hash{}}
}

// at is a party's column as it was at a sequence; what is in memory goes before what is not.
func (o *overlay) at(ctx context.Context, link statement.LinkID, thread statement.Commitment, author party.ID, epoch uint32, seq uint64) (version, error) {
	for _, c := range slices.Backward(o.history[columnKey{link, thread, author}]) {
		if c.Epoch < epoch || c.Epoch == epoch && c.Seq <= seq {
			return c, nil
		}
	}
	if o.fresh {
		return version{}, nil
	}
	c, err := o.columns.ColumnAt(ctx, link, thread, author, epoch, seq)
	return version{Column: c}, err
}

// put writes to memory only.
func (o *overlay) put(v version) {
	key := columnKey{v.Link, v.Thread, v.Author}
	o.history[key] = append(o.history[key], v)
	if !o.fresh {
		o.written = append(o.written, v.Column)
	}
}

// maxAhead is of how many columns an overlay keeps the newest version after it has written them.
const maxAhead = 8192

// write writes all columns together that were put since the last time. Of each it keeps the newest version, since the next word
// of the thread needs it, as long as they are not too many.
func (o *overlay) write(ctx context.Context) error {
	if err := o.columns.PutColumns(ctx, o.written...); err != nil {
		return err
	}
	for _, c := range o.written {
		key := columnKey{c.Link, c.Thread, c.Author}
		versions := o.history[key]
		o.history[key] = append(versions[:0], versions[len(versions)-1])
	}
	o.written = o.written[:0]
	if len(o.history) > maxAhead {
		clear(o.history)
		clear(o.begun)
	}
	return nil
}

// editionOf is the edition of the rules under which a thread was begun: that of its first statement.
func (o *overlay) editionOf(ctx context.Context, thread statement.Commitment) (envelope.Hash, error) {
	if edition, ok := o.begun[thread]; ok {
		return edition, nil
	}
	first, err := o.columns.Statement(ctx, thread)
	if err != nil {
		return envelope.Hash{}, err
	}
	edition, err := statement.EditionOf(first.Text)
	if err == nil {
		o.begun[thread] = edition
	}
	return edition, err
}
