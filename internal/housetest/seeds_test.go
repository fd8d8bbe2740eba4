package housetest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	seeds = flag.Int("seeds", 0, "how many seeds to play; 0 for those of ENTENTE_SEEDS, or 50")
	first = flag.Uint64("first", 1, "the first seed")
	trace = flag.Bool("trace", false, "print the events of runs that pass, too")
)

// howMany is what the flag says, else the environment, else 50.
func howMany(t *testing.T) int {
	if *seeds > 0 {
		return *seeds
	}
	v := os.Getenv("ENTENTE_SEEDS")
	if v == "" {
		return 50
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("ENTENTE_SEEDS: %v", err)
	}
	return n
}

// Whatever the weather, what was acknowledged arrives once, and both sides hold one record.
func TestSeeds(t *testing.T) {
	var sum Outcome
	n := howMany(t)
	for seed := *first; seed < *first+uint64(n); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			out := Run(t, seed, Options{})
			sum.Said, sum.Files, sum.Crashes, sum.Faults = sum.Said+out.Said, sum.Files+out.Files, sum.Crashes+out.Crashes, sum.Faults+out.Faults
			sum.Refused, sum.Void, sum.Left = sum.Refused+out.Refused, sum.Void+out.Void, sum.Left+out.Left
			if *trace {
				t.Log(strings.Join(out.Trace, "\n"))
			}
		})
	}
	t.Logf("%d seeds: %d statements (%d void after a month) with %d files, %d faults of the network, %d power cuts, %d tries refused, %d blobs left",
		n, sum.Said, sum.Void, sum.Files, sum.Faults, sum.Crashes, sum.Refused, sum.Left)
}

// A seed is a run: played twice, it gives the same events.
func TestSameSeedSameTrace(t *testing.T) {
	for _, seed := range []uint64{*first + 4} {
		var traces [2][]string
		for i := range traces {
			t.Run(fmt.Sprint(seed, " ", i), func(t *testing.T) { traces[i] = Run(t, seed, Options{}).Trace })
		}
		if !slices.Equal(traces[0], traces[1]) {
			for i := range min(len(traces[0]), len(traces[1])) {
				if traces[0][i] != traces[1][i] {
					t.Fatalf("seed %d, event %d: %q the first time, %q the second", seed, i, traces[0][i], traces[1][i])
				}
			}
			t.Fatalf("seed %d: %d events the first time, %d the second", seed, len(traces[0]), len(traces[1]))
		}
	}
}

// Every lie is exposed to the one to whom it is told, changes nothing that was true, and harms no other link.
func TestLies(t *testing.T) {
	for i, lie := range Lies() {
		t.Run(string(lie), func(t *testing.T) {
			told := false
			for seed := uint64(10 * i); !told && seed < uint64(10*i+5); seed++ {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { told = Run(t, seed, Options{Lie: lie, Steps: 60}).Lie == lie })
				if t.Failed() {
					return
				}
			}
			if !told {
				t.Errorf("in none of the runs was there an occasion to tell it")
			}
		})
	}
}
