package flow

import (
	"context"
	"errors"

	"entente/ledger"
	"entente/parcel"
)

// vouched says whether leaves are the peer's word. Over a network the connection tells whose they are; a courier file may have been
// written or changed by whoever carried it, so leaves in one are taken only if the peer signed the head that they lead to
// (docs/spec/frames.md, section 4). What is not the peer's word accuses nobody: it is refused, and nothing of it is kept. A head that
// it did sign, and that contradicts our mirror, is evidence whatever leaves came with it; data is the frame's payload.
func (in *intake) vouched(ctx context.Context, lf parcel.LeavesFrame, data []byte) (bool, error) {
	if !in.carried {
		return true, nil
	}
	if len(lf.Head) == 0 {
		in.refuse(nil, "leaves_unsigned", "Leaves in a courier file need the signed checkpoint that ends with them.")
		return false, nil
	}
	whole := false
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		whole = false
		log, err := tx.Log(ctx, in.l.ID, in.l.Peer, lf.Epoch)
		if err != nil {
			return err
		}
		head, err := in.judge(ctx, tx, ledger.WitnessState{}, ledger.AddCheckpoint{Note: lf.Head}, log)
		var refusal *ledger.RefusalError
		if errors.As(err, &refusal) || err == nil && head.Size != lf.First+int64(len(lf.Leaves)) {
			return nil
		}
		if err != nil {
			return err
		}
		reader := tx.HashReader(ctx, in.l.ID, in.l.Peer, lf.Epoch)
		if head.Size <= log.Size {
			if err := in.judged(ctx, tx, &ledger.RefusalError{Signed: head}, log, reader, data); err != nil {
				return err
			}
		}
		if lf.First > log.Size { // what is between is asked for, and nothing of these is taken
			whole = true
			return nil
		}
		t, err := openTree(lf.First, reader)
		if err != nil {
			return err
		}
		for _, leaf := range lf.Leaves {
			if _, err := t.add(leaf); err != nil {
				return err
			}
		}
		root, err := ledger.TreeRoot(t.size, t)
		whole = root == head.Root
		return err
	})
	if err == nil && !whole {
		in.refuse(nil, "leaves_head", "The leaves in the courier file are not those of a checkpoint that the other party signed.")
	}
	return whole, err
}
