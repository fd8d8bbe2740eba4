package sqlstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/internal/store/sqlstore"
	"entente/statement"
)

// onBoth runs a benchmark on SQLite, and on PostgreSQL when there is one.
func onBoth(b *testing.B, run func(b *testing.B, s *sqlstore.Store)) {
	b.Run("sqlite", func(b *testing.B) { run(b, openSQLite(b)) })
	b.Run("postgres", func(b *testing.B) { run(b, openPostgres(b)) })
}

func number(n int64) (h envelope.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n)*0x9E3779B97F4A7C15)
	return h
}

// received is about what an act of receiving one parcel writes.
func received(ctx context.Context, tx flow.Tx, n int64) error {
	link, peer := envelope.Sum([]byte("link")), envelope.Sum([]byte("peer"))
	lane, err := tx.Lane(ctx, link, peer, 1, statement.Dialogue)
	if err != nil {
		return err
	}
	lane.Last++
	lane.Contiguous = lane.Last
	var id envelope.ID
	h := number(n)
	copy(id[:], h[:])
	p := exchange.Parcel{ID: id, Link: link, Author: peer, Epoch: 1, Lane: statement.Dialogue, Seq: lane.Last, File: -1,
		Header: h, State: exchange.Received, Created: n, Content: make([]byte, 3000)}
	if err := tx.PutParcels(ctx, p); err != nil {
		return err
	}
	if err := tx.PutReceipts(ctx, exchange.Receipt{Hash: h, Link: link, Author: peer, Kind: "received", Header: h, Parcel: id,
		Lane: statement.Dialogue, Epoch: 1, Seq: lane.Last, ContiguousTo: lane.Last, At: n, Unsent: true}); err != nil {
		return err
	}
	if err := tx.PutDocuments(ctx,
		exchange.Document{Hash: h, Link: link, Type: "header", Payload: make([]byte, 2000), Signatures: []envelope.Signature{{KeyID: "k", Sig: make([]byte, 3309)}}},
		exchange.Document{Hash: number(-n - 1), Link: link, Type: "receipt", Payload: make([]byte, 700)}); err != nil {
		return err
	}
	rows := []exchange.LeafRow{
		{Index: int64(lane.Last) * 2, Leaf: make([]byte, 300), Doc: h, Kind: "got", Hashes: make([]byte, 32)},
		{Index: int64(lane.Last)*2 + 1, Leaf: make([]byte, 300), Doc: h, Kind: "receipt-out", Hashes: make([]byte, 64)},
	}
	if err := tx.AppendLeaves(ctx, link, peer, 1, rows); err != nil {
		return err
	}
	return tx.PutLane(ctx, lane)
}

// BenchmarkUpdate carries out acts of receiving, one at a time and from 64 goroutines.
func BenchmarkUpdate(b *testing.B) {
	onBoth(b, func(b *testing.B, s *sqlstore.Store) {
		var n atomic.Int64
		one := func(ctx context.Context) error {
			i := n.Add(1)
			return s.Update(ctx, flow.Normal, func(tx flow.Tx) error { return received(ctx, tx, i) })
		}
		b.Run("1", func(b *testing.B) {
			for b.Loop() {
				if err := one(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("64", func(b *testing.B) {
			b.SetParallelism(32) // of GOMAXPROCS, which is 2 or more
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := one(context.Background()); err != nil {
						b.Error(err)
					}
				}
			})
		})
	})
}

// BenchmarkAppendLeaves appends 256 leaves in one act, as a mirror does.
func BenchmarkAppendLeaves(b *testing.B) {
	onBoth(b, func(b *testing.B, s *sqlstore.Store) {
		var first int64
		for b.Loop() {
			rows := make([]exchange.LeafRow, 256)
			for i := range rows {
				rows[i] = exchange.LeafRow{Index: first + int64(i), Leaf: fmt.Appendf(nil, "%300d", i), Doc: number(first + int64(i)),
					Kind: "sent", Hashes: make([]byte, 64)}
			}
			first += int64(len(rows))
			ctx := b.Context()
			err := s.Update(ctx, flow.Normal, func(tx flow.Tx) error {
				return tx.AppendLeaves(ctx, number(1), number(2), 1, rows)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds(), "leaves/s")
	})
}
