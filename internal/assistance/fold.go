package assistance

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"entente/envelope"
	"entente/statement"
)

// The reasons for which a statement of this room is void. They are codes of the protocol: both sides compute the same one.
const (
	VoidKind    = "unknown_kind"  // not a kind of this room
	VoidFace    = "face"          // the face does not fit the kind
	VoidAgain   = "said_before"   // a request opens its own thread alone
	VoidSide    = "other_party"   // only the other party may say this
	VoidNotNow  = "not_now"       // not in the request's status
	VoidRequest = "other_request" // not of a request of this kind
	VoidCited   = "unknown_cited" // what it cites is not the latest word of its kind in the causal past
	VoidUntil   = "until"         // its date is not far enough ahead
	VoidGround  = "ground"        // not a ground on which such a request may be refused
)

// Reason says in words why a statement would be void, and what to do next; "" if the code is not of this room.
func Reason(code string) string {
	return map[string]string{
		VoidSide:    "Only the other party may say this of this request.",
		VoidNotNow:  "This cannot be said in the status that the request has now; see its timeline.",
		VoidRequest: "This belongs to requests of another kind.",
		VoidUntil:   "The date is not far enough ahead: a preservation lasts sixty days at least, an extension longer than before, and every other date lies in the future.",
		VoidGround:  "Such a request may not be refused on this ground; choose one that the article admits.",
	}[code]
}

// MinPreservation is the shortest time for which data are preserved, in microseconds: Budapest Convention, article 29(7).
const MinPreservation = 60 * 24 * 3600 * 1_000_000

// face is the union of all faces that the fold reads; which members a kind has, its form has checked before.
type face struct {
	Number       string   `json:"number"`
	Status       string   `json:"status"`
	Previous     string   `json:"previous"`
	ToDesk       string   `json:"to_desk"`
	FromDesk     string   `json:"from_desk"`
	Days         string   `json:"days"`
	Always       bool     `json:"always"`
	Confidential bool     `json:"confidential"`
	Copy         string   `json:"copy"`
	Notify       string   `json:"notify"`
	Until        int64    `json:"until"`
	Next         int64    `json:"next"`
	Cites        string   `json:"cites"`
	Request      string   `json:"request"`
	Ground       string   `json:"ground"`
	Reasons      string   `json:"reasons"`
	Reason       string   `json:"reason"`
	Outcome      string   `json:"outcome"`
	Conditions   []string `json:"conditions"`
	Timeliness   string   `json:"timeliness"`
	Quality      string   `json:"quality"`
	Use          any      `json:"use"` // one code in a request, a list in feedback
}

// Fold folds one statement of a request's thread. It reads the author's own column and the other party's as the author had
// seen it, and changes the author's alone.
func (table Table) Fold(own, peer Column, t statement.Turn) (Column, []statement.Effect, *statement.Void) {
	refuse := func(reason string) (Column, []statement.Effect, *statement.Void) {
		return own, nil, &statement.Void{Reason: reason}
	}
	kind, ok := table[t.Text.Kind]
	if !ok {
		return refuse(VoidKind)
	}
	var f face
	if envelope.Unmarshal(t.Text.Face, &f) != nil {
		return refuse(VoidFace)
	}
	next := own
	next.Words++
	effects := []statement.Effect{{Kind: "notice", Code: kind.Name, Ref: t.Commitment}, {Kind: "due", Code: Room, Ref: t.Commitment}}
	if kind.When == nil {
		if own.Words > 0 || peer.Words > 0 {
			return refuse(VoidAgain)
		}
		next.Request = &Request{Statement: t.Commitment, Kind: kind.Name, Number: f.Number, Urgency: t.Text.Urgency, Days: f.Days, Always: f.Always,
			FromDesk: f.FromDesk, ToDesk: f.ToDesk, Quiet: f.Confidential, Authored: t.Text.Authored, At: t.Received}
		return next, effects, nil
	}
	if reason := guard(kind, own, peer, t, f); reason != "" {
		return refuse(reason)
	}
	if slices.Contains(replies(), kind.Name) {
		next.Paused += pause(own, peer, t)
	}
	if cited, err := envelope.ParseHash(f.Cites); kind.Name == "conditions.agree" && err == nil {
		effects = append(effects, statement.Effect{Kind: "obligation", Code: Room, At: cmp.Or(t.Received, t.Text.Authored), Ref: cited})
	}
	next.Said = maps.Clone(own.Said)
	if next.Said == nil {
		next.Said = map[string]Mark{}
	}
	next.Said[kind.Name] = Mark{Statement: t.Commitment, Order: next.Words, Times: own.Said[kind.Name].Times + 1, Authored: t.Text.Authored,
		At: t.Received, Cites: cmp.Or(f.Cites, f.Request), Code: cmp.Or(f.Ground, f.Reason, f.Outcome), Until: cmp.Or(f.Until, f.Next)}
	return next, effects, nil
}

// sides tells whose column is whose; a request is the requesting party's.
func sides(own, peer Column) (requesting, requested Column, author Side) {
	if own.Request != nil {
		return own, peer, Requesting
	}
	return peer, own, Requested
}

// guard says why a word may not be said, "" if it may.
func guard(kind Kind, own, peer Column, t statement.Turn, f face) string {
	requesting, requested, author := sides(own, peer)
	if requesting.Request == nil || author != kind.By {
		return VoidSide
	}
	preservation := requesting.Request.Kind == "preservation.request"
	if kind.Only == "preservation" && !preservation || kind.Only == "other" && preservation {
		return VoidRequest
	}
	if !slices.Contains(kind.When, StatusOf(requesting, requested)) {
		return VoidNotNow
	}
	if len(kind.Cites) > 0 && !slices.ContainsFunc(kind.Cites, func(k string) bool {
		m, said := peer.Said[k]
		return said && m.Statement.String() == f.Cites
	}) {
		return VoidCited
	}
	switch kind.Name {
	case "decision.refuse", "decision.refuse_part":
		if preservation && !slices.Contains(preservationGrounds(), f.Ground) {
			return VoidGround
		}
	case "preservation.preserved":
		before := own.Said[kind.Name].Until
		if before == 0 && f.Until < t.Text.Authored+MinPreservation || f.Until <= before {
			return VoidUntil
		}
	case "preservation.extend":
		if f.Until <= peer.Said["preservation.preserved"].Until {
			return VoidUntil
		}
	case "decision.postpone", "decision.delay":
		if f.Until <= t.Text.Authored {
			return VoidUntil
		}
	}
	return ""
}

// preservationGrounds are those of article 29(5), the reservation of 29(4), and silence about which of them it is.
func preservationGrounds() []string {
	return strings.Fields("political_offence sovereignty national_security ordre_public essential_interests dual_criminality not_disclosed")
}

// pause is for how long the requested party has waited for the reply that t is. It runs in the requested party's own clock,
// from its question's authoring to the reply's receipt, so that it does not matter how far apart the parties' clocks are; and
// it begins neither before the request was received nor before the reply to an earlier question was.
func pause(own, peer Column, t statement.Turn) int64 {
	wait := openWait(own, peer)
	if wait == nil {
		return 0
	}
	from := max(wait.Authored, own.Request.At)
	for _, kind := range replies() {
		from = max(from, own.Said[kind].At)
	}
	return max(0, t.Received-from)
}

// Cited is the word of the other party's column that a kind would cite if it were said now: the latest of those that it may
// cite; "" if there is none.
func (table Table) Cited(kind string, peer Column) string {
	var last Mark
	for _, name := range table[kind].Cites {
		if m, said := peer.Said[name]; said && m.Order > last.Order {
			last = m
		}
	}
	if last.Order == 0 {
		return ""
	}
	return last.Statement.String()
}

// Changed is when the latest word of either column was received; one of which no receipt comes counts from its authoring.
func Changed(columns ...Column) int64 {
	at := int64(0)
	for _, c := range columns {
		if c.Request != nil {
			at = max(at, cmp.Or(c.Request.At, c.Request.Authored))
		}
		for _, m := range c.Said {
			at = max(at, cmp.Or(m.At, m.Authored))
		}
	}
	return at
}
