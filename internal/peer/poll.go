package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// The header fields of a poll. A delivery that goes out in an answer has a name there; the next poll repeats it when all of
// the delivery was taken. So a lost answer is told from one that was taken, although neither has an answer of its own.
const (
	waitField     = "Entente-Wait"     // of a request: for how many seconds its answer may wait for something due
	deliveryField = "Entente-Delivery" // of an answer: the name of the delivery in it
	takenField    = "Entente-Taken"    // of a request: the name of the delivery that its sender took last
)

const (
	maxAsked    = 60          // seconds
	pollBytes   = 4 << 20     // of a delivery in an answer
	maxAnswers  = 512         // frames that answer, beside which a delivery still goes
	takenWithin = time.Minute // of a delivery, after which it counts as lost

	pollsWritten = 2 // deliveries of a link at once: one that is given up may still be written when the next is made
)

var deliveryName = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// errVanished says that nobody came back for an answer with a delivery in it.
var errVanished = errors.New("the peer that polled did not come back")

// gone ends a poll whose sender has gone; nobody reads it.
func gone() error { return httpError{http.StatusRequestTimeout, "gone", "The poll was given up."} }

// polls is what a server knows of the peers that poll it.
type polls struct {
	closing chan struct{} // closed when the server ends: nobody waits any longer
	close   func()
	gate    *gate // of deliveries that are made or written

	mu    sync.Mutex
	links map[statement.LinkID]*poller // guarded by mu
}

// poller is one link's peer that polls.
type poller struct {
	turn chan struct{} // holds a token while a poll is under way: there is one at a time

	mu    sync.Mutex
	newer chan struct{}  // of the newest poll; closed when another comes. Guarded by mu
	name  string         // of out; guarded by mu
	out   *flow.Delivery // went out in an answer and was not heard of yet, without its frames; guarded by mu
	timer *time.Timer    // ends out, once its answer is written; guarded by mu
}

func newPolls(g *gate) *polls {
	p := &polls{closing: make(chan struct{}), gate: g, links: map[statement.LinkID]*poller{}}
	p.close = sync.OnceFunc(func() { close(p.closing) })
	return p
}

func (p *polls) of(link statement.LinkID) *poller {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[link] == nil {
		p.links[link] = &poller{turn: make(chan struct{}, 1)}
	}
	return p.links[link]
}

// forget drops deliveries that went out: a house that is built anew finds them due again.
func (p *polls) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.end("")
	}
}

// begin makes way for a poll: an older one, whose client has perhaps gone, waits no longer.
func (p *poller) begin() (newer <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newer != nil {
		close(p.newer)
	}
	p.newer = make(chan struct{})
	return p.newer
}

// end takes the delivery that went out, if it has this name or the name is empty.
func (p *poller) end(name string) *flow.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil || name != "" && p.name != name {
		return nil
	}
	d := p.out
	p.out = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	return d
}

// askedWait reads for how long an answer may wait; ok is false if the request is no poll.
func (s *Server) askedWait(h http.Header) (wait time.Duration, ok bool, err error) {
	values := h.Values(waitField)
	if len(values) == 0 {
		return 0, false, nil
	}
	seconds, err := strconv.ParseUint(values[0], 10, 16)
	if err != nil || len(values) > 1 || seconds > maxAsked {
		return 0, false, fault.New(fault.Invalid, "wait", waitField+" is a number of seconds, "+strconv.Itoa(maxAsked)+" at most.")
	}
	return min(time.Duration(seconds)*time.Second, s.cfg.Limits.Poll), true, nil
}

// poll answers an exchange of a peer that cannot be reached: after the answers to its frames comes what is due for it. With
// nothing to answer, the answer waits until something is due, the time is over, or the server ends.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, pass *pass, frames []parcel.Frame, wait time.Duration) error {
	ctx, link := r.Context(), pass.link
	p := s.polls.of(link)
	newer := p.begin()
	select {
	case p.turn <- struct{}{}:
	case <-newer:
		return fault.New(fault.Conflict, "newer_poll", "Another poll of this link came; one is enough.")
	case <-ctx.Done():
		return gone()
	}
	taking := sync.OnceFunc(func() { <-p.turn })
	defer taking()

	if err := s.heard(ctx, p, r.Header.Get(takenField)); err != nil {
		return err
	}
	answers, err := s.cfg.House.Receive(ctx, link, frames)
	if err != nil {
		return err
	}
	if len(answers) > 0 {
		wait = 0
	}
	pass.rest()
	d, slot, err := s.due(ctx, link, newer, wait, len(answers), http.NewResponseController(w))
	if err != nil {
		return err
	}
	if slot == nil {
		taking()
		s.give(w, r, link, answers)
		return nil
	}
	defer slot.leave()
	slot.enters(writing)
	name := p.park(d)
	taking()
	w.Header().Set(deliveryField, name)
	if err := s.give(w, r, link, append(answers, d.Frames...)); err != nil {
		s.lost(p, name, err)
		return nil
	}
	s.written(p, name)
	return nil
}

// heard ends the delivery in the answer before: its receiver has it if it says its name.
func (s *Server) heard(ctx context.Context, p *poller, taken string) error {
	ctx = context.WithoutCancel(ctx)
	if taken != "" {
		if d := p.end(taken); d != nil {
			return s.cfg.House.Delivered(ctx, *d, nil)
		}
	}
	if d := p.end(""); d != nil {
		return s.cfg.House.Undelivered(ctx, *d, errVanished)
	}
	return nil
}

// park remembers a delivery that goes out in an answer, until it is heard of.
func (p *poller) park(d flow.Delivery) (name string) {
	d.Frames = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.out = rand.Text(), &d
	return p.name
}

// written lets a delivery count as lost that is not heard of within takenWithin.
func (s *Server) written(p *poller, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil && p.name == name {
		p.timer = time.AfterFunc(takenWithin, func() { s.lost(p, name, errVanished) })
	}
}

func (s *Server) lost(p *poller, name string, cause error) {
	d := p.end(name)
	if d == nil {
		return
	}
	if err := s.cfg.House.Undelivered(context.Background(), *d, cause); err != nil {
		s.cfg.Log.Error("a delivery that was lost could not be put back", "link", d.Link, "err", err)
	}
}

// due waits for something due for a link, and takes it, with a place for it that is to be left when it was written. A newer
// poll, the end of the server or the time ends the wait with nothing, and no place. The database is asked when the house says
// that something may be due, and at the time that it named.
func (s *Server) due(ctx context.Context, link statement.LinkID, newer <-chan struct{}, wait time.Duration, answers int, control *http.ResponseController) (d flow.Delivery, slot *pass, err error) {
	endpoint, err := s.cfg.House.PeerEndpoint(ctx, link)
	if err != nil || endpoint != "" || answers > maxAnswers { // who can be reached is pushed to
		return d, nil, err
	}
	over, again := time.NewTimer(wait), time.NewTimer(wait)
	defer over.Stop()
	defer again.Stop()
	again.Stop() // until the house names a time: the end of the wait asks for nothing, and needs no place
	for {
		if d, slot, err = s.take(ctx, link, control); err != nil || slot != nil {
			return d, slot, err
		}
		next, err := s.cfg.House.NextDue(ctx, link)
		if err != nil {
			return d, nil, err
		}
		if !next.IsZero() {
			again.Reset(max(next.Sub(s.cfg.Now()), minWait))
		}
		select {
		case <-over.C:
			return d, nil, nil
		case <-again.C:
		case <-s.cfg.House.Wake(link):
		case <-newer:
			return d, nil, nil
		case <-s.polls.closing:
			return d, nil, nil
		case <-ctx.Done():
			return d, nil, gone()
		}
	}
}

// take makes a delivery, if there is a place for it: the memory of all of them together is bounded. An empty one has none.
func (s *Server) take(ctx context.Context, link statement.LinkID, control *http.ResponseController) (flow.Delivery, *pass, error) {
	slot, ok := s.polls.gate.enter(link, serving, control)
	if !ok {
		return flow.Delivery{}, nil, busy()
	}
	d, err := s.cfg.House.Outgoing(ctx, link, pollBytes)
	if err != nil || len(d.Frames) == 0 {
		slot.leave()
		return d, nil, err
	}
	return d, slot, nil
}
