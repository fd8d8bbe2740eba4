package bench

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"entente/envelope"
	"entente/handling"
	"entente/internal/fault"
	"entente/internal/node"
	"entente/statement"
)

// Statements is how fast small statements go from one node to the other.
type Statements struct {
	Machine    Machine `json:"machine"`
	Database   string  `json:"database"` // sqlite | postgres
	Count      int     `json:"count"`
	InFlight   int     `json:"in_flight"` // calls under way at any time
	Seconds    float64 `json:"seconds"`   // from the first call until all are opened and receipted
	Rate       float64 `json:"statements_per_second"`
	Signatures float64 `json:"signatures_alone_per_second"` // what the cryptography alone allows: the mean of before and after
	Ratio      float64 `json:"ratio"`                       // of the two
	Author     float64 `json:"author_cpu_seconds_per_statement"`
	Addressee  float64 `json:"addressee_cpu_seconds_per_statement"`
	Driver     float64 `json:"driver_cpu_seconds_per_statement"`     // of this process, which makes the calls
	Least      float64 `json:"signatures_cpu_seconds_per_statement"` // of the cryptography alone
	Share      float64 `json:"signatures_cpu_share"`                 // Least in the sum of the three; a database server's is not in it
}

// countEvery is how often the author's node is asked whether all is receipted: counting costs it something too.
const countEvery = 25 * time.Millisecond

// warmUp is how many statements are sent before those that count.
const warmUp = 128

// MeasureStatements sends count small messages from one node to another over a link, with so many calls in flight,
// and waits until each is durable on both sides, opened, and receipted to its author.
func MeasureStatements(ctx context.Context, o Options, count, inFlight int) (r Statements, err error) {
	r = Statements{Machine: machine(), Database: "postgres", Count: count, InFlight: inFlight}
	if o.Database == "" || o.Database == "sqlite" {
		r.Database = "sqlite"
	}
	before, spentBefore, err := signatureRate(ctx)
	if err != nil {
		return r, err
	}
	err = o.within(func(dir string) error {
		return withPair(ctx, o, dir, func(ctx context.Context, p *pair) error { return r.run(ctx, o, p) })
	})
	if err != nil {
		return r, err
	}
	after, spentAfter, err := signatureRate(ctx)
	if err != nil {
		return r, err
	}
	r.Rate = float64(count) / r.Seconds
	r.Signatures = (before + after) / 2
	r.Ratio = r.Rate / r.Signatures
	r.Least = (spentBefore + spentAfter) / 2
	if all := r.Author + r.Addressee + r.Driver; all > 0 {
		r.Share = r.Least / all
	}
	return r, nil
}

func (r *Statements) run(ctx context.Context, o Options, p *pair) error {
	if _, err := p.send(ctx, o, "warming up", warmUp, r.InFlight); err != nil {
		return err
	}
	pids := []int{p.arvenia.process.Process.Pid, p.kestria.process.Process.Pid, os.Getpid()}
	spent := []*float64{&r.Author, &r.Addressee, &r.Driver}
	for i, pid := range pids {
		*spent[i] = -cpu(pid)
	}
	start := time.Now()
	said, err := p.send(ctx, o, "sending", r.Count, r.InFlight)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	for i, pid := range pids {
		*spent[i] = (*spent[i] + cpu(pid)) / float64(r.Count)
	}
	for _, s := range []*side{p.arvenia, p.kestria} {
		if err := opened(ctx, s, said); err != nil {
			return err
		}
	}
	return nil
}

// send sends messages and returns when the author has every receipt.
func (p *pair) send(ctx context.Context, o Options, what string, count, inFlight int) ([]statement.Commitment, error) {
	draft, err := message(p.kestria.name)
	if err != nil {
		return nil, err
	}
	said := make([]statement.Commitment, count)
	var next, done atomic.Int64
	callers, calls := errgroup.WithContext(ctx)
	for range inFlight {
		callers.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return nil
				}
				var err error
				if said[i], err = p.say(calls, draft); err != nil {
					return err
				}
				o.progress(what, done.Add(1), int64(count))
			}
		})
	}
	if err := callers.Wait(); err != nil {
		return nil, err
	}
	return said, until(ctx, countEvery, func() (bool, error) {
		l, err := p.arvenia.client.Link(ctx, p.kestria.name)
		return l.Figures.Sending == 0 && l.Figures.Unsaid == 0, err
	})
}

// say sends one message. Where too much waits for receipts it waits too: that is how a node slows its callers.
func (p *pair) say(ctx context.Context, draft node.Draft) (statement.Commitment, error) {
	for {
		c, err := p.arvenia.client.Send(ctx, draft, nil, nil)
		if fault.CodeOf(err) != "pending" {
			return c, err
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

func message(link string) (node.Draft, error) {
	face, err := envelope.Marshal(statement.MessageFace{})
	if err != nil {
		return node.Draft{}, err
	}
	body, err := envelope.Marshal(statement.MessageBody{Subject: "Measurement", Language: "en",
		Text: "The scanning of the hospital's addresses has stopped. We keep the logs for thirty days; ask if you want them."})
	return node.Draft{Link: link, Lane: statement.Network, Kind: "message", Zone: "UTC", Urgency: "routine",
		Marking: handling.Marking{TLP: "AMBER"}, Face: face, Body: body}, err
}

// opened checks that a node holds each of these statements, opened.
func opened(ctx context.Context, s *side, said []statement.Commitment) error {
	for _, c := range said {
		m, err := s.client.Statement(ctx, c.String())
		if err != nil {
			return fmt.Errorf("at %s: %w", s.name, err)
		}
		if m.State != "opened" {
			return fmt.Errorf("at %s, statement %s is %s, not opened", s.name, c, m.State)
		}
	}
	return nil
}
