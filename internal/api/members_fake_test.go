package api_test

import (
	"context"
	"io"
	"time"

	"entente/internal/actor"
	"entente/internal/member"
)

func (f *fake) Members(context.Context, actor.Actor, string, int) ([]member.Member, error) {
	return []member.Member{{Name: "anna", Roles: []actor.Role{actor.Drafter}, Created: when.UnixMicro(), Suspended: when.UnixMicro()}}, f.fail
}

func (f *fake) AddMember(context.Context, actor.Actor, string, []actor.Role) (string, error) {
	return "abcd-efgh", f.fail
}

func (f *fake) SetRoles(context.Context, actor.Actor, string, []actor.Role) error { return f.fail }

func (f *fake) SuspendMember(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) ResumeMember(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) ResetPassphrase(context.Context, actor.Actor, string) (string, error) {
	return "abcd-efgh", f.fail
}

func (f *fake) ChangePassphrase(context.Context, actor.Actor, string, string) error { return f.fail }

func (f *fake) Tokens(context.Context, actor.Actor, string) ([]member.Token, error) {
	return []member.Token{someToken()}, f.fail
}

func (f *fake) AddToken(context.Context, actor.Actor, string, []actor.Scope, time.Duration, string) (member.Token, string, error) {
	return someToken(), "entente_secret", f.fail
}

func (f *fake) RevokeToken(context.Context, actor.Actor, string) error { return f.fail }

func someToken() member.Token {
	return member.Token{ID: "0123456789ab", Member: "anna", Scopes: []actor.Scope{actor.ScopeRead}, Created: when.UnixMicro(), Expires: when.UnixMicro()}
}

func (f *fake) Audits(context.Context, actor.Actor, int64, int) ([]member.Entry, error) {
	return []member.Entry{{Number: 3, At: when.UnixMicro(), Who: "ada", Act: "send", Object: said.String()}}, f.fail
}

func (f *fake) ExportAudit(_ context.Context, _ actor.Actor, w io.Writer) error {
	if f.fail != nil {
		return f.fail
	}
	_, err := io.WriteString(w, "{}\n")
	return err
}
