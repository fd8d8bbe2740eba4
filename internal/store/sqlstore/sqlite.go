package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"entente/internal/fault"
)

// sqliteDB is a SQLite file: one connection that writes and a few that read snapshots beside it (WAL).
type sqliteDB struct {
	writing, reading *sql.DB
	w                *sqliteConn
	readers          chan *sqliteConn
}

// pragmas are set on every connection and asserted at open, because the driver ignores settings that it does not
// know. secure_delete overwrites erased keys; FULL makes each commit durable in WAL mode; temp_store keeps what a
// savepoint needs for going back out of files. cache is the most memory for pages, in KiB.
func pragmas(cache int) []pragma {
	pages := strconv.Itoa(-cache) // in KiB, if negative
	return []pragma{
		{"journal_mode", "WAL", "wal"},
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "1", "1"},
		{"busy_timeout", strconv.Itoa(busyTimeout), strconv.Itoa(busyTimeout)},
		{"secure_delete", "1", "1"},
		{"trusted_schema", "0", "0"},
		{"cache_size", pages, pages},
		{"journal_size_limit", "67108864", "67108864"},
		{"wal_autocheckpoint", "4000", "4000"},
		{"temp_store", "MEMORY", "2"},
	}
}

type pragma struct{ name, set, got string }

// The caches, in KiB. That of a reader is emptied whenever the writer has committed, so that a large one serves none but a node
// at rest, where it would be most of the memory.
const (
	writerCache = 24 << 10
	readerCache = 6 << 10
)

// busyTimeout is how many milliseconds a connection waits for a lock.
const busyTimeout = 10000

func sqliteURL(path string, cache int, extra ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range pragmas(cache) {
		q.Add("_pragma", p.name+"("+p.set+")")
	}
	for _, e := range extra {
		q.Add("_pragma", e)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func openSQLite(ctx context.Context, path string, readers int) (_ *sqliteDB, err error) {
	if readers <= 0 {
		readers = max(4, runtime.GOMAXPROCS(0))
	}
	db := &sqliteDB{readers: make(chan *sqliteConn, readers)}
	defer func() {
		if err != nil {
			_ = db.close()
		}
	}()
	if err := private(path); err != nil {
		return nil, notOpened(err)
	}
	if db.writing, err = sql.Open("sqlite", sqliteURL(path, writerCache)); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	db.writing.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, db.writing); err != nil {
		return nil, notOpened(sqliteDamage(err))
	}
	if db.w, err = newSQLiteConn(ctx, db.writing, writerCache); err != nil {
		return nil, err
	}
	if _, err := db.w.scrub(ctx); err != nil { // a crash may have come between an erasure and this
		return nil, fmt.Errorf("clearing the write-ahead log: %w", err)
	}
	if db.reading, err = sql.Open("sqlite", sqliteURL(path, readerCache, "query_only(1)")); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	db.reading.SetMaxOpenConns(readers)
	for range readers {
		c, err := newSQLiteConn(ctx, db.reading, readerCache)
		if err != nil {
			return nil, err
		}
		c.readOnly = true
		db.readers <- c
	}
	return db, nil
}

func newSQLiteConn(ctx context.Context, db *sql.DB, cache int) (*sqliteConn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", sqliteFault(err))
	}
	for _, p := range pragmas(cache) {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&got); err != nil {
			return nil, fmt.Errorf("reading the setting %s: %w", p.name, sqliteFault(err))
		}
		if !strings.EqualFold(got, p.got) {
			return nil, fmt.Errorf("the database has %s = %s, want %s", p.name, got, p.got)
		}
	}
	return &sqliteConn{conn: conn, prepared: map[string]*sql.Stmt{}}, nil
}

func (db *sqliteDB) name() string { return "sqlite" }

func (db *sqliteDB) writer(context.Context) (session, func(), error) {
	return db.w, func() {}, nil
}

func (db *sqliteDB) read(ctx context.Context, f func(conn) error) error {
	var c *sqliteConn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.readers <- c }()
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.rollback(ctx)
	return f(c)
}

// scrubPatience is how many milliseconds scrub waits for those who read and write meanwhile.
const scrubPatience = 250

// scrub moves the write-ahead log into the database and cuts it to nothing: until then it holds erased keys, in the pages
// of before. The database itself holds none, by secure_delete. It cannot be done while a reader has an old snapshot open.
func (db *sqliteDB) scrub(ctx context.Context) (done bool, err error) {
	var c *sqliteConn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { db.readers <- c }()
	return c.scrub(ctx)
}

func (c *sqliteConn) scrub(ctx context.Context) (done bool, err error) {
	patience := func(ms int) error {
		_, err := c.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", ms))
		return err
	}
	if err := patience(scrubPatience); err != nil {
		return false, sqliteFault(err)
	}
	var busy, pages, moved int
	err = c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err = errors.Join(err, patience(busyTimeout)); err != nil {
		return false, sqliteFault(err)
	}
	return busy == 0, nil
}

func (db *sqliteDB) check(ctx context.Context) error {
	return db.read(ctx, func(c conn) error {
		r, err := c.query(ctx, "PRAGMA quick_check(10)")
		if err != nil {
			return err
		}
		defer r.Close()
		var found []string
		for r.Next() {
			var line string
			if err := r.Scan(&line); err != nil {
				return err
			}
			if line != "ok" {
				found = append(found, line)
			}
		}
		if len(found) > 0 {
			return fmt.Errorf("the database file is damaged: %s", strings.Join(found, "; "))
		}
		return r.Err()
	})
}

func (db *sqliteDB) close() error {
	var errs []error
	for range len(db.readers) {
		c := <-db.readers
		errs = append(errs, c.conn.Close())
	}
	if db.w != nil {
		errs = append(errs, db.w.conn.Close())
	}
	if db.reading != nil {
		errs = append(errs, db.reading.Close())
	}
	if db.writing != nil {
		errs = append(errs, db.writing.Close())
	}
	return errors.Join(errs...)
}

// sqliteConn is one connection with its prepared statements. Statements run without the caller's context: an
// interrupt in the midst of one would undo the whole transaction, with the other acts in it. A context that has
// ended is noticed between statements instead.
type sqliteConn struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	readOnly bool
	lost     error // what lost the act
}

// nameless writes $1, $2 … as ? where they stand in their order and each once. SQLite takes the others for names, and
// binding one by its number walks through all: hundreds of rows in one statement would take the square of that.
func nameless(query string) string {
	text := make([]byte, 0, len(query))
	n := 0
	for i := 0; i < len(query); i++ {
		if query[i] != '$' {
			text = append(text, query[i])
			continue
		}
		number := 0
		for ; i+1 < len(query) && '0' <= query[i+1] && query[i+1] <= '9'; i++ {
			number = 10*number + int(query[i+1]-'0')
		}
		if n++; number != n {
			return query
		}
		text = append(text, '?')
	}
	return string(text)
}

func (c *sqliteConn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.prepared[query]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(context.Background(), nameless(query))
	if err != nil {
		return nil, fmt.Errorf("preparing %.60q: %w", query, err)
	}
	c.prepared[query] = s
	return s, nil
}

// run executes one statement, whatever went before.
func (c *sqliteConn) run(query string, args ...any) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, sqliteFault(err)
	}
	res, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, sqliteFault(fmt.Errorf("running %.60q: %w", query, err))
	}
	return res.RowsAffected()
}

func (c *sqliteConn) write(_ context.Context, least int64, few error, query string, args ...any) error {
	if c.lost != nil {
		return c.lost
	}
	n, err := c.run(query, args...)
	if err == nil && n < least {
		err = few
	}
	c.lost = err
	return err
}

func (c *sqliteConn) exec(_ context.Context, query string, argss [][]any) ([]int64, error) {
	touched := make([]int64, len(argss))
	for i, args := range argss {
		if c.lost != nil {
			return nil, c.lost
		}
		touched[i], c.lost = c.run(query, args...)
	}
	return touched, c.lost
}

func (c *sqliteConn) query(_ context.Context, query string, args ...any) (rows, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	s, err := c.prepare(query)
	if err != nil {
		c.lost = sqliteFault(err)
		return nil, c.lost
	}
	r, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		c.lost = sqliteFault(fmt.Errorf("running %.60q: %w", query, err))
		return nil, c.lost
	}
	return &sqliteRows{Rows: r, c: c}, nil
}

func (c *sqliteConn) flush(context.Context) error { return c.lost }

func (c *sqliteConn) begin(context.Context) error {
	c.lost = nil
	text := "BEGIN IMMEDIATE"
	if c.readOnly {
		text = "BEGIN DEFERRED"
	}
	_, err := c.run(text)
	return err
}

func (c *sqliteConn) savepoint(context.Context) error {
	_, err := c.run("SAVEPOINT act")
	return err
}

func (c *sqliteConn) release(context.Context) error {
	_, err := c.run("RELEASE act")
	return err
}

func (c *sqliteConn) undo(context.Context) error {
	c.lost = nil
	if _, err := c.run("ROLLBACK TO act"); err != nil {
		return err
	}
	_, err := c.run("RELEASE act")
	return err
}

func (c *sqliteConn) commit(context.Context) error {
	_, err := c.run("COMMIT")
	return err
}

// rollback ends the transaction. SQLite may have ended it already, as when the disk is full; that is no error.
func (c *sqliteConn) rollback(context.Context) {
	c.lost = nil
	_, _ = c.run("ROLLBACK")
}

// sqliteRows makes the error of a row's reading lose the act, as any other.
type sqliteRows struct {
	*sql.Rows
	c *sqliteConn
}

func (r *sqliteRows) Err() error {
	err := sqliteFault(r.Rows.Err())
	if err != nil {
		r.c.lost = err
	}
	return err
}

func (r *sqliteRows) Close() { _ = r.Rows.Close() }

// sqliteFault gives a driver's error its kind and code.
func sqliteFault(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) {
		return diskFull(err)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return unavailable(err)
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return doubled(err)
	}
	if e.Code()&0xff == sqlite3.SQLITE_FULL {
		return diskFull(err)
	}
	if err := sqliteDamage(err); fault.CodeOf(err) == "database_damaged" {
		return err
	}
	return unavailable(err)
}

// sqliteDamage gives an error that tells of a damaged file its kind, and leaves others as they are.
func sqliteDamage(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB) {
		return damaged(err)
	}
	return err
}

// private makes a new database a file that only its owner can read: SQLite gives the files beside it the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}
