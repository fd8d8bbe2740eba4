package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entente/internal/flow"
	"entente/internal/testenv"
)

// TestBackupUnderLoad backs a node up while messages and files go both ways, and restores it into the other kind of
// database. What had come through before the backup is all there, and both sides fold it alike.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, settings func() []string) {
		dir := t.TempDir()
		sides := linked(t, dir, settings)
		a, k := sides[0], sides[1]
		tr := begin(t, sides, 4)
		tr.flows(t, 10)
		tr.mu.Lock()
		before := slices.Clone(tr.sent)
		tr.mu.Unlock()
		tr.arrived(t, before)
		backup := filepath.Join(dir, "backup")
		if status, out := run(t, "backup", "--data", a.data, backup); status != 0 {
			t.Fatalf("backing up: status %d\n%s", status, out)
		}
		tr.flows(t, 5)
		tr.healed(t)
		a.stop(t)

		other := ""
		if strings.Contains(t.Name(), "sqlite") {
			other = testenv.Postgres(t)
		}
		r := restore(t, a, filepath.Join(dir, "restored"), backup, other)
		for _, sent := range before {
			r.holds(t, sent, sent.side == 0)
		}
		r.agreesWith(t, k, a.name)
		r.stop(t)
		if status, out := runIn(t, []string{"ENTENTE_DATABASE=" + other}, "rebuild", "--data", r.data); status != 0 {
			t.Errorf("rebuilding what was restored: status %d\n%s", status, out)
		}
	})
}

// restore makes a node from a backup, with its rows in another database, and starts it.
func restore(t *testing.T, from *side, data, backup, database string) *side {
	t.Helper()
	if status, out := runIn(t, []string{"ENTENTE_DATABASE=" + database}, "restore", "--data", data, backup); status != 0 {
		t.Fatalf("restoring: status %d\n%s", status, out)
	}
	r := newSide(t, from.name, data)
	r.start(t, "--database", database)
	return r
}

// agreesWith compares a restored node with its peer, at the newest cut that it knows.
func (s *side) agreesWith(t *testing.T, peer *side, name string) {
	t.Helper()
	ctx := t.Context()
	cut, err := s.client.Cut(ctx, peer.name)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.client.Fold(ctx, peer.name, cut)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := peer.client.Fold(ctx, name, cut)
	if err != nil {
		t.Fatal(err)
	}
	if ours.Hash != theirs.Hash || ours.Columns != theirs.Columns || ours.Columns == 0 {
		t.Errorf("at the cut of the backup, the restored node folds %d statements to %s, its peer %d to %s", ours.Columns, ours.Hash, theirs.Columns, theirs.Hash)
	}
	v, err := s.client.Verify(ctx, peer.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !v.OK {
		t.Errorf("the restored node verifies the ledgers: %+v", v)
	}
	l, err := s.client.Link(ctx, peer.name)
	if err != nil {
		t.Fatal(err)
	}
	if l.State != flow.LinkRestored {
		t.Errorf("on the restored node the link is %s", l.State)
	}
	lies, err := peer.client.Evidence(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if len(lies) > 0 {
		t.Errorf("the peer keeps as evidence: %+v", lies)
	}
}
