package member

import (
	"context"
	"crypto/sha256"
	"time"

	"entente/envelope"
	"entente/internal/fault"
)

// Replay is what was answered to a call that a client named by a key, so that the same call, sent again, does nothing and gets the
// same answer. Without a fingerprint the call is under way, or was when the node went down.
type Replay struct {
	ID          envelope.Hash // of who called, and his key
	Created     int64
	Fingerprint *envelope.Hash // of the call; nil until it was answered
	Status      int
	Media       string
	Tag         string // its entity tag; "" if it has none
	Sealed, Key []byte // the answer's body, and the key under which it lies
}

// ReplayFor is how long an answer is kept.
const ReplayFor = 24 * time.Hour

const maxReplayKey = 128

// ReplayID names a member's key. A key is 1 to 128 visible ASCII characters.
func ReplayID(who, key string) (envelope.Hash, error) {
	if len(key) == 0 || len(key) > maxReplayKey {
		return envelope.Hash{}, refusedKey()
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return envelope.Hash{}, refusedKey()
		}
	}
	return envelope.Hash(sha256.Sum256([]byte("entente/replay\x00" + who + "\x00" + key))), nil
}

func refusedKey() error {
	return fault.New(fault.Invalid, "idempotency_key", "An Idempotency-Key has 1 to 128 visible ASCII characters, such as a UUID.")
}

// ReplayTx is what the store keeps of answers.
type ReplayTx interface {
	PutReplay(ctx context.Context, r Replay) error // insert or update by ID
	Replay(ctx context.Context, id envelope.Hash) (Replay, error)
	DropReplay(ctx context.Context, id envelope.Hash) error
	DropReplays(ctx context.Context, before int64) error // created before
}
