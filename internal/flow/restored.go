package flow

import (
	"context"
	"strconv"

	"entente/internal/exchange"
	"entente/internal/fault"
)

// RestoredKey is the meta key that a restore sets to its time (UTC microseconds, decimal).
const RestoredKey = "restored"

// LinkRestored is the state of a link that is older than the backup that this node was restored from. What such a node
// would say on it could contradict what it said after the backup was made, and nobody could tell that from a lie: so the
// link is only read. What it holds stays provable; a new link is paired to go on.
const LinkRestored = "restored"

// frozen says whether a link is older than the restore.
func (h *House) frozen(l exchange.Link) bool { return l.Created <= h.restored.Load() }

func frozenFault() error {
	return fault.New(fault.Conflict, LinkRestored,
		"This node was restored from a backup, so this link is only read: what was said after the backup is not known here. Pair anew (entente invite) to go on.")
}

// noticeRestore reads whether this node was restored.
func (h *House) noticeRestore(ctx context.Context) error {
	return h.cfg.Store.View(ctx, func(tx Tx) error {
		value, err := tx.Meta(ctx, RestoredKey)
		if err != nil || value == nil {
			return err
		}
		at, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return fault.Wrap(fault.Internal, "restored", "The time of the restore cannot be read; restore again.", err)
		}
		h.restored.Store(at)
		return nil
	})
}
