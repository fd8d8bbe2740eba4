package blobstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/blobstore"
)

var _ flow.Blobs = (*blobstore.Dir)(nil)

func open(t *testing.T, root string) *blobstore.Dir {
	t.Helper()
	d, err := blobstore.Open(root, 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t *testing.T, d *blobstore.Dir, data []byte) string {
	t.Helper()
	w, err := d.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	name := named(data)
	if err := w.Commit(name); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close after Commit: %v", err)
	}
	return name
}

// named is the name of some bytes.
func named(data []byte) string {
	digest := blobstore.NewDigest()
	digest.Write(data)
	return digest.Name()
}

// treeHead is the same, by the words of the interface.
func treeHead(data []byte) string {
	var leaves []envelope.Hash
	for s := range slices.Chunk(data, envelope.SegmentSize) {
		leaves = append(leaves, envelope.SegmentHash(s))
	}
	return envelope.Root(leaves).String()
}

func get(t *testing.T, d *blobstore.Dir, name string) []byte {
	t.Helper()
	b, err := d.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// count is how many files lie under a folder.
func count(t *testing.T, root string) (n int) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBlob(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	for _, data := range [][]byte{nil, []byte("sealed"), bytes.Repeat([]byte("x"), 3<<20)} {
		name := put(t, d, data)
		if want := treeHead(data); name != want {
			t.Errorf("name %s, want %s", name, want)
		}
		if again := put(t, d, data); again != name {
			t.Errorf("written again under %s", again)
		}
		if got := get(t, open(t, root), name); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back of %d", len(got), len(data))
		}
		if err := d.Verify(t.Context(), name); err != nil {
			t.Errorf("Verify: %v", err)
		}
		for range 2 {
			if err := d.Remove(t.Context(), name); err != nil {
				t.Errorf("Remove: %v", err)
			}
		}
		if _, err := d.Open(t.Context(), name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Open after Remove: %v, want a fault of kind %s", err, fault.NotFound)
		}
	}
	if n := count(t, root); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// TestNames pages through the blobs, and takes a name of the first stores for what it is.
func TestNames(t *testing.T) {
	d := open(t, t.TempDir())
	var want []string
	for n := range 9 {
		want = append(want, put(t, d, []byte{byte(n)}))
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; {
		page, err := d.Names(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d names of %d, %v", len(got), len(want), got)
	}
	data := []byte("of an older build")
	w, err := d.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	old := envelope.Sum(data).String()
	if err := errors.Join(w.Commit(old), d.Verify(t.Context(), old)); err != nil {
		t.Error(err)
	}
}

func TestDiscarded(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	w, err := d.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("never committed")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := w.Commit(named(nil)); err == nil {
		t.Error("a discarded blob was committed")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a discarded blob was written to")
	}
	if n := count(t, root); n != 0 {
		t.Errorf("%d files are left", n)
	}

	// A writer that a crash cut short leaves a file, which the next start removes.
	if w, err = d.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("cut short")); err != nil {
		t.Fatal(err)
	}
	if n := count(t, root); n != 1 {
		t.Fatalf("%d files before the start, want 1", n)
	}
	open(t, root)
	if n := count(t, root); n != 0 {
		t.Errorf("%d files are left after the start", n)
	}
}

// TestPathNames: only a hash is a name; nothing else is even looked for.
func TestPathNames(t *testing.T) {
	root := t.TempDir()
	d := open(t, filepath.Join(root, "data"))
	outside := filepath.Join(root, "outside")
	if err := os.WriteFile(outside, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := envelope.Sum(nil).String()
	for _, name := range []string{"", "..", "../../outside", `..\evil`, "CON", "a\x00b", "/etc/passwd", hash[:63], hash + "0",
		strings.ToUpper(hash), "../" + hash[3:], hash[:62] + "/x", hash[:63] + "\x00", "aa/../../../outside"} {
		if _, err := d.Open(t.Context(), name); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Open(%q): %v, want a fault of kind %s", name, err, fault.Invalid)
		}
		if err := d.Remove(t.Context(), name); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Remove(%q): %v, want a fault of kind %s", name, err, fault.Invalid)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("the file outside: %v", err)
	}
}

func partial(t *testing.T, d *blobstore.Dir, id envelope.ID, size int64) flow.PartialBlob {
	t.Helper()
	p, err := d.Partial(t.Context(), id, size, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestPartial(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	id := envelope.ID{1, 2, 3}
	data := []byte("in three pieces")
	p := partial(t, d, id, int64(len(data)))
	for _, at := range []int{10, 0} {
		if _, err := p.WriteAt(data[at:at+5], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Sync(), p.Close()); err != nil {
		t.Fatal(err)
	}

	d = open(t, root) // it survives a restart
	if _, err := d.Partial(t.Context(), id, 99, true); fault.KindOf(err) != fault.Conflict {
		t.Errorf("another size: %v, want a fault of kind %s", err, fault.Conflict)
	}
	if _, err := d.Partial(t.Context(), envelope.ID{9}, 5, false); fault.KindOf(err) != fault.NotFound {
		t.Errorf("one that was not begun: %v", err)
	}
	if _, err := d.Partial(t.Context(), envelope.ID{9}, -1, true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a negative size: %v, want a fault of kind %s", err, fault.Invalid)
	}
	p = partial(t, d, id, int64(len(data)))
	for _, off := range []int64{-1, 11, 16, math.MaxInt64} {
		if _, err := p.WriteAt(data[:5], off); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a segment at %d: %v, want a fault of kind %s", off, err, fault.Invalid)
		}
	}
	if _, err := p.WriteAt(data[5:10], 5); err != nil {
		t.Fatal(err)
	}
	b, err := d.OpenPartial(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size())); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%q came back: %v", got, err)
	}
	if ids, err := d.Partials(t.Context()); err != nil || !slices.Equal(ids, []envelope.ID{id}) {
		t.Errorf("partials %v: %v", ids, err)
	}
	if _, err := d.OpenPartial(t.Context(), envelope.ID{9}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a partial that was never begun: %v, want a fault of kind %s", err, fault.NotFound)
	}
	for range 2 {
		if err := d.RemovePartial(t.Context(), id); err != nil {
			t.Errorf("RemovePartial: %v", err)
		}
	}
}

func TestReserve(t *testing.T) {
	if err := open(t, t.TempDir()).Reserve(1); err != nil {
		t.Errorf("one byte: %v", err)
	}
	for name, c := range map[string]struct{ reserve, n int64 }{
		"more than there is": {0, math.MaxInt64}, "all is reserved": {math.MaxInt64, 0},
	} {
		d, err := blobstore.Open(t.TempDir(), c.reserve)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Reserve(c.n); fault.KindOf(err) != fault.Unavailable || fault.CodeOf(err) != "disk_full" {
			t.Errorf("%s: %v, want disk_full", name, err)
		}
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	root := t.TempDir()
	d := open(t, root)
	name := put(t, d, []byte("sealed"))
	if err := os.WriteFile(filepath.Join(root, "blobs", name[:2], name), []byte("sealeD"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(t.Context(), name); fault.CodeOf(err) != "blob_damaged" {
		t.Errorf("Verify: %v, want blob_damaged", err)
	}
}

func TestTogether(t *testing.T) {
	d := open(t, t.TempDir())
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 10 {
				data := bytes.Repeat([]byte{byte(i)}, 1000+g%2)
				name := put(t, d, data)
				if got := get(t, d, name); !bytes.Equal(got, data) {
					t.Errorf("goroutine %d: wrong bytes", g)
				}
			}
		})
	}
	all.Wait()
	var names []string
	err := d.Each(t.Context(), func(name string) error {
		names = append(names, name)
		return d.Verify(t.Context(), name)
	})
	if err != nil || len(names) != 20 {
		t.Errorf("Each: %d names, %v, want 20", len(names), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Each(ctx, func(string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Each, cancelled: %v", err)
	}
}
