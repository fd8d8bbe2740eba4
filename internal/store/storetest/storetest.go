// Package storetest says what a store must do, as tests that run on any of them: what is there and what is not,
// idempotence, conflict, order, cursors, tree hashes, savepoints, and acts by the dozen at once. It is for tests
// only. It promises to use nothing but flow.Store, and refuses to know SQL.
package storetest

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Conformance runs every test of the suite, each on a store of its own that open makes, empty.
func Conformance(t *testing.T, open func(t *testing.T) flow.Store) {
	for _, c := range []struct {
		name string
		run  func(*bench)
	}{
		{"Identities", identities}, {"Links", links}, {"Agreements", agreements}, {"Invitations", invitations}, {"Meta", meta},
		{"Lanes", lanes}, {"Parcels", parcels}, {"AdvanceParcels", advanceParcels}, {"ParcelContent", parcelContent}, {"ParcelLists", parcelLists}, {"LastSeen", lastSeen},
		{"Due", due}, {"Registered", registered}, {"Segments", segments}, {"Receipts", receipts}, {"ReceiptAbove", receiptAbove},
		{"Statements", statements}, {"StatementLists", statementLists}, {"Bodies", bodies}, {"Files", files}, {"Aged", aged}, {"ErasingFiles", erasingFiles},
		{"Columns", columns}, {"ColumnsInOrder", columnsInOrder}, {"DropFolded", dropFolded},
		{"Logs", logs}, {"Uncosigned", uncosigned}, {"Witnessed", witnessed}, {"Unended", unended}, {"Leaves", leaves}, {"HashReader", hashReader},
		{"Documents", documents}, {"Requests", requests}, {"Dues", dues}, {"Numbers", numbers}, {"Asked", asked}, {"Calls", calls}, {"Obligations", obligations}, {"Warned", warned}, {"Holds", holds}, {"Cases", cases}, {"CaseEntries", caseEntries},
		{"Evidence", evidence}, {"Members", members}, {"Tokens", tokens}, {"Entries", entries}, {"Drafts", drafts}, {"DraftBodies", draftBodies}, {"Replays", replays}, {"Webhooks", webhooks}, {"Deliveries", deliveries}, {"Told", told}, {"EntryHashes", entryHashes}, {"Figures", figures},
		{"RollbackLeavesNothing", rollbackLeavesNothing}, {"SavepointIsolation", savepointIsolation},
		{"Panic", panicking}, {"LostActStaysLost", lostActStaysLost}, {"CancelledBeforeStart", cancelledBeforeStart},
		{"CancelledInside", cancelledInside}, {"Increments", increments}, {"UrgentFirst", urgentFirst},
		{"RunTwice", runTwice}, {"ViewIsSnapshot", viewIsSnapshot}, {"ViewRefusesWrites", viewRefusesWrites},
		{"TransactionEnds", transactionEnds}, {"HostileNumbers", hostileNumbers},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(&bench{t, open(t)}) })
	}
}

// bench is a store under test. Its closures never end the test: they run on the store's goroutine.
type bench struct {
	*testing.T
	store flow.Store
}

// update runs an act that must succeed.
func (b *bench) update(f func(ctx context.Context, tx flow.Tx) error) {
	b.Helper()
	ctx := b.Context()
	if err := b.store.Update(ctx, flow.Normal, func(tx flow.Tx) error { return f(ctx, tx) }); err != nil {
		b.Fatalf("Update: %v", err)
	}
}

// view runs a reading act that must succeed.
func (b *bench) view(f func(ctx context.Context, tx flow.Tx) error) {
	b.Helper()
	ctx := b.Context()
	if err := b.store.View(ctx, func(tx flow.Tx) error { return f(ctx, tx) }); err != nil {
		b.Fatalf("View: %v", err)
	}
}

// refused runs an act that must fail with a kind.
func (b *bench) refused(kind fault.Kind, f func(ctx context.Context, tx flow.Tx) error) {
	b.Helper()
	ctx := b.Context()
	err := b.store.Update(ctx, flow.Normal, func(tx flow.Tx) error { return f(ctx, tx) })
	if err == nil || fault.KindOf(err) != kind {
		b.Errorf("Update: %v, want a fault of kind %s", err, kind)
	}
}

// read is what a call gives in a snapshot of its own; it must succeed.
func read[T any](b *bench, f func(ctx context.Context, tx flow.Tx) (T, error)) T {
	b.Helper()
	var out T
	b.view(func(ctx context.Context, tx flow.Tx) (err error) {
		out, err = f(ctx, tx)
		return err
	})
	return out
}

// absent demands a fault of kind NotFound.
func absent[T any](b *bench, f func(ctx context.Context, tx flow.Tx) (T, error)) {
	b.Helper()
	b.view(func(ctx context.Context, tx flow.Tx) error {
		if got, err := f(ctx, tx); fault.KindOf(err) != fault.NotFound {
			b.Errorf("a read of what is not there: %v, %v, want a fault of kind %s", got, err, fault.NotFound)
		}
		return nil
	})
}

func same[T any](b *bench, what string, got, want T) {
	b.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		b.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// hash and id make values that differ and can be told in a diff.
func hash(n int) (h envelope.Hash) {
	h[0], h[1], h[2], h[31] = byte(n>>16), byte(n>>8), byte(n), 0xee
	return h
}

func id(n int) (i envelope.ID) {
	i[0], i[1], i[2], i[15] = byte(n>>16), byte(n>>8), byte(n), 0xdd
	return i
}

// The two fictional parties and their link.
func arvenia() party.ID           { return hash(0xA00000) }
func kestria() party.ID           { return hash(0xB00000) }
func theLink() statement.LinkID   { return hash(0xC00000) }
func otherLink() statement.LinkID { return hash(0xC00001) }

func someLink() exchange.Link {
	return exchange.Link{ID: theLink(), Alias: "kestria", Peer: kestria(), Endpoint: "https://kestria.example", Inviter: true,
		Agreement: []byte("{}"), Created: 17, OwnEpoch: 1, PeerEpoch: 2}
}

func identities(b *bench) {
	one, two := []byte("first version"), []byte("second version")
	put := func(version int, env []byte) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error { return tx.PutIdentity(ctx, kestria(), version, env) }
	}
	b.update(put(2, two))
	b.update(put(1, one))
	b.update(put(1, one))
	b.refused(fault.Conflict, put(1, two))
	all := func(p party.ID) func(context.Context, flow.Tx) ([][]byte, error) {
		return func(ctx context.Context, tx flow.Tx) ([][]byte, error) { return tx.Identities(ctx, p) }
	}
	same(b, "identities, oldest first", read(b, all(kestria())), [][]byte{one, two})
	same(b, "identities of a stranger", read(b, all(arvenia())), nil)
	fork := func(version int, env []byte) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error { return tx.PutFork(ctx, kestria(), version, env) }
	}
	third, other := []byte("third version"), []byte("another second version")
	for range 2 {
		b.update(fork(3, third))
		b.update(fork(2, other))
	}
	forks := func(p party.ID) func(context.Context, flow.Tx) ([][]byte, error) {
		return func(ctx context.Context, tx flow.Tx) ([][]byte, error) { return tx.Forks(ctx, p) }
	}
	same(b, "forks, by version", read(b, forks(kestria())), [][]byte{other, third})
	same(b, "forks of a stranger", read(b, forks(arvenia())), nil)
	same(b, "identities beside forks", read(b, all(kestria())), [][]byte{one, two})
}

func links(b *bench) {
	l, m := someLink(), someLink()
	m.ID, m.Alias, m.Inviter = otherLink(), "arvenia", false
	put := func(l exchange.Link) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error { return tx.PutLink(ctx, l) }
	}
	get := func(ctx context.Context, tx flow.Tx) (exchange.Link, error) { return tx.Link(ctx, theLink()) }
	absent(b, get)
	b.update(put(l))
	b.update(put(m))
	same(b, "link", read(b, get), l)
	l.Endpoint, l.OwnEpoch, l.Agreement = "", 4_294_967_295, []byte("another")
	b.update(put(l))
	same(b, "link, put again", read(b, get), l)
	l.Alias = "arvenia"
	b.refused(fault.Conflict, put(l))
	l.Alias = "kestria"
	same(b, "links by alias", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Link, error) { return tx.Links(ctx) }),
		[]exchange.Link{m, l})
	same(b, "addresses", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Address, error) { return tx.Addresses(ctx) }),
		[]exchange.Address{{Link: m.ID, Alias: m.Alias, Endpoint: m.Endpoint}})
}

func agreements(b *bench) {
	for _, data := range []string{"one", "two", "one"} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutAgreement(ctx, theLink(), []byte(data)) })
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutAgreement(ctx, otherLink(), []byte("three")) })
	got := read(b, func(ctx context.Context, tx flow.Tx) ([][]byte, error) { return tx.Agreements(ctx, theLink()) })
	want := [][]byte{[]byte("one"), []byte("two")}
	slices.SortFunc(want, func(x, y []byte) int { hx, hy := envelope.Sum(x), envelope.Sum(y); return bytes.Compare(hx[:], hy[:]) })
	same(b, "agreements of a link", got, want)
}

func invitations(b *bench) {
	i := exchange.Invitation{TokenHash: hash(1), Alias: "kestria", Agreement: []byte("{}"), Nonce: [32]byte{31: 7}, Expires: 99, State: "open"}
	get := func(ctx context.Context, tx flow.Tx) (exchange.Invitation, error) { return tx.Invitation(ctx, hash(1)) }
	absent(b, get)
	for _, state := range []string{"open", "committed", "used"} {
		i.State = state
		i.Link = theLink()
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutInvitation(ctx, i) })
		same(b, "invitation", read(b, get), i)
	}
}

func meta(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) ([]byte, error) { return tx.Meta(ctx, "k") }
	same(b, "meta, unset", read(b, get), nil)
	for _, v := range [][]byte{{0, 1, 2}, []byte("again")} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", v) })
		same(b, "meta", read(b, get), v)
	}
	same(b, "another key", read(b, func(ctx context.Context, tx flow.Tx) ([]byte, error) { return tx.Meta(ctx, "K") }), nil)
}

func bytesOf(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }
