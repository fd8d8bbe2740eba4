package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/node"
	"entente/statement"
)

func (a *app) desksCommand() *cobra.Command {
	var link string
	cmd := &cobra.Command{
		Use:   "desks",
		Short: "List the desks of both parties, and change them",
		Long: `List the desks: the standing points of contact of both parties. A desk is proposed by its owner and becomes active
when the other party countersigns it.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			desks, err := c.Desks(ctx, link)
			if err != nil {
				return err
			}
			return a.print(desks, func(w io.Writer) {
				if len(desks) == 0 {
					fmt.Fprintln(w, "There is no desk yet. Propose one with: entente desks propose LINK --role … --name …")
					return
				}
				t := newTable("DESK", "LINK", "OWNER", "ROLE", "STANDING", "STATE", "UNTIL", "NAME")
				for _, d := range desks {
					t.row(short(d.ID), line(d.LinkAlias), owner(d.Ours), line(d.Role), line(d.Standing), d.State, maybe(d.ValidTo), deskName(d))
				}
				t.write(w)
			})
		}),
	}
	cmd.Flags().StringVar(&link, "link", "", "only those of one link")
	cmd.AddCommand(a.proposeCommand(), a.updateCommand(), a.countersignCommand(), a.withdrawCommand())
	return cmd
}

func owner(ours bool) string {
	if ours {
		return "we"
	}
	return "they"
}

func deskName(d node.Desk) string {
	if d.Body == nil {
		return "(erased)"
	}
	return names(d.Body.Names)
}

// proposal is the flags that describe a desk.
type proposal struct {
	role, standing, from, to string
	called, hours            []string
	body                     statement.DeskBody
}

func (p *proposal) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.role, "role", "", strings.Join(statement.DeskRoles(), ", "))
	f.StringVar(&p.standing, "standing", "permanent", "interim or permanent")
	f.StringVar(&p.from, "from", "", "when it begins (default now)")
	f.StringVar(&p.to, "to", "", "when it ends; an interim desk must end")
	f.StringArrayVar(&p.called, "name", nil, "a name as language=name; repeat for each language")
	f.BoolVar(&p.body.Always, "always", false, "it answers day and night")
	f.StringArrayVar(&p.hours, "hours", nil, `when it answers, such as "mon-fri 09:00-17:00"; repeat for each`)
	f.StringVar(&p.body.Zone, "zone", "UTC", "the time zone of its hours")
	f.StringArrayVar(&p.body.Languages, "language", []string{"en"}, "a language that it speaks; repeat for each")
	f.StringArrayVar(&p.body.Substitutes, "substitute", nil, "the id or role of a desk that stands in for it; repeat in order")
	f.StringVar(&p.body.Mail, "mail", "", "its mail address")
	f.StringVar(&p.body.Telephone, "telephone", "", "its telephone number")
}

func (p *proposal) read() (node.DeskProposal, error) {
	out := node.DeskProposal{Role: p.role, Standing: p.standing}
	var err error
	if p.body.Names, err = pairs("name", p.called); err != nil {
		return out, err
	}
	if p.role == "" || len(p.body.Names) == 0 {
		return out, usage("Give the desk a --role and a --name, such as --role hotline --name en=Hotline")
	}
	for _, h := range p.hours {
		days, clock, ok := strings.Cut(h, " ")
		from, to, ok2 := strings.Cut(clock, "-")
		if !ok || !ok2 {
			return out, usage(`Write --hours as "mon-fri 09:00-17:00", not %q.`, h)
		}
		p.body.Hours = append(p.body.Hours, statement.Hours{Days: days, From: from, To: to})
	}
	from, err := parseTime("from", p.from)
	if err != nil {
		return out, err
	}
	if from != nil {
		out.ValidFrom = *from
	}
	if out.ValidTo, err = parseTime("to", p.to); err != nil {
		return out, err
	}
	out.Body = p.body
	return out, nil
}

func (a *app) proposeCommand() *cobra.Command {
	var p proposal
	cmd := &cobra.Command{
		Use:     "propose LINK",
		Short:   "Propose a desk of ours",
		Example: `  entente desks propose kestria --role hotline --name en=Hotline --name zh=热线 --always`,
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			body, err := p.read()
			if err != nil {
				return err
			}
			said, err := c.ProposeDesk(ctx, node.NewDesk{Link: args[0], Proposal: body})
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	p.flags(cmd)
	return cmd
}

func (a *app) updateCommand() *cobra.Command {
	var p proposal
	cmd := &cobra.Command{
		Use:   "update DESK",
		Short: "Propose another edition of a desk of ours",
		Long:  "Propose another edition of a desk of ours. It replaces the one in force when the other party countersigns it.",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			body, err := p.read()
			if err != nil {
				return err
			}
			said, err := c.UpdateDesk(ctx, args[0], body)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	p.flags(cmd)
	return cmd
}

func (a *app) countersignCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "countersign DESK",
		Short: "Countersign the newest proposal of a desk of the other party",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			said, err := c.CountersignDesk(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
}

func (a *app) withdrawCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "withdraw DESK",
		Short: "Withdraw a desk of ours",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			said, err := c.WithdrawDesk(ctx, args[0], reason)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "closed", strings.Join(statement.WithdrawReasons(), ", "))
	return cmd
}
