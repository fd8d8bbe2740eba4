package housetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/flow"
	"entente/proof"
	"entente/statement"
)

// healing rounds after which everything must be quiet.
const patience = 60

// heal ends the faults and lets everything be delivered, settled and cosigned.
func (w *world) heal() {
	w.calm = true
	w.note("the weather clears")
	if w.sky.courier {
		w.now = w.now.Add(time.Hour) // what was packed goes by the network, too
	}
	for _, n := range w.nodes {
		n.blobs.full, n.blobs.tight = false, false
	}
	for _, l := range w.links {
		l.parted = false
	}
	w.arrive(true)
	w.takeBack()
	quiet := 0
	for round := 0; quiet < 2; round++ {
		if round == patience {
			w.fail("after %d rounds of fair weather it is not quiet: %s", patience, w.restless())
		}
		w.step++
		w.now = w.now.Add(time.Minute)
		if round%8 == 7 {
			w.now = w.now.Add(exchange.LastRetry)
		}
		if round == patience/2 && w.theft != nil && w.theft.forked != nil { // files of what was sealed for a thief wait so long
			w.ageAt = w.step
			w.now = w.now.Add(31 * 24 * time.Hour)
			w.note("a month goes by")
		}
		moved := false
		for _, n := range w.nodes {
			for _, l := range n.links {
				w.settle(n, l)
				w.exhaust(n, l, &moved)
			}
			n.tolerate("rounds", n.startRounds())
			n.tolerate("lapse", n.lapse())
		}
		if quiet++; moved || w.restless() != "" {
			quiet = 0
		}
	}
}

// exhaust lets a node send until nothing is due. Where a lie stands, that may be never, and does not count.
func (w *world) exhaust(n *node, l *link, moved *bool) {
	most := 400
	if w.harmed(l) {
		most = 5
	}
	for range most {
		if !w.send(n, l) {
			return
		}
		*moved = *moved || !w.harmed(l)
	}
	if !w.harmed(l) {
		w.fail("%s on %s: %d deliveries in one round, and still something is due", n.name, l.name, most)
	}
}

// restless names what is not at its end on links that can come to it.
func (w *world) restless() string {
	ctx := context.Background()
	var b strings.Builder
	for _, l := range w.links {
		if w.harmed(l) {
			continue
		}
		for _, n := range []*node{l.a, l.b} {
			n.look(func(tx flow.Tx) error {
				f, err := tx.Figures(ctx, l.id)
				if err != nil {
					return err
				}
				if f.Sending+f.Unsaid+f.Arriving+f.Unsettled+f.Gaps+f.UncosignedOwn+f.UncosignedPeer != 0 {
					fmt.Fprintf(&b, "\n%s at %s: %+v", l.name, n.name, f)
				}
				return nil
			})
		}
	}
	return b.String()
}

// check asks for everything that was promised.
func (w *world) check() {
	for _, l := range w.links {
		if !w.harmed(l) {
			w.checkLink(l)
			continue
		}
		for _, n := range []*node{l.a, l.b} {
			if _, err := n.house.VerifyLedger(context.Background(), member(), l.id, nil); err != nil {
				w.fail("%s at %s: %v", l.name, n.name, err)
			}
		}
		w.exposed(l.other(w.liar), l)
	}
	w.checkTheft()
	if len(w.said) > 0 {
		w.proven = w.r.IntN(len(w.said))
	}
	for _, s := range w.said {
		if !w.harmed(s.link) {
			w.checkSaid(s)
		}
	}
	for _, n := range w.nodes {
		r, err := n.house.Rebuild(context.Background(), member(), nil)
		w.must(err)
		if !r.Identical {
			w.fail("%s: a rebuild gives other rows", n.name)
		}
		w.checkBlobs(n)
	}
}

// checkBlobs checks that nothing sealed for a peer is kept once it is opened there, and that after a sweep nothing is kept that
// no row names.
func (w *world) checkBlobs(n *node) {
	ctx := context.Background()
	swept, err := n.house.Sweep(ctx)
	w.must(err)
	w.out.Left += swept
	if swept > 0 && !n.troubled && w.lie == Honesty {
		w.fail("%s: %d sealed files are left that no row names", n.name, swept)
	}
	named := map[string]bool{}
	n.look(func(tx flow.Tx) error {
		for _, l := range n.links {
			for _, author := range []*node{n, l.other(n)} {
				for _, state := range []exchange.ParcelState{exchange.Sending, exchange.Arriving, exchange.Received, exchange.Opened, exchange.Held, exchange.Withheld} {
					rows, err := tx.ParcelsIn(ctx, l.id, author.chain.ID, state, exchange.Parcel{}, 10_000)
					if err != nil {
						return err
					}
					for _, p := range rows {
						named[p.Blob] = true
						if p.Blob != "" && p.State == exchange.Opened {
							w.fail("%s on %s: a parcel that was opened keeps its blob", n.name, l.name)
						}
					}
				}
			}
			said, err := tx.Statements(ctx, exchange.Filter{Link: &l.id, Limit: 10_000})
			if err != nil {
				return err
			}
			for _, s := range said {
				files, err := tx.Files(ctx, s.Commitment)
				if err != nil {
					return err
				}
				for _, f := range files {
					named[f.Blob] = true
				}
			}
		}
		return nil
	})
	if w.lie != Honesty { // what a liar began and never sent waits until it expires
		return
	}
	left := len(n.blobs.partials)
	for name := range n.blobs.kept {
		if !named[name] {
			left++
		}
	}
	if left > 0 {
		w.fail("%s: %d blobs are left that no row names", n.name, left)
	}
}

// checkLink compares both sides' records of a link.
func (w *world) checkLink(l *link) {
	ctx := context.Background()
	cut, err := l.a.house.CommonCut(ctx, l.id)
	w.must(err)
	theirs, err := l.b.house.CommonCut(ctx, l.id)
	w.must(err)
	if fmt.Sprint(cut.Sizes[l.a.chain.ID], cut.Sizes[l.b.chain.ID]) != fmt.Sprint(theirs.Sizes[l.a.chain.ID], theirs.Sizes[l.b.chain.ID]) {
		w.fail("%s: the common cuts are %v and %v", l.name, cut.Sizes, theirs.Sizes)
	}
	hashA, foldedA, err := l.a.house.FoldHash(ctx, l.id, cut)
	w.must(err)
	hashB, foldedB, err := l.b.house.FoldHash(ctx, l.id, cut)
	w.must(err)
	if hashA != hashB || foldedA != foldedB {
		w.fail("%s: at the common cut %s folds %d statements, %s %d, to other columns", l.name, l.a.name, foldedA, l.b.name, foldedB)
	}
	statements := 0
	for _, n := range []*node{l.a, l.b} {
		if l.restored {
			statements += w.checkRestored(n, l)
		} else {
			statements += w.checkLanes(n, l)
		}
		w.checkRegistered(n, l)
		report, err := n.house.VerifyLedger(ctx, member(), l.id, nil)
		w.must(err)
		lied := w.lied && l == w.victim() && n != w.liar && len(w.lie.evidence()) > 0
		if lied {
			w.exposed(n, l)
		}
		evidence, err := n.house.Evidence(ctx, member(), &l.id, 10)
		w.must(err)
		accused := lied || len(evidence) > 0 && w.robbed(l, evidence)
		if report.OK == accused || (report.Evidence != 0) != accused || len(report.Differences) != 0 || len(report.Logs) != 2 && !l.restored {
			var kinds []string
			for _, e := range evidence {
				kinds = append(kinds, e.Kind+": "+e.Note)
			}
			w.fail("%s at %s: the ledgers do not verify: %+v; evidence %q", l.name, n.name, report, kinds)
		}
		for i, log := range report.Logs {
			if i+1 < len(report.Logs) && report.Logs[i+1].Party == log.Party {
				continue // of an epoch that has ended
			}
			if log.Cosigned != log.Size || log.Size != cut.Sizes[log.Party] {
				w.fail("%s at %s: a log is cosigned to %d of %d, and the cut is at %d", l.name, n.name, log.Cosigned, log.Size, cut.Sizes[log.Party])
			}
		}
	}
	if statements != foldedA {
		w.fail("%s: %d statements have their place, the cut covers %d", l.name, statements, foldedA)
	}
}

// checkLanes checks a node's counters of a link and returns how many statements its party said.
func (w *world) checkLanes(n *node, l *link) int {
	ctx := context.Background()
	other := l.other(n)
	total := 0
	n.look(func(tx flow.Tx) error {
		lanes, err := tx.LanesOf(ctx, l.id)
		if err != nil {
			return err
		}
		for _, lane := range lanes {
			run, err := tx.ParcelRun(ctx, l.id, lane.Author, lane.Epoch, lane.Lane, 0, 10_000)
			if err != nil {
				return err
			}
			if uint64(len(run)) != lane.Last || lane.Folded != lane.Last {
				w.fail("%s at %s: %s has %d statements, last %d, folded %d", l.name, n.name, lane.Lane, len(run), lane.Last, lane.Folded)
			}
			if lane.Author == other.chain.ID && (lane.Contiguous != lane.Last || lane.Settled != lane.Last) {
				w.fail("%s at %s: %s is at %d, contiguous to %d, settled to %d", l.name, n.name, lane.Lane, lane.Last, lane.Contiguous, lane.Settled)
			}
			for i, p := range run {
				if p.Seq != uint64(i)+1 || p.Verdict == "" {
					w.fail("%s at %s: %s %d stands at place %d, verdict %q", l.name, n.name, lane.Lane, p.Seq, i+1, p.Verdict)
				}
				expired := w.ageAt > 0 && (p.State == exchange.Refused && p.Reason == "expired" || p.State == exchange.Opened)
				if !expired && !w.misled(l, p) && !deferred(p) && (p.State != exchange.Opened || p.Verdict != "folded" || p.Stale) {
					w.fail("%s at %s: %s %d by an honest party is %s (%s), verdict %q, stale %t", l.name, n.name, lane.Lane, p.Seq, p.State, p.Reason, p.Verdict, p.Stale)
				}
			}
			if lane.Author == n.chain.ID {
				total += len(run)
			}
		}
		unsent, err := tx.UnsentReceipts(ctx, l.id, n.chain.ID, 10)
		if len(unsent) > 0 {
			w.fail("%s at %s: %d receipts were never sent", l.name, n.name, len(unsent))
		}
		return err
	})
	return total
}

// checkSaid finds a statement on both sides, word for word and byte for byte.
func (w *world) checkSaid(s *said) {
	ctx := context.Background()
	if s.link.restored {
		w.checkAgain(s)
		return
	}
	for _, n := range []*node{s.by, s.link.other(s.by)} {
		if w.ageAt > 0 && w.expired(s) || w.forTheThief(s) {
			continue
		}
		v, err := n.house.Show(ctx, member(), s.c.String())
		if err != nil {
			w.fail("#%d was acknowledged by %s and is not at %s: %v", s.n, s.by.name, n.name, err)
		}
		if keyless(v) {
			continue
		}
		if (w.ageAt > 0 || w.robs(s.link)) && strings.HasPrefix(v.Verdict, "void:") { // it followed what has expired, or was for a thief
			w.out.Void++
			continue
		}
		if v.Verdict != "folded" {
			w.fail("#%d (%s) is %q at %s", s.n, s.kind, v.Verdict, n.name)
		}
		if s.erased[n] {
			if v.Body != nil || v.Erased == 0 {
				w.fail("#%d was erased at %s, and has a body", s.n, n.name)
			}
			continue
		}
		if s.kind == "message" {
			var body statement.MessageBody
			w.must(envelope.Unmarshal(v.Body, &body))
			if body.Text != s.text {
				w.fail("#%d says something else at %s", s.n, n.name)
			}
		}
		if len(v.Files) != len(s.files) {
			w.fail("#%d has %d files at %s, not %d", s.n, len(v.Files), n.name, len(s.files))
		}
		for i, data := range s.files {
			if (w.ageAt > 0 || w.robs(s.link)) && v.Files[i].ParcelState != string(exchange.Opened) {
				continue
			}
			var out bytes.Buffer
			if err := n.house.WriteFile(ctx, member(), s.c, i, &out); err != nil {
				w.fail("#%d, file %d at %s (%s): %v", s.n, i, n.name, v.Files[i].State, err)
			}
			if !bytes.Equal(out.Bytes(), data) {
				w.fail("#%d, file %d is another at %s", s.n, i, n.name)
			}
		}
		if s.n == w.proven {
			w.checkProof(n, s)
		}
	}
}

// expired says whether a statement was refused because a month went by; its author holds the signed reason.
func (w *world) expired(s *said) (yes bool) {
	ctx := context.Background()
	s.by.look(func(tx flow.Tx) error {
		row, err := tx.Statement(ctx, s.c)
		if err != nil {
			return err
		}
		p, err := tx.Parcel(ctx, row.Parcel)
		yes = p.State == exchange.Lapsed || p.State == exchange.Refused && p.Reason == "expired" && p.Verdict == "void:refused"
		return err
	})
	if yes {
		w.out.Void++
	}
	return yes
}

func (w *world) checkProof(n *node, s *said) {
	data, err := n.house.Proof(context.Background(), member(), s.c.String(), true)
	if err != nil {
		w.fail("#%d cannot be proven by %s: %v", s.n, n.name, err)
	}
	f, err := proof.Decode(data)
	w.must(err)
	if _, err := proof.Verify(w.registry, f); err != nil {
		w.fail("#%d: the proof of %s does not verify: %v", s.n, n.name, err)
	}
}

// end closes the stores and looks for goroutines that stayed.
func (w *world) end(before int) {
	for _, n := range w.nodes {
		w.must(n.sql.Close())
	}
	for range 100_000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	stacks := make([]byte, 1<<20)
	w.fail("%d goroutines at first, %d at the end:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
}
