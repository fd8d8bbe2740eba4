package flow

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/parcel"
)

// inflow is a parcel of the peer that arrives in segments, as a running node knows it. Segments are written as they come, in any
// order and by several deliveries at a time, and made durable together: what is recorded is durable. A crash loses what was not.
type inflow struct {
	leaves []envelope.Hash
	come   atomic.Int64 // count, for people: they do not wait for a disk

	mu    sync.Mutex // held while segments are made durable, and while the parcel is completed; guards what follows
	have  []bool     // written
	count int64      // how many these are
	loose []int64    // of these, not known to be durable
	ended bool       // it was completed, or has expired
}

const (
	// maxLoose is how many segments are written before they are made durable. A delivery has four at most, and two are under way
	// at a time: so a crash loses less than 16 MiB of what was sent.
	maxLoose = 8
	// maxArriving bounds the parcels of a link whose segments arrive at the same time.
	maxArriving = 64
)

func (s *linkState) inflow(id envelope.ID) *inflow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inflows[id]
}

// forgetArrival is called when a parcel does not arrive any more.
func (s *linkState) forgetArrival(id envelope.ID) {
	s.mu.Lock()
	f := s.inflows[id]
	delete(s.inflows, id)
	s.mu.Unlock()
	if f != nil {
		f.mu.Lock()
		f.ended = true
		f.mu.Unlock()
	}
}

func (f *inflow) add(n int64) {
	if !f.have[n] {
		f.have[n] = true
		f.count++
		f.come.Add(1)
	}
}

// missing are the segments that did not come.
func (f *inflow) missing() []parcel.Gap {
	f.mu.Lock()
	defer f.mu.Unlock()
	var gaps []parcel.Gap
	for n := 0; n < len(f.have) && len(gaps) < maxRanges; n++ {
		if f.have[n] {
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

// segmentHashes takes the leaf hashes of a parcel that arrives in segments and answers with what is missing of it.
func (in *intake) segmentHashes(ctx context.Context, f parcel.Frame) error {
	s, err := parcel.DecodeSegmentHashesFrame(f)
	if err != nil {
		in.refuse(nil, "segment_hashes", "The segments' hashes are malformed: "+plain(err)+".")
		return nil
	}
	if in.looked[look{parcel.FrameSegmentHashes, s.Parcel}] {
		return nil
	}
	in.looked[look{parcel.FrameSegmentHashes, s.Parcel}] = true
	_, hd, err := in.arriving(ctx, s.Parcel)
	if err != nil || hd == nil {
		return err
	}
	if int64(len(s.Leaves)) != hd.Segments || envelope.Root(s.Leaves) != hd.Root {
		in.refuse(&s.Parcel, "root", "The segments' hashes do not match the header.")
		return nil
	}
	if in.state.inflow(s.Parcel) == nil {
		if taken, err := in.begin(ctx, hd, s.Leaves); err != nil || !taken {
			return err
		}
	}
	return in.answerMissing(ctx, hd)
}

// begin makes room for segments, and counts those that came before a restart.
func (in *intake) begin(ctx context.Context, hd *parcel.Header, leaves []envelope.Hash) (taken bool, err error) {
	f := &inflow{leaves: leaves, have: make([]bool, hd.Segments)}
	err = in.h.cfg.Store.View(ctx, func(tx Tx) error {
		recorded, err := tx.SegmentHashes(ctx, hd.ID)
		for n, leaf := range recorded {
			if n < hd.Segments && leaf == leaves[n] {
				f.add(n)
			}
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if err := in.h.cfg.Blobs.Reserve(hd.Length - f.count*envelope.SegmentSize); err != nil {
		in.h.warn(in.l.ID, "there is no room for a parcel that arrives", "bytes", hd.Length, "err", err)
		in.refuse(&hd.ID, "disk_full", "There is no room here for this parcel now; it is taken when there is.")
		return false, nil // the rest of the batch needs no room
	}
	in.state.mu.Lock()
	full := len(in.state.inflows) >= maxArriving
	if !full && in.state.inflows[hd.ID] == nil {
		in.state.inflows[hd.ID] = f
	}
	in.state.mu.Unlock()
	if full {
		in.refuse(&hd.ID, "arriving", "Too many parcels arrive in pieces at once; finish one first.")
	}
	return !full, nil
}

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
	f := in.state.inflow(hd.ID)
	if f == nil {
		return in.answerWant(hd.ID, nil)
	}
	if gaps := f.missing(); len(gaps) > 0 {
		return in.answerWant(hd.ID, gaps)
	}
	return in.finish(ctx, hd, f)
}

func (in *intake) answerWant(id envelope.ID, gaps []parcel.Gap) error {
	f, err := parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Segments: gaps})
	if err != nil {
		return fmt.Errorf("asking for segments: %w", err)
	}
	in.answers = append(in.answers, f)
	return nil
}

// finish completes a parcel all of whose segments were counted, as after a crash between the last of them and the receipt. It
// believes the bytes, not the count: what is not as its hash says is asked for again.
func (in *intake) finish(ctx context.Context, hd *parcel.Header, f *inflow) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.count < hd.Segments {
		return in.moved(ctx, hd.ID)
	}
	src, err := in.h.cfg.Blobs.OpenPartial(ctx, hd.ID)
	if err != nil && !notFound(err) {
		return err
	}
	var good []int64
	for n := range hd.Segments {
		if src == nil {
			break
		}
		segment, err := readSegment(src, hd.Length, n)
		if err == nil && envelope.SegmentHash(segment) == f.leaves[n] {
			good = append(good, n)
		}
	}
	if src != nil {
		src.Close()
	}
	if int64(len(good)) == hd.Segments {
		return in.complete(ctx, hd, f)
	}
	if err := in.recount(ctx, hd, f, good); err != nil {
		return err
	}
	return in.answerWant(hd.ID, []parcel.Gap{{From: 0, To: uint64(hd.Segments - 1)}})
}

// recount counts some segments and no others. Its caller holds f.
func (in *intake) recount(ctx context.Context, hd *parcel.Header, f *inflow, good []int64) error {
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if err := tx.DropSegments(ctx, hd.ID); err != nil {
			return err
		}
		return putSegments(ctx, tx, hd.ID, good, f.leaves)
	})
	if err != nil {
		return err
	}
	clear(f.have)
	f.count, f.loose = 0, nil
	f.come.Store(0)
	for _, n := range good {
		f.add(n)
	}
	return nil
}

// partial opens the file that the segments are written to. What was counted is believed, and not read again at the end: so where the
// file is gone, as after a restore, nothing counts any more, durably, before it is begun anew.
func (in *intake) partial(ctx context.Context, hd *parcel.Header, f *inflow) (PartialBlob, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := in.h.cfg.Blobs.Partial(ctx, hd.ID, hd.Length, f.count == 0)
	if !notFound(err) {
		return p, err
	}
	in.h.warn(in.l.ID, "the segments of a parcel that arrives are gone; they are asked for again", "parcel", hd.ID)
	if err := in.recount(ctx, hd, f, nil); err != nil {
		return nil, err
	}
	return in.h.cfg.Blobs.Partial(ctx, hd.ID, hd.Length, true)
}

func putSegments(ctx context.Context, tx Tx, id envelope.ID, ns []int64, leaves []envelope.Hash) error {
	for _, n := range ns {
		if _, err := tx.PutSegment(ctx, id, n, leaves[n]); err != nil {
			return err
		}
	}
	return nil
}

// moved answers for a parcel that does not arrive any more, or not as it did a moment ago.
func (in *intake) moved(ctx context.Context, id envelope.ID) error {
	_, hd, err := in.arriving(ctx, id)
	if err != nil || hd == nil {
		return err
	}
	return in.answerWant(id, nil)
}

// maxRanges is how many ranges one wish names.
const maxRanges = 256

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
		in.h.cfg.Count.Segments(In, len(s.Bytes))
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
	_, hd, err := in.arriving(ctx, id)
	if err != nil || hd == nil {
		return err
	}
	f := in.state.inflow(id)
	if f == nil {
		return in.answerMissing(ctx, hd)
	}
	whole := make([]bool, len(segments))
	parallel(len(segments), func(i int) {
		s := segments[i]
		whole[i] = s.Number < hd.Segments && int64(len(s.Bytes)) == segmentSize(hd.Length, s.Number) && envelope.SegmentHash(s.Bytes) == f.leaves[s.Number]
	})
	partial, err := in.partial(ctx, hd, f)
	if err != nil {
		return err
	}
	defer partial.Close()
	var written []int64
	for i, s := range segments {
		if !whole[i] {
			in.refuse(&id, "segment_hash", "A segment does not match its hash; send it again.")
			continue
		}
		if _, err := partial.WriteAt(s.Bytes, s.Number*envelope.SegmentSize); err != nil {
			return unwritten(err)
		}
		written = append(written, s.Number)
	}
	if done, err := in.keep(ctx, hd, f, partial, written); err != nil || done {
		return err
	}
	return in.answerMissing(ctx, hd)
}

func unwritten(err error) error {
	return fault.Wrap(fault.Unavailable, "disk", "The segment could not be written; nothing was lost.", err)
}

// keep counts segments that were written. When enough of them are, or all, they are made durable and then recorded; with the last
// one the parcel is complete, and done says that it was answered.
func (in *intake) keep(ctx context.Context, hd *parcel.Header, f *inflow, partial PartialBlob, written []int64) (done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return true, in.moved(ctx, hd.ID)
	}
	for _, n := range written {
		if !f.have[n] {
			f.add(n)
			f.loose = append(f.loose, n)
		}
	}
	if len(f.loose) < maxLoose && f.count < hd.Segments {
		return false, nil
	}
	if err := partial.Sync(); err != nil {
		for _, n := range f.loose { // what a failed sync was for may never reach the disk, whatever a later one says
			f.have[n] = false
		}
		f.count -= int64(len(f.loose))
		f.come.Store(f.count)
		f.loose = nil
		return false, unwritten(err)
	}
	err = in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return putSegments(ctx, tx, hd.ID, f.loose, f.leaves) })
	if err != nil {
		return false, err
	}
	f.loose = f.loose[:0]
	if f.count < hd.Segments {
		return false, nil
	}
	return true, in.complete(ctx, hd, f)
}

// complete receipts a parcel whose segments are all there, verified and durable. Its caller holds f.
func (in *intake) complete(ctx context.Context, hd *parcel.Header, f *inflow) error {
	p, _, err := in.arriving(ctx, hd.ID)
	if err != nil || p.State != exchange.Arriving {
		return err
	}
	a := &arrival{header: hd, hash: p.Header}
	err = in.h.endArrival(ctx, in.l, a, func(_ *accepting, row *exchange.Parcel) {
		row.State = exchange.Received
		if hd.Registered {
			row.State = exchange.Held
		}
	})
	if err != nil {
		return err
	}
	f.ended = true
	in.state.mu.Lock()
	delete(in.state.inflows, p.ID)
	in.state.mu.Unlock()
	if err := in.signReceipts(ctx, []*arrival{a}); err != nil {
		return err
	}
	for _, r := range a.receipts {
		if err := in.answerReceipt(r); err != nil {
			return err
		}
	}
	in.h.stir(in.l.ID)
	return nil
}

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
