package statement_test

import (
	"embed"
	"errors"
	"testing"

	"entente/envelope"
	"entente/statement"
)

// The vectors are for other implementations too. Data is the exact bytes; where Accepted is false, Where is the JSON pointer at
// which this one refuses it ("" is the whole).
//
//go:embed testdata/vectors
var vectorFiles embed.FS

type vector struct {
	Name       string          `json:"name"`
	Data       string          `json:"data"`
	Accepted   bool            `json:"accepted"`
	Where      string          `json:"where,omitempty"`
	Salt       *statement.Salt `json:"salt,omitzero"`       // texts: the text's
	Commitment *envelope.Hash  `json:"commitment,omitzero"` // texts and contents: the statement's name
	Hash       *envelope.Hash  `json:"hash,omitzero"`       // agreements: what both sign
}

func TestVectors(t *testing.T) {
	for file, run := range map[string]func(*testing.T, vector) error{
		"texts.json": func(t *testing.T, v vector) error {
			if _, err := statement.DecodeText([]byte(v.Data)); err != nil {
				return err
			}
			if got := statement.Commit(statement.TextLabel(), *v.Salt, []byte(v.Data)); got != *v.Commitment {
				t.Errorf("the commitment is %v, want %v", got, v.Commitment)
			}
			return nil
		},
		"contents.json": func(t *testing.T, v vector) error {
			_, _, name, err := statement.DecodeContent([]byte(v.Data))
			if err == nil && name != *v.Commitment {
				t.Errorf("the statement is named %v, want %v", name, v.Commitment)
			}
			return err
		},
		"agreements.json": func(t *testing.T, v vector) error {
			a, err := statement.DecodeAgreement([]byte(v.Data))
			if err == nil && a.Hash() != *v.Hash {
				t.Errorf("the hash is %v, want %v", a.Hash(), v.Hash)
			}
			return err
		},
		"faces.json": func(_ *testing.T, v vector) error { return statement.CheckFace([]byte(v.Data)) },
		"names.json": func(_ *testing.T, v vector) error { return statement.CheckFileName(v.Data) },
	} {
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
				err := run(t, v)
				if v.Accepted {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				var e *envelope.FormatError
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
