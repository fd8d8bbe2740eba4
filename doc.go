// Package entente is the root of a house: a party's node in a permanent channel between parties that do not trust
// each other. It holds no code, only this plan of the rooms and the test that keeps it (law_test.go).
//
// The module has two tiers, and imports only point down.
//
// The treaty stands at the module's root, public and pure: the formats and rules that a stranger needs to check us.
// It does no input or output and has no clock.
//
//	envelope    anything signed or sealed: DSSE, suites, FLOE, the one strict JSON codec
//	party       who: identity chains, keys, pairing, verification words
//	handling    what may go to whom: markings, policies, conditions
//	statement   what a party says: text, face, body, commitments, lanes, kinds by edition
//	parcel      a statement sealed for one recipient; receipts; frames
//	ledger      the ledger of a link: leaves, checkpoints, cosignatures, proofs
//	proof       what a court can check alone
//	stix        STIX 2.1 objects
//
// The house stands under internal: what this node does. Its rooms are pure rules, and no room imports another. The
// package flow carries out what rooms decide. Doors parse, call flow and render: node to node, witnesses, the API, the
// pages. In the cellar stands the store, and the package node builds the house from its configuration.
//
// It promises that this plan is true, because a package that is not in the plan, or an import that points up, fails the
// tests. It refuses rooms without work in them.
package entente
