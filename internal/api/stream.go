package api

import (
	"net/http"
	"strings"
	"time"

	"entente/envelope"
)

// Line is one line of a long call's answer: progress, and at the end either the result or the problem.
type Line[T any] struct {
	Progress *Progress `json:"progress,omitzero"`
	Result   *T        `json:"result,omitzero"`
	Problem  *Problem  `json:"problem,omitzero"`
}

// progressEvery spaces the progress lines.
const progressEvery = 200 * time.Millisecond

// acceptsStream says whether the client asked for NDJSON.
func acceptsStream(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(part, ";")
		if strings.TrimSpace(media) == mediaNDJSON {
			return true
		}
	}
	return false
}

// stream writes NDJSON. It is used by one goroutine at a time, as flow.Progress is.
type stream struct {
	w    http.ResponseWriter
	now  func() time.Time
	last time.Time
}

func newStream(w http.ResponseWriter, now func() time.Time) *stream {
	w.Header().Set("Content-Type", mediaNDJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, now: now}
}

// progress writes a line, but not more often than progressEvery unless the work is done. A total of 0 is
// one that is not known yet.
func (s *stream) progress(done, total int64) {
	now := s.now()
	if (done < total || total == 0) && now.Sub(s.last) < progressEvery {
		return
	}
	s.last = now
	s.line(Line[None]{Progress: &Progress{Done: done, Total: total}})
	http.NewResponseController(s.w).Flush()
}

// line writes one line, which leaves with what follows. A client that went away is noticed by the call's context, not here.
func (s *stream) line(v any) {
	data, err := envelope.Marshal(v)
	if err != nil {
		p := problemOf(err)
		data, _ = envelope.Marshal(Line[None]{Problem: &p})
	}
	s.w.Write(append(data, '\n'))
}
