package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// RequestRecord is a record of requests that was made for a measurement.
type RequestRecord struct {
	Requests, Statements int
	Short, Long          string // the first statements of two threads that stay open: of ten words, and of many
}

const (
	askedPerAct = 100 // requests of one act
	unanswered  = 10  // of so many requests one stays open
)

// SynthesiseRequests fills the record of a link, in the data of a node that does not run, with requests of ours and what was said of
// them, of words statements each, spread over the year ahead, since the ledgers begin now; and one thread of long statements. Texts, parcels, receipts and both
// ledgers are as an exchange leaves them, both cosigned to their ends; bodies are left out, and so are documents and the leaves of
// receipts that came in, which nothing reads that is measured. Nothing is folded yet: Refold does that.
func SynthesiseRequests(ctx context.Context, data, alias string, requests, words, long int, p Progress) (r RequestRecord, err error) {
	n, err := openData(ctx, data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	l, err := n.house.FindLink(ctx, actor.System(), alias)
	if err != nil {
		return r, err
	}
	year := (365 * 24 * time.Hour).Microseconds()
	s := &asking{link: l.Link, self: n.house.Self().ID, from: n.now().UnixMicro(), edition: statement.DefaultRules().Edition()}
	threads := requests + 1
	for s.threads < threads {
		count := min(askedPerAct, threads-s.threads)
		act := *s
		err := n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
			act = *s
			act.now = s.from + year/int64(threads+1)*int64(s.threads+1)
			return act.fill(ctx, tx, count, threads, words, long)
		})
		if err != nil {
			return r, err
		}
		*s = act
		if p != nil {
			p(int64(s.threads), int64(threads))
		}
	}
	for _, owner := range []party.ID{s.self, l.Peer} {
		if err := n.cosignAll(ctx, l.ID, owner, ledger.FirstEpoch); err != nil {
			return r, err
		}
	}
	return RequestRecord{Requests: threads, Statements: s.said, Short: s.short.String(), Long: s.long.String()}, nil
}

// asking is how far a record of requests was made, and what the act under way has made of it.
type asking struct {
	link        exchange.Link
	self        party.ID
	edition     envelope.Hash
	from, now   int64
	threads     int
	said        int
	short, long statement.Commitment

	lanes      [2]exchange.LaneState // ours, theirs
	sizes      [2]int64
	entries    [2][]flow.Entry
	parcels    []exchange.Parcel
	statements []exchange.Statement
	receipts   []exchange.Receipt
}

func (s *asking) authors() [2]party.ID { return [2]party.ID{s.self, s.link.Peer} }

// name is a hash that stands for the i-th thing of a sort.
func (s *asking) name(sort byte, i int) (h envelope.Hash) {
	h[0], h[1] = sort, s.link.ID[0]
	binary.BigEndian.PutUint64(h[2:], uint64(i+1))
	return h
}

func (s *asking) fill(ctx context.Context, tx flow.Tx, count, threads, words, long int) error {
	for i, author := range s.authors() {
		lane, err := tx.Lane(ctx, s.link.ID, author, ledger.FirstEpoch, statement.Assistance)
		if err != nil {
			return err
		}
		log, err := tx.Log(ctx, s.link.ID, author, ledger.FirstEpoch)
		if err != nil {
			return err
		}
		s.lanes[i], s.sizes[i], s.entries[i] = lane, log.Size, nil
	}
	s.parcels, s.statements, s.receipts = nil, nil, nil
	for range count {
		n := words
		if s.threads++; s.threads == threads {
			n = long
		}
		if err := s.thread(n, s.threads%unanswered == 0 || s.threads == threads); err != nil {
			return err
		}
	}
	errs := []error{tx.PutParcels(ctx, s.parcels...), tx.PutStatements(ctx, s.statements...), tx.PutReceipts(ctx, s.receipts...)}
	for i, author := range s.authors() {
		_, err := flow.Enter(ctx, tx, s.link.ID, author, ledger.FirstEpoch, s.now, s.entries[i])
		s.lanes[i].Contiguous, s.lanes[i].Settled = s.lanes[i].Last, s.lanes[i].Last
		errs = append(errs, err, tx.PutLane(ctx, s.lanes[i]))
	}
	return errors.Join(errs...)
}

// thread is a request of ours with so many words; it is answered at last, or stays open.
func (s *asking) thread(words int, open bool) error {
	first := s.name(1, s.said)
	face := map[string]any{"number": assistance.Number("MEA-MT-2026", int64(s.threads)), "status": "new", "days": "Asia/Shanghai", "copy": "formal"}
	if err := s.say(0, "mla.traffic", nil, face); err != nil {
		return err
	}
	for i := 1; i < words; i++ {
		author, kind := 1, "status.update"
		switch {
		case i == 1:
			kind = "request.acknowledge"
		case i == words-1 && !open:
			kind = "answer.complete"
		case i%2 == 0:
			author, kind = 0, "status.query"
		}
		if err := s.say(author, kind, &first, map[string]any{}); err != nil {
			return err
		}
	}
	if open {
		s.short, s.long = s.long, first
	}
	return nil
}

// say adds one statement, received and opened.
func (s *asking) say(author int, kind string, thread *statement.Commitment, face map[string]any) error {
	authors, other := s.authors(), 1-author
	encoded, err := envelope.Marshal(face)
	if err != nil {
		return err
	}
	text := statement.Text{V: 1, Link: s.link.ID, From: authors[author], To: authors[other], Lane: statement.Assistance, Kind: kind, Edition: s.edition, Thread: thread,
		Authored: s.now, Zone: "Asia/Shanghai", Urgency: "routine", Marking: handling.Marking{TLP: "AMBER"}, Face: encoded, Body: s.name(4, s.said)}
	data, err := text.Encode()
	if err != nil {
		return fmt.Errorf("making a text: %w", err)
	}
	said, header, receipt := s.name(1, s.said), s.name(2, s.said), s.name(3, s.said)
	var id envelope.ID
	copy(id[:], said[:])
	lane := &s.lanes[author]
	lane.Last++
	lane.LastHeader = header
	sent, got := s.sizes[author]+int64(len(s.entries[author])), s.sizes[other]+int64(len(s.entries[other]))
	s.entries[author] = append(s.entries[author], flow.Entry{Kind: ledger.Sent, Lane: statement.Assistance, Seq: lane.Last, Doc: header})
	s.entries[other] = append(s.entries[other], flow.Entry{Kind: ledger.Got, Lane: statement.Assistance, Seq: lane.Last, Doc: header},
		flow.Entry{Kind: ledger.ReceiptOut, Lane: statement.Assistance, Seq: lane.Last, Doc: receipt})
	s.parcels = append(s.parcels, exchange.Parcel{ID: id, Link: s.link.ID, Author: authors[author], Epoch: ledger.FirstEpoch, Lane: statement.Assistance, Seq: lane.Last,
		File: exchange.OfStatement, Header: header, Text: said, State: exchange.Opened, SentIndex: sent, GotIndex: got, GotEpoch: ledger.FirstEpoch, SeenEpoch: ledger.FirstEpoch, SeenSeq: s.lanes[other].Last,
		Received: s.now, Created: s.now, Expires: s.now + 1, Segments: 1, Length: fillerSize})
	row := exchange.Statement{Commitment: said, Link: s.link.ID, Author: authors[author], Lane: statement.Assistance, Epoch: ledger.FirstEpoch, Seq: lane.Last, Thread: said,
		Kind: kind, Authored: s.now, Text: data, Parcel: id}
	if thread != nil {
		row.Thread = *thread
	}
	s.statements = append(s.statements, row)
	s.receipts = append(s.receipts, exchange.Receipt{Hash: receipt, Link: s.link.ID, Author: authors[other], Kind: string(parcel.Opened), Header: header, Parcel: id,
		Lane: statement.Assistance, Epoch: ledger.FirstEpoch, Seq: lane.Last, ContiguousTo: lane.Last, At: s.now, Index: got + 1, Log: got, LogEpoch: ledger.FirstEpoch})
	s.said++
	return nil
}

// Reconfirm makes a link of a crowd confirmed again after Refold: no statement says that it was.
func Reconfirm(ctx context.Context, data, alias string) (err error) {
	n, err := openData(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	l, err := n.house.FindLink(ctx, actor.System(), alias)
	if err != nil {
		return err
	}
	return n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		return confirmed(ctx, tx, l.Link, n.house.Self().ID, statement.DefaultAgreement().Hash())
	})
}

// Refold folds all that the node of a data directory, which does not run, ever took. It says whether the rows that this makes are those
// that were there.
func Refold(ctx context.Context, data string, p Progress) (identical bool, err error) {
	n, err := openData(ctx, data)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	report, err := n.house.Rebuild(ctx, actor.System(), p)
	if err != nil {
		return false, err
	}
	return report.Identical, nil
}
