package actor

import "slices"

// Act is something that an actor may be allowed to do.
type Act string

// The acts.
const (
	ReadLinks      Act = "links.read"      // links, desks, third-party witnesses, figures
	ReadStatements Act = "statements.read" // lists and single statements, with what they say
	ReadFiles      Act = "files.read"
	ReadRequests   Act = "requests.read" // requests for assistance, their timelines and clocks
	ReadCalls      Act = "hotline.read"  // calls, whom they ring and since when
	ReadCases      Act = "cases.read"    // our own cases, which never leave
	ReadLedger     Act = "ledger.read"
	Prove          Act = "proof.export"

	Say        Act = "statement.say" // what is neither of the acts below nor said for the party as a whole
	Ask        Act = "request.ask"
	Reply      Act = "request.reply"  // a word in the thread of a request that decides nothing
	Decide     Act = "request.decide" // a decision on a request, and what was done on it
	Call       Act = "hotline.call"   // call, answer, and stand down
	KeepCases  Act = "cases.keep"     // open and close cases, and write in them
	ReadDrafts Act = "drafts.read"
	Review     Act = "drafts.review"
	Release    Act = "drafts.release" // and countersign what left on one person's word
	BreakGlass Act = "drafts.break_glass"

	Desks    Act = "desks.change"
	Erase    Act = "statement.erase"
	Hold     Act = "hold.change"  // keep a thread from being erased, and let it be erased again
	Govern   Act = "links.govern" // pair, confirm, suspend, resume, withdraw, open an epoch
	Courier  Act = "courier.carry"
	Keys     Act = "keys.change"
	Backup   Act = "node.backup"
	Rebuild  Act = "node.rebuild"
	Examine  Act = "node.examine"
	ReadKeys Act = "keys.read"

	ReadEvidence   Act = "evidence.read"
	ReadAudit      Act = "audit.read"
	ReadMembers    Act = "members.read"
	ManageMembers  Act = "members.manage"
	OwnAccount     Act = "account.own"     // one's own passphrase
	ReadWebhooks   Act = "webhooks.read"   // receivers, and what they were told
	ManageWebhooks Act = "webhooks.manage" // whom the node tells of what happens
)

// Scope is what a token may be good for: a part of what its member's roles allow.
type Scope string

// The scopes.
const (
	ScopeRead    Scope = "read"
	ScopeSay     Scope = "say"
	ScopeRelease Scope = "release"
	ScopeOperate Scope = "operate"
	ScopeAudit   Scope = "audit"
	ScopeMembers Scope = "members"
)

// Scopes are all scopes.
func Scopes() []Scope {
	return []Scope{ScopeRead, ScopeSay, ScopeRelease, ScopeOperate, ScopeAudit, ScopeMembers}
}

// Rule is one row of the table: who may do an act, and with which token.
type Rule struct {
	Act   Act
	Roles []Role
	Scope Scope
}

// Table is who may do what. An operator runs the node and needs to read nothing of what is said on it.
func Table() []Rule {
	speakers := []Role{Drafter, DutyOfficer, CentralAuthority, HeadOfDelegation}
	readers := append(slices.Clone(speakers), LegalReviewer, ReleasingOfficer, Auditor, DPO)
	all := append(slices.Clone(readers), Operator)
	deciders := []Role{CentralAuthority, DutyOfficer}
	operator := []Role{Operator}
	overseers := []Role{Operator, Auditor, DPO}
	return []Rule{
		{ReadLinks, all, ScopeRead},
		{ReadStatements, readers, ScopeRead},
		{ReadFiles, readers, ScopeRead},
		{ReadRequests, readers, ScopeRead},
		{ReadCalls, readers, ScopeRead},
		{ReadCases, readers, ScopeRead},
		{ReadLedger, all, ScopeRead},
		{Prove, readers, ScopeRead},

		{Say, speakers, ScopeSay},
		{Ask, speakers, ScopeSay},
		{Reply, speakers, ScopeSay},
		{Decide, deciders, ScopeSay},
		{Call, append(slices.Clone(deciders), HeadOfDelegation), ScopeSay},
		{KeepCases, append(slices.Clone(speakers), LegalReviewer), ScopeSay},
		{ReadDrafts, append(slices.Clone(speakers), LegalReviewer, ReleasingOfficer, Auditor), ScopeRead},
		{Review, []Role{LegalReviewer, ReleasingOfficer, CentralAuthority}, ScopeRelease},
		{Release, []Role{ReleasingOfficer, CentralAuthority, HeadOfDelegation}, ScopeRelease},
		{BreakGlass, []Role{DutyOfficer, ReleasingOfficer, CentralAuthority}, ScopeRelease},

		{Desks, append(slices.Clone(deciders), Operator), ScopeOperate},
		{Erase, []Role{Operator, DPO}, ScopeOperate},
		{Hold, []Role{LegalReviewer, CentralAuthority, DPO}, ScopeOperate},
		{Govern, operator, ScopeOperate},
		{Courier, operator, ScopeOperate},
		{Keys, operator, ScopeOperate},
		{Backup, operator, ScopeOperate},
		{Rebuild, operator, ScopeOperate},
		{Examine, operator, ScopeOperate},
		{ReadKeys, overseers, ScopeAudit},

		{ReadEvidence, overseers, ScopeAudit},
		{ReadAudit, overseers, ScopeAudit},
		{ReadMembers, overseers, ScopeAudit},
		{ManageMembers, operator, ScopeMembers},
		{OwnAccount, all, ScopeRead},
		{ReadWebhooks, overseers, ScopeAudit},
		{ManageWebhooks, operator, ScopeOperate},
	}
}

func ruleOf(act Act) (Rule, bool) {
	table := Table()
	i := slices.IndexFunc(table, func(r Rule) bool { return r.Act == act })
	if i < 0 {
		return Rule{}, false
	}
	return table[i], true
}
