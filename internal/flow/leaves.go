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

// book appends leaves to one party's log of a link within one transaction. It reads the log's right edge once, so
// that a leaf costs the same in a log of a million as in one of a thousand.
type book struct {
	log    exchange.Log
	rows   []exchange.LeafRow
	hashes map[int64]tlog.Hash // stored-hash index → hash: the right edge, and what this transaction added
}

func openBook(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, epoch uint32) (*book, error) {
	log, err := tx.Log(ctx, link, p, epoch)
	if err != nil {
		return nil, err
	}
	b := &book{log: log, hashes: map[int64]tlog.Hash{}}
	var edge []int64
	for rest, start := log.Size, int64(0); rest > 0; {
		level := bits.Len64(uint64(rest)) - 1
		edge = append(edge, tlog.StoredHashIndex(level, start>>level))
		start += 1 << level
		rest -= 1 << level
	}
	if len(edge) == 0 {
		return b, nil
	}
	hashes, err := tx.HashReader(ctx, link, p, epoch).ReadHashes(edge)
	if err != nil {
		return nil, fmt.Errorf("reading the edge of a ledger: %w", err)
	}
	for i, index := range edge {
		b.hashes[index] = hashes[i]
	}
	return b, nil
}

// ReadHashes makes b a tlog.HashReader over the edge and its own additions.
func (b *book) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := b.hashes[index]
		if !ok {
			return nil, fmt.Errorf("ledger hash %d is not on the edge", index)
		}
		hashes[i] = hash
	}
	return hashes, nil
}

// add appends exact leaf bytes.
func (b *book) add(leaf []byte, doc envelope.Hash, kind ledger.Kind, at int64) error {
	n := b.log.Size
	hashes, err := ledger.AppendHashes(n, leaf, b)
	if err != nil {
		return err
	}
	row := exchange.LeafRow{Index: n, Leaf: leaf, Doc: doc, Kind: string(kind)}
	for level, hash := range hashes {
		b.hashes[tlog.StoredHashIndex(level, n>>level)] = hash
		row.Hashes = append(row.Hashes, hash[:]...)
	}
	b.rows = append(b.rows, row)
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
