package member

import (
	"context"

	"entente/envelope"

	"golang.org/x/mod/sumdb/tlog"
)

// Tx is what this room needs of a transaction. A read of what is not there gives a fault of kind NotFound.
type Tx interface {
	DraftTx
	ReplayTx

	// PutMember inserts or updates by name, PutToken by id.
	PutMember(ctx context.Context, m Member) error
	Member(ctx context.Context, name string) (Member, error)
	Members(ctx context.Context, after string, limit int) ([]Member, error) // by name, those after the given one
	PutToken(ctx context.Context, t Token) error
	Token(ctx context.Context, id string) (Token, error)
	TokenByHash(ctx context.Context, hash envelope.Hash) (Token, error)
	Tokens(ctx context.Context, member string) ([]Token, error) // newest first

	// PutEntries appends to the log of what members did: their numbers go on from its size.
	PutEntries(ctx context.Context, es ...Entry) error
	// Entered is how many entries there are, and the time of the last.
	Entered(ctx context.Context) (size, last int64, err error)
	Entries(ctx context.Context, before int64, limit int) ([]Entry, error)   // newest first, those below a number (0: all), without Hashes
	EntriesFrom(ctx context.Context, from int64, limit int) ([]Entry, error) // oldest first, without Hashes
	// EntryHashes reads hashes of the tree by stored-hash index (ledger.HashPlace).
	EntryHashes(ctx context.Context) tlog.HashReader
	// Unhashed lists the first entries that are not in the tree yet: a store of before there was one has such.
	// SetEntryHashes puts them there.
	Unhashed(ctx context.Context, limit int) ([]Entry, error)
	SetEntryHashes(ctx context.Context, es ...Entry) error
}
