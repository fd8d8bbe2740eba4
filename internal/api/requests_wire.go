package api

import (
	"time"

	"entente/party"
	"entente/statement"
)

// Request is a request for assistance as it is listed.
type Request struct {
	Number       string               `json:"number"`
	Statement    statement.Commitment `json:"statement" doc:"Its first statement, which names its thread."`
	Link         string               `json:"link"`
	Kind         string               `json:"kind"`
	Ours         bool                 `json:"ours" doc:"Whether we asked."`
	Requesting   party.ID             `json:"requesting"`
	Requested    party.ID             `json:"requested"`
	Urgency      string               `json:"urgency"`
	Status       string               `json:"status" doc:"sent until both sides have folded it; then as docs/spec/assistance.md says."`
	Received     *time.Time           `json:"received,omitzero"`
	Changed      *time.Time           `json:"changed,omitzero" doc:"When the latest word was received."`
	Confidential bool                 `json:"confidential" doc:"Whether even its existence is to be kept confidential."`
	Due          []Due                `json:"due" doc:"The clocks that run, the earliest first."`
}

// Due is one clock that runs.
type Due struct {
	Number       string               `json:"number"`
	Request      statement.Commitment `json:"request"`
	Link         string               `json:"link"`
	Kind         string               `json:"kind"`
	Status       string               `json:"status"`
	Step         string               `json:"step" doc:"ack, decide, answer, clarify or expiry."`
	Ours         bool                 `json:"ours" doc:"Whether we owe the next word."`
	Desk         string               `json:"desk,omitempty" doc:"The desk that owes it, as the request names it."`
	Urgency      string               `json:"urgency"`
	Since        time.Time            `json:"since"`
	At           time.Time            `json:"at"`
	Escalate     time.Time            `json:"escalate" doc:"When it may be escalated."`
	Overdue      bool                 `json:"overdue"`
	Escalates    bool                 `json:"escalates" doc:"Whether it may be escalated now."`
	Reminder     int                  `json:"reminder" doc:"The last reminder that is due, in per cent of the time: 0, 50, 80 or 100."`
	Confidential bool                 `json:"confidential"`
}

// RequestDetail is one request with its printed form and its timeline.
type RequestDetail struct {
	Request  Request       `json:"request"`
	Label    Label         `json:"label"`
	Expired  bool          `json:"expired" doc:"Whether what was preserved is so no more."`
	Form     []FormLine    `json:"form"`
	Timeline []RequestWord `json:"timeline" doc:"In the order of our own clock."`
}

// RequestWord is one statement in the thread of a request.
type RequestWord struct {
	Statement Statement  `json:"statement"`
	Label     Label      `json:"label"`
	Form      []FormLine `json:"form" doc:"Empty for the request itself."`
}

// Label is one text in both languages of the forms.
type Label struct {
	EN string `json:"en"`
	ZH string `json:"zh"`
}

// FormLine is a line of a printed form.
type FormLine struct {
	Depth int   `json:"depth"`
	Label Label `json:"label"`
	Value Label `json:"value" doc:"Empty for a group, whose lines follow one deeper."`
}

// FormKind describes a kind whose face and body are forms.
type FormKind struct {
	Kind   string      `json:"kind"`
	Series string      `json:"series,omitempty" doc:"Absent for what continues a request."`
	Label  Label       `json:"label"`
	Face   []FormField `json:"face,omitempty"`
	Body   []FormField `json:"body,omitempty"`
}

// FormField declares a field; docs/spec/assistance.md names the types.
type FormField struct {
	Name     string      `json:"name"`
	Type     string      `json:"type"`
	Required bool        `json:"required"`
	Many     int         `json:"many,omitzero" doc:"A list of at most so many."`
	Max      int         `json:"max,omitzero" doc:"Bytes of a text, or the largest integer."`
	Source   string      `json:"source,omitempty" doc:"The clause that asks for it."`
	Label    Label       `json:"label"`
	Hint     Label       `json:"hint" doc:"What to write."`
	Codes    []FormCode  `json:"codes,omitempty"`
	Fields   []FormField `json:"fields,omitempty"`
}

// FormCode is a code of a closed list.
type FormCode struct {
	Code  string `json:"code"`
	Label Label  `json:"label"`
}

// Asked is a request that was sent.
type Asked struct {
	Statement statement.Commitment `json:"statement"`
	Number    string               `json:"number"`
	Warnings  []string             `json:"warnings"`
	Earlier   []EarlierRequest     `json:"earlier,omitempty" doc:"Requests of ours that asked the same party about the same; one of the warnings says so."`
}

// EarlierRequest is a request of ours to the same party that names some of the same identifiers.
type EarlierRequest struct {
	Number    string               `json:"number"`
	Statement statement.Commitment `json:"statement" doc:"What a request that continues it names as previous."`
	Status    string               `json:"status" doc:"As in the list of requests."`
	Authored  time.Time            `json:"authored"`
	Shared    int                  `json:"shared" doc:"How many identifiers both name."`
}

// FieldFault is one thing that keeps a draft from being sent.
type FieldFault struct {
	Where string `json:"where" doc:"A pointer into the draft, such as /face/until, /body/facts or /marking/tlp."`
	What  string `json:"what"`
	Write Label  `json:"write" doc:"What to write there."`
}
