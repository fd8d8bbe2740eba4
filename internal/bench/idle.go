package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"entente/internal/fault"
	"entente/internal/node"
)

// Idle is what a node uses that has many links and nothing to say.
type Idle struct {
	Machine Machine     `json:"machine"`
	Links   int         `json:"links"`
	Seconds float64     `json:"seconds"` // that each kind of peers was measured for
	Floor   float64     `json:"floor"`   // share of one core that a node without links used, in the same run
	Kinds   []IdleShare `json:"kinds"`
}

// IdleShare is what links with one kind of peers use.
type IdleShare struct {
	Peers    string  `json:"peers"`
	Share    float64 `json:"share"`          // of one core
	Resident int64   `json:"resident_bytes"` // at the end; 0 where the system does not say
	Peak     int64   `json:"peak_bytes"`     // since the node's start
}

// IdlePeers are the kinds of peers: those that cannot be reached while our ledgers wait for them, those that can be,
// those that poll the node, and those that the node polls.
func IdlePeers() []string { return []string{"unreachable", "reachable", "polling us", "polled by us"} }

// MeasureIdle measures for the time during what a node with so many links uses, for each kind of peers, once it has run for the
// time settle: connections are made then, and first tries are over.
func MeasureIdle(ctx context.Context, o Options, links int, settle, during time.Duration) (Idle, error) {
	r := Idle{Machine: machine(), Links: links, Seconds: during.Seconds()}
	none, err := o.idle(ctx, "reachable", 0, settle, during)
	if err != nil {
		return r, err
	}
	r.Floor = none.Share
	for _, peers := range IdlePeers() {
		share, err := o.idle(ctx, peers, links, settle, during)
		if err != nil {
			return r, err
		}
		r.Kinds = append(r.Kinds, share)
	}
	return r, nil
}

// idle measures one node with one kind of peers.
func (o Options) idle(ctx context.Context, peers string, links int, settle, during time.Duration) (share IdleShare, err error) {
	err = o.within(func(dir string) (err error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fault.Wrap(fault.Unavailable, "bench", "No loopback port is free.", err)
		}
		defer l.Close()
		s, err := found(ctx, o, dir, "arvenia")
		if err != nil {
			return err
		}
		running, stop := context.WithCancel(ctx)
		defer func() {
			stop()
			err = errors.Join(err, s.wait(), s.forget())
		}()
		endpoint := "https://" + l.Addr().String()
		switch peers {
		case "unreachable":
			l.Close() // nobody listens there
		case "polling us":
			endpoint = ""
		case "polled by us":
			if err := hide(s.data); err != nil {
				return err
			}
		}
		crowd, err := node.GatherCrowd(ctx, s.data, links, endpoint, peers == "unreachable", func(done, total int64) { o.progress("making links", done, total) })
		if err != nil {
			return err
		}
		if err := s.start(running, o.Program); err != nil {
			return err
		}
		self, err := s.client.Self(ctx)
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() {
			switch peers {
			case "polling us":
				ended <- crowd.Poll(running, self.Endpoint)
			case "unreachable":
				ended <- nil
			default:
				ended <- crowd.Answer(running, l)
			}
		}()
		defer func() {
			stop()
			err = errors.Join(err, <-ended)
		}()
		share, err = o.watch(ctx, s, peers, settle, during)
		return err
	})
	return share, err
}

// watch measures a node that runs.
func (o Options) watch(ctx context.Context, s *side, peers string, settle, during time.Duration) (IdleShare, error) {
	what := "measuring: " + peers
	pause := func(d time.Duration, from, of int64) error {
		for i := range int64(d / time.Second) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-s.ended:
				return fault.Wrap(fault.Internal, "bench", "The node ended."+s.tail(), s.err)
			case <-time.After(time.Second):
			}
			o.progress(what, from+i+1, of)
		}
		return nil
	}
	total := int64((settle + during) / time.Second)
	if err := pause(settle, 0, total); err != nil {
		return IdleShare{}, err
	}
	pid := s.process.Process.Pid
	before, begun := cpu(pid), time.Now()
	if err := pause(during, int64(settle/time.Second), total); err != nil {
		return IdleShare{}, err
	}
	used := cpu(pid) - before
	return IdleShare{Peers: peers, Share: used / time.Since(begun).Seconds(), Resident: resident(pid), Peak: peak(pid)}, nil
}

// hide takes from a node's settings where it can be reached: it has to poll.
func hide(data string) error {
	path := filepath.Join(data, node.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "listen") && !strings.HasPrefix(line, "endpoint") {
			kept = append(kept, line)
		}
	}
	return os.WriteFile(path, []byte(strings.Join(kept, "")), 0o600)
}

// resident is the resident memory of a process in bytes, 0 where the system does not say (proc(5), statm).
func resident(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
