package envelope

import (
	"bytes"
	"fmt"
	"strconv"
)

const (
	// MaxEnvelope bounds an encoded DSSE envelope (bytes).
	MaxEnvelope = 1 << 20
	// MaxSignatures bounds the signatures of one envelope.
	MaxSignatures = 32
	// maxPayloadType bounds the name of a payload's type.
	maxPayloadType = 255
)

// Signature is one signature of an envelope, with the id of the key that is claimed to have made it.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Envelope is a DSSE envelope (DSSE v1.0, JSON form). DSSE also lets base64 be URL-safe: that is refused here, so
// that the same bytes have one form.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// PAE is the DSSE pre-authentication encoding: the bytes that are signed.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+44+len(payloadType)+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Encode writes e as compact JSON, and refuses what DecodeEnvelope would.
func (e *Envelope) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	data, err := Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding envelope: %w", err)
	}
	if len(data) > MaxEnvelope {
		return nil, &FormatError{What: "envelope too large"}
	}
	return data, nil
}

// DecodeEnvelope reads an envelope strictly. It has a payload type, one signature at least, well-formed key ids,
// and no key id twice; whether the signatures are right is for Registry.Verify to say. Errors are *FormatError.
func DecodeEnvelope(data []byte) (*Envelope, error) {
	if len(data) > MaxEnvelope {
		return nil, &FormatError{What: "envelope too large"}
	}
	e := new(Envelope)
	if err := Unmarshal(data, e); err != nil {
		return nil, err
	}
	if e.Payload == nil {
		return nil, &FormatError{What: "payload missing", Where: "/payload"}
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Envelope) check() error {
	if e.PayloadType == "" || len(e.PayloadType) > maxPayloadType {
		return &FormatError{What: "payload type missing or too long", Where: "/payloadType"}
	}
	if len(e.Signatures) == 0 || len(e.Signatures) > MaxSignatures {
		return &FormatError{What: "no signatures, or too many", Where: "/signatures"}
	}
	seen := make(map[string]bool, len(e.Signatures))
	for i, s := range e.Signatures {
		where := "/signatures/" + strconv.Itoa(i)
		if _, err := ParseID(s.KeyID); err != nil {
			return &FormatError{What: "malformed key id", Where: where + "/keyid", Err: err}
		}
		if seen[s.KeyID] {
			return &FormatError{What: "two signatures by one key", Where: where + "/keyid"}
		}
		seen[s.KeyID] = true
		if len(s.Sig) == 0 {
			return &FormatError{What: "empty signature", Where: where + "/sig"}
		}
	}
	return nil
}

// Signer makes one signature with one private key that it keeps to itself.
type Signer interface {
	Public() PublicKey
	Sign(message []byte) ([]byte, error)
}

// PublicKey is a signature key with its algorithm: "ed25519", "ml-dsa-65" (and what a registry adds).
type PublicKey struct {
	Alg string `json:"alg"`
	Key []byte `json:"key"`
}

// KeyID is the first 32 hex digits of SHA-256("entente/key/v1\x00" ‖ alg ‖ 0x00 ‖ key).
func (k PublicKey) KeyID() string {
	b := append([]byte("entente/key/v1\x00"), k.Alg...)
	b = append(b, 0)
	return Sum(append(b, k.Key...)).String()[:32]
}

// Equal says whether both are the same key of the same algorithm.
func (k PublicKey) Equal(o PublicKey) bool { return k.Alg == o.Alg && bytes.Equal(k.Key, o.Key) }

// Sign signs payload with every signer, in order. Two signers with one key are refused, as is none.
func Sign(payloadType string, payload []byte, signers ...Signer) (*Envelope, error) {
	e := &Envelope{PayloadType: payloadType, Payload: payload}
	message := PAE(payloadType, payload)
	for _, s := range signers {
		sig, err := s.Sign(message)
		if err != nil {
			return nil, fmt.Errorf("signing with %s: %w", s.Public().Alg, err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.Public().KeyID(), Sig: sig})
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// KeySet is a named set of keys that must all verify, each once; order doesn't matter. A signature by a key outside
// the set, two by one key, or a missing one is refused: so no signature can be stripped, and none added.
type KeySet struct {
	Name string
	Keys []PublicKey
}

// SignatureError says which rule of a key set an envelope breaks.
type SignatureError struct {
	Set   string // name of the key set
	KeyID string // key concerned, if one is
	What  string
}

func (e *SignatureError) Error() string {
	s := "signatures of key set " + strconv.Quote(e.Set) + ": " + e.What
	if e.KeyID != "" {
		s += " (key " + e.KeyID + ")"
	}
	return s
}

// Verify checks the payload's type and all signatures, and returns the payload. The algorithm is the key's, never
// the message's choice, and must be known to r. Errors are *FormatError or *SignatureError.
func (r Registry) Verify(e *Envelope, payloadType string, set KeySet) ([]byte, error) {
	return r.Verifier(set).Verify(e, payloadType)
}

// Verifier is a key set that many envelopes are verified with: what has to be worked out of a key is worked out once. It is safe
// for concurrent use.
type Verifier struct {
	name   string
	order  []string // the ids of the keys
	keys   map[string]verifyingKey
	broken string // what is wrong with the set; empty if nothing is
}

// verifyingKey is a key of a set.
type verifyingKey struct {
	alg    string
	verify func(message, sig []byte) bool // nil: the algorithm is not known
}

// Verifier makes a key set ready. What is wrong with the set or a key, each Verify says.
func (r Registry) Verifier(set KeySet) *Verifier {
	v := &Verifier{name: set.Name, keys: make(map[string]verifyingKey, len(set.Keys))}
	for _, k := range set.Keys {
		id := k.KeyID()
		v.order = append(v.order, id)
		if _, twice := v.keys[id]; twice {
			v.broken = "the set holds one key twice"
		}
		key := verifyingKey{alg: k.Alg}
		if scheme, ok := r.Scheme(k.Alg); ok {
			key.verify = scheme.verifier(k.Key)
		}
		v.keys[id] = key
	}
	if len(set.Keys) == 0 {
		v.broken = "the set is empty"
	}
	return v
}

// Verify is Registry.Verify with the set that v was made of.
func (v *Verifier) Verify(e *Envelope, payloadType string) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e.PayloadType != payloadType {
		return nil, &FormatError{What: fmt.Sprintf("payload type %q instead of %q", e.PayloadType, payloadType), Where: "/payloadType"}
	}
	if v.broken != "" {
		return nil, &SignatureError{Set: v.name, What: v.broken}
	}
	message := PAE(payloadType, e.Payload)
	signed := make(map[string]bool, len(e.Signatures))
	for _, s := range e.Signatures {
		k, ok := v.keys[s.KeyID]
		switch {
		case !ok:
			return nil, &SignatureError{Set: v.name, KeyID: s.KeyID, What: "signature by a key outside the set"}
		case k.verify == nil:
			return nil, &SignatureError{Set: v.name, KeyID: s.KeyID, What: fmt.Sprintf("unknown algorithm %q", k.alg)}
		case !k.verify(message, s.Sig):
			return nil, &SignatureError{Set: v.name, KeyID: s.KeyID, What: "signature does not verify"}
		}
		signed[s.KeyID] = true
	}
	for _, id := range v.order {
		if !signed[id] {
			return nil, &SignatureError{Set: v.name, KeyID: id, What: "signature missing"}
		}
	}
	return e.Payload, nil
}
