package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/store/sqlstore"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/proof"
	"entente/statement"
)

// What follows serves measurements: it makes what a node is measured with, and does nothing that an operator needs.

// ParseBytes reads a number of bytes as settings have it: K, M and G may follow the number.
func ParseBytes(v string) (int64, error) { return parseBytes(v) }

// CreateDatabase makes an empty database on a PostgreSQL server, by the URL of a user who may do that. drop removes
// it again.
func CreateDatabase(ctx context.Context, server string) (url string, drop func(context.Context) error, err error) {
	return sqlstore.CreateDatabase(ctx, server)
}

// subject is an open node that is measured, with its keys.
type subject struct {
	*Node
	keys keyring.Storage
}

// openData opens the node of a data directory whose settings suffice to open it.
func openData(ctx context.Context, data string) (*subject, error) {
	cfg, err := LoadConfig(data, nil, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	ask := func() (string, error) { return "", errors.New("the node has no key file") }
	keys, err := openKeys(cfg, ask)
	if err != nil {
		return nil, err
	}
	n, err := Open(ctx, cfg, ask, time.Now)
	return &subject{n, keys}, err
}

const (
	synthesisAct = 2000 // statements of one act
	fillerSize   = 64   // bytes that stand for a text, a body, a document or a column
)

// Synthesise fills the record of a link, at the author's side, with messages that were said, received and opened, as
// many as count. The node must not run. The rows are those that sending makes: parcel, statement, body and key, column,
// header, two receipts with their documents, and three leaves in a ledger that is whole and cosigned to its end. What
// no start reads (texts, bodies, documents, columns) is a few bytes in place of a few hundred or thousand, and names that
// would be hashes count upwards, because indexes are filled much faster in their order.
func Synthesise(ctx context.Context, data, alias string, count int, p Progress) (err error) {
	n, err := openData(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	l, err := n.house.FindLink(ctx, actor.System(), alias)
	if err != nil {
		return err
	}
	s := &synthesis{link: l.Link, self: n.house.Self().ID, now: n.now().UnixMicro()}
	for s.made < count {
		size := min(synthesisAct, count-s.made)
		if err := n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error { return s.act(ctx, tx, size) }); err != nil {
			return err
		}
		s.made += size
		if p != nil {
			p(int64(s.made), int64(count))
		}
	}
	return n.cosignAll(ctx, l.ID, n.house.Self().ID, l.OwnEpoch)
}

// synthesis is how far a record was made.
type synthesis struct {
	link exchange.Link
	self party.ID
	now  int64
	made int
}

// name is a hash that stands for the i-th thing of a sort.
func (s *synthesis) name(sort byte, i int) (h envelope.Hash) {
	h[0], h[1] = sort, s.link.ID[0]
	binary.BigEndian.PutUint64(h[2:], uint64(i))
	return h
}

func (s *synthesis) act(ctx context.Context, tx flow.Tx, count int) error {
	lane, err := tx.Lane(ctx, s.link.ID, s.self, s.link.OwnEpoch, statement.Network)
	if err != nil {
		return err
	}
	log, err := tx.Log(ctx, s.link.ID, s.self, s.link.OwnEpoch)
	if err != nil {
		return err
	}
	var (
		parcels    []exchange.Parcel
		statements []exchange.Statement
		bodies     []exchange.Body
		columns    []exchange.Column
		documents  []exchange.Document
		receipts   []exchange.Receipt
		entries    []flow.Entry
	)
	filler := make([]byte, fillerSize)
	for i := s.made; i < s.made+count; i++ {
		seq, index := lane.Last+1, log.Size+int64(len(entries))
		said, header := s.name(1, i), s.name(2, i)
		var id envelope.ID
		copy(id[:], said[:])
		lane.Last, lane.LastHeader, lane.Folded = seq, header, seq
		parcels = append(parcels, exchange.Parcel{ID: id, Link: s.link.ID, Author: s.self, Epoch: s.link.OwnEpoch, Lane: statement.Network,
			Seq: seq, File: -1, Header: header, Text: said, State: exchange.Opened, SentIndex: index, GotIndex: index, GotEpoch: s.link.PeerEpoch, Received: s.now,
			Created: s.now, Expires: s.now, Verdict: "folded", Segments: 1, Length: fillerSize})
		statements = append(statements, exchange.Statement{Commitment: said, Link: s.link.ID, Author: s.self, Lane: statement.Network,
			Epoch: s.link.OwnEpoch, Seq: seq, Thread: said, Kind: "message", Authored: s.now + int64(i), Text: filler, Parcel: id})
		columns = append(columns, exchange.Column{Link: s.link.ID, Thread: said, Author: s.self, Lane: statement.Network,
			Epoch: s.link.OwnEpoch, Seq: seq, Room: exchange.RoomMessage, Data: filler})
		documents = append(documents, exchange.Document{Hash: header, Link: s.link.ID, Type: parcel.HeaderType, Payload: filler})
		entries = append(entries, flow.Entry{Kind: ledger.Sent, Lane: statement.Network, Seq: seq, Doc: header})
		for k, kind := range []parcel.ReceiptKind{parcel.Received, parcel.Opened} {
			receipt := s.name(3, 2*i+k)
			receipts = append(receipts, exchange.Receipt{Hash: receipt, Link: s.link.ID, Author: s.link.Peer, Kind: string(kind), Header: header,
				Parcel: id, Lane: statement.Network, Epoch: s.link.OwnEpoch, Seq: seq, ContiguousTo: seq, At: s.now, Index: -1, Log: index, LogEpoch: s.link.PeerEpoch})
			documents = append(documents, exchange.Document{Hash: receipt, Link: s.link.ID, Type: parcel.ReceiptType, Payload: filler})
			entries = append(entries, flow.Entry{Kind: ledger.ReceiptIn, Lane: statement.Network, Seq: seq, Doc: receipt})
		}
		bodies = append(bodies, exchange.Body{Commitment: said, Sealed: filler, Key: filler})
	}
	if _, err := flow.Enter(ctx, tx, s.link.ID, s.self, s.link.OwnEpoch, s.now, entries); err != nil {
		return err
	}
	return errors.Join(tx.PutParcels(ctx, parcels...), tx.PutStatements(ctx, statements...), tx.PutBodies(ctx, bodies...), tx.PutColumns(ctx, columns...),
		tx.PutDocuments(ctx, documents...), tx.PutReceipts(ctx, receipts...), tx.PutLane(ctx, lane))
}

// cosignAll makes all of a log stand under a checkpoint that its log signed, with cosignatures of our own witness keys
// in the place of the peer's, which are as long.
func (n *subject) cosignAll(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) error {
	origin := ledger.Origin(link, p, epoch)
	signers, err := n.keys.LogSigners(n.keys.Version(), origin)
	if err != nil {
		return err
	}
	witnesses, err := n.keys.WitnessSigners(n.keys.Version(), ledger.WitnessName(p), func() int64 { return n.now().Unix() })
	if err != nil {
		return err
	}
	return n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		log, err := tx.Log(ctx, link, p, epoch)
		if err != nil {
			return err
		}
		root, err := ledger.TreeRoot(log.Size, tx.HashReader(ctx, link, p, epoch))
		if err != nil {
			return err
		}
		c, err := ledger.SignCheckpoint(origin, log.Size, root, signers...)
		if err != nil {
			return err
		}
		lines, err := ledger.Cosign(c, witnesses...)
		if err != nil {
			return err
		}
		log.CosignedSize, log.CosignedNote, log.CosignedAt = log.Size, append(c.Note, lines...), n.now().UnixMicro()
		return tx.PutLog(ctx, log)
	})
}

// SampleLedger is a ledger in the store of a node that does not run.
type SampleLedger struct {
	node *subject
	link statement.LinkID
	size int
}

// OpenSampleLedger opens the store of a node's data directory and begins an empty ledger in it.
func OpenSampleLedger(ctx context.Context, data string) (*SampleLedger, error) {
	n, err := openData(ctx, data)
	if err != nil {
		return nil, err
	}
	return &SampleLedger{node: n, link: envelope.Sum([]byte("entente bench ledger"))}, nil
}

// Close lets go of the data directory.
func (s *SampleLedger) Close() error { return s.node.Close() }

// names are the hashes of a receipt and of the header that it is for: of random bytes, as all hashes are.
func (s *SampleLedger) names(i int) (receipt, header envelope.Hash) {
	return envelope.Sum(fmt.Appendf(nil, "receipt %d", i)), envelope.Sum(fmt.Appendf(nil, "header %d", i))
}

// Append enters count leaves in one durable act, each of which records a receipt; withRows also writes what a node keeps of a
// receipt that it gives, the row that knows the leaf's place and the document.
func (s *SampleLedger) Append(ctx context.Context, count int, withRows bool) error {
	entries := make([]flow.Entry, count)
	var receipts []exchange.Receipt
	var documents []exchange.Document
	now := s.node.now().UnixMicro()
	for i := range entries {
		index := s.size + i
		if index == 0 { // every log begins so
			entries[i] = flow.Entry{Kind: ledger.EpochLeaf, Doc: s.link}
			continue
		}
		receipt, header := s.names(index)
		seq := uint64(index + 1)
		entries[i] = flow.Entry{Kind: ledger.ReceiptOut, Lane: statement.Network, Seq: seq, Doc: receipt}
		if !withRows {
			continue
		}
		receipts = append(receipts, exchange.Receipt{Hash: receipt, Link: s.link, Author: s.node.house.Self().ID, Kind: string(parcel.Received),
			Header: header, Parcel: envelope.ID(header[:16]), Lane: statement.Network, Epoch: ledger.FirstEpoch, Seq: seq, ContiguousTo: seq,
			At: now, Index: int64(index), Log: int64(index) - 1, LogEpoch: ledger.FirstEpoch})
		documents = append(documents, exchange.Document{Hash: receipt, Link: s.link, Type: parcel.ReceiptType, Payload: make([]byte, fillerSize)})
	}
	err := s.node.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		_, err := flow.Enter(ctx, tx, s.link, s.node.house.Self().ID, ledger.FirstEpoch, now, entries)
		return errors.Join(err, tx.PutReceipts(ctx, receipts...), tx.PutDocuments(ctx, documents...))
	})
	if err == nil {
		s.size += count
	}
	return err
}

// Checkpoint puts all entries under a cosigned checkpoint.
func (s *SampleLedger) Checkpoint(ctx context.Context) error {
	return s.node.cosignAll(ctx, s.link, s.node.house.Self().ID, ledger.FirstEpoch)
}

// Prove reads an entry that was appended with its rows, found by the header that its receipt is for, with its inclusion proof and
// the checkpoint that this is for.
func (s *SampleLedger) Prove(ctx context.Context, i int) (proof.Entry, error) {
	_, header := s.names(i)
	return s.node.house.ReceiptEntry(ctx, actor.System(), s.node.house.Self().ID, header)
}

// Size is how many entries were appended.
func (s *SampleLedger) Size() int { return s.size }

// Check verifies what Prove read: the checkpoint under the log's keys, and the path from the leaf to its root.
func (s *SampleLedger) Check(e proof.Entry) error {
	leaf, err := ledger.DecodeLeaf([]byte(e.Leaf))
	if err != nil {
		return err
	}
	origin := ledger.Origin(s.link, s.node.house.Self().ID, ledger.FirstEpoch)
	c, err := ledger.OpenCheckpoint([]byte(e.Checkpoint), origin, s.node.house.Self().Latest().Log)
	if err != nil {
		return err
	}
	path := make([]tlog.Hash, len(e.Path))
	for i, h := range e.Path {
		path[i] = tlog.Hash(h)
	}
	return ledger.CheckInclusion(path, c.Size, c.Root, leaf.Index, []byte(e.Leaf))
}
