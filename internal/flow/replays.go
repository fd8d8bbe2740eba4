package flow

import (
	"context"
	"crypto/rand"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/member"
)

// Answer is what was answered to a call.
type Answer struct {
	Status int
	Media  string
	Tag    string
	Body   []byte
}

// Claim takes a member's key for a call that is to be made once. done is true where it was made already: then the fingerprint of
// that call and its answer are given, and nothing is claimed. A call that is under way, or whose end a crash has hidden, is a fault of kind Conflict.
func (h *House) Claim(ctx context.Context, who, key string) (fingerprint envelope.Hash, a Answer, done bool, err error) {
	id, err := member.ReplayID(who, key)
	if err != nil {
		return fingerprint, a, false, err
	}
	now := h.now()
	var r member.Replay
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		if err := tx.DropReplays(ctx, now-member.ReplayFor.Microseconds()); err != nil {
			return err
		}
		if r, err = tx.Replay(ctx, id); !notFound(err) {
			return err
		}
		r = member.Replay{}
		return tx.PutReplay(ctx, member.Replay{ID: id, Created: now})
	})
	switch {
	case err != nil:
		return fingerprint, a, false, err
	case r.ID != id:
		return fingerprint, a, false, nil
	case r.Fingerprint == nil:
		return fingerprint, a, false, fault.New(fault.Conflict, "idempotency_running",
			"A call with this Idempotency-Key is under way, or the node went down amid it: look whether it was done before you use another key.")
	}
	body, _, err := h.unlockBytes(r.Sealed, r.Key, id)
	return *r.Fingerprint, Answer{Status: r.Status, Media: r.Media, Tag: r.Tag, Body: body}, err == nil, err
}

// Answered keeps the answer of a call that was claimed, for a day.
func (h *House) Answered(ctx context.Context, who, key string, fingerprint envelope.Hash, a Answer) error {
	id, err := member.ReplayID(who, key)
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	sealed, wrapped, err := h.lock(secret, id, a.Body)
	if err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		return tx.PutReplay(ctx, member.Replay{ID: id, Created: h.now(), Fingerprint: &fingerprint, Status: a.Status, Media: a.Media, Tag: a.Tag, Sealed: sealed, Key: wrapped})
	})
}

// Unclaim lets a key be used again: the call that claimed it was refused, and did nothing.
func (h *House) Unclaim(ctx context.Context, who, key string) error {
	id, err := member.ReplayID(who, key)
	if err != nil {
		return err
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.DropReplay(ctx, id) })
}
