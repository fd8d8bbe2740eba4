package node

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
)

// founded makes a node in a directory whose path is short enough for a socket.
func founded(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "entente-node-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	_, err = Found(t.Context(), Founding{
		Data: data, Names: map[string]string{"en": "Arvenia"}, Authority: "Ministry", KeyFile: filepath.Join(dir, "key"),
		Recovery: filepath.Join(dir, "recovery"), Settings: map[string]string{}, Now: time.Now(), Validity: 365 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(data, nil, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func noPassphrase() (string, error) { return "", errors.New("nobody is there to be asked") }

func TestNodeOpensAndCloses(t *testing.T) {
	cfg := founded(t)
	n, err := Open(t.Context(), cfg, noPassphrase, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.checkReady(t.Context()); err == nil {
		t.Error("a node whose doors are closed says that it is ready")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	c := Dial(cfg.Data)
	for c.Ready(t.Context()) != nil {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		default:
		}
	}
	self, err := c.Self(t.Context())
	if err != nil || self.Names["en"] != "Arvenia" || self.Party != n.house.Self().ID {
		t.Errorf("self %+v, %v", self, err)
	}
	if _, err := c.Link(t.Context(), "nobody"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a link that is none: %v", err)
	}
	info, err := os.Stat(cfg.Socket())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v", info, err)
	}
	for path, want := range map[string]string{"/healthz": "alive", "/readyz": "ready", "/metrics": "entente_build_info"} {
		resp, err := c.do(t.Context(), http.MethodGet, "http://node"+path, "", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.200s", path, resp.StatusCode, body)
		}
	}
	c.Close()
	if _, err := Open(t.Context(), cfg, noPassphrase, time.Now); fault.CodeOf(err) != "locked" {
		t.Errorf("a second process opens the directory: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serving ended with %v", err)
	}
	if n.loops.Load() != 0 {
		t.Error("loops run on")
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Self(t.Context()); fault.CodeOf(err) != "node_away" || !strings.Contains(fault.Public(err), "entente serve --data "+cfg.Data) {
		t.Errorf("after the end: %v", err)
	}
}

// TestNothingIsTakenWhenAnAddressIsNot shows that a node which cannot listen everywhere opens no door at all.
func TestNothingIsTakenWhenAnAddressIsNot(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := founded(t)
	cfg.Listen = taken.Addr().String()
	n, err := Open(t.Context(), cfg, noPassphrase, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Serve(t.Context()); fault.CodeOf(err) != "listen" {
		t.Errorf("serving: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Dial(cfg.Data).Self(t.Context()); fault.CodeOf(err) != "node_away" {
		t.Errorf("the socket answers: %v", err)
	}
}

func TestOpenRefusesWhatDoesNotBelongTogether(t *testing.T) {
	a, b := founded(t), founded(t)
	data, err := os.ReadFile(filepath.Join(b.Data, keyringFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.Data, keyringFile), data, 0o600); err != nil {
		t.Fatal(err)
	}
	a.KeyFile = b.KeyFile
	if _, err := Open(t.Context(), a, noPassphrase, time.Now); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a keyring of another node: %v", err)
	}
	if _, err := Open(t.Context(), Config{Data: t.TempDir()}, noPassphrase, time.Now); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestFoundTakesBackWhatItMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Found(t.Context(), Founding{
		Data: dir, Names: map[string]string{"zh": "阿文尼亚"}, Authority: "Ministry", KeyFile: dir + ".key",
		Settings: map[string]string{}, Now: time.Now(), Validity: time.Hour,
	})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a party without an English name: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
