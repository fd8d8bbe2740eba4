package parcel_test

import (
	"bytes"
	"embed"
	"errors"
	"testing"

	"entente/envelope"
	"entente/parcel"
	"entente/statement"
)

// The vectors are for other implementations too. Data is the exact bytes (of frames and courier files Bytes, in base64); where
// Accepted is false, Where is the JSON pointer at which this one refuses it ("" is the whole). A sealed vector has the header's
// payload as Data and the sealed bytes as Bytes; the addressee's keys are those of envelopetest.NewParty("Kestria", INT-1).
//
//go:embed testdata/vectors
var vectorFiles embed.FS

type vector struct {
	Name       string                `json:"name"`
	Data       string                `json:"data,omitempty"`
	Bytes      []byte                `json:"bytes,omitempty"`
	Accepted   bool                  `json:"accepted"`
	Where      string                `json:"where,omitempty"`
	Commitment *statement.Commitment `json:"commitment,omitzero"` // sealed: the statement's name
	Frames     int                   `json:"frames,omitzero"`     // frames and courier files: how many
}

func (v vector) run(t *testing.T, file string) error {
	t.Helper()
	switch file {
	case "headers.json":
		_, err := parcel.DecodeHeader([]byte(v.Data))
		return err
	case "receipts.json":
		_, err := parcel.DecodeReceipt([]byte(v.Data))
		return err
	case "grants.json":
		_, err := parcel.DecodeGrant([]byte(v.Data))
		return err
	case "frames.json":
		list, err := readAll(v.Bytes)
		if err == nil && len(list) != v.Frames {
			t.Errorf("%d frames, want %d", len(list), v.Frames)
		}
		return err
	case "bundles.json":
		_, list, err := collect(v.Bytes)
		if err == nil && len(list) != v.Frames {
			t.Errorf("%d frames, want %d", len(list), v.Frames)
		}
		return err
	}
	h, err := parcel.DecodeHeader([]byte(v.Data))
	if err != nil {
		return err
	}
	w := newWorld(envelope.INT1())
	content, _, err := parcel.OpenContent(w.registry, bytes.NewReader(v.Bytes), h, w.kestria)
	if err == nil && content.Commitment() != *v.Commitment {
		t.Errorf("the statement is named %v, want %v", content.Commitment(), v.Commitment)
	}
	return err
}

func TestVectors(t *testing.T) {
	for _, file := range []string{"headers.json", "receipts.json", "grants.json", "frames.json", "bundles.json", "sealed.json"} {
		data, err := vectorFiles.ReadFile("testdata/vectors/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []vector
		if err := envelope.Unmarshal(data, &vectors); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kinds := map[bool]int{}
		for _, v := range vectors {
			kinds[v.Accepted]++
			t.Run(file+"/"+v.Name, func(t *testing.T) {
				err := v.run(t, file)
				if v.Accepted {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				var e *envelope.FormatError
				if errors.Is(err, envelope.ErrSealed) && v.Where == "" {
					return // what does not authenticate has no place
				}
				if !errors.As(err, &e) || e.Where != v.Where {
					t.Errorf("got %v, want a refusal at %q", err, v.Where)
				}
			})
		}
		if kinds[true] == 0 || kinds[false] == 0 {
			t.Errorf("%s has %d good and %d bad vectors", file, kinds[true], kinds[false])
		}
	}
}
