package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/member"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	memberColumns = `name, roles, created, suspended, salt, secret, failures, locked`
	tokenColumns  = `id, hash, member, scopes, note, created, expires, revoked, used`
)

// spaced is a list of names in one column, with spaces between.
type spaced[T ~string] struct{ list *[]T }

func (s spaced[T]) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a list of names is a %T", v)
	}
	*s.list = nil
	for name := range strings.FieldsSeq(text) {
		*s.list = append(*s.list, T(name))
	}
	return nil
}

func joined[T ~string](list []T) string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = string(v)
	}
	return strings.Join(names, " ")
}

func scanMember(r rows, m *member.Member) error {
	return r.Scan(&m.Name, spaced[actor.Role]{&m.Roles}, &m.Created, &m.Suspended, loose{&m.Passphrase.Salt}, loose{&m.Passphrase.Key}, &m.Failures, &m.Locked)
}

func scanToken(r rows, k *member.Token) error {
	return r.Scan(&k.ID, fixed{k.Hash[:]}, &k.Member, spaced[actor.Scope]{&k.Scopes}, &k.Note, &k.Created, &k.Expires, &k.Revoked, &k.Used)
}

// PutMember implements member.Tx.
func (t *tx) PutMember(ctx context.Context, m member.Member) error {
	return t.write(ctx, `INSERT INTO members (`+memberColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET roles = excluded.roles, created = excluded.created, suspended = excluded.suspended,
			salt = excluded.salt, secret = excluded.secret, failures = excluded.failures, locked = excluded.locked`,
		m.Name, joined(m.Roles), m.Created, m.Suspended, orNull(m.Passphrase.Salt), orNull(m.Passphrase.Key), int64(m.Failures), m.Locked)
}

// Member implements member.Tx.
func (t *tx) Member(ctx context.Context, name string) (member.Member, error) {
	return one(ctx, t, "member", scanMember, `SELECT `+memberColumns+` FROM members WHERE name = $1`, name)
}

// Members implements member.Tx.
func (t *tx) Members(ctx context.Context, after string, limit int) ([]member.Member, error) {
	return list(ctx, t, scanMember, `SELECT `+memberColumns+` FROM members WHERE name > $1 ORDER BY name LIMIT $2`, after, int64(limit))
}

// PutToken implements member.Tx.
func (t *tx) PutToken(ctx context.Context, k member.Token) error {
	return t.write(ctx, `INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET revoked = excluded.revoked, used = excluded.used`,
		k.ID, k.Hash[:], k.Member, joined(k.Scopes), k.Note, k.Created, k.Expires, k.Revoked, k.Used)
}

// Token implements member.Tx.
func (t *tx) Token(ctx context.Context, id string) (member.Token, error) {
	return one(ctx, t, "token", scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id = $1`, id)
}

// TokenByHash implements member.Tx.
func (t *tx) TokenByHash(ctx context.Context, hash envelope.Hash) (member.Token, error) {
	return one(ctx, t, "token", scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1`, hash[:])
}

// Tokens implements member.Tx.
func (t *tx) Tokens(ctx context.Context, name string) ([]member.Token, error) {
	return list(ctx, t, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE member = $1 ORDER BY created DESC, id`, name)
}

// The log of members stands in the table audits: the line of number n has the id n + 1.

func scanEntry(r rows, e *member.Entry) error {
	err := r.Scan(&e.Number, &e.At, &e.Who, &e.Act, &e.Object)
	e.Number--
	return err
}

// PutEntries implements member.Tx.
func (t *tx) PutEntries(ctx context.Context, es ...member.Entry) error {
	values := make([][]any, len(es))
	for i, e := range es {
		values[i] = []any{e.Number + 1, e.At, e.Who, e.Act, e.Object, orNull(e.Hashes)}
	}
	return t.insert(ctx, `INSERT INTO audits (id, at, who, act, object, hashes)`, ``, nil, values)
}

// Entered implements member.Tx.
func (t *tx) Entered(ctx context.Context) (size, last int64, err error) {
	err = each(ctx, t, func(r rows) error { return r.Scan(&size, &last) }, `SELECT id, at FROM audits ORDER BY id DESC LIMIT 1`)
	return size, last, err
}

// Entries implements member.Tx.
func (t *tx) Entries(ctx context.Context, before int64, limit int) ([]member.Entry, error) {
	const from = `SELECT id, at, who, act, object FROM audits`
	if before == 0 {
		return list(ctx, t, scanEntry, from+` ORDER BY id DESC LIMIT $1`, int64(limit))
	}
	return list(ctx, t, scanEntry, from+` WHERE id <= $1 ORDER BY id DESC LIMIT $2`, before, int64(limit))
}

// EntriesFrom implements member.Tx.
func (t *tx) EntriesFrom(ctx context.Context, from int64, limit int) ([]member.Entry, error) {
	return list(ctx, t, scanEntry, `SELECT id, at, who, act, object FROM audits WHERE id > $1 ORDER BY id LIMIT $2`, from, int64(limit))
}

// EntryHashes implements member.Tx.
func (t *tx) EntryHashes(ctx context.Context) tlog.HashReader {
	return storedHashes(func(rowNumbers []int64, found func(row int64, hashes []byte)) error {
		return many(rowNumbers, 0, func(n *int64) any { return *n + 1 }, func(in string, args []any) error {
			return each(ctx, t, func(r rows) error {
				var id int64
				var hashes []byte
				err := r.Scan(&id, loose{&hashes})
				found(id-1, hashes)
				return err
			}, `SELECT id, hashes FROM audits WHERE id IN `+in, args...)
		})
	})
}

// Unhashed implements member.Tx.
func (t *tx) Unhashed(ctx context.Context, limit int) ([]member.Entry, error) {
	return list(ctx, t, scanEntry, `SELECT id, at, who, act, object FROM audits WHERE hashes IS NULL ORDER BY id LIMIT $1`, int64(limit))
}

// SetEntryHashes implements member.Tx.
func (t *tx) SetEntryHashes(ctx context.Context, es ...member.Entry) error {
	for _, e := range es {
		if err := t.write(ctx, `UPDATE audits SET hashes = $2 WHERE id = $1`, e.Number+1, e.Hashes); err != nil {
			return err
		}
	}
	return nil
}
