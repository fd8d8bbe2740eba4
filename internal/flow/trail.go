package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/member"
	"entente/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

// The log of what members did is a tree of its own: no leaf of it is in any ledger, and nothing of it leaves. Its newest signed
// head stands in the store. A head is signed only if it continues the one before, so that rows which were changed beneath it are
// found by the node itself; an auditor who keeps the head of an export finds more (member.VerifyExport).

// headKey is the meta key of the newest signed head.
const headKey = "members_head"

// trailPage is how many entries are read at a time.
const trailPage = 500

// head is a signed head of the log, as it is stored.
type head struct {
	Identity int    `json:"identity"` // version whose keys signed
	Note     []byte `json:"note"`
}

// audit writes one line of what a member did, in the transaction of the act itself.
func (h *House) audit(ctx context.Context, tx Tx, who, act, object string) error {
	return h.record(ctx, tx, member.Entry{Who: who, Act: act, Object: object})
}

// record appends lines to the log. Their times are now, but never before the last one's.
func (h *House) record(ctx context.Context, tx Tx, entries ...member.Entry) error {
	size, last, err := tx.Entered(ctx)
	if err != nil {
		return err
	}
	t, err := openTree(size, tx.EntryHashes(ctx))
	if notFound(err) { // lines of before there was a tree
		if err := plant(ctx, tx); err != nil {
			return err
		}
		t, err = openTree(size, tx.EntryHashes(ctx))
	}
	if err != nil {
		return fmt.Errorf("opening the log of members: %w", err)
	}
	for i := range entries {
		e := entries[i].Fit()
		e.Number, e.At = t.size, max(h.now(), last)
		last = e.At
		if e.Hashes, err = t.grow(e); err != nil {
			return err
		}
		entries[i] = e
	}
	return tx.PutEntries(ctx, entries...)
}

func (t *tree) grow(e member.Entry) ([]byte, error) {
	data, err := e.Encode()
	if err != nil {
		return nil, fmt.Errorf("encoding a line of the log of members: %w", err)
	}
	return t.add(data)
}

// plant puts those lines into the tree that a store of before there was one has.
func plant(ctx context.Context, tx Tx) error {
	var t *tree
	for {
		rows, err := tx.Unhashed(ctx, trailPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		if t == nil {
			if t, err = openTree(rows[0].Number, tx.EntryHashes(ctx)); err != nil {
				return err
			}
		}
		for i := range rows {
			if rows[i].Hashes, err = t.grow(rows[i]); err != nil {
				return err
			}
		}
		if err := tx.SetEntryHashes(ctx, rows...); err != nil {
			return err
		}
	}
}

// signedHead is the newest signed head; nil if none was signed yet.
func (h *House) signedHead(ctx context.Context, tx Tx) (stored head, c *ledger.Checkpoint, err error) {
	data, err := tx.Meta(ctx, headKey)
	if err != nil || data == nil {
		return stored, nil, err
	}
	if err := envelope.Unmarshal(data, &stored); err != nil {
		return stored, nil, fmt.Errorf("reading the head of the log of members: %w", err)
	}
	chain := h.Self()
	if stored.Identity < 1 || stored.Identity > len(chain.Versions) {
		return stored, nil, fmt.Errorf("the head of the log of members is signed by version %d of the identity, which is not there", stored.Identity)
	}
	c, err = ledger.OpenCheckpoint(stored.Note, member.Origin(h.self), chain.Versions[stored.Identity-1].Log)
	return stored, c, err
}

// SignTrail signs the head of the log of members, if it has grown. One that does not continue the head before is not signed.
func (h *House) SignTrail(ctx context.Context) error {
	var size int64
	var root envelope.Hash
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if size, _, err = tx.Entered(ctx); err != nil {
			return err
		}
		_, before, err := h.signedHead(ctx, tx)
		if err != nil || before != nil && before.Size == size || size == 0 {
			size = 0
			return err
		}
		tiles := tx.EntryHashes(ctx)
		if root, err = ledger.TreeRoot(size, tiles); err != nil {
			size = 0
			if notFound(err) { // the next line plants the tree
				return nil
			}
			return err
		}
		return continues(before, size, root, tiles)
	})
	if err != nil || size == 0 {
		return err
	}
	version := h.Self().Latest().Version
	signers, err := h.cfg.Keys.LogSigners(version, member.Origin(h.self))
	if err != nil {
		return err
	}
	c, err := ledger.SignCheckpoint(member.Origin(h.self), size, root, signers...)
	if err != nil {
		return err
	}
	data, err := envelope.Marshal(head{Identity: version, Note: c.Note})
	if err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.SetMeta(ctx, headKey, data) })
}

// continues refuses a head that does not continue the one before.
func continues(before *ledger.Checkpoint, size int64, root envelope.Hash, tiles tlog.HashReader) error {
	if before == nil {
		return nil
	}
	proof, err := ledger.ProveConsistency(before.Size, size, tiles)
	if err == nil {
		err = ledger.CheckConsistency(proof, before.Size, before.Root, size, root)
	}
	if err != nil {
		return fault.Wrap(fault.Internal, "audit_rewritten", "The log of what members did was changed beneath its signed head; keep the data directory as it is, and call the auditor.", err)
	}
	return nil
}

// Audits lists what members did, newest first, before a number (0: all).
func (h *House) Audits(ctx context.Context, who actor.Actor, before int64, limit int) (list []member.Entry, err error) {
	if err := who.May(actor.ReadAudit); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Entries(ctx, before, min(max(limit, 1), maxList))
		return err
	})
	return list, err
}

// ExportAudit writes the whole log with a freshly signed head, as member.VerifyExport reads it.
func (h *House) ExportAudit(ctx context.Context, who actor.Actor, w io.Writer) error {
	if err := who.May(actor.ReadAudit); err != nil {
		return err
	}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return h.audit(ctx, tx, who.Name, "audit export", "") })
	if err != nil {
		return err
	}
	return h.writeTrail(ctx, w)
}

func (h *House) writeTrail(ctx context.Context, w io.Writer) error {
	if err := h.SignTrail(ctx); err != nil {
		return err
	}
	var stored head
	var c *ledger.Checkpoint
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		stored, c, err = h.signedHead(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if c == nil {
		return fault.New(fault.NotFound, "audit", "Nobody did anything here yet.")
	}
	first, err := envelope.Marshal(member.Export{V: 1, Identities: h.Self().Envelopes, Identity: stored.Identity, Checkpoint: stored.Note})
	if err != nil {
		return err
	}
	if _, err := w.Write(append(first, '\n')); err != nil {
		return err
	}
	return h.writeEntries(ctx, c.Size, w)
}

func (h *House) writeEntries(ctx context.Context, size int64, w io.Writer) error {
	for from := int64(0); from < size; {
		var rows []member.Entry
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			rows, err = tx.EntriesFrom(ctx, from, int(min(size-from, trailPage)))
			return err
		})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return fault.New(fault.Internal, "audit_rewritten", "The log of what members did lacks lines that were signed; keep the data directory as it is, and call the auditor.")
		}
		var page bytes.Buffer
		for _, e := range rows {
			data, err := e.Encode()
			if err != nil {
				return err
			}
			page.Write(append(data, '\n'))
		}
		if _, err := w.Write(page.Bytes()); err != nil {
			return err
		}
		from += int64(len(rows))
	}
	return nil
}

// CheckAudit reads the whole log and compares it with its signed head.
func (h *House) CheckAudit(ctx context.Context, who actor.Actor) (member.Trail, error) {
	if err := who.May(actor.ReadAudit); err != nil {
		return member.Trail{}, err
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := h.writeTrail(ctx, w)
		w.CloseWithError(err)
		done <- err
	}()
	found, err := member.VerifyExport(h.cfg.Registry, r, nil)
	r.CloseWithError(err)
	if cause := <-done; cause != nil && !errors.Is(cause, err) {
		err = cause
	}
	return found, err
}
