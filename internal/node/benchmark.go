package node

import (
	"context"

	"entente/internal/store/sqlstore"
)

// What follows serves measurements: it makes what a node is measured with, and does nothing that an operator needs.

// CreateDatabase makes an empty database on a PostgreSQL server, by the URL of a user who may do that. drop removes
// it again.
func CreateDatabase(ctx context.Context, server string) (url string, drop func(context.Context) error, err error) {
	return sqlstore.CreateDatabase(ctx, server)
}
