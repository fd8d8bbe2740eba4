package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"entente/internal/node"
)

// TestScripts runs testdata/*.txtar through the real main. Beside the usual commands of testscript there are:
//
//	ready DIR                    waits until the node of a data directory is ready
//	eventually REGEXP CMD ARG…   runs a command again and again until it succeeds and its output matches
//	pick VAR REGEXP              sets a variable to the first group of a match in the last output
//	status WANT CMD ARG…         runs a command that must end with this exit status
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": scriptReady, "eventually": scriptEventually, "pick": scriptPick, "status": scriptStatus,
		},
	})
}

// setUpScript puts this very program on the script's path as entente, and finds two free ports.
func setUpScript(e *testscript.Env) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bin := filepath.Join(e.WorkDir, ".bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(self, filepath.Join(bin, "entente"))); err != nil {
		return err
	}
	e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
	e.Setenv("HOME", e.WorkDir)
	e.Setenv(asEntente, "1")
	for _, name := range []string{"PORT_A", "PORT_B"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		e.Setenv(name, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	}
	return nil
}

const (
	scriptPatience = 30 * time.Second
	scriptEvery    = 50 * time.Millisecond
)

// scriptPoll asks until it holds.
func scriptPoll(ts *testscript.TestScript, what string, holds func(context.Context) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	ticker := time.NewTicker(scriptEvery)
	defer ticker.Stop()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			ts.Fatalf("%s: not within %s", what, scriptPatience)
		case <-ticker.C:
		}
	}
}

func scriptReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	c := node.Dial(ts.MkAbs(args[0]))
	defer c.Close()
	scriptPoll(ts, "ready "+args[0], func(ctx context.Context) bool { return c.Ready(ctx) == nil })
}

func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP CMD ARG…")
	}
	want := regexp.MustCompile(args[0])
	scriptPoll(ts, strings.Join(args, " "), func(context.Context) bool {
		return ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout"))
	})
}

func scriptPick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pick VAR REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match of %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status WANT CMD ARG…")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = fmt.Sprint(exit.ExitCode())
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
