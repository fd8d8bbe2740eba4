package statement

import (
	"slices"

	"entente/envelope"
)

// ParticipationReasons returns the codes for suspending lanes and for withdrawing from a link. A party that does not wish to
// give its reason says "withheld": that is an answer, too.
func ParticipationReasons() []string {
	return []string{"withheld", "consultation", "review", "legal", "security", "technical", "ended", "other"}
}

// SuspendFace suspends lanes: from its receipt on, neither party says anything more in them.
type SuspendFace struct {
	Lanes  []Lane `json:"lanes"`  // at least one, none twice, never control
	Reason string `json:"reason"` // one of ParticipationReasons
}

// Validate checks lanes and reason.
func (f SuspendFace) Validate() error {
	if err := checkSuspendable(f.Lanes); err != nil {
		return err
	}
	return oneOf("reason", f.Reason, ParticipationReasons()...)
}

// ResumeFace ends what its author suspended; what the other party suspended stays so.
type ResumeFace struct {
	Lanes []Lane `json:"lanes"` // at least one, none twice, never control
}

// Validate checks the lanes.
func (f ResumeFace) Validate() error { return checkSuspendable(f.Lanes) }

// WithdrawFace ends its author's part in a link. It is valid without the peer.
type WithdrawFace struct {
	Reason string `json:"reason"` // one of ParticipationReasons
}

// Validate wants a known reason.
func (f WithdrawFace) Validate() error {
	return oneOf("reason", f.Reason, ParticipationReasons()...)
}

// ParticipationBody may say in words what the face says in codes.
type ParticipationBody struct {
	Words string `json:"words,omitempty"`
}

// Validate checks the words.
func (b ParticipationBody) Validate() error {
	if b.Words == "" {
		return nil
	}
	return envelope.Within("words", CheckProse(b.Words, maxNote))
}

// checkSuspendable refuses the control lane: identity, recall and the duties that remain go through it.
func checkSuspendable(lanes []Lane) error {
	if len(lanes) == 0 {
		return envelope.Refuse("lanes", "are none")
	}
	for i, l := range lanes {
		switch {
		case l == Control:
			return envelope.Refuse("lanes", "name control, which is never suspended")
		case !l.Valid():
			return envelope.Refuse("lanes", "%.40q is not a lane", string(l))
		case slices.Contains(lanes[:i], l):
			return envelope.Refuse("lanes", "%s stands twice", l)
		}
	}
	return nil
}
