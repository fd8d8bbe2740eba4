package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// ClientConfig is what a Client is built from; every member but Dial is required.
type ClientConfig struct {
	Certs    Certs
	Registry envelope.Registry
	Now      func() time.Time
	Limits   Limits
	// Dial opens a connection to host and port; nil is the system's network, where localhost and the names under it
	// are the loopback addresses and no name server is asked (RFC 6761, 6.3).
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Client asks other nodes. It is safe for concurrent use.
type Client struct {
	cfg ClientConfig

	mu    sync.Mutex
	links map[statement.LinkID]*route // guarded by mu
	older map[statement.LinkID]older  // peers that do not know our newest identity yet; guarded by mu
}

// older is a version of our identity with which a peer admitted us when it refused the newest.
type older struct {
	version int
	until   time.Time // then the newest is tried again
}

// tryNewest is after what time a peer is likely to have learned of our newest identity.
const tryNewest = time.Minute

// route is the connections to one peer, good for one endpoint, one set of pins and one version of our identity.
type route struct {
	endpoint  string
	pins      Pinned
	version   int
	transport *http.Transport
}

// NewClient makes a client; Close ends its idle connections.
func NewClient(c ClientConfig) *Client {
	if c.Dial == nil {
		d := &net.Dialer{Timeout: c.Limits.Dial, KeepAlive: 30 * time.Second}
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, d, address) }
	}
	return &Client{cfg: c, links: map[statement.LinkID]*route{}, older: map[statement.LinkID]older{}}
}

// Close ends idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.links {
		r.transport.CloseIdleConnections()
	}
}

// dial resolves names under localhost by itself.
func dial(ctx context.Context, d *net.Dialer, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return d.DialContext(ctx, "tcp", address)
	}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		if six, err6 := d.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); err6 == nil {
			return six, nil
		}
	}
	return conn, err
}

func (c *Client) newRoute(endpoint string, pins Pinned, version int) *route {
	limits := c.cfg.Limits
	return &route{endpoint: endpoint, pins: pins, version: version, transport: &http.Transport{
		DialContext:            func(ctx context.Context, _, address string) (net.Conn, error) { return c.cfg.Dial(ctx, address) },
		TLSClientConfig:        clientTLS(c.cfg.Certs()[version], pins),
		TLSHandshakeTimeout:    limits.ReadHeader,
		ResponseHeaderTimeout:  limits.Write,
		IdleConnTimeout:        limits.Idle / 2, // before the server ends it
		MaxResponseHeaderBytes: int64(limits.Header),
		MaxIdleConnsPerHost:    limits.RequestsPerLink,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     4 << 20,
			MaxReceiveBufferPerConnection: 8 << 20,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
		},
	}}
}

// route finds the connections to a link's peer; another endpoint, other pins or another version of ours mean new ones.
func (c *Client) route(link statement.LinkID, endpoint string, pins Pinned, version int) *route {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.links[link]
	if old != nil && old.endpoint == endpoint && old.version == version && old.pins.equal(pins) {
		return old
	}
	if old != nil {
		old.transport.CloseIdleConnections()
	}
	r := c.newRoute(endpoint, pins, version)
	c.links[link] = r
	return r
}

// Exchange sends frames to the peer of a link and returns its answers. The peer's node must hold one of the pinned
// transport keys. Errors are faults of kind Unavailable, or Forbidden where the key was another one.
func (c *Client) Exchange(ctx context.Context, link statement.LinkID, endpoint string, pins Pinned, frames []parcel.Frame) ([]parcel.Frame, error) {
	answer, err := c.exchange(ctx, link, endpoint, pins, frames, nil)
	return answer.frames, err
}

// polled is the answer to an exchange.
type polled struct {
	frames   []parcel.Frame
	delivery string // name of the delivery in it, if it is an answer to a poll and has one
}

// poll sends frames and lets the answer wait for something due; taken names the delivery in the answer before, once all of
// it was taken.
func (c *Client) poll(ctx context.Context, link statement.LinkID, endpoint string, pins Pinned, frames []parcel.Frame, taken string) (polled, error) {
	h := http.Header{waitField: {strconv.Itoa(int(c.cfg.Limits.Poll / time.Second))}}
	if taken != "" {
		h.Set(takenField, taken)
	}
	return c.exchange(ctx, link, endpoint, pins, frames, h)
}

func (c *Client) exchange(ctx context.Context, link statement.LinkID, endpoint string, pins Pinned, frames []parcel.Frame, h http.Header) (polled, error) {
	var out polled
	var err error
	for _, version := range c.versions(link) {
		out, err = c.exchangeAs(ctx, c.route(link, endpoint, pins, version), link, frames, h)
		if fault.CodeOf(err) != unknownCode {
			c.admitted(link, version, err)
			break
		}
	}
	return out, err
}

// versions are those of our identity under which we may be known to a peer, in the order in which to try them.
func (c *Client) versions(link statement.LinkID) []int {
	versions := newestFirst(c.cfg.Certs())
	c.mu.Lock()
	o, ok := c.older[link]
	c.mu.Unlock()
	if at := slices.Index(versions, o.version); ok && at > 0 && c.cfg.Now().Before(o.until) {
		versions = slices.Insert(slices.Delete(versions, at, at+1), 0, o.version)
	}
	return versions
}

// admitted notes under which version a peer let us in.
func (c *Client) admitted(link statement.LinkID, version int, err error) {
	if err != nil {
		return
	}
	newest := newestFirst(c.cfg.Certs())[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.older[link]; version == newest {
		delete(c.older, link)
	} else if !ok || o.version != version || !c.cfg.Now().Before(o.until) {
		c.older[link] = older{version, c.cfg.Now().Add(tryNewest)}
	}
}

func (c *Client) exchangeAs(ctx context.Context, r *route, link statement.LinkID, frames []parcel.Frame, h http.Header) (polled, error) {
	body, length := framesBody(frames)
	request := post{path: exchangePath(link), media: framesType, body: body, length: length, header: h}
	var out polled
	err := c.do(ctx, r, request, c.cfg.Limits.Body, func(resp *http.Response, body io.Reader) (err error) {
		if name := resp.Header.Get(deliveryField); deliveryName.MatchString(name) {
			out.delivery = name
		}
		out.frames, err = readFrames(body, resp.ContentLength, c.cfg.Limits.Frames)
		return err
	})
	return out, err
}

// Pair plays the invitee of a pairing: it asks the inviter's node for its commitment, shows our identity and nonce,
// and has the house check the commitment and store the link. ourEndpoint may be empty: then only we can reach them.
func (c *Client) Pair(ctx context.Context, house House, who actor.Actor, inv *flow.Invitation, alias, ourEndpoint string) (statement.LinkID, error) {
	var none statement.LinkID
	if err := who.May(actor.Govern); err != nil {
		return none, err
	}
	if err := house.CheckAlias(ctx, alias); err != nil {
		return none, err
	}
	now := c.cfg.Now()
	if inv.Expires <= now.UnixMicro() {
		return none, fault.New(fault.Conflict, "expired", "This invitation has expired; ask the other party for a new one.")
	}
	chain, err := party.Verify(c.cfg.Registry, inv.Identity)
	if err != nil {
		return none, fault.Wrap(fault.Invalid, "identity", "The identity in the invitation does not verify.", err)
	}
	r := c.newRoute(inv.Endpoint, Pins(flow.TransportOf(chain), now), newestFirst(c.cfg.Certs())[0])
	defer r.transport.CloseIdleConnections()

	var hello helloAnswer
	if err := c.ask(ctx, r, helloPath, helloRequest{inv.Token}, &hello); err != nil {
		return none, err
	}
	var nonceB [32]byte
	rand.Read(nonceB[:])
	var reveal revealAnswer
	request := revealRequest{Token: inv.Token, Identity: house.Self().Envelopes, Nonce: nonceB[:], Endpoint: ourEndpoint}
	if err := c.ask(ctx, r, revealPath, request, &reveal); err != nil {
		return none, err
	}
	nonceA, err := nonce(reveal.Nonce)
	if err != nil {
		return none, err
	}
	return house.PairComplete(ctx, who, alias, inv, hello.Commit, nonceB, nonceA)
}

// ask sends JSON and reads JSON.
func (c *Client) ask(ctx context.Context, r *route, path string, in, out any) error {
	data, err := envelope.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding a request: %w", err)
	}
	request := post{path: path, media: jsonType, body: bytes.NewReader(data), length: int64(len(data))}
	return c.do(ctx, r, request, c.cfg.Limits.Pair, func(_ *http.Response, body io.Reader) error {
		data, err := io.ReadAll(body)
		if err == nil {
			err = envelope.Unmarshal(data, out)
		}
		if err != nil {
			return bodyFault(err)
		}
		return nil
	})
}

// post is one request; its answer is of the same media type.
type post struct {
	path, media string
	body        io.Reader
	length      int64
	header      http.Header // more fields; may be nil
}

// do makes one request, without following anywhere, and hands an answer of at most limit bytes to read.
func (c *Client) do(ctx context.Context, r *route, p post, limit int64, read func(*http.Response, io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.Dial+c.cfg.Limits.Write)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(r.endpoint, "/")+p.path, p.body)
	if err != nil || req.URL.Scheme != "https" {
		return fault.Wrap(fault.Invalid, "endpoint", "The peer's endpoint is not an https address.", err)
	}
	req.ContentLength = p.length
	if p.length == 0 {
		req.Body = http.NoBody
	}
	maps.Copy(req.Header, p.header)
	req.Header.Set("Content-Type", p.media)
	resp, err := r.transport.RoundTrip(req)
	if errors.Is(err, errPin) {
		return fault.Wrap(fault.Forbidden, "pin",
			"The node at the peer's address does not hold the peer's key: it is another node, or somebody stands in between.", err)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "unreachable", "The peer's node could not be reached.", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	if !plain(resp.Header, p.media) {
		return fault.New(fault.Unavailable, "answer", "The peer's node answered in a form that is not known.")
	}
	if err := read(resp, http.MaxBytesReader(nil, resp.Body, limit)); err != nil {
		return fault.Wrap(fault.Unavailable, "answer", "The peer's node gave an answer that cannot be used.", err)
	}
	return nil
}

// unknownCode is the code of a fault that says that the peer knows no such link of ours, or not the key that we showed.
const unknownCode = "peer_unknown"

var codeForm = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// refusal is a fault that says how a peer refused. Only the status and a well-formed code of its answer are believed,
// and its sentence is not repeated: it is a stranger's text.
func refusal(resp *http.Response) error {
	var p problem
	code := "none"
	data, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && envelope.Unmarshal(data, &p) == nil && codeForm.MatchString(p.Code) {
		code = p.Code
	}
	cause := fmt.Errorf("status %d, code %s", resp.StatusCode, code)
	switch resp.StatusCode {
	case http.StatusNotFound:
		return fault.Wrap(fault.Unavailable, unknownCode, "The peer's node does not know this link, invitation or key.", cause)
	case http.StatusTooManyRequests:
		return fault.Wrap(fault.Unavailable, "peer_busy", "The peer's node is busy.", cause)
	}
	return fault.Wrap(fault.Unavailable, "peer_refused", "The peer's node refused.", cause)
}
