package blobstore

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"entente/envelope"
)

// Digest tells whether the bytes that are written to it are those that a name stands for.
type Digest struct {
	whole  hash.Hash
	leaf   hash.Hash // of the segment that is not full yet
	filled int
	tree   envelope.RootBuilder
}

// NewDigest starts a digest.
func NewDigest() *Digest { return &Digest{whole: sha256.New(), leaf: sha256.New()} }

// Write implements io.Writer; it never fails.
func (d *Digest) Write(p []byte) (int, error) {
	d.whole.Write(p)
	for rest := p; len(rest) > 0; {
		if d.filled == 0 {
			d.leaf.Reset()
			d.leaf.Write([]byte{0}) // a leaf (RFC 6962, section 2.1)
		}
		n := min(len(rest), envelope.SegmentSize-d.filled)
		d.leaf.Write(rest[:n])
		rest = rest[n:]
		if d.filled += n; d.filled == envelope.SegmentSize {
			d.cut()
		}
	}
	return len(p), nil
}

func (d *Digest) cut() {
	d.tree.Add(envelope.Hash(d.leaf.Sum(nil)))
	d.filled = 0
}

// Name is the name of what was written; nothing may be written after it.
func (d *Digest) Name() string {
	if d.filled > 0 {
		d.cut()
	}
	return d.tree.Root().String()
}

// Names says whether name is that of what was written: the head of the tree over its segments or, as the first stores have it,
// its SHA-256.
func (d *Digest) Names(name string) bool {
	return name == d.Name() || name == hex.EncodeToString(d.whole.Sum(nil))
}
