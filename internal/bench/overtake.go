package bench

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"entente/internal/node"
	"entente/statement"
)

// Overtake is how fast a hotline statement is receipted while a large file is on its way.
type Overtake struct {
	Machine Machine `json:"machine"`
	Bytes   int64   `json:"bytes"` // of the file
	Calls   int     `json:"calls"` // said while segments of it were on their way, one after another
	Median  float64 `json:"median_ms"`
	Slowest float64 `json:"slowest_ms"`
}

// callEvery is the time between a call's receipt and the next call.
const callEvery = 250 * time.Millisecond

// MeasureOvertake sends a file of so many random bytes from one node to another, and calls on the hotline meanwhile.
func MeasureOvertake(ctx context.Context, o Options, size int64) (Overtake, error) {
	o.Database = "sqlite"
	r := Overtake{Machine: machine(), Bytes: size}
	err := o.within(func(dir string) error {
		path := filepath.Join(dir, "file")
		if err := fill(path, size); err != nil {
			return err
		}
		return withPair(ctx, o, dir, func(ctx context.Context, p *pair) error {
			said, err := p.evidence(ctx, o, path, size)
			if err != nil {
				return err
			}
			return r.call(ctx, o, p, said)
		})
	})
	return r, err
}

// call calls as long as the file is on its way.
func (r *Overtake) call(ctx context.Context, o Options, p *pair, evidence statement.Commitment) error {
	var times []time.Duration
	draft, err := message(p.kestria.name)
	if err != nil {
		return err
	}
	draft.Lane = statement.Hotline
	for {
		m, err := p.arvenia.client.Statement(ctx, evidence.String())
		if err != nil {
			return err
		}
		f := m.Files[0]
		o.progress("delivering", f.Have, f.Segments)
		if f.Progress != "sending" {
			break
		}
		if f.Have > 0 {
			begun := time.Now()
			said, err := p.arvenia.client.Send(ctx, draft, nil, nil)
			if err != nil {
				return err
			}
			err = until(ctx, lookEvery, func() (bool, error) {
				m, err := p.arvenia.client.Statement(ctx, said.String())
				return m.Received != nil, err
			})
			if err != nil {
				return err
			}
			times = append(times, time.Since(begun))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(callEvery):
		}
	}
	if r.Calls = len(times); r.Calls > 0 {
		slices.Sort(times)
		r.Median, r.Slowest = microseconds(median(times))/1000, microseconds(times[len(times)-1])/1000
	}
	return nil
}

// evidence has arvenia take a file to send.
func (p *pair) evidence(ctx context.Context, o Options, path string, size int64) (statement.Commitment, error) {
	draft, err := message(p.kestria.name)
	if err != nil {
		return statement.Commitment{}, err
	}
	file, done, err := upload(path, size)
	if err != nil {
		return statement.Commitment{}, err
	}
	defer done()
	return p.arvenia.client.Send(ctx, draft, []node.Upload{file}, func(done, total int64) { o.progress("sealing", done, total) })
}
