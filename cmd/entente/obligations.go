package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) obligationsCommand() *cobra.Command {
	var f node.ObligationFilter
	var theirs, ours bool
	cmd := &cobra.Command{
		Use:   "obligations [REQUEST]",
		Short: "List what is owed beyond the end of a request, what ends first before the rest",
		Long: `List what either party owes beyond the end of a request: data to preserve, the fact of a request or its answer to keep confidential,
a victim not to tell, conditions of use, the use to explain, and until when all of it has to be deleted. Both parties see the same list.
What is owed ends neither with the request nor with the link; what is over stays in the list until it was said to be done or ended.

Data whose preservation ends are warned of 30, 14, 7 and 1 days before, on both sides. To have them kept for longer, see
"entente request extend"; for a request for mutual assistance, see "entente request link".`,
		Example: "  entente obligations --ours\n  entente obligations ARV-PR-2026-0143",
		Args:    cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if len(args) == 1 {
				list, err := c.ObligationsOf(ctx, args[0])
				return a.showObligations(node.ObligationList{Items: list}, err)
			}
			var err error
			if f.Of, err = either(theirs, ours, "them", "us"); err != nil {
				return err
			}
			if _, err := parseTime("until", f.Until); err != nil {
				return err
			}
			list, err := c.Obligations(ctx, f)
			return a.showObligations(list, err)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&theirs, "theirs", false, "only what other parties owe")
	flags.BoolVar(&ours, "ours", false, "only what we owe")
	flags.StringVar(&f.Link, "link", "", "only those of one link")
	flags.StringVar(&f.Duty, "duty", "", "only one duty, such as preserve")
	flags.StringVar(&f.State, "state", "", "owed (as without it), done or ended")
	flags.StringVar(&f.Until, "until", "", "only what ends at or before this instant")
	flags.StringVar(&f.After, "after", "", "only those that follow the page before")
	flags.IntVar(&f.Limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) showObligations(list node.ObligationList, err error) error {
	if err != nil {
		return err
	}
	return a.print(list, func(w io.Writer) {
		if len(list.Items) == 0 {
			fmt.Fprintln(w, "Nothing of this kind is owed.")
			return
		}
		t := newTable("UNTIL", "STANDS", "DUTY", "OWED BY", "REQUEST", "LINK", "SINCE", "MADE BY")
		for _, o := range list.Items {
			t.row(maybe(o.Until), obligationState(o), line(o.Duty), owner(o.Ours), line(o.Number), line(o.Link), instant(o.Since), short(o.Source))
		}
		t.write(w)
		more(w, "--after", list.Next)
	})
}

// obligationState is how an obligation stands now.
func obligationState(o node.Obligation) string {
	state := o.State
	switch {
	case o.Over:
		state = "over"
	case o.Warning > 0:
		state = fmt.Sprintf("ends within %d days", o.Warning)
	case o.Formal != "" && o.Until == nil && o.State == "owed":
		state = "kept for " + line(o.Formal[:min(8, len(o.Formal))])
	}
	if o.Held {
		state += ", legal hold"
	}
	return state
}

func (a *app) holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep threads from being erased here, for a legal reason",
		Long: `Keep whole threads from being erased on this node, by order or by retention, until the hold is lifted. Nothing of a hold leaves this
node; who placed and lifted it, and why, stands in the log of members (entente audit).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.listHoldsCommand(),
		a.changeHoldCommand("place", "Keep the whole thread of a statement from being erased", (*node.Client).PlaceHold),
		a.changeHoldCommand("lift", "Let a thread be erased again", (*node.Client).LiftHold))
	return cmd
}

func (a *app) changeHoldCommand(name, what string, change func(*node.Client, context.Context, string, string) (node.LegalHold, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     name + " STATEMENT",
		Short:   what,
		Example: "  entente hold " + name + " 3f9a01c2 --reason 'Order 4711 of the court'",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if reason == "" {
				return usage("Give a --reason: the proceedings, and who ordered it.")
			}
			h, err := change(c, ctx, args[0], reason)
			if err != nil {
				return err
			}
			return a.print(h, func(w io.Writer) {
				pair(w, "Thread", h.Thread.String())
				pair(w, "Link", line(h.Link))
				pair(w, "Reason", line(h.Reason))
			})
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it does not leave this node")
	return cmd
}

func (a *app) listHoldsCommand() *cobra.Command {
	var after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the legal holds, the oldest first",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Holds(ctx, after, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no legal hold.")
					return
				}
				t := newTable("THREAD", "LINK", "KIND", "PLACED", "BY", "REASON")
				for _, h := range list.Items {
					t.row(short(h.Thread), line(h.Link), line(h.Kind), instant(h.At), line(h.Who), line(h.Reason))
				}
				t.write(w)
				more(w, "--after", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&after, "after", "", "only those that follow the page before")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}
