package flow

import (
	"context"
	"fmt"
	"sync"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
)

// holding is the names of blobs that are written, or have been, and whose row is not: a sweep leaves them alone.
type holding struct {
	mu    sync.Mutex
	names map[string]int
}

// claim is the names that one act holds.
type claim struct {
	in    *holding
	names []string
}

// hold begins to hold names, until release.
func (h *House) hold() *claim { return &claim{in: &h.holding} }

// add is called before a blob is committed.
func (x *claim) add(name string) {
	x.in.mu.Lock()
	defer x.in.mu.Unlock()
	if x.in.names == nil {
		x.in.names = map[string]int{}
	}
	x.in.names[name]++
	x.names = append(x.names, name)
}

// release is called when the act's transaction is over, whatever became of it.
func (x *claim) release() {
	x.in.mu.Lock()
	defer x.in.mu.Unlock()
	for _, name := range x.names {
		if x.in.names[name]--; x.in.names[name] == 0 {
			delete(x.in.names, name)
		}
	}
	x.names = nil
}

func (x *holding) has(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.names[name] > 0
}

// sweepPage is how many blobs are looked at in one transaction.
const sweepPage = 256

// Sweep removes sealed bytes that no row names: what a crash left between a blob and its row, or between the end of a parcel and the
// removal of its segments. It may run at any time, and says how much it removed.
func (h *House) Sweep(ctx context.Context) (removed int, err error) {
	for after := ""; ; {
		names, err := h.cfg.Blobs.Names(ctx, after, sweepPage)
		if err != nil || len(names) == 0 {
			if err != nil {
				return removed, err
			}
			break
		}
		after = names[len(names)-1]
		n, err := h.sweepBlobs(ctx, names)
		if removed += n; err != nil {
			return removed, err
		}
	}
	ids, err := h.cfg.Blobs.Partials(ctx)
	if err != nil {
		return removed, err
	}
	for _, id := range ids {
		n, err := h.sweepPartial(ctx, id)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if removed > 0 {
		h.cfg.Log.Info("sealed bytes that nothing refers to were removed", "files", removed)
	}
	return removed, nil
}

// sweepBlobs looks first who is held and then who is named: a blob that is neither then has no act that could name it.
func (h *House) sweepBlobs(ctx context.Context, names []string) (removed int, err error) {
	var loose []string
	for _, name := range names {
		if !h.holding.has(name) {
			loose = append(loose, name)
		}
	}
	var named map[string]bool
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		named, err = tx.BlobsNamed(ctx, loose)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, name := range loose {
		if named[name] {
			continue
		}
		if err := h.cfg.Blobs.Remove(ctx, name); err != nil {
			return removed, fmt.Errorf("removing a blob that no row names: %w", err)
		}
		h.cfg.Count.Swept()
		removed++
	}
	return removed, nil
}

// sweepPartial removes the segments of a parcel that neither arrives, nor waits to be opened or for its grant. Its row was there before them.
func (h *House) sweepPartial(ctx context.Context, id envelope.ID) (removed int, err error) {
	var p exchange.Parcel
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		p, err = tx.Parcel(ctx, id)
		return err
	})
	switch {
	case err != nil && !notFound(err):
		return 0, err
	case err == nil && (p.State == exchange.Arriving || p.State == exchange.Received || p.State == exchange.Held):
		return 0, nil
	}
	if err := h.cfg.Blobs.RemovePartial(ctx, id); err != nil {
		return 0, fmt.Errorf("removing segments of a parcel that has ended: %w", err)
	}
	h.cfg.Count.Swept()
	return 1, nil
}

// SweepLoop sweeps at once and at each interval, until ctx ends.
func (h *House) SweepLoop(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := h.Sweep(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("sweeping the sealed files", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
