package party

import (
	"bytes"
	"errors"
	"testing"

	"entente/envelope"
)

// scene is a party with two versions, and a third set of keys.
type scene struct {
	one, two, three keys
	quorum          []envelope.Signer
	recovery        Recovery
	first, second   *Chain // one version; two versions
}

func newScene(t testing.TB) scene {
	s := scene{one: newKeys(t, "one"), two: newKeys(t, "two"), three: newKeys(t, "three")}
	s.quorum, s.recovery = quorum(t, "one", 2, 3)
	s.first = create(t, identity(s.one, s.recovery), s.one)
	s.second = succeed(t, s.first, identity(s.two, s.recovery), join(s.one.sign, s.two.sign)...)
	return s
}

// third is a well-formed version 3.
func (s scene) third() Identity {
	i := clone(identity(s.three, s.recovery))
	prev := s.second.Hash(2)
	i.Version, i.Prev = 3, &prev
	i.NotBefore = s.second.Latest().NotBefore + day
	i.NotAfter = i.NotBefore + 365*day
	return i
}

func TestVerifyChain(t *testing.T) {
	s := newScene(t)
	c := succeed(t, s.second, identity(s.three, s.recovery), join(s.quorum[1:], s.three.sign)...)
	if c.ID != s.first.ID || c.ID != s.first.Hash(1) {
		t.Errorf("the id has changed: %s, then %s", s.first.ID, c.ID)
	}
	if c.Latest().Version != 3 {
		t.Errorf("latest is version %d", c.Latest().Version)
	}
	if c.Recovered(2) || !c.Recovered(3) {
		t.Errorf("recovered: %v, %v", c.Recovered(2), c.Recovered(3))
	}
	for n := 1; n <= 3; n++ {
		if i, ok := c.At(n); !ok || i.Version != n {
			t.Errorf("At(%d) = %v, %v", n, i, ok)
		}
	}
	for _, n := range []int{-1, 0, 4} {
		if _, ok := c.At(n); ok || !c.Hash(n).IsZero() || c.Recovered(n) {
			t.Errorf("there is a version %d", n)
		}
	}
	if again := verify(t, c.Envelopes...); again.Hash(3) != c.Hash(3) {
		t.Error("verified again, the chain is another")
	}
	if len(s.second.Versions) != 2 {
		t.Error("Append has changed the chain that it was called on")
	}
}

func TestVerifyRefuses(t *testing.T) {
	s := newScene(t)
	newQuorum, newRecovery := quorum(t, "new", 1, 1)
	both := join(s.two.sign, s.three.sign)
	var signature *envelope.SignatureError
	var format *envelope.FormatError
	tests := []struct {
		name    string
		change  func(i *Identity)
		signers []envelope.Signer
		refusal any // target of errors.As, or an error for errors.Is
	}{
		{"own keys alone", nil, s.three.sign, &signature},
		{"old keys alone", nil, s.two.sign, &signature},
		{"one old key missing", nil, both[1:], &signature},
		{"one new key missing", nil, both[:3], &signature},
		{"a key too many", nil, join(both, s.one.sign[:1]), &signature},
		{"keys of the version before last", nil, join(s.one.sign, s.three.sign), &signature},
		{"half a quorum", nil, join(s.quorum[:1], s.three.sign), ErrNoQuorum},
		{"half a quorum and the old keys", nil, join(s.quorum[:1], both), ErrNoQuorum},
		{"a quorum without the new keys", nil, s.quorum, &signature},
		{"a quorum with the old keys", nil, join(s.quorum, both), &signature},
		{"a quorum of its own", func(i *Identity) { i.Recovery = newRecovery }, join(newQuorum, s.three.sign), ErrNoQuorum},
		{"other recovery keys", func(i *Identity) { i.Recovery = newRecovery }, both, ErrNoQuorum},
		{"smaller quorum", func(i *Identity) { i.Recovery.Need = 1 }, both, ErrNoQuorum},
		{"recovery keys in another order", func(i *Identity) {
			i.Recovery.Keys[0], i.Recovery.Keys[1] = i.Recovery.Keys[1], i.Recovery.Keys[0]
		}, both, ErrNoQuorum},
		{"old keys expired", func(i *Identity) {
			i.NotBefore = s.second.Latest().NotAfter
			i.NotAfter = i.NotBefore + day
		}, both, ErrNoQuorum},
		{"begins earlier", func(i *Identity) { i.NotBefore = start - day }, both, ErrOutOfOrder},
		{"version left out", func(i *Identity) { i.Version = 4 }, both, ErrOutOfOrder},
		{"version twice", func(i *Identity) { i.Version = 2 }, both, ErrOutOfOrder},
		{"another prev", func(i *Identity) { i.Prev = &envelope.Hash{1} }, both, ErrOutOfOrder},
		{"prev of the version before last", func(i *Identity) { h := s.second.Hash(1); i.Prev = &h }, both, ErrOutOfOrder},
		{"compromise in its own time", func(i *Identity) { at := i.NotBefore + 1; i.CompromiseSince = &at }, both, &format},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := s.third()
			if test.change != nil {
				test.change(&i)
			}
			_, err := s.second.Append(envelope.Default(), forge(t, i, test.signers...))
			if target, ok := test.refusal.(error); ok {
				if !errors.Is(err, target) {
					t.Errorf("got %v, want %v", err, target)
				}
			} else if !errors.As(err, test.refusal) {
				t.Errorf("got %v, want a %T", err, test.refusal)
			}
			if len(s.second.Versions) != 2 {
				t.Error("the chain has changed")
			}
		})
	}
	if _, err := s.second.Append(envelope.Default(), forge(t, s.third(), both...)); err != nil {
		t.Errorf("the unchanged version: %v", err)
	}
}

// A signature that claims to be of a recovery key, and is not, does not make a quorum.
func TestVerifyRefusesClaimedQuorum(t *testing.T) {
	s := newScene(t)
	e, err := envelope.DecodeEnvelope(forge(t, s.third(), join(s.quorum[:1], s.three.sign)...))
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures = append(e.Signatures, envelope.Signature{KeyID: s.quorum[1].Public().KeyID(), Sig: e.Signatures[0].Sig})
	var signature *envelope.SignatureError
	if _, err := s.second.Append(envelope.Default(), encode(t, e, nil)); !errors.As(err, &signature) {
		t.Errorf("got %v", err)
	}
}

// A version may keep the keys of the one before: each then signs once.
func TestVerifyKeepsKeys(t *testing.T) {
	s := newScene(t)
	renamed := identity(s.two, s.recovery)
	renamed.Authority = "Ministry of Justice"
	if c := succeed(t, s.second, renamed, s.two.sign...); c.Latest().Authority != "Ministry of Justice" {
		t.Error("the change is not there")
	}
}

func TestVerifyLimits(t *testing.T) {
	if _, err := Verify(envelope.Default(), nil); err == nil {
		t.Error("a chain of nothing was taken")
	}
	if _, err := Verify(envelope.Default(), make([][]byte, MaxVersions+1)); err == nil {
		t.Error("a chain over the limit was taken")
	}
	if _, err := decodeIdentity(bytes.Repeat([]byte(" "), MaxPayload+1)); err == nil {
		t.Error("a document over the limit was taken")
	}
}

// An old version that is shown again is no news: not as the next version, not as another party, not as a chain that
// would take the newer versions back.
func TestOldIdentityReplay(t *testing.T) {
	s := newScene(t)
	for n, old := range s.second.Envelopes {
		if _, err := s.second.Append(envelope.Default(), old); !errors.Is(err, ErrOutOfOrder) {
			t.Errorf("version %d again: got %v", n+1, err)
		}
	}
	if _, err := Verify(envelope.Default(), s.second.Envelopes[1:]); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("the chain without its first version: got %v", err)
	}
	for _, order := range [][]*Chain{{s.first, s.second}, {s.second, s.first}} {
		stands, contested, err := Resolve(order...)
		if err != nil || contested {
			t.Fatal(contested, err)
		}
		if stands.Latest().Version != 2 {
			t.Errorf("version %d stands", stands.Latest().Version)
		}
	}
	// Keys that have been replaced no longer sign a next version.
	var signature *envelope.SignatureError
	_, err := s.second.Append(envelope.Default(), forge(t, s.third(), join(s.one.sign, s.three.sign)...))
	if !errors.As(err, &signature) {
		t.Errorf("keys of version 1 for version 3: got %v", err)
	}
	// Nor does the owner's old version under another first one.
	other := create(t, identity(s.three, s.recovery), s.three)
	if _, err := other.Append(envelope.Default(), s.second.Envelopes[1]); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("version 2 after a foreign version 1: got %v", err)
	}
	if _, _, err := Resolve(s.second, other); !errors.Is(err, ErrOtherParty) {
		t.Errorf("two parties: got %v", err)
	}
}

// A declared compromise is there to be seen, and changes nothing else: neither the keys that verify, nor the rank of
// a chain, nor its validity.
func TestCompromiseSince(t *testing.T) {
	s := newScene(t)
	since := start + day/2
	plain, marked := s.third(), s.third()
	marked.CompromiseSince = &since
	signers := join(s.quorum[:2], s.three.sign)
	a := verify(t, append(s.second.Envelopes, forge(t, plain, signers...))...)
	b := verify(t, append(s.second.Envelopes, forge(t, marked, signers...))...)

	for _, test := range []struct {
		at   int64
		want bool
	}{{since - 1, false}, {since, true}, {since + day, true}} {
		if got := b.Latest().Suspect(test.at); got != test.want {
			t.Errorf("Suspect(%d) = %v", test.at, got)
		}
		if a.Latest().Suspect(test.at) {
			t.Errorf("suspect at %d without a declaration", test.at)
		}
	}
	for n := 1; n <= 3; n++ {
		old, _ := a.At(n)
		now, _ := b.At(n)
		for _, at := range []int64{start, since, since + day, start + 400*day} {
			if old.ValidAt(at) != now.ValidAt(at) {
				t.Errorf("version %d: the validity at %d has changed", n, at)
			}
		}
		if a.Recovered(n) != b.Recovered(n) {
			t.Errorf("version %d: the rank has changed", n)
		}
	}
	if a.Hash(2) != b.Hash(2) {
		t.Error("an earlier version has changed")
	}
}

// What is fuzzed is the payload of a third version and who signs it, one bit a key; with raw, all of the envelope.
func FuzzVerifyChain(f *testing.F) {
	s := newScene(f)
	all := join(s.two.sign, s.three.sign, s.quorum, s.one.sign[:1])
	third, err := envelope.Marshal(s.third())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(third, byte(0b0000_1111), false)
	f.Add(third, byte(0b0011_1100), false)
	f.Add(third, byte(0b0001_1100), false)
	f.Add([]byte(`{"v":1,"version":3}`), byte(0b0000_1111), false)
	f.Add([]byte(`{"payloadType":"application/vnd.entente.identity+json","payload":"e30=","signatures":[]}`), byte(0), true)
	f.Add(s.second.Envelopes[1], byte(0), true)
	f.Fuzz(func(t *testing.T, data []byte, mask byte, raw bool) {
		if !raw {
			var signers []envelope.Signer
			for n, signer := range all {
				if mask>>n&1 == 1 {
					signers = append(signers, signer)
				}
			}
			e, err := envelope.Sign(PayloadType, data, signers...)
			if err != nil {
				return
			}
			if data, err = e.Encode(); err != nil {
				return
			}
		}
		c, err := s.second.Append(envelope.Default(), data)
		if err == nil {
			again := verify(t, c.Envelopes...)
			if again.ID != s.first.ID || again.Hash(3) != c.Hash(3) || again.Recovered(3) != c.Recovered(3) {
				t.Error("verified again, the chain is another")
			}
			if !c.Recovered(3) && !c.Latest().Recovery.Equal(s.recovery) {
				t.Error("the recovery keys have changed without the quorum")
			}
		}
		// A payload that decodes keeps its meaning when it is written again.
		e, err := envelope.DecodeEnvelope(data)
		if err != nil {
			return
		}
		i, err := decodeIdentity(e.Payload)
		if err != nil {
			return
		}
		written, err := envelope.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeIdentity(written)
		if err != nil {
			t.Fatalf("written again, it is refused: %v", err)
		}
		rewritten, _ := envelope.Marshal(back)
		if !bytes.Equal(written, rewritten) {
			t.Error("written twice, it differs")
		}
	})
}
