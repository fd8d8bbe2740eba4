package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entente/internal/flow"
	"entente/internal/notice"
	"entente/internal/notify"
)

// house queues deliveries in memory, and follows the rules of package notice.
type house struct {
	mu    sync.Mutex
	hooks map[string]*queue
	ended chan string // ids of deliveries that were tried, with how it went
	dues  int
	trims int
}

type queue struct {
	flow.Posting
	waiting []notice.Delivery
}

func (h *house) Postings(context.Context) (list []flow.Posting, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.hooks {
		if q.Hook.Disabled == 0 && q.Hook.Next == 0 && len(q.waiting) > 0 {
			p := q.Posting
			p.Deliveries = slices.Clone(q.waiting)
			list = append(list, p)
		}
	}
	return list, nil
}

func (h *house) Posted(_ context.Context, d notice.Delivery, o notice.Outcome) (more bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.hooks[d.Hook]
	q.Hook, d, more = notice.After(q.Hook, d, o, 1)
	q.waiting = slices.DeleteFunc(q.waiting, func(w notice.Delivery) bool { return w.ID == d.ID })
	h.ended <- fmt.Sprintf("%s %s %d %s", d.ID, d.State, d.Status, d.Code)
	return more, nil
}

func (h *house) TellDue(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dues++
	return nil
}

func (h *house) TrimDeliveries(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trims++
	return nil
}

// Refused implements flow.Counter.
func (h *house) Refused(string, string) {}

// start runs a notifier against receivers until the test ends.
func start(t *testing.T, timeout time.Duration, queues ...*queue) *house {
	t.Helper()
	h := &house{hooks: map[string]*queue{}, ended: make(chan string, 100)}
	for _, q := range queues {
		h.hooks[q.Hook.ID] = q
	}
	n := notify.New(notify.Config{House: h, Every: 5 * time.Millisecond, Timeout: timeout, Now: time.Now, Log: slog.New(slog.DiscardHandler), Count: h})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

// receiver is a real HTTPS server, and the webhook that leads to it with one delivery for each id.
func receiver(t *testing.T, serve http.HandlerFunc, ids ...string) (*queue, *httptest.Server) {
	t.Helper()
	server := httptest.NewUnstartedServer(serve)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	q := &queue{Posting: flow.Posting{Secrets: [][]byte{[]byte("new secret"), []byte("old secret")}, Hook: notice.Hook{ID: server.URL, URL: server.URL + "/hook", Private: true,
		CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}}}
	for _, id := range ids {
		q.waiting = append(q.waiting, notice.Delivery{Hook: q.Hook.ID, ID: id, Body: []byte(`{"type":"webhook.test","id":"` + id + `"}`), State: notice.Waiting})
	}
	return q, server
}

// next is the next attempt that ended. A test that waits for one that never comes ends by the test's own limit.
func (h *house) next() string { return <-h.ended }

// A receiver gets each notice whole, signed by both secrets, and once.
func TestPost(t *testing.T) {
	type got struct {
		header http.Header
		method string
		body   []byte
	}
	calls := make(chan got, 10)
	q, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- got{r.Header, r.Method + " " + r.URL.Path, body}
		w.WriteHeader(http.StatusAccepted)
	}, "evt_1", "evt_2")
	want := slices.Clone(q.waiting)
	h := start(t, time.Minute, q)
	for _, d := range want {
		if got := h.next(); got != d.ID+" delivered 202 " {
			t.Errorf("ended as %q", got)
		}
		c := <-calls
		if c.method != "POST /hook" || string(c.body) != string(d.Body) || c.header.Get("webhook-id") != d.ID || c.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %+v", c)
		}
		var signatures []string
		for _, secret := range q.Secrets {
			mac := hmac.New(sha256.New, secret)
			io.WriteString(mac, d.ID+"."+c.header.Get("webhook-timestamp")+"."+string(d.Body))
			signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		}
		if sent := c.header.Get("webhook-signature"); sent != strings.Join(signatures, " ") {
			t.Errorf("signed as %s", sent)
		}
	}
	if h.mu.Lock(); h.dues == 0 || h.trims == 0 {
		t.Errorf("clocks were looked at %d times, old notices %d times", h.dues, h.trims)
	}
	h.mu.Unlock()
	if len(calls) > 0 {
		t.Error("a notice came twice")
	}
}

// What receivers do that do not take a notice, and whether the next is tried at once.
func TestRefusedPost(t *testing.T) {
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		change func(*queue, *httptest.Server)
		want   string
		more   bool
	}{
		{name: "gone", serve: answer(410), want: "waiting 410 gone"},
		{name: "broken", serve: answer(500), want: "waiting 500 busy"},
		{name: "busy", serve: answer(429, "Retry-After", "120"), want: "waiting 429 busy"},
		{name: "does not take this one", serve: answer(422), want: "waiting 422 refused", more: true},
		{name: "sends elsewhere", serve: answer(302, "Location", "/elsewhere"), want: "waiting 302 redirect"},
		{name: "sends elsewhere, with the body", serve: answer(308, "Location", "https://127.0.0.1:1/"), want: "waiting 308 redirect"},
		{name: "cuts the call", serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "waiting 0 unreachable"},
		{name: "a header without end", serve: answer(200, "X", strings.Repeat("x", 32<<10)), want: "waiting 0 unreachable"},
		{name: "down", change: func(_ *queue, s *httptest.Server) { s.Close() }, want: "waiting 0 unreachable"},
		{name: "another's certificate", change: func(q *queue, _ *httptest.Server) { q.Hook.CA = nil }, want: "waiting 0 tls"},
		{name: "a private address that it may not have", change: func(q *queue, _ *httptest.Server) { q.Hook.Private = false }, want: "waiting 0 webhook_private"},
		{name: "a name that leads to one", change: func(q *queue, _ *httptest.Server) {
			q.Hook.Private = false
			q.Hook.URL = strings.Replace(q.Hook.URL, "127.0.0.1", "localhost", 1)
		}, want: "waiting 0 webhook_private"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var paths sync.Map
			q, server := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				paths.Store(r.URL.Path, true)
				c.serve(w, r)
			}, "one", "two")
			if c.change != nil {
				c.change(q, server)
			}
			h := start(t, time.Minute, q)
			if got := h.next(); got != "one "+c.want {
				t.Errorf("ended as %q, want %q", got, "one "+c.want)
			}
			if c.more {
				if got := h.next(); got != "two "+c.want {
					t.Errorf("the next ended as %q", got)
				}
			}
			paths.Range(func(path, _ any) bool {
				if path != "/hook" {
					t.Errorf("it was asked for %s", path)
				}
				return true
			})
			h.mu.Lock()
			defer h.mu.Unlock()
			if k := q.Hook; (k.Next != 0 || k.Disabled != 0) == c.more {
				t.Errorf("the receiver: %+v", k)
			}
		})
	}
}

// A receiver that does not answer costs one request of bounded time, and keeps nothing from another.
func TestSlowReceiver(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // then the server sees that the caller went away
		<-r.Context().Done()
	}
	slow, _ := receiver(t, silent, "slow")
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprint("fast", i))
	}
	fast, _ := receiver(t, func(http.ResponseWriter, *http.Request) {}, ids...)
	h := start(t, time.Hour, slow, fast)
	for range ids {
		if got := h.next(); !strings.HasPrefix(got, "fast") || !strings.HasSuffix(got, " delivered 200 ") {
			t.Errorf("ended as %q", got)
		}
	}
	other, _ := receiver(t, silent, "late")
	if got := start(t, 50*time.Millisecond, other).next(); got != "late waiting 0 timeout" {
		t.Errorf("ended as %q", got)
	}
}
