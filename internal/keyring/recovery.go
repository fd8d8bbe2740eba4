package keyring

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"entente/envelope"
	"entente/internal/fault"
	"entente/party"
)

// The recovery quorum of a new party: any recoveryNeed of recoveryKeys sign a successor identity. The keys are
// ML-DSA-65, as they lie in a safe for longer than anyone can promise for elliptic curves.
const (
	recoveryKeys = 3
	recoveryNeed = 2
	recoveryAlg  = "ml-dsa-65"
	shareLabel   = "entente/recovery/v1\x00"
	shareVersion = 1
	shareSize    = 4 + seedSize + 4 // version, number, of, need ‖ seed ‖ checksum
)

// Share is one recovery key, for paper: Printable shows it and nothing else does.
type Share struct {
	Number, Of, Need int
	seed             hidden[[]byte]
}

func newRecovery(random io.Reader) ([]Share, party.Recovery, error) {
	recovery := party.Recovery{Need: recoveryNeed}
	var shares []Share
	for n := range recoveryKeys {
		seed := make([]byte, seedSize)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, recovery, unavailable("reading randomness", err)
		}
		s := Share{Number: n + 1, Of: recoveryKeys, Need: recoveryNeed, seed: hide(seed)}
		key, err := s.Signer()
		if err != nil {
			return nil, recovery, err
		}
		shares = append(shares, s)
		recovery.Keys = append(recovery.Keys, key.Public())
	}
	return shares, recovery, nil
}

// Signer is the recovery key of the share.
func (s Share) Signer() (envelope.Signer, error) {
	scheme, ok := envelope.Default().Scheme(recoveryAlg)
	if !ok || s.seed == nil {
		return nil, fault.New(fault.Internal, "recovery_key", "This build cannot make a recovery key.")
	}
	key, err := scheme.FromSeed(s.seed())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "recovery_key", "The recovery key could not be made.", err)
	}
	return signer{hide(key)}, nil
}

// Printable is the share as text to print or write by hand: a line of explanation, then 16 groups of four base32
// digits (RFC 4648) on four lines, ending in a checksum. ParseShare reads it back.
func (s Share) Printable() string {
	raw := make([]byte, 0, shareSize)
	raw = append(raw, shareVersion, byte(s.Number), byte(s.Of), byte(s.Need))
	raw = append(raw, s.seed()...)
	raw = append(raw, shareSum(raw)...)
	digits := base32.StdEncoding.EncodeToString(raw)
	var b strings.Builder
	fmt.Fprintf(&b, "# Entente recovery key %d of %d; any %d of them restore the identity. Keep it apart from the others.\n", s.Number, s.Of, s.Need)
	for i := 0; i < len(digits); i += 4 {
		b.WriteString(digits[i : i+4])
		b.WriteByte(" \n"[(i/4%4)/3])
	}
	return b.String()
}

// ParseShare reads a share that a person typed: lines that begin with # are left out, spaces, hyphens and case do not matter.
// Its errors never quote the input.
func ParseShare(text string) (Share, error) {
	refuse := func(what string) (Share, error) {
		return Share{}, fault.New(fault.Invalid, "recovery_share", "This is not a recovery key: "+what+".")
	}
	if len(text) > 4096 {
		return refuse("it is too long")
	}
	var digits strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.NewReplacer(" ", "", "-", "", "\t", "", "\r", "", "\n", "").Replace(line))
		}
	}
	if digits.Len() != base32.StdEncoding.EncodedLen(shareSize) {
		return refuse(fmt.Sprintf("it has %d digits instead of 64", digits.Len()))
	}
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(digits.String()))
	if err != nil {
		return refuse("only the letters A to Z and the digits 2 to 7 occur in one")
	}
	body, sum := raw[:shareSize-4], raw[shareSize-4:]
	if subtle.ConstantTimeCompare(sum, shareSum(body)) != 1 {
		return refuse("its checksum is wrong, so a digit was misread")
	}
	s := Share{Number: int(body[1]), Of: int(body[2]), Need: int(body[3]), seed: hide(body[4:])}
	if body[0] != shareVersion || s.Number < 1 || s.Number > s.Of || s.Need < 1 || s.Need > s.Of {
		return refuse("its numbering makes no sense")
	}
	return s, nil
}

func shareSum(body []byte) []byte {
	sum := sha256.Sum256(append([]byte(shareLabel), body...))
	return sum[:4]
}

// Format prints which share this is, whatever the verb.
func (s Share) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "recovery key %d of %d", s.Number, s.Of)
}

// MarshalJSON encodes the same.
func (s Share) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", fmt.Sprint(s)), nil }
