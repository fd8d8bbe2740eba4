// Package housetest plays several nodes in one process, against bad weather that a seed decides: requests and answers that are
// lost, doubled, late, cut or damaged, power cuts before and after every commit, full disks, clocks that disagree, and in some runs
// a party that lies with its real keys. It is for tests only.
//
// It promises that a seed is a run: the same seed gives the same events, and a run that fails prints its events and the command
// that plays it again. When the weather has cleared, it checks what the project promises: nothing that was acknowledged is lost,
// nothing happened twice, both parties hold one record, cosigned to its end, and nobody honest is accused. It refuses to wait: time
// is what the run says it is, and everything happens in one goroutine but the stores' committers.
package housetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/store/sqlstore"
)

// Options narrow a run; the zero value lets the seed decide everything.
type Options struct {
	Steps int  // of the stormy part; 0 for 80
	Lie   Lie  // what one party lies about; "" lets the seed choose, mostly honesty
	Real  bool // signatures of INT-1, whatever the seed; one in realEach has them anyway
	Thief bool // keys are replaced and stolen, whatever the seed

	// Open opens a party's store instead of a SQLite file; the parties are paired in it, then.
	Open  func(party string) *sqlstore.Store
	Lapse bool // nodes are put back to backups, and nobody lies
}

// realEach is every how many seeds a run has the real signatures, which cost more than all the rest.
const realEach = 16

// Outcome is what became of a run that passed.
type Outcome struct {
	Seed  uint64
	Nodes int
	Lie   Lie // what was lied about; Honesty if there was no occasion
	Said  int // statements that were acknowledged
	Void  int // of these, void with a reason on both sides
	Files int

	Registered int // of those said, with the key withheld until it was acknowledged
	Carried    int // courier files that were taken
	Turns      int // keys that were replaced
	Recovered  int // of these, by the recovery quorum
	Abused     int // what a thief signed with keys that were stolen
	Forks      int // of this, versions of the identity
	Crashes    int
	Restores   int // nodes put back to a backup
	Faults     int // requests that did not go well
	Refused    int // tries that were refused, as they must be
	Left       int // blobs that power cuts and failures left behind
	Trace      []string
}

// world is one run.
type world struct {
	t     testing.TB
	seed  uint64
	r     *rand.Rand
	sky   weather
	lie   Lie
	liar  *node
	calm  bool // faults have ended
	now   time.Time
	step  int
	nodes []*node
	links []*link

	registry envelope.Registry
	open     func(party string) *sqlstore.Store
	again    string // the command that plays the run again

	storyOnly  bool // no weather, but one power cut
	crashAt    int  // boundary of it; 0 for never
	boundaries int  // that the run came by

	out      Outcome
	said     []*said
	flights  []*flight // requests under way
	old      []*letter // what travelled before and may come again
	ageAt    int       // step at which a month goes by; 0 for never
	lieAt    int       // step from which the liar looks for its occasion
	lied     bool
	theft    *theft // nil until keys are stolen
	broken   string // a promise, found in an act that must come to its end first
	proven   int    // number of the statement that is proven in the end
	silenced bool   // no interleaving and no faults while the run looks at its nodes
}

// Run plays one seed and fails t if a promise is broken.
func Run(t testing.TB, cast *Cast, seed uint64, o Options) *Outcome {
	t.Helper()
	w := &world{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0x456e74656e7465)), open: o.Open}
	w.again = o.again(seed)
	steps := o.Steps
	if steps == 0 {
		steps = 80
	}
	w.play(cast, w.cast(o), func() {
		w.begin()
		for w.step = 1; w.step <= steps; w.step++ {
			w.stormy()
		}
	})
	w.out.Seed, w.out.Nodes, w.out.Lie = seed, len(w.nodes), Honesty
	if w.lied {
		w.out.Lie = w.lie
	}
	return &w.out
}

// again is the command that plays a seed again.
func (o Options) again(seed uint64) string {
	test := "TestSeeds -args -seeds 1"
	switch {
	case o.Open != nil:
		test = "TestSeedsOnPostgres -args"
	case o.Lapse:
		test = "TestLapses -args -seeds 5" // of which it plays one in five
	}
	command := fmt.Sprintf("go test ./internal/housetest -run %s -first %d", test, seed)
	if o.Lie != "" {
		command += " -lie " + string(o.Lie)
	}
	if o.Thief {
		command += " -thief"
	}
	if o.Steps != 0 {
		command += fmt.Sprintf(" -steps %d", o.Steps)
	}
	return command
}

// play opens a scene, lets happen what happens in it, and checks every promise in fair weather.
func (w *world) play(cast *Cast, s scene, happens func()) {
	w.t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))   // what flow does in parallel is done in order
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a run is short and small
	before := runtime.NumGoroutine()
	at := cast.open(w.t, s, w.seed)
	w.now, w.registry = at.now, at.registry
	for i, p := range at.parties {
		w.nodes = append(w.nodes, w.newNode(i, p))
	}
	if w.open != nil {
		w.pairAll(s.confirmed)
	} else {
		for _, l := range at.links {
			w.links = append(w.links, join(l.id, w.nodes[l.a], w.nodes[l.b]))
		}
	}
	happens()
	w.heal()
	w.check()
	w.end(before)
}

// cast draws who takes part, and what goes wrong.
func (w *world) cast(o Options) scene {
	s := scene{nodes: 2, confirmed: w.r.IntN(8) > 0, real: o.Real || w.seed%realEach == 0 && !o.Thief}
	if w.r.IntN(4) == 0 {
		s.nodes = 3
	}
	w.lie = o.Lie
	if o.Lapse {
		w.lie = Honesty
	}
	if w.lie == "" {
		w.lie = Honesty
		if all := Lies(); w.r.IntN(4) == 0 && !o.Thief {
			w.lie = all[w.r.IntN(len(all))]
		}
	}
	if w.lie != Honesty {
		s.nodes = 3 // the third shows that its links go on
	}
	w.sky = forecast(w.r)
	w.sky.turn = w.sky.turn && w.lie == Honesty // who lies does so with the keys of its first version
	if o.Thief {
		w.sky.turn, w.sky.thief = true, true
	}
	w.sky.thief = w.sky.thief && w.sky.turn && !s.real // who makes its keys as quickly
	w.sky.lapse = (w.sky.lapse && !w.sky.thief || o.Lapse) && w.lie == Honesty
	w.sky.thief = w.sky.thief && !w.sky.lapse
	w.sky.register = w.sky.register && !w.sky.lapse
	return s
}

// begin sets clocks and roles.
func (w *world) begin() {
	if w.r.IntN(3) == 0 {
		n := w.nodes[w.r.IntN(len(w.nodes))]
		n.skew = time.Duration(w.r.IntN(48*3600)-24*3600) * time.Second
	}
	if w.lie != Honesty {
		w.liar, w.lieAt = w.nodes[0], 5+w.r.IntN(50)
	}
	if w.r.IntN(6) == 0 {
		w.nodes[w.r.IntN(len(w.nodes))].mute = true
	}
	if w.lie == Honesty && w.r.IntN(4) == 0 {
		hidden := w.nodes[w.r.IntN(len(w.nodes))]
		hidden.mute = false
		for _, l := range hidden.links {
			l.hidden = hidden
		}
		w.note("%s cannot be reached", hidden.name)
	}
	if w.sky.age && w.lie == Honesty {
		w.ageAt = 20 + w.r.IntN(60)
	}
	w.note("%d nodes, lie %s, %v", len(w.nodes), w.lie, w.sky)
	for _, n := range w.nodes {
		if n.skew != 0 || n.mute {
			w.note("%s: clock off by %s, mute %t", n.name, n.skew, n.mute)
		}
	}
	w.calm = true
	for _, l := range w.links {
		if w.r.IntN(4) == 0 {
			w.confirm(l.a, l) // which is refused the second time
		}
	}
	w.calm = false
}

// note adds an event to the trace.
func (w *world) note(format string, args ...any) {
	w.out.Trace = append(w.out.Trace, fmt.Sprintf("%3d ", w.step)+fmt.Sprintf(format, args...))
}

// fail ends the run with the command that plays it again, and its events.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, n := range w.nodes {
		if len(n.stack) > 0 {
			if w.broken == "" {
				w.broken = fmt.Sprintf(format, args...)
			}
			return
		}
	}
	w.t.Fatalf("seed %d: %s\nplay it again: %s\n%s", w.seed, fmt.Sprintf(format, args...), w.again, strings.Join(w.out.Trace, "\n"))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
	}
}

// chance is true n times in a thousand.
func (w *world) chance(n int) bool { return w.r.IntN(1000) < n }

// stormy is one step in bad weather.
func (w *world) stormy() {
	w.now = w.now.Add(time.Duration(w.r.IntN(2000)) * time.Millisecond)
	w.arrive(false)
	if w.step >= w.lieAt {
		w.tryLie()
	}
	if w.step == w.ageAt {
		w.now = w.now.Add(31 * 24 * time.Hour)
		w.note("a month goes by")
	}
	n := w.nodes[w.r.IntN(len(w.nodes))]
	if w.sky.thief && w.chance(100) {
		if w.theft == nil {
			w.steal(n)
		} else {
			w.abuse()
		}
	}
	if w.sky.lapse && w.r.IntN(10) == 0 {
		w.lapse(n)
		return
	}
	switch k := w.r.IntN(100); {
	case k < 4 && w.sky.courier && w.lie == Honesty:
		w.courier(n)
	case k < 7 && w.sky.turn:
		w.turn(n)
	case k < 34:
		w.deed(n)
	case k < 39:
		w.illegal(n)
	case k < 74:
		w.push(n)
	case k < 79:
		w.settle(n, n.anyLink())
	case k < 83:
		n.tolerate("rounds", n.startRounds())
		n.tolerate("lapse", n.lapse())
	case k < 91:
		jump := time.Duration(w.r.IntN(90)) * time.Second
		w.now = w.now.Add(jump)
	case k < 96:
		w.replay()
	case k < 97:
		w.note("%s is stopped and started", n.name)
		n.restart()
	case k < 98:
		n.blobs.full, n.blobs.tight = !n.blobs.full && w.sky.disk && w.r.IntN(2) == 0, !n.blobs.tight && w.sky.disk
		w.note("%s: disk full %t, tight %t", n.name, n.blobs.full, n.blobs.tight)
	default:
		l := w.links[w.r.IntN(len(w.links))]
		l.parted = !l.parted && w.sky.part
		w.note("%s: parted %t", l.name, l.parted)
	}
}
