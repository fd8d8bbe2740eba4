package member

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"

	"golang.org/x/crypto/argon2"
)

// How long a token may be good for, and is if nothing is said.
const (
	MaxValidity   = 366 * 24 * time.Hour
	UsualValidity = 90 * 24 * time.Hour
)

// Token is what a program shows to act as a member. The secret itself is shown once, when it is made, and not kept.
type Token struct {
	ID      string        // the first digits of Hash
	Hash    envelope.Hash // of the secret
	Member  string
	Scopes  []actor.Scope
	Note    string // what it is for
	Created int64
	Expires int64
	Revoked int64 // 0 if not
	Used    int64 // about when it was last used; 0 if never
}

const (
	tokenPrefix = "entente_" // so that a leaked one is found by tools that look for secrets
	tokenBytes  = 32
	idDigits    = 12
)

// NewToken makes a token and its secret.
func NewToken(member string, scopes []actor.Scope, note string, now, expires int64) (Token, string, error) {
	if len(scopes) == 0 {
		return Token{}, "", fault.New(fault.Invalid, "token_scopes", "Give the token at least one scope.")
	}
	for i, s := range scopes {
		if !slices.Contains(actor.Scopes(), s) || slices.Contains(scopes[:i], s) {
			return Token{}, "", fault.New(fault.Invalid, "token_scopes", "There is no scope "+string(s)+", or it is named twice; \"entente members token add --help\" lists them.")
		}
	}
	if expires <= now || expires > now+MaxValidity.Microseconds() {
		return Token{}, "", fault.New(fault.Invalid, "token_validity", "A token is valid for at most 366 days.")
	}
	if len(note) > maxNote {
		return Token{}, "", fault.New(fault.TooLarge, "note", fmt.Sprintf("The note may have %d bytes at most.", maxNote))
	}
	secret := make([]byte, tokenBytes)
	rand.Read(secret)
	text := tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := HashToken(text)
	return Token{ID: hash.String()[:idDigits], Hash: hash, Member: member, Scopes: scopes, Note: note, Created: now, Expires: expires}, text, nil
}

// HashToken is what a token is recognised by. Its secret has 256 bits, so one pass of SHA-256 is enough.
func HashToken(secret string) envelope.Hash {
	return envelope.Hash(sha256.Sum256([]byte("entente/token\x00" + secret)))
}

// Check refuses a token that is not good at an instant. Why is not said: whoever found one shall not learn what it was.
func (t Token) Check(now int64) error {
	if t.Revoked != 0 || now >= t.Expires {
		return refusedToken()
	}
	return nil
}

func refusedToken() error {
	return fault.New(fault.Forbidden, "token", "The token is not known here, or not valid any more; ask an operator of your node for another.")
}

// RefusedToken is what an unknown token is told: the same as one that is over.
func RefusedToken() error { return refusedToken() }

// Passphrase is what a member's passphrase is recognised by.
type Passphrase struct {
	Salt []byte
	Key  []byte
}

const (
	minPassphrase  = 12
	maxPassphrase  = 1024
	saltSize       = 16
	newGroups      = 5 // of a passphrase that is made here: four letters and digits each, 100 bits
	maxFailures    = 5
	lockedFor      = 15 * time.Minute
	passphraseSize = 32
)

// alphabet has no letter that is read as a digit, or the other way round.
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// InventPassphrase makes one that a person can type.
func InventPassphrase() string {
	random := make([]byte, 4*newGroups)
	rand.Read(random)
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[int(r)%len(alphabet)])
	}
	return b.String()
}

// NewPassphrase is what a passphrase will be recognised by. It takes a while, by design.
func NewPassphrase(words string) (Passphrase, error) {
	if len(words) < minPassphrase || len(words) > maxPassphrase {
		return Passphrase{}, fault.New(fault.Invalid, "passphrase_short", fmt.Sprintf("A passphrase needs %d to %d characters.", minPassphrase, maxPassphrase))
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return Passphrase{Salt: salt, Key: derive(words, salt)}, nil
}

// derive is Argon2id with the second recommended option of RFC 9106, section 4.
func derive(words string, salt []byte) []byte {
	return argon2.IDKey([]byte(words), salt, 3, 64<<10, 4, passphraseSize)
}

// Is says whether these are the words. It takes as long as NewPassphrase.
func (p Passphrase) Is(words string) bool {
	return len(p.Salt) == saltSize && len(words) <= maxPassphrase && subtle.ConstantTimeCompare(derive(words, p.Salt), p.Key) == 1
}

// Confirming refuses the step-up of a member who has no passphrase, or gave wrong ones too often.
func (m Member) Confirming(now int64) error {
	if len(m.Passphrase.Salt) == 0 || m.Suspended != 0 {
		return fault.New(fault.Forbidden, "no_passphrase", "This must be confirmed by a member's passphrase; who has none asks an operator for one (entente members passphrase).")
	}
	if now < m.Locked {
		return fault.New(fault.Exhausted, "locked", "The passphrase was wrong too often; wait a quarter of an hour.")
	}
	return nil
}

// Confirmed is the member after a step-up, and the refusal if the passphrase was wrong.
func (m Member) Confirmed(right bool, now int64) (Member, error) {
	if right {
		m.Failures, m.Locked = 0, 0
		return m, nil
	}
	if m.Failures++; m.Failures >= maxFailures {
		m.Failures, m.Locked = 0, now+lockedFor.Microseconds()
	}
	return m, fault.New(fault.Forbidden, "passphrase", "The passphrase is wrong. Nothing was done.")
}

// ParseTokenID refuses what cannot be a token's id.
func ParseTokenID(s string) (string, error) {
	if _, err := hex.DecodeString(s); err != nil || len(s) != idDigits {
		return "", fault.New(fault.NotFound, "token", "There is no such token; \"entente members token list\" lists them.")
	}
	return s, nil
}
