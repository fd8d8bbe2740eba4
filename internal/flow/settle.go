package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// authors says whether content did not open through its author's doing. Anything else, such as a disk that cannot be read, or that
// kept other bytes than those that were taken, is ours: the parcel is opened later, and nobody is told that it was rejected.
func authors(err error) bool {
	if errors.Is(err, parcel.ErrBytes) {
		return false
	}
	_, format := errors.AsType[*envelope.FormatError](err)
	return format || errors.Is(err, envelope.ErrSealed) || fault.KindOf(err) == fault.Invalid
}

// open decrypts a statement's content and checks it against its header. A code says why it was rejected; an error is our own.
func (h *House) open(ctx context.Context, l exchange.Link, hd *parcel.Header, src io.ReaderAt) (*statement.Content, *statement.Text, string, error) {
	content, text, err := parcel.OpenContent(h.cfg.Registry, src, hd, h.cfg.Keys.Opener())
	if err != nil && !authors(err) {
		return nil, nil, "", fault.Wrap(fault.Unavailable, "open", "The statement could not be opened now; nothing was lost.", err)
	}
	if err != nil {
		h.warn(l.ID, "a parcel could not be opened", "parcel", hd.ID, "err", err)
		return nil, nil, "not_opened", nil
	}
	rules, err := h.editions(ctx, nil, l)
	if err != nil {
		return nil, nil, "", err
	}
	kinds, ok := rules(text.Edition)
	if !ok {
		return nil, nil, "edition", nil
	}
	// A fold never sees a body, since it may be erased: one that does not fit its kind is rejected here, for both sides.
	if kind, ok := kinds[text.Kind]; ok && (kind.CheckBody(content.Body) != nil ||
		kind.CheckBoth != nil && kind.CheckFace(text.Face) == nil && kind.CheckBoth(text.Face, content.Body) != nil) {
		return nil, nil, "body", nil
	}
	return content, text, "", nil
}

// restBody makes what lies at rest of an opened statement.
func (h *House) restBody(content *statement.Content, c statement.Commitment) (body, wrapped []byte, broken *fault.Error) {
	fail := func(err error) *fault.Error {
		return fault.Wrap(fault.Unavailable, "keyring", "The statement could not be stored; nothing was lost.", err)
	}
	encoded, err := content.Encode()
	if err != nil {
		return nil, nil, fail(err)
	}
	key := make([]byte, 32)
	rand.Read(key)
	if body, wrapped, err = h.lock(key, c, encoded); err != nil {
		return nil, nil, fail(err)
	}
	return body, wrapped, nil
}

// stir wakes the settling loop for a link.
func (h *House) stir(link statement.LinkID) {
	h.dirty.Store(link, true)
	select {
	case h.settling <- struct{}{}:
	default:
	}
}

// SettleLoop opens and folds what came in and was not opened at once, until ctx ends; links beside each other, so that the large
// files of one peer keep no other's waiting. It is woken by arrivals, and looks by
// itself now and then for what a failure left.
func (h *House) SettleLoop(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var links sync.WaitGroup
	defer links.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.settling:
		case <-tick.C:
			if err := h.Expire(ctx); err != nil && ctx.Err() == nil {
				h.cfg.Log.Error("expiring parcels", "err", err)
			}
		}
		h.dirty.Range(func(key, _ any) bool {
			link := key.(statement.LinkID)
			if _, busy := h.busy.LoadOrStore(link, true); !busy {
				links.Go(func() { h.settleDirty(ctx, link) })
			}
			return ctx.Err() == nil
		})
	}
}

// settleDirty settles a link until nothing more has come meanwhile. One such call at a time runs for a link.
func (h *House) settleDirty(ctx context.Context, link statement.LinkID) {
	for ctx.Err() == nil {
		if _, more := h.dirty.LoadAndDelete(link); !more {
			break
		}
		if err := h.Settle(ctx, link); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("settling", "link", link, "err", err)
		}
	}
	h.busy.Delete(link)
	if _, more := h.dirty.Load(link); more { // it came as this ended
		h.stir(link)
	}
}

// Settle opens everything of a link that was received and not opened yet: large statements, and files whose statement is
// known; and gives what the peer has receipted of our registered statements its grant. What cannot be opened now keeps nothing else
// back. It is idempotent; a crash in the middle is settled by the next call.
func (h *House) Settle(ctx context.Context, link statement.LinkID) error {
	err := h.settle(ctx, link, func(exchange.Parcel) bool { return true })
	return errors.Join(err, h.grantDue(ctx, link), h.goOn(ctx, link))
}

// settle is Settle, of some parcels only.
func (h *House) settle(ctx context.Context, link statement.LinkID, which func(exchange.Parcel) bool) error {
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return err
	}
	if frozen(l) {
		return nil
	}
	failed := 0
	var first error
	err = h.eachIn(ctx, l, exchange.Received, func(p exchange.Parcel) error {
		if !which(p) {
			return nil
		}
		open := h.settleFile
		if p.File < 0 {
			open = h.settleStatement
		}
		if err := open(ctx, l, p); err != nil && !h.settledMeanwhile(ctx, p.ID) {
			if failed++; first == nil {
				first = fmt.Errorf("settling parcel %s: %w", p.ID, err)
			}
		}
		return ctx.Err()
	})
	if failed > 1 {
		first = fmt.Errorf("%w; and %d more", first, failed-1)
	}
	return errors.Join(first, err)
}

// eachIn goes through the peer's parcels on a link in a state, most urgent first, a page at a time: however many wait, none is
// left out. do may move them on.
func (h *House) eachIn(ctx context.Context, l exchange.Link, state exchange.ParcelState, do func(exchange.Parcel) error) error {
	var last exchange.Parcel
	for {
		var rows []exchange.Parcel
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			rows, err = tx.ParcelsIn(ctx, l.ID, l.Peer, state, last, pageOfParcels)
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range rows {
			if err := do(p); err != nil {
				return err
			}
			last = p
		}
		if len(rows) < pageOfParcels {
			return nil
		}
	}
}

// pageOfParcels is how many rows are read at a time.
const pageOfParcels = 256

// settledMeanwhile says whether another call of Settle was faster: then what it took away is not missing.
func (h *House) settledMeanwhile(ctx context.Context, id envelope.ID) bool {
	var p exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		p, err = tx.Parcel(ctx, id)
		return err
	})
	return err == nil && p.State != exchange.Received
}

// content reads a parcel's sealed content: from its row, or from the segments that came.
func (h *House) content(ctx context.Context, p exchange.Parcel) (io.ReaderAt, func(), error) {
	var full exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		full, err = tx.Parcel(ctx, p.ID)
		return err
	})
	if err != nil || full.Content != nil {
		return bytes.NewReader(full.Content), func() {}, err
	}
	var b Blob
	if p.Blob != "" { // it was received by a build that made a blob of its segments
		b, err = h.cfg.Blobs.Open(ctx, p.Blob)
	} else {
		b, err = h.cfg.Blobs.OpenPartial(ctx, p.ID)
	}
	if err != nil {
		return nil, nil, err
	}
	return b, func() { b.Close() }, nil
}

func (h *House) header(ctx context.Context, hash envelope.Hash) (*parcel.Header, error) {
	var doc exchange.Document
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		doc, err = tx.Document(ctx, hash)
		return err
	})
	if err != nil {
		return nil, err
	}
	return parcel.DecodeHeader(doc.Payload)
}

func (h *House) settleStatement(ctx context.Context, l exchange.Link, p exchange.Parcel) error {
	hd, err := h.header(ctx, p.Header)
	if err != nil {
		return err
	}
	src, done, err := h.content(ctx, p)
	if err != nil {
		return err
	}
	defer done()
	a := &arrival{header: hd, hash: p.Header}
	if a.content, a.text, a.rejected, err = h.open(ctx, l, hd, src); err != nil {
		return err
	}
	if a.rejected == "" {
		if a.body, a.wrapped, a.broken = h.restBody(a.content, hd.Text); a.broken != nil {
			return a.broken
		}
	}
	return h.settled(ctx, l, p, a, func(ctx context.Context, w *accepting, row *exchange.Parcel) error {
		rejected := a.rejected
		repeated, err := w.said(ctx, p.Text)
		if err != nil {
			return err
		}
		if repeated {
			rejected = "repeated"
		}
		if rejected == "" {
			early, err := w.early(ctx, a.text)
			if err != nil {
				return err
			}
			outdated, err := w.outdated(ctx, a.text, hd.Index)
			switch {
			case err != nil:
				return err
			case early:
				rejected = refusedUnverified
			case outdated:
				rejected = exchange.VoidEdition
			}
		}
		if rejected != "" {
			row.State, row.Reason = exchange.Rejected, rejected
			return nil
		}
		row.State = exchange.Opened
		if len(a.content.Files) > 0 {
			h.stir(l.ID) // its files may have come before it
		}
		return w.say(ctx, a, *row)
	})
}

// settled is the transaction that ends a parcel: opened or rejected, its receipt, and the fold.
func (h *House) settled(ctx context.Context, l exchange.Link, p exchange.Parcel, a *arrival, end func(context.Context, *accepting, *exchange.Parcel) error) error {
	var ours *ourReceipt
	var blob string
	var pieces bool
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		ours, blob, pieces = nil, "", false
		w, row, lane, err := h.reopen(ctx, tx, l, p.ID, exchange.Received)
		if err != nil || w == nil {
			return err
		}
		w.push = true
		if err := end(ctx, w, &row); err != nil {
			return err
		}
		kind := parcel.Opened
		if row.State == exchange.Rejected {
			kind = parcel.Rejected
		}
		if row.Seq > 0 {
			lane.held[row.Seq] = held{row.Header, true}
			for lane.held[lane.state.Settled+1].settled {
				lane.state.Settled++
			}
		}
		if ours, err = w.end(kind, a, row, lane); err != nil {
			return err
		}
		blob, pieces = row.Blob, row.Content == nil
		row.Content, row.Blob = nil, ""
		if err := tx.UpdateParcels(ctx, row); err != nil {
			return err
		}
		return w.close(ctx)
	})
	if err != nil || ours == nil {
		return err
	}
	if pieces {
		h.dropPieces(ctx, p.ID, blob)
	}
	h.recallReceipts([]*ourReceipt{ours})
	if err := h.signOurs(ctx, l.ID, []*ourReceipt{ours}); err != nil {
		return err
	}
	h.link(l.ID).signal()
	return nil
}

// dropPieces removes the segments of a parcel of the peer that has come to its end. What it leaves, a sweep finds.
func (h *House) dropPieces(ctx context.Context, id envelope.ID, blob string) {
	if err := h.cfg.Blobs.RemovePartial(ctx, id); err != nil {
		h.cfg.Log.Warn("removing the segments of a parcel; they are removed later", "parcel", id, "err", err)
	}
	if blob != "" {
		h.drop(ctx, blob)
	}
}

// drop removes a blob that the row of a parcel named, unless it is a file of ours. What it leaves, a sweep finds.
func (h *House) drop(ctx context.Context, blob string) {
	var named map[string]bool
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		named, err = tx.BlobsNamed(ctx, []string{blob})
		return err
	})
	if err == nil && !named[blob] {
		err = h.cfg.Blobs.Remove(ctx, blob)
	}
	if err != nil {
		h.cfg.Log.Warn("removing sealed bytes; they are removed later", "blob", blob, "err", err)
	}
}

// settleFile opens a file once its statement is opened: it is decrypted as a stream, sealed at rest under the statement's key,
// and its digest compared with what the statement says.
func (h *House) settleFile(ctx context.Context, l exchange.Link, p exchange.Parcel) error {
	var said exchange.Statement
	var sealed, wrapped []byte
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if said, err = tx.Statement(ctx, p.Text); err != nil {
			return err
		}
		if said.Erased == 0 {
			sealed, wrapped, err = tx.Body(ctx, p.Text)
		}
		return err
	})
	if notFound(err) && p.Expires > h.now() && p.Epoch == l.PeerEpoch {
		return nil // its statement has not come yet
	}
	if notFound(err) {
		said, err = exchange.Statement{}, nil // nor will it: the file is named by none
	}
	if err != nil {
		return err
	}
	hd, err := h.header(ctx, p.Header)
	if err != nil {
		return err
	}
	hold := h.hold()
	defer hold.release()
	row, reason := exchange.File{Statement: p.Text, Position: p.File, Link: l.ID, Author: p.Author, Parcel: p.ID, State: "failed"}, "erased"
	switch {
	case said.Author != p.Author && l.OwnEpoch == ledger.FirstEpoch || said.Link != p.Link || said.Lane != p.Lane:
		reason = "not_named"
	case said.Erased == 0:
		if row, reason, err = h.storeFile(ctx, l, p, hd, sealed, wrapped, hold); err != nil {
			return err
		}
	}
	a := &arrival{header: hd, hash: p.Header}
	return h.settled(ctx, l, p, a, func(ctx context.Context, w *accepting, parcelRow *exchange.Parcel) error {
		parcelRow.State = exchange.Opened
		if reason != "" {
			parcelRow.State, parcelRow.Reason, row.State, row.Reason = exchange.Rejected, reason, "failed", reason
		}
		if reason == "not_named" {
			return nil // the place that it claims is another file's
		}
		now, err := w.tx.Statement(ctx, p.Text)
		if err != nil {
			return err
		}
		if now.Erased != 0 { // perhaps since it was opened
			parcelRow.State, parcelRow.Reason = exchange.Rejected, fileErased
			row.State, row.Reason, row.FLOE = fileErased, "", nil
			if row.Blob != "" {
				row.State = fileErasing
			}
		}
		return w.tx.PutFiles(ctx, row)
	})
}

// storeFile decrypts a file and seals it at rest; reason is the code for which it is rejected.
func (h *House) storeFile(ctx context.Context, l exchange.Link, p exchange.Parcel, hd *parcel.Header, sealed, wrapped []byte, hold *claim) (row exchange.File, reason string, err error) {
	content, key, err := h.unlock(sealed, wrapped, p.Text)
	if err != nil {
		return row, "", err
	}
	row = exchange.File{Statement: p.Text, Position: p.File, Link: p.Link, Author: p.Author, Parcel: p.ID, State: "failed"}
	if p.File >= len(content.Files) {
		return row, "not_named", nil
	}
	f := content.Files[p.File]
	if f.Parcel != p.ID {
		wanted, err := h.sealedAnew(ctx, l, p)
		if err != nil || !wanted {
			return row, "not_named", err
		}
		f.Parcel = p.ID // its digest decides
	}
	row.Size = f.Size
	if err := h.cfg.Blobs.Reserve(f.Size); err != nil {
		return row, "", err
	}
	src, done, err := h.content(ctx, p)
	if err != nil {
		return row, "", err
	}
	defer done()
	rest, err := h.createRest(ctx, key, p.File)
	if err != nil {
		return row, "", err
	}
	defer rest.discard()
	if err := parcel.OpenFile(h.cfg.Registry, rest, src, hd, f, h.cfg.Keys.Opener()); err != nil {
		if !authors(err) {
			return row, "", err
		}
		h.warn(p.Link, "a file could not be opened", "parcel", p.ID, "err", err)
		return row, "not_opened", nil
	}
	if row.Blob, row.FLOE, err = rest.commit(hold); err != nil {
		return row, "", err
	}
	row.State = "stored"
	return row, "", nil
}

// Expire refuses, with a signed receipt that uses up its sequence, what began to arrive and did not come whole in time.
func (h *House) Expire(ctx context.Context) error {
	var links []exchange.Link
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		links, err = tx.Unended(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range links {
		h.dirty.Store(l.ID, true)
		if frozen(l) {
			continue
		}
		err := h.eachIn(ctx, l, exchange.Arriving, func(p exchange.Parcel) error {
			if p.Expires > h.now() {
				return nil
			}
			if err := h.expireOne(ctx, l, p); err != nil {
				return fmt.Errorf("expiring parcel %s: %w", p.ID, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *House) expireOne(ctx context.Context, l exchange.Link, p exchange.Parcel) error {
	hd, err := h.header(ctx, p.Header)
	if err != nil {
		return err
	}
	a := &arrival{header: hd, hash: p.Header}
	err = h.endArrival(ctx, l, a, func(w *accepting, row *exchange.Parcel) {
		w.push = true
		row.State, row.Reason = exchange.Refused, "expired"
	})
	if err != nil {
		return err
	}
	if err := h.signOurs(ctx, l.ID, a.receipts); err != nil {
		return err
	}
	s := h.link(l.ID)
	s.forgetArrival(p.ID)
	s.signal()
	return h.cfg.Blobs.RemovePartial(ctx, p.ID)
}
