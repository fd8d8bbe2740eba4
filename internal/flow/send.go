package flow

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"entente/envelope"
	"entente/handling"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/member"
	"entente/ledger"
	"entente/parcel"
	"entente/party"
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
	Files   []FileDraft

	Originator string // whose information it is: own if empty, or a party's id
	Consent    *bool  // whether the originator agrees that it is passed on; nil if that is not known

	// Registered withholds the keys until the peer has receipted the parcel: nothing can be read that was not acknowledged.
	Registered bool

	released *released // by whom it may leave beside its author; set by the acts of release alone
}

// FileDraft is a file to send; Open gives its plaintext, which is read once, as a stream.
type FileDraft struct {
	Name  string
	Media string
	Size  int64
	Open  func() (io.ReadCloser, error)
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
	parcels    []*outgoing
	also       func(context.Context, Tx, statement.Commitment) error // in the reserving transaction; nil for nothing
	former     *envelope.ID                                          // its parcel in an epoch that has ended, where it is said again
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
	r, err := h.compose(ctx, who, d, p)
	if err != nil {
		return statement.Commitment{}, err
	}
	r.also = also
	s := h.link(d.Link)
	if err := s.reserve.do(ctx, r, h.reserve); err != nil {
		return statement.Commitment{}, err
	}
	docs := make([]exchange.Document, len(r.parcels))
	for i, out := range r.parcels {
		docs[i] = exchange.Document{Hash: out.row.Header, Link: d.Link, Type: parcel.HeaderType, Payload: out.payload}
	}
	if err := h.sign(ctx, d.Link, docs); err != nil {
		h.cfg.Log.Error("signing; it is tried again at delivery", "statement", r.commitment, "err", err)
	}
	s.signal()
	return r.commitment, nil
}

// compose does everything that needs no place in the record yet: rules, marking, sealing, the copy at rest.
func (h *House) compose(ctx context.Context, who actor.Actor, d Draft, p Progress) (*reservation, error) {
	asked := &outlook{id: d.Link, lane: d.Lane, thread: d.Thread}
	if d.Kind == "erasure.notice" { // its thread is always there, and no statement began it
		asked.thread = nil
	}
	if err := h.link(d.Link).outlook.do(ctx, asked, h.lookOut); err != nil {
		return nil, err
	}
	l := asked.link
	agreement, err := h.terms(l)
	if err != nil {
		return nil, err
	}
	peer, err := h.peerKin(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	if peer.contested {
		return nil, fault.New(fault.Conflict, contestedCode,
			"The other party's keys are in dispute, so nothing is said to it until it has signed a version of its identity with its recovery keys; call it.")
	}
	if err := allowed(d, agreement, asked.stand); err != nil {
		return nil, err
	}
	face, err := envelope.Marshal(d.Face)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "face", "The coded part of this statement is not valid.", err)
	}
	text := statement.Text{V: 1, Link: l.ID, From: h.self, To: l.Peer, Lane: d.Lane, Kind: d.Kind, Edition: asked.edition,
		Thread: d.Thread, Refs: d.Refs, Authored: h.now(), Zone: orElse(d.Zone, "UTC"), Urgency: orElse(d.Urgency, "routine"),
		ReplyBy: d.ReplyBy, Marking: d.Marking, Face: jsontext.Value(face)}
	w := sealing{h: h, link: l, to: peer.stands.Latest(), agreement: agreement, key: make([]byte, 32), progress: p, registered: d.Registered}
	rand.Read(w.key)
	return w.seal(ctx, who, text, d)
}

// outlook is what a composition asks of the store before it begins. The reserving transaction asks again for all that may
// change meanwhile.
type outlook struct {
	id     statement.LinkID
	lane   statement.Lane
	thread *statement.Commitment

	link    exchange.Link
	stand   standing
	edition envelope.Hash // that the statement obeys
}

// lookOut answers those who ask about one link at the same time from one snapshot.
func (h *House) lookOut(ctx context.Context, batch []*outlook) []error {
	errs := make([]error, len(batch))
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		l, err := tx.Link(ctx, batch[0].id)
		if err != nil {
			return err
		}
		if frozen(l) {
			return h.frozenFault(l)
		}
		stand, err := h.standing(ctx, tx, l)
		if err != nil {
			return err
		}
		a, err := h.terms(l)
		if err != nil {
			return err
		}
		lanes := map[statement.Lane]error{}
		for i, o := range batch {
			full, known := lanes[o.lane]
			if !known {
				own, err := tx.Lane(ctx, l.ID, h.self, l.OwnEpoch, o.lane)
				if err != nil {
					return err
				}
				full = a.full(own)
				lanes[o.lane] = full
			}
			o.link, o.stand = l, stand
			if o.edition, errs[i] = h.editionFor(ctx, tx, l, o.thread); errs[i] == nil {
				errs[i] = full
			}
		}
		return nil
	})
	for i := range errs {
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// allowed applies the kind's table, who takes part, and the marking policy before anything is sealed.
func allowed(d Draft, a *terms, stand standing) error {
	kind, ok := statement.LookUp(a.Rules.Kinds, d.Kind)
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
	if state != exchange.LinkActive && (!kind.Unverified || len(d.Files) > 0) {
		return fault.New(fault.Conflict, "link_unverified",
			"This link is not confirmed by both sides yet: compare the short code with the other party and confirm it (entente confirm).")
	}
	facts := draftFacts(d, len(d.Files) > 0, a)
	facts.LinkState = &state
	if kind.Unverified {
		active := exchange.LinkActive
		facts.LinkState = &active
	}
	decision := handling.Decide(a.Rules.Policy, facts)
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

// sealing turns one draft into parcels and a copy at rest.
type sealing struct {
	h         *House
	link      exchange.Link
	to        *party.Identity
	agreement *terms
	key       []byte // the statement's key at rest
	progress  Progress
	done      int64
	total     int64

	registered bool
}

func (w *sealing) seal(ctx context.Context, who actor.Actor, text statement.Text, d Draft) (*reservation, error) {
	if len(d.Files) > statement.MaxFiles {
		return nil, fault.New(fault.TooLarge, "files", fmt.Sprintf("A statement carries at most %d files; send the rest with another.", statement.MaxFiles))
	}
	for _, f := range d.Files {
		if err := CheckFile(f.Name, f.Media); err != nil {
			return nil, err
		}
		if f.Size > w.agreement.Limits.FileBytes {
			return nil, fault.New(fault.TooLarge, "file_size", fmt.Sprintf("A file may have at most %d bytes on this link.", w.agreement.Limits.FileBytes))
		}
		w.total += f.Size
	}
	r := &reservation{link: w.link, who: who.Name}
	var files []statement.File
	var sealed []*outgoing
	for i, f := range d.Files {
		file, out, err := w.file(ctx, f, i)
		if err != nil {
			return nil, err
		}
		files, sealed = append(files, file), append(sealed, out)
	}
	content, commitment, err := statement.Compose(text, d.Body, files)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	r.commitment = commitment
	if r.text, err = statement.DecodeText(content.Text); err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	if err := w.h.kinds[w.agreement.Rules.Kinds][d.Kind].Check(r.text, content.Body); err != nil {
		return nil, fault.Wrap(fault.Invalid, "statement", "This statement is not valid: "+plain(err)+".", err)
	}
	encoded, err := content.Encode()
	if err != nil {
		return nil, err
	}
	first, err := w.content(ctx, encoded)
	if err != nil {
		return nil, err
	}
	r.parcels = append([]*outgoing{first}, sealed...)
	for _, out := range r.parcels {
		out.header.Text, out.row.Text = commitment, commitment
		out.header.Lane, out.row.Lane = text.Lane, text.Lane
		if out.file != nil {
			out.file.Statement = commitment
		}
	}
	if r.body, r.wrapped, err = w.h.lock(w.key, commitment, encoded); err != nil {
		return nil, err
	}
	r.row = exchange.Statement{Commitment: commitment, Link: w.link.ID, Author: w.h.self, Lane: text.Lane, Kind: text.Kind,
		Authored: text.Authored, Text: content.Text, TextSalt: content.TextSalt, Parcel: first.header.ID, Thread: commitment}
	if text.Thread != nil {
		r.row.Thread = *text.Thread
	}
	return r, nil
}

// CheckFile refuses a file that cannot be sent under this name and media type: a door asks before it takes a file in, and
// nothing is sealed of a statement that has one.
func CheckFile(name, media string) error {
	if err := statement.CheckFile(name, media); err != nil {
		return fault.Wrap(fault.Invalid, "file_name", fmt.Sprintf("The file %+q cannot be sent so: %s; give it another name.", name, plain(err)), err)
	}
	return nil
}

// plain gives the words of a format error, which name what is wrong and where, and nothing else.
func plain(err error) string {
	if e, ok := errors.AsType[*envelope.FormatError](err); ok {
		return e.Error()
	}
	return "its form is wrong"
}

// header starts a header with what is known before the reserving transaction.
func (w *sealing) header() parcel.Header {
	now := w.h.now()
	return parcel.Header{V: 1, ID: envelope.NewID(), Link: w.link.ID, From: w.h.self, To: w.link.Peer,
		Recipient: w.to.Version, Epoch: w.link.OwnEpoch,
		Created: now, Expires: now + w.agreement.Limits.Expiry*1e6, Padding: "none"}
}

func (w *sealing) row(hd parcel.Header) exchange.Parcel {
	return exchange.Parcel{ID: hd.ID, Link: hd.Link, Author: hd.From, Epoch: hd.Epoch, File: exchange.OfStatement, State: exchange.Sending,
		GotIndex: -1, Created: hd.Created, Expires: hd.Expires, Segments: hd.Segments, Length: hd.Length}
}

// content seals a statement's content, inline when it is small.
func (w *sealing) content(ctx context.Context, encoded []byte) (*outgoing, error) {
	hd := w.header()
	hd.Padding = parcel.PaddingClass(len(encoded))
	var buf bytes.Buffer
	sealed, err := parcel.SealContent(w.h.cfg.Registry, &buf, encoded, w.to.Suites, hd.Context())
	if err != nil {
		return nil, fmt.Errorf("sealing a statement: %w", err)
	}
	fill(&hd, sealed)
	out := &outgoing{header: hd, row: w.row(hd)}
	if w.registered {
		out.withhold()
	}
	if buf.Len() <= parcel.MaxInline {
		out.row.Content = buf.Bytes()
		return out, nil
	}
	b, err := w.h.cfg.Blobs.Create(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	segments := &segmentHasher{to: b}
	if _, err := segments.Write(buf.Bytes()); err != nil {
		return nil, err
	}
	out.segments = segments.finish()
	out.row.Blob, err = b.Commit()
	return out, err
}

func fill(hd *parcel.Header, s envelope.Sealed) {
	hd.Layers, hd.Segments, hd.Length, hd.Root = s.Layers, s.Segments, s.Length, s.Root
	for _, l := range s.Layers {
		hd.Suites = append(hd.Suites, l.Suite)
	}
}

// file seals a file for the peer and, in the same pass, a copy at rest under the statement's key.
func (w *sealing) file(ctx context.Context, f FileDraft, position int) (statement.File, *outgoing, error) {
	fail := func(err error) (statement.File, *outgoing, error) {
		return statement.File{}, nil, fmt.Errorf("sealing file %d: %w", position+1, err)
	}
	if err := w.h.cfg.Blobs.Reserve(2 * f.Size); err != nil {
		return statement.File{}, nil, err
	}
	src, err := f.Open()
	if err != nil {
		return fail(err)
	}
	defer src.Close()
	hd := w.header()
	hd.File = &parcel.FileRef{Position: position}
	toPeer, err := w.h.cfg.Blobs.Create(ctx)
	if err != nil {
		return fail(err)
	}
	defer toPeer.Close()
	atRest, err := w.h.createRest(ctx, w.key, position)
	if err != nil {
		return fail(err)
	}
	defer atRest.Close()
	digest := sha256.New()
	count := &counter{w: w, limit: f.Size}
	plain := io.TeeReader(src, io.MultiWriter(digest, count, atRest))
	segments := &segmentHasher{to: toPeer}
	sealed, err := parcel.SealFile(w.h.cfg.Registry, segments, plain, w.to.Suites, hd.Context())
	if err != nil {
		return fail(err)
	}
	if count.n != f.Size {
		return statement.File{}, nil, fault.New(fault.Conflict, "file_changed", "The file changed while it was read; send it again when it is complete.")
	}
	fill(&hd, sealed)
	out := &outgoing{header: hd, row: w.row(hd), segments: segments.finish()}
	out.row.File = position
	if w.registered {
		out.row.State, out.row.SentIndex = exchange.Withheld, -1
	}
	if out.row.Blob, err = toPeer.Commit(); err != nil {
		return fail(err)
	}
	rest, floe, err := atRest.commit()
	if err != nil {
		return fail(err)
	}
	out.file = &exchange.File{Position: position, Link: w.link.ID, Parcel: hd.ID, Size: f.Size, State: "stored", Blob: rest, FLOE: floe}
	return statement.File{SHA256: envelope.Hash(digest.Sum(nil)), Size: f.Size, Name: f.Name, Media: f.Media,
		Salt: statement.NewSalt(), Parcel: hd.ID}, out, nil
}

// counter counts plaintext and reports progress; it stops a file that grows.
type counter struct {
	w     *sealing
	n     int64
	limit int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	if c.n > c.limit {
		return 0, fault.New(fault.Conflict, "file_changed", "The file grew while it was read; send it again when it is complete.")
	}
	c.w.done += int64(len(p))
	if c.w.progress != nil {
		c.w.progress(c.w.done, c.w.total)
	}
	return len(p), nil
}

// segmentHasher passes sealed bytes on and keeps the RFC 6962 leaf hash of each segment: 32 bytes a mebibyte.
type segmentHasher struct {
	to     io.Writer
	sum    hash.Hash
	filled int
	hashes []envelope.Hash
}

func (s *segmentHasher) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if s.sum == nil {
			s.sum = sha256.New()
			s.sum.Write([]byte{0})
		}
		n := min(len(rest), envelope.SegmentSize-s.filled)
		s.sum.Write(rest[:n])
		rest = rest[n:]
		if s.filled += n; s.filled == envelope.SegmentSize {
			s.cut()
		}
	}
	return s.to.Write(p)
}

func (s *segmentHasher) cut() {
	s.hashes = append(s.hashes, envelope.Hash(s.sum.Sum(nil)))
	s.sum, s.filled = nil, 0
}

func (s *segmentHasher) finish() []envelope.Hash {
	if s.filled > 0 {
		s.cut()
	}
	return s.hashes
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
	if frozen(l) {
		return h.frozenFault(l)
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
		r.row.Epoch, r.row.Seq = l.OwnEpoch, own.Last
		if r.former != nil {
			if err := tx.DropParcels(ctx, *r.former); err != nil {
				return err
			}
			if err := tx.PlaceStatement(ctx, r.commitment, r.row.Parcel, r.row.Epoch, r.row.Seq); err != nil {
				return err
			}
			statements = append(statements, r.row)
			continue
		}
		statements = append(statements, r.row)
		if err := putWithheld(ctx, tx, r); err != nil {
			return err
		}
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
	if err := h.takeUpAll(ctx); err != nil {
		return err
	}
	if err := h.removeErased(ctx); err != nil {
		h.cfg.Log.Error("removing erased files; it is tried again", "err", err)
	}
	links, err := h.linkRows(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
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
