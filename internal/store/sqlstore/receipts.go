package sqlstore

import (
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

const receiptColumns = `hash, link, author, kind, header, parcel, lane, epoch, seq, contiguous_to, at, idx, log, log_epoch, unsent`

func scanReceipt(r rows, x *exchange.Receipt) error {
	return r.Scan(fixed{x.Hash[:]}, fixed{x.Link[:]}, fixed{x.Author[:]}, &x.Kind, fixed{x.Header[:]}, fixed{x.Parcel[:]},
		(*string)(&x.Lane), &x.Epoch, &x.Seq, &x.ContiguousTo, &x.At, &x.Index, &x.Log, &x.LogEpoch, flag{&x.Unsent})
}

// PutReceipts implements exchange.LaneTx.
func (t *tx) PutReceipts(ctx context.Context, rs ...exchange.Receipt) error {
	values := make([][]any, len(rs))
	for i := range rs {
		x := &rs[i]
		values[i] = []any{x.Hash[:], x.Link[:], x.Author[:], x.Kind, x.Header[:], x.Parcel[:], string(x.Lane), int64(x.Epoch),
			count(x.Seq), count(x.ContiguousTo), x.At, x.Index, x.Log, int64(x.LogEpoch), bit(x.Unsent)}
	}
	return t.insert(ctx, `INSERT INTO receipts (`+receiptColumns+`)`, ` ON CONFLICT (hash) DO NOTHING`, nil, values)
}

// ReceiptsOf implements exchange.LaneTx.
func (t *tx) ReceiptsOf(ctx context.Context, header envelope.Hash) ([]exchange.Receipt, error) {
	all, err := t.ReceiptsOfMany(ctx, []envelope.Hash{header})
	return all[header], err
}

// ReceiptsOfMany implements exchange.LaneTx.
func (t *tx) ReceiptsOfMany(ctx context.Context, headers []envelope.Hash) (map[envelope.Hash][]exchange.Receipt, error) {
	out := map[envelope.Hash][]exchange.Receipt{}
	err := many(headers, 0, hashArg, func(in string, args []any) error {
		return each(ctx, t, func(r rows) error {
			var x exchange.Receipt
			err := scanReceipt(r, &x)
			out[x.Header] = append(out[x.Header], x)
			return err
		}, `SELECT `+receiptColumns+` FROM receipts WHERE header IN `+in+` ORDER BY at, idx, hash`, args...)
	})
	return out, err
}

// UnsentReceipts implements exchange.LaneTx.
func (t *tx) UnsentReceipts(ctx context.Context, link statement.LinkID, author party.ID, limit int) ([]exchange.Receipt, error) {
	return list(ctx, t, scanReceipt, `SELECT `+receiptColumns+` FROM receipts
		WHERE link = $1 AND author = $2 AND unsent = 1 ORDER BY at, idx, hash LIMIT $3`, link[:], author[:], int64(limit))
}

// MarkReceiptsSent implements exchange.LaneTx.
func (t *tx) MarkReceiptsSent(ctx context.Context, hashes []envelope.Hash) error {
	return in(ctx, t, hashArg, hashes, nil, `UPDATE receipts SET unsent = 0 WHERE unsent = 1 AND hash IN `)
}

// PlaceReceipts implements exchange.LaneTx.
func (t *tx) PlaceReceipts(ctx context.Context, author party.ID, leaves []exchange.LeafRow) error {
	for i := range leaves {
		err := t.write(ctx, `UPDATE receipts SET idx = $3 WHERE hash = $1 AND author = $2 AND idx < 0`, leaves[i].Doc[:], author[:], leaves[i].Index)
		if err != nil {
			return err
		}
	}
	return nil
}

// UnplacedReceipts implements exchange.LaneTx.
func (t *tx) UnplacedReceipts(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, after, upTo uint64, limit int) ([]exchange.Receipt, error) {
	return list(ctx, t, scanReceipt, `SELECT `+receiptColumns+` FROM receipts
		WHERE link = $1 AND author = $2 AND epoch = $3 AND lane = $4 AND seq > $5 AND seq <= $6 AND idx < 0 ORDER BY seq, hash LIMIT $7`,
		link[:], author[:], int64(epoch), string(lane), count(after), count(upTo), int64(limit))
}

// MarkReceiptsUnsent implements exchange.LaneTx.
func (t *tx) MarkReceiptsUnsent(ctx context.Context, hashes []envelope.Hash) error {
	return in(ctx, t, hashArg, hashes, nil, `UPDATE receipts SET unsent = 1 WHERE unsent = 0 AND hash IN `)
}

// ReceiptAbove implements exchange.LaneTx.
func (t *tx) ReceiptAbove(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, seen uint64, before parcel.Position) (exchange.Receipt, error) {
	return one(ctx, t, "receipt", scanReceipt, `SELECT `+receiptColumns+` FROM receipts
		WHERE link = $1 AND author = $2 AND epoch = $3 AND lane = $4 AND contiguous_to > $5 AND log_epoch = $6 AND log < $7 AND kind IN ('received', 'refused')
		ORDER BY log, idx LIMIT 1`, link[:], author[:], int64(epoch), string(lane), count(seen), int64(before.Epoch), before.Index)
}
