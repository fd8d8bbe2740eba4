package flow

import (
	"context"
	"fmt"
	"strings"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// A registered statement is sent twice: its parcel without the keys, and, once the peer has receipted that, a grant with the keys
// and a place of its own in the lane. Files have no place before the grant's, and do not leave.

// checkRegistered refuses what may not be registered. In the control lane nothing is: who takes part, and from when, must not wait
// for a second trip. Nor is anything on a link on which no receipt comes back.
func checkRegistered(a *terms, lane statement.Lane) error {
	switch {
	case a.Oneway():
		return fault.New(fault.Invalid, "registered", "Nothing can be acknowledged on a link that goes one way, so nothing can be registered; send it without.")
	case lane == statement.Control:
		return fault.New(fault.Invalid, "registered", "What is said in the control lane binds as it comes, and cannot be registered; send it without.")
	}
	return nil
}

// withheld is what is kept back of a registered statement, as it lies in the store.
type withheld struct {
	Stanzas [][]byte        `json:"stanzas"`
	Files   []parcel.Header `json:"files,omitempty"` // without a place
}

// withhold takes the keys out of a header.
func (out *outgoing) withhold() {
	out.header.Registered, out.row.File = true, exchange.OfRegistered
	for i := range out.header.Layers {
		out.stanzas = append(out.stanzas, out.header.Layers[i].Stanza)
		out.header.Layers[i].Stanza = nil
	}
}

func (r *reservation) registered() bool { return r.parcels[0].stanzas != nil }

// putWithheld keeps the keys of a registered statement, and the headers of its files.
func putWithheld(ctx context.Context, tx Tx, r *reservation) error {
	if !r.registered() {
		return nil
	}
	kept := withheld{Stanzas: r.parcels[0].stanzas}
	for _, out := range r.parcels[1:] {
		kept.Files = append(kept.Files, out.header)
	}
	data, err := envelope.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encoding the keys of a registered statement: %w", err)
	}
	return tx.PutWithholding(ctx, exchange.Withholding{Parcel: r.parcels[0].row.ID, Link: r.link.ID, Data: data})
}

func decodeWithheld(w exchange.Withholding) (kept withheld, err error) {
	if err = envelope.Unmarshal(w.Data, &kept); err != nil {
		err = fmt.Errorf("reading the keys of a registered statement: %w", err)
	}
	return kept, err
}

// grantBatch bounds the grants of one transaction.
const grantBatch = 16

// grantDue gives every registered statement of ours that the peer has receipted its grant, unless its lane is suspended: then it
// waits. It is idempotent: the keys are kept until the transaction that places the grant.
func (h *House) grantDue(ctx context.Context, link statement.LinkID) error {
	due := func(lane statement.Lane, limit int) (rows []exchange.Withholding, err error) {
		err = h.cfg.Store.View(ctx, func(tx Tx) error {
			rows, err = tx.DueWithholdings(ctx, link, lane, limit)
			return err
		})
		return rows, err
	}
	if rows, err := due("", 1); err != nil || len(rows) == 0 {
		return err
	}
	l, err := h.linkRow(ctx, link)
	if err != nil || frozen(l) {
		return err
	}
	for _, lane := range statement.Lanes() {
		for {
			rows, err := due(lane, grantBatch)
			if err != nil {
				return err
			}
			placed := 0
			if len(rows) > 0 {
				if placed, err = h.grant(ctx, l, lane, rows); err != nil {
					return fmt.Errorf("granting what was registered in the lane %s: %w", lane, err)
				}
			}
			if placed == 0 {
				break
			}
		}
	}
	return nil
}

// grant places the grants of one lane in one transaction, signs them, and makes them due.
func (h *House) grant(ctx context.Context, l exchange.Link, lane statement.Lane, rows []exchange.Withholding) (int, error) {
	var g *granting
	priority := Normal
	if lane == statement.Hotline {
		priority = Urgent
	}
	err := h.cfg.Store.Update(ctx, priority, func(tx Tx) error {
		g = &granting{h: h, tx: tx}
		return g.place(ctx, l, lane, rows)
	})
	if err != nil || !g.moved {
		return 0, err
	}
	for _, blob := range g.blobs {
		h.drop(ctx, blob)
	}
	if err := h.sign(ctx, l.ID, g.documents); err != nil {
		h.cfg.Log.Error("signing; it is tried again at delivery", "link", l.Alias, "err", err)
	}
	h.link(l.ID).signal()
	return len(rows), nil
}

// granting is one transaction that places grants.
type granting struct {
	h     *House
	tx    Tx
	l     exchange.Link
	own   exchange.LaneState
	seen  exchange.LaneState
	book  *book
	blobs []string // sealed content that the peer holds now, or never will
	moved bool     // something was granted, or has expired

	parcels   []exchange.Parcel // grants
	documents []exchange.Document
}

func (g *granting) place(ctx context.Context, l exchange.Link, lane statement.Lane, rows []exchange.Withholding) (err error) {
	if g.l, err = g.tx.Link(ctx, l.ID); err != nil {
		return err
	}
	stand, err := g.h.standing(ctx, g.tx, g.l)
	if err != nil {
		return err
	}
	if g.own, err = g.tx.Lane(ctx, l.ID, g.h.self, g.l.OwnEpoch, lane); err != nil {
		return err
	}
	if g.seen, err = g.tx.Lane(ctx, l.ID, l.Peer, g.l.PeerEpoch, lane); err != nil {
		return err
	}
	if stand.allow(lane) != nil || g.seen.Settled < g.seen.Contiguous {
		return nil // it is tried again when what has come in is settled, or the lane is resumed
	}
	if g.book, err = openBook(ctx, g.tx, l.ID, g.h.self, g.l.OwnEpoch); err != nil {
		return err
	}
	for _, row := range rows {
		if err := g.one(ctx, row); err != nil {
			return err
		}
	}
	for _, put := range []func() error{
		func() error { return g.tx.PutLane(ctx, g.own) },
		func() error { return g.tx.PutParcels(ctx, g.parcels...) },
		func() error { return g.tx.PutDocuments(ctx, g.documents...) },
		func() error { return g.book.close(ctx, g.tx) },
	} {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}

// one places one grant, the files behind it, and the statement.
func (g *granting) one(ctx context.Context, kept exchange.Withholding) error {
	p, err := g.tx.Parcel(ctx, kept.Parcel)
	if err != nil || p.State != exchange.Held || p.Epoch != g.l.OwnEpoch {
		return err
	}
	g.moved = true
	if p.Expires <= g.h.now() { // the peer would refuse the grant
		dropped, err := g.h.lapse(ctx, g.tx, p)
		g.blobs = append(g.blobs, dropped...)
		return err
	}
	back, err := decodeWithheld(kept)
	if err != nil {
		return err
	}
	receipt, err := receivedReceipt(ctx, g.tx, p.Header, g.l.Peer)
	if err != nil {
		return err
	}
	now := g.h.now()
	prev := g.own.LastHeader
	grant := parcel.Grant{V: 1, Link: g.l.ID, From: g.h.self, To: g.l.Peer, Identity: g.book.log.Identity, Epoch: g.l.OwnEpoch, Lane: p.Lane,
		Seq: g.own.Last + 1, Prev: &prev, Index: g.book.log.Size, Seen: parcel.Seen{Epoch: g.l.PeerEpoch, Seq: g.seen.Settled},
		Header: p.Header, Receipt: receipt, Stanzas: back.Stanzas, Created: now}
	payload, err := grant.Encode()
	if err != nil {
		return fmt.Errorf("encoding a grant: %w", err)
	}
	row := exchange.Parcel{ID: parcel.GrantID(p.ID), Link: p.Link, Author: p.Author, Epoch: grant.Epoch, Lane: p.Lane, Seq: grant.Seq,
		File: exchange.OfGrant, Header: envelope.Sum(payload), Text: p.Text, State: exchange.Sending, GotIndex: -1,
		SeenEpoch: grant.Seen.Epoch, SeenSeq: grant.Seen.Seq, Created: now, Expires: p.Expires}
	pos, err := g.book.enter(now, ledger.GrantLeaf, p.Lane, grant.Seq, row.Header)
	if err != nil {
		return err
	}
	row.SentIndex = pos.index
	g.own.Last, g.own.LastHeader = grant.Seq, row.Header
	g.parcels = append(g.parcels, row)
	g.documents = append(g.documents, exchange.Document{Hash: row.Header, Link: g.l.ID, Type: parcel.GrantType, Payload: payload})
	if err := g.files(ctx, back.Files); err != nil {
		return err
	}
	if p.Blob != "" {
		g.blobs = append(g.blobs, p.Blob)
	}
	p.State, p.Content, p.Blob = exchange.Granted, nil, ""
	for _, put := range []func() error{
		func() error { return g.tx.UpdateParcels(ctx, p) },
		func() error { return g.tx.DropSegments(ctx, p.ID) },
		func() error { return g.tx.PlaceStatement(ctx, p.Text, row.ID, row.Epoch, row.Seq) },
		func() error { return g.tx.DropWithholding(ctx, p.ID) },
		func() error { return g.h.audit(ctx, g.tx, "system", "grant", p.Text.String()) },
	} {
		if err := put(); err != nil {
			return err
		}
	}
	return nil
}

// files gives the files of a granted statement their places in the ledger.
func (g *granting) files(ctx context.Context, headers []parcel.Header) error {
	for _, hd := range headers {
		row, err := g.tx.Parcel(ctx, hd.ID)
		if err != nil {
			return err
		}
		out := &outgoing{header: hd, row: row}
		if err := g.h.place(g.book, &g.own, g.seen, g.l, out); err != nil {
			return err
		}
		out.row.State = exchange.Sending
		if err := g.tx.UpdateParcels(ctx, out.row); err != nil {
			return err
		}
		g.documents = append(g.documents, exchange.Document{Hash: out.row.Header, Link: g.l.ID, Type: parcel.HeaderType, Payload: out.payload})
	}
	return nil
}

// receivedReceipt is the hash of a party's received receipt for a parcel; NotFound if it gave none.
func receivedReceipt(ctx context.Context, tx Tx, header, by envelope.Hash) (envelope.Hash, error) {
	rows, err := tx.ReceiptsOf(ctx, header)
	if err != nil {
		return envelope.Hash{}, err
	}
	for _, r := range rows {
		if r.Author == by && r.Kind == string(parcel.Received) {
			return r.Hash, nil
		}
	}
	return envelope.Hash{}, fault.New(fault.NotFound, "receipt", "There is no such receipt.")
}

// neverGranted ends what was kept back of a registered statement that nobody will read, since the peer refused its parcel or it
// expired. Its files end in the state; it returns their sealed bytes.
func (h *House) neverGranted(ctx context.Context, tx Tx, p exchange.Parcel, state exchange.ParcelState, reason string) (blobs []string, err error) {
	kept, err := tx.Withholding(ctx, p.ID)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	back, err := decodeWithheld(kept)
	if err != nil {
		return nil, err
	}
	for _, hd := range back.Files {
		row, err := tx.Parcel(ctx, hd.ID)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, row.Blob)
		row.State, row.Reason, row.Content, row.Blob = state, reason, nil, ""
		if err := tx.UpdateParcels(ctx, row); err != nil {
			return nil, err
		}
		if err := tx.DropSegments(ctx, hd.ID); err != nil {
			return nil, err
		}
	}
	return blobs, tx.DropWithholding(ctx, p.ID)
}

// described is the header that a document of ours describes to who receipts it: a header, or the registered one of a grant.
func described(ctx context.Context, tx Tx, doc paper) (*parcel.Header, error) {
	g := doc.grant
	switch {
	case doc.header != nil:
		return doc.header, nil
	case g == nil:
		return nil, fmt.Errorf("a parcel's document is no header and no grant")
	}
	registered, err := tx.Document(ctx, g.Header)
	if err != nil {
		return nil, err
	}
	hd, err := parcel.DecodeHeader(registered.Payload)
	if err != nil {
		return nil, err
	}
	return g.At(hd), nil
}

// predecessor is what a document of a lane cites as the one before it.
func predecessor(doc exchange.Document) (*envelope.Hash, error) {
	if doc.Type == parcel.GrantType {
		g, err := parcel.DecodeGrant(doc.Payload)
		if err != nil {
			return nil, fmt.Errorf("reading a stored grant: %w", err)
		}
		return g.Prev, nil
	}
	hd, err := parcel.DecodeHeader(doc.Payload)
	if err != nil {
		return nil, fmt.Errorf("reading a stored header: %w", err)
	}
	return hd.Prev, nil
}

// sort is what the row of an arrival stands for.
func (a *arrival) sort() int {
	switch {
	case a.grant != nil:
		return exchange.OfGrant
	case a.header.Registered:
		return exchange.OfRegistered
	case a.header.File != nil:
		return a.header.File.Position
	}
	return exchange.OfStatement
}

// roomToHold checks the place of a registered parcel, and that not too many wait for their grants: no window bounds these.
func (w *accepting) roomToHold(ctx context.Context, a *arrival, lane *arrivalLane) (stop bool, err error) {
	if w.held < 0 {
		rows, err := w.tx.ParcelsIn(ctx, w.l.ID, w.l.Peer, exchange.Held, exchange.Parcel{}, maxWaiting)
		if err != nil {
			return true, err
		}
		w.held = len(rows)
	}
	if w.held >= maxWaiting {
		a.broken = fault.New(fault.Exhausted, "waiting", "Too many registered statements wait for their grants; send these first.")
		return true, nil
	}
	if stop, err = w.sequence(ctx, a, lane); !stop && err == nil {
		w.held++
	}
	return stop, err
}

// openGrant decodes and verifies a grant of the peer.
func (in *intake) openGrant(signed signedBy, data []byte) (*envelope.Envelope, *parcel.Grant, *fault.Error) {
	env, g, broken := openSigned(in.h, signed, data, "grant", parcel.GrantType, parcel.DecodeGrant, func(g *parcel.Grant) int { return g.Identity })
	if broken == nil && (g.Link != in.l.ID || g.From != in.l.Peer || g.To != in.h.self) {
		return nil, nil, fault.New(fault.Forbidden, "addressee", "The grant is not for this link and these parties.")
	}
	return env, g, broken
}

// examineGrant checks a grant in the order of docs/spec/parcel.md: form, signature, link, the registered parcel and our receipt for
// it; and opens the statement.
func (in *intake) examineGrant(ctx context.Context, a *arrival) {
	env, g, broken := in.openGrant(in.signer(ctx, ledger.GrantLeaf), a.frame.Payload)
	if broken != nil {
		a.broken = broken
		return
	}
	if g.Epoch != in.l.PeerEpoch {
		a.broken = fault.New(fault.Conflict, "epoch", "The grant is of an epoch that is not open here.")
		return
	}
	a.env, a.grant, a.hash = env, g, envelope.Sum(env.Payload)
	unlocked, broken := in.grantOf(ctx, a)
	if broken != nil {
		a.broken = broken
		return
	}
	switch {
	case a.held.State == exchange.Lapsed || a.held.State == exchange.Held && a.held.Expires <= in.h.now():
		a.refusal = "expired"
		return
	case a.held.State != exchange.Held:
		return // a replay, or a second grant: the transaction knows which
	}
	src, done, err := in.h.content(ctx, *a.held)
	if err != nil {
		a.broken = fault.Wrap(fault.Unavailable, "open", "The statement could not be opened now; nothing was lost.", err)
		return
	}
	defer done()
	if a.content, a.text, a.rejected, err = in.h.open(ctx, in.l, unlocked, src); err != nil {
		a.broken = fault.Wrap(fault.Unavailable, "open", "The statement could not be opened now; nothing was lost.", err)
	}
	if a.rejected == "" && err == nil {
		a.body, a.wrapped, a.broken = in.h.restBody(a.content, unlocked.Text)
	}
}

// grantOf finds the registered parcel of a grant, checks that the grant cites our receipt for it, and returns its header to open with.
// A citation of a receipt that we never gave is evidence.
func (in *intake) grantOf(ctx context.Context, a *arrival) (*parcel.Header, *fault.Error) {
	var doc exchange.Document
	var held exchange.Parcel
	var receipt envelope.Hash
	err := in.h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if held, err = tx.ParcelByHeader(ctx, a.grant.Header); err != nil {
			return err
		}
		if doc, err = tx.Document(ctx, a.grant.Header); err != nil {
			return err
		}
		if receipt, err = receivedReceipt(ctx, tx, a.grant.Header, in.h.self); notFound(err) {
			err = nil // it arrives, or was refused
		}
		return err
	})
	switch {
	case notFound(err) || err == nil && (held.Link != in.l.ID || held.Author != in.l.Peer):
		return nil, fault.New(fault.Conflict, "grant_early", "The registered parcel of this grant is not known here; send it first.")
	case err != nil:
		return nil, fault.Wrap(fault.Unavailable, "store", "The grant could not be looked at now; nothing was lost.", err)
	}
	unlocked, err := a.grant.Unlock(doc.Payload)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "grant", "The grant does not fit its parcel: "+plain(err)+".", err)
	}
	if receipt.IsZero() || receipt != a.grant.Receipt {
		err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
			return in.h.evidence(ctx, tx, in.l.ID, "grant_receipt", "The peer signed a grant that cites a receipt which we did not give.", a.frame.Payload)
		})
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "store", "The grant could not be looked at now; nothing was lost.", err)
		}
		return nil, fault.New(fault.Forbidden, "grant_receipt", "The grant cites a receipt that was not given; it is kept as evidence.")
	}
	a.held, a.header = &held, a.grant.At(unlocked)
	return unlocked, nil
}

// The keys of a registered statement, as people see how far they have come.
const (
	KeyWithheld = "withheld" // ours: the peer has not acknowledged the parcel
	KeyDue      = "due"      // ours: acknowledged; the key follows at once, or when the lane is no longer suspended
	KeySent     = "sent"     // ours: acknowledged, and the key is on its way
	KeyAwaited  = "awaited"  // theirs: acknowledged by us, and the key has not come
	KeyTaken    = "taken"    // the addressee has the key
	KeyRefused  = "refused"  // the parcel or its grant was refused: nobody reads it
	KeyLapsed   = "lapsed"   // the statement expired before its key was given: nobody reads it
)

// RegisteredView is a registered statement's parcel, and how far its key has come.
type RegisteredView struct {
	Parcel       envelope.ID
	Header       envelope.Hash
	Acknowledged int64 // time of the received receipt; 0 until it is known
	Key          string
}

// registeredOf shows the registered parcel of a statement whose row names it or its grant; nil if it is not registered.
func registeredOf(ctx context.Context, tx Tx, p exchange.Parcel, ours bool, now int64) (*RegisteredView, error) {
	registered := p
	switch p.File {
	case exchange.OfRegistered:
	case exchange.OfGrant:
		doc, err := tx.Document(ctx, p.Header)
		if err != nil {
			return nil, err
		}
		g, err := parcel.DecodeGrant(doc.Payload)
		if err != nil {
			return nil, fmt.Errorf("reading a stored grant: %w", err)
		}
		if registered, err = tx.ParcelByHeader(ctx, g.Header); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	v := &RegisteredView{Parcel: registered.ID, Header: registered.Header, Key: KeyTaken}
	if registered.State != exchange.Refused {
		v.Acknowledged = registered.Received
	}
	switch {
	case p.State == exchange.Refused:
		v.Key = KeyRefused
	case p.File == exchange.OfRegistered && p.Expires <= now:
		v.Key = KeyLapsed
	case p.State == exchange.Held && ours:
		v.Key = KeyDue
	case p.State == exchange.Held:
		v.Key = KeyAwaited
	case p.File == exchange.OfRegistered:
		v.Key = KeyWithheld
	case p.State == exchange.Sending:
		v.Key = KeySent
	}
	return v, nil
}

// awaited shows what may be known of a statement whose key has not come, or came too late.
func awaited(p exchange.Parcel, names map[statement.LinkID]string, now int64) StatementView {
	key := KeyAwaited
	if p.Expires <= now {
		key = KeyLapsed
	}
	return StatementView{
		Statement: exchange.Statement{Commitment: p.Text, Link: p.Link, Author: p.Author, Lane: p.Lane, Epoch: p.Epoch, Seq: p.Seq,
			Thread: p.Text, Authored: p.Created, Parcel: p.ID},
		LinkAlias: names[p.Link], Parcel: p, Verdict: p.Verdict,
		Registered: &RegisteredView{Parcel: p.ID, Header: p.Header, Acknowledged: p.Received, Key: key},
	}
}

// findAwaited finds by the first digits of its commitment what waits for its key.
func (h *House) findAwaited(ctx context.Context, tx Tx, name string) (exchange.Parcel, error) {
	missing := fault.New(fault.NotFound, "statement", "There is no such statement here.")
	if !prefixForm.MatchString(name) {
		return exchange.Parcel{}, missing
	}
	rows, err := tx.HeldParcels(ctx, nil, h.self, maxList)
	if err != nil {
		return exchange.Parcel{}, err
	}
	for _, p := range rows {
		if strings.HasPrefix(p.Text.String(), name) {
			return p, nil
		}
	}
	return exchange.Parcel{}, missing
}
