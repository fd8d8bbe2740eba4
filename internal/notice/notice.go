// Package notice is the room of notices: what a party's own systems are told of, the webhooks by which they are told, and when a
// delivery is tried again or given up.
//
// It promises that a notice holds ids, kinds, numbers of our own, the local name of a link and due times, and nothing that a person
// wrote on either side: neither a subject nor a name of a file, and not what a request is about. It refuses to know SQL, HTTP or a
// clock of its own, and to tell anything to anybody but the receivers that an operator of this node has named.
package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"entente/envelope"
	"entente/statement"
)

// The types of events.
const (
	RequestReceived  = "request.received"  // the other party asked for assistance
	RequestDecided   = "request.decided"   // it decided on a request of ours, or did what we asked
	RequestSaid      = "request.said"      // it said anything else on a request
	CallReceived     = "call.received"     // it calls on the hotline, and the call rings
	CallSaid         = "call.said"         // it said something on a call
	MessageReceived  = "message.received"  // it sent a message
	DeskSaid         = "desk.said"         // it proposed, changed, countersigned or withdrew a desk
	LinkSaid         = "link.said"         // it confirmed, suspended, resumed or left a link, or signed an agreement
	ErasureSaid      = "erasure.said"      // it erased what it had
	ClockEnded       = "clock.ended"       // what one of the parties owes fell due
	PreservationEnds = "preservation.ends" // data are preserved for 30, 14, 7 or 1 days more
	StatementRefused = "statement.refused" // its node refused what we said, or could not open it
	DraftWaiting     = "draft.waiting"     // what was written here waits for a second person
	Test             = "webhook.test"      // an operator tries whether a receiver answers
)

// Types are all types of events, in the order of the documentation.
func Types() []string {
	return []string{RequestReceived, RequestDecided, RequestSaid, CallReceived, CallSaid, MessageReceived, DeskSaid, LinkSaid, ErasureSaid, ClockEnded,
		PreservationEnds, StatementRefused, DraftWaiting, Test}
}

// Event is something that happened, as receivers are told of it. Ref names it among all of its type, so that the same event
// always has the same id; it is not told.
type Event struct {
	Type string
	Ref  string
	At   int64 // UTC microseconds, as all times here
	Data Data
}

// Data is all that a notice may hold.
type Data struct {
	Link      *statement.LinkID     `json:"link,omitzero"`
	LinkName  string                `json:"link_name,omitempty"` // our own name for it
	Kind      string                `json:"kind,omitempty"`      // of the statement, or of the draft
	Thread    *statement.Commitment `json:"thread,omitzero"`
	Statement *statement.Commitment `json:"statement,omitzero"`
	Number    string                `json:"number,omitempty"` // of a request that we made
	Draft     *envelope.ID          `json:"draft,omitzero"`
	Step      string                `json:"step,omitempty"` // of a clock
	OwedBy    string                `json:"owed_by,omitempty"`
	Due       *time.Time            `json:"due,omitzero"`
}

// The values of Data.OwedBy.
const (
	OwedByUs   = "us"
	OwedByPeer = "peer"
)

// OwedBy is the value for what is ours to do, or the other party's.
func OwedBy(ours bool) string {
	if ours {
		return OwedByUs
	}
	return OwedByPeer
}

// ID is the event's id: every receiver gets it, however often it is told, and knows the event by it again.
func (e Event) ID() string {
	sum := sha256.Sum256([]byte("entente/notice\x00" + e.Type + "\x00" + e.Ref))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// Body is what is posted.
func (e Event) Body() ([]byte, error) {
	return envelope.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      Data      `json:"data"`
	}{e.Type, time.UnixMicro(e.At).UTC(), e.Data})
}

// Delivery is an event on its way to one webhook.
type Delivery struct {
	Hook     string
	ID       string // of the event
	Type     string
	Body     []byte
	State    DeliveryState
	Created  int64
	Attempts int
	Next     int64  // it is not tried before
	Ended    int64  // when it was delivered or given up; 0 while it waits
	Status   int    // the HTTP status of the last answer; 0 if none came
	Code     string // of what went wrong last; "" if nothing did
}

// DeliveryState is what became of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	Waiting   DeliveryState = "waiting"
	Delivered DeliveryState = "delivered"
	GivenUp   DeliveryState = "given_up" // until the webhook is resumed, for as long as it is kept
)

// New is an event for a webhook that is to be told of it.
func (e Event) New(hook string) (Delivery, error) {
	body, err := e.Body()
	return Delivery{Hook: hook, ID: e.ID(), Type: e.Type, Body: body, State: Waiting, Created: e.At, Next: e.At}, err
}

// Tells says whether a webhook is told of events of a type now.
func (h Hook) Tells(event string) bool {
	return h.Disabled == 0 && (len(h.Types) == 0 || event == Test || slices.Contains(h.Types, event))
}
