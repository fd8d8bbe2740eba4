package statement

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"entente/envelope"
)

// Commitment is SHA-256(label ‖ salt ‖ bytes), with a label of 16 bytes and a salt of 32. It names a statement, a body or a
// file without telling anything of it to who lacks the salt: erasing the salt erases the link.
type Commitment = envelope.Hash

// Salt is 32 random bytes; as text 64 lower-case hexadecimal digits.
type Salt [32]byte

// NewSalt returns a fresh random salt.
func NewSalt() Salt {
	var s Salt
	rand.Read(s[:]) // never fails: crypto/rand ends the process rather than return bad bytes
	return s
}

// MarshalText implements [encoding.TextMarshaler].
func (s Salt) MarshalText() ([]byte, error) { return envelope.Hash(s).MarshalText() }

// UnmarshalText implements [encoding.TextUnmarshaler]; it takes exactly what MarshalText gives.
func (s *Salt) UnmarshalText(text []byte) error { return (*envelope.Hash)(s).UnmarshalText(text) }

// String returns the text form.
func (s Salt) String() string { return hex.EncodeToString(s[:]) }

// Label says what is committed to. Its length is fixed, so that no label with data can be read as another with a salt.
type Label [16]byte

// TextLabel is that of a text: "entente/text/v1" and a zero byte.
func TextLabel() Label { return Label([]byte("entente/text/v1\x00")) }

// BodyLabel is that of a body: "entente/body/v1" and a zero byte.
func BodyLabel() Label { return Label([]byte("entente/body/v1\x00")) }

// FileLabel is that of a file: "entente/file/v1" and a zero byte, over the file's SHA-256 ‖ size (8 bytes, big-endian).
func FileLabel() Label { return Label([]byte("entente/file/v1\x00")) }

// Commit makes the commitment to data.
func Commit(label Label, salt Salt, data []byte) Commitment {
	h := sha256.New()
	h.Write(label[:])
	h.Write(salt[:])
	h.Write(data)
	var c Commitment
	h.Sum(c[:0])
	return c
}

// File describes one file in the sealed content. Its name and media type are content, never text.
type File struct {
	SHA256 envelope.Hash `json:"sha256"`
	Size   int64         `json:"size"` // bytes
	Name   string        `json:"name"`
	Media  string        `json:"media"` // type/subtype, lower case, no parameters
	Salt   Salt          `json:"salt"`
	Parcel envelope.ID   `json:"parcel"` // header id of the file's own parcel
}

// Commitment is that of the file's digest and size, as the text lists it.
func (f File) Commitment() Commitment {
	data := binary.BigEndian.AppendUint64(f.SHA256[:], uint64(f.Size))
	return Commit(FileLabel(), f.Salt, data)
}

// Validate checks digest, size, name, media type and parcel id.
func (f File) Validate() error {
	switch {
	case f.SHA256.IsZero():
		return envelope.Refuse("sha256", "is zero")
	case f.Size < 0 || f.Size > MaxFileSize:
		return envelope.Refuse("size", "%d is not within 0 to %d", f.Size, int64(MaxFileSize))
	case f.Parcel == envelope.ID{}:
		return envelope.Refuse("parcel", "is zero")
	}
	return CheckFile(f.Name, f.Media)
}

// CheckFile checks what a file is called: its name (CheckFileName) and its media type.
func CheckFile(name, media string) error {
	if !mediaPattern.MatchString(media) {
		return envelope.Refuse("media", "is not a media type")
	}
	return envelope.Within("name", CheckFileName(name))
}
