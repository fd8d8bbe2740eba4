package assistance

// Crossing declares what becomes of two words that the parties say at the same time, neither having seen the other. Both always
// stand, each in its own column; what is declared is which of them the status follows. TestCrossingPairs plays every pair that
// can come to pass.
type Crossing struct {
	Requesting []string // kinds of the requesting party
	Requested  []string // kinds of the other
	Prevails   Side     // the status is as if this side's word alone had been said
	Outcome    string   // for people
}

// Crossings returns the table.
func Crossings() []Crossing {
	ends := []string{"request.withdraw", "request.close", "preservation.release"}
	asides := []string{"answer.feedback", "preservation.extend", "preservation.link", "request.correct", "status.query"}
	answered := []string{"clarification.answer", "conditions.agree", "conditions.decline", "preservation.proceed"}
	moves := []string{"answer.complete", "answer.partial", "clarification.ask", "decision.accept", "decision.condition", "decision.impossible",
		"decision.postpone", "decision.refuse", "decision.transmit", "preservation.ineffective", "preservation.preserved"}
	remarks := []string{"decision.delay", "decision.refuse_part", "preservation.path", "request.acknowledge", "status.update"}
	return []Crossing{
		{ends, moves, Requesting, "the request is ended; what the other party decided or sent meanwhile stands in its column"},
		{ends, remarks, Requesting, "the request is ended"},
		{asides, moves, Requested, "the decision or answer makes the status; the word that crossed it stands beside it"},
		{asides, remarks, Requested, "both stand; neither but an acknowledgement changes the status"},
		{answered, moves, Requested, "the requested party did not wait: its decision makes the status, and the reply stands"},
		{answered, remarks, Requesting, "the reply ends the wait"},
		{[]string{"request.contest"}, moves, Requested, "what was contested has been overtaken by the new decision or answer"},
		{[]string{"request.contest"}, remarks, Requesting, "the decision is contested"},
		{[]string{"answer.confirm"}, moves, Requested, "the newer answer or decision makes the status; the earlier answer was received"},
		{[]string{"answer.confirm"}, remarks, Requesting, "the answer was received"},
	}
}
