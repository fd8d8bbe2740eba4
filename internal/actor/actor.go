// Package actor says who acts: a member of this party with roles, the peer over a link, or the node itself.
// Every act of the house takes one, so that authorisation lives in the acts and not in doors. An actor is
// a value made by the door that authenticated it; the zero value may do nothing.
package actor

import (
	"slices"

	"entente/internal/fault"
	"entente/party"
)

// Role is what a member may do.
type Role string

// The roles of this release; the rest come with the rooms that need them.
const (
	Operator Role = "operator" // runs the node: links, keys, backups
	Officer  Role = "officer"  // sends and reads
	Auditor  Role = "auditor"  // reads, verifies, exports proofs
)

// Kind is the sort of actor.
type Kind string

// The kinds of actor.
const (
	Member Kind = "member"
	Peer   Kind = "peer"
	Node   Kind = "node"
)

// Actor is who acts.
type Actor struct {
	Kind  Kind
	Name  string // a member's log-in name; never crosses to the peer
	Roles []Role
	Party party.ID // the peer's, when Kind is Peer
}

// System is the node acting by itself.
func System() Actor { return Actor{Kind: Node, Name: "node"} }

// Need says whether a may act in one of the roles; the node itself always may, the peer never.
func (a Actor) Need(roles ...Role) error {
	if a.Kind == Node {
		return nil
	}
	if a.Kind == Member && slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(a.Roles, r) }) {
		return nil
	}
	return fault.New(fault.Forbidden, "role", "You may not do this here; ask an operator of your node for the role it needs.")
}
