package peer

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"entente/statement"

	"golang.org/x/time/rate"
)

// gate counts exchanges under way and refuses more than are allowed, without queueing. It is fair: when all places are taken, a
// link that has fewer than another gets one of the other's, of an exchange that waits for its peer. So neither one peer nor many
// that are slow together keep a place from the rest.
type gate struct {
	total, perLink int
	now            func() time.Time

	mu    sync.Mutex
	all   int                          // that count among all; guarded by mu
	links map[statement.LinkID][]*pass // guarded by mu
}

// fairShare is how long an exchange may wait for its peer before a link with one place fewer takes its place; a link with fewer
// still takes it at once.
const fairShare = 10 * time.Second

// pass is one exchange under way. All but the first three members are guarded by the gate's mu.
type pass struct {
	gate    *gate
	link    statement.LinkID
	control *http.ResponseController

	stage   passStage
	since   time.Time // of the stage
	resting bool      // it counts for its link alone
	ended   bool      // its place was given to another
}

type passStage int

const (
	reading passStage = iota // the request's body comes in
	serving                  // it is ours to go on
	writing                  // the answer goes out
)

func newGate(total, perLink int, now func() time.Time) *gate {
	return &gate{total: total, perLink: perLink, now: now, links: map[statement.LinkID][]*pass{}}
}

// enter takes a place for an exchange; control can end its reading and writing.
func (g *gate) enter(link statement.LinkID, stage passStage, control *http.ResponseController) (*pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.links[link]) >= g.perLink || g.all >= g.total && !g.makeRoom(link) {
		return nil, false
	}
	p := &pass{gate: g, link: link, control: control, stage: stage, since: g.now()}
	g.all++
	g.links[link] = append(g.links[link], p)
	return p, true
}

// places is how many of a link count among all; the caller holds mu.
func (g *gate) places(link statement.LinkID) (n int) {
	for _, p := range g.links[link] {
		if !p.resting && !p.ended {
			n++
		}
	}
	return n
}

// makeRoom ends the exchange that has waited longest for its peer, of a link with the most places; the caller holds mu.
func (g *gate) makeRoom(link statement.LinkID) bool {
	own, most, now := g.places(link), 0, g.now()
	var victim *pass
	for other, passes := range g.links {
		n := g.places(other)
		for _, p := range passes {
			waits := p.stage != serving && !p.resting && !p.ended && (n > own+1 || n == own+1 && now.Sub(p.since) >= fairShare)
			if waits && (n > most || n == most && p.since.Before(victim.since)) {
				most, victim = n, p
			}
		}
	}
	if victim == nil {
		return false
	}
	victim.ended = true
	g.all--
	past := time.Unix(1, 0)
	if victim.stage == reading {
		victim.control.SetReadDeadline(past) // what cannot be ended so ends by its own timeout
	} else {
		victim.control.SetWriteDeadline(past)
	}
	return true
}

// enters notes the stage that an exchange comes to, and says whether it still has its place.
func (p *pass) enters(stage passStage) bool {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.stage, p.since = stage, p.gate.now()
	return !p.ended
}

// rest gives the place among all back, and keeps that of the link: who only waits takes nothing from others.
func (p *pass) rest() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if !p.ended {
		p.gate.all--
	}
	p.resting = true
}

// leave gives the place back. After it, nobody ends the exchange any more.
func (p *pass) leave() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.resting && !p.ended {
		g.all--
	}
	g.links[p.link] = slices.DeleteFunc(g.links[p.link], func(q *pass) bool { return q == p })
	if len(g.links[p.link]) == 0 {
		delete(g.links, p.link)
	}
}

// maxStrangers bounds the addresses that are remembered.
const maxStrangers = 4096

// strangers slows down those who are not known, by address and all together.
type strangers struct {
	each  rate.Limit
	burst int

	mu    sync.Mutex
	all   *rate.Limiter
	known map[netip.Prefix]*rate.Limiter // guarded by mu
}

func newStrangers(l Limits) *strangers {
	return &strangers{
		each: rate.Limit(l.Strangers), burst: l.StrangersBurst,
		all:   rate.NewLimiter(rate.Limit(l.StrangersInTotal), max(1, int(2*l.StrangersInTotal))),
		known: map[netip.Prefix]*rate.Limiter{},
	}
}

// allow spends one try of an address. The address pays first, so that one busy address cannot use up what all share.
func (s *strangers) allow(remote string, now time.Time) bool {
	host := prefix(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.known[host]
	if !ok {
		if len(s.known) >= maxStrangers {
			s.forget(now)
		}
		if len(s.known) >= maxStrangers {
			return false
		}
		l = rate.NewLimiter(s.each, s.burst)
		s.known[host] = l
	}
	return l.AllowN(now, 1) && s.all.AllowN(now, 1)
}

// forget drops addresses that have their whole allowance back: a new limiter says the same.
func (s *strangers) forget(now time.Time) {
	for host, l := range s.known {
		if l.TokensAt(now) >= float64(s.burst) {
			delete(s.known, host)
		}
	}
}

// prefix is what counts as one address: an IPv4 address, or the 64 bits that one IPv6 subscriber has. What is no IP
// address (a socket of another family) counts as one and the same.
func prefix(remote string) netip.Prefix {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	addr := a.Addr().Unmap().WithZone("")
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// boundedListener closes connections at once that are more than allowed, in total or from one address.
type boundedListener struct {
	net.Listener
	total, perHost int
	refused        func()

	mu    sync.Mutex
	all   int                  // guarded by mu
	hosts map[netip.Prefix]int // guarded by mu
}

func (b *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := prefix(c.RemoteAddr().String())
		if b.enter(host) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { b.leave(host) })}, nil
		}
		c.Close()
		b.refused()
	}
}

func (b *boundedListener) enter(host netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= b.total || b.hosts[host] >= b.perHost {
		return false
	}
	b.all++
	b.hosts[host]++
	return true
}

func (b *boundedListener) leave(host netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.hosts[host]--; b.hosts[host] == 0 {
		delete(b.hosts, host)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
