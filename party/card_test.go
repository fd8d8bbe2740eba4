package party

import (
	"bytes"
	"errors"
	"testing"

	"entente/envelope"
)

func newCard(t testing.TB) Card {
	return Card{
		V: 1, Link: envelope.Sum([]byte("link")), ID: envelope.ID{1}, Role: "releasing_officer",
		Key: newSigner(t, envelope.AlgEd25519, "officer").Public(), Format: FormatFile, Custody: CustodyNode,
		NotBefore: start, NotAfter: start + 90*day,
	}
}

func TestCard(t *testing.T) {
	s := newScene(t)
	link := newCard(t).Link
	e, err := SignCard(envelope.Default(), newCard(t), s.one.sign...)
	data := encode(t, e, err)
	c, err := VerifyCard(envelope.Default(), s.first.Latest(), link, data)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]bool{start - 1: false, start: true, start + 90*day - 1: true, start + 90*day: false} {
		if c.ValidAt(at) != want {
			t.Errorf("ValidAt(%d) = %v", at, !want)
		}
	}

	var format *envelope.FormatError
	if _, err := VerifyCard(envelope.Default(), s.first.Latest(), envelope.Hash{9}, data); !errors.As(err, &format) {
		t.Errorf("on another link: got %v", err)
	}
	var signature *envelope.SignatureError
	if _, err := VerifyCard(envelope.Default(), s.second.Latest(), link, data); !errors.As(err, &signature) {
		t.Errorf("under other keys: got %v", err)
	}
	e, err = SignCard(envelope.Default(), newCard(t), s.one.sign[0])
	if _, err := VerifyCard(envelope.Default(), s.first.Latest(), link, encode(t, e, err)); !errors.As(err, &signature) {
		t.Errorf("signed by one key of two: got %v", err)
	}
	if _, err := VerifyCard(envelope.Default(), s.first.Latest(), link, s.first.Envelopes[0]); !errors.As(err, &format) {
		t.Errorf("an identity as a card: got %v", err)
	}
}

func TestCardRefuses(t *testing.T) {
	s := newScene(t)
	tests := map[string]func(c *Card){
		"format of the card":    func(c *Card) { c.V = 0 },
		"no link":               func(c *Card) { c.Link = envelope.Hash{} },
		"no id":                 func(c *Card) { c.ID = envelope.ID{} },
		"a name for a role":     func(c *Card) { c.Role = "Officer Smith" },
		"custody":               func(c *Card) { c.Custody = "pocket" },
		"format of the key":     func(c *Card) { c.Format = "paper" },
		"WebAuthn in the node":  func(c *Card) { c.Format = FormatWebAuthn },
		"unknown algorithm":     func(c *Card) { c.Key.Alg = "es256" },
		"short key":             func(c *Card) { c.Key.Key = c.Key.Key[1:] },
		"empty PIV key":         func(c *Card) { c.Format, c.Key.Key = FormatPIV, nil },
		"long PIV key":          func(c *Card) { c.Format, c.Key.Key = FormatPIV, make([]byte, maxCardKey+1) },
		"PIV algorithm":         func(c *Card) { c.Format, c.Key.Alg = FormatPIV, "ES 256" },
		"ends before beginning": func(c *Card) { c.NotAfter = c.NotBefore },
		"no beginning":          func(c *Card) { c.NotBefore = 0 },
	}
	for name, change := range tests {
		c := newCard(t)
		change(&c)
		var format *envelope.FormatError
		if _, err := SignCard(envelope.Default(), c, s.one.sign...); !errors.As(err, &format) {
			t.Errorf("%s: signing: got %v", name, err)
		}
		payload, err := envelope.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		e, err := envelope.Sign(CardType, payload, s.one.sign...)
		if _, err := VerifyCard(envelope.Default(), s.first.Latest(), newCard(t).Link, encode(t, e, err)); !errors.As(err, &format) {
			t.Errorf("%s: verifying: got %v", name, err)
		}
	}
	token := newCard(t)
	token.Format, token.Custody, token.Key.Alg = FormatWebAuthn, CustodyDevice, "es256"
	if err := token.Validate(envelope.Default()); err != nil {
		t.Errorf("a WebAuthn key: %v", err)
	}
}

func FuzzCard(f *testing.F) {
	s := newScene(f)
	good, err := envelope.Marshal(newCard(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`{"v":1,"V":2}`))
	f.Add(bytes.Replace(good, []byte(`"file"`), []byte(`"webauthn"`), 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := envelope.Sign(CardType, payload, s.one.sign...)
		if err != nil {
			return
		}
		data, err := e.Encode()
		if err != nil {
			return
		}
		c, err := VerifyCard(envelope.Default(), s.first.Latest(), newCard(t).Link, data)
		if err != nil {
			return
		}
		e, err = SignCard(envelope.Default(), *c, s.one.sign...)
		again, err := VerifyCard(envelope.Default(), s.first.Latest(), c.Link, encode(t, e, err))
		if err != nil {
			t.Fatalf("signed again, it is refused: %v", err)
		}
		a, _ := envelope.Marshal(c)
		b, _ := envelope.Marshal(again)
		if !bytes.Equal(a, b) {
			t.Error("signed again, it is another card")
		}
	})
}
