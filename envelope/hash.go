package envelope

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// Hash is a SHA-256 digest; as text 64 lower-case hexadecimal digits.
type Hash [32]byte

// Sum is the SHA-256 digest of data.
func Sum(data []byte) Hash { return sha256.Sum256(data) }

// ParseHash reads 64 lower-case hexadecimal digits; anything else is a *FormatError.
func ParseHash(s string) (h Hash, err error) {
	err = decodeHex(h[:], s, "hash")
	return h, err
}

// String is h as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero says whether h is 32 zero bytes, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText gives the text form.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads the text form as strictly as ParseHash.
func (h *Hash) UnmarshalText(text []byte) error { return decodeHex(h[:], string(text), "hash") }

// ID is a random 16-byte identifier; as text 32 lower-case hexadecimal digits.
type ID [16]byte

// NewID draws an identifier from the system's random source.
func NewID() (id ID) {
	rand.Read(id[:]) // never fails: see crypto/rand
	return id
}

// ParseID reads 32 lower-case hexadecimal digits; anything else is a *FormatError.
func ParseID(s string) (id ID, err error) {
	err = decodeHex(id[:], s, "identifier")
	return id, err
}

// String is i as 32 lower-case hexadecimal digits.
func (i ID) String() string { return hex.EncodeToString(i[:]) }

// IsZero says whether i is 16 zero bytes, which stands for "none".
func (i ID) IsZero() bool { return i == ID{} }

// MarshalText gives the text form.
func (i ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, i[:]), nil }

// UnmarshalText reads the text form as strictly as ParseID.
func (i *ID) UnmarshalText(text []byte) error { return decodeHex(i[:], string(text), "identifier") }

// decodeHex fills dst, and leaves it alone when s isn't exactly its lower-case form.
func decodeHex(dst []byte, s, what string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(dst) || hex.EncodeToString(b) != s {
		return &FormatError{What: what + " is not lower-case hexadecimal of its length"}
	}
	copy(dst, b)
	return nil
}
