package hotline

import (
	"context"

	"entente/party"
	"entente/statement"
)

// Row is a call as it is listed: folded from both columns, and made again by a rebuild.
type Row struct {
	Link     statement.LinkID
	Thread   statement.Commitment
	Level    string
	Kind     string
	Urgency  string
	Calling  party.ID // it rings on the node of Called
	Called   party.ID
	Ours     bool // whether this node's party called
	Status   Status
	Desk     string // of the called party, which has it; "" if none is named
	Request  string // the first statement of the request that is escalated; "" if none is
	Received int64  // it counts from here
	Since    int64  // it rings the desk since then
	AnswerBy int64  // 0: no clock runs
	Answered int64  // by the called party's clock; 0 if no person has answered
	Changed  int64  // the latest word's receipt
}

// Cursor is a call where a page ended: the next page begins with the one after it in the list's order.
type Cursor struct {
	Received int64
	Thread   statement.Commitment
}

// Filter narrows the list of calls; zero members mean all.
type Filter struct {
	Link   *statement.LinkID
	Status Status
	Ours   *bool // whether we called
	After  *Cursor
	Limit  int
}

// Tx is what this room needs of a transaction. All of it is folded: exchange.StatementTx.DropFolded removes it.
type Tx interface {
	PutCall(ctx context.Context, r Row) error
	CallOf(ctx context.Context, thread statement.Commitment) (Row, error)
	Calls(ctx context.Context, f Filter) ([]Row, error) // newest received first
}
