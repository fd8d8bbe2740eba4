package storetest

import (
	"context"

	"entente/internal/flow"
	"entente/internal/member"
)

func replays(b *bench) {
	fingerprint := hash(7)
	one := member.Replay{ID: hash(1), Created: 5, Media: "application/json"}
	two := member.Replay{ID: hash(2), Created: 9, Fingerprint: &fingerprint, Status: 201, Media: "application/json", Tag: `"x"`, Sealed: []byte("s"), Key: []byte("k")}
	get := func(n int) func(context.Context, flow.Tx) (member.Replay, error) {
		return func(ctx context.Context, tx flow.Tx) (member.Replay, error) { return tx.Replay(ctx, hash(n)) }
	}
	absent(b, get(1))
	for _, r := range []member.Replay{one, two} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutReplay(ctx, r) })
	}
	same(b, "under way", read(b, get(1)), one)
	same(b, "answered", read(b, get(2)), two)
	one.Fingerprint, one.Status, one.Sealed = &fingerprint, 200, []byte("answer")
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutReplay(ctx, one) })
	same(b, "put again", read(b, get(1)), one)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropReplays(ctx, 9) })
	absent(b, get(1))
	same(b, "as old as the bound", read(b, get(2)), two)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropReplay(ctx, hash(2)) })
	absent(b, get(2))
}
