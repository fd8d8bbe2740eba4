package exchange

import (
	"context"

	"entente/envelope"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

// LinkTx is what the exchange needs of a transaction about parties and links. A read of what is not there gives
// a fault of kind NotFound.
type LinkTx interface {
	PutIdentity(ctx context.Context, p party.ID, version int, env []byte) error // idempotent
	Identities(ctx context.Context, p party.ID) ([][]byte, error)               // oldest first; empty if unknown
	// PutFork keeps a version beside those of PutIdentity: another of the same number, or one that follows such; idempotent.
	PutFork(ctx context.Context, p party.ID, version int, env []byte) error
	Forks(ctx context.Context, p party.ID) ([][]byte, error) // by version
	PutLink(ctx context.Context, l Link) error               // insert or update by ID
	Link(ctx context.Context, id statement.LinkID) (Link, error)
	Links(ctx context.Context) ([]Link, error) // by alias
	// PutAgreement keeps an encoded agreement that a party has said; idempotent. Agreements are all of a link, by hash.
	PutAgreement(ctx context.Context, link statement.LinkID, data []byte) error
	Agreements(ctx context.Context, link statement.LinkID) ([][]byte, error)
	// Addresses are those of all links whose peer can be reached, by alias.
	Addresses(ctx context.Context) ([]Address, error)
	// Unended are the links on which a parcel of the peer is arriving or received, and so not at its end.
	Unended(ctx context.Context) ([]Link, error)
	PutInvitation(ctx context.Context, i Invitation) error
	Invitation(ctx context.Context, token envelope.Hash) (Invitation, error)
	Meta(ctx context.Context, key string) ([]byte, error) // nil if unset
	SetMeta(ctx context.Context, key string, value []byte) error
}

// LaneTx is about sequences and parcels.
type LaneTx interface {
	Lane(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane) (LaneState, error) // zero counters if new
	PutLane(ctx context.Context, s LaneState) error
	LanesOf(ctx context.Context, link statement.LinkID) ([]LaneState, error)

	PutParcels(ctx context.Context, ps ...Parcel) error // insert; a doubled ID is a fault of kind Conflict
	// UpdateParcels sets all columns, by ID. A nil Content leaves what is stored, so that a row from a list may be
	// written back; a parcel that is opened, refused or rejected keeps none.
	UpdateParcels(ctx context.Context, ps ...Parcel) error
	Parcel(ctx context.Context, id envelope.ID) (Parcel, error)
	ParcelsByID(ctx context.Context, ids []envelope.ID) (map[envelope.ID]Parcel, error) // without Content
	// BlobsNamed says which of some blobs the row of a parcel, of a file, or of a draft's file names.
	BlobsNamed(ctx context.Context, blobs []string) (map[string]bool, error)
	ParcelByHeader(ctx context.Context, header envelope.Hash) (Parcel, error)
	ParcelAt(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, seq uint64) (Parcel, error)
	// ParcelRun lists statements' parcels of an author's lane with seq > after, in sequence, without Content.
	ParcelRun(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, after uint64, limit int) ([]Parcel, error)
	// LastSeen is the last of an author's sequence, up to the given one, whose leaf lies below an index and which has seen no more
	// of the other party's epoch than a sequence; 0 if there is none. It looks from the last one back.
	LastSeen(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, upto uint64, sentBelow int64, seenEpoch uint32, seen uint64) (uint64, error)
	// ParcelsIn lists an author's parcels on a link in a state, most urgent lane first, then as its author's ledger has them,
	// without Content: those after the given one (zero: all).
	ParcelsIn(ctx context.Context, link statement.LinkID, author party.ID, state ParcelState, after Parcel, limit int) ([]Parcel, error)
	// HeldParcels lists registered parcels that others than self wrote and whose grant has not come, or not in time, of one link
	// (all: nil), newest first, without Content.
	HeldParcels(ctx context.Context, link *statement.LinkID, self party.ID, limit int) ([]Parcel, error)
	// LapsingParcels lists what expired at or before now: registered parcels, of any author, that are Held, and those of ours in
	// other states of which something is still kept back; without Content.
	LapsingParcels(ctx context.Context, now int64, limit int) ([]Parcel, error)
	// FilesIn counts an author's files on a link in a state of those that have not come to an end.
	FilesIn(ctx context.Context, link statement.LinkID, author party.ID, state ParcelState) (int, error)
	// DueParcels is ParcelsIn(Sending) with NextTry at or before now, Content included.
	DueParcels(ctx context.Context, link statement.LinkID, author party.ID, now int64, limit int) ([]Parcel, error)
	// AdvanceParcels writes what receipts change of our parcels: State, Reason, GotIndex, Received and Stale. One that has
	// come to its end (opened, refused, rejected, gone) loses its Content and its Blob; the blob itself is the caller's to remove.
	AdvanceParcels(ctx context.Context, ps []Parcel) error
	SetVerdicts(ctx context.Context, ps []Parcel) error // Verdict of each, by ID
	// NextTry is the lowest NextTry of DueParcels at any time; NotFound if nothing is Sending.
	NextTry(ctx context.Context, link statement.LinkID, author party.ID) (int64, error)
	SetTries(ctx context.Context, ids []envelope.ID, attempts int, nextTry int64) error

	// PutWithholding keeps what is released after a registered parcel's receipt; idempotent by Parcel.
	PutWithholding(ctx context.Context, w Withholding) error
	Withholding(ctx context.Context, id envelope.ID) (Withholding, error)
	// DueWithholdings lists those whose parcels are Held, of one lane (all: ""), by sequence.
	DueWithholdings(ctx context.Context, link statement.LinkID, lane statement.Lane, limit int) ([]Withholding, error)
	DropWithholding(ctx context.Context, id envelope.ID) error

	// PutSegment records that segment n of an arriving parcel is stored; it reports whether it was new.
	PutSegment(ctx context.Context, id envelope.ID, n int64, leafHash envelope.Hash) (bool, error)
	SegmentHashes(ctx context.Context, id envelope.ID) (map[int64]envelope.Hash, error)
	DropSegments(ctx context.Context, id envelope.ID) error

	PutReceipts(ctx context.Context, rs ...Receipt) error // idempotent by Hash
	ReceiptsOf(ctx context.Context, header envelope.Hash) ([]Receipt, error)
	ReceiptsOfMany(ctx context.Context, headers []envelope.Hash) (map[envelope.Hash][]Receipt, error)
	UnsentReceipts(ctx context.Context, link statement.LinkID, author party.ID, limit int) ([]Receipt, error)
	MarkReceiptsSent(ctx context.Context, hashes []envelope.Hash) error
	// PlaceReceipts sets the Index of receipts of which it was not known, from the leaves that record them. Others are left alone.
	PlaceReceipts(ctx context.Context, author party.ID, leaves []LeafRow) error
	// UnplacedReceipts are those of author, of a sequence up to one in a lane of the other party's epoch, whose Index is not known: in the
	// order of the sequence, after one.
	UnplacedReceipts(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, after, upTo uint64, limit int) ([]Receipt, error)
	// ReceiptAbove finds author's received or refused receipt in a lane with ContiguousTo above seen and Log below index, lowest
	// Log first. (What opened or rejected says of the lane may be of a later time than the leaf that it names.)
	ReceiptAbove(ctx context.Context, link statement.LinkID, author party.ID, epoch uint32, lane statement.Lane, seen uint64, index int64) (Receipt, error)
}

// StatementTx is about what was said.
type StatementTx interface {
	PutStatements(ctx context.Context, ss ...Statement) error // idempotent by Commitment
	Statement(ctx context.Context, c statement.Commitment) (Statement, error)
	// MoveStatement gives a statement its place at its grant's.
	MoveStatement(ctx context.Context, c statement.Commitment, parcel envelope.ID, seq uint64) error
	StatementsByParcel(ctx context.Context, ids []envelope.ID) (map[envelope.ID]Statement, error)
	// StatementsByPrefix finds by the first hexadecimal digits of the commitment, in its order.
	StatementsByPrefix(ctx context.Context, prefix string, limit int) ([]Statement, error)
	// Statements lists newest first before the given cursor (0 = from the newest), filtered; see Filter.
	Statements(ctx context.Context, f Filter) ([]Statement, error)
	// PutBodies is idempotent by Commitment; the body of a statement that was erased is not taken again.
	PutBodies(ctx context.Context, bs ...Body) error
	Body(ctx context.Context, c statement.Commitment) (sealed, wrappedKey []byte, err error)
	BodiesOf(ctx context.Context, cs []statement.Commitment) (map[statement.Commitment]Body, error) // those that there are, with their keys
	EraseBody(ctx context.Context, c statement.Commitment, at int64) error                          // body and key go; the statement stays, Erased = at
	// Aged lists statements of a kind that are not erased and whose threads hold nothing that self authored, or received of
	// the other party, at or after before; in the order of their authored times, those after the given one (zero: all). The
	// other party's clock has no part in it: what it says of the future would be kept for ever.
	Aged(ctx context.Context, link statement.LinkID, self party.ID, kind string, before int64, after Statement, limit int) ([]Statement, error)
	// ErasingFiles lists files in the state erasing, by statement and position, those after the given place.
	ErasingFiles(ctx context.Context, after statement.Commitment, position, limit int) ([]File, error)
	PutFiles(ctx context.Context, fs ...File) error // insert or update by (Statement, Position)
	Files(ctx context.Context, c statement.Commitment) ([]File, error)
	FilesOf(ctx context.Context, cs []statement.Commitment) (map[statement.Commitment][]File, error) // each one's by position
	// HeldBytes is what an author's files on a link take up: those that are stored, and those that arrive or wait to be opened.
	HeldBytes(ctx context.Context, link statement.LinkID, author party.ID) (int64, error)
	FileByParcel(ctx context.Context, id envelope.ID) (File, error)

	PutColumns(ctx context.Context, cs ...Column) error
	// ColumnAt is the newest version of a column with seq at or below the given one; zero Data if none.
	ColumnAt(ctx context.Context, link statement.LinkID, thread statement.Commitment, author party.ID, epoch uint32, seq uint64) (Column, error)
	// Columns streams the newest version of every column of a link (all links: nil), ordered by link, thread, author.
	Columns(ctx context.Context, link *statement.LinkID, room string, each func(Column) error) error
	// DropFolded removes every column, and what the rooms made of columns, and resets every verdict and Folded counter:
	// rebuild's first step.
	DropFolded(ctx context.Context) error
}

// HoldTx is about legal holds, which are local: nothing of them crosses to another party.
type HoldTx interface {
	PutHold(ctx context.Context, h Hold) error                                   // insert or update by Thread
	DropHold(ctx context.Context, thread statement.Commitment) error             // no error if there is none
	HoldsOf(ctx context.Context, threads []statement.Commitment) ([]Hold, error) // in no order
	Holds(ctx context.Context, after Hold, limit int) ([]Hold, error)            // by At and Thread, those after the given one
}

// Filter narrows a list of statements.
type Filter struct {
	Link      *statement.LinkID
	Thread    *statement.Commitment
	Author    *party.ID
	NotAuthor *party.ID
	Kind      string
	Before    int64                 // Authored strictly before; 0 for all
	BeforeID  *statement.Commitment // with Before: also those authored at that time whose commitment is lower
	Limit     int
}

// LedgerTx is about ledgers, own and mirrored.
type LedgerTx interface {
	Log(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) (Log, error) // zero sizes if new
	// LogHead is Log without CosignedNote, which is most of it.
	LogHead(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) (Log, error)
	PutLog(ctx context.Context, l Log) error
	Logs(ctx context.Context, link statement.LinkID) ([]Log, error) // all parties and epochs
	AppendLeaves(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, rows []LeafRow) error
	Leaves(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, from int64, limit int) ([]LeafRow, error) // without Hashes
	// LeafAt is the leaf with this index that records a document, of the first epoch in which there is one. Nothing finds a leaf by
	// its document alone: parcels and receipts know their places, and an index by hash would cost each leaf a page of its own.
	LeafAt(ctx context.Context, link statement.LinkID, p party.ID, index int64, kind string, doc envelope.Hash) (epoch uint32, row LeafRow, err error)
	// LeafFrom is the first leaf of an epoch at an index or above it that records a document. It reads every leaf on its way: it is for
	// what came in another order than usual.
	LeafFrom(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, from int64, kind string, doc envelope.Hash) (LeafRow, error)
	// IdentityLeaf is the leaf that records a version of the party's identity, of the first epoch in which there is one. Such leaves
	// are few, and are found by their document.
	IdentityLeaf(ctx context.Context, link statement.LinkID, p party.ID, doc envelope.Hash) (epoch uint32, row LeafRow, err error)
	// LeavesAt are the exact bytes of leaves by index; those that are not there are left out.
	LeavesAt(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32, indexes []int64) (map[int64][]byte, error)
	// HashReader reads tree hashes by stored-hash index (ledger.HashPlace), many in one query.
	HashReader(ctx context.Context, link statement.LinkID, p party.ID, epoch uint32) tlog.HashReader

	// Uncosigned are the links whose own ledger (p's) has leaves that the peer has not cosigned.
	Uncosigned(ctx context.Context, p party.ID) ([]statement.LinkID, error)
	// Unwitnessed are the links whose own ledger (p's) the peer has cosigned further than this witness, by name.
	Unwitnessed(ctx context.Context, p party.ID, witness string) ([]Link, error)
	PutWitnessed(ctx context.Context, w Witnessed) error
	Witnessed(ctx context.Context, link statement.LinkID, epoch uint32) ([]Witnessed, error) // by witness

	PutDocuments(ctx context.Context, ds ...Document) error // idempotent by Hash; signatures fill in a row that lacks them
	Document(ctx context.Context, h envelope.Hash) (Document, error)
	Documents(ctx context.Context, hs []envelope.Hash) (map[envelope.Hash]Document, error)

	// UnsignedDocuments lists documents that are stored without signatures, by hash, those after the given one.
	UnsignedDocuments(ctx context.Context, after envelope.Hash, limit int) ([]Document, error)

	PutEvidence(ctx context.Context, e Evidence) error
	Evidences(ctx context.Context, link *statement.LinkID, limit int) ([]Evidence, error)
}

// Figures are the gauges of operation, for one link.
type Figures struct {
	OldestUnreceipted                      int64 // Created of our oldest parcel without a received receipt; 0 if none
	Sending, Reserved, Arriving, Unsettled int64
	Sent                                   int64 // our parcels of a oneway link that left in a file, and are kept to leave in another
	Held                                   int64 // our registered parcels that were receipted and whose grant has no place yet
	Waiting                                int64 // the peer's registered parcels that we receipted and whose grant has not come
	UncosignedOwn, UncosignedPeer          int64 // leaves beyond the last cosigned head
	CosignedAt                             int64
	Gaps                                   int64
}

// FigureTx reads the gauges.
type FigureTx interface {
	Figures(ctx context.Context, link statement.LinkID) (Figures, error)
}

// Tx is what the exchange needs of a transaction.
type Tx interface {
	LinkTx
	LaneTx
	StatementTx
	HoldTx
	LedgerTx
	FigureTx
}
