package flow_test

import (
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// Guards: who let its keys end says nothing new but calls for help and what is said of the link itself, until the recovery keys have
// replaced them. What was said before arrives, what comes in is receipted, and nothing of the record is another for it.
func TestKeysEnd(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.must(w.a.Rotate(ctx, operator, flow.Renewal{Validity: 48 * time.Hour}))
	w.later()
	before := w.message(w.a, "before", "on its way when the keys end", nil)
	w.clock().advance(72 * time.Hour)
	d := draft(w.a, "after", "too late", nil)
	_, err := w.a.Send(ctx, operator, d, nil)
	if fault.CodeOf(err) != "keys_ended" || fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Public(err), "entente keys recover") {
		t.Errorf("a message after the keys have ended: %v", err)
	}
	if err := w.a.Rotate(ctx, operator, flow.Renewal{}); err == nil {
		t.Error("keys that have ended sign their successor")
	}
	d.Lane = statement.Hotline
	call, err := w.a.Send(ctx, operator, d, nil)
	w.must(err)
	suspension := w.suspend(w.a, statement.Dialogue)
	answer := w.message(w.b, "from the other party", "receipted with keys that have ended", nil)
	w.run()
	for _, c := range []statement.Commitment{before, call, suspension, answer} {
		w.opened(c, nil)
	}
	w.recover(w.a, flow.Renewal{Validity: 365 * 24 * time.Hour}, 0, 1)
	w.later()
	after := w.message(w.a, "after", "under the new keys", nil)
	w.run()
	w.opened(after, nil)
	w.cosign()
	w.sound()
	w.sameRecord()
}
