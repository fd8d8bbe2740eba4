package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"entente/internal/fault"
)

// passphraseVar names the passphrase in the environment, for scripts; a key file is better for services.
const passphraseVar = "ENTENTE_PASSPHRASE"

// passphrase is what opens the keyring: from the environment, or asked for on a terminal.
func (a *app) passphrase(ctx context.Context) func() (string, error) {
	return func() (string, error) {
		if p, ok := a.env(passphraseVar); ok {
			return p, nil
		}
		return a.secret(ctx, "Passphrase: ")
	}
}

// newPassphrase asks twice.
func (a *app) newPassphrase(ctx context.Context) (string, error) {
	if p, ok := a.env(passphraseVar); ok {
		return p, nil
	}
	first, err := a.secret(ctx, "New passphrase: ")
	if err != nil {
		return "", err
	}
	second, err := a.secret(ctx, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", fault.New(fault.Invalid, "passphrase", "The two passphrases differ; nothing was made.")
	}
	return first, nil
}

// secret asks for what opens the keyring.
func (a *app) secret(ctx context.Context, prompt string) (string, error) {
	return a.secretOr(ctx, prompt, "There is no terminal to ask for the passphrase; set "+passphraseVar+" or use --key-file.")
}

// secretOr asks on the terminal, without showing what is typed, until the context ends. Without a terminal it refuses with a sentence.
func (a *app) secretOr(ctx context.Context, prompt, none string) (string, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", fault.New(fault.Invalid, "passphrase", none)
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "passphrase", "The passphrase could not be read.", err)
	}
	fmt.Fprint(a.stderr, prompt)
	defer fmt.Fprintln(a.stderr)
	typed := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		data, err := term.ReadPassword(int(f.Fd()))
		if err != nil {
			failed <- err
			return
		}
		typed <- string(data)
	}()
	select {
	case p := <-typed:
		return p, nil
	case err = <-failed:
	case <-ctx.Done():
		// Reading goes on until the program ends, which is at once; what it changed of the terminal is undone here.
		err = errors.Join(context.Cause(ctx), term.Restore(int(f.Fd()), before))
	}
	return "", fault.Wrap(fault.Unavailable, "passphrase", "The passphrase could not be read.", err)
}

// pairs reads repeated flags of the form name=value.
func pairs(flag string, values []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage("Write --%s as name=value, not %q.", flag, v)
		}
		if _, twice := out[name]; twice {
			return nil, usage("--%s names %q twice.", flag, name)
		}
		out[name] = value
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// read reads a small file, or standard input where the name is "-".
func (a *app) read(name string, limit int64) ([]byte, error) {
	r := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, reading(name, err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, reading(name, err)
	}
	if int64(len(data)) > limit {
		return nil, fault.New(fault.TooLarge, "file", fmt.Sprintf("The file %s is longer than %s.", name, size(limit)))
	}
	return data, nil
}

// reading says that a file on this machine cannot be read.
func reading(name string, err error) error {
	if os.IsNotExist(err) {
		return fault.New(fault.NotFound, "file", "There is no file "+name+".")
	}
	return fault.Wrap(fault.Unavailable, "file", "The file "+name+" cannot be read.", err)
}

// save writes what fill makes to a new file, which is removed again if it fails; without a name it goes to standard output.
func (a *app) save(name string, fill func(io.Writer) error) error {
	if name == "" {
		return fill(a.stdout)
	}
	f, err := create(name)
	if err != nil {
		return err
	}
	err = fill(f)
	if e := f.Close(); err == nil && e != nil {
		err = fault.Wrap(fault.Unavailable, "file", "The file "+name+" cannot be written.", e)
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}

// create makes a new file for writing; one that is there is not touched.
func create(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil, fault.New(fault.Conflict, "file", "There is a file "+name+" already; it was not touched.")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "file", "The file "+name+" cannot be written.", err)
	}
	return f, nil
}

// parseTime reads a date or an instant; a date is its first moment in UTC.
func parseTime(flag, value string) (*time.Time, error) {
	if value == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return &t, nil
		}
	}
	return nil, usage("Write --%s as 2031-03-01 or 2031-03-01T12:00:00Z, not %q.", flag, value)
}
