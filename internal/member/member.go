// Package member is the room of the people of this node: their accounts and roles, the tokens and passphrases with which they
// show who they are, who must release what before it leaves, and the log of what they did.
//
// It promises that a secret is never kept, only what it is recognised by; that an entry of the log cannot be changed, moved or
// left out unseen by anybody who kept a later checkpoint; and that all of it stays here: nothing in this room is ever a
// statement. It refuses to know SQL, HTTP or a clock of its own.
package member

import (
	"regexp"
	"slices"

	"entente/internal/actor"
	"entente/internal/fault"
)

// Limits.
const (
	MaxMembers = 10_000
	MaxTokens  = 100 // of one member that are not revoked
	maxNote    = 200 // bytes
)

// Local is the name of who owns the node's socket. No member may bear it, nor that of the node.
const (
	Local = "local"
	node  = "node"
)

// Member is a person, or a program, of this party.
type Member struct {
	Name      string // ours alone: it never crosses to a peer
	Roles     []actor.Role
	Created   int64 // UTC microseconds, as all times here
	Suspended int64 // since when; 0 if not

	Passphrase Passphrase // of the step-up; zero if none was set
	Failures   int        // wrong passphrases in a row
	Locked     int64      // until when no passphrase is looked at; 0 if not
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,31}$`)

// Check refuses a member that cannot be: by name, or by roles that are none, unknown or twice there.
func (m Member) Check() error {
	if !nameForm.MatchString(m.Name) || m.Name == Local || m.Name == node {
		return fault.New(fault.Invalid, "member_name", "A member's name has 2 to 32 small letters, digits, dots, hyphens and underscores, begins with a letter, and is neither local nor node.")
	}
	if len(m.Roles) == 0 {
		return fault.New(fault.Invalid, "member_roles", "Give the member at least one role.")
	}
	for i, r := range m.Roles {
		if !slices.Contains(actor.Roles(), r) || slices.Contains(m.Roles[:i], r) {
			return fault.New(fault.Invalid, "member_roles", "There is no role "+string(r)+", or it is named twice; \"entente members roles --help\" lists them.")
		}
	}
	return nil
}

// Actor is a member who acts, as far as a token lets him. A suspended one is refused.
func (m Member) Actor(t Token) (actor.Actor, error) {
	if m.Suspended != 0 {
		return actor.Actor{}, refusedToken()
	}
	return actor.Actor{Kind: actor.Member, Name: m.Name, Roles: m.Roles, Scopes: t.Scopes}, nil
}
