package statement

import (
	"fmt"
	"slices"

	"entente/envelope"
	"entente/party"
)

// CheckOfficerSignatures says whether the officers' signatures of a text are what the rule set asks for. A kind of
// OfficerSignatures needs one at least. Every signature that is there, asked for or not, must be by a key of one of cards (the
// author's, already verified), of the text's link, valid when the text was authored, and must verify over the exact bytes of the
// text. Keys in files and on PIV tokens sign these bytes directly; a WebAuthn assertion signs something else and is refused here.
func (r Rules) CheckOfficerSignatures(reg envelope.Registry, text []byte, sigs []envelope.Signature, cards []party.Card) error {
	t, err := DecodeText(text)
	if err != nil {
		return envelope.Within("text", err)
	}
	if len(sigs) == 0 {
		if slices.Contains(r.OfficerSignatures, t.Kind) {
			return envelope.Refuse("signatures", "are missing: the rule set asks for an officer's on %s", t.Kind)
		}
		return nil
	}
	if len(sigs) > maxSignatures {
		return envelope.Refuse("signatures", "are over %d", maxSignatures)
	}
	set := envelope.KeySet{Name: "officers"}
	for i, s := range sigs {
		card := slices.IndexFunc(cards, func(c party.Card) bool { return c.Key.KeyID() == s.KeyID })
		where := fmt.Sprintf("signatures/%d", i)
		switch {
		case card < 0:
			return envelope.Refuse(where, "is by nobody who has a card")
		case cards[card].Link != t.Link:
			return envelope.Refuse(where, "is by an officer of another link")
		case !cards[card].ValidAt(t.Authored):
			return envelope.Refuse(where, "is by a card that was not valid when the text was authored")
		case cards[card].Format == party.FormatWebAuthn:
			return envelope.Refuse(where, "is a WebAuthn assertion")
		}
		set.Keys = append(set.Keys, cards[card].Key)
	}
	e := &envelope.Envelope{PayloadType: PayloadType, Payload: text, Signatures: sigs}
	if _, err := reg.Verify(e, PayloadType, set); err != nil {
		return fmt.Errorf("officers' signatures: %w", err)
	}
	return nil
}
