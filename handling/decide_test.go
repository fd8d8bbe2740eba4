package handling

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"entente/envelope"
)

// good is a message that the default policy allows.
func good() Facts {
	return Facts{
		Kind: "message", Lane: "assistance", Marking: Marking{TLP: TLPGreen},
		Channel: new(ChannelHTTPS), LinkState: new(LinkActive), Encrypted: new(true),
		Exercise: new(false), LinkExercise: new(false), Originator: new(OriginatorOwn), HasFiles: new(false),
	}
}

func codes(d Decision) []string {
	var all []string
	for _, r := range d.Reasons {
		all = append(all, r.Code)
	}
	return all
}

func TestDecide(t *testing.T) {
	third := envelope.Sum([]byte("a third state")).String()
	mail := func(f *Facts) { f.Channel = new(ChannelMail) }
	tests := []struct {
		name    string
		change  func(f *Facts)
		release string
		reasons string // codes, with spaces; empty: allowed
	}{
		{"message", func(f *Facts) {}, "none", ""},
		{"AMBER", func(f *Facts) { f.Marking.TLP = TLPAmber }, "none", ""},
		{"AMBER+STRICT", func(f *Facts) { f.Marking.TLP = TLPAmberStrict }, "second_person", ""},
		{"RED", func(f *Facts) { f.Marking.TLP = TLPRed }, "second_person", ""},
		{"invalid marking", func(f *Facts) { f.Marking.TLP = "WHITE" }, "releasing_officer", "marking_invalid"},
		{"invalid code", func(f *Facts) { f.Marking.Handling = []string{"H9"} }, "none", "marking_invalid"},

		{"RED by courier", func(f *Facts) { f.Marking.TLP, f.Channel = TLPRed, new(ChannelCourier) }, "second_person", "tlp_above_channel"},
		{"AMBER+STRICT by courier", func(f *Facts) { f.Marking.TLP, f.Channel = TLPAmberStrict, new(ChannelCourier) }, "second_person", ""},
		{"RED one way", func(f *Facts) { f.Marking.TLP, f.Channel = TLPRed, new(ChannelOneway) }, "second_person", "tlp_above_channel"},
		{"AMBER by mail", func(f *Facts) { mail(f); f.Marking.TLP = TLPAmber }, "none", ""},
		{"AMBER+STRICT by mail", func(f *Facts) { mail(f); f.Marking.TLP = TLPAmberStrict }, "second_person", "tlp_above_channel"},
		{"files by encrypted mail", func(f *Facts) { mail(f); f.HasFiles = new(true) }, "none", ""},
		{"open mail", func(f *Facts) { mail(f); f.Encrypted = new(false) }, "none", ""},
		{"AMBER by open mail", func(f *Facts) { mail(f); f.Encrypted = new(false); f.Marking.TLP = TLPAmber }, "none", "mail_not_encrypted"},
		{"files by open mail", func(f *Facts) { mail(f); f.Encrypted = new(false); f.HasFiles = new(true) }, "none", "mail_files_not_encrypted"},
		{"unsealed by https", func(f *Facts) { f.Encrypted = new(false) }, "none", "not_encrypted"},
		{"unsealed CLEAR by courier", func(f *Facts) {
			f.Encrypted, f.Channel, f.Marking.TLP = new(false), new(ChannelCourier), TLPClear
		}, "none", "not_encrypted"},
		{"fax", func(f *Facts) { f.Channel = new("fax") }, "none", "channel_unknown"},

		{"unverified link", func(f *Facts) { f.LinkState = new(LinkUnverified) }, "none", "link_unverified"},
		{"control on an unverified link", func(f *Facts) { f.LinkState, f.Lane = new(LinkUnverified), "control" }, "none", ""},
		{"test on an unverified link", func(f *Facts) { f.LinkState, f.Kind = new(LinkUnverified), "test" }, "none", ""},
		{"not quite a test", func(f *Facts) { f.LinkState, f.Kind = new(LinkUnverified), "testimony" }, "none", "link_unverified"},
		{"suspended link", func(f *Facts) { f.LinkState = new(LinkSuspended) }, "none", "link_suspended"},
		{"test on a suspended link", func(f *Facts) { f.LinkState, f.Kind = new(LinkSuspended), "test" }, "none", "link_suspended"},
		{"control on a suspended link", func(f *Facts) { f.LinkState, f.Lane = new(LinkSuspended), "control" }, "none", ""},
		{"withdrawn link", func(f *Facts) { f.LinkState = new(LinkWithdrawn) }, "none", "link_withdrawn"},
		{"control on a withdrawn link", func(f *Facts) { f.LinkState, f.Lane = new(LinkWithdrawn), "control" }, "none", ""},
		{"control on a closed link", func(f *Facts) { f.LinkState, f.Lane = new(LinkClosed), "control" }, "none", "link_closed"},
		{"unknown state", func(f *Facts) { f.LinkState = new("merry") }, "none", "link_state_unknown"},

		{"exercise on a real link", func(f *Facts) { f.Exercise = new(true) }, "none", "exercise_on_real_link"},
		{"real on an exercise link", func(f *Facts) { f.LinkExercise = new(true) }, "none", "real_on_exercise_link"},
		{"exercise on its link", func(f *Facts) { f.Exercise, f.LinkExercise = new(true), new(true) }, "none", ""},

		{"third party, not asked", func(f *Facts) { f.Originator = new(third) }, "none", "missing_originator_consent"},
		{"third party said no", func(f *Facts) { f.Originator, f.OriginatorConsent = new(third), new(false) }, "none", "originator_consent_missing"},
		{"third party agreed", func(f *Facts) { f.Originator, f.OriginatorConsent = new(third), new(true) }, "none", ""},
		{"nobody's", func(f *Facts) { f.Originator, f.OriginatorConsent = new("someone"), new(true) }, "none", "originator_unknown"},
		{"orcon, not asked", func(f *Facts) { f.Marking.Conditions = []string{"orcon"} }, "none", "missing_originator_consent"},
		{"orcon, agreed", func(f *Facts) { f.Marking.Conditions, f.OriginatorConsent = []string{"orcon"}, new(true) }, "none", ""},
		{"own with H2", func(f *Facts) { f.Marking.Handling = []string{H2} }, "none", ""},

		{"no kind", func(f *Facts) { f.Kind = "" }, "releasing_officer", "missing_kind"},
		{"no lane", func(f *Facts) { f.Lane = "" }, "none", "missing_lane"},
		{"no label", func(f *Facts) { f.Marking.TLP = "" }, "releasing_officer", "missing_marking"},
		{"nothing known", func(f *Facts) { *f = Facts{} }, "releasing_officer", "missing_kind missing_lane missing_marking " +
			"missing_channel missing_link_state missing_encrypted missing_exercise missing_link_exercise missing_originator " +
			"missing_has_files missing_originator_consent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := good()
			test.change(&f)
			d := Decide(DefaultPolicy(), f)
			if got := strings.Join(codes(d), " "); got != test.reasons {
				t.Errorf("reasons %q, want %q", got, test.reasons)
			}
			if d.Allowed != (test.reasons == "") {
				t.Errorf("allowed: %v", d.Allowed)
			}
			if d.Release != test.release {
				t.Errorf("release %q, want %q", d.Release, test.release)
			}
		})
	}
}

func TestDecideByPolicy(t *testing.T) {
	p := Policy{
		MaxTLP: map[string]string{ChannelHTTPS: TLPAmber, ChannelCourier: TLPRed},
		Release: []ReleaseRule{
			{Kinds: []string{"mla.*", "accord"}, Need: ReleaseReleasingOfficer},
			{Kinds: []string{"message"}, TLP: []string{TLPClear}, Need: ReleaseNone},
			{Kinds: []string{"message"}, Need: ReleaseSecondPerson},
		},
	}
	tests := []struct {
		kind, tlp, channel string
		release, reasons   string
	}{
		{"mla.request", TLPGreen, ChannelHTTPS, "releasing_officer", ""},
		{"mla", TLPGreen, ChannelHTTPS, "releasing_officer", ""}, // by no rule
		{"accord", TLPGreen, ChannelHTTPS, "releasing_officer", ""},
		{"message", TLPClear, ChannelHTTPS, "none", ""},
		{"message", TLPGreen, ChannelHTTPS, "second_person", ""},
		{"message", TLPRed, ChannelCourier, "second_person", ""},
		{"message", TLPRed, ChannelHTTPS, "second_person", "tlp_above_channel"},
		{"message", TLPClear, ChannelMail, "none", "channel_not_allowed"},
	}
	for _, test := range tests {
		f := good()
		f.Kind, f.Marking.TLP, f.Channel = test.kind, test.tlp, &test.channel
		d := Decide(p, f)
		if got := strings.Join(codes(d), " "); got != test.reasons || d.Release != test.release {
			t.Errorf("%s %s by %s: %q, released by %s", test.kind, test.tlp, test.channel, got, d.Release)
		}
	}
	p.Release[0].Need = "minister"
	if d := Decide(p, good()); d.Allowed || !slices.Contains(codes(d), "policy_invalid") || d.Release != ReleaseReleasingOfficer {
		t.Errorf("an invalid policy: %+v", d)
	}
	// A policy cannot open what stands above it.
	open := Policy{MaxTLP: map[string]string{ChannelMail: TLPRed}, Release: []ReleaseRule{{Kinds: []string{"*"}, Need: ReleaseNone}}}
	f := good()
	f.Channel, f.Encrypted, f.Marking.TLP = new(ChannelMail), new(false), TLPAmber
	if d := Decide(open, f); d.Allowed {
		t.Error("AMBER goes by open mail, because a policy says so")
	}
}

// Each fact of an allowed statement is needed: without it the answer is no, with missing_<fact> among the reasons.
func TestDecideMissingFact(t *testing.T) {
	f := good()
	f.Originator, f.OriginatorConsent = new(envelope.Sum(nil).String()), new(true)
	if d := Decide(DefaultPolicy(), f); !d.Allowed {
		t.Fatalf("with all facts: %v", codes(d))
	}
	fields := reflect.TypeFor[Facts]()
	pointers := 0
	for n := range fields.NumField() {
		if fields.Field(n).Type.Kind() != reflect.Pointer {
			continue
		}
		pointers++
		less := f
		reflect.ValueOf(&less).Elem().Field(n).SetZero()
		snake := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(fields.Field(n).Name, "${1}_$2")
		code := "missing_" + strings.ToLower(snake)
		if d := Decide(DefaultPolicy(), less); d.Allowed || !slices.Contains(codes(d), code) {
			t.Errorf("without %s: allowed %v, reasons %v", fields.Field(n).Name, d.Allowed, codes(d))
		}
	}
	if pointers != 8 {
		t.Errorf("%d facts can be missing: does Decide ask for all of them?", pointers)
	}
}

func drawFacts(t *rapid.T) Facts {
	text := func(label string, values ...string) *string {
		return rapid.Ptr(rapid.SampledFrom(values), true).Draw(t, label)
	}
	truth := func(label string) *bool { return rapid.Ptr(rapid.Bool(), true).Draw(t, label) }
	return Facts{
		Kind:      rapid.SampledFrom([]string{"", "message", "test", "desk.propose"}).Draw(t, "kind"),
		Lane:      rapid.SampledFrom([]string{"", "control", "hotline"}).Draw(t, "lane"),
		Marking:   drawMarking(t, "marking"),
		Channel:   text("channel", append(Channels(), "fax")...),
		LinkState: text("state", LinkUnverified, LinkActive, LinkSuspended, LinkWithdrawn, LinkClosed, "x"),
		Encrypted: truth("encrypted"), Exercise: truth("exercise"), LinkExercise: truth("link exercise"),
		Originator:        text("originator", OriginatorOwn, envelope.Sum(nil).String(), "x"),
		OriginatorConsent: truth("consent"), HasFiles: truth("files"),
	}
}

func TestDecideLaws(t *testing.T) {
	needs := []string{ReleaseNone, ReleaseSecondPerson, ReleaseReleasingOfficer}
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		d := Decide(DefaultPolicy(), f)
		if !reflect.DeepEqual(d, Decide(DefaultPolicy(), f)) {
			t.Fatal("decided twice, the answers differ")
		}
		if d.Allowed != (len(d.Reasons) == 0) || !slices.Contains(needs, d.Release) {
			t.Fatalf("%+v", d)
		}
		for n, r := range d.Reasons {
			if !strings.HasSuffix(r.Sentence, ".") || slices.Contains(d.Reasons[:n], r) {
				t.Fatalf("reason %+v has no sentence, or is given twice", r)
			}
		}
		// Taking facts away, or making the marking stricter, never turns a no into a yes, nor eases the release.
		stricter := f
		stricter.Marking = Strictest(f.Marking, drawMarking(t, "more"))
		if s := Decide(DefaultPolicy(), stricter); f.Marking.Validate() == nil && f.Kind != "" {
			if s.Allowed && !d.Allowed {
				t.Fatalf("%+v may go, %+v may not", stricter.Marking, f.Marking)
			}
			if slices.Index(needs, s.Release) < slices.Index(needs, d.Release) {
				t.Fatalf("a stricter marking needs %s instead of %s", s.Release, d.Release)
			}
		}
		less := f
		n := rapid.IntRange(3, reflect.TypeFor[Facts]().NumField()-1).Draw(t, "field")
		reflect.ValueOf(&less).Elem().Field(n).SetZero()
		if Decide(DefaultPolicy(), less).Allowed && !d.Allowed && reflect.TypeFor[Facts]().Field(n).Name != "OriginatorConsent" {
			t.Fatalf("without %s it may go", reflect.TypeFor[Facts]().Field(n).Name)
		}
	})
}

// The vectors give policy and facts as JSON, and what Decide says of them.
func TestVectors(t *testing.T) {
	type facts struct {
		Kind              string  `json:"kind"`
		Lane              string  `json:"lane"`
		Marking           Marking `json:"marking"`
		Channel           *string `json:"channel,omitzero"`
		LinkState         *string `json:"link_state,omitzero"`
		Encrypted         *bool   `json:"encrypted,omitzero"`
		Exercise          *bool   `json:"exercise,omitzero"`
		LinkExercise      *bool   `json:"link_exercise,omitzero"`
		Originator        *string `json:"originator,omitzero"`
		OriginatorConsent *bool   `json:"originator_consent,omitzero"`
		HasFiles          *bool   `json:"has_files,omitzero"`
	}
	var vectors struct {
		Policy Policy `json:"policy"`
		Decide []struct {
			Name    string   `json:"name"`
			Facts   facts    `json:"facts"`
			Allowed bool     `json:"allowed"`
			Release string   `json:"release"`
			Reasons []string `json:"reasons"`
		} `json:"decide"`
		Strictest []struct {
			Of   []Marking `json:"of"`
			Want Marking   `json:"want"`
		} `json:"strictest"`
		Valid   []Marking `json:"valid"`
		Invalid []Marking `json:"invalid"`
	}
	data, err := os.ReadFile("testdata/vectors/handling.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := envelope.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(vectors.Policy, DefaultPolicy()) {
		t.Errorf("the vectors' policy is not the default one: %+v", vectors.Policy)
	}
	for _, v := range vectors.Decide {
		d := Decide(vectors.Policy, Facts(v.Facts))
		if d.Allowed != v.Allowed || d.Release != v.Release || !slices.Equal(codes(d), v.Reasons) {
			t.Errorf("%s: %+v", v.Name, d)
		}
	}
	for n, v := range vectors.Strictest {
		if got := Strictest(v.Of...); !reflect.DeepEqual(got, v.Want) {
			t.Errorf("strictest %d: %+v", n, got)
		}
	}
	for _, m := range vectors.Valid {
		if err := m.Validate(); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
	for _, m := range vectors.Invalid {
		if m.Validate() == nil {
			t.Errorf("%+v was taken", m)
		}
	}
	if len(vectors.Decide) == 0 || len(vectors.Strictest) == 0 || len(vectors.Valid) == 0 || len(vectors.Invalid) == 0 {
		t.Error("vectors are missing")
	}
}
