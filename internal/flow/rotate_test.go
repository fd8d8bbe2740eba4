package flow_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/store/sqlstore"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/proof"
	"entente/statement"
)

// faltering is a store whose updates fail from one on.
type faltering struct {
	flow.Store
	left int
}

var errDisk = errors.New("the disk failed")

func (f *faltering) Update(ctx context.Context, p flow.Priority, act func(flow.Tx) error) error {
	if f.left == 0 {
		return errDisk
	}
	f.left--
	return f.Store.Update(ctx, p, act)
}

// doubtful is a store that once commits and says that it failed, as a database does whose connection breaks at the wrong moment.
type doubtful struct {
	flow.Store
	after int // updates that go well before
}

func (d *doubtful) Update(ctx context.Context, p flow.Priority, act func(flow.Tx) error) error {
	err := d.Store.Update(ctx, p, act)
	if d.after--; d.after == -1 && err == nil {
		return errDisk
	}
	return err
}

// restart is a crash, after which the keyring and the identity are read from where they are durable.
func (s *side) restart(t testing.TB) {
	t.Helper()
	if f, ok := s.store.(*faltering); ok {
		s.store = f.Store
	}
	keys, err := keyring.Open(filepath.Join(s.dir, "keyring.json"), keyring.KeyFile(filepath.Join(s.dir, "key")))
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keys
	var envelopes [][]byte
	s.view(t, func(tx flow.Tx) (err error) {
		envelopes, err = tx.Identities(t.Context(), s.Self().ID)
		return err
	})
	chain, err := party.Verify(envelope.Default(), envelopes)
	if err != nil {
		t.Fatal(err)
	}
	s.House = s.open(t, chain)
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// whole is sound, with both ledgers cosigned to their ends.
func (w *world) whole() {
	w.t.Helper()
	w.sound()
	for _, s := range []*side{w.a, w.b} {
		for _, owner := range []*side{w.a, w.b} {
			if log := w.log(s, owner); log.CosignedSize != log.Size {
				w.t.Errorf("%s: the log of %s is cosigned to %d of %d", s.name, owner.name, log.CosignedSize, log.Size)
			}
		}
	}
}

// said checks that the other side has opened a statement, and that a proof of it verifies offline.
func (w *world) said(at *side, c statement.Commitment) {
	w.t.Helper()
	got, err := at.Show(w.t.Context(), operator, c.String())
	w.must(err)
	if got.Verdict != "folded" {
		w.t.Errorf("at %s the statement is %q", at.name, got.Verdict)
	}
	data, err := at.Proof(w.t.Context(), operator, c.String(), true)
	w.must(err)
	f, err := proof.Decode(data)
	w.must(err)
	if _, err := proof.Verify(envelope.Default(), f); err != nil {
		w.t.Errorf("%s: proof: %v", at.name, err)
	}
}

// Keys change on either side, several times in a row, with traffic before, between and after: one record all the same.
func TestRotation(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	var said []statement.Commitment
	say := func(n int) {
		large := make([]byte, 3<<20)
		said = append(said, w.message(w.a, fmt.Sprint("from Arvenia ", n), "text", nil, fileOf("f", large)), w.message(w.b, fmt.Sprint("from Kestria ", n), "text", nil))
	}
	say(0)
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{})) // what was said has its place, and is not delivered
	say(1)
	w.run()
	w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
	w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
	say(2)
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
	w.later()
	say(3)
	w.later()
	w.whole()
	for i, c := range said {
		at := w.b
		if i%2 == 1 {
			at = w.a
		}
		w.said(at, c)
		w.said(w.a, c)
	}
	for _, s := range []*side{w.a, w.b} {
		other, err := s.PeerChain(ctx, s.link)
		w.must(err)
		if len(other.Versions) != 3 || len(s.Self().Versions) != 3 {
			t.Errorf("%s: %d own versions, %d of the peer", s.name, len(s.Self().Versions), len(other.Versions))
		}
		for _, old := range []int{1, 2} {
			if _, err := s.keys.SignersOf(old); err == nil || !s.keys.Opens(old) {
				t.Errorf("%s: version %d signs (%v) or does not open (%v)", s.name, old, err == nil, s.keys.Opens(old))
			}
		}
	}
}

// later lets time pass, so that the ledgers are shown and what was put off is tried again.
func (w *world) later() {
	w.t.Helper()
	for range 3 {
		w.clock().advance(time.Hour)
		w.must(w.a.StartRounds(w.t.Context()))
		w.must(w.b.StartRounds(w.t.Context()))
		w.run()
	}
}

func (w *world) clock() *clock { return w.a.clock }

// A receipt that was signed with keys since replaced is taken once the ledger shows its place, and knows that place from then on.
func TestReceiptOfReplacedKeys(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	said := w.message(w.a, "before the keys change", "text", nil)
	w.lose(w.a, w.b) // the receipts do not come back
	w.must(w.b.Settle(ctx, w.b.link))
	w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
	w.receive(w.a, parcel.Frame{Kind: parcel.FrameIdentity, Payload: w.b.Self().Envelopes[1]}) // before the ledger shows it
	w.later()
	w.whole()
	w.said(w.b, said)
	w.said(w.a, said)
	got, err := w.a.Show(ctx, operator, said.String())
	w.must(err)
	w.a.view(t, func(tx flow.Tx) error {
		rows, err := tx.ReceiptsOf(ctx, got.Parcel.Header)
		w.must(err)
		signed := 0
		for _, r := range rows {
			if _, row, err := tx.LeafAt(ctx, w.a.link, w.b.Self().ID, r.Index, string(ledger.ReceiptOut), r.Hash); err != nil || row.Index != r.Index {
				t.Errorf("%s receipt: place %d: %v", r.Kind, r.Index, err)
			}
			doc, err := tx.Document(ctx, r.Hash)
			w.must(err)
			given, err := parcel.DecodeReceipt(doc.Payload)
			w.must(err)
			if given.Identity == 1 {
				signed++
			}
		}
		if len(rows) != 2 || signed == 0 {
			t.Errorf("%d receipts, %d of the old keys", len(rows), signed)
		}
		return nil
	})
}

// Wherever a rotation is cut off, the old version is in force or the new one, and of its number there is one for ever.
func TestRotationCrash(t *testing.T) {
	for left := 0; ; left++ {
		w := confirmed(t)
		ctx := t.Context()
		before := w.message(w.a, "before", "it has its place, and is not signed", nil)
		w.a.restart(t) // its signature was in memory
		f := &faltering{w.a.store, left}
		w.a.store = f
		w.a.House = w.a.open(t, w.a.Self())
		err := w.a.Rotate(ctx, operator, flow.Renewal{})
		ended := err == nil && f.left > 0
		decided := w.a.keys.Successor(2)
		w.a.restart(t)
		if again := w.a.keys.Successor(2); decided == nil || !slices.Equal(again, decided) {
			t.Fatalf("cut off after %d updates: another version 2", left)
		}
		if n := len(w.a.Self().Versions); n != 2 || !slices.Equal(w.a.Self().Envelopes[1], decided) {
			t.Fatalf("cut off after %d updates: %d versions, or another one", left, n)
		}
		if _, err := w.a.keys.SignersOf(1); err == nil {
			t.Errorf("cut off after %d updates: the old keys still sign", left)
		}
		after := w.message(w.a, "after", "text", nil)
		w.later()
		w.whole()
		w.said(w.b, before)
		w.said(w.b, after)
		if ended {
			return
		}
		if left > 10 {
			t.Fatal("the rotation does not end")
		}
	}
}

// A rotation that the disk stopped is taken up by the next one instead of making another version.
func TestRotationIsTakenUp(t *testing.T) {
	w := confirmed(t)
	f := &faltering{w.a.store, 0}
	w.a.store = f
	w.a.House = w.a.open(t, w.a.Self())
	if err := w.a.Rotate(t.Context(), operator, flow.Renewal{}); fault.CodeOf(err) != "identity_decided" {
		t.Fatalf("Rotate: %v", err)
	}
	f.left = 1000
	decided := w.a.keys.Successor(2)
	w.must(w.a.Rotate(t.Context(), operator, flow.Renewal{}))
	if n := len(w.a.Self().Versions); n != 2 || !slices.Equal(w.a.Self().Envelopes[1], decided) {
		t.Errorf("%d versions, or another one than was decided", n)
	}
	w.run()
	w.whole()
}

// A restored backup may have what keys were to sign that are destroyed: the next change of keys goes on without it.
func TestRotationAfterAnOldBackup(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
	unsigned := exchange.Document{Hash: envelope.Sum([]byte("receipt")), Link: w.a.link, Type: parcel.ReceiptType, Payload: []byte(`{"identity":1}`)}
	w.must(w.a.store.Update(ctx, flow.Normal, func(tx flow.Tx) error { return tx.PutDocuments(ctx, unsigned) }))
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
	w.a.restart(t)
	if _, err := w.a.keys.SignersOf(2); err == nil {
		t.Error("the keys of the second version were not destroyed")
	}
	w.later()
	w.whole()
}

// A commit that seemed to fail changes nothing twice: neither where keys change, nor where the peer learns of it.
func TestRotationInDoubt(t *testing.T) {
	ctx := t.Context()
	t.Run("at home", func(t *testing.T) {
		w := confirmed(t)
		w.a.store = &doubtful{w.a.store, 0}
		w.a.House = w.a.open(t, w.a.Self())
		if err := w.a.Rotate(ctx, operator, flow.Renewal{}); err == nil {
			t.Fatal("nothing failed")
		}
		w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
		identities := 0
		for _, data := range w.leavesOf(w.a) {
			leaf, err := ledger.DecodeLeaf(data)
			w.must(err)
			if leaf.Kind == ledger.IdentityLeaf && leaf.Doc == w.a.Self().Hash(2) {
				identities++
			}
		}
		if n := len(w.a.Self().Versions); n != 2 || identities != 1 {
			t.Errorf("%d versions, %d leaves", n, identities)
		}
		w.later()
		w.whole()
	})
	t.Run("at the peer", func(t *testing.T) {
		w := confirmed(t)
		w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
		w.b.store = &doubtful{w.b.store, 0}
		w.b.House = w.b.open(t, w.b.Self())
		if _, err := w.b.PeerChain(ctx, w.b.link); err != nil { // it is remembered
			t.Fatal(err)
		}
		identity := parcel.Frame{Kind: parcel.FrameIdentity, Payload: w.a.Self().Envelopes[1]}
		if _, err := w.b.Receive(ctx, w.b.link, wire(t, []parcel.Frame{identity})); err == nil {
			t.Fatal("nothing failed")
		}
		w.receive(w.b, identity)
		if peer, err := w.b.PeerChain(ctx, w.b.link); err != nil || len(peer.Versions) != 2 {
			t.Fatalf("the peer's versions: %v", err)
		}
		if known, err := w.b.PeerTransport(ctx, w.b.link); err != nil || known.Version != 2 {
			t.Fatalf("the peer is known by version %d: %v", known.Version, err)
		}
		w.later()
		w.whole()
	})
}

// A recovery follows a version that was decided and that the disk kept from being put in force.
func TestRecoveryAfterDecided(t *testing.T) {
	w := confirmed(t)
	f := &faltering{w.a.store, 0}
	w.a.store = f
	w.a.House = w.a.open(t, w.a.Self())
	if err := w.a.Rotate(t.Context(), operator, flow.Renewal{}); fault.CodeOf(err) != "identity_decided" {
		t.Fatalf("Rotate: %v", err)
	}
	f.left = 1000
	w.recover(w.a, flow.Renewal{}, 0, 1)
	if n := len(w.a.Self().Versions); n != 3 || !w.a.Self().Recovered(3) {
		t.Errorf("%d versions", n)
	}
	w.later()
	w.whole()
}

// What was sealed for the older version opens for 30 days; then its keys are gone, and what comes is refused with a receipt.
func TestOverlapEnds(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
	within := w.message(w.b, "sealed for the old keys", "text", nil) // Kestria has not heard of the change
	w.b.view(t, func(tx flow.Tx) error {
		row, err := tx.Statement(ctx, within)
		if err != nil {
			return err
		}
		p, err := tx.Parcel(ctx, row.Parcel)
		if err != nil {
			return err
		}
		doc, err := tx.Document(ctx, p.Header)
		if err != nil {
			return err
		}
		hd, err := parcel.DecodeHeader(doc.Payload)
		if err == nil && hd.Recipient != 1 {
			t.Fatalf("it was sealed for version %d", hd.Recipient)
		}
		return err
	})
	w.later()
	w.cosign()
	w.said(w.a, within)
	w.clock().advance(flow.Overlap - 4*time.Hour)
	if n, err := w.a.EndOverlaps(ctx); n != 0 || err != nil {
		t.Fatalf("%d overlaps ended too early, %v", n, err)
	}
	w.clock().advance(2 * time.Hour)
	late := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Recipient = 1 }})
	if n, err := w.a.EndOverlaps(ctx); n != 1 || err != nil {
		t.Fatalf("%d overlaps ended, %v", n, err)
	}
	if got := w.receive(w.a, late.frame); !got.ended(parcel.Refused, "recipient_version") {
		t.Errorf("after the overlap: %v, %d receipts", got.refusals, len(got.receipts))
	}
	w.a.restart(t)
	keys, err := w.a.Keys(ctx, operator)
	w.must(err)
	if v := keys.Versions[0]; v.Opens || v.Destroyed == 0 || v.OverlapEnd > v.Destroyed {
		t.Errorf("what is noted of the old version: %+v", v)
	}
	if n, err := w.a.EndOverlaps(ctx); n != 0 || err != nil {
		t.Errorf("the keys were destroyed %d times more, %v", n, err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// thief is who copied a side's keys: it has its own keyring file, and goes its own way from there.
func (w *world) thief(of *side) *keyring.Keyring {
	w.t.Helper()
	dir := w.t.TempDir()
	for _, name := range []string{"keyring.json", "key"} {
		copyFile(w.t, filepath.Join(of.dir, name), filepath.Join(dir, name))
	}
	keys, err := keyring.Open(filepath.Join(dir, "keyring.json"), keyring.KeyFile(filepath.Join(dir, "key")))
	w.must(err)
	return keys
}

// Guards: keys that were replaced sign nothing more than what the ledger had below the new version's leaf, whatever is shown first;
// new keys sign nothing before it.
func TestOldIdentityReplay(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	old := *w.b
	old.keys = w.thief(w.b)
	placed := w.message(w.b, "below the leaf", "sent late", nil)
	held, err := w.b.Outgoing(ctx, w.b.link, 8<<20)
	w.must(err)
	w.must(w.b.Undelivered(ctx, held, errDisk))
	w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
	identity := parcel.Frame{Kind: parcel.FrameIdentity, Payload: w.b.Self().Envelopes[1]}
	leaves := func(s *side, from int) parcel.Frame {
		all := w.leavesOf(s)
		return w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: int64(from), Leaves: all[from:]})
	}
	mirrored := int(w.log(w.a, w.b).Size)

	inFlight := w.forge(&old, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 1 }})
	above := w.forge(&old, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 1; h.Index += 5 }})
	mixed := w.forge(&old, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 2 }})
	unknown := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 3 }})
	zero := w.forge(&old, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 0 }})
	tail := w.leavesOf(w.b)
	oldCheckpoint := w.checkpoint(&old, tail, w.log(w.a, w.b).CosignedSize)
	oldReceipt := w.receiptFrame(&old, parcel.Receipt{V: 1, Kind: parcel.Received, Link: w.a.link, From: w.b.Self().ID, To: w.a.Self().ID,
		Header: above.header.Text, Parcel: above.header.ID, Root: above.header.Root, Identity: 1, Epoch: 1, Lane: statement.Network, Seq: 1,
		ContiguousTo: 1, At: w.clock().now().UnixMicro(), Log: parcel.Position{Epoch: 1, Index: 3}})

	if got := w.receive(w.a, identity); len(got.frames) != 0 {
		t.Fatalf("the new identity: %v", got.refusals)
	}
	attacks := []struct {
		name  string
		frame parcel.Frame
		code  string
	}{
		{"the old keys, before the new leaf is shown", inFlight.frame, "identity_replaced"},
		{"the old keys above the leaf", above.frame, "identity_replaced"},
		{"the old keys for the new version", mixed.frame, "signature"},
		{"a version that nobody has shown", unknown.frame, "identity_version"},
		{"version zero", zero.frame, "header"},
		{"a receipt of the old keys", oldReceipt, "identity_replaced"},
		{"a checkpoint of the old log keys", oldCheckpoint, "checkpoint_refused"},
	}
	try := func(when string) {
		before := w.record(w.a)
		for _, a := range attacks {
			if got := w.receive(w.a, a.frame); !got.refused(a.code) || len(got.receipts) > 0 || len(got.cosigned) > 0 {
				t.Errorf("%s, %s: %v, %d receipts", a.name, when, got.refusals, len(got.receipts))
			}
			w.same(w.a, before, a.name)
		}
	}
	try("before the mirror has the leaf")
	// What had its place comes in all the same, once the ledger shows it.
	if got := w.receive(w.a, held.Frames[0]); !got.refused("identity_replaced") {
		t.Errorf("what was on the way, before the ledger shows it: %v", got.refusals)
	}
	got := w.receive(w.a, leaves(w.b, mirrored))
	if len(got.wants) != 1 || len(got.wants[0].Docs) != 1 {
		t.Fatalf("the leaves: %v, wants %v", got.refusals, got.wants)
	}
	w.later()
	w.cosign()
	w.said(w.a, placed)
	try("afterwards")
	// A leaf under the old keys beyond the new version's is a lie.
	next := w.leavesOf(w.b)
	w.must(w.a.StartRounds(ctx))
	forgedLeaf := ledger.Leaf{V: 1, Epoch: 1, Index: int64(len(next)), Time: w.clock().now().UnixMicro(), Kind: ledger.Sent, Lane: "network",
		Seq: above.header.Seq, Doc: envelope.Sum(above.payload)}
	data, err := forgedLeaf.Encode()
	w.must(err)
	shown, err := parcel.DecodeParcelFrame(above.frame)
	w.must(err)
	if got := w.receive(w.a, w.frame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: int64(len(next)), Leaves: [][]byte{data},
		Docs: []parcel.Document{{Type: "header", Envelope: shown.Header}}})); !got.refused("leaf_document") || w.evidence(w.a, "leaf_document") != 1 {
		t.Errorf("a leaf under the old keys: %v, %d pieces of evidence", got.refusals, w.evidence(w.a, "leaf_document"))
	}
	current := w.forge(w.b, w.a, forgery{header: func(h *parcel.Header) { h.Identity = 2 }})
	if got := w.receive(w.a, current.frame); len(got.receipts) == 0 {
		t.Errorf("the new keys for the new version: %v", got.refusals)
	}
}

// recover has the owner's quorum sign the next version on another machine, by file, and puts it in force.
func (w *world) recover(s *side, r flow.Renewal, by ...int) {
	w.t.Helper()
	ctx := w.t.Context()
	prepared, err := s.PrepareRecovery(ctx, operator, r)
	w.must(err)
	var signed [][]byte
	for _, n := range by {
		copied, _, err := s.shares[n].Sign(prepared)
		w.must(err)
		signed = append(signed, copied)
	}
	w.must(s.FinishRecovery(ctx, operator, signed))
}

// Guards: in whatever order a thief's versions and the owner's come, and however many the thief's are, the owner's stand once the
// quorum has signed; before, nobody's do. The thief's are kept.
func TestRecoveryLockout(t *testing.T) {
	type shown struct {
		name  string
		frame []byte
	}
	for _, c := range []struct {
		name    string
		rotates bool // the owner by keys, before it recovers
		longer  int  // versions of the thief
	}{{"the owner recovers", false, 1}, {"the thief's branch is longer", false, 3}, {"the owner rotates, then recovers", true, 1}, {"and the thief's branch is longer", true, 2}} {
		w := confirmed(t)
		ctx := t.Context()
		stolen, branch := w.thief(w.b), w.b.Self()
		var frames []shown
		for n := range c.longer {
			next := *branch.Latest()
			next.NotBefore++
			data, err := stolen.Rotate(branch, next, rand.Reader)
			w.must(err)
			branch, err = branch.Append(envelope.Default(), data)
			w.must(err)
			frames = append(frames, shown{fmt.Sprint("thief ", n+2), data})
		}
		w.clock().advance(time.Minute)
		if c.rotates {
			w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
		}
		since := w.clock().now().Add(-time.Hour).UnixMicro()
		w.recover(w.b, flow.Renewal{CompromiseSince: since}, 2, 0)
		owner := w.b.Self()
		for n := 2; n <= len(owner.Versions); n++ {
			frames = append(frames, shown{fmt.Sprint("owner ", n), owner.Envelopes[n-1]})
		}
		for order := range permutations(len(frames)) {
			peer := w.copyOf(w.a, owner)
			var names []string
			for range 2 { // what follows something unknown is refused, and comes again
				for _, at := range order {
					names = append(names, frames[at].name)
					_, err := peer.Receive(ctx, w.a.link, []parcel.Frame{{Kind: parcel.FrameIdentity, Payload: frames[at].frame}})
					w.must(err)
				}
			}
			for range 2 {
				chain, err := peer.PeerChain(ctx, w.a.link)
				w.must(err)
				if !slices.EqualFunc(chain.Envelopes, owner.Envelopes, slices.Equal) {
					t.Errorf("%s: after %v the chain that stands has %d versions, and is not the owner's", c.name, names, len(chain.Versions))
				}
				peer.House = peer.open(t, peer.Self()) // nor does it depend on memory
			}
			kept, err := peer.Evidence(ctx, operator, nil, 500)
			w.must(err)
			if len(kept) == 0 {
				t.Errorf("%s: after %v nothing is kept of the thief's versions", c.name, names)
			}
		}
	}
}

// Guards: a fork that no quorum has settled stops both branches, and is shown; what lies before it stays.
func TestContestedIdentity(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	stolen := w.thief(w.b)
	next := *w.b.Self().Latest()
	next.NotBefore++
	theirs, err := stolen.Rotate(w.b.Self(), next, rand.Reader)
	w.must(err)
	thief := *w.b
	thief.keys = stolen
	if got := w.receive(w.a, parcel.Frame{Kind: parcel.FrameIdentity, Payload: theirs}); len(got.frames) != 0 {
		t.Fatalf("the thief's version, which is the only one: %v", got.refusals)
	}
	w.must(w.b.Rotate(ctx, operator, flow.Renewal{}))
	before := w.record(w.a)
	w.carry(w.b, w.a)
	link := func() flow.LinkView {
		v, err := w.a.FindLink(ctx, operator, "kestria")
		w.must(err)
		return v
	}
	if v := link(); !v.PeerContested || v.PeerVersion != 1 {
		t.Errorf("the fork is shown as contested %v, version %d", v.PeerContested, v.PeerVersion)
	}
	own, err := w.b.Keys(ctx, operator)
	w.must(err)
	if len(own.Forged) != 1 || !slices.Equal(own.Forged[0], theirs) || w.evidence(w.b, "identity_forked") != 1 {
		t.Errorf("the owner has %d versions that it did not make, %d pieces of evidence", len(own.Forged), w.evidence(w.b, "identity_forked"))
	}
	for _, a := range []struct {
		name string
		from *side
		v    int
	}{{"the thief under its version", &thief, 2}, {"the thief under the version before", &thief, 1}, {"the owner", w.b, 2}} {
		f := w.forge(a.from, w.a, forgery{header: func(h *parcel.Header) { h.Identity = a.v }})
		got := w.receive(w.a, f.frame)
		if len(got.receipts) > 0 || !slices.Contains(got.refusals, "identity_contested") && !slices.Contains(got.refusals, "signature") {
			t.Errorf("%s: %v, %d receipts", a.name, got.refusals, len(got.receipts))
		}
	}
	if _, err := w.a.Send(ctx, operator, draft(w.a, "to whom", "text", nil), nil); fault.CodeOf(err) != "identity_contested" {
		t.Errorf("a statement to a party whose keys are in dispute: %v", err)
	}
	w.same(w.a, before, "a contested fork")
	w.recover(w.b, flow.Renewal{}, 0, 1)
	w.clock().advance(time.Hour)
	w.run()
	if v := link(); v.PeerContested || v.PeerVersion != 3 {
		t.Errorf("after the quorum signed it is contested %v, version %d", v.PeerContested, v.PeerVersion)
	}
	c := w.message(w.a, "again", "text", nil)
	d := w.message(w.b, "again", "text", nil)
	w.run()
	w.cosign()
	w.said(w.b, c)
	w.said(w.a, d)
}

// A quorum is as many keys as the version before says, each counted once, and over exactly the document that was prepared.
func TestRecoveryQuorum(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	prepared, err := w.b.PrepareRecovery(ctx, operator, flow.Renewal{})
	w.must(err)
	sign := func(s *side, n int, data []byte) []byte {
		signed, _, err := s.shares[n].Sign(data)
		w.must(err)
		return signed
	}
	chained := sign(w.b, 2, sign(w.b, 1, prepared)) // one copy that went round
	other, err := w.a.PrepareRecovery(ctx, operator, flow.Renewal{})
	w.must(err)
	forged := func() []byte {
		e, err := envelope.DecodeEnvelope(sign(w.b, 0, prepared))
		w.must(err)
		e.Signatures[len(e.Signatures)-1].Sig[7] ^= 1
		data, err := e.Encode()
		w.must(err)
		return data
	}()
	for _, a := range []struct {
		name, code string
		signed     [][]byte
	}{
		{"nobody", "recovery_quorum", nil},
		{"the document itself", "recovery_quorum", [][]byte{prepared}},
		{"one of two", "recovery_quorum", [][]byte{sign(w.b, 0, prepared)}},
		{"one of two, twice", "recovery_quorum", [][]byte{sign(w.b, 0, prepared), sign(w.b, 0, prepared)}},
		{"one of two, and another party's", "recovery_quorum", [][]byte{sign(w.b, 0, prepared), sign(w.a, 1, prepared)}},
		{"one of two, and a signature that is not one", "recovery_signature", [][]byte{sign(w.b, 1, prepared), forged}},
		{"another document", "recovery_document", [][]byte{sign(w.b, 0, prepared), sign(w.b, 1, other)}},
		{"no document", "recovery_document", [][]byte{[]byte("{}")}},
	} {
		if err := w.b.FinishRecovery(ctx, operator, a.signed); fault.CodeOf(err) != a.code {
			t.Errorf("%s: %v", a.name, err)
		}
		if len(w.b.Self().Versions) != 1 {
			t.Fatalf("%s changed the identity", a.name)
		}
	}
	if err := w.b.Rotate(ctx, operator, flow.Renewal{}); fault.CodeOf(err) != "recovery_pending" {
		t.Errorf("a rotation while the quorum signs: %v", err)
	}
	w.b.restart(t) // the quorum may take weeks
	w.must(w.b.FinishRecovery(ctx, operator, [][]byte{chained}))
	if !w.b.Self().Recovered(2) {
		t.Error("the version is not one of the quorum's")
	}
	w.must(w.a.CancelRecovery(ctx, operator))
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{}))
	w.run()
	w.whole()
}

// copyOf is a side that knows no more than the link and the first versions: what happens to it does not happen to the side.
func (w *world) copyOf(s *side, peer *party.Chain) *side {
	w.t.Helper()
	ctx := w.t.Context()
	store, err := sqlstore.OpenSQLite(ctx, filepath.Join(w.t.TempDir(), "entente.db"), 1)
	w.must(err)
	w.t.Cleanup(func() { store.Close() })
	agreement, err := statement.DefaultAgreement().Encode()
	w.must(err)
	c := *s
	c.store = store
	c.update(w.t, func(tx flow.Tx) error {
		return errors.Join(
			tx.PutIdentity(ctx, s.Self().ID, 1, s.Self().Envelopes[0]), tx.PutIdentity(ctx, peer.ID, 1, peer.Envelopes[0]),
			tx.PutLink(ctx, exchange.Link{ID: s.link, Alias: "kestria", Peer: peer.ID, Agreement: agreement, Created: 1, OwnEpoch: 1, PeerEpoch: 1}))
	})
	c.House = c.open(w.t, s.Self())
	return &c
}

func permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var place func(head, rest []int) bool
		place = func(head, rest []int) bool {
			if len(rest) == 0 {
				return yield(head)
			}
			for i, x := range rest {
				left := slices.Delete(slices.Clone(rest), i, i+1)
				if !place(append(slices.Clone(head), x), left) {
					return false
				}
			}
			return true
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		place(nil, all)
	}
}
