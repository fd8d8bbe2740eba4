package housetest

import (
	"context"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/ledger"
	"entente/parcel"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// In some runs where keys turn, somebody has copied the signature keys of a party. With those of a version that its owner has replaced
// nothing can be said, receipted or shown any more; with any, a version of the identity that the owner did not make. That may stop what
// the two say to each other, until the owner's recovery quorum has signed; it never keeps the quorum from settling it.

// theft is the keys of one version, in other hands.
type theft struct {
	owner   *node
	version int
	chain   *party.Chain // as it was
	signers []envelope.Signer
	logs    map[*link][]note.Signer
	forked  *link         // whose other party was shown a version by the thief; nil for none yet
	shown   envelope.Hash // of that version
}

// steal copies the keys of a node that are in force.
func (w *world) steal(n *node) {
	chain := n.house.Self()
	version := len(chain.Versions)
	t := &theft{owner: n, version: version, chain: chain, signers: n.signers(), logs: map[*link][]note.Signer{}}
	for _, l := range n.links {
		signers, err := n.keys.LogSigners(version, ledger.Origin(l.id, n.chain.ID, 1))
		w.must(err)
		t.logs[l] = signers
	}
	w.theft = t
	w.note("the keys of version %d of %s are stolen", version, n.name)
}

// abuse lets the thief try something on one of its victim's links.
func (w *world) abuse() {
	t := w.theft
	l := t.owner.links[w.r.IntN(len(t.owner.links))]
	to := l.other(t.owner)
	known, err := to.house.PeerChain(context.Background(), l.id)
	if err != nil {
		return
	}
	var frame parcel.Frame
	var what string
	ok := true
	switch k := w.r.IntN(4); {
	case k == 0 && t.forked == nil:
		frame, what = w.forkedIdentity(), "a version of the identity"
		t.forked = l
		w.out.Forks++
	case len(known.Versions) <= t.version || known.Hash(t.version+1) == t.shown:
		return // the thief's keys are in force there: what they sign is the owner's word, to be disowned by it
	case k == 1:
		frame, what = w.headBeyond(l), "a checkpoint"
	case k == 2:
		frame, ok = w.stolenReceipt(l)
		what = "a receipt"
	default:
		frame, ok = w.stolenHeader(l)
		what = "a statement"
	}
	if !ok {
		return
	}
	w.note("a thief signs %s for %s as %s, version %d", what, to.name, t.owner.name, t.version)
	data, err := encode([]parcel.Frame{frame})
	w.must(err)
	before := to.traces()
	for range 50 {
		if _, ok := w.receive(to, l, data); ok {
			break
		}
	}
	if after := to.traces(); after != before && len(w.flights) == 0 && w.sky.between == 0 {
		w.fail("%s by a thief changed what %s holds:\n%s\nbefore:\n%s", what, to.name, after, before)
	}
	w.out.Abused++
}

// forkedIdentity is a successor of the stolen version, signed with the stolen keys and the thief's.
func (w *world) forkedIdentity() parcel.Frame {
	t := w.theft
	next, signers, err := hasten("thief", func() party.Identity {
		i := *t.chain.Latest()
		i.Version, i.NotBefore = t.version+1, max(w.now.UnixMicro(), i.NotBefore)
		prev := t.chain.Hash(t.version)
		i.Prev, i.CompromiseSince = &prev, nil
		return i
	}())
	w.must(err)
	e, err := t.chain.Succeed(w.registry, next, slices.Concat(t.signers, signers)...)
	w.must(err)
	data, err := e.Encode()
	w.must(err)
	t.shown = envelope.Sum(e.Payload)
	return parcel.Frame{Kind: parcel.FrameIdentity, Payload: data}
}

// headBeyond is a head of the victim's log that has more leaves than its mirror.
func (w *world) headBeyond(l *link) parcel.Frame {
	t := w.theft
	var log exchange.Log
	l.other(t.owner).look(func(tx flow.Tx) (err error) {
		log, err = tx.Log(context.Background(), l.id, t.owner.chain.ID, 1)
		return err
	})
	c, err := ledger.SignCheckpoint(ledger.Origin(l.id, t.owner.chain.ID, 1), log.Size+1+w.r.Int64N(5), envelope.Sum(w.bytes(8)), t.logs[l]...)
	w.must(err)
	return parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: ledger.AddCheckpoint{OldSize: log.CosignedSize, Note: c.Note}.Encode()}
}

// stolenHeader is a statement at the next place in a lane.
func (w *world) stolenHeader(l *link) (parcel.Frame, bool) {
	t := w.theft
	to := l.other(t.owner)
	rows, headers := sentBy(to, l, t.owner.chain.ID, func(exchange.Parcel) bool { return true })
	if len(rows) == 0 {
		return parcel.Frame{}, false
	}
	hd := headers[w.r.IntN(len(headers))]
	var last exchange.LaneState
	to.look(func(tx flow.Tx) (err error) {
		last, err = tx.Lane(context.Background(), l.id, t.owner.chain.ID, 1, hd.Lane)
		return err
	})
	prev := envelope.Sum(w.bytes(8))
	hd.ID, hd.Identity, hd.Seq, hd.Prev = envelope.NewID(), t.version, last.Last+1, &prev
	payload, err := hd.Encode()
	w.must(err)
	return parcel.ParcelFrame{Header: w.stolen(parcel.HeaderType, payload)}.Frame(), true
}

// stolenReceipt receipts a statement to the victim's peer that its owner has not.
func (w *world) stolenReceipt(l *link) (parcel.Frame, bool) {
	t := w.theft
	to := l.other(t.owner)
	rows, headers := sentBy(to, l, to.chain.ID, func(p exchange.Parcel) bool { return p.Received == 0 })
	if len(rows) == 0 {
		return parcel.Frame{}, false
	}
	i := w.r.IntN(len(rows))
	p := rows[i]
	r := parcel.Receipt{V: 1, Kind: parcel.Received, Link: l.id, From: t.owner.chain.ID, To: to.chain.ID, Header: p.Header, Parcel: p.ID, Root: headers[i].Root,
		Identity: t.version, Epoch: 1, Lane: p.Lane, Seq: p.Seq, ContiguousTo: p.Seq, At: w.now.UnixMicro(), Log: parcel.Position{Epoch: 1, Index: 7}}
	payload, err := r.Encode()
	w.must(err)
	return parcel.Frame{Kind: parcel.FrameReceipt, Payload: w.stolen(parcel.ReceiptType, payload)}, true
}

// stolen is a document signed with the stolen keys.
func (w *world) stolen(kind string, payload []byte) []byte {
	env, err := envelope.Sign(kind, payload, w.theft.signers...)
	w.must(err)
	data, err := env.Encode()
	w.must(err)
	return data
}

// takeBack lets the owner of stolen keys that were used for a version of its identity settle that with its recovery quorum. Nobody can
// keep it from that.
func (w *world) takeBack() {
	t := w.theft
	if t == nil || t.forked == nil {
		return
	}
	n := t.owner
	before := len(n.house.Self().Versions)
	for range 3 {
		if n.keys.Prepared() == nil {
			w.prepare(n)
		}
		w.recover(n)
		if after := n.house.Self(); len(after.Versions) > before && after.Recovered(len(after.Versions)) {
			return
		}
		w.turned(n, "gives its recovery up", func(h *flow.House) error { return h.CancelRecovery(context.Background(), member()) })
	}
	w.fail("%s cannot take its identity back", n.name)
}

// checkTheft checks that the owner's identity stands everywhere, whatever the thief has shown.
func (w *world) checkTheft() {
	t := w.theft
	if t == nil {
		return
	}
	for _, l := range t.owner.links {
		known, err := l.other(t.owner).house.PeerChain(context.Background(), l.id)
		w.must(err)
		own := t.owner.house.Self()
		if len(known.Versions) != len(own.Versions) || known.Hash(len(known.Versions)) != own.Hash(len(own.Versions)) {
			w.fail("%s: %s takes another identity for that of %s", l.name, l.other(t.owner).name, t.owner.name)
		}
	}
}

// robs says whether a version of the identity of a party of the link was in the hands of a thief, and shown.
func (w *world) robs(l *link) bool {
	return w.theft != nil && w.theft.forked != nil && (l.a == w.theft.owner || l.b == w.theft.owner)
}

// robbed says whether evidence of a link is of a thief: it names a version of the identity that contradicts another, and accuses nobody.
func (w *world) robbed(l *link, evidence []exchange.Evidence) bool {
	return w.robs(l) && !slices.ContainsFunc(evidence, func(e exchange.Evidence) bool { return e.Kind != "identity_forked" })
}

// misled says whether a parcel was sealed for the keys of a version that the thief had shown, or followed one that was: the owner cannot
// open it, and its author holds the signed reason.
func (w *world) misled(l *link, p exchange.Parcel) bool {
	return w.robs(l) && p.Author != w.theft.owner.chain.ID &&
		(p.State == exchange.Refused && p.Reason == "recipient_version" || p.State == exchange.Rejected && p.Reason == "not_opened" ||
			p.State == exchange.Opened && !p.Stale)
}

// forTheThief says whether a statement was sealed for keys that only the thief has.
func (w *world) forTheThief(s *said) (yes bool) {
	ctx := context.Background()
	s.by.look(func(tx flow.Tx) error {
		row, err := tx.Statement(ctx, s.c)
		if err != nil {
			return err
		}
		p, err := tx.Parcel(ctx, row.Parcel)
		yes = w.misled(s.link, p) && p.State != exchange.Opened
		return err
	})
	return yes
}
