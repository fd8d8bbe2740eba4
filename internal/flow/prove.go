package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/proof"
	"entente/statement"
)

// LedgerEntry is a leaf's exact bytes and its place.
type LedgerEntry struct {
	Party party.ID
	Epoch uint32
	Index int64
	Leaf  []byte
}

// Ledger lists leaves of a party's log in an epoch (0: the current one), from an index.
func (h *House) Ledger(ctx context.Context, who actor.Actor, link statement.LinkID, p party.ID, epoch uint32, from int64, limit int) ([]LedgerEntry, error) {
	if err := who.May(actor.ReadLedger); err != nil {
		return nil, err
	}
	var entries []LedgerEntry
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		if epoch == 0 {
			epoch = h.epochOf(l, p)
		}
		rows, err := tx.Leaves(ctx, link, p, epoch, from, min(max(limit, 1), maxList))
		for _, r := range rows {
			entries = append(entries, LedgerEntry{p, epoch, r.Index, r.Leaf})
		}
		return err
	})
	return entries, err
}

func (h *House) epochOf(l exchange.Link, p party.ID) uint32 {
	if p == l.Peer {
		return l.PeerEpoch
	}
	return l.OwnEpoch
}

// LedgerReport is what verifying both ledgers of a link found.
type LedgerReport struct {
	Logs        []LogReport
	Differences []Difference // a sent without a got, or the reverse
	Evidence    int
	OK          bool // no fault in a log, and no evidence of a lie; differences are traffic under way
}

// LogReport is one party's log in one epoch.
type LogReport struct {
	Party      party.ID
	Epoch      uint32
	Size       int64
	Root       envelope.Hash
	Cosigned   int64
	CosignedAt int64
	Faults     []string
}

// Difference is a parcel that stands in one ledger only.
type Difference struct {
	Author party.ID
	Kind   string // not_got: sent by Author, not in the other's ledger; not_sent: got by the other, not in Author's
	Lane   string
	Seq    uint64
	Header envelope.Hash
	Age    time.Duration
}

// verifyPage is how many leaves are read at once.
const verifyPage = 2048

// VerifyLedger recomputes every log of a link leaf by leaf, checks the cosigned checkpoints against it, and reconciles: for
// each sent a got on the other side.
func (h *House) VerifyLedger(ctx context.Context, who actor.Actor, link statement.LinkID, p Progress) (*LedgerReport, error) {
	if err := who.May(actor.ReadLedger); err != nil {
		return nil, err
	}
	peer, err := h.PeerChain(ctx, link)
	if err != nil {
		return nil, err
	}
	if err := h.cosignHeads(ctx, link, peer); err != nil {
		return nil, err
	}
	report := &LedgerReport{OK: true}
	var logs []exchange.Log
	var l exchange.Link
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if l, err = tx.Link(ctx, link); err != nil {
			return err
		}
		if logs, err = tx.Logs(ctx, link); err != nil {
			return err
		}
		found, err := tx.Evidences(ctx, &link, maxList)
		report.Evidence = len(found)
		return err
	})
	if err != nil {
		return nil, err
	}
	var done, total int64
	for _, log := range logs {
		total += log.Size
	}
	sent, got := map[envelope.Hash]*Difference{}, map[envelope.Hash]*Difference{}
	for _, log := range logs {
		r, err := h.verifyLog(ctx, l, peer, log, func(leaf *ledger.Leaf) {
			if done++; p != nil && done%1000 == 0 {
				p(done, total)
			}
			reconcile(l, h.self, log.Party, leaf, h.now(), sent, got)
		})
		if err != nil {
			return nil, err
		}
		report.Logs = append(report.Logs, r)
		report.OK = report.OK && len(r.Faults) == 0
	}
	for _, left := range []map[envelope.Hash]*Difference{sent, got} {
		for _, d := range left {
			report.Differences = append(report.Differences, *d)
		}
	}
	report.OK = report.OK && report.Evidence == 0
	if p != nil {
		p(total, total)
	}
	return report, nil
}

// reconcile crosses a sent leaf with the got leaf of the same header in the other log.
func reconcile(l exchange.Link, self, owner party.ID, leaf *ledger.Leaf, now int64, sent, got map[envelope.Hash]*Difference) {
	mine, other := sent, got
	author, kind := owner, "not_got"
	switch leaf.Kind {
	case ledger.Sent, ledger.GrantLeaf:
	case ledger.Got:
		mine, other, kind = got, sent, "not_sent"
		if author = l.Peer; owner == l.Peer {
			author = self
		}
	default:
		return
	}
	if other[leaf.Doc] != nil {
		delete(other, leaf.Doc)
		return
	}
	mine[leaf.Doc] = &Difference{Author: author, Kind: kind, Lane: leaf.Lane, Seq: leaf.Seq, Header: leaf.Doc,
		Age: time.Duration(now-leaf.Time) * time.Microsecond}
}

func (h *House) verifyLog(ctx context.Context, l exchange.Link, peer *party.Chain, log exchange.Log, each func(*ledger.Leaf)) (LogReport, error) {
	r := LogReport{Party: log.Party, Epoch: log.Epoch, Size: log.Size, Cosigned: log.CosignedSize, CosignedAt: log.CosignedAt}
	fail := func(format string, args ...any) { r.Faults = append(r.Faults, fmt.Sprintf(format, args...)) }
	owner, witness := h.Self(), peer
	if log.Party == l.Peer {
		owner, witness = peer, h.Self()
	}
	var checkpoint *ledger.Checkpoint
	if log.CosignedSize > 0 {
		_, err := owner.Newest(1, func(i *party.Identity) (err error) {
			checkpoint, err = ledger.OpenCheckpoint(log.CosignedNote, ledger.Origin(l.ID, log.Party, log.Epoch), i.Log)
			return err
		})
		cosigned := func(i *party.Identity) error {
			_, err := checkpoint.Cosigned(ledger.WitnessName(witness.ID), i.Witness)
			return err
		}
		if err != nil {
			fail("the cosigned checkpoint does not verify: %v", err)
		} else if _, err := witness.Newest(1, cosigned); err != nil {
			fail("the checkpoint at size %d is not cosigned: %v", log.CosignedSize, err)
		} else if checkpoint.Size != log.CosignedSize {
			fail("the cosigned checkpoint is of size %d, not %d", checkpoint.Size, log.CosignedSize)
		}
	}
	if log.CosignedSize > log.Size {
		fail("%d leaves are missing that were cosigned", log.CosignedSize-log.Size)
	}
	follower := ledger.NewFollower(log.Epoch)
	for follower.Size < log.Size {
		var rows []exchange.LeafRow
		err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
			rows, err = tx.Leaves(ctx, l.ID, log.Party, log.Epoch, follower.Size, verifyPage)
			return err
		})
		if err != nil {
			return r, err
		}
		for _, row := range rows[:min(int64(len(rows)), log.Size-follower.Size)] {
			next, leaves, err := follower.CheckRun([][]byte{row.Leaf})
			if err != nil {
				fail("leaf %d: %v", follower.Size, err)
				return r, nil
			}
			follower = next
			each(leaves[0])
			if checkpoint != nil && follower.Size == checkpoint.Size && follower.CheckHead(checkpoint) != nil {
				fail("the leaves up to %d do not make the root that was cosigned", checkpoint.Size)
			}
		}
		if len(rows) == 0 {
			fail("leaf %d is missing", follower.Size)
			return r, nil
		}
	}
	r.Root = follower.Head().Root
	return r, nil
}

// notCosigned tells a member to wait for the counterparty.
func notCosigned() error {
	return fault.New(fault.Conflict, "not_cosigned",
		"The other party has not cosigned this part of the ledger yet; try again in a few seconds, or see \"entente links\" for how far it is.")
}

var errUnsigned = errors.New("a document is not stored with its signatures yet")

// signReceiptsOf stores the signatures of a statement's header and receipts, and of the heads that cover them, where they are
// ours and not stored yet.
func (h *House) signReceiptsOf(ctx context.Context, name string) error {
	var docs []exchange.Document
	var link statement.LinkID
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		row, err := h.find(ctx, tx, name)
		if err != nil {
			return err
		}
		link = row.Link
		p, err := tx.Parcel(ctx, row.Parcel)
		if err != nil {
			return err
		}
		rows, err := tx.ReceiptsOf(ctx, p.Header)
		if err != nil {
			return err
		}
		hashes := []envelope.Hash{p.Header}
		registered, err := registeredOf(ctx, tx, p, false, h.now())
		if err != nil {
			return err
		}
		if registered != nil && registered.Header != p.Header {
			more, err := tx.ReceiptsOf(ctx, registered.Header)
			if err != nil {
				return err
			}
			rows, hashes = append(rows, more...), append(hashes, registered.Header)
		}
		for _, r := range rows {
			hashes = append(hashes, r.Hash)
		}
		found, err := tx.Documents(ctx, hashes)
		for _, doc := range found {
			docs = append(docs, doc)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := h.sign(ctx, link, docs); err != nil {
		return err
	}
	if err := h.saveSignatures(ctx, link); err != nil {
		return err
	}
	peer, err := h.PeerChain(ctx, link)
	if err != nil {
		return err
	}
	return h.cosignHeads(ctx, link, peer)
}

// Proof builds a proof file of a statement: its header and receipts, each with its leaf and its path to a cosigned checkpoint.
// withBody says whether the file shows the body and the files' names too.
func (h *House) Proof(ctx context.Context, who actor.Actor, name string, withBody bool) ([]byte, error) {
	if err := who.May(actor.Prove); err != nil {
		return nil, err
	}
	var file *proof.File
	var link statement.LinkID
	read := func(tx Tx) error {
		row, err := h.find(ctx, tx, name)
		if err != nil {
			return err
		}
		link = row.Link
		file, err = h.prove(ctx, tx, row, withBody)
		return err
	}
	err := h.cfg.Store.View(ctx, read)
	if errors.Is(err, errUnsigned) { // signatures that are still in memory, or that a crash lost
		if err = h.signReceiptsOf(ctx, name); err == nil {
			err = h.cfg.Store.View(ctx, read)
		}
	}
	if err != nil {
		return nil, err
	}
	peer, err := h.PeerChain(ctx, link)
	if err != nil {
		return nil, err
	}
	file.Sender, file.Recipient = h.Self().Envelopes, peer.Envelopes
	header, err := envelope.DecodeEnvelope(file.Header.Envelope)
	if err != nil {
		return nil, err
	}
	hd, err := parcel.DecodeHeader(header.Payload)
	if err != nil {
		return nil, err
	}
	if hd.From == peer.ID {
		file.Sender, file.Recipient = file.Recipient, file.Sender
	}
	data, err := file.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := proof.Verify(h.cfg.Registry, file); err != nil {
		return nil, fault.Wrap(fault.Internal, "proof", "The proof that was made does not verify; \"entente ledger verify\" tells more.", err)
	}
	return data, nil
}

func (h *House) prove(ctx context.Context, tx Tx, row exchange.Statement, withBody bool) (*proof.File, error) {
	salt := row.TextSalt
	file := &proof.File{V: 1, Statement: proof.Statement{Commitment: row.Commitment, Text: row.Text, TextSalt: &salt}}
	if withBody && row.Erased == 0 {
		sealed, wrapped, err := tx.Body(ctx, row.Commitment)
		if err != nil {
			return nil, err
		}
		content, _, err := h.unlock(sealed, wrapped, row.Commitment)
		if err != nil {
			return nil, err
		}
		file.Statement.Body, file.Statement.BodySalt, file.Statement.Files = content.Body, &content.BodySalt, content.Files
	}
	l, err := tx.Link(ctx, row.Link)
	if err != nil {
		return nil, err
	}
	p, err := tx.Parcel(ctx, row.Parcel)
	if err != nil {
		return nil, err
	}
	addressee := h.self
	if row.Author == h.self {
		addressee = l.Peer
	}
	header := p.Header
	registered, err := registeredOf(ctx, tx, p, row.Author == h.self, h.now())
	if err != nil {
		return nil, err
	}
	if registered != nil && registered.Header != p.Header {
		header = registered.Header
		grant, err := h.proveRecord(ctx, tx, l, row.Author, ledger.GrantLeaf, p.Header)
		if err != nil {
			return nil, err
		}
		file.Grant = &grant
	}
	if file.Header, err = h.proveRecord(ctx, tx, l, row.Author, ledger.Sent, header); err != nil {
		return nil, err
	}
	if err := h.proveReceipts(ctx, tx, l, addressee, header, file); err != nil || file.Grant == nil {
		return file, err
	}
	return file, h.proveReceipts(ctx, tx, l, addressee, p.Header, file)
}

// proveRecord is a signed document of a party with the leaf that records it in its own log.
func (h *House) proveRecord(ctx context.Context, tx Tx, l exchange.Link, author party.ID, kind ledger.Kind, doc envelope.Hash) (r proof.Record, err error) {
	if r.Envelope, err = h.signedDocument(ctx, tx, doc); err != nil {
		return r, err
	}
	stored, err := tx.Document(ctx, doc)
	if err != nil {
		return r, err
	}
	index, err := placeOf(ctx, tx, kind, stored.Payload)
	if err != nil {
		return r, err
	}
	r.Entry, err = h.entry(ctx, tx, l.ID, author, kind, index, doc)
	return r, err
}

// placeOf is the place of a document in its author's log, as far as that was shown: headers and grants name it, and of a receipt
// its row has it, if it was taken; -1 if it is not known.
func placeOf(ctx context.Context, tx Tx, kind ledger.Kind, payload []byte) (int64, error) {
	switch kind {
	case ledger.GrantLeaf:
		g, err := parcel.DecodeGrant(payload)
		if err != nil {
			return 0, fmt.Errorf("reading a grant: %w", err)
		}
		return g.Index, nil
	case ledger.ReceiptOut:
		r, err := parcel.DecodeReceipt(payload)
		if err != nil {
			return 0, fmt.Errorf("reading a receipt: %w", err)
		}
		rows, err := tx.ReceiptsOf(ctx, r.Header)
		hash := envelope.Sum(payload)
		if err != nil {
			return 0, err
		}
		if i := slices.IndexFunc(rows, func(row exchange.Receipt) bool { return row.Hash == hash }); i >= 0 {
			return rows[i].Index, nil
		}
		shown, err := tx.Documents(ctx, []envelope.Hash{hash})
		if err != nil || len(shown) == 0 {
			return -1, err
		}
		return shownPlace(ctx, tx, r, hash)
	}
	hd, err := parcel.DecodeHeader(payload)
	if err != nil {
		return 0, fmt.Errorf("reading a header: %w", err)
	}
	return hd.Index, nil
}

// shownPlace is the place of a receipt that is entered after its leaf was mirrored, and its document with it: as when it was signed
// with keys that were replaced, or could not be taken before. -1 if there is no such leaf.
func shownPlace(ctx context.Context, tx Tx, r *parcel.Receipt, hash envelope.Hash) (int64, error) {
	row, err := tx.LeafFrom(ctx, r.Link, r.From, r.Log.Epoch, r.Log.Index, string(ledger.ReceiptOut), hash)
	if notFound(err) {
		return -1, nil
	}
	return row.Index, err
}

// proveReceipts adds the receipts of a header, or of a grant.
func (h *House) proveReceipts(ctx context.Context, tx Tx, l exchange.Link, addressee party.ID, header envelope.Hash, file *proof.File) error {
	receipts, err := tx.ReceiptsOf(ctx, header)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		var a proof.Acknowledge
		if a.Envelope, err = h.signedDocument(ctx, tx, r.Hash); err != nil {
			return err
		}
		if a.Out, err = h.entry(ctx, tx, l.ID, addressee, ledger.ReceiptOut, r.Index, r.Hash); err != nil {
			return err
		}
		if r.Kind == string(parcel.Received) || r.Kind == string(parcel.Refused) {
			got, err := h.entry(ctx, tx, l.ID, addressee, ledger.Got, r.Log, header)
			if err != nil {
				return err
			}
			a.Got = &got
		}
		file.Receipts = append(file.Receipts, a)
	}
	return nil
}

func (h *House) signedDocument(ctx context.Context, tx Tx, hash envelope.Hash) ([]byte, error) {
	doc, err := tx.Document(ctx, hash)
	if err != nil {
		return nil, err
	}
	if doc.Signatures == nil {
		return nil, errUnsigned
	}
	env := envelope.Envelope{PayloadType: doc.Type, Payload: doc.Payload, Signatures: doc.Signatures}
	return env.Encode()
}

// ReceiptEntry is the leaf in which a party entered the first receipt that it gave for a parcel, by the parcel's header, with its
// path to the newest cosigned checkpoint.
func (h *House) ReceiptEntry(ctx context.Context, who actor.Actor, p party.ID, header envelope.Hash) (e proof.Entry, err error) {
	if err := who.May(actor.ReadLedger); err != nil {
		return e, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		receipts, err := tx.ReceiptsOf(ctx, header)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(receipts, func(r exchange.Receipt) bool { return r.Author == p })
		if i < 0 {
			return notCosigned()
		}
		e, err = h.entry(ctx, tx, receipts[i].Link, p, ledger.ReceiptOut, receipts[i].Index, receipts[i].Hash)
		return err
	})
	return e, err
}

// entry is the leaf at a place that records a document, with its path to a cosigned checkpoint of its log: one
// that third parties have cosigned too, or the newest.
func (h *House) entry(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, kind ledger.Kind, index int64, doc envelope.Hash) (proof.Entry, error) {
	epoch, row, err := tx.LeafAt(ctx, link, p, index, string(kind), doc)
	if notFound(err) {
		return proof.Entry{}, notCosigned()
	}
	if err != nil {
		return proof.Entry{}, err
	}
	log, err := tx.Log(ctx, link, p, epoch)
	if err != nil {
		return proof.Entry{}, err
	}
	if row.Index >= log.CosignedSize {
		return proof.Entry{}, notCosigned()
	}
	if p != h.self && h.uncosigned(log) {
		return proof.Entry{}, errUnsigned
	}
	if p == h.self {
		if e, ok, err := witnessedEntry(ctx, tx, link, log, row); ok || err != nil {
			return e, err
		}
	}
	path, err := ledger.ProveInclusion(log.CosignedSize, row.Index, tx.HashReader(ctx, link, p, epoch))
	if err != nil {
		return proof.Entry{}, err
	}
	return proof.NewEntry(row.Leaf, path, &ledger.Checkpoint{Size: log.CosignedSize, Note: log.CosignedNote}), nil
}
