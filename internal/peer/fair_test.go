package peer_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/peer"
	"entente/parcel"
	"entente/statement"
)

// crowd is a node that serves in a bubble, and a peer with many links, each of which behaves as a peer of its own.
type crowd struct {
	t       *testing.T
	a, b    *node
	network *pipes
	slow    sync.WaitGroup
	leave   context.CancelFunc
	ctx     context.Context
}

func newCrowd(t *testing.T, limits peer.Limits, endpoint string) *crowd {
	t.Helper()
	c := &crowd{t: t, a: newNode(t, "arvenia"), b: newNode(t, "kestria"), network: newPipes()}
	for n := range 9 {
		c.b.house.join(linkOf(n), c.a, endpoint)
	}
	c.b.serve(t, c.network, limits)
	c.ctx, c.leave = context.WithCancel(t.Context())
	t.Cleanup(func() { c.leave(); c.slow.Wait() })
	return c
}

func linkOf(n int) statement.LinkID { return envelope.Sum([]byte{byte(n)}) }

// request begins a request of a link on a connection of its own and says how it ended.
func (c *crowd) request(link int, body io.Reader, header ...string) chan int {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, exchangeURL("https://kestria", linkOf(link)), body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", framesType)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := c.a.raw(c.t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return c.network.Dial(ctx, address) }
	})
	status := make(chan int, 1)
	c.slow.Go(func() {
		defer client.CloseIdleConnections()
		resp, err := client.Do(req)
		if err != nil {
			status <- 0
			return
		}
		defer resp.Body.Close()
		status <- resp.StatusCode
		<-c.ctx.Done() // it takes nothing of the answer
	})
	synctest.Wait()
	return status
}

// never is a body that does not come.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}

func (c *crowd) never() io.Reader { return never{c.ctx} }

// honest is an exchange of a link that has nothing to do with the slow ones.
func (c *crowd) honest(link int, want int) {
	c.t.Helper()
	if got := <-c.request(link, wire(frame("honest"))); got != want {
		c.t.Errorf("an honest peer got %d, want %d", got, want)
	}
}

// Slow peers together take no place from another, however they are slow: those who have more lose one at once, those who have as
// much after a while.
func TestSlowPeersStarveNobody(t *testing.T) {
	large := parcel.Frame{Kind: parcel.FrameSegment, Payload: make([]byte, 1<<20)}
	answers := func(_ context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
		if bytes.Equal(frames[0].Payload, []byte("honest")) {
			return nil, nil
		}
		return []parcel.Frame{large, large, large, large, large, large, large, large}, nil
	}
	for name, slow := range map[string]func(*crowd, int) chan int{
		"bodies":  func(c *crowd, link int) chan int { return c.request(link, c.never()) },
		"answers": func(c *crowd, link int) chan int { return c.request(link, wire(frame("greedy"))) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := peer.DefaultLimits()
				limits.Requests, limits.RequestsPerLink = 6, 3
				c := newCrowd(t, limits, "https://arvenia")
				c.b.house.receive = answers
				for n := range limits.Requests {
					slow(c, n/limits.RequestsPerLink)
				}
				c.honest(7, http.StatusOK)
			})
			synctest.Test(t, func(t *testing.T) {
				limits := peer.DefaultLimits()
				limits.Requests = 3
				c := newCrowd(t, limits, "https://arvenia")
				c.b.house.receive = answers
				for n := range limits.Requests {
					slow(c, n)
				}
				c.honest(7, http.StatusTooManyRequests)
				time.Sleep(10 * time.Second) // of the bubble
				c.honest(7, http.StatusOK)
				c.honest(0, http.StatusOK)
			})
		})
	}
}

// What is taken in at once is not ended for anybody: a place is free again when it is done.
func TestNoExchangeIsEndedWhileItIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := peer.DefaultLimits()
		limits.Requests, limits.RequestsPerLink = 2, 2
		c := newCrowd(t, limits, "https://arvenia")
		done := make(chan struct{})
		c.b.house.receive = func(_ context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
			if string(frames[0].Payload) == "long" {
				<-done
			}
			return nil, nil
		}
		first, second := c.request(0, wire(frame("long"))), c.request(0, wire(frame("long")))
		time.Sleep(time.Minute)
		c.honest(7, http.StatusTooManyRequests)
		close(done)
		if a, b := <-first, <-second; a != http.StatusOK || b != http.StatusOK {
			t.Errorf("those under way got %d and %d", a, b)
		}
		c.honest(7, http.StatusOK)
	})
}

// Peers that poll and take nothing of what they get keep no place from another that polls.
func TestSlowPollersStarveNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := peer.DefaultLimits()
		limits.Requests = 2
		c := newCrowd(t, limits, "")
		turn := func(link int, frames ...parcel.Frame) {
			only := linkOf(link)
			c.b.house.mu.Lock()
			c.b.house.only = &only
			c.b.house.mu.Unlock()
			c.b.house.push(frames...)
		}
		segments := make([]parcel.Frame, 10)
		for n := range limits.Requests {
			for i := range segments {
				segments[i] = parcel.Frame{Kind: parcel.FrameSegment, Payload: make([]byte, 1<<20)}
			}
			turn(n, segments...)
			if got := <-c.request(n, nil, "Entente-Wait", "30"); got != http.StatusOK {
				t.Fatalf("slow poll %d got %d", n, got)
			}
		}
		turn(7, frame("for the honest one"))
		if got := <-c.request(7, nil, "Entente-Wait", "30"); got != http.StatusTooManyRequests {
			t.Errorf("at once, a poll got %d", got)
		}
		time.Sleep(10 * time.Second)
		if got := <-c.request(7, nil, "Entente-Wait", "30"); got != http.StatusOK {
			t.Errorf("after a while, a poll got %d", got)
		}
	})
}
