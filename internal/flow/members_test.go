package flow_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
)

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if (err == nil) != (code == "") || err != nil && fault.CodeOf(err) != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
	}
}

// enrol makes a member with a token for everything, and says who acts with it.
func (s *side) enrol(t testing.TB, name string, roles ...actor.Role) (who actor.Actor, passphrase string) {
	t.Helper()
	passphrase, err := s.AddMember(t.Context(), operator, name, roles)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.AddToken(t.Context(), operator, name, actor.Scopes(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if who, err = s.Authenticate(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return who, passphrase
}

func TestMembers(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	ctx := t.Context()
	anna, passphrase := a.enrol(t, "anna", actor.Drafter)
	if anna.Name != "anna" || !slices.Equal(anna.Roles, []actor.Role{actor.Drafter}) {
		t.Errorf("acting as %+v", anna)
	}
	_, err := a.AddMember(ctx, operator, "anna", []actor.Role{actor.Drafter})
	wantCode(t, "a name that is taken", err, "member_name")
	wantCode(t, "an unknown role", a.SetRoles(ctx, operator, "anna", []actor.Role{"minister"}), "member_roles")
	wantCode(t, "nobody", a.SetRoles(ctx, operator, "nobody", []actor.Role{actor.DPO}), "member")

	ben, _ := a.enrol(t, "ben", actor.Operator)
	wantCode(t, "one's own roles", a.SetRoles(ctx, ben, "ben", []actor.Role{actor.Operator, actor.ReleasingOfficer}), "own_account")
	_, err = a.ResetPassphrase(ctx, ben, "ben")
	wantCode(t, "one's own passphrase, without the old one", err, "own_account")

	wantCode(t, "a wrong passphrase", a.ChangePassphrase(ctx, anna, "wrong", "a longer passphrase"), "passphrase")
	wantCode(t, "the right one", a.ChangePassphrase(ctx, anna, passphrase, "a longer passphrase"), "")
	wantCode(t, "the old one again", a.ChangePassphrase(ctx, anna, passphrase, "yet another passphrase"), "passphrase")
	for range 4 {
		wantCode(t, "wrong again", a.ChangePassphrase(ctx, anna, "wrong", "yet another passphrase"), "passphrase")
	}
	wantCode(t, "locked", a.ChangePassphrase(ctx, anna, "a longer passphrase", "yet another passphrase"), "locked")
	a.clock.advance(16 * time.Minute)
	wantCode(t, "after a while", a.ChangePassphrase(ctx, anna, "a longer passphrase", "yet another passphrase"), "")
	wantCode(t, "who owns the socket has none", a.ChangePassphrase(ctx, operator, "a longer passphrase", "yet another passphrase"), "no_passphrase")
}

func TestTokens(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	ctx := t.Context()
	if _, err := a.AddMember(ctx, operator, "anna", []actor.Role{actor.Drafter}); err != nil {
		t.Fatal(err)
	}
	token, secret, err := a.AddToken(ctx, operator, "anna", []actor.Scope{actor.ScopeRead}, time.Hour, "desk")
	if err != nil {
		t.Fatal(err)
	}
	who, err := a.Authenticate(ctx, secret)
	wantCode(t, "good", err, "")
	wantCode(t, "beyond its scope", who.May(actor.Say), "scope")
	for _, s := range []string{"", "entente_", secret + "x", strings.ToUpper(secret)} {
		_, err = a.Authenticate(ctx, s)
		wantCode(t, "another secret", err, "token")
	}
	wantCode(t, "suspending", a.SuspendMember(ctx, operator, "anna"), "")
	_, err = a.Authenticate(ctx, secret)
	wantCode(t, "suspended", err, "token")
	wantCode(t, "resuming", a.ResumeMember(ctx, operator, "anna"), "")
	_, err = a.Authenticate(ctx, secret)
	wantCode(t, "resumed", err, "")
	list, err := a.Tokens(ctx, operator, "anna")
	if err != nil || len(list) != 1 || list[0].Used == 0 {
		t.Errorf("tokens: %+v, %v", list, err)
	}
	wantCode(t, "no id", a.RevokeToken(ctx, operator, "xyz"), "token")
	for range 2 {
		wantCode(t, "revoking", a.RevokeToken(ctx, operator, token.ID), "")
	}
	_, err = a.Authenticate(ctx, secret)
	wantCode(t, "revoked", err, "token")
	_, secret, err = a.AddToken(ctx, operator, "anna", []actor.Scope{actor.ScopeRead}, time.Hour, "")
	wantCode(t, "another", err, "")
	a.clock.advance(time.Hour)
	_, err = a.Authenticate(ctx, secret)
	wantCode(t, "expired", err, "token")
}

// TestAudit: what members did is exported and holds, and what is changed beneath the signed head is found by the node itself.
func TestAudit(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	ctx := t.Context()
	for _, name := range []string{"anna", "ben", "cleo"} {
		a.enrol(t, name, actor.Drafter)
	}
	var first, second bytes.Buffer
	wantCode(t, "exporting", a.ExportAudit(ctx, operator, &first), "")
	kept, err := member.VerifyExport(envelope.Default(), bytes.NewReader(first.Bytes()), nil)
	if err != nil || kept.Entries != 7 || kept.Party != a.Self().ID {
		t.Fatalf("the export: %+v, %v", kept, err)
	}
	a.enrol(t, "dora", actor.Drafter)
	wantCode(t, "exporting again", a.ExportAudit(ctx, operator, &second), "")
	if _, err := member.VerifyExport(envelope.Default(), bytes.NewReader(second.Bytes()), kept.Checkpoint); err != nil {
		t.Errorf("the second export does not continue the first: %v", err)
	}
	found, err := a.CheckAudit(ctx, operator)
	if err != nil || found.Entries != 10 {
		t.Errorf("the node's own look: %+v, %v", found, err)
	}
	// Somebody with the database changes a line, its hashes and all that follow from them, as the node itself would have made them.
	rewrite(t, a, 2)
	wantCode(t, "signing over a rewritten log", a.SignTrail(ctx), "audit_rewritten")
	_, err = a.CheckAudit(ctx, operator)
	wantCode(t, "looking at a rewritten log", err, "audit_rewritten")
}

// rewrite makes the log anew with other words in line n.
func rewrite(t *testing.T, s *side, n int64) {
	t.Helper()
	other := newSide(t, "other", newClock(), nil)
	err := s.store.View(t.Context(), func(tx flow.Tx) error {
		rows, err := tx.EntriesFrom(t.Context(), 0, 100)
		if err != nil {
			return err
		}
		for _, e := range rows {
			if e.Number == n {
				e.Who = "nobody"
			}
			e.Hashes = nil
			if err := other.store.Update(t.Context(), flow.Normal, func(to flow.Tx) error { return to.PutEntries(t.Context(), e) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	note, err := read(t, s, func(ctx context.Context, tx flow.Tx) ([]byte, error) { return tx.Meta(ctx, "members_head") })
	if err != nil {
		t.Fatal(err)
	}
	if err := other.store.Update(t.Context(), flow.Normal, func(tx flow.Tx) error { return tx.SetMeta(t.Context(), "members_head", note) }); err != nil {
		t.Fatal(err)
	}
	s.store = other.store
	s.House = s.open(t, s.Self())
	s.enrol(t, "eve", actor.Drafter) // which plants the tree
}

func read[T any](t *testing.T, s *side, f func(context.Context, flow.Tx) (T, error)) (out T, err error) {
	t.Helper()
	err = s.store.View(t.Context(), func(tx flow.Tx) (err error) {
		out, err = f(t.Context(), tx)
		return err
	})
	return out, err
}

// TestAuditOfBefore: a store of before there was a tree goes on, and all its lines are under the signed head.
func TestAuditOfBefore(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	err := a.store.Update(t.Context(), flow.Normal, func(tx flow.Tx) error {
		for n := range int64(1200) {
			if err := tx.PutEntries(t.Context(), member.Entry{Number: n, At: n, Who: "op", Act: "send"}); err != nil {
				return err
			}
		}
		return nil
	})
	wantCode(t, "old lines", err, "")
	wantCode(t, "signing before the next line", a.SignTrail(t.Context()), "")
	a.enrol(t, "anna", actor.Drafter)
	found, err := a.CheckAudit(t.Context(), operator)
	if err != nil || found.Entries != 1202 {
		t.Errorf("%+v, %v", found, err)
	}
}
