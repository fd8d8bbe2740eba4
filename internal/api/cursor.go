package api

import (
	"encoding/base64"
	"encoding/binary"

	"entente/envelope"
	"entente/internal/fault"
	"entente/statement"
)

// instantSize is how many bytes of a cursor are its instant.
const instantSize = 8

// cursorAt is the row of a list where a page ended, as a token that says nothing to clients: the instant by which the list is ordered,
// and the row's id. New rows come before it, so that it stays good however long it is kept.
func cursorAt(at int64, id []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(at)), id...))
}

// parseCursor reads a token that cursorAt wrote of an id of some size, and nothing looser.
func parseCursor(token string, size int) (at int64, id []byte, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(data) != instantSize+size || base64.RawURLEncoding.EncodeToString(data) != token {
		return 0, nil, fault.New(fault.Invalid, "after", "This is no cursor of this list; begin without one.")
	}
	return int64(binary.BigEndian.Uint64(data)), data[instantSize:], nil
}

// statementCursor reads a cursor whose id is a commitment.
func statementCursor(token string) (int64, statement.Commitment, error) {
	at, id, err := parseCursor(token, len(envelope.Hash{}))
	if err != nil {
		return 0, statement.Commitment{}, err
	}
	return at, statement.Commitment(id), nil
}
