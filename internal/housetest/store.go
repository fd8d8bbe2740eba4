package housetest

import (
	"context"
	"errors"

	"entente/internal/fault"
	"entente/internal/flow"
)

// errUndone makes a transaction that did all its work go back.
var errUndone = errors.New("undone")

func broken() error {
	return fault.New(fault.Unavailable, "weather", "The store does not answer.")
}

// store is a node's store in the weather: acts fail, are run twice, or lose their node its power, before and after the commit.
type store struct {
	flow.Store
	n      *node
	within bool // a closure is running
}

// View implements flow.Store.
func (s *store) View(ctx context.Context, f func(flow.Tx) error) error {
	s.between()
	if s.n.dead || s.n.struck(s.n.w.sky.failing/2) {
		return broken()
	}
	return s.Store.View(ctx, f)
}

// Update implements flow.Store.
func (s *store) Update(ctx context.Context, p flow.Priority, f func(flow.Tx) error) error {
	s.between()
	if s.n.dead {
		return broken()
	}
	if s.within {
		s.n.w.fail("%s: a transaction within a transaction", s.n.name)
	}
	g := func(tx flow.Tx) error {
		s.within = true
		defer func() { s.within = false }()
		return f(tx)
	}
	w := s.n.w
	if s.n.boundary("before a transaction"); s.n.dead {
		return broken()
	}
	defer s.n.boundary("after a transaction")
	crash := s.n.struck(w.sky.crash)
	fails := !crash && s.n.struck(w.sky.failing)
	if !crash && !fails {
		if s.n.struck(w.sky.again) {
			s.undone(ctx, p, g)
		}
		return s.Store.Update(ctx, p, g)
	}
	when := w.r.IntN(3)
	w.note("%s: %s %s a transaction of %q", s.n.name, map[bool]string{true: "power cut", false: "failure"}[crash],
		[]string{"before", "within", "after"}[when], s.n.doing())
	switch when {
	case 1:
		s.undone(ctx, p, g)
	case 2:
		if err := s.Store.Update(ctx, p, g); err != nil {
			return err
		}
	}
	s.n.dead = crash
	return broken()
}

// undone does all the work of an act and takes it back.
func (s *store) undone(ctx context.Context, p flow.Priority, f func(flow.Tx) error) {
	_ = s.Store.Update(ctx, p, func(tx flow.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return errUndone
	})
}

// between lets another act of the node run between two transactions of one.
func (s *store) between() {
	w := s.n.w
	if !s.within && !s.n.dead && !w.silenced && !w.calm && len(s.n.stack) == 1 && w.chance(w.sky.between) {
		w.meanwhile(s.n)
	}
}
