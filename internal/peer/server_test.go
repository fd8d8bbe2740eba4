package peer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/peer"
	"entente/parcel"
	"entente/party"
	"entente/statement"

	"github.com/google/go-cmp/cmp"
)

func exchangeURL(endpoint string, link statement.LinkID) string {
	return endpoint + "/entente/v1/links/" + link.String() + "/exchange"
}

// answer is what a raw request got.
type answered struct {
	Status  int
	Type    string
	Code    string
	Detail  string
	Problem string // the whole body
}

func ask(t *testing.T, c *http.Client, method, url, media string, body io.Reader) (answered, *http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	return do(t, c, req)
}

func do(t *testing.T, c *http.Client, req *http.Request) (answered, *http.Response) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{Status: resp.StatusCode, Type: resp.Header.Get("Content-Type"), Problem: string(data)}
	var p struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}
	if a.Status != http.StatusOK {
		if err := envelope.Unmarshal(data, &p); err != nil || p.Status != a.Status || p.Detail == "" || p.Title == "" {
			t.Errorf("status %d came with %q, which are no problem details: %v", a.Status, data, err)
		}
	}
	a.Code, a.Detail = p.Code, p.Detail
	return a, resp
}

const framesType = "application/vnd.entente.frames"

func TestExchange(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	endpoint := b.listen(t, peer.DefaultLimits())
	client := a.client(nil)
	defer client.Close()
	for _, sent := range [][]parcel.Frame{{frame("one"), frame("two")}, nil, {frame("three")}} {
		got, err := client.Exchange(t.Context(), theLink, endpoint, b.pins(), sent)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{}
		for _, s := range texts(sent) {
			want = append(want, "got "+s)
		}
		if diff := cmp.Diff(want, texts(got)); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, b.house.got()); diff != "" {
		t.Error(diff)
	}
}

// TestLargeExchange moves more than one HTTP/2 window in both directions.
func TestLargeExchange(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	b.house.receive = func(_ context.Context, frames []parcel.Frame) ([]parcel.Frame, error) { return frames, nil }
	endpoint := b.listen(t, peer.DefaultLimits())
	client := a.client(nil)
	defer client.Close()
	var sent []parcel.Frame
	for i := range 8 {
		sent = append(sent, parcel.Frame{Kind: parcel.FrameSegment, Payload: bytes.Repeat([]byte{byte(i)}, 1<<20)})
	}
	got, err := client.Exchange(t.Context(), theLink, endpoint, b.pins(), sent)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(sent) {
		t.Fatalf("%d frames came back", len(got))
	}
	for i := range got {
		if !bytes.Equal(got[i].Payload, sent[i].Payload) {
			t.Errorf("frame %d changed on the way", i)
		}
	}
}

func TestTransport(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	endpoint := b.listen(t, peer.DefaultLimits())
	for _, c := range []struct {
		name  string
		h2    bool
		proto string
	}{{"http/2", true, "HTTP/2.0"}, {"http/1.1", false, "HTTP/1.1"}} {
		t.Run(c.name, func(t *testing.T) {
			client := a.raw(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = c.h2 })
			got, resp := ask(t, client, http.MethodGet, endpoint+"/entente/v1/ping", "", nil)
			if got.Status != http.StatusOK || got.Problem != `{"v":1}` {
				t.Errorf("ping: %+v", got)
			}
			if resp.Proto != c.proto {
				t.Errorf("protocol %s, want %s", resp.Proto, c.proto)
			}
			if resp.TLS.Version != tls.VersionTLS13 || resp.TLS.CurveID != tls.X25519MLKEM768 {
				t.Errorf("TLS %x with key exchange %v, want 1.3 with X25519MLKEM768", resp.TLS.Version, resp.TLS.CurveID)
			}
		})
	}
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.2":        func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"no certificate": func(c *tls.Config) { c.Certificates = nil },
	} {
		t.Run(name, func(t *testing.T) {
			client := a.raw(t, func(tr *http.Transport) { change(tr.TLSClientConfig) })
			resp, err := client.Get(endpoint + "/entente/v1/ping")
			if err == nil {
				resp.Body.Close()
				t.Errorf("was answered with status %d", resp.StatusCode)
			}
		})
	}
}

// TestPinBothWays: a node that holds another key is refused by either side, and a stranger learns nothing about
// which links exist.
func TestPinBothWays(t *testing.T) {
	a, b, c := newNode(t, "arvenia"), newNode(t, "kestria"), newNode(t, "stranger")
	pair(a, b)
	endpoint := b.listen(t, peer.DefaultLimits())

	t.Run("client", func(t *testing.T) {
		client := c.raw(t, nil)
		wrongKey, _ := ask(t, client, http.MethodPost, exchangeURL(endpoint, theLink), framesType, wire(frame("forged")))
		unknown, _ := ask(t, client, http.MethodPost, exchangeURL(endpoint, envelope.Hash{9}), framesType, wire(frame("forged")))
		malformed, _ := ask(t, client, http.MethodPost, endpoint+"/entente/v1/links/xyz/exchange", framesType, wire(frame("forged")))
		if wrongKey.Status != http.StatusNotFound || wrongKey.Code != "link" {
			t.Errorf("wrong key: %+v", wrongKey)
		}
		if wrongKey != unknown || wrongKey != malformed {
			t.Errorf("links can be probed:\n%+v\n%+v\n%+v", wrongKey, unknown, malformed)
		}
		_, err := c.client(nil).Exchange(t.Context(), theLink, endpoint, b.pins(), []parcel.Frame{frame("forged")})
		wantCode(t, err, "peer_unknown")
		if b.count.of("link") != 4 {
			t.Errorf("counted %v", b.count.seen)
		}
	})
	t.Run("server", func(t *testing.T) {
		for name, pins := range map[string]peer.Pinned{"another key": c.pins(), "no key": {}, "an empty key": {Keys: [][]byte{nil}}} {
			client := a.client(nil)
			_, err := client.Exchange(t.Context(), theLink, endpoint, pins, []parcel.Frame{frame("for Kestria alone")})
			if fault.KindOf(err) != fault.Forbidden || fault.CodeOf(err) != "pin" {
				t.Errorf("%s: %v", name, err)
			}
			client.Close()
		}
		// A connection that was made under the right pins does not serve for others.
		client := a.client(nil)
		defer client.Close()
		if _, err := client.Exchange(t.Context(), theLink, endpoint, b.pins(), nil); err != nil {
			t.Fatal(err)
		}
		_, err := client.Exchange(t.Context(), theLink, endpoint, c.pins(), nil)
		wantCode(t, err, "pin")
	})
	if got := b.house.got(); len(got) != 0 {
		t.Errorf("the house received %q", got)
	}
}

func TestLookupFailureLooksLikeAnUnknownLink(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	endpoint := b.listen(t, peer.DefaultLimits())
	before, _ := ask(t, a.raw(t, nil), http.MethodPost, exchangeURL(endpoint, theLink), framesType, nil)
	if before.Status != http.StatusNotFound || strings.Contains(before.Problem, "no link") {
		t.Errorf("%+v", before)
	}
}

// TestRefusals: each is refused with problem details, counted by cause, and leaves the house untouched.
func TestRefusals(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	limits := peer.DefaultLimits()
	limits.Body, limits.Frames, limits.Strangers, limits.StrangersBurst = 1<<20, 4, 1000, 1000
	endpoint := b.listen(t, limits)
	url := exchangeURL(endpoint, theLink)
	five := wire(frame("1"), frame("2"), frame("3"), frame("4"), frame("5")).String()
	big := strings.Repeat(wire(parcel.Frame{Kind: parcel.FrameSegment, Payload: make([]byte, 1<<20)}).String(), 2)
	for _, c := range []struct {
		name, method, url, media, body string
		status                         int
		code                           string
	}{
		{"wrong method", http.MethodGet, url, framesType, "", 405, "method"},
		{"wrong method of ping", http.MethodPost, endpoint + "/entente/v1/ping", "", "", 405, "method"},
		{"no such route", http.MethodPost, endpoint + "/entente/v2/links", framesType, "", 404, "route"},
		{"root", http.MethodGet, endpoint + "/", "", "", 404, "route"},
		{"wrong type", http.MethodPost, url, "application/json", five, 415, "media"},
		{"no type", http.MethodPost, url, "", five, 415, "media"},
		{"too many frames", http.MethodPost, url, framesType, five, 413, "frames"},
		{"too long", http.MethodPost, url, framesType, big, 413, "size"},
		{"not frames", http.MethodPost, url, framesType, "\xffnot frames", 400, "format"},
		{"cut within a frame", http.MethodPost, url, framesType, five[:len(five)-1], 400, "format"},
		{"cut within a head", http.MethodPost, url, framesType, "\x03\x00", 400, "format"},
		{"pairing as frames", http.MethodPost, endpoint + "/entente/v1/pair/hello", framesType, "{}", 415, "media"},
		{"pairing with too much", http.MethodPost, endpoint + "/entente/v1/pair/reveal", "application/json",
			`{"token":"` + strings.Repeat("A", 300<<10) + `"}`, 413, "size"},
		{"pairing with an unknown member", http.MethodPost, endpoint + "/entente/v1/pair/hello", "application/json", `{"token":"AA==","x":1}`, 400, "format"},
		{"pairing with a member twice", http.MethodPost, endpoint + "/entente/v1/pair/hello", "application/json", `{"token":"AA==","token":"AA=="}`, 400, "format"},
		{"pairing with an unknown token", http.MethodPost, endpoint + "/entente/v1/pair/hello", "application/json", `{"token":"AA=="}`, 404, "token"},
		{"pairing with a short nonce", http.MethodPost, endpoint + "/entente/v1/pair/reveal", "application/json",
			`{"token":"AA==","identity":[],"nonce":"AA=="}`, 400, "nonce"},
	} {
		for _, sized := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				before := b.count.of(c.code)
				var body io.Reader = strings.NewReader(c.body)
				if !sized {
					body = io.MultiReader(body) // its length is not known beforehand
				}
				got, resp := ask(t, a.raw(t, nil), c.method, c.url, c.media, body)
				if got.Status != c.status || got.Code != c.code || got.Type != "application/problem+json" {
					t.Errorf("got %+v, want %d %s", got, c.status, c.code)
				}
				if c.status == 405 && resp.Header.Get("Allow") == "" {
					t.Error("which method is allowed is not said")
				}
				if b.count.of(c.code) != before+1 {
					t.Errorf("counted %d times, want once more than %d", b.count.of(c.code), before)
				}
			})
		}
	}
	t.Run("long header", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
		req.Header.Set("Content-Type", framesType)
		req.Header.Set("X-Padding", strings.Repeat("x", 64<<10))
		resp, err := a.raw(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = false }).Do(req)
		if err != nil {
			return // the server closed the connection while it was being written to
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	if got := b.house.got(); len(got) != 0 {
		t.Errorf("the house received %q", got)
	}
}

// TestZipBomb: nothing is ever unpacked, and what is declared costs no memory.
func TestZipBomb(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	endpoint := b.listen(t, peer.DefaultLimits())
	url := exchangeURL(endpoint, theLink)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	for _, c := range []struct {
		name, encoding string
		body           []byte
		status         int
		code           string
	}{
		{"compressed", "gzip", bomb.Bytes(), 415, "media"},
		{"a frame that declares 4 GiB", "", []byte{3, 0xff, 0xff, 0xff, 0xff, 1}, 400, "format"},
		{"a segment that declares 1 MiB and ends", "", []byte{2, 0, 0x10, 0, 0, 1}, 400, "format"},
		{"frames of one byte", "", bytes.Repeat([]byte{3, 0, 0, 0, 1, 'x'}, 1025), 413, "frames"},
		{"empty frames", "", make([]byte, 1<<20), 400, "format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(c.body))
			req.Header.Set("Content-Type", framesType)
			if c.encoding != "" {
				req.Header.Set("Content-Encoding", c.encoding)
			}
			if got, _ := do(t, a.raw(t, nil), req); got.Status != c.status || got.Code != c.code {
				t.Errorf("got %+v, want %d %s", got, c.status, c.code)
			}
		})
	}
	if got := b.house.got(); len(got) != 0 {
		t.Errorf("the house received %d frames", len(got))
	}
}

// TestCausesStayInside: what failed is in our log and not in the answer.
func TestCausesStayInside(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	endpoint := b.listen(t, peer.DefaultLimits())
	for _, c := range []struct {
		err    error
		status int
		logged int
	}{
		{errors.New("SECRET table"), 500, 1},
		{fault.Wrap(fault.Unavailable, "disk_full", "The disk is full.", errors.New("SECRET path")), 503, 1},
		{fault.Wrap(fault.Conflict, "suspended", "The lane is suspended.", errors.New("SECRET reason")), 409, 0},
		{fault.Wrap(fault.Forbidden, "no", "No.", errors.New("SECRET")), 403, 0},
		{fault.Wrap(fault.Invalid, "bad", "Bad.", errors.New("SECRET")), 400, 0},
	} {
		b.house.receive = func(context.Context, []parcel.Frame) ([]parcel.Frame, error) { return nil, c.err }
		before := b.log.count("SECRET")
		got, resp := ask(t, a.raw(t, nil), http.MethodPost, exchangeURL(endpoint, theLink), framesType, wire(frame("x")))
		if got.Status != c.status || got.Detail != fault.Public(c.err) || strings.Contains(got.Problem, "SECRET") {
			t.Errorf("%v: %+v", c.err, got)
		}
		if n := b.log.count("SECRET") - before; n != c.logged {
			t.Errorf("%v: logged %d times, want %d", c.err, n, c.logged)
		}
		if b.count.of(fault.CodeOf(c.err)) != 1 {
			t.Errorf("%v: counted %v", c.err, b.count.seen)
		}
		if (c.status == 503) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", c.err, resp.Header.Get("Retry-After"))
		}
	}
}

// TestSlowBody: who sends slowly is cut off, at each stage, and meanwhile others are served. Time passes in a bubble.
func TestSlowBody(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	head := "POST /entente/v1/links/" + theLink.String() + "/exchange HTTP/1.1\r\nHost: x\r\nContent-Type: " + framesType + "\r\nContent-Length: 1000\r\n\r\n"
	limits := peer.DefaultLimits()
	for _, c := range []struct {
		name string
		tls  bool
		send string // at first, and then a byte now and then
		most time.Duration
		want string
	}{
		{"handshake", false, "\x16", limits.ReadHeader, ""},
		{"header", true, "POST /ent", limits.ReadHeader, ""},
		{"body", true, head + "\x02\x00\x10\x00\x00", limits.Read, "HTTP/1.1 408 "},
		{"silence", true, "", limits.ReadHeader, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := newPipes()
				b.serve(t, network, limits)
				conn, err := network.Dial(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				var attacker sync.WaitGroup
				defer attacker.Wait()
				defer func() { conn.Close() }()
				if c.tls {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{a.cert}})
				}
				start := time.Now()
				attacker.Go(func() {
					_, err := io.WriteString(conn, c.send)
					for err == nil {
						time.Sleep(time.Second) // the attacker's, in the bubble's time
						_, err = io.WriteString(conn, "\x03")
					}
				})
				answers := make(chan string)
				go func() {
					data, _ := io.ReadAll(conn)
					answers <- string(data)
				}()

				client := a.client(network.Dial)
				defer client.Close()
				if _, err := client.Exchange(t.Context(), theLink, "https://kestria", b.pins(), []parcel.Frame{frame("in time")}); err != nil {
					t.Errorf("another request was not served: %v", err)
				}
				answer := <-answers
				if took := time.Since(start); took > c.most+5*time.Second {
					t.Errorf("cut off only after %v", took)
				}
				if !strings.HasPrefix(answer, c.want) {
					t.Errorf("answer %q, want %q…", answer, c.want)
				}
			})
		})
	}
}

func TestSlowBodyOverHTTP2(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		limits := peer.DefaultLimits()
		b.serve(t, network, limits)
		client := a.raw(t, func(tr *http.Transport) {
			tr.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) }
		})
		defer client.CloseIdleConnections()
		never, end := io.Pipe()
		defer end.Close()
		start := time.Now()
		got, resp := ask(t, client, http.MethodPost, exchangeURL("https://kestria", theLink), framesType, never)
		if got.Status != http.StatusRequestTimeout || got.Code != "slow" || resp.ProtoMajor != 2 {
			t.Errorf("%s: %+v", resp.Proto, got)
		}
		if took := time.Since(start); took > limits.Read+time.Second {
			t.Errorf("cut off only after %v", took)
		}
	})
}

// TestDeclaredLength: who declares too much is refused before it has sent anything.
func TestDeclaredLength(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	pair(a, b)
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		limits := peer.DefaultLimits()
		b.serve(t, network, limits)
		client := a.raw(t, func(tr *http.Transport) {
			tr.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) }
		})
		defer client.CloseIdleConnections()
		never, end := io.Pipe()
		defer end.Close()
		start := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, exchangeURL("https://kestria", theLink), never)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = limits.Body + 1
		req.Header.Set("Content-Type", framesType)
		if got, _ := do(t, client, req); got.Status != http.StatusRequestEntityTooLarge || got.Code != "size" || time.Since(start) > time.Second {
			t.Errorf("after %v: %+v", time.Since(start), got)
		}
	})
}

// TestNoKeyIsNoKey: a request that came without a certificate matches nobody, not even a peer without a key.
func TestNoKeyIsNoKey(t *testing.T) {
	b := newNode(t, "kestria")
	b.house.peers[theLink] = &party.Chain{Versions: []party.Identity{{Version: 1}}}
	req := httptest.NewRequest(http.MethodPost, exchangeURL("https://kestria", theLink), wire(frame("x")))
	req.Header.Set("Content-Type", framesType)
	resp := httptest.NewRecorder()
	b.server(peer.DefaultLimits()).Handler().ServeHTTP(resp, req)
	if resp.Code != http.StatusNotFound || len(b.house.got()) > 0 {
		t.Errorf("status %d, received %q", resp.Code, b.house.got())
	}
}

// FuzzExchange: what the house takes is what was sent, byte for byte; everything else is refused in form.
func FuzzExchange(f *testing.F) {
	a, b := newNode(f, "arvenia"), newNode(f, "kestria")
	pair(a, b)
	handler := b.server(peer.DefaultLimits()).Handler()
	cert, err := x509.ParseCertificate(a.cert.Certificate[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(wire(frame("one"), frame("two")).Bytes())
	f.Add(wire(parcel.Frame{Kind: parcel.FrameSegment, Payload: make([]byte, 100)}).Bytes())
	f.Add([]byte{3, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		b.house.mu.Lock()
		b.house.received = nil
		b.house.mu.Unlock()
		req := httptest.NewRequest(http.MethodPost, exchangeURL("https://kestria", theLink), bytes.NewReader(body))
		req.Header.Set("Content-Type", framesType)
		req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		resp := httptest.NewRecorder()
		handler.ServeHTTP(resp, req)
		taken := wire(b.house.received...).Bytes()
		switch resp.Code {
		case http.StatusOK:
			if !bytes.Equal(taken, body) {
				t.Errorf("sent %x, taken %x", body, taken)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			if len(taken) > 0 {
				t.Errorf("%d bytes were taken of what was refused", len(taken))
			}
		default:
			t.Errorf("status %d", resp.Code)
		}
	})
}

// TestFlood: more than is allowed is refused at once with 429, or not let in, and what is allowed still works.
func TestFlood(t *testing.T) {
	t.Run("requests of a link", func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		pair(a, b)
		limits := peer.DefaultLimits()
		limits.RequestsPerLink = 2
		arrived, release := make(chan struct{}), make(chan struct{})
		b.house.receive = func(ctx context.Context, frames []parcel.Frame) ([]parcel.Frame, error) {
			arrived <- struct{}{}
			<-release
			return frames, nil
		}
		endpoint := b.listen(t, limits)
		client := a.raw(t, nil)
		var wg sync.WaitGroup
		for range limits.RequestsPerLink {
			wg.Go(func() {
				if got, _ := ask(t, client, http.MethodPost, exchangeURL(endpoint, theLink), framesType, wire(frame("x"))); got.Status != http.StatusOK {
					t.Errorf("a request within the limit got %+v", got)
				}
			})
			<-arrived
		}
		got, resp := ask(t, client, http.MethodPost, exchangeURL(endpoint, theLink), framesType, wire(frame("x")))
		if got.Status != http.StatusTooManyRequests || got.Code != "busy" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one too many got %+v", got)
		}
		_, err := a.client(nil).Exchange(t.Context(), theLink, endpoint, b.pins(), nil)
		wantCode(t, err, "peer_busy")
		close(release)
		wg.Wait()
		go func() { <-arrived }()
		if got, _ := ask(t, client, http.MethodPost, exchangeURL(endpoint, theLink), framesType, wire(frame("x"))); got.Status != http.StatusOK {
			t.Errorf("after the flood: %+v", got)
		}
	})

	t.Run("strangers", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, c := newNode(t, "arvenia"), newNode(t, "kestria"), newNode(t, "stranger")
			pair(a, b)
			limits := peer.DefaultLimits()
			network := newPipes()
			b.serve(t, network, limits)
			client := c.raw(t, func(tr *http.Transport) {
				tr.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return network.Dial(ctx, address) }
			})
			defer client.CloseIdleConnections()
			hello := func() int {
				got, _ := ask(t, client, http.MethodPost, "https://kestria/entente/v1/pair/hello", "application/json", strings.NewReader(`{"token":"AA=="}`))
				return got.Status
			}
			probe := func() int {
				got, _ := ask(t, client, http.MethodPost, exchangeURL("https://kestria", theLink), framesType, nil)
				return got.Status
			}
			for i := range limits.StrangersBurst / 2 {
				if h, p := hello(), probe(); h != http.StatusNotFound || p != http.StatusNotFound {
					t.Fatalf("try %d: %d, %d", i, h, p)
				}
			}
			if h, p := hello(), probe(); h != http.StatusTooManyRequests || p != http.StatusTooManyRequests {
				t.Errorf("after the burst: %d, %d", h, p)
			}
			friend := a.client(network.Dial)
			defer friend.Close()
			if _, err := friend.Exchange(t.Context(), theLink, "https://kestria", b.pins(), nil); err != nil {
				t.Errorf("a peer at the same address is refused: %v", err)
			}
			time.Sleep(time.Minute) // of the bubble
			if h := hello(); h != http.StatusNotFound {
				t.Errorf("a minute later: %d", h)
			}
		})
	})

	t.Run("connections", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := newNode(t, "arvenia"), newNode(t, "kestria")
			pair(a, b)
			limits := peer.DefaultLimits()
			limits.ConnectionsPerHost, limits.Connections = 2, 5
			network := newPipes()
			b.serve(t, network, limits)
			closed := func(from string) bool {
				network.mu.Lock()
				network.from = from
				network.mu.Unlock()
				conn, err := network.Dial(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				conn.SetReadDeadline(time.Now().Add(time.Second))
				_, err = conn.Read(make([]byte, 1))
				return errors.Is(err, io.EOF)
			}
			for i, c := range []struct {
				from string
				want bool
			}{
				{"192.0.2.1:1", false}, {"192.0.2.1:2", false}, {"192.0.2.1:3", true},
				{"[2001:db8::1]:1", false}, {"[2001:db8::2]:1", false}, {"[2001:db8::3]:1", true}, // one subscriber
				{"198.51.100.1:1", false}, {"198.51.100.2:1", true}, // five in all
			} {
				if got := closed(c.from); got != c.want {
					t.Errorf("connection %d from %s: closed %v, want %v", i, c.from, got, c.want)
				}
			}
			if b.count.of("connections") != 3 {
				t.Errorf("counted %v", b.count.seen)
			}
			time.Sleep(limits.ReadHeader) // of the bubble: those who said nothing are gone
			if closed("192.0.2.1:4") {
				t.Error("connections are never given back")
			}
		})
	})
}

func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "arvenia"), newNode(t, "kestria")
		pair(a, b)
		limits := peer.DefaultLimits()
		stuck := make(chan error, 1)
		b.house.receive = func(ctx context.Context, _ []parcel.Frame) ([]parcel.Frame, error) {
			<-ctx.Done()
			stuck <- ctx.Err()
			return nil, ctx.Err()
		}
		network := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.server(limits).Serve(ctx, network) }()
		client := a.client(network.Dial)
		defer client.Close()
		answered := make(chan error, 1)
		go func() {
			_, err := client.Exchange(t.Context(), theLink, "https://kestria", b.pins(), nil)
			answered <- err
		}()
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(start); took > limits.Grace+time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if err := <-stuck; err == nil {
			t.Error("the request under way was not cancelled")
		}
		wantCode(t, <-answered, "unreachable")
	})
}
