package flow

import (
	"context"
	"fmt"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/statement"
)

// A header or a receipt is fixed by the transaction that enters its leaf; it is signed after that, outside. Signatures are
// deterministic, so losing one in a crash costs only signing the same bytes again. They are kept in memory until a
// later transaction of the link stores them along with its own work.

// maxUnsaved is how many signatures of a link are kept in memory before they are stored by a transaction of their own.
const maxUnsaved = 1024

// sign fills in the signatures of documents of ours: from the document, from memory, or newly made.
func (h *House) sign(ctx context.Context, link statement.LinkID, docs []exchange.Document) error {
	s := h.link(link)
	var todo []int
	s.mu.Lock()
	for i := range docs {
		if docs[i].Signatures == nil {
			docs[i].Signatures = s.unsaved[docs[i].Hash].Signatures
		}
		if docs[i].Signatures == nil {
			todo = append(todo, i)
		}
	}
	s.mu.Unlock()
	if len(todo) == 0 {
		return nil
	}
	errs := make([]error, len(todo))
	parallel(len(todo), func(n int) {
		doc := &docs[todo[n]]
		if errs[n] = h.signOne(doc); errs[n] != nil {
			errs[n] = fmt.Errorf("signing a document: %w", errs[n])
		}
	})
	s.mu.Lock()
	for n, i := range todo {
		if errs[n] == nil {
			s.unsaved[docs[i].Hash] = docs[i]
		}
	}
	full := len(s.unsaved) > maxUnsaved
	s.mu.Unlock()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if full {
		return h.saveSignatures(ctx, link)
	}
	return nil
}

// signOne signs a document with the keys of the version that it names: the one that was in force when it got its place, and
// perhaps is not any more.
func (h *House) signOne(doc *exchange.Document) error {
	signers, err := h.cfg.Keys.SignersOf(signedUnder(doc.Payload))
	if err != nil {
		return err
	}
	env, err := envelope.Sign(doc.Type, doc.Payload, signers...)
	if err != nil {
		return err
	}
	doc.Signatures = env.Signatures
	return nil
}

// putSignatures stores what sign keeps, inside a transaction of the link; saved is to be called once it is committed.
func (h *House) putSignatures(ctx context.Context, tx Tx, link statement.LinkID) (saved func(), err error) {
	s := h.link(link)
	s.mu.Lock()
	docs := make([]exchange.Document, 0, len(s.unsaved))
	for _, doc := range s.unsaved {
		docs = append(docs, doc)
	}
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, doc := range docs {
			delete(s.unsaved, doc.Hash)
		}
	}, tx.PutDocuments(ctx, docs...)
}

// saveSignatures stores what sign keeps by a transaction of its own.
func (h *House) saveSignatures(ctx context.Context, link statement.LinkID) error {
	var saved func()
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) (err error) {
		saved, err = h.putSignatures(ctx, tx, link)
		return err
	})
	if err == nil {
		saved()
	}
	return err
}
