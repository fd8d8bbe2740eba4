package handling

import (
	"slices"
	"strings"

	"entente/party"
)

// OriginatorOwn is the originator of information that is our own.
const OriginatorOwn = "own"

// The states of a link that Facts can name.
const (
	LinkUnverified = "unverified" // control and test statements only
	LinkActive     = "active"
	LinkSuspended  = "suspended" // control only
	LinkWithdrawn  = "withdrawn" // control only: recall and other duties that remain
	LinkClosed     = "closed"    // nothing
)

const (
	laneControl = "control"
	kindTest    = "test"
)

// Facts is what is known about a statement that asks to leave. A nil pointer is
// a missing fact, and a missing fact is a no.
type Facts struct {
	Kind              string
	Lane              string
	Marking           Marking
	Channel           *string // https | courier | oneway | mail
	LinkState         *string // unverified | active | suspended | withdrawn | closed
	Encrypted         *bool   // sealed for the recipient, as parcels are
	Exercise          *bool   // does the statement belong to an exercise
	LinkExercise      *bool   // is the link one of an exercise
	Originator        *string // whose information it is: "own" or a party id
	OriginatorConsent *bool   // asked for when Originator is not "own" or a condition is "orcon"
	HasFiles          *bool
}

// Decision says whether a statement may leave. Reasons is empty exactly when
// Allowed is true. Release holds in either case, so that a page can show who
// will have to release a statement before everything else about it is known.
type Decision struct {
	Allowed bool
	Release string   // none | second_person | releasing_officer
	Reasons []Reason // why not, or what is missing; in the order of the checks
}

// Reason is one reason why a statement may not leave: a stable code for
// programs, and a sentence for people that says what to do.
type Reason struct{ Code, Sentence string }

// Decide is a pure function: the same policy and facts give the same decision.
// All reasons are given at once. These refusals stand whatever the policy says:
//
//   - a policy or marking that does not validate, and any fact that is missing;
//   - a link that is not active, but for its control statements (and tests,
//     while the codes were not compared), and a closed link for everything;
//   - an exercise statement on a real link, or the reverse;
//   - anything unsealed on a channel other than mail; unsealed mail above
//     TLP:GREEN, or with files;
//   - another party's information, or information under the condition "orcon",
//     without its originator's consent. H2 in a marking binds the recipient;
//     on information that we received it is upheld by this rule.
func Decide(p Policy, f Facts) Decision {
	var c checks
	policyOK := p.Validate() == nil
	c.refuseIf(!policyOK, "policy_invalid")
	c.missing(f)
	if f.Marking.TLP != "" {
		c.refuseIf(f.Marking.Validate() != nil, "marking_invalid")
	}
	c.link(f)
	c.channel(p, f)
	c.originator(f)

	d := Decision{Release: ReleaseReleasingOfficer, Reasons: c.reasons}
	if policyOK && f.Kind != "" && slices.Contains(TLPLabels(), f.Marking.TLP) {
		d.Release = p.release(f.Kind, f.Marking.TLP)
	}
	d.Allowed = len(d.Reasons) == 0
	return d
}

// checks gathers reasons.
type checks struct{ reasons []Reason }

func (c *checks) refuseIf(refuse bool, code string) {
	if refuse {
		c.reasons = append(c.reasons, Reason{Code: code, Sentence: Sentence(code)})
	}
}

func (c *checks) missing(f Facts) {
	c.refuseIf(f.Kind == "", "missing_kind")
	c.refuseIf(f.Lane == "", "missing_lane")
	c.refuseIf(f.Marking.TLP == "", "missing_marking")
	c.refuseIf(f.Channel == nil, "missing_channel")
	c.refuseIf(f.LinkState == nil, "missing_link_state")
	c.refuseIf(f.Encrypted == nil, "missing_encrypted")
	c.refuseIf(f.Exercise == nil, "missing_exercise")
	c.refuseIf(f.LinkExercise == nil, "missing_link_exercise")
	c.refuseIf(f.Originator == nil, "missing_originator")
	c.refuseIf(f.HasFiles == nil, "missing_has_files")
}

func (c *checks) link(f Facts) {
	if f.LinkState != nil {
		control := f.Lane == laneControl
		test := f.Kind == kindTest || strings.HasPrefix(f.Kind, kindTest+".")
		switch *f.LinkState {
		case LinkActive:
		case LinkUnverified:
			c.refuseIf(!control && !test, "link_unverified")
		case LinkSuspended:
			c.refuseIf(!control, "link_suspended")
		case LinkWithdrawn:
			c.refuseIf(!control, "link_withdrawn")
		case LinkClosed:
			c.refuseIf(true, "link_closed")
		default:
			c.refuseIf(true, "link_state_unknown")
		}
	}
	if f.Exercise != nil && f.LinkExercise != nil {
		c.refuseIf(*f.Exercise && !*f.LinkExercise, "exercise_on_real_link")
		c.refuseIf(!*f.Exercise && *f.LinkExercise, "real_on_exercise_link")
	}
}

func (c *checks) channel(p Policy, f Facts) {
	if f.Channel == nil {
		return
	}
	if !slices.Contains(Channels(), *f.Channel) {
		c.refuseIf(true, "channel_unknown")
		return
	}
	// Without a label, missing_marking has said no already.
	tlp := 0
	if f.Marking.TLP != "" {
		tlp = rank(TLPLabels(), f.Marking.TLP)
	}
	limit, named := p.MaxTLP[*f.Channel]
	c.refuseIf(!named, "channel_not_allowed")
	c.refuseIf(named && tlp > slices.Index(TLPLabels(), limit), "tlp_above_channel")
	if f.Encrypted == nil || *f.Encrypted {
		return
	}
	if *f.Channel != ChannelMail {
		c.refuseIf(true, "not_encrypted")
		return
	}
	c.refuseIf(tlp > slices.Index(TLPLabels(), TLPGreen), "mail_not_encrypted")
	c.refuseIf(f.HasFiles != nil && *f.HasFiles, "mail_files_not_encrypted")
}

func (c *checks) originator(f Facts) {
	own := f.Originator != nil && *f.Originator == OriginatorOwn
	if f.Originator != nil && !own {
		var id party.ID
		c.refuseIf(id.UnmarshalText([]byte(*f.Originator)) != nil, "originator_unknown")
	}
	if own && !slices.Contains(f.Marking.Conditions, ConditionOriginator) {
		return
	}
	c.refuseIf(f.OriginatorConsent == nil, "missing_originator_consent")
	c.refuseIf(f.OriginatorConsent != nil && !*f.OriginatorConsent, "originator_consent_missing")
}

// Sentence is the public sentence of a reason's code: what is wrong, and what to
// do. It is empty for a code that Decide never gives.
func Sentence(code string) string {
	switch code {
	case "policy_invalid":
		return "The rules in force on this link cannot be read. Have the link agreement checked before anything is sent."
	case "missing_kind":
		return "It is not known what kind of statement this is. Choose its kind."
	case "missing_lane":
		return "It is not known in which lane this belongs. Choose a lane."
	case "missing_marking":
		return "There is no TLP label. Choose one."
	case "missing_channel":
		return "It is not known how this will travel. Choose a channel."
	case "missing_link_state":
		return "The state of the link is not known. Open the link's page and check it."
	case "missing_encrypted":
		return "It is not known whether this will be encrypted. Choose how it is to be sent."
	case "missing_exercise":
		return "It is not known whether this belongs to an exercise. Say whether it does."
	case "missing_link_exercise":
		return "It is not known whether the link is one of an exercise. Check the link agreement."
	case "missing_originator":
		return "It is not known whose information this is. Name the originator."
	case "missing_originator_consent":
		return "It is not known whether the originator agrees. Ask the originator and record the answer."
	case "missing_has_files":
		return "It is not known whether files belong to this. Open the draft again and check its files."
	case "marking_invalid":
		return "The marking has a label or code that is not known. Correct the marking."
	case "link_unverified":
		return "Nobody has compared the codes of this link yet. Compare them by telephone or in person first; until then only control and test statements may go."
	case "link_suspended":
		return "The link is suspended. Only control statements may go until whoever suspended it resumes it."
	case "link_withdrawn":
		return "A party has withdrawn from the link. Only control statements may still go."
	case "link_closed":
		return "The link is closed. Pair anew to send anything."
	case "link_state_unknown":
		return "The state of the link has a name that is not known. Open the link's page and check it."
	case "exercise_on_real_link":
		return "This belongs to an exercise, and the link is a real one. Send it on the link of the exercise."
	case "real_on_exercise_link":
		return "The link is one of an exercise, and this is real. Send it on the real link."
	case "channel_unknown":
		return "The channel has a name that is not known. Choose another channel."
	case "channel_not_allowed":
		return "The rules of this link do not allow this channel. Choose another channel."
	case "tlp_above_channel":
		return "The TLP label is too strict for this channel. Choose a safer channel, or ask the source for a less strict label."
	case "not_encrypted":
		return "This channel carries sealed parcels only. Seal it for the recipient."
	case "mail_not_encrypted":
		return "Mail that is not encrypted may carry TLP:GREEN at most. Encrypt the mail, or choose another channel."
	case "mail_files_not_encrypted":
		return "Mail that is not encrypted may not carry files. Encrypt the mail, or choose another channel."
	case "originator_unknown":
		return "The originator is neither ourselves nor a known party. Name the originator."
	case "originator_consent_missing":
		return "The originator has not agreed that this be passed on. Ask for consent, or leave the information out."
	}
	return ""
}
