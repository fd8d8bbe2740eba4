package envelope

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Hash is a SHA-256 digest; as text 64 lower-case hexadecimal digits.
type Hash [32]byte

// Sum is the SHA-256 digest of data.
func Sum(data []byte) Hash { return sha256.Sum256(data) }

// ParseHash reads 64 lower-case hexadecimal digits; anything else is a *FormatError.
func ParseHash(s string) (h Hash, err error) {
	err = decodeHex(h[:], []byte(s), "hash")
	return h, err
}

// String is h as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero says whether h is 32 zero bytes, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// AppendText appends the text form.
func (h Hash) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, h[:]), nil }

// MarshalText gives the text form.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText reads the text form as strictly as ParseHash.
func (h *Hash) UnmarshalText(text []byte) error { return decodeHex(h[:], text, "hash") }

// ID is a random 16-byte identifier; as text 32 lower-case hexadecimal digits.
type ID [16]byte

// NewID draws an identifier from the system's random source.
func NewID() (id ID) {
	rand.Read(id[:]) // never fails: see crypto/rand
	return id
}

// ParseID reads 32 lower-case hexadecimal digits; anything else is a *FormatError.
func ParseID(s string) (id ID, err error) {
	err = decodeHex(id[:], []byte(s), "identifier")
	return id, err
}

// String is i as 32 lower-case hexadecimal digits.
func (i ID) String() string { return hex.EncodeToString(i[:]) }

// IsZero says whether i is 16 zero bytes, which stands for "none".
func (i ID) IsZero() bool { return i == ID{} }

// AppendText appends the text form.
func (i ID) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, i[:]), nil }

// MarshalText gives the text form.
func (i ID) MarshalText() ([]byte, error) { return i.AppendText(nil) }

// UnmarshalText reads the text form as strictly as ParseID.
func (i *ID) UnmarshalText(text []byte) error { return decodeHex(i[:], text, "identifier") }

// decodeHex fills dst, and leaves it alone when text isn't exactly its lower-case form.
func decodeHex(dst, text []byte, what string) error {
	var b [len(Hash{})]byte
	bad := len(text) != hex.EncodedLen(len(dst)) || slices.ContainsFunc(text, func(c byte) bool { return 'A' <= c && c <= 'F' })
	if !bad {
		_, err := hex.Decode(b[:], text)
		bad = err != nil
	}
	if bad {
		return &FormatError{What: what + " is not lower-case hexadecimal of its length"}
	}
	copy(dst, b[:])
	return nil
}
