package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
)

const (
	// groupMax is how many acts one commit takes.
	groupMax = 256
	// gatherMax is how long acts wait for those that are likely to follow, because as many were in the last group.
	// It is about the cost of one durable commit, so that waiting never costs more than it can save.
	gatherMax = 2 * time.Millisecond
	// retries is how often a group is run again when the database asks for it.
	retries = 8
)

var errClosed = fault.New(fault.Unavailable, "closing", "The node is shutting down; nothing was lost. Try again.")

// act is one closure in the queue.
type act struct {
	ctx  context.Context
	f    func(conn) error
	err  error
	done chan struct{}
}

// committer owns the writing session: one goroutine takes what waits, urgent acts first, and commits it together.
type committer struct {
	db   database
	wake chan struct{} // holds one token when something has changed in the queue
	gone chan struct{} // closed when the loop has ended

	mu             sync.Mutex
	urgent, normal []*act
	closed         bool
}

func newCommitter(db database) *committer {
	return &committer{db: db, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// submit waits for f to be committed or to fail. An act that has not begun when its ctx ends is taken out.
func (c *committer) submit(ctx context.Context, p flow.Priority, f func(conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &act{ctx: ctx, f: f, done: make(chan struct{})}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	if p == flow.Urgent {
		c.urgent = append(c.urgent, a)
	} else {
		c.normal = append(c.normal, a)
	}
	c.mu.Unlock()
	c.nudge()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		if c.withdraw(a) {
			return ctx.Err()
		}
		<-a.done // begun: only its outcome is an answer
		return a.err
	}
}

func (c *committer) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// withdraw takes an act out of the queue; false says that it has begun.
func (c *committer) withdraw(a *act) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range []*[]*act{&c.urgent, &c.normal} {
		for i, other := range *q {
			if other == a {
				*q = append((*q)[:i:i], (*q)[i+1:]...)
				return true
			}
		}
	}
	return false
}

// close refuses new acts and waits until those in the queue are done.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.nudge()
	<-c.gone
}

// loop runs until close. Should a closure end this goroutine (runtime.Goexit, as a failing test does), every
// waiting act is answered, so that nobody hangs.
func (c *committer) loop() {
	var group []*act
	defer close(c.gone)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		answer(group, errClosed)
		answer(c.urgent, errClosed)
		answer(c.normal, errClosed)
	}()
	last := 1
	for {
		c.gather(last)
		group = c.take()
		if len(group) == 0 {
			if c.isClosed() {
				return
			}
			<-c.wake
			continue
		}
		last = len(group)
		c.run(group)
		group = nil
	}
}

func answer(group []*act, err error) {
	for _, a := range group {
		a.err = err
		close(a.done)
	}
}

func (c *committer) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && len(c.urgent)+len(c.normal) == 0
}

// gather waits a little while fewer acts are waiting than were in the last group; those who were just answered
// often come back at once. It never waits for a lone caller, nor with an urgent act.
func (c *committer) gather(last int) {
	enough := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := len(c.urgent) + len(c.normal)
		return n == 0 || n >= min(last, groupMax) || len(c.urgent) > 0 || c.closed
	}
	if enough() {
		return
	}
	timer := time.NewTimer(gatherMax)
	defer timer.Stop()
	for !enough() {
		select {
		case <-c.wake:
		case <-timer.C:
			return
		}
	}
}

// take removes up to groupMax acts from the queue, urgent ones first, each kind in the order of its coming.
func (c *committer) take() []*act {
	c.mu.Lock()
	defer c.mu.Unlock()
	var group []*act
	for _, q := range []*[]*act{&c.urgent, &c.normal} {
		n := min(groupMax-len(group), len(*q))
		group = append(group, (*q)[:n]...)
		*q = append([]*act(nil), (*q)[n:]...)
	}
	return group
}

// errBroken marks that a group lost its transaction in the midst, so that no act of it has been carried out.
var errBroken = errors.New("the transaction was lost")

// run carries out a group and answers each act.
func (c *committer) run(group []*act) {
	err := c.attempt(group)
	for i := 0; i < retries && errors.Is(err, errSerialization); i++ {
		err = c.attempt(group)
	}
	if errors.Is(err, errBroken) && len(group) > 1 {
		// One act took the transaction with it, as a full disk does: alone, each has its own success or failure.
		for _, a := range group {
			c.run([]*act{a})
		}
		return
	}
	for _, a := range group {
		if err != nil {
			a.err = commitFault(err)
		}
		close(a.done)
	}
}

// commitFault gives an error of the whole group its kind, unless it has one.
func commitFault(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return unavailable(err)
}

// attempt runs every act of a group inside a savepoint of its own and commits once. Its error is that of the
// group; those of single acts are kept with them.
func (c *committer) attempt(group []*act) error {
	ctx := context.Background() // the group outlives each caller
	s, done, err := c.db.writer(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer done()
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	ended := false
	defer func() {
		if !ended {
			s.rollback(ctx)
		}
	}()
	kept := false
	for _, a := range group {
		a.err = nil
		ok, err := c.act(ctx, s, a, len(group) == 1)
		if err != nil {
			return err
		}
		kept = kept || ok
	}
	if !kept {
		return nil
	}
	if err := s.commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	ended = true
	return nil
}

// act runs one act and says whether its effects stand. An error is the group's.
func (c *committer) act(ctx context.Context, s session, a *act, alone bool) (kept bool, err error) {
	if a.err = a.ctx.Err(); a.err != nil {
		return false, nil
	}
	if !alone {
		if err := s.savepoint(ctx); err != nil {
			return false, fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	a.err = caught(func() error { return a.f(s) })
	lost := s.flush(ctx)
	if errors.Is(lost, errSerialization) || errors.Is(a.err, errSerialization) {
		return false, errSerialization
	}
	if a.err == nil {
		a.err = lost
	}
	switch {
	case alone:
		return a.err == nil, nil
	case a.err == nil:
		if err := s.release(ctx); err != nil {
			return false, fmt.Errorf("%w: %w", errBroken, err)
		}
		return true, nil
	default:
		if err := s.undo(ctx); err != nil {
			return false, fmt.Errorf("%w: %w", errBroken, err)
		}
		return false, nil
	}
}
