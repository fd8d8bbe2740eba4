package flow_test

import (
	"context"
	"sync"
	"testing"
	"time"
)

// BenchmarkStatement measures small statements, durable on both sides and receipted, 64 in flight, both houses in one
// process without a network between them.
func BenchmarkStatement(b *testing.B) {
	w := newWorld(b)
	w.confirm()
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, pair := range [][2]*side{{w.a, w.b}, {w.b, w.a}} {
		loops.Go(func() { deliver(ctx, b, pair[0], pair[1]) })
	}
	b.ResetTimer()
	start := time.Now()
	var senders sync.WaitGroup
	next := make(chan int)
	for range 64 {
		senders.Go(func() {
			for range next {
				if _, err := w.a.Send(ctx, operator, draft(w.a, "subject", "a small statement", nil), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	senders.Wait()
	for {
		v, err := w.a.FindLink(ctx, operator, "kestria")
		if err != nil {
			b.Fatal(err)
		}
		if v.Figures.Sending == 0 && v.Figures.Unsaid == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "statements/s")
	cancel()
	loops.Wait()
}

func deliver(ctx context.Context, b *testing.B, from, to *side) {
	for ctx.Err() == nil {
		d, err := from.Outgoing(ctx, from.link, 8<<20)
		if err != nil || len(d.Frames) == 0 {
			select {
			case <-ctx.Done():
			case <-from.Wake(from.link):
			}
			continue
		}
		answers, err := to.Receive(ctx, to.link, d.Frames)
		if err == nil {
			err = from.Delivered(ctx, d, answers)
		}
		if err != nil && ctx.Err() == nil {
			b.Error(err)
			return
		}
	}
}
