package sqlstore

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/party"
)

// TestReceiptsGetTheirPlaces: a store of the first schema found the leaf of a peer's receipt by its hash; from the second on the
// receipt knows its place, if its leaf has been mirrored.
func TestReceiptsGetTheirPlaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entente.db")
	db, err := sql.Open("sqlite", sqliteURL(path, writerCache))
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	link, peer := envelope.Sum([]byte("link")), party.ID(envelope.Sum([]byte("peer")))
	header, mirrored, unseen := envelope.Sum([]byte("header")), envelope.Sum([]byte("mirrored")), envelope.Sum([]byte("unseen"))
	for _, receipt := range []envelope.Hash{mirrored, unseen} {
		_, err := db.ExecContext(t.Context(), `INSERT INTO receipts (hash, link, author, kind, header, parcel, lane, epoch, seq, contiguous_to,
			at, idx, log, unsent) VALUES (?, ?, ?, 'opened', ?, ?, 'network', 1, 1, 1, 0, -1, 3, 0)`, receipt[:], link[:], peer[:], header[:], link[:16])
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, doc := range []envelope.Hash{header, mirrored} {
		_, err := db.ExecContext(t.Context(), `INSERT INTO leaves (link, party, epoch, idx, doc, kind) VALUES (?, ?, 1, ?, ?, ?)`,
			link[:], peer[:], i, doc[:], []string{"got", "receipt-out"}[i])
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSQLite(t.Context(), path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []exchange.Receipt
	err = s.View(t.Context(), func(tx flow.Tx) (err error) {
		got, err = tx.ReceiptsOf(context.Background(), header)
		return err
	})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d receipts: %v", len(got), err)
	}
	for _, r := range got {
		if want := map[envelope.Hash]int64{mirrored: 1, unseen: -1}[r.Hash]; r.Index != want {
			t.Errorf("place %d, want %d", r.Index, want)
		}
	}
}
