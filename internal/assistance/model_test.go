package assistance_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The model of a request: the columns of both parties, without keys, wire and database, and every word that may come next.

const second, hour, day = int64(1_000_000), 3600 * int64(1_000_000), 24 * 3600 * int64(1_000_000)

// noon is 2026-03-02T12:00:00Z, a Monday.
const noon = int64(1_772_452_800_000_000)

// table makes the room's table once.
var table = sync.OnceValue(assistance.NewTable)

// thread is the state of one request.
type thread struct {
	columns map[assistance.Side]assistance.Column
	words   int
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	data, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func other(s assistance.Side) assistance.Side {
	if s == assistance.Requesting {
		return assistance.Requested
	}
	return assistance.Requesting
}

// turn makes a turn of a kind. Its name must differ from that of every other turn.
func turn(t testing.TB, name, kind string, at int64, face map[string]any) statement.Turn {
	t.Helper()
	data, err := envelope.Marshal(face)
	if err != nil {
		t.Fatal(err)
	}
	return statement.Turn{Text: &statement.Text{Kind: kind, Urgency: "routine", Authored: at, Face: data}, Commitment: envelope.Sum([]byte(name)), Received: at + second}
}

func opening(t testing.TB, kind string, at int64) statement.Turn {
	return turn(t, "opening", kind, at, map[string]any{"number": "ARV-PR-2026-0001", "days": "Asia/Shanghai"})
}

// open is a request of a kind that was delivered at noon.
func open(t testing.TB, kind string) thread {
	t.Helper()
	column, _, void := table().Fold(assistance.Column{}, assistance.Column{}, opening(t, kind, noon-second))
	if void != nil {
		t.Fatal(void)
	}
	return thread{columns: map[assistance.Side]assistance.Column{assistance.Requesting: column, assistance.Requested: {}}}
}

func (h thread) status() assistance.Status {
	return assistance.StatusOf(h.columns[assistance.Requesting], h.columns[assistance.Requested])
}

// with is the thread after a side's column became another.
func (h thread) with(s assistance.Side, c assistance.Column) thread {
	return thread{map[assistance.Side]assistance.Column{s: c, other(s): h.columns[other(s)]}, h.words + 1}
}

// say folds a word of a side that has seen everything.
func (h thread) say(s assistance.Side, t statement.Turn) (thread, *statement.Void) {
	next, _, void := table().Fold(h.columns[s], h.columns[other(s)], t)
	return h.with(s, next), void
}

// faces are the faces with which a kind may be said in a thread: one for each word that it could cite.
func (h thread) faces(k assistance.Kind) []map[string]any {
	until := noon + int64(h.words+1)*100*day
	base := map[string]any{"until": until, "ground": "sovereignty", "reason": "other"}
	if len(k.Cites) == 0 {
		return []map[string]any{base}
	}
	var faces []map[string]any
	for _, cited := range k.Cites {
		if m, said := h.columns[other(k.By)].Said[cited]; said {
			faces = append(faces, map[string]any{"cites": m.Statement.String()})
		}
	}
	return faces
}

// move is a word that may come next.
type move struct {
	kind assistance.Kind
	turn statement.Turn
}

func (h thread) moves(t testing.TB) []move {
	var moves []move
	for _, k := range assistance.Kinds() {
		if k.When == nil {
			continue
		}
		for i, face := range h.faces(k) {
			turn := turn(t, fmt.Sprint(k.Name, i, h.words), k.Name, noon+int64(h.words+1)*hour, face)
			if _, void := h.say(k.By, turn); void == nil {
				moves = append(moves, move{k, turn})
			}
		}
	}
	return moves
}

// key tells apart threads that can still go different ways: which words were said, and which of them cite what.
func (h thread) key() string {
	asking, asked := h.columns[assistance.Requesting], h.columns[assistance.Requested]
	var last []string
	newest := func(kinds ...string) string {
		best, order := "", 0
		for _, k := range kinds {
			if m, ok := asked.Said[k]; ok && m.Order > order {
				best, order = k, m.Order
			}
		}
		return fmt.Sprint(best, order == asked.Words)
	}
	for _, k := range []string{"clarification.answer", "conditions.agree", "conditions.decline", "request.contest", "answer.confirm", "preservation.proceed"} {
		if m, ok := asking.Said[k]; ok {
			for kind, said := range asked.Said {
				if said.Statement.String() == m.Cites {
					last = append(last, k+kind)
				}
			}
		}
	}
	slices.Sort(last)
	return fmt.Sprint(h.status(), last, newest("decision.accept", "decision.condition", "decision.transmit", "decision.postpone", "decision.refuse",
		"decision.impossible", "preservation.preserved", "answer.partial", "answer.complete"), newest("clarification.ask", "preservation.ineffective"))
}

// everyThread walks all threads that can be reached within so many words, each that differs once.
func everyThread(t testing.TB, kind string, depth int, visit func(thread, []move)) int {
	seen := map[string]bool{}
	level := []thread{open(t, kind)}
	for range depth {
		var next []thread
		for _, h := range level {
			moves := h.moves(t)
			visit(h, moves)
			for _, m := range moves {
				after, _ := h.say(m.kind.By, m.turn)
				if key := after.key(); !seen[key] {
					seen[key] = true
					next = append(next, after)
				}
			}
		}
		level = next
	}
	return len(seen)
}

// Every pair of words that can cross in a thread that can come to be is declared, goes as declared, and nothing else is.
func TestCrossingPairs(t *testing.T) {
	type pair struct{ requesting, requested string }
	declared := map[pair]assistance.Crossing{}
	for _, c := range assistance.Crossings() {
		for _, a := range c.Requesting {
			for _, b := range c.Requested {
				if _, twice := declared[pair{a, b}]; twice {
					t.Errorf("%s × %s is declared twice", a, b)
				}
				declared[pair{a, b}] = c
			}
		}
	}
	played := map[pair]bool{}
	for _, kind := range []string{"preservation.request", "information.request"} {
		everyThread(t, kind, 4, func(h thread, moves []move) {
			for _, a := range moves {
				for _, b := range moves {
					if a.kind.By != assistance.Requesting || b.kind.By != assistance.Requested {
						continue
					}
					p := pair{a.kind.Name, b.kind.Name}
					c, ok := declared[p]
					if !ok {
						t.Fatalf("%s × %s is not declared", p.requesting, p.requested)
					}
					played[p] = true
					asking, _ := h.say(a.kind.By, a.turn)
					asked, _ := h.say(b.kind.By, b.turn)
					want := asking.status()
					if c.Prevails == assistance.Requested {
						want = asked.status()
					}
					both := asking.with(b.kind.By, asked.columns[b.kind.By])
					if got := both.status(); got != want {
						t.Fatalf("%s × %s in status %s gives %s, declared is %s", p.requesting, p.requested, h.status(), got, want)
					}
				}
			}
		})
	}
	if want := 159; len(played) != want {
		t.Errorf("%d pairs can cross, want %d: the table of kinds has changed, so look at each of them again", len(played), want)
	}
}

// word is one statement of a conversation: what its author had folded of the other's, and what it says.
type word struct {
	seen int
	turn statement.Turn
}

// talk is what both sides said, the requesting one first.
type talk [2][]word

// folded is what somebody has folded of a talk: each author's columns, one a word, and verdicts.
type folded struct {
	Columns  [2][]assistance.Column
	Verdicts [2][]string
}

// fold folds what is known, each author's words in their order and after what it had seen.
func (k talk) fold(known func(author, word int) bool, first int) folded {
	var r folded
	for a := range r.Columns {
		r.Columns[a] = []assistance.Column{{}}
	}
	for progress := true; progress; {
		progress = false
		for _, a := range []int{first, 1 - first} {
			for n := len(r.Verdicts[a]); n < len(k[a]) && known(a, n) && k[a][n].seen <= len(r.Verdicts[1-a]); n++ {
				next, _, void := table().Fold(r.Columns[a][n], r.Columns[1-a][k[a][n].seen], k[a][n].turn)
				verdict := "folded"
				if void != nil {
					next, verdict = r.Columns[a][n], void.Reason
				}
				r.Columns[a], r.Verdicts[a] = append(r.Columns[a], next), append(r.Verdicts[a], verdict)
				progress = true
			}
		}
	}
	return r
}

// Random words of both sides, allowed or not, with whatever each had seen, fold alike in whatever order they arrive; and
// whatever one side says, the other's column stays as it was.
func TestAnyOrderFoldsAlike(t *testing.T) {
	kinds := assistance.Kinds()
	rapid.Check(t, func(r *rapid.T) {
		preserve := rapid.Bool().Draw(r, "preservation")
		opener := map[bool]string{true: "preservation.request", false: "mla.traffic"}[preserve]
		k := talk{{word{0, opening(t, opener, noon)}}, nil}
		var names []string
		for n := range rapid.IntRange(0, 14).Draw(r, "words") {
			a := rapid.IntRange(0, 1).Draw(r, "author")
			kind := rapid.SampledFrom(kinds).Draw(r, "kind")
			name := fmt.Sprint(kind.Name, n)
			face := map[string]any{"until": noon + int64(n)*40*day, "ground": rapid.SampledFrom([]string{"sovereignty", "disproportionate"}).Draw(r, "ground")}
			if len(names) > 0 {
				face["cites"] = envelope.Sum([]byte(rapid.SampledFrom(names).Draw(r, "cites"))).String()
			}
			names = append(names, name)
			low := 0
			if len(k[a]) > 0 {
				low = k[a][len(k[a])-1].seen
			}
			seen := rapid.IntRange(low, len(k[1-a])).Draw(r, "seen")
			k[a] = append(k[a], word{seen, turn(t, name, kind.Name, noon+int64(n)*hour, face)})
		}
		all := k.fold(func(int, int) bool { return true }, 0)
		if diff := cmp.Diff(all, k.fold(func(int, int) bool { return true }, 1)); diff != "" {
			r.Fatalf("the order of folding shows: %s", diff)
		}
		for a := range k {
			if len(all.Verdicts[a]) != len(k[a]) {
				r.Fatalf("%d words of side %d folded, of %d", len(all.Verdicts[a]), a, len(k[a]))
			}
		}
		// As words arrive, in any order, nothing that was folded is ever folded otherwise.
		have := [2]map[int]bool{{}, {}}
		for range len(k[0]) + len(k[1]) {
			a := rapid.IntRange(0, 1).Draw(r, "arrives of")
			if len(k[a]) > 0 {
				have[a][rapid.IntRange(0, len(k[a])-1).Draw(r, "arrives")] = true
			}
			now := k.fold(func(author, word int) bool { return have[author][word] }, a)
			for b := range k {
				n := len(now.Verdicts[b])
				if diff := cmp.Diff(all.Columns[b][:n+1], now.Columns[b]); diff != "" || !slices.Equal(all.Verdicts[b][:n], now.Verdicts[b]) {
					r.Fatalf("side %d is folded otherwise before all has arrived: %s", b, diff)
				}
			}
		}
	})
}

// A fold changes neither of the columns that it is given: it has the author's next one to say, and that is all.
func TestFoldKeepsWhatItIsGiven(t *testing.T) {
	for _, kind := range []string{"preservation.request", "information.request"} {
		everyThread(t, kind, 4, func(h thread, moves []move) {
			before, err := envelope.Marshal(h.columns)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range moves {
				h.say(m.kind.By, m.turn)
			}
			if after, _ := envelope.Marshal(h.columns); string(after) != string(before) {
				t.Fatalf("folding changed %s to %s", before, after)
			}
		})
	}
}
