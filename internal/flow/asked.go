package flow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/party"
	"entente/statement"
)

// An index says which subjects our requests asked which party about, so that nobody asks twice unknowingly: over another link, by a
// file, or by another officer. It holds keyed hashes alone, whose key is the keyring's, and it never leaves the node.

// Earlier is a request of ours to the same party that names some of the same identifiers.
type Earlier struct {
	Thread statement.Commitment
	Number string
	Status assistance.Status // Sent until both sides have folded it
	At     int64             // authored
	Shared int               // how many identifiers both name
}

// earlierMax is how many earlier requests are named for an identifier, and for a draft.
const earlierMax = 8

// askings are the rows of the index of a statement of ours; none unless it is a request.
func (h *House) askings(peer party.ID, text *statement.Text, c statement.Commitment, body []byte) (rows []assistance.Asking) {
	if kind, ok := h.forms[text.Kind]; !ok || kind.Series == "" {
		return nil
	}
	for _, s := range assistance.Subjects(peer, body, h.zone) {
		rows = append(rows, assistance.Asking{Mark: h.cfg.Keys.Mark([]byte(s)), Thread: c, Number: assistance.NumberOf(text), At: text.Authored})
	}
	return rows
}

// askedBefore lists the newest requests of ours to the same party that name identifiers of a draft, without the one that the draft
// says it continues.
func (h *House) askedBefore(ctx context.Context, d Draft) (found []Earlier, err error) {
	if kind, ok := h.forms[d.Kind]; !ok || kind.Series == "" {
		return nil, nil
	}
	w, err := wordsOf(d)
	if err != nil {
		return nil, err
	}
	var face map[string]any
	if err := envelope.Unmarshal(w.Face, &face); err != nil {
		return nil, nil // the form's own check says so
	}
	previous, _ := face["previous"].(string)
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		found = nil
		l, err := tx.Link(ctx, d.Link)
		if err != nil {
			return err
		}
		earlier := map[statement.Commitment]*Earlier{}
		for _, s := range assistance.Subjects(l.Peer, w.Body, h.zone) {
			rows, err := tx.Asked(ctx, h.cfg.Keys.Mark([]byte(s)), earlierMax)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if r.Thread.String() == previous {
					continue
				}
				if earlier[r.Thread] == nil {
					earlier[r.Thread] = &Earlier{Thread: r.Thread, Number: r.Number, Status: Sent, At: r.At}
				}
				earlier[r.Thread].Shared++
			}
		}
		requests, err := tx.RequestsOf(ctx, slices.Collect(maps.Keys(earlier)))
		for thread, e := range earlier {
			if r, folded := requests[thread]; folded {
				e.Status = r.Status
			}
			found = append(found, *e)
		}
		return err
	})
	slices.SortFunc(found, func(a, b Earlier) int {
		return cmp.Or(cmp.Compare(b.At, a.At), slices.Compare(a.Thread[:], b.Thread[:]))
	})
	return found[:min(len(found), earlierMax)], err
}

// warnEarlier says it to people; nothing if there is nothing to say.
func warnEarlier(found []Earlier) []string {
	if len(found) == 0 {
		return nil
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = fmt.Sprintf("%s (%s, shares %s)", cmp.Or(e.Number, e.Thread.String()[:8]), e.Status, amount(e.Shared, "identifier", "identifiers"))
	}
	return []string{"This party was asked about the same before: " + strings.Join(names, ", ") +
		". Name the request that this one continues as its previous, or ask for its status instead, so that it is not done twice."}
}

// askedBatch is how many requests are opened at once for the index.
const askedBatch = 64

// indexAsked writes the index anew of what our requests say, as far as that is still here.
func (h *House) indexAsked(ctx context.Context, tx Tx, links []exchange.Link) error {
	peers := map[statement.LinkID]party.ID{}
	for _, l := range links {
		peers[l.ID] = l.Peer
	}
	for _, kind := range statement.RequestKinds() {
		f := exchange.Filter{Author: &h.self, Kind: kind.Name, Limit: askedBatch}
		for more := true; more; {
			said, err := tx.Statements(ctx, f)
			if err != nil {
				return err
			}
			if err := h.indexBatch(ctx, tx, peers, said); err != nil {
				return err
			}
			if more = len(said) == askedBatch; more {
				last := said[len(said)-1]
				f.After = &exchange.Cursor{Authored: last.Authored, Commitment: last.Commitment}
			}
		}
	}
	return nil
}

func (h *House) indexBatch(ctx context.Context, tx Tx, peers map[statement.LinkID]party.ID, said []exchange.Statement) error {
	ids := make([]statement.Commitment, len(said))
	for i, s := range said {
		ids[i] = s.Commitment
	}
	bodies, err := tx.BodiesOf(ctx, ids)
	if err != nil {
		return err
	}
	var rows []assistance.Asking
	for _, s := range said {
		b, there := bodies[s.Commitment]
		if !there { // erased
			continue
		}
		content, _, err := h.unlock(b.Sealed, b.Key, s.Commitment)
		if err != nil {
			return fmt.Errorf("reading what request %s asks: %w", s.Commitment, err)
		}
		text, err := statement.DecodeText(s.Text)
		if err != nil {
			return fmt.Errorf("reading a stored text: %w", err)
		}
		rows = append(rows, h.askings(peers[s.Link], text, s.Commitment, content.Body)...)
	}
	return tx.PutAsked(ctx, rows...)
}
