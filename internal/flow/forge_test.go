package flow_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"entente/envelope"
	"entente/handling"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

// A lying peer has its real keys. What follows makes what such a peer could make, and nothing else.

func (s *side) view(t testing.TB, f func(tx flow.Tx) error) {
	t.Helper()
	if err := s.store.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func (s *side) update(t testing.TB, f func(tx flow.Tx) error) {
	t.Helper()
	if err := s.store.Update(t.Context(), flow.Normal, f); err != nil {
		t.Fatal(err)
	}
}

// reopen is a crash: what the house held in memory is gone.
func (s *side) reopen(t testing.TB) {
	t.Helper()
	s.House = s.open(t, s.Self())
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// record is what an attack must not change.
type record struct {
	Own, Mirror int64 // sizes of the ledgers
	Statements  []string
	Columns     envelope.Hash
	Lanes       []exchange.LaneState
}

func (w *world) record(s *side) record {
	w.t.Helper()
	ctx := w.t.Context()
	var r record
	s.view(w.t, func(tx flow.Tx) error {
		logs, err := tx.Logs(ctx, s.link)
		if err != nil {
			return err
		}
		for _, l := range logs {
			if l.Party == s.Self().ID {
				r.Own = l.Size
			} else {
				r.Mirror = l.Size
			}
		}
		rows, err := tx.Statements(ctx, exchange.Filter{Limit: 1000})
		if err != nil {
			return err
		}
		for _, row := range rows {
			r.Statements = append(r.Statements, row.Commitment.String())
		}
		var all []byte
		err = tx.Columns(ctx, nil, "", func(c exchange.Column) error {
			all = append(append(append(all, c.Thread[:]...), c.Author[:]...), c.Data...)
			return nil
		})
		r.Columns = envelope.Sum(all)
		if err != nil {
			return err
		}
		r.Lanes, err = tx.LanesOf(ctx, s.link)
		r.Lanes = slices.DeleteFunc(r.Lanes, func(l exchange.LaneState) bool { return l.Last == 0 })
		return err
	})
	return r
}

// same fails if the record of s is not what it was.
func (w *world) same(s *side, before record, attack string) {
	w.t.Helper()
	if diff := cmp.Diff(before, w.record(s)); diff != "" {
		w.t.Errorf("%s changed the record of %s:\n%s", attack, s.name, diff)
	}
}

// unsaid fails if statements or columns of s are not what they were; its ledger may have grown by receipts.
func (w *world) unsaid(s *side, before record, attack string) {
	w.t.Helper()
	after := w.record(s)
	if diff := cmp.Diff(before.Statements, after.Statements); diff != "" || before.Columns != after.Columns {
		w.t.Errorf("%s changed statements or columns of %s:\n%s", attack, s.name, diff)
	}
}

// evidence counts what a side keeps of one kind.
func (w *world) evidence(s *side, kind string) int {
	w.t.Helper()
	list, err := s.Evidence(w.t.Context(), operator, &s.link, 500)
	w.must(err)
	n := 0
	for _, e := range list {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// receive gives frames to a side and sorts its answers.
func (w *world) receive(to *side, frames ...parcel.Frame) answers {
	w.t.Helper()
	got, err := to.Receive(w.t.Context(), to.link, frames)
	w.must(err)
	return sortAnswers(w.t, got)
}

// answers are what came back.
type answers struct {
	frames   []parcel.Frame
	receipts []*parcel.Receipt
	refusals []string
	wants    []parcel.WantFrame
	cosigned []parcel.CosignatureFrame
}

func sortAnswers(t testing.TB, frames []parcel.Frame) answers {
	t.Helper()
	a := answers{frames: frames}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range frames {
		switch f.Kind {
		case parcel.FrameReceipt:
			env, err := envelope.DecodeEnvelope(f.Payload)
			check(err)
			r, err := parcel.DecodeReceipt(env.Payload)
			check(err)
			a.receipts = append(a.receipts, r)
		case parcel.FrameRefusal:
			var r parcel.RefusalFrame
			check(parcel.DecodeFrame(f, parcel.FrameRefusal, &r))
			a.refusals = append(a.refusals, r.Code)
		case parcel.FrameWant:
			var want parcel.WantFrame
			check(parcel.DecodeFrame(f, parcel.FrameWant, &want))
			a.wants = append(a.wants, want)
		case parcel.FrameCosignature:
			var c parcel.CosignatureFrame
			check(parcel.DecodeFrame(f, parcel.FrameCosignature, &c))
			a.cosigned = append(a.cosigned, c)
		}
	}
	return a
}

// refused says whether all that came back is one refusal of this code.
func (a answers) refused(code string) bool {
	return len(a.frames) == 1 && len(a.refusals) == 1 && a.refusals[0] == code
}

// ended says whether what came back are signed receipts, the last of them of this kind and reason.
func (a answers) ended(kind parcel.ReceiptKind, reason string) bool {
	if len(a.receipts) == 0 || len(a.receipts) != len(a.frames) {
		return false
	}
	last := a.receipts[len(a.receipts)-1]
	return last.Kind == kind && last.Reason == reason
}

// forgery is a parcel that differs, where a hook says so, from the honest one that is next in the author's lane.
type forgery struct {
	text    func(*statement.Text)
	body    any
	files   []statement.File
	content func([]byte) []byte  // encoded content, before it is sealed
	sealFor func(*parcel.Header) // what the content is sealed for: link, id, parties
	sealed  func([]byte) []byte  // before the header describes it
	header  func(*parcel.Header) // before it is signed
	signed  func(*envelope.Envelope)
	bare    bool // without its content
}

// forged is what a forgery gives.
type forged struct {
	frame   parcel.Frame
	header  parcel.Header
	payload []byte
	content []byte // sealed
}

func (w *world) messageText(from, to *side) statement.Text {
	w.t.Helper()
	view, err := from.FindLink(w.t.Context(), operator, from.link.String())
	w.must(err)
	face, err := envelope.Marshal(statement.MessageFace{})
	w.must(err)
	return statement.Text{V: 1, Link: from.link, From: from.Self().ID, To: to.Self().ID, Lane: statement.Network, Kind: "message",
		Edition: view.Agreement.Rules.Edition(), Authored: from.clock.now().UnixMicro(), Zone: "UTC", Urgency: "routine",
		Marking: handling.Marking{TLP: "AMBER"}, Face: face}
}

// next is the header that an honest author would write next in a lane.
func (w *world) next(from, to *side, lane statement.Lane) parcel.Header {
	w.t.Helper()
	ctx := w.t.Context()
	now := from.clock.now().UnixMicro()
	hd := parcel.Header{V: 1, ID: envelope.NewID(), Link: from.link, From: from.Self().ID, To: to.Self().ID, Identity: from.keys.Version(),
		Recipient: to.keys.Version(), Epoch: 1, Lane: lane, Created: now, Expires: now + 30*24*3600*1e6, Padding: parcel.PaddingNone}
	from.view(w.t, func(tx flow.Tx) error {
		own, err := tx.Lane(ctx, from.link, from.Self().ID, 1, lane)
		if err != nil {
			return err
		}
		theirs, err := tx.Lane(ctx, from.link, to.Self().ID, 1, lane)
		if err != nil {
			return err
		}
		log, err := tx.Log(ctx, from.link, from.Self().ID, 1)
		hd.Index, hd.Seq, hd.Seen = log.Size, own.Last+1, &parcel.Seen{Epoch: 1, Seq: theirs.Settled}
		if own.Last > 0 {
			hd.Prev = &own.LastHeader
		}
		return err
	})
	return hd
}

func (w *world) forge(from, to *side, f forgery) forged {
	w.t.Helper()
	text := w.messageText(from, to)
	if f.text != nil {
		f.text(&text)
	}
	if f.body == nil {
		f.body = statement.MessageBody{Subject: "forged", Language: "en", Text: "what a lying peer says"}
	}
	content, commitment, err := statement.Compose(text, f.body, f.files)
	w.must(err)
	encoded, err := content.Encode()
	w.must(err)
	if f.content != nil {
		encoded = f.content(encoded)
	}
	hd := w.next(from, to, text.Lane)
	hd.Text = commitment
	return w.sealForged(from, to, hd, encoded, f)
}

// sealForged seals content under a header and signs it.
func (w *world) sealForged(from, to *side, hd parcel.Header, encoded []byte, f forgery) forged {
	w.t.Helper()
	place := hd
	if f.sealFor != nil {
		f.sealFor(&place)
	}
	hd.Padding = parcel.PaddingClass(len(encoded))
	var buf bytes.Buffer
	seal := func() (envelope.Sealed, error) {
		if hd.File != nil {
			hd.Padding = parcel.PaddingNone
			return parcel.SealFile(envelope.Default(), &buf, bytes.NewReader(encoded), to.Self().Latest().Suites, place.Context())
		}
		return parcel.SealContent(envelope.Default(), &buf, encoded, to.Self().Latest().Suites, place.Context())
	}
	sealed, err := seal()
	w.must(err)
	data := buf.Bytes()
	if f.sealed != nil {
		data = f.sealed(data)
	}
	hd.Layers, hd.Suites = sealed.Layers, []string{envelope.SuiteINT1}
	hd.Length = int64(len(data))
	hd.Segments = (hd.Length + envelope.SegmentSize - 1) / envelope.SegmentSize
	hd.Root = envelope.Root(segmentLeaves(data))
	if f.header != nil {
		f.header(&hd)
	}
	out := w.signForged(from, hd, f.signed)
	out.content = data
	if !f.bare {
		out.frame.Payload = append(bytes.Clone(out.frame.Payload), data...)
	}
	return out
}

// signForged signs a header as it is, valid or not, and frames it without content.
func (w *world) signForged(from *side, hd parcel.Header, change func(*envelope.Envelope)) forged {
	w.t.Helper()
	payload, err := envelope.Marshal(hd)
	w.must(err)
	env, err := envelope.Sign(parcel.HeaderType, payload, from.keys.Signers()...)
	w.must(err)
	if change != nil {
		change(env)
	}
	data, err := envelope.Marshal(env)
	w.must(err)
	return forged{frame: parcel.ParcelFrame{Header: data}.Frame(), header: hd, payload: payload}
}

func segmentLeaves(data []byte) (leaves []envelope.Hash) {
	for rest := data; len(rest) > 0; {
		n := min(len(rest), envelope.SegmentSize)
		leaves = append(leaves, envelope.SegmentHash(rest[:n]))
		rest = rest[n:]
	}
	return leaves
}

// signed frames a document signed by a side's real keys.
func (w *world) signed(from *side, payloadType string, v any) []byte {
	w.t.Helper()
	payload, err := envelope.Marshal(v)
	w.must(err)
	env, err := envelope.Sign(payloadType, payload, from.keys.Signers()...)
	w.must(err)
	data, err := env.Encode()
	w.must(err)
	return data
}

func (w *world) receiptFrame(from *side, r parcel.Receipt) parcel.Frame {
	return parcel.Frame{Kind: parcel.FrameReceipt, Payload: w.signed(from, parcel.ReceiptType, r)}
}

func (w *world) frame(kind parcel.FrameKind, v any) parcel.Frame {
	w.t.Helper()
	f, err := parcel.EncodeFrame(kind, v)
	w.must(err)
	return f
}

// leavesOf are the exact leaves of a side's own log.
func (w *world) leavesOf(s *side) (leaves [][]byte) {
	w.t.Helper()
	entries, err := s.Ledger(w.t.Context(), operator, s.link, s.Self().ID, 1, 0, 500)
	w.must(err)
	for _, e := range entries {
		leaves = append(leaves, e.Leaf)
	}
	return leaves
}

// checkpoint signs a head of exactly these leaves with a side's real log keys, continuing old ones.
func (w *world) checkpoint(s *side, leaves [][]byte, old int64) parcel.Frame {
	w.t.Helper()
	hashes := memoryTree{}
	for i, leaf := range leaves {
		stored, err := ledger.AppendHashes(int64(i), leaf, hashes)
		w.must(err)
		hashes.add(int64(i), stored)
	}
	size := int64(len(leaves))
	root, err := ledger.TreeRoot(size, hashes)
	w.must(err)
	origin := ledger.Origin(s.link, s.Self().ID, 1)
	signers, err := s.keys.LogSigners(s.keys.Version(), origin)
	w.must(err)
	c, err := ledger.SignCheckpoint(origin, size, root, signers...)
	w.must(err)
	add := ledger.AddCheckpoint{OldSize: old, Note: c.Note}
	if old <= size {
		add.Proof, err = ledger.ProveConsistency(old, size, hashes)
		w.must(err)
	}
	return parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: add.Encode()}
}

// memoryTree is a tree's hashes by stored index.
type memoryTree map[int64]tlog.Hash

func (m memoryTree) add(n int64, hashes []tlog.Hash) {
	for level, hash := range hashes {
		m[tlog.StoredHashIndex(level, n>>level)] = hash
	}
}

// ReadHashes makes it a tlog.HashReader.
func (m memoryTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := m[index]
		if !ok {
			return nil, fmt.Errorf("no hash %d", index)
		}
		out[i] = hash
	}
	return out, nil
}
