package peer_test

import (
	"fmt"
	"os"
	"testing"
)

var tempDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tempDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
