package flow_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"entente/envelope"
	"entente/handling"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/statement"
)

// crossing plays one row of the table: what precedes, then both statements at once.
type crossing struct {
	w            *world
	owner, other *side
	row          exchange.Crossing
	thread       *statement.Commitment
	names        map[statement.Commitment]string
}

// before says what must have been said for both kinds of the row to be possible.
func (c *crossing) before() {
	w, t := c.w, c.w.t
	t.Helper()
	c.thread = &c.owner.link
	send := func(s *side, d flow.Draft) statement.Commitment {
		said, err := s.Send(t.Context(), operator, d, nil)
		w.must(err)
		w.run()
		return said
	}
	if c.row.A != "link.confirm" {
		w.confirm()
	}
	switch prefix, _, _ := strings.Cut(c.row.A, "."); prefix {
	case "message":
		c.thread = new(send(c.owner, draft(c.owner, "thread", "the first", nil)))
	case "desk":
		first := send(c.owner, deskDraft(c.owner, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}))
		c.thread, c.names[first] = &first, "first"
	case "erasure":
		said := send(c.owner, draft(c.owner, "to be erased", "soon gone", nil))
		c.thread = new(statement.ErasureThread(said))
		c.names[said] = "erased"
	}
	for s, kind := range map[*side]string{c.owner: c.row.A, c.other: c.row.B} {
		if kind == "participation.resume" {
			send(s, c.draft(s, "participation.suspend"))
		}
	}
}

func (c *crossing) draft(s *side, kind string) flow.Draft {
	d := flow.Draft{Link: s.link, Lane: statement.Control, Kind: kind, Thread: c.thread, Marking: handling.Marking{TLP: "AMBER"}, Body: statement.EmptyBody{}}
	next := statement.DefaultAgreement()
	next.Limits.Pending = int(s.name[0]) // each side proposes another
	encoded, err := next.Encode()
	c.w.must(err)
	view, err := s.FindLink(c.w.t.Context(), operator, s.link.String())
	c.w.must(err)
	switch kind {
	case "message":
		return draft(s, "crossing", "said at once", c.thread)
	case "desk.update":
		return deskDraft(s, kind, c.thread, statement.DeskFace{Role: "liaison", Standing: "permanent", ValidFrom: 2})
	case "desk.countersign":
		d.Face = statement.DeskCountersignFace{Desk: *c.thread}
	case "desk.withdraw":
		d.Face = statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]}
	case "link.confirm":
		d.Face = statement.LinkConfirmFace{Method: "telephone", At: 1, Agreement: envelope.Sum(view.Link.Agreement)}
		d.Body = statement.LinkConfirmBody{Person: "Duty officer", Function: "head of desk", Agreement: view.Link.Agreement}
	case "link.agree":
		d.Face, d.Body = statement.LinkAgreeFace{Agreement: envelope.Sum(encoded)}, statement.LinkAgreeBody{Agreement: encoded}
	case "participation.suspend":
		d.Face, d.Body = statement.SuspendFace{Lanes: []statement.Lane{statement.Network}, Reason: "review"}, statement.ParticipationBody{}
	case "participation.resume":
		d.Face, d.Body = statement.ResumeFace{Lanes: []statement.Lane{statement.Network}}, statement.ParticipationBody{}
	case "participation.withdraw":
		d.Face, d.Body = statement.WithdrawFace{Reason: "ended"}, statement.ParticipationBody{}
	case "erasure.notice":
		for said, name := range c.names {
			if name == "erased" {
				d.Face = statement.ErasureFace{Statement: said, Reason: "agreement", At: 1}
			}
		}
	default:
		c.w.t.Fatalf("nobody says here how to say %s", kind)
	}
	return d
}

// outcome is what a side sees in the end.
func (c *crossing) outcome(s *side) string {
	ctx := c.w.t.Context()
	view, err := s.FindLink(ctx, operator, s.link.String())
	c.w.must(err)
	out := view.State
	if c.row.A == "link.agree" || c.row.B == "link.agree" {
		if offered := envelope.Sum(view.Link.Agreement); view.AgreementHash == offered {
			out += ", as offered"
		}
	}
	desks, err := s.Desks(ctx, operator, nil)
	c.w.must(err)
	for _, d := range desks {
		out = fmt.Sprintf("%s, active %q, latest %q", d.State, c.names[d.Active], c.names[d.Latest])
	}
	return out
}

// Every row of the table, said by either side as the owner, and coming in in either order: both stand on both sides, with one
// hash of all columns at the common cut, and the outcome that is declared. Guard: a fold reads the peer's column at seen only.
func TestCrossingPairs(t *testing.T) {
	outcomes := map[string]string{ // the owner's view; where it differs, " / " and the other's
		"message × message":                               "active",
		"desk.update × desk.countersign":                  `active, active "first", latest "A"`,
		"desk.withdraw × desk.countersign":                `withdrawn, active "first", latest "first"`,
		"link.confirm × link.confirm":                     "active",
		"link.confirm × link.agree":                       "confirmed_by_us, as offered / confirmed_by_peer, as offered",
		"link.agree × link.agree":                         "active, as offered",
		"participation.suspend × participation.suspend":   "suspended",
		"participation.suspend × participation.resume":    "suspended",
		"participation.resume × participation.resume":     "active",
		"participation.suspend × participation.withdraw":  "withdrawn",
		"participation.resume × participation.withdraw":   "withdrawn",
		"participation.withdraw × participation.withdraw": "withdrawn",
		"link.agree × participation.suspend":              "suspended, as offered",
		"link.agree × participation.resume":               "active, as offered",
		"link.agree × participation.withdraw":             "withdrawn, as offered",
		"link.confirm × participation.withdraw":           "withdrawn",
		"erasure.notice × erasure.notice":                 "active",
	}
	for _, row := range exchange.Crossings() {
		pair := row.A + " × " + row.B
		t.Run(pair, func(t *testing.T) {
			for _, swap := range []bool{false, true} {
				ownerFirst := !swap // so each side is the owner once, and each order comes once
				c := &crossing{w: newWorld(t), row: row, names: map[statement.Commitment]string{}}
				if c.owner, c.other = c.w.a, c.w.b; swap {
					c.owner, c.other = c.w.b, c.w.a
				}
				c.before()
				a, err := c.owner.Send(t.Context(), operator, c.draft(c.owner, row.A), nil)
				c.w.must(err)
				b, err := c.other.Send(t.Context(), operator, c.draft(c.other, row.B), nil)
				c.w.must(err)
				c.names[a], c.names[b] = "A", "B"
				if ownerFirst {
					c.w.carry(c.owner, c.other)
				} else {
					c.w.carry(c.other, c.owner)
				}
				c.w.run()
				for _, s := range []*side{c.owner, c.other} {
					for _, said := range []statement.Commitment{a, b} {
						v, err := s.Show(t.Context(), operator, said.String())
						c.w.must(err)
						if v.Verdict != "folded" {
							t.Errorf("%s: %s is %q", s.name, v.Kind, v.Verdict)
						}
					}
				}
				got := c.outcome(c.owner)
				if other := c.outcome(c.other); other != got {
					got += " / " + other
				}
				if want, ok := outcomes[pair]; !ok || got != want {
					t.Errorf("swapped %v, owner first %v: %s, want %s", swap, ownerFirst, got, want)
				}
				c.w.cosign()
				c.w.equalAtCut()
			}
		})
	}
}

// Random conversations over real houses, parcels coming in in any order, lost and repeated: in the end both hold one record.
func TestRandomTraffic(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := confirmed(t)
			ctx := t.Context()
			r := rand.New(rand.NewPCG(seed, 1))
			var threads []statement.Commitment
			for range 24 {
				from := []*side{w.a, w.b}[r.IntN(2)]
				switch r.IntN(4) {
				case 0, 1:
					var thread *statement.Commitment
					if len(threads) > 0 && r.IntN(3) > 0 {
						thread = &threads[r.IntN(len(threads))]
					}
					if c, err := from.Send(ctx, operator, draft(from, "random", "words", thread), nil); err == nil && thread == nil {
						threads = append(threads, c)
					}
				default:
					w.lossy(r, from)
				}
			}
			for range 3 {
				w.a.clock.advance(10 * 60 * 1e9)
				w.run()
			}
			w.cosign()
			w.equalAtCut()
			for _, s := range []*side{w.a, w.b} {
				view, err := s.FindLink(ctx, operator, s.link.String())
				w.must(err)
				if view.Figures.Sending != 0 || view.Figures.Gaps != 0 || view.Figures.Unsettled != 0 {
					t.Errorf("%s: %+v", s.name, view.Figures)
				}
				rebuilt, err := s.Rebuild(ctx, operator, nil)
				w.must(err)
				report, err := s.VerifyLedger(ctx, operator, s.link, nil)
				w.must(err)
				if !rebuilt.Identical || !report.OK || len(report.Differences) != 0 {
					t.Errorf("%s: rebuild %+v, ledger %+v", s.name, rebuilt, report)
				}
			}
		})
	}
}

// lossy carries a delivery in another order, without some frames, with some twice; sometimes the answers get lost.
func (w *world) lossy(r *rand.Rand, from *side) {
	w.t.Helper()
	ctx := w.t.Context()
	to := w.other(from)
	d, err := from.Outgoing(ctx, from.link, 8<<20)
	w.must(err)
	frames := wire(w.t, d.Frames)
	r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	if len(frames) > 1 {
		frames = append(frames[r.IntN(2):], frames[0])
	}
	answers, err := to.Receive(ctx, to.link, frames)
	w.must(err)
	if r.IntN(3) == 0 {
		w.must(from.Undelivered(ctx, d, fmt.Errorf("the line is down")))
		return
	}
	w.must(from.Delivered(ctx, d, answers))
}
