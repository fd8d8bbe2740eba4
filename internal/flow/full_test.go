package flow

import (
	"testing"
	"testing/synctest"
	"time"

	"entente/internal/fault"
)

// Whoever waits for room tries again at each receipt, and no longer than roomWithin.
func TestWithRoom(t *testing.T) {
	full := fault.New(fault.Exhausted, pendingCode, "full")
	for _, c := range []struct {
		name     string
		receipts int // that come, a second after each other
		needed   int
		want     error
		tries    int
		takes    time.Duration
	}{
		{"room at once", 0, 0, nil, 1, 0},
		{"room at the first receipt", 1, 1, nil, 2, time.Second},
		{"not at the first", 1, 2, full, 2, roomWithin},
		{"no receipt", 0, 1, full, 1, roomWithin},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &linkState{room: make(chan struct{})}
				go func() {
					for range c.receipts {
						time.Sleep(time.Second)
						s.roomy()
					}
				}()
				begun, tries := time.Now(), 0
				err := s.withRoom(t.Context(), func() error {
					if tries++; tries > c.needed {
						return nil
					}
					return full
				})
				if took := time.Since(begun); err != c.want || tries != c.tries || took != c.takes {
					t.Errorf("%v after %d tries and %s; want %v, %d and %s", err, tries, took, c.want, c.tries, c.takes)
				}
			})
		})
	}
}
