package storetest

import (
	"context"

	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
)

func someRequest(n int) assistance.Row {
	tally := assistance.Tally{Asked: &assistance.Place{Epoch: 1, Seq: uint64(n), Sent: 7, Got: 9}, AcknowledgeBy: 8, Ground: "sovereignty"}
	return assistance.Row{Tally: tally, Link: theLink(), Thread: hash(n), Number: assistance.Number("ARV-PR-2026", int64(n)), Kind: "preservation.request",
		Requesting: arvenia(), Requested: kestria(), Urgency: "routine", Status: assistance.Delivered, Received: int64(n) * 100, Changed: int64(n) * 100}
}

// clocksOf are two clocks of a request, of either party.
func clocksOf(r assistance.Row, at int64) []assistance.Due {
	return []assistance.Due{
		{Link: r.Link, Thread: r.Thread, Step: "ack", By: kestria(), Desk: "desk", Urgency: r.Urgency, From: r.Received, At: at, Escalate: at + 5},
		{Link: r.Link, Thread: r.Thread, Step: "clarify", By: arvenia(), Urgency: r.Urgency, From: r.Received, At: at + 1, Escalate: at + 6},
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
	all[3].Requesting, all[3].Requested, all[3].Number = kestria(), arvenia(), all[0].Number // two parties gave one number
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
	same(b, "by number", read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Row, error) {
		return tx.RequestsByNumber(ctx, first.Number)
	}), []assistance.Row{all[0], all[3]})
	link, us := otherLink(), arvenia()
	for _, c := range []struct {
		name   string
		filter assistance.Filter
		want   []int
	}{
		{"all, newest first", assistance.Filter{}, []int{5, 4, 3, 2, 1}},
		{"of a link", assistance.Filter{Link: &link}, []int{2}},
		{"of a status", assistance.Filter{Status: assistance.Preserved}, []int{3}},
		{"of a party", assistance.Filter{Requesting: &us}, []int{5, 3, 2, 1}},
		{"of the others", assistance.Filter{Not: &us}, []int{4}},
		{"before", assistance.Filter{Before: 400}, []int{3, 2, 1}},
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
	get := func(f assistance.DueFilter) []assistance.Due {
		if f.Limit == 0 {
			f.Limit = 10
		}
		return read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Due, error) { return tx.Dues(ctx, f) })
	}
	first, second := clocksOf(one, 1000), clocksOf(two, 500)
	us, them, thread := arvenia(), kestria(), one.Thread
	same(b, "all, earliest first", get(assistance.DueFilter{}), []assistance.Due{second[0], second[1], first[0], first[1]})
	same(b, "of a party", get(assistance.DueFilter{By: &us}), []assistance.Due{second[1], first[1]})
	same(b, "of the others", get(assistance.DueFilter{Not: &them}), []assistance.Due{second[1], first[1]})
	same(b, "of a desk", get(assistance.DueFilter{By: &them, Desk: "desk"}), []assistance.Due{second[0], first[0]})
	same(b, "of another desk", get(assistance.DueFilter{By: &them, Desk: "other"}), nil)
	same(b, "of a thread", get(assistance.DueFilter{Thread: &thread}), first)
	same(b, "until", get(assistance.DueFilter{Until: 501}), second)
	same(b, "with a limit", get(assistance.DueFilter{Limit: 1}), second[:1])
	b.update(putRequest(two, second[1:]))
	same(b, "after a step was done", get(assistance.DueFilter{By: &them}), first[:1])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
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
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
	same(b, "last, after a rebuild", last("ARV-PR-2026"), 2)
}
