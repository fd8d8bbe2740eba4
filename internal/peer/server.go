package peer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/parcel"
	"entente/statement"
)

// door is the name under which refusals are counted.
const door = "peer"

// ServerConfig is what a Server is built from; every member but Paired is required.
type ServerConfig struct {
	House  House
	Certs  Certs
	Now    func() time.Time
	Log    *slog.Logger
	Count  flow.Counter
	Limits Limits
	Paired func() // called when a stranger became a peer; may be nil
}

// Server answers other nodes.
type Server struct {
	cfg       ServerConfig
	gate      *gate
	polls     *polls
	strangers *strangers
}

// NewServer makes a server; Serve runs it.
func NewServer(c ServerConfig) *Server {
	return &Server{
		cfg:       c,
		gate:      newGate(c.Limits.Requests, c.Limits.RequestsPerLink, c.Now),
		polls:     newPolls(newGate(c.Limits.Requests, pollsWritten, c.Now)),
		strangers: newStrangers(c.Limits),
	}
}

// Serve answers on l, which it closes, until ctx ends; then it gives requests under way the limits' grace. It
// returns nil after an orderly end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limits := s.cfg.Limits
	server := &http.Server{
		Handler:           s.Handler(),
		TLSConfig:         serverTLS(s.cfg.Certs),
		ReadHeaderTimeout: limits.ReadHeader,
		ReadTimeout:       limits.Read,
		WriteTimeout:      limits.Write,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    limits.Header,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          limits.RequestsPerLink + 2,
			MaxReceiveBufferPerStream:     4 << 20,
			MaxReceiveBufferPerConnection: 8 << 20,
		},
	}
	defer s.polls.forget()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		s.polls.close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Grace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	err := server.ServeTLS(&boundedListener{
		Listener: l, total: limits.Connections, perHost: limits.ConnectionsPerHost,
		refused: func() { s.cfg.Count.Refused(door, "connections") },
		hosts:   map[netip.Prefix]int{},
	}, "", "")
	if stop() { // it failed by itself
		server.Close()
		return err
	}
	<-ended
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Handler is all routes there are.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.route(mux, http.MethodPost, "/entente/v1/links/{link}/exchange", s.exchange)
	s.route(mux, http.MethodPost, helloPath, s.hello)
	s.route(mux, http.MethodPost, revealPath, s.reveal)
	s.route(mux, http.MethodGet, pingPath, s.ping)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, fault.New(fault.NotFound, "route", "There is nothing here."))
	})
	return mux
}

// route gives a handler that returns errors its one method and its one way to fail.
func (s *Server) route(mux *http.ServeMux, method, pattern string, handle func(http.ResponseWriter, *http.Request) error) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			s.refuse(w, r, httpError{http.StatusMethodNotAllowed, "method", "This is asked for with " + method + "."})
			return
		}
		if err := handle(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// exchange takes frames from the peer of a link and answers with frames. Who asks for a link that does not exist and
// who asks for somebody else's get the same answer.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) error {
	if !plain(r.Header, framesType) {
		return httpError{http.StatusUnsupportedMediaType, "media", "Frames are sent as " + framesType + ", not compressed."}
	}
	link, err := s.admit(r)
	if err != nil {
		return err
	}
	wait, isPoll, err := s.askedWait(r.Header)
	if err != nil {
		return err
	}
	pass, ok := s.gate.enter(link, reading, http.NewResponseController(w))
	if !ok {
		return busy()
	}
	defer pass.leave()

	if r.ContentLength > s.cfg.Limits.Body {
		return fault.New(fault.TooLarge, "size", "This is longer than "+strconv.FormatInt(s.cfg.Limits.Body, 10)+" bytes.")
	}
	frames, err := readFrames(http.MaxBytesReader(w, r.Body, s.cfg.Limits.Body), r.ContentLength, s.cfg.Limits.Frames)
	if err != nil {
		return slow(err)
	}
	if !pass.enters(serving) {
		return busy()
	}
	if isPoll {
		return s.poll(w, r, pass, frames, wait)
	}
	answers, err := s.cfg.House.Receive(r.Context(), link, frames)
	if err != nil {
		return err
	}
	pass.enters(writing)
	s.give(w, r, link, answers)
	return nil
}

func busy() error {
	return fault.New(fault.Exhausted, "busy", "Too many requests are under way; try again in a moment.")
}

// give writes frames as the answer. When that fails, the header is out, and nothing more can be said.
func (s *Server) give(w http.ResponseWriter, r *http.Request, link statement.LinkID, frames []parcel.Frame) error {
	body, length := framesBody(frames)
	w.Header().Set("Content-Type", framesType)
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	_, err := io.Copy(w, body)
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil {
		s.cfg.Log.DebugContext(r.Context(), "a peer did not take its answer", "link", link, "err", err)
	}
	return err
}

// admit says which link a request is for, if its sender holds the transport key of that link's peer.
func (s *Server) admit(r *http.Request) (statement.LinkID, error) {
	link, err := envelope.ParseHash(r.PathValue("link"))
	if err == nil {
		known, lookup := s.cfg.House.PeerTransport(r.Context(), link)
		switch {
		case lookup == nil && pinned(Pins(known, s.cfg.Now()), transportKey(r.TLS)):
			return link, nil
		case lookup != nil && fault.KindOf(lookup) != fault.NotFound:
			err = lookup // for the log alone
			s.cfg.Log.ErrorContext(r.Context(), "a link could not be looked up", "link", link, "err", lookup)
		}
	}
	if !s.strangers.allow(r.RemoteAddr, s.cfg.Now()) {
		return link, tooMany()
	}
	return link, fault.Wrap(fault.NotFound, "link", "There is no such link for you here.", err)
}

func tooMany() error {
	return fault.New(fault.Exhausted, "rate", "Too many tries; wait a minute.")
}

func (s *Server) hello(w http.ResponseWriter, r *http.Request) error {
	var in helloRequest
	if err := s.stranger(w, r, &in); err != nil {
		return err
	}
	commit, err := s.cfg.House.PairHello(r.Context(), in.Token)
	if err != nil {
		return err
	}
	return answer(w, helloAnswer{commit})
}

func (s *Server) reveal(w http.ResponseWriter, r *http.Request) error {
	var in revealRequest
	if err := s.stranger(w, r, &in); err != nil {
		return err
	}
	nonceB, err := nonce(in.Nonce)
	if err != nil {
		return err
	}
	nonceA, err := s.cfg.House.PairReveal(r.Context(), in.Token, in.Identity, nonceB, in.Endpoint, transportKey(r.TLS))
	if err != nil {
		return err
	}
	if s.cfg.Paired != nil {
		s.cfg.Paired()
	}
	return answer(w, revealAnswer{nonceA[:]})
}

// stranger reads the JSON of somebody who is not known yet.
func (s *Server) stranger(w http.ResponseWriter, r *http.Request, in any) error {
	if !s.strangers.allow(r.RemoteAddr, s.cfg.Now()) {
		return tooMany()
	}
	if !plain(r.Header, jsonType) {
		return httpError{http.StatusUnsupportedMediaType, "media", "This is sent as " + jsonType + ", not compressed."}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.Limits.Pair))
	if err == nil {
		err = envelope.Unmarshal(data, in)
	}
	if err != nil {
		return slow(bodyFault(err))
	}
	return nil
}

func (s *Server) ping(w http.ResponseWriter, _ *http.Request) error { return answer(w, pong{V: 1}) }

func answer(w http.ResponseWriter, v any) error {
	data, err := envelope.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.Write(data) // a failure is the client's: it went away
	return nil
}

// httpError is a refusal that only HTTP has a word for.
type httpError struct {
	status int
	code   string
	public string
}

func (e httpError) Error() string { return e.public }

// slow tells a body that came too slowly from one that broke off.
func slow(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return httpError{http.StatusRequestTimeout, "slow", "This came too slowly."}
	}
	return err
}

// refuse is the one place where an error becomes an answer: problem details with the public sentence. The cause goes
// to the log if it is ours, and nowhere if it is the other side's doing; either way it is counted.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem{Status: statusOf(err), Detail: fault.Public(err), Code: fault.CodeOf(err)}
	if e, ok := errors.AsType[httpError](err); ok {
		p = problem{Status: e.status, Detail: e.public, Code: e.code}
	}
	p.Title = http.StatusText(p.Status)
	s.cfg.Count.Refused(door, p.Code)
	level := slog.LevelDebug
	if p.Status >= 500 {
		level = slog.LevelError
	}
	s.cfg.Log.Log(r.Context(), level, "a request from a node was refused", "status", p.Status, "code", p.Code, "err", err)

	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	data, err := envelope.Marshal(p)
	if err != nil {
		data = nil
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	w.Write(data)
}

func statusOf(err error) int {
	switch fault.KindOf(err) {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Exhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
