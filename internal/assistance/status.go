package assistance

// StatusOf is the status of a request: a pure function of both columns. What the requesting party ended is ended, whatever
// crossed it; then comes a word that the requesting party owes; then the requested party's latest position.
func StatusOf(requesting, requested Column) Status {
	for _, end := range []struct {
		kind   string
		status Status
	}{{"request.close", Closed}, {"request.withdraw", Withdrawn}, {"preservation.release", Released}} {
		if _, said := requesting.Said[end.kind]; said {
			return end.status
		}
	}
	position, makes := positionOf(requested)
	if wait, status := waitOf(requested); status != "" && wait.Order > position.Order && !replied(requesting, wait) {
		return status
	}
	cited := func(kind string) bool {
		m, said := requesting.Said[kind]
		return said && m.Cites == position.Statement.String()
	}
	switch {
	case makes == "":
		if _, said := requested.Said["request.acknowledge"]; said {
			return Acknowledged
		}
		return Delivered
	case cited("request.contest"):
		return Contested
	case makes == Conditions && cited("conditions.agree"):
		return Accepted
	case makes == Conditions && cited("conditions.decline"):
		return Declined
	case makes == Answered && cited("answer.confirm"):
		return Confirmed
	}
	return makes
}

// positionOf is the requested party's latest word that makes a status by itself.
func positionOf(c Column) (Mark, Status) {
	return latest(c, positionMade)
}

// waitOf is the requested party's latest word that is no position and that the requesting one must answer.
func waitOf(c Column) (Mark, Status) {
	return latest(c, waitMade)
}

// latest is the last word that makes a status, by what each kind makes; none makes "".
func latest(c Column, made func(kind string) Status) (Mark, Status) {
	var last Mark
	var status Status
	for kind, m := range c.Said {
		if s := made(kind); s != "" && m.Order > last.Order {
			last, status = m, s
		}
	}
	return last, status
}

func positionMade(kind string) Status {
	switch kind {
	case "decision.accept":
		return Accepted
	case "decision.condition":
		return Conditions
	case "decision.transmit":
		return Transmitted
	case "decision.postpone":
		return Postponed
	case "decision.refuse":
		return Refused
	case "decision.impossible":
		return Impossible
	case "preservation.preserved":
		return Preserved
	case "answer.partial":
		return Partial
	case "answer.complete":
		return Answered
	}
	return ""
}

func waitMade(kind string) Status {
	switch kind {
	case "clarification.ask":
		return Clarification
	case "preservation.ineffective":
		return Ineffective
	}
	return ""
}

// replied says whether the requesting party has answered a word that waits for it.
func replied(requesting Column, wait Mark) bool {
	for _, kind := range replies() {
		if m, said := requesting.Said[kind]; said && m.Cites == wait.Statement.String() {
			return true
		}
	}
	return false
}

// replies are the requesting party's words that end a wait.
func replies() []string {
	return []string{"clarification.answer", "conditions.agree", "conditions.decline", "preservation.proceed"}
}

// openWait is the word that the requesting party owes an answer, nil if none.
func openWait(requesting, requested Column) *Mark {
	var wait Mark
	switch StatusOf(requesting, requested) {
	case Conditions:
		wait, _ = positionOf(requested)
	case Clarification, Ineffective:
		wait, _ = waitOf(requested)
	default:
		return nil
	}
	return &wait
}
