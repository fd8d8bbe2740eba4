package flow

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"entente/envelope"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"github.com/go-json-experiment/json"
)

// kin is all that is known of one party's identity. It is worked out from every version that was ever shown, so that the order
// in which they came is nothing to it.
type kin struct {
	stands    *party.Chain
	contested bool           // two versions follow its latest, and no quorum has signed either
	all       []*party.Chain // one for each version that is known, from the first version to that
}

// newKin verifies versions, in ascending order, and finds which stand. What does not verify is left out: it never came in.
func newKin(r envelope.Registry, versions [][]byte) (*kin, error) {
	k := &kin{}
	for _, data := range versions {
		if _, err := k.add(r, data); err != nil && len(k.all) == 0 {
			return nil, fmt.Errorf("verifying a stored identity: %w", err)
		}
	}
	return k, k.resolve()
}

func (k *kin) resolve() (err error) {
	k.stands, k.contested, err = party.Resolve(k.all...)
	return err
}

// errUnattached says that a version follows none that is known.
var errUnattached = fault.New(fault.Invalid, "identity_prev", "The versions of the identity before this one are not known here; show them first.")

// add verifies one more version where it belongs; its chain is nil if it was known.
func (k *kin) add(r envelope.Registry, data []byte) (*party.Chain, error) {
	if len(k.all) == 0 {
		c, err := party.Verify(r, [][]byte{data})
		if err != nil {
			return nil, err
		}
		k.all = append(k.all, c)
		return c, nil
	}
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "identity", "The identity's envelope is malformed.", err)
	}
	hash := envelope.Sum(e.Payload)
	for _, c := range k.all {
		n := len(c.Versions)
		if c.Hash(n) == hash && (slices.Equal(c.Envelopes[n-1], data) || n == 1) {
			return nil, nil
		}
	}
	var follows struct {
		Prev *envelope.Hash `json:"prev"`
	}
	if err := peek(e.Payload, &follows); err != nil || follows.Prev == nil {
		return nil, fault.Wrap(fault.Invalid, "identity", "The identity is malformed, or of another party.", err)
	}
	for _, c := range k.all {
		if c.Hash(len(c.Versions)) != *follows.Prev {
			continue
		}
		next, err := c.Append(r, data)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "identity", "The identity does not verify.", err)
		}
		k.all = append(k.all, next)
		return next, nil
	}
	return nil, errUnattached
}

// version is a chain that ends with the version of this hash, or nil.
func (k *kin) version(hash envelope.Hash) *party.Chain {
	for _, c := range k.all {
		if c.Hash(len(c.Versions)) == hash {
			return c
		}
	}
	return nil
}

// beside are versions that do not stand, by number.
func (k *kin) beside() []*party.Chain {
	return slices.DeleteFunc(slices.Clone(k.all), func(c *party.Chain) bool {
		n := len(c.Versions)
		return k.stands.Hash(n) == c.Hash(n)
	})
}

// maxBeside is how many versions by keys alone are kept beside those that stand: a thief could make any number. What a quorum
// signed is always kept.
const maxBeside = 64

// kinOf reads what is known of a party.
func (h *House) kinOf(ctx context.Context, p party.ID) (*kin, error) {
	var versions [][]byte
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		first := h.Self().Envelopes
		if p != h.self {
			if first, err = tx.Identities(ctx, p); err != nil {
				return err
			}
		}
		forks, err := tx.Forks(ctx, p)
		versions = slices.Concat(first, forks)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(versions, func(a, b []byte) int { return versionOf(a) - versionOf(b) })
	return newKin(h.cfg.Registry, versions)
}

// versionOf is the number that a stored identity bears.
func versionOf(data []byte) int {
	var i struct {
		Version int `json:"version"`
	}
	if e, err := envelope.DecodeEnvelope(data); err == nil && peek(e.Payload, &i) == nil {
		return i.Version
	}
	return 0
}

// peerKin is what is known of the peer of a link.
func (h *House) peerKin(ctx context.Context, link statement.LinkID) (*kin, error) {
	if k, ok := h.kins.get(link); ok {
		return k, nil
	}
	before := h.learned.Load()
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return nil, err
	}
	k, err := h.kinOf(ctx, l.Peer)
	if err != nil {
		return nil, err
	}
	s := h.link(link)
	s.mu.Lock()
	if h.learned.Load() == before { // nothing older than what was learned meanwhile is remembered
		t := TransportOf(k.stands)
		s.pins = &t
		h.kins.put(link, k)
	}
	s.mu.Unlock()
	return k, nil
}

// maxKins bounds how many identities of peers are kept verified: each takes some forty kilobytes, and more are read again when they
// are asked for.
const maxKins = 256

// Transport is by which transport keys a party is known.
type Transport struct {
	Party   party.ID
	Version int    // newest version of its identity that stands
	Key     []byte // SubjectPublicKeyInfo, DER
	Former  []byte // that of the version before; nil if there is none, or it ended at once, its keys being compromised
	Until   int64  // when Former ends; UTC microseconds
}

// TransportOf reads the transport keys from an identity.
func TransportOf(c *party.Chain) Transport {
	latest, n := c.Latest(), len(c.Versions)
	t := Transport{Party: c.ID, Version: n, Key: latest.Transport}
	if n > 1 && latest.CompromiseSince == nil {
		t.Former, t.Until = c.Versions[n-2].Transport, latest.NotBefore+party.Overlap.Microseconds()
	}
	return t
}

// PeerTransport is by which keys the peer of a link is known. It is remembered of every link, as each request asks for it.
func (h *House) PeerTransport(ctx context.Context, link statement.LinkID) (Transport, error) {
	if known, ok := h.links.Load(link); ok { // nothing is remembered of a link that a stranger makes up
		s := known.(*linkState)
		s.mu.Lock()
		t := s.pins
		s.mu.Unlock()
		if t != nil {
			return *t, nil
		}
	}
	k, err := h.peerKin(ctx, link)
	if err != nil {
		return Transport{}, err
	}
	return TransportOf(k.stands), nil
}

// PeerChain is the identity chain of a link's peer that stands.
func (h *House) PeerChain(ctx context.Context, link statement.LinkID) (*party.Chain, error) {
	k, err := h.peerKin(ctx, link)
	if err != nil {
		return nil, err
	}
	return k.stands, nil
}

// identities takes versions of the peer's identity, or of ours where the peer shows that somebody else has signed with our
// keys. They come before everything else of a batch, as the rest may be signed under them.
func (in *intake) identities(ctx context.Context, shown [][]byte) error {
	for _, data := range shown {
		err := in.h.learn(ctx, in, data)
		if fault.KindOf(err) == fault.Invalid || fault.KindOf(err) == fault.Exhausted {
			in.refuse(nil, fault.CodeOf(err), fault.Public(err))
			continue
		}
		if err != nil {
			return err
		}
	}
	k, err := in.h.peerKin(ctx, in.l.ID)
	if err != nil {
		return err
	}
	in.kin = k
	if len(shown) == 0 {
		return nil
	}
	if k.contested {
		in.refuse(nil, contestedCode, contestedSentence)
	}
	for i, c := range k.beside() { // so that the owner learns of a thief
		if i < 4 {
			in.answers = append(in.answers, parcel.Frame{Kind: parcel.FrameIdentity, Payload: c.Envelopes[len(c.Versions)-1]})
		}
	}
	return nil
}

const (
	contestedCode     = "identity_contested"
	contestedSentence = "Two versions of the identity follow one another's place, signed with the same keys: somebody else may hold them. Its owner must sign a version with the recovery keys."
)

// learn takes one version of an identity: verified where it belongs, kept for good, and evidence where it makes a fork.
func (h *House) learn(ctx context.Context, in *intake, data []byte) error {
	h.learning.Lock()
	defer h.learning.Unlock()
	p := in.l.Peer
	k, err := h.kinOf(ctx, p)
	if err != nil {
		return err
	}
	c, err := k.add(h.cfg.Registry, data)
	if err == errUnattached || fault.KindOf(err) == fault.Invalid { // of ours, perhaps
		own, failure := h.kinOf(ctx, h.self)
		if failure != nil {
			return failure
		}
		if mine, failed := own.add(h.cfg.Registry, data); failed == nil {
			p, k, c, err = h.self, own, mine, nil
		}
	}
	if err != nil {
		return err
	}
	if c == nil { // it is known, and what is remembered may be older, if it was stored by a transaction that seemed to fail
		h.forgetKin(p)
		return nil
	}
	if err := k.resolve(); err != nil {
		return err
	}
	n := len(c.Versions)
	fork := slices.ContainsFunc(k.all, func(o *party.Chain) bool {
		return len(o.Versions) >= n && o.Hash(n) != c.Hash(n) && o.Hash(n-1) == c.Hash(n-1)
	})
	if len(k.beside()) > maxBeside && !c.Recovered(n) {
		return fault.New(fault.Exhausted, "identity_forks", "Too many versions of this identity contradict each other; pair anew.")
	}
	if p == h.self {
		h.cfg.Log.Error("somebody signed a version of our identity that this node did not make: our keys may be stolen", "version", n, "link", in.l.Alias)
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if fork || p == h.self {
			note := "Two versions of the peer's identity follow the same one."
			if p == h.self {
				note = "The peer was shown a version of our own identity that this node did not make."
			}
			if err := h.evidence(ctx, tx, in.l.ID, "identity_forked", note, data); err != nil {
				return err
			}
		}
		known, err := tx.Identities(ctx, p)
		if err != nil {
			return err
		}
		if p != h.self && len(known) == n-1 && slices.EqualFunc(known, c.Envelopes[:n-1], slices.Equal) {
			return tx.PutIdentity(ctx, p, n, data)
		}
		return tx.PutFork(ctx, p, n, data)
	})
	if err != nil {
		return err
	}
	if p != h.self {
		h.forgetKin(p)
	}
	return nil
}

// forgetKin forgets what is remembered of a party's identity, so that it is read again.
func (h *House) forgetKin(p party.ID) {
	h.learned.Add(1)
	h.links.Range(func(id, v any) bool { // a party may have several links
		s := v.(*linkState)
		s.mu.Lock()
		if s.pins != nil && s.pins.Party == p {
			s.pins = nil
			h.kins.drop(id.(statement.LinkID))
		}
		s.mu.Unlock()
		return true
	})
}

// signedBy finds the version that signed a document of the peer, if it may have.
type signedBy func(version int, payload []byte) (*party.Identity, *fault.Error)

// openSigned decodes a signed document of the peer and verifies it under the version of its identity that it names; name is what it is
// called. Whether it is of this link, its caller asks.
func openSigned[T any](h *House, signed signedBy, data []byte, name, payloadType string, decode func([]byte) (*T, error), version func(*T) int) (*envelope.Envelope, *T, *fault.Error) {
	env, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, "envelope", "The "+name+"'s envelope is malformed.", err)
	}
	d, err := decode(env.Payload)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, name, "The "+name+" is malformed: "+plain(err)+".", err)
	}
	signer, broken := signed(version(d), env.Payload)
	if broken != nil {
		return nil, nil, broken
	}
	if _, err := h.verifiers.of(h.cfg.Registry, signer).Verify(env, payloadType); err != nil {
		return nil, nil, fault.Wrap(fault.Forbidden, "signature", "The "+name+"'s signature does not verify.", err)
	}
	return env, d, nil
}

// maxVerifiers bounds how many versions of identities are kept ready to verify with: each takes some forty kilobytes.
const maxVerifiers = 64

// verifiers are the signature keys of identities that documents came under lately, ready to verify with. The zero value is empty.
type verifiers struct {
	mu    sync.Mutex
	ready map[*party.Identity]*envelope.Verifier // guarded by mu
}

// of makes the keys of a version ready, or finds them so. Versions do not change once they are read.
func (v *verifiers) of(r envelope.Registry, i *party.Identity) *envelope.Verifier {
	v.mu.Lock()
	defer v.mu.Unlock()
	if ready, ok := v.ready[i]; ok {
		return ready
	}
	if v.ready == nil || len(v.ready) == maxVerifiers {
		v.ready = map[*party.Identity]*envelope.Verifier{}
	}
	v.ready[i] = r.Verifier(i.KeySet())
	return v.ready[i]
}

// known is signedBy for documents that leaves record: any version that stands, as the leaf is checked against the version in
// force at its place.
func (in *intake) known(version int, _ []byte) (*party.Identity, *fault.Error) {
	i, ok := in.kin.stands.At(version)
	switch {
	case ok:
		return i, nil
	case in.kin.contested:
		return nil, fault.New(fault.Conflict, contestedCode, contestedSentence)
	}
	return nil, fault.New(fault.Invalid, "identity_version", "The identity version that signed is not known here; send the identity first.")
}

// signer is signedBy for documents that come by themselves: the newest version may have signed anything; an older one only what
// our mirror holds, which is below its successor's leaf; and where two contest which is the newest, no more than that either.
func (in *intake) signer(ctx context.Context, kind ledger.Kind) signedBy {
	return func(version int, payload []byte) (*party.Identity, *fault.Error) {
		i, broken := in.known(version, payload)
		if broken != nil || in.newest(version) {
			return i, broken
		}
		err := in.h.cfg.Store.View(ctx, func(tx Tx) error {
			index, err := placeOf(ctx, tx, kind, payload)
			if err != nil {
				return err
			}
			_, _, err = tx.LeafAt(ctx, in.l.ID, in.l.Peer, index, string(kind), envelope.Sum(payload))
			return err
		})
		switch {
		case notFound(err) && in.kin.contested:
			return nil, fault.New(fault.Conflict, contestedCode, contestedSentence)
		case notFound(err):
			return nil, fault.New(fault.Conflict, "identity_replaced",
				"The keys that signed this were replaced, and the ledger as it was shown here does not have it before that; show the ledger, then send it again.")
		case err != nil:
			return nil, fault.Wrap(fault.Unavailable, "identity", "This could not be looked up now; nothing was lost.", err)
		}
		return i, nil
	}
}

// newest says whether a version is the newest there is.
func (in *intake) newest(version int) bool {
	return version == len(in.kin.stands.Versions) && !in.kin.contested
}

// signedUnder is the identity version that a header, receipt or grant names; 0 if it names none.
func signedUnder(payload []byte) int {
	var named struct {
		Identity int `json:"identity"`
	}
	if err := peek(payload, &named); err != nil {
		return 0
	}
	return named.Identity
}

// peek reads some members of an object and leaves the others alone; what it reads was checked strictly, or is so later.
func peek(object []byte, members any) error { return json.Unmarshal(object, members) }
