package flow

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
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

// fileLost is the state of a file whose statement was given back, until the file itself is.
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
	if l.OwnEpoch == ledger.FirstEpoch {
		return nil
	}
	s.mu.Lock()
	wait := s.catch.due > h.now()
	s.mu.Unlock()
	if wait {
		return nil
	}
	f, err := h.nextAsk(ctx, l, s)
	if err != nil || f == nil {
		return err
	}
	d.add(*f)
	s.mu.Lock()
	s.catch.due, s.catch.show = h.now()+askAgain.Microseconds(), false
	s.mu.Unlock()
	return nil
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
		left = false
		for _, author := range []party.ID{h.self, l.Peer} {
			for _, state := range []exchange.ParcelState{exchange.Held, exchange.Withheld, exchange.Unsaid, exchange.Sending, exchange.Received, exchange.Arriving} {
				rows, err := tx.ParcelsIn(ctx, l.ID, author, state, exchange.Parcel{}, 1<<20)
				if err != nil {
					return err
				}
				for _, p := range rows {
					ended := p.Epoch < h.epochOf(l, author) || author == l.Peer && forgetful(l)
					left = left || ended && (p.File < exchange.OfStatement || state == exchange.Withheld)
				}
			}
		}
		return nil
	})
	return left, err
}

func (h *House) lostFiles(ctx context.Context, l exchange.Link) (lost []parcel.AskedFile, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.FilesInState(ctx, l.ID, fileLost, maxRanges)
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
	owner, witness := h.cfg.Self, peer
	if held.Party == l.Peer {
		owner, witness = peer, h.cfg.Self
	}
	c, err := ledger.OpenCheckpoint(held.Note, ledger.Origin(l.ID, held.Party, held.Epoch), owner.Latest().Log)
	if err != nil {
		return nil, err
	}
	_, err = c.Cosigned(ledger.WitnessName(witness.ID), witness.Latest().Witness)
	return c, err
}

// given takes what the peer gives back. Each part proves itself: headers and receipts by their signatures, content by the commitment
// that its header names, leaves by a checkpoint that both signed.
func (in *intake) given(ctx context.Context, f parcel.Frame) error {
	var g parcel.GivenFrame
	if err := parcel.DecodeFrame(f, parcel.FrameGiven, &g); err != nil {
		in.refuse(nil, "given", "What is given back is malformed: "+plain(err)+".")
		return nil
	}
	l, err := in.h.linkRow(ctx, in.l.ID)
	if err != nil {
		return err
	}
	if l.OwnEpoch == ledger.FirstEpoch || g.Epochs.Own != l.PeerEpoch || g.Epochs.Peer != l.OwnEpoch {
		in.refuse(nil, codeEpoch, "Epochs are named that are not open here.")
		return nil
	}
	in.l = l
	if len(g.AbsentFiles) > 0 {
		if err := in.absentFiles(ctx, g.AbsentFiles); err != nil {
			return err
		}
	}
	s := in.state
	s.mu.Lock()
	c := s.catch
	s.mu.Unlock()
	if l.Catching == exchange.CaughtUp || c.account == nil {
		return nil
	}
	in.woke = true
	ok, err := in.takeGiven(ctx, &c, &g)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.catch.account == c.account && s.catch.at <= c.at {
		s.catch = c
		s.catch.due = 1
		if !ok {
			s.catch.due = in.h.now() + askBlocked.Microseconds()
		}
	}
	s.mu.Unlock()
	return nil
}

// takeGiven takes the parts of an answer, and moves c on. It says whether anything was taken.
func (in *intake) takeGiven(ctx context.Context, c *catchUp, g *parcel.GivenFrame) (bool, error) {
	taken := false
	items, good := in.examineItems(ctx, g.Items)
	if len(items)+len(g.Absent) > 0 {
		if err := in.takeItems(ctx, items, g.Absent); err != nil {
			return false, err
		}
		taken = true
	}
	if g.Lane != nil && c.at < len(c.account.Lanes) && good {
		held := c.account.Lanes[c.at]
		if held.Author == g.Lane.Author && held.Epoch == g.Lane.Epoch && held.Lane == g.Lane.Lane && c.begun && c.after == g.Lane.After {
			taken = taken || g.Done || g.Next > c.after
			c.after = max(c.after, g.Next)
			if g.Done {
				c.at, c.begun = c.at+1, false
			}
		}
	}
	if g.Log != nil && c.log < len(c.account.Logs) {
		ok, err := in.takeLog(ctx, c.account.Logs[c.log], g.Log)
		if err != nil {
			return false, err
		}
		if !ok { // the peer's copy does not prove itself; ours stays as it is
			in.h.cfg.Count.Refused("peer", "given_log")
			c.log++
		}
		taken = true
	}
	return taken, nil
}

// takeLog appends leaves of a former epoch that are proved to be part of a cosigned checkpoint.
func (in *intake) takeLog(ctx context.Context, held parcel.HeldLog, g *parcel.GivenLog) (bool, error) {
	c, err := in.h.heldCheckpoint(ctx, in.l, held)
	if err != nil || g.Party != held.Party || g.Epoch != held.Epoch || g.Size != c.Size {
		return false, nil
	}
	ok := false
	err = in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		ok = false
		b, err := openBook(ctx, tx, in.l.ID, g.Party, g.Epoch)
		if err != nil {
			return err
		}
		if b.log.Size != g.From {
			ok = b.log.Size > g.From // taken already
			return nil
		}
		follower, err := ledger.ResumeFollower(g.Epoch, b.log.Size, b.log.LastTime, b)
		if err != nil {
			return err
		}
		reached, leaves, err := follower.CheckRun(g.Leaves)
		if err != nil {
			return nil
		}
		path := make([]tlog.Hash, len(g.Proof))
		for i, hash := range g.Proof {
			path[i] = tlog.Hash(hash)
		}
		if ledger.CheckConsistency(path, reached.Size, reached.Head().Root, c.Size, c.Root) != nil {
			return nil
		}
		for i, leaf := range leaves {
			if err := b.add(g.Leaves[i], leaf.Doc, leaf.Kind, leaf.Time); err != nil {
				return err
			}
		}
		if b.log.Size >= c.Size && b.log.CosignedSize < c.Size {
			b.log.CosignedSize, b.log.CosignedNote, b.log.CosignedAt = c.Size, c.Note, in.h.now()
		}
		ok = true
		return b.close(ctx, tx)
	})
	return ok, err
}

// absentFiles ends the waiting for files that the peer does not hold either.
func (in *intake) absentFiles(ctx context.Context, absent []parcel.AskedFile) error {
	return in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		for _, a := range absent {
			files, err := tx.Files(ctx, a.Statement)
			if err != nil {
				return err
			}
			for _, f := range files {
				if f.Position == a.Position && f.Link == in.l.ID && f.State == fileLost {
					f.State, f.Reason = "failed", fileLost
					if err := tx.PutFiles(ctx, f); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
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
		now.Catching = exchange.CaughtUp
		if err := tx.PutLink(ctx, now); err != nil {
			return err
		}
		for _, lane := range statement.Lanes() {
			if err := h.foldLane(ctx, tx, now, lane); err != nil {
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

// itemAuthor is the chain of who signed a header, and of who receipted it.
func (in *intake) itemAuthor(from party.ID) (author, addressee *party.Chain, ok bool) {
	switch from {
	case in.h.self:
		return in.h.cfg.Self, in.peer, true
	case in.l.Peer:
		return in.peer, in.h.cfg.Self, true
	}
	return nil, nil, false
}

// givenStatement is an item that proved itself.
type givenStatement struct {
	arrival
	receipts []givenReceipt
	bare     *parcel.GivenItem // text alone
}

type givenReceipt struct {
	doc exchange.Document
	r   *parcel.Receipt
}

// examineItems checks what is given back; good is false if anything was left out since it did not prove itself.
func (in *intake) examineItems(ctx context.Context, items []parcel.GivenItem) (taken []*givenStatement, good bool) {
	all := make([]*givenStatement, len(items))
	parallel(len(items), func(i int) {
		s, err := in.examineItem(ctx, items[i])
		if err != nil {
			in.h.cfg.Log.Warn("what the peer gave back does not prove itself", "link", in.l.Alias, "err", err)
			return
		}
		all[i] = s
	})
	good = true
	for _, s := range all {
		if s == nil {
			in.h.cfg.Count.Refused("peer", "given_item")
			good = false
			continue
		}
		taken = append(taken, s)
	}
	return taken, good
}

func (in *intake) examineItem(ctx context.Context, item parcel.GivenItem) (*givenStatement, error) {
	h := in.h
	env, err := envelope.DecodeEnvelope(item.Header)
	if err != nil {
		return nil, err
	}
	hd, err := parcel.DecodeHeader(env.Payload)
	if err != nil {
		return nil, err
	}
	author, addressee, ok := in.itemAuthor(hd.From)
	if !ok || hd.Link != in.l.ID || hd.To != addressee.ID || hd.File != nil || hd.Epoch > h.epochOf(in.l, hd.From) {
		return nil, fault.New(fault.Invalid, "addressee", "The header is not of a statement on this link.")
	}
	if err := in.verifyBy(author, hd.Identity, env, parcel.HeaderType); err != nil {
		return nil, err
	}
	s := &givenStatement{arrival: arrival{env: env, header: hd, hash: envelope.Sum(env.Payload)}}
	for _, data := range item.Receipts {
		env, err := envelope.DecodeEnvelope(data)
		if err != nil {
			return nil, err
		}
		r, err := parcel.DecodeReceipt(env.Payload)
		if err != nil {
			return nil, err
		}
		if err := in.verifyBy(addressee, r.Identity, env, parcel.ReceiptType); err != nil {
			return nil, err
		}
		if r.Link != in.l.ID || r.From != hd.To || r.To != hd.From || r.Header != s.hash || r.Root != hd.Root || r.Epoch != hd.Epoch || r.Lane != hd.Lane || r.Seq != hd.Seq {
			return nil, fault.New(fault.Invalid, "receipt", "A receipt is not of this header.")
		}
		s.receipts = append(s.receipts, givenReceipt{r: r, doc: exchange.Document{Hash: envelope.Sum(env.Payload), Link: in.l.ID,
			Type: parcel.ReceiptType, Payload: env.Payload, Signatures: env.Signatures}})
	}
	switch {
	case len(item.Sealed) > 0:
		if s.content, s.text, s.rejected, err = h.open(ctx, in.l, hd.Given(item), bytes.NewReader(item.Sealed)); err != nil {
			return nil, err
		}
		if s.rejected != "" {
			return nil, fault.New(fault.Invalid, s.rejected, "The content does not open.")
		}
		if s.body, s.wrapped, s.broken = h.restBody(s.content, hd.Text); s.broken != nil {
			return nil, s.broken
		}
	case len(item.Text) > 0:
		if s.text, err = statement.DecodeText(item.Text); err != nil {
			return nil, err
		}
		if statement.Commit(statement.TextLabel(), *item.TextSalt, item.Text) != hd.Text {
			return nil, fault.New(fault.Invalid, "text", "The text is not the one that the header commits to.")
		}
		s.bare = &item
	}
	return s, nil
}

func (in *intake) verifyBy(chain *party.Chain, version int, env *envelope.Envelope, as string) error {
	signer, ok := chain.At(version)
	if !ok {
		return fault.New(fault.Invalid, "identity_version", "The identity version that signed is not known here.")
	}
	_, err := in.h.cfg.Registry.Verify(env, as, signer.KeySet())
	return err
}
