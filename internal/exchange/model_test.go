package exchange_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"entente/internal/exchange"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A model of two parties that talk in one desk's thread, for conversations longer than explore_test.go explores: what each said, with what it had seen; what came in, in any order;
// and what was receipted. It is the protocol without keys, wire and database. Party 0 owns the desk, which both know at first.

// word is one statement: its place, what its author had settled of the other's, and what it says.
type word struct {
	seen int
	turn statement.Turn
}

// model is a state of it: per party its words, which of them the other has, and for which it has the receipts.
type model struct {
	said     [2][]word
	came     [2][]bool // party's words, at the other
	returned [2][]bool // their receipts, at the party
}

// settled is how much party p has settled of the other's words: all up to the first that has not come.
func (m model) settled(p int) int {
	for i, came := range m.came[1-p] {
		if !came {
			return i
		}
	}
	return len(m.came[1-p])
}

func (m *model) say(p int, t statement.Turn) {
	m.said[p] = append(m.said[p], word{m.settled(p), t})
	m.came[p] = append(m.came[p], false)
	m.returned[p] = append(m.returned[p], false)
}

// result is what a party has folded: each author's columns, one a word, and verdicts.
type result struct {
	Columns  [2][]exchange.DeskColumn
	Verdicts [2][]string
}

// fold folds what is known, each author's words in order and after what it had seen; first says which author goes first.
func (m model) fold(known func(author, word int) bool, first int) result {
	var r result
	r.Columns[0] = []exchange.DeskColumn{{Owner: true, Editions: []exchange.DeskEdition{{Statement: hash("first")}}}}
	r.Columns[1] = []exchange.DeskColumn{{}}
	for progress := true; progress; {
		progress = false
		for _, a := range []int{first, 1 - first} {
			for n := len(r.Verdicts[a]); n < len(m.said[a]) && known(a, n) && m.said[a][n].seen <= len(r.Verdicts[1-a]); n++ {
				w := m.said[a][n]
				next, _, void := exchange.FoldDesk(r.Columns[a][n], r.Columns[1-a][w.seen], w.turn)
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

// at is what party p has folded: of its own words, those receipted; of the other's, those that came.
func (m model) at(p int) result {
	return m.fold(func(author, word int) bool {
		if author == p {
			return m.returned[author][word]
		}
		return m.came[author][word]
	}, p)
}

// check demands that whatever either party has folded is what everybody will have folded in the end.
func (m model) check() error {
	all := m.fold(func(int, int) bool { return true }, 0)
	for a := range m.said {
		if len(all.Verdicts[a]) != len(m.said[a]) {
			return fmt.Errorf("party %d: %d words folded of %d", a, len(all.Verdicts[a]), len(m.said[a]))
		}
	}
	for p := range 2 {
		r := m.at(p)
		for a := range 2 {
			n := len(r.Verdicts[a])
			if !slices.Equal(all.Verdicts[a][:n], r.Verdicts[a]) {
				return fmt.Errorf("party %d gives author %d the verdicts %q, everybody %q", p, a, r.Verdicts[a], all.Verdicts[a])
			}
			if !reflect.DeepEqual(all.Columns[a][:n+1], r.Columns[a]) {
				return fmt.Errorf("party %d has another column of author %d than everybody: %s", p, a, cmp.Diff(all.Columns[a][:n+1], r.Columns[a]))
			}
		}
	}
	return nil
}

// steps are all that can happen next: the next word of a party's script, a word that comes, a receipt that returns.
func (m model) steps(scripts [2][]statement.Turn) []func(*model) {
	var steps []func(*model)
	for p := range 2 {
		if n := len(m.said[p]); n < len(scripts[p]) {
			steps = append(steps, func(m *model) { m.say(p, scripts[p][n]) })
		}
		for i := range m.said[p] {
			switch {
			case !m.came[p][i]:
				steps = append(steps, func(m *model) { m.came[p][i] = true })
			case !m.returned[p][i]:
				steps = append(steps, func(m *model) { m.returned[p][i] = true })
			}
		}
	}
	return steps
}

func deskTurns(t testing.TB) map[string]statement.Turn {
	withdraw := statement.DeskWithdrawFace{Reason: statement.WithdrawReasons()[0]}
	return map[string]statement.Turn{
		"update":      turn(t, "desk.update", deskFace(2, 0), "update"),
		"update 2":    turn(t, "desk.update", deskFace(3, 0), "update 2"),
		"withdraw":    turn(t, "desk.withdraw", withdraw, "withdraw"),
		"sign first":  turn(t, "desk.countersign", statement.DeskCountersignFace{Desk: hash("first")}, "sign first"),
		"sign update": turn(t, "desk.countersign", statement.DeskCountersignFace{Desk: hash("update")}, "sign update"),
		"sign none":   turn(t, "desk.countersign", statement.DeskCountersignFace{Desk: hash("none")}, "sign none"),
		"usurp":       turn(t, "desk.withdraw", withdraw, "usurp"),
	}
}

// Random conversations, longer than those that can be explored.
func TestRandomSchedules(t *testing.T) {
	says := deskTurns(t)
	names := []string{"update", "update 2", "withdraw", "sign first", "sign update", "sign none", "usurp"}
	rapid.Check(t, func(t *rapid.T) {
		var scripts [2][]statement.Turn
		for p := range scripts {
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 8).Draw(t, fmt.Sprint("script ", p)) {
				scripts[p] = append(scripts[p], says[name])
			}
		}
		var m model
		for {
			steps := m.steps(scripts)
			if len(steps) == 0 {
				break
			}
			steps[rapid.IntRange(0, len(steps)-1).Draw(t, "step")](&m)
			if err := m.check(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(m.at(0), m.at(1)); diff != "" {
			t.Fatal(diff)
		}
	})
}
