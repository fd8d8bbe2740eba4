package flow_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// controlText makes a forgery say a kind of the control lane.
func (w *world) controlText(kind string, thread *statement.Commitment, face any) func(*statement.Text) {
	w.t.Helper()
	data, err := envelope.Marshal(face)
	w.must(err)
	return func(t *statement.Text) { t.Lane, t.Kind, t.Thread, t.Face = statement.Control, kind, thread, data }
}

// A notice of erasure in a thread of another room is void, and keeps nothing back.
func TestErasureInAnotherRoom(t *testing.T) {
	for name, owns := range map[string]bool{"who has a column there": true, "who has none": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.confirm()
			owner := w.a
			if owns {
				owner = w.b
			}
			desk, err := owner.Send(t.Context(), operator, deskDraft(owner, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}), nil)
			w.must(err)
			w.run()
			f := w.forge(w.b, w.a, forgery{body: statement.EmptyBody{}, text: w.controlText("erasure.notice", &desk,
				statement.ErasureFace{Statement: desk, Reason: "order", At: 1})})
			if got := w.receive(w.a, f.frame); !got.ended(parcel.Opened, "") {
				t.Fatalf("answered by %+v and %q", got.receipts, got.refusals)
			}
			w.a.view(t, func(tx flow.Tx) error {
				p, err := tx.Parcel(t.Context(), f.header.ID)
				if p.Verdict != "void:"+exchange.VoidThread {
					t.Errorf("its verdict is %q", p.Verdict)
				}
				return err
			})
		})
	}
}

// What a peer says that is void keeps nothing from being erased in its time.
func TestRetentionDespiteALyingPeer(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	old := w.message(w.b, "old", "to be kept for its time", nil)
	w.run()
	face := statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}
	body := statement.DeskBody{Names: map[string]string{"en": "False desk"}, Always: true, Zone: "UTC", Languages: []string{"en"}}
	for name, f := range map[string]forgery{
		"a desk in the link's thread": {text: w.controlText("desk.update", &w.b.link, face), body: body},
		"an author of the future":     {text: func(t *statement.Text) { t.Thread, t.Authored = &old, 1<<52 }},
	} {
		made := w.forge(w.b, w.a, f)
		if got := w.receive(w.a, made.frame); !got.ended(parcel.Opened, "") {
			t.Fatalf("%s: answered by %+v and %q", name, got.receipts, got.refusals)
		}
	}
	w.a.clock.advance(20 * 365 * 24 * time.Hour)
	if _, err := w.a.EraseAged(t.Context()); err != nil {
		t.Errorf("erasing: %v", err)
	}
	if v := w.shown(w.a, old); v.Erased == 0 {
		t.Error("what the peer said in a thread that claims to be of the future is kept for ever")
	}
}

// A party signs a bounded number of agreements, or their columns would grow with the square of what it says.
func TestAgreementsAreBounded(t *testing.T) {
	var column exchange.LinkColumn
	said := func(n int) *statement.Void {
		agreement := envelope.Sum(fmt.Appendf(nil, "agreement %d", n))
		face, err := envelope.Marshal(statement.LinkAgreeFace{Agreement: agreement})
		if err != nil {
			t.Fatal(err)
		}
		next, _, void := exchange.FoldLink(column, exchange.LinkColumn{}, statement.Turn{Text: &statement.Text{Kind: "link.agree", Face: face}})
		column = next
		return void
	}
	for n := range exchange.MaxAgreements {
		if void := said(n); void != nil {
			t.Fatalf("agreement %d is void: %s", n, void.Reason)
		}
	}
	if void := said(exchange.MaxAgreements); void == nil || void.Reason != exchange.VoidMany || len(column.Agreed) != exchange.MaxAgreements {
		t.Errorf("one more is %+v, and %d stand", void, len(column.Agreed))
	}
}

// A wish for segments that there are not is passed over, and what is due goes out.
func TestWishBeyondTheEnd(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.message(w.a, "large", "see the file", nil, fileOf("large.bin", bytes.Repeat([]byte("evidence "), 300<<10)))
	d, err := w.a.Outgoing(t.Context(), w.a.link, 8<<20)
	w.must(err)
	var id *envelope.ID
	for _, f := range d.Frames {
		if f.Kind == parcel.FrameSegmentHashes {
			s, err := parcel.DecodeSegmentHashesFrame(f)
			w.must(err)
			id = &s.Parcel
		}
	}
	w.must(w.a.Undelivered(t.Context(), d, fmt.Errorf("lost")))
	w.a.clock.advance(time.Hour)
	w.receive(w.a, w.frame(parcel.FrameWant, parcel.WantFrame{Parcel: id, Segments: []parcel.Gap{{From: 1, To: 1 << 20}}}))
	w.run()
	if c := w.message(w.a, "after it", "still heard", nil); w.carry(w.a, w.b) && w.shown(w.b, c).Parcel.State != exchange.Opened {
		t.Error("nothing is heard any more")
	}
}

// What a lying peer makes us keep is bounded, of each kind by itself.
func TestEvidenceIsBounded(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	w.cosign()
	size := w.log(w.a, w.b).Size
	for n := range exchange.MaxEvidence + 5 {
		leaves := [][]byte{fmt.Appendf(nil, "%d is no leaf", n), bytes.Repeat([]byte("x"), 1000)}
		w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: size, Leaves: leaves}))
	}
	if n := w.evidence(w.a, "leaf"); n != exchange.MaxEvidence {
		t.Errorf("%d are kept", n)
	}
	w.receive(w.a, w.checkpoint(w.b, [][]byte{[]byte("another log")}, 0))
	if n := w.evidence(w.a, "ledger_forked"); n != 1 {
		t.Errorf("%d forks are kept", n)
	}
}

// Two parcels with the same sealed bytes lie under one name: the end of one takes nothing from the other, whose lane would
// wait for ever, and so would what we have to say in it.
func TestSameBytesTwice(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	first := w.forge(w.b, w.a, forgery{bare: true, body: statement.MessageBody{Subject: "large", Language: "en", Text: strings.Repeat("in segments ", 21000)}})
	hd := first.header
	prev := envelope.Sum(first.payload)
	hd.ID, hd.Seq, hd.Prev, hd.Index = envelope.NewID(), hd.Seq+1, &prev, hd.Index+1
	second := w.signForged(w.b, hd, nil)
	second.content = first.content
	w.receive(w.a, first.frame, second.frame)
	for _, f := range []forged{first, second} {
		if got := w.segments(f); len(got.receipts) != 1 || got.receipts[0].Kind != parcel.Received {
			t.Fatalf("answered by %+v and %q", got.receipts, got.refusals)
		}
	}
	if err := w.a.Settle(t.Context(), w.a.link); err != nil {
		t.Errorf("settling: %v", err)
	}
	for f, want := range map[*forged]exchange.ParcelState{&first: exchange.Opened, &second: exchange.Rejected} {
		w.a.view(t, func(tx flow.Tx) error {
			p, err := tx.Parcel(t.Context(), f.header.ID)
			if p.State != want {
				t.Errorf("a parcel is %s, not %s", p.State, want)
			}
			return err
		})
	}
	if _, err := w.a.say(t, statement.Network); err != nil {
		t.Errorf("we cannot answer: %v", err)
	}
	if n := len(w.a.blobs.blobs); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// Files that wait are counted however much else arrives: the peer chooses what stands before them.
func TestFilesAreCountedBehindTheRest(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	hd := w.next(w.b, w.a, statement.Network)
	row := exchange.Parcel{Link: w.a.link, Author: w.b.Self().ID, Epoch: 1, State: exchange.Arriving, GotIndex: -1, Created: hd.Created, Expires: hd.Expires, Segments: 1, Length: 1}
	var rows []exchange.Parcel
	for n := range 1100 + 512 {
		row.ID = envelope.NewID()
		row.Header, row.Text = envelope.Sum(row.ID[:]), envelope.Sum(row.ID[:])
		row.Lane, row.Seq, row.File = statement.Control, uint64(100+n), -1
		if n >= 1100 {
			row.Lane, row.Seq, row.File = statement.Network, 0, 0
		}
		rows = append(rows, row)
	}
	w.a.update(t, func(tx flow.Tx) error { return tx.PutParcels(t.Context(), rows...) })
	hd.Seq, hd.Prev, hd.Seen, hd.File, hd.Text = 0, nil, nil, &parcel.FileRef{}, envelope.Sum(nil)
	f := w.sealForged(w.b, w.a, hd, []byte("one more"), forgery{bare: true})
	if got := w.receive(w.a, f.frame); !got.refused("waiting") {
		t.Errorf("answered by %+v, %+v and %q", got.receipts, got.wants, got.refusals)
	}
}
