package storetest

import (
	"context"

	"entente/internal/flow"
	"entente/internal/hotline"
)

func someCall(n int) hotline.Row {
	return hotline.Row{Link: theLink(), Thread: hash(n), Level: "desk", Kind: "incident", Urgency: "urgent", Calling: arvenia(), Called: kestria(), Ours: true,
		Status: hotline.Ringing, Desk: "desk", Request: hash(9).String(), Received: int64(n) * 100, Since: int64(n)*100 + 1, AnswerBy: 7, Answered: 8, Changed: int64(n) * 100}
}

func calls(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (hotline.Row, error) { return tx.CallOf(ctx, hash(1)) }
	absent(b, get)
	put := func(r hotline.Row) {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutCall(ctx, r) })
	}
	all := make([]hotline.Row, 4)
	for i := range all {
		all[i] = someCall(i + 1)
	}
	all[1].Link = otherLink()
	all[2].Calling, all[2].Called, all[2].Ours, all[2].Desk, all[2].Request = kestria(), arvenia(), false, "", ""
	all[3].Received = all[2].Received
	for _, r := range all {
		put(r)
	}
	same(b, "call", read(b, get), all[0])
	all[0].Status, all[0].Changed, all[0].Desk = hotline.Ended, 900, "another"
	put(all[0])
	same(b, "call, put again", read(b, get), all[0])
	link, ours, theirs := otherLink(), true, false
	for _, c := range []struct {
		name   string
		filter hotline.Filter
		want   []int
	}{
		{"all, newest first", hotline.Filter{}, []int{4, 3, 2, 1}},
		{"of a link", hotline.Filter{Link: &link}, []int{2}},
		{"of a status", hotline.Filter{Status: hotline.Ringing}, []int{4, 3, 2}},
		{"theirs", hotline.Filter{Ours: &theirs}, []int{3}},
		{"ours", hotline.Filter{Ours: &ours}, []int{4, 2, 1}},
		{"after one of the same time", hotline.Filter{After: &hotline.Cursor{Received: 300, Thread: hash(4)}}, []int{3, 2, 1}},
		{"with a limit", hotline.Filter{Limit: 2}, []int{4, 3}},
	} {
		if c.filter.Limit == 0 {
			c.filter.Limit = 10
		}
		var got []int
		for _, r := range read(b, func(ctx context.Context, tx flow.Tx) ([]hotline.Row, error) { return tx.Calls(ctx, c.filter) }) {
			got = append(got, int(r.Thread[2]))
		}
		same(b, "calls, "+c.name, got, c.want)
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx, nil) })
	absent(b, get)
}
