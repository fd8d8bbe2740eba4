package flow

import (
	"context"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/party"
)

// Suspicion marks, for people, what was signed by keys of which their owner has declared since that they may have been in other
// hands at the time. It decides nothing: no fold, no clock and no figure reads it.
type Suspicion struct {
	Since   int64 // UTC microseconds, as its owner declared
	Version int   // of the owner's identity, which declares it
}

// suspicion is what later versions say of a document that was signed under a version at a time; nil if nothing. Of several the
// earliest time counts.
func suspicion(c *party.Chain, version int, at int64) (s *Suspicion) {
	for n := version + 1; n <= len(c.Versions); n++ {
		if i := &c.Versions[n-1]; i.Suspect(at) && (s == nil || *i.CompromiseSince < s.Since) {
			s = &Suspicion{*i.CompromiseSince, n}
		}
	}
	return s
}

// mark marks statements and their receipts. The time of a statement is that of the addressee's receipt, which its author cannot
// choose; before it, the one that the author gives.
func (h *House) mark(ctx context.Context, views []StatementView) error {
	var headers []envelope.Hash
	at := map[envelope.Hash][]*StatementView{}
	for i := range views {
		v := &views[i]
		peer, err := h.PeerChain(ctx, v.Statement.Link)
		if err != nil {
			return err
		}
		author, addressee := h.Self(), peer
		if !v.Ours {
			author, addressee = peer, author
		}
		for r := range v.Receipts {
			v.Receipts[r].Suspect = suspicion(addressee, v.Receipts[r].Receipt.Identity, v.Receipts[r].Receipt.At)
		}
		if suspicion(author, 0, v.said()) != nil {
			headers = append(headers, v.Parcel.Header)
			at[v.Parcel.Header] = append(at[v.Parcel.Header], v)
		}
	}
	if len(headers) == 0 {
		return nil
	}
	var docs map[envelope.Hash]exchange.Document
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		docs, err = tx.Documents(ctx, headers)
		return err
	})
	for hash, marked := range at {
		for _, v := range marked {
			author := h.Self()
			if !v.Ours {
				if author, err = h.PeerChain(ctx, v.Statement.Link); err != nil {
					return err
				}
			}
			v.Suspect = suspicion(author, signedUnder(docs[hash].Payload), v.said())
		}
	}
	return err
}

// said is the time at which a statement counts as said.
func (v *StatementView) said() int64 {
	if v.Parcel.Received != 0 {
		return v.Parcel.Received
	}
	return v.Authored
}
