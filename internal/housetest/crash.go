package housetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"entente/internal/flow"
	"entente/statement"
)

// Crashes plays one short story without weather: a conversation of two nodes with files, long texts, a registered statement, a
// suspension and an erasure, and keys that are replaced and recovered. If crash is not 0, the power of the node concerned goes at that boundary: before or after a
// transaction, or at a place where the disk makes bytes durable. It returns how many boundaries it came by, and fails t if a
// promise is broken, or, without a crash, if a step of the story comes by none.
func Crashes(t testing.TB, cast *Cast, crash int) int {
	t.Helper()
	w := &world{t: t, seed: uint64(crash), r: rand.New(rand.NewPCG(1, 1)), storyOnly: true, crashAt: crash,
		again: fmt.Sprintf("go test ./internal/housetest -run TestCrashAtEachBoundary -args -crash %d", crash)}
	w.sky.turn = true
	w.play(cast, scene{nodes: 2, confirmed: true}, w.story)
	return w.boundaries
}

// boundary cuts the power if this is the boundary where it is to go.
func (n *node) boundary(what string) {
	w := n.w
	if !w.storyOnly || w.calm || w.silenced || n.dead || len(n.stack) == 0 {
		return
	}
	if w.boundaries++; w.boundaries == w.crashAt {
		w.note("%s: power cut %s in %q", n.name, what, n.doing())
		n.dead, n.hurt, n.troubled = true, true, true
	}
}

// story is what is said and done, with everything that follows carried after each step.
func (w *world) story() {
	l := w.links[0]
	a, b := l.a, l.b
	lane := statement.Network
	say := func(n *node, root *said, text string, files ...[]byte) *said {
		var drafts []flow.FileDraft
		for i, data := range files {
			drafts = append(drafts, fileOf(fmt.Sprintf("file-%d.bin", i), data))
		}
		return w.say(n, l, "message", root, draft(l, lane, "message", threadOf(root), statement.MessageFace{},
			statement.MessageBody{Subject: "s", Language: "en", Text: text}, drafts...), files...)
	}
	steps := []func(){
		func() { say(a, nil, "with a file", w.bytes(70_000)) },
		func() {
			if first := w.pick(l, func(s *said) bool { return s.kind == "message" }); first != nil {
				say(b, first, string(make250k()))
			}
		},
		func() { say(b, nil, "large", w.bytes(2<<20)) },
		func() {
			d := draft(l, lane, "message", nil, statement.MessageFace{}, statement.MessageBody{Subject: "s", Language: "en", Text: "registered"})
			d.Registered = true
			w.say(a, l, "message", nil, d)
		},
		func() { w.takePart(a, l) },
		func() { w.erase(a, l) },
		func() {
			say(b, nil, "sealed for the keys before")
			w.turned(a, "replaces its keys", func(h *flow.House) error { return h.Rotate(context.Background(), member(), flow.Renewal{}) })
			say(a, nil, "under the new keys")
		},
		func() {
			say(a, nil, "under keys that are stolen")
			w.prepare(a)
			w.recover(a)
			say(a, nil, "under keys of the quorum")
		},
	}
	for _, step := range steps {
		before := w.boundaries
		step()
		w.step++
		for range 4 {
			for _, n := range w.nodes {
				w.settle(n, l)
				w.send(n, l)
			}
		}
		for _, n := range w.nodes {
			n.tolerate("rounds", n.startRounds())
		}
		if passed := w.boundaries - before; w.crashAt == 0 && passed < 2 {
			w.t.Errorf("step %d of the story came by %d boundaries only", w.step, passed)
		}
	}
}

// make250k is a text so long that it travels in segments.
func make250k() []byte {
	text := make([]byte, 250_000)
	for i := range text {
		text[i] = "long "[i%5]
	}
	return text[:len(text)-1]
}
