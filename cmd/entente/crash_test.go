package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"entente/internal/testenv"
)

// How often TestCrash kills a node: seldom in every run, and often where a change is checked.
const (
	fewKills  = 6
	manyKills = 50
)

var (
	killFlag = flag.Int("kills", 0, "how often TestCrash kills a node; 0 chooses")
	seedFlag = flag.Uint64("seed", 0, "what TestCrash decides by; 0 chooses")
)

// TestCrash kills one node or the other, or both, again and again, while messages and files go both ways. Then it lets
// all heal: nothing that was acknowledged may be missing, nothing may be there twice, and both sides must agree to the
// byte.
func TestCrash(t *testing.T) {
	t.Parallel()
	kills, seed := *killFlag, *seedFlag
	if v := os.Getenv("ENTENTE_KILLS"); kills == 0 && v != "" {
		var err error
		if kills, err = strconv.Atoi(v); err != nil || kills < 1 {
			t.Fatalf("ENTENTE_KILLS is %q: write a number, from 1", v)
		}
	}
	if kills == 0 && os.Getenv(testenv.StrictVar) == "1" {
		kills = manyKills
	}
	if kills == 0 {
		kills = fewKills
	}
	if seed == 0 {
		seed = rand.Uint64()
	}
	onEachDatabase(t, func(t *testing.T, settings func() []string) {
		t.Logf("%d kills; again with: go test ./cmd/entente -run '^%s$' -kills %d -seed %d", kills, t.Name(), kills, seed)
		sides := linked(t, t.TempDir(), settings)
		tr := begin(t, sides, seed)
		random := rand.New(rand.NewPCG(seed, 1<<32))
		for n := 0; n < kills; {
			at := [][]*side{{sides[0]}, {sides[1]}, {sides[0], sides[1]}}[random.IntN(3)]
			running := random.IntN(3) > 0 // else it is killed while it starts
			wait := time.Duration(random.IntN(200)) * time.Millisecond
			if running {
				for _, s := range sides {
					s.awaitReady(t)
				}
				wait *= 3
			}
			<-time.After(wait)
			for _, s := range at {
				s.kill(t)
				n++
			}
			for _, s := range at {
				s.launch(t)
			}
		}
		for _, s := range sides {
			s.awaitReady(t)
		}
		tr.healed(t)
		tr.rebuilt(t)
		if len(tr.sent) < kills {
			t.Errorf("only %d sends were acknowledged: too few to show anything", len(tr.sent))
		}
	})
}

// onEachDatabase runs a test on SQLite, and on PostgreSQL where there is one. settings gives those of one new node.
func onEachDatabase(t *testing.T, test func(t *testing.T, settings func() []string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, func() []string { return nil })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, func() []string { return []string{"database=" + testenv.Postgres(t)} })
	})
}
