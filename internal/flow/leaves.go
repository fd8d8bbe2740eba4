package flow

import (
	"context"
	"fmt"
	"math/bits"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/ledger"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the right edge of a tree of RFC 6962 that grows within one transaction. It is read once, so that a leaf costs the
// same in a log of a million as in one of a thousand.
type tree struct {
	size   int64
	hashes map[int64]tlog.Hash // stored-hash index → hash: the right edge, and what this transaction added
}

// openTree reads the edge of the first size leaves.
func openTree(size int64, r tlog.HashReader) (*tree, error) {
	t := &tree{size: size, hashes: map[int64]tlog.Hash{}}
	var edge []int64
	for rest, start := size, int64(0); rest > 0; {
		level := bits.Len64(uint64(rest)) - 1
		edge = append(edge, tlog.StoredHashIndex(level, start>>level))
		start += 1 << level
		rest -= 1 << level
	}
	if len(edge) == 0 {
		return t, nil
	}
	hashes, err := r.ReadHashes(edge)
	if err != nil {
		return nil, fmt.Errorf("reading the edge of a tree: %w", err)
	}
	for i, index := range edge {
		t.hashes[index] = hashes[i]
	}
	return t, nil
}

// ReadHashes makes t a tlog.HashReader over the edge and its own additions.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := t.hashes[index]
		if !ok {
			return nil, fmt.Errorf("tree hash %d is not on the edge", index)
		}
		hashes[i] = hash
	}
	return hashes, nil
}

// add appends exact leaf bytes, and returns the hashes to be stored with them.
func (t *tree) add(leaf []byte) ([]byte, error) {
	n := t.size
	hashes, err := ledger.AppendHashes(n, leaf, t)
	if err != nil {
		return nil, err
	}
	var stored []byte
	for level, hash := range hashes {
		t.hashes[tlog.StoredHashIndex(level, n>>level)] = hash
		stored = append(stored, hash[:]...)
	}
	t.size++
	return stored, nil
}

// book appends leaves to one party's log of a link within one transaction.
type book struct {
	log  exchange.Log
	rows []exchange.LeafRow
	tree *tree
}

func openBook(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, epoch uint32) (*book, error) {
	log, err := tx.Log(ctx, link, p, epoch)
	if err != nil {
		return nil, err
	}
	t, err := openTree(log.Size, tx.HashReader(ctx, link, p, epoch))
	if err != nil {
		return nil, fmt.Errorf("opening a ledger: %w", err)
	}
	return &book{log: log, tree: t}, nil
}

// add appends exact leaf bytes.
func (b *book) add(leaf []byte, doc envelope.Hash, kind ledger.Kind, at int64) error {
	n := b.log.Size
	hashes, err := b.tree.add(leaf)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, exchange.LeafRow{Index: n, Leaf: leaf, Doc: doc, Kind: string(kind), Hashes: hashes})
	b.log.Size, b.log.LastTime = n+1, at
	return nil
}

// enter makes the next leaf and appends it. The time is now, but never before the last leaf's.
func (b *book) enter(now int64, kind ledger.Kind, lane statement.Lane, seq uint64, doc envelope.Hash) (parcelPosition, error) {
	at := max(now, b.log.LastTime)
	leaf := ledger.Leaf{V: 1, Epoch: b.log.Epoch, Index: b.log.Size, Time: at, Kind: kind, Lane: string(lane), Seq: seq, Doc: doc}
	data, err := leaf.Encode()
	if err != nil {
		return parcelPosition{}, err
	}
	if err := b.add(data, doc, kind, at); err != nil {
		return parcelPosition{}, err
	}
	return parcelPosition{index: leaf.Index, at: at}, nil
}

// parcelPosition is where and when a leaf was entered.
type parcelPosition struct {
	index int64
	at    int64
}

// close writes the rows and the log's new state.
func (b *book) close(ctx context.Context, tx Tx) error {
	if len(b.rows) == 0 {
		return nil
	}
	if err := tx.AppendLeaves(ctx, b.log.Link, b.log.Party, b.log.Epoch, b.rows); err != nil {
		return err
	}
	b.rows = nil
	return tx.PutLog(ctx, b.log)
}

// Entry is a leaf to be entered.
type Entry struct {
	Kind ledger.Kind
	Lane statement.Lane
	Seq  uint64
	Doc  envelope.Hash
}

// Enter appends leaves to a party's log of a link, as every act does that enters one, and returns the log's new state.
func Enter(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, epoch uint32, now int64, entries []Entry) (exchange.Log, error) {
	b, err := openBook(ctx, tx, link, p, epoch)
	if err != nil {
		return exchange.Log{}, err
	}
	for _, e := range entries {
		if _, err := b.enter(now, e.Kind, e.Lane, e.Seq, e.Doc); err != nil {
			return exchange.Log{}, err
		}
	}
	return b.log, b.close(ctx, tx)
}
