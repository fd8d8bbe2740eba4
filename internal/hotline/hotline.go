// Package hotline is the room of the hotline: calls, who may say what on them and when, the two columns of a call's thread, its
// status, the clock that runs until a person answers, and whom it rings. It promises that all of these are pure functions of
// what was said, of a roster and of an instant that is handed in, so that a call rings until a person answered or the caller
// called it off, whatever was restarted meanwhile. It refuses to end a call by one party's word, and to know SQL, HTTP or a
// clock of its own.
package hotline

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"entente/envelope"
	"entente/statement"
)

// Room is the name under which its columns are kept.
const Room = "hotline"

// Column is one party's part in the thread of a call. Its size does not depend on how much was said: of each kind it holds the
// latest word.
type Column struct {
	Call *Call           `json:"call,omitzero"`  // the calling party's alone
	Said map[string]Mark `json:"said,omitempty"` // by kind
}

// Call is what stands on the face of a call.
type Call struct {
	Statement statement.Commitment `json:"statement"`
	Level     string               `json:"level"`
	Kind      string               `json:"kind"`
	Urgency   string               `json:"urgency"`
	Request   string               `json:"request,omitempty"`
	FromDesk  string               `json:"from_desk,omitempty"`
	ToDesk    string               `json:"to_desk,omitempty"`
	Voice     bool                 `json:"voice,omitzero"`
	Authored  int64                `json:"authored"`
	At        int64                `json:"at"` // received: it rings from here
}

// Mark is the latest word of one kind.
type Mark struct {
	Statement statement.Commitment `json:"statement"`
	Times     int                  `json:"times"` // how often this kind was said
	Authored  int64                `json:"authored"`
	At        int64                `json:"at"` // received
	Desk      string               `json:"desk,omitempty"`
	Outcome   string               `json:"outcome,omitempty"`
}

func (c Column) said(kind string) bool { return c.Said[kind].Times > 0 }

// Status is the state of a call: what both sides show.
type Status string

// The statuses.
const (
	Ringing  Status = "ringing"  // the node has it; no person has answered
	Answered Status = "answered" // a person has it
	Standing Status = "standing" // one side has said its stand-down, the other has not
	Ended    Status = "ended"    // both have
)

// StatusOf is the status of a call: a pure function of both columns. Nothing takes back what it counts, so words that cross
// never make it depend on which of them came first.
func StatusOf(calling, called Column) Status {
	switch here, there := calling.said("hotline.stand_down"), called.said("hotline.stand_down"); {
	case here && there:
		return Ended
	case here || there:
		return Standing
	case called.said("hotline.acknowledge"):
		return Answered
	}
	return Ringing
}

// Kind is one row of the room's table: in which statuses each party may say it.
type Kind struct {
	Name    string
	Opens   bool // the calling party's first word
	Calling []Status
	Called  []Status
}

// Kinds returns the table, of every kind of edition 2026-3 that belongs to this room.
func Kinds() []Kind {
	return []Kind{
		{Name: "hotline.call", Opens: true},
		{Name: "hotline.acknowledge", Called: []Status{Ringing}},
		{Name: "hotline.reply", Calling: []Status{Answered, Standing}, Called: []Status{Answered, Standing}},
		{Name: "hotline.hand_over", Calling: []Status{Ringing, Answered}, Called: []Status{Ringing, Answered}},
		{Name: "hotline.stand_down", Calling: []Status{Ringing, Answered, Standing}, Called: []Status{Answered, Standing}},
	}
}

// The reasons for which a statement of this room is void. They are codes of the protocol: both sides compute the same one.
const (
	VoidKind  = "unknown_kind" // not a kind of this room
	VoidFace  = "face"         // the face does not fit the kind
	VoidAgain = "said_before"  // a call opens its own thread alone
	VoidNoOne = "no_call"      // nobody has called in this thread
	VoidSide  = "other_side"   // only the other party may say this
	VoidWhen  = "not_now"      // not in the call's status
	VoidOver  = "stood_down"   // its author has stood down
)

// Reason says in words why a statement would be void, and what to do next; "" if the code is not of this room alone.
func Reason(code string) string {
	return map[string]string{
		VoidSide: "Only the party that is called answers a call.",
		VoidOver: "You have stood down on this call; call again if there is more to say.",
	}[code]
}

// face is the union of all faces that the fold reads; which members a kind has, its form has checked before.
type face struct {
	Level    string `json:"level"`
	Kind     string `json:"kind"`
	Request  string `json:"request"`
	ToDesk   string `json:"to_desk"`
	FromDesk string `json:"from_desk"`
	Voice    bool   `json:"voice"`
	Outcome  string `json:"outcome"`
}

// NameOf is the level and the kind of a call, "" of what is none.
func NameOf(t *statement.Text) (level, kind string) {
	var f face
	if t.Kind != "hotline.call" || envelope.Unmarshal(t.Face, &f) != nil {
		return "", ""
	}
	return f.Level, f.Kind
}

// Has says whether a kind belongs to this room.
func Has(kind string) bool {
	return slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.Name == kind })
}

// Fold folds one statement of a call's thread. It reads the author's own column and the other party's as the author had seen it,
// and changes the author's alone.
func Fold(own, peer Column, t statement.Turn) (Column, []statement.Effect, *statement.Void) {
	refuse := func(reason string) (Column, []statement.Effect, *statement.Void) {
		return own, nil, &statement.Void{Reason: reason}
	}
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == t.Text.Kind })
	if i < 0 {
		return refuse(VoidKind)
	}
	var f face
	if envelope.Unmarshal(t.Text.Face, &f) != nil {
		return refuse(VoidFace)
	}
	effects := []statement.Effect{{Kind: "notice", Code: t.Text.Kind, Ref: t.Commitment}, {Kind: "due", Code: Room, Ref: t.Commitment}}
	next := own
	if kinds[i].Opens {
		if own.Call != nil || peer.Call != nil {
			return refuse(VoidAgain)
		}
		next.Call = &Call{Statement: t.Commitment, Level: f.Level, Kind: f.Kind, Urgency: t.Text.Urgency, Request: f.Request, FromDesk: f.FromDesk,
			ToDesk: f.ToDesk, Voice: f.Voice, Authored: t.Text.Authored, At: t.Received}
		return next, effects, nil
	}
	if reason := guard(kinds[i], own, peer); reason != "" {
		return refuse(reason)
	}
	next.Said = maps.Clone(own.Said)
	if next.Said == nil {
		next.Said = map[string]Mark{}
	}
	next.Said[t.Text.Kind] = Mark{Statement: t.Commitment, Times: own.Said[t.Text.Kind].Times + 1, Authored: t.Text.Authored, At: t.Received,
		Desk: f.ToDesk, Outcome: f.Outcome}
	return next, effects, nil
}

// guard says why a word may not be said, "" if it may.
func guard(kind Kind, own, peer Column) string {
	calling, called, when := own, peer, kind.Calling
	if own.Call == nil {
		calling, called, when = peer, own, kind.Called
	}
	switch {
	case calling.Call == nil:
		return VoidNoOne
	case len(when) == 0:
		return VoidSide
	case own.said("hotline.stand_down"):
		return VoidOver
	case !slices.Contains(when, StatusOf(calling, called)):
		return VoidWhen
	}
	return ""
}

// Crossing declares what becomes of two words that the parties say at the same time, neither having seen the other. Both always
// stand, each in its own column. TestCrossingPairs plays every pair that can come to pass.
type Crossing struct {
	Calling []string // kinds of the calling party
	Called  []string // kinds of the other
	Makes   Status   // "": the status stays as it is
	Outcome string   // for people
}

// Crossings returns the table.
func Crossings() []Crossing {
	stays := []string{"hotline.reply", "hotline.hand_over"}
	return []Crossing{
		{[]string{"hotline.hand_over"}, []string{"hotline.acknowledge"}, Answered, "the call is answered, and somebody else has it at the caller's"},
		{stays, stays, "", "both stand; each side's newest hand-over says who has the call there"},
		{stays, []string{"hotline.stand_down"}, Standing, "the called party has stood down, and the caller's word stands"},
		{[]string{"hotline.stand_down"}, []string{"hotline.acknowledge", "hotline.reply", "hotline.hand_over"}, Standing,
			"the caller has stood down, and the called party's word stands"},
		{[]string{"hotline.stand_down"}, []string{"hotline.stand_down"}, Ended, "the call is ended"},
	}
}

// AnswerBy is when a person has to have answered, by the rule set of the call's thread; 0 where it does not say, or where no
// receipt came that a clock could count from. A day is 24 hours: a hotline knows no holidays.
func AnswerBy(c Call, rules statement.Rules) int64 {
	if d, ok := rules.Deadline("ack", "hotline.call", c.Urgency); ok && c.At != 0 {
		return c.At + span(d).Microseconds()
	}
	return 0
}

// Step is how long a desk of the roster rings before the next is rung too; 0 where the rules do not say: all are rung at once.
func Step(urgency string, rules statement.Rules) time.Duration {
	d, _ := rules.Deadline("ring", "hotline.call", urgency)
	return span(d)
}

func span(d statement.Deadline) time.Duration {
	unit := map[string]time.Duration{"minutes": time.Minute, "hours": time.Hour}[d.Unit]
	return time.Duration(d.Amount) * cmp.Or(unit, 24*time.Hour)
}

// Rings is which desk of the called party a call rings, "" if none is named, and since when: from its receipt, or anew from the
// called party's latest hand-over.
func Rings(calling, called Column) (desk string, since int64) {
	desk, since = calling.Call.ToDesk, cmp.Or(calling.Call.At, calling.Call.Authored)
	if m := called.Said["hotline.hand_over"]; m.Times > 0 && m.Desk != "" {
		desk, since = m.Desk, max(since, m.Authored)
	}
	return desk, since
}

// Changed is when the latest word of either column was received; one of which no receipt comes counts from its authoring.
func Changed(columns ...Column) int64 {
	at := int64(0)
	for _, c := range columns {
		if c.Call != nil {
			at = max(at, cmp.Or(c.Call.At, c.Call.Authored))
		}
		for _, m := range c.Said {
			at = max(at, cmp.Or(m.At, m.Authored))
		}
	}
	return at
}
