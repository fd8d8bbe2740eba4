package main

import (
	"context"
	"entente/statement"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/internal/node"
)

// asEntente makes the test binary be the command itself: the processes of these tests are real ones, killed as such,
// and need no build of their own.
const asEntente = "ENTENTE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asEntente) == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

const (
	lookEvery = 25 * time.Millisecond
	patience  = 90 * time.Second // for anything that must come to pass
	lastOfLog = 4000             // bytes of a node's log that a failure shows
)

// command prepares a process of this very program, without settings from the environment.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ENTENTE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asEntente+"=1")
	return cmd
}

// run runs a command to its end and returns its exit status and all that it wrote.
func run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	return runIn(t, nil, args...)
}

// runIn is run with more in the environment.
func runIn(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cmd := command(ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatalf("running entente %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return 0, string(out)
}

// side is one party: its data directory, its node's process, and a client for it.
type side struct {
	name    string
	data    string
	log     string
	client  *node.Client
	process *exec.Cmd
	started int
}

func newSide(t *testing.T, name, data string) *side {
	s := &side{name: name, data: data, log: data + ".log", client: node.Dial(data)}
	t.Cleanup(s.client.Close)
	return s
}

// foundSide makes a node with a key file, that listens on a port of this machine.
func foundSide(t *testing.T, dir, name string, settings ...string) *side {
	t.Helper()
	s := newSide(t, name, filepath.Join(dir, name))
	port := freePort(t)
	args := []string{"init", "--data", s.data, "--name", "en=" + name, "--authority", "Contact point of " + name,
		"--key-file", s.data + ".key", "--recovery", s.data + ".recovery"}
	for _, v := range append([]string{
		fmt.Sprintf("listen=127.0.0.1:%d", port), fmt.Sprintf("endpoint=https://%s.localhost:%d", name, port),
		"checkpoint=1s", "disk_reserve=0",
	}, settings...) {
		args = append(args, "--set", v)
	}
	if status, out := run(t, args...); status != 0 {
		t.Fatalf("creating the node of %s: status %d\n%s", name, status, out)
	}
	return s
}

// freePort finds a port that nothing uses. It is not one that the system gives to outgoing connections, so that none of
// these can take it while a killed node is away.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port of this machine is free")
	return 0
}

// launch starts the node's process and does not wait for it to be ready.
func (s *side) launch(t *testing.T, flags ...string) {
	t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.started++
	fmt.Fprintf(log, "--- start %d\n", s.started)
	s.process = command(context.Background(), append([]string{"serve", "--data", s.data}, flags...)...)
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		t.Fatalf("starting the node of %s: %v", s.name, err)
	}
	running := s.process
	t.Cleanup(func() { // a test that fails leaves no process behind
		if running.ProcessState == nil {
			running.Process.Kill()
			running.Wait()
		}
	})
}

// start starts the node and waits until it is ready.
func (s *side) start(t *testing.T, flags ...string) {
	t.Helper()
	s.launch(t, flags...)
	s.awaitReady(t)
}

func (s *side) awaitReady(t *testing.T) {
	t.Helper()
	until(t, "the node of "+s.name+" is ready", func(ctx context.Context) (bool, error) {
		err := s.client.Ready(ctx)
		return err == nil, err
	})
}

// kill ends the process as a power cut ends it: it hears of nothing.
func (s *side) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Fatalf("killing the node of %s: %v\n%s", s.name, err, s.tail())
	}
	err := s.process.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("the node of %s ended by itself before it was killed: %v\n%s", s.name, err, s.tail())
	}
}

// stop ends the process in order.
func (s *side) stop(t *testing.T) {
	t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stopping the node of %s: %v\n%s", s.name, err, s.tail())
	}
	if err := s.process.Wait(); err != nil {
		t.Fatalf("the node of %s did not end in order: %v\n%s", s.name, err, s.tail())
	}
}

// tail is the end of the node's log.
func (s *side) tail() string {
	data, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return fmt.Sprintf("log of %s: …%s", s.name, data[max(0, len(data)-lastOfLog):])
}

// until looks again and again until something holds. Faults for which waiting may help are waited out.
func until(t *testing.T, what string, holds func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last error
	for {
		ok, err := holds(ctx)
		if ok && err == nil {
			return
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		switch kind := fault.KindOf(err); {
		case err == nil, kind == fault.Unavailable, kind == fault.NotFound, kind == fault.Conflict, kind == fault.Exhausted:
		case ctx.Err() == nil:
			t.Fatalf("waiting until %s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("it did not come to pass in time that %s; last: %v", what, last)
		case <-ticker.C:
		}
	}
}

// linked founds Arvenia and Kestria, starts both and makes an active link between them.
func linked(t *testing.T, dir string, settings func() []string) [2]*side {
	t.Helper()
	sides := [2]*side{}
	for i, name := range []string{"arvenia", "kestria"} {
		sides[i] = foundSide(t, dir, name, settings()...)
		sides[i].start(t)
	}
	a, k := sides[0], sides[1]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	inv, err := a.client.Invite(ctx, k.name, 3600, statement.DefaultAgreement())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := inv.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.client.Accept(ctx, a.name, encoded); err != nil {
		t.Fatal(err)
	}
	for i, s := range sides {
		how := node.Confirmation{Method: "in_person", Person: "Duty officer", Function: "contact point"}
		if _, err := s.client.Confirm(ctx, sides[1-i].name, how); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range sides {
		until(t, "the link of "+s.name+" is active", func(ctx context.Context) (bool, error) {
			l, err := s.client.Link(ctx, sides[1-i].name)
			return l.State == "active", err
		})
	}
	return sides
}
