package flow_test

import (
	"strings"
	"testing"
	"unicode"

	"entente/internal/fault"
)

// TestFileNamesFirst: a file that cannot be sent under its name is refused before anything of it is read, in a sentence that is safe
// to show, and what was sealed of the statement is removed.
func TestFileNamesFirst(t *testing.T) {
	w := confirmed(t)
	for _, bad := range []string{"a\nb.txt", "a\x1b[2Jb", "a\u202etxt.exe", "a\u200bb", "con", "a/b", "", strings.Repeat("x", 256)} {
		content := strings.NewReader("content")
		f := fileOf(bad, []byte("content"))
		f.Content = content
		_, err := w.a.Send(t.Context(), operator, draft(w.a, "s", "t", nil, fileOf("good.txt", []byte("content")), f), nil)
		if fault.KindOf(err) != fault.Invalid || fault.CodeOf(err) != "file_name" {
			t.Errorf("%q: %v", bad, err)
		}
		if strings.ContainsFunc(fault.Public(err), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", bad, fault.Public(err))
		}
		if content.Len() < len("content") || len(w.a.blobs.blobs) > 0 {
			t.Errorf("%q: %d bytes were not read, %d blobs are left", bad, content.Len(), len(w.a.blobs.blobs))
		}
	}
}
