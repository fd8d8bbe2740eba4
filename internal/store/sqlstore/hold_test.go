package sqlstore

import (
	"testing"

	"entente/internal/fault"
	"entente/internal/testenv"

	"github.com/jackc/pgx/v5"
)

// TestLostHold: a process whose session the server ended, while its other connections live on, writes no more once another
// process holds the database. Guards: the token that every writing transaction looks at.
func TestLostHold(t *testing.T) {
	url := testenv.Postgres(t)
	ctx := t.Context()
	first, err := OpenPostgres(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := set(first, "k", []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPostgres(ctx, url); fault.CodeOf(err) != "database_locked" {
		t.Errorf("a second process: %v", err)
	}
	server, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(ctx)
	pid := first.db.(*postgresDB).hold.session.PgConn().PID()
	if _, err := server.Exec(ctx, `SELECT pg_terminate_backend($1)`, pid); err != nil {
		t.Fatal(err)
	}
	if err := set(first, "k", []byte{2}); err != nil {
		t.Errorf("nobody else holds the database, and yet: %v", err)
	}
	second, err := OpenPostgres(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := set(first, "k", []byte{3}); fault.CodeOf(err) != "database_taken" {
		t.Errorf("the first still writes: %v", err)
	}
	if err := set(second, "k", []byte{4}); err != nil {
		t.Errorf("the second cannot write: %v", err)
	}
}
