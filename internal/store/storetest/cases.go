package storetest

import (
	"context"

	"entente/internal/casefile"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

func someCase(n int) casefile.Case {
	return casefile.Case{ID: id(n), Number: "CASE-2026-000" + string(rune('0'+n)), State: casefile.Open, Opened: 7, Changed: int64(n) * 100, Sealed: []byte("sealed")}
}

func putCase(c casefile.Case) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.PutCase(ctx, c) }
}

func cases(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (casefile.Case, error) { return tx.Case(ctx, "CASE-2026-0001") }
	key := func(ctx context.Context, tx flow.Tx) ([]byte, error) { return tx.CaseKey(ctx, id(1)) }
	absent(b, get)
	absent(b, key)
	one, two, three := someCase(1), someCase(2), someCase(3)
	two.State, three.Changed = casefile.Closed, two.Changed
	for _, c := range []casefile.Case{one, two, three} {
		b.update(putCase(c))
	}
	same(b, "case", read(b, get), one)
	same(b, "case by id", read(b, func(ctx context.Context, tx flow.Tx) (casefile.Case, error) { return tx.CaseByID(ctx, id(2)) }), two)
	absent(b, func(ctx context.Context, tx flow.Tx) (casefile.Case, error) { return tx.CaseByID(ctx, id(9)) })
	twin := someCase(4)
	twin.Number = one.Number
	if err := b.store.Update(b.Context(), flow.Normal, func(tx flow.Tx) error { return tx.PutCase(b.Context(), twin) }); err == nil {
		b.Error("two cases have one number")
	}
	one.State, one.Changed, one.Entries, one.Threads = casefile.Closed, 900, 5, 2
	b.update(putCase(one))
	same(b, "case, put again", read(b, get), one)
	for _, c := range []struct {
		name   string
		filter casefile.Filter
		want   []casefile.Case
	}{
		{"changed last first", casefile.Filter{Limit: 9}, []casefile.Case{one, three, two}},
		{"of a state", casefile.Filter{State: casefile.Closed, Limit: 9}, []casefile.Case{one, two}},
		{"before", casefile.Filter{Before: 900, Limit: 9}, []casefile.Case{three, two}},
		{"with a limit", casefile.Filter{Limit: 1}, []casefile.Case{one}},
	} {
		same(b, "cases, "+c.name, read(b, func(ctx context.Context, tx flow.Tx) ([]casefile.Case, error) { return tx.Cases(ctx, c.filter) }), c.want)
	}
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutCaseKey(ctx, id(1), []byte("wrapped")) })
	same(b, "key", read(b, key), []byte("wrapped"))
	one.Sealed = nil
	b.update(func(ctx context.Context, tx flow.Tx) error {
		if err := tx.PutCase(ctx, one); err != nil {
			return err
		}
		return tx.EraseCase(ctx, id(1))
	})
	absent(b, key)
	same(b, "case, erased", read(b, get), one)
}

func caseEntries(b *bench) {
	note := casefile.Entry{Case: id(1), N: 1, Kind: casefile.Note, At: 5, Who: "anna", Sealed: []byte("note")}
	late := casefile.Entry{Case: id(1), N: 2, Kind: casefile.Task, At: 6, Who: "anna", Due: 900, Sealed: []byte("late")}
	thread := casefile.Entry{Case: id(1), N: 3, Kind: casefile.Thread, At: 7, Who: "bo", Thread: hash(7), Link: theLink()}
	undated := casefile.Entry{Case: id(1), N: 4, Kind: casefile.Task, At: 8, Who: "bo", Sealed: []byte("undated")}
	early := casefile.Entry{Case: id(2), N: 1, Kind: casefile.Task, At: 9, Who: "bo", Due: 300, Sealed: []byte("early")}
	b.update(putCase(someCase(1)))
	b.update(putCase(someCase(2)))
	for _, e := range []casefile.Entry{note, late, thread, undated, early} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutEntry(ctx, e) })
	}
	get := func(n int64) func(context.Context, flow.Tx) (casefile.Entry, error) {
		return func(ctx context.Context, tx flow.Tx) (casefile.Entry, error) { return tx.Entry(ctx, id(1), n) }
	}
	same(b, "a thread", read(b, get(3)), thread)
	same(b, "a task without a date", read(b, get(4)), undated)
	absent(b, get(5))
	list := func(before int64, limit int) []casefile.Entry {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]casefile.Entry, error) {
			return tx.CaseEntries(ctx, id(1), before, limit)
		})
	}
	same(b, "entries, newest first", list(0, 9), []casefile.Entry{undated, thread, late, note})
	same(b, "entries below a number", list(3, 1), []casefile.Entry{late})
	same(b, "threads", read(b, func(ctx context.Context, tx flow.Tx) ([]casefile.Entry, error) { return tx.Threads(ctx, id(1)) }), []casefile.Entry{thread})
	of := func(c statement.Commitment) []string {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]string, error) { return tx.CasesOf(ctx, c) })
	}
	same(b, "cases of a thread", of(hash(7)), []string{"CASE-2026-0001"})
	same(b, "cases of another", of(hash(8)), nil)
	tasks := func(f casefile.TaskFilter) []casefile.Entry {
		if f.Limit == 0 {
			f.Limit = 9
		}
		return read(b, func(ctx context.Context, tx flow.Tx) ([]casefile.Entry, error) { return tx.Tasks(ctx, f) })
	}
	same(b, "tasks", tasks(casefile.TaskFilter{}), []casefile.Entry{early, late, undated})
	same(b, "tasks until", tasks(casefile.TaskFilter{Until: 300}), []casefile.Entry{early})
	same(b, "tasks until the end of time", tasks(casefile.TaskFilter{Until: statement.MaxInteger}), []casefile.Entry{early, late})
	same(b, "tasks after one", tasks(casefile.TaskFilter{After: &early, Limit: 1}), []casefile.Entry{late})
	same(b, "tasks after the last", tasks(casefile.TaskFilter{After: &undated}), nil)
	late.Done, late.DoneBy = 950, "lan"
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutEntry(ctx, late) })
	same(b, "a task that was done", read(b, get(2)), late)
	same(b, "tasks, one done", tasks(casefile.TaskFilter{}), []casefile.Entry{early, undated})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.EraseCase(ctx, id(1)) })
	same(b, "entries, erased", list(0, 9), nil)
	same(b, "cases of a thread, erased", of(hash(7)), nil)
	b.refused(fault.NotFound, func(ctx context.Context, tx flow.Tx) error { _, err := tx.Entry(ctx, id(1), 1); return err })
}
