package flow

import (
	"context"
	"fmt"

	"entente/internal/accord"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// tally joins the words of a request that were folded now to those before.
func (h *House) tally(ctx context.Context, tx Tx, r assistance.Row, words assistance.Tally, requesting, requested assistance.Column, by assistance.Terms) (assistance.Tally, error) {
	var t assistance.Tally
	known, err := tx.Request(ctx, r.Thread)
	if err != nil && !notFound(err) {
		return t, err
	}
	before := known.Tally.Answered
	t = known.Tally.Then(words)
	t.Ground = assistance.GroundOf(requested)
	if t.AcknowledgeBy, err = assistance.AcknowledgeBy(requesting, by); err != nil || before != nil {
		return t, err
	}
	if t.Answered != nil { // the clock as it ran when that was said
		if requesting, requested, err = columnsBefore(ctx, tx, r, *t.Answered); err != nil {
			return t, err
		}
	}
	t.AnswerBy, err = assistance.AnswerBy(requesting, requested, by)
	return t, err
}

// columnsBefore are a request's columns as the requested party saw them when it said a word.
func columnsBefore(ctx context.Context, tx Tx, r assistance.Row, at assistance.Place) (requesting, requested assistance.Column, err error) {
	return columnsAt(ctx, tx, r, at.SeenEpoch, at.SeenSeq, at.Epoch, at.Seq-1)
}

// columnsAt are a request's columns as they were at a place of each party's sequence.
func columnsAt(ctx context.Context, tx Tx, r assistance.Row, askingEpoch uint32, askingSeq uint64, askedEpoch uint32, askedSeq uint64) (requesting, requested assistance.Column, err error) {
	if requesting, err = columnAt[assistance.Column](ctx, tx, r.Link, r.Thread, r.Requesting, askingEpoch, askingSeq); err != nil {
		return requesting, requested, err
	}
	requested, err = columnAt[assistance.Column](ctx, tx, r.Link, r.Thread, r.Requested, askedEpoch, askedSeq)
	return requesting, requested, err
}

// reportPage is how many requests are read at once.
const reportPage = 512

// StatusReport counts the requests of a link that were received in a period, by what lies under a cut; nil is the newest common
// one. The other party computes the same bytes of the same arguments. What lies in former epochs of the ledgers is not counted.
func (h *House) StatusReport(ctx context.Context, who actor.Actor, link statement.LinkID, period accord.Period, cut *Cut) (accord.Report, error) {
	if err := who.May(actor.ReadRequests); err != nil {
		return accord.Report{}, err
	}
	if period.From >= period.To {
		return accord.Report{}, fault.New(fault.Invalid, "period", "The period ends before it begins; give its end after its beginning.")
	}
	if cut == nil {
		newest, err := h.CommonCut(ctx, link)
		if err != nil {
			return accord.Report{}, err
		}
		cut = &newest
	}
	var report accord.Report
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		r, err := h.openReport(ctx, tx, link, period, *cut)
		if err != nil {
			return err
		}
		report, err = r.count(ctx)
		return err
	})
	return report, err
}

// reporting is a report while it is computed.
type reporting struct {
	h     *House
	tx    Tx
	l     exchange.Link
	frame accord.Frame
	heads map[party.ID]accord.Head
	upto  map[party.ID]uint64 // the last of each party's sequence that lies under the cut
}

func (h *House) openReport(ctx context.Context, tx Tx, link statement.LinkID, period accord.Period, cut Cut) (*reporting, error) {
	l, err := tx.Link(ctx, link)
	if err != nil {
		return nil, err
	}
	r := &reporting{h: h, tx: tx, l: l, heads: map[party.ID]accord.Head{}, frame: accord.Frame{Link: link, Period: period}}
	for _, p := range []party.ID{h.self, l.Peer} {
		head, err := h.head(ctx, tx, l, p, cut.Sizes[p])
		if err != nil {
			return nil, err
		}
		r.heads[p] = head
		r.frame.Cut = append(r.frame.Cut, head)
	}
	if r.upto, err = h.under(ctx, tx, l, cut, statement.Assistance); err != nil {
		return nil, err
	}
	rules, err := h.rulesUnder(ctx, tx, l, cut)
	if err != nil {
		return nil, err
	}
	r.frame.Rules, r.frame.Measures = rules.Edition(), rules.Measures
	return r, nil
}

// rulesUnder is the rule set that was in force under a cut, which both sides find alike: that of the agreement that both had signed last.
func (h *House) rulesUnder(ctx context.Context, tx Tx, l exchange.Link, cut Cut) (*statement.Rules, error) {
	upto, err := h.under(ctx, tx, l, cut, statement.Control)
	if err != nil {
		return nil, err
	}
	var s standing
	for i, p := range []party.ID{h.self, l.Peer} {
		if s.said[i], err = columnAt[exchange.LinkColumn](ctx, tx, l.ID, l.ID, p, h.epochOf(l, p), upto[p]); err != nil {
			return nil, err
		}
	}
	edition, err := h.editionNow(ctx, tx, l, s)
	if err != nil {
		return nil, err
	}
	return h.rulesNamed(ctx, tx, l, edition)
}

// head is a party's ledger as far as the other party has cosigned it, or less.
func (h *House) head(ctx context.Context, tx Tx, l exchange.Link, p party.ID, size int64) (accord.Head, error) {
	head := accord.Head{Party: p, Epoch: h.epochOf(l, p), Size: size}
	log, err := tx.Log(ctx, l.ID, p, head.Epoch)
	if err != nil {
		return head, err
	}
	if size < 1 || size > log.CosignedSize {
		return head, fault.New(fault.Conflict, "cut", "This cut is empty, or goes beyond what both parties have cosigned; name sizes at or below those of \"entente links\".")
	}
	root, err := ledger.TreeRoot(size, tx.HashReader(ctx, l.ID, p, head.Epoch))
	if err != nil {
		return head, fmt.Errorf("reading the root of a ledger: %w", err)
	}
	head.Root = root
	times, err := leafTimes(ctx, tx, l.ID, p, head.Epoch, []int64{size - 1})
	head.At = times[size-1]
	return head, err
}

// leafTimes are the times of leaves by index.
func leafTimes(ctx context.Context, tx Tx, link statement.LinkID, p party.ID, epoch uint32, indexes []int64) (map[int64]int64, error) {
	leaves, err := tx.LeavesAt(ctx, link, p, epoch, indexes)
	if err != nil {
		return nil, err
	}
	times := make(map[int64]int64, len(leaves))
	for _, index := range indexes {
		leaf, err := ledger.DecodeLeaf(leaves[index])
		if err != nil {
			return nil, fmt.Errorf("reading leaf %d: %w", index, err)
		}
		times[index] = leaf.Time
	}
	return times, nil
}

// count reads all requests by pages.
func (r *reporting) count(ctx context.Context) (accord.Report, error) {
	counting := accord.NewCounting(r.frame)
	span := assistance.Span{Link: r.l.ID, From: r.frame.Period.From, To: r.frame.Period.To, AfterReceived: -1, Limit: reportPage}
	for {
		rows, err := r.tx.RequestsWithin(ctx, span)
		if err != nil {
			return accord.Report{}, err
		}
		cases, err := r.cases(ctx, rows)
		if err != nil {
			return accord.Report{}, err
		}
		for _, c := range cases {
			counting.Add(c)
		}
		if len(rows) < reportPage {
			return counting.Report(), nil
		}
		last := rows[len(rows)-1]
		span.AfterReceived, span.AfterThread = last.Received, last.Thread
	}
}

// cases are the requests of a page that lie under the cut, as they were there.
func (r *reporting) cases(ctx context.Context, rows []assistance.Row) ([]accord.Case, error) {
	var kept []assistance.Row
	indexes := map[party.ID][]int64{}
	for _, row := range rows {
		t := &row.Tally
		if t.Asked == nil {
			return nil, fault.New(fault.Conflict, "no_tally", "Requests were folded here before there were reports; run \"entente rebuild\" once.")
		}
		if !r.lies(t.Asked, row.Requesting) {
			continue
		}
		if !r.lies(t.Requesting, row.Requesting) || t.Requested != nil && !r.lies(t.Requested, row.Requested) {
			if err := r.rewind(ctx, &row); err != nil {
				return nil, err
			}
		}
		indexes[row.Requesting] = append(indexes[row.Requesting], t.Asked.Sent)
		for _, place := range []*assistance.Place{t.Acknowledged, t.Answered} {
			if place != nil {
				indexes[row.Requested] = append(indexes[row.Requested], place.Sent)
			}
		}
		kept = append(kept, row)
	}
	times := map[party.ID]map[int64]int64{}
	for p, list := range indexes {
		var err error
		if times[p], err = leafTimes(ctx, r.tx, r.l.ID, p, r.heads[p].Epoch, list); err != nil {
			return nil, err
		}
	}
	cases := make([]accord.Case, len(kept))
	for i, row := range kept {
		var err error
		if cases[i], err = r.oneCase(ctx, row, times[row.Requesting], times[row.Requested]); err != nil {
			return nil, err
		}
	}
	return cases, nil
}

// lies says whether a word lies under the cut.
func (r *reporting) lies(place *assistance.Place, author party.ID) bool {
	return place.Under(r.heads[author].Epoch, r.upto[author])
}

// rewind makes a row what it was under the cut.
func (r *reporting) rewind(ctx context.Context, row *assistance.Row) error {
	t := &row.Tally
	unanswered := t.Answered == nil || !r.lies(t.Answered, row.Requested)
	for _, p := range []**assistance.Place{&t.Acknowledged, &t.Answered, &t.Clarified} {
		if *p != nil && !r.lies(*p, row.Requested) {
			*p = nil
		}
	}
	if t.Corrected != nil && !r.lies(t.Corrected, row.Requesting) {
		t.Corrected = nil
	}
	requesting, requested, err := columnsAt(ctx, r.tx, *row, r.heads[row.Requesting].Epoch, r.upto[row.Requesting], r.heads[row.Requested].Epoch, r.upto[row.Requested])
	if err != nil {
		return err
	}
	row.Status, t.Ground = assistance.StatusOf(requesting, requested), assistance.GroundOf(requested)
	if unanswered {
		rules, err := r.h.rulesOf(ctx, r.tx, r.l, row.Thread)
		if err != nil {
			return err
		}
		t.AnswerBy, err = assistance.AnswerBy(requesting, requested, assistance.Terms{Rules: *rules, Requested: row.Requested, Zone: r.h.zone})
		return err
	}
	return nil
}

func (r *reporting) oneCase(ctx context.Context, row assistance.Row, asking, asked map[int64]int64) (accord.Case, error) {
	t := row.Tally
	c := accord.Case{Request: row.Thread, Requesting: row.Requesting, Requested: row.Requested, Sent: asking[t.Asked.Sent], Received: row.Received,
		AcknowledgeBy: t.AcknowledgeBy, AnswerBy: t.AnswerBy, Clarified: t.Clarified != nil, Corrected: t.Corrected != nil,
		Outcome: string(row.Status), Ground: t.Ground, Open: row.Status.Open()}
	if t.Acknowledged != nil {
		c.Acknowledged, c.AcknowledgedGot = asked[t.Acknowledged.Sent], t.Acknowledged.Got
	} else if !c.Open { // the other party ended it: nobody owes anything
		c.AcknowledgeBy = 0
	}
	if t.Answered != nil {
		c.Answered, c.AnsweredGot = asked[t.Answered.Sent], t.Answered.Got
	}
	if c.Received <= c.Sent+accord.Tolerance { // the receipt came back after that: it bounds nothing more
		return c, nil
	}
	var err error
	c.Returned, err = r.returned(ctx, row)
	return c, err
}

// returned is when the requesting party's log took the receipt of its request; 0 if that does not lie under the cut.
func (r *reporting) returned(ctx context.Context, row assistance.Row) (int64, error) {
	first, err := r.tx.Statement(ctx, row.Thread)
	if err != nil {
		return 0, err
	}
	p, err := r.tx.Parcel(ctx, first.Parcel)
	if err != nil {
		return 0, err
	}
	receipts, err := r.tx.ReceiptsOf(ctx, p.Header)
	if err != nil {
		return 0, err
	}
	for _, x := range receipts {
		if x.Kind != string(parcel.Received) || x.Author != row.Requested {
			continue
		}
		head := r.heads[row.Requesting]
		leaf, err := r.tx.LeafFrom(ctx, r.l.ID, row.Requesting, head.Epoch, row.Tally.Asked.Sent, string(ledger.ReceiptIn), x.Hash)
		if notFound(err) || err == nil && leaf.Index >= head.Size {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		got, err := ledger.DecodeLeaf(leaf.Leaf)
		if err != nil {
			return 0, fmt.Errorf("reading the leaf of a receipt: %w", err)
		}
		return got.Time, nil
	}
	return 0, nil
}
