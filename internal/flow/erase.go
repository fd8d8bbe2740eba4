package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"
)

// The states of a file that an erasure ends. The name of the sealed bytes is kept until they are removed.
const (
	fileErasing = "erasing"
	fileErased  = "erased"
)

// EraseOrder says why a statement is erased, and whether the other party is told.
type EraseOrder struct {
	Reason string // one of statement.ErasureReasons
	Tell   bool
}

// Erased is what an erasure did.
type Erased struct {
	Statement statement.Commitment
	At        int64                 // of the first erasure
	Notice    *statement.Commitment // what tells the other party; nil unless it was said by this act
}

// Erase removes body, files, their salts and the statement's key from this node, for good. The text, its salt and the ledger
// stay, so that the rows fold again alike and who said what kind of thing when is still proven. The other party's copy is its
// own matter; with Tell it hears of ours. It may be repeated.
func (h *House) Erase(ctx context.Context, who actor.Actor, name string, o EraseOrder) (Erased, error) {
	if err := who.May(actor.Erase); err != nil {
		return Erased{}, err
	}
	if !slices.Contains(statement.ErasureReasons(), o.Reason) {
		return Erased{}, fault.New(fault.Invalid, "reason", "Say why it is erased: retention, order or agreement.")
	}
	var row exchange.Statement
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if row, err = h.find(ctx, tx, name); err != nil || row.Erased != 0 {
			return err
		}
		return free(ctx, tx, row.Thread)
	})
	if err != nil {
		return Erased{}, err
	}
	done := Erased{Statement: row.Commitment, At: row.Erased}
	if done.At == 0 {
		if done.At, err = h.eraseOne(ctx, who, row, o.Reason); err != nil {
			return Erased{}, err
		}
	}
	if err := h.removeErased(ctx); err != nil {
		h.cfg.Log.Warn("removing erased files; it is tried again", "err", err)
	}
	if o.Tell {
		if done.Notice, err = h.tellErased(ctx, who, row, o.Reason, done.At); err != nil {
			return Erased{}, fmt.Errorf("it was erased here; telling the other party: %w", err)
		}
	}
	return done, nil
}

// tellErased tells the other party of an erasure, unless it was told before.
func (h *House) tellErased(ctx context.Context, who actor.Actor, row exchange.Statement, reason string, at int64) (*statement.Commitment, error) {
	thread := statement.ErasureThread(row.Commitment)
	c, err := h.Send(ctx, who, Draft{Link: row.Link, Lane: statement.Control, Kind: "erasure.notice", Thread: &thread,
		Marking: handling.Marking{TLP: "AMBER"}, Face: statement.ErasureFace{Statement: row.Commitment, Reason: reason, At: at},
		Body: statement.EmptyBody{}}, nil)
	if fault.CodeOf(err) == exchange.VoidTwice {
		return nil, nil
	}
	return &c, err
}

// eraseOne erases one statement in one transaction and returns when.
func (h *House) eraseOne(ctx context.Context, who actor.Actor, row exchange.Statement, reason string) (at int64, err error) {
	// What we sealed for the peer has no use once its parcel has come to an end; without it only the peer could ever have read
	// it, so it goes first.
	if row.Author == h.self {
		if err := h.dropSealed(ctx, row); err != nil {
			return 0, err
		}
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		said, err := tx.Statement(ctx, row.Commitment)
		if err != nil {
			return err
		}
		if at = said.Erased; at != 0 {
			return nil
		}
		if err := free(ctx, tx, row.Thread); err != nil {
			return err
		}
		at = h.now()
		files, err := tx.Files(ctx, row.Commitment)
		if err != nil {
			return err
		}
		for i := range files {
			files[i].State, files[i].FLOE, files[i].Keys, files[i].Reason = fileErased, nil, nil, ""
			if files[i].Blob != "" {
				files[i].State = fileErasing
			}
		}
		if row.Author == h.self {
			sealed, err := ended(ctx, tx, row, files)
			if err != nil {
				return err
			}
			for i := range sealed {
				sealed[i].Content, sealed[i].Blob = nil, ""
				if sealed[i].State != exchange.Sent {
					continue
				}
				sealed[i].State = exchange.Gone
				if err := tx.DropSegments(ctx, sealed[i].ID); err != nil {
					return err
				}
			}
			if err := tx.UpdateParcels(ctx, sealed...); err != nil {
				return err
			}
		}
		if err := tx.PutFiles(ctx, files...); err != nil {
			return err
		}
		if err := tx.EraseBody(ctx, row.Commitment, at); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "erase "+reason, row.Commitment.String())
	})
	return at, err
}

// ended are the parcels of a statement of ours and of its files. None may be on its way: what is reserved is delivered.
func ended(ctx context.Context, tx Tx, row exchange.Statement, files []exchange.File) ([]exchange.Parcel, error) {
	ids := []envelope.ID{row.Parcel}
	for _, f := range files {
		ids = append(ids, f.Parcel)
	}
	found, err := tx.ParcelsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	var rows []exchange.Parcel
	for _, p := range found {
		if !p.State.Ended() && !p.State.Unanswered() && p.State != exchange.Lapsed {
			return nil, fault.New(fault.Conflict, "on_its_way",
				"This is still on its way to the other party; erase it when it has arrived, or was refused because it expired (entente receipts STATEMENT).")
		}
		rows = append(rows, p)
	}
	return rows, nil
}

// dropSealed removes what we sealed for the peer.
func (h *House) dropSealed(ctx context.Context, row exchange.Statement) error {
	var sealed []exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.Files(ctx, row.Commitment)
		if err != nil {
			return err
		}
		sealed, err = ended(ctx, tx, row, files)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range sealed {
		if p.Blob == "" {
			continue
		}
		if err := h.cfg.Blobs.Remove(ctx, p.Blob); err != nil {
			return fmt.Errorf("removing what was sealed for the peer: %w", err)
		}
	}
	return nil
}

// eraseBatch bounds one pass over what is to be erased or removed.
const eraseBatch = 64

// removeErased removes the sealed bytes of erased files. Their key is gone already; a crash before this is made good by the
// next call.
func (h *House) removeErased(ctx context.Context) error {
	var errs []error
	for after := (exchange.File{Position: -1}); ; {
		var files []exchange.File
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			files, err = tx.ErasingFiles(ctx, after.Statement, after.Position, eraseBatch)
			return err
		})
		if err != nil || len(files) == 0 {
			return errors.Join(append(errs, err)...)
		}
		after = files[len(files)-1]
		files = slices.DeleteFunc(files, func(f exchange.File) bool {
			err := h.cfg.Blobs.Remove(ctx, f.Blob)
			if err != nil {
				errs = append(errs, fmt.Errorf("removing file %d of %s: %w", f.Position, f.Statement, err))
			}
			return err != nil
		})
		for i := range files {
			files[i].State, files[i].Blob = fileErased, ""
		}
		if err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.PutFiles(ctx, files...) }); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
}

// RetentionLoop erases at each interval what the rules of a link keep no longer, until ctx ends.
func (h *House) RetentionLoop(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := h.EraseAged(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("erasing what is kept no longer", "err", err)
		}
		if _, err := h.WarnOfEnds(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("warning of preservations that end", "err", err)
		}
		if err := h.Lapse(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("dropping what expired", "err", err)
		}
		if _, err := h.EndOverlaps(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("destroying keys whose overlap is over", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// EraseAged erases every statement whose retention is over, and says how many these were. The days run from the last word in
// a thread: from its author's time for what we said, and from our receipt for what we were told. A desk is kept until it was
// withdrawn, and what is said of the link itself until a party has withdrawn from it.
func (h *House) EraseAged(ctx context.Context) (int, error) {
	links, err := h.linkRows(ctx)
	if err != nil {
		return 0, err
	}
	erased := 0
	errs := []error{h.removeErased(ctx)}
	for _, l := range links {
		book, err := h.rulebook(ctx, nil, l)
		if err != nil {
			return erased, err
		}
		for edition, rules := range book.rules {
			n, err := h.eraseUnder(ctx, l, edition, rules)
			erased += n
			errs = append(errs, err)
		}
	}
	return erased, errors.Join(append(errs, h.tellDeleted(ctx))...)
}

// eraseUnder erases what was said under a rule set and is kept by it no longer.
func (h *House) eraseUnder(ctx context.Context, l exchange.Link, edition envelope.Hash, rules *statement.Rules) (erased int, err error) {
	kinds, _ := statement.Kinds(rules.Kinds)
	var errs []error
	for _, kind := range kinds {
		days, ok := rules.Retain(kind.Name)
		if !ok {
			continue
		}
		n, err := h.eraseKind(ctx, l, edition, kind.Name, h.now()-int64(days)*(24*time.Hour).Microseconds())
		erased += n
		errs = append(errs, err)
	}
	return erased, errors.Join(errs...)
}

// eraseKind erases the statements of one kind and edition whose threads said nothing since before.
func (h *House) eraseKind(ctx context.Context, l exchange.Link, edition envelope.Hash, kind string, before int64) (erased int, err error) {
	var errs []error
	for after, more := (exchange.Statement{}), true; more; {
		var due []exchange.Statement
		err := h.cfg.Store.View(ctx, func(tx Tx) error {
			rows, err := tx.Aged(ctx, l.ID, h.self, kind, before, after, eraseBatch)
			if more = len(rows) == eraseBatch; err != nil || len(rows) == 0 {
				return err
			}
			after = rows[len(rows)-1]
			for _, row := range rows {
				text, err := textIn(row)
				if err != nil {
					return err
				}
				closed, err := h.closed(ctx, tx, l, row)
				if err != nil {
					return err
				}
				if closed && text.Edition == edition {
					due = append(due, row)
				}
			}
			return nil
		})
		if err != nil {
			return erased, errors.Join(append(errs, err)...)
		}
		for _, row := range due {
			_, err := h.Erase(ctx, actor.System(), row.Commitment.String(), EraseOrder{Reason: "retention"})
			switch {
			case fault.CodeOf(err) == "on_its_way", fault.CodeOf(err) == heldCode: // it will have arrived, or be free, one day
			case err != nil:
				errs = append(errs, fmt.Errorf("erasing %s: %w", row.Commitment, err))
			default:
				erased++
			}
		}
	}
	return erased, errors.Join(errs...)
}

// closed says whether a thread can come to its end by silence alone, or has come to it.
func (h *House) closed(ctx context.Context, tx Tx, l exchange.Link, row exchange.Statement) (bool, error) {
	switch room, _, _ := roomOf(h.requests, row.Kind); {
	case room == exchange.RoomLink && row.Kind != "test":
		s, err := h.standing(ctx, tx, l)
		return s.ours.Withdrawn != nil || s.theirs.Withdrawn != nil, err
	case room == exchange.RoomDesk:
		for _, author := range []party.ID{h.self, l.Peer} {
			var column exchange.DeskColumn
			c, err := tx.ColumnAt(ctx, l.ID, row.Thread, author, newestEpoch, newestSeq)
			if err != nil {
				return false, err
			}
			if c.Room != exchange.RoomDesk { // none, or the statement is void, since its thread is of another room
				continue
			}
			if err := envelope.Unmarshal(c.Data, &column); err != nil {
				return false, fmt.Errorf("reading a desk's column: %w", err)
			}
			if column.Withdrawn != "" {
				return true, nil
			}
		}
		return false, nil
	}
	return true, nil
}

// The newest version of a column.
const (
	newestEpoch = ^uint32(0) >> 1
	newestSeq   = uint64(1) << 62
)

// ErasureView is a party's word that it erased a statement on its own side.
type ErasureView struct {
	exchange.ErasureColumn
	Ours bool
}

// erasures are what both parties said of having erased a statement.
func (h *House) erasures(ctx context.Context, tx Tx, row exchange.Statement, peer party.ID) ([]ErasureView, error) {
	var views []ErasureView
	for _, author := range []party.ID{h.self, peer} {
		c, err := tx.ColumnAt(ctx, row.Link, statement.ErasureThread(row.Commitment), author, newestEpoch, newestSeq)
		if err != nil {
			return nil, err
		}
		if len(c.Data) == 0 {
			continue
		}
		v := ErasureView{Ours: author == h.self}
		if err := envelope.Unmarshal(c.Data, &v.ErasureColumn); err != nil {
			return nil, fmt.Errorf("reading the word of an erasure: %w", err)
		}
		views = append(views, v)
	}
	return views, nil
}
