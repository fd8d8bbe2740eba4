// Package peer is the door between two nodes: a server and a client over HTTPS, and the loop that delivers what is due.
// It promises that both ends know each other by the transport key in their identities, in TLS 1.3 and by no
// certificate authority; that every size, count and duration is bounded before memory is spent; that a peer's
// failure delays only that peer's link; and that a stranger cannot tell which links exist. It refuses to interpret
// what it carries: frames go to the house as they came.
package peer

import (
	"context"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// House is what this door asks of the house; *flow.House satisfies it.
type House interface {
	Self() *party.Chain
	Addresses(ctx context.Context) ([]exchange.Address, error) // of the links whose peers can be reached
	PeerTransport(ctx context.Context, link statement.LinkID) (flow.Transport, error)
	PeerEndpoint(ctx context.Context, link statement.LinkID) (string, error) // empty: only it can reach us
	Reachable() bool                                                         // whether peers are told where we answer
	Receive(ctx context.Context, link statement.LinkID, frames []parcel.Frame) ([]parcel.Frame, error)

	CheckAlias(ctx context.Context, alias string) error
	PairHello(ctx context.Context, token []byte) (envelope.Hash, error)
	PairReveal(ctx context.Context, token []byte, chain [][]byte, nonce [32]byte, endpoint string, transport []byte) ([32]byte, error)
	PairComplete(ctx context.Context, who actor.Actor, alias string, inv *flow.Invitation, commit envelope.Hash, nonceB, nonceA [32]byte) (statement.LinkID, error)

	// Outgoing with room for 0 bytes gives what is small and urgent, and no segments; OutgoingSegments gives these alone.
	Outgoing(ctx context.Context, link statement.LinkID, maxBytes int) (flow.Delivery, error)
	OutgoingSegments(ctx context.Context, link statement.LinkID, maxBytes int) (flow.Delivery, error)
	Delivered(ctx context.Context, d flow.Delivery, answers []parcel.Frame) error
	Undelivered(ctx context.Context, d flow.Delivery, cause error) error
	Wake(link statement.LinkID) <-chan struct{}
	NextDue(ctx context.Context, link statement.LinkID) (time.Time, error)
}

// Limits bound what one node may ask of another. DefaultLimits are those of a node in service.
type Limits struct {
	Body   int64 // bytes of a request or an answer with frames
	Frames int   // frames in one
	Header int   // bytes of an HTTP header
	Pair   int64 // bytes of a pairing request or answer

	ReadHeader time.Duration // to send the header, and to finish the TLS handshake
	Read       time.Duration // to send a whole request
	Write      time.Duration // from the header's end to the answer's
	Idle       time.Duration // between requests
	Dial       time.Duration // to connect
	Grace      time.Duration // for requests under way at shutdown
	Poll       time.Duration // that a poll may wait; with the answer it must fit into Write

	Connections        int // open at once
	ConnectionsPerHost int // from one address
	Requests           int // exchanges under way at once; polls that wait do not count
	RequestsPerLink    int // of one link, a poll that waits included

	Strangers        float64 // per second and address: pairing steps, and requests for links that are not the asker's
	StrangersBurst   int
	StrangersInTotal float64 // per second, of all addresses
}

// DefaultLimits suit batches of 8 MiB over lines of a megabit per second and more.
func DefaultLimits() Limits {
	return Limits{
		Body: 24 << 20, Frames: 1024, Header: 16 << 10, Pair: 256 << 10,
		ReadHeader: 10 * time.Second, Read: 2 * time.Minute, Write: 4 * time.Minute, Idle: 2 * time.Minute,
		Dial: 10 * time.Second, Grace: 5 * time.Second, Poll: 50 * time.Second,
		Connections: 2048, ConnectionsPerHost: 32, Requests: 32, RequestsPerLink: 6,
		Strangers: 0.5, StrangersBurst: 10, StrangersInTotal: 20,
	}
}
