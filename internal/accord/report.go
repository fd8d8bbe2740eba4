// Package accord is the room of what the parties agreed and of how well it is kept; its first part is the status report. It
// promises that a report is a pure function of what both parties' ledgers hold under a common cut, so that each of them computes
// the same bytes alone, in whatever order things came in. It refuses to rank: both parties are counted alike, in the order of their
// ids, and nothing here sets one against the other.
package accord

import (
	"cmp"
	"maps"
	"slices"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

const (
	// Tolerance is by how much, in microseconds, a time in one party's log may lie outside what the other's log bounds.
	Tolerance = 5 * 60 * 1_000_000

	// MaxAnnex is how many disputed times the annex lists; all are counted.
	MaxAnnex = 1000

	day = 24 * 3600 * int64(1_000_000)
)

// Period is a time in UTC microseconds, without its end.
type Period struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Head is how much of a party's ledger a report counts by: a checkpoint that the other party cosigned, or less.
type Head struct {
	Party party.ID      `json:"party"`
	Epoch uint32        `json:"epoch"`
	Size  int64         `json:"size"`
	Root  envelope.Hash `json:"root"`
	At    int64         `json:"at"` // time of its last leaf: how old what is open is by this party's log
}

// Frame is what a report is about.
type Frame struct {
	V        int              `json:"v"` // 1
	Link     statement.LinkID `json:"link"`
	Rules    envelope.Hash    `json:"rules"`    // the edition of the rule set
	Measures string           `json:"measures"` // the edition of measures
	Period   Period           `json:"period"`
	Cut      []Head           `json:"cut"` // of both parties, in the order of their ids
}

// Case is one request as it is counted. Times are UTC microseconds, each by the log that is named; 0 is never.
type Case struct {
	Request               statement.Commitment
	Requesting, Requested party.ID
	Sent                  int64 // the requesting party's log: the request
	Received              int64 // the requested party's: the request
	Returned              int64 // the requesting party's: the receipt; 0 if it bounds nothing
	Acknowledged          int64 // the requested party's: its acknowledgement
	AcknowledgedGot       int64 // the requesting party's: the same
	Answered              int64 // the requested party's: its first answer
	AnsweredGot           int64 // the requesting party's: the same
	AcknowledgeBy         int64 // until when it had to acknowledge; 0: no clock ran
	AnswerBy              int64
	Clarified, Corrected  bool   // it was asked about; it was put right
	Outcome               string // its status
	Ground                string // on which it was refused, in whole or in part; "" if it was not
	Open                  bool
}

// Report is a status report. Its encoding is canonical: equal reports have equal bytes.
type Report struct {
	About    Frame     `json:"about"`
	Figures  []Figures `json:"figures"`  // of both parties, in the order of their ids
	Disputed []Dispute `json:"disputed"` // the annex: the first MaxAnnex by request and word
}

// Figures are one party's, of the requests that it received in the period; of those that it sent as far as they say so.
type Figures struct {
	Party        party.ID `json:"party"`
	Received     int      `json:"received"`
	Acknowledged Timed    `json:"acknowledged"`
	Answered     Timed    `json:"answered"`
	Outcomes     []Count  `json:"outcomes"` // by code
	Grounds      []Count  `json:"grounds"`  // by code
	Open         int      `json:"open"`
	OpenOver30   int      `json:"open_over_30_days"`
	OpenOver90   int      `json:"open_over_90_days"`
	Clarified    int      `json:"clarified"` // of those received: where it had to ask
	Sent         int      `json:"sent"`
	Complete     int      `json:"complete_at_first_sending"` // of those sent: neither asked about nor put right
	Disputed     int      `json:"disputed"`                  // times of its log that the other's contradicts
}

// Timed says how often something was done, how long it took in microseconds, and how often in time. Late is also what was not
// done when its time was over.
type Timed struct {
	Count  int   `json:"count"`
	Median int64 `json:"median"` // nearest rank; 0 of none
	P90    int64 `json:"p90"`
	OnTime int   `json:"on_time"`
	Late   int   `json:"late"`
}

// Count is how often a code stands.
type Count struct {
	Code string `json:"code"`
	N    int    `json:"n"`
}

// Dispute is a time in one party's log that lies more than Tolerance outside what the other's log bounds.
type Dispute struct {
	Request statement.Commitment `json:"request"`
	Party   party.ID             `json:"party"` // whose log says it
	Word    string               `json:"word"`  // received | acknowledged | answered
	Said    int64                `json:"said"`
	Bound   int64                `json:"bound"` // by the other's log
}

// Counting counts cases one by one, in any order.
type Counting struct {
	frame   Frame
	parties map[party.ID]*counted
	annex   []Dispute
}

type counted struct {
	Figures
	asOf              int64
	toAck, toAnswer   []int64
	outcomes, grounds map[string]int
}

// NewCounting begins a report. The frame's cut must name two parties.
func NewCounting(f Frame) *Counting {
	f.V = 1
	f.Cut = slices.Clone(f.Cut)
	slices.SortFunc(f.Cut, func(a, b Head) int { return slices.Compare(a.Party[:], b.Party[:]) })
	c := &Counting{frame: f, parties: map[party.ID]*counted{}}
	for _, head := range f.Cut {
		c.parties[head.Party] = &counted{Figures: Figures{Party: head.Party}, asOf: head.At, outcomes: map[string]int{}, grounds: map[string]int{}}
	}
	return c
}

// Add counts one case. One that was not received in the period, or is between others, counts nothing.
func (c *Counting) Add(x Case) {
	asking, asked := c.parties[x.Requesting], c.parties[x.Requested]
	if asking == nil || asked == nil || x.Received < c.frame.Period.From || x.Received >= c.frame.Period.To {
		return
	}
	asking.Sent++
	if !x.Clarified && !x.Corrected {
		asking.Complete++
	}
	asked.Received++
	asked.toAck = asked.Acknowledged.add(asked.toAck, x.Received, x.Acknowledged, x.AcknowledgeBy, asked.asOf)
	asked.toAnswer = asked.Answered.add(asked.toAnswer, x.Received, x.Answered, x.AnswerBy, asked.asOf)
	asked.outcomes[x.Outcome]++
	if x.Ground != "" {
		asked.grounds[x.Ground]++
	}
	if x.Clarified {
		asked.Clarified++
	}
	if x.Open {
		asked.Open++
		if age := asked.asOf - x.Received; age > 90*day {
			asked.OpenOver30++
			asked.OpenOver90++
		} else if age > 30*day {
			asked.OpenOver30++
		}
	}
	c.dispute(x, asked)
}

// add counts something that was done at an instant, or was not (0), and had to be by another; it returns how long it took too.
func (t *Timed) add(took []int64, from, at, by, asOf int64) []int64 {
	switch done := at != 0; {
	case by != 0 && done && at <= by:
		t.OnTime++
	case by != 0 && (done || asOf > by):
		t.Late++
	}
	if at == 0 {
		return took
	}
	t.Count++
	return append(took, at-from)
}

// dispute compares the requested party's times with what the requesting party's log says of the same: it cannot have received
// before the other had sent, nor after the other had its receipt, nor have said later what the other got before.
func (c *Counting) dispute(x Case, asked *counted) {
	note := func(word string, said, bound int64) {
		asked.Disputed++
		c.annex = append(c.annex, Dispute{Request: x.Request, Party: x.Requested, Word: word, Said: said, Bound: bound})
		if len(c.annex) > 2*MaxAnnex {
			c.trim()
		}
	}
	switch {
	case x.Received < x.Sent-Tolerance:
		note("received", x.Received, x.Sent)
	case x.Returned != 0 && x.Received > x.Returned+Tolerance:
		note("received", x.Received, x.Returned)
	}
	if x.Acknowledged > x.AcknowledgedGot+Tolerance {
		note("acknowledged", x.Acknowledged, x.AcknowledgedGot)
	}
	if x.Answered > x.AnsweredGot+Tolerance {
		note("answered", x.Answered, x.AnsweredGot)
	}
}

// trim keeps of the annex what will stand in it.
func (c *Counting) trim() {
	slices.SortFunc(c.annex, func(a, b Dispute) int {
		return cmp.Or(slices.Compare(a.Request[:], b.Request[:]), cmp.Compare(a.Word, b.Word))
	})
	c.annex = c.annex[:min(len(c.annex), MaxAnnex)]
}

// Report is what was counted so far.
func (c *Counting) Report() Report {
	c.trim()
	r := Report{About: c.frame, Figures: []Figures{}, Disputed: append([]Dispute{}, c.annex...)}
	for _, head := range c.frame.Cut {
		p := c.parties[head.Party]
		p.Acknowledged.Median, p.Acknowledged.P90 = ranks(p.toAck)
		p.Answered.Median, p.Answered.P90 = ranks(p.toAnswer)
		p.Outcomes, p.Grounds = counts(p.outcomes), counts(p.grounds)
		r.Figures = append(r.Figures, p.Figures)
	}
	return r
}

// Encode is the report's canonical form.
func (r Report) Encode() ([]byte, error) { return envelope.Marshal(r) }

// ranks are the median and the 90th percentile, by nearest rank: of n values in order the ⌈n·p/100⌉-th.
func ranks(values []int64) (median, p90 int64) {
	if len(values) == 0 {
		return 0, 0
	}
	slices.Sort(values)
	at := func(p int) int64 { return values[(len(values)*p+99)/100-1] }
	return at(50), at(90)
}

func counts(by map[string]int) []Count {
	out := []Count{}
	for _, code := range slices.Sorted(maps.Keys(by)) {
		out = append(out, Count{code, by[code]})
	}
	return out
}
