package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// CourierCut is the code of the refusal that ends the answers to a courier file which broke off or was damaged: what came
// before was taken.
const CourierCut = "courier_cut"

const (
	courierWait   = time.Hour // for parcels that were packed, until they are tried by another way
	courierParcel = 16        // parcels read at a time
	courierRun    = 100       // leaves of one frame, with the receipts that they record
	courierBatch  = 8 << 20   // bytes of frames that are taken at a time
	courierFrames = 256       // frames that are taken at a time
)

// Pack writes all that is due for a link to w as a courier file: parcels with all of their segments, and our ledger from where
// the peer cosigned it, with the receipts that it records, and a signed checkpoint. Nothing counts as delivered by that: what
// has no receipt is packed again, and goes by other ways too; the peer takes each once.
//
// What left by a oneway link is not packed again, as no receipt will tell that it came: with again, all that ever left is.
func (h *House) Pack(ctx context.Context, who actor.Actor, link statement.LinkID, again bool, w io.Writer) error {
	if err := who.May(actor.Courier); err != nil {
		return err
	}
	if err := h.Settle(ctx, link); err != nil { // what came in last may ask for a grant
		h.cfg.Log.Error("settling", "link", link, "err", err)
	}
	c := packing{h: h, s: h.link(link), start: h.now(), again: again, packed: map[envelope.ID]bool{}}
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		if c.l, err = tx.Link(ctx, link); err != nil {
			return err
		}
		t, err := h.terms(c.l)
		switch {
		case err != nil:
			return err
		case t.way == inward:
			return nothingBack()
		case c.l.Catching == exchange.ReadOnly:
			return frozenFault(c.l)
		case again && t.way == bothWays:
			return fault.New(fault.Invalid, "again", "Each file of this link has again what has no receipt yet; pack it without that.")
		}
		c.way = t.way
		if c.log, err = tx.Log(ctx, link, h.self, c.l.OwnEpoch); err != nil {
			return err
		}
		if err := c.forgetTaken(ctx, tx); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "courier pack", c.l.Alias)
	})
	if err != nil {
		return err
	}
	err = parcel.WriteBundle(w, parcel.Bundle{Link: link, From: h.self, To: c.l.Peer}, func(yield func(parcel.Frame, error) bool) {
		c.yield = func(f parcel.Frame) bool { return yield(f, nil) }
		if err := c.frames(ctx); err != nil && !errors.Is(err, errUnwanted) {
			yield(parcel.Frame{}, err)
		}
	})
	if err == nil && c.way == outward {
		err = c.left(context.WithoutCancel(ctx))
	}
	if err != nil {
		c.putBack(context.WithoutCancel(ctx))
	}
	return err
}

// packing is one courier file in the making.
type packing struct {
	h      *House
	s      *linkState
	l      exchange.Link
	log    exchange.Log // as it was before the first parcel was read: what comes meanwhile goes with the next file
	start  int64
	way    way
	again  bool // of a oneway link: all that ever left
	packed map[envelope.ID]bool
	yield  func(parcel.Frame) bool
}

// forgetTaken marks receipts as sent that the peer must hold, since it cosigned our ledger with their leaves.
func (c *packing) forgetTaken(ctx context.Context, tx Tx) error {
	rows, err := tx.UnsentReceipts(ctx, c.l.ID, c.h.self, maxRun)
	if err != nil {
		return err
	}
	var taken []envelope.Hash
	for _, r := range rows {
		if r.Index >= 0 && r.Index < c.log.CosignedSize {
			taken = append(taken, r.Hash)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return tx.MarkReceiptsSent(ctx, taken)
}

// errUnwanted ends a file that cannot be written on; its writer knows why.
var errUnwanted = errors.New("no more frames are wanted")

func (c *packing) add(f parcel.Frame) error {
	if !c.yield(f) {
		return errUnwanted
	}
	return nil
}

func (c *packing) frames(ctx context.Context) error {
	var d Delivery
	if err := c.h.outgoingCatchUp(ctx, c.l, c.s, &d); err != nil {
		return err
	}
	shown, err := c.h.unshown(ctx, c.l, c.log, false)
	if err != nil {
		return err
	}
	for _, f := range append(shown, d.Frames...) {
		if err := c.add(f); err != nil {
			return err
		}
	}
	if c.again {
		if err := c.h.repack(ctx, c); err != nil {
			return err
		}
		return c.onewayLedger(ctx, 0)
	}
	for {
		more, err := c.parcels(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if c.way == outward {
		return c.onewayLedger(ctx, c.log.SignedSize)
	}
	return c.ledger(ctx)
}

// parcels packs the next few parcels, and puts off their next try by another way, so that they are not the next few again.
func (c *packing) parcels(ctx context.Context) (more bool, err error) {
	next := c.start + courierWait.Microseconds()
	var rows []exchange.Parcel
	var docs map[envelope.Hash]exchange.Document
	err = c.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if rows, err = tx.DueParcels(ctx, c.l.ID, c.h.self, next-1, courierParcel); err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(p exchange.Parcel) bool { return c.packed[p.ID] })
		ids, headers := make([]envelope.ID, len(rows)), make([]envelope.Hash, len(rows))
		for i, p := range rows {
			ids[i], headers[i] = p.ID, p.Header
		}
		if docs, err = tx.Documents(ctx, headers); err != nil || len(ids) == 0 {
			return err
		}
		return tx.SetTries(ctx, ids, 0, next)
	})
	if err != nil {
		return false, err
	}
	for _, p := range rows {
		c.packed[p.ID] = true
		if err := c.parcel(ctx, p, docs[p.Header]); err != nil {
			return false, err
		}
	}
	return len(rows) > 0, nil
}

func (c *packing) parcel(ctx context.Context, p exchange.Parcel, doc exchange.Document) error {
	docs := []exchange.Document{doc}
	if err := c.h.sign(ctx, c.l.ID, docs); err != nil {
		return err
	}
	f, err := parcelFrame(p, docs[0])
	if err != nil {
		return err
	}
	if err := c.add(f); err != nil || p.Blob == "" {
		return err
	}
	hashes := make([]envelope.Hash, p.Segments)
	err = c.h.cfg.Store.View(ctx, func(tx Tx) error {
		leaves, err := tx.SegmentHashes(ctx, p.ID)
		for n, leaf := range leaves {
			if n < p.Segments {
				hashes[n] = leaf
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.add(parcel.SegmentHashesFrame{Parcel: p.ID, Leaves: hashes}.Frame()); err != nil {
		return err
	}
	blob, err := c.h.cfg.Blobs.Open(ctx, p.Blob)
	if err != nil {
		return err
	}
	defer blob.Close()
	for n := range p.Segments {
		data, err := readSegment(blob, p.Length, n)
		if err != nil {
			return fmt.Errorf("reading segment %d of parcel %s: %w", n, p.ID, err)
		}
		if err := c.add(parcel.SegmentFrame{Parcel: p.ID, Number: n, Bytes: data}.Frame()); err != nil {
			return err
		}
	}
	return nil
}

// ledger packs our ledger from where the peer stands. The receipts that it records go along; other documents go where the peer
// asked for them, as it has them from parcels.
func (c *packing) ledger(ctx context.Context) error {
	c.s.mu.Lock()
	from, old := c.log.CosignedSize, c.log.CosignedSize
	if c.s.have >= 0 {
		from = min(from, c.s.have)
	}
	if c.s.old >= 0 && c.s.old <= c.log.Size {
		old = c.s.old
		from = min(from, old)
	}
	c.s.mu.Unlock()
	for at := from; at < c.log.Size; at += courierRun {
		if err := c.run(ctx, at, min(courierRun, c.log.Size-at)); err != nil {
			return err
		}
	}
	if old == c.log.Size && from == c.log.Size {
		return nil
	}
	shown, err := c.h.checkpointAt(ctx, c.l, c.log.Size)
	if err != nil {
		return err
	}
	add := ledger.AddCheckpoint{OldSize: old, Note: shown.Note}
	err = c.h.cfg.Store.View(ctx, func(tx Tx) error {
		add.Proof, err = ledger.ProveConsistency(old, c.log.Size, tx.HashReader(ctx, c.l.ID, c.h.self, c.l.OwnEpoch))
		return err
	})
	if err != nil {
		return err
	}
	return c.add(parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: add.Encode()})
}

// run packs leaves, with the signed head that they lead to: it tells the addressee that they are ours.
func (c *packing) run(ctx context.Context, from, n int64) error {
	head, err := c.h.checkpointAt(ctx, c.l, from+n)
	if err != nil {
		return err
	}
	frame := parcel.LeavesFrame{Epoch: c.l.OwnEpoch, First: from, Head: head.Note}
	var recorded []envelope.Hash
	err = c.h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.Leaves(ctx, c.l.ID, c.h.self, c.l.OwnEpoch, from, int(n))
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		for _, r := range rows {
			frame.Leaves = append(frame.Leaves, r.Leaf)
			if r.Kind == string(ledger.ReceiptOut) || c.s.docs[r.Doc] {
				recorded = append(recorded, r.Doc)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if frame.Docs, err = c.h.wanted(ctx, c.l.ID, recorded); err != nil {
		return err
	}
	f, err := parcel.EncodeFrame(parcel.FrameLeaves, frame)
	if err != nil {
		return fmt.Errorf("encoding leaves: %w", err)
	}
	return c.add(f)
}

// putBack makes parcels due again whose file came to nothing.
func (c *packing) putBack(ctx context.Context) {
	if len(c.packed) == 0 {
		return
	}
	if err := c.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.SetTries(ctx, slices.Collect(maps.Keys(c.packed)), 0, 0) }); err != nil {
		c.h.cfg.Log.Error("parcels of a courier file that failed could not be put back", "link", c.l.Alias, "err", err)
	}
	c.s.signal()
}

// checkpointAt signs the head of our ledger at a size. The same size always has the same text, and that is cosigned: what a courier brings back
// may be about one that was signed long ago.
func (h *House) checkpointAt(ctx context.Context, l exchange.Link, size int64) (*ledger.Checkpoint, error) {
	var root envelope.Hash
	var log exchange.Log
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if log, err = tx.Log(ctx, l.ID, h.self, l.OwnEpoch); err != nil {
			return err
		}
		root, err = ledger.TreeRoot(size, tx.HashReader(ctx, l.ID, h.self, l.OwnEpoch))
		return err
	})
	if err != nil {
		return nil, err
	}
	origin := ledger.Origin(l.ID, h.self, l.OwnEpoch)
	signers, err := h.cfg.Keys.LogSigners(log.Identity, origin)
	if err != nil {
		return nil, err
	}
	return ledger.SignCheckpoint(origin, size, root, signers...)
}

// Unpack takes a courier file, and writes the answers to it to w as another. A file that breaks off is taken as far as it
// came; its answers then end with a refusal of code CourierCut. The error is that of a file which is not for this node, or
// of this node; then what was taken until then stays taken.
func (h *House) Unpack(ctx context.Context, who actor.Actor, r io.Reader, begin func() (io.Writer, error)) error {
	if err := who.May(actor.Courier); err != nil {
		return err
	}
	b, frames, err := parcel.ReadBundle(r)
	if err != nil {
		return fault.Wrap(fault.Invalid, "courier_file", "This is not a courier file, or it was damaged on the way; ask the other party for it again.", err)
	}
	var l exchange.Link
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if l, err = tx.Link(ctx, b.Link); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "courier unpack", l.Alias)
	})
	switch {
	case notFound(err):
		return fault.New(fault.NotFound, "courier_link", "This courier file is of a link that this node does not have; look whether it was meant for another node.")
	case err != nil:
		return err
	case b.To != h.self || b.From != l.Peer:
		return fault.New(fault.Invalid, "courier_party", "This courier file is not for this node: it goes to the other party.")
	}
	t, err := h.terms(l)
	if err != nil {
		return err
	}
	if t.way == inward {
		if err := h.mayTake(ctx, l); err != nil {
			return err
		}
	}
	w, err := begin()
	if err != nil {
		return err
	}
	u := unpacking{h: h, l: l, silent: t.way != bothWays, wants: map[envelope.ID]parcel.Frame{}}
	return parcel.WriteBundle(w, parcel.Bundle{Link: l.ID, From: h.self, To: l.Peer}, u.answers(ctx, frames))
}

// unpacking is one courier file that is taken.
type unpacking struct {
	h      *House
	l      exchange.Link
	silent bool                         // of a oneway link: no answer goes back
	wants  map[envelope.ID]parcel.Frame // for segments, which mostly come later in the same file
}

// answers takes frames in batches and yields what answers them.
func (u *unpacking) answers(ctx context.Context, frames iter.Seq2[parcel.Frame, error]) iter.Seq2[parcel.Frame, error] {
	return func(yield func(parcel.Frame, error) bool) {
		var batch []parcel.Frame
		var broken error
		size := 0
		for f, err := range frames {
			if err != nil {
				broken = err
				break
			}
			batch, size = append(batch, f), size+len(f.Payload)
			if size < courierBatch && len(batch) < courierFrames {
				continue
			}
			if !u.take(ctx, batch, yield) {
				return
			}
			batch, size = nil, 0
		}
		if !u.take(ctx, batch, yield) || !u.missing(ctx, yield) || broken == nil {
			return
		}
		u.h.cfg.Count.Refused("courier", CourierCut)
		yield(parcel.EncodeFrame(parcel.FrameRefusal, parcel.RefusalFrame{Code: CourierCut,
			Sentence: "The courier file broke off or was damaged; what came before was taken. Pack another."}))
	}
}

func (u *unpacking) take(ctx context.Context, batch []parcel.Frame, yield func(parcel.Frame, error) bool) bool {
	if len(batch) == 0 {
		return true
	}
	l, err := u.h.linkRow(ctx, u.l.ID)
	var back []parcel.Frame
	if err == nil {
		back, err = u.h.receiveCarried(ctx, l, batch)
	}
	if err != nil {
		yield(parcel.Frame{}, err)
		return false
	}
	if u.silent {
		return true
	}
	for _, f := range back {
		var w parcel.WantFrame
		if f.Kind == parcel.FrameWant && parcel.DecodeFrame(f, parcel.FrameWant, &w) == nil && w.Parcel != nil && u.room(*w.Parcel) {
			u.wants[*w.Parcel] = f
			continue
		}
		if !yield(f, nil) {
			return false
		}
	}
	return true
}

// maxCourierWants bounds the wishes that are kept back until the file has ended; more are answered at once.
const maxCourierWants = 1024

func (u *unpacking) room(id envelope.ID) bool {
	_, known := u.wants[id]
	return known || len(u.wants) < maxCourierWants
}

// missing yields the wishes for segments that the whole file did not fulfil.
func (u *unpacking) missing(ctx context.Context, yield func(parcel.Frame, error) bool) bool {
	for id, f := range u.wants {
		var p exchange.Parcel
		err := u.h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			p, err = tx.Parcel(ctx, id)
			return err
		})
		if err != nil {
			yield(parcel.Frame{}, err)
			return false
		}
		if p.State == exchange.Arriving && !yield(f, nil) {
			return false
		}
	}
	return true
}
