package statement_test

import (
	"bytes"
	"fmt"
	"testing"

	"entente/envelope"
	"entente/envelope/envelopetest"
	"entente/party"
	"entente/statement"
)

func TestDefaultRules(t *testing.T) {
	r := statement.DefaultRules()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	if r.Edition().IsZero() || r.Edition() != statement.DefaultRules().Edition() {
		t.Error("the default rule set has no one name")
	}
	changed := statement.DefaultRules()
	changed.Officer = "nothing"
	if changed.Edition() == r.Edition() {
		t.Error("another rule set has the same name")
	}
	for _, c := range []struct {
		step, kind, urgency string
		want                string
	}{
		{"receipt", "message", "routine", "5 minutes"},
		{"ack", "message", "emergency", "30 minutes"},
		{"ack", "message", "urgent", "8 hours"},
		{"ack", "message", "routine", "24 hours"},
		{"answer", "message", "emergency", "4 hours"},
		{"answer", "message", "urgent", "3 days"},
		{"answer", "message", "routine", "7 days"},
		{"countersign", "desk.update", "routine", "24 hours"},
		{"countersign", "message", "routine", "none"},
		{"escalate", "message", "routine", "5 working_days"},
		{"ack", "message", "asap", "none"},
	} {
		got := "none"
		if d, ok := r.Deadline(c.step, c.kind, c.urgency); ok {
			got = fmt.Sprint(d.Amount, " ", d.Unit)
		}
		if got != c.want {
			t.Errorf("%s of %s, %s: %s, want %s", c.step, c.kind, c.urgency, got, c.want)
		}
	}
	r.Deadlines = append(r.Deadlines, statement.Deadline{Step: "ack", Kind: "message", Urgency: "urgent", Amount: 1, Unit: "hours"})
	if d, _ := r.Deadline("ack", "message", "urgent"); d.Amount != 1 {
		t.Error("the kind's own deadline does not go before that of every kind")
	}
}

func TestRulesRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*statement.Rules)
		where string
	}{
		{"version", func(r *statement.Rules) { r.V = 0 }, "/v"},
		{"kinds", func(r *statement.Rules) { r.Kinds = "2031-1" }, "/kinds"},
		{"zones", func(r *statement.Rules) { r.Zones = "2031a" }, "/zones"},
		{"folds", func(r *statement.Rules) { r.Folds = "latest" }, "/folds"},
		{"officer", func(r *statement.Rules) { r.Officer = "" }, "/officer"},
		{"unknown kind signed", func(r *statement.Rules) { r.OfficerSignatures = []string{"decree"} }, "/officer_signatures"},
		{"kind signed twice", func(r *statement.Rules) { r.OfficerSignatures = []string{"test", "test"} }, "/officer_signatures"},
		{"deadline twice", func(r *statement.Rules) { r.Deadlines = append(r.Deadlines, r.Deadlines[0]) }, fmt.Sprintf("/deadlines/%d", len(statement.DefaultRules().Deadlines))},
		{"deadline of an unknown kind", func(r *statement.Rules) { r.Deadlines[0].Kind = "decree" }, "/deadlines/0/kind"},
		{"deadline in moons", func(r *statement.Rules) { r.Deadlines[0].Unit = "moons" }, "/deadlines/0/unit"},
		{"deadline before its start", func(r *statement.Rules) { r.Deadlines[0].Amount = -1 }, "/deadlines/0/amount"},
		{"deadline of an unknown urgency", func(r *statement.Rules) { r.Deadlines[0].Urgency = "*" }, "/deadlines/0/urgency"},
		{"deadline of a step in words", func(r *statement.Rules) { r.Deadlines[0].Step = "first answer" }, "/deadlines/0/step"},
		{"too many deadlines", func(r *statement.Rules) { r.Deadlines = make([]statement.Deadline, 257) }, "/deadlines"},
		{"holiday of nobody", func(r *statement.Rules) { r.Holidays = map[string][]string{"Arvenia": nil} }, "/holidays"},
		{"holiday that is no day", func(r *statement.Rules) { r.Holidays = holidays("2026-02-30") }, "/holidays/" + arvenia.String()},
		{"holidays out of order", func(r *statement.Rules) { r.Holidays = holidays("2026-10-02", "2026-10-01") }, "/holidays/" + arvenia.String()},
		{"retention twice", func(r *statement.Rules) { r.Retention = append(r.Retention, r.Retention[0]) }, "/retention/2"},
		{"retention for no time", func(r *statement.Rules) { r.Retention[0].Days = 0 }, "/retention/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := statement.DefaultRules()
			c.spoil(&r)
			_, err := r.Encode()
			wantRefusal(t, err, c.where)
			if !r.Edition().IsZero() {
				t.Error("a rule set that is not valid has a name")
			}
		})
	}
}

func holidays(dates ...string) map[string][]string {
	return map[string][]string{arvenia.String(): dates}
}

func TestAgreement(t *testing.T) {
	a := statement.DefaultAgreement()
	a.Rules.Holidays = holidays("2026-10-01", "2026-10-02")
	data := encode(t, a)
	got, err := statement.DecodeAgreement(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash() != a.Hash() || got.Hash() != envelope.Sum(data) || got.Rules.Edition() != a.Rules.Edition() {
		t.Error("the agreement changed its name on the way")
	}
	if _, err := statement.DecodeAgreement(append(bytes.Clone(data), ' ')); err == nil {
		t.Error("an agreement has two encodings, so two hashes")
	}
	a.Rules.Holidays = nil
	if _, err := statement.DecodeAgreement(encode(t, a)); err != nil {
		t.Errorf("an agreement without holidays: %v", err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*statement.Agreement)
		where string
	}{
		{"version", func(a *statement.Agreement) { a.V = 2 }, "/v"},
		{"no suite", func(a *statement.Agreement) { a.Suites = nil }, "/suites"},
		{"suite twice", func(a *statement.Agreement) { a.Suites = []string{"INT-1", "INT-1"} }, "/suites"},
		{"suite in words", func(a *statement.Agreement) { a.Suites = []string{"any suite"} }, "/suites"},
		{"no mode", func(a *statement.Agreement) { a.Modes = nil }, "/modes"},
		{"unknown mode", func(a *statement.Agreement) { a.Modes = []string{"pigeon"} }, "/modes"},
		{"mode twice", func(a *statement.Agreement) { a.Modes = []string{"https", "https"} }, "/modes"},
		{"file limit", func(a *statement.Agreement) { a.Limits.FileBytes = -1 }, "/limits/file_bytes"},
		{"nothing pending", func(a *statement.Agreement) { a.Limits.Pending = 0 }, "/limits/pending"},
		{"expires at once", func(a *statement.Agreement) { a.Limits.Expiry = 0 }, "/limits/expiry"},
		{"rules", func(a *statement.Agreement) { a.Rules.Kinds = "" }, "/rules/kinds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := statement.DefaultAgreement()
			c.spoil(&a)
			_, err := a.Encode()
			wantRefusal(t, err, c.where)
			if !a.Hash().IsZero() {
				t.Error("an agreement that is not valid has a name")
			}
		})
	}
}

func TestOfficerSignatures(t *testing.T) {
	reg := envelope.Default()
	officer, stranger := envelopetest.NewParty("officer", envelope.INT1()).Signers[0], envelopetest.NewParty("stranger", envelope.INT1()).Signers[0]
	card := party.Card{V: 1, Link: theLink, ID: envelope.ID{1}, Role: "releasing_officer", Key: officer.Public(), Format: party.FormatFile,
		Custody: party.CustodyDevice, NotBefore: authored - 1, NotAfter: authored + 1}
	text, other := aText(), aText()
	other.Urgency = "routine"
	data, otherData := encode(t, &text), encode(t, &other)
	sign := func(payloadType string, data []byte, s envelope.Signer) []envelope.Signature {
		e, err := envelope.Sign(payloadType, data, s)
		if err != nil {
			t.Fatal(err)
		}
		return e.Signatures
	}
	good := sign(statement.PayloadType, data, officer)
	change := func(f func(*party.Card)) []party.Card {
		c := card
		f(&c)
		return []party.Card{c}
	}
	asked := statement.DefaultRules()
	asked.OfficerSignatures = []string{"message"}
	for _, c := range []struct {
		name  string
		rules statement.Rules
		sigs  []envelope.Signature
		cards []party.Card
		ok    bool
	}{
		{"asked and signed", asked, good, []party.Card{card}, true},
		{"not asked, signed", rules, good, []party.Card{card}, true},
		{"not asked, not signed", rules, nil, nil, true},
		{"asked, not signed", asked, nil, []party.Card{card}, false},
		{"signed by a stranger", rules, sign(statement.PayloadType, data, stranger), []party.Card{card}, false},
		{"a stranger's added", asked, append(sign(statement.PayloadType, data, stranger), good...), []party.Card{card}, false},
		{"the same twice", asked, append(good[:1:1], good...), []party.Card{card}, false},
		{"another text signed", asked, sign(statement.PayloadType, otherData, officer), []party.Card{card}, false},
		{"signed as something else", asked, sign(party.PayloadType, data, officer), []party.Card{card}, false},
		{"card expired", asked, good, change(func(c *party.Card) { c.NotAfter = authored }), false},
		{"card of the future", asked, good, change(func(c *party.Card) { c.NotBefore = authored + 1 }), false},
		{"card of another link", asked, good, change(func(c *party.Card) { c.Link = arvenia }), false},
		{"WebAuthn", asked, good, change(func(c *party.Card) { c.Format = party.FormatWebAuthn }), false},
		{"no card", asked, good, nil, false},
	} {
		if err := c.rules.CheckOfficerSignatures(reg, data, c.sigs, c.cards); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
