package party

import (
	"fmt"
	"regexp"

	"entente/envelope"
)

// CardType is the DSSE payload type of an officer's card.
const CardType = "application/vnd.entente.card+json"

// MaxCard bounds the payload of a card (bytes).
const MaxCard = 16 << 10

// maxCardKey bounds a key in a card; RSA keys on PIV tokens are the largest.
const maxCardKey = 4 << 10

// The formats of an officer's key.
const (
	FormatWebAuthn = "webauthn"
	FormatPIV      = "piv"
	FormatFile     = "file"
)

// The places where an officer's key is kept.
const (
	CustodyDevice = "device" // the officer's own
	CustodyNode   = "node"   // the party's node, which signs after a step-up log-in
)

var codePattern = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// Card introduces an officer to the peer of one link, by a pseudonym: the party vouches, by its own keys, that
// whoever holds Key acts for it in Role. ID is random and differs from link to link, so that peers cannot find out by
// comparing cards that they deal with the same person. A card bears no name.
type Card struct {
	V         int                `json:"v"` // 1
	Link      envelope.Hash      `json:"link"`
	ID        envelope.ID        `json:"id"`
	Role      string             `json:"role"` // a code [a-z0-9_.-]{1,64}
	Key       envelope.PublicKey `json:"key"`
	Format    string             `json:"format"`     // webauthn | piv | file
	Custody   string             `json:"custody"`    // device | node
	NotBefore int64              `json:"not_before"` // UTC microseconds
	NotAfter  int64              `json:"not_after"`  // the first instant at which it is no longer valid
}

// Validate checks the card by itself. A key in a file is one of a scheme that r knows; the algorithms of WebAuthn and
// PIV keys are codes that whoever verifies such a signature looks up. Errors are *envelope.FormatError.
func (c *Card) Validate(r envelope.Registry) error {
	if c.V != 1 {
		return malformed("/v", "format %d is not known", c.V)
	}
	if c.Link.IsZero() {
		return malformed("/link", "the link is missing")
	}
	if c.ID.IsZero() {
		return malformed("/id", "the id is missing")
	}
	if !codePattern.MatchString(c.Role) {
		return malformed("/role", "%q is not a code", c.Role)
	}
	if c.Custody != CustodyDevice && c.Custody != CustodyNode {
		return malformed("/custody", "%q is not a custody", c.Custody)
	}
	if c.NotBefore <= 0 || c.NotAfter <= c.NotBefore {
		return malformed("/not_after", "the validity ends before it begins, or has no beginning")
	}
	return c.checkKey(r)
}

func (c *Card) checkKey(r envelope.Registry) error {
	switch c.Format {
	case FormatFile:
		return checkKey(r, c.Key, "/key")
	case FormatPIV:
	case FormatWebAuthn:
		if c.Custody != CustodyDevice {
			return malformed("/custody", "a WebAuthn key never leaves its device")
		}
	default:
		return malformed("/format", "%q is not a format of keys", c.Format)
	}
	if !codePattern.MatchString(c.Key.Alg) {
		return malformed("/key/alg", "%q is not a code", c.Key.Alg)
	}
	if len(c.Key.Key) == 0 || len(c.Key.Key) > maxCardKey {
		return malformed("/key/key", "%d bytes, 1 to %d are allowed", len(c.Key.Key), maxCardKey)
	}
	return nil
}

// ValidAt says whether at (UTC microseconds) lies within the card's validity.
func (c *Card) ValidAt(at int64) bool { return c.NotBefore <= at && at < c.NotAfter }

// SignCard signs a card with the keys of the party's identity, all of them.
func SignCard(r envelope.Registry, c Card, signers ...envelope.Signer) (*envelope.Envelope, error) {
	if err := c.Validate(r); err != nil {
		return nil, fmt.Errorf("signing card: %w", err)
	}
	payload, err := envelope.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding card: %w", err)
	}
	return envelope.Sign(CardType, payload, signers...)
}

// VerifyCard checks an encoded card against the identity version that is said to have signed it, for one link: a card
// of another link is refused. Whether it is valid now is not asked: see Card.ValidAt. Errors are *envelope.FormatError
// or *envelope.SignatureError, wrapped.
func VerifyCard(r envelope.Registry, i *Identity, link envelope.Hash, data []byte) (*Card, error) {
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	payload, err := r.Verify(e, CardType, i.KeySet())
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	if len(payload) > MaxCard {
		return nil, malformed("", "card of %d bytes, at most %d are allowed", len(payload), MaxCard)
	}
	c := new(Card)
	if err := envelope.Unmarshal(payload, c); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	if err := c.Validate(r); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	if c.Link != link {
		return nil, malformed("/link", "the card is one of another link")
	}
	return c, nil
}
