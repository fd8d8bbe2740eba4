package housetest

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"entente/envelope"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/store/sqlstore"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/note"
)

// Cast is what runs share: parties with their keys, paired, and the databases that they have at that time. It is the same in
// every process, so that a seed is the same run whatever was played before it.
type Cast struct {
	mu     sync.Mutex
	scenes map[scene]*opening
}

// NewCast makes an empty cast; what a run needs is made when it needs it.
func NewCast() *Cast { return &Cast{scenes: map[scene]*opening{}} }

// scene tells openings apart.
type scene struct {
	nodes     int
	confirmed bool // all links, in fair weather; else none
	real      bool // signatures of the suite INT-1, not the quick ones of tests
}

// opening is where a run begins.
type opening struct {
	parties  []castParty
	links    []castLink
	now      time.Time // when all are paired
	registry envelope.Registry
}

type castParty struct {
	keys  *keys
	chain *party.Chain
	db    map[string][]byte // its files, by what follows their common name
}

type castLink struct {
	id   statement.LinkID
	a, b int
}

// open gives the beginning of a scene. It uses the global source of randomness, and leaves it as it was told to be for a run.
func (c *Cast) open(t testing.TB, s scene, seed uint64) *opening {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scenes[s] == nil {
		reseed(t, 0)
		c.scenes[s] = newOpening(t, s)
	}
	reseed(t, seed)
	return c.scenes[s]
}

func reseed(t testing.TB, seed uint64) {
	if tt, ok := t.(*testing.T); ok {
		cryptotest.SetGlobalRandom(tt, seed)
	}
}

// newOpening plays the pairing of all with all in fair weather, and what belongs to it, and keeps the databases.
func newOpening(t testing.TB, s scene) *opening {
	t.Helper()
	w := &world{t: t, calm: true, r: rand.New(rand.NewPCG(0, 0)), now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), registry: envelope.Default()}
	if !s.real {
		w.registry = envelope.NewRegistry(quick(), envelope.INT1()) // recovery keys are real ones
	}
	o := &opening{registry: w.registry}
	var paths []string
	for i := range s.nodes {
		n := &node{w: w, name: names()[i]}
		w.nodes = append(w.nodes, n)
		dir := w.dir()
		n.keys, n.chain = w.newParty(n.name, dir, s.real)
		path := filepath.Join(dir, "entente.db")
		paths = append(paths, path)
		n.open(path)
		n.build()
	}
	w.pairAll(s.confirmed)
	for _, l := range w.links {
		o.links = append(o.links, castLink{l.id, slices.Index(w.nodes, l.a), slices.Index(w.nodes, l.b)})
	}
	for i, n := range w.nodes {
		w.must(n.sql.Close())
		db := map[string][]byte{}
		for _, end := range []string{"", "-wal"} {
			data, err := os.ReadFile(paths[i] + end)
			if !errors.Is(err, fs.ErrNotExist) {
				w.must(err)
				db[end] = data
			}
		}
		o.parties = append(o.parties, castParty{n.keys, n.chain, db})
	}
	o.now = w.now
	return o
}

// pairAll pairs all with all in fair weather.
func (w *world) pairAll(confirmed bool) {
	defer func(calm bool) { w.calm = calm }(w.calm)
	w.calm = true
	for i, a := range w.nodes {
		for _, b := range w.nodes[i+1:] {
			l := w.pair(a, b)
			w.links = append(w.links, l)
			if confirmed {
				w.confirm(a, l)
				w.confirm(b, l)
			}
		}
	}
	for moved := confirmed; moved; {
		moved = false
		for _, n := range w.nodes {
			for _, l := range n.links {
				w.exhaust(n, l, &moved)
			}
		}
	}
}

// newParty makes a party's keys and its identity.
func (w *world) newParty(name, dir string, real bool) (*keys, *party.Chain) {
	lock := filepath.Join(dir, "key")
	w.must(keyring.WriteKeyFile(lock, cryptorand.Reader))
	ring, shares, err := keyring.Create(filepath.Join(dir, "keyring.json"), keyring.KeyFile(lock), cryptorand.Reader)
	w.must(err)
	k := &keys{Keyring: ring, name: name, registry: w.registry, quick: !real, shares: shares, logs: map[string][]note.Signer{}}
	for i, file := range ringFiles() {
		k.files[i], err = os.ReadFile(filepath.Join(dir, file))
		w.must(err)
	}
	identity := ring.Identity(map[string]string{"en": name}, name+" Cyber Authority", w.now.Add(-72*time.Hour), 10*365*24*time.Hour)
	env, err := party.Create(identity, ring.Signers()...)
	w.must(err)
	k.first, err = env.Encode()
	w.must(err)
	if !real {
		identity.Version = 1
		quick, signers, err := hasten(name, identity)
		w.must(err)
		env, err = party.Create(quick, signers...)
		w.must(err)
	}
	encoded, err := env.Encode()
	w.must(err)
	chain, err := party.Verify(w.registry, [][]byte{encoded})
	w.must(err)
	return k, chain
}

// open opens the node's database.
func (n *node) open(path string) {
	s, err := sqlstore.OpenSQLite(context.Background(), path, 1)
	n.w.must(err)
	n.opened(s)
}

// opened gives the node its store.
func (n *node) opened(s *sqlstore.Store) {
	n.sql = s
	n.w.t.Cleanup(func() { s.Close() })
	n.store = &store{Store: n.sql, n: n}
	n.w.must(s.Update(context.Background(), flow.Normal, func(tx flow.Tx) error {
		return tx.PutIdentity(context.Background(), n.chain.ID, 1, n.chain.Envelopes[0])
	}))
	n.blobs = newBlobs(n)
}

// keys are a party's, with quick signers in place of the keyring's unless signatures are real, and the keys of its logs made once.
type keys struct {
	*keyring.Keyring
	name     string
	registry envelope.Registry
	quick    bool
	files    [2][]byte
	first    []byte // the first version of the identity as the keyring signs it
	shares   []keyring.Share

	truth    *party.Chain   // the identity as the keyring knows it; nil where keys do not turn
	decided  map[int][]byte // with quick signatures, by version
	prepared []byte         // likewise, for the recovery quorum

	mu   sync.Mutex
	logs map[string][]note.Signer // by version and origin; guarded by mu
}

// LogSigners implements flow.Keys.
func (k *keys) LogSigners(version int, origin string) (made []note.Signer, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := fmt.Sprint(version, " ", origin)
	if made = k.logs[name]; made == nil {
		made, err = k.Keyring.LogSigners(version, origin)
		k.logs[name] = made
	}
	return made, err
}

// quick is INT-1 with signatures that cost a hash: anybody could forge them, and the liars of these runs have the real keys anyway.
// What is damaged or signed by another is told as with the real ones.
func quick() envelope.Suite {
	s := envelope.INT1()
	for i := range s.Schemes {
		s.Schemes[i] = quickScheme("quick-" + s.Schemes[i].Alg)
	}
	return s
}

func quickScheme(alg string) envelope.Scheme {
	sign := func(public, message []byte) [sha256.Size]byte {
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint32([]byte(alg), uint32(len(public))))
		h.Write(public)
		h.Write(message)
		return [sha256.Size]byte(h.Sum(nil))
	}
	return envelope.Scheme{
		Alg: alg, PublicKeySize: sha256.Size, SignatureSize: sha256.Size,
		Verifier: func(public []byte) func(message, sig []byte) bool {
			return func(message, sig []byte) bool { return [sha256.Size]byte(sig) == sign(public, message) }
		},
		FromSeed: func(seed []byte) (envelope.Signer, error) {
			public := sha256.Sum256(seed)
			return envelope.NewSigner(envelope.PublicKey{Alg: alg, Key: public[:]}, func(message []byte) ([]byte, error) {
				sig := sign(public[:], message)
				return sig[:], nil
			}), nil
		},
	}
}
