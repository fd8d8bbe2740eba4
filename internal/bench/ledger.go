package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"entente/internal/node"
	"entente/proof"
)

// Ledger is what a ledger in the store costs.
type Ledger struct {
	Machine Machine `json:"machine"`
	Entries int     `json:"entries"`
	Proofs  int     `json:"proofs"`       // that were read, of entries chosen at random
	P50     float64 `json:"proof_p50_us"` // of reading a receipt's place, its leaf, its inclusion proof and the checkpoint
	P99     float64 `json:"proof_p99_us"`
	Batch   int     `json:"batch"`
	SmallAt int     `json:"small_entries"`
	Leaves  Append  `json:"append_leaves"`    // leaves alone
	Rows    Append  `json:"append_with_rows"` // with the row and the document of the receipt that each leaf records
}

// Append is what appending a batch costs, durably: the medians in a small ledger and in the large one.
type Append struct {
	Small float64 `json:"small_us"`
	Large float64 `json:"large_us"`
	Ratio float64 `json:"ratio"`
}

const (
	appendBatch = 256
	appendTimes = 30
	fillBatch   = 8192
	smallLedger = 1000
	proofsRead  = 5000
	proofsWarm  = 200
)

// MeasureLedger makes a ledger of so many entries in a node's store and measures proofs from it, and appending to it
// beside appending to a small one, by turns, so that both have the same machine.
func MeasureLedger(ctx context.Context, o Options, entries int) (Ledger, error) {
	o.Database = "sqlite"
	r := Ledger{Machine: machine(), Entries: entries, Proofs: proofsRead, Batch: appendBatch, SmallAt: smallLedger}
	err := o.within(func(dir string) (err error) {
		var both [2]*node.SampleLedger
		for i, size := range []int{smallLedger, entries} {
			s, err := found(ctx, o, dir, []string{"small", "large"}[i])
			if err != nil {
				return err
			}
			if both[i], err = node.OpenSampleLedger(ctx, s.data); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, both[i].Close()) }()
			for both[i].Size() < size {
				if err := both[i].Append(ctx, min(fillBatch, size-both[i].Size()), true); err != nil {
					return err
				}
				o.progress("filling the ledger", int64(both[i].Size()), int64(size))
			}
		}
		if err := both[1].Checkpoint(ctx); err != nil {
			return err
		}
		if err := r.prove(ctx, both[1]); err != nil {
			return err
		}
		if r.Leaves, err = measureAppend(ctx, both, false); err != nil {
			return err
		}
		r.Rows, err = measureAppend(ctx, both, true)
		return err
	})
	return r, err
}

// prove reads proofs of entries chosen at random, and checks the last one.
func (r *Ledger) prove(ctx context.Context, l *node.SampleLedger) error {
	var times []time.Duration
	var last proof.Entry
	for i := range proofsWarm + proofsRead {
		entry := 1 + rand.IntN(r.Entries-1) // all but the log's first, which records its link
		begun := time.Now()
		e, err := l.Prove(ctx, entry)
		if err != nil {
			return err
		}
		if last = e; i >= proofsWarm {
			times = append(times, time.Since(begun))
		}
	}
	slices.Sort(times)
	r.P50, r.P99 = microseconds(quantile(times, 0.50)), microseconds(quantile(times, 0.99))
	return l.Check(last)
}

func measureAppend(ctx context.Context, both [2]*node.SampleLedger, withRows bool) (Append, error) {
	var times [2][]time.Duration
	for range appendTimes {
		for i, l := range both {
			begun := time.Now()
			if err := l.Append(ctx, appendBatch, withRows); err != nil {
				return Append{}, err
			}
			times[i] = append(times[i], time.Since(begun))
		}
	}
	a := Append{Small: microseconds(median(times[0])), Large: microseconds(median(times[1]))}
	a.Ratio = a.Large / a.Small
	return a, nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
