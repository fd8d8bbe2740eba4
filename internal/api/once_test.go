package api_test

import (
	"errors"
	"maps"
	"net/http"
	"testing"

	"entente/internal/api"
	"entente/internal/fault"
)

// TestIdempotencyKey: a call that is sent again under its key does nothing and gets the same answer; another one is refused.
func TestIdempotencyKey(t *testing.T) {
	f := newFake()
	base, _ := serve(t, f)
	send := func(key, draft string, files ...string) (*http.Response, string) {
		body, header := form(t, draft, files...) // with another boundary each time
		header.Set("Idempotency-Key", key)
		resp := request{method: "POST", path: api.Prefix + "/statements", body: body, header: header}.do(t, base)
		return resp, all(t, resp)
	}
	first, answer := send("k-1", draft, "a.txt", "one")
	if first.StatusCode != http.StatusCreated || len(f.files) != 1 {
		t.Fatalf("the first: %d %s", first.StatusCode, answer)
	}
	again, same := send("k-1", draft, "a.txt", "one")
	if again.StatusCode != http.StatusCreated || same != answer || again.Header.Get("Idempotency-Replayed") != "true" || len(f.files) != 1 {
		t.Errorf("sent again: %d %s, sent %d times", again.StatusCode, same, len(f.files))
	}
	for name, other := range map[string]func() (*http.Response, string){
		"another file":      func() (*http.Response, string) { return send("k-1", draft, "a.txt", "two") },
		"another file name": func() (*http.Response, string) { return send("k-1", draft, "b.txt", "one") },
		"a file more":       func() (*http.Response, string) { return send("k-1", draft, "a.txt", "one", "b.txt", "") },
		"no file":           func() (*http.Response, string) { return send("k-1", draft) },
		"another call": func() (*http.Response, string) {
			q := calls(t)["suspend"]
			q.header = http.Header{"Idempotency-Key": {"k-1"}}
			resp := q.do(t, base)
			return resp, all(t, resp)
		},
	} {
		if resp, body := other(); resp.StatusCode != http.StatusUnprocessableEntity || len(f.files) != 1 {
			t.Errorf("%s under the same key: %d %s", name, resp.StatusCode, body)
		}
	}
	if resp, _ := send("k-2", draft, "a.txt", "one"); resp.StatusCode != http.StatusCreated || len(f.files) != 2 {
		t.Errorf("under another key: %d", resp.StatusCode)
	}
	f.fail = fault.New(fault.Conflict, "state", "Not now.")
	if resp, _ := send("k-3", draft); resp.StatusCode != http.StatusConflict {
		t.Errorf("refused: %d", resp.StatusCode)
	}
	f.fail = nil
	if resp, _ := send("k-3", draft); resp.StatusCode != http.StatusCreated {
		t.Errorf("after it was refused, under the same key: %d", resp.StatusCode)
	}
	f.fail = errors.New("inner")
	if resp, body := send("k-1", draft, "a.txt", "one"); resp.StatusCode != http.StatusCreated || body != answer {
		t.Errorf("while the node fails: %d %s", resp.StatusCode, body)
	}
}

// TestNoKeyForSecrets: an answer with a secret is not kept, so it cannot be asked for again.
func TestNoKeyForSecrets(t *testing.T) {
	base, _ := serve(t, newFake())
	for _, id := range []string{"addMember", "addToken", "resetPassphrase"} {
		q := calls(t)[id]
		q.header = maps.Clone(q.header)
		if q.header == nil {
			q.header = http.Header{}
		}
		q.header.Set("Idempotency-Key", "k")
		if resp := q.do(t, base); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", id, resp.StatusCode)
		}
	}
}

// TestEntityTags: a draft's tag is answered, and a change must name one.
func TestEntityTags(t *testing.T) {
	base, _ := serve(t, newFake())
	resp := calls(t)["draft"].do(t, base)
	if tag := resp.Header.Get("ETag"); tag != `"`+said.String()+`"` {
		t.Errorf("tag %s", tag)
	}
	for match, want := range map[string]int{"": http.StatusPreconditionRequired, "*": http.StatusBadRequest, `W/"` + said.String() + `"`: http.StatusBadRequest,
		said.String(): http.StatusBadRequest, `"x"`: http.StatusBadRequest, `"` + said.String() + `"`: http.StatusOK} {
		q := calls(t)["editDraft"]
		q.header = http.Header{}
		if match != "" {
			q.header.Set("If-Match", match)
		}
		if resp := q.do(t, base); resp.StatusCode != want {
			t.Errorf("If-Match %s: %d, want %d", match, resp.StatusCode, want)
		}
	}
}
