package flow

import (
	"bytes"
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

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
		follower, err := ledger.ResumeFollower(g.Epoch, b.log.Size, b.log.LastTime, b.tree)
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

// itemAuthor is the chain of who signed a header, and of who receipted it.
func (in *intake) itemAuthor(from party.ID) (author, addressee *party.Chain, ok bool) {
	switch from {
	case in.h.self:
		return in.h.Self(), in.kin.stands, true
	case in.l.Peer:
		return in.kin.stands, in.h.Self(), true
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
