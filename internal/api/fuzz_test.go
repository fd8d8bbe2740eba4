package api

import (
	"fmt"
	"testing"

	"entente/envelope"
)

// FuzzParseSizes shows that a cut which is taken has both parties, sizes that are none below zero, and is read
// the same when it is written again.
func FuzzParseSizes(f *testing.F) {
	a, b := envelope.Sum([]byte("a")), envelope.Sum([]byte("b"))
	f.Add(a.String() + ":1," + b.String() + ":2")
	f.Add(a.String() + ":1," + a.String() + ":2")
	f.Add(a.String() + ":-1," + b.String() + ":2")
	f.Add(",")
	f.Fuzz(func(t *testing.T, text string) {
		sizes, err := parseSizes(text, a, b)
		if err != nil {
			return
		}
		first, hasA := sizes[a]
		second, hasB := sizes[b]
		if len(sizes) != 2 || !hasA || !hasB || first < 0 || second < 0 {
			t.Fatalf("%q gave %v", text, sizes)
		}
		again, err := parseSizes(fmt.Sprintf("%s:%d,%s:%d", a, first, b, second), a, b)
		if err != nil || again[a] != first || again[b] != second {
			t.Fatalf("%v came back as %v, %v", sizes, again, err)
		}
	})
}
