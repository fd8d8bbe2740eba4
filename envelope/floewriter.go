package envelope

import (
	"io"
	"runtime"
)

// FLOEWriter encrypts what is written to it: it cuts it into segments, encrypts these on all processors, and passes them on in
// their order, one with each Write. Only Close writes the final segment. It is used by one goroutine; after an error it is of no
// more use. Memory is two segments for each processor, of four at most, and two more.
type FLOEWriter struct {
	enc    *FLOEEncryptor
	next   io.Writer
	hashed bool // whether leaf hashes of the segments are wanted
	leaves []Hash
	length int64

	n     uint64     // number of the segment that is filled
	cur   *segment   // being filled; nil: none yet
	queue []*segment // being encrypted, oldest first
	free  []*segment
	width int // how many are encrypted at a time
}

// segment is one segment on its way.
type segment struct {
	plain, sealed []byte
	leaf          Hash
	err           error
	done          chan struct{}
}

// smallContent is up to where a segment's memory grows with what it holds.
const smallContent = 64 << 10

// maxProcessors bounds how many segments are in memory.
const maxProcessors = 4

// processors is how many segments are worked on at a time.
func processors() int { return min(runtime.GOMAXPROCS(0), maxProcessors) }

// NewFLOEWriter writes segments to next and keeps their leaf hashes.
func NewFLOEWriter(enc *FLOEEncryptor, next io.Writer) *FLOEWriter {
	w := newFLOEWriter(enc, next)
	w.hashed = true
	return w
}

func newFLOEWriter(enc *FLOEEncryptor, next io.Writer) *FLOEWriter {
	w := &FLOEWriter{enc: enc, next: next, width: processors()}
	if enc.random != nil { // a test's source, which is read in the order of the segments
		w.width = 0
	}
	return w
}

// Leaves are the RFC 6962 leaf hashes of the segments, once Close has returned.
func (w *FLOEWriter) Leaves() []Hash { return w.leaves }

// Length is how many bytes the segments have, once Close has returned.
func (w *FLOEWriter) Length() int64 { return w.length }

// Write implements io.Writer.
func (w *FLOEWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if w.cur != nil && len(w.cur.plain) == w.enc.PlainSize() { // only now is it known not to be the final one
			if err := w.start(false); err != nil {
				return written, err
			}
		}
		if w.cur == nil {
			w.cur = w.take()
		}
		n := min(len(p), w.enc.PlainSize()-len(w.cur.plain))
		if need := len(w.cur.plain) + n; need > cap(w.cur.plain) && need > smallContent { // at once, rather than by and by
			w.cur.plain = append(make([]byte, 0, w.enc.PlainSize()), w.cur.plain...)
			w.cur.sealed = make([]byte, 0, w.enc.PlainSize()+FLOEOverhead)
		}
		w.cur.plain = append(w.cur.plain, p[:n]...)
		p = p[n:]
		written += n
	}
	return written, nil
}

// Close writes the final segment, and waits for all of them.
func (w *FLOEWriter) Close() error {
	if w.cur == nil {
		w.cur = w.take()
	}
	if err := w.start(true); err != nil {
		return err
	}
	return w.pass(0)
}

func (w *FLOEWriter) take() *segment {
	if last := len(w.free) - 1; last >= 0 {
		s := w.free[last]
		w.free = w.free[:last]
		return s
	}
	return &segment{}
}

// start begins to encrypt the segment that was filled, when there is room for one more.
func (w *FLOEWriter) start(final bool) error {
	s, n := w.cur, w.n
	w.cur, w.n = nil, w.n+1
	s.done = make(chan struct{})
	w.queue = append(w.queue, s)
	encrypt := func() {
		defer close(s.done)
		if s.sealed, s.err = w.enc.Segment(s.sealed[:0], n, s.plain, final); s.err == nil && w.hashed {
			s.leaf = SegmentHash(s.sealed)
		}
	}
	if w.width == 0 {
		encrypt()
	} else {
		go encrypt()
	}
	return w.pass(w.width)
}

// pass hands on the oldest segments until no more than so many are left.
func (w *FLOEWriter) pass(left int) error {
	for len(w.queue) > left {
		s := w.queue[0]
		w.queue = append(w.queue[:0], w.queue[1:]...)
		<-s.done
		if s.err != nil {
			return s.err
		}
		if _, err := w.next.Write(s.sealed); err != nil {
			return err
		}
		if w.hashed {
			w.leaves = append(w.leaves, s.leaf)
		}
		w.length += int64(len(s.sealed))
		s.plain = s.plain[:0]
		w.free = append(w.free, s)
	}
	return nil
}
