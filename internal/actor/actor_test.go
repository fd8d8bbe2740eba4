package actor_test

import (
	"testing"

	"entente/internal/actor"
	"entente/internal/fault"
)

func TestNeed(t *testing.T) {
	officer := actor.Actor{Kind: actor.Member, Name: "duty", Roles: []actor.Role{actor.Officer}}
	for _, c := range []struct {
		name string
		who  actor.Actor
		role actor.Role
		ok   bool
	}{
		{"officer as officer", officer, actor.Officer, true},
		{"officer as operator", officer, actor.Operator, false},
		{"the node itself", actor.System(), actor.Operator, true},
		{"the peer", actor.Actor{Kind: actor.Peer, Roles: []actor.Role{actor.Operator}}, actor.Operator, false},
		{"nobody", actor.Actor{}, actor.Officer, false},
	} {
		err := c.who.Need(c.role)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && fault.KindOf(err) != fault.Forbidden {
			t.Errorf("%s: kind %s", c.name, fault.KindOf(err))
		}
	}
}
