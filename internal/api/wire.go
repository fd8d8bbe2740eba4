package api

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/handling"
	"entente/internal/flow"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// None is the request or the answer of a route that has none.
type None struct{}

// Self is who this node is.
type Self struct {
	Party       party.ID          `json:"party" doc:"The party's permanent id."`
	Fingerprint string            `json:"fingerprint" doc:"The id for paper: twelve groups of five digits."`
	Names       map[string]string `json:"names" doc:"The party's names by language."`
	Authority   string            `json:"authority"`
	Version     int               `json:"version" doc:"The newest version of the identity."`
	KeyStorage  string            `json:"key_storage"`
	NotAfter    time.Time         `json:"not_after" doc:"When this version of the identity ends."`
	Endpoint    string            `json:"endpoint" doc:"Where peers reach this node; empty when they cannot."`
	Release     string            `json:"release" doc:"The version of this node's program."`
}

// InvitationRequest asks for an invitation.
type InvitationRequest struct {
	Alias     string               `json:"alias" doc:"Our local name for the link to be."`
	Valid     int64                `json:"valid" doc:"Seconds for which the invitation can be used."`
	Agreement *statement.Agreement `json:"agreement,omitzero" doc:"The link agreement to offer; the default one without it."`
}

// LinkRequest accepts an invitation.
type LinkRequest struct {
	Alias      string          `json:"alias" doc:"Our local name for the link."`
	Invitation flow.Invitation `json:"invitation"`
}

// PairingFile is a file of a pairing without a network.
type PairingFile struct {
	File []byte `json:"file" doc:"Its bytes, base64."`
}

// Pairing is what a file of a pairing led to.
type Pairing struct {
	Link Link   `json:"link"`
	File []byte `json:"file,omitempty" doc:"The file for the other party, base64, with which it finishes; absent when we finished."`
}

// Link is a connection with another party.
type Link struct {
	ID            statement.LinkID     `json:"id"`
	Alias         string               `json:"alias" doc:"Our local name for it."`
	State         string               `json:"state" doc:"unverified, confirmed_by_us, confirmed_by_peer, disagreed, active, suspended (at least one lane), withdrawn, or catching_up (this node was restored, and learns what it forgot)."`
	Peer          Peer                 `json:"peer"`
	Inviter       bool                 `json:"inviter" doc:"Whether we invited."`
	Created       time.Time            `json:"created"`
	Code          Code                 `json:"code"`
	Reach         string               `json:"reach" doc:"push: each node pushes to the other; polled: the peer's node pushes to ours and polls it; polling: ours does that; courier: only files cross; oneway_out: files cross from us alone; oneway_in: from the peer alone."`
	AgreementHash envelope.Hash        `json:"agreement_hash"`
	Agreement     *statement.Agreement `json:"agreement,omitzero" doc:"In force, or offered while the link is unverified; only when one link is asked for."`
	Proposals     []Proposal           `json:"proposals,omitempty" doc:"Agreements that one party has signed and the other has not."`
	OwnEpoch      uint32               `json:"own_epoch"`
	PeerEpoch     uint32               `json:"peer_epoch"`
	CatchingUp    *CatchingUp          `json:"catching_up,omitzero" doc:"While we learn from the peer what the former epochs hold."`
	EndedEpochs   []EndedEpoch         `json:"ended_epochs,omitempty" doc:"Former epochs of both ledgers."`
	Unknown       []UnknownRange       `json:"unknown,omitempty" doc:"What we may have said in former epochs and neither party holds any more."`
	Figures       Figures              `json:"figures"`
	Suspended     []Suspended          `json:"suspended,omitempty" doc:"Lanes in which nothing is said now; one that both suspended stands twice."`
	Withdrawn     []Withdrawn          `json:"withdrawn,omitempty" doc:"Who withdrew from the link."`
}

// Proposal is an agreement that one party has signed alone.
type Proposal struct {
	Agreement envelope.Hash `json:"agreement"`
	Ours      bool          `json:"ours" doc:"Whether we signed it."`
	Edition   string        `json:"edition" doc:"Of its kinds."`
}

// Agreement asks to sign another agreement: one of the two.
type Agreement struct {
	Edition  string         `json:"edition,omitempty" doc:"Of kinds: the agreement in force with this edition."`
	Proposal *envelope.Hash `json:"proposal,omitzero" doc:"What the other party has signed."`
}

// CatchingUp is how far we have come after a restore, or after an epoch was opened by hand.
type CatchingUp struct {
	Frozen bool   `json:"frozen" doc:"Whether nothing is said or taken until it is done."`
	Known  bool   `json:"known" doc:"Whether the peer has said what it holds."`
	Done   uint64 `json:"done" doc:"Statements that were gone through."`
	Total  uint64 `json:"total" doc:"Statements to go through."`
}

// EndedEpoch is a former epoch of a ledger.
type EndedEpoch struct {
	Ours     bool   `json:"ours"`
	Epoch    uint32 `json:"epoch"`
	Size     int64  `json:"size" doc:"Leaves that are held here."`
	Cosigned int64  `json:"cosigned" doc:"Up to where the other party cosigned it."`
}

// UnknownRange is a range of numbers of our own in a lane, both ends included.
type UnknownRange struct {
	Epoch uint32         `json:"epoch"`
	Lane  statement.Lane `json:"lane"`
	From  uint64         `json:"from"`
	To    uint64         `json:"to,omitzero" doc:"Absent where nobody can know how far we had come."`
}

// EpochRequest opens an epoch by hand.
type EpochRequest struct {
	Reason string `json:"reason" doc:"One line; it is kept in the audit log."`
}

// EpochOpened is the epoch that was opened.
type EpochOpened struct {
	Epoch uint32 `json:"epoch"`
}

// Suspended is a lane that a party suspended.
type Suspended struct {
	Lane      statement.Lane       `json:"lane"`
	Ours      bool                 `json:"ours" doc:"Whether we suspended it; only who suspended a lane can resume it."`
	Since     *time.Time           `json:"since,omitzero" doc:"When the other side received it; absent until it has."`
	Reason    string               `json:"reason"`
	Statement statement.Commitment `json:"statement"`
}

// Withdrawn is a party's end of a link.
type Withdrawn struct {
	Ours      bool                 `json:"ours"`
	Since     *time.Time           `json:"since,omitzero" doc:"When the other side received it; absent until it has."`
	Reason    string               `json:"reason"`
	Statement statement.Commitment `json:"statement"`
}

// Suspension suspends lanes.
type Suspension struct {
	Lanes  []statement.Lane `json:"lanes" doc:"hotline, assistance, network, accord or dialogue; control is never suspended."`
	Reason string           `json:"reason" doc:"withheld, consultation, review, legal, security, technical, ended or other."`
	Words  string           `json:"words,omitempty" doc:"What else to say to the other party."`
}

// Resumption resumes lanes that we suspended.
type Resumption struct {
	Lanes []statement.Lane `json:"lanes"`
	Words string           `json:"words,omitempty" doc:"What else to say to the other party."`
}

// LinkWithdrawal ends our part in a link.
type LinkWithdrawal struct {
	Reason string `json:"reason" doc:"withheld, consultation, review, legal, security, technical, ended or other."`
	Words  string `json:"words,omitempty" doc:"What else to say to the other party."`
}

// Peer is the other party of a link.
type Peer struct {
	Party       party.ID          `json:"party"`
	Names       map[string]string `json:"names" doc:"As the peer says; show with care."`
	Fingerprint string            `json:"fingerprint"`
	Endpoint    string            `json:"endpoint" doc:"Where its node answers; empty when only it can reach us."`
	Version     int               `json:"version" doc:"Of its identity that stands."`
	Contested   bool              `json:"contested,omitzero" doc:"Whether two versions contest which follows it: nothing is said or taken until the peer's recovery quorum has signed one."`
	Compromised *time.Time        `json:"compromise_since,omitzero" doc:"Since when its keys before this version may have been in other hands."`
}

// Code is what two people compare before they confirm a link.
type Code struct {
	Digits string              `json:"digits"`
	Words  map[string][]string `json:"words" doc:"Six words by language."`
}

// Figures are the gauges of a link.
type Figures struct {
	OldestUnreceipted *time.Time `json:"oldest_unreceipted,omitzero" doc:"When our oldest parcel without a receipt was made."`
	Sending           int64      `json:"sending" doc:"Parcels without a receipt."`
	Unsaid            int64      `json:"unsaid" doc:"Our parcels of an epoch that has ended, which are to be said again."`
	Arriving          int64      `json:"arriving" doc:"Parcels of which segments are missing."`
	Unsettled         int64      `json:"unsettled" doc:"Parcels received and not opened yet."`
	Sent              int64      `json:"sent" doc:"Our parcels of a one-way link that left in a file and are kept to leave in another: they cannot be acknowledged."`
	Held              int64      `json:"held" doc:"Our registered statements that were acknowledged and whose key is still due."`
	Awaited           int64      `json:"awaited" doc:"The peer's registered statements that we acknowledged and whose key has not come."`
	UncosignedOwn     int64      `json:"uncosigned_own" doc:"Leaves of our ledger beyond the last cosigned head."`
	UncosignedPeer    int64      `json:"uncosigned_peer" doc:"Leaves of the peer's ledger that we have not cosigned."`
	CosignedAt        *time.Time `json:"cosigned_at,omitzero" doc:"When the peer last cosigned our ledger."`
	Gaps              int64      `json:"gaps" doc:"Holes in the sequences that the peer sent."`
}

// LinkFigures are the figures of one link among all.
type LinkFigures struct {
	Link    statement.LinkID `json:"link"`
	Alias   string           `json:"alias"`
	Figures Figures          `json:"figures"`
}

// Confirmation says that a named person compared the code.
type Confirmation struct {
	Method   string `json:"method" doc:"in_person, telephone, video or courier."`
	Person   string `json:"person"`
	Function string `json:"function"`
	Note     string `json:"note,omitempty"`
}

// Said names the statement that an act made.
type Said struct {
	Statement statement.Commitment `json:"statement"`
}

// Desk is a standing point of contact.
type Desk struct {
	ID        statement.Commitment  `json:"id" doc:"The commitment of its first proposal."`
	Link      statement.LinkID      `json:"link"`
	LinkAlias string                `json:"link_alias"`
	Owner     party.ID              `json:"owner"`
	Ours      bool                  `json:"ours"`
	State     string                `json:"state" doc:"proposed, active, withdrawn or expired."`
	Role      string                `json:"role"`
	Standing  string                `json:"standing" doc:"interim or permanent."`
	ValidFrom time.Time             `json:"valid_from"`
	ValidTo   *time.Time            `json:"valid_to,omitzero"`
	Latest    statement.Commitment  `json:"latest" doc:"Its newest proposal."`
	Active    *statement.Commitment `json:"active,omitzero" doc:"Its newest countersigned proposal."`
	Body      *statement.DeskBody   `json:"body,omitzero" doc:"Absent when it was erased."`
}

// DeskProposal proposes a desk, or another edition of one.
type DeskProposal struct {
	Role      string             `json:"role" doc:"hotline, requests, network_protection, liaison, legal or dialogue."`
	Standing  string             `json:"standing" doc:"interim or permanent."`
	ValidFrom time.Time          `json:"valid_from,omitzero" doc:"Now without it."`
	ValidTo   *time.Time         `json:"valid_to,omitzero" doc:"Required of an interim desk."`
	Body      statement.DeskBody `json:"body"`
}

// NewDesk proposes a desk on a link.
type NewDesk struct {
	Link     string       `json:"link" doc:"Alias, id, or a prefix of the id."`
	Proposal DeskProposal `json:"proposal"`
}

// Withdrawal ends a desk.
type Withdrawal struct {
	Reason string `json:"reason" doc:"A code."`
}

// Draft is what a client asks to send; its files follow as parts of their own.
type Draft struct {
	Link    string                 `json:"link" doc:"Alias, id, or a prefix of the id."`
	Lane    statement.Lane         `json:"lane"`
	Kind    string                 `json:"kind"`
	Thread  *statement.Commitment  `json:"thread,omitzero" doc:"Absent in a thread's first statement."`
	Refs    []statement.Commitment `json:"refs,omitempty"`
	Zone    string                 `json:"zone,omitempty" doc:"IANA name of the time zone; UTC without it."`
	Urgency string                 `json:"urgency,omitempty" doc:"emergency, urgent or routine."`
	ReplyBy *time.Time             `json:"reply_by,omitzero"`
	Marking handling.Marking       `json:"marking"`
	Face    jsontext.Value         `json:"face"`
	Body    jsontext.Value         `json:"body"`

	Registered bool `json:"registered,omitzero" doc:"Whether the key is withheld until the peer has acknowledged the parcel."`

	Originator string `json:"originator,omitempty" doc:"Whose information it is: own, which is also meant without it, or a party's id. It does not leave."`
	Consent    *bool  `json:"originator_consent,omitzero" doc:"Whether the originator agrees that it is passed on. It does not leave."`
}

// Statement is what one party said.
type Statement struct {
	Commitment statement.Commitment   `json:"commitment"`
	Link       statement.LinkID       `json:"link"`
	LinkAlias  string                 `json:"link_alias"`
	Author     party.ID               `json:"author"`
	Ours       bool                   `json:"ours"`
	Lane       statement.Lane         `json:"lane"`
	Epoch      uint32                 `json:"epoch"`
	Seq        uint64                 `json:"seq"`
	Thread     statement.Commitment   `json:"thread"`
	Refs       []statement.Commitment `json:"refs,omitempty"`
	Kind       string                 `json:"kind,omitempty" doc:"Absent while the key of a registered statement is awaited."`
	Authored   time.Time              `json:"authored" doc:"Of a statement whose key is awaited: when its parcel was made."`
	Zone       string                 `json:"zone,omitempty"`
	Urgency    string                 `json:"urgency,omitempty"`
	ReplyBy    *time.Time             `json:"reply_by,omitzero"`
	Marking    handling.Marking       `json:"marking"`
	Face       jsontext.Value         `json:"face,omitempty"`
	Body       jsontext.Value         `json:"body,omitempty" doc:"Absent when it was erased, or when its key is not here."`
	Erased     *time.Time             `json:"erased,omitzero"`
	State      string                 `json:"state" doc:"How far its parcel has come: unsaid, sending, arriving, received, held (a registered one that was acknowledged), opened, refused or rejected; or, of ours on a one-way link, sent (it left in a file and cannot be acknowledged) or gone (nor is anything kept to be carried again). Of a registered statement whose key was sent: that of the grant."`
	Unanswered bool                   `json:"cannot_be_acknowledged,omitzero" doc:"That it was said over a link that goes one way, so that no receipt comes."`
	Reason     string                 `json:"reason,omitempty" doc:"Why it was refused or rejected; a code."`
	Received   *time.Time             `json:"received,omitzero" doc:"The addressee's log time."`
	Expires    *time.Time             `json:"expires,omitzero"`
	Verdict    string                 `json:"verdict,omitempty" doc:"folded, deferred (registered: it folds when its key has come), or void with a code."`
	Registered *Registered            `json:"registered,omitzero" doc:"Present if it was sent registered."`
	Files      []File                 `json:"files,omitempty"`
	Suspect    *Suspicion             `json:"suspect,omitzero" doc:"That its author's keys may have been in other hands; it changes nothing else."`
	Erasures   []Erasure              `json:"erasures,omitempty" doc:"Which parties told each other that they erased it on their own side; only when one statement is asked for."`
}

// Registered says how far the key of a registered statement has come.
type Registered struct {
	Parcel       envelope.ID `json:"parcel" doc:"The registered parcel."`
	Acknowledged *time.Time  `json:"acknowledged,omitzero" doc:"When the addressee acknowledged the parcel, by its log."`
	Key          string      `json:"key" doc:"withheld (not acknowledged yet), due (acknowledged; the key follows), sent, awaited (by us), taken, refused, or lapsed (the statement expired before)."`
}

// Suspicion is a party's word that its keys may have been in other hands when something was signed.
type Suspicion struct {
	Since   time.Time `json:"since"`
	Version int       `json:"version" doc:"Of the party's identity, which says so."`
}

// Erasure is a party's word that it erased a statement on its own side.
type Erasure struct {
	Ours   bool                 `json:"ours"`
	At     time.Time            `json:"at"`
	Reason string               `json:"reason" doc:"retention, order or agreement."`
	Notice statement.Commitment `json:"notice" doc:"The statement that says so."`
}

// EraseOrder erases a statement's body, files and key.
type EraseOrder struct {
	Reason string `json:"reason" doc:"retention, order or agreement."`
	Tell   bool   `json:"tell,omitzero" doc:"Whether the other party is told; its own copy is its own matter."`
}

// Erased is what an erasure did.
type Erased struct {
	Statement statement.Commitment  `json:"statement"`
	At        time.Time             `json:"at" doc:"Of the first erasure."`
	Notice    *statement.Commitment `json:"notice,omitzero" doc:"The statement that tells the other party, if it was said now."`
}

// File is a file of a statement.
type File struct {
	Position int           `json:"position"`
	Name     string        `json:"name" doc:"As its author said; show with care."`
	Media    string        `json:"media"`
	Size     int64         `json:"size"`
	SHA256   envelope.Hash `json:"sha256"`
	State    string        `json:"state" doc:"waiting, stored, failed, erasing (what is left is being removed) or erased."`
	Reason   string        `json:"reason,omitempty" doc:"Why it failed; a code."`
	Parcel   envelope.ID   `json:"parcel"`
	Progress string        `json:"parcel_state,omitempty" doc:"How far its parcel has come: sending, arriving, received, opened…"`
	Segments int64         `json:"segments"`
	Have     int64         `json:"have" doc:"Segments that have come to the addressee, as far as this node knows."`
}

// Receipt is a signed receipt.
type Receipt struct {
	Hash    envelope.Hash  `json:"hash"`
	Receipt parcel.Receipt `json:"receipt"`
	Suspect *Suspicion     `json:"suspect,omitzero" doc:"That the addressee's keys may have been in other hands; it changes nothing else."`
}

// Keys are this node's identity and what its keys are for.
type Keys struct {
	Party    party.ID     `json:"party"`
	Storage  string       `json:"storage" doc:"Where the keys of the version in force lie: software, tpm or hsm."`
	Versions []KeyVersion `json:"versions" doc:"Oldest first; the last one is in force."`
	Recovery Quorum       `json:"recovery"`
	Prepared []byte       `json:"prepared,omitempty" doc:"The document that waits for the recovery quorum's signatures."`
	Forged   int          `json:"forged,omitzero" doc:"Versions of this identity that peers were shown and this node did not make."`
}

// KeyVersion is one version of an identity.
type KeyVersion struct {
	Version     int           `json:"version"`
	Hash        envelope.Hash `json:"hash"`
	NotBefore   time.Time     `json:"not_before"`
	NotAfter    time.Time     `json:"not_after"`
	Recovered   bool          `json:"recovered,omitzero" doc:"Whether the recovery quorum signed it."`
	Compromised *time.Time    `json:"compromise_since,omitzero" doc:"Since when the keys before it may have been in other hands."`
	Signs       bool          `json:"signs" doc:"Whether its keys sign: statements, receipts, checkpoints and cosignatures."`
	Opens       bool          `json:"opens" doc:"Whether its keys open what was sealed for it."`
	OverlapEnd  *time.Time    `json:"overlap_end,omitzero" doc:"When its keys are destroyed, or were to be."`
	Destroyed   *time.Time    `json:"destroyed,omitzero" doc:"When they were."`
}

// Quorum is how many of the recovery keys must sign.
type Quorum struct {
	Need int `json:"need"`
	Of   int `json:"of"`
}

// Renewal asks for a new version of the identity; what is absent stays as it is.
type Renewal struct {
	Names       map[string]string `json:"names,omitempty"`
	Authority   string            `json:"authority,omitempty"`
	Validity    int64             `json:"validity,omitzero" doc:"Seconds."`
	Compromised *time.Time        `json:"compromise_since,omitzero" doc:"Since when the keys so far may have been in other hands."`
	Recovery    *party.Recovery   `json:"recovery,omitzero" doc:"New recovery keys; only where the quorum signs."`
}

// Prepared is what the recovery quorum is to sign.
type Prepared struct {
	Document []byte `json:"document"`
}

// Signed are copies of what was prepared, each signed by one or more recovery keys.
type Signed struct {
	Documents [][]byte `json:"documents"`
}

// Leaf is one entry of a ledger.
type Leaf struct {
	Party party.ID       `json:"party"`
	Epoch uint32         `json:"epoch"`
	Index int64          `json:"index"`
	Leaf  jsontext.Value `json:"leaf" doc:"What it says."`
	Bytes []byte         `json:"bytes" doc:"Its exact bytes, which the ledger commits to."`
}

// Verification is what verifying both ledgers of a link found.
type Verification struct {
	OK          bool         `json:"ok" doc:"No fault in a ledger and no evidence of a lie; differences are traffic under way."`
	Evidence    int          `json:"evidence" doc:"How many lies were kept."`
	Logs        []LogReport  `json:"logs"`
	Differences []Difference `json:"differences"`
}

// LogReport is what was found in one ledger.
type LogReport struct {
	Party      party.ID      `json:"party"`
	Epoch      uint32        `json:"epoch"`
	Size       int64         `json:"size"`
	Root       envelope.Hash `json:"root"`
	Cosigned   int64         `json:"cosigned"`
	CosignedAt *time.Time    `json:"cosigned_at,omitzero"`
	Faults     []string      `json:"faults"`
}

// Witnessing is what third parties are told of our ledger of a link, and what they cosigned.
type Witnessing struct {
	Origin    string    `json:"origin" doc:"The ledger's name, by which a witness knows it."`
	Keys      []string  `json:"keys" doc:"The ledger's verifier keys, Ed25519 and ML-DSA-44; a witness needs one of them."`
	Size      int64     `json:"size" doc:"Leaves that the other party has cosigned: no witness is shown more."`
	Witnesses []Witness `json:"witnesses"`
}

// Witness is a third party that is asked to cosign our ledgers, or was.
type Witness struct {
	ID         string     `json:"id" doc:"Its name and the id of its key."`
	URL        string     `json:"url" doc:"Where it is asked; empty when it is asked no more."`
	Cosigned   int64      `json:"cosigned" doc:"Leaves that it has cosigned."`
	CosignedAt *time.Time `json:"cosigned_at,omitzero" doc:"When, by our clock."`
	Code       string     `json:"code,omitempty" doc:"Of what went wrong last."`
	Trouble    string     `json:"trouble,omitempty" doc:"The same in a sentence."`
}

// Difference is an entry in one ledger that lacks its counterpart in the other.
type Difference struct {
	Author party.ID      `json:"author"`
	Kind   string        `json:"kind" doc:"not_got: sent and not in the other ledger; not_sent: got and not in the author's."`
	Lane   string        `json:"lane"`
	Seq    uint64        `json:"seq"`
	Header envelope.Hash `json:"header"`
	Age    int64         `json:"age" doc:"Seconds."`
}

// Cut is a pair of cosigned sizes.
type Cut struct {
	Sizes map[party.ID]int64 `json:"sizes" doc:"Size of each party's ledger, by party id."`
}

// String names the cut as a query does: party:size,party:size, in the order of the ids.
func (c Cut) String() string {
	sizes := make([]string, 0, len(c.Sizes))
	for p, size := range c.Sizes {
		sizes = append(sizes, p.String()+":"+strconv.FormatInt(size, 10))
	}
	slices.Sort(sizes)
	return strings.Join(sizes, ",")
}

// Fold is the hash of what lies under a cut.
type Fold struct {
	Sizes   map[party.ID]int64 `json:"sizes"`
	Hash    envelope.Hash      `json:"hash"`
	Columns int                `json:"columns"`
}

// Audit is one line of the local log of what members did.
type Audit struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Act    string    `json:"act"`
	Object string    `json:"object"`
}

// Evidence is a lie that was kept.
type Evidence struct {
	Link statement.LinkID `json:"link"`
	Kind string           `json:"kind"`
	At   time.Time        `json:"at"`
	Note string           `json:"note"`
	Data []byte           `json:"data"`
}

// Check is one thing that the node examined about itself.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty" doc:"What to do when it is not well."`
}

// BackupRequest asks for a backup.
type BackupRequest struct {
	To string `json:"to" doc:"A path on the node's machine that does not exist yet."`
}

// Backup is a backup that was made.
type Backup struct {
	To    string `json:"to"`
	Bytes int64  `json:"bytes"`
	Files int    `json:"files"`
}

// Progress is how far a long call has come.
type Progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total" doc:"0 while it is not known."`
}

// List is one page; Next is the cursor of the page after it.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Give it as before, from or after, as the list takes it, to read on; absent on the last page."`
}
