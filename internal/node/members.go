package node

import (
	"context"
	"io"
	"net/url"
	"strconv"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/member"
)

// What a client sends and gets about members, as the API describes it.
type (
	Me               = api.Me
	Member           = api.Member
	NewMember        = api.NewMember
	NewPassphrase    = api.NewPassphrase
	PassphraseChange = api.PassphraseChange
	NewToken         = api.NewToken
	Token            = api.Token
	MadeToken        = api.MadeToken
	Role             = actor.Role
	Scope            = actor.Scope
	Trail            = member.Trail
	MemberList       = api.List[api.Member]
	AuditList        = api.List[api.Audit]
)

// Roles are the names of all roles, Scopes of all scopes.
func Roles() []Role   { return actor.Roles() }
func Scopes() []Scope { return actor.Scopes() }

// Me says who is calling.
func (c *Client) Me(ctx context.Context) (Me, error) { return get[Me](ctx, c, "/me", nil) }

// ChangePassphrase chooses another passphrase for who is calling.
func (c *Client) ChangePassphrase(ctx context.Context, p PassphraseChange) error {
	_, err := post[api.Done](ctx, c, "/me/passphrase", p)
	return err
}

// Members lists the members by name, those after the given one.
func (c *Client) Members(ctx context.Context, after string, limit int) (MemberList, error) {
	return get[MemberList](ctx, c, "/members", query("after", after, "limit", strconv.Itoa(limit)))
}

// AddMember makes an account and returns its passphrase.
func (c *Client) AddMember(ctx context.Context, m NewMember) (NewPassphrase, error) {
	return post[NewPassphrase](ctx, c, "/members", m)
}

// SetRoles gives a member other roles.
func (c *Client) SetRoles(ctx context.Context, name string, roles []Role) error {
	_, err := post[api.Done](ctx, c, memberPath(name, "roles"), api.MemberRoles{Roles: roles})
	return err
}

// SuspendMember keeps a member out, ResumeMember lets him in again.
func (c *Client) SuspendMember(ctx context.Context, name string) error {
	_, err := post[api.Done](ctx, c, memberPath(name, "suspensions"), nil)
	return err
}

// ResumeMember lets a suspended member in again.
func (c *Client) ResumeMember(ctx context.Context, name string) error {
	_, err := post[api.Done](ctx, c, memberPath(name, "resumptions"), nil)
	return err
}

// ResetPassphrase gives a member another passphrase.
func (c *Client) ResetPassphrase(ctx context.Context, name string) (NewPassphrase, error) {
	return post[NewPassphrase](ctx, c, memberPath(name, "passphrases"), nil)
}

// Tokens lists a member's tokens.
func (c *Client) Tokens(ctx context.Context, name string) ([]Token, error) {
	return items[Token](ctx, c, memberPath(name, "tokens"), nil)
}

// AddToken makes a token for a member.
func (c *Client) AddToken(ctx context.Context, name string, t NewToken) (MadeToken, error) {
	return post[MadeToken](ctx, c, memberPath(name, "tokens"), t)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := post[api.Done](ctx, c, "/tokens/"+url.PathEscape(id)+"/revocations", nil)
	return err
}

func memberPath(name, what string) string { return "/members/" + url.PathEscape(name) + "/" + what }

// Audit lists what members did, newest first; before is the cursor of the page before.
func (c *Client) Audit(ctx context.Context, before string, limit int) (AuditList, error) {
	return get[AuditList](ctx, c, "/audit", query("before", before, "limit", strconv.Itoa(limit)))
}

// ExportAudit writes the whole log of what members did to w.
func (c *Client) ExportAudit(ctx context.Context, w io.Writer) error {
	return c.download(ctx, "/audit/export", nil, w)
}

// VerifyAudit checks an exported log, without a node. before is a checkpoint that was kept of an earlier export, or nil.
func VerifyAudit(r io.Reader, before []byte) (Trail, error) {
	return member.VerifyExport(envelope.Default(), r, before)
}
