package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/member"
	"entente/internal/notice"
	"entente/party"
	"entente/statement"

	"github.com/go-json-experiment/json/jsontext"
)

// A draft is what would leave and has not: because its form has faults, or because a second person must release it. Its words and files lie sealed under a key of its own, which goes when it was sent or discarded.
// No path leads from here to a peer but Release, BreakGlass and SubmitDraft, which send it as anything is sent.

// Held says that something did not leave and is kept as a draft.
type Held struct{ Draft member.Draft }

// Error says which.
func (e *Held) Error() string { return "kept as draft " + e.Draft.ID.String() }

func heldFault(d member.Draft) error {
	next := "send it with \"entente release submit\"."
	switch d.Need {
	case handling.ReleaseSecondPerson:
		next = "it leaves when a second person releases it (entente release approve)."
	case handling.ReleaseReleasingOfficer:
		next = "it leaves when a releasing officer releases it (entente release approve)."
	}
	return fault.Wrap(fault.Conflict, "held", "It was not sent, and is kept as draft "+d.ID.String()[:8]+": "+next, &Held{d})
}

// words is a draft's content, as it is sealed at rest. Its members are those of Draft.
type words struct {
	Lane       statement.Lane         `json:"lane"`
	Kind       string                 `json:"kind"`
	Thread     *statement.Commitment  `json:"thread,omitzero"`
	Refs       []statement.Commitment `json:"refs,omitempty"`
	Zone       string                 `json:"zone,omitempty"`
	Urgency    string                 `json:"urgency"`
	ReplyBy    *int64                 `json:"reply_by,omitzero"`
	Marking    handling.Marking       `json:"marking"`
	Face       jsontext.Value         `json:"face"`
	Body       jsontext.Value         `json:"body"`
	Registered bool                   `json:"registered,omitzero"`
	Originator string                 `json:"originator,omitempty"`
	Consent    *bool                  `json:"consent,omitzero"`
	Files      []keptFile             `json:"files,omitempty"`
}

// keptFile is a file of a draft.
type keptFile struct {
	Name   string        `json:"name"`
	Media  string        `json:"media"`
	Size   int64         `json:"size"`
	SHA256 envelope.Hash `json:"sha256"`
	Blob   string        `json:"blob"`
	FLOE   []byte        `json:"floe"`
}

// wordsOf takes from a draft what it says, without its files.
func wordsOf(d Draft) (words, error) {
	w := words{Lane: d.Lane, Kind: d.Kind, Thread: d.Thread, Refs: d.Refs, Zone: d.Zone, Urgency: orElse(d.Urgency, "routine"), ReplyBy: d.ReplyBy,
		Marking: d.Marking, Registered: d.Registered, Originator: d.Originator, Consent: d.Consent}
	for _, part := range []struct {
		from any
		into *jsontext.Value
	}{{d.Face, &w.Face}, {d.Body, &w.Body}} {
		data, err := envelope.Marshal(part.from)
		if err != nil {
			return w, fault.Wrap(fault.Invalid, "draft", "The draft is not valid.", err)
		}
		if *part.into = data; string(data) == "null" {
			*part.into = jsontext.Value("{}")
		}
	}
	return w, nil
}

// draft is what would be sent, without its files.
func (w words) draft(link statement.LinkID) Draft {
	return Draft{Link: link, Lane: w.Lane, Kind: w.Kind, Thread: w.Thread, Refs: w.Refs, Zone: w.Zone, Urgency: w.Urgency, ReplyBy: w.ReplyBy,
		Marking: w.Marking, Face: w.Face, Body: w.Body, Registered: w.Registered, Originator: w.Originator, Consent: w.Consent}
}

// digest names a version of a draft by all that would leave, and by what it is decided on.
func (w words) digest(version int64) (envelope.Hash, error) {
	shown := w
	shown.Files = slices.Clone(w.Files)
	for i := range shown.Files {
		shown.Files[i].Blob, shown.Files[i].FLOE = "", nil
	}
	data, err := envelope.Marshal(shown)
	if err != nil {
		return envelope.Hash{}, err
	}
	return envelope.Sum(fmt.Appendf(nil, "entente/draft\x00%d\x00%s", version, data)), nil
}

// sealedName binds what is sealed of a draft to it.
func sealedName(id envelope.ID) envelope.Hash {
	return envelope.Hash(sha256.Sum256(append([]byte("entente/draft\x00"), id[:]...)))
}

// need is who must release a draft, as the rule set has it that it will obey.
func (h *House) need(ctx context.Context, d Draft) (string, error) {
	rules, err := h.rulesFor(ctx, d)
	if err != nil {
		return "", err
	}
	return handling.Decide(rules.Policy, handling.Facts{Kind: d.Kind, Marking: d.Marking}).Release, nil
}

// rulesFor is the rule set that a draft will obey. Where only one was ever said on its link, nothing is read.
func (h *House) rulesFor(ctx context.Context, d Draft) (rules *statement.Rules, err error) {
	s := h.link(d.Link)
	s.mu.Lock()
	b := s.rules
	s.mu.Unlock()
	if b != nil && len(b.rules) == 1 {
		for _, rules = range b.rules {
			return rules, nil
		}
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, d.Link)
		if notFound(err) {
			return fault.New(fault.NotFound, "link", "There is no such link here.")
		}
		if err == nil {
			rules, err = h.rulesIn(ctx, tx, l, d)
		}
		return err
	})
	return rules, err
}

// rulesIn is rulesFor, in a transaction.
func (h *House) rulesIn(ctx context.Context, tx Tx, l exchange.Link, d Draft) (*statement.Rules, error) {
	stand, err := h.standing(ctx, tx, l)
	if err != nil {
		return nil, err
	}
	thread := d.Thread
	if d.Kind == "erasure.notice" { // no statement began its thread
		thread = nil
	}
	edition, err := h.editionFor(ctx, tx, l, thread, stand)
	if err != nil {
		return nil, err
	}
	return h.rulesNamed(ctx, tx, l, edition)
}

// gate keeps what a second person must release, and says so by an error.
func (h *House) gate(ctx context.Context, who actor.Actor, d Draft) error {
	need, err := h.need(ctx, d)
	if err != nil || need == handling.ReleaseNone {
		return err
	}
	kept, err := h.keep(ctx, who, d, need, nil)
	if err != nil {
		return err
	}
	return heldFault(kept)
}

// complete refuses a draft whose form has faults, with all of them, and keeps it to be put right; one without is for the gate.
func (h *House) complete(ctx context.Context, who actor.Actor, d Draft) (warnings []string, err error) {
	faults, warnings, err := h.examine(d)
	if err != nil {
		return nil, err
	}
	if len(faults) == 0 {
		return warnings, h.gate(ctx, who, d)
	}
	need, err := h.need(ctx, d)
	if err != nil {
		return nil, err
	}
	kept, err := h.keep(ctx, who, d, need, faults)
	if err != nil {
		return nil, err
	}
	return nil, incomplete(fmt.Sprintf("It was not sent, and is kept as draft %s (entente release edit): ", kept.ID.String()[:8]), faults)
}

func incomplete(begins string, faults []statement.FieldFault) error {
	return fault.Wrap(fault.Invalid, "incomplete", begins+amount(len(faults), "field is", "fields are")+" to be put right.", &assistance.Incomplete{Faults: faults})
}

// examine lists what is wrong with the form of a draft. The number of a request is taken when it leaves.
func (h *House) examine(d Draft) (faults []statement.FieldFault, warnings []string, err error) {
	kind, ok := h.forms[d.Kind]
	if !ok {
		return nil, nil, nil
	}
	w, err := wordsOf(d)
	if err != nil {
		return nil, nil, err
	}
	if kind.Series != "" && w.unnumbered() {
		if w.Face, err = numbered(w.Face, assistance.Number(h.series(kind), 1)); err != nil {
			return nil, nil, err
		}
	}
	faults, warnings = assistance.Examine(kind, w.Urgency, w.Face, w.Body, h.now())
	if d.ReplyBy != nil && *d.ReplyBy <= h.now() {
		faults = append(faults, statement.FieldFault{Where: "/reply_by", What: "is over already",
			Write: statement.Words{EN: "Give an instant that lies ahead, or none.", ZH: "请填尚未到来的时刻，或不填。"}})
	}
	return faults, warnings, nil
}

// series is the counter of which a request of ours takes its number now.
func (h *House) series(kind statement.FormKind) string {
	return assistance.Series(assistance.PartyCode(h.Self().Latest().Names["en"]), kind.Series, h.cfg.Now().UTC().Year())
}

// numbered is a face with a number.
func numbered(face jsontext.Value, number string) (jsontext.Value, error) {
	var members map[string]any
	if err := envelope.Unmarshal(face, &members); err != nil {
		return nil, fault.Wrap(fault.Invalid, "face", "The coded part of this statement is not valid.", err)
	}
	return envelope.Marshal(with(members, "number", number))
}

// mayEver refuses what can never leave as it is marked, whoever releases it: it is not kept for a second person to find that out.
func mayEver(d Draft, files bool, a *terms, rules *statement.Rules) error {
	if a.way == inward {
		return nothingBack()
	}
	for _, r := range handling.Decide(rules.Policy, draftFacts(d, files, a)).Reasons {
		if r.Code == "tlp_above_channel" || r.Code == "channel_not_allowed" {
			return fault.New(fault.Forbidden, r.Code, r.Sentence)
		}
	}
	return nil
}

// keep stores a draft, its files sealed as they are read.
func (h *House) keep(ctx context.Context, who actor.Actor, d Draft, need string, faults []statement.FieldFault) (member.Draft, error) {
	w, err := wordsOf(d)
	if err != nil {
		return member.Draft{}, err
	}
	l, err := h.linkRow(ctx, d.Link)
	if err != nil {
		return member.Draft{}, err
	}
	a, err := h.terms(l)
	if err != nil {
		return member.Draft{}, err
	}
	rules, err := h.rulesFor(ctx, d)
	if err != nil {
		return member.Draft{}, err
	}
	if err := mayEver(d, d.Files != nil, a, rules); err != nil {
		return member.Draft{}, err
	}
	hold := h.hold()
	defer hold.release()
	now := h.now()
	m := member.Draft{ID: envelope.NewID(), Link: d.Link, Kind: d.Kind, Thread: d.Thread, Urgency: w.Urgency, Writers: []string{who.Name}, Need: need,
		Version: 1, Created: now, Changed: now}.Settled(len(faults))
	key := make([]byte, 32)
	rand.Read(key)
	if w.Files, err = h.keepFiles(ctx, key, d, a, hold); err != nil {
		return m, err
	}
	err = h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		n, err := tx.OpenDrafts(ctx, who.Name)
		if err != nil {
			return err
		}
		if n >= member.MaxDrafts {
			return fault.New(fault.TooLarge, "drafts", "You have as many drafts as there may be; send or discard some (entente release list).")
		}
		return h.putDraft(ctx, tx, who, &m, w, key, "draft keep")
	})
	if err != nil {
		h.dropBlobs(ctx, blobsOf(w.Files))
		return m, err
	}
	return m, nil
}

// putDraft writes a version of a draft: its row, its words under their key, and the line in the log.
func (h *House) putDraft(ctx context.Context, tx Tx, who actor.Actor, m *member.Draft, w words, key []byte, act string) (err error) {
	if m.Digest, err = w.digest(m.Version); err != nil {
		return err
	}
	plain, err := envelope.Marshal(w)
	if err != nil {
		return err
	}
	sealed, wrapped, err := h.lock(key, sealedName(m.ID), plain)
	if err != nil {
		return err
	}
	if err := tx.PutDraftBody(ctx, m.ID, sealed, wrapped, blobsOf(w.Files)); err != nil {
		return err
	}
	if err := tx.PutDraft(ctx, *m); err != nil {
		return err
	}
	if err := h.audit(ctx, tx, who.Name, act, m.ID.String()); err != nil || m.State != member.Waiting {
		return err
	}
	l, err := tx.Link(ctx, m.Link)
	if err != nil {
		return err
	}
	return h.announce(ctx, tx, l, happening{event: notice.DraftWaiting, ref: fmt.Sprintf("%s %d", m.ID, m.Version), kind: m.Kind,
		data: notice.Data{Draft: &m.ID, Thread: m.Thread}})
}

func blobsOf(files []keptFile) (names []string) {
	for _, f := range files {
		names = append(names, f.Blob)
	}
	return names
}

// keepFiles seals the files of a draft as they are read.
func (h *House) keepFiles(ctx context.Context, key []byte, d Draft, a *terms, hold *claim) (files []keptFile, err error) {
	if d.Files == nil {
		return nil, nil
	}
	defer func() {
		if err != nil {
			h.dropBlobs(ctx, blobsOf(files))
		}
	}()
	for f, err := range d.Files {
		if err == nil && len(files) == statement.MaxFiles {
			err = fault.New(fault.TooLarge, "files", fmt.Sprintf("A statement carries at most %d files; send the rest with another.", statement.MaxFiles))
		}
		if err == nil {
			err = CheckFile(f.Name, f.Media)
		}
		if err != nil {
			return files, err
		}
		kept, err := h.keepFile(ctx, key, len(files), f, a, hold)
		if err != nil {
			return files, fmt.Errorf("keeping file %d of a draft: %w", len(files)+1, err)
		}
		files = append(files, kept)
	}
	return files, nil
}

func (h *House) keepFile(ctx context.Context, key []byte, position int, f FileDraft, a *terms, hold *claim) (keptFile, error) {
	plain, err := h.plaintext(f, a, nil)
	if err != nil {
		return keptFile{}, err
	}
	rest, err := h.createRest(ctx, key, position)
	if err != nil {
		return keptFile{}, err
	}
	defer rest.discard()
	if _, err := io.Copy(rest, plain); err != nil {
		return keptFile{}, err
	}
	if err := plain.whole(); err != nil {
		return keptFile{}, err
	}
	name, floe, err := rest.commit(hold)
	return keptFile{Name: f.Name, Media: f.Media, Size: plain.n, SHA256: envelope.Hash(plain.digest.Sum(nil)), Blob: name, FLOE: floe}, err
}

// filesOf are the files of a draft as they are sent.
func (h *House) filesOf(ctx context.Context, key []byte, files []keptFile) iter.Seq2[FileDraft, error] {
	return func(yield func(FileDraft, error) bool) {
		for position, f := range files {
			r, w := io.Pipe()
			go func() {
				w.CloseWithError(h.readRest(ctx, key, exchange.File{Position: position, Blob: f.Blob, FLOE: f.FLOE}, party.ID{}, w))
			}()
			more := yield(FileDraft{Name: f.Name, Media: f.Media, Size: f.Size, Content: r}, nil)
			r.Close()
			if !more {
				return
			}
		}
	}
}

func (h *House) dropBlobs(ctx context.Context, names []string) {
	for _, name := range names {
		if err := h.cfg.Blobs.Remove(context.WithoutCancel(ctx), name); err != nil {
			h.cfg.Log.Warn("removing a file of a draft", "blob", name, "err", err)
		}
	}
}

// findDraft finds a draft by its id, or at least 8 digits of it.
func findDraft(ctx context.Context, tx Tx, name string) (member.Draft, error) {
	missing := fault.New(fault.NotFound, "draft", "There is no such draft here; \"entente release list\" lists them.")
	if len(name) < 8 || len(name) > 32 || strings.Trim(name, "0123456789abcdef") != "" {
		return member.Draft{}, missing
	}
	found, err := tx.Draft(ctx, name)
	switch {
	case err != nil:
		return member.Draft{}, err
	case len(found) == 0:
		return member.Draft{}, missing
	case len(found) > 1:
		return member.Draft{}, fault.New(fault.Conflict, "ambiguous", "More than one draft begins like this; give more digits.")
	}
	return found[0], nil
}

// openDraft reads a draft's words and the key of its files.
func (h *House) openDraft(ctx context.Context, tx Tx, m member.Draft) (w words, key []byte, err error) {
	sealed, wrapped, err := tx.DraftBody(ctx, m.ID)
	if notFound(err) {
		return w, nil, fault.New(fault.Conflict, "draft_state", "Nothing is kept of this draft any more: it was "+string(m.State)+".")
	}
	if err != nil {
		return w, nil, err
	}
	plain, key, err := h.unlockBytes(sealed, wrapped, sealedName(m.ID))
	if err != nil {
		return w, nil, err
	}
	return w, key, envelope.Unmarshal(plain, &w)
}

// same refuses a version of a draft that is not the one that was shown.
func same(m member.Draft, digest envelope.Hash) error {
	if !bytes.Equal(m.Digest[:], digest[:]) {
		return fault.New(fault.Conflict, "draft_changed", "The draft was changed since you saw it; look at it again (entente release show "+m.ID.String()[:8]+").")
	}
	return nil
}
