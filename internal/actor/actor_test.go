package actor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"entente/internal/actor"
	"entente/internal/fault"
)

// acts are the constants of type Act, as the source declares them.
func acts(t *testing.T) []actor.Act {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []actor.Act
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Act" {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, actor.Act(name))
		}
		return true
	})
	if len(out) < 10 {
		t.Fatalf("only %d acts were found", len(out))
	}
	return out
}

// TestTable: every act has one row, and every row names roles and a scope that there are.
func TestTable(t *testing.T) {
	var rows []actor.Act
	for _, r := range actor.Table() {
		if slices.Contains(rows, r.Act) {
			t.Errorf("%s has two rows", r.Act)
		}
		rows = append(rows, r.Act)
		if len(r.Roles) == 0 || !slices.Contains(actor.Scopes(), r.Scope) {
			t.Errorf("%s: roles %v, scope %q", r.Act, r.Roles, r.Scope)
		}
		for _, role := range r.Roles {
			if !slices.Contains(actor.Roles(), role) {
				t.Errorf("%s: there is no role %q", r.Act, role)
			}
		}
	}
	for _, act := range acts(t) {
		if !slices.Contains(rows, act) {
			t.Errorf("%s has no row: nobody may do it", act)
		}
	}
	if len(rows) != len(acts(t)) {
		t.Errorf("%d rows for %d acts", len(rows), len(acts(t)))
	}
}

// TestMay tries every role and every scope against every act, and those who are no members.
func TestMay(t *testing.T) {
	for _, rule := range actor.Table() {
		for _, role := range actor.Roles() {
			who := actor.Actor{Kind: actor.Member, Name: "m", Roles: []actor.Role{role}}
			allowed := slices.Contains(rule.Roles, role)
			wantCode(t, string(rule.Act)+" by "+string(role), who.May(rule.Act), allowed, "role")
			for _, scope := range actor.Scopes() {
				who.Scopes = []actor.Scope{scope}
				if allowed {
					wantCode(t, string(rule.Act)+" with "+string(scope), who.May(rule.Act), scope == rule.Scope, "scope")
				}
			}
			who.Scopes = []actor.Scope{}
			wantCode(t, "a token without scopes", who.May(rule.Act), false, fault.CodeOf(who.May(rule.Act)))
			who = actor.Actor{Kind: actor.Peer, Roles: actor.Roles()}
			wantCode(t, "the peer", who.May(rule.Act), false, "role")
		}
		wantCode(t, "nobody", actor.Actor{}.May(rule.Act), false, "role")
		wantCode(t, "the node", actor.System().May(rule.Act), true, "")
	}
	everything := actor.Actor{Kind: actor.Member, Roles: actor.Roles()}
	wantCode(t, "an act that is not in the table", everything.May("war.declare"), false, "role")
}

func wantCode(t *testing.T, what string, err error, ok bool, code string) {
	t.Helper()
	if ok && err == nil || !ok && fault.KindOf(err) == fault.Forbidden && fault.CodeOf(err) == code {
		return
	}
	t.Errorf("%s: %v", what, err)
}

// An operator runs the node; what is said on it is none of his business.
func TestOperatorReadsNothing(t *testing.T) {
	operator := actor.Actor{Kind: actor.Member, Roles: []actor.Role{actor.Operator}}
	for _, act := range []actor.Act{actor.ReadStatements, actor.ReadFiles, actor.ReadRequests, actor.Prove, actor.Say} {
		wantCode(t, string(act), operator.May(act), false, "role")
	}
}
