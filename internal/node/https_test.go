package node

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"entente/internal/fault"
)

func TestGuard(t *testing.T) {
	now := time.Unix(1000, 0)
	g := &guard{now: func() time.Time { return now }}
	wait := func(what, address string, want bool) {
		t.Helper()
		if err := g.check(address); (fault.KindOf(err) == fault.Exhausted) != want || err == nil == want {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range maxFailures {
		wait("before the last", "192.0.2.7:1", false)
		g.failed("192.0.2.7:1")
	}
	wait("after the last", "192.0.2.7:2", true)
	wait("another", "192.0.2.8:1", false)
	for i := range maxFailures {
		g.failed(fmt.Sprintf("[2001:db8::%d]:1", i+1))
	}
	wait("another address of the same network", "[2001:db8::ff]:1", true)
	wait("another network", "[2001:db8:0:1::1]:1", false)
	now = now.Add(failureWindow)
	wait("after a minute", "192.0.2.7:3", false)
	for i := range maxAddresses + 100 {
		g.failed(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
	}
	if len(g.tries) > maxAddresses+1 {
		t.Errorf("%d addresses are remembered", len(g.tries))
	}
	wait("one of those beyond the count, which share one", "172.16.0.1:1", true)
	now = now.Add(failureWindow)
	g.failed("172.16.0.1:1")
	if len(g.tries) > 2 {
		t.Errorf("%d addresses are remembered after their time", len(g.tries))
	}
}

func TestCertificate(t *testing.T) {
	c := Config{Data: t.TempDir(), API: "127.0.0.1:8443"}
	first, err := c.certificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.certificate(time.Now())
	if err != nil || fingerprintOf(first.Certificate[0]) != fingerprintOf(again.Certificate[0]) {
		t.Errorf("made anew: %v", err)
	}
	path := filepath.Join(c.Data, madeCertificate)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
	given := Config{APICertificate: path, APIKey: path}
	if cert, err := given.certificate(time.Now()); err != nil || fingerprintOf(cert.Certificate[0]) != fingerprintOf(first.Certificate[0]) {
		t.Errorf("given: %v", err)
	}
	given.APIKey = filepath.Join(c.Data, "none")
	if _, err := given.certificate(time.Now()); fault.CodeOf(err) != "certificate" {
		t.Errorf("a key that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.certificate(time.Now()); fault.CodeOf(err) != "certificate" {
		t.Errorf("a damaged one: %v", err)
	}
}

// TestLimited: a connection beyond the places waits until another ends, and TLS 1.2 is refused.
func TestLimited(t *testing.T) {
	c := Config{Data: t.TempDir(), API: "127.0.0.1:8443"}
	cert, err := c.certificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	defer served.Close()
	go served.Serve(tls.NewListener(&limited{Listener: l, places: make(chan struct{}, 1)}, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}}))
	for range 3 { // each takes the only place, and gives it back
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if _, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was taken")
	}
}
