package testenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// record is a testing.TB that notes how a test was ended.
type record struct {
	testing.TB
	skipped, failed string
}

func (r *record) Helper() {}

func (r *record) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *record) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ended runs f with a record and waits until it has returned or was ended.
func ended(t *testing.T, f func(testing.TB)) *record {
	t.Helper()
	r := &record{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func TestMissing(t *testing.T) {
	needs := map[string]func(testing.TB){
		DataVar:     func(t testing.TB) { Data(t, "floe-kats") },
		PostgresVar: func(t testing.TB) { Postgres(t) },
	}
	for name, need := range needs {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "")
			t.Setenv(StrictVar, "")
			if r := ended(t, need); !strings.Contains(r.skipped, name) || r.failed != "" {
				t.Errorf("without the variable: skipped %q, failed %q; want a skip that names %s", r.skipped, r.failed, name)
			}
			t.Setenv(StrictVar, "1")
			if r := ended(t, need); !strings.Contains(r.failed, name) || r.skipped != "" {
				t.Errorf("strict: skipped %q, failed %q; want a failure that names %s", r.skipped, r.failed, name)
			}
		})
	}
}

func TestData(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "kats"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(DataVar, root)
	t.Setenv(StrictVar, "")
	if got, want := Data(t, "kats"), filepath.Join(root, "kats"); got != want {
		t.Errorf("Data is %q, want %q", got, want)
	}
	if r := ended(t, func(t testing.TB) { Data(t, "absent") }); r.failed == "" {
		t.Error("a promised folder that does not exist was not a failure")
	}
}

func TestInDatabase(t *testing.T) {
	tests := []struct{ server, want string }{
		{"postgres://u:p@localhost:5433/postgres?sslmode=disable", "postgres://u:p@localhost:5433/x?sslmode=disable"},
		{"postgres:///postgres?host=%2Ftmp%2Fpg&user=u", "postgres:///x?host=%2Ftmp%2Fpg&user=u"},
		{"postgresql://localhost", "postgresql://localhost/x"},
		{"mysql://localhost/y", ""},
		{"://", ""},
	}
	for _, tt := range tests {
		got, err := inDatabase(tt.server, "x")
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("inDatabase(%q) = %q, %v; want %q", tt.server, got, err, tt.want)
		}
	}
}

func TestPostgres(t *testing.T) {
	var address string
	t.Run("fresh", func(t *testing.T) {
		address = Postgres(t)
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		// Left open: the drop must not wait for it.
		var tables int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil {
			t.Fatal(err)
		}
		if tables != 0 {
			t.Errorf("a fresh database has %d tables", tables)
		}
	})
	if address == "" {
		return // the part above was ended by Missing
	}
	if _, err := pgx.Connect(context.Background(), address); err == nil {
		t.Error("the database is still there after its test ended")
	}
}
