package statement

import "slices"

// Turn is one statement as a fold sees it: its text and the time in the addressee's received receipt.
// The body is not there: it may be erased, and a rebuild must give identical rows.
type Turn struct {
	Text       *Text
	Commitment Commitment
	Received   int64 // UTC microseconds, the addressee's log time
}

// Effect is what a fold asks the house to do; it never changes a column.
type Effect struct {
	Kind string // due | obligation | notice | cite
	Code string // which, e.g. "desk.proposed"
	At   int64  // for due and obligation: UTC microseconds
	Ref  Commitment
}

// Void is the verdict on a statement that was out of turn: kept, shown, without effect.
type Void struct {
	Reason string // code
}

// Error makes a Void an error value for folds.
func (v *Void) Error() string { return "void: " + v.Reason }

// StandsIn says whether a kind may be said in a lane.
func (k Kind) StandsIn(l Lane) bool { return slices.Contains(k.Lanes, l) }
