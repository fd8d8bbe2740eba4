package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"entente/internal/demo"
	"entente/internal/fault"
)

func (a *app) demoCommand() *cobra.Command {
	var once bool
	var input, database string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a whole exchange between two parties on this machine",
		Long: `Start two real nodes on loopback ports, those of Arvenia and Kestria, and play a whole exchange between them: pairing, desks, a
message with a file, an answer, requests for assistance that are granted, refused and withdrawn, cosigned ledgers, equal
records, equal status reports, a proof that is verified offline. Then the nodes stay for
you to drive them, until you interrupt the command; with --once they are stopped. Everything that was made is removed.`,
		Example: "  entente demo\n  entente demo --once --json --input report.pdf",
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fault.Wrap(fault.Unavailable, "demo", "The program cannot find itself.", err)
			}
			if input != "" {
				if _, err := os.Stat(input); err != nil {
					return reading(input, err)
				}
			}
			o := demo.Options{Program: program, Input: input, Database: database, Stay: !once, Tell: a.stderr, Now: a.now}
			if !a.json {
				o.Show = a.showStep
				o.Tell = a.stdout
			}
			result, err := demo.Play(ctx, o)
			if a.json {
				if e := a.print(result, nil); e != nil {
					return errors.Join(err, e)
				}
			} else if err == nil {
				f, played := result.Figures, time.Duration(0)
				for _, s := range result.Steps {
					played += time.Duration(s.MS) * time.Millisecond
				}
				fmt.Fprintf(a.stdout, "\n%d statements, %d leaves in two ledgers, %s sent and opened in %d ms; all steps in %s.\n",
					f.Statements, f.Leaves, size(f.FileBytes), f.OpenedMS, played.Round(10*time.Millisecond))
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&once, "once", false, "stop after the last step")
	cmd.Flags().StringVar(&database, "database", "", "keep both records on this PostgreSQL server, whose user may create databases")
	cmd.Flags().StringVar(&input, "input", "", "send this file instead of the sample")
	return cmd
}

func (a *app) showStep(s demo.Step) {
	fmt.Fprintf(a.stdout, "%-4s %6d ms  %s\n", map[bool]string{true: "ok", false: "FAIL"}[s.OK], s.MS, line(s.Name))
}
