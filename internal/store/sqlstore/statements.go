package sqlstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"
)

const statementColumns = `commitment, link, author, lane, epoch, seq, thread, kind, authored, text, text_salt, parcel, erased`

func scanStatement(r rows, s *exchange.Statement) error {
	return r.Scan(fixed{s.Commitment[:]}, fixed{s.Link[:]}, fixed{s.Author[:]}, (*string)(&s.Lane), &s.Epoch, &s.Seq,
		fixed{s.Thread[:]}, &s.Kind, &s.Authored, loose{&s.Text}, fixed{s.TextSalt[:]}, fixed{s.Parcel[:]}, &s.Erased)
}

// PutStatements implements exchange.StatementTx.
func (t *tx) PutStatements(ctx context.Context, ss ...exchange.Statement) error {
	values := make([][]any, len(ss))
	for i := range ss {
		s := &ss[i]
		values[i] = []any{s.Commitment[:], s.Link[:], s.Author[:], string(s.Lane), int64(s.Epoch), count(s.Seq), s.Thread[:],
			s.Kind, s.Authored, orNull(s.Text), s.TextSalt[:], s.Parcel[:], s.Erased}
	}
	return t.insert(ctx, `INSERT INTO statements (`+statementColumns+`)`, ` ON CONFLICT (commitment) DO NOTHING`, nil, values)
}

// Statement implements exchange.StatementTx.
func (t *tx) Statement(ctx context.Context, c statement.Commitment) (exchange.Statement, error) {
	return one(ctx, t, "statement", scanStatement, `SELECT `+statementColumns+` FROM statements WHERE commitment = $1`, c[:])
}

// MoveStatement implements exchange.StatementTx.
func (t *tx) MoveStatement(ctx context.Context, c statement.Commitment, parcel envelope.ID, seq uint64) error {
	return t.writeOr(ctx, notFound("statement"), `UPDATE statements SET parcel = $2, seq = $3 WHERE commitment = $1`, c[:], parcel[:], count(seq))
}

// StatementsByPrefix implements exchange.StatementTx.
func (t *tx) StatementsByPrefix(ctx context.Context, prefix string, limit int) ([]exchange.Statement, error) {
	if len(prefix) > 64 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, fault.New(fault.Invalid, "prefix", "A commitment is written in up to 64 digits 0 to 9 and a to f.")
	}
	var low, high statement.Commitment
	for i, filler := range []string{"0", "f"} {
		raw, err := hex.DecodeString(prefix + strings.Repeat(filler, 64-len(prefix)))
		if err != nil {
			return nil, fmt.Errorf("reading a prefix: %w", err)
		}
		copy([]*statement.Commitment{&low, &high}[i][:], raw)
	}
	return list(ctx, t, scanStatement, `SELECT `+statementColumns+` FROM statements
		WHERE commitment >= $1 AND commitment <= $2 ORDER BY commitment LIMIT $3`, low[:], high[:], int64(limit))
}

// StatementsByParcel implements exchange.StatementTx.
func (t *tx) StatementsByParcel(ctx context.Context, ids []envelope.ID) (map[envelope.ID]exchange.Statement, error) {
	out := make(map[envelope.ID]exchange.Statement, len(ids))
	err := many(ids, 0, idArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var s exchange.Statement
			err := scanStatement(r, &s)
			out[s.Parcel] = s
			return err
		}, `SELECT `+statementColumns+` FROM statements WHERE parcel IN `+in, args...)
	})
	return out, err
}

// Statements implements exchange.StatementTx.
func (t *tx) Statements(ctx context.Context, f exchange.Filter) ([]exchange.Statement, error) {
	var c conditions
	if f.Link != nil {
		c.add("link = ?", f.Link[:])
	}
	if f.Thread != nil {
		c.add("thread = ?", f.Thread[:])
	}
	if f.Author != nil {
		c.add("author = ?", f.Author[:])
	}
	if f.NotAuthor != nil {
		c.add("author <> ?", f.NotAuthor[:])
	}
	if f.Kind != "" {
		c.add("kind = ?", f.Kind)
	}
	if f.Before != 0 {
		c.add("authored < ?", f.Before)
	}
	if f.After != nil {
		c.add("(authored, commitment) < (?, ?)", f.After.Authored, f.After.Commitment[:])
	}
	query := c.query(`SELECT `+statementColumns+` FROM statements`, ` ORDER BY authored DESC, commitment DESC`, f.Limit)
	return list(ctx, t, scanStatement, query, c.args...)
}

// PutBodies implements exchange.StatementTx.
func (t *tx) PutBodies(ctx context.Context, bs ...exchange.Body) error {
	erased := map[statement.Commitment]bool{}
	err := many(bs, 0, func(b *exchange.Body) any { return b.Commitment[:] }, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var c statement.Commitment
			err := r.Scan(fixed{c[:]})
			erased[c] = true
			return err
		}, `SELECT commitment FROM statements WHERE erased <> 0 AND commitment IN `+in, args...)
	})
	if err != nil {
		return err
	}
	var bodies, keys [][]any
	for i := range bs {
		if b := &bs[i]; !erased[b.Commitment] {
			bodies = append(bodies, []any{b.Commitment[:], b.Sealed})
			keys = append(keys, []any{b.Commitment[:], b.Key})
		}
	}
	const known = ` ON CONFLICT (commitment) DO NOTHING`
	if err := t.insert(ctx, `INSERT INTO statement_bodies (commitment, sealed)`, known, nil, bodies); err != nil {
		return err
	}
	return t.insert(ctx, `INSERT INTO statement_keys (commitment, wrapped)`, known, nil, keys)
}

// Body implements exchange.StatementTx. A body whose key is missing, as after a restore without keys, is not there.
func (t *tx) Body(ctx context.Context, c statement.Commitment) (sealed, wrappedKey []byte, err error) {
	type body struct{ sealed, key []byte }
	b, err := one(ctx, t, "body", func(r rows, b *body) error { return r.Scan(loose{&b.sealed}, loose{&b.key}) },
		`SELECT b.sealed, k.wrapped FROM statement_bodies b JOIN statement_keys k ON k.commitment = b.commitment
		WHERE b.commitment = $1`, c[:])
	return b.sealed, b.key, err
}

// BodiesOf implements exchange.StatementTx.
func (t *tx) BodiesOf(ctx context.Context, cs []statement.Commitment) (map[statement.Commitment]exchange.Body, error) {
	out := make(map[statement.Commitment]exchange.Body, len(cs))
	err := many(cs, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var b exchange.Body
			err := r.Scan(fixed{b.Commitment[:]}, loose{&b.Sealed}, loose{&b.Key})
			out[b.Commitment] = b
			return err
		}, `SELECT b.commitment, b.sealed, k.wrapped FROM statement_bodies b JOIN statement_keys k ON k.commitment = b.commitment
			WHERE b.commitment IN `+in, args...)
	})
	return out, err
}

// EraseBody implements exchange.StatementTx. A first erasure keeps its time.
func (t *tx) EraseBody(ctx context.Context, c statement.Commitment, at int64) error {
	err := t.writeOr(ctx, notFound("statement"),
		`UPDATE statements SET erased = CASE WHEN erased = 0 THEN $2 ELSE erased END WHERE commitment = $1`, c[:], at)
	if err != nil {
		return err
	}
	if err := t.write(ctx, `DELETE FROM statement_bodies WHERE commitment = $1`, c[:]); err != nil {
		return err
	}
	t.erased = true
	if err := t.write(ctx, `DELETE FROM asked WHERE thread = $1`, c[:]); err != nil {
		return err
	}
	return t.write(ctx, `DELETE FROM statement_keys WHERE commitment = $1`, c[:])
}

// Aged implements exchange.StatementTx.
func (t *tx) Aged(ctx context.Context, link statement.LinkID, self party.ID, kind string, before int64, after exchange.Statement, limit int) ([]exchange.Statement, error) {
	return list(ctx, t, scanStatement, `SELECT `+statementColumns+` FROM statements s
		WHERE s.link = $1 AND s.kind = $2 AND s.erased = 0 AND (s.author <> $7 OR s.authored < $3) AND (s.authored, s.commitment) > ($4, $5)
			AND NOT EXISTS (SELECT 1 FROM statements n JOIN parcels p ON p.id = n.parcel
				WHERE n.thread = s.thread AND n.link = s.link AND CASE WHEN n.author = $7 THEN n.authored ELSE p.received END >= $3)
		ORDER BY s.authored, s.commitment LIMIT $6`, link[:], kind, before, after.Authored, after.Commitment[:], int64(limit), self[:])
}

// ErasingFiles implements exchange.StatementTx.
func (t *tx) ErasingFiles(ctx context.Context, after statement.Commitment, position, limit int) ([]exchange.File, error) {
	return list(ctx, t, scanFile, `SELECT `+fileColumns+` FROM files
		WHERE state = 'erasing' AND (statement, position) > ($1, $2) ORDER BY statement, position LIMIT $3`, after[:], int64(position), int64(limit))
}

const fileColumns = `statement, position, link, author, parcel, size, state, blob, floe, keys, reason`

func scanFile(r rows, f *exchange.File) error {
	return r.Scan(fixed{f.Statement[:]}, &f.Position, fixed{f.Link[:]}, fixed{f.Author[:]}, fixed{f.Parcel[:]}, &f.Size, &f.State, &f.Blob,
		loose{&f.FLOE}, loose{&f.Keys}, &f.Reason)
}

// PutFiles implements exchange.StatementTx.
func (t *tx) PutFiles(ctx context.Context, fs ...exchange.File) error {
	for i := range fs {
		f := &fs[i]
		err := t.write(ctx, `INSERT INTO files (`+fileColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (statement, position) DO UPDATE SET link = excluded.link, author = excluded.author, parcel = excluded.parcel,
				size = excluded.size, state = excluded.state, blob = excluded.blob, floe = excluded.floe, keys = excluded.keys, reason = excluded.reason`,
			f.Statement[:], int64(f.Position), f.Link[:], f.Author[:], f.Parcel[:], f.Size, f.State, f.Blob, orNull(f.FLOE), orNull(f.Keys), f.Reason)
		if err != nil {
			return err
		}
	}
	return nil
}

// Files implements exchange.StatementTx.
func (t *tx) Files(ctx context.Context, c statement.Commitment) ([]exchange.File, error) {
	return list(ctx, t, scanFile, `SELECT `+fileColumns+` FROM files WHERE statement = $1 ORDER BY position`, c[:])
}

// FilesOf implements exchange.StatementTx.
func (t *tx) FilesOf(ctx context.Context, cs []statement.Commitment) (map[statement.Commitment][]exchange.File, error) {
	out := map[statement.Commitment][]exchange.File{}
	err := many(cs, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var f exchange.File
			err := scanFile(r, &f)
			out[f.Statement] = append(out[f.Statement], f)
			return err
		}, `SELECT `+fileColumns+` FROM files WHERE statement IN `+in+` ORDER BY statement, position`, args...)
	})
	return out, err
}

// HeldBytes implements exchange.StatementTx.
func (t *tx) HeldBytes(ctx context.Context, link statement.LinkID, author party.ID) (int64, error) {
	return one(ctx, t, "sum", func(r rows, n *int64) error { return r.Scan(n) }, `SELECT CAST(
		(SELECT COALESCE(SUM(size), 0) FROM files WHERE link = $1 AND author = $2 AND blob <> '') +
		(SELECT COALESCE(SUM(length), 0) FROM parcels WHERE link = $1 AND author = $2 AND state IN ('arriving', 'received') AND live = 1 AND file >= 0)
		AS BIGINT)`, link[:], author[:])
}

// FileByParcel implements exchange.StatementTx.
func (t *tx) FileByParcel(ctx context.Context, id envelope.ID) (exchange.File, error) {
	return one(ctx, t, "file", scanFile, `SELECT `+fileColumns+` FROM files WHERE parcel = $1 ORDER BY statement LIMIT 1`, id[:])
}

const columnColumns = `link, thread, author, lane, epoch, seq, room, data`

func scanColumn(r rows, c *exchange.Column) error {
	return r.Scan(fixed{c.Link[:]}, fixed{c.Thread[:]}, fixed{c.Author[:]}, (*string)(&c.Lane), &c.Epoch, &c.Seq, &c.Room, loose{&c.Data})
}

// PutColumns implements exchange.StatementTx.
func (t *tx) PutColumns(ctx context.Context, cs ...exchange.Column) error {
	values := make([][]any, len(cs))
	for i := range cs {
		c := &cs[i]
		values[i] = []any{c.Link[:], c.Thread[:], c.Author[:], string(c.Lane), int64(c.Epoch), count(c.Seq), c.Room, orNull(c.Data)}
	}
	return t.insert(ctx, `INSERT INTO columns (`+columnColumns+`)`, ` ON CONFLICT (link, thread, author, epoch, seq)
		DO UPDATE SET lane = excluded.lane, room = excluded.room, data = excluded.data`, nil, values)
}

// ColumnAt implements exchange.StatementTx.
func (t *tx) ColumnAt(ctx context.Context, link statement.LinkID, thread statement.Commitment, author party.ID, epoch uint32, seq uint64) (exchange.Column, error) {
	var c exchange.Column
	err := each(ctx, t, func(r rows) error { return scanColumn(r, &c) }, `SELECT `+columnColumns+` FROM columns
		WHERE link = $1 AND thread = $2 AND author = $3 AND (epoch, seq) <= ($4, $5)
		ORDER BY epoch DESC, seq DESC LIMIT 1`, link[:], thread[:], author[:], int64(epoch), count(seq))
	return c, err
}

// columnsPage is how many columns are held in memory while they are handed on.
const columnsPage = 256

// Columns implements exchange.StatementTx. Rows are read by pages, so that each may use the transaction.
func (t *tx) Columns(ctx context.Context, link *statement.LinkID, room string, each func(exchange.Column) error) error {
	var where strings.Builder
	var args []any
	if link != nil {
		args = append(args, link[:])
		fmt.Fprintf(&where, ` AND c.link = $%d`, len(args))
	}
	if room != "" {
		args = append(args, room)
		fmt.Fprintf(&where, ` AND c.room = $%d`, len(args))
	}
	query := func(after string) string {
		return `SELECT ` + columnColumns + ` FROM columns c WHERE NOT EXISTS (SELECT 1 FROM columns n
				WHERE n.link = c.link AND n.thread = c.thread AND n.author = c.author AND (n.epoch, n.seq) > (c.epoch, c.seq))` +
			where.String() + after + fmt.Sprintf(` ORDER BY c.link, c.thread, c.author LIMIT %d`, columnsPage)
	}
	page, err := list(ctx, t, scanColumn, query(""), args...)
	n := len(args)
	next := query(fmt.Sprintf(` AND (c.link, c.thread, c.author) > ($%d, $%d, $%d)`, n+1, n+2, n+3))
	for {
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := each(c); err != nil {
				return err
			}
		}
		if len(page) < columnsPage {
			return nil
		}
		last := page[len(page)-1]
		page, err = list(ctx, t, scanColumn, next, append(args[:n:n], last.Link[:], last.Thread[:], bytes.Clone(last.Author[:]))...)
	}
}

// DropFolded implements exchange.StatementTx.
func (t *tx) DropFolded(ctx context.Context) error {
	for _, q := range []string{
		`DELETE FROM columns`,
		`UPDATE parcels SET verdict = '' WHERE verdict <> ''`,
		`UPDATE lanes SET folded = 0 WHERE folded <> 0`,
		`DELETE FROM requests`,
		`DELETE FROM dues`,
		`DELETE FROM calls`,
		`DELETE FROM obligations`,
		`DELETE FROM asked`,
	} {
		if err := t.write(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
