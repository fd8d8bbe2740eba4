package api

import (
	"context"
	"net/http"

	"entente/internal/actor"
)

// table is every route there is. The description and the mux are made from it.
func table() []operation {
	return []operation{
		read("/self", "self", "Say who this node is", (*Door).self),
		read("/openapi.json", "openapi", "Describe this interface (OpenAPI 3.1)", (*Door).description),

		read("/me", "me", "Say who is calling", (*Door).me),
		act("/me/passphrase", "changePassphrase", "Choose another passphrase for oneself", (*Door).changePassphrase),
		read("/members", "members", "List the members, by name", (*Door).members),
		secret(act("/members", "addMember", "Make an account; its passphrase is shown once", (*Door).addMember)),
		act("/members/{member}/roles", "setRoles", "Give a member other roles", (*Door).setRoles),
		act("/members/{member}/suspensions", "suspendMember", "Keep a member out", (*Door).suspendMember),
		act("/members/{member}/resumptions", "resumeMember", "Let a suspended member in again", (*Door).resumeMember),
		secret(act("/members/{member}/passphrases", "resetPassphrase", "Give a member another passphrase, which is shown once", (*Door).resetPassphrase)),
		read("/members/{member}/tokens", "tokens", "List a member's tokens, newest first", (*Door).tokens),
		secret(act("/members/{member}/tokens", "addToken", "Make a token for a member; its secret is shown once", (*Door).addToken)),
		act("/tokens/{token}/revocations", "revokeToken", "End a token at once", (*Door).revokeToken),

		read("/webhooks", "webhooks", "List the receivers that are told of events, oldest first", (*Door).webhooks),
		secret(act("/webhooks", "addWebhook", "Name a receiver; the secret that signs is shown once", (*Door).addWebhook)),
		change(http.MethodDelete, "/webhooks/{webhook}", "removeWebhook", "Forget a receiver, and all that it was to be told", (*Door).removeWebhook),
		secret(act("/webhooks/{webhook}/secrets", "rotateWebhook", "Give a webhook another secret, which is shown once", (*Door).rotateWebhook)),
		act("/webhooks/{webhook}/tests", "testWebhook", "Tell a receiver of an event that says nothing", (*Door).testWebhook),
		act("/webhooks/{webhook}/resumptions", "resumeWebhook", "Tell a receiver again, and what was given up", (*Door).resumeWebhook),
		read("/webhooks/{webhook}/deliveries", "deliveries", "List what a receiver was or is to be told, newest first", (*Door).deliveries),

		read("/keys", "keys", "List the versions of this node's identity and what their keys are for", (*Door).keys),
		act("/keys/rotations", "rotateKeys", "Replace the keys by new ones, signed by both", (*Door).rotate),
		act("/keys/recoveries", "prepareRecovery", "Make new keys and the document that the recovery quorum is to sign", (*Door).prepareRecovery),
		act("/keys/recoveries/signatures", "finishRecovery", "Put in force what the recovery quorum has signed", (*Door).finishRecovery),
		act("/keys/recoveries/cancellations", "cancelRecovery", "Give up what waits for the recovery quorum", (*Door).cancelRecovery),

		act("/invitations", "invite", "Make an invitation for another party", (*Door).invite),
		read("/links", "links", "List the links", (*Door).links),
		act("/links", "accept", "Accept another party's invitation", (*Door).accept),
		read("/links/{link}", "link", "Show a link", (*Door).link),
		act("/pairings/answers", "answerInvitation", "Accept an invitation by a file, without a network", (*Door).answerInvitation),
		act("/pairings", "continuePairing", "Go on with a pairing by the other party's file", (*Door).continuePairing),
		act("/links/{link}/confirmations", "confirm", "Say that a named person compared the code", (*Door).confirm),
		act("/links/{link}/agreements", "agree", "Sign another agreement, whose rule set is in force when both have", (*Door).agree),
		act("/links/{link}/suspensions", "suspend", "Suspend lanes of a link", (*Door).suspend),
		act("/links/{link}/resumptions", "resume", "Resume lanes that we suspended", (*Door).resume),
		act("/links/{link}/withdrawals", "withdraw", "Withdraw from a link", (*Door).withdraw),
		act("/links/{link}/epochs", "openEpoch", "Open a new epoch of our ledger by hand", (*Door).openEpoch),
		packRoute(),
		unpackRoute(),
		read("/links/{link}/ledgers/{party}", "leaves", "List the leaves of a ledger", (*Door).leaves),
		long(http.MethodGet, "/links/{link}/verification", "verify", "Verify both ledgers of a link", http.StatusOK, (*Door).verify),
		read("/links/{link}/witnesses", "witnesses", "Show what third parties cosigned of our ledger", (*Door).witnesses),
		read("/links/{link}/cut", "cut", "Name the newest common cut", (*Door).cut),
		read("/links/{link}/fold", "fold", "Hash what lies under a cut", (*Door).fold),
		read("/links/{link}/report", "report", "Count the requests of a period, for both parties alike", (*Door).report),

		read("/desks", "desks", "List the desks of both parties", (*Door).desks),
		act("/desks", "proposeDesk", "Propose a desk", (*Door).proposeDesk),
		act("/desks/{desk}/updates", "updateDesk", "Propose another edition of a desk", (*Door).updateDesk),
		act("/desks/{desk}/countersignatures", "countersignDesk", "Countersign the newest proposal of the peer's desk", (*Door).countersignDesk),
		act("/desks/{desk}/withdrawals", "withdrawDesk", "Withdraw a desk", (*Door).withdrawDesk),

		read("/statements", "statements", "List statements, newest first", (*Door).statements),
		sendRoute(),
		read("/statements/{statement}", "statement", "Show a statement", (*Door).statement),
		act("/statements/{statement}/erasures", "erase", "Erase a statement's body and files", (*Door).erase),
		read("/statements/{statement}/receipts", "receipts", "List the receipts of a statement", (*Door).receipts),
		download("/statements/{statement}/files/{position}", "file", "Download a file", (*Door).file),
		download("/statements/{statement}/proof", "proof", "Export a proof of a statement", (*Door).proof),

		read("/requests", "requests", "List requests for assistance, newest first", (*Door).requests),
		askRoute(),
		read("/requests/{request}", "request", "Show a request with its timeline and its printed form", (*Door).request),
		replyRoute(),
		read("/drafts", "drafts", "List what was written and has not left, changed last first", (*Door).drafts),
		read("/drafts/{draft}", "draft", "Show a draft: exactly what would leave, and who would see it", (*Door).draft),
		change(http.MethodPatch, "/drafts/{draft}", "editDraft", "Change a draft; its files stay", (*Door).editDraft),
		change(http.MethodDelete, "/drafts/{draft}", "discardDraft", "Remove a draft's words and files", (*Door).discardDraft),
		act("/drafts/{draft}/reviews", "reviewDraft", "Say what a reviewer finds of a draft", (*Door).reviewDraft),
		long(http.MethodPost, "/drafts/{draft}/submissions", "submitDraft", "Send a draft that nobody else has to release", http.StatusCreated, (*Door).submitDraft),
		long(http.MethodPost, "/drafts/{draft}/releases", "releaseDraft", "Let a draft leave, as its second person", http.StatusCreated, (*Door).releaseDraft),
		long(http.MethodPost, "/drafts/{draft}/emergencies", "breakGlass", "Let an emergency leave on one person's word", http.StatusCreated, (*Door).breakGlass),
		act("/drafts/{draft}/countersignatures", "countersignDraft", "Countersign what left on one person's word", (*Door).countersignDraft),
		escalateRoute(),
		read("/due", "due", "List the clocks that run, the earliest first", (*Door).dues),
		read("/obligations", "obligations", "List what is owed beyond the end of requests, what ends first before the rest", (*Door).obligations),
		read("/requests/{request}/obligations", "obligationsOf", "List every obligation of a request", (*Door).obligationsOf),
		read("/cases", "cases", "List our own cases, changed last first", (*Door).cases),
		act("/cases", "openCase", "Open a case of our own; nothing of it leaves this node", (*Door).openCase),
		read("/cases/{case}", "case", "Show a case with its threads and the latest of its timeline", (*Door).showCase),
		act("/cases/{case}/notes", "note", "Write a note into a case", (*Door).note),
		act("/cases/{case}/tasks", "addTask", "Write a task into a case", (*Door).addTask),
		act("/cases/{case}/tasks/{task}/completions", "finishTask", "Say that a task was done", (*Door).finishTask),
		act("/cases/{case}/threads", "attach", "Attach a request, a call or another thread to a case", (*Door).attach),
		act("/cases/{case}/closings", "closeCase", "Close a case", (*Door).closeCase),
		act("/cases/{case}/reopenings", "reopenCase", "Open a closed case again", (*Door).reopenCase),
		act("/cases/{case}/erasures", "eraseCase", "Erase all that was written in a closed case", (*Door).eraseCase),
		read("/tasks", "tasks", "List the open tasks of all cases, the earliest due first", (*Door).tasks),
		read("/holds", "holds", "List the legal holds, the oldest first", (*Door).holds),
		act("/statements/{statement}/holds", "placeHold", "Keep the thread of a statement from being erased here", (*Door).placeHold),
		act("/statements/{statement}/holds/liftings", "liftHold", "Let a thread be erased here again", (*Door).liftHold),
		read("/forms", "forms", "List the kinds whose faces and bodies are forms", (*Door).forms),
		read("/forms/{kind}", "form", "Declare every field of a form", (*Door).form),

		read("/calls", "calls", "List the calls on the hotline, newest first, and whom they ring", (*Door).calls),
		callRoute(),
		read("/calls/{call}", "call", "Show a call with its timeline", (*Door).call),
		sayOnCallRoute(),

		read("/figures", "figures", "Read the gauges of every link", (*Door).figures),
		read("/audit", "audit", "List what members did, newest first", (*Door).audit),
		download("/audit/export", "exportAudit", "Export the whole log of what members did, with its signed head", (*Door).exportAudit),
		read("/evidence", "evidence", "List the evidence that was kept", (*Door).evidence),
		read("/doctor", "doctor", "Examine the node", (*Door).doctor),
		long(http.MethodPost, "/backups", "backup", "Write a backup", http.StatusCreated, (*Door).backup),
	}
}

// description answers with the OpenAPI document.
func (d *Door) description(context.Context, actor.Actor, None) (Description, error) {
	return Describe(), nil
}
