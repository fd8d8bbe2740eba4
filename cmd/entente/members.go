package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/internal/node"
)

func (a *app) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "members",
		Short: "Keep the accounts of this node: who may do what, and with which token",
		Long: `Keep the accounts of this node. Whoever owns the node's socket is its operator and makes the first members. A member acts with a
token (in $ENTENTE_TOKEN, or in the file $ENTENTE_TOKEN_FILE), and confirms a release by a passphrase. Nothing of it crosses to another party.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.listMembersCommand(), a.addMemberCommand(), a.memberRolesCommand(), a.memberPassphraseCommand(), a.meCommand(), a.tokenCommand(),
		a.memberCommand("suspend", "Keep a member and all his tokens out", "Suspended.", func(ctx context.Context, c *node.Client, name string) error { return c.SuspendMember(ctx, name) }),
		a.memberCommand("resume", "Let a suspended member in again", "Let in again.", func(ctx context.Context, c *node.Client, name string) error { return c.ResumeMember(ctx, name) }))
	return cmd
}

func (a *app) listMembersCommand() *cobra.Command {
	var after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the members, by name",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			list, err := c.Members(ctx, after, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list.Items) == 0 {
					fmt.Fprintln(w, "There is no member yet; make one with: entente members add")
					return
				}
				t := newTable("NAME", "ROLES", "SINCE", "SUSPENDED")
				for _, m := range list.Items {
					t.row(m.Name, wordList(m.Roles), instant(m.Created), maybe(m.Suspended))
				}
				t.write(w)
				more(w, "--after", list.Next)
			})
		}),
	}
	cmd.Flags().StringVar(&after, "after", "", "only those whose names follow this one")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

// wordList joins roles or scopes.
func wordList[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}

// named turns words into roles or scopes; the node refuses those that there are not.
func named[T ~string](words []string) []T {
	out := make([]T, len(words))
	for i, v := range words {
		out[i] = T(v)
	}
	return out
}

func (a *app) addMemberCommand() *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:     "add NAME",
		Short:   "Make an account, and show its passphrase once",
		Example: "  entente members add anna --role drafter --role duty_officer",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if len(roles) == 0 {
				return usage("Give the member at least one --role: %s.", wordList(node.Roles()))
			}
			p, err := c.AddMember(ctx, node.NewMember{Name: args[0], Roles: named[node.Role](roles)})
			return a.showPassphrase(p, err)
		}),
	}
	cmd.Flags().StringArrayVar(&roles, "role", nil, wordList(node.Roles())+"; repeat for several")
	return cmd
}

// showPassphrase shows a new passphrase, once.
func (a *app) showPassphrase(p node.NewPassphrase, err error) error {
	if err != nil {
		return err
	}
	return a.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "Passphrase of %s: %s\nIt is not shown again. Who gets it should choose another: entente members passphrase\n", p.Name, p.Passphrase)
	})
}

func (a *app) memberRolesCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "roles NAME ROLE…",
		Short:   "Give a member other roles in place of those that he has",
		Long:    "Give a member other roles in place of those that he has. The roles are: " + wordList(node.Roles()) + ". Nobody changes his own.",
		Example: "  entente members roles anna drafter releasing_officer",
		Args:    cobra.MinimumNArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if err := c.SetRoles(ctx, args[0], named[node.Role](args[1:])); err != nil {
				return err
			}
			return a.printDone("Changed.")
		}),
	}
}

// printDone says that something was done that has no other result.
func (a *app) printDone(sentence string) error {
	return a.print(map[string]bool{"done": true}, func(w io.Writer) { fmt.Fprintln(w, sentence) })
}

// memberCommand is a command that does something to one member.
func (a *app) memberCommand(name, short, sentence string, do func(context.Context, *node.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   name + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if err := do(ctx, c, args[0]); err != nil {
				return err
			}
			return a.printDone(sentence)
		}),
	}
}

func (a *app) memberPassphraseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "passphrase [NAME]",
		Short: "Choose another passphrase, or give a member a new one",
		Long: `Without a name, a member who shows a token chooses another passphrase, which nobody else sees; the old one is asked for first.
With a name, an operator gives a member a new one, which is shown once.`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if len(args) == 1 {
				p, err := c.ResetPassphrase(ctx, args[0])
				return a.showPassphrase(p, err)
			}
			old, err := a.confirmation(ctx)
			if err != nil {
				return err
			}
			words, err := a.newPassphrase(ctx)
			if err != nil {
				return err
			}
			if err := c.ChangePassphrase(ctx, node.PassphraseChange{Old: old, New: words}); err != nil {
				return err
			}
			return a.printDone("Changed.")
		}),
	}
}

// confirmVar holds, for scripts, the passphrase by which a member confirms what he does.
const confirmVar = "ENTENTE_CONFIRM"

// confirmation is the passphrase by which a member confirms what he does: from the environment, or asked for on a terminal.
func (a *app) confirmation(ctx context.Context) (string, error) {
	if p, ok := a.env(confirmVar); ok {
		return p, nil
	}
	return a.secretOr(ctx, "Your passphrase: ", "There is no terminal to ask for your passphrase; set "+confirmVar+".")
}

func (a *app) meCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "me",
		Short: "Say as whom you act, and what your roles and your token allow",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			me, err := c.Me(ctx)
			if err != nil {
				return err
			}
			return a.print(me, func(w io.Writer) {
				pair(w, "Name", line(me.Name))
				pair(w, "Roles", wordList(me.Roles))
				if me.Scopes != nil {
					pair(w, "Scopes", wordList(me.Scopes))
				}
			})
		}),
	}
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of members",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.addTokenCommand(), a.listTokensCommand(), &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token at once",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if err := c.RevokeToken(ctx, args[0]); err != nil {
				return err
			}
			return a.printDone("Revoked.")
		}),
	})
	return cmd
}

func (a *app) addTokenCommand() *cobra.Command {
	var scopes []string
	var valid time.Duration
	var note string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token for a member, and show its secret once",
		Long: `Make a token for a member, and show its secret once; the node keeps only what it is recognised by. A token allows what the
member's roles and its own scopes allow.`,
		Example: "  entente members token add anna --scope read --scope say --note \"her laptop\"",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if len(scopes) == 0 {
				return usage("Give the token at least one --scope: %s.", wordList(node.Scopes()))
			}
			made, err := c.AddToken(ctx, args[0], node.NewToken{Scopes: named[node.Scope](scopes), Valid: int64(valid / time.Second), Note: note})
			if err != nil {
				return err
			}
			return a.print(made, func(w io.Writer) {
				fmt.Fprintf(w, "Token %s of %s, until %s:\n%s\nIt is not shown again.\n", made.Token.ID, line(made.Token.Member), instant(made.Token.Expires), made.Secret)
			})
		}),
	}
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, wordList(node.Scopes())+"; repeat for several")
	cmd.Flags().DurationVar(&valid, "valid", 90*24*time.Hour, "for how long; 8784h at most")
	cmd.Flags().StringVar(&note, "note", "", "what it is for")
	return cmd
}

func (a *app) listTokensCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list NAME",
		Short: "List a member's tokens, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			list, err := c.Tokens(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(w, "There is none.")
					return
				}
				t := newTable("ID", "SCOPES", "MADE", "UNTIL", "REVOKED", "USED", "NOTE")
				for _, k := range list {
					t.row(k.ID, wordList(k.Scopes), instant(k.Created), instant(k.Expires), maybe(k.Revoked), maybe(k.Used), line(k.Note))
				}
				t.write(w)
			})
		}),
	}
}
