package envelope

import "crypto/sha256"

// SegmentHash is the RFC 6962 leaf hash of a segment: SHA-256(0x00 ‖ segment).
func SegmentHash(segment []byte) (leaf Hash) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(segment)
	h.Sum(leaf[:0])
	return leaf
}

// Root is the RFC 6962 tree head over leaf hashes; of none, the hash of nothing.
func Root(leaves []Hash) Hash {
	var b RootBuilder
	for _, leaf := range leaves {
		b.Add(leaf)
	}
	return b.Root()
}

// RootBuilder computes a tree head one leaf after another. It holds one hash for each perfect subtree, that is one
// per set bit of the number of leaves. The zero value is an empty tree.
type RootBuilder struct {
	n    uint64
	tree []Hash // heads of perfect subtrees, largest first
}

// Add appends a leaf.
func (b *RootBuilder) Add(leaf Hash) {
	for n := b.n; n&1 == 1; n >>= 1 { // each trailing one is a subtree of the same size as what is carried
		last := len(b.tree) - 1
		leaf = nodeHash(b.tree[last], leaf)
		b.tree = b.tree[:last]
	}
	b.tree = append(b.tree, leaf)
	b.n++
}

// Root is the head over the leaves so far; more may be added after it.
func (b *RootBuilder) Root() Hash {
	if b.n == 0 {
		return Sum(nil)
	}
	head := b.tree[len(b.tree)-1]
	for i := len(b.tree) - 2; i >= 0; i-- {
		head = nodeHash(b.tree[i], head)
	}
	return head
}

func nodeHash(left, right Hash) Hash {
	var b [1 + 2*len(left)]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
	return sha256.Sum256(b[:])
}
