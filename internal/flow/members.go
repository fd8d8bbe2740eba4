package flow

import (
	"context"
	"slices"
	"strings"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/member"
)

// usedEvery is how often it is written down that a token is in use.
const usedEvery = time.Hour

// Authenticate finds who acts with a token. What is refused says the same whatever the reason.
func (h *House) Authenticate(ctx context.Context, secret string) (actor.Actor, error) {
	var token member.Token
	var m member.Member
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if token, err = tx.TokenByHash(ctx, member.HashToken(secret)); err != nil {
			return err
		}
		m, err = tx.Member(ctx, token.Member)
		return err
	})
	if notFound(err) {
		return actor.Actor{}, member.RefusedToken()
	}
	if err != nil {
		return actor.Actor{}, err
	}
	if err := token.Check(h.now()); err != nil {
		return actor.Actor{}, err
	}
	who, err := m.Actor(token)
	if err != nil || h.now() < token.Used+usedEvery.Microseconds() {
		return who, err
	}
	return who, h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		t, err := tx.Token(ctx, token.ID)
		if err != nil {
			return err
		}
		t.Used = h.now()
		return tx.PutToken(ctx, t)
	})
}

// Members lists the members by name, those after the given one.
func (h *House) Members(ctx context.Context, who actor.Actor, after string, limit int) (list []member.Member, err error) {
	if err := who.May(actor.ReadMembers); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Members(ctx, after, min(max(limit, 1), maxList))
		return err
	})
	return list, err
}

// AddMember makes an account and returns its passphrase, which is shown once.
func (h *House) AddMember(ctx context.Context, who actor.Actor, name string, roles []actor.Role) (passphrase string, err error) {
	if err := who.May(actor.ManageMembers); err != nil {
		return "", err
	}
	m := member.Member{Name: name, Roles: roles, Created: h.now()}
	if err := m.Check(); err != nil {
		return "", err
	}
	passphrase = member.InventPassphrase()
	if m.Passphrase, err = member.NewPassphrase(passphrase); err != nil {
		return "", err
	}
	return passphrase, h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		switch _, err := tx.Member(ctx, name); {
		case err == nil:
			return fault.New(fault.Conflict, "member_name", "There is a member of this name already.")
		case !notFound(err):
			return err
		}
		if err := tx.PutMember(ctx, m); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "member add", m.Name+": "+roleNames(roles))
	})
}

func roleNames(roles []actor.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " ")
}

// change changes a member in one transaction, and says so in the log. Nobody changes himself.
func (h *House) change(ctx context.Context, who actor.Actor, name, act string, f func(*member.Member) (object string, err error)) error {
	if err := who.May(actor.ManageMembers); err != nil {
		return err
	}
	if who.Name == name {
		return fault.New(fault.Forbidden, "own_account", "Nobody changes his own account; ask another operator.")
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		m, err := findMember(ctx, tx, name)
		if err != nil {
			return err
		}
		object, err := f(&m)
		if err != nil {
			return err
		}
		if err := tx.PutMember(ctx, m); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, act, strings.TrimSuffix(name+": "+object, ": "))
	})
}

func findMember(ctx context.Context, tx Tx, name string) (member.Member, error) {
	m, err := tx.Member(ctx, name)
	if notFound(err) {
		return m, fault.New(fault.NotFound, "member", "There is no member of this name; \"entente members list\" lists them.")
	}
	return m, err
}

// SetRoles gives a member other roles in place of those that he has.
func (h *House) SetRoles(ctx context.Context, who actor.Actor, name string, roles []actor.Role) error {
	return h.change(ctx, who, name, "member roles", func(m *member.Member) (string, error) {
		m.Roles = roles
		return roleNames(roles), m.Check()
	})
}

// SuspendMember keeps a member and all his tokens out until ResumeMember.
func (h *House) SuspendMember(ctx context.Context, who actor.Actor, name string) error {
	return h.change(ctx, who, name, "member suspend", func(m *member.Member) (string, error) {
		if m.Suspended == 0 {
			m.Suspended = h.now()
		}
		return "", nil
	})
}

// ResumeMember lets a suspended member in again.
func (h *House) ResumeMember(ctx context.Context, who actor.Actor, name string) error {
	return h.change(ctx, who, name, "member resume", func(m *member.Member) (string, error) {
		m.Suspended = 0
		return "", nil
	})
}

// ResetPassphrase gives a member another passphrase, which is shown once.
func (h *House) ResetPassphrase(ctx context.Context, who actor.Actor, name string) (passphrase string, err error) {
	if err := who.May(actor.ManageMembers); err != nil {
		return "", err
	}
	passphrase = member.InventPassphrase()
	p, err := member.NewPassphrase(passphrase)
	if err != nil {
		return "", err
	}
	return passphrase, h.change(ctx, who, name, "member passphrase", func(m *member.Member) (string, error) {
		m.Passphrase, m.Failures, m.Locked = p, 0, 0
		return "", nil
	})
}

// ChangePassphrase lets a member choose a passphrase that the operator never saw.
func (h *House) ChangePassphrase(ctx context.Context, who actor.Actor, old, words string) error {
	if err := who.May(actor.OwnAccount); err != nil {
		return err
	}
	p, err := member.NewPassphrase(words)
	if err != nil {
		return err
	}
	if err := h.confirm(ctx, who, old); err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		m, err := findMember(ctx, tx, who.Name)
		if err != nil {
			return err
		}
		m.Passphrase = p
		if err := tx.PutMember(ctx, m); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "own passphrase", "")
	})
}

// confirm is the step-up: who acts gives his passphrase again. A wrong one is written down, and five in a row lock it.
func (h *House) confirm(ctx context.Context, who actor.Actor, passphrase string) error {
	var m member.Member
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		m, err = tx.Member(ctx, who.Name)
		return err
	})
	if notFound(err) { // who owns the socket, or the node itself: nobody whom a passphrase could name
		err = nil
	}
	if err != nil {
		return err
	}
	if err := m.Confirming(h.now()); err != nil {
		return err
	}
	h.deriving.Lock() // each derivation takes 64 MiB
	right := m.Passphrase.Is(passphrase)
	h.deriving.Unlock()
	if right && m.Failures == 0 {
		return nil
	}
	var refused error
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		now, err := findMember(ctx, tx, who.Name)
		if err != nil {
			return err
		}
		if refused = now.Confirming(h.now()); refused != nil { // others tried meanwhile
			return nil
		}
		if now, refused = now.Confirmed(right, h.now()); refused != nil {
			if err := h.audit(ctx, tx, who.Name, "passphrase refused", ""); err != nil {
				return err
			}
		}
		return tx.PutMember(ctx, now)
	})
	if err != nil {
		return err
	}
	return refused
}

// AddToken makes a token for a member and returns it with its secret, which is shown once. A validity of 0 is the usual one.
func (h *House) AddToken(ctx context.Context, who actor.Actor, name string, scopes []actor.Scope, validity time.Duration, note string) (member.Token, string, error) {
	if err := who.May(actor.ManageMembers); err != nil {
		return member.Token{}, "", err
	}
	if validity == 0 {
		validity = member.UsualValidity
	}
	now := h.now()
	token, secret, err := member.NewToken(name, scopes, note, now, now+validity.Microseconds())
	if err != nil {
		return member.Token{}, "", err
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if _, err := findMember(ctx, tx, name); err != nil {
			return err
		}
		tokens, err := tx.Tokens(ctx, name)
		if err != nil {
			return err
		}
		live := slices.DeleteFunc(tokens, func(t member.Token) bool { return t.Check(now) != nil })
		if len(live) >= member.MaxTokens {
			return fault.New(fault.TooLarge, "tokens", "This member has as many tokens as there may be; revoke those that are not needed.")
		}
		if err := tx.PutToken(ctx, token); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "token add", name+": "+token.ID)
	})
	if err != nil {
		return member.Token{}, "", err
	}
	return token, secret, nil
}

// Tokens lists a member's tokens, newest first.
func (h *House) Tokens(ctx context.Context, who actor.Actor, name string) (list []member.Token, err error) {
	if err := who.May(actor.ReadMembers); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if _, err = findMember(ctx, tx, name); err != nil {
			return err
		}
		list, err = tx.Tokens(ctx, name)
		return err
	})
	return list, err
}

// RevokeToken ends a token at once. It may be repeated.
func (h *House) RevokeToken(ctx context.Context, who actor.Actor, id string) error {
	if err := who.May(actor.ManageMembers); err != nil {
		return err
	}
	id, err := member.ParseTokenID(id)
	if err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		t, err := tx.Token(ctx, id)
		if err != nil || t.Revoked != 0 {
			return err
		}
		t.Revoked = h.now()
		if err := tx.PutToken(ctx, t); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "token revoke", t.Member+": "+id)
	})
}
