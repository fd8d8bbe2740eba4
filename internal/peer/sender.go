package peer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

const (
	bulkBytes = 4 << 20 // of one delivery of segments
	maxBulk   = 2       // deliveries of segments that may be under way beside an ordered one
	maxTaking = 2       // answers to ordered deliveries that may be taken at a time

	lookAgain = 5 * time.Second // for links that are new
	minWait   = 50 * time.Millisecond
	maxWait   = 5 * time.Minute
	minPause  = 200 * time.Millisecond // after a failure; doubled with each more
	maxPause  = 5 * time.Second
)

// Sender delivers what is due: one loop per link, so that a link has one sender at a time and a peer that is away
// delays nobody else. Deliveries of a link follow one another in order, each sent when the one before is answered, while
// we still take that answer. Segments of large parcels travel beside them, in two small requests at a time: a large file never
// stands before a call, and little of it is lost by a crash. A node that its peers cannot reach polls them, too, with one request per link.
type Sender struct {
	house  House
	client *Client
	now    func() time.Time
	log    *slog.Logger
	rescan chan struct{}
}

// NewSender makes a sender; Run runs it.
func NewSender(house House, client *Client, now func() time.Time, log *slog.Logger) *Sender {
	return &Sender{house: house, client: client, now: now, log: log, rescan: make(chan struct{}, 1)}
}

// Rescan makes the sender look for new links now rather than within seconds.
func (s *Sender) Rescan() {
	select {
	case s.rescan <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, and returns when no request is under way any more.
func (s *Sender) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	running := map[statement.LinkID]*linkSender{}
	failing := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		addresses, err := s.house.Addresses(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the links to deliver to could not be listed", "err", err)
		}
		failing = err != nil
		for _, a := range addresses {
			l, ok := running[a.Link]
			if !ok {
				l = &linkSender{Sender: s, id: a.Link, alias: a.Alias, done: make(chan outcome, maxBulk+2*(maxTaking+1))}
				running[a.Link] = l
			}
			l.endpoint.Store(&a.Endpoint)
			if !ok {
				loops.Go(func() { l.run(ctx) })
			}
			if !ok && !s.house.Reachable() {
				p := &linkPoller{linkSender: l}
				loops.Go(func() { p.run(ctx) })
			}
		}
		timer.Reset(lookAgain)
		select {
		case <-ctx.Done():
			return nil
		case <-s.rescan:
		case <-timer.C:
		}
	}
}

// linkSender is the loop of one link. All but id and endpoint belongs to its goroutine.
type linkSender struct {
	*Sender
	id       statement.LinkID
	alias    string
	endpoint atomic.Pointer[string]

	done     chan outcome // room for all that may be under way
	bulk     int          // deliveries of segments under way
	ordered  bool         // one is on the wire
	answers  int          // to ordered deliveries, that are being taken
	failures int          // in a row
	pause    time.Time    // nothing is tried before
	trouble  string       // code of the failure that was logged last; empty when all is well
}

// outcome is how far a delivery has come.
type outcome struct {
	stage stage
	err   error // when it has ended
}

type stage int

const (
	bulkEnded  stage = iota
	answered         // an ordered delivery has its answer, which is taken now
	taken            // the answer was taken, or could not be
	unanswered       // an ordered delivery had no answer
)

func (l *linkSender) run(ctx context.Context) {
	for ctx.Err() == nil {
		l.wait(ctx, l.step(ctx))
	}
	for l.bulk > 0 || l.ordered || l.answers > 0 { // requests under way end with ctx
		l.advance(ctx, <-l.done)
	}
}

// forever is a wait for a delivery to end and for nothing else.
const forever time.Duration = -1

// step starts what may be started and returns how long to wait for more: 0 not at all.
func (l *linkSender) step(ctx context.Context) time.Duration {
	if rest := l.pause.Sub(l.now()); rest > 0 {
		return rest
	}
	started := false
	if !l.ordered && l.answers < maxTaking {
		d, err := l.house.Outgoing(ctx, l.id, 0)
		if err != nil {
			l.failed(ctx, err)
			return l.pause.Sub(l.now())
		}
		if started = len(d.Frames) > 0; started {
			l.ordered = true
			l.start(ctx, d, ordered)
		}
	}
	for l.bulk < maxBulk {
		d, err := l.house.OutgoingSegments(ctx, l.id, bulkBytes)
		if err != nil {
			l.failed(ctx, err)
			return l.pause.Sub(l.now())
		}
		if len(d.Frames) == 0 {
			break
		}
		l.bulk++
		l.start(ctx, d, segments)
	}
	if started {
		return 0
	}
	if l.ordered || l.answers == maxTaking {
		return forever
	}
	due, err := l.house.NextDue(ctx, l.id)
	if err != nil {
		l.failed(ctx, err)
		return l.pause.Sub(l.now())
	}
	if due.IsZero() {
		return maxWait
	}
	return min(max(due.Sub(l.now()), minWait), maxWait)
}

// wait ends when a delivery ended, d is over, or something new is due. While an ordered delivery is under way, and
// after a failure, what is new must wait with the rest.
func (l *linkSender) wait(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	var timeout <-chan time.Time
	if d != forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	wake := l.house.Wake(l.id)
	if d == forever && l.bulk == maxBulk || l.pause.After(l.now()) {
		wake = nil
	}
	select {
	case <-ctx.Done():
	case o := <-l.done:
		l.advance(ctx, o)
	case <-timeout:
	case <-wake:
	}
}

// sort is whether a delivery keeps its place among others, or travels beside them.
type sort int

const (
	ordered sort = iota
	segments
)

// start sends a delivery on its way.
func (l *linkSender) start(ctx context.Context, d flow.Delivery, what sort) {
	endpoint := *l.endpoint.Load()
	go func() {
		answers, err := l.exchange(ctx, d, endpoint)
		last := bulkEnded
		switch {
		case what == ordered && err != nil:
			last = unanswered
		case what == ordered:
			last = taken
			l.done <- outcome{stage: answered}
		}
		l.done <- outcome{last, l.tell(ctx, d, answers, err)}
	}()
}

// exchange makes the request of a delivery.
func (l *linkSender) exchange(ctx context.Context, d flow.Delivery, endpoint string) ([]parcel.Frame, error) {
	known, err := l.house.PeerTransport(ctx, l.id)
	if err != nil {
		return nil, err
	}
	return l.client.Exchange(ctx, l.id, endpoint, Pins(known, l.now()), d.Frames)
}

// tell tells the house how a delivery ended; the house must hear it even when ctx ends meanwhile.
func (l *linkSender) tell(ctx context.Context, d flow.Delivery, answers []parcel.Frame, err error) error {
	told := context.WithoutCancel(ctx)
	if err == nil {
		err = l.house.Delivered(told, d, answers)
	}
	if err != nil {
		if failure := l.house.Undelivered(told, d, err); failure != nil {
			return failure
		}
	}
	return err
}

// advance notes how far a delivery has come.
func (l *linkSender) advance(ctx context.Context, o outcome) {
	switch o.stage {
	case bulkEnded:
		l.bulk--
	case answered:
		l.ordered = false
		l.answers++
		return
	case taken:
		l.answers--
	case unanswered:
		l.ordered = false
	}
	if o.err != nil {
		l.failed(ctx, o.err)
		return
	}
	l.failures = 0
	if l.trouble != "" {
		l.trouble = ""
		l.log.InfoContext(ctx, "deliveries to a peer succeed again", "link", l.alias)
	}
}

// failed sets the pause and logs the failure unless it is the one that was logged last.
func (l *linkSender) failed(ctx context.Context, err error) {
	l.pause = l.now().Add(min(minPause<<min(l.failures, 10), maxPause))
	l.failures++
	if code := fault.CodeOf(err); code != l.trouble && ctx.Err() == nil {
		l.trouble = code
		l.log.WarnContext(ctx, "deliveries to a peer fail", "link", l.alias, "code", code, "err", err)
	}
}
