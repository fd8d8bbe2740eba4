package bench

import (
	"bytes"
	"context"
	"entente/statement"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"entente/internal/fault"
	"entente/internal/node"
)

const (
	patience   = 2 * time.Minute // for a node to start, and for a link to become active
	stopWithin = 30 * time.Second
	lookEvery  = 10 * time.Millisecond
	validity   = 30 * 24 * time.Hour
	lastOfLog  = 2000 // bytes of a node's log that a failure shows
)

// side is one party: a node in a process of its own and a client for it.
type side struct {
	name    string
	data    string
	log     string
	client  *node.Client
	process *exec.Cmd
	ended   chan struct{}               // closed when the process has ended
	err     error                       // how it ended
	drop    func(context.Context) error // its database, if that is on a server
}

// found makes a node under dir, reached at a loopback port that is free now.
func found(ctx context.Context, o Options, dir, name string) (*side, error) {
	s := &side{name: name, data: filepath.Join(dir, name), log: filepath.Join(dir, name+".log")}
	s.client = node.Dial(s.data)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "bench", "No loopback port is free.", err)
	}
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return nil, err
	}
	settings := map[string]string{
		"listen": address.String(), "endpoint": fmt.Sprintf("https://%s.localhost:%d", name, address.Port),
	}
	if o.Database != "sqlite" && o.Database != "" {
		if settings["database"], s.drop, err = node.CreateDatabase(ctx, o.Database); err != nil {
			return nil, err
		}
	}
	_, err = node.Found(ctx, node.Founding{
		Data: s.data, Names: map[string]string{"en": name}, Authority: "Measurement", KeyFile: s.data + ".key",
		Recovery: s.data + ".recovery", Now: time.Now(), Validity: validity, Settings: settings,
	})
	if err != nil {
		return nil, errors.Join(err, s.forget())
	}
	return s, nil
}

// start runs the node, until ctx ends, and waits until it is ready.
func (s *side) start(ctx context.Context, program string) error {
	log, err := os.Create(s.log)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "bench", "The node's log cannot be written.", err)
	}
	defer log.Close()
	s.process = exec.CommandContext(ctx, program, "serve", "--data", s.data)
	s.process.Stderr = log
	s.process.Cancel = func() error { return s.process.Process.Signal(os.Interrupt) }
	s.process.WaitDelay = stopWithin
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ENTENTE_") {
			s.process.Env = append(s.process.Env, v)
		}
	}
	if err := s.process.Start(); err != nil {
		return fault.Wrap(fault.Unavailable, "bench", "The node's process cannot be started.", err)
	}
	s.ended = make(chan struct{})
	go func() {
		s.err = s.process.Wait()
		close(s.ended)
	}()
	return until(ctx, time.Millisecond, func() (bool, error) {
		select {
		case <-s.ended:
			return false, fault.Wrap(fault.Internal, "bench", "The node ended."+s.tail(), s.err)
		default:
			return s.client.Ready(ctx) == nil, nil
		}
	})
}

// stop ends the process in order; it can be started again.
func (s *side) stop() error {
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		return fault.Wrap(fault.Unavailable, "bench", "The node cannot be stopped.", err)
	}
	return s.wait()
}

// wait waits for the process to end after its context did. A node that ended with a failure of its own is an error.
func (s *side) wait() error {
	s.client.Close()
	if s.ended == nil {
		return nil
	}
	<-s.ended
	if exit, ok := errors.AsType[*exec.ExitError](s.err); ok && exit.ExitCode() > 0 {
		return fmt.Errorf("the node of %s ended with status %d%s", s.name, exit.ExitCode(), s.tail())
	}
	return nil
}

// forget drops the node's database.
func (s *side) forget() error {
	if s.drop == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.drop(ctx)
}

// tail is the end of the node's log.
func (s *side) tail() string {
	data, err := os.ReadFile(s.log)
	if err != nil || len(data) == 0 {
		return ""
	}
	return fmt.Sprintf("\nlog of %s:\n%s", s.name, bytes.TrimSpace(data[max(0, len(data)-lastOfLog):]))
}

// cpu is how many seconds of processor time a process has used, 0 where the system does not say (proc(5), stat).
func cpu(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	const ticks = 100 // per second, on every architecture of Linux that Go supports
	return (user + system) / ticks
}

// peak is the most resident memory that a process has had, in bytes, 0 where the system does not say (proc(5), status).
func peak(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(data), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) < 2 || fields[1] != "kB" {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// until is untilDone within the patience of one step.
func until(ctx context.Context, every time.Duration, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return look(ctx, every, holds)
}

// untilDone looks again and again until what it waits for holds, however long that takes.
func untilDone(ctx context.Context, holds func() (bool, error)) error {
	return look(ctx, lookEvery, holds)
}

func look(ctx context.Context, every time.Duration, holds func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, "bench", "It did not come to pass in time.", ctx.Err())
		case <-ticker.C:
		}
	}
}

// pair is two nodes with an active link between them.
type pair struct {
	arvenia, kestria *side
}

// withPair makes two nodes under dir, links them, and runs f.
func withPair(ctx context.Context, o Options, dir string, f func(context.Context, *pair) error) (err error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	var p pair
	for _, x := range []struct {
		side **side
		name string
	}{{&p.arvenia, "arvenia"}, {&p.kestria, "kestria"}} {
		s, err := found(ctx, o, dir, x.name)
		if err != nil {
			return err
		}
		*x.side = s
		defer func() {
			stop()
			err = errors.Join(err, s.wait(), s.forget())
		}()
		if err := s.start(running, o.Program); err != nil {
			return err
		}
	}
	if err := p.link(ctx); err != nil {
		return fmt.Errorf("linking the nodes: %w", err)
	}
	if err := f(ctx, &p); err != nil {
		return fmt.Errorf("%w%s%s", err, p.arvenia.tail(), p.kestria.tail())
	}
	return nil
}

// link pairs the nodes and confirms the link on both sides.
func (p *pair) link(ctx context.Context) error {
	inv, err := p.arvenia.client.Invite(ctx, p.kestria.name, int64(time.Hour/time.Second), statement.DefaultAgreement())
	if err != nil {
		return err
	}
	encoded, err := inv.Encode()
	if err != nil {
		return err
	}
	if _, err := p.kestria.client.Accept(ctx, p.arvenia.name, encoded); err != nil {
		return err
	}
	own, peer := p.arvenia, p.kestria
	for range 2 {
		_, err := own.client.Confirm(ctx, peer.name, node.Confirmation{Method: "in_person", Person: "nobody", Function: "measurement"})
		if err != nil {
			return err
		}
		own, peer = peer, own
	}
	for range 2 {
		err := until(ctx, lookEvery, func() (bool, error) {
			l, err := own.client.Link(ctx, peer.name)
			return l.State == "active", err
		})
		if err != nil {
			return err
		}
		own, peer = peer, own
	}
	return nil
}
