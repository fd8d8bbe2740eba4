package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/node"
	"entente/statement"
)

func (a *app) inboxCommand() *cobra.Command {
	var f node.Filter
	var sent, both bool
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "List what the other parties said, newest first",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			f.Box = "in"
			if sent {
				f.Box = "out"
			}
			if both {
				f.Box = ""
			}
			list, err := c.Statements(ctx, f)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				t := newTable("AUTHORED", "LINK", "FROM", "LANE", "KIND", "TLP", "STATE", "STATEMENT", "SUBJECT")
				for _, s := range list.Items {
					t.row(instant(s.Authored), line(s.LinkAlias), owner(s.Ours), string(s.Lane), line(s.Kind), line(s.Marking.TLP),
						state(s), short(s.Commitment), subject(s))
				}
				t.write(w)
				if list.Next != "" {
					fmt.Fprintf(w, "\nThere may be more: --before %s\n", list.Next)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&sent, "sent", false, "list what we said instead")
	cmd.Flags().BoolVar(&both, "all", false, "list what both sides said")
	cmd.Flags().StringVar(&f.Link, "link", "", "only those of one link")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only those of one kind")
	cmd.Flags().StringVar(&f.Thread, "thread", "", "only those of one thread")
	cmd.Flags().StringVar(&f.Before, "before", "", "only those authored before this instant")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	cmd.MarkFlagsMutuallyExclusive("sent", "all")
	return cmd
}

// state is how far a statement has come, and whether it took effect.
func state(s node.Statement) string {
	if s.Verdict != "" && s.Verdict != "folded" {
		return line(s.State + ", " + s.Verdict)
	}
	return line(s.State)
}

// subject is the subject of a message, which is in its body; other kinds and erased ones have none.
func subject(s node.Statement) string {
	var b statement.MessageBody
	if s.Kind != "message" || envelope.Unmarshal(s.Body, &b) != nil {
		return ""
	}
	return line(b.Subject)
}

func (a *app) showCommand() *cobra.Command {
	var file int
	var out string
	cmd := &cobra.Command{
		Use:   "show STATEMENT",
		Short: "Show a statement, or save a file of it",
		Long: `Show a statement, named by its commitment or the first digits of it. With --file and --out it saves one of its files under
the name that you choose; the name that its author gave is shown, and never used.`,
		Example: "  entente show 3f2a9c01\n  entente show 3f2a9c01 --file 0 --out indicators.json",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if file >= 0 {
				return a.save(out, func(w io.Writer) error { return c.File(ctx, args[0], file, w) })
			}
			s, err := c.Statement(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(s, func(w io.Writer) { showStatement(w, s) })
		}),
	}
	cmd.Flags().IntVar(&file, "file", -1, "write the file at this position, counted from 0")
	cmd.Flags().StringVar(&out, "out", "", "write it to this new file instead of standard output")
	return cmd
}

func showStatement(w io.Writer, s node.Statement) {
	pair(w, "Statement", s.Commitment.String())
	pair(w, "Thread", s.Thread.String())
	pair(w, "Link", line(s.LinkAlias))
	pair(w, "From", owner(s.Ours))
	pair(w, "Kind", line(s.Kind)+", lane "+string(s.Lane)+fmt.Sprintf(" number %d", s.Seq))
	pair(w, "Authored", instant(s.Authored)+", "+line(s.Zone))
	pair(w, "Received", maybe(s.Received))
	pair(w, "State", state(s))
	pair(w, "Marking", marking(s.Marking))
	pair(w, "Urgency", line(s.Urgency))
	if s.ReplyBy != nil {
		pair(w, "Reply by", maybe(s.ReplyBy))
	}
	for _, f := range s.Files {
		pair(w, fmt.Sprintf("File %d", f.Position), fmt.Sprintf("%s (%s, %s), %s", line(f.Name), line(f.Media), size(f.Size), f.State))
	}
	var m statement.MessageBody
	switch {
	case s.Erased != nil:
		fmt.Fprintf(w, "\nThe body was erased at %s.\n", maybe(s.Erased))
	case len(s.Body) == 0:
		fmt.Fprintln(w, "\nThe body is not here yet.")
	case s.Kind == "message" && envelope.Unmarshal(s.Body, &m) == nil:
		fmt.Fprintf(w, "\n%s\n\n%s\n", line(m.Subject), text(m.Text))
	default:
		fmt.Fprintf(w, "\nFace  %s\nBody  %s\n", line(string(s.Face)), line(string(s.Body)))
	}
}

func (a *app) receiptsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "receipts STATEMENT",
		Short: "List the signed receipts of a statement",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			receipts, err := c.Receipts(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(receipts, func(w io.Writer) {
				t := newTable("KIND", "AT", "BY", "LEAF", "REASON", "RECEIPT")
				for _, r := range receipts {
					t.row(string(r.Receipt.Kind), micros(r.Receipt.At), short(r.Receipt.From),
						fmt.Sprintf("%d.%d", r.Receipt.Log.Epoch, r.Receipt.Log.Index), line(r.Receipt.Reason), short(r.Hash))
				}
				t.write(w)
			})
		}),
	}
}
