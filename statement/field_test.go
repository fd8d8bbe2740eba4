package statement_test

import (
	"path/filepath"
	"strings"
	"testing"

	"entente/statement"
)

// On the system where this was written, filepath.IsLocal accepts all of the first group.
func TestPathNames(t *testing.T) {
	for _, bad := range []string{
		`..\evil`, `C:\evil`, `C:evil`, "CON", "con", "nul", "NUL.txt", "Aux.", "com1", "COM¹", "LPT9.log", "conin$", "PRN .txt", "a\x00b", "evil\x00.txt",
		"a:b", "a*", "what?", `"a"`, "a<b", "a|b", "a.", " a", "a ", "a\n", "a\tb", "\x7f", "a\u0085b",
	} {
		if !filepath.IsLocal(bad) {
			t.Logf("filepath.IsLocal refuses %q too", bad)
		}
		if statement.CheckFileName(bad) == nil {
			t.Errorf("the name %q was taken", bad)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "../evil", "/etc/passwd", "a/b", "a/", `a\`, "...", "a\xffb", strings.Repeat("a", 256), strings.Repeat("语", 86),
	} {
		if statement.CheckFileName(bad) == nil {
			t.Errorf("the name %q was taken", bad)
		}
	}
	for _, good := range []string{
		"a", ".profile", "..a", "a..b", "CONTRACT.pdf", "console.log", "com10.txt", "证据 (1).zip", "تقرير.pdf", "נספח.pdf", "क्ष.txt",
		"می\u200cخواهم.txt", "emoji 👩\u200d👩\u200d👧.png", strings.Repeat("a", 255), strings.Repeat("语", 85), "100%.csv", "a'b.txt", "~a", "-rf",
	} {
		if err := statement.CheckFileName(good); err != nil {
			t.Errorf("the name %q was refused: %v", good, err)
		}
	}
}

// A direction control makes a line read otherwise than it is written: "exe.‮fdp" shows as a PDF.
func TestBidiNames(t *testing.T) {
	controls := []rune{0x061C, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069}
	for _, r := range controls {
		spoilt := "report" + string(r) + "fdp.exe"
		if statement.CheckFileName(spoilt) == nil {
			t.Errorf("a file's name with %U was taken", r)
		}
		if statement.CheckLine(spoilt, 200) == nil {
			t.Errorf("a line with %U was taken", r)
		}
		for name, err := range map[string]error{
			"subject":  statement.MessageBody{Subject: spoilt, Language: "en", Text: "x"}.Validate(),
			"desk":     deskBody(func(b *statement.DeskBody) { b.Names = map[string]string{"en": spoilt} }).Validate(),
			"person":   confirmBody(t, func(b *statement.LinkConfirmBody) { b.Person = spoilt }).Validate(),
			"function": confirmBody(t, func(b *statement.LinkConfirmBody) { b.Function = spoilt }).Validate(),
		} {
			if err == nil {
				t.Errorf("a %s with %U was taken", name, r)
			}
		}
		err := statement.MessageBody{Subject: "x", Language: "ar", Text: spoilt}.Validate()
		if override := r >= 0x202A && r <= 0x202E; (err != nil) != override {
			t.Errorf("prose with %U: %v", r, err)
		}
	}
	for _, r := range []rune{0x00AD, 0x200B, 0x2060, 0xFEFF, 0xFFF9, 0xE0041, 0x2028, 0x2029, 0x1B, 0x9B} {
		if statement.CheckFileName("a"+string(r)+"b") == nil {
			t.Errorf("a file's name with %U was taken", r)
		}
	}
	if err := statement.CheckLine("مكتب الاتصال — משרד — 联络处", 200); err != nil {
		t.Errorf("right-to-left writing was refused: %v", err)
	}
}

func TestProse(t *testing.T) {
	for text, ok := range map[string]bool{
		"one line": true, "two\nlines\n": true, "a\ttab": true, "\u2067עברית\u2069 text": true,
		"": false, " \n ": false, "dos\r\nline": false, "bell\a": false, "esc\x1b[31m": false, "\u202Eabc": false, "a\x00": false,
	} {
		if err := statement.CheckProse(text, 100); (err == nil) != ok {
			t.Errorf("prose %q: %v", text, err)
		}
	}
	if statement.CheckProse(strings.Repeat("a", 101), 100) == nil {
		t.Error("prose over its limit was taken")
	}
}

func TestLanguages(t *testing.T) {
	for tag, ok := range map[string]bool{
		"en": true, "zh-Hans": true, "zh-Hans-CN": true, "sr-Latn": true, "es-419": true, "de-AT": true, "sl-rozaj": true, "fil": true,
		"": false, "EN": false, "en_US": false, "zh-hans": false, "en-us": false, "english": false, "en-": false, "en\n": false, "x-private": false,
	} {
		if err := statement.CheckLanguage(tag); (err == nil) != ok {
			t.Errorf("language %q: %v", tag, err)
		}
	}
}

func TestFace(t *testing.T) {
	long := strings.Repeat("a", 80)
	for face, where := range map[string]string{
		`{}`: "ok", ` { "a" : 1 } `: "ok", `{"a":true,"b":false,"c":0,"d":-1,"e":9007199254740991}`: "ok",
		`{"a":"` + long + `"}`: "ok", `{"a":[]}`: "ok", `{"a":["x","y:z"],"b_2":""}`: "ok", `{"at":"2026-01-02T03:04:05+08:00"}`: "ok",
		``: "/face", `[]`: "/face", `"x"`: "/face", `{}{}`: "/face", `{`: "/face", `{}x`: "/face",
		`{"a":"b c"}`: "/face/a", `{"a":"é"}`: "/face/a", `{"a":"x\n"}`: "/face/a", `{"a":"` + long + `a"}`: "/face/a", `{"a":null}`: "/face/a",
		`{"a":1.5}`: "/face/a", `{"a":1e3}`: "/face/a", `{"a":-0}`: "/face/a", `{"a":9007199254740992}`: "/face/a", `{"a":-9007199254740992}`: "/face/a",
		`{"a":99999999999999999999}`: "/face/a", `{"a":{}}`: "/face/a", `{"a":[1]}`: "/face/a", `{"a":[[]]}`: "/face/a", `{"a":["b c"]}`: "/face/a",
		`{"A":1}`: "/face", `{"":1}`: "/face", `{"a-b":1}`: "/face", `{"a":1,"a":1}`: "/face", `{"` + strings.Repeat("a", 33) + `":1}`: "/face",
		`{"1a":1}`: "/face", "{\"a\":\"\xff\"}": "/face/a", `{"a":01}`: "/face", `{"a" 1}`: "/face/a",
	} {
		err := statement.CheckFace([]byte(face))
		if where == "ok" {
			if err != nil {
				t.Errorf("%s: %v", face, err)
			}
			continue
		}
		t.Run(face, func(t *testing.T) { wantRefusal(t, err, where) })
	}
}
