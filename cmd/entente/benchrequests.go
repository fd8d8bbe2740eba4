package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/bench"
)

func (a *app) benchRequestsCommand() *cobra.Command {
	var database string
	var requests, words, long int
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "Measure a node with many requests for assistance",
		Long: `Make a record of many requests, spread over a year, and fold it; then measure, through the socket of the node, what needs an answer
now, one request with its timeline, a word more in a short and in a long thread, and the status report of the year; and what needs
an answer now again, while up to 300 messages a second go out to another node.`,
		Example: "  entente bench requests --requests 20000\n  entente bench requests --requests 200000 --database postgres://postgres@127.0.0.1/postgres",
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if database != "sqlite" && !strings.HasPrefix(database, "postgres://") && !strings.HasPrefix(database, "postgresql://") {
				return usage("Give --database as sqlite or as the URL of a PostgreSQL server.")
			}
			if words < 3 || long < 3 {
				return usage("Give --words and --long as at least 3.")
			}
			return atLeast(10, "requests", int64(requests))
		},
		RunE: a.measure(func(ctx context.Context, o bench.Options, end func()) error {
			o.Database = database
			r, err := bench.MeasureRequests(ctx, o, requests, words, long)
			end()
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				spread := func(name string, s bench.Spread, more string) {
					pair(w, name, fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, of %d%s", s.P50, s.P99, s.Count, more))
				}
				pair(w, "record", fmt.Sprintf("%d requests, %d statements, %s, made in %.0f s", r.Requests, r.Statements, r.Database, r.Built))
				pair(w, "rebuild", fmt.Sprintf("%.0f statements/s, %s at its peak", r.Rebuild, size(r.Memory)))
				spread("due", r.Due, "")
				spread("due, loaded", r.DueLoaded, fmt.Sprintf(", while %.0f statements/s were sent", r.Load))
				spread("show", r.Show, "")
				spread("append", r.Short, ", in a thread of ten")
				spread("", r.Long, fmt.Sprintf(", in a thread of %d", r.LongWords))
				pair(w, "report", fmt.Sprintf("%.2f s for the year", r.Report))
			})
		}),
	}
	cmd.Flags().StringVar(&database, "database", "sqlite", "sqlite, or the URL of a PostgreSQL server whose user may create databases")
	cmd.Flags().IntVar(&requests, "requests", 20_000, "how many requests the record holds")
	cmd.Flags().IntVar(&words, "words", 10, "how many statements each has")
	cmd.Flags().IntVar(&long, "long", 10_000, "how many statements one more has")
	return cmd
}
