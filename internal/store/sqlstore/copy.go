package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"entente/internal/fault"
)

// CellType is how the cells of a column are written in a backup.
type CellType byte

// The types of cells. Bytes may be nil.
const (
	Integer CellType = 'i' // int64
	Text    CellType = 't' // string
	Bytes   CellType = 'b' // []byte
)

// Column is one column of a table.
type Column struct {
	Name string
	Type CellType
}

// Table is what a backup holds of one table.
type Table struct {
	Name    string
	Columns []Column
	Key     bool // of the keys, which are kept apart from the data
	from    string
}

// Tables are those that a backup holds, in its order. Segments that are still arriving are not among them, nor
// what the peer has sealed for us: it is dropped once it was opened, and a backup that kept it would undo an
// erasure.
func Tables() []Table {
	return []Table{
		table("meta", "key t, value b"),
		table("identities", "party b, version i, envelope b"),
		table("identity_forks", "party b, hash b, version i, envelope b"),
		table("links", "id b, alias t, peer b, endpoint t, inviter i, agreement b, created i, own_epoch i, peer_epoch i"),
		table("agreements", "link b, hash b, data b"),
		table("invitations", "token_hash b, alias t, agreement b, nonce b, expires i, state t, link b"),
		table("lanes", "link b, author b, epoch i, lane t, last i, last_header b, contiguous i, settled i, folded i"),
		table("parcels", "id b, link b, author b, epoch i, lane t, lane_rank i, seq i, file i, header b, text b, state t, live i, reason t, "+
			"sent_index i, got_index i, seen_epoch i, seen_seq i, received i, created i, expires i, stale i, verdict t, segments i, "+
			"length i, blob t, attempts i, next_try i"),
		{
			Name: "parcel_contents", Columns: []Column{{"parcel", Bytes}, {"content", Bytes}},
			from: `parcel_contents WHERE parcel IN (SELECT p.id FROM parcels p JOIN links l ON l.id = p.link WHERE p.author <> l.peer)`,
		},
		table("withholdings", "parcel b, link b, data b"),
		table("receipts", "hash b, link b, author b, kind t, header b, parcel b, lane t, epoch i, seq i, contiguous_to i, at i, idx i, log i, unsent i"),
		table("statements", "commitment b, link b, author b, lane t, epoch i, seq i, thread b, kind t, authored i, text b, text_salt b, parcel b, erased i"),
		table("statement_bodies", "commitment b, sealed b"),
		table("files", "statement b, position i, link b, author b, parcel b, size i, state t, blob t, floe b, keys b, reason t"),
		table("columns", "link b, thread b, author b, epoch i, seq i, lane t, room t, data b"),
		table("requests", "thread b, link b, number t, kind t, requesting b, requested b, ours i, urgency t, status t, received i, changed i, quiet i, tally b"),
		table("dues", "thread b, step t, link b, owes b, ours i, desk t, urgency t, since i, at i, escalate i"),
		table("calls", "thread b, link b, level t, kind t, urgency t, calling b, called b, ours i, status t, desk t, request t, received i, since i, "+
			"answer_by i, answered i, changed i"),
		table("obligations", "thread b, source b, duty t, owes b, link b, since i, ends i, state t, proof t, formal t"),
		table("warned", "thread b, ends i, days i"),
		table("holds", "thread b, link b, reason t, who t, at i"),
		table("numbers", "series t, last i"),
		table("logs", "link b, party b, epoch i, size i, last_time i, signed_size i, signed_at i, cosigned_size i, cosigned_note b, cosigned_at i, identity i"),
		table("witnessed", "link b, epoch i, witness t, size i, note b, at i"),
		table("leaves", "link b, party b, epoch i, idx i, leaf b, doc b, kind t, hashes b"),
		table("documents", "hash b, link b, type t, payload b, signatures b"),
		table("evidence", "id i, link b, kind t, at i, note t, data b, digest b"),
		table("audits", "id i, at i, who t, act t, object t, hashes b"),
		table("members", "name t, roles t, created i, suspended i, salt b, secret b, failures i, locked i"),
		table("tokens", "id t, hash b, member t, scopes t, note t, created i, expires i, revoked i, used i"),
		table("webhooks", "id t, url t, types t, private i, ca b, note t, created i, secret b, former b, former_until i, failures i, failing i, next_try i, "+
			"code t, disabled i, why t"),
		table("deliveries", "hook t, id t, type t, body b, state t, created i, attempts i, next_try i, ended i, status i, code t"),
		table("told", "thread b, step t, at i"),
		table("drafts", "id t, link b, kind t, thread b, urgency t, writer t, writers t, state t, need t, version i, digest b, created i, changed i, "+
			"statement b, broken t, countersign t, open i"),
		table("draft_bodies", "draft t, sealed b"),
		table("draft_files", "draft t, position i, blob t"),
		table("reviews", "id i, draft t, version i, who t, verdict t, note t, at i"),
		table("cases", "id t, number t, state t, opened i, changed i, entries i, threads i, sealed b"),
		table("case_entries", "case_id t, n i, kind t, at i, who t, due i, done i, done_by t, thread b, link b, sealed b"),
		{
			Name: "asked", Key: true, from: "asked", // with the keys, so that an erasure reaches it in older backups too
			Columns: []Column{{"mark", Bytes}, {"thread", Bytes}, {"number", Text}, {"at", Integer}},
		},
		{Name: "case_keys", Key: true, from: "case_keys", Columns: []Column{{"case_id", Text}, {"wrapped", Bytes}}},
		{Name: "draft_keys", Key: true, from: "draft_keys", Columns: []Column{{"draft", Text}, {"wrapped", Bytes}}},
		{Name: "statement_keys", Key: true, from: "statement_keys", Columns: []Column{{"commitment", Bytes}, {"wrapped", Bytes}}},
	}
}

// table reads a list of columns with their types.
func table(name, columns string) Table {
	t := Table{Name: name, from: name}
	for part := range strings.SplitSeq(columns, ", ") {
		column, kind, _ := strings.Cut(part, " ")
		t.Columns = append(t.Columns, Column{column, CellType(kind[0])})
	}
	return t
}

func (t Table) names() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Snapshot reads whole tables as they are at one moment.
type Snapshot struct{ t *tx }

// Snapshot runs f with a snapshot of everything.
func (s *Store) Snapshot(ctx context.Context, f func(*Snapshot) error) error {
	return s.db.read(ctx, func(c conn) error { return f(&Snapshot{&tx{c: c}}) })
}

// Rows calls f with each row of a table: an int64, a string or a []byte per column. The slice is used again for
// the next row; the bytes in it are not.
func (s *Snapshot) Rows(ctx context.Context, t Table, f func(cells []any) error) error {
	integers, texts, blobs := make([]int64, len(t.Columns)), make([]string, len(t.Columns)), make([][]byte, len(t.Columns))
	dest, cells := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i, c := range t.Columns {
		dest[i] = map[CellType]any{Integer: &integers[i], Text: &texts[i], Bytes: loose{&blobs[i]}}[c.Type]
	}
	return each(ctx, s.t, func(r rows) error {
		if err := errors.Join(ctx.Err(), r.Scan(dest...)); err != nil {
			return err
		}
		for i, c := range t.Columns {
			switch c.Type {
			case Integer:
				cells[i] = integers[i]
			case Text:
				cells[i] = texts[i]
			case Bytes:
				cells[i] = blobs[i]
			}
		}
		return f(cells)
	}, `SELECT `+t.names()+` FROM `+t.from)
}

// Loader fills an empty database.
type Loader struct {
	t       *tx
	inserts map[string]string
	waiting int // bytes not yet sent
}

// loadChunk is about how many bytes of rows are held back before they are sent.
const loadChunk = 1 << 20

// Load runs f in one transaction of a database that must be empty; it keeps all or nothing. f is run once.
func (s *Store) Load(ctx context.Context, f func(*Loader) error) error {
	ran := false
	return s.committer.submit(ctx, 0, func(c conn) error {
		if ran {
			return fmt.Errorf("loading cannot be run again: %w", errClosed)
		}
		ran = true
		t := &tx{c: c}
		defer t.over.Store(true)
		for _, table := range Tables() {
			if _, err := one(ctx, t, "row", func(r rows, n *int64) error { return r.Scan(n) }, `SELECT 1 FROM `+table.Name+` LIMIT 1`); err == nil {
				return fault.New(fault.Conflict, "not_empty", "The database is not empty; restore into a new one.")
			} else if fault.KindOf(err) != fault.NotFound {
				return err
			}
		}
		return f(&Loader{t: t, inserts: map[string]string{}})
	})
}

// Row inserts a row as Rows gave it.
func (l *Loader) Row(ctx context.Context, t Table, cells []any) error {
	insert, ok := l.inserts[t.Name]
	if !ok {
		insert = `INSERT INTO ` + t.Name + ` (` + t.names() + `) VALUES ` + placeholders(0, len(t.Columns))
		l.inserts[t.Name] = insert
	}
	args := slices.Clone(cells)
	for i, a := range args {
		switch a := a.(type) {
		case []byte:
			l.waiting += len(a)
			args[i] = orNull(a)
		case string:
			l.waiting += len(a)
		}
	}
	if err := l.t.write(ctx, insert, args...); err != nil {
		return err
	}
	if l.waiting += 8 * len(args); l.waiting < loadChunk {
		return nil
	}
	l.waiting = 0
	return l.t.c.flush(ctx)
}

// SetMeta sets a meta key, beside what was loaded.
func (l *Loader) SetMeta(ctx context.Context, key string, value []byte) error {
	return l.t.SetMeta(ctx, key, value)
}

// BlobNames lists the names of blobs above after that rows refer to, in order, up to limit, without those of files that are being
// erased. Those that hold what
// the peer has sealed for us are outside of BackupBlobs.
func (s *Store) BlobNames(ctx context.Context, scope BlobScope, after string, limit int) ([]string, error) {
	var names []string
	err := s.db.read(ctx, func(c conn) error {
		t := &tx{c: c}
		for _, from := range []string{`files WHERE state <> 'erasing' AND `, `draft_files WHERE `, scope.parcels()} {
			part, err := list(ctx, t, func(r rows, name *string) error { return r.Scan(name) },
				`SELECT DISTINCT blob FROM `+from+`blob <> '' AND blob > $1 ORDER BY blob LIMIT $2`, after, int64(limit))
			if err != nil {
				return err
			}
			names = append(names, part...)
		}
		return nil
	})
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), limit)], err
}

// BlobScope says which blobs are meant.
type BlobScope int

// The scopes: all that rows refer to, and those that a backup holds.
const (
	AllBlobs BlobScope = iota
	BackupBlobs
)

func (s BlobScope) parcels() string {
	if s == AllBlobs {
		return `parcels WHERE `
	}
	return `parcels WHERE author <> (SELECT l.peer FROM links l WHERE l.id = parcels.link) AND `
}
