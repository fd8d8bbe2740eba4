package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"entente/internal/testenv"
)

// TestBackupUnderLoad backs a node up while messages and files go both ways, and restores it into the other kind of
// database: nothing that the other side holds is lost, whether it was said before the backup or after it, and both go on.
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
		a.kill(t)

		other := ""
		if strings.Contains(t.Name(), "sqlite") {
			other = testenv.Postgres(t)
		}
		r := restore(t, a, filepath.Join(dir, "restored"), backup, other)
		r.catchesUp(t, k)
		tr.mu.Lock()
		sent := slices.Clone(tr.sent)
		tr.mu.Unlock()
		for _, s := range sent {
			until(t, "the restored node holds what was said", func(ctx context.Context) (bool, error) { return r.has(ctx, s) })
			r.holds(t, s, s.side == 0)
		}
		again := begin(t, [2]*side{r, k}, 5)
		again.flows(t, 5)
		again.end()
		again.arrived(t, again.sent)
		again.agreed(t)
		r.accusesNobody(t, k)
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

// catchesUp waits until a restored node has learnt from its peer what it forgot, in a new epoch.
func (s *side) catchesUp(t *testing.T, peer *side) {
	t.Helper()
	until(t, "the restored node has caught up", func(ctx context.Context) (bool, error) {
		l, err := s.client.Link(ctx, peer.name)
		return l.State == "active" && l.CatchingUp == nil && l.OwnEpoch > 1 && len(l.EndedEpochs) == 1, err
	})
}

// has says whether a node holds a statement with its files.
func (s *side) has(ctx context.Context, sent acknowledged) (bool, error) {
	v, err := s.client.Statement(ctx, sent.commitment.String())
	if err != nil {
		return false, err
	}
	for _, f := range v.Files {
		if f.State != "stored" {
			return false, nil
		}
	}
	return len(v.Files) == len(sent.files), nil
}

// accusesNobody looks for evidence on both sides.
func (s *side) accusesNobody(t *testing.T, peer *side) {
	t.Helper()
	for _, x := range []struct{ of, about *side }{{s, peer}, {peer, s}} {
		lies, err := x.of.client.Evidence(t.Context(), x.about.name)
		if err != nil {
			t.Fatal(err)
		}
		if len(lies) > 0 {
			t.Errorf("%s keeps as evidence: %+v", x.of.name, lies)
		}
	}
}
