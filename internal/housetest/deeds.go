package housetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/ledger"
	"entente/statement"
)

// said is a statement that a node acknowledged to its member.
type said struct {
	n     int // for the trace
	c     statement.Commitment
	link  *link
	by    *node
	kind  string
	lane  statement.Lane
	root  *said // first of its thread; itself where it is
	text  string
	files [][]byte

	erased map[*node]bool // where its body was removed

	doubtful  bool  // at a restore neither side held it
	lostFiles []int // at a restore neither side held them
}

// deed lets a node's member say something that may be said, or could be if everything had arrived.
func (w *world) deed(n *node) {
	l := n.anyLink()
	switch k := w.r.IntN(100); {
	case k < 62:
		w.message(n, l)
	case k < 66:
		w.confirm(n, l)
	case k < 69:
		w.agree(n, l)
	case k < 74 && w.sky.suspend:
		w.takePart(n, l)
	case k < 78 && w.sky.erase:
		w.erase(n, l)
	case k < 80:
		w.say(n, l, "test", nil, draft(l, statement.Control, "test", nil, statement.EmptyBody{}, statement.EmptyBody{}))
	default:
		w.desk(n, l)
	}
}

func draft(l *link, lane statement.Lane, kind string, thread *statement.Commitment, face, body any, files ...flow.FileDraft) flow.Draft {
	return flow.Draft{Link: l.id, Lane: lane, Kind: kind, Thread: thread, Zone: "UTC", Marking: handling.Marking{TLP: "AMBER"},
		Face: face, Body: body, Files: several(files)}
}

// say sends a draft, and remembers what was said.
func (w *world) say(n *node, l *link, what string, root *said, d flow.Draft, files ...[]byte) *said {
	s := w.acknowledged(n, l, what, func(h *flow.House) (statement.Commitment, error) {
		return h.Send(context.Background(), member(), d, nil)
	})
	if s == nil {
		n.troubled = n.troubled || d.Kind == "message" // files, and what is long, are sealed before it is refused
		return nil
	}
	s.kind, s.lane, s.files = d.Kind, d.Lane, files
	if root != nil {
		s.root = root
	}
	if body, ok := d.Body.(statement.MessageBody); ok {
		s.text = body.Text
	}
	w.out.Files += len(files)
	return s
}

// acknowledged lets a member say something and remembers it if it was acknowledged. What the weather did not hinder and was not
// acknowledged must have left no trace.
func (w *world) acknowledged(n *node, l *link, what string, f func(*flow.House) (statement.Commitment, error)) *said {
	before := n.words()
	var c statement.Commitment
	err := n.act("send", func(h *flow.House) (err error) {
		c, err = f(h)
		return err
	})
	w.note("%s on %s: %s: %s", n.name, l.name, what, brief(err))
	if err != nil {
		w.refused(n, what, err, before)
		return nil
	}
	s := &said{n: len(w.said), c: c, link: l, by: n, kind: what, erased: map[*node]bool{}}
	s.root = s
	w.said = append(w.said, s)
	w.out.Said++
	return s
}

// takePart suspends or resumes lanes, and now and then withdraws from the link.
func (w *world) takePart(n *node, l *link) {
	ctx := context.Background()
	lanes := slices.Clone(statement.Lanes()[1:])
	w.r.Shuffle(len(lanes), func(i, j int) { lanes[i], lanes[j] = lanes[j], lanes[i] })
	lanes = lanes[:1+w.r.IntN(2)]
	slices.SortFunc(lanes, func(a, b statement.Lane) int {
		return slices.Index(statement.Lanes(), a) - slices.Index(statement.Lanes(), b)
	})
	switch k := w.r.IntN(20); {
	case k < 8:
		w.acknowledged(n, l, fmt.Sprintf("#%d suspends %v", len(w.said), lanes), func(h *flow.House) (statement.Commitment, error) {
			return h.SuspendLanes(ctx, member(), l.id, lanes, "review", "For a while.")
		})
	case k < 19:
		w.acknowledged(n, l, fmt.Sprintf("#%d resumes %v", len(w.said), lanes), func(h *flow.House) (statement.Commitment, error) {
			return h.ResumeLanes(ctx, member(), l.id, lanes, "Go on.")
		})
	default:
		w.acknowledged(n, l, fmt.Sprintf("#%d withdraws", len(w.said)), func(h *flow.House) (statement.Commitment, error) {
			return h.Withdraw(ctx, member(), l.id, "ended", "That was it.")
		})
	}
}

// erase removes the body of something said, and sometimes tells the other party.
func (w *world) erase(n *node, l *link) {
	s := w.pick(l, func(s *said) bool { return s.kind == "message" })
	if s == nil {
		return
	}
	o := flow.EraseOrder{Reason: "order", Tell: w.r.IntN(2) == 0}
	var done flow.Erased
	err := n.act("send", func(h *flow.House) (err error) {
		done, err = h.Erase(context.Background(), member(), s.c.String(), o)
		return err
	})
	w.note("%s on %s: erases #%d, tell %t: %s", n.name, l.name, s.n, o.Tell, brief(err))
	n.look(func(tx flow.Tx) error {
		if row, err := tx.Statement(context.Background(), s.c); err == nil && row.Erased != 0 {
			s.erased[n] = true
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errCrashed) && !n.hurt && !n.blobs.full && fault.KindOf(err) == fault.Internal:
		w.fail("%s: erasing #%d failed by itself: %v", n.name, s.n, err)
	case err == nil && !s.erased[n]:
		w.fail("%s: #%d was erased, and is there", n.name, s.n)
	case err == nil && done.Notice != nil:
		notice := &said{n: len(w.said), c: *done.Notice, link: l, by: n, kind: "erasure.notice", erased: map[*node]bool{}}
		notice.root = notice
		w.said = append(w.said, notice)
		w.out.Said++
	}
}

// refused checks that a refusal has a reason and left no trace.
func (w *world) refused(n *node, what string, err error, before string) {
	if errors.Is(err, errCrashed) || n.hurt || n.blobs.full {
		return
	}
	w.out.Refused++
	if fault.KindOf(err) == fault.Internal {
		w.fail("%s: %s failed by itself: %v", n.name, what, err)
	}
	if len(n.stack) > 0 { // another act is under way
		return
	}
	if after := n.words(); after != before && !strings.Contains(strings.Join(w.out.Trace[max(0, len(w.out.Trace)-12):], "\n"), "meanwhile") {
		w.fail("%s: %s was refused (%v) and left a trace:\n%s\nbefore:\n%s", n.name, what, err, after, before)
	}
}

// traces is everything of a node's own that something said or received would change.
func (n *node) traces() string {
	return n.changed(func(tx flow.Tx, l *link, size int64) (string, error) { return fmt.Sprintf("%d leaves", size), nil })
}

// words is everything of a node that something said by it would change: not the leaves of receipts, as who says something first
// settles what came in.
func (n *node) words() string {
	return n.changed(func(tx flow.Tx, l *link, size int64) (string, error) {
		rows, err := tx.Leaves(context.Background(), l.id, n.chain.ID, 1, 0, int(size))
		rows = slices.DeleteFunc(rows, func(r exchange.LeafRow) bool { return r.Kind == string(ledger.ReceiptOut) })
		return fmt.Sprintf("%d leaves besides receipts", len(rows)), err
	})
}

// changed describes, for each link, a node's own ledger as said, and its lanes.
func (n *node) changed(leaves func(tx flow.Tx, l *link, size int64) (string, error)) string {
	n.w.silenced = true
	defer func() { n.w.silenced = false }()
	if n.store.within {
		return ""
	}
	var b strings.Builder
	n.look(func(tx flow.Tx) error {
		for _, l := range n.links {
			row, err := tx.Link(context.Background(), l.id)
			if err != nil {
				return err
			}
			log, err := tx.Log(context.Background(), l.id, n.chain.ID, row.OwnEpoch)
			if err != nil {
				return err
			}
			lanes, err := tx.LanesOf(context.Background(), l.id)
			if err != nil {
				return err
			}
			own, err := leaves(tx, l, log.Size)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s: %s", l.name, own)
			for _, s := range lanes {
				if s.Author == n.chain.ID {
					fmt.Fprintf(&b, ", %s to %d", s.Lane, s.Last)
				}
			}
			b.WriteByte('\n')
		}
		return nil
	})
	return b.String()
}

// pick chooses one of what was said on a link.
func (w *world) pick(l *link, which func(*said) bool) *said {
	var found []*said
	for _, s := range w.said {
		if s.link == l && which(s) {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[w.r.IntN(len(found))]
}

func threadOf(s *said) *statement.Commitment {
	if s == nil {
		return nil
	}
	return &s.root.c
}

// message writes in a thread, or begins one, sometimes with files.
func (w *world) message(n *node, l *link) {
	lanes := statement.Lanes()[1:]
	lane := lanes[w.r.IntN(len(lanes))]
	if w.r.IntN(2) == 0 {
		lane = statement.Network // most traffic meets in one lane
	}
	var root *said
	if w.r.IntN(3) > 0 {
		if root = w.pick(l, func(s *said) bool { return s.kind == "message" }); root != nil {
			root = root.root
			lane = root.lane
		}
	}
	text := strings.Repeat("x", 1+w.r.IntN(400))
	if w.r.IntN(25) == 0 {
		text = strings.Repeat("long ", 40000+w.r.IntN(12000)) // so long that it travels in segments
	}
	var files [][]byte
	var drafts []flow.FileDraft
	for w.r.IntN(5) == 0 && len(files) < 3 {
		data := w.bytes([]int{1, 100, 70_000, 300_000, 1 << 20, 2_500_000}[w.r.IntN(6)])
		files = append(files, data)
		drafts = append(drafts, fileOf(fmt.Sprintf("file-%d.bin", len(files)), data))
	}
	what := fmt.Sprintf("#%d message in %s", len(w.said), lane)
	if root != nil {
		what += fmt.Sprintf(" in thread of #%d", root.n)
	}
	for _, f := range files {
		what += fmt.Sprintf(" +%d bytes", len(f))
	}
	d := draft(l, lane, "message", threadOf(root), statement.MessageFace{}, statement.MessageBody{Subject: "s", Language: "en", Text: text}, drafts...)
	if d.Registered = w.registers(); d.Registered {
		what += " registered"
	}
	if s := w.say(n, l, what, root, d, files...); s != nil && d.Registered {
		w.out.Registered++
	}
}

func (w *world) bytes(most int) []byte {
	data := make([]byte, 1+w.r.IntN(most))
	x := w.r.Uint64()
	for i := range data {
		x = x*6364136223846793005 + 1442695040888963407
		data[i] = byte(x >> 56)
	}
	return data
}

func fileOf(name string, data []byte) flow.FileDraft {
	return flow.FileDraft{Name: name, Media: "application/octet-stream", Size: int64(len(data)), Content: bytes.NewReader(data)}
}

// several are the files of a draft.
func several(files []flow.FileDraft) iter.Seq2[flow.FileDraft, error] {
	return func(yield func(flow.FileDraft, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// confirm says that the short code was compared.
func (w *world) confirm(n *node, l *link) {
	a := statement.DefaultAgreement()
	encoded, err := a.Encode()
	w.must(err)
	w.say(n, l, "link.confirm", nil, draft(l, statement.Control, "link.confirm", &l.id,
		statement.LinkConfirmFace{Method: "telephone", At: n.now().UnixMicro(), Agreement: envelope.Sum(encoded)},
		statement.LinkConfirmBody{Person: "Duty officer", Function: "head of desk", Agreement: encoded}))
}

// agree signs another agreement.
func (w *world) agree(n *node, l *link) {
	a := statement.DefaultAgreement()
	a.Limits.Pending = 100 + w.r.IntN(3)
	if w.r.IntN(2) == 0 { // another rule set
		a.Rules.Retention[1].Days += 1 + w.r.IntN(2)
	}
	encoded, err := a.Encode()
	w.must(err)
	w.say(n, l, fmt.Sprintf("link.agree %d %d", a.Limits.Pending, a.Rules.Retention[1].Days), nil, draft(l, statement.Control, "link.agree", &l.id,
		statement.LinkAgreeFace{Agreement: envelope.Sum(encoded)}, statement.LinkAgreeBody{Agreement: encoded}))
}

// desk proposes, updates, countersigns or withdraws a desk.
func (w *world) desk(n *node, l *link) {
	face := statement.DeskFace{Role: "hotline", Standing: "permanent", ValidFrom: 1}
	if w.r.IntN(3) == 0 {
		face.Standing, face.ValidTo = "interim", n.now().Add(time.Hour).UnixMicro()
	}
	body := statement.DeskBody{Names: map[string]string{"en": "Hotline"}, Always: true, Zone: "Europe/Vienna", Languages: []string{"en"}}
	mine := func(s *said) bool { return s.kind == "desk.propose" && s.by == n }
	switch w.r.IntN(4) {
	case 0:
		w.say(n, l, fmt.Sprintf("#%d desk.propose", len(w.said)), nil, draft(l, statement.Control, "desk.propose", nil, face, body))
	case 1:
		if d := w.pick(l, mine); d != nil {
			w.say(n, l, fmt.Sprintf("#%d desk.update of #%d", len(w.said), d.n), d, draft(l, statement.Control, "desk.update", &d.c, face, body))
		}
	case 2:
		if e := w.pick(l, func(s *said) bool { return (s.kind == "desk.propose" || s.kind == "desk.update") && s.by != n }); e != nil {
			w.countersign(n, l, e)
		}
	default:
		if d := w.pick(l, mine); d != nil {
			w.say(n, l, fmt.Sprintf("#%d desk.withdraw of #%d", len(w.said), d.n), d,
				draft(l, statement.Control, "desk.withdraw", &d.c, statement.DeskWithdrawFace{Reason: "closed"}, statement.EmptyBody{}))
		}
	}
}

func (w *world) countersign(n *node, l *link, e *said) *said {
	return w.say(n, l, fmt.Sprintf("#%d desk.countersign of #%d", len(w.said), e.n), e.root,
		draft(l, statement.Control, "desk.countersign", &e.root.c, statement.DeskCountersignFace{Desk: e.c}, statement.EmptyBody{}))
}

// illegal lets a member try what may not be done: it must be refused, and leave no trace.
func (w *world) illegal(n *node) {
	l := n.anyLink()
	message := func(change func(*flow.Draft, *statement.MessageBody)) flow.Draft {
		d := draft(l, statement.Network, "message", nil, statement.MessageFace{}, nil)
		b := statement.MessageBody{Subject: "s", Language: "en", Text: "x"}
		change(&d, &b)
		if d.Body == nil {
			d.Body = b
		}
		return d
	}
	who := member()
	var d flow.Draft
	var what string
	unknown := envelope.Sum(w.bytes(8))
	switch w.r.IntN(10) {
	case 0:
		what = "an unknown kind"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) { d.Kind = "hearsay" })
	case 1:
		what = "a message in the control lane"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) { d.Lane = statement.Control })
	case 2:
		what = "an answer in a thread that nobody began"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) { d.Thread = &unknown })
	case 3:
		what = "a message by an auditor"
		who.Roles = []actor.Role{actor.Auditor}
		d = message(func(*flow.Draft, *statement.MessageBody) {})
	case 4:
		what = "a subject that changes direction"
		d = message(func(_ *flow.Draft, b *statement.MessageBody) { b.Subject = "a\u202eb" })
	case 5:
		what = "a file that is shorter than was said"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) {
			f := fileOf("a.bin", []byte("abc"))
			f.Size = 10
			d.Files = several([]flow.FileDraft{f})
		})
	case 6:
		what = "a file over the limit"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) {
			d.Files = several([]flow.FileDraft{{Name: "a.bin", Media: "text/plain", Size: 17 << 30}})
		})
	case 7:
		what = "a link that does not exist"
		d = message(func(d *flow.Draft, _ *statement.MessageBody) { d.Link = unknown })
	case 8:
		e := w.pick(l, func(s *said) bool { return s.kind == "desk.propose" && s.by == n })
		if e == nil {
			return
		}
		what = "a countersignature of one's own desk"
		d = draft(l, statement.Control, "desk.countersign", &e.c, statement.DeskCountersignFace{Desk: e.c}, statement.EmptyBody{})
	default:
		e := w.pick(l, func(s *said) bool { return s.kind == "desk.propose" && s.by != n })
		if e == nil {
			return
		}
		what = "a withdrawal of another's desk"
		d = draft(l, statement.Control, "desk.withdraw", &e.c, statement.DeskWithdrawFace{Reason: "closed"}, statement.EmptyBody{})
	}
	before := n.words()
	err := n.act("send", func(h *flow.House) error {
		_, err := h.Send(context.Background(), who, d, nil)
		return err
	})
	w.note("%s on %s tries %s: %s", n.name, l.name, what, brief(err))
	if err == nil {
		w.fail("%s: %s was not refused", n.name, what)
	}
	w.refused(n, what, err, before)
}
