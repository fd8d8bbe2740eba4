// Package exchange is the room of the traffic between two parties: sequences per lane, the receiving window with
// its gaps, back-off, the rows that a transaction keeps, and the folds of the first kinds (messages, desks, the link
// itself). It promises that its rules are pure: the same rows and texts give the same verdict on both nodes. It
// refuses to know SQL, HTTP or a clock of its own.
package exchange

import (
	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// Link is this node's own row about a link; what both sides share about it is folded from statements.
type Link struct {
	ID        statement.LinkID
	Alias     string // local name, unique
	Peer      party.ID
	Endpoint  string // where the peer's node answers; empty when only it can reach us
	Inviter   bool
	Agreement []byte // the encoded agreement that was offered at pairing
	Created   int64  // UTC microseconds
	OwnEpoch  uint32
	PeerEpoch uint32
	Opened    int64    // when our epoch was opened after a restore or by hand; 0 for the first
	Catching  Catching // whether we still learn from the peer what our former epochs hold
}

// Address is where the peer of a link is reached.
type Address struct {
	Link     statement.LinkID
	Alias    string
	Endpoint string
}

// Catching is how far a party has come that opened a new epoch.
type Catching int

// The steps of catching up. Until it has caught up, a party does not fold its former epochs to their end.
const (
	CaughtUp   Catching = iota
	CatchingUp          // nothing was forgotten; the peer has not said yet what it holds of the former epochs
	Frozen              // restored: it says and takes nothing
	Released            // restored, and freed by hand; it still has to learn what it forgot
	ReadOnly            // restored, and it can never catch up: it says and takes nothing any more
)

// Invitation is a pairing that this node offered, or one that it was offered and has answered by a file: one token, one attempt.
type Invitation struct {
	TokenHash envelope.Hash
	Alias     string
	Agreement []byte // what we offer; of one that we answered, the invitation and our answer
	Nonce     [32]byte
	Expires   int64
	State     string // open | committed (the commitment was shown) | answered (by us) | used
	Link      statement.LinkID
}

// ParcelState is how far a parcel has come.
type ParcelState string

// The states of a parcel. Arriving and received are the addressee's view; reserved and sealed the author's.
const (
	Unsaid   ParcelState = "unsaid"   // ours: of an epoch that has ended, and never came to the peer; to be said again
	Sending  ParcelState = "sending"  // ours: published, no receipt yet
	Arriving ParcelState = "arriving" // theirs: header taken, segments missing
	Received ParcelState = "received"
	Opened   ParcelState = "opened"
	Refused  ParcelState = "refused"
	Rejected ParcelState = "rejected"

	// Ours, of a oneway link, where no receipt comes. Sent left in a file, and is kept to leave in another; of what is gone nothing
	// is kept to be carried: its time is over, it was erased, or the link carries nothing from us.
	Sent ParcelState = "sent"
	Gone ParcelState = "gone"

	// Of a registered statement: its parcel has been receipted, and is held until its grant has its place in the lane, when it is
	// granted. Its files are withheld, without a place of their own, until then. What expired before lapsed: nobody will read it.
	Held     ParcelState = "held"
	Granted  ParcelState = "granted"
	Withheld ParcelState = "withheld"
	Lapsed   ParcelState = "lapsed"
)

// Ended says that nothing more comes of a parcel.
func (s ParcelState) Ended() bool { return s == Opened || s == Refused || s == Rejected }

// Unanswered says that a parcel of ours is one of which nobody will ever say that it came.
func (s ParcelState) Unanswered() bool { return s == Sent || s == Gone }

// Settled says that a parcel's place in its lane waits for nothing: what seen admits. A registered parcel has its receipt, and
// what it says has another place.
func (s ParcelState) Settled() bool { return s.Ended() || s.Deferred() }

// Deferred says that a parcel is a registered one which was acknowledged: its own place in the lane says nothing.
func (s ParcelState) Deferred() bool { return s == Held || s == Granted || s == Lapsed }

// What a parcel's row stands for where it is not a file.
const (
	OfStatement  = -1
	OfRegistered = -2 // a registered statement's parcel: a place in the lane that says nothing by itself
	OfGrant      = -3 // its grant: the place where the statement folds
)

// VerdictDeferred is the verdict of a registered parcel's own place: the statement folds at its grant's.
const VerdictDeferred = "deferred"

// Parcel is the row of a parcel in either direction; Author tells which.
type Parcel struct {
	ID        envelope.ID
	Link      statement.LinkID
	Author    party.ID
	Epoch     uint32
	Lane      statement.Lane
	Seq       uint64        // 0 for a file
	File      int           // position of a file; or OfStatement, OfRegistered, OfGrant
	Header    envelope.Hash // hash of the payload of the header, or of the grant; zero while a file is withheld
	Text      statement.Commitment
	State     ParcelState
	Reason    string // code, when refused or rejected
	SentIndex int64  // leaf in the author's ledger
	GotIndex  int64  // leaf in the addressee's ledger; -1 until known
	GotEpoch  uint32 // of GotIndex
	SeenEpoch uint32
	SeenSeq   uint64
	Received  int64 // time of the received (or refused) receipt; 0 until known
	Created   int64
	Expires   int64
	Stale     bool   // a cited receipt shows that seen was too low
	Verdict   string // "" until folded, then "folded", VerdictDeferred or "void:<reason>"
	Segments  int64
	Length    int64
	Content   []byte // sealed content when small; nil when it lies in the blob store
	Blob      string // name in the blob store, "" when inline or not there
	Attempts  int    // ours: deliveries tried
	NextTry   int64  // ours: not before; UTC microseconds
}

// Withholding is what we keep back of a registered statement until its parcel has been receipted.
type Withholding struct {
	Parcel envelope.ID // the registered one
	Link   statement.LinkID
	Data   []byte
}

// Receipt is the row of a receipt in either direction.
type Receipt struct {
	Hash         envelope.Hash // hash of the receipt payload; its document holds the bytes
	Link         statement.LinkID
	Author       party.ID // who receipted
	Kind         string
	Header       envelope.Hash
	Parcel       envelope.ID
	Lane         statement.Lane
	Epoch        uint32
	Seq          uint64
	ContiguousTo uint64
	At           int64
	Index        int64 // the receipt-out leaf in its author's ledger; -1 until known
	Log          int64 // the got leaf that it names
	LogEpoch     uint32
	Unsent       bool // ours: the peer has not been seen to take it
}

// Statement is the row of an opened (or own) statement.
type Statement struct {
	Commitment statement.Commitment
	Link       statement.LinkID
	Author     party.ID
	Lane       statement.Lane
	Epoch      uint32
	Seq        uint64
	Thread     statement.Commitment // its own commitment where it is the first
	Kind       string
	Authored   int64
	Text       []byte // exact bytes
	TextSalt   statement.Salt
	Parcel     envelope.ID
	Erased     int64 // when body and key were removed; 0 if they are there
}

// Body is what a statement says beyond its text, as it lies at rest, and its wrapped key.
type Body struct {
	Commitment  statement.Commitment
	Sealed, Key []byte
}

// File is the row of a statement's file.
type File struct {
	Statement statement.Commitment
	Position  int
	Link      statement.LinkID
	Author    party.ID
	Parcel    envelope.ID
	Size      int64
	State     string // waiting | lost (asked back of the peer) | stored | failed | erasing (Blob is to be removed) | erased
	Blob      string // sealed at rest under the statement's key; with Keys, what was sealed for the peer
	FLOE      []byte // header of the sealing at rest
	Keys      []byte // of a file of ours that we sealed: its content keys, sealed under the statement's key
	Reason    string
}

// Hold keeps a thread from being erased here, for a local reason.
type Hold struct {
	Thread statement.Commitment
	Link   statement.LinkID
	Reason string
	Who    string
	At     int64
}

// LaneState is a counter per link, author, epoch and lane.
type LaneState struct {
	Link       statement.LinkID
	Author     party.ID
	Epoch      uint32
	Lane       statement.Lane
	Last       uint64        // highest sequence reserved (ours) or receipted (theirs)
	LastHeader envelope.Hash // header hash at Last (ours)
	Contiguous uint64        // theirs: all up to here receipted
	Settled    uint64        // theirs: all up to here opened, refused or rejected; what seen admits
	Folded     uint64        // all up to here folded or void
}

// Log is the state of one party's ledger of a link, own or mirrored.
type Log struct {
	Link         statement.LinkID
	Party        party.ID
	Epoch        uint32
	Size         int64
	LastTime     int64
	SignedSize   int64 // own, of a oneway link: size of the newest checkpoint that left in a file; nobody says that it came
	SignedAt     int64
	CosignedSize int64  // size up to which the other side (own log) or we (mirror) cosigned
	CosignedNote []byte // the checkpoint with both signatures
	CosignedAt   int64
	Identity     int   // version of the party's identity in force after the last leaf; 0 before the first identity leaf
	Kept         int64 // peer's, of an epoch that has ended: up to here its party still had it when it opened the next
}

// Witnessed is the newest checkpoint of our own ledger of a link that a third party has cosigned.
type Witnessed struct {
	Link    statement.LinkID
	Epoch   uint32
	Witness string // ledger.Witness.ID
	Size    int64
	Note    []byte // with the log's signatures, the peer's cosignatures and the third party's
	At      int64
}

// LeafRow is one leaf with the tree hashes that it completes.
type LeafRow struct {
	Index  int64
	Leaf   []byte // exact bytes
	Doc    envelope.Hash
	Kind   string
	Hashes []byte // 32 bytes each, level 0 first
}

// Document is an exact signed document that leaves record.
type Document struct {
	Hash       envelope.Hash // of the payload
	Link       statement.LinkID
	Type       string // DSSE payload type
	Payload    []byte
	Signatures []envelope.Signature // nil until signed (own only)
}

// Column is one version of one party's column in a thread.
type Column struct {
	Link   statement.LinkID
	Thread statement.Commitment
	Author party.ID
	Lane   statement.Lane
	Epoch  uint32
	Seq    uint64 // the statement that made this version
	Room   string // which fold owns it: "message", "desk", "link"
	Data   []byte // JSON of the room's column type
}

// MaxEvidence is how many lies of one kind are kept of a link: more prove nothing more, and would fill the disk.
const MaxEvidence = 100

// Evidence is a lie that was kept: equivocation, a forked log, a header that broke a rule.
type Evidence struct {
	Link statement.LinkID
	Kind string // code
	At   int64
	Note string // a sentence for people
	Data []byte // the exact bytes
}
