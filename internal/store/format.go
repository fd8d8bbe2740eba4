package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"entente/internal/fault"
	"entente/internal/store/blobstore"
	"entente/internal/store/sqlstore"
)

// A backup is a line that names the format, and frames: one byte of kind, four bytes of length (big-endian), and
// that many bytes. The frames, in order:
//
//	H  header: what it holds, schema version, time
//	T  a table begins: name, columns with their types
//	R  rows, each with its length before it; integers as varints, texts and bytes with their length (0 is NULL)
//	E  the table ends: number of rows, SHA-256 of its R frames
//	B  a blob begins: name, size
//	D  data of the blob
//	Z  number of blobs and their bytes, names of blobs that were missing, SHA-256 of everything before this frame
//
// Every table is there, in the order of sqlstore.Tables; blobs follow in the order of their names. A blob's name
// is made from its content (blobstore.Digest). Nothing follows Z.
const (
	magic = "entente backup 1\n"

	frameHeader = 'H'
	frameTable  = 'T'
	frameRows   = 'R'
	frameEnd    = 'E'
	frameBlob   = 'B'
	frameData   = 'D'
	frameTotal  = 'Z'

	// maxFrame bounds what a reader holds in memory; a row must fit.
	maxFrame = 16 << 20
	// chunk is about how much a writer puts into one frame.
	chunk = 256 << 10
	// maxMissing bounds the list of missing blobs.
	maxMissing = 10_000
)

// content is what a backup holds.
type content string

const (
	dataContent content = "data"
	keysContent content = "keys"
)

// Summary is what a backup says of itself, and what was found to be so.
type Summary struct {
	Content string // data or keys
	Schema  int
	Time    int64 // UTC microseconds
	Rows    map[string]int64
	Blobs   int64
	Bytes   int64    // of blobs
	Missing []string // blobs that rows refer to and that were not there; at most 10,000 of them
	SHA256  string   // of everything before the last frame
}

func broken(format string, args ...any) error {
	return fault.Wrap(fault.Invalid, "backup", "This is not a whole and undamaged backup.", fmt.Errorf(format, args...))
}

// frames writes frames and hashes all that was written.
type frames struct {
	w    *bufio.Writer
	hash hash.Hash
}

func newFrames(w io.Writer) (*frames, error) {
	f := &frames{bufio.NewWriterSize(w, chunk), sha256.New()}
	return f, f.raw([]byte(magic))
}

func (f *frames) raw(b []byte) error {
	f.hash.Write(b)
	_, err := f.w.Write(b)
	return err
}

func (f *frames) put(kind byte, payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("a row or frame of %d bytes is too large for a backup", len(payload))
	}
	if err := f.raw(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))); err != nil {
		return err
	}
	return f.raw(payload)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendRow encodes cells, with the length of the whole before it.
func appendRow(b []byte, cells []any) ([]byte, error) {
	var row []byte
	for _, c := range cells {
		switch c := c.(type) {
		case int64:
			row = binary.AppendVarint(row, c)
		case string:
			row = appendString(row, c)
		case []byte:
			row = append(binary.AppendUvarint(row, uint64(len(c))), c...)
		default:
			return nil, fmt.Errorf("a cell of type %T", c)
		}
	}
	return append(binary.AppendUvarint(b, uint64(len(row))), row...), nil
}

func headerFrame(s *Summary) []byte {
	b := appendString(nil, s.Content)
	b = binary.AppendUvarint(b, uint64(s.Schema))
	return binary.AppendVarint(b, s.Time)
}

func tableFrame(t sqlstore.Table) []byte {
	b := appendString(nil, t.Name)
	for _, c := range t.Columns {
		b = append(appendString(b, c.Name), byte(c.Type))
	}
	return b
}

func endFrame(rows int64, sum []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(rows)), sum...)
}

func totalFrame(s *Summary, sum []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(s.Blobs))
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	b = binary.AppendUvarint(b, uint64(len(s.Missing)))
	for _, name := range s.Missing {
		b = appendString(b, name)
	}
	return append(b, sum...)
}

// cursor takes values from a frame; the first that is not there makes all that follow empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	part := c.b[:n]
	c.b = c.b[n:]
	return part
}

func (c *cursor) uint() uint64 {
	n, used := binary.Uvarint(c.b)
	if used <= 0 {
		c.bad = true
		return 0
	}
	c.take(uint64(used))
	return n
}

func (c *cursor) int() int64 {
	n, used := binary.Varint(c.b)
	if used <= 0 {
		c.bad = true
		return 0
	}
	c.take(uint64(used))
	return n
}

// count is a number of things, which is never negative as an int64.
func (c *cursor) count() int64 {
	n := c.uint()
	if n > math.MaxInt64 {
		c.bad = true
		return 0
	}
	return int64(n)
}

// text is a string that both databases can keep.
func (c *cursor) text() string {
	s := string(c.take(c.uint()))
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		c.bad = true
		return ""
	}
	return s
}

// done says whether everything was there and nothing is left.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }

// sink takes what a backup holds. A nil func lets it pass.
type sink struct {
	row  func(t sqlstore.Table, cells []any) error
	blob func(size int64) (blobSink, error)
	read func(bytes int64) error // so far
}

// blobSink takes one blob; Commit follows when all of it was read and its hash is right, Close in any case.
type blobSink interface {
	io.Writer
	Commit(name string) error
	Close() error
}

// backupReader reads one backup. Its input is hostile.
type backupReader struct {
	r       *bufio.Reader
	hash    hash.Hash
	total   int64
	to      sink
	summary Summary
	kind    byte
	frame   bytes.Buffer // payload of the frame that was read last
}

// readBackup reads a whole backup, hands what it holds to a sink and checks every hash. An error may come after
// the sink has taken some; only without one is what it took a backup.
func readBackup(r io.Reader, want content, to sink) (*Summary, error) {
	b := &backupReader{r: bufio.NewReaderSize(r, chunk), hash: sha256.New(), to: to}
	b.summary.Rows = map[string]int64{}
	line := make([]byte, len(magic))
	if _, err := io.ReadFull(b.r, line); err != nil || string(line) != magic {
		return nil, broken("it does not begin with %q (%v)", magic, err)
	}
	b.hash.Write(line)
	if err := b.header(want); err != nil {
		return nil, err
	}
	for _, t := range sqlstore.Tables() {
		if t.Key == (want == keysContent) {
			if err := b.table(t); err != nil {
				return nil, err
			}
		}
	}
	if err := b.blobs(); err != nil {
		return nil, err
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	return &b.summary, nil
}

// next reads a frame. The hash of what came before is known to finish, because it is taken when Z is met.
func (b *backupReader) next() error {
	var head [5]byte
	if _, err := io.ReadFull(b.r, head[:]); err != nil {
		return broken("a frame is missing: %w", err)
	}
	b.kind = head[0]
	n := int64(binary.BigEndian.Uint32(head[1:]))
	if n > maxFrame {
		return broken("a frame of %d bytes", n)
	}
	b.frame.Reset()
	if _, err := io.CopyN(&b.frame, b.r, n); err != nil { // grows as bytes come, whatever the length claims
		return broken("a frame is cut short: %w", err)
	}
	if b.kind != frameTotal {
		b.hash.Write(head[:])
		b.hash.Write(b.frame.Bytes())
	}
	b.total += int64(len(head)) + n
	if b.to.read != nil {
		return b.to.read(b.total)
	}
	return nil
}

func (b *backupReader) expect(kind byte) (*cursor, error) {
	if err := b.next(); err != nil {
		return nil, err
	}
	if b.kind != kind {
		return nil, broken("a frame of kind %q, want %q", b.kind, kind)
	}
	return &cursor{b: b.frame.Bytes()}, nil
}

func (b *backupReader) header(want content) error {
	c, err := b.expect(frameHeader)
	if err != nil {
		return err
	}
	b.summary.Content = c.text()
	schema := c.uint()
	b.summary.Time = c.int()
	if !c.done() {
		return broken("its header")
	}
	if b.summary.Content != string(want) {
		return fault.New(fault.Invalid, "backup_content", "This backup holds "+map[content]string{
			dataContent: "keys where data are wanted.", keysContent: "data where keys are wanted."}[want])
	}
	if schema != sqlstore.SchemaVersion {
		return fault.New(fault.Invalid, "backup_schema",
			fmt.Sprintf("This backup has schema version %d; this build reads version %d. Restore it with the build that wrote it.", schema, sqlstore.SchemaVersion))
	}
	b.summary.Schema = int(schema)
	return nil
}

func (b *backupReader) table(t sqlstore.Table) error {
	c, err := b.expect(frameTable)
	if err != nil {
		return err
	}
	if !bytes.Equal(c.b, tableFrame(t)) {
		return broken("the table %s is missing or has other columns", t.Name)
	}
	h := sha256.New()
	var rows int64
	for {
		if err := b.next(); err != nil {
			return err
		}
		switch b.kind {
		case frameRows:
			h.Write(b.frame.Bytes())
			n, err := b.rows(t)
			if err != nil {
				return err
			}
			rows += n
		case frameEnd:
			if !bytes.Equal(b.frame.Bytes(), endFrame(rows, h.Sum(nil))) {
				return broken("the table %s has other rows than it says", t.Name)
			}
			b.summary.Rows[t.Name] = rows
			return nil
		default:
			return broken("a frame of kind %q in the table %s", b.kind, t.Name)
		}
	}
}

func (b *backupReader) rows(t sqlstore.Table) (n int64, err error) {
	all := cursor{b: b.frame.Bytes()}
	cells := make([]any, len(t.Columns))
	for len(all.b) > 0 {
		row := cursor{b: all.take(all.uint())}
		if all.bad {
			return n, broken("a row of the table %s is cut short", t.Name)
		}
		for i, column := range t.Columns {
			switch column.Type {
			case sqlstore.Integer:
				cells[i] = row.int()
			case sqlstore.Text:
				cells[i] = row.text()
			case sqlstore.Bytes:
				cells[i] = bytes.Clone(row.take(row.uint()))
			}
		}
		if !row.done() {
			return n, broken("a row of the table %s is malformed", t.Name)
		}
		n++
		if b.to.row != nil {
			if err := b.to.row(t, cells); err != nil {
				return n, fmt.Errorf("a row of the table %s: %w", t.Name, err)
			}
		}
	}
	if n == 0 {
		return n, broken("a frame without rows in the table %s", t.Name)
	}
	return n, nil
}

// blobs reads blobs until another frame is met, which is left for finish.
func (b *backupReader) blobs() error {
	last := ""
	for {
		if err := b.next(); err != nil {
			return err
		}
		if b.kind != frameBlob {
			return nil
		}
		c := cursor{b: b.frame.Bytes()}
		name, size := c.text(), c.count()
		if !c.done() || !isName(name) || name <= last {
			return broken("a blob's name is malformed or out of order")
		}
		last = name
		if b.summary.Content != string(dataContent) {
			return broken("a blob among keys")
		}
		if err := b.blob(name, size); err != nil {
			return err
		}
		b.summary.Blobs++
		b.summary.Bytes += size
	}
}

func isName(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == sha256.Size && s == strings.ToLower(s)
}

func (b *backupReader) blob(name string, size int64) (err error) {
	digest := blobstore.NewDigest()
	var w blobSink
	out := io.Writer(digest)
	if b.to.blob != nil {
		if w, err = b.to.blob(size); err != nil {
			return fmt.Errorf("the blob %s: %w", name, err)
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		out = io.MultiWriter(digest, w)
	}
	for size > 0 {
		c, err := b.expect(frameData)
		if err != nil {
			return err
		}
		if len(c.b) == 0 || int64(len(c.b)) > size {
			return broken("the blob %s has another size than it says", name)
		}
		size -= int64(len(c.b))
		if _, err := out.Write(c.b); err != nil {
			return fmt.Errorf("the blob %s: %w", name, err)
		}
	}
	if !digest.Names(name) {
		return broken("the blob %s has another content than its name says", name)
	}
	if w == nil {
		return nil
	}
	return w.Commit(name)
}

// finish checks the last frame, which has been read, and that nothing follows.
func (b *backupReader) finish() error {
	if b.kind != frameTotal {
		return broken("a frame of kind %q, want %q", b.kind, frameTotal)
	}
	c := cursor{b: b.frame.Bytes()}
	blobs, size, missing := c.count(), c.count(), c.count()
	if missing > maxMissing {
		return broken("a list of %d missing blobs", missing)
	}
	for range missing {
		name := c.text()
		if !isName(name) {
			return broken("the name of a missing blob")
		}
		b.summary.Missing = append(b.summary.Missing, name)
	}
	sum := b.hash.Sum(nil)
	if got := c.take(sha256.Size); !c.done() || !bytes.Equal(got, sum) {
		return broken("its SHA-256 does not match")
	}
	if blobs != b.summary.Blobs || size != b.summary.Bytes {
		return broken("it has %d blobs, and says %d", b.summary.Blobs, blobs)
	}
	b.summary.SHA256 = hex.EncodeToString(sum)
	if _, err := b.r.ReadByte(); err != io.EOF {
		return broken("something follows its end (%v)", err)
	}
	return nil
}
