package flow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// Each party has its own column of what it suspended, and the union is in force. A suspension or withdrawal binds from its
// receipt: what its addressee gave a place before that has crossed it and is taken, what it gave a place after that is
// refused. Which of the two it is stands in the author's own ledger, as the order of two leaves.

// participates says whether a kind is about taking part in the link.
func participates(kind string) bool { return strings.HasPrefix(kind, "participation.") }

// actOf is what saying a statement of a kind is, as authorisation has it.
func (h *House) actOf(kind string) actor.Act {
	form := h.forms[kind]
	switch {
	case participates(kind) || strings.HasPrefix(kind, "link."):
		return actor.Govern
	case strings.HasPrefix(kind, "erasure."):
		return actor.Erase
	case strings.HasPrefix(kind, "desk."):
		return actor.Desks
	case form.Lane == statement.Hotline:
		return actor.Call
	case form.Series != "":
		return actor.Ask
	case h.requests.Decides(kind):
		return actor.Decide
	case h.requests.Has(kind):
		return actor.Reply
	}
	return actor.Say
}

// SuspendLanes suspends lanes of a link: nothing more is said in them by either party until we resume them.
func (h *House) SuspendLanes(ctx context.Context, who actor.Actor, link statement.LinkID, lanes []statement.Lane, reason, words string) (statement.Commitment, error) {
	return h.takePart(ctx, who, link, "participation.suspend", statement.SuspendFace{Lanes: lanes, Reason: reason}, words)
}

// ResumeLanes resumes lanes that we suspended. What the other party suspended stays so.
func (h *House) ResumeLanes(ctx context.Context, who actor.Actor, link statement.LinkID, lanes []statement.Lane, words string) (statement.Commitment, error) {
	return h.takePart(ctx, who, link, "participation.resume", statement.ResumeFace{Lanes: lanes}, words)
}

// Withdraw ends our part in a link. It is valid at once and without the peer; the ledgers are exchanged and cosigned as soon
// as the peer can be reached, and what is owed lives on in the control lane.
func (h *House) Withdraw(ctx context.Context, who actor.Actor, link statement.LinkID, reason, words string) (statement.Commitment, error) {
	c, err := h.takePart(ctx, who, link, "participation.withdraw", statement.WithdrawFace{Reason: reason}, words)
	if err == nil {
		h.roundDue(link)
	}
	return c, err
}

func (h *House) takePart(ctx context.Context, who actor.Actor, link statement.LinkID, kind string, face any, words string) (statement.Commitment, error) {
	return h.Send(ctx, who, Draft{Link: link, Lane: statement.Control, Kind: kind, Thread: &link,
		Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: statement.ParticipationBody{Words: words}}, nil)
}

// roundDue makes a round of a link's ledger due now.
func (h *House) roundDue(link statement.LinkID) {
	s := h.link(link)
	s.mu.Lock()
	s.round = true
	s.mu.Unlock()
	s.signal()
}

// standing is who takes part in a link, as it binds us now: both columns as they are folded, with what we have said and what
// we have opened of the peer's that waits to be folded.
type standing struct {
	ours, theirs exchange.LinkColumn
	said         [2]exchange.LinkColumn // likewise, ours and theirs, with whatever was said besides
	verified     bool                   // both have confirmed, as far as either may know: what waits to be folded counts
}

func (h *House) standing(ctx context.Context, tx Tx, l exchange.Link) (s standing, err error) {
	if s.ours, s.theirs, err = h.linkColumns(ctx, tx, l); err != nil {
		return s, err
	}
	rules, err := h.editions(ctx, tx, l)
	if err != nil {
		return s, err
	}
	said := [2]exchange.LinkColumn{s.ours, s.theirs}
	for i, side := range []struct {
		author, peer party.ID
		column       *exchange.LinkColumn
	}{{h.self, l.Peer, &s.ours}, {l.Peer, h.self, &s.theirs}} {
		lane, err := h.openSide(ctx, tx, l, side.author, statement.Control)
		if err != nil {
			return s, err
		}
		var turns []turn
		for _, state := range lane.states { // what is left of former epochs counts, too
			more, err := waiting(ctx, tx, l.ID, state, state.Last, side.peer, rules)
			if err != nil {
				return s, err
			}
			turns = append(turns, more...)
		}
		for _, t := range turns {
			if t.text == nil || t.stale {
				continue
			}
			turn := statement.Turn{Text: t.text, Commitment: t.commitment, Received: t.received}
			say(&said[i], turn)
			if participates(t.text.Kind) {
				say(side.column, turn)
			}
		}
	}
	t, err := h.terms(l)
	if err != nil {
		return s, err
	}
	switch t.way {
	case outward:
		s.theirs = exchange.Silent(s.ours)
		said[1] = s.theirs
	case inward: // what we said is not what the other party waits for
		s.said, s.verified = said, said[0].Confirmed != nil
		return s, nil
	}
	s.said = said
	s.verified = exchange.LaneStatus(said[0], said[1], statement.Control) == exchange.LinkActive
	return s, nil
}

// say changes a column by what its author says, if it may say so.
func say(column *exchange.LinkColumn, t statement.Turn) {
	if next, _, void := exchange.FoldLink(*column, exchange.LinkColumn{}, t); void == nil {
		*column = next
	}
}

// say counts a statement of ours that has just got its place.
func (s *standing) say(r *reservation) {
	if r.text.Thread == nil || *r.text.Thread != r.link.ID {
		return
	}
	t := statement.Turn{Text: r.text, Commitment: r.commitment}
	say(&s.said[0], t)
	if participates(r.text.Kind) {
		say(&s.ours, t)
	}
}

// allow refuses what may not be said in a lane now; the fault says who suspended it since when, and what to do.
func (s standing) allow(lane statement.Lane) error {
	switch exchange.LaneStatus(s.ours, s.theirs, lane) {
	case exchange.LinkSuspended:
		if own := s.ours.SuspensionOf(lane); own != nil {
			return fault.New(fault.Conflict, "link_suspended", fmt.Sprintf(
				"We suspended the lane %s %s (%s). Nothing is said in it until we resume it: entente resume LINK --lane %s", lane, since(own.At), own.Reason, lane))
		}
		peer := s.theirs.SuspensionOf(lane)
		return fault.New(fault.Conflict, "link_suspended", fmt.Sprintf(
			"The other party suspended the lane %s %s (%s). Only it can resume it; until then keep what you have to say, or write in another lane. The control lane stays open.",
			lane, since(peer.At), peer.Reason))
	case exchange.LinkWithdrawn:
		if own := s.ours.Withdrawn; own != nil {
			return fault.New(fault.Conflict, "link_withdrawn", fmt.Sprintf(
				"We withdrew from this link %s (%s). What is still owed goes through the control lane; to speak again, pair anew (entente invite).", since(own.At), own.Reason))
		}
		return fault.New(fault.Conflict, "link_withdrawn", fmt.Sprintf(
			"The other party withdrew from this link %s (%s). What is still owed goes through the control lane; to speak again, pair anew (entente invite).",
			since(s.theirs.Withdrawn.At), s.theirs.Withdrawn.Reason))
	}
	return nil
}

func since(at int64) string {
	if at == 0 {
		return "just now"
	}
	return "on " + time.UnixMicro(at).UTC().Format("2006-01-02 15:04:05 UTC")
}

// bar is a suspension or withdrawal that the author of a parcel knew of once its own log had the leaf at a place.
type bar struct {
	lane   statement.Lane // "" for every lane but control
	reason string
	at     parcel.Position
}

// barred is the code for which a parcel is refused because its author knew, when it gave it its place, that we had suspended its
// lane or a party had withdrawn: the leaf of its own receipt for our word, or of its own withdrawal, stands before the parcel's.
func (w *accepting) barred(ctx context.Context, hd *parcel.Header) (string, error) {
	if hd.Lane == statement.Control && hd.File == nil {
		return "", nil
	}
	if hd.File != nil && w.l.OwnEpoch+w.l.PeerEpoch > 2*ledger.FirstEpoch { // of a statement that was taken: given back, or sent again
		if said, err := w.said(ctx, hd.Text); said || err != nil {
			return "", err
		}
	}
	if verified, err := w.verified(ctx); !verified || err != nil {
		return refusedUnverified, err
	}
	if hd.Lane == statement.Control {
		return "", nil
	}
	if w.bars == nil {
		w.bars = []bar{}
		s := *w.standing
		for _, side := range []struct {
			column exchange.LinkColumn
			ours   bool
		}{{s.ours, true}, {s.theirs, false}} {
			if err := w.addBars(ctx, side.column, side.ours); err != nil {
				return "", err
			}
		}
	}
	for _, b := range w.bars {
		before := b.at.Epoch < hd.Epoch || b.at.Epoch == hd.Epoch && b.at.Index < hd.Index // what it knew in a former epoch it knows
		if (b.lane == "" || b.lane == hd.Lane) && b.at.Index >= 0 && before {
			return b.reason, nil
		}
	}
	return "", nil
}

// refusedUnverified is the code for what a link does not carry before both have confirmed it. Its author knows when they have: it
// has folded both confirmations, so that the addressee has said the one and opened the other, whatever overtakes what.
const refusedUnverified = "unverified"

func (w *accepting) verified(ctx context.Context) (bool, error) {
	if w.standing == nil {
		s, err := w.h.standing(ctx, w.tx, w.l)
		if err != nil {
			return false, err
		}
		w.standing = &s
	}
	return w.standing.verified, nil
}

// early says whether a statement in the control lane is of a kind that waits until both have confirmed.
func (w *accepting) early(ctx context.Context, t *statement.Text) (bool, error) {
	if t.Lane != statement.Control {
		return false, nil
	}
	rules, err := w.h.editions(ctx, w.tx, w.l)
	if err != nil {
		return false, err
	}
	kinds, _ := rules(t.Edition)
	if kinds[t.Kind].Unverified {
		return false, nil
	}
	verified, err := w.verified(ctx)
	return !verified, err
}

func (w *accepting) addBars(ctx context.Context, column exchange.LinkColumn, ours bool) error {
	add := func(c statement.Commitment, lane statement.Lane, reason string) error {
		said, err := w.tx.Statement(ctx, c)
		if err != nil {
			return fmt.Errorf("reading a suspending statement: %w", err)
		}
		p, err := w.tx.Parcel(ctx, said.Parcel)
		if err != nil {
			return fmt.Errorf("reading the parcel of a suspending statement: %w", err)
		}
		at := parcel.Position{Epoch: p.Epoch, Index: p.SentIndex}
		if ours {
			at = parcel.Position{Epoch: p.GotEpoch, Index: p.GotIndex}
		}
		w.bars = append(w.bars, bar{lane, reason, at})
		return nil
	}
	if column.Withdrawn != nil {
		if err := add(column.Withdrawn.Statement, "", exchange.LinkWithdrawn); err != nil {
			return err
		}
	}
	if !ours { // what the author suspended it may have resumed, in the control lane, by a word that is still on its way
		return nil
	}
	for _, s := range column.Suspended {
		if err := add(s.Statement, s.Lane, exchange.LinkSuspended); err != nil {
			return err
		}
	}
	return nil
}

// SuspensionView is a suspended lane as people see it.
type SuspensionView struct {
	exchange.Suspension
	Ours bool // we suspended it
}

// WithdrawalView is a withdrawal as people see it.
type WithdrawalView struct {
	exchange.Withdrawal
	Ours bool
}

// show writes who takes part into a link's view: ours first, lanes in their order. At is 0 while the other side has not been
// seen to receive our word.
func (s standing) show(v *LinkView) {
	v.State, v.AgreementHash = exchange.LinkStatus(s.ours, s.theirs)
	for _, side := range []struct {
		column exchange.LinkColumn
		ours   bool
	}{{s.ours, true}, {s.theirs, false}} {
		if side.column.Withdrawn != nil {
			v.Withdrawn = append(v.Withdrawn, WithdrawalView{*side.column.Withdrawn, side.ours})
		}
		for _, lane := range statement.Lanes() {
			if found := side.column.SuspensionOf(lane); found != nil {
				v.Suspended = append(v.Suspended, SuspensionView{*found, side.ours})
			}
		}
	}
}
