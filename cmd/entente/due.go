package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) dueCommand() *cobra.Command {
	var desk string
	var theirs, both bool
	var limit int
	cmd := &cobra.Command{
		Use:   "due",
		Short: "List what needs an answer, the earliest first",
		Long: `List what we owe in the threads of requests, the earliest first: acknowledgements, decisions, answers, clarifications, and data whose
preservation ends. Both parties see the same instants. Nothing is closed by itself: what is overdue stays in the list.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			of := "us"
			switch {
			case theirs && both:
				return usage("Give either --theirs or --all.")
			case theirs:
				of = "them"
			case both:
				of = ""
			}
			list, err := c.Due(ctx, of, desk, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "Nothing is due.")
					return
				}
				t := newTable("DUE", "STANDS", "STEP", "OWED BY", "REQUEST", "LINK", "URGENCY", "STATUS", "KIND")
				for _, d := range list {
					t.row(instant(d.At), standing(d), d.Step, owner(d.Ours), line(d.Number), line(d.Link), d.Urgency, d.Status, d.Kind)
				}
				t.write(w)
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&theirs, "theirs", false, "list what other parties owe instead")
	f.BoolVar(&both, "all", false, "list what either side owes")
	f.StringVar(&desk, "desk", "", "only what one desk owes, by all 64 digits")
	f.IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// standing is how a clock stands now.
func standing(d node.Due) string {
	switch {
	case d.Escalates:
		return "overdue, may be escalated"
	case d.Overdue:
		return "overdue"
	case d.Reminder > 0:
		return fmt.Sprintf("over %d %%", d.Reminder)
	}
	return "in time"
}

// boxOf is which side's threads are listed: what came in, what went out, or both.
func boxOf(theirs, ours bool) (string, error) { return either(theirs, ours, "in", "out") }

// either is the word of the one side that is listed, "" for both.
func either(theirs, ours bool, them, us string) (string, error) {
	switch {
	case theirs && ours:
		return "", usage("Give either --theirs or --ours.")
	case theirs:
		return them, nil
	case ours:
		return us, nil
	}
	return "", nil
}

func (a *app) listRequestsCommand() *cobra.Command {
	var f node.ThreadFilter
	var theirs, ours bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests of both sides, newest first",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			var err error
			if f.Box, err = boxOf(theirs, ours); err != nil {
				return err
			}
			list, err := c.Requests(ctx, f)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no request.")
					return
				}
				t := newTable("NUMBER", "LINK", "BY", "KIND", "URGENCY", "STATUS", "RECEIVED", "NEXT DUE", "STATEMENT")
				for _, r := range list.Items {
					next := "-"
					if len(r.Due) > 0 {
						next = r.Due[0].Step + " " + instant(r.Due[0].At)
					}
					t.row(line(r.Number), line(r.Link), owner(r.Ours), r.Kind, r.Urgency, r.Status, maybe(r.Received), next, short(r.Statement))
				}
				t.write(w)
				more(w, "--after", list.Next)
			})
		}),
	}
	cmd.Flags().BoolVar(&theirs, "theirs", false, "only what other parties asked")
	cmd.Flags().BoolVar(&ours, "ours", false, "only what we asked")
	cmd.Flags().StringVar(&f.Link, "link", "", "only those of one link")
	cmd.Flags().StringVar(&f.Status, "status", "", "only those in one status")
	cmd.Flags().StringVar(&f.After, "after", "", "only those that follow the page before")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) showRequestCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show REQUEST",
		Short:   "Show a request: its form in both languages, its clocks and its timeline",
		Example: "  entente request show KES-PR-2026-0143",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			r, err := c.Request(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { showRequest(w, r) })
		}),
	}
}

func showRequest(w io.Writer, r node.RequestDetail) {
	fmt.Fprintf(w, "%s\n%s\n\n", r.Label.EN, r.Label.ZH)
	pair(w, "Link", line(r.Request.Link))
	pair(w, "Asked by", owner(r.Request.Ours))
	pair(w, "Statement", r.Request.Statement.String())
	pair(w, "Urgency", r.Request.Urgency)
	status := r.Request.Status
	if r.Expired {
		status += ", expired"
	}
	pair(w, "Status", status)
	for _, d := range r.Request.Due {
		pair(w, "Due", fmt.Sprintf("%s by %s, %s (%s)", d.Step, instant(d.At), standing(d), owner(d.Ours)))
	}
	fmt.Fprintln(w)
	showForm(w, r.Form)
	showWords(w, r.Timeline)
}

// showWords prints the words of a thread, in their order.
func showWords(w io.Writer, words []node.RequestWord) {
	for i, word := range words {
		s := word.Statement
		fmt.Fprintf(w, "\n%d. %s  %s  %s / %s (%s, %s)\n", i+1, instant(s.Authored), owner(s.Ours), word.Label.EN, word.Label.ZH, state(s), short(s.Commitment))
		showForm(w, word.Form)
		for _, f := range s.Files {
			fmt.Fprintf(w, "  File %d  %s (%s, %s), %s\n", f.Position, line(f.Name), line(f.Media), size(f.Size), f.State)
		}
	}
}

// showForm prints a form with both languages side by side.
func showForm(w io.Writer, lines []node.FormLine) {
	for _, l := range lines {
		value := text(l.Value.EN)
		if l.Value.ZH != l.Value.EN {
			value += " / " + text(l.Value.ZH)
		}
		indent := strings.Repeat("  ", l.Depth+1)
		value = strings.ReplaceAll(value, "\n", "\n"+indent+"  ")
		fmt.Fprintln(w, strings.TrimRight(indent+l.Label.EN+" / "+l.Label.ZH+": "+value, " "))
	}
}
