package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"entente/envelope"
	"entente/internal/fault"
	"entente/parcel"
)

// maxListed bounds the parcels that are listed of one courier file; the rest is counted.
const maxListed = 10_000

// listed is what a courier file shows without a key, as --json shows it. Nothing of it is verified: the node does that.
type listed struct {
	File    string         `json:"file"`
	Link    string         `json:"link"`
	From    string         `json:"from"`
	To      string         `json:"to"`
	Whole   bool           `json:"whole"`
	Bytes   int64          `json:"bytes"`
	Frames  map[string]int `json:"frames"`
	Parcels []listedParcel `json:"parcels"`
	More    int            `json:"more,omitzero"` // parcels beyond those listed
}

// listedParcel is one parcel's header, as far as it is open.
type listedParcel struct {
	ID         envelope.ID `json:"parcel"`
	Lane       string      `json:"lane"`
	Seq        uint64      `json:"seq,omitzero"`
	File       *int        `json:"position,omitzero"` // of a file, counted from 0
	Registered bool        `json:"registered,omitzero"`
	Bytes      int64       `json:"sealed_bytes"`
	Segments   int64       `json:"segments"`
	Here       int64       `json:"here"` // segments in this file
	Created    string      `json:"created"`
	Expires    string      `json:"expires"`
}

func (a *app) listCourierCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list FILE",
		Short: "Say what is in a courier file, without a key or a node",
		Long: `Say what is in a courier file: which link it is of, between which parties, and the headers of its parcels. What they say is sealed,
names of files included. Nothing is verified here: the addressee's node does that when it takes the file. The exit status is 1
if the file is cut or damaged.`,
		Example: "  entente courier list to-kestria.parcel",
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return reading(args[0], err)
			}
			defer f.Close()
			l, err := listCourier(f)
			if err != nil {
				return fault.Wrap(fault.Invalid, "courier_file", line(args[0])+" is not a courier file, or was damaged at its beginning.", err)
			}
			l.File = args[0]
			if err := a.print(l, func(w io.Writer) { l.show(w) }); err != nil {
				return err
			}
			if !l.Whole {
				return errNotHeld
			}
			return nil
		}),
	}
}

// listCourier reads a courier file to its end, one frame in memory at a time. An error means that it is none.
func listCourier(r io.Reader) (*listed, error) {
	count := &countedReader{r: r}
	b, frames, err := parcel.ReadBundle(bufio.NewReaderSize(count, 1<<20))
	if err != nil {
		return nil, err
	}
	l := &listed{Link: b.Link.String(), From: b.From.String(), To: b.To.String(), Whole: true, Frames: map[string]int{}, Parcels: []listedParcel{}}
	at := map[envelope.ID]int{}
	for f, err := range frames {
		if err != nil {
			l.Whole = false
			break
		}
		l.Frames[frameName(f.Kind)]++
		switch f.Kind {
		case parcel.FrameParcel:
			l.parcel(f, at)
		case parcel.FrameSegment:
			if s, err := parcel.DecodeSegmentFrame(f); err == nil {
				if i, ok := at[s.Parcel]; ok {
					l.Parcels[i].Here++
				}
			}
		}
	}
	l.Bytes = count.n
	return l, nil
}

// parcel lists the header of a parcel; one that cannot be read is counted among the frames alone.
func (l *listed) parcel(f parcel.Frame, at map[envelope.ID]int) {
	p, err := parcel.DecodeParcelFrame(f)
	if err != nil {
		return
	}
	env, err := envelope.DecodeEnvelope(p.Header)
	if err != nil {
		return
	}
	hd, err := parcel.DecodeHeader(env.Payload)
	if err != nil {
		return
	}
	if _, again := at[hd.ID]; again {
		return
	}
	if len(l.Parcels) == maxListed {
		l.More++
		return
	}
	row := listedParcel{ID: hd.ID, Lane: string(hd.Lane), Seq: hd.Seq, Registered: hd.Registered, Bytes: hd.Length, Segments: hd.Segments,
		Created: micros(hd.Created), Expires: micros(hd.Expires)}
	if len(p.Content) > 0 {
		row.Here = hd.Segments
	}
	if hd.File != nil {
		row.File = &hd.File.Position
	}
	at[hd.ID] = len(l.Parcels)
	l.Parcels = append(l.Parcels, row)
}

func (l *listed) show(w io.Writer) {
	pair(w, "Link", l.Link)
	pair(w, "From", l.From)
	pair(w, "To", l.To)
	pair(w, "Bytes", size(l.Bytes))
	for _, name := range sortedKeys(l.Frames) {
		pair(w, name, fmt.Sprint(l.Frames[name]))
	}
	if len(l.Parcels) > 0 {
		fmt.Fprintln(w)
		t := newTable("PARCEL", "LANE", "PLACE", "SEALED", "HERE", "CREATED", "EXPIRES")
		for _, p := range l.Parcels {
			t.row(p.ID.String(), line(p.Lane), p.place(), size(p.Bytes), fmt.Sprintf("%d of %d", p.Here, p.Segments), p.Created, p.Expires)
		}
		t.write(w)
	}
	if l.More > 0 {
		fmt.Fprintf(w, "and %d more\n", l.More)
	}
	if !l.Whole {
		fmt.Fprintln(w, "\nIT IS CUT OR DAMAGED. What is listed was whole, and can be unpacked; ask the other party to pack another.")
	}
}

// place says where a parcel stands: its number in the lane, or that it is a file.
func (p listedParcel) place() string {
	switch {
	case p.File != nil:
		return fmt.Sprintf("file %d", *p.File)
	case p.Registered:
		return fmt.Sprintf("%d, registered", p.Seq)
	}
	return fmt.Sprint(p.Seq)
}

// frameName is how a kind of frame is listed.
func frameName(k parcel.FrameKind) string {
	switch k {
	case parcel.FrameParcel:
		return "parcels"
	case parcel.FrameSegment:
		return "segments"
	case parcel.FrameReceipt:
		return "receipts"
	case parcel.FrameLeaves:
		return "leaves"
	case parcel.FrameCheckpoint:
		return "checkpoints"
	case parcel.FrameCosignature:
		return "cosignatures"
	case parcel.FrameWant:
		return "wishes"
	case parcel.FrameRefusal:
		return "refusals"
	case parcel.FrameGrant:
		return "grants"
	case parcel.FrameSegmentHashes:
		return "hashes"
	}
	return fmt.Sprintf("kind %d", k)
}

// countedReader counts what is read.
type countedReader struct {
	r io.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
