package flow

import (
	"bytes"
	"context"
	"fmt"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// answerOpening gives the peer our account of the link: what we hold of every lane, and the newest cosigned heads. If we opened an
// epoch ourselves, a fresh opening is answered by it, too: the peer may have forgotten it.
func (in *intake) answerOpening(ctx context.Context, opening envelope.Hash, fresh bool) error {
	if fresh && in.l.OwnEpoch != ledger.FirstEpoch {
		f, err := in.h.openingFrame(ctx, in.l)
		if err != nil {
			return err
		}
		in.answers = append(in.answers, f)
	}
	var a parcel.Account
	err := in.h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		a, err = in.h.accountOf(ctx, tx, in.l, opening)
		return err
	})
	if err != nil {
		return err
	}
	payload, err := a.Encode()
	if err != nil {
		return fmt.Errorf("encoding an account: %w", err)
	}
	docs := []exchange.Document{{Hash: envelope.Sum(payload), Link: in.l.ID, Type: parcel.AccountType, Payload: payload}}
	if err := in.h.sign(ctx, in.l.ID, docs); err != nil {
		return err
	}
	env := envelope.Envelope{PayloadType: parcel.AccountType, Payload: payload, Signatures: docs[0].Signatures}
	data, err := env.Encode()
	if err != nil {
		return err
	}
	in.answers = append(in.answers, parcel.Frame{Kind: parcel.FrameAccount, Payload: data})
	return nil
}

func (h *House) accountOf(ctx context.Context, tx Tx, l exchange.Link, opening envelope.Hash) (parcel.Account, error) {
	a := parcel.Account{V: 1, Link: l.ID, From: h.self, To: l.Peer, Identity: len(h.Self().Versions), Epoch: l.OwnEpoch, Opening: opening}
	lanes, err := tx.LanesOf(ctx, l.ID)
	if err != nil {
		return a, err
	}
	for _, s := range lanes {
		if s.Last > 0 {
			a.Lanes = append(a.Lanes, parcel.HeldLane{Author: s.Author, Epoch: s.Epoch, Lane: s.Lane, Last: s.Last})
		}
	}
	if over := len(a.Lanes) - parcel.MaxAccountLanes; over > 0 { // the oldest are known longest
		a.Lanes = a.Lanes[over:]
	}
	logs, err := tx.Logs(ctx, l.ID)
	if err != nil {
		return a, err
	}
	for _, log := range logs {
		if log.Party == h.self || log.CosignedSize > 0 && log.Epoch < l.PeerEpoch {
			a.Logs = append(a.Logs, parcel.HeldLog{Party: log.Party, Epoch: log.Epoch, Note: log.CosignedNote})
		}
	}
	if over := len(a.Logs) - parcel.MaxAccountLogs; over > 0 {
		a.Logs = a.Logs[over:]
	}
	return a, nil
}

// account takes the peer's answer to our opening. With it, a witness that forgot what it cosigned recalls it: the log's party signs
// which cosigned head is its newest.
func (in *intake) account(ctx context.Context, f parcel.Frame) error {
	env, a, broken := in.examineAccount(f)
	if broken != nil {
		in.refuse(nil, broken.Code, broken.Public)
		return nil
	}
	var refused *fault.Error
	taken := false
	err := in.h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		refused, taken = nil, false
		l, err := tx.Link(ctx, in.l.ID)
		if err != nil {
			return err
		}
		in.l = l
		rows, err := tx.Leaves(ctx, l.ID, in.h.self, l.OwnEpoch, 0, 1)
		if err != nil || len(rows) == 0 {
			return err
		}
		if l.Catching == exchange.CaughtUp || a.Opening != rows[0].Doc || a.Epoch != l.PeerEpoch {
			return nil // of another opening, or late
		}
		if refused, err = in.recall(ctx, tx, l, a); err != nil || refused != nil {
			return err
		}
		taken = true
		return tx.PutDocuments(ctx, exchange.Document{Hash: envelope.Sum(env.Payload), Link: l.ID, Type: parcel.AccountType,
			Payload: env.Payload, Signatures: env.Signatures})
	})
	if err != nil {
		return err
	}
	if refused != nil {
		in.refuse(nil, refused.Code, refused.Public)
	}
	if !taken {
		return nil
	}
	s := in.state
	s.mu.Lock()
	if s.catch.account == nil {
		s.catch = catchUp{account: a, due: 1}
	}
	s.mu.Unlock()
	in.woke = true
	return nil
}

func (in *intake) examineAccount(f parcel.Frame) (*envelope.Envelope, *parcel.Account, *fault.Error) {
	env, err := envelope.DecodeEnvelope(f.Payload)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, "envelope", "The account's envelope is malformed.", err)
	}
	a, err := parcel.DecodeAccount(env.Payload)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, "account", "The account is malformed: "+plain(err)+".", err)
	}
	signer, broken := in.newestSigner(a.Identity)
	if broken != nil {
		return nil, nil, broken
	}
	if _, err := in.h.cfg.Registry.Verify(env, parcel.AccountType, signer.KeySet()); err != nil {
		return nil, nil, fault.Wrap(fault.Forbidden, "signature", "The account's signature does not verify.", err)
	}
	if a.Link != in.l.ID || a.From != in.l.Peer || a.To != in.h.self {
		return nil, nil, fault.New(fault.Forbidden, "addressee", "The account is not for this link and these parties.")
	}
	return env, a, nil
}

// recall makes the greater of what we remember and what the peer shows the head that we cosigned last. What it shows bears our own
// cosignatures: a witness believes nobody but itself.
func (in *intake) recall(ctx context.Context, tx Tx, l exchange.Link, a *parcel.Account) (*fault.Error, error) {
	if !forgetful(l) {
		return nil, nil
	}
	log, err := tx.Log(ctx, l.ID, l.Peer, l.PeerEpoch)
	if err != nil {
		return nil, err
	}
	for _, held := range a.Logs {
		if held.Party != l.Peer || held.Epoch != l.PeerEpoch || len(held.Note) == 0 {
			continue
		}
		c, err := in.cosignedByUs(l, held)
		if err != nil {
			return fault.Wrap(fault.Invalid, "account_note", "A checkpoint in the account does not bear the log's signatures and our cosignatures.", err), nil
		}
		if bytes.Equal(held.Note, log.CosignedNote) || c.Size < log.CosignedSize {
			continue
		}
		if c.Size <= log.Size {
			root, err := ledger.TreeRoot(c.Size, tx.HashReader(ctx, l.ID, l.Peer, l.PeerEpoch))
			if err != nil {
				return nil, err
			}
			if root != c.Root {
				broken := fault.New(fault.Conflict, "ledger_forked", "This contradicts what was signed before; it is kept as evidence.")
				return broken, in.h.evidence(ctx, tx, l.ID, "ledger_forked", "The peer shows a cosigned checkpoint that is not of the leaves it showed before.", held.Note)
			}
		}
		log.CosignedSize, log.CosignedNote, log.CosignedAt = c.Size, c.Note, in.h.now()
		if err := tx.PutLog(ctx, log); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (in *intake) cosignedByUs(l exchange.Link, held parcel.HeldLog) (*ledger.Checkpoint, error) {
	return cosignedCheckpoint(l.ID, held, in.kin.stands, in.h.Self())
}

// cosignedCheckpoint opens a checkpoint that any version of the log's owner signed, and any of the witness cosigned.
func cosignedCheckpoint(link statement.LinkID, held parcel.HeldLog, owner, witness *party.Chain) (c *ledger.Checkpoint, err error) {
	_, err = owner.Newest(1, func(i *party.Identity) (err error) {
		c, err = ledger.OpenCheckpoint(held.Note, ledger.Origin(link, held.Party, held.Epoch), i.Log)
		return err
	})
	if err != nil {
		return nil, err
	}
	_, err = witness.Newest(1, func(i *party.Identity) error {
		_, err := c.Cosigned(ledger.WitnessName(witness.ID), i.Witness)
		return err
	})
	return c, err
}

// recalled compares leaves of the peer with a head that we cosigned before we forgot its leaves. forked says that they are not its.
func (m *mirroring) recalled(ctx context.Context, follower ledger.Follower, log exchange.Log, fresh [][]byte) (forked bool, err error) {
	n := log.CosignedSize - log.Size
	if n <= 0 || n > int64(len(fresh)) {
		return false, nil
	}
	reached, _, err := follower.CheckRun(fresh[:n])
	if err != nil {
		return false, err
	}
	c, err := m.in.cosignedByUs(m.in.l, parcel.HeldLog{Party: log.Party, Epoch: log.Epoch, Note: log.CosignedNote})
	if err != nil {
		return false, fmt.Errorf("reading a stored checkpoint: %w", err)
	}
	if reached.Head().Root == c.Root {
		return false, nil
	}
	return true, m.evidence(ctx, "ledger_forked", "The peer shows other leaves than those of the checkpoint that we cosigned.", log.CosignedNote)
}

// ownDocument is a document of ours that comes with the peer's leaves: we may have lost it, and our own signature tells that it is
// ours.
func (in *intake) ownDocument(d parcel.Document) (exchange.Document, bool) {
	if in.l.OwnEpoch == ledger.FirstEpoch {
		return exchange.Document{}, false
	}
	env, err := envelope.DecodeEnvelope(d.Envelope)
	if err != nil {
		return exchange.Document{}, false
	}
	var link statement.LinkID
	version := 0
	switch d.Type {
	case "header":
		if hd, err := parcel.DecodeHeader(env.Payload); err == nil && hd.From == in.h.self {
			link, version = hd.Link, hd.Identity
		}
	case "receipt":
		if r, err := parcel.DecodeReceipt(env.Payload); err == nil && r.From == in.h.self {
			link, version = r.Link, r.Identity
		}
	}
	signer, ok := in.h.Self().At(version)
	if !ok || link != in.l.ID {
		return exchange.Document{}, false
	}
	if _, err := in.h.cfg.Registry.Verify(env, env.PayloadType, signer.KeySet()); err != nil {
		return exchange.Document{}, false
	}
	return exchange.Document{Hash: envelope.Sum(env.Payload), Link: link, Type: env.PayloadType, Payload: env.Payload, Signatures: env.Signatures}, true
}
