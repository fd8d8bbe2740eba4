package ledger

import (
	"errors"
	"fmt"
	"math/bits"

	"entente/envelope"

	"golang.org/x/mod/sumdb/tlog"
)

// Why a Follower refuses a run of leaves or a checkpoint.
var (
	ErrLeaf   = errors.New("leaf is malformed")            // not the encoding of a valid leaf
	ErrIndex  = errors.New("leaf is out of place")         // its index or epoch is not the next one's
	ErrTime   = errors.New("leaf's time runs back")        // earlier than that of the leaf before
	ErrBehind = errors.New("leaves are missing")           // the checkpoint has another size than was followed to
	ErrRoot   = errors.New("root differs from the leaves") // the checkpoint's root is not that of the leaves received
)

// Follower is what a mirror must remember of a log to recompute it leaf by leaf: a value, to be stored with the leaves
// in one transaction. CheckRun returns the follower after a run and leaves the one before as it was.
type Follower struct {
	Epoch uint32
	Size  int64
	Time  int64           // of the last leaf; the next may not be earlier
	Peaks []envelope.Hash // roots of the perfect subtrees that the leaves make up, largest first
}

// NewFollower begins with the first leaf of an epoch, with no lower bound on its time.
func NewFollower(epoch uint32) Follower { return Follower{Epoch: epoch} }

// ResumeFollower rebuilds the value from stored hashes; time is that of leaf size−1 (or the bound, if size is zero).
func ResumeFollower(epoch uint32, size, time int64, r tlog.HashReader) (Follower, error) {
	if size < 0 || size > MaxSize {
		return Follower{}, fmt.Errorf("resuming at size %d: size is out of range", size)
	}
	var places []int64
	for rest, done := size, int64(0); rest > 0; {
		level := bits.Len64(uint64(rest)) - 1
		places = append(places, tlog.StoredHashIndex(level, done>>level))
		done += 1 << level
		rest -= 1 << level
	}
	f := Follower{Epoch: epoch, Size: size, Time: time}
	if len(places) == 0 {
		return f, nil
	}
	hashes, err := r.ReadHashes(places)
	if err != nil {
		return Follower{}, fmt.Errorf("resuming at size %d: %w", size, err)
	}
	if len(hashes) != len(places) {
		return Follower{}, fmt.Errorf("resuming at size %d: %d hashes read of %d", size, len(hashes), len(places))
	}
	for _, h := range hashes {
		f.Peaks = append(f.Peaks, envelope.Hash(h))
	}
	return f, nil
}

// Next begins a later epoch of the same log whose times may not run back behind this epoch's, so that nobody can
// date an entry back by opening an epoch. (NewFollower has no such bound, for the case that a clock had run ahead and
// the operators of both sides agree to go on.)
func (f Follower) Next(epoch uint32) (Follower, error) {
	if epoch <= f.Epoch {
		return Follower{}, fmt.Errorf("epoch %d after epoch %d: %w", epoch, f.Epoch, ErrIndex)
	}
	return Follower{Epoch: epoch, Time: f.Time}, nil
}

// CheckRun takes the next leaves of the log: each must decode, stand at the next index of the epoch, and be no earlier
// than the one before. It returns the follower after them and the decoded leaves, or an error that wraps ErrLeaf,
// ErrIndex or ErrTime and names the leaf; f itself is unchanged in either case.
func (f Follower) CheckRun(run [][]byte) (Follower, []*Leaf, error) {
	if f.Size < 0 || len(f.Peaks) != bits.OnesCount64(uint64(f.Size)) {
		return f, nil, fmt.Errorf("follower at size %d has %d peaks", f.Size, len(f.Peaks))
	}
	next := Follower{Epoch: f.Epoch, Size: f.Size, Time: f.Time, Peaks: append([]envelope.Hash(nil), f.Peaks...)}
	leaves := make([]*Leaf, 0, len(run))
	for _, data := range run {
		l, err := DecodeLeaf(data)
		if err != nil {
			return f, nil, fmt.Errorf("leaf %d of epoch %d: %w: %w", next.Size, f.Epoch, ErrLeaf, err)
		}
		if l.Epoch != next.Epoch || l.Index != next.Size {
			return f, nil, fmt.Errorf("leaf %d of epoch %d where leaf %d of epoch %d is due: %w",
				l.Index, l.Epoch, next.Size, next.Epoch, ErrIndex)
		}
		if l.Time < next.Time {
			return f, nil, fmt.Errorf("leaf %d of epoch %d is %d µs earlier than the one before: %w",
				l.Index, l.Epoch, next.Time-l.Time, ErrTime)
		}
		next.push(data)
		next.Time = l.Time
		leaves = append(leaves, l)
	}
	return next, leaves, nil
}

// push adds a leaf's hash: each trailing one of the old size is a peak that it completes to a larger one.
func (f *Follower) push(leaf []byte) {
	h := tlog.RecordHash(leaf)
	for range bits.TrailingZeros64(^uint64(f.Size)) {
		last := len(f.Peaks) - 1
		h = tlog.NodeHash(tlog.Hash(f.Peaks[last]), h)
		f.Peaks = f.Peaks[:last]
	}
	f.Peaks = append(f.Peaks, envelope.Hash(h))
	f.Size++
}

// Head is the tree of all leaves followed so far.
func (f Follower) Head() Head {
	if len(f.Peaks) == 0 {
		return Head{Epoch: f.Epoch, Root: emptyRoot()}
	}
	root := tlog.Hash(f.Peaks[len(f.Peaks)-1])
	for i := len(f.Peaks) - 2; i >= 0; i-- {
		root = tlog.NodeHash(tlog.Hash(f.Peaks[i]), root)
	}
	return Head{Epoch: f.Epoch, Size: f.Size, Root: envelope.Hash(root)}
}

// CheckHead compares a checkpoint with the leaves themselves, at the same size. A mirror cosigns only what passes here
// (or, for a size that it has gone past, what equals TreeRoot over its own copy) and Judge.
func (f Follower) CheckHead(c *Checkpoint) error {
	h := f.Head()
	_, _, epoch, err := ParseOrigin(c.Origin)
	switch {
	case err != nil:
		return err
	case epoch != h.Epoch:
		return fmt.Errorf("checkpoint of epoch %d while epoch %d is followed: %w", epoch, h.Epoch, ErrIndex)
	case c.Size != h.Size:
		return fmt.Errorf("checkpoint of size %d, followed to %d: %w", c.Size, h.Size, ErrBehind)
	case c.Root != h.Root:
		return fmt.Errorf("checkpoint of size %d: %w", c.Size, ErrRoot)
	}
	return nil
}
