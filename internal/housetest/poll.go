package housetest

import (
	"context"

	"entente/internal/flow"
)

// polling is a link one of whose nodes cannot be reached, so that it polls the other (docs/spec/frames.md, section 2.1): the answers
// to the peer's frames go with its next request, which also names the delivery that it took last.
type polling struct {
	hidden *node  // who polls; nil where both can be reached
	back   []byte // its answers, not sent yet
	taken  int    // number of the delivery that it took last; 0 for none
	mine   int    // life of its house that remembers these

	out    *flow.Delivery // went out in an answer of the other, and was not heard of
	number int            // of out
	theirs int            // life of the other's house that made it
}

// poll lets the hidden node of a link ask once; it reports whether there was anything, or may be.
func (w *world) poll(l *link) bool {
	p := &l.polling
	x, s := p.hidden, l.other(p.hidden)
	if p.mine != x.life {
		p.back, p.taken, p.mine = nil, 0, x.life
	}
	if w.loses(l, w.sky.lostRequest) {
		w.note("%s polls %s: LOST", x.name, s.name)
		return true
	}
	busy := len(p.back) > 0 || p.out != nil
	if !w.heard(s, p) {
		return true
	}
	answers, ok := w.receive(s, l, p.back)
	if !ok {
		return true
	}
	var d flow.Delivery
	err := s.act("outgoing", func(h *flow.House) (err error) {
		d, err = h.Outgoing(context.Background(), l.id, []int{4 << 20, 1 << 20, 1}[w.r.IntN(3)])
		return err
	})
	if err != nil {
		s.tolerate("outgoing", err)
		return true
	}
	number := 0
	if len(d.Frames) > 0 {
		data, err := encode(d.Frames)
		w.must(err)
		answers = append(answers, data...)
		w.note("%s → %s, which polled:%s", s.name, x.name, kinds(d.Frames))
		d.Frames = nil
		p.number++
		p.out, p.theirs, number = &d, s.life, p.number
	}
	if w.loses(l, w.sky.lostAnswer) {
		w.note("%s ← %s, which answers its poll: LOST", x.name, s.name)
		return true
	}
	if len(answers) == 0 {
		p.back, p.taken = nil, 0
		return busy
	}
	back, ok := w.receive(x, l, answers)
	if ok && p.mine == x.life {
		p.back, p.taken = back, number
	}
	return true
}

func (w *world) loses(l *link, rate int) bool {
	if w.calm || !l.parted && !w.chance(rate) {
		return false
	}
	w.out.Faults++
	return true
}

// heard ends the delivery in the last answer: it was taken if the poll names it, and else it is made anew.
func (w *world) heard(s *node, p *polling) bool {
	d := p.out
	p.out = nil
	if d == nil || p.theirs != s.life {
		return true
	}
	what := "undelivered"
	end := func(h *flow.House) error { return h.Undelivered(context.Background(), *d, errLost) }
	if p.taken == p.number {
		what = "delivered"
		end = func(h *flow.House) error { return h.Delivered(context.Background(), *d, nil) }
	}
	err := s.act(what, end)
	s.tolerate(what, err)
	return err == nil
}
