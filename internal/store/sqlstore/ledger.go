package sqlstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	headColumns = `link, party, epoch, size, last_time, signed_size, signed_at, cosigned_size, cosigned_at, identity`
	logColumns  = headColumns + `, cosigned_note`
)

func headDest(l *exchange.Log) []any {
	return []any{fixed{l.Link[:]}, fixed{l.Party[:]}, &l.Epoch, &l.Size, &l.LastTime, &l.SignedSize, &l.SignedAt,
		&l.CosignedSize, &l.CosignedAt, &l.Identity}
}

func scanLog(r rows, l *exchange.Log) error {
	return r.Scan(append(headDest(l), loose{&l.CosignedNote})...)
}

// Log implements exchange.LedgerTx.
func (t *tx) Log(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) (exchange.Log, error) {
	l := exchange.Log{Link: link, Party: p, Epoch: epoch}
	err := each(ctx, t, func(r rows) error { return scanLog(r, &l) },
		`SELECT `+logColumns+` FROM logs WHERE link = $1 AND party = $2 AND epoch = $3`, link[:], p[:], int64(epoch))
	return l, err
}

// LogHead implements exchange.LedgerTx.
func (t *tx) LogHead(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) (exchange.Log, error) {
	l := exchange.Log{Link: link, Party: p, Epoch: epoch}
	err := each(ctx, t, func(r rows) error { return r.Scan(headDest(&l)...) },
		`SELECT `+headColumns+` FROM logs WHERE link = $1 AND party = $2 AND epoch = $3`, link[:], p[:], int64(epoch))
	return l, err
}

// PutLog implements exchange.LedgerTx.
func (t *tx) PutLog(ctx context.Context, l exchange.Log) error {
	return t.write(ctx, `
		INSERT INTO logs (`+logColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (link, party, epoch) DO UPDATE SET size = excluded.size, last_time = excluded.last_time,
			signed_size = excluded.signed_size, signed_at = excluded.signed_at, cosigned_size = excluded.cosigned_size,
			cosigned_note = excluded.cosigned_note, cosigned_at = excluded.cosigned_at,
			identity = excluded.identity`,
		l.Link[:], l.Party[:], int64(l.Epoch), l.Size, l.LastTime, l.SignedSize, l.SignedAt, l.CosignedSize,
		l.CosignedAt, int64(l.Identity), orNull(l.CosignedNote))
}

// Logs implements exchange.LedgerTx.
func (t *tx) Logs(ctx context.Context, link statement.LinkID) ([]exchange.Log, error) {
	return list(ctx, t, scanLog, `SELECT `+logColumns+` FROM logs WHERE link = $1 ORDER BY party, epoch`, link[:])
}

// Uncosigned implements exchange.LedgerTx.
func (t *tx) Uncosigned(ctx context.Context, p party.ID) ([]statement.LinkID, error) {
	return list(ctx, t, func(r rows, id *statement.LinkID) error { return r.Scan(fixed{id[:]}) }, `SELECT id FROM links WHERE EXISTS (
		SELECT 1 FROM logs WHERE logs.link = links.id AND logs.party = $1 AND logs.epoch = links.own_epoch AND logs.size > logs.cosigned_size)
		ORDER BY alias`, p[:])
}

// Unwitnessed implements exchange.LedgerTx.
func (t *tx) Unwitnessed(ctx context.Context, p party.ID, witness string) ([]exchange.Link, error) {
	return list(ctx, t, scanLink, `SELECT `+linkColumns+` FROM links WHERE EXISTS (SELECT 1 FROM logs
		WHERE logs.link = links.id AND logs.party = $1 AND logs.epoch = links.own_epoch AND logs.cosigned_size > COALESCE((
			SELECT witnessed.size FROM witnessed
			WHERE witnessed.link = links.id AND witnessed.epoch = links.own_epoch AND witnessed.witness = $2), 0))
		ORDER BY alias`, p[:], witness)
}

// PutWitnessed implements exchange.LedgerTx.
func (t *tx) PutWitnessed(ctx context.Context, w exchange.Witnessed) error {
	return t.write(ctx, `
		INSERT INTO witnessed (link, epoch, witness, size, note, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (link, epoch, witness) DO UPDATE SET size = excluded.size, note = excluded.note, at = excluded.at`,
		w.Link[:], int64(w.Epoch), w.Witness, w.Size, w.Note, w.At)
}

// Witnessed implements exchange.LedgerTx.
func (t *tx) Witnessed(ctx context.Context, link statement.LinkID, epoch uint32) ([]exchange.Witnessed, error) {
	return list(ctx, t, func(r rows, w *exchange.Witnessed) error {
		return r.Scan(fixed{w.Link[:]}, &w.Epoch, &w.Witness, &w.Size, loose{&w.Note}, &w.At)
	}, `SELECT link, epoch, witness, size, note, at FROM witnessed WHERE link = $1 AND epoch = $2 ORDER BY witness`, link[:], int64(epoch))
}

// AppendLeaves implements exchange.LedgerTx. A leaf that is there already is a conflict: a ledger is not rewritten.
func (t *tx) AppendLeaves(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, rows []exchange.LeafRow) error {
	values := make([][]any, len(rows))
	for i := range rows {
		l := &rows[i]
		values[i] = []any{link[:], p[:], int64(epoch), l.Index, orNull(l.Leaf), l.Doc[:], l.Kind, orNull(l.Hashes)}
	}
	return t.insert(ctx, `INSERT INTO leaves (link, party, epoch, idx, leaf, doc, kind, hashes)`, ` ON CONFLICT DO NOTHING`,
		conflict("leaf", "The ledger has another leaf in this place."), values)
}

func scanLeaf(r rows, l *exchange.LeafRow) error {
	return r.Scan(&l.Index, loose{&l.Leaf}, fixed{l.Doc[:]}, &l.Kind)
}

// Leaves implements exchange.LedgerTx.
func (t *tx) Leaves(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, from int64, limit int) ([]exchange.LeafRow, error) {
	return list(ctx, t, scanLeaf, `SELECT idx, leaf, doc, kind FROM leaves
		WHERE link = $1 AND party = $2 AND epoch = $3 AND idx >= $4 ORDER BY idx LIMIT $5`,
		link[:], p[:], int64(epoch), from, int64(limit))
}

// LeafAt implements exchange.LedgerTx. CROSS JOIN has SQLite go by the logs, of which there are few: by the order of epochs it would read
// all leaves.
func (t *tx) LeafAt(ctx context.Context, link statement.LinkID, p party.ID, index int64, kind string, doc envelope.Hash) (epoch uint32, row exchange.LeafRow, err error) {
	return t.leaf(ctx, `SELECT g.epoch, l.idx, l.leaf, l.doc, l.kind FROM logs g CROSS JOIN leaves l
		WHERE g.link = $1 AND g.party = $2 AND l.link = g.link AND l.party = g.party AND l.epoch = g.epoch AND l.idx = $3
			AND l.kind = CAST($4 AS TEXT) AND l.doc = $5 ORDER BY g.epoch LIMIT 1`, link[:], p[:], index, kind, doc[:])
}

// LeafFrom implements exchange.LedgerTx.
func (t *tx) LeafFrom(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, from int64, kind string, doc envelope.Hash) (exchange.LeafRow, error) {
	_, row, err := t.leaf(ctx, `SELECT epoch, idx, leaf, doc, kind FROM leaves
		WHERE link = $1 AND party = $2 AND epoch = $3 AND idx >= $4 AND kind = CAST($5 AS TEXT) AND doc = $6 ORDER BY idx LIMIT 1`,
		link[:], p[:], int64(epoch), from, kind, doc[:])
	return row, err
}

// IdentityLeaf implements exchange.LedgerTx.
func (t *tx) IdentityLeaf(ctx context.Context, link statement.LinkID, p party.ID, doc envelope.Hash) (epoch uint32, row exchange.LeafRow, err error) {
	return t.leaf(ctx, `SELECT epoch, idx, leaf, doc, kind FROM leaves
		WHERE link = $1 AND party = $2 AND doc = $3 AND kind = 'identity' ORDER BY epoch, idx LIMIT 1`, link[:], p[:], doc[:])
}

func (t *tx) leaf(ctx context.Context, query string, args ...any) (epoch uint32, row exchange.LeafRow, err error) {
	row, err = one(ctx, t, "leaf", func(r rows, l *exchange.LeafRow) error {
		return r.Scan(&epoch, &l.Index, loose{&l.Leaf}, fixed{l.Doc[:]}, &l.Kind)
	}, query, args...)
	return epoch, row, err
}

// LeavesAt implements exchange.LedgerTx.
func (t *tx) LeavesAt(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, indexes []int64) (map[int64][]byte, error) {
	found := make(map[int64][]byte, len(indexes))
	err := many(indexes, 3, func(n *int64) any { return *n }, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var index int64
			var leaf []byte
			err := r.Scan(&index, loose{&leaf})
			found[index] = leaf
			return err
		}, `SELECT idx, leaf FROM leaves WHERE link = $1 AND party = $2 AND epoch = $3 AND idx IN `+in,
			append([]any{link[:], p[:], int64(epoch)}, args...)...)
	})
	return found, err
}

// HashReader implements exchange.LedgerTx.
func (t *tx) HashReader(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) tlog.HashReader {
	return storedHashes(func(places []int64, found func(row int64, hashes []byte)) error {
		return many(places, 3, func(n *int64) any { return *n }, func(in string, args []any) error {
			var row int64
			hashes := passing{func(hashes []byte) { found(row, hashes) }}
			return each(ctx, t, func(r rows) error { return r.Scan(&row, hashes) }, `SELECT idx, hashes FROM leaves WHERE link = $1 AND party = $2 AND epoch = $3 AND idx IN `+in,
				append([]any{link[:], p[:], int64(epoch)}, args...)...)
		})
	})
}

// storedHashes reads hashes of a tree from rows of which each holds what its leaf added; read finds rows by their numbers, and gives
// the hashes of each for as long as found runs.
func storedHashes(read func(places []int64, found func(row int64, hashes []byte)) error) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		places := make([]int64, len(indexes))
		first := make(map[int64]int, len(indexes)) // of those that stand in a row
		next := make([]int, len(indexes))          // one that stands in the same row; -1 if none does
		for i, x := range indexes {
			places[i], _ = place(x)
			next[i] = -1
			if other, ok := first[places[i]]; ok {
				next[i] = other
			}
			first[places[i]] = i
		}
		out := make([]tlog.Hash, len(indexes))
		have := make([]bool, len(indexes))
		err := read(places, func(row int64, hashes []byte) {
			at, ok := first[row]
			for ; ok && at >= 0; at = next[at] {
				if _, offset := place(indexes[at]); len(hashes) >= (offset+1)*tlog.HashSize {
					have[at] = true
					copy(out[at][:], hashes[offset*tlog.HashSize:])
				}
			}
		})
		if err != nil {
			return nil, err
		}
		if i := slices.Index(have, false); i >= 0 {
			return nil, fmt.Errorf("tree hash %d, which stands with leaf %d, is missing: %w", indexes[i], places[i], notFound("tree hash"))
		}
		return out, nil
	})
}

// place is where the stored hash x stands, as package ledger has it: hash (level, k) with leaf (k+1)·2^level − 1,
// at offset level.
func place(x int64) (row int64, offset int) {
	level, k := tlog.SplitStoredHashIndex(x)
	return (k+1)<<level - 1, level
}

// PutDocuments implements exchange.LedgerTx.
func (t *tx) PutDocuments(ctx context.Context, ds ...exchange.Document) error {
	at := make(map[envelope.Hash]int, len(ds)) // in values: one statement may not touch a row twice
	values := make([][]any, 0, len(ds))
	for i := range ds {
		d := &ds[i]
		if doubled, ok := at[d.Hash]; ok {
			if values[doubled][4] == nil {
				values[doubled][4] = orNull(encodeSignatures(d.Signatures))
			}
			continue
		}
		at[d.Hash] = len(values)
		values = append(values, []any{d.Hash[:], d.Link[:], d.Type, orNull(d.Payload), orNull(encodeSignatures(d.Signatures))})
	}
	return t.insert(ctx, `INSERT INTO documents (hash, link, type, payload, signatures)`,
		` ON CONFLICT (hash) DO UPDATE SET signatures = excluded.signatures WHERE documents.signatures IS NULL`, nil, values)
}

func scanDocument(r rows, d *exchange.Document) error {
	var signatures []byte
	if err := r.Scan(fixed{d.Hash[:]}, fixed{d.Link[:]}, &d.Type, loose{&d.Payload}, loose{&signatures}); err != nil {
		return err
	}
	var err error
	d.Signatures, err = decodeSignatures(signatures)
	return err
}

// Document implements exchange.LedgerTx.
func (t *tx) Document(ctx context.Context, h envelope.Hash) (exchange.Document, error) {
	return one(ctx, t, "document", scanDocument,
		`SELECT hash, link, type, payload, signatures FROM documents WHERE hash = $1`, h[:])
}

// Documents implements exchange.LedgerTx.
func (t *tx) Documents(ctx context.Context, hs []envelope.Hash) (map[envelope.Hash]exchange.Document, error) {
	out := make(map[envelope.Hash]exchange.Document, len(hs))
	err := many(hs, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var d exchange.Document
			err := scanDocument(r, &d)
			out[d.Hash] = d
			return err
		}, `SELECT hash, link, type, payload, signatures FROM documents WHERE hash IN `+in, args...)
	})
	return out, err
}

// UnsignedDocuments implements exchange.LedgerTx.
func (t *tx) UnsignedDocuments(ctx context.Context, after envelope.Hash, limit int) ([]exchange.Document, error) {
	return list(ctx, t, scanDocument, `SELECT hash, link, type, payload, signatures FROM documents
		WHERE signatures IS NULL AND hash > $1 ORDER BY hash LIMIT $2`, after[:], int64(limit))
}

// encodeSignatures writes each signature as two length-prefixed strings: key id, signature. None is nil.
func encodeSignatures(ss []envelope.Signature) []byte {
	var b []byte
	for _, s := range ss {
		b = binary.AppendUvarint(b, uint64(len(s.KeyID)))
		b = append(b, s.KeyID...)
		b = binary.AppendUvarint(b, uint64(len(s.Sig)))
		b = append(b, s.Sig...)
	}
	return b
}

var errSignatures = errors.New("a row's signatures are cut short")

func decodeSignatures(b []byte) ([]envelope.Signature, error) {
	var out []envelope.Signature
	next := func() ([]byte, error) {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return nil, errSignatures
		}
		part := b[used : used+int(n)]
		b = b[used+int(n):]
		return part, nil
	}
	for len(b) > 0 {
		id, err := next()
		if err != nil {
			return nil, err
		}
		sig, err := next()
		if err != nil {
			return nil, err
		}
		out = append(out, envelope.Signature{KeyID: string(id), Sig: sig})
	}
	return out, nil
}
