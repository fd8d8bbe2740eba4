package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/internal/node"
	"entente/party"
)

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List this node's keys, replace them, or recover the identity",
		Long: `List the versions of this node's identity: how long each is valid, what its keys are still for, and where they lie.
The version in force signs. The keys of those before open what was sealed for them until their overlap of 30 days is over; then they
are destroyed.

"rotate" replaces keys that nobody else has. When they may be in other hands, use "recover": a thief can rotate as well, and only a
version that the recovery keys signed outranks his.`,
		Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			k, err := c.Keys(ctx)
			if err != nil {
				return err
			}
			return a.printKeys(k)
		}),
	}
	cmd.AddCommand(a.rotateCommand(), a.recoverCommand(), a.protectCommand())
	return cmd
}

func (a *app) printKeys(k node.Keys) error {
	return a.print(k, func(w io.Writer) { showKeys(w, k) })
}

func showKeys(w io.Writer, k node.Keys) {
	pair(w, "Party", k.Party.String())
	pair(w, "Storage", k.Storage)
	pair(w, "Recovery", fmt.Sprintf("%d of %d recovery keys sign", k.Recovery.Need, k.Recovery.Of))
	fmt.Fprintln(w)
	t := newTable("VERSION", "FROM", "UNTIL", "KEYS", "SIGNED BY", "COMPROMISED SINCE")
	for _, v := range k.Versions {
		by := "keys"
		if v.Recovered {
			by = "recovery keys"
		}
		if v.Version == 1 {
			by = "itself"
		}
		since := ""
		if v.Compromised != nil {
			since = instant(*v.Compromised)
		}
		t.row(fmt.Sprint(v.Version), instant(v.NotBefore), instant(v.NotAfter), purpose(v.Signs, v.Opens, v.OverlapEnd, v.Destroyed), by, since)
	}
	t.write(w)
	if k.Prepared != nil {
		fmt.Fprintln(w, "\nA version waits for the recovery keys: finish it with \"entente keys recover finish\", or give it up with \"entente keys recover cancel\".")
	}
	if k.Forged > 0 {
		fmt.Fprintf(w, "\nPeers were shown %d versions of this identity that this node did not make: somebody has its keys. Recover now: entente keys recover prepare --compromise-since TIME --out FILE\n", k.Forged)
	}
}

// purpose says what keys are still for.
func purpose(signs, opens bool, end, destroyed *time.Time) string {
	switch {
	case signs:
		return "sign and open"
	case opens && end != nil:
		return "open until " + instant(*end)
	case destroyed != nil:
		return "destroyed " + instant(*destroyed)
	}
	return "none"
}

// renewalFlags are those of a new version of the identity.
type renewalFlags struct {
	names []string
	days  int
	since string
	r     node.Renewal
}

func (f *renewalFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.since, "compromise-since", "", "since when the keys so far may have been in other hands, as 2031-03-01 or 2031-03-01T12:00:00Z; shown beside all that they signed since")
	flags.IntVar(&f.days, "days", 0, "how long the new version is valid, in days (default as long as the one before)")
	flags.StringArrayVar(&f.names, "name", nil, "a name of the party as language=name; names all of them anew, repeat for each language")
	flags.StringVar(&f.r.Authority, "authority", "", "the office that answers for the party, if it is another one now")
}

func (f *renewalFlags) renewal() (node.Renewal, error) {
	var err error
	if f.r.Names, err = pairs("name", f.names); err != nil {
		return f.r, err
	}
	f.r.Compromised, err = parseTime("compromise-since", f.since)
	f.r.Validity = int64(f.days) * 24 * 3600
	return f.r, err
}

func (a *app) rotateCommand() *cobra.Command {
	var f renewalFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the keys by new ones",
		Long: `Replace all keys of the node by new ones, in a new version of the identity that the old and the new keys sign. It is in
force on every link from its place in our ledger there; peers learn of it with the next delivery. What was sealed for the old keys
opens for 30 days more. The key file is changed in place, under the same passphrase or key file: make a backup afterwards.

It needs no recovery keys, so a thief of the keys can do it, too. If they may be in other hands, use "entente keys recover".`,
		Example: "  entente keys rotate\n  entente keys rotate --days 730",
		Args:    cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			r, err := f.renewal()
			if err != nil {
				return err
			}
			k, err := c.Rotate(ctx, r)
			if err != nil {
				return err
			}
			return a.printKeys(k)
		}),
	}
	f.add(cmd)
	return cmd
}

func (a *app) recoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Take the identity back with the recovery keys",
		Long: `Take the identity back when its keys were stolen, may have been, or have expired. In three steps, at different times and
on different machines:

  1. "prepare" makes new keys at the node, and a document that says so.
  2. As many holders of recovery keys as are needed "sign" the document, each where he is; one copy may go round, or each signs his own.
  3. "finish" puts the new version in force at the node.

A version that the recovery keys signed outranks whatever a thief signed, in whatever order peers learn of them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.prepareCommand(), a.signCommand(), a.finishCommand(), a.cancelCommand())
	return cmd
}

// prepared is a document for the recovery keys, as --json shows it.
type prepared struct {
	File     string   `json:"file"`
	Digits   string   `json:"digits"`
	Recovery []string `json:"recovery,omitempty"`
}

func (a *app) prepareCommand() *cobra.Command {
	var f renewalFlags
	var out, dir string
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Make new keys, and the document that the recovery keys sign",
		Long: `Make new keys at the node, and the document that the recovery keys are to sign. Nothing is in force yet. Read the digits
that it prints to those who sign, by telephone: they see the same ones, or somebody had them sign another document.

With --new-recovery, new recovery keys are made as well, and replace those that sign: do that when one of them was used outside its safe.`,
		Example: "  entente keys recover prepare --compromise-since 2031-03-01 --out version-2.json",
		Args:    cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			if out == "" {
				return usage("Say with --out into which new file the document is written.")
			}
			r, err := f.renewal()
			if err != nil {
				return err
			}
			shown := prepared{File: out}
			if dir != "" {
				if r.Recovery, shown.Recovery, err = node.NewRecoveryKeys(dir); err != nil {
					return err
				}
			}
			document, err := c.PrepareRecovery(ctx, r)
			if err != nil {
				return err
			}
			if err := a.save(out, func(w io.Writer) error { _, err := w.Write(document); return err }); err != nil {
				return err
			}
			_, hash, err := node.ReadRecovery(document)
			if err != nil {
				return err
			}
			shown.Digits = party.Fingerprint(hash)
			return a.print(shown, func(w io.Writer) {
				pair(w, "Document", line(out))
				pair(w, "Digits", shown.Digits)
				for _, path := range shown.Recovery {
					pair(w, "Recovery key", line(path))
				}
				fmt.Fprintf(w, "\nHave it signed: entente keys recover sign %s --key FILE --out FILE\n", line(out))
			})
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "", "write the document to this new file")
	cmd.Flags().StringVar(&dir, "new-recovery", "", "make new recovery keys, and write them into this directory")
	return cmd
}

func (a *app) signCommand() *cobra.Command {
	var key, out, digits string
	cmd := &cobra.Command{
		Use:   "sign DOCUMENT",
		Short: "Sign what was prepared with a recovery key",
		Long: `Sign what was prepared, or a copy that others have signed, with a recovery key. It needs no node and no network. The key
is a file as "entente init" made it, the same typed from paper, or one of "entente keys protect", whose passphrase is asked for.

Without --key it shows what the document says. Compare the digits with those that the node's operator reads to you by telephone, then
give them with --digits: another document is not signed.`,
		Example: "  entente keys recover sign version-2.json\n  entente keys recover sign version-2.json --key recovery-1-of-3.txt --digits \"04711 …\" --out version-2.signed-1.json",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			document, err := a.read(args[0], node.MaxRecoveryFile)
			if err != nil {
				return err
			}
			i, hash, err := node.ReadRecovery(document)
			if err != nil {
				return err
			}
			shown := prepared{File: out, Digits: party.Fingerprint(hash)}
			if key != "" {
				if out == "" || digits == "" {
					return usage("To sign, give the --digits that the node's operator read to you, and the new file with --out.")
				}
				if strings.Join(strings.Fields(digits), "") != strings.ReplaceAll(shown.Digits, " ", "") {
					return usage("The digits are not those of this document: it is another one than the node's operator has, or a digit was misread. Nothing was signed.")
				}
				share, err := a.read(key, node.MaxRecoveryFile)
				if err != nil {
					return err
				}
				signed, _, err := node.SignRecovery(document, share, a.passphrase(ctx))
				if err != nil {
					return err
				}
				if err := a.save(out, func(w io.Writer) error { _, err := w.Write(signed); return err }); err != nil {
					return err
				}
			}
			return a.print(shown, func(w io.Writer) { showPrepared(w, i, shown) })
		}),
	}
	cmd.Flags().StringVar(&key, "key", "", "the file of the recovery key")
	cmd.Flags().StringVar(&digits, "digits", "", "the digits of the document, as its operator read them to you")
	cmd.Flags().StringVar(&out, "out", "", "write the signed copy to this new file")
	return cmd
}

func showPrepared(w io.Writer, i *party.Identity, shown prepared) {
	pair(w, "Party", names(i.Names))
	pair(w, "Authority", line(i.Authority))
	pair(w, "Version", fmt.Sprint(i.Version))
	pair(w, "Valid", micros(i.NotBefore)+" to "+micros(i.NotAfter))
	if i.CompromiseSince != nil {
		pair(w, "Compromised", "since "+micros(*i.CompromiseSince))
	}
	pair(w, "Recovery", fmt.Sprintf("%d of %d recovery keys", i.Recovery.Need, len(i.Recovery.Keys)))
	pair(w, "Digits", shown.Digits)
	if shown.File != "" {
		fmt.Fprintf(w, "\nSigned: %s\nGive it to the node's operator, who ends with: entente keys recover finish FILE …\n", line(shown.File))
	}
}

func (a *app) finishCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "finish FILE…",
		Short:   "Put in force what the recovery keys signed",
		Long:    "Put in force the version that was prepared, with copies of the document that holders of recovery keys signed: as many as are needed.",
		Example: "  entente keys recover finish version-2.signed-1.json version-2.signed-3.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			var signed [][]byte
			for _, name := range args {
				data, err := a.read(name, node.MaxRecoveryFile)
				if err != nil {
					return err
				}
				signed = append(signed, data)
			}
			k, err := c.FinishRecovery(ctx, signed)
			if err != nil {
				return err
			}
			return a.printKeys(k)
		}),
	}
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel",
		Short: "Give up what was prepared",
		Long:  "Give up the version that waits for the recovery keys, and destroy the keys that were made for it.",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			k, err := c.CancelRecovery(ctx)
			if err != nil {
				return err
			}
			return a.printKeys(k)
		}),
	}
}

// protected is a recovery key that was locked, as --json shows it.
type protected struct {
	File string `json:"file"`
}

func (a *app) protectCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "protect KEY",
		Short: "Lock a recovery key by a passphrase of its holder",
		Long: `Write a recovery key to a file that opens with its holder's passphrase alone, for who keeps it on a medium rather than on
paper. It needs no node. The file that it was read from is not touched: delete it when the new one is in its place.`,
		Example: "  entente keys protect recovery-1-of-3.txt --out /media/stick/recovery-1.key",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			if out == "" {
				return usage("Say with --out into which new file the locked key is written.")
			}
			key, err := a.read(args[0], node.MaxRecoveryFile)
			if err != nil {
				return err
			}
			passphrase, err := a.newPassphrase(ctx)
			if err != nil {
				return err
			}
			locked, err := node.ProtectRecoveryKey(key, a.passphrase(ctx), passphrase)
			if err != nil {
				return err
			}
			if err := a.save(out, func(w io.Writer) error { _, err := w.Write(locked); return err }); err != nil {
				return err
			}
			return a.print(protected{out}, func(w io.Writer) { fmt.Fprintf(w, "It is in %s; delete %s.\n", line(out), line(args[0])) })
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write the locked key to this new file")
	return cmd
}
