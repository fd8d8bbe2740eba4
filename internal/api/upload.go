package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/statement"
)

// sendRoute sends any statement.
func sendRoute() operation {
	return draftRoute[None]("/statements", "send", "Send a statement, with its files", func(d *Door, who actor.Actor, r *http.Request, o outgoing) (Said, error) {
		return d.send(r.Context(), who, o)
	})
}

// draftRoute is a route with a multipart body: a JSON part named draft, then a part named file for each file, with its name, media
// type and, if they are known, Content-Length and Content-Digest (RFC 9530, section 2). Files are sealed as they come: none is ever whole in memory, or on the disk as it was.
// In describes the path.
func draftRoute[In, Out any](path, id, summary string, f func(*Door, actor.Actor, *http.Request, outgoing) (Out, error)) operation {
	o := described[In, Out](http.MethodPost, path, id, summary, http.StatusCreated)
	o.request = mediaForm
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		if len(r.URL.RawQuery) > 0 {
			return bind(w, r, &None{})
		}
		draft, err := receive(r)
		if err != nil {
			return err
		}
		out, err := f(d, who, r, draft)
		if err != nil {
			return err
		}
		writeJSON(w, o.status, mediaJSON, out)
		return nil
	}
	return o
}

// outgoing is a draft whose link is still a name, with the files that come after it.
type outgoing struct {
	Draft
	files iter.Seq2[flow.FileDraft, error]
}

func (d *Door) send(ctx context.Context, who actor.Actor, o outgoing) (Said, error) {
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
	c, err := d.house.Send(ctx, who, draft, nil)
	return Said{Statement: c}, err
}

// receive reads the draft; its files are read as they are asked for.
func receive(r *http.Request) (outgoing, error) {
	var out outgoing
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaForm || params["boundary"] == "" {
		return out, fault.New(fault.Invalid, "media_type", "Send the statement as "+mediaForm+": a part draft, then a part file for each file.")
	}
	parts := multipart.NewReader(bufio.NewReaderSize(r.Body, bufferFor(r.ContentLength)), params["boundary"])
	part, err := parts.NextRawPart()
	if errors.Is(err, io.EOF) {
		return out, fault.New(fault.Invalid, "parts", "The part draft is missing.")
	}
	if err != nil {
		return out, reading(err)
	}
	out.files = files(parts)
	return out, readDraft(part, &out.Draft)
}

// partBuffer is the most of a body that is read at once.
const partBuffer = 256 << 10

// bufferFor is how much is read at once of a body of a length, which is negative if it is not known: a small statement must not
// cost the memory that a large file needs.
func bufferFor(length int64) int {
	if length < 0 {
		return partBuffer
	}
	return int(min(length, partBuffer))
}

// files are the parts after the draft, each to be read before the next is asked for.
func files(parts *multipart.Reader) iter.Seq2[flow.FileDraft, error] {
	return func(yield func(flow.FileDraft, error) bool) {
		for n := 0; ; n++ {
			part, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return
			}
			var file flow.FileDraft
			switch {
			case err != nil:
				err = reading(err)
			case n == statement.MaxFiles:
				err = fault.New(fault.TooLarge, "parts", "There are more files than a statement may have.")
			default:
				file, err = fileOf(part)
			}
			if !yield(file, err) || err != nil {
				return
			}
		}
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

func fileOf(part *multipart.Part) (flow.FileDraft, error) {
	name := part.FileName()
	if part.FormName() != "file" || name == "" {
		return flow.FileDraft{}, fault.New(fault.Invalid, "parts", "Every part after the draft must be named file and have a file name.")
	}
	media, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil {
		media = mediaBytes
	}
	if err := flow.CheckFile(name, media); err != nil {
		return flow.FileDraft{}, err
	}
	size, err := strconv.ParseInt(cmp.Or(part.Header.Get("Content-Length"), "-1"), 10, 64)
	if err != nil || size < -1 {
		return flow.FileDraft{}, fault.New(fault.Invalid, "parts", "The Content-Length of a file is its number of bytes.")
	}
	declared, err := digestOf(part.Header.Values("Content-Digest"))
	if err != nil {
		return flow.FileDraft{}, err
	}
	return flow.FileDraft{Name: name, Media: media, Size: size, SHA256: declared, Content: incoming{part}}, nil
}

// ContentDigest declares in a header field of this name what a file hashes to by SHA-256.
func ContentDigest(h envelope.Hash) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(h[:]) + ":"
}

// digestOf is the SHA-256 that a Content-Digest declares, nil if there is no such field. Digests by other algorithms may stand beside it;
// a field without this one is refused, since nothing would be checked.
func digestOf(fields []string) (*envelope.Hash, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	for member := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		value, ok := strings.CutPrefix(strings.Trim(member, " \t"), "sha-256=:")
		if !ok {
			continue
		}
		value, ok = strings.CutSuffix(value, ":")
		data, err := base64.StdEncoding.Strict().DecodeString(value)
		if !ok || err != nil || len(data) != len(envelope.Hash{}) {
			break
		}
		h := envelope.Hash(data)
		return &h, nil
	}
	return nil, fault.New(fault.Invalid, "parts", "The Content-Digest of a file is its SHA-256, such as sha-256=:…:, in base64 between colons.")
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
			"file":  {Type: "array", Items: &Schema{Type: "string", ContentMediaType: mediaBytes}, MaxItems: statement.MaxFiles},
		},
	}
}

// draftType is what the first part holds.
func draftType() reflect.Type { return reflect.TypeFor[Draft]() }
