package main

import (
	"os"
	"strings"
	"testing"

	"entente/internal/testenv"
)

// TestOneProcessPerDatabase: a copy of a data directory cannot open the PostgreSQL database that its original has open, and
// is told why; when the original is killed, which lets go of nothing by itself, the copy can.
func TestOneProcessPerDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := foundSide(t, dir, "arvenia", "database="+testenv.Postgres(t))
	if err := os.CopyFS(first.data+"2", os.DirFS(first.data)); err != nil {
		t.Fatal(err)
	}
	second := newSide(t, "arvenia", first.data+"2")
	first.start(t)
	status, out := run(t, "serve", "--data", second.data)
	if status != statusRefused || !strings.Contains(out, "Another process has this database open, from ") || !strings.Contains(out, "stop that one first") {
		t.Errorf("the copy: status %d\n%s", status, out)
	}
	if status, out := run(t, "rebuild", "--data", second.data); status != statusRefused {
		t.Errorf("a command beside it: status %d\n%s", status, out)
	}
	first.kill(t)
	second.start(t)
	if status, out = run(t, "serve", "--data", first.data); status != statusRefused {
		t.Errorf("the original, now: status %d\n%s", status, out)
	}
	second.stop(t)
	first.start(t) // at once: what an orderly end leaves is nothing
	first.stop(t)
}
