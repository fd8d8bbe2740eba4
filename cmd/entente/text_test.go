package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

func TestLineHidesNothing(t *testing.T) {
	for _, c := range []struct{ in, line, text string }{
		{"Arvenia 阿文尼亚", "Arvenia 阿文尼亚", "Arvenia 阿文尼亚"},
		{"a\x1b[2Jb", `a\u{001B}[2Jb`, `a\u{001B}[2Jb`},
		{"a\r\nb\tc", `a\u{000D}\u{000A}b\u{0009}c`, "a\nb\tc"},
		{"a\rb", `a\u{000D}b`, `a\u{000D}b`},
		{"invoice\u202egnp.exe", `invoice\u{202E}gnp.exe`, `invoice\u{202E}gnp.exe`},
		{"\u2066x\u2069", `\u{2066}x\u{2069}`, `\u{2066}x\u{2069}`},
		{"zero\u200bwidth\ufeff", `zero\u{200B}width\u{FEFF}`, `zero\u{200B}width\u{FEFF}`},
		{"hangul\u3164filler", `hangul\u{3164}filler`, `hangul\u{3164}filler`},
		{"line\u2028sep", `line\u{2028}sep`, `line\u{2028}sep`},
		{"no-break\u00a0space", `no-break\u{00A0}space`, `no-break\u{00A0}space`},
		{"tag\U000E0041", `tag\u{E0041}`, `tag\u{E0041}`},
		{"bad\xffutf\ufffd", "bad\\xffutf\ufffd", "bad\\xffutf\ufffd"},
	} {
		if got := line(c.in); got != c.line {
			t.Errorf("line(%q) = %q, want %q", c.in, got, c.line)
		}
		if got := text(c.in); got != c.text {
			t.Errorf("text(%q) = %q, want %q", c.in, got, c.text)
		}
	}
}

// FuzzLine shows that whatever a peer writes is shown in one line of printable characters.
func FuzzLine(f *testing.F) {
	f.Add("a\x1b[2J\r\nb\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range line(s) {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q is shown with %U", s, r)
			}
		}
		if strings.ContainsRune(text(s), '\r') {
			t.Fatalf("%q goes back to the start of a line", s)
		}
	})
}

func TestTableAlignsWideCharacters(t *testing.T) {
	var b bytes.Buffer
	tab := newTable("A", "B")
	tab.row("阿文", "x")
	tab.row("abc", "y")
	tab.write(&b)
	if got, want := b.String(), "A     B\n阿文  x\nabc   y\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestBidiNames: a name can neither turn round nor overwrite what stands beside it in a table or a list of facts.
func TestBidiNames(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"阿文尼亚", "阿文尼亚  7"},
		{"أرفينيا", "\u2068أرفينيا\u2069  7"},
		{"ארוויניה 12", "\u2068ארוויניה 12\u2069  7"},
		{"safe\u202e7", `safe\u{202E}7  7`},
		{"a\u2069b", `a\u{2069}b  7`},
		{"top\x1b[1A\rx", `top\u{001B}[1A\u{000D}x  7`},
	} {
		var b bytes.Buffer
		tab := newTable("", "")
		tab.row(names(map[string]string{"en": c.name}), "7")
		tab.write(&b)
		if got := strings.TrimSpace(b.String()); got != c.want {
			t.Errorf("%q in a table: %q, want %q", c.name, got, c.want)
		}
		b.Reset()
		pair(&b, "Peer", line(c.name))
		if got, want := b.String(), "Peer           "+strings.TrimSuffix(c.want, "  7")+"\n"; got != want {
			t.Errorf("%q in a list: %q, want %q", c.name, got, want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		want        string
	}{
		{0, 10, "[..............................]   0%"},
		{5, 10, "[###############...............]  50%"},
		{10, 10, "[##############################] 100%"},
		{11, 10, "[##############################] 100%"},
		{7, 0, "7"},
	} {
		if got := bar(c.done, c.total); got != c.want {
			t.Errorf("bar(%d, %d) = %q, want %q", c.done, c.total, got, c.want)
		}
	}
}
