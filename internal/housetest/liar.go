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
	"entente/statement"
)

// Lie is what a party lies about, with its real keys, on one of its links.
type Lie string

// The lies.
const (
	Honesty        Lie = "none"
	ForkLog        Lie = "fork_log"        // signs another head of its log than the leaves have that it showed
	RewriteLeaf    Lie = "rewrite_leaf"    // shows another leaf than before at the same place
	BackdateLeaf   Lie = "backdate_leaf"   // enters a leaf before the time of the last
	InventLeaf     Lie = "invent_leaf"     // enters that it got what was never said
	TwoHeaders     Lie = "two_headers"     // signs two headers with one parcel id
	ReuseSequence  Lie = "reuse_sequence"  // uses a sequence number twice
	WrongPrev      Lie = "wrong_prev"      // cites another header before than it sent
	FloodAhead     Lie = "flood_ahead"     // stands far ahead of what it sent: nothing is kept of it
	TwoReceipts    Lie = "two_receipts"    // gives a second receipt that contradicts the first
	OtherParcel    Lie = "other_parcel"    // gives a receipt that describes another parcel
	FalseStale     Lie = "false_stale"     // cites as stale what does not show it
	ForgedFirst    Lie = "forged_first"    // gives another receipt than the one in its log, before it
	SaidOtherwise  Lie = "said_otherwise"  // sends another statement than the one in its log, before it
	WithholdAnswer Lie = "withhold_answer" // neither receipts nor cosigns any more
)

// Lies lists them all.
func Lies() []Lie {
	return []Lie{ForkLog, RewriteLeaf, BackdateLeaf, InventLeaf, TwoHeaders, ReuseSequence, WrongPrev, FloodAhead, TwoReceipts, OtherParcel,
		FalseStale, ForgedFirst, SaidOtherwise, WithholdAnswer}
}

// evidence is the kinds under which a lie may be kept; none for what only comes to nothing.
func (l Lie) evidence() []string {
	return map[Lie][]string{
		ForkLog: {"ledger_forked"}, RewriteLeaf: {"leaf_rewritten"}, BackdateLeaf: {"leaf_time"}, InventLeaf: {"leaf_document"},
		TwoHeaders: {"equivocation"}, ReuseSequence: {"sequence_reused"}, WrongPrev: {"prev"}, TwoReceipts: {"receipt_equivocation"},
		OtherParcel: {"receipt_differs"}, FalseStale: {"stale_citation"}, ForgedFirst: {"receipt_equivocation", "leaf_document"},
		SaidOtherwise: {"sequence_reused", "prev", "leaf_document"},
	}[l]
}

// victim is the link on which the liar lies.
func (w *world) victim() *link { return w.liar.links[0] }

// harmed says whether a link's record cannot be expected to become whole: the liar itself holds another one, or holds back.
func (w *world) harmed(l *link) bool {
	return w.lied && l == w.victim() && (w.lie == ForgedFirst || w.lie == SaidOtherwise || w.lie == WithholdAnswer)
}

// forge is where a liar leaves out of its requests and answers what it withholds, for ever or until it has told another story.
func (w *world) forge(n *node, l *link, frames []parcel.Frame) []parcel.Frame {
	if n != w.liar || l != w.victim() || w.calm && !w.lied || w.lied != (w.lie == WithholdAnswer) || w.lie != WithholdAnswer && w.lie != ForgedFirst {
		return frames
	}
	return slices.DeleteFunc(slices.Clone(frames), func(f parcel.Frame) bool {
		return f.Kind == parcel.FrameReceipt || f.Kind == parcel.FrameCosignature || f.Kind == parcel.FrameLeaves
	})
}

// tryLie tells the lie as soon as there is something to lie about. It must be seen at once, and change nothing.
func (w *world) tryLie() {
	if w.liar == nil || w.lied {
		return
	}
	l := w.victim()
	if w.lie == WithholdAnswer {
		w.lied = true
		w.note("%s withholds its receipts and cosignatures from %s", w.liar.name, l.other(w.liar).name)
		return
	}
	frame, ok := w.forgery(l)
	if !ok {
		return
	}
	to := l.other(w.liar)
	w.lied = true
	w.note("%s lies to %s: %s", w.liar.name, to.name, w.lie)
	data, err := encode([]parcel.Frame{frame})
	w.must(err)
	before := to.traces()
	for range 50 {
		if _, ok := w.receive(to, l, data); ok {
			break
		}
	}
	if w.harmed(l) {
		return // it comes out when the truth arrives
	}
	if after := to.traces(); after != before && len(w.flights) == 0 && w.sky.between == 0 {
		w.fail("%s changed what %s holds", w.lie, to.name)
	}
	w.exposed(to, l)
}

// exposed checks that a node holds evidence of the lie.
func (w *world) exposed(n *node, l *link) {
	want := w.lie.evidence()
	var found []string
	n.look(func(tx flow.Tx) error {
		list, err := tx.Evidences(context.Background(), &l.id, 100)
		for _, e := range list {
			found = append(found, e.Kind)
		}
		return err
	})
	if len(want) == 0 && len(found) > 0 {
		w.fail("%s holds evidence %q of %s, which is none", n.name, found, w.lie)
	}
	for _, kind := range found {
		if !slices.Contains(want, kind) && !w.harmed(l) {
			w.fail("%s holds evidence %q of %s", n.name, found, w.lie)
		}
	}
	if len(want) > 0 && !slices.ContainsFunc(found, func(kind string) bool { return slices.Contains(want, kind) }) {
		w.fail("%s holds evidence %q of %s, and none of %q", n.name, found, w.lie, want)
	}
}

// forgery makes the lie's frame, if there is something to lie about.
func (w *world) forgery(l *link) (parcel.Frame, bool) {
	switch w.lie {
	case ForkLog:
		return w.forkedHead(l)
	case RewriteLeaf, BackdateLeaf, InventLeaf:
		return w.forgedLeaf(l)
	case TwoHeaders, ReuseSequence, WrongPrev, FloodAhead, SaidOtherwise:
		return w.forgedHeader(l)
	}
	return w.forgedReceipt(l)
}

// mirrored is what the victim holds of the liar's log.
func (w *world) mirrored(l *link) (log exchange.Log, leaves [][]byte) {
	l.other(w.liar).look(func(tx flow.Tx) error {
		var err error
		if log, err = tx.Log(context.Background(), l.id, w.liar.chain.ID, 1); err != nil {
			return err
		}
		rows, err := tx.Leaves(context.Background(), l.id, w.liar.chain.ID, 1, 0, 10_000)
		for _, r := range rows {
			leaves = append(leaves, r.Leaf)
		}
		return err
	})
	return log, leaves
}

func (w *world) forkedHead(l *link) (parcel.Frame, bool) {
	log, _ := w.mirrored(l)
	if log.CosignedSize == 0 {
		return parcel.Frame{}, false
	}
	origin := ledger.Origin(l.id, w.liar.chain.ID, 1)
	signers, err := w.liar.keys.LogSigners(w.liar.keys.Version(), origin)
	w.must(err)
	size := 1 + w.r.Int64N(log.Size)
	c, err := ledger.SignCheckpoint(origin, size, envelope.Sum(w.bytes(8)), signers...)
	w.must(err)
	add := ledger.AddCheckpoint{OldSize: min(size, log.CosignedSize), Note: c.Note}
	return parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: add.Encode()}, true
}

func (w *world) forgedLeaf(l *link) (parcel.Frame, bool) {
	log, leaves := w.mirrored(l)
	if log.Size < 4 {
		return parcel.Frame{}, false
	}
	first := log.Size
	at := first - 1
	if w.lie == RewriteLeaf {
		at = w.r.Int64N(log.Size)
		first = at
	}
	leaf, err := ledger.DecodeLeaf(leaves[at])
	w.must(err)
	switch w.lie {
	case RewriteLeaf:
		leaf.Time++
	case BackdateLeaf:
		leaf = &ledger.Leaf{V: 1, Epoch: 1, Index: first, Time: leaf.Time - 3_600_000_000, Kind: ledger.Got, Lane: "network", Seq: 1, Doc: envelope.Sum(w.bytes(8))}
	default:
		leaf = &ledger.Leaf{V: 1, Epoch: 1, Index: first, Time: leaf.Time + 1, Kind: ledger.Got, Lane: "network", Seq: 1, Doc: envelope.Sum(w.bytes(8))}
	}
	data, err := leaf.Encode()
	w.must(err)
	f, err := parcel.EncodeFrame(parcel.FrameLeaves, parcel.LeavesFrame{Epoch: 1, First: first, Leaves: [][]byte{data}})
	w.must(err)
	return f, true
}

// sentBy finds a party's statements in the store of a node, with their headers; not those that were registered.
func sentBy(n *node, l *link, author party.ID, which func(exchange.Parcel) bool) (rows []exchange.Parcel, headers []*parcel.Header) {
	n.look(func(tx flow.Tx) error {
		for _, lane := range statement.Lanes() {
			run, err := tx.ParcelRun(context.Background(), l.id, author, 1, lane, 0, 10_000)
			if err != nil {
				return err
			}
			for _, p := range run {
				if !which(p) {
					continue
				}
				doc, err := tx.Document(context.Background(), p.Header)
				if err != nil {
					return err
				}
				if doc.Type != parcel.HeaderType { // a grant stands for what is registered
					continue
				}
				hd, err := parcel.DecodeHeader(doc.Payload)
				if err != nil {
					return err
				}
				rows, headers = append(rows, p), append(headers, hd)
			}
		}
		return nil
	})
	return rows, headers
}

func (w *world) forgedHeader(l *link) (parcel.Frame, bool) {
	to := l.other(w.liar)
	here := func(lane statement.Lane, seq uint64) bool {
		found := false
		to.look(func(tx flow.Tx) error {
			_, err := tx.ParcelAt(context.Background(), l.id, w.liar.chain.ID, 1, lane, seq)
			found = err == nil
			return nil
		})
		return found
	}
	last := func(lane statement.Lane) (s exchange.LaneState) {
		to.look(func(tx flow.Tx) (err error) {
			s, err = tx.Lane(context.Background(), l.id, w.liar.chain.ID, 1, lane)
			return err
		})
		return s
	}
	rows, headers := sentBy(w.liar, l, w.liar.chain.ID, func(p exchange.Parcel) bool {
		switch s := last(p.Lane); w.lie {
		case SaidOtherwise: // not there yet, and what was before it is
			return !here(p.Lane, p.Seq) && p.Seq == s.Settled+1
		case WrongPrev:
			return p.Seq == s.Settled && !here(p.Lane, p.Seq+1)
		default:
			return here(p.Lane, p.Seq)
		}
	})
	if len(rows) == 0 {
		return parcel.Frame{}, false
	}
	hd := headers[w.r.IntN(len(headers))]
	other := envelope.Sum(w.bytes(8))
	switch w.lie {
	case TwoHeaders:
		hd.Expires++
	case ReuseSequence:
		hd.ID = envelope.NewID()
	case WrongPrev:
		hd.ID, hd.Seq, hd.Prev = envelope.NewID(), hd.Seq+1, &other
	case FloodAhead:
		hd.ID, hd.Seq, hd.Prev = envelope.NewID(), hd.Seq+exchange.Window+1+uint64(w.r.IntN(10_000)), &other
	case SaidOtherwise:
		hd.ID = envelope.NewID()
	}
	payload, err := hd.Encode()
	w.must(err)
	env, err := envelope.Sign(parcel.HeaderType, payload, w.liar.signers()...)
	w.must(err)
	data, err := env.Encode()
	w.must(err)
	return parcel.ParcelFrame{Header: data}.Frame(), true
}

func (w *world) forgedReceipt(l *link) (parcel.Frame, bool) {
	to := l.other(w.liar)
	rows, headers := sentBy(to, l, to.chain.ID, func(p exchange.Parcel) bool {
		switch receipted := p.Received != 0; w.lie {
		case TwoReceipts:
			return receipted
		case ForgedFirst: // the liar's log has another receipt, which is still on its way
			return !receipted && w.receipted(p)
		default:
			return !receipted
		}
	})
	if len(rows) == 0 {
		return parcel.Frame{}, false
	}
	i := w.r.IntN(len(rows))
	p, hd := rows[i], headers[i]
	r := parcel.Receipt{V: 1, Kind: parcel.Received, Link: l.id, From: w.liar.chain.ID, To: to.chain.ID, Header: p.Header, Parcel: p.ID, Root: hd.Root,
		Identity: w.liar.keys.Version(), Epoch: 1, Lane: p.Lane, Seq: p.Seq, ContiguousTo: p.Seq, At: w.liar.now().UnixMicro(),
		Log: parcel.Position{Epoch: 1, Index: 7}}
	other := envelope.Sum(w.bytes(8))
	switch w.lie {
	case OtherParcel:
		r.Root = other
	case FalseStale:
		r.Stale = &other
		if w.r.IntN(2) == 0 { // a receipt of the victim's that shows nothing of the kind
			to.look(func(tx flow.Tx) error {
				found, err := tx.ReceiptsOfMany(context.Background(), w.headersOf(l))
				for _, list := range found {
					for _, x := range list {
						if x.Author == to.chain.ID && (x.Lane != p.Lane || x.ContiguousTo <= p.SeenSeq || x.Log >= p.SentIndex) {
							r.Stale = &x.Hash
						}
					}
				}
				return err
			})
		}
	}
	payload, err := r.Encode()
	w.must(err)
	env, err := envelope.Sign(parcel.ReceiptType, payload, w.liar.signers()...)
	w.must(err)
	data, err := env.Encode()
	w.must(err)
	return parcel.Frame{Kind: parcel.FrameReceipt, Payload: data}, true
}

// receipted says whether the liar's own node gave a receipt of a parcel.
func (w *world) receipted(p exchange.Parcel) (yes bool) {
	w.liar.look(func(tx flow.Tx) error {
		list, err := tx.ReceiptsOf(context.Background(), p.Header)
		yes = len(list) > 0
		return err
	})
	return yes
}

// headersOf are the headers that the liar sent on a link.
func (w *world) headersOf(l *link) (hashes []envelope.Hash) {
	rows, _ := sentBy(w.liar, l, w.liar.chain.ID, func(exchange.Parcel) bool { return true })
	for _, p := range rows {
		hashes = append(hashes, p.Header)
	}
	return hashes
}

// signers are those of the version in force.
func (n *node) signers() []envelope.Signer {
	signers, err := n.keys.SignersOf(n.keys.Version())
	n.w.must(err)
	return signers
}
