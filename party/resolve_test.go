package party

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"entente/envelope"
)

func resolve(t testing.TB, chains ...*Chain) (*Chain, bool) {
	t.Helper()
	stands, contested, err := Resolve(chains...)
	if err != nil {
		t.Fatal(err)
	}
	return stands, contested
}

// A thief who has all current keys, and even an owner who was slow, end with the owner's chain standing, in whatever
// order the documents arrive.
func TestRecoveryLockout(t *testing.T) {
	s := newScene(t)
	thief, owner := newKeys(t, "thief"), newKeys(t, "owner")
	thiefQuorum, thiefRecovery := quorum(t, "thief", 1, 1)

	// With the keys, the thief can make a next version, but not with recovery keys of his own.
	if _, err := s.second.Succeed(envelope.Default(), identity(thief, thiefRecovery), join(s.two.sign, thief.sign)...); err == nil {
		t.Fatal("the thief has changed the recovery keys")
	}
	if _, err := s.second.Succeed(envelope.Default(), identity(thief, thiefRecovery), join(thiefQuorum, thief.sign)...); err == nil {
		t.Fatal("the thief's own quorum has signed")
	}
	stolen := succeed(t, s.second, identity(thief, s.recovery), join(s.two.sign, thief.sign)...)
	for range 5 { // a longer chain gains nothing
		i := identity(thief, s.recovery)
		i.Authority = fmt.Sprintf("Ministry %d", len(stolen.Versions))
		stolen = succeed(t, stolen, i, thief.sign...)
	}

	own := succeed(t, s.second, identity(owner, s.recovery), join(s.two.sign, owner.sign)...)
	renamed := identity(owner, s.recovery)
	renamed.Authority = "Ministry of Justice"
	recovered := succeed(t, s.second, renamed, join(s.quorum[:2], owner.sign)...)
	later := succeed(t, own, identity(s.three, s.recovery), join(s.quorum[1:], s.three.sign)...)
	_, fresh := quorum(t, "fresh", 2, 3)
	replaced := succeed(t, s.second, identity(owner, fresh), join(s.quorum[:2], owner.sign)...)

	tests := []struct {
		name      string
		chains    []*Chain
		want      *Chain
		contested bool
	}{
		{"thief alone", []*Chain{s.second, stolen}, stolen, false},
		{"thief against the owner's keys", []*Chain{stolen, own}, s.second, true},
		{"thief against the quorum", []*Chain{stolen, recovered}, recovered, false},
		{"thief against the quorum, one version later", []*Chain{stolen, own, later}, later, false},
		{"thief against a new quorum", []*Chain{stolen, replaced}, replaced, false},
		{"all but the quorum of the same prev", []*Chain{stolen, later, recovered, own}, recovered, false},
		{"two quorums of the same prev", []*Chain{stolen, recovered, replaced}, s.second, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, order := range permutations(test.chains) {
				stands, contested := resolve(t, order...)
				n := len(stands.Versions)
				if stands.Hash(n) != test.want.Hash(len(test.want.Versions)) {
					t.Errorf("version %d by %v stands", n, stands.Latest().Authority)
				}
				if contested != test.contested {
					t.Errorf("contested: %v", contested)
				}
				if verify(t, stands.Envelopes...).Hash(n) != stands.Hash(n) {
					t.Error("what stands does not verify")
				}
			}
		})
	}

	// The quorum may sign what the keys had signed already: the same payload then has the higher rank.
	i := recovered.Versions[2]
	byKeys := verify(t, append(s.second.Envelopes[:2:2], forge(t, i, join(s.two.sign, owner.sign)...))...)
	if _, contested := resolve(t, stolen, byKeys); !contested {
		t.Error("keys against keys is not contested")
	}
	for _, order := range permutations([]*Chain{stolen, byKeys, recovered}) {
		stands, contested := resolve(t, order...)
		if contested || !stands.Recovered(3) || stands.Hash(3) != recovered.Hash(3) {
			t.Error("the quorum's signature under the same payload does not count")
		}
	}
}

// However many versions a thief tries, none of them wins against one signed by the same keys.
func TestResolveGrinding(t *testing.T) {
	s := newScene(t)
	own := succeed(t, s.first, identity(s.two, s.recovery), join(s.one.sign, s.two.sign)...)
	thief := newKeys(t, "thief")
	for n := range 20 {
		i := identity(thief, s.recovery)
		i.Authority = fmt.Sprintf("Ministry %d", n)
		stolen := succeed(t, s.first, i, join(s.one.sign, thief.sign)...)
		if stands, contested := resolve(t, own, stolen); !contested || len(stands.Versions) != 1 {
			t.Fatalf("try %d: version %d stands, contested: %v", n, len(stands.Versions), contested)
		}
	}
}

// Any set of chains gives the same result in any order and with any of them repeated, and what stands is a prefix of
// one of them, unless the fork is contested a version more than that result.
func TestResolveOrder(t *testing.T) {
	s := newScene(t)
	pool := []*Chain{s.first, s.second}
	for n := range 4 {
		base := pool[n%2]
		k := newKeys(t, fmt.Sprint("branch ", n))
		signers := join(map[int][]envelope.Signer{0: s.one.sign, 1: s.two.sign}[n%2], k.sign)
		if n == 2 {
			signers = join(s.quorum[:2], k.sign)
		}
		branch := succeed(t, base, identity(k, s.recovery), signers...)
		renamed := identity(k, s.recovery)
		renamed.Authority = "Ministry of Justice"
		if n == 3 {
			pool = append(pool, succeed(t, branch, renamed, join(s.quorum[1:], k.sign)...))
		}
		pool = append(pool, branch)
	}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 6).Draw(t, "chains")
		shuffled := append(rapid.Permutation(picked).Draw(t, "order"), picked[0])
		a, contestedA, errA := Resolve(picked...)
		b, contestedB, errB := Resolve(shuffled...)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if contestedA != contestedB || len(a.Versions) != len(b.Versions) || a.Hash(len(a.Versions)) != b.Hash(len(b.Versions)) {
			t.Fatalf("version %d and version %d stand", len(a.Versions), len(b.Versions))
		}
		for n := range a.Envelopes {
			if string(a.Envelopes[n]) != string(b.Envelopes[n]) || a.Recovered(n+1) != b.Recovered(n+1) {
				t.Fatalf("version %d has another envelope", n+1)
			}
		}
	})
}

func TestResolveRefuses(t *testing.T) {
	if _, _, err := Resolve(); err == nil {
		t.Error("no chains were taken")
	}
	s := newScene(t)
	if _, _, err := Resolve(s.first, &Chain{ID: s.first.ID, Versions: s.first.Versions, Envelopes: s.first.Envelopes}); err == nil {
		t.Error("a chain that was not verified was taken")
	}
}

func permutations(chains []*Chain) [][]*Chain {
	if len(chains) <= 1 {
		return [][]*Chain{chains}
	}
	var all [][]*Chain
	for n := range chains {
		rest := append(append([]*Chain(nil), chains[:n]...), chains[n+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]*Chain{chains[n]}, p...))
		}
	}
	return all
}
