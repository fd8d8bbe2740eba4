package flow

import (
	"context"
	"slices"

	"entente/statement"
)

// How a link's two nodes reach each other, as this one sees it.
const (
	ReachPush    = "push"    // we push to the peer's node, and it to ours
	ReachPolling = "polling" // we push to the peer's node and poll it: it cannot reach us
	ReachPolled  = "polled"  // the peer's node pushes to us and polls us: we cannot reach it
	ReachCourier = "courier" // nothing but files crosses

	ReachOnewayOut = "oneway_out" // files cross from us to the peer, and nothing back
	ReachOnewayIn  = "oneway_in"  // files cross from the peer to us, and nothing back
)

// Reachable says whether peers are told where this node answers. One that is not polls its peers.
func (h *House) Reachable() bool { return h.cfg.Endpoint != "" }

// Reach says how the nodes of a link reach each other; reachable is what House.Reachable says.
func (v LinkView) Reach(reachable bool) string {
	switch {
	case v.Agreement.Oneway() && v.Inviter:
		return ReachOnewayOut
	case v.Agreement.Oneway():
		return ReachOnewayIn
	case v.Endpoint == "" && !reachable || !slices.Contains(v.Agreement.Modes, "https"):
		return ReachCourier
	case v.Endpoint == "":
		return ReachPolled
	case !reachable:
		return ReachPolling
	}
	return ReachPush
}

// PeerEndpoint is where the peer of a link answers; empty when only it can reach us.
func (h *House) PeerEndpoint(ctx context.Context, link statement.LinkID) (string, error) {
	l, err := h.linkRow(ctx, link)
	return l.Endpoint, err
}
