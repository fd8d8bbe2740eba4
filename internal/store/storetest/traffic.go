package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

func lanes(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (exchange.LaneState, error) {
		return tx.Lane(ctx, theLink(), kestria(), 2, statement.Hotline)
	}
	s := exchange.LaneState{Link: theLink(), Author: kestria(), Epoch: 2, Lane: statement.Hotline}
	same(b, "a new lane", read(b, get), s)
	s.Last, s.LastHeader, s.Contiguous, s.Settled, s.Folded = 9, hash(9), 8, 7, 6
	for range 2 {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLane(ctx, s) })
		same(b, "lane", read(b, get), s)
		s.Last++
	}
	s.Last--
	other := exchange.LaneState{Link: theLink(), Author: arvenia(), Epoch: 1, Lane: statement.Control}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLane(ctx, other) })
	same(b, "lanes of a link", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.LaneState, error) {
		return tx.LanesOf(ctx, theLink())
	}), []exchange.LaneState{other, s})
	same(b, "lanes of another link", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.LaneState, error) {
		return tx.LanesOf(ctx, otherLink())
	}), nil)
}

// someParcel has a value of its own in every column.
func someParcel(n int) exchange.Parcel {
	return exchange.Parcel{
		ID: id(n), Link: theLink(), Author: arvenia(), Epoch: 3, Lane: statement.Assistance, Seq: uint64(n), File: -1,
		Header: hash(n), Text: hash(n + 1000), State: exchange.Sending, Reason: "none", SentIndex: int64(n) + 1, GotIndex: -1, GotEpoch: 3,
		SeenEpoch: 5, SeenSeq: 6, Received: 7, Created: int64(100 + n), Expires: 1000, Stale: true, Verdict: "folded",
		Segments: 1, Length: 10, Content: bytesOf(n), Attempts: 2, NextTry: 50,
	}
}

// advanceParcels: one that has come to its end keeps neither content nor blob; another keeps both.
func advanceParcels(b *bench) {
	p, q, sent, gone := someParcel(1), someParcel(2), someParcel(3), someParcel(4)
	p.Blob, q.Blob, sent.Blob, gone.Blob = "b1", "b2", "b3", "b4"
	b.update(putParcels(p, q, sent, gone))
	sent.State, gone.State = exchange.Sent, exchange.Gone
	b.update(func(ctx context.Context, tx flow.Tx) error {
		ended, going := p, q
		ended.State, going.State = exchange.Opened, exchange.Received
		ended.Received, going.Received = 77, 78
		return tx.AdvanceParcels(ctx, []exchange.Parcel{ended, going, sent, gone})
	})
	p.State, p.Received, p.Content, p.Blob = exchange.Opened, 77, nil, ""
	q.State, q.Received = exchange.Received, 78
	gone.Content, gone.Blob = nil, ""
	for _, want := range []exchange.Parcel{p, q, sent, gone} {
		got := read(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) { return tx.Parcel(ctx, want.ID) })
		same(b, "advanced parcel", got, want)
	}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.PutFiles(ctx, exchange.File{Statement: hash(1), Link: theLink(), Parcel: id(9), State: "stored", Blob: "b5"})
	})
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.PutDraftBody(ctx, id(9), []byte("words"), []byte("key"), []string{"b6"})
	})
	same(b, "the blobs that rows name", read(b, func(ctx context.Context, tx flow.Tx) (map[string]bool, error) {
		return tx.BlobsNamed(ctx, []string{"b1", "b2", "b3", "b4", "b5", "b6", ""})
	}), map[string]bool{"b2": true, "b3": true, "b5": true, "b6": true})
}

func listed(p exchange.Parcel) exchange.Parcel {
	p.Content = nil
	return p
}

func putParcels(ps ...exchange.Parcel) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.PutParcels(ctx, ps...) }
}

func updateParcels(ps ...exchange.Parcel) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.UpdateParcels(ctx, ps...) }
}

func parcelOf(n int) func(context.Context, flow.Tx) (exchange.Parcel, error) {
	return func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) { return tx.Parcel(ctx, id(n)) }
}

func parcels(b *bench) {
	p, q := someParcel(1), someParcel(2)
	absent(b, parcelOf(1))
	b.update(putParcels(p, q))
	same(b, "parcel", read(b, parcelOf(1)), p)
	same(b, "by header", read(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) {
		return tx.ParcelByHeader(ctx, hash(2))
	}), q)
	same(b, "by place", read(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) {
		return tx.ParcelAt(ctx, theLink(), arvenia(), 3, statement.Assistance, 2)
	}), q)
	absent(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) { return tx.ParcelByHeader(ctx, hash(3)) })
	absent(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) {
		return tx.ParcelAt(ctx, theLink(), arvenia(), 3, statement.Hotline, 2)
	})

	twin := someParcel(3)
	twin.ID = p.ID
	b.refused(fault.Conflict, putParcels(twin))
	place := someParcel(4)
	place.Seq = p.Seq
	b.refused(fault.Conflict, putParcels(place))
	same(b, "parcel, after the refusals", read(b, parcelOf(1)), p)
	absent(b, parcelOf(4))

	// Many files share the place 0 of a lane.
	f, g := someParcel(5), someParcel(6)
	f.Seq, f.File, g.Seq, g.File = 0, 0, 0, 1
	b.update(putParcels(f, g))

	b.update(func(ctx context.Context, tx flow.Tx) error {
		_, err := tx.PutSegment(ctx, g.ID, 0, hash(1))
		return errors.Join(err, tx.DropParcels(ctx, g.ID, id(99)))
	})
	absent(b, parcelOf(6))
	same(b, "what is beside it", read(b, parcelOf(5)), f)
	b.update(putParcels(g)) // nothing of it was left

	b.refused(fault.NotFound, updateParcels(someParcel(7)))
	p.State, p.Reason, p.Stale, p.Verdict, p.Link, p.Blob = exchange.Received, "late", false, "void:late", otherLink(), "cc"
	b.update(updateParcels(p))
	same(b, "parcel, updated", read(b, parcelOf(1)), p)

	ids := make([]envelope.ID, 700)
	for i := range ids {
		ids[i] = id(i)
	}
	same(b, "by id, without content", read(b, func(ctx context.Context, tx flow.Tx) (map[envelope.ID]exchange.Parcel, error) {
		return tx.ParcelsByID(ctx, ids)
	}), map[envelope.ID]exchange.Parcel{p.ID: listed(p), q.ID: listed(q), f.ID: listed(f), g.ID: listed(g)})
	same(b, "no ids", read(b, func(ctx context.Context, tx flow.Tx) (map[envelope.ID]exchange.Parcel, error) {
		return tx.ParcelsByID(ctx, nil)
	}), nil)
}

func parcelContent(b *bench) {
	p := someParcel(9)
	b.update(putParcels(p))
	b.update(updateParcels(listed(p)))
	same(b, "content after a row from a list was written back", read(b, parcelOf(9)), p)
	p.Content = []byte("other")
	b.update(updateParcels(p))
	same(b, "content, replaced", read(b, parcelOf(9)), p)
	for _, state := range []exchange.ParcelState{exchange.Opened, exchange.Refused, exchange.Rejected} {
		p.State, p.Content = exchange.Sending, []byte("here")
		b.update(updateParcels(p))
		p.State = state
		b.update(updateParcels(p))
		same(b, "a parcel that has ended keeps no content", read(b, parcelOf(9)), listed(p))
	}
}

func parcelLists(b *bench) {
	var all []exchange.Parcel
	for n := 1; n <= 6; n++ {
		all = append(all, someParcel(n))
	}
	all[0].Lane, all[0].Seq = statement.Dialogue, 1
	all[3].Lane, all[3].Seq = statement.Control, 1
	all[4].Author = kestria()
	all[5].State = exchange.Opened
	all[5].Content = nil
	all[1].SentIndex, all[2].SentIndex = 300, 200
	b.update(putParcels(all...))

	in := func(state exchange.ParcelState, limit int) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.ParcelsIn(ctx, theLink(), arvenia(), state, exchange.Parcel{}, limit)
		})
	}
	same(b, "most urgent lane first, then by place in the ledger", in(exchange.Sending, 10),
		[]exchange.Parcel{listed(all[3]), listed(all[2]), listed(all[1]), listed(all[0])})
	same(b, "with a limit", in(exchange.Sending, 1), []exchange.Parcel{listed(all[3])})
	after := func(p exchange.Parcel) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.ParcelsIn(ctx, theLink(), arvenia(), exchange.Sending, p, 2)
		})
	}
	same(b, "after the first", after(all[3]), []exchange.Parcel{listed(all[2]), listed(all[1])})
	same(b, "after one of the same lane", after(all[2]), []exchange.Parcel{listed(all[1]), listed(all[0])})
	same(b, "after the last", after(all[0]), nil)
	same(b, "in an ended state", in(exchange.Opened, 10), []exchange.Parcel{all[5]})
	same(b, "in a state that none has", in(exchange.Arriving, 10), nil)

	run := func(after uint64, limit int) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.ParcelRun(ctx, theLink(), arvenia(), 3, statement.Assistance, after, limit)
		})
	}
	same(b, "a run", run(0, 10), []exchange.Parcel{listed(all[1]), listed(all[2]), all[5]})
	same(b, "a run after 2, of 1", run(2, 1), []exchange.Parcel{listed(all[2])})
	same(b, "a run after the last", run(6, 10), nil)
	same(b, "a run after the highest number", run(math.MaxUint64, 10), nil)
}

func lastSeen(b *bench) {
	for i, p := range []struct{ sent, epoch, seen int64 }{{10, 1, 90}, {20, 2, 1}, {30, 2, 4}, {40, 2, 7}} { // of sequence 1 to 4
		x := someParcel(i + 1)
		x.Seq, x.SentIndex, x.SeenEpoch, x.SeenSeq = uint64(i+1), p.sent, uint32(p.epoch), uint64(p.seen)
		b.update(putParcels(x))
	}
	for _, c := range []struct {
		name            string
		upto            uint64
		below           int64
		epoch           uint32
		seen, wantAtEnd uint64
	}{
		{"all", 9, 99, 2, 9, 4}, {"up to one", 3, 99, 2, 9, 3}, {"below a leaf", 9, 30, 2, 9, 2}, {"that have seen little", 9, 99, 2, 4, 3},
		{"that have seen a former epoch", 9, 99, 2, 0, 1}, {"none", 9, 5, 2, 9, 0},
	} {
		got := read(b, func(ctx context.Context, tx flow.Tx) (uint64, error) {
			return tx.LastSeen(ctx, theLink(), arvenia(), 3, statement.Assistance, c.upto, c.below, c.epoch, c.seen)
		})
		same(b, "last of "+c.name, got, c.wantAtEnd)
	}
}

func due(b *bench) {
	at := func(now int64, limit int) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.DueParcels(ctx, theLink(), arvenia(), now, limit)
		})
	}
	next := func(ctx context.Context, tx flow.Tx) (int64, error) { return tx.NextTry(ctx, theLink(), arvenia()) }
	absent(b, next)
	same(b, "nothing to send", at(math.MaxInt64, 10), nil)
	p, q, r := someParcel(1), someParcel(2), someParcel(3)
	p.NextTry, q.NextTry, r.State = 50, 60, exchange.Unsaid
	q.Lane = statement.Hotline
	b.update(putParcels(p, q, r))
	same(b, "before", at(49, 10), nil)
	same(b, "at the first", at(50, 10), []exchange.Parcel{p})
	same(b, "both, the hotline first", at(60, 10), []exchange.Parcel{q, p})
	same(b, "with a limit", at(60, 1), []exchange.Parcel{q})
	same(b, "next try", read(b, next), 50)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetTries(ctx, []envelope.ID{p.ID, q.ID}, 7, 80) })
	same(b, "after a failed try", at(79, 10), nil)
	same(b, "next try", read(b, next), 80)
	p.Attempts, p.NextTry = 7, 80
	same(b, "parcel", read(b, parcelOf(1)), p)
}

// registered is what is kept back of a registered statement, until its parcel is held and the statement moves to its grant.
func registered(b *bench) {
	keep := func(n int) exchange.Withholding {
		return exchange.Withholding{Parcel: id(n), Link: theLink(), Data: fmt.Appendf(nil, "kept %d", n)}
	}
	due := func(lane statement.Lane, limit int) []exchange.Withholding {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Withholding, error) {
			return tx.DueWithholdings(ctx, theLink(), lane, limit)
		})
	}
	held := func(link *statement.LinkID, limit int) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.HeldParcels(ctx, link, arvenia(), limit)
		})
	}
	one := func(ctx context.Context, tx flow.Tx) (exchange.Withholding, error) { return tx.Withholding(ctx, id(1)) }
	absent(b, one)
	p, q, r, theirs, other := someParcel(1), someParcel(2), someParcel(3), someParcel(4), someParcel(5)
	p.File, q.File, r.File = exchange.OfRegistered, exchange.OfRegistered, exchange.OfRegistered
	p.State, r.State = exchange.Held, exchange.Held
	r.Lane = statement.Hotline
	theirs.Author, theirs.State, theirs.Created = kestria(), exchange.Held, 900
	other.Author, other.State, other.Link, other.Created = kestria(), exchange.Held, hash(77), 800
	b.update(putParcels(p, q, r, theirs, other))
	b.update(func(ctx context.Context, tx flow.Tx) error {
		for _, n := range []int{1, 2, 3, 1} {
			if err := tx.PutWithholding(ctx, keep(n)); err != nil {
				return err
			}
		}
		return nil
	})
	same(b, "kept", read(b, one), keep(1))
	same(b, "due, the hotline first", due("", 10), []exchange.Withholding{keep(3), keep(1)})
	same(b, "due in a lane", due(p.Lane, 10), []exchange.Withholding{keep(1)})
	same(b, "with a limit", due("", 1), []exchange.Withholding{keep(3)})
	link := theLink()
	same(b, "held of others, newest first", held(nil, 10), []exchange.Parcel{listed(theirs), listed(other)})
	same(b, "held of one link", held(&link, 10), []exchange.Parcel{listed(theirs)})
	same(b, "held, with a limit", held(nil, 1), []exchange.Parcel{listed(theirs)})
	lapsing := func(now int64, limit int) []exchange.Parcel {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Parcel, error) {
			return tx.LapsingParcels(ctx, now, limit)
		})
	}
	byID := func(a, b exchange.Parcel) int { return slices.Compare(a.ID[:], b.ID[:]) }
	same(b, "held, or with something kept back, when all have expired", slices.SortedFunc(slices.Values(lapsing(p.Expires, 10)), byID),
		[]exchange.Parcel{listed(p), listed(q), listed(r), listed(theirs), listed(other)})
	same(b, "before they expire", lapsing(p.Expires-1, 10), nil)
	same(b, "lapsing, with a limit", len(lapsing(p.Expires, 2)), 2)
	p.State, p.Content = exchange.Granted, nil
	b.update(func(ctx context.Context, tx flow.Tx) error {
		if err := tx.UpdateParcels(ctx, p); err != nil {
			return err
		}
		return tx.DropWithholding(ctx, id(3))
	})
	same(b, "granted: no content", read(b, parcelOf(1)), p)
	same(b, "none due", due("", 10), nil)
	s := someStatement(1)
	b.update(func(ctx context.Context, tx flow.Tx) error {
		if err := tx.PutStatements(ctx, s); err != nil {
			return err
		}
		return tx.PlaceStatement(ctx, s.Commitment, id(9), s.Epoch, 44)
	})
	s.Parcel, s.Seq = id(9), 44
	same(b, "a statement that moved", read(b, func(ctx context.Context, tx flow.Tx) (exchange.Statement, error) {
		return tx.Statement(ctx, s.Commitment)
	}), s)
}

func segments(b *bench) {
	put := func(n int64, want bool) {
		b.Helper()
		var fresh bool
		b.update(func(ctx context.Context, tx flow.Tx) (err error) {
			fresh, err = tx.PutSegment(ctx, id(1), n, hash(int(n)))
			return err
		})
		same(b, "whether the segment is new", fresh, want)
	}
	put(2, true)
	put(0, true)
	put(2, false)
	get := func(ctx context.Context, tx flow.Tx) (map[int64]envelope.Hash, error) {
		return tx.SegmentHashes(ctx, id(1))
	}
	same(b, "segments", read(b, get), map[int64]envelope.Hash{0: hash(0), 2: hash(2)})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropSegments(ctx, id(2)) })
	same(b, "segments, after another's were dropped", len(read(b, get)), 2)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropSegments(ctx, id(1)) })
	same(b, "segments, dropped", read(b, get), nil)
}

func someReceipt(n int) exchange.Receipt {
	return exchange.Receipt{Hash: hash(n), Link: theLink(), Author: arvenia(), Kind: "received", Header: hash(500), Parcel: id(1),
		Lane: statement.Hotline, Epoch: 1, Seq: uint64(n), ContiguousTo: uint64(n), At: int64(n) * 10, Index: int64(n)*2 + 1,
		Log: int64(n) * 2, LogEpoch: 1, Unsent: true}
}

func receipts(b *bench) {
	p, q, r := someReceipt(1), someReceipt(2), someReceipt(3)
	q.Header, r.Author = hash(501), kestria()
	put := func(ctx context.Context, tx flow.Tx) error { return tx.PutReceipts(ctx, r, q, p) }
	b.update(put)
	b.update(put)
	of := func(n int) []exchange.Receipt {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Receipt, error) { return tx.ReceiptsOf(ctx, hash(n)) })
	}
	same(b, "receipts of a header, oldest first", of(500), []exchange.Receipt{p, r})
	same(b, "receipts of an unknown header", of(502), nil)
	same(b, "receipts of many", read(b, func(ctx context.Context, tx flow.Tx) (map[envelope.Hash][]exchange.Receipt, error) {
		return tx.ReceiptsOfMany(ctx, []envelope.Hash{hash(500), hash(501), hash(502)})
	}), map[envelope.Hash][]exchange.Receipt{hash(500): {p, r}, hash(501): {q}})

	unsent := func(limit int) []exchange.Receipt {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Receipt, error) {
			return tx.UnsentReceipts(ctx, theLink(), arvenia(), limit)
		})
	}
	same(b, "unsent, oldest first", unsent(10), []exchange.Receipt{p, q})
	same(b, "unsent, with a limit", unsent(1), []exchange.Receipt{p})
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.MarkReceiptsSent(ctx, []envelope.Hash{p.Hash, hash(9)})
	})
	b.update(put) // idempotent: a receipt that was sent stays sent
	same(b, "unsent", unsent(10), []exchange.Receipt{q})
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.MarkReceiptsUnsent(ctx, []envelope.Hash{p.Hash, hash(9)})
	})
	same(b, "unsent again", unsent(10), []exchange.Receipt{p, q})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.MarkReceiptsSent(ctx, []envelope.Hash{p.Hash}) })

	later, other := someReceipt(7), someReceipt(8)
	unplaced := func(after, upTo uint64, limit int) []exchange.Receipt {
		b.Helper()
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Receipt, error) {
			return tx.UnplacedReceipts(ctx, theLink(), arvenia(), 1, statement.Hotline, after, upTo, limit)
		})
	}
	later.Index, later.Header, other.Index, other.Header, other.Author = -1, hash(503), -1, hash(504), kestria()
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutReceipts(ctx, later, other) })
	same(b, "receipts without a place", unplaced(0, 100, 10), []exchange.Receipt{later})
	same(b, "receipts without a place, beyond the last", unplaced(later.Seq, 100, 10), nil)
	same(b, "receipts without a place, before the first", unplaced(0, later.Seq-1, 10), nil)
	same(b, "receipts without a place, with a limit", unplaced(0, later.Seq, 1), []exchange.Receipt{later})
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.PlaceReceipts(ctx, arvenia(), []exchange.LeafRow{{Doc: later.Hash, Index: 40}, {Doc: other.Hash, Index: 41}, {Doc: p.Hash, Index: 42}, {Doc: hash(99), Index: 43}})
	})
	same(b, "receipts without a place, once all have theirs", unplaced(0, 100, 10), nil)
	later.Index, p.Unsent = 40, false
	same(b, "a receipt that got its place", of(503), []exchange.Receipt{later})
	same(b, "a receipt of another's, without its place", of(504), []exchange.Receipt{other})
	same(b, "a receipt with its first place", of(500), []exchange.Receipt{p, r})
}

func receiptAbove(b *bench) {
	b.update(func(ctx context.Context, tx flow.Tx) error {
		stale := someReceipt(9) // higher reach, earlier leaf
		stale.Log = 5
		opened := someReceipt(11) // it names an early leaf, and was given later
		opened.Kind, opened.Log = "opened", 1
		return tx.PutReceipts(ctx, someReceipt(1), someReceipt(2), someReceipt(3), someReceipt(4), stale, opened)
	})
	for _, c := range []struct {
		seen  uint64
		index int64
		want  int // Seq of the receipt; 0 for none
	}{{0, 100, 1}, {1, 100, 2}, {2, 100, 9}, {3, 100, 9}, {9, 100, 0}, {0, 2, 0}, {0, 3, 1}, {2, 5, 0}, {2, 6, 9}} {
		find := func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
			return tx.ReceiptAbove(ctx, theLink(), arvenia(), 1, statement.Hotline, c.seen, parcel.Position{Epoch: 1, Index: c.index})
		}
		b.Run(fmt.Sprintf("seen %d, index %d", c.seen, parcel.Position{Epoch: 1, Index: c.index}), func(t *testing.T) {
			b := &bench{t, b.store}
			if c.want == 0 {
				absent(b, find)
				return
			}
			same(b, "receipt", read(b, find).Seq, uint64(c.want))
		})
	}
	at := parcel.Position{Epoch: 1, Index: 100}
	for name, find := range map[string]func(context.Context, flow.Tx) (exchange.Receipt, error){
		"another lane": func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
			return tx.ReceiptAbove(ctx, theLink(), arvenia(), 1, statement.Control, 0, at)
		},
		"another author": func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
			return tx.ReceiptAbove(ctx, theLink(), kestria(), 1, statement.Hotline, 0, at)
		},
		"another epoch": func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
			return tx.ReceiptAbove(ctx, theLink(), arvenia(), 2, statement.Hotline, 0, at)
		},
		"another epoch of the ledger": func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
			return tx.ReceiptAbove(ctx, theLink(), arvenia(), 1, statement.Hotline, 0, parcel.Position{Epoch: 2, Index: 100})
		},
	} {
		b.Run(name, func(t *testing.T) { absent(&bench{t, b.store}, find) })
	}
}

// hostileNumbers are those that a peer may write and a table of 64-bit signed integers cannot hold.
func hostileNumbers(b *bench) {
	r := someReceipt(1)
	r.ContiguousTo, r.Seq = math.MaxUint64, math.MaxUint64
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutReceipts(ctx, r) })
	got := read(b, func(ctx context.Context, tx flow.Tx) (exchange.Receipt, error) {
		return tx.ReceiptAbove(ctx, theLink(), arvenia(), 1, statement.Hotline, 1<<62, parcel.Position{Epoch: 1, Index: 100})
	})
	same(b, "reach of a receipt beyond all numbers", got.ContiguousTo, math.MaxInt64)
	absent(b, func(ctx context.Context, tx flow.Tx) (exchange.Parcel, error) {
		return tx.ParcelAt(ctx, theLink(), arvenia(), math.MaxUint32, statement.Hotline, math.MaxUint64)
	})
}

func unended(b *bench) {
	links := func(ctx context.Context, tx flow.Tx) ([]exchange.Link, error) { return tx.Unended(ctx) }
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLink(ctx, someLink()) })
	for i, c := range []struct {
		author party.ID
		state  exchange.ParcelState
		want   bool
	}{
		{arvenia(), exchange.Sending, false}, {arvenia(), exchange.Received, false}, {kestria(), exchange.Opened, false},
		{kestria(), exchange.Arriving, true}, {kestria(), exchange.Received, true},
	} {
		p := someParcel(i + 1)
		p.Author, p.State = c.author, c.state
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutParcels(ctx, p) })
		var want []exchange.Link
		if c.want {
			want = []exchange.Link{someLink()}
		}
		same(b, fmt.Sprintf("links, %s of %x", c.state, c.author[:1]), read(b, links), want)
		p.State, p.Content = exchange.Opened, nil
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.UpdateParcels(ctx, p) })
		same(b, "links, when it has ended", read(b, links), nil)
	}
}
