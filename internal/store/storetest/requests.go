package storetest

import (
	"bytes"
	"context"
	"errors"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

func someRequest(n int) assistance.Row {
	tally := assistance.Tally{Asked: &assistance.Place{Epoch: 1, Seq: uint64(n), Sent: 7, Got: 9}, AcknowledgeBy: 8, Ground: "sovereignty"}
	return assistance.Row{Tally: tally, Link: theLink(), Thread: hash(n), Number: assistance.Number("ARV-PR-2026", int64(n)), Kind: "preservation.request",
		Requesting: arvenia(), Requested: kestria(), Ours: true, Urgency: "routine", Status: assistance.Delivered, Received: int64(n) * 100, Changed: int64(n) * 100}
}

// clocksOf are two clocks of a request, of either party.
func clocksOf(r assistance.Row, at int64) []assistance.Due {
	return []assistance.Due{
		{Link: r.Link, Thread: r.Thread, Step: "ack", By: kestria(), Desk: "desk", Urgency: r.Urgency, From: r.Received, At: at, Escalate: at + 5},
		{Link: r.Link, Thread: r.Thread, Step: "clarify", By: arvenia(), Ours: true, Urgency: r.Urgency, From: r.Received, At: at + 1, Escalate: at + 6},
	}
}

func putRequest(r assistance.Row, clocks []assistance.Due) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.PutRequest(ctx, r, clocks) }
}

func requests(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (assistance.Row, error) { return tx.Request(ctx, hash(1)) }
	absent(b, get)
	all := make([]assistance.Row, 5)
	for i := range all {
		all[i] = someRequest(i + 1)
	}
	all[1].Link = otherLink()
	all[2].Status, all[2].Quiet = assistance.Preserved, true
	all[3].Requesting, all[3].Requested, all[3].Ours, all[3].Number = kestria(), arvenia(), false, all[0].Number // two parties gave one number
	all[4].Received = all[3].Received
	for _, r := range all {
		b.update(putRequest(r, nil))
	}
	same(b, "request", read(b, get), all[0])
	first := all[0]
	first.Status, first.Changed = assistance.Withdrawn, 700
	b.update(putRequest(first, nil))
	same(b, "request, put again", read(b, get), first)
	all[0] = first
	same(b, "of threads", read(b, func(ctx context.Context, tx flow.Tx) (map[statement.Commitment]assistance.Row, error) {
		return tx.RequestsOf(ctx, []statement.Commitment{hash(3), hash(99), hash(1)})
	}), map[statement.Commitment]assistance.Row{hash(1): all[0], hash(3): all[2]})
	same(b, "by number", read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Row, error) {
		return tx.RequestsByNumber(ctx, first.Number)
	}), []assistance.Row{all[0], all[3]})
	link, ours, theirs := otherLink(), true, false
	for _, c := range []struct {
		name   string
		filter assistance.Filter
		want   []int
	}{
		{"all, newest first", assistance.Filter{}, []int{5, 4, 3, 2, 1}},
		{"of a link", assistance.Filter{Link: &link}, []int{2}},
		{"of a status", assistance.Filter{Status: assistance.Preserved}, []int{3}},
		{"of a status on a link", assistance.Filter{Link: &link, Status: assistance.Delivered}, []int{2}},
		{"ours", assistance.Filter{Ours: &ours}, []int{5, 3, 2, 1}},
		{"theirs", assistance.Filter{Ours: &theirs}, []int{4}},
		{"ours of a status", assistance.Filter{Ours: &ours, Status: assistance.Delivered}, []int{5, 2}},
		{"after a page", assistance.Filter{After: &assistance.Cursor{Received: 300, Thread: hash(3)}}, []int{2, 1}},
		{"after one of the same time", assistance.Filter{After: &assistance.Cursor{Received: 400, Thread: hash(5)}}, []int{4, 3, 2, 1}},
		{"with a limit", assistance.Filter{Limit: 2}, []int{5, 4}},
	} {
		if c.filter.Limit == 0 {
			c.filter.Limit = 10
		}
		var got []int
		for _, r := range read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Row, error) { return tx.Requests(ctx, c.filter) }) {
			got = append(got, int(r.Thread[2]))
		}
		same(b, "requests, "+c.name, got, c.want)
	}
	for _, c := range []struct {
		name string
		span assistance.Span
		want []int
	}{
		{"all of the link, oldest first", assistance.Span{From: 0, To: 1000}, []int{1, 3, 4, 5}},
		{"within a time without its end", assistance.Span{From: 100, To: 400}, []int{1, 3}},
		{"after one of the same time", assistance.Span{From: 0, To: 1000, AfterReceived: 400, AfterThread: hash(4)}, []int{5}},
		{"with a limit", assistance.Span{From: 0, To: 1000, Limit: 2}, []int{1, 3}},
	} {
		c.span.Link = theLink()
		if c.span.Limit == 0 {
			c.span.Limit = 10
		}
		if c.span.AfterReceived == 0 {
			c.span.AfterReceived = -1
		}
		var got []int
		for _, r := range read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Row, error) { return tx.RequestsWithin(ctx, c.span) }) {
			got = append(got, int(r.Thread[2]))
		}
		same(b, "requests, "+c.name, got, c.want)
	}
}

func dues(b *bench) {
	one, two := someRequest(1), someRequest(2)
	b.update(putRequest(one, clocksOf(one, 1000)))
	b.update(putRequest(two, clocksOf(two, 500)))
	get := func(f assistance.DueFilter) (clocks []assistance.Due) {
		if f.Limit == 0 {
			f.Limit = 10
		}
		for _, o := range read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.DueRow, error) { return tx.Dues(ctx, f) }) {
			r := map[statement.Commitment]assistance.Row{one.Thread: one, two.Thread: two}[o.Thread]
			same(b, "what stands beside a clock", o, assistance.DueRow{Due: o.Due, Number: r.Number, Kind: r.Kind, Status: r.Status, Quiet: r.Quiet})
			clocks = append(clocks, o.Due)
		}
		return clocks
	}
	first, second := clocksOf(one, 1000), clocksOf(two, 500)
	us, them := true, false
	same(b, "all, earliest first", get(assistance.DueFilter{}), []assistance.Due{second[0], second[1], first[0], first[1]})
	same(b, "ours", get(assistance.DueFilter{Ours: &us}), []assistance.Due{second[1], first[1]})
	same(b, "theirs", get(assistance.DueFilter{Ours: &them}), []assistance.Due{second[0], first[0]})
	same(b, "of a desk", get(assistance.DueFilter{Ours: &them, Desk: "desk"}), []assistance.Due{second[0], first[0]})
	same(b, "of another desk", get(assistance.DueFilter{Ours: &them, Desk: "other"}), nil)
	same(b, "of threads", read(b, func(ctx context.Context, tx flow.Tx) (map[statement.Commitment][]assistance.Due, error) {
		return tx.DuesOf(ctx, []statement.Commitment{two.Thread, hash(99), one.Thread})
	}), map[statement.Commitment][]assistance.Due{one.Thread: first, two.Thread: second})
	same(b, "until", get(assistance.DueFilter{Until: 501}), second)
	same(b, "with a limit", get(assistance.DueFilter{Limit: 1}), second[:1])
	b.update(putRequest(two, second[1:]))
	same(b, "after a step was done", get(assistance.DueFilter{Ours: &them}), first[:1])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx) })
	same(b, "after all was dropped", get(assistance.DueFilter{}), nil)
	absent(b, func(ctx context.Context, tx flow.Tx) (assistance.Row, error) { return tx.Request(ctx, one.Thread) })
}

func numbers(b *bench) {
	last := func(series string) int64 {
		return read(b, func(ctx context.Context, tx flow.Tx) (int64, error) { return tx.LastNumber(ctx, series) })
	}
	take := func(series string, n int64) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error { return tx.TakeNumber(ctx, series, n) }
	}
	same(b, "last of none", last("ARV-PR-2026"), 0)
	b.refused(fault.Conflict, take("ARV-PR-2026", 2))
	b.update(take("ARV-PR-2026", 1))
	b.update(take("ARV-PR-2026", 2))
	b.update(take("ARV-MS-2026", 1))
	for _, n := range []int64{1, 2, 4} {
		b.refused(fault.Conflict, take("ARV-PR-2026", n))
	}
	same(b, "last", last("ARV-PR-2026"), 2)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx) })
	same(b, "last, after a rebuild", last("ARV-PR-2026"), 2)
}

func asked(b *bench) {
	mark := func(n int) envelope.Hash { return hash(100 + n) }
	under := func(m envelope.Hash, limit int) []assistance.Asking {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Asking, error) { return tx.Asked(ctx, m, limit) })
	}
	all := func() (rows []assistance.Asking) {
		return read(b, func(ctx context.Context, tx flow.Tx) (rows []assistance.Asking, err error) {
			return rows, tx.Askings(ctx, func(a assistance.Asking) error { rows = append(rows, a); return nil })
		})
	}
	same(b, "under a mark of nothing", under(mark(1), 9), nil)
	first, second := someStatement(1), someStatement(2)
	one := assistance.Asking{Mark: mark(1), Thread: first.Commitment, Number: "ARV-PR-2026-0001", At: 10}
	two := assistance.Asking{Mark: mark(1), Thread: second.Commitment, Number: "ARV-PR-2026-0002", At: 10}
	other := assistance.Asking{Mark: mark(2), Thread: second.Commitment, Number: "ARV-PR-2026-0002", At: 10}
	gone := assistance.Asking{Mark: mark(1), Thread: hash(99), Number: "ARV-PR-2026-0003", At: 11}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return errors.Join(tx.PutStatements(ctx, first, second), tx.PutAsked(ctx), tx.PutAsked(ctx, gone, two, one, other))
	})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutAsked(ctx, one) }) // again
	newest, oldest := two, one
	if bytes.Compare(one.Thread[:], two.Thread[:]) > 0 {
		newest, oldest = one, two
	}
	same(b, "newest first", under(mark(1), 9), []assistance.Asking{gone, newest, oldest})
	same(b, "with a limit", under(mark(1), 2), []assistance.Asking{gone, newest})
	want := []assistance.Asking{oldest, newest, other}
	if bytes.Compare(other.Mark[:], one.Mark[:]) < 0 {
		want = []assistance.Asking{other, oldest, newest}
	}
	same(b, "all of requests that are here", all(), want)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.EraseBody(ctx, two.Thread, 12) })
	same(b, "after an erasure", under(mark(1), 9), []assistance.Asking{gone, one})
	same(b, "of another subject, after an erasure", under(mark(2), 9), nil)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx) })
	same(b, "after all was dropped", under(mark(1), 9), nil)
}
