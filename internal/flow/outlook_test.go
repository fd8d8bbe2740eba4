package flow_test

import (
	"context"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/statement"
)

// A statement that finds its lane full waits for receipts, and is refused when none come.
func TestFullLaneWaitsForReceipts(t *testing.T) {
	t.Parallel()
	offer := statement.DefaultAgreement()
	offer.Limits.Pending = 3
	w := offered(t, offer)
	for range offer.Limits.Pending {
		w.message(w.a, "one", "of as many as may wait", nil)
	}
	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.a.Send(impatient, operator, draft(w.a, "one more", "than may wait", nil), nil); fault.CodeOf(err) != "pending" {
		t.Fatalf("one more was sent, or refused otherwise: %v", err)
	}
	room := w.a.Room(w.a.link)
	w.run()
	select {
	case <-room:
	default:
		t.Error("receipts came, and those who wait for room were not told")
	}
	w.message(w.a, "one more", "there is room again", nil)
}

// What was seen of a link is good for the next statement only as long as nothing was done since.
func TestOutlookIsOfNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.confirm()
	ctx := t.Context()
	network := []statement.Lane{statement.Network}
	_, err := w.b.SuspendLanes(ctx, operator, w.b.link, network, "review", "")
	w.must(err)
	w.run()
	if _, err := w.a.Send(ctx, operator, draft(w.a, "word", "in a lane that the other party suspended", nil), nil); fault.CodeOf(err) != "link_suspended" {
		t.Fatalf("in a lane that the other party suspended: %v", err)
	}
	_, err = w.b.ResumeLanes(ctx, operator, w.b.link, network, "")
	w.must(err)
	w.run()
	w.message(w.a, "word", "in a lane that it has resumed", nil)
}
