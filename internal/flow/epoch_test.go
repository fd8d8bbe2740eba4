package flow_test

import (
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/ledger"
	"entente/parcel"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

// TestEpochAfterRefusal: a party whose peer cosigns nothing opens a new epoch by hand, and both go on; but no opening is taken that
// its party's keys, its first leaf or the mirrored past do not bear out.
func TestEpochAfterRefusal(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	before := w.message(w.a, "s", "before", nil)
	w.run() // and nothing is cosigned
	_, err := w.a.OpenEpoch(t.Context(), operator, w.a.link, "They cosign nothing.")
	w.must(err)
	after := w.message(w.a, "s", "after", &before)
	w.catchUp()
	w.bothHold(before, "before")
	w.bothHold(after, "after")
	w.alike()
	if l, err := w.b.FindLink(t.Context(), operator, w.b.link.String()); err != nil || l.PeerEpoch == ledger.FirstEpoch {
		t.Errorf("the peer's epoch is %d: %v", l.PeerEpoch, err)
	}
	for _, s := range []*side{w.a, w.b} {
		if found, err := s.Evidence(t.Context(), operator, nil, 10); err != nil || len(found) > 0 {
			t.Errorf("%s accuses: %+v, %v", s.name, found, err)
		}
	}
	w.forgedOpenings(t)
}

// opening is a frame that opens an epoch of a side's ledger, signed with its real keys but for what change and spoil do to it.
func (w *world) opening(s *side, change func(*parcel.Opening), spoil func(*parcel.OpeningFrame, *parcel.Opening)) parcel.Frame {
	w.t.Helper()
	var log exchange.Log
	s.view(w.t, func(tx flow.Tx) (err error) {
		log, err = tx.Log(w.t.Context(), s.link, s.Self().ID, w.row(s).OwnEpoch)
		return err
	})
	o := parcel.Opening{V: 1, Link: s.link, From: s.Self().ID, To: w.other(s).Self().ID, Identity: 1, Reason: "by_hand",
		Created: s.clock.now().UnixMicro(), Last: ledger.Head{Epoch: log.Epoch, Size: log.Size}}
	s.view(w.t, func(tx flow.Tx) (err error) {
		o.Last.Root, err = ledger.TreeRoot(log.Size, tx.HashReader(w.t.Context(), s.link, s.Self().ID, log.Epoch))
		return err
	})
	o.Epoch = parcel.EpochNumber(log.Epoch, o.Created, o.Created)
	change(&o)
	f := parcel.OpeningFrame{Envelope: w.signed(s, parcel.OpeningType, o)}
	env, err := envelope.DecodeEnvelope(f.Envelope)
	w.must(err)
	leaf := ledger.Leaf{V: 1, Epoch: o.Epoch, Time: o.Created, Kind: ledger.EpochLeaf, Doc: envelope.Sum(env.Payload), Last: &o.Last, Peer: o.Cosigned}
	f.Leaf, err = leaf.Encode()
	w.must(err)
	w.firstHead(s, &f, o.Epoch)
	spoil(&f, &o)
	return w.frame(parcel.FrameOpening, f)
}

// firstHead signs the head of a new epoch that has the frame's leaf alone.
func (w *world) firstHead(s *side, f *parcel.OpeningFrame, epoch uint32) {
	w.t.Helper()
	origin := ledger.Origin(s.link, s.Self().ID, epoch)
	signers, err := s.keys.LogSigners(1, origin)
	w.must(err)
	c, err := ledger.SignCheckpoint(origin, 1, envelope.Hash(tlog.RecordHash(f.Leaf)), signers...)
	w.must(err)
	f.Checkpoint = c.Note
}

func (w *world) forgedOpenings(t *testing.T) {
	as := func(*parcel.Opening) {}
	whole := func(*parcel.OpeningFrame, *parcel.Opening) {}
	w.a.clock.advance(5e9)
	w.b.clock.advance(5e9)
	for _, c := range []struct {
		name     string
		change   func(*parcel.Opening)
		spoil    func(*parcel.OpeningFrame, *parcel.Opening)
		code     string
		evidence string
	}{
		{"signed by the other party", as, func(f *parcel.OpeningFrame, o *parcel.Opening) { f.Envelope = w.signed(w.b, parcel.OpeningType, *o) }, "signature", ""},
		{"for a third party", func(o *parcel.Opening) { o.To = party.ID{7} }, whole, "addressee", ""},
		{"another leaf", as, func(f *parcel.OpeningFrame, o *parcel.Opening) {
			leaf := ledger.Leaf{V: 1, Epoch: o.Epoch, Time: o.Created + 1, Kind: ledger.EpochLeaf, Doc: envelope.Sum([]byte("x")), Last: &o.Last}
			var err error
			f.Leaf, err = leaf.Encode()
			w.must(err)
			w.firstHead(w.a, f, o.Epoch)
		}, "opening_leaf", ""},
		{"the checkpoint of another epoch", as, func(f *parcel.OpeningFrame, o *parcel.Opening) { w.firstHead(w.a, f, o.Epoch+1) }, "checkpoint", ""},
		{"before the end of the former epoch", func(o *parcel.Opening) { o.Created = 1 }, whole, "epoch_time", ""},
		{"of an identity that there is not", func(o *parcel.Opening) { o.Identity = 2 }, whole, "identity_version", ""},
		{"on another past", func(o *parcel.Opening) { o.Last.Root[0] ^= 1 }, whole, "ledger_forked", "ledger_forked"},
		{"an epoch that is open, once more", func(o *parcel.Opening) {
			o.Epoch, o.Created = o.Last.Epoch, int64(o.Last.Epoch)*1e6
			o.Last.Epoch = ledger.FirstEpoch
		}, whole, "epoch_equivocation", "epoch_equivocation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			record, l := w.record(w.b), w.row(w.b)
			got := w.receive(w.b, w.opening(w.a, c.change, c.spoil))
			if len(got.refusals) != 1 || got.refusals[0] != c.code {
				t.Errorf("answers %+v, want the refusal %s", got.refusals, c.code)
			}
			w.same(w.b, record, c.name)
			if now := w.row(w.b); now.PeerEpoch != l.PeerEpoch {
				t.Errorf("epoch %d is open", now.PeerEpoch)
			}
			if c.evidence != "" && w.evidence(w.b, c.evidence) != 1 {
				t.Errorf("no evidence of %s", c.evidence)
			}
		})
	}
}

// row is a side's row of the link.
func (w *world) row(s *side) (l exchange.Link) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) (err error) {
		l, err = tx.Link(w.t.Context(), s.link)
		return err
	})
	return l
}
