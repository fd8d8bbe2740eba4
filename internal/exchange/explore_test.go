package exchange_test

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/statement"
)

// The model of two nodes in one lane, up to eight statements long. It has the protocol's rules and nothing else: no keys, no wire,
// no database. What is explored, exhaustively: each party says the words of its script in their order, at any time, with what it
// has settled of the other's; a word arrives at any time, in any order, and is opened, rejected (marked "!"), refused by its
// addressee's choice (marked "~", as what expires) or by a suspension that its author had receipted; a word marked "?" is said by
// a forgetful author, who does not admit what it has seen, and is void where the addressee can cite a receipt; receipts return at
// any time, in any order; and each party's log is cosigned, or not, at one time, whichever. In every state:
//
//   - what a party has folded is the beginning of what follows from all that has arrived;
//   - where both logs are cosigned, both parties fold the same columns and verdicts at the common cut.
//
// And where nothing can happen any more, both have folded everything, alike. States that can only go on alike are explored once:
// those where the parties of a symmetric conversation have changed places, and, where no word is forgetful, those that differ only
// in which receipts have returned, because nothing but a party's own fold depends on these. That fold is then checked for all of
// them. These are about three million states. TestTheModelFindsFaults plants faults in the rules: each must be found.

// maxWords bounds a party's script.
const maxWords = 4

// fate is what became of a word.
type fate uint8

const (
	underWay fate = iota
	opened
	rejected
	refused
	stale
)

// spoken is a word that was said.
type spoken struct {
	fate  fate
	seen  uint8 // how many of the other's it admits
	shows uint8 // what its receipt says is contiguous
	early uint8 // which of the other's had arrived when it was said, as bits
	back  bool  // its receipt has returned
}

// state is where a conversation stands. It is compared as a whole.
type state struct {
	said  [2]uint8
	words [2][maxWords]spoken
	heads [2]head
}

// head is what a cosigned checkpoint of a party's log covers.
type head struct {
	signed bool
	said   uint8 // of its own words
	got    uint8 // of the other's, as bits
}

func (s *state) swap() state {
	return state{[2]uint8{s.said[1], s.said[0]}, [2][maxWords]spoken{s.words[1], s.words[0]}, [2]head{s.heads[1], s.heads[0]}}
}

// bytes puts states in an order.
func (s *state) bytes() []byte {
	b := make([]byte, 0, 2*(2+5*maxWords+3))
	bit := map[bool]byte{true: 1}
	for p := range 2 {
		b = append(b, s.said[p], bit[s.heads[p].signed], s.heads[p].said, s.heads[p].got)
		for _, w := range s.words[p] {
			b = append(b, byte(w.fate), w.seen, w.shows, w.early, bit[w.back])
		}
	}
	return b
}

// arrived is which words of party p have arrived, as bits.
func (s *state) arrived(p int) (set uint8) {
	for i := range s.said[p] {
		if s.words[p][i].fate != underWay {
			set |= 1 << i
		}
	}
	return set
}

// contiguous is how many have arrived without a gap.
func contiguous(set uint8) uint8 { return uint8(bits.TrailingZeros8(^set)) }

// scripted is a word of a script.
type scripted struct {
	turn      statement.Turn
	spoiled   bool // "!": it does not open
	may       bool // "~": it may be refused
	forgetful bool // "?": its author admits nothing of what it saw
	message   bool // what a suspension concerns
	suspends  bool
	resumes   bool
}

// faults are planted in the rules, to see them found.
type faults struct {
	foldsNewest    bool // a fold reads what is newest of the other's, not what was seen
	foldsUnsure    bool // a party folds its own word before it has the receipt
	ignoresStale   bool // the author does not void what the addressee cited
	ignoresRefusal bool // the author folds what was refused
	foldsEarly     bool // a fold does not wait for what its author had seen
	cutByAuthor    bool // a cut covers what was sent, receipted or not
}

// exploration is the search of one conversation.
type exploration struct {
	scripts   [2][]scripted
	room      chamber
	faults    faults
	cuts      bool
	symmetric bool
	forgetful bool

	states map[state]struct{}
	ends   map[string]bool
}

// chamber folds a kind of thread with numbered columns, so that each step is computed once.
type chamber struct {
	first [2]int // numbers of the columns at the beginning
	step  func(author, own, peer int, t statement.Turn) (next int, verdict string)
}

// numbered makes a chamber of a fold.
func numbered[C any](first [2]C, fold func(own, peer C, t statement.Turn) (C, []statement.Effect, *statement.Void)) chamber {
	type asked struct {
		author, own, peer int
		word              statement.Commitment
	}
	type given struct {
		next    int
		verdict string
	}
	var columns []C
	numbers, known := map[string]int{}, map[asked]given{}
	number := func(c C) int {
		key := fmt.Sprintf("%+v", c)
		if n, ok := numbers[key]; ok {
			return n
		}
		columns = append(columns, c)
		numbers[key] = len(columns) - 1
		return len(columns) - 1
	}
	return chamber{
		first: [2]int{number(first[0]), number(first[1])},
		step: func(author, own, peer int, t statement.Turn) (int, string) {
			a := asked{author, own, peer, t.Commitment}
			if g, ok := known[a]; ok {
				return g.next, g.verdict
			}
			g := given{own, "folded"}
			next, _, void := fold(columns[own], columns[peer], t)
			if void != nil {
				g.verdict = void.Reason
			} else {
				g.next = number(next)
			}
			known[a] = g
			return g.next, g.verdict
		},
	}
}

// folded is how far a party has folded: columns by their numbers, one more than verdicts.
type folded struct {
	columns  [2][maxWords + 1]int
	verdicts [2][maxWords]string
	n        [2]int
}

// fold folds what is known, as party p sees it: each author's words in order, and after what they had seen.
func (e *exploration) fold(s *state, p int, known func(author, word int) bool) folded {
	var f folded
	f.columns[0][0], f.columns[1][0] = e.room.first[0], e.room.first[1]
	for progress := true; progress; {
		progress = false
		for _, a := range []int{p, 1 - p} {
			for i := f.n[a]; i < int(s.said[a]) && known(a, i); i++ {
				w := s.words[a][i]
				next, verdict := f.columns[a][i], ""
				seen := int(w.seen)
				if seen > f.n[1-a] && !e.faults.foldsEarly {
					break
				}
				if seen > f.n[1-a] || e.faults.foldsNewest {
					seen = f.n[1-a]
				}
				switch {
				case w.fate == refused && !(e.faults.ignoresRefusal && a == p):
					verdict = "refused"
				case w.fate == rejected:
					verdict = "rejected"
				case w.fate == stale && !(e.faults.ignoresStale && a == p):
					verdict = "stale"
				default:
					next, verdict = e.room.step(a, next, f.columns[1-a][seen], e.scripts[a][i].turn)
				}
				f.columns[a][i+1], f.verdicts[a][i] = next, verdict
				f.n[a], progress = i+1, true
			}
		}
	}
	return f
}

// begins says whether f is the beginning of all.
func (f *folded) begins(all *folded) bool {
	for a := range 2 {
		if f.n[a] > all.n[a] {
			return false
		}
		for i := range f.n[a] {
			if f.verdicts[a][i] != all.verdicts[a][i] || f.columns[a][i+1] != all.columns[a][i+1] {
				return false
			}
		}
	}
	return true
}

// check says which promise a state breaks.
func (e *exploration) check(s *state) error {
	all := e.fold(s, 0, func(a, i int) bool { return s.words[a][i].fate != underWay })
	for p := range 2 {
		last := int(s.said[p])
		for returned := 0; returned <= last; returned++ {
			f := e.fold(s, p, func(a, i int) bool {
				w := s.words[a][i]
				switch {
				case a != p:
					return w.fate != underWay
				case e.faults.foldsUnsure:
					return true
				case e.forgetful:
					return w.back
				}
				return w.fate != underWay && i < returned
			})
			if !f.begins(&all) {
				return fmt.Errorf("party %d has folded %v, and what has arrived gives %v", p, f, all)
			}
			if e.forgetful || e.faults.foldsUnsure {
				break
			}
		}
	}
	return e.checkCut(s)
}

// checkCut compares what both parties fold at the common cut.
func (e *exploration) checkCut(s *state) error {
	if !s.heads[0].signed || !s.heads[1].signed {
		return nil
	}
	var at [2]folded
	for p := range 2 {
		at[p] = e.fold(s, p, func(a, i int) bool {
			covered := i < int(s.heads[a].said) && s.heads[1-a].got>>i&1 == 1
			if e.faults.cutByAuthor {
				covered = i < int(s.heads[a].said)
			}
			return covered && (a == p || s.words[a][i].fate != underWay)
		})
	}
	if at[0] != at[1] {
		return fmt.Errorf("at the common cut %+v the parties fold %v and %v", s.heads, at[0], at[1])
	}
	return nil
}

// successors calls each with every state that can follow.
func (e *exploration) successors(s state, each func(state)) {
	for p := range 2 {
		if n := s.said[p]; int(n) < len(e.scripts[p]) {
			each(e.say(s, p, n))
		}
		for i := range s.said[p] {
			w := s.words[p][i]
			if w.fate == underWay {
				for _, f := range e.fates(&s, p, int(i)) {
					next := s
					next.words[p][i].fate = f
					if e.forgetful {
						next.words[p][i].shows = contiguous(next.arrived(p))
					}
					each(next)
				}
			} else if e.forgetful && !w.back {
				next := s
				next.words[p][i].back = true
				each(next)
			}
		}
		if e.cuts && !s.heads[p].signed && s.said[p] > 0 {
			next := s
			next.heads[p] = head{true, s.said[p], s.arrived(1 - p)}
			if e.forgetful { // the receipts come with the leaves
				for i := range s.said[1-p] {
					next.words[1-p][i].back = next.words[1-p][i].fate != underWay
				}
			}
			each(next)
		}
	}
}

func (e *exploration) say(s state, p int, n uint8) state {
	came := s.arrived(1 - p)
	w := spoken{seen: contiguous(came)}
	if e.forgetful {
		w.early = came
	}
	if e.scripts[p][n].forgetful {
		w.seen = 0
		for i := range n { // it never admits less than before
			w.seen = max(w.seen, s.words[p][i].seen)
		}
	}
	s.words[p][n] = w
	s.said[p]++
	return s
}

// fates are what may become of a word that arrives.
func (e *exploration) fates(s *state, p, i int) []fate {
	w, script := s.words[p][i], e.scripts[p][i]
	if e.forgetful {
		for j := range s.said[1-p] { // the addressee cites what the author receipted before it said this
			other := s.words[1-p][j]
			if other.back && w.early>>j&1 == 1 && other.shows > w.seen {
				return []fate{stale}
			}
		}
	}
	switch {
	case script.message && e.suspended(s, p, int(w.seen)):
		return []fate{refused}
	case script.spoiled:
		return []fate{rejected}
	case script.may:
		return []fate{opened, refused}
	}
	return []fate{opened}
}

// suspended says whether the other party had suspended the lane with the last word of its that p had seen.
func (e *exploration) suspended(s *state, p, seen int) (is bool) {
	for i := range seen {
		if s.words[1-p][i].fate == opened {
			is = is && !e.scripts[1-p][i].resumes || e.scripts[1-p][i].suspends
		}
	}
	return is
}

// explore visits every state and returns the first broken promise.
func (e *exploration) explore() error {
	e.states, e.ends = map[state]struct{}{}, map[string]bool{}
	open := []state{{}}
	for len(open) > 0 {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		if err := e.check(&s); err != nil {
			return fmt.Errorf("%w\nin the state %+v", err, s)
		}
		last := true
		e.successors(s, func(next state) {
			last = false
			key := next
			if other := next.swap(); e.symmetric && bytes.Compare(other.bytes(), next.bytes()) < 0 {
				key = other
			}
			if _, known := e.states[key]; !known {
				e.states[key] = struct{}{}
				open = append(open, key)
			}
		})
		if !last {
			continue
		}
		end := e.fold(&s, 0, func(int, int) bool { return true })
		if end.n != [2]int{len(e.scripts[0]), len(e.scripts[1])} {
			return fmt.Errorf("in the end %v is folded", end.n)
		}
		e.ends[fmt.Sprint(end.verdicts)] = true
	}
	return nil
}

// conversation is a search of two scripts, in a desk's thread, or the link's own.
func conversation(t testing.TB, name string, cuts bool, scripts [2]string) *exploration {
	t.Helper()
	says := deskTurns(t)
	e := &exploration{cuts: cuts, symmetric: scripts[0] == scripts[1]}
	switch name {
	case "desk":
		e.room = numbered([2]exchange.DeskColumn{{Owner: true, Editions: []exchange.DeskEdition{{Statement: hash("first")}}}, {}}, exchange.FoldDesk)
	case "link":
		lanes := []statement.Lane{statement.Network}
		says = map[string]statement.Turn{
			"suspend":  turn(t, "participation.suspend", statement.SuspendFace{Lanes: lanes, Reason: "review"}, "suspend"),
			"resume":   turn(t, "participation.resume", statement.ResumeFace{Lanes: lanes}, "resume"),
			"withdraw": turn(t, "participation.withdraw", statement.WithdrawFace{Reason: "ended"}, "withdraw"),
			"agree":    turn(t, "link.agree", statement.LinkAgreeFace{Agreement: envelope.Sum([]byte("terms"))}, "agree"),
			"message":  turn(t, "test", statement.EmptyBody{}, "message"),
		}
		e.room = numbered([2]exchange.LinkColumn{}, exchange.FoldLink)
	}
	for p, script := range scripts {
		for i, word := range strings.Split(script, ", ") {
			plain := strings.TrimRight(word, "!~?")
			said, ok := says[plain]
			if !ok || i == maxWords {
				t.Fatalf("the script %q has no word %q", script, word)
			}
			said.Commitment = hash(fmt.Sprint(plain, p, i))
			if name == "desk" && plain != "sign none" {
				said.Commitment = hash(plain) // what is cited has its name
			}
			marks := word[len(plain):]
			w := scripted{turn: said, spoiled: strings.Contains(marks, "!"), may: strings.Contains(marks, "~"), forgetful: strings.Contains(marks, "?"),
				message: plain == "message", suspends: plain == "suspend", resumes: plain == "resume"}
			e.forgetful = e.forgetful || w.forgetful
			e.scripts[p] = append(e.scripts[p], w)
		}
	}
	return e
}

// No interleaving of two nodes with eight statements has a state in which their columns differ.
func TestEightStatements(t *testing.T) {
	total := 0
	for _, c := range []struct {
		room    string
		cuts    bool
		scripts [2]string
	}{
		{"desk", false, [2]string{"update, update 2, withdraw, update", "sign first, sign update, sign none, usurp"}},
		{"desk", false, [2]string{"update~, update 2!, withdraw, usurp", "sign update, sign first~, sign update, sign none"}},
		{"link", false, [2]string{"suspend, message, resume, message", "suspend, message, resume, message"}},
		{"link", false, [2]string{"suspend~, resume, suspend, withdraw", "message, message~, agree, message"}},
		{"link", true, [2]string{"suspend, message, resume, message", "suspend, message, resume, message"}},
		{"desk", true, [2]string{"update~, withdraw, update 2", "sign first!, sign update, usurp"}},
		{"desk", true, [2]string{"update?, withdraw", "sign first, sign update?"}},
		{"link", false, [2]string{"suspend, message?, resume", "message~, agree, message?"}},
	} {
		t.Run(fmt.Sprint(c.scripts), func(t *testing.T) {
			e := conversation(t, c.room, c.cuts, c.scripts)
			if err := e.explore(); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d states, %d ends", len(e.states), len(e.ends))
			if len(e.ends) < 2 {
				t.Errorf("only %d ends in %d states: the conversation does not cross", len(e.ends), len(e.states))
			}
			total += len(e.states)
		})
	}
	t.Logf("%d states in all", total)
}

// Each fault that is planted in the rules is found.
func TestTheModelFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		faults  faults
		room    string
		cuts    bool
		scripts [2]string
	}{
		"a fold reads what is newest":            {faults{foldsNewest: true}, "desk", false, [2]string{"update, withdraw", "sign first, sign update"}},
		"a party folds before it has a receipt":  {faults{foldsUnsure: true}, "desk", false, [2]string{"update~, withdraw", "sign first, sign update"}},
		"the author keeps what was refused":      {faults{ignoresRefusal: true}, "link", false, [2]string{"suspend~, message", "message, agree"}},
		"the author keeps what is stale":         {faults{ignoresStale: true}, "desk", false, [2]string{"update?, withdraw", "sign first, sign update"}},
		"a fold does not wait for what it reads": {faults{foldsEarly: true}, "desk", false, [2]string{"update~, withdraw", "sign first, sign update"}},
		"a cut covers what was not receipted":    {faults{cutByAuthor: true}, "link", true, [2]string{"suspend, message", "suspend, message"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := conversation(t, c.room, c.cuts, c.scripts)
			if err := e.explore(); err != nil {
				t.Fatalf("without the fault: %v", err)
			}
			e.faults = c.faults
			err := e.explore()
			if err == nil {
				t.Fatalf("not found in %d states", len(e.states))
			}
			t.Logf("found after %d states: %v", len(e.states), err)
		})
	}
}
