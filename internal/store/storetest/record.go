package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"entente/envelope"
	"entente/internal/exchange"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/party"
	"entente/statement"

	"golang.org/x/mod/sumdb/tlog"
)

func someStatement(n int) exchange.Statement {
	return exchange.Statement{Commitment: hash(n), Link: theLink(), Author: arvenia(), Lane: statement.Dialogue, Epoch: 1, Seq: uint64(n),
		Thread: hash(1), Kind: "message", Authored: int64(n) * 100, Text: []byte(`{"v":1}`), TextSalt: statement.Salt{3: byte(n)}, Parcel: id(n)}
}

func putStatements(ss ...exchange.Statement) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.PutStatements(ctx, ss...) }
}

func statementOf(n int) func(context.Context, flow.Tx) (exchange.Statement, error) {
	return func(ctx context.Context, tx flow.Tx) (exchange.Statement, error) { return tx.Statement(ctx, hash(n)) }
}

func statements(b *bench) {
	s := someStatement(1)
	absent(b, statementOf(1))
	b.update(putStatements(s, someStatement(2)))
	other := s
	other.Kind = "another"
	b.update(putStatements(other)) // idempotent by commitment
	same(b, "statement", read(b, statementOf(1)), s)
	same(b, "by parcel", read(b, func(ctx context.Context, tx flow.Tx) (map[envelope.ID]exchange.Statement, error) {
		return tx.StatementsByParcel(ctx, []envelope.ID{id(1), id(2), id(3)})
	}), map[envelope.ID]exchange.Statement{id(1): s, id(2): someStatement(2)})

	for prefix, want := range map[string]int{"000001": 1, "0000": 2, "": 2, hash(2).String(): 1, "0001": 0, "f": 0} {
		got := read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Statement, error) {
			return tx.StatementsByPrefix(ctx, prefix, 10)
		})
		same(b, "statements with the prefix "+prefix, len(got), want)
	}
	for _, prefix := range []string{"x", "AB", "' OR 1=1", hash(1).String() + "0"} {
		b.refused(fault.Invalid, func(ctx context.Context, tx flow.Tx) error {
			_, err := tx.StatementsByPrefix(ctx, prefix, 10)
			return err
		})
	}
}

func statementLists(b *bench) {
	var all []exchange.Statement
	for n := range 6 {
		all = append(all, someStatement(n+1))
	}
	all[1].Author = kestria()
	all[2].Kind = "desk.propose"
	all[3].Thread = hash(4)
	all[4].Link = otherLink()
	all[5].Authored = all[4].Authored // tied: the higher commitment first
	b.update(putStatements(all...))
	link, thread, author, tied := theLink(), hash(1), kestria(), hash(6)
	for _, c := range []struct {
		name   string
		filter exchange.Filter
		want   []int
	}{
		{"all, newest first", exchange.Filter{}, []int{6, 5, 4, 3, 2, 1}},
		{"of a link", exchange.Filter{Link: &link}, []int{6, 4, 3, 2, 1}},
		{"of a thread", exchange.Filter{Thread: &thread}, []int{6, 5, 3, 2, 1}},
		{"of an author", exchange.Filter{Author: &author}, []int{2}},
		{"of the others", exchange.Filter{NotAuthor: &author}, []int{6, 5, 4, 3, 1}},
		{"of a kind", exchange.Filter{Kind: "desk.propose"}, []int{3}},
		{"before", exchange.Filter{Before: 500}, []int{4, 3, 2, 1}},
		{"before, among those of one time", exchange.Filter{Before: 500, BeforeID: &tied}, []int{5, 4, 3, 2, 1}},
		{"all filters", exchange.Filter{Link: &link, Thread: &thread, NotAuthor: &author, Kind: "message", Before: 600, BeforeID: &tied}, []int{6, 1}},
		{"with a limit", exchange.Filter{Limit: 2}, []int{6, 5}},
	} {
		b.Run(c.name, func(t *testing.T) {
			if c.filter.Limit == 0 {
				c.filter.Limit = 10
			}
			b := &bench{t, b.store}
			var got []int
			for _, s := range read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Statement, error) {
				return tx.Statements(ctx, c.filter)
			}) {
				got = append(got, int(s.Commitment[2]))
			}
			same(b, "statements", got, c.want)
		})
	}
}

func bodies(b *bench) {
	body := func(ctx context.Context, tx flow.Tx) ([2]string, error) {
		sealed, key, err := tx.Body(ctx, hash(1))
		return [2]string{string(sealed), string(key)}, err
	}
	put := func(sealed, key string) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error {
			return tx.PutBodies(ctx, exchange.Body{Commitment: hash(1), Sealed: []byte(sealed), Key: []byte(key)})
		}
	}
	erase := func(at int64) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error { return tx.EraseBody(ctx, hash(1), at) }
	}
	absent(b, body)
	b.refused(fault.NotFound, erase(1))
	b.update(put("sealed", "key"))
	b.update(put("other", "other"))
	b.update(putStatements(someStatement(1)))
	same(b, "body", read(b, body), [2]string{"sealed", "key"})
	many := func(ctx context.Context, tx flow.Tx) (map[statement.Commitment]exchange.Body, error) {
		return tx.BodiesOf(ctx, []statement.Commitment{hash(2), hash(1)})
	}
	same(b, "bodies", read(b, many), map[statement.Commitment]exchange.Body{hash(1): {Commitment: hash(1), Sealed: []byte("sealed"), Key: []byte("key")}})
	b.update(erase(77))
	absent(b, body)
	b.update(erase(99))
	same(b, "time of the first erasure", read(b, statementOf(1)).Erased, 77)
	b.update(put("sealed", "key")) // an act that runs again brings nothing back
	absent(b, body)
	same(b, "bodies, erased", read(b, many), map[statement.Commitment]exchange.Body{})
}

func files(b *bench) {
	f := exchange.File{Statement: hash(1), Position: 1, Link: theLink(), Parcel: id(1), Size: 9, State: "waiting"}
	g := exchange.File{Statement: hash(1), Position: 0, Link: theLink(), Parcel: id(2), Size: 8, State: "stored", Blob: "ab", FLOE: []byte{0, 1}, Reason: "r"}
	put := func(ctx context.Context, tx flow.Tx) error { return tx.PutFiles(ctx, f, g) }
	of := func(ctx context.Context, tx flow.Tx) ([]exchange.File, error) { return tx.Files(ctx, hash(1)) }
	by := func(ctx context.Context, tx flow.Tx) (exchange.File, error) { return tx.FileByParcel(ctx, id(1)) }
	absent(b, by)
	same(b, "no files", read(b, of), nil)
	b.update(put)
	same(b, "files by position", read(b, of), []exchange.File{g, f})
	same(b, "files of many", read(b, func(ctx context.Context, tx flow.Tx) (map[statement.Commitment][]exchange.File, error) {
		return tx.FilesOf(ctx, []statement.Commitment{hash(2), hash(1)})
	}), map[statement.Commitment][]exchange.File{hash(1): {g, f}})
	f.State, f.Blob, f.FLOE = "stored", "cd", []byte("header")
	b.update(put)
	same(b, "files, put again", read(b, of), []exchange.File{g, f})
	same(b, "file by parcel", read(b, by), f)
}

// aged asks for what is kept no longer: by kind and link, not erased, and with nothing newer in its thread.
func aged(b *bench) {
	at := func(n int, thread int, authored, received int64) (exchange.Statement, exchange.Parcel) {
		s, p := someStatement(n), someParcel(n)
		s.Thread, s.Authored, p.Received = hash(thread), authored, received
		return s, p
	}
	for _, row := range [][4]int64{
		{1, 1, 100, 110}, {2, 1, 120, 900}, // answered late
		{3, 3, 150, 160}, {4, 3, 170, 180}, // silent for long
		{5, 5, 200, 210},                   // erased
		{6, 6, 999, 990},                   // new
		{7, 7, 130, 140}, {8, 8, 130, 140}, // of the same time
		{10, 10, 5000, 220}, // of the future, its author says
	} {
		s, p := at(int(row[0]), int(row[1]), row[2], row[3])
		b.update(putStatements(s))
		b.update(putParcels(p))
	}
	other, p := at(9, 9, 1, 1)
	other.Kind = "test"
	b.update(putStatements(other))
	b.update(putParcels(p))
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.EraseBody(ctx, hash(5), 1000) })
	self := kestria()
	names := func(after exchange.Statement, limit int) []statement.Commitment {
		rows := read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Statement, error) {
			return tx.Aged(ctx, theLink(), self, "message", 900, after, limit)
		})
		var out []statement.Commitment
		for _, r := range rows {
			out = append(out, r.Commitment)
		}
		return out
	}
	first, second := hash(7), hash(8)
	if bytes.Compare(second[:], first[:]) < 0 {
		first, second = second, first
	}
	want := []statement.Commitment{first, second, hash(3), hash(4), hash(10)}
	same(b, "aged", names(exchange.Statement{}, 10), want)
	same(b, "first page", names(exchange.Statement{}, 1), want[:1])
	same(b, "next page", names(read(b, func(ctx context.Context, tx flow.Tx) (exchange.Statement, error) { return tx.Statement(ctx, first) }), 10), want[1:])
	same(b, "of another link", len(read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Statement, error) {
		return tx.Aged(ctx, otherLink(), self, "message", 900, exchange.Statement{}, 10)
	})), 0)
	self = arvenia()
	same(b, "own, by what was authored", names(exchange.Statement{}, 10), []statement.Commitment{hash(1), hash(2), first, second, hash(3), hash(4)})
}

func erasingFiles(b *bench) {
	file := func(n, position int, state string) exchange.File {
		return exchange.File{Statement: hash(n), Position: position, Link: theLink(), Parcel: id(10*n + position), State: state, Blob: "ab"}
	}
	f, g, h := file(1, 0, "erasing"), file(1, 1, "erasing"), file(2, 0, "stored")
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutFiles(ctx, f, g, h) })
	list := func(after exchange.File, limit int) []exchange.File {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.File, error) {
			return tx.ErasingFiles(ctx, after.Statement, after.Position, limit)
		})
	}
	start := exchange.File{Position: -1}
	same(b, "erasing files", list(start, 10), []exchange.File{f, g})
	same(b, "first page", list(start, 1), []exchange.File{f})
	same(b, "next page", list(f, 10), []exchange.File{g})
	f.State, f.Blob = "erased", ""
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutFiles(ctx, f) })
	same(b, "what is left", list(start, 10), []exchange.File{g})
}

func someColumn(thread, seq int, author party.ID) exchange.Column {
	return exchange.Column{Link: theLink(), Thread: hash(thread), Author: author, Lane: statement.Control, Epoch: 1, Seq: uint64(seq),
		Room: "message", Data: fmt.Appendf(nil, `{"seq":%d}`, seq)}
}

func putColumns(cs ...exchange.Column) func(context.Context, flow.Tx) error {
	return func(ctx context.Context, tx flow.Tx) error { return tx.PutColumns(ctx, cs...) }
}

func columns(b *bench) {
	later := someColumn(1, 1, arvenia())
	later.Epoch, later.Data = 2, []byte("epoch 2")
	b.update(putColumns(someColumn(1, 3, arvenia()), someColumn(1, 7, arvenia()), later, someColumn(1, 5, kestria())))
	for _, c := range []struct {
		epoch uint32
		seq   uint64
		want  exchange.Column
	}{
		{1, 2, exchange.Column{}},
		{1, 3, someColumn(1, 3, arvenia())},
		{1, 6, someColumn(1, 3, arvenia())},
		{1, 1 << 63, someColumn(1, 7, arvenia())},
		{2, 0, someColumn(1, 7, arvenia())}, // an earlier epoch is all below a later one
		{2, 1, later},
		{3, 0, later},
	} {
		got := read(b, func(ctx context.Context, tx flow.Tx) (exchange.Column, error) {
			return tx.ColumnAt(ctx, theLink(), hash(1), arvenia(), c.epoch, c.seq)
		})
		same(b, fmt.Sprintf("column at epoch %d, seq %d", c.epoch, c.seq), got, c.want)
	}
	later.Data = []byte("put again")
	b.update(putColumns(later))
	got := read(b, func(ctx context.Context, tx flow.Tx) (exchange.Column, error) {
		return tx.ColumnAt(ctx, theLink(), hash(1), arvenia(), 2, 9)
	})
	same(b, "column, put again", got, later)
}

func (b *bench) columns(link *statement.LinkID, room string) []exchange.Column {
	b.Helper()
	return read(b, func(ctx context.Context, tx flow.Tx) (all []exchange.Column, err error) {
		err = tx.Columns(ctx, link, room, func(c exchange.Column) error {
			all = append(all, c)
			_, err := tx.Meta(ctx, "the transaction may be used meanwhile")
			return err
		})
		return all, err
	})
}

func columnsInOrder(b *bench) {
	var put, newest []exchange.Column
	const threads = 600 // more than one page
	for n := range threads {
		for _, author := range []party.ID{arvenia(), kestria()} {
			put = append(put, someColumn(n, 1, author), someColumn(n, 9, author), someColumn(n, 4, author))
			newest = append(newest, someColumn(n, 9, author))
		}
	}
	desk := someColumn(0, 3, arvenia())
	desk.Room, desk.Link = "desk", otherLink()
	b.update(putColumns(append(put, desk)...))
	link, other := theLink(), otherLink()
	same(b, "of all links", b.columns(nil, ""), append(newest[:len(newest):len(newest)], desk))
	same(b, "of a link", b.columns(&link, ""), newest)
	same(b, "of a room", b.columns(&link, "message"), newest)
	same(b, "of a room, all links", b.columns(nil, "desk"), []exchange.Column{desk})
	same(b, "of a room in a link", b.columns(&other, "desk"), []exchange.Column{desk})
	same(b, "of no room", b.columns(nil, "none"), nil)
	stop := fault.New(fault.Invalid, "stop", "Enough.")
	b.refused(fault.Invalid, func(ctx context.Context, tx flow.Tx) error {
		return tx.Columns(ctx, nil, "", func(exchange.Column) error { return stop })
	})
}

func dropFolded(b *bench) {
	p := someParcel(1)
	lane := exchange.LaneState{Link: theLink(), Author: arvenia(), Epoch: 1, Lane: statement.Control, Last: 5, Folded: 4}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		if err := tx.PutLane(ctx, lane); err != nil {
			return err
		}
		if err := tx.PutParcels(ctx, p); err != nil {
			return err
		}
		return tx.PutColumns(ctx, someColumn(1, 1, arvenia()))
	})
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.DropFolded(ctx) })
	same(b, "columns", b.columns(nil, ""), nil)
	p.Verdict, lane.Folded = "", 0
	same(b, "parcel", read(b, parcelOf(1)), p)
	same(b, "lane", read(b, func(ctx context.Context, tx flow.Tx) (exchange.LaneState, error) {
		return tx.Lane(ctx, theLink(), arvenia(), 1, statement.Control)
	}), lane)
}

func logs(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (exchange.Log, error) {
		return tx.Log(ctx, theLink(), kestria(), 2)
	}
	l := exchange.Log{Link: theLink(), Party: kestria(), Epoch: 2}
	same(b, "a new log", read(b, get), l)
	l.Size, l.LastTime, l.SignedSize, l.SignedAt = 9, 1, 8, 2
	l.CosignedSize, l.CosignedNote, l.CosignedAt = 7, []byte("note\n"), 3
	l.Identity = 2
	for range 2 {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLog(ctx, l) })
		same(b, "log", read(b, get), l)
		head := l
		head.CosignedNote = nil
		same(b, "head of a log", read(b, func(ctx context.Context, tx flow.Tx) (exchange.Log, error) {
			return tx.LogHead(ctx, theLink(), kestria(), 2)
		}), head)
		l.Size++
	}
	l.Size--
	first := exchange.Log{Link: theLink(), Party: kestria(), Epoch: 1}
	own := exchange.Log{Link: theLink(), Party: arvenia(), Epoch: 5}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		if err := tx.PutLog(ctx, first); err != nil {
			return err
		}
		return tx.PutLog(ctx, own)
	})
	same(b, "logs of a link", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Log, error) { return tx.Logs(ctx, theLink()) }),
		[]exchange.Log{own, first, l})
}

func uncosigned(b *bench) {
	links := func(ctx context.Context, tx flow.Tx) ([]statement.LinkID, error) {
		return tx.Uncosigned(ctx, arvenia())
	}
	log := func(p party.ID, epoch uint32, size, cosigned int64) exchange.Log {
		return exchange.Log{Link: theLink(), Party: p, Epoch: epoch, Size: size, CosignedSize: cosigned}
	}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return errors.Join(tx.PutLink(ctx, someLink()), tx.PutLog(ctx, log(arvenia(), 1, 5, 5)), tx.PutLog(ctx, log(arvenia(), 7, 5, 0)), tx.PutLog(ctx, log(kestria(), 1, 5, 0)))
	})
	same(b, "links when all is cosigned in the epoch that is open", read(b, links), nil)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLog(ctx, log(arvenia(), 1, 6, 5)) })
	same(b, "links when a leaf waits", read(b, links), []statement.LinkID{theLink()})
}

func witnessed(b *bench) {
	const one, other = "one.example+00000001", "other.example+00000002"
	link, late := someLink(), someLink()
	late.ID, late.Alias = otherLink(), "another"
	put := func(ws ...exchange.Witnessed) {
		b.Helper()
		b.update(func(ctx context.Context, tx flow.Tx) error {
			for _, w := range ws {
				if err := tx.PutWitnessed(ctx, w); err != nil {
					return err
				}
			}
			return nil
		})
	}
	due := func(what, witness string, want ...exchange.Link) {
		b.Helper()
		same(b, what, read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Link, error) {
			return tx.Unwitnessed(ctx, arvenia(), witness)
		}), want)
	}
	cosigned := func(link statement.LinkID, p party.ID, epoch uint32, size int64) exchange.Log {
		return exchange.Log{Link: link, Party: p, Epoch: epoch, Size: 9, CosignedSize: size, CosignedNote: []byte("note")}
	}
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return errors.Join(tx.PutLink(ctx, link), tx.PutLink(ctx, late),
			tx.PutLog(ctx, cosigned(link.ID, arvenia(), 1, 7)), tx.PutLog(ctx, cosigned(late.ID, arvenia(), 1, 0)),
			tx.PutLog(ctx, cosigned(late.ID, arvenia(), 2, 5)), tx.PutLog(ctx, cosigned(late.ID, kestria(), 1, 5)))
	})
	due("links, the peer has cosigned one", one, link)
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return tx.PutLog(ctx, cosigned(late.ID, arvenia(), 1, 1))
	})
	due("links by name", one, late, link)
	ours := []exchange.Witnessed{
		{Link: link.ID, Epoch: 1, Witness: one, Size: 6, Note: []byte("six"), At: 3},
		{Link: link.ID, Epoch: 1, Witness: other, Size: 7, Note: []byte("seven"), At: 4},
	}
	put(ours...)
	put(exchange.Witnessed{Link: link.ID, Epoch: 2, Witness: one, Size: 9, Note: []byte("another epoch")})
	due("one has not seen all", one, late, link)
	due("the other has", other, late)
	ours[0].Size, ours[0].Note, ours[0].At = 7, []byte("more"), 5
	put(ours[0])
	due("both have", one, late)
	same(b, "witnessed", read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Witnessed, error) {
		return tx.Witnessed(ctx, link.ID, 1)
	}), ours)
}

func someLeaf(n int) exchange.LeafRow {
	return exchange.LeafRow{Index: int64(n), Leaf: fmt.Appendf(nil, `{"n":%d}`, n), Doc: hash(n), Kind: "sent", Hashes: bytes.Repeat([]byte{1}, 32)}
}

func leaves(b *bench) {
	put := func(epoch uint32, rows ...exchange.LeafRow) func(context.Context, flow.Tx) error {
		return func(ctx context.Context, tx flow.Tx) error {
			return tx.AppendLeaves(ctx, theLink(), arvenia(), epoch, rows)
		}
	}
	b.update(put(1, someLeaf(0), someLeaf(1), someLeaf(2), someLeaf(3)))
	again := someLeaf(1)
	again.Kind = "got"
	b.refused(fault.Conflict, put(1, someLeaf(4), again))
	b.update(put(2, again))
	for _, c := range []struct {
		from  int64
		limit int
		want  []int
	}{{0, 2, []int{0, 1}}, {2, 10, []int{2, 3}}, {4, 10, nil}} {
		var want []exchange.LeafRow
		for _, n := range c.want {
			l := someLeaf(n)
			l.Hashes = nil
			want = append(want, l)
		}
		got := read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.LeafRow, error) {
			return tx.Leaves(ctx, theLink(), arvenia(), 1, c.from, c.limit)
		})
		same(b, "leaves", got, want)
	}
	same(b, "leaves at places", read(b, func(ctx context.Context, tx flow.Tx) (map[int64][]byte, error) {
		return tx.LeavesAt(ctx, theLink(), arvenia(), 1, []int64{3, 0, 9, 3})
	}), map[int64][]byte{0: someLeaf(0).Leaf, 3: someLeaf(3).Leaf})
	type found struct {
		Epoch uint32
		Index int64
	}
	at := func(index int64, kind string, doc int) func(context.Context, flow.Tx) (found, error) {
		return func(ctx context.Context, tx flow.Tx) (found, error) {
			epoch, row, err := tx.LeafAt(ctx, theLink(), arvenia(), index, kind, hash(doc))
			return found{epoch, row.Index}, err
		}
	}
	absent(b, at(1, "sent", 1)) // of no log that is known
	b.update(func(ctx context.Context, tx flow.Tx) error {
		return errors.Join(tx.PutLog(ctx, exchange.Log{Link: theLink(), Party: arvenia(), Epoch: 1, Size: 4}),
			tx.PutLog(ctx, exchange.Log{Link: theLink(), Party: arvenia(), Epoch: 2, Size: 2}))
	})
	same(b, "leaf of a document", read(b, at(1, "sent", 1)), found{1, 1})
	same(b, "leaf of another kind, in another epoch", read(b, at(1, "got", 1)), found{2, 1})
	absent(b, at(2, "sent", 1))
	absent(b, at(4, "sent", 4))
	absent(b, at(-1, "sent", 1))
	absent(b, at(1, "grant", 1))

	from := func(epoch uint32, index int64, kind string, doc int) func(context.Context, flow.Tx) (found, error) {
		return func(ctx context.Context, tx flow.Tx) (found, error) {
			row, err := tx.LeafFrom(ctx, theLink(), arvenia(), epoch, index, kind, hash(doc))
			return found{epoch, row.Index}, err
		}
	}
	same(b, "leaf of a document, from the first on", read(b, from(1, 0, "sent", 1)), found{1, 1})
	same(b, "leaf of a document, from its own place on", read(b, from(1, 1, "sent", 1)), found{1, 1})
	absent(b, from(1, 2, "sent", 1))
	absent(b, from(2, 0, "sent", 1))
	absent(b, from(1, 0, "got", 1))

	identity := func(doc int) func(context.Context, flow.Tx) (found, error) {
		return func(ctx context.Context, tx flow.Tx) (found, error) {
			epoch, row, err := tx.IdentityLeaf(ctx, theLink(), arvenia(), hash(doc))
			return found{epoch, row.Index}, err
		}
	}
	later, repeated := someLeaf(5), someLeaf(5)
	later.Kind, repeated.Kind, repeated.Index = "identity", "identity", 6
	b.update(put(2, later, repeated))
	b.update(put(3, later))
	same(b, "leaf of an identity", read(b, identity(5)), found{2, 5})
	absent(b, identity(1)) // recorded, but no identity
	absent(b, identity(7))
}

// hashReader compares the tree hashes that a store keeps, and what is proved with them, with those of tlog in memory.
func hashReader(b *bench) {
	const size = 200
	var memory []tlog.Hash
	inMemory := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = memory[x]
		}
		return out, nil
	})
	roots := make([]tlog.Hash, size+1)
	for n := range int64(size) {
		leaf := someLeaf(int(n))
		leaf.Hashes = nil
		b.update(func(ctx context.Context, tx flow.Tx) error {
			hashes, err := tlog.StoredHashes(n, leaf.Leaf, tx.HashReader(ctx, theLink(), arvenia(), 1))
			if err != nil {
				return err
			}
			row := leaf
			for _, h := range hashes {
				row.Hashes = append(row.Hashes, h[:]...)
			}
			return tx.AppendLeaves(ctx, theLink(), arvenia(), 1, []exchange.LeafRow{row})
		})
		want, err := tlog.StoredHashes(n, leaf.Leaf, inMemory)
		if err != nil {
			b.Fatal(err)
		}
		memory = append(memory, want...)
		if roots[n+1], err = tlog.TreeHash(n+1, inMemory); err != nil {
			b.Fatal(err)
		}
	}
	b.view(func(ctx context.Context, tx flow.Tx) error {
		r := tx.HashReader(ctx, theLink(), arvenia(), 1)
		every := make([]int64, len(memory))
		for i := range every {
			every[i] = int64(i)
		}
		all, err := r.ReadHashes(every)
		if err != nil {
			return err
		}
		same(b, "every stored hash", all, memory)
		for n := range int64(size + 1) {
			if root, err := tlog.TreeHash(n, r); err != nil || (n > 0 && root != roots[n]) {
				b.Errorf("tree hash at size %d: %v, %v, want %v", n, root, err, roots[n])
			}
			if n == 0 {
				continue
			}
			record, err := tlog.ProveRecord(size, n-1, r)
			if err == nil {
				err = tlog.CheckRecord(record, size, roots[size], n-1, tlog.RecordHash(someLeaf(int(n-1)).Leaf))
			}
			if err != nil {
				b.Errorf("proving leaf %d: %v", n-1, err)
			}
			tree, err := tlog.ProveTree(size, n, r)
			if err == nil {
				err = tlog.CheckTree(tree, size, roots[size], n, roots[n])
			}
			if err != nil {
				b.Errorf("proving that %d leaves are a prefix: %v", n, err)
			}
		}
		if got, err := r.ReadHashes([]int64{int64(len(memory)) + 3}); err == nil {
			b.Errorf("a hash beyond the tree: %v, want an error", got)
		}
		if got, err := tx.HashReader(ctx, theLink(), arvenia(), 2).ReadHashes([]int64{0}); err == nil {
			b.Errorf("a hash of another epoch: %v, want an error", got)
		}
		return nil
	})
}

func documents(b *bench) {
	unsigned := exchange.Document{Hash: hash(1), Link: theLink(), Type: "application/x", Payload: []byte("payload")}
	signed := unsigned
	signed.Signatures = []envelope.Signature{{KeyID: "k1", Sig: []byte{1, 2}}, {KeyID: "", Sig: bytes.Repeat([]byte{9}, 3309)}}
	resigned := signed
	resigned.Signatures = []envelope.Signature{{KeyID: "k3", Sig: []byte{3}}}
	get := func(ctx context.Context, tx flow.Tx) (exchange.Document, error) { return tx.Document(ctx, hash(1)) }
	absent(b, get)
	for i, step := range []struct{ put, want exchange.Document }{
		{unsigned, unsigned}, {unsigned, unsigned}, {signed, signed}, {unsigned, signed}, {resigned, signed},
	} {
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutDocuments(ctx, step.put) })
		same(b, fmt.Sprintf("document after step %d", i), read(b, get), step.want)
	}
	same(b, "documents", read(b, func(ctx context.Context, tx flow.Tx) (map[envelope.Hash]exchange.Document, error) {
		return tx.Documents(ctx, []envelope.Hash{hash(1), hash(2)})
	}), map[envelope.Hash]exchange.Document{hash(1): signed})
}

func evidence(b *bench) {
	e := exchange.Evidence{Link: theLink(), Kind: "equivocation", At: 5, Note: "Two parcels.", Data: []byte("both")}
	f := exchange.Evidence{Link: otherLink(), Kind: "fork", At: 4}
	put := func(e exchange.Evidence) {
		b.Helper()
		b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutEvidence(ctx, e) })
	}
	put(e)
	put(f)
	e.At = 6
	put(e) // the same bytes once more
	e.At = 5
	link := theLink()
	of := func(link *statement.LinkID, limit int) []exchange.Evidence {
		return read(b, func(ctx context.Context, tx flow.Tx) ([]exchange.Evidence, error) {
			return tx.Evidences(ctx, link, limit)
		})
	}
	same(b, "evidence, newest first", of(nil, 10), []exchange.Evidence{f, e})
	same(b, "evidence, with a limit", of(nil, 1), []exchange.Evidence{f})
	same(b, "evidence of a link", of(&link, 10), []exchange.Evidence{e})
}

func figures(b *bench) {
	get := func(ctx context.Context, tx flow.Tx) (exchange.Figures, error) { return tx.Figures(ctx, theLink()) }
	absent(b, get)
	b.update(func(ctx context.Context, tx flow.Tx) error { return tx.PutLink(ctx, someLink()) })
	same(b, "figures of a new link", read(b, get), exchange.Figures{})

	var ps []exchange.Parcel
	add := func(n int, author party.ID, state exchange.ParcelState) {
		p := someParcel(n)
		p.Author, p.State, p.Content = author, state, nil
		if author == kestria() {
			p.Epoch = 2
		}
		ps = append(ps, p)
	}
	add(1, arvenia(), exchange.Opened)
	add(2, arvenia(), exchange.Sending)
	add(3, arvenia(), exchange.Sending)
	add(4, arvenia(), exchange.Reserved)
	add(5, arvenia(), exchange.Received)
	add(6, kestria(), exchange.Received)
	add(8, kestria(), exchange.Arriving)
	add(10, kestria(), exchange.Received)
	add(11, arvenia(), exchange.Held)
	add(13, arvenia(), exchange.Sent)
	add(14, arvenia(), exchange.Gone)
	add(12, kestria(), exchange.Held)
	b.update(func(ctx context.Context, tx flow.Tx) error {
		for _, l := range []exchange.Log{
			{Link: theLink(), Party: arvenia(), Epoch: 1, Size: 10, CosignedSize: 4, CosignedAt: 33},
			{Link: theLink(), Party: kestria(), Epoch: 2, Size: 5, CosignedSize: 5},
			{Link: theLink(), Party: kestria(), Epoch: 1, Size: 50},
		} {
			if err := tx.PutLog(ctx, l); err != nil {
				return err
			}
		}
		// Of 5 to 10, the numbers 5, 7, 8 and 9 were not receipted.
		if err := tx.PutLane(ctx, exchange.LaneState{Link: theLink(), Author: kestria(), Epoch: 2, Lane: statement.Assistance, Last: 10, Contiguous: 4}); err != nil {
			return err
		}
		return tx.PutParcels(ctx, ps...)
	})
	same(b, "figures", read(b, get), exchange.Figures{OldestUnreceipted: 102, Sending: 2, Reserved: 1, Arriving: 1, Unsettled: 2, Sent: 1, Held: 1, Waiting: 1,
		UncosignedOwn: 6, UncosignedPeer: 0, CosignedAt: 33, Gaps: 4})
}
