package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"entente/internal/fault"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// SchemaVersion is the newest migration that this build knows; a backup names the one it was made under.
const SchemaVersion = 21

func migrateSQLite(ctx context.Context, db *sql.DB) error {
	return migrate(ctx, goose.DialectSQLite3, "migrations/sqlite", db)
}

func migratePostgres(ctx context.Context, db *sql.DB) error {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("making the lock of migrations: %w", err)
	}
	return migrate(ctx, goose.DialectPostgres, "migrations/postgres", db, goose.WithSessionLocker(locker))
}

// migrate applies what is missing. A database of a newer build is refused: this one does not know its tables.
func migrate(ctx context.Context, dialect goose.Dialect, dir string, db *sql.DB, opts ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, files, opts...)
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	version, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if version > SchemaVersion {
		return fault.New(fault.Conflict, "database_newer", fmt.Sprintf(
			"A newer version of this program wrote the database (its schema is %d, and this one knows up to %d). Start it with that version, or restore a backup of before.", version, SchemaVersion))
	}
	return nil
}
