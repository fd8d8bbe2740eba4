// Package sqlstore is all the SQL of the node: one text per query for SQLite and PostgreSQL, one file per group
// of tables, and the one committer that groups acts into durable commits.
//
// It promises that Update is serializable and answers only when the commit is durable, that an act which fails
// or panics leaves nothing behind and spoils no other act of its group, and that View reads one snapshot. It
// refuses to decide: which rows belong together, and what they mean, is for the rooms.
package sqlstore

import (
	"context"
	"fmt"
	"math/bits"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"

	"entente/internal/fault"
	"entente/internal/flow"
)

// Store is an open database. Safe for concurrent use.
type Store struct {
	db        database
	committer *committer

	unscrubbed atomic.Bool // a key was erased, and what older pages hold of it is still there
}

// database is one of the two databases.
type database interface {
	// read runs f with one read-only snapshot.
	read(ctx context.Context, f func(conn) error) error
	// writer hands out the one session that writes; done gives it back. Only the committer calls it.
	writer(ctx context.Context) (s session, done func(), err error)
	// check looks for damage.
	check(ctx context.Context) error
	// scrub removes from files what commits have overwritten or deleted, where it can; done says whether it could now.
	scrub(ctx context.Context) (done bool, err error)
	name() string
	close() error
}

// OpenSQLite opens or makes the database file at path and brings its tables up to date. readers is the size of
// the pool of readers; 0 chooses one.
func OpenSQLite(ctx context.Context, path string, readers int) (*Store, error) {
	db, err := openSQLite(ctx, path, readers)
	if err != nil {
		return nil, err
	}
	return start(db), nil
}

// OpenPostgres connects to a PostgreSQL server (15 or newer) and brings its tables up to date.
func OpenPostgres(ctx context.Context, url string) (*Store, error) {
	db, err := openPostgres(ctx, url)
	if err != nil {
		return nil, err
	}
	return start(db), nil
}

func start(db database) *Store {
	s := &Store{db: db, committer: newCommitter(db)}
	go s.committer.loop()
	return s
}

// Close waits for the acts that have begun, refuses the others and closes the database.
func (s *Store) Close() error {
	s.committer.close()
	return s.db.close()
}

// Name is the kind of database: "sqlite" or "postgres".
func (s *Store) Name() string { return s.db.name() }

// Check looks for damage: all of a SQLite file is read; a PostgreSQL server is asked whether it answers.
func (s *Store) Check(ctx context.Context) error { return s.db.check(ctx) }

// View runs f with one consistent snapshot; a write in it is refused.
func (s *Store) View(ctx context.Context, f func(flow.Tx) error) error {
	return s.db.read(ctx, func(c conn) error { return caught(func() error { return runAct(c, f) }) })
}

// Update runs f in a serializable transaction, possibly more than once and together with other acts, and returns
// when the outcome is durable. When ctx ends before f has begun, f never runs. An Update inside an Update waits
// for itself: it must not be done.
//
// After an act that erased a key, what older pages of the database still hold of it is removed too, at once or
// after one of the next acts.
func (s *Store) Update(ctx context.Context, p flow.Priority, f func(flow.Tx) error) error {
	var erased atomic.Bool
	err := s.committer.submit(ctx, p, func(c conn) error {
		return runAct(c, func(t flow.Tx) error {
			err := f(t)
			if t.(*tx).erased {
				erased.Store(true)
			}
			return err
		})
	})
	if err == nil && erased.Load() {
		s.unscrubbed.Store(true)
	}
	if s.unscrubbed.CompareAndSwap(true, false) { // one caller tries at a time
		if done, failed := s.db.scrub(context.WithoutCancel(ctx)); !done || failed != nil {
			s.unscrubbed.Store(true)
		}
	}
	return err
}

// runAct gives f a transaction that ends with it, so that a tx that escapes its closure cannot touch another's.
func runAct(c conn, f func(flow.Tx) error) error {
	t := &tx{c: c}
	defer t.over.Store(true)
	return f(t)
}

// caught runs f and turns a panic into an error.
func caught(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.Wrap(fault.Internal, "panic", "The node failed at this act; nothing of it was kept.",
				fmt.Errorf("panic in an act: %v\n%s", v, debug.Stack()))
		}
	}()
	return f()
}

// tx is one act's transaction; it implements flow.Tx, in one file per group of tables.
type tx struct {
	c      conn
	over   atomic.Bool
	erased bool // a key was erased
}

func (t *tx) alive(ctx context.Context) error {
	if t.over.Load() {
		return fault.New(fault.Internal, "transaction_over", "A transaction was used after its end.")
	}
	return ctx.Err()
}

// write runs a statement whose effect need not be known at once; it may surface an error later in the act.
func (t *tx) write(ctx context.Context, query string, args ...any) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	return t.c.write(ctx, 0, nil, query, args...)
}

// writeOr is write, and the act fails with none if no row was touched.
func (t *tx) writeOr(ctx context.Context, none error, query string, args ...any) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	return t.c.write(ctx, 1, none, query, args...)
}

// rowsMax is the most rows of one INSERT. It is a power of two, as the numbers below it are, so that few different
// texts are prepared.
const rowsMax = 64

// insert inserts rows by as few statements as can be: head is what stands before VALUES, and tail what stands after the
// rows. If few is not nil and a row is not taken, the act fails with it.
func (t *tx) insert(ctx context.Context, head, tail string, few error, rows [][]any) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	for len(rows) > 0 {
		n := 1 << min(bits.Len(uint(len(rows)))-1, bits.Len(rowsMax)-1)
		columns, least := len(rows[0]), int64(0)
		if few != nil {
			least = int64(n)
		}
		text := make([]byte, 0, len(head)+len(tail)+6*n*columns)
		text = append(append(text, head...), ` VALUES `...)
		args := make([]any, 0, n*columns)
		for i, row := range rows[:n] {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, placeholders(len(args), columns)...)
			args = append(args, row...)
		}
		rows = rows[n:]
		if err := t.c.write(ctx, least, few, string(append(text, tail...)), args...); err != nil {
			return err
		}
	}
	return nil
}

// in runs a statement for keys, by as few statements as can be: query ends where the list of the keys begins, and fixed
// are its first arguments. If few is not nil and one of the keys, which must differ then, touches no row, the act fails with it.
func in[K any](ctx context.Context, t *tx, arg func(*K) any, keys []K, few error, query string, fixed ...any) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(keys, manyMax) {
		err := many(part, len(fixed), arg, func(list string, args []any) error {
			least := int64(0)
			if few != nil {
				least = int64(len(part))
			}
			return t.c.write(ctx, least, few, query+list, append(slices.Clone(fixed), args...)...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// exec runs a statement once per list of arguments, at once, and returns how many rows each touched.
func (t *tx) exec(ctx context.Context, query string, argss ...[]any) ([]int64, error) {
	if err := t.alive(ctx); err != nil {
		return nil, err
	}
	return t.c.exec(ctx, query, argss)
}

// each calls scan for every row of a query.
func each(ctx context.Context, t *tx, scan func(rows) error, query string, args ...any) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	r, err := t.c.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := scan(r); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
	}
	return r.Err()
}

// list collects the rows of a query.
func list[T any](ctx context.Context, t *tx, scan func(rows, *T) error, query string, args ...any) ([]T, error) {
	var out []T
	err := each(ctx, t, func(r rows) error {
		var v T
		if err := scan(r, &v); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, query, args...)
	return out, err
}

// one reads a single row; without one it gives a fault of kind NotFound about what.
func one[T any](ctx context.Context, t *tx, what string, scan func(rows, *T) error, query string, args ...any) (T, error) {
	all, err := list(ctx, t, scan, query, args...)
	if err != nil {
		var zero T
		return zero, err
	}
	if len(all) == 0 {
		var zero T
		return zero, notFound(what)
	}
	return all[0], nil
}

func notFound(what string) error {
	return fault.New(fault.NotFound, "not_found", "There is no such "+what+" here.")
}

func conflict(code, public string) error { return fault.New(fault.Conflict, code, public) }

// manyMax is the longest list of values in one query; longer ones are asked in parts.
const manyMax = 512

// many calls ask with parts of keys, each with the text of a list of placeholders that starts after the first
// fixed ones, and the arguments for it. Lists are padded by their last value to a power of two, so that few
// different texts are prepared.
func many[K any](keys []K, fixed int, arg func(*K) any, ask func(in string, args []any) error) error {
	for len(keys) > 0 {
		part := keys[:min(len(keys), manyMax)]
		keys = keys[len(part):]
		size := 1
		for size < len(part) {
			size *= 2
		}
		args := make([]any, size)
		for i := range args {
			args[i] = arg(&part[min(i, len(part)-1)])
		}
		if err := ask(placeholders(fixed, size), args); err != nil {
			return err
		}
	}
	return nil
}

func placeholders(fixed, n int) string {
	b := append(make([]byte, 0, 6*n+1), '(')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, '$'), int64(fixed+i+1), 10)
	}
	return string(append(b, ')'))
}
