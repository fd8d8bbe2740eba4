package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"entente/internal/fault"
	"entente/internal/testenv"
)

// failed counts sends that failed with a code.
func (tr *traffic) failed(code string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.refused[code]
}

// acknowledgements counts sends of a side that were answered with success.
func (tr *traffic) acknowledgements(side int) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	n := 0
	for _, a := range tr.sent {
		if a.side == side {
			n++
		}
	}
	return n
}

// flows waits until both sides have been answered with success so many more times.
func (tr *traffic) flows(t *testing.T, more int) {
	t.Helper()
	for i, s := range tr.sides {
		want := tr.acknowledgements(i) + more
		until(t, s.name+" sends", func(context.Context) (bool, error) { return tr.acknowledgements(i) >= want, nil })
	}
}

// A node without room beyond its reserve says so to whoever sends a file, takes none from its peer, and still takes and
// sends what needs no room. Once there is room, all goes on.
func TestDiskReserve(t *testing.T) {
	t.Parallel()
	sides := linked(t, t.TempDir(), func() []string { return nil })
	kestria := sides[1]
	tr := begin(t, sides, 1)
	tr.flows(t, 5)
	kestria.stop(t)
	kestria.start(t, "--disk-reserve", "1000000000G")
	until(t, "a send fails for want of room", func(context.Context) (bool, error) { return tr.failed("disk_full") > 5, nil })
	tr.flows(t, 20)
	last := tr.newest(t, 0, false)
	until(t, "a message without a file arrives at a full node", func(ctx context.Context) (bool, error) {
		v, err := kestria.client.Statement(ctx, last.commitment.String())
		return v.State == "opened", err
	})
	until(t, "its author has the receipt", func(ctx context.Context) (bool, error) {
		v, err := sides[0].client.Statement(ctx, last.commitment.String())
		return v.State == "opened", err
	})
	checks, err := kestria.client.Doctor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Name == "disk" && (c.OK || !strings.Contains(c.Detail, "disk is full")) {
			t.Errorf("doctor says of the disk: ok %t, %s", c.OK, c.Detail)
		}
	}
	kestria.stop(t)
	kestria.start(t)
	tr.healed(t)
	tr.rebuilt(t)
}

// newest is the last statement that a side was answered for, with files or without.
func (tr *traffic) newest(t *testing.T, side int, files bool) acknowledged {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := len(tr.sent) - 1; i >= 0; i-- {
		if a := tr.sent[i]; a.side == side && (len(a.files) > 0) == files && len(a.text) < 10<<10 {
			return a
		}
	}
	t.Fatal("there is no such statement")
	return acknowledged{}
}

// A disk that is really full stops database and files alike. Nothing that was acknowledged is lost, and the node needs no
// restart once there is room.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "kestria")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", data).CombinedOutput(); err != nil {
		t.Logf("NOT RUN: this user cannot mount a small file system: %v, %s", err, out)
		return
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", data).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v, %s", err, out)
		}
	})
	sides := linked(t, dir, func() []string { return nil })
	tr := begin(t, sides, 2)
	until(t, "a send fails for want of room", func(context.Context) (bool, error) { return tr.failed("disk_full") > 20, nil })
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,size=4G", data).CombinedOutput(); err != nil {
		t.Fatalf("giving room: %v, %s", err, out)
	}
	tr.flows(t, 5)
	tr.healed(t)
	tr.rebuilt(t)
}

// A node whose PostgreSQL server ends all its sessions, again and again, says so and goes on by itself.
func TestDatabaseSessionsEnd(t *testing.T) {
	t.Parallel()
	var databases []string
	sides := linked(t, t.TempDir(), func() []string {
		databases = append(databases, testenv.Postgres(t))
		return []string{"database=" + databases[len(databases)-1]}
	})
	tr := begin(t, sides, 3)
	for n := range 10 {
		tr.flows(t, 2)
		endSessions(t, databases[n%2])
	}
	tr.flows(t, 2)
	tr.healed(t)
	for _, s := range sides {
		if s.started != 1 {
			t.Errorf("%s was started %d times", s.name, s.started)
		}
	}
	tr.rebuilt(t)
}

// endSessions ends every session of a database but our own.
func endSessions(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
}

// One process at a time has a data directory: another is refused before it touches anything.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	s := foundSide(t, t.TempDir(), "arvenia")
	s.start(t)
	for _, name := range []string{"serve", "rebuild"} {
		status, out := run(t, name, "--data", s.data)
		if status != statusRefused || !strings.Contains(out, "Another process has this data directory open") {
			t.Errorf("%s beside a running node: status %d, %s", name, status, out)
		}
	}
	if err := s.client.Ready(t.Context()); err != nil {
		t.Errorf("the node that ran first: %v", err)
	}
	s.kill(t)
	s.start(t) // a lock that a killed process held holds nobody up
	s.stop(t)
	if _, err := s.client.Self(t.Context()); fault.CodeOf(err) != "node_away" {
		t.Errorf("a stopped node: %v", err)
	}
}
