package flow_test

import (
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/flow"
	"entente/internal/member"
)

// about is the body of a request about these identifiers.
func about(identifiers ...map[string]any) map[string]any {
	list := []any{}
	for _, i := range identifiers {
		if i["zone"] == nil {
			i["zone"] = "UTC"
		}
		list = append(list, i)
	}
	return preservation(map[string]any{"identifiers": list})
}

// index is what a side's index holds.
func (w *world) index(s *side) (rows []assistance.Asking) {
	w.t.Helper()
	s.view(w.t, func(tx flow.Tx) error {
		return tx.Askings(w.t.Context(), func(a assistance.Asking) error { rows = append(rows, a); return nil })
	})
	return rows
}

// wantEarlier fails unless an answer names these numbers, newest first, and warns of them.
func wantEarlier(t *testing.T, what string, earlier []flow.Earlier, warnings []string, numbers ...string) {
	t.Helper()
	var got []string
	for _, e := range earlier {
		got = append(got, e.Number)
	}
	warned := slices.IndexFunc(warnings, func(s string) bool { return strings.Contains(s, "asked about the same before") })
	if !slices.Equal(got, numbers) || (warned >= 0) != (len(numbers) > 0) {
		t.Errorf("%s: earlier are %q, warnings %q; want %q", what, got, warnings, numbers)
	}
	for _, n := range numbers {
		if warned >= 0 && !strings.Contains(warnings[warned], n) {
			t.Errorf("%s: %q does not name %s", what, warnings[warned], n)
		}
	}
}

// Who asks a party again about the same is told, with the earlier numbers, and is not kept from it: in another spelling and another
// zone too. What continues an earlier request is no repetition; the other party asks for itself. A rebuild finds the same index, also
// where there was none; an erasure leaves nothing of it.
func TestAskedBefore(t *testing.T) {
	reportWorlds(t, func(t *testing.T, w *world, _, _ *clock) {
		ask := func(s *side, body, face map[string]any) flow.Asked {
			return w.ask(s, request(s, "preservation.request", body, face))
		}
		mail := map[string]any{"type": "mail", "value": "anna@mail.example"}
		address := map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T09:30:00", "zone": "Europe/Berlin"}
		first := ask(w.b, about(mail, address), nil)
		wantEarlier(t, "the first", first.Earlier, first.Warnings)
		another := ask(w.b, about(map[string]any{"type": "mail", "value": "ben@mail.example"}), nil)
		wantEarlier(t, "another", another.Earlier, another.Warnings)
		theirs := ask(w.a, about(mail, address), nil)
		wantEarlier(t, "the other party", theirs.Earlier, theirs.Warnings)
		w.run()
		again := ask(w.b, about(map[string]any{"type": "mail", "value": "Anna@Mail.Example"},
			map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T16:30:00", "zone": "Asia/Shanghai"}), nil)
		wantEarlier(t, "again", again.Earlier, again.Warnings, first.Number)
		if e := again.Earlier[0]; e.Thread != first.Statement || e.Status != assistance.Delivered || e.Shared != 2 {
			t.Errorf("again: %+v", e)
		}
		later := ask(w.b, about(map[string]any{"type": "ip", "value": "192.0.2.7", "from": "2026-03-01T16:30:00", "zone": "Europe/Berlin"}), nil)
		wantEarlier(t, "the address at another time", later.Earlier, later.Warnings)
		continued := ask(w.b, about(mail), map[string]any{"status": "extension", "previous": first.Statement.String()})
		wantEarlier(t, "what continues the first", continued.Earlier, continued.Warnings, again.Number)
		if e := continued.Earlier[0]; e.Status != flow.Sent {
			t.Errorf("what is on its way is %q", e.Status)
		}
		w.run()
		w.sound()

		before := w.index(w.b)
		w.must(w.b.store.Update(t.Context(), flow.Normal, func(tx flow.Tx) error { return tx.DropFolded(t.Context()) }))
		if n := len(w.index(w.b)); n != 0 {
			t.Fatalf("%d rows are left", n)
		}
		_, err := w.b.Rebuild(t.Context(), operator, nil)
		w.must(err)
		if got := w.index(w.b); len(got) == 0 || !slices.Equal(got, before) {
			t.Errorf("a rebuild makes %v of the index, want %v", got, before)
		}
		w.erase(w.b, first.Statement, "order", false)
		for _, row := range w.index(w.b) {
			if row.Thread == first.Statement {
				t.Errorf("after the erasure there is %+v", row)
			}
		}
		w.sound()
	})
}

// Guards: no file of the database holds the mark of what an erased request asked, and none ever held what it asked.
func TestErasureReachesTheIndex(t *testing.T) {
	w := confirmed(t)
	const canary = "canary-4711@mail.example"
	asked := w.ask(w.a, request(w.a, "preservation.request", about(map[string]any{"type": "mail", "value": canary}), nil))
	w.run()
	rows := w.index(w.a)
	if len(rows) != 1 || len(w.onDisk(w.a, rows[0].Mark[:])) == 0 {
		t.Fatalf("%d marks, none of them on the disk: the search is no test", len(rows))
	}
	if found := w.onDisk(w.a, []byte(canary)); len(found) > 0 {
		t.Errorf("what was asked is open in %v", found)
	}
	w.erase(w.a, asked.Statement, "order", false)
	if found := w.onDisk(w.a, rows[0].Mark[:]); len(found) > 0 {
		t.Errorf("the mark is still in %v", found)
	}
	again := w.ask(w.a, request(w.a, "preservation.request", about(map[string]any{"type": "mail", "value": canary}), nil))
	wantEarlier(t, "after the erasure", again.Earlier, again.Warnings)
}

// Whoever looks at a draft is told too, and whoever sends it.
func TestDraftWasAskedBefore(t *testing.T) {
	o := newOffice(t)
	o.requestDesks()
	ctx := t.Context()
	mail := func() map[string]any { return map[string]any{"type": "mail", "value": "anna@mail.example"} }
	first, err := o.a.Ask(ctx, o.anna, request(o.a, "preservation.request", about(mail()), nil), nil)
	o.must(err)
	body := about(mail())
	delete(body, "necessity")
	_, err = o.a.Ask(ctx, o.anna, request(o.a, "preservation.request", body, nil), nil)
	wantCode(t, "without a field", err, "incomplete")
	kept, err := o.a.Drafts(ctx, o.anna, member.DraftFilter{Limit: 1})
	o.must(err)
	shown := o.show(kept[0].ID)
	wantEarlier(t, "the preview", shown.Earlier, shown.Notes, first.Number)
	whole, err := envelope.Marshal(about(mail()))
	o.must(err)
	m, err := o.a.EditDraft(ctx, o.anna, shown.ID.String(), shown.Digest, flow.DraftEdit{Body: whole})
	o.must(err)
	sent, err := o.a.SubmitDraft(ctx, o.anna, shown.ID.String(), m.Digest, nil)
	o.must(err)
	wantEarlier(t, "sent", sent.Earlier, sent.Warnings, first.Number)
}
