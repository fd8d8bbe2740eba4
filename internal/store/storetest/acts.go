package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
)

var errWanted = errors.New("this act is meant to fail")

func (b *bench) meta(key string) []byte {
	b.Helper()
	return read(b, func(ctx context.Context, tx flow.Tx) ([]byte, error) { return tx.Meta(ctx, key) })
}

func rollbackLeavesNothing(b *bench) {
	err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error {
		ctx := b.Context()
		if err := tx.SetMeta(ctx, "k", []byte("v")); err != nil {
			return err
		}
		if err := tx.PutParcels(ctx, someParcel(1)); err != nil {
			return err
		}
		if v, err := tx.Meta(ctx, "k"); err != nil || string(v) != "v" {
			b.Errorf("an act's own write: %q, %v", v, err)
		}
		return errWanted
	})
	if !errors.Is(err, errWanted) {
		b.Errorf("Update: %v, want the act's own error", err)
	}
	same(b, "meta", b.meta("k"), nil)
	absent(b, parcelOf(1))
}

// together submits acts so that they wait in the queue at the same time, and returns their errors. The first
// act that the store runs holds the committer until all the others wait.
func (b *bench) together(priority func(n int) flow.Priority, acts ...func(context.Context, flow.Tx) error) []error {
	ctx := b.Context()
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	all.Go(func() {
		err := b.store.Update(ctx, flow.Normal, func(flow.Tx) error {
			once.Do(func() { close(begun) })
			<-release
			return nil
		})
		if err != nil {
			b.Errorf("the act that holds the committer: %v", err)
		}
	})
	<-begun
	errs := make([]error, len(acts))
	var submitted sync.WaitGroup
	submitted.Add(len(acts))
	for n, f := range acts {
		all.Go(func() {
			c := &announcing{Context: ctx, asked: submitted.Done}
			errs[n] = b.store.Update(c, priority(n), func(tx flow.Tx) error { return f(ctx, tx) })
		})
	}
	submitted.Wait()
	close(release)
	all.Wait()
	return errs
}

// announcing is a context that tells when it is first asked whether it has ended: its owner has then entered the
// store and is about to wait.
type announcing struct {
	context.Context
	asked func()
	once  sync.Once
}

// Done implements context.Context.
func (a *announcing) Done() <-chan struct{} {
	a.once.Do(a.asked)
	return a.Context.Done()
}

func normal(int) flow.Priority { return flow.Normal }

func savepointIsolation(b *bench) {
	const n = 40
	acts := make([]func(context.Context, flow.Tx) error, n)
	for i := range acts {
		acts[i] = func(ctx context.Context, tx flow.Tx) error {
			if err := tx.SetMeta(ctx, fmt.Sprint(i), []byte{1}); err != nil {
				return err
			}
			switch i % 5 {
			case 1:
				return errWanted
			case 2: // the database itself refuses
				return tx.PutParcels(ctx, someParcel(1), someParcel(1))
			case 3:
				panic("an act goes wrong")
			}
			return nil
		}
	}
	for i, err := range b.together(normal, acts...) {
		want := map[int]bool{1: true, 2: true, 3: true}[i%5]
		if (err != nil) != want {
			b.Errorf("act %d: %v, want failure: %v", i, err, want)
		}
		if i%5 == 2 && fault.KindOf(err) != fault.Conflict {
			b.Errorf("act %d: %v, want a conflict", i, err)
		}
		if kept := b.meta(fmt.Sprint(i)) != nil; kept == want {
			b.Errorf("act %d left its effect: %v", i, kept)
		}
	}
}

func panicking(b *bench) {
	err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error {
		if err := tx.SetMeta(b.Context(), "k", []byte("v")); err != nil {
			return err
		}
		var nobody *exchange.Link
		nobody.Alias = "oops"
		return nil
	})
	if fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "nil pointer") {
		b.Errorf("an act that panics: %v", err)
	}
	if strings.Contains(fault.Public(err), "nil pointer") {
		b.Error("the public sentence shows the cause")
	}
	same(b, "meta", b.meta("k"), nil)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", []byte("after")) })
	same(b, "meta, after", b.meta("k"), []byte("after"))
}

// lostActStaysLost: an act that goes on after the database has refused a statement must not be committed in part.
func lostActStaysLost(b *bench) {
	l, m := someLink(), someLink()
	m.ID = otherLink() // the same alias
	err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error {
		ctx := b.Context()
		_ = tx.PutLink(ctx, l)
		_ = tx.PutLink(ctx, m)
		_ = tx.SetMeta(ctx, "k", []byte("v"))
		return nil
	})
	if fault.KindOf(err) != fault.Conflict {
		b.Errorf("an act that ignored a refusal: %v, want a conflict", err)
	}
	same(b, "meta", b.meta("k"), nil)
	absent(b, func(ctx context.Context, tx flow.Tx) (exchange.Link, error) { return tx.Link(ctx, theLink()) })
}

func cancelledBeforeStart(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	for name, run := range map[string]func(func(flow.Tx) error) error{
		"Update": func(f func(flow.Tx) error) error { return b.store.Update(ctx, flow.Urgent, f) },
	} {
		err := run(func(flow.Tx) error {
			b.Errorf("%s ran an act whose context had ended", name)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			b.Errorf("%s: %v, want %v", name, err, context.Canceled)
		}
	}

	// One that waits in the queue is taken out, and its caller need not wait for those before it.
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	all.Go(func() {
		_ = b.store.Update(b.Context(), flow.Normal, func(flow.Tx) error {
			once.Do(func() { close(begun) })
			<-release
			return nil
		})
	})
	<-begun
	ctx, cancel = context.WithCancel(b.Context())
	waiting := &announcing{Context: ctx, asked: cancel}
	err := b.store.Update(waiting, flow.Normal, func(flow.Tx) error {
		b.Error("Update ran an act that was withdrawn")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		b.Errorf("Update: %v, want %v", err, context.Canceled)
	}
	close(release)
	all.Wait()
}

// cancelledInside: a context that ends in the midst of an act loses that act alone, and the store goes on.
func cancelledInside(b *bench) {
	for range 20 {
		ctx, cancel := context.WithCancel(b.Context())
		err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error {
			if err := tx.SetMeta(ctx, "k", []byte("v")); err != nil {
				return err
			}
			cancel()
			_, err := tx.Meta(ctx, "k")
			return err
		})
		if !errors.Is(err, context.Canceled) {
			b.Errorf("Update: %v, want %v", err, context.Canceled)
		}
	}
	same(b, "meta", b.meta("k"), nil)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", []byte("after")) })
}

// increments: read and write back a number from 64 goroutines; none is lost, and none is counted that failed.
func increments(b *bench) {
	const goroutines, each = 64, 10
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				err := b.store.Update(b.Context(), flow.Priority(g%2), func(tx flow.Tx) error {
					v, err := tx.Meta(b.Context(), "n")
					if err != nil {
						return err
					}
					var n uint64
					if v != nil {
						n = binary.BigEndian.Uint64(v)
					}
					if err := tx.SetMeta(b.Context(), "n", binary.BigEndian.AppendUint64(nil, n+1)); err != nil {
						return err
					}
					if i == 3 {
						return errWanted
					}
					return nil
				})
				if (i == 3) != errors.Is(err, errWanted) || (i != 3 && err != nil) {
					b.Errorf("goroutine %d, act %d: %v", g, i, err)
				}
			}
		})
	}
	all.Wait()
	same(b, "sum", binary.BigEndian.Uint64(b.meta("n")), goroutines*(each-1))
}

// urgentFirst: an urgent act that comes after others have begun to wait is carried out before them.
func urgentFirst(b *bench) {
	const n = 9
	var order []int
	acts := make([]func(context.Context, flow.Tx) error, n)
	for i := range acts {
		acts[i] = func(context.Context, flow.Tx) error {
			order = append(order, i) // the store runs one act at a time
			return nil
		}
	}
	for _, err := range b.together(func(i int) flow.Priority {
		if i%3 == 0 {
			return flow.Urgent
		}
		return flow.Normal
	}, acts...) {
		if err != nil {
			b.Errorf("Update: %v", err)
		}
	}
	if len(order) != n {
		b.Fatalf("%d acts ran, want %d", len(order), n)
	}
	for i, act := range order {
		if (act%3 == 0) != (i < 3) {
			b.Errorf("order of acts %v, want the urgent ones (0, 3, 6) first", order)
			break
		}
	}
}

// runTwice: the same act carried out twice, as after an answer that was lost, leaves the effect of one.
func runTwice(b *bench) {
	act := func(ctx context.Context, tx flow.Tx) error {
		lane, err := tx.Lane(ctx, theLink(), kestria(), 2, "hotline")
		if err != nil {
			return err
		}
		lane.Last = 4
		return errors.Join(
			tx.PutIdentity(ctx, kestria(), 1, []byte("identity")), tx.PutLink(ctx, someLink()), tx.PutLane(ctx, lane),
			tx.PutReceipts(ctx, someReceipt(1)), tx.PutStatements(ctx, someStatement(1)),
			tx.PutBodies(ctx, exchange.Body{Commitment: hash(1), Sealed: []byte("sealed"), Key: []byte("key")}), tx.PutColumns(ctx, someColumn(1, 1, arvenia())),
			tx.PutLog(ctx, exchange.Log{Link: theLink(), Party: arvenia(), Epoch: 1, Size: 3}),
			tx.PutDocuments(ctx, exchange.Document{Hash: hash(1), Link: theLink(), Type: "t", Payload: []byte("p")}),
			tx.PutEvidence(ctx, exchange.Evidence{Link: theLink(), Kind: "k", Data: []byte("d")}),
			tx.EraseBody(ctx, hash(1), 5), tx.SetMeta(ctx, "k", []byte("v")),
		)
	}
	type state struct {
		Links      []exchange.Link
		Lanes      []exchange.LaneState
		Receipts   []exchange.Receipt
		Statements []exchange.Statement
		Logs       []exchange.Log
		Evidence   []exchange.Evidence
		Meta       []byte
	}
	now := func(ctx context.Context, tx flow.Tx) (s state, err error) {
		var errs [7]error
		s.Links, errs[0] = tx.Links(ctx)
		s.Lanes, errs[1] = tx.LanesOf(ctx, theLink())
		s.Receipts, errs[2] = tx.ReceiptsOf(ctx, hash(500))
		s.Statements, errs[3] = tx.Statements(ctx, exchange.Filter{Limit: 10})
		s.Logs, errs[4] = tx.Logs(ctx, theLink())
		s.Evidence, errs[5] = tx.Evidences(ctx, nil, 10)
		s.Meta, errs[6] = tx.Meta(ctx, "k")
		return s, errors.Join(errs[:]...)
	}
	b.update(act)
	once := read(b, now)
	b.update(act)
	same(b, "state after the second run", read(b, now), once)
	if len(once.Links) != 1 || len(once.Evidence) != 1 || len(once.Statements) != 1 {
		b.Errorf("state after the first run: %+v", once)
	}
}

func viewIsSnapshot(b *bench) {
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", []byte("before")) })
	b.view(func(ctx context.Context, tx flow.Tx) error {
		for _, when := range []string{"before", "after"} {
			if v, err := tx.Meta(ctx, "k"); err != nil || string(v) != "before" {
				b.Errorf("%s the change, a snapshot has %q, %v", when, v, err)
			}
			if when == "before" {
				b.update(func(ctx context.Context, tx flow.Tx) error { return tx.SetMeta(ctx, "k", []byte("after")) })
			}
		}
		return nil
	})
	same(b, "meta", b.meta("k"), []byte("after"))
}

func viewRefusesWrites(b *bench) {
	err := b.store.View(b.Context(), func(tx flow.Tx) error {
		_ = tx.SetMeta(b.Context(), "k", []byte("v"))
		_, err := tx.Meta(b.Context(), "k")
		return err
	})
	if err == nil {
		b.Error("a View that writes succeeded")
	}
	same(b, "meta", b.meta("k"), nil)
	if err := b.store.View(b.Context(), func(flow.Tx) error { return errWanted }); !errors.Is(err, errWanted) {
		b.Errorf("View: %v, want the act's own error", err)
	}
	if err := b.store.View(b.Context(), func(flow.Tx) error { panic("a reading act goes wrong") }); err == nil {
		b.Error("a View that panics succeeded")
	}
	same(b, "meta, after a panic", b.meta("k"), nil)
}

func transactionEnds(b *bench) {
	var kept flow.Tx
	b.update(func(_ context.Context, tx flow.Tx) error {
		kept = tx
		return nil
	})
	b.Run("after Update", func(t *testing.T) {
		if err := kept.SetMeta(t.Context(), "k", []byte("v")); err == nil {
			t.Error("a transaction was used after its end")
		}
	})
	same(b, "meta", b.meta("k"), nil)
}
