package exchange

// Crossing declares what becomes of two statements that the parties say at the same time, neither having seen the
// other. Every pair of kinds that can cross in one thread is here, and TestCrossingPairs plays each in both orders.
type Crossing struct {
	A, B    string // kinds; A is said by the thread's owner where there is one
	Outcome string // for people
}

// Crossings returns the table.
func Crossings() []Crossing {
	return []Crossing{
		{"message", "message", "both stand, each in its own column"},
		{"desk.update", "desk.countersign", "the countersigned edition is active, the update is proposed"},
		{"desk.withdraw", "desk.countersign", "the desk is withdrawn; the countersignature stands without effect"},
		{"link.confirm", "link.confirm", "both stand; the link is active if both signed the same agreement"},
		{"link.confirm", "link.agree", "both stand; an agreement is in force when both signed it"},
		{"link.agree", "link.agree", "both stand; of two signed by both, the one with the later positions is in force"},
	}
}
