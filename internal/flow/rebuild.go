package flow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"math"
	"slices"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/hotline"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Cut names a common cut of a link: a size of each party's log, both cosigned. What both parties fold from what lies under
// it is equal, to the byte.
type Cut struct {
	Sizes map[party.ID]int64 // current epochs
}

// CommonCut is the newest pair of cosigned heads that we hold.
func (h *House) CommonCut(ctx context.Context, link statement.LinkID) (Cut, error) {
	cut := Cut{Sizes: map[party.ID]int64{}}
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		for _, p := range []party.ID{h.self, l.Peer} {
			log, err := tx.Log(ctx, link, p, h.epochOf(l, p))
			if err != nil {
				return err
			}
			cut.Sizes[p] = log.CosignedSize
		}
		return nil
	})
	return cut, err
}

// FoldHash folds, in memory, everything that lies under a cut and returns the hash of all columns and verdicts, and how many
// statements were folded. A statement lies under a cut when its sent leaf and the receipts that resolve it do.
func (h *House) FoldHash(ctx context.Context, link statement.LinkID, c Cut) (envelope.Hash, int, error) {
	var sum envelope.Hash
	folded := 0
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, link)
		if err != nil {
			return err
		}
		for _, p := range []party.ID{h.self, l.Peer} {
			log, err := tx.Log(ctx, link, p, h.epochOf(l, p))
			if err != nil {
				return err
			}
			if c.Sizes[p] > log.Size {
				return fault.New(fault.Conflict, "cut", "This cut is ahead of what this node holds.")
			}
		}
		f := &cutFold{h: h, tx: tx, l: l, cut: c,
			memory: over(tx)}
		f.memory.fresh = true
		if f.rules, err = h.editions(ctx, tx, l); err != nil {
			return err
		}
		for _, lane := range statement.Lanes() {
			if err := f.lane(ctx, lane); err != nil {
				return err
			}
		}
		folded = len(f.verdicts)
		sum, err = f.sum()
		return err
	})
	return sum, folded, err
}

// cutFold folds what lies under a cut.
type cutFold struct {
	h        *House
	tx       Tx
	l        exchange.Link
	cut      Cut
	rules    func(envelope.Hash) (map[string]foldable, bool)
	memory   *overlay
	verdicts []cutVerdict
}

// cutVerdict is one line of what is hashed.
type cutVerdict struct {
	Author  party.ID       `json:"author"`
	Lane    statement.Lane `json:"lane"`
	Epoch   uint32         `json:"epoch"`
	Seq     uint64         `json:"seq"`
	Verdict string         `json:"verdict"`
}

// lane folds one lane: each author's statements in sequence, each after what it had seen of the other's.
func (f *cutFold) lane(ctx context.Context, lane statement.Lane) error {
	authors := [2]party.ID{f.h.self, f.l.Peer}
	var queues [2][]exchange.Parcel
	for i, author := range authors {
		var err error
		if queues[i], err = f.under(ctx, author, lane); err != nil {
			return err
		}
	}
	var done [2]exchange.LaneState
	for i, author := range authors {
		done[i] = exchange.LaneState{Author: author, Epoch: f.h.epochOf(f.l, author), Lane: lane}
	}
	for progress := true; progress; {
		progress = false
		for i := range authors {
			for len(queues[i]) > 0 && ready(queues[i][0], done[i].Folded+1, done[1-i], false) {
				if err := f.one(ctx, queues[i][0], authors[1-i]); err != nil {
					return err
				}
				queues[i] = queues[i][1:]
				done[i].Folded++
				progress = true
			}
		}
	}
	return nil
}

func (f *cutFold) one(ctx context.Context, p exchange.Parcel, peer party.ID) error {
	var said exchange.Statement
	if p.State == exchange.Opened {
		found, err := f.tx.StatementsByParcel(ctx, []envelope.ID{p.ID})
		if err != nil {
			return err
		}
		said = found[p.ID]
	}
	t, err := turnOf(p, said, peer, f.rules)
	if err != nil {
		return err
	}
	verdict, _, err := foldOne(ctx, f.memory, t)
	f.verdicts = append(f.verdicts, cutVerdict{p.Author, p.Lane, p.Epoch, p.Seq, verdict})
	return err
}

// under lists an author's statements in a lane up to the first that does not lie under the cut.
func (f *cutFold) under(ctx context.Context, author party.ID, lane statement.Lane) ([]exchange.Parcel, error) {
	addressee := f.l.Peer
	if author == f.l.Peer {
		addressee = f.h.self
	}
	var queue []exchange.Parcel
	after := uint64(0)
	for {
		run, err := f.tx.ParcelRun(ctx, f.l.ID, author, f.h.epochOf(f.l, author), lane, after, foldBatch)
		if err != nil {
			return nil, err
		}
		headers := make([]envelope.Hash, len(run))
		for i, p := range run {
			headers[i] = p.Header
		}
		receipts, err := f.tx.ReceiptsOfMany(ctx, headers)
		if err != nil {
			return nil, err
		}
		for _, p := range run {
			if p.Seq != after+1 || !f.inside(p, addressee, receipts[p.Header]) {
				return queue, nil
			}
			queue = append(queue, p)
			after = p.Seq
		}
		if len(run) < foldBatch {
			return queue, nil
		}
	}
}

// inside says whether a parcel's sent leaf and the receipt that resolves it lie under the cut.
func (f *cutFold) inside(p exchange.Parcel, addressee party.ID, receipts []exchange.Receipt) bool {
	if p.SentIndex >= f.cut.Sizes[p.Author] {
		return false
	}
	for _, r := range receipts {
		if r.Author != addressee || r.Kind == string(parcel.Received) && p.File != exchange.OfRegistered {
			continue
		}
		return r.Index >= 0 && r.Index < f.cut.Sizes[addressee]
	}
	return false
}

// sum is over the newest version of every column and every verdict, in an order that both sides share.
func (f *cutFold) sum() (envelope.Hash, error) {
	var columns []foldedColumn
	for _, versions := range f.memory.history {
		columns = append(columns, folded(versions[len(versions)-1].Column))
	}
	slices.SortFunc(f.verdicts, func(a, b cutVerdict) int {
		return cmp.Or(slices.Compare(a.Author[:], b.Author[:]), cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	return hashColumns(columns, f.verdicts)
}

// foldedColumn is a column as it is hashed.
type foldedColumn struct {
	Link   statement.LinkID     `json:"link"`
	Thread statement.Commitment `json:"thread"`
	Author party.ID             `json:"author"`
	Lane   statement.Lane       `json:"lane"`
	Room   string               `json:"room"`
	Data   []byte               `json:"data"`
}

func folded(c exchange.Column) foldedColumn {
	return foldedColumn{c.Link, c.Thread, c.Author, c.Lane, c.Room, c.Data}
}

// rowsHash hashes rows one by one, as one JSON object of two lists, so that it needs none of them in memory.
type rowsHash struct {
	hash.Hash
	rows int // of the list that is open
}

// list begins a list; row adds to it.
func (r *rowsHash) list(name string) {
	if r.rows = 0; r.Hash == nil {
		r.Hash = sha256.New()
		fmt.Fprintf(r, "{%q:[", name)
		return
	}
	fmt.Fprintf(r, "],%q:[", name)
}

func (r *rowsHash) row(v any) error {
	data, err := envelope.Marshal(v)
	if err != nil {
		return err
	}
	if r.rows++; r.rows > 1 {
		data = append([]byte{','}, data...)
	}
	_, err = r.Write(data)
	return err
}

func (r *rowsHash) sum() envelope.Hash {
	r.Write([]byte("]}"))
	return envelope.Hash(r.Sum(nil))
}

func hashColumns(columns []foldedColumn, verdicts []cutVerdict) (envelope.Hash, error) {
	slices.SortFunc(columns, func(a, b foldedColumn) int {
		return cmp.Or(slices.Compare(a.Link[:], b.Link[:]), slices.Compare(a.Thread[:], b.Thread[:]), slices.Compare(a.Author[:], b.Author[:]))
	})
	data, err := envelope.Marshal(struct {
		Columns  []foldedColumn `json:"columns"`
		Verdicts []cutVerdict   `json:"verdicts"`
	}{columns, verdicts})
	return envelope.Sum(data), err
}

// RebuildReport is what a rebuild found.
type RebuildReport struct {
	Links         int
	Columns       int
	Before, After envelope.Hash
	Identical     bool
}

// Rebuild drops every folded row and folds again from the statements, in one transaction; it says whether the rows are
// identical, which they must be.
func (h *House) Rebuild(ctx context.Context, who actor.Actor, p Progress) (*RebuildReport, error) {
	if err := who.May(actor.Rebuild); err != nil {
		return nil, err
	}
	var report *RebuildReport
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		report = &RebuildReport{}
		var err error
		if report.Before, _, err = h.foldedRows(ctx, tx); err != nil {
			return err
		}
		if err := tx.DropFolded(ctx); err != nil {
			return err
		}
		links, err := tx.Links(ctx)
		if err != nil {
			return err
		}
		lanes := statement.Lanes()
		for i, l := range links {
			for j, lane := range lanes {
				if _, err := h.refoldLane(ctx, tx, l, lane); err != nil {
					return fmt.Errorf("folding link %s, lane %s: %w", l.Alias, lane, err)
				}
				if p != nil {
					p(int64(i*len(lanes)+j+1), int64(len(links)*len(lanes)))
				}
			}
		}
		if err := h.indexAsked(ctx, tx, links); err != nil {
			return err
		}
		report.Links = len(links)
		if report.After, report.Columns, err = h.foldedRows(ctx, tx); err != nil {
			return err
		}
		report.Identical = report.Before == report.After
		return h.audit(ctx, tx, who.Name, "rebuild", report.After.String())
	})
	return report, err
}

// foldedRows hashes every folded row of every link: the newest columns, the verdicts, and what was made of the columns of requests.
func (h *House) foldedRows(ctx context.Context, tx Tx) (envelope.Hash, int, error) {
	sum := &rowsHash{}
	sum.list("columns")
	err := tx.Columns(ctx, nil, "", func(c exchange.Column) error { return sum.row(folded(c)) })
	if err != nil {
		return envelope.Hash{}, 0, err
	}
	columns := sum.rows
	links, err := tx.Links(ctx)
	if err != nil {
		return envelope.Hash{}, 0, err
	}
	sum.list("verdicts")
	for _, l := range links {
		for _, author := range []party.ID{h.self, l.Peer} {
			for _, lane := range statement.Lanes() {
				if err := h.verdicts(ctx, tx, l, author, lane, sum); err != nil {
					return envelope.Hash{}, 0, err
				}
			}
		}
	}
	sum.list("requests")
	for _, l := range links {
		if err := hashRequests(ctx, tx, l.ID, sum); err != nil {
			return envelope.Hash{}, 0, err
		}
	}
	sum.list("obligations")
	for _, l := range links {
		if err := hashObligations(ctx, tx, l.ID, sum); err != nil {
			return envelope.Hash{}, 0, err
		}
	}
	sum.list("calls")
	for _, l := range links {
		if err := hashCalls(ctx, tx, l.ID, sum); err != nil {
			return envelope.Hash{}, 0, err
		}
	}
	sum.list("asked")
	err = tx.Askings(ctx, func(a assistance.Asking) error { return sum.row(a) })
	return sum.sum(), columns, err
}

// verdicts adds the verdicts on what an author said in a lane.
func (h *House) verdicts(ctx context.Context, tx Tx, l exchange.Link, author party.ID, lane statement.Lane, sum *rowsHash) error {
	for after := uint64(0); ; {
		run, err := tx.ParcelRun(ctx, l.ID, author, h.epochOf(l, author), lane, after, foldBatch)
		if err != nil {
			return err
		}
		for _, p := range run {
			if err := sum.row(cutVerdict{p.Author, p.Lane, p.Epoch, p.Seq, p.Verdict}); err != nil {
				return err
			}
			after = p.Seq
		}
		if len(run) < foldBatch {
			return nil
		}
	}
}

// hashCalls adds the rows of a link's calls.
func hashCalls(ctx context.Context, tx Tx, link statement.LinkID, sum *rowsHash) error {
	rows, err := tx.Calls(ctx, hotline.Filter{Link: &link, Limit: math.MaxInt32})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := sum.row(r); err != nil {
			return err
		}
	}
	return nil
}

// hashObligations adds the obligations of a link, those of each state in their order.
func hashObligations(ctx context.Context, tx Tx, link statement.LinkID, sum *rowsHash) error {
	for _, state := range []assistance.ObligationState{assistance.Owed, assistance.Done, assistance.Ended} {
		f := assistance.ObligationFilter{State: state, Link: &link, Limit: foldBatch}
		for more := true; more; {
			rows, err := tx.Obligations(ctx, f)
			if err != nil {
				return err
			}
			for i := range rows {
				if err := sum.row(rows[i]); err != nil {
					return err
				}
				f.After = &rows[i]
			}
			more = len(rows) == foldBatch
		}
	}
	return nil
}

// hashRequests adds the rows of a link's requests and their clocks.
func hashRequests(ctx context.Context, tx Tx, link statement.LinkID, sum *rowsHash) error {
	span := assistance.Span{Link: link, To: math.MaxInt64, AfterReceived: -1, Limit: foldBatch}
	for {
		rows, err := tx.RequestsWithin(ctx, span)
		if err != nil {
			return err
		}
		threads := make([]statement.Commitment, len(rows))
		for i, r := range rows {
			threads[i] = r.Thread
		}
		dues, err := tx.DuesOf(ctx, threads)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := sum.row(struct {
				Request assistance.Row   `json:"request"`
				Dues    []assistance.Due `json:"dues"`
			}{r, dues[r.Thread]}); err != nil {
				return err
			}
			span.AfterReceived, span.AfterThread = r.Received, r.Thread
		}
		if len(rows) < foldBatch {
			return nil
		}
	}
}
