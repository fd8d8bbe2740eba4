package keyring

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"entente/internal/fault"

	"golang.org/x/crypto/argon2"
)

// Lock is what opens a keyring: a passphrase or a key file. The zero value opens nothing.
type Lock struct {
	passphrase hidden[string]
	keyFile    string
	cost       cost
}

// cost is the work of Argon2id: passes, KiB of memory, lanes.
type cost struct {
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"`
	Threads uint8  `json:"threads"`
}

// minPassphrase is the least length of a new passphrase, in bytes.
const minPassphrase = 12

// Passphrase locks with words that a person types at each start.
func Passphrase(p string) Lock {
	// RFC 9106, section 4, second recommended option.
	return Lock{passphrase: hide(p), cost: cost{Time: 3, Memory: 64 << 10, Threads: 4}}
}

// KeyFile locks with a file that WriteKeyFile made, kept by the machine (a credential store, a sealed volume).
func KeyFile(path string) Lock { return Lock{keyFile: path} }

// WriteKeyFile makes a key file: 32 random bytes in hexadecimal, readable by its owner alone. It refuses to overwrite.
func WriteKeyFile(path string, random io.Reader) error {
	var key [seedSize]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return unavailable("reading randomness", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fault.Wrap(fault.Conflict, "key_file_exists", "There is a key file here already; it was not touched.", err)
	}
	if err != nil {
		return unavailable("making the key file", err)
	}
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return unavailable("writing the key file", err)
	}
	return nil
}

// check refuses a lock that is not good enough for a new keyring.
func (l Lock) check() error {
	if l.passphrase != nil && len(l.passphrase()) < minPassphrase {
		return fault.New(fault.Invalid, "passphrase_short", fmt.Sprintf("A passphrase needs at least %d characters.", minPassphrase))
	}
	if l.passphrase == nil && l.keyFile == "" {
		return fault.New(fault.Invalid, "lock", "A keyring needs a passphrase or a key file.")
	}
	return nil
}

// refused says in the lock's own terms that it does not open the file.
func (l Lock) refused(err error) error {
	if l.passphrase != nil {
		return fault.Wrap(fault.Forbidden, "passphrase", "The passphrase is wrong, or the keyring file is damaged.", err)
	}
	return fault.Wrap(fault.Forbidden, "key_file", "The key file is not the one of this keyring, or the keyring file is damaged.", err)
}

// derivation says how the lock's key is made: Argon2id (RFC 9106) of a passphrase, HKDF-SHA-256 (RFC 5869) of a key file.
type derivation struct {
	Kind string `json:"kind"`
	Salt []byte `json:"salt"`
	Cost *cost  `json:"cost,omitzero"` // of Argon2id
}

const (
	kindPassphrase = "argon2id"
	kindKeyFile    = "hkdf-sha256"
)

// Bounds on a cost that is read from a file: a damaged file must not take the machine down, nor let a passphrase be
// derived for nothing. maxWork bounds time times memory.
const (
	minMemory = 8 << 10
	maxMemory = 1 << 20
	maxWork   = 4 << 20
	maxLanes  = 16
)

func (l Lock) newDerivation(random io.Reader) (derivation, error) {
	d := derivation{Kind: kindKeyFile, Salt: make([]byte, saltSize)}
	if l.passphrase != nil {
		d.Kind, d.Cost = kindPassphrase, &l.cost
	}
	if _, err := io.ReadFull(random, d.Salt); err != nil {
		return derivation{}, unavailable("reading randomness", err)
	}
	return d, nil
}

func (d derivation) check() error {
	if len(d.Salt) != saltSize {
		return fmt.Errorf("a salt has %d bytes, not %d", saltSize, len(d.Salt))
	}
	switch {
	case d.Kind == kindKeyFile && d.Cost == nil:
		return nil
	case d.Kind == kindPassphrase && d.Cost != nil:
		c := d.Cost
		if c.Time < 1 || c.Memory < minMemory || c.Memory > maxMemory || uint64(c.Time)*uint64(c.Memory) > maxWork ||
			c.Threads < 1 || c.Threads > maxLanes {
			return fmt.Errorf("cost of %d passes over %d KiB in %d lanes is out of bounds", c.Time, c.Memory, c.Threads)
		}
		return nil
	}
	return fmt.Errorf("derivation %q is not known", d.Kind)
}

// key derives the key; a lock of the other kind is refused with a sentence that says which one is needed.
func (l Lock) key(d derivation) ([]byte, error) {
	if d.Kind == kindPassphrase {
		if l.passphrase == nil {
			return nil, fault.New(fault.Forbidden, "passphrase", "This keyring is locked by a passphrase.")
		}
		return argon2.IDKey([]byte(l.passphrase()), d.Salt, d.Cost.Time, d.Cost.Memory, d.Cost.Threads, seedSize), nil
	}
	if l.keyFile == "" {
		return nil, fault.New(fault.Forbidden, "key_file", "This keyring is locked by a key file.")
	}
	key, err := readKeyFile(l.keyFile)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, key, d.Salt, fileLabel, seedSize)
}

// readKeyFile reads 64 hexadecimal digits and at most one line end, from a file that its owner alone may read.
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "key_file", "The key file cannot be read; put it back where it was, or say with the setting key_file where it is.", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Forbidden, "key_file_mode",
			fmt.Sprintf("Others can read the key file (mode %04o); make it 0600 first.", info.Mode().Perm()))
	}
	data, err := readBounded(path, 2*seedSize+2)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "key_file", "The key file cannot be read; put it back where it was, or say with the setting key_file where it is.", err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	key := make([]byte, hex.DecodedLen(len(data)))
	if _, err := hex.Decode(key, data); err != nil || len(key) != seedSize { // the cause would quote a digit of the key
		return nil, fault.New(fault.Invalid, "key_file", "The key file must hold 64 hexadecimal digits and nothing else.")
	}
	return key, nil
}
