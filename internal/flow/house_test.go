package flow_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/store/sqlstore"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// operator may do everything here.
var operator = actor.Actor{Kind: actor.Member, Name: "op", Roles: actor.Roles()}

// clock is a time that tests set; each reading moves it on by a microsecond.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.at.Add(1)).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Microseconds()) }

// tally counts refusals.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) Refused(_, code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[code]++
}

func (t *tally) Swept()                 { t.Refused("", "swept") }
func (t *tally) Segments(flow.Way, int) {}

func (t *tally) of(code string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[code]
}

// side is one party in a test.
type side struct {
	*flow.House
	name   string
	keys   *keyring.Keyring
	shares []keyring.Share // the recovery keys of its party
	store  flow.Store
	blobs  *memoryBlobs
	clock  *clock
	tally  *tally
	link   statement.LinkID
	dir    string // of the database
	quota  int64
	log    slog.Handler
}

// world is two parties with their link.
type world struct {
	t       testing.TB
	a, b    *side
	crossed *bytes.Buffer // every byte that crosses, if it is kept
}

func newSide(t testing.TB, name string, c *clock, store flow.Store) *side {
	t.Helper()
	dir := t.TempDir()
	lockPath := filepath.Join(dir, "key")
	if err := keyring.WriteKeyFile(lockPath, rand.Reader); err != nil {
		t.Fatal(err)
	}
	keys, shares, err := keyring.Create(filepath.Join(dir, "keyring.json"), keyring.KeyFile(lockPath), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	identity := keys.Identity(map[string]string{"en": name}, name+" Cyber Authority", c.now(), 10*365*24*time.Hour)
	env, err := party.Create(identity, keys.Signers()...)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := party.Verify(envelope.Default(), [][]byte{encoded})
	if err != nil {
		t.Fatal(err)
	}
	if store == nil {
		s, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(dir, "entente.db"), 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		store = s
	}
	if err := store.Update(t.Context(), flow.Normal, func(tx flow.Tx) error { return tx.PutIdentity(t.Context(), chain.ID, 1, encoded) }); err != nil {
		t.Fatal(err)
	}
	s := &side{name: name, keys: keys, shares: shares, store: store, blobs: newMemoryBlobs(), clock: c, tally: &tally{}, dir: dir, log: slog.NewTextHandler(io.Discard, nil)}
	s.House = s.open(t, chain)
	return s
}

// open builds the house anew, as after a crash: only the store and the blobs live on.
func (s *side) open(t testing.TB, chain *party.Chain) *flow.House {
	t.Helper()
	h, err := flow.New(flow.Config{Store: s.store, Blobs: s.blobs, Keys: s.keys, Registry: envelope.Default(), Self: chain, Now: s.clock.now,
		Log: slog.New(s.log), Endpoint: "https://" + s.name + ".localhost:7443", Quota: s.quota, Count: s.tally})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := newClock()
	return newWorldAt(t, c, c)
}

// newWorldAt gives each side its own clock.
func newWorldAt(t testing.TB, a, b *clock) *world {
	t.Helper()
	w := &world{t: t, a: newSide(t, "arvenia", a, nil), b: newSide(t, "kestria", b, nil)}
	w.pair()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v (kind %s, code %s)", err, fault.KindOf(err), fault.CodeOf(err))
	}
}

// pair plays invitation, commitment and reveal.
func (w *world) pair() { w.pairAs("kestria", "arvenia") }

// pairAs pairs the two under names of the link's.
func (w *world) pairAs(atA, atB string) {
	w.t.Helper()
	ctx := w.t.Context()
	inv, err := w.a.Invite(ctx, operator, atA, statement.DefaultAgreement(), time.Hour)
	w.must(err)
	data, err := inv.Encode()
	w.must(err)
	inv, err = flow.DecodeInvitation(data)
	w.must(err)
	commit, err := w.a.PairHello(ctx, inv.Token)
	w.must(err)
	var nonce [32]byte
	rand.Read(nonce[:])
	answer, err := w.a.PairReveal(ctx, inv.Token, w.b.Self().Envelopes, nonce, "https://kestria.localhost:7443", w.b.Self().Latest().Transport)
	w.must(err)
	id, err := w.b.PairComplete(ctx, operator, atB, inv, commit, nonce, answer)
	w.must(err)
	w.a.link, w.b.link = id, id
}

// confirm makes the link active.
func (w *world) confirm() {
	w.t.Helper()
	for _, s := range []*side{w.a, w.b} {
		_, err := s.Confirm(w.t.Context(), operator, s.link, "telephone", "Duty officer", "head of desk", "")
		w.must(err)
	}
	w.run()
}

// carry plays one delivery from one side to the other; it reports whether there was anything.
func (w *world) carry(from, to *side) bool {
	w.t.Helper()
	ctx := w.t.Context()
	d, err := from.Outgoing(ctx, from.link, 8<<20)
	w.must(err)
	if len(d.Frames) == 0 {
		return false
	}
	answers, err := to.Receive(ctx, to.link, wire(w.t, d.Frames))
	w.must(err)
	w.must(from.Delivered(ctx, d, wire(w.t, answers)))
	if w.crossed != nil {
		for _, f := range slices.Concat(d.Frames, answers) {
			w.must(parcel.WriteFrame(w.crossed, f))
		}
	}
	return true
}

// wire writes frames and reads them again, as a connection would.
func wire(t testing.TB, frames []parcel.Frame) []parcel.Frame {
	t.Helper()
	var buf bytes.Buffer
	for _, f := range frames {
		if err := parcel.WriteFrame(&buf, f); err != nil {
			t.Fatalf("writing a frame of kind %d: %v", f.Kind, err)
		}
	}
	r := parcel.NewFrameReader(&buf)
	var out []parcel.Frame
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

// run carries and settles until nothing moves any more.
func (w *world) run() {
	w.t.Helper()
	for range 200 {
		moved := w.carry(w.a, w.b)
		moved = w.carry(w.b, w.a) || moved
		w.must(w.a.Settle(w.t.Context(), w.a.link))
		w.must(w.b.Settle(w.t.Context(), w.b.link))
		if !moved {
			return
		}
	}
	w.t.Fatal("the traffic does not come to an end")
}

// cosign carries rounds of both ledgers until they are cosigned to the end.
func (w *world) cosign() {
	w.t.Helper()
	behind := func(s *side) bool {
		log := w.log(s, s)
		return log.CosignedSize < log.Size
	}
	for range 10 {
		for _, s := range []*side{w.a, w.b} {
			w.must(s.StartRounds(w.t.Context()))
		}
		w.run()
		if !behind(w.a) && !behind(w.b) {
			return
		}
	}
}

func (w *world) message(from *side, subject, text string, thread *statement.Commitment, files ...flow.FileDraft) statement.Commitment {
	w.t.Helper()
	c, err := from.Send(w.t.Context(), operator, draft(from, subject, text, thread, files...), nil)
	w.must(err)
	return c
}

func draft(from *side, subject, text string, thread *statement.Commitment, files ...flow.FileDraft) flow.Draft {
	return flow.Draft{Link: from.link, Lane: statement.Network, Kind: "message", Thread: thread, Zone: "Europe/Vienna",
		Marking: handling.Marking{TLP: "AMBER"}, Face: statement.MessageFace{},
		Body: statement.MessageBody{Subject: subject, Language: "en", Text: text}, Files: several(files...)}
}

func fileOf(name string, data []byte) flow.FileDraft {
	return flow.FileDraft{Name: name, Media: "application/octet-stream", Size: int64(len(data)), Content: bytes.NewReader(data)}
}

// several are the files of a draft.
func several(files ...flow.FileDraft) iter.Seq2[flow.FileDraft, error] {
	return func(yield func(flow.FileDraft, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// memoryBlobs keeps blobs in memory, with the behaviour of the directory: content names, partials that survive.
type memoryBlobs struct {
	mu       sync.Mutex
	blobs    map[string][]byte
	partials map[envelope.ID][]byte
	full     bool
	stuck    bool // nothing can be removed

	unreadable bool      // nothing can be opened
	slow       *slowOpen // of the next that is opened; nil: it is not slow

	syncs   int // how often a partial was made durable
	badSync int // how many of the next attempts fail
}

// slowOpen is the opening of a blob that takes until end is closed.
type slowOpen struct{ begun, end chan struct{} }

func newMemoryBlobs() *memoryBlobs {
	return &memoryBlobs{blobs: map[string][]byte{}, partials: map[envelope.ID][]byte{}}
}

func (m *memoryBlobs) Create(context.Context) (flow.BlobWriter, error) {
	return &memoryWriter{m: m}, nil
}

func (m *memoryBlobs) Open(_ context.Context, name string) (flow.Blob, error) {
	if err := m.opening(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.blobs[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "blob", "no such blob")
	}
	return memoryBlob{bytes.NewReader(data)}, nil
}

// opening takes as long as it is to, and fails if it is to.
func (m *memoryBlobs) opening() error {
	m.mu.Lock()
	slow := m.slow
	m.slow = nil // who comes next is not slow
	m.mu.Unlock()
	if slow != nil {
		close(slow.begun)
		<-slow.end
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unreadable {
		return fault.New(fault.Unavailable, "blob", "The disk does not answer.")
	}
	return nil
}

func (m *memoryBlobs) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stuck {
		return fault.New(fault.Unavailable, "blob", "The disk does not answer.")
	}
	delete(m.blobs, name)
	return nil
}

func (m *memoryBlobs) Partial(_ context.Context, id envelope.ID, size int64, begin bool) (flow.PartialBlob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.partials[id] == nil && !begin {
		return nil, fault.New(fault.NotFound, "blob", "no such partial")
	}
	if m.partials[id] == nil {
		m.partials[id] = make([]byte, size)
	}
	return &memoryPartial{m: m, id: id, data: m.partials[id]}, nil
}

func (m *memoryBlobs) RemovePartial(_ context.Context, id envelope.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.partials, id)
	return nil
}

func (m *memoryBlobs) Reserve(int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return fault.New(fault.Unavailable, "disk_full", "The disk is full.")
	}
	return nil
}

type memoryWriter struct {
	m *memoryBlobs
	bytes.Buffer
}

func (w *memoryWriter) Commit(name string) error {
	if got := contentName(w.Bytes()); got != name {
		return fmt.Errorf("a blob %s is given the name %s", got, name)
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.blobs[name] = slices.Clone(w.Bytes())
	return nil
}
func (w *memoryWriter) Close() error { return nil }

// contentName is the head of the tree over segments.
func contentName(data []byte) string {
	var leaves []envelope.Hash
	for s := range slices.Chunk(data, envelope.SegmentSize) {
		leaves = append(leaves, envelope.SegmentHash(s))
	}
	return envelope.Root(leaves).String()
}

func (m *memoryBlobs) Names(_ context.Context, after string, limit int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.blobs))
	names = slices.DeleteFunc(names, func(n string) bool { return n <= after })
	return names[:min(len(names), limit)], nil
}

func (m *memoryBlobs) OpenPartial(_ context.Context, id envelope.ID) (flow.Blob, error) {
	if err := m.opening(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.partials[id]
	if !ok {
		return nil, fault.New(fault.NotFound, "blob", "no such partial")
	}
	return memoryBlob{bytes.NewReader(data)}, nil
}

func (m *memoryBlobs) Partials(context.Context) ([]envelope.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.partials)), nil
}

type memoryBlob struct{ *bytes.Reader }

func (b memoryBlob) Size() int64  { return b.Reader.Size() }
func (b memoryBlob) Close() error { return nil }

type memoryPartial struct {
	m    *memoryBlobs
	id   envelope.ID
	data []byte
}

func (p *memoryPartial) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > int64(len(p.data)) {
		return 0, fmt.Errorf("write of %d at %d beyond %d", len(b), off, len(p.data))
	}
	return copy(p.data[off:], b), nil
}

// Sync fails as a disk does: what it was for is lost.
func (p *memoryPartial) Sync() error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.badSync > 0 {
		p.m.badSync--
		clear(p.data)
		return fault.New(fault.Unavailable, "disk", "The disk does not answer.")
	}
	p.m.syncs++
	return nil
}

func (m *memoryBlobs) failSyncs(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.badSync = n
}

func (p *memoryPartial) Close() error { return nil }
