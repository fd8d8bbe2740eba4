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

		act("/invitations", "invite", "Make an invitation for another party", (*Door).invite),
		read("/links", "links", "List the links", (*Door).links),
		act("/links", "accept", "Accept another party's invitation", (*Door).accept),
		read("/links/{link}", "link", "Show a link", (*Door).link),
		act("/pairings/answers", "answerInvitation", "Accept an invitation by a file, without a network", (*Door).answerInvitation),
		act("/pairings", "continuePairing", "Go on with a pairing by the other party's file", (*Door).continuePairing),
		act("/links/{link}/confirmations", "confirm", "Say that a named person compared the code", (*Door).confirm),
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

		read("/figures", "figures", "Read the gauges of every link", (*Door).figures),
		read("/audit", "audit", "List what members did, newest first", (*Door).audit),
		read("/evidence", "evidence", "List the evidence that was kept", (*Door).evidence),
		read("/doctor", "doctor", "Examine the node", (*Door).doctor),
		long(http.MethodPost, "/backups", "backup", "Write a backup", http.StatusCreated, (*Door).backup),
	}
}

// description answers with the OpenAPI document.
func (d *Door) description(context.Context, actor.Actor, None) (Description, error) {
	return Describe(), nil
}
