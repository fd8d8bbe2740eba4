package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/internal/member"
	"entente/internal/notify"
	"entente/internal/peer"
	"entente/internal/store"
	"entente/internal/witness"
	"entente/party"
)

const (
	spoolDir     = "spool"
	headerWait   = 10 * time.Second
	idleWait     = 2 * time.Minute
	doorsPatient = 5 * time.Second // for calls under way at shutdown
	maxSocket    = 103             // bytes of a socket's path, on every system
)

// Node is an open node. Serve runs it, Close lets go of its data directory.
type Node struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	store   *store.Store
	house   *flow.House
	metrics *metrics
	client  *peer.Client
	sender  *peer.Sender
	server  *peer.Server
	asker   *witness.Asker
	notify  *notify.Notifier
	spool   *spool

	ready atomic.Bool  // the doors are open and shutdown has not begun
	loops atomic.Int32 // that run
}

// wantLoops is how many loops a node has: settle, checkpoint, retention, sweep, send, witness, notify.
const wantLoops = 7

// retainEvery is how often is looked for what is kept no longer.
const retainEvery = time.Hour

// How often is looked for what receivers of ours are to be told, and how long one request to them may take.
const (
	notifyEvery   = time.Second
	notifyTimeout = 20 * time.Second
)

// sweepEvery is how often is looked for sealed files that no row names.
const sweepEvery = 6 * time.Hour

// Run opens the node of a configuration and runs it until ctx ends. passphrase is asked for when no key file opens
// the keyring.
func Run(ctx context.Context, cfg Config, passphrase func() (string, error)) error {
	n, err := Open(ctx, cfg, passphrase, time.Now)
	if err != nil {
		return err
	}
	return errors.Join(n.Serve(ctx), n.Close())
}

// Open builds the house: it tests the cryptography, opens the keyring and the store, and makes the doors without opening
// them. Nothing of the data is changed but by migrations.
func Open(ctx context.Context, cfg Config, passphrase func() (string, error), now func() time.Time) (n *Node, err error) {
	registry := envelope.Default()
	if err := registry.SelfTest(); err != nil {
		return nil, fault.Wrap(fault.Internal, "self_test", "The cryptography of this build or machine does not give the known answers; nothing was opened.", err)
	}
	keys, err := openKeys(cfg, passphrase)
	if err != nil {
		return nil, err
	}
	kept, err := openStore(ctx, cfg, now)
	if err != nil {
		return nil, err
	}
	n = &Node{cfg: cfg, log: cfg.Logger(), now: now, store: kept, metrics: newMetrics(Version().Version)}
	defer func() {
		if err != nil {
			err = errors.Join(err, kept.Close())
		}
	}()
	self, err := loadSelf(ctx, kept, registry, keys)
	if err != nil {
		return nil, err
	}
	n.house, err = flow.New(flow.Config{
		Store: kept, Blobs: kept.Blobs(), Keys: keys, Registry: registry, Self: self,
		Now: now, Log: n.log, Endpoint: cfg.Endpoint, Quota: cfg.LinkQuota, Count: n.metrics,
	})
	if err != nil {
		return nil, err
	}
	n.metrics.watch(n.house, now)
	n.spool = &spool{dir: filepath.Join(cfg.Data, spoolDir), reserve: kept.Blobs().Reserve}
	n.join(keys, registry)
	return n, nil
}

// openStore opens the database and the sealed files of a data directory, which no other process may have open.
func openStore(ctx context.Context, cfg Config, now func() time.Time) (*store.Store, error) {
	return store.Open(ctx, cfg.Database, cfg.Data, store.Options{Reserve: cfg.DiskReserve, Now: now})
}

// join makes the parts that speak to other nodes, to witnesses, and to receivers of ours.
func (n *Node) join(keys keyring.Storage, registry envelope.Registry) {
	limits := peer.DefaultLimits()
	n.client = peer.NewClient(peer.ClientConfig{Certs: keys.TLS, Registry: registry, Now: n.now, Limits: limits})
	n.sender = peer.NewSender(n.house, n.client, n.now, n.log)
	n.asker = witness.New(witness.Config{
		Witnesses: n.cfg.Witnesses, House: n.house, Every: n.cfg.WitnessEvery, Timeout: n.cfg.WitnessTimeout,
		Transport: witness.NewTransport(n.cfg.WitnessTimeout), Now: n.now, Log: n.log, Count: n.metrics,
	})
	n.notify = notify.New(notify.Config{House: n.house, Every: notifyEvery, Timeout: notifyTimeout, Now: n.now, Log: n.log, Count: n.metrics})
	n.server = peer.NewServer(peer.ServerConfig{
		House: n.house, Certs: keys.TLS, Now: n.now, Log: n.log, Count: n.metrics, Limits: limits, Paired: n.sender.Rescan,
	})
}

func openKeys(cfg Config, passphrase func() (string, error)) (keyring.Storage, error) {
	path := filepath.Join(cfg.Data, keyringFile)
	if cfg.KeyFile != "" {
		return keyring.Open(path, keyring.KeyFile(cfg.KeyFile))
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "keyring_missing", "There is no node in "+cfg.Data+"; create one with: entente init --data "+cfg.Data)
	}
	p, err := passphrase()
	if err != nil {
		return nil, err
	}
	return keyring.Open(path, keyring.Passphrase(p))
}

// loadSelf reads our own identity and checks that the keyring is that of its newest version, or goes on from there: what it decided
// beyond is put in force before the doors open.
func loadSelf(ctx context.Context, kept flow.Store, registry envelope.Registry, keys keyring.Storage) (*party.Chain, error) {
	var envelopes [][]byte
	err := kept.View(ctx, func(tx flow.Tx) error {
		id, err := tx.Meta(ctx, selfKey)
		if err != nil {
			return err
		}
		if len(id) != len(party.ID{}) {
			return fault.New(fault.NotFound, "identity", "The database holds no identity; create the node with init, or restore it from a backup.")
		}
		envelopes, err = tx.Identities(ctx, party.ID(id))
		return err
	})
	if err != nil {
		return nil, err
	}
	chain, err := party.Verify(registry, envelopes)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "identity", "The identity in the database does not verify; restore it from a backup.", err)
	}
	newest := chain
	for n := len(chain.Versions) + 1; n <= keys.Version(); n++ {
		if newest, err = newest.Append(registry, keys.Successor(n)); err != nil {
			return nil, otherKeys(err)
		}
	}
	if keys.Version() < len(chain.Versions) {
		return nil, fault.New(fault.Conflict, "keyring_old",
			"The keyring is older than the identity in the database: it lacks the newest keys. Put the newest keyring.json in its place.")
	}
	signers, err := keys.SignersOf(keys.Version())
	mine := newest.Latest().KeySet().Keys
	if err != nil || !slices.EqualFunc(mine, signers, func(k envelope.PublicKey, s envelope.Signer) bool { return k.Equal(s.Public()) }) {
		return nil, otherKeys(err)
	}
	return chain, nil
}

func otherKeys(err error) error {
	return fault.Wrap(fault.Conflict, "identity", "The keyring and the database belong to different nodes; look at the data directory and the setting database.", err)
}

// Close lets go of the data directory.
func (n *Node) Close() error {
	n.client.Close()
	return n.store.Close()
}

// Serve finishes what a crash left, runs the loops and opens the doors, until ctx ends or one of these fails; then
// the doors close first, and the loops end when no call is under way any more.
func (n *Node) Serve(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(n.spool.dir), os.MkdirAll(n.spool.dir, 0o700)); err != nil {
		return fault.Wrap(fault.Unavailable, "spool", "The directory for uploads cannot be made.", err)
	}
	if err := n.house.Resume(ctx); err != nil {
		return fmt.Errorf("finishing what was left: %w", err)
	}
	doors, err := n.listen(ctx)
	if err != nil {
		return err
	}
	loopsCtx, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	loops, loopsCtx := errgroup.WithContext(loopsCtx)
	doorsCtx, closeDoors := context.WithCancel(ctx)
	defer closeDoors()
	for _, run := range []func(context.Context) error{
		n.house.SettleLoop,
		func(ctx context.Context) error { return n.house.CheckpointLoop(ctx, n.cfg.Checkpoint) },
		func(ctx context.Context) error { return n.house.RetentionLoop(ctx, retainEvery) },
		func(ctx context.Context) error { return n.house.SweepLoop(ctx, sweepEvery) },
		n.sender.Run,
		n.asker.Run,
		n.notify.Run,
	} {
		loops.Go(func() error { return n.loop(loopsCtx, run) })
	}
	open, doorsCtx := errgroup.WithContext(doorsCtx)
	for _, d := range doors {
		open.Go(func() error { return d(doorsCtx) })
	}
	context.AfterFunc(loopsCtx, closeDoors) // a loop that fails closes the doors
	n.ready.Store(true)
	n.log.InfoContext(ctx, "the node is open", "party", n.house.Self().ID.String(), "listen", n.cfg.Listen, "data", n.cfg.Data)

	err = open.Wait()
	n.ready.Store(false)
	stopLoops()
	err = errors.Join(err, loops.Wait())
	n.log.Info("the node is closed")
	return err
}

// loop runs one loop; an end that nobody asked for is a failure.
func (n *Node) loop(ctx context.Context, run func(context.Context) error) error {
	n.loops.Add(1)
	defer n.loops.Add(-1)
	err := run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = errors.New("a loop ended by itself")
	}
	return err
}

// door serves until its context ends.
type door func(context.Context) error

// listen takes every address before any door is served.
func (n *Node) listen(ctx context.Context) (doors []door, err error) {
	var taken []net.Listener
	defer func() {
		if err != nil {
			for _, l := range taken {
				l.Close()
			}
		}
	}()
	take := func(network, address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "listen", "The node cannot listen on "+address+". Stop what listens there, or change the setting.", err)
		}
		taken = append(taken, l)
		return l, nil
	}
	socket := n.cfg.Socket()
	if len(socket) > maxSocket {
		return nil, fault.New(fault.Invalid, "data", fmt.Sprintf("The path %s is too long for a socket (%d bytes at most); use a data directory with a shorter one.", socket, maxSocket))
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Unavailable, "listen", "The socket that a former run left cannot be removed.", err)
	}
	l, err := take("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "listen", "The socket cannot be kept to its owner.", err)
	}
	doors = append(doors, n.serveHTTP(l, n.local()))
	if n.cfg.API != "" {
		if l, err = take("tcp", n.cfg.API); err != nil {
			return nil, err
		}
		remote, err := n.remote(l)
		if err != nil {
			return nil, err
		}
		doors = append(doors, remote)
	}
	if n.cfg.Operations != "" {
		if l, err = take("tcp", n.cfg.Operations); err != nil {
			return nil, err
		}
		doors = append(doors, n.serveHTTP(l, n.operations()))
	}
	if n.cfg.Listen != "" {
		if l, err = take("tcp", n.cfg.Listen); err != nil {
			return nil, err
		}
		doors = append(doors, func(ctx context.Context) error { return n.server.Serve(ctx, l) })
	}
	return doors, nil
}

// serveHTTP is a door that speaks HTTP without TLS, to this machine. It has no deadline for bodies: a file may be
// large and a backup long.
func (n *Node) serveHTTP(l net.Listener, h http.Handler) door {
	return func(ctx context.Context) error {
		server := &http.Server{
			Handler: h, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: 64 << 10,
			ErrorLog:    slog.NewLogLogger(n.log.Handler(), slog.LevelWarn),
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		ended := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(ended)
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), doorsPatient)
			defer cancel()
			if server.Shutdown(patience) != nil {
				server.Close()
			}
		})
		err := server.Serve(l)
		if !stop() {
			<-ended
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// local is what the socket serves: the API, and what the operations address serves.
func (n *Node) local() http.Handler {
	mux := n.operations()
	mux.Handle("/", n.door(n.caller))
	return mux
}

// door is the API for those whom who knows.
func (n *Node) door(who func(*http.Request) (actor.Actor, error)) http.Handler {
	return api.New(api.Config{
		House: n.house, Operator: operator{n}, Now: n.now, Log: n.log, Release: Version().Version, Endpoint: n.cfg.Endpoint, Actor: who,
	})
}

// caller is who calls through the socket: the member of a token, if one is shown. Without one, whoever may open the socket owns the
// node: the file system keeps others out.
func (n *Node) caller(r *http.Request) (actor.Actor, error) {
	if r.Header.Get("Authorization") == "" {
		return actor.Actor{Kind: actor.Member, Name: member.Local, Roles: actor.Roles()}, nil
	}
	return n.bearer(r)
}

// bearer is the member of the token that a call shows (RFC 6750, section 2.1).
func (n *Node) bearer(r *http.Request) (actor.Actor, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return actor.Actor{}, member.RefusedToken()
	}
	return n.house.Authenticate(r.Context(), token)
}
