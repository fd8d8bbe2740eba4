package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
)

// Repeater is the house's acts about calls that are made once however often they are sent.
type Repeater interface {
	Claim(ctx context.Context, who, key string) (fingerprint envelope.Hash, a flow.Answer, done bool, err error)
	Answered(ctx context.Context, who, key string, fingerprint envelope.Hash, a flow.Answer) error
	Unclaim(ctx context.Context, who, key string) error
}

// onceHeader names a call; the same call, sent again under its name, does nothing and gets the same answer.
const onceHeader = "Idempotency-Key"

// maxReplayed bounds an answer that is kept.
const maxReplayed = 1 << 20

// once makes a call once. What was refused did nothing, and may be sent again under the same key.
func (d *Door) once(w http.ResponseWriter, r *http.Request, who actor.Actor, key string, o operation) error {
	if o.shownOnce {
		return fault.New(fault.Invalid, "idempotency_key", "This answer holds a secret that is shown once and not kept: make the call without an "+onceHeader+".")
	}
	before, answer, done, err := d.house.Claim(r.Context(), who.Name, key)
	if err != nil {
		return err
	}
	print := newFingerprint(r)
	defer print.end()
	if done {
		same, err := print.rest()
		if err != nil {
			return err
		}
		if same != before {
			return fault.New(fault.Conflict, "idempotency_mismatch", "This "+onceHeader+" was used for another call; use another key for this one.")
		}
		w.Header().Set("Idempotency-Replayed", "true")
		write(w, answer)
		return nil
	}
	kept := &recorder{ResponseWriter: w}
	r.Body = print
	err = o.serve(d, kept, r, who)
	ctx := context.WithoutCancel(r.Context())
	if err != nil || kept.failed { // it did nothing
		return errors.Join(err, d.house.Unclaim(ctx, who.Name, key))
	}
	if err := d.keep(ctx, who, key, print, kept); err != nil { // it is done and answered: only its answer cannot be given again
		d.log.ErrorContext(ctx, "keeping an answer to be replayed", "cause", err)
	}
	return nil
}

func (d *Door) keep(ctx context.Context, who actor.Actor, key string, print *fingerprint, kept *recorder) error {
	if len(kept.body) > maxReplayed {
		return nil
	}
	after, err := print.rest()
	if err != nil {
		return err
	}
	return d.house.Answered(ctx, who.Name, key, after, flow.Answer{Status: kept.status, Media: kept.Header().Get("Content-Type"), Tag: kept.Header().Get("ETag"), Body: kept.body})
}

func write(w http.ResponseWriter, a flow.Answer) {
	h := w.Header()
	h.Set("Content-Type", a.Media)
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.Tag != "" {
		h.Set("ETag", a.Tag)
	}
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// recorder keeps what is answered, up to the bound.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
	failed bool // the last line of a stream tells of a failure
}

func (k *recorder) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *recorder) Write(p []byte) (int, error) {
	if k.status == 0 {
		k.status = http.StatusOK
	}
	if len(k.body) <= maxReplayed {
		k.body = append(k.body, p...)
	}
	return k.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach Flush.
func (k *recorder) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// fingerprint hashes a call as its body is read: where it goes, and what it says. Of a form it hashes the parts, since what stands
// between them is chosen anew each time it is sent.
type fingerprint struct {
	body  io.ReadCloser
	sum   hash.Hash
	parts *io.PipeWriter // nil if the body is no form
	done  chan struct{}
}

func newFingerprint(r *http.Request) *fingerprint {
	f := &fingerprint{body: r.Body, sum: sha256.New(), done: make(chan struct{})}
	fmt.Fprintf(f.sum, "%s\x00%s\x00%s\x00", r.Method, r.URL.RequestURI(), r.Header.Get("If-Match"))
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaForm {
		close(f.done)
		return f
	}
	read, write := io.Pipe()
	f.parts = write
	go func() {
		defer close(f.done)
		hashParts(f.sum, multipart.NewReader(read, params["boundary"]))
		io.Copy(io.Discard, read)
	}()
	return f
}

// hashParts hashes each part under the digest of its own, so that none runs into the next.
func hashParts(sum hash.Hash, parts *multipart.Reader) {
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			fmt.Fprintf(sum, "end: %t", errors.Is(err, io.EOF))
			return
		}
		content := sha256.New()
		_, err = io.Copy(content, part)
		fmt.Fprintf(sum, "%q %q %x %t\n", part.Header.Get("Content-Disposition"), part.Header.Get("Content-Type"), content.Sum(nil), err == nil)
	}
}

// Read implements io.Reader.
func (f *fingerprint) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if f.parts != nil {
		f.parts.Write(p[:n])
	} else {
		f.sum.Write(p[:n])
	}
	return n, err
}

// Close implements io.Closer.
func (f *fingerprint) Close() error { return f.body.Close() }

// end lets go of what hashes the parts.
func (f *fingerprint) end() {
	if f.parts != nil {
		f.parts.Close()
	}
}

// rest reads the body to its end and gives the fingerprint.
func (f *fingerprint) rest() (envelope.Hash, error) {
	if _, err := io.Copy(io.Discard, f); err != nil {
		return envelope.Hash{}, reading(err)
	}
	f.end()
	<-f.done
	return envelope.Hash(f.sum.Sum(nil)), nil
}
