package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"entente/internal/bench"
	"entente/internal/fault"
	"entente/internal/node"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a node can do on this machine",
		Long: `Measure what a node can do on this machine. Each figure stands beside a floor that is measured in the same run: the ratio
says more than the figure alone. The nodes that are measured are made for it in a temporary directory (TMPDIR says where)
and removed after it; no node of yours is touched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.benchStatementsCommand())
	return cmd
}

// measure is the work of a measurement; it is given the options and a way to end the showing of progress.
func (a *app) measure(f func(ctx context.Context, o bench.Options, end func()) error) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, _ []string) error {
		program, err := os.Executable()
		if err != nil {
			return fault.Wrap(fault.Unavailable, "bench", "The program cannot find itself.", err)
		}
		o := bench.Options{Program: program}
		var mu sync.Mutex // guards what, show and end
		var show node.Progress
		what, end := "", func() {}
		o.Progress = func(w string, done, total int64) {
			mu.Lock()
			defer mu.Unlock()
			if w != what {
				end()
				what = w
				show, end = a.progress(w)
			}
			if show != nil {
				show(done, total)
			}
		}
		return f(ctx, o, func() { end() })
	})
}

func (a *app) benchStatementsCommand() *cobra.Command {
	var database string
	var count, inFlight int
	cmd := &cobra.Command{
		Use:   "statements",
		Short: "Measure how fast small statements go from one node to another",
		Long: `Start two nodes, link them, and send small messages from one to the other, until each is durable on both sides, opened,
and receipted to its author. Beside the rate stands the one that signatures alone allow: of each statement three signatures
are made and verified, and a key is sealed and opened.`,
		Example: "  entente bench statements --count 5000\n  entente bench statements --database postgres://postgres@127.0.0.1/postgres",
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if count < 1 || inFlight < 1 || inFlight > 1024 {
				return usage("Give a --count of at least 1 and --in-flight from 1 to 1024.")
			}
			if database != "sqlite" && !strings.HasPrefix(database, "postgres://") && !strings.HasPrefix(database, "postgresql://") {
				return usage("Give --database as sqlite or as the URL of a PostgreSQL server.")
			}
			return nil
		},
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			o.Database = database
			r, err := bench.MeasureStatements(ctx, o, count, inFlight)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				pair(w, "statements", fmt.Sprintf("%d in %.1f s, %d in flight, %s, %d cores", r.Count, r.Seconds, r.InFlight, r.Database, r.Machine.Cores))
				pair(w, "rate", fmt.Sprintf("%.1f/s", r.Rate))
				pair(w, "signatures", fmt.Sprintf("%.1f/s is what they alone allow; ratio %.2f", r.Signatures, r.Ratio))
				pair(w, "processor", fmt.Sprintf("%.2f ms a statement at the author, %.2f ms at the addressee, %.2f ms to call",
					1e3*r.Author, 1e3*r.Addressee, 1e3*r.Driver))
			})
		}),
	}
	cmd.Flags().StringVar(&database, "database", "sqlite", "sqlite, or the URL of a PostgreSQL server whose user may create databases")
	cmd.Flags().IntVar(&count, "count", 3000, "how many statements to send")
	cmd.Flags().IntVar(&inFlight, "in-flight", 64, "how many calls are under way at any time")
	return cmd
}
