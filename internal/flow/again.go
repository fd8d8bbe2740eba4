package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// goOn does what is left to do in a new epoch, ours or the peer's.
func (h *House) goOn(ctx context.Context, link statement.LinkID) error {
	l, err := h.linkRow(ctx, link)
	if err != nil || l.Catching != exchange.CaughtUp || l.OwnEpoch+l.PeerEpoch == 2*ledger.FirstEpoch {
		return err
	}
	return errors.Join(h.sayAgain(ctx, l), h.giveFiles(ctx, l))
}

// sayAgain gives what the peer never had of a former epoch a place in the present one: the same text under the same commitment,
// sealed anew. What may not be said any more, as in a lane that was suspended meanwhile, ends as refused.
func (h *House) sayAgain(ctx context.Context, l exchange.Link) error {
	var rows []exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.ParcelsIn(ctx, l.ID, h.self, exchange.Unsaid, exchange.Parcel{}, pageOfParcels)
		return err
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	rows = slices.DeleteFunc(rows, func(p exchange.Parcel) bool { return p.File < exchange.OfStatement }) // its keys are of the former epoch
	slices.SortStableFunc(rows, func(a, b exchange.Parcel) int {                                          // statements before files, each lane in its order
		return cmp.Or(cmp.Compare(min(a.File, 0), min(b.File, 0)), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Seq, b.Seq))
	})
	for _, p := range rows {
		if p.File >= 0 {
			err = h.sealAgain(ctx, l, parcel.AskedFile{Statement: p.Text, Position: p.File}, &p)
		} else {
			err = h.sayOneAgain(ctx, l, p)
		}
		if err != nil {
			return fmt.Errorf("saying %s again: %w", p.Text, err)
		}
		if p.Blob != "" {
			h.drop(ctx, p.Blob)
		}
	}
	h.link(l.ID).signal()
	return nil
}

func (h *House) sayOneAgain(ctx context.Context, l exchange.Link, p exchange.Parcel) error {
	said, content, key, err := h.ownWords(ctx, p.Text)
	if err != nil {
		return err
	}
	w, err := h.sealer(ctx, l, key)
	if err != nil {
		return err
	}
	defer w.blobs.release()
	encoded, err := content.Encode()
	if err != nil {
		return err
	}
	out, err := w.content(ctx, encoded)
	if err != nil {
		return err
	}
	out.header.Text, out.row.Text = p.Text, p.Text
	out.header.Lane, out.row.Lane = p.Lane, p.Lane
	r := &reservation{link: l, who: "node", commitment: p.Text, row: said, parcels: []*outgoing{out}, former: &p.ID}
	r.row.Parcel = out.header.ID
	if r.text, err = statement.DecodeText(said.Text); err != nil {
		return fmt.Errorf("reading a stored text: %w", err)
	}
	err = h.reserve(ctx, []*reservation{r})[0]
	if kind := fault.KindOf(err); err != nil && (kind == fault.Conflict || kind == fault.Forbidden) && fault.CodeOf(err) != LinkCatchingUp {
		if out.row.Blob != "" {
			h.drop(ctx, out.row.Blob)
		}
		return h.neverSaid(ctx, p, fault.CodeOf(err))
	}
	return err
}

// neverSaid ends a statement of ours that waited to be said again and may not be said any more.
func (h *House) neverSaid(ctx context.Context, p exchange.Parcel, reason string) error {
	h.cfg.Log.Warn("a statement of a former epoch cannot be said again", "statement", p.Text, "reason", reason)
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		row, err := tx.Parcel(ctx, p.ID)
		if err != nil {
			return err
		}
		row.State, row.Reason, row.Content, row.Blob = exchange.Refused, reason, nil, ""
		return tx.UpdateParcels(ctx, row)
	})
}

// ownWords reads a statement with its content and its key at rest.
func (h *House) ownWords(ctx context.Context, c statement.Commitment) (said exchange.Statement, content *statement.Content, key []byte, err error) {
	var sealed, wrapped []byte
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if said, err = tx.Statement(ctx, c); err != nil {
			return err
		}
		sealed, wrapped, err = tx.Body(ctx, c)
		return err
	})
	if err != nil {
		return said, nil, nil, err
	}
	content, key, err = h.unlock(sealed, wrapped, c)
	return said, content, key, err
}

func (h *House) sealer(ctx context.Context, l exchange.Link, key []byte) (*sealing, error) {
	agreement, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	peer, err := h.PeerChain(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	return &sealing{h: h, link: l, to: peer.Latest(), agreement: agreement, key: key, blobs: h.hold()}, nil
}

// sealAgain seals a stored file for the peer in a parcel of its own, in place of a former one of ours if there is one. What is sealed
// of a file of ours takes the place of our copy.
func (h *House) sealAgain(ctx context.Context, l exchange.Link, asked parcel.AskedFile, former *exchange.Parcel) error {
	said, _, key, err := h.ownWords(ctx, asked.Statement)
	if notFound(err) { // erased meanwhile: there is nothing to give
		return h.dropFormer(ctx, former)
	}
	if err != nil {
		return err
	}
	var file exchange.File
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.Files(ctx, asked.Statement)
		for _, f := range files {
			if f.Position == asked.Position {
				file = f
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if file.State != "stored" || said.Link != l.ID || former != nil && h.neverWill(ctx, said.Parcel) {
		return h.dropFormer(ctx, former)
	}
	w, err := h.sealer(ctx, l, key)
	if err != nil {
		return err
	}
	defer w.blobs.release()
	out, err := w.again(ctx, said, file)
	if err != nil {
		return err
	}
	if err := h.placeFile(ctx, l, out, former); err != nil {
		return err
	}
	if out.file != nil {
		h.drop(ctx, file.Blob)
	}
	return nil
}

// neverWill says whether a statement's parcel was refused or rejected: its files have nothing to belong to.
func (h *House) neverWill(ctx context.Context, id envelope.ID) bool {
	var p exchange.Parcel
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		p, err = tx.Parcel(ctx, id)
		return err
	})
	return err == nil && (p.State == exchange.Refused || p.State == exchange.Rejected)
}

// again streams a stored file into a new parcel for the peer.
func (w *sealing) again(ctx context.Context, said exchange.Statement, file exchange.File) (*outgoing, error) {
	fail := func(err error) (*outgoing, error) { return nil, fmt.Errorf("sealing a file anew: %w", err) }
	if err := w.h.cfg.Blobs.Reserve(file.Size); err != nil {
		return nil, err
	}
	held, err := w.h.cfg.Blobs.Open(ctx, file.Blob)
	if err != nil {
		return fail(err)
	}
	defer held.Close()
	plain, err := w.h.openRest(w.key, file, w.link.Peer, held)
	if err != nil {
		return fail(err)
	}
	hd := w.header()
	hd.Lane, hd.Text, hd.File = said.Lane, said.Commitment, &parcel.FileRef{Position: file.Position}
	blob, err := w.h.cfg.Blobs.Create(ctx)
	if err != nil {
		return fail(err)
	}
	defer blob.Close()
	sealed, err := parcel.SealFile(w.h.cfg.Registry, blob, plain, w.to.Suites, hd.Context())
	if err != nil {
		return fail(err)
	}
	fill(&hd, sealed)
	out := &outgoing{header: hd, row: w.row(hd)}
	out.row.File, out.row.Lane, out.row.Text = file.Position, hd.Lane, hd.Text
	if err := w.commit(blob, out, sealed); err != nil {
		return fail(err)
	}
	if said.Author != w.h.self {
		return out, nil
	}
	file.Author, file.Parcel, file.Blob, file.FLOE = w.h.self, hd.ID, out.row.Blob, nil
	if file.Keys, err = lockKeys(w.key, file.Position, sealed); err != nil {
		return fail(err)
	}
	out.file = &file
	return out, nil
}

// placeFile gives a file's parcel its leaf, and drops the former one.
func (h *House) placeFile(ctx context.Context, l exchange.Link, out *outgoing, former *exchange.Parcel) error {
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		l, err := tx.Link(ctx, l.ID)
		if err != nil {
			return err
		}
		if frozen(l) {
			return frozenFault(l)
		}
		b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
		if err != nil {
			return err
		}
		placed := *out
		if err := h.place(b, &exchange.LaneState{}, exchange.LaneState{}, l, &placed); err != nil {
			return err
		}
		if former != nil {
			if err := tx.DropParcels(ctx, former.ID); err != nil {
				return err
			}
		}
		if err := tx.PutParcels(ctx, placed.row); err != nil {
			return err
		}
		for n, leaf := range placed.segments {
			if _, err := tx.PutSegment(ctx, placed.row.ID, int64(n), leaf); err != nil {
				return err
			}
		}
		doc := exchange.Document{Hash: placed.row.Header, Link: l.ID, Type: parcel.HeaderType, Payload: placed.payload}
		if err := tx.PutDocuments(ctx, doc); err != nil {
			return err
		}
		if err := replaceCopy(ctx, tx, placed.file); err != nil {
			return err
		}
		return b.close(ctx, tx)
	})
	if err == nil {
		h.link(l.ID).signal()
	}
	return err
}

// replaceCopy makes what was sealed anew our copy of a file, unless it was erased meanwhile.
func replaceCopy(ctx context.Context, tx Tx, file *exchange.File) error {
	if file == nil {
		return nil
	}
	said, err := tx.Statement(ctx, file.Statement)
	if err != nil {
		return err
	}
	if said.Erased != 0 {
		return fault.New(fault.Conflict, fileErased, "The statement was erased while its file was sealed anew.")
	}
	return tx.PutFiles(ctx, *file)
}

func (h *House) dropFormer(ctx context.Context, former *exchange.Parcel) error {
	if former == nil {
		return nil
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.DropParcels(ctx, former.ID) })
}

// sealedAnew says whether a file's parcel that its statement does not name may stand for the one that it names: after an epoch was
// opened, for a file that is not here.
func (h *House) sealedAnew(ctx context.Context, l exchange.Link, p exchange.Parcel) (wanted bool, err error) {
	if l.OwnEpoch+l.PeerEpoch == 2*ledger.FirstEpoch {
		return false, nil
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.Files(ctx, p.Text)
		for _, f := range files {
			wanted = wanted || f.Position == p.File && f.State != "stored" && f.State != fileErasing && f.State != fileErased
		}
		return err
	})
	return wanted, err
}

// EpochsView is what people see of the epochs of a link.
type EpochsView struct {
	Progress Progressed // of catching up; zero unless it is under way
	Ended    []EndedEpoch
	Unknown  []UnknownRange // of our own, what the peer never had and we have forgotten
}

// Progressed is how far catching up has come, in statements.
type Progressed struct {
	Known bool // the peer has said what it holds
	Done  uint64
	Total uint64
}

// EndedEpoch is a former epoch of a party.
type EndedEpoch struct {
	Ours     bool
	Epoch    uint32
	Size     int64 // leaves that we hold
	Cosigned int64
}

// UnknownRange is what we may have said in a former epoch and neither party holds any more, both ends included; To is 0 where nobody
// can know how far we had come.
type UnknownRange struct {
	Epoch    uint32
	Lane     statement.Lane
	From, To uint64
}

// showEpochs fills in what there is to see of former epochs.
func (h *House) showEpochs(ctx context.Context, tx Tx, v *LinkView) error {
	l := v.Link
	switch l.Catching {
	case exchange.ReadOnly:
		v.State = LinkRestored
		return nil
	case exchange.Frozen:
		v.State = LinkCatchingUp
	}
	if l.OwnEpoch+l.PeerEpoch == 2*ledger.FirstEpoch {
		return nil
	}
	logs, err := tx.Logs(ctx, l.ID)
	if err != nil {
		return err
	}
	for _, log := range logs {
		if log.Epoch < h.epochOf(l, log.Party) {
			v.Epochs.Ended = append(v.Epochs.Ended, EndedEpoch{log.Party == h.self, log.Epoch, log.Size, log.CosignedSize})
		}
	}
	if l.Catching != exchange.CaughtUp {
		return h.showProgress(ctx, tx, v)
	}
	return h.showUnknown(ctx, tx, v)
}

func (h *House) showProgress(ctx context.Context, tx Tx, v *LinkView) error {
	s := h.link(v.ID)
	s.mu.Lock()
	c := s.catch
	s.mu.Unlock()
	if c.account == nil {
		return nil
	}
	p := Progressed{Known: true}
	for i, held := range c.account.Lanes {
		lane, err := tx.Lane(ctx, v.ID, held.Author, held.Epoch, held.Lane)
		if err != nil {
			return err
		}
		all := held.Last - min(held.Last, lane.Folded)
		p.Total += all
		switch {
		case i < c.at:
			p.Done += all
		case i == c.at && c.begun:
			p.Done += min(all, c.after-min(c.after, lane.Folded))
		}
	}
	v.Epochs.Progress = p
	return nil
}

// showUnknown lists the gaps in our own former epochs, and what may have followed their ends.
func (h *House) showUnknown(ctx context.Context, tx Tx, v *LinkView) error {
	for _, lane := range statement.Lanes() {
		epochs, err := h.epochsOf(ctx, tx, v.Link, h.self, lane)
		if err != nil {
			return err
		}
		for _, epoch := range epochs[:len(epochs)-1] {
			next := uint64(1)
			for after := uint64(0); ; {
				run, err := tx.ParcelRun(ctx, v.ID, h.self, epoch, lane, after, foldBatch)
				if err != nil {
					return err
				}
				for _, p := range run {
					if p.Seq > next {
						v.Epochs.Unknown = append(v.Epochs.Unknown, UnknownRange{epoch, lane, next, p.Seq - 1})
					}
					after, next = p.Seq, p.Seq+1
				}
				if len(run) < foldBatch {
					break
				}
			}
			v.Epochs.Unknown = append(v.Epochs.Unknown, UnknownRange{Epoch: epoch, Lane: lane, From: next})
		}
	}
	return nil
}
