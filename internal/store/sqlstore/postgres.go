package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"entente/internal/fault"
)

// postgresDB is a PostgreSQL database behind a pool of connections.
type postgresDB struct {
	pool *pgxpool.Pool
	hold *hold
}

const (
	// poolMax is the size of the pool unless the URL gives one (pool_max_conns).
	poolMax = 10
	// connectTimeout bounds an attempt to connect unless the URL gives another (connect_timeout).
	connectTimeout = 10 * time.Second
	// postgresMin is the oldest server that is supported, as server_version_num has it.
	postgresMin = 150000
)

func openPostgres(ctx context.Context, url string) (*postgresDB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the database's URL: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = poolMax
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	// An answer promises durability, whatever the server's default is.
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	config.ConnConfig.RuntimeParams["application_name"] = "entente"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", postgresFault(err))
	}
	db := &postgresDB{pool: pool}
	if err := db.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.close())
	}
	return db, nil
}

// prepare asserts what the store relies on and brings the tables up to date.
func (db *postgresDB) prepare(ctx context.Context) error {
	var version int
	var encoding string
	err := db.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding')`).
		Scan(&version, &encoding)
	if err != nil {
		return unreachable(err)
	}
	if version < postgresMin || encoding != "UTF8" {
		return fault.New(fault.Conflict, "database_server", fmt.Sprintf(
			"The database server has version %d, and the database the encoding %s; a node needs PostgreSQL 15 or newer, and UTF8.", version/10000, encoding))
	}
	if db.hold, err = db.takeHold(ctx); err != nil {
		return err
	}
	std := stdlib.OpenDBFromPool(db.pool)
	err = migratePostgres(ctx, std)
	if err = errors.Join(err, std.Close()); err != nil {
		return notOpened(err)
	}
	return nil
}

func (db *postgresDB) name() string { return "postgres" }

// scrub has nothing that it could do: when the server writes over dead rows and its log is the server's matter, which
// docs/operate.md tells the operator.
func (db *postgresDB) scrub(context.Context) (done bool, err error) { return true, nil }

func (db *postgresDB) close() error {
	db.pool.Close()
	if db.hold == nil {
		return nil
	}
	return db.hold.release()
}

func (db *postgresDB) check(ctx context.Context) error {
	return db.read(ctx, func(c conn) error {
		r, err := c.query(ctx, `SELECT COUNT(*) FROM links`)
		if err != nil {
			return err
		}
		defer r.Close()
		for r.Next() {
		}
		return r.Err()
	})
}

func (db *postgresDB) read(ctx context.Context, f func(conn) error) error {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return postgresFault(err)
	}
	defer pooled.Release()
	c := &postgresConn{conn: pooled.Conn(), readOnly: true}
	c.queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	defer c.rollback(ctx)
	return f(c)
}

func (db *postgresDB) writer(ctx context.Context) (session, func(), error) {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, postgresFault(err)
	}
	return &postgresConn{conn: pooled.Conn(), holder: db.hold.token, mark: -1}, pooled.Release, nil
}

// pending is a statement that waits to be sent. Control statements (BEGIN, SAVEPOINT) wait for the first that does something.
type pending struct {
	least int64 // rows that it must touch
	few   error // when it does not
	query string
	args  []any
}

// postgresConn is a connection with what waits to be sent: writes go out together with the next read, or at the
// end of the act, so that an act costs as many round trips as it reads.
type postgresConn struct {
	conn     *pgx.Conn
	readOnly bool
	holder   string // the writer's: the token of this process
	waiting  []pending
	writes   int   // how many of those waiting are an act's
	mark     int   // where among those waiting the savepoint stands; -1 when it was sent
	lost     error // what lost the act
}

func (c *postgresConn) queue(query string, args ...any) {
	c.waiting = append(c.waiting, pending{query: query, args: args})
}

func (c *postgresConn) write(_ context.Context, least int64, few error, query string, args ...any) error {
	if c.lost == nil && c.readOnly {
		c.lost = errReadOnly
	}
	if c.lost != nil {
		return c.lost
	}
	c.waiting = append(c.waiting, pending{least, few, query, args})
	c.writes++
	return nil
}

// ctx is the context of statements: a reader's own. For the writer there is none, because a context that ends in
// the midst of a statement closes the connection, with the other acts in its transaction.
func (c *postgresConn) ctx(ctx context.Context) context.Context {
	if c.readOnly {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// send sends what waits and more, and hands the results of more to take, if it is not nil.
func (c *postgresConn) send(ctx context.Context, more int, take func(pgx.BatchResults) error) error {
	sent := c.waiting
	c.waiting, c.writes, c.mark = nil, 0, -1
	batch := &pgx.Batch{}
	for _, s := range sent {
		batch.Queue(s.query, s.args...)
	}
	results := c.conn.SendBatch(ctx, batch)
	for _, s := range sent[:len(sent)-more] {
		tag, err := results.Exec()
		if err != nil {
			failed := postgresFault(errors.Join(fmt.Errorf("running %.60q: %w", s.query, err), results.Close()))
			if c.lost == nil || errors.Is(failed, errSerialization) { // what went wrong first says why the rest did
				c.lost = failed
			}
			return c.lost
		}
		if tag.RowsAffected() < s.least && c.lost == nil {
			c.lost = s.few
		}
	}
	if c.lost != nil || take == nil {
		if err := results.Close(); err != nil {
			c.lost = postgresFault(err)
		}
		return c.lost
	}
	return take(results)
}

func (c *postgresConn) exec(ctx context.Context, query string, argss [][]any) ([]int64, error) {
	if c.lost == nil && c.readOnly {
		c.lost = errReadOnly
	}
	if c.lost != nil {
		return nil, c.lost
	}
	for _, args := range argss {
		c.queue(query, args...)
	}
	touched := make([]int64, len(argss))
	err := c.send(c.ctx(ctx), len(argss), func(results pgx.BatchResults) error {
		var failed error
		for i := range touched {
			tag, err := results.Exec()
			if err != nil {
				failed = fmt.Errorf("running %.60q: %w", query, err)
				break
			}
			touched[i] = tag.RowsAffected()
		}
		if err := results.Close(); failed == nil {
			failed = err
		}
		c.lost = postgresFault(failed)
		return c.lost
	})
	return touched, err
}

func (c *postgresConn) query(ctx context.Context, query string, args ...any) (rows, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	ctx = c.ctx(ctx)
	if len(c.waiting) == 0 {
		r, err := c.conn.Query(ctx, query, args...)
		if err != nil {
			c.lost = postgresFault(err)
			return nil, c.lost
		}
		return &postgresRows{Rows: r, c: c}, nil
	}
	var out rows
	c.queue(query, args...)
	err := c.send(ctx, 1, func(results pgx.BatchResults) error {
		r, err := results.Query()
		if err != nil {
			c.lost = postgresFault(errors.Join(err, results.Close()))
			return c.lost
		}
		out = &postgresRows{Rows: r, c: c, batch: results}
		return nil
	})
	return out, err
}

func (c *postgresConn) flush(ctx context.Context) error {
	if c.lost != nil || c.writes == 0 {
		return c.lost
	}
	return c.send(c.ctx(ctx), 0, nil)
}

func (c *postgresConn) begin(context.Context) error {
	c.lost = nil
	c.queue("BEGIN ISOLATION LEVEL SERIALIZABLE")
	c.queue(holdCheck, c.holder)
	return nil
}

func (c *postgresConn) savepoint(context.Context) error {
	c.mark = len(c.waiting)
	c.queue("SAVEPOINT act")
	return nil
}

func (c *postgresConn) release(context.Context) error {
	if c.mark >= 0 { // nothing was done since: there is no savepoint to release
		c.waiting, c.mark = c.waiting[:c.mark], -1
		return nil
	}
	c.queue("RELEASE SAVEPOINT act")
	return nil
}

func (c *postgresConn) undo(ctx context.Context) error {
	c.lost = nil
	if c.mark >= 0 { // the act and its savepoint never went out
		c.waiting, c.writes, c.mark = c.waiting[:c.mark], 0, -1
		return nil
	}
	c.waiting, c.writes = nil, 0
	for _, text := range []string{"ROLLBACK TO SAVEPOINT act", "RELEASE SAVEPOINT act"} {
		if err := c.control(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *postgresConn) control(ctx context.Context, text string) error {
	_, err := c.conn.Exec(c.ctx(ctx), text, pgx.QueryExecModeSimpleProtocol)
	return postgresFault(err)
}

// commit sends COMMIT with what still waits. A server that answers it with ROLLBACK has kept nothing.
func (c *postgresConn) commit(ctx context.Context) error {
	c.queue("COMMIT")
	return c.send(c.ctx(ctx), 1, func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err = errors.Join(err, results.Close()); err != nil {
			return postgresFault(err)
		}
		if tag.String() != "COMMIT" {
			return unavailable(fmt.Errorf("the server answered COMMIT with %s", tag))
		}
		return nil
	})
}

// rollback ends the transaction if one was begun. An error means that the connection is lost; the pool drops it.
func (c *postgresConn) rollback(ctx context.Context) {
	c.lost, c.waiting, c.writes = nil, nil, 0
	if c.conn.IsClosed() || c.conn.PgConn().TxStatus() == 'I' {
		return
	}
	_ = c.control(context.WithoutCancel(ctx), "ROLLBACK")
}

// postgresRows are the rows of a query, with the batch that it was part of.
type postgresRows struct {
	pgx.Rows
	c     *postgresConn
	batch pgx.BatchResults
}

func (r *postgresRows) Err() error {
	err := postgresFault(r.Rows.Err())
	if err != nil {
		r.c.lost = err
	}
	return err
}

func (r *postgresRows) Close() {
	r.Rows.Close()
	if r.batch != nil {
		if err := postgresFault(r.batch.Close()); err != nil && r.c.lost == nil {
			r.c.lost = err
		}
	}
}

// postgresFault gives a driver's error its kind and code.
func postgresFault(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return unavailable(err)
	}
	switch e.Code {
	case "40001", "40P01":
		return fmt.Errorf("%w: %w", errSerialization, err)
	case "23505", "21000": // of a row twice in one statement, too
		return doubled(err)
	case "53100":
		return diskFull(err)
	case holdLost:
		return holdFault(err)
	}
	return unavailable(err)
}
