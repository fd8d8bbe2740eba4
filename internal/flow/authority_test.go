package flow_test

import (
	"context"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"
)

// actsOf names, for every method of the house that takes an actor, what it asks of authorisation. Where that depends on the
// kind of what is said, kindActs has it.
func actsOf() map[string]actor.Act {
	return map[string]actor.Act{
		"Links": actor.ReadLinks, "FindLink": actor.ReadLinks, "LinkID": actor.ReadLinks, "Desks": actor.ReadLinks, "DesksToChange": actor.Desks, "Witnesses": actor.ReadLinks,
		"List": actor.ReadStatements, "Awaited": actor.ReadStatements, "Show": actor.ReadStatements, "WriteFile": actor.ReadFiles,
		"Requests": actor.ReadRequests, "Request": actor.ReadRequests, "Dues": actor.ReadRequests, "Obligations": actor.ReadRequests, "ObligationsOf": actor.ReadRequests,
		"OpenCase": actor.KeepCases, "Note": actor.KeepCases, "AddTask": actor.KeepCases, "FinishTask": actor.KeepCases, "Attach": actor.KeepCases,
		"CloseCase": actor.KeepCases, "ReopenCase": actor.KeepCases, "EraseCase": actor.Erase, "Cases": actor.ReadCases, "Case": actor.ReadCases, "Tasks": actor.ReadCases,
		"PlaceHold": actor.Hold, "LiftHold": actor.Hold, "Holds": actor.ReadStatements, "StatusReport": actor.ReadRequests,
		"Ledger": actor.ReadLedger, "VerifyLedger": actor.ReadLedger, "ReceiptEntry": actor.ReadLedger, "Proof": actor.Prove,
		"Calls": actor.ReadCalls, "ShowCall": actor.ReadCalls, "Call": actor.Call, "Escalate": actor.Call, "SayOnCall": actor.Call,
		"Send": actor.Say, "Ask": actor.Ask, "Reply": actor.Say,
		"Invite": actor.Govern, "PairComplete": actor.Govern, "PairByFile": actor.Govern, "PairOn": actor.Govern, "Confirm": actor.Govern,
		"Agree": actor.Govern, "SuspendLanes": actor.Govern, "ResumeLanes": actor.Govern, "Withdraw": actor.Govern,
		"Pack": actor.Courier, "Unpack": actor.Courier, "Erase": actor.Erase, "Rebuild": actor.Rebuild,
		"Keys": actor.ReadKeys, "Rotate": actor.Keys, "PrepareRecovery": actor.Keys, "FinishRecovery": actor.Keys, "CancelRecovery": actor.Keys,
		"Drafts": actor.ReadDrafts, "Draft": actor.ReadDrafts, "EditDraft": actor.Say, "DiscardDraft": actor.Say, "SubmitDraft": actor.Say,
		"ReviewDraft": actor.Review, "Release": actor.Release, "Countersign": actor.Release, "BreakGlass": actor.BreakGlass,
		"Evidence": actor.ReadEvidence, "Audits": actor.ReadAudit, "ExportAudit": actor.ReadAudit, "CheckAudit": actor.ReadAudit,
		"Members": actor.ReadMembers, "Tokens": actor.ReadMembers, "AddMember": actor.ManageMembers, "SetRoles": actor.ManageMembers,
		"SuspendMember": actor.ManageMembers, "ResumeMember": actor.ManageMembers, "ResetPassphrase": actor.ManageMembers,
		"AddToken": actor.ManageMembers, "RevokeToken": actor.ManageMembers, "ChangePassphrase": actor.OwnAccount,
		"Webhooks": actor.ReadWebhooks, "Deliveries": actor.ReadWebhooks, "AddWebhook": actor.ManageWebhooks, "RemoveWebhook": actor.ManageWebhooks,
		"RotateWebhook": actor.ManageWebhooks, "ResumeWebhook": actor.ManageWebhooks, "TestWebhook": actor.ManageWebhooks,
	}
}

// kindActs names what saying each kind is.
func kindActs() map[string]actor.Act {
	acts := map[string]actor.Act{"message": actor.Say, "test": actor.Say, "erasure.notice": actor.Erase}
	for act, kinds := range map[actor.Act]string{
		actor.Govern: "link.confirm link.agree participation.suspend participation.resume participation.withdraw",
		actor.Desks:  "desk.propose desk.update desk.countersign desk.withdraw",
		actor.Decide: "decision.accept decision.condition decision.transmit decision.postpone decision.refuse decision.refuse_part " +
			"decision.impossible decision.delay preservation.preserved preservation.path preservation.ineffective",
		actor.Call: "hotline.call hotline.acknowledge hotline.reply hotline.hand_over hotline.stand_down",
		actor.Reply: "request.acknowledge clarification.ask clarification.answer status.update status.query answer.partial answer.complete " +
			"answer.confirm answer.feedback conditions.agree conditions.decline preservation.proceed preservation.extend preservation.link " +
			"preservation.release request.correct request.withdraw request.contest request.close",
	} {
		for kind := range strings.FieldsSeq(kinds) {
			acts[kind] = act
		}
	}
	for _, k := range statement.RequestKinds() {
		acts[k.Name] = actor.Ask
	}
	return acts
}

func allows(act actor.Act, role actor.Role) bool {
	return slices.ContainsFunc(actor.Table(), func(r actor.Rule) bool { return r.Act == act && slices.Contains(r.Roles, role) })
}

// let calls a method of the house as a role with empty arguments, and says whether authorisation let it pass.
func let(t *testing.T, h *flow.House, m reflect.Method, role actor.Role) bool {
	t.Helper()
	args := []reflect.Value{reflect.ValueOf(h)}
	for i := 1; i < m.Type.NumIn(); i++ {
		args = append(args, emptyOf(t, m.Type.In(i), role))
	}
	out := m.Func.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return fault.CodeOf(err) != "role"
}

func emptyOf(t *testing.T, in reflect.Type, role actor.Role) reflect.Value {
	switch in {
	case reflect.TypeFor[context.Context]():
		return reflect.ValueOf(t.Context())
	case reflect.TypeFor[actor.Actor]():
		return reflect.ValueOf(actor.Actor{Kind: actor.Member, Name: "m", Roles: []actor.Role{role}})
	case reflect.TypeFor[io.Reader]():
		return reflect.ValueOf(strings.NewReader(""))
	case reflect.TypeFor[io.Writer]():
		return reflect.ValueOf(io.Discard)
	case reflect.TypeFor[*flow.Invitation]():
		return reflect.ValueOf(&flow.Invitation{Token: make([]byte, 32)})
	case reflect.TypeFor[*flow.PairFile]():
		return reflect.ValueOf(&flow.PairFile{})
	}
	return reflect.Zero(in)
}

// TestAuthorisation tries every role against every act of the house, on a real one. An act that is missing in the table fails.
func TestAuthorisation(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	var tried []string
	for m := range reflect.TypeFor[*flow.House]().Methods() {
		takes := false
		for i := range m.Type.NumIn() {
			takes = takes || m.Type.In(i) == reflect.TypeFor[actor.Actor]()
		}
		if !takes {
			continue
		}
		act, known := actsOf()[m.Name]
		if !known {
			t.Errorf("%s takes an actor and is not in the table", m.Name)
			continue
		}
		tried = append(tried, m.Name)
		for _, role := range actor.Roles() {
			if got := let(t, a.House, m, role); got != allows(act, role) {
				t.Errorf("%s as %s: let pass: %v, the table (%s) says %v", m.Name, role, got, act, !got)
			}
		}
	}
	if want := slices.Sorted(maps.Keys(actsOf())); !slices.Equal(tried, want) {
		t.Errorf("tried %v, the table has %v", tried, want)
	}
}

// TestAuthorisationOfKinds: who may say which kind, for every kind of every edition.
func TestAuthorisationOfKinds(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	kinds, _ := statement.Kinds(statement.KindsEdition)
	for _, k := range kinds {
		act, known := kindActs()[k.Name]
		if !known {
			t.Errorf("the kind %s is not in the table", k.Name)
			continue
		}
		for _, role := range actor.Roles() {
			who := actor.Actor{Kind: actor.Member, Name: "m", Roles: []actor.Role{role}}
			_, err := a.Send(t.Context(), who, flow.Draft{Link: party.ID{}, Kind: k.Name}, nil)
			if got := fault.CodeOf(err) != "role"; got != allows(act, role) {
				t.Errorf("saying %s as %s: let pass: %v, the table (%s) says %v", k.Name, role, got, act, !got)
			}
		}
	}
	if len(kindActs()) != len(kinds) {
		t.Errorf("the table has %d kinds, the edition %d", len(kindActs()), len(kinds))
	}
}
