package assistance_test

import (
	"testing"
	"time"

	"entente/internal/assistance"
)

// BenchmarkFold folds one word of a request's thread, and sets its clocks anew.
func BenchmarkFold(b *testing.B) {
	h := open(b, "preservation.request")
	word := turn(b, "update", "status.update", noon+hour, nil)
	by := terms(nil)
	zone, err := by.Zone("Asia/Shanghai")
	if err != nil {
		b.Fatal(err)
	}
	by.Zone = func(string) (*time.Location, error) { return zone, nil }
	b.Run("fold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, void := h.say(assistance.Requested, word); void != nil {
				b.Fatal(void)
			}
		}
	})
	b.Run("clocks", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := assistance.Clocks(h.columns[assistance.Requesting], h.columns[assistance.Requested], by); err != nil {
				b.Fatal(err)
			}
		}
	})
}
