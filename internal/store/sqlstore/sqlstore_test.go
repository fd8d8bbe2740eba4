package sqlstore_test

import (
	"path/filepath"
	"testing"

	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/internal/store/storetest"
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
