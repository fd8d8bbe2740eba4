package flow

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
)

// Bounds of one answer to a peer that catches up.
const (
	givePage  = 64      // statements
	giveBytes = 1 << 20 // from which an answer ends
	giveRun   = 1024    // leaves
)

// ask answers a peer that opened a new epoch: with statements of a lane, whose content is sealed anew, or with leaves. Files go as
// parcels of their own.
func (in *intake) ask(ctx context.Context, f parcel.Frame) error {
	var a parcel.AskFrame
	if err := parcel.DecodeFrame(f, parcel.FrameAsk, &a); err != nil {
		in.refuse(nil, "ask", "What is asked for is malformed: "+plain(err)+".")
		return nil
	}
	l, err := in.h.linkRow(ctx, in.l.ID)
	if err != nil {
		return err
	}
	if a.Epochs.Own != l.PeerEpoch || a.Epochs.Peer != l.OwnEpoch {
		in.refuse(nil, codeEpoch, "Epochs are named that are not open here.")
		return nil
	}
	in.l = l
	g := &giving{h: in.h, l: l, to: in.kin.stands.Latest().Suites, version: in.kin.stands.Latest().Version,
		frame: parcel.GivenFrame{Epochs: parcel.Epochs{Own: l.OwnEpoch, Peer: l.PeerEpoch}, Lane: a.Lane}}
	if a.Lane != nil {
		if err := in.h.settle(ctx, l.ID, func(p exchange.Parcel) bool { return p.File < 0 }); err != nil { // what is not opened cannot be given
			in.h.cfg.Log.Warn("settling before giving back", "link", l.Alias, "err", err)
		}
		if err := g.lane(ctx, *a.Lane); err != nil {
			return err
		}
		if g.registered && len(g.frame.Items) == 0 {
			in.refuse(nil, "registered", "What comes next in this lane was registered, and cannot be given back.")
			return nil
		}
	}
	for _, header := range a.Headers {
		if err := g.one(ctx, header); err != nil {
			return err
		}
	}
	if a.Log != nil {
		if err := g.log(ctx, *a.Log); err != nil {
			return err
		}
	}
	if len(a.Files) > 0 {
		if err := in.askFiles(ctx, g, a.Files); err != nil {
			return err
		}
	}
	return in.answerFrame(parcel.FrameGiven, g.frame)
}

// giving is one answer in the making.
type giving struct {
	h       *House
	l       exchange.Link
	to      []envelope.SuiteKeys
	version int
	frame   parcel.GivenFrame
	bytes   int

	registered bool // the lane goes on with what cannot be given back
}

// held is what we hold of one statement.
type heldStatement struct {
	row      exchange.Parcel
	docs     []exchange.Document // the header's, then its receipts'
	said     exchange.Statement
	sealed   []byte // at rest
	wrapped  []byte
	readable bool
}

// lane gives a lane's statements in sequence. It stops before one of the peer's that we have not opened yet.
func (g *giving) lane(ctx context.Context, at parcel.LaneAfter) error {
	var page []heldStatement
	g.frame.Next = at.After
	err := g.h.cfg.Store.View(ctx, func(tx Tx) error {
		page, g.frame.Done, g.frame.Next, g.registered = nil, false, at.After, false
		run, err := tx.ParcelRun(ctx, g.l.ID, at.Author, at.Epoch, at.Lane, at.After, givePage)
		if err != nil {
			return err
		}
		for _, p := range run {
			if p.Author == g.l.Peer && p.State == exchange.Received {
				return nil
			}
			if p.Received != 0 && p.File != exchange.OfStatement { // registered: it cannot be given back
				g.registered = true
				return nil
			}
			if p.Received != 0 || p.State.Ended() {
				s, err := g.read(ctx, tx, p)
				if err != nil {
					return err
				}
				page = append(page, s)
			}
			g.frame.Next = p.Seq
		}
		g.frame.Done = len(run) < givePage
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range page {
		if g.bytes >= giveBytes {
			g.frame.Next, g.frame.Done = s.row.Seq-1, false
			return nil
		}
		if err := g.item(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// one gives a statement of ours whose content the peer lost before it opened it.
func (g *giving) one(ctx context.Context, header envelope.Hash) error {
	if g.bytes >= giveBytes {
		return nil // it asks again
	}
	var s heldStatement
	err := g.h.cfg.Store.View(ctx, func(tx Tx) error {
		p, err := tx.ParcelByHeader(ctx, header)
		if err != nil {
			return err
		}
		if p.Author != g.h.self || p.Link != g.l.ID || p.File != exchange.OfStatement {
			return fault.New(fault.NotFound, "parcel", "There is no such parcel of ours.")
		}
		s, err = g.read(ctx, tx, p)
		return err
	})
	if notFound(err) || err == nil && !s.readable && s.said.Erased == 0 {
		g.frame.Absent = append(g.frame.Absent, header)
		return nil
	}
	if err != nil {
		return err
	}
	return g.item(ctx, s)
}

// read collects what we hold of a statement.
func (g *giving) read(ctx context.Context, tx Tx, p exchange.Parcel) (heldStatement, error) {
	s := heldStatement{row: p}
	receipts, err := tx.ReceiptsOf(ctx, p.Header)
	if err != nil {
		return s, err
	}
	hashes := []envelope.Hash{p.Header}
	for _, r := range receipts {
		if r.Author != p.Author {
			hashes = append(hashes, r.Hash)
		}
	}
	docs, err := tx.Documents(ctx, hashes)
	if err != nil {
		return s, err
	}
	for _, hash := range hashes {
		s.docs = append(s.docs, docs[hash])
	}
	if p.State == exchange.Refused || p.State == exchange.Rejected {
		return s, nil
	}
	if s.said, err = tx.Statement(ctx, p.Text); err != nil {
		return s, err
	}
	if s.said.Erased != 0 {
		return s, nil
	}
	s.sealed, s.wrapped, err = tx.Body(ctx, p.Text)
	if notFound(err) {
		return s, nil
	}
	s.readable = err == nil
	return s, err
}

// item seals a statement's content for the peer, and adds it with its header and receipts as they were signed.
func (g *giving) item(ctx context.Context, s heldStatement) error {
	if err := g.h.sign(ctx, g.l.ID, s.docs); err != nil {
		return err
	}
	var item parcel.GivenItem
	for i, doc := range s.docs {
		env := envelope.Envelope{PayloadType: doc.Type, Payload: doc.Payload, Signatures: doc.Signatures}
		data, err := env.Encode()
		if err != nil {
			return fmt.Errorf("giving back a document: %w", err)
		}
		g.bytes += len(data)
		if i == 0 {
			item.Header = data
		} else if len(item.Receipts) < 8 {
			item.Receipts = append(item.Receipts, data)
		}
	}
	hd, err := parcel.DecodeHeader(s.docs[0].Payload)
	if err != nil {
		return fmt.Errorf("reading a stored header: %w", err)
	}
	switch {
	case s.readable:
		content, _, err := g.h.unlock(s.sealed, s.wrapped, s.said.Commitment)
		if err != nil {
			return err
		}
		encoded, err := content.Encode()
		if err != nil {
			return err
		}
		var buf bytes.Buffer
		item.Padding, item.Version = parcel.PaddingClass(len(encoded)), g.version
		sealed, err := parcel.SealContent(g.h.cfg.Registry, &buf, encoded, g.to, hd.Context())
		if err != nil {
			return fmt.Errorf("sealing a statement anew: %w", err)
		}
		item.Layers, item.Sealed = sealed.Layers, buf.Bytes()
	case len(s.said.Text) > 0:
		salt := s.said.TextSalt
		item.Text, item.TextSalt = s.said.Text, &salt
	}
	g.bytes += len(item.Sealed) + len(item.Text)
	g.frame.Items = append(g.frame.Items, item)
	return nil
}

// log gives leaves of a log of an epoch that has ended, as far as the other party cosigned it.
func (g *giving) log(ctx context.Context, at parcel.LogFrom) error {
	if at.Party != g.h.self && at.Party != g.l.Peer || at.Epoch >= g.h.epochOf(g.l, at.Party) {
		return nil
	}
	return g.h.cfg.Store.View(ctx, func(tx Tx) error {
		g.frame.Log = nil
		log, err := tx.Log(ctx, g.l.ID, at.Party, at.Epoch)
		if err != nil || at.From >= min(log.CosignedSize, log.Size) || log.CosignedSize > log.Size {
			return err
		}
		end := min(at.From+giveRun, log.CosignedSize)
		rows, err := tx.Leaves(ctx, g.l.ID, at.Party, at.Epoch, at.From, int(end-at.From))
		if err != nil {
			return err
		}
		given := &parcel.GivenLog{LogFrom: at, Size: log.CosignedSize}
		for _, r := range rows {
			given.Leaves = append(given.Leaves, r.Leaf)
		}
		path, err := ledger.ProveConsistency(end, log.CosignedSize, tx.HashReader(ctx, g.l.ID, at.Party, at.Epoch))
		for _, hash := range path {
			given.Proof = append(given.Proof, envelope.Hash(hash))
		}
		g.frame.Log = given
		return err
	})
}

// askFiles notes which files are to be given back, and says at once which are not here. A file of the peer that never came is lost
// to both.
func (in *intake) askFiles(ctx context.Context, g *giving, files []parcel.AskedFile) error {
	var owed []parcel.AskedFile
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		owed, g.frame.AbsentFiles = nil, nil
		sending, err := in.h.filesUnderWay(ctx, tx, g.l)
		if err != nil {
			return err
		}
		for _, asked := range files {
			if sending[asked] {
				continue
			}
			said, err := tx.Statement(ctx, asked.Statement)
			if err != nil && !notFound(err) {
				return err
			}
			held, err := tx.Files(ctx, asked.Statement)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(held, func(f exchange.File) bool { return f.Position == asked.Position })
			if i >= 0 && said.Link == g.l.ID && held[i].State == "stored" {
				owed = append(owed, asked)
				continue
			}
			g.frame.AbsentFiles = append(g.frame.AbsentFiles, asked)
			if i >= 0 && said.Author == g.l.Peer && (held[i].State == "waiting" || held[i].State == fileLost) {
				held[i].State, held[i].Reason = "failed", fileLost
				if err := tx.PutFiles(ctx, held[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := in.state
	s.mu.Lock()
	for _, asked := range owed {
		if len(s.owed) < maxWants {
			s.owed[asked] = true
		}
	}
	s.mu.Unlock()
	in.h.stir(g.l.ID)
	return nil
}

// giveFiles seals the files that the peer asked for anew, each as a parcel of its own in our ledger.
func (h *House) giveFiles(ctx context.Context, l exchange.Link) error {
	s := h.link(l.ID)
	s.mu.Lock()
	owed := slices.SortedFunc(maps.Keys(s.owed), func(a, b parcel.AskedFile) int {
		return cmp.Or(bytes.Compare(a.Statement[:], b.Statement[:]), cmp.Compare(a.Position, b.Position))
	})
	s.mu.Unlock()
	for _, asked := range owed {
		if err := h.sealAgain(ctx, l, asked, nil); err != nil {
			return fmt.Errorf("giving back file %d of %s: %w", asked.Position, asked.Statement, err)
		}
		s.mu.Lock()
		delete(s.owed, asked)
		s.mu.Unlock()
	}
	return nil
}

// filesUnderWay are the files that we are sending, by their places.
func (h *House) filesUnderWay(ctx context.Context, tx Tx, l exchange.Link) (map[parcel.AskedFile]bool, error) {
	found := map[parcel.AskedFile]bool{}
	for _, state := range []exchange.ParcelState{exchange.Sending, exchange.Received, exchange.Unsaid} {
		rows, err := tx.ParcelsIn(ctx, l.ID, h.self, state, exchange.Parcel{}, 1<<20)
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			if p.File >= 0 {
				found[parcel.AskedFile{Statement: p.Text, Position: p.File}] = true
			}
		}
	}
	return found, nil
}
