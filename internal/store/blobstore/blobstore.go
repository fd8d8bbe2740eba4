// Package blobstore keeps large sealed bytes as files of a directory, each under a hash of its content.
//
// It promises that a name it has returned is durable and holds exactly the bytes that the name says, that a crash
// leaves no half-written blob under a name, and that names from outside never leave the directory. It refuses to
// look at what it keeps: everything in it is sealed by those who hand it in.
package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
)

// Dir is a directory of blobs; it implements flow.Blobs. Safe for concurrent use.
//
//	blobs/ab/ab…   committed, by the head of the tree over its segments in hexadecimal digits
//	partial/<id>   parcels that arrive in pieces
//	temp/          being written; emptied at Open
type Dir struct {
	root    string
	reserve int64
}

// Open makes or opens the directory. reserve is how many bytes of the disk Reserve keeps free.
func Open(root string, reserve int64) (*Dir, error) {
	d := &Dir{root: root, reserve: reserve}
	if err := os.RemoveAll(d.path("temp")); err != nil {
		return nil, fmt.Errorf("removing what a crash has left: %w", err)
	}
	for _, sub := range []string{"blobs", "partial", "temp"} {
		if err := os.MkdirAll(d.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("making the directory of blobs: %w", err)
		}
	}
	if err := syncDir(root); err != nil {
		return nil, fmt.Errorf("making the directory of blobs: %w", err)
	}
	return d, nil
}

func (d *Dir) path(elem ...string) string { return filepath.Join(append([]string{d.root}, elem...)...) }

// place is the path of a committed blob; only 64 lower-case hexadecimal digits are a name.
func (d *Dir) place(name string) (string, error) {
	if _, err := envelope.ParseHash(name); err != nil {
		return "", fault.Wrap(fault.Invalid, "blob_name", "This is not the name of a stored file.", err)
	}
	return d.path("blobs", name[:2], name), nil
}

// Create implements flow.Blobs.
func (d *Dir) Create(ctx context.Context) (flow.BlobWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(d.path("temp"), "blob-")
	if err != nil {
		return nil, diskFault(fmt.Errorf("creating a blob: %w", err))
	}
	return &writer{d: d, f: f}, nil
}

// writer writes one blob; it is used by one goroutine.
type writer struct {
	d *Dir
	f *os.File // nil after Commit or Close
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fs.ErrClosed
	}
	n, err := w.f.Write(p)
	return n, diskFault(err)
}

// Commit implements flow.BlobWriter.
func (w *writer) Commit(name string) error {
	if w.f == nil {
		return fs.ErrClosed
	}
	f := w.f
	w.f = nil
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = w.d.adopt(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return diskFault(fmt.Errorf("committing a blob: %w", err))
	}
	return nil
}

// Close implements flow.BlobWriter.
func (w *writer) Close() error {
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// adopt renames a synced file to its place and makes the name durable. A blob that is there already is the same.
func (d *Dir) adopt(from, name string) error {
	to, err := d.place(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(to)
	if err := os.Mkdir(dir, 0o700); err == nil {
		err = syncDir(d.path("blobs"))
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(dir)
}

// Open implements flow.Blobs.
func (d *Dir) Open(ctx context.Context, name string) (flow.Blob, error) {
	path, err := d.place(name)
	if err != nil {
		return nil, err
	}
	return openBlob(ctx, path)
}

func openBlob(ctx context.Context, path string) (flow.Blob, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFile(err)
	}
	if err != nil {
		return nil, diskFault(fmt.Errorf("opening a blob: %w", err))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, diskFault(errors.Join(fmt.Errorf("opening a blob: %w", err), f.Close()))
	}
	return &blob{f, info.Size()}, nil
}

type blob struct {
	*os.File
	size int64
}

// Size implements flow.Blob.
func (b *blob) Size() int64 { return b.size }

// Remove implements flow.Blobs.
func (d *Dir) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err := d.place(name)
	if err != nil {
		return err
	}
	return remove(path)
}

func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return diskFault(err)
}

// Partial implements flow.Blobs. One that was begun with another size is a conflict.
func (d *Dir) Partial(ctx context.Context, id envelope.ID, size int64, begin bool) (flow.PartialBlob, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, fault.New(fault.Invalid, "blob_size", "A file cannot have a negative size.")
	}
	flags := os.O_RDWR
	if begin {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(d.path("partial", id.String()), flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) && !begin {
		return nil, noFile(err)
	}
	if err != nil {
		return nil, diskFault(fmt.Errorf("opening a partial file: %w", err))
	}
	if err := d.grow(f, size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &partial{File: f, d: d, size: size}, nil
}

// grow gives a new partial file its final size.
func (d *Dir) grow(f *os.File, size int64) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return diskFault(err)
	case info.Size() == size:
		return nil
	case info.Size() != 0:
		return fault.New(fault.Conflict, "blob_size", "This file was begun with another size.")
	}
	if err := f.Truncate(size); err != nil {
		return diskFault(fmt.Errorf("making room for a partial file: %w", err))
	}
	return diskFault(errors.Join(f.Sync(), syncDir(d.path("partial"))))
}

// RemovePartial implements flow.Blobs.
func (d *Dir) RemovePartial(ctx context.Context, id envelope.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return remove(d.path("partial", id.String()))
}

// partial takes segments in any order, from any goroutine.
type partial struct {
	*os.File
	d    *Dir
	size int64
}

// WriteAt implements io.WriterAt; what would pass the final size is refused.
func (p *partial) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > p.size || int64(len(b)) > p.size-off {
		return 0, fault.New(fault.Invalid, "blob_size", "A segment lies outside of its file.")
	}
	n, err := p.File.WriteAt(b, off)
	return n, diskFault(err)
}

// Sync implements flow.PartialBlob.
func (p *partial) Sync() error { return diskFault(p.File.Sync()) }

// OpenPartial implements flow.Blobs.
func (d *Dir) OpenPartial(ctx context.Context, id envelope.ID) (flow.Blob, error) {
	return openBlob(ctx, d.path("partial", id.String()))
}

// Partials implements flow.Blobs.
func (d *Dir) Partials(ctx context.Context) ([]envelope.ID, error) {
	entries, err := os.ReadDir(d.path("partial"))
	if err = errors.Join(ctx.Err(), err); err != nil {
		return nil, diskFault(fmt.Errorf("listing partial files: %w", err))
	}
	var ids []envelope.ID
	for _, e := range entries {
		if id, err := envelope.ParseID(e.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// Names implements flow.Blobs.
func (d *Dir) Names(ctx context.Context, after string, limit int) ([]string, error) {
	var names []string
	err := d.each(ctx, after, func(name string) error {
		if len(names) == limit {
			return errEnough
		}
		names = append(names, name)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return names, err
}

// Reserve implements flow.Blobs.
func (d *Dir) Reserve(n int64) error {
	free, err := freeBytes(d.root)
	if err != nil {
		return diskFault(fmt.Errorf("asking for the free space of the disk: %w", err))
	}
	if free < d.reserve || free-d.reserve < n {
		return fullDisk(fmt.Errorf("%d bytes are free, %d are reserved, %d are wanted", free, d.reserve, n))
	}
	return nil
}

// Each calls f with the name of every committed blob, in order.
func (d *Dir) Each(ctx context.Context, f func(name string) error) error { return d.each(ctx, "", f) }

// each is Each for names above after.
func (d *Dir) each(ctx context.Context, after string, f func(name string) error) error {
	dirs, err := os.ReadDir(d.path("blobs"))
	if err != nil {
		return diskFault(fmt.Errorf("listing blobs: %w", err))
	}
	for _, dir := range dirs {
		if len(after) >= len(dir.Name()) && dir.Name() < after[:len(dir.Name())] {
			continue
		}
		names, err := os.ReadDir(d.path("blobs", dir.Name()))
		if err != nil {
			return diskFault(fmt.Errorf("listing blobs: %w", err))
		}
		for _, n := range names {
			if n.Name() <= after {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(n.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Verify reads a blob and says whether its content is what its name says.
func (d *Dir) Verify(ctx context.Context, name string) error {
	b, err := d.Open(ctx, name)
	if err != nil {
		return err
	}
	digest := NewDigest()
	_, err = io.Copy(digest, io.NewSectionReader(b, 0, b.Size()))
	if err = errors.Join(err, b.Close()); err != nil {
		return diskFault(fmt.Errorf("reading the blob %s: %w", name, err))
	}
	if !digest.Names(name) {
		return fault.New(fault.Internal, "blob_damaged", "The stored file "+name+" is damaged.")
	}
	return nil
}

func noFile(err error) error {
	return fault.Wrap(fault.NotFound, "not_found", "There is no such stored file here.", err)
}

func fullDisk(err error) error {
	return fault.Wrap(fault.Unavailable, "disk_full", "The node's disk is full; nothing was lost. Free space and try again.", err)
}

// diskFault gives an error of the disk its kind and code; one that has a kind keeps it.
func diskFault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || isFull(err) {
		return fullDisk(err)
	}
	return fault.Wrap(fault.Unavailable, "disk", "The node's disk does not answer as it should; nothing was acknowledged.", err)
}
