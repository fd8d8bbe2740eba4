package ledger

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"entente/envelope"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// vector is a log that another implementation can run: testdata/vectors/README.md explains the members.
type vector struct {
	Link    envelope.Hash    `json:"link"`
	Log     vectorKeys       `json:"log"`
	Witness vectorKeys       `json:"witness"`
	Leaves  []string         `json:"leaves"`
	Roots   []envelope.Hash  `json:"roots"`
	Heads   []vectorHead     `json:"heads"`
	Proofs  []vectorProof    `json:"proofs"`
	Refused []vectorBadLeaf  `json:"refused_leaves"`
	Bad     []vectorBadPoint `json:"refused_checkpoints"`
}

type vectorKeys struct {
	Party       party.ID       `json:"party"`
	Ed25519Seed string         `json:"ed25519_seed"`
	MLDSA44Seed string         `json:"mldsa44_seed"`
	Public      party.NoteKeys `json:"public"`
}

type vectorHead struct {
	Size          int64  `json:"size"`
	Time          int64  `json:"time"`
	Note          string `json:"note"`
	AddCheckpoint string `json:"add_checkpoint"`
}

type vectorProof struct {
	Size  int64           `json:"size"`
	Index int64           `json:"index"`
	Path  []envelope.Hash `json:"path"`
}

type vectorBadLeaf struct {
	Why  string `json:"why"`
	Leaf string `json:"leaf"`
}

type vectorBadPoint struct {
	Why  string `json:"why"`
	Note string `json:"note"`
}

func makeVector(t *testing.T) vector {
	a, k := arvenia(t), kestria(t)
	m := testLog(t, 8)
	v := vector{
		Link:    testLink(),
		Log:     vectorKeys{a.id, hex.EncodeToString(seedOf(a.seed)), hex.EncodeToString(seedOf(a.seed + 1)), a.log},
		Witness: vectorKeys{k.id, hex.EncodeToString(seedOf(k.seed + 2)), hex.EncodeToString(seedOf(k.seed + 3)), k.witness},
	}
	for i, leaf := range m.leaves {
		v.Leaves = append(v.Leaves, string(leaf))
		v.Roots = append(v.Roots, m.root(t, int64(i)))
	}
	v.Roots = append(v.Roots, m.root(t, 8))
	old := int64(0)
	for _, size := range []int64{3, 8} {
		signed := a.sign(t, size, m.root(t, size))
		v.Heads = append(v.Heads, vectorHead{size, testSecond, string(k.cosign(t, signed).Note),
			string(AddCheckpoint{old, m.proof(t, old, size), signed.Note}.Encode())})
		for index := range size {
			path, err := ProveInclusion(size, index, m)
			if err != nil {
				t.Fatal(err)
			}
			p := vectorProof{Size: size, Index: index}
			for _, h := range path {
				p.Path = append(p.Path, envelope.Hash(h))
			}
			v.Proofs = append(v.Proofs, p)
		}
		old = size
	}
	leaf := m.leaves[1]
	for _, r := range []struct{ why, from, to string }{
		{"unknown member", `"v":1`, `"v":1,"w":1`},
		{"duplicate member", `"v":1`, `"v":1,"v":1`},
		{"white space", `"v":1`, `"v": 1`},
		{"version", `"v":1`, `"v":2`},
		{"epoch 0", `"epoch":1`, `"epoch":0`},
		{"unknown kind", `"sent"`, `"said"`},
		{"leaf 0 that is no epoch leaf", `"index":1`, `"index":0`},
		{"index beyond 2^53-1", `"index":1`, `"index":9007199254740992`},
		{"no lane", `"lane":"hotline",`, ``},
	} {
		v.Refused = append(v.Refused, vectorBadLeaf{r.why, string(bytes.Replace(leaf, []byte(r.from), []byte(r.to), 1))})
	}
	note := []byte(v.Heads[1].Note)
	lines := bytes.SplitAfter(note, []byte("\n"))
	v.Bad = []vectorBadPoint{
		{"another size", string(bytes.Replace(note, []byte("\n8\n"), []byte("\n7\n"), 1))},
		{"leading zero in size", string(bytes.Replace(note, []byte("\n8\n"), []byte("\n08\n"), 1))},
		{"no Ed25519 signature of the log", string(bytes.Join(append(lines[:4:4], lines[5:]...), nil))},
		{"no ML-DSA-44 signature of the log", string(bytes.Join(append(lines[:5:5], lines[6:]...), nil))},
		{"no Ed25519 cosignature", string(bytes.Join(append(lines[:6:6], lines[7:]...), nil))},
		{"no ML-DSA-44 cosignature", string(bytes.Join(lines[:7], nil))},
	}
	return v
}

func TestVectors(t *testing.T) {
	file := filepath.Join("testdata", "vectors", "log.json")
	if *update {
		data, err := envelope.Marshal(makeVector(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := envelope.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range []vectorKeys{v.Log, v.Witness} {
		ed, err1 := hex.DecodeString(k.Ed25519Seed)
		ml, err2 := hex.DecodeString(k.MLDSA44Seed)
		keys, err := NoteKeysFromSeeds(ed, ml)
		if err1 != nil || err2 != nil || err != nil {
			t.Fatal(err1, err2, err)
		}
		if !bytes.Equal(keys.Ed25519, k.Public.Ed25519) || !bytes.Equal(keys.MLDSA44, k.Public.MLDSA44) {
			t.Errorf("keys of %v differ", k.Party)
		}
	}
	origin := Origin(v.Link, v.Log.Party, FirstEpoch)
	m, f := &rows{}, NewFollower(FirstEpoch)
	for i, leaf := range v.Leaves {
		m.append(t, []byte(leaf))
		if f, _, err = f.CheckRun([][]byte{[]byte(leaf)}); err != nil {
			t.Fatal(err)
		}
		if got := m.root(t, int64(i+1)); got != v.Roots[i+1] || f.Head().Root != got {
			t.Errorf("root of %d leaves: %v, want %v", i+1, got, v.Roots[i+1])
		}
	}
	if got := m.root(t, 0); got != v.Roots[0] {
		t.Errorf("root of no leaves: %v, want %v", got, v.Roots[0])
	}
	checkHeads(t, v, origin)
	for _, p := range v.Proofs {
		var path []tlog.Hash
		for _, h := range p.Path {
			path = append(path, tlog.Hash(h))
		}
		if err := CheckInclusion(path, p.Size, v.Roots[p.Size], p.Index, []byte(v.Leaves[p.Index])); err != nil {
			t.Error(err)
		}
	}
	for _, b := range v.Refused {
		if _, err := DecodeLeaf([]byte(b.Leaf)); !isFormat(err) {
			t.Errorf("leaf with %s: %v", b.Why, err)
		}
	}
	for _, b := range v.Bad {
		c, err := OpenCheckpoint([]byte(b.Note), origin, v.Log.Public)
		if err == nil {
			_, err = c.Cosigned(WitnessName(v.Witness.Party), v.Witness.Public)
		}
		if err == nil {
			t.Errorf("checkpoint with %s passes", b.Why)
		}
	}
}

// checkHeads plays the witness through the vector's checkpoints.
func checkHeads(t *testing.T, v vector, origin string) {
	var state WitnessState
	for _, h := range v.Heads {
		req, err := DecodeAddCheckpoint([]byte(h.AddCheckpoint))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Judge(state, *req, origin, v.Log.Public)
		if err != nil {
			t.Fatal(err)
		}
		state = state.After(c)
		cosigned, err := OpenCheckpoint([]byte(h.Note), origin, v.Log.Public)
		if err != nil {
			t.Fatal(err)
		}
		at, err := cosigned.Cosigned(WitnessName(v.Witness.Party), v.Witness.Public)
		if err != nil || at != h.Time || cosigned.Size != h.Size || cosigned.Root != v.Roots[h.Size] || c.Root != cosigned.Root {
			t.Errorf("head of size %d: %+v at %d, %v", h.Size, cosigned, at, err)
		}
	}
}
