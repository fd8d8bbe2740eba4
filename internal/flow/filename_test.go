package flow_test

import (
	"io"
	"strings"
	"testing"
	"unicode"

	"entente/internal/fault"
	"entente/internal/flow"
)

// TestFileNamesFirst: a file that cannot be sent under its name is refused before anything of the statement is read or sealed,
// in a sentence that is safe to show.
func TestFileNamesFirst(t *testing.T) {
	w := confirmed(t)
	for _, bad := range []string{"a\nb.txt", "a\x1b[2Jb", "a\u202etxt.exe", "a\u200bb", "con", "a/b", "", strings.Repeat("x", 256)} {
		opened := 0
		count := func(name string) flow.FileDraft {
			f := fileOf(name, []byte("content"))
			f.Open = func() (io.ReadCloser, error) { opened++; return io.NopCloser(strings.NewReader("content")), nil }
			return f
		}
		_, err := w.a.Send(t.Context(), operator, draft(w.a, "s", "t", nil, count("good.txt"), count(bad)), nil)
		if fault.KindOf(err) != fault.Invalid || fault.CodeOf(err) != "file_name" {
			t.Errorf("%q: %v", bad, err)
		}
		if strings.ContainsFunc(fault.Public(err), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is shown as %q", bad, fault.Public(err))
		}
		if opened > 0 || len(w.a.blobs.blobs) > 0 {
			t.Errorf("%q: %d files were opened, %d blobs are left", bad, opened, len(w.a.blobs.blobs))
		}
	}
}
