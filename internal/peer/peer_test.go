package peer_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/peer"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

var _ peer.House = (*flow.House)(nil)

// node is one party: its keys, identity and a house with behaviour.
type node struct {
	name  string
	cert  tls.Certificate
	chain *party.Chain
	house *house
	count *counter

	served peer.Certs       // nil: cert, of version 1
	now    func() time.Time // nil: the machine's
	log    *record
}

// parties are made once: their keys are dear.
var parties = sync.OnceValues(func() (map[string]*node, error) {
	made := map[string]*node{}
	for i, name := range []string{"arvenia", "kestria", "stranger"} {
		dir := filepath.Join(tempDir, name)
		random := rand.NewChaCha8([32]byte{byte(i)})
		lock := keyring.KeyFile(dir + ".key")
		if err := keyring.WriteKeyFile(dir+".key", random); err != nil {
			return nil, err
		}
		keys, _, err := keyring.Create(dir+".json", lock, random)
		if err != nil {
			return nil, err
		}
		cert := keys.TLS()[1]
		signed, err := party.Create(keys.Identity(map[string]string{"en": name}, "Cyber centre of "+name, time.Unix(1, 0), 100*365*24*time.Hour), keys.Signers()...)
		if err != nil {
			return nil, err
		}
		data, err := signed.Encode()
		if err != nil {
			return nil, err
		}
		chain, err := party.Verify(envelope.Default(), [][]byte{data})
		if err != nil {
			return nil, err
		}
		made[name] = &node{name: name, cert: cert, chain: chain}
	}
	return made, nil
})

func newNode(t testing.TB, name string) *node {
	t.Helper()
	all, err := parties()
	if err != nil {
		t.Fatal(err)
	}
	n := *all[name]
	n.house = &house{self: n.chain, peers: map[statement.LinkID]*party.Chain{}, wake: make(chan struct{}, 1)}
	n.count = &counter{seen: map[string]int{}}
	n.log = &record{}
	return &n
}

var theLink = envelope.Hash{1, 2, 3}

// pair makes the two nodes peers of theLink.
func pair(a, b *node) {
	a.house.join(theLink, b, "")
	b.house.join(theLink, a, "")
}

func (n *node) server(limits peer.Limits) *peer.Server {
	return peer.NewServer(peer.ServerConfig{House: n.house, Certs: n.certs, Now: n.clock(), Log: slog.New(slog.NewTextHandler(n.log, nil)),
		Count: n.count, Limits: limits})
}

func (n *node) client(dial func(context.Context, string) (net.Conn, error)) *peer.Client {
	return peer.NewClient(peer.ClientConfig{Certs: n.certs, Registry: envelope.Default(), Now: time.Now, Limits: peer.DefaultLimits(), Dial: dial})
}

func (n *node) certs() map[int]tls.Certificate {
	if n.served != nil {
		return n.served()
	}
	return map[int]tls.Certificate{1: n.cert}
}

func (n *node) clock() func() time.Time {
	if n.now != nil {
		return n.now
	}
	return time.Now
}

func (n *node) pins() peer.Pinned {
	return peer.Pinned{Version: 1, Keys: [][]byte{n.chain.Latest().Transport}}
}

// serve runs n's server on l until the test, or the bubble it runs in, ends.
func (n *node) serve(t *testing.T, l net.Listener, limits peer.Limits) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := n.server(limits)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// listen serves n on a real loopback socket and returns its endpoint, under a name that no name server knows.
func (n *node) listen(t *testing.T, limits peer.Limits) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.serve(t, l, limits)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://" + n.name + ".localhost:" + port
}

// raw is an HTTP client of n that checks nothing.
func (n *node) raw(t *testing.T, change func(*http.Transport)) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{n.cert}},
		ForceAttemptHTTP2: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	if change != nil {
		change(transport)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func frame(text string) parcel.Frame {
	return parcel.Frame{Kind: parcel.FrameReceipt, Payload: []byte(text)}
}

func texts(frames []parcel.Frame) []string {
	out := []string{}
	for _, f := range frames {
		out = append(out, string(f.Payload))
	}
	return out
}

func wire(frames ...parcel.Frame) *bytes.Buffer {
	var b bytes.Buffer
	for _, f := range frames {
		if err := parcel.WriteFrame(&b, f); err != nil {
			panic(err)
		}
	}
	return &b
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code {
		t.Fatalf("error %v (code %s), want code %s", err, fault.CodeOf(err), code)
	}
}

// counter counts refusals.
type counter struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counter) Refused(door, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[door+"/"+code]++
}

func (c *counter) of(code string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen["peer/"+code]
}

// record keeps log lines.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(p))
	return len(p), nil
}

func (r *record) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, l := range r.lines {
		if bytes.Contains([]byte(l), []byte(part)) {
			n++
		}
	}
	return n
}

// house is a house without a store: it takes frames and answers each with "got …", delivers a queue in order, and
// pairs by the real commitment.
type house struct {
	self *party.Chain
	wake chan struct{}

	hidden bool // peers cannot reach it

	mu       sync.Mutex
	peers    map[statement.LinkID]*party.Chain
	views    []flow.LinkView
	received []parcel.Frame
	receive  func(context.Context, []parcel.Frame) ([]parcel.Frame, error)

	invited map[string]*invited
	paired  []statement.LinkID

	queue    []*item
	inFlight int
	most     int // deliveries in flight at once
	nextTry  time.Time
	hasty    bool              // Outgoing heeds no back-off
	only     *statement.LinkID // the link that the queue is for; nil: any
	failed   int
	taken    int // deliveries
	asked    int // how often Outgoing was called
	answers  []string
}

type item struct {
	frame  parcel.Frame
	flying bool
}

type invited struct {
	nonce     [32]byte
	offer     []byte
	committed bool
	used      bool
}

func (h *house) join(link statement.LinkID, n *node, endpoint string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peers[link] = n.chain
	h.views = append(h.views, flow.LinkView{Link: exchange.Link{ID: link, Alias: n.name, Peer: n.chain.ID, Endpoint: endpoint}})
}

func (h *house) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return texts(h.received)
}

func (h *house) Self() *party.Chain { return h.self }

func (h *house) Addresses(context.Context) (list []exchange.Address, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.views {
		if v.Endpoint != "" {
			list = append(list, exchange.Address{Link: v.ID, Alias: v.Alias, Endpoint: v.Endpoint})
		}
	}
	return list, nil
}

func (h *house) PeerTransport(_ context.Context, link statement.LinkID) (flow.Transport, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.peers[link]; ok {
		return flow.TransportOf(c), nil
	}
	return flow.Transport{}, fault.New(fault.NotFound, "link", "no link")
}

func (h *house) Receive(ctx context.Context, _ statement.LinkID, frames []parcel.Frame) ([]parcel.Frame, error) {
	if h.receive != nil {
		return h.receive(ctx, frames)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.received = append(h.received, frames...)
	var answers []parcel.Frame
	for _, f := range frames {
		if bytes.HasPrefix(f.Payload, []byte("got ")) {
			continue // an answer has no answer
		}
		answers = append(answers, frame("got "+string(f.Payload[:min(len(f.Payload), 40)])))
	}
	return answers, nil
}

func (h *house) PeerEndpoint(_ context.Context, link statement.LinkID) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.views {
		if v.ID == link {
			return v.Endpoint, nil
		}
	}
	return "", fault.New(fault.NotFound, "link", "no link")
}

func (h *house) Reachable() bool { return !h.hidden }

func (h *house) CheckAlias(_ context.Context, alias string) error {
	if alias == "taken" {
		return fault.New(fault.Conflict, "alias", "taken")
	}
	return nil
}

func (h *house) PairHello(_ context.Context, token []byte) (envelope.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inv, ok := h.invited[string(token)]
	if !ok || inv.used {
		return envelope.Hash{}, fault.New(fault.NotFound, "token", "spent")
	}
	inv.committed = true
	return party.PairCommit(inv.nonce, h.self.ID, inv.offer), nil
}

func (h *house) PairReveal(_ context.Context, token []byte, chain [][]byte, nonceB [32]byte, _ string, transport []byte) ([32]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inv, ok := h.invited[string(token)]
	if !ok || inv.used || !inv.committed {
		return [32]byte{}, fault.New(fault.NotFound, "token", "spent")
	}
	inv.used = true
	c, err := party.Verify(envelope.Default(), chain)
	if err != nil || !bytes.Equal(c.Latest().Transport, transport) {
		return [32]byte{}, fault.Wrap(fault.Forbidden, "transport", "not the key", err)
	}
	t := party.Transcript{Commit: party.PairCommit(inv.nonce, h.self.ID, inv.offer), A: h.self.ID, B: c.ID, OfferA: inv.offer, NonceB: nonceB, NonceA: inv.nonce}
	h.peers[t.Hash()] = c
	h.paired = append(h.paired, t.Hash())
	return inv.nonce, nil
}

func (h *house) PairComplete(_ context.Context, _ actor.Actor, _ string, inv *flow.Invitation, commit envelope.Hash, nonceB, nonceA [32]byte) (statement.LinkID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := party.Verify(envelope.Default(), inv.Identity)
	if err != nil {
		return statement.LinkID{}, err
	}
	t := party.Transcript{Commit: commit, A: c.ID, B: h.self.ID, OfferA: inv.Offer, NonceB: nonceB, NonceA: nonceA}
	if err := t.Check(); err != nil {
		return statement.LinkID{}, fault.Wrap(fault.Forbidden, "commitment", "broken", err)
	}
	h.peers[t.Hash()] = c
	h.paired = append(h.paired, t.Hash())
	return t.Hash(), nil
}

// push queues frames and wakes the sender.
func (h *house) push(frames ...parcel.Frame) {
	h.mu.Lock()
	for _, f := range frames {
		h.queue = append(h.queue, &item{frame: f})
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Outgoing gives what is due: other frames before segments, and never both in one delivery.
func (h *house) Outgoing(_ context.Context, link statement.LinkID, maxBytes int) (flow.Delivery, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	d := h.due(link, maxBytes, false)
	if len(d.Frames) == 0 && maxBytes > 0 {
		d = h.due(link, maxBytes, true)
	}
	return d, nil
}

func (h *house) OutgoingSegments(_ context.Context, link statement.LinkID, maxBytes int) (flow.Delivery, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due(link, maxBytes, true), nil
}

func (h *house) due(link statement.LinkID, maxBytes int, segments bool) flow.Delivery {
	d := flow.Delivery{Link: link}
	if time.Now().Before(h.nextTry) && !h.hasty || h.only != nil && *h.only != link {
		return d
	}
	size := 0
	for _, i := range h.queue {
		if i.flying || (i.frame.Kind == parcel.FrameSegment) != segments || len(d.Frames) > 0 && maxBytes > 0 && size >= maxBytes {
			continue
		}
		i.flying = true
		size += len(i.frame.Payload)
		d.Frames = append(d.Frames, i.frame)
	}
	if len(d.Frames) > 0 {
		h.inFlight++
		h.most = max(h.most, h.inFlight)
	}
	return d
}

func (h *house) end(d flow.Delivery, keep bool) {
	h.inFlight--
	h.queue = slices.DeleteFunc(h.queue, func(i *item) bool {
		ours := slices.ContainsFunc(d.Frames, func(f parcel.Frame) bool { return &f.Payload[0] == &i.frame.Payload[0] })
		ours = ours || d.Frames == nil && i.flying // of a delivery in an answer, which is the only one under way
		if ours {
			i.flying = false
		}
		return ours && !keep
	})
}

func (h *house) Delivered(_ context.Context, d flow.Delivery, answers []parcel.Frame) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(answers) != len(d.Frames) {
		return fmt.Errorf("%d answers to %d frames", len(answers), len(d.Frames))
	}
	h.answers = append(h.answers, texts(answers)...)
	h.taken++
	h.end(d, false)
	return nil
}

func (h *house) Undelivered(ctx context.Context, d flow.Delivery, cause error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return errors.New("told too late")
	}
	h.end(d, true)
	h.failed++
	h.nextTry = time.Now().Add(time.Second)
	return nil
}

func (h *house) Wake(statement.LinkID) <-chan struct{} { return h.wake }

func (h *house) NextDue(context.Context, statement.LinkID) (time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queue) == 0 {
		return time.Time{}, nil
	}
	return h.nextTry, nil
}

// pipes is a network in memory, for bubbles: what stands still there lets time pass.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	dial func(n int, c net.Conn) (net.Conn, error) // may spoil the n-th connection; nil: none
	n    int
	from string // address that connections seem to come from
}

func newPipes() *pipes {
	return &pipes{accept: make(chan net.Conn), closed: make(chan struct{}), from: "192.0.2.1:1000"}
}

type addr string

func (a addr) Network() string { return "pipe" }
func (a addr) String() string  { return string(a) }

type pipeConn struct {
	net.Conn
	remote addr
}

func (p pipeConn) RemoteAddr() net.Addr { return p.remote }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return addr("pipe") }

func (p *pipes) Dial(ctx context.Context, _ string) (net.Conn, error) {
	p.mu.Lock()
	p.n++
	n, spoil, from := p.n, p.dial, p.from
	p.mu.Unlock()
	ours, theirs := net.Pipe()
	var c net.Conn = ours
	if spoil != nil {
		var err error
		if c, err = spoil(n, ours); err != nil {
			return nil, err
		}
	}
	select {
	case p.accept <- pipeConn{theirs, addr(from)}:
		return c, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failingConn breaks after so many bytes were read.
type failingConn struct {
	net.Conn
	left int
}

func (f *failingConn) Read(p []byte) (int, error) {
	if f.left <= 0 {
		f.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := f.Conn.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}
