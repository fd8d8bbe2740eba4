package housetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// In runs where keys turn, each party has a keyring of its own run: what it decides lives through a power cut, as its file does.

// ringFiles are the files of a keyring, by name.
func ringFiles() [2]string { return [2]string{"keyring.json", "key"} }

// turning gives a party the keys of the opening in files of this run, so that they can be replaced.
func (w *world) turning(k *keys) *keys {
	dir := w.dir()
	for i, name := range ringFiles() {
		w.must(os.WriteFile(filepath.Join(dir, name), k.files[i], 0o600))
	}
	ring, err := keyring.Open(filepath.Join(dir, ringFiles()[0]), keyring.KeyFile(filepath.Join(dir, ringFiles()[1])))
	w.must(err)
	own := &keys{Keyring: ring, name: k.name, registry: k.registry, quick: k.quick, first: k.first, shares: k.shares,
		logs: map[string][]note.Signer{}, decided: map[int][]byte{}}
	own.truth, err = party.Verify(envelope.Default(), [][]byte{k.first})
	w.must(err)
	return own
}

// SignersOf implements flow.Keys.
func (k *keys) SignersOf(version int) ([]envelope.Signer, error) {
	signers, err := k.Keyring.SignersOf(version)
	if err != nil || !k.quick {
		return signers, err
	}
	return quickSigners(k.name, version)
}

// quickSigners are those of a version in place of the keyring's.
func quickSigners(name string, version int) (signers []envelope.Signer, err error) {
	seed := name
	if version > 1 {
		seed = fmt.Sprintf("%s %d", name, version)
	}
	for _, scheme := range quick().Schemes {
		s, err := scheme.FromSeed([]byte(seed))
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	return signers, nil
}

// hasten puts the quick signature keys of its version into an identity, in place of the keyring's.
func hasten(name string, i party.Identity) (party.Identity, []envelope.Signer, error) {
	signers, err := quickSigners(name, i.Version)
	i.Suites = slices.Clone(i.Suites)
	i.Suites[0].Sign = nil
	for _, s := range signers {
		i.Suites[0].Sign = append(i.Suites[0].Sign, s.Public())
	}
	return i, signers, err
}

// Rotate implements flow.Keys. The keyring decides by real signatures; with quick ones, what it decided is signed by these, and
// kept with it.
func (k *keys) Rotate(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error) {
	if !k.quick {
		return k.Keyring.Rotate(chain, next, random)
	}
	data, err := k.Keyring.Rotate(k.truth, next, random)
	if err != nil {
		return nil, err
	}
	before, err := quickSigners(k.name, len(chain.Versions))
	if err != nil {
		return nil, err
	}
	return k.decide(data, func(i party.Identity, signers []envelope.Signer) ([]byte, error) {
		e, err := chain.Succeed(k.registry, i, slices.Concat(before, signers)...)
		if err != nil {
			return nil, err
		}
		return e.Encode()
	})
}

// decide takes up what the keyring decided, and keeps what sign makes of it.
func (k *keys) decide(data []byte, sign func(party.Identity, []envelope.Signer) ([]byte, error)) ([]byte, error) {
	truth, err := k.truth.Append(envelope.Default(), data)
	if err != nil {
		return nil, err
	}
	quick, signers, err := hasten(k.name, *truth.Latest())
	if err != nil {
		return nil, err
	}
	encoded, err := sign(quick, signers)
	if err == nil {
		k.truth, k.decided[len(truth.Versions)] = truth, encoded
	}
	return encoded, err
}

// Successor implements flow.Keys.
func (k *keys) Successor(version int) []byte {
	if !k.quick {
		return k.Keyring.Successor(version)
	}
	return k.decided[version]
}

// Prepare implements flow.Keys.
func (k *keys) Prepare(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error) {
	if !k.quick {
		return k.Keyring.Prepare(chain, next, random)
	}
	data, err := k.Keyring.Prepare(k.truth, next, random)
	if err != nil {
		return nil, err
	}
	e, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, err
	}
	var i party.Identity
	if err := envelope.Unmarshal(e.Payload, &i); err != nil {
		return nil, err
	}
	quick, signers, err := hasten(k.name, i)
	if err != nil {
		return nil, err
	}
	prev := chain.Hash(len(chain.Versions))
	quick.Prev = &prev
	payload, err := envelope.Marshal(quick)
	if err != nil {
		return nil, err
	}
	if e, err = envelope.Sign(party.PayloadType, payload, signers...); err != nil {
		return nil, err
	}
	k.prepared, err = e.Encode()
	return k.prepared, err
}

// Prepared implements flow.Keys.
func (k *keys) Prepared() []byte {
	if !k.quick || k.Keyring.Prepared() == nil {
		return k.Keyring.Prepared()
	}
	return k.prepared
}

// Finish implements flow.Keys.
func (k *keys) Finish(chain *party.Chain, signed [][]byte) ([]byte, error) {
	if !k.quick {
		return k.Keyring.Finish(chain, signed)
	}
	e, err := envelope.DecodeEnvelope(k.prepared)
	if err != nil {
		return nil, err
	}
	for _, data := range signed {
		one, err := envelope.DecodeEnvelope(data)
		if err != nil || !bytes.Equal(one.Payload, e.Payload) {
			return nil, errors.Join(err, errors.New("not a copy of what was prepared"))
		}
		e.Signatures = append(e.Signatures, one.Signatures...)
	}
	encoded, err := e.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := chain.Append(k.registry, encoded); err != nil {
		return nil, err
	}
	real, err := k.quorum(k.Keyring.Prepared())
	if err != nil {
		return nil, err
	}
	data, err := k.Keyring.Finish(k.truth, real)
	if err != nil {
		return nil, err
	}
	return k.decide(data, func(party.Identity, []envelope.Signer) ([]byte, error) { return encoded, nil })
}

// quorum is a document as two who hold a recovery key have signed it, each a copy.
func (k *keys) quorum(document []byte) (signed [][]byte, err error) {
	e, err := envelope.DecodeEnvelope(document)
	if err != nil {
		return nil, err
	}
	for _, share := range k.shares[:2] {
		signer, err := share.Signer()
		if err != nil {
			return nil, err
		}
		copied, err := envelope.Sign(e.PayloadType, e.Payload, signer)
		if err != nil {
			return nil, err
		}
		data, err := copied.Encode()
		if err != nil {
			return nil, err
		}
		signed = append(signed, data)
	}
	return signed, nil
}

// turn lets a node's operator replace its keys, or take its identity back with the recovery keys, in two steps that may lie apart.
func (w *world) turn(n *node) {
	waits := n.keys.Prepared() != nil
	switch k := w.r.IntN(10); {
	case waits && k < 2:
		w.turned(n, "gives its recovery up", func(h *flow.House) error { return h.CancelRecovery(context.Background(), member()) })
	case waits && k < 8:
		w.recover(n)
	case k >= 7:
		w.prepare(n)
	default:
		w.turned(n, "replaces its keys", func(h *flow.House) error { return h.Rotate(context.Background(), member(), flow.Renewal{}) })
	}
}

func (w *world) prepare(n *node) {
	renewal := flow.Renewal{}
	if w.r.IntN(2) == 0 {
		renewal.CompromiseSince = n.now().Add(-time.Hour).UnixMicro()
	}
	w.turned(n, "prepares to take its identity back", func(h *flow.House) error {
		_, err := h.PrepareRecovery(context.Background(), member(), renewal)
		return err
	})
}

func (w *world) recover(n *node) {
	document := n.keys.Prepared()
	if document == nil {
		return
	}
	signed, err := n.keys.quorum(document)
	w.must(err)
	w.turned(n, "takes its identity back", func(h *flow.House) error { return h.FinishRecovery(context.Background(), member(), signed) })
}

// turned lets something be done about a node's keys. What the weather did not hinder succeeds, or is refused for a reason that its
// operator can do something about.
func (w *world) turned(n *node, what string, act func(*flow.House) error) {
	if len(n.stack) > 0 { // one goroutine would wait for itself
		return
	}
	before := len(n.house.Self().Versions)
	err := n.act("turn", act)
	after := n.house.Self()
	w.note("%s %s: version %d, %s", n.name, what, len(after.Versions), brief(err))
	for v := before + 1; v <= len(after.Versions); v++ {
		if w.out.Turns++; after.Recovered(v) {
			w.out.Recovered++
		}
	}
	if err == nil || errors.Is(err, errCrashed) || n.hurt || n.blobs.full {
		return
	}
	w.out.Refused++
	if kind := fault.KindOf(err); kind != fault.Conflict && kind != fault.Invalid {
		w.fail("%s: what %s failed by itself: %v", n.name, what, err)
	}
}

// stored is a node's own identity as its store has it; the keyring may know more.
func (n *node) stored() *party.Chain {
	var envelopes [][]byte
	n.look(func(tx flow.Tx) (err error) {
		envelopes, err = tx.Identities(context.Background(), n.chain.ID)
		return err
	})
	if len(envelopes) <= 1 {
		return n.chain
	}
	chain, err := party.Verify(n.w.registry, envelopes)
	n.w.must(err)
	return chain
}
