package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/peer"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Crowd is many parties that are linked with one node and have nothing to say: what idle links are measured with. They
// share keys, which no node can tell, and one process, which is not measured.
type Crowd struct {
	keys    *keyring.Keyring
	subject *party.Chain
	links   []exchange.Address
	address atomic.Uint32 // counts connections, each from an address of its own
}

const crowdAct = 100 // links of one act

// GatherCrowd makes count links in the data of a node that does not run, as they are when both sides have confirmed them, through
// the store's own transactions. endpoint is where the node finds its peers; empty: they cannot be reached. Both ledgers
// of a link are cosigned to their ends, unless waiting says that nobody has taken ours yet.
func GatherCrowd(ctx context.Context, data string, count int, endpoint string, waiting bool, p Progress) (_ *Crowd, err error) {
	n, err := openData(ctx, data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	dir := filepath.Dir(data)
	if err := keyring.WriteKeyFile(filepath.Join(dir, "crowd.key"), rand.Reader); err != nil {
		return nil, err
	}
	keys, _, err := keyring.Create(filepath.Join(dir, "crowd.keyring"), keyring.KeyFile(filepath.Join(dir, "crowd.key")), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &Crowd{keys: keys, subject: n.house.Self()}
	for len(c.links) < count {
		var some []*party.Chain
		for i := range min(crowdAct, count-len(c.links)) {
			name := fmt.Sprintf("Party %d", len(c.links)+i+1)
			chain, err := createIdentity(keys, Founding{Names: map[string]string{"en": name}, Authority: "Measurement", Now: n.now(), Validity: 24 * time.Hour})
			if err != nil {
				return nil, err
			}
			some = append(some, chain)
		}
		var made []exchange.Link
		err := n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
			made = nil
			for i, chain := range some {
				l, err := n.befriend(ctx, tx, chain, fmt.Sprintf("party-%d", len(c.links)+i+1), endpoint)
				if err != nil {
					return err
				}
				made = append(made, l)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, l := range made {
			parties := []party.ID{l.Peer, n.house.Self().ID}
			if waiting {
				parties = parties[:1]
			}
			for _, p := range parties {
				if err := n.cosignAll(ctx, l.ID, p, ledger.FirstEpoch); err != nil {
					return nil, err
				}
			}
			c.links = append(c.links, exchange.Address{Link: l.ID, Alias: l.Alias})
		}
		if p != nil {
			p(int64(len(c.links)), int64(count))
		}
	}
	return c, nil
}

// befriend writes the rows of one active link.
func (n *subject) befriend(ctx context.Context, tx flow.Tx, chain *party.Chain, alias, endpoint string) (exchange.Link, error) {
	agreement := statement.DefaultAgreement()
	offer, err := envelope.Marshal(agreement)
	if err != nil {
		return exchange.Link{}, err
	}
	now := n.now().UnixMicro()
	l := exchange.Link{ID: envelope.Sum(chain.ID[:]), Alias: alias, Peer: chain.ID, Endpoint: endpoint, Agreement: offer, Created: now,
		OwnEpoch: ledger.FirstEpoch, PeerEpoch: ledger.FirstEpoch}
	errs := []error{tx.PutIdentity(ctx, chain.ID, 1, chain.Envelopes[0]), tx.PutLink(ctx, l)}
	for _, author := range []party.ID{n.house.Self().ID, chain.ID} {
		_, entered := flow.Enter(ctx, tx, l.ID, author, ledger.FirstEpoch, now, []flow.Entry{
			{Kind: ledger.EpochLeaf, Doc: l.ID}, {Kind: ledger.IdentityLeaf, Doc: l.ID}, {Kind: ledger.LinkLeaf, Doc: l.ID},
		})
		log, err := tx.Log(ctx, l.ID, author, ledger.FirstEpoch)
		log.Identity = 1
		errs = append(errs, entered, err, tx.PutLog(ctx, log))
	}
	return l, errors.Join(append(errs, confirmed(ctx, tx, l, n.house.Self().ID, agreement.Hash()))...)
}

// confirmed makes a link one that both sides have confirmed, without the statements that said so.
func confirmed(ctx context.Context, tx flow.Tx, l exchange.Link, self party.ID, agreement envelope.Hash) error {
	column, err := envelope.Marshal(exchange.LinkColumn{
		Confirmed: &exchange.LinkConfirmation{Statement: l.ID, Method: "in_person", At: l.Created}, Agreed: []envelope.Hash{agreement},
	})
	errs := []error{err}
	for _, author := range []party.ID{self, l.Peer} {
		errs = append(errs, tx.PutColumns(ctx, exchange.Column{Link: l.ID, Thread: l.ID, Author: author, Lane: statement.Control,
			Epoch: ledger.FirstEpoch, Seq: 1, Room: exchange.RoomLink, Data: column}))
	}
	return errors.Join(errs...)
}

// Answer takes the node's requests at l until ctx ends: each poll waits as long as it may, and is answered with nothing.
func (c *Crowd) Answer(ctx context.Context, l net.Listener) error {
	limits := peer.DefaultLimits()
	limits.Connections, limits.ConnectionsPerHost, limits.Requests = 1<<20, 1<<20, 1<<20
	return peer.NewServer(peer.ServerConfig{House: idle{c}, Certs: c.keys.TLS, Now: time.Now, Log: quiet(), Count: uncounted{}, Limits: limits}).Serve(ctx, l)
}

// Poll polls the node at its endpoint until ctx ends, for each link from an address of its own: the loopback network of
// Linux has enough.
func (c *Crowd) Poll(ctx context.Context, endpoint string) error {
	for i := range c.links {
		c.links[i].Endpoint = endpoint
	}
	client := peer.NewClient(peer.ClientConfig{Certs: c.keys.TLS, Registry: envelope.Default(), Now: time.Now, Limits: peer.DefaultLimits(), Dial: c.dial})
	defer client.Close()
	return peer.NewSender(idle{c}, client, time.Now, quiet()).Run(ctx)
}

func (c *Crowd) dial(ctx context.Context, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	i := c.address.Add(1)
	from := &net.TCPAddr{IP: net.IPv4(127, byte(1+i>>8&63), byte(i), 1)}
	return (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

type uncounted struct{}

func (uncounted) Refused(string, string) {}

// idle is the crowd as the doors between nodes see a house: nothing is ever due, and nothing is paired.
type idle struct{ *Crowd }

func (i idle) Self() *party.Chain                                    { return i.subject }
func (i idle) Addresses(context.Context) ([]exchange.Address, error) { return i.links, nil }
func (i idle) Reachable() bool                                       { return false }
func (i idle) Wake(statement.LinkID) <-chan struct{}                 { return nil }
func (i idle) CheckAlias(context.Context, string) error              { return notHere() }

func (i idle) PeerTransport(context.Context, statement.LinkID) (flow.Transport, error) {
	return flow.TransportOf(i.subject), nil
}

func (i idle) PeerEndpoint(context.Context, statement.LinkID) (string, error) { return "", nil }

func (i idle) Receive(context.Context, statement.LinkID, []parcel.Frame) ([]parcel.Frame, error) {
	return nil, nil
}

func (i idle) Outgoing(_ context.Context, link statement.LinkID, _ int) (flow.Delivery, error) {
	return flow.Delivery{Link: link}, nil
}

func (i idle) OutgoingSegments(_ context.Context, link statement.LinkID, _ int) (flow.Delivery, error) {
	return flow.Delivery{Link: link}, nil
}

func (i idle) Delivered(context.Context, flow.Delivery, []parcel.Frame) error { return nil }
func (i idle) Undelivered(context.Context, flow.Delivery, error) error        { return nil }

func (i idle) NextDue(context.Context, statement.LinkID) (time.Time, error) {
	return time.Time{}, nil
}

func (i idle) PairHello(context.Context, []byte) (envelope.Hash, error) {
	return envelope.Hash{}, notHere()
}

func (i idle) PairReveal(context.Context, []byte, [][]byte, [32]byte, string, []byte) ([32]byte, error) {
	return [32]byte{}, notHere()
}

func (i idle) PairComplete(context.Context, actor.Actor, string, *flow.Invitation, envelope.Hash, [32]byte, [32]byte) (statement.LinkID, error) {
	return statement.LinkID{}, notHere()
}

func notHere() error {
	return fault.New(fault.Unavailable, "crowd", "Nobody is paired with those who only serve a measurement.")
}
