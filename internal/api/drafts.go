package api

import (
	"context"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/party"
	"entente/statement"
)

// Releaser is the house's acts about drafts and their release.
type Releaser interface {
	Drafts(ctx context.Context, who actor.Actor, f member.DraftFilter) ([]flow.DraftView, error)
	Draft(ctx context.Context, who actor.Actor, name string) (flow.DraftDetail, error)
	EditDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, e flow.DraftEdit) (member.Draft, error)
	DiscardDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash) (member.Draft, error)
	ReviewDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, good bool, note string) (member.Draft, error)
	SubmitDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, p flow.Progress) (flow.Asked, error)
	Release(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, passphrase string, p flow.Progress) (flow.Asked, error)
	BreakGlass(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, passphrase, reason string, p flow.Progress) (flow.Asked, error)
	Countersign(ctx context.Context, who actor.Actor, name, passphrase, note string) (member.Draft, error)
}

// KeptDraft is a draft as it is listed.
type KeptDraft struct {
	ID      envelope.ID           `json:"id"`
	Link    string                `json:"link"`
	Kind    string                `json:"kind"`
	Thread  *statement.Commitment `json:"thread,omitzero"`
	Urgency string                `json:"urgency"`
	Writers []string              `json:"writers" doc:"Who wrote it, and who changed it: none of them may release it."`
	State   member.DraftState     `json:"state" doc:"incomplete, ready, waiting, refused, sent or discarded."`
	Need    string                `json:"need" doc:"Who must release it: none, second_person or releasing_officer."`
	Version int64                 `json:"version"`
	Digest  envelope.Hash         `json:"digest" doc:"Of this version: what an If-Match names, as an entity tag."`
	Created time.Time             `json:"created"`
	Changed time.Time             `json:"changed"`

	Statement     *statement.Commitment `json:"statement,omitzero" doc:"Once it was sent."`
	BrokenGlass   string                `json:"broken_glass,omitempty" doc:"Who sent it alone."`
	Countersigned string                `json:"countersigned,omitempty" doc:"Who countersigned that."`
}

// DraftDetail is a draft with exactly what would leave, and who would see it.
type DraftDetail struct {
	Draft   KeptDraft         `json:"draft"`
	Content *DraftContent     `json:"content,omitzero" doc:"Absent once it was sent or discarded."`
	Faults  []FieldFault      `json:"faults,omitempty" doc:"What keeps it from being complete."`
	Blocked []Reason          `json:"blocked,omitempty" doc:"Why it may not leave as it is marked."`
	Notes   []string          `json:"notes,omitempty" doc:"What a person should look at."`
	Earlier []EarlierRequest  `json:"earlier,omitempty" doc:"Requests of ours that asked the same party about the same; one of the notes says so."`
	To      party.ID          `json:"to"`
	Peer    map[string]string `json:"peer,omitempty" doc:"Who would see it: the other party's names, by language."`
	Desk    string            `json:"desk,omitempty" doc:"Of the other party."`
	Officer string            `json:"officer,omitempty" doc:"What would cross of who releases it: name, role or nothing."`
	Reviews []DraftReview     `json:"reviews"`
}

// DraftContent is what would leave, but for the number, the time and the salts that it gets then.
type DraftContent struct {
	Lane       statement.Lane         `json:"lane"`
	Thread     *statement.Commitment  `json:"thread,omitzero"`
	Refs       []statement.Commitment `json:"refs,omitempty"`
	Zone       string                 `json:"zone"`
	ReplyBy    *time.Time             `json:"reply_by,omitzero"`
	Marking    handling.Marking       `json:"marking"`
	Face       jsontext.Value         `json:"face"`
	Body       jsontext.Value         `json:"body"`
	Registered bool                   `json:"registered,omitzero"`
	Files      []DraftFile            `json:"files"`
}

// DraftFile is a file that would leave.
type DraftFile struct {
	Name   string        `json:"name"`
	Media  string        `json:"media"`
	Size   int64         `json:"size"`
	SHA256 envelope.Hash `json:"sha256"`
}

// Reason is one reason why something may not leave.
type Reason struct {
	Code     string `json:"code"`
	Sentence string `json:"sentence"`
}

// DraftReview is what a second person said of a version.
type DraftReview struct {
	Version int64          `json:"version"`
	Who     string         `json:"who"`
	Verdict member.Verdict `json:"verdict" doc:"reviewed, refused, released, broke_glass or countersigned."`
	Note    string         `json:"note,omitempty"`
	At      time.Time      `json:"at"`
}

// DraftChange is put in place of what a draft says; what is absent stays.
type DraftChange struct {
	Marking *handling.Marking `json:"marking,omitzero"`
	Face    jsontext.Value    `json:"face,omitempty"`
	Body    jsontext.Value    `json:"body,omitempty"`
	Urgency string            `json:"urgency,omitempty"`
	ReplyBy *time.Time        `json:"reply_by,omitzero"`
	Consent *bool             `json:"originator_consent,omitzero"`
}

// NewReview is what a reviewer finds.
type NewReview struct {
	Good bool   `json:"good"`
	Note string `json:"note,omitempty" doc:"Needed for a refusal."`
}

// Confirmed confirms an act by the member's passphrase.
type Confirmed struct {
	Passphrase string `json:"passphrase"`
	Note       string `json:"note,omitempty" doc:"Why; needed where one person sends alone."`
}

// Sent is a draft that left.
type Sent struct {
	Statement statement.Commitment `json:"statement"`
	Number    string               `json:"number,omitempty" doc:"Of a request."`
	Warnings  []string             `json:"warnings,omitempty"`
	Earlier   []EarlierRequest     `json:"earlier,omitempty" doc:"Requests of ours that asked the same party about the same; one of the warnings says so."`
}

func keptOf(d member.Draft, alias string) KeptDraft {
	return KeptDraft{ID: d.ID, Link: alias, Kind: d.Kind, Thread: d.Thread, Urgency: d.Urgency, Writers: d.Writers, State: d.State, Need: d.Need,
		Version: d.Version, Digest: d.Digest, Created: instant(d.Created), Changed: instant(d.Changed), Statement: d.Statement,
		BrokenGlass: d.BrokenGlass, Countersigned: d.Countersign}
}

type draftsIn struct {
	State string `query:"state" doc:"Only those in one state; without it those that are open, and what waits for a countersignature."`
	After string `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit int    `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

func (d *Door) drafts(ctx context.Context, who actor.Actor, in draftsIn) (List[KeptDraft], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[KeptDraft]{}, err
	}
	f := member.DraftFilter{State: member.DraftState(in.State), Limit: limit}
	if in.After != "" {
		at, id, err := parseCursor(in.After, len(envelope.ID{}))
		if err != nil {
			return List[KeptDraft]{}, err
		}
		f.After = &member.DraftCursor{Changed: at, ID: envelope.ID(id)}
	}
	views, err := d.house.Drafts(ctx, who, f)
	if err != nil {
		return List[KeptDraft]{}, err
	}
	out := List[KeptDraft]{Items: []KeptDraft{}}
	for _, v := range views {
		out.Items = append(out.Items, keptOf(v.Draft, v.LinkAlias))
	}
	if n := len(views); n == limit {
		out.Next = cursorAt(views[n-1].Changed, views[n-1].ID[:])
	}
	return out, nil
}

type draftIn struct {
	Draft string `path:"draft" doc:"Its id, or at least 8 digits of it."`
}

func (d *Door) draft(ctx context.Context, who actor.Actor, in draftIn) (DraftDetail, error) {
	v, err := d.house.Draft(ctx, who, in.Draft)
	if err != nil {
		return DraftDetail{}, err
	}
	out := DraftDetail{Draft: keptOf(v.Draft, v.LinkAlias), To: v.To, Peer: v.Peer, Desk: v.Desk, Officer: v.Officer, Notes: v.Notes, Earlier: earlierOf(v.Earlier), Reviews: []DraftReview{}}
	for _, f := range v.Faults {
		out.Faults = append(out.Faults, FieldFault{Where: f.Where, What: f.What, Write: labelOf(f.Write)})
	}
	for _, r := range v.Blocked {
		out.Blocked = append(out.Blocked, Reason(r))
	}
	for _, r := range v.Reviews {
		out.Reviews = append(out.Reviews, DraftReview{Version: r.Version, Who: r.Who, Verdict: r.Verdict, Note: r.Note, At: instant(r.At)})
	}
	if t := v.Text; v.Open() {
		out.Content = &DraftContent{Lane: t.Lane, Thread: t.Thread, Refs: t.Refs, Zone: t.Zone, Marking: t.Marking, Face: t.Face, Body: t.Body,
			Registered: t.Registered, Files: []DraftFile{}}
		if t.ReplyBy != nil {
			out.Content.ReplyBy = maybe(*t.ReplyBy)
		}
		for _, f := range v.Files {
			out.Content.Files = append(out.Content.Files, DraftFile(f))
		}
	}
	return out, nil
}

// tag is the entity tag of a draft's version.
func (d DraftDetail) tag() string { return `"` + d.Draft.Digest.String() + `"` }

func (d KeptDraft) tag() string { return `"` + d.Digest.String() + `"` }

// EntityTag is a strong entity tag (RFC 9110, section 8.8.3) around a digest.
type EntityTag envelope.Hash

// UnmarshalText reads one tag. A list, a weak tag and * are refused: what leaves must have been seen.
func (e *EntityTag) UnmarshalText(text []byte) error {
	n := len(text)
	if n < 2 || text[0] != '"' || text[n-1] != '"' {
		return fault.New(fault.Invalid, "if_match", "Send If-Match with the entity tag of the draft, in quotation marks.")
	}
	h, err := envelope.ParseHash(string(text[1 : n-1]))
	*e = EntityTag(h)
	return err
}

// MarshalText writes it.
func (e EntityTag) MarshalText() ([]byte, error) {
	return []byte(`"` + envelope.Hash(e).String() + `"`), nil
}

type changeDraftIn struct {
	Draft string      `path:"draft"`
	Match EntityTag   `header:"If-Match" doc:"The entity tag of the version that was seen."`
	Body  DraftChange `body:"json"`
}

func (d *Door) editDraft(ctx context.Context, who actor.Actor, in changeDraftIn) (KeptDraft, error) {
	e := flow.DraftEdit{Marking: in.Body.Marking, Face: in.Body.Face, Body: in.Body.Body, Urgency: in.Body.Urgency, Consent: in.Body.Consent}
	if in.Body.ReplyBy != nil {
		at := in.Body.ReplyBy.UnixMicro()
		e.ReplyBy = &at
	}
	m, err := d.house.EditDraft(ctx, who, in.Draft, envelope.Hash(in.Match), e)
	return d.kept(ctx, who, m, err)
}

// kept names the link of a draft that was changed.
func (d *Door) kept(ctx context.Context, who actor.Actor, m member.Draft, err error) (KeptDraft, error) {
	if err != nil {
		return KeptDraft{}, err
	}
	link, err := d.house.FindLink(ctx, who, m.Link.String())
	return keptOf(m, link.Alias), err
}

type oneDraftIn struct {
	Draft string    `path:"draft"`
	Match EntityTag `header:"If-Match" doc:"The entity tag of the version that was seen."`
}

func (d *Door) discardDraft(ctx context.Context, who actor.Actor, in oneDraftIn) (KeptDraft, error) {
	m, err := d.house.DiscardDraft(ctx, who, in.Draft, envelope.Hash(in.Match))
	return d.kept(ctx, who, m, err)
}

func (d *Door) submitDraft(ctx context.Context, who actor.Actor, in oneDraftIn, p flow.Progress) (Sent, error) {
	return sent(d.house.SubmitDraft(ctx, who, in.Draft, envelope.Hash(in.Match), p))
}

type reviewDraftIn struct {
	Draft string    `path:"draft"`
	Match EntityTag `header:"If-Match" doc:"The entity tag of the version that was seen."`
	Body  NewReview `body:"json"`
}

func (d *Door) reviewDraft(ctx context.Context, who actor.Actor, in reviewDraftIn) (KeptDraft, error) {
	m, err := d.house.ReviewDraft(ctx, who, in.Draft, envelope.Hash(in.Match), in.Body.Good, in.Body.Note)
	return d.kept(ctx, who, m, err)
}

type confirmDraftIn struct {
	Draft string    `path:"draft"`
	Match EntityTag `header:"If-Match" doc:"The entity tag of the version that was seen."`
	Body  Confirmed `body:"json"`
}

func (d *Door) releaseDraft(ctx context.Context, who actor.Actor, in confirmDraftIn, p flow.Progress) (Sent, error) {
	return sent(d.house.Release(ctx, who, in.Draft, envelope.Hash(in.Match), in.Body.Passphrase, p))
}

func (d *Door) breakGlass(ctx context.Context, who actor.Actor, in confirmDraftIn, p flow.Progress) (Sent, error) {
	return sent(d.house.BreakGlass(ctx, who, in.Draft, envelope.Hash(in.Match), in.Body.Passphrase, in.Body.Note, p))
}

func sent(a flow.Asked, err error) (Sent, error) {
	return Sent{Statement: a.Statement, Number: a.Number, Warnings: a.Warnings, Earlier: earlierOf(a.Earlier)}, err
}

type countersignDraftIn struct {
	Draft string    `path:"draft"`
	Body  Confirmed `body:"json"`
}

func (d *Door) countersignDraft(ctx context.Context, who actor.Actor, in countersignDraftIn) (KeptDraft, error) {
	m, err := d.house.Countersign(ctx, who, in.Draft, in.Body.Passphrase, in.Body.Note)
	return d.kept(ctx, who, m, err)
}
