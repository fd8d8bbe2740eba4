package flow

import (
	"context"
	"maps"
	"slices"

	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// A oneway link carries what its inviter says to its invitee, in courier files alone: through a data diode, or with somebody who
// does not come back. Nothing is acknowledged on it. Its author folds what it has said in its own column as soon as that has its
// place, with no time of receipt, so that no clock begins there; the addressee receipts it in its own ledger and folds it as on
// any link. Neither claims a common cut (docs/spec/pairing.md, section 3.1).

// way is which end of a link this node is.
type way int

const (
	bothWays way = iota
	outward      // of a oneway link: what is said is ours
	inward       // of a oneway link: nothing of ours leaves by it
)

func wayOf(a *statement.Agreement, inviter bool) way {
	switch {
	case !a.Oneway():
		return bothWays
	case inviter:
		return outward
	}
	return inward
}

// onewayCode is the code of what a link that goes one way does not carry.
const onewayCode = "oneway"

func nothingBack() error {
	return fault.New(fault.Conflict, onewayCode,
		"This link goes one way, from the other party to us: nothing that we say leaves by it. Use another link, or call the other party.")
}

// mayTake refuses a file of a oneway link before we have confirmed the link: what it refused, its author could not learn.
func (h *House) mayTake(ctx context.Context, l exchange.Link) error {
	return h.cfg.Store.View(ctx, func(tx Tx) error {
		s, err := h.standing(ctx, tx, l)
		if err == nil && !s.verified {
			err = fault.New(fault.Conflict, "link_unverified",
				"Compare the short code of this link with the other party and confirm it first (entente confirm); then unpack the file.")
		}
		return err
	})
}

// repack writes again all that ever left by a oneway link, for when a file of it got lost: what is kept with its content, and of the
// rest the headers, so that the addressee learns what it cannot have any more and waits for nothing.
func (h *House) repack(ctx context.Context, c *packing) error {
	for from := int64(0); from < c.log.Size; from += courierParcel {
		var rows []exchange.Parcel
		var docs []exchange.Document
		err := h.cfg.Store.View(ctx, func(tx Tx) error {
			rows, docs = nil, nil
			leaves, err := tx.Leaves(ctx, c.l.ID, h.self, c.l.OwnEpoch, from, courierParcel)
			if err != nil {
				return err
			}
			for _, leaf := range leaves {
				if leaf.Kind != string(ledger.Sent) {
					continue
				}
				p, err := tx.ParcelByHeader(ctx, leaf.Doc)
				if err != nil {
					return err
				}
				doc, err := tx.Document(ctx, leaf.Doc)
				if err != nil {
					return err
				}
				rows, docs = append(rows, p), append(docs, doc)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, p := range rows {
			if p.State == exchange.Sending {
				c.packed[p.ID] = true
			}
			if err := c.parcel(ctx, p, docs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// left records what a whole file of a oneway link had: it is not packed again unless somebody asks for it.
func (c *packing) left(ctx context.Context) error {
	for ids := range slices.Chunk(slices.Collect(maps.Keys(c.packed)), pageOfParcels) {
		rows := make([]exchange.Parcel, len(ids))
		for i, id := range ids {
			rows[i] = exchange.Parcel{ID: id, State: exchange.Sent, GotIndex: -1}
		}
		if err := c.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.AdvanceParcels(ctx, rows) }); err != nil {
			return err
		}
	}
	return c.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		log, err := tx.Log(ctx, c.l.ID, c.h.self, c.l.OwnEpoch)
		if err != nil {
			return err
		}
		log.SignedSize, log.SignedAt = max(log.SignedSize, c.log.Size), c.h.now()
		return tx.PutLog(ctx, log)
	})
}

// onewayLedger packs our ledger from where the file before ended, and a checkpoint. The addressee holds the leaves that came before,
// and needs no other proof that this continues them; nobody tells us which it cosigned.
func (c *packing) onewayLedger(ctx context.Context, from int64) error {
	for at := from; at < c.log.Size; at += courierRun {
		if err := c.run(ctx, at, min(courierRun, c.log.Size-at)); err != nil {
			return err
		}
	}
	if from == c.log.Size {
		return nil
	}
	shown, err := c.h.checkpointAt(ctx, c.l, c.log.Size)
	if err != nil {
		return err
	}
	return c.add(parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: ledger.AddCheckpoint{Note: shown.Note}.Encode()})
}
