package flow

import (
	"context"
	"fmt"
	"slices"

	"entente/internal/exchange"
)

// Lapse ends what has expired and of which no receipt will tell: registered statements whose grant has not come or gone, and what was
// sealed for the addressee of a oneway link, who would refuse it.
func (h *House) Lapse(ctx context.Context) error {
	if err := h.lapseRegistered(ctx); err != nil {
		return fmt.Errorf("ending registered statements that expired: %w", err)
	}
	links, err := h.linkRows(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		t, err := h.terms(l)
		if err != nil {
			return err
		}
		if t.way != outward {
			continue
		}
		if err := h.lapseOneway(ctx, l); err != nil {
			return fmt.Errorf("dropping what expired on link %s: %w", l.Alias, err)
		}
	}
	return nil
}

func (h *House) lapseOneway(ctx context.Context, l exchange.Link) error {
	var last exchange.Parcel
	for {
		var rows, over []exchange.Parcel
		err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
			if rows, err = tx.ParcelsIn(ctx, l.ID, h.self, exchange.Sent, last, pageOfParcels); err != nil {
				return err
			}
			over = slices.DeleteFunc(slices.Clone(rows), func(p exchange.Parcel) bool { return p.Expires > h.now() })
			gone := slices.Clone(over)
			for i := range gone {
				gone[i].State = exchange.Gone
				if err := tx.DropSegments(ctx, gone[i].ID); err != nil {
					return err
				}
			}
			return tx.AdvanceParcels(ctx, gone)
		})
		if err != nil {
			return err
		}
		for _, p := range over {
			if p.Blob != "" {
				h.drop(ctx, p.Blob)
			}
		}
		if len(rows) < pageOfParcels {
			return nil
		}
		last = rows[len(rows)-1]
	}
}

func (h *House) lapseRegistered(ctx context.Context) error {
	for {
		var rows []exchange.Parcel
		var blobs []string
		err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
			blobs = nil
			if rows, err = tx.LapsingParcels(ctx, h.now(), pageOfParcels); err != nil {
				return err
			}
			for _, p := range rows {
				dropped, err := h.lapse(ctx, tx, p)
				if err != nil {
					return err
				}
				blobs = append(blobs, dropped...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range rows {
			if p.Author != h.self {
				h.dropPieces(ctx, p.ID, "")
			}
		}
		for _, blob := range blobs {
			h.drop(ctx, blob)
		}
		if len(rows) < pageOfParcels {
			return nil
		}
	}
}

// lapse ends a registered parcel that has expired without a grant. Of ours the keys and the files go, so that none can be given any
// more; one that the peer has not acknowledged is still delivered, to be refused. It returns the sealed bytes that nobody needs now.
func (h *House) lapse(ctx context.Context, tx Tx, p exchange.Parcel) (blobs []string, err error) {
	if p.Author == h.self {
		if blobs, err = h.neverGranted(ctx, tx, p, exchange.Lapsed, "expired"); err != nil {
			return nil, err
		}
	}
	if p.State == exchange.Held {
		if p.Blob != "" {
			blobs = append(blobs, p.Blob)
		}
		p.State, p.Content, p.Blob = exchange.Lapsed, nil, ""
		if err := tx.UpdateParcels(ctx, p); err != nil {
			return nil, err
		}
		if err := tx.DropSegments(ctx, p.ID); err != nil {
			return nil, err
		}
	}
	return blobs, h.audit(ctx, tx, "system", "lapse", p.Text.String())
}
