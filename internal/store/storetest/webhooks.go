package storetest

import (
	"context"

	"entente/internal/assistance"
	"entente/internal/flow"
	"entente/internal/notice"
)

func someHook(id string, created int64) notice.Hook {
	return notice.Hook{ID: id, URL: "https://cases.example/hook", Types: []string{notice.RequestReceived, notice.CallReceived}, Private: true, CA: []byte("pem"),
		Note: "cases", Created: created, Secret: []byte("sealed"), Former: []byte("before"), FormerUntil: 9, Failures: 2, Failing: 3, Next: 4, Code: "timeout",
		Disabled: 5, Why: notice.Failing}
}

func webhooks(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (notice.Hook, error) { return tx.Hook(ctx, "one") }
	all := func() []notice.Hook {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]notice.Hook, error) { return tx.Hooks(ctx) })
	}
	absent(b, get)
	one, two := someHook("one", 7), notice.Hook{ID: "two", URL: "https://other.example/", Created: 6, Secret: []byte("s")}
	for _, h := range []notice.Hook{one, two} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutHook(ctx, h) })
	}
	same(b, "webhook", read(b, get), one)
	same(b, "webhooks", all(), []notice.Hook{two, one})
	one.Types, one.CA, one.Former, one.Private, one.Disabled, one.Why = nil, nil, nil, false, 0, ""
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutHook(ctx, one) })
	same(b, "webhook, put again", read(b, get), one)
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.AddDeliveries(ctx, someDelivery("one", 1), someDelivery("two", 1))
	})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropHook(ctx, "one") })
	absent(b, get)
	same(b, "webhooks, one dropped", all(), []notice.Hook{two})
	absent(b, delivery("one", 1))
	same(b, "delivery of another", read(b, delivery("two", 1)), someDelivery("two", 1))
}

func someDelivery(hook string, n int) notice.Delivery {
	return notice.Delivery{Hook: hook, ID: hash(n).String()[:8], Type: notice.CallReceived, Body: []byte("{}"), State: notice.Waiting, Created: int64(n), Next: int64(n)}
}

func delivery(hook string, n int) func(context.Context, flow.Tx) (notice.Delivery, error) {
	return func(ctx context.Context, tx flow.Tx) (notice.Delivery, error) {
		return tx.Delivery(ctx, hook, someDelivery(hook, n).ID)
	}
}

func deliveries(b *bench) {
	absent(b, delivery("one", 1))
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.AddDeliveries(ctx, someDelivery("one", 1), someDelivery("one", 2), someDelivery("one", 3), someDelivery("one", 4), someDelivery("two", 5))
	})
	again := someDelivery("one", 1)
	again.Body = []byte("another")
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.AddDeliveries(ctx, again) })
	same(b, "delivery, added again", read(b, delivery("one", 1)), someDelivery("one", 1))
	sent := someDelivery("one", 1)
	sent.State, sent.Attempts, sent.Next, sent.Ended, sent.Status, sent.Code = notice.Delivered, 2, 50, 60, 500, "busy"
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetDelivery(ctx, sent) })
	same(b, "delivery, set", read(b, delivery("one", 1)), sent)

	listed := func(name string, f notice.Filter, want ...int) {
		b.Helper()
		same(b, "deliveries, "+name, numbersOf(read(b, func(ctx context.Context, tx flow.Tx) ([]notice.Delivery, error) { return tx.Deliveries(ctx, f) })), want)
	}
	listed("newest first", notice.Filter{Hook: "one", Limit: 9}, 4, 3, 2, 1)
	listed("of a state", notice.Filter{Hook: "one", State: notice.Waiting, Limit: 9}, 4, 3, 2)
	listed("before", notice.Filter{Hook: "one", Before: 3, Limit: 9}, 2, 1)
	listed("with a limit", notice.Filter{Hook: "one", Limit: 1}, 4)
	same(b, "ready", numbersOf(read(b, func(ctx context.Context, tx flow.Tx) ([]notice.Delivery, error) {
		return tx.ReadyDeliveries(ctx, "one", 3, 9)
	})), []int{2, 3})

	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.GiveUpDeliveries(ctx, "one", 1, notice.CodeTooMany, 70)
	})
	listed("given up", notice.Filter{Hook: "one", State: notice.GivenUp, Limit: 9}, 3, 2)
	listed("of another, which wait", notice.Filter{Hook: "two", State: notice.Waiting, Limit: 9}, 5)
	if d := read(b, delivery("one", 2)); d.Code != notice.CodeTooMany || d.Ended != 70 {
		b.Errorf("given up: %+v", d)
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropDeliveries(ctx, "one", 70, 2) })
	listed("but those that ended early", notice.Filter{Hook: "one", Limit: 9}, 4, 3, 2)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropDeliveries(ctx, "one", 0, 1) })
	listed("but the newest that ended", notice.Filter{Hook: "one", Limit: 9}, 4, 3)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.ReviveDeliveries(ctx, "one", 80) })
	listed("revived", notice.Filter{Hook: "one", State: notice.Waiting, Limit: 9}, 4, 3)
	if d := read(b, delivery("one", 3)); d.Next != 80 || d.Ended != 0 {
		b.Errorf("revived: %+v", d)
	}
}

// numbersOf are the numbers of deliveries that someDelivery made.
func numbersOf(ds []notice.Delivery) (numbers []int) {
	for _, d := range ds {
		numbers = append(numbers, int(d.Created))
	}
	return numbers
}

func told(b *bench) {
	at := func(n int, instants ...int64) (clocks []assistance.Due) {
		for i, a := range instants {
			clocks = append(clocks, assistance.Due{Link: theLink(), Thread: hash(n), Step: []string{"ack", "answer"}[i], By: arvenia(), At: a})
		}
		return clocks
	}
	put := func(n int, clocks []assistance.Due) {
		b.update(func(ctx context.Context, tx flow.Tx) error {
			return tx.PutRequest(ctx, assistance.Row{Link: theLink(), Thread: hash(n)}, clocks)
		})
	}
	fallen := func(name string, from, until int64, limit int, want ...assistance.Due) {
		b.Helper()
		same(b, "clocks, "+name, read(b, func(ctx context.Context, tx flow.Tx) ([]assistance.Due, error) {
			return tx.Fallen(ctx, from, until, limit)
		}), want)
	}
	one, two := at(1, 10, 20), at(2, 15)
	put(1, one)
	put(2, two)
	fallen("that ran out", 0, 20, 9, one[0], two[0], one[1])
	fallen("within a time", 10, 15, 9, two[0])
	fallen("with a limit", 0, 20, 1, one[0])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetTold(ctx, one[0], two[0]) })
	fallen("not told of", 0, 20, 9, one[1])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
	put(1, one)
	put(2, at(2, 16))
	fallen("folded again, and set anew", 0, 20, 9, at(2, 16)[0], one[1])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetTold(ctx, at(2, 16)...) })
	fallen("told of anew", 0, 20, 9, one[1])
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropTold(ctx, 16) })
	fallen("some forgotten", 0, 20, 9, one[0], one[1])
}
