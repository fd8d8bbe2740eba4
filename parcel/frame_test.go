package parcel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"entente/envelope"
	"entente/parcel"
)

func frames(t testing.TB) []parcel.Frame {
	t.Helper()
	id, from, old := someID("parcel"), int64(7), int64(3)
	list := []parcel.Frame{
		parcel.ParcelFrame{Header: []byte(`{"payloadType":"x"}`), Content: []byte("sealed")}.Frame(),
		parcel.ParcelFrame{Header: []byte(`{}`)}.Frame(),
		parcel.SegmentFrame{Parcel: id, Number: 2, Bytes: []byte("segment")}.Frame(),
		parcel.SegmentHashesFrame{Parcel: id, Leaves: []envelope.Hash{someHash("a"), someHash("b")}}.Frame(),
		{Kind: parcel.FrameReceipt, Payload: []byte(`{}`)},
		{Kind: parcel.FrameCheckpoint, Payload: []byte("old 0\n\norigin\n")},
		{Kind: parcel.FrameGrant, Payload: []byte(`{}`)},
		{Kind: parcel.FrameIdentity, Payload: []byte(`{}`)},
	}
	for _, j := range []struct {
		kind parcel.FrameKind
		v    any
	}{
		{parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: 5, Leaves: [][]byte{[]byte(`{"v":1}`)}, Docs: []parcel.Document{{Type: "header", Envelope: []byte(`{}`)}}, Head: []byte("a\n")}},
		{parcel.FrameWant, parcel.WantFrame{Parcel: &id, Segments: []parcel.Gap{{From: 0, To: 0}, {From: 4, To: 9}}, Docs: []envelope.Hash{someHash("d")}, Leaves: &from, Epoch: 2}},
		{parcel.FrameRefusal, &parcel.RefusalFrame{Parcel: &id, Code: "link.suspended", Sentence: "The link is suspended."}},
		{parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "entente/log/0", Size: 9, Lines: "— witness abc\n"}},
		{parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "entente/log/0", Size: 9, OldSize: &old}},
		{parcel.FrameOpening, parcel.OpeningFrame{Envelope: []byte(`{}`), Leaf: []byte(`{"v":1}`), Checkpoint: []byte("note")}},
		{parcel.FrameAsk, parcel.AskFrame{Epochs: parcel.Epochs{Own: 2, Peer: 1}, Lane: aLane(), Log: &aLog().LogFrom, Headers: []envelope.Hash{someHash("h")},
			Files: []parcel.AskedFile{{Position: 3}}}},
		{parcel.FrameGiven, parcel.GivenFrame{Epochs: parcel.Epochs{Own: 1, Peer: 2}, Lane: aLane(), Items: []parcel.GivenItem{{Header: []byte(`{}`)}}, Next: 7, Done: true,
			Absent: []envelope.Hash{someHash("h")}, AbsentFiles: []parcel.AskedFile{{Position: 3}}, Log: aLog()}},
	} {
		f, err := parcel.EncodeFrame(j.kind, j.v)
		if err != nil {
			t.Fatalf("frame %d: %v", j.kind, err)
		}
		list = append(list, f)
	}
	return list
}

func stream(t testing.TB, list ...parcel.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, f := range list {
		if err := parcel.WriteFrame(&b, f); err != nil {
			t.Fatalf("writing a frame of kind %d: %v", f.Kind, err)
		}
	}
	return b.Bytes()
}

func readAll(data []byte) (list []parcel.Frame, err error) {
	r := parcel.NewFrameReader(bytes.NewReader(data))
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.As(err, new(*envelope.FormatError)) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, f)
	}
}

func TestFrames(t *testing.T) {
	sent := frames(t)
	data := stream(t, sent...)
	got, err := readAll(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("frames changed on the way:\n%s", diff)
	}
	ends := map[int]bool{0: true}
	for at := 0; at < len(data); {
		at += 5 + int(binary.BigEndian.Uint32(data[at+1:]))
		ends[at] = true
	}
	for cut := range data {
		_, err := readAll(data[:cut])
		if (err == nil) != ends[cut] {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
		if err != nil && !errors.As(err, new(*envelope.FormatError)) {
			t.Errorf("cut after %d bytes: %v is no format error", cut, err)
		}
	}
}

func TestFrameRefusals(t *testing.T) {
	head := func(kind byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{kind}, n) }
	for name, data := range map[string][]byte{
		"unknown kind": head(99, 1), "kind zero": head(0, 1), "empty": head(1, 0),
	} {
		if _, err := readAll(append(data, 'x')); !errors.As(err, new(*envelope.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]parcel.Frame{
		"unknown kind": {Kind: 99, Payload: []byte("x")}, "empty": {Kind: parcel.FrameReceipt}, "too long": {Kind: parcel.FrameRefusal, Payload: make([]byte, 1<<20)},
	} {
		var b bytes.Buffer
		if err := parcel.WriteFrame(&b, f); err == nil || b.Len() > 0 {
			t.Errorf("%s: written, %d bytes", name, b.Len())
		}
	}
	id := someID("p")
	raw := func(kind parcel.FrameKind, s string) parcel.Frame {
		return parcel.Frame{Kind: kind, Payload: []byte(s)}
	}
	for name, err := range map[string]error{
		"parcel: short":                second(parcel.DecodeParcelFrame(raw(parcel.FrameParcel, "\x00\x00"))),
		"parcel: no header":            second(parcel.DecodeParcelFrame(raw(parcel.FrameParcel, "\x00\x00\x00\x00abc"))),
		"parcel: header cut":           second(parcel.DecodeParcelFrame(raw(parcel.FrameParcel, "\x00\x00\x00\x09abc"))),
		"parcel: header of 4 GiB":      second(parcel.DecodeParcelFrame(raw(parcel.FrameParcel, "\xff\xff\xff\xffabc"))),
		"parcel: long header":          second(parcel.DecodeParcelFrame(parcel.ParcelFrame{Header: make([]byte, parcel.MaxSigned+1)}.Frame())),
		"parcel: long content":         second(parcel.DecodeParcelFrame(parcel.ParcelFrame{Header: []byte("h"), Content: make([]byte, parcel.MaxInline+1)}.Frame())),
		"parcel: a segment":            second(parcel.DecodeParcelFrame(parcel.SegmentFrame{Parcel: id, Bytes: []byte("x")}.Frame())),
		"segment: empty":               second(parcel.DecodeSegmentFrame(parcel.SegmentFrame{Parcel: id}.Frame())),
		"segment: negative":            second(parcel.DecodeSegmentFrame(parcel.SegmentFrame{Parcel: id, Number: -1, Bytes: []byte("x")}.Frame())),
		"segment: far away":            second(parcel.DecodeSegmentFrame(parcel.SegmentFrame{Parcel: id, Number: 1 << 40, Bytes: []byte("x")}.Frame())),
		"segment: of nothing":          second(parcel.DecodeSegmentFrame(parcel.SegmentFrame{Bytes: []byte("x")}.Frame())),
		"segment: over 1 MiB":          second(parcel.DecodeSegmentFrame(parcel.SegmentFrame{Parcel: id, Bytes: make([]byte, envelope.SegmentSize+1)}.Frame())),
		"hashes: none":                 second(parcel.DecodeSegmentHashesFrame(parcel.SegmentHashesFrame{Parcel: id}.Frame())),
		"hashes: cut":                  second(parcel.DecodeSegmentHashesFrame(raw(parcel.FrameSegmentHashes, strings.Repeat("x", 50)))),
		"hashes: of nothing":           second(parcel.DecodeSegmentHashesFrame(parcel.SegmentHashesFrame{Leaves: make([]envelope.Hash, 1)}.Frame())),
		"leaves: none":                 parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":0,"first":0,"leaves":[]}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: an empty one":         parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":0,"first":0,"leaves":[""]}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: from before":          parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":0,"first":-1,"leaves":["eA=="]}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: epoch before":         parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":-1,"first":0,"leaves":["eA=="]}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: unknown document":     parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":0,"first":0,"leaves":[],"docs":[{"type":"note","envelope":"eA=="}]}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: head too large":       second(parcel.EncodeFrame(parcel.FrameLeaves, parcel.LeavesFrame{Leaves: [][]byte{[]byte("x")}, Head: make([]byte, 64<<10+1)})),
		"leaves: unknown member":       parcel.DecodeFrame(raw(parcel.FrameLeaves, `{"epoch":0,"first":0,"leaves":["eA=="],"more":1}`), parcel.FrameLeaves, &parcel.LeavesFrame{}),
		"leaves: as want":              parcel.DecodeFrame(raw(parcel.FrameLeaves, `{}`), parcel.FrameLeaves, &parcel.WantFrame{}),
		"leaves: into a value":         parcel.DecodeFrame(raw(parcel.FrameLeaves, `{}`), parcel.FrameLeaves, parcel.LeavesFrame{}),
		"want: nothing":                parcel.DecodeFrame(raw(parcel.FrameWant, `{}`), parcel.FrameWant, &parcel.WantFrame{}),
		"want: segments of nothing":    parcel.DecodeFrame(raw(parcel.FrameWant, `{"leaves":0,"segments":[{"from":0,"to":1}]}`), parcel.FrameWant, &parcel.WantFrame{}),
		"want: segments upside down":   second(parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Segments: []parcel.Gap{{From: 2, To: 1}}})),
		"want: segments twice":         second(parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Segments: []parcel.Gap{{From: 0, To: 4}, {From: 4, To: 5}}})),
		"want: segments without end":   second(parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Segments: []parcel.Gap{{From: 0, To: 1<<64 - 1}}})),
		"want: epoch of nothing":       second(parcel.EncodeFrame(parcel.FrameWant, parcel.WantFrame{Parcel: &id, Epoch: 1})),
		"refusal: two lines":           second(parcel.EncodeFrame(parcel.FrameRefusal, parcel.RefusalFrame{Code: "x", Sentence: "a\nb"})),
		"refusal: no code":             second(parcel.EncodeFrame(parcel.FrameRefusal, parcel.RefusalFrame{Sentence: "a"})),
		"cosignature: neither":         second(parcel.EncodeFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "o"})),
		"cosignature: both":            second(parcel.EncodeFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "o", Lines: "x\n", OldSize: new(int64)})),
		"cosignature: cut":             second(parcel.EncodeFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "o", Lines: "x"})),
		"cosignature: origin of lines": second(parcel.EncodeFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: "o\np", Lines: "x\n"})),
		"a kind that is not JSON":      second(parcel.EncodeFrame(parcel.FrameSegment, parcel.WantFrame{Leaves: new(int64)})),
		"a payload that is none":       second(parcel.EncodeFrame(parcel.FrameWant, 5)),
	} {
		if !errors.As(err, new(*envelope.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// What is declared is refused, or not believed, before memory is taken for it.
func TestZipBomb(t *testing.T) {
	head := func(kind parcel.FrameKind, n uint32) []byte {
		return binary.BigEndian.AppendUint32([]byte{byte(kind)}, n)
	}
	for kind := parcel.FrameParcel; kind <= parcel.FrameSegmentHashes; kind++ {
		data := head(kind, 1<<32-1)
		grown := testing.AllocsPerRun(1, func() {
			if _, err := parcel.NewFrameReader(bytes.NewReader(data)).Next(); !errors.As(err, new(*envelope.FormatError)) {
				t.Errorf("kind %d with 4 GiB declared: %v", kind, err)
			}
		})
		if grown > 20 {
			t.Errorf("kind %d: %v allocations", kind, grown)
		}
	}
	// A declared length within limits, but not sent, costs what was sent.
	sparse := append(head(parcel.FrameLeaves, 4<<20), "few"...)
	if n := bytesAllocated(func() { parcel.NewFrameReader(bytes.NewReader(sparse)).Next() }); n > 64<<10 {
		t.Errorf("three bytes of a frame of 4 MiB took %d bytes", n)
	}
	bombs := map[string]string{
		"leaves":    `{"epoch":0,"first":0,"leaves":[` + strings.Repeat(`"",`, 1_000_000) + `""]}`,
		"documents": `{"epoch":0,"first":0,"leaves":[],"docs":[` + strings.Repeat(`{},`, 1_000_000) + `{}]}`,
		"depth":     `{"epoch":0,"first":0,"leaves":` + strings.Repeat(`[`, 1_000_000),
	}
	for name, bomb := range bombs {
		f := parcel.Frame{Kind: parcel.FrameLeaves, Payload: []byte(bomb)}
		n := bytesAllocated(func() {
			if err := parcel.DecodeFrame(f, parcel.FrameLeaves, &parcel.LeavesFrame{}); !errors.As(err, new(*envelope.FormatError)) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if n > 1<<20 {
			t.Errorf("%s: refusing took %d bytes", name, n)
		}
	}
	// A header that declares the longest content is refused before its content is read.
	w := newWorld(envelope.INT1())
	h := aHeader()
	h.Length, h.Segments = 1<<40, 1<<20
	if _, _, err := parcel.OpenContent(w.registry, noReader{t}, &h, w.kestria); err == nil {
		t.Error("a content of 1 TiB was opened")
	}
	for what, decode := range map[string]func([]byte) error{
		"header":  func(b []byte) error { _, err := parcel.DecodeHeader(b); return err },
		"receipt": func(b []byte) error { _, err := parcel.DecodeReceipt(b); return err },
		"grant":   func(b []byte) error { _, err := parcel.DecodeGrant(b); return err },
	} {
		if decode(make([]byte, parcel.MaxHeader+1)) == nil || decode([]byte(`{"v":`+strings.Repeat("[", 10_000))) == nil {
			t.Errorf("%s over its limits was taken", what)
		}
	}
}

// noReader fails the test when anything is read.
type noReader struct{ t *testing.T }

func (n noReader) ReadAt([]byte, int64) (int, error) {
	n.t.Error("sealed bytes were read")
	return 0, io.EOF
}

// bytesAllocated is how much f takes; other goroutines of the test's process are idle meanwhile.
func bytesAllocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func each(list []parcel.Frame) iter.Seq2[parcel.Frame, error] {
	return func(yield func(parcel.Frame, error) bool) {
		for _, f := range list {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func collect(data []byte) (b parcel.Bundle, list []parcel.Frame, err error) {
	b, seq, err := parcel.ReadBundle(bytes.NewReader(data))
	if err != nil {
		return b, nil, err
	}
	for f, err := range seq {
		if err != nil {
			return b, list, err
		}
		list = append(list, f)
	}
	return b, list, nil
}

func aBundle(t testing.TB) (parcel.Bundle, []parcel.Frame, []byte) {
	t.Helper()
	b, list := parcel.Bundle{Link: theLink, From: arvenia, To: kestria}, frames(t)
	var file bytes.Buffer
	if err := parcel.WriteBundle(&file, b, each(list)); err != nil {
		t.Fatal(err)
	}
	return b, list, file.Bytes()
}

func TestBundle(t *testing.T) {
	b, list, file := aBundle(t)
	got, gotList, err := collect(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != b || !cmp.Equal(list, gotList) {
		t.Error("the courier file changed on the way")
	}
	for cut := range file {
		if _, _, err := collect(file[:cut]); !errors.As(err, new(*envelope.FormatError)) {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
	}
	end := len(file) - 13
	less := append(bytes.Clone(file[:end-len(stream(t, list[len(list)-1]))]), file[end:]...)
	for name, bad := range map[string][]byte{
		"another magic":      append([]byte("ENTENTE-COURIER/2\n"), file[18:]...),
		"something after it": append(bytes.Clone(file), 0),
		"a frame taken out":  less,
		"a frame added":      append(append(bytes.Clone(file[:end]), stream(t, list[0])...), file[end:]...),
		"to its sender":      bytes.Replace(file, []byte(kestria.String()), []byte(arvenia.String()), 1),
		"unknown member":     bytes.Replace(file, []byte(`{"link"`), []byte(`{"note":"x","link"`), 1),
		"a line of 1 MiB":    append([]byte("ENTENTE-COURIER/1\n"), make([]byte, 1<<20)...),
	} {
		if _, _, err := collect(bad); !errors.As(err, new(*envelope.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	failing := func(yield func(parcel.Frame, error) bool) { yield(parcel.Frame{}, broken) }
	if err := parcel.WriteBundle(io.Discard, b, failing); !errors.Is(err, broken) {
		t.Errorf("a source that fails: %v", err)
	}
	if err := parcel.WriteBundle(io.Discard, b, each([]parcel.Frame{{Kind: parcel.FrameEnd, Payload: make([]byte, 8)}})); err == nil {
		t.Error("an end in the middle was written")
	}
	if err := parcel.WriteBundle(io.Discard, parcel.Bundle{Link: theLink, From: arvenia, To: arvenia}, each(nil)); err == nil {
		t.Error("a file to its own sender was written")
	}
}
