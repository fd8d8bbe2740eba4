package ledger

import (
	"bytes"
	"errors"
	"testing"

	"entente/envelope"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

// judged runs Judge and demands the refusal (0: none); a refused request gives nothing to cosign.
func judged(t *testing.T, a actor, s WitnessState, req AddCheckpoint, want Refusal) (*Checkpoint, *RefusalError) {
	t.Helper()
	c, err := Judge(s, req, a.origin(), a.log)
	refusal, refused := errors.AsType[*RefusalError](err)
	switch {
	case want == 0 && err != nil:
		t.Fatalf("refused: %v", err)
	case want == 0:
		return c, nil
	case !refused:
		t.Fatalf("checkpoint of size %d accepted (%v), want refusal %v", c.Size, err, want)
	case refusal.Refusal != want:
		t.Fatalf("refused as %v (%v), want %v", refusal.Refusal, err, want)
	case c != nil:
		t.Fatal("refused, and yet a checkpoint to cosign")
	}
	return nil, refusal
}

// forkAt is the log's first size leaves, continued with other documents.
func forkAt(t *testing.T, m *rows, size, to int64) *rows {
	t.Helper()
	fork := m.clone(int(size))
	for i := size; i < to; i++ {
		l := testLeaf(i)
		l.Doc = envelope.Sum([]byte("another document"))
		fork.append(t, encode(t, l))
	}
	return fork
}

func TestForkLog(t *testing.T) {
	a := arvenia(t)
	m := testLog(t, 20)
	for _, tc := range []struct {
		name       string
		from, size int64 // the fork leaves the log at from, and is signed at size
		proof      func(fork *rows) []tlog.Hash
	}{
		{"same size, another last leaf", 19, 20, func(*rows) []tlog.Hash { return nil }},
		{"grown, proof from the fork's own past", 10, 40, func(f *rows) []tlog.Hash { return f.proof(t, 20, 40) }},
		{"grown, no proof", 10, 40, func(*rows) []tlog.Hash { return nil }},
		{"forked in the first leaves", 1, 33, func(f *rows) []tlog.Hash { return f.proof(t, 20, 33) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fork := forkAt(t, m, tc.from, tc.size)
			signed := a.sign(t, tc.size, fork.root(t, tc.size))
			state := WitnessState{Size: 20, Root: m.root(t, 20)}
			_, refusal := judged(t, a, state, AddCheckpoint{20, tc.proof(fork), signed.Note}, Inconsistent)
			if refusal.Signed == nil || !bytes.Equal(refusal.Signed.Note, signed.Note) {
				t.Error("what the log signed is not handed back as evidence")
			}

			// The mirror, which holds the leaves, sees the fork even without a proof.
			f := follow(t, m)
			before := f.Head()
			for i := int64(20); i < tc.size; i++ {
				next, _, err := f.CheckRun(fork.leaves[i : i+1])
				if err != nil {
					t.Fatal(err)
				}
				f = next
			}
			if err := f.CheckHead(signed); !errors.Is(err, ErrRoot) {
				t.Errorf("mirror: %v, want %v", err, ErrRoot)
			}
			if got := follow(t, m).Head(); got != before {
				t.Errorf("head changed from %v to %v", before, got)
			}
		})
	}
}

func TestRewriteLeaf(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 20)
	cosigned := k.cosign(t, a.sign(t, 20, m.root(t, 20)))
	state := WitnessState{}.After(cosigned)
	for _, index := range []int64{0, 7, 19} {
		other := testLeaf(index)
		other.Time++ // still no earlier than the leaf before, nor later than the next
		rewritten := encode(t, other)

		// A rewritten leaf does not stand in the cosigned tree, though the original does, with the same proof.
		proof, err := ProveInclusion(20, index, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckInclusion(proof, 20, cosigned.Root, index, m.leaves[index]); err != nil {
			t.Errorf("leaf %d: %v", index, err)
		}
		if err := CheckInclusion(proof, 20, cosigned.Root, index, rewritten); !errors.Is(err, ErrProof) {
			t.Errorf("rewritten leaf %d: %v, want %v", index, err, ErrProof)
		}

		// Sent to the mirror again, it is out of place, and the mirror stays as it was.
		f := follow(t, m)
		after, _, err := f.CheckRun([][]byte{rewritten})
		if !errors.Is(err, ErrIndex) {
			t.Errorf("rewritten leaf %d at the mirror: %v, want %v", index, err, ErrIndex)
		}
		if diff := cmp.Diff(f, after); diff != "" {
			t.Errorf("mirror changed: %s", diff)
		}

		// A log that is built over it cannot be witnessed any more.
		fresh := &rows{}
		for i, leaf := range m.leaves {
			if int64(i) == index {
				leaf = rewritten
			}
			fresh.append(t, leaf)
		}
		fresh.append(t, encode(t, testLeaf(20)))
		judged(t, a, state, AddCheckpoint{20, fresh.proof(t, 20, 21), a.sign(t, 21, fresh.root(t, 21)).Note}, Inconsistent)
	}
}

func TestRollbackLog(t *testing.T) {
	a := arvenia(t)
	m := testLog(t, 20)
	state := WitnessState{Size: 20, Root: m.root(t, 20)}
	old := m.clone(10) // what a backup brings back
	head10 := a.sign(t, 10, old.root(t, 10)).Note
	for i := int64(10); i < 12; i++ {
		old.append(t, encode(t, func() Leaf { l := testLeaf(i); l.Time += 1_000_000; return l }()))
	}
	head12 := a.sign(t, 12, old.root(t, 12)).Note
	for _, tc := range []struct {
		name string
		req  AddCheckpoint
		want Refusal
	}{
		{"the old head, from the cosigned size", AddCheckpoint{20, nil, head10}, BadRequest},
		{"the old head, from itself", AddCheckpoint{10, nil, head10}, Conflict},
		{"the old head, as if new", AddCheckpoint{0, nil, head10}, Conflict},
		{"grown a little", AddCheckpoint{10, old.proof(t, 10, 12), head12}, Conflict},
		{"grown a little, from the cosigned size", AddCheckpoint{20, nil, head12}, BadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, refusal := judged(t, a, state, tc.req, tc.want)
			if tc.want == Conflict && refusal.Size != 20 {
				t.Errorf("conflict names size %d, want 20", refusal.Size)
			}
		})
	}

	// The mirror has these indexes already.
	f := follow(t, m)
	after, _, err := f.CheckRun(old.leaves[10:])
	if !errors.Is(err, ErrIndex) {
		t.Errorf("mirror: %v, want %v", err, ErrIndex)
	}
	if diff := cmp.Diff(f, after); diff != "" {
		t.Errorf("mirror changed: %s", diff)
	}
	rolled := Checkpoint{Origin: a.origin(), Size: 10, Root: m.root(t, 10)}
	if err := f.CheckHead(&rolled); !errors.Is(err, ErrBehind) {
		t.Errorf("mirror: %v, want %v", err, ErrBehind)
	}
}

func TestBackdateEntry(t *testing.T) {
	m := testLog(t, 5)
	f := follow(t, m)
	late := testLeaf(5)
	leafAt := func(time int64) Leaf { l := late; l.Time = time; return l }
	second := testLeaf(6)
	second.Time = late.Time - 1
	epoch2 := func(time int64) Leaf {
		head := f.Head()
		return Leaf{V: 1, Epoch: 2, Time: time, Kind: EpochLeaf, Last: &head}
	}
	next, err := f.Next(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		from Follower
		run  []Leaf
		want error
	}{
		{"as late as the one before", f, []Leaf{leafAt(f.Time)}, nil},
		{"a microsecond earlier than the one before", f, []Leaf{leafAt(f.Time - 1)}, ErrTime},
		{"a month earlier", f, []Leaf{leafAt(f.Time - 30*86_400_000_000)}, ErrTime},
		{"earlier within a run", f, []Leaf{late, second}, ErrTime},
		{"through a new epoch", next, []Leaf{epoch2(f.Time - 1)}, ErrTime},
		{"a new epoch in time", next, []Leaf{epoch2(f.Time)}, nil},
		{"an epoch that was over", f, []Leaf{epoch2(f.Time)}, ErrIndex},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var run [][]byte
			for _, l := range tc.run {
				run = append(run, encode(t, l))
			}
			after, leaves, err := tc.from.CheckRun(run)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want == nil {
				if len(leaves) != len(run) || after.Size != tc.from.Size+int64(len(run)) {
					t.Errorf("%d leaves of %d taken, size %d", len(leaves), len(run), after.Size)
				}
				return
			}
			if diff := cmp.Diff(tc.from, after); diff != "" || leaves != nil {
				t.Errorf("mirror changed: %s", diff)
			}
		})
	}
	if _, err := f.Next(f.Epoch); !errors.Is(err, ErrIndex) {
		t.Errorf("the same epoch again: %v, want %v", err, ErrIndex)
	}
}

func TestWitnessAmnesia(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 20)
	head10 := a.sign(t, 10, m.root(t, 10))
	head20 := a.sign(t, 20, m.root(t, 20))
	head21 := func() AddCheckpoint {
		grown := m.clone(20)
		grown.append(t, encode(t, testLeaf(20)))
		return AddCheckpoint{20, grown.proof(t, 20, 21), a.sign(t, 21, grown.root(t, 21)).Note}
	}()
	older := AddCheckpoint{0, nil, head10.Note}
	lost := WitnessState{Restored: true}
	backup := WitnessState{Size: 10, Root: m.root(t, 10), Restored: true}

	// Without the mark of a lost memory, the witness would cosign an older head: the mark is what guards.
	judged(t, a, WitnessState{}, older, 0)

	for _, tc := range []struct {
		name  string
		state WitnessState
		req   AddCheckpoint
	}{
		{"all lost, older head", lost, older},
		{"all lost, newest head", lost, AddCheckpoint{0, nil, head20.Note}},
		{"backup, the head that it remembers", backup, AddCheckpoint{10, nil, head10.Note}},
		{"backup, grown", backup, AddCheckpoint{10, m.proof(t, 10, 20), head20.Note}},
	} {
		t.Run(tc.name, func(t *testing.T) { judged(t, a, tc.state, tc.req, Forgetful) })
	}

	recall := func(s WitnessState, note []byte) (WitnessState, error) {
		return s.Recall(note, a.origin(), a.log, WitnessName(k.id), k.witness)
	}
	cosigned10, cosigned20 := k.cosign(t, head10).Note, k.cosign(t, head20).Note
	fork := forkAt(t, m, 5, 10)
	for _, tc := range []struct {
		name  string
		state WitnessState
		note  []byte
		want  error
	}{
		{"never cosigned", lost, head20.Note, ErrCosignature},
		{"cosigned by the log's own party", lost, a.cosign(t, head20).Note, ErrCosignature},
		{"older than remembered", WitnessState{Size: 20, Root: m.root(t, 20), Restored: true}, cosigned10, ErrBehind},
		{"another root than remembered", backup, k.cosign(t, a.sign(t, 10, fork.root(t, 10))).Note, ErrRoot},
		{"another log", lost, k.cosign(t, k.sign(t, 10, m.root(t, 10))).Note, ErrOrigin},
	} {
		t.Run("recall/"+tc.name, func(t *testing.T) {
			after, err := recall(tc.state, tc.note)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if after != tc.state {
				t.Errorf("state changed to %+v", after)
			}
		})
	}

	// Shown what it cosigned itself, it goes on from there, and the older head stays refused.
	for _, s := range []WitnessState{lost, backup} {
		recalled, err := recall(s, cosigned20)
		if err != nil {
			t.Fatal(err)
		}
		if want := (WitnessState{Size: 20, Root: m.root(t, 20)}); recalled != want {
			t.Fatalf("recalled %+v, want %+v", recalled, want)
		}
		judged(t, a, recalled, older, Conflict)
		judged(t, a, recalled, AddCheckpoint{20, nil, head10.Note}, BadRequest)
		judged(t, a, recalled, head21, 0)
	}
}

func TestJudge(t *testing.T) {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 20)
	state := WitnessState{Size: 10, Root: m.root(t, 10)}
	head20 := a.sign(t, 20, m.root(t, 20))
	oneKey, err := SignCheckpoint(a.origin(), 20, m.root(t, 20), a.logSigners(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := LogSigners(a.origin(), seedOf(0x77), seedOf(0x78))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := SignCheckpoint(a.origin(), 20, m.root(t, 20), otherKey...)
	if err != nil {
		t.Fatal(err)
	}
	proof := m.proof(t, 10, 20)
	empty := a.sign(t, 0, emptyRoot()).Note
	for _, tc := range []struct {
		name  string
		state WitnessState
		req   AddCheckpoint
		want  Refusal
	}{
		{"grown", state, AddCheckpoint{10, proof, head20.Note}, 0},
		{"first", WitnessState{}, AddCheckpoint{0, nil, head20.Note}, 0},
		{"cosigned again", WitnessState{Size: 20, Root: m.root(t, 20)}, AddCheckpoint{20, nil, head20.Note}, 0},
		{"already cosigned", state, AddCheckpoint{10, proof, k.cosign(t, head20).Note}, 0},
		{"empty log", WitnessState{}, AddCheckpoint{0, nil, empty}, 0},
		{"empty log, other root", WitnessState{}, AddCheckpoint{0, nil, a.sign(t, 0, m.root(t, 1)).Note}, Inconsistent},
		{"empty proof", state, AddCheckpoint{10, nil, head20.Note}, Inconsistent},
		{"proof where none is needed", WitnessState{}, AddCheckpoint{0, proof, head20.Note}, Inconsistent},
		{"longer proof", state, AddCheckpoint{10, append(proof[:len(proof):len(proof)], proof[0]), head20.Note}, Inconsistent},
		{"wrong old size", state, AddCheckpoint{9, m.proof(t, 9, 20), head20.Note}, Conflict},
		{"old above new", state, AddCheckpoint{21, nil, head20.Note}, BadRequest},
		{"another log", state, AddCheckpoint{10, proof, k.sign(t, 20, m.root(t, 20)).Note}, UnknownOrigin},
		{"one signature of two", state, AddCheckpoint{10, proof, oneKey.Note}, BadSignature},
		{"another's keys", state, AddCheckpoint{10, proof, stranger.Note}, BadSignature},
		{"no note", state, AddCheckpoint{10, proof, []byte("x")}, BadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) { judged(t, a, tc.state, tc.req, tc.want) })
	}
}
