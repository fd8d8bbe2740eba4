package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// leaves takes leaves of the peer's log into our mirror: each is recomputed, compared with the document that it records, and
// stored with its tree hashes. What the mirror has not seen is asked for; what contradicts it is kept as evidence.
func (in *intake) leaves(ctx context.Context, f parcel.Frame) error {
	var lf parcel.LeavesFrame
	if err := parcel.DecodeFrame(f, parcel.FrameLeaves, &lf); err != nil {
		in.refuse(nil, "leaves", "The leaves are malformed: "+plain(err)+".")
		return nil
	}
	if lf.Epoch != in.l.PeerEpoch {
		in.refuse(nil, "epoch", "The leaves are of an epoch that is not open here.")
		return nil
	}
	docs, replaced, err := in.documents(ctx, lf.Docs)
	if err != nil || docs == nil {
		return err
	}
	if in.kin.contested {
		in.refuse(nil, contestedCode, contestedSentence)
		return nil
	}
	if len(lf.Leaves) == 0 {
		return nil
	}
	if vouched, err := in.vouched(ctx, lf, f.Payload); err != nil || !vouched {
		return err
	}
	var m *mirroring
	err = in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		m = &mirroring{in: in, tx: tx}
		return m.take(ctx, lf, docs)
	})
	if err != nil {
		return err
	}
	if m.lie != "" {
		in.refuse(nil, m.lie, "A leaf contradicts what was shown before, or the document that it records; it is kept as evidence.")
		return nil
	}
	if err := in.receipts(ctx, replaced); err != nil {
		return err
	}
	if len(m.want.Docs) > 0 || m.want.Leaves != nil {
		answer, err := parcel.EncodeFrame(parcel.FrameWant, m.want)
		if err != nil {
			return fmt.Errorf("asking for documents: %w", err)
		}
		in.answers = append(in.answers, answer)
	}
	return nil
}

// documents verifies the documents that came with leaves; receipts among them are also taken as receipts: those under the newest
// identity at once, and replaced ones, which the leaves must place first, by the caller. nil docs means refused.
func (in *intake) documents(ctx context.Context, sent []parcel.Document) (docs map[envelope.Hash]exchange.Document, replaced []*arrivedReceipt, err error) {
	docs = map[envelope.Hash]exchange.Document{}
	var receipts []*arrivedReceipt
	for _, d := range sent {
		var env *envelope.Envelope
		var broken *fault.Error
		switch d.Type {
		case "identity":
			if err := in.identities(ctx, [][]byte{d.Envelope}); err != nil {
				return nil, nil, err
			}
			continue
		case "receipt":
			var r *parcel.Receipt
			env, r, broken = in.openReceipt(in.known, d.Envelope)
			a := &arrivedReceipt{frame: parcel.Frame{Kind: parcel.FrameReceipt, Payload: d.Envelope}}
			if broken == nil && in.newest(r.Identity) {
				receipts = append(receipts, a)
			} else {
				replaced = append(replaced, a)
			}
		case "header":
			env, broken = in.headerDocument(d.Envelope)
		case "grant":
			env, _, broken = in.openGrant(in.known, d.Envelope)
		default:
			broken = fault.New(fault.Invalid, "document_type", "Documents of this type are not taken with leaves.")
		}
		if broken != nil {
			in.refuse(nil, broken.Code, broken.Public)
			return nil, nil, nil
		}
		doc := exchange.Document{Hash: envelope.Sum(env.Payload), Link: in.l.ID, Type: env.PayloadType, Payload: env.Payload, Signatures: env.Signatures}
		docs[doc.Hash] = doc
	}
	return docs, replaced, in.receipts(ctx, receipts)
}

// headerDocument decodes and verifies a header of the peer that comes along with its leaf, and without its parcel.
func (in *intake) headerDocument(data []byte) (*envelope.Envelope, *fault.Error) {
	env, hd, broken := openSigned(in.h, in.known, data, "header", parcel.HeaderType, parcel.DecodeHeader, func(hd *parcel.Header) int { return hd.Identity })
	if broken == nil && (hd.Link != in.l.ID || hd.From != in.l.Peer) {
		return nil, fault.New(fault.Forbidden, "addressee", "The header is not of this link.")
	}
	return env, broken
}

// mirroring is one transaction that takes leaves.
type mirroring struct {
	in   *intake
	tx   Tx
	want parcel.WantFrame
	lie  string // code: nothing of the run was taken from there on
}

func (m *mirroring) take(ctx context.Context, lf parcel.LeavesFrame, docs map[envelope.Hash]exchange.Document) error {
	l := m.in.l
	b, err := openBook(ctx, m.tx, l.ID, l.Peer, l.PeerEpoch)
	if err != nil {
		return err
	}
	size := b.log.Size
	if lf.First > size {
		m.want.Epoch, m.want.Leaves = lf.Epoch, &size
		return nil
	}
	old := min(size-lf.First, int64(len(lf.Leaves)))
	if same, err := m.same(ctx, lf, old); err != nil || !same {
		return err
	}
	fresh := lf.Leaves[old:]
	follower, err := ledger.ResumeFollower(l.PeerEpoch, size, b.log.LastTime, b.tree)
	if err != nil {
		return err
	}
	_, leaves, err := follower.CheckRun(fresh)
	if err != nil {
		code := "leaf"
		if errors.Is(err, ledger.ErrTime) {
			code = "leaf_time"
		}
		return m.evidence(ctx, code, "A leaf of the peer's log is malformed, out of place, or earlier than the one before.", firstWrong(follower, fresh))
	}
	hashes := make([]envelope.Hash, len(leaves))
	for i, leaf := range leaves {
		hashes[i] = leaf.Doc
		if d, ok := docs[leaf.Doc]; ok { // what no leaf records is not kept
			if err := m.tx.PutDocuments(ctx, d); err != nil {
				return err
			}
		}
	}
	known, err := m.in.h.docs.papers(ctx, m.tx, hashes)
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		missing, wrong := m.check(leaf, b.log.Identity, known)
		if !missing && wrong == "" {
			if wrong, err = m.placed(ctx, leaf, known, leaves[:i]); err != nil {
				return err
			}
		}
		if wrong != "" {
			if err := m.evidence(ctx, "leaf_document", "A leaf of the peer's log does not fit the document that it records: "+wrong+".", fresh[i]); err != nil {
				return err
			}
			break
		}
		if missing {
			m.ask(leaves[i:], b.log.Identity, known)
			break
		}
		if leaf.Kind == ledger.IdentityLeaf {
			b.log.Identity = len(m.in.kin.version(leaf.Doc).Versions)
		}
		if err := b.add(fresh[i], leaf.Doc, leaf.Kind, leaf.Time); err != nil {
			return err
		}
	}
	return errors.Join(m.tx.PlaceReceipts(ctx, l.Peer, receiptsOut(b.rows)), b.close(ctx, m.tx))
}

// receiptsOut are the leaves that record receipts which their log's party gave.
func receiptsOut(rows []exchange.LeafRow) (out []exchange.LeafRow) {
	for _, r := range rows {
		if r.Kind == string(ledger.ReceiptOut) {
			out = append(out, r)
		}
	}
	return out
}

// firstWrong is the leaf for which a run is not taken.
func firstWrong(f ledger.Follower, run [][]byte) []byte {
	for _, leaf := range run {
		next, _, err := f.CheckRun([][]byte{leaf})
		if err != nil {
			return leaf
		}
		f = next
	}
	return nil
}

// ask names every document of the peer that the rest of a run needs and we lack.
func (m *mirroring) ask(leaves []*ledger.Leaf, identity int, known map[envelope.Hash]paper) {
	for _, leaf := range leaves {
		if missing, _ := m.check(leaf, identity, known); missing && len(m.want.Docs) < maxRanges {
			m.want.Docs = append(m.want.Docs, leaf.Doc)
		}
	}
}

// same compares leaves that we hold already with those that came: a difference is a rewritten log.
func (m *mirroring) same(ctx context.Context, lf parcel.LeavesFrame, n int64) (bool, error) {
	if n <= 0 {
		return true, nil
	}
	held, err := m.tx.Leaves(ctx, m.in.l.ID, m.in.l.Peer, lf.Epoch, lf.First, int(n))
	if err != nil {
		return false, err
	}
	for i := range held {
		if !bytes.Equal(held[i].Leaf, lf.Leaves[i]) {
			return false, m.evidence(ctx, "leaf_rewritten", "The peer showed another leaf than before at the same place.", lf.Leaves[i])
		}
	}
	return true, nil
}

func (m *mirroring) evidence(ctx context.Context, code, note string, data []byte) error {
	m.lie = code
	return m.in.h.evidence(ctx, m.tx, m.in.l.ID, code, note, data)
}

// check compares a leaf with the document that it records; identity is the version in force there, 0 if no leaf has named one.
// wrong says in words what does not fit.
func (m *mirroring) check(leaf *ledger.Leaf, identity int, known map[envelope.Hash]paper) (missing bool, wrong string) {
	l, self := m.in.l, m.in.h.self
	switch leaf.Kind {
	case ledger.EpochLeaf, ledger.LinkLeaf:
		if leaf.Doc != l.ID {
			return false, "it is not about this link"
		}
		return false, ""
	case ledger.IdentityLeaf:
		named := m.in.kin.version(leaf.Doc)
		switch {
		case named == nil:
			return true, ""
		case m.in.kin.stands.Hash(len(named.Versions)) != leaf.Doc:
			return false, "it names a version of the identity that does not stand"
		case len(named.Versions) <= identity:
			return false, "it names an older identity than is in force"
		}
		return false, ""
	}
	doc, ok := known[leaf.Doc]
	ours := leaf.Kind == ledger.Got || leaf.Kind == ledger.ReceiptIn
	if !ok {
		if ours {
			return false, "it records what we never said"
		}
		return true, ""
	}
	author := l.Peer
	if ours {
		author = self
	} else if identity != 0 && doc.identity() != identity {
		return false, "it was signed under an identity that is not in force at its place"
	}
	switch leaf.Kind {
	case ledger.GrantLeaf:
		return false, m.checkGrant(leaf, doc.grant)
	case ledger.Sent, ledger.Got:
		if leaf.Kind == ledger.Got && doc.grant != nil {
			return false, m.checkGrant(leaf, doc.grant)
		}
		hd := doc.header
		switch {
		case hd == nil || hd.From != author || hd.Link != l.ID:
			return false, "it is not such a header"
		case string(hd.Lane) != leaf.Lane || hd.Seq != leaf.Seq:
			return false, "lane or sequence differ"
		case leaf.Kind == ledger.Sent && (hd.Index != leaf.Index || hd.Epoch != leaf.Epoch):
			return false, "the header names another place"
		}
	case ledger.ReceiptOut, ledger.ReceiptIn:
		r := doc.receipt
		switch {
		case r == nil || r.From != author || r.Link != l.ID:
			return false, "it is not such a receipt"
		case string(r.Lane) != leaf.Lane || r.Seq != leaf.Seq:
			return false, "lane or sequence differ"
		}
	default:
		return false, "its kind is not known"
	}
	return false, ""
}

// checkGrant says what does not fit of a leaf that records a grant, the peer's or ours.
func (m *mirroring) checkGrant(leaf *ledger.Leaf, g *parcel.Grant) (wrong string) {
	author := m.in.l.Peer
	if leaf.Kind == ledger.Got {
		author = m.in.h.self
	}
	switch {
	case g == nil || g.From != author || g.Link != m.in.l.ID:
		return "it is not such a grant"
	case string(g.Lane) != leaf.Lane || g.Seq != leaf.Seq:
		return "lane or sequence differ"
	case leaf.Kind == ledger.GrantLeaf && (g.Index != leaf.Index || g.Epoch != leaf.Epoch):
		return "the grant names another place"
	}
	return ""
}

// placed compares a receipt that the peer gave with the got leaf that it names, which came before it: the fold and the clocks
// take its time, and what was seen takes its place.
func (m *mirroring) placed(ctx context.Context, leaf *ledger.Leaf, known map[envelope.Hash]paper, before []*ledger.Leaf) (wrong string, err error) {
	if leaf.Kind != ledger.ReceiptOut {
		return "", nil
	}
	r := known[leaf.Doc].receipt // check has seen that it is one
	i := slices.IndexFunc(before, func(got *ledger.Leaf) bool { return got.Kind == ledger.Got && got.Doc == r.Header })
	var got *ledger.Leaf
	if i >= 0 {
		got = before[i]
	} else {
		rows, err := m.tx.Leaves(ctx, m.in.l.ID, m.in.l.Peer, r.Log.Epoch, r.Log.Index, 1)
		if err != nil {
			return "", err
		}
		if len(rows) == 0 || rows[0].Index != r.Log.Index || rows[0].Kind != string(ledger.Got) || rows[0].Doc != r.Header {
			return "its receipt names a place where its parcel did not come in", nil
		}
		if got, err = ledger.DecodeLeaf(rows[0].Leaf); err != nil {
			return "", fmt.Errorf("reading a stored leaf: %w", err)
		}
	}
	first := r.Kind == parcel.Received || r.Kind == parcel.Refused
	switch {
	case r.Log.Epoch != got.Epoch || r.Log.Index != got.Index:
		return "its receipt names another place", nil
	case first && r.At != got.Time || !first && r.At != leaf.Time:
		return "its receipt has another time", nil
	}
	return "", nil
}

// checkpoint is the witness's part (C2SP tlog-witness, add-checkpoint): it cosigns a head of the peer's log that continues
// what it cosigned before and equals the leaves that it mirrored; the head is durable before the cosignature leaves.
func (in *intake) checkpoint(ctx context.Context, f parcel.Frame) error {
	req, err := ledger.DecodeAddCheckpoint(f.Payload)
	if err != nil {
		in.refuse(nil, "checkpoint", "The checkpoint is malformed: "+plain(err)+".")
		return nil
	}
	h, l := in.h, in.l
	origin := ledger.Origin(l.ID, l.Peer, l.PeerEpoch)
	var c *ledger.Checkpoint
	var answer any
	var refusal *ledger.RefusalError
	var cosigner int // our version that is in force
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		c, answer, refusal = nil, nil, nil
		log, err := tx.Log(ctx, l.ID, l.Peer, l.PeerEpoch)
		if err != nil {
			return err
		}
		reader := tx.HashReader(ctx, l.ID, l.Peer, l.PeerEpoch)
		state := ledger.WitnessState{Size: log.CosignedSize}
		if state.Root, err = ledger.TreeRoot(log.CosignedSize, reader); err != nil {
			return err
		}
		own, err := tx.Log(ctx, l.ID, h.self, l.OwnEpoch)
		if err != nil {
			return err
		}
		cosigner = own.Identity
		terms, err := h.terms(l)
		if err != nil {
			return err
		}
		if terms.way == inward { // nobody can tell its author what we cosigned: the leaves that we hold prove that it continues these
			state = ledger.WitnessState{}
		}
		judged, err := in.judge(ctx, tx, state, *req, log)
		if errors.As(err, &refusal) {
			return in.judged(ctx, tx, refusal, log, reader, f.Payload)
		}
		if err != nil {
			return err
		}
		if judged.Size > log.Size {
			size := log.Size
			answer = parcel.WantFrame{Epoch: l.PeerEpoch, Leaves: &size}
			return nil
		}
		root, err := ledger.TreeRoot(judged.Size, reader)
		if err != nil {
			return err
		}
		if root != judged.Root {
			refusal = &ledger.RefusalError{Refusal: ledger.Inconsistent, Signed: judged, Err: ledger.ErrRoot}
			return in.judged(ctx, tx, refusal, log, reader, f.Payload)
		}
		if judged.Size < log.CosignedSize { // a file that was packed earlier
			return nil
		}
		c = judged
		log.CosignedSize, log.CosignedNote, log.CosignedAt = c.Size, c.Note, h.now()
		return tx.PutLog(ctx, log)
	})
	switch {
	case err != nil:
		return err
	case refusal != nil && refusal.Refusal == ledger.Conflict:
		size := refusal.Size
		return in.answerFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: origin, Size: refusal.Signed.Size, OldSize: &size})
	case refusal != nil:
		in.refuse(nil, "checkpoint_refused", "The checkpoint was not cosigned: "+refusal.Refusal.String()+".")
		return nil
	case answer != nil:
		return in.answerFrame(parcel.FrameWant, answer)
	case c == nil:
		return nil
	}
	return in.cosign(ctx, c, cosigner)
}

// judge is ledger.Judge with the log keys of the version in force at the checkpoint's size or a later one: who showed a new
// identity signs with its keys whatever it shows from then on.
func (in *intake) judge(ctx context.Context, tx Tx, state ledger.WitnessState, req ledger.AddCheckpoint, log exchange.Log) (*ledger.Checkpoint, error) {
	origin := ledger.Origin(log.Link, log.Party, log.Epoch)
	chain := in.kin.stands
	var c *ledger.Checkpoint
	version, err := chain.Newest(1, func(i *party.Identity) (err error) {
		var refusal *ledger.RefusalError
		c, err = ledger.Judge(state, req, origin, i.Log)
		if errors.As(err, &refusal) && refusal.Refusal != ledger.BadSignature {
			c, err = refusal.Signed, nil
		}
		return err
	})
	if err != nil || c == nil { // signed by none of them, or not even that could be read
		_, err = ledger.Judge(state, req, origin, chain.Latest().Log)
		return nil, err
	}
	if !in.newest(version) {
		reach := log.Size // what an older version may sign: the leaves before its successor's
		_, leaf, err := tx.IdentityLeaf(ctx, log.Link, log.Party, chain.Hash(version+1))
		if err == nil {
			reach = leaf.Index
		} else if !notFound(err) {
			return nil, err
		}
		if c.Size > reach {
			return nil, &ledger.RefusalError{Refusal: ledger.BadSignature, Err: ledger.ErrLogSignature}
		}
	}
	return ledger.Judge(state, req, origin, chain.Versions[version-1].Log)
}

func (in *intake) answerFrame(kind parcel.FrameKind, v any) error {
	f, err := parcel.EncodeFrame(kind, v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	in.answers = append(in.answers, f)
	return nil
}

// judged keeps a checkpoint that the log signed and that contradicts what it signed or showed before, whatever it was refused for.
// Where our mirror reaches, the leaves tell; a proof that does not hold is not signed, and accuses nobody.
func (in *intake) judged(ctx context.Context, tx Tx, r *ledger.RefusalError, log exchange.Log, reader tlog.HashReader, data []byte) error {
	lie := r.Refusal == ledger.Inconsistent
	if r.Signed != nil && r.Signed.Size <= log.Size {
		root, err := ledger.TreeRoot(r.Signed.Size, reader)
		if err != nil {
			return err
		}
		lie = root != r.Signed.Root
	}
	if !lie {
		return nil
	}
	return in.h.evidence(ctx, tx, in.l.ID, "ledger_forked", "The peer signed a checkpoint that does not continue what it signed before.", data)
}

// cosign answers a durable head with our cosignature.
func (in *intake) cosign(ctx context.Context, c *ledger.Checkpoint, version int) error {
	lines, err := in.h.cosign(ctx, in.l.ID, in.l.Peer, in.l.PeerEpoch, c, version)
	if err != nil {
		return err
	}
	return in.answerFrame(parcel.FrameCosignature, parcel.CosignatureFrame{Origin: c.Origin, Size: c.Size, Lines: string(lines)})
}

// cosign signs a durable head of the peer's log, and keeps the cosigned note beside it.
func (h *House) cosign(ctx context.Context, link statement.LinkID, peer party.ID, epoch uint32, c *ledger.Checkpoint, version int) ([]byte, error) {
	name := ledger.WitnessName(h.self)
	signers, err := h.cfg.Keys.WitnessSigners(version, name, func() int64 { return h.cfg.Now().Unix() })
	if err != nil {
		return nil, err
	}
	lines, err := ledger.Cosign(c, signers...)
	if err != nil {
		return nil, err
	}
	own, err := h.selfAt(ctx, version)
	if err != nil {
		return nil, err
	}
	cosigned, _, err := ledger.AddCosignatures(c, lines, name, own.Witness)
	if err != nil {
		return nil, fmt.Errorf("checking our own cosignature: %w", err)
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		log, err := tx.Log(ctx, link, peer, epoch)
		if err != nil || log.CosignedSize != c.Size {
			return err
		}
		log.CosignedNote = cosigned.Note
		return tx.PutLog(ctx, log)
	})
	return lines, err
}

// cosignHeads cosigns the durable heads of the peer's logs that lack our cosignature: a crash, or the copy that a backup is,
// came between the transaction that took them and the one that keeps it.
func (h *House) cosignHeads(ctx context.Context, link statement.LinkID, peer *party.Chain) error {
	var l exchange.Link
	var logs []exchange.Log
	var own exchange.Log
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if l, err = tx.Link(ctx, link); err != nil {
			return err
		}
		if logs, err = tx.Logs(ctx, link); err != nil {
			return err
		}
		own, err = tx.Log(ctx, l.ID, h.self, l.OwnEpoch)
		return err
	})
	if err != nil {
		return err
	}
	for _, log := range logs {
		if log.Party != l.Peer || !h.uncosigned(log) {
			continue
		}
		var c *ledger.Checkpoint
		_, err := peer.Newest(1, func(i *party.Identity) (err error) {
			c, err = ledger.OpenCheckpoint(log.CosignedNote, ledger.Origin(l.ID, log.Party, log.Epoch), i.Log)
			return err
		})
		if err != nil {
			continue // what does not open is for VerifyLedger to tell
		}
		if _, err := h.cosign(ctx, l.ID, l.Peer, log.Epoch, c, own.Identity); err != nil {
			return err
		}
	}
	return nil
}

// uncosigned says whether the newest head of a peer's log that is durable here lacks our cosignature.
func (h *House) uncosigned(log exchange.Log) bool {
	return log.CosignedSize > 0 && !bytes.Contains(log.CosignedNote, []byte("\n\u2014 "+ledger.WitnessName(h.self)+" "))
}

// cosignature takes the peer's cosignature of our head, or the size that it holds instead.
func (in *intake) cosignature(ctx context.Context, f parcel.Frame) error {
	var cf parcel.CosignatureFrame
	if err := parcel.DecodeFrame(f, parcel.FrameCosignature, &cf); err != nil {
		in.refuse(nil, "cosignature", "The cosignature is malformed: "+plain(err)+".")
		return nil
	}
	h, l, s := in.h, in.l, in.state
	s.mu.Lock()
	c := s.shown
	if cf.OldSize != nil {
		s.old, in.woke = *cf.OldSize, true
	}
	s.mu.Unlock()
	if cf.OldSize != nil || cf.Origin != ledger.Origin(l.ID, h.self, l.OwnEpoch) {
		return nil
	}
	if c == nil || c.Origin != cf.Origin || c.Size != cf.Size { // a courier took long: it is about one that was shown before
		var err error
		if c, err = in.shownBefore(ctx, cf.Size); err != nil || c == nil {
			return err
		}
	}
	// Until the peer's ledger shows that its new identity is in force there, the one before may cosign.
	var mirror exchange.Log
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		mirror, err = tx.Log(ctx, l.ID, l.Peer, l.PeerEpoch)
		return err
	})
	if err != nil {
		return err
	}
	var cosigned *ledger.Checkpoint
	_, err = in.kin.stands.Newest(mirror.Identity, func(i *party.Identity) (err error) {
		cosigned, _, err = ledger.AddCosignatures(c, []byte(cf.Lines), ledger.WitnessName(l.Peer), i.Witness)
		return err
	})
	if err != nil {
		in.refuse(nil, "cosignature", "The cosignature does not verify.")
		return nil
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		log, err := tx.Log(ctx, l.ID, h.self, l.OwnEpoch)
		if err != nil || log.CosignedSize > c.Size {
			return err
		}
		if log.CosignedSize < c.Size {
			s.mu.Lock()
			s.fruitless = -1 // the round under way bears fruit
			s.mu.Unlock()
		}
		log.CosignedSize, log.CosignedNote, log.CosignedAt = c.Size, cosigned.Note, h.now()
		return tx.PutLog(ctx, log)
	})
}

// shownBefore is our checkpoint at a size that is not cosigned yet, or nil.
func (in *intake) shownBefore(ctx context.Context, size int64) (*ledger.Checkpoint, error) {
	var log exchange.Log
	err := in.h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		log, err = tx.Log(ctx, in.l.ID, in.h.self, in.l.OwnEpoch)
		return err
	})
	if err != nil || size <= log.CosignedSize || size > log.Size {
		return nil, err
	}
	return in.h.checkpointAt(ctx, in.l, size)
}
