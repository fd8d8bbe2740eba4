package envelope_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"entente/envelope"
	"entente/envelope/envelopetest"
)

const plainSize = envelope.SegmentSize - envelope.FLOEOverhead

var testContext = envelope.Context{ // read only
	Link: envelope.Sum([]byte("link")), Parcel: envelope.ID{1}, From: envelope.Sum([]byte("Arvenia")), To: envelope.Sum([]byte("Kestria")),
}

// content is n bytes that differ from segment to segment.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 ^ i>>8 ^ i>>16*31)
	}
	return b
}

func kestria() *envelopetest.Party {
	return envelopetest.NewParty("Kestria", envelope.INT1(), envelopetest.Suite2())
}

func sealTo(t testing.TB, plain []byte, to []envelope.SuiteKeys) ([]byte, envelope.Sealed) {
	t.Helper()
	var dst bytes.Buffer
	sealed, err := envelopetest.Registry().Seal(&dst, bytes.NewReader(plain), to, testContext, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dst.Bytes(), sealed
}

func open(sealed []byte, layers []envelope.Layer, c envelope.Context, o envelope.Opener) ([]byte, error) {
	r, err := envelopetest.Registry().Open(bytes.NewReader(sealed), int64(len(sealed)), layers, c, 1, o)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestSealOpen(t *testing.T) {
	party := kestria()
	for _, to := range [][]envelope.SuiteKeys{party.Keys[:1], party.Keys[1:], party.Keys, {party.Keys[1], party.Keys[0]}} {
		for _, size := range []int{0, 1, plainSize - 1, plainSize, plainSize + 1, 2*plainSize + 5} {
			plain := content(size)
			segments, sealed := sealTo(t, plain, to)
			got, err := open(segments, sealed.Layers, testContext, party)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes in %d layers: %d other bytes, or %v", size, len(to), len(got), err)
			}
			var leaves []envelope.Hash
			for s := range slices.Chunk(segments, envelope.SegmentSize) {
				leaves = append(leaves, envelope.SegmentHash(s))
			}
			if sealed.Length != int64(len(segments)) || sealed.Segments != int64(len(leaves)) || sealed.Root != envelope.Root(leaves) {
				t.Errorf("%d bytes in %d layers: described as %d bytes, %d segments, root %s", size, len(to), sealed.Length, sealed.Segments, sealed.Root)
			}
			for i, l := range sealed.Layers {
				if l.Suite != to[i].Suite || l.DEM != envelope.DEMFloe1M || len(l.Hdr) != envelope.FLOEHeaderSize {
					t.Errorf("layer %d is %s, %s", i, l.Suite, l.DEM)
				}
			}
		}
	}
}

func TestOpenAtRandom(t *testing.T) {
	party, plain := kestria(), content(2*plainSize+1000)
	segments, sealed := sealTo(t, plain, party.Keys)
	r, err := envelopetest.Registry().Open(bytes.NewReader(segments), sealed.Length, sealed.Layers, testContext, 1, party)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(plain)) {
		t.Errorf("size %d, want %d", r.Size(), len(plain))
	}
	for _, off := range []int{len(plain) - 10, 0, plainSize - 5, 2*plainSize - 100, 17} {
		got := make([]byte, 10)
		if _, err := r.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, plain[off:off+10]) {
			t.Errorf("at %d: %x, %v", off, got, err)
		}
	}
}

// TestTamperOneByte changes every byte of an envelope and of sealed content in turn.
func TestTamperOneByte(t *testing.T) {
	masks := []byte{0x01, 0x20, 0x80}
	t.Run("envelope", func(t *testing.T) {
		registry, party := envelope.Default(), envelopetest.NewParty("Arvenia", envelope.INT1())
		data, err := signed(t, `{"to":"Kestria"}`, party.Signers...).Encode()
		if err != nil {
			t.Fatal(err)
		}
		set := party.KeySet("Arvenia")
		everyByte(t, data, masks, func(changed []byte) error {
			e, err := envelope.DecodeEnvelope(changed)
			if err == nil {
				_, err = registry.Verify(e, testType, set)
			}
			return err
		})
	})
	party, plain := kestria(), []byte("what was agreed")
	segments, sealed := sealTo(t, plain, party.Keys)
	opens := func(segments []byte, layers []envelope.Layer, c envelope.Context) error {
		got, err := open(segments, layers, c, party)
		if err != nil && len(got) != 0 {
			t.Errorf("refused, but released %q", got)
		}
		return err
	}
	t.Run("segments", func(t *testing.T) {
		everyByte(t, segments, masks, func(b []byte) error { return opens(b, sealed.Layers, testContext) })
	})
	for i := range sealed.Layers {
		layers := func(change func(l *envelope.Layer)) []envelope.Layer {
			l := slices.Clone(sealed.Layers)
			change(&l[i])
			return l
		}
		t.Run("header of "+sealed.Layers[i].Suite, func(t *testing.T) {
			everyByte(t, sealed.Layers[i].Hdr, masks, func(b []byte) error {
				return opens(segments, layers(func(l *envelope.Layer) { l.Hdr = b }), testContext)
			})
		})
		t.Run("stanza of "+sealed.Layers[i].Suite, func(t *testing.T) {
			everyByte(t, sealed.Layers[i].Stanza, masks[:1], func(b []byte) error {
				return opens(segments, layers(func(l *envelope.Layer) { l.Stanza = b }), testContext)
			})
		})
	}
	t.Run("context", func(t *testing.T) {
		c := testContext
		for name, field := range map[string][]byte{"link": c.Link[:], "parcel": c.Parcel[:], "from": c.From[:], "to": c.To[:]} {
			field[0] ^= 1
			if opens(segments, sealed.Layers, c) == nil {
				t.Errorf("opened with another %s", name)
			}
			field[0] ^= 1
		}
		if err := opens(segments, sealed.Layers, c); err != nil {
			t.Error(err)
		}
	})
}

func everyByte(t *testing.T, data, masks []byte, check func(changed []byte) error) {
	t.Helper()
	if err := check(data); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	changed := bytes.Clone(data)
	for i := range changed {
		for _, mask := range masks {
			changed[i] = data[i] ^ mask
			if check(changed) == nil {
				t.Errorf("byte %d changed by %#02x was accepted", i, mask)
			}
		}
		changed[i] = data[i]
	}
}

// TestTruncate cuts sealed content at segment ends and beside them: nothing is taken for the end that isn't.
func TestTruncate(t *testing.T) {
	party, plain := kestria(), content(2*plainSize+1000)
	for _, to := range [][]envelope.SuiteKeys{party.Keys[:1], party.Keys} {
		segments, sealed := sealTo(t, plain, to)
		for _, size := range []int{0, 1, envelope.FLOEOverhead, envelope.SegmentSize - 1, envelope.SegmentSize, envelope.SegmentSize + 1,
			envelope.SegmentSize + envelope.FLOEOverhead, 2 * envelope.SegmentSize, len(segments) - 1} {
			if got, err := open(segments[:size], sealed.Layers, testContext, party); err == nil || len(got) != 0 {
				t.Errorf("%d layers cut to %d bytes: released %d bytes, %v", len(to), size, len(got), err)
			}
		}
		for name, longer := range map[string][]byte{
			"a byte": {0}, "an overhead of zeros": make([]byte, envelope.FLOEOverhead), "its last segment again": segments[2*envelope.SegmentSize:],
		} {
			if got, err := open(append(bytes.Clone(segments), longer...), sealed.Layers, testContext, party); err == nil || len(got) != 0 {
				t.Errorf("%d layers with %s appended: released %d bytes, %v", len(to), name, len(got), err)
			}
		}
		// A source that ends before the length that it was said to have.
		r, err := envelopetest.Registry().Open(bytes.NewReader(segments[:100]), sealed.Length, sealed.Layers, testContext, 1, party)
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%d layers, source too short: %v, %v", len(to), r, err)
		}
	}
}

// TestEmptyFinalSegment: content may end in a segment that holds nothing; it is verified all the same, before
// anything is released.
func TestEmptyFinalSegment(t *testing.T) {
	key := make([]byte, 32)
	place := testContext.Encode(envelope.SuiteINT1, 0)
	enc, header, err := envelope.NewFLOEEncryptor(envelope.Segment1M(), key, place, nil)
	if err != nil {
		t.Fatal(err)
	}
	segments, err := enc.Segment(nil, 0, content(plainSize), false)
	if err != nil {
		t.Fatal(err)
	}
	if segments, err = enc.Segment(segments, 1, nil, true); err != nil {
		t.Fatal(err)
	}
	layers := []envelope.Layer{{Suite: envelope.SuiteINT1, DEM: envelope.DEMFloe1M, Hdr: header, Stanza: []byte{1}}}
	if got, err := open(segments, layers, testContext, keyHolder(key)); err != nil || !bytes.Equal(got, content(plainSize)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	segments[len(segments)-1] ^= 1
	if got, err := open(segments, layers, testContext, keyHolder(key)); err == nil || len(got) != 0 {
		t.Errorf("with a wrong end: released %d bytes, %v", len(got), err)
	}
}

// keyHolder is an opener that gives one content key, whatever it is asked.
type keyHolder []byte

func (k keyHolder) Open(string, int, []byte, []byte) ([]byte, error) { return k, nil }

// TestEveryLayerIsRequired: neither suite's keys alone open what was sealed for both, and the layers are bound to
// their number.
func TestEveryLayerIsRequired(t *testing.T) {
	both, plain := kestria(), []byte("for both suites")
	segments, sealed := sealTo(t, plain, both.Keys)
	if bytes.Equal(sealed.Layers[0].Hdr, sealed.Layers[1].Hdr) {
		t.Error("both layers have one header")
	}
	inner, outer := sealed.Layers[0], sealed.Layers[1]
	attacks := []struct {
		name   string
		layers []envelope.Layer
		opener envelope.Opener
	}{
		{"holder of INT-1 alone", sealed.Layers, envelopetest.NewParty("Kestria", envelope.INT1())},
		{"holder of TEST-2 alone", sealed.Layers, envelopetest.NewParty("Kestria", envelopetest.Suite2())},
		{"another party", sealed.Layers, envelopetest.NewParty("Mallory", envelope.INT1(), envelopetest.Suite2())},
		{"outer layer left out", []envelope.Layer{inner}, both},
		{"inner layer left out", []envelope.Layer{outer}, both},
		{"layers swapped", []envelope.Layer{outer, inner}, both},
		{"no layers", nil, both},
		{"stanza not granted", []envelope.Layer{{Suite: inner.Suite, DEM: inner.DEM, Hdr: inner.Hdr}, outer}, both},
		{"unknown suite", []envelope.Layer{{Suite: "INT-0", DEM: inner.DEM, Hdr: inner.Hdr, Stanza: inner.Stanza}, outer}, both},
		{"other content encryption", []envelope.Layer{{Suite: inner.Suite, DEM: "none", Hdr: inner.Hdr, Stanza: inner.Stanza}, outer}, both},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if got, err := open(segments, a.layers, testContext, a.opener); err == nil || len(got) != 0 {
				t.Errorf("released %q, %v", got, err)
			}
		})
	}
	if _, err := envelope.Default().Open(bytes.NewReader(segments), sealed.Length, sealed.Layers, testContext, 1, both); err == nil {
		t.Error("a registry without TEST-2 opened it")
	}
}

// TestOneSuiteTwice: two layers of one suite are one stack, not two; neither sealing nor opening takes them.
func TestOneSuiteTwice(t *testing.T) {
	party := kestria()
	to := []envelope.SuiteKeys{party.Keys[0], party.Keys[0]}
	var dst bytes.Buffer
	if _, err := envelopetest.Registry().Seal(&dst, strings.NewReader("x"), to, testContext, nil); err == nil || dst.Len() != 0 {
		t.Errorf("sealed for one suite twice: %d bytes, %v", dst.Len(), err)
	}
	segments, sealed := sealTo(t, []byte("x"), party.Keys[:1])
	layers := []envelope.Layer{sealed.Layers[0], sealed.Layers[0]}
	if got, err := open(segments, layers, testContext, party); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("opened with one suite twice: %q, %v", got, err)
	}
}

func TestSealRefuses(t *testing.T) {
	party := kestria()
	broken := party.Keys[0]
	broken.Seal = broken.Seal[1:]
	for name, to := range map[string][]envelope.SuiteKeys{
		"no recipient":    nil,
		"unknown suite":   {{Suite: "INT-0"}},
		"malformed key":   {broken},
		"too many layers": slices.Repeat(party.Keys, 3),
	} {
		var dst bytes.Buffer
		if _, err := envelopetest.Registry().Seal(&dst, strings.NewReader("x"), to, testContext, nil); err == nil || dst.Len() != 0 {
			t.Errorf("%s: wrote %d bytes, %v", name, dst.Len(), err)
		}
	}
	if _, err := envelopetest.Registry().Seal(io.Discard, iotest.ErrReader(io.ErrClosedPipe), party.Keys, testContext, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("source that fails: %v", err)
	}
	if _, err := envelopetest.Registry().Seal(fullDisk{}, strings.NewReader("x"), party.Keys, testContext, nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("destination that fails: %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// meter is a destination and a source that notes the largest piece it was asked for.
type meter struct {
	data    []byte
	largest int
}

func (m *meter) Write(p []byte) (int, error) {
	m.largest = max(m.largest, len(p))
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	m.largest = max(m.largest, len(p))
	return bytes.NewReader(m.data).ReadAt(p, off)
}

// TestMemoryIsBounded: sealing and opening 64 MiB in two layers allocates less than half of that in total.
func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	party, m := kestria(), &meter{data: make([]byte, 0, size+1<<20)}
	allocated := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	var sealed envelope.Sealed
	var err error
	n := allocated(func() {
		sealed, err = envelopetest.Registry().Seal(m, io.LimitReader(zeros{}, size), party.Keys, testContext, nil)
	})
	if err != nil || n > size/2 || m.largest > envelope.SegmentSize {
		t.Errorf("sealing allocated %d bytes, wrote %d at once, %v", n, m.largest, err)
	}
	var read int64
	m.largest = 0
	n = allocated(func() {
		var r io.Reader
		if r, err = envelopetest.Registry().Open(m, sealed.Length, sealed.Layers, testContext, 1, party); err == nil {
			read, err = io.Copy(io.Discard, r)
		}
	})
	if err != nil || read != size || n > size/2 || m.largest > envelope.SegmentSize {
		t.Errorf("opening gave %d bytes, allocated %d, read %d at once, %v", read, n, m.largest, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRoot compares the incremental head with RFC 6962's recursive definition.
func TestRoot(t *testing.T) {
	var mth func(leaves []envelope.Hash) envelope.Hash
	mth = func(leaves []envelope.Hash) envelope.Hash {
		if len(leaves) == 1 {
			return leaves[0]
		}
		k := 1
		for k*2 < len(leaves) {
			k *= 2
		}
		left, right := mth(leaves[:k]), mth(leaves[k:])
		return envelope.Sum(slices.Concat([]byte{1}, left[:], right[:]))
	}
	if got := envelope.Root(nil); got != envelope.Sum(nil) {
		t.Errorf("head of nothing is %s", got)
	}
	var leaves []envelope.Hash
	var b envelope.RootBuilder
	for i := range 70 {
		leaf := envelope.SegmentHash([]byte{byte(i)})
		if want := envelope.Sum([]byte{0, byte(i)}); leaf != want {
			t.Fatalf("leaf %d is %s, want %s", i, leaf, want)
		}
		leaves = append(leaves, leaf)
		b.Add(leaf)
		if want := mth(leaves); b.Root() != want || envelope.Root(leaves) != want {
			t.Errorf("head of %d leaves is %s, want %s", len(leaves), b.Root(), want)
		}
	}
}
