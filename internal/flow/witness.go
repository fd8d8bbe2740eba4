package flow

import (
	"context"
	"fmt"

	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/proof"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// WitnessRequest asks a third party to cosign a head of our own ledger of a link.
type WitnessRequest struct {
	Link  statement.LinkID
	Epoch uint32
	Size  int64
	Body  []byte // of add-checkpoint: the head as we alone signed it, so that the peer stays unnamed

	cosigned *ledger.Checkpoint // the same head with the peer's cosignatures
}

// Unwitnessed are the links of which a third party has not cosigned yet what the peer has.
func (h *House) Unwitnessed(ctx context.Context, w ledger.Witness) (links []exchange.Link, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		links, err = tx.Unwitnessed(ctx, h.self, w.ID())
		return err
	})
	return links, err
}

// AskWitness prepares the request for the newest head that the peer has cosigned. old is the size that the third party says it
// cosigned last; below 0: the one of which we hold its cosignature. A third party that has cosigned more than there is to show is
// a fault of kind Conflict, code witness_ahead.
func (h *House) AskWitness(ctx context.Context, link statement.LinkID, w ledger.Witness, old int64) (*WitnessRequest, error) {
	var l exchange.Link
	var log exchange.Log
	var proof []tlog.Hash
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if l, err = tx.Link(ctx, link); err != nil {
			return err
		}
		if log, err = tx.Log(ctx, link, h.self, l.OwnEpoch); err != nil {
			return err
		}
		if old < 0 {
			if old, err = witnessedSize(ctx, tx, l, w); err != nil {
				return err
			}
		}
		if old > log.CosignedSize {
			return fault.New(fault.Conflict, "witness_ahead", fmt.Sprintf(
				"The witness says that it has cosigned %d leaves of this ledger, of which %d can be shown to it.", old, log.CosignedSize))
		}
		proof, err = ledger.ProveConsistency(old, log.CosignedSize, tx.HashReader(ctx, link, h.self, l.OwnEpoch))
		return err
	})
	if err != nil {
		return nil, err
	}
	head, err := h.checkpointAt(ctx, l, log.CosignedSize)
	if err != nil {
		return nil, err
	}
	body := ledger.AddCheckpoint{OldSize: old, Proof: proof, Note: head.Note}.Encode()
	cosigned := *head
	cosigned.Note = log.CosignedNote
	return &WitnessRequest{Link: link, Epoch: l.OwnEpoch, Size: head.Size, Body: body, cosigned: &cosigned}, nil
}

// witnessedSize is the size of the head of which we hold a third party's cosignature.
func witnessedSize(ctx context.Context, tx Tx, l exchange.Link, w ledger.Witness) (int64, error) {
	rows, err := tx.Witnessed(ctx, l.ID, l.OwnEpoch)
	for _, row := range rows {
		if row.Witness == w.ID() {
			return row.Size, nil
		}
	}
	return 0, err
}

// Witnessed verifies a third party's answer and keeps its cosignature beside the peer's. An answer without a valid cosignature of
// this head is a fault of kind Invalid, code witness_answer; nothing is kept of it.
func (h *House) Witnessed(ctx context.Context, q *WitnessRequest, w ledger.Witness, lines []byte) error {
	c, _, err := q.cosigned.AddWitness(lines, w)
	if err != nil {
		return fault.Wrap(fault.Invalid, "witness_answer", "The witness's answer holds no valid cosignature under its key.", err)
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		return tx.PutWitnessed(ctx, exchange.Witnessed{Link: q.Link, Epoch: q.Epoch, Witness: w.ID(), Size: c.Size, Note: c.Note, At: h.now()})
	})
}

// WitnessView is what a third party is told of our ledger of a link, and what it cosigned.
type WitnessView struct {
	Origin string
	Keys   []string // verifier keys of the log: Ed25519, ML-DSA-44
	Size   int64    // of the head that the peer has cosigned
	Held   []exchange.Witnessed
}

// Witnesses shows what third parties have cosigned of our ledger of a link.
func (h *House) Witnesses(ctx context.Context, who actor.Actor, link statement.LinkID) (v WitnessView, err error) {
	if err := who.May(actor.ReadLinks); err != nil {
		return v, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		log, err := tx.Log(ctx, link, h.self, l.OwnEpoch)
		if err != nil {
			return err
		}
		v.Origin, v.Size = ledger.Origin(link, h.self, l.OwnEpoch), log.CosignedSize
		v.Keys = ledger.VerifierKeys(v.Origin, h.Self().Latest().Log)
		v.Held, err = tx.Witnessed(ctx, link, l.OwnEpoch)
		return err
	})
	return v, err
}

// witnessedEntry is a leaf of our own ledger with its path to the head that the most third parties have cosigned, of those that
// have the leaf; of several such the newest. ok is false if there is none.
func witnessedEntry(ctx context.Context, tx Tx, link statement.LinkID, log exchange.Log, row exchange.LeafRow) (e proof.Entry, ok bool, err error) {
	held, err := tx.Witnessed(ctx, link, log.Epoch)
	if err != nil {
		return e, false, err
	}
	bySize := map[int64]*ledger.Checkpoint{}
	count := map[int64]int{}
	var best int64
	for _, w := range held {
		if w.Size <= row.Index {
			continue
		}
		if bySize[w.Size] == nil {
			bySize[w.Size] = &ledger.Checkpoint{Size: w.Size, Note: w.Note}
		} else if bySize[w.Size], err = bySize[w.Size].Join(w.Note); err != nil {
			return e, false, err
		}
		if count[w.Size]++; count[w.Size] > count[best] || count[w.Size] == count[best] && w.Size > best {
			best = w.Size
		}
	}
	if best == 0 {
		return e, false, nil
	}
	path, err := ledger.ProveInclusion(best, row.Index, tx.HashReader(ctx, link, log.Party, log.Epoch))
	if err != nil {
		return e, false, err
	}
	return proof.NewEntry(row.Leaf, path, string(bySize[best].Note)), true, nil
}
