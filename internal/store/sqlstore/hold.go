package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"entente/internal/fault"
)

// A PostgreSQL database is held by one process at a time, wherever that runs: two nodes of one party would contradict each
// other. Two things see to it. An advisory lock of a session keeps a second process from starting; the server lets go of
// it when its holder dies, however that comes about. And every transaction that writes first looks whether the token in the
// table holder is that of this process: one that lost its session, and then the database to another, writes no more.

const (
	holdLock  = 0x656e74656e7465 // "entente"
	holdTable = `CREATE TABLE IF NOT EXISTS holder (one INTEGER PRIMARY KEY, token TEXT NOT NULL)`
	holdPut   = `INSERT INTO holder (one, token) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET token = excluded.token`
	// holdCheck fails, and with it the transaction, when the token is another's.
	holdCheck = `SELECT 1 / (SELECT COUNT(*) FROM holder WHERE token = $1)`
	// holdLost is how holdCheck fails: division_by_zero, which nothing else here can cause.
	holdLost = "22012"

	// A former process may take five seconds to be gone.
	holdTries = 50
	holdEvery = 100 * time.Millisecond
	// letGoWithin bounds the end of the session.
	letGoWithin = 5 * time.Second
)

// hold is a process's hold on a database.
type hold struct {
	session *pgx.Conn // with the lock; nothing else is done on it
	token   string
}

// takeHold waits a moment for a former process to be gone, and refuses where one stays.
func (db *postgresDB) takeHold(ctx context.Context) (_ *hold, err error) {
	session, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, session.Close(context.WithoutCancel(ctx)))
		}
	}()
	for try := 1; ; try++ {
		var taken bool
		if err := session.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(holdLock)).Scan(&taken); err != nil {
			return nil, fmt.Errorf("holding the database: %w", postgresFault(err))
		}
		if taken {
			break
		}
		if try == holdTries {
			return nil, heldBy(ctx, session)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(holdEvery):
		}
	}
	h := &hold{session: session, token: rand.Text()}
	if _, err := session.Exec(ctx, holdTable); err != nil {
		return nil, fmt.Errorf("holding the database: %w", postgresFault(err))
	}
	if _, err := session.Exec(ctx, holdPut, h.token); err != nil {
		return nil, fmt.Errorf("holding the database: %w", postgresFault(err))
	}
	return h, nil
}

// heldBy says who has the database open, as far as the server tells.
func heldBy(ctx context.Context, session *pgx.Conn) error {
	from, since := "an unknown address", "an unknown time"
	err := session.QueryRow(ctx, `SELECT COALESCE(host(a.client_addr), 'the database server''s own machine'),
		to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid::bigint << 32 | l.objid::bigint = $1 LIMIT 1`, int64(holdLock)).Scan(&from, &since)
	return fault.Wrap(fault.Conflict, "database_locked",
		fmt.Sprintf("Another process has this database open, from %s since %s. A party has one node: stop that one first, or give this one a database of its own.", from, since), err)
}

// release lets go of the database.
func (h *hold) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), letGoWithin)
	defer cancel()
	return h.session.Close(ctx)
}

func holdFault(err error) error {
	return fault.Wrap(fault.Conflict, "database_taken", "Another process has taken this node's database, so this one writes no more. Stop one of the two, for good.", err)
}
