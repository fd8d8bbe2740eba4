package assistance

import (
	"context"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// Row is a request as it is listed: folded from both columns, and made again by a rebuild.
type Row struct {
	Link       statement.LinkID
	Thread     statement.Commitment
	Number     string
	Kind       string
	Requesting party.ID
	Requested  party.ID
	Ours       bool // whether this node's party asked
	Urgency    string
	Status     Status
	Received   int64
	Changed    int64 // the latest word's receipt
	Quiet      bool
	Tally      Tally
}

// Due is one clock that runs, as the table of what is due holds it.
type Due struct {
	Link     statement.LinkID
	Thread   statement.Commitment
	Step     string
	By       party.ID // who owes the next word
	Ours     bool     // whether this is this node's party
	Desk     string   // of that party, as the request names it; "" if it names none
	Urgency  string
	From     int64
	At       int64
	Escalate int64 // when it may be escalated
}

// DueRow is a clock with what stands beside it in a list.
type DueRow struct {
	Due
	Number string
	Kind   string
	Status Status
	Quiet  bool
}

// Cursor is a request where a page ended: the next page begins with the one after it in the list's order.
type Cursor struct {
	Received int64
	Thread   statement.Commitment
}

// Filter narrows the list of requests; zero members mean all.
type Filter struct {
	Link   *statement.LinkID
	Status Status
	Ours   *bool // whether we asked
	After  *Cursor
	Limit  int
}

// Span narrows the requests that a report counts: those of a link, received within a time without its end, that come after
// the row given, by time and thread.
type Span struct {
	Link          statement.LinkID
	From, To      int64
	AfterReceived int64
	AfterThread   statement.Commitment
	Limit         int
}

// DueFilter narrows what is due; zero members mean all.
type DueFilter struct {
	Ours  *bool // whether we owe it
	Desk  string
	Until int64 // at or before
	Limit int
}

// ObligationFilter narrows obligations of one state.
type ObligationFilter struct {
	State ObligationState
	Link  *statement.LinkID
	By    *party.ID
	Not   *party.ID // owed by any other
	Duty  string
	From  int64       // ending at or after this; 0 means all
	Until int64       // ending at or before this; 0 means all
	After *Obligation // those that follow it in the order of the list
	Limit int
}

// Tx is what this room needs of a transaction. All of it but numbers, warnings and what was told is folded: exchange.StatementTx.DropFolded removes it.
type Tx interface {
	ObligationTx
	// PutRequest writes a request's row and replaces its clocks.
	PutRequest(ctx context.Context, r Row, clocks []Due) error
	// Request finds the row of a thread, RequestsOf those of many that there are; RequestsByNumber those that bear a number, which two parties may have given to two.
	Request(ctx context.Context, thread statement.Commitment) (Row, error)
	RequestsOf(ctx context.Context, threads []statement.Commitment) (map[statement.Commitment]Row, error)
	RequestsByNumber(ctx context.Context, number string) ([]Row, error)
	Requests(ctx context.Context, f Filter) ([]Row, error)     // newest received first
	RequestsWithin(ctx context.Context, s Span) ([]Row, error) // oldest received first
	Dues(ctx context.Context, f DueFilter) ([]DueRow, error)   // earliest first
	// DuesOf finds the clocks of requests, each one's earliest first.
	DuesOf(ctx context.Context, threads []statement.Commitment) (map[statement.Commitment][]Due, error)
	// Fallen lists clocks that ran out after one instant, and at another or before, and that nobody was told of, earliest first. SetTold
	// writes down that it was told of them, which is no folded row, and DropTold forgets those that ran out before an instant.
	Fallen(ctx context.Context, from, until int64, limit int) ([]Due, error)
	SetTold(ctx context.Context, ds ...Due) error
	DropTold(ctx context.Context, before int64) error
	// LastNumber is the last number taken of a series, 0 if none; TakeNumber takes the next, and fails with a fault of kind
	// Conflict, code number_taken, if that is not n.
	LastNumber(ctx context.Context, series string) (int64, error)
	TakeNumber(ctx context.Context, series string, n int64) error
	// PutAsked enters what requests of ours asked. Asked lists the newest that stand under a mark, Askings all of requests that
	// are here, by mark, time and thread. exchange.StatementTx.EraseBody removes those of a request.
	PutAsked(ctx context.Context, list ...Asking) error
	Asked(ctx context.Context, mark envelope.Hash, limit int) ([]Asking, error)
	Askings(ctx context.Context, each func(Asking) error) error
}

// ObligationTx is about obligations.
type ObligationTx interface {
	PutObligations(ctx context.Context, list ...Obligation) error // insert or update by Thread, Source, Duty and By
	ObligationsOf(ctx context.Context, thread statement.Commitment) ([]Obligation, error)
	// KeptFor lists the threads in which data are preserved for a request for mutual assistance.
	KeptFor(ctx context.Context, formal statement.Commitment) ([]statement.Commitment, error)
	// Obligations lists what ends first, and at last what has no end; then by Thread and as Obligation.Compare says.
	Obligations(ctx context.Context, f ObligationFilter) ([]Obligation, error)
	// Warned is of what end of a thread's preservation a warning was given last, and how many days before; zero if none was.
	Warned(ctx context.Context, thread statement.Commitment) (end int64, days int, err error)
	SetWarned(ctx context.Context, thread statement.Commitment, end int64, days int) error
}
