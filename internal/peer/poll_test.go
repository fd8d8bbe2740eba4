package peer_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/peer"
	"entente/parcel"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

// pollAnswer is what a poll made by hand got.
type pollAnswer struct {
	status   int
	frames   []string
	delivery string
	after    time.Duration
}

// polling makes polls of a node by hand, at a server without a network.
type polling struct {
	handler http.Handler
	by      *node
}

func (p polling) poll(ctx context.Context, link statement.LinkID, wait, taken string, frames ...parcel.Frame) pollAnswer {
	r := httptest.NewRequest(http.MethodPost, "/entente/v1/links/"+link.String()+"/exchange", wire(frames...)).WithContext(ctx)
	r.RemoteAddr = "192.0.2.1:1000"
	r.Header.Set("Content-Type", framesType)
	r.Header.Set("Entente-Wait", wait)
	if taken != "" {
		r.Header.Set("Entente-Taken", taken)
	}
	leaf, err := x509.ParseCertificate(p.by.cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	w := httptest.NewRecorder()
	began := time.Now()
	p.handler.ServeHTTP(w, r)
	a := pollAnswer{status: w.Code, delivery: w.Header().Get("Entente-Delivery"), after: time.Since(began)}
	reader := parcel.NewFrameReader(w.Body)
	for a.status == http.StatusOK {
		f, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		a.frames = append(a.frames, string(f.Payload))
	}
	return a
}

// polled sets up a as the node that can be reached, and b as the one that polls it.
func polled(t *testing.T) (a *node, p polling) {
	t.Helper()
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	return a, polling{a.server(peer.DefaultLimits()).Handler(), b}
}

func (a pollAnswer) want(t *testing.T, status int, after time.Duration, frames ...string) {
	t.Helper()
	if a.status != status || a.after != after || !slices.Equal(a.frames, frames) {
		t.Errorf("status %d after %s with %q, want %d after %s with %q", a.status, a.after, a.frames, status, after, frames)
	}
	if (a.delivery != "") != (status == http.StatusOK && len(frames) > 0 && !strings.HasPrefix(frames[len(frames)-1], "got ")) {
		t.Errorf("the delivery is called %q", a.delivery)
	}
}

// later does something at a time of the bubble.
func later(d time.Duration, f func()) { time.AfterFunc(d, f) }

// TestPollWaits: an answer waits until something is due or the time is over, and not where there is something to answer.
func TestPollWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := polled(t)
		p.poll(t.Context(), theLink, "30", "").want(t, 200, 30*time.Second)
		p.poll(t.Context(), theLink, "60", "").want(t, 200, 50*time.Second)
		p.poll(t.Context(), theLink, "0", "").want(t, 200, 0)
		p.poll(t.Context(), theLink, "30", "", frame("x")).want(t, 200, 0, "got x")
		later(7*time.Second, func() { a.house.push(frame("one"), frame("two")) })
		p.poll(t.Context(), theLink, "30", "").want(t, 200, 7*time.Second, "one", "two")
		if a.house.asked > 12 {
			t.Errorf("the house was asked %d times", a.house.asked)
		}
	})
}

// TestPollRefused: who asks for another's link, or in another form, is refused at once and waits for nothing.
func TestPollRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := polled(t)
		a.house.push(frame("secret"))
		stranger := polling{p.handler, newNode(t, "stranger")}
		stranger.poll(t.Context(), theLink, "30", "").want(t, 404, 0)
		p.poll(t.Context(), envelope.Hash{9}, "30", "").want(t, 404, 0)
		for _, wait := range []string{"", "-1", "61", "1.5", "soon", "99999999999999999999"} {
			p.poll(t.Context(), theLink, wait, "").want(t, 400, 0)
		}
		if a.house.asked != 0 || a.house.inFlight != 0 {
			t.Errorf("%d asked, %d under way", a.house.asked, a.house.inFlight)
		}
	})
}

// TestPollOfReachablePeer: who can be reached is pushed to, and a poll of it does not wait.
func TestPollOfReachablePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		a.house.join(theLink, b, "https://kestria")
		a.house.push(frame("one"))
		p := polling{a.server(peer.DefaultLimits()).Handler(), b}
		p.poll(t.Context(), theLink, "30", "").want(t, 200, 0)
	})
}

// TestPollTaken: a delivery in an answer ends well when the next poll names it, and is made again in all other cases.
func TestPollTaken(t *testing.T) {
	for name, c := range map[string]struct {
		next func(ctx context.Context, t *testing.T, p polling, delivery string)
		want [2]int // taken, failed
	}{
		"named": {func(ctx context.Context, t *testing.T, p polling, d string) {
			p.poll(ctx, theLink, "5", d, frame("receipt")).want(t, 200, 0, "got receipt")
		}, [2]int{1, 0}},
		"named twice": {func(ctx context.Context, t *testing.T, p polling, d string) {
			p.poll(ctx, theLink, "5", d).want(t, 200, 5*time.Second)
			p.poll(ctx, theLink, "5", d).want(t, 200, 5*time.Second)
		}, [2]int{1, 0}},
		"not named": {func(ctx context.Context, t *testing.T, p polling, _ string) {
			p.poll(ctx, theLink, "0", "").want(t, 200, 0)
		}, [2]int{0, 1}},
		"another named": {func(ctx context.Context, t *testing.T, p polling, _ string) {
			p.poll(ctx, theLink, "0", "ABCDEFGHIJKLMNOPQRSTUVWXYZ").want(t, 200, 0)
		}, [2]int{0, 1}},
		"nobody came": {func(context.Context, *testing.T, polling, string) { time.Sleep(61 * time.Second) }, [2]int{0, 1}},
		"late": {func(ctx context.Context, t *testing.T, p polling, d string) {
			time.Sleep(61 * time.Second)
			p.poll(ctx, theLink, "0", d).want(t, 200, 0, "one")
		}, [2]int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, p := polled(t)
				a.house.push(frame("one"))
				first := p.poll(t.Context(), theLink, "5", "")
				first.want(t, 200, 0, "one")
				c.next(t.Context(), t, p, first.delivery)
				a.house.mu.Lock()
				got := [2]int{a.house.taken, a.house.failed}
				a.house.mu.Unlock()
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				time.Sleep(2 * time.Minute) // no timer is left that ends a delivery twice
			})
		})
	}
}

// TestPollVanishes: a poller that goes away takes nothing with it, and one that comes back does not wait for its older self.
func TestPollVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := polled(t)
		gone, leave := context.WithCancel(t.Context())
		later(3*time.Second, leave)
		p.poll(gone, theLink, "30", "")
		later(time.Second, func() { a.house.push(frame("one")) })
		p.poll(t.Context(), theLink, "30", "").want(t, 200, time.Second, "one")

		older := make(chan pollAnswer, 1)
		a.house.mu.Lock()
		a.house.only = &envelope.Hash{7} // nothing is due for theLink
		a.house.mu.Unlock()
		go func() { older <- p.poll(t.Context(), theLink, "30", "") }()
		time.Sleep(4*time.Second + time.Millisecond)
		a.house.mu.Lock()
		a.house.only = nil
		a.house.mu.Unlock()
		p.poll(t.Context(), theLink, "30", "").want(t, 200, 0, "one")
		(<-older).want(t, 200, 4*time.Second+time.Millisecond)
	})
}

// TestPollsByTheThousand: a thousand peers that wait take no place from others, and ask the house for nothing.
func TestPollsByTheThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := polled(t)
		answers := make(chan pollAnswer, 1000)
		for i := range 1000 {
			link := envelope.Hash(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)))
			a.house.join(link, p.by, "")
			go func() { answers <- p.poll(t.Context(), link, "50", "") }()
			synctest.Wait()
		}
		count := func() int {
			a.house.mu.Lock()
			defer a.house.mu.Unlock()
			return a.house.asked
		}
		asked := count()
		time.Sleep(49 * time.Second)
		if after := count(); after != asked || asked > 1000 {
			t.Errorf("the house was asked %d times at first, and %d times after", asked, after-asked)
		}
		for range 100 { // waiting polls are not requests under way
			p.poll(t.Context(), theLink, "0", "", frame("x")).want(t, 200, 0, "got x")
		}
		for range 1000 {
			(<-answers).want(t, 200, 50*time.Second)
		}
	})
}

// TestPollsOfOneLink: a link has one poll that waits, and one in line.
func TestPollsOfOneLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := polled(t)
		release := make(chan struct{})
		a.house.receive = func(ctx context.Context, _ []parcel.Frame) ([]parcel.Frame, error) {
			<-release
			return nil, nil
		}
		polls := 3 * peer.DefaultLimits().RequestsPerLink
		statuses := make(chan int, polls)
		for range polls {
			go func() { statuses <- p.poll(t.Context(), theLink, "1", "").status }()
			synctest.Wait()
		}
		close(release)
		got := map[int]int{}
		for range polls {
			got[<-statuses]++
		}
		if got[200] != 2 || got[409] != polls-2 {
			t.Errorf("statuses %v: the one under way and the newest are answered", got)
		}
	})
}

// TestPollEndsWithServer: a server that ends lets nobody wait.
func TestPollEndsWithServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		pair(a, b)
		server := a.server(peer.DefaultLimits())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx, newPipes()) }()
		later(3*time.Second, cancel)
		polling{server.Handler(), b}.poll(t.Context(), theLink, "30", "").want(t, 200, 3*time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestPollerOverFaultyNetwork: what is due for a node that polls arrives, in order and once, and its answers come back, although
// connections fail and break.
func TestPollerOverFaultyNetwork(t *testing.T) {
	for name, sound := range map[string]func(n int) bool{
		"sound":           func(int) bool { return true },
		"refused 7 times": func(n int) bool { return n > 7 },
		"every other one": func(n int) bool { return n%2 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newNode(t, "arvenia"), newNode(t, "kestria")
				b.house.hidden = true
				network := newPipes()
				network.dial = func(n int, c net.Conn) (net.Conn, error) { return c, orError(!sound(n)) }
				_, stop := sending(t, b, a, network)
				for i := range 10 {
					a.house.push(numbered(10*i, 10*i+10)...)
					time.Sleep(700 * time.Millisecond)
				}
				time.Sleep(5 * time.Minute)
				stop()
				if !slices.Equal(texts(numbered(0, 100)), firsts(b.house.got())) {
					t.Errorf("arrived out of order or not at all: %q", b.house.got())
				}
				var answers []string
				for i := range 100 {
					answers = append(answers, fmt.Sprint("got frame ", i))
				}
				if !slices.Equal(answers, firsts(a.house.got())) {
					t.Errorf("what came back: %q", a.house.got())
				}
				if len(a.house.queue) != 0 || a.house.inFlight != 0 {
					t.Errorf("%d are left, %d under way", len(a.house.queue), a.house.inFlight)
				}
			})
		})
	}
}

// TestPollerPauses: a server that answers at once with nothing is not asked again and again.
func TestPollerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		b.house.hidden = true
		b.house.join(theLink, a, "https://arvenia")
		a.house.join(theLink, b, "https://kestria") // so that a does not let b wait
		var polls atomic.Int32
		a.house.receive = func(context.Context, []parcel.Frame) ([]parcel.Frame, error) { polls.Add(1); return nil, nil }
		network := newPipes()
		a.serve(t, network, peer.DefaultLimits())
		client := b.client(network.Dial)
		s := peer.NewSender(b.house, client, time.Now, slog.New(slog.NewTextHandler(b.log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if n := polls.Load(); n < 10 || n > 20 {
			t.Errorf("%d polls in ten minutes", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		client.Close()
	})
}
