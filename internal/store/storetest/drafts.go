package storetest

import (
	"context"

	"entente/internal/flow"
	"entente/internal/member"
)

func someDraft(n int) member.Draft {
	thread := hash(n)
	return member.Draft{ID: id(n), Link: theLink(), Kind: "message", Thread: &thread, Urgency: "routine", Writers: []string{"anna"}, State: member.Waiting,
		Need: "second_person", Version: 1, Digest: hash(n), Created: int64(n), Changed: int64(n)}
}

func drafts(b *bench) {
	byPrefix := func(prefix string) []member.Draft {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]member.Draft, error) { return tx.Draft(ctx, prefix) })
	}
	same(b, "a draft that is not there", byPrefix(id(1).String()), nil)
	all := []member.Draft{someDraft(1), someDraft(2), someDraft(3), someDraft(4)}
	all[1].Thread = nil
	all[2].State, all[2].Writers = member.Incomplete, []string{"ben", "anna"}
	put := func(d member.Draft) {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutDraft(ctx, d) })
	}
	for _, d := range all {
		put(d)
	}
	same(b, "draft", byPrefix(id(2).String()), all[1:2])
	same(b, "by the digits that all have", len(byPrefix("0000")), 2)
	open := func(writer string) int {
		return read(b, func(ctx context.Context, tx flow.Tx) (int, error) { return tx.OpenDrafts(ctx, writer) })
	}
	same(b, "open drafts of a writer", []int{open("anna"), open("ben"), open("cleo")}, []int{3, 1, 0})
	said := hash(9)
	all[0].State, all[0].Statement, all[0].Changed = member.Discarded, nil, 5
	all[1].State, all[1].Statement, all[1].Changed, all[1].BrokenGlass = member.Sent, &said, 7, "anna"
	all[3].State, all[3].Statement, all[3].Changed = member.Sent, &said, 7
	for _, d := range all {
		put(d)
	}
	listed := func(f member.DraftFilter) []member.Draft {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]member.Draft, error) { return tx.Drafts(ctx, f) })
	}
	same(b, "open, and to be countersigned", listed(member.DraftFilter{Limit: 9}), []member.Draft{all[1], all[2]})
	same(b, "to be countersigned", listed(member.DraftFilter{Alone: true, Limit: 9}), []member.Draft{all[1]})
	same(b, "in a state", listed(member.DraftFilter{State: member.Sent, Limit: 9}), []member.Draft{all[3], all[1]})
	for i, d := range []member.Draft{all[3], all[1]} {
		rest := listed(member.DraftFilter{State: member.Sent, After: &member.DraftCursor{Changed: d.Changed, ID: d.ID}, Limit: 9})
		same(b, "after one, among those of one time", rest, []member.Draft{all[3], all[1]}[i+1:])
	}
	same(b, "with a limit", listed(member.DraftFilter{State: member.Sent, Limit: 1}), []member.Draft{all[3]})
	all[1].Countersign = "cleo"
	put(all[1])
	same(b, "after its countersignature", listed(member.DraftFilter{Limit: 9}), []member.Draft{all[2]})
	same(b, "open drafts of a writer, after all", open("anna"), 0)

	reviews := func() []member.Review {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]member.Review, error) { return tx.Reviews(ctx, id(3)) })
	}
	same(b, "no review", reviews(), nil)
	want := []member.Review{{Draft: id(3), Version: 1, Who: "ben", Verdict: member.RefusedIt, Note: "No.", At: 7}, {Draft: id(3), Version: 2, Who: "ben", Verdict: member.Reviewed, At: 6}}
	for _, v := range append(want, member.Review{Draft: id(4), Who: "x", Verdict: member.Reviewed}) {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutReview(ctx, v) })
	}
	same(b, "reviews, oldest first", reviews(), want)
}

func draftBodies(b *bench) {
	type body struct{ Sealed, Key []byte }
	get := func(n int) func(context.Context, flow.Tx) (body, error) {
		return func(ctx context.Context, tx flow.Tx) (out body, err error) {
			out.Sealed, out.Key, err = tx.DraftBody(ctx, id(n))
			return out, err
		}
	}
	absent(b, get(1))
	for n, words := range [][]byte{[]byte("first"), []byte("second")} {
		b.update(func(ctx context.Context, tx flow.Tx) error {
			return tx.PutDraftBody(ctx, id(1), words, []byte{byte(n + 1)}, []string{"blob a", "blob b"})
		})
		same(b, "words", read(b, get(1)), body{words, []byte{byte(n + 1)}})
	}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.PutDraftBody(ctx, id(2), []byte("other"), []byte("key"), nil)
	})
	var blobs []string
	b.update(func(ctx context.Context, tx flow.Tx) (err error) {
		blobs, err = tx.DropDraftBody(ctx, id(1))
		return err
	})
	same(b, "blobs of what was dropped", blobs, []string{"blob a", "blob b"})
	absent(b, get(1))
	same(b, "words of another", read(b, get(2)), body{[]byte("other"), []byte("key")})
	b.update(func(ctx context.Context, tx flow.Tx) (err error) {
		blobs, err = tx.DropDraftBody(ctx, id(1))
		return err
	})
	same(b, "dropped again", blobs, nil)
}
