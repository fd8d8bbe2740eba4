package statement

import "entente/envelope"

// ErasureReasons returns the codes for erasing a statement: its time was over, somebody entitled to it ordered so, or the
// parties agreed.
func ErasureReasons() []string { return []string{"retention", "order", "agreement"} }

// ErasureFace tells the other party that its author erased a statement on its own side.
type ErasureFace struct {
	Statement Commitment `json:"statement"`
	Reason    string     `json:"reason"` // one of ErasureReasons
	At        int64      `json:"at"`     // UTC microseconds
}

// Validate checks statement, reason and time.
func (f ErasureFace) Validate() error {
	if f.Statement.IsZero() {
		return envelope.Refuse("statement", "is zero")
	}
	if err := oneOf("reason", f.Reason, ErasureReasons()...); err != nil {
		return err
	}
	return checkTime("at", f.At)
}

// ErasureThread names the thread in which both parties tell each other that they erased a statement. It follows from the
// statement's name, so it is there for both from the start, as the link's own thread is.
func ErasureThread(c Commitment) Commitment {
	return envelope.Sum(append([]byte("entente/erasure/v1"), c[:]...))
}
