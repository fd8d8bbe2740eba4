package flow

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"entente/internal/actor"
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

// restoreLogged is the meta key of the restore that stands in the log of members: the same value as that of RestoredKey.
const restoreLogged = "restore_logged"

// noticeRestore reads whether this node was restored, and enters each restore once into the log of members: whoever restored it had no
// keys to sign a head with, so the entry is made when the node runs for the first time since.
func (h *House) noticeRestore(ctx context.Context) error {
	var value, logged []byte
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if value, err = tx.Meta(ctx, RestoredKey); err != nil {
			return err
		}
		logged, err = tx.Meta(ctx, restoreLogged)
		return err
	})
	if err != nil || value == nil {
		return err
	}
	at, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return fault.Wrap(fault.Internal, "restored", "The time of the restore cannot be read; restore again.", err)
	}
	h.restored.Store(at)
	if bytes.Equal(value, logged) {
		return nil
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if err := h.audit(ctx, tx, actor.System().Name, "restore", time.UnixMicro(at).UTC().Format(time.RFC3339)); err != nil {
			return err
		}
		return tx.SetMeta(ctx, restoreLogged, value)
	})
}
