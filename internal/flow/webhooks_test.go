package flow_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/notice"
)

// hook names a receiver of a side, of all events or of some.
func (s *side) hook(t testing.TB, types ...string) (notice.Hook, string) {
	t.Helper()
	k, secret, err := s.AddWebhook(t.Context(), operator, notice.Hook{URL: "https://cases.example/hook", Types: types})
	if err != nil {
		t.Fatal(err)
	}
	return k, secret
}

// told is what is queued for a receiver, oldest first.
func (s *side) told(t testing.TB, k notice.Hook) []notice.Delivery {
	t.Helper()
	list, err := s.Deliveries(t.Context(), operator, notice.Filter{Hook: k.ID, Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func typesOf(list []notice.Delivery) (types []string) {
	for _, d := range list {
		types = append(types, d.Type)
	}
	return types
}

// notified is a notice as a receiver reads it: a member that is not here fails the strict codec.
type notified struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      notice.Data `json:"data"`
}

func readNotice(t testing.TB, d notice.Delivery) (n notified) {
	t.Helper()
	if err := envelope.Unmarshal(d.Body, &n); err != nil {
		t.Fatalf("%s: %v", d.Body, err)
	}
	return n
}

// TestWebhooksLeakNothing plays what both sides are told of, with canaries in whatever a person writes, and looks for these in
// every notice and in the log; and it checks that each event is told once, with the ids and times that there are.
func TestWebhooksLeakNothing(t *testing.T) {
	const canary = "CANARY"
	w := confirmed(t)
	ctx := t.Context()
	var logged bytes.Buffer
	for _, s := range []*side{w.a, w.b} {
		s.log = slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})
		s.reopen(t)
	}
	w.hotlines()
	w.requestDesks()
	ours, _ := w.a.hook(t)
	theirs, _ := w.b.hook(t)
	some, _ := w.b.hook(t, notice.CallReceived)

	asked := w.ask(w.a, request(w.a, "preservation.request", preservation(map[string]any{"facts": canary, "data": canary, "custodian": canary, "necessity": canary}),
		map[string]any{"confidential": true}))
	w.run()
	w.reply(w.b, asked.Statement.String(), "request.acknowledge", map[string]any{"next": w.b.clock.now().Add(24 * time.Hour).UnixMicro()},
		map[string]any{"reference": canary, "authority": canary})
	w.run()
	w.reply(w.b, asked.Statement.String(), "decision.accept", nil, nil)
	w.run()
	w.message(w.a, canary, canary, nil, fileOf(canary+".txt", []byte(canary)))
	w.run()
	c := call(w.a, "")
	c.Face = with(c.Face, "kind", "escalation")
	made, err := w.a.Escalate(ctx, operator, asked.Statement.String(), c, nil)
	w.must(err)
	w.run()
	w.onCall(w.b, made.Statement, "hotline.acknowledge", nil, map[string]any{"person": canary})
	red := draft(w.a, canary, canary, nil, fileOf(canary, []byte(canary)))
	red.Marking.TLP = "RED"
	if _, err := w.a.Send(ctx, operator, red, nil); fault.CodeOf(err) != "held" {
		t.Fatal(err)
	}
	unanswered := w.ask(w.a, request(w.a, "preservation.request", preservation(nil), nil))
	w.run()
	w.a.clock.advance(20 * 24 * time.Hour) // of both
	for range 2 {
		w.must(w.a.TellDue(ctx))
		w.must(w.b.TellDue(ctx))
	}

	told := w.b.told(t, theirs)
	if got := typesOf(told); !slices.Equal(slices.Compact(got), []string{notice.RequestReceived, notice.MessageReceived, notice.CallReceived, notice.RequestReceived, notice.ClockEnded}) {
		t.Fatalf("the requested side is told of %v", got)
	}
	if d := readNotice(t, told[len(told)-1]).Data; *d.Thread != unanswered.Statement || d.OwedBy != notice.OwedByUs || d.Due == nil || d.Step == "" || d.Kind != "preservation.request" {
		t.Errorf("of the clock: %+v", d)
	}
	first := readNotice(t, told[0])
	if d := first.Data; d.LinkName != "arvenia" || *d.Link != w.b.link || d.Kind != "preservation.request" || *d.Statement != asked.Statement || *d.Thread != asked.Statement ||
		d.Number != "" || d.Step != "ack" || d.OwedBy != notice.OwedByUs || d.Due == nil || first.Timestamp.IsZero() {
		t.Errorf("of the request: %+v", first)
	}
	ringing, err := w.b.ShowCall(ctx, operator, made.Statement.String())
	w.must(err)
	if d := readNotice(t, told[2]).Data; d.Due == nil || d.Due.UnixMicro() != ringing.AnswerBy || d.OwedBy != notice.OwedByUs || d.Kind != "hotline.call" {
		t.Errorf("of the call: %+v, which is to be answered by %d", d, ringing.AnswerBy)
	}
	back := w.a.told(t, ours)
	if got := typesOf(back); !slices.Equal(got[:4], []string{notice.RequestSaid, notice.RequestDecided, notice.CallSaid, notice.DraftWaiting}) {
		t.Errorf("the requesting side is told of %v", got)
	}
	if d := readNotice(t, back[1]).Data; d.Number != asked.Number || d.Kind != "decision.accept" {
		t.Errorf("of the decision: %+v, number %s", d, asked.Number)
	}
	if got := typesOf(w.b.told(t, some)); !slices.Equal(got, []string{notice.CallReceived}) {
		t.Errorf("who is told of calls alone is told of %v", got)
	}
	for _, d := range slices.Concat(told, back) {
		readNotice(t, d)
		if bytes.Contains(d.Body, []byte(canary)) || bytes.Contains(d.Body, []byte(asked.Number)) && d.Hook == theirs.ID {
			t.Errorf("a notice tells what a person wrote: %s", d.Body)
		}
	}
	if strings.Contains(logged.String(), canary) {
		t.Error("the log tells what a person wrote")
	}
	before := len(told)
	for range 2 {
		_, err := w.b.Rebuild(ctx, operator, nil)
		w.must(err)
		w.must(w.b.TellDue(ctx))
	}
	if again := w.b.told(t, theirs); len(again) != before {
		t.Errorf("a rebuild tells %d events again", len(again)-before)
	}
}

func with(face map[string]any, name string, value any) map[string]any {
	out := map[string]any{name: value}
	for k, v := range face {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// What the peer's node refused is told, with its kind and without the peer's reason.
func TestWebhookOfRefusal(t *testing.T) {
	w := confirmed(t)
	k, _ := w.a.hook(t)
	said := w.message(w.a, "large", strings.Repeat("in segments ", 21000), nil)
	d, err := w.a.Outgoing(t.Context(), w.a.link, 8<<20)
	w.must(err)
	answers, err := w.b.Receive(t.Context(), w.b.link, d.Frames)
	w.must(err)
	w.must(w.a.Delivered(t.Context(), d, answers[:0]))
	w.b.clock.advance(366 * 24 * time.Hour)
	w.must(w.b.Expire(t.Context()))
	for w.carry(w.b, w.a) {
	}
	told := w.a.told(t, k)
	if len(told) != 1 || told[0].Type != notice.StatementRefused {
		t.Fatalf("told of %v", typesOf(told))
	}
	if d := readNotice(t, told[0]).Data; *d.Statement != said || d.Kind != "message" || *d.Thread != said {
		t.Errorf("told %+v", d)
	}
}

// An event is queued in the act that makes it: an act that fails queues nothing, and without a receiver nothing is.
func TestWebhookIsQueuedInTheAct(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	w.message(w.a, "before there was a receiver", "x", nil)
	w.run()
	k, _ := w.b.hook(t)
	if got := typesOf(w.b.told(t, k)); len(got) != 0 {
		t.Errorf("told of %v", got)
	}
	failing := &failingStore{Store: w.b.store}
	real := w.b.store
	w.b.store = failing
	w.b.House = w.b.open(t, w.b.Self())
	w.message(w.a, "in an act that fails", "x", nil)
	d, err := w.a.Outgoing(ctx, w.a.link, 8<<20)
	w.must(err)
	failing.fail = true
	if _, err := w.b.Receive(ctx, w.b.link, d.Frames); err == nil {
		t.Fatal("an act whose store fails succeeds")
	}
	failing.fail = false
	w.b.store = real
	w.b.House = w.b.open(t, w.b.Self())
	if got := typesOf(w.b.told(t, k)); len(got) != 0 {
		t.Errorf("an act that failed told of %v", got)
	}
	answers, err := w.b.Receive(ctx, w.b.link, d.Frames)
	w.must(err)
	w.must(w.a.Delivered(ctx, d, answers))
	w.run()
	if got := typesOf(w.b.told(t, k)); !slices.Equal(got, []string{notice.MessageReceived}) {
		t.Errorf("told of %v", got)
	}
}

// failingStore does each act, and then fails it before it is durable.
type failingStore struct {
	flow.Store
	fail bool
}

func (s *failingStore) Update(ctx context.Context, p flow.Priority, f func(flow.Tx) error) error {
	return s.Store.Update(ctx, p, func(tx flow.Tx) error {
		if err := f(tx); err != nil || !s.fail {
			return err
		}
		return fmt.Errorf("the disk is gone")
	})
}

// What a receiver did with what was posted decides what is posted next; and what an operator does about it.
func TestPostings(t *testing.T) {
	w := confirmed(t)
	ctx := t.Context()
	k, shown := w.a.hook(t)
	first, err := w.a.TestWebhook(ctx, operator, k.ID)
	w.must(err)
	second, err := w.a.TestWebhook(ctx, operator, k.ID)
	w.must(err)
	posting := func() (ids []string, secrets [][]byte) {
		t.Helper()
		list, err := w.a.Postings(ctx)
		w.must(err)
		for _, p := range list {
			secrets = p.Secrets
			for _, d := range p.Deliveries {
				ids = append(ids, d.ID)
			}
		}
		return ids, secrets
	}
	post := func(id string, o notice.Outcome) bool {
		t.Helper()
		list := w.a.told(t, k)
		i := slices.IndexFunc(list, func(d notice.Delivery) bool { return d.ID == id })
		more, err := w.a.Posted(ctx, list[i], o)
		w.must(err)
		return more
	}
	ids, secrets := posting()
	if !slices.Equal(ids, []string{first, second}) || len(secrets) != 1 || "whsec_"+base64.StdEncoding.EncodeToString(secrets[0]) != shown {
		t.Errorf("posted are %v, with %d secrets", ids, len(secrets))
	}
	if post(first, notice.Outcome{Code: "timeout"}) {
		t.Error("the next is posted to a receiver that is away")
	}
	if ids, _ = posting(); len(ids) != 0 {
		t.Errorf("a receiver that is away is posted %v", ids)
	}
	w.a.clock.advance(6 * time.Second)
	other, err := w.a.RotateWebhook(ctx, operator, k.ID)
	w.must(err)
	if ids, secrets = posting(); len(ids) != 2 || len(secrets) != 2 || "whsec_"+base64.StdEncoding.EncodeToString(secrets[0]) != other ||
		"whsec_"+base64.StdEncoding.EncodeToString(secrets[1]) != shown {
		t.Errorf("posted are %v, with %d secrets", ids, len(secrets))
	}
	w.a.clock.advance(25 * time.Hour)
	if _, secrets = posting(); len(secrets) != 1 {
		t.Errorf("a day later %d secrets sign", len(secrets))
	}
	if !post(first, notice.Outcome{Status: 200}) || post(second, notice.Outcome{Status: 410}) {
		t.Error("after a success, or after the receiver is gone")
	}
	states := map[string]notice.DeliveryState{}
	for _, d := range w.a.told(t, k) {
		states[d.ID] = d.State
	}
	if states[first] != notice.Delivered || states[second] != notice.GivenUp {
		t.Errorf("the deliveries are %v", states)
	}
	if list, err := w.a.Webhooks(ctx, operator); err != nil || list[0].Why != notice.Gone || list[0].Disabled == 0 {
		t.Errorf("the webhook: %+v, %v", list, err)
	}
	if _, err := w.a.TestWebhook(ctx, operator, k.ID); fault.CodeOf(err) != "webhook_disabled" {
		t.Errorf("a disabled webhook is tried: %v", err)
	}
	w.must(w.a.ResumeWebhook(ctx, operator, k.ID))
	w.a.reopen(t)
	if ids, _ = posting(); !slices.Equal(ids, []string{second}) {
		t.Errorf("resumed, it is posted %v", ids)
	}
	stale := w.a.told(t, k)[1]
	w.must(w.a.RemoveWebhook(ctx, operator, k.ID))
	if more, err := w.a.Posted(ctx, stale, notice.Outcome{Status: 200}); more || err != nil {
		t.Errorf("posted to a webhook that was removed meanwhile: %v, %v", more, err)
	}
	for _, id := range []string{k.ID, "", "zz", strings.Repeat("0", 12)} {
		if err := w.a.ResumeWebhook(ctx, operator, id); fault.CodeOf(err) != "webhook" {
			t.Errorf("%q is resumed: %v", id, err)
		}
	}
	lines, err := w.a.Audits(ctx, operator, 0, 50)
	w.must(err)
	var acts []string
	for _, l := range lines {
		if strings.HasPrefix(l.Act, "webhook") {
			acts = append(acts, l.Act)
		}
		if strings.Contains(l.Object, "whsec") {
			t.Error("a secret stands in the log of members")
		}
	}
	if want := []string{"webhook remove", "webhook resume", "webhook rotate", "webhook test", "webhook test", "webhook add"}; !slices.Equal(acts, want) {
		t.Errorf("the log of members: %v", acts)
	}
}

// There are only so many webhooks.
func TestWebhookLimits(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	for range notice.MaxHooks {
		a.hook(t)
	}
	if _, _, err := a.AddWebhook(t.Context(), operator, notice.Hook{URL: "https://one.more.example"}); fault.CodeOf(err) != "webhooks" {
		t.Errorf("one more: %v", err)
	}
	if _, _, err := a.AddWebhook(t.Context(), operator, notice.Hook{URL: "http://plain.example"}); fault.CodeOf(err) != "webhook_url" {
		t.Errorf("plain HTTP: %v", err)
	}
	auditor := actor.Actor{Kind: actor.Member, Name: "aud", Roles: []actor.Role{actor.Auditor}}
	if list, err := a.Webhooks(t.Context(), auditor); err != nil || len(list) != notice.MaxHooks {
		t.Errorf("an auditor sees %d: %v", len(list), err)
	}
}
