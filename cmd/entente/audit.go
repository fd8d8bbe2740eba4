package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) auditCommand() *cobra.Command {
	var limit int
	var before string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what this party's own people and programs did, newest first",
		Long: `List what this party's own people and programs did, newest first. This log is local: it never crosses to another party. It is a
tree whose heads the node signs, so whoever keeps the checkpoint of an export sees it when something before it was changed or left out.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Audit(ctx, before, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "Nothing was done yet.")
					return
				}
				t := newTable("NUMBER", "WHEN", "WHO", "WHAT", "TO WHAT")
				for _, e := range list.Items {
					t.row(fmt.Sprint(e.Number), instant(e.At), line(e.Who), line(e.Act), line(e.Object))
				}
				t.write(w)
				more(w, "--before", list.Next)
			})
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	cmd.Flags().StringVar(&before, "before", "", "only those below this number")
	cmd.AddCommand(a.exportAuditCommand(), a.verifyAuditCommand())
	return cmd
}

func (a *app) exportAuditCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export FILE",
		Short:   "Write the whole log with its signed head to a file",
		Example: "  entente audit export audit-2026.ndjson",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if err := a.save(args[0], func(w io.Writer) error { return c.ExportAudit(ctx, w) }); err != nil {
				return err
			}
			return a.print(map[string]string{"file": args[0]}, func(w io.Writer) {
				fmt.Fprintf(w, "Written to %s; check it with: entente audit verify %s\n", line(args[0]), line(args[0]))
			})
		}),
	}
}

// verifiedAudit is what an exported log shows, as --json writes it.
type verifiedAudit struct {
	OK      bool   `json:"ok"`
	Party   string `json:"party"`
	Entries int64  `json:"entries"`
	First   string `json:"first"`
	Last    string `json:"last"`
	Root    string `json:"root"`
}

func (a *app) verifyAuditCommand() *cobra.Command {
	var since, keep string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify an exported log, without a node",
		Long: `Verify an exported log, without a node: that no line is missing, moved or changed up to the head that the party signed. --keep writes
that head to a file. Kept where the operator cannot reach it, and given with --since at the next export, it shows that nothing before it
was rewritten meanwhile.`,
		Example: "  entente audit verify audit-2026.ndjson --since march.checkpoint --keep april.checkpoint",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			var before []byte
			if since != "" {
				var err error
				if before, err = a.read(since, 64<<10); err != nil {
					return err
				}
			}
			f, err := os.Open(args[0])
			if err != nil {
				return reading(args[0], err)
			}
			defer f.Close()
			found, err := node.VerifyAudit(f, before)
			if err != nil {
				return err
			}
			if keep != "" {
				if err := a.save(keep, func(w io.Writer) error { _, err := w.Write(found.Checkpoint); return err }); err != nil {
					return err
				}
			}
			return a.print(verifiedAudit{OK: true, Party: found.Party.String(), Entries: found.Entries, First: micros(found.First), Last: micros(found.Last), Root: found.Root.String()},
				func(w io.Writer) {
					pair(w, "Party", found.Party.String())
					pair(w, "Lines", fmt.Sprint(found.Entries))
					pair(w, "From", micros(found.First))
					pair(w, "To", micros(found.Last))
					fmt.Fprintln(w, "\nThe log holds: every line stands as it was signed.")
				})
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "a checkpoint that was kept of an earlier export; the log must continue it")
	cmd.Flags().StringVar(&keep, "keep", "", "write the signed head to this file")
	return cmd
}
