// Package flow holds the acts of the house: it carries out, each in one transaction, what the rooms decide. It
// promises that what was acknowledged is durable, and that an act that failed or ran twice left one effect or
// none. It refuses to sign, to open files or to use the network inside a transaction.
package flow

import (
	"context"
	"io"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/casefile"
	"entente/internal/exchange"
	"entente/internal/hotline"
	"entente/internal/member"
	"entente/internal/notice"
	"entente/party"

	"golang.org/x/mod/sumdb/note"
)

// Tx is one transaction over everything; the store satisfies it.
type Tx interface {
	exchange.Tx
	assistance.Tx
	hotline.Tx
	casefile.Tx
	member.Tx
	notice.Tx
}

// Priority orders acts that wait for the committer.
type Priority int

// The priorities: an urgent act (control, hotline) is committed before others that wait.
const (
	Normal Priority = iota
	Urgent
)

// Store runs acts. Update is serializable and may run f more than once, so f must have no effect outside tx; it
// returns only when the commit is durable. Acts that wait at the same time may be committed together, each with
// its own success or failure. View reads one consistent snapshot.
type Store interface {
	View(ctx context.Context, f func(Tx) error) error
	Update(ctx context.Context, p Priority, f func(Tx) error) error
}

// Blobs keeps large sealed bytes: blobs under names made from their content, and partial files of parcels that come in pieces.
// Nothing in it is plaintext. A blob's name is the head of the Merkle tree (RFC 6962) over its segments of envelope.SegmentSize, in
// hexadecimal digits.
type Blobs interface {
	// Create opens a new blob for writing; Close without Commit discards it.
	Create(ctx context.Context) (BlobWriter, error)
	// Open reads a committed blob; a missing one is a fault of kind NotFound.
	Open(ctx context.Context, name string) (Blob, error)
	Remove(ctx context.Context, name string) error // no error if absent
	// Names lists committed blobs with names above after, in their order.
	Names(ctx context.Context, after string, limit int) ([]string, error)
	// Partial opens a file of the given final size for a parcel that arrives in pieces; it survives restarts. One that is not there is
	// begun if begin says so, and otherwise a fault of kind NotFound.
	Partial(ctx context.Context, id envelope.ID, size int64, begin bool) (PartialBlob, error)
	// OpenPartial reads it; a missing one is a fault of kind NotFound.
	OpenPartial(ctx context.Context, id envelope.ID) (Blob, error)
	RemovePartial(ctx context.Context, id envelope.ID) error // no error if absent
	Partials(ctx context.Context) ([]envelope.ID, error)
	// Reserve fails with a fault of kind Unavailable, code disk_full, if n more bytes would pass the disk reserve.
	Reserve(n int64) error
}

// BlobWriter writes one blob.
type BlobWriter interface {
	io.Writer
	// Commit makes what was written durable under its name, which the caller has computed.
	Commit(name string) error
	Close() error
}

// Blob reads one blob.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// PartialBlob takes segments in any order; Sync makes what was written durable.
type PartialBlob interface {
	io.WriterAt
	io.Closer
	Sync() error
}

// Keys is what flow may ask of the keyring; no private key crosses this line.
type Keys interface {
	// SignersOf, LogSigners and WitnessSigners are those of an identity version; the first in the order of its key set.
	SignersOf(version int) ([]envelope.Signer, error)
	LogSigners(version int, origin string) ([]note.Signer, error)
	WitnessSigners(version int, name string, nowUnix func() int64) ([]note.Signer, error)
	Opens(version int) bool // whether what was sealed for a version can be opened
	Opener() envelope.Opener
	// Wrap and Unwrap protect a statement's key at rest, bound to aad.
	Wrap(key, aad []byte) ([]byte, error)
	Unwrap(wrapped, aad []byte) ([]byte, error)
	Mark(data []byte) envelope.Hash // keyed: nobody else can make or check it

	// Rotate decides the version after chain's latest: keys and signed document are durable when it returns the envelope.
	Rotate(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error)
	// Prepare makes what the recovery quorum is to sign, Prepared is that while it waits, Finish decides it, Cancel gives it up.
	Prepare(chain *party.Chain, next party.Identity, random io.Reader) ([]byte, error)
	Prepared() []byte
	Finish(chain *party.Chain, signed [][]byte) ([]byte, error)
	Cancel() error
	Successor(version int) []byte        // the envelope of a version that was decided; nil if none of this number was
	Retire() error                       // destroys the signature keys of former versions
	Destroy(version int, at int64) error // destroys the other keys of a former version
	Destroyed(version int) int64         // when that was done; 0 if it was not
}
