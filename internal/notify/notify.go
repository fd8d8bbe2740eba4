// Package notify is the door to a party's own systems: it posts to the receivers that an operator has named what the house has queued
// for them, signed as Standard Webhooks 1.0.0 has it.
//
// It promises that a notice is posted until its receiver took it, or is given up where people see it; that a receiver which is away,
// slow or hostile keeps nothing but its own notices waiting, and costs one request at a time, bounded in bytes and time; and that
// where a name leads to is looked at when it is called, whatever it led to before. It refuses plain HTTP, redirects, proxies, and
// to learn anything from an answer but its status and when to come again.
package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/notice"
)

// House is what this door asks of the house; *flow.House satisfies it.
type House interface {
	Postings(ctx context.Context) ([]flow.Posting, error)
	Posted(ctx context.Context, d notice.Delivery, o notice.Outcome) (more bool, err error)
	TellDue(ctx context.Context) error
	TrimDeliveries(ctx context.Context) error
}

// Config is what a Notifier is built from; every member is required.
type Config struct {
	House   House
	Every   time.Duration // how often is looked for what is to be posted
	Timeout time.Duration // of one request
	Now     func() time.Time
	Log     *slog.Logger
	Count   flow.Counter
}

// How often is looked for clocks that ran out, and for what is kept no longer.
const (
	dueEvery  = 10 * time.Second
	trimEvery = 10 * time.Minute
)

const (
	maxAnswer = 4 << 10  // bytes of an answer's body that are read, so that the connection can be used again
	maxHeader = 16 << 10 // bytes of an answer's header
)

// Notifier posts what is queued. Run runs it.
type Notifier struct {
	cfg  Config
	busy sync.Map // id of a webhook → true: something is being posted to it
}

// New makes a notifier.
func New(c Config) *Notifier { return &Notifier{cfg: c} }

// Run posts until ctx ends, to each receiver by itself.
func (n *Notifier) Run(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.Every)
	defer tick.Stop()
	var posting sync.WaitGroup
	defer posting.Wait()
	var due, trim time.Time // when these are next
	for {
		if now := n.cfg.Now(); !now.Before(due) {
			due = now.Add(dueEvery)
			n.tried(ctx, "telling of clocks that ran out", n.cfg.House.TellDue(ctx))
		}
		if now := n.cfg.Now(); !now.Before(trim) {
			trim = now.Add(trimEvery)
			n.tried(ctx, "removing notices that are kept no longer", n.cfg.House.TrimDeliveries(ctx))
		}
		n.round(ctx, &posting)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Notifier) tried(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		n.cfg.Log.ErrorContext(ctx, what, "err", err)
	}
}

// round begins to post to every receiver for which something is queued, and to which nothing is being posted.
func (n *Notifier) round(ctx context.Context, posting *sync.WaitGroup) {
	list, err := n.cfg.House.Postings(ctx)
	n.tried(ctx, "reading what is to be posted", err)
	for _, p := range list {
		if _, busy := n.busy.LoadOrStore(p.Hook.ID, true); !busy {
			posting.Go(func() {
				defer n.busy.Delete(p.Hook.ID)
				n.postAll(ctx, p)
			})
		}
	}
}

// postAll posts to one receiver, one after the other, until it takes no more. What was listed may have been posted since by the round
// before: the receiver knows it again by its id.
func (n *Notifier) postAll(ctx context.Context, p flow.Posting) {
	client := newClient(p.Hook, n.cfg.Timeout)
	defer client.CloseIdleConnections()
	for _, d := range p.Deliveries {
		o := n.post(ctx, client, p, d)
		if ctx.Err() != nil { // we stop: that says nothing of the receiver
			return
		}
		if o.Code != "" {
			n.cfg.Count.Refused("notify", o.Code)
		}
		more, err := n.cfg.House.Posted(ctx, d, o)
		n.tried(ctx, "keeping how a notice was taken", err)
		if err != nil || !more {
			return
		}
	}
}

// The codes of attempts that got no answer, beside those of notice.CheckAddress.
const (
	codeUnreachable = "unreachable"
	codeTimeout     = "timeout"
	codeTLS         = "tls"
)

// post makes one attempt.
func (n *Notifier) post(ctx context.Context, client *http.Client, p flow.Posting, d notice.Delivery) notice.Outcome {
	now := n.cfg.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Hook.URL, bytes.NewReader(d.Body))
	if err != nil {
		return notice.Outcome{Code: codeUnreachable}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "entente")
	r.Header.Set("webhook-id", d.ID)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", notice.Sign(p.Secrets, d.ID, now.Unix(), d.Body))
	resp, err := client.Do(r)
	if err != nil {
		return notice.Outcome{Code: codeOf(err)}
	}
	defer resp.Body.Close()
	// The status is the whole answer. A body that fails or does not end only costs the connection.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return notice.Outcome{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
}

// newClient speaks to one receiver: TLS, its own certificates if it has some, the addresses that it may have, and nowhere else.
func newClient(h notice.Hook, timeout time.Duration) *http.Client {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(h.CA) > 0 {
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(h.CA)
	}
	dialer := &net.Dialer{Timeout: timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("the address %q of a receiver: %w", address, err)
		}
		return notice.CheckAddress(to.Addr(), h.Private)
	}}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: conf, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxConnsPerHost: 1, MaxResponseHeaderBytes: maxHeader,
		},
	}
}

// codeOf says why no answer came.
func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.CodeOf(f)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return codeTLS
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return codeTLS
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return codeTLS
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return codeTimeout
	}
	return codeUnreachable
}

// retryAfter is how long a receiver asks to be left alone (RFC 9110, section 10.2.3); 0 if it does not, or is not understood.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
