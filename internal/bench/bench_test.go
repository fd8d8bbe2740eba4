package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"testing"
	"time"

	"entente/internal/bench"
	"entente/internal/node"
)

// TestMain lets the test binary be the program that the measurements start: "serve --data DIR" runs a node.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" && os.Args[2] == "--data" {
		if err := serve(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func serve(data string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg, err := node.LoadConfig(data, nil, os.LookupEnv)
	if err != nil {
		return err
	}
	return node.Run(ctx, cfg, func() (string, error) { return "", errors.New("no passphrase here") })
}

func options(t *testing.T) bench.Options {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: with the test's name in it, the path of a node's socket is too long on some systems.
	dir, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("the measurement left %v behind, %v", left, err)
		}
		os.RemoveAll(dir)
	})
	return bench.Options{Program: program, Dir: dir, Database: "sqlite"}
}

func TestStatements(t *testing.T) {
	r, err := bench.MeasureStatements(t.Context(), options(t), 30, 8)
	if err != nil {
		t.Fatal(err)
	}
	if r.Count != 30 || r.Rate <= 0 || r.Signatures <= 0 || r.Ratio <= 0 || r.Ratio != r.Rate/r.Signatures {
		t.Errorf("figures do not fit each other: %+v", r)
	}
}

func TestReady(t *testing.T) {
	o := options(t)
	r, err := bench.MeasureReady(t.Context(), o, 2500) // more than one act of the synthesis
	if err != nil {
		t.Fatal(err)
	}
	if r.Statements != 2500 || r.Median <= 0 || r.Empty <= 0 || r.Bytes < 2500*1000 {
		t.Errorf("figures do not fit a record of 2500 statements: %+v", r)
	}
}

func TestLedger(t *testing.T) {
	r, err := bench.MeasureLedger(t.Context(), options(t), 2000)
	if err != nil {
		t.Fatal(err)
	}
	if r.P50 <= 0 || r.P99 < r.P50 || r.Leaves.Small <= 0 || r.Rows.Large <= 0 {
		t.Errorf("figures do not fit each other: %+v", r)
	}
}

func TestTransfer(t *testing.T) {
	r, err := bench.MeasureTransfer(t.Context(), options(t), 3<<20+1)
	if err != nil {
		t.Fatal(err)
	}
	if r.EndToEnd <= 0 || r.Plain <= 0 || r.Sealing < r.EndToEnd || r.Writing <= 0 {
		t.Errorf("figures do not fit each other: %+v", r)
	}
}

func TestIdle(t *testing.T) {
	r, err := bench.MeasureIdle(t.Context(), options(t), 3, time.Second, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kinds) != len(bench.IdlePeers()) || r.Links != 3 {
		t.Errorf("it measured %+v", r)
	}
	for _, k := range r.Kinds {
		if k.Resident <= 0 || k.Peak < k.Resident {
			t.Errorf("figures do not fit each other: %+v", k)
		}
	}
}

// A node that does not start is told of with the end of its log, and nothing is left behind.
func TestProgramThatFails(t *testing.T) {
	o := options(t)
	o.Program = "/bin/false"
	if _, err := bench.MeasureReady(t.Context(), o, 1); err == nil {
		t.Error("a program that ends at once was measured")
	}
}

func TestRequests(t *testing.T) {
	r, err := bench.MeasureRequests(t.Context(), options(t), 30, 10, 40)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 31 || r.Statements != 30*10+40 || r.Rebuild <= 0 || r.Due.Count == 0 || r.DueLoaded.P99 < r.DueLoaded.P50 || r.Show.P50 <= 0 ||
		r.Long.Count != r.Short.Count || r.Report <= 0 || r.Load <= 0 {
		t.Errorf("%+v", r)
	}
}
