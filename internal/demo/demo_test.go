package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"entente/internal/fault"
)

func TestUntil(t *testing.T) {
	away := fault.New(fault.Unavailable, "away", "Away.")
	broken := fault.New(fault.Internal, "broken", "Broken.")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		calls := 0
		err := until(ctx, func() (bool, error) { calls++; return calls == 5, nil })
		if err != nil || calls != 5 {
			t.Errorf("%d calls, %v", calls, err)
		}
		calls = 0
		err = until(ctx, func() (bool, error) {
			if calls++; calls < 3 {
				return false, away
			}
			return true, nil
		})
		if err != nil || calls != 3 {
			t.Errorf("a fault that passes: %d calls, %v", calls, err)
		}
		calls = 0
		if err := until(ctx, func() (bool, error) { calls++; return false, broken }); !errors.Is(err, broken) || calls != 1 {
			t.Errorf("a fault that stays: %d calls, %v", calls, err)
		}
		if err := until(ctx, func() (bool, error) { return false, away }); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, away) {
			t.Errorf("for ever away: %v", err)
		}
	})
}

// TestANodeThatEndsIsNoticed plays with a program that is no node: the demonstration fails at its start, says so and removes
// what it made.
func TestANodeThatEndsIsNoticed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	program := filepath.Join(dir, "none")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho no node here >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	result, err := Play(t.Context(), Options{Program: program, Now: time.Now})
	if err == nil || !strings.Contains(err.Error(), "no node here") || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("error %v", err)
	}
	if result.OK || len(result.Steps) != 2 || result.Steps[1].OK || result.Steps[1].Error == "" {
		t.Errorf("result %+v", result)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestSettingsStayOutside(t *testing.T) {
	got := withoutSettings([]string{"PATH=/bin", "ENTENTE_LISTEN=:1", "ENTENTE_DATABASE=postgres://x", "ENTENTE_OTHER=1"})
	if !slices.Equal(got, []string{"PATH=/bin", "ENTENTE_OTHER=1"}) {
		t.Errorf("%q", got)
	}
}
