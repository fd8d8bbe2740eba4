// Package witness is the door to third parties that cosign the heads of our own ledgers (C2SP tlog-witness), beside the
// counterparties and after them. No node has any unless its operator names some.
//
// It promises that a witness which is away, slow, wrong or hostile costs one request at a time, bounded in bytes and
// time, and a rest that grows; that each witness is asked by itself; and that nothing is told but the origin, size and
// root of a head with our signatures, and a proof made of hashes. It refuses to judge what is kept: the house verifies each
// cosignature. Nothing of a link waits for it.
package witness

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/ledger"
	"entente/statement"

	"golang.org/x/sync/errgroup"
)

// MaxWitnesses is how many a node may have: so many cosignatures fit into a note beside those of the parties.
const MaxWitnesses = 8

// Witness is a third party: its key, and the submission prefix where it takes checkpoints.
type Witness struct {
	Key ledger.Witness
	URL string
}

// Parse reads witnesses as the settings have them: a verifier key and a URL of each, with spaces between.
func Parse(text string) ([]Witness, error) {
	fields := strings.Fields(text)
	if len(fields)%2 != 0 || len(fields) > 2*MaxWitnesses {
		return nil, fmt.Errorf("it must be a verifier key and a URL for each witness, with spaces between, and %d witnesses at most", MaxWitnesses)
	}
	var list []Witness
	for i := 0; i < len(fields); i += 2 {
		key, err := ledger.ParseWitness(fields[i])
		if err != nil {
			return nil, fmt.Errorf("%.40s…: %w", fields[i], err)
		}
		prefix, err := parsePrefix(fields[i+1])
		if err != nil {
			return nil, err
		}
		for _, w := range list {
			if w.Key.ID() == key.ID() {
				return nil, fmt.Errorf("the witness %s is named twice", key.ID())
			}
		}
		list = append(list, Witness{key, prefix})
	}
	return list, nil
}

// parsePrefix takes https, and http to this machine, where something else may carry it further.
func parsePrefix(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the URL of a witness", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !ip.IsLoopback()) {
		return "", fmt.Errorf("%q must begin with https://", text)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// House is what this door asks of the house; *flow.House satisfies it.
type House interface {
	Unwitnessed(ctx context.Context, w ledger.Witness) ([]exchange.Link, error)
	AskWitness(ctx context.Context, link statement.LinkID, w ledger.Witness, old int64) (*flow.WitnessRequest, error)
	Witnessed(ctx context.Context, q *flow.WitnessRequest, w ledger.Witness, lines []byte) error
}

// Config is what an Asker is built from; every member but Witnesses is required.
type Config struct {
	Witnesses []Witness
	House     House
	Every     time.Duration // how often a witness is asked for what is new
	Timeout   time.Duration // of one request
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger
	Count     flow.Counter
}

// Asker asks witnesses for cosignatures. Run runs it; it is safe for concurrent use.
type Asker struct {
	cfg   Config
	asked []*asked
}

// New makes an asker.
func New(c Config) *Asker {
	a := &Asker{cfg: c}
	for _, w := range c.Witnesses {
		a.asked = append(a.asked, &asked{Asker: a, Witness: w, logs: map[statement.LinkID]trouble{}})
	}
	return a
}

// Run asks until ctx ends, each witness by itself.
func (a *Asker) Run(ctx context.Context) error {
	var loops errgroup.Group
	for _, w := range a.asked {
		loops.Go(func() error { w.run(ctx); return nil })
	}
	<-ctx.Done()
	return loops.Wait()
}

// Standing is how a witness does: of all ledgers, or of one.
type Standing struct {
	Witness Witness
	Code    string // of what went wrong last; empty while all is well
	Trouble string // in a sentence
}

// Standings tells how the witnesses do in what concerns this link; without one, how they do with all that they were
// asked for, in its first trouble.
func (a *Asker) Standings(link *statement.LinkID) []Standing {
	var out []Standing
	for _, w := range a.asked {
		t := w.standing(link)
		out = append(out, Standing{w.Witness, t.code, t.sentence})
	}
	return out
}

// maxRest bounds how long nobody asks a witness that failed again and again, where it is asked more often than that.
const maxRest = time.Hour

// asked is one witness and what the running node remembers of it: after a restart it is simply asked once more.
type asked struct {
	*Asker
	Witness

	mu   sync.Mutex
	away trouble                      // with whatever it is asked; guarded by mu
	logs map[statement.LinkID]trouble // with one ledger; guarded by mu
}

// trouble is what went wrong last, so many times in a row.
type trouble struct {
	code, sentence string
	tries          int
	rest           time.Time // nothing is asked before
}

func (w *asked) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		w.round(ctx)
		timer.Reset(w.pause())
	}
}

// pause is the time until the next round.
func (w *asked) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.cfg.Every, w.away.rest.Sub(w.cfg.Now()))
}

// round asks for a cosignature on every ledger that has grown.
func (w *asked) round(ctx context.Context) {
	links, err := w.cfg.House.Unwitnessed(ctx, w.Key)
	if err != nil {
		if ctx.Err() == nil {
			w.cfg.Log.ErrorContext(ctx, "the ledgers to be witnessed could not be listed", "err", err)
		}
		return
	}
	for _, l := range links {
		if w.resting(l.ID) {
			continue
		}
		err := w.ask(ctx, l.ID)
		if ctx.Err() != nil {
			return
		}
		if !w.note(ctx, l, err) {
			return
		}
	}
}

// ask gets one cosignature. A witness that has cosigned another size than we know of is asked once more from there.
func (w *asked) ask(ctx context.Context, link statement.LinkID) error {
	q, err := w.cfg.House.AskWitness(ctx, link, w.Key, -1)
	if err != nil {
		return err
	}
	lines, size, err := w.add(ctx, q.Body)
	if fault.CodeOf(err) == codeConflict {
		if q, err = w.cfg.House.AskWitness(ctx, link, w.Key, size); err != nil {
			return err
		}
		if lines, _, err = w.add(ctx, q.Body); fault.CodeOf(err) == codeConflict {
			return history(err)
		}
	}
	if err != nil {
		return err
	}
	return w.cfg.House.Witnessed(ctx, q, w.Key, lines)
}

// note remembers how a request ended; more says whether to go on with other ledgers: not if the witness itself is the matter.
func (w *asked) note(ctx context.Context, l exchange.Link, err error) (more bool) {
	code := ""
	if err != nil {
		code = fault.CodeOf(err)
		w.cfg.Count.Refused("witness", code)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	had := w.away.code
	if had == "" {
		had = w.logs[l.ID].code
	}
	switch {
	case err == nil:
		delete(w.logs, l.ID)
		w.away = trouble{}
	case ofOneLog(code):
		w.logs[l.ID] = w.again(w.logs[l.ID], err)
		w.away = trouble{}
	default:
		w.away = w.again(w.away, err)
	}
	switch {
	case code == had:
	case err != nil:
		w.cfg.Log.WarnContext(ctx, "a witness does not cosign", "witness", w.Key.ID(), "link", l.Alias, "code", code, "err", err)
	default:
		w.cfg.Log.InfoContext(ctx, "a witness cosigns again", "witness", w.Key.ID(), "link", l.Alias)
	}
	return err == nil || ofOneLog(code)
}

// again is one more failure in a row, and the rest after it.
func (w *asked) again(t trouble, err error) trouble {
	rest := min(w.cfg.Every<<min(t.tries, 10), max(w.cfg.Every, maxRest))
	return trouble{fault.CodeOf(err), fault.Public(err), t.tries + 1, w.cfg.Now().Add(rest)}
}

func (w *asked) resting(link statement.LinkID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs[link].rest.After(w.cfg.Now())
}

func (w *asked) standing(link *statement.LinkID) trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	if link != nil && w.away.code == "" {
		return w.logs[*link]
	}
	worst := w.away
	for _, t := range w.logs {
		if worst.code == "" {
			worst = t
		}
	}
	return worst
}
