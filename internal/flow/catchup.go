package flow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// catchUp is what a running node remembers of catching up on a link. It asks for one thing at a time, and begins anew after a crash
// with what is stored.
type catchUp struct {
	account *parcel.Account // nil: the opening is to be shown
	at      int             // the lane of the account that is asked for
	after   uint64          // up to where it was given
	begun   bool            // after is set
	log     int             // the log of the account that is asked for
	due     int64           // when the next thing is asked for; 0 with nothing to ask
	show    bool            // the opening is to be shown although we have caught up: the peer does not know it
}

const (
	askAgain   = 30 * time.Second // without an answer
	askBlocked = 5 * time.Second  // where the peer had nothing to give yet
)

// fileLost is the state of a file whose statement was given back, or that was awaited when we were restored, until the file itself is
// here.
const fileLost = "lost"

func (s *linkState) showOpening(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := now
	if s.catch.show || s.catch.account == nil && s.catch.due > now { // not more often
		due = max(now, s.catch.due)
	}
	s.catch.account, s.catch.show, s.catch.due = nil, true, max(due, 1)
}

// outgoingCatchUp adds to a delivery what is to be shown or asked for.
func (h *House) outgoingCatchUp(ctx context.Context, l exchange.Link, s *linkState, d *Delivery) error {
	if l.OwnEpoch == ledger.FirstEpoch || l.Catching == exchange.ReadOnly {
		return nil
	}
	s.mu.Lock()
	wait := s.catch.due > h.now()
	s.mu.Unlock()
	if wait {
		return nil
	}
	lacking, err := h.wantLeaves(ctx, l)
	if err != nil {
		return err
	}
	f, err := h.nextAsk(ctx, l, s)
	if err != nil || f == nil && lacking == nil {
		return err
	}
	for _, f := range []*parcel.Frame{f, lacking} {
		if f != nil {
			d.add(*f)
		}
	}
	s.mu.Lock()
	s.catch.due, s.catch.show = h.now()+askAgain.Microseconds(), false
	s.mu.Unlock()
	return nil
}

// wantLeaves asks for leaves of the peer that we cosigned before we forgot them: its newest head is cosigned already, so it has no
// reason to show them by itself.
func (h *House) wantLeaves(ctx context.Context, l exchange.Link) (*parcel.Frame, error) {
	var mirror exchange.Log
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		mirror, err = tx.Log(ctx, l.ID, l.Peer, l.PeerEpoch)
		return err
	})
	if err != nil || mirror.CosignedSize <= mirror.Size {
		return nil, err
	}
	f, err := parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Epoch: l.PeerEpoch, Leaves: &mirror.Size})
	return &f, err
}

// nextAsk is the next frame of catching up, nil if there is none. With nothing more to ask, it ends the catching up.
func (h *House) nextAsk(ctx context.Context, l exchange.Link, s *linkState) (*parcel.Frame, error) {
	s.mu.Lock()
	c := s.catch
	s.mu.Unlock()
	if c.show || l.Catching != exchange.CaughtUp && c.account == nil {
		f, err := h.openingFrame(ctx, l)
		return &f, err
	}
	a := parcel.AskFrame{Epochs: parcel.Epochs{Own: l.OwnEpoch, Peer: l.PeerEpoch}}
	more := false
	if l.Catching != exchange.CaughtUp {
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			more, err = h.wanting(ctx, tx, l, &c, &a)
			return err
		})
		if err != nil {
			return nil, err
		}
		if !more {
			held, err := h.registeredLeft(ctx, l)
			if err != nil {
				return nil, err
			}
			if held {
				s.mu.Lock()
				s.catch.due = h.now() + askAgain.Microseconds()
				s.mu.Unlock()
				return nil, nil
			}
			if err := h.caughtUp(ctx, l); err != nil {
				return nil, err
			}
		}
		s.mu.Lock()
		if s.catch.account == c.account {
			s.catch = c
		}
		s.mu.Unlock()
	}
	if !more {
		lost, err := h.lostFiles(ctx, l)
		if err != nil {
			return nil, err
		}
		if len(lost) == 0 {
			s.mu.Lock()
			s.catch.due = h.now() + askAgain.Microseconds()
			s.mu.Unlock()
			return nil, nil
		}
		a.Files = lost
	}
	f, err := parcel.EncodeFrame(parcel.FrameAsk, a)
	return &f, err
}

// registeredLeft says whether a registered statement was on its way when the epoch was opened. It can neither be given back nor said
// again, so the link does not catch up.
func (h *House) registeredLeft(ctx context.Context, l exchange.Link) (left bool, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		left, err = registeredBefore(ctx, tx, l, h.self, l.OwnEpoch)
		if err != nil || left {
			return err
		}
		before := l.PeerEpoch
		if forgetful(l) { // or in the present one, as far as we knew it
			before++
		}
		left, err = registeredBefore(ctx, tx, l, l.Peer, before)
		return err
	})
	return left, err
}

// registeredBefore says whether a registered statement of an author is on its way in an epoch before the given one.
func registeredBefore(ctx context.Context, tx Tx, l exchange.Link, author party.ID, epoch uint32) (bool, error) {
	for _, state := range []exchange.ParcelState{exchange.Held, exchange.Withheld, exchange.Unsaid, exchange.Sending, exchange.Received, exchange.Arriving} {
		rows, err := tx.ParcelsIn(ctx, l.ID, author, state, exchange.Parcel{}, math.MaxInt32)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rows, func(p exchange.Parcel) bool {
			return p.Epoch < epoch && (p.File < exchange.OfStatement || state == exchange.Withheld)
		}) {
			return true, nil
		}
	}
	return false, nil
}

func (h *House) lostFiles(ctx context.Context, l exchange.Link) (lost []parcel.AskedFile, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.LostFiles(ctx, l.ID, maxRanges)
		for _, f := range files {
			lost = append(lost, parcel.AskedFile{Statement: f.Statement, Position: f.Position})
		}
		return err
	})
	return lost, err
}

// wanting fills in what is still to be asked for: lanes from where they are folded on, logs of former epochs, and the content of
// what we receipted and lost. It says whether there is anything.
func (h *House) wanting(ctx context.Context, tx Tx, l exchange.Link, c *catchUp, a *parcel.AskFrame) (bool, error) {
	for ; c.at < len(c.account.Lanes); c.at, c.begun = c.at+1, false {
		held := c.account.Lanes[c.at]
		if !c.begun {
			lane, err := tx.Lane(ctx, l.ID, held.Author, held.Epoch, held.Lane)
			if err != nil {
				return false, err
			}
			c.after, c.begun = lane.Folded, true
			if l.Catching == exchange.Released { // what was taken meanwhile may have been receipted before, and forgotten
				c.after = 0
			}
		}
		if c.after < held.Last {
			a.Lane = &parcel.LaneAfter{Author: held.Author, Epoch: held.Epoch, Lane: held.Lane, After: c.after}
			return true, nil
		}
	}
	for ; c.log < len(c.account.Logs); c.log++ {
		held := c.account.Logs[c.log]
		if len(held.Note) == 0 || held.Epoch >= h.epochOf(l, held.Party) {
			continue
		}
		log, err := tx.Log(ctx, l.ID, held.Party, held.Epoch)
		if err != nil {
			return false, err
		}
		cp, err := h.heldCheckpoint(ctx, l, held)
		if err != nil || cp.Size <= log.Size {
			continue
		}
		a.Log = &parcel.LogFrom{Party: held.Party, Epoch: held.Epoch, From: log.Size}
		return true, nil
	}
	if !forgetful(l) {
		return false, nil
	}
	for last := (exchange.Parcel{}); len(a.Headers) < maxRanges; {
		rows, err := tx.ParcelsIn(ctx, l.ID, l.Peer, exchange.Received, last, pageOfParcels)
		if err != nil {
			return false, err
		}
		for _, p := range rows {
			if last = p; p.File == exchange.OfStatement && p.GotEpoch != l.OwnEpoch && len(a.Headers) < maxRanges {
				a.Headers = append(a.Headers, p.Header)
			}
		}
		if len(rows) < pageOfParcels {
			break
		}
	}
	return len(a.Headers) > 0, nil
}

// heldCheckpoint opens a cosigned checkpoint that the peer shows of a former epoch, of either party's log.
func (h *House) heldCheckpoint(ctx context.Context, l exchange.Link, held parcel.HeldLog) (*ledger.Checkpoint, error) {
	peer, err := h.PeerChain(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	if held.Party == l.Peer {
		return cosignedCheckpoint(l.ID, held, peer, h.Self())
	}
	return cosignedCheckpoint(l.ID, held, h.Self(), peer)
}

// caughtUp ends the catching up: what the former epochs hold is known. What of ours never came to the peer is to be said again.
func (h *House) caughtUp(ctx context.Context, l exchange.Link) error {
	err := h.cfg.Store.Update(ctx, Urgent, func(tx Tx) error {
		now, err := tx.Link(ctx, l.ID)
		if err != nil || now.Catching == exchange.CaughtUp || now.OwnEpoch != l.OwnEpoch || now.PeerEpoch != l.PeerEpoch {
			return err
		}
		lanes, err := tx.LanesOf(ctx, l.ID)
		if err != nil {
			return err
		}
		for _, s := range lanes {
			if err := h.recount(ctx, tx, now, s); err != nil {
				return err
			}
		}
		again := now.Catching == exchange.Released // what was taken and folded meanwhile may have been receipted before, at another time
		if again {
			if err := tx.DropFolded(ctx, &now.ID); err != nil {
				return err
			}
		}
		now.Catching = exchange.CaughtUp
		if err := tx.PutLink(ctx, now); err != nil {
			return err
		}
		for _, lane := range statement.Lanes() {
			fold := h.foldLane
			if again { // what was told of it is told already
				fold = func(ctx context.Context, tx Tx, l exchange.Link, lane statement.Lane) error {
					_, err := h.refoldLane(ctx, tx, l, lane)
					return err
				}
			}
			if err := fold(ctx, tx, now, lane); err != nil {
				return err
			}
		}
		if err := h.eraseAgain(ctx, tx, now); err != nil {
			return err
		}
		return h.audit(ctx, tx, actor.System().Name, fmt.Sprintf("caught up in epoch %d", now.OwnEpoch), now.Alias)
	})
	if err != nil {
		return fmt.Errorf("ending the catching up of link %s: %w", l.Alias, err)
	}
	h.cfg.Log.Info("caught up with the peer", "link", l.Alias, "epoch", l.OwnEpoch)
	h.roundDue(l.ID)
	h.stir(l.ID)
	return nil
}

// recount sets a lane's counters by what came back in it. Of our own lanes of former epochs, what has no receipt is out of the lane.
func (h *House) recount(ctx context.Context, tx Tx, l exchange.Link, s exchange.LaneState) error {
	ours := s.Author == h.self
	if ours && s.Epoch == l.OwnEpoch {
		return nil
	}
	start, last := s.Folded, s.Folded
	if !ours {
		start = min(s.Settled, s.Contiguous)
	}
	contiguous, ended := start, start
	var unheard []envelope.ID
	for after := start; ; {
		run, err := tx.ParcelRun(ctx, l.ID, s.Author, s.Epoch, s.Lane, after, foldBatch)
		if err != nil {
			return err
		}
		for _, p := range run {
			after = p.Seq
			if p.Received == 0 {
				unheard = append(unheard, p.ID)
				continue
			}
			last = p.Seq
			if p.Seq == contiguous+1 {
				contiguous = p.Seq
			}
			if p.Seq == ended+1 && p.State.Settled() {
				ended = p.Seq
			}
		}
		if len(run) < foldBatch {
			break
		}
	}
	if !ours {
		s.Last, s.Contiguous, s.Settled = max(s.Last, last), max(s.Contiguous, contiguous), max(s.Settled, ended)
		return tx.PutLane(ctx, s)
	}
	s.Last = last
	if err := h.leaveLane(ctx, tx, unheard); err != nil {
		return err
	}
	return tx.PutLane(ctx, s)
}

// leaveLane drops those of our parcels without a receipt whose statement came to the peer in another epoch; the others wait to be
// said again.
func (h *House) leaveLane(ctx context.Context, tx Tx, ids []envelope.ID) error {
	rows, err := tx.ParcelsByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		said, err := tx.Statement(ctx, rows[id].Text)
		if err != nil {
			return err
		}
		if said.Parcel != id {
			if err := tx.DropParcels(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// eraseAgain erases what we told the peer that we had erased: a backup of before brought it back.
func (h *House) eraseAgain(ctx context.Context, tx Tx, l exchange.Link) error {
	var notices []statement.Commitment
	err := tx.Columns(ctx, &l.ID, exchange.RoomErasure, func(c exchange.Column) error {
		if c.Author != h.self {
			return nil
		}
		var column exchange.ErasureColumn
		if err := envelope.Unmarshal(c.Data, &column); err != nil {
			return fmt.Errorf("reading an erasure's column: %w", err)
		}
		notices = append(notices, column.Notice)
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range notices {
		notice, err := tx.Statement(ctx, c)
		if err != nil {
			return err
		}
		text, err := statement.DecodeText(notice.Text)
		if err != nil {
			return fmt.Errorf("reading an erasure's text: %w", err)
		}
		var face statement.ErasureFace
		if err := envelope.Unmarshal(text.Face, &face); err != nil {
			return fmt.Errorf("reading an erasure's face: %w", err)
		}
		row, err := tx.Statement(ctx, face.Statement)
		if notFound(err) || err == nil && (row.Erased != 0 || row.Link != l.ID) {
			continue
		}
		if err != nil {
			return err
		}
		if err := h.eraseRows(ctx, tx, actor.System(), row, face.Reason, h.now()); err != nil {
			return err
		}
	}
	return nil
}
