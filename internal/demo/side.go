package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"entente/internal/fault"
	"entente/internal/node"
)

const (
	lookEvery  = 50 * time.Millisecond
	validity   = 30 * 24 * time.Hour
	stopWithin = 15 * time.Second
	lastOfLog  = 2000 // bytes of a node's log that a failure shows
)

// side is one party: its node's process and a client for it.
type side struct {
	alias    string // what the other side calls it
	names    map[string]string
	data     string
	endpoint string
	client   *node.Client
	server   string                      // where its database is made; empty: SQLite
	drop     func(context.Context) error // removes that; nil if there is none
	ended    chan error                  // holds the end of the node's process, once it has ended; nil before its start
	log      string
}

func newSide(alias string, names map[string]string, dir, server string) *side {
	data := filepath.Join(dir, alias)
	return &side{alias: alias, server: server, names: names, data: data, client: node.Dial(data), log: filepath.Join(dir, alias+".log")}
}

// found makes the node, at a loopback port that is free now.
func (s *side) found(ctx context.Context, now time.Time) (node.Founded, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return node.Founded{}, fault.Wrap(fault.Unavailable, "demo", "No loopback port is free.", err)
	}
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return node.Founded{}, err
	}
	s.endpoint = fmt.Sprintf("https://%s.localhost:%d", s.alias, address.Port)
	settings := map[string]string{"listen": address.String(), "endpoint": s.endpoint, "checkpoint": "1s"}
	if s.server != "" {
		if settings["database"], s.drop, err = node.CreateDatabase(ctx, s.server); err != nil {
			return node.Founded{}, err
		}
	}
	return node.Found(ctx, node.Founding{
		Data: s.data, Names: s.names, Authority: "Contact point of the demonstration", KeyFile: s.data + ".key",
		Recovery: s.data + ".recovery", Now: now, Validity: validity,
		Settings: settings,
	})
}

// forget removes what the node had on a database server.
func (s *side) forget() error {
	if s.drop == nil {
		return nil
	}
	return s.drop(context.Background())
}

// start runs the node in a process of its own, until ctx ends.
func (s *side) start(ctx context.Context, program string) error {
	log, err := os.Create(s.log)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "demo", "The node's log cannot be written.", err)
	}
	defer log.Close()
	process := exec.CommandContext(ctx, program, "serve", "--data", s.data)
	process.Stderr = log
	process.Cancel = func() error { return process.Process.Signal(os.Interrupt) }
	process.WaitDelay = stopWithin
	process.Env = withoutSettings(os.Environ())
	if err := process.Start(); err != nil {
		return fault.Wrap(fault.Unavailable, "demo", "The node's process cannot be started.", err)
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- process.Wait() }()
	return nil
}

// ready says whether the node is ready, and fails when it ended instead.
func (s *side) ready(ctx context.Context) (bool, error) {
	select {
	case err := <-s.ended:
		s.ended <- err
		return false, fault.Wrap(fault.Internal, "node_ended", "The node of "+s.names["en"]+" ended instead of getting ready.", err)
	default:
		return s.client.Ready(ctx) == nil, nil
	}
}

// withoutSettings leaves out of an environment what would be a setting of the node: its file has them all.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(node.Settings(), func(s node.Setting) bool { return name == "ENTENTE_"+strings.ToUpper(s.Name) })
	})
}

// wait waits for the process to end after its context did. A node that ended with a failure of its own is an error.
func (s *side) wait() error {
	s.client.Close()
	if s.ended == nil {
		return nil
	}
	err := <-s.ended
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return fmt.Errorf("the node of %s ended with status %d", s.names["en"], exit.ExitCode())
	}
	return nil
}

// tail is the end of the node's log.
func (s *side) tail() string {
	data, err := os.ReadFile(s.log)
	if err != nil || len(data) == 0 {
		return ""
	}
	data = data[max(0, len(data)-lastOfLog):]
	return fmt.Sprintf("\nlog of %s:\n%s", s.names["en"], bytes.TrimSpace(data))
}

// until looks again and again until what it waits for holds. Faults for which waiting may help are waited out.
func until(ctx context.Context, holds func() (bool, error)) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last error
	for {
		ok, err := holds()
		if ok && err == nil {
			return nil
		}
		if kind := fault.KindOf(err); err != nil && kind != fault.Unavailable && kind != fault.NotFound && kind != fault.Conflict {
			return err
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("it did not come to pass in time"), ctx.Err(), last)
		case <-ticker.C:
		}
	}
}

// enrol makes a member, and a client that acts as him.
func (s *side) enrol(ctx context.Context, name string, role node.Role) (as *node.Client, passphrase string, err error) {
	p, err := s.client.AddMember(ctx, node.NewMember{Name: name, Roles: []node.Role{role}})
	if err != nil {
		return nil, "", err
	}
	t, err := s.client.AddToken(ctx, name, node.NewToken{Scopes: []node.Scope{"read", "say", "release"}, Valid: int64(time.Hour / time.Second)})
	return s.client.As(t.Secret), p.Passphrase, err
}
