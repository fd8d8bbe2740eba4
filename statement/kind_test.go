package statement_test

import (
	"testing"

	"entente/envelope"
	"entente/statement"
)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func deskFace(change func(*statement.DeskFace)) statement.DeskFace {
	f := statement.DeskFace{Role: "requests", Standing: "permanent", ValidFrom: authored}
	change(&f)
	return f
}

func deskBody(change func(*statement.DeskBody)) statement.DeskBody {
	b := statement.DeskBody{
		Names: map[string]string{"en": "Requests desk", "zh-Hans": "协查请求处"},
		Hours: []statement.Hours{{Days: "mon-fri", From: "09:00", To: "18:00"}, {Days: "sat", From: "10:00", To: "24:00"}},
		Zone:  "Asia/Shanghai", Languages: []string{"zh-Hans", "en"}, Substitutes: []string{"hotline"},
		Mail: "requests@example.org", Telephone: "+86 10 5555 0100",
	}
	change(&b)
	return b
}

func confirmBody(t testing.TB, change func(*statement.LinkConfirmBody)) statement.LinkConfirmBody {
	b := statement.LinkConfirmBody{Person: "A. Officer", Function: "duty officer", Agreement: encode(t, statement.DefaultAgreement())}
	change(&b)
	return b
}

func suspend(lanes ...statement.Lane) statement.SuspendFace {
	return statement.SuspendFace{Lanes: lanes, Reason: "consultation"}
}

func erasure(change func(*statement.ErasureFace)) statement.ErasureFace {
	f := statement.ErasureFace{Statement: envelope.Sum(nil), Reason: "order", At: authored}
	change(&f)
	return f
}

func nothing[T any](*T) {}

func TestKinds(t *testing.T) {
	thread := statement.Commit(statement.TextLabel(), salt("thread"), nil)
	agreement := statement.DefaultAgreement()
	confirm := statement.LinkConfirmFace{Method: "telephone", At: authored, Agreement: agreement.Hash()}
	another := agreement
	another.Exercise = true
	empty := statement.EmptyBody{}
	desk := deskFace(nothing)
	for _, c := range []struct {
		name   string
		lane   statement.Lane
		kind   string
		follow bool
		face   any
		body   any
		where  string // of the refusal; "ok": none
	}{
		{"message starts", "hotline", "message", false, statement.MessageFace{}, aBody(), "ok"},
		{"message follows", "dialogue", "message", true, statement.MessageFace{ToDesk: thread.String()}, aBody(), "ok"},
		{"message in control", "control", "message", false, empty, aBody(), "/lane"},
		{"message to a desk's name", "network", "message", false, statement.MessageFace{ToDesk: "liaison"}, aBody(), "/face/to_desk"},
		{"message of two lines in its subject", "network", "message", false, empty, statement.MessageBody{Subject: "a\nb", Language: "en", Text: "x"}, "/body/subject"},
		{"message in no language", "network", "message", false, empty, statement.MessageBody{Subject: "a", Text: "x"}, "/body/language"},
		{"message of nothing", "network", "message", false, empty, statement.MessageBody{Subject: "a", Language: "en"}, "/body/text"},
		{"message with more", "network", "message", false, map[string]int{"more": 1}, aBody(), "/face/more"},
		{"message with another body", "network", "message", false, empty, map[string]string{"words": "x"}, "/body/words"},

		{"desk", "control", "desk.propose", false, desk, deskBody(nothing), "ok"},
		{"desk continues", "control", "desk.propose", true, desk, deskBody(nothing), "/thread"},
		{"desk in another lane", "hotline", "desk.propose", false, desk, deskBody(nothing), "/lane"},
		{"interim desk that ends", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.Standing, f.ValidTo = "interim", authored+1 }), deskBody(nothing), "ok"},
		{"interim desk without end", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.Standing = "interim" }), deskBody(nothing), "/face/valid_to"},
		{"desk that ends first", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.ValidTo = authored }), deskBody(nothing), "/face/valid_to"},
		{"desk of no role", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.Role = "chief" }), deskBody(nothing), "/face/role"},
		{"desk of no standing", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.Standing = "" }), deskBody(nothing), "/face/standing"},
		{"desk from never", "control", "desk.propose", false, deskFace(func(f *statement.DeskFace) { f.ValidFrom = 0 }), deskBody(nothing), "/face/valid_from"},
		{"desk without a name", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Names = nil }), "/body/names"},
		{"desk never open", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours = nil }), "/body/hours"},
		{"desk always open", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours, b.Always = nil, true }), "ok"},
		{"desk at 25:00", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours[1].To = "25:00" }), "/body/hours/1/to"},
		{"desk at 9:00", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours[0].From = "9:00" }), "/body/hours/0/from"},
		{"desk over midnight", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours[0].To = "02:00" }), "/body/hours/0/to"},
		{"desk on weekdays", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Hours[0].Days = "weekdays" }), "/body/hours/0/days"},
		{"desk nowhere", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Zone = "Mars/Olympus" }), "/body/zone"},
		{"desk without a language", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Languages = nil }), "/body/languages"},
		{"desk with a language twice", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Languages = []string{"en", "en"} }), "/body/languages/1"},
		{"desk with a stranger as substitute", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Substitutes = []string{"Bob"} }), "/body/substitutes/0"},
		{"desk with two mail addresses", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Mail = "a@example.org,b@example.org" }), "/body/mail"},
		{"desk with a header in its mail address", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Mail = "a@example.org\nBcc: x@example.org" }), "/body/mail"},
		{"desk with letters for a number", "control", "desk.propose", false, desk, deskBody(func(b *statement.DeskBody) { b.Telephone = "call us" }), "/body/telephone"},
		{"desk update", "control", "desk.update", true, desk, deskBody(nothing), "ok"},
		{"desk update of nothing", "control", "desk.update", false, desk, deskBody(nothing), "/thread"},
		{"desk countersigned", "control", "desk.countersign", true, statement.DeskCountersignFace{Desk: thread}, empty, "ok"},
		{"nothing countersigned", "control", "desk.countersign", true, empty, empty, "/face/desk"},
		{"desk withdrawn", "control", "desk.withdraw", true, statement.DeskWithdrawFace{Reason: "closed"}, empty, "ok"},
		{"desk withdrawn for no reason", "control", "desk.withdraw", true, statement.DeskWithdrawFace{}, empty, "/face/reason"},
		{"desk withdrawn with words", "control", "desk.withdraw", true, statement.DeskWithdrawFace{Reason: "closed"}, aBody(), "/body/subject"},

		{"link confirmed", "control", "link.confirm", true, confirm, confirmBody(t, nothing), "ok"},
		{"link confirmed by nobody", "control", "link.confirm", true, confirm, confirmBody(t, func(b *statement.LinkConfirmBody) { b.Person = "" }), "/body/person"},
		{"link confirmed by mail", "control", "link.confirm", true, statement.LinkConfirmFace{Method: "mail", At: authored, Agreement: agreement.Hash()}, confirmBody(t, nothing), "/face/method"},
		{"link confirmed at no time", "control", "link.confirm", true, statement.LinkConfirmFace{Method: "video", Agreement: agreement.Hash()}, confirmBody(t, nothing), "/face/at"},
		{"another agreement confirmed", "control", "link.confirm", true, confirm, confirmBody(t, func(b *statement.LinkConfirmBody) { b.Agreement = encode(t, another) }), "/face/agreement"},
		{"broken agreement confirmed", "control", "link.confirm", true, confirm, confirmBody(t, func(b *statement.LinkConfirmBody) { b.Agreement = []byte(`{}`) }), "/body/agreement/v"},
		{"agreed", "control", "link.agree", true, statement.LinkAgreeFace{Agreement: another.Hash()}, statement.LinkAgreeBody{Agreement: encode(t, another)}, "ok"},
		{"agreed to another", "control", "link.agree", true, statement.LinkAgreeFace{Agreement: agreement.Hash()}, statement.LinkAgreeBody{Agreement: encode(t, another)}, "/face/agreement"},
		{"agreed to nothing", "control", "link.agree", true, empty, statement.LinkAgreeBody{Agreement: encode(t, another)}, "/face/agreement"},
		{"suspended", "control", "participation.suspend", true, suspend("network", "dialogue"), statement.ParticipationBody{Words: "Until we have spoken."}, "ok"},
		{"suspended without words", "control", "participation.suspend", true, suspend("network"), empty, "ok"},
		{"control suspended", "control", "participation.suspend", true, suspend("network", "control"), empty, "/face/lanes"},
		{"nothing suspended", "control", "participation.suspend", true, suspend(), empty, "/face/lanes"},
		{"suspended twice", "control", "participation.suspend", true, suspend("network", "network"), empty, "/face/lanes"},
		{"no lane suspended", "control", "participation.suspend", true, suspend("mail"), empty, "/face/lanes"},
		{"suspended for no reason", "control", "participation.suspend", true, statement.SuspendFace{Lanes: []statement.Lane{"network"}}, empty, "/face/reason"},
		{"suspended with words that deceive", "control", "participation.suspend", true, suspend("network"), statement.ParticipationBody{Words: "a\u202eb"}, "/body/words"},
		{"suspended in another lane", "network", "participation.suspend", true, suspend("network"), empty, "/lane"},
		{"suspended in a thread of its own", "control", "participation.suspend", false, suspend("network"), empty, "/thread"},
		{"resumed", "control", "participation.resume", true, statement.ResumeFace{Lanes: []statement.Lane{"network"}}, empty, "ok"},
		{"control resumed", "control", "participation.resume", true, statement.ResumeFace{Lanes: []statement.Lane{"control"}}, empty, "/face/lanes"},
		{"withdrawn", "control", "participation.withdraw", true, statement.WithdrawFace{Reason: "withheld"}, empty, "ok"},
		{"withdrawn for no reason", "control", "participation.withdraw", true, empty, empty, "/face/reason"},
		{"erasure told", "control", "erasure.notice", true, erasure(nothing), empty, "ok"},
		{"erasure of nothing told", "control", "erasure.notice", true, erasure(func(f *statement.ErasureFace) { f.Statement = envelope.Hash{} }), empty, "/face/statement"},
		{"erasure told for no reason", "control", "erasure.notice", true, erasure(func(f *statement.ErasureFace) { f.Reason = "whim" }), empty, "/face/reason"},
		{"erasure told of no time", "control", "erasure.notice", true, erasure(func(f *statement.ErasureFace) { f.At = 0 }), empty, "/face/at"},
		{"erasure told with words", "control", "erasure.notice", true, erasure(nothing), aBody(), "/body/subject"},
		{"test", "control", "test", false, empty, empty, "ok"},
		{"test with a load", "control", "test", false, empty, map[string]int{"load": 1}, "/body/load"},
		{"test that follows", "control", "test", true, empty, empty, "/thread"},
		{"unknown kind", "control", "desk", false, empty, empty, "/kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := aText()
			text.Lane, text.Kind, text.Face = c.lane, c.kind, marshal(t, c.face)
			if c.follow {
				text.Thread = &thread
			}
			if err := text.Validate(); err != nil {
				t.Fatalf("the text itself: %v", err)
			}
			err := statement.Check(statement.KindsEdition, &text, marshal(t, c.body))
			if c.where != "ok" {
				wantRefusal(t, err, c.where)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// Only what sets a link up, or ends it, may be said before anybody has compared its code.
func TestUnverifiedKinds(t *testing.T) {
	kinds, ok := statement.Kinds(statement.KindsEdition)
	if !ok {
		t.Fatal("the build does not know its own edition")
	}
	seen := map[string]bool{}
	for _, k := range kinds {
		want := k.Name == "link.confirm" || k.Name == "link.agree" || k.Name == "test" || k.Name == "participation.withdraw"
		if k.Unverified != want {
			t.Errorf("%s: unverified %v", k.Name, k.Unverified)
		}
		if seen[k.Name] || !k.Starts && !k.Follows || len(k.Lanes) == 0 || k.CheckFace == nil || k.CheckBody == nil {
			t.Errorf("%s stands twice, or can never be said", k.Name)
		}
		seen[k.Name] = true
		if got, ok := statement.LookUp(statement.KindsEdition, k.Name); !ok || got.Name != k.Name {
			t.Errorf("%s is not found", k.Name)
		}
	}
	if _, ok := statement.Kinds("2025-1"); ok {
		t.Error("an edition that never was is known")
	}
	if _, ok := statement.LookUp("2025-1", "message"); ok {
		t.Error("a kind of an edition that never was is known")
	}
}

// The face of every kind, as its struct is encoded, is also a face by the general rule: no code needs free text.
func TestFacesAreFlat(t *testing.T) {
	h := envelope.Sum(nil)
	for _, face := range []any{
		statement.MessageFace{FromDesk: h.String(), ToDesk: h.String()}, deskFace(nothing), statement.DeskCountersignFace{Desk: h},
		statement.DeskWithdrawFace{Reason: "other"}, statement.LinkConfirmFace{Method: "in_person", At: authored, Agreement: h},
		statement.LinkAgreeFace{Agreement: h}, statement.EmptyBody{},
		suspend(statement.Lanes()[1:]...), statement.ResumeFace{Lanes: statement.Lanes()[1:]}, statement.WithdrawFace{Reason: "other"}, erasure(nothing),
	} {
		if err := statement.CheckFace(marshal(t, face)); err != nil {
			t.Errorf("%T: %v", face, err)
		}
	}
}
