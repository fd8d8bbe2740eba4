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
		{"participation.suspend", "participation.suspend", "both stand: a lane that both suspended is suspended until both have resumed it"},
		{"participation.suspend", "participation.resume", "both stand: what one suspended is suspended, what the other resumed is no longer suspended by it"},
		{"participation.resume", "participation.resume", "both stand, each for what its author had suspended"},
		{"participation.suspend", "participation.withdraw", "both stand: the link is withdrawn, whatever is suspended in it"},
		{"participation.resume", "participation.withdraw", "both stand: the link is withdrawn"},
		{"participation.withdraw", "participation.withdraw", "both stand: each party is shown to have withdrawn by itself"},
		{"link.agree", "participation.suspend", "both stand; an agreement says nothing of who takes part"},
		{"link.agree", "participation.resume", "both stand; an agreement says nothing of who takes part"},
		{"link.agree", "participation.withdraw", "both stand: the link is withdrawn"},
		{"link.confirm", "participation.withdraw", "both stand: the link is withdrawn"},
		{"erasure.notice", "erasure.notice", "both stand: each party says what it erased on its own side"},
	}
}
