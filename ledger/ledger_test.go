package ledger

import (
	"bytes"
	"fmt"
	"testing"

	"entente/envelope"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// rows is a log in memory as a storage keeps it: one value of hashes per leaf.
type rows struct {
	leaves [][]byte
	hashes [][]tlog.Hash
}

func (m *rows) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, 0, len(indexes))
	for _, i := range indexes {
		row, offset := HashPlace(i)
		if row >= int64(len(m.hashes)) || offset >= len(m.hashes[row]) {
			return nil, fmt.Errorf("no hash %d", i)
		}
		out = append(out, m.hashes[row][offset])
	}
	return out, nil
}

func (m *rows) append(t testing.TB, leaf []byte) {
	t.Helper()
	n := int64(len(m.hashes))
	h, err := AppendHashes(n, leaf, m)
	if err != nil {
		t.Fatal(err)
	}
	m.hashes = append(m.hashes, h)
	m.leaves = append(m.leaves, leaf)
}

func (m *rows) root(t testing.TB, size int64) envelope.Hash {
	t.Helper()
	root, err := TreeRoot(size, m)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (m *rows) proof(t testing.TB, from, to int64) []tlog.Hash {
	t.Helper()
	p, err := ProveConsistency(from, to, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clone is the log as a backup would restore it at a size.
func (m *rows) clone(size int) *rows {
	return &rows{leaves: append([][]byte(nil), m.leaves[:size]...), hashes: append([][]tlog.Hash(nil), m.hashes[:size]...)}
}

// actor is one side of the test's link: its keys, its log.
type actor struct {
	id      party.ID
	seed    byte
	log     party.NoteKeys
	witness party.NoteKeys
}

func seedOf(b byte) []byte { return bytes.Repeat([]byte{b}, seedSize) }

func newActor(t testing.TB, name string, seed byte) actor {
	t.Helper()
	log, err := NoteKeysFromSeeds(seedOf(seed), seedOf(seed+1))
	if err != nil {
		t.Fatal(err)
	}
	witness, err := NoteKeysFromSeeds(seedOf(seed+2), seedOf(seed+3))
	if err != nil {
		t.Fatal(err)
	}
	return actor{id: envelope.Sum([]byte(name)), seed: seed, log: log, witness: witness}
}

func arvenia(t testing.TB) actor { return newActor(t, "Arvenia", 0x10) }
func kestria(t testing.TB) actor { return newActor(t, "Kestria", 0x20) }

func testLink() envelope.Hash { return envelope.Sum([]byte("link of Arvenia and Kestria")) }

func (a actor) origin() string { return Origin(testLink(), a.id, FirstEpoch) }

func (a actor) logSigners(t testing.TB) []note.Signer {
	t.Helper()
	s, err := LogSigners(a.origin(), seedOf(a.seed), seedOf(a.seed+1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (a actor) sign(t testing.TB, size int64, root envelope.Hash) *Checkpoint {
	t.Helper()
	c, err := SignCheckpoint(a.origin(), size, root, a.logSigners(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testSecond is the time on every witness's clock: 2026-11-01 12:00:00 UTC.
const testSecond = 1_793_534_400

func (a actor) witnessSigners(t testing.TB, second int64) []note.Signer {
	t.Helper()
	s, err := WitnessSigners(WitnessName(a.id), seedOf(a.seed+2), seedOf(a.seed+3), func() int64 { return second })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (a actor) cosign(t testing.TB, c *Checkpoint) *Checkpoint {
	t.Helper()
	lines, err := Cosign(c, a.witnessSigners(t, testSecond)...)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err = AddCosignatures(c, lines, WitnessName(a.id), a.witness)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, l Leaf) []byte {
	t.Helper()
	data, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testLeaf is leaf i of the test's log, a second after the one before.
func testLeaf(i int64) Leaf {
	l := Leaf{V: 1, Epoch: FirstEpoch, Index: i, Time: (testSecond + i) * 1_000_000, Kind: Sent, Lane: "hotline",
		Seq: uint64(i), Doc: envelope.Sum(fmt.Appendf(nil, "header %d", i))}
	if i == 0 {
		l.Kind, l.Lane, l.Seq, l.Doc = EpochLeaf, "", 0, envelope.Hash{}
	}
	return l
}

func testLog(t testing.TB, size int64) *rows {
	t.Helper()
	m := &rows{}
	for i := range size {
		m.append(t, encode(t, testLeaf(i)))
	}
	return m
}

func follow(t testing.TB, m *rows) Follower {
	t.Helper()
	f, _, err := NewFollower(FirstEpoch).CheckRun(m.leaves)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
