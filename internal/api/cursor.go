package api

import (
	"encoding/base64"
	"encoding/binary"

	"entente/envelope"
	"entente/internal/fault"
	"entente/statement"
)

// cursor is the row of a list of requests or calls where a page ended, as a token that says nothing to clients: when it was received,
// and its thread. New rows come before it, so that it stays good however long it is kept.
type cursor struct {
	received int64
	thread   statement.Commitment
}

// String writes the token.
func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(c.received)), c.thread[:]...))
}

// parseCursor reads a token that String wrote, and nothing looser.
func parseCursor(token string) (cursor, error) {
	const instant = 8
	data, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(data) != instant+len(envelope.Hash{}) || base64.RawURLEncoding.EncodeToString(data) != token {
		return cursor{}, noCursor()
	}
	return cursor{int64(binary.BigEndian.Uint64(data)), statement.Commitment(data[instant:])}, nil
}

// noCursor refuses a token that the list did not give.
func noCursor() error {
	return fault.New(fault.Invalid, "after", "This is no cursor of this list; begin without one.")
}
