package casefile

import (
	"context"

	"entente/envelope"
	"entente/statement"
)

// Filter narrows the list of cases; zero members mean all.
type Filter struct {
	State  State
	Before int64 // changed strictly before
	Limit  int
}

// TaskFilter narrows the list of open tasks; zero members mean all.
type TaskFilter struct {
	Until int64  // due at or before; those without a date are not meant then
	After *Entry // those that follow it in the order of the list
	Limit int
}

// Tx is what this room needs of a transaction. A read of what is not there gives a fault of kind NotFound.
type Tx interface {
	PutCase(ctx context.Context, c Case) error // insert or update by ID
	Case(ctx context.Context, number string) (Case, error)
	CaseByID(ctx context.Context, id envelope.ID) (Case, error)
	Cases(ctx context.Context, f Filter) ([]Case, error) // changed last first
	// PutCaseKey keeps the wrapped key of a case; EraseCase removes it for good, with every entry.
	PutCaseKey(ctx context.Context, id envelope.ID, wrapped []byte) error
	CaseKey(ctx context.Context, id envelope.ID) ([]byte, error)
	EraseCase(ctx context.Context, id envelope.ID) error

	PutEntry(ctx context.Context, e Entry) error // insert or update by Case and N
	Entry(ctx context.Context, id envelope.ID, n int64) (Entry, error)
	CaseEntries(ctx context.Context, id envelope.ID, before int64, limit int) ([]Entry, error) // newest first, those below a number (0: all)
	Threads(ctx context.Context, id envelope.ID) ([]Entry, error)                              // attached, in their order
	Tasks(ctx context.Context, f TaskFilter) ([]Entry, error)                                  // open ones, by Due; those without a date last
	// CasesOf lists the numbers of the cases that a thread is attached to.
	CasesOf(ctx context.Context, thread statement.Commitment) ([]string, error)
}
