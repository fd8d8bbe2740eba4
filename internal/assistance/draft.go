package assistance

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/statement"
)

// Incomplete lists everything that keeps a draft from being sent. Nothing of the draft was stored.
type Incomplete struct{ Faults []statement.FieldFault }

// Error is one line a fault: where, what, and what to write there in both languages.
func (e *Incomplete) Error() string {
	var b strings.Builder
	for _, f := range e.Faults {
		fmt.Fprintf(&b, "\n  %s %s.", f.Where, f.What)
		if f.Write != (statement.Words{}) {
			fmt.Fprintf(&b, " %s %s", f.Write.EN, f.Write.ZH)
		}
	}
	return b.String()
}

// bulk is how many identifiers one request may name without a warning.
const bulk = 50

// Examine lists what keeps a draft of a kind from being sent at an instant (UTC microseconds): the faults of its form, and what
// a form cannot know, that what is not routine needs a reason and that a preservation lies ahead. Warnings keep nothing.
func Examine(kind statement.FormKind, urgency string, faceData, body []byte, now int64) (faults []statement.FieldFault, warnings []string) {
	faults = kind.Check(faceData, body)
	var f face
	var members map[string]jsontext.Value
	if kind.Series == "" || envelope.Unmarshal(faceData, &f) != nil || envelope.Unmarshal(body, &members) != nil {
		return faults, nil
	}
	if _, there := members["urgency_reason"]; urgency != "routine" && !there {
		faults = append(faults, statement.FieldFault{Where: "/body/urgency_reason", What: "is missing: the request is not routine",
			Write: statement.Words{EN: "Say why it cannot wait.", ZH: "请说明为何不能等待。"}})
	}
	if f.Until != 0 && f.Until < now+MinPreservation {
		faults = append(faults, statement.FieldFault{Where: "/face/until", What: "is less than sixty days ahead",
			Write: statement.Words{EN: "Give an instant at least sixty days ahead.", ZH: "请填至少六十日以后的时刻。"}})
	}
	if n := count(members["identifiers"]); n > bulk {
		warnings = append(warnings, fmt.Sprintf("The request names %d identifiers: consider whether so many are needed, and proportionate.", n))
	}
	if count(members["other_channels"]) > 0 {
		warnings = append(warnings, "The matter was sent by another channel before: say which of the two is to be answered, so that it is not done twice.")
	}
	return faults, warnings
}

func count(list jsontext.Value) int {
	var values []jsontext.Value
	if envelope.Unmarshal(list, &values) != nil {
		return 0
	}
	return len(values)
}
