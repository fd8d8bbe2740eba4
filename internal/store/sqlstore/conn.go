package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"entente/internal/fault"
)

// conn runs SQL inside one transaction of either database. It is used by one goroutine at a time. After a
// statement has failed, every further call fails alike, on both databases: the act is lost.
type conn interface {
	// write runs a statement, perhaps later but before anything is read and before the act ends. If fewer rows are
	// touched than least, the act fails with few.
	write(ctx context.Context, least int64, few error, query string, args ...any) error
	// exec runs a statement at once, for each list of arguments, and returns the rows that each touched.
	exec(ctx context.Context, query string, argss [][]any) ([]int64, error)
	// query reads. Its rows must be closed before the next call.
	query(ctx context.Context, query string, args ...any) (rows, error)
	// flush runs what write has kept back and returns the error that lost the act, if any.
	flush(ctx context.Context) error
}

// session is the connection that writes.
type session interface {
	conn
	begin(ctx context.Context) error
	savepoint(ctx context.Context) error
	release(ctx context.Context) error
	// undo goes back to the savepoint and forgets the failure.
	undo(ctx context.Context) error
	commit(ctx context.Context) error
	rollback(ctx context.Context)
}

// rows are the rows of a query.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// errSerialization marks what both databases ask us to run again.
var errSerialization = errors.New("the database asks for the transaction to be run again")

// errReadOnly is a write inside View.
var errReadOnly = fault.New(fault.Internal, "read_only", "A reading act tried to write.")

// The faults of a database; the cause stays inside.
func diskFull(err error) error {
	return fault.Wrap(fault.Unavailable, "disk_full", "The node's disk is full; nothing was lost. Free space and try again.", err)
}

func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, "database", "The node's database does not answer; nothing was lost. Try again.", err)
}

// damaged is about a file that is no database any more.
func damaged(err error) error {
	return fault.Wrap(fault.Internal, "database_damaged", "The node's database is damaged. Stop the node, keep a copy of its data directory, and restore the newest backup.", err)
}

// notOpened is about a database that is there and does not open; a fault that says more stays as it is.
func notOpened(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.Wrap(fault.Unavailable, "database_open", "The node's database cannot be opened. Look at the cause, and at who may write where it lies; if it stays so, keep a copy of it and restore the newest backup.", err)
}

// unreachable is about a database server that could not be asked at all.
func unreachable(err error) error {
	return fault.Wrap(fault.Unavailable, "database_away", "The database server does not let this node in. Look at the setting database, and whether the server runs and knows the user and the database.", err)
}

func doubled(err error) error {
	return fault.Wrap(fault.Conflict, "doubled", "Something with the same name or place is there already.", err)
}

// fixed is a byte array that is scanned from a column of exactly its length.
type fixed struct{ to []byte }

// ScanBytes implements pgtype.BytesScanner.
func (f fixed) ScanBytes(v []byte) error {
	if len(v) != len(f.to) {
		return fmt.Errorf("a column holds %d bytes, want %d", len(v), len(f.to))
	}
	copy(f.to, v)
	return nil
}

// Scan implements sql.Scanner.
func (f fixed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok && src != nil {
		return fmt.Errorf("a column holds %T, want bytes", src)
	}
	return f.ScanBytes(b)
}

// loose is bytes of any length; NULL and empty are both nil.
type loose struct{ to *[]byte }

// ScanBytes implements pgtype.BytesScanner; v is copied.
func (l loose) ScanBytes(v []byte) error {
	*l.to = nil
	if len(v) > 0 {
		*l.to = append(make([]byte, 0, len(v)), v...)
	}
	return nil
}

// Scan implements sql.Scanner.
func (l loose) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok && src != nil {
		return fmt.Errorf("a column holds %T, want bytes", src)
	}
	return l.ScanBytes(b)
}

// passing is bytes of any length that are looked at as they come and not kept: to has them for as long as it runs, NULL as none.
type passing struct{ to func([]byte) }

// ScanBytes implements pgtype.BytesScanner.
func (p passing) ScanBytes(v []byte) error {
	p.to(v)
	return nil
}

// Scan implements sql.Scanner.
func (p passing) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok && src != nil {
		return fmt.Errorf("a column holds %T, want bytes", src)
	}
	return p.ScanBytes(b)
}

// flag is a column of 0 or 1.
type flag struct{ to *bool }

// Scan implements sql.Scanner.
func (f flag) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a column holds %T, want an integer", src)
	}
	*f.to = n != 0
	return nil
}

// orNull makes empty bytes NULL, as the tables want it.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
