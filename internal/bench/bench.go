// Package bench measures what a node can do: statements between two real nodes, the start of a node with a large
// record, the ledger in its store, and the transfer of a file.
//
// It promises that each figure stands beside a floor that was measured in the same run on the same machine, so that
// the ratio of the two says something where the figure alone does not, and that what it made is removed when it ends.
// It refuses to measure anything but the program itself: nodes run in processes of their own, with the settings that
// they have by default, and nothing of what they promise is relaxed.
package bench

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"entente/envelope"
	"entente/internal/fault"
)

// Options say how a measurement is made.
type Options struct {
	Program  string                               // the entente binary that the nodes run
	Dir      string                               // where the temporary directory is made; empty: the system's
	Database string                               // "sqlite", or the URL of a PostgreSQL server whose user may create databases
	Progress func(what string, done, total int64) // may be nil; called by many at a time
}

func (o Options) progress(what string, done, total int64) {
	if o.Progress != nil {
		o.Progress(what, done, total)
	}
}

// within runs f with a temporary directory, which is removed after it.
func (o Options) within(f func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "entente-bench-")
	if err != nil {
		return fault.Wrap(fault.Unavailable, "bench", "No temporary directory can be made.", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(dir)
}

// Machine is where a measurement was made.
type Machine struct {
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Go    string `json:"go"`
}

func machine() Machine {
	return Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
}

// quantile is the nearest-rank q-th part of sorted values.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// signaturesFor is how long the floor of statements is measured, each time.
const signaturesFor = 2 * time.Second

// signatureRate is how many statements per second the cryptography alone allows, on all cores: of each statement the
// header and two receipts are signed and verified under both schemes of the suite, and the key of its content is
// sealed and opened. spent is the processor time that one of these took, in seconds.
func signatureRate(ctx context.Context) (rate, spent float64, err error) {
	suite := envelope.INT1()
	var signers []envelope.Signer
	for _, scheme := range suite.Schemes {
		seed := make([]byte, envelope.SeedSize)
		rand.Read(seed)
		s, err := scheme.FromSeed(seed)
		if err != nil {
			return 0, 0, err
		}
		signers = append(signers, s)
	}
	private, err := suite.KEM().GenerateKey()
	if err != nil {
		return 0, 0, err
	}
	var set envelope.KeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, s.Public())
	}
	verifier := envelope.Default().Verifier(set)
	key, info := make([]byte, 32), []byte("entente bench")
	one := func() error {
		message := make([]byte, 1024)
		rand.Read(message)
		for range 3 {
			signed, err := envelope.Sign("application/octet-stream", message, signers...)
			if err != nil {
				return err
			}
			if _, err := verifier.Verify(signed, "application/octet-stream"); err != nil {
				return err
			}
		}
		stanza, err := hpke.Seal(private.PublicKey(), suite.KDF(), suite.AEAD(), info, key)
		if err != nil {
			return err
		}
		_, err = suite.Unwrap(private, info, stanza)
		return err
	}
	var done atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	start, before := time.Now(), cpu(os.Getpid())
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			for errs[i] == nil && ctx.Err() == nil && time.Since(start) < signaturesFor {
				errs[i] = one()
				done.Add(1)
			}
		})
	}
	workers.Wait()
	n := float64(done.Load())
	return n / time.Since(start).Seconds(), (cpu(os.Getpid()) - before) / n, errors.Join(append(errs, ctx.Err())...)
}
