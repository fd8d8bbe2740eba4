package flow_test

import (
	"strings"
	"testing"
	"time"

	"entente/envelope"
	"entente/internal/flow"
)

// TestClaim: a key is taken once, gives back what was answered, and is free again after a refusal or a day.
func TestClaim(t *testing.T) {
	a := newSide(t, "arvenia", newClock(), nil)
	ctx := t.Context()
	claim := func(who, key string) (flow.Answer, bool, error) {
		_, answer, done, err := a.Claim(ctx, who, key)
		return answer, done, err
	}
	for _, key := range []string{"", "a b", "ä", strings.Repeat("k", 129)} {
		_, _, err := claim("anna", key)
		wantCode(t, "key "+key, err, "idempotency_key")
	}
	if _, done, err := claim("anna", "k"); done || err != nil {
		t.Fatalf("a new key: %v, %v", done, err)
	}
	_, _, err := claim("anna", "k")
	wantCode(t, "while it is under way", err, "idempotency_running")
	if _, done, err := claim("ben", "k"); done || err != nil {
		t.Errorf("another's key: %v, %v", done, err)
	}
	wantCode(t, "refused", a.Unclaim(ctx, "ben", "k"), "")
	if _, done, err := claim("ben", "k"); done || err != nil {
		t.Errorf("after a refusal: %v, %v", done, err)
	}
	print, answer := envelope.Sum([]byte("call")), flow.Answer{Status: 201, Media: "application/json", Tag: `"t"`, Body: []byte("{}")}
	wantCode(t, "answered", a.Answered(ctx, "anna", "k", print, answer), "")
	got, gave, done, err := a.Claim(ctx, "anna", "k")
	if err != nil || !done || got != print || gave.Status != answer.Status || gave.Tag != answer.Tag || string(gave.Body) != "{}" {
		t.Errorf("replayed: %v %+v %v %v", got, gave, done, err)
	}
	a.clock.advance(24*time.Hour + time.Second)
	if _, done, err := claim("anna", "k"); done || err != nil {
		t.Errorf("a day later: %v, %v", done, err)
	}
}
