package store

import (
	"bytes"
	"testing"

	"entente/internal/fault"
	"entente/internal/store/sqlstore"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzRows: what the reader takes for rows, written again, reads the same; all else is refused.
func FuzzRows(f *testing.F) {
	tables := sqlstore.Tables()
	for n, t := range tables {
		cells := make([]any, len(t.Columns))
		for i, c := range t.Columns {
			cells[i] = map[sqlstore.CellType]any{sqlstore.Integer: int64(i - 3), sqlstore.Text: "text", sqlstore.Bytes: []byte{1, 0}}[c.Type]
		}
		row, err := appendRow(nil, cells)
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
