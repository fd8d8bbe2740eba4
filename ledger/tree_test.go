package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"entente/envelope"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// plainRoot is the definition of RFC 6962, section 2.1, to the letter.
func plainRoot(leaves [][]byte) envelope.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := plainRoot(leaves[:k]), plainRoot(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// testTree is a log of size arbitrary leaves: the tree does not care what they say.
func testTree(t testing.TB, size int) *rows {
	t.Helper()
	m := &rows{}
	for i := range size {
		m.append(t, fmt.Appendf(nil, "leaf %d", i))
	}
	return m
}

const allSizes = 130

func TestRoots(t *testing.T) {
	m := testTree(t, allSizes)
	for size := range allSizes + 1 {
		if got, want := m.root(t, int64(size)), plainRoot(m.leaves[:size]); got != want {
			t.Fatalf("size %d: root %v, want %v", size, got, want)
		}
	}
	for _, size := range []int64{-1, MaxSize + 1, 1<<63 - 1} {
		if _, err := TreeRoot(size, m); err == nil {
			t.Errorf("root of size %d", size)
		}
	}
}

func TestInclusionAllSizes(t *testing.T) {
	m := testTree(t, allSizes)
	for size := int64(1); size <= allSizes; size++ {
		root := m.root(t, size)
		for index := range size {
			proof, err := ProveInclusion(size, index, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(proof, size, root, index, m.leaves[index]); err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(proof, size, root, (index+1)%size, m.leaves[index]); size > 1 && !errors.Is(err, ErrProof) {
				t.Fatalf("leaf %d of %d passes as its neighbour: %v", index, size, err)
			}
		}
		if _, err := ProveInclusion(size, size, m); err == nil {
			t.Fatalf("leaf %d of %d proved", size, size)
		}
	}
}

func TestConsistencyAllSizes(t *testing.T) {
	m := testTree(t, allSizes)
	for size := range int64(allSizes + 1) {
		root := m.root(t, size)
		for old := range size + 1 {
			proof := m.proof(t, old, size)
			if err := CheckConsistency(proof, old, m.root(t, old), size, root); err != nil {
				t.Fatal(err)
			}
			other := m.root(t, old)
			other[0] ^= 1
			if err := CheckConsistency(proof, old, other, size, root); !errors.Is(err, ErrProof) {
				t.Fatalf("from another root of size %d to %d: %v", old, size, err)
			}
		}
	}
}

// Sizes that no tree has are refused at once: they would lead the arithmetic of trees astray.
func TestHugeSizes(t *testing.T) {
	m := testTree(t, 3)
	root := m.root(t, 3)
	proof := make([]tlog.Hash, MaxProof+1)
	for _, size := range []int64{MaxSize + 1, 1<<62 + 1, 1<<63 - 1, -1} {
		if err := CheckInclusion(proof[:3], size, root, 0, nil); !errors.Is(err, ErrProof) {
			t.Errorf("inclusion at size %d: %v", size, err)
		}
		if err := CheckConsistency(proof[:3], 1, root, size, root); !errors.Is(err, ErrProof) {
			t.Errorf("consistency at size %d: %v", size, err)
		}
		if _, err := ProveConsistency(1, size, m); err == nil {
			t.Errorf("proved consistency at size %d", size)
		}
		if _, err := ProveInclusion(size, 0, m); size > 0 && err == nil {
			t.Errorf("proved inclusion at size %d", size)
		}
		if _, err := AppendHashes(size, nil, m); err == nil {
			t.Errorf("appended leaf %d", size)
		}
		if _, err := ResumeFollower(1, size, 0, m); err == nil {
			t.Errorf("resumed at size %d", size)
		}
	}
	if err := CheckInclusion(proof, MaxSize, root, 0, nil); !errors.Is(err, ErrProof) {
		t.Errorf("inclusion with %d hashes: %v", len(proof), err)
	}
	if err := CheckConsistency(proof, 1, root, MaxSize, root); !errors.Is(err, ErrProof) {
		t.Errorf("consistency with %d hashes: %v", len(proof), err)
	}
}

func TestHashPlace(t *testing.T) {
	for k := range int64(100) {
		for level := range 8 {
			row, offset := HashPlace(tlog.StoredHashIndex(level, k))
			if want := (k+1)<<level - 1; row != want || offset != level {
				t.Fatalf("hash (%d, %d) stands at (%d, %d), want (%d, %d)", level, k, row, offset, want, level)
			}
		}
	}
}

// A follower agrees with the tree at every size, whatever the runs, and a resumed one is the same value.
func TestFollowerProperty(t *testing.T) {
	m := testLog(t, 200)
	rapid.Check(t, func(rt *rapid.T) {
		f := NewFollower(FirstEpoch)
		for f.Size < 200 && rapid.IntRange(0, 9).Draw(rt, "more") > 0 {
			to := rapid.Int64Range(f.Size, 200).Draw(rt, "to")
			next, leaves, err := f.CheckRun(m.leaves[f.Size:to])
			if err != nil {
				rt.Fatal(err)
			}
			if int64(len(leaves)) != to-f.Size || next.Size != to {
				rt.Fatalf("%d leaves, size %d after run from %d to %d", len(leaves), next.Size, f.Size, to)
			}
			f = next
			root, err := TreeRoot(f.Size, m)
			if err != nil {
				rt.Fatal(err)
			}
			if want := (Head{FirstEpoch, f.Size, root}); f.Head() != want {
				rt.Fatalf("head %v, want %v", f.Head(), want)
			}
			resumed, err := ResumeFollower(FirstEpoch, f.Size, f.Time, m)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(f, resumed); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

// A proof proves one thing: with any part changed, it proves nothing.
func TestProofProperty(t *testing.T) {
	m := testTree(t, 300)
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Int64Range(2, 300).Draw(rt, "size")
		index := rapid.Int64Range(0, size-1).Draw(rt, "index")
		proof, err := ProveInclusion(size, index, m)
		if err != nil {
			rt.Fatal(err)
		}
		root, err := TreeRoot(size, m)
		if err != nil {
			rt.Fatal(err)
		}
		at := rapid.IntRange(0, len(proof)-1).Draw(rt, "hash")
		bit := rapid.IntRange(0, 255).Draw(rt, "bit")
		changed := slices.Clone(proof)
		changed[at][bit/8] ^= 1 << (bit % 8)
		for name, p := range map[string][]tlog.Hash{
			"changed": changed,
			"shorter": proof[:len(proof)-1],
			"longer":  append(slices.Clone(proof), proof[at]),
		} {
			if err := CheckInclusion(p, size, root, index, m.leaves[index]); !errors.Is(err, ErrProof) {
				rt.Fatalf("%s proof of leaf %d in %d: %v", name, index, size, err)
			}
		}
	})
}

func TestRunRefused(t *testing.T) {
	m := testLog(t, 10)
	f := follow(t, m.clone(5))
	other := testLeaf(5)
	other.Epoch = 2
	for name, tc := range map[string]struct {
		run  [][]byte
		want error
	}{
		"a leaf left out":          {[][]byte{m.leaves[5], m.leaves[7]}, ErrIndex},
		"a leaf twice":             {[][]byte{m.leaves[5], m.leaves[5]}, ErrIndex},
		"another epoch":            {[][]byte{encode(t, other)}, ErrIndex},
		"not a leaf":               {[][]byte{m.leaves[5], []byte("{}")}, ErrLeaf},
		"a leaf in other encoding": {[][]byte{append([]byte(" "), m.leaves[5]...)}, ErrLeaf},
	} {
		t.Run(name, func(t *testing.T) {
			after, _, err := f.CheckRun(tc.run)
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(f, after); diff != "" {
				t.Errorf("mirror changed: %s", diff)
			}
		})
	}
	if _, _, err := (Follower{Epoch: 1, Size: 5}).CheckRun(m.leaves[5:6]); err == nil {
		t.Error("a follower without its peaks went on")
	}
}

// fakeTree answers as a log of equal leaves would, at any size, without keeping it: what a benchmark wants.
type fakeTree [64]tlog.Hash

func newFakeTree(leaf []byte) *fakeTree {
	var f fakeTree
	f[0] = tlog.RecordHash(leaf)
	for i := 1; i < len(f); i++ {
		f[i] = tlog.NodeHash(f[i-1], f[i-1])
	}
	return &f
}

func (f *fakeTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		_, offset := HashPlace(index)
		out[i] = f[offset]
	}
	return out, nil
}

func BenchmarkAppend(b *testing.B) {
	leaf := encode(b, testLeaf(1))
	tree := newFakeTree(leaf)
	for _, size := range []int64{1_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			n := size
			for b.Loop() {
				if _, err := AppendHashes(n, leaf, tree); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}

func BenchmarkInclusion(b *testing.B) {
	leaf := encode(b, testLeaf(1))
	tree := newFakeTree(leaf)
	for _, size := range []int64{1_000, 1_000_000} {
		root, err := TreeRoot(size, tree)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("prove/%d", size), func(b *testing.B) {
			for b.Loop() {
				if _, err := ProveInclusion(size, size/3, tree); err != nil {
					b.Fatal(err)
				}
			}
		})
		proof, err := ProveInclusion(size, size/3, tree)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("check/%d", size), func(b *testing.B) {
			for b.Loop() {
				if err := CheckInclusion(proof, size, root, size/3, leaf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
