package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/node"
)

func (a *app) reportCommand() *cobra.Command {
	var from, to, cut string
	cmd := &cobra.Command{
		Use:   "report LINK",
		Short: "Count the requests of a period, for both parties alike",
		Long: `Count the requests for assistance that were received in a period: how many were acknowledged and answered, how long that took and
whether in time, how they ended, and on which grounds they were refused. It is computed from what both parties' ledgers hold under
a common cut, a pair of cosigned sizes, and from nothing else: with the same period and the same cut the other party computes the
same bytes (--json), alone. The text names the cut; without --cut it is the newest. What one party's ledger says of a time and the
other's contradicts by more than five minutes is counted, and listed as disputed.`,
		Example: "  entente report kestria --from 2026-01-01 --to 2027-01-01 --json",
		Args:    cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *node.Client, args []string) error {
			begin, err := parseTime("from", from)
			if err != nil {
				return err
			}
			end, err := parseTime("to", to)
			if err != nil {
				return err
			}
			if begin == nil || end == nil {
				return usage("Give the period as --from and --to, such as --from 2026-01-01 --to 2027-01-01.")
			}
			at, err := parseCut(cut)
			if err != nil {
				return err
			}
			r, err := c.Report(ctx, args[0], *begin, *end, at)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { showStatusReport(w, r) })
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "count requests received at or after this instant, or day in UTC")
	cmd.Flags().StringVar(&to, "to", "", "count requests received before this instant, or day in UTC")
	cmd.Flags().StringVar(&cut, "cut", "", "the cut, as party:size,party:size; the newest common one without it")
	return cmd
}

// parseCut reads a cut as it is shown; nil is none.
func parseCut(text string) (*node.Cut, error) {
	if text == "" {
		return nil, nil
	}
	cut := node.Cut{Sizes: map[envelope.Hash]int64{}}
	for item := range strings.SplitSeq(text, ",") {
		id, size, _ := strings.Cut(item, ":")
		p, bad := envelope.ParseHash(id)
		n, err := strconv.ParseInt(size, 10, 64)
		if bad != nil || err != nil {
			return nil, usage("Write --cut as party:size,party:size, with the ids of both parties, as a report shows it.")
		}
		cut.Sizes[p] = n
	}
	return &cut, nil
}

func showStatusReport(w io.Writer, r node.StatusReport) {
	cut := node.Cut{Sizes: map[envelope.Hash]int64{}}
	for _, h := range r.About.Cut {
		cut.Sizes[h.Party] = h.Size
	}
	pair(w, "Link", r.About.Link.String())
	pair(w, "Received", fmt.Sprintf("from %s, before %s", micros(r.About.Period.From), micros(r.About.Period.To)))
	pair(w, "Cut", cut.String())
	pair(w, "Rules", r.About.Rules.String())
	for _, f := range r.Figures {
		fmt.Fprintln(w)
		pair(w, "Party", f.Party.String())
		pair(w, "Received", fmt.Sprint(f.Received))
		for _, t := range []struct {
			name  string
			timed node.Timed
		}{{"Acknowledged", f.Acknowledged}, {"Answered", f.Answered}} {
			pair(w, t.name, fmt.Sprintf("%s; half within %s, nine of ten within %s; %d in time, %d late", portion(t.timed.Count, f.Received),
				lasted(t.timed.Median), lasted(t.timed.P90), t.timed.OnTime, t.timed.Late))
		}
		pair(w, "Asked about", portion(f.Clarified, f.Received))
		pair(w, "Open", fmt.Sprintf("%d; over 30 days %d, over 90 days %d", f.Open, f.OpenOver30, f.OpenOver90))
		pair(w, "Outcomes", counted(f.Outcomes))
		pair(w, "Grounds", counted(f.Grounds))
		pair(w, "Sent", fmt.Sprintf("%d; complete at first %s", f.Sent, portion(f.Complete, f.Sent)))
		pair(w, "Disputed", fmt.Sprint(f.Disputed))
	}
	if len(r.Disputed) == 0 {
		return
	}
	fmt.Fprintln(w, "\nDisputed: what a party's ledger says of a time, and what bounds it by the other's")
	t := newTable("REQUEST", "PARTY", "WORD", "SAID", "BOUND")
	for _, d := range r.Disputed {
		t.row(short(d.Request), short(d.Party), d.Word, micros(d.Said), micros(d.Bound))
	}
	t.write(w)
}

// portion is a part of a whole.
func portion(n, of int) string {
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d (%d%%)", n, (200*n+of)/(2*of))
}

// lasted is a time span of microseconds for people.
func lasted(micros int64) string {
	return (time.Duration(micros) * time.Microsecond).Round(time.Second).String()
}

func counted(list []node.CodeCount) string {
	if len(list) == 0 {
		return "none"
	}
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = fmt.Sprintf("%s %d", c.Code, c.N)
	}
	return strings.Join(parts, ", ")
}
