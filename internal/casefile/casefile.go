// Package casefile is the room of a party's own cases: what a case says of itself, its notes, its tasks and what was attached to it. It
// promises that nothing of a case is a statement: all of it is local, and lies sealed under a key of the case's own, so that erasing the
// key erases the case. It refuses to know SQL, HTTP or a clock of its own, and anything that leaves the node.
package casefile

import (
	"crypto/sha256"
	"encoding/binary"

	"entente/envelope"
	"entente/internal/fault"
	"entente/statement"
)

// State is how a case stands.
type State string

// The states.
const (
	Open   State = "open"
	Closed State = "closed"
	Erased State = "erased" // its number is left, and nothing that was written
)

// Case is one case as it lies at rest. Its heading is sealed.
type Case struct {
	ID      envelope.ID
	Number  string // CASE-YEAR-N, of this node alone
	State   State
	Opened  int64
	Changed int64
	Entries int64  // how many there were; the next has the number after it
	Threads int64  // how many were attached
	Sealed  []byte // Heading; nil once it was erased
}

// Heading is what a case says of itself.
type Heading struct {
	Title     string `json:"title"`
	Reference string `json:"reference,omitempty"` // the number under which it runs elsewhere in this house
}

// The bounds of what is written, in bytes, and of a case.
const (
	maxLine    = 400
	maxWords   = 64 << 10
	MaxThreads = 100
	MaxEntries = 100_000
)

// Check says what is wrong with a heading.
func (h Heading) Check() error {
	if err := statement.CheckLine(h.Title, maxLine); err != nil {
		return fault.Wrap(fault.Invalid, "title", "Give the case a title in one line of at most 400 bytes.", err)
	}
	if h.Reference == "" {
		return nil
	}
	if err := statement.CheckLine(h.Reference, maxLine); err != nil {
		return fault.Wrap(fault.Invalid, "reference", "Write the reference in one line of at most 400 bytes.", err)
	}
	return nil
}

// EntryKind is what an entry is.
type EntryKind string

// The kinds of entries.
const (
	Note   EntryKind = "note"
	Task   EntryKind = "task"
	Thread EntryKind = "thread" // a thread of statements that was attached: a request, a call, an exchange of messages
)

// Entry is one entry of a case as it lies at rest.
type Entry struct {
	Case   envelope.ID
	N      int64 // from 1
	Kind   EntryKind
	At     int64
	Who    string
	Due    int64  // of a task; 0 if it has no date
	Done   int64  // of a task; 0 while it is open
	DoneBy string // who said so
	Thread statement.Commitment
	Link   statement.LinkID
	Sealed []byte // the words; nil of a thread
}

// CheckWords says what is wrong with the words of a note or of a task.
func CheckWords(words string) error {
	if err := statement.CheckProse(words, maxWords); err != nil {
		return fault.Wrap(fault.Invalid, "words", "Write at least a word, and at most 64 KiB.", err)
	}
	return nil
}

// Place names what lies sealed: the heading is 0, and each entry has its number. Nothing sealed for one place opens at another.
func Place(id envelope.ID, n int64) envelope.Hash {
	label := append([]byte("entente/case/v1"), id[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(label, uint64(n)))
}

// Change says whether a case may be written in.
func (c Case) Change() error {
	switch {
	case c.State == Erased:
		return fault.New(fault.Conflict, "case_erased", "This case was erased; only its number is left.")
	case c.State == Closed:
		return fault.New(fault.Conflict, "case_closed", "This case is closed; open it again first (entente cases reopen).")
	case c.Entries >= MaxEntries:
		return fault.New(fault.TooLarge, "case_full", "This case has as many entries as it may have; open another one, and refer to this.")
	}
	return nil
}

// Add is the case with one more entry, and that entry.
func (c Case) Add(e Entry) (Case, Entry, error) {
	if err := c.Change(); err != nil {
		return c, e, err
	}
	if e.Kind == Thread {
		if c.Threads >= MaxThreads {
			return c, e, fault.New(fault.TooLarge, "case_threads", "This case has as many threads as it may have; open another one, and refer to this.")
		}
		c.Threads++
	}
	c.Entries++
	c.Changed = max(c.Changed, e.At)
	e.Case, e.N = c.ID, c.Entries
	return c, e, nil
}

// Finish is a task that somebody has done.
func (e Entry) Finish(who string, at int64) (Entry, error) {
	switch {
	case e.Kind != Task:
		return e, fault.New(fault.Invalid, "task", "This entry is no task.")
	case e.Done != 0:
		return e, fault.New(fault.Conflict, "task_done", "This task was done already.")
	}
	e.Done, e.DoneBy = at, who
	return e, nil
}

// Overdue says whether a task is open after its date.
func (e Entry) Overdue(now int64) bool {
	return e.Kind == Task && e.Done == 0 && e.Due != 0 && now > e.Due
}
