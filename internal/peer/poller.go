package peer

import (
	"context"
	"time"

	"entente/internal/fault"
	"entente/parcel"
)

const (
	minIdle = time.Second // after an answer that came at once with nothing in it; doubled with each more
	maxIdle = time.Minute
)

// linkPoller polls the peer of a link that cannot reach us: one request is always under way, and what answers the frames of
// one goes with the next.
type linkPoller struct {
	*linkSender // its name and endpoint; the rest is not ours

	back    []parcel.Frame // answers to the peer's frames, not sent yet
	taken   string         // name of the delivery that was taken last
	empty   int            // answers in a row that came at once with nothing in them
	failed  int            // polls in a row
	trouble string         // code of the failure that was logged last; empty when all is well
}

func (p *linkPoller) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := p.now()
		answer, err := p.once(ctx)
		var pause time.Duration
		switch {
		case err != nil:
			pause, p.empty = min(minPause<<min(p.failed, 10), maxPause), 0
			p.failed++
		case len(answer.frames) == 0 && p.now().Sub(began) < minIdle:
			pause = min(minIdle<<min(p.empty, 10), maxIdle)
			p.failed, p.empty = 0, p.empty+1
		default:
			p.failed, p.empty = 0, 0
		}
		p.report(ctx, err)
		if pause == 0 {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// once makes one poll and gives its answer to the house. After a failure the same is sent again: to take it twice is to take
// it once.
func (p *linkPoller) once(ctx context.Context) (polled, error) {
	known, err := p.house.PeerTransport(ctx, p.id)
	if err != nil {
		return polled{}, err
	}
	answer, err := p.client.poll(ctx, p.id, *p.endpoint.Load(), Pins(known, p.now()), p.back, p.taken)
	if err != nil {
		return answer, err
	}
	p.back, p.taken = nil, ""
	if len(answer.frames) == 0 {
		return answer, nil
	}
	back, err := p.house.Receive(context.WithoutCancel(ctx), p.id, answer.frames)
	if err != nil {
		return answer, err
	}
	p.back, p.taken = back, answer.delivery
	return answer, nil
}

// report logs a failure unless it is the one that was logged last.
func (p *linkPoller) report(ctx context.Context, err error) {
	code := ""
	if err != nil {
		code = fault.CodeOf(err)
	}
	if code == p.trouble || ctx.Err() != nil {
		return
	}
	p.trouble = code
	if err != nil {
		p.log.WarnContext(ctx, "polls of a peer fail", "link", p.alias, "code", code, "err", err)
		return
	}
	p.log.InfoContext(ctx, "polls of a peer succeed again", "link", p.alias)
}
