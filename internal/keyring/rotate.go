package keyring

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"entente/envelope"
	"entente/internal/fault"
	"entente/party"
)

// A version is decided when the file holds its keys and its signed document: until then nobody has seen it, and from then on
// no other document of that number is made. Whoever is stopped in between finds it with Successor.

// Rotate decides the version after chain's latest: new keys, and the document signed by the old and the new set. Of next, what
// keys do not fill in counts: names, authority, recovery, validity, compromise. It returns the encoded envelope. Where
// another was decided or waits for the quorum, that is a fault of kind Conflict.
func (k *Keyring) Rotate(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error) {
	var encoded []byte
	err := k.rewrite(nil, func(s *secrets) error {
		if s.Next != nil {
			return pendingRecovery()
		}
		old, err := k.signing(chain.Latest().Version)
		if err != nil {
			return err
		}
		made, v, err := k.nextVersion(s, chain, random)
		if err != nil {
			return err
		}
		e, err := chain.Succeed(envelope.Default(), v.fill(k.Kind(), next), slices.Concat(old.signers, v.signers)...)
		if err != nil {
			return refusedVersion(err)
		}
		if encoded, err = e.Encode(); err != nil {
			return err
		}
		made.Identity = encoded
		s.Versions = append(s.Versions, made)
		return nil
	})
	return encoded, err
}

// Prepare makes the keys of the version after chain's latest and its document, signed by the new set alone: what the recovery
// quorum is to sign. It decides nothing; Finish does, and Cancel gives it up.
func (k *Keyring) Prepare(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error) {
	var encoded []byte
	err := k.rewrite(nil, func(s *secrets) error {
		if s.Next != nil {
			return pendingRecovery()
		}
		made, v, err := k.nextVersion(s, chain, random)
		if err != nil {
			return err
		}
		prev := chain.Hash(chain.Latest().Version)
		i := v.fill(k.Kind(), next)
		i.Prev = &prev
		if err := i.Validate(envelope.Default()); err != nil {
			return refusedVersion(err)
		}
		payload, err := envelope.Marshal(i)
		if err != nil {
			return fmt.Errorf("encoding identity: %w", err)
		}
		e, err := envelope.Sign(party.PayloadType, payload, v.signers...)
		if err != nil {
			return fmt.Errorf("signing identity version %d: %w", i.Version, err)
		}
		if encoded, err = e.Encode(); err != nil {
			return err
		}
		made.Identity = encoded
		s.Next = &made
		return nil
	})
	return encoded, err
}

// Prepared is the document that waits for the recovery quorum, as Prepare returned it; nil if none does.
func (k *Keyring) Prepared() []byte {
	if next := k.in().secrets.Next; next != nil {
		return next.Identity
	}
	return nil
}

// Cancel gives up what was prepared and destroys its keys.
func (k *Keyring) Cancel() error {
	if k.Prepared() == nil {
		return nothingPrepared()
	}
	return k.rewrite(nil, func(s *secrets) error {
		s.Next = nil
		return nil
	})
}

// Finish decides the prepared version with the quorum's signatures, which come in any number of copies of the document, each
// signed by one or more recovery keys. It returns the encoded envelope.
func (k *Keyring) Finish(chain *party.Chain, signed [][]byte) ([]byte, error) {
	var encoded []byte
	err := k.rewrite(nil, func(s *secrets) error {
		if s.Next == nil {
			return nothingPrepared()
		}
		e, err := envelope.DecodeEnvelope(s.Next.Identity)
		if err != nil {
			return err
		}
		quorum, err := quorumOf(chain, e, signed)
		if err != nil {
			return err
		}
		e.Signatures = append(e.Signatures, quorum...)
		if encoded, err = e.Encode(); err != nil {
			return err
		}
		if _, err := chain.Append(envelope.Default(), encoded); err != nil {
			return refusedVersion(err)
		}
		made := *s.Next
		made.Identity = encoded
		s.Next, s.Versions = nil, append(s.Versions, made)
		return nil
	})
	return encoded, err
}

// quorumOf collects the valid signatures of recovery keys, each key's once; it names the file whose signature is not valid.
func quorumOf(chain *party.Chain, e *envelope.Envelope, signed [][]byte) ([]envelope.Signature, error) {
	recovery := chain.Latest().Recovery
	var quorum []envelope.Signature
	for n, key := range recovery.Keys {
		for file, data := range signed {
			copied, err := decodeCopy(data, e)
			if err != nil {
				return nil, fault.Wrap(fault.Invalid, "recovery_document",
					fmt.Sprintf("File %d is not a signed copy of the document that was prepared last; have that one signed.", file+1), err)
			}
			one, ok := signatureOf(copied, key)
			if !ok {
				continue
			}
			alone := envelope.Envelope{PayloadType: e.PayloadType, Payload: e.Payload, Signatures: []envelope.Signature{one}}
			if _, err := envelope.Default().Verify(&alone, party.PayloadType, envelope.KeySet{Name: "recovery key", Keys: []envelope.PublicKey{key}}); err != nil {
				return nil, fault.Wrap(fault.Invalid, "recovery_signature", fmt.Sprintf("The signature of recovery key %d in file %d is not valid.", n+1, file+1), err)
			}
			quorum = append(quorum, one)
			break
		}
	}
	if len(quorum) < recovery.Need {
		return nil, fault.New(fault.Conflict, "recovery_quorum",
			fmt.Sprintf("%d of the %d signatures that are needed are here; have the document signed by others who hold a recovery key.", len(quorum), recovery.Need))
	}
	return quorum, nil
}

func decodeCopy(data []byte, of *envelope.Envelope) (*envelope.Envelope, error) {
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, err
	}
	if envelope.Sum(e.Payload) != envelope.Sum(of.Payload) {
		return nil, errors.New("another document")
	}
	return e, nil
}

func signatureOf(e *envelope.Envelope, key envelope.PublicKey) (envelope.Signature, bool) {
	for _, s := range e.Signatures {
		if s.KeyID == key.KeyID() {
			return s, true
		}
	}
	return envelope.Signature{}, false
}

// Successor is the encoded envelope of a version that was decided here; nil if the keyring knows none of that number.
func (k *Keyring) Successor(number int) []byte {
	for _, v := range k.in().secrets.Versions {
		if v.Version == number {
			return v.Identity
		}
	}
	return nil
}

// Retire destroys the signature, log and witness keys of the versions before the current one: what they had to sign must be
// signed. They still open what was sealed for them.
func (k *Keyring) Retire() error {
	if s := k.in().secrets.Versions; len(s) == 1 || s[len(s)-2].Retired {
		return nil
	}
	return k.rewrite(nil, func(s *secrets) error {
		for i := range s.Versions[:len(s.Versions)-1] {
			s.Versions[i].retire()
		}
		return nil
	})
}

// Destroy destroys what is left of a former version, and notes when (UTC microseconds) in the same write. It is the end of
// an overlap: what was sealed for the version opens no longer. Copies of the file are not touched.
func (k *Keyring) Destroy(number int, at int64) error {
	return k.rewrite(nil, func(s *secrets) error {
		for i := range s.Versions[:len(s.Versions)-1] {
			if s.Versions[i].Version == number && s.Versions[i].Destroyed == 0 {
				s.Versions[i].destroy(at)
			}
		}
		return nil
	})
}

// Destroyed is when the keys of a version were destroyed (UTC microseconds); 0 if they were not.
func (k *Keyring) Destroyed(number int) int64 {
	for _, v := range k.in().secrets.Versions {
		if v.Version == number {
			return v.Destroyed
		}
	}
	return 0
}

// nextVersion makes the keys of the version after chain's latest, which must be the current one here.
func (k *Keyring) nextVersion(s *secrets, chain *party.Chain, random io.Reader) (versionSecrets, *version, error) {
	if s.current().Version != chain.Latest().Version {
		return versionSecrets{}, nil, fault.New(fault.Conflict, "keyring_version",
			"The keyring holds another version than the one in force; start the node again, which takes up what was decided.")
	}
	made, err := newVersion(random, s.current().Version+1)
	if err != nil {
		return made, nil, err
	}
	v, err := buildVersion(made)
	return made, &v, err
}

func pendingRecovery() error {
	return fault.New(fault.Conflict, "recovery_pending",
		"A version waits for the recovery quorum's signatures: finish it, or give it up with \"entente keys recover cancel\".")
}

func nothingPrepared() error {
	return fault.New(fault.Conflict, "recovery_missing", "Nothing waits for the recovery quorum; begin with \"entente keys recover prepare\".")
}

func refusedVersion(err error) error {
	if errors.Is(err, party.ErrNoQuorum) {
		return fault.Wrap(fault.Conflict, "quorum",
			"The keys have expired, or the change is one for the recovery quorum; begin with \"entente keys recover prepare\".", err)
	}
	return fault.Wrap(fault.Invalid, "identity", "The next version of the identity cannot be made so; look at the validity and the time of the compromise.", err)
}
