package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"entente/envelope"
	"entente/internal/assistance"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// problemMedia is the media type of a problem document (RFC 9457, section 3).
const problemMedia = "application/problem+json"

// kindPrefix stands before the kind in a problem's type.
const kindPrefix = "urn:entente:problem:"

// Problem is a failure as clients see it (RFC 9457).
type Problem struct {
	Type   string `json:"type" doc:"urn:entente:problem: and the kind."`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail" doc:"A sentence that says what to do next."`
	Code   string `json:"code" doc:"Stable; counted by cause."`

	Faults []FieldFault `json:"faults,omitempty" doc:"Each fault of a draft that was not sent."`
	Draft  *envelope.ID `json:"draft,omitzero" doc:"Where the code is held: the draft as which it is kept until it is released."`
}

// Fault turns a problem that a client received back into a fault.
func (p Problem) Fault() *fault.Error {
	kind := fault.Kind(strings.TrimPrefix(p.Type, kindPrefix))
	if _, known := answers()[kind]; !known {
		kind = fault.Internal
	}
	if len(p.Faults) == 0 {
		return fault.New(kind, p.Code, p.Detail)
	}
	cause := &assistance.Incomplete{}
	for _, f := range p.Faults {
		cause.Faults = append(cause.Faults, statement.FieldFault{Where: f.Where, What: f.What, Write: statement.Words(f.Write)})
	}
	return fault.Wrap(kind, p.Code, p.Detail, cause)
}

// answer is how one kind of failure looks to a client.
type answer struct {
	status int
	title  string
}

// answers is the table of errors: every kind there is.
func answers() map[fault.Kind]answer {
	return map[fault.Kind]answer{
		fault.Invalid:     {http.StatusBadRequest, "The request is wrong"},
		fault.NotFound:    {http.StatusNotFound, "There is no such thing here"},
		fault.Conflict:    {http.StatusConflict, "The state does not allow it now"},
		fault.Forbidden:   {http.StatusForbidden, "You may not do this"},
		fault.TooLarge:    {http.StatusRequestEntityTooLarge, "It is over a limit"},
		fault.Exhausted:   {http.StatusTooManyRequests, "Too much at once"},
		fault.Unavailable: {http.StatusServiceUnavailable, "Not possible at the moment"},
		fault.Internal:    {http.StatusInternalServerError, "The node failed"},
	}
}

// special are the codes of this door whose HTTP status is not that of their kind.
func special(code string) (int, bool) {
	switch code {
	case "method":
		return http.StatusMethodNotAllowed, true
	case "media_type":
		return http.StatusUnsupportedMediaType, true
	case "token":
		return http.StatusUnauthorized, true
	case "idempotency_mismatch":
		return http.StatusUnprocessableEntity, true
	case "draft_changed":
		return http.StatusPreconditionFailed, true
	case "precondition":
		return http.StatusPreconditionRequired, true
	}
	return 0, false
}

// problemOf renders an error. What is not a fault is an internal failure, except a limit of net/http, a malformed
// document, and a client that went away.
func problemOf(err error) Problem {
	kind, code, detail := fault.KindOf(err), fault.CodeOf(err), fault.Public(err)
	if _, isFault := errors.AsType[*fault.Error](err); !isFault {
		if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
			kind, code = fault.TooLarge, "body"
			detail = "The body is over the limit of " + strconv.FormatInt(e.Limit, 10) + " bytes."
		} else if e, ok := errors.AsType[*envelope.FormatError](err); ok {
			kind, code, detail = fault.Invalid, "format", "The document is malformed: "+e.Error()+"."
		} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			kind, code, detail = fault.Unavailable, "cancelled", "The call ended before it was done; try again."
		}
	}
	a, known := answers()[kind]
	if !known {
		kind, a = fault.Internal, answers()[fault.Internal]
	}
	status := a.status
	if s, ok := special(code); ok {
		status = s
	}
	p := Problem{Type: kindPrefix + string(kind), Title: a.title, Status: status, Detail: detail, Code: code}
	if e, ok := errors.AsType[*assistance.Incomplete](err); ok {
		p.Faults = faultsOf(e)
	}
	if e, ok := errors.AsType[*flow.Held](err); ok {
		p.Draft = &e.Draft.ID
	}
	return p
}

// fail is the one function that renders errors. Failures of the node itself are logged with their cause; others
// are the client's to read.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	d.logFailure(r, p, err)
	if w.Header().Get("Allow") == "" {
		w.Header().Del("Content-Disposition")
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	writeJSON(w, p.Status, problemMedia, p)
}

// logFailure logs the cause of a failure that is ours.
func (d *Door) logFailure(r *http.Request, p Problem, err error) {
	if p.Status < http.StatusInternalServerError || p.Code == "cancelled" {
		return
	}
	level := slog.LevelError
	if p.Status == http.StatusServiceUnavailable {
		level = slog.LevelWarn
	}
	d.log.LogAttrs(r.Context(), level, "a call failed",
		slog.String("door", "api"), slog.String("route", r.Pattern), slog.String("code", p.Code), slog.Any("cause", err))
}

// writeJSON writes a value of this package; these always encode, so a failure here is the connection's.
func writeJSON(w http.ResponseWriter, status int, media string, v any) {
	data, err := envelope.Marshal(v)
	if err != nil {
		status, media = http.StatusInternalServerError, problemMedia
		data, _ = envelope.Marshal(problemOf(err))
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(data)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}
