package accord_test

import (
	"bytes"
	"testing"

	"entente/envelope"
	"entente/internal/accord"
	"entente/party"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const minute, hour, day = int64(60_000_000), 60 * int64(60_000_000), 24 * 60 * int64(60_000_000)

func arvenia() party.ID { return envelope.Sum([]byte("Arvenia")) }
func kestria() party.ID { return envelope.Sum([]byte("Kestria")) }

func frame() accord.Frame {
	return accord.Frame{Link: envelope.Sum([]byte("link")), Measures: "2026-1", Period: accord.Period{From: 1000 * day, To: 1100 * day},
		Cut: []accord.Head{{Party: arvenia(), Size: 7, At: 1100 * day}, {Party: kestria(), Size: 9, At: 1100 * day}}}
}

// asked is a request of Arvenia that Kestria received on a day of the period, and answered in time.
func asked(n int64, change func(*accord.Case)) accord.Case {
	at := (1000 + n) * day
	c := accord.Case{Request: envelope.Sum([]byte{byte(n)}), Requesting: arvenia(), Requested: kestria(), Sent: at - minute, Received: at,
		Acknowledged: at + hour, AcknowledgedGot: at + hour + minute, Answered: at + 2*hour, AnsweredGot: at + 2*hour + minute,
		AcknowledgeBy: at + day, AnswerBy: at + 7*day, Outcome: "answered"}
	if change != nil {
		change(&c)
	}
	return c
}

func count(cases ...accord.Case) accord.Report {
	c := accord.NewCounting(frame())
	for _, x := range cases {
		c.Add(x)
	}
	return c.Report()
}

// of are a party's figures.
func of(t *testing.T, r accord.Report, p party.ID) accord.Figures {
	t.Helper()
	for _, f := range r.Figures {
		if f.Party == p {
			return f
		}
	}
	t.Fatal("the party has no figures")
	return accord.Figures{}
}

func TestFigures(t *testing.T) {
	never := func(c *accord.Case) { c.Acknowledged, c.Answered, c.Open, c.Outcome = 0, 0, true, "delivered" }
	r := count(
		asked(1, nil),
		asked(2, func(c *accord.Case) { // late both times, and asked about
			c.Acknowledged, c.AcknowledgedGot, c.Answered, c.AnsweredGot, c.Clarified = c.Received+2*day, c.Received+2*day, c.Received+8*day, c.Received+8*day, true
		}),
		asked(3, func(c *accord.Case) { c.Outcome, c.Ground, c.Corrected = "refused", "sovereignty", true }),
		asked(5, never),  // over 90 days, and over its time
		asked(50, never), // 50 days
		asked(99, func(c *accord.Case) { never(c); c.AcknowledgeBy, c.AnswerBy = c.Received+3*day, 0 }), // not due yet, and without a clock
		asked(-1, nil), asked(100, nil), // not of the period
		asked(4, func(c *accord.Case) { c.Requesting, c.Requested = c.Requested, c.Requesting }),
		asked(6, func(c *accord.Case) { c.Requesting = envelope.Sum([]byte("another")) }),
	)
	want := accord.Figures{Party: kestria(), Received: 6,
		Acknowledged: accord.Timed{Count: 3, Median: hour, P90: 2 * day, OnTime: 2, Late: 3},
		Answered:     accord.Timed{Count: 3, Median: 2 * hour, P90: 8 * day, OnTime: 2, Late: 3},
		Outcomes:     []accord.Count{{Code: "answered", N: 2}, {Code: "delivered", N: 3}, {Code: "refused", N: 1}}, Grounds: []accord.Count{{Code: "sovereignty", N: 1}},
		Open: 3, OpenOver30: 2, OpenOver90: 1, Clarified: 1, Sent: 1, Complete: 1}
	if diff := cmp.Diff(want, of(t, r, kestria())); diff != "" {
		t.Errorf("the requested party's figures (-want +got):\n%s", diff)
	}
	if got := of(t, r, arvenia()); got.Sent != 6 || got.Complete != 4 || got.Received != 1 || got.Answered.Count != 1 {
		t.Errorf("the requesting party's figures: %+v", got)
	}
	if len(r.Disputed) != 0 {
		t.Errorf("disputed: %+v", r.Disputed)
	}
}

// A time is disputed when it lies more than five minutes outside what the other party's log bounds, and not before.
func TestDisputes(t *testing.T) {
	over := accord.Tolerance + int64(1)
	for _, c := range []struct {
		name   string
		change func(c *accord.Case, by int64)
		word   string
	}{
		{"received before it was sent", func(c *accord.Case, by int64) { c.Sent = c.Received + by }, "received"},
		{"received after its receipt came back", func(c *accord.Case, by int64) { c.Returned = c.Received - by }, "received"},
		{"acknowledged after that had come in", func(c *accord.Case, by int64) { c.AcknowledgedGot = c.Acknowledged - by }, "acknowledged"},
		{"answered after that had come in", func(c *accord.Case, by int64) { c.AnsweredGot = c.Answered - by }, "answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := count(asked(1, func(x *accord.Case) { c.change(x, accord.Tolerance) })); len(r.Disputed) != 0 || of(t, r, kestria()).Disputed != 0 {
				t.Errorf("disputed within the tolerance: %+v", r.Disputed)
			}
			r := count(asked(1, func(x *accord.Case) { c.change(x, over) }))
			if len(r.Disputed) != 1 || r.Disputed[0].Word != c.word || r.Disputed[0].Party != kestria() || of(t, r, kestria()).Disputed != 1 || of(t, r, arvenia()).Disputed != 0 {
				t.Errorf("not disputed as %s: %+v", c.word, r.Disputed)
			}
			if got := of(t, r, kestria()); got.Received != 1 || got.Answered.Count != 1 {
				t.Errorf("what is disputed is not counted: %+v", got)
			}
		})
	}
}

// The annex is bounded; what it leaves out is counted, and which it keeps does not depend on the order.
func TestAnnexIsBounded(t *testing.T) {
	const cases = 3 * accord.MaxAnnex
	forth, back := accord.NewCounting(frame()), accord.NewCounting(frame())
	at := func(i int) accord.Case {
		return asked(1, func(c *accord.Case) {
			c.Request, c.Sent = envelope.Sum([]byte{byte(i), byte(i >> 8)}), c.Received+hour
		})
	}
	for i := range cases {
		forth.Add(at(i))
		back.Add(at(cases - 1 - i))
	}
	r := forth.Report()
	if len(r.Disputed) != accord.MaxAnnex || of(t, r, kestria()).Disputed != cases {
		t.Errorf("%d in the annex, %d counted", len(r.Disputed), of(t, r, kestria()).Disputed)
	}
	if diff := cmp.Diff(r, back.Report()); diff != "" {
		t.Errorf("the order shows: %s", diff)
	}
}

// Any cases, in any order, and the parties of the cut named in either order, give the same bytes; and the bytes say all.
func TestReportIsCanonical(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		cases := make([]accord.Case, rapid.IntRange(0, 30).Draw(r, "cases"))
		instant := rapid.Int64Range(990*day, 1110*day)
		for i := range cases {
			c := accord.Case{Request: envelope.Sum([]byte{byte(i)}), Requesting: arvenia(), Requested: kestria(), Sent: instant.Draw(r, "sent"), Received: instant.Draw(r, "received"),
				AcknowledgeBy: instant.Draw(r, "by"), AnswerBy: instant.Draw(r, "by"), Clarified: rapid.Bool().Draw(r, "clarified"), Open: rapid.Bool().Draw(r, "open"),
				Outcome: rapid.SampledFrom([]string{"answered", "refused", "delivered"}).Draw(r, "outcome"), Ground: rapid.SampledFrom([]string{"", "sovereignty", "human_rights"}).Draw(r, "ground")}
			if rapid.Bool().Draw(r, "kestria asks") {
				c.Requesting, c.Requested = c.Requested, c.Requesting
			}
			if rapid.Bool().Draw(r, "answered") {
				c.Acknowledged, c.AcknowledgedGot, c.Answered, c.AnsweredGot = instant.Draw(r, "a"), instant.Draw(r, "b"), instant.Draw(r, "c"), instant.Draw(r, "d")
			}
			cases[i] = c
		}
		encode := func(f accord.Frame, cases []accord.Case) []byte {
			c := accord.NewCounting(f)
			for _, x := range cases {
				c.Add(x)
			}
			data, err := c.Report().Encode()
			if err != nil {
				r.Fatal(err)
			}
			return data
		}
		data := encode(frame(), cases)
		turned := frame()
		turned.Cut[0], turned.Cut[1] = turned.Cut[1], turned.Cut[0]
		if again := encode(turned, rapid.Permutation(cases).Draw(r, "order")); !bytes.Equal(data, again) {
			r.Fatalf("the order shows:\n%s\n%s", data, again)
		}
		var back accord.Report
		if err := envelope.Unmarshal(data, &back); err != nil {
			r.Fatal(err)
		}
		if same, err := back.Encode(); err != nil || !bytes.Equal(same, data) {
			r.Fatalf("the report does not come back: %v", err)
		}
	})
}
