package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/party"
	"entente/statement"
)

// Pairing by files is commit, then reveal, as over the network: the invitation holds the inviter's commitment, the answer the
// invitee's nonce, and a third file reveals the inviter's (docs/spec/pairing.md, section 1.1).

// The DSSE payload types of the files that follow an invitation.
const (
	PairAnswerType = "application/vnd.entente.pairing-answer+json"
	PairRevealType = "application/vnd.entente.pairing-reveal+json"
)

// MaxPairFile bounds the file of an answer or a reveal in bytes: MaxInvitation in base64, and signatures.
const MaxPairFile = 512 << 10

// PairAnswer is the payload of the second file, signed by the invitee.
type PairAnswer struct {
	V        int           `json:"v"`        // 1
	Token    []byte        `json:"token"`    // of the invitation
	Commit   envelope.Hash `json:"commit"`   // as the invitation had it
	Identity [][]byte      `json:"identity"` // the invitee's chain, encoded envelopes, oldest first
	Nonce    []byte        `json:"nonce"`    // 32 bytes
	Endpoint string        `json:"endpoint"` // empty if its node cannot be reached
}

// PairReveal is the payload of the third file, signed by the inviter.
type PairReveal struct {
	V      int           `json:"v"`      // 1
	Token  envelope.Hash `json:"token"`  // SHA-256 of the invitation's token
	Answer envelope.Hash `json:"answer"` // of the answer's payload
	Nonce  []byte        `json:"nonce"`  // 32 bytes
}

// Validate checks lengths and form, and no signature.
func (a *PairAnswer) Validate() error {
	switch {
	case a.V != 1:
		return envelope.Refuse("v", "is %d, not 1", a.V)
	case len(a.Token) != 32:
		return envelope.Refuse("token", "is not 32 bytes")
	case a.Commit.IsZero():
		return envelope.Refuse("commit", "is zero")
	case len(a.Nonce) != 32:
		return envelope.Refuse("nonce", "is not 32 bytes")
	case len(a.Identity) == 0:
		return envelope.Refuse("identity", "is missing")
	case a.Endpoint != "" && CheckEndpoint(a.Endpoint) != nil:
		return envelope.Refuse("endpoint", "is not an https origin")
	}
	return nil
}

// Validate checks lengths and form, and no signature.
func (r *PairReveal) Validate() error {
	switch {
	case r.V != 1:
		return envelope.Refuse("v", "is %d, not 1", r.V)
	case r.Token.IsZero():
		return envelope.Refuse("token", "is zero")
	case r.Answer.IsZero():
		return envelope.Refuse("answer", "is zero")
	case len(r.Nonce) != 32:
		return envelope.Refuse("nonce", "is not 32 bytes")
	}
	return nil
}

// PairFile is a pairing file that was read: an answer or a reveal.
type PairFile struct {
	Answer *PairAnswer
	Reveal *PairReveal

	env  *envelope.Envelope
	hash envelope.Hash // of the payload
}

// Hash is that of the file's payload, by which a reveal names an answer.
func (f *PairFile) Hash() envelope.Hash { return f.hash }

// DecodePairFile reads an answer or a reveal strictly; who signed it is checked where the pairing is known.
func DecodePairFile(data []byte) (*PairFile, error) {
	bad := func(err error) error {
		return fault.Wrap(fault.Invalid, "pairing_file", "This is not a pairing file, or it was damaged on the way; ask the other party for it again.", err)
	}
	if len(data) > MaxPairFile {
		return nil, bad(fmt.Errorf("%d bytes", len(data)))
	}
	env, err := envelope.DecodeEnvelope(data)
	if err != nil {
		return nil, bad(err)
	}
	f := &PairFile{env: env, hash: envelope.Sum(env.Payload)}
	var v interface{ Validate() error }
	switch env.PayloadType {
	case PairAnswerType:
		f.Answer = &PairAnswer{}
		v = f.Answer
	case PairRevealType:
		f.Reveal = &PairReveal{}
		v = f.Reveal
	default:
		return nil, bad(fmt.Errorf("payload type %q", env.PayloadType))
	}
	if err := envelope.Unmarshal(env.Payload, v); err != nil {
		return nil, bad(err)
	}
	if err := v.Validate(); err != nil {
		return nil, bad(err)
	}
	return f, nil
}

// signPair signs the payload of a pairing file. The same payload gives the same file.
func (h *House) signPair(payloadType string, payload []byte) ([]byte, error) {
	signers, err := h.cfg.Keys.SignersOf(len(h.Self().Versions))
	if err != nil {
		return nil, err
	}
	env, err := envelope.Sign(payloadType, payload, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing a pairing file: %w", err)
	}
	return env.Encode()
}

// pairAnswered is the state of an invitation that we answered by a file. The row's Nonce is then ours.
const pairAnswered = "answered"

// pairPending is what such a row keeps as its Agreement.
type pairPending struct {
	Invitation []byte `json:"invitation"`
	Answer     []byte `json:"answer"` // payload
}

func decodePending(row exchange.Invitation) (p pairPending, inv *Invitation, err error) {
	if err = envelope.Unmarshal(row.Agreement, &p); err == nil {
		inv, err = DecodeInvitation(p.Invitation)
	}
	if err != nil {
		err = fmt.Errorf("reading an invitation that we answered: %w", err)
	}
	return p, inv, err
}

// PairByFile answers an invitation by a file, for the inviter. Answering the same invitation again gives the same file, as long as
// it has not led to a link.
func (h *House) PairByFile(ctx context.Context, who actor.Actor, alias string, inv *Invitation) ([]byte, error) {
	if err := who.May(actor.Govern); err != nil {
		return nil, err
	}
	if inv.Commit == nil {
		return nil, fault.New(fault.Invalid, "invitation", "This invitation can be accepted over the network only; ask for a new one.")
	}
	peer, err := party.Verify(h.cfg.Registry, inv.Identity)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "identity", "The identity in the invitation does not verify.", err)
	}
	if peer.ID == h.self {
		return nil, fault.New(fault.Invalid, "invitation", "This is an invitation of our own; give it to the other party.")
	}
	row, err := h.pairPending(alias, inv)
	if err != nil {
		return nil, err
	}
	asked, _, err := decodePending(row)
	if err != nil {
		return nil, err
	}
	var kept pairPending
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if inv.Expires <= h.now() {
			return spent()
		}
		if err := h.freeAlias(ctx, tx, alias); err != nil {
			return err
		}
		put := row
		old, err := tx.Invitation(ctx, row.TokenHash)
		if err == nil && old.State != pairAnswered {
			return spent()
		}
		if err != nil && !notFound(err) {
			return err
		}
		if err == nil { // one answer to one invitation, however often it is asked for
			before, _, err := decodePending(old)
			if err != nil {
				return err
			}
			if bytes.Equal(before.Invitation, asked.Invitation) {
				put = old
				put.Alias = alias
			}
		}
		if kept, _, err = decodePending(put); err != nil {
			return err
		}
		if err := tx.PutInvitation(ctx, put); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "accept by file", alias)
	})
	if err != nil {
		return nil, err
	}
	var answered PairAnswer
	if err := envelope.Unmarshal(kept.Answer, &answered); err != nil {
		return nil, fmt.Errorf("reading an answer to an invitation: %w", err)
	}
	if len(answered.Identity) != len(h.Self().Versions) {
		return nil, fault.New(fault.Conflict, "keys_replaced", "Our keys were replaced since this invitation was answered; ask the other party for a new one.")
	}
	return h.signPair(PairAnswerType, kept.Answer)
}

// pairPending is the row of an invitation that we answer, with a fresh nonce.
func (h *House) pairPending(alias string, inv *Invitation) (exchange.Invitation, error) {
	row := exchange.Invitation{TokenHash: envelope.Sum(inv.Token), Alias: alias, Expires: inv.Expires, State: pairAnswered}
	rand.Read(row.Nonce[:])
	fail := func(err error) (exchange.Invitation, error) {
		return row, fmt.Errorf("encoding an answer to an invitation: %w", err)
	}
	var kept pairPending
	var err error
	if kept.Invitation, err = inv.Encode(); err != nil {
		return fail(err)
	}
	answer := PairAnswer{V: 1, Token: inv.Token, Commit: *inv.Commit, Identity: h.Self().Envelopes, Nonce: row.Nonce[:], Endpoint: h.cfg.Endpoint}
	if kept.Answer, err = envelope.Marshal(answer); err != nil {
		return fail(err)
	}
	if row.Agreement, err = envelope.Marshal(kept); err != nil {
		return fail(err)
	}
	return row, nil
}

// PairOn goes on with a pairing by a file that the other party made. An answer makes the inviter's link, and gives the file that
// reveals its nonce; a reveal makes the invitee's link, and gives none. The same answer again gives the same file.
func (h *House) PairOn(ctx context.Context, who actor.Actor, f *PairFile) (statement.LinkID, []byte, error) {
	if err := who.May(actor.Govern); err != nil {
		return statement.LinkID{}, nil, err
	}
	if f.Answer != nil {
		return h.pairReveal(ctx, who, f)
	}
	id, err := h.pairFinish(ctx, who, f)
	return id, nil, err
}

// pairReveal is the inviter's part. The token is used up by the first answer that comes, whatever it leads to, or a short code
// could be ground.
func (h *House) pairReveal(ctx context.Context, who actor.Actor, f *PairFile) (statement.LinkID, []byte, error) {
	a := f.Answer
	peer, err := party.Verify(h.cfg.Registry, a.Identity)
	if err != nil {
		return statement.LinkID{}, nil, fault.Wrap(fault.Invalid, "identity", "The identity in the answer does not verify.", err)
	}
	if _, err := h.cfg.Registry.Verify(f.env, PairAnswerType, peer.Latest().KeySet()); err != nil {
		return statement.LinkID{}, nil, fault.Wrap(fault.Forbidden, "signature", "The answer was not signed by the party that it names.", err)
	}
	var inv exchange.Invitation
	var known bool
	var l exchange.Link
	err = h.linking(ctx, peer.ID, func(tx Tx) (err error) {
		inv, err = tx.Invitation(ctx, envelope.Sum(a.Token))
		if notFound(err) || err == nil && inv.State == pairAnswered {
			return spent()
		}
		if err != nil {
			return err
		}
		if l, err = h.pairLink(inv, peer, a); err != nil {
			return err
		}
		known = inv.State == "used" && inv.Link == l.ID // the file got lost: the same answer, the same nonce
		if known {
			return nil
		}
		if inv.State == "used" || inv.Expires <= h.now() {
			return spent()
		}
		inv.State, inv.Link = "used", l.ID
		if err := tx.PutInvitation(ctx, inv); err != nil {
			return err
		}
		if err := h.audit(ctx, tx, who.Name, "pair by file", l.Alias); err != nil {
			return err
		}
		return h.openLink(ctx, tx, l, peer)
	})
	if err != nil {
		return statement.LinkID{}, nil, err
	}
	payload, err := envelope.Marshal(PairReveal{V: 1, Token: inv.TokenHash, Answer: f.hash, Nonce: inv.Nonce[:]})
	if err != nil {
		return statement.LinkID{}, nil, fmt.Errorf("encoding a pairing file: %w", err)
	}
	data, err := h.signPair(PairRevealType, payload)
	return l.ID, data, err
}

// pairLink is the inviter's link by an answer.
func (h *House) pairLink(inv exchange.Invitation, peer *party.Chain, a *PairAnswer) (exchange.Link, error) {
	t := party.Transcript{Commit: party.PairCommit(inv.Nonce, h.self, inv.Agreement), A: h.self, B: peer.ID,
		OfferA: inv.Agreement, NonceB: [32]byte(a.Nonce), NonceA: inv.Nonce}
	if err := t.Check(); err != nil || t.Commit != a.Commit {
		return exchange.Link{}, fault.Wrap(fault.Invalid, "pairing", "The answer does not fit our invitation; it may be one to somebody else's.", err)
	}
	return exchange.Link{ID: t.Hash(), Alias: inv.Alias, Peer: peer.ID, Endpoint: a.Endpoint, Inviter: true,
		Agreement: inv.Agreement, Created: h.now(), OwnEpoch: 1, PeerEpoch: 1}, nil
}

// pairFinish is the invitee's last part: it finds the answer whose nonce is answered by the reveal, and checks the commitment.
func (h *House) pairFinish(ctx context.Context, who actor.Actor, f *PairFile) (statement.LinkID, error) {
	none := fault.New(fault.NotFound, "pairing", "No invitation was answered here that this file belongs to; look whether it was meant for another node, or was taken already.")
	var row exchange.Invitation
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		row, err = tx.Invitation(ctx, f.Reveal.Token)
		return err
	})
	if notFound(err) || err == nil && row.State != pairAnswered {
		return statement.LinkID{}, none
	}
	if err != nil {
		return statement.LinkID{}, err
	}
	kept, inv, err := decodePending(row)
	if err != nil {
		return statement.LinkID{}, err
	}
	if envelope.Sum(kept.Answer) != f.Reveal.Answer {
		return statement.LinkID{}, none
	}
	peer, err := party.Verify(h.cfg.Registry, inv.Identity)
	if err != nil {
		return statement.LinkID{}, fmt.Errorf("reading an invitation that we answered: %w", err)
	}
	if _, err := h.cfg.Registry.Verify(f.env, PairRevealType, peer.Latest().KeySet()); err != nil {
		return statement.LinkID{}, fault.Wrap(fault.Forbidden, "signature", "This file was not signed by the party that invited us.", err)
	}
	id, err := h.PairComplete(ctx, who, row.Alias, inv, *inv.Commit, row.Nonce, [32]byte(f.Reveal.Nonce))
	if err != nil {
		return statement.LinkID{}, err
	}
	row.State, row.Link = "used", id
	return id, h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.PutInvitation(ctx, row) })
}
