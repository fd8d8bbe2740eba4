package member

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"entente/envelope"
	"entente/internal/fault"
	"entente/ledger"
	"entente/party"

	"golang.org/x/mod/sumdb/tlog"
)

// Entry is one line of the log of what members did. The log is a tree of RFC 6962 over the encoded entries; its heads are
// signed with the node's log keys, and whoever keeps one sees it when an entry before it was changed or left out.
type Entry struct {
	Number int64 // from 0
	At     int64 // never before the entry before
	Who    string
	Act    string
	Object string
	Hashes []byte // what the entry adds to the tree, 32 bytes each (ledger.AppendHashes)
}

// MaxEntry bounds an encoded entry.
const MaxEntry = 4 << 10

const (
	maxWho    = 64
	maxAct    = 128
	maxObject = 512
)

// entry is an Entry as it is encoded.
type entry struct {
	V      int    `json:"v"` // 1
	Number int64  `json:"number"`
	At     int64  `json:"at"`
	Who    string `json:"who"`
	Act    string `json:"act"`
	Object string `json:"object"`
}

// Encode gives the bytes that the log commits to. What is too long was shortened by Fit before.
func (e Entry) Encode() ([]byte, error) {
	return envelope.Marshal(entry{1, e.Number, e.At, e.Who, e.Act, e.Object})
}

// Fit cuts what is too long, and what is no UTF-8: an act is never refused for its line in the log.
func (e Entry) Fit() Entry {
	e.Who, e.Act, e.Object = cut(e.Who, maxWho), cut(e.Act, maxAct), cut(e.Object, maxObject)
	return e
}

func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// DecodeEntry takes what Encode gives, and nothing else.
func DecodeEntry(data []byte) (Entry, error) {
	if len(data) > MaxEntry {
		return Entry{}, envelope.Refuse("entry", "is over %d bytes", MaxEntry)
	}
	var d entry
	if err := envelope.Unmarshal(data, &d); err != nil {
		return Entry{}, err
	}
	e := Entry{Number: d.Number, At: d.At, Who: d.Who, Act: d.Act, Object: d.Object}
	again, err := e.Encode()
	if err != nil {
		return Entry{}, err
	}
	if d.V != 1 || d.Number < 0 || e.Fit().Object != e.Object || e.Fit().Who != e.Who || e.Fit().Act != e.Act || !bytes.Equal(again, data) {
		return Entry{}, envelope.Refuse("entry", "is not in its only encoding")
	}
	return e, nil
}

// Origin is the name under which the heads of a party's log of its members are signed.
func Origin(p party.ID) string { return "entente/members/" + p.String() }

// Export is the first line of an exported log; the entries follow, one a line.
type Export struct {
	V          int      `json:"v"`          // 1
	Identities [][]byte `json:"identities"` // the party's identity, oldest version first
	Identity   int      `json:"identity"`   // the version whose log keys signed
	Checkpoint []byte   `json:"checkpoint"` // the signed head; its size is the number of lines that follow
}

// maxExport bounds the first line.
const maxExport = 1 << 20

// Trail is what an exported log shows.
type Trail struct {
	Party       party.ID
	Entries     int64
	First, Last int64 // times of the first and the last entry; 0 if there is none
	Root        envelope.Hash
	Checkpoint  []byte // keep it: the next export must continue it
}

// VerifyExport reads an exported log and checks that it is complete up to its signed head, in order, and signed by the party.
// before is a checkpoint that was kept of an earlier export, nil if none: the log must continue it. Nothing else is needed, no
// node and no network. Memory does not grow with the log.
func VerifyExport(registry envelope.Registry, r io.Reader, before []byte) (Trail, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxExport)
	if !lines.Scan() {
		return Trail{}, refusedExport("it is empty", lines.Err())
	}
	var x Export
	if err := envelope.Unmarshal(lines.Bytes(), &x); err != nil || x.V != 1 {
		return Trail{}, refusedExport("its first line is malformed", err)
	}
	chain, err := party.Verify(registry, x.Identities)
	if err != nil {
		return Trail{}, refusedExport("the identity does not verify", err)
	}
	head, err := openHead(chain, x.Identity, x.Checkpoint)
	if err != nil {
		return Trail{}, refusedExport("its signed head does not verify", err)
	}
	var known *ledger.Checkpoint
	if before != nil {
		if known, err = openKept(chain, before); err != nil {
			return Trail{}, refusedExport("the checkpoint that you kept is not of this party", err)
		}
		if known.Size > head.Size {
			return Trail{}, refusedExport(fmt.Sprintf("it ends at entry %d, and the checkpoint that you kept is of %d entries: entries are missing at its end, or the node was restored from an older backup", head.Size, known.Size), nil)
		}
	}
	return follow(lines, chain.ID, head, known)
}

// follow reads the entries and compares the tree with the heads.
func follow(lines *bufio.Scanner, id party.ID, head, known *ledger.Checkpoint) (Trail, error) {
	out := Trail{Party: id, Checkpoint: head.Note}
	var t tree
	for lines.Scan() {
		e, err := DecodeEntry(lines.Bytes())
		if err != nil {
			return Trail{}, refusedExport(fmt.Sprintf("entry %d is malformed", t.size), err)
		}
		if e.Number != t.size || e.At < out.Last {
			return Trail{}, refusedExport(fmt.Sprintf("entry %d stands out of order", t.size), nil)
		}
		if t.size == 0 {
			out.First = e.At
		}
		out.Last = e.At
		t.add(lines.Bytes())
		if known != nil && t.size == known.Size && t.root() != known.Root {
			return Trail{}, refusedExport(fmt.Sprintf("its first %d entries are not those of the checkpoint that you kept: they were rewritten, or the node was restored from an older backup", known.Size), nil)
		}
	}
	if err := lines.Err(); err != nil {
		return Trail{}, refusedExport("a line is too long, or it broke off", err)
	}
	if out.Entries, out.Root = t.size, t.root(); out.Entries != head.Size || out.Root != head.Root {
		return Trail{}, refusedExport(fmt.Sprintf("its %d entries are not the %d that were signed", t.size, head.Size), nil)
	}
	return out, nil
}

func openHead(chain *party.Chain, version int, note []byte) (*ledger.Checkpoint, error) {
	if version < 1 || version > len(chain.Versions) {
		return nil, errors.New("there is no such version of the identity")
	}
	return ledger.OpenCheckpoint(note, Origin(chain.ID), chain.Versions[version-1].Log)
}

// openKept opens a head that any version may have signed.
func openKept(chain *party.Chain, note []byte) (c *ledger.Checkpoint, err error) {
	for version := len(chain.Versions); version > 0; version-- {
		if c, err = openHead(chain, version, note); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func refusedExport(why string, err error) error {
	return fault.Wrap(fault.Invalid, "audit_export", "The exported log does not hold: "+why+".", err)
}

// tree is the right edge of a growing tree: one hash for each complete subtree, the largest first.
type tree struct {
	size  int64
	edge  []tlog.Hash
	level []int
}

func (t *tree) add(leaf []byte) {
	t.edge, t.level = append(t.edge, tlog.RecordHash(leaf)), append(t.level, 0)
	t.size++
	for n := len(t.edge); n > 1 && t.level[n-1] == t.level[n-2]; n-- {
		t.edge[n-2] = tlog.NodeHash(t.edge[n-2], t.edge[n-1])
		t.level[n-2]++
		t.edge, t.level = t.edge[:n-1], t.level[:n-1]
	}
}

func (t *tree) root() envelope.Hash {
	if t.size == 0 {
		return envelope.Sum(nil)
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return envelope.Hash(h)
}
