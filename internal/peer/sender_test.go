package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/peer"
	"entente/parcel"
)

// sending runs a sender of a to b over a network in memory, within a bubble; stop ends it and returns how long that took.
func sending(t *testing.T, a, b *node, network *pipes) (s *peer.Sender, stop func() time.Duration) {
	t.Helper()
	b.house.join(theLink, a, "")
	a.house.join(theLink, b, "https://kestria")
	b.serve(t, network, peer.DefaultLimits())
	client := a.client(network.Dial)
	s = peer.NewSender(a.house, client, time.Now, slog.New(slog.NewTextHandler(a.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		client.Close()
		return time.Since(start)
	}
}

func numbered(from, to int) (frames []parcel.Frame) {
	for i := from; i < to; i++ {
		frames = append(frames, frame(fmt.Sprint("frame ", i)))
	}
	return frames
}

// firsts leaves out what came again.
func firsts(all []string) []string {
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// TestSenderOverFaultyNetwork: connections fail, break and answer nothing; all arrives, in order, and is told once.
func TestSenderOverFaultyNetwork(t *testing.T) {
	for name, spoil := range map[string]func(int, net.Conn) (net.Conn, error){
		"sound":           nil,
		"refused 7 times": func(n int, c net.Conn) (net.Conn, error) { return c, orError(n <= 7) },
		"every other one": func(n int, c net.Conn) (net.Conn, error) { return c, orError(n%2 == 1) },
		"breaks in the handshake": func(n int, c net.Conn) (net.Conn, error) {
			if n <= 5 {
				return &failingConn{Conn: c, left: 300 * n}, nil
			}
			return c, nil
		},
		"breaks in the answer": func(n int, c net.Conn) (net.Conn, error) {
			if n <= 12 {
				return &failingConn{Conn: c, left: 1700 + 60*n}, nil
			}
			return c, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newNode(t, "arvenia"), newNode(t, "kestria")
				network := newPipes()
				network.dial = spoil
				_, stop := sending(t, a, b, network)
				for i := range 10 {
					a.house.push(numbered(10*i, 10*i+10)...)
					time.Sleep(700 * time.Millisecond) // of the bubble
				}
				time.Sleep(5 * time.Minute)
				stop()
				if diff := texts(numbered(0, 100)); !slices.Equal(diff, firsts(b.house.got())) {
					t.Errorf("arrived out of order or not at all: %q", b.house.got())
				}
				if len(a.house.queue) != 0 || a.house.inFlight != 0 {
					t.Errorf("%d are left, %d under way", len(a.house.queue), a.house.inFlight)
				}
				if name != "sound" && a.house.failed == 0 {
					t.Error("nothing failed: the test shows nothing")
				}
				if a.house.most > 1 {
					t.Errorf("%d ordered deliveries were under way at once", a.house.most)
				}
			})
		})
	}
}

func orError(fail bool) error {
	if fail {
		return errors.New("connection refused")
	}
	return nil
}

// TestSenderKeepsOrder: what comes meanwhile waits for the delivery under way.
func TestSenderKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		held := make(chan struct{})
		b.house.receive = func(_ context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
			<-held
			b.house.mu.Lock()
			defer b.house.mu.Unlock()
			b.house.received = append(b.house.received, frames...)
			return frames, nil
		}
		_, stop := sending(t, a, b, newPipes())
		for i := range 5 {
			a.house.push(numbered(i, i+1)...)
			time.Sleep(time.Second) // of the bubble
		}
		if n := a.house.flying(); n != 1 {
			t.Errorf("%d deliveries are under way, want 1", n)
		}
		close(held)
		time.Sleep(time.Minute)
		stop()
		if got := b.house.got(); !slices.Equal(got, texts(numbered(0, 5))) {
			t.Errorf("arrived: %q", got)
		}
	})
}

// TestSenderPauses: even a house without back-off is not asked more than every few seconds while the peer is away.
func TestSenderPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		network := newPipes()
		network.dial = func(_ int, c net.Conn) (net.Conn, error) { return c, errors.New("connection refused") }
		a.house.hasty = true
		_, stop := sending(t, a, b, network)
		for i := range 60 {
			a.house.push(numbered(i, i+1)...)
			time.Sleep(time.Second) // of the bubble
		}
		stop()
		if n := a.house.failed; n < 10 || n > 20 {
			t.Errorf("%d tries in a minute", n)
		}
	})
}

// TestSenderLogsChanges: an outage of a day is two lines, whatever the number of tries.
func TestSenderLogsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		network := newPipes()
		away := time.Now().Add(24 * time.Hour)
		network.dial = func(_ int, c net.Conn) (net.Conn, error) { return c, orError(time.Now().Before(away)) }
		_, stop := sending(t, a, b, network)
		a.house.push(frame("after all"))
		time.Sleep(25 * time.Hour) // of the bubble
		stop()
		if got := b.house.got(); !slices.Equal(got, []string{"after all"}) {
			t.Errorf("arrived: %q", got)
		}
		if a.house.failed < 100 {
			t.Errorf("only %d tries in a day", a.house.failed)
		}
		if fails, again := a.log.count("deliveries to a peer fail"), a.log.count("succeed again"); fails != 1 || again != 1 {
			t.Errorf("logged %d failures and %d recoveries, want one of each:\n%q", fails, again, a.log.lines)
		}
	})
}

// TestSenderPipelinesSegments: segments travel several requests at a time, and a small frame does not wait for them.
func TestSenderPipelinesSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		network := newPipes()
		held := make(chan struct{})
		b.house.receive = func(ctx context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
			if frames[0].Kind == parcel.FrameSegment {
				select {
				case <-held:
				case <-ctx.Done():
				}
			}
			b.house.mu.Lock()
			defer b.house.mu.Unlock()
			b.house.received = append(b.house.received, frames...)
			return frames, nil
		}
		_, stop := sending(t, a, b, network)
		var segments []parcel.Frame
		for i := range 40 {
			segments = append(segments, parcel.Frame{Kind: parcel.FrameSegment, Payload: bytes.Repeat([]byte{byte(i)}, 1<<20)})
		}
		a.house.push(segments...)
		time.Sleep(time.Second) // of the bubble
		if n := a.house.flying(); n < 2 {
			t.Errorf("%d requests under way, want several", n)
		}
		close(held)
		time.Sleep(time.Minute)
		a.house.push(frame("call"))
		time.Sleep(time.Minute)
		stop()
		if got := len(b.house.got()); got != len(segments)+1 {
			t.Errorf("%d frames arrived, want %d", got, len(segments)+1)
		}
		if a.house.most > 4 {
			t.Errorf("%d requests were under way at once", a.house.most)
		}
	})
}

// TestCallOvertakesSegments: with two bulk requests stuck on the way, a call goes past them.
func TestCallOvertakesSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		network := newPipes()
		held := make(chan struct{})
		called := make(chan time.Time, 1)
		b.house.receive = func(ctx context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
			if frames[0].Kind == parcel.FrameSegment {
				<-held
				return frames, nil
			}
			called <- time.Now()
			return frames, nil
		}
		_, stop := sending(t, a, b, network)
		for i := range 16 {
			a.house.push(parcel.Frame{Kind: parcel.FrameSegment, Payload: bytes.Repeat([]byte{byte(i)}, 1<<20)})
		}
		time.Sleep(time.Second) // of the bubble
		start := time.Now()
		a.house.push(frame("call"))
		select {
		case at := <-called:
			if took := at.Sub(start); took > time.Second {
				t.Errorf("the call arrived %v after it was made", took)
			}
		case <-time.After(time.Minute): // of the bubble
			t.Error("the call is stuck behind segments")
		}
		close(held)
		time.Sleep(time.Minute)
		stop()
	})
}

func (h *house) flying() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inFlight
}

func TestSenderShutsDownPromptly(t *testing.T) {
	for _, stuck := range []string{"dialling", "waiting for an answer", "with nothing to do", "between tries"} {
		t.Run(stuck, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newNode(t, "arvenia"), newNode(t, "kestria")
				network := newPipes()
				switch stuck {
				case "dialling":
					network.accept = nil
				case "waiting for an answer":
					b.house.receive = func(ctx context.Context, _ []parcel.Frame) ([]parcel.Frame, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					}
				case "between tries":
					network.dial = func(_ int, c net.Conn) (net.Conn, error) { return c, errors.New("connection refused") }
				}
				_, stop := sending(t, a, b, network)
				if stuck != "with nothing to do" {
					a.house.push(frame("unsent"))
				}
				time.Sleep(time.Second) // of the bubble
				if took := stop(); took > 100*time.Millisecond {
					t.Errorf("took %v", took)
				}
				if n := a.house.flying(); n != 0 {
					t.Errorf("the house was not told of %d deliveries", n)
				}
			})
		})
	}
}

func TestSenderFindsNewLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		second := envelope.Hash{2}
		a.house.only = &second
		sender, stop := sending(t, a, b, newPipes())
		defer stop()
		a.house.push(frame("x"))
		synctest.Wait()
		b.house.join(second, a, "")
		a.house.join(second, b, "https://kestria")
		a.house.join(envelope.Hash{3}, b, "") // it comes to us: nothing to send to
		if got := b.house.got(); len(got) != 0 {
			t.Errorf("arrived by another link: %q", got)
		}
		start := time.Now()
		sender.Rescan()
		synctest.Wait()
		if got := b.house.got(); len(got) != 1 || time.Since(start) > time.Second {
			t.Errorf("arrived: %q", got)
		}
	})
}
