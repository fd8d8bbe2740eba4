package envelope_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"entente/envelope"
	"entente/internal/testenv"
)

// floeSeal encrypts plain as one message.
func floeSeal(t testing.TB, p envelope.FLOEParams, key, aad, plain []byte, random io.Reader) (header, body []byte) {
	t.Helper()
	enc, header, err := envelope.NewFLOEEncryptor(p, key, aad, random)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(0); ; n++ {
		size := min(len(plain), enc.PlainSize())
		final := size == len(plain)
		if body, err = enc.Segment(body, n, plain[:size], final); err != nil {
			t.Fatal(err)
		}
		if plain = plain[size:]; final {
			return header, body
		}
	}
}

func floeReader(p envelope.FLOEParams, key, aad, header, body []byte) (*envelope.FLOEReader, error) {
	dec, err := envelope.NewFLOEDecryptor(p, key, aad, header)
	if err != nil {
		return nil, err
	}
	return envelope.NewFLOEReader(dec, bytes.NewReader(body), int64(len(body)))
}

func floeOpen(p envelope.FLOEParams, key, aad, header, body []byte) ([]byte, error) {
	r, err := floeReader(p, key, aad, header, body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// TestFLOEVectors runs the answers that four other implementations published, in both directions: with their IVs
// and nonces our encryption gives their bytes.
func TestFLOEVectors(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testenv.Data(t, "floe-kats"), "*_ct.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), "_ct.txt")
		t.Run(name, func(t *testing.T) {
			sealed, plain := readHex(t, path), readHex(t, strings.TrimSuffix(path, "_ct.txt")+"_pt.txt")
			p := envelope.FLOEParams{SegmentLength: binary.BigEndian.Uint32(sealed[2:])}
			if strings.HasSuffix(name, "_rotation") {
				p.RotationMask = 2
			}
			key, aad := make([]byte, envelope.FLOEKeySize), []byte("This is AAD")
			header, body := sealed[:envelope.FLOEHeaderSize], sealed[envelope.FLOEHeaderSize:]
			checkFLOEReader(t, p, key, aad, header, body, plain)

			gotHeader, gotBody := floeSeal(t, p, key, aad, plain, bytes.NewReader(floeRandomness(p, sealed)))
			if !bytes.Equal(gotHeader, header) || !bytes.Equal(gotBody, body) {
				t.Error("encryption gives other bytes")
			}
			gotHeader, gotBody = floeSeal(t, p, key, aad, plain, nil)
			if bytes.Equal(gotHeader, header) || bytes.Equal(gotBody, body) {
				t.Error("encryption drew the same IV and nonces")
			}
			checkFLOEReader(t, p, key, aad, gotHeader, gotBody, plain)
		})
	}
}

// floeRandomness is what a message's encryptor drew: its IV, and a nonce for each segment.
func floeRandomness(p envelope.FLOEParams, sealed []byte) []byte {
	random := bytes.Clone(sealed[10:42])
	for body := sealed[envelope.FLOEHeaderSize:]; len(body) > 0; body = body[min(len(body), int(p.SegmentLength)):] {
		random = append(random, body[4:16]...)
	}
	return random
}

func readHex(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkFLOEReader reads from the start, in small steps, and at offsets around every segment's ends.
func checkFLOEReader(t *testing.T, p envelope.FLOEParams, key, aad, header, body, plain []byte) {
	t.Helper()
	r, err := floeReader(p, key, aad, header, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(plain)) {
		t.Fatalf("size %d, want %d", r.Size(), len(plain))
	}
	if err := iotest.TestReader(r, plain); err != nil {
		t.Error(err)
	}
	step := int64(p.SegmentLength) - envelope.FLOEOverhead
	for end := int64(len(plain)); end >= 0; end -= step {
		for off := max(0, end-2); off < min(end+2, int64(len(plain))); off++ {
			got := make([]byte, min(step+3, int64(len(plain))-off))
			if _, err := r.ReadAt(got, off); err != nil || !bytes.Equal(got, plain[off:off+int64(len(got))]) {
				t.Fatalf("reading %d bytes at %d: wrong bytes, or %v", len(got), off, err)
			}
		}
	}
}

func TestFLOESizes(t *testing.T) {
	p, key := envelope.FLOEParams{SegmentLength: 48}, make([]byte, 32)
	for size := range 60 {
		plain := bytes.Repeat([]byte{byte(size)}, size)
		header, body := floeSeal(t, p, key, nil, plain, nil)
		if segments := max(1, (size+15)/16); len(body) != size+segments*envelope.FLOEOverhead {
			t.Errorf("%d bytes give %d", size, len(body))
		}
		checkFLOEReader(t, p, key, nil, header, body, plain)
	}
	// The specification also allows an empty final segment after full ones.
	enc, header, err := envelope.NewFLOEEncryptor(p, key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("sixteen bytes ..")
	body, err := enc.Segment(nil, 0, plain, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := floeOpen(p, key, nil, header, body); err == nil {
		t.Errorf("a message without its end gives %q", got)
	}
	if body, err = enc.Segment(body, 1, nil, true); err != nil {
		t.Fatal(err)
	}
	checkFLOEReader(t, p, key, nil, header, body, plain)
}

func TestFLOERefuses(t *testing.T) {
	p, key, aad := envelope.FLOEParams{SegmentLength: 48}, bytes.Repeat([]byte{7}, 32), []byte("here")
	plain := []byte("three segments: sixteen, sixteen, and the rest")
	header, body := floeSeal(t, p, key, aad, plain, nil)
	otherHeader, otherBody := floeSeal(t, p, key, aad, plain, nil)
	seg := func(b []byte, n int) []byte { return b[n*48 : min(len(b), n*48+48)] }
	attacks := []struct {
		name         string
		params       envelope.FLOEParams
		key, aad     []byte
		header, body []byte
	}{
		{"other key", p, bytes.Repeat([]byte{8}, 32), aad, header, body},
		{"short key", p, key[1:], aad, header, body},
		{"other associated data", p, key, []byte("there"), header, body},
		{"other parameters", envelope.FLOEParams{SegmentLength: 49}, key, aad, header, body},
		{"other rotation", envelope.FLOEParams{SegmentLength: 48, RotationMask: 1}, key, aad, header, body},
		{"header of another message", p, key, aad, otherHeader, body},
		{"short header", p, key, aad, header[1:], body},
		{"no segments", p, key, aad, header, nil},
		{"segments swapped", p, key, aad, header, bytes.Join([][]byte{seg(body, 1), seg(body, 0), seg(body, 2)}, nil)},
		{"segment left out", p, key, aad, header, bytes.Join([][]byte{seg(body, 0), seg(body, 2)}, nil)},
		{"segment repeated", p, key, aad, header, bytes.Join([][]byte{seg(body, 0), seg(body, 0), seg(body, 1), seg(body, 2)}, nil)},
		{"segment of another message", p, key, aad, header, bytes.Join([][]byte{seg(body, 0), seg(otherBody, 1), seg(body, 2)}, nil)},
		{"segment after the end", p, key, aad, header, append(bytes.Clone(body), body...)},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			got, err := floeOpen(a.params, a.key, a.aad, a.header, a.body)
			if err == nil {
				t.Fatalf("opened as %q", got)
			}
			if !bytes.HasPrefix(plain, got) {
				t.Errorf("released %q, which was not sealed there", got)
			}
		})
	}
	for n := range body {
		if got, err := floeOpen(p, key, aad, header, body[:n]); err == nil || len(got) != 0 {
			t.Errorf("cut to %d bytes: released %q, %v", n, got, err)
		}
	}
}

func TestFLOESegmentBounds(t *testing.T) {
	p, key := envelope.FLOEParams{SegmentLength: 48}, make([]byte, 32)
	enc, header, err := envelope.NewFLOEEncryptor(p, key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := envelope.NewFLOEDecryptor(p, key, nil, header)
	if err != nil {
		t.Fatal(err)
	}
	const last = 1<<40 - 1
	sealed, err := enc.Segment(nil, last, nil, true)
	if err != nil {
		t.Fatalf("the last possible segment: %v", err)
	}
	if _, err := dec.Segment(nil, last, sealed, true); err != nil {
		t.Errorf("the last possible segment: %v", err)
	}
	for name, try := range map[string]func() error{
		"not final at the last number": func() error { _, err := enc.Segment(nil, last, make([]byte, 16), false); return err },
		"number too high":              func() error { _, err := enc.Segment(nil, last+1, nil, true); return err },
		"too long":                     func() error { _, err := enc.Segment(nil, 0, make([]byte, 17), true); return err },
		"too short to go on":           func() error { _, err := enc.Segment(nil, 0, make([]byte, 15), false); return err },
		"decrypting too high":          func() error { _, err := dec.Segment(nil, last+1, sealed, true); return err },
		"decrypting as not final":      func() error { _, err := dec.Segment(nil, last, sealed, false); return err },
		"decrypting elsewhere":         func() error { _, err := dec.Segment(nil, last-1, sealed, true); return err },
		"random source dry": func() error {
			_, _, err := envelope.NewFLOEEncryptor(p, key, nil, bytes.NewReader(make([]byte, 31)))
			return err
		},
		"segment without room": func() error {
			_, _, err := envelope.NewFLOEEncryptor(envelope.FLOEParams{SegmentLength: envelope.FLOEOverhead}, key, nil, nil)
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := dec.Segment(nil, 0, make([]byte, 48), true); !errors.Is(err, envelope.ErrSealed) {
		t.Errorf("a segment of zeros: got %v, want ErrSealed", err)
	}
}

// TestFLOEReaderAfterFailure: what can't be read stays unread, and what can is not spoilt by it.
func TestFLOEReaderAfterFailure(t *testing.T) {
	p, key := envelope.FLOEParams{SegmentLength: 48}, make([]byte, 32)
	plain := bytes.Repeat([]byte("0123456789abcdef"), 3)
	header, body := floeSeal(t, p, key, nil, plain, nil)
	body[48+20] ^= 1
	r, err := floeReader(p, key, nil, header, body)
	if err != nil {
		t.Fatal(err)
	}
	got, buf := []byte(nil), make([]byte, 16)
	for _, off := range []int64{0, 16, 0, 16, 32} {
		n, err := r.ReadAt(buf, off)
		if bad := off == 16; bad != errors.Is(err, envelope.ErrSealed) || bad != (n == 0) {
			t.Errorf("at %d: %d bytes, %v", off, n, err)
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != strings.Repeat("0123456789abcdef", 3) {
		t.Errorf("read %q", got)
	}
	if n, err := r.ReadAt(buf, -1); n != 0 || err == nil {
		t.Errorf("at -1: %d bytes, %v", n, err)
	}
	if n, err := r.ReadAt(buf, 40); n != 8 || err != io.EOF {
		t.Errorf("over the end: %d bytes, %v", n, err)
	}
}

func TestFLOEReaderConcurrently(t *testing.T) {
	p, key, plain := envelope.FLOEParams{SegmentLength: 48}, make([]byte, 32), content(500)
	header, body := floeSeal(t, p, key, nil, plain, nil)
	r, err := floeReader(p, key, nil, header, body)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for off := i; off+30 <= len(plain); off += 7 {
				got := make([]byte, 30)
				if _, err := r.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got, plain[off:off+30]) {
					t.Errorf("at %d: %x, %v", off, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzFLOE(f *testing.F) {
	f.Add([]byte(""), []byte(""), uint16(33), uint16(0), byte(1))
	f.Add([]byte("sixteen bytes .."), []byte("aad"), uint16(48), uint16(20), byte(0x80))
	f.Add(bytes.Repeat([]byte("x"), 200), []byte("aad"), uint16(64), uint16(300), byte(0))
	f.Fuzz(func(t *testing.T, plain, aad []byte, segment, at uint16, flip byte) {
		p := envelope.FLOEParams{SegmentLength: envelope.FLOEOverhead + 1 + uint32(segment%512), RotationMask: 1 + uint64(segment%3)}
		key := make([]byte, 32)
		header, body := floeSeal(t, p, key, aad, plain, nil)
		got, err := floeOpen(p, key, aad, header, body)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%q reads back as %q, %v", plain, got, err)
		}
		body[int(at)%len(body)] ^= flip
		got, err = floeOpen(p, key, aad, header, body)
		if flip != 0 && err == nil {
			t.Fatal("a changed byte went unnoticed")
		}
		if !bytes.HasPrefix(plain, got) {
			t.Fatalf("released %q of %q", got, plain)
		}
	})
}
