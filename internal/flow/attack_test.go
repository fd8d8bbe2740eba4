package flow_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// confirmed is a world whose link is active.
func confirmed(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.confirm()
	return w
}

// Guard: every byte of a frame is under the header's signature, the root in the header, or strict decoding.
func TestTamperOneByte(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.b, "one", "untouched", nil)
	d, err := w.b.Outgoing(ctx, w.b.link, 8<<20)
	w.must(err)
	if len(d.Frames) != 1 {
		t.Fatalf("%d frames", len(d.Frames))
	}
	before := w.record(w.a)
	f := d.Frames[0]
	for i := 0; i < len(f.Payload); i += 1 + i%97 {
		bent := parcel.Frame{Kind: f.Kind, Payload: bytes.Clone(f.Payload)}
		bent.Payload[i] ^= 1 << (i % 7)
		got := w.receive(w.a, bent)
		if len(got.frames) != 1 || len(got.refusals) != 1 {
			t.Fatalf("byte %d of a parcel: %d receipts, refusals %v", i, len(got.receipts), got.refusals)
		}
	}
	w.same(w.a, before, "a parcel with one byte changed")
	answers := w.receive(w.a, f)
	if !answers.ended(parcel.Opened, "") {
		t.Fatalf("the untouched parcel: %v", answers.refusals)
	}

	before = w.record(w.b)
	for n, f := range answers.frames {
		for i := 0; i < len(f.Payload); i += 1 + i%193 {
			bent := parcel.Frame{Kind: f.Kind, Payload: bytes.Clone(f.Payload)}
			bent.Payload[i] ^= 1 << (i % 7)
			if got := w.receive(w.b, bent); len(got.frames) != 1 || len(got.refusals) != 1 {
				t.Fatalf("byte %d of receipt %d was taken: %v", i, n, got.refusals)
			}
		}
	}
	w.same(w.b, before, "a receipt with one byte changed")
	w.must(w.b.Delivered(ctx, d, answers.frames))

	w.run()
	before = w.record(w.a)
	check := w.checkpoint(w.b, w.leavesOf(w.b), 0)
	for i := 0; i < len(check.Payload); i += 1 + i%193 {
		bent := parcel.Frame{Kind: check.Kind, Payload: bytes.Clone(check.Payload)}
		bent.Payload[i] ^= 1 << (i % 7)
		if got := w.receive(w.a, bent); len(got.cosigned) != 0 && got.cosigned[0].OldSize == nil {
			t.Fatalf("byte %d of a checkpoint: cosigned", i)
		}
	}
	w.same(w.a, before, "a checkpoint with one byte changed")
}

// Guards: the frame's length, the header's length and root, FLOE's final segment, the hashes' count and each segment's length.
func TestTruncate(t *testing.T) {
	w := confirmed(t)
	before := w.record(w.a)
	whole := w.forge(w.b, w.a, forgery{})
	for _, cut := range []int{1, 17, len(whole.content) / 2, len(whole.content) - 1} {
		f := parcel.Frame{Kind: parcel.FrameParcel, Payload: whole.frame.Payload[:len(whole.frame.Payload)-cut]}
		if got := w.receive(w.a, f); !got.refused("length") {
			t.Errorf("content cut by %d: %v, %d receipts", cut, got.refusals, len(got.receipts))
		}
	}
	for _, left := range []int{1, 3, 4, 100} {
		f := parcel.Frame{Kind: parcel.FrameParcel, Payload: whole.frame.Payload[:left]}
		if got := w.receive(w.a, f); !got.refused("frame") {
			t.Errorf("frame of %d bytes: %v", left, got.refusals)
		}
	}
	w.same(w.a, before, "a cut frame")

	// The author itself describes less than it sealed: authentic, and rejected for both.
	short := w.forge(w.b, w.a, forgery{sealed: func(data []byte) []byte { return data[:len(data)-1] }})
	if got := w.receive(w.a, short.frame); !got.ended(parcel.Rejected, "not_opened") {
		t.Errorf("sealed content cut by its author: %v", got.refusals)
	}
	w.unsaid(w.a, before, "cut content")

	large := w.large(w.b, 2<<20+500)
	before = w.record(w.a)
	leaves := segmentLeaves(large.content)
	steps := []struct {
		name  string
		frame parcel.Frame
		code  string
	}{
		{"one hash less", parcel.SegmentHashesFrame{Parcel: large.header.ID, Leaves: leaves[:2]}.Frame(), "root"},
		{"one hash more", parcel.SegmentHashesFrame{Parcel: large.header.ID, Leaves: append(slices.Clone(leaves), leaves[0])}.Frame(), "root"},
	}
	for _, step := range steps {
		if got := w.receive(w.a, step.frame); !got.refused(step.code) {
			t.Errorf("%s: %v", step.name, got.refusals)
		}
	}
	if got := w.receive(w.a, parcel.SegmentHashesFrame{Parcel: large.header.ID, Leaves: leaves}.Frame()); len(got.wants) != 1 {
		t.Fatalf("the right hashes: %v", got.refusals)
	}
	for n := range leaves {
		segment := large.content[n<<20 : min((n+1)<<20, len(large.content))]
		cut := parcel.SegmentFrame{Parcel: large.header.ID, Number: int64(n), Bytes: segment[:len(segment)-1]}
		if got := w.receive(w.a, cut.Frame()); !slices.Contains(got.refusals, "segment_hash") || len(got.receipts) != 0 {
			t.Errorf("segment %d cut: %v", n, got.refusals)
		}
	}
	w.same(w.a, before, "cut segments")
}

// large forges a statement's file whose content follows in segments, and takes its header in.
func (w *world) large(from *side, size int) forged {
	w.t.Helper()
	to := w.other(from)
	data := make([]byte, size)
	rand.Read(data)
	hd := w.next(from, to, statement.Network)
	hd.Seq, hd.Prev, hd.Seen, hd.File = 0, nil, nil, &parcel.FileRef{}
	hd.Text = envelope.Sum(data)
	f := w.sealForged(from, to, hd, data, forgery{bare: true})
	if got := w.receive(to, f.frame); len(got.wants) != 1 {
		w.t.Fatalf("the header of a large parcel: %v", got.refusals)
	}
	return f
}

func (w *world) other(s *side) *side {
	if s == w.a {
		return w.b
	}
	return w.a
}

// Segments whose lengths are not those of their places, under hashes that are right, end where the place ends. Guard: the
// length of each segment.
func TestSegmentsOfOtherLengths(t *testing.T) {
	w := confirmed(t)
	data := make([]byte, 1<<20+100)
	rand.Read(data)
	hd := w.next(w.b, w.a, statement.Network)
	hd.Seq, hd.Prev, hd.Seen, hd.File, hd.Text = 0, nil, nil, &parcel.FileRef{}, envelope.Sum(data)
	pieces := [][]byte{data[:100], data[:1<<20]} // the long one where the short one is due
	f := w.sealForged(w.b, w.a, hd, data[:1<<20+100-40], forgery{bare: true, header: func(h *parcel.Header) {
		h.Root = envelope.Root([]envelope.Hash{envelope.SegmentHash(pieces[0]), envelope.SegmentHash(pieces[1])})
		h.Length, h.Segments = 1<<20+100, 2
	}})
	w.receive(w.a, f.frame, parcel.SegmentHashesFrame{Parcel: f.header.ID,
		Leaves: []envelope.Hash{envelope.SegmentHash(pieces[0]), envelope.SegmentHash(pieces[1])}}.Frame())
	for n, piece := range pieces {
		got := w.receive(w.a, parcel.SegmentFrame{Parcel: f.header.ID, Number: int64(n), Bytes: piece}.Frame())
		if !slices.Contains(got.refusals, "segment_hash") || len(got.receipts) != 0 {
			t.Errorf("segment %d of another length: %v, %d receipts", n, got.refusals, len(got.receipts))
		}
	}
}

// Guards: the root in the signed header, the sealing context, the hashes of a parcel's own segments, and the file that a
// statement names.
func TestMixParcels(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	one, two := w.forge(w.b, w.a, forgery{}), w.forge(w.b, w.a, forgery{})
	before := w.record(w.a)
	swapped := parcel.Frame{Kind: parcel.FrameParcel,
		Payload: append(bytes.Clone(one.frame.Payload[:len(one.frame.Payload)-len(one.content)]), two.content...)}
	if got := w.receive(w.a, swapped); !got.refused("root") && !got.refused("length") {
		t.Errorf("the content of another parcel: %v", got.refusals)
	}
	w.same(w.a, before, "the content of another parcel")
	other := w.forge(w.b, w.a, forgery{sealFor: func(h *parcel.Header) { h.ID = envelope.NewID() }})
	if got := w.receive(w.a, other.frame); !got.ended(parcel.Rejected, "not_opened") {
		t.Errorf("content sealed for another parcel: %v", got.refusals)
	}
	w.unsaid(w.a, before, "content sealed for another parcel")

	first, second := w.large(w.b, 1<<20+5), w.large(w.b, 1<<20+5)
	for _, f := range []forged{first, second} {
		w.receive(w.a, parcel.SegmentHashesFrame{Parcel: f.header.ID, Leaves: segmentLeaves(f.content)}.Frame())
	}
	got := w.receive(w.a, parcel.SegmentFrame{Parcel: second.header.ID, Number: 0, Bytes: first.content[:1<<20]}.Frame())
	if !slices.Contains(got.refusals, "segment_hash") {
		t.Errorf("a segment of another parcel: %v", got.refusals)
	}

	// A file's parcel at the place of another file: of one of our statements, and of one of the peer's.
	w = confirmed(t)
	ours := w.message(w.a, "with a file", "see the file", nil, fileOf("ours.txt", []byte("the file")))
	theirs := w.message(w.b, "with a file", "see the file", nil, fileOf("theirs.txt", []byte("the file")))
	w.run()
	for name, c := range map[string]statement.Commitment{"our statement": ours, "the peer's": theirs} {
		hd := w.next(w.b, w.a, statement.Network)
		hd.Seq, hd.Prev, hd.Seen, hd.File, hd.Text = 0, nil, nil, &parcel.FileRef{Position: 0}, c
		usurper := w.sealForged(w.b, w.a, hd, []byte("another file"), forgery{})
		if got := w.receive(w.a, usurper.frame); !got.ended(parcel.Received, "") {
			t.Fatalf("a small file: %v", got.refusals)
		}
		w.must(w.a.Settle(ctx, w.a.link))
		var out bytes.Buffer
		if err := w.a.WriteFile(ctx, operator, c, 0, &out); err != nil || out.String() != "the file" {
			t.Errorf("a parcel that claims the place of a stored file of %s: %q, %v", name, out.String(), err)
		}
	}
}

// Guards: the parties and the link in the text inside, against the header outside.
func TestSurreptitiousForward(t *testing.T) {
	third := party.ID(envelope.Sum([]byte("a third party")))
	attacks := []struct {
		name string
		text func(*statement.Text)
	}{
		{"what the addressee itself said", func(x *statement.Text) { x.From, x.To = x.To, x.From }},
		{"what a third party said to the forwarder", func(x *statement.Text) { x.To, x.From = x.From, third }},
		{"what a third party said to the addressee", func(x *statement.Text) { x.From = third }},
		{"what was said on another link", func(x *statement.Text) { x.Link = envelope.Sum([]byte("another link")) }},
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			w := confirmed(t)
			before := w.record(w.a)
			f := w.forge(w.b, w.a, forgery{text: a.text})
			if got := w.receive(w.a, f.frame); !got.ended(parcel.Rejected, "not_opened") {
				t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
			}
			w.unsaid(w.a, before, a.name)
		})
	}
}

// Guards: the addressee in the text inside, the lane inside, the commitment in the header, and the header's own parties.
func TestInnerAddressee(t *testing.T) {
	third := party.ID(envelope.Sum([]byte("a third party")))
	w := confirmed(t)
	before := w.record(w.a)
	outside := []struct {
		name   string
		header func(*parcel.Header)
		code   string
	}{
		{"another addressee", func(h *parcel.Header) { h.To = third }, "addressee"},
		{"another sender", func(h *parcel.Header) { h.From = third }, "addressee"},
		{"another link", func(h *parcel.Header) { h.Link = envelope.Sum([]byte("x")) }, "addressee"},
		{"another epoch", func(h *parcel.Header) { h.Epoch = 2 }, "epoch"},
		{"epoch zero", func(h *parcel.Header) { h.Epoch = 0 }, "epoch"},
		{"no link", func(h *parcel.Header) { h.Link = statement.LinkID{} }, "header"},
		{"to itself", func(h *parcel.Header) { h.To = h.From }, "header"},
		{"a lane that is none", func(h *parcel.Header) { h.Lane = "secret" }, "header"},
		{"no seen", func(h *parcel.Header) { h.Seen = nil }, "header"},
		{"sequence zero", func(h *parcel.Header) { h.Seq = 0 }, "header"},
		{"file and sequence", func(h *parcel.Header) { h.File = &parcel.FileRef{} }, "header"},
		{"a position out of range", func(h *parcel.Header) {
			h.Seq, h.Prev, h.Seen, h.Padding, h.File = 0, nil, nil, parcel.PaddingNone, &parcel.FileRef{Position: statement.MaxFiles}
		}, "header"},
		{"a position below zero", func(h *parcel.Header) {
			h.Seq, h.Prev, h.Seen, h.Padding, h.File = 0, nil, nil, parcel.PaddingNone, &parcel.FileRef{Position: -1}
		}, "header"},
		{"a first header with a predecessor", func(h *parcel.Header) { h.Prev = &h.Root }, "header"},
	}
	for _, a := range outside {
		f := w.forge(w.b, w.a, forgery{header: a.header})
		if got := w.receive(w.a, f.frame); !got.refused(a.code) {
			t.Errorf("%s: %v, %d receipts", a.name, got.refusals, len(got.receipts))
		}
		w.same(w.a, before, a.name)
	}
	inside := []struct {
		name string
		f    forgery
	}{
		{"another addressee inside", forgery{text: func(x *statement.Text) { x.To = third }}},
		{"another lane inside", forgery{header: func(h *parcel.Header) { h.Lane = statement.Hotline }}},
		{"another text inside", forgery{header: func(h *parcel.Header) { h.Text = envelope.Sum([]byte("x")) }}},
		{"sealed for another addressee", forgery{sealFor: func(h *parcel.Header) { h.To = third }}},
	}
	for _, a := range inside {
		t.Run(a.name, func(t *testing.T) {
			w := confirmed(t)
			before := w.record(w.a)
			if got := w.receive(w.a, w.forge(w.b, w.a, a.f).frame); !got.ended(parcel.Rejected, "not_opened") {
				t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
			}
			w.unsaid(w.a, before, a.name)
		})
	}
}

// strips are the ways to tamper with the set of signatures.
func (w *world) strips() map[string]func(*envelope.Envelope) {
	stranger := w.a.keys.Signers()
	sign := func(e *envelope.Envelope, s envelope.Signer) envelope.Signature {
		other, err := envelope.Sign(e.PayloadType, e.Payload, s)
		w.must(err)
		return other.Signatures[0]
	}
	return map[string]func(*envelope.Envelope){
		"the first signature stripped":  func(e *envelope.Envelope) { e.Signatures = e.Signatures[1:] },
		"the second signature stripped": func(e *envelope.Envelope) { e.Signatures = e.Signatures[:1] },
		"all signatures stripped":       func(e *envelope.Envelope) { e.Signatures = []envelope.Signature{} },
		"one signature twice":           func(e *envelope.Envelope) { e.Signatures[1] = e.Signatures[0] },
		"a stranger's signature added":  func(e *envelope.Envelope) { e.Signatures = append(e.Signatures, sign(e, stranger[0])) },
		"a stranger's in place of one":  func(e *envelope.Envelope) { e.Signatures[1] = sign(e, stranger[1]) },
		"signatures under each other's keys": func(e *envelope.Envelope) {
			e.Signatures[0].Sig, e.Signatures[1].Sig = e.Signatures[1].Sig, e.Signatures[0].Sig
		},
	}
}

// Guard: the named set of keys that must all have signed, on headers, receipts and documents of the mirror.
func TestStripSig(t *testing.T) {
	w := confirmed(t)
	c := w.message(w.a, "ours", "to be receipted", nil)
	d, err := w.a.Outgoing(t.Context(), w.a.link, 1<<20)
	w.must(err)
	answers := w.receive(w.b, d.Frames...)
	before := w.record(w.a)
	for name, strip := range w.strips() {
		f := w.forge(w.b, w.a, forgery{signed: strip})
		if got := w.receive(w.a, f.frame); !got.refused("signature") && !got.refused("envelope") {
			t.Errorf("header, %s: %v, %d receipts", name, got.refusals, len(got.receipts))
		}
		for _, r := range answers.frames {
			env, err := envelope.DecodeEnvelope(r.Payload)
			w.must(err)
			strip(env)
			data, err := envelope.Marshal(env)
			w.must(err)
			if got := w.receive(w.a, parcel.Frame{Kind: parcel.FrameReceipt, Payload: data}); !got.refused("signature") && !got.refused("envelope") {
				t.Errorf("receipt, %s: %v", name, got.refusals)
			}
			doc := parcel.LeavesFrame{Epoch: 1, Docs: []parcel.Document{{Type: "receipt", Envelope: data}}}
			if got := w.receive(w.a, w.frame(parcel.FrameLeaves, doc)); !got.refused("signature") && !got.refused("envelope") {
				t.Errorf("receipt as a document, %s: %v", name, got.refusals)
			}
		}
		w.same(w.a, before, name)
	}
	got, err := w.a.Show(t.Context(), operator, c.String())
	w.must(err)
	if got.Parcel.State != exchange.Sending || len(got.Receipts) != 0 {
		t.Errorf("our parcel is %s with %d receipts", got.Parcel.State, len(got.Receipts))
	}
}

// Guards: the suites of the link's agreement, which the message cannot choose, and both signature schemes.
func TestSingleSuiteDowngrade(t *testing.T) {
	w := confirmed(t)
	before := w.record(w.a)
	malformed := map[string]func(*parcel.Header){
		"no suite":                  func(h *parcel.Header) { h.Suites, h.Layers = nil, nil },
		"a layer without its suite": func(h *parcel.Header) { h.Suites = []string{"XX-1"} },
		"one suite twice": func(h *parcel.Header) {
			h.Suites, h.Layers = append(h.Suites, h.Suites[0]), append(h.Layers, h.Layers[0])
		},
	}
	for name, change := range malformed {
		if got := w.receive(w.a, w.forge(w.b, w.a, forgery{header: change}).frame); !got.refused("header") {
			t.Errorf("%s: %v", name, got.refusals)
		}
	}
	w.same(w.a, before, "a malformed set of suites")
	weaker := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Suites[0], h.Layers[0].Suite = "XX-1", "XX-1" }})
	if got := w.receive(w.a, weaker.frame); !got.ended(parcel.Refused, "suites") {
		t.Errorf("a suite that was not agreed: %v", got.refusals)
	}
	w.unsaid(w.a, before, "a suite that was not agreed")

	// The link agreed to two layers; one of them, sealed and signed properly, is not enough.
	w = confirmed(t)
	two := statement.DefaultAgreement()
	two.Suites = []string{envelope.SuiteINT1, "XX-1"}
	encoded, err := two.Encode()
	w.must(err)
	w.a.update(t, func(tx flow.Tx) error {
		l, err := tx.Link(t.Context(), w.a.link)
		if err != nil {
			return err
		}
		l.Agreement = encoded
		return tx.PutLink(t.Context(), l)
	})
	w.a.reopen(t)
	before = w.record(w.a)
	if got := w.receive(w.a, w.forge(w.b, w.a, forgery{}).frame); !got.ended(parcel.Refused, "suites") {
		t.Errorf("one layer where two were agreed: %v", got.refusals)
	}
	w.unsaid(w.a, before, "one layer where two were agreed")
}

// Guards: the payload type under every signature, and the kind of each document.
func TestTypeConfusion(t *testing.T) {
	w := confirmed(t)
	w.message(w.a, "ours", "to be receipted", nil)
	d, err := w.a.Outgoing(t.Context(), w.a.link, 1<<20)
	w.must(err)
	receipts := w.receive(w.b, d.Frames...)
	receipt := receipts.frames[0].Payload
	env, err := envelope.DecodeEnvelope(receipt)
	w.must(err)
	header := w.forge(w.b, w.a, forgery{bare: true})
	headerEnv := header.frame.Payload[4:]
	retyped := func(payloadType string, payload []byte) []byte {
		e, err := envelope.Sign(payloadType, payload, w.b.keys.Signers()...)
		w.must(err)
		data, err := e.Encode()
		w.must(err)
		return data
	}
	relabelled := func(data []byte, payloadType string) []byte {
		e, err := envelope.DecodeEnvelope(data)
		w.must(err)
		e.PayloadType = payloadType
		out, err := e.Encode()
		w.must(err)
		return out
	}
	leaves := func(kind string, data []byte) parcel.Frame {
		return w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, Docs: []parcel.Document{{Type: kind, Envelope: data}}})
	}
	attacks := []struct {
		name  string
		frame parcel.Frame
		codes []string
	}{
		{"a receipt as a parcel", parcel.ParcelFrame{Header: receipt}.Frame(), []string{"header"}},
		{"a header as a receipt", parcel.Frame{Kind: parcel.FrameReceipt, Payload: headerEnv}, []string{"receipt"}},
		{"a header signed as a receipt", parcel.ParcelFrame{Header: retyped(parcel.ReceiptType, header.payload)}.Frame(), []string{"signature"}},
		{"a header signed as a text", parcel.ParcelFrame{Header: retyped(statement.PayloadType, header.payload)}.Frame(), []string{"signature"}},
		{"a header labelled as a receipt", parcel.ParcelFrame{Header: relabelled(headerEnv, parcel.ReceiptType)}.Frame(), []string{"signature"}},
		{"a receipt signed as a header", parcel.Frame{Kind: parcel.FrameReceipt, Payload: retyped(parcel.HeaderType, env.Payload)}, []string{"signature"}},
		{"a receipt labelled as an identity", parcel.Frame{Kind: parcel.FrameReceipt, Payload: relabelled(receipt, party.PayloadType)}, []string{"signature"}},
		{"an identity as a parcel", parcel.ParcelFrame{Header: w.b.Self().Envelopes[0]}.Frame(), []string{"header"}},
		{"an identity as a receipt", parcel.Frame{Kind: parcel.FrameReceipt, Payload: w.b.Self().Envelopes[0]}, []string{"receipt"}},
		{"a receipt as the document of a header", leaves("header", receipt), []string{"header"}},
		{"a header as the document of a receipt", leaves("receipt", headerEnv), []string{"receipt"}},
		{"a grant among documents", leaves("grant", headerEnv), []string{"grant"}},
		{"a header as an identity among documents", leaves("identity", headerEnv), []string{"identity"}},
		{"a receipt as a checkpoint", parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: receipt}, []string{"checkpoint"}},
		{"a receipt as a wish", parcel.Frame{Kind: parcel.FrameWant, Payload: receipt}, []string{"want"}},
		{"a receipt as leaves", parcel.Frame{Kind: parcel.FrameLeaves, Payload: receipt}, []string{"leaves"}},
		{"a receipt as a cosignature", parcel.Frame{Kind: parcel.FrameCosignature, Payload: receipt}, []string{"cosignature"}},
		{"a receipt as a segment", parcel.Frame{Kind: parcel.FrameSegment, Payload: receipt}, []string{"segment", "header_first"}},
		{"a receipt as hashes", parcel.Frame{Kind: parcel.FrameSegmentHashes, Payload: receipt}, []string{"segment_hashes", "header_first"}},
		{"a receipt as a grant", parcel.Frame{Kind: parcel.FrameGrant, Payload: receipt}, []string{"grant"}},
		{"a receipt signed as a grant", parcel.Frame{Kind: parcel.FrameGrant, Payload: retyped(parcel.GrantType, env.Payload)}, []string{"grant"}},
		{"a header as a grant", parcel.Frame{Kind: parcel.FrameGrant, Payload: headerEnv}, []string{"grant"}},
		{"an identity as a grant", parcel.Frame{Kind: parcel.FrameGrant, Payload: w.b.Self().Envelopes[0]}, []string{"grant"}},
		{"a receipt as an identity", parcel.Frame{Kind: parcel.FrameIdentity, Payload: receipt}, []string{"identity"}},
		{"an end where there is no file", parcel.Frame{Kind: parcel.FrameEnd, Payload: make([]byte, 8)}, []string{"frame_kind"}},
		{"our own header", parcel.Frame{Kind: parcel.FrameParcel, Payload: d.Frames[0].Payload}, []string{"signature"}},
	}
	before := w.record(w.a)
	for _, a := range attacks {
		got := w.receive(w.a, a.frame)
		if len(got.frames) != 1 || len(got.refusals) != 1 || !slices.Contains(a.codes, got.refusals[0]) {
			t.Errorf("%s: %v, %d answers", a.name, got.refusals, len(got.frames))
		}
		w.same(w.a, before, a.name)
	}
}

// Guards: a sequence is used once, an id names one header, and neighbours agree about each other, whichever came first.
func TestEquivocation(t *testing.T) {
	w := confirmed(t)
	one := w.forge(w.b, w.a, forgery{})
	same := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.ID = one.header.ID }})
	rival := w.forge(w.b, w.a, forgery{})
	if got := w.receive(w.a, one.frame); !got.ended(parcel.Opened, "") {
		t.Fatalf("%v", got.refusals)
	}
	follow := func(h *parcel.Header, seq uint64, prev []byte) {
		h.Seq, h.Prev = seq, new(envelope.Sum(prev))
	}
	second := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 2, one.payload) }})
	third := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 3, second.payload) }})
	gapFiller := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 2, one.payload) }})
	stranger := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 2, rival.payload) }})
	if got := w.receive(w.a, third.frame); !got.ended(parcel.Opened, "") {
		t.Fatalf("%v", got.refusals)
	}
	before := w.record(w.a)
	attacks := []struct {
		name, kind string
		f          forged
	}{
		{"another header of the same id", "equivocation", same},
		{"another parcel of the same sequence", "sequence_reused", rival},
		{"a predecessor that was not sent", "prev", stranger},
		{"a gap filled otherwise than its successor cites", "prev", gapFiller},
		{"a predecessor that was not sent, at the end", "prev", w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 4, rival.payload) }})},
	}
	for i, a := range attacks {
		for range 2 { // what is repeated is kept once
			if got := w.receive(w.a, a.f.frame); !got.refused(a.kind) {
				t.Errorf("%s: %v, %d receipts", a.name, got.refusals, len(got.receipts))
			}
		}
		if got := w.evidence(w.a, a.kind); got != max(1, i-1) {
			t.Errorf("%s: %d pieces of evidence", a.name, got)
		}
		w.same(w.a, before, a.name)
	}
	if got := w.receive(w.a, second.frame); !got.ended(parcel.Opened, "") {
		t.Errorf("the right one: %v", got.refusals)
	}
	batch := w.receive(w.a, w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 4, third.payload) }}).frame,
		w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { follow(h, 4, third.payload) }}).frame)
	if len(batch.receipts) != 2 || !slices.Equal(batch.refusals, []string{"sequence_reused"}) {
		t.Errorf("two of one sequence in one delivery: %d receipts, %v", len(batch.receipts), batch.refusals)
	}
}

// What a peer claims to have seen and could not have would hold up the lane. Guard: seen against what we said.
func TestSeenAhead(t *testing.T) {
	for _, seen := range []parcel.Seen{{Epoch: 1, Seq: 1}, {Epoch: 1, Seq: 1 << 52}, {Epoch: 2, Seq: 0}, {Epoch: 0, Seq: 0}} {
		t.Run(fmt.Sprint(seen), func(t *testing.T) {
			w := confirmed(t)
			before := w.record(w.a)
			f := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Seen = &seen }})
			if got := w.receive(w.a, f.frame); !got.ended(parcel.Refused, "seen") {
				t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
			}
			w.unsaid(w.a, before, "a header that has seen too much")
			next := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Seq, h.Prev = 2, new(envelope.Sum(f.payload)) }})
			w.receive(w.a, next.frame)
			if got := w.verdict(w.a, w.b, 2); got != "folded" {
				t.Errorf("the next of the lane is %q", got)
			}
		})
	}
}

// verdict is that of a statement by its place in the network lane.
func (w *world) verdict(s, author *side, seq uint64) (verdict string) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) error {
		p, err := tx.ParcelAt(w.t.Context(), s.link, author.Self().ID, 1, statement.Network, seq)
		verdict = p.Verdict
		return err
	})
	return verdict
}

// The same statement in two parcels is said once. Guard: its commitment.
func TestRepeatedStatement(t *testing.T) {
	w := confirmed(t)
	var encoded []byte
	one := w.forge(w.b, w.a, forgery{content: func(data []byte) []byte { encoded = bytes.Clone(data); return data }})
	w.receive(w.a, one.frame)
	before := w.record(w.a)
	hd := w.next(w.b, w.a, statement.Network)
	hd.Text, hd.Seq, hd.Prev = one.header.Text, 2, new(envelope.Sum(one.payload))
	again := w.sealForged(w.b, w.a, hd, encoded, forgery{})
	if got := w.receive(w.a, again.frame); !got.ended(parcel.Rejected, "repeated") {
		t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
	}
	w.unsaid(w.a, before, "a statement said twice")
	if got := w.verdict(w.a, w.b, 2); got != "void:rejected" {
		t.Errorf("the repeated statement is %q", got)
	}
}

// Guards: lengths that a header declares against the agreement and against what is there.
func TestZipBomb(t *testing.T) {
	w := confirmed(t)
	before := w.record(w.a)
	file := func(length int64) func(*parcel.Header) {
		return func(h *parcel.Header) {
			h.Seq, h.Prev, h.Seen, h.File, h.Padding = 0, nil, nil, &parcel.FileRef{}, parcel.PaddingNone
			h.Length, h.Segments = length, (length+envelope.SegmentSize-1)/envelope.SegmentSize
		}
	}
	attacks := []struct {
		name   string
		f      forgery
		code   string // of the refusal of the frame
		reason string // of the receipt
	}{
		{"more bytes than declared", forgery{header: func(h *parcel.Header) { h.Length-- }}, "length", ""},
		{"fewer bytes than declared", forgery{header: func(h *parcel.Header) { h.Length += 1000 }}, "length", ""},
		{"more segments than the length has", forgery{header: func(h *parcel.Header) { h.Segments = 1 << 40 }}, "header", ""},
		{"a statement of 16 MiB", forgery{bare: true, header: func(h *parcel.Header) { h.Length, h.Segments = 16<<20, 16 }}, "header", ""},
		{"a length below zero", forgery{bare: true, header: func(h *parcel.Header) { h.Length = -1 }}, "header", ""},
		{"a file larger than any", forgery{bare: true, header: file(1 << 50)}, "header", ""},
		{"a file larger than agreed", forgery{bare: true, header: file(64 << 30)}, "", "file_size"},
	}
	for _, a := range attacks {
		got := w.receive(w.a, w.forge(w.b, w.a, a.f).frame)
		if a.code != "" && !got.refused(a.code) || a.reason != "" && !got.ended(parcel.Refused, a.reason) {
			t.Errorf("%s: %v, %d receipts", a.name, got.refusals, len(got.receipts))
		}
		w.unsaid(w.a, before, a.name)
		if len(w.a.blobs.partials) != 0 || len(w.a.blobs.blobs) != 0 {
			t.Errorf("%s: room was made for it", a.name)
		}
	}
	for name, content := range map[string][]byte{
		"content that is no JSON":   bytes.Repeat([]byte{'['}, 100_000),
		"content of many members":   append(append([]byte(`{"text":"`), bytes.Repeat([]byte("A"), 3<<19)...), `"}`...),
		"content that is empty":     []byte(" "),
		"content with a known name": []byte(`{"text":"","Text":""}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := confirmed(t)
			before := w.record(w.a)
			f := w.forge(w.b, w.a, forgery{content: func([]byte) []byte { return content }, bare: len(content) > 200_000})
			got := w.receive(w.a, f.frame)
			if len(content) > 200_000 {
				got = w.segments(f)
				w.must(w.a.Settle(t.Context(), w.a.link))
			} else if !got.ended(parcel.Rejected, "not_opened") {
				t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
			}
			w.unsaid(w.a, before, name)
			if got := w.verdict(w.a, w.b, 1); got != "void:rejected" {
				t.Errorf("it is %q", got)
			}
		})
	}
}

// segments sends the segments of a forged parcel of b to a.
func (w *world) segments(f forged) answers {
	w.t.Helper()
	leaves := segmentLeaves(f.content)
	frames := []parcel.Frame{parcel.SegmentHashesFrame{Parcel: f.header.ID, Leaves: leaves}.Frame()}
	for n := range leaves {
		frames = append(frames, parcel.SegmentFrame{Parcel: f.header.ID, Number: int64(n),
			Bytes: f.content[n<<20 : min((n+1)<<20, len(f.content))]}.Frame())
	}
	return w.receive(w.a, frames...)
}

// Guard: names of files are checked where they are decoded, on both sides.
func TestBidiNames(t *testing.T) {
	for _, name := range []string{"invoice\u202Efdp.exe", "a\u2066b.txt", "\u200Ehidden", "line\nfeed", "..\\evil", "CON", "a/b"} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			w := confirmed(t)
			ctx := t.Context()
			if _, err := w.a.Send(ctx, operator, draft(w.a, "a file", "see it", nil, fileOf(name, []byte("x"))), nil); err == nil {
				t.Error("it was taken for sending")
			}
			before := w.record(w.a)
			// A peer that does not check writes the name into a content that is right otherwise.
			plain := statement.File{SHA256: envelope.Sum([]byte("x")), Size: 1, Name: "PLACEHOLDER", Media: "text/plain",
				Salt: statement.NewSalt(), Parcel: envelope.NewID()}
			quoted, err := envelope.Marshal(name)
			w.must(err)
			f := w.forge(w.b, w.a, forgery{files: []statement.File{plain}, content: func(data []byte) []byte {
				return bytes.Replace(data, []byte(`"PLACEHOLDER"`), quoted, 1)
			}})
			if got := w.receive(w.a, f.frame); !got.ended(parcel.Rejected, "not_opened") {
				t.Errorf("%v, %d receipts", got.refusals, len(got.receipts))
			}
			w.unsaid(w.a, before, "a deceiving name")
		})
	}
}
