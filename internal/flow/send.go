package flow

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/assistance"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/member"
	"entente/ledger"
	"entente/parcel"
	"entente/statement"

	"github.com/go-json-experiment/json/jsontext"
)

// Draft is what a member or a tool composes.
type Draft struct {
	Link    statement.LinkID
	Lane    statement.Lane
	Kind    string
	Thread  *statement.Commitment
	Refs    []statement.Commitment
	Zone    string // IANA; UTC if empty
	Urgency string // routine if empty
	ReplyBy *int64
	Marking handling.Marking
	Face    any
	Body    any
	Files   iter.Seq2[FileDraft, error] // nil: none

	Originator string // whose information it is: own if empty, or a party's id
	Consent    *bool  // whether the originator agrees that it is passed on; nil if that is not known

	// Registered withholds the keys until the peer has receipted the parcel: nothing can be read that was not acknowledged.
	Registered bool

	released *released // by whom it may leave beside its author; set by the acts of release alone
}

// FileDraft is a file to send. Its content is read once, before the next file is asked for.
type FileDraft struct {
	Name    string
	Media   string
	Size    int64          // -1 if it is not known before its end
	SHA256  *envelope.Hash // that it must have; nil if none was declared
	Content io.Reader
}

// Progress reports how much of a total is done, in the caller's unit; it may be nil.
type Progress func(done, total int64)

// reservation is one statement on its way to its place in lane and ledger.
type reservation struct {
	link       exchange.Link
	who        string
	text       *statement.Text
	commitment statement.Commitment
	row        exchange.Statement
	body       []byte // sealed at rest
	wrapped    []byte // statement's key
	agreement  []byte // that it signs; nil if it signs none
	parcels    []*outgoing
	asked      []assistance.Asking                                   // that a request adds to the index
	also       func(context.Context, Tx, statement.Commitment) error // in the reserving transaction; nil for nothing
}

// outgoing is one parcel of a reservation: first the statement's, then its files'.
type outgoing struct {
	header   parcel.Header
	row      exchange.Parcel
	placed   *parcel.Header  // the header as the reserving transaction fixed it
	payload  []byte          // of that header
	segments []envelope.Hash // leaf hashes, when the content lies in the blob store
	file     *exchange.File
	stanzas  [][]byte // of a registered header, kept back for its grant
}

// Send checks, seals and queues a statement and returns its commitment. When it returns, the statement is durable and
// has its place in lane and ledger; delivery goes on by itself. What a second person must release is kept as a draft instead,
// and the error is Held.
func (h *House) Send(ctx context.Context, who actor.Actor, d Draft, p Progress) (statement.Commitment, error) {
	if err := who.May(h.actOf(d.Kind)); err != nil {
		return statement.Commitment{}, err
	}
	if err := h.gate(ctx, who, d); err != nil {
		return statement.Commitment{}, err
	}
	return h.send(ctx, who, d, nil, p)
}

// send sends what its caller has authorised, with something else in the transaction that gives the statement its place: both are
// done, or neither.
func (h *House) send(ctx context.Context, who actor.Actor, d Draft, also func(context.Context, Tx, statement.Commitment) error, p Progress) (statement.Commitment, error) {
	w, err := h.begin(ctx, d, p)
	if err != nil {
		return statement.Commitment{}, err
	}
	defer w.end(ctx)
	return w.send(ctx, who, d, also)
}

// begin checks the rules and the marking, and seals the files of a draft. What it returns must be ended.
func (h *House) begin(ctx context.Context, d Draft, p Progress) (*sealing, error) {
	if err := h.mayStillSay(d.Lane); err != nil {
		return nil, err
	}
	asked := &outlook{id: d.Link, lane: d.Lane, thread: d.Thread}
	if d.Kind == "erasure.notice" { // its thread is always there, and no statement began it
		asked.thread = nil
	}
	s := h.link(d.Link)
	if err := s.withRoom(ctx, func() error { return s.outlook.do(ctx, asked, h.lookOut) }); err != nil {
		return nil, err
	}
	agreement, err := h.terms(asked.link)
	if err != nil {
		return nil, err
	}
	peer, err := h.peerKin(ctx, asked.link.ID)
	if err != nil {
		return nil, err
	}
	if peer.contested {
		return nil, fault.New(fault.Conflict, contestedCode,
			"The other party's keys are in dispute, so nothing is said to it until it has signed a version of its identity with its recovery keys; call it.")
	}
	w := &sealing{h: h, link: asked.link, edition: asked.edition, to: peer.stands.Latest(), agreement: agreement, rules: asked.rules, began: h.now(), key: make([]byte, 32),
		progress: p, registered: d.Registered, blobs: h.hold()}
	rand.Read(w.key)
	if err := w.begin(ctx, d, asked.stand); err != nil {
		w.end(ctx)
		return nil, err
	}
	return w, nil
}

// send seals what a draft says and gives it its place, with something else in the same transaction: both are done, or neither. It
// may be called again with other words after a failure: the files stay sealed.
func (w *sealing) send(ctx context.Context, who actor.Actor, d Draft, also func(context.Context, Tx, statement.Commitment) error) (statement.Commitment, error) {
	face, err := envelope.Marshal(d.Face)
	if err != nil {
		return statement.Commitment{}, fault.Wrap(fault.Invalid, "face", "The coded part of this statement is not valid.", err)
	}
	text := statement.Text{V: 1, Link: w.link.ID, From: w.h.self, To: w.link.Peer, Lane: d.Lane, Kind: d.Kind, Edition: w.edition,
		Thread: d.Thread, Refs: d.Refs, Authored: w.began, Zone: orElse(d.Zone, "UTC"), Urgency: orElse(d.Urgency, "routine"),
		ReplyBy: d.ReplyBy, Marking: d.Marking, Face: jsontext.Value(face)}
	r, err := w.seal(ctx, who, text, d.Body)
	if err != nil {
		return statement.Commitment{}, err
	}
	r.also = also
	w.placed = true
	s := w.h.link(d.Link)
	if err := s.withRoom(ctx, func() error { return s.reserve.do(ctx, r, w.h.reserve) }); err != nil {
		return statement.Commitment{}, err
	}
	docs := make([]exchange.Document, len(r.parcels))
	for i, out := range r.parcels {
		docs[i] = exchange.Document{Hash: out.row.Header, Link: d.Link, Type: parcel.HeaderType, Payload: out.payload}
	}
	if err := w.h.sign(ctx, d.Link, docs); err != nil {
		w.h.cfg.Log.Error("signing; it is tried again at delivery", "statement", r.commitment, "err", err)
	}
	s.signal()
	return r.commitment, nil
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// allowed applies the kind's table, who takes part, and the marking policy before anything is sealed.
func (h *House) allowed(d Draft, files bool, a *terms, rules *statement.Rules, stand standing) error {
	kind, ok := h.kinds[rules.Kinds][d.Kind]
	if !ok {
		return fault.New(fault.Invalid, "unknown_kind", fmt.Sprintf("There is no kind of statement %q in the edition that this link agreed to.", d.Kind))
	}
	if a.way == inward && d.Kind != "link.confirm" {
		return nothingBack()
	}
	if err := stand.allow(d.Lane); err != nil {
		return err
	}
	if d.Registered {
		if err := checkRegistered(a, d.Lane); err != nil {
			return err
		}
	}
	state := exchange.LaneStatus(stand.ours, stand.theirs, d.Lane)
	if state != exchange.LinkActive && (!kind.Unverified || files) {
		return fault.New(fault.Conflict, "link_unverified",
			"This link is not confirmed by both sides yet: compare the short code with the other party and confirm it (entente confirm).")
	}
	facts := draftFacts(d, files, a)
	facts.LinkState = &state
	if kind.Unverified {
		active := exchange.LinkActive
		facts.LinkState = &active
	}
	decision := handling.Decide(rules.Policy, facts)
	if !decision.Allowed {
		sentence := "The marking does not allow this to leave."
		code := "marking"
		if len(decision.Reasons) > 0 {
			sentence, code = decision.Reasons[0].Sentence, decision.Reasons[0].Code
		}
		return fault.New(fault.Forbidden, code, sentence)
	}
	if !d.released.covers(decision.Release) {
		return fault.New(fault.Forbidden, "release", "The rules of this link ask that a second person releases this, and nobody has; see \"entente release list\".")
	}
	return nil
}

// draftFacts is what is known of a draft before it is known whether its link is in use.
func draftFacts(d Draft, files bool, a *terms) handling.Facts {
	channel, encrypted, originator := handling.ChannelHTTPS, true, orElse(d.Originator, handling.OriginatorOwn)
	switch {
	case a.Oneway():
		channel = handling.ChannelOneway
	case !slices.Contains(a.Modes, channel):
		channel = handling.ChannelCourier
	}
	return handling.Facts{Kind: d.Kind, Lane: string(d.Lane), Marking: d.Marking, Channel: &channel, Encrypted: &encrypted, Exercise: &a.Exercise,
		LinkExercise: &a.Exercise, Originator: &originator, OriginatorConsent: d.Consent, HasFiles: &files}
}

var errUnsettled = errors.New("what came in is not settled yet")

// reserve gives a batch of statements their places in one transaction: sequence, previous header, ledger leaf, and what
// we have seen. It settles first, so that seen admits everything that we receipted. Where some of it cannot be opened, as while a
// disk fails, seen admits it all the same: what begins a thread reads nothing of it, and what continues one is refused for now.
func (h *House) reserve(ctx context.Context, batch []*reservation) []error {
	errs := make([]error, len(batch))
	link := batch[0].link
	priority := Normal
	for _, r := range batch {
		if r.text.Lane == statement.Control || r.text.Lane == statement.Hotline {
			priority = Urgent
		}
	}
	var closed error // why some of what came in cannot be opened now
	for range 100 {
		err := h.cfg.Store.Update(ctx, priority, func(tx Tx) error {
			clear(errs)
			return h.reserveAll(ctx, tx, link, batch, errs, closed)
		})
		if errors.Is(err, errUnsettled) {
			closed = h.settle(ctx, link.ID, func(p exchange.Parcel) bool { return p.File < 0 })
			continue
		}
		for i := range errs {
			if err != nil {
				errs[i] = err
			}
			if errs[i] == nil {
				h.recallHeaders(batch[i])
			}
		}
		return errs
	}
	for i := range errs {
		errs[i] = fault.New(fault.Exhausted, "unsettled", "So much is coming in that this could not be placed; try again in a moment.")
	}
	return errs
}

func (h *House) recallHeaders(r *reservation) {
	for _, out := range r.parcels {
		h.docs.add(out.row.Header, paper{header: out.placed})
	}
}

func (h *House) reserveAll(ctx context.Context, tx Tx, l exchange.Link, batch []*reservation, errs []error, closed error) error {
	l, err := tx.Link(ctx, l.ID)
	if err != nil {
		return err
	}
	b, err := openBook(ctx, tx, l.ID, h.self, l.OwnEpoch)
	if err != nil {
		return err
	}
	var (
		parcels    []exchange.Parcel
		documents  []exchange.Document
		statements []exchange.Statement
		bodies     []exchange.Body
		files      []exchange.File
		audits     []member.Entry
		asked      []assistance.Asking
	)
	stand, err := h.standing(ctx, tx, l)
	if err != nil {
		return err
	}
	terms, err := h.terms(l)
	if err != nil {
		return err
	}
	lanes := map[statement.Lane]*exchange.LaneState{}
	seen := map[statement.Lane]exchange.LaneState{}
	for i, r := range batch {
		lane := r.text.Lane
		if errs[i] = stand.allow(lane); errs[i] != nil {
			continue
		}
		if errs[i] = h.stillObeys(ctx, tx, l, stand, r); errs[i] != nil {
			continue
		}
		if lanes[lane] == nil {
			own, err := tx.Lane(ctx, l.ID, h.self, l.OwnEpoch, lane)
			if err != nil {
				return err
			}
			theirs, err := tx.Lane(ctx, l.ID, l.Peer, l.PeerEpoch, lane)
			if err != nil {
				return err
			}
			if theirs.Settled < theirs.Contiguous && closed == nil {
				return errUnsettled
			}
			lanes[lane], seen[lane] = &own, theirs
		}
		own := lanes[lane]
		if r.text.Thread != nil && seen[lane].Settled < seen[lane].Contiguous {
			errs[i] = fault.Wrap(fault.Unavailable, "unsettled", "Something that came in before this cannot be opened here now, and may bear on it; try again when the node's log tells of no failing disk.", closed)
			continue
		}
		if errs[i] = h.checkGuard(ctx, tx, l, r, *own, seen[lane]); errs[i] != nil {
			continue
		}
		if errs[i] = terms.full(*own); errs[i] != nil {
			continue
		}
		if r.also != nil {
			if err := r.also(ctx, tx, r.commitment); fault.KindOf(err) == fault.Conflict {
				errs[i] = err
				continue
			} else if err != nil {
				return err
			}
		}
		for _, out := range r.parcels {
			if r.registered() && out.file != nil {
				parcels, files = append(parcels, out.row), append(files, *out.file) // its place follows that of the grant
				continue
			}
			if err := h.place(b, own, seen[lane], l, out); err != nil {
				return err
			}
			if terms.way == inward {
				out.row.State, out.row.Content = exchange.Gone, nil
			}
			parcels = append(parcels, out.row)
			documents = append(documents, exchange.Document{Hash: out.row.Header, Link: l.ID, Type: parcel.HeaderType, Payload: out.payload})
			if out.file != nil {
				files = append(files, *out.file)
			}
		}
		stand.say(r)
		if r.agreement != nil {
			if err := h.keepAgreement(ctx, tx, l, r.agreement); err != nil {
				return err
			}
		}
		r.row.Epoch, r.row.Seq = l.OwnEpoch, own.Last
		statements = append(statements, r.row)
		if err := putWithheld(ctx, tx, r); err != nil {
			return err
		}
		asked = append(asked, r.asked...)
		bodies = append(bodies, exchange.Body{Commitment: r.commitment, Sealed: r.body, Key: r.wrapped})
		audits = append(audits, member.Entry{Who: r.who, Act: "send " + r.text.Kind, Object: r.commitment.String()})
	}
	if len(statements) == 0 {
		return nil
	}
	for _, own := range lanes {
		if err := tx.PutLane(ctx, *own); err != nil {
			return err
		}
	}
	for _, put := range []func() error{
		func() error { return tx.PutBodies(ctx, bodies...) },
		func() error { return h.record(ctx, tx, audits...) },
		func() error { return tx.PutStatements(ctx, statements...) },
		func() error { return tx.PutAsked(ctx, asked...) },
		func() error { return tx.PutParcels(ctx, parcels...) },
		func() error { return tx.PutFiles(ctx, files...) },
		func() error { return tx.PutDocuments(ctx, documents...) },
		func() error { return b.close(ctx, tx) },
	} {
		if err := put(); err != nil {
			return err
		}
	}
	for i, r := range batch {
		if errs[i] != nil {
			continue
		}
		for _, out := range r.parcels {
			for n, leaf := range out.segments {
				if _, err := tx.PutSegment(ctx, out.row.ID, int64(n), leaf); err != nil {
					return err
				}
			}
		}
	}
	if terms.way == bothWays {
		return nil
	}
	return h.foldLanes(ctx, tx, l, slices.Collect(maps.Keys(lanes)))
}

// place fixes one parcel's header: a statement takes the next sequence of its lane, a file none.
func (h *House) place(b *book, own *exchange.LaneState, seen exchange.LaneState, l exchange.Link, out *outgoing) error {
	hd := out.header
	hd.Epoch, hd.Index, hd.Identity = l.OwnEpoch, b.log.Size, b.log.Identity
	var seq uint64
	if hd.File == nil {
		seq = own.Last + 1
		hd.Seq = seq
		hd.Seen = &parcel.Seen{Epoch: l.PeerEpoch, Seq: seen.Contiguous}
		hd.Prev = nil
		if own.Last > 0 {
			prev := own.LastHeader
			hd.Prev = &prev
		}
	}
	payload, err := hd.Encode()
	if err != nil {
		return fmt.Errorf("encoding a header: %w", err)
	}
	out.placed, out.payload = &hd, payload
	out.row.Epoch, out.row.Seq, out.row.Header = l.OwnEpoch, seq, envelope.Sum(payload)
	out.row.SeenEpoch, out.row.SeenSeq = l.PeerEpoch, seen.Contiguous
	if hd.File == nil {
		own.Last, own.LastHeader = seq, out.row.Header
	}
	pos, err := b.enter(h.now(), ledger.Sent, hd.Lane, seq, out.row.Header)
	out.row.SentIndex = pos.index
	return err
}

// Resume settles what a crash left behind, and makes due what a peer was to ask for or to receipt when the node went down.
// It is called once at start, before the doors open. Parcels that have their place and were not signed need nothing: they
// are signed when they are delivered.
func (h *House) Resume(ctx context.Context) error {
	if err := h.noticeRestore(ctx); err != nil {
		return err
	}
	h.turning.Lock()
	err := h.takeUp(ctx)
	h.turning.Unlock()
	if err != nil {
		return fmt.Errorf("putting in force what the keyring decided: %w", err)
	}
	if err := h.removeErased(ctx); err != nil {
		h.cfg.Log.Error("removing erased files; it is tried again", "err", err)
	}
	links, err := h.linkRows(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		if h.frozen(l) {
			continue
		}
		if err := h.Settle(ctx, l.ID); err != nil { // for want of room, say; it is tried again, and the node is needed meanwhile
			h.cfg.Log.Error("settling", "link", l.Alias, "err", err)
		}
		if err := h.cfg.Store.Update(ctx, Normal, func(tx Tx) error { return h.sendAgain(ctx, tx, l) }); err != nil {
			return fmt.Errorf("taking up the deliveries of link %s: %w", l.Alias, err)
		}
	}
	return nil
}

// sendAgain makes parcels due that were delivered and have no receipt. Those whose delivery failed keep their back-off.
func (h *House) sendAgain(ctx context.Context, tx Tx, l exchange.Link) error {
	var last exchange.Parcel
	for {
		rows, err := tx.ParcelsIn(ctx, l.ID, h.self, exchange.Sending, last, pageOfParcels)
		if err != nil {
			return err
		}
		var ids []envelope.ID
		for _, p := range rows {
			if p.Attempts == 0 {
				ids = append(ids, p.ID)
			}
			last = p
		}
		if err := tx.SetTries(ctx, ids, 0, 0); err != nil || len(rows) < pageOfParcels {
			return err
		}
	}
}

// fileLabel separates the keys of a statement's files at rest.
func fileLabel(position int) string {
	return string(binary.BigEndian.AppendUint32([]byte("entente/rest/file/"), uint32(position)))
}
