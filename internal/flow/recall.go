package flow

import (
	"context"
	"sync"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/parcel"
)

// paper is a document, decoded: a header, a grant, a receipt, or something else. It must not be changed.
type paper struct {
	header  *parcel.Header
	grant   *parcel.Grant
	receipt *parcel.Receipt
}

func readPaper(d exchange.Document) (p paper) {
	switch d.Type { // what is stored was decoded before; whatever is not is no such document
	case parcel.HeaderType:
		p.header, _ = parcel.DecodeHeader(d.Payload)
	case parcel.GrantType:
		p.grant, _ = parcel.DecodeGrant(d.Payload)
	case parcel.ReceiptType:
		p.receipt, _ = parcel.DecodeReceipt(d.Payload)
	}
	return p
}

// identity is the version under which it was signed.
func (p paper) identity() int {
	switch {
	case p.header != nil:
		return p.header.Identity
	case p.grant != nil:
		return p.grant.Identity
	case p.receipt != nil:
		return p.receipt.Identity
	}
	return 0
}

// maxRecalled bounds what a recall holds: a few megabytes.
const maxRecalled = 4096

// recall holds the newest documents that the store has: what a peer's receipts and leaves are about is mostly among
// them. What is in it was committed. The zero value is empty.
type recall struct {
	mu    sync.Mutex
	known map[envelope.Hash]paper // guarded by mu
	order []envelope.Hash         // of known, as a ring; guarded by mu
	next  int                     // the oldest in order, once it is full; guarded by mu
}

func (r *recall) add(hash envelope.Hash, p paper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[hash]; ok {
		return
	}
	if r.known == nil {
		r.known = map[envelope.Hash]paper{}
	}
	if len(r.order) < maxRecalled {
		r.order = append(r.order, hash)
	} else {
		delete(r.known, r.order[r.next])
		r.order[r.next] = hash
		r.next = (r.next + 1) % maxRecalled
	}
	r.known[hash] = p
}

// papers gives the documents of these hashes that are stored, from memory or from the transaction.
func (r *recall) papers(ctx context.Context, tx Tx, hashes []envelope.Hash) (map[envelope.Hash]paper, error) {
	out := make(map[envelope.Hash]paper, len(hashes))
	var rest []envelope.Hash
	r.mu.Lock()
	for _, hash := range hashes {
		if p, ok := r.known[hash]; ok {
			out[hash] = p
		} else {
			rest = append(rest, hash)
		}
	}
	r.mu.Unlock()
	docs, err := tx.Documents(ctx, rest)
	for hash, d := range docs {
		out[hash] = readPaper(d)
	}
	return out, err
}
