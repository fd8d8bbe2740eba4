package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"entente/internal/fault"
	"entente/ledger"
)

// Codes of what a witness answers.
const (
	codeAway     = "witness_away"     // no answer, or none that says anything
	codeUnknown  = "witness_unknown"  // it does not know this log
	codeKeys     = "witness_keys"     // it knows no key that signed
	codeConflict = "witness_conflict" // it cosigned another size last
	codeHistory  = "witness_history"  // it remembers another tree
	codeAhead    = "witness_ahead"    // it remembers a larger tree; by the house
	codeRefused  = "witness_refused"  // anything else
)

// ofOneLog says whether a failure concerns the ledger that was asked for, and says nothing of others.
func ofOneLog(code string) bool {
	switch code {
	case codeUnknown, codeKeys, codeHistory, codeAhead, codeRefused:
		return true
	}
	return false
}

const (
	maxAnswer = ledger.MaxNote // bytes; it is a few lines
	maxHeader = 16 << 10       // bytes of an answer's header
	sizeType  = "text/x.tlog.size"
)

// NewTransport reaches witnesses over TLS, with the machine's authorities and no proxy.
func NewTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           MaxWitnesses,
		MaxConnsPerHost:        1,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// add makes one add-checkpoint request. It follows nowhere. An answer of 409 with a size is a fault of code codeConflict.
func (w *asked) add(ctx context.Context, body []byte) (lines []byte, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return nil, 0, away(err)
	}
	r.Header.Set("User-Agent", "entente")
	answer, err := w.cfg.Transport.RoundTrip(r)
	if err != nil {
		return nil, 0, away(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, away(err)
	}
	if len(data) > maxAnswer {
		return nil, 0, away(fmt.Errorf("an answer of more than %d bytes", maxAnswer))
	}
	if answer.StatusCode == http.StatusOK {
		return data, 0, nil
	}
	size, err = refusal(answer, data)
	return nil, size, err
}

func away(err error) error {
	return fault.Wrap(fault.Unavailable, codeAway, "The witness does not answer; look at its URL and the network, or ask its operator.", err)
}

func history(err error) error {
	return fault.Wrap(fault.Conflict, codeHistory, "The witness remembers another history of this ledger than the one that lies here; talk to its operator before anything else.", err)
}

// refusal reads an answer that is no cosignature. A stranger's words are not repeated.
func refusal(answer *http.Response, data []byte) (size int64, err error) {
	cause := fmt.Errorf("status %d", answer.StatusCode)
	switch answer.StatusCode {
	case http.StatusNotFound:
		return 0, fault.Wrap(fault.NotFound, codeUnknown, "The witness does not know this ledger; give its operator what \"entente ledger witnesses\" shows of it.", cause)
	case http.StatusForbidden:
		return 0, fault.Wrap(fault.Forbidden, codeKeys, "The witness knows no key of this ledger; give its operator what \"entente ledger witnesses\" shows of it.", cause)
	case http.StatusUnprocessableEntity:
		return 0, history(cause)
	case http.StatusConflict:
		digits := string(bytes.TrimSuffix(data, []byte("\n")))
		size, err := strconv.ParseInt(digits, 10, 64)
		if answer.Header.Get("Content-Type") != sizeType || err != nil || size < 0 || size > ledger.MaxSize || strconv.FormatInt(size, 10) != digits {
			return 0, history(cause) // without a size, it is about the same one with another root
		}
		return size, fault.Wrap(fault.Conflict, codeConflict, "The witness has cosigned another size last.", cause)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return 0, fault.Wrap(fault.Invalid, codeRefused, "The witness refuses the request as malformed; it may not keep to the standard.", cause)
	}
	return 0, away(cause)
}
