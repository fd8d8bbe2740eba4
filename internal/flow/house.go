package flow

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

// Config is what a House is built from; every member is required.
type Config struct {
	Store    Store
	Blobs    Blobs
	Keys     Keys
	Registry envelope.Registry
	Self     *party.Chain // as it is stored; Resume takes up what the keyring decided beyond
	Now      func() time.Time
	Log      *slog.Logger
	Quota    int64  // bytes that the files of a peer may take up here, on each link; 0 for no bound
	Endpoint string // what we tell peers: "https://arvenia.localhost:7443"; empty if none can reach us
	Count    HouseCounter
}

// Counter counts refusals by cause; node gives it to the metrics.
type Counter interface {
	Refused(door, code string)
}

// HouseCounter counts what happens in the house, too.
type HouseCounter interface {
	Counter
	Swept()                      // a file of sealed bytes that no row named
	Segments(way Way, bytes int) // of large parcels, as they are sent or come
}

// Way is the direction in which something crosses.
type Way string

// The ways.
const (
	In  Way = "in"
	Out Way = "out"
)

// House is the acts of one party's node, bound to its store, blobs and keys. Safe for concurrent use. What it holds
// in memory is only speed: after a crash everything is found again in the store.
type House struct {
	cfg   Config
	self  party.ID
	acts  *counted // cfg.Store
	links sync.Map // statement.LinkID → *linkState
	docs  recall

	kins      recent[statement.LinkID, *kin]
	notes     recent[cosignedHead, string]
	verifiers verifiers

	kinds    map[string]map[string]foldable // by edition of kinds and name
	forms    map[string]statement.FormKind  // of the newest edition, by name
	requests assistance.Table

	pairings sync.Map // paired → *terms
	ledgers  atomic.Pointer[ledgers]

	aliases sync.Map // string → statement.LinkID, of those that were asked for: a link keeps its alias
	zones   sync.Map // name → *time.Location

	own      atomic.Pointer[party.Chain] // ours, as it is in force
	turning  sync.Mutex                  // held while our keys are changed
	warned   atomic.Pointer[string]      // the warning of the keys' end that was logged last
	learning sync.Mutex                  // held while a version of somebody's identity is learned
	learned  atomic.Int64                // how often one was
	deriving sync.Mutex                  // held while a passphrase is looked at

	restored atomic.Int64  // when this node was restored from a backup; 0 if never
	dirty    sync.Map      // statement.LinkID → true: to be settled
	busy     sync.Map      // statement.LinkID → true: SettleLoop is at it
	settling chan struct{} // wakes SettleLoop
	holding  holding       // blobs that are on their way to their rows
}

// linkState is what a running node remembers of a link between acts.
type linkState struct {
	wake    chan struct{}
	outlook batcher[*outlook]
	reserve batcher[*reservation]

	mu       sync.Mutex               // guards everything below
	room     chan struct{}            // closed when receipts have come, and made anew
	prospect *prospect                // the last
	calm     *calm                    // nil until a snapshot showed one
	terms    *terms                   // the agreement of the link's row, decoded
	rules    *rulebook                // all agreements that were said; nil until it is asked for
	pins     *Transport               // read again when the peer shows another version of its identity
	inflows  map[envelope.ID]*inflow  // parcels of the peer that arrive in segments, whose hashes are known
	outflows map[envelope.ID]*outflow // parcels of ours whose segments the peer asked for
	docs     map[envelope.Hash]bool   // documents that the peer's mirror asked for
	old      int64                    // the size that the peer said it had cosigned; -1 unless it said so
	have     int64                    // the size to which it said it mirrors our log; -1 unless it said so
	flying   map[envelope.ID]bool     // parcels in deliveries that were not answered yet

	unheard    [2]int64                            // where in our log the receipts of the last two answers begin; 0: none
	knows      int                                 // our version that the peer is known to have; 0 if it is not known
	lacks      bool                                // the peer said that it lacks versions of ours
	showAfter  int64                               // versions that it may lack are not shown again before
	shown      *ledger.Checkpoint                  // the newest checkpoint shown to the peer
	round      bool                                // a round of the ledger is due
	rounding   bool                                // one is on the way
	roundAfter int64                               // not before
	fruitless  int                                 // rounds that ended in a row without a new cosignature
	fails      int                                 // deliveries failed in a row
	warned     map[string]warned                   // what a peer had us log, by message
	unsaved    map[envelope.Hash]exchange.Document // signed, and not stored with their signatures yet
}

// New makes the house.
func New(c Config) (*House, error) {
	if c.Store == nil || c.Blobs == nil || c.Keys == nil || c.Self == nil || c.Now == nil || c.Log == nil || c.Count == nil {
		return nil, fmt.Errorf("building the house: a part is missing")
	}
	requests := assistance.NewTable()
	acts := &counted{Store: c.Store}
	c.Store = acts
	h := &House{cfg: c, acts: acts, self: c.Self.ID, kinds: foldables(requests), forms: map[string]statement.FormKind{}, requests: requests, settling: make(chan struct{}, 1)}
	h.kins.limit, h.notes.limit = maxKins, maxNotes
	for _, k := range statement.FormKinds(statement.KindsEdition) {
		h.forms[k.Name] = k
	}
	h.own.Store(c.Self)
	return h, nil
}

// Self is our own chain, up to the version in force.
func (h *House) Self() *party.Chain { return h.own.Load() }

func (h *House) now() int64 { return h.cfg.Now().UnixMicro() }

func (h *House) link(id statement.LinkID) *linkState {
	if s, ok := h.links.Load(id); ok {
		return s.(*linkState)
	}
	s, _ := h.links.LoadOrStore(id, &linkState{
		wake: make(chan struct{}, 1), room: make(chan struct{}), old: -1, have: -1,
		inflows: map[envelope.ID]*inflow{}, outflows: map[envelope.ID]*outflow{},
		unsaved: map[envelope.Hash]exchange.Document{}, docs: map[envelope.Hash]bool{}, flying: map[envelope.ID]bool{}, warned: map[string]warned{},
	})
	return s.(*linkState)
}

// Wake returns a channel that receives when something for link may be due before NextDue.
func (h *House) Wake(link statement.LinkID) <-chan struct{} { return h.link(link).wake }

func (s *linkState) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// linkRow is our row of a link.
func (h *House) linkRow(ctx context.Context, link statement.LinkID) (l exchange.Link, err error) {
	if known, ok := h.links.Load(link); ok { // nothing is remembered of a link that a stranger makes up
		if c := known.(*linkState).stillness(h.acts.ended.Load()); c != nil {
			return c.link, nil
		}
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		l, err = tx.Link(ctx, link)
		return err
	})
	return l, err
}

// linkRows are the rows of all links.
func (h *House) linkRows(ctx context.Context) (links []exchange.Link, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		links, err = tx.Links(ctx)
		return err
	})
	return links, err
}

// Addresses are where the peers of our links are reached, of those that can be.
func (h *House) Addresses(ctx context.Context) (list []exchange.Address, err error) {
	err = h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		list, err = tx.Addresses(ctx)
		return err
	})
	return list, err
}

// evidence keeps the exact bytes of a lie; it is called inside a transaction.
func (h *House) evidence(ctx context.Context, tx Tx, link statement.LinkID, kind, note string, data []byte) error {
	return tx.PutEvidence(ctx, exchange.Evidence{Link: link, Kind: kind, At: h.now(), Note: note, Data: data})
}

func notFound(err error) bool { return fault.KindOf(err) == fault.NotFound }

// batcher lets acts that wait at the same time share one transaction: those who come while a batch runs form the next.
type batcher[T any] struct {
	mu      sync.Mutex
	running bool
	waiting []*batched[T]
}

type batched[T any] struct {
	item T
	err  error
	done chan struct{}
}

// maxBatch is the most acts in one transaction.
const maxBatch = 256

// do adds item to the next batch and waits for its result. run gets the items of a batch and returns one error each. A
// batch runs to its end even if a caller gives up: it has other callers too.
func (b *batcher[T]) do(ctx context.Context, item T, run func(context.Context, []T) []error) error {
	mine := &batched[T]{item: item, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, mine)
	first := !b.running
	b.running = true
	b.mu.Unlock()
	if first {
		go b.drain(context.WithoutCancel(ctx), run)
	}
	<-mine.done
	return mine.err
}

// drain runs batches until nobody waits.
func (b *batcher[T]) drain(ctx context.Context, run func(context.Context, []T) []error) {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), maxBatch)
		b.running = n > 0
		batch := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		b.mu.Unlock()
		if n == 0 {
			return
		}
		items := make([]T, n)
		for i, w := range batch {
			items[i] = w.item
		}
		errs := run(ctx, items)
		for i, w := range batch {
			w.err = errs[i]
			close(w.done)
		}
	}
}
