package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/blobstore"
	"entente/internal/store/sqlstore"
)

// Backup writes everything but the keys of statements: all tables as they are at one moment, then the blobs. The
// node goes on working meanwhile. A blob that rows refer to and that is not there does not stop the backup; the
// summary names it.
func (s *Store) Backup(ctx context.Context, w io.Writer, p Progress) (*Summary, error) {
	return s.backup(ctx, w, dataContent, p)
}

// BackupKeys writes the keys of statements alone. Kept apart and for a short time, they let an erasure reach the
// older backups of data.
func (s *Store) BackupKeys(ctx context.Context, w io.Writer) (*Summary, error) {
	return s.backup(ctx, w, keysContent, nil)
}

// backupWriter writes one backup.
type backupWriter struct {
	s       *Store
	f       *frames
	p       Progress
	done    int64
	summary Summary
}

func (s *Store) backup(ctx context.Context, w io.Writer, what content, p Progress) (*Summary, error) {
	f, err := newFrames(w)
	if err != nil {
		return nil, fmt.Errorf("writing the backup: %w", err)
	}
	b := &backupWriter{s: s, f: f, p: p, summary: Summary{Content: string(what), Schema: sqlstore.SchemaVersion,
		Time: s.now().UnixMicro(), Rows: map[string]int64{}}}
	if err := b.put(frameHeader, headerFrame(&b.summary)); err != nil {
		return nil, err
	}
	err = s.sql.Snapshot(ctx, func(snapshot *sqlstore.Snapshot) error {
		for _, t := range sqlstore.Tables() {
			if t.Key != (what == keysContent) {
				continue
			}
			if err := b.table(ctx, snapshot, t); err != nil {
				return fmt.Errorf("backing up the table %s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if what == dataContent {
		if err := s.eachBlob(ctx, sqlstore.BackupBlobs, func(name string) error { return b.blob(ctx, name) }); err != nil {
			return nil, err
		}
	}
	sum := f.hash.Sum(nil)
	b.summary.SHA256 = hex.EncodeToString(sum)
	if err := errors.Join(b.put(frameTotal, totalFrame(&b.summary, sum)), f.w.Flush()); err != nil {
		return nil, fmt.Errorf("writing the backup: %w", err)
	}
	return &b.summary, nil
}

func (b *backupWriter) put(kind byte, payload []byte) error {
	if err := b.f.put(kind, payload); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	b.done += int64(len(payload))
	b.p.report(b.done, 0)
	return nil
}

func (b *backupWriter) table(ctx context.Context, snapshot *sqlstore.Snapshot, t sqlstore.Table) error {
	if err := b.put(frameTable, tableFrame(t)); err != nil {
		return err
	}
	h := sha256.New()
	var n int64
	var pending, row []byte
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		h.Write(pending)
		err := b.put(frameRows, pending)
		pending = pending[:0]
		return err
	}
	err := snapshot.Rows(ctx, t, func(cells []any) (err error) {
		if row, err = appendRow(row[:0], cells); err != nil {
			return err
		}
		if len(pending)+len(row) > maxFrame {
			if err := flush(); err != nil {
				return err
			}
		}
		pending = append(pending, row...)
		n++
		if len(pending) < chunk {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	b.summary.Rows[t.Name] = n
	return b.put(frameEnd, endFrame(n, h.Sum(nil)))
}

func (b *backupWriter) blob(ctx context.Context, name string) error {
	blob, err := b.s.blobs.Open(ctx, name)
	if kind := fault.KindOf(err); err != nil && (kind == fault.NotFound || kind == fault.Invalid) {
		if isName(name) && len(b.summary.Missing) < maxMissing {
			b.summary.Missing = append(b.summary.Missing, name)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("backing up the blob %s: %w", name, err)
	}
	err = b.copyBlob(ctx, name, blob)
	if err = errors.Join(err, blob.Close()); err != nil {
		return fmt.Errorf("backing up the blob %s: %w", name, err)
	}
	return nil
}

// copyBlob refuses a blob that is damaged: a backup must not look whole that cannot be restored.
func (b *backupWriter) copyBlob(ctx context.Context, name string, blob flow.Blob) error {
	if err := b.put(frameBlob, binary.AppendUvarint(appendString(nil, name), uint64(blob.Size()))); err != nil {
		return err
	}
	digest := blobstore.NewDigest()
	buf := make([]byte, chunk)
	for r := io.NewSectionReader(blob, 0, blob.Size()); ; {
		n, err := io.ReadFull(r, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		if n == 0 {
			break
		}
		digest.Write(buf[:n])
		if err := errors.Join(ctx.Err(), b.put(frameData, buf[:n])); err != nil {
			return err
		}
	}
	if !digest.Names(name) {
		return fault.New(fault.Internal, "blob_damaged", "The stored file "+name+" is damaged; remove or repair it first.")
	}
	b.summary.Blobs++
	b.summary.Bytes += blob.Size()
	return nil
}

// VerifyBackup reads a whole backup of data or of keys and checks every hash in it, without keeping anything.
func VerifyBackup(r io.Reader, p Progress) (*Summary, error) {
	head := make([]byte, len(magic)+5+1+len(dataContent))
	n, err := io.ReadFull(r, head)
	if err != nil {
		return nil, broken("it is cut short: %w", err)
	}
	what := dataContent
	if strings.HasSuffix(string(head[:n]), string(keysContent)) {
		what = keysContent
	}
	return readBackup(io.MultiReader(strings.NewReader(string(head[:n])), r), what, sink{read: reporting(context.Background(), p)})
}

// reporting passes progress on and ends when ctx does.
func reporting(ctx context.Context, p Progress) func(int64) error {
	return func(bytes int64) error {
		p.report(bytes, 0)
		return ctx.Err()
	}
}

// Restore fills an empty store from a backup of data and, unless it is nil, one of keys, and marks that it was
// restored. Nothing is kept of a backup that is damaged, or when it fails. Without keys the statements are there
// and their bodies cannot be read.
func (s *Store) Restore(ctx context.Context, data, keys io.Reader, p Progress) (_ *Summary, err error) {
	if err := s.blobs.Each(ctx, func(string) error { return errNotEmpty }); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			ctx := context.WithoutCancel(ctx)
			err = errors.Join(err, s.blobs.Each(ctx, func(name string) error { return s.blobs.Remove(ctx, name) }))
		}
	}()
	var summary *Summary
	err = s.sql.Load(ctx, func(l *sqlstore.Loader) (err error) {
		to := sink{read: reporting(ctx, p), row: func(t sqlstore.Table, cells []any) error { return l.Row(ctx, t, cells) }}
		if keys != nil {
			if _, err := readBackup(keys, keysContent, to); err != nil {
				return fmt.Errorf("restoring keys: %w", err)
			}
		}
		to.blob = func(size int64) (blobSink, error) {
			if err := s.blobs.Reserve(size); err != nil {
				return nil, err
			}
			return s.blobs.Create(ctx)
		}
		if summary, err = readBackup(data, dataContent, to); err != nil {
			return fmt.Errorf("restoring data: %w", err)
		}
		return l.SetMeta(ctx, flow.RestoredKey, []byte(strconv.FormatInt(s.now().UnixMicro(), 10)))
	})
	return summary, err
}

var errNotEmpty = fault.New(fault.Conflict, "not_empty", "There are sealed files already; restore into a new data directory.")
