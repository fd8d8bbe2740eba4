package exchange

import (
	"slices"
	"time"

	"entente/parcel"
)

// Window limits how far ahead of the contiguous sequence a parcel may stand; beyond it a parcel is refused
// until the gap is filled, so that a peer cannot make us keep unbounded gaps.
const Window = 4096

// MaxGaps is how many gaps a receipt names; the rest are named by later ones.
const MaxGaps = 16

// Admit says whether seq may be taken after contiguous: new, a replay of something old, or too far ahead.
func Admit(contiguous, seq uint64) bool { return seq >= 1 && seq <= contiguous+Window }

// Arrive returns the contiguous sequence and the gaps after held (all sequences known above contiguous, any
// order, doubles allowed) are taken into account.
func Arrive(contiguous uint64, held []uint64) (uint64, []parcel.Gap) {
	sorted := slices.Clone(held)
	slices.Sort(sorted)
	next := contiguous + 1
	var gaps []parcel.Gap
	for _, seq := range sorted {
		switch {
		case seq < next: // old or doubled
		case seq == next && len(gaps) == 0:
			contiguous, next = seq, seq+1
		case seq == next:
			next = seq + 1
		default:
			if len(gaps) < MaxGaps {
				gaps = append(gaps, parcel.Gap{From: next, To: seq - 1})
			}
			next = seq + 1
		}
	}
	return contiguous, gaps
}

// The bounds of back-off.
const (
	FirstRetry = 500 * time.Millisecond
	LastRetry  = 5 * time.Minute
)

// Backoff is how long to wait after the given number of failed tries (from 1): doubling, capped at LastRetry.
// spread in [0,1) takes up to a quarter off, so that many links do not try in step.
func Backoff(tries int, spread float64) time.Duration {
	wait := LastRetry
	if tries < 20 {
		wait = min(FirstRetry<<max(tries-1, 0), LastRetry)
	}
	return wait - time.Duration(spread*float64(wait)/4)
}
