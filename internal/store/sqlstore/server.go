package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"entente/internal/fault"
)

// CreateDatabase makes an empty database with a name of its own on the PostgreSQL server of a URL whose user may do
// that, and returns the new one's URL. drop removes it, with whatever is still connected to it. Text sorts by bytes
// in it, as in SQLite.
func CreateDatabase(ctx context.Context, server string) (address string, drop func(context.Context) error, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", nil, fault.Wrap(fault.Invalid, "database_url", "The database server is given as postgres://….", err)
	}
	name := "entente_" + strings.ToLower(rand.Text())
	if err := onServer(ctx, server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func(ctx context.Context) error {
		return onServer(ctx, server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}, nil
}

// onServer runs one statement on a connection of its own.
func onServer(ctx context.Context, server, text string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connecting to the database server: %w", postgresFault(err))
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, text); err != nil {
		return fmt.Errorf("running %.40q: %w", text, postgresFault(err))
	}
	return nil
}
