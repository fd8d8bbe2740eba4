package ledger_test

import (
	"bytes"
	"fmt"

	"entente/envelope"
	"entente/ledger"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

// table keeps the hashes of each leaf in a row, as a node's database does.
type table [][]tlog.Hash

func (t table) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		row, offset := ledger.HashPlace(i)
		out = append(out, t[row][offset])
	}
	return out, nil
}

// Arvenia records that it sent a parcel; Kestria follows the log and cosigns it; anyone can then check that the entry
// stands there.
func Example() {
	var (
		link    = envelope.Sum([]byte("pairing transcript"))
		arvenia = party.ID(envelope.Sum([]byte("Arvenia's first identity")))
		kestria = party.ID(envelope.Sum([]byte("Kestria's first identity")))
		origin  = ledger.Origin(link, arvenia, ledger.FirstEpoch)
		seed    = func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
		at      = int64(1_793_534_400) // UTC seconds
	)
	logKeys, _ := ledger.NoteKeysFromSeeds(seed(1), seed(2))
	witnessKeys, _ := ledger.NoteKeysFromSeeds(seed(3), seed(4))

	// Arvenia appends two leaves and signs the head.
	entries := []ledger.Leaf{
		{V: 1, Epoch: 1, Index: 0, Time: at * 1e6, Kind: ledger.EpochLeaf},
		{V: 1, Epoch: 1, Index: 1, Time: at * 1e6, Kind: ledger.Sent, Lane: "hotline", Seq: 1,
			Doc: envelope.Sum([]byte("header payload"))},
	}
	var hashes table
	var leaves [][]byte
	for i, l := range entries {
		data, err := l.Encode()
		if err != nil {
			fmt.Println(err)
			return
		}
		added, _ := ledger.AppendHashes(int64(i), data, hashes)
		hashes, leaves = append(hashes, added), append(leaves, data)
	}
	root, _ := ledger.TreeRoot(2, hashes)
	logSigners, _ := ledger.LogSigners(origin, seed(1), seed(2))
	signed, _ := ledger.SignCheckpoint(origin, 2, root, logSigners...)

	// Kestria recomputes every leaf, judges the checkpoint and cosigns it.
	follower, _, err := ledger.NewFollower(ledger.FirstEpoch).CheckRun(leaves)
	if err != nil {
		fmt.Println(err)
		return
	}
	judged, err := ledger.Judge(ledger.WitnessState{}, ledger.AddCheckpoint{Note: signed.Note}, origin, logKeys)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := follower.CheckHead(judged); err != nil {
		fmt.Println(err)
		return
	}
	name := ledger.WitnessName(kestria)
	witnessSigners, _ := ledger.WitnessSigners(name, seed(3), seed(4), func() int64 { return at + 5 })
	lines, _ := ledger.Cosign(judged, witnessSigners...)
	cosigned, seen, err := ledger.AddCosignatures(signed, lines, name, witnessKeys)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("size %d, cosigned %d seconds later\n", cosigned.Size, seen-at)

	// Anyone who has the keys can check that the entry stands in the log.
	proof, _ := ledger.ProveInclusion(2, 1, hashes)
	fmt.Println("entry:", ledger.CheckInclusion(proof, cosigned.Size, cosigned.Root, 1, leaves[1]))
	changed := bytes.Replace(leaves[1], []byte("hotline"), []byte("control"), 1)
	fmt.Println("changed entry:", ledger.CheckInclusion(proof, cosigned.Size, cosigned.Root, 1, changed))
	// Output:
	// size 2, cosigned 5 seconds later
	// entry: <nil>
	// changed entry: leaf 1 in a tree of size 2: proof does not hold
}
