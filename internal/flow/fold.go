package flow

import (
	"context"
	"fmt"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/hotline"
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
		epoch := l.OwnEpoch
		if author == l.Peer {
			epoch = l.PeerEpoch
		}
		state, err := tx.Lane(ctx, l.ID, author, epoch, lane)
		if err != nil {
			return nil, err
		}
		sides[i] = &foldSide{state: state, start: state.Folded, alone: terms.way != bothWays && author == h.self}
	}
	folded, ahead := &touched{requests: tallies{}, agreed: agreements{}, erased: map[statement.Commitment]bool{}, calls: map[statement.Commitment]bool{}}, over(tx)
	for progress := true; progress; {
		progress = false
		for i, side := range sides {
			n, err := h.foldReady(ctx, ahead, l, side, sides[1-i].state, rules, folded)
			if err != nil {
				return nil, err
			}
			progress = progress || n > 0
		}
	}
	for _, side := range sides {
		if side.state.Folded != side.start {
			if err := tx.PutLane(ctx, side.state); err != nil {
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

// foldSide is one author's sequence while a lane is folded.
type foldSide struct {
	state exchange.LaneState
	start uint64
	run   []exchange.Parcel // read ahead, from state.Folded+1
	ended bool              // run was read to its end
	alone bool              // no receipt of what is said can come: it folds as soon as it has its place, at no time
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

// foldReady folds one author's statements until one is not resolved yet, or has seen more than was folded of the other's.
func (h *House) foldReady(ctx context.Context, ahead *overlay, l exchange.Link, side *foldSide, other exchange.LaneState, rules func(envelope.Hash) (map[string]foldable, bool), said *touched) (int, error) {
	folded := 0
	for {
		if len(side.run) == 0 {
			if side.ended {
				return folded, nil
			}
			run, err := ahead.columns.ParcelRun(ctx, l.ID, side.state.Author, side.state.Epoch, side.state.Lane, side.state.Folded, foldBatch)
			if err != nil {
				return folded, err
			}
			if side.alone {
				for i := range run {
					run[i].State = exchange.Opened
				}
			}
			side.run, side.ended = run, len(run) < foldBatch
			if len(run) == 0 {
				return folded, nil
			}
		}
		n := 0
		for n < len(side.run) && ready(side.run[n], side.state.Folded+uint64(n)+1, other, side.alone) {
			n++
		}
		if n == 0 {
			return folded, nil
		}
		if err := h.foldRun(ctx, ahead, l, side.run[:n], other.Author, rules, said); err != nil {
			return folded, err
		}
		side.state.Folded += uint64(n)
		side.run = side.run[n:]
		folded += n
	}
}

// ready says whether a parcel's statement can be folded as the next of its author; alone is that of foldSide.
func ready(p exchange.Parcel, next uint64, other exchange.LaneState, alone bool) bool {
	switch {
	case p.Seq != next:
		return false
	case p.State.Settled() && p.State != exchange.Opened:
		return true
	}
	return p.State == exchange.Opened && (p.Received != 0 || alone) && (p.SeenEpoch < other.Epoch || p.SeenSeq <= other.Folded)
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
			for other := 1 - i; len(queues[i]) > 0 && (len(queues[other]) == 0 || queues[i][0].seenSeq < queues[other][0].seq); {
				if _, _, err := foldOne(ctx, ahead, queues[i][0]); err != nil {
					return err
				}
				queues[i], progress = queues[i][1:], true
			}
		}
	}
	return nil
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
