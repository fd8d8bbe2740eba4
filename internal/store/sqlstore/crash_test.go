package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"entente/internal/fault"
	"entente/internal/flow"
)

// faulty is a database whose sessions fail where a test says.
type faulty struct {
	database
	fail func(step string) error
}

type faultySession struct {
	session
	fail func(step string) error
}

func (f *faulty) writer(ctx context.Context) (session, func(), error) {
	s, done, err := f.database.writer(ctx)
	return &faultySession{s, f.fail}, done, err
}

func (s *faultySession) begin(ctx context.Context) error {
	if err := s.fail("begin"); err != nil {
		return err
	}
	return s.session.begin(ctx)
}

func (s *faultySession) undo(ctx context.Context) error {
	if err := s.fail("undo"); err != nil {
		return err
	}
	return s.session.undo(ctx)
}

func (s *faultySession) commit(ctx context.Context) error {
	if err := s.fail("commit"); err != nil {
		return err
	}
	if err := s.session.commit(ctx); err != nil {
		return err
	}
	return s.fail("committed")
}

func openFaulty(t *testing.T, fail func(step string) error) (*Store, *faulty) {
	t.Helper()
	db, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{db, fail}
	s := start(f)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, f
}

func set(s *Store, key string, value []byte) error {
	return s.Update(context.Background(), flow.Normal, func(tx flow.Tx) error {
		return tx.SetMeta(context.Background(), key, value)
	})
}

func has(t *testing.T, s *Store, key string) bool {
	t.Helper()
	var v []byte
	err := s.View(context.Background(), func(tx flow.Tx) (err error) {
		v, err = tx.Meta(context.Background(), key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v != nil
}

// group submits acts that are carried out in one group, and returns their errors.
func group(s *Store, acts ...func(flow.Tx) error) []error {
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.Update(context.Background(), flow.Normal, func(flow.Tx) error {
			once.Do(func() { close(begun) })
			<-release
			return nil
		})
	})
	<-begun
	errs := make([]error, len(acts))
	for i, f := range acts {
		all.Go(func() { errs[i] = s.Update(context.Background(), flow.Normal, f) })
	}
	for waiting := 0; waiting < len(acts); {
		<-s.committer.wake
		s.committer.mu.Lock()
		waiting = len(s.committer.normal)
		s.committer.mu.Unlock()
	}
	close(release)
	all.Wait()
	return errs
}

func keep(key string) func(flow.Tx) error {
	return func(tx flow.Tx) error { return tx.SetMeta(context.Background(), key, []byte{1}) }
}

// TestCommitFails: when the commit of a group fails, every act of it fails and none is kept; then the store goes on.
func TestCommitFails(t *testing.T) {
	for _, c := range []struct {
		name, step, code string
		err              error
		kept             bool // the commit was durable, and its answer was lost
	}{
		{"the disk is full", "commit", "disk_full", diskFull(errors.New("no space")), false},
		{"the database is gone", "commit", "database", errors.New("connection reset"), false},
		{"it cannot begin", "begin", "database", errors.New("connection refused"), false},
		{"the answer is lost", "committed", "database", errors.New("connection reset"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			failing := false
			s, _ := openFaulty(t, func(step string) error {
				if failing && step == c.step {
					return c.err
				}
				return nil
			})
			if err := set(s, "before", []byte{1}); err != nil {
				t.Fatal(err)
			}
			// The act that holds the committer succeeds or fails like the others; it turns the fault on.
			errs := group(s, func(tx flow.Tx) error { failing = c.step != "begin"; return keep("0")(tx) }, keep("1"), keep("2"))
			if c.step == "begin" {
				failing = true
				errs = []error{set(s, "3", []byte{1})}
			}
			for i, err := range errs {
				if fault.KindOf(err) != fault.Unavailable || fault.CodeOf(err) != c.code {
					t.Errorf("act %d: %v, want a fault of kind %s, code %s", i, err, fault.Unavailable, c.code)
				}
			}
			failing = false
			if c.step != "begin" {
				for i := range 3 {
					if has(t, s, fmt.Sprint(i)) != c.kept {
						t.Errorf("act %d: kept %v, want %v", i, !c.kept, c.kept)
					}
				}
			}
			if !has(t, s, "before") {
				t.Error("an earlier act was lost")
			}
			if err := set(s, "after", []byte{1}); err != nil || !has(t, s, "after") {
				t.Errorf("an act afterwards: %v", err)
			}
		})
	}
}

// TestSerializationIsRetried: the whole group runs again, and each act has one effect.
func TestSerializationIsRetried(t *testing.T) {
	left := 3
	s, _ := openFaulty(t, func(step string) error {
		if step == "commit" && left > 0 {
			left--
			return fmt.Errorf("committing: %w", errSerialization)
		}
		return nil
	})
	runs := 0
	if err := s.Update(t.Context(), flow.Normal, func(tx flow.Tx) error { runs++; return keep("k")(tx) }); err != nil {
		t.Fatal(err)
	}
	if runs != 4 || !has(t, s, "k") {
		t.Errorf("%d runs, kept %v; want 4 and true", runs, has(t, s, "k"))
	}
	left = 1000
	if err := set(s, "l", []byte{1}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without end: %v, want a fault of kind %s", err, fault.Unavailable)
	}
}

// TestTransactionLost: an act that takes the transaction with it fails alone; the others of its group are run again.
func TestTransactionLost(t *testing.T) {
	failed := errors.New("this act fails")
	broken := false
	s, _ := openFaulty(t, func(step string) error {
		if step == "undo" && !broken {
			broken = true
			return errors.New("no such savepoint")
		}
		return nil
	})
	errs := group(s, keep("0"), func(flow.Tx) error { return failed }, keep("2"))
	for i, err := range errs {
		if want := i == 1; errors.Is(err, failed) != want || (err != nil) != want || has(t, s, fmt.Sprint(i)) == want {
			t.Errorf("act %d: %v", i, err)
		}
	}
	if !broken {
		t.Error("the transaction was not lost: the test shows nothing")
	}
}

// TestDiskFull: a database that may not grow refuses what does not fit, keeps what was there, and takes more once
// it has room.
func TestDiskFull(t *testing.T) {
	s, f := openFaulty(t, func(string) error { return nil })
	limit := func(pages int) {
		t.Helper()
		err := s.Update(t.Context(), flow.Normal, func(flow.Tx) error {
			r, err := f.database.(*sqliteDB).w.query(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			if err != nil {
				return err
			}
			defer r.Close()
			for r.Next() {
			}
			return r.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := set(s, "before", bytes.Repeat([]byte{1}, 10_000)); err != nil {
		t.Fatal(err)
	}
	limit(1) // the pragma takes the present size instead
	large := bytes.Repeat([]byte{2}, 1<<20)
	full := func(err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Unavailable || fault.CodeOf(err) != "disk_full" {
			t.Errorf("Update: %v, want a fault of kind %s, code disk_full", err, fault.Unavailable)
		}
	}
	full(set(s, "large", large))
	errs := group(s, keep("small"), func(tx flow.Tx) error { return tx.SetMeta(t.Context(), "large", large) }, keep("small too"))
	full(errs[1])
	for i, key := range map[int]string{0: "small", 2: "small too"} {
		if errs[i] != nil || !has(t, s, key) {
			t.Errorf("an act beside the one that did not fit: %v", errs[i])
		}
	}
	if !has(t, s, "before") || has(t, s, "large") {
		t.Error("the full disk lost an earlier act or kept a failed one")
	}
	limit(1 << 20)
	if err := set(s, "large", large); err != nil || !has(t, s, "large") {
		t.Errorf("with room: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestGoexit: a closure that ends the committer's goroutine leaves nobody waiting.
func TestGoexit(t *testing.T) {
	db, err := openSQLite(t.Context(), filepath.Join(t.TempDir(), "entente.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s := start(db)
	t.Run("inside", func(t *testing.T) {
		err := s.Update(t.Context(), flow.Normal, func(flow.Tx) error {
			runtime.Goexit()
			return nil
		})
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Update: %v, want a fault of kind %s", err, fault.Unavailable)
		}
	})
	if err := set(s, "k", []byte{1}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Update afterwards: %v, want a fault of kind %s", err, fault.Unavailable)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
