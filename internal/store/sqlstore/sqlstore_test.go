package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"

	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/internal/store/storetest"
	"entente/internal/testenv"
)

func openSQLite(t testing.TB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestConformanceSQLite(t *testing.T) {
	storetest.Conformance(t, func(t *testing.T) flow.Store { return openSQLite(t) })
}

func openPostgres(t testing.TB) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.OpenPostgres(context.Background(), testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestConformancePostgres(t *testing.T) {
	testenv.Postgres(t) // skips all of it at once
	storetest.Conformance(t, func(t *testing.T) flow.Store { return openPostgres(t) })
}
