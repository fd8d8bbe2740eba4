// Package assistance is the room of requests for assistance: who may say what and when, the two columns of a request's thread,
// its status, its clocks, its number and its printed form. It promises that all of these are pure functions of what was said,
// so that both parties always see the same status and the same instants. It refuses to change a party's column by another
// party's word, to close anything by itself, and to know SQL, HTTP or a clock of its own.
package assistance

import "entente/statement"

// Room is the name under which its columns are kept.
const Room = "assistance"

// Side is a party's part in a request.
type Side string

// The sides of a request: who opened its thread, and the other.
const (
	Requesting Side = "requesting"
	Requested  Side = "requested"
)

// Column is one party's part in the thread of a request. Its size does not depend on how much was said: of each kind it holds
// the latest word.
type Column struct {
	Request *Request        `json:"request,omitzero"` // the requesting party's alone
	Said    map[string]Mark `json:"said,omitempty"`   // by kind
	Words   int             `json:"words,omitzero"`   // how many statements were folded
	Paused  int64           `json:"paused,omitzero"`  // microseconds during which the requested party waited for the requesting one; the latter's column holds it
}

// Request is what stands on the face of a request.
type Request struct {
	Statement statement.Commitment `json:"statement"`
	Kind      string               `json:"kind"`
	Number    string               `json:"number"`
	Urgency   string               `json:"urgency"`
	Days      string               `json:"days"` // the zone in which its days are counted
	Always    bool                 `json:"always,omitzero"`
	FromDesk  string               `json:"from_desk,omitempty"`
	ToDesk    string               `json:"to_desk,omitempty"`
	Quiet     bool                 `json:"confidential,omitzero"`
	Authored  int64                `json:"authored"`
	At        int64                `json:"at"` // received: its clocks start here
}

// Mark is the latest word of one kind.
type Mark struct {
	Statement statement.Commitment `json:"statement"`
	Order     int                  `json:"order"` // among all words of its column, from 1
	Times     int                  `json:"times"` // how often this kind was said
	Authored  int64                `json:"authored"`
	At        int64                `json:"at"` // received
	Cites     string               `json:"cites,omitempty"`
	Code      string               `json:"code,omitempty"` // the ground, the reason or the outcome
	Until     int64                `json:"until,omitzero"`
}
