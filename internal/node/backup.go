package node

import (
	"context"
	"errors"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/fault"
	"entente/internal/flow"
	"time"
)

// Backup writes a backup of the running node.
func (o operator) Backup(ctx context.Context, who actor.Actor, to string, p flow.Progress) (api.Backup, error) {
	if err := who.Need(actor.Operator); err != nil {
		return api.Backup{}, err
	}
	return api.Backup{}, fault.New(fault.Unavailable, "backup", "This build cannot write backups yet.")
}

// Restore makes a data directory from a backup.
func Restore(ctx context.Context, from, data string, p Progress) (Backup, error) {
	return Backup{}, fault.New(fault.Unavailable, "backup", "This build cannot restore backups yet.")
}

// Rebuilt is what folding everything again found.
type Rebuilt struct {
	Links     int           `json:"links"`
	Columns   int           `json:"columns"`
	Before    envelope.Hash `json:"before"`
	After     envelope.Hash `json:"after"`
	Identical bool          `json:"identical"`
}

// Rebuild folds every statement of a node again that does not run.
func Rebuild(ctx context.Context, cfg Config, passphrase func() (string, error), p Progress) (Rebuilt, error) {
	n, err := Open(ctx, cfg, passphrase, time.Now)
	if err != nil {
		return Rebuilt{}, err
	}
	r, err := n.house.Rebuild(ctx, actor.System(), p)
	if err = errors.Join(err, n.Close()); err != nil {
		return Rebuilt{}, err
	}
	return Rebuilt{Links: r.Links, Columns: r.Columns, Before: r.Before, After: r.After, Identical: r.Identical}, nil
}
