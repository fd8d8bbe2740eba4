package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

const maxCertificates = 64 << 10 // bytes of a file with certificates

func (a *app) webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Tell your own systems of what happens here, by signed HTTPS calls",
		Long: `Tell your own systems of what happens here. A receiver gets a POST with ids, kinds, due times and the local name of the link, and
nothing that a person wrote; it asks the API for the rest, with a token. Signatures are those of Standard Webhooks 1.0.0. A notice is
posted until its receiver answers 2xx, so it may come twice: webhook-id is the same each time.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.addWebhookCommand(), a.listWebhooksCommand(), a.rotateWebhookCommand(), a.testWebhookCommand(), a.deliveriesCommand(),
		a.webhookCommand("remove", "Forget a receiver, and all that it was to be told", "Removed.",
			func(ctx context.Context, c *node.Client, id string) error { return c.RemoveWebhook(ctx, id) }),
		a.webhookCommand("resume", "Tell a receiver again that was disabled or is left alone, and what was given up", "It is told again.",
			func(ctx context.Context, c *node.Client, id string) error { return c.ResumeWebhook(ctx, id) }))
	return cmd
}

// webhookCommand is a command that does something to one webhook.
func (a *app) webhookCommand(name, short, sentence string, do func(context.Context, *node.Client, string) error) *cobra.Command {
	cmd := a.memberCommand(name, short, sentence, do)
	cmd.Use = name + " ID"
	return cmd
}

func (a *app) addWebhookCommand() *cobra.Command {
	var hook node.NewWebhook
	var ca string
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Name a receiver, and show the secret that signs once",
		Long: `Name a receiver, and show the secret that signs once. Redirects are not followed, and a receiver at a private address, or on this
machine, is called only with --private. The events are: ` + strings.Join(node.Events(), ", ") + ".",
		Example: "  entente webhooks add https://cases.example/hook --event request.received --event call.received",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			hook.URL = args[0]
			if ca != "" {
				pem, err := a.read(ca, maxCertificates)
				if err != nil {
					return err
				}
				hook.CA = pem
			}
			made, err := c.AddWebhook(ctx, hook)
			if err != nil {
				return err
			}
			return a.print(made, func(w io.Writer) {
				fmt.Fprintf(w, "Webhook %s signs with:\n%s\nIt is not shown again. Try it with: entente webhooks test %s\n", made.Webhook.ID, made.Secret, made.Webhook.ID)
			})
		}),
	}
	cmd.Flags().StringArrayVar(&hook.Events, "event", nil, "an event that it is told of; repeat for several; all without it")
	cmd.Flags().BoolVar(&hook.Private, "private", false, "it may stand at a private address, or on this machine")
	cmd.Flags().StringVar(&ca, "ca", "", "file with the certificates that vouch for it, as PEM; those of the system without it")
	cmd.Flags().StringVar(&hook.Note, "note", "", "what it is for")
	return cmd
}

func (a *app) listWebhooksCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the receivers that are told of events, and how they do",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Webhooks(ctx)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "There is none yet; name one with: entente webhooks add")
					return
				}
				t := newTable("ID", "URL", "EVENTS", "STATE", "NOTE")
				for _, k := range list {
					t.row(k.ID, line(k.URL), cmp.Or(strings.Join(k.Events, ", "), "all"), webhookState(k), line(k.Note))
				}
				t.write(w)
			})
		}),
	}
}

// webhookState is how a receiver does, in a few words.
func webhookState(k node.Webhook) string {
	switch {
	case k.Disabled != nil:
		return "disabled since " + instant(*k.Disabled) + ": " + k.Why
	case k.Failing != nil:
		return "failing since " + instant(*k.Failing) + ": " + k.Code
	}
	return "told"
}

func (a *app) rotateWebhookCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a webhook another secret, and show it once; the one before signs beside it for a day",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			s, err := c.RotateWebhook(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(s, func(w io.Writer) {
				fmt.Fprintf(w, "Webhook %s signs with:\n%s\nIt is not shown again. For a day the one before signs too.\n", s.ID, s.Secret)
			})
		}),
	}
}

func (a *app) testWebhookCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test ID",
		Short: "Tell a receiver of an event that says nothing",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			tested, err := c.TestWebhook(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(tested, func(w io.Writer) {
				fmt.Fprintf(w, "%s is posted within seconds; see: entente webhooks deliveries %s\n", tested.Event, args[0])
			})
		}),
	}
}

func (a *app) deliveriesCommand() *cobra.Command {
	var state, before string
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries ID",
		Short: "List what a receiver was or is to be told, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			list, err := c.Deliveries(ctx, args[0], state, before, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is none.")
					return
				}
				t := newTable("EVENT", "TYPE", "MADE", "STATE", "TRIES", "STATUS", "CODE", "AGAIN")
				for _, d := range list.Items {
					t.row(d.Event, d.Type, instant(d.Created), d.State, fmt.Sprint(d.Attempts), fmt.Sprint(d.Status), d.Code, maybe(d.Next))
				}
				t.write(w)
				more(w, "--before", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "waiting, delivered or given_up")
	cmd.Flags().StringVar(&before, "before", "", "the cursor of the page before")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}
