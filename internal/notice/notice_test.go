package notice_test

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
	"entente/internal/notice"
	"entente/statement"
)

// TestSign: the known answer of the libraries that the scheme's authors publish, and two secrets at once.
func TestSign(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	id, at, body := "msg_p5jXN8AQM9LWM0D4loKWxJek", int64(1614265330), []byte(`{"test": 2432232314}`)
	if got := notice.Sign([][]byte{secret}, id, at, body); got != want {
		t.Errorf("signed as %s, want %s", got, want)
	}
	other, shown := notice.NewSecret()
	if text, ok := strings.CutPrefix(shown, "whsec_"); !ok || text != base64.StdEncoding.EncodeToString(other) || len(other) != 32 {
		t.Errorf("a secret of %d bytes is shown as %q", len(other), shown)
	}
	both := strings.Fields(notice.Sign([][]byte{other, secret}, id, at, body))
	if len(both) != 2 || both[1] != want || both[0] == want {
		t.Errorf("signed by two as %v", both)
	}
}

func TestCheckURL(t *testing.T) {
	for _, c := range []struct {
		url     string
		private bool
		code    string
	}{
		{"https://cases.example/hook?desk=1", false, ""},
		{"https://cases.example:8443", false, ""},
		{"https://192.0.2.7/hook", false, ""},
		{"https://10.0.0.7/hook", true, ""},
		{"https://localhost:8443/hook", true, ""},
		{"http://cases.example/hook", false, "webhook_url"},
		{"http://localhost/hook", true, "webhook_url"},
		{"ftp://cases.example/hook", false, "webhook_url"},
		{"cases.example/hook", false, "webhook_url"},
		{"https:///hook", false, "webhook_url"},
		{"https:cases.example", false, "webhook_url"},
		{"https://user:secret@cases.example/", false, "webhook_url"},
		{"https://cases.example/#part", false, "webhook_url"},
		{"https://cases.example:0/", false, "webhook_url"},
		{"https://cases.example:70000/", false, "webhook_url"},
		{"https://cases.example/" + strings.Repeat("x", 2048), false, "webhook_url"},
		{"https://cases.example/\x00", false, "webhook_url"},
		{"https://10.0.0.7/hook", false, "webhook_private"},
		{"https://LOCALHOST/hook", false, "webhook_private"},
		{"https://localhost./hook", false, "webhook_private"},
		{"https://cases.localhost/hook", false, "webhook_private"},
		{"https://[::1]/hook", false, "webhook_private"},
		{"https://169.254.169.254/latest", true, "webhook_address"},
	} {
		if got := codeOf(notice.CheckURL(c.url, c.private)); got != c.code {
			t.Errorf("%.60q, private %v: %q, want %q", c.url, c.private, got, c.code)
		}
	}
}

// codeOf is the code of a refusal, "" if there is none.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.CodeOf(err)
}

func TestCheckAddress(t *testing.T) {
	for _, c := range []struct {
		address        string
		public, inside bool // whether it may be called without --private, and with it
	}{
		{"198.51.100.7", true, true}, {"2001:db8::7", true, true},
		{"127.0.0.1", false, true}, {"10.1.2.3", false, true}, {"172.16.0.1", false, true}, {"192.168.1.1", false, true}, {"100.64.0.1", false, true},
		{"::1", false, true}, {"fd00::1", false, true}, {"::ffff:10.0.0.1", false, true}, {"64:ff9b::a00:1", false, true}, {"2002:a00:1::", false, true},
		{"0.0.0.0", false, false}, {"::", false, false}, {"0.1.2.3", false, false}, {"169.254.169.254", false, false}, {"fe80::1", false, false},
		{"fe80::1%eth0", false, false}, {"224.0.0.1", false, false}, {"ff02::1", false, false}, {"255.255.255.255", false, false}, {"::ffff:169.254.169.254", false, false},
	} {
		ip := netip.MustParseAddr(c.address)
		if public, inside := notice.CheckAddress(ip, false) == nil, notice.CheckAddress(ip, true) == nil; public != c.public || inside != c.inside {
			t.Errorf("%s: public %v, private %v, want %v and %v", c.address, public, inside, c.public, c.inside)
		}
	}
}

func TestHookCheck(t *testing.T) {
	good := notice.Hook{URL: "https://cases.example/hook", Types: []string{notice.CallReceived}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for code, change := range map[string]func(*notice.Hook){
		"webhook_url":   func(h *notice.Hook) { h.URL = "http://cases.example" },
		"webhook_types": func(h *notice.Hook) { h.Types = []string{"call"} },
		"webhook_ca":    func(h *notice.Hook) { h.CA = []byte("no certificate") },
		"note":          func(h *notice.Hook) { h.Note = strings.Repeat("x", 201) },
	} {
		h := good
		change(&h)
		if err := h.Check(); fault.CodeOf(err) != code {
			t.Errorf("%v, want it refused as %s", err, code)
		}
	}
	twice := good
	twice.Types = []string{notice.CallReceived, notice.CallReceived}
	if twice.Check() == nil {
		t.Error("an event that is named twice is taken")
	}
	if !good.Tells(notice.CallReceived) || good.Tells(notice.CallSaid) || !good.Tells(notice.Test) || !(notice.Hook{}).Tells(notice.CallSaid) ||
		(notice.Hook{Disabled: 1}).Tells(notice.CallSaid) {
		t.Error("a webhook is told of other events than it asks for")
	}
}

// The same event has the same id, another has another; and its body says no more than what it was given.
func TestEvent(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 0, 0, 7000, time.UTC)
	e := notice.Event{Type: notice.CallReceived, Ref: "a", At: at.UnixMicro(), Data: notice.Data{LinkName: "kestria", Kind: "hotline.call", Statement: &statement.Commitment{1}, Due: &at}}
	ids := []string{e.ID()}
	e.At++
	if e.ID() != ids[0] || len(ids[0]) != 36 || strings.Contains(ids[0], ".") {
		t.Errorf("the id %q", ids[0])
	}
	for _, x := range []notice.Event{{Type: notice.CallReceived, Ref: "b"}, {Type: notice.CallSaid, Ref: "a"}} {
		ids = append(ids, x.ID())
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 3 {
		t.Error("two events have one id")
	}
	e.At--
	d, err := e.New("0123456789ab")
	want := `{"type":"call.received","timestamp":"2026-11-02T08:00:00.000007Z","data":{"link_name":"kestria","kind":"hotline.call","statement":"01` +
		strings.Repeat("0", 62) + `","due":"2026-11-02T08:00:00.000007Z"}}`
	if err != nil || string(d.Body) != want || d.State != notice.Waiting || d.ID != e.ID() || d.Hook != "0123456789ab" {
		t.Errorf("%+v, %v\n%s\nwant\n%s", d, err, d.Body, want)
	}
}

func TestAfter(t *testing.T) {
	const now = 1_000_000_000
	for _, c := range []struct {
		name    string
		outcome notice.Outcome
		hook    notice.Hook
		tries   int

		state      notice.DeliveryState
		code       string
		more       bool
		rests      time.Duration // of the receiver
		waits      time.Duration // of this delivery alone
		disabled   string
		failures   int
		failsSince int64
	}{
		{name: "taken", outcome: notice.Outcome{Status: 204}, hook: notice.Hook{Failures: 3, Failing: 7, Next: 9, Code: "busy"}, state: notice.Delivered, more: true},
		{name: "away", outcome: notice.Outcome{Code: "unreachable"}, state: notice.Waiting, code: "unreachable", rests: 5 * time.Second, failures: 1, failsSince: now},
		{name: "away again", outcome: notice.Outcome{Code: "timeout"}, hook: notice.Hook{Failures: 2, Failing: 7}, state: notice.Waiting, code: "timeout",
			rests: 45 * time.Second, failures: 3, failsSince: 7},
		{name: "away for long", outcome: notice.Outcome{Code: "timeout"}, hook: notice.Hook{Failures: 40, Failing: 7}, state: notice.Waiting, code: "timeout",
			rests: 6 * time.Hour, failures: 41, failsSince: 7},
		{name: "away for days", outcome: notice.Outcome{Code: "tls"}, hook: notice.Hook{Failures: 40, Failing: now - (4 * 24 * time.Hour).Microseconds()},
			state: notice.Waiting, code: "tls", rests: 6 * time.Hour, failures: 41, failsSince: now - (4 * 24 * time.Hour).Microseconds(), disabled: notice.Failing},
		{name: "busy", outcome: notice.Outcome{Status: 503, RetryAfter: time.Minute}, state: notice.Waiting, code: notice.CodeBusy, rests: time.Minute, failures: 1, failsSince: now},
		{name: "busy for ever", outcome: notice.Outcome{Status: 429, RetryAfter: 1000 * time.Hour}, state: notice.Waiting, code: notice.CodeBusy,
			rests: 24 * time.Hour, failures: 1, failsSince: now},
		{name: "elsewhere", outcome: notice.Outcome{Status: 307}, state: notice.Waiting, code: notice.CodeRedirect, rests: 5 * time.Second, failures: 1, failsSince: now},
		{name: "gone", outcome: notice.Outcome{Status: 410}, state: notice.Waiting, code: notice.CodeGone, disabled: notice.Gone},
		{name: "this one refused", outcome: notice.Outcome{Status: 400}, hook: notice.Hook{Failures: 2, Failing: 7}, state: notice.Waiting, code: notice.CodeRefused,
			more: true, waits: 5 * time.Second},
		{name: "this one refused for good", outcome: notice.Outcome{Status: 404}, tries: 9, state: notice.GivenUp, code: notice.CodeRefused, more: true, waits: 6 * time.Hour},
	} {
		h, d, more := notice.After(c.hook, notice.Delivery{State: notice.Waiting, Attempts: c.tries, Next: 3}, c.outcome, now)
		if d.State != c.state || d.Code != c.code || h.Code != c.code || d.Attempts != c.tries+1 || d.Status != c.outcome.Status || more != c.more {
			t.Errorf("%s: %+v, %+v, more %v", c.name, h, d, more)
		}
		if h.Failures != c.failures || h.Failing != c.failsSince || h.Why != c.disabled || (h.Disabled != 0) != (c.disabled != "") {
			t.Errorf("%s: the receiver %+v", c.name, h)
		}
		rests, waits := int64(0), int64(3)
		if c.rests > 0 {
			rests = now + c.rests.Microseconds()
		}
		if c.waits > 0 {
			waits = now + c.waits.Microseconds()
		}
		if h.Next != rests || d.Next != waits || (d.Ended != 0) != (c.state != notice.Waiting) {
			t.Errorf("%s: next %d and %d, want %d and %d; ended %d", c.name, h.Next, d.Next, rests, waits, d.Ended)
		}
	}
	if h := (notice.Hook{ID: "a", Failures: 2, Failing: 3, Next: 4, Code: "c", Disabled: 5, Why: "w"}).Resumed(); h.Failures+int(h.Failing+h.Next+h.Disabled) != 0 || h.Code+h.Why != "" || h.ID != "a" {
		t.Errorf("resumed as %+v", h)
	}
}

// FuzzCheckURL: whatever is accepted without --private is an https address of no private network, and reads the same again.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://cases.example/hook", "https://[::1]:8443/", "https://10.0.0.7", "http://a", "https://a@b", "https://0x7f.1/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if notice.CheckURL(text, false) != nil {
			return
		}
		if !strings.HasPrefix(strings.ToLower(text), "https://") {
			t.Errorf("%q is accepted", text)
		}
		if err := notice.CheckURL(text, true); err != nil {
			t.Errorf("%q is refused with --private alone: %v", text, err)
		}
	})
}
