package flow

import (
	"context"
	"fmt"
	"slices"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/hotline"
	"entente/ledger"
	"entente/party"
	"entente/statement"
)

// version is a column as it was after one statement. value is what its data say, in the room's own type, once a fold has
// decoded or made them; folds do not change what they are given.
type version struct {
	exchange.Column
	value any
}

// foldRoom is one room's fold over columns. It returns data and value of the author's next one.
type foldRoom func(own, peer version, t statement.Turn) (data []byte, value any, effects []statement.Effect, void *statement.Void, err error)

// adapt gives a room's typed fold the columns' encoded form.
func adapt[C any](fold func(own, peer C, t statement.Turn) (C, []statement.Effect, *statement.Void)) foldRoom {
	return func(own, peer version, t statement.Turn) ([]byte, any, []statement.Effect, *statement.Void, error) {
		a, err := decoded[C](own)
		if err != nil {
			return nil, nil, nil, nil, err
		}
		b, err := decoded[C](peer)
		if err != nil {
			return nil, nil, nil, nil, err
		}
		next, effects, void := fold(a, b, t)
		if void != nil {
			return nil, nil, nil, void, nil
		}
		data, err := envelope.Marshal(next)
		return data, next, effects, nil, err
	}
}

// decoded is what a column says: the zero value if it is empty.
func decoded[C any](v version) (c C, err error) {
	if known, ok := v.value.(C); ok {
		return known, nil
	}
	if len(v.Data) == 0 {
		return c, nil
	}
	if err := envelope.Unmarshal(v.Data, &c); err != nil {
		return c, fmt.Errorf("reading a column: %w", err)
	}
	return c, nil
}

// foldable is a kind as a fold knows it: what may be said, and the room that folds it.
type foldable struct {
	statement.Kind
	room string
	fold foldRoom
}

// foldables are the kinds of every edition that this build speaks, by edition and by name. They are made once, because that
// takes longer than to fold.
func foldables(requests assistance.Table) map[string]map[string]foldable {
	tables := map[string]map[string]foldable{}
	for _, edition := range statement.Editions() {
		kinds, _ := statement.Kinds(edition)
		table := map[string]foldable{}
		for _, k := range kinds {
			if room, fold, ok := roomOf(requests, k.Name); ok {
				table[k.Name] = foldable{k, room, fold}
			}
		}
		tables[edition] = table
	}
	return tables
}

// roomOf names the room that folds a kind, and its fold.
func roomOf(requests assistance.Table, kind string) (string, foldRoom, bool) {
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
	if hotline.Has(kind) {
		return hotline.Room, adapt(hotline.Fold), true
	}
	if requests.Has(kind) {
		return assistance.Room, adapt(requests.Fold), true
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
	rules      func(edition envelope.Hash) (kinds map[string]foldable, ok bool)
}

// foldOne applies one turn and returns its verdict. It reads nothing but the author's column before this sequence and
// the peer's at seen, so the verdict never changes, whatever arrives later.
func foldOne(ctx context.Context, cs *overlay, t turn) (verdict string, effects []statement.Effect, err error) {
	switch {
	case t.state.Deferred():
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
	cs.put(column)
	return "folded", effects, nil
}

// judge checks form, place and guard of one opened statement and computes its author's next column.
func judge(ctx context.Context, cs *overlay, t turn) (version, []statement.Effect, *statement.Void, error) {
	none := version{}
	void := func(reason string) (version, []statement.Effect, *statement.Void, error) {
		return none, nil, &statement.Void{Reason: reason}, nil
	}
	kinds, ok := t.rules(t.text.Edition)
	if !ok {
		return void(exchange.VoidEdition)
	}
	kind, ok := kinds[t.text.Kind]
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
	var own, peer version
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
		if own, err = cs.at(ctx, t.link, thread, t.author, t.epoch, t.seq-1); err != nil {
			return none, nil, nil, err
		}
		if peer, err = cs.at(ctx, t.link, thread, t.peer, t.seenEpoch, t.seenSeq); err != nil {
			return none, nil, nil, err
		}
		if reason, err := checkThread(ctx, cs, t, kind.room, own, peer); reason != "" || err != nil {
			return none, nil, &statement.Void{Reason: reason}, err
		}
	}
	data, value, effects, v, err := kind.fold(own, peer, statement.Turn{Text: t.text, Commitment: t.commitment, Received: t.received})
	if err != nil || v != nil {
		return none, nil, v, err
	}
	return version{exchange.Column{Link: t.link, Thread: thread, Author: t.author, Lane: t.lane, Epoch: t.epoch, Seq: t.seq, Room: kind.room, Data: data}, value}, effects, nil, nil
}

// checkThread says why a statement may not stand in its thread, "" if it may. The link's own thread is always there, and so
// are those of erasures, which their fold knows by their names.
func checkThread(ctx context.Context, cs *overlay, t turn, room string, own, peer version) (string, error) {
	if *t.text.Thread == t.link {
		if room != exchange.RoomLink {
			return exchange.VoidThread, nil
		}
		return "", nil
	}
	if room == exchange.RoomErasure {
		for _, c := range []version{own, peer} {
			if len(c.Data) > 0 && c.Room != room { // the fold could not read it
				return exchange.VoidThread, nil
			}
		}
		return "", nil
	}
	if len(own.Data) == 0 && len(peer.Data) == 0 {
		return exchange.VoidThread, nil
	}
	for _, c := range []version{own, peer} {
		if len(c.Data) > 0 && (c.Room != room || c.Lane != t.lane) {
			return exchange.VoidLane, nil
		}
	}
	edition, err := cs.editionOf(ctx, *t.text.Thread)
	if err != nil {
		return "", fmt.Errorf("reading the first statement of a thread: %w", err)
	}
	if edition != t.text.Edition {
		return exchange.VoidEdition, nil
	}
	return "", nil
}

// foldBatch is how many statements of an author are read at once.
const foldBatch = 256

// foldLane folds everything in a lane that is ready, of both parties, inside the caller's transaction, and queues what receivers of
// ours are told of it.
func (h *House) foldLane(ctx context.Context, tx Tx, l exchange.Link, lane statement.Lane) error {
	folded, err := h.refoldLane(ctx, tx, l, lane)
	if err != nil {
		return err
	}
	return h.announce(ctx, tx, l, folded.happened...)
}

// refoldLane is foldLane, and tells nobody.
func (h *House) refoldLane(ctx context.Context, tx Tx, l exchange.Link, lane statement.Lane) (*touched, error) {
	rules, err := h.editions(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	terms, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	sides := [2]*foldSide{}
	for i, author := range []party.ID{h.self, l.Peer} {
		if sides[i], err = h.openSide(ctx, tx, l, author, lane); err != nil {
			return nil, err
		}
		sides[i].alone = terms.way != bothWays && author == h.self
	}
	folded, ahead := &touched{requests: tallies{}, agreed: agreements{}, erased: map[statement.Commitment]bool{}, calls: map[statement.Commitment]bool{}}, over(tx)
	for progress := true; progress; {
		progress = false
		for i, side := range sides {
			moved, err := h.foldReady(ctx, ahead, l, side, sides[1-i], rules, folded)
			if err != nil {
				return nil, err
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
				return nil, err
			}
		}
	}
	if err := h.setClocks(ctx, tx, l, folded); err != nil {
		return nil, err
	}
	if err := h.obligeErased(ctx, tx, l, folded.erased); err != nil {
		return nil, err
	}
	return folded, h.setCalls(ctx, tx, l, folded.calls)
}

// foldLanes is foldLane of several.
func (h *House) foldLanes(ctx context.Context, tx Tx, l exchange.Link, lanes []statement.Lane) error {
	for _, lane := range lanes {
		if err := h.foldLane(ctx, tx, l, lane); err != nil {
			return err
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
	alone  bool              // no receipt of what is said can come: it folds as soon as it has its place, at no time
}

// tallies are the requests of which words were folded, and these words' places.
type tallies map[statement.Commitment]assistance.Tally

// agreements are the conditions that were agreed to in requests: of each agreement its effect.
type agreements map[statement.Commitment][]statement.Effect

// touched are the threads of which words were folded and whose rows are to be made anew, and what receivers of ours may be told of.
type touched struct {
	requests tallies
	agreed   agreements
	erased   map[statement.Commitment]bool // statements that a party said it erased
	calls    map[statement.Commitment]bool
	happened []happening
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
		if s.alone {
			for i := range run {
				run[i].State = exchange.Opened
			}
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
func (h *House) foldReady(ctx context.Context, ahead *overlay, l exchange.Link, side, across *foldSide, rules func(envelope.Hash) (map[string]foldable, bool), said *touched) (moved bool, err error) {
	for {
		if err := side.read(ctx, ahead.columns, l.ID); err != nil {
			return moved, err
		}
		if len(side.run) == 0 {
			if !side.past() || !side.ended {
				return moved, nil
			}
			side.at, side.last, moved = side.at+1, false, true
			continue
		}
		n, state, other := 0, side.state(), *across.state()
		for next := state.Folded; n < len(side.run); n++ {
			p := side.run[n]
			unknown := side.past() && p.Received == 0 || // its receipt may still be given back; otherwise it is left out
				p.State == exchange.Opened && p.SeenEpoch < other.Epoch && !across.ended // so may what it had seen
			if p.Seq != next+1 && !(side.past() && side.ended) || !ready(p, other, side.alone) || unknown {
				break
			}
			next = p.Seq
		}
		if n == 0 {
			return moved, nil
		}
		if err := h.foldRun(ctx, ahead, l, side.run[:n], other.Author, rules, said); err != nil {
			return moved, err
		}
		state.Folded = side.run[n-1].Seq
		side.run = side.run[n:]
		moved = true
	}
}

// ready says whether a parcel's statement can be folded, once those before it are: it is resolved, and what it had seen of the
// other's is folded; alone is that of foldSide.
func ready(p exchange.Parcel, other exchange.LaneState, alone bool) bool {
	if p.State.Settled() && p.State != exchange.Opened {
		return true
	}
	seen := p.SeenEpoch < other.Epoch || p.SeenEpoch == other.Epoch && p.SeenSeq <= other.Folded
	return p.State == exchange.Opened && (p.Received != 0 || alone) && seen
}

// foldRun folds parcels that are ready, in order, and writes their verdicts. It adds to the threads whose rows are to be made anew.
func (h *House) foldRun(ctx context.Context, ahead *overlay, l exchange.Link, run []exchange.Parcel, peer party.ID, rules func(envelope.Hash) (map[string]foldable, bool), made *touched) error {
	ids := make([]envelope.ID, len(run))
	for i, p := range run {
		ids[i] = p.ID
	}
	said, err := ahead.columns.StatementsByParcel(ctx, ids)
	if err != nil {
		return err
	}
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
			s := said[p.ID]
			switch {
			case e.Kind == "obligation" && e.Code == exchange.RoomErasure:
				made.erased[e.Ref] = true
			case e.Kind == "obligation":
				made.agreed[s.Thread] = append(made.agreed[s.Thread], e)
			case e.Kind == "notice" && p.Author == l.Peer:
				made.happened = append(made.happened, h.saidBy(s))
			case e.Kind != "due":
			case e.Code == hotline.Room:
				made.calls[s.Thread] = true
			default:
				made.requests[s.Thread] = h.requests.Say(made.requests[s.Thread], s.Kind, assistance.Place{Epoch: p.Epoch, Seq: p.Seq, Sent: p.SentIndex,
					Got: p.Received, SeenEpoch: p.SeenEpoch, SeenSeq: p.SeenSeq})
			}
		}
	}
	if err := ahead.write(ctx); err != nil {
		return err
	}
	return ahead.columns.SetVerdicts(ctx, run)
}

func turnOf(p exchange.Parcel, s exchange.Statement, peer party.ID, rules func(envelope.Hash) (map[string]foldable, bool)) (turn, error) {
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
	rules, err := h.editions(ctx, tx, l)
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
func foldAhead(ctx context.Context, tx Tx, ahead *overlay, thread statement.Commitment, own, theirs exchange.LaneState, rules func(envelope.Hash) (map[string]foldable, bool)) error {
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
func waiting(ctx context.Context, tx Tx, thread statement.Commitment, author exchange.LaneState, to uint64, peer party.ID, rules func(envelope.Hash) (map[string]foldable, bool)) ([]turn, error) {
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
