package peer

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"entente/statement"

	"golang.org/x/time/rate"
)

// gate counts exchanges under way and refuses more than are allowed, without queueing.
type gate struct {
	total, perLink int

	mu    sync.Mutex
	all   int                      // guarded by mu
	links map[statement.LinkID]int // guarded by mu
}

// pass is one exchange under way.
type pass struct {
	gate    *gate
	link    statement.LinkID
	resting bool // it counts for its link alone
}

func (g *gate) enter(link statement.LinkID) (*pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= g.total || g.links[link] >= g.perLink {
		return nil, false
	}
	g.all++
	g.links[link]++
	return &pass{gate: g, link: link}, true
}

// rest gives the place among all back, and keeps that of the link: who only waits takes nothing from others.
func (p *pass) rest() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.all--
	p.resting = true
}

func (p *pass) leave() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.resting {
		g.all--
	}
	if g.links[p.link]--; g.links[p.link] == 0 {
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
