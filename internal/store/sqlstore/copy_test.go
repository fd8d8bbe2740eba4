package sqlstore

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestBackupHoldsEveryColumn: what is added to the schema is in backups too, or named here with the reason why not.
func TestBackupHoldsEveryColumn(t *testing.T) {
	left := map[string]string{
		"goose_db_version": "a restore makes its own schema",
		"segments":         "they are still arriving, and are sent again",
		"replays":          "answers to calls of the last day",
	}
	db, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := start(db)
	defer s.Close()
	r, err := db.w.conn.QueryContext(t.Context(), `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	held := map[string][]string{}
	for _, table := range Tables() {
		for _, c := range table.Columns {
			held[table.Name] = append(held[table.Name], c.Name)
		}
	}
	found := 0
	for r.Next() {
		var table, column string
		if err := r.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		found++
		if _, ok := left[table]; !ok && !slices.Contains(held[table], column) {
			t.Errorf("no backup holds %s.%s", table, column)
		}
	}
	if err := r.Err(); err != nil || found < 100 {
		t.Errorf("%d columns: %v", found, err)
	}
}
