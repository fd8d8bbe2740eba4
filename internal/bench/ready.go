package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"entente/internal/node"
)

// Ready is how soon a node with a large record is ready.
type Ready struct {
	Machine    Machine   `json:"machine"`
	Statements int       `json:"statements"`
	Bytes      int64     `json:"database_bytes"`
	Built      float64   `json:"built_seconds"` // how long it took to make the record
	Starts     []float64 `json:"starts_ms"`     // from starting the process until /readyz answered 200
	Median     float64   `json:"median_ms"`
	Empty      float64   `json:"empty_median_ms"` // of the same node before the record was made
}

// starts is how often a node is started.
const starts = 5

// MeasureReady links two nodes, fills the record of one with so many statements, and measures how long it takes from
// the start of its process until it is ready.
func MeasureReady(ctx context.Context, o Options, statements int) (Ready, error) {
	o.Database = "sqlite"
	r := Ready{Machine: machine(), Statements: statements}
	err := o.within(func(dir string) error {
		var subject *side
		err := withPair(ctx, o, dir, func(_ context.Context, p *pair) error {
			subject = p.arvenia
			return nil
		})
		if err != nil {
			return err
		}
		empty, err := startAgain(ctx, o, subject)
		if err != nil {
			return err
		}
		r.Empty = milliseconds(median(empty))
		begun := time.Now()
		err = node.Synthesise(ctx, subject.data, "kestria", statements, func(done, total int64) { o.progress("making the record", done, total) })
		if err != nil {
			return err
		}
		r.Built = time.Since(begun).Seconds()
		for _, name := range []string{"entente.db", "entente.db-wal"} { // a log of writes may be left beside the database
			info, err := os.Stat(filepath.Join(subject.data, name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err == nil {
				r.Bytes += info.Size()
			}
		}
		times, err := startAgain(ctx, o, subject)
		if err != nil {
			return err
		}
		for _, t := range times {
			r.Starts = append(r.Starts, milliseconds(t))
		}
		r.Median = milliseconds(median(times))
		return nil
	})
	return r, err
}

// startAgain starts and stops a node several times and says how long each start took.
func startAgain(ctx context.Context, o Options, s *side) ([]time.Duration, error) {
	var times []time.Duration
	for range starts {
		running, stop := context.WithCancel(ctx)
		begun := time.Now()
		err := s.start(running, o.Program)
		times = append(times, time.Since(begun))
		stop()
		if err = errors.Join(err, s.wait()); err != nil {
			return nil, err
		}
	}
	return times, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
