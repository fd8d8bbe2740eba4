package flow

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/parcel"
	"entente/party"
	"entente/statement"
)

// StatementView is an opened statement for people.
type StatementView struct {
	exchange.Statement
	LinkAlias  string
	Ours       bool
	Parcel     exchange.Parcel
	Verdict    string          // that of the parcel
	Registered *RegisteredView // nil unless it is registered
	Text       *statement.Text // nil while the key of a registered statement is awaited
	Body       []byte          // JSON; nil when erased, or when its key is not here
	Files      []FileView
	Receipts   []ReceiptView
	Erasures   []ErasureView // who told the other that it erased this; in Show only
	Suspect    *Suspicion    // of the author's keys; nil if there is none
}

// FileView is a file of a statement.
type FileView struct {
	Position       int
	Name           string // as its author said it; show with care
	Media          string
	Size           int64
	SHA256         envelope.Hash
	State          string // waiting | stored | failed | erasing | erased
	Reason         string
	Parcel         envelope.ID
	ParcelState    string
	Segments, Have int64 // of its parcel: how many there are, and how many have come to the addressee as far as we know
}

// ReceiptView is a receipt with its hash.
type ReceiptView struct {
	Receipt parcel.Receipt
	Hash    envelope.Hash
	Suspect *Suspicion // of the addressee's keys; nil if there is none
}

// maxList is the most statements in one answer.
const maxList = 500

// List gives statements, newest first, with texts and bodies but without receipts.
func (h *House) List(ctx context.Context, who actor.Actor, f exchange.Filter) ([]StatementView, error) {
	if err := who.May(actor.ReadStatements); err != nil {
		return nil, err
	}
	if f.Limit <= 0 || f.Limit > maxList {
		f.Limit = min(max(f.Limit, 50), maxList)
	}
	var views []StatementView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.Statements(ctx, f)
		if err != nil {
			return err
		}
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		views, err = h.shown(ctx, tx, rows, names)
		return err
	})
	if err != nil {
		return nil, err
	}
	return views, h.mark(ctx, views)
}

// Awaited lists what peers sent registered, this node has acknowledged, and has no key for, be it that none came in time; newest first.
func (h *House) Awaited(ctx context.Context, who actor.Actor, link *statement.LinkID) (views []StatementView, err error) {
	if err := who.May(actor.ReadStatements); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		rows, err := tx.HeldParcels(ctx, link, h.self, maxList)
		if err != nil {
			return err
		}
		names, err := aliases(ctx, tx)
		for _, p := range rows {
			views = append(views, awaited(p, names, h.now()))
		}
		return err
	})
	return views, err
}

func aliases(ctx context.Context, tx Tx) (map[statement.LinkID]string, error) {
	links, err := tx.Links(ctx)
	names := map[statement.LinkID]string{}
	for _, l := range links {
		names[l.ID] = l.Alias
	}
	return names, err
}

// shown are statements for people. What lies around them is read of all together, however many they are.
func (h *House) shown(ctx context.Context, tx Tx, rows []exchange.Statement, names map[statement.LinkID]string) ([]StatementView, error) {
	said := make([]statement.Commitment, len(rows))
	ids := make([]envelope.ID, len(rows))
	for i, row := range rows {
		said[i], ids[i] = row.Commitment, row.Parcel
	}
	files, err := tx.FilesOf(ctx, said)
	if err != nil {
		return nil, err
	}
	for _, of := range files {
		for _, f := range of {
			ids = append(ids, f.Parcel)
		}
	}
	parcels, err := tx.ParcelsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	bodies, err := tx.BodiesOf(ctx, said)
	if err != nil {
		return nil, err
	}
	views := make([]StatementView, len(rows))
	for i, row := range rows {
		v := &views[i]
		p, there := parcels[row.Parcel]
		if !there {
			return nil, fmt.Errorf("statement %s has no parcel", row.Commitment)
		}
		*v = StatementView{Statement: row, LinkAlias: names[row.Link], Ours: row.Author == h.self, Parcel: p}
		if v.Text, err = textIn(row); err != nil {
			return nil, err
		}
		v.Verdict = v.Parcel.Verdict
		if v.Registered, err = registeredOf(ctx, tx, v.Parcel, v.Ours, h.now()); err != nil {
			return nil, err
		}
		if v.Files, err = h.fileViews(ctx, tx, files[row.Commitment], parcels); err != nil {
			return nil, err
		}
		if b, kept := bodies[row.Commitment]; kept && row.Erased == 0 { // without one it was restored without its key
			if err := h.openBody(v, b); err != nil {
				return nil, err
			}
		}
	}
	return views, nil
}

// textIn is the text of a stored statement.
func textIn(s exchange.Statement) (*statement.Text, error) {
	text, err := statement.DecodeText(s.Text)
	if err != nil {
		return nil, fmt.Errorf("reading a stored text: %w", err)
	}
	return text, nil
}

// kindThere is the kind of a statement, "" while that is still on its way.
func kindThere(ctx context.Context, tx Tx, c statement.Commitment) (string, error) {
	s, err := tx.Statement(ctx, c)
	if notFound(err) {
		return "", nil
	}
	return s.Kind, err
}

func (h *House) view(ctx context.Context, tx Tx, row exchange.Statement, names map[statement.LinkID]string) (StatementView, error) {
	views, err := h.shown(ctx, tx, []exchange.Statement{row}, names)
	if err != nil {
		return StatementView{}, err
	}
	return views[0], nil
}

// fileViews are the files of a statement, without what its body says of them.
func (h *House) fileViews(ctx context.Context, tx Tx, files []exchange.File, parcels map[envelope.ID]exchange.Parcel) ([]FileView, error) {
	var views []FileView
	for _, f := range files {
		view := FileView{Position: f.Position, Size: f.Size, State: f.State, Reason: f.Reason, Parcel: f.Parcel}
		if p, there := parcels[f.Parcel]; there {
			var err error
			view.ParcelState, view.Segments = string(p.State), p.Segments
			if view.Have, err = h.come(ctx, tx, p); err != nil {
				return nil, err
			}
		}
		views = append(views, view)
	}
	return views, nil
}

// openBody opens what a statement says, and what it says of its files.
func (h *House) openBody(v *StatementView, b exchange.Body) error {
	content, _, err := h.unlock(b.Sealed, b.Key, b.Commitment)
	if err != nil {
		return err
	}
	v.Body = content.Body
	for i := range v.Files {
		if at := v.Files[i].Position; at < len(content.Files) {
			f := content.Files[at]
			v.Files[i].Name, v.Files[i].Media, v.Files[i].SHA256 = f.Name, f.Media, f.SHA256
		}
	}
	return nil
}

// come is how many segments of a parcel have come to its addressee, as far as this node knows.
func (h *House) come(ctx context.Context, tx Tx, p exchange.Parcel) (int64, error) {
	s := h.link(p.Link)
	switch p.State {
	case exchange.Reserved, exchange.Withheld, exchange.Lapsed, exchange.Sent, exchange.Gone:
		return 0, nil
	case exchange.Sending:
		s.mu.Lock()
		defer s.mu.Unlock()
		if o := s.outflows[p.ID]; o != nil {
			return p.Segments - min(o.lack, p.Segments), nil
		}
		return 0, nil
	case exchange.Arriving:
		if f := s.inflow(p.ID); f != nil {
			return f.come.Load(), nil
		}
		recorded, err := tx.SegmentHashes(ctx, p.ID)
		return int64(len(recorded)), err
	}
	return p.Segments, nil
}

var prefixForm = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

func (h *House) find(ctx context.Context, tx Tx, name string) (exchange.Statement, error) {
	missing := fault.New(fault.NotFound, "statement", "There is no such statement here; give at least 8 digits of its number, as \"entente inbox\" lists them.")
	if !prefixForm.MatchString(name) {
		return exchange.Statement{}, missing
	}
	rows, err := tx.StatementsByPrefix(ctx, name, 2)
	if err != nil {
		return exchange.Statement{}, err
	}
	switch len(rows) {
	case 0:
		return exchange.Statement{}, missing
	case 1:
		return rows[0], nil
	}
	return exchange.Statement{}, fault.New(fault.Conflict, "ambiguous", "More than one statement begins like this; give more digits.")
}

// Show finds a statement by commitment, or an unambiguous prefix of at least 8 digits, with its receipts.
func (h *House) Show(ctx context.Context, who actor.Actor, name string) (StatementView, error) {
	var v StatementView
	if err := who.May(actor.ReadStatements); err != nil {
		return v, err
	}
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		row, err := h.find(ctx, tx, name)
		if notFound(err) {
			p, missing := h.findAwaited(ctx, tx, name)
			if missing != nil {
				return err
			}
			v = awaited(p, names, h.now())
			v.Receipts, err = receiptsOf(ctx, tx, p.Header)
			return err
		}
		if err != nil {
			return err
		}
		if v, err = h.view(ctx, tx, row, names); err != nil {
			return err
		}
		headers := []envelope.Hash{v.Parcel.Header}
		if v.Registered != nil && v.Registered.Header != v.Parcel.Header {
			headers = append(headers, v.Registered.Header)
		}
		if v.Receipts, err = receiptsOf(ctx, tx, headers...); err != nil {
			return err
		}
		l, err := tx.Link(ctx, row.Link)
		if err != nil {
			return err
		}
		v.Erasures, err = h.erasures(ctx, tx, row, l.Peer)
		return err
	})
	if err != nil {
		return v, err
	}
	marked := []StatementView{v}
	err = h.mark(ctx, marked)
	return marked[0], err
}

func receiptsOf(ctx context.Context, tx Tx, headers ...envelope.Hash) ([]ReceiptView, error) {
	var rows []exchange.Receipt
	for _, header := range headers {
		found, err := tx.ReceiptsOf(ctx, header)
		if err != nil {
			return nil, err
		}
		rows = append(rows, found...)
	}
	var views []ReceiptView
	for _, row := range rows {
		doc, err := tx.Document(ctx, row.Hash)
		if err != nil {
			return nil, err
		}
		r, err := parcel.DecodeReceipt(doc.Payload)
		if err != nil {
			return nil, fmt.Errorf("reading a stored receipt: %w", err)
		}
		views = append(views, ReceiptView{Receipt: *r, Hash: row.Hash})
	}
	slices.SortFunc(views, func(a, b ReceiptView) int { return int(a.Receipt.At - b.Receipt.At) })
	return views, nil
}

// WriteFile streams a stored file's plaintext to w; nothing is written that was not authenticated.
func (h *House) WriteFile(ctx context.Context, who actor.Actor, c statement.Commitment, position int, w io.Writer) error {
	if err := who.May(actor.ReadFiles); err != nil {
		return err
	}
	var file exchange.File
	var l exchange.Link
	var wrapped []byte
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		files, err := tx.Files(ctx, c)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(files, func(f exchange.File) bool { return f.Position == position })
		if i < 0 {
			return fault.New(fault.NotFound, "file", "The statement has no such file.")
		}
		if file = files[i]; file.State != "stored" {
			return fault.New(fault.Conflict, "file_"+file.State, "The file is not here: it is "+file.State+".")
		}
		if l, err = tx.Link(ctx, file.Link); err != nil {
			return err
		}
		_, wrapped, err = tx.Body(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	key, err := h.cfg.Keys.Unwrap(wrapped, c[:])
	if err != nil {
		return fmt.Errorf("unwrapping a statement's key: %w", err)
	}
	return h.readRest(ctx, key, file, l.Peer, w)
}

// DeskView is a desk from both columns, with the data of its newest readable body.
type DeskView struct {
	Link               statement.LinkID
	LinkAlias          string
	Owner              party.ID
	Ours               bool
	ID                 statement.Commitment // its thread
	Latest             statement.Commitment // newest proposal
	Active             statement.Commitment // newest countersigned proposal; zero if none
	State              string               // see exchange.DeskStatus
	Role, Standing     string
	ValidFrom, ValidTo int64
	Body               *statement.DeskBody // nil when erased
}

// Desks lists the desks of one link, or of all.
func (h *House) Desks(ctx context.Context, who actor.Actor, link *statement.LinkID) ([]DeskView, error) {
	if err := who.May(actor.ReadLinks); err != nil {
		return nil, err
	}
	var views []DeskView
	err := h.cfg.Store.View(ctx, func(tx Tx) error {
		names, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		threads := map[columnKey][2]*exchange.DeskColumn{} // author zero: [owner's, other's]
		var order []columnKey
		owners := map[columnKey]party.ID{}
		err = tx.Columns(ctx, link, exchange.RoomDesk, func(c exchange.Column) error {
			var column exchange.DeskColumn
			if err := envelope.Unmarshal(c.Data, &column); err != nil {
				return fmt.Errorf("reading a desk's column: %w", err)
			}
			key := columnKey{link: c.Link, thread: c.Thread}
			both, ok := threads[key]
			if !ok {
				order = append(order, key)
			}
			if column.Owner {
				both[0], owners[key] = &column, c.Author
			} else {
				both[1] = &column
			}
			threads[key] = both
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range order {
			both := threads[key]
			if both[0] == nil {
				continue
			}
			v, err := h.desk(ctx, tx, key, *both[0], both[1])
			if err != nil {
				return err
			}
			v.LinkAlias, v.Owner, v.Ours = names[key.link], owners[key], owners[key] == h.self
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

func (h *House) desk(ctx context.Context, tx Tx, key columnKey, owner exchange.DeskColumn, other *exchange.DeskColumn) (DeskView, error) {
	v := DeskView{Link: key.link, ID: key.thread}
	if other == nil {
		other = &exchange.DeskColumn{}
	}
	state, active, latest := exchange.DeskStatus(owner, *other, h.now())
	v.State, v.Active, v.Latest = state, active.Statement, latest.Statement
	shown := latest
	if !active.Statement.IsZero() {
		shown = active
	}
	v.Role, v.Standing, v.ValidFrom, v.ValidTo = shown.Role, shown.Standing, shown.ValidFrom, shown.ValidTo
	row, err := tx.Statement(ctx, shown.Statement)
	if err != nil || row.Erased != 0 {
		return v, err
	}
	sealed, wrapped, err := tx.Body(ctx, shown.Statement)
	if notFound(err) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	content, _, err := h.unlock(sealed, wrapped, shown.Statement)
	if err != nil {
		return v, err
	}
	v.Body = new(statement.DeskBody)
	return v, envelope.Unmarshal(content.Body, v.Body)
}

// Evidence lists what was kept of lies, newest first.
func (h *House) Evidence(ctx context.Context, who actor.Actor, link *statement.LinkID, limit int) (list []exchange.Evidence, err error) {
	if err := who.May(actor.ReadEvidence); err != nil {
		return nil, err
	}
	err = h.cfg.Store.View(ctx, func(tx Tx) error {
		list, err = tx.Evidences(ctx, link, min(max(limit, 1), maxList))
		return err
	})
	return list, err
}
