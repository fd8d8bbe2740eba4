package flow_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"entente/internal/flow"
)

// watched counts the snapshots that were read of a store.
type watched struct {
	flow.Store
	views atomic.Int64
}

func (c *watched) View(ctx context.Context, f func(flow.Tx) error) error {
	c.views.Add(1)
	return c.Store.View(ctx, f)
}

// A peer that asks again and again costs no query as long as nothing was done, and no longer: what is said, and what is to be tried
// again, is found at once.
func TestCalm(t *testing.T) {
	t.Parallel()
	w := confirmed(t)
	ctx := t.Context()
	reads := &watched{Store: w.b.store}
	w.b.store = reads
	w.b.House = w.b.open(t, w.b.Self())
	w.later()

	poll := func() (flow.Delivery, time.Time) {
		t.Helper()
		_, err := w.b.PeerTransport(ctx, w.b.link)
		w.must(err)
		_, err = w.b.PeerEndpoint(ctx, w.b.link)
		w.must(err)
		_, err = w.b.Receive(ctx, w.b.link, nil)
		w.must(err)
		d, err := w.b.Outgoing(ctx, w.b.link, 1<<20)
		w.must(err)
		next, err := w.b.NextDue(ctx, w.b.link)
		w.must(err)
		return d, next
	}
	poll()
	before := reads.views.Load()
	if d, _ := poll(); len(d.Frames) > 0 {
		t.Fatalf("%d frames are due", len(d.Frames))
	}
	if n := reads.views.Load() - before; n > 0 {
		t.Errorf("a poll read %d snapshots, and nothing was done since the last", n)
	}

	w.message(w.b, "word", "said after a calm", nil)
	d, _ := poll()
	if len(d.Frames) == 0 {
		t.Fatal("what was said is not due")
	}
	w.must(w.b.Undelivered(ctx, d, errors.New("the network is down")))
	d, next := poll()
	if len(d.Frames) > 0 {
		t.Fatal("what was not taken is tried again at once")
	}
	w.clock().advance(next.Sub(w.clock().now()))
	if d, _ = poll(); len(d.Frames) == 0 {
		t.Fatal("what was not taken is not tried again when its time is come")
	}
	w.must(w.b.Undelivered(ctx, d, errors.New("the network is down")))
	w.later()
	w.whole()
}
