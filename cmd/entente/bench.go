package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

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
	cmd.AddCommand(a.benchStatementsCommand(), a.benchReadyCommand(), a.benchLedgerCommand(), a.benchTransferCommand(), a.benchOvertakeCommand(), a.benchIdleCommand(), a.benchRequestsCommand())
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
				pair(w, "processor", fmt.Sprintf("%.2f ms a statement at the author, %.2f ms at the addressee, %.2f ms to call; %.2f ms for signatures alone, %.0f%%",
					1e3*r.Author, 1e3*r.Addressee, 1e3*r.Driver, 1e3*r.Least, 1e2*r.Share))
			})
		}),
	}
	cmd.Flags().StringVar(&database, "database", "sqlite", "sqlite, or the URL of a PostgreSQL server whose user may create databases")
	cmd.Flags().IntVar(&count, "count", 3000, "how many statements to send")
	cmd.Flags().IntVar(&inFlight, "in-flight", 64, "how many calls are under way at any time")
	return cmd
}

func (a *app) benchReadyCommand() *cobra.Command {
	var statements int
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Measure how soon a node with a large record is ready",
		Long: `Make a node with a large record in SQLite, start it several times, and measure the time from the start of its process until
/readyz answers 200. Beside it stands the same node's time before the record was made.`,
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error { return atLeast(1, "statements", int64(statements)) },
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			r, err := bench.MeasureReady(ctx, o, statements)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				pair(w, "record", fmt.Sprintf("%d statements, a database of %s, made in %.0f s", r.Statements, size(r.Bytes), r.Built))
				pair(w, "ready", fmt.Sprintf("%.0f ms, median of %d starts", r.Median, len(r.Starts)))
				pair(w, "empty", fmt.Sprintf("%.0f ms before the record was made", r.Empty))
			})
		}),
	}
	cmd.Flags().IntVar(&statements, "statements", 1_000_000, "how many statements the record holds")
	return cmd
}

func (a *app) benchLedgerCommand() *cobra.Command {
	var entries int
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Measure proofs from a large ledger, and appending to it",
		Long: `Make a ledger in a node's store, read proofs of entries chosen at random (leaf, inclusion proof, checkpoint), and append
durable batches to it and, by turns, to a ledger of 1,000 entries.`,
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error { return atLeast(2, "entries", int64(entries)) },
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			r, err := bench.MeasureLedger(ctx, o, entries)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				pair(w, "proof", fmt.Sprintf("p50 %.0f µs, p99 %.0f µs, of %d from %d entries", r.P50, r.P99, r.Proofs, r.Entries))
				for _, a := range []struct {
					what string
					bench.Append
				}{{"append", r.Leaves}, {"with rows", r.Rows}} {
					pair(w, a.what, fmt.Sprintf("%.0f µs for %d leaves, %.0f µs at %d entries; ratio %.2f", a.Large, r.Batch, a.Small, r.SmallAt, a.Ratio))
				}
			})
		}),
	}
	cmd.Flags().IntVar(&entries, "entries", 1_000_000, "how many entries the ledger holds")
	return cmd
}

func (a *app) benchTransferCommand() *cobra.Command {
	var bytes string
	cmd := &cobra.Command{
		Use:   "transfer",
		Short: "Measure how fast a file goes from one node to another",
		Long: `Send a file of random bytes from one node to another, until its author has the receipt that all of it is received, and on until
it is opened and stored there. Beside it stand a plain copy of the same bytes over HTTPS and one from file to file, both with fsync.`,
		Args: cobra.NoArgs,
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			n, err := node.ParseBytes(bytes)
			if err != nil {
				return usage("Give --bytes as a number; K, M and G may follow it.")
			}
			if err := atLeast(1, "bytes", n); err != nil {
				return err
			}
			r, err := bench.MeasureTransfer(ctx, o, n)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				pair(w, "delivery", fmt.Sprintf("%.1f MB/s of %s; a plain copy over HTTPS %.1f MB/s; ratio %.2f", r.Delivery, size(r.Bytes), r.Plain, r.Ratio))
				pair(w, "end to end", fmt.Sprintf("%.1f MB/s; ratio %.2f", r.EndToEnd, r.All))
				pair(w, "sealing", fmt.Sprintf("%.1f MB/s; writing the plaintext %.1f MB/s; ratio %.2f", r.Sealing, r.Writing, r.Sealed))
				pair(w, "memory", fmt.Sprintf("%s at the author, %s at the addressee, at their peaks", size(r.Author), size(r.Addressee)))
			})
		}),
	}
	cmd.Flags().StringVar(&bytes, "bytes", "256M", "how large the file is; K, M and G may follow the number")
	return cmd
}

func (a *app) benchOvertakeCommand() *cobra.Command {
	var bytes string
	cmd := &cobra.Command{
		Use:   "overtake",
		Short: "Measure how fast a call is receipted while a large file is on its way",
		Long: `Send a file of random bytes from one node to another, and hotline statements while it is on its way, each when the one before has
been receipted. What is measured goes from the call of the author's program until its node has the receipt.`,
		Args: cobra.NoArgs,
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			n, err := node.ParseBytes(bytes)
			if err != nil {
				return usage("Give --bytes as a number; K, M and G may follow it.")
			}
			if err := atLeast(1<<20, "bytes", n); err != nil {
				return err
			}
			r, err := bench.MeasureOvertake(ctx, o, n)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				pair(w, "calls", fmt.Sprintf("%d while %s were on their way; median %.0f ms, slowest %.0f ms", r.Calls, size(r.Bytes), r.Median, r.Slowest))
			})
		}),
	}
	cmd.Flags().StringVar(&bytes, "bytes", "10G", "how large the file is; K, M and G may follow the number")
	return cmd
}

func (a *app) benchIdleCommand() *cobra.Command {
	var links int
	var settle, during time.Duration
	cmd := &cobra.Command{
		Use:   "idle",
		Short: "Measure what many idle links take of processor and memory",
		Long: `Make a node with many links on which nothing is said, and measure what its process takes of one core and of memory: with
peers that cannot be reached while our ledgers wait for their cosignature, with peers that can be reached, with peers that poll
the node, and with peers that the node has to poll. Beside it stands the same for a node without links.`,
		Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if during < time.Second || settle < 0 {
				return usage("Give --for as a time of at least 1s, and --settle as one of at least 0s.")
			}
			return atLeast(1, "links", int64(links))
		},
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			r, err := bench.MeasureIdle(ctx, o, links, settle, during)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				t := newTable("PEERS", "LINKS", "OF ONE CORE", "RESIDENT", "PEAK")
				t.row("none", "0", fmt.Sprintf("%.2f%%", 1e2*r.Floor), "", "")
				for _, k := range r.Kinds {
					t.row(k.Peers, fmt.Sprint(r.Links), fmt.Sprintf("%.2f%%", 1e2*k.Share), size(k.Resident), size(k.Peak))
				}
				t.write(w)
			})
		}),
	}
	cmd.Flags().IntVar(&links, "links", 1000, "how many links the node has")
	cmd.Flags().DurationVar(&settle, "settle", time.Minute, "how long a node runs before it is measured")
	cmd.Flags().DurationVar(&during, "for", time.Minute, "how long each kind of peers is measured")
	return cmd
}

// atLeast refuses a flag below its least value.
func atLeast(least int64, flag string, n int64) error {
	if n < least {
		return usage("Give --%s as at least %d.", flag, least)
	}
	return nil
}
