package api

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"entente/internal/actor"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

type statementsIn struct {
	Box    string                `query:"box" doc:"in for what peers said, out for what we said, awaited for what peers sent registered and whose key has not come; the first two without it."`
	Link   string                `query:"link" doc:"Only those of one link."`
	Kind   string                `query:"kind" doc:"Only those of one kind."`
	Thread *statement.Commitment `query:"thread" doc:"Only those of one thread."`
	After  string                `query:"after" doc:"Only those that follow: the cursor of the page before."`
	Limit  int                   `query:"limit" doc:"At most so many; 50 without it, 500 at most."`
}

// limitOf is the number of items of a page.
func limitOf(asked int) (int, error) {
	switch {
	case asked < 0 || asked > maxList:
		return 0, fault.New(fault.Invalid, "limit", "Ask for 1 to "+strconv.Itoa(maxList)+" items at once.")
	case asked == 0:
		return listUsual, nil
	}
	return asked, nil
}

func (d *Door) statements(ctx context.Context, who actor.Actor, in statementsIn) (List[Statement], error) {
	limit, err := limitOf(in.Limit)
	if err != nil {
		return List[Statement]{}, err
	}
	f := exchange.Filter{Kind: in.Kind, Thread: in.Thread, Limit: limit}
	self := d.house.Self().ID
	switch in.Box {
	case "":
	case "in":
		f.NotAuthor = &self
	case "out":
		f.Author = &self
	case "awaited":
	default:
		return List[Statement]{}, fault.New(fault.Invalid, "box", "The box is in, out, awaited, or not named at all.")
	}
	if f.Link, err = d.linkID(ctx, who, in.Link); err != nil {
		return List[Statement]{}, err
	}
	if in.Box == "awaited" {
		return d.awaited(ctx, who, f.Link, limit)
	}
	if in.After != "" {
		at, id, err := statementCursor(in.After)
		if err != nil {
			return List[Statement]{}, err
		}
		f.After = &exchange.Cursor{Authored: at, Commitment: id}
	}
	views, err := d.house.List(ctx, who, f)
	if err != nil {
		return List[Statement]{}, err
	}
	out := List[Statement]{Items: []Statement{}}
	for _, v := range views {
		out.Items = append(out.Items, statementOf(v))
	}
	if len(views) == limit {
		out.Next = cursorAt(views[limit-1].Authored, views[limit-1].Commitment[:])
	}
	return out, nil
}

// awaited lists what waits for its key; there is one page of it.
func (d *Door) awaited(ctx context.Context, who actor.Actor, link *statement.LinkID, limit int) (List[Statement], error) {
	views, err := d.house.Awaited(ctx, who, link)
	if err != nil {
		return List[Statement]{}, err
	}
	out := List[Statement]{Items: []Statement{}}
	for _, v := range views[:min(len(views), limit)] {
		out.Items = append(out.Items, statementOf(v))
	}
	return out, nil
}

type statementIn struct {
	Statement string `path:"statement" doc:"Its commitment, or a prefix of at least 8 digits."`
}

func (d *Door) statement(ctx context.Context, who actor.Actor, in statementIn) (Statement, error) {
	v, err := d.house.Show(ctx, who, in.Statement)
	if err != nil {
		return Statement{}, err
	}
	return statementOf(v), nil
}

type eraseIn struct {
	Statement string     `path:"statement" doc:"Its commitment, or a prefix of at least 8 digits."`
	Body      EraseOrder `body:"json"`
}

func (d *Door) erase(ctx context.Context, who actor.Actor, in eraseIn) (Erased, error) {
	e, err := d.house.Erase(ctx, who, in.Statement, flow.EraseOrder{Reason: in.Body.Reason, Tell: in.Body.Tell})
	if err != nil {
		return Erased{}, err
	}
	return Erased{Statement: e.Statement, At: instant(e.At), Notice: e.Notice}, nil
}

func (d *Door) receipts(ctx context.Context, who actor.Actor, in statementIn) (List[Receipt], error) {
	v, err := d.house.Show(ctx, who, in.Statement)
	if err != nil {
		return List[Receipt]{}, err
	}
	out := List[Receipt]{Items: []Receipt{}}
	for _, r := range v.Receipts {
		out.Items = append(out.Items, Receipt{Hash: r.Hash, Receipt: r.Receipt, Suspect: suspicionOf(r.Suspect)})
	}
	return out, nil
}

type fileIn struct {
	Statement string `path:"statement" doc:"Its commitment, or a prefix of at least 8 digits."`
	Position  int    `path:"position" doc:"Counted from 0."`
}

func (d *Door) file(ctx context.Context, who actor.Actor, in fileIn, w http.ResponseWriter) error {
	v, err := d.house.Show(ctx, who, in.Statement)
	if err != nil {
		return err
	}
	for _, f := range v.Files {
		if f.Position != in.Position {
			continue
		}
		if f.State != "stored" {
			return fault.New(fault.Conflict, "file_state", "The file is not here: its state is "+f.State+".")
		}
		w.Header().Set("Content-Length", strconv.FormatInt(f.Size, 10))
		attach(w, f.Name)
		return d.house.WriteFile(ctx, who, v.Commitment, in.Position, w)
	}
	return fault.New(fault.NotFound, "file", "The statement has no file at this position.")
}

// attach makes an answer a file to save and never a page to show, whatever its author called it.
func attach(w http.ResponseWriter, name string) {
	h := w.Header()
	h.Set("Content-Type", mediaBytes)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
}

type proofIn struct {
	Statement string `path:"statement" doc:"Its commitment, or a prefix of at least 8 digits."`
	Body      bool   `query:"body" doc:"Whether the proof shows the body."`
}

func (d *Door) proof(ctx context.Context, who actor.Actor, in proofIn, w http.ResponseWriter) error {
	v, err := d.house.Show(ctx, who, in.Statement)
	if err != nil {
		return err
	}
	data, err := d.house.Proof(ctx, who, v.Commitment.String(), in.Body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	attach(w, v.Commitment.String()[:16]+".proof")
	_, err = w.Write(data)
	return err
}

func statementOf(v flow.StatementView) Statement {
	out := Statement{
		Commitment: v.Commitment, Link: v.Statement.Link, LinkAlias: v.LinkAlias, Author: v.Statement.Author, Ours: v.Ours,
		Lane: v.Statement.Lane, Epoch: v.Statement.Epoch, Seq: v.Statement.Seq, Thread: v.Thread, Kind: v.Kind,
		Authored: instant(v.Authored), Body: jsontext.Value(v.Body), Erased: maybe(v.Erased),
		State: string(v.Parcel.State), Unanswered: v.Parcel.State.Unanswered(), Reason: v.Parcel.Reason, Received: maybe(v.Parcel.Received), Expires: maybe(v.Parcel.Expires),
		Verdict: v.Verdict, Suspect: suspicionOf(v.Suspect),
	}
	if t := v.Text; t != nil {
		out.Refs, out.Zone, out.Urgency, out.Marking, out.Face = t.Refs, t.Zone, t.Urgency, t.Marking, t.Face
		if t.ReplyBy != nil {
			out.ReplyBy = maybe(*t.ReplyBy)
		}
	}
	if r := v.Registered; r != nil {
		out.Registered = &Registered{Parcel: r.Parcel, Acknowledged: maybe(r.Acknowledged), Key: r.Key}
	}
	for _, e := range v.Erasures {
		out.Erasures = append(out.Erasures, Erasure{Ours: e.Ours, At: instant(e.At), Reason: e.Reason, Notice: e.Notice})
	}
	for _, f := range v.Files {
		out.Files = append(out.Files, File{
			Position: f.Position, Name: f.Name, Media: f.Media, Size: f.Size, SHA256: f.SHA256, State: f.State, Reason: f.Reason,
			Parcel: f.Parcel, Progress: f.ParcelState, Segments: f.Segments, Have: f.Have,
		})
	}
	return out
}
