package flow

import (
	"context"
	"fmt"

	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

// under finds how far each party's sequence in a lane lies under a cut, without folding it again: as far as its statements were
// sent and resolved there, and have seen nothing of the other's that was not. It reads what lies beyond the cut, not what lies
// under it. All that lies under it must be folded here.
func (h *House) under(ctx context.Context, tx Tx, l exchange.Link, cut Cut, lane statement.Lane) (map[party.ID]uint64, error) {
	f := &cutFold{h: h, tx: tx, l: l, cut: cut}
	authors := [2]party.ID{h.self, l.Peer}
	var upto [2]uint64
	for i, author := range authors {
		state, err := tx.Lane(ctx, l.ID, author, h.epochOf(l, author), lane)
		if err != nil {
			return nil, err
		}
		if upto[i], err = f.resolved(ctx, state, authors[1-i]); err != nil {
			return nil, err
		}
	}
	for changed := true; changed; {
		changed = false
		for i, author := range authors {
			other := authors[1-i]
			seq, err := tx.LastSeen(ctx, l.ID, author, h.epochOf(l, author), lane, upto[i], cut.Sizes[author], h.epochOf(l, other), upto[1-i])
			if err != nil {
				return nil, err
			}
			changed = changed || seq != upto[i]
			upto[i] = seq
		}
	}
	for i, author := range authors {
		if err := f.folded(ctx, author, lane, upto[i], upto[1-i], authors[1-i]); err != nil {
			return nil, err
		}
	}
	return map[party.ID]uint64{authors[0]: upto[0], authors[1]: upto[1]}, nil
}

// resolved is the last of an author's sequence that is folded here and before which all was resolved under the cut. What was not
// has the leaf of its receipt beyond the cut, in the addressee's ledger: there it is seen, or, where its leaf has not come yet, it is
// a receipt without a place.
func (f *cutFold) resolved(ctx context.Context, author exchange.LaneState, addressee party.ID) (uint64, error) {
	last, err := f.placed(ctx, author, addressee)
	if err != nil {
		return 0, err
	}
	log, err := f.tx.Log(ctx, f.l.ID, addressee, f.h.epochOf(f.l, addressee))
	if err != nil {
		return 0, err
	}
	for from := f.cut.Sizes[addressee]; from < log.Size; from += verifyPage {
		rows, err := f.tx.Leaves(ctx, f.l.ID, addressee, log.Epoch, from, verifyPage)
		if err != nil {
			return 0, err
		}
		for _, row := range rows {
			leaf, err := ledger.DecodeLeaf(row.Leaf)
			if err != nil {
				return 0, fmt.Errorf("reading leaf %d: %w", row.Index, err)
			}
			if leaf.Kind != ledger.ReceiptOut || leaf.Lane != string(author.Lane) || leaf.Seq == 0 || leaf.Seq > last {
				continue
			}
			if inside, err := f.at(ctx, author.Author, author.Lane, leaf.Seq, addressee); err != nil {
				return 0, err
			} else if !inside {
				last = leaf.Seq - 1
			}
		}
	}
	return last, nil
}

// placed is the last of an author's sequence that is folded here and before which the leaf of every receipt that resolves has come.
func (f *cutFold) placed(ctx context.Context, author exchange.LaneState, addressee party.ID) (uint64, error) {
	for after := uint64(0); ; {
		rows, err := f.tx.UnplacedReceipts(ctx, f.l.ID, addressee, author.Epoch, author.Lane, after, author.Folded, verifyPage)
		if err != nil {
			return 0, err
		}
		for _, r := range rows {
			if inside, err := f.at(ctx, author.Author, author.Lane, r.Seq, addressee); err != nil || !inside {
				return r.Seq - 1, err
			}
			after = r.Seq
		}
		if len(rows) < verifyPage {
			return author.Folded, nil
		}
	}
}

// at says whether the parcel at a place of an author's sequence lies under the cut.
func (f *cutFold) at(ctx context.Context, author party.ID, lane statement.Lane, seq uint64, addressee party.ID) (bool, error) {
	run, err := f.tx.ParcelRun(ctx, f.l.ID, author, f.h.epochOf(f.l, author), lane, seq-1, 1)
	if err != nil || len(run) == 0 || run[0].Seq != seq {
		return false, err
	}
	receipts, err := f.tx.ReceiptsOf(ctx, run[0].Header)
	if err != nil {
		return false, err
	}
	return f.inside(run[0], addressee, receipts), nil
}

// folded refuses to go on when what lies under the cut is not folded here yet.
func (f *cutFold) folded(ctx context.Context, author party.ID, lane statement.Lane, upto, other uint64, addressee party.ID) error {
	run, err := f.tx.ParcelRun(ctx, f.l.ID, author, f.h.epochOf(f.l, author), lane, upto, 1)
	if err != nil || len(run) == 0 || run[0].Seq != upto+1 || run[0].Verdict != "" {
		return err
	}
	state := exchange.LaneState{Epoch: f.h.epochOf(f.l, addressee), Folded: other}
	if inside, err := f.at(ctx, author, lane, upto+1, addressee); err != nil || !inside || !ready(run[0], state, false) {
		return err
	}
	return fault.New(fault.Unavailable, "not_folded", "What lies under this cut is still being opened here; try again in a moment.")
}
