package api_test

import (
	"context"
	"io"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/flow"
	"entente/internal/member"
	"entente/internal/notice"
	"entente/statement"
)

func (f *fake) Members(context.Context, actor.Actor, string, int) ([]member.Member, error) {
	return []member.Member{{Name: "anna", Roles: []actor.Role{actor.Drafter}, Created: when.UnixMicro(), Suspended: when.UnixMicro()}}, f.fail
}

func (f *fake) AddMember(context.Context, actor.Actor, string, []actor.Role) (string, error) {
	return "abcd-efgh", f.fail
}

func (f *fake) SetRoles(context.Context, actor.Actor, string, []actor.Role) error { return f.fail }

func (f *fake) SuspendMember(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) ResumeMember(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) ResetPassphrase(context.Context, actor.Actor, string) (string, error) {
	return "abcd-efgh", f.fail
}

func (f *fake) ChangePassphrase(context.Context, actor.Actor, string, string) error { return f.fail }

func (f *fake) Tokens(context.Context, actor.Actor, string) ([]member.Token, error) {
	return []member.Token{someToken()}, f.fail
}

func (f *fake) AddToken(context.Context, actor.Actor, string, []actor.Scope, time.Duration, string) (member.Token, string, error) {
	return someToken(), "entente_secret", f.fail
}

func (f *fake) RevokeToken(context.Context, actor.Actor, string) error { return f.fail }

func someToken() member.Token {
	return member.Token{ID: "0123456789ab", Member: "anna", Scopes: []actor.Scope{actor.ScopeRead}, Created: when.UnixMicro(), Expires: when.UnixMicro()}
}

func (f *fake) Audits(context.Context, actor.Actor, int64, int) ([]member.Entry, error) {
	return []member.Entry{{Number: 3, At: when.UnixMicro(), Who: "ada", Act: "send", Object: said.String()}}, f.fail
}

func (f *fake) ExportAudit(_ context.Context, _ actor.Actor, w io.Writer) error {
	if f.fail != nil {
		return f.fail
	}
	_, err := io.WriteString(w, "{}\n")
	return err
}

func someDraft() member.Draft {
	return member.Draft{ID: envelope.ID{1}, Link: link, Kind: "message", Thread: &said, Urgency: "routine", Writers: []string{"anna"}, State: member.Waiting,
		Need: "second_person", Version: 2, Digest: said, Created: when.UnixMicro(), Changed: when.UnixMicro()}
}

func (f *fake) Drafts(_ context.Context, _ actor.Actor, asked member.DraftFilter) ([]flow.DraftView, error) {
	f.listed = asked
	return []flow.DraftView{{Draft: someDraft(), LinkAlias: "kestria"}}, f.fail
}

func (f *fake) Draft(context.Context, actor.Actor, string) (flow.DraftDetail, error) {
	at := when.UnixMicro()
	return flow.DraftDetail{DraftView: flow.DraftView{Draft: someDraft(), LinkAlias: "kestria"}, To: kestria, Peer: map[string]string{"en": "Kestria"},
		Text:    flow.DraftText{Lane: statement.Network, Zone: "UTC", ReplyBy: &at, Marking: handling.Marking{TLP: "RED"}, Face: []byte("{}"), Body: []byte("{}")},
		Files:   []flow.DraftFile{{Name: "a", Media: "text/plain", Size: 1, SHA256: said}},
		Blocked: []handling.Reason{{Code: "c", Sentence: "S."}}, Officer: "role", Notes: []string{"Look."}, Earlier: someEarlier(),
		Faults:  []statement.FieldFault{{Where: "/body/x", What: "is missing"}},
		Reviews: []member.Review{{Version: 1, Who: "ben", Verdict: member.RefusedIt, Note: "No.", At: at}}}, f.fail
}

func someEarlier() []flow.Earlier {
	return []flow.Earlier{{Thread: said, Number: "ARV-PR-2026-0001", Status: assistance.Answered, At: when.UnixMicro(), Shared: 2}}
}

func (f *fake) EditDraft(context.Context, actor.Actor, string, envelope.Hash, flow.DraftEdit) (member.Draft, error) {
	return someDraft(), f.fail
}

func (f *fake) DiscardDraft(context.Context, actor.Actor, string, envelope.Hash) (member.Draft, error) {
	return someDraft(), f.fail
}

func (f *fake) ReviewDraft(context.Context, actor.Actor, string, envelope.Hash, bool, string) (member.Draft, error) {
	return someDraft(), f.fail
}

func (f *fake) SubmitDraft(context.Context, actor.Actor, string, envelope.Hash, flow.Progress) (flow.Asked, error) {
	return flow.Asked{Statement: said}, f.fail
}

func (f *fake) Release(context.Context, actor.Actor, string, envelope.Hash, string, flow.Progress) (flow.Asked, error) {
	return flow.Asked{Statement: said, Number: "ARV-PR-2026-0001", Warnings: []string{"Asked before."}, Earlier: someEarlier()}, f.fail
}

func (f *fake) BreakGlass(context.Context, actor.Actor, string, envelope.Hash, string, string, flow.Progress) (flow.Asked, error) {
	return flow.Asked{Statement: said}, f.fail
}

func (f *fake) Countersign(context.Context, actor.Actor, string, string, string) (member.Draft, error) {
	return someDraft(), f.fail
}

func (f *fake) Claim(_ context.Context, who, key string) (envelope.Hash, flow.Answer, bool, error) {
	kept, done := f.answers[who+key]
	return kept.fingerprint, kept.answer, done, nil
}

func (f *fake) Answered(_ context.Context, who, key string, fingerprint envelope.Hash, a flow.Answer) error {
	if f.answers == nil {
		f.answers = map[string]answered{}
	}
	f.answers[who+key] = answered{fingerprint, a}
	return nil
}

func (f *fake) Unclaim(context.Context, string, string) error { return nil }

// answered is an answer that is kept to be replayed.
type answered struct {
	fingerprint envelope.Hash
	answer      flow.Answer
}

func someHook() notice.Hook {
	at := when.UnixMicro()
	return notice.Hook{ID: "0123456789ab", URL: "https://cases.example/hook", Types: []string{notice.CallReceived}, CA: []byte("pem"), Note: "cases", Created: at,
		Failing: at, Failures: 2, Next: at, Code: "timeout", Disabled: at, Why: notice.Failing}
}

func (f *fake) Webhooks(context.Context, actor.Actor) ([]notice.Hook, error) {
	return []notice.Hook{someHook()}, f.fail
}

func (f *fake) AddWebhook(context.Context, actor.Actor, notice.Hook) (notice.Hook, string, error) {
	return someHook(), "whsec_secret", f.fail
}

func (f *fake) RemoveWebhook(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) RotateWebhook(context.Context, actor.Actor, string) (string, error) {
	return "whsec_other", f.fail
}

func (f *fake) ResumeWebhook(context.Context, actor.Actor, string) error { return f.fail }

func (f *fake) TestWebhook(context.Context, actor.Actor, string) (string, error) {
	return "evt_1", f.fail
}

func (f *fake) Deliveries(context.Context, actor.Actor, notice.Filter) ([]notice.Delivery, error) {
	at := when.UnixMicro()
	return []notice.Delivery{{Hook: "0123456789ab", ID: "evt_1", Type: notice.CallReceived, State: notice.Waiting, Created: at, Attempts: 1, Next: at,
		Ended: at, Status: 500, Code: notice.CodeBusy}}, f.fail
}
