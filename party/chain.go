package party

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"entente/envelope"
)

// Overlap is how long after its successor's beginning what was sealed for a version can still be opened, and its transport key
// is accepted.
const Overlap = 30 * 24 * time.Hour

// The ways in which a version cannot follow the one before it. Verify wraps them.
var (
	ErrOutOfOrder = errors.New("this version does not follow the one before it")
	ErrNoQuorum   = errors.New("this change needs the signatures of the recovery quorum")
)

// Chain is a verified identity chain. Only Verify, Append and Resolve make one.
type Chain struct {
	ID        ID
	Versions  []Identity // Versions[0] is version 1
	Envelopes [][]byte   // as they were given, in the same order

	proofs []proof
}

// proof is what verifying one version has shown.
type proof struct {
	hash      envelope.Hash // of the payload
	recovered bool          // signed by the quorum of the version before
}

// Create signs version 1. The signers' keys must be exactly those of i's suites.
func Create(i Identity, signers ...envelope.Signer) (*envelope.Envelope, error) {
	payload, err := envelope.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encoding identity: %w", err)
	}
	decoded, err := decodeIdentity(payload)
	if err != nil {
		return nil, fmt.Errorf("creating identity: %w", err)
	}
	if decoded.Version != 1 {
		return nil, fmt.Errorf("creating identity: %w", ErrOutOfOrder)
	}
	var keys []envelope.PublicKey
	for _, s := range signers {
		keys = append(keys, s.Public())
	}
	own := decoded.KeySet().Keys
	if len(keys) != len(own) || len(without(own, keys)) > 0 {
		return nil, malformed("/suites", "the signers are not those of the identity's keys")
	}
	return envelope.Sign(PayloadType, payload, signers...)
}

// Succeed signs the next version of c: i with its version and prev filled in. The signers are those of the keys of the
// latest version and of i, each once; or Need of the latest version's recovery keys and those of i. A version that
// Append would refuse is not returned.
func (c *Chain) Succeed(r envelope.Registry, i Identity, signers ...envelope.Signer) (*envelope.Envelope, error) {
	prev := c.proofs[len(c.proofs)-1].hash
	i.Version, i.Prev = len(c.Versions)+1, &prev
	payload, err := envelope.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encoding identity: %w", err)
	}
	e, err := envelope.Sign(PayloadType, payload, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing identity version %d: %w", i.Version, err)
	}
	encoded, err := e.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := c.Append(r, encoded); err != nil {
		return nil, err
	}
	return e, nil
}

// Verify checks a whole chain of encoded envelopes, oldest first (protocol, "Identity"):
//
//   - version 1 is signed by all of its own keys and no other;
//   - version n+1 names the hash of version n's payload, and is signed either by all keys of n and of n+1, or by at
//     least Need distinct recovery keys of n and all keys of n+1, and by no other key;
//   - with the keys alone the recovery quorum stays as it is, and the new version begins within the validity of n;
//   - beginnings never run back.
//
// Whether a version is valid now is not asked: see Identity.ValidAt. Errors say which version is at fault and wrap
// *envelope.FormatError, *envelope.SignatureError, ErrOutOfOrder or ErrNoQuorum.
func Verify(r envelope.Registry, envelopes [][]byte) (*Chain, error) {
	if len(envelopes) == 0 {
		return nil, malformed("", "an identity chain has one version at least")
	}
	if len(envelopes) > MaxVersions {
		return nil, malformed("", "%d versions, at most %d are allowed", len(envelopes), MaxVersions)
	}
	c := new(Chain)
	for _, data := range envelopes {
		if err := c.add(r, data); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Append returns c with one more version, checked as by Verify; c itself stays as it is.
func (c *Chain) Append(r envelope.Registry, data []byte) (*Chain, error) {
	next := c.prefix(len(c.Versions))
	if err := next.add(r, data); err != nil {
		return nil, err
	}
	return next, nil
}

// Latest is the newest version.
func (c *Chain) Latest() *Identity { return &c.Versions[len(c.Versions)-1] }

// At finds a version by its number.
func (c *Chain) At(version int) (*Identity, bool) {
	if version < 1 || version > len(c.Versions) {
		return nil, false
	}
	return &c.Versions[version-1], true
}

// Hash is the hash of a version's payload; zero if there is no such version.
func (c *Chain) Hash(version int) envelope.Hash {
	if version < 1 || version > len(c.proofs) {
		return envelope.Hash{}
	}
	return c.proofs[version-1].hash
}

// Recovered says whether a version was signed by the recovery quorum of the one before.
func (c *Chain) Recovered(version int) bool {
	return version >= 1 && version <= len(c.proofs) && c.proofs[version-1].recovered
}

// Newest tries versions from the newest down to lowest and returns the first for which try has no error; the error is that of
// the newest. What was signed by keys of which only a range of versions is known, a checkpoint say, is verified so.
func (c *Chain) Newest(lowest int, try func(*Identity) error) (version int, err error) {
	for n := len(c.Versions); n >= max(lowest, 1); n-- {
		failed := try(&c.Versions[n-1])
		if failed == nil {
			return n, nil
		}
		if err == nil {
			err = failed
		}
	}
	if err == nil {
		err = fmt.Errorf("identity has no version %d", lowest)
	}
	return 0, err
}

// add verifies one more version and appends it.
func (c *Chain) add(r envelope.Registry, data []byte) error {
	number := len(c.Versions) + 1
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return fmt.Errorf("identity version %d: %w", number, err)
	}
	i, err := decodeIdentity(e.Payload)
	if err == nil {
		err = i.Validate(r)
	}
	if err != nil {
		return fmt.Errorf("identity version %d: %w", number, err)
	}
	set, recovered, err := c.signersOf(i, e)
	if err != nil {
		return fmt.Errorf("identity version %d: %w", number, err)
	}
	if _, err := r.Verify(e, PayloadType, set); err != nil {
		return fmt.Errorf("identity version %d: %w", number, err)
	}
	hash := envelope.Sum(e.Payload)
	if number == 1 {
		c.ID = hash
	}
	c.Versions = append(c.Versions, *i)
	c.Envelopes = append(c.Envelopes, slices.Clone(data))
	c.proofs = append(c.proofs, proof{hash: hash, recovered: recovered})
	return nil
}

// signersOf says which keys must have signed i, as the next version of c. Which recovery keys those are, the envelope
// claims by its key ids; that each of them has really signed is then for Registry.Verify to say.
func (c *Chain) signersOf(i *Identity, e *envelope.Envelope) (set envelope.KeySet, recovered bool, err error) {
	set = i.KeySet()
	if i.Version != len(c.Versions)+1 {
		return set, false, fmt.Errorf("%w: it says that it is version %d", ErrOutOfOrder, i.Version)
	}
	if i.Version == 1 {
		return set, false, nil
	}
	before := c.Latest()
	if *i.Prev != c.Hash(i.Version-1) {
		return set, false, fmt.Errorf("%w: prev is the hash of something else", ErrOutOfOrder)
	}
	if i.NotBefore < before.NotBefore {
		return set, false, fmt.Errorf("%w: it begins earlier", ErrOutOfOrder)
	}
	quorum := signed(e, without(before.Recovery.Keys, set.Keys))
	if len(quorum) > 0 {
		if len(quorum) < before.Recovery.Need {
			return set, false, fmt.Errorf("%w: %d of %d", ErrNoQuorum, len(quorum), before.Recovery.Need)
		}
		set.Name += " with the recovery quorum"
		set.Keys = append(set.Keys, quorum...)
		return set, true, nil
	}
	if !i.Recovery.Equal(before.Recovery) {
		return set, false, fmt.Errorf("%w: it changes the recovery keys", ErrNoQuorum)
	}
	if i.NotBefore >= before.NotAfter {
		return set, false, fmt.Errorf("%w: the keys before it had expired", ErrNoQuorum)
	}
	set.Name += " with the version before"
	set.Keys = append(set.Keys, without(before.KeySet().Keys, set.Keys)...)
	return set, false, nil
}

// signed returns those of keys whose ids stand in e.
func signed(e *envelope.Envelope, keys []envelope.PublicKey) []envelope.PublicKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k envelope.PublicKey) bool {
		id := k.KeyID()
		return !slices.ContainsFunc(e.Signatures, func(s envelope.Signature) bool { return s.KeyID == id })
	})
}

// without returns keys that are not among others.
func without(keys, others []envelope.PublicKey) []envelope.PublicKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k envelope.PublicKey) bool {
		return slices.ContainsFunc(others, k.Equal)
	})
}
