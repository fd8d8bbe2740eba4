package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/ledger"
	"entente/proof"
)

// maxProof bounds the file of a proof.
const maxProof = 64 << 20

// micros shows UTC microseconds, as documents have them.
func micros(t int64) string { return instant(time.UnixMicro(t)) }

func (a *app) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "List and verify the ledgers of a link, and export proofs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.leavesCommand(), a.verifyLedgerCommand(), a.witnessesCommand(), a.proofCommand())
	return cmd
}

func (a *app) leavesCommand() *cobra.Command {
	var peer bool
	var from int64
	var limit int
	cmd := &cobra.Command{
		Use:   "list LINK",
		Short: "List the leaves of a ledger",
		Args:  cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			whose := "own"
			if peer {
				whose = "peer"
			}
			list, err := c.Leaves(ctx, args[0], whose, from, limit)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) {
				t := newTable("LEAF", "TIME", "KIND", "LANE", "SEQ", "RECORDS")
				for _, l := range list.Items {
					leaf, err := ledger.DecodeLeaf(l.Bytes)
					if err != nil {
						t.row(fmt.Sprintf("%d.%d", l.Epoch, l.Index), "(unreadable)", "", "", "", "")
						continue
					}
					seq := ""
					if leaf.Seq > 0 {
						seq = fmt.Sprint(leaf.Seq)
					}
					t.row(fmt.Sprintf("%d.%d", l.Epoch, l.Index), micros(leaf.Time), string(leaf.Kind), line(string(leaf.Lane)), seq, short(leaf.Doc))
				}
				t.write(w)
				more(w, "--from", list.Next)
			})
		}),
	}
	cmd.Flags().BoolVar(&peer, "peer", false, "our copy of the other party's ledger instead of our own")
	cmd.Flags().Int64Var(&from, "from", 0, "the index of the first leaf")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

func (a *app) verifyLedgerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify LINK",
		Short: "Verify both ledgers of a link",
		Long: `Verify both ledgers of a link: every hash, signature and cosignature, and for each entry its counterpart on the other side.
The exit status is 1 if anything does not hold.`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			show, end := a.progress("verifying")
			v, err := c.Verify(ctx, args[0], show)
			end()
			if err != nil {
				return err
			}
			if err := a.print(v, func(w io.Writer) { showVerification(w, v) }); err != nil {
				return err
			}
			if !v.OK {
				return errNotHeld
			}
			return nil
		}),
	}
}

func showVerification(w io.Writer, v node.Verification) {
	t := newTable("LEDGER", "EPOCH", "LEAVES", "COSIGNED", "AT", "ROOT", "FAULTS")
	for _, l := range v.Logs {
		t.row(short(l.Party), fmt.Sprint(l.Epoch), fmt.Sprint(l.Size), fmt.Sprint(l.Cosigned), maybe(l.CosignedAt), short(l.Root), fmt.Sprint(len(l.Faults)))
	}
	t.write(w)
	for _, l := range v.Logs {
		for _, f := range l.Faults {
			fmt.Fprintf(w, "%s: %s\n", short(l.Party), line(f))
		}
	}
	for _, d := range v.Differences {
		what := fmt.Sprintf("number %d", d.Seq)
		if d.Seq == 0 {
			what = "a file's parcel"
		}
		how := map[string]string{"not_got": "sent, and not in the other ledger", "not_sent": "got, and not in its author's ledger"}[d.Kind]
		fmt.Fprintf(w, "%s: lane %s, %s: %s, for %s\n", short(d.Author), line(d.Lane), what, how, time.Duration(d.Age)*time.Second)
	}
	if v.Evidence > 0 {
		fmt.Fprintf(w, "%d times, a peer said two things that cannot both be true; the evidence is kept.\n", v.Evidence)
	}
	if v.OK {
		fmt.Fprintln(w, "Both ledgers hold.")
	} else {
		fmt.Fprintln(w, "NOT ALL HOLDS. Keep this output and talk to the other party.")
	}
}

func (a *app) witnessesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "witnesses LINK",
		Short: "Show what third parties cosigned of our ledger of a link",
		Long: `Show what third parties cosigned of our ledger of a link, and what to give to the operator of a witness: the ledger's
origin and its verifier keys, of which a witness needs one. Witnesses are named in the setting "witnesses".`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			v, err := c.Witnesses(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { showWitnesses(w, v) })
		}),
	}
}

func showWitnesses(w io.Writer, v node.Witnessing) {
	if len(v.Witnesses) == 0 {
		fmt.Fprintln(w, "No third party is asked to cosign; the setting \"witnesses\" names some.")
	} else {
		t := newTable("WITNESS", "COSIGNED", "OF", "AT", "STATE")
		for _, x := range v.Witnesses {
			state := "ok"
			switch {
			case x.Code != "":
				state = x.Code
			case x.URL == "":
				state = "asked no more"
			case x.Cosigned < v.Size:
				state = "not asked yet"
			}
			t.row(line(x.ID), fmt.Sprint(x.Cosigned), fmt.Sprint(v.Size), maybe(x.CosignedAt), state)
		}
		t.write(w)
		for _, x := range v.Witnesses {
			if x.Trouble != "" {
				fmt.Fprintf(w, "\n%s: %s\n", line(x.ID), line(x.Trouble))
			}
		}
	}
	fmt.Fprintf(w, "\nA witness knows this ledger by its origin\n\n  %s\n\nand by one of its verifier keys, Ed25519 or ML-DSA-44:\n", v.Origin)
	for _, key := range v.Keys {
		fmt.Fprintf(w, "\n  %s\n", key)
	}
}

func (a *app) proofCommand() *cobra.Command {
	var body bool
	var out string
	cmd := &cobra.Command{
		Use:   "proof STATEMENT",
		Short: "Export a proof of a statement",
		Long: `Export a proof of one statement: a file that anybody can verify with "entente verify", without a node and without trust
in either party. Without --body it shows that the statement was made and receipted, and not what it says beyond its text.`,
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			return a.save(out, func(w io.Writer) error { return c.Proof(ctx, args[0], body, w) })
		}),
	}
	cmd.Flags().BoolVar(&body, "body", false, "show the body too")
	cmd.Flags().StringVar(&out, "out", "", "write it to this new file instead of standard output")
	return cmd
}

// finding is a verified proof as --json shows it.
type finding struct {
	OK        bool          `json:"ok"`
	Statement envelope.Hash `json:"statement"`
	Link      envelope.Hash `json:"link"`
	Sender    envelope.Hash `json:"sender"`
	Recipient envelope.Hash `json:"recipient"`
	Facts     []factFound   `json:"facts"`
	Remarks   []string      `json:"remarks"`
}

type factFound struct {
	Code   string `json:"code"`
	Shows  string `json:"shows"`
	Proves string `json:"proves"`
	Not    string `json:"not"`
}

func (a *app) verifyCommand() *cobra.Command {
	var known, witnesses []string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify a proof file, without a node",
		Long: `Verify a proof file, from a file or from standard input (-), and say what it proves and what it does not. Nothing else is
needed: no node, no network, and no trust in whoever made it. With --party it also demands that the parties are those that
you know, and with --witness-key that a third party has cosigned. The exit status is 1 if the file does not prove what it
claims, and 4 if it is no proof file at all.`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			var pins []envelope.Hash
			for _, id := range known {
				h, err := envelope.ParseHash(id)
				if err != nil {
					return usage("Name --party by the 64 digits of its id.")
				}
				pins = append(pins, h)
			}
			var thirds []ledger.Witness
			for _, key := range witnesses {
				w, err := ledger.ParseWitness(key)
				if err != nil {
					return usage("Name --witness-key by a whole verifier key, name+id+key: %v.", err)
				}
				thirds = append(thirds, w)
			}
			data, err := a.read(args[0], maxProof)
			if err != nil {
				return err
			}
			f, err := proof.Decode(data)
			if err != nil {
				return fault.Wrap(fault.Invalid, "proof_file", "This is not a proof file.", err)
			}
			r, err := proof.VerifyWitnessed(envelope.Default(), f, thirds, pins...)
			if err != nil {
				return fault.Wrap(fault.Internal, "proof", "The proof does not hold.", err)
			}
			return a.print(found(r), func(w io.Writer) { showReport(w, r) })
		}),
	}
	cmd.Flags().StringArrayVar(&known, "party", nil, "the id of a party that you know; repeat for both")
	cmd.Flags().StringArrayVar(&witnesses, "witness-key", nil, "verifier key of a third party that must have cosigned; repeat for several")
	return cmd
}

func found(r *proof.Report) finding {
	out := finding{
		OK: true, Statement: r.Commitment, Link: r.Link, Sender: r.Sender.ID, Recipient: r.Recipient.ID,
		Facts: []factFound{}, Remarks: r.Remarks,
	}
	for _, f := range r.Facts {
		out.Facts = append(out.Facts, factFound{string(f.Code), f.Shows, f.Proves, f.Not})
	}
	return out
}

func showReport(w io.Writer, r *proof.Report) {
	pair(w, "Statement", r.Commitment.String())
	pair(w, "Sender", line(r.Sender.String()))
	pair(w, "", r.Sender.Fingerprint)
	pair(w, "Recipient", line(r.Recipient.String()))
	pair(w, "", r.Recipient.Fingerprint)
	for _, f := range r.Facts {
		fmt.Fprintf(w, "\n%s\n  Proves: %s\n  Not:    %s\n", line(f.Shows), line(f.Proves), line(f.Not))
	}
	for _, remark := range r.Remarks {
		fmt.Fprintf(w, "\nRemark: %s\n", line(remark))
	}
	if len(r.Body) > 0 {
		fmt.Fprintf(w, "\nBody: %s\n", line(string(r.Body)))
	}
	fmt.Fprintln(w, "\nThe proof holds.")
}
