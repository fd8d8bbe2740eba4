package casefile_test

import (
	"strings"
	"testing"

	"entente/envelope"
	"entente/internal/casefile"
	"entente/internal/fault"
)

func code(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := fault.CodeOf(err); err == nil && want != "" || err != nil && got != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// What is written is bounded, and stands in one line where it is a heading.
func TestWhatIsWrittenIsBounded(t *testing.T) {
	for what, c := range map[string]struct {
		h    casefile.Heading
		code string
	}{
		"complete": {casefile.Heading{Title: "Ransomware", Reference: "B 17/26"}, ""}, "without a reference": {casefile.Heading{Title: "勒索"}, ""},
		"without a title": {casefile.Heading{Reference: "B 17/26"}, "title"}, "a title of two lines": {casefile.Heading{Title: "a\nb"}, "title"},
		"too long": {casefile.Heading{Title: strings.Repeat("x", 401)}, "title"}, "a reference of two lines": {casefile.Heading{Title: "a", Reference: "b\nc"}, "reference"},
	} {
		code(t, what, c.h.Check(), c.code)
	}
	code(t, "words", casefile.CheckWords("a\nb"), "")
	code(t, "no words", casefile.CheckWords(""), "words")
	code(t, "too many words", casefile.CheckWords(strings.Repeat("x", 64<<10+1)), "words")
}

// Entries have numbers without gaps; what is closed, erased or full takes none.
func TestAdd(t *testing.T) {
	c := casefile.Case{ID: envelope.NewID(), State: casefile.Open, Changed: 9}
	for n := range int64(3) {
		next, e, err := c.Add(casefile.Entry{Kind: casefile.Note, At: 8 + n})
		if err != nil || e.N != n+1 || e.Case != c.ID || next.Entries != n+1 || next.Changed != max(9, 8+n) {
			t.Fatalf("entry %d: %+v of %+v, %v", n, e, next, err)
		}
		c = next
	}
	for what, change := range map[string]struct {
		c    casefile.Case
		kind casefile.EntryKind
		code string
	}{
		"closed": {casefile.Case{State: casefile.Closed}, casefile.Note, "case_closed"}, "erased": {casefile.Case{State: casefile.Erased}, casefile.Note, "case_erased"},
		"full":            {casefile.Case{State: casefile.Open, Entries: casefile.MaxEntries}, casefile.Note, "case_full"},
		"full of threads": {casefile.Case{State: casefile.Open, Threads: casefile.MaxThreads}, casefile.Thread, "case_threads"},
		"a note beside":   {casefile.Case{State: casefile.Open, Threads: casefile.MaxThreads}, casefile.Note, ""},
	} {
		_, _, err := change.c.Add(casefile.Entry{Kind: change.kind})
		code(t, what, err, change.code)
	}
}

// A task is done once, and overdue only while it is open and after its date.
func TestTask(t *testing.T) {
	e := casefile.Entry{Kind: casefile.Task, Due: 10}
	if e.Overdue(10) || !e.Overdue(11) || (casefile.Entry{Kind: casefile.Task}).Overdue(11) || (casefile.Entry{Kind: casefile.Note, Due: 10}).Overdue(11) {
		t.Error("overdue at another time")
	}
	done, err := e.Finish("anna", 12)
	if err != nil || done.Done != 12 || done.DoneBy != "anna" || done.Overdue(20) {
		t.Errorf("%+v, %v", done, err)
	}
	_, err = done.Finish("bo", 13)
	code(t, "done twice", err, "task_done")
	_, err = casefile.Entry{Kind: casefile.Note}.Finish("bo", 13)
	code(t, "a note done", err, "task")
}

// No two places of any two cases have one name.
func TestPlacesDiffer(t *testing.T) {
	one, two := envelope.ID{1}, envelope.ID{2}
	seen := map[envelope.Hash]bool{}
	for _, id := range []envelope.ID{one, two} {
		for n := range int64(300) {
			seen[casefile.Place(id, n)] = true
		}
	}
	if len(seen) != 600 {
		t.Errorf("600 places have %d names", len(seen))
	}
}
