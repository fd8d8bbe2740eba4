package api

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
)

// Media types of requests and answers.
const (
	mediaJSON   = "application/json"
	mediaNDJSON = "application/x-ndjson"
	mediaBytes  = "application/octet-stream"
	mediaForm   = "multipart/form-data"
	mediaCarry  = "application/vnd.entente.courier"
)

// operation is one row of the table of routes: what the mux serves and what the description says.
type operation struct {
	method    string
	path      string // below Prefix, in the notation of http.ServeMux, which is also OpenAPI's
	id        string // operationId
	summary   string
	in        reflect.Type // struct whose tags "path", "query" and "body" say where its fields come from
	out       reflect.Type // nil: the answer is bytes
	status    int          // of success
	request   string       // media type of the request's body, empty for none
	media     string       // media type of the answer
	shownOnce bool         // the answer holds a secret that is not kept
	long      bool         // may stream its progress as NDJSON
	serve     func(*Door, http.ResponseWriter, *http.Request, actor.Actor) error
}

// read is a route that answers with JSON and changes nothing.
func read[In, Out any](path, id, summary string, f func(*Door, context.Context, actor.Actor, In) (Out, error)) operation {
	o := described[In, Out](http.MethodGet, path, id, summary, http.StatusOK)
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		return plain(d, w, r, who, o.status, f)
	}
	return o
}

// act is a route that makes something.
func act[In, Out any](path, id, summary string, f func(*Door, context.Context, actor.Actor, In) (Out, error)) operation {
	o := described[In, Out](http.MethodPost, path, id, summary, http.StatusCreated)
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		return plain(d, w, r, who, o.status, f)
	}
	return o
}

// secret marks a route whose answer holds what is shown once.
func secret(o operation) operation {
	o.shownOnce = true
	return o
}

// long is a route whose work takes a while: a client that accepts NDJSON gets a line for each progress, and a last
// line with the result or the problem.
func long[In, Out any](method, path, id, summary string, status int, f func(*Door, context.Context, actor.Actor, In, flow.Progress) (Out, error)) operation {
	o := described[In, Out](method, path, id, summary, status)
	o.long = true
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		var in In
		if err := bind(w, r, &in); err != nil {
			return err
		}
		return answerLong(d, w, r, status, func(p flow.Progress) (Out, error) { return f(d, r.Context(), who, in, p) })
	}
	return o
}

// answerLong does the work and answers in the way that the client asked for.
func answerLong[Out any](d *Door, w http.ResponseWriter, r *http.Request, status int, work func(flow.Progress) (Out, error)) error {
	if !acceptsStream(r) {
		out, err := work(nil)
		if err != nil {
			return err
		}
		writeJSON(w, status, mediaJSON, out)
		return nil
	}
	s := newStream(w, d.now)
	out, err := work(s.progress)
	if err != nil {
		p := problemOf(err)
		d.logFailure(r, p, err)
		if kept, ok := w.(*recorder); ok {
			kept.failed = true
		}
		s.line(Line[Out]{Problem: &p})
		return nil
	}
	s.line(Line[Out]{Result: &out})
	return nil
}

// download is a route that answers with a file. Its handler writes to w only after everything that can be refused was.
func download[In any](path, id, summary string, f func(*Door, context.Context, actor.Actor, In, http.ResponseWriter) error) operation {
	o := described[In, None](http.MethodGet, path, id, summary, http.StatusOK)
	o.out, o.media = nil, mediaBytes
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		var in In
		if err := bind(w, r, &in); err != nil {
			return err
		}
		return f(d, r.Context(), who, in, w)
	}
	return o
}

func described[In, Out any](method, path, id, summary string, status int) operation {
	o := operation{
		method: method, path: path, id: id, summary: summary, status: status, media: mediaJSON,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
	}
	for f := range fields(o.in) {
		if f.Tag.Get("body") != "" {
			o.request = mediaJSON
		}
	}
	return o
}

// change is a route that changes something.
func change[In, Out any](method, path, id, summary string, f func(*Door, context.Context, actor.Actor, In) (Out, error)) operation {
	o := described[In, Out](method, path, id, summary, http.StatusOK)
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		return plain(d, w, r, who, o.status, f)
	}
	return o
}

// tagged is an answer that has an entity tag (RFC 9110, section 8.8.3).
type tagged interface{ tag() string }

// plain decodes, calls and answers.
func plain[In, Out any](d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor, status int, f func(*Door, context.Context, actor.Actor, In) (Out, error)) error {
	var in In
	if err := bind(w, r, &in); err != nil {
		return err
	}
	out, err := f(d, r.Context(), who, in)
	if err != nil {
		return err
	}
	if t, ok := any(out).(tagged); ok {
		w.Header().Set("ETag", t.tag())
	}
	writeJSON(w, status, mediaJSON, out)
	return nil
}

// mount puts the table on the mux; a known path with another method, and an unknown path, get problem documents too.
func (d *Door) mount() {
	allowed := map[string][]string{}
	for _, o := range table() {
		allowed[o.path] = append(allowed[o.path], o.method)
		d.mux.HandleFunc(o.method+" "+Prefix+o.path, d.handler(o))
	}
	for path, methods := range allowed {
		allow := strings.Join(methods, ", ")
		d.mux.HandleFunc(Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			d.fail(w, r, fault.New(fault.Invalid, "method", "This path takes "+allow+"."))
		})
	}
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, fault.New(fault.NotFound, "path", "There is nothing at this path; "+Prefix+"/openapi.json lists what there is."))
	})
}

// ServeHTTP serves one call, and logs it as one event.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &watched{ResponseWriter: w}
	start := d.now()
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err := fmt.Errorf("panic: %v", p)
			if seen.status != 0 {
				d.logFailure(r, problemOf(err), err)
				panic(http.ErrAbortHandler) // part of the answer is out: cut the connection
			}
			d.fail(seen, r, err)
		}
		d.log.InfoContext(r.Context(), "call", "door", "api", "route", r.Pattern, "status", seen.status, "bytes", seen.bytes, "ms", d.now().Sub(start).Milliseconds())
	}()
	d.mux.ServeHTTP(seen, r)
}

func (d *Door) handler(o operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := d.who(r)
		if key := r.Header.Get(onceHeader); err == nil && key != "" && o.method != http.MethodGet {
			err = d.once(w, r, who, key, o)
		} else if err == nil {
			err = o.serve(d, w, r, who)
		}
		if err == nil {
			return
		}
		if seen, ok := w.(*watched); ok && seen.status != 0 {
			// Part of the answer is out, so the only way to say that it failed is to cut it short.
			d.logFailure(r, problemOf(err), err)
			panic(http.ErrAbortHandler)
		}
		d.fail(w, r, err)
	}
}

// watched remembers what was answered.
type watched struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach Flush.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// readJSON decodes a JSON body strictly.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaJSON {
		return fault.New(fault.Invalid, "media_type", "Send the body as "+mediaJSON+".")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxJSON))
	if err != nil {
		return reading(err)
	}
	return envelope.Unmarshal(data, v)
}
