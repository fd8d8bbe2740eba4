// Package actor says who acts: a member of this party with roles, the peer over a link, or the node itself; and which role
// may do what. Every act of the house takes an actor and asks May first, so that authorisation lives in the acts and not in
// doors. An actor is a value made by the door that authenticated it; the zero value may do nothing.
package actor

import (
	"slices"

	"entente/internal/fault"
	"entente/party"
)

// Role is what a member may do.
type Role string

// The roles.
const (
	Drafter          Role = "drafter"            // writes
	LegalReviewer    Role = "legal_reviewer"     // looks at marking, purpose, conditions and grounds before anything leaves
	ReleasingOfficer Role = "releasing_officer"  // the second pair of eyes
	DutyOfficer      Role = "duty_officer"       // of the contact point that is always open
	CentralAuthority Role = "central_authority"  // decides on requests
	HeadOfDelegation Role = "head_of_delegation" // speaks for the party in the dialogue
	Auditor          Role = "auditor"            // reads all, changes nothing, exports proofs
	Operator         Role = "operator"           // runs the node: links, keys, backups, members
	DPO              Role = "dpo"                // the data protection officer: reads, and orders erasure
)

// Roles are all roles.
func Roles() []Role {
	return []Role{Drafter, LegalReviewer, ReleasingOfficer, DutyOfficer, CentralAuthority, HeadOfDelegation, Auditor, Operator, DPO}
}

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
	Kind   Kind
	Name   string // a member's log-in name; never crosses to the peer
	Roles  []Role
	Scopes []Scope  // what the token allows of what the roles do; nil if no token narrows it
	Party  party.ID // the peer's, when Kind is Peer
}

// System is the node acting by itself.
func System() Actor { return Actor{Kind: Node, Name: "node"} }

// May says whether a may do something, as Table has it: its roles must allow it, and its token, if it came with one. The node
// itself always may, the peer never.
func (a Actor) May(act Act) error {
	if a.Kind == Node {
		return nil
	}
	rule, known := ruleOf(act)
	if !known || a.Kind != Member || !slices.ContainsFunc(rule.Roles, func(r Role) bool { return slices.Contains(a.Roles, r) }) {
		return fault.New(fault.Forbidden, "role", "You may not do this here; ask an operator of your node for the role it needs.")
	}
	if a.Scopes != nil && !slices.Contains(a.Scopes, rule.Scope) {
		return fault.New(fault.Forbidden, "scope", "Your token does not allow this; use one with the scope "+string(rule.Scope)+".")
	}
	return nil
}
