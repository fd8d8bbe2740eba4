package flow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/proof"
	"entente/statement"
)

// Guards: what was signed since the time that its owner declares is marked on both sides, whatever time its author gave; what was
// signed before, or under the version that declares it, is not; and nothing else of the record is another for it.
func TestCompromiseSince(t *testing.T) {
	ca, cb := newClock(), newClock()
	w := newWorldAt(t, ca, cb)
	w.confirm()
	ctx := t.Context()
	before := w.message(w.b, "before", "text", nil)
	w.run()
	since := ca.now().Add(12 * time.Hour).UnixMicro()
	ca.advance(24 * time.Hour)
	backdated := w.message(w.b, "authored before, it says", "text", nil)
	w.run()
	cb.advance(24 * time.Hour)
	after := w.message(w.b, "after", "text", nil)
	answered := w.message(w.a, "receipted after", "text", nil)
	w.run()
	w.cosign()
	cut, err := w.a.CommonCut(ctx, w.a.link)
	w.must(err)
	hash, said, err := w.a.FoldHash(ctx, w.a.link, cut)
	w.must(err)
	records := []record{w.record(w.a), w.record(w.b)}

	if _, err := w.b.PrepareRecovery(ctx, operator, flow.Renewal{CompromiseSince: cb.now().Add(time.Hour).UnixMicro()}); fault.CodeOf(err) != "compromise_since" {
		t.Errorf("a compromise in the future: %v", err)
	}
	w.recover(w.b, flow.Renewal{CompromiseSince: since}, 1, 2)
	w.later()
	cb.advance(4 * time.Hour)
	w.cosign()
	for i, s := range []*side{w.a, w.b} {
		w.unsaid(s, records[i], "the declaration")
		h, n, err := s.FoldHash(ctx, s.link, cut)
		w.must(err)
		if h != hash || n != said {
			t.Errorf("%s folds the same cut to another hash", s.name)
		}
	}
	later := w.message(w.b, "under the new keys", "text", nil)
	w.run()

	for _, s := range []*side{w.a, w.b} {
		for _, c := range []struct {
			name               string
			said               statement.Commitment
			statement, receipt bool
		}{
			{"a statement from before", before, false, false},
			{"a statement since", after, true, false},
			{"a statement to who is compromised", answered, false, true},
			{"a statement with an older time than it was received at", backdated, true, false},
			{"a statement under the new keys", later, false, false},
		} {
			v, err := s.Show(ctx, operator, c.said.String())
			w.must(err)
			if marked := v.Suspect != nil; marked != c.statement || marked && (v.Suspect.Since != since || v.Suspect.Version != 2) {
				t.Errorf("%s sees %s as %+v", s.name, c.name, v.Suspect)
			}
			for _, r := range v.Receipts {
				if (r.Suspect != nil) != c.receipt {
					t.Errorf("%s sees the receipt %s of %s as %+v", s.name, r.Receipt.Kind, c.name, r.Suspect)
				}
			}
			list, err := s.List(ctx, operator, exchange.Filter{})
			w.must(err)
			n := slices.IndexFunc(list, func(l flow.StatementView) bool { return l.Commitment == c.said })
			if n < 0 || (list[n].Suspect != nil) != c.statement {
				t.Errorf("%s lists %s otherwise", s.name, c.name)
			}
		}
	}
	w.cosign()
	w.proofRemarks(w.a, after, true)
	w.proofRemarks(w.a, before, false)
	v, err := w.a.FindLink(ctx, operator, "kestria")
	w.must(err)
	if v.PeerCompromised == nil || *v.PeerCompromised != since {
		t.Errorf("the link shows a compromise since %v", v.PeerCompromised)
	}
}

// proofRemarks checks whether a proof's report tells of the compromise.
func (w *world) proofRemarks(at *side, c statement.Commitment, told bool) {
	w.t.Helper()
	data, err := at.Proof(w.t.Context(), operator, c.String(), true)
	w.must(err)
	f, err := proof.Decode(data)
	w.must(err)
	r, err := proof.Verify(envelope.Default(), f)
	w.must(err)
	if got := slices.ContainsFunc(r.Remarks, func(s string) bool { return strings.Contains(s, "may have been in other hands") }); got != told {
		w.t.Errorf("the remarks of the proof: %q", r.Remarks)
	}
}
