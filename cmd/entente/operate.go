package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"entente/internal/fault"
	"entente/internal/node"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup DIRECTORY",
		Short: "Write a backup of the running node",
		Long: `Write a backup of the running node to a new directory on its machine: the database, the sealed files, the keyring under its
lock and the settings. It does not hold the passphrase or the key file, without which it cannot be used.`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			to, err := filepath.Abs(args[0])
			if err != nil {
				return fault.Wrap(fault.Invalid, "path", "The directory cannot be named so.", err)
			}
			show, end := a.progress("backing up")
			b, err := c.Backup(ctx, to, show)
			end()
			if err != nil {
				return err
			}
			return a.print(b, func(w io.Writer) {
				fmt.Fprintf(w, `%d files, %s, in %s
An erasure reaches older backups when their keys.backup is gone: keep this one, and delete those.
`, b.Files, size(b.Bytes), b.To)
			})
		}),
	}
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore DIRECTORY",
		Short: "Make a data directory from a backup",
		Long: `Make a new data directory from a backup, all of it or nothing. The passphrase or key file that opened the node opens the restored
one too. On each link that it had, a restored node opens a new epoch of its ledger and learns from the other party what it forgot;
until it has, it says nothing there. "entente links show LINK" tells how far it is. Never run it beside the node that it was taken
from.`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			show, end := a.progress("restoring")
			b, err := node.Restore(ctx, args[0], a.data, a.now, show)
			end()
			if err != nil {
				return err
			}
			return a.print(b, func(w io.Writer) {
				fmt.Fprintf(w, "%d files, %s, in %s\nStart the node with: entente serve --data %s\n", b.Files, size(b.Bytes), b.To, b.To)
			})
		}),
	}
}

func (a *app) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Fold every statement again, and compare",
		Long: `Drop every folded row, fold every statement again, and compare the result with what was there. No node may run meanwhile.
The exit status is 1 if the rows differ.`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			cfg, err := node.LoadConfig(a.data, nil, a.env)
			if err != nil {
				return err
			}
			show, end := a.progress("folding")
			r, err := node.Rebuild(ctx, cfg, a.passphrase(ctx), show)
			end()
			if err != nil {
				return err
			}
			err = a.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "links: %d, columns: %d\nbefore %s\nafter  %s\n", r.Links, r.Columns, r.Before, r.After)
				if r.Identical {
					fmt.Fprintln(w, "The rows are the same.")
				} else {
					fmt.Fprintln(w, "THE ROWS DIFFER. They are now those that the statements give.")
				}
			})
			if err == nil && !r.Identical {
				err = errNotHeld
			}
			return err
		}),
	}
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Examine the running node",
		Long:  "Examine the running node and say what to do about what is not well. The exit status is 1 if anything is not.",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			checks, err := c.Doctor(ctx)
			if err != nil {
				return err
			}
			well := true
			err = a.print(checks, func(w io.Writer) {
				t := newTable("CHECK", "", "DETAIL")
				for _, k := range checks {
					t.row(k.Name, verdict(k.OK), line(k.Detail))
				}
				t.write(w)
				for _, k := range checks {
					if !k.OK {
						fmt.Fprintf(w, "\n%s: %s\n", k.Name, line(k.Advice))
					}
				}
			})
			for _, k := range checks {
				well = well && k.OK
			}
			if err == nil && !well {
				err = errNotHeld
			}
			return err
		}),
	}
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "NOT WELL"
}
