package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

func (a *app) suspendCommand() *cobra.Command {
	var lanes []string
	var how node.Suspension
	cmd := &cobra.Command{
		Use:   "suspend LINK",
		Short: "Suspend lanes of a link",
		Long: `Suspend lanes of a link: neither party says anything more in them until we resume them with "entente resume". It is
in force for us at once, and for the other party from its receipt. Nothing is lost: what was said stays, and what was on its way when
the other party received this is still taken. The control lane stays open always, for what is owed. The other party may suspend
lanes as well; each party resumes its own.

A reason is a code; "withheld" is one, too.`,
		Example: "  entente suspend kestria --lane network --reason consultation\n  entente suspend kestria --lane all --reason withheld",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			var err error
			if how.Lanes, err = lanesOf(lanes); err != nil {
				return err
			}
			if how.Reason == "" {
				return usage("Give a --reason: %s", strings.Join(statement.ParticipationReasons(), ", "))
			}
			said, err := c.Suspend(ctx, args[0], how)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	laneFlags(cmd, &lanes)
	reasonFlags(cmd, &how.Reason, &how.Words)
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	var lanes []string
	var how node.Resumption
	cmd := &cobra.Command{
		Use:     "resume LINK",
		Short:   "Resume lanes that we suspended",
		Long:    "Resume lanes that we suspended. A lane that the other party suspended as well stays suspended until it resumes it, too.",
		Example: "  entente resume kestria --lane network",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			var err error
			if how.Lanes, err = lanesOf(lanes); err != nil {
				return err
			}
			said, err := c.Resume(ctx, args[0], how)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	laneFlags(cmd, &lanes)
	cmd.Flags().StringVar(&how.Words, "words", "", "what else to say to the other party")
	return cmd
}

func (a *app) withdrawLinkCommand() *cobra.Command {
	var how node.LinkWithdrawal
	var yes bool
	cmd := &cobra.Command{
		Use:   "withdraw LINK",
		Short: "Withdraw from a link",
		Long: `Withdraw from a link. This is final, and valid whether or not the other party can be reached: it is told as soon as it can be, and
both ledgers are closed with cosigned checkpoints. Both records stay whole and provable. The control lane stays open for what is
still owed. To speak again later, pair anew. To pause instead, see "entente suspend".`,
		Example: "  entente withdraw kestria --reason withheld --yes",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if how.Reason == "" {
				return usage("Give a --reason: %s", strings.Join(statement.ParticipationReasons(), ", "))
			}
			if !yes {
				return usage("A withdrawal is final; say --yes if it is meant. To pause, see: entente suspend --help")
			}
			said, err := c.Withdraw(ctx, args[0], how)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	reasonFlags(cmd, &how.Reason, &how.Words)
	cmd.Flags().BoolVar(&yes, "yes", false, "it is meant")
	return cmd
}

func laneFlags(cmd *cobra.Command, lanes *[]string) {
	cmd.Flags().StringSliceVar(lanes, "lane", nil, "hotline, assistance, network, accord, dialogue, or all of them; repeat for each")
}

func reasonFlags(cmd *cobra.Command, reason, words *string) {
	cmd.Flags().StringVar(reason, "reason", "", strings.Join(statement.ParticipationReasons(), ", "))
	cmd.Flags().StringVar(words, "words", "", "what else to say to the other party")
}

// lanesOf reads the lanes that are meant.
func lanesOf(names []string) ([]statement.Lane, error) {
	var lanes []statement.Lane
	for _, name := range names {
		if name == "all" && len(names) == 1 {
			return statement.Lanes()[1:], nil
		}
		if lane := statement.Lane(name); lane == statement.Control {
			return nil, fault.New(fault.Invalid, "lane", "The control lane is never suspended; name others: hotline, assistance, network, accord, dialogue, or all")
		}
		lanes = append(lanes, statement.Lane(name))
	}
	if len(lanes) == 0 {
		return nil, usage("Name at least one --lane: hotline, assistance, network, accord, dialogue, or all")
	}
	return lanes, nil
}

// showParticipation says who takes part no more, or not in every lane.
func showParticipation(w io.Writer, l node.Link) {
	for _, x := range l.Withdrawn {
		pair(w, "Withdrawn", fmt.Sprintf("%s withdrew, %s (%s)", owner(x.Ours), received(x.Ours, maybe(x.Since)), line(x.Reason)))
	}
	for _, s := range l.Suspended {
		who := "the other party"
		if s.Ours {
			who = "us"
		}
		pair(w, "Suspended", fmt.Sprintf("%s, by %s, %s (%s)", line(string(s.Lane)), who, received(s.Ours, maybe(s.Since)), line(s.Reason)))
	}
}

// received says since when a word about taking part is in force.
func received(ours bool, since string) string {
	if ours && since == "-" {
		return "not received by the other party yet"
	}
	return "since " + since
}
