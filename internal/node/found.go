package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"entente/envelope"
	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/keyring"
	"entente/party"
)

// selfKey is where the store keeps our own party's id.
const selfKey = "self"

// Founding is what a new node is made of.
type Founding struct {
	Data       string
	Names      map[string]string // of the party, by language
	Authority  string
	Passphrase string // locks the keys, unless KeyFile does
	KeyFile    string // made if it does not exist
	Recovery   string // directory for the recovery keys; empty: in the data directory
	Settings   map[string]string
	Now        time.Time
	Validity   time.Duration
}

// Founded is a node that was made.
type Founded struct {
	Party       party.ID `json:"party"`
	Fingerprint string   `json:"fingerprint"`
	Data        string   `json:"data"`
	Recovery    []string `json:"recovery"` // files with a recovery key each
}

// Found makes a node: data directory, keys, identity, recovery keys and settings. It refuses a directory that is not
// empty, and takes back what it made there when it fails.
func Found(ctx context.Context, f Founding) (made Founded, err error) {
	if f.KeyFile != "" {
		if f.KeyFile, err = filepath.Abs(f.KeyFile); err != nil {
			return made, fault.Wrap(fault.Invalid, "key_file", "The key file cannot be named so.", err)
		}
		if f.Settings["key_file"] == "" {
			f.Settings["key_file"] = f.KeyFile
		}
	}
	cfg, err := LoadConfig(f.Data, f.Settings, func(string) (string, bool) { return "", false })
	if err != nil {
		return made, err
	}
	if err := checkSettings(f.Settings); err != nil {
		return made, err
	}
	if err := emptyDir(f.Data); err != nil {
		return made, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearDir(f.Data))
		}
	}()
	keys, shares, err := createKeys(f)
	if err != nil {
		return made, err
	}
	chain, err := createIdentity(keys, f)
	if err != nil {
		return made, err
	}
	if err := writeConfig(f.Data, f.Settings); err != nil {
		return made, err
	}
	if err := putIdentity(ctx, cfg, chain, func() time.Time { return f.Now }); err != nil {
		return made, err
	}
	made = Founded{Party: chain.ID, Fingerprint: party.Fingerprint(chain.ID), Data: f.Data}
	if f.Recovery == "" {
		f.Recovery = filepath.Join(f.Data, recoveryDir)
	}
	made.Recovery, err = writeShares(f.Recovery, shares)
	return made, err
}

// checkSettings refuses a setting that there is not.
func checkSettings(values map[string]string) error {
	for name := range values {
		if !slices.ContainsFunc(settings(), func(s setting) bool { return s.name == name }) {
			return fault.New(fault.Invalid, "config", fmt.Sprintf("There is no setting %q; did you mean %q?", name, nearest(name)))
		}
	}
	return nil
}

// emptyDir makes a directory, or accepts one that is empty.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, "data", "The data directory "+dir+" cannot be made.", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "data", "The data directory "+dir+" cannot be read.", err)
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "data", "The directory "+dir+" is not empty; name another with --data, or empty it yourself. Nothing was touched.")
	}
	return nil
}

// clearDir removes what lies in a directory that was empty before.
func clearDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func createKeys(f Founding) (*keyring.Keyring, []keyring.Share, error) {
	lock := keyring.Passphrase(f.Passphrase)
	if f.KeyFile != "" {
		if _, err := os.Stat(f.KeyFile); errors.Is(err, os.ErrNotExist) {
			if err := keyring.WriteKeyFile(f.KeyFile, rand.Reader); err != nil {
				return nil, nil, err
			}
		}
		lock = keyring.KeyFile(f.KeyFile)
	}
	return keyring.Create(filepath.Join(f.Data, keyringFile), lock, rand.Reader)
}

// createIdentity signs version 1 of the identity and reads it back as any peer would.
func createIdentity(keys *keyring.Keyring, f Founding) (*party.Chain, error) {
	e, err := party.Create(keys.Identity(f.Names, f.Authority, f.Now, f.Validity), keys.Signers()...)
	if err != nil {
		return nil, invalidIdentity(err)
	}
	encoded, err := e.Encode()
	if err != nil {
		return nil, invalidIdentity(err)
	}
	chain, err := party.Verify(envelope.Default(), [][]byte{encoded})
	if err != nil {
		return nil, invalidIdentity(err)
	}
	return chain, nil
}

func invalidIdentity(err error) error {
	return fault.Wrap(fault.Invalid, "identity", "The identity cannot be made so; look at the names, the authority and the validity.", err)
}

func putIdentity(ctx context.Context, cfg Config, chain *party.Chain, now func() time.Time) error {
	s, err := openStore(ctx, cfg, now)
	if err != nil {
		return err
	}
	err = s.Update(ctx, flow.Normal, func(tx flow.Tx) error {
		old, err := tx.Meta(ctx, selfKey)
		if err != nil {
			return err
		}
		if old != nil {
			return fault.New(fault.Conflict, "database", "The database belongs to a node already; give this one a database of its own.")
		}
		if err := tx.PutIdentity(ctx, chain.ID, 1, chain.Envelopes[0]); err != nil {
			return err
		}
		return tx.SetMeta(ctx, selfKey, chain.ID[:])
	})
	return errors.Join(err, s.Close())
}

func writeConfig(data string, values map[string]string) error {
	var b strings.Builder
	b.WriteString("# Settings of this node, as name = value; \"entente serve --help\" lists them.\n")
	for _, s := range settings() {
		if v := values[s.name]; v != "" {
			fmt.Fprintf(&b, "%s = %s\n", s.name, v)
		}
	}
	path := filepath.Join(data, ConfigFile)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fault.Wrap(fault.Unavailable, "config", "The file "+path+" cannot be written.", err)
	}
	return nil
}

func writeShares(dir string, shares []keyring.Share) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, "recovery", "The directory for the recovery keys cannot be made.", err)
	}
	var paths []string
	for _, s := range shares {
		path := filepath.Join(dir, fmt.Sprintf("recovery-%d-of-%d.txt", s.Number, s.Of))
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = file.WriteString(s.Printable())
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "recovery", "The recovery key cannot be written to "+path+".", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
