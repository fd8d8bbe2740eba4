package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) evidenceCommand() *cobra.Command {
	var link string
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "List what was kept because it contradicts what a party said before",
		Long: `List what was kept because it contradicts what a party said before: two headers with one number, a rewritten ledger, a
receipt that takes another back. Each was signed by its party; the exact bytes are in the answer to --json.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Evidence(ctx, link)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "There is none.")
					return
				}
				t := newTable("KEPT", "LINK", "WHAT", "IN WORDS")
				for _, e := range list {
					t.row(instant(e.At), short(e.Link), line(e.Kind), line(e.Note))
				}
				t.write(w)
			})
		}),
	}
	cmd.Flags().StringVar(&link, "link", "", "of this link only")
	return cmd
}
