package statement_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"entente/envelope"
	"entente/statement"
)

// fill makes a value of a form in which every field stands, and stands as it should.
func fill(form statement.Form) map[string]any {
	values := map[string]any{}
	for _, f := range form {
		v := fillField(f)
		if f.Fits != "" { // the first code of the list of identifiers is an address
			v = "192.0.2.7"
		}
		if f.Many > 0 {
			v = []any{v}
		}
		values[f.Name] = v
	}
	return values
}

func fillField(f statement.Field) any {
	switch f.Type {
	case statement.FieldGroup:
		return fill(f.Fields)
	case statement.FieldCode:
		return f.Codes[0].Name
	case statement.FieldNumber:
		return "ARV-" + f.Codes[0].Name + "-2026-0001"
	}
	return map[statement.FieldType]any{
		statement.FieldLine: "One line", statement.FieldProse: "Some words.\nAnd more: 更多。", statement.FieldFlag: true,
		statement.FieldWhole: 7, statement.FieldInstant: int64(1_800_000_000_000_000), statement.FieldLocal: "2026-03-01T09:30:00",
		statement.FieldDate: "2026-03-01", statement.FieldZone: "Asia/Shanghai", statement.FieldLanguage: "zh-Hans",
		statement.FieldMail: "desk@kestria.example", statement.FieldTelephone: "+86 10 5555 0100",
		statement.FieldCited: strings.Repeat("ab", 32),
	}[f.Type]
}

func filled(k statement.FormKind) (face, body map[string]any) { return fill(k.Face()), fill(k.Body()) }

func faultsOf(t testing.TB, k statement.FormKind, face, body any) []string {
	t.Helper()
	var where []string
	for _, f := range k.Check(marshal(t, face), marshal(t, body)) {
		where = append(where, f.Where+" "+f.What)
	}
	return where
}

// Every declared field, of every kind: what is filled in as declared is taken, by the form and by the edition; each required
// field is missed by its place, with what to write there; and a member that is not declared is refused.
func TestForms(t *testing.T) {
	for _, k := range statement.FormKinds(statement.KindsEdition) {
		t.Run(k.Name, func(t *testing.T) {
			face, body := filled(k)
			if got := faultsOf(t, k, face, body); len(got) > 0 {
				t.Fatalf("a complete draft has the faults %q", got)
			}
			registered, ok := statement.LookUp(statement.KindsEdition, k.Name)
			if !ok || registered.CheckFace(marshal(t, face)) != nil || registered.CheckBody(marshal(t, body)) != nil {
				t.Fatal("the edition does not take what the form takes")
			}
			if err := statement.CheckFace(marshal(t, face)); err != nil {
				t.Errorf("the face holds what no face may hold: %v", err)
			}
			for part, form := range map[string]statement.Form{"/face": k.Face(), "/body": k.Body()} {
				whole := map[string]map[string]any{"/face": face, "/body": body}[part]
				for _, f := range form {
					if f.Label.EN == "" || f.Label.ZH == "" || f.Hint.EN == "" || f.Hint.ZH == "" {
						t.Errorf("%s%s lacks words", part, f.Name)
					}
					if !f.Required {
						continue
					}
					less := maps.Clone(whole)
					delete(less, f.Name)
					drafts := map[string]map[string]any{"/face": face, "/body": body}
					drafts[part] = less
					faults := k.Check(marshal(t, drafts["/face"]), marshal(t, drafts["/body"]))
					if len(faults) != 1 || faults[0].Where != part+"/"+f.Name || faults[0].Write != f.Hint {
						t.Errorf("without %s%s: %+v", part, f.Name, faults)
					}
				}
			}
			more := maps.Clone(body)
			more["more"] = "x"
			if got := faultsOf(t, k, face, more); len(got) != 1 || !strings.HasPrefix(got[0], "/body/more ") {
				t.Errorf("with a field of its own: %q", got)
			}
		})
	}
}

// The six elements of article 29(2) of the Budapest Convention: a preservation request that lacks one is not one.
func TestSixElements(t *testing.T) {
	k, _ := statement.FormKindOf(statement.KindsEdition, "preservation.request")
	face, body := filled(k)
	for letter, fields := range map[string][]string{"a": {"requesting_authority"}, "b": {"offences", "facts"}, "c": {"data", "categories", "relation"},
		"d": {"custodian"}, "e": {"necessity"}, "f": {"mla_intended"}} {
		for _, name := range fields {
			less := maps.Clone(body)
			delete(less, name)
			if got := faultsOf(t, k, face, less); !slices.Equal(got, []string{"/body/" + name + " is missing"}) {
				t.Errorf("without 29(2)(%s), %s: %q", letter, name, got)
			}
		}
	}
	body["mla_intended"] = false
	if got := faultsOf(t, k, face, body); !slices.Equal(got, []string{"/body/mla_intended is not confirmed"}) {
		t.Errorf("without the intention: %q", got)
	}
}

// What is wrong is said of every field, each by its place.
func TestFormFaults(t *testing.T) {
	k, _ := statement.FormKindOf(statement.KindsEdition, "preservation.request")
	identifier := func(change map[string]any) map[string]any {
		id := map[string]any{"type": "ip", "value": "2001:db8::7", "from": "2026-03-01T09:00:00", "to": "2026-03-01T10:00:00", "zone": "UTC"}
		for name, v := range change {
			if id[name] = v; v == nil {
				delete(id, name)
			}
		}
		return id
	}
	for _, c := range []struct {
		name string
		id   map[string]any
		want string
	}{
		{"in order", identifier(nil), ""},
		{"no zone", identifier(map[string]any{"zone": nil}), "/zone is missing"},
		{"a zone that is none", identifier(map[string]any{"zone": "CET+1"}), `/zone "CET+1" is not a time zone such as Asia/Shanghai or Europe/Berlin`},
		{"period reversed", identifier(map[string]any{"to": "2026-03-01T08:59:59"}), "/to is before from"},
		{"an end without a beginning", identifier(map[string]any{"from": nil}), "/to stands without from"},
		{"no such day", identifier(map[string]any{"from": "2026-02-30T09:00:00"}), "/from is not a time of the form 2026-03-01T09:30:00"},
		{"an offset of its own", identifier(map[string]any{"from": "2026-03-01T09:00:00Z"}), "/from is not a time of the form 2026-03-01T09:30:00"},
		{"a name for an address", identifier(map[string]any{"value": "kestria.example"}), `/value is not of the type "ip"`},
		{"an address with a zone", identifier(map[string]any{"value": "fe80::1%eth0"}), `/value is not of the type "ip"`},
		{"a network with a host", identifier(map[string]any{"type": "network", "value": "192.0.2.7/24"}), `/value is not of the type "network"`},
		{"a digest in capitals", identifier(map[string]any{"type": "digest", "value": strings.Repeat("AB", 32)}), `/value is not of the type "digest"`},
		{"an account as it is", identifier(map[string]any{"type": "account", "value": "anything, really"}), ""},
		{"a type that is none", identifier(map[string]any{"type": "phone"}), `/type "phone" is none of ip, network, domain, url, mail, telephone, account, device, digest, wallet, other`},
		{"a port too high", identifier(map[string]any{"port": 65536}), "/port is not an integer from 0 to 65535"},
		{"a port as words", identifier(map[string]any{"port": "https"}), "/port is not an integer from 0 to 65535"},
		{"a value of two lines", identifier(map[string]any{"type": "account", "value": "a\nb"}), "/value holds the character U+000A"},
		{"a value that deceives", identifier(map[string]any{"type": "account", "value": "a\u202eb"}), "/value holds the character U+202E"},
		{"a list instead of words", identifier(map[string]any{"provider": []string{"x"}}), "/provider is not a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			face, body := filled(k)
			body["identifiers"] = []any{c.id}
			var want []string
			if c.want != "" {
				want = []string{"/body/identifiers/0" + c.want}
			}
			if got := faultsOf(t, k, face, body); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		face, body := filled(k)
		face["number"], face["days"] = "ARV-MS-2026-0001", "Mars/Olympus"
		delete(body, "facts")
		body["offences"] = []any{}
		body["categories"] = []string{"subscriber", "metadata"}
		body["language"] = "english"
		want := []string{"/face/number is not a number like ARV-PR-2026-0001", `/face/days "Mars/Olympus" is not a time zone such as Asia/Shanghai or Europe/Berlin`,
			`/body/language "english" is not a language tag`, "/body/offences is empty", "/body/facts is missing",
			`/body/categories/1 "metadata" is none of subscriber, domain_registration, traffic, content, other`}
		if got := faultsOf(t, k, face, body); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("too many", func(t *testing.T) {
		face, body := filled(k)
		body["identifiers"] = slices.Repeat([]any{identifier(nil)}, 501)
		if got := faultsOf(t, k, face, body); !slices.Equal(got, []string{"/body/identifiers has over 500 entries"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("a flood of faults", func(t *testing.T) {
		face, body := filled(k)
		body["identifiers"] = slices.Repeat([]any{map[string]any{}}, 500)
		if got := faultsOf(t, k, face, body); len(got) > 64 {
			t.Errorf("%d faults", len(got))
		}
	})
}

// Face and body of a refusal and of conditions must agree.
func TestFormsAgree(t *testing.T) {
	for _, c := range []struct {
		kind       string
		face, body map[string]any
		want       string
	}{
		{"decision.refuse", map[string]any{"ground": "sovereignty", "reasons": "given"}, map[string]any{"words": "Because."}, ""},
		{"decision.refuse", map[string]any{"ground": "not_disclosed", "reasons": "withheld"}, map[string]any{}, ""},
		{"decision.refuse", map[string]any{"ground": "sovereignty", "reasons": "given"}, map[string]any{}, "/body/words is missing: the face says that reasons are given"},
		{"decision.refuse_part", map[string]any{"ground": "sovereignty", "reasons": "withheld"}, map[string]any{"words": "Because."}, "/body/words stands here, while the face says that reasons are withheld"},
		{"decision.refuse", map[string]any{"ground": "whim", "reasons": "withheld"}, map[string]any{}, "/face/ground"},
		{"decision.condition", map[string]any{"conditions": []string{"other"}}, map[string]any{}, "/body/words is missing: a condition stands in words"},
		{"decision.condition", map[string]any{"conditions": []string{"other"}}, map[string]any{"words": "Only until May."}, ""},
	} {
		k, _ := statement.FormKindOf(statement.KindsEdition, c.kind)
		got := strings.Join(faultsOf(t, k, c.face, c.body), "; ")
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %v %v: %q, want %q", c.kind, c.face, c.body, got, c.want)
		}
	}
}

// A link that agreed to the first edition keeps it: its kinds, its rules' hash, and nothing of the second.
func TestFirstEditionIsKept(t *testing.T) {
	rules := statement.DefaultRules()
	rules.Kinds, rules.Deadlines = statement.KindsEdition1, rules.Deadlines[:21]
	if got, want := rules.Edition().String(), "98b0d7b7f8df36c9762cb11930d510a9de2a99497a133891ae7fdefda0c09b74"; got != want {
		t.Errorf("the rules of the first edition have the hash %s, want %s", got, want)
	}
	first, _ := statement.Kinds(statement.KindsEdition1)
	second, _ := statement.Kinds(statement.KindsEdition)
	for i, k := range first {
		if second[i].Name != k.Name {
			t.Errorf("%s is not where it was", k.Name)
		}
	}
	if _, ok := statement.LookUp(statement.KindsEdition1, "preservation.request"); ok {
		t.Error("the first edition knows requests")
	}
	rules.Deadlines = append(rules.Deadlines, statement.Deadline{Step: "decide", Kind: "preservation.request", Urgency: "routine", Amount: 1, Unit: "days"})
	if rules.Validate() == nil {
		t.Error("rules of the first edition hold a deadline for a kind of the second")
	}
}

// The second edition is kept too: its kinds in their places, its rules' hash, and nothing of the third.
func TestSecondEditionIsKept(t *testing.T) {
	rules := statement.DefaultRules()
	rules.Kinds = statement.KindsEdition2
	if rules.Validate() == nil {
		t.Error("rules of the second edition hold deadlines for the hotline")
	}
	rules.Deadlines = slices.DeleteFunc(rules.Deadlines, func(d statement.Deadline) bool { return d.Kind == "hotline.call" })
	if got, want := rules.Edition().String(), "b665171ba7238546a739ee034cde1e065e9ef36b0ad936bc6f3ee5970ef07560"; got != want {
		t.Errorf("the rules of the second edition have the hash %s, want %s", got, want)
	}
	second, _ := statement.Kinds(statement.KindsEdition2)
	third, _ := statement.Kinds(statement.KindsEdition)
	for i, k := range second {
		if third[i].Name != k.Name {
			t.Errorf("%s is not where it was", k.Name)
		}
	}
	if _, ok := statement.LookUp(statement.KindsEdition2, "hotline.call"); ok {
		t.Error("the second edition knows the hotline")
	}
}

// A call that escalates a request names it.
func TestEscalationNamesItsRequest(t *testing.T) {
	k, _ := statement.FormKindOf(statement.KindsEdition, "hotline.call")
	face, body := filled(k)
	face["kind"] = "escalation"
	if got := faultsOf(t, k, face, body); len(got) > 0 {
		t.Errorf("an escalation has the faults %q", got)
	}
	delete(face, "request")
	if got := faultsOf(t, k, face, body); len(got) != 1 || !strings.HasPrefix(got[0], "/face/request ") {
		t.Errorf("an escalation of nothing: %q", got)
	}
	face["kind"] = "incident"
	if got := faultsOf(t, k, face, body); len(got) > 0 {
		t.Errorf("an incident has the faults %q", got)
	}
}

// No body that anybody sends makes a check fail otherwise than by saying what is wrong; and what it takes, it takes again.
func FuzzForm(f *testing.F) {
	kinds := statement.FormKinds(statement.KindsEdition)
	for i, k := range kinds {
		face, body := filled(k)
		f.Add(i, marshal(f, face), marshal(f, body))
	}
	f.Add(1, []byte(`{"number":1}`), []byte(`{"offences":[{"class":null}],"identifiers":{}}`))
	f.Add(0, []byte(`[]`), []byte(`{"requesting_authority":{"zone":"UTC","zone":"UTC"}}`))
	f.Fuzz(func(t *testing.T, n int, face, body []byte) {
		k := kinds[uint(n)%uint(len(kinds))]
		faults := k.Check(face, body)
		for _, fault := range faults {
			if fault.What == "" {
				t.Fatalf("%+v says nothing", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		for _, part := range [][]byte{face, body} {
			var members map[string]any
			if err := envelope.Unmarshal(part, &members); err != nil {
				t.Fatalf("taken, and not to be decoded: %v", err)
			}
		}
		if again := k.Check(face, body); len(again) > 0 {
			t.Fatal(fmt.Sprint("taken, and then refused: ", again))
		}
	})
}
