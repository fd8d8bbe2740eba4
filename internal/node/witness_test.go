package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"entente/statement"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/internal/testenv"
	"entente/internal/witness"
	"entente/ledger"
	"entente/proof"
)

// thirdParty is a witness that runs beside the nodes.
type thirdParty struct {
	vkey, url string
	know      func(origin, vkey string) // it is told of a log
}

// plainWitness is a witness written from the specifications alone: tlog-witness, add-checkpoint, and tlog-cosignature, Ed25519.
type plainWitness struct {
	name string
	key  ed25519.PrivateKey

	mu   sync.Mutex
	logs map[string]note.Verifier // by origin
	seen map[string]tlog.Tree
}

func (p *plainWitness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<10))
	head, signed, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	old, bad := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if r.Method != http.MethodPost || r.URL.Path != "/w/add-checkpoint" || err != nil || !found || bad != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	origin, _, _ := strings.Cut(signed, "\n")
	key := p.logs[origin]
	if key == nil {
		http.Error(w, "", http.StatusNotFound)
		return
	}
	n, err := note.Open([]byte(signed), note.VerifierList(key))
	if err != nil {
		http.Error(w, "", http.StatusForbidden)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	parts := strings.Split(n.Text, "\n")
	size, err1 := strconv.ParseInt(parts[1], 10, 64)
	root, err2 := tlog.ParseHash(parts[2])
	seen := p.seen[origin]
	switch {
	case err1 != nil || err2 != nil || len(parts) != 4 || old > size:
		http.Error(w, "", http.StatusBadRequest)
	case old != seen.N:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", seen.N)
	case old == size && root != seen.Hash:
		http.Error(w, "", http.StatusConflict)
	case old > 0 && old < size && tlog.CheckTree(proof, size, root, old, seen.Hash) != nil, (old == 0 || old == size) && len(proof) > 0:
		http.Error(w, "", http.StatusUnprocessableEntity)
	default:
		p.seen[origin] = tlog.Tree{N: size, Hash: root}
		at := uint64(time.Now().Unix())
		sig := binary.BigEndian.AppendUint32(nil, keyID(p.name, p.public()))
		sig = binary.BigEndian.AppendUint64(sig, at)
		sig = append(sig, ed25519.Sign(p.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, n.Text))...)
		fmt.Fprintf(w, "— %s %s\n", p.name, base64.StdEncoding.EncodeToString(sig))
	}
}

func (p *plainWitness) public() []byte {
	return append([]byte{4}, p.key.Public().(ed25519.PublicKey)...)
}

func keyID(name string, key []byte) uint32 {
	h := envelope.Sum(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(h[:])
}

func vkeyOf(name string, key []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, key), base64.StdEncoding.EncodeToString(key))
}

func newPlainWitness(t *testing.T) thirdParty {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &plainWitness{name: "witness.example/plain", key: key, logs: map[string]note.Verifier{}, seen: map[string]tlog.Tree{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return thirdParty{vkeyOf(p.name, p.public()), server.URL + "/w", func(origin, vkey string) {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.logs[origin] = v
	}}
}

// newLitewitness runs a witness that others wrote. It signs with a key that an SSH agent holds, which is here.
func newLitewitness(t *testing.T) thirdParty {
	program := testenv.Litewitness(t)
	dir, err := os.MkdirTemp("", "entente-lw-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: &key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	const name = "witness.example/lite"
	db := filepath.Join(dir, "db")
	var said bytes.Buffer
	cmd := exec.Command(program, "-name", name, "-db", db, "-ssh-agent", socket,
		"-listen", address, "-key", ssh.FingerprintSHA256(sshKey))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("litewitness said:\n%s", said.String())
		}
	})
	return thirdParty{vkeyOf(name, append([]byte{4}, public...)), "http://" + address, func(origin, vkey string) {
		logs, err := sql.Open("sqlite", db)
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		_, err1 := logs.Exec(`INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)`, origin, tlog.Hash(envelope.Sum(nil)).String())
		_, err2 := logs.Exec(`INSERT INTO key (origin, key) VALUES (?, ?)`, origin, vkey)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}}
}

// TestThirdParty: a node asks a witness, which learns of the log from what the node shows its operator, cosigns, cosigns
// what came since, and is found in a proof; and a node that has forgotten where the witness stands goes on from there.
func TestThirdParty(t *testing.T) {
	for name, start := range map[string]func(*testing.T) thirdParty{"FromTheSpecification": newPlainWitness, "Litewitness": newLitewitness} {
		t.Run(name, func(t *testing.T) { checkThirdParty(t, start(t)) })
	}
}

func checkThirdParty(t *testing.T, third thirdParty) {
	ctx := t.Context()
	list, err := witness.Parse(third.vkey + " " + third.url)
	if err != nil {
		t.Fatal(err)
	}
	a, b := newRunning(t, "kestria", freeAddress(t)), newRunning(t, "arvenia", freeAddress(t))
	a.stop()
	a.cfg.Witnesses, a.cfg.WitnessEvery = list, time.Second
	a.start()
	inv, err := a.client.Invite(ctx, a.peer, 3600, statement.DefaultAgreement())
	a.must(err)
	encoded, err := inv.Encode()
	a.must(err)
	_, err = b.client.Accept(ctx, b.peer, encoded)
	b.must(err)
	for _, r := range []*running{a, b} {
		_, err := r.client.Confirm(ctx, r.peer, Confirmation{Method: "telephone", Person: "A. Example", Function: "contact point"})
		r.must(err)
	}
	a.settled()
	shown := func() Witnessing {
		v, err := a.client.Witnesses(ctx, a.peer)
		a.must(err)
		return v
	}
	a.until("the witness knows nothing of the log", func() bool {
		code := shown().Witnesses[0].Code
		return code == "witness_unknown" || code == "witness_keys"
	})
	third.know(shown().Origin, shown().Keys[0])
	all := func() bool { v := shown(); return v.Witnesses[0].Cosigned == v.Size }
	a.until("the witness has cosigned all", all)

	said := a.say("witnessed", nil)
	b.read(said, nil)
	a.settled()
	a.until("the witness has cosigned what came since", all)
	if v := shown(); v.Witnesses[0].Code != "" || v.Witnesses[0].CosignedAt == nil {
		t.Errorf("it stands: %+v", v.Witnesses[0])
	}
	var data bytes.Buffer
	a.must(a.client.Proof(ctx, said.String(), true, &data))
	f, err := proof.Decode(data.Bytes())
	a.must(err)
	r, err := proof.VerifyWitnessed(envelope.Default(), f, []ledger.Witness{list[0].Key})
	a.must(err)
	if !r.Has(proof.Witnessed) {
		t.Error("the proof does not show the witness")
	}

	a.stop()
	n, err := Open(ctx, a.cfg, noPassphrase, time.Now)
	a.must(err)
	link, err := n.house.LinkID(ctx, actor.System(), a.peer)
	a.must(err)
	a.must(n.store.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		return tx.PutWitnessed(ctx, exchange.Witnessed{Link: link, Epoch: 1, Witness: list[0].Key.ID(), Size: 1, Note: []byte("forgotten")})
	}))
	a.must(n.Close())
	a.start()
	a.until("the witness has cosigned again", all)
}

// freeAddress is an address of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
