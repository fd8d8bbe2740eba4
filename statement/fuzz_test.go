package statement_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"entente/envelope"
	"entente/statement"
)

func FuzzDecodeText(f *testing.F) {
	text := aText()
	f.Add(encode(f, &text))
	thread, reply := statement.Commit(statement.TextLabel(), salt("t"), nil), int64(authored+1)
	text.Thread, text.Refs, text.ReplyBy, text.Face = &thread, []statement.Commitment{thread}, &reply, []byte(`{"a":["b"],"c":-1,"d":true}`)
	f.Add(encode(f, &text))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := statement.DecodeText(data)
		if err != nil {
			return
		}
		again := encode(t, got)
		back, err := statement.DecodeText(again)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v\n%s", err, again)
		}
		if third := encode(t, back); !bytes.Equal(again, third) {
			t.Fatalf("the encoding is not stable:\n%s\n%s", again, third)
		}
		back.Face, got.Face = nil, nil // raw bytes, which may differ in white space
		if diff := cmp.Diff(got, back); diff != "" {
			t.Fatalf("the text changed on the way (-first +second):\n%s", diff)
		}
	})
}

func FuzzDecodeContent(f *testing.F) {
	f.Add(encode(f, compose(f, aText(), aBody())))
	f.Add(encode(f, compose(f, aText(), aBody(), aFile("a.txt"), aFile("b.txt"))))
	signed := compose(f, aText(), aBody())
	signed.Signatures = []envelope.Signature{{KeyID: "00", Sig: []byte{1}}}
	f.Add(encode(f, signed))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, text, name, err := statement.DecodeContent(data)
		if err != nil {
			return
		}
		_ = statement.Check(statement.KindsEdition, text, got.Body) // must not panic
		back, _, again, err := statement.DecodeContent(encode(t, got))
		if err != nil || again != name {
			t.Fatalf("what was encoded is refused, or named %v after %v: %v", again, name, err)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Fatalf("the content changed on the way (-first +second):\n%s", diff)
		}
	})
}

func FuzzCheckBody(f *testing.F) {
	kinds, _ := statement.Kinds(statement.KindsEdition)
	f.Add(marshal(f, aBody()))
	f.Add(marshal(f, deskBody(nothing)))
	f.Add(marshal(f, deskFace(nothing)))
	f.Add(marshal(f, confirmBody(f, nothing)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range kinds {
			if k.CheckBody(data) == nil {
				var v any
				if err := envelope.Unmarshal(data, &v); err != nil {
					t.Fatalf("%s takes a body that is not JSON: %v", k.Name, err)
				}
			}
			if k.CheckFace(data) == nil && statement.CheckFace(data) != nil && !bytes.Contains(data, []byte("-0")) {
				t.Fatalf("%s takes a face with free text: %s", k.Name, data)
			}
		}
	})
}

func FuzzDecodeAgreement(f *testing.F) {
	f.Add(encode(f, statement.DefaultAgreement()))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := statement.DecodeAgreement(data)
		if err != nil {
			return
		}
		if again := encode(t, a); !bytes.Equal(again, data) {
			t.Fatalf("an agreement has two encodings:\n%s\n%s", data, again)
		}
	})
}

func FuzzCheckFileName(f *testing.F) {
	for _, name := range []string{"a.txt", `..\evil`, "CON", "a\x00b", "exe.\u202efdp", "证据.zip"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if statement.CheckFileName(name) != nil {
			return
		}
		for _, r := range name {
			if r < 0x20 || r == '/' || r == '\\' || r == ':' || r == 0x202E || r == 0xFFFD && !bytes.Contains([]byte(name), []byte("\uFFFD")) {
				t.Fatalf("the name %q was taken", name)
			}
		}
	})
}
