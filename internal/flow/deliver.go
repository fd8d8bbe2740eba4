package flow

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"
)

// Delivery is one batch of frames to a peer, and what it contains.
type Delivery struct {
	Link   statement.LinkID
	Frames []parcel.Frame

	parcels  []envelope.ID
	attempts int // the most tries that one of them has behind it
	receipts []envelope.Hash
	segments []batch
	docs     []envelope.Hash
	round    bool // leaves and a checkpoint
	shown    bool // versions of our identity
	bytes    int

	unsigned map[envelope.Hash]exchange.Document // documents of receipts and parcels as stored
	rows     []exchange.Parcel
	left     *exchange.Parcel                // the first that is due and was left for the next delivery
	hashes   map[envelope.ID][]envelope.Hash // of segments, where the content follows in these
}

// Bounds of one delivery.
const (
	maxParcels  = 64
	parcelBytes = 4 << 20 // of parcels and hashes, where no more is allowed
	maxReceipts = 128
	maxRun      = 1024    // leaves of one round
	maxDocBytes = 1 << 20 // documents of one round
	roundLeaves = 256     // so many leaves beyond the last cosigned head start a round at once
	resend      = 30 * time.Second
)

// Outgoing returns what is due for a link now, up to about maxBytes: receipts, then parcels with urgent lanes first, then a
// round of the ledger, then segments of large parcels, so that evidence never stands before a hotline call. With room for 0 bytes
// there are no segments. Empty Frames mean that nothing is due. Each Delivery must be ended by Delivered or Undelivered.
func (h *House) Outgoing(ctx context.Context, link statement.LinkID, maxBytes int) (Delivery, error) {
	d := Delivery{Link: link, hashes: map[envelope.ID][]envelope.Hash{}}
	s := h.link(link)
	l, log, open, err := h.leaving(ctx, s, &d, max(maxBytes, parcelBytes))
	if err != nil || !open {
		return d, err
	}
	if err := h.outgoingIdentities(ctx, l, log, s, &d); err != nil {
		return d, err
	}
	if err := h.outgoingSigned(ctx, &d); err != nil {
		return d, err
	}
	if err = h.outgoingRound(ctx, l, log, s, &d); err == nil {
		err = h.outgoingSegments(ctx, s, &d, maxBytes)
	}
	if d.round && (err != nil || len(d.Frames) == 0) { // nobody will end this delivery
		s.mu.Lock()
		s.rounding, s.round = false, err != nil
		s.mu.Unlock()
	}
	if err != nil {
		return d, err
	}
	s.mu.Lock()
	for _, id := range d.parcels {
		s.flying[id] = true
	}
	s.mu.Unlock()
	d.unsigned, d.rows, d.hashes = nil, nil, nil // their content is in the frames; who keeps a delivery may drop these
	return d, nil
}

func (d *Delivery) add(f parcel.Frame) {
	d.Frames = append(d.Frames, f)
	d.bytes += len(f.Payload)
}

func (h *House) outgoingReceipts(ctx context.Context, tx Tx, d *Delivery) error {
	rows, err := tx.UnsentReceipts(ctx, d.Link, h.self, maxReceipts)
	if err != nil {
		return err
	}
	hashes := make([]envelope.Hash, len(rows))
	for i, r := range rows {
		hashes[i] = r.Hash
	}
	docs, err := tx.Documents(ctx, hashes)
	if err != nil {
		return err
	}
	d.receipts, d.unsigned = hashes, docs
	return nil
}

func (h *House) outgoingParcels(ctx context.Context, tx Tx, s *linkState, d *Delivery, maxBytes int) error {
	s.mu.Lock()
	flying := maps.Clone(s.flying)
	s.mu.Unlock()
	rows, err := tx.DueParcels(ctx, d.Link, h.self, h.now(), maxParcels+len(flying)+1)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(p exchange.Parcel) bool { return flying[p.ID] })
	hashes := make([]envelope.Hash, len(rows))
	for i, p := range rows {
		hashes[i] = p.Header
	}
	docs, err := tx.Documents(ctx, hashes)
	if err != nil {
		return err
	}
	maps.Copy(d.unsigned, docs)
	size := 0
	for i, p := range rows {
		size += len(p.Content)
		if p.Blob != "" {
			size += int(p.Segments) * len(envelope.Hash{})
		}
		if len(d.rows) > 0 && size > maxBytes || len(d.rows) == maxParcels {
			d.left = &rows[i]
			break
		}
		d.rows = append(d.rows, p)
		if p.Blob == "" {
			continue
		}
		leaves, err := tx.SegmentHashes(ctx, p.ID)
		if err != nil {
			return err
		}
		d.hashes[p.ID] = make([]envelope.Hash, p.Segments)
		for n, leaf := range leaves {
			if n < p.Segments {
				d.hashes[p.ID][n] = leaf
			}
		}
	}
	return nil
}

// outgoingSigned signs what the transaction chose, where that was not done yet, and makes the frames.
func (h *House) outgoingSigned(ctx context.Context, d *Delivery) error {
	docs := make([]exchange.Document, 0, len(d.receipts)+len(d.rows))
	for _, hash := range d.receipts {
		docs = append(docs, d.unsigned[hash])
	}
	for _, p := range d.rows {
		docs = append(docs, d.unsigned[p.Header])
	}
	if err := h.sign(ctx, d.Link, docs); err != nil {
		return err
	}
	for _, doc := range docs[:len(d.receipts)] {
		f, err := receiptFrame(doc.Payload, doc.Signatures)
		if err != nil {
			return err
		}
		d.add(f)
	}
	for i, doc := range docs[len(d.receipts):] {
		p := d.rows[i]
		f, err := parcelFrame(p, doc)
		if err != nil {
			return err
		}
		d.add(f)
		d.parcels = append(d.parcels, p.ID)
		d.attempts = max(d.attempts, p.Attempts)
		if leaves := d.hashes[p.ID]; leaves != nil {
			d.add(parcel.SegmentHashesFrame{Parcel: p.ID, Leaves: leaves}.Frame())
		}
	}
	return nil
}

// parcelFrame is a signed header with what goes inline, or a signed grant.
func parcelFrame(p exchange.Parcel, doc exchange.Document) (parcel.Frame, error) {
	env := envelope.Envelope{PayloadType: doc.Type, Payload: doc.Payload, Signatures: doc.Signatures}
	encoded, err := env.Encode()
	if err != nil {
		return parcel.Frame{}, fmt.Errorf("encoding a header or a grant: %w", err)
	}
	if p.File == exchange.OfGrant {
		return parcel.Frame{Kind: parcel.FrameGrant, Payload: encoded}, nil
	}
	return parcel.ParcelFrame{Header: encoded, Content: p.Content}.Frame(), nil
}

// outgoingRound shows the peer what is new in our ledger, when a round is due: leaves from where it stands, the documents that
// it asked for, and a signed checkpoint with the proof that it continues the one before.
func (h *House) outgoingRound(ctx context.Context, l exchange.Link, log exchange.Log, s *linkState, d *Delivery) error {
	s.mu.Lock()
	reach, asked := log.Size, len(s.docs) > 0 || s.old >= 0 || s.have >= 0
	busy := s.old < 0 && log.Size-log.CosignedSize >= roundLeaves // one round follows another, whatever the peer asks for
	if d.left != nil && (busy && d.left.SentIndex > log.CosignedSize || !asked) {
		// The leaf of a parcel that has not left yet would only have the peer ask for its header, which comes anyway.
		reach = min(reach, d.left.SentIndex)
	}
	if begin := cmp.Or(s.unheard[0], s.unheard[1]); busy && !s.round && begin > log.CosignedSize {
		// Nor need it ask for receipts that it has in answers and is still taking: a peer that goes on has taken the one
		// before the last, and one that rests is shown all when the next round is due by the clock.
		reach = min(reach, begin)
	}
	due := reach > log.CosignedSize && !s.rounding && h.now() >= s.roundAfter &&
		(s.round || reach-log.CosignedSize >= roundLeaves || asked)
	if due {
		s.rounding, s.round, d.round = true, false, true
	}
	old, from := log.CosignedSize, log.CosignedSize
	if s.old > log.Size { // it cannot have cosigned what there is not
		s.old = -1
	}
	if s.old >= 0 {
		old = s.old
	}
	if s.have >= 0 {
		from = min(s.have, reach)
	} else {
		from = min(from, old)
	}
	for doc := range s.docs {
		d.docs = append(d.docs, doc)
	}
	s.mu.Unlock()
	if !due {
		d.docs = nil
		return nil
	}
	origin := ledger.Origin(l.ID, h.self, l.OwnEpoch)
	var frame parcel.LeavesFrame
	var add ledger.AddCheckpoint
	size := min(reach, from+maxRun)
	var root envelope.Hash
	docs, err := h.wanted(ctx, l.ID, d.docs)
	if err != nil {
		return err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		if log, err = tx.LogHead(ctx, l.ID, h.self, l.OwnEpoch); err != nil { // our identity may have changed meanwhile
			return err
		}
		rows, err := tx.Leaves(ctx, l.ID, h.self, l.OwnEpoch, from, int(size-from))
		if err != nil {
			return err
		}
		frame = parcel.LeavesFrame{Epoch: l.OwnEpoch, First: from, Docs: docs}
		for _, r := range rows {
			frame.Leaves = append(frame.Leaves, r.Leaf)
		}
		reader := tx.HashReader(ctx, l.ID, h.self, l.OwnEpoch)
		if root, err = ledger.TreeRoot(size, reader); err != nil {
			return err
		}
		if old > size {
			return nil
		}
		add.OldSize = old
		add.Proof, err = ledger.ProveConsistency(old, size, reader)
		return err
	})
	if err != nil {
		return fmt.Errorf("preparing a round of the ledger: %w", err)
	}
	if len(frame.Leaves)+len(frame.Docs) > 0 {
		f, err := parcel.EncodeFrame(parcel.FrameLeaves, frame)
		if err != nil {
			return fmt.Errorf("encoding leaves: %w", err)
		}
		d.add(f)
	}
	if old > size || size == 0 {
		return nil
	}
	s.mu.Lock()
	c := s.shown
	s.mu.Unlock()
	if c == nil || c.Origin != origin || c.Size != size || c.Root != root { // else a peer that is away was to see it before
		signers, err := h.cfg.Keys.LogSigners(log.Identity, origin)
		if err != nil {
			return err
		}
		if c, err = ledger.SignCheckpoint(origin, size, root, signers...); err != nil {
			return err
		}
	}
	add.Note = c.Note
	d.add(parcel.Frame{Kind: parcel.FrameCheckpoint, Payload: add.Encode()})
	s.mu.Lock()
	s.shown = c
	s.mu.Unlock()
	return nil
}

// wanted are documents that the peer's mirror lacks; what is not of this link is never shown.
func (h *House) wanted(ctx context.Context, link statement.LinkID, hashes []envelope.Hash) ([]parcel.Document, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	var docs []exchange.Document
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		found, err := tx.Documents(ctx, hashes)
		docs = slices.DeleteFunc(slices.Collect(maps.Values(found)), func(d exchange.Document) bool { return d.Link != link })
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := h.sign(ctx, link, docs); err != nil {
		return nil, err
	}
	var out []parcel.Document
	size := 0
	own := h.Self()
	for n, version := range own.Envelopes {
		if slices.Contains(hashes, own.Hash(n+1)) {
			size += len(version)
			out = append(out, parcel.Document{Type: "identity", Envelope: version})
		}
	}
	for _, doc := range docs {
		kind := map[string]string{parcel.HeaderType: "header", parcel.ReceiptType: "receipt", parcel.GrantType: "grant"}[doc.Type]
		if kind == "" || size > maxDocBytes {
			continue
		}
		env := envelope.Envelope{PayloadType: doc.Type, Payload: doc.Payload, Signatures: doc.Signatures}
		data, err := env.Encode()
		if err != nil {
			return nil, err
		}
		size += len(data)
		out = append(out, parcel.Document{Type: kind, Envelope: data})
	}
	return out, nil
}

// Delivered takes the peer's answers to a delivery. What was not receipted by them is tried again after a while.
func (h *House) Delivered(ctx context.Context, d Delivery, answers []parcel.Frame) error {
	defer h.land(d, 0)
	s := h.link(d.Link)
	if d.round {
		s.mu.Lock()
		s.old, s.have = -1, -1
		for _, doc := range d.docs {
			delete(s.docs, doc)
		}
		s.mu.Unlock()
	}
	receipted, err := h.answered(ctx, d.Link, answers)
	if err != nil {
		return err
	}
	waiting := slices.DeleteFunc(slices.Clone(d.parcels), func(id envelope.ID) bool { return receipted[id] })
	if len(waiting) == 0 && len(d.receipts) == 0 {
		return nil
	}
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error {
		if err := tx.MarkReceiptsSent(ctx, d.receipts); err != nil {
			return err
		}
		return tx.SetTries(ctx, waiting, 0, h.now()+resend.Microseconds())
	})
}

// answered takes the peer's answers and says which parcels need no further delivery by themselves: those receipted, and those
// refused as frames, whose next try is set by the refusal.
func (h *House) answered(ctx context.Context, link statement.LinkID, answers []parcel.Frame) (map[envelope.ID]bool, error) {
	done := map[envelope.ID]bool{}
	l, err := h.linkRow(ctx, link)
	if err != nil {
		return nil, err
	}
	back, err := h.receive(ctx, l, answers, func(id envelope.ID) { done[id] = true })
	for _, f := range back {
		if f.Kind == parcel.FrameRefusal {
			h.warn(link, "an answer of the peer was refused", "refusal", string(f.Payload))
		}
	}
	return done, err
}

// Undelivered records a failed try: parcels wait with persistent back-off, everything else is made anew.
func (h *House) Undelivered(ctx context.Context, d Delivery, cause error) error {
	s := h.link(d.Link)
	s.mu.Lock()
	s.fails++
	wait := exchange.Backoff(s.fails, spread(d.Link, s.fails))
	s.mu.Unlock()
	defer h.land(d, wait)
	h.cfg.Log.Debug("delivery failed", "link", d.Link, "tries", d.attempts+1, "err", cause)
	if len(d.parcels) == 0 {
		return nil
	}
	next := h.now() + exchange.Backoff(d.attempts+1, spread(d.Link, d.attempts)).Microseconds()
	return h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return tx.SetTries(ctx, d.parcels, d.attempts+1, next) })
}

// spread puts links out of step without a random source: it depends on the link and the try.
func spread(link statement.LinkID, try int) float64 {
	return float64(envelope.Sum(append(link[:], byte(try)))[0]) / 256
}

// freeRounds is how many rounds in a row may end without a new cosignature before they are delayed.
const freeRounds = 32

// land ends a delivery in memory. wait is 0 after success, else how long the round and the wishes wait.
func (h *House) land(d Delivery, wait time.Duration) {
	s := h.link(d.Link)
	failed := wait > 0
	s.mu.Lock()
	for _, id := range d.parcels {
		delete(s.flying, id)
	}
	for _, b := range d.segments {
		if o := s.outflows[b.parcel]; o != nil && o.flying > 0 {
			o.landed(b.segments, failed)
		}
	}
	if d.round {
		s.rounding = false
		s.fruitless++
	}
	if s.fruitless > freeRounds { // the peer asks again and again, and cosigns nothing
		wait = max(wait, exchange.Backoff(s.fruitless-freeRounds, 0))
	}
	if wait == 0 {
		s.fails, s.roundAfter = 0, 0
	} else {
		if d.shown {
			s.showAfter = s.roundAfter
		}
		s.round = s.round || d.round
		s.roundAfter = h.now() + wait.Microseconds()
	}
	more := s.flowing() || len(s.docs) > 0 || s.old >= 0 || s.have >= 0
	s.mu.Unlock()
	if wait == 0 && (more || len(d.parcels) > 0) {
		s.signal()
	}
}

// lookAgain is how long a link that nobody wakes is left alone.
const lookAgain = 5 * time.Minute

// flowing says whether segments are to be sent; s.mu is held.
func (s *linkState) flowing() bool {
	for _, o := range s.outflows {
		if !o.idle() {
			return true
		}
	}
	return false
}

// NextDue is when to look again at the latest.
func (h *House) NextDue(ctx context.Context, link statement.LinkID) (time.Time, error) {
	next := h.now() + lookAgain.Microseconds()
	s := h.link(link)
	var err error
	if c := s.stillness(h.acts.ended.Load()); c != nil && h.now() < c.next {
		next = min(next, c.next)
	} else {
		err = h.cfg.Store.View(ctx, func(tx Tx) error {
			try, err := tx.NextTry(ctx, link, h.self)
			if notFound(err) {
				return nil
			}
			next = min(next, try)
			return err
		})
	}
	s.mu.Lock()
	if (s.round || s.flowing()) && s.roundAfter > 0 {
		next = min(next, s.roundAfter)
	}
	s.mu.Unlock()
	return time.UnixMicro(next), err
}

// CheckpointLoop starts a round of every link's ledger at each interval, if there is anything new, and signs the head of the log
// of members, until ctx ends.
func (h *House) CheckpointLoop(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := h.StartRounds(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("starting ledger rounds", "err", err)
		}
		if err := h.SignTrail(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Error("signing the log of members", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// StartRounds makes a round due on every link whose ledger has leaves that the peer has not cosigned.
func (h *House) StartRounds(ctx context.Context) error {
	due, err := h.behind(ctx)
	for _, id := range due {
		s := h.link(id)
		s.mu.Lock()
		s.round = true
		rests := s.roundAfter > h.now() // NextDue says until when
		s.mu.Unlock()
		if !rests {
			s.signal()
		}
	}
	return err
}
