package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) hotlineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hotline",
		Short: "Call another party at once, and answer its calls",
		Long: `Call another party on the hotline, in one sentence, and answer its calls. A call rings until a person answers it or the caller stands
down, whatever is restarted meanwhile; it is ended when both sides have stood down. A call is named by its first statement.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	link := topic{noun: "LINK", where: "to the other party of a link", urgency: true, say: func(ctx context.Context, c *node.Client, name string, d node.Draft, files []node.Upload, p node.Progress) (node.Called, error) {
		d.Link = name
		return c.Call(ctx, d, files, p)
	}}
	request := topic{noun: "REQUEST", where: "about a request that is escalated with its thread", urgency: true, say: func(ctx context.Context, c *node.Client, name string, d node.Draft, files []node.Upload, p node.Progress) (node.Called, error) {
		return c.Escalate(ctx, name, d, files, p)
	}}
	call := topic{noun: "CALL", where: "on a call", say: func(ctx context.Context, c *node.Client, name string, d node.Draft, files []node.Upload, p node.Progress) (node.Called, error) {
		said, err := c.SayOnCall(ctx, name, d, files, p)
		return node.Called{Statement: said}, err
	}}
	cmd.AddCommand(a.listCallsCommand(), a.showCallCommand())
	cmd.AddCommand(a.sayCommands(link, []saying{{"call", "hotline.call"}})...)
	cmd.AddCommand(a.sayCommands(request, []saying{{"escalate", "hotline.call"}})...)
	cmd.AddCommand(a.sayCommands(call, []saying{{"acknowledge", "hotline.acknowledge"}, {"reply", "hotline.reply"},
		{"hand-over", "hotline.hand_over"}, {"stand-down", "hotline.stand_down"}})...)
	return cmd
}

func (a *app) listCallsCommand() *cobra.Command {
	var f node.ThreadFilter
	var ringing, theirs, ours bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the calls, newest first, and whom they ring since when",
		Example: "  entente hotline list --ringing",
		Args:    cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			var err error
			if f.Box, err = boxOf(theirs, ours); err != nil {
				return err
			}
			if ringing {
				f.Status = "ringing"
			}
			list, err := c.Calls(ctx, f)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no call.")
					return
				}
				t := newTable("CALL", "LINK", "BY", "LEVEL", "KIND", "URGENCY", "STATUS", "SINCE", "ANSWER BY", "RINGS")
				for _, v := range list.Items {
					t.row(short(v.Statement), line(v.Link), owner(v.Ours), v.Level, v.Kind, v.Urgency, callStatus(v), maybe(v.Since), maybe(v.AnswerBy), rings(v))
				}
				t.write(w)
				more(w, "--after", list.Next)
			})
		}),
	}
	cmd.Flags().BoolVar(&ringing, "ringing", false, "only those that ring now")
	cmd.Flags().BoolVar(&theirs, "theirs", false, "only calls to us")
	cmd.Flags().BoolVar(&ours, "ours", false, "only our own")
	cmd.Flags().StringVar(&f.Link, "link", "", "only those of one link")
	cmd.Flags().StringVar(&f.After, "after", "", "only those that follow the page before")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	return cmd
}

// callStatus is the status of a call, and whether it rings for too long.
func callStatus(c node.Call) string {
	if c.Overdue {
		return c.Status + ", overdue"
	}
	return c.Status
}

// rings names the desks that a call rings, and which is next.
func rings(c node.Call) string {
	if c.Status != "ringing" {
		return "-"
	}
	var desks []string
	for _, r := range c.Rings {
		desks = append(desks, brief(r.Desk))
	}
	if len(desks) == 0 {
		desks = append(desks, "the node")
	}
	if c.Next != nil {
		desks = append(desks, fmt.Sprintf("then %s at %s", brief(c.Next.Desk), instant(c.Next.From)))
	}
	return strings.Join(desks, ", ")
}

// brief is enough of a desk's id to name it.
func brief(desk string) string { return line(desk[:min(12, len(desk))]) }

func (a *app) showCallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show CALL",
		Short: "Show a call: its clock, whom it rings, and what was said",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			d, err := c.ShowCall(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { showCall(w, d) })
		}),
	}
}

func showCall(w io.Writer, d node.CallDetail) {
	pair(w, "Link", line(d.Call.Link))
	pair(w, "Called by", owner(d.Call.Ours))
	pair(w, "Statement", d.Call.Statement.String())
	pair(w, "Urgency", d.Call.Urgency)
	pair(w, "Status", callStatus(d.Call))
	pair(w, "Received", maybe(d.Call.Received))
	pair(w, "Answer by", maybe(d.Call.AnswerBy))
	pair(w, "Answered", maybe(d.Call.Answered))
	if d.Call.Status == "ringing" {
		pair(w, "Rings", rings(d.Call))
	}
	showWords(w, d.Timeline)
}
