package assistance

import (
	"cmp"

	"entente/statement"
)

// Place is where a word stands: in its author's sequence and ledger, what its author had seen, and when the other party's log
// took it.
type Place struct {
	Epoch     uint32 `json:"epoch"`
	Seq       uint64 `json:"seq"`
	Sent      int64  `json:"sent"` // index of its leaf in its author's ledger
	Got       int64  `json:"got"`  // UTC microseconds, by the other party's log
	SeenEpoch uint32 `json:"seen_epoch"`
	SeenSeq   uint64 `json:"seen_seq"`
}

// Under says whether the word lies at or before a place of its author's.
func (p Place) Under(epoch uint32, seq uint64) bool { return p.Epoch == epoch && p.Seq <= seq }

// Tally is what a status report counts a request by, beside its status. It is folded, and made again by a rebuild.
type Tally struct {
	Asked        *Place `json:"asked,omitzero"`        // the request
	Acknowledged *Place `json:"acknowledged,omitzero"` // the requested party's first word, whatever it is: somebody has it
	Answered     *Place `json:"answered,omitzero"`     // the first of each
	Clarified    *Place `json:"clarified,omitzero"`
	Corrected    *Place `json:"corrected,omitzero"`
	Requesting   *Place `json:"requesting,omitzero"` // each party's latest word
	Requested    *Place `json:"requested,omitzero"`

	AcknowledgeBy int64  `json:"acknowledge_by,omitzero"`
	AnswerBy      int64  `json:"answer_by,omitzero"` // see AnswerBy
	Ground        string `json:"ground,omitempty"`
}

// Say takes a word that was folded; each party's words in their order.
func (table Table) Say(t Tally, kind string, at Place) Tally {
	first := func(p **Place) {
		if *p == nil {
			*p = &at
		}
	}
	switch kind {
	case "answer.partial", "answer.complete", "preservation.preserved", "decision.refuse", "decision.impossible":
		first(&t.Answered)
	case "clarification.ask":
		first(&t.Clarified)
	case "request.correct":
		first(&t.Corrected)
	}
	if table[kind].When == nil {
		first(&t.Asked)
	}
	if table[kind].By == Requesting {
		t.Requesting = &at
		return t
	}
	first(&t.Acknowledged)
	t.Requested = &at
	return t
}

// AnswerBy is when a request must be answered, by its columns: the instant at which its clock ends; the end of time while that
// stands still, since the requesting party owes a word; 0 if none runs.
func AnswerBy(requesting, requested Column, by Terms) (int64, error) {
	if openWait(requesting, requested) != nil {
		return statement.MaxInteger, nil
	}
	return deadlineOf(StepAnswer, requesting, requested, by)
}

// AcknowledgeBy is when a request has to be acknowledged; 0 if the rules do not say.
func AcknowledgeBy(requesting Column, by Terms) (int64, error) {
	return deadlineOf(StepAck, Column{Request: requesting.Request}, Column{}, by)
}

func deadlineOf(step string, requesting, requested Column, by Terms) (int64, error) {
	clocks, err := Clocks(requesting, requested, by)
	for _, c := range clocks {
		if c.Step == step {
			return c.At, err
		}
	}
	return 0, err
}

// GroundOf is the ground on which a request is refused, in whole if that is the requested party's position, or in part; "" if
// it is not.
func GroundOf(requested Column) string {
	if m, status := positionOf(requested); status == Refused {
		return m.Code
	}
	return requested.Said["decision.refuse_part"].Code
}

// Open says whether a party owes a word in this status.
func (s Status) Open() bool {
	switch s {
	case Delivered, Acknowledged, Clarification, Conditions, Ineffective, Accepted, Transmitted, Postponed, Partial, Contested:
		return true
	}
	return false
}

// Then is a tally after more words were folded.
func (t Tally) Then(more Tally) Tally {
	first := func(p **Place, later *Place) {
		if *p == nil {
			*p = later
		}
	}
	first(&t.Asked, more.Asked)
	first(&t.Acknowledged, more.Acknowledged)
	first(&t.Answered, more.Answered)
	first(&t.Clarified, more.Clarified)
	first(&t.Corrected, more.Corrected)
	t.Requesting, t.Requested = cmp.Or(more.Requesting, t.Requesting), cmp.Or(more.Requested, t.Requested)
	return t
}
