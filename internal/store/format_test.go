package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"testing"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/store/sqlstore"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzRows: what the reader takes for rows, written again, reads the same; all else is refused.
func FuzzRows(f *testing.F) {
	tables := sqlstore.Tables()
	for n, t := range tables {
		row, err := appendRow(nil, someCells(t))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(n), row)
		f.Add(uint8(n), append(row, row...))
	}
	f.Fuzz(func(t *testing.T, n uint8, frame []byte) {
		table := tables[int(n)%len(tables)]
		read := func(frame []byte) (all [][]any, err error) {
			b := &backupReader{frame: *bytes.NewBuffer(frame), to: sink{row: func(_ sqlstore.Table, cells []any) error {
				all = append(all, append([]any(nil), cells...))
				return nil
			}}}
			_, err = b.rows(table)
			return all, err
		}
		first, err := read(frame)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("refused with %v, want a fault of kind %s", err, fault.Invalid)
			}
			return
		}
		var again []byte
		for _, cells := range first {
			if again, err = appendRow(again, cells); err != nil {
				t.Fatal(err)
			}
		}
		second, err := read(again)
		if d := cmp.Diff(first, second, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("read again: %v (-first +second):\n%s", err, d)
		}
	})
}

// resealed gives every frame that holds a hash the right one, so that what is fuzzed lies behind the hashes.
func resealed(b []byte) []byte {
	if len(b) < len(magic) {
		return b
	}
	out := bytes.Clone(b[:len(magic)])
	var table hash.Hash = sha256.New()
	for b = b[len(magic):]; len(b) >= 5; {
		n := int(binary.BigEndian.Uint32(b[1:5]))
		if n > len(b)-5 {
			break
		}
		payload := bytes.Clone(b[5 : 5+n])
		switch kind := b[0]; {
		case kind == frameTable:
			table.Reset()
		case kind == frameRows:
			table.Write(payload)
		case kind == frameEnd && n >= sha256.Size:
			copy(payload[n-sha256.Size:], table.Sum(nil))
		case kind == frameTotal && n >= sha256.Size:
			sum := sha256.Sum256(out)
			copy(payload[n-sha256.Size:], sum[:])
		}
		out = append(append(out, b[:5]...), payload...)
		b = b[5+n:]
	}
	return append(out, b...)
}

// written is a small backup: a row in every table, and a blob among data.
func written(tb testing.TB, what content) []byte {
	tb.Helper()
	var out bytes.Buffer
	f, err := newFrames(&out)
	if err != nil {
		tb.Fatal(err)
	}
	put := func(kind byte, payload []byte) {
		tb.Helper()
		if err := f.put(kind, payload); err != nil {
			tb.Fatal(err)
		}
	}
	summary := &Summary{Content: string(what), Schema: sqlstore.SchemaVersion, Missing: []string{envelope.Hash{2}.String()}}
	put(frameHeader, headerFrame(summary))
	for _, t := range sqlstore.Tables() {
		if t.Key != (what == keysContent) {
			continue
		}
		put(frameTable, tableFrame(t))
		row, err := appendRow(nil, someCells(t))
		if err != nil {
			tb.Fatal(err)
		}
		put(frameRows, row)
		sum := sha256.Sum256(row)
		put(frameEnd, endFrame(1, sum[:]))
	}
	if what == dataContent {
		data := []byte("sealed")
		put(frameBlob, binary.AppendUvarint(appendString(nil, envelope.Sum(data).String()), uint64(len(data))))
		put(frameData, data)
		summary.Blobs, summary.Bytes = 1, int64(len(data))
	}
	put(frameTotal, totalFrame(summary, f.hash.Sum(nil)))
	if err := f.w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if _, err := VerifyBackup(bytes.NewReader(out.Bytes()), nil); err != nil {
		tb.Fatalf("the seed is not a backup: %v", err)
	}
	return out.Bytes()
}

func someCells(t sqlstore.Table) []any {
	cells := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = map[sqlstore.CellType]any{sqlstore.Integer: int64(i - 3), sqlstore.Text: "text", sqlstore.Bytes: []byte{1, 0}}[c.Type]
	}
	return cells
}

// FuzzBackup: a backup is read, or refused as invalid; what is read once reads the same again, and nothing that
// comes before a wrong hash is taken for a backup.
func FuzzBackup(f *testing.F) {
	for _, what := range []content{dataContent, keysContent} {
		b := written(f, what)
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, resealed(b)} {
			first, err := VerifyBackup(bytes.NewReader(b), nil)
			if err != nil {
				if fault.KindOf(err) != fault.Invalid {
					t.Errorf("refused with %v, want a fault of kind %s", err, fault.Invalid)
				}
				continue
			}
			second, err := VerifyBackup(bytes.NewReader(b), nil)
			if d := cmp.Diff(first, second); err != nil || d != "" {
				t.Errorf("read again: %v (-first +second):\n%s", err, d)
			}
			damaged := bytes.Clone(b)
			damaged[len(b)-1] ^= 1
			if _, err := VerifyBackup(bytes.NewReader(damaged), nil); err == nil {
				t.Error("a wrong hash was accepted")
			}
		}
	})
}
