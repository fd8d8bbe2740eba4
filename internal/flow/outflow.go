package flow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
	"entente/statement"
)

// outflow is a parcel of ours whose segments the peer asked for. Deliveries travel beside each other, so what the peer lacked
// when it answered one is believed only when no other is under way.
type outflow struct {
	left   []parcel.Gap // to be sent
	told   []parcel.Gap // what the peer lacked when it answered last
	rehash bool         // the peer may have lost the hashes: header and hashes go again, and it tells anew what it lacks
	flying int          // deliveries under way with segments of it
	lack   int64        // segments that the peer is not known to have; for people
}

// batch is how many segments of a parcel a delivery has.
type batch struct {
	parcel   envelope.ID
	segments int64
}

// outflow is called with s.mu held.
func (s *linkState) outflow(id envelope.ID) *outflow {
	o := s.outflows[id]
	if o == nil {
		o = &outflow{}
		s.outflows[id] = o
	}
	return o
}

// wanted takes the peer's word about what it lacks; nothing: the hashes.
func (o *outflow) wanted(gaps []parcel.Gap) {
	o.rehash = len(gaps) == 0
	switch {
	case o.rehash:
		o.left, o.told = nil, nil
	case o.flying == 0 && len(o.left) == 0:
		o.adopt(gaps)
	default:
		o.told = gaps
	}
}

// adopt believes what the peer said that it lacks.
func (o *outflow) adopt(gaps []parcel.Gap) {
	o.left, o.told, o.lack = gaps, nil, 0
	for _, g := range gaps {
		o.lack += int64(g.To-g.From) + 1
	}
}

// landed ends a delivery of n segments. After a failure nobody knows what of it has come.
func (o *outflow) landed(n int64, failed bool) {
	o.flying--
	if failed {
		o.wanted(nil)
		return
	}
	o.lack = max(o.lack-n, 0)
	if o.flying == 0 && len(o.left) == 0 && len(o.told) > 0 {
		o.adopt(o.told)
	}
}

// take removes up to limit segments, of so many that there are, from what is left.
func (o *outflow) take(total int64, limit int) (ns []int64) {
	for len(o.left) > 0 && len(ns) < limit {
		g := &o.left[0]
		if g.From > g.To || g.From >= uint64(total) {
			o.left = o.left[1:]
			continue
		}
		ns = append(ns, int64(g.From))
		g.From++
	}
	if len(o.left) > 0 && o.left[0].From > o.left[0].To {
		o.left = o.left[1:]
	}
	return ns
}

func (o *outflow) idle() bool { return len(o.left) == 0 && !o.rehash }

// OutgoingSegments returns segments of large parcels that a peer asked for, up to maxBytes, those of urgent lanes first. Such
// deliveries may travel beside each other and beside those of Outgoing, and each is ended as these are.
func (h *House) OutgoingSegments(ctx context.Context, link statement.LinkID, maxBytes int) (Delivery, error) {
	d := Delivery{Link: link}
	s := h.link(link)
	s.mu.Lock()
	due := s.flowing()
	s.mu.Unlock()
	if !due {
		return d, nil
	}
	l, err := h.linkRow(ctx, link)
	if err != nil || frozen(l) {
		return d, err
	}
	t, err := h.terms(l)
	if err != nil || t.way != bothWays { // nothing leaves a oneway link by a network
		return d, err
	}
	err = h.outgoingSegments(ctx, s, &d, maxBytes)
	return d, err
}

// outgoingSegments takes up wishes for segments as far as the budget goes.
func (h *House) outgoingSegments(ctx context.Context, s *linkState, d *Delivery, maxBytes int) error {
	s.mu.Lock()
	var ids []envelope.ID
	for id, o := range s.outflows {
		if !o.idle() {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	if len(ids) == 0 || d.bytes >= maxBytes {
		return nil
	}
	var found map[envelope.ID]exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		found, err = tx.ParcelsByID(ctx, ids)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if p, ok := found[id]; !ok || p.Author != h.self || p.Link != d.Link || p.State != exchange.Sending || p.Blob == "" {
			s.forget(id)
			delete(found, id)
		}
	}
	for _, p := range slices.SortedFunc(maps.Values(found), bySegments) {
		if d.bytes >= maxBytes {
			break
		}
		if err = h.segmentsFrom(ctx, s, d, p, max((maxBytes-d.bytes)/envelope.SegmentSize, 1)); err != nil {
			break
		}
	}
	if err != nil { // nobody will end this delivery
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range d.segments {
			s.outflow(b.parcel).landed(b.segments, true)
		}
	}
	return err
}

// bySegments is the order in which parcels send their segments.
func bySegments(a, b exchange.Parcel) int {
	rank := func(p exchange.Parcel) int { return slices.Index(statement.Lanes(), p.Lane) }
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Created, b.Created), slices.Compare(a.ID[:], b.ID[:]))
}

func (h *House) segmentsFrom(ctx context.Context, s *linkState, d *Delivery, p exchange.Parcel, limit int) error {
	s.mu.Lock()
	o := s.outflow(p.ID)
	again, ns := o.rehash, []int64(nil)
	if !again {
		if ns = o.take(p.Segments, limit); len(ns) > 0 {
			o.flying++
		}
	}
	o.rehash = false
	s.mu.Unlock()
	if again {
		return h.again(ctx, p.ID)
	}
	if len(ns) == 0 {
		return nil
	}
	d.segments = append(d.segments, batch{p.ID, int64(len(ns))})
	err := h.readSegments(ctx, d, p, ns)
	if err == nil {
		return nil
	}
	d.segments = d.segments[:len(d.segments)-1]
	s.forget(p.ID)
	if notFound(err) { // its last receipt came meanwhile, or the disk lost it
		h.warn(d.Link, "the segments of a parcel are not here", "parcel", p.ID)
		return nil
	}
	return err
}

func (h *House) readSegments(ctx context.Context, d *Delivery, p exchange.Parcel, ns []int64) error {
	blob, err := h.cfg.Blobs.Open(ctx, p.Blob)
	if err != nil {
		return err
	}
	defer blob.Close()
	for _, n := range ns {
		data, err := readSegment(blob, p.Length, n)
		if err != nil {
			return fmt.Errorf("reading segment %d of parcel %s: %w", n, p.ID, err)
		}
		d.add(parcel.SegmentFrame{Parcel: p.ID, Number: n, Bytes: data}.Frame())
		h.cfg.Count.Segments(Out, len(data))
	}
	return nil
}

func (s *linkState) forget(id envelope.ID) {
	s.mu.Lock()
	delete(s.outflows, id)
	s.mu.Unlock()
}

// again makes a parcel due now.
func (h *House) again(ctx context.Context, id envelope.ID) error {
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.SetTries(ctx, []envelope.ID{id}, 0, 0) })
}
