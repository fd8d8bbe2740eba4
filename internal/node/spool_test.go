package node

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"entente/internal/fault"
)

func TestSpoolHidesWhatItKeeps(t *testing.T) {
	dir := t.TempDir()
	s := &spool{dir: dir, reserve: func(int64) error { return nil }}
	canary := strings.Repeat("CANARY of a secret file. ", 1000)
	kept, err := s.take(strings.NewReader(canary))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != len(canary) || bytes.Contains(data, []byte("CANARY")) {
		t.Error("the file on the disk can be read")
	}
	for range 2 {
		r, err := kept.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != canary {
			t.Fatalf("%d bytes came back, %v", len(got), err)
		}
		r.Close()
	}
	if err := kept.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(files[0]); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file is still there")
	}
}

func TestSpoolFailures(t *testing.T) {
	full := fault.New(fault.Unavailable, "disk_full", "Full.")
	for _, c := range []struct {
		name    string
		r       io.Reader
		reserve func(int64) error
		code    string
	}{
		{"a full disk", strings.NewReader("x"), func(int64) error { return full }, "disk_full"},
		{"a reader that fails", iotest.ErrReader(fault.New(fault.Invalid, "body", "Broken off.")), func(int64) error { return nil }, "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			kept, err := (&spool{dir: dir, reserve: c.reserve}).take(c.r)
			if fault.CodeOf(err) != c.code {
				t.Errorf("error %v", err)
			}
			if kept == nil {
				t.Fatal("nothing was given back to remove")
			}
			if err := kept.Remove(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%d files are left", len(left))
			}
		})
	}
}
