package ledger

import (
	"errors"
	"fmt"

	"entente/envelope"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that an inclusion or consistency proof does not prove what it was given for.
var ErrProof = errors.New("proof does not hold")

// MaxProof bounds the hashes of a proof: a tree of MaxSize leaves needs fewer (tlog-witness allows 63 lines).
const MaxProof = 63

// AppendHashes returns the hashes that leaf number n adds (tlog.StoredHashes order: level 0 first). They are stored
// together, as one value, with the leaf's row: hash (level, k) stands in row (k+1)<<level − 1 at offset level.
func AppendHashes(n int64, leaf []byte, r tlog.HashReader) ([]tlog.Hash, error) {
	if n < 0 || n >= MaxSize {
		return nil, fmt.Errorf("appending leaf %d: index is out of range", n)
	}
	hashes, err := tlog.StoredHashes(n, leaf, r)
	if err != nil {
		return nil, fmt.Errorf("appending leaf %d: %w", n, err)
	}
	return hashes, nil
}

// HashPlace is where the hash with this storage index (tlog.StoredHashIndex) stands: the row of a leaf, and the offset
// among the hashes that AppendHashes returned for it. A tlog.HashReader over rows is this function and a look-up.
func HashPlace(index int64) (row int64, offset int) {
	level, k := tlog.SplitStoredHashIndex(index)
	return (k+1)<<level - 1, level
}

// TreeRoot is the root hash of the first size leaves (RFC 6962, section 2.1).
func TreeRoot(size int64, r tlog.HashReader) (envelope.Hash, error) {
	if size < 0 || size > MaxSize {
		return envelope.Hash{}, fmt.Errorf("computing root: size %d is out of range", size)
	}
	root, err := tlog.TreeHash(size, r)
	if err != nil {
		return envelope.Hash{}, fmt.Errorf("computing root of %d leaves: %w", size, err)
	}
	return envelope.Hash(root), nil
}

// ProveConsistency proves that the first oldSize of newSize leaves are the tree of that size (RFC 6962, section 2.1.2).
// The proof is empty if oldSize is zero or newSize.
func ProveConsistency(oldSize, newSize int64, r tlog.HashReader) ([]tlog.Hash, error) {
	if oldSize < 0 || oldSize > newSize || newSize > MaxSize {
		return nil, fmt.Errorf("proving consistency: no proof from size %d to size %d", oldSize, newSize)
	}
	if oldSize == 0 || oldSize == newSize {
		return nil, nil
	}
	proof, err := tlog.ProveTree(newSize, oldSize, r)
	if err != nil {
		return nil, fmt.Errorf("proving consistency from size %d to size %d: %w", oldSize, newSize, err)
	}
	return proof, nil
}

// CheckConsistency verifies what ProveConsistency proves. Errors wrap ErrProof.
func CheckConsistency(proof []tlog.Hash, oldSize int64, oldRoot envelope.Hash, newSize int64, newRoot envelope.Hash) error {
	switch {
	case oldSize < 0 || oldSize > newSize || newSize > MaxSize:
		return fmt.Errorf("size %d does not grow to size %d: %w", oldSize, newSize, ErrProof)
	case len(proof) > MaxProof:
		return fmt.Errorf("proof of %d hashes, at most %d allowed: %w", len(proof), MaxProof, ErrProof)
	}
	if oldSize == 0 {
		// The empty tree is consistent with any tree (tlog-witness, add-checkpoint).
		if len(proof) != 0 || oldRoot != emptyRoot() || newSize == 0 && newRoot != oldRoot {
			return fmt.Errorf("from the empty tree to size %d: %w", newSize, ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(proof, newSize, tlog.Hash(newRoot), oldSize, tlog.Hash(oldRoot)); err != nil {
		return fmt.Errorf("from size %d to size %d: %w", oldSize, newSize, ErrProof)
	}
	return nil
}

// ProveInclusion proves that leaf number index stands in the tree of this size (RFC 6962, section 2.1.1).
func ProveInclusion(size, index int64, r tlog.HashReader) ([]tlog.Hash, error) {
	if index < 0 || index >= size || size > MaxSize {
		return nil, fmt.Errorf("proving inclusion: no leaf %d in a tree of size %d", index, size)
	}
	proof, err := tlog.ProveRecord(size, index, r)
	if err != nil {
		return nil, fmt.Errorf("proving inclusion of leaf %d in a tree of size %d: %w", index, size, err)
	}
	return proof, nil
}

// CheckInclusion verifies what ProveInclusion proves, of the exact bytes of a leaf. Errors wrap ErrProof.
func CheckInclusion(proof []tlog.Hash, size int64, root envelope.Hash, index int64, leaf []byte) error {
	switch {
	case index < 0 || index >= size || size > MaxSize:
		return fmt.Errorf("no leaf %d in a tree of size %d: %w", index, size, ErrProof)
	case len(proof) > MaxProof:
		return fmt.Errorf("proof of %d hashes, at most %d allowed: %w", len(proof), MaxProof, ErrProof)
	}
	if err := tlog.CheckRecord(proof, size, tlog.Hash(root), index, tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("leaf %d in a tree of size %d: %w", index, size, ErrProof)
	}
	return nil
}

// emptyRoot is the root of the tree without leaves: the hash of the empty string (RFC 6962, section 2.1).
func emptyRoot() envelope.Hash { return envelope.Sum(nil) }
