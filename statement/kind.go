package statement

import (
	"slices"

	"entente/envelope"
)

// The editions of kinds that this build speaks. A rule set names one; a link keeps the one that it agreed to.
const (
	KindsEdition1 = "2026-1"
	KindsEdition2 = "2026-2" // that of 2026-1 and requests for assistance
	KindsEdition  = "2026-3" // the newest: that of 2026-2 and the hotline
)

// Editions returns the editions of kinds that this build speaks, oldest first.
func Editions() []string { return []string{KindsEdition1, KindsEdition2, KindsEdition} }

// Kind is one thing that may be said.
type Kind struct {
	Name       string
	Lanes      []Lane                        // where it may stand
	Starts     bool                          // may be a thread's first statement
	Follows    bool                          // may continue a thread
	Unverified bool                          // may be said on a link whose code nobody has compared yet
	CheckFace  func(face []byte) error       // strict decoding of its face
	CheckBody  func(body []byte) error       // strict decoding of its body
	CheckBoth  func(face, body []byte) error // what each must say of the other; nil where they are independent
}

// Kinds returns the table of an edition, and whether this build knows it. Kinds of an edition never change; the next edition has
// those of this one and its own. What is said about the link itself stands in the thread that the link's id names: the pairing is its
// first word, so it is there from the start, for both. So are the threads of erasures; see ErasureThread.
func Kinds(edition string) ([]Kind, bool) {
	if !slices.Contains(Editions(), edition) {
		return nil, false
	}
	kinds := recordKinds()
	for _, k := range FormKinds(edition) {
		kinds = append(kinds, k.kind())
	}
	return kinds, true
}

// recordKinds are those of edition 2026-1: messages, desks, and what is said about the link itself.
func recordKinds() []Kind {
	control := []Lane{Control}
	return []Kind{
		{Name: "message", Lanes: []Lane{Hotline, Assistance, Network, Accord, Dialogue}, Starts: true, Follows: true,
			CheckFace: decodes[MessageFace], CheckBody: decodes[MessageBody]},
		{Name: "desk.propose", Lanes: control, Starts: true, CheckFace: decodes[DeskFace], CheckBody: decodes[DeskBody]},
		{Name: "desk.update", Lanes: control, Follows: true, CheckFace: decodes[DeskFace], CheckBody: decodes[DeskBody]},
		{Name: "desk.countersign", Lanes: control, Follows: true, CheckFace: decodes[DeskCountersignFace], CheckBody: decodes[EmptyBody]},
		{Name: "desk.withdraw", Lanes: control, Follows: true, CheckFace: decodes[DeskWithdrawFace], CheckBody: decodes[EmptyBody]},
		{Name: "link.confirm", Lanes: control, Follows: true, Unverified: true,
			CheckFace: decodes[LinkConfirmFace], CheckBody: decodes[LinkConfirmBody], CheckBoth: confirmAgrees},
		{Name: "link.agree", Lanes: control, Follows: true, Unverified: true,
			CheckFace: decodes[LinkAgreeFace], CheckBody: decodes[LinkAgreeBody], CheckBoth: agreeAgrees},
		{Name: "participation.suspend", Lanes: control, Follows: true, CheckFace: decodes[SuspendFace], CheckBody: decodes[ParticipationBody]},
		{Name: "participation.resume", Lanes: control, Follows: true, CheckFace: decodes[ResumeFace], CheckBody: decodes[ParticipationBody]},
		{Name: "participation.withdraw", Lanes: control, Follows: true, Unverified: true,
			CheckFace: decodes[WithdrawFace], CheckBody: decodes[ParticipationBody]},
		{Name: "erasure.notice", Lanes: control, Follows: true, CheckFace: decodes[ErasureFace], CheckBody: decodes[EmptyBody]},
		{Name: "test", Lanes: control, Starts: true, Unverified: true, CheckFace: decodes[EmptyBody], CheckBody: decodes[EmptyBody]},
	}
}

// LookUp finds a kind of an edition by its name. It makes what it looks in: whoever has many statements keeps Kinds.
func LookUp(edition, name string) (Kind, bool) {
	if !slices.Contains(Editions(), edition) {
		return Kind{}, false
	}
	kinds := recordKinds()
	if i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return kinds[i], true
	}
	k, ok := FormKindOf(edition, name)
	if !ok {
		return Kind{}, false
	}
	return k.kind(), true
}

// Check says whether a statement is one that the edition of kinds knows: its kind may stand in its lane and at its place in a
// thread, and face and body are what the kind asks for. It depends on nothing but its arguments.
func Check(edition string, t *Text, body []byte) error {
	k, ok := LookUp(edition, t.Kind)
	if !ok {
		return envelope.Refuse("kind", "%.40q is not a kind of edition %.40q", t.Kind, edition)
	}
	return k.Check(t, body)
}

// Check says whether a statement of this kind may stand where it does, and whether face and body are what the kind asks for.
func (k Kind) Check(t *Text, body []byte) error {
	switch {
	case !k.StandsIn(t.Lane):
		return envelope.Refuse("lane", "%s may not stand in lane %s", k.Name, t.Lane)
	case t.Thread == nil && !k.Starts:
		return envelope.Refuse("thread", "%s does not start a thread", k.Name)
	case t.Thread != nil && !k.Follows:
		return envelope.Refuse("thread", "%s does not continue a thread", k.Name)
	}
	if err := k.CheckFace(t.Face); err != nil {
		return envelope.Within("face", err)
	}
	if err := k.CheckBody(body); err != nil {
		return envelope.Within("body", err)
	}
	if k.CheckBoth == nil {
		return nil
	}
	return k.CheckBoth(t.Face, body)
}
