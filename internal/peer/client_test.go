package peer_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/peer"
	"entente/parcel"
	"entente/party"

	"github.com/google/go-cmp/cmp"
)

// hostile runs a server that holds n's key and answers as it likes.
func (n *node) hostile(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{n.cert}, NextProtos: []string{"h2"}}}
	go server.ServeTLS(l, "", "")
	t.Cleanup(func() { server.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://localhost:" + port
}

func TestHostileAnswers(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	frames := func(w http.ResponseWriter) { w.Header().Set("Content-Type", framesType) }
	elsewhere := 0
	var taken atomic.Int64
	other := b.hostile(t, func(http.ResponseWriter, *http.Request) { elsewhere++ })
	for _, c := range []struct {
		name    string
		code    string
		handler http.HandlerFunc
	}{
		{"endless", "answer", func(w http.ResponseWriter, r *http.Request) {
			frames(w)
			segment := wire(parcel.Frame{Kind: parcel.FrameSegment, Payload: make([]byte, 1<<20)}).Bytes()
			for r.Context().Err() == nil {
				n, _ := w.Write(segment)
				taken.Add(int64(n))
			}
		}},
		{"too many frames", "answer", func(w http.ResponseWriter, _ *http.Request) {
			frames(w)
			w.Write(bytes.Repeat(wire(frame("x")).Bytes(), 1025))
		}},
		{"not frames", "answer", func(w http.ResponseWriter, _ *http.Request) { frames(w); io.WriteString(w, "hello") }},
		{"cut", "answer", func(w http.ResponseWriter, _ *http.Request) { frames(w); w.Write([]byte{3, 0, 0, 0, 9, 1}) }},
		{"wrong type", "answer", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }},
		{"compressed", "answer", func(w http.ResponseWriter, _ *http.Request) { frames(w); w.Header().Set("Content-Encoding", "gzip") }},
		{"redirect", "peer_refused", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other, http.StatusTemporaryRedirect)
		}},
		{"long header", "unreachable", func(w http.ResponseWriter, _ *http.Request) {
			frames(w)
			w.Header().Set("X-Padding", strings.Repeat("x", 1<<20))
		}},
		{"hostile problem", "peer_refused", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, `{"title":"t","status":418,"detail":"run this: rm -rf","code":"<script>"}`)
		}},
		{"endless problem", "peer_refused", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			for r.Context().Err() == nil {
				w.Write(make([]byte, 1<<20))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := a.client(nil)
			defer client.Close()
			got, err := client.Exchange(t.Context(), theLink, b.hostile(t, c.handler), b.pins(), []parcel.Frame{frame("x")})
			wantCode(t, err, c.code)
			if fault.KindOf(err) != fault.Unavailable || got != nil {
				t.Errorf("kind %s, %d frames", fault.KindOf(err), len(got))
			}
			if strings.Contains(err.Error(), "rm -rf") || strings.Contains(err.Error(), "script") {
				t.Errorf("the stranger's words are repeated: %v", err)
			}
		})
	}
	if n := taken.Load(); n > 64<<20 {
		t.Errorf("%d bytes of an endless answer were taken", n)
	}
	if elsewhere != 0 {
		t.Error("a redirect was followed")
	}
}

func TestServerThatNeverAnswers(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		client := a.client(network.Dial)
		defer client.Close()
		go func() {
			c, err := network.Accept()
			if err == nil {
				io.Copy(io.Discard, c)
			}
		}()
		start := time.Now()
		_, err := client.Exchange(t.Context(), theLink, "https://kestria", b.pins(), nil)
		wantCode(t, err, "unreachable")
		if took := time.Since(start); took > peer.DefaultLimits().ReadHeader+time.Second {
			t.Errorf("gave up only after %v", took)
		}
	})
}

func TestEndpoints(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	client := a.client(nil)
	for endpoint, code := range map[string]string{
		"http://kestria.localhost:1": "endpoint", "ftp://x": "endpoint", "": "endpoint", "https://%zz": "endpoint",
		"https://kestria.localhost:1": "unreachable", "https://LOCALHOST.:1": "unreachable",
	} {
		_, err := client.Exchange(t.Context(), theLink, endpoint, b.pins(), nil)
		wantCode(t, err, code)
		if strings.Contains(err.Error(), "lookup") {
			t.Errorf("%s: a name server was asked: %v", endpoint, err)
		}
	}
}

func TestPins(t *testing.T) {
	old, latest := []byte("old key"), []byte("new key")
	changed := time.UnixMicro(1_780_000_000_000_000)
	since := int64(1)
	chain := func(compromised *int64) *party.Chain {
		return &party.Chain{Versions: []party.Identity{
			{Version: 1, Transport: []byte("ancient key")},
			{Version: 2, Transport: old},
			{Version: 3, Transport: latest, NotBefore: changed.UnixMicro(), CompromiseSince: compromised},
		}}
	}
	for _, c := range []struct {
		name  string
		chain *party.Chain
		now   time.Time
		want  [][]byte
	}{
		{"at once", chain(nil), changed, [][]byte{latest, old}},
		{"at the end of the overlap", chain(nil), changed.Add(party.Overlap - 1), [][]byte{latest, old}},
		{"after the overlap", chain(nil), changed.Add(party.Overlap), [][]byte{latest}},
		{"compromised", chain(&since), changed, [][]byte{latest}},
		{"first version", &party.Chain{Versions: []party.Identity{{Version: 1, Transport: old}}}, changed, [][]byte{old}},
	} {
		if diff := cmp.Diff(c.want, peer.Pins(flow.TransportOf(c.chain), c.now).Keys); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// invite makes an invitation that n's house knows.
func (n *node) invite(endpoint string) *flow.Invitation {
	token, offer := bytes.Repeat([]byte{7}, 32), []byte("offer")
	n.house.invited = map[string]*invited{string(token): {nonce: [32]byte{5}, offer: offer}}
	return &flow.Invitation{V: 1, Identity: n.chain.Envelopes, Endpoint: endpoint, Token: token, Offer: offer,
		Expires: time.Now().Add(time.Hour).UnixMicro()}
}

var operator = actor.Actor{Kind: actor.Member, Name: "op", Roles: []actor.Role{actor.Operator}}

func TestPair(t *testing.T) {
	a, b := newNode(t, "arvenia"), newNode(t, "kestria")
	endpoint := a.listen(t, peer.DefaultLimits())
	inv := a.invite(endpoint)
	client := b.client(nil)
	defer client.Close()
	link, err := client.Pair(t.Context(), b.house, operator, inv, "arvenia", "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.house.paired, b.house.paired) || b.house.paired[0] != link {
		t.Fatalf("the two sides made different links: %v, %v", a.house.paired, b.house.paired)
	}
	if _, err := client.Exchange(t.Context(), link, endpoint, a.pins(), []parcel.Frame{frame("hello")}); err != nil {
		t.Errorf("the new link does not work: %v", err)
	}
	_, err = client.Pair(t.Context(), b.house, operator, inv, "again", "")
	wantCode(t, err, "peer_unknown")
}

// TestPairRefused: the invitee ends with no link, and asks the network for nothing that it need not.
func TestPairRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		who   actor.Actor
		alias string
		spoil func(t *testing.T, inviter, other *node, inv *flow.Invitation)
		code  string
	}{
		{"not an operator", actor.Actor{Kind: actor.Member, Roles: []actor.Role{actor.Drafter}}, "x", nil, "role"},
		{"alias taken", operator, "taken", nil, "alias"},
		{"expired", operator, "x", func(_ *testing.T, _, _ *node, inv *flow.Invitation) { inv.Expires = time.Now().UnixMicro() - 1 }, "expired"},
		{"damaged identity", operator, "x", func(_ *testing.T, _, _ *node, inv *flow.Invitation) {
			inv.Identity = [][]byte{bytes.Replace(inv.Identity[0], []byte("A"), []byte("B"), 1)}
		}, "identity"},
		{"unknown token", operator, "x", func(_ *testing.T, _, _ *node, inv *flow.Invitation) { inv.Token = make([]byte, 32) }, "peer_unknown"},
		{"another node answers", operator, "x", func(t *testing.T, _, other *node, inv *flow.Invitation) {
			inv.Endpoint = other.listen(t, peer.DefaultLimits())
			other.house.invited = map[string]*invited{string(inv.Token): {offer: inv.Offer}}
		}, "pin"},
		{"another offer", operator, "x", func(_ *testing.T, _, _ *node, inv *flow.Invitation) { inv.Offer = []byte("a worse one") }, "commitment"},
		{"short nonce", operator, "x", func(t *testing.T, inviter, _ *node, inv *flow.Invitation) {
			inv.Endpoint = inviter.hostile(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "hello") {
					io.WriteString(w, `{"commit":"`+envelope.Hash{1}.String()+`"}`)
					return
				}
				io.WriteString(w, `{"nonce":"AAAA"}`)
			})
		}, "nonce"},
		{"loose JSON", operator, "x", func(t *testing.T, inviter, _ *node, inv *flow.Invitation) {
			inv.Endpoint = inviter.hostile(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, `{"commit":"`+envelope.Hash{1}.String()+`","COMMIT":1}`)
			})
		}, "answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b, other := newNode(t, "arvenia"), newNode(t, "kestria"), newNode(t, "stranger")
			inv := a.invite(a.listen(t, peer.DefaultLimits()))
			if c.spoil != nil {
				c.spoil(t, a, other, inv)
			}
			client := b.client(nil)
			defer client.Close()
			_, err := client.Pair(t.Context(), b.house, c.who, inv, c.alias, "")
			wantCode(t, err, c.code)
			if len(b.house.paired) != 0 {
				t.Error("the invitee made a link all the same")
			}
		})
	}
}

// TestPairWithAnothersIdentity: who holds a stolen invitation cannot pair as somebody whose key it does not hold.
func TestPairWithAnothersIdentity(t *testing.T) {
	a, b, thief := newNode(t, "arvenia"), newNode(t, "kestria"), newNode(t, "stranger")
	inv := a.invite(a.listen(t, peer.DefaultLimits()))
	thief.house.self = b.chain
	client := thief.client(nil)
	defer client.Close()
	_, err := client.Pair(t.Context(), thief.house, operator, inv, "arvenia", "")
	wantCode(t, err, "peer_refused")
	if len(a.house.paired) != 0 || len(thief.house.paired) != 0 {
		t.Error("a link was made")
	}
	if a.count.of("transport") != 1 {
		t.Errorf("counted %v", a.count.seen)
	}
}
