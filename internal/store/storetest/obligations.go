package storetest

import (
	"context"

	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/statement"
)

func someObligation(n int) assistance.Obligation {
	return assistance.Obligation{Link: theLink(), Thread: hash(n), Source: hash(n), Duty: assistance.DutyPreserve, By: kestria(), Since: 7,
		Until: int64(n) * 100, State: assistance.Owed, Formal: hash(9).String()}
}

func obligations(b *bench) {
	put := func(list ...assistance.Obligation) {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutObligations(ctx, list...) })
	}
	of := func(n int) []assistance.Obligation {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Obligation, error) {
			return tx.ObligationsOf(ctx, hash(n))
		})
	}
	same(b, "obligations of no thread", of(1), nil)
	all := make([]assistance.Obligation, 5)
	for i := range all {
		all[i] = someObligation(i + 1)
	}
	all[1].Link, all[1].Formal = otherLink(), ""
	all[2].Until = 0
	all[3].State, all[3].Proof = assistance.Done, hash(8).String()
	all[4].Thread, all[4].Source, all[4].Duty, all[4].By = hash(1), hash(4), "no_court", arvenia()
	put(all[4], all[2], all[0])
	put(all[1], all[3])
	put()
	same(b, "obligations of a thread", of(1), []assistance.Obligation{all[0], all[4]})
	all[0].Until, all[0].Since = 900, 8
	put(all[0])
	same(b, "obligations, put again", of(1), []assistance.Obligation{all[0], all[4]})
	kept := func(n int) []statement.Commitment {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]statement.Commitment, error) { return tx.KeptFor(ctx, hash(n)) })
	}
	same(b, "threads kept for another request", kept(9), []statement.Commitment{hash(1), hash(3), hash(4)})
	same(b, "threads kept for none", kept(2), nil)
	link, us := otherLink(), arvenia()
	for _, c := range []struct {
		name   string
		filter assistance.ObligationFilter
		want   []assistance.Obligation
	}{
		{"what ends first, then what does not", assistance.ObligationFilter{}, []assistance.Obligation{all[1], all[4], all[0], all[2]}},
		{"done", assistance.ObligationFilter{State: assistance.Done}, []assistance.Obligation{all[3]}},
		{"of a link", assistance.ObligationFilter{Link: &link}, []assistance.Obligation{all[1]}},
		{"of a party", assistance.ObligationFilter{By: &us}, []assistance.Obligation{all[4]}},
		{"of the others", assistance.ObligationFilter{Not: &us}, []assistance.Obligation{all[1], all[0], all[2]}},
		{"of a duty", assistance.ObligationFilter{Duty: "no_court"}, []assistance.Obligation{all[4]}},
		{"within a time", assistance.ObligationFilter{From: 200, Until: 500}, []assistance.Obligation{all[1], all[4]}},
		{"after one", assistance.ObligationFilter{After: &all[4]}, []assistance.Obligation{all[0], all[2]}},
		{"after what has no end", assistance.ObligationFilter{After: &all[2]}, nil},
		{"of a link, a party and a duty, within a time", assistance.ObligationFilter{Link: &link, Not: &us, Duty: assistance.DutyPreserve, Until: 200}, []assistance.Obligation{all[1]}},
		{"with a limit", assistance.ObligationFilter{Limit: 1}, []assistance.Obligation{all[1]}},
	} {
		if c.filter.Limit == 0 {
			c.filter.Limit = 10
		}
		if c.filter.State == "" {
			c.filter.State = assistance.Owed
		}
		got := read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Obligation, error) {
			return tx.Obligations(ctx, c.filter)
		})
		same(b, "obligations, "+c.name, got, c.want)
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
	same(b, "obligations, dropped", of(1), nil)
}

func warned(b *bench) {
	get := func() [2]int64 {
		return read(b, func(ctx context.Context, tx flow.Tx) ([2]int64, error) {
			end, days, err := tx.Warned(ctx, hash(1))
			return [2]int64{end, int64(days)}, err
		})
	}
	same(b, "no warning", get(), [2]int64{})
	for _, days := range []int{30, 7} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetWarned(ctx, hash(1), 800, days) })
		same(b, "warning", get(), [2]int64{800, int64(days)})
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
	same(b, "warning, after a rebuild", get(), [2]int64{800, 7})
}

func holds(b *bench) {
	one := exchange.Hold{Thread: hash(1), Link: theLink(), Reason: "Order 4711", Who: "anna", At: 5}
	two := exchange.Hold{Thread: hash(2), Link: otherLink(), Reason: "证据", Who: "lan", At: 5}
	of := func(threads ...statement.Commitment) []exchange.Hold {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Hold, error) { return tx.HoldsOf(ctx, threads) })
	}
	after := func(h exchange.Hold, limit int) []exchange.Hold {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Hold, error) { return tx.Holds(ctx, h, limit) })
	}
	drop := func(ctx context.Context, tx flow.Tx) error { return tx.DropHold(ctx, hash(1)) }
	b.update(drop)
	same(b, "holds of nothing", of(), nil)
	for _, h := range []exchange.Hold{two, one} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutHold(ctx, h) })
	}
	same(b, "holds of threads", of(hash(1), hash(3), hash(1)), []exchange.Hold{one})
	one.Reason, one.Who = "Order 4712", "bo"
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutHold(ctx, one) })
	same(b, "holds", after(exchange.Hold{}, 10), []exchange.Hold{one, two})
	same(b, "holds after one", after(one, 10), []exchange.Hold{two})
	same(b, "holds, the first", after(exchange.Hold{}, 1), []exchange.Hold{one})
	b.update(drop)
	same(b, "holds, one dropped", after(exchange.Hold{}, 10), []exchange.Hold{two})
}
