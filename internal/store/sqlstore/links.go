package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/party"
	"entente/statement"
)

// PutIdentity implements exchange.LinkTx. Other bytes for a version that is known are a conflict: whether a
// successor outranks it is decided before.
func (t *tx) PutIdentity(ctx context.Context, p party.ID, version int, env []byte) error {
	return t.writeOr(ctx, conflict("identity_version", "Another identity is known under this version."), `
		INSERT INTO identities (party, version, envelope) VALUES ($1, $2, $3)
		ON CONFLICT (party, version) DO UPDATE SET envelope = excluded.envelope
		WHERE identities.envelope = excluded.envelope`, p[:], int64(version), orNull(env))
}

// PutFork implements exchange.LinkTx.
func (t *tx) PutFork(ctx context.Context, p party.ID, version int, env []byte) error {
	hash := envelope.Sum(env)
	return t.write(ctx, `INSERT INTO identity_forks (party, hash, version, envelope) VALUES ($1, $2, $3, $4)
		ON CONFLICT (party, hash) DO NOTHING`, p[:], hash[:], int64(version), orNull(env))
}

// Forks implements exchange.LinkTx.
func (t *tx) Forks(ctx context.Context, p party.ID) ([][]byte, error) {
	return list(ctx, t, func(r rows, b *[]byte) error { return r.Scan(loose{b}) },
		`SELECT envelope FROM identity_forks WHERE party = $1 ORDER BY version, hash`, p[:])
}

// Identities implements exchange.LinkTx.
func (t *tx) Identities(ctx context.Context, p party.ID) ([][]byte, error) {
	return list(ctx, t, func(r rows, b *[]byte) error { return r.Scan(loose{b}) },
		`SELECT envelope FROM identities WHERE party = $1 ORDER BY version`, p[:])
}

const linkColumns = `id, alias, peer, endpoint, inviter, agreement, created, own_epoch, peer_epoch, opened, catching`

func scanLink(r rows, l *exchange.Link) error {
	return r.Scan(fixed{l.ID[:]}, &l.Alias, fixed{l.Peer[:]}, &l.Endpoint, flag{&l.Inviter}, loose{&l.Agreement},
		&l.Created, &l.OwnEpoch, &l.PeerEpoch, &l.Opened, (*int)(&l.Catching))
}

// PutLink implements exchange.LinkTx. An alias that another link has is a conflict.
func (t *tx) PutLink(ctx context.Context, l exchange.Link) error {
	return t.write(ctx, `
		INSERT INTO links (`+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, peer = excluded.peer, endpoint = excluded.endpoint,
			inviter = excluded.inviter, agreement = excluded.agreement, created = excluded.created,
			own_epoch = excluded.own_epoch, peer_epoch = excluded.peer_epoch, opened = excluded.opened, catching = excluded.catching`,
		l.ID[:], l.Alias, l.Peer[:], l.Endpoint, bit(l.Inviter), orNull(l.Agreement), l.Created,
		int64(l.OwnEpoch), int64(l.PeerEpoch), l.Opened, int64(l.Catching))
}

// Link implements exchange.LinkTx.
func (t *tx) Link(ctx context.Context, id statement.LinkID) (exchange.Link, error) {
	return one(ctx, t, "link", scanLink, `SELECT `+linkColumns+` FROM links WHERE id = $1`, id[:])
}

// Links implements exchange.LinkTx.
func (t *tx) Links(ctx context.Context) ([]exchange.Link, error) {
	return list(ctx, t, scanLink, `SELECT `+linkColumns+` FROM links ORDER BY alias`)
}

// Addresses implements exchange.LinkTx.
func (t *tx) Addresses(ctx context.Context) ([]exchange.Address, error) {
	return list(ctx, t, func(r rows, a *exchange.Address) error { return r.Scan(fixed{a.Link[:]}, &a.Alias, &a.Endpoint) },
		`SELECT id, alias, endpoint FROM links WHERE endpoint <> '' ORDER BY alias`)
}

// Unended implements exchange.LinkTx.
func (t *tx) Unended(ctx context.Context) ([]exchange.Link, error) {
	return list(ctx, t, scanLink, `SELECT `+linkColumns+` FROM links WHERE EXISTS (SELECT 1 FROM parcels
		WHERE parcels.link = links.id AND parcels.author = links.peer AND parcels.state IN ('arriving', 'received') AND parcels.live = 1)
		ORDER BY alias`)
}

// PutInvitation implements exchange.LinkTx.
func (t *tx) PutInvitation(ctx context.Context, i exchange.Invitation) error {
	return t.write(ctx, `
		INSERT INTO invitations (token_hash, alias, agreement, nonce, expires, state, link)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (token_hash) DO UPDATE SET alias = excluded.alias, agreement = excluded.agreement,
			nonce = excluded.nonce, expires = excluded.expires, state = excluded.state, link = excluded.link`,
		i.TokenHash[:], i.Alias, orNull(i.Agreement), i.Nonce[:], i.Expires, i.State, i.Link[:])
}

// Invitation implements exchange.LinkTx.
func (t *tx) Invitation(ctx context.Context, token envelope.Hash) (exchange.Invitation, error) {
	return one(ctx, t, "invitation", func(r rows, i *exchange.Invitation) error {
		return r.Scan(fixed{i.TokenHash[:]}, &i.Alias, loose{&i.Agreement}, fixed{i.Nonce[:]}, &i.Expires, &i.State, fixed{i.Link[:]})
	}, `SELECT token_hash, alias, agreement, nonce, expires, state, link FROM invitations WHERE token_hash = $1`, token[:])
}

// Meta implements exchange.LinkTx.
func (t *tx) Meta(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := each(ctx, t, func(r rows) error { return r.Scan(loose{&value}) }, `SELECT value FROM meta WHERE key = $1`, key)
	return value, err
}

// SetMeta implements exchange.LinkTx; an empty value reads back as unset.
func (t *tx) SetMeta(ctx context.Context, key string, value []byte) error {
	return t.write(ctx, `INSERT INTO meta (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, orNull(value))
}

// PutAgreement implements exchange.LinkTx.
func (t *tx) PutAgreement(ctx context.Context, link statement.LinkID, data []byte) error {
	hash := envelope.Sum(data)
	return t.write(ctx, `INSERT INTO agreements (link, hash, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, link[:], hash[:], data)
}

// Agreements implements exchange.LinkTx.
func (t *tx) Agreements(ctx context.Context, link statement.LinkID) ([][]byte, error) {
	return list(ctx, t, func(r rows, b *[]byte) error { return r.Scan(loose{b}) },
		`SELECT data FROM agreements WHERE link = $1 ORDER BY hash`, link[:])
}
