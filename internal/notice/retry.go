package notice

import "time"

// Outcome is how one attempt ended.
type Outcome struct {
	Status     int           // of the answer; 0 if none came
	Code       string        // of what went wrong where no answer came: unreachable, timeout, tls, or that of CheckAddress
	RetryAfter time.Duration // as the receiver asked; 0 if it did not
}

// The codes of an answer that is not a success.
const (
	CodeRedirect = "redirect" // it is not followed
	CodeGone     = "gone"
	CodeBusy     = "busy"     // 408, 425, 429, or a status from 500
	CodeRefused  = "refused"  // any other: it does not take this one
	CodeTooMany  = "too_many" // it waited behind MaxWaiting others
)

const (
	firstRest   = 5 * time.Second
	longestRest = 6 * time.Hour
	longestWish = 24 * time.Hour // that a receiver is granted
	maxAttempts = 10             // of a delivery that a receiver refuses while it takes others: half a day
	failingFor  = 4 * 24 * time.Hour
)

// rest is how long nothing is tried after so many failures in a row: three times as long after each. One webhook is tried by one
// hand only, so there is no herd that chance would have to scatter.
func rest(failures int) time.Duration {
	d := firstRest
	for range failures - 1 {
		if d *= 3; d >= longestRest {
			return longestRest
		}
	}
	return d
}

func codeOf(o Outcome) string {
	switch {
	case o.Status == 0:
		return o.Code
	case o.Status >= 200 && o.Status < 300:
		return ""
	case o.Status >= 300 && o.Status < 400:
		return CodeRedirect
	case o.Status == 410:
		return CodeGone
	case o.Status == 408 || o.Status == 425 || o.Status == 429 || o.Status >= 500:
		return CodeBusy
	}
	return CodeRefused
}

// After is a webhook and a delivery after an attempt, and whether the next delivery is tried at once. A receiver that is away, slow or
// busy is left alone, with all that waits for it, and is disabled after days; one that says it is gone is disabled at once; and
// one that refuses a single notice does not keep the others from it.
func After(h Hook, d Delivery, o Outcome, now int64) (Hook, Delivery, bool) {
	code := codeOf(o)
	d.Attempts++
	d.Status, d.Code, h.Code = o.Status, code, code
	switch code {
	case "":
		h.Failures, h.Failing, h.Next = 0, 0, 0
		d.State, d.Ended = Delivered, now
		return h, d, true
	case CodeRefused:
		h.Failures, h.Failing, h.Next = 0, 0, 0
		d.Next = now + rest(d.Attempts).Microseconds()
		if d.Attempts >= maxAttempts {
			d.State, d.Ended = GivenUp, now
		}
		return h, d, true
	case CodeGone:
		h.Disabled, h.Why = now, Gone
		return h, d, false
	}
	h.Failures++
	if h.Failing == 0 {
		h.Failing = now
	}
	h.Next = now + max(rest(h.Failures), min(o.RetryAfter, longestWish)).Microseconds()
	if now-h.Failing >= failingFor.Microseconds() {
		h.Disabled, h.Why = now, Failing
	}
	return h, d, false
}

// Resumed is a webhook that is told again, at once.
func (h Hook) Resumed() Hook {
	h.Failures, h.Failing, h.Next, h.Code, h.Disabled, h.Why = 0, 0, 0, "", 0, ""
	return h
}
