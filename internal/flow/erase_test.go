package flow_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/proof"
	"entente/statement"
)

// rest is what lies at rest of a statement: its wrapped key and its sealed body.
func (w *world) rest(s *side, c statement.Commitment) (key, body []byte) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) (err error) {
		body, key, err = tx.Body(w.t.Context(), c)
		return err
	})
	return key, body
}

// onDisk lists the files of a side's directory that hold some bytes.
func (w *world) onDisk(s *side, canary []byte) (found []string) {
	w.t.Helper()
	w.must(filepath.WalkDir(s.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, canary) {
			found = append(found, e.Name())
		}
		return err
	}))
	return found
}

func (w *world) erase(s *side, c statement.Commitment, reason string, tell bool) flow.Erased {
	w.t.Helper()
	done, err := s.Erase(w.t.Context(), operator, c.String(), flow.EraseOrder{Reason: reason, Tell: tell})
	w.must(err)
	return done
}

func (w *world) shown(s *side, c statement.Commitment) flow.StatementView {
	w.t.Helper()
	v, err := s.Show(w.t.Context(), operator, c.String())
	w.must(err)
	return v
}

// Guards: after an erasure neither key nor body lies anywhere in the database's files, no sealed file is left, and what
// remains is proven and folds as before; the other party is told when it is to be.
func TestErase(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.message(w.a, "to be erased", "names and numbers", nil, fileOf("list.txt", bytes.Repeat([]byte("more names "), 1<<17)))
	w.run()
	w.message(w.b, "Re: to be erased", "noted", &c)
	w.run()
	w.cosign()
	for _, s := range []*side{w.a, w.b} {
		key, body := w.rest(s, c)
		if !slices.ContainsFunc(w.onDisk(s, key), func(name string) bool { return strings.HasPrefix(name, "entente.db") }) || len(w.onDisk(s, body)) == 0 {
			t.Fatalf("%s: key and body are not found on the disk before the erasure: the search is no test", s.name)
		}
		if len(s.blobs.blobs) == 0 {
			t.Fatalf("%s keeps no sealed file", s.name)
		}
		before := w.record(s)
		at := w.erase(s, c, "order", false).At
		w.same(s, before, "an erasure")
		for what, canary := range map[string][]byte{"key": key, "body": body} {
			if found := w.onDisk(s, canary); len(found) > 0 {
				t.Errorf("%s: the %s is still in %v", s.name, what, found)
			}
		}
		if len(s.blobs.blobs) != 0 {
			t.Errorf("%s: %d sealed files are left", s.name, len(s.blobs.blobs))
		}
		s.clock.advance(time.Hour)
		if again := w.erase(s, c, "agreement", false); again.At != at || again.Notice != nil {
			t.Errorf("%s: erased again: %+v", s.name, again)
		}
		s.reopen(t)
		v := w.shown(s, c)
		if v.Body != nil || v.Erased != at || v.Verdict != "folded" || len(v.Files) != 1 || v.Files[0].State != "erased" || v.Files[0].Name != "" || len(v.Erasures) != 0 {
			t.Errorf("%s: what is left: %+v", s.name, v)
		}
		if err := s.WriteFile(ctx, operator, c, 0, io.Discard); fault.CodeOf(err) != "file_erased" {
			t.Errorf("%s: its file: %v", s.name, err)
		}
		data, err := s.Proof(ctx, operator, c.String(), true)
		w.must(err)
		f, err := proof.Decode(data)
		w.must(err)
		if _, err := proof.Verify(envelope.Default(), f); err != nil || f.Statement.Body != nil {
			t.Errorf("%s: the proof: %v, body %q", s.name, err, f.Statement.Body)
		}
		audits, err := s.Audits(ctx, operator, 0, 50)
		w.must(err)
		if n := len(slices.DeleteFunc(audits, func(a member.Entry) bool { return a.Act != "erase order" || a.Object != c.String() || a.Who != "op" })); n != 1 {
			t.Errorf("%s: %d records of the erasure", s.name, n)
		}
	}
	told := w.erase(w.a, c, "order", true) // told later, and crossing
	w.erase(w.b, c, "agreement", true)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		v := w.shown(s, c)
		if len(v.Erasures) != 2 || !v.Erasures[0].Ours || v.Erasures[1].Ours {
			t.Fatalf("%s sees %+v", s.name, v.Erasures)
		}
		own, reasons := v.Erasures[0], map[*side]string{w.a: "order", w.b: "agreement"}
		if own.At != v.Erased || own.Reason != reasons[s] || v.Erasures[1].Reason != reasons[w.other(s)] || v.Erasures[1].At != w.shown(w.other(s), c).Erased {
			t.Errorf("%s sees %+v", s.name, v.Erasures)
		}
		if w.shown(s, *told.Notice).Verdict != "folded" {
			t.Errorf("%s: the notice is %q", s.name, w.shown(s, *told.Notice).Verdict)
		}
	}
	if again := w.erase(w.a, c, "order", true); again.Notice != nil {
		t.Error("it was told twice")
	}
	w.message(w.a, "Re: to be erased", "the thread goes on", &c)
	w.run()
	w.sound()
}

// A notice stands in the thread that its statement's name gives, and nothing else does.
func TestErasureNoticeHasItsThread(t *testing.T) {
	w := confirmed(t)
	c := w.message(w.a, "one", "1", nil)
	other := w.message(w.a, "other", "2", nil)
	w.run()
	thread := statement.ErasureThread(other)
	d := flow.Draft{Link: w.a.link, Lane: statement.Control, Kind: "erasure.notice", Thread: &thread, Marking: draft(w.a, "", "", nil).Marking,
		Face: statement.ErasureFace{Statement: c, Reason: "order", At: 1}, Body: statement.EmptyBody{}}
	if _, err := w.a.Send(t.Context(), operator, d, nil); fault.CodeOf(err) != exchange.VoidThread {
		t.Errorf("a notice in another's thread: %v", err)
	}
	officer := actor.Actor{Kind: actor.Member, Name: "o", Roles: []actor.Role{actor.Drafter}}
	thread = statement.ErasureThread(c)
	if _, err := w.a.Send(t.Context(), officer, d, nil); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("an officer tells of an erasure: %v", err)
	}
	if _, err := w.a.Erase(t.Context(), officer, c.String(), flow.EraseOrder{Reason: "order"}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("an officer erases: %v", err)
	}
	if _, err := w.a.Erase(t.Context(), operator, c.String(), flow.EraseOrder{Reason: "whim"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("erased on a whim: %v", err)
	}
	if w.shown(w.a, c).Body == nil {
		t.Error("it was erased all the same")
	}
}

// Guard: sealed files whose key is gone are found after a crash and removed.
func TestEraseIsFinishedAfterACrash(t *testing.T) {
	w := confirmed(t)
	c := w.message(w.a, "with a file", "attached", nil, fileOf("list.txt", []byte("names")))
	w.run()
	for _, s := range []*side{w.b} {
		s.blobs.stuck = true
		w.erase(s, c, "order", false)
		v := w.shown(s, c)
		if v.Erased == 0 || v.Files[0].State != "erasing" || len(s.blobs.blobs) != 1 {
			t.Fatalf("%s: before the crash: %+v with %d sealed files", s.name, v.Files, len(s.blobs.blobs))
		}
		s.reopen(t)
		if w.shown(s, c).Files[0].State != "erasing" {
			t.Errorf("%s: the file's name was forgotten while it is there", s.name)
		}
		s.blobs.stuck = false
		s.reopen(t)
		if v := w.shown(s, c); v.Files[0].State != "erased" || len(s.blobs.blobs) != 0 {
			t.Errorf("%s: after the crash: %+v with %d sealed files", s.name, v.Files, len(s.blobs.blobs))
		}
	}
}

// What is reserved is delivered; what arrives for an erased statement is rejected and leaves nothing.
func TestEraseOnItsWay(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	c := w.message(w.a, "with a file", "attached", nil, fileOf("list.txt", bytes.Repeat([]byte("names "), 1<<18)))
	if _, err := w.a.Erase(ctx, operator, c.String(), flow.EraseOrder{Reason: "order"}); fault.CodeOf(err) != "on_its_way" {
		t.Errorf("before it was delivered: %v", err)
	}
	w.carry(w.a, w.b) // the statement, and the header of its file
	w.erase(w.b, c, "order", false)
	w.run()
	v := w.shown(w.b, c)
	if v.Body != nil || v.Files[0].State != "erased" || v.Files[0].ParcelState != "rejected" || len(w.b.blobs.blobs) != 0 {
		t.Errorf("at the addressee: %+v with %d sealed files", v.Files, len(w.b.blobs.blobs))
	}
	w.erase(w.a, c, "order", false)
	if len(w.a.blobs.blobs) != 0 {
		t.Errorf("at the author %d sealed files are left", len(w.a.blobs.blobs))
	}
	w.sound()
}

// The days of the rules run from the last word in a thread; a desk is kept until it was withdrawn, and what was said of
// the link until a party has withdrawn.
func TestRetention(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	old := w.message(w.a, "old", "and silent", nil)
	alive := w.message(w.a, "old", "and answered", nil)
	propose := deskDraft(w.a, "desk.propose", nil, statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1})
	kept, err := w.a.Send(ctx, operator, propose, nil)
	w.must(err)
	gone, err := w.a.Send(ctx, operator, propose, nil)
	w.must(err)
	withdraw := deskDraft(w.a, "desk.withdraw", &gone, statement.DeskFace{})
	withdraw.Face, withdraw.Body = statement.DeskWithdrawFace{Reason: "closed"}, statement.EmptyBody{}
	_, err = w.a.Send(ctx, operator, withdraw, nil)
	w.must(err)
	w.run()
	const days = 1825 // of the default rules
	w.a.clock.advance((days - 1) * 24 * time.Hour)
	answer := w.message(w.b, "Re: old", "still of use", &alive)
	w.run()
	for _, s := range []*side{w.a, w.b} {
		if n, err := s.EraseAged(ctx); n != 0 || err != nil {
			t.Errorf("%s erased %d a day early, %v", s.name, n, err)
		}
	}
	w.a.clock.advance(25 * time.Hour)
	for _, s := range []*side{w.a, w.b} {
		n, err := s.EraseAged(ctx)
		if n != 3 || err != nil { // old, and both statements of the withdrawn desk
			t.Errorf("%s erased %d, %v", s.name, n, err)
		}
		for name, want := range map[*statement.Commitment]bool{&old: true, &gone: true, &alive: false, &kept: false, &answer: false} {
			if v := w.shown(s, *name); (v.Erased != 0) != want {
				t.Errorf("%s: %s %s is erased: %v", s.name, v.Kind, v.Commitment, v.Erased != 0)
			}
		}
		if n, err := s.EraseAged(ctx); n != 0 || err != nil {
			t.Errorf("%s erased %d again, %v", s.name, n, err)
		}
	}
	_, err = w.a.Withdraw(ctx, operator, w.a.link, "ended", "")
	w.must(err)
	w.run()
	w.a.clock.advance(days * 25 * time.Hour)
	for _, s := range []*side{w.a, w.b} {
		if n, err := s.EraseAged(ctx); n != 5 || err != nil { // two confirmations, the withdrawal, and the thread that was alive
			t.Errorf("%s erased %d after the withdrawal, %v", s.name, n, err)
		}
	}
	w.sound()
}
