package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/witness"
	"entente/ledger"
	"entente/statement"

	"golang.org/x/mod/sumdb/note"
)

const origin = "witness.example/w1"

// keys are those of the witness of a name.
func keys(t testing.TB, name string) (vkey string, signers []note.Signer) {
	t.Helper()
	seed := envelope.Sum([]byte(name))
	public, err := ledger.NoteKeysFromSeeds(seed[:], seed[:])
	if err != nil {
		t.Fatal(err)
	}
	if signers, err = ledger.WitnessSigners(name, seed[:], seed[:], func() int64 { return time.Now().Unix() }); err != nil {
		t.Fatal(err)
	}
	return ledger.VerifierKeys(name, public)[1], signers
}

// ledgers is a house with one growing ledger per link: what is cosigned by the peer, and what by the witness.
type ledgers struct {
	mu    sync.Mutex
	size  map[statement.LinkID]int64
	held  map[statement.LinkID]int64
	asked []int64 // old sizes, in order
	wrong int     // answers that were refused
}

func newLedgers(n int) *ledgers {
	l := &ledgers{size: map[statement.LinkID]int64{}, held: map[statement.LinkID]int64{}}
	for i := range n {
		l.size[envelope.Sum([]byte{byte(i)})] = 10
	}
	return l
}

func (l *ledgers) Unwitnessed(context.Context, ledger.Witness) (due []exchange.Link, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, size := range l.size {
		if size > l.held[id] {
			due = append(due, exchange.Link{ID: id, Alias: id.String()[:8]})
		}
	}
	return due, nil
}

func (l *ledgers) AskWitness(_ context.Context, link statement.LinkID, _ ledger.Witness, old int64) (*flow.WitnessRequest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old < 0 {
		old = l.held[link]
	}
	if old > l.size[link] {
		return nil, fault.New(fault.Conflict, "witness_ahead", "It is ahead.")
	}
	l.asked = append(l.asked, old)
	body := ledger.AddCheckpoint{OldSize: old, Note: fmt.Appendf(nil, "%s\n%d\n", link, l.size[link])}.Encode()
	return &flow.WitnessRequest{Link: link, Size: l.size[link], Body: body}, nil
}

func (l *ledgers) Witnessed(_ context.Context, q *flow.WitnessRequest, _ ledger.Witness, lines []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if string(lines) != "cosigned\n" {
		l.wrong++
		return fault.New(fault.Invalid, "witness_answer", "No valid cosignature.")
	}
	l.held[q.Link] = q.Size
	return nil
}

func (l *ledgers) grow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.size {
		l.size[id]++
	}
}

func (l *ledgers) behind() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, size := range l.size {
		if l.held[id] < size {
			n++
		}
	}
	return n
}

func (l *ledgers) Refused(string, string) {}

// answers is a witness as the network shows it.
type answers struct {
	mu     sync.Mutex
	count  int
	answer func(r *http.Request) (*http.Response, error)
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.count++
	answer := a.answer
	a.mu.Unlock()
	return answer(r)
}

func (a *answers) set(f func(*http.Request) (*http.Response, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

func (a *answers) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

func status(code int, media string, body io.Reader) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(body)}, nil
	}
}

func cosigned(*http.Request) (*http.Response, error) {
	return status(http.StatusOK, "text/plain", strings.NewReader("cosigned\n"))(nil)
}

func refused(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

const (
	every   = 10 * time.Minute
	timeout = 10 * time.Second
)

// start runs an asker in the bubble until the test's function ends.
func start(t *testing.T, house *ledgers, network *answers) (*witness.Asker, func()) {
	t.Helper()
	vkey, _ := keys(t, origin)
	list, err := witness.Parse(vkey + " https://witness.example/prefix/")
	if err != nil {
		t.Fatal(err)
	}
	a := witness.New(witness.Config{Witnesses: list, House: house, Every: every, Timeout: timeout, Transport: network,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Count: house})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestWitnessOffline72h: a third party that is away for three days is asked about once an hour however many ledgers grow,
// and catches up in one round when it is back.
func TestWitnessOffline72h(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		house, network := newLedgers(100), &answers{answer: refused}
		a, stop := start(t, house, network)
		defer stop()
		for range 72 * 6 {
			house.grow()
			time.Sleep(10 * time.Minute)
		}
		if n := network.requests(); n < 72 || n > 80 {
			t.Errorf("%d requests in 72 hours", n)
		}
		if s := a.Standings(nil); len(s) != 1 || s[0].Code != "witness_away" {
			t.Errorf("it stands: %+v", s)
		}
		network.set(cosigned)
		time.Sleep(time.Hour + time.Second)
		if n := house.behind(); n != 0 {
			t.Errorf("%d ledgers are behind an hour after the witness is back", n)
		}
		if s := a.Standings(nil); s[0].Code != "" {
			t.Errorf("it stands: %+v", s)
		}
	})
}

// blocked never answers by itself.
func blocked(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// drip sends a byte now and then, for ever.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(time.Second):
		p[0] = 'x'
		return 1, nil
	}
}

// endless counts what is read of an answer without an end.
type endless struct{ read *int }

func (e endless) Read(p []byte) (int, error) { *e.read += len(p); return len(p), nil }

// TestBadWitnesses: each way to be of no use ends the round, or leaves one ledger alone, within bounds.
func TestBadWitnesses(t *testing.T) {
	read := 0
	for _, c := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		code   string
		round  int // requests of the first round, of three ledgers
	}{
		{"refuses connections", refused, "witness_away", 1},
		{"never answers", blocked, "witness_away", 1},
		{"drips", func(r *http.Request) (*http.Response, error) { return status(200, "", drip{r.Context()})(r) }, "witness_away", 1},
		{"never ends", func(r *http.Request) (*http.Response, error) { return status(200, "", endless{&read})(r) }, "witness_away", 1},
		{"garbage", status(200, "text/html", strings.NewReader("<html>log in first</html>")), "witness_answer", 1},
		{"nothing", status(200, "", bytes.NewReader(nil)), "witness_answer", 1},
		{"redirects", status(302, "", bytes.NewReader(nil)), "witness_away", 1},
		{"fails", status(500, "", bytes.NewReader(nil)), "witness_away", 1},
		{"is busy", status(429, "", bytes.NewReader(nil)), "witness_away", 1},
		{"knows no log", status(404, "", bytes.NewReader(nil)), "witness_unknown", 3},
		{"knows no key", status(403, "", bytes.NewReader(nil)), "witness_keys", 3},
		{"finds no continuation", status(422, "", bytes.NewReader(nil)), "witness_history", 3},
		{"finds it malformed", status(400, "", bytes.NewReader(nil)), "witness_refused", 3},
		{"another root", status(409, "text/plain", bytes.NewReader(nil)), "witness_history", 3},
		{"a size that is none", status(409, "text/x.tlog.size", strings.NewReader("-7\n")), "witness_history", 3},
		{"ahead", func(r *http.Request) (*http.Response, error) {
			return status(409, "text/x.tlog.size", strings.NewReader("4000\n"))(r)
		}, "witness_ahead", 3},
		{"another size each time", func(r *http.Request) (*http.Response, error) {
			return status(409, "text/x.tlog.size", strings.NewReader("3\n"))(r)
		}, "witness_history", 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				house, network := newLedgers(3), &answers{answer: c.answer}
				a, stop := start(t, house, network)
				defer stop()
				time.Sleep(timeout + time.Second)
				if n := network.requests(); n != c.round {
					t.Errorf("%d requests in the first round, want %d", n, c.round)
				}
				if s := a.Standings(nil); s[0].Code != c.code || s[0].Trouble == "" {
					t.Errorf("it stands: %+v", s[0])
				}
				time.Sleep(24 * time.Hour)
				if n := network.requests(); n > 30*c.round {
					t.Errorf("%d requests in a day", n)
				}
				if n := house.behind(); n != 3 {
					t.Errorf("%d ledgers are behind, want all", n)
				}
				network.set(cosigned)
				time.Sleep(time.Hour + timeout)
				if n := house.behind(); n != 0 {
					t.Errorf("%d ledgers are behind after it mended its ways", n)
				}
			})
		})
	}
	if read > 20*30*ledger.MaxNote {
		t.Errorf("%d bytes were read of answers without an end", read)
	}
}

// TestConflict: a witness that has cosigned another size names it, and is asked from there.
func TestConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		house, network := newLedgers(1), &answers{}
		network.set(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if r.Method != http.MethodPost || r.URL.String() != "https://witness.example/prefix/add-checkpoint" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if !bytes.HasPrefix(body, []byte("old 4\n")) {
				return status(409, "text/x.tlog.size", strings.NewReader("4\n"))(r)
			}
			return cosigned(r)
		})
		_, stop := start(t, house, network)
		defer stop()
		time.Sleep(time.Second)
		if house.behind() != 0 || len(house.asked) != 2 || house.asked[1] != 4 {
			t.Errorf("behind %d, asked from %v", house.behind(), house.asked)
		}
	})
}

// TestOneSlowWitness: a witness is asked by itself, so that another's sleep costs it nothing.
func TestOneSlowWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _ := keys(t, "one.example")
		two, _ := keys(t, "two.example")
		list, err := witness.Parse(one + " https://one.example " + two + " https://two.example")
		if err != nil {
			t.Fatal(err)
		}
		house, network := newLedgers(5), &answers{}
		network.set(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "one.example" {
				return blocked(r)
			}
			return cosigned(r)
		})
		a := witness.New(witness.Config{Witnesses: list, House: house, Every: every, Timeout: timeout, Transport: network,
			Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Count: house})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		time.Sleep(time.Second)
		if n := house.behind(); n != 0 {
			t.Errorf("%d ledgers are behind while another witness sleeps", n)
		}
		stop() // while the first is still asked
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestParse(t *testing.T) {
	one, _ := keys(t, "one.example/w")
	two, _ := keys(t, "two.example/w")
	if list, err := witness.Parse("  " + one + "\thttps://one.example/a/  " + two + " http://127.0.0.1:8080"); err != nil || len(list) != 2 ||
		list[0].URL != "https://one.example/a" || list[1].URL != "http://127.0.0.1:8080" || list[1].Key.Name() != "two.example/w" {
		t.Errorf("two witnesses: %v, %v", list, err)
	}
	if list, err := witness.Parse(""); err != nil || len(list) != 0 {
		t.Errorf("none: %v, %v", list, err)
	}
	nine := ""
	for i := range witness.MaxWitnesses + 1 {
		key, _ := keys(t, fmt.Sprintf("w%d.example", i))
		nine += key + " https://w.example "
	}
	for _, bad := range []string{
		one, "https://one.example " + one, one + " one.example", one + " http://one.example", one + " https://user@one.example",
		one + " https://one.example?x", one + " https://one.example#x", one + " ftp://one.example", one + " https://", one + " https://a.example " + one + " https://b.example",
		"one.example+00000000+AAAA https://one.example", nine,
	} {
		if list, err := witness.Parse(bad); err == nil {
			t.Errorf("%.80q: %v", bad, list)
		}
	}
}
