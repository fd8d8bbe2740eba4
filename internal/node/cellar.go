package node

import (
	"context"
	"path/filepath"

	"entente/internal/flow"
	"entente/internal/store/blobstore"
	"entente/internal/store/sqlstore"
)

// cellar is what a node keeps: rows and sealed files.
type cellar struct {
	store flow.Store
	blobs flow.Blobs
	check func(context.Context) error
	close func() error
}

// openCellar opens the database and the sealed files of a data directory.
func openCellar(ctx context.Context, cfg Config) (*cellar, error) {
	blobs, err := blobstore.Open(filepath.Join(cfg.Data, "blobs"), cfg.DiskReserve)
	if err != nil {
		return nil, err
	}
	open := func() (*sqlstore.Store, error) {
		if cfg.Database != "" {
			return sqlstore.OpenPostgres(ctx, cfg.Database)
		}
		return sqlstore.OpenSQLite(ctx, filepath.Join(cfg.Data, "entente.db"), 0)
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	return &cellar{store: s, blobs: blobs, check: s.Check, close: s.Close}, nil
}
