package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) casesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cases",
		Short: "Keep our own cases: notes, tasks, and what was said of them",
		Long: `Keep our own cases. A case has notes, tasks with dates, and threads that were attached to it: requests, calls, messages with their
files; its timeline has all of them. Nothing of a case leaves this node, and what is written in it lies sealed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.listCasesCommand(), a.openCaseCommand(), a.showCaseCommand(), a.noteCommand(), a.addTaskCommand(), a.finishTaskCommand(), a.attachCommand(), a.tasksCommand(),
		a.setCaseCommand("close", "Close a case", (*node.Client).CloseCase),
		a.setCaseCommand("reopen", "Open a closed case again", (*node.Client).ReopenCase), a.eraseCaseCommand())
	return cmd
}

func (a *app) listCasesCommand() *cobra.Command {
	var state, before string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List our cases, changed last first",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			if _, err := parseTime("before", before); err != nil {
				return err
			}
			list, err := c.Cases(ctx, state, before, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no case.")
					return
				}
				t := newTable("NUMBER", "STATE", "REFERENCE", "OPENED", "CHANGED", "TITLE")
				for _, v := range list.Items {
					t.row(v.Number, v.State, line(v.Reference), instant(v.Opened), instant(v.Changed), line(v.Title))
				}
				t.write(w)
				more(w, "--before", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in one state: open, closed or erased")
	cmd.Flags().StringVar(&before, "before", "", "only those changed before this instant")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) openCaseCommand() *cobra.Command {
	var n node.NewCase
	cmd := &cobra.Command{
		Use:     "open TITLE",
		Short:   "Open a case; it gets the next number of this node",
		Example: "  entente cases open 'Ransomware in a hospital' --reference 'B 17/26'",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			n.Title = args[0]
			v, err := c.OpenCase(ctx, n)
			return a.printCase(v, err)
		}),
	}
	cmd.Flags().StringVar(&n.Reference, "reference", "", "the number under which it runs elsewhere")
	return cmd
}

func (a *app) printCase(v node.Case, err error) error {
	if err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) { caseHead(w, v) })
}

func caseHead(w io.Writer, v node.Case) {
	pair(w, "Case", v.Number)
	pair(w, "State", v.State)
	if v.Title != "" {
		pair(w, "Title", line(v.Title))
	}
	if v.Reference != "" {
		pair(w, "Reference", line(v.Reference))
	}
}

func (a *app) showCaseCommand() *cobra.Command {
	var before string
	var limit int
	cmd := &cobra.Command{
		Use:   "show CASE",
		Short: "Show a case, what is attached to it, and the latest of its timeline",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if _, err := parseTime("before", before); err != nil {
				return err
			}
			d, err := c.Case(ctx, args[0], before, limit)
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { showCase(w, d) })
		}),
	}
	cmd.Flags().StringVar(&before, "before", "", "only what was before this instant")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many lines")
	return cmd
}

func showCase(w io.Writer, d node.CaseDetail) {
	caseHead(w, d.Case)
	for _, t := range d.Threads {
		name := t.Number
		if name == "" {
			name = short(t.Thread)
		}
		pair(w, "Attached", fmt.Sprintf("%s  %s, %s", line(name), t.Kind, line(t.Link)))
	}
	fmt.Fprintln(w)
	if d.Older && len(d.Timeline) > 0 {
		fmt.Fprintf(w, "There is more: --before %s\n", d.Timeline[0].At.Format("2006-01-02T15:04:05.999999999Z07:00"))
	}
	for _, e := range d.Timeline {
		fmt.Fprintf(w, "%s  %s\n", instant(e.At), eventLine(e))
	}
}

// eventLine is one line of a case's timeline.
func eventLine(e node.CaseEvent) string {
	if e.Said != nil {
		files := ""
		if e.Said.Files > 0 {
			files = fmt.Sprintf(", %d files", e.Said.Files)
		}
		return fmt.Sprintf("%s: %s (%s%s)", owner(e.Said.Ours), line(e.Said.Kind), short(e.Said.Statement), files)
	}
	v := *e.Entry
	if v.Thread != nil {
		return fmt.Sprintf("%d. %s attached %s", v.N, line(v.Who), short(*v.Thread))
	}
	state := ""
	switch {
	case v.Done != nil:
		state = fmt.Sprintf(", done %s by %s", instant(*v.Done), line(v.DoneBy))
	case v.Overdue:
		state = ", overdue since " + maybe(v.Due)
	case v.Due != nil:
		state = ", due " + maybe(v.Due)
	}
	return fmt.Sprintf("%d. %s by %s%s: %s", v.N, v.Kind, line(v.Who), state, text(v.Words))
}

func (a *app) printEntry(v node.CaseEntry, err error) error {
	if err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\n", v.Case, eventLine(node.CaseEvent{At: v.At, Entry: &v}))
	})
}

func (a *app) noteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "note CASE WORDS",
		Short:   "Write a note into a case",
		Example: "  entente cases note CASE-2026-0001 'The server is in Kestria.'",
		Args:    cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			v, err := c.Note(ctx, args[0], args[1])
			return a.printEntry(v, err)
		}),
	}
}

func (a *app) addTaskCommand() *cobra.Command {
	var due string
	cmd := &cobra.Command{
		Use:     "task CASE WORDS",
		Short:   "Write a task into a case",
		Example: "  entente cases task CASE-2026-0001 'Ask the court.' --due 2031-03-01",
		Args:    cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			at, err := parseTime("due", due)
			if err != nil {
				return err
			}
			v, err := c.AddTask(ctx, args[0], node.NewTask{Words: args[1], Due: at})
			return a.printEntry(v, err)
		}),
	}
	cmd.Flags().StringVar(&due, "due", "", "until when it has to be done")
	return cmd
}

func (a *app) finishTaskCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "done CASE TASK",
		Short: "Say that a task was done; it is named by the number of its entry",
		Args:  cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return usage("Name the task by its number in the case, such as 3.")
			}
			v, err := c.FinishTask(ctx, args[0], n)
			return a.printEntry(v, err)
		}),
	}
}

func (a *app) attachCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "attach CASE REQUEST|STATEMENT",
		Short:   "Attach a request, a call or another thread to a case",
		Example: "  entente cases attach CASE-2026-0001 ARV-PR-2026-0143\n  entente cases attach CASE-2026-0001 3f9a01c2",
		Args:    cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			v, err := c.Attach(ctx, args[0], args[1])
			return a.printEntry(v, err)
		}),
	}
}

func (a *app) tasksCommand() *cobra.Command {
	var until, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "List the open tasks of all cases, the earliest due first",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			if _, err := parseTime("until", until); err != nil {
				return err
			}
			list, err := c.Tasks(ctx, until, after, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no open task.")
					return
				}
				t := newTable("DUE", "STANDS", "CASE", "TASK", "BY", "WORDS")
				for _, v := range list.Items {
					stands := "open"
					if v.Overdue {
						stands = "overdue"
					}
					t.row(maybe(v.Due), stands, v.Case, strconv.FormatInt(v.N, 10), line(v.Who), line(v.Words))
				}
				t.write(w)
				more(w, "--after", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&until, "until", "", "only those due at or before this instant")
	cmd.Flags().StringVar(&after, "after", "", "only those that follow the page before")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) setCaseCommand(name, what string, set func(*node.Client, context.Context, string) (node.Case, error)) *cobra.Command {
	return &cobra.Command{
		Use:   name + " CASE",
		Short: what,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			v, err := set(c, ctx, args[0])
			return a.printCase(v, err)
		}),
	}
}

func (a *app) eraseCaseCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase CASE",
		Short: "Erase all that was written in a closed case",
		Long: `Erase all that was written in a closed case, with its key, for good. Its number stays, and so does what was said in the threads that
were attached to it: see "entente erase".`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if !yes {
				return usage("What is erased is gone for good; say --yes if it is meant.")
			}
			v, err := c.EraseCase(ctx, args[0])
			return a.printCase(v, err)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return cmd
}
