package handling

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"entente/envelope"
)

func TestMarkingRefuses(t *testing.T) {
	many := make([]string, MaxConditions+1)
	for n := range many {
		many[n] = fmt.Sprint("c", n)
	}
	tests := []struct {
		name  string
		m     Marking
		where string // empty: the marking is good
	}{
		{"every axis", Marking{TLPAmberStrict, PAPRed, []string{H3, H0}, []string{ConditionOriginator, "no-us.e_1"}, "investigation"}, ""},
		{"label alone", Marking{TLP: TLPClear}, ""},
		{"sixteen conditions", Marking{TLP: TLPRed, Conditions: many[1:]}, ""},
		{"no label", Marking{}, "/tlp"},
		{"small letters", Marking{TLP: "red"}, "/tlp"},
		{"with prefix", Marking{TLP: "TLP:RED"}, "/tlp"},
		{"TLP 1.0", Marking{TLP: "WHITE"}, "/tlp"},
		{"translated", Marking{TLP: "ROUGE"}, "/tlp"},
		{"space", Marking{TLP: "AMBER +STRICT"}, "/tlp"},
		{"PAP of another scale", Marking{TLP: TLPRed, PAP: TLPAmberStrict}, "/pap"},
		{"handling code", Marking{TLP: TLPRed, Handling: []string{"H4"}}, "/handling"},
		{"handling code twice", Marking{TLP: TLPRed, Handling: []string{H1, H1}}, "/handling"},
		{"seventeen conditions", Marking{TLP: TLPRed, Conditions: many}, "/conditions"},
		{"wording for a condition", Marking{TLP: TLPRed, Conditions: []string{"ask first"}}, "/conditions"},
		{"empty condition", Marking{TLP: TLPRed, Conditions: []string{""}}, "/conditions"},
		{"long condition", Marking{TLP: TLPRed, Conditions: []string{strings.Repeat("a", 65)}}, "/conditions"},
		{"condition twice", Marking{TLP: TLPRed, Conditions: []string{"a", "a"}}, "/conditions"},
		{"newline in a condition", Marking{TLP: TLPRed, Conditions: []string{"a\n"}}, "/conditions"},
		{"wording for a purpose", Marking{TLP: TLPRed, Purpose: "To help"}, "/purpose"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkRefusal(t, test.m.Validate(), test.where) })
	}
}

func TestPolicyRefuses(t *testing.T) {
	rule := ReleaseRule{Kinds: []string{"message"}, Need: ReleaseNone}
	change := func(f func(p *Policy)) Policy {
		p := DefaultPolicy()
		p.Release = []ReleaseRule{rule}
		f(&p)
		return p
	}
	tests := []struct {
		name  string
		p     Policy
		where string
	}{
		{"default", DefaultPolicy(), ""},
		{"nothing allowed", Policy{}, ""},
		{"prefix", change(func(p *Policy) { p.Release[0].Kinds = []string{"desk.*", "*", "mla.request"} }), ""},
		{"channel", change(func(p *Policy) { p.MaxTLP["fax"] = TLPClear }), "/max_tlp"},
		{"label", change(func(p *Policy) { p.MaxTLP[ChannelMail] = "WHITE" }), "/max_tlp/mail"},
		{"too many rules", change(func(p *Policy) { p.Release = slices.Repeat(p.Release, MaxReleaseRules+1) }), "/release"},
		{"no kinds", change(func(p *Policy) { p.Release[0].Kinds = nil }), "/release/0/kinds"},
		{"too many kinds", change(func(p *Policy) { p.Release[0].Kinds = make([]string, MaxRuleKinds+1) }), "/release/0/kinds"},
		{"star inside", change(func(p *Policy) { p.Release[0].Kinds = []string{"desk.*.x"} }), "/release/0/kinds"},
		{"star without a dot", change(func(p *Policy) { p.Release[0].Kinds = []string{"desk*"} }), "/release/0/kinds"},
		{"capital letters", change(func(p *Policy) { p.Release[0].Kinds = []string{"Message"} }), "/release/0/kinds"},
		{"long kind", change(func(p *Policy) { p.Release[0].Kinds = []string{strings.Repeat("a", 65)} }), "/release/0/kinds"},
		{"kind twice", change(func(p *Policy) { p.Release[0].Kinds = []string{"a", "a"} }), "/release/0/kinds"},
		{"label of a rule", change(func(p *Policy) { p.Release[0].TLP = []string{"red"} }), "/release/0/tlp"},
		{"label twice", change(func(p *Policy) { p.Release[0].TLP = []string{TLPRed, TLPRed} }), "/release/0/tlp"},
		{"need", change(func(p *Policy) { p.Release[0].Need = "minister" }), "/release/0/need"},
		{"rule out of reach", change(func(p *Policy) {
			p.Release = []ReleaseRule{{Kinds: []string{"*"}, Need: ReleaseNone}, rule}
		}), "/release/1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkRefusal(t, test.p.Validate(), test.where) })
	}
}

func checkRefusal(t *testing.T, err error, where string) {
	t.Helper()
	if where == "" {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	var malformed *envelope.FormatError
	if !errors.As(err, &malformed) {
		t.Fatalf("got %v, want a format error", err)
	}
	if malformed.Where != where {
		t.Errorf("at %q, want %q: %v", malformed.Where, where, err)
	}
}

func TestImportLabels(t *testing.T) {
	tests := []struct {
		read func(string) (string, error)
		in   string
		want string // empty: refused
	}{
		{ImportTLP, "WHITE", TLPClear},
		{ImportTLP, "tlp:white", TLPClear},
		{ImportTLP, "TLP:CLEAR", TLPClear},
		{ImportTLP, "tlp:amber+strict", TLPAmberStrict},
		{ImportTLP, "Red", TLPRed},
		{ImportTLP, "GREEN", TLPGreen},
		{ImportTLP, "", ""},
		{ImportTLP, "TLP:", ""},
		{ImportTLP, "TLP:TLP:RED", ""},
		{ImportTLP, "PAP:RED", ""},
		{ImportTLP, "tlp:ex:chr", ""},
		{ImportTLP, "TLP: RED", ""},
		{ImportTLP, strings.Repeat("RED", 20), ""},
		{ImportPAP, "PAP:WHITE", PAPClear},
		{ImportPAP, "pap:amber", PAPAmber},
		{ImportPAP, "PAP:AMBER+STRICT", ""},
	}
	for _, test := range tests {
		got, err := test.read(test.in)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q gives %q, %v, want %q", test.in, got, err, test.want)
		}
	}
}

func TestStrictest(t *testing.T) {
	tests := []struct {
		name string
		in   []Marking
		want Marking
	}{
		{"nothing", nil, Marking{TLP: TLPClear}},
		{"AMBER+STRICT is over AMBER", []Marking{{TLP: TLPAmber}, {TLP: TLPAmberStrict}}, Marking{TLP: TLPAmberStrict}},
		{"axes are apart", []Marking{{TLP: TLPRed, PAP: PAPClear}, {TLP: TLPGreen, PAP: PAPAmber}}, Marking{TLP: TLPRed, PAP: PAPAmber}},
		{"no PAP stays none", []Marking{{TLP: TLPRed}, {TLP: TLPRed}}, Marking{TLP: TLPRed}},
		{"codes add up", []Marking{{TLP: TLPClear, Handling: []string{H3, H1}}, {TLP: TLPClear, Handling: []string{H2, H1}}},
			Marking{TLP: TLPClear, Handling: []string{H1, H2, H3}}},
		{"unknown label", []Marking{{TLP: "PURPLE", PAP: "PURPLE"}}, Marking{TLP: TLPRed, PAP: PAPRed}},
		{"no label", []Marking{{TLP: TLPClear}, {}}, Marking{TLP: TLPRed}},
		{"one purpose", []Marking{{TLP: TLPClear, Purpose: "a"}, {TLP: TLPClear}}, Marking{TLP: TLPClear, Purpose: "a"}},
		{"two purposes", []Marking{{TLP: TLPClear, Purpose: "a"}, {TLP: TLPClear, Purpose: "b"}, {TLP: TLPClear}},
			Marking{TLP: TLPClear, Purpose: PurposeMixed}},
	}
	for _, test := range tests {
		if got := Strictest(test.in...); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func drawMarking(t *rapid.T, label string) Marking {
	return Marking{
		TLP:        rapid.SampledFrom(append(TLPLabels(), "", "WHITE")).Draw(t, label+" tlp"),
		PAP:        rapid.SampledFrom(append(PAPLabels(), "", "WHITE")).Draw(t, label+" pap"),
		Handling:   rapid.SliceOfNDistinct(rapid.SampledFrom(HandlingCodes()), 0, 4, rapid.ID).Draw(t, label+" handling"),
		Conditions: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"orcon", "a", "b", "c"}), 0, 4, rapid.ID).Draw(t, label+" conditions"),
		Purpose:    rapid.SampledFrom([]string{"", "x", "y", PurposeMixed}).Draw(t, label+" purpose"),
	}
}

func TestStrictestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawMarking(t, "a"), drawMarking(t, "b"), drawMarking(t, "c")
		before := fmt.Sprint(a, b, c)
		all := Strictest(a, b, c)
		same := func(law string, got Marking) {
			if !reflect.DeepEqual(got, all) {
				t.Fatalf("not %s: %+v and %+v", law, got, all)
			}
		}
		same("commutative", Strictest(c, a, b))
		same("associative", Strictest(Strictest(a, b), c))
		same("associative", Strictest(a, Strictest(b, c)))
		same("idempotent", Strictest(a, b, c, a, b, c))
		same("idempotent", Strictest(all, all))
		for _, part := range []Marking{a, b, c} {
			if !all.Covers(part) {
				t.Fatalf("%+v is looser than %+v", all, part)
			}
			if part.Covers(all) != part.Covers(Strictest(part, all)) {
				t.Fatalf("%+v and %+v: Covers and Strictest disagree", part, all)
			}
		}
		if err := all.Validate(); err != nil {
			t.Fatalf("%+v: %v", all, err)
		}
		if fmt.Sprint(a, b, c) != before {
			t.Fatal("the parts have changed")
		}
	})
}

func FuzzMarking(f *testing.F) {
	f.Add([]byte(`{"tlp":"AMBER+STRICT","pap":"RED","handling":["H1","H3"],"conditions":["orcon"],"purpose":"x"}`))
	f.Add([]byte(`{"tlp":"CLEAR"}`))
	f.Add([]byte(`{"tlp":"CLEAR","TLP":"RED"}`))
	f.Add([]byte(`{"tlp":"RED","tlp":"CLEAR"}`))
	f.Add([]byte(`{"tlp":"WHITE","text":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Marking
		if envelope.Unmarshal(data, &m) != nil || m.Validate() != nil {
			return
		}
		var back Marking
		roundTrip(t, m, &back)
		if err := back.Validate(); err != nil {
			t.Fatalf("written again, it is refused: %v", err)
		}
		if s := Strictest(m); s.Validate() != nil || !s.Covers(m) || !m.Covers(s) {
			t.Fatalf("alone, %+v becomes %+v", m, s)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	seed, err := envelope.Marshal(DefaultPolicy())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"max_tlp":{},"release":[]}`))
	f.Add([]byte(`{"max_tlp":{"https":"RED"},"release":[{"kinds":["desk.*"],"need":"releasing_officer"}]}`))
	f.Add([]byte(`{"max_tlp":{"fax":"RED"},"release":[{"kinds":[],"need":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Policy
		if envelope.Unmarshal(data, &p) != nil {
			return
		}
		if p.Validate() != nil {
			if Decide(p, good()).Allowed {
				t.Fatal("a policy that does not validate allows something")
			}
			return
		}
		var back Policy
		roundTrip(t, p, &back)
		if !reflect.DeepEqual(Decide(p, good()), Decide(back, good())) {
			t.Fatal("written again, the policy decides otherwise")
		}
	})
}

// roundTrip writes v and reads it into back, which must give the same bytes again.
func roundTrip(t *testing.T, v, back any) {
	t.Helper()
	written, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := envelope.Unmarshal(written, back); err != nil {
		t.Fatalf("written again, it is refused: %v", err)
	}
	again, err := envelope.Marshal(back)
	if err != nil || !bytes.Equal(written, again) {
		t.Fatalf("%s became %s, %v", written, again, err)
	}
}
