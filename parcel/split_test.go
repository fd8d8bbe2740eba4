package parcel_test

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"testing"

	"entente/envelope"
	"entente/parcel"
	"entente/party"
)

// bundleOf is a courier file of frames.
func bundleOf(t testing.TB, frames ...parcel.Frame) []byte {
	t.Helper()
	var out bytes.Buffer
	b := parcel.Bundle{Link: envelope.Sum([]byte("link")), From: party.ID{1}, To: party.ID{2}}
	err := parcel.WriteBundle(&out, b, iter.Seq2[parcel.Frame, error](func(yield func(parcel.Frame, error) bool) {
		for _, f := range frames {
			if !yield(f, nil) {
				return
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// split cuts a courier file, and reads each part to its end.
func split(t testing.TB, file []byte, max int64) (parts [][]parcel.Frame) {
	t.Helper()
	var written []*bytes.Buffer
	n, err := parcel.SplitBundle(bytes.NewReader(file), max, func(part int) (io.Writer, error) {
		if part != len(written)+1 {
			t.Fatalf("part %d after %d", part, len(written))
		}
		written = append(written, &bytes.Buffer{})
		return written[part-1], nil
	})
	if err != nil || n != len(written) {
		t.Fatalf("%d parts of %d: %v", n, len(written), err)
	}
	for i, w := range written {
		if int64(w.Len()) > max {
			t.Errorf("part %d has %d bytes of %d", i+1, w.Len(), max)
		}
		_, frames, err := parcel.ReadBundle(w)
		if err != nil {
			t.Fatal(err)
		}
		var part []parcel.Frame
		for f, err := range frames {
			if err != nil {
				t.Fatalf("part %d: %v", i+1, err)
			}
			part = append(part, f)
		}
		parts = append(parts, part)
	}
	return parts
}

// Parts are courier files of their own, under the size that was asked for, and together hold every frame; one that goes on with
// segments begins with their header and hashes.
func TestSplitBundle(t *testing.T) {
	head := parcel.ParcelFrame{Header: bytes.Repeat([]byte{1}, 3000)}.Frame()
	id := envelope.ID{9}
	hashes := parcel.SegmentHashesFrame{Parcel: id, Leaves: make([]envelope.Hash, 20)}.Frame()
	frames := []parcel.Frame{parcel.ParcelFrame{Header: []byte{1}, Content: []byte("small")}.Frame(), head, hashes}
	for n := range 20 {
		frames = append(frames, parcel.SegmentFrame{Parcel: id, Number: int64(n), Bytes: bytes.Repeat([]byte{byte(n)}, envelope.SegmentSize)}.Frame())
	}
	receipt := parcel.Frame{Kind: parcel.FrameReceipt, Payload: []byte("receipt")}
	frames = append(frames, receipt)
	parts := split(t, bundleOf(t, frames...), parcel.MinPart)
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	var all []parcel.Frame
	for i, part := range parts {
		if i > 0 {
			if !bytes.Equal(part[0].Payload, head.Payload) || !bytes.Equal(part[1].Payload, hashes.Payload) {
				t.Fatalf("part %d does not begin with header and hashes", i+1)
			}
			part = part[2:]
		}
		all = append(all, part...)
	}
	if len(all) != len(frames) {
		t.Fatalf("%d frames of %d", len(all), len(frames))
	}
	for i := range all {
		if all[i].Kind != frames[i].Kind || !bytes.Equal(all[i].Payload, frames[i].Payload) {
			t.Errorf("frame %d is another", i)
		}
	}
	if parts := split(t, bundleOf(t), parcel.MinPart); len(parts) != 1 || len(parts[0]) != 0 {
		t.Errorf("an empty file has %d parts", len(parts))
	}
	whole := bundleOf(t, frames...)
	for name, file := range map[string][]byte{"cut": whole[:len(whole)-5], "cut in a frame": whole[:len(whole)-20], "longer": append(bytes.Clone(whole), 0), "no file": []byte("x")} {
		if _, err := parcel.SplitBundle(bytes.NewReader(file), parcel.MinPart, func(int) (io.Writer, error) { return io.Discard, nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := parcel.SplitBundle(bytes.NewReader(whole), parcel.MinPart-1, nil); err == nil {
		t.Error("parts that are too small")
	}
	full := errors.New("the disk is full")
	if _, err := parcel.SplitBundle(bytes.NewReader(whole), parcel.MinPart, func(part int) (io.Writer, error) { return io.Discard, full }); !errors.Is(err, full) {
		t.Errorf("a part that cannot be made: %v", err)
	}
}
