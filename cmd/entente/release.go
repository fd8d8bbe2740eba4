package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/node"
)

func (a *app) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Look at what was written and has not left, and let it leave",
		Long: `Look at what was written and has not left: what has faults in its form, and what the rules of its link let leave only on a second
person's word. "entente release show" shows exactly what would leave, and a digest of it; whoever releases it names that digest, so
that nothing else leaves, and confirms it by his passphrase. None of it crosses to the other party before.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.listDraftsCommand(), a.showDraftCommand(), a.editDraftCommand(), a.submitDraftCommand(), a.discardDraftCommand(),
		a.reviewDraftCommand(), a.refuseDraftCommand(), a.approveDraftCommand(), a.breakGlassCommand(), a.countersignDraftCommand())
	return cmd
}

func (a *app) listDraftsCommand() *cobra.Command {
	var state, before string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List drafts, changed last first",
		Long: `List drafts, changed last first: those that can still leave, and what left on one person's word and waits for its
countersignature. With --state those in one state: incomplete, ready, waiting, refused, sent or discarded.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Drafts(ctx, state, before, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no draft.")
					return
				}
				t := newTable("ID", "LINK", "KIND", "URGENCY", "BY", "STATE", "NEEDS", "CHANGED")
				for _, d := range list.Items {
					t.row(d.ID.String()[:8], line(d.Link), d.Kind, d.Urgency, line(strings.Join(d.Writers, ", ")), draftState(d), d.Need, instant(d.Changed))
				}
				t.write(w)
				more(w, "--before", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in one state")
	cmd.Flags().StringVar(&before, "before", "", "only those changed before this instant")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// draftState is the state of a draft; what left on one person's word says so.
func draftState(d node.KeptDraft) string {
	switch {
	case d.BrokenGlass != "" && d.Countersigned == "":
		return "sent by one, to be countersigned"
	case d.BrokenGlass != "":
		return "sent by one, countersigned"
	}
	return string(d.State)
}

func (a *app) showDraftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show exactly what would leave, and who would see it",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			d, err := c.Draft(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { showDraft(w, d) })
		}),
	}
}

func showDraft(w io.Writer, d node.DraftDetail) {
	k := d.Draft
	pair(w, "Draft", k.ID.String())
	pair(w, "State", draftState(k))
	pair(w, "Needs", k.Need)
	pair(w, "Written by", line(strings.Join(k.Writers, ", ")))
	pair(w, "Link", line(k.Link))
	pair(w, "To", line(names(d.Peer)))
	if d.Desk != "" {
		pair(w, "Desk", line(d.Desk))
	}
	pair(w, "Kind", k.Kind)
	pair(w, "Urgency", k.Urgency)
	if k.Statement != nil {
		pair(w, "Statement", k.Statement.String())
	}
	if c := d.Content; c != nil {
		pair(w, "Lane", string(c.Lane))
		pair(w, "Marking", marking(c.Marking))
		if c.Thread != nil {
			pair(w, "Thread", c.Thread.String())
		}
		if c.ReplyBy != nil {
			pair(w, "Reply by", instant(*c.ReplyBy))
		}
		pair(w, "Officer", "of who releases it crosses: "+d.Officer)
		fmt.Fprintf(w, "\nFace: %s\nBody: %s\n", line(string(c.Face)), line(string(c.Body)))
		for _, f := range c.Files {
			fmt.Fprintf(w, "File: %s (%s, %s), SHA-256 %s\n", line(f.Name), line(f.Media), size(f.Size), f.SHA256)
		}
	}
	for _, f := range d.Faults {
		fmt.Fprintf(w, "Fault: %s %s. %s %s\n", line(f.Where), line(f.What), line(f.Write.EN), line(f.Write.ZH))
	}
	for _, r := range d.Blocked {
		fmt.Fprintln(w, "May not leave:", line(r.Sentence))
	}
	for _, n := range d.Notes {
		fmt.Fprintln(w, "Note:", line(n))
	}
	for _, r := range d.Reviews {
		fmt.Fprintf(w, "%s  %s: %s (version %d) %s\n", instant(r.At), line(r.Who), r.Verdict, r.Version, line(r.Note))
	}
	if d.Content != nil {
		fmt.Fprintf(w, "\nDigest %s\n", k.Digest)
	}
}

// seen is the digest of a draft's version that was seen: named by its first digits, or, where it need not be named, what there is now.
func seen(ctx context.Context, c *node.Client, id, digest string) (envelope.Hash, error) {
	d, err := c.Draft(ctx, id)
	if err != nil {
		return envelope.Hash{}, err
	}
	if !strings.HasPrefix(d.Draft.Digest.String(), digest) {
		return envelope.Hash{}, fault.New(fault.Conflict, "draft_changed", "The draft was changed since you saw it; look at it again with: entente release show "+id)
	}
	return d.Draft.Digest, nil
}

// digestFlag adds the flag by which somebody says what he saw.
func digestFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "digest", "", "the first 8 digits, or more, of the digest that \"entente release show\" showed")
}

// mustSee is seen where what was seen must be named.
func mustSee(ctx context.Context, c *node.Client, id, digest string) (envelope.Hash, error) {
	if len(digest) < 8 {
		return envelope.Hash{}, usage("Say with --digest what you saw: the first 8 digits, or more, of what \"entente release show\" showed.")
	}
	return seen(ctx, c, id, digest)
}

func (a *app) editDraftCommand() *cobra.Command {
	var form, urgency, replyBy string
	var m markings
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change a draft; its files stay",
		Long: `Change a draft: its face and body by --form, its marking, its urgency, until when an answer is wanted, or whether the originator
agrees. What is not given stays. It is another version then: who reviewed the one before must look again, and who changes it cannot release it.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *node.Client, args []string) error {
		digest, err := seen(ctx, c, args[0], "")
		if err != nil {
			return err
		}
		var e node.DraftChange
		if form != "" {
			d, err := a.readForm(form)
			if err != nil {
				return err
			}
			if e.Face, err = envelope.Marshal(d.Face); err != nil {
				return err
			}
			e.Body = d.Body
		}
		if e.Urgency = urgency; cmd.Flags().Changed("originator-agrees") {
			e.Consent = &m.agrees
		}
		if slices.ContainsFunc([]string{"tlp", "pap", "purpose", "handling", "mark-condition"}, cmd.Flags().Changed) {
			mark := m.marking()
			e.Marking = &mark
		}
		if e.ReplyBy, err = parseTime("reply-by", replyBy); err != nil {
			return err
		}
		d, err := c.EditDraft(ctx, args[0], digest, e)
		return a.showKept(d, err)
	})
	f := cmd.Flags()
	f.StringVar(&form, "form", "", "face and body, as JSON, from this file, or from standard input (-)")
	f.StringVar(&urgency, "urgency", "", "emergency, urgent or routine")
	f.StringVar(&replyBy, "reply-by", "", "when an answer is wanted")
	m.flags(cmd)
	return cmd
}

// showKept says what became of a draft.
func (a *app) showKept(d node.KeptDraft, err error) error {
	if err != nil {
		return err
	}
	return a.print(d, func(w io.Writer) {
		fmt.Fprintf(w, "Draft %s is %s; it needs: %s.\n", d.ID.String()[:8], draftState(d), d.Need)
	})
}

// showSent says that a draft left.
func (a *app) showSent(s node.SentDraft, err error) error {
	if err != nil {
		return err
	}
	return a.print(s, func(w io.Writer) {
		if s.Number != "" {
			fmt.Fprintf(w, "Sent as %s: statement %s\n", line(s.Number), s.Statement)
			return
		}
		fmt.Fprintf(w, "Sent: statement %s\n", s.Statement)
	})
}

func (a *app) submitDraftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "submit ID",
		Short: "Send a draft that nobody else has to release",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			digest, err := seen(ctx, c, args[0], "")
			if err != nil {
				return err
			}
			show, end := a.progress("sealing")
			s, err := c.SubmitDraft(ctx, args[0], digest, show)
			end()
			return a.showSent(s, err)
		}),
	}
}

func (a *app) discardDraftCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "discard ID",
		Short: "Remove a draft's words and files for good",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			digest, err := seen(ctx, c, args[0], "")
			if err != nil {
				return err
			}
			d, err := c.DiscardDraft(ctx, args[0], digest)
			return a.showKept(d, err)
		}),
	}
}

func (a *app) reviewDraftCommand() *cobra.Command {
	return a.judgingCommand("review ID", "Say that you looked at a draft and found it good", true)
}

func (a *app) refuseDraftCommand() *cobra.Command {
	return a.judgingCommand("refuse ID", "Refuse a draft: it does not leave until it was changed", false)
}

func (a *app) judgingCommand(use, short string, good bool) *cobra.Command {
	var digest, note string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			saw, err := mustSee(ctx, c, args[0], digest)
			if err != nil {
				return err
			}
			d, err := c.ReviewDraft(ctx, args[0], saw, node.NewReview{Good: good, Note: note})
			return a.showKept(d, err)
		}),
	}
	digestFlag(cmd, &digest)
	cmd.Flags().StringVar(&note, "note", "", "what you found; a refusal needs one")
	return cmd
}

func (a *app) approveDraftCommand() *cobra.Command {
	return a.leavingCommand("approve ID", "Let a draft leave, as its second person", `Let a draft leave, as its second person: somebody who neither wrote nor changed it, with the role that the rules of its link ask for. What
leaves is what --digest names, and nothing else. Your passphrase is asked for; scripts give it in $ENTENTE_CONFIRM.`,
		func(ctx context.Context, c *node.Client, id string, digest envelope.Hash, w node.Confirmed, p node.Progress) (node.SentDraft, error) {
			return c.ReleaseDraft(ctx, id, digest, w, p)
		})
}

func (a *app) breakGlassCommand() *cobra.Command {
	return a.leavingCommand("break-glass ID", "Let an emergency leave on your word alone", `Let an emergency leave on your word alone, for a reason (--note). "entente release list" lists it, and so does "entente doctor", until
somebody else has countersigned it.`,
		func(ctx context.Context, c *node.Client, id string, digest envelope.Hash, w node.Confirmed, p node.Progress) (node.SentDraft, error) {
			return c.BreakGlass(ctx, id, digest, w, p)
		})
}

func (a *app) leavingCommand(use, short, long string, leave func(context.Context, *node.Client, string, envelope.Hash, node.Confirmed, node.Progress) (node.SentDraft, error)) *cobra.Command {
	var digest, note string
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			saw, err := mustSee(ctx, c, args[0], digest)
			if err != nil {
				return err
			}
			passphrase, err := a.confirmation(ctx)
			if err != nil {
				return err
			}
			show, end := a.progress("sealing")
			s, err := leave(ctx, c, args[0], saw, node.Confirmed{Passphrase: passphrase, Note: note}, show)
			end()
			return a.showSent(s, err)
		}),
	}
	digestFlag(cmd, &digest)
	cmd.Flags().StringVar(&note, "note", "", "why")
	return cmd
}

func (a *app) countersignDraftCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "countersign ID",
		Short: "Countersign what left on one person's word",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			passphrase, err := a.confirmation(ctx)
			if err != nil {
				return err
			}
			d, err := c.Countersign(ctx, args[0], node.Confirmed{Passphrase: passphrase, Note: note})
			return a.showKept(d, err)
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "what you found")
	return cmd
}
