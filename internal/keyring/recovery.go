package keyring

import (
	"bytes"
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

// NewRecovery makes a recovery quorum: the shares to hand out, and what the identity says of them.
func NewRecovery(random io.Reader) ([]Share, party.Recovery, error) {
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

// shareFile is a share that is locked by its holder's passphrase.
type shareFile struct {
	V      int        `json:"v"`
	Number int        `json:"number"`
	Of     int        `json:"of"`
	Need   int        `json:"need"`
	Lock   derivation `json:"lock"`
	Sealed []byte     `json:"sealed"` // the printable share
}

// Protect is the share as a file that opens with a passphrase alone, for who keeps it on a medium rather than on paper.
func (s Share) Protect(lock Lock, random io.Reader) ([]byte, error) {
	if err := lock.check(); err != nil {
		return nil, err
	}
	l, err := lock.newSealer(random)
	if err != nil {
		return nil, err
	}
	data, err := envelope.Marshal(shareFile{V: shareVersion, Number: s.Number, Of: s.Of, Need: s.Need, Lock: l.lock,
		Sealed: l.aead.Seal(nil, nil, []byte(s.Printable()), []byte(shareLabel))})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "recovery_encode", "The recovery key could not be encoded.", err)
	}
	return append(data, '\n'), nil
}

// OpenShare reads a share as Printable or Protect wrote it; passphrase is asked for in the second case.
func OpenShare(data []byte, passphrase func() (Lock, error)) (Share, error) {
	if !bytes.HasPrefix(data, []byte("{")) {
		return ParseShare(string(data))
	}
	var f shareFile
	if err := envelope.Unmarshal(bytes.TrimSuffix(data, []byte("\n")), &f); err != nil || f.V != shareVersion || f.Lock.check() != nil {
		return Share{}, fault.New(fault.Invalid, "recovery_share", "This is not a recovery key, or the file is damaged.")
	}
	lock, err := passphrase()
	if err != nil {
		return Share{}, err
	}
	l, err := lock.sealer(f.Lock)
	if err != nil {
		return Share{}, err
	}
	plain, err := l.aead.Open(nil, nil, f.Sealed, []byte(shareLabel))
	if err != nil {
		return Share{}, fault.New(fault.Forbidden, "passphrase", "The passphrase is wrong, or the recovery key's file is damaged.")
	}
	return ParseShare(string(plain))
}

// Sign adds the share's signature to a document that Prepare made, or to a copy that others have signed. That the document is
// whole and signed by its own new keys is checked; whose it is, the holder reads in what is returned with it.
func (s Share) Sign(data []byte) ([]byte, *party.Identity, error) {
	e, i, err := ReadPrepared(data)
	if err != nil {
		return nil, nil, err
	}
	key, err := s.Signer()
	if err != nil {
		return nil, nil, err
	}
	if _, ok := signatureOf(e, key.Public()); ok {
		return data, i, nil
	}
	own, err := envelope.Sign(e.PayloadType, e.Payload, key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing with a recovery key: %w", err)
	}
	e.Signatures = append(e.Signatures, own.Signatures...)
	signed, err := e.Encode()
	return signed, i, err
}

// ReadPrepared reads a document that waits for a quorum, with whatever signatures of recovery keys it has by now.
func ReadPrepared(data []byte) (*envelope.Envelope, *party.Identity, error) {
	refuse := func(err error) (*envelope.Envelope, *party.Identity, error) {
		return nil, nil, fault.Wrap(fault.Invalid, "recovery_document", "This is not a document of \"entente keys recover prepare\", or it was damaged.", err)
	}
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return refuse(err)
	}
	i := new(party.Identity)
	if err := envelope.Unmarshal(e.Payload, i); err != nil {
		return refuse(err)
	}
	if err := i.Validate(envelope.Default()); err != nil {
		return refuse(err)
	}
	own := envelope.Envelope{PayloadType: e.PayloadType, Payload: e.Payload}
	for _, key := range i.KeySet().Keys {
		if s, ok := signatureOf(e, key); ok {
			own.Signatures = append(own.Signatures, s)
		}
	}
	if _, err := envelope.Default().Verify(&own, party.PayloadType, i.KeySet()); err != nil {
		return refuse(err)
	}
	return e, i, nil
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
