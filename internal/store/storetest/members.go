package storetest

import (
	"context"
	"fmt"

	"entente/internal/actor"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

func members(b *bench) {
	anna := member.Member{Name: "anna", Roles: []actor.Role{actor.Drafter, actor.Auditor}, Created: 7,
		Passphrase: member.Passphrase{Salt: []byte("salt"), Key: []byte("key")}}
	ben := member.Member{Name: "ben", Roles: []actor.Role{actor.DPO}, Created: 8, Suspended: 9, Failures: 3, Locked: 10}
	get := func(ctx context.Context, tx flow.Tx) (member.Member, error) { return tx.Member(ctx, "anna") }
	absent(b, get)
	for _, m := range []member.Member{ben, anna} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutMember(ctx, m) })
	}
	same(b, "member", read(b, get), anna)
	anna.Roles, anna.Suspended, anna.Passphrase, anna.Failures = []actor.Role{actor.Operator}, 11, member.Passphrase{}, 1
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutMember(ctx, anna) })
	same(b, "member, put again", read(b, get), anna)
	for _, c := range []struct {
		after string
		limit int
		want  []member.Member
	}{{"", 9, []member.Member{anna, ben}}, {"anna", 9, []member.Member{ben}}, {"", 1, []member.Member{anna}}, {"ben", 9, nil}} {
		same(b, "members after "+c.after, read(b, func(ctx context.Context, tx flow.Tx) ([]member.Member, error) {
			return tx.Members(ctx, c.after, c.limit)
		}), c.want)
	}
}

func tokens(b *bench) {
	token := func(n int, name string) member.Token {
		return member.Token{ID: fmt.Sprint("id", n), Hash: hash(n), Member: name, Scopes: []actor.Scope{actor.ScopeRead, actor.ScopeSay}, Note: "desk",
			Created: int64(n), Expires: 99}
	}
	one, two, other := token(1, "anna"), token(2, "anna"), token(3, "ben")
	get := func(ctx context.Context, tx flow.Tx) (member.Token, error) { return tx.Token(ctx, one.ID) }
	byHash := func(ctx context.Context, tx flow.Tx) (member.Token, error) { return tx.TokenByHash(ctx, one.Hash) }
	absent(b, get)
	absent(b, byHash)
	for _, t := range []member.Token{one, two, other} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutToken(ctx, t) })
	}
	same(b, "token", read(b, get), one)
	one.Revoked, one.Used = 5, 6
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutToken(ctx, one) })
	same(b, "token by hash, put again", read(b, byHash), one)
	same(b, "tokens of a member", read(b, func(ctx context.Context, tx flow.Tx) ([]member.Token, error) { return tx.Tokens(ctx, "anna") }), []member.Token{two, one})
}

func entry(n int64) member.Entry {
	return member.Entry{Number: n, At: 7, Who: "anna", Act: "send", Object: fmt.Sprint(n), Hashes: make([]byte, 32)}
}

func entries(b *bench) {
	entered := func() [2]int64 {
		return read(b, func(ctx context.Context, tx flow.Tx) ([2]int64, error) {
			size, last, err := tx.Entered(ctx)
			return [2]int64{size, last}, err
		})
	}
	same(b, "size of an empty log", entered(), [2]int64{})
	var want []member.Entry
	for n := range int64(5) {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutEntries(ctx, entry(n)) })
		e := entry(n)
		e.Hashes = nil // a list is without
		want = append(want, e)
	}
	same(b, "size", entered(), [2]int64{5, 7})
	newest := func(before int64, limit int) []member.Entry {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]member.Entry, error) { return tx.Entries(ctx, before, limit) })
	}
	same(b, "entries, newest first", newest(0, 2), []member.Entry{want[4], want[3]})
	same(b, "entries before", newest(3, 9), []member.Entry{want[2], want[1], want[0]})
	same(b, "entries from", read(b, func(ctx context.Context, tx flow.Tx) ([]member.Entry, error) { return tx.EntriesFrom(ctx, 1, 2) }), want[1:3])
	if err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error { return tx.PutEntries(b.Context(), entry(4)) }); err == nil {
		b.Error("a number was taken twice")
	}
}

func entryHashes(b *bench) {
	const n = 70
	want := make([]tlog.Hash, tlog.StoredHashCount(n))
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = want[x]
		}
		return out, nil
	})
	for i := range int64(n) {
		e := entry(i)
		e.Hashes = nil
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutEntries(ctx, e) })
	}
	unhashed := func(limit int) []member.Entry {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]member.Entry, error) { return tx.Unhashed(ctx, limit) })
	}
	same(b, "entries outside the tree", len(unhashed(n+1)), n)
	for i := range int64(n) {
		e := unhashed(1)[0]
		hashes, err := ledger.AppendHashes(i, []byte(e.Object), reader)
		if err != nil {
			b.Fatal(err)
		}
		for level, h := range hashes {
			want[tlog.StoredHashIndex(level, i>>level)] = h
			e.Hashes = append(e.Hashes, h[:]...)
		}
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetEntryHashes(ctx, e) })
	}
	same(b, "entries outside the tree", len(unhashed(1)), 0)
	indexes := make([]int64, len(want))
	for i := range indexes {
		indexes[i] = int64(i)
	}
	same(b, "hashes", read(b, func(ctx context.Context, tx flow.Tx) ([]tlog.Hash, error) {
		return tx.EntryHashes(ctx).ReadHashes(indexes)
	}), want)
	absent(b, func(ctx context.Context, tx flow.Tx) ([]tlog.Hash, error) {
		return tx.EntryHashes(ctx).ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
	})
}
