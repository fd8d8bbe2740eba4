// Package store opens what a node keeps: one database and one directory of sealed files, under the lock of the
// data directory, and it backs them up, restores and checks them.
//
// It promises that one process at a time has a data directory open, that a backup is one snapshot without the
// keys of statements, the same whichever database it came from, and that a restore keeps all of a backup or
// nothing. It refuses to trust a backup that it reads, and to encrypt one: that is for the caller.
package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store/blobstore"
	"entente/internal/store/sqlstore"
)

// Options are what Open needs beside the places.
type Options struct {
	Reserve int64            // bytes of the disk that blobs leave free
	Readers int              // SQLite: size of the pool of readers; 0 chooses one
	Now     func() time.Time // required
}

// Store is a node's open database with its blobs. Safe for concurrent use.
type Store struct {
	sql   *sqlstore.Store
	blobs *blobstore.Dir
	lock  *os.File
	now   func() time.Time
}

// Progress reports what is done of a total, which is 0 while it is unknown; it may be nil.
type Progress func(done, total int64)

func (p Progress) report(done, total int64) {
	if p != nil {
		p(done, total)
	}
}

// Open locks the data directory dir, which it makes if need be, and opens the database at url: "" for a file in
// dir, "sqlite:<path>", or a URL of PostgreSQL. A directory that another process has open is a conflict.
func Open(ctx context.Context, url, dir string, o Options) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	s := &Store{now: o.Now}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.blobs, err = blobstore.Open(filepath.Join(dir, "blobs"), o.Reserve); err != nil {
		return nil, err
	}
	switch path, isFile := strings.CutPrefix(url, "sqlite:"); {
	case url == "":
		s.sql, err = sqlstore.OpenSQLite(ctx, filepath.Join(dir, "entente.db"), o.Readers)
	case isFile && path != "":
		s.sql, err = sqlstore.OpenSQLite(ctx, path, o.Readers)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		s.sql, err = sqlstore.OpenPostgres(ctx, url)
	default:
		err = fault.New(fault.Invalid, "database_url", "The database is given as sqlite:<path> or postgres://…, or left out for a file in the data directory.")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// lockDir takes the lock that ends with this process. The file stays: to remove it would let two processes lock
// two files of one name.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Conflict, "locked", "Another process has this data directory open; stop it first.", err), f.Close())
	}
	return f, nil
}

// Close waits for the acts that have begun and gives the data directory free.
func (s *Store) Close() error {
	var errs []error
	if s.sql != nil {
		errs = append(errs, s.sql.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// View implements flow.Store.
func (s *Store) View(ctx context.Context, f func(flow.Tx) error) error { return s.sql.View(ctx, f) }

// Update implements flow.Store.
func (s *Store) Update(ctx context.Context, p flow.Priority, f func(flow.Tx) error) error {
	return s.sql.Update(ctx, p, f)
}

// Blobs is the directory of sealed files.
func (s *Store) Blobs() flow.Blobs { return s.blobs }

// Database is the kind of database: "sqlite" or "postgres".
func (s *Store) Database() string { return s.sql.Name() }

// Health is what Check found.
type Health struct {
	Blobs   int64    // that were read
	Damaged []string // blobs whose content is not what their name says
	Missing []string // blobs that rows refer to and that are not there
}

// blobPage is how many names of blobs are asked for at a time.
const blobPage = 500

// Check looks for damage of the database, reads every blob and looks for those that are missing. An error means
// that the check could not be made, or that the database is damaged.
func (s *Store) Check(ctx context.Context, p Progress) (*Health, error) {
	if err := s.sql.Check(ctx); err != nil {
		return nil, fmt.Errorf("checking the database: %w", err)
	}
	h := &Health{}
	err := s.blobs.Each(ctx, func(name string) error {
		if err := s.blobs.Verify(ctx, name); err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case fault.KindOf(err) == fault.NotFound: // removed meanwhile
				return nil
			}
			h.Damaged = append(h.Damaged, name)
		}
		h.Blobs++
		p.report(h.Blobs, 0)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("checking the sealed files: %w", err)
	}
	err = s.eachBlob(ctx, sqlstore.AllBlobs, func(name string) error {
		b, err := s.blobs.Open(ctx, name)
		switch {
		case err == nil:
			return b.Close()
		case fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Invalid:
			h.Missing = append(h.Missing, name)
			return nil
		}
		return err
	})
	return h, err
}

// eachBlob calls f with the name of every blob of a scope, in order, in pages that are each a snapshot.
func (s *Store) eachBlob(ctx context.Context, scope sqlstore.BlobScope, f func(name string) error) error {
	last := ""
	for {
		names, err := s.sql.BlobNames(ctx, scope, last, blobPage)
		if err != nil {
			return fmt.Errorf("listing the sealed files: %w", err)
		}
		for _, name := range names {
			if err := f(name); err != nil {
				return err
			}
			last = name
		}
		if len(names) < blobPage {
			return nil
		}
	}
}
