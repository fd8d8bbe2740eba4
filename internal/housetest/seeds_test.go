package housetest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"entente/internal/store/sqlstore"
	"entente/internal/testenv"
)

var (
	seeds     = flag.Int("seeds", 0, "how many seeds to play; 0 for those of ENTENTE_SEEDS, or 50")
	first     = flag.Uint64("first", 1, "the first seed")
	trace     = flag.Bool("trace", false, "print the events of runs that pass, too")
	lie       = flag.String("lie", "", "what one party lies about; empty lets the seed choose")
	thief     = flag.Bool("thief", false, "keys are replaced and stolen in every run")
	steps     = flag.Int("steps", 0, "how long the weather is bad; 0 for as long as usual")
	crash     = flag.Int("crash", 0, "the boundary at which the power goes; 0 for each")
	processes = flag.Int("processes", 0, "how many processes share the seeds, since a run takes one processor; 0 for one each")
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
	n := howMany(t)
	if *processes == 0 {
		*processes = runtime.NumCPU()
	}
	if share := (n + *processes - 1) / *processes; *processes > 1 && share >= worthAProcess {
		inProcesses(t, n, share)
		return
	}
	var sum Outcome
	cast := NewCast()
	for seed := *first; seed < *first+uint64(n); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			out := Run(t, cast, seed, Options{Lie: Lie(*lie), Thief: *thief, Steps: *steps})
			sum.Said, sum.Files, sum.Crashes, sum.Faults = sum.Said+out.Said, sum.Files+out.Files, sum.Crashes+out.Crashes, sum.Faults+out.Faults
			sum.Refused, sum.Void, sum.Left = sum.Refused+out.Refused, sum.Void+out.Void, sum.Left+out.Left
			sum.Registered, sum.Carried, sum.Restores = sum.Registered+out.Registered, sum.Carried+out.Carried, sum.Restores+out.Restores
			sum.Turns, sum.Recovered = sum.Turns+out.Turns, sum.Recovered+out.Recovered
			sum.Abused, sum.Forks = sum.Abused+out.Abused, sum.Forks+out.Forks
			if *trace {
				t.Log(strings.Join(out.Trace, "\n"))
			}
		})
	}
	t.Logf("%d seeds: %d statements (%d void after a month, %d registered) with %d files, %d faults of the network, %d power cuts, %d restores, %d tries refused, %d courier files, %d keys replaced (%d recovered), %d times signed by a thief (%d times a version of the identity), %d blobs left",
		n, sum.Said, sum.Void, sum.Registered, sum.Files, sum.Faults, sum.Crashes, sum.Restores, sum.Refused, sum.Carried, sum.Turns, sum.Recovered, sum.Abused, sum.Forks, sum.Left)
}

// worthAProcess is how many seeds a process is started for.
const worthAProcess = 10

// inProcesses plays the seeds in processes of this test, each a share of them.
func inProcesses(t *testing.T, n, share int) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("all", func(t *testing.T) {
		for at := 0; at < n; at += share {
			from, count := *first+uint64(at), min(share, n-at)
			t.Run(fmt.Sprintf("%d to %d", from, from+uint64(count)-1), func(t *testing.T) {
				t.Parallel()
				c := exec.CommandContext(t.Context(), self, "-test.run=^TestSeeds$", "-test.timeout=0", "-test.v="+strconv.FormatBool(testing.Verbose()),
					"-processes=1", "-first="+strconv.FormatUint(from, 10), "-seeds="+strconv.Itoa(count), "-trace="+strconv.FormatBool(*trace), "-lie="+*lie, "-thief="+strconv.FormatBool(*thief), "-steps="+strconv.Itoa(*steps))
				out, err := c.CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				} else if i := bytes.LastIndex(out, []byte("seeds_test.go")); i >= 0 {
					t.Logf("%s", out[i:])
				}
			})
		}
	})
}

// A node that is put back to a backup, however old and however often, forgets nothing that the other holds, and accuses nobody.
func TestLapses(t *testing.T) {
	restores, cast := 0, NewCast()
	for seed := *first; seed < *first+uint64(howMany(t)/5); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			out := Run(t, cast, seed, Options{Lapse: true})
			restores += out.Restores
			if *trace {
				t.Log(strings.Join(out.Trace, "\n"))
			}
		})
	}
	t.Logf("%d nodes were put back to a backup", restores)
}

// A seed is a run: played twice, it gives the same events.
func TestSameSeedSameTrace(t *testing.T) {
	cast := NewCast()
	for _, seed := range []uint64{*first + 4} {
		var traces [2][]string
		for i := range traces {
			t.Run(fmt.Sprint(seed, " ", i), func(t *testing.T) { traces[i] = Run(t, cast, seed, Options{}).Trace })
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
	cast := NewCast()
	for i, lie := range Lies() {
		t.Run(string(lie), func(t *testing.T) {
			told := false
			for seed := uint64(10 * i); !told && seed < uint64(10*i+10); seed++ {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { told = Run(t, cast, seed, Options{Lie: lie, Steps: 60}).Lie == lie })
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

// A thief of keys changes nothing with those that were replaced, and keeps no owner from taking its identity back.
func TestThief(t *testing.T) {
	cast := NewCast()
	abused, forks := 0, 0
	for seed := uint64(1); seed <= 12; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			out := Run(t, cast, seed, Options{Thief: true})
			abused, forks = abused+out.Abused, forks+out.Forks
		})
	}
	if abused == forks || forks == 0 {
		t.Errorf("a thief signed %d times, %d times a version of the identity: there was no occasion for something else", abused, forks)
	}
}

// Seeds on PostgreSQL: what a run depends on is the same there.
func TestSeedsOnPostgres(t *testing.T) {
	cast := NewCast()
	for seed := *first; seed < *first+3; seed++ {
		urls := map[string]string{}
		for _, name := range names() {
			urls[name] = testenv.Postgres(t)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			Run(t, cast, seed, Options{Steps: *steps, Open: func(party string) *sqlstore.Store {
				s, err := sqlstore.OpenPostgres(t.Context(), urls[party])
				if err != nil {
					t.Fatal(err)
				}
				return s
			}})
		})
	}
}

// The power goes at each boundary of a conversation, one at a time: before and after each transaction, and wherever the disk makes
// bytes durable.
func TestCrashAtEachBoundary(t *testing.T) {
	cast := NewCast()
	if *crash > 0 {
		Crashes(t, cast, *crash)
		return
	}
	total := Crashes(t, cast, 0)
	stride := 1
	if n := howMany(t); n < 50 {
		stride += 50 / n // where seeds are dear, so are these
	}
	for n := 1; n <= total; n += stride {
		t.Run(fmt.Sprint(n), func(t *testing.T) { Crashes(t, cast, n) })
	}
	t.Logf("%d boundaries, each %d. of them", total, stride)
}

// recorder keeps what a run fails with.
type recorder struct {
	testing.TB
	said string
}

// Helper implements testing.TB.
func (*recorder) Helper() {}

// Fatalf implements testing.TB.
func (r *recorder) Fatalf(format string, args ...any) { r.said = fmt.Sprintf(format, args...) }

// A run that fails says which command plays it again, and what happened.
func TestFailuresSayHowToPlayThemAgain(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Steps: 9, Thief: true}, "TestSeeds -args -seeds 1 -first 7 -thief -steps 9"},
		{Options{Lapse: true}, "TestLapses -args -seeds 5 -first 7"},
		{Options{Open: func(string) *sqlstore.Store { return nil }}, "TestSeedsOnPostgres -args -first 7"},
	} {
		if got := c.o.again(7); got != "go test ./internal/housetest -run "+c.want {
			t.Errorf("%q, want the arguments %q", got, c.want)
		}
	}
	w := &world{t: &recorder{}, seed: 7, again: Options{Lie: "fork_log"}.again(7)}
	w.note("the sky falls")
	w.fail("a promise is broken")
	said := w.t.(*recorder).said
	for _, want := range []string{"seed 7", "a promise is broken", w.again, "the sky falls"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
}
