package exchange

import (
	"slices"

	"entente/envelope"
	"entente/statement"
)

// The rooms' names of columns, kept with every column.
const (
	RoomMessage = "message"
	RoomDesk    = "desk"
	RoomLink    = "link"
	RoomErasure = "erasure"
)

// The reasons for which a statement is void. They are codes of the protocol: both sides compute the same one.
const (
	VoidRefused   = "refused"       // its parcel was refused or expired
	VoidRejected  = "rejected"      // its parcel could not be opened
	VoidStale     = "stale"         // the author had receipted more than its seen admits
	VoidKind      = "unknown_kind"  // not in the edition's table
	VoidLane      = "wrong_lane"    // the kind, or the thread, belongs to another lane
	VoidThread    = "no_thread"     // its thread is not in the causal past
	VoidStarts    = "cannot_start"  // the kind continues a thread only
	VoidFollows   = "cannot_follow" // the kind starts a thread only
	VoidEdition   = "edition"       // not the edition of its thread
	VoidFace      = "face"          // the face does not fit the kind
	VoidNotOwner  = "not_owner"     // only who opened the thread may say this
	VoidOwner     = "owner"         // only the other party may say this
	VoidUnknown   = "unknown_cited" // what it cites is not in the causal past
	VoidWithdrawn = "withdrawn"     // after withdrawal nothing but a new thread
	VoidTwice     = "said_before"   // it was said already
	VoidMany      = "too_many"      // a desk has no more than MaxEditions editions, a party signs no more than MaxAgreements

	VoidNotSuspended = "not_suspended" // only who suspended a lane resumes it
)

// MessageColumn is one party's part of a thread of messages.
type MessageColumn struct {
	Count int                  `json:"count"`
	Last  statement.Commitment `json:"last"`
	At    int64                `json:"at"` // received
}

// FoldMessage folds a message: any party may write in a thread that it can see.
func FoldMessage(own, _ MessageColumn, t statement.Turn) (MessageColumn, []statement.Effect, *statement.Void) {
	return MessageColumn{Count: own.Count + 1, Last: t.Commitment, At: t.Received},
		[]statement.Effect{{Kind: "notice", Code: "message", Ref: t.Commitment}}, nil
}

// MaxEditions bounds the proposals of one desk, and with them its columns; a desk that needs more is proposed anew.
const MaxEditions = 64

// DeskEdition is one proposal of a desk's data, by its codes.
type DeskEdition struct {
	Statement statement.Commitment `json:"statement"`
	Role      string               `json:"role"`
	Standing  string               `json:"standing"`
	ValidFrom int64                `json:"valid_from"`
	ValidTo   int64                `json:"valid_to,omitzero"`
}

// DeskColumn is one party's part of a desk's thread: the owner's editions, or the other's countersignatures.
type DeskColumn struct {
	Owner         bool                   `json:"owner,omitzero"`
	Editions      []DeskEdition          `json:"editions,omitempty"`
	Countersigned []statement.Commitment `json:"countersigned,omitempty"`
	Withdrawn     string                 `json:"withdrawn,omitempty"` // the reason's code
}

// FoldDesk folds the four kinds of a desk's thread.
func FoldDesk(own, peer DeskColumn, t statement.Turn) (DeskColumn, []statement.Effect, *statement.Void) {
	next := DeskColumn{Owner: own.Owner, Editions: slices.Clone(own.Editions),
		Countersigned: slices.Clone(own.Countersigned), Withdrawn: own.Withdrawn}
	switch t.Text.Kind {
	case "desk.propose", "desk.update":
		if t.Text.Kind == "desk.update" && !own.Owner {
			return own, nil, &statement.Void{Reason: VoidNotOwner}
		}
		if own.Withdrawn != "" {
			return own, nil, &statement.Void{Reason: VoidWithdrawn}
		}
		var f statement.DeskFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return own, nil, &statement.Void{Reason: VoidFace}
		}
		if len(own.Editions) >= MaxEditions {
			return own, nil, &statement.Void{Reason: VoidMany}
		}
		next.Owner = true
		next.Editions = append(next.Editions, DeskEdition{t.Commitment, f.Role, f.Standing, f.ValidFrom, f.ValidTo})
		return next, []statement.Effect{{Kind: "notice", Code: "desk.proposed", Ref: t.Commitment}}, nil
	case "desk.countersign":
		if own.Owner {
			return own, nil, &statement.Void{Reason: VoidOwner}
		}
		var f statement.DeskCountersignFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return own, nil, &statement.Void{Reason: VoidFace}
		}
		if peer.Withdrawn != "" {
			return own, nil, &statement.Void{Reason: VoidWithdrawn}
		}
		if !slices.ContainsFunc(peer.Editions, func(e DeskEdition) bool { return e.Statement == f.Desk }) {
			return own, nil, &statement.Void{Reason: VoidUnknown}
		}
		if slices.Contains(own.Countersigned, f.Desk) {
			return own, nil, &statement.Void{Reason: VoidTwice}
		}
		next.Countersigned = append(next.Countersigned, f.Desk)
		return next, []statement.Effect{{Kind: "notice", Code: "desk.countersigned", Ref: f.Desk}}, nil
	case "desk.withdraw":
		if !own.Owner {
			return own, nil, &statement.Void{Reason: VoidNotOwner}
		}
		if own.Withdrawn != "" {
			return own, nil, &statement.Void{Reason: VoidTwice}
		}
		var f statement.DeskWithdrawFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return own, nil, &statement.Void{Reason: VoidFace}
		}
		next.Withdrawn = f.Reason
		return next, []statement.Effect{{Kind: "notice", Code: "desk.withdrawn", Ref: t.Commitment}}, nil
	}
	return own, nil, &statement.Void{Reason: VoidKind}
}

// The states of a desk.
const (
	DeskProposed  = "proposed"
	DeskActive    = "active"
	DeskExpired   = "expired"
	DeskWithdrawn = "withdrawn"
)

// DeskStatus is a pure function of both columns and the instant asked about (UTC microseconds). The active edition is
// the newest one that the other party countersigned; the latest is the newest proposed.
func DeskStatus(owner, other DeskColumn, now int64) (state string, active, latest DeskEdition) {
	for _, e := range owner.Editions {
		latest = e
		if slices.Contains(other.Countersigned, e.Statement) {
			active = e
		}
	}
	switch {
	case owner.Withdrawn != "":
		state = DeskWithdrawn
	case active.Statement.IsZero():
		state = DeskProposed
	case active.ValidTo != 0 && active.ValidTo <= now:
		state = DeskExpired
	default:
		state = DeskActive
	}
	return state, active, latest
}

// LinkConfirmation is one confirmation of the short code.
type LinkConfirmation struct {
	Statement statement.Commitment `json:"statement"`
	Method    string               `json:"method"`
	At        int64                `json:"at"`
}

// MaxAgreements bounds the agreements that a party signs on one link, and with them its columns.
const MaxAgreements = 64

// LinkColumn is one party's part of the link's own thread, which is named by the link's id.
type LinkColumn struct {
	Confirmed *LinkConfirmation `json:"confirmed,omitzero"`
	Agreed    []envelope.Hash   `json:"agreed,omitempty"` // agreements signed, in order
	Suspended []Suspension      `json:"suspended,omitempty"`
	Withdrawn *Withdrawal       `json:"withdrawn,omitzero"`
}

// FoldLink folds what is said about the link itself.
func FoldLink(own, _ LinkColumn, t statement.Turn) (LinkColumn, []statement.Effect, *statement.Void) {
	next := own
	next.Agreed = slices.Clone(own.Agreed)
	switch t.Text.Kind {
	case "link.confirm":
		if own.Confirmed != nil {
			return own, nil, &statement.Void{Reason: VoidTwice}
		}
		var f statement.LinkConfirmFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return own, nil, &statement.Void{Reason: VoidFace}
		}
		next.Confirmed = &LinkConfirmation{t.Commitment, f.Method, f.At}
		next.Agreed = append(next.Agreed, f.Agreement)
	case "link.agree":
		var f statement.LinkAgreeFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return own, nil, &statement.Void{Reason: VoidFace}
		}
		if slices.Contains(own.Agreed, f.Agreement) {
			return own, nil, &statement.Void{Reason: VoidTwice}
		}
		if len(own.Agreed) >= MaxAgreements {
			return own, nil, &statement.Void{Reason: VoidMany}
		}
		next.Agreed = append(next.Agreed, f.Agreement)
	case "test":
		return next, nil, nil
	default:
		return foldParticipation(own, t)
	}
	return next, []statement.Effect{{Kind: "notice", Code: t.Text.Kind, Ref: t.Commitment}}, nil
}

// The states of a link.
const (
	LinkUnverified      = "unverified"
	LinkConfirmedByUs   = "confirmed_by_us"
	LinkConfirmedByPeer = "confirmed_by_peer"
	LinkDisagreed       = "disagreed" // both confirmed, but signed different agreements
	LinkActive          = "active"
	LinkSuspended       = "suspended" // a party suspended at least one lane
	LinkWithdrawn       = "withdrawn" // a party withdrew
)

// LinkStatus is a pure function of both columns: the state as seen by ours, and the agreement in force: the newest
// (in the order of a's column) that both signed; zero if none.
func LinkStatus(ours, theirs LinkColumn) (state string, agreement envelope.Hash) {
	state, agreement = confirmed(ours, theirs)
	switch {
	case ours.Withdrawn != nil || theirs.Withdrawn != nil:
		state = LinkWithdrawn
	case state == LinkActive && len(ours.Suspended)+len(theirs.Suspended) > 0:
		state = LinkSuspended
	}
	return state, agreement
}

// LaneStatus is the state of a link as far as it concerns one lane: a lane that nobody suspended is as active as the link,
// and control always is. A withdrawal concerns every lane but control.
func LaneStatus(ours, theirs LinkColumn, lane statement.Lane) string {
	state, _ := confirmed(ours, theirs)
	switch {
	case lane == statement.Control || state != LinkActive:
		return state
	case ours.Withdrawn != nil || theirs.Withdrawn != nil:
		return LinkWithdrawn
	case ours.SuspensionOf(lane) != nil || theirs.SuspensionOf(lane) != nil:
		return LinkSuspended
	}
	return state
}

// Silent stands for the column of a party that can say nothing, the addressee of a oneway link, as the other sees it: the link is
// confirmed as far as that has confirmed it, on the agreement of pairing alone.
func Silent(author LinkColumn) LinkColumn {
	return LinkColumn{Confirmed: author.Confirmed, Agreed: author.Agreed[:min(1, len(author.Agreed))]}
}

// confirmed is how far the confirming of the link has come.
func confirmed(ours, theirs LinkColumn) (state string, agreement envelope.Hash) {
	agreement = InForce(ours, theirs)
	switch {
	case ours.Confirmed == nil && theirs.Confirmed == nil:
		return LinkUnverified, envelope.Hash{}
	case theirs.Confirmed == nil:
		return LinkConfirmedByUs, envelope.Hash{}
	case ours.Confirmed == nil:
		return LinkConfirmedByPeer, envelope.Hash{}
	case agreement.IsZero():
		return LinkDisagreed, agreement
	}
	return LinkActive, agreement
}

// InForce is the agreement that both signed last: the pair of positions with the greatest sum wins, and for equal
// sums the smaller hash, so that the answer is the same from both sides whatever crossed.
func InForce(a, b LinkColumn) envelope.Hash {
	var best envelope.Hash
	bestAt := -1
	for i, h := range a.Agreed {
		j := slices.Index(b.Agreed, h)
		if j < 0 {
			continue
		}
		if i+j > bestAt || i+j == bestAt && slices.Compare(h[:], best[:]) < 0 {
			best, bestAt = h, i+j
		}
	}
	return best
}
