package parcel_test

import (
	"bytes"
	"testing"

	"entente/envelope"
	"entente/parcel"
)

// stable checks that what was decoded has an encoding that decodes, and encodes to itself.
func stable[T interface{ Encode() ([]byte, error) }](t *testing.T, first T, decode func([]byte) (T, error)) {
	t.Helper()
	again := encode(t, first)
	back, err := decode(again)
	if err != nil {
		t.Fatalf("what was encoded is refused: %v\n%s", err, again)
	}
	if third := encode(t, back); !bytes.Equal(again, third) {
		t.Fatalf("the encoding is not stable:\n%s\n%s", again, third)
	}
}

func FuzzDecodeHeader(f *testing.F) {
	for _, make := range []func() parcel.Header{statementHeader, laterHeader, fileHeader, registeredHeader, twoLayers} {
		h := make()
		for i := range h.Layers {
			if h.Layers[i].Stanza != nil {
				h.Layers[i].Stanza = []byte("stanza") // short: mutations should hit members
			}
		}
		f.Add(encode(f, &h))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := parcel.DecodeHeader(data); err == nil {
			stable(t, h, parcel.DecodeHeader)
		}
	})
}

func FuzzDecodeReceipt(f *testing.F) {
	r := aReceipt()
	f.Add(encode(f, &r))
	r.Kind, r.Reason, r.Gaps = parcel.Rejected, "inner_addressee", nil
	f.Add(encode(f, &r))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parcel.DecodeReceipt(data); err == nil {
			stable(t, r, parcel.DecodeReceipt)
		}
	})
}

func FuzzDecodeGrant(f *testing.F) {
	g := aGrant()
	g.Stanzas = [][]byte{[]byte("stanza")}
	f.Add(encode(f, &g))
	f.Fuzz(func(t *testing.T, data []byte) {
		if g, err := parcel.DecodeGrant(data); err == nil {
			stable(t, g, parcel.DecodeGrant)
		}
	})
}

func FuzzFrames(f *testing.F) {
	for _, frame := range frames(f) {
		f.Add(stream(f, frame))
	}
	f.Add(stream(f, frames(f)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readAll(data)
		written := stream(t, list...)
		if !bytes.HasPrefix(data, written) || err == nil && len(written) != len(data) {
			t.Fatalf("frames were read that were not there: %x from %x", written, data)
		}
		for _, frame := range list {
			again, ok := recode(t, frame)
			if ok && !bytes.Equal(stream(t, again), stream(t, reread(t, again))) {
				t.Fatalf("a frame of kind %d is not stable", frame.Kind)
			}
		}
	})
}

// recode takes a frame apart and makes it anew; not ok if its payload is malformed, or is no business of this package.
func recode(t *testing.T, f parcel.Frame) (parcel.Frame, bool) {
	t.Helper()
	var v any
	switch f.Kind {
	case parcel.FrameParcel:
		p, err := parcel.DecodeParcelFrame(f)
		return same(t, f, p.Frame(), err)
	case parcel.FrameSegment:
		s, err := parcel.DecodeSegmentFrame(f)
		return same(t, f, s.Frame(), err)
	case parcel.FrameSegmentHashes:
		s, err := parcel.DecodeSegmentHashesFrame(f)
		return same(t, f, s.Frame(), err)
	case parcel.FrameLeaves:
		v = &parcel.LeavesFrame{}
	case parcel.FrameWant:
		v = &parcel.WantFrame{}
	case parcel.FrameRefusal:
		v = &parcel.RefusalFrame{}
	case parcel.FrameCosignature:
		v = &parcel.CosignatureFrame{}
	case parcel.FrameOpening:
		v = &parcel.OpeningFrame{}
	case parcel.FrameAsk:
		v = &parcel.AskFrame{}
	case parcel.FrameGiven:
		v = &parcel.GivenFrame{}
	default:
		return parcel.Frame{}, false
	}
	if err := parcel.DecodeFrame(f, f.Kind, v); err != nil {
		return parcel.Frame{}, false
	}
	again, err := parcel.EncodeFrame(f.Kind, v)
	if err != nil {
		t.Fatalf("a frame that was decoded can't be encoded: %v", err)
	}
	return again, true
}

func reread(t *testing.T, f parcel.Frame) parcel.Frame {
	t.Helper()
	again, ok := recode(t, f)
	if !ok {
		t.Fatalf("a frame that was encoded can't be decoded: %s", f.Payload)
	}
	return again
}

// same: binary payloads have one form.
func same(t *testing.T, f, again parcel.Frame, err error) (parcel.Frame, bool) {
	t.Helper()
	if err == nil && !bytes.Equal(f.Payload, again.Payload) {
		t.Fatalf("kind %d: %x came back as %x", f.Kind, f.Payload, again.Payload)
	}
	return again, err == nil
}

func FuzzBundle(f *testing.F) {
	_, _, file := aBundle(f)
	f.Add(file)
	var empty bytes.Buffer
	if err := parcel.WriteBundle(&empty, parcel.Bundle{Link: theLink, From: arvenia, To: kestria}, each(nil)); err != nil {
		f.Fatal(err)
	}
	f.Add(empty.Bytes())
	f.Add([]byte("ENTENTE-COURIER/1\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, list, err := collect(data)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := parcel.WriteBundle(&again, b, each(list)); err != nil {
			t.Fatalf("a courier file that was read can't be written: %v", err)
		}
		back, backList, err := collect(again.Bytes())
		if err != nil || back != b || !bytes.Equal(stream(t, list...), stream(t, backList...)) {
			t.Fatalf("a courier file changed on the way: %v", err)
		}
	})
}

// FuzzOpenContent opens whatever was sealed with the right keys: the padding and the content inside are the author's to choose.
func FuzzOpenContent(f *testing.F) {
	w := newWorld(envelope.INT1())
	s := w.send(f, aText(), "words")
	f.Add(encode(f, s.content), true)
	f.Add([]byte(`{}`), false)
	f.Fuzz(func(t *testing.T, plain []byte, padded bool) {
		h, sealed := s.header, bytes.Buffer{}
		var got envelope.Sealed
		var err error
		if h.Padding = parcel.PaddingClass(len(plain)); padded {
			got, err = parcel.SealContent(w.registry, &sealed, plain, w.kestria.Keys, h.Context())
		} else {
			got, err = w.registry.Seal(&sealed, bytes.NewReader(plain), w.kestria.Keys, h.Context(), nil)
		}
		if err != nil {
			return
		}
		fill(&h, got)
		content, text, err := parcel.OpenContent(w.registry, bytes.NewReader(sealed.Bytes()), &h, w.kestria)
		if err == nil && (content.Commitment() != h.Text || text.To != h.To) {
			t.Fatal("content came out that is not the header's")
		}
	})
}
