package housetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"entente/internal/flow"
	"entente/parcel"
)

// errLost is what a sender learns of a request that did not come back.
var errLost = errors.New("no answer")

// letter is frames as bytes, on their way to a node over a link.
type letter struct {
	to   *node
	link *link
	data []byte
}

// flight is a request under way, and the delivery that waits for its answer.
type flight struct {
	letter
	from *node
	life int // of the sender's house: another one does not know of this delivery
	d    flow.Delivery
	at   int  // step at which it arrives
	gone bool // its sender no longer waits
}

func encode(frames []parcel.Frame) ([]byte, error) {
	var buf bytes.Buffer
	for i, f := range frames {
		if err := parcel.WriteFrame(&buf, f); err != nil {
			return nil, fmt.Errorf("frame %d of kind %d: %w", i, f.Kind, err)
		}
	}
	return buf.Bytes(), nil
}

func decode(data []byte) ([]parcel.Frame, error) {
	r := parcel.NewFrameReader(bytes.NewReader(data))
	var frames []parcel.Frame
	for {
		f, err := r.Next()
		if err == io.EOF {
			return frames, nil
		}
		if err != nil {
			return nil, err
		}
		frames = append(frames, f)
	}
}

// kinds names frames shortly, for the trace.
func kinds(frames []parcel.Frame) string {
	var b bytes.Buffer
	for i := 0; i < len(frames); {
		n := i
		for n < len(frames) && frames[n].Kind == frames[i].Kind {
			n++
		}
		fmt.Fprintf(&b, " %d×%s", n-i, map[parcel.FrameKind]string{parcel.FrameParcel: "parcel", parcel.FrameSegment: "segment",
			parcel.FrameReceipt: "receipt", parcel.FrameLeaves: "leaves", parcel.FrameCheckpoint: "checkpoint", parcel.FrameWant: "want",
			parcel.FrameCosignature: "cosignature", parcel.FrameRefusal: "refusal", parcel.FrameSegmentHashes: "hashes",
			parcel.FrameGrant: "grant", parcel.FrameIdentity: "identity",
			parcel.FrameOpening: "opening", parcel.FrameAccount: "account", parcel.FrameAsk: "ask", parcel.FrameGiven: "given"}[frames[i].Kind])
		i = n
	}
	return b.String()
}

// underWay counts a node's requests on a link: those of segments alone, which may travel beside others, and the others.
func (w *world) underWay(n *node, l *link) (ordered, bulk int) {
	for _, f := range w.flights {
		if f.from != n || f.link != l || f.life != n.life || f.gone {
			continue
		}
		if isBulk(f.d.Frames) {
			bulk++
		} else {
			ordered++
		}
	}
	return ordered, bulk
}

func isBulk(frames []parcel.Frame) bool {
	return !slices.ContainsFunc(frames, func(f parcel.Frame) bool { return f.Kind != parcel.FrameSegment })
}

// push lets a node's sender work on one of its links.
func (w *world) push(n *node) {
	l := n.anyLink()
	if ordered, _ := w.underWay(n, l); ordered == 0 && (w.calm || !n.mute) {
		w.send(n, l)
	}
}

// send takes what is due on a link and puts it on its way; it reports whether there was anything.
func (w *world) send(n *node, l *link) bool {
	if l.hidden == l.other(n) {
		return w.poll(l)
	}
	var d flow.Delivery
	budget := []int{8 << 20, 8 << 20, 2 << 20, 1, 0}[w.r.IntN(5)]
	if _, bulk := w.underWay(n, l); bulk >= 3 {
		budget = 0
	}
	err := n.act("outgoing", func(h *flow.House) (err error) {
		d, err = h.Outgoing(context.Background(), l.id, budget)
		return err
	})
	if err != nil {
		n.tolerate("outgoing", err)
		return true
	}
	if len(d.Frames) == 0 {
		return false
	}
	f := &flight{letter: letter{to: l.other(n), link: l}, from: n, life: n.life, d: d, at: w.step}
	frames := w.forge(n, l, d.Frames)
	if f.data, err = encode(frames); err != nil {
		w.fail("%s: what is due cannot be written: %v", n.name, err)
	}
	w.keep(f.letter)
	var fate string
	switch {
	case w.calm:
	case l.parted || w.chance(w.sky.lostRequest):
		fate, f.data = " LOST", nil
		w.out.Faults++
	case w.chance(w.sky.delayed):
		f.at += 1 + w.r.IntN(12)
		fate = fmt.Sprintf(" for step %d", f.at)
	case w.chance(w.sky.late):
		f.at += 2 + w.r.IntN(25)
		f.gone = true
		fate = fmt.Sprintf(" TOO LATE for step %d", f.at)
		w.out.Faults++
	}
	w.note("%s → %s:%s%s", n.name, f.to.name, kinds(frames), fate)
	if f.gone || f.data == nil {
		w.undelivered(f)
	}
	if f.data != nil {
		w.flights = append(w.flights, f)
		if len(n.stack) == 0 {
			w.arrive(false)
		}
	}
	return true
}

// arrive delivers what is due, or everything.
func (w *world) arrive(all bool) {
	for {
		i := slices.IndexFunc(w.flights, func(f *flight) bool { return all || f.at <= w.step })
		if i < 0 {
			return
		}
		f := w.flights[i]
		w.flights = slices.Delete(w.flights, i, i+1)
		w.land(f)
	}
}

// land is what the far side does with a request, and what becomes of its answer.
func (w *world) land(f *flight) {
	data := f.data
	if !w.calm && w.chance(w.sky.cut) {
		w.note("%s → %s: cut", f.from.name, f.to.name)
		data = w.cutAt(data)
		w.out.Faults++
		w.receive(f.to, f.link, data)
		w.undelivered(f)
		return
	}
	if !w.calm && w.chance(w.sky.thinned) {
		data = w.thin(data)
		w.note("%s → %s: thinned", f.from.name, f.to.name)
		w.out.Faults++
	}
	if !w.calm && w.chance(w.sky.damaged) {
		data = w.damage(data)
		w.note("%s → %s: damaged", f.from.name, f.to.name)
		w.out.Faults++
	}
	answers, ok := w.receive(f.to, f.link, data)
	if !w.calm && w.chance(w.sky.doubled) {
		w.note("%s → %s: doubled", f.from.name, f.to.name)
		w.out.Faults++
		if again, twice := w.receive(f.to, f.link, data); twice && w.r.IntN(2) == 0 {
			answers, ok = again, true
		}
	}
	if ok {
		w.keep(letter{to: f.from, link: f.link, data: answers})
	}
	switch {
	case !ok || f.gone:
	case !w.calm && (f.link.parted || w.chance(w.sky.lostAnswer)):
		w.note("%s ← %s: LOST", f.from.name, f.to.name)
		w.out.Faults++
		ok = false
	case !w.calm && w.chance(w.sky.thinned):
		w.note("%s ← %s: thinned", f.from.name, f.to.name)
		answers = w.thin(answers)
		w.out.Faults++
	case !w.calm && w.chance(w.sky.damaged):
		w.note("%s ← %s: damaged", f.from.name, f.to.name)
		answers = w.damage(answers)
		w.out.Faults++
	}
	if f.gone {
		return
	}
	frames, err := decode(answers)
	if !ok || err != nil {
		w.undelivered(f)
		return
	}
	w.delivered(f, frames)
}

// receive hands bytes to a node as its door would; ok says that it answered.
func (w *world) receive(to *node, l *link, data []byte) (answers []byte, ok bool) {
	frames, err := decode(data)
	if err != nil {
		return nil, false // the door refuses a body that is not frames
	}
	var back []parcel.Frame
	err = to.act("receive", func(h *flow.House) (err error) {
		back, err = h.Receive(context.Background(), l.id, frames)
		return err
	})
	if err != nil {
		to.tolerate("receive", err)
		return nil, false
	}
	back = w.forge(to, l, back)
	if answers, err = encode(back); err != nil {
		w.fail("%s: an answer cannot be written: %v", to.name, err)
	}
	if len(back) > 0 {
		w.note("%s answers:%s", to.name, kinds(back))
	}
	return answers, true
}

// delivered tells the sender's house of the answer; a house that was built since knows nothing of it.
func (w *world) delivered(f *flight, answers []parcel.Frame) {
	if f.life != f.from.life {
		return
	}
	err := f.from.act("delivered", func(h *flow.House) error { return h.Delivered(context.Background(), f.d, answers) })
	if err != nil {
		f.from.tolerate("delivered", err)
		if !errors.Is(err, errCrashed) {
			w.undelivered(f)
		}
	}
}

func (w *world) undelivered(f *flight) {
	if f.life != f.from.life {
		return
	}
	f.from.tolerate("undelivered", f.from.act("undelivered", func(h *flow.House) error {
		return h.Undelivered(context.Background(), f.d, errLost)
	}))
}

// keep remembers what travelled, to let it come again.
func (w *world) keep(l letter) {
	if len(l.data) == 0 || len(l.data) > 2<<20 {
		return
	}
	if w.old = append(w.old, &l); len(w.old) > 40 {
		w.old = slices.Delete(w.old, 0, 1)
	}
}

// replay lets something old come again, in another order.
func (w *world) replay() {
	if len(w.old) == 0 {
		return
	}
	l := w.old[w.r.IntN(len(w.old))]
	frames, err := decode(l.data)
	w.must(err)
	w.r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	frames = frames[:1+w.r.IntN(len(frames))]
	w.note("to %s again:%s", l.to.name, kinds(frames))
	data, err := encode(frames)
	w.must(err)
	w.receive(l.to, l.link, data)
}

// cutAt breaks a body off between two frames; the door that reads it takes nothing, one that reads frame by frame takes the first.
func (w *world) cutAt(data []byte) []byte {
	frames, err := decode(data)
	if err != nil || len(frames) == 0 {
		return nil
	}
	data, err = encode(frames[:w.r.IntN(len(frames))])
	w.must(err)
	return data
}

// thin loses some of the frames and puts the rest into another order.
func (w *world) thin(data []byte) []byte {
	frames, err := decode(data)
	if err != nil || len(frames) == 0 {
		return data
	}
	frames = slices.DeleteFunc(frames, func(parcel.Frame) bool { return w.r.IntN(3) == 0 })
	w.r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
	data, err = encode(frames)
	w.must(err)
	return data
}

// damage changes one byte of one frame that proves itself by a signature or a hash. Leaves, proofs and wishes have none: the peer's
// connection answers for them.
func (w *world) damage(data []byte) []byte {
	frames, err := decode(data)
	if err != nil {
		return data
	}
	var may []int
	for i, f := range frames {
		switch f.Kind {
		case parcel.FrameParcel, parcel.FrameReceipt, parcel.FrameSegment, parcel.FrameSegmentHashes, parcel.FrameCosignature, parcel.FrameIdentity:
			may = append(may, i)
		}
	}
	if len(may) == 0 {
		return data
	}
	f := &frames[may[w.r.IntN(len(may))]]
	f.Payload = bytes.Clone(f.Payload)
	f.Payload[w.r.IntN(len(f.Payload))] ^= 1 << w.r.IntN(8)
	data, err = encode(frames)
	w.must(err)
	return data
}

// meanwhile is another act of a node between two transactions of the one under way.
func (w *world) meanwhile(n *node) {
	l := n.anyLink()
	w.note("%s: meanwhile, in %q", n.name, n.doing())
	switch w.r.IntN(5) {
	case 0:
		w.settle(n, l)
	case 4:
		if ordered, _ := w.underWay(n, l); n.doing() == "delivered" && ordered == 0 && !n.mute && l.hidden != l.other(n) {
			w.send(n, l) // the next delivery leaves while the answer to the last is taken
		}
	case 1:
		if n.doing() != "send" { // two sends share a batch, and would wait for each other in one goroutine
			w.deed(n)
		}
	case 2:
		n.tolerate("rounds", n.startRounds())
	default:
		i := slices.IndexFunc(w.flights, func(f *flight) bool { return f.to == n })
		if i < 0 {
			return
		}
		f := w.flights[i] // its sender gives up before it comes
		if (n.doing() == "receive" || n.doing() == "delivered") && w.inPieces(f.data) {
			return
		}
		w.flights = slices.Delete(w.flights, i, i+1)
		if !f.gone {
			w.undelivered(f)
		}
		w.receive(n, f.link, f.data)
	}
}

// inPieces says whether a request has segments, or an identity: these wait for each other, as one goroutine cannot.
func (w *world) inPieces(data []byte) bool {
	frames, _ := decode(data)
	return slices.ContainsFunc(frames, func(f parcel.Frame) bool {
		return f.Kind == parcel.FrameSegment || f.Kind == parcel.FrameSegmentHashes || f.Kind == parcel.FrameParcel || f.Kind == parcel.FrameIdentity
	})
}
