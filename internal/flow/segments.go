package flow

import (
	"context"
	"fmt"
	"io"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/parcel"
)

// segmentHashes takes the leaf hashes of a parcel that arrives in segments and answers with what is missing of it.
func (in *intake) segmentHashes(ctx context.Context, f parcel.Frame) error {
	in.state.pieces.Lock()
	defer in.state.pieces.Unlock()
	s, err := parcel.DecodeSegmentHashesFrame(f)
	if err != nil {
		in.refuse(nil, "segment_hashes", "The segments' hashes are malformed: "+plain(err)+".")
		return nil
	}
	if in.looked[look{parcel.FrameSegmentHashes, s.Parcel}] {
		return nil
	}
	in.looked[look{parcel.FrameSegmentHashes, s.Parcel}] = true
	p, hd, err := in.arriving(ctx, s.Parcel)
	if err != nil || hd == nil {
		return err
	}
	if int64(len(s.Leaves)) != hd.Segments || envelope.Root(s.Leaves) != hd.Root {
		in.refuse(&s.Parcel, "root", "The segments' hashes do not match the header.")
		return nil
	}
	if err := in.h.cfg.Blobs.Reserve(hd.Length); err != nil {
		in.h.warn(in.l.ID, "there is no room for a parcel that arrives", "bytes", hd.Length, "err", err)
		in.refuse(&s.Parcel, "disk_full", "There is no room here for this parcel now; it is taken when there is.")
		return nil // the rest of the batch needs no room
	}
	in.state.mu.Lock()
	if len(in.state.leaves) >= maxArriving && in.state.leaves[p.ID] == nil {
		in.state.mu.Unlock()
		in.refuse(&s.Parcel, "arriving", "Too many parcels arrive in pieces at once; finish one first.")
		return nil
	}
	in.state.leaves[p.ID] = s.Leaves
	in.state.mu.Unlock()
	return in.answerMissing(ctx, hd)
}

// maxArriving bounds the parcels of a link whose segments arrive at the same time.
const maxArriving = 64

// arriving finds a parcel that waits for segments; a nil header means that the frame was answered.
func (in *intake) arriving(ctx context.Context, id envelope.ID) (exchange.Parcel, *parcel.Header, error) {
	var p exchange.Parcel
	var payload []byte
	err := in.h.cfg.Store.View(ctx, func(tx Tx) error {
		var err error
		if p, err = tx.Parcel(ctx, id); err != nil {
			return err
		}
		doc, err := tx.Document(ctx, p.Header)
		payload = doc.Payload
		return err
	})
	if notFound(err) || err == nil && (p.Link != in.l.ID || p.Author != in.l.Peer) {
		in.refuse(&id, "header_first", "The parcel's header is not known here; send it first.")
		return p, nil, nil
	}
	if err != nil {
		return p, nil, err
	}
	if p.State != exchange.Arriving {
		return p, nil, in.again(ctx, p) // complete already: the receipts say so
	}
	hd, err := parcel.DecodeHeader(payload)
	return p, hd, err
}

// again answers with the receipts that we gave for a parcel.
func (in *intake) again(ctx context.Context, p exchange.Parcel) error {
	var ours []*ourReceipt
	err := in.h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.ReceiptsOf(ctx, p.Header)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Author != in.h.self {
				continue
			}
			doc, err := tx.Document(ctx, row.Hash)
			if err != nil {
				return err
			}
			ours = append(ours, &ourReceipt{payload: doc.Payload, row: row, signed: doc.Signatures})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range ours {
		if err := in.h.signOurs(ctx, in.l.ID, []*ourReceipt{r}); err != nil {
			return err
		}
		if err := in.answerReceipt(r); err != nil {
			return err
		}
	}
	return nil
}

// answerMissing asks for the segments that an arriving parcel lacks; without their hashes, for those first (no ranges).
func (in *intake) answerMissing(ctx context.Context, hd *parcel.Header) error {
	w := parcel.WantFrame{Parcel: &hd.ID}
	in.state.mu.Lock()
	known := in.state.leaves[hd.ID] != nil
	in.state.mu.Unlock()
	if known {
		var have map[int64]envelope.Hash
		err := in.h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			have, err = tx.SegmentHashes(ctx, hd.ID)
			return err
		})
		if err != nil {
			return err
		}
		if w.Segments = missing(have, hd.Segments); len(w.Segments) == 0 {
			return in.finish(ctx, hd)
		}
	}
	f, err := parcel.EncodeFrame(parcel.FrameWant, w)
	if err != nil {
		return fmt.Errorf("asking for segments: %w", err)
	}
	in.answers = append(in.answers, f)
	return nil
}

// finish completes a parcel all of whose segments were counted. It believes the bytes, not the count, which may be of a file that
// became a blob just before its receipt could not be stored: where one is not as its hash says, all are asked for again.
func (in *intake) finish(ctx context.Context, hd *parcel.Header) error {
	p, hd, err := in.arriving(ctx, hd.ID)
	if err != nil || hd == nil {
		return err
	}
	in.state.mu.Lock()
	leaves := in.state.leaves[hd.ID]
	in.state.mu.Unlock()
	if leaves == nil { // it expired meanwhile
		return nil
	}
	partial, err := in.h.cfg.Blobs.Partial(ctx, hd.ID, hd.Length)
	if err != nil {
		return err
	}
	defer partial.Close()
	for n := range hd.Segments {
		segment, err := readSegment(partial, hd.Length, n)
		if err == nil && envelope.SegmentHash(segment) == leaves[n] {
			continue
		}
		if err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.DropSegments(ctx, hd.ID) }); err != nil {
			return err
		}
		f, err := parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &hd.ID, Segments: []parcel.Gap{{From: 0, To: uint64(hd.Segments - 1)}}})
		if err != nil {
			return fmt.Errorf("asking for segments: %w", err)
		}
		in.answers = append(in.answers, f)
		return nil
	}
	return in.complete(ctx, p, hd, partial)
}

// maxRanges is how many ranges one wish names.
const maxRanges = 256

func missing(have map[int64]envelope.Hash, total int64) []parcel.Gap {
	var gaps []parcel.Gap
	for n := int64(0); n < total && len(gaps) < maxRanges; n++ {
		if _, ok := have[n]; ok {
			continue
		}
		if last := len(gaps) - 1; last >= 0 && gaps[last].To == uint64(n-1) {
			gaps[last].To = uint64(n)
			continue
		}
		gaps = append(gaps, parcel.Gap{From: uint64(n), To: uint64(n)})
	}
	return gaps
}

// segments takes segments: each is verified against its hash and written; all are made durable at once, then counted.
func (in *intake) segments(ctx context.Context, frames []parcel.Frame) error {
	byParcel := map[envelope.ID][]parcel.SegmentFrame{}
	var order []envelope.ID
	for _, f := range frames {
		s, err := parcel.DecodeSegmentFrame(f)
		if err != nil {
			in.refuse(nil, "segment", "The segment is malformed: "+plain(err)+".")
			continue
		}
		if byParcel[s.Parcel] == nil {
			order = append(order, s.Parcel)
		}
		byParcel[s.Parcel] = append(byParcel[s.Parcel], s)
	}
	for _, id := range order {
		if err := in.segmentsOf(ctx, id, byParcel[id]); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) segmentsOf(ctx context.Context, id envelope.ID, segments []parcel.SegmentFrame) error {
	in.state.pieces.Lock()
	defer in.state.pieces.Unlock()
	_, hd, err := in.arriving(ctx, id)
	if err != nil || hd == nil {
		return err
	}
	in.state.mu.Lock()
	leaves := in.state.leaves[id]
	in.state.mu.Unlock()
	if leaves == nil {
		return in.answerMissing(ctx, hd)
	}
	partial, err := in.h.cfg.Blobs.Partial(ctx, id, hd.Length)
	if err != nil {
		return err
	}
	defer partial.Close()
	var good []parcel.SegmentFrame
	for _, s := range segments {
		if s.Number >= hd.Segments || int64(len(s.Bytes)) != segmentSize(hd.Length, s.Number) || envelope.SegmentHash(s.Bytes) != leaves[s.Number] {
			in.refuse(&id, "segment_hash", "A segment does not match its hash; send it again.")
			continue
		}
		if _, err := partial.WriteAt(s.Bytes, s.Number*envelope.SegmentSize); err != nil {
			return fault.Wrap(fault.Unavailable, "disk", "The segment could not be written; nothing was lost.", err)
		}
		good = append(good, s)
	}
	if err := partial.Sync(); err != nil {
		return fault.Wrap(fault.Unavailable, "disk", "The segment could not be written; nothing was lost.", err)
	}
	var have map[int64]envelope.Hash
	err = in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		for _, s := range good {
			if _, err := tx.PutSegment(ctx, id, s.Number, leaves[s.Number]); err != nil {
				return err
			}
		}
		have, err = tx.SegmentHashes(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	if int64(len(have)) < hd.Segments {
		return in.answerMissing(ctx, hd)
	}
	return in.finish(ctx, hd)
}

// complete receipts a parcel whose segments are all there and verified.
func (in *intake) complete(ctx context.Context, p exchange.Parcel, hd *parcel.Header, partial PartialBlob) error {
	name, err := partial.Commit()
	if err != nil {
		return err
	}
	a := &arrival{header: hd, hash: p.Header}
	err = in.h.endArrival(ctx, in.l, a, func(_ *accepting, row *exchange.Parcel) {
		row.State, row.Blob = exchange.Received, name
		if hd.Registered {
			row.State = exchange.Held
		}
	})
	if err != nil {
		return err
	}
	if err := in.signReceipts(ctx, []*arrival{a}); err != nil {
		return err
	}
	in.state.mu.Lock()
	delete(in.state.leaves, p.ID)
	in.state.mu.Unlock()
	for _, r := range a.receipts {
		if err := in.answerReceipt(r); err != nil {
			return err
		}
	}
	in.h.stir(in.l.ID)
	return nil
}

// segmentBudget is how many segments go into one delivery of at most n bytes.
func segmentBudget(n int) int { return max(n/envelope.SegmentSize, 1) }

// segmentSize is how long segment n of so many sealed bytes is; 0 or less beyond them.
func segmentSize(length, n int64) int64 {
	return min(length-n*envelope.SegmentSize, envelope.SegmentSize)
}

// readSegment reads one sealed segment.
func readSegment(src io.ReaderAt, length, n int64) ([]byte, error) {
	size := segmentSize(length, n)
	if size <= 0 {
		return nil, fmt.Errorf("segment %d is beyond %d bytes", n, length)
	}
	buf := make([]byte, size)
	if _, err := src.ReadAt(buf, n*envelope.SegmentSize); err != nil && err != io.EOF {
		return nil, err
	}
	return buf, nil
}

// numbers are the first segments that gaps name, of so many that there are.
func numbers(gaps []parcel.Gap, total int64, limit int) []int64 {
	var ns []int64
	for _, g := range gaps {
		for n := g.From; n <= g.To && n < uint64(total) && len(ns) < limit; n++ {
			ns = append(ns, int64(n))
		}
	}
	return slices.Clip(ns)
}
