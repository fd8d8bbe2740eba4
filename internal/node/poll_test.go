package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/statement"
)

// running is a node that serves in this process.
type running struct {
	*testing.T
	cfg    Config
	client *Client
	peer   string // our name for the link
	stop   func()
}

// newRunning makes a node and starts it; without an address nobody can reach it.
func newRunning(t *testing.T, peer, address string) *running {
	t.Helper()
	r := &running{T: t, cfg: founded(t), peer: peer}
	r.cfg.Checkpoint, r.cfg.LogLevel = time.Second, slog.LevelError
	if address != "" {
		r.cfg.Listen, r.cfg.Endpoint = address, "https://"+address
	}
	r.client = Dial(r.cfg.Data)
	t.Cleanup(r.client.Close)
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *running) start() {
	r.Helper()
	n, err := Open(r.Context(), r.cfg, noPassphrase, time.Now)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.Errorf("serving ended with %v", err)
		}
		if err := n.Close(); err != nil {
			r.Error(err)
		}
		r.stop = func() {}
	}
	r.until("the node is ready", func() bool { return r.client.Ready(r.Context()) == nil })
}

func (r *running) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%v (code %s)", err, fault.CodeOf(err))
	}
}

// until looks until what it waits for holds.
func (r *running) until(what string, holds func() bool) {
	r.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-end:
			r.Fatalf("it does not come to pass that %s", what)
		case <-tick.C:
		}
	}
}

// say sends a message, with a file if there is one.
func (r *running) say(subject string, file []byte) statement.Commitment {
	r.Helper()
	body, err := envelope.Marshal(statement.MessageBody{Subject: subject, Language: "en", Text: "As agreed."})
	r.must(err)
	var files []Upload
	if file != nil {
		files = []Upload{{Name: "file.bin", Media: "application/octet-stream", Size: int64(len(file)), Content: bytes.NewReader(file)}}
	}
	c, err := r.client.Send(r.Context(), Draft{Link: r.peer, Lane: statement.Network, Kind: "message", Zone: "UTC",
		Marking: handling.Marking{TLP: "GREEN"}, Face: []byte("{}"), Body: body}, files, nil)
	r.must(err)
	return c
}

// read waits until a statement is here, opened, and its file is as it was sent.
func (r *running) read(c statement.Commitment, file []byte) {
	r.Helper()
	r.until("a statement is opened", func() bool {
		s, err := r.client.Statement(r.Context(), c.String())
		return err == nil && s.State == "opened" && (file == nil || len(s.Files) == 1 && s.Files[0].State == "stored")
	})
	if file == nil {
		return
	}
	var got bytes.Buffer
	r.must(r.client.File(r.Context(), c.String(), 0, &got))
	if !bytes.Equal(got.Bytes(), file) {
		r.Errorf("a file of %d bytes came as %d others", len(file), got.Len())
	}
}

// settled waits until nothing is under way, and both ledgers hold and are cosigned to their ends.
func (r *running) settled() {
	r.Helper()
	r.until("all is receipted and cosigned", func() bool {
		l, err := r.client.Link(r.Context(), r.peer)
		r.must(err)
		v, err := r.client.Verify(r.Context(), r.peer, nil)
		r.must(err)
		f := l.Figures
		return v.OK && len(v.Logs) == 2 && len(v.Differences) == 0 &&
			f.Sending+f.Unsaid+f.Arriving+f.Unsettled+f.UncosignedOwn+f.UncosignedPeer+f.Gaps == 0
	})
}

// TestOneOpenPort: two nodes of which only one can be reached do everything that two reachable ones do.
func TestOneOpenPort(t *testing.T) {
	ctx := t.Context()
	a, b := newRunning(t, "kestria", freeAddress(t)), newRunning(t, "arvenia", "")

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
	for r, reach := range map[*running]string{a: "polled", b: "polling"} {
		r.until("the link is active", func() bool {
			l, err := r.client.Link(ctx, r.peer)
			return err == nil && l.State == "active"
		})
		if l, err := r.client.Link(ctx, r.peer); err != nil || l.Reach != reach {
			t.Errorf("reach %q, want %q, %v", l.Reach, reach, err)
		}
	}

	desk, err := a.client.ProposeDesk(ctx, NewDesk{Link: a.peer, Proposal: DeskProposal{Role: "hotline", Standing: "permanent",
		Body: statement.DeskBody{Names: map[string]string{"en": "Hotline"}, Always: true, Zone: "UTC", Languages: []string{"en"}}}})
	a.must(err)
	b.until("the desk is countersigned", func() bool {
		_, err := b.client.CountersignDesk(ctx, desk.String())
		return err == nil
	})
	a.until("the desk is active", func() bool {
		desks, err := a.client.Desks(ctx, a.peer)
		return err == nil && len(desks) == 1 && desks[0].State == "active"
	})

	file := make([]byte, 5<<20)
	rand.Read(file)
	ours, theirs := a.say("to the hidden one", file), b.say("from the hidden one", file)
	b.read(ours, file)
	a.read(theirs, file)
	a.settled()
	b.settled()

	a.stop() // the one that is polled goes away and comes back
	meanwhile := b.say("while you were away", nil)
	a.start()
	a.read(meanwhile, nil)
	b.read(a.say("back again", nil), nil)

	b.stop() // the one that polls goes away and comes back
	var waiting []statement.Commitment
	for i := range 3 {
		waiting = append(waiting, a.say(fmt.Sprint("while you were away ", i), nil))
	}
	b.start()
	for _, c := range waiting {
		b.read(c, nil)
	}
	a.settled()
	b.settled()
}
