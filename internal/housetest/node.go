package housetest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/party"
	"entente/statement"
)

// node is one party's node: what lives through a power cut, and the house that does not.
type node struct {
	w     *world
	name  string
	keys  *keys
	chain *party.Chain // its first version
	sql   *sqlstore.Store
	store *store
	blobs *blobs
	skew  time.Duration
	mute  bool // never pushes while the storm lasts
	links []*link

	backups []*backup

	house *flow.House
	life  int      // how often the house was built
	stack []string // acts under way, the outermost first
	hurt  bool     // the weather struck the act under way

	troubled bool // the weather struck, ever, or what had files was refused
	dead     bool // without power until it is restarted
}

// link is a link of two nodes.
type link struct {
	id       statement.LinkID
	name     string
	a, b     *node
	parted   bool
	restored bool // a party opened an epoch on it
	polling
}

func (l *link) other(n *node) *node {
	if n == l.a {
		return l.b
	}
	return l.a
}

func names() []string { return []string{"arvenia", "kestria", "lorvania"} }

// member may do everything here.
func member() actor.Actor {
	return actor.Actor{Kind: actor.Member, Name: "op", Roles: actor.Roles()}
}

// newNode makes a node of a party at the opening.
func (w *world) newNode(i int, p castParty) *node {
	n := &node{w: w, name: names()[i], keys: p.keys, chain: p.chain}
	if w.sky.turn {
		n.keys = w.turning(p.keys)
	}
	if w.open != nil {
		n.opened(w.open(n.name))
		n.build()
		return n
	}
	path := filepath.Join(w.dir(), "entente.db")
	for end, data := range p.db {
		w.must(os.WriteFile(path+end, data, 0o600))
	}
	n.open(path)
	n.build()
	return n
}

// dir is a folder of its own, in memory where the system has such a place: power cuts are played above the store, so that nothing
// depends on its disk, and thousands of commits would wait for it.
func (w *world) dir() string {
	dir, err := os.MkdirTemp("/dev/shm", "entente-housetest-")
	if err != nil {
		return w.t.TempDir()
	}
	w.t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// build makes the house anew over what lives through a power cut.
func (n *node) build() {
	var out io.Writer = io.Discard
	if os.Getenv("ENTENTE_HOUSETEST_LOG") != "" {
		out = os.Stderr
	}
	h, err := flow.New(flow.Config{Store: n.store, Blobs: n.blobs, Keys: n.keys, Registry: n.w.registry, Self: n.stored(), Now: n.now,
		Log: slog.New(slog.NewTextHandler(out, nil)).With("node", n.name), Endpoint: "https://" + n.name + ".localhost:7443", Count: &count{}})
	n.w.must(err)
	n.house, n.life = h, n.life+1
}

// now moves on by a microsecond each time it is asked.
func (n *node) now() time.Time {
	n.w.now = n.w.now.Add(time.Microsecond)
	return n.w.now.Add(n.skew)
}

// count implements flow.Counter.
type count struct{ sync.Mutex }

// Refused implements flow.Counter.
func (*count) Refused(string, string) {}

// Swept implements flow.HouseCounter.
func (*count) Swept() {}

// Segments implements flow.HouseCounter.
func (*count) Segments(flow.Way, int) {}

// errCrashed says that the node lost its power in an act.
var errCrashed = errors.New("power cut")

// act runs f as one act of the node. If the node loses its power in it, everything that the act does from there on fails; it comes
// back as errCrashed, with a new house.
func (n *node) act(name string, f func(*flow.House) error) error {
	n.stack = append(n.stack, name)
	depth := len(n.stack)
	if depth == 1 {
		n.hurt = false
	}
	err := f(n.house)
	n.stack = n.stack[:depth-1]
	if depth == 1 && n.w.broken != "" {
		n.w.fail("%s", n.w.broken)
	}
	if !n.dead {
		return err
	}
	if depth == 1 {
		n.w.out.Crashes++
		n.restart()
	}
	return errCrashed
}

func (n *node) doing() string {
	if len(n.stack) == 0 {
		return "nothing"
	}
	return n.stack[len(n.stack)-1]
}

// struck says whether the weather strikes now.
func (n *node) struck(rate int) bool {
	w := n.w
	if w.calm || w.silenced || rate == 0 || len(n.stack) == 0 || !w.chance(rate) {
		return false
	}
	n.hurt, n.troubled = true, true
	return true
}

// restart is what follows a power cut: the house is built anew and resumes.
func (n *node) restart() {
	n.blobs.lose()
	if n.w.sky.clock && !n.w.calm && n.w.r.IntN(2) == 0 {
		n.skew += time.Duration(n.w.r.IntN(1800)-900) * time.Second
		n.w.note("%s: clock off by %s", n.name, n.skew)
	}
	for tries := 1; ; tries++ {
		if tries > 3 {
			n.blobs.full = false // its operator makes room
		}
		n.dead = false
		n.build()
		err := n.act("resume", func(h *flow.House) error { return h.Resume(context.Background()) })
		if err == nil {
			return
		}
		if errors.Is(err, errCrashed) {
			return // the inner restart resumed
		}
		n.tolerate("resume", err)
	}
}

// tolerate fails the run on an error that the weather does not excuse.
func (n *node) tolerate(what string, err error) {
	if err == nil {
		return
	}
	n.w.note("%s: %s: %s", n.name, what, brief(err))
	if errors.Is(err, errCrashed) || n.hurt || n.blobs.full {
		return
	}
	n.w.fail("%s: %s: %v (kind %s, code %s)", n.name, what, err, fault.KindOf(err), fault.CodeOf(err))
}

func brief(err error) string {
	if err == nil {
		return "done"
	}
	if errors.Is(err, errCrashed) {
		return "power cut"
	}
	return fault.CodeOf(err)
}

func (n *node) startRounds() error {
	return n.act("rounds", func(h *flow.House) error { return h.StartRounds(context.Background()) })
}

func (n *node) anyLink() *link { return n.links[n.w.r.IntN(len(n.links))] }

// settle does what the settling loop would.
func (w *world) settle(n *node, l *link) {
	err := n.act("settle", func(h *flow.House) error { return h.Settle(context.Background(), l.id) })
	n.tolerate("settle", err)
	if len(n.stack) > 0 { // expiring waits for segments that are being taken, as one goroutine cannot
		return
	}
	n.tolerate("expire", n.act("expire", func(h *flow.House) error { return h.Expire(context.Background()) }))
}

// look reads a node's store past the weather.
func (n *node) look(f func(flow.Tx) error) {
	n.w.must(n.sql.View(context.Background(), f))
}

// pair links two nodes in fair weather.
func (w *world) pair(a, b *node) *link {
	w.silenced = true
	defer func() { w.silenced = false }()
	ctx := context.Background()
	inv, err := a.house.Invite(ctx, member(), b.name, statement.DefaultAgreement(), 72*time.Hour)
	w.must(err)
	commit, err := a.house.PairHello(ctx, inv.Token)
	w.must(err)
	var nonce [32]byte
	rand.Read(nonce[:])
	answer, err := a.house.PairReveal(ctx, inv.Token, b.chain.Envelopes, nonce, "https://"+b.name+".localhost:7443", b.chain.Latest().Transport)
	w.must(err)
	id, err := b.house.PairComplete(ctx, member(), a.name, inv, commit, nonce, answer)
	w.must(err)
	return join(id, a, b)
}

func join(id statement.LinkID, a, b *node) *link {
	l := &link{id: id, name: a.name + "-" + b.name, a: a, b: b}
	a.links, b.links = append(a.links, l), append(b.links, l)
	return l
}
