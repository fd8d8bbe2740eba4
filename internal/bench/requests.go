package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"entente/internal/node"
)

// Requests is what a node with many requests for assistance can do.
type Requests struct {
	Machine    Machine `json:"machine"`
	Database   string  `json:"database"` // sqlite | postgres
	Requests   int     `json:"requests"`
	Statements int     `json:"statements"`
	Built      float64 `json:"built_seconds"`                 // how long it took to make the record, unfolded
	Rebuild    float64 `json:"rebuild_statements_per_second"` // all read, folded, and compared with what was folded before
	Memory     int64   `json:"rebuild_peak_bytes"`            // the most that this process had resident until then
	Due        Spread  `json:"due"`                           // fifty of what needs an answer now, the node idle
	DueLoaded  Spread  `json:"due_loaded"`                    // the same while it sends
	Load       float64 `json:"load_statements_per_second"`    // what it sent meanwhile
	Show       Spread  `json:"show"`                          // one request with its timeline
	Report     float64 `json:"report_seconds"`                // of the whole year
	Short      Spread  `json:"append_short"`                  // one word more in a thread of ten
	Long       Spread  `json:"append_long"`                   // and in the long one
	LongWords  int     `json:"long_words"`
}

// Spread is how long calls took, in milliseconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

func spread(times []time.Duration) Spread {
	slices.Sort(times)
	return Spread{Count: len(times), P50: milliseconds(quantile(times, 0.5)), P99: milliseconds(quantile(times, 0.99))}
}

const (
	lookedUp  = 1000 // calls of each kind
	appended  = 40   // words added to each thread
	loadRate  = 300  // statements per second that are tried
	loadUsers = 64
)

// MeasureRequests makes a record of so many requests with so many words each in the data of a node, beside a link with another node,
// folds it, and measures what is read of it through the node's socket, idle and while statements go out over the other link.
func MeasureRequests(ctx context.Context, o Options, requests, words, long int) (Requests, error) {
	r := Requests{Machine: machine(), Database: "postgres", LongWords: long}
	if o.Database == "" || o.Database == "sqlite" {
		r.Database = "sqlite"
	}
	err := o.within(func(dir string) error {
		return withPair(ctx, o, dir, func(ctx context.Context, p *pair) error {
			if err := p.arvenia.stop(); err != nil {
				return err
			}
			record, err := r.make(ctx, o, p.arvenia, requests, words, long)
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(ctx)
			if err := p.arvenia.start(running, o.Program); err != nil {
				stop()
				return err
			}
			err = r.read(ctx, o, p, record)
			stop()
			return err
		})
	})
	return r, err
}

// make makes the record and folds it twice: what is measured begins with rows that are there.
func (r *Requests) make(ctx context.Context, o Options, s *side, requests, words, long int) (record node.RequestRecord, err error) {
	if _, err := node.GatherCrowd(ctx, s.data, 1, "", false, nil); err != nil {
		return record, err
	}
	begun := time.Now()
	record, err = node.SynthesiseRequests(ctx, s.data, askers, requests, words, long, func(done, total int64) { o.progress("making the record", done, total) })
	if err != nil {
		return record, err
	}
	r.Built, r.Requests, r.Statements = time.Since(begun).Seconds(), record.Requests, record.Statements
	if _, err := node.Refold(ctx, s.data, func(done, total int64) { o.progress("folding", done, total) }); err != nil {
		return record, err
	}
	begun = time.Now()
	same, err := node.Refold(ctx, s.data, func(done, total int64) { o.progress("folding again", done, total) })
	if err == nil && !same {
		err = errors.New("folding again made other rows")
	}
	if err != nil {
		return record, err
	}
	r.Rebuild, r.Memory = float64(record.Statements)/time.Since(begun).Seconds(), peak(os.Getpid())
	return record, node.Reconfirm(ctx, s.data, askers)
}

// askers is the name of the link whose record is made.
const askers = "party-1"

func (r *Requests) read(ctx context.Context, o Options, p *pair, record node.RequestRecord) error {
	client := p.arvenia.client
	due := func(int) error {
		list, err := client.Due(ctx, "them", "", 50)
		if err == nil && len(list) == 0 {
			err = errors.New("nothing is due")
		}
		return err
	}
	var err error
	if r.Due, err = r.times(o, "asking what is due", lookedUp, due); err != nil {
		return err
	}
	r.Show, err = r.times(o, "showing requests", lookedUp, func(int) error {
		_, err := client.Request(ctx, fmt.Sprintf("MEA-MT-2026-%04d", 1+rand.IntN(record.Requests-1)))
		return err
	})
	if err != nil {
		return err
	}
	begun := time.Now()
	report, err := client.Report(ctx, askers, begun.AddDate(0, 0, -1), begun.AddDate(1, 0, 1), nil)
	if err != nil {
		return err
	}
	r.Report = time.Since(begun).Seconds()
	if n := report.Figures[0].Received + report.Figures[1].Received; n != record.Requests {
		return fmt.Errorf("the report counts %d of %d requests", n, record.Requests)
	}
	if err := r.append(ctx, o, p, record); err != nil {
		return err
	}
	stop, sent := p.load(ctx)
	begun = time.Now()
	r.DueLoaded, err = r.times(o, "asking what is due, under load", lookedUp, due)
	r.Load = float64(sent.Load()) / time.Since(begun).Seconds()
	return errors.Join(err, stop())
}

// times calls something again and again.
func (r *Requests) times(o Options, what string, count int, call func(int) error) (Spread, error) {
	times := make([]time.Duration, count)
	for i := range times {
		begun := time.Now()
		if err := call(i); err != nil {
			return Spread{}, fmt.Errorf("%s: %w", what, err)
		}
		times[i] = time.Since(begun)
		o.progress(what, int64(i+1), int64(count))
	}
	return spread(times), nil
}

// append says a word in a short and in a long thread by turns.
func (r *Requests) append(ctx context.Context, o Options, p *pair, record node.RequestRecord) error {
	draft := node.Draft{Kind: "status.query", Face: []byte("{}"), Body: []byte("{}")}
	draft.Marking.TLP = "AMBER"
	var times [2][]time.Duration
	for i := range 2 * appended {
		begun := time.Now()
		if _, err := p.arvenia.client.Reply(ctx, []string{record.Short, record.Long}[i%2], draft, nil, nil); err != nil {
			return fmt.Errorf("saying a word more: %w", err)
		}
		times[i%2] = append(times[i%2], time.Since(begun))
		o.progress("saying words in threads", int64(i+1), 2*appended)
	}
	r.Short, r.Long = spread(times[0]), spread(times[1])
	return nil
}

// load sends messages at a steady rate, as far as the nodes can, until it is stopped.
func (p *pair) load(ctx context.Context) (stop func() error, sent *atomic.Int64) {
	sending, end := context.WithCancel(ctx)
	sent = &atomic.Int64{}
	ticks := make(chan struct{})
	callers, calls := errgroup.WithContext(sending)
	callers.Go(func() error {
		ticker := time.NewTicker(time.Second / loadRate)
		defer ticker.Stop()
		for {
			select {
			case <-calls.Done():
				return nil
			case <-ticker.C:
			}
			select {
			case ticks <- struct{}{}:
			default: // all callers are at it: the node is slower than the rate
			}
		}
	})
	draft, err := message(p.kestria.name)
	for range loadUsers {
		callers.Go(func() error {
			for err == nil {
				select {
				case <-calls.Done():
					return nil
				case <-ticks:
				}
				if _, err := p.say(calls, draft); err != nil && calls.Err() == nil {
					return err
				}
				sent.Add(1)
			}
			return err
		})
	}
	return func() error { end(); return callers.Wait() }, sent
}
