package parcel_test

import (
	"testing"

	"entente/envelope"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

func anOpening() parcel.Opening {
	return parcel.Opening{V: 1, Link: someHash("link"), From: someHash("a"), To: someHash("b"), Identity: 1, Epoch: 1_700_000_000, Created: 1_700_000_000_000_000,
		Reason: "restored", Former: []ledger.Head{{Epoch: 1, Size: 4, Root: someHash("r")}}, Last: ledger.Head{Epoch: 7, Size: 9, Root: someHash("s")},
		Cosigned: &ledger.Head{Epoch: 7, Size: 8, Root: someHash("t")}}
}

func anAccount() parcel.Account {
	return parcel.Account{V: 1, Link: someHash("link"), From: someHash("a"), To: someHash("b"), Identity: 1, Epoch: 1, Opening: someHash("o"),
		Lanes: []parcel.HeldLane{{Author: someHash("a"), Epoch: 1, Lane: statement.Hotline, Last: 3}},
		Logs:  []parcel.HeldLog{{Party: someHash("b"), Epoch: 1, Note: []byte("note")}}}
}

func aLane() *parcel.LaneAfter {
	return &parcel.LaneAfter{Author: someHash("a"), Epoch: 1, Lane: statement.Network, After: 2}
}

func aLog() *parcel.GivenLog {
	return &parcel.GivenLog{LogFrom: parcel.LogFrom{Party: someHash("a"), Epoch: 1, From: 5}, Leaves: [][]byte{[]byte(`{"v":1}`)}, Size: 9,
		Proof: []envelope.Hash{someHash("p")}}
}

// Whatever the clock says, two restores from one backup do not lead to the same number, and none to one that is not allowed.
func TestEpochNumber(t *testing.T) {
	const second, former, begins = int64(1e6), 1_700_000_000, 1_700_000_100 * int64(1e6)
	for name, now := range map[string]int64{"right": begins, "ahead": begins + 9e6*second, "behind": begins - 90*second, "far behind": begins - 1e6*second} {
		one, another := parcel.EpochNumber(former, begins, now), parcel.EpochNumber(former, begins, now+2*second)
		if one == another || int64(min(one, another)) < begins/second || min(one, another) <= former {
			t.Errorf("a clock that is %s: %d, and %d two seconds later", name, one, another)
		}
	}
	if n := parcel.EpochNumber(former, begins, begins); n != 1_700_000_100 {
		t.Errorf("a clock that is right: %d", n)
	}
}

func FuzzDecodeOpening(f *testing.F) {
	o := anOpening()
	f.Add(encode(f, &o))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := parcel.DecodeOpening(data); err == nil {
			stable(t, o, parcel.DecodeOpening)
		}
	})
}

func FuzzDecodeAccount(f *testing.F) {
	a := anAccount()
	f.Add(encode(f, &a))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := parcel.DecodeAccount(data); err == nil {
			stable(t, a, parcel.DecodeAccount)
		}
	})
}

func TestOpeningRefusals(t *testing.T) {
	for name, change := range map[string]func(*parcel.Opening){
		"an epoch below its time":          func(o *parcel.Opening) { o.Epoch-- },
		"a reason that is no code":         func(o *parcel.Opening) { o.Reason = "It was restored." },
		"a last epoch that is not former":  func(o *parcel.Opening) { o.Last.Epoch, o.Cosigned = o.Epoch, nil },
		"former epochs out of order":       func(o *parcel.Opening) { o.Former[0].Epoch = 8 },
		"too many former epochs":           func(o *parcel.Opening) { o.Former = make([]ledger.Head, parcel.MaxFormer+1) },
		"a size below zero":                func(o *parcel.Opening) { o.Last.Size, o.Cosigned = -1, nil },
		"more cosigned than there is":      func(o *parcel.Opening) { o.Cosigned.Size = 10 },
		"a cosigned head of another epoch": func(o *parcel.Opening) { o.Cosigned.Epoch = 1 },
		"a party that speaks to itself":    func(o *parcel.Opening) { o.To = o.From },
	} {
		o := anOpening()
		change(&o)
		if _, err := o.Encode(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, change := range map[string]func(*parcel.Account){
		"a lane of a third party":  func(a *parcel.Account) { a.Lanes[0].Author = party.ID{9} },
		"a log of a third party":   func(a *parcel.Account) { a.Logs[0].Party = party.ID{9} },
		"a lane that there is not": func(a *parcel.Account) { a.Lanes[0].Lane = "gossip" },
		"no opening":               func(a *parcel.Account) { a.Opening = envelope.Hash{} },
		"too many lanes":           func(a *parcel.Account) { a.Lanes = make([]parcel.HeldLane, parcel.MaxAccountLanes+1) },
	} {
		a := anAccount()
		change(&a)
		if _, err := a.Encode(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
