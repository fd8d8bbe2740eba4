package flow

import (
	"context"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

// columns is where a fold reads and writes: a transaction, or memory when a cut is folded.
type columns interface {
	ColumnAt(ctx context.Context, link statement.LinkID, thread statement.Commitment, author party.ID, epoch uint32, seq uint64) (exchange.Column, error)
	PutColumns(ctx context.Context, cs ...exchange.Column) error
	Statement(ctx context.Context, c statement.Commitment) (exchange.Statement, error)
}

// foldRoom is one room's fold over encoded columns.
type foldRoom func(own, peer []byte, t statement.Turn) ([]byte, []statement.Effect, *statement.Void, error)

// adapt gives a room's typed fold the columns' encoded form.
func adapt[C any](fold func(own, peer C, t statement.Turn) (C, []statement.Effect, *statement.Void)) foldRoom {
	return func(own, peer []byte, t statement.Turn) ([]byte, []statement.Effect, *statement.Void, error) {
		var a, b C
		for _, c := range []struct {
			data []byte
			into *C
		}{{own, &a}, {peer, &b}} {
			if len(c.data) == 0 {
				continue
			}
			if err := envelope.Unmarshal(c.data, c.into); err != nil {
				return nil, nil, nil, fmt.Errorf("reading a column: %w", err)
			}
		}
		next, effects, void := fold(a, b, t)
		if void != nil {
			return nil, nil, void, nil
		}
		data, err := envelope.Marshal(next)
		return data, effects, nil, err
	}
}

// roomOf names the room that folds a kind, and its fold.
func roomOf(kind string) (string, foldRoom, bool) {
	switch kind {
	case "message":
		return exchange.RoomMessage, adapt(exchange.FoldMessage), true
	case "desk.propose", "desk.update", "desk.countersign", "desk.withdraw":
		return exchange.RoomDesk, adapt(exchange.FoldDesk), true
	case "erasure.notice":
		return exchange.RoomErasure, adapt(exchange.FoldErasure), true
	case "link.confirm", "link.agree", "participation.suspend", "participation.resume", "participation.withdraw", "test":
		return exchange.RoomLink, adapt(exchange.FoldLink), true
	}
	if assistance.Of(kind) {
		return assistance.Room, adapt(assistance.Fold), true
	}
	return "", nil, false
}

// turn is one resolved parcel in its author's sequence, as the fold needs it.
type turn struct {
	link       statement.LinkID
	author     party.ID
	peer       party.ID
	epoch      uint32
	seq        uint64
	lane       statement.Lane
	seenEpoch  uint32
	seenSeq    uint64
	received   int64
	stale      bool
	state      exchange.ParcelState
	text       *statement.Text // nil unless opened
	commitment statement.Commitment
	rules      func(edition envelope.Hash) (kinds string, ok bool)
}

// foldOne applies one turn and returns its verdict. It reads nothing but the author's column before this sequence and
// the peer's at seen, so the verdict never changes, whatever arrives later.
func foldOne(ctx context.Context, cs columns, t turn) (verdict string, effects []statement.Effect, err error) {
	switch {
	case t.state == exchange.Held || t.state == exchange.Granted:
		return exchange.VerdictDeferred, nil, nil
	case t.state == exchange.Refused:
		return "void:" + exchange.VoidRefused, nil, nil
	case t.state == exchange.Rejected:
		return "void:" + exchange.VoidRejected, nil, nil
	case t.stale:
		return "void:" + exchange.VoidStale, nil, nil
	}
	column, effects, void, err := judge(ctx, cs, t)
	if err != nil {
		return "", nil, err
	}
	if void != nil {
		return "void:" + void.Reason, nil, nil
	}
	if err := cs.PutColumns(ctx, column); err != nil {
		return "", nil, err
	}
	return "folded", effects, nil
}

// judge checks form, place and guard of one opened statement and computes its author's next column.
func judge(ctx context.Context, cs columns, t turn) (exchange.Column, []statement.Effect, *statement.Void, error) {
	none := exchange.Column{}
	void := func(reason string) (exchange.Column, []statement.Effect, *statement.Void, error) {
		return none, nil, &statement.Void{Reason: reason}, nil
	}
	edition, ok := t.rules(t.text.Edition)
	if !ok {
		return void(exchange.VoidEdition)
	}
	kind, ok := statement.LookUp(edition, t.text.Kind)
	if !ok {
		return void(exchange.VoidKind)
	}
	room, fold, ok := roomOf(kind.Name)
	if !ok {
		return void(exchange.VoidKind)
	}
	if t.text.Lane != t.lane || !kind.StandsIn(t.lane) {
		return void(exchange.VoidLane)
	}
	if kind.CheckFace(t.text.Face) != nil {
		return void(exchange.VoidFace)
	}
	thread := t.commitment
	var own, peer exchange.Column
	if t.text.Thread == nil {
		if !kind.Starts {
			return void(exchange.VoidStarts)
		}
	} else {
		if !kind.Follows {
			return void(exchange.VoidFollows)
		}
		thread = *t.text.Thread
		var err error
		if own, err = cs.ColumnAt(ctx, t.link, thread, t.author, t.epoch, t.seq-1); err != nil {
			return none, nil, nil, err
		}
		if peer, err = cs.ColumnAt(ctx, t.link, thread, t.peer, t.seenEpoch, t.seenSeq); err != nil {
			return none, nil, nil, err
		}
		if reason, err := checkThread(ctx, cs, t, room, own, peer); reason != "" || err != nil {
			return none, nil, &statement.Void{Reason: reason}, err
		}
	}
	data, effects, v, err := fold(own.Data, peer.Data, statement.Turn{Text: t.text, Commitment: t.commitment, Received: t.received})
	if err != nil || v != nil {
		return none, nil, v, err
	}
	return exchange.Column{Link: t.link, Thread: thread, Author: t.author, Lane: t.lane, Epoch: t.epoch, Seq: t.seq, Room: room, Data: data}, effects, nil, nil
}

// checkThread says why a statement may not stand in its thread, "" if it may. The link's own thread is always there, and so
// are those of erasures, which their fold knows by their names.
func checkThread(ctx context.Context, cs columns, t turn, room string, own, peer exchange.Column) (string, error) {
	if *t.text.Thread == t.link {
		if room != exchange.RoomLink {
			return exchange.VoidThread, nil
		}
		return "", nil
	}
	if room == exchange.RoomErasure {
		for _, c := range []exchange.Column{own, peer} {
			if len(c.Data) > 0 && c.Room != room { // the fold could not read it
				return exchange.VoidThread, nil
			}
		}
		return "", nil
	}
	if len(own.Data) == 0 && len(peer.Data) == 0 {
		return exchange.VoidThread, nil
	}
	for _, c := range []exchange.Column{own, peer} {
		if len(c.Data) > 0 && (c.Room != room || c.Lane != t.lane) {
			return exchange.VoidLane, nil
		}
	}
	first, err := cs.Statement(ctx, *t.text.Thread)
	if err != nil {
		return "", fmt.Errorf("reading the first statement of a thread: %w", err)
	}
	text, err := statement.DecodeText(first.Text)
	if err != nil {
		return "", fmt.Errorf("reading the first statement of a thread: %w", err)
	}
	if text.Edition != t.text.Edition {
		return exchange.VoidEdition, nil
	}
	return "", nil
}

// editions returns what maps an edition to its kinds' edition on a link: every rule set that the link ever agreed to.
func (h *House) editions(l exchange.Link) (func(envelope.Hash) (string, bool), error) {
	a, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	known, kinds := a.edition, a.Rules.Kinds
	return func(edition envelope.Hash) (string, bool) { return kinds, edition == known }, nil
}

// foldBatch is how many statements of an author are read at once.
const foldBatch = 256

// foldLane folds everything in a lane that is ready, of both parties, inside the caller's transaction.
func (h *House) foldLane(ctx context.Context, tx Tx, l exchange.Link, lane statement.Lane) error {
	rules, err := h.editions(l)
	if err != nil {
		return err
	}
	sides := [2]*foldSide{}
	for i, author := range []party.ID{h.self, l.Peer} {
		if sides[i], err = h.openSide(ctx, tx, l, author, lane); err != nil {
			return err
		}
	}
	for progress := true; progress; {
		progress = false
		for i, side := range sides {
			moved, err := h.foldReady(ctx, tx, l, side, *sides[1-i].state(), rules)
			if err != nil {
				return err
			}
			progress = progress || moved
		}
	}
	for _, side := range sides {
		for i, state := range side.states {
			if state.Folded == side.start[i] {
				continue
			}
			if err := tx.PutLane(ctx, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// foldSide is one author's lane while it is folded: its epochs one after the other, those that have ended first.
type foldSide struct {
	states []exchange.LaneState
	start  []uint64
	at     int               // which of states is folded now
	ended  bool              // what is said in epochs that have ended is known to the end: what is missing in them never came
	run    []exchange.Parcel // read ahead, from the state's Folded+1
	last   bool              // run was read to its end
}

func (s *foldSide) state() *exchange.LaneState { return &s.states[s.at] }

// past says whether the epoch that is folded now is not the author's present one.
func (s *foldSide) past() bool { return s.at < len(s.states)-1 }

// openSide reads an author's lane in all of its epochs, from the first that is not folded to its end.
func (h *House) openSide(ctx context.Context, tx Tx, l exchange.Link, author party.ID, lane statement.Lane) (*foldSide, error) {
	side := &foldSide{ended: l.Catching == exchange.CaughtUp}
	present := h.epochOf(l, author)
	if present != ledger.FirstEpoch {
		all, err := tx.LanesOf(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range all { // in the order of their epochs
			if s.Author == author && s.Lane == lane && s.Epoch < present && (s.Folded < s.Last || !side.ended) {
				side.states = append(side.states, s)
			}
		}
	}
	state, err := tx.Lane(ctx, l.ID, author, present, lane)
	if err != nil {
		return nil, err
	}
	side.states = append(side.states, state)
	for _, s := range side.states {
		side.start = append(side.start, s.Folded)
	}
	return side, nil
}

// read fills run. Of an epoch that has ended, what the addressee never had is left out.
func (s *foldSide) read(ctx context.Context, tx Tx, link statement.LinkID) error {
	for after := s.state().Folded; len(s.run) == 0 && !s.last; {
		run, err := tx.ParcelRun(ctx, link, s.state().Author, s.state().Epoch, s.state().Lane, after, foldBatch)
		if err != nil {
			return err
		}
		s.last = len(run) < foldBatch
		if len(run) > 0 {
			after = run[len(run)-1].Seq
		}
		if s.past() && s.ended {
			run = slices.DeleteFunc(run, func(p exchange.Parcel) bool { return p.Received == 0 })
		}
		s.run = run
	}
	return nil
}

// foldReady folds one author's statements until one is not resolved yet, or has seen more than was folded of the other's. It
// says whether it came any further.
func (h *House) foldReady(ctx context.Context, tx Tx, l exchange.Link, side *foldSide, other exchange.LaneState, rules func(envelope.Hash) (string, bool)) (moved bool, err error) {
	for {
		if err := side.read(ctx, tx, l.ID); err != nil {
			return moved, err
		}
		if len(side.run) == 0 {
			if !side.past() || !side.ended {
				return moved, nil
			}
			side.at, side.last, moved = side.at+1, false, true
			continue
		}
		n, state := 0, side.state()
		for next := state.Folded; n < len(side.run); n++ {
			p := side.run[n]
			if p.Seq != next+1 && !(side.past() && side.ended) || !ready(p, other) {
				break
			}
			next = p.Seq
		}
		if n == 0 {
			return moved, nil
		}
		if err := h.foldRun(ctx, tx, l, side.run[:n], other.Author, rules); err != nil {
			return moved, err
		}
		state.Folded = side.run[n-1].Seq
		side.run = side.run[n:]
		moved = true
	}
}

// ready says whether a parcel's statement can be folded, once those before it are: it is resolved, and what it had seen of the
// other's is folded.
func ready(p exchange.Parcel, other exchange.LaneState) bool {
	if p.State.Settled() && p.State != exchange.Opened {
		return true
	}
	seen := p.SeenEpoch < other.Epoch || p.SeenEpoch == other.Epoch && p.SeenSeq <= other.Folded
	return p.State == exchange.Opened && p.Received != 0 && seen
}

// foldRun folds parcels that are ready, in order, and writes their verdicts.
func (h *House) foldRun(ctx context.Context, tx Tx, l exchange.Link, run []exchange.Parcel, peer party.ID, rules func(envelope.Hash) (string, bool)) error {
	ids := make([]envelope.ID, len(run))
	for i, p := range run {
		ids[i] = p.ID
	}
	said, err := tx.StatementsByParcel(ctx, ids)
	if err != nil {
		return err
	}
	ahead := over(tx) // so that columns are written together, after the last
	for i, p := range run {
		t, err := turnOf(p, said[p.ID], peer, rules)
		if err != nil {
			return err
		}
		verdict, effects, err := foldOne(ctx, ahead, t)
		if err != nil {
			return fmt.Errorf("folding %s %d: %w", p.Lane, p.Seq, err)
		}
		run[i].Verdict = verdict
		for _, e := range effects {
			h.cfg.Log.Debug("effect", "link", l.Alias, "kind", e.Kind, "code", e.Code, "ref", e.Ref)
		}
	}
	if err := tx.PutColumns(ctx, ahead.written...); err != nil {
		return err
	}
	return tx.SetVerdicts(ctx, run)
}

func turnOf(p exchange.Parcel, s exchange.Statement, peer party.ID, rules func(envelope.Hash) (string, bool)) (turn, error) {
	t := turn{link: p.Link, author: p.Author, peer: peer, epoch: p.Epoch, seq: p.Seq, lane: p.Lane, seenEpoch: p.SeenEpoch,
		seenSeq: p.SeenSeq, received: p.Received, stale: p.Stale, state: p.State, commitment: p.Text, rules: rules}
	if p.State != exchange.Opened {
		return t, nil
	}
	text, err := statement.DecodeText(s.Text)
	if err != nil {
		return t, fmt.Errorf("reading the text of %s %d: %w", p.Lane, p.Seq, err)
	}
	t.text = text
	return t, nil
}

// checkGuard says early whether a statement that is about to be said would be void, counting our own that still wait
// for their receipts as said, and the peer's that we opened and that wait for these as folded.
func (h *House) checkGuard(ctx context.Context, tx Tx, l exchange.Link, r *reservation, own, theirs exchange.LaneState) error {
	rules, err := h.editions(l)
	if err != nil {
		return err
	}
	ahead := over(tx)
	if r.text.Thread != nil {
		if err := foldAhead(ctx, tx, ahead, *r.text.Thread, own, theirs, rules); err != nil {
			return err
		}
	}
	_, _, void, err := judge(ctx, ahead, turn{link: l.ID, author: h.self, peer: l.Peer, epoch: own.Epoch, seq: own.Last + 1, lane: own.Lane,
		seenEpoch: theirs.Epoch, seenSeq: theirs.Settled, received: h.now(), text: r.text, commitment: r.commitment, rules: rules})
	if err != nil {
		return err
	}
	if void != nil {
		return voidFault(void)
	}
	return nil
}

// foldAhead folds in memory what both sides have said in a thread and what is not folded yet, each after what it had seen
// of the other's.
func foldAhead(ctx context.Context, tx Tx, ahead *overlay, thread statement.Commitment, own, theirs exchange.LaneState, rules func(envelope.Hash) (string, bool)) error {
	var queues [2][]turn
	for i, side := range []struct {
		state exchange.LaneState
		to    uint64
		peer  party.ID
	}{{own, own.Last, theirs.Author}, {theirs, theirs.Settled, own.Author}} {
		var err error
		if queues[i], err = waiting(ctx, tx, thread, side.state, side.to, side.peer, rules); err != nil {
			return err
		}
	}
	for progress := true; progress; {
		progress = false
		for i := range queues {
			for other := 1 - i; len(queues[i]) > 0 && (len(queues[other]) == 0 || before(queues[i][0], queues[other][0])); {
				if _, _, err := foldOne(ctx, ahead, queues[i][0]); err != nil {
					return err
				}
				queues[i], progress = queues[i][1:], true
			}
		}
	}
	return nil
}

// before says whether t was said without having seen the other's u.
func before(t, u turn) bool {
	return t.seenEpoch < u.epoch || t.seenEpoch == u.epoch && t.seenSeq < u.seq
}

// waiting are the turns of one author in a thread that are not folded yet, up to a sequence; what is still on its way
// counts as opened.
func waiting(ctx context.Context, tx Tx, thread statement.Commitment, author exchange.LaneState, to uint64, peer party.ID, rules func(envelope.Hash) (string, bool)) ([]turn, error) {
	var turns []turn
	for after := author.Folded; after < to; {
		run, err := tx.ParcelRun(ctx, author.Link, author.Author, author.Epoch, author.Lane, after, int(min(to-after, foldBatch)))
		if err != nil || len(run) == 0 {
			return turns, err
		}
		ids := make([]envelope.ID, len(run))
		for i, p := range run {
			ids[i] = p.ID
		}
		said, err := tx.StatementsByParcel(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, p := range run {
			after = p.Seq
			s, ok := said[p.ID]
			if !ok || s.Thread != thread || p.File == exchange.OfRegistered { // it is not said before its grant
				continue
			}
			if p.State != exchange.Refused && p.State != exchange.Rejected {
				p.State = exchange.Opened
			}
			t, err := turnOf(p, s, peer, rules)
			if err != nil {
				return nil, err
			}
			turns = append(turns, t)
		}
	}
	return turns, nil
}
