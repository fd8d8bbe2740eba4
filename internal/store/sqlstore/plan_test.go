package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"entente/internal/flow"
	"entente/internal/store/storetest"
)

// TestNoScans runs the whole suite and asks SQLite how it carries out each query: none may read a whole table
// that grows with the record.
func TestNoScans(t *testing.T) {
	scan := regexp.MustCompile(`^SCAN (parcels|parcel_contents|receipts|statements|statement_bodies|statement_keys|files|columns|leaves|documents|requests|dues|calls|obligations|asked|holds|cases|case_entries|deliveries|told|[a-z])( USING INDEX \S+)?$|` +
		`^SEARCH (leaves|l) USING PRIMARY KEY \(link=\?( AND party=\?)?\)$`) // a whole log
	peeked := regexp.MustCompile(`(?s)FROM (parcels|leaves|logs g CROSS JOIN leaves).* (l\.)?(state|kind) = \$`)
	seen := map[string]bool{}
	storetest.Conformance(t, func(t *testing.T) flow.Store {
		db, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 2)
		if err != nil {
			t.Fatal(err)
		}
		s := start(db)
		t.Cleanup(func() {
			conns := []*sqliteConn{db.w, <-db.readers, <-db.readers}
			for _, c := range conns {
				for query := range c.prepared {
					if !seen[query] {
						seen[query] = true
						explain(t, c, query, scan, peeked)
					}
				}
			}
			for _, c := range conns[1:] {
				db.readers <- c
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return s
	})
	if len(seen) < 60 {
		t.Errorf("only %d queries were looked at", len(seen))
	}
}

func explain(t *testing.T, c *sqliteConn, query string, scan, peeked *regexp.Regexp) {
	t.Helper()
	switch verb, _, _ := strings.Cut(strings.TrimSpace(query), " "); verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE":
	default:
		return
	}
	switch {
	case query == `DELETE FROM columns`, query == `DELETE FROM requests`, query == `DELETE FROM dues`, query == `DELETE FROM calls`, query == `DELETE FROM obligations`, query == `DELETE FROM asked`, strings.HasPrefix(query, `UPDATE parcels SET verdict = ''`): // of a rebuild
		return
	case strings.Contains(query, `FROM columns c WHERE NOT EXISTS`), // streams all columns, by pages
		strings.Contains(query, `FROM asked WHERE EXISTS`): // streams the index, for a rebuild
		return
	case strings.Contains(query, `live = 0`): // parcels that have ended; no loop asks for them
		return
	case strings.Contains(query, `ORDER BY authored DESC`), // a list from the newest, with a limit
		strings.Contains(query, `FROM requests ORDER BY received`), strings.Contains(query, `FROM calls ORDER BY received`),
		strings.Contains(query, `FROM dues ORDER BY at`), strings.Contains(query, `FROM cases ORDER BY changed DESC`): // by an index of that order
		return
	}
	if strings.HasPrefix(query, "SELECT") && peeked.MatchString(query) {
		t.Errorf("SQLite looks whether the value fits a partial index, and prepares this anew for each; write CAST($n AS TEXT):\n%s", query)
	}
	args := make([]any, 0, 600)
	for strings.Contains(query, fmt.Sprintf("$%d", len(args)+1)) {
		args = append(args, nil)
	}
	r, err := c.conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Errorf("explaining %s: %v", query, err)
		return
	}
	defer r.Close()
	for r.Next() {
		var id, parent, unused int
		var step string
		if err := r.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		if scan.MatchString(step) {
			t.Errorf("%s\nis carried out by: %s", query, step)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func TestNameless(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT 1`: `SELECT 1`, `VALUES ($1,$2),($3,$4)`: `VALUES (?,?),(?,?)`, `SET a = $2 WHERE b = $1`: `SET a = $2 WHERE b = $1`,
		`SET a = $1 WHERE b = $1`: `SET a = $1 WHERE b = $1`, `$1 $2 $3 $4 $5 $6 $7 $8 $9 $10`: `? ? ? ? ? ? ? ? ? ?`, `$10`: `$10`, `$1 $2 $4`: `$1 $2 $4`,
	} {
		if got := nameless(query); got != want {
			t.Errorf("%s gives %s, want %s", query, got, want)
		}
	}
}
