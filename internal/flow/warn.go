package flow

import (
	"time"

	"entente/statement"
)

// warnEvery is how often one message about a link is written at most.
const warnEvery = time.Minute

// warned is one message about a link: when it may be written again, and how often it was called for since it was.
type warned struct {
	next  int64
	times int
}

// warn logs what a peer can cause at will: each message once a minute for a link, with how often it was called for, so that no
// peer fills the log. The message is a constant; what the peer said is an argument.
func (h *House) warn(link statement.LinkID, message string, args ...any) {
	s, now := h.link(link), h.now()
	s.mu.Lock()
	w := s.warned[message]
	w.times++
	times, due := w.times, now >= w.next
	if due {
		w = warned{next: now + warnEvery.Microseconds()}
	}
	s.warned[message] = w
	s.mu.Unlock()
	if due {
		h.cfg.Log.Warn(message, append([]any{"link", link, "times", times}, args...)...)
	}
}
