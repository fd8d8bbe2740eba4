package flow_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/accord"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/internal/testenv"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// allTime is a period in which all lies.
func allTime() accord.Period { return accord.Period{From: 0, To: statement.MaxInteger} }

// report is a side's report under a cut, as bytes.
func (w *world) report(s *side, cut flow.Cut) []byte {
	w.t.Helper()
	r, err := s.StatusReport(w.t.Context(), operator, s.link, allTime(), &cut)
	w.must(err)
	data, err := r.Encode()
	w.must(err)
	return data
}

// reportWorlds plays a story on SQLite on both sides, and on SQLite here and PostgreSQL there.
func reportWorlds(t *testing.T, play func(t *testing.T, w *world, a, b *clock)) {
	t.Run("sqlite", func(t *testing.T) {
		a, b := newClock(), newClock()
		b.advance(24 * time.Hour)
		w := newWorldAt(t, a, b)
		w.confirm()
		play(t, w, a, b)
	})
	t.Run("postgres", func(t *testing.T) {
		store, err := sqlstore.OpenPostgres(t.Context(), testenv.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		a, b := newClock(), newClock()
		w := &world{t: t, a: newSide(t, "arvenia", a, nil), b: newSide(t, "kestria", b, store)}
		w.pair()
		w.confirm()
		play(t, w, a, b)
	})
}

// Random words of both sides, with what crosses on the wire and clocks a day apart: at every common cut both compute the same
// bytes, also of a cut that has long been overtaken, and after both were rebuilt.
func TestReportIsTheSame(t *testing.T) {
	reportWorlds(t, func(t *testing.T, w *world, a, b *clock) {
		rnd := rand.New(rand.NewPCG(1, 2))
		w.requestDesks()
		type known struct {
			cut  flow.Cut
			data []byte
		}
		var cuts []known
		var numbers []string
		for round := range 6 {
			for i := range 3 {
				asker := []*side{w.a, w.b}[(round+i)%2]
				numbers = append(numbers, w.ask(asker, request(asker, "preservation.request", preservation(nil), nil)).Number)
			}
			w.run()
			for _, n := range numbers { // also those of earlier rounds
				for range 3 {
					s := []*side{w.a, w.b}[rnd.IntN(2)]
					var d flow.RequestDraft
					switch rnd.IntN(7) {
					case 0:
						d = request(s, "request.acknowledge", map[string]any{"reference": "K-17", "authority": "Authority"}, nil)
					case 1:
						d = request(s, "clarification.ask", map[string]any{"questions": "1. Which?"}, nil)
					case 2:
						d = request(s, "clarification.answer", map[string]any{"answers": "1. This."}, nil)
					case 3:
						d = request(s, "decision.refuse", map[string]any{}, map[string]any{"ground": "sovereignty", "reasons": "withheld"})
					case 4:
						d = request(s, "preservation.preserved", map[string]any{}, map[string]any{"until": s.clock.now().Add(61 * 24 * time.Hour).UnixMicro()})
					case 5:
						d = request(s, "request.withdraw", map[string]any{}, map[string]any{"reason": "mistaken"})
					default:
						d = request(s, "request.correct", map[string]any{"corrections": "1. The address."}, nil)
					}
					_, err := s.Reply(t.Context(), operator, n, d, nil) // one out of turn is refused, and another is tried
					if err != nil && fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.Invalid {
						t.Fatal(err)
					}
					a.advance(time.Hour)
					b.advance(time.Hour)
					if rnd.IntN(2) == 0 {
						w.carry(w.a, w.b)
					}
				}
			}
			w.run()
			w.cosign()
			cut, err := w.a.CommonCut(t.Context(), w.a.link)
			w.must(err)
			cuts = append(cuts, known{cut, w.report(w.a, cut)})
			a.advance(10 * 24 * time.Hour)
			b.advance(10 * 24 * time.Hour)
		}
		check := func(when string) {
			t.Helper()
			for i, c := range cuts {
				for _, s := range []*side{w.a, w.b} {
					if data := w.report(s, c.cut); !bytes.Equal(data, c.data) {
						t.Errorf("%s, %s computes at cut %d\n%s\nand Arvenia had computed\n%s", when, s.name, i, data, c.data)
					}
				}
			}
		}
		check("in the end")
		for _, s := range []*side{w.a, w.b} {
			r, err := s.Rebuild(t.Context(), operator, nil)
			w.must(err)
			if !r.Identical {
				t.Errorf("%s folds to other rows", s.name)
			}
		}
		check("after a rebuild")
		var last accord.Report
		w.must(envelope.Unmarshal(cuts[len(cuts)-1].data, &last))
		for _, f := range last.Figures {
			if f.Received != 9 || f.Sent != 9 || f.Acknowledged.Count == 0 || f.Answered.Count == 0 || len(f.Outcomes) < 2 {
				t.Errorf("the story is too poor to show anything: %+v", f)
			}
		}
		w.oddCuts(rnd)
		w.sound()
	})
}

// oddCuts compares both sides at cuts that no checkpoint has, in the middle of what crossed.
func (w *world) oddCuts(rnd *rand.Rand) {
	w.t.Helper()
	newest, err := w.a.CommonCut(w.t.Context(), w.a.link)
	w.must(err)
	for range 40 {
		cut := flow.Cut{Sizes: map[envelope.Hash]int64{}}
		for p, size := range newest.Sizes {
			cut.Sizes[p] = 1 + rnd.Int64N(size)
		}
		if ours, theirs := w.report(w.a, cut), w.report(w.b, cut); !bytes.Equal(ours, theirs) {
			w.t.Errorf("at %v\n%s\n%s", cut.Sizes, ours, theirs)
		}
		for _, s := range []*side{w.a, w.b} {
			found, folded, err := s.UnderBoth(w.t.Context(), s.link, cut, statement.Assistance)
			w.must(err)
			if !maps.Equal(found, folded) {
				w.t.Errorf("%s finds %v under %v, and folds %v", s.name, found, cut.Sizes, folded)
			}
		}
	}
}

// What a report says of one request, with the hours that both clocks show.
func TestReportSaysWhatHappened(t *testing.T) {
	a, b := newClock(), newClock()
	w := newWorldAt(t, a, b)
	w.confirm()
	w.requestDesks()
	hour := func(n int) { a.advance(time.Duration(n) * time.Hour); b.advance(time.Duration(n) * time.Hour) }
	n := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil)).Number
	w.run()
	hour(1)
	w.reply(w.b, n, "clarification.ask", nil, map[string]any{"questions": "1. Which?"})
	w.run()
	hour(200) // the pause
	w.reply(w.a, n, "clarification.answer", nil, map[string]any{"answers": "1. This."})
	w.run()
	hour(160) // seven days would be over without the pause
	w.reply(w.b, n, "preservation.preserved", map[string]any{"until": b.now().Add(61 * 24 * time.Hour).UnixMicro()}, nil)
	w.run()
	unanswered := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil)).Number
	w.run()
	hour(24 * 40)
	w.message(w.b, "later", "so that the ledger goes on", nil)
	w.run()
	w.cosign()
	cut, err := w.a.CommonCut(t.Context(), w.a.link)
	w.must(err)
	r, err := w.a.StatusReport(t.Context(), operator, w.a.link, allTime(), &cut)
	w.must(err)
	for _, f := range r.Figures {
		if f.Party == w.a.Self().ID {
			if f.Sent != 2 || f.Complete != 1 || f.Received != 0 {
				t.Errorf("of who asked: %+v", f)
			}
			continue
		}
		near := func(got int64, hours int) bool {
			d := time.Duration(got)*time.Microsecond - time.Duration(hours)*time.Hour
			return d > -time.Minute && d < time.Minute
		}
		if f.Received != 2 || f.Acknowledged.Count != 1 || !near(f.Acknowledged.Median, 1) || !near(f.Answered.P90, 361) ||
			f.Acknowledged.OnTime != 1 || f.Acknowledged.Late != 1 || f.Answered.OnTime != 1 || f.Answered.Late != 1 ||
			f.Open != 1 || f.OpenOver30 != 1 || f.OpenOver90 != 0 || f.Clarified != 1 || f.Disputed != 0 {
			t.Errorf("of who was asked (%s stays open): %+v", unanswered, f)
		}
	}
	half := accord.Period{To: r.About.Cut[0].At - (41 * 24 * time.Hour).Microseconds()}
	if r, err := w.b.StatusReport(t.Context(), operator, w.b.link, half, &cut); err != nil || r.Figures[0].Received+r.Figures[1].Received != 1 {
		t.Errorf("of another period: %+v, %v", r.Figures, err)
	}
	w.sound()
}

// A party whose clock is a day ahead of what the other's log bounds has its times counted, and disputed.
func TestReportDisputes(t *testing.T) {
	a, b := newClock(), newClock()
	b.advance(24 * time.Hour)
	w := newWorldAt(t, a, b)
	w.confirm()
	n := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil)).Number
	w.run()
	w.reply(w.b, n, "request.acknowledge", nil, map[string]any{"reference": "K-17", "authority": "Authority"})
	m := w.ask(w.b, request(w.b, "preservation.request", preservation(nil), nil)).Number // received before it was sent
	w.run()
	w.reply(w.a, m, "request.acknowledge", nil, map[string]any{"reference": "A-17", "authority": "Authority"})
	w.run()
	w.cosign()
	cut, err := w.a.CommonCut(t.Context(), w.a.link)
	w.must(err)
	r, err := w.a.StatusReport(t.Context(), operator, w.a.link, allTime(), &cut)
	w.must(err)
	got := map[string]bool{}
	for _, d := range r.Disputed {
		who := "b"
		if d.Party == w.a.Self().ID {
			who = "a"
		}
		got[who+" "+d.Word] = true
	}
	if want := fmt.Sprint(map[string]bool{"a received": true, "b received": true, "b acknowledged": true}); fmt.Sprint(got) != want {
		t.Errorf("disputed %v, want %s", got, want)
	}
	if ours, theirs := w.report(w.a, cut), w.report(w.b, cut); !bytes.Equal(ours, theirs) {
		t.Errorf("the reports differ:\n%s\n%s", ours, theirs)
	}
}

func TestReportRefuses(t *testing.T) {
	w := confirmed(t)
	w.cosign()
	cut, err := w.a.CommonCut(t.Context(), w.a.link)
	w.must(err)
	beyond := flow.Cut{Sizes: map[envelope.Hash]int64{w.a.Self().ID: cut.Sizes[w.a.Self().ID] + 1, w.b.Self().ID: cut.Sizes[w.b.Self().ID]}}
	for _, c := range []struct {
		name   string
		who    actor.Actor
		period accord.Period
		cut    flow.Cut
		code   string
	}{
		{"a stranger", actor.Actor{}, allTime(), cut, "role"},
		{"a period reversed", operator, accord.Period{From: 2, To: 2}, cut, "period"},
		{"beyond the cosigned", operator, allTime(), beyond, "cut"},
		{"nothing", operator, allTime(), flow.Cut{}, "cut"},
	} {
		if _, err := w.a.StatusReport(t.Context(), c.who, w.a.link, c.period, &c.cut); fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
}

// TestReportBeforeTheMirror: what was receipted, and whose receipt's leaf has not come yet, lies beyond a cut at the leaves that have.
func TestReportBeforeTheMirror(t *testing.T) {
	reportWorlds(t, func(t *testing.T, w *world, a, b *clock) {
		ctx := t.Context()
		w.requestDesks()
		asked := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
		w.run()
		w.cosign()
		before, err := w.a.CommonCut(ctx, w.a.link)
		w.must(err)
		w.reply(w.a, asked.Number, "request.withdraw", map[string]any{"reason": "mistaken"}, nil)
		w.carry(w.a, w.b)
		w.must(w.b.Settle(ctx, w.b.link))
		d, err := w.b.Outgoing(ctx, w.b.link, 8<<20)
		w.must(err)
		frames := slices.DeleteFunc(wire(t, d.Frames), func(f parcel.Frame) bool { return f.Kind != parcel.FrameReceipt })
		_, err = w.a.Receive(ctx, w.a.link, frames)
		w.must(err)
		w.must(w.b.Undelivered(ctx, d, errDisk))
		if v, err := w.a.Request(ctx, operator, asked.Number); err != nil || v.Status != "withdrawn" {
			t.Fatalf("at its author it is %s: %v", v.Status, err)
		}
		w.must(w.a.StartRounds(ctx))
		w.carry(w.a, w.b) // Kestria cosigns what it receipted
		cut := flow.Cut{Sizes: map[party.ID]int64{w.a.Self().ID: w.log(w.a, w.a).CosignedSize, w.b.Self().ID: before.Sizes[w.b.Self().ID]}}
		if cut.Sizes[w.a.Self().ID] == before.Sizes[w.a.Self().ID] {
			t.Fatal("nothing more was cosigned")
		}
		ours, theirs := w.report(w.a, cut), w.report(w.b, cut)
		if !bytes.Equal(ours, theirs) || !bytes.Contains(ours, []byte(`"code":"delivered"`)) {
			t.Errorf("at one cut Arvenia computes\n%s\nand Kestria\n%s", ours, theirs)
		}
	})
}
