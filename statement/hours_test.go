package statement_test

import (
	"testing"
	"time"

	"entente/statement"
)

func TestOpen(t *testing.T) {
	day := func(days, from, to string) statement.Hours { return statement.Hours{Days: days, From: from, To: to} }
	desk := statement.DeskBody{Hours: []statement.Hours{day("mon-fri", "09:00", "18:00"), day("sat", "22:00", "24:00"), day("sun-mon", "00:00", "06:00")}}
	for at, want := range map[string]bool{
		"2026-03-02T09:00:00+08:00": true, "2026-03-02T17:59:59+08:00": true, "2026-03-02T18:00:00+08:00": false, "2026-03-02T05:00:00+08:00": true,
		"2026-03-07T09:00:00+08:00": false, "2026-03-07T23:59:00+08:00": true, "2026-03-08T05:59:00+08:00": true, "2026-03-03T05:00:00+08:00": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := desk.Open(when); got != want {
			t.Errorf("at %s open: %t", at, got)
		}
	}
	if !(statement.DeskBody{Always: true}).Open(time.Time{}) {
		t.Error("a desk that is always open is closed")
	}
}
