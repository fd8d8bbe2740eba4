package exchange

import (
	"slices"

	"entente/envelope"
	"entente/statement"
)

// Suspension is a lane that one party suspended.
type Suspension struct {
	Lane      statement.Lane       `json:"lane"`
	Statement statement.Commitment `json:"statement"`
	Reason    string               `json:"reason"`
	At        int64                `json:"at"` // received: since when it binds
}

// Withdrawal is one party's end of a link.
type Withdrawal struct {
	Statement statement.Commitment `json:"statement"`
	Reason    string               `json:"reason"`
	At        int64                `json:"at"` // received
}

// SuspensionOf is a party's suspension of a lane, nil if it has none.
func (c LinkColumn) SuspensionOf(lane statement.Lane) *Suspension {
	for i := range c.Suspended {
		if c.Suspended[i].Lane == lane {
			return &c.Suspended[i]
		}
	}
	return nil
}

// foldParticipation folds what a party says of its own part in the link. It reads and changes the author's column alone, so
// whatever crosses stands: the union of both columns is in force, and only who suspended resumes.
func foldParticipation(own LinkColumn, t statement.Turn) (LinkColumn, []statement.Effect, *statement.Void) {
	next := own
	next.Suspended = slices.Clone(own.Suspended)
	refuse := func(reason string) (LinkColumn, []statement.Effect, *statement.Void) {
		return own, nil, &statement.Void{Reason: reason}
	}
	if own.Withdrawn != nil {
		return refuse(VoidWithdrawn)
	}
	switch t.Text.Kind {
	case "participation.suspend":
		var f statement.SuspendFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return refuse(VoidFace)
		}
		for _, lane := range f.Lanes {
			if own.SuspensionOf(lane) == nil { // what is suspended already stays so since then
				next.Suspended = append(next.Suspended, Suspension{lane, t.Commitment, f.Reason, t.Received})
			}
		}
		if len(next.Suspended) == len(own.Suspended) {
			return refuse(VoidTwice)
		}
	case "participation.resume":
		var f statement.ResumeFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return refuse(VoidFace)
		}
		next.Suspended = slices.DeleteFunc(next.Suspended, func(s Suspension) bool { return slices.Contains(f.Lanes, s.Lane) })
		if len(next.Suspended) == len(own.Suspended) {
			return refuse(VoidNotSuspended)
		}
	case "participation.withdraw":
		var f statement.WithdrawFace
		if envelope.Unmarshal(t.Text.Face, &f) != nil {
			return refuse(VoidFace)
		}
		next.Withdrawn = &Withdrawal{t.Commitment, f.Reason, t.Received}
	default:
		return refuse(VoidKind)
	}
	return next, []statement.Effect{{Kind: "notice", Code: t.Text.Kind, Ref: t.Commitment}}, nil
}

// ErasureColumn is one party's word that it erased a statement.
type ErasureColumn struct {
	Notice statement.Commitment `json:"notice"`
	Reason string               `json:"reason"`
	At     int64                `json:"at"` // as its author says
}

// FoldErasure folds an erasure.notice: each party says it once of a statement.
func FoldErasure(own, _ ErasureColumn, t statement.Turn) (ErasureColumn, []statement.Effect, *statement.Void) {
	if !own.Notice.IsZero() {
		return own, nil, &statement.Void{Reason: VoidTwice}
	}
	var f statement.ErasureFace
	if envelope.Unmarshal(t.Text.Face, &f) != nil {
		return own, nil, &statement.Void{Reason: VoidFace}
	}
	if t.Text.Thread == nil || *t.Text.Thread != statement.ErasureThread(f.Statement) {
		return own, nil, &statement.Void{Reason: VoidThread}
	}
	return ErasureColumn{Notice: t.Commitment, Reason: f.Reason, At: f.At},
		[]statement.Effect{{Kind: "notice", Code: "erasure.notice", Ref: f.Statement}, {Kind: "obligation", Code: RoomErasure, Ref: f.Statement}}, nil
}
