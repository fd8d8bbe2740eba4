package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/member"
)

// Registrar is the house's acts about members and what they did.
type Registrar interface {
	Members(ctx context.Context, who actor.Actor, after string, limit int) ([]member.Member, error)
	AddMember(ctx context.Context, who actor.Actor, name string, roles []actor.Role) (passphrase string, err error)
	SetRoles(ctx context.Context, who actor.Actor, name string, roles []actor.Role) error
	SuspendMember(ctx context.Context, who actor.Actor, name string) error
	ResumeMember(ctx context.Context, who actor.Actor, name string) error
	ResetPassphrase(ctx context.Context, who actor.Actor, name string) (passphrase string, err error)
	ChangePassphrase(ctx context.Context, who actor.Actor, old, words string) error
	Tokens(ctx context.Context, who actor.Actor, name string) ([]member.Token, error)
	AddToken(ctx context.Context, who actor.Actor, name string, scopes []actor.Scope, validity time.Duration, note string) (member.Token, string, error)
	RevokeToken(ctx context.Context, who actor.Actor, id string) error
	Audits(ctx context.Context, who actor.Actor, before int64, limit int) ([]member.Entry, error)
	ExportAudit(ctx context.Context, who actor.Actor, w io.Writer) error
}

// Me is who is calling.
type Me struct {
	Name   string        `json:"name"`
	Roles  []actor.Role  `json:"roles"`
	Scopes []actor.Scope `json:"scopes,omitempty" doc:"Absent where no token narrows what the roles allow."`
}

// Member is a person or a program of this party.
type Member struct {
	Name          string       `json:"name"`
	Roles         []actor.Role `json:"roles"`
	Created       time.Time    `json:"created"`
	Suspended     *time.Time   `json:"suspended,omitzero"`
	HasPassphrase bool         `json:"has_passphrase"`
}

// NewMember is a member to be made.
type NewMember struct {
	Name  string       `json:"name"`
	Roles []actor.Role `json:"roles"`
}

// MemberRoles are the roles that a member is to have.
type MemberRoles struct {
	Roles []actor.Role `json:"roles"`
}

// NewPassphrase is shown once.
type NewPassphrase struct {
	Name       string `json:"name"`
	Passphrase string `json:"passphrase"`
}

// PassphraseChange is a passphrase that a member chose himself.
type PassphraseChange struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// NewToken is a token to be made.
type NewToken struct {
	Scopes []actor.Scope `json:"scopes"`
	Valid  int64         `json:"valid,omitzero" doc:"Seconds; 90 days without it, 366 days at most."`
	Note   string        `json:"note,omitempty" doc:"What it is for."`
}

// Token is a token without its secret.
type Token struct {
	ID      string        `json:"id"`
	Member  string        `json:"member"`
	Scopes  []actor.Scope `json:"scopes"`
	Note    string        `json:"note,omitempty"`
	Created time.Time     `json:"created"`
	Expires time.Time     `json:"expires"`
	Revoked *time.Time    `json:"revoked,omitzero"`
	Used    *time.Time    `json:"used,omitzero" doc:"About when it was last used."`
}

// MadeToken is a token with its secret, which is shown once.
type MadeToken struct {
	Token  Token  `json:"token"`
	Secret string `json:"secret" doc:"What to send as Authorization: Bearer."`
}

// Done says that an act was done.
type Done struct {
	Done bool `json:"done"`
}

func done(err error) (Done, error) { return Done{err == nil}, err }

func (d *Door) me(_ context.Context, who actor.Actor, _ None) (Me, error) {
	return Me{Name: who.Name, Roles: who.Roles, Scopes: who.Scopes}, nil
}

type membersIn struct {
	After string `query:"after" doc:"Only those whose names follow this one."`
	Limit int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) members(ctx context.Context, who actor.Actor, in membersIn) (List[Member], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Member]{}, err
	}
	rows, err := d.house.Members(ctx, who, in.After, limit)
	if err != nil {
		return List[Member]{}, err
	}
	out := List[Member]{Items: []Member{}}
	for _, m := range rows {
		out.Items = append(out.Items, Member{Name: m.Name, Roles: m.Roles, Created: instant(m.Created), Suspended: maybe(m.Suspended), HasPassphrase: len(m.Passphrase.Salt) > 0})
	}
	if len(rows) == limit {
		out.Next = rows[limit-1].Name
	}
	return out, nil
}

type addMemberIn struct {
	Body NewMember `body:"json"`
}

func (d *Door) addMember(ctx context.Context, who actor.Actor, in addMemberIn) (NewPassphrase, error) {
	p, err := d.house.AddMember(ctx, who, in.Body.Name, in.Body.Roles)
	return NewPassphrase{Name: in.Body.Name, Passphrase: p}, err
}

type memberIn struct {
	Member string `path:"member"`
}

type memberRolesIn struct {
	Member string      `path:"member"`
	Body   MemberRoles `body:"json"`
}

func (d *Door) setRoles(ctx context.Context, who actor.Actor, in memberRolesIn) (Done, error) {
	return done(d.house.SetRoles(ctx, who, in.Member, in.Body.Roles))
}

func (d *Door) suspendMember(ctx context.Context, who actor.Actor, in memberIn) (Done, error) {
	return done(d.house.SuspendMember(ctx, who, in.Member))
}

func (d *Door) resumeMember(ctx context.Context, who actor.Actor, in memberIn) (Done, error) {
	return done(d.house.ResumeMember(ctx, who, in.Member))
}

func (d *Door) resetPassphrase(ctx context.Context, who actor.Actor, in memberIn) (NewPassphrase, error) {
	p, err := d.house.ResetPassphrase(ctx, who, in.Member)
	return NewPassphrase{Name: in.Member, Passphrase: p}, err
}

type passphraseIn struct {
	Body PassphraseChange `body:"json"`
}

func (d *Door) changePassphrase(ctx context.Context, who actor.Actor, in passphraseIn) (Done, error) {
	return done(d.house.ChangePassphrase(ctx, who, in.Body.Old, in.Body.New))
}

func (d *Door) tokens(ctx context.Context, who actor.Actor, in memberIn) (List[Token], error) {
	rows, err := d.house.Tokens(ctx, who, in.Member)
	if err != nil {
		return List[Token]{}, err
	}
	out := List[Token]{Items: []Token{}}
	for _, t := range rows {
		out.Items = append(out.Items, tokenOf(t))
	}
	return out, nil
}

func tokenOf(t member.Token) Token {
	return Token{ID: t.ID, Member: t.Member, Scopes: t.Scopes, Note: t.Note, Created: instant(t.Created), Expires: instant(t.Expires),
		Revoked: maybe(t.Revoked), Used: maybe(t.Used)}
}

type addTokenIn struct {
	Member string   `path:"member"`
	Body   NewToken `body:"json"`
}

func (d *Door) addToken(ctx context.Context, who actor.Actor, in addTokenIn) (MadeToken, error) {
	if most := int64(member.MaxValidity / time.Second); in.Body.Valid < 0 || in.Body.Valid > most {
		return MadeToken{}, fault.New(fault.Invalid, "token_validity", "A token is valid for at most 366 days.")
	}
	t, secret, err := d.house.AddToken(ctx, who, in.Member, in.Body.Scopes, time.Duration(in.Body.Valid)*time.Second, in.Body.Note)
	if err != nil {
		return MadeToken{}, err
	}
	return MadeToken{Token: tokenOf(t), Secret: secret}, nil
}

type tokenIn struct {
	Token string `path:"token" doc:"Its id."`
}

func (d *Door) revokeToken(ctx context.Context, who actor.Actor, in tokenIn) (Done, error) {
	return done(d.house.RevokeToken(ctx, who, in.Token))
}

// exportAudit streams the log; before its first byte everything that can be refused was.
func (d *Door) exportAudit(ctx context.Context, who actor.Actor, _ None, w http.ResponseWriter) error {
	attach(w, "audit.ndjson")
	return d.house.ExportAudit(ctx, who, w)
}
