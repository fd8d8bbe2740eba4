package flow

import (
	"context"
	"slices"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/member"
	"entente/party"
	"entente/statement"

	"github.com/go-json-experiment/json/jsontext"
)

// DraftView is a draft as it is listed.
type DraftView struct {
	member.Draft
	LinkAlias string
}

// DraftDetail is a draft with exactly what would leave, and who would see it.
type DraftDetail struct {
	DraftView
	Text    DraftText
	Files   []DraftFile
	Faults  []statement.FieldFault
	Blocked []handling.Reason // why it may not leave as it is marked
	Peer    map[string]string // who would see it: the other party's names by language
	To      party.ID
	Desk    string    // of the other party, as the face names it
	Officer string    // what crosses of who releases it: name, role or nothing
	Notes   []string  // what a person should look at
	Earlier []Earlier // requests that asked the same party about the same, of which Notes tells too
	Reviews []member.Review
}

// DraftText is what would leave, but for the number, the time and the salts that it gets when it does. Nil once nothing of it is kept.
type DraftText struct {
	Lane       statement.Lane
	Thread     *statement.Commitment
	Refs       []statement.Commitment
	Zone       string
	ReplyBy    *int64
	Marking    handling.Marking
	Face, Body jsontext.Value
	Registered bool
}

// DraftFile is a file that would leave.
type DraftFile struct {
	Name   string
	Media  string
	Size   int64
	SHA256 envelope.Hash
}

// DraftEdit is what an edit puts in place of what a draft says. Its files stay as they are.
type DraftEdit struct {
	Marking *handling.Marking
	Face    jsontext.Value
	Body    jsontext.Value
	Urgency string
	ReplyBy *int64
	Consent *bool
}

// Drafts lists drafts, changed last first: without a state those that are open, and what left on one person's word and waits for
// its countersignature.
func (h *House) Drafts(ctx context.Context, who actor.Actor, f member.DraftFilter) (views []DraftView, err error) {
	if err := who.May(actor.ReadDrafts); err != nil {
		return nil, err
	}
	f.Limit = min(max(f.Limit, 1), maxList)
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		drafts, err := tx.Drafts(ctx, f)
		for _, d := range drafts {
			views = append(views, DraftView{d, names[d.Link]})
		}
		return err
	})
	return views, err
}

// Uncountersigned counts what left on one person's word and waits for its countersignature, up to a few hundred.
func (h *House) Uncountersigned(ctx context.Context) (n int, err error) {
	alone, err := h.Drafts(ctx, actor.System(), member.DraftFilter{Alone: true, Limit: maxList})
	return len(alone), err
}

// Draft shows a draft with all that would leave.
func (h *House) Draft(ctx context.Context, who actor.Actor, name string) (DraftDetail, error) {
	var v DraftDetail
	if err := who.May(actor.ReadDrafts); err != nil {
		return v, err
	}
	var w words
	var l exchange.Link
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		m, err := findDraft(ctx, tx, name)
		if err != nil {
			return err
		}
		v.DraftView = DraftView{m, names[m.Link]}
		if v.Reviews, err = tx.Reviews(ctx, m.ID); err != nil {
			return err
		}
		if l, err = tx.Link(ctx, m.Link); err != nil || !m.Open() {
			return err
		}
		w, _, err = h.openDraft(ctx, tx, m)
		return err
	})
	if err != nil || !v.Open() {
		return v, err
	}
	return v, h.preview(ctx, &v, w, l)
}

// preview fills in what would leave, who would see it, and what stands against it.
func (h *House) preview(ctx context.Context, v *DraftDetail, w words, l exchange.Link) (err error) {
	v.Text = DraftText{Lane: w.Lane, Thread: w.Thread, Refs: w.Refs, Zone: orElse(w.Zone, "UTC"), ReplyBy: w.ReplyBy, Marking: w.Marking,
		Face: w.Face, Body: w.Body, Registered: w.Registered}
	for _, f := range w.Files {
		v.Files = append(v.Files, DraftFile{f.Name, f.Media, f.Size, f.SHA256})
	}
	peer, err := h.peerKin(ctx, l.ID)
	if err != nil {
		return err
	}
	v.Peer, v.To = peer.stands.Latest().Names, l.Peer
	var members map[string]jsontext.Value
	if envelope.Unmarshal(w.Face, &members) == nil && envelope.Unmarshal(members["to_desk"], &v.Desk) != nil {
		v.Desk = ""
	}
	a, err := h.terms(l)
	if err != nil {
		return err
	}
	rules, err := h.rulesFor(ctx, w.draft(l.ID))
	if err != nil {
		return err
	}
	v.Officer = rules.Officer
	if v.Faults, v.Notes, err = h.examine(w.draft(l.ID), a, rules); err != nil {
		return err
	}
	if v.Earlier, err = h.askedBefore(ctx, w.draft(l.ID)); err != nil {
		return err
	}
	v.Notes = append(v.Notes, warnEarlier(v.Earlier)...)
	facts := draftFacts(w.draft(l.ID), len(w.Files) > 0, a)
	active := exchange.LinkActive
	facts.LinkState = &active
	v.Blocked = handling.Decide(rules.Policy, facts).Reasons
	return nil
}

// changing runs a change of one version of a draft in one transaction.
func (h *House) changing(ctx context.Context, name string, digest envelope.Hash, f func(tx Tx, m *member.Draft) error) (member.Draft, error) {
	var out member.Draft
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		m, err := findDraft(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := same(m, digest); err != nil {
			return err
		}
		if err := f(tx, &m); err != nil {
			return err
		}
		out = m
		return nil
	})
	return out, err
}

// EditDraft makes another version of a draft: who must release it, and what was said of it, begin anew.
func (h *House) EditDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, e DraftEdit) (member.Draft, error) {
	if err := who.May(actor.Say); err != nil {
		return member.Draft{}, err
	}
	return h.changing(ctx, name, digest, func(tx Tx, m *member.Draft) error {
		if !m.Open() {
			return fault.New(fault.Conflict, "draft_state", "This draft was "+string(m.State)+"; write another.")
		}
		if err := who.May(h.actOf(m.Kind)); err != nil {
			return err
		}
		w, key, err := h.openDraft(ctx, tx, *m)
		if err != nil {
			return err
		}
		w.edit(e)
		l, err := tx.Link(ctx, m.Link)
		if err != nil {
			return err
		}
		a, err := h.terms(l)
		if err != nil {
			return err
		}
		rules, err := h.rulesIn(ctx, tx, l, w.draft(m.Link))
		if err != nil {
			return err
		}
		faults, _, err := h.examine(w.draft(m.Link), a, rules)
		if err != nil {
			return err
		}
		if err := mayEver(w.draft(m.Link), len(w.Files) > 0, a, rules, faults); err != nil {
			return err
		}
		m.Version, m.Changed, m.Urgency = m.Version+1, h.now(), w.Urgency
		if !slices.Contains(m.Writers, who.Name) {
			m.Writers = append(m.Writers, who.Name)
		}
		m.Need = handling.Decide(rules.Policy, handling.Facts{Kind: m.Kind, Marking: w.Marking}).Release
		*m = m.Settled(len(faults))
		return h.putDraft(ctx, tx, who, m, w, key, "draft edit")
	})
}

func (w *words) edit(e DraftEdit) {
	if e.Marking != nil {
		w.Marking = *e.Marking
	}
	if e.Face != nil {
		w.Face = e.Face
	}
	if e.Body != nil {
		w.Body = e.Body
	}
	if e.Urgency != "" {
		w.Urgency = e.Urgency
	}
	if e.ReplyBy != nil {
		w.ReplyBy = e.ReplyBy
	}
	if e.Consent != nil {
		w.Consent = e.Consent
	}
}

// DiscardDraft removes a draft's words and files for good. That there was one stays in the log.
func (h *House) DiscardDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash) (member.Draft, error) {
	if err := who.May(actor.Say); err != nil {
		return member.Draft{}, err
	}
	var blobs []string
	m, err := h.changing(ctx, name, digest, func(tx Tx, m *member.Draft) (err error) {
		if !m.Open() {
			return fault.New(fault.Conflict, "draft_state", "This draft was "+string(m.State)+" already.")
		}
		m.State, m.Changed = member.Discarded, h.now()
		if blobs, err = tx.DropDraftBody(ctx, m.ID); err != nil {
			return err
		}
		if err := tx.PutDraft(ctx, *m); err != nil {
			return err
		}
		return h.audit(ctx, tx, who.Name, "draft discard", m.ID.String())
	})
	if err == nil {
		h.dropBlobs(ctx, blobs)
	}
	return m, err
}

// ReviewDraft says what a reviewer or a releasing officer finds of a version of a draft. A refusal keeps it from leaving until it was changed.
func (h *House) ReviewDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, good bool, note string) (member.Draft, error) {
	if err := who.May(actor.Review); err != nil {
		return member.Draft{}, err
	}
	if err := member.CheckNote(note, !good); err != nil {
		return member.Draft{}, err
	}
	return h.changing(ctx, name, digest, func(tx Tx, m *member.Draft) error {
		if err := m.Reviewable(who); err != nil {
			return err
		}
		verdict := member.Reviewed
		if !good {
			verdict, m.State = member.RefusedIt, member.Refused
		}
		m.Changed = h.now()
		return h.judge(ctx, tx, who, *m, verdict, note)
	})
}

// judge writes a draft and what was said of it.
func (h *House) judge(ctx context.Context, tx Tx, who actor.Actor, m member.Draft, v member.Verdict, note string) error {
	if err := tx.PutDraft(ctx, m); err != nil {
		return err
	}
	if err := tx.PutReview(ctx, member.Review{Draft: m.ID, Version: m.Version, Who: who.Name, Verdict: v, Note: note, At: h.now()}); err != nil {
		return err
	}
	return h.audit(ctx, tx, who.Name, "draft "+string(v), m.ID.String())
}

// released is a draft that is allowed to leave, and in which name.
type released struct {
	need string // what was given
	as   member.Verdict
	note string
}

// covers says whether a release is enough for what the rules ask.
func (r *released) covers(need string) bool {
	order := []string{handling.ReleaseNone, handling.ReleaseSecondPerson, handling.ReleaseReleasingOfficer}
	given := handling.ReleaseNone
	if r != nil {
		given = r.need
	}
	return slices.Contains(order, need) && slices.Index(order, given) >= slices.Index(order, need)
}

// SubmitDraft sends a draft that nobody else has to release.
func (h *House) SubmitDraft(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, p Progress) (Asked, error) {
	if err := who.May(actor.Say); err != nil {
		return Asked{}, err
	}
	return h.leave(ctx, who, name, digest, p, func(m member.Draft) (released, error) {
		if err := who.May(h.actOf(m.Kind)); err != nil {
			return released{}, err
		}
		if m.State != member.Ready {
			return released{}, fault.New(fault.Conflict, "draft_state", "This draft is "+string(m.State)+", so it cannot be sent by one person; see \"entente release show "+m.ID.String()[:8]+"\".")
		}
		return released{need: handling.ReleaseNone}, nil
	})
}

// Release lets a draft leave on the word of a second person, who confirms it by his passphrase. digest names the version that he
// was shown: what leaves is that and nothing else.
func (h *House) Release(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, passphrase string, p Progress) (Asked, error) {
	if err := who.May(actor.Release); err != nil {
		return Asked{}, err
	}
	if err := h.confirm(ctx, who, passphrase); err != nil {
		return Asked{}, err
	}
	return h.leave(ctx, who, name, digest, p, func(m member.Draft) (released, error) {
		return released{need: m.Need, as: member.ReleasedIt}, m.Releasable(who)
	})
}

// BreakGlass lets an emergency leave on one person's word. It is listed until somebody else has countersigned it.
func (h *House) BreakGlass(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, passphrase, reason string, p Progress) (Asked, error) {
	if err := who.May(actor.BreakGlass); err != nil {
		return Asked{}, err
	}
	if err := member.CheckNote(reason, true); err != nil {
		return Asked{}, err
	}
	if err := h.confirm(ctx, who, passphrase); err != nil {
		return Asked{}, err
	}
	return h.leave(ctx, who, name, digest, p, func(m member.Draft) (released, error) {
		return released{need: m.Need, as: member.BrokeGlass, note: reason}, m.Breakable()
	})
}

// leave sends a version of a draft as anything is sent. may is asked when it is read, and again in the transaction that gives the
// statement its place, with the state that the draft has then: both are done, or neither.
func (h *House) leave(ctx context.Context, who actor.Actor, name string, digest envelope.Hash, p Progress, may func(member.Draft) (released, error)) (Asked, error) {
	var m member.Draft
	var w words
	var key []byte
	var allowed released
	err := h.cfg.Store.View(ctx, func(tx Tx) (err error) {
		if m, err = findDraft(ctx, tx, name); err != nil {
			return err
		}
		if err := same(m, digest); err != nil {
			return err
		}
		if allowed, err = may(m); err != nil {
			return err
		}
		w, key, err = h.openDraft(ctx, tx, m)
		return err
	})
	if err != nil {
		return Asked{}, err
	}
	d := w.draft(m.Link)
	faults, warnings, err := h.examineNow(ctx, d)
	if err != nil {
		return Asked{}, err
	}
	earlier, err := h.askedBefore(ctx, d)
	if err != nil {
		return Asked{}, err
	}
	if len(faults) > 0 { // time went by, for one
		return Asked{}, incomplete("It was not sent, and stays a draft: ", faults)
	}
	need, err := h.need(ctx, d)
	if err != nil {
		return Asked{}, err
	}
	if !allowed.covers(need) {
		return Asked{}, fault.New(fault.Conflict, "rules_changed",
			"The rule set of this link changed since this was written, and asks for another person's release now: edit it once more (entente release edit "+m.ID.String()[:8]+"), and it waits for one.")
	}
	d.released, d.Files = &allowed, h.filesOf(ctx, key, w.Files)
	var blobs []string
	also := func(ctx context.Context, tx Tx, c statement.Commitment) error {
		m, err := findDraft(ctx, tx, m.ID.String())
		if err != nil {
			return err
		}
		if err := same(m, digest); err != nil {
			return err
		}
		r, err := may(m)
		if err != nil {
			return err
		}
		m.State, m.Statement, m.Changed = member.Sent, &c, h.now()
		if r.as == member.BrokeGlass {
			m.BrokenGlass = who.Name
		}
		if blobs, err = tx.DropDraftBody(ctx, m.ID); err != nil {
			return err
		}
		if r.as == "" {
			return tx.PutDraft(ctx, m)
		}
		return h.judge(ctx, tx, who, m, r.as, r.note)
	}
	asked, err := h.sendDraft(ctx, who, d, w.unnumbered(), also, p)
	if err == nil {
		h.dropBlobs(ctx, blobs)
	}
	asked.Warnings, asked.Earlier = append(warnings, warnEarlier(earlier)...), earlier
	return asked, err
}

// unnumbered says whether a draft's face has no number yet.
func (w words) unnumbered() bool {
	var members map[string]jsontext.Value
	return envelope.Unmarshal(w.Face, &members) == nil && members["number"] == nil
}

// sendDraft sends a request that has no number yet under its next one, and anything else as it is.
func (h *House) sendDraft(ctx context.Context, who actor.Actor, d Draft, unnumbered bool, also func(context.Context, Tx, statement.Commitment) error, p Progress) (Asked, error) {
	if kind, ok := h.forms[d.Kind]; ok && kind.Series != "" && unnumbered {
		return h.ask(ctx, who, kind, d, also, p)
	}
	c, err := h.send(ctx, who, d, also, p)
	return Asked{Statement: c}, err
}

// Countersign is said by a second person of what left on one person's word.
func (h *House) Countersign(ctx context.Context, who actor.Actor, name, passphrase, note string) (member.Draft, error) {
	if err := who.May(actor.Release); err != nil {
		return member.Draft{}, err
	}
	if err := member.CheckNote(note, false); err != nil {
		return member.Draft{}, err
	}
	if err := h.confirm(ctx, who, passphrase); err != nil {
		return member.Draft{}, err
	}
	var out member.Draft
	err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		m, err := findDraft(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := m.Countersignable(who); err != nil {
			return err
		}
		m.Countersign, m.Changed = who.Name, h.now()
		out = m
		return h.judge(ctx, tx, who, m, member.Countersigned, note)
	})
	return out, err
}
