package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/node"
	"entente/statement"
)

func (a *app) inboxCommand() *cobra.Command {
	var f node.Filter
	var sent, both, awaited bool
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "List what the other parties said, newest first",
		Long: `List what the other parties said, newest first. What they sent registered, and whose key has not come yet, stands above it: this
node has acknowledged it, and nobody can read it before the other party's node has sent the key.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			f.Box = "in"
			if sent && both || awaited && (sent || both) {
				return usage("Give one of --sent, --all and --awaited.")
			}
			if _, err := parseTime("before", f.Before); err != nil {
				return err
			}
			if sent {
				f.Box = "out"
			}
			if both {
				f.Box = ""
			}
			if awaited {
				f.Box = "awaited"
			}
			list, err := c.Statements(ctx, f)
			if err != nil {
				return err
			}
			if !a.json && !awaited && !sent && f.Kind == "" && f.Thread == "" && f.Before == "" {
				held, err := c.Statements(ctx, node.Filter{Box: "awaited", Link: f.Link, Limit: f.Limit})
				if err != nil {
					return err
				}
				list.Items = append(held.Items, list.Items...)
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is nothing here.")
					return
				}
				t := newTable("AUTHORED", "LINK", "FROM", "LANE", "KIND", "TLP", "STATE", "STATEMENT", "SUBJECT")
				for _, s := range list.Items {
					t.row(instant(s.Authored), line(s.LinkAlias), owner(s.Ours), string(s.Lane), line(s.Kind), line(s.Marking.TLP),
						state(s), short(s.Commitment), subject(s))
				}
				t.write(w)
				more(w, "--before", list.Next)
			})
		}),
	}
	cmd.Flags().BoolVar(&sent, "sent", false, "list what we said instead")
	cmd.Flags().BoolVar(&both, "all", false, "list what both sides said")
	cmd.Flags().BoolVar(&awaited, "awaited", false, "list only what was acknowledged and waits for its key")
	cmd.Flags().StringVar(&f.Link, "link", "", "only those of one link")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "only those of one kind")
	cmd.Flags().StringVar(&f.Thread, "thread", "", "only those of one thread")
	cmd.Flags().StringVar(&f.Before, "before", "", "only those authored before this instant")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	return cmd
}

// state is how far a statement has come, whether it took effect, and whether it was erased here.
func state(s node.Statement) string {
	said := s.State
	switch s.State {
	case "sent":
		said = "sent, cannot be acknowledged"
	case "gone":
		said = "cannot be acknowledged, nor carried again"
	}
	if s.Registered != nil {
		said = "registered: " + keyWords(s.Registered.Key)
	}
	if s.Verdict != "" && s.Verdict != "folded" && s.Verdict != "deferred" {
		said += ", " + s.Verdict
	}
	if s.Erased != nil {
		said += ", erased"
	}
	if s.Suspect != nil {
		said += ", keys in doubt"
	}
	return line(said)
}

// keyWords says how far the key of a registered statement has come.
func keyWords(key string) string {
	switch key {
	case "withheld":
		return "not acknowledged yet, key withheld"
	case "due":
		return "acknowledged, key not sent yet"
	case "sent":
		return "acknowledged, key sent"
	case "awaited":
		return "acknowledged by us, waiting for the key"
	case "taken":
		return "acknowledged, key received"
	case "refused":
		return "refused, key not given"
	case "lapsed":
		return "expired before the key was given, nobody reads it"
	}
	return key
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
	pair(w, "Kind", line(cmp.Or(s.Kind, "sealed"))+", lane "+string(s.Lane)+fmt.Sprintf(" number %d", s.Seq))
	pair(w, "Authored", instant(s.Authored))
	if s.Zone != "UTC" {
		pair(w, "Zone", line(s.Zone))
	}
	if s.Registered != nil {
		pair(w, "Acknowledged", maybe(s.Registered.Acknowledged))
		switch s.Registered.Key {
		case "withheld", "due", "awaited":
			pair(w, "Key until", maybe(s.Expires))
		}
	}
	if s.Registered == nil || s.State != "held" {
		pair(w, "Received", maybe(s.Received))
	}
	pair(w, "State", state(s))
	if s.Suspect != nil {
		pair(w, "Keys in doubt", inDoubt(*s.Suspect))
	}
	switch {
	case s.Kind == "" && s.Registered.Key == "lapsed":
		fmt.Fprintln(w, "\nThis node has acknowledged the sealed statement, and its key did not come in time. Ask the other party to send it again.")
		return
	case s.Kind == "":
		fmt.Fprintln(w, "\nThis node has acknowledged the sealed statement. It can be read when the other party's node has sent the key.")
		return
	}
	pair(w, "Marking", marking(s.Marking))
	pair(w, "Urgency", line(s.Urgency))
	if s.ReplyBy != nil {
		pair(w, "Reply by", maybe(s.ReplyBy))
	}
	for _, f := range s.Files {
		shown := fmt.Sprintf("%s (%s, %s), %s", line(f.Name), line(f.Media), size(f.Size), f.State)
		if f.Name == "" {
			shown = fmt.Sprintf("%s, %s", size(f.Size), f.State)
		}
		if f.Progress == "sending" || f.Progress == "arriving" {
			shown += fmt.Sprintf("; %d of %d MiB have come", f.Have, f.Segments)
		}
		pair(w, fmt.Sprintf("File %d", f.Position), shown)
	}
	var m statement.MessageBody
	switch {
	case s.Erased != nil:
		fmt.Fprintf(w, "\nBody and files were erased here on %s. What is above, the receipts and the ledger stay.\n", maybe(s.Erased))
	case len(s.Body) == 0:
		fmt.Fprintln(w, "\nThe key of the body is not here: this node was restored without it.")
	case s.Kind == "message" && envelope.Unmarshal(s.Body, &m) == nil:
		fmt.Fprintf(w, "\n%s\n\n%s\n", line(m.Subject), text(m.Text))
	default:
		fmt.Fprintf(w, "\nFace  %s\nBody  %s\n", line(string(s.Face)), line(string(s.Body)))
	}
	for _, e := range s.Erasures {
		who := "The other party erased its copy"
		if e.Ours {
			who = "The other party was told that we erased ours"
		}
		fmt.Fprintf(w, "%s on %s (%s).\n", who, instant(e.At), line(e.Reason))
	}
}

// inDoubt says what a party has declared of its keys.
func inDoubt(s node.Suspicion) string {
	return fmt.Sprintf("in other hands perhaps, since %s: so says version %d of the author's identity", instant(s.Since), s.Version)
}

func (a *app) eraseCommand() *cobra.Command {
	var order node.EraseOrder
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase STATEMENT",
		Short: "Erase the body and files of a statement",
		Long: `Erase the body, the files and the key of a statement from this node, for good. What a text says in codes stays, and so do its
receipts and its place in the ledgers: who said what kind of thing when can still be proven, and nothing in it names anybody.

The other party has its own copy, and its own duties. With --tell it is told what was erased, when and why. Older backups are reached
when their keys.backup is deleted: see docs/operate.md.`,
		Example: "  entente erase 3f2a9c01 --reason order --tell --yes",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if order.Reason == "" {
				return usage("Give a --reason: %s", strings.Join(statement.ErasureReasons(), ", "))
			}
			if !yes {
				return usage("An erasure cannot be undone; say --yes if it is meant.")
			}
			e, err := c.Erase(ctx, args[0], order)
			if err != nil {
				return err
			}
			return a.print(e, func(w io.Writer) {
				fmt.Fprintf(w, "Erased: %s, on %s\n", e.Statement, instant(e.At))
				if e.Notice != nil {
					fmt.Fprintf(w, "Said: %s\n", e.Notice)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&order.Reason, "reason", "", strings.Join(statement.ErasureReasons(), ", "))
	cmd.Flags().BoolVar(&order.Tell, "tell", false, "tell the other party")
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return cmd
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
			said, err := c.Statement(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(receipts, func(w io.Writer) {
				t := newTable("KIND", "AT", "BY", "LEAF", "REASON", "RECEIPT", "KEYS IN DOUBT SINCE")
				for _, r := range receipts {
					doubt := ""
					if r.Suspect != nil {
						doubt = instant(r.Suspect.Since)
					}
					t.row(string(r.Receipt.Kind), micros(r.Receipt.At), short(r.Receipt.From),
						fmt.Sprintf("%d.%d", r.Receipt.Log.Epoch, r.Receipt.Log.Index), line(r.Receipt.Reason), short(r.Hash), doubt)
				}
				t.write(w)
				if said.Unanswered {
					fmt.Fprintln(w, "\nThe link goes one way: this cannot be acknowledged, and no receipt is waited for.")
				}
				if said.Registered != nil {
					fmt.Fprintf(w, "\nRegistered: %s.\n", keyWords(said.Registered.Key))
				}
			})
		}),
	}
}
