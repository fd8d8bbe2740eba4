// Package api is the door for programs: a REST interface under /api/v1, described by an OpenAPI 3.1 document
// that is made from the same table as the routes. The commands of this binary come in here, through the node's
// Unix socket.
//
// It promises that a request is decoded strictly and within limits, that every failure is rendered by one
// function as a problem document (RFC 9457) which never shows an inner cause, and that files pass through as
// streams. It refuses to decide anything: each handler parses, calls an act of the house, and renders.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"entente/envelope"
	"entente/internal/accord"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"
)

// Prefix stands before every path of the table.
const Prefix = "/api/v1"

// Limits on what a client may send.
const (
	MaxJSON   = 256 << 10                         // a JSON body
	MaxDraft  = statement.MaxBody + 256<<10       // the draft part of a statement to send
	maxList   = 500                               // items of one page
	listUsual = 50                                // items when the client names no limit
	maxAgree  = int64(366 * 24 * time.Hour / 1e9) // seconds an invitation may be valid
)

// Linker is the house's acts about links.
type Linker interface {
	Self() *party.Chain
	Invite(ctx context.Context, who actor.Actor, alias string, offer statement.Agreement, valid time.Duration) (*flow.Invitation, error)
	PairByFile(ctx context.Context, who actor.Actor, alias string, inv *flow.Invitation) ([]byte, error)
	PairOn(ctx context.Context, who actor.Actor, f *flow.PairFile) (statement.LinkID, []byte, error)
	Confirm(ctx context.Context, who actor.Actor, link statement.LinkID, method, person, function, note string) (statement.Commitment, error)
	Agree(ctx context.Context, who actor.Actor, link statement.LinkID, edition string, proposal envelope.Hash) (statement.Commitment, error)
	SuspendLanes(ctx context.Context, who actor.Actor, link statement.LinkID, lanes []statement.Lane, reason, words string) (statement.Commitment, error)
	ResumeLanes(ctx context.Context, who actor.Actor, link statement.LinkID, lanes []statement.Lane, words string) (statement.Commitment, error)
	Withdraw(ctx context.Context, who actor.Actor, link statement.LinkID, reason, words string) (statement.Commitment, error)
	Links(ctx context.Context, who actor.Actor) ([]flow.LinkView, error)
	FindLink(ctx context.Context, who actor.Actor, name string) (flow.LinkView, error)
	LinkID(ctx context.Context, who actor.Actor, name string) (statement.LinkID, error)
	Desks(ctx context.Context, who actor.Actor, link *statement.LinkID) ([]flow.DeskView, error)
	DesksToChange(ctx context.Context, who actor.Actor) ([]flow.DeskView, error)
}

// Speaker is the house's acts about what is said.
type Speaker interface {
	Send(ctx context.Context, who actor.Actor, d flow.Draft, p flow.Progress) (statement.Commitment, error)
	List(ctx context.Context, who actor.Actor, f exchange.Filter) ([]flow.StatementView, error)
	Awaited(ctx context.Context, who actor.Actor, link *statement.LinkID) ([]flow.StatementView, error)
	Show(ctx context.Context, who actor.Actor, c string) (flow.StatementView, error)
	Erase(ctx context.Context, who actor.Actor, name string, o flow.EraseOrder) (flow.Erased, error)
	WriteFile(ctx context.Context, who actor.Actor, c statement.Commitment, position int, w io.Writer) error
	Proof(ctx context.Context, who actor.Actor, name string, withBody bool) ([]byte, error)
}

// Keeper is the house's acts about the ledgers and what else was kept.
type Keeper interface {
	Ledger(ctx context.Context, who actor.Actor, link statement.LinkID, p party.ID, epoch uint32, from int64, limit int) ([]flow.LedgerEntry, error)
	VerifyLedger(ctx context.Context, who actor.Actor, link statement.LinkID, p flow.Progress) (*flow.LedgerReport, error)
	CommonCut(ctx context.Context, link statement.LinkID) (flow.Cut, error)
	FoldHash(ctx context.Context, link statement.LinkID, c flow.Cut) (envelope.Hash, int, error)
	StatusReport(ctx context.Context, who actor.Actor, link statement.LinkID, period accord.Period, cut *flow.Cut) (accord.Report, error)
	Evidence(ctx context.Context, who actor.Actor, link *statement.LinkID, limit int) ([]exchange.Evidence, error)
}

// Carrier is the house's acts about courier files.
type Carrier interface {
	Pack(ctx context.Context, who actor.Actor, link statement.LinkID, again bool, w io.Writer) error
	Unpack(ctx context.Context, who actor.Actor, r io.Reader, begin func() (io.Writer, error)) error
}

// Keyholder is the house's acts about its own keys.
type Keyholder interface {
	Keys(ctx context.Context, who actor.Actor) (flow.OwnKeys, error)
	Rotate(ctx context.Context, who actor.Actor, r flow.Renewal) error
	PrepareRecovery(ctx context.Context, who actor.Actor, r flow.Renewal) ([]byte, error)
	FinishRecovery(ctx context.Context, who actor.Actor, signed [][]byte) error
	CancelRecovery(ctx context.Context, who actor.Actor) error
}

// House is what this door needs of flow.House.
type House interface {
	Keyholder
	Carrier
	Requester
	Caller
	Holder
	Investigator
	Registrar
	Notifier
	Releaser
	Repeater
	Linker
	Speaker
	Keeper
}

// Operator is what the node itself supplies: acts that need the network, the disk or the process. Each of them
// checks the actor's role, as acts of the house do.
type Operator interface {
	// Accept plays the invitee's part of a pairing against the inviter's node.
	Accept(ctx context.Context, who actor.Actor, alias string, inv *flow.Invitation) (statement.LinkID, error)
	// LinkMade lets the node take up a link that was made without the network.
	LinkMade()
	// Backup writes a backup to a path on the node's machine, which must not exist yet.
	Backup(ctx context.Context, who actor.Actor, to string, p flow.Progress) (Backup, error)
	Doctor(ctx context.Context, who actor.Actor) ([]Check, error)
	// Witnesses is what third parties are told of our ledger of a link, and what they cosigned.
	Witnesses(ctx context.Context, who actor.Actor, link statement.LinkID) (Witnessing, error)
	// Spool keeps a courier file until it is removed; nothing of it lies readable on the disk.
	Spool(r io.Reader) (Spooled, error)
}

// Spooled is an uploaded file.
type Spooled interface {
	Open() (io.ReadCloser, error)
	Remove() error
}

// Config is what a Door is built from; every member is required.
type Config struct {
	House    House
	Operator Operator
	Actor    func(*http.Request) (actor.Actor, error) // who is calling
	Now      func() time.Time
	Log      *slog.Logger
	Release  string // the version of this program, for self
	Endpoint string // where peers reach us, for self
}

// Door serves the table of routes. It is safe for concurrent use.
type Door struct {
	house    House
	op       Operator
	who      func(*http.Request) (actor.Actor, error)
	now      func() time.Time
	log      *slog.Logger
	release  string
	endpoint string
	mux      *http.ServeMux
}

// New builds the door.
func New(c Config) *Door {
	d := &Door{
		house: c.House, op: c.Operator, who: c.Actor, now: c.Now, log: c.Log,
		release: c.Release, endpoint: c.Endpoint, mux: http.NewServeMux(),
	}
	d.mount()
	return d
}

// zoneOf is the time zone that a statement carries when its draft names none.
const zoneOf = "UTC"
