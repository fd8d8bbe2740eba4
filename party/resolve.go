package party

import (
	"bytes"
	"errors"
	"slices"

	"entente/envelope"
)

// ErrOtherParty is the answer to chains that are not of one party.
var ErrOtherParty = errors.New("the chains are not of one party")

// Resolve says which of several verified chains of one party stands. Of chains without a fork, the longest does; so an
// old chain that is shown again changes nothing. At a fork:
//
//   - a successor that the recovery quorum signed outranks any other of the same prev;
//   - of successors signed by keys alone, the one does on whose branch the quorum has signed first, for that signature
//     stands for the whole branch up to it;
//   - otherwise the fork is contested, and neither branch stands: the result is what lies before the fork.
//
// The result depends on the set of chains alone, never on their order: give all that are known, the losing ones too,
// which are evidence. There is no rule by hash or length, since a thief could try until it favoured him. So whoever
// has stolen current or old keys can at most make the fork contested, until the owner's quorum signs a version on the
// owner's branch. A node that recorded one branch in its ledger before it saw the other goes on with that one
// meanwhile, and shows the dispute. A quorum that signs two successors of one prev cannot be resolved: pair anew.
//
// Errors: ErrOtherParty; *envelope.FormatError for no chains, or one that was not verified.
func Resolve(chains ...*Chain) (stands *Chain, contested bool, err error) {
	if len(chains) == 0 {
		return nil, false, malformed("", "no chains")
	}
	for _, c := range chains {
		if len(c.proofs) == 0 || len(c.proofs) != len(c.Versions) || len(c.proofs) != len(c.Envelopes) {
			return nil, false, malformed("", "a chain that was not verified")
		}
		if c.ID != chains[0].ID {
			return nil, false, ErrOtherParty
		}
	}
	branch := chains // those that share the payloads found so far
	length := 0
	for {
		longer := slices.DeleteFunc(slices.Clone(branch), func(c *Chain) bool { return len(c.proofs) <= length })
		if len(longer) == 0 {
			break
		}
		best := outranking(longer, length)
		if best == nil {
			contested = true
			break
		}
		branch = best
		length++
	}
	return merge(branch[0].prefix(length), chains), contested, nil
}

// outranking returns those of chains that stand at the fork at index at: all if there is none, nil if it is contested.
func outranking(chains []*Chain, at int) []*Chain {
	branches := make(map[envelope.Hash][]*Chain)
	for _, c := range chains {
		branches[c.proofs[at].hash] = append(branches[c.proofs[at].hash], c)
	}
	if len(branches) == 1 {
		return chains
	}
	var best []*Chain
	first := MaxVersions // index of the earliest version signed by the quorum; MaxVersions if there is none
	for _, b := range branches {
		switch q := firstRecovered(b, at); {
		case q < first:
			best, first = b, q
		case q == first:
			best = nil
		}
	}
	return best
}

func firstRecovered(chains []*Chain, from int) int {
	first := MaxVersions
	for _, c := range chains {
		for n := from; n < min(len(c.proofs), first); n++ {
			if c.proofs[n].recovered {
				first = n
			}
		}
	}
	return first
}

// merge gives c, for each version, the strongest envelope that any chain has for the same payload: one signed by the
// quorum before one that is not, then the first in the order of bytes, so that the result is the same everywhere.
func merge(c *Chain, chains []*Chain) *Chain {
	for n := range c.proofs {
		for _, o := range chains {
			if n >= len(o.proofs) || o.proofs[n].hash != c.proofs[n].hash {
				continue
			}
			stronger := o.proofs[n].recovered && !c.proofs[n].recovered
			equal := o.proofs[n].recovered == c.proofs[n].recovered
			if stronger || equal && bytes.Compare(o.Envelopes[n], c.Envelopes[n]) < 0 {
				c.proofs[n], c.Envelopes[n] = o.proofs[n], o.Envelopes[n]
			}
		}
	}
	return c
}

// prefix is a copy of the first n versions.
func (c *Chain) prefix(n int) *Chain {
	return &Chain{
		ID:        c.ID,
		Versions:  slices.Clone(c.Versions[:n]),
		Envelopes: slices.Clone(c.Envelopes[:n]),
		proofs:    slices.Clone(c.proofs[:n]),
	}
}
