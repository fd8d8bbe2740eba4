package housetest

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
)

// blobs is a node's blob store in memory: it keeps what was committed and synced, and loses the rest with the power.
type blobs struct {
	n        *node
	full     bool
	tight    bool // has no room for large files
	kept     map[string][]byte
	partials map[envelope.ID]*partialFile
}

func newBlobs(n *node) *blobs {
	return &blobs{n: n, kept: map[string][]byte{}, partials: map[envelope.ID]*partialFile{}}
}

// partialFile is what is on the disk, and what the disk only says it has.
type partialFile struct{ synced, data []byte }

// lose is a power cut: of what was not synced, some is there, some is not, and some is torn.
func (b *blobs) lose() {
	ids := make([]envelope.ID, 0, len(b.partials))
	for id := range b.partials {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y envelope.ID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range ids {
		p := b.partials[id]
		if bytes.Equal(p.synced, p.data) {
			continue
		}
		at := b.n.w.r.IntN(len(p.data) + 1)
		p.data = slices.Concat(p.data[:at], p.synced[at:])
		p.synced = slices.Clone(p.data)
	}
}

func (b *blobs) weather(what string) error {
	if b.n.dead {
		return fault.New(fault.Unavailable, "disk", "The disk does not answer.")
	}
	if b.full && !b.n.w.silenced {
		b.n.hurt, b.n.troubled = true, true
		return fault.New(fault.Unavailable, "disk_full", "The disk is full.")
	}
	if b.n.struck(b.n.w.sky.blob) {
		b.n.w.note("%s: the disk fails at %s", b.n.name, what)
		return fault.New(fault.Unavailable, "disk", "The disk does not answer.")
	}
	return nil
}

// power may cut the power around what makes bytes durable.
func (b *blobs) power(what string) {
	b.n.boundary("at " + what)
	if !b.n.dead && b.n.struck(b.n.w.sky.crash) {
		b.n.w.note("%s: power cut at %s", b.n.name, what)
		b.n.dead = true
	}
}

// Create implements flow.Blobs.
func (b *blobs) Create(context.Context) (flow.BlobWriter, error) {
	if err := b.weather("create"); err != nil {
		return nil, err
	}
	return &blobWriter{b: b}, nil
}

// Open implements flow.Blobs.
func (b *blobs) Open(_ context.Context, name string) (flow.Blob, error) {
	if err := b.weather("open"); err != nil && (b.n.dead || !b.full) {
		return nil, err
	}
	data, ok := b.kept[name]
	if !ok {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such stored file here.")
	}
	return openBlob{bytes.NewReader(data)}, nil
}

// Remove implements flow.Blobs.
func (b *blobs) Remove(_ context.Context, name string) error {
	if err := b.weather("remove"); err != nil {
		return err
	}
	delete(b.kept, name)
	b.power("remove")
	return nil
}

// Partial implements flow.Blobs.
func (b *blobs) Partial(_ context.Context, id envelope.ID, size int64, begin bool) (flow.PartialBlob, error) {
	if err := b.weather("partial"); err != nil {
		return nil, err
	}
	p := b.partials[id]
	if p == nil && !begin {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such stored file here.")
	}
	if p == nil {
		p = &partialFile{synced: make([]byte, size), data: make([]byte, size)}
		b.partials[id] = p
	}
	if int64(len(p.data)) != size {
		return nil, fault.New(fault.Conflict, "blob_size", "This file was begun with another size.")
	}
	return &openPartial{b: b, p: p}, nil
}

// OpenPartial implements flow.Blobs.
func (b *blobs) OpenPartial(_ context.Context, id envelope.ID) (flow.Blob, error) {
	if err := b.weather("open"); err != nil && (b.n.dead || !b.full) {
		return nil, err
	}
	p, ok := b.partials[id]
	if !ok {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such stored file here.")
	}
	return openBlob{bytes.NewReader(p.data)}, nil
}

// Partials implements flow.Blobs.
func (b *blobs) Partials(context.Context) ([]envelope.ID, error) {
	return slices.SortedFunc(maps.Keys(b.partials), func(x, y envelope.ID) int { return bytes.Compare(x[:], y[:]) }), nil
}

// Names implements flow.Blobs.
func (b *blobs) Names(_ context.Context, after string, limit int) ([]string, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(b.kept)), func(n string) bool { return n <= after })
	return names[:min(len(names), limit)], nil
}

// RemovePartial implements flow.Blobs.
func (b *blobs) RemovePartial(_ context.Context, id envelope.ID) error {
	if err := b.weather("remove"); err != nil {
		return err
	}
	delete(b.partials, id)
	return nil
}

// Reserve implements flow.Blobs.
func (b *blobs) Reserve(size int64) error {
	if b.tight && size > 100_000 && !b.n.w.silenced {
		b.n.hurt, b.n.troubled = true, true
		return fault.New(fault.Unavailable, "disk_full", "The disk has no room for this.")
	}
	return b.weather("reserve")
}

type blobWriter struct {
	b *blobs
	bytes.Buffer
}

// Write implements io.Writer.
func (w *blobWriter) Write(p []byte) (int, error) {
	if err := w.b.weather("write"); err != nil {
		return 0, err
	}
	return w.Buffer.Write(p)
}

// Commit implements flow.BlobWriter.
func (w *blobWriter) Commit(name string) error {
	if err := w.b.weather("commit"); err != nil {
		return err
	}
	w.b.kept[name] = bytes.Clone(w.Bytes())
	w.b.power("commit")
	return nil
}

// Close implements flow.BlobWriter.
func (w *blobWriter) Close() error { return nil }

type openBlob struct{ *bytes.Reader }

// Close implements flow.Blob.
func (b openBlob) Close() error { return nil }

type openPartial struct {
	b *blobs
	p *partialFile
}

// WriteAt implements flow.PartialBlob.
func (o *openPartial) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(o.p.data)) {
		return 0, fault.New(fault.Invalid, "blob_size", "A segment lies outside of its file.")
	}
	if err := o.b.weather("write"); err != nil {
		n := o.b.n.w.r.IntN(len(p))
		copy(o.p.data[off:], p[:n])
		return n, err
	}
	return copy(o.p.data[off:], p), nil
}

// Sync implements flow.PartialBlob.
func (o *openPartial) Sync() error {
	if err := o.b.weather("sync"); err != nil {
		return err
	}
	if o.b.power("sync"); o.b.n.dead {
		return fault.New(fault.Unavailable, "disk", "The disk does not answer.")
	}
	o.p.synced = slices.Clone(o.p.data)
	return nil
}

// Close implements flow.PartialBlob.
func (o *openPartial) Close() error { return nil }
