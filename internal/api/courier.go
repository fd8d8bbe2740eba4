package api

import (
	"io"
	"mime"
	"net/http"

	"entente/internal/actor"
	"entente/internal/fault"
)

type packIn struct {
	Link  string `path:"link" doc:"Alias, id, or a prefix of the id."`
	Again bool   `query:"again" doc:"Of a one-way link: all that ever left by it, because a file got lost."`
}

// packRoute answers with a courier file, as it is made.
func packRoute() operation {
	o := described[packIn, None](http.MethodPost, "/links/{link}/courier", "packCourier", "Pack what is due for a link into a courier file", http.StatusOK)
	o.out, o.media = nil, mediaCarry
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		var in packIn
		if err := bind(w, r, &in); err != nil {
			return err
		}
		link, err := d.house.LinkID(r.Context(), who, in.Link)
		if err != nil {
			return err
		}
		return d.house.Pack(r.Context(), who, link, in.Again, carrying{w})
	}
	return o
}

// unpackRoute takes a courier file and answers with the one that goes back. The whole file is spooled first, so that the answer
// need not wait for the request, nor the request for the answer.
func unpackRoute() operation {
	o := described[None, None](http.MethodPost, "/courier", "unpackCourier", "Take a courier file, and answer with another", http.StatusOK)
	o.request, o.out, o.media = mediaCarry, nil, mediaCarry
	o.serve = func(d *Door, w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		if len(r.URL.RawQuery) > 0 {
			return bind(w, r, &None{})
		}
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != mediaCarry {
			return fault.New(fault.Invalid, "media_type", "Send the courier file as "+mediaCarry+".")
		}
		s, err := d.op.Spool(incoming{r.Body})
		if s != nil {
			defer s.Remove()
		}
		if err != nil {
			return err
		}
		file, err := s.Open()
		if err != nil {
			return err
		}
		defer file.Close()
		return d.house.Unpack(r.Context(), who, file, func() (io.Writer, error) { return carrying{w}, nil })
	}
	return o
}

// carrying writes a courier file as the answer. Its header goes out with the first byte: until then a call can be refused.
type carrying struct{ w http.ResponseWriter }

func (c carrying) Write(p []byte) (int, error) {
	c.w.Header().Set("Content-Type", mediaCarry)
	return c.w.Write(p)
}
