package node

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"entente/envelope"
	"entente/internal/actor"
	"entente/internal/api"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/store"
)

// Names of what lies in a backup's directory, beside the keyring and the settings.
const (
	backupData = "data.backup" // rows and sealed files
	backupKeys = "keys.backup" // the keys of statements, wrapped by the keyring
)

// Backup writes a backup of the running node to a new directory: rows and sealed files, the wrapped keys of statements
// apart from them, the keyring under its lock, and the settings. It takes back what it wrote when it fails.
func (o operator) Backup(ctx context.Context, who actor.Actor, to string, p flow.Progress) (out api.Backup, err error) {
	if err := who.May(actor.Backup); err != nil {
		return out, err
	}
	if !filepath.IsAbs(to) {
		return out, fault.New(fault.Invalid, "path", "Name the backup's directory by its whole path.")
	}
	if err := os.Mkdir(to, 0o700); errors.Is(err, os.ErrExist) {
		return out, fault.New(fault.Conflict, "path", "There is something at "+to+" already; name a new directory.")
	} else if err != nil {
		return out, fault.Wrap(fault.Unavailable, "path", "The directory "+to+" cannot be made; look at the directory above it.", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(to))
		}
	}()
	out.To = to
	err = each(
		func() error {
			return copyFile(filepath.Join(o.cfg.Data, keyringFile), filepath.Join(to, keyringFile), &out)
		},
		func() error {
			return copyFile(filepath.Join(o.cfg.Data, ConfigFile), filepath.Join(to, ConfigFile), &out)
		},
		func() error {
			return writeFile(filepath.Join(to, backupKeys), &out, func(w io.Writer) error {
				_, err := o.store.BackupKeys(ctx, w)
				return err
			})
		},
		func() error {
			return writeFile(filepath.Join(to, backupData), &out, func(w io.Writer) error {
				_, err := o.store.Backup(ctx, w, store.Progress(p))
				return err
			})
		},
	)
	return out, err
}

// each does one thing after the other until one fails.
func each(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a new durable file and counts it.
func writeFile(path string, count *api.Backup, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "file", "The file "+path+" cannot be made.", err)
	}
	if err := fill(f); err != nil {
		return errors.Join(err, f.Close())
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fault.Wrap(fault.Unavailable, "file", "The file "+path+" cannot be written.", err)
	}
	count.Files++
	count.Bytes += info.Size()
	return nil
}

// copyFile copies a file to a new one.
func copyFile(from, to string, count *api.Backup) error {
	f, err := os.Open(from)
	if err != nil {
		return fault.Wrap(fault.NotFound, "file", "The file "+from+" cannot be read.", err)
	}
	defer f.Close()
	return writeFile(to, count, func(w io.Writer) error {
		if _, err := io.Copy(w, f); err != nil {
			return fault.Wrap(fault.Unavailable, "file", "The file "+to+" cannot be written.", err)
		}
		return nil
	})
}

// Restore makes a data directory from a backup: all of it or nothing. The settings come from the backup too, so a
// PostgreSQL database that they name must be empty.
func Restore(ctx context.Context, from, data string, now func() time.Time, p Progress) (out Backup, err error) {
	if _, err := os.Stat(filepath.Join(from, backupData)); err != nil {
		return out, fault.Wrap(fault.NotFound, "backup", "There is no backup in "+from+".", err)
	}
	if err := emptyDir(data); err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearDir(data))
		}
	}()
	out.To = data
	err = each(
		func() error {
			return copyFile(filepath.Join(from, keyringFile), filepath.Join(data, keyringFile), &out)
		},
		func() error { return copyFile(filepath.Join(from, ConfigFile), filepath.Join(data, ConfigFile), &out) },
		func() error { return restoreStore(ctx, from, data, now, p, &out) },
	)
	return out, err
}

func restoreStore(ctx context.Context, from, data string, now func() time.Time, p Progress, out *Backup) error {
	cfg, err := LoadConfig(data, nil, os.LookupEnv)
	if err != nil {
		return err
	}
	rows, err := os.Open(filepath.Join(from, backupData))
	if err != nil {
		return fault.Wrap(fault.NotFound, "backup", "There is no backup in "+from+".", err)
	}
	defer rows.Close()
	keys, err := os.Open(filepath.Join(from, backupKeys))
	if err != nil {
		return fault.Wrap(fault.NotFound, "backup", "The backup in "+from+" lacks the keys of statements.", err)
	}
	defer keys.Close()
	s, err := openStore(ctx, cfg, now)
	if err != nil {
		return err
	}
	summary, err := s.Restore(ctx, rows, keys, store.Progress(p))
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	out.Files += int(summary.Blobs)
	out.Bytes += summary.Bytes
	return nil
}

// Rebuilt is what folding everything again found.
type Rebuilt struct {
	Links     int           `json:"links"`
	Columns   int           `json:"columns"`
	Before    envelope.Hash `json:"before"`
	After     envelope.Hash `json:"after"`
	Identical bool          `json:"identical"`
}

// Rebuild folds every statement of a node again that does not run.
func Rebuild(ctx context.Context, cfg Config, passphrase func() (string, error), p Progress) (Rebuilt, error) {
	n, err := Open(ctx, cfg, passphrase, time.Now)
	if err != nil {
		return Rebuilt{}, err
	}
	r, err := n.house.Rebuild(ctx, actor.System(), p)
	if err = errors.Join(err, n.Close()); err != nil {
		return Rebuilt{}, err
	}
	return Rebuilt{Links: r.Links, Columns: r.Columns, Before: r.Before, After: r.After, Identical: r.Identical}, nil
}
