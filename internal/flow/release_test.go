package flow_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/statement"
)

// office is a world whose side a has people.
type office struct {
	*world
	anna, ben, cleo, dora actor.Actor // drafter and duty officer, legal reviewer, releasing officer, head of delegation
	pass                  map[string]string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{world: confirmed(t), pass: map[string]string{}}
	enrol := func(name string, roles ...actor.Role) (who actor.Actor) {
		who, o.pass[name] = o.a.enrol(t, name, roles...)
		return who
	}
	o.anna = enrol("anna", actor.Drafter, actor.DutyOfficer)
	o.ben = enrol("ben", actor.LegalReviewer)
	o.cleo = enrol("cleo", actor.ReleasingOfficer)
	o.dora = enrol("dora", actor.HeadOfDelegation)
	return o
}

// red is a message that the default policy lets leave on two persons' word only.
func (o *office) red(files ...flow.FileDraft) flow.Draft {
	d := draft(o.a, "Sources", "Their names.", nil, files...)
	d.Marking.TLP = handling.TLPRed
	return d
}

// hold sends what is held, and shows it.
func (o *office) hold(d flow.Draft) flow.DraftDetail {
	o.t.Helper()
	before := o.log(o.a, o.a).Size
	_, err := o.a.Send(o.t.Context(), o.anna, d, nil)
	kept, ok := errors.AsType[*flow.Held](err)
	if !ok || fault.CodeOf(err) != "held" {
		o.t.Fatalf("it was not held: %v", err)
	}
	if size := o.log(o.a, o.a).Size; size != before {
		o.t.Fatalf("holding it entered %d leaves", size-before)
	}
	return o.show(kept.Draft.ID)
}

func (o *office) show(id envelope.ID) flow.DraftDetail {
	o.t.Helper()
	v, err := o.a.Draft(o.t.Context(), o.cleo, id.String())
	o.must(err)
	return v
}

// TestRelease: what the rules ask two persons for leaves on two persons' word, as it was shown, once.
func TestRelease(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	content := bytes.Repeat([]byte("evidence "), 300_000) // over a mebibyte
	v := o.hold(o.red(fileOf("list.txt", content)))
	if v.State != member.Waiting || v.Need != handling.ReleaseSecondPerson || len(v.Files) != 1 || v.Files[0].SHA256 != envelope.Sum(content) ||
		!strings.Contains(string(v.Text.Body), "Their names.") || v.Peer["en"] != "kestria" || v.Officer != "role" || len(v.Blocked) > 0 {
		t.Errorf("the preview: %+v", v)
	}
	id := v.ID.String()[:8]
	release := func(who actor.Actor, digest envelope.Hash, pass string) error {
		_, err := o.a.Release(ctx, who, id, digest, pass, nil)
		return err
	}
	wantCode(t, "by its writer", release(o.anna, v.Digest, o.pass["anna"]), "role")
	wantCode(t, "by a reviewer", release(o.ben, v.Digest, o.pass["ben"]), "role")
	wantCode(t, "by who owns the socket, who has no passphrase", release(operator, v.Digest, ""), "no_passphrase")
	wantCode(t, "with a wrong passphrase", release(o.cleo, v.Digest, "wrong"), "passphrase")
	wantCode(t, "of another version", release(o.cleo, envelope.Sum(nil), o.pass["cleo"]), "draft_changed")
	_, err := o.a.SubmitDraft(ctx, o.anna, id, v.Digest, nil)
	wantCode(t, "sent by one person", err, "draft_state")
	_, err = o.a.BreakGlass(ctx, o.anna, id, v.Digest, o.pass["anna"], "In a hurry.", nil)
	wantCode(t, "sent alone, though no emergency", err, "no_emergency")
	_, err = o.a.ReviewDraft(ctx, o.ben, id, v.Digest, true, "The ground holds.")
	wantCode(t, "reviewed", err, "")

	// Two releases at once: one statement.
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		who := []actor.Actor{o.cleo, o.dora}[i]
		wg.Go(func() { errs[i] = release(who, v.Digest, o.pass[who.Name]) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("released at once by two: %v", errs)
	}
	v = o.show(v.ID)
	if v.State != member.Sent || v.Statement == nil || v.Text.Body != nil || len(v.Reviews) != 2 || v.Reviews[1].Verdict != member.ReleasedIt {
		t.Fatalf("after its release: %+v", v)
	}
	wantCode(t, "released again", release(o.cleo, v.Digest, o.pass["cleo"]), "draft_state")
	o.run()
	var got bytes.Buffer
	o.must(o.b.WriteFile(ctx, operator, *v.Statement, 0, &got))
	if !bytes.Equal(got.Bytes(), content) {
		t.Error("the file came out otherwise than it was released")
	}
	said, err := o.b.Show(ctx, operator, v.Statement.String())
	o.must(err)
	if !strings.Contains(string(said.Body), "Their names.") {
		t.Errorf("what arrived: %s", said.Body)
	}
	if kept, err := o.a.Drafts(ctx, o.cleo, member.DraftFilter{Limit: 9}); err != nil || len(kept) != 0 {
		t.Errorf("open drafts: %+v, %v", kept, err)
	}
	o.sound()
}

// TestEditBeginsAnew: who changes a draft is a writer, and what was said of the version before counts no more.
func TestEditBeginsAnew(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	v := o.hold(o.red())
	id := v.ID.String()
	_, err := o.a.ReviewDraft(ctx, o.ben, id, v.Digest, false, "")
	wantCode(t, "refused without a word", err, "note")
	_, err = o.a.ReviewDraft(ctx, o.anna, id, v.Digest, false, "Mine.")
	wantCode(t, "reviewed by its writer", err, "role")
	_, err = o.a.ReviewDraft(ctx, o.ben, id, v.Digest, false, "Names of sources do not cross.")
	wantCode(t, "refused", err, "")
	_, err = o.a.Release(ctx, o.cleo, id, v.Digest, o.pass["cleo"], nil)
	wantCode(t, "released though refused", err, "draft_state")
	body, err := envelope.Marshal(statement.MessageBody{Subject: "Sources", Language: "en", Text: "There are two."})
	o.must(err)
	m, err := o.a.EditDraft(ctx, o.dora, id, v.Digest, flow.DraftEdit{Body: body})
	o.must(err)
	if m.State != member.Waiting || m.Version != 2 || m.Digest == v.Digest || len(m.Writers) != 2 {
		t.Errorf("after the edit: %+v", m)
	}
	_, err = o.a.EditDraft(ctx, o.anna, id, v.Digest, flow.DraftEdit{Urgency: "urgent"})
	wantCode(t, "an edit of what was changed meanwhile", err, "draft_changed")
	_, err = o.a.Release(ctx, o.dora, id, m.Digest, o.pass["dora"], nil)
	wantCode(t, "released by who changed it", err, "second_person")
	// A softer marking needs nobody: but then it is another version, and its writers send it.
	green := handling.Marking{TLP: handling.TLPGreen}
	m, err = o.a.EditDraft(ctx, o.anna, id, m.Digest, flow.DraftEdit{Marking: &green})
	o.must(err)
	if m.State != member.Ready || m.Need != handling.ReleaseNone {
		t.Errorf("after it was marked green: %+v", m)
	}
	asked, err := o.a.SubmitDraft(ctx, o.anna, id, m.Digest, nil)
	o.must(err)
	o.run()
	said, err := o.b.Show(ctx, operator, asked.Statement.String())
	if err != nil || !strings.Contains(string(said.Body), "There are two.") {
		t.Errorf("what arrived: %s, %v", said.Body, err)
	}
	_, err = o.a.EditDraft(ctx, o.anna, id, m.Digest, flow.DraftEdit{Urgency: "urgent"})
	wantCode(t, "an edit of what was sent", err, "draft_state")
}

// TestBreakGlass: an emergency leaves on one person's word, and stays in the list until another has countersigned it.
func TestBreakGlass(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	d := o.red()
	d.Urgency = "emergency"
	v := o.hold(d)
	id := v.ID.String()
	_, err := o.a.BreakGlass(ctx, o.anna, id, v.Digest, o.pass["anna"], " ", nil)
	wantCode(t, "for no reason", err, "note")
	_, err = o.a.BreakGlass(ctx, o.dora, id, v.Digest, o.pass["dora"], "A life.", nil)
	wantCode(t, "by a role that may not", err, "role")
	_, err = o.a.Countersign(ctx, o.cleo, id, o.pass["cleo"], "")
	wantCode(t, "countersigned before it left", err, "countersigned")
	asked, err := o.a.BreakGlass(ctx, o.anna, id, v.Digest, o.pass["anna"], "A life.", nil)
	o.must(err)
	open := func() int {
		list, err := o.a.Drafts(ctx, o.cleo, member.DraftFilter{Limit: 9})
		o.must(err)
		return len(list)
	}
	if open() != 1 {
		t.Error("it is not listed")
	}
	o.run()
	if _, err := o.b.Show(ctx, operator, asked.Statement.String()); err != nil {
		t.Errorf("it did not arrive: %v", err)
	}
	_, err = o.a.Countersign(ctx, o.cleo, id, "wrong", "")
	wantCode(t, "countersigned with a wrong passphrase", err, "passphrase")
	m, err := o.a.Countersign(ctx, o.cleo, id, o.pass["cleo"], "It was one.")
	if err != nil || m.BrokenGlass != "anna" || m.Countersign != "cleo" || open() != 0 {
		t.Errorf("countersigned: %+v, %v, %d listed", m, err, open())
	}
	_, err = o.a.Countersign(ctx, o.cleo, id, o.pass["cleo"], "")
	wantCode(t, "countersigned again", err, "countersigned")
}

// A sweep leaves the files of a draft alone, which the draft alone names.
func TestSweepLeavesDrafts(t *testing.T) {
	o := newOffice(t)
	o.requestDesks()
	d := request(o.a, "preservation.request", map[string]any{"language": "en"}, nil)
	d.Files = several(fileOf("log.txt", []byte("a log")))
	_, err := o.a.Ask(t.Context(), o.anna, d, nil)
	wantCode(t, "incomplete", err, "incomplete")
	if n, err := o.a.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d files were removed, %v", n, err)
	}
}

// TestDraftOfRequest: an incomplete request is kept, put right and sent under the next number; what is discarded is gone.
func TestDraftOfRequest(t *testing.T) {
	o := newOffice(t)
	o.requestDesks()
	ctx := t.Context()
	d := request(o.a, "preservation.request", map[string]any{"language": "en"}, nil)
	blobs := len(o.a.blobs.blobs)
	for range 2 {
		d.Files = several(fileOf("log.txt", []byte("a log")))
		_, err := o.a.Ask(ctx, o.anna, d, nil)
		wantCode(t, "incomplete", err, "incomplete")
	}
	kept, err := o.a.Drafts(ctx, o.anna, member.DraftFilter{Limit: 9})
	if err != nil || len(kept) != 2 || kept[0].State != member.Incomplete {
		t.Fatalf("kept: %+v, %v", kept, err)
	}
	one, two := o.show(kept[0].ID), o.show(kept[1].ID)
	if len(one.Faults) == 0 || len(one.Files) != 1 {
		t.Errorf("the draft: %+v", one)
	}
	_, err = o.a.SubmitDraft(ctx, o.anna, one.ID.String(), one.Digest, nil)
	wantCode(t, "sent though incomplete", err, "draft_state")
	_, err = o.a.DiscardDraft(ctx, o.anna, two.ID.String(), two.Digest)
	wantCode(t, "discarded", err, "")
	if two = o.show(two.ID); two.State != member.Discarded || two.Text.Body != nil || len(o.a.blobs.blobs) != blobs+1 {
		t.Errorf("discarded: %+v, %d blobs of it are left", two, len(o.a.blobs.blobs)-blobs-1)
	}
	body, err := envelope.Marshal(preservation(nil))
	o.must(err)
	m, err := o.a.EditDraft(ctx, o.anna, one.ID.String(), one.Digest, flow.DraftEdit{Body: body})
	if err != nil || m.State != member.Ready {
		t.Fatalf("put right: %+v, %v", m, err)
	}
	asked, err := o.a.SubmitDraft(ctx, o.anna, one.ID.String(), m.Digest, nil)
	if err != nil || asked.Number != "ARV-PR-2026-0001" {
		t.Errorf("sent: %+v, %v", asked, err)
	}
	o.run()
	var got bytes.Buffer
	if err := o.b.WriteFile(ctx, operator, asked.Statement, 0, &got); err != nil || got.String() != "a log" {
		t.Errorf("its file: %q, %v", got.String(), err)
	}
}

// TestOriginator: what belongs to a third party leaves with its consent alone, and silence is no consent.
func TestOriginator(t *testing.T) {
	o := newOffice(t)
	yes, no := true, false
	for _, c := range []struct {
		name       string
		originator string
		conditions []string
		consent    *bool
		code       string
	}{
		{"own", "", nil, nil, ""},
		{"another's, not asked", envelope.Sum([]byte("third")).String(), nil, nil, "missing_originator_consent"},
		{"another's, which said no", envelope.Sum([]byte("third")).String(), nil, &no, "originator_consent_missing"},
		{"another's, which agreed", envelope.Sum([]byte("third")).String(), nil, &yes, ""},
		{"whose is not known", "somebody", nil, &yes, "originator_unknown"},
		{"own, under its originator's control", "", []string{"orcon"}, nil, "missing_originator_consent"},
	} {
		d := draft(o.a, "S", "T", nil)
		d.Originator, d.Consent, d.Marking.Conditions = c.originator, c.consent, c.conditions
		_, err := o.a.Send(t.Context(), o.anna, d, nil)
		wantCode(t, c.name, err, c.code)
	}
}
