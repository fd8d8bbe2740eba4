package flow

import (
	"fmt"
	"testing"

	"entente/envelope"
	"entente/handling"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/statement"
)

// BenchmarkDecodeAndFold takes statements of a request's thread from their stored texts to their columns, in memory: a
// request, and the words that answer it, of both parties, again and again.
func BenchmarkDecodeAndFold(b *testing.B) {
	rules := statement.DefaultRules()
	link, asking, asked := envelope.Sum([]byte("link")), envelope.Sum([]byte("Arvenia")), envelope.Sum([]byte("Kestria"))
	text := func(from, to envelope.Hash, kind string, thread *statement.Commitment, face map[string]any) []byte {
		data, err := envelope.Marshal(face)
		if err != nil {
			b.Fatal(err)
		}
		t := statement.Text{V: 1, Link: link, From: from, To: to, Lane: statement.Assistance, Kind: kind, Edition: rules.Edition(), Thread: thread,
			Authored: 1_772_452_800_000_000, Zone: "Asia/Shanghai", Urgency: "routine", Marking: handling.Marking{TLP: "AMBER"}, Face: data,
			Body: envelope.Sum([]byte("body"))}
		out, err := t.Encode()
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	first := envelope.Sum([]byte("first"))
	words := []struct {
		author, peer envelope.Hash
		text         []byte
	}{
		{asking, asked, text(asking, asked, "mla.traffic", nil, map[string]any{"number": "ARV-MT-2026-0001", "status": "new", "days": "Asia/Shanghai", "copy": "formal"})},
		{asked, asking, text(asked, asking, "request.acknowledge", &first, map[string]any{})},
		{asked, asking, text(asked, asking, "status.update", &first, map[string]any{})},
		{asked, asking, text(asked, asking, "decision.delay", &first, map[string]any{"reason": "workload", "until": 1_773_452_800_000_000})},
		{asked, asking, text(asked, asking, "answer.partial", &first, map[string]any{})},
		{asking, asked, text(asking, asked, "request.correct", &first, map[string]any{})},
		{asking, asked, text(asking, asked, "status.query", &first, map[string]any{})},
		{asked, asking, text(asked, asking, "answer.complete", &first, map[string]any{})},
	}
	edition := rules.Edition()
	kinds := foldables(assistance.NewTable())[rules.Kinds]
	known := func(e envelope.Hash) (map[string]foldable, bool) { return kinds, e == edition }
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		memory := over(nil)
		memory.fresh, memory.begun[first] = true, edition
		for i, w := range words {
			c := first
			if i > 0 {
				c = envelope.Sum(fmt.Append(nil, "word", i))
			}
			p := exchange.Parcel{Link: link, Author: w.author, Lane: statement.Assistance, Seq: uint64(i + 1), SeenSeq: uint64(i), Text: c,
				State: exchange.Opened, Received: 1_772_452_801_000_000}
			t, err := turnOf(p, exchange.Statement{Text: w.text}, w.peer, known)
			if err != nil {
				b.Fatal(err)
			}
			if verdict, _, err := foldOne(b.Context(), memory, t); err != nil || verdict != "folded" {
				b.Fatal(i, verdict, err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(words)), "ns/statement")
}
