package member

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/statement"
)

// DraftState is what became of a draft.
type DraftState string

// The states of a draft.
const (
	Incomplete DraftState = "incomplete" // its form has faults
	Ready      DraftState = "ready"      // nobody else has to release it: whoever may write may send it
	Waiting    DraftState = "waiting"    // for a second person
	Refused    DraftState = "refused"    // by a second person; an edit makes it wait again
	Sent       DraftState = "sent"
	Discarded  DraftState = "discarded"
)

// Draft is what was written and has not left. Its words and files lie sealed beside it, until it was sent or discarded.
type Draft struct {
	ID      envelope.ID
	Link    statement.LinkID
	Kind    string
	Thread  *statement.Commitment // nil if it would begin one
	Urgency string
	Writers []string // who wrote it, and who changed it
	State   DraftState
	Need    string // who must release it, as package handling names it
	Version int64  // from 1; each edit is another
	Digest  envelope.Hash
	Created int64
	Changed int64

	Statement   *statement.Commitment // once it was sent
	BrokenGlass string                // who sent it alone; "" if two did
	Countersign string                // who countersigned that later
}

// Verdict is what a second person said of a version of a draft.
type Verdict string

// The verdicts.
const (
	Reviewed      Verdict = "reviewed" // looked at, and found good
	RefusedIt     Verdict = "refused"
	ReleasedIt    Verdict = "released"
	BrokeGlass    Verdict = "broke_glass"
	Countersigned Verdict = "countersigned"
)

// Review is one verdict.
type Review struct {
	Draft   envelope.ID
	Version int64
	Who     string
	Verdict Verdict
	Note    string
	At      int64
}

// MaxDrafts bounds the drafts of one writer that were neither sent nor discarded.
const MaxDrafts = 1000

const maxReason = 2000 // bytes of a note

// CheckNote refuses a note that is too long, or missing where there must be one.
func CheckNote(note string, must bool) error {
	if must && strings.TrimSpace(note) == "" {
		return fault.New(fault.Invalid, "note", "Say why.")
	}
	if len(note) > maxReason {
		return fault.New(fault.TooLarge, "note", fmt.Sprintf("The note may have %d bytes at most.", maxReason))
	}
	return nil
}

// Open says whether a draft can still become anything.
func (d Draft) Open() bool { return d.State != Sent && d.State != Discarded }

// Settled gives a draft the state that follows from its faults and from who must release it.
func (d Draft) Settled(faults int) Draft {
	switch {
	case faults > 0:
		d.State = Incomplete
	case d.Need == handling.ReleaseNone:
		d.State = Ready
	default:
		d.State = Waiting
	}
	return d
}

// second refuses who wrote the draft: the second pair of eyes belongs to a second person.
func (d Draft) second(who actor.Actor) error {
	if slices.Contains(d.Writers, who.Name) {
		return fault.New(fault.Forbidden, "second_person", "You wrote this, or changed it; somebody else must look at it.")
	}
	return nil
}

// Reviewable refuses a review by who wrote the draft, or of what does not wait for one.
func (d Draft) Reviewable(who actor.Actor) error {
	if d.State != Waiting && d.State != Ready {
		return d.not("reviewed")
	}
	return d.second(who)
}

// Releasable refuses a release by who wrote the draft, by who has not the role that is needed, or of what does not wait for one.
func (d Draft) Releasable(who actor.Actor) error {
	if d.State != Waiting {
		return d.not("released")
	}
	if err := d.second(who); err != nil {
		return err
	}
	return d.releaser(who)
}

func (d Draft) releaser(who actor.Actor) error {
	if d.Need == handling.ReleaseReleasingOfficer && !slices.Contains(who.Roles, actor.ReleasingOfficer) {
		return fault.New(fault.Forbidden, "releasing_officer", "The rules of this link ask that a releasing officer releases this.")
	}
	return nil
}

// Breakable refuses to send alone what is no emergency, or does not wait for a second person.
func (d Draft) Breakable() error {
	if d.State != Waiting {
		return d.not("sent alone")
	}
	if d.Urgency != "emergency" {
		return fault.New(fault.Forbidden, "no_emergency", "Only an emergency is sent by one person; mark it so if it is one, or let a second person release it.")
	}
	return nil
}

// Countersignable refuses a countersignature by who broke the glass or wrote it, or where nothing waits for one.
func (d Draft) Countersignable(who actor.Actor) error {
	if d.BrokenGlass == "" || d.Countersign != "" {
		return fault.New(fault.Conflict, "countersigned", "Nothing waits for a countersignature here; see \"entente release list\".")
	}
	if d.BrokenGlass == who.Name {
		return fault.New(fault.Forbidden, "second_person", "You sent this alone; somebody else must countersign it.")
	}
	if err := d.second(who); err != nil {
		return err
	}
	return d.releaser(who)
}

func (d Draft) not(done string) error {
	return fault.New(fault.Conflict, "draft_state", fmt.Sprintf("This draft is %s, so it cannot be %s; see \"entente release show %s\".", d.State, done, d.ID.String()[:8]))
}

// DraftFilter narrows a list of drafts.
type DraftFilter struct {
	State DraftState // "": those that are open, and those that wait for a countersignature
	Alone bool       // of those without a state: only what left on one person's word
	After *DraftCursor
	Limit int
}

// DraftCursor is a draft where a page ended: the next page begins with the one after it in the list's order.
type DraftCursor struct {
	Changed int64
	ID      envelope.ID
}

// DraftTx is what the store keeps of drafts.
type DraftTx interface {
	PutDraft(ctx context.Context, d Draft) error                      // insert or update by ID
	Draft(ctx context.Context, prefix string) ([]Draft, error)        // by the first digits of the id, at most two
	Drafts(ctx context.Context, f DraftFilter) ([]Draft, error)       // changed last first
	OpenDrafts(ctx context.Context, writer string) (int, error)       // of those that one wrote first
	PutReview(ctx context.Context, r Review) error                    // appends
	Reviews(ctx context.Context, draft envelope.ID) ([]Review, error) // oldest first
	// PutDraftBody keeps the sealed words of a draft and names the blobs of its files; DraftBody reads them, DropDraftBody removes
	// words and key, and gives the blobs, which are the caller's to remove.
	PutDraftBody(ctx context.Context, id envelope.ID, sealed, key []byte, blobs []string) error
	DraftBody(ctx context.Context, id envelope.ID) (sealed, key []byte, err error)
	DropDraftBody(ctx context.Context, id envelope.ID) (blobs []string, err error)
}
