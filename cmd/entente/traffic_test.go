package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// traffic is what two sides send each other: messages without and with files, in several lanes and threads. It notes
// what was tried, and what the node answered with success, which is what must not be lost.
type traffic struct {
	sides   [2]*side
	workers sync.WaitGroup
	stop    chan struct{}

	mu       sync.Mutex
	tried    map[string]int // subject → the side that sent
	sent     []acknowledged
	recent   map[statement.Lane][]statement.Commitment // first of their threads, to answer in
	refused  map[string]int                            // failed sends by code
	surprise error                                     // a failure that no crash explains
}

// acknowledged is a statement that a node answered with success.
type acknowledged struct {
	side       int
	commitment statement.Commitment
	subject    string
	text       string
	files      [][sha256.Size]byte
}

const (
	workersOf = 2                      // of each side
	pace      = 100 * time.Millisecond // between two sends of a worker: the load, not a condition
)

// waitable says whether a crash, a full disk or a lost database may show such a failure to a client, or that the thread to
// answer in, or what was said before it, has not come this far yet.
func waitable(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Unavailable || kind == fault.Exhausted || slices.Contains([]string{"thread", "no_thread"}, fault.CodeOf(err))
}

// begin starts the workers of both sides.
func begin(t *testing.T, sides [2]*side, seed uint64) *traffic {
	t.Helper()
	tr := &traffic{sides: sides, stop: make(chan struct{}), tried: map[string]int{}, refused: map[string]int{},
		recent: map[statement.Lane][]statement.Commitment{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	for i := range sides {
		for w := range workersOf {
			random := rand.New(rand.NewPCG(seed, uint64(i*workersOf+w)))
			tr.workers.Go(func() { tr.work(ctx, i, w, random) })
		}
	}
	t.Cleanup(func() { cancel(); tr.end() })
	return tr
}

// end lets every worker finish what it is at.
func (tr *traffic) end() {
	tr.mu.Lock()
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.mu.Unlock()
	tr.workers.Wait()
}

func (tr *traffic) work(ctx context.Context, side, worker int, random *rand.Rand) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-tr.stop:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		tr.one(ctx, side, fmt.Sprintf("%s %d.%d", tr.sides[side].name, worker, n), random)
	}
}

// one sends one message.
func (tr *traffic) one(ctx context.Context, side int, subject string, random *rand.Rand) {
	lanes := []statement.Lane{statement.Hotline, statement.Assistance, statement.Network}
	lane := lanes[random.IntN(len(lanes))]
	text := strings.Repeat("All is well. ", 1+random.IntN(40))
	if random.IntN(30) == 0 {
		text = strings.Repeat("Nothing is well here. ", 11900) // too long to come with its header
	}
	var files []node.Upload
	var sums [][sha256.Size]byte
	for range []int{0, 0, 0, 1, 2}[random.IntN(5)] {
		data := content(random)
		sums = append(sums, sha256.Sum256(data))
		files = append(files, node.Upload{Name: fmt.Sprintf("file %d.bin", len(files)), Media: "application/octet-stream", Size: int64(len(data)), Content: bytes.NewReader(data)})
	}
	face, _ := envelope.Marshal(statement.MessageFace{})
	body, _ := envelope.Marshal(statement.MessageBody{Subject: subject, Language: "en", Text: text})
	draft := node.Draft{Link: tr.sides[1-side].name, Lane: lane, Kind: "message", Thread: tr.thread(lane, random),
		Marking: handling.Marking{TLP: "GREEN"}, Face: face, Body: body}
	tr.mu.Lock()
	tr.tried[subject] = side
	tr.mu.Unlock()
	c, err := tr.sides[side].client.Send(ctx, draft, files, nil)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch {
	case err == nil:
		tr.sent = append(tr.sent, acknowledged{side, c, subject, text, sums})
		if draft.Thread == nil {
			tr.recent[lane] = append(tr.recent[lane], c)
		}
	case ctx.Err() == nil:
		tr.refused[fault.CodeOf(err)]++
		if !waitable(err) && tr.surprise == nil {
			tr.surprise = fmt.Errorf("%s sends %q: %w", tr.sides[side].name, subject, err)
		}
	}
}

// content is a file: mostly small, now and then of several segments.
func content(random *rand.Rand) []byte {
	size := random.IntN(100 << 10)
	if random.IntN(8) == 0 {
		size = random.IntN(5 << 20)
	}
	data := make([]byte, size)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(random.Uint32())
	}
	rand.NewChaCha8(seed).Read(data)
	return data
}

// thread is one of the newest threads of a lane, to answer in, or none, to begin one.
func (tr *traffic) thread(lane statement.Lane, random *rand.Rand) *statement.Commitment {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	among := tr.recent[lane]
	if among = among[max(0, len(among)-8):]; len(among) == 0 || random.IntN(2) == 0 {
		return nil
	}
	return &among[random.IntN(len(among))]
}

// healed waits until everything that was acknowledged has come to the other side, and examines both sides then.
func (tr *traffic) healed(t *testing.T) {
	t.Helper()
	tr.end()
	if tr.surprise != nil {
		t.Fatal(tr.surprise)
	}
	tr.arrived(t, tr.sent)
	tr.once(t)
	tr.agreed(t)
}

// arrived waits until statements are opened and folded on both sides, and compares what is there with what was sent.
func (tr *traffic) arrived(t *testing.T, sent []acknowledged) {
	t.Helper()
	for _, a := range sent {
		for i, s := range tr.sides {
			until(t, fmt.Sprintf("%q is opened, as %s sees it", a.subject, s.name), func(ctx context.Context) (bool, error) {
				v, err := s.client.Statement(ctx, a.commitment.String())
				return v.State == "opened" && v.Verdict == "folded" && stored(v), err
			})
			s.holds(t, a, a.side == i)
		}
	}
}

func stored(v node.Statement) bool {
	return !slices.ContainsFunc(v.Files, func(f node.File) bool { return f.State != "stored" })
}

// holds compares a statement with what was sent, to the byte.
func (s *side) holds(t *testing.T, a acknowledged, ours bool) {
	t.Helper()
	ctx := t.Context()
	v, err := s.client.Statement(ctx, a.commitment.String())
	if err != nil {
		t.Fatal(err)
	}
	var body statement.MessageBody
	if err := envelope.Unmarshal(v.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Subject != a.subject || body.Text != a.text || len(v.Files) != len(a.files) || v.Ours != ours {
		t.Fatalf("at %s, %q is %q with %d files, ours: %t", s.name, a.subject, body.Subject, len(v.Files), v.Ours)
	}
	for n, want := range a.files {
		got := sha256.New()
		if err := s.client.File(ctx, a.commitment.String(), n, got); err != nil {
			t.Fatalf("at %s, file %d of %q: %v", s.name, n, a.subject, err)
		}
		if !bytes.Equal(got.Sum(nil), want[:]) {
			t.Fatalf("at %s, file %d of %q is another", s.name, n, a.subject)
		}
	}
	receipts, err := s.client.Receipts(ctx, a.commitment.String())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range receipts {
		kinds = append(kinds, string(r.Receipt.Kind))
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"opened", "received"}) {
		t.Fatalf("at %s, %q has the receipts %v", s.name, a.subject, kinds)
	}
}

// once looks for statements that are there twice, that nobody sent, or that only one side holds.
func (tr *traffic) once(t *testing.T) {
	t.Helper()
	var held [2]map[string]statement.Commitment
	for i, s := range tr.sides {
		held[i] = map[string]statement.Commitment{}
		list, err := all(t.Context(), s.client)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			var body statement.MessageBody
			if err := envelope.Unmarshal(v.Body, &body); err != nil {
				t.Fatal(err)
			}
			author, tried := tr.tried[body.Subject]
			if _, twice := held[i][body.Subject]; twice || !tried || v.Ours != (author == i) {
				t.Errorf("at %s, %q: twice %t, tried by anybody %t, ours %t", s.name, body.Subject, twice, tried, v.Ours)
			}
			held[i][body.Subject] = v.Commitment
		}
	}
	for _, a := range tr.sent {
		for i, s := range tr.sides {
			if held[i][a.subject] != a.commitment {
				t.Errorf("%s lost %q", s.name, a.subject)
			}
		}
	}
	for subject, c := range held[0] {
		if held[1][subject] != c {
			t.Errorf("the two sides hold different statements as %q", subject)
		}
	}
	t.Logf("%d sends acknowledged of %d, and %d that were cut off have come as well; the others failed so: %v",
		len(tr.sent), len(tr.tried), len(held[0])-len(tr.sent), tr.refused)
	if len(held[0]) != len(held[1]) {
		t.Errorf("%s holds %d messages and %s %d", tr.sides[0].name, len(held[0]), tr.sides[1].name, len(held[1]))
	}
}

// all lists every message of a node.
func all(ctx context.Context, c *node.Client) ([]node.Statement, error) {
	var out []node.Statement
	for f := (node.Filter{Kind: "message", Limit: 500}); ; {
		list, err := c.Statements(ctx, f)
		if err != nil {
			return nil, err
		}
		if out = append(out, list.Items...); list.Next == "" {
			return out, nil
		}
		f.After = list.Next
	}
}

// agreed waits until both ledgers are cosigned to their ends, and compares what both sides make of them.
func (tr *traffic) agreed(t *testing.T) {
	t.Helper()
	until(t, "all is receipted and cosigned", func(ctx context.Context) (bool, error) {
		for i, s := range tr.sides {
			l, err := s.client.Link(ctx, tr.sides[1-i].name)
			f := l.Figures
			if err != nil || f.UncosignedOwn+f.UncosignedPeer+f.Sending+f.Reserved+f.Arriving+f.Unsettled+f.Gaps != 0 {
				return false, err
			}
		}
		return true, nil
	})
	var cuts [2]node.Cut
	var folds [2]node.Fold
	for i, s := range tr.sides {
		ctx, peer := t.Context(), tr.sides[1-i].name
		var err error
		if cuts[i], err = s.client.Cut(ctx, peer); err != nil {
			t.Fatal(err)
		}
		if folds[i], err = s.client.Fold(ctx, peer, cuts[0]); err != nil {
			t.Fatal(err)
		}
		v, err := s.client.Verify(ctx, peer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !v.OK || v.Evidence != 0 || len(v.Differences) != 0 || len(v.Logs) != 2 {
			t.Errorf("%s verifies the ledgers: %+v", s.name, v)
		}
		for _, log := range v.Logs {
			if log.Cosigned != log.Size {
				t.Errorf("at %s, of %d leaves of %s %d are cosigned", s.name, log.Size, log.Party, log.Cosigned)
			}
		}
		checks, err := s.client.Doctor(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			if !c.OK {
				t.Errorf("doctor at %s: %s: %s", s.name, c.Name, c.Detail)
			}
		}
	}
	for id, size := range cuts[0].Sizes {
		if cuts[1].Sizes[id] != size {
			t.Errorf("the cuts differ: %v and %v", cuts[0].Sizes, cuts[1].Sizes)
		}
	}
	if folds[0].Hash != folds[1].Hash || folds[0].Columns != folds[1].Columns || folds[0].Columns < len(tr.sent) {
		t.Errorf("at the same cut %s folds %d statements to %s, and %s %d to %s; %d were acknowledged",
			tr.sides[0].name, folds[0].Columns, folds[0].Hash, tr.sides[1].name, folds[1].Columns, folds[1].Hash, len(tr.sent))
	}
}

// rebuilt stops both nodes and lets each fold everything again.
func (tr *traffic) rebuilt(t *testing.T) {
	t.Helper()
	for _, s := range tr.sides {
		s.stop(t)
		if status, out := run(t, "rebuild", "--data", s.data); status != 0 {
			t.Errorf("rebuilding %s: status %d\n%s", s.name, status, out)
		}
	}
}
