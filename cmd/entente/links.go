package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// maxInvitation bounds the file of an invitation.
const maxInvitation = 1 << 20

func (a *app) inviteCommand() *cobra.Command {
	var valid time.Duration
	var out string
	var modes []string
	var edition string
	cmd := &cobra.Command{
		Use:   "invite ALIAS",
		Short: "Make an invitation for another party",
		Long: `Make an invitation and write it as a file to give to the other party by a way that you trust. It can be used once.
ALIAS is your own name for the link to be; it never crosses.

With --mode oneway the link carries what you say to the other party, in courier files, and nothing back: nothing on it can be
acknowledged.`,
		Example: "  entente invite kestria --out kestria.invitation\n  entente invite kestria --mode oneway --out kestria.invitation",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			var expires int64
			offer := statement.DefaultAgreement()
			if len(modes) > 0 {
				offer.Modes = modes
			}
			rules, err := offer.Rules.Toward(edition)
			if err != nil {
				return usage("Give as --edition one of: %s", strings.Join(statement.Editions(), ", "))
			}
			offer.Rules = rules
			err = a.save(out, func(w io.Writer) error {
				inv, err := c.Invite(ctx, args[0], int64(valid/time.Second), offer)
				if err != nil {
					return err
				}
				data, err := inv.Encode()
				if err == nil {
					_, err = fmt.Fprintf(w, "%s\n", data)
				}
				expires = inv.Expires
				return err
			})
			if err != nil {
				return err
			}
			if out != "" && !a.json {
				fmt.Fprintf(a.stdout, "The invitation is in %s, valid until %s.\nThe other party accepts it with: entente accept ALIAS %s\n"+
					"Without a network: entente accept ALIAS %s --courier --out FILE\n", out, micros(expires), out, out)
			}
			return nil
		}),
	}
	cmd.Flags().DurationVar(&valid, "valid", 72*time.Hour, "how long it can be used")
	cmd.Flags().StringVar(&out, "out", "", "write it to this new file instead of standard output")
	cmd.Flags().StringSliceVar(&modes, "mode", nil, "the ways to agree on: https, courier or both, or oneway; https and courier without it")
	cmd.Flags().StringVar(&edition, "edition", statement.KindsEdition, "the edition of kinds to agree on; an older one for a node that does not know the newest")
	return cmd
}

func (a *app) acceptCommand() *cobra.Command {
	var courier bool
	var out string
	cmd := &cobra.Command{
		Use:   "accept ALIAS FILE",
		Short: "Accept another party's invitation",
		Long: `Accept an invitation, from a file or from standard input (-), and make the link with the party that gave it.
ALIAS is your own name for the link; it never crosses. The link carries nothing of weight until people of both parties
have compared its short code: see "entente confirm".

With --courier nothing goes over a network: the answer is written into a new file, for the other party to go on with by
"entente pair".`,
		Example: "  entente accept arvenia arvenia.invitation\n  entente accept arvenia arvenia.invitation --courier --out answer.pairing",
		Args:    cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			data, err := a.read(args[1], maxInvitation)
			if err != nil {
				return err
			}
			if courier || out != "" {
				if !courier || out == "" {
					return usage("Say --courier and --out FILE together: the answer goes into a file.")
				}
				return a.acceptByFile(ctx, c, args[0], data, out)
			}
			l, err := c.Accept(ctx, args[0], data)
			if fault.CodeOf(err) == "peer_unknown" {
				return fault.New(fault.Conflict, "peer_unknown", "The other party's node does not take this invitation: it was used, or has run out. Ask for a new one.")
			}
			if err != nil {
				return err
			}
			return a.print(l, func(w io.Writer) { showLink(w, l) })
		}),
	}
	cmd.Flags().BoolVar(&courier, "courier", false, "answer by a file, without a network")
	cmd.Flags().StringVar(&out, "out", "", "write the answer into this new file")
	return cmd
}

// pairedFile is a pairing file that was written, as --json shows it.
type pairedFile struct {
	File string `json:"file"`
}

func (a *app) acceptByFile(ctx context.Context, c *node.Client, alias string, invitation []byte, out string) error {
	err := a.save(out, func(w io.Writer) error {
		answer, err := c.AcceptByFile(ctx, alias, invitation)
		if err == nil {
			_, err = w.Write(answer)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.print(pairedFile{out}, func(w io.Writer) {
		fmt.Fprintf(w, "The answer is in %s.\nThe other party goes on with: entente pair %s --out FILE\n", line(out), line(out))
	})
}

// paired is what a pairing file led to, as --json shows it.
type paired struct {
	Link node.Link `json:"link"`
	File string    `json:"file,omitempty"`
}

func (a *app) pairCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pair FILE",
		Short: "Go on with a pairing by files, without a network",
		Long: `Go on with a pairing by files. Three files go back and forth: the invitation, the answer (entente accept --courier), and one
that reveals what the inviter had committed to. Who invited takes the answer, and writes the third file with --out; who
was invited takes that, and has the link. Then people compare the short code, as always: whoever carried or changed the files has
one guess.

The answer can be taken once. If the third file got lost, take the same answer again.`,
		Example: "  entente pair answer.pairing --out reveal.pairing\n  entente pair reveal.pairing",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			data, err := a.read(args[0], node.MaxPairFile)
			if err != nil {
				return err
			}
			answer, err := node.IsAnswer(data)
			if err != nil {
				return err
			}
			if answer != (out != "") {
				return usage("An answer to our invitation needs --out FILE, for the file that goes back; the last file needs none.")
			}
			var p node.Pairing
			pair := func(w io.Writer) (err error) {
				if p, err = c.Pair(ctx, data); err == nil {
					_, err = w.Write(p.File)
				}
				return err
			}
			if out == "" {
				err = pair(io.Discard)
			} else {
				err = a.save(out, pair)
			}
			if err != nil {
				return err
			}
			return a.print(paired{p.Link, out}, func(w io.Writer) {
				showLink(w, p.Link)
				if out != "" {
					fmt.Fprintf(w, "\nThe other party finishes with the file in %s: entente pair %s\n", line(out), line(out))
				}
			})
		}),
	}
	cmd.Flags().StringVar(&out, "out", "", "write the file for the other party into this new file")
	return cmd
}

func (a *app) confirmCommand() *cobra.Command {
	var how node.Confirmation
	cmd := &cobra.Command{
		Use:   "confirm LINK",
		Short: "Say that a named person compared the short code of a link",
		Long: `Say that a named person compared the short code of a link with a person of the other party, and that both read the
same. This signs the offered link agreement; the link is active when both parties have confirmed.

Compare the digits first, then the words, by a way on which you know the other person: "entente links show LINK".`,
		Example: `  entente confirm kestria --method telephone --person "A. Example" --function "head of the contact point"`,
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if how.Method == "" || how.Person == "" || how.Function == "" {
				return usage("Say who compared the code, and how: --method telephone --person … --function …")
			}
			said, err := c.Confirm(ctx, args[0], how)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	cmd.Flags().StringVar(&how.Method, "method", "", "in_person, telephone, video or courier")
	cmd.Flags().StringVar(&how.Person, "person", "", "who compared it, for us")
	cmd.Flags().StringVar(&how.Function, "function", "", "that person's function")
	cmd.Flags().StringVar(&how.Note, "note", "", "a note; the other party reads it")
	return cmd
}

func (a *app) linksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "links",
		Short: "List the links, or show one",
		Args:  cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *node.Client, _ []string) error {
			links, err := c.Links(ctx)
			if err != nil {
				return err
			}
			return a.print(links, func(w io.Writer) {
				if len(links) == 0 {
					fmt.Fprintln(w, "There is no link yet. Make one with: entente invite ALIAS, or entente accept ALIAS FILE")
					return
				}
				t := newTable("ALIAS", "STATE", "PEER", "LINK", "REACH", "SENDING", "UNCOSIGNED", "OLDEST")
				for _, l := range links {
					state := l.State
					if l.Peer.Contested {
						state = "contested"
					}
					t.row(line(l.Alias), state, names(l.Peer.Names), short(l.ID), l.Reach, fmt.Sprint(l.Figures.Sending),
						fmt.Sprint(l.Figures.UncosignedOwn), maybe(l.Figures.OldestUnreceipted))
				}
				t.write(w)
			})
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show LINK",
		Short: "Show a link with its short code",
		Long: `Show a link, named by its alias, its id or the first digits of its id. The short code is what people of both parties
compare before they confirm: the digits first, then the six words in either language.`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			l, err := c.Link(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(l, func(w io.Writer) { showLink(w, l) })
		}),
	})
	cmd.AddCommand(a.agreeCommand())
	return cmd
}

func (a *app) agreeCommand() *cobra.Command {
	var to node.Agreement
	var proposal string
	cmd := &cobra.Command{
		Use:   "agree LINK",
		Short: "Sign another rule set for a link",
		Long: `Sign another rule set for a link: with --edition the one in force with another edition of kinds, with --proposal what the other party
has signed ("entente links show LINK" lists it). It is in force as soon as both have signed it: what is begun from then on obeys it,
and what was begun before keeps its own. Suites, modes and limits do not change; for those, pair anew.`,
		Example: "  entente links agree kestria --edition " + statement.KindsEdition,
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			if (to.Edition == "") == (proposal == "") {
				return usage("Give either --edition or --proposal.")
			}
			if proposal != "" {
				hash, err := envelope.ParseHash(proposal)
				if err != nil {
					return usage("Give as --proposal all 64 digits of the agreement.")
				}
				to.Proposal = &hash
			}
			said, err := c.Agree(ctx, args[0], to)
			if err != nil {
				return err
			}
			return a.printSaid(said)
		}),
	}
	cmd.Flags().StringVar(&to.Edition, "edition", "", "the edition of kinds: "+strings.Join(statement.Editions(), " or "))
	cmd.Flags().StringVar(&proposal, "proposal", "", "the agreement that the other party has signed")
	return cmd
}

func showLink(w io.Writer, l node.Link) {
	pair(w, "Link", l.ID.String())
	pair(w, "Alias", line(l.Alias))
	pair(w, "State", l.State)
	pair(w, "Peer", names(l.Peer.Names))
	pair(w, "Party", l.Peer.Party.String())
	pair(w, "Fingerprint", l.Peer.Fingerprint)
	pair(w, "Identity", fmt.Sprintf("version %d", l.Peer.Version))
	if l.Peer.Compromised != nil {
		pair(w, "Keys in doubt", fmt.Sprintf("those before this version, since %s", instant(*l.Peer.Compromised)))
	}
	if l.Peer.Contested {
		pair(w, "Contested", "two versions follow this one, so somebody else may hold the peer's keys: nothing is said or taken. Call the other party: it must sign with its recovery keys (entente keys recover)")
	}
	if l.Peer.Endpoint != "" {
		pair(w, "Endpoint", line(l.Peer.Endpoint))
	}
	pair(w, "Reach", reaches(l.Reach))
	pair(w, "Code", l.Code.Digits)
	for _, language := range sortedKeys(l.Code.Words) {
		pair(w, "Words "+language, strings.Join(l.Code.Words[language], " "))
	}
	pair(w, "Agreement", l.AgreementHash.String())
	if l.Agreement != nil {
		pair(w, "Edition", line(l.Agreement.Rules.Kinds))
	}
	for _, p := range l.Proposals {
		by := "by us, and not by them yet"
		if !p.Ours {
			by = "by them; to sign it: entente links agree " + line(l.Alias) + " --proposal " + p.Agreement.String()
		}
		pair(w, "Signed", fmt.Sprintf("edition %s, %s", line(p.Edition), by))
	}
	sending, cosigned := "nothing", "not yet"
	if l.Figures.OldestUnreceipted != nil {
		sending = fmt.Sprintf("%d, the oldest since %s", l.Figures.Sending, maybe(l.Figures.OldestUnreceipted))
	}
	if l.Figures.CosignedAt != nil {
		cosigned = instant(*l.Figures.CosignedAt)
	}
	switch l.Reach {
	case node.ReachOnewayOut:
		pair(w, "To pack", fmt.Sprint(l.Figures.Sending))
		pair(w, "Sent", fmt.Sprintf("%d are kept to be packed again; what was sent cannot be acknowledged", l.Figures.Sent))
	case node.ReachOnewayIn:
		pair(w, "Missing", fmt.Sprintf("%d holes in what came", l.Figures.Gaps))
	default:
		pair(w, "Sending", sending)
	}
	if l.Figures.Held > 0 {
		pair(w, "Registered", fmt.Sprintf("%d of ours were acknowledged and wait for their key to leave", l.Figures.Held))
	}
	if l.Figures.Awaited > 0 {
		pair(w, "Registered", fmt.Sprintf("%d of theirs we acknowledged, and wait for the key", l.Figures.Awaited))
	}
	pair(w, "Cosigned", fmt.Sprintf("%s; %d of our leaves and %d of theirs wait", cosigned, l.Figures.UncosignedOwn, l.Figures.UncosignedPeer))
	showEpochs(w, l)
	showParticipation(w, l)
	switch l.State {
	case "unverified", "confirmed_by_us", "confirmed_by_peer", "disagreed":
		fmt.Fprintf(w, "\nCompare the code with a person of the other party, then: entente confirm %s --method telephone --person … --function …\n", line(l.Alias))
	}
}

// showEpochs says how far catching up has come, and what is not known of former epochs.
func showEpochs(w io.Writer, l node.Link) {
	if len(l.EndedEpochs) > 0 || l.CatchingUp != nil {
		pair(w, "Epochs", fmt.Sprintf("ours %d, theirs %d", l.OwnEpoch, l.PeerEpoch))
	}
	for _, e := range l.EndedEpochs {
		pair(w, "Ended", fmt.Sprintf("%s %d: %d leaves, cosigned to %d", map[bool]string{true: "ours", false: "theirs"}[e.Ours], e.Epoch, e.Size, e.Cosigned))
	}
	switch c := l.CatchingUp; {
	case c == nil:
	case !c.Known:
		pair(w, "Catching up", "the other party has not answered yet")
	default:
		pair(w, "Catching up", fmt.Sprintf("%d of %d statements", c.Done, c.Total))
	}
	for _, u := range l.Unknown {
		what := fmt.Sprintf("%d to %d", u.From, u.To)
		if u.To == 0 {
			what = fmt.Sprintf("whether there was a number %d or above", u.From)
		}
		pair(w, "Unknown", fmt.Sprintf("of ours in epoch %d, lane %s: %s", u.Epoch, line(string(u.Lane)), what))
	}
}

// reaches says in words how two nodes reach each other.
func reaches(how string) string {
	switch how {
	case node.ReachPush:
		return "push: each node pushes to the other"
	case node.ReachPolled:
		return "polled: their node pushes to ours and polls it; ours cannot reach it"
	case node.ReachPolling:
		return "polling: our node pushes to theirs and polls it; theirs cannot reach ours"
	case node.ReachCourier:
		return "courier: only files cross"
	case node.ReachOnewayOut:
		return "oneway_out: files go from us to them, and nothing comes back"
	case node.ReachOnewayIn:
		return "oneway_in: files come from them to us, and nothing goes back"
	}
	return line(how)
}

// spoken is the commitment that an act made, as --json shows it.
type spoken struct {
	Statement envelope.Hash `json:"statement"`
}

func (a *app) printSaid(c envelope.Hash) error {
	return a.print(spoken{c}, func(w io.Writer) { fmt.Fprintf(w, "Said: %s\n", c) })
}
