package flow

import "testing"

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	r := recent[int, string]{limit: 2}
	for i, v := range []string{"one", "two", "three"} {
		r.put(i, v)
		if got, ok := r.get(i); !ok || got != v {
			t.Errorf("%d was not remembered", i)
		}
	}
	if len(r.known) != 2 {
		t.Errorf("%d are remembered, not two", len(r.known))
	}
	r.put(2, "again")
	if r.drop(2); len(r.known) != 1 {
		t.Errorf("%d are left, not one", len(r.known))
	}
}
