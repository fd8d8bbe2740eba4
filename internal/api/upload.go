package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
)

// sendRoute sends any statement.
func sendRoute() operation {
	return draftRoute[None]("/statements", "send", "Send a statement, with its files", func(d *Door, ctx context.Context, who actor.Actor, _ *http.Request, o outgoing, p flow.Progress) (Said, error) {
		return d.send(ctx, who, o, p)
	})
}

// draftRoute is a route with a multipart body: a JSON part named draft, then a part named file for each file, with its
// name and media type. Files are spooled as they come, so none is ever whole in memory. In describes the path.
func draftRoute[In, Out any](path, id, summary string, f func(*Door, context.Context, actor.Actor, *http.Request, outgoing, flow.Progress) (Out, error)) operation {
	o := described[In, Out](http.MethodPost, path, id, summary, http.StatusCreated)
	o.request, o.long = mediaForm, true
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		if len(r.URL.RawQuery) > 0 {
			return bind(w, r, &None{})
		}
		draft, spooled, err := d.receive(r)
		defer func() {
			for _, s := range spooled {
				s.Remove()
			}
		}()
		if err != nil {
			return err
		}
		return answerLong(d, w, r, o.status, func(p flow.Progress) (Out, error) {
			return f(d, r.Context(), who, r, draft, p)
		})
	}
	return o
}

// outgoing is a draft whose link is still a name, with the files that came after it.
type outgoing struct {
	Draft
	files []flow.FileDraft
}

func (d *Door) send(ctx context.Context, who actor.Actor, o outgoing, p flow.Progress) (Said, error) {
	link, err := d.house.LinkID(ctx, who, o.Link)
	if err != nil {
		return Said{}, err
	}
	draft := flow.Draft{
		Link: link, Lane: o.Lane, Kind: o.Kind, Thread: o.Thread, Refs: o.Refs, Zone: o.Zone, Urgency: o.Urgency,
		Marking: o.Marking, Face: o.Face, Body: o.Body, Files: o.files, Registered: o.Registered,
		Originator: o.Originator, Consent: o.Consent,
	}
	if draft.Zone == "" {
		draft.Zone = zoneOf
	}
	if o.ReplyBy != nil {
		at := o.ReplyBy.UnixMicro()
		draft.ReplyBy = &at
	}
	c, err := d.house.Send(ctx, who, draft, p)
	return Said{Statement: c}, err
}

// receive reads the parts. What was spooled is returned with an error too, for the caller to remove.
func (d *Door) receive(r *http.Request) (outgoing, []Spooled, error) {
	var out outgoing
	var spooled []Spooled
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaForm || params["boundary"] == "" {
		return out, nil, fault.New(fault.Invalid, "media_type", "Send the statement as "+mediaForm+": a part draft, then a part file for each file.")
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return out, spooled, fault.New(fault.Invalid, "parts", "The part draft is missing.")
			}
			return out, spooled, nil
		}
		if err != nil {
			return out, spooled, reading(err)
		}
		if n == maxParts {
			return out, spooled, fault.New(fault.TooLarge, "parts", "There are more files than a statement may have.")
		}
		if n == 0 {
			if err := readDraft(part, &out.Draft); err != nil {
				return out, spooled, err
			}
			continue
		}
		file, s, err := d.readFile(part)
		if s != nil {
			spooled = append(spooled, s)
		}
		if err != nil {
			return out, spooled, err
		}
		out.files = append(out.files, file)
	}
}

func readDraft(part *multipart.Part, draft *Draft) error {
	media, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if part.FormName() != "draft" || err != nil || media != mediaJSON {
		return fault.New(fault.Invalid, "parts", "The first part must be named draft and be "+mediaJSON+".")
	}
	data, err := io.ReadAll(io.LimitReader(part, MaxDraft+1))
	if err != nil {
		return reading(err)
	}
	if len(data) > MaxDraft {
		return fault.New(fault.TooLarge, "draft", "The part draft is over its limit; long texts belong into a file.")
	}
	return envelope.Unmarshal(data, draft)
}

func (d *Door) readFile(part *multipart.Part) (flow.FileDraft, Spooled, error) {
	name := part.FileName()
	if part.FormName() != "file" || name == "" {
		return flow.FileDraft{}, nil, fault.New(fault.Invalid, "parts", "Every part after the draft must be named file and have a file name.")
	}
	media, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil {
		media = mediaBytes
	}
	if err := flow.CheckFile(name, media); err != nil {
		return flow.FileDraft{}, nil, err
	}
	s, err := d.op.Spool(incoming{part})
	if err != nil {
		return flow.FileDraft{}, s, err
	}
	return flow.FileDraft{Name: name, Media: media, Size: s.Size(), Open: s.Open}, s, nil
}

// incoming is a part whose failures to be read are told apart from those to be written.
type incoming struct{ part io.Reader }

func (i incoming) Read(p []byte) (int, error) {
	n, err := i.part.Read(p)
	if err != nil && err != io.EOF {
		err = reading(err)
	}
	return n, err
}

// formSchema describes the multipart body.
func formSchema(draft *Schema) *Schema {
	return &Schema{
		Type: "object", Required: []string{"draft"},
		Properties: map[string]*Schema{
			"draft": draft,
			"file":  {Type: "array", Items: &Schema{Type: "string", ContentMediaType: mediaBytes}, MaxItems: maxParts - 1},
		},
	}
}

// draftType is what the first part holds.
func draftType() reflect.Type { return reflect.TypeFor[Draft]() }
